//! The book as visitors reach it: asked for, shown, moved, called off; and the slots they choose from.

use std::time::Duration;

use call::{CallTags, TagsDraft, TenantId};
use desk::{
    Callback, CallbackId, CallbackState, CancelledBy, Consent, Email, NumberRefusal, OutOfTurn, SlotRefusal, Wanted,
    WhenError, Wish, Zone,
};
use rand::Rng;
use store::{
    Added, Change, Changed, HoldId, KeptCallback, Moved, NewCallback, SeatClaim, SeatQuery, StoreError, SuppressedBy,
};
use tokio::sync::broadcast;
use tracing::{error, info};
use web::refusal::{self, NOT_FOUND};
use web::{
    AttemptView, CallbackAsk, CallbackMade, CallbackMove, CallbackOffer, CallbackView, Refusal, SessionInfo, SlotView,
    SlotsAsk, SlotsView,
};

use super::clerk::ms;
use super::seats::HOLD;
use super::{Callbacks, Line, forecast};
use crate::config::checked::Event;
use crate::observe::metric::{self, Metric};
use crate::{clock, customer_token};

const DAY_MS: u64 = 86_400_000;
/// Somebody who moves or calls off meets a node that changes the same row: so often it is read and tried again.
const TRIES: usize = 5;

/// When a visitor wants to be called.
enum When {
    Asap,
    At(Wanted),
}

impl Callbacks {
    /// What a queue offers besides talking.
    pub(crate) fn offer(&self, tenant: &str, queue: &str) -> CallbackOffer {
        let Some(line) = self.line(tenant, queue) else { return CallbackOffer::default() };
        let now = clock::unix_ms();
        let stopped = self.shield.stopped_until(line, now).is_some();
        let is_full = self.is_full(line);
        let no_asap = self.no_asap(line).filter(|_| !stopped && line.config.slots.may_ask_now(now));
        let callback_now = line.config.slots.may_ask_now(now) && !stopped && no_asap.is_none() && !is_full;
        let opens_at = line
            .hours
            .as_ref()
            .filter(|_| !callback_now && !stopped && no_asap.is_none() && !is_full)
            .and_then(|hours| hours.next_opening(now).and_then(|at| hours.zone().rfc3339(at)));
        let wait = callback_now.then(|| self.wait_now(line)).flatten().map(forecast::shown);
        CallbackOffer {
            callback: !is_full,
            callback_now,
            callback_reason: no_asap.map(|refusal| refusal.code),
            opens_at,
            wait,
            email: self.messages.are_mailed(),
        }
    }

    /// The slots a visitor may choose from.
    pub(crate) async fn slots(&self, ask: SlotsAsk) -> Result<SlotsView, Refusal> {
        let line = self.line(&ask.tenant, &ask.queue).ok_or(NOT_FOUND)?;
        let site = line.hours.as_ref().map(|hours| hours.zone().clone());
        let site = site.map_or_else(|| zone("UTC"), Ok)?;
        let told_in = if ask.tz.is_empty() { site.clone() } else { zone(&ask.tz)? };
        let now = clock::unix_ms();
        let moment = |text: &str, otherwise: u64| {
            if text.is_empty() {
                Ok(otherwise)
            } else {
                Wanted::parse(text, Some(told_in.name()), 0).map(|at| at.unix_ms)
            }
        };
        let from = moment(&ask.from, now).map_err(when_refusal)?.max(now);
        let to = moment(&ask.to, u64::MAX).map_err(when_refusal)?;
        let taken = self.taken(line, (from, from.saturating_add(desk::Slots::LIST_DAYS * DAY_MS)), &ask.hold).await?;
        let page = line.config.slots.list(from, to, now, &taken);
        let told = |at: u64| told_in.rfc3339(at).unwrap_or_default();
        let slot = |slot: desk::Slot| SlotView {
            start: told(slot.start_ms),
            end: told(slot.end_ms),
            seats_left: slot.seats_left,
        };
        Ok(SlotsView {
            zone: site.name().to_owned(),
            now: told(now),
            slots: page.slots.into_iter().map(slot).collect(),
            more_from: page.more_from_ms.map(told),
            tz: told_in.name().to_owned(),
        })
    }

