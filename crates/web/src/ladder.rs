//! The ladders of calls, for the administrator: what was said on the wire and what was heard, on one axis of time.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal, Staff,
    edge::{Caller, Edge},
    refusal::{self, REQUEST_INVALID},
    staff::api::{Bearer, Named, answer},
};

/// Longest name of a ladder: a Call-ID.
const NAME_BYTES: usize = 512;
/// Ladders in one list, unless the question says otherwise; and at most.
const LIST: usize = 20;
const LIST_MAX: usize = 1_000;

/// Which ladders are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LadderQuery {
    /// At most so many.
    pub limit: usize,
    /// Also those that belong to no call.
    pub all: bool,
}

/// One line of the list.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LadderCard")]
pub struct LadderCard {
    /// The call; left out where there is none, as of a registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The Call-IDs of its legs.
    pub call_ids: Vec<String>,
    /// Its first line.
    #[schemars(extend("format" = "date-time"))]
    pub began: String,
    /// Its last line.
    #[schemars(extend("format" = "date-time"))]
    pub last: String,
    /// Who is on it beside the gateway: names of legs, or addresses.
    pub peers: Vec<String>,
    /// What it began with: `INVITE`, `REGISTER`, or the first event's words.
    pub first: String,
    /// The last final answer to an INVITE, or how the call ended, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Messages that are kept of it.
    pub messages: u64,
}

/// The newest ladders, and what was given up to stay within the bounds.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LadderList")]
pub struct LadderList {
    /// The one with the newest line first.
    pub ladders: Vec<LadderCard>,
    /// Octets they take.
    pub bytes: u64,
    /// Ladders dropped since the start: too old, or for want of room.
    pub dropped_ladders: u64,
    /// Lines dropped since the start: of calls with more than may be kept of one.
    pub dropped_lines: u64,
    /// Messages and events that were never written down, the recorder being behind.
    pub lost: u64,
}

/// A leg that speaks SIP.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LadderLeg")]
pub struct LadderLeg {
    /// The Call-ID.
    pub call_id: String,
    /// Its place in the call; left out where there is no call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<u8>,
    /// A trunk's name, or whose telephone it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// A message on the wire.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LadderMessage")]
pub struct LadderMessage {
    /// Sent by the gateway; else received.
    pub sent: bool,
    /// `udp`, `tcp` or `tls`.
    #[schemars(extend("enum" = ["udp", "tcp", "tls"]))]
    pub transport: &'static str,
    /// The gateway's address and port.
    pub local: String,
    /// The peer's.
    pub remote: String,
    /// Its method, or status and reason phrase: `INVITE`, `180 Ringing`.
    pub label: String,
    /// The Call-ID, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The CSeq, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cseq: Option<String>,
    /// Its session description in short: codecs, address, direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// When the very same message passed again: the first of these moments, in RFC 3339.
    pub again: Vec<String>,
    /// How often it did.
    pub repeats: u64,
    /// Its text. Passwords' answers, keys of the sound and keys pressed are blotted out with stars.
    pub text: String,
    /// The same in base64, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// One line of a ladder: a message, or something that happened.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LadderRow")]
pub struct LadderRow {
    /// When, in UTC, to the microsecond.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<LadderMessage>,
    /// What happened: a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The leg it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<u8>,
    /// Whose leg that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why the message was refused or dropped, as `passerelle_sip_refused_total` counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A ladder.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Ladder")]
pub struct LadderView {
    /// The call; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Its legs that speak SIP.
    pub legs: Vec<LadderLeg>,
    /// In order of time.
    pub rows: Vec<LadderRow>,
    /// Lines dropped from the middle, there being more than may be kept of one call.
    pub dropped_lines: u64,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListQuery {
    /// At most so many; 20 unless it is said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// Also registrations, probes, and calls that were refused before they began.
    all: bool,
}

fn admin(bearer: &Bearer) -> Result<(), Refusal> {
    if bearer.who == Staff::Admin { Ok(()) } else { Err(refusal::ADMIN_ONLY) }
}

/// `GET /v1/ladders`.
pub(crate) async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    bearer: Bearer,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let listed = async {
        admin(&bearer)?;
        let Query(ListQuery { limit, all }) = query.map_err(|_| REQUEST_INVALID)?;
        let limit = limit.map_or(LIST, |limit| usize::try_from(limit).unwrap_or(LIST_MAX)).clamp(1, LIST_MAX);
        edge.backend.ladders(LadderQuery { limit, all }).await
    };
    answer(&edge, caller.lang, listed.await)
}

/// `GET /v1/ladders/{call}`.
pub(crate) async fn show(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    bearer: Bearer,
    Named(name): Named,
) -> Response {
    let shown = async {
        admin(&bearer)?;
        if name.len() > NAME_BYTES {
            return Err(REQUEST_INVALID);
        }
        edge.backend.ladder(name).await
    };
    answer(&edge, caller.lang, shown.await)
}

/// `GET /v1/ladders/refused`.
pub(crate) async fn refused(State(edge): State<Arc<Edge>>, caller: Caller, bearer: Bearer) -> Response {
    let shown = async {
        admin(&bearer)?;
        edge.backend.refused_messages().await
    };
    answer(&edge, caller.lang, shown.await)
}
