//! The one thread that writes: takes whatever waits, commits it together, then answers.
//!
//! One commit costs one fsync however many writes are in it, so under load the writers share it; a
//! lone writer waits for nobody.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::due::Due;
use super::fold::Folding;
use crate::StoreError;
use crate::counters::Counters;

/// At most so many writes share a commit: bounds what one fault can touch.
const BATCH_MAX: usize = 512;

/// What a write did: rows changed, and the answer to whoever asked for it.
pub(super) type Written<T> = Result<(u64, T), StoreError>;

/// One thing to write. It may be done twice without harm: should a group fail, each is done again by itself.
pub(super) trait Job: Send {
    /// Does it, inside a transaction; gives the rows changed.
    fn apply(&mut self, connection: &Connection, counters: &Counters) -> Result<u64, StoreError>;

    /// Tells whoever waits that what was applied last is durable, or that nothing was done.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A job made of a function.
struct Task<T, F> {
    work: F,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// A job and where its answer comes.
pub(super) fn job<T, F>(work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: Fn(&Connection, &Counters) -> Written<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Task { work, done: None, reply }), answer)
}

impl<T: Send, F: Fn(&Connection, &Counters) -> Written<T> + Send> Job for Task<T, F> {
    fn apply(&mut self, connection: &Connection, counters: &Counters) -> Result<u64, StoreError> {
        let (rows, done) = (self.work)(connection, counters)?;
        self.done = Some(done);
        Ok(rows)
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let answer = outcome.and_then(|()| done.ok_or(StoreError::Closed));
        if reply.send(answer).is_err() {
            tracing::debug!("nobody waits for this write any more");
        }
    }
}

/// What the writer of the file's owner does beside.
pub(super) struct Owner {
    pub(super) folding: Folding,
    pub(super) due: Arc<Due>,
}

/// Runs until the last sender is gone and the queue is empty.
pub(super) fn run(
    mut connection: Connection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    owner: Option<&Owner>,
    counters: &Arc<Counters>,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let outcomes = commit_all(&mut connection, &mut batch, counters);
        if let Some(owner) = owner {
            owner.due.look(&connection);
        }
        for (job, outcome) in batch.into_iter().zip(outcomes) {
            counters.note(&outcome);
            job.answer(outcome.map(|_rows| ()));
        }
        if let Some(owner) = owner {
            owner.folding.end_log(&connection);
        }
    }
}

/// All in one commit; when that fails each in its own, so that every waiter hears his own truth.
fn commit_all(
    connection: &mut Connection,
    jobs: &mut [Box<dyn Job>],
    counters: &Counters,
) -> Vec<Result<u64, StoreError>> {
    match commit(connection, jobs, counters) {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) if jobs.len() == 1 => vec![Err(error)],
        Err(_) => jobs
            .iter_mut()
            .map(|job| commit(connection, std::slice::from_mut(job), counters).map(|rows| rows.iter().sum()))
            .collect(),
    }
}

fn commit(connection: &mut Connection, jobs: &mut [Box<dyn Job>], counters: &Counters) -> Result<Vec<u64>, StoreError> {
    // Dropping it rolls back, also when a full disk has rolled back by itself.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = jobs.iter_mut().map(|job| job.apply(&transaction, counters)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    counters.committed();
    Ok(rows)
}
