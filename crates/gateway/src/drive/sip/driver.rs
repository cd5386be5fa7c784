//! The SIP driver: one task that owns the endpoint and its sockets, and moves things between them and the calls.
//!
//! It decides nothing about calls. An order goes in, a notice comes out; a call that does not listen any more has
//! its leg ended, so that no phone rings for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use call::HangupCause;
use sip::OrphanEnd;
use sip::digest::Credentials;
use sip::endpoint::{
    Account, CallRef, EndedBy, Endpoint, Extensions, IncomingInvite, Invite, OrphanRef, RegistrationConfig,
    RegistrationRef, RegistrationState, SipEvent, Target, Transport,
};
use sip::error::{Failure, Reason};
use sip::uri::Uri;
use sip::values::NameAddr;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::clock;
use crate::config::checked::Trunk;
use crate::drive::sip::sockets::{Inbound, Sockets};
use crate::drive::sip::{
    Callee, DriverLedger, Incoming, Invitation, LegSink, Order, Parties, Plan, SipLeg, SipNotice, cause_of, status_of,
};
use crate::net::addresses;
use crate::observe::metric::{self, Metric};

/// How often the address of a trunk named by host name is looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 32;

/// A call's own ring limit comes first, as it knows whether anything rang; the endpoint's is for a call that is stuck.
const RING_BACKSTOP: Duration = Duration::from_secs(2);

/// Inputs handled before the endpoint's output is drained; keeps one burst from starving the timers.
const INPUTS_AT_ONCE: usize = 64;

/// A phone has come or gone.
#[derive(Debug)]
pub(crate) struct PhonePresence {
    pub(crate) extension: String,
    pub(crate) on: bool,
}

/// What the driver needs besides endpoint and sockets.
pub(crate) struct DriverConfig {
    pub(crate) trunks: Vec<Trunk>,
    /// The address written into SDP, when one is configured.
    pub(crate) sdp_ip: Option<IpAddr>,
    pub(crate) realm: String,
    /// INVITEs that come in.
    pub(crate) incoming: mpsc::Sender<Incoming>,
    /// Phones that register and unregister.
    pub(crate) presence: mpsc::Sender<PhonePresence>,
    pub(crate) next_leg: Arc<AtomicU64>,
}

/// One leg the endpoint knows.
struct LegEntry {
    call: CallRef,
    sink: Option<LegSink>,
    remote: IpAddr,
    /// Why we end it, when we do.
    ending: Option<HangupCause>,
    /// How another process could end it, as its call was told last; `None` when it does not want to know.
    described: Option<String>,
}

/// A trunk and where it is now.
struct TrunkEntry {
    trunk: Trunk,
    /// The one in use.
    address: Option<SocketAddr>,
    /// All its name stands for, in order.
    addresses: Vec<SocketAddr>,
    registration: Option<RegistrationRef>,
}

/// The driver. [`SipDriver::run`] is its task.
pub(crate) struct SipDriver {
    config: DriverConfig,
    endpoint: Endpoint,
    sockets: Sockets,
    bound: Vec<(Transport, SocketAddr)>,
    legs: BTreeMap<SipLeg, LegEntry>,
    by_call: BTreeMap<CallRef, SipLeg>,
    trunks: Vec<TrunkEntry>,
    /// Registrations whose end is not confirmed yet, at the very end.
    leaving: BTreeSet<RegistrationRef>,
    /// Legs of dead processes that are being ended, and who asks.
    orphans: BTreeMap<OrphanRef, oneshot::Sender<OrphanEnd>>,
}

impl SipDriver {
    pub(crate) fn new(
        mut config: DriverConfig,
        endpoint: Endpoint,
        sockets: Sockets,
        bound: Vec<(Transport, SocketAddr)>,
    ) -> Self {
        let trunks = std::mem::take(&mut config.trunks)
            .into_iter()
            .map(|trunk| TrunkEntry { trunk, address: None, addresses: Vec::new(), registration: None })
            .collect();
        Self {
            config,
            endpoint,
            sockets,
            bound,
            legs: BTreeMap::new(),
            by_call: BTreeMap::new(),
            trunks,
            leaving: BTreeSet::new(),
            orphans: BTreeMap::new(),
        }
    }

