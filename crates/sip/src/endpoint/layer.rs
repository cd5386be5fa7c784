//! The transaction layer: keeps messages and machines, carries out their steps, owns timers and queues.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::config::{EndpointConfig, Flow, Local, Target, Transmit, Transport};
use super::event::{CallRef, ProbeRef, Refusal, RegistrationRef, SipEvent};
use crate::dialog::Dialog;
use crate::error::SipError;
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::{Timer, TimerTable};
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_other::ClientOther;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_other::ServerOther;
use crate::transaction::{ClientKey, Input, MergeKey, Pace, ServerKey, Step};
use crate::uri::{Host, Uri};
use crate::values::{MAGIC_COOKIE, NameAddr, Via};

/// Events that wait for the driver; beyond it those nobody's state depends on are dropped and counted.
const MAX_EVENTS: usize = 8_192;
/// Octets that wait for the driver; beyond it the network has "lost" them, and timers repeat them.
const MAX_TRANSMITS: usize = 65_536;
/// Acknowledged branches of one forked INVITE.
const MAX_ACKS: usize = 16;

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
}

/// What a request of a call is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Invite,
    Reinvite,
    Bye,
    Info,
}

/// Who waits for the answer to a request of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum User {
    Call(CallRef, Purpose),
    Registration(RegistrationRef),
    Probe(ProbeRef),
    /// CANCEL, and the BYE of a fork nobody wants.
    Nobody,
}

#[derive(Debug)]
enum ClientMachine {
    Invite(ClientInvite),
    Other(ClientOther),
}

impl ClientMachine {
    fn handle(&mut self, input: Input) -> Vec<Step> {
        match self {
            Self::Invite(machine) => machine.handle(input),
            Self::Other(machine) => machine.handle(input),
        }
    }

    /// An INVITE without a final response. The others have their own end, timer F.
    fn is_pending(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_pending(),
            Self::Other(_) => false,
        }
    }
}

/// A request of ours.
#[derive(Debug)]
pub(crate) struct Client {
    machine: ClientMachine,
    key: ClientKey,
    pub(crate) request: Request,
    bytes: Vec<u8>,
    pub(crate) flow: Flow,
    pub(crate) user: User,
    /// ACKs of 2xx by the tag of the far end, to be repeated for copies (RFC 3261 §13.2.2.4).
    pub(crate) acks: Vec<(String, Transmit)>,
    /// The dialog a re-INVITE was sent in, for the ACK of an answer that comes after the call is gone.
    pub(crate) dialog: Option<Dialog>,
    /// Whether the far end is reached by its own flow only.
    pub(crate) pinned: bool,
    /// Its call is gone; timer B ends it whatever comes.
    abandoned: bool,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    Other(ServerOther),
}

impl ServerMachine {
    fn handle(&mut self, input: Input) -> Vec<Step> {
        match self {
            Self::Invite(machine) => machine.handle(input),
            Self::Other(machine) => machine.handle(input),
        }
    }

    fn is_pending(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_pending(),
            Self::Other(machine) => machine.is_pending(),
        }
    }
}

/// A request from outside.
#[derive(Debug)]
pub(crate) struct Server {
    machine: ServerMachine,
    key: ServerKey,
    merge: Option<MergeKey>,
    pub(crate) request: Request,
    /// Where it came from; answers go to `reply_to`.
    pub(crate) flow: Flow,
    reply_to: Flow,
    last: Vec<u8>,
    /// Our tag in To.
    pub(crate) tag: String,
    /// The call whose INVITE, re-INVITE or UPDATE it is.
    pub(crate) call: Option<CallRef>,
}

/// What a client transaction tells its user.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Response),
    TimedOut(Timer),
    Broken,
}

/// A word from a transaction to its user.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) client: ClientId,
    pub(crate) user: User,
    pub(crate) flow: Flow,
    pub(crate) answer: Answer,
}

