//! Bearer tokens of agents: made with extension and password, good for a shift, gone with the process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rand::{TryRngCore, rngs::OsRng};

/// A shift and a bit.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 3_600);
/// Of one agent; the oldest makes room.
const OF_ONE_MAX: usize = 8;
/// In all; the oldest makes room.
const MAX: usize = 2_000;

/// The tokens that are good.
#[derive(Debug, Default)]
pub(crate) struct Bearers(HashMap<String, (String, Instant)>);

impl Bearers {
    /// A token for this agent; `None` when the operating system gives no randomness.
    pub(crate) fn issue(&mut self, extension: &str, now: Instant) -> Option<String> {
        self.0.retain(|_, (_, issued)| now.saturating_duration_since(*issued) < LIFE);
        let own = self.0.values().filter(|(of, _)| of == extension).count();
        if own >= OF_ONE_MAX {
            self.drop_oldest(|of| of == extension);
        }
        if self.0.len() >= MAX {
            self.drop_oldest(|_| true);
        }
        let mut bytes = [0; 16];
        OsRng.try_fill_bytes(&mut bytes).ok()?;
        let token = format!("{:032x}", u128::from_be_bytes(bytes));
        self.0.insert(token.clone(), (extension.to_owned(), now));
        Some(token)
    }

    fn drop_oldest(&mut self, of: impl Fn(&str) -> bool) {
        let own = self.0.iter().filter(|(_, (extension, _))| of(extension));
        if let Some(token) = own.min_by_key(|(_, (_, issued))| *issued).map(|(token, _)| token.clone()) {
            self.0.remove(&token);
        }
    }

    /// Whose it is. 128 random bits are not guessed by the time a look-up takes.
    pub(crate) fn agent(&self, token: &str, now: Instant) -> Option<String> {
        let (extension, issued) = self.0.get(token)?;
        (now.saturating_duration_since(*issued) < LIFE).then(|| extension.clone())
    }

    /// It is good no more.
    pub(crate) fn revoke(&mut self, token: &str) {
        self.0.remove(token);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_agents_until_his_shift_is_over_or_he_leaves() {
        let (mut bearers, now) = (Bearers::default(), Instant::now());
        let token = bearers.issue("1001", now).unwrap();
        let other = bearers.issue("1002", now).unwrap();
        assert_eq!((token.len(), bearers.agent(&token, now).as_deref()), (32, Some("1001")));
        assert_eq!(bearers.agent("", now), None);
        assert_eq!(bearers.agent(&token, now + LIFE), None);
        bearers.revoke(&token);
        assert_eq!((bearers.agent(&token, now), bearers.agent(&other, now).as_deref()), (None, Some("1002")));
    }

    #[test]
    fn of_many_tokens_of_one_agent_the_newest_are_good() {
        let (mut bearers, start) = (Bearers::default(), Instant::now());
        let other = bearers.issue("1002", start).unwrap();
        let seconds = (0_u32..).map(|second| start + Duration::from_secs(second.into()));
        let all: Vec<String> = seconds.take(OF_ONE_MAX + 1).map(|at| bearers.issue("1001", at).unwrap()).collect();
        let good = all.iter().filter(|token| bearers.agent(token, start).is_some()).count();
        assert_eq!((good, bearers.agent(&all[0], start)), (OF_ONE_MAX, None));
        assert!(bearers.agent(&other, start).is_some(), "another's stay");
    }
}
