//! The server's side of digest: nonces that carry their own time and MAC, counts that cannot come twice.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::digest::{AccountSecret, Algorithm, Fields, response};
use crate::headers::{from_hex, hmac_sha256, same, to_hex};
use crate::message::{HeaderName, Headers, Method};
use crate::uri::Uri;
use crate::values::quote;

/// Nonces whose counts are remembered; the oldest is forgotten first and is stale from then on.
const MAX_USED: usize = 10_000;

/// Octets of the MAC inside a nonce.
const MAC_BYTES: usize = 16;

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Denied {
    /// No Authorization for our realm: challenge.
    Missing,
    /// The answer is right, its nonce is too old: challenge with stale=true.
    Stale,
    /// The answer is right, its nonce count was there already: challenge with stale=true.
    Replay,
    /// Wrong password or unknown user (nobody may see which), or a nonce that is not ours: challenge anew.
    Wrong,
    /// Fields missing, or an answer made for another URI: 400 or challenge anew.
    Malformed,
}

/// Nonces of this server: nothing is stored for one until the right password came with it, so a stranger can
/// ask for as many as he likes.
pub struct Nonces {
    key: [u8; 32],
    start: Instant,
    life: Duration,
    made: u64,
    used: BTreeMap<u64, Counts>,
    /// Nonces up to this number are forgotten.
    forgotten: u64,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("made", &self.made).field("used", &self.used.len()).finish_non_exhaustive()
    }
}

