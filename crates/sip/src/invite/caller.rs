//! The caller's side: INVITE, provisional answers, 2xx and ACK, forks, refusals, challenges.

use std::time::Instant;

use crate::dialog::Dialog;
use crate::endpoint::extensions::RELIABLE;
use crate::endpoint::layer::{Answer, ClientId, Outcome, Owner, Purpose, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Flow, Identity, Invite, Reliable, SipEvent, compose};
use crate::error::{Failure, SipError};
use crate::invite::reliable::{Early, MAX_PRACKS};
use crate::invite::session::Session;
use crate::invite::{Call, Farewell, MAX_EARLY, Role, State};
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::values::NameAddr;

/// Challenges answered for one call. The second is for a proxy behind a proxy or a stale nonce; a far end
/// that wants more will never be content.
const MAX_CHALLENGES: u8 = 4;

impl Endpoint {
    /// Builds and sends the first INVITE of a call.
    pub(crate) fn start_call(&mut self, invite: Invite, now: Instant) -> Result<CallRef, SipError> {
        let flow = self.layer.flow_to(&invite.target)?;
        if self.calls.len() >= self.layer.config.max_calls {
            return Err(SipError::TooManyCalls);
        }
        if self.layer.is_full() {
            return Err(SipError::TooManyTransactions);
        }
        let Identity { branch, tag: local_tag } = match &invite.identity {
            Some(identity) => identity.clone(),
            None => self.new_identity(),
        };
        let mut request = self.first_invite(&invite, &local_tag, flow)?;
        let session = Session::new(invite.extensions.session);
        session.ask(&mut request.headers);
        let pinned = self.layer.phones.contains_key(&flow);
        let call = CallRef(self.layer.next_id());
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let client = self.send_invite(&branch, call, request.clone(), flow, pinned, now);
        if let Some(client) = self.layer.client_mut(client) {
            client.not_after = invite.not_after;
        }
        if let Some(limit) = invite.ring_limit {
            self.layer.timers.set(Owner::Call(call), Timer::Ring, now + limit);
        }
        self.dialogs.insert((call_id.clone(), local_tag.clone()), call);
        self.calls.insert(
            call,
            Call {
                invite: Some(request),
                client: Some(client),
                credentials: invite.credentials,
                not_after: invite.not_after,
                local_sdp: invite.body.unwrap_or_default(),
                session,
                ..Call::new(Role::Caller, (call_id, local_tag), (flow, pinned), invite.extensions, now)
            },
        );
        Ok(call)
    }

    pub(crate) fn new_identity(&mut self) -> Identity {
        Identity { branch: self.layer.new_branch(), tag: self.layer.token() }
    }

