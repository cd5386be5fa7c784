//! What must survive: one trait, its homes, one contract test.
//!
//! **Write before answer.** A future of [`Store`] that writes is ready only when what it wrote would
//! survive the death of the process and of the machine. A call is journalled when it starts
//! ([`Store::open_call`]) and closed with its record ([`Store::close_call`]); what a dead process
//! left open is closed as interrupted at the next start ([`Store::close_interrupted`]).

mod callback;
mod callback_row;
#[cfg(test)]
mod contract;
mod counters;
mod embedded;
mod error;
mod memory;
mod open_call;
mod outbox;
mod pause;
mod record;
mod redis;
mod seats;
mod suppression;
mod tally;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use self::redis::Address;
use call::{CallId, CallRecord, TenantId};

pub use self::redis::{LeaseClock, Redis, RedisOptions, shown_url};
pub use callback::{
    Added, CallbackBook, CallbackQuery, Change, Changed, KeptCallback, LAST_TO, Lease, NewCallback, NodeId,
    OF_SESSION_MAX,
};
pub use embedded::{Embedded, EmbeddedOptions};
pub use error::StoreError;
pub use memory::Memory;
pub use open_call::OpenCall;
pub use outbox::{Message, Outbox};
pub use pause::{Pause, Pauses};
pub use seats::{Held, HoldId, HoldLimits, Moved, NewHold, SeatClaim, SeatQuery};
pub use suppression::{NumberHash, SuppressedBy, Suppression, Suppressions};
pub use tally::{Counted, Tallies, Tally};

/// The answer of a store, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Which calls to list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallQuery {
    /// At most so many, the newest first.
    pub limit: usize,
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only those that started at or after this moment.
    pub since_unix_ms: Option<u64>,
}

impl CallQuery {
    /// The most one query may ask for; more is cut to this.
    pub const LIMIT_MAX: usize = 10_000;
}

impl Default for CallQuery {
    /// The last twenty.
    fn default() -> Self {
        Self { limit: 20, tenant: None, since_unix_ms: None }
    }
}

/// How a store is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoreHealth {
    /// The last write went through (or there was none).
    pub ok: bool,
    /// What went wrong, when not.
    pub error: Option<String>,
    /// Rows written and durable.
    pub rows: u64,
    /// Commits those rows took: less than rows when writers come together.
    pub commits: u64,
    /// Writes that failed.
    pub failed: u64,
    /// Writes waiting.
    pub waiting: u64,
    /// Stored rows that could not be read back.
    pub unreadable: u64,
}

/// A home for what must survive.
pub trait Store: Send + Sync {
    /// Journals a call at its start. Doing it again, or after its end, changes nothing.
    fn open_call(&self, call: OpenCall) -> Answer<'_, ()>;

    /// Keeps a call's record. The first record of a call stays: a second changes nothing.
    fn close_call(&self, record: CallRecord) -> Answer<'_, ()>;

    /// Calls that have ended, the newest first.
    fn calls(&self, query: CallQuery) -> Answer<'_, Vec<CallRecord>>;

    /// One call that has ended.
    fn call(&self, id: CallId) -> Answer<'_, Option<CallRecord>>;

    /// Closes every call that this process or a dead one left open, as interrupted at this moment; says
    /// how many. To be called once at the start, before the first `open_call`. In a home that several
    /// processes share, the calls of those that live stay open.
    fn close_interrupted(&self, at_unix_ms: u64) -> Answer<'_, u64>;

    /// How the store is, proven by a write where there is a disk.
    fn health(&self) -> Answer<'_, StoreHealth>;
}

/// A home for everything.
pub trait Home: Store + CallbackBook + Outbox + Suppressions + Tallies + Pauses {}

impl<T: Store + CallbackBook + Outbox + Suppressions + Tallies + Pauses> Home for T {}

/// Opens the store of the configuration: `sqlite:data/passerelle.db`, `redis://127.0.0.1:6379/0` or
/// `memory:`. An embedded store belongs to one process at a time; a Redis may be shared, and need not
/// be there yet.
pub fn open(url: &str) -> Result<Arc<dyn Home>, StoreError> {
    match Url::parse(url)? {
        Url::Memory => Ok(Arc::new(Memory::default())),
        Url::Embedded(path) => Ok(Arc::new(Embedded::open(path.as_ref(), EmbeddedOptions::default())?)),
        Url::Redis(address) => Ok(Arc::new(Redis::at(*address, RedisOptions::default())?)),
    }
}

/// Opens a store to read it beside the process that owns it: takes no lock, changes nothing; every
/// write answers [`StoreError::ReadOnly`].
pub fn open_reader(url: &str) -> Result<Arc<dyn Home>, StoreError> {
    match Url::parse(url)? {
        Url::Memory => Err(StoreError::NoSuchFile("memory: is gone with its process".into())),
        Url::Embedded(path) => Ok(Arc::new(Embedded::open_reader(path.as_ref())?)),
        Url::Redis(address) => Ok(Arc::new(Redis::reader_at(*address, RedisOptions::default())?)),
    }
}

/// Opens the list of numbers not to be called, to read and to write beside the process that owns the store: what is said
/// here holds there at once.
pub fn open_suppressions(url: &str) -> Result<Arc<dyn Suppressions>, StoreError> {
    match Url::parse(url)? {
        Url::Memory => Err(StoreError::NoSuchFile("memory: is gone with its process".into())),
        Url::Embedded(path) => Ok(Arc::new(Embedded::open_beside(path.as_ref())?)),
        Url::Redis(address) => Ok(Arc::new(Redis::at(*address, RedisOptions::default())?)),
    }
}

/// Whether `open` would understand this address; for checking a configuration without touching it.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    Url::parse(url).map(|_| ())
}

enum Url {
    Memory,
    Embedded(String),
    Redis(Box<Address>),
}

impl Url {
    fn parse(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Embedded(path.to_owned())),
            Some(("redis", _)) => Ok(Self::Redis(Box::new(Address::parse(url)?))),
            Some(_) | None => Err(StoreError::BadUrl(shown_url(url))),
        }
    }
}
