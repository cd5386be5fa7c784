//! The reference home: everything in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use call::{CallId, CallRecord, QueueId, TenantId};
use desk::{CallbackId, Taken};

use crate::callback::wait_until;
use crate::{
    Added, Answer, CallQuery, CallbackBook, CallbackQuery, Change, Changed, Counted, Held, HoldId, KeptCallback, Lease,
    Moved, NewCallback, NewHold, NodeId, NumberHash, OpenCall, Pause, Pauses, SeatClaim, SeatQuery, Store, StoreError,
    StoreHealth, Suppression, Suppressions, Tallies, Tally,
};

mod callbacks;
mod outbox;
mod seats;
mod shield;

/// At most so many ended calls are kept, the oldest dropped first.
const MAX_ENDED: usize = 10_000;
/// At most so many calls may be open; more are refused.
const MAX_OPEN: usize = 10_000;

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<Rows>,
    book: Mutex<callbacks::Book>,
    messages: Mutex<outbox::Messages>,
    shield: Mutex<shield::Shield>,
    pauses: Mutex<BTreeMap<(TenantId, QueueId), Pause>>,
}

#[derive(Debug, Default)]
struct Rows {
    open: BTreeMap<CallId, OpenCall>,
    ended: BTreeMap<CallId, CallRecord>,
    /// The ended by their start: the order in which they are listed, backwards.
    order: BTreeSet<(u64, CallId)>,
    written: u64,
}

impl Rows {
    fn open(&mut self, call: OpenCall) -> Result<(), StoreError> {
        if self.ended.contains_key(&call.id) || self.open.contains_key(&call.id) {
            return Ok(());
        }
        if self.open.len() >= MAX_OPEN {
            return Err(StoreError::Overloaded);
        }
        self.open.insert(call.id, call);
        self.written += 1;
        Ok(())
    }

    fn close(&mut self, record: CallRecord) {
        self.open.remove(&record.id);
        if self.ended.contains_key(&record.id) {
            return;
        }
        self.order.insert((record.started_unix_ms, record.id));
        self.ended.insert(record.id, record);
        self.written += 1;
        if self.ended.len() > MAX_ENDED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.ended.remove(&oldest);
        }
    }

    fn list(&self, query: &CallQuery) -> Vec<CallRecord> {
        let since = query.since_unix_ms.unwrap_or(0);
        let newest_first = self.order.range((since, CallId::new(0))..).rev();
        let records = newest_first.filter_map(|(_, id)| self.ended.get(id));
        let wanted = records.filter(|record| query.tenant.as_ref().is_none_or(|tenant| *tenant == record.tenant));
        wanted.take(query.limit.min(CallQuery::LIMIT_MAX)).cloned().collect()
    }
}

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T, StoreError> {
        self.rows.lock().map(|mut rows| work(&mut rows)).map_err(|_| StoreError::Closed)
    }

    fn with_book<T>(&self, work: impl FnOnce(&mut callbacks::Book) -> T) -> Result<T, StoreError> {
        self.book.lock().map(|mut book| work(&mut book)).map_err(|_| StoreError::Closed)
    }

    fn with_shield<T>(&self, work: impl FnOnce(&mut shield::Shield) -> T) -> Result<T, StoreError> {
        self.shield.lock().map(|mut shield| work(&mut shield)).map_err(|_| StoreError::Closed)
    }
}

impl Pauses for Memory {
    fn pause_queue(&self, pause: Pause) -> Answer<'_, bool> {
        Box::pin(async move {
            let mut pauses = self.pauses.lock().map_err(|_| StoreError::Closed)?;
            let name = (pause.tenant.clone(), pause.queue.clone());
            if pauses.len() >= Pause::MAX || pauses.contains_key(&name) {
                return Ok(false);
            }
            pauses.insert(name, pause);
            Ok(true)
        })
    }

    fn resume_queue(&self, tenant: TenantId, queue: QueueId) -> Answer<'_, bool> {
        Box::pin(async move {
            let mut pauses = self.pauses.lock().map_err(|_| StoreError::Closed)?;
            Ok(pauses.remove(&(tenant, queue)).is_some())
        })
    }

    fn paused_queues(&self) -> Answer<'_, Vec<Pause>> {
        Box::pin(async move {
            let pauses = self.pauses.lock().map_err(|_| StoreError::Closed)?;
            Ok(pauses.values().cloned().collect())
        })
    }
}

impl Store for Memory {
    fn open_call(&self, call: OpenCall) -> Answer<'_, ()> {
        Box::pin(async move { self.with(|rows| rows.open(call))? })
    }

    fn close_call(&self, record: CallRecord) -> Answer<'_, ()> {
        Box::pin(async move { self.with(|rows| rows.close(record)) })
    }

    fn calls(&self, query: CallQuery) -> Answer<'_, Vec<CallRecord>> {
        Box::pin(async move { self.with(|rows| rows.list(&query)) })
    }

    fn call(&self, id: CallId) -> Answer<'_, Option<CallRecord>> {
        Box::pin(async move { self.with(|rows| rows.ended.get(&id).cloned()) })
    }

    fn close_interrupted(&self, at_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(async move {
            self.with(|rows| {
                let left = std::mem::take(&mut rows.open);
                let count = left.len() as u64;
                left.into_values().for_each(|call| rows.close(call.interrupted(at_unix_ms)));
                count
            })
        })
    }

    fn health(&self) -> Answer<'_, StoreHealth> {
        Box::pin(async move {
            self.with(|rows| StoreHealth {
                ok: true,
                rows: rows.written,
                commits: rows.written,
                ..StoreHealth::default()
            })
        })
    }
}

