//! The transaction layer: keeps messages and machines, carries out their steps, owns timers and queues.

mod client;
mod large;
mod server;

pub(crate) use client::{Answer, Outcome, cancel_of};
pub(crate) use server::Arrival;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::config::{EndpointConfig, Flow, Local, Target, Transmit};
use super::event::{CallRef, OrphanRef, ProbeRef, Refusal, RegistrationRef, SipEvent};
use super::guard::Guard;
use crate::error::SipError;
use crate::timer::TimerTable;
use crate::transaction::{ClientKey, Input, MergeKey, ServerKey};
use crate::uri::{Host, Uri};
use crate::values::NameAddr;
use client::Client;
use server::Server;

/// Events that wait for the driver; beyond it those nobody's state depends on are dropped and counted.
const MAX_EVENTS: usize = 8_192;
/// Octets that wait for the driver; beyond it the network has "lost" them, and timers repeat them.
const MAX_TRANSMITS: usize = 65_536;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ClientId(u64);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ServerId(u64);

/// Whose timer it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Owner {
    Client(ClientId),
    Server(ServerId),
    Call(CallRef),
    Registration(RegistrationRef),
    Binding(u64),
    Stream(Flow),
    Orphan(OrphanRef),
}

/// What a request of a call is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Invite,
    /// A changed session: re-INVITE or UPDATE with an offer.
    Change,
    /// UPDATE without an offer.
    Refresh,
    /// PRACK.
    Prack,
    Bye,
    Info,
    /// NOTIFY of what a REFER has come to.
    Notify,
    /// REFER of ours.
    Refer,
}

/// What a request that ends an orphan is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Errand {
    /// Its INVITE, which another process sent: only listened for.
    Invite,
    Cancel,
    Bye,
}

/// Who waits for the answer to a request of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum User {
    Call(CallRef, Purpose),
    Registration(RegistrationRef),
    Probe(ProbeRef),
    Orphan(OrphanRef, Errand),
    /// CANCEL, and the BYE of a fork nobody wants.
    Nobody,
}

/// Everything below calls and registrations.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) config: EndpointConfig,
    pub(crate) rng: StdRng,
    pub(crate) timers: TimerTable<Owner>,
    clients: BTreeMap<ClientId, Client>,
    client_keys: BTreeMap<ClientKey, ClientId>,
    servers: BTreeMap<ServerId, Server>,
    server_keys: BTreeMap<ServerKey, ServerId>,
    merges: BTreeMap<MergeKey, ServerId>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<SipEvent>,
    pub(crate) guard: Guard,
    /// Requests by datagram and their octets, so that a copy is known before it is read.
    copies: BTreeMap<(Flow, u64), ServerId>,
    /// The datagram that is being dealt with.
    arriving: Option<(Flow, u64)>,
    /// Of the tags in answers that leave no state (RFC 3261 §8.2.7).
    tag_key: [u8; 32],
    /// Connections that octets have come by.
    pub(crate) heard: BTreeSet<Flow>,
    /// Connections that we wanted: sent to before anything came. Their remote address listens.
    pub(crate) opened: BTreeSet<Flow>,
    /// Flows phones registered by, and how many bindings each has.
    pub(crate) phones: BTreeMap<Flow, usize>,
    /// Far ends that took no connection for a large request, until when that is believed.
    no_stream: BTreeMap<SocketAddr, Instant>,
    dropped: u64,
    next_id: u64,
}

impl Layer {
    pub(crate) fn new(config: EndpointConfig) -> Self {
        // StdRng, not SmallRng: tags and branches go out on the wire, and who sees some must not be able to
        // guess the next.
        let mut rng = StdRng::seed_from_u64(config.seed);
        let tag_key = rng.random();
        Self {
            guard: Guard::new(config.guard.clone()),
            copies: BTreeMap::new(),
            arriving: None,
            tag_key,
            config,
            rng,
            timers: TimerTable::new(),
            clients: BTreeMap::new(),
            client_keys: BTreeMap::new(),
            servers: BTreeMap::new(),
            server_keys: BTreeMap::new(),
            merges: BTreeMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            heard: BTreeSet::new(),
            opened: BTreeSet::new(),
            phones: BTreeMap::new(),
            no_stream: BTreeMap::new(),
            dropped: 0,
            next_id: 0,
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// 64 random bits in hex: tags.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}", self.rng.random::<u64>())
    }

    /// 128 random bits in hex: Call-IDs, branches, cnonces.
    pub(crate) fn long_token(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }

    pub(crate) fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.transactions() >= self.config.max_transactions
    }

