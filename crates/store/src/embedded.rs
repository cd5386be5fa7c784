//! The single-node home: one SQLite file, one writer thread that commits in groups.

mod callbacks;
mod calls;
mod due;
mod fold;
mod outbox;
mod pauses;
mod reader;
mod schema;
mod seats;
mod shield;
mod writer;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use call::{CallId, CallRecord, QueueId, TenantId};
use desk::{CallbackId, Taken};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use crate::callback::wait_until;
use crate::counters::Counters;
use crate::record::{Unreadable, encode_open, encode_record};
use crate::{
    Added, Answer, CallQuery, CallbackBook, CallbackQuery, Change, Changed, Counted, Held, HoldId, KeptCallback, Lease,
    Moved, NewCallback, NewHold, NodeId, NumberHash, OpenCall, Pause, Pauses, SeatClaim, SeatQuery, Store, StoreError,
    StoreHealth, Suppression, Suppressions, Tallies, Tally,
};
use calls::Row;
use due::Due;
use fold::Rule;
use reader::{Question, question};
use writer::{Job, Owner, Written, job};

/// Questions that may wait for the reader.
const QUESTIONS_MAX: usize = 64;
/// A disk that takes longer than this to write a row is a broken one.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait for another process that reads while the log is folded into the file.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Pages the writer keeps in memory, as they are needed: the inner pages of a million rows and their indices.
const CACHE_KB: i64 = 32_768;

/// How the file is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EmbeddedOptions {
    /// The file never grows beyond this; `None` is as the disk allows.
    pub max_file_bytes: Option<u64>,
    /// Writes that may wait for the disk; more are refused.
    pub max_waiting: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { max_file_bytes: None, max_waiting: 4_096 }
    }
}

/// A store in one file. Dropping it waits for the writes that were taken.
#[derive(Debug)]
pub struct Embedded {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    questions: Option<mpsc::Sender<Question>>,
    counters: Arc<Counters>,
    threads: Vec<JoinHandle<()>>,
    /// Known to the owner of the file.
    due: Option<Arc<Due>>,
    /// The file itself, for its flushes (fold.rs): closed when no connection is left.
    file: Option<Arc<File>>,
    /// Held while the store is open; the system frees it even after a kill -9.
    lock: Option<File>,
}

