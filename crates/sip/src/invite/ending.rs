//! How calls end: hang-up in every state, BYE of both sides, and the one place that reports the end.

use std::time::Instant;

use crate::endpoint::layer::{Answer, Outcome, Owner, Purpose, ServerId, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, SipEvent};
use crate::error::Reason;
use crate::invite::{Call, Farewell, Offer, State};
use crate::message::{HeaderName, Method, Request};
use crate::timer::Timer;

impl Endpoint {
    /// Ends a call at our side's wish.
    pub(crate) fn end_call(&mut self, call_ref: CallRef, reason: Option<Reason>, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let farewell = Farewell { by: EndedBy::Us, reason: reason.clone(), q850: None };
        match call.state {
            State::Calling | State::Proceeding => self.cancel_call(call_ref, farewell, now),
            State::Offered => {
                let status = reason.as_ref().filter(|reason| reason.protocol == "SIP").and_then(|reason| reason.cause);
                // 480: nobody here to take it. A refusal by a person is `reject`.
                let status = status.filter(|status| (300..700).contains(status)).unwrap_or(480);
                self.send_rejection(call_ref, status, None, reason.as_ref(), now);
            }
            // §15: no BYE before the ACK; `handle_ack` or the end of its wait sends it.
            State::Answered => {
                call.farewell.get_or_insert(farewell);
            }
            State::Up => {
                call.farewell.get_or_insert(farewell);
                // Whoever asked for a transfer hears what came of it before he is let go.
                if !call.referral.is_telling() {
                    self.send_bye(call_ref, now);
                }
            }
            State::Cancelling | State::Ending => {}
        }
    }

    /// BYE with the farewell's reason. The call is over when its answer is in, or is given up.
    pub(crate) fn send_bye(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        call.state = State::Ending;
        let Some(dialog) = &mut call.dialog else {
            return self.finish(call_ref, Farewell::by(EndedBy::Us), now);
        };
        let mut bye = dialog.request(Method::Bye);
        let reason = call.farewell.as_ref().and_then(|farewell| farewell.reason.as_ref());
        if let Some(reason) = reason {
            bye.headers.push(HeaderName::Reason, &reason.to_string());
        }
        let hop = dialog.next_hop(&self.layer.config.locals);
        self.settle_offer(call_ref, now);
        self.settle_refer(call_ref, now);
        self.layer.timers.cancel_all(Owner::Call(call_ref));
        self.layer.request(bye, hop, User::Call(call_ref, Purpose::Bye), now);
    }

    /// Our BYE was answered, or nobody is there to answer it.
    pub(crate) fn handle_bye_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        if let Answer::Response(response) = &outcome.answer {
            if response.is_provisional() {
                return;
            }
            if matches!(response.status, 401 | 407)
                && let Some(challenged) = outcome.challenged
            {
                let (mut bye, hop) = *challenged;
                if self.prove(call_ref, &mut bye, response, outcome.flow) {
                    self.layer.request(bye, hop, User::Call(call_ref, Purpose::Bye), now);
                    return;
                }
            }
        }
        let farewell = self.calls.get(&call_ref).and_then(|call| call.farewell.clone());
        self.finish(call_ref, farewell.unwrap_or_else(|| Farewell::by(EndedBy::Us)), now);
    }

    /// BYE from the far end (§15.1.2).
    pub(crate) fn handle_bye(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        self.layer.respond_status(server, 200, "OK", now);
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        let theirs = Farewell {
            by: EndedBy::Peer,
            reason: Reason::first(&request.headers),
            q850: Reason::q850(&request.headers),
        };
        match call.state {
            // The far end ends a dialog we hold for early: its 2xx never came through, or it means the fork.
            // The INVITE should still get its final answer, but no longer than 64 × T1 from now.
            State::Calling | State::Proceeding | State::Cancelling => {
                self.early_dialog_ended(call_ref, request, now);
            }
            State::Offered => {
                if let Some(invite) = call.server {
                    self.layer.respond_status(invite, 487, "Request Terminated", now);
                }
                self.finish(call_ref, theirs, now);
            }
            State::Answered | State::Up => {
                let farewell = call.farewell.clone().unwrap_or(theirs);
                self.finish(call_ref, farewell, now);
            }
            // Both sides hang up at once; we were first as far as this side can know.
            State::Ending => {
                let farewell = call.farewell.clone().unwrap_or(theirs);
                self.finish(call_ref, farewell, now);
            }
        }
    }

    fn early_dialog_ended(&mut self, call_ref: CallRef, bye: &Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let tag = bye.from_tag().unwrap_or_default();
        call.early.retain(|early| early.dialog.remote_tag() != tag);
        if call.early.is_empty() {
            let at = now + self.layer.config.timers.give_up();
            self.layer.timers.set(Owner::Call(call_ref), Timer::CancelWait, at);
        }
    }

    /// The far end no longer knows the call: 481 or 408 within it (§12.2.1.2).
    pub(crate) fn dialog_lost(&mut self, call_ref: CallRef, by: EndedBy, now: Instant) {
        if let Some(call) = self.calls.get_mut(&call_ref)
            && call.state == State::Up
        {
            call.farewell.get_or_insert_with(|| Farewell::by(by));
            self.send_bye(call_ref, now);
        }
    }

    /// The path of an invitation from outside broke before it was answered.
    pub(crate) fn invitation_lost(&mut self, call_ref: CallRef, now: Instant) {
        if self.calls.get(&call_ref).is_some_and(|call| call.state == State::Offered) {
            self.finish(call_ref, Farewell::by(EndedBy::Peer), now);
        }
    }

    /// A call that was up, or that we gave up ourselves, is over. Reported once.
    pub(crate) fn finish(&mut self, call_ref: CallRef, farewell: Farewell, now: Instant) {
        if self.forget(call_ref, now).is_some_and(|call| !call.reported) {
            self.layer.report(SipEvent::Ended {
                call: call_ref,
                by: farewell.by,
                reason: farewell.reason,
                q850: farewell.q850,
            });
        }
    }

    /// Takes a call out of the tables with everything that hangs on it.
    pub(crate) fn forget(&mut self, call_ref: CallRef, now: Instant) -> Option<Call> {
        self.settle_offer(call_ref, now);
        self.settle_refer(call_ref, now);
        let call = self.calls.remove(&call_ref)?;
        self.dialogs.remove(&(call.call_id.clone(), call.local_tag.clone()));
        self.layer.timers.cancel_all(Owner::Call(call_ref));
        if let Some(client) = call.client {
            self.layer.abandon_client(client, now);
        }
        if let Some(server) = call.server
            && self.layer.is_server_pending(server)
        {
            self.layer.respond_status(server, 487, "Request Terminated", now);
        }
        Some(call)
    }

    /// Answers what the far end still waits for, and forgets our own offer (§15.1.2).
    fn settle_offer(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        call.unconfirmed = None;
        call.waiting = None;
        if let Some(update) = call.refreshing.take() {
            self.layer.drop_client(update);
        }
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Glare);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Reoffer);
        match std::mem::replace(&mut call.offer, Offer::Idle) {
            Offer::Theirs { server, .. } => {
                self.layer.respond_status(server, 487, "Request Terminated", now);
            }
            // A 2xx to a re-INVITE still wants its ACK; an UPDATE has nothing more to say.
            Offer::Ours { client, change } if change.method == Method::Update => self.layer.drop_client(client),
            Offer::Ours { client, .. } => self.layer.abandon_client(client, now),
            Offer::Idle => {}
        }
    }
}