/// Counts seen with one nonce: the highest, and one bit for each of the 64 up to it, because two requests may
/// overtake each other.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    /// Whether this count is new; notes it.
    fn admit(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.seen = self.seen.checked_shl(step).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1_u64.checked_shl(self.highest - count).unwrap_or(0);
        let fresh = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

/// What a nonce of ours says of itself.
struct Opened {
    number: u64,
    made_at: Duration,
}

impl Nonces {
    /// `key` must be random; nonces live for `life` (5 minutes is usual).
    pub const fn new(key: [u8; 32], life: Duration, now: Instant) -> Self {
        Self { key, start: now, life, made: 0, used: BTreeMap::new(), forgotten: 0 }
    }

    /// Header values for a 401 or 407, in the order of `algorithms`, the strongest first (RFC 8760 §2.3): push
    /// each as a line of its own.
    pub fn challenge(&mut self, realm: &str, algorithms: &[Algorithm], stale: bool, now: Instant) -> Vec<String> {
        let nonce = self.make(now);
        let stale = if stale { ", stale=true" } else { "" };
        algorithms
            .iter()
            .map(|algorithm| {
                format!(
                    "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                    quote(realm),
                    algorithm.as_str()
                )
            })
            .collect()
    }

    /// Checks the Authorization (or Proxy-Authorization) of a request; returns the user name. `secret` looks
    /// an account up by name. An unknown user costs the same hashes as a known one.
    #[expect(clippy::too_many_arguments, reason = "what a digest binds together")]
    pub fn verify<'a>(
        &mut self,
        headers: &Headers,
        proxy: bool,
        method: &Method,
        request_uri: &Uri,
        realm: &str,
        secret: impl FnOnce(&str) -> Option<&'a AccountSecret>,
        now: Instant,
    ) -> Result<String, Denied> {
        let name = if proxy { HeaderName::ProxyAuthorization } else { HeaderName::Authorization };
        let fields = headers
            .all(&name)
            .filter_map(Fields::parse)
            .find(|fields| fields.get("realm").as_deref() == Some(realm))
            .ok_or(Denied::Missing)?;
        let claim = Claim::read(&fields).ok_or(Denied::Malformed)?;
        if !same_target(&claim.uri, request_uri) {
            return Err(Denied::Malformed);
        }
        let nobody = self.nobody();
        let known = secret(&claim.user);
        let ha1 = known.unwrap_or(&nobody).ha1(claim.algorithm);
        let expected = response(
            claim.algorithm,
            ha1,
            &claim.nonce,
            claim.qop.as_ref().map(|(nc, cnonce, _)| (nc.as_str(), cnonce.as_str(), "auth")),
            &format!("{method}:{}", claim.uri),
        );
        let right = same(expected.as_bytes(), claim.response.to_ascii_lowercase().as_bytes());
        let opened = self.open(&claim.nonce);
        let (Some(opened), true, Some(_)) = (opened, right, known) else {
            return Err(Denied::Wrong);
        };
        let age = now.saturating_duration_since(self.start).saturating_sub(opened.made_at);
        if age > self.life || opened.number <= self.forgotten {
            return Err(Denied::Stale);
        }
        // Without qop there is no count: such a nonce is good once.
        let count = claim.qop.map_or(1, |(_, _, count)| count);
        if !self.used.entry(opened.number).or_default().admit(count) {
            return Err(Denied::Replay);
        }
        self.forget_oldest();
        Ok(claim.user)
    }

    /// How many nonces are remembered.
    pub fn remembered(&self) -> usize {
        self.used.len()
    }

    fn forget_oldest(&mut self) {
        while self.used.len() > MAX_USED {
            if let Some((number, _)) = self.used.pop_first() {
                self.forgotten = self.forgotten.max(number);
            }
        }
    }

    /// number (8) ‖ milliseconds since start (8) ‖ MAC (16), in hex.
    fn make(&mut self, now: Instant) -> String {
        self.made += 1;
        let made_at = now.saturating_duration_since(self.start).as_millis();
        let mut octets = Vec::with_capacity(32);
        octets.extend_from_slice(&self.made.to_be_bytes());
        octets.extend_from_slice(&u64::try_from(made_at).unwrap_or(u64::MAX).to_be_bytes());
        let mac = self.mac(&octets);
        octets.extend_from_slice(&mac);
        to_hex(&octets)
    }

    fn open(&self, nonce: &str) -> Option<Opened> {
        let octets = from_hex(nonce)?;
        let (text, mac) = octets.split_at_checked(16)?;
        let (number, made_at) = text.split_at_checked(8)?;
        if !same(mac, &self.mac(text)) {
            return None;
        }
        Some(Opened {
            number: u64::from_be_bytes(number.try_into().ok()?),
            made_at: Duration::from_millis(u64::from_be_bytes(made_at.try_into().ok()?)),
        })
    }

    fn mac(&self, text: &[u8]) -> [u8; MAC_BYTES] {
        let whole = hmac_sha256(&self.key, &[b"nonce", text]);
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(whole.split_at(MAC_BYTES).0);
        short
    }

    /// The secret of nobody, which no password makes.
    fn nobody(&self) -> AccountSecret {
        let text = to_hex(&hmac_sha256(&self.key, &[b"nobody"]));
        AccountSecret { md5: text.clone(), sha256: text.clone(), sha512_256: text }
    }
}

/// An Authorization as it claims to be.
struct Claim {
    user: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// Count as written, the client's nonce, count as a number.
    qop: Option<(String, String, u32)>,
}

impl Claim {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let algorithm = match fields.get("algorithm") {
            Some(text) => Algorithm::parse(&text)?,
            None => Algorithm::Md5,
        };
        let qop = match fields.get("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let written = fields.get("nc")?;
                let legal = written.len() == 8 && written.bytes().all(|byte| byte.is_ascii_hexdigit());
                let count = u32::from_str_radix(&written, 16).ok().filter(|count| legal && *count > 0)?;
                Some((written, fields.get("cnonce")?, count))
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            user: fields.get("username")?,
            nonce: fields.get("nonce")?,
            uri: fields.get("uri")?,
            response: fields.get("response")?,
            algorithm,
            qop,
        })
    }
}

/// The URI the client hashed must be the one it asks (RFC 7616 §3.4.6). Ports and parameters may differ:
/// phones leave them out there.
fn same_target(claimed: &str, request: &Uri) -> bool {
    match claimed.parse::<Uri>() {
        Ok(claimed) => {
            claimed.scheme == request.scheme
                && claimed.user_decoded() == request.user_decoded()
                && claimed.host.equivalent(&request.host)
        }
        Err(_) => false,
    }
}