/// What became of a request from outside.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A copy: dealt with.
    Copy,
    /// The ACK of a refusal: dealt with.
    Acknowledged,
    /// New, to be answered.
    New(ServerId),
    /// New, and nobody to hand it to: an ACK.
    Loose(Box<Request>),
    /// Refused: the same request by another path.
    Merged,
    /// Refused: no room.
    Full,
    /// Without what identifies it.
    Unreadable,
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
    dropped: u64,
    next_id: u64,
}

impl Layer {
    pub(crate) fn new(config: EndpointConfig) -> Self {
        // StdRng, not SmallRng: tags and branches go out on the wire, and who sees some must not be able to
        // guess the next.
        let rng = StdRng::seed_from_u64(config.seed);
        Self {
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
        if self.transmits.len() < MAX_TRANSMITS {
            self.transmits.push_back(Transmit { flow, bytes });
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn report(&mut self, event: SipEvent) {
        let spare = matches!(event, SipEvent::Refused { .. } | SipEvent::Progress { .. } | SipEvent::Info { .. });
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
        if flow.transport == Transport::Tcp {
            uri.params.set("transport", Some("tcp"));
        }
        NameAddr::new(uri)
    }

    // Requests of ours.

    fn new_via(&mut self, flow: Flow) -> Via {
        let branch = format!("{MAGIC_COOKIE}{}", self.long_token());
        let address = self.advertised(flow);
        Via::new(flow.transport.as_str(), Host::from(address), Some(address.port()), &branch)
    }

    /// Sends a request with a branch of its own and waits for the answer.
    pub(crate) fn request(&mut self, mut request: Request, flow: Flow, user: User, now: Instant) -> ClientId {
        let via = self.new_via(flow);
        request.headers.push_front(HeaderName::Via, &via.to_string());
        request.headers.push(HeaderName::UserAgent, &self.config.product);
        self.start_client(request, via.branch().unwrap_or_default(), flow, user, now)
    }

    /// Sends a CANCEL: the branch, route and CSeq number of its INVITE (§9.1).
    pub(crate) fn cancel(&mut self, invite: ClientId, reason: Option<&str>, now: Instant) {
        let Some(client) = self.clients.get(&invite) else {
            return;
        };
        let mut cancel = hop_request(&client.request, Method::Cancel);
        if let Some(to) = client.request.headers.get(&HeaderName::To) {
            cancel.headers.push(HeaderName::To, to);
        }
        if let Some(reason) = reason {
            cancel.headers.push(HeaderName::Reason, reason);
        }
        cancel.headers.push(HeaderName::UserAgent, &self.config.product);
        let (branch, flow) = (client.key.branch.clone(), client.flow);
        self.start_client(cancel, &branch, flow, User::Nobody, now);
    }

    fn start_client(&mut self, request: Request, branch: &str, flow: Flow, user: User, now: Instant) -> ClientId {
        let id = ClientId(self.next_id());
        let pace = Pace::new(self.config.timers, flow.transport.is_reliable());
        let machine = if request.method == Method::Invite {
            ClientMachine::Invite(ClientInvite::new(pace))
        } else {
            ClientMachine::Other(ClientOther::new(pace))
        };
        let key = ClientKey { branch: branch.to_owned(), method: request.method.clone() };
        self.client_keys.insert(key.clone(), id);
        let client = Client {
            machine,
            key,
            bytes: request.encode(),
            request,
            flow,
            user,
            acks: Vec::new(),
            dialog: None,
            pinned: false,
            abandoned: false,
        };
        self.clients.insert(id, client);
        let outcome = self.drive_client(id, Input::Request, None, now);
        debug_assert!(outcome.is_none(), "a request just sent has no answer");
        id
    }

    /// Sends the ACK of a 2xx and keeps it for copies of that 2xx. It has a branch of its own (§13.2.2.4).
    pub(crate) fn send_ack(&mut self, client: ClientId, tag: &str, mut ack: Request, flow: Flow) {
        let via = self.new_via(flow);
        ack.headers.push_front(HeaderName::Via, &via.to_string());
        ack.headers.push(HeaderName::UserAgent, &self.config.product);
        let bytes = ack.encode();
        if let Some(client) = self.clients.get_mut(&client)
            && client.acks.len() < MAX_ACKS
        {
            let kept = Transmit { flow, bytes: bytes.clone() };
            client.acks.push((tag.to_owned(), kept));
        }
        self.send(flow, bytes);
    }

    /// Repeats the ACK of a 2xx copy. `false`: this branch was never acknowledged.
    pub(crate) fn repeat_ack(&mut self, client: ClientId, tag: &str) -> bool {
        let ack = self.clients.get(&client).and_then(|client| {
            let found = client.acks.iter().find(|(have, _)| have == tag);
            found.map(|(_, ack)| ack.clone())
        });
        match ack {
            Some(ack) => {
                self.send(ack.flow, ack.bytes);
                true
            }
            None => false,
        }
    }

    pub(crate) fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(&id)
    }

    pub(crate) fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    /// The call of this request is gone. An answer is still acknowledged, but not waited for without end: the
    /// far end may have forgotten the call too.
    pub(crate) fn abandon_client(&mut self, id: ClientId, now: Instant) {
        if let Some(client) = self.clients.get_mut(&id).filter(|client| client.machine.is_pending()) {
            client.abandoned = true;
            let at = now + self.config.timers.give_up();
            self.timers.set(Owner::Client(id), Timer::B, at);
        }
    }

    /// Gives up a request of ours without a word to its user.
    pub(crate) fn drop_client(&mut self, id: ClientId) {
        if let Some(client) = self.clients.remove(&id) {
            self.client_keys.remove(&client.key);
            self.timers.cancel_all(Owner::Client(id));
        }
    }

    /// A response came in. `Err`: nothing waits for it.
    pub(crate) fn handle_response(
        &mut self,
        response: Response,
        flow: Flow,
        now: Instant,
    ) -> Result<Option<Outcome>, ()> {
        let id = ClientKey::of_response(&response).ok().and_then(|key| self.client_keys.get(&key).copied()).ok_or(())?;
        let input = Input::of_status(response.status);
        let mut outcome = self.drive_client(id, input, Some(response), now);
        if let Some(outcome) = &mut outcome {
            outcome.flow = flow;
        }
        Ok(outcome)
    }

    fn drive_client(
        &mut self,
        id: ClientId,
        input: Input,
        response: Option<Response>,
        now: Instant,
    ) -> Option<Outcome> {
        let client = self.clients.get_mut(&id)?;
        let (user, flow) = (client.user, client.flow);
        let mut outcome = None;
        let mut response = response;
        for step in client.machine.handle(input) {
            let Some(client) = self.clients.get(&id) else {
                break;
            };
            let mut tell = |answer| outcome = Some(Outcome { client: id, user, flow, answer });
            match step {
                Step::Send => self.send(flow, client.bytes.clone()),
                Step::Ack => {
                    if let Some(response) = &response {
                        let ack = refusal_ack(&client.request, response);
                        self.send(flow, ack.encode());
                    }
                }
                Step::Arm(timer, after) => self.timers.set(Owner::Client(id), timer, now + after),
                // A late provisional does not make an abandoned request live for ever.
                Step::Disarm(Timer::B) if client.abandoned => {}
                Step::Disarm(timer) => self.timers.cancel(Owner::Client(id), timer),
                Step::Pass => {
                    if let Some(response) = response.take() {
                        tell(Answer::Response(response));
                    }
                }
                Step::TimedOut(timer) => tell(Answer::TimedOut(timer)),
                Step::Failed => tell(Answer::Broken),
                Step::End => self.drop_client(id),
            }
        }
        outcome
    }

    // Requests from outside.

    /// Finds or makes the transaction of a request. `in_dialog` requests get in where new ones no longer do.
    pub(crate) fn handle_request(&mut self, request: Request, flow: Flow, in_dialog: bool, now: Instant) -> Arrival {
        let Ok(key) = ServerKey::of_request(&request) else {
            return Arrival::Unreadable;
        };
        if let Some(id) = self.server_keys.get(&key).copied() {
            if request.method != Method::Ack {
                self.drive_server(id, Input::Request, now);
                return Arrival::Copy;
            }
            let refused = self.servers.get(&id).is_some_and(|server| match &server.machine {
                ServerMachine::Invite(machine) => machine.was_refused(),
                ServerMachine::Other(_) => false,
            });
            if refused {
                self.drive_server(id, Input::Ack, now);
                return Arrival::Acknowledged;
            }
        }
        if request.method == Method::Ack {
            return Arrival::Loose(Box::new(request));
        }
        // Requests within calls are let in above the limit: there are no more of them than calls allow.
        let room =
            if in_dialog { self.config.max_transactions.saturating_mul(2) } else { self.config.max_transactions };
        if self.transactions() >= room {
            let mut response = request.reply(503, "Service Unavailable");
            response.headers.push(HeaderName::RetryAfter, "5");
            self.reply_stateless(&request, response, flow);
            return Arrival::Full;
        }
        let merge = MergeKey::of_request(&request).filter(|_| request.method != Method::Cancel);
        if let Some(merge) = &merge
            && self.is_merged(merge)
        {
            let response = request.reply(482, "Loop Detected");
            self.reply_stateless(&request, response, flow);
            return Arrival::Merged;
        }
        Arrival::New(self.start_server(key, merge, request, flow))
    }

    /// The same request is being dealt with under another branch. One already refused does not count: some
    /// clients answer a challenge without a new CSeq.
    fn is_merged(&self, merge: &MergeKey) -> bool {
        self.merges.get(merge).and_then(|id| self.servers.get(id)).is_some_and(|server| server.machine.is_pending())
    }

    fn start_server(&mut self, key: ServerKey, merge: Option<MergeKey>, request: Request, flow: Flow) -> ServerId {
        let id = ServerId(self.next_id());
        let tag = request.to_tag().unwrap_or_else(|| self.token());
        let pace = Pace::new(self.config.timers, flow.transport.is_reliable());
        let machine = if request.method == Method::Invite {
            ServerMachine::Invite(ServerInvite::new(pace))
        } else {
            ServerMachine::Other(ServerOther::new(pace))
        };
        self.server_keys.insert(key.clone(), id);
        if let Some(merge) = &merge {
            self.merges.insert(merge.clone(), id);
        }
        let server = Server {
            machine,
            key,
            merge,
            reply_to: reply_to(&request, flow),
            request,
            flow,
            last: Vec::new(),
            tag,
            call: None,
        };
        self.servers.insert(id, server);
        id
    }

    pub(crate) fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(&id)
    }

    pub(crate) fn server_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.get_mut(&id)
    }

