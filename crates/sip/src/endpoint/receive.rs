//! From messages to whom they concern: transactions first, then calls, registrar and probes.

use std::time::Instant;

use super::event::{CallRef, ProbeRef, Refusal, SipEvent};
use super::guard::Standing;
use super::layer::{Answer, Arrival, Outcome, Owner, Purpose, ServerId, User};
use super::{Endpoint, Flow, Target, compose};
use crate::check::check_request;
use crate::error::Failure;
use crate::invite::Offer;
use crate::message::{HeaderName, Message, Method, Request, Response};
use crate::timer::Timer;
use crate::uri::{Host, Uri};
use crate::values::NameAddr;
use crate::wire::{ParseError, ParseReason};

impl Endpoint {
    pub(crate) fn handle_message(&mut self, flow: Flow, message: Message, now: Instant) {
        match message {
            Message::Request(request) => self.handle_request(flow, request, now),
            Message::Response(response) => self.handle_response(flow, response, now),
        }
    }

    /// Octets that are no message: answered where enough could be read (§8.2), always counted.
    pub(crate) fn handle_garbage(&mut self, flow: Flow, error: &ParseError, now: Instant) {
        if error.reason == ParseReason::KeepAlive {
            return;
        }
        if !self.is_known(flow)
            && let Err(why) = self.layer.guard.hear(flow.remote.ip(), now)
        {
            return self.layer.refuse(why, flow);
        }
        if let (Some(response), Some(request)) = (error.response(), &error.reply) {
            let mut request = (**request).clone();
            // An unreadable Via is no way back but the flow itself; note_source then changes nothing.
            let source = request.note_source(flow.remote);
            let mut response = response;
            if source.is_ok()
                && let Ok(via) = request.via()
            {
                response.headers.set_first_via(&via);
            }
            self.layer.reply_stateless(&request, response, flow);
        }
        self.layer.refuse(Refusal::Malformed(error.reason), flow);
    }

    fn handle_response(&mut self, flow: Flow, response: Response, now: Instant) {
        // §8.1.3.3: with a second Via it was meant for somebody else.
        let single = response.vias().is_ok_and(|vias| vias.len() == 1);
        let outcome = if single { self.layer.handle_response(response, flow, now) } else { Err(()) };
        match outcome {
            Ok(Some(outcome)) => self.handle_outcome(outcome, now),
            Ok(None) => {}
            Err(()) => self.layer.refuse(Refusal::StrayResponse, flow),
        }
    }

    /// A request of ours has something to say to whoever sent it.
    pub(crate) fn handle_outcome(&mut self, outcome: Outcome, now: Instant) {
        match outcome.user {
            User::Call(call, Purpose::Invite) => self.handle_invite_outcome(call, outcome, now),
            User::Call(call, Purpose::Change) => self.handle_change_outcome(call, outcome, now),
            User::Call(call, Purpose::Refresh) => self.handle_refresh_outcome(call, outcome, now),
            User::Call(call, Purpose::Prack) => self.handle_prack_outcome(call, outcome, now),
            User::Call(call, Purpose::Bye) => self.handle_bye_outcome(call, outcome, now),
            User::Call(call, Purpose::Info) => self.handle_info_outcome(call, &outcome, now),
            User::Call(call, Purpose::Notify) => self.handle_notify_outcome(call, outcome, now),
            User::Call(call, Purpose::Refer) => self.handle_refer_outcome(call, outcome, now),
            User::Registration(registration) => self.handle_register_outcome(registration, outcome, now),
            User::Probe(probe) => self.handle_probe_outcome(probe, outcome),
            User::Orphan(orphan, errand) => self.handle_orphan_outcome(orphan, errand, outcome, now),
            User::Nobody => {}
        }
    }

    fn handle_request(&mut self, flow: Flow, mut request: Request, now: Instant) {
        if request.note_source(flow.remote).is_err() {
            return self.layer.refuse(Refusal::NotAcceptable(400), flow);
        }
        let call = self.call_of(&request);
        let standing = match call {
            Some(_) => Standing::InCall,
            None if self.is_known(flow) => Standing::Known,
            None => Standing::Stranger,
        };
        match self.layer.handle_request(request, flow, standing, now) {
            Arrival::Copy | Arrival::Acknowledged => {}
            Arrival::Loose(ack) => match call {
                Some(call) => self.handle_ack(call, *ack, now),
                None => self.layer.refuse(Refusal::StrayAck, flow),
            },
            Arrival::New(server) => self.handle_new_request(server, call, flow, now),
            Arrival::Merged => self.layer.refuse(Refusal::Merged, flow),
            Arrival::Refused(why) => self.layer.refuse(why, flow),
            Arrival::Unreadable => self.layer.refuse(Refusal::NotAcceptable(400), flow),
        }
    }

