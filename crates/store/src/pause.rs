//! Queues that call nobody back for now: said once, and so for every node that shares the home, also after a restart.

use call::{QueueId, TenantId};
use serde::{Deserialize, Serialize};

use crate::Answer;

/// A queue that is paused: it calls nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub queue: QueueId,
    /// Who paused it: `admin`, or an agent's extension.
    pub by: String,
    /// Why, in his words; may be empty.
    pub note: String,
    /// When.
    pub at_unix_ms: u64,
}

impl Pause {
    /// So many queues may be paused; more are refused.
    pub const MAX: usize = 10_000;
}

/// A home for the pauses of queues.
pub trait Pauses: Send + Sync {
    /// Pauses a queue. Said again, the first word stays; false then.
    fn pause_queue(&self, pause: Pause) -> Answer<'_, bool>;

    /// It calls again; false when it was not paused.
    fn resume_queue(&self, tenant: TenantId, queue: QueueId) -> Answer<'_, bool>;

    /// All that are paused, by their names.
    fn paused_queues(&self) -> Answer<'_, Vec<Pause>>;
}

/// A pause as a shared server keeps it.
#[derive(Deserialize, Serialize)]
pub(crate) struct PauseRow {
    tenant: String,
    queue: String,
    by: String,
    note: String,
    at_unix_ms: u64,
}

impl From<Pause> for PauseRow {
    fn from(pause: Pause) -> Self {
        let Pause { tenant, queue, by, note, at_unix_ms } = pause;
        Self { tenant: tenant.0, queue: queue.0, by, note, at_unix_ms }
    }
}

impl From<PauseRow> for Pause {
    fn from(row: PauseRow) -> Self {
        let PauseRow { tenant, queue, by, note, at_unix_ms } = row;
        Self { tenant: TenantId(tenant), queue: QueueId(queue), by, note, at_unix_ms }
    }
}