    /// The INVITE a CANCEL is for.
    pub(crate) fn cancelled(&self, cancel: &Request) -> Option<ServerId> {
        let key = ServerKey::of_cancelled(cancel).ok()?;
        self.server_keys.get(&key).copied()
    }

    /// Whether a request from outside still has no final response.
    pub(crate) fn is_server_pending(&self, id: ServerId) -> bool {
        self.servers.get(&id).is_some_and(|server| server.machine.is_pending())
    }

    /// Answers within a transaction. Returns what was sent, for the copies of a 2xx.
    pub(crate) fn respond(&mut self, id: ServerId, mut response: Response, now: Instant) -> Option<Transmit> {
        let server = self.servers.get_mut(&id)?;
        if response.status > 100 {
            response.set_to_tag(&server.tag);
            response.headers.push(HeaderName::Server, &self.config.product);
        }
        server.last = response.encode();
        let sent = Transmit { flow: server.reply_to, bytes: server.last.clone() };
        self.drive_server(id, Input::of_status(response.status), now);
        Some(sent)
    }

    /// Answers with nothing but a status.
    pub(crate) fn respond_status(&mut self, id: ServerId, status: u16, phrase: &str, now: Instant) {
        if let Some(server) = self.servers.get(&id) {
            let response = server.request.reply(status, phrase);
            self.respond(id, response, now);
        }
    }

