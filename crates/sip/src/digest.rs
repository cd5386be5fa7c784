//! Digest authentication, both sides: MD5, SHA-256, SHA-512/256, qop auth (RFC 7616, RFC 8760).
//!
//! Left out on purpose: `auth-int` (a B2BUA changes bodies), `-sess`, `userhash` (RFC.md).

mod nonces;
#[cfg(test)]
mod tests;

pub use nonces::{Denied, Nonces};

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use crate::headers::to_hex;
use crate::message::{HeaderName, Headers, Method};
use crate::values::{quote, split_list, unquote};

/// A hash of RFC 8760.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// For old PBXs.
    Md5,
    /// The one to prefer.
    Sha256,
    /// SHA-512/256 of FIPS 180-4 (not SHA-512 cut short, as an example in RFC 7616 has it).
    Sha512_256,
}

impl Algorithm {
    /// The token on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// `None` for an algorithm this room does not know; RFC 8760 §2.4 skips it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512_256].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text))
    }

    /// Hash in lower-case hex.
    fn hex(self, text: &str) -> String {
        match self {
            Self::Md5 => to_hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => to_hex(&Sha256::digest(text.as_bytes())),
            Self::Sha512_256 => to_hex(&Sha512_256::digest(text.as_bytes())),
        }
    }
}

/// What an account knows instead of its password: H(user:realm:password) for each algorithm. It is as good as
/// the password within its realm, so `Debug` hides it.
#[derive(Clone, Eq, PartialEq)]
pub struct AccountSecret {
    md5: String,
    sha256: String,
    sha512_256: String,
}

impl AccountSecret {
    /// Hashes a password once.
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        let text = format!("{user}:{realm}:{password}");
        Self {
            md5: Algorithm::Md5.hex(&text),
            sha256: Algorithm::Sha256.hex(&text),
            sha512_256: Algorithm::Sha512_256.hex(&text),
        }
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

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSecret").finish_non_exhaustive()
    }
}

/// A user name and password this side proves itself with. `Debug` hides the password.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// The only realm to answer; `None` answers any. Name it where it is known: a stranger's challenge must
    /// not make this side compute with the password (CVE-2021-41158).
    pub realm: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// A challenge (WWW-Authenticate, Proxy-Authenticate) this room can answer.
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
    /// Whether qop=auth is offered; without any qop the answer is that of RFC 2069.
    pub qop_auth: bool,
    /// The last answer was right but its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// Every challenge of a response this room can answer, in order; unknown schemes, unknown algorithms and
    /// `auth-int` alone are left out (RFC 8760 §2.4).
    pub fn all(headers: &Headers, proxy: bool) -> Vec<Self> {
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        headers.all(&name).filter_map(Self::parse).collect()
    }

    fn parse(value: &str) -> Option<Self> {
        let fields = Fields::parse(value)?;
        let algorithm = match fields.get("algorithm") {
            Some(text) => Algorithm::parse(&text)?,
            None => Algorithm::Md5,
        };
        let qop_auth = match fields.get("qop") {
            Some(list) => {
                let auth = list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth"));
                // Some old servers send an empty list; that is no qop.
                if !auth && !list.trim().is_empty() {
                    return None;
                }
                auth
            }
            None => false,
        };
        Some(Self {
            realm: fields.get("realm")?,
            nonce: fields.get("nonce")?,
            opaque: fields.get("opaque"),
            algorithm,
            qop_auth,
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The value of Authorization or Proxy-Authorization for the topmost challenge that can be answered
/// (RFC 8760 §2.4). `None`: no challenge for these credentials.
///
/// `uri` is the request URI as sent. `nc` begins at 1 for a nonce and grows by one each time it is used.
pub fn answer(
    challenges: &[Challenge],
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    let ours = |challenge: &&Challenge| credentials.realm.as_ref().is_none_or(|realm| *realm == challenge.realm);
    let challenge = challenges.iter().find(ours)?;
    let algorithm = challenge.algorithm;
    let ha1 = algorithm.hex(&format!("{}:{}:{}", credentials.username, challenge.realm, credentials.password));
    let count = format!("{nc:08x}");
    let qop = challenge.qop_auth.then_some((count.as_str(), cnonce));
    let response = response(algorithm, &ha1, &challenge.nonce, qop, method.as_str(), uri);
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
        quote(&credentials.username),
        quote(&challenge.realm),
        quote(&challenge.nonce),
        quote(uri),
        algorithm.as_str(),
    );
    if challenge.qop_auth {
        value.push_str(&format!(", qop=auth, nc={count}, cnonce={}", quote(cnonce)));
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque={}", quote(opaque)));
    }
    Some(value)
}

/// `response` of RFC 7616 §3.4.1. `qop` is the nonce count and the client's nonce of qop=auth; without it the
/// form of RFC 2069.
fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    qop: Option<(&str, &str)>,
    method: &str,
    uri: &str,
) -> String {
    let ha2 = algorithm.hex(&format!("{method}:{uri}"));
    match qop {
        Some((nc, cnonce)) => algorithm.hex(&format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}")),
        None => algorithm.hex(&format!("{ha1}:{nonce}:{ha2}")),
    }
}

/// The fields of a `Digest` header value.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

/// Most fields that are looked at; RFC 7616 knows eleven.
const MAX_FIELDS: usize = 32;

impl<'a> Fields<'a> {
    /// `None` where the scheme is another.
    fn parse(value: &'a str) -> Option<Self> {
        let (scheme, rest) = value.trim_start().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let field = |part: &'a str| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim(), value.trim()))
        };
        split_list(rest).take(MAX_FIELDS).map(field).collect::<Option<Vec<_>>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| unquote(value))
    }
}
