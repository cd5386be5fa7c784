//! What is asked of a call before it starts.

use std::time::Duration;

use crate::{CallId, CallTags, LegKind, Party};

/// At most so many candidates are kept; the rest of the list is not tried.
pub const MAX_CANDIDATES: usize = 16;

/// In which order the legs come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// A visitor asks to talk: his browser leg is opened and the first candidate invited at once.
    Talk,
    /// Somebody called us (an agent dials another, or the echo): the first leg is open already and
    /// waits to be answered.
    Inbound,
    /// A call-back: the first leg is rung, and once it has answered the other side is.
    CallBack {
        /// Who is rung first: the agent, who then hears the customer's phone ring, or the customer.
        first: Party,
    },
}

/// One leg to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegSpec {
    /// Where it leads.
    pub kind: LegKind,
    /// How long it may ring before the next candidate is tried.
    pub ring_limit: Duration,
}

/// A call to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallSpec {
    /// Its name.
    pub id: CallId,
    /// What the call carries from the page to every leg and record.
    pub tags: CallTags,
    /// The order of things.
    pub plan: Plan,
    /// Who asked; in a call-back, who is rung first.
    pub first: LegSpec,
    /// Who should answer, tried one after the other; in a call-back once the first leg has answered.
    pub second: Vec<LegSpec>,
    /// How long whoever is rung first in a call-back may take, once his line has answered, to press key 1; nobody else
    /// is rung before. `None`: that he answers is enough.
    pub key_limit: Option<Duration>,
    /// How long the first leg's sound may take to come up (talk plan only).
    pub media_setup_limit: Duration,
    /// Longest talk, from the answer.
    pub max_duration: Duration,
    /// How long a leg's sound may be away before the call ends.
    pub media_lost_grace: Duration,
    /// Longest wait for the legs to end after they were told to. Default 32 s (64 × T1, RFC 3261).
    pub end_limit: Duration,
}

impl CallSpec {
    /// Default of `media_setup_limit`: ICE and DTLS on a bad mobile link take seconds, not more.
    pub const MEDIA_SETUP_LIMIT: Duration = Duration::from_secs(20);
    /// Default of `max_duration`.
    pub const MAX_DURATION: Duration = Duration::from_secs(4 * 3_600);
    /// Default of `media_lost_grace`. What is told as lost has been away for 30 s of consent already
    /// (RFC 7675 §5.1); with this the other leg of a closed page ends within 35 s.
    pub const MEDIA_LOST_GRACE: Duration = Duration::from_secs(5);
    /// Default of `end_limit`.
    pub const END_LIMIT: Duration = Duration::from_secs(32);
}
