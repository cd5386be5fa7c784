//! Seats of slots: who takes one, and who holds one for a while. How many are left is [`SeatRule`]'s to say; that nobody
//! else takes one between the question and the answer is the home's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use call::{QueueId, TenantId};
use desk::SeatRule;

use crate::Changed;

/// Names a held seat; whoever knows it may use it or let it go.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HoldId(pub u128);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for HoldId {
    type Err = std::num::ParseIntError;

    /// Thirty-two hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// That a call-back is kept only if a seat is left at its promised moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SeatClaim {
    /// How seats are counted.
    pub rule: SeatRule,
    /// His own hold, if he has one: it is not counted, and it is used up.
    pub hold: Option<HoldId>,
    /// The caller's clock, for holds that are over; as with [`crate::CallbackBook::lease_callbacks`].
    pub now_unix_ms: u64,
}

/// A seat to be held for a while.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewHold {
    /// Its name; nobody else may guess it.
    pub id: HoldId,
    /// Whose slots.
    pub queue: (TenantId, QueueId),
    /// Which slot.
    pub start_unix_ms: u64,
    /// How seats are counted.
    pub rule: SeatRule,
    /// Who holds it: he has one at a time, and a new one takes the place of the one before.
    pub holder: String,
    /// Where he comes from, for the limit.
    pub source: String,
    /// The caller's clock.
    pub now_unix_ms: u64,
    /// For so long.
    pub hold: Duration,
    /// How many may be held.
    pub limits: HoldLimits,
}

/// How many seats may be held at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HoldLimits {
    /// By those who come from one place.
    pub per_source: u32,
    /// At one tenant.
    pub per_tenant: u32,
}

/// What became of a seat to be held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// It is held.
    Yes,
    /// No seat is left. What he held before he holds still.
    Full,
    /// As many as may be are held. What he held before he holds still.
    TooMany,
}

/// Which seats to count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeatQuery {
    /// Whose slots.
    pub queue: (TenantId, QueueId),
    /// From this start on.
    pub from_unix_ms: u64,
    /// Before this one.
    pub to_unix_ms: u64,
    /// The caller's clock, for holds that are over.
    pub now_unix_ms: u64,
    /// The asker's own hold, which is not counted.
    pub own: Option<HoldId>,
}

/// What became of another time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is made once a move, and taken apart at once")]
pub enum Moved {
    /// The change was judged like any other.
    Changed(Changed),
    /// No seat is left then; nothing was changed.
    Full,
}
