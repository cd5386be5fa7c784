//! The guard at the door: who is served first when there is more to do than can be done, and how much a stranger gets.
//!
//! ```text
//! responses, ACK, CANCEL, BYE, requests within calls, copies ─► always
//! trunks, registered phones                                  ─► while calls a second and transactions allow
//! strangers                                                  ─► while half of that is free, and within a budget each
//! above                                                      ─► 503 without a state, then nothing
//! ```
//!
//! Each limit is a leaky bucket kept as one moment: until when what was taken so far is paid off.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::event::Refusal;

/// How far ahead of its rate a limit that all share may run.
const SLACK: Duration = Duration::from_secs(1);
/// Requests of strangers, all together, for each call a second that is allowed.
const STRANGERS_PER_CALL: u32 = 4;
/// Answers 503 for each call a second that is allowed; what comes above is dropped.
const REFUSALS_PER_CALL: u32 = 10;
/// A stranger's request costs this much of his budget, which is paid off as time passes.
const REQUEST: Duration = Duration::from_secs(1);
/// Proof that is wrong costs so much more: who tries passwords has few tries.
const WRONG_PROOF: Duration = Duration::from_secs(4);

/// Limits of the guard.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// New calls from outside in any one second.
    pub calls_per_second: u32,
    /// Requests without proof that one stranger's address may make at once; one more each second.
    pub stranger_requests: u32,
    /// How long an address that made more is not heard.
    pub ban: Duration,
    /// Strangers remembered. Beyond it the one is forgotten who would be soonest.
    pub sources: usize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { calls_per_second: 100, stranger_requests: 100, ban: Duration::from_secs(300), sources: 10_000 }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// Somebody we have a call with, or the INVITE that is being cancelled.
    InCall,
    /// A trunk, or a phone by the path it has registered by.
    Known,
    /// Anybody else.
    Stranger,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Serve,
    /// 503 without a state.
    Busy(Refusal),
    /// Not a word.
    Drop(Refusal),
}

/// A limit that is used up and paid off: until when it is in debt.
#[derive(Clone, Copy, Debug)]
struct Meter(Option<Instant>);

impl Meter {
    /// Takes `cost` unless the debt would then be above `limit`.
    fn take(&mut self, cost: Duration, limit: Duration, now: Instant) -> bool {
        let from = self.0.map_or(now, |until| until.max(now));
        let fits = from + cost <= now + limit;
        if fits {
            self.0 = Some(from + cost);
        }
        fits
    }
}

#[derive(Clone, Copy, Debug)]
struct Source {
    /// Until when what it asked for is paid off, or it is not heard.
    until: Instant,
    barred: bool,
}

/// The limits and what is taken of them.
#[derive(Debug)]
pub(crate) struct Guard {
    config: GuardConfig,
    calls: Meter,
    strangers: Meter,
    refusals: Meter,
    sources: BTreeMap<IpAddr, Source>,
    /// The same by the moment at which they can be forgotten.
    order: BTreeSet<(Instant, IpAddr)>,
}

