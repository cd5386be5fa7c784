//! The book as those who work with it reach it: listed in the order of service, made for a customer, changed, closed.
//!
//! Every change goes the way a visitor's own goes: from the newest version or not at all, told to his page, by mail and to
//! the webhook. What is more is written on the call-back itself: who did it, and why.

use call::{CallTags, QueueId, TagsDraft, TenantId};
use desk::{
    Callback, CallbackId, CallbackState, CancelledBy, Consent, Deed, Note, OutOfTurn, Purpose, Wanted, Wish, Zone,
};
use rand::Rng;
use store::{Added, Change, Changed, KeptCallback, NewCallback};
use tracing::info;
use web::refusal::{self, NOT_FOUND};
use web::{CallbackMade, Refusal, Staff, StaffAct, StaffAsk, StaffView};

use super::door::{away, number_refusal, when_refusal};
use super::{Callbacks, Line, Word};
use crate::clock;
use crate::config::checked::Event;
use crate::observe::metric::{self, Metric};

mod list;
mod queues;
#[cfg(test)]
mod tests;

/// Somebody who changes a row meets a node that changes the same: so often it is read and tried again.
const TRIES: usize = 5;
/// No moment further away than this is promised.
const AHEAD_MAX_MS: u64 = 400 * 86_400_000;
/// The consent of somebody who did not tick a box himself: what he said stands in the first note.
const CONSENT_TEXT: &str = "told-to-staff";

/// Somebody who works with the book, and what of it is his.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) staff: Staff,
    /// The tenants he serves.
    pub(crate) tenants: Vec<String>,
}

impl Worker {
    fn may(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|own| own == tenant)
    }

    fn cancels_as(&self) -> CancelledBy {
        match self.staff {
            Staff::Admin => CancelledBy::Admin,
            Staff::Agent(_) => CancelledBy::Agent,
        }
    }

    fn note(&self, deed: Deed, text: &str) -> Note {
        Note { at_unix_ms: clock::unix_ms(), by: self.staff.name().to_owned(), deed, text: text.to_owned() }
    }
}

/// A moment that somebody chose for a customer.
#[derive(Clone)]
struct Moment {
    unix_ms: u64,
    /// `None`: as soon as possible.
    wanted: Option<Wanted>,
}

/// What is to be changed, judged.
#[derive(Default)]
struct Edit {
    moment: Option<Moment>,
    queue: Option<QueueId>,
    /// Somebody, or nobody in particular.
    owner: Option<Option<String>>,
    priority: Option<u8>,
}

impl Edit {
    fn make(&self, callback: &mut Callback) -> Result<(), OutOfTurn> {
        if let Some(queue) = &self.queue {
            callback.hand_to(queue.clone())?;
        }
        if let Some(owner) = &self.owner {
            callback.assign(owner.clone())?;
        }
        if let Some(priority) = self.priority {
            callback.rank(priority)?;
        }
        if let Some(Moment { unix_ms, wanted }) = &self.moment {
            callback.reschedule(*unix_ms, wanted.clone())?;
        }
        Ok(())
    }

    fn deeds(&self) -> Vec<Deed> {
        let all = [
            self.queue.as_ref().map(|_| Deed::Handed),
            self.owner.as_ref().map(|_| Deed::Assigned),
            self.priority.map(|_| Deed::Ranked),
            self.moment.as_ref().map(|_| Deed::Moved),
        ];
        all.into_iter().flatten().collect()
    }
}

impl Callbacks {
    /// One call-back.
    pub(crate) async fn staff_show(&self, worker: &Worker, id: &str) -> Result<StaffView, Refusal> {
        Ok(self.staff_view(&self.found(worker, id).await?))
    }

    /// One that is his to see; what is not is not there.
    async fn found(&self, worker: &Worker, id: &str) -> Result<KeptCallback, Refusal> {
        let id: CallbackId = id.parse().map_err(|_| NOT_FOUND)?;
        let kept = self.home.callback(id).await.map_err(away)?;
        kept.filter(|kept| worker.may(&kept.callback.tenant().0)).ok_or(NOT_FOUND)
    }

    /// Makes a call-back for a customer. When it answers, the promise is stored.
    pub(crate) async fn staff_make(&self, worker: &Worker, ask: StaffAsk) -> Result<CallbackMade, Refusal> {
        let made = self.promise_for(worker, ask).await;
        match &made {
            Ok(made) if !made.again => metric::count(Metric::CallbacksAsked),
            Ok(_) => {}
            Err(refusal) => metric::count_with(Metric::CallbacksRefused, refusal.code),
        }
        made
    }

