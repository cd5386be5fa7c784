//! What a home has written and what failed, read by `health` from any thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::Unreadable;
use crate::{StoreError, StoreHealth};

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows: AtomicU64,
    commits: AtomicU64,
    failed: AtomicU64,
    unreadable: AtomicU64,
    error: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// A write was answered.
    pub(crate) fn note(&self, outcome: &Result<u64, StoreError>) {
        match outcome {
            Ok(rows) => {
                self.rows.fetch_add(*rows, Ordering::Relaxed);
                self.set_error(None);
            }
            Err(error) => self.refused(error),
        }
    }

    /// A write was not done.
    pub(crate) fn refused(&self, error: &StoreError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.set_error(Some(error.to_string()));
    }

    pub(crate) fn unreadable(&self, id: &str, why: &Unreadable) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::error!(id, why = why.0, "a stored row cannot be read");
    }

    pub(crate) fn health(&self, waiting: u64) -> StoreHealth {
        let error = self.error.lock().map_or_else(|_| Some("the writer has failed".to_owned()), |error| error.clone());
        StoreHealth {
            ok: error.is_none(),
            error,
            rows: self.rows.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waiting,
            unreadable: self.unreadable.load(Ordering::Relaxed),
        }
    }

    /// Says a change of health once, not each time.
    fn set_error(&self, now: Option<String>) {
        let Ok(mut error) = self.error.lock() else { return };
        match (error.as_deref(), now.as_deref()) {
            (None, Some(why)) => tracing::error!(why, "the store cannot write"),
            (Some(_), None) => tracing::info!("the store writes again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *error = now;
    }
}
