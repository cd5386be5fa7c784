//! The plain HTTP part: tokens, availability, health, metrics, and who may read the answers (CORS).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Availability, CallbackOffer, Door, Health, Refusal, WebCounter,
    edge::{Asked, Caller, Edge, lang_of},
    origin::Origin,
    refusal::{self, ORIGIN_MISSING, ORIGIN_REFUSED, QUEUE_UNKNOWN, REQUEST_INVALID},
    sentence,
    token::{Grant, IssueError},
};

/// Whom a page wants to reach.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TokenRequest {
    /// Whose site.
    tenant: String,
    /// Which queue.
    queue: String,
}

/// A token for a page.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(crate) struct TokenAnswer {
    /// Good once, at the origin it was made for.
    token: String,
    /// How long it is good, seconds.
    expires_in_s: u64,
}

/// `POST /v1/token`: a one-use token for a page of the tenant.
pub(crate) async fn token(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let origin = match known(&edge, &caller) {
        Ok(origin) => origin,
        Err(refusal) => return edge.refuse(Door::Token, refusal, caller.lang),
    };
    let response = match issue(&edge, &caller, &origin, &headers, body) {
        Ok(answer) => {
            edge.backend.count(WebCounter::TokenIssued);
            Json(answer).into_response()
        }
        Err(refusal) => edge.refuse(Door::Token, refusal, caller.lang),
    };
    readable_by(&origin, response)
}

fn issue(
    edge: &Edge,
    caller: &Caller,
    origin: &Origin,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<TokenAnswer, Refusal> {
    // A form or text/plain post needs no preflight: it would be the cross-site way in (SECURITY W2).
    if !is_json(headers) {
        return Err(refusal::JSON_EXPECTED);
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => refusal::TOO_BIG,
        _ => REQUEST_INVALID,
    })?;
    let request: TokenRequest = serde_json::from_slice(&body).map_err(|_| REQUEST_INVALID)?;
    let TokenRequest { tenant, queue } = request;
    // An unknown tenant is refused like a foreign one: ids are not to be guessed here.
    if !edge.backend.origin_allowed(&tenant, origin.as_str()) {
        return Err(ORIGIN_REFUSED);
    }
    if !edge.backend.queue_exists(&tenant, &queue) {
        return Err(QUEUE_UNKNOWN);
    }
    let grant = Grant { origin: origin.as_str().to_owned(), tenant, queue };
    let life = edge.config.limits.token_life;
    let token = edge.tokens().issue(grant, caller.key, edge.now()).map_err(|why| match why {
        IssueError::Source => refusal::TOO_MANY_TOKENS,
        IssueError::Full => refusal::MEMORY_FULL,
        IssueError::NoRandomness => refusal::BUG,
    })?;
    Ok(TokenAnswer { token, expires_in_s: life.as_secs() })
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct AvailabilityQuery {
    /// Whose site.
    tenant: String,
    /// Which queue.
    queue: String,
}

/// What a queue offers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Availability")]
pub(crate) struct AvailabilityAnswer {
    /// Somebody would answer a call now.
    talk_now: bool,
    /// Else why not: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Availability::REASONS))]
    reason: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'static str>,
    /// `callback_reason` in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_sentence: Option<&'static str>,
    #[serde(flatten)]
    callback: CallbackOffer,
}

/// `GET /v1/availability`: should the button offer to talk?
///
/// A request without `Origin` is a same-origin one or no browser's: it is answered, because the answer is no secret and
/// no foreign page can read it without CORS.
pub(crate) async fn availability(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    query: Result<Query<AvailabilityQuery>, QueryRejection>,
) -> Response {
    let origin = match &caller.origin {
        Asked::Missing => None,
        Asked::Bad | Asked::From(_) => match known(&edge, &caller) {
            Ok(origin) => Some(origin),
            Err(refusal) => return edge.refuse(Door::Availability, refusal, caller.lang),
        },
    };
    let response = match available(&edge, &caller, origin.as_ref(), query) {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => edge.refuse(Door::Availability, refusal, caller.lang),
    };
    match origin {
        Some(origin) => readable_by(&origin, response),
        None => response,
    }
}

fn available(
    edge: &Edge,
    caller: &Caller,
    origin: Option<&Origin>,
    query: Result<Query<AvailabilityQuery>, QueryRejection>,
) -> Result<AvailabilityAnswer, Refusal> {
    let Query(AvailabilityQuery { tenant, queue }) = query.map_err(|_| REQUEST_INVALID)?;
    if origin.is_some_and(|origin| !edge.backend.origin_allowed(&tenant, origin.as_str())) {
        return Err(ORIGIN_REFUSED);
    }
    let found = edge.backend.availability(&tenant, &queue).ok_or(QUEUE_UNKNOWN)?;
    let sentence = found.reason.map(|code| sentence(code, caller.lang));
    let callback = edge.backend.callback_offer(&tenant, &queue);
    let callback_sentence = callback.callback_reason.map(|code| self::sentence(code, caller.lang));
    Ok(AvailabilityAnswer { talk_now: found.talk_now, reason: found.reason, sentence, callback_sentence, callback })
}

/// `OPTIONS`: the preflight of a listed origin.
pub(crate) async fn preflight(State(edge): State<Arc<Edge>>, caller: Caller) -> Response {
    match known(&edge, &caller) {
        Ok(origin) => {
            let mut response = readable_by(&origin, StatusCode::NO_CONTENT.into_response());
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PATCH, DELETE"));
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("content-type, accept-language, authorization, idempotency-key"),
            );
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            response
        }
        Err(refusal) => edge.refuse(Door::Token, refusal, caller.lang),
    }
}

/// The caller's origin, if some tenant lists it.
pub(crate) fn known(edge: &Edge, caller: &Caller) -> Result<Origin, Refusal> {
    match &caller.origin {
        Asked::Missing => Err(ORIGIN_MISSING),
        Asked::Bad => Err(ORIGIN_REFUSED),
        Asked::From(origin) if edge.backend.origin_known(origin.as_str()) => Ok(origin.clone()),
        Asked::From(_) => Err(ORIGIN_REFUSED),
    }
}

/// Lets the pages of one origin read the answer: never `*`, never credentials.
pub(crate) fn readable_by(origin: &Origin, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(origin.as_str()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
    response
}

#[derive(Serialize)]
struct HealthAnswer<'a> {
    ok: bool,
    checks: Vec<CheckJson<'a>>,
}

#[derive(Serialize)]
struct CheckJson<'a> {
    name: &'a str,
    ok: bool,
    detail: &'a str,
}

/// `GET /healthz`.
pub(crate) async fn healthz(State(edge): State<Arc<Edge>>) -> Response {
    health(&edge.backend.healthz())
}

/// `GET /readyz`.
pub(crate) async fn readyz(State(edge): State<Arc<Edge>>) -> Response {
    health(&edge.backend.readyz())
}

fn health<'a>(health: &'a Health) -> Response {
    let json = |check: &'a crate::HealthCheck| CheckJson { name: &check.name, ok: check.ok, detail: &check.detail };
    let checks = health.checks.iter().map(json).collect();
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(HealthAnswer { ok: health.ok, checks })).into_response()
}

/// `GET /metrics`, Prometheus text format 0.0.4.
pub(crate) async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], edge.backend.metrics()).into_response()
}

/// A path we have, asked for in a way it does not know.
pub(crate) async fn method_not_allowed(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    edge.refuse(Door::Page, Refusal::new("method-not-allowed", 405), lang_of(&headers))
}
