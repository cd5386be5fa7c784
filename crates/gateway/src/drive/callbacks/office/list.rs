//! The open call-backs as those who work with them see them: first who is being called, then whose turn comes, then who
//! waits for his time.

use std::collections::HashMap;

use call::TenantId;
use desk::{CallbackId, CallbackState, Note, Waiting, Zone};
use store::{CallbackQuery, KeptCallback};
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
        let lines: Vec<&Line> = self.lines.iter().filter(is_asked).collect();
        if lines.is_empty() && !(query.tenant.is_empty() && query.queue.is_empty()) {
            return Err(refusal::REQUEST_INVALID);
        }
        let mut tenants: Vec<&str> = lines.iter().map(|line| line.tenant.as_str()).collect();
        tenants.dedup();
        let (mut open, mut more) = (Vec::new(), false);
        for tenant in tenants {
            let limit = CallbackQuery::LIMIT_MAX;
            let tenant = Some(TenantId(tenant.to_owned()));
            let all = CallbackQuery { limit, tenant, open_only: true, ..CallbackQuery::default() };
            let found = self.home.callbacks(all).await.map_err(away)?;
            more |= found.len() == limit;
            open.extend(found);
        }
        let (mut queues, mut callbacks) = (Vec::new(), Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let own =
                |kept: &&KeptCallback| kept.callback.tenant().0 == line.tenant && kept.callback.queue().0 == line.queue;
            let own: Vec<&KeptCallback> = open.iter().filter(own).collect();
            queues.push(self.queue_view(line, own.len() as u64));
            callbacks.extend(placed(line, &own).into_iter().map(|(turn, kept)| ((turn.0, turn.1, at), kept)));
        }
        callbacks.sort_by_key(|(turn, kept)| (*turn, kept.callback.id()));
        more |= callbacks.len() > query.limit;
        let shown = callbacks.into_iter().take(query.limit).map(|(_, kept)| self.staff_view(kept)).collect();
        let site = lines.first().and_then(|line| line.zone()).or_else(|| Zone::named("UTC").ok());
        let now = site.and_then(|zone| zone.rfc3339(clock::unix_ms())).unwrap_or_default();
        Ok(StaffList { callbacks: shown, more, queues, now })
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

/// Each with its turn: a class, and its place in it.
fn placed<'k>(line: &Line, open: &[&'k KeptCallback]) -> Vec<((u8, u64), &'k KeptCallback)> {
    let mut waiting = Waiting::new(line.config.order);
    for kept in open.iter().filter(|kept| kept.callback.state() == CallbackState::Queued) {
        waiting.place(kept.callback.id(), kept.callback.wish());
    }
    let places: HashMap<CallbackId, u64> = waiting.by_place().zip(0..).collect();
    let turn = |kept: &KeptCallback| match places.get(&kept.callback.id()) {
        Some(place) => (1, *place),
        None => match kept.callback.due_unix_ms() {
            Some(due) => (2, due),
            None => (0, kept.callback.wish().asked_unix_ms),
        },
    };
    open.iter().map(|kept| (turn(kept), *kept)).collect()
}
