//! The trunks as the driver holds them: where each is now, how its targets are, its registration, and the way of an INVITE.
//!
//! Decided is in `sip::target`; here the news of calls, probes, registrations and DNS are carried to it, and what it decides
//! to the endpoint.

mod change;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use call::HangupCause;
use rand::Rng;
use sip::digest::Credentials;
use sip::endpoint::{Endpoint, ProbeRef, RegistrationConfig, RegistrationRef, RegistrationState, Target, Transport};
use sip::error::Failure;
use sip::target::{Candidate, Caps, Full, Group, News, NoTarget, Probing, State, Wanted};
use sip::uri::Uri;
use sip::values::NameAddr;
use tracing::{debug, info, warn};

use super::dns::Found;
use super::report::{self, Registered};
use crate::clock;
use crate::config::checked::{self, Trunk};
use crate::observe::metric::{self, Metric};

/// Names of targets in metrics, over all trunks; DNS may bring ever new ones.
const TARGET_LABELS_MAX: usize = 256;

/// A trunk, and all that is known of it now.
pub(super) struct TrunkEntry {
    pub(super) trunk: Arc<Trunk>,
    /// Its place in the configuration.
    place: usize,
    /// It stands in the configuration no more, or has moved: calls that began before still go through it.
    leaves: bool,
    /// It registers when this registration of the one before it is taken back: the two have one contact.
    waits_for: Option<RegistrationRef>,
    pub(super) group: Group,
    pub(super) caps: Caps,
    /// What DNS did not answer.
    pub(super) trouble: Option<String>,
    pub(super) registration: Option<Registration>,
}

impl TrunkEntry {
    /// Where its PBX is, and may send from.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let targets = self.group.members().iter().map(|member| member.candidate.address.ip());
        targets.chain(self.trunk.accept_from.iter().copied())
    }
}

/// Our registration at a trunk.
pub(super) struct Registration {
    id: RegistrationRef,
    at: Candidate,
    pub(super) state: Registered,
    pub(super) since: Instant,
    /// Status and words of the last refusal.
    pub(super) last_error: Option<(u16, String)>,
}

/// The way of one INVITE: whom it names, where it goes, and what proves us there.
pub(super) struct Way {
    pub(super) uri: Uri,
    pub(super) to: Option<NameAddr>,
    pub(super) target: Target,
    pub(super) credentials: Option<Credentials>,
    /// Host of our From.
    pub(super) from_host: String,
    /// The trunk and its target; `None` for a phone registered here.
    pub(super) route: Option<Route>,
}

/// Names an entry for as long as the program runs.
pub(super) type TrunkKey = usize;

/// Which target of which trunk a call has gone to, and which before it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) trunk: TrunkKey,
    pub(super) at: Candidate,
    pub(super) tried: Vec<Candidate>,
}

impl Route {
    /// All it has been sent to.
    pub(super) fn all(&self) -> Vec<Candidate> {
        self.tried.iter().copied().chain([self.at]).collect()
    }
}

/// All trunks of the configuration.
pub(crate) struct Trunks {
    entries: BTreeMap<TrunkKey, TrunkEntry>,
    next_key: TrunkKey,
    bound: Vec<(Transport, SocketAddr)>,
    probes: BTreeMap<ProbeRef, (TrunkKey, Candidate)>,
    /// Registrations whose end is not confirmed yet.
    leaving: BTreeSet<RegistrationRef>,
    labels: BTreeSet<String>,
}

impl Trunks {
    pub(crate) fn new(trunks: Vec<Arc<Trunk>>, bound: Vec<(Transport, SocketAddr)>) -> Self {
        let mut all = Self {
            entries: BTreeMap::new(),
            next_key: 0,
            bound,
            probes: BTreeMap::new(),
            leaving: BTreeSet::new(),
            labels: BTreeSet::new(),
        };
        for (place, trunk) in trunks.into_iter().enumerate() {
            all.enter(trunk, place, None);
        }
        all
    }

    fn enter(&mut self, trunk: Arc<Trunk>, place: usize, waits_for: Option<RegistrationRef>) -> TrunkKey {
        let key = self.next_key;
        self.next_key += 1;
        let entry = TrunkEntry {
            group: Group::new(Probing { every: trunk.options_interval }),
            caps: Caps::new(trunk.calls_per_second_max, trunk.calls_max),
            trunk,
            place,
            leaves: false,
            waits_for,
            trouble: None,
            registration: None,
        };
        self.entries.insert(key, entry);
        key
    }

