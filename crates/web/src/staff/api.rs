//! Call-backs for whoever shows the bearer token of an agent or of the administrator: listed, made, changed, closed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Staff, StaffAct, StaffAsk, StaffQuery, bearers};
use crate::{
    AgentLogin, Door, Lang, Refusal,
    callback::api::{Body, EMAIL_BYTES, KEY_BYTES, NUMBER_BYTES, WORD_BYTES, made_json, read},
    edge::{Asked, Caller, Edge, lang_of},
    refusal::{self, REQUEST_INVALID},
};

/// Longest note, in bytes: 500 characters of any script.
pub(crate) const NOTE_BYTES: usize = 2_000;
/// Call-backs in one list, unless the question says otherwise; and at most.
const LIST: usize = 200;
const LIST_MAX: usize = 1_000;

/// An agent who logs in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AgentLogin")]
pub(crate) struct LoginJson {
    /// His extension.
    #[schemars(length(max = WORD_BYTES), example = "1001")]
    extension: String,
    /// His password.
    #[schemars(length(max = WORD_BYTES))]
    password: String,
}

/// An agent's bearer token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AgentToken")]
pub(crate) struct BearerJson {
    /// For `Authorization: Bearer`.
    token: String,
    /// How long it is good, seconds; less when the gateway ends.
    expires_in_s: u64,
    /// His name.
    name: String,
}

/// A call-back that an agent or an administrator makes for a customer.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StaffRequest")]
pub(crate) struct AskJson {
    /// Whose site.
    tenant: String,
    /// Which queue.
    queue: String,
    /// The telephone number: E.164 with a plus, or as it is written in `country`.
    #[schemars(length(max = NUMBER_BYTES), example = "+33612345678")]
    number: String,
    /// Which country a number without a plus is of (ISO 3166-1, two letters); else the first that the queue serves.
    #[schemars(length(max = WORD_BYTES))]
    country: Option<String>,
    /// `asap`, or any moment at which he may be called: a date and time (RFC 3339, RFC 9557), without an offset in `tz`.
    #[schemars(length(max = WORD_BYTES), example = &"asap")]
    when: String,
    /// The customer's time zone, an IANA name; empty for the site's.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES))]
    tz: String,
    /// The customer's language tag (RFC 5646).
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES))]
    lang: String,
    /// Where he wants to be written to, an e-mail address (RFC 5321); empty for nowhere.
    #[schemars(length(max = EMAIL_BYTES))]
    email: Option<String>,
    /// `requested` by himself, or a `follow-up` of the company, which is held to the French hours for such calls.
    #[serde(default = "requested")]
    #[schemars(extend("enum" = ["requested", "follow-up"]))]
    purpose: String,
    /// When and how he agreed to be called. Without it the request is refused.
    #[schemars(length(max = NOTE_BYTES), example = "asked for it on the telephone, 18 November")]
    consent_note: String,
    /// What else whoever calls should know.
    #[serde(default)]
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
    /// His rank: 0 is everybody's.
    #[serde(default)]
    #[schemars(range(max = 9))]
    priority: u8,
    /// Extension of the agent who is to call, if he is free then.
    #[schemars(length(max = WORD_BYTES))]
    agent: Option<String>,
}

fn requested() -> String {
    "requested".to_owned()
}

/// Changes of a call-back by an agent or an administrator; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StaffChange")]
pub(crate) struct EditJson {
    /// `asap`, or any moment at which he may be called.
    #[schemars(length(max = WORD_BYTES))]
    when: Option<String>,
    /// The zone of a moment without an offset; empty for the customer's or the site's.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES))]
    tz: String,
    /// Another queue of the same tenant that calls back.
    #[schemars(length(max = WORD_BYTES))]
    queue: Option<String>,
    /// Extension of the agent who is to call, if he is free then; empty for nobody in particular.
    #[schemars(length(max = WORD_BYTES))]
    agent: Option<String>,
    /// His rank: 0 is everybody's.
    #[schemars(range(max = 9))]
    priority: Option<u8>,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
}

/// Why something is done.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "StaffReason")]
pub(crate) struct NoteJson {
    /// In words; may be empty.
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
}

/// Later.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StaffSnooze")]
pub(crate) struct SnoozeJson {
    /// By so many minutes.
    #[schemars(range(min = 1, max = 1440), example = 15)]
    minutes: u32,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
}

/// How the customer was served.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StaffDisposition")]
pub(crate) struct CompleteJson {
    /// A word of the company's: small letters, digits and hyphens.
    #[serde(default)]
    #[schemars(length(min = 1, max = 32), example = &"resolved")]
    disposition: String,
    /// What else is to be known.
    #[serde(default)]
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListQuery {
    /// Only of this tenant.
    #[schemars(length(max = WORD_BYTES))]
    tenant: String,
    /// Only of this queue.
    #[schemars(length(max = WORD_BYTES))]
    queue: String,
    /// At most so many; 200 unless it is said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// Go on from here: `next` of the answer before.
    #[schemars(length(max = WORD_BYTES))]
    from: String,
}

/// Who shows a good bearer token, for what nobody else may ask.
pub(crate) struct Bearer {
    pub(crate) who: Staff,
    token: String,
}

impl FromRequestParts<Arc<Edge>> for Bearer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Response> {
        let caller = Caller::from_request_parts(parts, edge).await?;
        let token = bearer(&parts.headers).unwrap_or_default();
        edge.staff_or_refusal(&caller, &token)
            .map(|who| Self { who, token })
            .map_err(|refusal| edge.refuse(Door::Staff, refusal, caller.lang))
    }
}