    async fn promise_for(&self, worker: &Worker, ask: StaffAsk) -> Result<CallbackMade, Refusal> {
        let line = Some(&ask.tenant).filter(|tenant| worker.may(tenant));
        let line = line.and_then(|tenant| self.line(tenant, &ask.queue)).ok_or(refusal::QUEUE_UNKNOWN)?;
        let number = line.config.numbers.judge(&ask.number, ask.country.as_deref()).map_err(number_refusal)?;
        if ask.consent_note.trim().is_empty() {
            return Err(refusal::CONSENT_MISSING);
        }
        let purpose = Purpose::from_code(&ask.purpose).ok_or(refusal::REQUEST_INVALID)?;
        let owner = ask.agent.clone().map(|agent| serves(line, agent)).transpose()?;
        let email = self.email(ask.email.as_deref())?;
        if let Some(key) = &ask.request_key {
            let tenant = TenantId(ask.tenant.clone());
            let same = self.home.requested_callback(tenant, key.clone()).await.map_err(away)?;
            if let Some(kept) = same {
                return self.same(kept, number.e164(), "");
            }
        }
        let now = clock::unix_ms();
        let zone = Zone::named(&ask.tz).map_or_else(|_| String::new(), |zone| zone.name().to_owned());
        let moment = moment(line, &ask.when, &zone, purpose)?;
        self.check_budgets(line, number.e164(), now).await?;
        self.check_shield(line, number.e164(), "", (now, moment.unix_ms)).await?;
        let tags = CallTags::new(TagsDraft {
            tag: rand::rng().random(),
            tenant: TenantId(ask.tenant),
            queue: QueueId(ask.queue),
            session: String::new(),
            page_url: String::new(),
            page_title: String::new(),
            referrer: None,
            language: ask.lang,
            made_at_unix_ms: now,
        });
        let by = worker.staff.name().to_owned();
        let wish = Wish {
            number: number.e164().to_owned(),
            promised_unix_ms: moment.unix_ms,
            wanted: moment.wanted,
            zone,
            consent: Some(Consent { text_id: CONSENT_TEXT.to_owned(), version: by, at_unix_ms: now }),
            email,
            asked_unix_ms: now,
            priority: ask.priority.min(desk::PRIORITY_MAX),
            told: None,
            customer: None,
            tags,
        };
        let mut callback = Callback::new(CallbackId::new(rand::rng().random()), wish).for_purpose(purpose);
        callback.assign(owner).map_err(|_| refusal::BUG)?;
        callback.note(worker.note(Deed::Created, &ask.consent_note));
        if !ask.note.trim().is_empty() {
            callback.note(worker.note(Deed::Noted, &ask.note));
        }
        let new = NewCallback { callback, manage: rand::rng().random(), request_key: ask.request_key, seat: None };
        self.keep(worker, new).await
    }

    async fn keep(&self, worker: &Worker, new: NewCallback) -> Result<CallbackMade, Refusal> {
        let number = new.callback.wish().number.clone();
        // Before it is kept, as for a visitor's own.
        let promised = KeptCallback { callback: new.callback.clone(), manage: new.manage, version: 1, lease: None };
        self.messages.tell(&promised, Event::Scheduled).await;
        match self.home.add_callback(new).await.map_err(away)? {
            Added::New(kept) => {
                info!(callback = %kept.callback.id(), by = worker.staff.name(), "a call-back is made for a customer");
                self.look();
                Ok(self.made(&kept, false))
            }
            Added::Same(kept) => self.same(kept, &number, ""),
            Added::Open(_) => Err(refusal::DUPLICATE_OPEN),
            Added::Full => Err(refusal::SLOT_GONE),
        }
    }