    /// Those of the configuration, in its order.
    pub(super) fn entries(&self) -> Vec<&TrunkEntry> {
        let mut entries: Vec<&TrunkEntry> = self.entries.values().filter(|entry| !entry.leaves).collect();
        entries.sort_by_key(|entry| entry.place);
        entries
    }

    /// Every entry that is in the configuration.
    pub(crate) fn keys(&self) -> Vec<TrunkKey> {
        self.entries.iter().filter(|(_, entry)| !entry.leaves).map(|(key, _)| *key).collect()
    }

    /// What is to be looked up for one.
    pub(crate) fn wanted(&self, key: TrunkKey) -> Vec<Wanted> {
        let places = self.entries.get(&key).map(|entry| entry.trunk.places.as_slice()).unwrap_or_default();
        places.iter().map(|place| self.wish(place)).collect()
    }

    fn wish(&self, place: &checked::Place) -> Wanted {
        let named = place.transport.map(transport);
        let has = |kind: Transport| self.bound.iter().any(|(bound, _)| *bound == kind);
        let carries = |(kind, _): &&(Transport, SocketAddr)| named.is_none_or(|named| named == *kind);
        let faces = |ipv4: bool| self.bound.iter().filter(carries).any(|(_, bound)| bound.is_ipv4() == ipv4);
        Wanted {
            host: place.host.clone(),
            port: place.port,
            transport: named,
            transports: [Transport::Udp, Transport::Tcp].into_iter().filter(|kind| has(*kind)).collect(),
            ipv4: faces(true),
            ipv6: faces(false),
            priority: place.priority,
            weight: place.weight,
        }
    }

    pub(super) fn name(&self, index: TrunkKey) -> &str {
        self.entries.get(&index).map_or("", |entry| entry.trunk.name.as_str())
    }

    /// The trunks whose PBX this host is.
    pub(super) fn at(&self, host: &sip::Host) -> Vec<String> {
        let (name, ip) = (host.to_string(), host.ip());
        let is_there = |entry: &&TrunkEntry| {
            let trunk = &entry.trunk;
            name.eq_ignore_ascii_case(trunk.host.trim_matches(['[', ']']))
                || ip.is_some_and(|ip| entry.addresses().any(|at| at == ip))
        };
        self.entries().into_iter().filter(is_there).map(|entry| entry.trunk.name.clone()).collect()
    }

    /// Whether this is an address of our own that phones and PBXs may write.
    pub(super) fn is_bound(&self, ip: IpAddr) -> bool {
        self.bound.iter().any(|(_, bound)| bound.ip() == ip && !ip.is_unspecified())
    }

    fn named(&self, name: &str) -> Option<(TrunkKey, &TrunkEntry)> {
        let found = self.entries.iter().find(|(_, entry)| !entry.leaves && entry.trunk.name == name);
        found.map(|(key, entry)| (*key, entry))
    }

    /// The trunk as a call knows it: the one it began with, also when that has left the configuration since.
    fn of(&self, trunk: &Arc<Trunk>) -> Option<(TrunkKey, &TrunkEntry)> {
        let same = self.entries.iter().find(|(_, entry)| Arc::ptr_eq(&entry.trunk, trunk));
        same.map(|(key, entry)| (*key, entry)).or_else(|| self.named(&trunk.name))
    }

    /// Takes all registrations back, at the very end.
    pub(super) fn leave(&mut self, endpoint: &mut Endpoint, now: Instant) {
        for registration in self.entries.values_mut().filter_map(|entry| entry.registration.take()) {
            endpoint.unregister(registration.id, now);
            self.leaving.insert(registration.id);
        }
    }

    /// Whether every registrar has heard that we leave.
    pub(super) fn left(&self) -> bool {
        self.leaving.is_empty()
    }

