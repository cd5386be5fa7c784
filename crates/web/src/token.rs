//! One-use tokens between a page's click and its call: bound to origin, tenant and queue, gone after minutes.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write,
    time::{Duration, Instant},
};

use rand::{TryRngCore, rngs::OsRng};

use crate::source::SourceKey;

/// What a token entitles to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Grant {
    pub(crate) origin: String,
    pub(crate) tenant: String,
    pub(crate) queue: String,
}

/// Why no token was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IssueError {
    /// This address asked too often.
    Source,
    /// The table is full.
    Full,
    /// The operating system gave no randomness.
    NoRandomness,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RedeemError {
    /// Never issued, or long gone.
    Unknown,
    /// Shown before.
    Used,
    /// Too old.
    Expired,
    /// Issued to another site. The token is burnt.
    Origin,
}

type Key = [u8; 16];

/// The table. Rows stay for their whole life, used or not: so the bounds below also bound the pace of asking, and a
/// token shown twice is told from one never issued.
#[derive(Debug)]
pub(crate) struct Tokens {
    life: Duration,
    limit: usize,
    source_limit: usize,
    rows: HashMap<Key, Row>,
    by_source: HashMap<SourceKey, usize>,
    /// Oldest first: the life is the same for all.
    order: VecDeque<(Instant, Key, SourceKey)>,
}

#[derive(Debug)]
struct Row {
    issued: Instant,
    grant: Option<Grant>,
}

impl Tokens {
    pub(crate) fn new(life: Duration, limit: usize, source_limit: usize) -> Self {
        Self { life, limit, source_limit, rows: HashMap::new(), by_source: HashMap::new(), order: VecDeque::new() }
    }

    /// Hands out a token as 32 hexadecimal digits.
    pub(crate) fn issue(&mut self, grant: Grant, source: SourceKey, now: Instant) -> Result<String, IssueError> {
        self.forget_old(now);
        if self.by_source.get(&source).copied().unwrap_or_default() >= self.source_limit {
            return Err(IssueError::Source);
        }
        if self.order.len() >= self.limit {
            return Err(IssueError::Full);
        }
        let mut key = Key::default();
        OsRng.try_fill_bytes(&mut key).map_err(|_| IssueError::NoRandomness)?;
        self.rows.insert(key, Row { issued: now, grant: Some(grant) });
        self.order.push_back((now, key, source));
        *self.by_source.entry(source).or_default() += 1;
        Ok(to_hex(&key))
    }

    /// Takes a token; whatever the outcome, it is not good a second time.
    pub(crate) fn redeem(&mut self, token: &str, origin: &str, now: Instant) -> Result<Grant, RedeemError> {
        let key = from_hex(token).ok_or(RedeemError::Unknown)?;
        let row = self.rows.get_mut(&key).ok_or(RedeemError::Unknown)?;
        let grant = row.grant.take().ok_or(RedeemError::Used)?;
        if now.saturating_duration_since(row.issued) >= self.life {
            return Err(RedeemError::Expired);
        }
        if grant.origin != origin {
            return Err(RedeemError::Origin);
        }
        Ok(grant)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((issued, key, source)) = self.order.front().copied() {
            if now.saturating_duration_since(issued) < self.life {
                return;
            }
            self.order.pop_front();
            self.rows.remove(&key);
            if let Some(count) = self.by_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.by_source.remove(&source);
                }
            }
        }
    }
}

fn to_hex(key: &Key) -> String {
    key.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn from_hex(text: &str) -> Option<Key> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(180);

    fn grant() -> Grant {
        Grant { origin: "https://shop.fr".into(), tenant: "shop".into(), queue: "support".into() }
    }

    fn source(last: u8) -> SourceKey {
        SourceKey::of([192, 0, 2, last].into())
    }

    #[test]
    fn a_token_is_good_once_for_its_origin_within_its_life() {
        let start = Instant::now();
        let mut tokens = Tokens::new(LIFE, 10, 10);
        let token = tokens.issue(grant(), source(1), start).unwrap();
        let almost = start + LIFE - Duration::from_millis(1);
        assert_eq!(tokens.redeem(&token, "https://shop.fr", almost), Ok(grant()));
        assert_eq!(tokens.redeem(&token, "https://shop.fr", almost), Err(RedeemError::Used));

        let token = tokens.issue(grant(), source(1), start).unwrap();
        assert_eq!(tokens.redeem(&token, "https://shop.fr", start + LIFE), Err(RedeemError::Expired));

        let token = tokens.issue(grant(), source(1), start).unwrap();
        assert_eq!(tokens.redeem(&token, "https://evil.fr", start), Err(RedeemError::Origin));
        assert_eq!(tokens.redeem(&token, "https://shop.fr", start), Err(RedeemError::Used), "a stolen token is burnt");
    }

    #[test]
    fn rubbish_is_unknown() {
        let mut tokens = Tokens::new(LIFE, 10, 10);
        let long = "0".repeat(1_000);
        for token in ["", "x", "0", long.as_str(), "+0000000000000000000000000000001", "\u{e9}\u{e9}\u{e9}"] {
            assert_eq!(tokens.redeem(token, "https://shop.fr", Instant::now()), Err(RedeemError::Unknown), "{token}");
        }
    }

    #[test]
    fn the_table_is_bounded_for_one_source_and_for_all_and_empties_itself() {
        let start = Instant::now();
        let mut tokens = Tokens::new(LIFE, 5, 3);
        for _ in 0..3 {
            let token = tokens.issue(grant(), source(1), start).unwrap();
            tokens.redeem(&token, "https://shop.fr", start).unwrap();
        }
        assert_eq!(tokens.issue(grant(), source(1), start), Err(IssueError::Source), "used tokens count too");
        tokens.issue(grant(), source(2), start).unwrap();
        tokens.issue(grant(), source(2), start).unwrap();
        assert_eq!(tokens.issue(grant(), source(3), start), Err(IssueError::Full));
        tokens.issue(grant(), source(1), start + LIFE).unwrap();
        assert_eq!((tokens.rows.len(), tokens.order.len(), tokens.by_source.len()), (1, 1, 1));
    }

    #[test]
    fn tokens_do_not_repeat() {
        let start = Instant::now();
        let mut tokens = Tokens::new(LIFE, 1_000, 1_000);
        let issued: std::collections::HashSet<String> =
            (0..1_000).map(|_| tokens.issue(grant(), source(1), start).unwrap()).collect();
        assert_eq!(issued.len(), 1_000);
        assert!(issued.iter().all(|token| token.len() == 32));
    }
}
