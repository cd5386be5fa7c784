//! Queues that are paused, in Redis: one hash, a field a queue.

use std::collections::BTreeMap;

use call::{QueueId, TenantId};

use super::Written;
use super::keys::key;
use super::link::Session;
use crate::pause::PauseRow;
use crate::{Pause, StoreError};

fn field(tenant: &TenantId, queue: &QueueId) -> String {
    key(&[&tenant.0, &queue.0])
}

/// Pauses a queue, unless it is.
pub(super) async fn pause(session: &Session, pause: Pause) -> Written<bool> {
    let field = field(&pause.tenant, &pause.queue);
    let count: usize = session.command(redis::cmd("HLEN").arg(key(&["pauses"]))).await?;
    if count >= Pause::MAX {
        return Err(StoreError::Overloaded);
    }
    let row = serde_json::to_string(&PauseRow::from(pause)).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let new: bool = session.command(redis::cmd("HSETNX").arg(key(&["pauses"])).arg(field).arg(row)).await?;
    Ok((u64::from(new), new))
}

/// It calls again.
pub(super) async fn resume(session: &Session, tenant: &TenantId, queue: &QueueId) -> Written<bool> {
    let was: bool = session.command(redis::cmd("HDEL").arg(key(&["pauses"])).arg(field(tenant, queue))).await?;
    Ok((u64::from(was), was))
}

/// All of them. One that cannot be read hides no other.
pub(super) async fn list(session: &Session) -> Result<Vec<Pause>, StoreError> {
    let rows: BTreeMap<String, String> = session.command(redis::cmd("HGETALL").arg(key(&["pauses"]))).await?;
    let read = rows.values().filter_map(|row| serde_json::from_str::<PauseRow>(row).ok());
    let mut all: Vec<Pause> = read.map(Pause::from).collect();
    all.sort_by(|a, b| (&a.tenant.0, &a.queue.0).cmp(&(&b.tenant.0, &b.queue.0)));
    Ok(all)
}