    /// The call a request belongs to by Call-ID and both tags (§12.2.2).
    fn call_of(&self, request: &Request) -> Option<CallRef> {
        let key = (request.call_id().ok()?.to_owned(), request.to_tag()?);
        let call_ref = *self.dialogs.get(&key)?;
        let call = self.calls.get(&call_ref)?;
        call.has_remote_tag(&request.from_tag().unwrap_or_default()).then_some(call_ref)
    }

    fn handle_new_request(&mut self, server: ServerId, call: Option<CallRef>, flow: Flow, now: Instant) {
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let extensions = match call.and_then(|call| self.calls.get(&call)) {
            Some(call) => call.extensions,
            None => self.extensions_of(flow),
        };
        if let Err(rejection) = check_request(&request, &compose::our_abilities(extensions)) {
            self.layer.respond(server, rejection.response(&request), now);
            return self.layer.refuse(Refusal::NotAcceptable(rejection.status), flow);
        }
        if request.method == Method::Cancel {
            return self.handle_cancel(server, &request, flow, now);
        }
        match call {
            Some(call) => self.handle_within_call(call, server, request, flow, now),
            None => self.handle_outside_calls(server, request, flow, now),
        }
    }

    fn handle_within_call(&mut self, call_ref: CallRef, server: ServerId, request: Request, flow: Flow, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        if request.method != Method::Bye && !call.budget.allows(now) {
            // No state is kept of it: a storm within one call must not crowd out the others.
            let mut response = request.reply(500, "Too Many Requests");
            response.headers.push(HeaderName::RetryAfter, "10");
            self.layer.reply_stateless(&request, response, flow);
            self.layer.drop_server(server);
            return self.layer.refuse(Refusal::TooManyRequests, flow);
        }
        let tag = request.from_tag().unwrap_or_default();
        let in_order = call.dialog_mut(&tag).is_some_and(|dialog| dialog.accept(&request, flow));
        if !in_order {
            // §12.2.2
            self.layer.respond_status(server, 500, "Out of Order", now);
            return self.layer.refuse(Refusal::OutOfOrder, flow);
        }
        match request.method {
            Method::Invite | Method::Update => self.handle_reoffer(call_ref, server, &request, now),
            Method::Prack => self.handle_prack(call_ref, server, &request, now),
            Method::Bye => self.handle_bye(call_ref, server, &request, now),
            Method::Info => self.handle_info(call_ref, server, request, now),
            Method::Options => self.answer_options(server, &request, now),
            Method::Refer => self.handle_refer(call_ref, server, &request, now),
            Method::Notify => self.handle_notify(call_ref, server, &request, now),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Message
            | Method::Other(_) => self.not_allowed(server, &request, flow, now),
        }
    }

    fn handle_outside_calls(&mut self, server: ServerId, request: Request, flow: Flow, now: Instant) {
        match request.method {
            Method::Options => self.answer_options(server, &request, now),
            Method::Register => self.handle_register(server, &request, flow, now),
            // §12.2.2: a tag we know nothing of; a call that ended, or ended with another process.
            Method::Invite if request.to_tag().is_some() => self.no_dialog(server, flow, now),
            Method::Invite => self.handle_first_invite(server, now),
            Method::Bye | Method::Info | Method::Update | Method::Prack => {
                self.no_dialog(server, flow, now);
            }
            // A REFER that belongs to no call here is nobody's to give, whoever sends it.
            Method::Refer | Method::Notify if request.to_tag().is_some() => self.no_dialog(server, flow, now),
            Method::Ack
            | Method::Cancel
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Other(_) => self.not_allowed(server, &request, flow, now),
        }
    }

    fn no_dialog(&mut self, server: ServerId, flow: Flow, now: Instant) {
        self.layer.respond_status(server, 481, compose::phrase(481), now);
        self.layer.refuse(Refusal::NoDialog, flow);
    }

    fn not_allowed(&mut self, server: ServerId, request: &Request, flow: Flow, now: Instant) {
        let mut response = request.reply(405, "Method Not Allowed");
        response.headers.push(HeaderName::Allow, compose::ALLOW);
        self.layer.respond(server, response, now);
        self.layer.refuse(Refusal::NotAcceptable(405), flow);
    }

