//! Visitors who talk on the site: nobody calls them back meanwhile, and what they asked to come as soon as possible has come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call::{CallId, State, TenantId};
use tracing::{debug, info};
use web::refusal::{BOOK_AWAY, IN_CALL};
use web::{CallbackMade, Refusal};

use super::door::away;
use super::{Callbacks, Line};
use crate::drive::desk::{DeskHandle, DeskView};
use crate::observe::metric::{self, Metric};

/// What the book did not take is tried again after this.
const AGAIN: Duration = Duration::from_millis(500);
/// Sessions whose call-backs are still to be closed; while the book is away for so many, the rest is called all the same.
const DUE_MAX: usize = 4_096;

impl Callbacks {
    /// Refuses a visitor who is on the line: his session talks on the site, or a call-back it asked for rings him or is
    /// talked on. Of a number that another session asked for nothing is told (`too_many_requests`, once it is kept).
    pub(super) async fn check_not_in_call(&self, line: &Line, session: &str) -> Result<(), Refusal> {
        if session.is_empty() {
            return Ok(());
        }
        if talks(&line.context.desk.view(), session) {
            return Err(IN_CALL);
        }
        let tenant = TenantId(line.tenant.clone());
        let open = self.home.callbacks_of_session(tenant, session.to_owned()).await.map_err(away)?;
        if open.iter().any(|kept| kept.callback.is_live()) { Err(IN_CALL) } else { Ok(()) }
    }

    /// Somebody answered while this was being kept.
    pub(super) async fn serve_if_talking(&self, line: &Line, session: &str, made: &mut CallbackMade) {
        if !session.is_empty()
            && talks(&line.context.desk.view(), session)
            && self.serve(&line.tenant, session).await.is_ok()
            && let Ok(view) = self.show(&made.view.id, &made.manage).await
        {
            made.view = view;
        }
    }

    /// An agent talks with this session: its call-backs that were to come as soon as possible are closed, whoever holds
    /// them. Another node's hand finds a newer version before it dials, and its clerk when it renews.
    pub(super) async fn serve(&self, tenant: &str, session: &str) -> Result<(), Refusal> {
        let open = self.home.callbacks_of_session(TenantId(tenant.to_owned()), session.to_owned());
        for kept in open.await.map_err(away)? {
            if kept.callback.clone().serve().is_err() {
                continue;
            }
            match self.change(kept, desk::Callback::serve).await {
                Ok(served) => {
                    info!(callback = %served.callback.id(), "not called back: the visitor talks on the site");
                    metric::count_with(Metric::CallbacksEnded, served.callback.state().code());
                    self.messages.tell_state(&served).await;
                }
                Err(refusal) if refusal == BOOK_AWAY => return Err(refusal),
                Err(refusal) => debug!(why = refusal.code, "a call-back is past being served on the site"),
            }
        }
        Ok(())
    }

    /// Watches who talks at one tenant's desk, as long as the desk is there.
    pub(super) async fn watch_talks(self, tenant: String, desk: DeskHandle) {
        let mut view = desk.watch();
        let mut known: BTreeMap<CallId, String> = BTreeMap::new();
        let mut due: BTreeSet<String> = BTreeSet::new();
        loop {
            let now = talking(&view.borrow_and_update());
            let new = now.iter().filter(|(call, _)| !known.contains_key(call)).map(|(_, session)| session.clone());
            due.extend(new.take(DUE_MAX.saturating_sub(due.len())));
            known = now;
            while let Some(session) = due.pop_first() {
                if self.serve(&tenant, &session).await.is_err() {
                    due.insert(session);
                    break;
                }
            }
            let changed = async {
                if due.is_empty() {
                    view.changed().await.is_ok()
                } else {
                    tokio::time::sleep(AGAIN).await;
                    true
                }
            };
            if !changed.await {
                return;
            }
        }
    }
}

/// The calls in which a visitor and an agent talk, with his session.
fn talking(view: &DeskView) -> BTreeMap<CallId, String> {
    let live = view.live.iter().filter(|card| card.is_talk && matches!(card.state, State::Bridged | State::Held));
    let known = live.filter(|card| !card.tags.session.is_empty());
    known.map(|card| (card.call, card.tags.session.clone())).collect()
}

fn talks(view: &DeskView, session: &str) -> bool {
    talking(view).values().any(|talking| talking == session)
}

#[cfg(test)]
mod tests;