impl CallbackBook for Memory {
    fn add_callback(&self, new: NewCallback) -> Answer<'_, Added> {
        Box::pin(async move { self.with_book(|book| book.add(new))? })
    }

    fn callback(&self, id: CallbackId) -> Answer<'_, Option<KeptCallback>> {
        Box::pin(async move { self.with_book(|book| book.get(id)) })
    }

    fn requested_callback(&self, tenant: TenantId, key: String) -> Answer<'_, Option<KeptCallback>> {
        Box::pin(async move { self.with_book(|book| book.requested(tenant, key)) })
    }

    fn callbacks(&self, query: CallbackQuery) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(async move { self.with_book(|book| book.list(&query)) })
    }

    fn change_callback(&self, change: Change) -> Answer<'_, Changed> {
        Box::pin(async move { self.with_book(|book| book.change(change)) })
    }

    fn move_callback(&self, change: Change, seat: SeatClaim) -> Answer<'_, Moved> {
        Box::pin(async move { self.with_book(|book| book.move_to(change, seat)) })
    }

    fn lease_callbacks(
        &self,
        node: NodeId,
        now_unix_ms: u64,
        hold: Duration,
        limit: usize,
    ) -> Answer<'_, Vec<KeptCallback>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(async move { self.with_book(|book| book.lease(lease, now_unix_ms, limit)) })
    }

    fn reclaim_callbacks(&self, node: NodeId, now_unix_ms: u64, hold: Duration) -> Answer<'_, Vec<KeptCallback>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(async move { self.with_book(|book| book.reclaim(lease)) })
    }

    fn renew_callbacks(
        &self,
        node: NodeId,
        ids: Vec<CallbackId>,
        now_unix_ms: u64,
        hold: Duration,
    ) -> Answer<'_, Vec<CallbackId>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(async move { self.with_book(|book| book.renew(lease, &ids)) })
    }

    fn next_callback(&self, now_unix_ms: u64) -> Answer<'_, Option<Duration>> {
        Box::pin(async move { self.with_book(|book| book.next().map(|at| wait_until(at, now_unix_ms))) })
    }

    fn taken_seats(&self, query: SeatQuery) -> Answer<'_, Taken> {
        Box::pin(async move { self.with_book(|book| book.taken(&query)) })
    }

    fn hold_seat(&self, hold: NewHold) -> Answer<'_, Held> {
        Box::pin(async move { self.with_book(|book| book.hold(hold)) })
    }

    fn release_seat(&self, hold: HoldId) -> Answer<'_, ()> {
        Box::pin(async move { self.with_book(|book| book.release(hold)) })
    }

    fn callbacks_to(&self, number: String, since_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(async move { self.with_book(|book| book.count_to(&number, since_unix_ms)) })
    }

    fn last_callbacks_to(&self, tenant: TenantId, number: String) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(async move { self.with_book(|book| book.last_to(&tenant, &number)) })
    }

    fn callbacks_of_session(&self, tenant: TenantId, session: String) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(async move { self.with_book(|book| book.of_session(&tenant, &session)) })
    }

    fn open_callbacks(&self, tenant: Option<TenantId>) -> Answer<'_, u64> {
        Box::pin(async move { self.with_book(|book| book.count_open(tenant.as_ref())) })
    }
}

impl Suppressions for Memory {
    fn suppress(&self, suppression: Suppression) -> Answer<'_, ()> {
        Box::pin(async move { self.with_shield(|shield| shield.suppress(suppression))? })
    }

    fn suppressed(&self, hashes: Vec<NumberHash>) -> Answer<'_, Option<Suppression>> {
        Box::pin(async move { self.with_shield(|shield| shield.suppressed(&hashes)) })
    }

    fn unsuppress(&self, hashes: Vec<NumberHash>) -> Answer<'_, u64> {
        Box::pin(async move { self.with_shield(|shield| shield.unsuppress(&hashes)) })
    }

    fn suppressions(&self, limit: usize) -> Answer<'_, Vec<Suppression>> {
        Box::pin(async move { self.with_shield(|shield| shield.list(limit)) })
    }

    fn suppression_keys(&self) -> Answer<'_, BTreeMap<String, u64>> {
        Box::pin(async move { self.with_shield(|shield| shield.keys()) })
    }

    fn forget_suppressions(&self, before_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(async move { self.with_shield(|shield| shield.forget(before_unix_ms)) })
    }
}

impl Tallies for Memory {
    fn count(&self, tally: Tally, amount: u64, max: u64) -> Answer<'_, Counted> {
        Box::pin(async move { self.with_shield(|shield| shield.count(tally, amount, max))? })
    }

    fn counted(&self, tally: Tally) -> Answer<'_, u64> {
        Box::pin(async move { self.with_shield(|shield| shield.counted(&tally)) })
    }

    fn forget_tallies(&self, before_day: String) -> Answer<'_, ()> {
        Box::pin(async move { self.with_shield(|shield| shield.forget_tallies(&before_day)) })
    }
}
