//! `/v1/slots` and `/v1/callbacks`: JSON in, checked and bounded; JSON out.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequestParts, Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CallbackAsk, CallbackMade, CallbackMove, CallbackView, SlotsAsk, WaitView};
use crate::{
    Door, Lang, Refusal,
    api::{is_json, known, readable_by},
    edge::{Asked, Caller, Edge, lang_of},
    origin::Origin,
    protocol::{self, MAX_SESSION_BYTES},
    refusal::{self, ORIGIN_REFUSED, QUEUE_UNKNOWN, REQUEST_INVALID, VERIFICATION_NEEDED},
    sentence::{self, callback_states},
    staff,
    talk::redeemed,
};

/// Longest number a person types, blanks and brackets included.
pub(crate) const NUMBER_BYTES: usize = 64;
/// Longest e-mail address (RFC 5321).
pub(crate) const EMAIL_BYTES: usize = 254;
/// Longest `Idempotency-Key`; a UUID has 36 characters.
pub(crate) const KEY_BYTES: usize = 128;
/// Longest token of a customer.
pub(crate) const CUSTOMER_BYTES: usize = 2_048;
/// Longest date and time, zone, id of a text.
pub(crate) const WORD_BYTES: usize = 128;

/// What a visitor asks: a call as soon as possible, or at a time.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CallbackRequest")]
pub(crate) struct AskJson {
    /// From `POST /v1/token`; it is spent, also by a request that is refused for another reason.
    token: String,
    /// The telephone number: E.164 with a plus, or as it is written in `country`.
    #[schemars(length(max = NUMBER_BYTES), example = "+33612345678", example = "06 12 34 56 78")]
    number: String,
    /// Which country a number without a plus is of (ISO 3166-1, two letters); else the first that the queue serves.
    #[schemars(length(max = WORD_BYTES), example = &"FR")]
    country: Option<String>,
    /// `asap`, or the start of a slot: a date and time (RFC 3339, RFC 9557), without an offset in `tz`.
    #[schemars(length(max = WORD_BYTES), example = &"asap", example = "2026-11-18T10:00:00+01:00")]
    when: String,
    /// The visitor's time zone, an IANA name; empty when the page does not know.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "Europe/Paris")]
    tz: String,
    /// Language tag of the page (RFC 5646).
    #[serde(default)]
    #[schemars(example = "fr-FR")]
    lang: String,
    /// What the page says about itself.
    #[serde(default)]
    session: SessionJson,
    /// What the visitor agreed to. Without it the request is refused.
    consent: Option<ConsentJson>,
    /// Where he wants to be written to, an e-mail address (RFC 5321); empty for nowhere.
    #[schemars(length(max = EMAIL_BYTES), example = "claire@mail.example")]
    email: Option<String>,
    /// The answer to a challenge, as ALTCHA writes it: JSON in Base64. Needed only after `verification_needed`.
    pow: Option<String>,
    /// The hold of the seat, from `POST /v1/slots/hold`.
    #[schemars(length(max = WORD_BYTES))]
    hold: Option<String>,
    /// Who the visitor is, as the shop's server signed it: a JSON Web Token (RFC 7519), HS256, with `aud`, `sub`, `priority`,
    /// `iat` and `exp`.
    #[schemars(length(max = CUSTOMER_BYTES))]
    customer: Option<String>,
}

/// The visitor's web session.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Session")]
struct SessionJson {
    /// The site's own session id; two requests of one session may be the same visitor.
    #[schemars(length(max = MAX_SESSION_BYTES))]
    id: String,
    /// Where he clicked.
    page: PageJson,
    /// Where he came from.
    referrer: Option<String>,
}

/// A page of the site. Long texts are cut.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Page")]
struct PageJson {
    /// Its address.
    url: String,
    /// Its title.
    title: String,
}

/// What a visitor agreed to. Neither may be empty.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Consent")]
struct ConsentJson {
    /// The text's id.
    #[schemars(length(min = 1, max = WORD_BYTES))]
    text_id: String,
    /// The text's version.
    #[schemars(length(min = 1, max = WORD_BYTES))]
    version: String,
}