    /// The seats that others have, for slots that start between two moments.
    async fn taken(&self, line: &Line, (first, last): (u64, u64), hold: &str) -> Result<desk::Taken, Refusal> {
        let (from_unix_ms, to_unix_ms) = line.config.slots.seat_rule().beside(first, last);
        let (now_unix_ms, own) = (clock::unix_ms(), hold.parse().ok());
        let query = SeatQuery { queue: line.names(), from_unix_ms, to_unix_ms, now_unix_ms, own };
        self.home.taken_seats(query).await.map_err(away)
    }

    /// Promises a call-back. When it answers, the promise is stored.
    pub(crate) async fn ask(&self, ask: CallbackAsk) -> Result<CallbackMade, Refusal> {
        let made = self.promise(ask).await;
        match &made {
            Ok(made) if !made.again => metric::count(Metric::CallbacksAsked),
            Ok(_) => {}
            Err(refusal) => metric::count_with(Metric::CallbacksRefused, refusal.code),
        }
        made
    }

    async fn promise(&self, ask: CallbackAsk) -> Result<CallbackMade, Refusal> {
        let line = self.line(&ask.tenant, &ask.queue).ok_or(NOT_FOUND)?;
        let number = line.config.numbers.judge(&ask.number, ask.country.as_deref()).map_err(number_refusal)?;
        let Some((text_id, version)) =
            ask.consent.clone().filter(|(id, version)| !id.is_empty() && !version.is_empty())
        else {
            return Err(refusal::CONSENT_MISSING);
        };
        let email = self.email(ask.email.as_deref())?;
        if let Some(key) = &ask.request_key {
            let tenant = TenantId(ask.tenant.clone());
            let same = self.home.requested_callback(tenant, key.clone()).await.map_err(away)?;
            if let Some(kept) = same {
                return self.same(kept, number.e164(), &ask.session.id);
            }
        }
        let now = clock::unix_ms();
        let hold = hold_id(ask.hold.as_deref());
        let customer =
            ask.customer.as_deref().map(|token| customer_token::judge(token, &line.tenant, &line.customer_keys, now));
        let customer = customer.transpose()?;
        let when = when(line, &ask.when, &ask.tz, now, hold)?;
        let (promised_unix_ms, wanted, told) = match when {
            When::Asap => match self.no_asap(line) {
                None => (now, None, self.wait_now(line)),
                Some(refusal) => return Err(refusal),
            },
            When::At(wanted) => (wanted.unix_ms, Some(wanted), None),
        };
        self.check_not_in_call(line, &ask.session.id).await?;
        self.check_budgets(line, number.e164(), now).await?;
        self.check_shield(line, number.e164(), &ask.session.id, (now, promised_unix_ms)).await?;
        let tags = tags(line, ask.session, now);
        let wish = Wish {
            number: number.e164().to_owned(),
            promised_unix_ms,
            wanted,
            zone: Zone::named(&ask.tz).map_or_else(|_| String::new(), |zone| zone.name().to_owned()),
            consent: Some(Consent { text_id, version, at_unix_ms: now }),
            email,
            asked_unix_ms: now,
            priority: customer.as_ref().map_or(0, |customer| customer.priority),
            told,
            customer: customer.map(|customer| customer.id),
            tags,
        };
        let callback = Callback::new(CallbackId::new(rand::rng().random()), wish);
        let seat = callback.wish().wanted.is_some().then(|| line.seat(hold, now));
        let new = NewCallback { callback, manage: rand::rng().random(), request_key: ask.request_key, seat };
        // Before it is kept, so that no death between the two leaves a promise nobody is told of; if it is not kept, what
        // was posted finds nothing to tell.
        let promised = KeptCallback { callback: new.callback.clone(), manage: new.manage, version: 1, lease: None };
        self.messages.tell(&promised, Event::Scheduled).await;
        let (kept, again) = self.add(new, line).await?;
        info!(callback = %kept.callback.id(), number = %number.masked(), again, "a call-back is promised");
        self.look();
        let mut made = self.made(&kept, again);
        self.serve_if_talking(line, &kept.callback.wish().tags.session, &mut made).await;
        Ok(made)
    }