    /// Does something to a call-back, and writes down who did and why.
    pub(crate) async fn staff_act(
        &self,
        worker: &Worker,
        id: &str,
        act: StaffAct,
        note: &str,
    ) -> Result<StaffView, Refusal> {
        let kept = self.found(worker, id).await?;
        let done = match act {
            StaffAct::Edit { when, tz, queue, agent, priority } => {
                let edit = self.judged(&kept, (when, &tz), queue, agent, priority)?;
                self.edit(worker, kept, edit, note).await?
            }
            StaffAct::Cancel => self.cancel_as(worker, kept, note).await?,
            StaffAct::Accept => {
                let line = self.line_of(&kept)?;
                let owner = match &worker.staff {
                    Staff::Agent(extension) => Some(serves(line, extension.clone())?),
                    Staff::Admin => return Err(refusal::AGENT_UNKNOWN),
                };
                self.edit(worker, kept, Edit { owner: Some(owner), ..Edit::default() }, note).await?
            }
            StaffAct::Decline => self.decline(worker, kept, note).await?,
            StaffAct::Snooze(minutes) => {
                let line = self.line_of(&kept)?;
                let at = later(&kept.callback, minutes);
                if line.allowed(&kept.callback)(at) != Some(at) {
                    return Err(refusal::HOURS_FORBID);
                }
                let edit = Edit { moment: Some(told_at(line, &kept.callback, at)), ..Edit::default() };
                self.edit(worker, kept, edit, note).await?
            }
            StaffAct::Complete(disposition) => self.complete(worker, kept, &disposition, note).await?,
        };
        Ok(self.staff_view(&done))
    }

    fn line_of(&self, kept: &KeptCallback) -> Result<&Line, Refusal> {
        self.line(&kept.callback.tenant().0, &kept.callback.queue().0).ok_or(refusal::QUEUE_UNKNOWN)
    }

    /// What may be changed, and to what.
    fn judged(
        &self,
        kept: &KeptCallback,
        (when, tz): (Option<String>, &str),
        queue: Option<String>,
        agent: Option<String>,
        priority: Option<u8>,
    ) -> Result<Edit, Refusal> {
        let callback = &kept.callback;
        let queue = queue.filter(|queue| *queue != callback.queue().0);
        let line = match &queue {
            Some(queue) => self.line(&callback.tenant().0, queue).ok_or(refusal::QUEUE_UNKNOWN)?,
            None => self.line_of(kept)?,
        };
        if queue.is_some() {
            // What the new queue does not call it must not be given.
            line.config.numbers.judge_again(&callback.wish().number).map_err(number_refusal)?;
        }
        let owner = match agent {
            None => None,
            Some(agent) if agent.is_empty() => Some(None),
            Some(agent) => Some(Some(serves(line, agent)?)),
        };
        let zone = if tz.is_empty() { callback.wish().zone.as_str() } else { tz };
        let moment = when.map(|when| moment(line, &when, zone, callback.care().purpose)).transpose()?;
        Ok(Edit { moment, queue: queue.map(QueueId), owner, priority })
    }

    async fn edit(&self, worker: &Worker, kept: KeptCallback, edit: Edit, note: &str) -> Result<KeptCallback, Refusal> {
        let mut deeds = edit.deeds();
        if deeds.is_empty() {
            if note.trim().is_empty() {
                return Ok(kept);
            }
            deeds.push(Deed::Noted);
        }
        let done = self
            .change_as(kept, |callback| {
                edit.make(callback)?;
                for (at, deed) in deeds.iter().enumerate() {
                    callback.note(worker.note(*deed, if at == 0 { note } else { "" }));
                }
                Ok(())
            })
            .await?;
        info!(callback = %done.callback.id(), by = worker.staff.name(), ?deeds, "a call-back is changed");
        if edit.moment.is_some() {
            self.messages.tell(&done, Event::Moved).await;
        }
        Ok(done)
    }

    /// Called off by the company; a second time it changes nothing.
    async fn cancel_as(&self, worker: &Worker, kept: KeptCallback, note: &str) -> Result<KeptCallback, Refusal> {
        if matches!(kept.callback.state(), CallbackState::Cancelled(_)) {
            return Ok(kept);
        }
        let cancelled = self
            .change_as(kept, |callback| {
                callback.cancel(worker.cancels_as())?;
                callback.note(worker.note(Deed::Cancelled, note));
                Ok(())
            })
            .await?;
        self.ended(worker, &cancelled).await;
        Ok(cancelled)
    }

