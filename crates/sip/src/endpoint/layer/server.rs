//! Requests from outside: their machines, and the way of their answers.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Layer, Owner, ServerId};
use crate::endpoint::config::{Flow, Transmit};
use crate::endpoint::event::CallRef;
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_other::ServerOther;
use crate::transaction::{Input, MergeKey, Pace, ServerKey, Step};

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
    pub(super) reply_to: Flow,
    last: Vec<u8>,
    /// Our tag in To.
    pub(crate) tag: String,
    /// The call whose INVITE, re-INVITE or UPDATE it is.
    pub(crate) call: Option<CallRef>,
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

impl Layer {
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

    pub(super) fn drive_server(&mut self, id: ServerId, input: Input, now: Instant) -> Option<CallRef> {
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

    pub(crate) fn fire_server(&mut self, id: ServerId, timer: Timer, now: Instant) {
        if let Some(input) = Input::of_timer(timer) {
            self.drive_server(id, input, now);
        }
    }
}

/// Where the answer to a request goes: always the address it came from (SECURITY S17: nobody can point us at
/// a third one), and its port where `rport` asked for it or the transport is a stream (§18.2.2, RFC 3581 §4).
fn reply_to(request: &Request, flow: Flow) -> Flow {
    if flow.transport.is_reliable() {
        return flow;
    }
    match request.via() {
        Ok(via) if via.rport().is_none() => {
            Flow { remote: SocketAddr::new(flow.remote.ip(), via.port_or_default()), ..flow }
        }
        Ok(_) | Err(_) => flow,
    }
}
