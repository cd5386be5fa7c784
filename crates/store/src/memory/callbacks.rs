//! The call-back book in memory: the plainest form of its rules.

use std::collections::{BTreeMap, BTreeSet};

use call::{QueueId, TenantId};
use desk::{Callback, CallbackId};

use crate::callback::{LAST_TO, OF_SESSION_MAX, lease_after, session, wake};
use crate::{Added, CallbackQuery, Change, Changed, HoldId, KeptCallback, Lease, NewCallback, NewHold, StoreError};

/// At most so many are kept; those that are over make room, the oldest first.
const MAX_KEPT: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) kept: BTreeMap<CallbackId, KeptCallback>,
    /// Open ones by when they must be looked at.
    wakes: BTreeSet<(u64, CallbackId)>,
    /// Open ones by tenant and number.
    open: BTreeMap<(TenantId, String), CallbackId>,
    /// How many of a tenant are open.
    open_of: BTreeMap<TenantId, u64>,
    /// Open ones by queue and promised moment.
    pub(super) promised: BTreeSet<(TenantId, QueueId, u64, CallbackId)>,
    /// Those that are over, by when they were asked for: the first to make room.
    over: BTreeSet<(u64, CallbackId)>,
    requests: BTreeMap<(TenantId, String), CallbackId>,
    /// The request of each, if it had a key.
    keys: BTreeMap<CallbackId, (TenantId, String)>,
    /// All by when they were asked for.
    asked: BTreeSet<(u64, CallbackId)>,
    pub(super) holds: BTreeMap<HoldId, NewHold>,
    /// All by number and when they were asked for.
    numbers: BTreeSet<(String, u64, CallbackId)>,
}

impl Book {
    pub(super) fn add(&mut self, new: NewCallback) -> Result<Added, StoreError> {
        let tenant = new.callback.tenant().clone();
        let (id, wish) = (new.callback.id(), new.callback.wish().clone());
        let request = new.request_key.map(|key| (tenant.clone(), key));
        if let Some(kept) = request.as_ref().and_then(|key| self.requests.get(key)).and_then(|id| self.kept.get(id)) {
            return Ok(Added::Same(kept.clone()));
        }
        let number = (tenant, wish.number.clone());
        if let Some(kept) = self.open.get(&number).and_then(|id| self.kept.get(id)) {
            return Ok(Added::Open(kept.clone()));
        }
        self.make_room()?;
        if let Some(seat) = new.seat
            && !self.take_seat(&new.callback, seat)
        {
            return Ok(Added::Full);
        }
        if let Some(request) = request {
            self.keys.insert(id, request.clone());
            self.requests.insert(request, id);
        }
        let kept = KeptCallback { callback: new.callback, manage: new.manage, version: 1, lease: None };
        self.asked.insert((wish.asked_unix_ms, id));
        self.numbers.insert((wish.number, wish.asked_unix_ms, id));
        self.put(kept.clone());
        Ok(Added::New(kept))
    }

    /// What is asked of a full book: those that are over go.
    fn make_room(&mut self) -> Result<(), StoreError> {
        if self.kept.len() < MAX_KEPT {
            return Ok(());
        }
        let oldest = self.over.pop_first().ok_or(StoreError::Overloaded)?;
        self.asked.remove(&oldest);
        if let Some(kept) = self.kept.remove(&oldest.1) {
            self.numbers.remove(&(kept.callback.wish().number.clone(), oldest.0, oldest.1));
        }
        if let Some(request) = self.keys.remove(&oldest.1) {
            self.requests.remove(&request);
        }
        Ok(())
    }

    fn put(&mut self, kept: KeptCallback) {
        let id = kept.callback.id();
        let before = self.kept.get(&id);
        if let Some(at) = before.and_then(|before| wake(&before.callback, before.lease.as_ref())) {
            self.wakes.remove(&(at, id));
        }
        let was_open = before.is_some_and(|before| !before.callback.state().is_over());
        if let Some(place) = before.map(|before| place(&before.callback)) {
            self.promised.remove(&place);
        }
        let (tenant, asked) = (kept.callback.tenant().clone(), (kept.callback.wish().asked_unix_ms, id));
        let number = (tenant.clone(), kept.callback.wish().number.clone());
        let count = self.open_of.entry(tenant).or_default();
        match wake(&kept.callback, kept.lease.as_ref()) {
            Some(at) => {
                *count += u64::from(!was_open);
                self.wakes.insert((at, id));
                self.over.remove(&asked);
                self.promised.insert(place(&kept.callback));
                self.open.insert(number, id);
            }
            None => {
                *count -= u64::from(was_open);
                self.over.insert(asked);
                // A change of one that was over already: the number may have another by now.
                if self.open.get(&number) == Some(&id) {
                    self.open.remove(&number);
                }
            }
        }
        self.kept.insert(id, kept);
    }

    pub(super) fn get(&self, id: CallbackId) -> Option<KeptCallback> {
        self.kept.get(&id).cloned()
    }

