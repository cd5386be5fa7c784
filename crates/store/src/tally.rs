//! What was used up of a budget today: counters by name and day, shared by all who share the home.

use crate::Answer;

/// What is counted, and on which day.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tally {
    /// The day, as `2026-07-14`, on whichever clock its budget goes by.
    pub day: String,
    /// Whose budget, such as `asks:shop`. Nothing personal: it may be kept for days.
    pub name: String,
}

/// What became of an amount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// It is counted; so much is used now.
    Done(u64),
    /// It would have been too much, and is not counted; so much is used.
    Over(u64),
}

/// A home for budgets.
pub trait Tallies: Send + Sync {
    /// Counts an amount, if no more than `max` is used then. Of two who come together at the last place one gets it.
    fn count(&self, tally: Tally, amount: u64, max: u64) -> Answer<'_, Counted>;

    /// How much is used.
    fn counted(&self, tally: Tally) -> Answer<'_, u64>;

    /// Forgets the days before this one.
    fn forget_tallies(&self, before_day: String) -> Answer<'_, ()>;
}
