//! Timers on a virtual clock.

use super::*;

/// A start for virtual clocks: `Instant` has no other constructor.
#[allow(clippy::disallowed_methods)] // tests only; every later moment is this one plus a duration
pub(crate) fn start() -> Instant {
    Instant::now()
}

#[test]
fn timers_fire_by_time_then_in_the_order_they_were_set() {
    let start = start();
    let mut table = TimerTable::new();
    table.set(2_u32, Timer::B, start + Duration::from_secs(2));
    table.set(1, Timer::A, start + Duration::from_secs(1));
    table.set(3, Timer::A, start + Duration::from_secs(1));
    assert_eq!(table.next(), Some((start + Duration::from_secs(1), Timer::A)));
    assert_eq!(table.pop_due(start), None);
    let late = start + Duration::from_secs(9);
    assert_eq!(table.pop_due(late), Some((1, Timer::A)));
    assert_eq!(table.pop_due(late), Some((3, Timer::A)));
    assert_eq!(table.pop_due(late), Some((2, Timer::B)));
    assert_eq!(table.pop_due(late), None);
    assert_eq!(table.len(), 0);
}
