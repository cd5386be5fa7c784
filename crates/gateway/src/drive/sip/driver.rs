//! The SIP driver: one task that owns the endpoint and its sockets, and moves things between them and the calls.
//!
//! It decides nothing about calls. An order goes in, a notice comes out; a call that does not listen any more has
//! its leg ended, so that no phone rings for nobody.

mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use call::HangupCause;
use sip::OrphanEnd;
use sip::endpoint::{
    Account, CallRef, EndedBy, Endpoint, Extensions, IncomingInvite, Invite, OrphanRef, Refusal, SipEvent, Target,
    Transport,
};
use sip::error::{Failure, Reason};
use sip::target::{Candidate, News};
use sip::uri::Uri;
use sip::values::NameAddr;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

use crate::clock;
use crate::config::checked::Trunk;
use crate::drive::sip::dns::{self, Dns, Found};
use crate::drive::sip::report;
use crate::drive::sip::sockets::{Inbound, Sockets};
use crate::drive::sip::trunks::{Route, TrunkKey, Trunks, Way, bad_address, escape_user};
use crate::drive::sip::{
    Callee, DriverLedger, Incoming, Invitation, LegSink, Order, Parties, Plan, Rules, SipLeg, SipNotice, cause_of,
    status_of,
};
use crate::ladder::Tap;
use crate::net::addresses;
use crate::observe::metric::{self, Metric};

/// A call's own ring limit comes first, as it knows whether anything rang; the endpoint's is for a call that is stuck.
const RING_BACKSTOP: Duration = Duration::from_secs(2);

/// A target that has not said a word by then loses the call to the next one; its INVITE has been sent three times.
const SILENCE: Duration = Duration::from_secs(3);

/// Overload is logged no more often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Inputs handled before the endpoint's output is drained; keeps one burst from starving the timers.
const INPUTS_AT_ONCE: usize = 64;

/// News of DNS the driver may have waiting.
const FOUND_MAX: usize = 64;

/// A phone has come or gone.
#[derive(Debug)]
pub(crate) struct PhonePresence {
    pub(crate) extension: String,
    pub(crate) on: bool,
}

/// What the driver needs besides endpoint and sockets.
pub(crate) struct DriverConfig {
    pub(crate) trunks: Vec<Arc<Trunk>>,
    /// Asked where they are.
    pub(crate) dns: Arc<Dns>,
    /// The address written into SDP, when one is configured.
    pub(crate) sdp_ip: Option<IpAddr>,
    pub(crate) realm: String,
    /// INVITEs that come in.
    pub(crate) incoming: mpsc::Sender<Incoming>,
    /// Phones that register and unregister.
    pub(crate) presence: mpsc::Sender<PhonePresence>,
    pub(crate) next_leg: Arc<AtomicU64>,
    /// Hears every message.
    pub(crate) tap: Tap,
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
    /// The trunk's target it has gone to.
    route: Option<Route>,
    /// It rings, or sent sound of its own: it stays where it is.
    rang: bool,
}

impl LegEntry {
    fn new(call: CallRef, remote: IpAddr) -> Self {
        Self { call, sink: None, remote, ending: None, described: None, route: None, rang: false }
    }
}

/// The tasks that look the trunks up; ended with the driver.
struct Followers {
    tasks: JoinSet<()>,
    of: BTreeMap<TrunkKey, AbortHandle>,
    out: mpsc::Sender<Found>,
}

/// The driver. [`SipDriver::run`] is its task.
pub(crate) struct SipDriver {
    config: DriverConfig,
    endpoint: Endpoint,
    sockets: Sockets,
    legs: BTreeMap<SipLeg, LegEntry>,
    by_call: BTreeMap<CallRef, SipLeg>,
    trunks: Trunks,
    /// When a leg that has heard nothing may go elsewhere.
    silences: BTreeSet<(Instant, SipLeg)>,
    /// When overload was logged last.
    overload_told: Option<Instant>,
    /// Legs of dead processes that are being ended, and who asks.
    orphans: BTreeMap<OrphanRef, oneshot::Sender<OrphanEnd>>,
    /// What the endpoint said and nobody has looked at yet.
    events: VecDeque<SipEvent>,
    /// Users whose phones are registered here.
    here: BTreeSet<String>,
    followers: Followers,
    found: Option<mpsc::Receiver<Found>>,
}

