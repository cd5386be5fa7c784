//! RFC 3263 §4 as a function: from a URI and what DNS has answered so far to the next questions, or to candidates.
//!
//! ```text
//! address ─────────────────────────────────────────────► it
//! port given ──────────────────────────► A, AAAA of host, that port            §4.2
//! transport given ──► SRV _sip._udp ───► A, AAAA of its targets                §4.2
//! neither ─► NAPTR ─► SRV ─────────────► A, AAAA                               §4.1
//!              └ none: SRV of each transport; none: A, AAAA of host, UDP, 5060
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::endpoint::Transport;

/// Candidates of one URI.
const CANDIDATES_MAX: usize = 32;
/// Names that one answer may lead to.
const NAMES_MAX: usize = 16;

/// What DNS is asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Which services a domain has (RFC 3403).
    Naptr,
    /// Which hosts serve one of them (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// One question.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Question {
    /// Name, in lower case and without the last dot.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

impl Question {
    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.trim_end_matches('.').to_ascii_lowercase(), kind }
    }
}

/// One record.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Record {
    /// RFC 3403 §4.1.
    Naptr {
        /// Lower first, always.
        order: u16,
        /// Lower first among equals.
        preference: u16,
        /// `s`: an SRV record follows. Other flags are not for SIP.
        flags: String,
        /// `SIP+D2U` and the like.
        service: String,
        /// The name to look up next.
        replacement: String,
    },
    /// RFC 2782.
    Srv {
        /// Lower first.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: String,
    },
    /// A or AAAA.
    Address(IpAddr),
}

/// What DNS said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// These records; empty: there are none (NXDOMAIN, NODATA).
    Records(Vec<Record>),
    /// Nothing usable: REFUSED, SERVFAIL, no answer. In words.
    Failed(String),
}

/// What is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Name or address.
    pub host: String,
    /// Where the URI names one.
    pub port: Option<u16>,
    /// Where the URI names one.
    pub transport: Option<Transport>,
    /// Transports there are sockets for, the first the one to take where nothing says which.
    pub transports: Vec<Transport>,
    /// There is a socket for IPv4.
    pub ipv4: bool,
    /// There is one for IPv6.
    pub ipv6: bool,
    /// Priority of all of it: a target of the configuration has its own.
    pub priority: u16,
    /// Share of all of it, where no SRV record says.
    pub weight: u16,
}

/// A place where requests may go.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Candidate {
    /// The configuration's priority and the one of SRV; lower first.
    pub priority: (u16, u16),
    /// Share among equals.
    pub weight: u16,
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// How far the search has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Located {
    /// These are to be asked next; none was asked before.
    Ask(Vec<Question>),
    /// Found: at least one, in order of priority.
    Found(Vec<Candidate>),
    /// Nothing, and why in words.
    Nothing(String),
}

/// An answer that is missing, or is none.
enum Gap {
    Ask(Vec<Question>),
    Failed(String),
}

