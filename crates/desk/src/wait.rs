//! How long somebody will wait: a range taken from how long calls lasted of late, and how often the range was kept.
//!
//! Not a formula with an average in it: the calls before him are played many times, each with handling times that have
//! really been, and what half and nine tenths of the plays stay below is told. The usual formula (mean handling time ×
//! calls in the queue / agents) is the first moment of the same thing; it knows no range, and none can be checked.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// Handling times kept; older ones say little about now.
const KEPT: usize = 256;
/// How long a call is taken to last while none has been.
const UNKNOWN: Duration = Duration::from_secs(90);
/// Plays of the queue for one estimate.
const PLAYS: usize = 200;
/// Calls before one that are played; for a longer queue the rest is taken in proportion.
const PLAYED_MAX: usize = 500;
/// Agents that are played; more make no difference a person notices.
const AGENTS_MAX: usize = 256;

/// What handling calls has cost of late: talk and the work after it.
#[derive(Clone, Debug, Default)]
pub struct Handling {
    recent: VecDeque<Duration>,
}

/// Who is there, and who comes first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Queued {
    /// Agents who could take a call now.
    pub free: usize,
    /// For each agent at work, how long already.
    pub busy_for: Vec<Duration>,
    /// Calls and call-backs that go first.
    pub before: usize,
}

/// What is told: half of those who wait like this wait less than `p50`, nine tenths less than `p90`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// The shorter end of the range.
    pub p50: Duration,
    /// The longer end.
    pub p90: Duration,
}

impl Wait {
    /// As a person is told: whole minutes, the shorter end rounded down and the longer one up, such as (3, 6).
    pub fn minutes(&self) -> (u64, u64) {
        let up = self.p90.as_secs().div_ceil(60) + u64::from(self.p90.as_secs() == 0 && !self.p90.is_zero());
        (self.p50.as_secs() / 60, up)
    }
}

impl Handling {
    /// A call is done with.
    pub fn note(&mut self, lasted: Duration) {
        if self.recent.len() >= KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(lasted);
    }

    /// The range for somebody who would come in now; `None` when nobody works, for then there is none.
    pub fn estimate(&self, queued: &Queued, rng: &mut StdRng) -> Option<Wait> {
        if queued.free + queued.busy_for.len() == 0 {
            return None;
        }
        let mut lasted: Vec<Duration> = self.recent.iter().copied().collect();
        if lasted.is_empty() {
            lasted.push(UNKNOWN);
        }
        lasted.sort_unstable();
        let played = queued.before.min(PLAYED_MAX);
        let scale = if played == 0 { 1.0 } else { queued.before as f64 / played as f64 };
        let mut waits: Vec<Duration> = (0..PLAYS).map(|_| play(&lasted, queued, played, rng)).collect();
        waits.sort_unstable();
        let at = |share: usize| waits.get(PLAYS * share / 100).copied().unwrap_or_default().mul_f64(scale);
        Some(Wait { p50: at(50), p90: at(90) })
    }
}

/// One possible course of things: whoever is free first takes whoever is next.
fn play(lasted: &[Duration], queued: &Queued, before: usize, rng: &mut StdRng) -> Duration {
    let free = std::iter::repeat_n(Duration::ZERO, queued.free);
    let busy = queued.busy_for.iter().map(|already| rest_of_a_call(lasted, *already, rng));
    let mut agents: BinaryHeap<Reverse<Duration>> = free.chain(busy).take(AGENTS_MAX).map(Reverse).collect();
    for _ in 0..before {
        let Some(mut first) = agents.peek_mut() else { break };
        first.0 += lasted[rng.random_range(0..lasted.len())];
    }
    agents.peek().map_or(Duration::ZERO, |first| first.0)
}

/// What is left of a call that has lasted so long already: one of those that lasted longer is drawn. One that lasts longer
/// than any may end at any moment.
fn rest_of_a_call(lasted: &[Duration], already: Duration, rng: &mut StdRng) -> Duration {
    let longer = lasted.get(lasted.partition_point(|one| *one <= already)..).unwrap_or_default();
    if longer.is_empty() { Duration::ZERO } else { longer[rng.random_range(0..longer.len())].saturating_sub(already) }
}

/// How often what was told came true.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calibration {
    /// Waits that were over.
    pub told: u64,
    /// ... sooner than half of them should be.
    pub under_p50: u64,
    /// ... sooner than nine tenths of them should be: the promise was kept.
    pub under_p90: u64,
}

impl Calibration {
    /// A wait is over, of which this was told.
    pub fn note(&mut self, told: Wait, waited: Duration) {
        self.told += 1;
        self.under_p50 += u64::from(waited <= told.p50);
        self.under_p90 += u64::from(waited <= told.p90);
    }