impl SipDriver {
    pub(crate) fn new(
        mut config: DriverConfig,
        endpoint: Endpoint,
        sockets: Sockets,
        bound: Vec<(Transport, SocketAddr)>,
    ) -> Self {
        let trunks = Trunks::new(std::mem::take(&mut config.trunks), bound);
        let (out, found) = mpsc::channel(FOUND_MAX);
        Self {
            config,
            endpoint,
            sockets,
            legs: BTreeMap::new(),
            by_call: BTreeMap::new(),
            trunks,
            silences: BTreeSet::new(),
            overload_told: None,
            orphans: BTreeMap::new(),
            events: VecDeque::new(),
            here: BTreeSet::new(),
            followers: Followers { tasks: JoinSet::new(), of: BTreeMap::new(), out },
            found: Some(found),
        }
    }

    /// Who may register here.
    pub(crate) fn set_accounts(&mut self, accounts: Vec<Account>) {
        self.endpoint.set_accounts(accounts);
    }

    /// Runs until [`Order::Shutdown`].
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut inbound: mpsc::Receiver<Inbound>) {
        let Some(mut found) = self.found.take() else { return };
        for trunk in self.trunks.keys() {
            self.look_up(trunk);
        }
        let mut done = None;
        loop {
            self.drain().await;
            let due = self.poll_timeout();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Shutdown { done: reply }) => { done = Some(reply); break }
                    Some(Order::TellPresence) => self.tell_presence().await,
                    Some(order) => self.handle_order(order),
                    None => break,
                },
                () = sleep_until(due) => self.handle_timeout(),
                Some(found) = found.recv() => self.found(found),
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
        self.followers.tasks.abort_all();
        self.leave(&mut inbound).await;
        if let Some(done) = done {
            let _waiter_gone = done.send(());
        }
    }

    fn look_up(&mut self, trunk: TrunkKey) {
        let (wanted, out) = (self.trunks.wanted(trunk), self.followers.out.clone());
        let task = dns::follow(trunk, wanted, Arc::clone(&self.config.dns), out);
        self.followers.of.insert(trunk, self.followers.tasks.spawn(task));
    }

    /// Goes by other rules. Who is registered here and may no more hears of it by the endpoint.
    fn follow(&mut self, rules: Rules) {
        let Rules { trunks, accounts, certificates } = rules;
        self.sockets.trust(certificates);
        let moves = self.trunks.change(trunks, &mut self.endpoint);
        for trunk in moves.leave {
            if let Some(task) = self.followers.of.remove(&trunk) {
                task.abort();
            }
        }
        while self.followers.tasks.try_join_next().is_some() {}
        for trunk in moves.follow {
            self.look_up(trunk);
        }
        self.set_accounts(accounts);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let endpoint = self.endpoint.poll_timeout().map(|(at, _)| at);
        let silence = self.silences.first().map(|(at, _)| *at);
        [endpoint, silence, self.trunks.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self) {
        let now = clock::now();
        self.endpoint.handle_timeout(now);
        self.trunks.handle_timeout(&mut self.endpoint);
        while let Some((at, leg)) = self.silences.first().copied().filter(|(at, _)| *at <= now) {
            self.silences.remove(&(at, leg));
            self.leave_silent(leg);
        }
    }

    /// A leg whose target has not said a word goes to the next one (RFC 3263 §4.3), when there is one.
    fn leave_silent(&mut self, leg: SipLeg) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let (call, Some(route)) = (entry.call, entry.route.clone()) else { return };
        let goes = entry.ending.is_none() && self.endpoint.is_unheard(call) && self.trunks.has_another(&route);
        if !goes || !self.endpoint.abandon(call, clock::now()) {
            return;
        }
        let why = "no answer to INVITE";
        self.trunks.heard(&route, &News::Failed, why, &mut self.endpoint);
        self.trunks.fails_over(&route, why);
        self.forget(call, |_| SipNotice::Elsewhere { tried: route.all() });
    }

    /// DNS says where a trunk is. By TLS it is only at addresses where it can be told from every other one.
    fn found(&mut self, mut found: Found) {
        let by_tls = |at: &Candidate| at.transport == Transport::Tls;
        let there: Vec<SocketAddr> = found.candidates.iter().filter(|at| by_tls(at)).map(|at| at.address).collect();
        let usable = self.sockets.trunk_at(self.trunks.name(found.trunk), there);
        found.candidates.retain(|at| !by_tls(at) || usable.contains(&at.address));
        self.trunks.found(found, &mut self.endpoint);
    }

    /// Says good-bye to the registrars and to any leg left, for two seconds at most.
    async fn leave(&mut self, inbound: &mut mpsc::Receiver<Inbound>) {
        let now = clock::now();
        self.trunks.leave(&mut self.endpoint, now);
        for (_, entry) in std::mem::take(&mut self.legs) {
            self.endpoint.hang_up(entry.call, None, now);
        }
        let until = now + Duration::from_secs(2);
        loop {
            self.drain().await;
            // Transactions that only listen for repetitions (RFC 3261 §17.1.2.2) are not waited for.
            if (self.endpoint.ledger().calls == 0 && self.trunks.left()) || clock::now() >= until {
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
            Inbound::Datagram { flow, bytes } => {
                self.config.tap.received(flow, &bytes);
                self.endpoint.handle_datagram(flow, &bytes, now);
                self.gather(true);
            }
            Inbound::Opened { flow, writer } => self.sockets.opened(flow, writer),
            Inbound::Stream { flow, bytes } => {
                self.config.tap.received(flow, &bytes);
                self.endpoint.handle_stream(flow, &bytes, now);
                self.gather(true);
            }
            Inbound::Closed { flow } => {
                self.config.tap.closed(flow);
                self.sockets.closed(flow);
                self.endpoint.handle_stream_closed(flow, now);
            }
            Inbound::Failed { flow } => {
                self.sockets.closed(flow);
                self.endpoint.handle_transport_error(flow, now);
            }
        }
    }

    /// Takes what the endpoint says. Straight after a message, so that the ladder knows which one was refused.
    fn gather(&mut self, after_message: bool) {
        while let Some(event) = self.endpoint.poll_event() {
            if let SipEvent::Refused { why, flow } = &event {
                self.config.tap.refused(*flow, *why, after_message);
            }
            self.events.push_back(event);
        }
    }

    fn handle_order(&mut self, order: Order) {
        let now = clock::now();
        match order {
            Order::Invite { leg, sink, invitation } => self.invite(leg, sink, *invitation),
            Order::Plan { parties, reply } => {
                let _asker_gone = reply.send(self.plan(*parties));
            }
            Order::TakesCalls { trunk, reply } => {
                let _asker_gone = reply.send(self.trunks.takes_calls(&trunk));
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
            Order::Reoffer { leg, sdp } => self.reoffer(leg, sdp),
            Order::AnswerRefer { leg, status } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.answer_refer(entry.call, status, now);
                }
            }
            Order::NotifyRefer { leg, status } => {
                if let Some(entry) = self.legs.get(&leg) {
                    self.endpoint.notify_refer(entry.call, status, now);
                }
            }
            Order::Refer { leg, to } => self.refer(leg, &to),
            Order::HangUp { leg, cause } => self.hang_up(leg, cause),
            Order::Follow { rules, reply } => {
                self.follow(*rules);
                let _asker_gone = reply.send(());
            }
            Order::Ledger { reply } => {
                self.trunks.forget_left();
                let trunks = report::all(&self.trunks.entries());
                let ledger = DriverLedger { legs: self.legs.len(), trunks, endpoint: self.endpoint.ledger() };
                let _asker_gone = reply.send(ledger);
            }
            Order::TellPresence | Order::Shutdown { .. } => {}
        }
    }

    /// Offers a changed session; what cannot be offered now has failed.
    fn reoffer(&mut self, leg: SipLeg, sdp: Vec<u8>) {
        let Some(entry) = self.legs.get(&leg) else { return };
        if let Err(error) = self.endpoint.reinvite(entry.call, sdp, clock::now()) {
            info!(leg = leg.0, %error, "no re-INVITE now");
            let call = entry.call;
            self.tell(call, |_| SipNotice::ReofferFailed { status: 491 });
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
        let (invite, remote, route) = match self.prepare(invitation) {
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
                if let Some(route) = &route {
                    self.trunks.begin(route);
                    self.silences.insert((clock::now() + SILENCE, leg));
                }
                let entry = LegEntry { sink: Some(sink), described, route, ..LegEntry::new(call, remote) };
                self.legs.insert(leg, entry);
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
    fn prepare(&self, invitation: Invitation) -> Result<(Invite, IpAddr, Option<Route>), (HangupCause, String)> {
        let Invitation { parties, headers, ring_limit, sdp, plan, not_after, described: _ } = invitation;
        let (invite, route) = self.address(parties, plan.as_ref().map(|plan| &plan.target))?;
        if plan.as_ref().is_some_and(|plan| plan.target != invite.target) {
            return Err((HangupCause::Unreachable, "the trunk has moved since this call was planned".to_owned()));
        }
        let remote = invite.target.address;
        let local = addresses::facing(self.config.sdp_ip, remote);
        let invite = Invite {
            headers,
            body: Some((sdp.0)(local)),
            ring_limit: Some(ring_limit + RING_BACKSTOP),
            identity: plan.map(|plan| plan.identity),
            not_after,
            ..invite
        };
        Ok((invite, remote.ip(), route))
    }

    fn plan(&mut self, parties: Parties) -> Result<Plan, HangupCause> {
        let (mut invite, _) = self.address(parties, None).map_err(|(cause, why)| {
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

    /// An INVITE from and to these, with nothing to say yet, and the trunk's target it goes to.
    fn address(
        &self,
        parties: Parties,
        planned: Option<&Target>,
    ) -> Result<(Invite, Option<Route>), (HangupCause, String)> {
        let Parties { callee, display, user, call } = parties;
        let extensions = match &callee {
            Callee::Agent { .. } => Extensions::USUAL,
            Callee::Trunk { trunk, .. } => trunk.extensions,
        };
        let Way { uri, to, target, credentials, from_host, route } = match callee {
            Callee::Agent { extension } => self.agent_way(&extension)?,
            Callee::Trunk { trunk, user, tried } => {
                self.trunks.way((&trunk, &user), tried, planned, &self.config.realm)?
            }
        };
        let from_uri: Uri =
            format!("sip:{}@{from_host}", escape_user(&user)).parse().map_err(|_| bad_address("From"))?;
        let mut from = NameAddr::new(from_uri);
        from.display = (!display.is_empty()).then_some(display);
        let invite = Invite {
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
        };
        Ok((invite, route))
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

    fn agent_way(&self, extension: &str) -> Result<Way, (HangupCause, String)> {
        // The phone that registered last is the one that is there: another may be unplugged and still bound for an hour.
        let bindings = self.endpoint.bindings(extension);
        let binding = bindings
            .first()
            .ok_or_else(|| (HangupCause::Unreachable, format!("agent {extension} has no phone registered")))?;
        let to: Uri =
            format!("sip:{}@{}", escape_user(extension), self.config.realm).parse().map_err(|_| bad_address("To"))?;
        Ok(Way {
            uri: binding.contact.clone(),
            to: Some(NameAddr::new(to)),
            target: binding.target,
            credentials: None,
            from_host: self.config.realm.clone(),
            route: None,
        })
    }

    /// Everything the endpoint has to say and to send.
    async fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.endpoint.poll_transmit() {
                idle = false;
                self.config.tap.sent(transmit.flow, &transmit.bytes);
                self.sockets.send(transmit.flow, transmit.bytes);
            }
            self.gather(false);
            while let Some(event) = self.events.pop_front() {
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
                self.answers(call);
                self.describe(call);
                self.tell(call, |remote| SipNotice::Progress { sdp: body, remote });
            }
            SipEvent::Answered { call, body, .. } => {
                self.answers(call);
                self.describe(call);
                self.tell(call, |remote| SipNotice::Answered { sdp: body, remote });
            }
            SipEvent::Failed { call, failure } => self.failed(call, &failure),
            SipEvent::Incoming { call, invite } => self.incoming(call, *invite),
            SipEvent::Cancelled { call } => debug!(?call, "cancelled by the caller"),
            SipEvent::Confirmed { call, body } => self.tell(call, |_| SipNotice::Confirmed { sdp: body }),
            SipEvent::Reoffered { call, body } => self.tell(call, |_| SipNotice::Reoffered { sdp: body }),
            SipEvent::ReofferAnswered { call, body } => self.tell(call, |_| SipNotice::ReofferAnswered { sdp: body }),
            SipEvent::ReofferFailed { call, failure } => {
                info!(?call, %failure, "re-INVITE failed");
                self.tell(call, |_| SipNotice::ReofferFailed { status: failure.status });
            }
            SipEvent::Referred { call, refer } => self.referred(call, *refer),
            SipEvent::ReferNews { call, status, last } => self.tell(call, |_| SipNotice::ReferNews { status, last }),
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
            SipEvent::Registration { registration, state } => {
                self.trunks.registration(registration, &state, &mut self.endpoint);
            }
            SipEvent::Bound { user, binding } => {
                info!(agent = user, transport = ?binding.flow.transport, "phone registered");
                self.here.insert(user.clone());
                self.presence(user, true).await;
            }
            SipEvent::Unbound { user, why } => {
                let on = !self.endpoint.bindings(&user).is_empty();
                info!(agent = user, ?why, "phone no longer registered");
                if !on {
                    self.here.remove(&user);
                }
                self.presence(user, on).await;
            }
            SipEvent::OrphanEnded { orphan, end } => {
                info!(?end, "a dead process's leg is ended");
                if let Some(reply) = self.orphans.remove(&orphan) {
                    let _asker_gone = reply.send(end);
                }
            }
            SipEvent::Probed { probe, result } => self.trunks.probed(probe, &result, &mut self.endpoint),
            SipEvent::Refused { why, flow } => {
                metric::count_with(Metric::SipRefused, why.code());
                debug!(%flow, reason = why.code(), "sip message refused");
                self.note_attack(why, flow.remote.ip());
            }
            SipEvent::Large { flow } => metric::count_with(Metric::SipRequestsLarge, flow.transport.as_str()),
            SipEvent::Close { flow } => self.sockets.closed(flow),
        }
    }

    /// One line for each source that is no longer heard, and one a minute for overload.
    fn note_attack(&mut self, why: Refusal, from: IpAddr) {
        if why == Refusal::Barred {
            warn!(
                "a stranger's address asked too much by SIP and is not heard for a while; at debug the log says which"
            );
            debug!(source = %from, "not heard for a while");
        } else if why.is_overload() && clock::is_due(&mut self.overload_told, TELL_EVERY) {
            warn!(reason = why.code(), "more SIP requests than are served; new ones get 503");
        }
    }

    async fn tell_presence(&self) {
        for user in &self.here {
            self.presence(user.clone(), true).await;
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

    /// A leg did not come up: it goes to another target, or its call is told.
    fn failed(&mut self, call: CallRef, failure: &Failure) {
        if let Some(tried) = self.fails(call, failure) {
            return self.forget(call, |_| SipNotice::Elsewhere { tried });
        }
        self.forget(call, |ending| SipNotice::Refused {
            cause: ending.unwrap_or_else(|| cause_of_failure(failure)),
            status: failure.status,
            phrase: failure.phrase.clone(),
            q850: failure.q850,
        });
    }

    /// A leg's target says something: it lives, and the leg stays there.
    fn answers(&mut self, call: CallRef) {
        let Some(entry) = self.by_call.get(&call).and_then(|leg| self.legs.get_mut(leg)) else { return };
        let first = !std::mem::replace(&mut entry.rang, true);
        if let Some(route) = entry.route.clone().filter(|_| first) {
            self.trunks.heard(&route, &News::Answered, "", &mut self.endpoint);
        }
    }

    /// What a failed leg says of its target. When it may go to another one: all it has been tried at. It may after a 503
    /// without a ring, or when its INVITE did not get through at all; else a phone could ring twice.
    fn fails(&mut self, call: CallRef, failure: &Failure) -> Option<Vec<Candidate>> {
        let entry = self.legs.get(self.by_call.get(&call)?)?;
        let (route, rang, ours) = (entry.route.clone()?, entry.rang, entry.ending.is_some());
        let by_response = failure.timed_out.is_none() && !failure.unheard;
        let why = format!("{} {}", failure.status, failure.phrase);
        let news = match failure.status {
            _ if failure.unheard || failure.broken => News::Failed,
            503 => News::Overloaded(failure.retry_after),
            _ => News::Answered,
        };
        if by_response || failure.unheard {
            self.trunks.heard(&route, &news, &why, &mut self.endpoint);
        }
        // A connection that breaks after a word says nothing about what rings.
        let goes = failure.status == 503 && !failure.broken_late() && !rang && !ours && self.trunks.has_another(&route);
        goes.then(|| {
            self.trunks.fails_over(&route, &why);
            route.all()
        })
    }

    /// The last word on a leg.
    fn forget(&mut self, call: CallRef, notice: impl FnOnce(Option<HangupCause>) -> SipNotice) {
        let Some(entry) = self.by_call.remove(&call).and_then(|leg| self.legs.remove(&leg)) else { return };
        if let Some(route) = &entry.route {
            self.trunks.end(route);
        }
        if let Some(sink) = entry.sink {
            sink.tell(notice(entry.ending));
        }
    }

    fn incoming(&mut self, call: CallRef, invite: IncomingInvite) {
        let leg = SipLeg(self.config.next_leg.fetch_add(1, Ordering::Relaxed));
        let remote = invite.flow.remote.ip();
        let local = addresses::facing(self.config.sdp_ip, invite.flow.remote);
        let incoming = Incoming {
            leg,
            user: invite.uri.user.clone().unwrap_or_default(),
            account: invite.account.clone(),
            from_display: invite.from.display.clone().unwrap_or_default(),
            sdp: invite.body.clone(),
            remote,
            local,
            headers: invite.headers.clone(),
        };
        self.legs.insert(leg, LegEntry::new(call, remote));
        self.by_call.insert(call, leg);
        let Some(incoming) = self.replacing(&invite, incoming) else { return };
        if self.config.incoming.try_send(incoming).is_err() {
            self.endpoint.reject(call, 503, None, clock::now());
        }
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

/// Sleeps until a deadline of the pure rooms, or for ever without one.
pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
