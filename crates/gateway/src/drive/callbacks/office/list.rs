//! The open call-backs as those who work with them see them: first who is being called, then whose turn comes, then who
//! waits for his time.

use std::collections::HashMap;
use std::fmt;

use call::TenantId;
use desk::{CallbackId, CallbackState, Note, Waiting, Zone};
use store::{CallbackQuery, KeptCallback, StoreError};
use web::{AgentName, AttemptView, NoteView, QueueView, Refusal, StaffList, StaffQuery, StaffView, refusal};

use super::super::door::away;
use super::super::{Callbacks, Line};
use super::Worker;
use crate::clock;

impl Callbacks {
    /// The open call-backs that are his to see.
    pub(crate) async fn staff_list(&self, worker: &Worker, query: &StaffQuery) -> Result<StaffList, Refusal> {
        let is_asked = |line: &&Line| {
            worker.may(&line.tenant)
                && (query.tenant.is_empty() || line.tenant == query.tenant)
                && (query.queue.is_empty() || line.queue == query.queue)
        };
        let lines: Vec<&Line> = self.lines().filter(is_asked).collect();
        if lines.is_empty() && !(query.tenant.is_empty() && query.queue.is_empty()) {
            return Err(refusal::REQUEST_INVALID);
        }
        let mut tenants: Vec<&str> = lines.iter().map(|line| line.tenant.as_str()).collect();
        tenants.dedup();
        let from = match query.from.as_str() {
            "" => None,
            text => Some(Turn::read(text).ok_or(refusal::REQUEST_INVALID)?),
        };
        let mut open = Vec::new();
        for tenant in tenants {
            self.read_open(tenant, &mut open).await.map_err(away)?;
        }
        let (mut queues, mut callbacks) = (Vec::new(), Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let own =
                |kept: &&KeptCallback| kept.callback.tenant().0 == line.tenant && kept.callback.queue().0 == line.queue;
            let own: Vec<&KeptCallback> = open.iter().filter(own).collect();
            queues.push(self.queue_view(line, own.len() as u64));
            callbacks.extend(placed(line, at, &own));
        }
        callbacks.retain(|(turn, _)| from.is_none_or(|from| from < *turn));
        callbacks.sort_by_key(|(turn, _)| *turn);
        let more = callbacks.len() > query.limit;
        callbacks.truncate(query.limit);
        let next = callbacks.last().filter(|_| more).map(|(turn, _)| turn.to_string());
        let shown = callbacks.into_iter().map(|(_, kept)| self.staff_view(kept)).collect();
        let site = lines.first().and_then(|line| line.zone()).or_else(|| Zone::named("UTC").ok());
        let now = site.and_then(|zone| zone.rfc3339(clock::unix_ms())).unwrap_or_default();
        Ok(StaffList { callbacks: shown, more, next, queues, now })
    }

    /// All that are open, page by page: whose turn comes when is known only of all together.
    async fn read_open(&self, tenant: &str, open: &mut Vec<KeptCallback>) -> Result<(), StoreError> {
        let mut before: Option<(u64, CallbackId)> = None;
        loop {
            let query = CallbackQuery {
                limit: PAGE,
                tenant: Some(TenantId(tenant.to_owned())),
                open_only: true,
                before_unix_ms: before.map(|(asked, _)| asked.saturating_add(1)),
                ..CallbackQuery::default()
            };
            let found = self.home.callbacks(query).await?;
            let place = |kept: &KeptCallback| (kept.callback.wish().asked_unix_ms, kept.callback.id());
            let last = found.last().map(place).filter(|_| found.len() == PAGE);
            let earlier = found.into_iter().filter(|kept| before.is_none_or(|before| place(kept) < before));
            let count = open.len();
            open.extend(earlier);
            // A whole page of one and the same instant cannot be gone past.
            let (true, Some(last)) = (open.len() > count, last) else { return Ok(()) };
            before = Some(last);
        }
    }

