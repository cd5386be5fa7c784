//! Whose turn it is among those who wait: by place, by priority that ages, or by what waiting costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{CallbackId, Wish, ms};

/// How those who wait are put in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// By the time they asked.
    Fifo,
    /// Each step of priority is a head start of so long: who asked that much earlier goes first all the same, so that
    /// nobody is passed over for ever.
    Priority {
        /// Head start of one step.
        head_start: Duration,
    },
    /// First whoever loses most by waiting on.
    Satisfaction(Satisfaction),
}

impl Order {
    /// The head start of one step of priority unless somebody says otherwise.
    pub const HEAD_START: Duration = Duration::from_secs(600);

    /// From when on somebody waits in this order: from when he asked, which keeps his place also while he waits for the
    /// time he chose; where waiting costs, from when it begins to cost.
    pub fn counts_from(self, asked_unix_ms: u64, promised_unix_ms: u64) -> u64 {
        match self {
            Self::Fifo | Self::Priority { .. } => asked_unix_ms,
            Self::Satisfaction(_) => asked_unix_ms.max(promised_unix_ms),
        }
    }

    /// The stable word for the configuration, tables and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Priority { .. } => "priority",
            Self::Satisfaction(_) => "satisfaction",
        }
    }
}

/// What waiting costs: nothing at once, `loss_at_soon` after `soon`, `loss_at_late` after `late`, and no more from there.
/// The articles say 30 to 40 % by the delay; the two times are the tenant's own assumption.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Satisfaction {
    /// First corner of the curve.
    pub soon: Duration,
    /// Second corner.
    pub late: Duration,
    /// Loss at the first corner, per mille.
    pub loss_at_soon: u16,
    /// Loss at the second corner, per mille.
    pub loss_at_late: u16,
    /// Who has waited so long goes before everybody: the curve alone would leave him last.
    pub ceiling: Duration,
}

impl Default for Satisfaction {
    /// 30 % after 4 minutes and 40 % after 15, the articles' own figures; half an hour is the most.
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self { soon: minutes(4), late: minutes(15), loss_at_soon: 300, loss_at_late: 400, ceiling: minutes(30) }
    }
}

impl Satisfaction {
    /// The loss after this wait, 0 to 1.
    pub fn loss(&self, waited: Duration) -> f64 {
        let (soon, late) = (self.soon.as_secs_f64(), self.late.as_secs_f64().max(self.soon.as_secs_f64()));
        let (low, high) = (f64::from(self.loss_at_soon) / 1_000.0, f64::from(self.loss_at_late) / 1_000.0);
        let waited = waited.as_secs_f64();
        if waited < soon {
            low * waited / soon
        } else if waited < late {
            low + (high - low) * (waited - soon) / (late - soon)
        } else {
            high
        }
    }
}

/// Those who wait in one queue. Adding, taking and leaving are O(log n).
#[derive(Clone, Debug)]
pub struct Waiting {
    order: Order,
    /// By rank, then by name, so that equals always come out the same way.
    by_rank: BTreeSet<(u64, CallbackId)>,
    ranks: BTreeMap<CallbackId, u64>,
}

/// Ranks count from here, so that a head start before the year 1970 has room.
const RANK_ORIGIN: u64 = 1 << 62;

impl Waiting {
    /// Nobody yet.
    pub const fn new(order: Order) -> Self {
        Self { order, by_rank: BTreeSet::new(), ranks: BTreeMap::new() }
    }

    /// He waits, with the place of the time he asked. A second time changes his place to the new one.
    pub fn add(&mut self, id: CallbackId, asked_unix_ms: u64, priority: u8) {
        self.remove(id);
        let rank = match self.order {
            Order::Priority { head_start } => (RANK_ORIGIN + asked_unix_ms.min(RANK_ORIGIN))
                .saturating_sub(ms(head_start).saturating_mul(u64::from(priority))),
            Order::Fifo | Order::Satisfaction(_) => RANK_ORIGIN + asked_unix_ms.min(RANK_ORIGIN),
        };
        self.by_rank.insert((rank, id));
        self.ranks.insert(id, rank);
    }

    /// He waits, with the place his wish gives him.
    pub fn place(&mut self, id: CallbackId, wish: &Wish) {
        self.add(id, self.order.counts_from(wish.asked_unix_ms, wish.promised_unix_ms), wish.priority);
    }

    /// He waits no longer; false when he did not.
    pub fn remove(&mut self, id: CallbackId) -> bool {
        self.ranks.remove(&id).is_some_and(|rank| self.by_rank.remove(&(rank, id)))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// All who wait, by their places.
    pub fn by_place(&self) -> impl Iterator<Item = CallbackId> + '_ {
        self.by_rank.iter().map(|(_, id)| *id)
    }

    /// The same, each with its place: it stays while others come and go.
    pub fn ranked(&self) -> impl Iterator<Item = (u64, CallbackId)> + '_ {
        self.by_rank.iter().copied()
    }

    /// Whose turn it is.
    pub fn first(&self, now_unix_ms: u64) -> Option<CallbackId> {
        match self.order {
            Order::Fifo | Order::Priority { .. } => self.oldest_from(0),
            Order::Satisfaction(curve) => self.dearest(curve, now_unix_ms),
        }
    }

    /// The curve is straight between its corners: within a piece all lose equally fast, and the oldest goes first. Which
    /// piece is steeper is the tenant's.
    fn dearest(&self, curve: Satisfaction, now_unix_ms: u64) -> Option<CallbackId> {
        let asked_before = |waited: Duration| RANK_ORIGIN + now_unix_ms.saturating_sub(ms(waited));
        let oldest = self.oldest_from(0)?;
        if self.ranks.get(&oldest).is_some_and(|rank| *rank <= asked_before(curve.ceiling)) {
            return Some(oldest);
        }
        let (soon, late) = (asked_before(curve.soon), asked_before(curve.late.max(curve.soon)));
        let first_piece = self.oldest_from(soon + 1);
        let second_piece = self.oldest_between(late + 1, soon);
        let first_is_steeper = curve.loss(curve.soon) * (curve.late.saturating_sub(curve.soon)).as_secs_f64()
            >= (curve.loss(curve.late) - curve.loss(curve.soon)) * curve.soon.as_secs_f64();
        let pieces = if first_is_steeper { [first_piece, second_piece] } else { [second_piece, first_piece] };
        pieces.into_iter().flatten().next().or(Some(oldest))
    }

    fn oldest_from(&self, rank: u64) -> Option<CallbackId> {
        self.oldest_between(rank, u64::MAX)
    }

    fn oldest_between(&self, from: u64, to: u64) -> Option<CallbackId> {
        if from > to {
            return None;
        }
        let range = (from, CallbackId::new(0))..=(to, CallbackId::new(u128::MAX));
        self.by_rank.range(range).next().map(|(_, id)| *id)
    }
}