/// The `{id}` of a path.
pub(crate) struct Named(pub(crate) String);

impl FromRequestParts<Arc<Edge>> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Response> {
        let id = Path::<String>::from_request_parts(parts, edge).await;
        id.map(|Path(id)| Self(id)).map_err(|_| edge.refuse(Door::Staff, REQUEST_INVALID, lang_of(&parts.headers)))
    }
}

/// `Authorization: Bearer TOKEN`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(|token| token.trim().to_owned())
}

impl Edge {
    /// Whose bearer token this is, if it is one.
    pub(crate) fn staff(&self, token: &str) -> Option<Staff> {
        if token.is_empty() {
            return None;
        }
        let agent = self.bearers().agent(token, self.now());
        agent.map(Staff::Agent).or_else(|| self.backend.is_admin(token).then_some(Staff::Admin))
    }

    /// The same where nothing else is taken: wrong ones count as wrong passwords do.
    fn staff_or_refusal(&self, caller: &Caller, token: &str) -> Result<Staff, Refusal> {
        if self.failures().is_blocked(caller.key, self.now()) {
            return Err(refusal::LOGIN_BLOCKED);
        }
        self.staff(token).ok_or_else(|| {
            if !token.is_empty() {
                self.failures().note(caller.key, self.now());
            }
            refusal::LOGIN_NEEDED
        })
    }
}

pub(crate) fn answer<T: Serialize>(edge: &Edge, lang: Lang, answer: Result<T, Refusal>) -> Response {
    match answer {
        Ok(body) => Json(body).into_response(),
        Err(refusal) => edge.refuse(Door::Staff, refusal, lang),
    }
}

/// `POST /v1/agent/token`: extension and password for a bearer token.
pub(crate) async fn log_in(State(edge): State<Arc<Edge>>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let made = token(&edge, &caller, &headers, body).await;
    answer(&edge, caller.lang, made)
}

async fn token(edge: &Edge, caller: &Caller, headers: &HeaderMap, body: Body) -> Result<BearerJson, Refusal> {
    // A page of another site has no business with an agent's password.
    match &caller.origin {
        Asked::Missing => {}
        Asked::From(origin) if edge.is_own(origin, caller.host.as_deref()) => {}
        Asked::From(_) | Asked::Bad => return Err(refusal::ORIGIN_REFUSED),
    }
    let LoginJson { extension, password } = read(headers, body)?;
    if [&extension, &password].into_iter().any(|word| word.len() > WORD_BYTES) {
        return Err(REQUEST_INVALID);
    }
    // Before the password is looked at: a blocked source learns nothing from a right guess.
    if edge.failures().is_blocked(caller.key, edge.now()) {
        return Err(refusal::LOGIN_BLOCKED);
    }
    let login = AgentLogin { extension: extension.clone(), password, source: caller.source };
    let name = edge.backend.agent_name(login).await.inspect_err(|_| edge.failures().note(caller.key, edge.now()))?;
    let token = edge.bearers().issue(&extension, edge.now()).ok_or(refusal::BUG)?;
    Ok(BearerJson { token, expires_in_s: bearers::LIFE.as_secs(), name })
}

/// `DELETE /v1/agent/token`: the token is good no more.
pub(crate) async fn log_out(State(edge): State<Arc<Edge>>, bearer: Bearer) -> Response {
    edge.bearers().revoke(&bearer.token);
    StatusCode::NO_CONTENT.into_response()
}

/// `GET /v1/callbacks`.
pub(crate) async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    bearer: Bearer,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let listed = match query {
        Ok(Query(ListQuery { tenant, queue, limit, from }))
            if tenant.len().max(queue.len()).max(from.len()) <= WORD_BYTES =>
        {
            let limit = limit.map_or(LIST, |limit| usize::try_from(limit).unwrap_or(LIST_MAX)).clamp(1, LIST_MAX);
            edge.backend.staff_list(bearer.who, StaffQuery { tenant, queue, limit, from }).await
        }
        Ok(_) | Err(_) => Err(REQUEST_INVALID),
    };
    answer(&edge, caller.lang, listed)
}

/// `POST /v1/callbacks` with a bearer token.
pub(crate) async fn make(edge: &Edge, caller: &Caller, token: &str, headers: &HeaderMap, body: Body) -> Response {
    let made = async {
        let who = edge.staff_or_refusal(caller, token)?;
        let made = edge.backend.staff_make(who, read_ask(headers, body)?).await?;
        let status = if made.again { StatusCode::OK } else { StatusCode::CREATED };
        Ok((status, Json(made_json(edge, made))).into_response())
    };
    made.await.unwrap_or_else(|refusal| edge.refuse(Door::Staff, refusal, caller.lang))
}

