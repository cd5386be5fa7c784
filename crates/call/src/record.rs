//! `CallRecord`: what is kept of a call.

use crate::{CallId, CallTags, HangupCause, LegId, LegKind, LegQuality, Party, QueueId, TenantId};

/// What is kept of a call. Times of day are for reading; durations come from the clock that never
/// jumps.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// Which call.
    pub id: CallId,
    /// Whose.
    pub tenant: TenantId,
    /// For which queue; empty for a call between two phones.
    pub queue: QueueId,
    /// What it carried.
    pub tags: CallTags,
    /// When it was asked for.
    pub started_unix_ms: u64,
    /// When a candidate first rang.
    pub ringing_unix_ms: Option<u64>,
    /// When a candidate answered.
    pub answered_unix_ms: Option<u64>,
    /// When it was hung up.
    pub ended_unix_ms: u64,
    /// From the start to the answer, or to the end when there was none.
    pub wait_ms: u64,
    /// From the answer to the end.
    pub talk_ms: u64,
    /// Who ended it.
    pub hung_up_by: Party,
    /// Why.
    pub cause: HangupCause,
    /// The legs that were opened, in that order.
    pub legs: Vec<LegRecord>,
    /// The process died before the end: what is above is what was known.
    pub interrupted: bool,
}

/// What is kept of a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct LegRecord {
    /// Its place in the call.
    pub id: LegId,
    /// What it led to; [`LegKind::peer`] says whom.
    pub kind: LegKind,
    /// The codec last in use.
    pub codec: Option<String>,
    /// How it sounded.
    pub quality: LegQuality,
    /// Why it ended.
    pub cause: Option<HangupCause>,
}
