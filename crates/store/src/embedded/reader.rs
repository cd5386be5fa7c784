//! The thread that reads, on a connection of its own: a long listing never holds up a write.

use std::sync::Arc;

use call::{CallId, CallRecord};
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::sync::{mpsc, oneshot};

use super::counters::Counters;
use crate::{CallQuery, StoreError, record};

/// One question and who waits for the answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) wanted: Wanted,
    pub(super) reply: oneshot::Sender<Result<Vec<CallRecord>, StoreError>>,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Ended calls.
    List(CallQuery),
    /// One of them.
    One(CallId),
}

/// Runs until the last asker is gone.
pub(super) fn run(connection: &Connection, mut questions: mpsc::Receiver<Question>, counters: &Arc<Counters>) {
    while let Some(Question { wanted, reply }) = questions.blocking_recv() {
        if reply.send(answer(connection, &wanted, counters)).is_err() {
            tracing::debug!("nobody waits for this answer any more");
        }
    }
}

fn answer(connection: &Connection, wanted: &Wanted, counters: &Counters) -> Result<Vec<CallRecord>, StoreError> {
    let mut sql = "SELECT id, version, row FROM calls WHERE ended_unix_ms IS NOT NULL".to_owned();
    let mut values: Vec<Value> = Vec::new();
    match wanted {
        Wanted::One(id) => {
            sql.push_str(" AND id = ?1");
            values.push(Value::Text(id.to_string()));
        }
        Wanted::List(query) => {
            sql.push_str(" AND started_unix_ms >= ?1");
            values.push(Value::Integer(super::to_column(query.since_unix_ms.unwrap_or(0))));
            if let Some(tenant) = &query.tenant {
                sql.push_str(" AND tenant = ?2");
                values.push(Value::Text(tenant.0.clone()));
            }
            let limit = query.limit.min(CallQuery::LIMIT_MAX);
            sql.push_str(&format!(" ORDER BY started_unix_ms DESC, id DESC LIMIT {limit}"));
        }
    }
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, version, text): (String, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // One bad row must not hide the others.
        match record::decode_record(version, &text) {
            Ok(record) => records.push(record),
            Err(why) => counters.unreadable(&id, &why),
        }
    }
    Ok(records)
}