impl Embedded {
    /// Opens the file for this process alone, makes it if need be, brings its schema up to date.
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| disk(folder, &error))?;
        }
        let lock = take_lock(path)?;
        let mut connection = to_write(path)?;
        if let Some(bytes) = options.max_file_bytes {
            let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
            connection.pragma_update(None, "max_page_count", to_column(bytes / page_bytes))?;
        }
        schema::migrate(&mut connection, schema::STEPS)?;
        let left = callbacks::free_all(&connection)?;
        if left > 0 {
            tracing::info!(left, "call-backs were in hand when the last process ended: they are taken over");
        }
        let file = Arc::new(File::open(path).map_err(|error| disk(path, &error))?);
        let (folding, folder) = fold::beside(path, Arc::clone(&file), &mut connection, Rule::USUAL)?;
        let due = Arc::new(Due::unknown());
        due.look(&connection);
        let owner = Owner { folding, due: Arc::clone(&due) };
        let mut store = Self::writing(path, connection, options, Some(owner))?;
        store.due = Some(due);
        store.threads.push(spawn("store-folder", move || folder.run())?);
        (store.file, store.lock) = (Some(file), Some(lock));
        Ok(store)
    }

    /// Opens the file to write beside the process that owns it; only for what both may write, which the schema of calls and
    /// call-backs is not.
    pub(crate) fn open_beside(path: &Path) -> Result<Self, StoreError> {
        drop(Self::open_reader(path)?);
        let connection = to_write(path)?;
        let (found, known) = (schema::version(&connection)?, schema::STEPS.len() as u32);
        if found < known {
            return Err(StoreError::Damaged(
                "the file is of an older version: start the gateway once, which brings it up to date".to_owned(),
            ));
        }
        Self::writing(path, connection, EmbeddedOptions::default(), None)
    }

    fn writing(
        path: &Path,
        connection: Connection,
        options: EmbeddedOptions,
        owner: Option<Owner>,
    ) -> Result<Self, StoreError> {
        let mut store = Self::reading(path)?;
        let (jobs, inbox) = mpsc::channel(options.max_waiting.max(1));
        let counters = Arc::clone(&store.counters);
        let work = move || writer::run(connection, inbox, owner.as_ref(), &counters);
        store.threads.push(spawn("store-writer", work)?);
        store.jobs = Some(jobs);
        Ok(store)
    }

    /// Opens the file to read beside the process that owns it.
    pub fn open_reader(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NoSuchFile(path.display().to_string()));
        }
        let store = Self::reading(path)?;
        Ok(store)
    }

    fn reading(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        let (found, known) = (schema::version(&connection)?, schema::STEPS.len() as u32);
        match found {
            0 => return Err(StoreError::NoSuchFile(path.display().to_string())),
            newer if newer > known => return Err(StoreError::Newer { found, known }),
            _ => {}
        }
        let (questions, inbox) = mpsc::channel(QUESTIONS_MAX);
        let counters = Arc::new(Counters::default());
        let seen = Arc::clone(&counters);
        let thread = spawn("store-reader", move || reader::run(&connection, inbox, &seen))?;
        Ok(Self {
            jobs: None,
            questions: Some(questions),
            counters,
            threads: vec![thread],
            due: None,
            file: None,
            lock: None,
        })
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection, &Counters) -> Written<T> + Send + 'static,
    {
        let jobs = self.jobs.as_ref().ok_or(StoreError::ReadOnly)?;
        let (job, answer) = job(work);
        if let Err(refused) = jobs.try_send(job) {
            let error = match refused {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            };
            self.counters.refused(&error);
            return Err(error);
        }
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Closed)),
            Err(_) => {
                self.counters.refused(&StoreError::Slow);
                Err(StoreError::Slow)
            }
        }
    }

    async fn ask<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Counters) -> Result<T, StoreError> + Send + 'static,
    {
        let questions = self.questions.as_ref().ok_or(StoreError::Closed)?;
        let (question, answer) = question(ask);
        questions.send(question).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    fn waiting(&self) -> u64 {
        self.jobs.as_ref().map_or(0, |jobs| (jobs.max_capacity() - jobs.capacity()) as u64)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        (self.jobs, self.questions) = (None, None);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        self.file = None;
        // Only now may another process have the file.
        self.lock = None;
    }
}

impl Store for Embedded {
    fn open_call(&self, call: OpenCall) -> Answer<'_, ()> {
        let row = encode_open(&call).map(|row| Row {
            id: call.id.to_string(),
            tenant: call.tags.tenant.0,
            started_unix_ms: to_column(call.started_unix_ms),
            ended_unix_ms: None,
            row,
        });
        Box::pin(async move {
            let row = row.map_err(damaged)?;
            self.write(move |connection, _| calls::open(connection, &row)).await
        })
    }

    fn close_call(&self, record: CallRecord) -> Answer<'_, ()> {
        let row = encode_record(&record).map(|row| Row {
            id: record.id.to_string(),
            tenant: record.tenant.0,
            started_unix_ms: to_column(record.started_unix_ms),
            ended_unix_ms: Some(to_column(record.ended_unix_ms)),
            row,
        });
        Box::pin(async move {
            let row = row.map_err(damaged)?;
            self.write(move |connection, _| calls::close(connection, &row)).await
        })
    }

    fn calls(&self, query: CallQuery) -> Answer<'_, Vec<CallRecord>> {
        Box::pin(self.ask(move |connection, counters| calls::list(connection, &query, counters)))
    }

    fn call(&self, id: CallId) -> Answer<'_, Option<CallRecord>> {
        Box::pin(self.ask(move |connection, counters| calls::one(connection, &id.to_string(), counters)))
    }

    fn close_interrupted(&self, at_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(self.write(move |connection, counters| calls::interrupt(connection, at_unix_ms, counters)))
    }

    fn health(&self) -> Answer<'_, StoreHealth> {
        Box::pin(async move {
            // What the probe hears is in the counters; a reader has nothing to probe but reading.
            let probe = match &self.jobs {
                Some(_) => self.write(|connection, _| probe(connection)).await,
                None => self.ask(|connection, counters| calls::one(connection, "", counters).map(|_| ())).await,
            };
            let health = self.counters.health(self.waiting());
            let error = probe.err().map(|error| error.to_string()).or_else(|| health.error.clone());
            Ok(StoreHealth { ok: error.is_none(), error, ..health })
        })
    }
}