impl Guard {
    pub(crate) fn new(config: GuardConfig) -> Self {
        Self {
            config,
            calls: Meter(None),
            strangers: Meter(None),
            refusals: Meter(None),
            sources: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// A new request. `begins`: a call would begin with it. `load`: transactions alive, and the most there may be.
    pub(crate) fn judge(
        &mut self,
        (standing, ip): (Standing, IpAddr),
        begins: bool,
        load: (usize, usize),
        now: Instant,
    ) -> Verdict {
        let (alive, most) = load;
        let (room, slack) = match standing {
            // There are no more of them than calls allow.
            Standing::InCall => (most.saturating_mul(2), None),
            Standing::Known => (most, Some(SLACK)),
            Standing::Stranger => (most.div_ceil(2), Some(SLACK / 2)),
        };
        if standing == Standing::Stranger
            && let Err(why) = self.hear(ip, now)
        {
            return Verdict::Drop(why);
        }
        if alive >= room {
            return self.refuse(Refusal::TooManyTransactions, now);
        }
        if standing == Standing::Stranger && !self.strangers.take(self.gap(STRANGERS_PER_CALL), SLACK, now) {
            return self.refuse(Refusal::Overloaded, now);
        }
        let cost = self.gap(1);
        match slack {
            Some(slack) if begins && !self.calls.take(cost, slack, now) => self.refuse(Refusal::Overloaded, now),
            Some(_) | None => Verdict::Serve,
        }
    }

    /// Something of a stranger that wants an answer. An error: it is not heard.
    pub(crate) fn hear(&mut self, ip: IpAddr, now: Instant) -> Result<(), Refusal> {
        if self.is_barred(ip, now) {
            return Err(Refusal::FromBarred);
        }
        if self.charge(ip, REQUEST, now) { Err(Refusal::Barred) } else { Ok(()) }
    }

    /// Proof of a stranger was wrong: the same for users there are and for others.
    pub(crate) fn disproven(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.charge(ip, WRONG_PROOF, now)
    }

    /// A stranger has proven who he is: the request and the challenge before it were no try of his.
    pub(crate) fn proven(&mut self, ip: IpAddr, now: Instant) {
        let network = network(ip);
        if let Some(source) = self.sources.get(&network).copied().filter(|source| !source.barred) {
            let until = source.until.checked_sub(2 * REQUEST).unwrap_or(now);
            self.note(network, Source { until, barred: false }, now);
        }
    }

    /// Whether nothing of an address is heard now but what belongs to calls.
    pub(crate) fn is_barred(&self, ip: IpAddr, now: Instant) -> bool {
        self.sources.get(&network(ip)).is_some_and(|source| source.barred && source.until > now)
    }

    /// Strangers remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.sources.len()
    }

    /// Whether the address is barred by this.
    fn charge(&mut self, ip: IpAddr, cost: Duration, now: Instant) -> bool {
        let network = network(ip);
        let from = self.sources.get(&network).map_or(now, |source| source.until.max(now));
        let barred = from + cost > now + REQUEST * self.config.stranger_requests;
        let until = if barred { now + self.config.ban } else { from + cost };
        self.note(network, Source { until, barred }, now);
        barred
    }

    /// Fair in a flood of invented addresses: who made one request is forgotten before who made many, and who is
    /// barred last of all.
    fn note(&mut self, network: IpAddr, source: Source, now: Instant) {
        if let Some(old) = self.sources.insert(network, source) {
            self.order.remove(&(old.until, network));
        }
        self.order.insert((source.until, network));
        while let Some((until, soonest)) = self.order.first().copied() {
            if until > now && self.sources.len() <= self.config.sources {
                break;
            }
            self.order.remove(&(until, soonest));
            self.sources.remove(&soonest);
        }
    }

    fn refuse(&mut self, why: Refusal, now: Instant) -> Verdict {
        if self.refusals.take(self.gap(REFUSALS_PER_CALL), SLACK, now) {
            Verdict::Busy(why)
        } else {
            Verdict::Drop(Refusal::OverloadDropped)
        }
    }

    /// Between two of what there may be `times` as many of as calls.
    fn gap(&self, times: u32) -> Duration {
        SLACK / self.config.calls_per_second.max(1).saturating_mul(times)
    }
}

/// Who counts as one: an IPv4 address, an IPv6 /64 (a customer's network, RFC 6177).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Whether octets can only be a request that belongs to no call. Looked at before they are read, so that a barred
/// address costs next to nothing.
pub(crate) fn is_outside_calls(bytes: &[u8]) -> bool {
    [b"REGISTER ".as_slice(), b"SUBSCRIBE ", b"PUBLISH ", b"MESSAGE "].iter().any(|method| bytes.starts_with(method))
}
