//! Seats in memory: the plainest form of their rules.

use desk::{Callback, CallbackId, Taken};

use super::callbacks::Book;
use crate::callback::ms;
use crate::{Change, Held, HoldId, Moved, NewHold, SeatClaim, SeatQuery};

impl Book {
    pub(super) fn taken(&self, query: &SeatQuery) -> Taken {
        self.taken_but(query, None)
    }

    /// The seats that are taken, but for this call-back's.
    fn taken_but(&self, query: &SeatQuery, own: Option<CallbackId>) -> Taken {
        let mut taken = Taken::new();
        let (tenant, queue) = &query.queue;
        let starts = query.from_unix_ms..query.to_unix_ms.max(query.from_unix_ms);
        let bound = |at| (tenant.clone(), queue.clone(), at, CallbackId::new(0));
        let promised = self.promised.range(bound(starts.start)..bound(starts.end));
        let promised = promised.filter(|(.., id)| Some(*id) != own).map(|(.., at, _)| *at);
        let others = self.holds.values().filter(|hold| {
            hold.queue == query.queue && Some(hold.id) != query.own && !is_over(hold, query.now_unix_ms)
        });
        let held = others.map(|hold| hold.start_unix_ms).filter(|at| starts.contains(at));
        for at in promised.chain(held) {
            *taken.entry(at).or_default() += 1;
        }
        taken
    }

    /// Whether a seat is left for this one; the hold that kept it is used up.
    pub(super) fn take_seat(&mut self, callback: &Callback, seat: SeatClaim) -> bool {
        let start = callback.wish().promised_unix_ms;
        let (from_unix_ms, to_unix_ms) = seat.rule.beside(start, start);
        let queue = (callback.tenant().clone(), callback.queue().clone());
        let query = SeatQuery { queue, from_unix_ms, to_unix_ms, now_unix_ms: seat.now_unix_ms, own: seat.hold };
        let is_left = seat.rule.left(start, &self.taken_but(&query, Some(callback.id()))) > 0;
        if is_left && let Some(hold) = seat.hold {
            self.holds.remove(&hold);
        }
        is_left
    }

    pub(super) fn move_to(&mut self, change: Change, seat: SeatClaim) -> Moved {
        let is_newest = self.kept.get(&change.callback.id()).is_some_and(|kept| kept.version == change.version);
        if is_newest && !self.take_seat(&change.callback, seat) {
            return Moved::Full;
        }
        Moved::Changed(self.change(change))
    }

    pub(super) fn hold(&mut self, new: NewHold) -> Held {
        self.holds.retain(|_, hold| !is_over(hold, new.now_unix_ms));
        let tenant = &new.queue.0;
        let of_tenant = || self.holds.values().filter(|hold| hold.queue.0 == *tenant);
        let before = of_tenant().find(|hold| hold.holder == new.holder).map(|hold| hold.id);
        let others = || of_tenant().filter(|hold| Some(hold.id) != before);
        let of_source = others().filter(|hold| hold.source == new.source).count();
        if others().count() >= new.limits.per_tenant as usize || of_source >= new.limits.per_source as usize {
            return Held::TooMany;
        }
        let (from_unix_ms, to_unix_ms) = new.rule.beside(new.start_unix_ms, new.start_unix_ms);
        let (queue, now_unix_ms) = (new.queue.clone(), new.now_unix_ms);
        let taken = self.taken(&SeatQuery { queue, from_unix_ms, to_unix_ms, now_unix_ms, own: before });
        if new.rule.left(new.start_unix_ms, &taken) == 0 {
            return Held::Full;
        }
        if let Some(before) = before {
            self.holds.remove(&before);
        }
        self.holds.insert(new.id, new);
        Held::Yes
    }

    pub(super) fn release(&mut self, hold: HoldId) {
        self.holds.remove(&hold);
    }
}

fn is_over(hold: &NewHold, now_unix_ms: u64) -> bool {
    hold.now_unix_ms.saturating_add(ms(hold.hold)) <= now_unix_ms
}
