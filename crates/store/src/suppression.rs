//! Numbers that are not to be called, kept so that nobody can read them: a keyed hash each, with when and why.
//!
//! A telephone number has so few digits that a plain hash of it can be searched for; the key, which this room never
//! sees, makes the difference. Each row names the key it was made with, so that a changed key is noticed.

use std::collections::BTreeMap;
use std::fmt;

use crate::Answer;

/// The keyed hash of a number: HMAC-SHA256, 32 bytes.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NumberHash(pub [u8; 32]);

impl NumberHash {
    /// What [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who does not want this number called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SuppressedBy {
    /// Whoever picked up: key 9, "this was not me".
    Recipient,
    /// Whoever had the link of a call-back's page.
    Link,
    /// An administrator.
    Admin,
}

impl SuppressedBy {
    const ALL: [Self; 3] = [Self::Recipient, Self::Link, Self::Admin];

    /// The word it is kept by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Link => "link",
            Self::Admin => "admin",
        }
    }

    /// A word this program does not know was an administrator's of tomorrow: the number stays suppressed.
    pub(crate) fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|by| by.code() == code).unwrap_or(Self::Admin)
    }
}

/// A number that is not to be called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suppression {
    /// The number, hashed.
    pub hash: NumberHash,
    /// With which key, by a name that says nothing of it.
    pub key_id: String,
    /// When it was last said.
    pub at_unix_ms: u64,
    /// By whom.
    pub by: SuppressedBy,
}

/// A home for the list of numbers that are not to be called.
pub trait Suppressions: Send + Sync {
    /// Keeps one. Said again, the newer word stays: its time, its key and who said it.
    fn suppress(&self, suppression: Suppression) -> Answer<'_, ()>;

    /// The first of these that is on the list.
    fn suppressed(&self, hashes: Vec<NumberHash>) -> Answer<'_, Option<Suppression>>;

    /// Takes these off the list; says how many were on it.
    fn unsuppress(&self, hashes: Vec<NumberHash>) -> Answer<'_, u64>;

    /// The newest first, at most so many.
    fn suppressions(&self, limit: usize) -> Answer<'_, Vec<Suppression>>;

    /// How many there are under each key.
    fn suppression_keys(&self) -> Answer<'_, BTreeMap<String, u64>>;

    /// Forgets what was last said before this moment; says how many.
    fn forget_suppressions(&self, before_unix_ms: u64) -> Answer<'_, u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_as_it_was_written() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (0x0f, 0xa0);
        let hash = NumberHash(bytes);
        assert_eq!(NumberHash::parse(&hash.to_string()), Some(hash));
        for wrong in ["", "0f", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(NumberHash::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_word_reads_back() {
        for by in SuppressedBy::ALL {
            assert_eq!(SuppressedBy::from_code(by.code()), by);
        }
    }
}
