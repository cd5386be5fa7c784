//! The one thread that writes: takes whatever waits, commits it together, then answers.
//!
//! One commit costs one fsync however many rows are in it, so under load the writers share it; a
//! lone writer waits for nobody.

use std::sync::Arc;

use call::CallId;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::counters::Counters;
use crate::{StoreError, record};

/// At most so many writes share a commit: bounds what one fault can touch.
const BATCH_MAX: usize = 512;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Write {
    /// A call has started: unless known.
    Open(Row),
    /// A call has ended: unless it had already.
    Close(Row),
    /// Close what is open.
    Interrupt { at_unix_ms: i64 },
    /// Write something, to see whether it can be done.
    Probe,
}

/// A row of `calls`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: CallId,
    pub(super) tenant: String,
    pub(super) started_unix_ms: i64,
    pub(super) ended_unix_ms: Option<i64>,
    pub(super) row: String,
}

/// A write and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<u64, StoreError>>,
}

/// Runs until the last sender is gone and the queue is empty.
pub(super) fn run(mut connection: Connection, mut jobs: mpsc::Receiver<Job>, counters: &Arc<Counters>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let writes: Vec<&Write> = batch.iter().map(|job| &job.write).collect();
        let outcomes = commit_all(&mut connection, &writes, counters);
        for (job, outcome) in batch.into_iter().zip(outcomes) {
            counters.note(&outcome);
            if job.reply.send(outcome).is_err() {
                tracing::debug!("nobody waits for this write any more");
            }
        }
    }
}

/// All in one commit; when that fails each in its own, so that every waiter hears his own truth.
/// Every write may be done twice without harm.
fn commit_all(connection: &mut Connection, writes: &[&Write], counters: &Counters) -> Vec<Result<u64, StoreError>> {
    match commit(connection, writes, counters) {
        Ok(counts) => counts.into_iter().map(Ok).collect(),
        Err(error) if writes.len() == 1 => vec![Err(error)],
        Err(_) => writes
            .iter()
            .map(|write| commit(connection, &[write], counters).map(|counts| counts.iter().sum()))
            .collect(),
    }
}

fn commit(connection: &mut Connection, writes: &[&Write], counters: &Counters) -> Result<Vec<u64>, StoreError> {
    // Dropping it rolls back, also when a full disk has rolled back by itself.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let counts = writes.iter().map(|write| apply(&transaction, write, counters)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    counters.committed();
    Ok(counts)
}

fn apply(connection: &Connection, write: &Write, counters: &Counters) -> Result<u64, StoreError> {
    let changed = match write {
        Write::Open(row) => insert(
            connection,
            "INSERT INTO calls (id, tenant, started_unix_ms, ended_unix_ms, version, row)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
            row,
        )?,
        Write::Close(row) => insert(
            connection,
            "INSERT INTO calls (id, tenant, started_unix_ms, ended_unix_ms, version, row)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET ended_unix_ms = ?4, version = ?5, row = ?6 WHERE ended_unix_ms IS NULL",
            row,
        )?,
        Write::Interrupt { at_unix_ms } => return interrupt(connection, *at_unix_ms, counters),
        Write::Probe => {
            connection.prepare_cached("UPDATE probe SET writes = writes + 1")?.execute([])?;
            return Ok(0);
        }
    };
    Ok(changed as u64)
}

fn insert(connection: &Connection, sql: &str, row: &Row) -> Result<usize, StoreError> {
    let values = (row.id.to_string(), &row.tenant, row.started_unix_ms, row.ended_unix_ms, record::VERSION, &row.row);
    Ok(connection.prepare_cached(sql)?.execute(values)?)
}

/// Closes every open row; one that cannot be read is closed as it is, and shows up as unreadable.
fn interrupt(connection: &Connection, at_unix_ms: i64, counters: &Counters) -> Result<u64, StoreError> {
    let mut find = connection.prepare("SELECT id, version, row FROM calls WHERE ended_unix_ms IS NULL LIMIT 1")?;
    let mut close = connection.prepare("UPDATE calls SET ended_unix_ms = ?2, version = ?3, row = ?4 WHERE id = ?1")?;
    let mut closed = 0;
    while let Some((id, version, row)) = find
        .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?)))
        .optional()?
    {
        let ended = record::decode_open(version, &row)
            .and_then(|call| record::encode_record(&call.interrupted(u64::try_from(at_unix_ms).unwrap_or(0))));
        let (version, row) = match ended {
            Ok(ended) => (record::VERSION, ended),
            Err(why) => {
                counters.unreadable(&id, &why);
                (version, row)
            }
        };
        close.execute((&id, at_unix_ms, version, row))?;
        closed += 1;
    }
    Ok(closed)
}