    /// §11.2: what an INVITE would find here.
    fn answer_options(&mut self, server: ServerId, request: &Request, now: Instant) {
        let mut response = request.reply(200, "OK");
        let extensions = self.layer.server(server).map_or(self.layer.config.extensions, |server| {
            self.extensions.get(&server.flow.remote.ip()).copied().unwrap_or(self.layer.config.extensions)
        });
        compose::abilities(&mut response.headers, extensions);
        response.headers.push(HeaderName::Accept, "application/sdp");
        self.layer.respond(server, response, now);
    }

    fn handle_cancel(&mut self, server: ServerId, cancel: &Request, flow: Flow, now: Instant) {
        let Some(invite) = self.layer.cancelled(cancel) else {
            return self.no_dialog(server, flow, now);
        };
        // §9.2: the same To tag as the responses to the INVITE.
        let tag = self.layer.server(invite).map(|invite| invite.tag.clone());
        if let (Some(tag), Some(server)) = (tag, self.layer.server_mut(server)) {
            server.tag = tag;
        }
        self.layer.respond_status(server, 200, "OK", now);
        if !self.layer.is_server_pending(invite) {
            return;
        }
        let call_ref = self.layer.server(invite).and_then(|invite| invite.call);
        let Some(call_ref) = call_ref else {
            return;
        };
        let first = self.calls.get(&call_ref).is_some_and(|call| call.server == Some(invite));
        let is_reoffer =
            !first && self.calls.get(&call_ref).is_some_and(|call| matches!(call.offer, Offer::Theirs { .. }));
        if is_reoffer {
            self.reoffer_cancelled(call_ref, invite, now);
        } else {
            self.invite_cancelled(call_ref, cancel, now);
        }
    }

    // Probes.

    pub(crate) fn start_probe(&mut self, target: Target, now: Instant) -> ProbeRef {
        let probe = ProbeRef(self.layer.next_id());
        let Ok(flow) = self.layer.flow_to(&target) else {
            let failure = Failure::transport();
            self.layer.report(SipEvent::Probed { probe, result: Err(failure) });
            return probe;
        };
        let uri = Uri::sip(None, Host::from(target.address), Some(target.address.port()));
        let mut from = self.layer.contact(None, flow);
        let to = NameAddr::new(uri.clone());
        from.set_tag(&self.layer.token());
        let call_id = self.layer.long_token();
        let mut request = Request::new(Method::Options, uri);
        let contact = self.layer.contact(None, flow);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &from.to_string());
        headers.push(HeaderName::To, &to.to_string());
        headers.push(HeaderName::CallId, &call_id);
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Contact, &contact.to_string());
        headers.push(HeaderName::Accept, "application/sdp");
        self.layer.request(request, flow, User::Probe(probe), now);
        probe
    }

    fn handle_probe_outcome(&mut self, probe: ProbeRef, outcome: Outcome) {
        let result = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => Ok(response.status),
            Answer::TimedOut(timer) => Err(Failure::timed_out(timer)),
            Answer::Broken => Err(Failure::transport()),
        };
        self.layer.report(SipEvent::Probed { probe, result });
    }

    // Time.

    pub(crate) fn fire(&mut self, owner: Owner, timer: Timer, now: Instant) {
        match owner {
            Owner::Client(client) => {
                if let Some(outcome) = self.layer.fire_client(client, timer, now) {
                    self.handle_outcome(outcome, now);
                }
            }
            Owner::Server(server) => self.layer.fire_server(server, timer, now),
            Owner::Call(call) => self.fire_call(call, timer, now),
            Owner::Registration(registration) => self.fire_registration(registration, now),
            Owner::Binding(binding) => self.binding_lapsed(binding),
            Owner::Stream(flow) => self.fire_stream(flow, timer, now),
            Owner::Orphan(orphan) => self.orphan_waited(orphan, now),
        }
    }

    fn fire_call(&mut self, call: CallRef, timer: Timer, now: Instant) {
        match timer {
            Timer::Answer => self.repeat_answer(call, now),
            Timer::AckWait => self.ack_wait_passed(call, now),
            Timer::Ring => self.ring_limit_passed(call, now),
            Timer::CancelWait => self.cancel_wait_passed(call, now),
            Timer::Glare => self.glare_passed(call, now),
            Timer::Reoffer => self.reoffer_wait_passed(call, now),
            Timer::SessionRefresh => self.refresh_session(call, now),
            Timer::SessionExpiry => self.session_expired(call, now),
            Timer::Provisional => self.repeat_provisional(call, now),
            Timer::PrackWait => self.prack_wait_passed(call, now),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::E
            | Timer::F
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::K
            | Timer::L
            | Timer::M
            | Timer::Refresh
            | Timer::RegisterRetry
            | Timer::Binding
            | Timer::Orphan
            | Timer::Ping
            | Timer::Pong
            | Timer::Idle => {}
        }
    }
}
