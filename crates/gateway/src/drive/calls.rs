//! The calls that are up: how an order from outside (shutdown, desk) finds the task of a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use call::{CallId, HangupCause, Party};
use tokio::sync::{Notify, mpsc};

use crate::drive::call::CallInput;

/// The register of live calls. The lock is held for a look-up, never across an await.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    live: Mutex<HashMap<CallId, mpsc::Sender<CallInput>>>,
    changed: Notify,
}

impl Calls {
    fn live(&self) -> MutexGuard<'_, HashMap<CallId, mpsc::Sender<CallInput>>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins. The entry goes with the guard, however the call's task ends.
    pub(crate) fn enter(&self, call: CallId, inbox: mpsc::Sender<CallInput>) -> CallEntry {
        self.live().insert(call, inbox);
        CallEntry { calls: self.clone(), call }
    }

    /// How many are up.
    pub(crate) fn count(&self) -> usize {
        self.live().len()
    }

    /// Says something to a call; false when it is over.
    pub(crate) fn tell(&self, call: &CallId, input: CallInput) -> bool {
        let inbox = self.live().get(call).cloned();
        inbox.is_some_and(|inbox| inbox.try_send(input).is_ok())
    }

    /// Ends every call.
    pub(crate) fn hang_up_all(&self, cause: HangupCause) {
        let inboxes: Vec<_> = self.live().values().cloned().collect();
        for inbox in inboxes {
            // A call whose inbox is full is ending already or stuck; the process ends with it.
            let _told = inbox.try_send(CallInput::HangUp(Party::Gateway, cause));
        }
    }

    /// Waits until no call is up.
    pub(crate) async fn wait_empty(&self) {
        loop {
            let changed = self.inner.changed.notified();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// One call's place in the register.
pub(crate) struct CallEntry {
    calls: Calls,
    call: CallId,
}

impl Drop for CallEntry {
    fn drop(&mut self) {
        self.calls.live().remove(&self.call);
        self.calls.inner.changed.notify_waiters();
    }
}
