//! Proof of work, ALTCHA's scheme and nobody's service: a page computes for a moment, so that asking a thousand times costs.
//!
//! ```text
//! gateway: number in 0..=max, salt = random?expires=T&, challenge = SHA-256(salt number), signature = HMAC(challenge)
//! page:    tries 0, 1, 2, … until SHA-256(salt n) is the challenge; sends base64(JSON of it all)
//! ```
//! Nothing is kept of a challenge until it is solved; then it is remembered until it expires, so that it is good once.
//! The salt ends in `&`: without it, digits could be moved from the number into the time, and an old challenge would live
//! for ever (altcha-lib, 2025). The key is this process's own, as the tokens are.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use rand::{Rng, TryRngCore, rngs::OsRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "SHA-256";
/// A solved challenge is longer than any of ours.
pub(crate) const PROOF_BYTES: usize = 1_024;

/// When a page has to work before it may ask for a call-back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProofDemand {
    /// Never.
    Off,
    /// When its address, or its site, asks for more than usual.
    Busy,
    /// Each time.
    Always,
}

/// A riddle, in the names ALTCHA has for its parts: find the number.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Challenge {
    /// The digest.
    #[schemars(extend("const" = ALGORITHM))]
    algorithm: &'static str,
    /// The digest of the salt and the number in decimal digits, in hexadecimal.
    challenge: String,
    /// The number is at most this.
    maxnumber: u32,
    /// Comes before the number; says when the riddle expires, seconds since 1970.
    salt: String,
    /// By which the gateway knows its riddle again.
    signature: String,
}

/// A riddle and its answer.
#[derive(Deserialize)]
struct Solved {
    algorithm: String,
    challenge: String,
    number: u32,
    salt: String,
    signature: String,
}

/// Why a proof is not good. The page is told to solve another, whichever it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BadProof {
    /// Not in the form of one.
    Form,
    /// Not ours, or not the answer.
    Wrong,
    /// Too old.
    Expired,
    /// Shown before.
    Used,
    /// So many were solved lately that no more can be remembered.
    Full,
}

/// Riddles and those that were solved.
#[derive(Debug)]
pub(crate) struct Proofs {
    key: [u8; 32],
    life_ms: u64,
    limit: usize,
    max: u32,
    used: HashSet<[u8; 32]>,
    /// Oldest first.
    order: VecDeque<(u64, [u8; 32])>,
}

impl Proofs {
    /// `limit` solved ones are remembered; numbers are up to `max`.
    pub(crate) fn new(life_ms: u64, limit: usize, max: u32) -> Self {
        Self { key: rand::rng().random(), life_ms, limit, max, used: HashSet::new(), order: VecDeque::new() }
    }

    /// A new riddle; `None` when the system gives no randomness.
    pub(crate) fn challenge(&self, now_unix_ms: u64) -> Option<Challenge> {
        let mut random = [0; 16];
        OsRng.try_fill_bytes(&mut random).ok()?;
        let number = rand::rng().random_range(0..=self.max);
        let expires_s = now_unix_ms.saturating_add(self.life_ms) / 1_000;
        let salt = format!("{}?expires={expires_s}&", hex(&random));
        let digest = digest(&salt, number);
        Some(Challenge {
            algorithm: ALGORITHM,
            challenge: hex(&digest),
            maxnumber: self.max,
            salt,
            signature: hex(&self.sign(&digest)),
        })
    }

    /// Takes an answer; it is good once.
    pub(crate) fn take(&mut self, payload: &str, now_unix_ms: u64) -> Result<(), BadProof> {
        let decoded = base64(payload).ok_or(BadProof::Form)?;
        let solved: Solved = serde_json::from_slice(&decoded).map_err(|_| BadProof::Form)?;
        if solved.algorithm != ALGORITHM {
            return Err(BadProof::Form);
        }
        let expires_s: u64 = solved
            .salt
            .split_once("?expires=")
            .and_then(|(_, rest)| rest.strip_suffix('&'))
            .and_then(|text| text.parse().ok())
            .ok_or(BadProof::Form)?;
        let digest = digest(&solved.salt, solved.number);
        if hex(&digest) != solved.challenge || !same(&hex(&self.sign(&digest)), &solved.signature) {
            return Err(BadProof::Wrong);
        }
        if expires_s.saturating_mul(1_000) <= now_unix_ms {
            return Err(BadProof::Expired);
        }
        self.forget_old(now_unix_ms);
        if self.used.contains(&digest) {
            return Err(BadProof::Used);
        }
        if self.used.len() >= self.limit {
            return Err(BadProof::Full);
        }
        self.used.insert(digest);
        // Each lives as long as the last it could have come with, so the order is kept whatever the page's own pace.
        self.order.push_back((now_unix_ms.saturating_add(self.life_ms), digest));
        Ok(())
    }

    fn forget_old(&mut self, now_unix_ms: u64) {
        while let Some((_, digest)) = self.order.front().copied().filter(|(until, _)| *until <= now_unix_ms) {
            self.order.pop_front();
            self.used.remove(&digest);
        }
    }

    fn sign(&self, digest: &[u8; 32]) -> [u8; 32] {
        // HMAC takes a key of any length.
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key) else { return [0; 32] };
        mac.update(hex(digest).as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn digest(salt: &str, number: u32) -> [u8; 32] {
    Sha256::digest(format!("{salt}{number}").as_bytes()).into()
}

/// Compares without telling by time where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// RFC 4648 §4, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() > PROOF_BYTES || text.len() % 4 == 1 {
        return None;
    }
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, Vec::with_capacity(text.len() * 3 / 4));
    for letter in text {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = ((bits << 6 | u32::from(six)) & 0xff_ffff, held + 6);
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
pub(crate) mod tests;
