//! The trunks as the driver holds them: where each is now, its registration, and the way of an INVITE to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use call::HangupCause;
use sip::digest::Credentials;
use sip::endpoint::{Endpoint, Extensions, RegistrationConfig, RegistrationRef, RegistrationState, Target, Transport};
use sip::uri::Uri;
use sip::values::NameAddr;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::clock;
use crate::config::checked::Trunk;
use crate::observe::metric::{self, Metric};

/// How often the address of a trunk named by host name is looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 32;

/// A trunk and where it is now.
struct TrunkEntry {
    trunk: Trunk,
    /// The one in use.
    address: Option<SocketAddr>,
    /// All its name stands for, in order.
    addresses: Vec<SocketAddr>,
    registration: Option<RegistrationRef>,
}

/// The way of one INVITE: whom it names, where it goes, and what proves us there.
pub(super) struct Way {
    pub(super) uri: Uri,
    pub(super) to: Option<NameAddr>,
    pub(super) target: Target,
    pub(super) credentials: Option<Credentials>,
    /// Host of our From.
    pub(super) from_host: String,
}

/// All trunks of the configuration.
pub(super) struct Trunks {
    entries: Vec<TrunkEntry>,
    bound: Vec<(Transport, SocketAddr)>,
    /// Registrations whose end is not confirmed yet, at the very end.
    leaving: BTreeSet<RegistrationRef>,
}

impl Trunks {
    pub(super) fn new(trunks: Vec<Trunk>, bound: Vec<(Transport, SocketAddr)>) -> Self {
        let entries = trunks
            .into_iter()
            .map(|trunk| TrunkEntry { trunk, address: None, addresses: Vec::new(), registration: None })
            .collect();
        Self { entries, bound, leaving: BTreeSet::new() }
    }

    /// Host and port of each, to be looked up.
    pub(super) fn names(&self) -> Vec<(String, u16)> {
        self.entries.iter().map(|entry| address_of(&entry.trunk)).collect()
    }

    pub(super) fn name(&self, index: usize) -> &str {
        self.entries.get(index).map_or("", |entry| entry.trunk.name.as_str())
    }

    /// What a trunk is asked for beyond a plain call.
    pub(super) fn extensions(&self, name: &str) -> Extensions {
        let entry = self.entries.iter().find(|entry| entry.trunk.name == *name);
        entry.map_or(Extensions::USUAL, |entry| entry.trunk.extensions)
    }

    /// Takes all registrations back, at the very end.
    pub(super) fn leave(&mut self, endpoint: &mut Endpoint, now: Instant) {
        for registration in self.entries.iter_mut().filter_map(|entry| entry.registration.take()) {
            endpoint.unregister(registration, now);
            self.leaving.insert(registration);
        }
    }

    /// Whether every registrar has heard that we leave.
    pub(super) fn left(&self) -> bool {
        self.leaving.is_empty()
    }

    /// The way to a user behind a trunk. `realm` stands in our From where the trunk has no account for us.
    pub(super) fn way(&self, name: &str, user: &str, realm: &str) -> Result<Way, (HangupCause, String)> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.trunk.name == name)
            .ok_or_else(|| (HangupCause::Unreachable, format!("no trunk {name} in the configuration")))?;
        let address = entry.address.ok_or_else(|| {
            (HangupCause::Unreachable, format!("the address of trunk {name} is not known: check its host name"))
        })?;
        let trunk = &entry.trunk;
        let uri: Uri = trunk_uri(trunk, Some(user)).parse().map_err(|_| bad_address("trunk"))?;
        let target = self
            .target(trunk, address)
            .ok_or_else(|| (HangupCause::Unreachable, format!("no sip.listen socket for trunk {name}'s transport")))?;
        let from_host = if trunk.register { trunk.host.clone() } else { realm.to_owned() };
        Ok(Way { uri, to: None, target, credentials: credentials(trunk), from_host })
    }

    /// The socket that faces a trunk: same transport, same address family.
    fn target(&self, trunk: &Trunk, address: SocketAddr) -> Option<Target> {
        let transport = transport(trunk.transport);
        let local =
            self.bound.iter().position(|(kind, bound)| *kind == transport && bound.is_ipv4() == address.is_ipv4())?;
        Some(Target { transport, address, local })
    }

    /// A trunk's addresses are known or have changed: register at one we can reach, and let them all call us. The one in
    /// use stays in use while it is among them, however DNS turns its answers round.
    pub(super) fn resolved(&mut self, index: usize, found: Vec<SocketAddr>, endpoint: &mut Endpoint) {
        let Some(entry) = self.entries.get(index) else { return };
        let mut addresses = found.clone();
        addresses.sort_unstable();
        addresses.dedup();
        if entry.addresses == addresses {
            return;
        }
        let current = entry.address.filter(|address| addresses.contains(address));
        // In the system's order of preference (RFC 6724).
        let reachable = || found.iter().copied().find(|address| self.target(&entry.trunk, *address).is_some());
        let address = current.or_else(reachable).or_else(|| found.first().copied());
        info!(trunk = entry.trunk.name, ?address, known = addresses.len(), "trunk address");
        let moved = address != entry.address;
        let entry = &mut self.entries[index];
        (entry.address, entry.addresses) = (address, addresses);
        let allowed = self
            .entries
            .iter()
            .flat_map(|entry| entry.addresses.iter().map(SocketAddr::ip).chain(entry.trunk.accept_from.iter().copied()))
            .collect();
        endpoint.set_trunks(allowed);
        // Of two trunks at one address the first has the say over calls from there: nothing tells them apart.
        let rules = self.entries.iter().rev().flat_map(|entry| {
            let known = entry.addresses.iter().map(SocketAddr::ip).chain(entry.trunk.accept_from.iter().copied());
            known.map(|ip| (ip, entry.trunk.extensions))
        });
        endpoint.set_extensions(rules.collect());
        if moved {
            self.register(index, endpoint);
        }
    }

    fn register(&mut self, index: usize, endpoint: &mut Endpoint) {
        let now = clock::now();
        let Some(entry) = self.entries.get(index) else { return };
        let (trunk, Some(address)) = (&entry.trunk, entry.address) else { return };
        if !trunk.register {
            return;
        }
        let Some(target) = self.target(trunk, address) else {
            warn!(trunk = trunk.name, "no sip.listen socket for this trunk's transport; add one");
            return;
        };
        let user = trunk.username.clone().unwrap_or_default();
        let (Ok(registrar), Ok(aor)) = (trunk_uri(trunk, None).parse(), trunk_uri(trunk, Some(&user)).parse()) else {
            warn!(trunk = trunk.name, "trunk host does not make a SIP address");
            return;
        };
        let config = RegistrationConfig {
            registrar,
            target,
            aor,
            credentials: credentials(trunk),
            expires_s: u32::try_from(trunk.register_expires.as_secs()).unwrap_or(3_600),
            local: target.local,
        };
        let old = entry.registration;
        if let Some(old) = old {
            endpoint.unregister(old, now);
        }
        let registration = endpoint.register(config, now);
        self.entries[index].registration = Some(registration);
    }

    /// News of a registration.
    pub(super) fn registration(&mut self, registration: RegistrationRef, state: &RegistrationState) {
        if matches!(state, RegistrationState::Unregistered | RegistrationState::Failed { .. }) {
            self.leaving.remove(&registration);
        }
        let Some(entry) = self.entries.iter().find(|entry| entry.registration == Some(registration)) else { return };
        let trunk = &entry.trunk.name;
        match state {
            RegistrationState::Trying => debug!(trunk, "registering"),
            RegistrationState::Registered { .. } => {
                metric::gauge_with(Metric::TrunkRegistered, trunk, 1.0);
                info!(trunk, "registered");
            }
            RegistrationState::Failed { status, text, retry_at } => {
                metric::gauge_with(Metric::TrunkRegistered, trunk, 0.0);
                let again = retry_at.saturating_duration_since(clock::now());
                warn!(
                    trunk,
                    status,
                    text,
                    retry_in_s = again.as_secs(),
                    mend = registration_mend(*status),
                    "registration failed"
                );
            }
            RegistrationState::Unregistered => {
                metric::gauge_with(Metric::TrunkRegistered, trunk, 0.0);
                info!(trunk, "unregistered");
            }
        }
    }
}

