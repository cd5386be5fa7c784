//! RTP port pairs of one media worker: even port for RTP, the next one for RTCP, drained before reuse.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long a freed port rests, so that a late packet of the old call never reaches the next one.
const DRAIN: Duration = Duration::from_secs(5);

/// The even ports a worker may use. Single owner: no lock.
#[derive(Debug)]
pub(crate) struct PortPool {
    free: VecDeque<u16>,
    draining: VecDeque<(Instant, u16)>,
    total: usize,
}

impl PortPool {
    /// The share of `range` that belongs to `worker` of `workers`: pairs are dealt in turn.
    pub(crate) fn share(range: &RangeInclusive<u16>, worker: usize, workers: usize) -> Self {
        let even = range.clone().filter(|port| port % 2 == 0 && *port < *range.end());
        let free: VecDeque<u16> =
            even.enumerate().filter(|(index, _)| index % workers.max(1) == worker).map(|(_, port)| port).collect();
        let total = free.len();
        Self { free, draining: VecDeque::new(), total }
    }

    /// The port rested longest, or `None` when all are in use or draining.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u16> {
        while let Some((until, port)) = self.draining.front().copied() {
            if until > now {
                break;
            }
            self.draining.pop_front();
            self.free.push_back(port);
        }
        self.free.pop_front()
    }

    /// Gives a port back; it rests for [`DRAIN`] first.
    pub(crate) fn give(&mut self, port: u16, now: Instant) {
        self.draining.push_back((now + DRAIN, port));
    }

    /// Ports neither free nor draining: what calls hold. Zero when no call is up.
    pub(crate) fn in_use(&self) -> usize {
        self.total - self.free.len() - self.draining.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn shares_are_even_disjoint_and_whole() {
        let mut all: Vec<u16> = Vec::new();
        for worker in 0..3 {
            all.extend(PortPool::share(&(20_000..=20_019), worker, 3).free);
        }
        all.sort_unstable();
        assert_eq!(all, (20_000..20_020).step_by(2).collect::<Vec<u16>>());
    }

    #[test]
    fn a_freed_port_rests_before_it_is_used_again() {
        let start = now();
        let mut pool = PortPool::share(&(20_000..=20_003), 0, 1);
        assert_eq!(pool.take(start), Some(20_000));
        assert_eq!(pool.take(start), Some(20_002));
        assert_eq!(pool.take(start), None);
        assert_eq!(pool.in_use(), 2);
        pool.give(20_000, start);
        assert_eq!(pool.take(start + Duration::from_secs(4)), None);
        assert_eq!(pool.take(start + Duration::from_secs(5)), Some(20_000));
    }
}
