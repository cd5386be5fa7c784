//! The shared home: one Redis (or Valkey) server for several gateways, with or without replicas; not a Cluster.
//!
//! **Who wins.** Every change of a call-back is one Lua script, and a server does one script at a time: of two nodes that
//! lease, change or add, the second sees what the first has done. Whether something is due, and until when it is held, is
//! judged in the script by the server's clock: the gateways' own may differ by minutes. Keys and their form: `keys.rs`.
//!
//! **Write before answer.** Redis answers from memory; whether the answer survives the server is its own setting:
//!
//! | redis.conf | lost when Redis is killed | lost when its machine dies | cost |
//! |---|---|---|---|
//! | `appendonly yes`, `appendfsync always` | nothing | nothing | a disk flush before an answer; those who come together share it |
//! | `appendonly yes`, `appendfsync everysec` | nothing, or up to 2 s while the disk is slow | up to 2 s | none to speak of |
//! | `appendonly no` (Redis's default) | all since the last snapshot | the same | none |
//!
//! The promise of a call-back needs the first row, and `maxmemory-policy noeviction` (the default), or Redis throws
//! call-backs away when its memory is full. All three are looked at when a connection is made, and what falls short is a
//! warning with its mend; a server that does not let itself be asked is believed. A replica that takes over has what had
//! reached it: `min-replicas-to-write 1` bounds what is lost then, no setting of Redis makes it nothing.
//!
//! **Time.** A command is answered within [`RedisOptions::answer_limit`] or fails. [`StoreError::Unreachable`],
//! [`StoreError::Refused`], [`StoreError::Full`] and [`StoreError::Overloaded`] mean that nothing was done;
//! [`StoreError::Slow`] that it may have been. Long listings, leases of many and `close_interrupted` are several commands.
//! The line is made again by itself, within a second of the server's return.
//!
//! **Whose calls.** Several processes share this home, so [`Store::close_interrupted`] closes only what this process or a
//! dead one left open. A process is dead when its heartbeat is gone: three times [`RedisOptions::heartbeat`] after it was
//! killed, at once when it was shut. From its first `close_interrupted` on, this home goes on closing the calls of those
//! that die.

mod address;
mod callbacks;
mod calls;
mod kept;
mod keys;
mod link;
mod migrate;
mod outbox;
mod pack;
mod pauses;
mod refusal;
mod row;
mod seats;
mod shield;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use call::{CallId, CallRecord, QueueId, TenantId};
use desk::{CallbackId, Taken};
use rand::TryRngCore;
use rand::rngs::OsRng;
use redis::Cmd;

use crate::record::Unreadable;
use crate::{
    Added, Answer, CallQuery, CallbackBook, CallbackQuery, Change, Changed, Counted, Held, HoldId, KeptCallback, Moved,
    NewCallback, NewHold, NodeId, NumberHash, OpenCall, Pause, Pauses, SeatClaim, SeatQuery, Store, StoreError,
    StoreHealth, Suppression, Suppressions, Tallies, Tally,
};
pub(crate) use address::Address;
pub use address::shown_url;
use link::{Link, Session};

/// Rows that one command touches at most: about a millisecond of the server's time.
const PAGE: usize = 256;

/// What a write did: rows changed, and the answer to whoever asked for it.
type Written<T> = Result<(u64, T), StoreError>;

/// Whose clock says what is due and when a lease ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LeaseClock {
    /// The server's: one for all nodes.
    #[default]
    Server,
    /// That of whoever asks: for a simulation, whose time is not the world's.
    Caller,
}

/// How the server is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RedisOptions {
    /// How long a command may take. Default 250 ms.
    pub answer_limit: Duration,
    /// Questions and writes that may wait for the server; more are refused. Default 2,048.
    pub max_waiting: usize,
    /// How often this process says that it lives; it is believed to be dead after three times that. Default 10 s.
    pub heartbeat: Duration,
    /// So many call-backs are kept; those that are over make room, the oldest first. Default 1,000,000 (about 1 kB each).
    pub max_callbacks: u64,
    /// So many calls that have ended are kept; the oldest make room. Default 1,000,000 (about 2 kB each).
    pub max_calls: u64,
    /// Whose clock says what is due. Default the server's.
    pub lease_clock: LeaseClock,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            answer_limit: Duration::from_millis(250),
            max_waiting: 2_048,
            heartbeat: Duration::from_secs(10),
            max_callbacks: 1_000_000,
            max_calls: 1_000_000,
            lease_clock: LeaseClock::default(),
        }
    }
}

/// A store on a Redis server. Dropping it waits, no longer than a command may take, for what was taken.
pub struct Redis {
    link: Link,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.link.shared().address).finish()
    }
}

impl Redis {
    /// Opens the home at `redis://[user:password@]host:port/db`. It comes back before there is a connection: a server
    /// that is not there is the answer to the first question. Fails only on an address that is none
    /// ([`StoreError::BadUrl`]) or without a thread.
    pub fn open(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        Self::at(Address::parse(url)?, options)
    }

