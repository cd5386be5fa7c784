//! When opening hours open and close next, through holidays, exceptions and changes of the clock.
//!
//! Only two things open or close a door: the wall clock reaching the edge of a span, and the wall clock being moved.
//! So the search goes from edge to edge and asks [`Hours::is_open`] at each; between two it cannot change.

use crate::Hours;
use crate::hours::DAY_MINUTES;
use crate::zone::unix_ms;

/// Hours that do not open within this time never do.
const SEARCH_DAYS: u64 = 400;
const MINUTE_MS: i64 = 60_000;

impl Hours {
    /// How far [`next_opening`](Self::next_opening) and the others look.
    pub const SEARCH_MS: u64 = SEARCH_DAYS * 86_400_000;

    /// The first moment, from this one on, at which it is open; `None` if it does not open within 400 days.
    pub fn next_instant_open(&self, unix_ms: u64) -> Option<u64> {
        self.first(unix_ms, true, Self::SEARCH_MS)
    }

    /// The next time the door opens after this moment: if it is open now, the time after it has closed.
    pub fn next_opening(&self, unix_ms: u64) -> Option<u64> {
        let closed = self.first(unix_ms, false, Self::SEARCH_MS)?;
        let limit_ms = Self::SEARCH_MS.saturating_sub(closed - unix_ms);
        self.first(closed, true, limit_ms)
    }

    /// When it closes; `None` if it is closed now, or stays open for 400 days.
    pub fn closes_at(&self, unix_ms: u64) -> Option<u64> {
        if self.is_open(unix_ms) { self.first(unix_ms, false, Self::SEARCH_MS) } else { None }
    }

    /// Whether it is open now and will be for so long.
    pub fn is_open_for(&self, unix_ms: u64, length_ms: u64) -> bool {
        let closes_at = || self.first(unix_ms, false, length_ms);
        self.is_open(unix_ms) && closes_at().is_none_or(|closes_at| closes_at - unix_ms >= length_ms)
    }

    /// The first moment from this one on, and no later than the limit, that is open (or closed).
    fn first(&self, unix_ms: u64, open: bool, limit_ms: u64) -> Option<u64> {
        let last = unix_ms.saturating_add(limit_ms);
        let mut at = unix_ms;
        while self.is_open(at) != open {
            at = self.next_edge(at).filter(|next| *next <= last)?;
        }
        Some(at)
    }

    /// The next moment at which it may open or close, at latest the next midnight; always later than `at_ms`.
    fn next_edge(&self, at_ms: u64) -> Option<u64> {
        let (at, local, _) = self.zone().local(at_ms)?;
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let within_minute_ms = i64::from(local.second()) * 1_000 + i64::from(local.millisecond());
        let midnight = i64::from(DAY_MINUTES);
        let edges = self.spans_around(local.date()).flat_map(|span| [span.start, span.end]);
        let edge = edges.filter(|edge| *edge > minute).fold(midnight, i64::min);
        let wait_ms = u64::try_from((edge - minute) * MINUTE_MS - within_minute_ms).ok()?;
        let by_the_clock = at_ms.checked_add(wait_ms)?;
        let change = self.zone().next_change(at).and_then(unix_ms);
        Some(change.map_or(by_the_clock, |change| change.min(by_the_clock)))
    }
}
