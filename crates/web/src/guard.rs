//! Around every request: a time limit, and headers that hold for every answer.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tokio::time::timeout;

use crate::{
    Door,
    edge::{Edge, lang_of},
    refusal,
};

/// Headers of every answer; a handler that set one keeps it.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
    (header::VARY, "origin"),
    (HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=(), payment=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The outermost layer.
pub(crate) async fn guard(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let lang = lang_of(request.headers());
    let answered = timeout(edge.config.limits.request_limit, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| edge.refuse(Door::Page, refusal::TIMEOUT, lang));
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