    pub(crate) fn at(address: Address, options: RedisOptions) -> Result<Self, StoreError> {
        let random =
            |_| OsRng.try_next_u64().map_err(|error| StoreError::Unreachable(format!("no randomness: {error}")));
        let process = format!("{:016x}{:016x}", random(())?, random(())?);
        Ok(Self { link: Link::start(address, options, Some(process))? })
    }

    /// Opens it to read beside the processes that write: every write answers [`StoreError::ReadOnly`].
    pub fn open_reader(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        Self::reader_at(Address::parse(url)?, options)
    }

    pub(crate) fn reader_at(address: Address, options: RedisOptions) -> Result<Self, StoreError> {
        Ok(Self { link: Link::start(address, options, None)? })
    }

    fn ask<'a, T, Fut>(&'a self, work: impl FnOnce(Session) -> Fut + Send + 'a) -> Answer<'a, T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        Box::pin(self.link.run(work))
    }

    fn write<'a, T, Fut>(&'a self, work: impl FnOnce(Session) -> Fut + Send + 'a) -> Answer<'a, T>
    where
        T: Send + 'static,
        Fut: Future<Output = Written<T>> + Send + 'static,
    {
        if self.link.shared().process.is_none() {
            return Box::pin(std::future::ready(Err(StoreError::ReadOnly)));
        }
        Box::pin(async move {
            let (rows, answer) = match self.link.run(work).await {
                Ok((rows, answer)) => (Ok(rows), Ok(answer)),
                Err(error) => (Err(error.clone()), Err(error)),
            };
            let counters = &self.link.shared().counters;
            if rows.is_ok() {
                counters.committed();
            }
            counters.note(&rows);
            answer
        })
    }
}

fn damaged(why: Unreadable) -> StoreError {
    StoreError::Damaged(why.0)
}

/// The ids of an order from its end, or from before a moment, down to a moment.
fn newest(order: &str, (since_unix_ms, before_unix_ms): (Option<u64>, Option<u64>), limit: usize) -> Cmd {
    let mut command = redis::cmd("ZREVRANGEBYSCORE");
    let last = before_unix_ms.map_or_else(|| "+inf".to_owned(), |before| format!("({before}"));
    command.arg(order).arg(last).arg(since_unix_ms.unwrap_or(0)).arg("LIMIT").arg(0).arg(limit);
    command
}

impl Store for Redis {
    fn open_call(&self, call: OpenCall) -> Answer<'_, ()> {
        self.write(|session| async move { calls::open(&session, &call).await })
    }

    fn close_call(&self, record: CallRecord) -> Answer<'_, ()> {
        self.write(|session| async move { calls::close(&session, &record).await })
    }

    fn calls(&self, query: CallQuery) -> Answer<'_, Vec<CallRecord>> {
        self.ask(|session| async move { calls::list(&session, &query).await })
    }

    fn call(&self, id: CallId) -> Answer<'_, Option<CallRecord>> {
        self.ask(move |session| async move { calls::one(&session, &id.to_string()).await })
    }

    fn close_interrupted(&self, at_unix_ms: u64) -> Answer<'_, u64> {
        self.write(move |session| async move { calls::interrupt(&session, at_unix_ms).await })
    }

    fn health(&self) -> Answer<'_, StoreHealth> {
        Box::pin(async move {
            let is_reader = self.link.shared().process.is_none();
            let probe = if is_reader {
                self.ask(|session| async move { session.command::<()>(&redis::cmd("PING")).await }).await
            } else {
                self.write(|session| async move {
                    let probe = keys::key(&["probe"]);
                    session.pipeline::<()>(redis::pipe().cmd("PING").cmd("INCR").arg(probe).ignore()).await?;
                    Ok((0, ()))
                })
                .await
            };
            let health = self.link.shared().counters.health(self.link.waiting());
            let error = probe.err().map(|error| error.to_string()).or_else(|| health.error.clone());
            Ok(StoreHealth { ok: error.is_none(), error, ..health })
        })
    }
}