    /// Who may register here.
    pub(crate) fn set_accounts(&mut self, accounts: Vec<Account>) {
        self.endpoint.set_accounts(accounts);
    }

    /// Runs until [`Order::Shutdown`].
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut inbound: mpsc::Receiver<Inbound>) {
        let (resolved_in, mut resolved) = mpsc::channel::<(usize, Vec<SocketAddr>)>(64);
        let resolver = tokio::spawn(resolve_trunks(
            self.trunks.iter().map(|entry| address_of(&entry.trunk)).collect(),
            resolved_in,
        ));
        let mut done = None;
        loop {
            self.drain().await;
            let due = self.endpoint.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Shutdown { done: reply }) => { done = Some(reply); break }
                    Some(order) => self.handle_order(order),
                    None => break,
                },
                () = sleep_until(due) => self.endpoint.handle_timeout(clock::now()),
                Some((index, addresses)) = resolved.recv() => self.trunk_resolved(index, addresses),
                input = inbound.recv() => {
                    let Some(input) = input else { break };
                    self.handle_inbound(input);
                    for _ in 1..INPUTS_AT_ONCE {
                        let Ok(input) = inbound.try_recv() else { break };
                        self.handle_inbound(input);
                    }
                }
            }
        }
        resolver.abort();
        self.leave(&mut inbound).await;
        if let Some(done) = done {
            let _waiter_gone = done.send(());
        }
    }

    /// Says good-bye to the registrars and to any leg left, for two seconds at most.
    async fn leave(&mut self, inbound: &mut mpsc::Receiver<Inbound>) {
        let now = clock::now();
        for registration in self.trunks.iter_mut().filter_map(|entry| entry.registration.take()) {
            self.endpoint.unregister(registration, now);
            self.leaving.insert(registration);
        }
        for (_, entry) in std::mem::take(&mut self.legs) {
            self.endpoint.hang_up(entry.call, None, now);
        }
        let until = now + Duration::from_secs(2);
        loop {
            self.drain().await;
            // Transactions that only listen for repetitions (RFC 3261 §17.1.2.2) are not waited for.
            if (self.endpoint.ledger().calls == 0 && self.leaving.is_empty()) || clock::now() >= until {
                break;
            }
            let due = self.endpoint.poll_timeout().map_or(until, |(at, _)| at.min(until));
            tokio::select! {
                input = inbound.recv() => match input { Some(input) => self.handle_inbound(input), None => break },
                () = sleep_until(Some(due)) => self.endpoint.handle_timeout(clock::now()),
            }
        }
        // The last datagrams leave before the sockets close.
        tokio::task::yield_now().await;
    }

    fn handle_inbound(&mut self, input: Inbound) {
        let now = clock::now();
        match input {
            Inbound::Datagram { flow, bytes } => self.endpoint.handle_datagram(flow, &bytes, now),
            Inbound::Opened { flow, writer } => self.sockets.opened(flow, writer),
            Inbound::Stream { flow, bytes } => self.endpoint.handle_stream(flow, &bytes, now),
            Inbound::Closed { flow } => {
                self.sockets.closed(flow);
                self.endpoint.handle_stream_closed(flow, now);
            }
            Inbound::Failed { flow } => {
                self.sockets.closed(flow);
                self.endpoint.handle_transport_error(flow, now);
            }
        }
    }

    fn handle_order(&mut self, order: Order) {
        let now = clock::now();
        match order {
            Order::Invite { leg, sink, invitation } => self.invite(leg, sink, *invitation),
            Order::Plan { parties, reply } => {
                let _asker_gone = reply.send(self.plan(*parties));
            }
            Order::EndOrphan { orphan, reply } => match self.endpoint.end_orphan(*orphan, now) {
                Ok(orphan) => drop(self.orphans.insert(orphan, reply)),
                Err(error) => {
                    warn!(%error, "a dead process's leg is not ended");
                    let _asker_gone = reply.send(OrphanEnd::Unknown);
                }
            },
            Order::Adopt { leg, sink } => match self.legs.get_mut(&leg) {
                Some(entry) => entry.sink = Some(sink),
                // It ended between INVITE and now.
                None => {
                    sink.tell(SipNotice::Ended { cause: HangupCause::Cancelled, by_peer: true });
                }
            },
            Order::Ring { leg } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.ring(entry.call, 180, None, now);
                }
            }
            Order::Answer { leg, sdp } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.answer(entry.call, sdp, Vec::new(), now);
                }
            }
            Order::Accept { leg, sdp } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.answer_reoffer(entry.call, sdp, now);
                }
            }
            Order::Refuse { leg, status } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.reject_reoffer(entry.call, status, now);
                }
            }
            Order::HangUp { leg, cause } => self.hang_up(leg, cause),
            Order::Ledger { reply } => {
                let _asker_gone = reply.send(DriverLedger { legs: self.legs.len(), endpoint: self.endpoint.ledger() });
            }
            Order::Shutdown { .. } => {}
        }
    }

    fn hang_up(&mut self, leg: SipLeg, cause: HangupCause) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.ending = Some(cause);
        let now = clock::now();
        match cause {
            HangupCause::Normal | HangupCause::Cancelled => self.endpoint.hang_up(entry.call, None, now),
            // A leg not answered yet is refused with the cause's status; an answered one gets BYE with the reason.
            HangupCause::Busy
            | HangupCause::NoAnswer
            | HangupCause::Refused
            | HangupCause::Unreachable
            | HangupCause::NotFound
            | HangupCause::NoAgent
            | HangupCause::MediaFailed
            | HangupCause::MediaLost
            | HangupCause::SocketLost
            | HangupCause::TooLong
            | HangupCause::Overload
            | HangupCause::Shutdown
            | HangupCause::Interrupted
            | HangupCause::Bug
            | HangupCause::NotAllowed
            | HangupCause::IncompatibleMedia => {
                self.endpoint.hang_up(entry.call, Some(Reason::sip(status_of(cause), cause.code())), now);
            }
        }
    }

    fn invite(&mut self, leg: SipLeg, sink: LegSink, invitation: Invitation) {
        let (not_after, described) = (invitation.not_after, invitation.described);
        let (invite, remote) = match self.prepare(invitation) {
            Ok(prepared) => prepared,
            Err((cause, why)) => {
                info!(leg = leg.0, why, "leg not invited");
                sink.tell(SipNotice::Refused { cause, status: 0, phrase: why, q850: None });
                return;
            }
        };
        // The last look before the packet: this process may have been stopped and woken since the order was given.
        if not_after.is_some_and(|limit| clock::now() >= limit) {
            warn!(leg = leg.0, "leg not invited: the time in which this node may dial is over");
            metric::count(Metric::CallbacksFenced);
            let phrase = "too late to dial".to_owned();
            sink.tell(SipNotice::Refused { cause: HangupCause::Cancelled, status: 0, phrase, q850: None });
            return;
        }
        match self.endpoint.invite(invite, clock::now()) {
            Ok(call) => {
                let described = described.then(String::new);
                self.legs.insert(leg, LegEntry { call, sink: Some(sink), remote, ending: None, described });
                self.by_call.insert(call, leg);
            }
            Err(error) => {
                warn!(leg = leg.0, %error, "leg not invited");
                sink.tell(SipNotice::Refused {
                    cause: HangupCause::Overload,
                    status: 0,
                    phrase: error.to_string(),
                    q850: None,
                });
            }
        }
    }

    /// From our words to the endpoint's: where the callee is now, and the offer for the address that faces him.
    fn prepare(&self, invitation: Invitation) -> Result<(Invite, IpAddr), (HangupCause, String)> {
        let Invitation { parties, headers, ring_limit, sdp, plan, not_after, described: _ } = invitation;
        let invite = self.address(parties)?;
        if plan.as_ref().is_some_and(|plan| plan.target != invite.target) {
            return Err((HangupCause::Unreachable, "the trunk has moved since this call was planned".to_owned()));
        }
        let remote = invite.target.address;
        let local = self.config.sdp_ip.unwrap_or_else(|| addresses::local_towards(remote));
        let invite = Invite {
            headers,
            body: Some((sdp.0)(local)),
            ring_limit: Some(ring_limit + RING_BACKSTOP),
            identity: plan.map(|plan| plan.identity),
            not_after,
            ..invite
        };
        Ok((invite, remote.ip()))
    }

    fn plan(&mut self, parties: Parties) -> Result<Plan, HangupCause> {
        let mut invite = self.address(parties).map_err(|(cause, why)| {
            info!(why, "leg not planned");
            cause
        })?;
        let orphan = self.endpoint.plan(&mut invite).map_err(|error| {
            warn!(%error, "leg not planned");
            HangupCause::Overload
        })?;
        let identity = invite.identity.ok_or(HangupCause::Bug)?;
        Ok(Plan { identity, target: invite.target, described: orphan.to_string() })
    }

    /// An INVITE from and to these, with nothing to say yet.
    fn address(&self, parties: Parties) -> Result<Invite, (HangupCause, String)> {
        let Parties { callee, display, user, call } = parties;
        let extensions = match &callee {
            Callee::Agent { .. } => None,
            Callee::Trunk { trunk, .. } => self.trunks.iter().find(|entry| entry.trunk.name == *trunk),
        }
        .map_or(Extensions::USUAL, |entry| entry.trunk.extensions);
        let (uri, to, target, credentials, from_host) = match callee {
            Callee::Agent { extension } => self.agent_target(&extension)?,
            Callee::Trunk { trunk, user } => self.trunk_target(&trunk, &user)?,
        };
        let from_uri: Uri =
            format!("sip:{}@{from_host}", escape_user(&user)).parse().map_err(|_| bad_address("From"))?;
        let mut from = NameAddr::new(from_uri);
        from.display = (!display.is_empty()).then_some(display);
        Ok(Invite {
            uri,
            from,
            to,
            target,
            credentials,
            extensions,
            headers: Vec::new(),
            body: None,
            ring_limit: None,
            call_id: Some(call),
            identity: None,
            not_after: None,
        })
    }

    /// Tells a call how another process could end its leg, if that has changed.
    fn describe(&mut self, call: CallRef) {
        let Some(entry) = self.by_call.get(&call).and_then(|leg| self.legs.get_mut(leg)) else { return };
        let (Some(before), Some(orphan)) = (&mut entry.described, self.endpoint.orphan(call)) else { return };
        let now = orphan.to_string();
        if *before != now
            && let Some(sink) = &entry.sink
        {
            before.clone_from(&now);
            sink.tell(SipNotice::Described(now));
        }
    }

    #[expect(clippy::type_complexity, reason = "the five parts of an address, taken apart at once by the one caller")]
    fn agent_target(
        &self,
        extension: &str,
    ) -> Result<(Uri, Option<NameAddr>, Target, Option<Credentials>, String), (HangupCause, String)> {
        // The phone that registered last is the one that is there: another may be unplugged and still bound for an hour.
        let bindings = self.endpoint.bindings(extension);
        let binding = bindings
            .first()
            .ok_or_else(|| (HangupCause::Unreachable, format!("agent {extension} has no phone registered")))?;
        let to: Uri =
            format!("sip:{}@{}", escape_user(extension), self.config.realm).parse().map_err(|_| bad_address("To"))?;
        Ok((binding.contact.clone(), Some(NameAddr::new(to)), binding.target, None, self.config.realm.clone()))
    }

    #[expect(clippy::type_complexity, reason = "the five parts of an address, taken apart at once by the one caller")]
    fn trunk_target(
        &self,
        name: &str,
        user: &str,
    ) -> Result<(Uri, Option<NameAddr>, Target, Option<Credentials>, String), (HangupCause, String)> {
        let entry = self
            .trunks
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
        let from_host = if trunk.register { trunk.host.clone() } else { self.config.realm.clone() };
        Ok((uri, None, target, credentials(trunk), from_host))
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
    fn trunk_resolved(&mut self, index: usize, found: Vec<SocketAddr>) {
        let Some(entry) = self.trunks.get(index) else { return };
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
        let entry = &mut self.trunks[index];
        (entry.address, entry.addresses) = (address, addresses);
        let allowed = self
            .trunks
            .iter()
            .flat_map(|entry| entry.addresses.iter().map(SocketAddr::ip).chain(entry.trunk.accept_from.iter().copied()))
            .collect();
        self.endpoint.set_trunks(allowed);
        // Of two trunks at one address the first has the say over calls from there: nothing tells them apart.
        let rules = self.trunks.iter().rev().flat_map(|entry| {
            let known = entry.addresses.iter().map(SocketAddr::ip).chain(entry.trunk.accept_from.iter().copied());
            known.map(|ip| (ip, entry.trunk.extensions))
        });
        self.endpoint.set_extensions(rules.collect());
        if moved {
            self.register(index);
        }
    }

    fn register(&mut self, index: usize) {
        let now = clock::now();
        let Some(entry) = self.trunks.get(index) else { return };
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
            self.endpoint.unregister(old, now);
        }
        let registration = self.endpoint.register(config, now);
        self.trunks[index].registration = Some(registration);
    }

    /// Everything the endpoint has to say and to send.
    async fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.endpoint.poll_transmit() {
                idle = false;
                self.sockets.send(transmit.flow, transmit.bytes);
            }
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                self.handle_event(event).await;
            }
            if idle {
                return;
            }
        }
    }

    async fn handle_event(&mut self, event: SipEvent) {
        match event {
            SipEvent::Progress { call, status, body, .. } => {
                debug!(?call, status, "progress");
                self.describe(call);
                self.tell(call, |remote| SipNotice::Progress { sdp: body, remote });
            }
            SipEvent::Answered { call, body, .. } => {
                self.describe(call);
                self.tell(call, |remote| SipNotice::Answered { sdp: body, remote });
            }
            SipEvent::Failed { call, failure } => {
                let status = failure.status;
                let phrase = failure.phrase.clone();
                self.forget(call, |ending| SipNotice::Refused {
                    cause: ending.unwrap_or_else(|| cause_of_failure(&failure)),
                    status,
                    phrase,
                    q850: failure.q850,
                });
            }
            SipEvent::Incoming { call, invite } => self.incoming(call, *invite),
            SipEvent::Cancelled { call } => debug!(?call, "cancelled by the caller"),
            SipEvent::Confirmed { call, body } => self.tell(call, |_| SipNotice::Confirmed { sdp: body }),
            SipEvent::Reoffered { call, body } => self.tell(call, |_| SipNotice::Reoffered { sdp: body }),
            SipEvent::ReofferAnswered { call, .. } => debug!(?call, "re-INVITE answered"),
            SipEvent::ReofferFailed { call, failure } => debug!(?call, %failure, "re-INVITE failed"),
            SipEvent::EarlyAnswered { call, body } | SipEvent::Refreshed { call, body } => {
                self.tell(call, |_| SipNotice::Reanswered { sdp: body })
            }
            SipEvent::Info { call, content_type, body } => self.tell(call, |_| SipNotice::Info { content_type, body }),
            SipEvent::Ended { call, by, q850, .. } => {
                let by_peer = by == EndedBy::Peer;
                debug!(?call, ?by, q850, "leg ended");
                self.forget(call, |ending| SipNotice::Ended {
                    cause: ending.unwrap_or_else(|| cause_of_end(by)),
                    by_peer,
                });
            }
            SipEvent::Registration { registration, state } => self.registration(registration, &state),
            SipEvent::Bound { user, binding } => {
                info!(agent = user, transport = ?binding.flow.transport, "phone registered");
                self.presence(user, true).await;
            }
            SipEvent::Unbound { user, why } => {
                let on = !self.endpoint.bindings(&user).is_empty();
                info!(agent = user, ?why, "phone no longer registered");
                self.presence(user, on).await;
            }
            SipEvent::OrphanEnded { orphan, end } => {
                info!(?end, "a dead process's leg is ended");
                if let Some(reply) = self.orphans.remove(&orphan) {
                    let _asker_gone = reply.send(end);
                }
            }
            SipEvent::Probed { probe, result } => debug!(?probe, ?result, "options probe"),
            SipEvent::Refused { why, flow } => {
                metric::count_with(Metric::SipRefused, why.code());
                debug!(%flow, reason = why.code(), "sip message refused");
            }
            SipEvent::Close { flow } => self.sockets.closed(flow),
        }
    }

    async fn presence(&self, extension: String, on: bool) {
        if self.config.presence.send(PhonePresence { extension, on }).await.is_err() {
            debug!("presence has no listener");
        }
    }

    /// Tells a call about its leg. A call that is gone has its leg ended.
    fn tell(&mut self, call: CallRef, notice: impl FnOnce(IpAddr) -> SipNotice) {
        let Some(entry) = self.by_call.get(&call).and_then(|leg| self.legs.get(leg)) else { return };
        let told = entry.sink.as_ref().is_some_and(|sink| sink.tell(notice(entry.remote)));
        if !told {
            self.endpoint.hang_up(call, None, clock::now());
        }
    }

    /// The last word on a leg.
    fn forget(&mut self, call: CallRef, notice: impl FnOnce(Option<HangupCause>) -> SipNotice) {
        let Some(entry) = self.by_call.remove(&call).and_then(|leg| self.legs.remove(&leg)) else { return };
        if let Some(sink) = entry.sink {
            sink.tell(notice(entry.ending));
        }
    }

    fn incoming(&mut self, call: CallRef, invite: IncomingInvite) {
        let leg = SipLeg(self.config.next_leg.fetch_add(1, Ordering::Relaxed));
        let remote = invite.flow.remote.ip();
        let local = self.config.sdp_ip.unwrap_or_else(|| addresses::local_towards(invite.flow.remote));
        let incoming = Incoming {
            leg,
            user: invite.uri.user.clone().unwrap_or_default(),
            account: invite.account,
            from_display: invite.from.display.clone().unwrap_or_default(),
            sdp: invite.body,
            remote,
            local,
            headers: invite.headers,
        };
        self.legs.insert(leg, LegEntry { call, sink: None, remote, ending: None, described: None });
        self.by_call.insert(call, leg);
        if self.config.incoming.try_send(incoming).is_err() {
            self.endpoint.reject(call, 503, None, clock::now());
        }
    }

    fn registration(&mut self, registration: RegistrationRef, state: &RegistrationState) {
        if matches!(state, RegistrationState::Unregistered | RegistrationState::Failed { .. }) {
            self.leaving.remove(&registration);
        }
        let Some(entry) = self.trunks.iter().find(|entry| entry.registration == Some(registration)) else { return };
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

fn cause_of_failure(failure: &Failure) -> HangupCause {
    if failure.timed_out.is_some_and(sip::timer::Timer::is_ring_limit) {
        HangupCause::NoAnswer
    } else {
        cause_of(failure.status)
    }
}

fn cause_of_end(by: EndedBy) -> HangupCause {
    match by {
        EndedBy::Us | EndedBy::Peer => HangupCause::Normal,
        EndedBy::Timer(_) => HangupCause::Unreachable,
    }
}

fn bad_address(what: &str) -> (HangupCause, String) {
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
    };
    format!("sip:{user}{host}{port}{transport}")
}

/// Percent-escapes what may not stand in a user part (RFC 3261 §25.1 `user`).
fn escape_user(user: &str) -> String {
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
    }
}

/// Host and port to look up for a trunk.
fn address_of(trunk: &Trunk) -> (String, u16) {
    (trunk.host.trim_matches(['[', ']']).to_owned(), trunk.port.unwrap_or(5060))
}

/// Looks the trunks' names up now and every minute; an answer that fails leaves the last good one in use.
async fn resolve_trunks(hosts: Vec<(String, u16)>, out: mpsc::Sender<(usize, Vec<SocketAddr>)>) {
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

/// Sleeps until a deadline of the pure rooms, or for ever without one.
pub(crate) async fn sleep_until(due: Option<std::time::Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