/// What an admin may do about a refused registration.
fn registration_mend(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => "check username and password_file of the trunk, and that the PBX has this account",
        404 => "the PBX does not know this user or domain: check username and uri",
        408 => "no answer: check host, port, transport and the firewall between",
        423 => "the PBX wants a longer registration: it is followed by itself",
        503 => "the PBX is overloaded or restarting, or its port is closed",
        _ => "see the PBX's own log for this status",
    }
}

pub(super) fn bad_address(what: &str) -> (HangupCause, String) {
    (HangupCause::NotFound, format!("{what} does not make a SIP address"))
}

/// `sip:user@host:port;transport=tcp`, with only what is needed.
fn trunk_uri(trunk: &Trunk, user: Option<&str>) -> String {
    let user = user.map(|user| format!("{}@", escape_user(user))).unwrap_or_default();
    let host = if trunk.host.contains(':') {
        format!("[{}]", trunk.host.trim_matches(['[', ']']))
    } else {
        trunk.host.clone()
    };
    let port = trunk.port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = match trunk.transport {
        crate::config::checked::Transport::Udp => "",
        crate::config::checked::Transport::Tcp => ";transport=tcp",
        crate::config::checked::Transport::Tls => ";transport=tls",
    };
    format!("sip:{user}{host}{port}{transport}")
}

/// Percent-escapes what may not stand in a user part (RFC 3261 §25.1 `user`).
pub(super) fn escape_user(user: &str) -> String {
    user.bytes()
        .map(|byte| match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')'
            | b'&'
            | b'='
            | b'+'
            | b'$'
            | b','
            | b'/' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn credentials(trunk: &Trunk) -> Option<Credentials> {
    let user = trunk.username.clone()?;
    let password = trunk.password.as_ref()?;
    Some(Credentials { username: user, password: password.expose().to_owned(), realm: None })
}

/// The configuration's word for a transport, in the endpoint's words.
pub(crate) fn transport(transport: crate::config::checked::Transport) -> Transport {
    match transport {
        crate::config::checked::Transport::Udp => Transport::Udp,
        crate::config::checked::Transport::Tcp => Transport::Tcp,
        crate::config::checked::Transport::Tls => Transport::Tls,
    }
}

/// Host and port to look up for a trunk.
fn address_of(trunk: &Trunk) -> (String, u16) {
    (trunk.host.trim_matches(['[', ']']).to_owned(), trunk.port.unwrap_or_else(|| trunk.transport.default_port()))
}

/// Looks the trunks' names up now and every minute; an answer that fails leaves the last good one in use.
pub(super) async fn resolve_trunks(hosts: Vec<(String, u16)>, out: mpsc::Sender<(usize, Vec<SocketAddr>)>) {
    loop {
        for (index, (host, port)) in hosts.iter().enumerate() {
            match tokio::net::lookup_host((host.as_str(), *port)).await {
                Ok(addresses) => {
                    let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES_MAX).collect();
                    if !addresses.is_empty() && out.send((index, addresses)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    metric::count(Metric::DnsFailures);
                    warn!(host, %error, "trunk host name not found; its last known address stays in use");
                }
            }
        }
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}
