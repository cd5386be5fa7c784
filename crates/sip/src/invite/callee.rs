//! The callee's side: an INVITE from outside, provisional answers, 2xx until its ACK, CANCEL.

use std::time::Instant;

use crate::dialog::Dialog;
use crate::endpoint::extensions::RELIABLE;
use crate::endpoint::layer::{Owner, ServerId};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Extensions, IncomingInvite, Refusal, Reliable, SipEvent, compose};
use crate::error::Reason;
use crate::invite::reliable::Provisional;
use crate::invite::session::Session;
use crate::invite::{Call, Farewell, Role, State, Unconfirmed};
use crate::message::{HeaderName, Method, Request};
use crate::timer::Timer;

impl Endpoint {
    /// A first INVITE that has passed every check.
    pub(crate) fn handle_first_invite(&mut self, server: ServerId, now: Instant) {
        let Some(arrived) = self.layer.server(server) else {
            return;
        };
        let (request, flow, local_tag) = (arrived.request.clone(), arrived.flow, arrived.tag.clone());
        if self.calls.len() >= self.layer.config.max_calls {
            let mut response = request.reply(503, "Service Unavailable");
            response.headers.push(HeaderName::RetryAfter, "10");
            self.layer.respond(server, response, now);
            return self.layer.refuse(Refusal::TooManyCalls, flow);
        }
        let account = match self.authenticate_caller(server, &request, flow, now) {
            Ok(account) => account,
            Err(why) => return self.layer.refuse(why, flow),
        };
        let extensions = self.extensions_of(flow);
        let replaces = match self.check_replaces(server, &request, now) {
            Ok(replaces) => replaces,
            Err(why) => return self.layer.refuse(why, flow),
        };
        if let Err(why) = self.check_extensions(server, &request, extensions, now) {
            return self.layer.refuse(why, flow);
        }
        let contact = self.layer.contact(request.uri.user.as_deref(), flow).to_string();
        let pinned = account.is_some();
        let dialog = Dialog::from_request(&request, &local_tag, contact, flow, pinned);
        let (Ok(dialog), Ok(from), Ok(to)) = (dialog, request.from(), request.to()) else {
            self.layer.respond_status(server, 400, "Bad Request: Contact", now);
            return self.layer.refuse(Refusal::NotAcceptable(400), flow);
        };
        // §8.2.6.1: at once, so that copies stop; the application may take its time.
        self.layer.respond_status(server, 100, "Trying", now);
        let call = CallRef(self.layer.next_id());
        if let Some(server) = self.layer.server_mut(server) {
            server.call = Some(call);
        }
        let call_id = dialog.call_id.clone();
        self.dialogs.insert((call_id.clone(), local_tag.clone()), call);
        let flow_of_call = (flow, pinned);
        self.calls.insert(
            call,
            Call {
                dialog: Some(dialog),
                server: Some(server),
                provisional: Provisional::of_invite(&request, extensions.reliable),
                peer_updates: request.headers.has_token(&HeaderName::Allow, Method::Update.as_str()),
                ..Call::new(Role::Callee, (call_id, local_tag), flow_of_call, extensions, now)
            },
        );
        let invite = IncomingInvite {
            uri: request.uri,
            from,
            to,
            body: compose::body_of(&request.body),
            headers: request.headers,
            flow,
            account,
            replaces,
        };
        self.layer.report(SipEvent::Incoming { call, invite: Box::new(invite) });
    }

    /// What a first INVITE asks for and brings along beyond a plain call, against the rule; refused where it does not fit.
    fn check_extensions(
        &mut self,
        server: ServerId,
        request: &Request,
        extensions: Extensions,
        now: Instant,
    ) -> Result<(), Refusal> {
        if let Err(least_s) = Session::new(extensions.session).judge(request) {
            self.refuse_interval(server, request, least_s, now);
            return Err(Refusal::TooBrief);
        }
        let able = Provisional::of_invite(request, extensions.reliable).is_able();
        if extensions.reliable == Reliable::Required && !able {
            // RFC 3261 §21.4.16, RFC 3262 §3: with the extension's name.
            let mut response = request.reply(421, compose::phrase(421));
            response.headers.push(HeaderName::Require, RELIABLE);
            self.layer.respond(server, response, now);
            return Err(Refusal::ExtensionRequired);
        }
        Ok(())
    }

    /// 180, 183 and so on; a reliable one until its PRACK.
    pub(crate) fn send_progress(
        &mut self,
        call_ref: CallRef,
        status: u16,
        body: Option<Vec<u8>>,
        reliable: bool,
        now: Instant,
    ) {
        let Some((server, contact)) = self.offered(call_ref) else {
            return;
        };
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let status = if (101..200).contains(&status) { status } else { 180 };
        let mut response = request.reply(status, compose::phrase(status));
        response.headers.push(HeaderName::Contact, &contact);
        response.headers.push(HeaderName::Allow, compose::ALLOW);
        if reliable {
            // RFC 3262 §3.
            response.headers.push(HeaderName::Require, RELIABLE);
            response.headers.push(HeaderName::RSeq, &self.next_rseq(call_ref).to_string());
        }
        if let Some(body) = &body {
            compose::sdp(&mut response.headers, &mut response.body, body.clone());
        }
        let sent = self.layer.respond(server, response, now);
        if let (true, Some(sent)) = (reliable, sent) {
            let cseq = request.cseq().map_or(0, |cseq| cseq.number);
            self.await_prack(call_ref, cseq, sent, body.as_deref(), now);
        }
    }