    /// The share that was kept, 0 to 1; `None` before the first.
    pub fn kept(&self) -> Option<f64> {
        (self.told > 0).then(|| self.under_p90 as f64 / self.told as f64)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn handling(times: impl IntoIterator<Item = u64>) -> Handling {
        let mut handling = Handling::default();
        times.into_iter().for_each(|seconds| handling.note(s(seconds)));
        handling
    }

    fn estimate(handling: &Handling, free: usize, busy_for: &[u64], before: usize) -> Option<Wait> {
        let busy_for = busy_for.iter().copied().map(s).collect();
        handling.estimate(&Queued { free, busy_for, before }, &mut StdRng::seed_from_u64(7))
    }

    #[test]
    fn calls_that_all_last_the_same_leave_no_doubt() {
        let exact = |seconds| Some(Wait { p50: s(seconds), p90: s(seconds) });
        let steady = handling([90; 20]);
        assert_eq!(estimate(&steady, 0, &[30], 0), exact(60));
        assert_eq!(estimate(&steady, 0, &[30], 2), exact(60 + 180));
        assert_eq!(estimate(&steady, 0, &[30, 60], 1), exact(60), "30 s for the one before, 60 s for him");
        assert_eq!(estimate(&steady, 2, &[10], 1), exact(0));
        assert_eq!(estimate(&steady, 0, &[300], 0), exact(0), "longer than any: it may end at any moment");
        assert_eq!(estimate(&steady, 0, &[], 3), None, "nobody works");
        assert_eq!(estimate(&Handling::default(), 1, &[], 1), exact(90), "90 s while nothing is known");
        assert_eq!(estimate(&steady, 1, &[], 2 * PLAYED_MAX), exact(2 * PLAYED_MAX as u64 * 90));
    }

    #[test]
    fn the_range_is_told_in_whole_minutes() {
        let told = |p50, p90| Wait { p50: s(p50), p90: s(p90) }.minutes();
        assert_eq!([told(0, 0), told(30, 60), told(185, 301), told(240, 360)], [(0, 0), (0, 1), (3, 6), (4, 6)]);
        assert_eq!(Wait { p50: Duration::ZERO, p90: Duration::from_millis(300) }.minutes(), (0, 1));
    }

    #[test]
    fn more_before_him_is_never_shorter_and_more_agents_never_longer() {
        let mixed = handling((0..100).map(|n| 20 + n * n % 400));
        let mut last = Duration::ZERO;
        for before in 0..60 {
            let wait = estimate(&mixed, 0, &[10, 50, 90], before).unwrap();
            assert!(wait.p50 <= wait.p90 && wait.p90 + s(30) >= last, "{before} before: {wait:?} after {last:?}");
            last = wait.p90;
        }
        let with = |agents: usize| estimate(&mixed, 0, &vec![30; agents], 40).unwrap().p50;
        assert!(with(2) > with(4) && with(4) > with(8) && with(8) > with(16));
    }

    /// A call centre of five on a virtual clock; what is told at the door is held against what comes.
    #[test]
    fn nine_tenths_wait_no_longer_than_they_were_told() {
        let mut rng = StdRng::seed_from_u64(20_261_122);
        let lasts = |rng: &mut StdRng| {
            let uniform: f64 = rng.random_range(f64::EPSILON..1.0);
            Duration::from_secs_f64(20.0 - 160.0 * uniform.ln())
        };
        let mut handling = Handling::default();
        (0..KEPT).for_each(|_| handling.note(lasts(&mut rng)));
        let mut calibration = Calibration::default();
        for _ in 0..4_000 {
            let before = rng.random_range(0..12);
            let begun: Vec<(Duration, Duration)> = (0..5)
                .map(|_| {
                    // Whoever looks in finds long calls more often, in proportion to their length.
                    let mut lasted = lasts(&mut rng);
                    while lasted.as_secs_f64() < rng.random_range(0.0..2_000.0) {
                        lasted = lasts(&mut rng);
                    }
                    let share: f64 = rng.random();
                    (lasted.mul_f64(share), lasted.mul_f64(1.0 - share))
                })
                .collect();
            let queued = Queued { free: 0, busy_for: begun.iter().map(|call| call.0).collect(), before };
            let told = handling.estimate(&queued, &mut rng).unwrap();
            // What really comes.
            let mut agents: Vec<Duration> = begun.iter().map(|call| call.1).collect();
            for _ in 0..before {
                let first = agents.iter_mut().min().unwrap();
                *first += lasts(&mut rng);
            }
            calibration.note(told, agents.into_iter().min().unwrap());
        }
        let half = calibration.under_p50 as f64 / calibration.told as f64;
        let kept = calibration.kept().unwrap();
        assert!((0.40..0.62).contains(&half) && (0.84..0.97).contains(&kept), "{half} {kept}");
    }
}