    /// The agent who is asked will not; or one gives back what was his.
    async fn decline(&self, worker: &Worker, kept: KeptCallback, note: &str) -> Result<KeptCallback, Refusal> {
        let own = |agent: Option<&String>| agent.is_some_and(|agent| agent == worker.staff.name());
        if kept.callback.state() == CallbackState::Offered && own(kept.callback.parts().agent.as_ref()) {
            let declined = Word::Declined(kept.callback.id(), worker.staff.name().to_owned());
            let _behind = self.words.try_send(declined);
            return self.edit(worker, kept, Edit::default(), note).await;
        }
        if !own(kept.callback.care().owner.as_ref()) {
            return Err(refusal::GONE);
        }
        self.edit(worker, kept, Edit { owner: Some(None), ..Edit::default() }, note).await
    }

    async fn complete(
        &self,
        worker: &Worker,
        kept: KeptCallback,
        disposition: &str,
        note: &str,
    ) -> Result<KeptCallback, Refusal> {
        if !desk::is_disposition(disposition) {
            return Err(refusal::REQUEST_INVALID);
        }
        let was_over = kept.callback.state().is_over();
        let done = self
            .change_as(kept, |callback| {
                callback.complete(disposition)?;
                callback.note(worker.note(Deed::Completed, note));
                Ok(())
            })
            .await?;
        if done.callback.state().is_over() && !was_over {
            self.ended(worker, &done).await;
        }
        Ok(done)
    }

    async fn ended(&self, worker: &Worker, kept: &KeptCallback) {
        let state = kept.callback.state().code();
        info!(callback = %kept.callback.id(), by = worker.staff.name(), state, "a call-back is ended by staff");
        metric::count_with(Metric::CallbacksEnded, state);
        self.messages.tell_state(kept).await;
    }

    /// Changes it as it stands now. Whoever is being rung for it stays its holder's; what only waits is put in its place
    /// anew.
    async fn change_as(
        &self,
        mut kept: KeptCallback,
        edit: impl Fn(&mut Callback) -> Result<(), OutOfTurn>,
    ) -> Result<KeptCallback, Refusal> {
        for _ in 0..TRIES {
            let mut callback = kept.callback.clone();
            edit(&mut callback).map_err(|_| refusal::GONE)?;
            let change = Change { callback, version: kept.version, held: !kept.callback.waits() };
            match self.home.change_callback(change).await.map_err(away)? {
                Changed::Done(kept) => {
                    self.touched(kept.callback.id());
                    return Ok(kept);
                }
                Changed::Stale(newer) => kept = newer,
                Changed::Missing => return Err(NOT_FOUND),
            }
        }
        Err(refusal::GONE)
    }
}

/// An agent of this queue.
fn serves(line: &Line, agent: String) -> Result<String, Refusal> {
    if line.agents.contains(&agent) { Ok(agent) } else { Err(refusal::AGENT_UNKNOWN) }
}

/// A moment at which this person may be called. Whoever chooses for a customer is bound to no grid of slots and to no
/// count of seats; but nobody is called at night or while the site is closed.
fn moment(line: &Line, text: &str, zone: &str, purpose: Purpose) -> Result<Moment, Refusal> {
    let now = clock::unix_ms();
    let allowed = line.allowed_for(zone, purpose);
    if text == "asap" {
        return match allowed(now) {
            Some(at) if at <= now => Ok(Moment { unix_ms: now, wanted: None }),
            _ => Err(refusal::CLOSED),
        };
    }
    let site = line.zone().map(|zone| zone.name().to_owned());
    let zone = if zone.is_empty() { site.as_deref() } else { Some(zone) };
    let wanted = Wanted::parse(text, zone, now).map_err(when_refusal)?;
    let at = wanted.unix_ms;
    if at < now {
        return Err(refusal::SLOT_PAST);
    }
    if at > now.saturating_add(AHEAD_MAX_MS) || allowed(at) != Some(at) {
        return Err(refusal::HOURS_FORBID);
    }
    Ok(Moment { unix_ms: at, wanted: Some(wanted) })
}

/// So many minutes after its moment, or after now if that has come.
fn later(callback: &Callback, minutes: u32) -> u64 {
    let now = clock::unix_ms();
    let due = callback.due_unix_ms().unwrap_or(now);
    due.max(now).saturating_add(u64::from(minutes) * 60_000)
}

/// A moment as this customer reads it.
fn told_at(line: &Line, callback: &Callback, unix_ms: u64) -> Moment {
    let zone = Zone::named(&callback.wish().zone).ok().or_else(|| line.zone());
    Moment { unix_ms, wanted: zone.and_then(|zone| Wanted::at(unix_ms, &zone)) }
}
