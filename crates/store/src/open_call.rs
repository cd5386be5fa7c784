//! `OpenCall`: what is journalled when a call starts, enough to close it should the process die.

use call::{CallId, CallRecord, CallSpec, CallTags, HangupCause, LegKind, LegQuality, LegRecord, Party};

/// A call that has started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenCall {
    /// Which call.
    pub id: CallId,
    /// What it carries; tenant and queue among it.
    pub tags: CallTags,
    /// When it was asked for.
    pub started_unix_ms: u64,
    /// The leg that asked.
    pub first: LegKind,
}

impl OpenCall {
    /// The journal row of a call about to start.
    pub fn of(spec: &CallSpec, started_unix_ms: u64) -> Self {
        Self { id: spec.id, tags: spec.tags.clone(), started_unix_ms, first: spec.first.kind.clone() }
    }

    /// The record when the process died before the call's end: nothing is claimed of an answer.
    pub fn interrupted(self, at_unix_ms: u64) -> CallRecord {
        CallRecord {
            id: self.id,
            tenant: self.tags.tenant.clone(),
            queue: self.tags.queue.clone(),
            tags: self.tags,
            started_unix_ms: self.started_unix_ms,
            ringing_unix_ms: None,
            answered_unix_ms: None,
            ended_unix_ms: at_unix_ms,
            wait_ms: 0,
            talk_ms: 0,
            hung_up_by: Party::Gateway,
            cause: HangupCause::Interrupted,
            legs: vec![LegRecord {
                id: call::LegId::FIRST,
                kind: self.first,
                codec: None,
                quality: LegQuality::default(),
                cause: Some(HangupCause::Interrupted),
                talked: None,
            }],
            interrupted: true,
        }
    }
}