    pub(super) fn requested(&self, tenant: TenantId, key: String) -> Option<KeptCallback> {
        self.requests.get(&(tenant, key)).and_then(|id| self.kept.get(id)).cloned()
    }

    pub(super) fn list(&self, query: &CallbackQuery) -> Vec<KeptCallback> {
        let (since, before) = (query.since_unix_ms.unwrap_or(0), query.before_unix_ms.unwrap_or(u64::MAX));
        let newest_first = self.asked.range((since, CallbackId::new(0))..).rev().filter(|(at, _)| *at < before);
        let all = newest_first.filter_map(|(_, id)| self.kept.get(id));
        let wanted = all.filter(|kept| {
            query.tenant.as_ref().is_none_or(|tenant| tenant == kept.callback.tenant())
                && !(query.open_only && kept.callback.state().is_over())
        });
        wanted.take(query.limit.min(CallbackQuery::LIMIT_MAX)).cloned().collect()
    }

    pub(super) fn change(&mut self, change: Change) -> Changed {
        let Some(kept) = self.kept.get(&change.callback.id()) else { return Changed::Missing };
        if kept.version != change.version {
            return Changed::Stale(kept.clone());
        }
        let lease = lease_after(&change.callback, change.held, kept.lease);
        let (manage, version) = (kept.manage, kept.version + 1);
        let after = KeptCallback { callback: change.callback, manage, version, lease };
        self.put(after.clone());
        Changed::Done(after)
    }

    pub(super) fn lease(&mut self, lease: Lease, now_unix_ms: u64, limit: usize) -> Vec<KeptCallback> {
        let due = self.wakes.range(..=(now_unix_ms, CallbackId::new(u128::MAX)));
        let ids: Vec<CallbackId> = due.take(limit.min(CallbackQuery::LIMIT_MAX)).map(|(_, id)| *id).collect();
        self.take(ids, lease)
    }

    pub(super) fn reclaim(&mut self, lease: Lease) -> Vec<KeptCallback> {
        let left = |kept: &KeptCallback| kept.lease.is_some_and(|old| lease.node.succeeds(old.node));
        let ids = self.wakes.iter().map(|(_, id)| *id).filter(|id| self.kept.get(id).is_some_and(left)).collect();
        self.take(ids, lease)
    }

    fn take(&mut self, ids: Vec<CallbackId>, lease: Lease) -> Vec<KeptCallback> {
        let taken: Vec<KeptCallback> = ids
            .into_iter()
            .filter_map(|id| self.kept.get(&id).cloned())
            .map(|kept| KeptCallback { version: kept.version + 1, lease: Some(lease), ..kept })
            .collect();
        taken.iter().cloned().for_each(|kept| self.put(kept));
        taken
    }

    pub(super) fn renew(&mut self, renewed: Lease, ids: &[CallbackId]) -> Vec<CallbackId> {
        let mut held = Vec::new();
        for id in ids {
            let kept = self.kept.get(id).filter(|kept| kept.lease.is_some_and(|lease| lease.node == renewed.node));
            if let Some(kept) = kept.cloned() {
                self.put(KeptCallback { lease: Some(renewed), ..kept });
                held.push(*id);
            }
        }
        held
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn count_to(&self, number: &str, since_unix_ms: u64) -> u64 {
        let from = (number.to_owned(), since_unix_ms, CallbackId::new(0));
        self.numbers.range(from..).take_while(|(of, ..)| of == number).count() as u64
    }

    pub(super) fn last_to(&self, tenant: &TenantId, number: &str) -> Vec<KeptCallback> {
        let all =
            (number.to_owned(), 0, CallbackId::new(0))..=(number.to_owned(), u64::MAX, CallbackId::new(u128::MAX));
        let last = self.numbers.range(all).rev().take(LAST_TO).filter_map(|(.., id)| self.kept.get(id));
        last.filter(|kept| kept.callback.tenant() == tenant).cloned().collect()
    }

    /// The plainest way: the whole book is looked through.
    pub(super) fn of_session(&self, tenant: &TenantId, wanted: &str) -> Vec<KeptCallback> {
        let all = self.asked.iter().filter_map(|(_, id)| self.kept.get(id));
        let own = all.filter(|kept| kept.callback.tenant() == tenant && session(&kept.callback) == Some(wanted));
        own.filter(|kept| !kept.callback.state().is_over()).take(OF_SESSION_MAX).cloned().collect()
    }

    pub(super) fn count_open(&self, tenant: Option<&TenantId>) -> u64 {
        match tenant {
            None => self.open_of.values().sum(),
            Some(tenant) => self.open_of.get(tenant).copied().unwrap_or_default(),
        }
    }
}

/// Where a call-back stands among the seats of its queue.
fn place(callback: &Callback) -> (TenantId, QueueId, u64, CallbackId) {
    (callback.tenant().clone(), callback.queue().clone(), callback.wish().promised_unix_ms, callback.id())
}