    /// 200, sent again until its ACK.
    pub(crate) fn send_answer(
        &mut self,
        call_ref: CallRef,
        body: Vec<u8>,
        headers: Vec<(String, String)>,
        now: Instant,
    ) {
        let Some((server, contact)) = self.offered(call_ref) else {
            return;
        };
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let Some((body, headers)) = self.may_answer(call_ref, body, headers) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.state = State::Answered;
            call.server = None;
            if !body.is_empty() {
                call.local_sdp.clone_from(&body);
            }
        }
        self.send_2xx(call_ref, server, &request, &contact, body, &headers, now);
    }

    /// A 2xx to a first or later INVITE, and the clock of its copies.
    #[expect(clippy::too_many_arguments, reason = "one answer and where it belongs")]
    pub(crate) fn send_2xx(
        &mut self,
        call_ref: CallRef,
        server: ServerId,
        request: &Request,
        contact: &str,
        body: Vec<u8>,
        headers: &[(String, String)],
        now: Instant,
    ) {
        let mut response = request.reply(200, "OK");
        response.headers.push(HeaderName::Contact, contact);
        let extensions = self.calls.get(&call_ref).map(|call| call.extensions).unwrap_or_default();
        compose::abilities(&mut response.headers, extensions);
        self.grant_session(call_ref, request, &mut response.headers, now);
        compose::known_good_headers(&mut response.headers, headers);
        if !body.is_empty() {
            compose::sdp(&mut response.headers, &mut response.body, body);
        }
        let Some(sent) = self.layer.respond(server, response, now) else {
            return;
        };
        let timers = self.layer.config.timers;
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        call.unconfirmed = Some(Unconfirmed {
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            sent,
            gap: timers.t1,
            first: call.state == State::Answered,
        });
        let owner = Owner::Call(call_ref);
        // §13.3.1.4: over a stream too, because a proxy may change to UDP behind it.
        self.layer.timers.set(owner, Timer::Answer, now + timers.t1);
        self.layer.timers.set(owner, Timer::AckWait, now + timers.give_up());
    }

    /// The 2xx goes out again.
    pub(crate) fn repeat_answer(&mut self, call_ref: CallRef, now: Instant) {
        let timers = self.layer.config.timers;
        if let Some(call) = self.calls.get_mut(&call_ref)
            && let Some(unconfirmed) = &mut call.unconfirmed
        {
            unconfirmed.gap = timers.backed_off(unconfirmed.gap);
            let (sent, gap) = (unconfirmed.sent.clone(), unconfirmed.gap);
            self.layer.send(sent.flow, sent.bytes);
            self.layer.timers.set(Owner::Call(call_ref), Timer::Answer, now + gap);
        }
    }

    /// No ACK for 64 × T1: the call is ended with a BYE (§13.3.1.4).
    pub(crate) fn ack_wait_passed(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Answer);
        if call.unconfirmed.take().is_some() && call.state != State::Ending {
            let farewell = Farewell::by(EndedBy::Timer(Timer::AckWait));
            call.farewell.get_or_insert(farewell);
            self.send_bye(call_ref, now);
        }
    }

    /// An ACK that belongs to a call.
    pub(crate) fn handle_ack(&mut self, call_ref: CallRef, ack: Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let number = ack.cseq().map(|cseq| cseq.number).ok();
        let matching = call.unconfirmed.as_ref().is_some_and(|sent| Some(sent.cseq) == number);
        if !matching {
            // A copy, or the ACK of a 2xx long confirmed.
            return;
        }
        let first = call.unconfirmed.take().is_some_and(|sent| sent.first);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Answer);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::AckWait);
        if call.state == State::Answered {
            call.state = State::Up;
        }
        if call.farewell.is_some() && call.state == State::Up {
            // §15: a callee that wants out waits for the ACK before its BYE.
            return self.send_bye(call_ref, now);
        }
        let body = compose::body_of(&ack.body);
        if call.state == State::Up && (first || body.is_some()) {
            self.layer.report(SipEvent::Confirmed { call: call_ref, body });
        }
    }

    /// Refuses an INVITE the application has not answered.
    pub(crate) fn send_rejection(
        &mut self,
        call_ref: CallRef,
        status: u16,
        phrase: Option<&str>,
        reason: Option<&Reason>,
        now: Instant,
    ) {
        let Some((server, _)) = self.offered(call_ref) else {
            return;
        };
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        let status = if (300..700).contains(&status) { status } else { 603 };
        let mut response = request.reply(status, phrase.unwrap_or_else(|| compose::phrase(status)));
        if let Some(reason) = reason {
            response.headers.push(HeaderName::Reason, &reason.to_string());
        }
        self.layer.respond(server, response, now);
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.server = None;
        }
        self.finish(call_ref, Farewell::by(EndedBy::Us), now);
    }

    /// CANCEL of a first INVITE that is not answered yet: 487, and the call is over (§9.2).
    pub(crate) fn invite_cancelled(&mut self, call_ref: CallRef, cancel: &Request, now: Instant) {
        let Some((server, _)) = self.offered(call_ref) else {
            return;
        };
        self.layer.respond_status(server, 487, "Request Terminated", now);
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.server = None;
        }
        self.layer.report(SipEvent::Cancelled { call: call_ref });
        let farewell =
            Farewell { by: EndedBy::Peer, reason: Reason::first(&cancel.headers), q850: Reason::q850(&cancel.headers) };
        self.finish(call_ref, farewell, now);
    }

    /// The transaction and our Contact of a call that the application has not answered yet.
    fn offered(&self, call_ref: CallRef) -> Option<(ServerId, String)> {
        let call = self.calls.get(&call_ref)?;
        if call.state != State::Offered {
            return None;
        }
        Some((call.server?, call.dialog.as_ref()?.contact.clone()))
    }
}