/// Writes something, to see whether it can be done.
fn probe(connection: &Connection) -> Written<()> {
    connection.prepare_cached("UPDATE probe SET writes = writes + 1")?.execute([])?;
    Ok((0, ()))
}

fn damaged(why: Unreadable) -> StoreError {
    StoreError::Damaged(why.0)
}

impl CallbackBook for Embedded {
    fn add_callback(&self, new: NewCallback) -> Answer<'_, Added> {
        Box::pin(self.write(move |connection, counters| callbacks::add(connection, &new, counters)))
    }

    fn callback(&self, id: CallbackId) -> Answer<'_, Option<KeptCallback>> {
        Box::pin(self.ask(move |connection, counters| callbacks::one(connection, id, counters)))
    }

    fn requested_callback(&self, tenant: TenantId, key: String) -> Answer<'_, Option<KeptCallback>> {
        Box::pin(self.ask(move |connection, counters| callbacks::requested(connection, &tenant, &key, counters)))
    }

    fn callbacks(&self, query: CallbackQuery) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(self.ask(move |connection, counters| callbacks::list(connection, &query, counters)))
    }

    fn change_callback(&self, change: Change) -> Answer<'_, Changed> {
        Box::pin(self.write(move |connection, counters| callbacks::change(connection, &change, counters)))
    }

    fn move_callback(&self, change: Change, seat: SeatClaim) -> Answer<'_, Moved> {
        Box::pin(self.write(move |connection, counters| callbacks::move_to(connection, &change, seat, counters)))
    }

    fn lease_callbacks(
        &self,
        node: NodeId,
        now_unix_ms: u64,
        hold: Duration,
        limit: usize,
    ) -> Answer<'_, Vec<KeptCallback>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(
            self.write(move |connection, counters| callbacks::lease(connection, lease, now_unix_ms, limit, counters)),
        )
    }

    fn reclaim_callbacks(&self, node: NodeId, now_unix_ms: u64, hold: Duration) -> Answer<'_, Vec<KeptCallback>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(self.write(move |connection, counters| callbacks::reclaim(connection, lease, now_unix_ms, counters)))
    }

    fn renew_callbacks(
        &self,
        node: NodeId,
        ids: Vec<CallbackId>,
        now_unix_ms: u64,
        hold: Duration,
    ) -> Answer<'_, Vec<CallbackId>> {
        let lease = Lease::begun(node, now_unix_ms, hold);
        Box::pin(self.write(move |connection, _| callbacks::renew(connection, lease, &ids)))
    }

    fn next_callback(&self, now_unix_ms: u64) -> Answer<'_, Option<Duration>> {
        let wait = move |at: Option<u64>| at.map(|at| wait_until(at, now_unix_ms));
        match self.due.as_deref().and_then(Due::known) {
            Some(at) => Box::pin(std::future::ready(Ok(wait(at)))),
            None => Box::pin(self.ask(move |connection, _| callbacks::next(connection).map(wait))),
        }
    }

    fn taken_seats(&self, query: SeatQuery) -> Answer<'_, Taken> {
        Box::pin(self.ask(move |connection, _| seats::taken(connection, &query)))
    }

    fn hold_seat(&self, hold: NewHold) -> Answer<'_, Held> {
        Box::pin(self.write(move |connection, _| seats::hold(connection, &hold)))
    }

    fn release_seat(&self, hold: HoldId) -> Answer<'_, ()> {
        Box::pin(self.write(move |connection, _| seats::release(connection, hold)))
    }

    fn callbacks_to(&self, number: String, since_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(self.ask(move |connection, _| callbacks::count_to(connection, &number, since_unix_ms)))
    }

    fn last_callbacks_to(&self, tenant: TenantId, number: String) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(self.ask(move |connection, counters| callbacks::last_to(connection, &tenant, &number, counters)))
    }

    fn callbacks_of_session(&self, tenant: TenantId, session: String) -> Answer<'_, Vec<KeptCallback>> {
        Box::pin(self.ask(move |connection, counters| callbacks::of_session(connection, &tenant, &session, counters)))
    }

    fn open_callbacks(&self, tenant: Option<TenantId>) -> Answer<'_, u64> {
        Box::pin(self.ask(move |connection, _| callbacks::count_open(connection, tenant.as_ref())))
    }
}

