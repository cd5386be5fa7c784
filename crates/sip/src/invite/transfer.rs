//! Transfers that the far end asks for: REFER within a call (RFC 3515, RFC 5589, RFC 7647), and an INVITE that takes
//! the place of a call of ours (RFC 3891).
//!
//! ```text
//! far end ── REFER ──► Asked ─ answer_refer(202) ─► Going ◄─ notify_refer(180) ┐ one NOTIFY at a time;
//!                        │ 300 and above              ├───────────────────────┘ of several the newest waits
//!                        ▼                            ▼ notify_refer(200, 486…), or the NOTIFY is refused
//!                       None ◄────────────────────── None
//! ```
//! The application decides and calls; nothing here calls anybody.

use std::time::Instant;

use crate::endpoint::layer::{Answer, ClientId, Outcome, Purpose, ServerId, User};
use crate::endpoint::{CallRef, Endpoint, Refusal, SipEvent, compose};
use crate::invite::State;
use crate::message::{HeaderName, Method, Request};
use crate::values::{Refer, Replaces};

/// How long the far end may believe in a transfer of which it hears nothing more.
const EXPIRES_S: u32 = 180;

/// What a REFER of the far end has come to. There is at most one at a time.
#[derive(Clone, Debug, Default)]
pub(crate) enum Referral {
    /// None.
    #[default]
    None,
    /// It waits for the application.
    Asked { server: ServerId, number: u32 },
    /// It was taken: the far end is told how it goes.
    Going { number: u32, notify: Option<ClientId>, told: u16, next: Option<u16> },
}

impl Referral {
    /// The last word on it is on its way.
    pub(crate) fn is_telling(&self) -> bool {
        let is_final = |status: u16| status >= 200;
        matches!(self, Self::Going { told, next, notify: Some(_), .. } if is_final(*told) || next.is_some_and(is_final))
    }
}

impl Endpoint {
    /// REFER within a call.
    pub(crate) fn handle_refer(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let flow = call.flow;
        let refer = match Refer::of(&request.headers) {
            Ok(refer) => refer,
            Err(error) => {
                self.layer.respond_status(server, 400, &format!("Bad Request: {error}"), now);
                return self.layer.refuse(Refusal::NotAcceptable(400), flow);
            }
        };
        // Who is being let go, is not talking yet or has asked already, asks in vain.
        if call.state != State::Up || call.farewell.is_some() || !matches!(call.referral, Referral::None) {
            self.layer.respond_status(server, 491, compose::phrase(491), now);
            return self.layer.refuse(Refusal::OfferPending, flow);
        }
        call.referral = Referral::Asked { server, number: request.cseq().map_or(0, |cseq| cseq.number) };
        self.layer.report(SipEvent::Referred { call: call_ref, refer: Box::new(refer) });
    }

    /// The application takes a REFER or not.
    pub(crate) fn decide_refer(&mut self, call_ref: CallRef, status: u16, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Referral::Asked { server, number } = call.referral else {
            return;
        };
        call.referral = Referral::None;
        let Some(request) = self.layer.server(server).map(|server| server.request.clone()) else {
            return;
        };
        if status >= 300 {
            return self.layer.respond_status(server, status, compose::phrase(status), now);
        }
        let mut response = request.reply(202, compose::phrase(202));
        let contact = call.dialog.as_ref().map(|dialog| dialog.contact.clone());
        response.headers.push(HeaderName::Contact, &contact.unwrap_or_default());
        // RFC 4488 §4: it does not want to be told.
        let silent = request
            .headers
            .get_str("Refer-Sub")
            .is_some_and(|value| value.split(';').next().is_some_and(|word| word.trim().eq_ignore_ascii_case("false")));
        if silent {
            response.headers.push(HeaderName::parse("Refer-Sub"), "false");
        } else {
            call.referral = Referral::Going { number, notify: None, told: 0, next: None };
        }
        self.layer.respond(server, response, now);
        // RFC 3515 §2.4.4: at once.
        self.report_referral(call_ref, 100, now);
    }

    /// How it goes, told now or once the NOTIFY before it is answered.
    pub(crate) fn report_referral(&mut self, call_ref: CallRef, status: u16, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Referral::Going { number, notify, told, next } = &mut call.referral else {
            return;
        };
        // Nothing follows the last word, and nothing is said twice.
        let last = next.unwrap_or(*told);
        if last >= 200 || last == status {
            return;
        }
        if notify.is_some() {
            *next = Some(status);
            return;
        }
        let number = *number;
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut request = dialog.request(Method::Notify);
        let headers = &mut request.headers;
        headers.push(HeaderName::Contact, &dialog.contact);
        // RFC 3515 §2.4.6: a second REFER of a dialog must be told apart; the first may be.
        headers.push(HeaderName::Event, &format!("refer;id={number}"));
        let state = if status >= 200 { "terminated;reason=noresource" } else { &format!("active;expires={EXPIRES_S}") };
        headers.push(HeaderName::SubscriptionState, state);
        headers.push(HeaderName::ContentType, "message/sipfrag;version=2.0");
        request.body = format!("SIP/2.0 {status} {}\r\n", compose::phrase(status)).into_bytes();
        self.put_notify(call_ref, request, status, now);
    }

