//! SIP timers: what each one protects, from which clause, and which fires next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

#[cfg(test)]
pub(crate) mod tests;

/// Base durations of RFC 3261 §17.1.1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Round-trip estimate. Default 500 ms.
    pub t1: Duration,
    /// Longest gap between two sends of a non-INVITE request or an INVITE response. Default 4 s.
    pub t2: Duration,
    /// How long a message may live in the network. Default 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64 × T1: how long anything waits for an answer. 32 s by default.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// The next gap of a doubling schedule that stops growing at T2.
    pub(crate) fn backed_off(&self, gap: Duration) -> Duration {
        (gap * 2).min(self.t2)
    }
}

/// Why the endpoint asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// INVITE is sent again over UDP: T1, then doubling (RFC 3261 §17.1.1.2).
    A,
    /// INVITE client gives up: 64 × T1 (§17.1.1.2).
    B,
    /// INVITE client absorbs copies of a refusal: 32 s over UDP (§17.1.1.2).
    D,
    /// Any other request is sent again over UDP: T1, doubling up to T2 (§17.1.2.2).
    E,
    /// Client of any other request gives up: 64 × T1 (§17.1.2.2).
    F,
    /// INVITE server sends its refusal again over UDP: T1, doubling up to T2 (§17.2.1).
    G,
    /// INVITE server gives up waiting for the ACK of a refusal: 64 × T1 (§17.2.1).
    H,
    /// INVITE server absorbs copies of that ACK: T4 over UDP (§17.2.1).
    I,
    /// Server of any other request absorbs copies: 64 × T1 over UDP (§17.2.2).
    J,
    /// Client of any other request absorbs copies of the answer: T4 over UDP (§17.1.2.2).
    K,
    /// INVITE server absorbs INVITE copies after a 2xx: 64 × T1 (RFC 6026 §8.7).
    L,
    /// INVITE client lets 2xx copies and forks through: 64 × T1 (RFC 6026 §8.4).
    M,
    /// A 2xx to INVITE is sent again until its ACK: T1, doubling up to T2 (RFC 3261 §13.3.1.4).
    Answer,
    /// A 2xx to INVITE got no ACK: 64 × T1, then BYE (§13.3.1.4).
    AckWait,
    /// INVITE got no final answer within the caller's own limit, then CANCEL (as timer C, §16.6).
    Ring,
    /// A CANCEL, or a BYE of an early dialog, brought no final answer to the INVITE: 64 × T1 (§9.1).
    CancelWait,
    /// re-INVITE is tried again after 491 (§14.1).
    Glare,
    /// An offer within a call is left unanswered: 64 × T1, then 500 to theirs, CANCEL of ours.
    Reoffer,
    /// A session is refreshed: half of its interval (RFC 4028 §10).
    SessionRefresh,
    /// Nobody refreshed a session, then BYE (RFC 4028 §10).
    SessionExpiry,
    /// A reliable provisional answer is sent again until its PRACK: T1, doubling without an end (RFC 3262 §3).
    Provisional,
    /// A reliable provisional answer got no PRACK: 64 × T1, then 504 (RFC 3262 §3).
    PrackWait,
    /// A registration is renewed before it lapses (§10.2.4).
    Refresh,
    /// A registration that failed is tried again, later each time (RFC 5626 §4.5).
    RegisterRetry,
    /// A binding of the registrar lapses (RFC 3261 §10.3).
    Binding,
    /// A call left by a dead process: its BYE follows its CANCEL, or it is given up.
    Orphan,
    /// A connection that we opened is asked for a sign of life (RFC 5626 §4.4.1).
    Ping,
    /// That sign did not come: 10 s (RFC 5626 §4.4.1).
    Pong,
    /// A stream connection that has been silent too long, or stuck within a message, is closed.
    Idle,
}

impl Timer {
    /// Whether this is the caller's own limit on ringing: nobody answered, though the far end lives.
    pub fn is_ring_limit(self) -> bool {
        self == Self::Ring
    }
}

/// Deadlines by owner and name. One owner has each timer at most once.
#[derive(Debug)]
pub(crate) struct TimerTable<K> {
    queue: BTreeSet<(Instant, u64, K, Timer)>,
    set: BTreeMap<(K, Timer), (Instant, u64)>,
    /// Breaks ties in the order in which timers were set, so that a run with one seed has one order.
    count: u64,
}

impl<K: Copy + Ord> TimerTable<K> {
    pub(crate) fn new() -> Self {
        Self { queue: BTreeSet::new(), set: BTreeMap::new(), count: 0 }
    }

    /// Sets the owner's timer, in place of an earlier deadline of that name.
    pub(crate) fn set(&mut self, owner: K, timer: Timer, at: Instant) {
        self.cancel(owner, timer);
        self.count += 1;
        self.queue.insert((at, self.count, owner, timer));
        self.set.insert((owner, timer), (at, self.count));
    }

    /// Forgets one timer of the owner.
    pub(crate) fn cancel(&mut self, owner: K, timer: Timer) {
        if let Some((at, count)) = self.set.remove(&(owner, timer)) {
            self.queue.remove(&(at, count, owner, timer));
        }
    }

    /// Forgets every timer of the owner.
    pub(crate) fn cancel_all(&mut self, owner: K) {
        let names: Vec<Timer> =
            self.set.range((owner, Timer::A)..=(owner, Timer::Idle)).map(|((_, timer), _)| *timer).collect();
        for timer in names {
            self.cancel(owner, timer);
        }
    }

    /// The next deadline and its name.
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        self.queue.first().map(|(at, _, _, timer)| (*at, *timer))
    }

    /// Takes one timer whose deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(K, Timer)> {
        let (at, count, owner, timer) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.remove(&(at, count, owner, timer));
        self.set.remove(&(owner, timer));
        Some((owner, timer))
    }

    /// How many timers run.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }
}