impl Suppressions for Embedded {
    fn suppress(&self, suppression: Suppression) -> Answer<'_, ()> {
        Box::pin(self.write(move |connection, _| shield::suppress(connection, &suppression)))
    }

    fn suppressed(&self, hashes: Vec<NumberHash>) -> Answer<'_, Option<Suppression>> {
        Box::pin(self.ask(move |connection, _| shield::suppressed(connection, &hashes)))
    }

    fn unsuppress(&self, hashes: Vec<NumberHash>) -> Answer<'_, u64> {
        Box::pin(self.write(move |connection, _| shield::unsuppress(connection, &hashes)))
    }

    fn suppressions(&self, limit: usize) -> Answer<'_, Vec<Suppression>> {
        Box::pin(self.ask(move |connection, _| shield::list(connection, limit)))
    }

    fn suppression_keys(&self) -> Answer<'_, BTreeMap<String, u64>> {
        Box::pin(self.ask(|connection, _| shield::keys(connection)))
    }

    fn forget_suppressions(&self, before_unix_ms: u64) -> Answer<'_, u64> {
        Box::pin(self.write(move |connection, _| shield::forget(connection, before_unix_ms)))
    }
}

impl Tallies for Embedded {
    fn count(&self, tally: Tally, amount: u64, max: u64) -> Answer<'_, Counted> {
        Box::pin(self.write(move |connection, _| shield::count(connection, &tally, amount, max)))
    }

    fn counted(&self, tally: Tally) -> Answer<'_, u64> {
        Box::pin(self.ask(move |connection, _| shield::counted(connection, &tally)))
    }

    fn forget_tallies(&self, before_day: String) -> Answer<'_, ()> {
        Box::pin(self.write(move |connection, _| shield::forget_tallies(connection, &before_day)))
    }
}

impl Pauses for Embedded {
    fn pause_queue(&self, pause: Pause) -> Answer<'_, bool> {
        Box::pin(self.write(move |connection, _| pauses::pause(connection, &pause)))
    }

    fn resume_queue(&self, tenant: TenantId, queue: QueueId) -> Answer<'_, bool> {
        Box::pin(self.write(move |connection, _| pauses::resume(connection, &tenant, &queue)))
    }

    fn paused_queues(&self) -> Answer<'_, Vec<Pause>> {
        Box::pin(self.ask(|connection, _| pauses::list(connection)))
    }
}

/// A connection that writes so that what is answered survives.
fn to_write(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    // Before the first write of any kind: a foreign or newer file is left as it is.
    schema::version(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: the log is on the disk before a commit returns (NORMAL would wait for a checkpoint).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -CACHE_KB)?;
    Ok(connection)
}

/// SQLite's integers are signed; the year 292 million is far enough.
fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn take_lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = File::options().create(true).append(true).open(&lock_path).map_err(|error| disk(&lock_path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(disk(&lock_path, &error)),
    }
}

fn disk(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Disk(format!("{}: {error}", path.display()))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| StoreError::Disk(format!("cannot start a thread: {error}")))
}

#[cfg(test)]
pub(crate) mod tests;
