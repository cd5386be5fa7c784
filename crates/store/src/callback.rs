//! The call-back book: what was promised, kept so that exactly one node acts on it.
//!
//! **One rule for everybody.** A row has a version that grows by one with each change, and a change is kept only if it
//! was made from the newest version. A visitor who cancels and a node that dials cannot both win; a node that slept
//! through its lease finds another version and sends nothing.
//!
//! **One time.** A row that is not over has a moment at which somebody must look at it: while it is scheduled, when it
//! is due; while a node holds it, when its lease ends. [`CallbackBook::lease_callbacks`] gives whatever has come to its moment.
//!
//! **One clock.** Whether a moment has come is judged by one clock: in a home that several nodes share the home's own, and
//! the `now` of a caller does not count there. Two nodes whose clocks differ by minutes take nothing from each other.

use std::time::Duration;

use call::TenantId;
use desk::{Callback, CallbackId, CallbackState, Taken};

use crate::{Answer, Held, HoldId, Moved, NewHold, SeatClaim, SeatQuery};

/// A process that holds call-backs. The upper half says where it runs, so that no two who live have the same; the lower
/// half is random bits made at its start, so that a restarted one is another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u128);

impl NodeId {
    /// The process that began as `run` at `place`.
    pub fn new(place: u64, run: u64) -> Self {
        Self(u128::from(place) << 64 | u128::from(run))
    }

    /// The other ran where this one runs, so it is dead.
    pub fn succeeds(self, other: Self) -> bool {
        self.0 >> 64 == other.0 >> 64 && self != other
    }
}

/// Who looks after a call-back, and until when nobody else may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// The holder.
    pub node: NodeId,
    /// From this moment of the home's clock on it may be taken over.
    pub until_unix_ms: u64,
}

/// A call-back to be kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewCallback {
    /// What was promised.
    pub callback: Callback,
    /// The visitor's key to it, in the link of its page.
    pub manage: u128,
    /// His `Idempotency-Key`, if he sent one: the same key again is the same request.
    pub request_key: Option<String>,
    /// The seat it takes; none for one that waits for no slot.
    pub seat: Option<SeatClaim>,
}

/// A kept call-back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptCallback {
    /// What was promised and what became of it.
    pub callback: Callback,
    /// The visitor's key to it.
    pub manage: u128,
    /// How often it has been changed; to be given with the next change.
    pub version: u64,
    /// Who holds it.
    pub lease: Option<Lease>,
}

/// What became of a new one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Added {
    /// It is kept.
    New(KeptCallback),
    /// The same request came before: this is what was made of it.
    Same(KeptCallback),
    /// This tenant has promised a call to this number already.
    Open(KeptCallback),
    /// No seat is left at its promised moment.
    Full,
}

/// A change of a call-back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// As it is to be.
    pub callback: Callback,
    /// The version it was made from.
    pub version: u64,
    /// Whether the lease, if there is one, goes on. Of a call-back that is over it does not.
    pub held: bool,
}

/// What became of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Changed {
    /// It is kept.
    Done(KeptCallback),
    /// Somebody else has changed it meanwhile: this is how it stands.
    Stale(KeptCallback),
    /// There is no such call-back.
    Missing,
}

/// Which call-backs to list: the newest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackQuery {
    /// At most so many.
    pub limit: usize,
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only those that are not over.
    pub open_only: bool,
    /// Only those asked for at or after this moment.
    pub since_unix_ms: Option<u64>,
    /// Only those asked for before this moment: the next page.
    pub before_unix_ms: Option<u64>,
}

impl CallbackQuery {
    /// The most one query may ask for; more is cut to this.
    pub const LIMIT_MAX: usize = 10_000;
}

impl Default for CallbackQuery {
    /// The last twenty.
    fn default() -> Self {
        Self { limit: 20, tenant: None, open_only: false, since_unix_ms: None, before_unix_ms: None }
    }
}

/// So many open call-backs of one web session are found.
pub const OF_SESSION_MAX: usize = 64;

/// How far [`CallbackBook::last_callbacks_to`] looks back.
pub const LAST_TO: usize = 16;

/// A home for call-backs.
pub trait CallbackBook: Send + Sync {
    /// Keeps a new one, unless the same request came before, the number has an open one at this tenant, or the seat it
    /// claims is taken.
    fn add_callback(&self, new: NewCallback) -> Answer<'_, Added>;

    /// One call-back.
    fn callback(&self, id: CallbackId) -> Answer<'_, Option<KeptCallback>>;

    /// What was made of a request with this `Idempotency-Key`.
    fn requested_callback(&self, tenant: TenantId, key: String) -> Answer<'_, Option<KeptCallback>>;