/// A call-back promised.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CallbackPromise")]
pub(crate) struct MadeJson {
    /// Its id.
    id: String,
    /// The key to it: for `Authorization: Bearer`. Whoever has it may move it and call it off.
    manage_token: String,
    /// The visitor's page of it; the key is behind the `#`. Without an origin when the gateway has no `public_url`.
    #[schemars(extend("format" = "uri-reference"))]
    page_url: String,
    /// Its calendar entry, with the key.
    #[schemars(extend("format" = "uri-reference"))]
    ics_url: String,
    /// Its events, with the key.
    #[schemars(extend("format" = "uri-reference"))]
    events_url: String,
    /// Where it stands.
    #[schemars(extend("enum" = callback_states()))]
    state: &'static str,
    /// He asked for as soon as possible.
    asap: bool,
    /// The promised moment.
    #[schemars(extend("format" = "date-time"))]
    promised_at: String,
    /// The time zone it is told in, an IANA name.
    #[schemars(example = "Europe/Paris")]
    tz: String,
    /// The number in full, E.164 with blanks, for the visitor to check.
    #[schemars(example = "+33 6 12 34 56 78")]
    number: String,
    /// How long it will probably take.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<WaitView>,
}

/// How a call-back stands, and the same in words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Callback")]
pub(crate) struct ViewJson<'a> {
    #[serde(flatten)]
    view: &'a CallbackView,
    /// `state` in words, in French or English.
    sentence: &'static str,
}

/// Another time.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CallbackMove")]
pub(crate) struct MoveJson {
    /// `asap`, or the start of a slot: a date and time (RFC 3339, RFC 9557), without an offset in `tz`.
    #[schemars(length(max = WORD_BYTES), example = "2026-11-18T10:00:00+01:00")]
    when: String,
    /// The visitor's time zone, an IANA name; empty when the page does not know.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "Europe/Paris")]
    tz: String,
    /// The hold of the seat, from `POST /v1/slots/hold`.
    #[schemars(length(max = WORD_BYTES))]
    hold: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct SlotsQuery {
    /// Whose site.
    tenant: String,
    /// Which queue.
    queue: String,
    /// In whose zone they are told, an IANA name; the site's own when empty.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "Europe/Paris")]
    tz: String,
    /// From this date and time on; now when empty.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "2026-11-18T00:00")]
    from: String,
    /// Before this date and time; as far as may be chosen when empty.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "2026-11-25T00:00")]
    to: String,
    /// The hold that the asker has: its seat is still his to choose.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES))]
    hold: String,
}

/// The visitor's key where no header can be set: `EventSource`, a link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyQuery {
    token: String,
}

pub(crate) type Body = Result<Bytes, BytesRejection>;

/// `GET /v1/slots`.
pub(crate) async fn slots(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    query: Result<Query<SlotsQuery>, QueryRejection>,
) -> Response {
    let origin = match reader(&edge, &caller) {
        Ok(origin) => origin,
        Err(refusal) => return edge.refuse(Door::Callback, refusal, caller.lang),
    };
    let found = async {
        let Query(SlotsQuery { tenant, queue, tz, from, to, hold }) = query.map_err(|_| REQUEST_INVALID)?;
        if origin.as_ref().is_some_and(|origin| !edge.backend.origin_allowed(&tenant, origin.as_str())) {
            return Err(ORIGIN_REFUSED);
        }
        if !edge.backend.queue_exists(&tenant, &queue) {
            return Err(QUEUE_UNKNOWN);
        }
        if [&tz, &from, &to, &hold].into_iter().any(|text| text.len() > WORD_BYTES) {
            return Err(REQUEST_INVALID);
        }
        edge.backend.slots(SlotsAsk { tenant, queue, tz, from, to, hold }).await
    };
    finish(&edge, &caller, origin.as_ref(), found.await.map(|slots| Json(slots).into_response()))
}

/// `POST /v1/callbacks`.
pub(crate) async fn ask(State(edge): State<Arc<Edge>>, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    // A visitor's token is in the body: who shows one here works with the book.
    if let Some(token) = staff::api::bearer(&headers) {
        return staff::api::make(&edge, &caller, &token, &headers, body).await;
    }
    let origin = match known(&edge, &caller) {
        Ok(origin) => origin,
        Err(refusal) => return edge.refuse(Door::Callback, refusal, caller.lang),
    };
    if !edge.may_ask(caller.key) {
        return readable_by(&origin, edge.refuse(Door::Callback, refusal::TOO_MANY_REQUESTS, caller.lang));
    }
    let asked = read_ask(&edge, &caller, &origin, &headers, body);
    if asked.as_ref().is_err_and(|refusal| *refusal == VERIFICATION_NEEDED) {
        // It comes again with the answer, and counts then.
        return readable_by(&origin, edge.refuse_until_proven(Door::Callback, caller.lang));
    }
    edge.note_ask(caller.key, asked.as_ref().ok().map(|ask| ask.tenant.as_str()));
    let made = match asked {
        Ok(ask) => edge.backend.ask_callback(ask).await,
        Err(refusal) => Err(refusal),
    };
    let answer = made.map(|made| {
        let status = if made.again { StatusCode::OK } else { StatusCode::CREATED };
        (status, Json(made_json(&edge, made))).into_response()
    });
    finish(&edge, &caller, Some(&origin), answer)
}