    /// Where he is written to; nothing is kept of an address nobody writes to.
    pub(super) fn email(&self, typed: Option<&str>) -> Result<Option<Email>, Refusal> {
        let email = typed.map(str::parse).transpose().map_err(|_| refusal::EMAIL_INVALID)?;
        Ok(email.filter(|_| self.messages.are_mailed()))
    }

    pub(super) fn made(&self, kept: &KeptCallback, again: bool) -> CallbackMade {
        let number = self.number(kept);
        CallbackMade {
            manage: format!("{:032x}", kept.manage),
            again,
            number: number.map(|number| number.international().to_owned()).unwrap_or_default(),
            view: self.view(kept),
        }
    }

    /// The same request again, by its key; a key that somebody else has used opens nothing.
    pub(super) fn same(&self, kept: KeptCallback, number: &str, session: &str) -> Result<CallbackMade, Refusal> {
        let wish = kept.callback.wish();
        if wish.number == number && wish.tags.session == session {
            Ok(self.made(&kept, true))
        } else {
            Err(refusal::KEY_TAKEN)
        }
    }

    pub(super) fn number(&self, kept: &KeptCallback) -> Option<desk::Number> {
        let line = self.line(&kept.callback.tenant().0, &kept.callback.queue().0)?;
        line.config.numbers.judge_again(&kept.callback.wish().number).ok()
    }

    /// Keeps it; or finds what was promised before to the same visitor.
    async fn add(&self, new: NewCallback, line: &Line) -> Result<(KeptCallback, bool), Refusal> {
        let (wish, seat) = (new.callback.wish().clone(), new.seat);
        match self.home.add_callback(new).await.map_err(away)? {
            Added::New(kept) => Ok((kept, false)),
            Added::Full => Err(slot_refusal(SlotRefusal::Gone)),
            Added::Same(kept) => {
                let before = kept.callback.wish();
                let same = before.number == wish.number && before.tags.session == wish.tags.session;
                if same { Ok((kept, true)) } else { Err(refusal::KEY_TAKEN) }
            }
            Added::Open(kept) => {
                let session = &kept.callback.wish().tags.session;
                // Who only knows the number must not learn, nor change, what somebody else has asked for: the same word as
                // for a number that was called enough, and for an asker who asked enough.
                if session.is_empty() || *session != wish.tags.session || line.tenant != kept.callback.tenant().0 {
                    return Err(refusal::TOO_MANY_REQUESTS);
                }
                let edit = |callback: &mut Callback| {
                    // He may have logged in since; what an agent gave him he keeps.
                    callback.rank(callback.wish().priority.max(wish.priority))?;
                    callback.reschedule(wish.promised_unix_ms, wish.wanted.clone())
                };
                let moved = self.change_with(kept, edit, seat).await?;
                self.messages.tell(&moved, Event::Moved).await;
                Ok((moved, true))
            }
        }
    }

    pub(super) async fn check_budgets(&self, line: &Line, number: &str, now: u64) -> Result<(), Refusal> {
        let asked = self.home.callbacks_to(number.to_owned(), now.saturating_sub(DAY_MS)).await.map_err(away)?;
        if asked >= line.config.per_number_per_day_max {
            return Err(refusal::TOO_MANY_REQUESTS);
        }
        let open = self.home.open_callbacks(Some(TenantId(line.tenant.clone()))).await.map_err(away)?;
        if open >= line.config.open_max {
            return Err(refusal::CAPACITY_FULL);
        }
        Ok(())
    }