    pub(crate) fn first_invite(&mut self, invite: &Invite, local_tag: &str, flow: Flow) -> Result<Request, SipError> {
        let call_id = match &invite.call_id {
            Some(call_id) if call_id.bytes().all(|byte| byte.is_ascii_graphic()) && !call_id.is_empty() => {
                call_id.clone()
            }
            Some(_) => return Err(SipError::BadHeader),
            None => self.layer.long_token(),
        };
        let mut from = invite.from.clone().without_tag();
        from.set_tag(local_tag);
        let to = match &invite.to {
            Some(to) => to.clone().without_tag(),
            None => {
                // §19.1.1: a To keeps no transport, ttl, maddr or headers of the Request-URI.
                let mut uri = invite.uri.clone();
                uri.headers = None;
                for name in ["transport", "ttl", "maddr", "lr", "method"] {
                    uri.params.remove(name);
                }
                NameAddr::new(uri)
            }
        };
        let mut request = Request::new(Method::Invite, invite.uri.clone());
        request.uri.headers = None;
        let contact = self.layer.contact(from.uri.user.as_deref(), flow);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &from.to_string());
        headers.push(HeaderName::To, &to.to_string());
        headers.push(HeaderName::CallId, &call_id);
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, &contact.to_string());
        if let Some(limit) = invite.ring_limit {
            // §13.3.1: should this process die, the far end stops ringing by itself.
            headers.push(HeaderName::Expires, &limit.as_secs().saturating_add(1).to_string());
        }
        compose::abilities(headers, invite.extensions);
        if invite.extensions.reliable == Reliable::Required {
            headers.push(HeaderName::Require, RELIABLE);
        }
        compose::application_headers(headers, &invite.headers)?;
        if let Some(body) = &invite.body {
            compose::sdp(&mut request.headers, &mut request.body, body.clone());
        }
        Ok(request)
    }

    fn send_invite(
        &mut self,
        branch: &str,
        call: CallRef,
        request: Request,
        flow: Flow,
        pinned: bool,
        now: Instant,
    ) -> ClientId {
        let user = User::Call(call, Purpose::Invite);
        let client = self.layer.request_as(branch, request, flow, user, now);
        if let Some(client) = self.layer.client_mut(client) {
            client.pinned = pinned;
        }
        client
    }

    /// The INVITE of a call, or of one that is gone, has something to say.
    pub(crate) fn handle_invite_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        let response = match outcome.answer {
            Answer::Response(response) => response,
            Answer::TimedOut(timer) => {
                return self.invite_unanswered(call_ref, outcome.client, Failure::timed_out(timer), now);
            }
            Answer::Broken => {
                return self.invite_unanswered(call_ref, outcome.client, Failure::transport(), now);
            }
        };
        // An answer to an INVITE that was sent again with credentials says nothing new.
        let current = self.calls.get(&call_ref).is_some_and(|call| call.client == Some(outcome.client));
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.heard = true;
        }
        match (response.status, current) {
            (100..=199, true) => self.invite_provisional(call_ref, response, outcome.flow, now),
            (200..=299, _) => self.invite_success(call_ref, outcome.client, response, outcome.flow, now),
            (300.., true) => self.invite_refused(call_ref, response, outcome.flow, now),
            (0..=199, _) | (300.., false) => {}
        }
    }

    fn invite_unanswered(&mut self, call_ref: CallRef, client: ClientId, failure: Failure, now: Instant) {
        let Some(call) = self.calls.get(&call_ref).filter(|call| call.client == Some(client)) else {
            return;
        };
        match call.state {
            State::Calling | State::Proceeding => self.fail(call_ref, failure, now),
            State::Cancelling => self.finish_cancelled(call_ref, now),
            State::Offered | State::Answered | State::Up | State::Ending => {}
        }
    }

    fn invite_provisional(&mut self, call_ref: CallRef, response: Response, flow: Flow, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        match call.state {
            State::Calling | State::Proceeding => call.state = State::Proceeding,
            // §9.1: CANCEL may only follow a provisional response; here it is.
            State::Cancelling => return self.send_cancel(call_ref, now),
            State::Offered | State::Answered | State::Up | State::Ending => return,
        }
        if response.status == 100 {
            return;
        }
        if let (Some(tag), Some(request)) = (response.to_tag(), &call.invite) {
            let known = call.has_remote_tag(&tag);
            if !known
                && call.early.len() < MAX_EARLY
                && let Ok(dialog) = Dialog::from_response(request, &response, flow, call.pinned)
            {
                call.early.push(Early::new(dialog));
            }
        }
        if !self.take_provisional(call_ref, &response, now) {
            return;
        }
        let body = compose::body_of(&response.body);
        self.layer.report(SipEvent::Progress {
            call: call_ref,
            status: response.status,
            body,
            headers: response.headers,
        });
    }

    /// A 2xx: the first one, a copy, one from another branch of a fork, or one that crossed our CANCEL.
    fn invite_success(&mut self, call_ref: CallRef, client: ClientId, response: Response, flow: Flow, now: Instant) {
        let tag = response.to_tag().unwrap_or_default();
        if self.layer.repeat_ack(client, &tag) {
            return;
        }
        let Some(sent) = self.layer.client(client) else {
            return;
        };
        let pinned = sent.pinned;
        let request = sent.request.clone();
        let Ok(mut dialog) = Dialog::from_response(&request, &response, flow, pinned) else {
            // Without a readable To or Record-Route there is no way to acknowledge it.
            self.invite_unanswered(call_ref, client, Failure::from_response(&response), now);
            return;
        };
        // PRACKs in this fork have used up numbers, and a challenged one its own; an order may have gaps (§12.2.2).
        let pracks = self.calls.get(&call_ref).map_or(MAX_PRACKS, |call| call.pracks);
        if pracks > 0 {
            dialog.local_cseq = dialog.local_cseq.saturating_add(u32::from(pracks) + u32::from(MAX_CHALLENGES));
        }
        self.acknowledge(client, &dialog, &request, &tag);
        let state = self.calls.get(&call_ref).filter(|call| call.client == Some(client)).map(|call| call.state);
        match state {
            Some(State::Calling | State::Proceeding) => {
                self.call_answered(call_ref, dialog, response, now);
            }
            // §9.1: the CANCEL came too late. The call is up at the far end, so it is ended there.
            Some(State::Cancelling) => {
                self.layer.timers.cancel(Owner::Call(call_ref), Timer::CancelWait);
                if let Some(call) = self.calls.get_mut(&call_ref) {
                    call.early.clear();
                    call.invite = None;
                    call.dialog = Some(dialog);
                }
                self.send_bye(call_ref, now);
            }
            // §13.2.2.4: another branch of a fork answered too, or the call is gone by now.
            Some(State::Up | State::Ending | State::Offered | State::Answered) | None => {
                let mut dialog = dialog;
                let bye = dialog.request(Method::Bye);
                let hop = dialog.next_hop(&self.layer.config.locals);
                self.layer.request(bye, hop, User::Nobody, now);
            }
        }
    }

    /// The first 2xx to a call that nobody gave up.
    fn call_answered(&mut self, call_ref: CallRef, mut dialog: Dialog, response: Response, now: Instant) {
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Ring);
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let tag = dialog.remote_tag().to_owned();
        let early = call.early.iter().position(|early| early.dialog.remote_tag() == tag);
        let early = early.map(|at| call.early.swap_remove(at));
        if let Some(early) = &early {
            // §13.2.2.4: the route set is made anew by the 2xx; what either side has counted since goes on.
            dialog.remote_cseq = early.dialog.remote_cseq;
        }
        call.state = State::Up;
        call.early.clear();
        call.invite = None;
        call.dialog = Some(dialog);
        call.note_abilities(&response.headers);
        self.session_heard(call_ref, &response.headers, now);
        // RFC 3262 §5: this fork may have answered reliably before; of several, the application hears its answer.
        let body = compose::body_of(&response.body).or_else(|| early.and_then(|early| early.answer));
        self.layer.report(SipEvent::Answered {
            call: call_ref,
            status: response.status,
            body,
            headers: response.headers,
        });
    }

    /// ACK of a 2xx to `request` (§13.2.2.4), with the credentials of its INVITE (§22.1).
    pub(crate) fn acknowledge(&mut self, client: ClientId, dialog: &Dialog, request: &Request, tag: &str) {
        let cseq = request.cseq().map_or(1, |cseq| cseq.number);
        let mut ack = dialog.ack(cseq);
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            for value in request.headers.all(&name) {
                ack.headers.push(name.clone(), value);
            }
        }
        let hop = dialog.next_hop(&self.layer.config.locals);
        self.layer.send_ack(client, tag, ack, hop);
    }

    fn invite_refused(&mut self, call_ref: CallRef, response: Response, flow: Flow, now: Instant) {
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        match call.state {
            State::Calling | State::Proceeding => {}
            State::Cancelling => return self.finish_cancelled(call_ref, now),
            State::Offered | State::Answered | State::Up | State::Ending => return,
        }
        if call.not_after.is_none_or(|limit| now < limit)
            && let Some(mut request) = call.invite.clone()
            && self.mend_invite(call_ref, &mut request, &response, flow)
        {
            // §22.2, §8.1.3.5: same Call-ID and From tag, CSeq one higher, a new branch.
            let (branch, flow) = (self.layer.new_branch(), flow_of(&self.calls, call_ref, flow));
            let client = self.send_invite(&branch, call_ref, request.clone(), flow, false, now);
            if let Some(call) = self.calls.get_mut(&call_ref) {
                if let Some(sent) = self.layer.client_mut(client) {
                    sent.pinned = call.pinned;
                    sent.not_after = call.not_after;
                }
                call.client = Some(client);
                call.state = State::Calling;
                call.early.clear();
                call.invite = Some(request);
            }
            return;
        }
        self.fail(call_ref, Failure::from_response(&response), now);
    }

    /// Changes an INVITE so that the reason of its refusal is gone: credentials for a challenge (§22.2), a longer
    /// interval for a 422 (RFC 4028 §7.3). `false`: the refusal stands.
    fn mend_invite(&mut self, call_ref: CallRef, request: &mut Request, response: &Response, flow: Flow) -> bool {
        match response.status {
            401 | 407 => self.prove(call_ref, request, response, flow),
            422 => {
                let Some(call) = self.calls.get_mut(&call_ref) else {
                    return false;
                };
                let cseq = request.cseq().map_or(1, |cseq| cseq.number).saturating_add(1);
                let mends = call.session.too_small(&response.headers);
                request.headers.remove(&HeaderName::SessionExpires);
                request.headers.remove(&HeaderName::MinSe);
                call.session.ask(&mut request.headers);
                request.headers.set(HeaderName::CSeq, &format!("{cseq} INVITE"));
                mends
            }
            _ => false,
        }
    }

    /// Puts credentials for the challenge on a request, with the next CSeq. `false`: there are none for it, or
    /// they were refused. They go to the address the call was sent to and to nobody else (SECURITY S7).
    pub(crate) fn prove(&mut self, call_ref: CallRef, request: &mut Request, response: &Response, flow: Flow) -> bool {
        let cnonce = self.layer.long_token();
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return false;
        };
        let Some(credentials) = &call.credentials else {
            return false;
        };
        if call.challenges >= MAX_CHALLENGES || flow.remote.ip() != call.flow.remote.ip() {
            return false;
        }
        let Some(cseq) = compose::prove(request, response, credentials, &cnonce) else {
            return false;
        };
        call.challenges += 1;
        // What was challenged within a dialog, early ones too, counts there.
        if let Some(dialog) = call.dialog_mut(&request.to_tag().unwrap_or_default()) {
            dialog.local_cseq = dialog.local_cseq.max(cseq);
        }
        true
    }

    /// The call was never up and is over. Reported once.
    pub(crate) fn fail(&mut self, call_ref: CallRef, failure: Failure, now: Instant) {
        if let Some(call) = self.forget(call_ref, now).filter(|call| !call.reported) {
            let failure = Failure { unheard: !call.heard, ..failure };
            self.layer.report(SipEvent::Failed { call: call_ref, failure });
        }
    }

    /// Whether a call of ours waits for the first word of the far end.
    pub(crate) fn is_call_unheard(&self, call_ref: CallRef) -> bool {
        self.calls.get(&call_ref).is_some_and(|call| call.state == State::Calling && !call.heard)
    }

    /// Leaves a call that nothing was heard of, for another target: its INVITE is not sent again. Should the far end wake
    /// up within 64 × T1, a provisional is answered by CANCEL and a 2xx by ACK and BYE; nothing is reported of it any more.
    pub(crate) fn abandon_call(&mut self, call_ref: CallRef, now: Instant) -> bool {
        if !self.is_call_unheard(call_ref) {
            return false;
        }
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return false;
        };
        call.state = State::Cancelling;
        call.farewell = Some(Farewell::by(EndedBy::Us));
        call.reported = true;
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Ring);
        if let Some(client) = call.client {
            self.layer.timers.cancel(Owner::Client(client), Timer::A);
            // Nor as a datagram, where a connection does not come about.
            if let Some(client) = self.layer.client_mut(client) {
                client.not_after = Some(now);
            }
        }
        true
    }

    /// A call that we gave up before it was answered is over.
    pub(crate) fn finish_cancelled(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        if call.ring_limit_passed {
            self.fail(call_ref, Failure::timed_out(Timer::Ring), now);
        } else {
            let farewell = call.farewell.clone().unwrap_or_else(|| Farewell::by(EndedBy::Us));
            self.finish(call_ref, farewell, now);
        }
    }

    /// The caller's own limit on ringing passed.
    pub(crate) fn ring_limit_passed(&mut self, call_ref: CallRef, now: Instant) {
        if let Some(call) = self.calls.get_mut(&call_ref)
            && matches!(call.state, State::Calling | State::Proceeding)
        {
            call.ring_limit_passed = true;
            self.cancel_call(call_ref, Farewell::by(EndedBy::Timer(Timer::Ring)), now);
        }
    }

    /// Wants out of a call of ours that is not answered yet.
    pub(crate) fn cancel_call(&mut self, call_ref: CallRef, farewell: Farewell, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let before = call.state;
        call.state = State::Cancelling;
        call.farewell = Some(farewell);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Ring);
        match before {
            State::Proceeding => self.send_cancel(call_ref, now),
            // Nothing came back: CANCEL waits for the first provisional and timer B ends the wait (§9.1), but
            // nobody has to wait with them for a far end that may not exist.
            State::Calling => self.report_early(call_ref),
            State::Cancelling | State::Offered | State::Answered | State::Up | State::Ending => {}
        }
    }

    fn report_early(&mut self, call_ref: CallRef) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        call.reported = true;
        let farewell = call.farewell.clone().unwrap_or_else(|| Farewell::by(EndedBy::Us));
        let event = if call.ring_limit_passed {
            SipEvent::Failed { call: call_ref, failure: Failure::timed_out(Timer::Ring) }
        } else {
            SipEvent::Ended { call: call_ref, by: farewell.by, reason: farewell.reason, q850: farewell.q850 }
        };
        self.layer.report(event);
    }

    fn send_cancel(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref).filter(|call| !call.cancel_sent) else {
            return;
        };
        let Some(client) = call.client else {
            return;
        };
        call.cancel_sent = true;
        let reason = call.farewell.as_ref().and_then(|farewell| farewell.reason.as_ref());
        let reason = reason.map(ToString::to_string);
        self.layer.cancel(client, reason.as_deref(), now);
        // §9.1: a far end of RFC 2543 may never answer the INVITE.
        let give_up = self.layer.config.timers.give_up();
        self.layer.timers.set(Owner::Call(call_ref), Timer::CancelWait, now + give_up);
    }

    /// The CANCEL brought nothing for 64 × T1.
    pub(crate) fn cancel_wait_passed(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        match call.state {
            State::Cancelling => {
                if let Some(client) = call.client {
                    self.layer.drop_client(client);
                }
                self.finish_cancelled(call_ref, now);
            }
            // The far end ended its side of the dialog and never answered the INVITE.
            State::Calling | State::Proceeding => {
                if let Some(client) = call.client {
                    self.layer.drop_client(client);
                }
                self.fail(call_ref, Failure::timed_out(Timer::CancelWait), now);
            }
            State::Offered | State::Answered | State::Up | State::Ending => {}
        }
    }
}

/// The flow a call's INVITE goes by: over a stream the connection the challenge came by.
fn flow_of(calls: &std::collections::BTreeMap<CallRef, Call>, call: CallRef, fallback: Flow) -> Flow {
    calls.get(&call).map_or(fallback, |call| call.flow)
}
