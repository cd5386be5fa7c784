//! The two clocks a call needs: one that never jumps, and the one people read.

use std::time::Instant;

/// The present, as told by whoever drives the room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// For every deadline and duration; no clock step moves it.
    pub mono: Instant,
    /// For what is shown and stored: milliseconds since 1970 in UTC.
    pub unix_ms: u64,
}