    /// The budgets of a day, and the numbers not to be called. These come last: who only tries numbers pays for each.
    pub(super) async fn check_shield(
        &self,
        line: &Line,
        number: &str,
        session: &str,
        (now, promised_unix_ms): (u64, u64),
    ) -> Result<(), Refusal> {
        let full = |until: u64| {
            let wait_s = until.saturating_sub(now).div_ceil(1_000);
            refusal::CAPACITY_FULL.retry_after(u32::try_from(wait_s).unwrap_or(u32::MAX))
        };
        let stopped = self.shield.spent(line, now).await.map_err(away)?;
        if let Some(until) = stopped.filter(|until| promised_unix_ms < *until) {
            return Err(full(until));
        }
        if !self.shield.session_may_ask(line, session, now).await.map_err(away)? {
            return Err(refusal::TOO_MANY_REQUESTS);
        }
        if let Some(until) = self.shield.tenant_may_be_asked(line, now).await.map_err(away)? {
            return Err(full(until));
        }
        if self.shield.suppressed(&line.tenant, number).await.map_err(away)? {
            // As for a number that the site's own rules do not call.
            return Err(number_refusal(NumberRefusal::Blocked));
        }
        Ok(())
    }

    /// How a call-back stands, for whoever has its key.
    pub(crate) async fn show(&self, id: &str, key: &str) -> Result<CallbackView, Refusal> {
        Ok(self.view(&self.opened(id, key).await?))
    }

    pub(super) async fn opened(&self, id: &str, key: &str) -> Result<KeptCallback, Refusal> {
        let id: CallbackId = id.parse().map_err(|_| NOT_FOUND)?;
        let key: CallbackId = key.parse().map_err(|_| NOT_FOUND)?;
        let kept = self.home.callback(id).await.map_err(away)?;
        kept.filter(|kept| kept.manage == key.bits()).ok_or(NOT_FOUND)
    }

    /// Another time.
    pub(crate) async fn reschedule(&self, id: &str, key: &str, to: &CallbackMove) -> Result<CallbackView, Refusal> {
        let kept = self.opened(id, key).await?;
        let (tenant, queue) = (&kept.callback.tenant().0, &kept.callback.queue().0);
        let line = self.line(tenant, queue).ok_or(NOT_FOUND)?;
        let now = clock::unix_ms();
        let hold = hold_id(to.hold.as_deref());
        let when = when(line, &to.when, &to.tz, now, hold)?;
        if let (When::Asap, Some(refusal)) = (&when, self.no_asap(line)) {
            return Err(refusal);
        }
        let seat = matches!(when, When::At(_)).then(|| line.seat(hold, now));
        let edit = |callback: &mut Callback| match &when {
            When::Asap => callback.reschedule(now, None),
            When::At(wanted) => callback.reschedule(wanted.unix_ms, Some(wanted.clone())),
        };
        let moved = self.change_with(kept, edit, seat).await?;
        self.messages.tell(&moved, Event::Moved).await;
        Ok(self.view(&moved))
    }

    /// Called off by its visitor.
    pub(crate) async fn cancel(&self, id: &str, key: &str) -> Result<CallbackView, Refusal> {
        let kept = self.opened(id, key).await?;
        if matches!(kept.callback.state(), CallbackState::Cancelled(_)) {
            return Ok(self.view(&kept));
        }
        let cancelled = self.change(kept, |callback| callback.cancel(CancelledBy::Visitor)).await?;
        metric::count_with(Metric::CallbacksEnded, cancelled.callback.state().code());
        self.messages.tell_state(&cancelled).await;
        Ok(self.view(&cancelled))
    }

    /// Whoever has its key says that it was not he who asked. The key proves less than the telephone itself, on which 9 is
    /// pressed: so it is this tenant alone that does not call the number any more.
    pub(crate) async fn disown(&self, id: &str, key: &str) -> Result<CallbackView, Refusal> {
        let kept = self.opened(id, key).await?;
        let (tenant, number) = (kept.callback.tenant().0.clone(), kept.callback.wish().number.clone());
        self.shield.suppress(Some(&tenant), &number, SuppressedBy::Link).await.map_err(away)?;
        info!(callback = id, "a call-back is disowned by its page: this tenant does not call the number again");
        if kept.callback.clone().cancel(CancelledBy::Recipient).is_err() {
            return Ok(self.view(&kept));
        }
        let cancelled = self.change(kept, |callback| callback.cancel(CancelledBy::Recipient)).await?;
        metric::count_with(Metric::CallbacksEnded, cancelled.callback.state().code());
        self.messages.tell_state(&cancelled).await;
        Ok(self.view(&cancelled))
    }

