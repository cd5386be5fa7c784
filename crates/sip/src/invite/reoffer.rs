//! Changes of a session that the far end asks for: re-INVITE (RFC 3261 §14.2), UPDATE (RFC 3311 §5.2), an offer by PRACK
//! (RFC 3262 §5); and INFO.

use std::time::Instant;

use rand::Rng;

use crate::endpoint::layer::{Answer, Outcome, Owner, Purpose, ServerId, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Refusal, SipEvent, compose};
use crate::error::Failure;
use crate::invite::{Call, Offer, State};
use crate::message::{HeaderName, Method, Request};
use crate::timer::Timer;

impl Call {
    /// The status for a request of theirs that must wait for another offer or request; `None`: it may come in.
    fn collision(&self, method: &Method, has_offer: bool, tag: &str) -> Option<u16> {
        let is_update = *method == Method::Update;
        let early = matches!(method, Method::Update | Method::Prack) && self.is_agreed_early(tag);
        match (self.state, &self.offer) {
            (State::Ending, _) => Some(481),
            // RFC 3311 §5.2: one UPDATE after the other, with an offer or without.
            (_, Offer::Theirs { method: Method::Update, .. }) if is_update => Some(500),
            (_, _) if is_update && !has_offer => None,
            // §14.2, RFC 3311 §5.2: theirs is still with the application.
            (_, Offer::Theirs { .. }) => Some(500),
            // §14.2, RFC 3311 §5.2: they crossed.
            (_, Offer::Ours { .. }) => Some(491),
            // Our 2xx has no ACK yet, so the offer before this one is not settled (RFC 5407 §3.1.4).
            (_, Offer::Idle) if self.unconfirmed.is_some() => Some(491),
            (State::Up, Offer::Idle) => None,
            // RFC 3311 §5.2: the first offer has its answer, in a provisional response that was acknowledged.
            (_, Offer::Idle) if early => None,
            // RFC 3311 §5.2: ours is on its way, in a provisional response.
            (State::Offered, Offer::Idle) if is_update && self.provisional.is_offering() => Some(491),
            // §14.2: their first INVITE has no final answer yet. RFC 3311 §5.2: nor has its offer one.
            (State::Offered, Offer::Idle) => Some(500),
            (State::Calling | State::Proceeding | State::Cancelling | State::Answered, Offer::Idle) => Some(491),
        }
    }
}

impl Endpoint {
    /// re-INVITE or UPDATE of the far end.
    pub(crate) fn handle_reoffer(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let flow = call.flow;
        if let (State::Up | State::Answered, Err(least_s)) = (call.state, call.session.judge(request)) {
            self.refuse_interval(server, request, least_s, now);
            return self.layer.refuse(Refusal::TooBrief, flow);
        }
        call.note_abilities(&request.headers);
        let is_update = request.method == Method::Update;
        let body = compose::body_of(&request.body);
        let tag = request.from_tag().unwrap_or_default();
        match call.collision(&request.method, body.is_some(), &tag) {
            None => {}
            Some(500) => {
                self.refuse_for_now(server, request, now);
                return self.layer.refuse(Refusal::OfferPending, flow);
            }
            Some(status) => {
                self.layer.respond_status(server, status, compose::phrase(status), now);
                return self.layer.refuse(Refusal::OfferPending, flow);
            }
        }
        if call.farewell.is_some() {
            self.layer.respond_status(server, 481, compose::phrase(481), now);
            return;
        }
        if let Some(dialog) = call.dialog_mut(&request.from_tag().unwrap_or_default()) {
            dialog.refresh_target(request.contact());
        }
        // An UPDATE without an offer refreshes the target and the session, whatever else goes on (RFC 4028 §7.4).
        if is_update && body.is_none() {
            return self.answer_update(call_ref, server, request, None, now);
        }
        call.offer = Offer::Theirs { server, method: request.method.clone() };
        if let Some(server) = self.layer.server_mut(server) {
            server.call = Some(call_ref);
        }
        if request.method == Method::Invite {
            self.layer.respond_status(server, 100, "Trying", now);
        }
        let owner = Owner::Call(call_ref);
        self.layer.timers.set(owner, Timer::Reoffer, now + self.layer.config.timers.give_up());
        self.layer.report(SipEvent::Reoffered { call: call_ref, body });
    }

    /// 422 with the least we take (RFC 4028 §9).
    pub(crate) fn refuse_interval(&mut self, server: ServerId, request: &Request, least_s: u32, now: Instant) {
        let mut response = request.reply(422, compose::phrase(422));
        response.headers.push(HeaderName::MinSe, &least_s.to_string());
        self.layer.respond(server, response, now);
    }

    /// 500 with a pause of 0 to 10 s (§14.2, RFC 3311 §5.2).
    fn refuse_for_now(&mut self, server: ServerId, request: &Request, now: Instant) {
        let mut response = request.reply(500, "Server Internal Error");
        let seconds: u8 = self.layer.rng.random_range(0..=10);
        response.headers.push(HeaderName::RetryAfter, &seconds.to_string());
        self.layer.respond(server, response, now);
    }