fn read_ask(
    edge: &Edge,
    caller: &Caller,
    origin: &Origin,
    headers: &HeaderMap,
    body: Body,
) -> Result<CallbackAsk, Refusal> {
    let ask: AskJson = read(headers, body)?;
    let grant = redeemed(edge, &ask.token, origin)?;
    let request_key = match headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default()) {
        None => None,
        Some(key) if (1..=KEY_BYTES).contains(&key.len()) => Some(key.to_owned()),
        Some(_) => return Err(REQUEST_INVALID),
    };
    let consent = ask.consent.map(|consent| (consent.text_id, consent.version));
    let words = [Some(&ask.when), Some(&ask.tz), ask.country.as_ref(), ask.hold.as_ref()];
    let consent_words = consent.iter().flat_map(|(id, version)| [id, version]);
    if ask.number.len() > NUMBER_BYTES {
        return Err(refusal::NUMBER_INVALID);
    }
    if ask.customer.as_ref().is_some_and(|token| token.len() > CUSTOMER_BYTES) {
        return Err(refusal::CUSTOMER_INVALID);
    }
    let email = ask.email.map(|email| email.trim().to_owned()).filter(|email| !email.is_empty());
    if email.as_ref().is_some_and(|email| email.len() > EMAIL_BYTES) {
        return Err(refusal::EMAIL_INVALID);
    }
    if words.into_iter().flatten().chain(consent_words).any(|word| word.len() > WORD_BYTES) {
        return Err(REQUEST_INVALID);
    }
    let SessionJson { id, page, referrer } = ask.session;
    let session = protocol::session(id, page.url, page.title, referrer, ask.lang).map_err(|_| REQUEST_INVALID)?;
    // Last: nobody computes for what is refused anyway.
    edge.check_proof(caller.key, &grant.tenant, ask.pow.as_deref())?;
    Ok(CallbackAsk {
        tenant: grant.tenant,
        queue: grant.queue,
        number: ask.number,
        country: ask.country,
        when: ask.when,
        tz: ask.tz,
        consent,
        email,
        hold: ask.hold,
        customer: ask.customer.filter(|token| !token.is_empty()),
        request_key,
        session,
        source: caller.source,
    })
}

pub(crate) fn made_json(edge: &Edge, made: CallbackMade) -> MadeJson {
    let CallbackMade { manage, number, view, .. } = made;
    let base = edge.config.public_url.as_deref().unwrap_or_default();
    let own = format!("{base}/v1/callbacks/{}", view.id);
    MadeJson {
        page_url: format!("{base}/callback/{}#{manage}", view.id),
        ics_url: format!("{own}/calendar.ics?token={manage}"),
        events_url: format!("{own}/events?token={manage}"),
        id: view.id,
        manage_token: manage,
        state: view.state,
        asap: view.asap,
        promised_at: view.promised_at,
        tz: view.tz,
        number,
        wait: view.wait,
    }
}

/// `GET /v1/callbacks/{id}`.
pub(crate) async fn show(State(edge): State<Arc<Edge>>, caller: Caller, Keyed { id, key }: Keyed) -> Response {
    if let Some(who) = edge.staff(&key) {
        return staff::api::show(&edge, caller.lang, who, id).await;
    }
    let view = edge.backend.callback(id, key).await;
    answer_view(&edge, &caller, view)
}

/// `PATCH /v1/callbacks/{id}`: another time.
pub(crate) async fn change(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Keyed { id, key }: Keyed,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let Some(who) = edge.staff(&key) {
        return staff::api::edit(&edge, caller.lang, who, id, &headers, body).await;
    }
    let view = match read::<MoveJson>(&headers, body) {
        Ok(MoveJson { when, tz, hold })
            if [Some(&when), Some(&tz), hold.as_ref()].into_iter().flatten().all(|word| word.len() <= WORD_BYTES) =>
        {
            edge.backend.move_callback(id, key, CallbackMove { when, tz, hold }).await
        }
        Ok(_) => Err(REQUEST_INVALID),
        Err(refusal) => Err(refusal),
    };
    answer_view(&edge, &caller, view)
}

