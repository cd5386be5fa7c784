//! Whose datagrams wait when the driver is behind: who sends by the thousand loses some before others lose one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::network;

/// Over which datagrams are counted.
const SPAN: Duration = Duration::from_millis(100);
/// What one sender may put into a crowded inbox within a span.
const EACH_MAX: u32 = 100;
/// Senders counted apart; more than that share one count. In a flood of invented addresses these are the invented ones, as
/// a rule: those who speak all the time come early in each span.
const SENDERS_MAX: usize = 4_096;

/// Counts of the present span.
#[derive(Debug)]
pub(super) struct Share {
    until: Option<Instant>,
    counts: HashMap<IpAddr, u32>,
    others: u32,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { until: None, counts: HashMap::new(), others: 0 }
    }

    /// Whether a datagram may wait. `crowded`: the inbox is half full, which a driver that keeps up never sees.
    pub(super) fn admits(&mut self, from: IpAddr, crowded: bool, now: Instant) -> bool {
        if self.until.is_none_or(|until| now >= until) {
            self.until = Some(now + SPAN);
            self.counts.clear();
            self.others = 0;
        }
        let from = network(from);
        let full = self.counts.len() >= SENDERS_MAX;
        let count = match self.counts.get_mut(&from) {
            Some(count) => count,
            None if full => &mut self.others,
            None => self.counts.entry(from).or_default(),
        };
        *count = count.saturating_add(1);
        !crowded || *count <= EACH_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ip(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    #[test]
    fn in_a_crowd_who_sends_most_loses_and_others_do_not() {
        let mut share = Share::new();
        let mut now = clock::now();
        for _ in 0..10 {
            let served = (0..2_000).filter(|_| share.admits(ip(1), true, now)).count();
            assert_eq!(served, 100);
            assert!((0..20).all(|_| share.admits(ip(2), true, now)), "the other call's BYE");
            now += SPAN;
        }
        assert!((0..2_000).all(|_| share.admits(ip(1), false, now)), "without a crowd nobody is counted out");
    }

    #[test]
    fn invented_senders_share_one_count_and_no_memory() {
        let mut share = Share::new();
        let now = clock::now();
        assert!(share.admits(ip(1), true, now));
        let served = (2..100_000).filter(|number| share.admits(ip(*number), true, now)).count();
        assert_eq!(served, SENDERS_MAX - 1 + EACH_MAX as usize);
        assert_eq!(share.counts.len(), SENDERS_MAX);
        assert!(share.admits(ip(1), true, now));
    }
}