    /// The way to a user behind a trunk, at a target that was not `tried` yet; at the very target `planned` where there is
    /// one. `realm` stands in our From where the trunk has no account for us.
    pub(super) fn way(
        &self,
        (trunk, user): (&Arc<Trunk>, &str),
        tried: Vec<Candidate>,
        planned: Option<&Target>,
        realm: &str,
    ) -> Result<Way, (HangupCause, String)> {
        let now = clock::now();
        let name = trunk.name.as_str();
        let (index, entry) = self
            .of(trunk)
            .ok_or_else(|| (HangupCause::Unreachable, format!("no trunk {name} in the configuration")))?;
        entry.caps.check(now).map_err(|full| {
            metric::count_with(Metric::TrunkCallsRefused, &format!("{name}/{}", full.code()));
            (HangupCause::Overload, format!("trunk {name}: {full}"))
        })?;
        let at = match planned {
            Some(planned) => entry.planned(planned, now),
            None => entry.choose(&tried, now),
        };
        let at = at.map_err(|none| {
            metric::count_with(Metric::TrunkCallsRefused, &format!("{name}/no-target"));
            (HangupCause::Unreachable, report::refusal(entry, none))
        })?;
        let uri: Uri = trunk_uri(trunk, Some(user), Some(&at)).parse().map_err(|_| bad_address("trunk"))?;
        let target = self
            .target(&at)
            .ok_or_else(|| (HangupCause::Unreachable, format!("no sip.listen socket for trunk {name}'s transport")))?;
        let from_host = if trunk.register { trunk.host.clone() } else { realm.to_owned() };
        let route = Some(Route { trunk: index, at, tried });
        Ok(Way { uri, to: None, target, credentials: credentials(trunk), from_host, route })
    }

    /// Whether a call would find a way through this trunk now.
    pub(super) fn takes_calls(&self, name: &str) -> bool {
        let now = clock::now();
        self.named(name).is_some_and(|(_, entry)| {
            // How many begin in this very second says nothing about the next.
            entry.caps.check(now) != Err(Full::AtOnce) && entry.choose(&[], now).is_ok()
        })
    }

    /// The socket that faces a target: same transport, same address family.
    fn target(&self, at: &Candidate) -> Option<Target> {
        let faces =
            |(kind, bound): &(Transport, SocketAddr)| *kind == at.transport && bound.is_ipv4() == at.address.is_ipv4();
        let local = self.bound.iter().position(faces)?;
        Some(Target { transport: at.transport, address: at.address, local })
    }

    // Calls.

    /// A call's INVITE leaves by this route.
    pub(super) fn begin(&mut self, route: &Route) {
        if let Some(entry) = self.entries.get_mut(&route.trunk) {
            // Looked at just now, in the same turn of the driver.
            let _full = entry.caps.begin(clock::now());
        }
    }

    /// A call that began is over, or goes elsewhere.
    pub(super) fn end(&mut self, route: &Route) {
        if let Some(entry) = self.entries.get_mut(&route.trunk) {
            entry.caps.end();
        }
    }

    /// Whether a call on this route could still go to another target.
    pub(super) fn has_another(&self, route: &Route) -> bool {
        let entry = self.entries.get(&route.trunk);
        entry.is_some_and(|entry| entry.group.has_another(&route.all(), clock::now()))
    }

    /// What a call says of its target; `why` in words where it is no good news.
    pub(super) fn heard(&mut self, route: &Route, news: &News, why: &str, endpoint: &mut Endpoint) {
        let now = clock::now();
        let Some(entry) = self.entries.get_mut(&route.trunk) else { return };
        if entry.group.heard(&route.at, news, why, now) {
            self.changed(route.trunk, &route.at, endpoint);
        }
    }

    /// A call leaves its target for another.
    pub(super) fn fails_over(&self, route: &Route, why: &str) {
        let Some(entry) = self.entries.get(&route.trunk) else { return };
        let name = entry.trunk.name.as_str();
        metric::count_with(Metric::TrunkFailovers, name);
        warn!(trunk = name, target = %route.at.address, why, "a call goes to the next target");
    }

    // Probes.