    /// Call-backs, the one asked for last first.
    fn callbacks(&self, query: CallbackQuery) -> Answer<'_, Vec<KeptCallback>>;

    /// Keeps a change, if it was made from the newest version.
    fn change_callback(&self, change: Change) -> Answer<'_, Changed>;

    /// Keeps a change that gives it another promised moment, if a seat is left then. Its own of before is not counted.
    fn move_callback(&self, change: Change, seat: SeatClaim) -> Answer<'_, Moved>;

    /// Takes at most `limit` call-backs whose moment has come, the longest overdue first; each has a new version, and
    /// nobody else gets it for so long. One that was being offered, dialled or talked on was its dead holder's:
    /// [`Callback::take_over`].
    fn lease_callbacks(
        &self,
        node: NodeId,
        now_unix_ms: u64,
        hold: Duration,
        limit: usize,
    ) -> Answer<'_, Vec<KeptCallback>>;

    /// Takes, at once, all that a process held which ran where this one runs: the same process before its restart. To be
    /// asked once, before the first lease; of the others that died nobody knows before their lease ends.
    fn reclaim_callbacks(&self, node: NodeId, now_unix_ms: u64, hold: Duration) -> Answer<'_, Vec<KeptCallback>>;

    /// Holds on to these for so long from now, without a new version; gives those that are still this node's.
    fn renew_callbacks(
        &self,
        node: NodeId,
        ids: Vec<CallbackId>,
        now_unix_ms: u64,
        hold: Duration,
    ) -> Answer<'_, Vec<CallbackId>>;

    /// How long until the next one must be looked at; zero when its moment has come.
    fn next_callback(&self, now_unix_ms: u64) -> Answer<'_, Option<Duration>>;

    /// The seats that are taken, by their start: open call-backs by promised moment, and what is held.
    fn taken_seats(&self, query: SeatQuery) -> Answer<'_, Taken>;

    /// Holds a seat for a while, if one is left.
    fn hold_seat(&self, hold: NewHold) -> Answer<'_, Held>;

    /// Lets go of a held seat; of one that is gone nothing is said.
    fn release_seat(&self, hold: HoldId) -> Answer<'_, ()>;

    /// How many call-backs to this number were asked for since then, at all tenants, also those that are over.
    fn callbacks_to(&self, number: String, since_unix_ms: u64) -> Answer<'_, u64>;

    /// Of the last call-backs to this number, [`LAST_TO`] at whatever tenants, those of this one; the one asked for last
    /// first.
    fn last_callbacks_to(&self, tenant: TenantId, number: String) -> Answer<'_, Vec<KeptCallback>>;

    /// The open call-backs that one web session asked for, [`OF_SESSION_MAX`] at most, the one asked for first first; of an
    /// empty session none.
    fn callbacks_of_session(&self, tenant: TenantId, session: String) -> Answer<'_, Vec<KeptCallback>>;

    /// How many are open, of one tenant or of all.
    fn open_callbacks(&self, tenant: Option<TenantId>) -> Answer<'_, u64>;
}

impl Lease {
    /// A lease that begins now.
    pub(crate) fn begun(node: NodeId, now_unix_ms: u64, hold: Duration) -> Self {
        Self { node, until_unix_ms: now_unix_ms.saturating_add(ms(hold)) }
    }
}

/// The session that a call-back is found by; none where the page said none.
pub(crate) fn session(callback: &Callback) -> Option<&str> {
    Some(callback.wish().tags.session.as_str()).filter(|session| !session.is_empty())
}

/// How long until a moment.
pub(crate) fn wait_until(at_unix_ms: u64, now_unix_ms: u64) -> Duration {
    Duration::from_millis(at_unix_ms.saturating_sub(now_unix_ms))
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When a call-back must be looked at; never again when it is over.
pub(crate) fn wake(callback: &Callback, lease: Option<&Lease>) -> Option<u64> {
    if callback.state().is_over() {
        return None;
    }
    // Nobody's and not scheduled: whoever comes next.
    Some(lease.map_or_else(|| callback.due_unix_ms().unwrap_or(0), |lease| lease.until_unix_ms))
}

/// The lease after a change.
pub(crate) fn lease_after(callback: &Callback, held: bool, lease: Option<Lease>) -> Option<Lease> {
    lease.filter(|_| keeps_lease(callback, held))
}

/// Whether a lease, if there is one, goes on.
pub(crate) fn keeps_lease(callback: &Callback, held: bool) -> bool {
    held && !callback.state().is_over() && callback.state() != CallbackState::Scheduled
}
