//! DNS for trunks: a task for each looks its places up, again when the answers' time is over, and tells the driver.
//!
//! No call waits for it and no timer runs through it: what the driver knows is what it was told last. The search itself is
//! `sip::target::locate`, what holds for how long is `sip::target::Cache`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use rand::Rng;
use sip::target::{Cache, Candidate, Heard, Kind, Located, Question, Record, Wanted, locate};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::clock;
use crate::observe::metric::{self, Metric};

/// One server may take so long, and is asked twice.
const SERVER_LIMIT: Duration = Duration::from_secs(2);
/// All of one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);
/// The system's resolver does not say how long its addresses hold.
const SYSTEM_TTL: Duration = Duration::from_secs(60);
/// Records looked at of one answer.
const RECORDS_MAX: usize = 64;
/// A place that is not found any more is used for so long, as an answer whose time is over.
const KEPT_MAX: Duration = Duration::from_secs(86_400);
/// Rounds of one search; `locate` needs four.
const ROUNDS_MAX: usize = 8;

/// Where a trunk is, as DNS has it now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its place in the configuration.
    pub(super) trunk: usize,
    /// In no order.
    pub(super) candidates: Vec<Candidate>,
    /// What DNS did not answer, in words.
    pub(super) trouble: Option<String>,
}

/// Who is asked.
pub(crate) struct Dns {
    resolver: Option<TokioResolver>,
    /// Servers of the configuration; else the system's own ways of naming hosts count too.
    named: bool,
}

impl Dns {
    /// These servers, or without any the system's.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let server = |address: &SocketAddr| {
                let ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
                    way.port = address.port();
                    way
                });
                NameServerConfig::new(address.ip(), true, ways.to_vec())
            };
            let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let resolver = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = SERVER_LIMIT;
            options.attempts = 1;
            // What holds for how long is decided in `sip::target`.
            options.cache_size = 0;
            builder.build()
        });
        if let Err(error) = &resolver {
            warn!(%error, "no DNS server is known; NAPTR and SRV are not looked up");
        }
        Self { resolver: resolver.ok(), named: !servers.is_empty() }
    }

    async fn ask(&self, question: &Question) -> Heard {
        let asked = async {
            match question.kind {
                Kind::A | Kind::Aaaa if !self.named => by_the_system(question).await,
                Kind::A | Kind::Aaaa | Kind::Naptr | Kind::Srv => self.by_dns(question).await,
            }
        };
        let heard = tokio::time::timeout(ANSWER_LIMIT, asked).await;
        heard.unwrap_or_else(|_| Heard::Failed("no DNS server answers".to_owned()))
    }

    async fn by_dns(&self, question: &Question) -> Heard {
        let Some(resolver) = &self.resolver else { return unasked(question, "no DNS server is known") };
        let kind = match question.kind {
            Kind::Naptr => RecordType::NAPTR,
            Kind::Srv => RecordType::SRV,
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
        };
        // With the last dot: the search list of this system is not for the names of a trunk.
        match resolver.lookup(format!("{}.", question.name), kind).await {
            Ok(lookup) => {
                let records: Vec<_> = lookup.answers().iter().take(RECORDS_MAX).collect();
                let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
                let records = records.iter().filter_map(|record| read(&record.data)).collect();
                Heard::Records(records, Duration::from_secs(u64::from(ttl)))
            }
            Err(error) => match refusal(&error) {
                None => Heard::Records(Vec::new(), Duration::ZERO),
                Some(why) if self.named => Heard::Failed(why),
                Some(why) => unasked(question, &why),
            },
        }
    }
}

/// What went wrong; `None`: nothing, there is no such record.
fn refusal(error: &NetError) -> Option<String> {
    let code = if let NetError::Dns(DnsError::NoRecordsFound(none)) = error {
        Some(none.response_code)
    } else if let NetError::Dns(DnsError::ResponseCode(code)) = error {
        Some(*code)
    } else {
        None
    };
    match code {
        Some(ResponseCode::NoError | ResponseCode::NXDomain) => None,
        Some(code) => Some(format!("DNS answers {code}")),
        None if matches!(error, NetError::Timeout) => Some("no DNS server answers".to_owned()),
        None => Some(format!("DNS: {error}")),
    }
}

/// A host that this system itself names has no service records, and no server need be asked for them.
fn unasked(question: &Question, why: &str) -> Heard {
    let host = match question.kind {
        Kind::Srv => question.name.splitn(3, '.').nth(2).unwrap_or_default(),
        Kind::Naptr | Kind::A | Kind::Aaaa => &question.name,
    };
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut names =
        hosts.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1));
    if matches!(question.kind, Kind::Srv | Kind::Naptr) && names.any(|name| name.eq_ignore_ascii_case(host)) {
        return Heard::Records(Vec::new(), Duration::ZERO);
    }
    Heard::Failed(why.to_owned())
}