    fn put_notify(&mut self, call_ref: CallRef, request: Request, status: u16, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(hop) = call.dialog.as_ref().map(|dialog| dialog.next_hop(&self.layer.config.locals)) else {
            return;
        };
        let client = self.layer.request(request, hop, User::Call(call_ref, Purpose::Notify), now);
        if let Referral::Going { notify, told, .. } = &mut call.referral {
            (*notify, *told) = (Some(client), status);
        }
    }

    /// A NOTIFY of ours was answered or given up. Its failure ends the telling and nothing else (RFC 5057 §5.1).
    pub(crate) fn handle_notify_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        if matches!(&outcome.answer, Answer::Response(response) if response.is_provisional()) {
            return;
        }
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let (said, waiting) = match &mut call.referral {
            Referral::Going { notify, told, next, .. } if *notify == Some(outcome.client) => {
                *notify = None;
                (*told, next.take())
            }
            Referral::Going { .. } | Referral::Asked { .. } | Referral::None => return,
        };
        if let (Answer::Response(response), Some(challenged)) = (&outcome.answer, outcome.challenged) {
            let (mut request, _) = *challenged;
            if self.prove(call_ref, &mut request, response, outcome.flow) {
                self.put_notify(call_ref, request, said, now);
                if let Some(Referral::Going { next, .. }) = self.referral_of(call_ref) {
                    *next = waiting;
                }
                return;
            }
        }
        let heard = matches!(&outcome.answer, Answer::Response(response) if response.is_success());
        match waiting {
            Some(status) if heard => self.report_referral(call_ref, status, now),
            Some(_) | None => {
                if (said >= 200 || !heard)
                    && let Some(referral) = self.referral_of(call_ref)
                {
                    *referral = Referral::None;
                }
            }
        }
        self.let_go_if_told(call_ref, now);
    }

    /// A call that was to be ended once its REFER had its last word.
    fn let_go_if_told(&mut self, call_ref: CallRef, now: Instant) {
        let waits = self
            .calls
            .get(&call_ref)
            .is_some_and(|call| call.state == State::Up && call.farewell.is_some() && !call.referral.is_telling());
        if waits {
            self.send_bye(call_ref, now);
        }
    }

    fn referral_of(&mut self, call_ref: CallRef) -> Option<&mut Referral> {
        self.calls.get_mut(&call_ref).map(|call| &mut call.referral)
    }

    /// The call ends: a REFER that nobody has looked at is refused, and nothing more is told.
    pub(crate) fn settle_refer(&mut self, call_ref: CallRef, now: Instant) {
        match self.referral_of(call_ref).map(std::mem::take) {
            Some(Referral::Asked { server, .. }) => {
                self.layer.respond_status(server, 481, compose::phrase(481), now);
            }
            Some(Referral::Going { notify: Some(notify), .. }) => self.layer.drop_client(notify),
            Some(Referral::Going { notify: None, .. } | Referral::None) | None => {}
        }
    }

    // Replaces.

    /// The call of ours by its Call-ID, our tag and the far end's.
    pub(crate) fn call_replaced(&self, replaces: &Replaces) -> Option<CallRef> {
        let key = (replaces.call_id.clone(), replaces.to_tag.clone());
        let call_ref = *self.dialogs.get(&key)?;
        self.calls.get(&call_ref)?.has_remote_tag(&replaces.from_tag).then_some(call_ref)
    }

    /// Whose place an INVITE wants to take (RFC 3891 §3), refused where there is nobody to be replaced.
    pub(crate) fn check_replaces(
        &mut self,
        server: ServerId,
        request: &Request,
        now: Instant,
    ) -> Result<Option<CallRef>, Refusal> {
        let (status, why) = match Replaces::of(&request.headers) {
            Ok(None) => return Ok(None),
            Ok(Some(replaces)) => match self.call_replaced(&replaces) {
                None => (481, Refusal::NoDialog),
                Some(call_ref) => match self.calls.get(&call_ref).map(|call| (call.state, call.farewell.is_some())) {
                    Some((State::Up, true) | (State::Ending | State::Cancelling, _)) => (603, Refusal::NoDialog),
                    Some((State::Up, false)) if replaces.early_only => (486, Refusal::OfferPending),
                    Some((State::Up, false)) => return Ok(Some(call_ref)),
                    // Of those that are not answered only ours would do, and taking a ringing phone's call is not offered.
                    Some((State::Calling | State::Proceeding | State::Offered | State::Answered, _)) | None => {
                        (481, Refusal::NoDialog)
                    }
                },
            },
            Err(_) => (400, Refusal::NotAcceptable(400)),
        };
        self.layer.respond_status(server, status, compose::phrase(status), now);
        Err(why)
    }
}
