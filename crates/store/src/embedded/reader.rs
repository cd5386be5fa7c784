//! The thread that reads, on a connection of its own: a long listing never holds up a write.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::counters::Counters;

/// One question, which answers whoever waits for it.
pub(super) type Question = Box<dyn FnOnce(&Connection, &Counters) + Send>;

/// A question and where its answer comes.
pub(super) fn question<T, F>(ask: F) -> (Question, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection, &Counters) -> Result<T, StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let question = move |connection: &Connection, counters: &Counters| {
        if reply.send(ask(connection, counters)).is_err() {
            tracing::debug!("nobody waits for this answer any more");
        }
    };
    (Box::new(question), answer)
}

/// Runs until the last asker is gone.
pub(super) fn run(connection: &Connection, mut questions: mpsc::Receiver<Question>, counters: &Arc<Counters>) {
    while let Some(question) = questions.blocking_recv() {
        question(connection, counters);
    }
}
