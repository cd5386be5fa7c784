//! Changes of a session that is up: re-INVITE of both sides, their glare (RFC 3261 §14), UPDATE (RFC 3311), INFO.

use std::time::{Duration, Instant};

use rand::Rng;

use crate::endpoint::layer::{Answer, ClientId, Outcome, Owner, Purpose, ServerId, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Refusal, SipEvent, compose};
use crate::error::{Failure, SipError};
use crate::invite::{Call, Offer, Role, State};
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;

/// How often a re-INVITE steps back before the far end's.
const MAX_GLARES: u8 = 6;

impl Endpoint {
    /// Offers a changed session.
    pub(crate) fn start_reinvite(&mut self, call_ref: CallRef, body: Vec<u8>, now: Instant) -> Result<(), SipError> {
        let call = self.calls.get(&call_ref).ok_or(SipError::Unknown)?;
        if call.state != State::Up || call.farewell.is_some() {
            return Err(SipError::WrongState);
        }
        // §14.1: one INVITE transaction at a time, in whichever direction.
        if !call.is_settled() {
            return Err(SipError::OfferPending);
        }
        self.send_reinvite(call_ref, body, 0, now);
        Ok(())
    }

    fn send_reinvite(&mut self, call_ref: CallRef, body: Vec<u8>, glares: u8, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut request = dialog.request(Method::Invite);
        compose::abilities(&mut request.headers);
        compose::sdp(&mut request.headers, &mut request.body, body.clone());
        self.put_reinvite(call_ref, request, body, glares, now);
    }