    /// Messages the driver did not fetch in time and that are lost.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    // Queues.

    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        if flow.transport.is_reliable() && !self.heard.contains(&flow) {
            self.opened.insert(flow);
        }
        if self.transmits.len() < MAX_TRANSMITS {
            self.transmits.push_back(Transmit { flow, bytes });
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn report(&mut self, event: SipEvent) {
        let spare = matches!(
            event,
            SipEvent::Refused { .. } | SipEvent::Progress { .. } | SipEvent::Info { .. } | SipEvent::Large { .. }
        );
        if spare && self.events.len() >= MAX_EVENTS {
            self.dropped += 1;
        } else {
            self.events.push_back(event);
        }
    }

    pub(crate) fn refuse(&mut self, why: Refusal, flow: Flow) {
        self.report(SipEvent::Refused { why, flow });
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<SipEvent> {
        self.events.pop_front()
    }

    // Addresses.

    /// The flow a target stands for.
    pub(crate) fn flow_to(&self, target: &Target) -> Result<Flow, SipError> {
        let local = self.config.locals.get(target.local).ok_or(SipError::NoSuchLocal)?;
        if local.transport != target.transport {
            return Err(SipError::NoSuchLocal);
        }
        Ok(Flow { transport: target.transport, local: local.bound, remote: target.address })
    }

    /// The target a flow stands for.
    pub(crate) fn target_of(&self, flow: Flow) -> Option<Target> {
        let is_it = |local: &Local| local.transport == flow.transport && local.bound == flow.local;
        let same_transport = |local: &Local| local.transport == flow.transport;
        let locals = &self.config.locals;
        let local = locals.iter().position(is_it).or_else(|| locals.iter().position(same_transport))?;
        Some(Target { transport: flow.transport, address: flow.remote, local })
    }

    /// What peers are told of our end of a flow.
    pub(crate) fn advertised(&self, flow: Flow) -> SocketAddr {
        let mut same = self.config.locals.iter().filter(|local| local.transport == flow.transport);
        let exact = same.clone().find(|local| local.bound == flow.local);
        exact.or_else(|| same.next()).map_or(flow.local, Local::advertised)
    }

    /// Our Contact for a flow.
    pub(crate) fn contact(&self, user: Option<&str>, flow: Flow) -> NameAddr {
        let address = self.advertised(flow);
        let mut uri = Uri::sip(None, Host::from(address), Some(address.port()));
        uri.user = user.map(str::to_owned);
        if let Some(transport) = flow.transport.contact_param() {
            uri.params.set("transport", Some(transport));
        }
        NameAddr::new(uri)
    }

    /// Nothing can be sent by this flow. Returns what requests of ours have to say, and the calls whose
    /// invitation can no longer be answered.
    pub(crate) fn break_flow(&mut self, flow: Flow, now: Instant) -> (Vec<Outcome>, Vec<CallRef>) {
        let clients: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| client.flow == flow).map(|(id, _)| *id).collect();
        let clients: Vec<ClientId> = clients.into_iter().filter(|id| !self.fall_back(*id, now)).collect();
        let outcomes = clients.into_iter().filter_map(|id| self.drive_client(id, Input::Broken, None, now)).collect();
        let servers: Vec<ServerId> =
            self.servers.iter().filter(|(_, server)| server.reply_to == flow).map(|(id, _)| *id).collect();
        let calls = servers.into_iter().filter_map(|id| self.drive_server(id, Input::Broken, now)).collect();
        (outcomes, calls)
    }

    /// Whether a transaction uses this flow.
    pub(crate) fn uses(&self, flow: Flow) -> bool {
        self.clients.values().any(|client| client.flow == flow)
            || self.servers.values().any(|server| server.reply_to == flow)
    }
}
