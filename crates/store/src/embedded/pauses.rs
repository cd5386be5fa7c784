//! Queues that are paused, in the file.

use call::{QueueId, TenantId};
use rusqlite::Connection;

use super::to_column;
use super::writer::Written;
use crate::{Pause, StoreError};

/// Pauses a queue, unless it is.
pub(super) fn pause(connection: &Connection, pause: &Pause) -> Written<bool> {
    let sql = "INSERT INTO pauses (tenant, queue, said_by, note, at_unix_ms) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    let Pause { tenant, queue, by, note, at_unix_ms } = pause;
    let rows = connection.prepare_cached(sql)?.execute((&tenant.0, &queue.0, by, note, to_column(*at_unix_ms)))?;
    Ok((rows as u64, rows > 0))
}

/// It calls again.
pub(super) fn resume(connection: &Connection, tenant: &TenantId, queue: &QueueId) -> Written<bool> {
    let sql = "DELETE FROM pauses WHERE tenant = ?1 AND queue = ?2";
    let rows = connection.prepare_cached(sql)?.execute((&tenant.0, &queue.0))?;
    Ok((rows as u64, rows > 0))
}

/// All of them.
pub(super) fn list(connection: &Connection) -> Result<Vec<Pause>, StoreError> {
    let sql = format!(
        "SELECT tenant, queue, said_by, note, at_unix_ms FROM pauses ORDER BY tenant, queue LIMIT {}",
        Pause::MAX
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Pause {
            tenant: TenantId(row.get(0)?),
            queue: QueueId(row.get(1)?),
            by: row.get(2)?,
            note: row.get(3)?,
            at_unix_ms: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        })
    })?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}