    /// Answers without a transaction: copies of the request are answered anew.
    pub(crate) fn reply_stateless(&mut self, request: &Request, mut response: Response, flow: Flow) {
        if request.method == Method::Ack {
            return;
        }
        let tag = self.token();
        response.set_to_tag(&tag);
        response.headers.push(HeaderName::Server, &self.config.product);
        self.send(reply_to(request, flow), response.encode());
    }

    fn drive_server(&mut self, id: ServerId, input: Input, now: Instant) -> Option<CallRef> {
        let server = self.servers.get_mut(&id)?;
        let call = server.call;
        let mut failed = None;
        for step in server.machine.handle(input) {
            let Some(server) = self.servers.get(&id) else {
                break;
            };
            match step {
                Step::Send => {
                    if !server.last.is_empty() {
                        self.send(server.reply_to, server.last.clone());
                    }
                }
                Step::Arm(timer, after) => self.timers.set(Owner::Server(id), timer, now + after),
                Step::Disarm(timer) => self.timers.cancel(Owner::Server(id), timer),
                Step::Failed => failed = call,
                Step::End => self.drop_server(id),
                Step::Ack | Step::Pass | Step::TimedOut(_) => {}
            }
        }
        failed
    }

    /// Forgets a request from outside.
    pub(crate) fn drop_server(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            if let Some(merge) = &server.merge
                && self.merges.get(merge) == Some(&id)
            {
                self.merges.remove(merge);
            }
            self.timers.cancel_all(Owner::Server(id));
        }
    }

    // Time and broken transports.

    /// A transaction's timer fired.
    pub(crate) fn fire_client(&mut self, id: ClientId, timer: Timer, now: Instant) -> Option<Outcome> {
        self.drive_client(id, Input::of_timer(timer)?, None, now)
    }

    pub(crate) fn fire_server(&mut self, id: ServerId, timer: Timer, now: Instant) {
        if let Some(input) = Input::of_timer(timer) {
            self.drive_server(id, input, now);
        }
    }

    /// Nothing can be sent by this flow. Returns what requests of ours have to say, and the calls whose
    /// invitation can no longer be answered.
    pub(crate) fn break_flow(&mut self, flow: Flow, now: Instant) -> (Vec<Outcome>, Vec<CallRef>) {
        let clients: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| client.flow == flow).map(|(id, _)| *id).collect();
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