    /// Sends the OPTIONS that are due, and gives up those that were not answered.
    pub(super) fn handle_timeout(&mut self, endpoint: &mut Endpoint) {
        let now = clock::now();
        for index in self.keys() {
            let Some(entry) = self.entries.get_mut(&index) else { return };
            if entry.group.poll_timeout().is_none_or(|at| at > now) {
                continue;
            }
            let overdue = entry.group.overdue(now);
            for at in overdue {
                let late = self.probes.iter().find(|(_, (of, one))| *of == index && *one == at).map(|(id, _)| *id);
                if let Some(probe) = late {
                    self.probes.remove(&probe);
                    endpoint.forget_probe(probe);
                }
                self.note_probe(index, &at, Err("no answer to OPTIONS"), endpoint);
            }
            let due = self.entries.get_mut(&index).map(|entry| entry.group.due(now)).unwrap_or_default();
            for at in due {
                match self.target(&at) {
                    Some(target) => drop(self.probes.insert(endpoint.options(target, now), (index, at))),
                    None => self.note_probe(index, &at, Err("no sip.listen socket for its transport"), endpoint),
                }
            }
        }
    }

    /// When [`Trunks::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let here = self.entries.values().filter(|entry| !entry.leaves);
        here.filter_map(|entry| entry.group.poll_timeout()).min()
    }

    /// A probe ended.
    pub(super) fn probed(&mut self, probe: ProbeRef, result: &Result<u16, Failure>, endpoint: &mut Endpoint) {
        let Some((index, at)) = self.probes.remove(&probe) else { return };
        match result {
            Ok(status) => self.note_probe(index, &at, Ok(*status), endpoint),
            Err(failure) => {
                let why = if failure.status == 408 { "no answer to OPTIONS" } else { "it cannot be connected to" };
                self.note_probe(index, &at, Err(why), endpoint);
            }
        }
    }

    fn note_probe(&mut self, index: TrunkKey, at: &Candidate, answer: Result<u16, &str>, endpoint: &mut Endpoint) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let word = if answer.is_ok() { "answered" } else { "silent" };
        metric::count_with(Metric::TrunkProbes, &format!("{}/{word}", entry.trunk.name));
        debug!(trunk = entry.trunk.name, target = %at.address, ?answer, "options probe");
        if entry.group.probed(at, answer, clock::now(), rand::rng().random()) {
            self.changed(index, at, endpoint);
        }
    }

    /// The state of a target has changed: it is told, and the registration follows.
    fn changed(&mut self, index: TrunkKey, at: &Candidate, endpoint: &mut Endpoint) {
        let Some(entry) = self.entries.get(&index) else { return };
        let same = |one: &Candidate| (one.transport, one.address) == (at.transport, at.address);
        let Some(health) = entry.group.members().iter().find(|one| same(&one.candidate)).map(|one| &one.health) else {
            return;
        };
        let (name, state) = (entry.trunk.name.clone(), health.state());
        match state {
            State::Up | State::Unknown => info!(trunk = name, target = %at.address, state = state.code(), "target"),
            State::Degraded | State::Down => {
                let why = health.last_error().unwrap_or_default();
                warn!(trunk = name, target = %at.address, state = state.code(), why, mend = report::MEND_TARGET, "target");
            }
        }
        let registered_here = entry.registration.as_ref().filter(|registration| same(&registration.at));
        match (state, registered_here.map(|registration| registration.id)) {
            // It may have been started anew and know nothing of us.
            (State::Up, Some(id)) => endpoint.renew(id, clock::now()),
            (State::Down, Some(_)) => self.move_registration(index, endpoint),
            (State::Up | State::Unknown | State::Degraded | State::Down, Some(_) | None) => {}
        }
        self.gauge(index);
    }

    fn gauge(&mut self, index: TrunkKey) {
        let Some(entry) = self.entries.get(&index) else { return };
        for member in entry.group.members() {
            let value = match member.health.state() {
                State::Up => 1.0,
                State::Unknown => continue,
                State::Degraded => 0.5,
                State::Down => 0.0,
            };
            let label = format!("{}/{}", entry.trunk.name, member.candidate.address);
            if self.labels.len() < TARGET_LABELS_MAX || self.labels.contains(&label) {
                metric::gauge_with(Metric::TrunkUp, &label, value);
                self.labels.insert(label);
            }
        }
    }

    // Addresses and registrations.

    /// Where a trunk is, as DNS has it now: register at one target, and let them all call us.
    pub(super) fn found(&mut self, found: Found, endpoint: &mut Endpoint) {
        let index = found.trunk;
        let reachable: Vec<Candidate> =
            found.candidates.iter().copied().filter(|at| self.target(at).is_some()).collect();
        let Some(entry) = self.entries.get_mut(&index) else { return };
        entry.trouble = found.trouble;
        if reachable.is_empty() && !found.candidates.is_empty() {
            entry.trouble = Some("no sip.listen socket for its transport and version of IP; add one".to_owned());
        }
        let mut rng = rand::rng();
        entry.group.set(&reachable, clock::now(), || rng.random());
        let known = entry.group.members().len();
        info!(trunk = entry.trunk.name, known, trouble = entry.trouble, "trunk addresses");
        self.let_in(endpoint);
        let Some(entry) = self.entries.get(&index) else { return };
        let there = |registration: &Registration| {
            let at = (registration.at.transport, registration.at.address);
            entry.group.members().iter().any(|one| (one.candidate.transport, one.candidate.address) == at)
        };
        // The one in use stays in use while it is among them, however DNS turns its answers round.
        if !entry.registration.as_ref().is_some_and(there) {
            self.register(index, None, endpoint);
        }
    }

    /// Whose calls are taken: from where the trunks are.
    fn let_in(&self, endpoint: &mut Endpoint) {
        let of = |entry: &TrunkEntry| -> Vec<IpAddr> { entry.addresses().collect() };
        let entries = self.entries();
        endpoint.set_trunks(entries.iter().flat_map(|entry| of(entry)).collect());
        // Of two trunks at one address the first has the say over calls from there: nothing tells them apart.
        let rules = entries.iter().rev();
        let rules = rules.flat_map(|entry| of(entry).into_iter().map(|ip| (ip, entry.trunk.extensions)));
        endpoint.set_extensions(rules.collect());
    }

    /// Registers at the best target, or at this one.
    fn register(&mut self, index: TrunkKey, at: Option<Candidate>, endpoint: &mut Endpoint) {
        let now = clock::now();
        let Some(entry) = self.entries.get(&index) else { return };
        let trunk = &entry.trunk;
        let best = || entry.group.choose(&[], now, |most| rand::rng().random_range(0..=most)).ok();
        // Registering goes on whatever the health says: it is one of the ways to learn that a PBX is back.
        let first = || entry.group.members().first().map(|member| member.candidate);
        let may = trunk.register && entry.waits_for.is_none() && !entry.leaves;
        let (true, Some(at)) = (may, at.or_else(best).or_else(first)) else { return };
        let Some(target) = self.target(&at) else { return };
        let user = trunk.username.clone().unwrap_or_default();
        let uri = |user| trunk_uri(trunk, user, Some(&at)).parse();
        let (Ok(registrar), Ok(aor)) = (uri(None), uri(Some(&user))) else {
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
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let before = entry.registration.take();
        if let Some(old) = &before {
            endpoint.unregister(old.id, now);
        }
        let id = endpoint.register(config, now);
        let last_error = before.and_then(|old| old.last_error);
        entry.registration = Some(Registration { id, at, state: Registered::Trying, since: now, last_error });
    }

    /// Registers at another target, when there is one that is not known to fail.
    fn move_registration(&mut self, index: TrunkKey, endpoint: &mut Endpoint) {
        let Some(entry) = self.entries.get(&index) else { return };
        let Some(registration) = &entry.registration else { return };
        let Ok(other) = entry.group.choose(&[registration.at], clock::now(), |_| 0) else { return };
        let lives = |member: &&sip::target::Member| {
            member.candidate == other && matches!(member.health.state(), State::Up | State::Unknown)
        };
        if entry.group.members().iter().any(|member| lives(&member)) {
            info!(trunk = entry.trunk.name, target = %other.address, "registering at the next target");
            self.register(index, Some(other), endpoint);
        }
    }

    /// News of a registration.
    pub(super) fn registration(&mut self, id: RegistrationRef, state: &RegistrationState, endpoint: &mut Endpoint) {
        if matches!(state, RegistrationState::Unregistered | RegistrationState::Failed { .. }) {
            self.leaving.remove(&id);
            self.end_waiting(id, endpoint);
        }
        let now = clock::now();
        let ours = |entry: &TrunkEntry| entry.registration.as_ref().is_some_and(|one| one.id == id);
        let Some(index) = self.entries.iter().find(|(_, entry)| ours(entry)).map(|(key, _)| *key) else { return };
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let (trunk, group) = (&entry.trunk.name, &mut entry.group);
        let Some(registration) = &mut entry.registration else { return };
        let at = registration.at;
        let became = match state {
            RegistrationState::Trying => return debug!(trunk, "registering"),
            RegistrationState::Registered { .. } => {
                if registration.state != Registered::Yes {
                    info!(trunk, target = %at.address, "registered");
                }
                registration.last_error = None;
                Registered::Yes
            }
            RegistrationState::Failed { status, text, retry_at } => {
                registration.last_error = Some((*status, text.clone()));
                let retry_in_s = retry_at.saturating_duration_since(now).as_secs();
                let mend = report::registration_mend(*status);
                warn!(trunk, target = %at.address, status, text, retry_in_s, mend, "registration failed");
                Registered::No { retry_at: *retry_at }
            }
            RegistrationState::Unregistered => {
                info!(trunk, "unregistered");
                Registered::Left
            }
        };
        metric::gauge_with(Metric::TrunkRegistered, trunk, if became == Registered::Yes { 1.0 } else { 0.0 });
        if !registration.state.is_like(&became) {
            registration.since = now;
        }
        registration.state = became;
        if let RegistrationState::Failed { status, text, .. } = state {
            let news = if *status == 503 { News::Overloaded(None) } else { News::Failed };
            if matches!(status, 408 | 503) && group.members().len() > 1 {
                group.heard(&at, &news, &format!("{status} {text} to REGISTER"), now);
                self.move_registration(index, endpoint);
                self.gauge(index);
            }
        }
    }
}