    /// 200 to an UPDATE or PRACK, with our answer where it brought an offer.
    fn answer_update(
        &mut self,
        call_ref: CallRef,
        server: ServerId,
        request: &Request,
        body: Option<Vec<u8>>,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let (state, extensions) = (call.state, call.extensions);
        let dialog = call.dialog_mut(&request.from_tag().unwrap_or_default());
        let contact = dialog.map(|dialog| dialog.contact.clone());
        let mut response = request.reply(200, "OK");
        response.headers.push(HeaderName::Contact, &contact.unwrap_or_default());
        compose::abilities(&mut response.headers, extensions);
        // A session that is not up has no clock yet (RFC 4028 §1).
        if matches!(state, State::Up | State::Answered) {
            self.grant_session(call_ref, request, &mut response.headers, now);
        }
        if let Some(body) = body {
            compose::sdp(&mut response.headers, &mut response.body, body);
        }
        self.layer.respond(server, response, now);
    }

    /// An offer has waited for 64 × T1. Theirs: the application forgot it. Ours: the far end said 100 and then
    /// nothing; left standing, it would refuse every later offer of theirs with 491.
    pub(crate) fn reoffer_wait_passed(&mut self, call_ref: CallRef, now: Instant) {
        let offer = self.calls.get(&call_ref).map(|call| call.offer.clone());
        match offer {
            Some(Offer::Theirs { .. }) => self.refuse_reoffer(call_ref, 500, now),
            Some(Offer::Ours { client, .. }) => {
                self.layer.cancel(client, None, now);
                self.layer.abandon_client(client, now);
                self.change_failed(call_ref, client, Failure::timed_out(Timer::Reoffer), now);
            }
            Some(Offer::Idle) | None => {}
        }
    }

    /// The application answers the far end's offer.
    pub(crate) fn accept_reoffer(&mut self, call_ref: CallRef, body: Vec<u8>, now: Instant) {
        let Some((server, method, contact)) = self.take_theirs(call_ref) else {
            return;
        };
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.local_sdp.clone_from(&body);
        }
        if method == Method::Invite {
            return self.send_2xx(call_ref, server, &request, &contact, body, &[], now);
        }
        self.answer_update(call_ref, server, &request, Some(body), now);
        self.prack_answered(call_ref, now);
    }

    /// The application, or the end of its time, refuses the far end's offer; the session stays as it was.
    pub(crate) fn refuse_reoffer(&mut self, call_ref: CallRef, status: u16, now: Instant) {
        let status = if (300..700).contains(&status) { status } else { 488 };
        if let Some((server, _, _)) = self.take_theirs(call_ref) {
            self.layer.respond_status(server, status, compose::phrase(status), now);
            self.prack_answered(call_ref, now);
        }
    }

    /// CANCEL of a re-INVITE: the call itself goes on.
    pub(crate) fn reoffer_cancelled(&mut self, call_ref: CallRef, server: ServerId, now: Instant) {
        let ours = self
            .calls
            .get(&call_ref)
            .is_some_and(|call| matches!(&call.offer, Offer::Theirs { server: theirs, .. } if *theirs == server));
        if ours {
            self.refuse_reoffer(call_ref, 487, now);
        }
    }

    fn take_theirs(&mut self, call_ref: CallRef) -> Option<(ServerId, Method, String)> {
        let call = self.calls.get_mut(&call_ref)?;
        let Offer::Theirs { server, method } = call.offer.clone() else {
            return None;
        };
        call.offer = Offer::Idle;
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        let contact = call.dialog.as_ref().map(|dialog| dialog.contact.clone());
        Some((server, method, contact.unwrap_or_default()))
    }

    /// Sends INFO where the call is up; else there is nobody to tell.
    pub(crate) fn send_info(&mut self, call_ref: CallRef, content_type: &str, body: Vec<u8>, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref).filter(|call| call.state == State::Up) else {
            return;
        };
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut request = dialog.request(Method::Info);
        request.headers.push(HeaderName::ContentType, content_type);
        request.body = body;
        let hop = dialog.next_hop(&self.layer.config.locals);
        self.layer.request(request, hop, User::Call(call_ref, Purpose::Info), now);
    }

    /// Only "no such call" matters: far ends that ignore INFO are many, and their calls go on.
    pub(crate) fn handle_info_outcome(&mut self, call_ref: CallRef, outcome: &Outcome, now: Instant) {
        if let Answer::Response(response) = &outcome.answer
            && response.status == 481
        {
            self.dialog_lost(call_ref, EndedBy::Peer, now);
        }
    }

    /// INFO from the far end.
    pub(crate) fn handle_info(&mut self, call_ref: CallRef, server: ServerId, request: Request, now: Instant) {
        self.layer.respond_status(server, 200, "OK", now);
        // Of a call we are giving up nothing more is told.
        let leaving = |call: &Call| matches!(call.state, State::Cancelling | State::Ending);
        if self.calls.get(&call_ref).is_none_or(leaving) {
            return;
        }
        let content_type = request.content_type().unwrap_or_default();
        self.layer.report(SipEvent::Info { call: call_ref, content_type, body: request.body });
    }
}
