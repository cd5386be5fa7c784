//! Requests of ours: their machines, messages and ACKs.

use std::time::Instant;

use super::{ClientId, Layer, Owner, User};
use crate::dialog::Dialog;
use crate::endpoint::ProbeRef;
use crate::endpoint::config::{Flow, Transmit, Transport};
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_other::ClientOther;
use crate::transaction::{ClientKey, Input, Pace, Step};
use crate::uri::Host;
use crate::values::{MAGIC_COOKIE, Via};

/// Acknowledged branches of one forked INVITE.
const MAX_ACKS: usize = 16;

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
    /// From this moment on it is not sent again.
    pub(crate) not_after: Option<Instant>,
    /// Where it goes if the connection it was put on for its size does not come about.
    pub(super) fallback: Option<Flow>,
    /// Its call is gone; timer B ends it whatever comes.
    abandoned: bool,
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
    /// The path the answer came by, else the one the request went by.
    pub(crate) flow: Flow,
    pub(crate) answer: Answer,
    /// With a challenge: the request it is for, without what this layer adds, and the path it went by. Over a
    /// stream its transaction is gone by the time the user looks at the challenge.
    pub(crate) challenged: Option<Box<(Request, Flow)>>,
}

impl Layer {
    pub(crate) fn new_branch(&mut self) -> String {
        format!("{MAGIC_COOKIE}{}", self.long_token())
    }

    fn new_via(&mut self, flow: Flow) -> Via {
        let branch = self.new_branch();
        self.via(flow, &branch)
    }

    pub(crate) fn via(&self, flow: Flow, branch: &str) -> Via {
        let address = self.advertised(flow);
        let mut via = Via::new(flow.transport.as_str(), Host::from(address), Some(address.port()), branch);
        if flow.transport == Transport::Tls {
            // RFC 5923 §6: requests to this sent-by may come back over this very connection.
            via.params.set("alias", None);
        }
        via
    }

    /// Sends a request with a branch of its own and waits for the answer.
    pub(crate) fn request(&mut self, request: Request, flow: Flow, user: User, now: Instant) -> ClientId {
        let branch = self.new_branch();
        self.request_as(&branch, request, flow, user, now)
    }

    /// The same with a branch that is known already.
    pub(crate) fn request_as(
        &mut self,
        branch: &str,
        mut request: Request,
        flow: Flow,
        user: User,
        now: Instant,
    ) -> ClientId {
        let via = self.via(flow, branch);
        request.headers.push_front(HeaderName::Via, &via.to_string());
        request.headers.push(HeaderName::UserAgent, &self.config.product);
        self.start_client(request, branch, flow, user, now)
    }

    /// Listens for the answers to an INVITE that another process sent, for as long as its far end may repeat them.
    pub(crate) fn adopt_invite(&mut self, invite: Request, flow: Flow, user: User, now: Instant) -> ClientId {
        let branch = invite.branch().unwrap_or_default();
        let machine = ClientMachine::Invite(ClientInvite::adopted(self.pace(flow)));
        let id = self.insert_client(machine, invite, &branch, flow, user);
        self.abandon_client(id, now);
        id
    }

    /// Sends a CANCEL: the branch, route and CSeq number of its INVITE (§9.1).
    pub(crate) fn cancel(&mut self, invite: ClientId, reason: Option<&str>, now: Instant) {
        let Some(client) = self.clients.get(&invite) else {
            return;
        };
        let mut cancel = cancel_of(&client.request);
        if let Some(reason) = reason {
            cancel.headers.push(HeaderName::Reason, reason);
        }
        cancel.headers.push(HeaderName::UserAgent, &self.config.product);
        let (branch, flow) = (client.key.branch.clone(), client.flow);
        self.start_client(cancel, &branch, flow, User::Nobody, now);
    }

    fn pace(&self, flow: Flow) -> Pace {
        Pace::new(self.config.timers, flow.transport.is_reliable())
    }