/// `POST /v1/callbacks/{id}/not-me`: whoever has the link says that it was not he who asked. The body says nothing.
pub(crate) async fn not_me(State(edge): State<Arc<Edge>>, caller: Caller, Keyed { id, key }: Keyed) -> Response {
    let view = edge.backend.disown_callback(id, key).await;
    answer_view(&edge, &caller, view)
}

/// `GET /v1/challenge`: a riddle, for a page that would rather solve it before it is asked to.
pub(crate) async fn challenge(State(edge): State<Arc<Edge>>, caller: Caller) -> Response {
    let origin = match reader(&edge, &caller) {
        Ok(origin) => origin,
        Err(refusal) => return edge.refuse(Door::Callback, refusal, caller.lang),
    };
    let made = edge.challenge().map(|challenge| Json(challenge).into_response());
    finish(&edge, &caller, origin.as_ref(), made.ok_or(refusal::BUG))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CancelQuery {
    /// Why: of an agent or an administrator, whose bearer token is shown.
    #[schemars(length(max = staff::api::NOTE_BYTES))]
    note: String,
}

/// `DELETE /v1/callbacks/{id}`: called off.
pub(crate) async fn cancel(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Keyed { id, key }: Keyed,
    query: Result<Query<CancelQuery>, QueryRejection>,
) -> Response {
    if let Some(who) = edge.staff(&key) {
        let note = query.map(|Query(CancelQuery { note })| note).unwrap_or_default();
        return staff::api::cancel(&edge, caller.lang, who, id, note).await;
    }
    let view = edge.backend.cancel_callback(id, key).await;
    answer_view(&edge, &caller, view)
}

fn answer_view(edge: &Edge, caller: &Caller, view: Result<CallbackView, Refusal>) -> Response {
    // The key is what counts; an origin is only named so that its pages may read the answer.
    let origin = known(edge, caller).ok();
    let answer = view.map(|view| Json(view_json(&view, caller.lang)).into_response());
    finish(edge, caller, origin.as_ref(), answer)
}

/// The body of a call-back, with its state in words.
pub(crate) fn view_json(view: &CallbackView, lang: Lang) -> impl Serialize {
    let code = match view.detail {
        Some("served") => "served-on-site".to_owned(),
        Some(_) | None => format!("callback-{}", view.state),
    };
    ViewJson { view, sentence: sentence::sentence(&code, lang) }
}

/// Which call-back, and the visitor's key to it.
pub(crate) struct Keyed {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl FromRequestParts<Arc<Edge>> for Keyed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Response> {
        let id = Path::<String>::from_request_parts(parts, edge).await.ok();
        let query = Query::<KeyQuery>::from_request_parts(parts, edge).await.ok();
        let Some((Path(id), Query(query))) = id.zip(query) else {
            return Err(edge.refuse(Door::Callback, REQUEST_INVALID, lang_of(&parts.headers)));
        };
        Ok(Self { id, key: key(&parts.headers, query) })
    }
}

/// `Authorization: Bearer KEY`, or `?token=KEY`.
pub(crate) fn key(headers: &HeaderMap, query: KeyQuery) -> String {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match bearer.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(key) => key.trim().to_owned(),
        None => query.token,
    }
}

pub(crate) fn read<T: for<'a> Deserialize<'a>>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    // A form or text/plain post needs no preflight: it would be the cross-site way in (SECURITY W2).
    if !is_json(headers) {
        return Err(refusal::JSON_EXPECTED);
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => refusal::TOO_BIG,
        _ => REQUEST_INVALID,
    })?;
    serde_json::from_slice(&body).map_err(|_| REQUEST_INVALID)
}

/// Who may read without a token: pages of a listed origin, our own, and what is no browser.
fn reader(edge: &Edge, caller: &Caller) -> Result<Option<Origin>, Refusal> {
    match &caller.origin {
        Asked::Missing => Ok(None),
        Asked::From(origin) if edge.is_own(origin, caller.host.as_deref()) => Ok(None),
        Asked::Bad | Asked::From(_) => known(edge, caller).map(Some),
    }
}

pub(super) fn finish(
    edge: &Edge,
    caller: &Caller,
    origin: Option<&Origin>,
    answer: Result<Response, Refusal>,
) -> Response {
    let response = answer.unwrap_or_else(|refusal| edge.refuse(Door::Callback, refusal, caller.lang));
    match origin {
        Some(origin) => readable_by(origin, response),
        None => response,
    }
}