impl CallbackBook for Redis {
    fn add_callback(&self, new: NewCallback) -> Answer<'_, Added> {
        self.write(|session| async move { callbacks::add(&session, &new).await })
    }

    fn callback(&self, id: CallbackId) -> Answer<'_, Option<KeptCallback>> {
        self.ask(move |session| async move { callbacks::one(&session, id).await })
    }

    fn requested_callback(&self, tenant: TenantId, key: String) -> Answer<'_, Option<KeptCallback>> {
        self.ask(move |session| async move { callbacks::requested(&session, &tenant, &key).await })
    }

    fn callbacks(&self, query: CallbackQuery) -> Answer<'_, Vec<KeptCallback>> {
        self.ask(|session| async move { callbacks::list(&session, &query).await })
    }

    fn change_callback(&self, change: Change) -> Answer<'_, Changed> {
        self.write(|session| async move { callbacks::change(&session, &change).await })
    }

    fn move_callback(&self, change: Change, seat: SeatClaim) -> Answer<'_, Moved> {
        self.write(move |session| async move { callbacks::move_to(&session, &change, seat).await })
    }

    fn lease_callbacks(
        &self,
        node: NodeId,
        now_unix_ms: u64,
        hold: Duration,
        limit: usize,
    ) -> Answer<'_, Vec<KeptCallback>> {
        self.write(move |session| async move { callbacks::lease(&session, node, now_unix_ms, hold, limit).await })
    }

    fn reclaim_callbacks(&self, node: NodeId, now_unix_ms: u64, hold: Duration) -> Answer<'_, Vec<KeptCallback>> {
        self.write(move |session| async move { callbacks::reclaim(&session, node, now_unix_ms, hold).await })
    }

    fn renew_callbacks(
        &self,
        node: NodeId,
        ids: Vec<CallbackId>,
        now_unix_ms: u64,
        hold: Duration,
    ) -> Answer<'_, Vec<CallbackId>> {
        self.write(move |session| async move { callbacks::renew(&session, node, &ids, now_unix_ms, hold).await })
    }

    fn next_callback(&self, now_unix_ms: u64) -> Answer<'_, Option<Duration>> {
        self.ask(move |session| async move { callbacks::next(&session, now_unix_ms).await })
    }

    fn taken_seats(&self, query: SeatQuery) -> Answer<'_, Taken> {
        self.ask(|session| async move { seats::taken(&session, &query).await })
    }

    fn hold_seat(&self, hold: NewHold) -> Answer<'_, Held> {
        self.write(|session| async move { seats::hold(&session, &hold).await })
    }

    fn release_seat(&self, hold: HoldId) -> Answer<'_, ()> {
        self.write(move |session| async move { seats::release(&session, hold).await })
    }

    fn callbacks_to(&self, number: String, since_unix_ms: u64) -> Answer<'_, u64> {
        self.ask(move |session| async move { callbacks::count_to(&session, &number, since_unix_ms).await })
    }

    fn last_callbacks_to(&self, tenant: TenantId, number: String) -> Answer<'_, Vec<KeptCallback>> {
        self.ask(move |session| async move { callbacks::last_to(&session, &tenant, &number).await })
    }

    fn callbacks_of_session(&self, tenant: TenantId, session: String) -> Answer<'_, Vec<KeptCallback>> {
        self.ask(move |link| async move { callbacks::of_session(&link, &tenant, &session).await })
    }

    fn open_callbacks(&self, tenant: Option<TenantId>) -> Answer<'_, u64> {
        self.ask(|session| async move { callbacks::count_open(&session, tenant.as_ref()).await })
    }
}

impl Suppressions for Redis {
    fn suppress(&self, suppression: Suppression) -> Answer<'_, ()> {
        self.write(|session| async move { shield::suppress(&session, &suppression).await })
    }

    fn suppressed(&self, hashes: Vec<NumberHash>) -> Answer<'_, Option<Suppression>> {
        self.ask(|session| async move { shield::suppressed(&session, &hashes).await })
    }

    fn unsuppress(&self, hashes: Vec<NumberHash>) -> Answer<'_, u64> {
        self.write(|session| async move { shield::unsuppress(&session, &hashes).await })
    }

    fn suppressions(&self, limit: usize) -> Answer<'_, Vec<Suppression>> {
        self.ask(move |session| async move { shield::list(&session, limit).await })
    }

    fn suppression_keys(&self) -> Answer<'_, BTreeMap<String, u64>> {
        self.ask(|session| async move { shield::keys(&session).await })
    }

    fn forget_suppressions(&self, before_unix_ms: u64) -> Answer<'_, u64> {
        self.write(move |session| async move { shield::forget(&session, before_unix_ms).await })
    }
}

impl Tallies for Redis {
    fn count(&self, tally: Tally, amount: u64, max: u64) -> Answer<'_, Counted> {
        self.write(move |session| async move { shield::count(&session, &tally, amount, max).await })
    }

    fn counted(&self, tally: Tally) -> Answer<'_, u64> {
        self.ask(|session| async move { shield::counted(&session, &tally).await })
    }

    /// Redis forgets them by itself.
    fn forget_tallies(&self, _before_day: String) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Pauses for Redis {
    fn pause_queue(&self, pause: Pause) -> Answer<'_, bool> {
        self.write(|session| async move { pauses::pause(&session, pause).await })
    }

    fn resume_queue(&self, tenant: TenantId, queue: QueueId) -> Answer<'_, bool> {
        self.write(|session| async move { pauses::resume(&session, &tenant, &queue).await })
    }

    fn paused_queues(&self) -> Answer<'_, Vec<Pause>> {
        self.ask(|session| async move { pauses::list(&session).await })
    }
}

#[cfg(test)]
pub(crate) mod tests;