    /// Sends a request that has its Via already.
    pub(crate) fn start_client(
        &mut self,
        request: Request,
        branch: &str,
        flow: Flow,
        user: User,
        now: Instant,
    ) -> ClientId {
        let (request, by, fallback) = self.fit(request, branch, flow, now);
        let machine = self.machine(&request.method, by);
        let id = self.insert_client(machine, request, branch, by, user);
        if let Some(client) = self.clients.get_mut(&id) {
            client.fallback = fallback;
        }
        let outcome = self.drive_client(id, Input::Request, None, now);
        debug_assert!(outcome.is_none(), "a request just sent has no answer");
        id
    }

    fn machine(&self, method: &Method, flow: Flow) -> ClientMachine {
        let pace = self.pace(flow);
        if *method == Method::Invite {
            ClientMachine::Invite(ClientInvite::new(pace))
        } else {
            ClientMachine::Other(ClientOther::new(pace))
        }
    }

    /// The connection a large request was put on did not come about: it goes as a datagram after all, which may be
    /// fragmented. `false`: there is no such way back.
    pub(super) fn fall_back(&mut self, id: ClientId, now: Instant) -> bool {
        let Some(client) = self.clients.get(&id) else { return false };
        let Some(flow) = client.fallback.filter(|_| client.not_after.is_none_or(|limit| now < limit)) else {
            return false;
        };
        let (method, branch) = (client.request.method.clone(), client.key.branch.clone());
        let (machine, via) = (self.machine(&method, flow), self.via(flow, &branch));
        let Some(client) = self.clients.get_mut(&id) else { return false };
        client.request.headers.set_first_via(&via);
        client.bytes = client.request.encode();
        (client.flow, client.machine, client.fallback) = (flow, machine, None);
        self.timers.cancel_all(Owner::Client(id));
        self.no_stream(flow, now);
        let outcome = self.drive_client(id, Input::Request, None, now);
        debug_assert!(outcome.is_none(), "a request just sent has no answer");
        true
    }

    fn insert_client(
        &mut self,
        machine: ClientMachine,
        request: Request,
        branch: &str,
        flow: Flow,
        user: User,
    ) -> ClientId {
        let id = ClientId(self.next_id());
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
            not_after: None,
            fallback: None,
            abandoned: false,
        };
        self.clients.insert(id, client);
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

    /// Gives up the request of a probe.
    pub(crate) fn drop_probe(&mut self, probe: ProbeRef) {
        let found = self.clients.iter().find(|(_, client)| client.user == User::Probe(probe)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.drop_client(id);
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
        if let Some(client) = self.clients.get_mut(&id) {
            // It has arrived.
            client.fallback = None;
        }
        let input = Input::of_status(response.status);
        let mut outcome = self.drive_client(id, input, Some(response), now);
        if let Some(outcome) = &mut outcome {
            outcome.flow = flow;
        }
        Ok(outcome)
    }

    pub(super) fn drive_client(
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
            let mut tell = |answer: Answer| {
                let challenged = challenged(client, &answer);
                outcome = Some(Outcome { client: id, user, flow, answer, challenged });
            };
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

    /// A transaction's timer fired.
    pub(crate) fn fire_client(&mut self, id: ClientId, timer: Timer, now: Instant) -> Option<Outcome> {
        let too_late = self.clients.get(&id)?.not_after.is_some_and(|limit| now >= limit);
        let input = Input::of_timer(timer)?;
        let input = if too_late && input == Input::Resend { Input::GiveUp } else { input };
        self.drive_client(id, input, None, now)
    }
}

fn challenged(client: &Client, answer: &Answer) -> Option<Box<(Request, Flow)>> {
    match answer {
        Answer::Response(response) if matches!(response.status, 401 | 407) => {
            let mut request = client.request.clone();
            request.headers.remove(&HeaderName::Via);
            request.headers.remove(&HeaderName::UserAgent);
            Some(Box::new((request, client.flow)))
        }
        Answer::Response(_) | Answer::TimedOut(_) | Answer::Broken => None,
    }
}

/// The CANCEL of an INVITE that has its Via.
pub(crate) fn cancel_of(invite: &Request) -> Request {
    let mut cancel = hop_request(invite, Method::Cancel);
    if let Some(to) = invite.headers.get(&HeaderName::To) {
        cancel.headers.push(HeaderName::To, to);
    }
    cancel
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
