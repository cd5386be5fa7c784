//! `/v1/slots/hold`: a seat is kept for a visitor while his form is open.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Body, KeyQuery, WORD_BYTES, finish, key, read};
use super::{HoldAsk, HoldBy};
use crate::{
    Refusal,
    api::known,
    edge::{Caller, Edge},
    refusal::{self, REQUEST_INVALID},
    talk::redeemed,
};

/// Longest session id that counts; more of it is cut.
const SESSION_CHARS: usize = 64;

/// Which seat to hold, and for whom: either `token` or `callback` is there.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "HoldRequest")]
pub(crate) struct HoldJson {
    /// Of a page of the tenant, from `POST /v1/token`; it is spent.
    token: Option<String>,
    /// Of a status page: the id of its call-back, whose key is in the headers.
    #[schemars(length(max = WORD_BYTES))]
    callback: Option<String>,
    /// The slot's start: a date and time (RFC 3339, RFC 9557), without an offset in `tz`.
    #[schemars(length(max = WORD_BYTES), example = "2026-11-18T10:00:00+01:00")]
    start: String,
    /// The visitor's time zone, an IANA name; empty when the page does not know.
    #[serde(default)]
    #[schemars(length(max = WORD_BYTES), example = "Europe/Paris")]
    tz: String,
    /// The site's own session id: a session holds one seat. It is cut at 64 characters.
    #[serde(default)]
    session: String,
}

/// `POST /v1/slots/hold`.
pub(crate) async fn hold(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    query: Result<Query<KeyQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let held = async {
        may_hold(&edge, &caller)?;
        let Query(query) = query.map_err(|_| REQUEST_INVALID)?;
        edge.backend.hold_seat(read_ask(&edge, &caller, query, &headers, body)?).await
    };
    let answer = held.await.map(|held| (StatusCode::CREATED, Json(held)).into_response());
    finish(&edge, &caller, known(&edge, &caller).ok().as_ref(), answer)
}

fn may_hold(edge: &Edge, caller: &Caller) -> Result<(), Refusal> {
    if edge.may_hold(caller.key) { Ok(()) } else { Err(refusal::TOO_MANY_HOLDS) }
}

fn read_ask(
    edge: &Edge,
    caller: &Caller,
    query: KeyQuery,
    headers: &HeaderMap,
    body: Body,
) -> Result<HoldAsk, Refusal> {
    let HoldJson { token, callback, start, tz, session } = read(headers, body)?;
    if [Some(&start), Some(&tz), callback.as_ref()].into_iter().flatten().any(|word| word.len() > WORD_BYTES) {
        return Err(REQUEST_INVALID);
    }
    let by = match (token, callback) {
        (Some(token), None) => {
            let grant = redeemed(edge, &token, &known(edge, caller)?)?;
            let session = session.chars().take(SESSION_CHARS).collect();
            HoldBy::Visitor { tenant: grant.tenant, queue: grant.queue, session }
        }
        // The key is what counts, as in every change of a call-back.
        (None, Some(id)) => HoldBy::Callback { id, key: key(headers, query) },
        (Some(_), Some(_)) | (None, None) => return Err(REQUEST_INVALID),
    };
    Ok(HoldAsk { by, start, tz, place: caller.key.to_string() })
}

/// `DELETE /v1/slots/hold/{id}`: whoever knows its name lets it go. Of one that is gone nothing is said.
pub(crate) async fn release(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let released = async {
        may_hold(&edge, &caller)?;
        let Path(id) = id.map_err(|_| REQUEST_INVALID)?;
        edge.backend.release_seat(id).await
    };
    let answer = released.await.map(|()| StatusCode::NO_CONTENT.into_response());
    finish(&edge, &caller, known(&edge, &caller).ok().as_ref(), answer)
}
