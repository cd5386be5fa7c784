//! Budgets by address: how many calls at once, how many requests a minute.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::{Bound, DeskLimits, Refusal};

/// Addresses remembered at once; beyond it strangers are refused until some are forgotten.
const MAX_ADDRESSES: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(60);
/// Looking for addresses to forget costs a walk over all: not more often than this.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Who counts as one: an IPv4 address, or an IPv6 /64, which is what one subscriber has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[derive(Debug)]
struct Account {
    live: usize,
    asks: usize,
    window_ends: Instant,
}

/// What each address has used.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    accounts: BTreeMap<Source, Account>,
    forgotten_at: Option<Instant>,
}

impl Budgets {
    /// One more request: counted whatever becomes of it.
    pub(crate) fn ask(&mut self, source: Source, limits: &DeskLimits, now: Instant) -> Result<(), Refusal> {
        if !self.accounts.contains_key(&source) && !self.has_room(now) {
            return Err(Refusal::TooMany(Bound::Rate));
        }
        let fresh = Account { live: 0, asks: 0, window_ends: now + WINDOW };
        let account = self.accounts.entry(source).or_insert(fresh);
        if account.window_ends <= now {
            (account.asks, account.window_ends) = (0, now + WINDOW);
        }
        account.asks = account.asks.saturating_add(1);
        if account.asks > limits.asks_per_address_per_minute {
            return Err(Refusal::TooMany(Bound::Rate));
        }
        if account.live >= limits.live_per_address {
            return Err(Refusal::TooMany(Bound::Address));
        }
        Ok(())
    }

    /// A call of this address starts.
    pub(crate) fn take(&mut self, source: Source) {
        if let Some(account) = self.accounts.get_mut(&source) {
            account.live += 1;
        }
    }

    /// ... and has ended.
    pub(crate) fn give_back(&mut self, source: Source) {
        if let Some(account) = self.accounts.get_mut(&source) {
            account.live = account.live.saturating_sub(1);
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let may_look = self.forgotten_at.is_none_or(|at| at + FORGET_EVERY <= now);
        if self.accounts.len() >= MAX_ADDRESSES && may_look {
            self.forgotten_at = Some(now);
            self.accounts.retain(|_, account| account.live > 0 || account.window_ends > now);
        }
        self.accounts.len() < MAX_ADDRESSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeskLimits = DeskLimits { live_per_address: 2, asks_per_address_per_minute: 3, live_calls: 10 };

    #[expect(clippy::disallowed_methods, reason = "only the origin of the virtual clock")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn one_subscriber_is_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.2"), source("192.0.2.1"));
    }

    #[test]
    fn asks_are_counted_by_the_minute_and_calls_while_they_live() {
        let (mut budgets, t0, visitor) = (Budgets::default(), t0(), source("192.0.2.1"));
        let ask = |budgets: &mut Budgets, s: u64| budgets.ask(visitor, &LIMITS, t0 + Duration::from_secs(s));
        assert_eq!(ask(&mut budgets, 0), Ok(()));
        budgets.take(visitor);
        assert_eq!(ask(&mut budgets, 1), Ok(()));
        budgets.take(visitor);
        assert_eq!(ask(&mut budgets, 2), Err(Refusal::TooMany(Bound::Address)));
        assert_eq!(ask(&mut budgets, 59), Err(Refusal::TooMany(Bound::Rate)));
        budgets.give_back(visitor);
        assert_eq!(ask(&mut budgets, 60), Ok(()), "a new minute, and one call is over");
    }

    #[test]
    fn strangers_beyond_the_table_are_refused_and_old_ones_forgotten() {
        let (mut budgets, t0) = (Budgets::default(), t0());
        for host in 0..MAX_ADDRESSES as u32 {
            let stranger = Source::of(IpAddr::V4((0x0a00_0000 + host).into()));
            assert_eq!(budgets.ask(stranger, &LIMITS, t0), Ok(()));
        }
        let known = source("10.0.0.0");
        budgets.take(known);
        let late = source("192.0.2.1");
        assert_eq!(budgets.ask(late, &LIMITS, t0), Err(Refusal::TooMany(Bound::Rate)));
        assert_eq!(budgets.ask(known, &LIMITS, t0), Ok(()), "who is known already is not shut out");
        assert_eq!(budgets.ask(late, &LIMITS, t0 + WINDOW), Ok(()));
        assert_eq!(budgets.accounts.len(), 2, "whoever has a call is kept");
    }
}