/// A request that goes the way of another and belongs to it: CANCEL (§9.1) and the ACK of a refusal
/// (§17.1.1.3). To is the caller's to add.
fn hop_request(of: &Request, method: Method) -> Request {
    let mut request = Request::new(method.clone(), of.uri.clone());
    if let Ok(via) = of.via() {
        request.headers.push(HeaderName::Via, &via.to_string());
    }
    request.headers.push(HeaderName::MaxForwards, "70");
    for name in [HeaderName::Route, HeaderName::From, HeaderName::CallId] {
        for value in of.headers.all(&name) {
            request.headers.push(name.clone(), value);
        }
    }
    if let Ok(cseq) = of.cseq() {
        request.headers.push(HeaderName::CSeq, &format!("{} {method}", cseq.number));
    }
    request
}

/// The ACK of a 3xx to 6xx: To is the response's, with its tag.
fn refusal_ack(invite: &Request, response: &Response) -> Request {
    let mut ack = hop_request(invite, Method::Ack);
    let to = response.headers.get(&HeaderName::To).or_else(|| invite.headers.get(&HeaderName::To));
    ack.headers.push(HeaderName::To, to.unwrap_or_default());
    ack
}

/// Where the answer to a request goes: always the address it came from (SECURITY S17: nobody can point us at
/// a third one), and its port where `rport` asked for it or the transport is a stream (§18.2.2, RFC 3581 §4).
fn reply_to(request: &Request, flow: Flow) -> Flow {
    if flow.transport == Transport::Tcp {
        return flow;
    }
    match request.via() {
        Ok(via) if via.rport().is_none() => {
            Flow { remote: SocketAddr::new(flow.remote.ip(), via.port_or_default()), ..flow }
        }
        Ok(_) | Err(_) => flow,
    }
}
