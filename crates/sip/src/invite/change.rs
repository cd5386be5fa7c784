//! Changes of a session that we ask for: re-INVITE (RFC 3261 §14.1), UPDATE (RFC 3311 §5.1), and the refreshes of a
//! session timer, which travel the same way (RFC 4028 §7.4).

use std::time::{Duration, Instant};

use rand::Rng;

use crate::endpoint::layer::{Answer, ClientId, Outcome, Owner, Purpose, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, SipEvent, compose};
use crate::error::{Failure, SipError};
use crate::invite::{Call, Change, Offer, Role};
use crate::message::{HeaderName, Headers, Method, Request, Response};
use crate::timer::Timer;

/// How often an offer of ours steps back before the far end's.
const MAX_GLARES: u8 = 6;
/// RFC 3311 §5.2: a 500 to an UPDATE asks for a pause of 0 to 10 s. Who asks for more has another trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Change {
    /// What the application offers.
    fn of_application(method: Method, body: Vec<u8>) -> Self {
        Self { method, body, glares: 0, refresh: false }
    }

    /// The session as it is, told once more so that its timer starts anew.
    pub(crate) fn refresh(body: Vec<u8>) -> Self {
        Self { method: Method::Invite, body, glares: 0, refresh: true }
    }
}

impl Call {
    /// Takes in what the far end says it can do (RFC 3311 §4: UPDATE goes to those who list it in Allow).
    pub(crate) fn note_abilities(&mut self, headers: &Headers) {
        if headers.get(&HeaderName::Allow).is_some() {
            self.peer_updates = headers.has_token(&HeaderName::Allow, Method::Update.as_str());
        }
    }
}

impl Endpoint {
    /// Offers a changed session, by re-INVITE or by UPDATE.
    pub(crate) fn start_change(
        &mut self,
        call_ref: CallRef,
        method: Method,
        body: Vec<u8>,
        now: Instant,
    ) -> Result<(), SipError> {
        let call = self.calls.get(&call_ref).ok_or(SipError::Unknown)?;
        if !call.may_change() {
            return Err(SipError::WrongState);
        }
        // §14.1, RFC 3311 §5.1: one offer at a time, in whichever direction.
        if !call.is_settled() {
            return Err(SipError::OfferPending);
        }
        self.send_change(call_ref, Change::of_application(method, body), now);
        Ok(())
    }

    pub(crate) fn send_change(&mut self, call_ref: CallRef, change: Change, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut request = dialog.request(change.method.clone());
        compose::abilities(&mut request.headers, call.extensions);
        call.session.ask(&mut request.headers);
        compose::sdp(&mut request.headers, &mut request.body, change.body.clone());
        self.put_change(call_ref, request, change, now);
    }

