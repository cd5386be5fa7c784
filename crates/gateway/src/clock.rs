//! The one clock: every pure room gets its time from here, as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time for deadlines.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time in milliseconds since 1970, for records only.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Wall time in microseconds since 1970, for the ladders.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Both at once, as the call and desk rooms take them.
pub(crate) fn call_now() -> call::Now {
    call::Now { mono: now(), unix_ms: unix_ms() }
}

/// Whether something may be said again: at first, then each `every`. Notes that it is being said.
pub(crate) fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let now = now();
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}
