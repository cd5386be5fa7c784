//! Agents' pages: which are open, which answer in the browser, and how a call rings there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use web::backend::{AgentUpdate, CallCard, CardState};

use crate::observe::metric::{self, Metric};

/// Pages one agent may have open at once.
const PAGES_MAX: usize = 4;

/// What an agent's page does with a call that rings or talks there.
#[derive(Debug)]
pub(crate) enum ConsoleAction {
    /// This page takes calls now: what rings there rings here too.
    Ready { updates: mpsc::Sender<AgentUpdate> },
    /// Take it, with this offer; the answer goes to that page.
    Answer { offer: String, updates: mpsc::Sender<AgentUpdate> },
    /// Not me.
    Decline,
    /// Hang up.
    Bye,
    /// The page has closed or lost its socket.
    Gone,
}

/// One open page.
struct Page {
    id: u64,
    updates: mpsc::Sender<AgentUpdate>,
    ready: bool,
}

/// All open pages by extension. The lock is held for a look-up, never across an await.
#[derive(Clone, Default)]
pub(crate) struct Consoles {
    pages: Arc<Mutex<HashMap<String, Vec<Page>>>>,
    next: Arc<AtomicU64>,
}

impl Consoles {
    fn pages(&self) -> MutexGuard<'_, HashMap<String, Vec<Page>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page opens; `None` when this agent has too many.
    pub(crate) fn open(&self, extension: &str, updates: mpsc::Sender<AgentUpdate>) -> Option<u64> {
        let mut pages = self.pages();
        let open = pages.entry(extension.to_owned()).or_default();
        if open.len() >= PAGES_MAX {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        open.push(Page { id, updates, ready: false });
        Some(id)
    }

    /// A page closes. Says whether another page of the agent still answers.
    pub(crate) fn close(&self, extension: &str, id: u64) -> bool {
        let mut pages = self.pages();
        let Some(open) = pages.get_mut(extension) else { return false };
        open.retain(|page| page.id != id);
        let ready = open.iter().any(|page| page.ready);
        if open.is_empty() {
            pages.remove(extension);
        }
        ready
    }

    /// The page takes calls, or no longer. Says whether any page of the agent does now.
    pub(crate) fn ready(&self, extension: &str, id: u64, on: bool) -> bool {
        let mut pages = self.pages();
        let Some(open) = pages.get_mut(extension) else { return false };
        for page in open.iter_mut().filter(|page| page.id == id) {
            page.ready = on;
        }
        open.iter().any(|page| page.ready)
    }

    /// Rings at every page of the agent that takes calls; false when there is none.
    pub(crate) fn ring(&self, extension: &str, card: &CallCard) -> bool {
        self.tell(extension, true, &AgentUpdate::Ring(card.clone()))
    }

    /// Says something to all pages of the agent.
    pub(crate) fn tell_all(&self, extension: &str, update: &AgentUpdate) -> bool {
        self.tell(extension, false, update)
    }

    fn tell(&self, extension: &str, ready_only: bool, update: &AgentUpdate) -> bool {
        let mut told = false;
        for page in self.pages().get(extension).into_iter().flatten().filter(|page| page.ready || !ready_only) {
            if page.updates.try_send(update.clone()).is_ok() {
                told = true;
            } else {
                metric::count(Metric::ConsoleUpdatesLost);
            }
        }
        told
    }
}

/// A desk's card in the edge's words.
pub(crate) fn card(card: &desk::CallCard, name: Option<String>) -> CallCard {
    CallCard {
        call: card.call.to_string(),
        state: card_state(card.state),
        tenant: card.tags.tenant.0.clone(),
        queue: card.tags.queue.0.clone(),
        page_url: card.tags.page_url.clone(),
        page_title: card.tags.page_title.clone(),
        referrer: card.tags.referrer.clone(),
        session: card.tags.session.clone(),
        lang: card.tags.language.clone(),
        since_unix_ms: card.since_unix_ms,
        agent: name.or_else(|| card.agent.clone()),
    }
}

/// The card of a call that rings at an agent's page now.
pub(crate) fn ringing_card(call: call::CallId, tags: &call::CallTags, now_unix_ms: u64) -> CallCard {
    CallCard {
        call: call.to_string(),
        state: CardState::Ringing,
        tenant: tags.tenant.0.clone(),
        queue: tags.queue.0.clone(),
        page_url: tags.page_url.clone(),
        page_title: tags.page_title.clone(),
        referrer: tags.referrer.clone(),
        session: tags.session.clone(),
        lang: tags.language.clone(),
        since_unix_ms: now_unix_ms,
        agent: None,
    }
}

/// A call's state in the words of the page.
pub(crate) fn card_state(state: call::State) -> CardState {
    match state {
        call::State::New | call::State::Opening => CardState::Connecting,
        call::State::Ringing | call::State::RingingFirst | call::State::AskingFirst | call::State::RingingSecond => {
            CardState::Ringing
        }
        call::State::Bridged | call::State::Transferring => CardState::Talking,
        call::State::Held => CardState::Held,
        call::State::Ending | call::State::Ended => CardState::Ending,
    }
}
