//! ICE, the lite side (RFC 8445 §2.5): answers checks, remembers where authentic ones came from, never asks.
//!
//! No remote candidate is read: the only address that counts is the source of a check whose MESSAGE-INTEGRITY
//! holds, so peer-reflexive addresses need no special case and nothing can make us send to a third party.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rtc_crypto::RTCCrypto;

use crate::error::DropReason;
use crate::stun::{self, Message};

/// Most addresses of one browser remembered. Safari uses three at once.
const MAX_KNOWN: usize = 8;
/// Sources whose pace is watched.
const MAX_SOURCES: usize = 16;
/// Checks one source may send at once and per second. Browsers send one per 20 to 50 ms while connecting.
const SOURCE_PACE: Pace = Pace { burst: 100, per_second: 50 };
/// Checks looked into for one leg, whatever their sources.
const LEG_PACE: Pace = Pace { burst: 400, per_second: 200 };
/// Authentic checks remembered against replay from elsewhere: more than a minute of them.
const MAX_REMEMBERED: usize = 32;
/// Octets of ufrag and password: 48 and 144 bits of randomness (RFC 8445 §5.3 wants 24 and 128).
const UFRAG_CHARS: usize = 8;
const PASSWORD_CHARS: usize = 24;

/// User fragment and password of one ICE generation.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) password: String,
}

impl Credentials {
    pub(crate) fn generate(rng: &mut StdRng) -> Self {
        Self { ufrag: ice_chars(rng, UFRAG_CHARS), password: ice_chars(rng, PASSWORD_CHARS) }
    }
}

/// Random `ice-char`s (RFC 8839 §5.1).
pub(crate) fn ice_chars(rng: &mut StdRng, count: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..count).map(|_| char::from(ALPHABET[usize::from(rng.random::<u8>() & 63)])).collect()
}

/// What became of a check.
pub(crate) enum Check {
    /// Authentic, the source is known now; the answer to send.
    Good(Vec<u8>),
    /// Authentic but refused; the error answer to send.
    Refused(Vec<u8>),
    /// Not to be answered.
    Dropped(DropReason),
}

/// The ICE side of one leg.
pub(crate) struct Ice {
    current: Credentials,
    /// The generation before a restart: good until the new one is nominated (RFC 8445 §9).
    previous: Option<Credentials>,
    known: Vec<Known>,
    selected: Option<SocketAddr>,
    sources: Vec<(IpAddr, Bucket)>,
    leg_bucket: Bucket,
    last_check: Option<Instant>,
    /// Transaction and source of the last authentic checks.
    remembered: VecDeque<([u8; 12], SocketAddr)>,
}

struct Known {
    address: SocketAddr,
    last_check: Instant,
}

impl Ice {
    pub(crate) fn new(credentials: Credentials, now: Instant) -> Self {
        Self {
            current: credentials,
            previous: None,
            known: Vec::new(),
            selected: None,
            sources: Vec::new(),
            leg_bucket: Bucket::full(LEG_PACE, now),
            last_check: None,
            remembered: VecDeque::new(),
        }
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.current
    }