impl TrunkEntry {
    /// A target for a call: where we are registered while that lives, for a PBX knows us there; else the best.
    fn choose(&self, tried: &[Candidate], now: Instant) -> Result<Candidate, NoTarget> {
        let registered = self.registration.as_ref().filter(|one| one.state == Registered::Yes).map(|one| one.at);
        let lives = |at: &Candidate| {
            let mut members = self.group.members().iter().filter(|member| member.candidate == *at);
            !tried.contains(at)
                && members.any(|member| {
                    member.health.is_usable(now) && matches!(member.health.state(), State::Up | State::Unknown)
                })
        };
        match registered.filter(lives) {
            Some(at) => Ok(at),
            None => self.group.choose(tried, now, |most| rand::rng().random_range(0..=most)),
        }
    }

    /// The target that was written down for a call, unless it is gone or dead by now.
    fn planned(&self, planned: &Target, now: Instant) -> Result<Candidate, NoTarget> {
        let here = |member: &&sip::target::Member| {
            (member.candidate.transport, member.candidate.address) == (planned.transport, planned.address)
        };
        let found = self.group.members().iter().find(here).filter(|member| member.health.is_usable(now));
        found.map(|member| member.candidate).ok_or(NoTarget::Down)
    }
}

pub(super) fn bad_address(what: &str) -> (HangupCause, String) {
    (HangupCause::NotFound, format!("{what} does not make a SIP address"))
}