    /// Changes it as it stands now, also when its holder changes it at the same moment.
    pub(super) async fn change(
        &self,
        kept: KeptCallback,
        edit: impl Fn(&mut Callback) -> Result<(), OutOfTurn>,
    ) -> Result<KeptCallback, Refusal> {
        self.change_with(kept, edit, None).await
    }

    /// The same, if the seat it claims is left.
    async fn change_with(
        &self,
        mut kept: KeptCallback,
        edit: impl Fn(&mut Callback) -> Result<(), OutOfTurn>,
        seat: Option<SeatClaim>,
    ) -> Result<KeptCallback, Refusal> {
        for _ in 0..TRIES {
            let mut callback = kept.callback.clone();
            edit(&mut callback).map_err(|_| refusal::GONE)?;
            let change = Change { callback, version: kept.version, held: false };
            let changed = match seat {
                None => self.home.change_callback(change).await.map_err(away)?,
                Some(seat) => match self.home.move_callback(change, seat).await.map_err(away)? {
                    Moved::Changed(changed) => changed,
                    Moved::Full => return Err(slot_refusal(SlotRefusal::Gone)),
                },
            };
            match changed {
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

    /// The ids of call-backs as they change.
    pub(crate) fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    pub(super) fn view(&self, kept: &KeptCallback) -> CallbackView {
        let callback = &kept.callback;
        let (wish, state, now) = (callback.wish(), callback.state(), clock::unix_ms());
        let line = self.line(&callback.tenant().0, &callback.queue().0);
        let site = line.and_then(|line| line.hours.as_ref()).map(|hours| hours.zone().clone());
        let his = Zone::named(&wish.zone).ok().or_else(|| site.clone()).or_else(|| Zone::named("UTC").ok());
        let told = |at: u64| his.as_ref().and_then(|zone| zone.rfc3339(at)).unwrap_or_default();
        CallbackView {
            id: callback.id().to_string(),
            tenant: callback.tenant().0.clone(),
            queue: callback.queue().0.clone(),
            state: state.code(),
            detail: state.detail(),
            asap: wish.wanted.is_none(),
            promised_at: told(wish.promised_unix_ms),
            due_at: callback.due_unix_ms().map(told),
            tz: his.as_ref().map(|zone| zone.name().to_owned()).unwrap_or_default(),
            zone: site.map_or_else(|| "UTC".to_owned(), |zone| zone.name().to_owned()),
            number: self.number(kept).map(|number| number.masked()).unwrap_or_default(),
            attempts: callback
                .attempts()
                .iter()
                .map(|attempt| AttemptView {
                    at: told(attempt.at_unix_ms),
                    outcome: attempt.outcome.map(desk::Outcome::code),
                })
                .collect(),
            can_cancel: callback.clone().cancel(CancelledBy::Visitor).is_ok(),
            can_move: callback.clone().reschedule(now, None).is_ok(),
            now: told(now),
            wait: line.and_then(|line| self.wait_of(line, kept)).map(forecast::shown),
            sequence: kept.version,
            promised_unix_ms: wish.promised_unix_ms,
            is_over: state.is_over(),
        }
    }
}

/// What the call will carry.
fn tags(line: &Line, session: SessionInfo, now: u64) -> CallTags {
    let (tenant, queue) = line.names();
    CallTags::new(TagsDraft {
        tag: rand::rng().random(),
        tenant,
        queue,
        session: session.id,
        page_url: session.page_url,
        page_title: session.page_title,
        referrer: session.referrer,
        language: session.lang,
        made_at_unix_ms: now,
    })
}

/// The moment he asks for, if it is offered; whether a seat is left is seen when it is taken. He who holds one may use it
/// although the lead has begun meanwhile.
fn when(line: &Line, text: &str, tz: &str, now: u64, hold: Option<HoldId>) -> Result<When, Refusal> {
    if text == "asap" {
        return if line.config.slots.may_ask_now(now) { Ok(When::Asap) } else { Err(refusal::CLOSED) };
    }
    let wanted = offered(line, text, tz, now, hold.map_or(Duration::ZERO, |_| HOLD))?;
    Ok(When::At(wanted))
}

/// A slot that was offered so long ago or later.
pub(super) fn offered(line: &Line, text: &str, tz: &str, now: u64, ago: Duration) -> Result<Wanted, Refusal> {
    let tz = Some(tz).filter(|tz| !tz.is_empty());
    let wanted = Wanted::parse(text, tz, now).map_err(when_refusal)?;
    let then = now.saturating_sub(ms(ago));
    let nobody = desk::Taken::new();
    if wanted.unix_ms < now {
        return Err(slot_refusal(SlotRefusal::Past));
    }
    line.config.slots.judge(wanted.unix_ms, then, &nobody).map_err(slot_refusal)?;
    Ok(wanted)
}

/// A name that is none holds nothing.
fn hold_id(text: Option<&str>) -> Option<HoldId> {
    text.and_then(|text| text.parse().ok())
}

fn zone(name: &str) -> Result<Zone, Refusal> {
    Zone::named(name).map_err(|_| refusal::TZ_INVALID)
}

pub(super) fn when_refusal(error: WhenError) -> Refusal {
    match error {
        WhenError::Unreadable => refusal::WHEN_INVALID,
        WhenError::Zone => refusal::TZ_INVALID,
        WhenError::Past => refusal::SLOT_PAST,
    }
}

pub(super) fn slot_refusal(refused: SlotRefusal) -> Refusal {
    match refused {
        SlotRefusal::Gone => refusal::SLOT_GONE,
        SlotRefusal::Past => refusal::SLOT_PAST,
        SlotRefusal::OutsideHours => refusal::SLOT_OUTSIDE_HOURS,
    }
}

pub(super) fn number_refusal(refused: NumberRefusal) -> Refusal {
    match refused {
        NumberRefusal::Required => refusal::NUMBER_REQUIRED,
        NumberRefusal::Invalid => refusal::NUMBER_INVALID,
        NumberRefusal::NotDialable => refusal::NUMBER_NOT_DIALABLE,
        NumberRefusal::Blocked => refusal::NUMBER_BLOCKED,
        NumberRefusal::CountryNotServed => refusal::COUNTRY_NOT_SERVED,
    }
}

/// Nothing is promised that could not be stored.
pub(super) fn away(error: StoreError) -> Refusal {
    metric::count(Metric::CallbackStoreErrors);
    error!(%error, "the call-back book cannot be had");
    refusal::BOOK_AWAY
}

#[cfg(test)]
mod tests {
    use desk::{FailReason, Outcome};

    use super::*;

    #[test]
    fn the_api_has_every_word_of_the_desk() {
        let ended = CancelledBy::ALL.into_iter().map(CancelledBy::code);
        let served = CallbackState::Served.detail().into_iter();
        let ended = served.chain(ended);
        let details: Vec<&str> = ended.chain(FailReason::ALL.into_iter().map(FailReason::code)).collect();
        assert_eq!(details, CallbackView::DETAILS);
        assert_eq!(Outcome::ALL.map(Outcome::code), AttemptView::OUTCOMES);
        for error in [WhenError::Unreadable, WhenError::Zone, WhenError::Past] {
            assert_eq!(when_refusal(error).code, error.code());
        }
        for refused in [SlotRefusal::Past, SlotRefusal::OutsideHours, SlotRefusal::Gone] {
            assert_eq!(slot_refusal(refused).code, refused.code());
        }
        for refused in [
            NumberRefusal::Required,
            NumberRefusal::Invalid,
            NumberRefusal::NotDialable,
            NumberRefusal::Blocked,
            NumberRefusal::CountryNotServed,
        ] {
            assert_eq!(number_refusal(refused).code, refused.code());
        }
    }

    #[test]
    fn what_visitors_are_refused_with_stands_in_the_table_of_the_api() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/drive/callbacks");
        let mut folders = vec![folder];
        let own = concat!("Refusal", "::new(");
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    let text = std::fs::read_to_string(&entry).unwrap();
                    assert!(!text.contains(own), "{} refuses past web::refusal", entry.display());
                }
            }
        }
    }
}
