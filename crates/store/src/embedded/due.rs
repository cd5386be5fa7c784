//! When the next call-back must be looked at, known without asking the file: the writer looks after every commit, before it
//! answers. Nobody but the owner of the file changes call-backs, so that the moment is that of what was last answered.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::callbacks;

/// The file could not be asked: whoever wants to know asks it himself.
const UNKNOWN: u64 = u64::MAX;
/// There is none. No moment of the file is as late as these two: its integers are signed.
const NONE: u64 = u64::MAX - 1;

/// The moment, for any thread.
#[derive(Debug)]
pub(super) struct Due(AtomicU64);

impl Due {
    pub(super) const fn unknown() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }

    /// Looks what it is now: one step down an index.
    pub(super) fn look(&self, connection: &Connection) {
        let at = callbacks::next(connection).map_or(UNKNOWN, |next| next.unwrap_or(NONE));
        self.0.store(at, Ordering::Release);
    }

    /// The moment, if there is one; nothing when it is not known.
    pub(super) fn known(&self) -> Option<Option<u64>> {
        match self.0.load(Ordering::Acquire) {
            UNKNOWN => None,
            NONE => Some(None),
            at => Some(Some(at)),
        }
    }
}