    fn queue_view(&self, line: &Line, open: u64) -> QueueView {
        let pause = self.pause_of(line);
        let name = |extension: &String| AgentName {
            extension: extension.clone(),
            name: line.context.desk.agent_name(extension).unwrap_or_default(),
        };
        QueueView {
            tenant: line.tenant.clone(),
            id: line.queue.clone(),
            paused: pause.is_some(),
            paused_note: pause.map(|pause| format!("{}: {}", pause.by, pause.note)),
            agents: line.agents.iter().map(name).collect(),
            open,
        }
    }

    /// One as those who work with it see it. Times are the site's.
    pub(super) fn staff_view(&self, kept: &KeptCallback) -> StaffView {
        let callback = &kept.callback;
        let (wish, care, state) = (callback.wish(), callback.care(), callback.state());
        let line = self.line(&callback.tenant().0, &callback.queue().0);
        let zone = line.and_then(Line::zone).or_else(|| Zone::named("UTC").ok());
        let told = |at: u64| zone.as_ref().and_then(|zone| zone.rfc3339(at)).unwrap_or_default();
        let note = |note: &Note| NoteView {
            at: told(note.at_unix_ms),
            by: note.by.clone(),
            deed: note.deed.code(),
            text: note.text.clone(),
        };
        let attempt = |attempt: &desk::Attempt| AttemptView {
            at: told(attempt.at_unix_ms),
            outcome: attempt.outcome.map(desk::Outcome::code),
        };
        let number = self.number(kept).map(|number| number.international().to_owned());
        StaffView {
            id: callback.id().to_string(),
            tenant: callback.tenant().0.clone(),
            queue: callback.queue().0.clone(),
            state: state.code(),
            detail: state.detail(),
            number: number.unwrap_or_else(|| wish.number.clone()),
            asap: wish.wanted.is_none(),
            asked_at: told(wish.asked_unix_ms),
            promised_at: told(wish.promised_unix_ms),
            due_at: callback.due_unix_ms().map(told),
            zone: zone.as_ref().map(|zone| zone.name().to_owned()).unwrap_or_default(),
            tz: wish.zone.clone(),
            lang: wish.tags.language.clone(),
            priority: wish.priority,
            customer: wish.customer.clone(),
            purpose: care.purpose.code(),
            owner: care.owner.clone(),
            agent: callback.parts().agent.clone(),
            disposition: care.disposition.clone(),
            page_url: wish.tags.page_url.clone(),
            page_title: wish.tags.page_title.clone(),
            attempts: callback.attempts().iter().map(attempt).collect(),
            notes: care.notes.iter().map(note).collect(),
            can_cancel: callback.clone().cancel(desk::CancelledBy::Admin).is_ok(),
            can_change: callback.waits(),
            can_complete: callback.clone().complete("-").is_ok(),
            sequence: kept.version,
        }
    }
}

/// Rows read at once.
const PAGE: usize = CallbackQuery::LIMIT_MAX;

/// Where one stands in the list; of two nodes and of two moments the same while its own row is the same, so that a page goes
/// on where the one before it ended, whoever has left meanwhile.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Turn {
    /// Being called; waiting for their turn; waiting for their time.
    class: u8,
    /// Its place in the class.
    place: u64,
    /// Which queue.
    line: usize,
    id: CallbackId,
}

impl Turn {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = parts.next()?.parse().ok()?;
        let place = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let id = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { class, place, line, id })
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.class, self.place, self.line, self.id)
    }
}

/// Each with its turn.
fn placed<'k>(line: &Line, at: usize, open: &[&'k KeptCallback]) -> Vec<(Turn, &'k KeptCallback)> {
    let mut waiting = Waiting::new(line.config.order);
    for kept in open.iter().filter(|kept| kept.callback.state() == CallbackState::Queued) {
        waiting.place(kept.callback.id(), kept.callback.wish());
    }
    let places: HashMap<CallbackId, u64> = waiting.ranked().map(|(rank, id)| (id, rank)).collect();
    let turn = |kept: &KeptCallback| {
        let id = kept.callback.id();
        let (class, place) = match places.get(&id) {
            Some(place) => (1, *place),
            None => match kept.callback.due_unix_ms() {
                Some(due) => (2, due),
                None => (0, kept.callback.wish().asked_unix_ms),
            },
        };
        Turn { class, place, line: at, id }
    };
    open.iter().map(|kept| (turn(kept), *kept)).collect()
}
