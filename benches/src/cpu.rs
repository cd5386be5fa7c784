//! CPU time, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// CPU this thread has used. The kernel brings it up to date at each tick, so that it is some milliseconds old.
///
/// # Errors
/// Where the system has no `/proc/thread-self/schedstat`.
pub fn thread_cpu() -> Result<Duration, String> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").map_err(|error| format!("schedstat: {error}"))?;
    let ns = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(ns))
}
