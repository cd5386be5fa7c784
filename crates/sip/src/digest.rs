//! Digest authentication, both sides: MD5, SHA-256, SHA-512/256, qop auth (RFC 7616, RFC 8760).

use std::time::{Duration, Instant};

use crate::message::{Headers, Method};

/// A hash of RFC 8760.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// For old PBXs.
    Md5,
    /// The one to prefer.
    Sha256,
    /// SHA-512/256 of FIPS 180-4.
    Sha512_256,
}

/// What an account knows instead of its password: H(user:realm:password) for each algorithm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountSecret {
    md5: String,
    sha256: String,
    sha512_256: String,
}

impl AccountSecret {
    /// Hashes a password once.
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        todo!("{user} {realm} {password}")
    }

    /// HA1 in lower-case hex.
    pub fn ha1(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512_256 => &self.sha512_256,
        }
    }
}

/// A user name and password this side proves itself with. Shown nowhere: `Debug` hides the password.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// The only realm to answer; `None` answers any (SECURITY S7: prefer to name it).
    pub realm: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A challenge (WWW-Authenticate, Proxy-Authenticate).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// Realm.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Opaque.
    pub opaque: Option<String>,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Whether qop=auth is offered.
    pub qop_auth: bool,
    /// The last answer was right but its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// Every challenge of a response this room can answer, in order; unknown schemes and algorithms left out.
    pub fn all(headers: &Headers, proxy: bool) -> Vec<Self> {
        todo!("{headers:?} {proxy}")
    }
}

/// The value of Authorization or Proxy-Authorization for the topmost challenge that can be answered
/// (RFC 8760 §2.4). `None`: no challenge for these credentials.
pub fn answer(
    challenges: &[Challenge],
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    todo!("{challenges:?} {credentials:?} {method} {uri} {nc} {cnonce}")
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Denied {
    /// No Authorization for our realm: challenge.
    Missing,
    /// Right but with a nonce that is too old or used up: challenge with stale=true.
    Stale,
    /// The same nonce count again: a replay; challenge with stale=true.
    Replay,
    /// Wrong password or unknown user (nobody may see which): challenge anew.
    Wrong,
    /// Not to be read, or for another realm or URI: 400 or challenge anew.
    Malformed,
}

/// Nonces of this server: each carries its own time and MAC, so that none is stored until it was used.
#[derive(Debug)]
pub struct Nonces {
    key: [u8; 32],
    start: Instant,
    life: Duration,
}

impl Nonces {
    /// `key` must be random; nonces live for `life` (5 minutes is usual).
    pub fn new(key: [u8; 32], life: Duration, now: Instant) -> Self {
        Self { key, start: now, life }
    }

    /// Header values for a 401 or 407, strongest algorithm first (RFC 8760 §2.3): push each as a line of its own.
    pub fn challenge(&mut self, realm: &str, stale: bool, now: Instant) -> Vec<String> {
        todo!("{realm} {stale} {now:?} {:?} {:?} {:?}", self.key, self.start, self.life)
    }

    /// Checks the Authorization (or Proxy-Authorization) of a request. `secret` looks an account up by name.
    /// Returns the user name. Unknown users cost the same time as known ones.
    #[expect(clippy::too_many_arguments, reason = "what a digest binds together")]
    pub fn verify<'a>(
        &mut self,
        headers: &Headers,
        proxy: bool,
        method: &Method,
        request_uri: &str,
        realm: &str,
        secret: impl FnOnce(&str) -> Option<&'a AccountSecret>,
        now: Instant,
    ) -> Result<String, Denied> {
        let _ = secret;
        todo!("{headers:?} {proxy} {method} {request_uri} {realm} {now:?}")
    }
}