/// The next step of the search. Call it again with the answers to what it asks; it asks at most four times.
pub fn locate(wanted: &Wanted, answers: &BTreeMap<Question, Answer>) -> Located {
    let search = Search { wanted, answers };
    match search.run() {
        Ok(candidates) if candidates.is_empty() => {
            Located::Nothing(format!("{} has no address that a socket of ours reaches", wanted.host))
        }
        Ok(mut candidates) => {
            candidates.sort_unstable();
            let mut seen = BTreeSet::new();
            candidates.retain(|candidate| seen.insert((candidate.transport, candidate.address)));
            candidates.truncate(CANDIDATES_MAX);
            Located::Found(candidates)
        }
        Err(Gap::Ask(questions)) => Located::Ask(questions),
        Err(Gap::Failed(why)) => Located::Nothing(why),
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    answers: &'a BTreeMap<Question, Answer>,
}

impl Search<'_> {
    fn run(&self) -> Result<Vec<Candidate>, Gap> {
        let wanted = self.wanted;
        let default = wanted.transport.or_else(|| wanted.transports.first().copied()).unwrap_or(Transport::Udp);
        if let Ok(ip) = wanted.host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let address = SocketAddr::new(ip, wanted.port.unwrap_or_else(|| default.default_port()));
            return Ok(vec![self.candidate(default, address, 0, wanted.weight)]);
        }
        if let Some(port) = wanted.port {
            return self.plain(default, port);
        }
        let services = match wanted.transport {
            Some(transport) => vec![(transport, srv_name(transport, &wanted.host))],
            None => self.services()?,
        };
        let found = self.served(&services)?;
        // §4.2: without SRV records the host itself.
        if found.is_empty() { self.plain(default, default.default_port()) } else { Ok(found) }
    }

    /// §4.1: what NAPTR names, in its order; without NAPTR each transport's usual name.
    fn services(&self) -> Result<Vec<(Transport, String)>, Gap> {
        // A resolver that does not answer NAPTR may well answer the rest.
        let mut records = self.known(&self.wanted.host, Kind::Naptr)?.unwrap_or_default();
        records.sort_unstable();
        let mut named = Vec::new();
        let mut first = None;
        for record in &records {
            let Record::Naptr { order, flags, service, replacement, .. } = record else { continue };
            let transport = match service.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                _ => continue,
            };
            let ours = flags.eq_ignore_ascii_case("s") && self.wanted.transports.contains(&transport);
            // RFC 3403 §4.1: once a record of one order fits, those of a later order are not looked at.
            if ours && *first.get_or_insert(*order) == *order && named.len() < NAMES_MAX {
                named.push((transport, replacement.clone()));
            }
        }
        if named.is_empty() {
            let usual = |transport: &Transport| (*transport, srv_name(*transport, &self.wanted.host));
            named = self.wanted.transports.iter().map(usual).collect();
        }
        Ok(named)
    }

    /// The candidates of the first service that has any: a domain's services are alternatives (§4.1).
    fn served(&self, services: &[(Transport, String)]) -> Result<Vec<Candidate>, Gap> {
        for (transport, name) in services {
            let records = self.need(name, Kind::Srv)?;
            let mut hosts = Vec::new();
            for record in records.iter().take(NAMES_MAX) {
                // RFC 2782: a target of "." says that the service is not there.
                if let Record::Srv { priority, weight, port, target } = record
                    && !target.trim_end_matches('.').is_empty()
                {
                    hosts.push((*priority, *weight, *port, Question::new(target, Kind::A).name));
                }
            }
            let names: Vec<String> = hosts.iter().map(|(_, _, _, target)| target.clone()).collect();
            let addresses = self.addresses(&names)?;
            let mut found = Vec::new();
            for (priority, weight, port, target) in hosts {
                let of_host = addresses.get(&target).cloned().unwrap_or_default();
                // Several addresses of one host share its weight.
                let share = weight.div_ceil(u16::try_from(of_host.len().max(1)).unwrap_or(u16::MAX));
                let place = |ip: &IpAddr| self.candidate(*transport, SocketAddr::new(*ip, port), priority, share);
                found.extend(of_host.iter().map(place));
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The host's own addresses.
    fn plain(&self, transport: Transport, port: u16) -> Result<Vec<Candidate>, Gap> {
        let host = self.wanted.host.clone();
        let addresses = self.addresses(std::slice::from_ref(&host))?;
        let place = |ip: &IpAddr| self.candidate(transport, SocketAddr::new(*ip, port), 0, self.wanted.weight);
        Ok(addresses.values().flatten().map(place).collect())
    }

    fn candidate(&self, transport: Transport, address: SocketAddr, priority: u16, weight: u16) -> Candidate {
        Candidate { priority: (self.wanted.priority, priority), weight, transport, address }
    }

    /// The addresses of each host. One of several that cannot be looked up costs that one only.
    fn addresses(&self, hosts: &[String]) -> Result<BTreeMap<String, Vec<IpAddr>>, Gap> {
        let kinds = [(self.wanted.ipv4, Kind::A), (self.wanted.ipv6, Kind::Aaaa)];
        let (mut found, mut missing, mut failed) = (BTreeMap::new(), Vec::new(), None);
        for host in hosts {
            if found.contains_key(host) {
                continue;
            }
            let of_host: &mut Vec<IpAddr> = found.entry(host.clone()).or_default();
            if let Ok(ip) = host.parse() {
                of_host.push(ip);
                continue;
            }
            for (_, kind) in kinds.into_iter().filter(|(wanted, _)| *wanted) {
                match self.answers.get(&Question::new(host, kind)) {
                    None => missing.push(Question::new(host, kind)),
                    Some(Answer::Failed(why)) => failed = Some(why.clone()),
                    Some(Answer::Records(records)) => {
                        of_host.extend(records.iter().take(NAMES_MAX).filter_map(|record| match record {
                            Record::Address(ip) => Some(*ip),
                            Record::Naptr { .. } | Record::Srv { .. } => None,
                        }));
                    }
                }
            }
        }
        match failed {
            _ if !missing.is_empty() => Err(Gap::Ask(missing)),
            Some(why) if found.values().all(Vec::is_empty) => Err(Gap::Failed(why)),
            Some(_) | None => Ok(found),
        }
    }

    /// Records that must be known: a failure ends the search.
    fn need(&self, name: &str, kind: Kind) -> Result<Vec<Record>, Gap> {
        match self.answers.get(&Question::new(name, kind)) {
            None => Err(Gap::Ask(vec![Question::new(name, kind)])),
            Some(Answer::Failed(why)) => Err(Gap::Failed(why.clone())),
            Some(Answer::Records(records)) => Ok(records.clone()),
        }
    }

    /// Records that need not be known; `None` after a failure.
    fn known(&self, name: &str, kind: Kind) -> Result<Option<Vec<Record>>, Gap> {
        match self.need(name, kind) {
            Ok(records) => Ok(Some(records)),
            Err(Gap::Failed(_)) => Ok(None),
            Err(ask @ Gap::Ask(_)) => Err(ask),
        }
    }
}

fn srv_name(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        // RFC 3263 §4.1: TLS is asked for by the name of SIPS.
        Transport::Tls => "_sips._tcp",
    };
    format!("{service}.{host}")
}
