//! When a message that was not taken is tried again, and when a place that does not answer is left in peace.

use std::time::{Duration, Instant};

/// After the first try.
const FIRST: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3_600);
/// After so long a message is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);
/// A pause is shortened by up to this share, so that what failed together does not come back together.
const JITTER_PERCENT: u32 = 20;

/// How long to wait after so many tries, doubling; `None`: it has been tried for a day. `chance` is any random number.
pub(super) fn pause(tries: u32, chance: u32) -> Option<Duration> {
    let plain = |tries: u32| FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    // Tries come from a row: one that was changed by hand must not hold the sum up.
    let spent: Duration = (1..tries.min(1_000)).map(plain).sum();
    (spent < GIVE_UP_AFTER).then(|| plain(tries) * (100 - chance % (JITTER_PERCENT + 1)) / 100)
}

/// Failures in a row after which a place is taken for dead.
const FAILURES_MAX: u32 = 5;
/// So often a dead place is tried all the same.
const PROBE_EVERY: Duration = Duration::from_secs(30);

/// Whether a place answers at all: while it does not, its messages must not hold up those of others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    probe_at: Option<Instant>,
}

impl Breaker {
    /// Whether something may be sent there now; of a dead place, one message in a while.
    pub(super) fn may_try(&mut self, now: Instant) -> bool {
        match self.probe_at {
            Some(at) if now < at => false,
            Some(_) => {
                self.probe_at = Some(now + PROBE_EVERY);
                true
            }
            None => true,
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.probe_at = Some(now + PROBE_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_an_hour_and_end_after_a_day() {
        let seconds: Vec<u64> = (1..=11).map(|tries| pause(tries, 0).unwrap().as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]);
        let tries = (1..).take_while(|tries| pause(*tries, 0).is_some()).count();
        assert_eq!(tries, 32);
        let all: Duration = (1..=32).map(|tries| pause(tries, 0).unwrap()).sum();
        assert!((86_400..86_400 + 3_600).contains(&all.as_secs()), "{all:?}");
        assert_eq!((pause(33, 0), pause(u32::MAX, 0)), (None, None));
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let pauses: Vec<Duration> = (0..100).map(|chance| pause(4, chance).unwrap()).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert_eq!((least.as_secs(), most.as_secs()), (64, 80));
    }

    #[test]
    fn a_place_that_is_dead_is_tried_now_and_then() {
        let start = crate::clock::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.may_try(start));
            breaker.failed(start);
        }
        assert_eq!(
            [1, 29, 30, 31, 59, 60].map(|second| breaker.may_try(at(second))),
            [false, false, true, false, false, true]
        );
        breaker.answered();
        assert!(breaker.may_try(at(61)) && breaker.may_try(at(61)));
        breaker.failed(at(62));
        assert!(breaker.may_try(at(62)), "one failure is none");
    }
}
