//! Drain, then close: calls in progress may finish within the limit, a second signal ends them at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::app::SHUTDOWN;
use crate::drive::calls::Calls;

/// How long calls have to say good-bye once they are told to end.
const GOOD_BYE: Duration = Duration::from_secs(4);

/// Returns at SIGTERM or Ctrl-C.
pub(crate) async fn wait_for_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        warn!("signals cannot be heard; only kill ends this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("interrupted"),
    }
}

/// Lets calls finish for `limit`, then ends them.
pub(crate) async fn drain(calls: &Calls, limit: Duration) {
    let up = calls.count();
    if up > 0 && !limit.is_zero() {
        info!(
            calls = up,
            limit_s = limit.as_secs(),
            "no new calls; those in progress may finish; a second signal ends them now"
        );
        tokio::select! {
            () = calls.wait_empty() => {}
            () = tokio::time::sleep(limit) => warn!(calls = calls.count(), "drain limit reached"),
            () = wait_for_signal() => {}
        }
    }
    calls.hang_up_all(SHUTDOWN);
    if tokio::time::timeout(GOOD_BYE, calls.wait_empty()).await.is_err() {
        warn!(calls = calls.count(), "calls that did not end in time are left; their records will say interrupted");
    }
}

/// From here on a signal ends the process where it stands: somebody has waited long enough.
pub(crate) fn end_at_next_signal() {
    tokio::spawn(async {
        wait_for_signal().await;
        warn!("a second signal: ending at once");
        std::process::exit(130);
    });
}
