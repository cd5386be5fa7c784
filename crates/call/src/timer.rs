//! The deadlines of a call, by name.

/// Why a call asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// The first leg's sound must be up by now (`media_setup_limit`).
    MediaSetup,
    /// This candidate has rung long enough (`ring_limit`).
    Ring,
    /// Whoever is to take a call-back by a key has had time enough (`key_limit`).
    Key,
    /// A leg's sound has been away long enough (`media_lost_grace`).
    MediaLost,
    /// The longest talk is reached (`max_duration`).
    MaxDuration,
    /// The legs had time enough to end (`end_limit`; 64 × T1 of RFC 3261 §17.1.1.1 by default).
    EndLimit,
}