fn read_ask(headers: &HeaderMap, body: Body) -> Result<StaffAsk, Refusal> {
    let ask: AskJson = read(headers, body)?;
    let request_key = match headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default()) {
        None => None,
        Some(key) if (1..=KEY_BYTES).contains(&key.len()) => Some(key.to_owned()),
        Some(_) => return Err(REQUEST_INVALID),
    };
    if ask.number.len() > NUMBER_BYTES {
        return Err(refusal::NUMBER_INVALID);
    }
    let email = ask.email.map(|email| email.trim().to_owned()).filter(|email| !email.is_empty());
    if email.as_ref().is_some_and(|email| email.len() > EMAIL_BYTES) {
        return Err(refusal::EMAIL_INVALID);
    }
    let words = [&ask.tenant, &ask.queue, &ask.when, &ask.tz, &ask.lang];
    let more = [ask.country.as_ref(), ask.agent.as_ref()].into_iter().flatten();
    let notes = [&ask.consent_note, &ask.note];
    if words.into_iter().chain(more).any(|word| word.len() > WORD_BYTES)
        || notes.into_iter().any(|note| note.len() > NOTE_BYTES)
        || ask.priority > 9
    {
        return Err(REQUEST_INVALID);
    }
    Ok(StaffAsk {
        tenant: ask.tenant,
        queue: ask.queue,
        number: ask.number,
        country: ask.country,
        when: ask.when,
        tz: ask.tz,
        lang: ask.lang,
        email,
        purpose: ask.purpose,
        consent_note: ask.consent_note,
        note: ask.note,
        priority: ask.priority,
        agent: ask.agent.filter(|agent| !agent.is_empty()),
        request_key,
    })
}

/// `GET /v1/callbacks/{id}` with a bearer token.
pub(crate) async fn show(edge: &Edge, lang: Lang, who: Staff, id: String) -> Response {
    answer(edge, lang, edge.backend.staff_show(who, id).await)
}

/// `PATCH /v1/callbacks/{id}` with a bearer token.
pub(crate) async fn edit(edge: &Edge, lang: Lang, who: Staff, id: String, headers: &HeaderMap, body: Body) -> Response {
    let act = read::<EditJson>(headers, body).and_then(|EditJson { when, tz, queue, agent, priority, note }| {
        let words = [when.as_ref(), Some(&tz), queue.as_ref(), agent.as_ref()];
        let fits = words.into_iter().flatten().all(|word| word.len() <= WORD_BYTES);
        if !fits || priority.is_some_and(|rank| rank > 9) {
            return Err(REQUEST_INVALID);
        }
        Ok((StaffAct::Edit { when, tz, queue, agent, priority }, note))
    });
    act_on(edge, lang, who, id, act).await
}

/// `DELETE /v1/callbacks/{id}` with a bearer token.
pub(crate) async fn cancel(edge: &Edge, lang: Lang, who: Staff, id: String, note: String) -> Response {
    act_on(edge, lang, who, id, Ok((StaffAct::Cancel, note))).await
}

async fn act_on(edge: &Edge, lang: Lang, who: Staff, id: String, act: Result<(StaffAct, String), Refusal>) -> Response {
    let done = match act {
        Ok((_, note)) if note.len() > NOTE_BYTES => Err(REQUEST_INVALID),
        Ok((act, note)) => edge.backend.staff_act(who, id, act, note).await,
        Err(refusal) => Err(refusal),
    };
    answer(edge, lang, done)
}

/// Handlers of `POST /v1/callbacks/{id}/WORD`: what its body says is done to it.
macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident reads $body:ty as |$read:ident| $act:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) async fn $name(
            State(edge): State<Arc<Edge>>,
            caller: Caller,
            bearer: Bearer,
            Named(id): Named,
            headers: HeaderMap,
            body: Body,
        ) -> Response {
            let act = read::<$body>(&headers, body).and_then(|$read| $act);
            act_on(&edge, caller.lang, bearer.who, id, act).await
        }
    )*};
}

acts! {
    /// The agent who asks will call.
    accept reads NoteJson as |body| Ok((StaffAct::Accept, body.note));
    /// He will not.
    decline reads NoteJson as |body| Ok((StaffAct::Decline, body.note));
    /// Later.
    snooze reads SnoozeJson as |body| match body.minutes {
        minutes @ 1..=1_440 => Ok((StaffAct::Snooze(minutes), body.note)),
        _ => Err(REQUEST_INVALID),
    };
    /// The customer was spoken to.
    complete reads CompleteJson as |body| match body.disposition.as_str() {
        "" => Err(refusal::DISPOSITION_MISSING),
        _ => Ok((StaffAct::Complete(body.disposition), body.note)),
    };
}
