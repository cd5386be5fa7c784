//! `CallRecord`: what is kept of a call.

use crate::call::leg_id;
use crate::{Call, CallId, CallTags, HangupCause, LegId, LegKind, LegQuality, Now, Party, QueueId, TenantId};

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
    /// When it talked with the other side, if it did: of a call that was transferred, who talked when.
    pub talked: Option<Talked>,
}

/// From when until when a leg talked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Talked {
    /// From its answer, or from when it took somebody's place.
    pub from_unix_ms: u64,
    /// Until it left, or the call ended.
    pub until_unix_ms: u64,
}

/// The moments of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    started: Now,
    pub(crate) ringing_unix_ms: Option<u64>,
    pub(crate) answered: Option<Now>,
    pub(crate) ended: Option<Now>,
}

impl Times {
    pub(crate) fn starting(now: Now) -> Self {
        Self { started: now, ringing_unix_ms: None, answered: None, ended: None }
    }

    /// The record of a call at a moment: a call that has not ended is one interrupted now.
    pub(crate) fn record(&self, call: &Call, now: Now) -> CallRecord {
        let end = self.ended.unwrap_or(now);
        let waited_until = self.answered.unwrap_or(end);
        let (hung_up_by, cause) = call.outcome.unwrap_or((Party::Gateway, HangupCause::Interrupted));
        let opened = call.legs.iter().enumerate().filter(|(_, leg)| leg.opened);
        CallRecord {
            id: call.spec.id,
            tenant: call.spec.tags.tenant.clone(),
            queue: call.spec.tags.queue.clone(),
            tags: call.spec.tags.clone(),
            started_unix_ms: self.started.unix_ms,
            ringing_unix_ms: self.ringing_unix_ms,
            answered_unix_ms: self.answered.map(|at| at.unix_ms),
            ended_unix_ms: end.unix_ms,
            wait_ms: ms_between(self.started, waited_until),
            talk_ms: self.answered.map_or(0, |at| ms_between(at, end)),
            hung_up_by,
            cause,
            legs: opened
                .map(|(index, leg)| LegRecord {
                    id: leg_id(index),
                    kind: leg.spec.kind.clone(),
                    codec: leg.codec.clone(),
                    quality: leg.quality,
                    cause: leg.cause,
                    talked: leg.joined.map(|from| Talked {
                        from_unix_ms: from.unix_ms,
                        until_unix_ms: leg.left.unwrap_or(end).unix_ms,
                    }),
                })
                .collect(),
            interrupted: call.outcome.is_none(),
        }
    }
}

fn ms_between(from: Now, to: Now) -> u64 {
    u64::try_from(to.mono.saturating_duration_since(from.mono).as_millis()).unwrap_or(u64::MAX)
}
