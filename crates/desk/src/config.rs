//! What a desk is told at the start: its queues, agents and bounds.

use std::time::Duration;

use call::{CallSpec, QueueId, TenantId, TrunkId};

use crate::{Hours, Seat};

/// One tenant's desk.
#[derive(Clone, Debug)]
pub struct DeskConfig {
    /// Whose desk.
    pub tenant: TenantId,
    /// Where visitors can ask to talk.
    pub queues: Vec<Queue>,
    /// Who can answer by extension.
    pub agents: Vec<AgentConfig>,
    /// Bounds against abuse.
    pub limits: DeskLimits,
    /// Time limits given to every call.
    pub calls: CallLimits,
    /// Rest after a call before the agent is rung again; zero for none.
    pub wrap_up: Duration,
    /// For call and tag ids: from the operating system, never a constant outside tests.
    pub seed: [u8; 32],
}

/// Where visitors can ask to talk.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub id: QueueId,
    /// Who answers.
    pub target: QueueTarget,
    /// How long each candidate may ring.
    pub ring_limit: Duration,
    /// At most so many calls of this queue wait for an answer at once.
    pub max_waiting: usize,
    /// When it is open; `None` is always.
    pub hours: Option<Hours>,
}

/// Who answers a queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueueTarget {
    /// Agents known here.
    Agents {
        /// By extension.
        extensions: Vec<String>,
        /// The only seat this queue rings; `None` is any.
        seat: Option<Seat>,
    },
    /// A PBX, which chooses by itself.
    Trunk {
        /// Which trunk.
        trunk: TrunkId,
        /// Whom to call there.
        uri: String,
    },
}

/// An agent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentConfig {
    /// His extension.
    pub extension: String,
    /// The name visitors see.
    pub name: String,
    /// What he can do; a language by its code, `fr`.
    pub skills: Vec<String>,
    /// Calls at once: 1 for a person, more for an answering program such as the demo's echo.
    pub max_calls: usize,
}

/// Bounds against abuse; each refusal by one is counted by its [`Bound`](crate::Bound).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeskLimits {
    /// Calls at once from one address (an IPv6 /64 counts as one).
    pub live_per_address: usize,
    /// Requests a minute from one address, refused ones too.
    pub asks_per_address_per_minute: usize,
    /// Calls at once of the tenant.
    pub live_calls: usize,
}

impl Default for DeskLimits {
    /// An office behind one address fits; a script does not.
    fn default() -> Self {
        Self { live_per_address: 10, asks_per_address_per_minute: 30, live_calls: 500 }
    }
}

/// Time limits given to every call; see [`CallSpec`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallLimits {
    /// How long the visitor's sound may take to come up.
    pub media_setup_limit: Duration,
    /// Longest talk.
    pub max_duration: Duration,
    /// How long a leg's sound may be away.
    pub media_lost_grace: Duration,
    /// Longest wait for the legs to end.
    pub end_limit: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            media_setup_limit: CallSpec::MEDIA_SETUP_LIMIT,
            max_duration: CallSpec::MAX_DURATION,
            media_lost_grace: CallSpec::MEDIA_LOST_GRACE,
            end_limit: CallSpec::END_LIMIT,
        }
    }
}