/// `sip:user@host:port;transport=tcp`, with only what is needed. Where the trunk is named by an address and not by a domain,
/// another target is named by its own: no PBX answers for its neighbour's address.
pub(crate) fn trunk_uri(trunk: &Trunk, user: Option<&str>, at: Option<&Candidate>) -> String {
    let user = user.map(|user| format!("{}@", escape_user(user))).unwrap_or_default();
    let bare = trunk.host.trim_matches(['[', ']']);
    let (mut host, mut port) = (bare.to_owned(), trunk.port);
    if let (Ok(named), Some(at)) = (bare.parse::<IpAddr>(), at)
        && named != at.address.ip()
    {
        host = at.address.ip().to_string();
        port = Some(at.address.port()).filter(|port| *port != at.transport.default_port());
    }
    if host.contains(':') {
        host = format!("[{host}]");
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = match at.map_or_else(|| transport(trunk.transport), |at| at.transport) {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
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

pub(crate) fn credentials(trunk: &Trunk) -> Option<Credentials> {
    let user = trunk.username.clone()?;
    let password = trunk.password.as_ref()?;
    Some(Credentials { username: user, password: password.expose().to_owned(), realm: trunk.realm.clone() })
}

/// The configuration's word for a transport, in the endpoint's words.
pub(crate) fn transport(transport: checked::Transport) -> Transport {
    match transport {
        checked::Transport::Udp => Transport::Udp,
        checked::Transport::Tcp => Transport::Tcp,
        checked::Transport::Tls => Transport::Tls,
    }
}