    fn put_reinvite(&mut self, call_ref: CallRef, request: Request, body: Vec<u8>, glares: u8, now: Instant) {
        let Some(dialog) = self.calls.get(&call_ref).and_then(|call| call.dialog.clone()) else {
            return;
        };
        let hop = dialog.next_hop(&self.layer.config.locals);
        let client = self.layer.request(request, hop, User::Call(call_ref, Purpose::Reinvite), now);
        if let Some(sent) = self.layer.client_mut(client) {
            sent.dialog = Some(dialog);
        }
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.offer = Offer::Ours { client, body, glares };
        }
        let at = now + self.layer.config.timers.give_up();
        self.layer.timers.set(Owner::Call(call_ref), Timer::Reoffer, at);
    }

    /// Our re-INVITE has something to say, perhaps after its call is gone.
    pub(crate) fn handle_reinvite_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        let response = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => response,
            // §12.2.1.2, §14.1: no answer means that the dialog is dead.
            Answer::TimedOut(timer) => return self.dialog_lost(call_ref, EndedBy::Timer(timer), now),
            Answer::Broken => {
                return self.reinvite_failed(call_ref, outcome.client, Failure::transport());
            }
        };
        if response.is_success() {
            return self.reinvite_answered(call_ref, outcome.client, response);
        }
        let offer = self.calls.get(&call_ref).map(|call| call.offer.clone());
        let Some(Offer::Ours { client, body, glares }) = offer else {
            return;
        };
        if client != outcome.client {
            return;
        }
        match response.status {
            481 | 408 => self.dialog_lost(call_ref, EndedBy::Peer, now),
            491 if glares < MAX_GLARES => self.wait_turn(call_ref, body, glares + 1, now),
            401 | 407 => {
                if let Some(challenged) = outcome.challenged {
                    let (mut request, _) = *challenged;
                    if self.prove(call_ref, &mut request, &response, outcome.flow) {
                        return self.put_reinvite(call_ref, request, body, glares, now);
                    }
                }
                self.reinvite_failed(call_ref, client, Failure::from_response(&response));
            }
            _ => self.reinvite_failed(call_ref, client, Failure::from_response(&response)),
        }
    }

    fn reinvite_answered(&mut self, call_ref: CallRef, client: ClientId, response: Response) {
        let tag = response.to_tag().unwrap_or_default();
        if self.layer.repeat_ack(client, &tag) {
            return;
        }
        let Some(sent) = self.layer.client(client) else {
            return;
        };
        let (request, Some(mut dialog)) = (sent.request.clone(), sent.dialog.clone()) else {
            return;
        };
        // Target refresh (§12.2.1.2), then the ACK to where the far end now is.
        dialog.refresh_target(response.contact());
        self.acknowledge(client, &dialog, &request, &tag);
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        if !matches!(&call.offer, Offer::Ours { client: ours, .. } if *ours == client) {
            return;
        }
        call.offer = Offer::Idle;
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        if let Some(dialog) = &mut call.dialog {
            dialog.refresh_target(response.contact());
        }
        let body = compose::body_of(&response.body);
        self.layer.report(SipEvent::ReofferAnswered { call: call_ref, body });
    }

    fn reinvite_failed(&mut self, call_ref: CallRef, client: ClientId, failure: Failure) {
        if let Some(call) = self.calls.get_mut(&call_ref)
            && matches!(&call.offer, Offer::Ours { client: ours, .. } if *ours == client)
        {
            call.offer = Offer::Idle;
            self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
            self.layer.report(SipEvent::ReofferFailed { call: call_ref, failure });
        }
    }

    /// §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, both in steps of 10 ms.
    fn wait_turn(&mut self, call_ref: CallRef, body: Vec<u8>, glares: u8, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let units: u64 = match call.role {
            Role::Caller => self.layer.rng.random_range(210..=400),
            Role::Callee => self.layer.rng.random_range(0..=200),
        };
        if matches!(call.offer, Offer::Ours { .. }) {
            call.offer = Offer::Idle;
            self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        }
        call.waiting = Some((body, glares));
        let at = now + Duration::from_millis(units * 10);
        self.layer.timers.set(Owner::Call(call_ref), Timer::Glare, at);
    }

    /// The wait after a glare is over.
    pub(crate) fn glare_passed(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some((body, glares)) = call.waiting.take() else {
            return;
        };
        if matches!(call.offer, Offer::Idle) && call.unconfirmed.is_none() {
            self.send_reinvite(call_ref, body, glares, now);
        } else {
            // Their offer came first and is not settled: once more round, which costs no try.
            self.wait_turn(call_ref, body, glares, now);
        }
    }

    /// re-INVITE or UPDATE of the far end.
    pub(crate) fn handle_reoffer(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let is_update = request.method == Method::Update;
        let body = compose::body_of(&request.body);
        // An UPDATE without an offer refreshes the target and the session, whatever else goes on (RFC 4028 §7.4).
        if is_update && body.is_none() {
            if let Some(dialog) = call.dialog_mut(&request.from_tag().unwrap_or_default()) {
                dialog.refresh_target(request.contact());
            }
            return self.answer_plain_update(call_ref, server, request, now);
        }
        let flow = call.flow;
        let glare = match (call.state, &call.offer) {
            // §14.2: theirs is still with the application.
            (_, Offer::Theirs { .. }) => Some(500),
            // §14.2: they crossed.
            (_, Offer::Ours { .. }) => Some(491),
            // Our 2xx has no ACK yet, so the offer before this one is not settled (RFC 5407 §3.1.4).
            (_, Offer::Idle) if call.unconfirmed.is_some() => Some(491),
            (State::Up, Offer::Idle) => None,
            (
                State::Calling | State::Proceeding | State::Cancelling | State::Offered | State::Answered,
                Offer::Idle,
            ) => Some(491),
            (State::Ending, Offer::Idle) => Some(481),
        };
        match glare {
            None => {}
            Some(500) => {
                let mut response = request.reply(500, "Server Internal Error");
                let seconds: u8 = self.layer.rng.random_range(0..=10);
                response.headers.push(HeaderName::RetryAfter, &seconds.to_string());
                self.layer.respond(server, response, now);
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
        if let Some(dialog) = &mut call.dialog {
            dialog.refresh_target(request.contact());
        }
        call.offer = Offer::Theirs { server, method: request.method.clone() };
        if let Some(server) = self.layer.server_mut(server) {
            server.call = Some(call_ref);
        }
        if !is_update {
            self.layer.respond_status(server, 100, "Trying", now);
        }
        let owner = Owner::Call(call_ref);
        self.layer.timers.set(owner, Timer::Reoffer, now + self.layer.config.timers.give_up());
        self.layer.report(SipEvent::Reoffered { call: call_ref, body });
    }

    fn answer_plain_update(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let contact = self.calls.get_mut(&call_ref).and_then(|call| {
            let dialog = call.dialog_mut(&request.from_tag().unwrap_or_default());
            dialog.map(|dialog| dialog.contact.clone())
        });
        let mut response = request.reply(200, "OK");
        response.headers.push(HeaderName::Contact, &contact.unwrap_or_default());
        compose::abilities(&mut response.headers);
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
                self.reinvite_failed(call_ref, client, Failure::timed_out(Timer::Reoffer));
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
        if method == Method::Invite {
            return self.send_2xx(call_ref, server, &request, &contact, body, &[], now);
        }
        let mut response = request.reply(200, "OK");
        response.headers.push(HeaderName::Contact, &contact);
        compose::abilities(&mut response.headers);
        compose::sdp(&mut response.headers, &mut response.body, body);
        self.layer.respond(server, response, now);
    }

    /// The application, or the end of its time, refuses the far end's offer; the session stays as it was.
    pub(crate) fn refuse_reoffer(&mut self, call_ref: CallRef, status: u16, now: Instant) {
        let status = if (300..700).contains(&status) { status } else { 488 };
        if let Some((server, _, _)) = self.take_theirs(call_ref) {
            self.layer.respond_status(server, status, compose::phrase(status), now);
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