/// The addresses of a host as every program of this system finds them: its hosts file, mDNS, DNS with the search list.
async fn by_the_system(question: &Question) -> Heard {
    match tokio::net::lookup_host((question.name.as_str(), 0)).await {
        Ok(found) => {
            let wanted = |ip: &IpAddr| ip.is_ipv4() == (question.kind == Kind::A);
            let addresses = found.map(|address| address.ip()).filter(wanted).take(RECORDS_MAX);
            Heard::Records(addresses.map(Record::Address).collect(), SYSTEM_TTL)
        }
        Err(error) => Heard::Failed(format!("{} is not found: {error}", question.name)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds of records four are asked for")]
fn read(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match data {
        RData::A(address) => Some(Record::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Some(Record::Address(IpAddr::V6(address.0))),
        RData::SRV(srv) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_utf8(),
        }),
        RData::NAPTR(naptr) => Some(Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            replacement: naptr.replacement.to_utf8(),
        }),
        _ => None,
    }
}

/// One place of a trunk, as it was found last.
struct Kept {
    wanted: Wanted,
    candidates: Vec<Candidate>,
    /// When it was found last.
    at: Instant,
}

/// Follows one trunk for as long as the driver listens.
pub(super) async fn follow(trunk: usize, wanted: Vec<Wanted>, dns: Arc<Dns>, out: mpsc::Sender<Found>) {
    let mut cache = Cache::default();
    let start = clock::now();
    let mut places: Vec<Kept> =
        wanted.into_iter().map(|wanted| Kept { wanted, candidates: Vec::new(), at: start }).collect();
    let (mut told, mut stale) = (None, false);
    loop {
        let mut trouble = None;
        for place in &mut places {
            match search(&dns, &mut cache, &place.wanted, |_, _| {}).await {
                Ok(candidates) => (place.candidates, place.at) = (candidates, clock::now()),
                Err(why) => {
                    if clock::now().saturating_duration_since(place.at) >= KEPT_MAX {
                        place.candidates.clear();
                    }
                    trouble = Some(why);
                }
            }
        }
        if cache.is_stale() != stale {
            stale = cache.is_stale();
            if stale {
                metric::count(Metric::DnsStale);
                warn!(trunk, "DNS does not answer; a trunk stays where it was found last, for a day at most");
            } else {
                info!(trunk, "DNS answers again");
            }
        }
        let trouble = trouble.or_else(|| stale.then(|| "DNS does not answer; its last answers serve".to_owned()));
        let candidates = places.iter().flat_map(|place| place.candidates.iter().copied()).collect();
        let found = Found { trunk, candidates, trouble };
        if told.as_ref() != Some(&found) {
            if let Some(why) = &found.trouble {
                warn!(trunk, why, "where a trunk is cannot be looked up");
            }
            if out.send(found.clone()).await.is_err() {
                return;
            }
            told = Some(found);
        }
        let now = clock::now();
        // Addresses are not looked up, and not again either.
        let Some(next) = cache.poll_timeout(now) else { return };
        tokio::time::sleep_until(next.into()).await;
        cache.forget_old(clock::now());
    }
}

/// Looks one place up, once; gives what was found, and every question with what came of it.
pub(crate) async fn walk(dns: &Dns, wanted: &Wanted) -> (Result<Vec<Candidate>, String>, Vec<(Question, Heard)>) {
    let mut asked = Vec::new();
    let seen = |question: &Question, heard: &Heard| asked.push((question.clone(), heard.clone()));
    let found = search(dns, &mut Cache::default(), wanted, seen).await;
    (found, asked)
}

async fn search(
    dns: &Dns,
    cache: &mut Cache,
    wanted: &Wanted,
    mut seen: impl FnMut(&Question, &Heard),
) -> Result<Vec<Candidate>, String> {
    for _ in 0..ROUNDS_MAX {
        match locate(wanted, &cache.answers(clock::now())) {
            Located::Found(candidates) => return Ok(candidates),
            Located::Nothing(why) => return Err(why),
            Located::Ask(questions) => {
                for question in questions {
                    let heard = dns.ask(&question).await;
                    if let Heard::Failed(why) = &heard {
                        metric::count(Metric::DnsFailures);
                        info!(name = question.name, kind = ?question.kind, why, "a name is not looked up");
                    }
                    seen(&question, &heard);
                    cache.put(question, heard, clock::now(), rand::rng().random());
                }
            }
        }
    }
    Err("DNS takes too long".to_owned())
}
