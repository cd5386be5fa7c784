//! The reference home: everything in memory, gone with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use call::{CallId, CallRecord};

use crate::{Answer, CallQuery, OpenCall, Store, StoreError, StoreHealth};

/// At most so many ended calls are kept, the oldest dropped first.
const MAX_ENDED: usize = 10_000;

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    open: BTreeMap<CallId, OpenCall>,
    /// By start, then id: the order in which they are listed, backwards.
    ended: BTreeMap<(u64, CallId), CallRecord>,
    written: u64,
}

impl Rows {
    fn find(&self, id: CallId) -> Option<&CallRecord> {
        self.ended.values().find(|record| record.id == id)
    }

    fn close(&mut self, record: CallRecord) {
        self.open.remove(&record.id);
        if self.find(record.id).is_none() {
            self.ended.insert((record.started_unix_ms, record.id), record);
            self.written += 1;
        }
        while self.ended.len() > MAX_ENDED {
            self.ended.pop_first();
        }
    }
}

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T, StoreError> {
        self.rows.lock().map(|mut rows| work(&mut rows)).map_err(|_| StoreError::Closed)
    }
}

impl Store for Memory {
    fn open_call(&self, call: OpenCall) -> Answer<'_, ()> {
        Box::pin(async move {
            self.with(|rows| {
                if rows.find(call.id).is_none() && !rows.open.contains_key(&call.id) {
                    rows.open.insert(call.id, call);
                    rows.written += 1;
                }
            })
        })
    }

    fn close_call(&self, record: CallRecord) -> Answer<'_, ()> {
        Box::pin(async move { self.with(|rows| rows.close(record)) })
    }

    fn calls(&self, query: CallQuery) -> Answer<'_, Vec<CallRecord>> {
        Box::pin(async move {
            self.with(|rows| {
                let since = query.since_unix_ms.unwrap_or(0);
                let wanted = rows.ended.range((since, CallId::new(0))..).rev().map(|(_, record)| record);
                let wanted = wanted.filter(|record| query.tenant.as_ref().is_none_or(|t| *t == record.tenant));
                wanted.take(query.limit).cloned().collect()
            })
        })
    }

    fn call(&self, id: CallId) -> Answer<'_, Option<CallRecord>> {
        Box::pin(async move { self.with(|rows| rows.find(id).cloned()) })
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