    fn put_change(&mut self, call_ref: CallRef, request: Request, change: Change, now: Instant) {
        let Some(dialog) = self.calls.get(&call_ref).and_then(|call| call.dialog.clone()) else {
            return;
        };
        let hop = dialog.next_hop(&self.layer.config.locals);
        let client = self.layer.request(request, hop, User::Call(call_ref, Purpose::Change), now);
        if let Some(sent) = self.layer.client_mut(client) {
            sent.dialog = Some(dialog);
        }
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.offer = Offer::Ours { client, change };
        }
        let at = now + self.layer.config.timers.give_up();
        self.layer.timers.set(Owner::Call(call_ref), Timer::Reoffer, at);
    }

    /// Our offer has something to say, perhaps after its call is gone.
    pub(crate) fn handle_change_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        let response = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => response,
            // §12.2.1.2, §14.1: no answer means that the dialog is dead.
            Answer::TimedOut(timer) => return self.dialog_lost(call_ref, EndedBy::Timer(timer), now),
            Answer::Broken => {
                return self.change_failed(call_ref, outcome.client, Failure::transport(), now);
            }
        };
        if response.is_success() {
            return self.change_answered(call_ref, outcome.client, response, now);
        }
        let offer = self.calls.get(&call_ref).map(|call| call.offer.clone());
        let Some(Offer::Ours { client, mut change }) = offer.filter(|offer| offer.is_ours(outcome.client)) else {
            return;
        };
        let failure = Failure::from_response(&response);
        let is_update = change.method == Method::Update;
        match response.status {
            481 | 408 => self.dialog_lost(call_ref, EndedBy::Peer, now),
            491 if change.glares < MAX_GLARES => {
                change.glares += 1;
                self.wait_turn(call_ref, change, now);
            }
            // RFC 3311 §5.2: the far end is busy with another offer and says how long.
            500 if is_update && change.glares < MAX_GLARES && pause_of(&failure).is_some() => {
                change.glares += 1;
                self.wait(call_ref, change, pause_of(&failure).unwrap_or_default(), now);
            }
            422 if self.interval_too_small(call_ref, &response) => self.send_change(call_ref, change, now),
            // It cannot do UPDATE after all, or only after asking somebody (RFC 3311 §5.2: 504). A re-INVITE can.
            405 | 501 | 504 if is_update => {
                if let Some(call) = self.calls.get_mut(&call_ref) {
                    call.peer_updates = false;
                }
                self.send_change(call_ref, Change { method: Method::Invite, ..change }, now);
            }
            401 | 407 => {
                if let Some(challenged) = outcome.challenged {
                    let (mut request, _) = *challenged;
                    if self.prove(call_ref, &mut request, &response, outcome.flow) {
                        return self.put_change(call_ref, request, change, now);
                    }
                }
                self.change_failed(call_ref, client, failure, now);
            }
            _ => self.change_failed(call_ref, client, failure, now),
        }
    }

    /// A 422 (RFC 4028 §7.3): whether the request may go once more with a longer interval.
    pub(crate) fn interval_too_small(&mut self, call_ref: CallRef, response: &Response) -> bool {
        self.calls.get_mut(&call_ref).is_some_and(|call| call.session.too_small(&response.headers))
    }

    fn change_answered(&mut self, call_ref: CallRef, client: ClientId, response: Response, now: Instant) {
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
        // Target refresh (§12.2.1.2, RFC 3311 §5.1), then the ACK to where the far end now is.
        dialog.refresh_target(response.contact());
        if request.method == Method::Invite {
            self.acknowledge(client, &dialog, &request, &tag);
        }
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Offer::Ours { client: ours, change } = call.offer.clone() else {
            return;
        };
        if ours != client {
            return;
        }
        call.offer = Offer::Idle;
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        if let Some(dialog) = &mut call.dialog {
            dialog.refresh_target(response.contact());
        }
        call.note_abilities(&response.headers);
        call.local_sdp = change.body;
        self.session_heard(call_ref, &response.headers, now);
        let body = compose::body_of(&response.body);
        if !change.refresh {
            self.layer.report(SipEvent::ReofferAnswered { call: call_ref, body });
        } else if let Some(body) = body {
            self.layer.report(SipEvent::Refreshed { call: call_ref, body });
        }
    }

    pub(crate) fn change_failed(&mut self, call_ref: CallRef, client: ClientId, failure: Failure, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref).filter(|call| call.offer.is_ours(client)) else {
            return;
        };
        let offer = std::mem::replace(&mut call.offer, Offer::Idle);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        if let Offer::Ours { change: Change { refresh: true, .. }, .. } = offer {
            // RFC 4028 §7.4: the session goes on until its timer says otherwise.
            return self.refresh_again(call_ref, failure.retry_after.unwrap_or_default(), now);
        }
        self.layer.report(SipEvent::ReofferFailed { call: call_ref, failure });
    }

    /// §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, both in steps of 10 ms.
    fn wait_turn(&mut self, call_ref: CallRef, change: Change, now: Instant) {
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        let units: u64 = match call.role {
            Role::Caller => self.layer.rng.random_range(210..=400),
            Role::Callee => self.layer.rng.random_range(0..=200),
        };
        self.wait(call_ref, change, Duration::from_millis(units * 10), now);
    }

    fn wait(&mut self, call_ref: CallRef, change: Change, pause: Duration, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        if matches!(call.offer, Offer::Ours { .. }) {
            call.offer = Offer::Idle;
            self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        }
        call.waiting = Some(change);
        self.layer.timers.set(Owner::Call(call_ref), Timer::Glare, now + pause);
    }

    /// The wait after a glare is over.
    pub(crate) fn glare_passed(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(change) = call.waiting.take() else {
            return;
        };
        if change.refresh && !call.session.is_due(now) {
            // What came in between has refreshed the session.
            return;
        }
        if matches!(call.offer, Offer::Idle) && call.unconfirmed.is_none() {
            self.send_change(call_ref, change, now);
        } else {
            // Their offer came first and is not settled: once more round, which costs no try.
            self.wait_turn(call_ref, change, now);
        }
    }

    // Refreshes that change nothing.

    /// UPDATE without an offer: the session's clock, and where this side is (RFC 4028 §7.4).
    pub(crate) fn send_plain_update(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut request = dialog.request(Method::Update);
        compose::abilities(&mut request.headers, call.extensions);
        call.session.ask(&mut request.headers);
        self.put_plain_update(call_ref, request, now);
    }

    fn put_plain_update(&mut self, call_ref: CallRef, request: Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(hop) = call.dialog.as_ref().map(|dialog| dialog.next_hop(&self.layer.config.locals)) else {
            return;
        };
        call.refreshing = Some(self.layer.request(request, hop, User::Call(call_ref, Purpose::Refresh), now));
    }

    /// A plain UPDATE of ours has something to say.
    pub(crate) fn handle_refresh_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        let response = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => Some(response),
            Answer::TimedOut(timer) => return self.dialog_lost(call_ref, EndedBy::Timer(timer), now),
            // The next try is on its way already; if none works, the session expires.
            Answer::Broken => None,
        };
        let Some(call) = self.calls.get_mut(&call_ref).filter(|call| call.refreshing == Some(outcome.client)) else {
            return;
        };
        call.refreshing = None;
        let Some(response) = response else {
            return;
        };
        match response.status {
            200..=299 => {
                if let Some(dialog) = &mut call.dialog {
                    dialog.refresh_target(response.contact());
                }
                call.note_abilities(&response.headers);
                self.session_heard(call_ref, &response.headers, now);
            }
            481 | 408 => self.dialog_lost(call_ref, EndedBy::Peer, now),
            422 if call.session.too_small(&response.headers) => self.send_plain_update(call_ref, now),
            405 | 501 | 504 => {
                call.peer_updates = false;
                self.refresh_session(call_ref, now);
            }
            401 | 407 => {
                if let Some(challenged) = outcome.challenged {
                    let (mut request, _) = *challenged;
                    if self.prove(call_ref, &mut request, &response, outcome.flow) {
                        self.put_plain_update(call_ref, request, now);
                    }
                }
            }
            _ => {
                let pause = Failure::from_response(&response).retry_after;
                self.refresh_again(call_ref, pause.unwrap_or_default(), now);
            }
        }
    }
}

fn pause_of(failure: &Failure) -> Option<Duration> {
    failure.retry_after.filter(|pause| *pause <= LONGEST_PAUSE)
}