    /// The user fragments a check may name.
    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.previous).map(|c| c.ufrag.as_str())
    }

    /// ICE restart: new credentials, known addresses stay in use until the new ones are proven.
    pub(crate) fn restart(&mut self, fresh: Credentials) {
        self.previous = Some(std::mem::replace(&mut self.current, fresh));
    }

    pub(crate) fn knows(&self, address: SocketAddr) -> bool {
        self.known.iter().any(|k| k.address == address)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.known.iter().map(|k| k.address)
    }

    /// Where media goes: the nominated address, before a nomination the first one proven.
    pub(crate) const fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// When the last authentic check came.
    pub(crate) const fn last_check(&self) -> Option<Instant> {
        self.last_check
    }

    /// Forgets addresses no check has come from since `limit`.
    pub(crate) fn forget_stale(&mut self, limit: Duration, now: Instant) {
        self.known.retain(|k| now.saturating_duration_since(k.last_check) < limit);
        if self.selected.is_some_and(|selected| !self.knows(selected)) {
            self.selected = self.known.iter().max_by_key(|k| k.last_check).map(|k| k.address);
        }
    }

    /// One STUN datagram.
    pub(crate) fn handle(
        &mut self,
        source: SocketAddr,
        datagram: &[u8],
        crypto: &dyn RTCCrypto,
        now: Instant,
    ) -> Check {
        let Ok(request) = Message::parse(datagram) else {
            return Check::Dropped(DropReason::BadStun);
        };
        if !request.is_binding_request() {
            return Check::Dropped(DropReason::UnexpectedStun);
        }
        // RFC 8445 §7.1: checks carry FINGERPRINT, always.
        if !request.fingerprint {
            return Check::Dropped(DropReason::BadStun);
        }
        // RFC 8445 §7.3: of the user name only our part counts; the rest may be anything.
        let ours = request.username.and_then(|name| name.split_once(':')).map(|(ours, _)| ours);
        let is_previous = self.previous.as_ref().is_some_and(|p| Some(p.ufrag.as_str()) == ours);
        if !is_previous && ours != Some(&self.current.ufrag) {
            return Check::Dropped(DropReason::WrongCredentials);
        }
        if !self.may_look(source.ip(), now) {
            return Check::Dropped(DropReason::RateLimited);
        }
        let credentials = match &self.previous {
            Some(previous) if is_previous => previous,
            Some(_) | None => &self.current,
        };
        let password = credentials.password.as_bytes();
        if !request.is_authentic(password, crypto) {
            return Check::Dropped(DropReason::WrongCredentials);
        }
        if is_replay(&mut self.remembered, request.transaction, source) {
            return Check::Dropped(DropReason::Replayed);
        }
        // RFC 8489 §6.3.1; RFC 8445 §7.3.1.1: a lite agent is always the controlled one.
        let refusal = if !request.unknown().is_empty() {
            Some(420)
        } else if request.controlled {
            Some(487)
        } else {
            None
        };
        let answer = match refusal {
            Some(code) => stun::failure(&request, code, password, crypto).map(Check::Refused),
            None => stun::success(&request, source, password, crypto).map(Check::Good),
        };
        let answer = answer.unwrap_or(Check::Dropped(DropReason::BadStun));
        if matches!(answer, Check::Good(_)) {
            self.prove(source, request.use_candidate, is_previous, now);
        }
        answer
    }

    fn prove(&mut self, source: SocketAddr, nominated: bool, is_previous: bool, now: Instant) {
        self.last_check = Some(now);
        match self.known.iter_mut().find(|k| k.address == source) {
            Some(known) => known.last_check = now,
            None => {
                if self.known.len() >= MAX_KNOWN {
                    let selected = self.selected;
                    let stalest = (0..self.known.len())
                        .filter(|i| Some(self.known[*i].address) != selected)
                        .min_by_key(|i| self.known[*i].last_check);
                    if let Some(stalest) = stalest {
                        self.known.swap_remove(stalest);
                    }
                }
                self.known.push(Known { address: source, last_check: now });
            }
        }
        // The last nomination wins: a browser that changes network nominates again and again (RFC 8445 §8.1.1
        // has the controlling side decide alone).
        if nominated || self.selected.is_none() {
            self.selected = Some(source);
        }
        if nominated && !is_previous {
            self.previous = None;
        }
    }

    fn may_look(&mut self, source: IpAddr, now: Instant) -> bool {
        let index = match self.sources.iter().position(|(ip, _)| *ip == source) {
            Some(index) => index,
            None => {
                if self.sources.len() >= MAX_SOURCES {
                    let oldest = (0..self.sources.len()).min_by_key(|i| self.sources[*i].1.last);
                    self.sources.swap_remove(oldest.unwrap_or(0));
                }
                self.sources.push((source, Bucket::full(SOURCE_PACE, now)));
                self.sources.len() - 1
            }
        };
        self.sources[index].1.take(SOURCE_PACE, now) && self.leg_bucket.take(LEG_PACE, now)
    }
}

/// A browser repeats a check from the address it first left, and asks anew from another one; only somebody
/// who overheard it sends the same from elsewhere.
fn is_replay(remembered: &mut VecDeque<([u8; 12], SocketAddr)>, transaction: [u8; 12], source: SocketAddr) -> bool {
    if let Some((_, first)) = remembered.iter().find(|(known, _)| *known == transaction) {
        return *first != source;
    }
    if remembered.len() >= MAX_REMEMBERED {
        remembered.pop_front();
    }
    remembered.push_back((transaction, source));
    false
}

#[derive(Clone, Copy)]
struct Pace {
    burst: u32,
    per_second: u32,
}

/// A token bucket, in thousandths of a token.
struct Bucket {
    thousandths: u64,
    last: Instant,
}

impl Bucket {
    fn full(pace: Pace, now: Instant) -> Self {
        Self { thousandths: u64::from(pace.burst) * 1_000, last: now }
    }

    fn take(&mut self, pace: Pace, now: Instant) -> bool {
        let passed_ms = u64::try_from(now.saturating_duration_since(self.last).as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            let gained = passed_ms.saturating_mul(u64::from(pace.per_second));
            self.thousandths = self.thousandths.saturating_add(gained).min(u64::from(pace.burst) * 1_000);
            self.last = now;
        }
        match self.thousandths.checked_sub(1_000) {
            Some(rest) => {
                self.thousandths = rest;
                true
            }
            None => false,
        }
    }
}
