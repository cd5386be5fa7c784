//! Digest authentication, both sides: MD5, SHA-256, SHA-512/256 (RFC 7616, RFC 8760).
//!
//! As a client: qop auth and auth-int, with or without `-sess`. As a server: qop auth alone, for a proxy on the way may
//! change a body. Left out on purpose: `userhash` (RFC.md).

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

/// A hash of RFC 8760, the weakest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// For old PBXs.
    Md5,
    /// What new phones know.
    Sha256,
    /// The strongest: SHA-512/256 of FIPS 180-4 (not SHA-512 cut short, as an example in RFC 7616 has it).
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
    fn hex(self, text: impl AsRef<[u8]>) -> String {
        match self {
            Self::Md5 => to_hex(&Md5::digest(text)),
            Self::Sha256 => to_hex(&Sha256::digest(text)),
            Self::Sha512_256 => to_hex(&Sha512_256::digest(text)),
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

/// What a response protects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Qop {
    /// Nothing but the method and the URI, in the form of RFC 2069.
    None,
    /// The same, and each count once.
    Auth,
    /// The body as well.
    AuthInt,
}

impl Qop {
    /// The one to use of a list: `auth` where it is offered, as what passes a proxy that touches the body. `None`: there is
    /// none that is known here.
    fn of_list(list: &str) -> Option<Self> {
        let offers = |wanted: &str| list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case(wanted));
        match (offers("auth"), offers("auth-int")) {
            (true, _) => Some(Self::Auth),
            (false, true) => Some(Self::AuthInt),
            // Some old servers send an empty list; that is no qop.
            (false, false) => list.trim().is_empty().then_some(Self::None),
        }
    }

    fn token(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Auth => Some("auth"),
            Self::AuthInt => Some("auth-int"),
        }
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
    /// `-sess`: the password is hashed once more with the nonces of both sides (RFC 7616 §3.4.2).
    pub session: bool,
    /// What the answer protects.
    pub qop: Qop,
    /// The last answer was right but its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// Every challenge of a response this room can answer, in order; unknown schemes, algorithms and qop are left
    /// out (RFC 8760 §2.4).
    pub fn all(headers: &Headers, proxy: bool) -> Vec<Self> {
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        headers.all(&name).filter_map(Self::parse).collect()
    }

    fn parse(value: &str) -> Option<Self> {
        let fields = Fields::parse(value)?;
        let named = fields.get("algorithm").unwrap_or_else(|| Algorithm::Md5.as_str().to_owned());
        let (name, session) = match named.rsplit_once('-') {
            Some((name, suffix)) if suffix.eq_ignore_ascii_case("sess") => (name, true),
            Some(_) | None => (named.as_str(), false),
        };
        let algorithm = Algorithm::parse(name)?;
        let qop = Qop::of_list(&fields.get("qop").unwrap_or_default())?;
        Some(Self {
            realm: fields.get("realm")?,
            nonce: fields.get("nonce")?,
            opaque: fields.get("opaque"),
            algorithm,
            session,
            qop,
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The value of Authorization or Proxy-Authorization for the strongest challenge that can be answered: RFC 8760 §2.4 has
/// the topmost unless local policy says otherwise, and a server that puts MD5 first says nothing for it. `None`: no
/// challenge for these credentials.
///
/// `uri` is the request URI as sent. `nc` begins at 1 for a nonce and grows by one each time it is used.
pub fn answer(
    challenges: &[Challenge],
    credentials: &Credentials,
    (method, body): (&Method, &[u8]),
    uri: &str,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    let ours = |challenge: &&Challenge| credentials.realm.as_ref().is_none_or(|realm| *realm == challenge.realm);
    let topmost = challenges.iter().find(ours)?;
    // One realm, one password; of equals the topmost.
    let same_realm = challenges.iter().rev().filter(|challenge| challenge.realm == topmost.realm);
    let challenge = same_realm.max_by_key(|challenge| challenge.algorithm)?;
    let algorithm = challenge.algorithm;
    let mut ha1 = algorithm.hex(format!("{}:{}:{}", credentials.username, challenge.realm, credentials.password));
    if challenge.session {
        ha1 = algorithm.hex(format!("{ha1}:{}:{cnonce}", challenge.nonce));
    }
    let count = format!("{nc:08x}");
    let asked = match challenge.qop {
        Qop::AuthInt => format!("{method}:{uri}:{}", algorithm.hex(body)),
        Qop::None | Qop::Auth => format!("{method}:{uri}"),
    };
    let qop = challenge.qop.token().map(|token| (count.as_str(), cnonce, token));
    let response = response(algorithm, &ha1, &challenge.nonce, qop, &asked);
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}{}",
        quote(&credentials.username),
        quote(&challenge.realm),
        quote(&challenge.nonce),
        quote(uri),
        algorithm.as_str(),
        if challenge.session { "-sess" } else { "" },
    );
    match challenge.qop.token() {
        Some(token) => value.push_str(&format!(", qop={token}, nc={count}, cnonce={}", quote(cnonce))),
        None if challenge.session => value.push_str(&format!(", cnonce={}", quote(cnonce))),
        None => {}
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque={}", quote(opaque)));
    }
    Some(value)
}

/// `response` of RFC 7616 §3.4.1. `qop` is the nonce count, the client's nonce and the token; without it the form of
/// RFC 2069. `asked` is A2: method, URI, and with auth-int the hash of the body.
fn response(algorithm: Algorithm, ha1: &str, nonce: &str, qop: Option<(&str, &str, &str)>, asked: &str) -> String {
    let ha2 = algorithm.hex(asked);
    match qop {
        Some((nc, cnonce, qop)) => algorithm.hex(format!("{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}")),
        None => algorithm.hex(format!("{ha1}:{nonce}:{ha2}")),
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
