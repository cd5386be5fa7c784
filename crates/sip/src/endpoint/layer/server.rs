//! Requests from outside: their machines, and the way of their answers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use rand::Rng;

use super::{Layer, Owner, ServerId};
use crate::endpoint::config::{Flow, Transmit};
use crate::endpoint::event::{CallRef, Refusal};
use crate::endpoint::guard::{Standing, Verdict};
use crate::headers::hmac_sha256;
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_other::ServerOther;
use crate::transaction::{Input, MergeKey, Pace, ServerKey, Step};

/// Copies of a request that come closer than this are not answered each: no far end repeats so fast (§17.1.1.2), and an
/// answer that was lost is asked for again.
const REPEAT_GAP: Duration = Duration::from_millis(20);
/// When one who is refused in overload may come back.
const RETRY_AFTER_S: Range<u32> = 5..16;

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
    /// Its datagram in `Layer::copies`.
    copy: Option<(Flow, u64)>,
    /// When a copy was answered last.
    repeated_at: Option<Instant>,
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
    Refused(Refusal),
    /// Without what identifies it.
    Unreadable,
}

impl Layer {
    /// Finds or makes the transaction of a request.
    pub(crate) fn handle_request(&mut self, request: Request, flow: Flow, standing: Standing, now: Instant) -> Arrival {
        let Ok(key) = ServerKey::of_request(&request) else {
            return Arrival::Unreadable;
        };
        if let Some(id) = self.server_keys.get(&key).copied() {
            if request.method != Method::Ack {
                self.repeat(id, now);
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
            let answered_by_us = standing != Standing::InCall && request.to_tag() == Some(self.stateless_tag(&request));
            return if answered_by_us { Arrival::Acknowledged } else { Arrival::Loose(Box::new(request)) };
        }
        match self.admit(&request, flow, standing, now) {
            Verdict::Serve => {}
            Verdict::Busy(why) => {
                self.refuse_busy(&request, flow);
                return Arrival::Refused(why);
            }
            Verdict::Drop(why) => return Arrival::Refused(why),
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

    /// What the guard says of a new request.
    fn admit(&mut self, request: &Request, flow: Flow, standing: Standing, now: Instant) -> Verdict {
        let cancels = request.method == Method::Cancel && self.cancelled(request).is_some();
        let standing = if cancels { Standing::InCall } else { standing };
        // A stranger's first INVITE is only challenged; it counts when it comes with what may be proof.
        let claims = standing == Standing::Known || request.headers.get(&HeaderName::Authorization).is_some();
        let begins = request.method == Method::Invite && claims;
        let load = (self.transactions(), self.config.max_transactions);
        self.guard.judge((standing, flow.remote.ip()), begins, load, now)
    }

    /// 503 without a state. Each is told another time to come back at (RFC 3261 §21.5.4), so that they come apart.
    fn refuse_busy(&mut self, request: &Request, flow: Flow) {
        let mut response = request.reply(503, "Service Unavailable");
        let seconds: u32 = self.rng.random_range(RETRY_AFTER_S);
        response.headers.push(HeaderName::RetryAfter, &seconds.to_string());
        self.reply_stateless(request, response, flow);
    }

    /// Whether a datagram is, octet for octet, a request that is known; its answer is sent again then. Copies that come
    /// faster than any timer of RFC 3261 are absorbed.
    pub(crate) fn is_repeated(&mut self, flow: Flow, bytes: &[u8], now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let key = (flow, hasher.finish());
        self.arriving = Some(key);
        let Some(id) = self.copies.get(&key).copied() else { return false };
        self.repeat(id, now);
        true
    }

    /// A copy of a request came.
    fn repeat(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if server.repeated_at.is_some_and(|at| now.saturating_duration_since(at) < REPEAT_GAP) {
            return;
        }
        server.repeated_at = Some(now);
        self.drive_server(id, Input::Request, now);
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
        // Over a stream there are no copies.
        let copy = self.arriving.take().filter(|(arriving, _)| *arriving == flow);
        if let Some(copy) = copy {
            self.copies.insert(copy, id);
        }
        let server = Server {
            machine,
            copy,
            repeated_at: None,
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
        let tag = self.stateless_tag(request);
        response.set_to_tag(&tag);
        response.headers.push(HeaderName::Server, &self.config.product);
        self.send(reply_to(request, flow), response.encode());
    }

    /// Our tag in an answer that leaves no state: the same for each copy of a request, and known again in its ACK
    /// (RFC 3261 §8.2.7).
    fn stateless_tag(&self, request: &Request) -> String {
        let via = request.via().ok();
        let branch = via.as_ref().and_then(|via| via.branch()).unwrap_or_default();
        let from = request.from_tag().unwrap_or_default();
        let parts = [branch, request.call_id().unwrap_or_default(), &from];
        // With a NUL between them no two requests run into one.
        let parts = parts.map(str::as_bytes);
        let mac = hmac_sha256(&self.tag_key, &[parts[0], b"\0", parts[1], b"\0", parts[2]]);
        mac.iter().take(8).map(|octet| format!("{octet:02x}")).collect()
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
            if let Some(copy) = &server.copy
                && self.copies.get(copy) == Some(&id)
            {
                self.copies.remove(copy);
            }
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
