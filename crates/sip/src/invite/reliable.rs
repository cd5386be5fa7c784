//! Reliable provisional answers (RFC 3262): RSeq and PRACK in both directions.
//!
//! ```text
//! caller  ◄─ 183 RSeq 7 ─── PRACK RAck 7 ─► ◄─ 200 (PRACK)      a copy or a gap is not acknowledged (§4)
//! callee  ── 183 RSeq 7 ──► again at T1, 2·T1, 4·T1 …  ◄─ PRACK  none for 64×T1: 504 to the INVITE (§3)
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::dialog::Dialog;
use crate::endpoint::extensions::RELIABLE;
use crate::endpoint::layer::{Answer, Outcome, Owner, Purpose, ServerId, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Refusal, Reliable, SipEvent, Transmit, compose};
use crate::invite::{Call, Farewell, Offer, State};
use crate::message::{HeaderName, Method, Request, Response};
use crate::timer::Timer;
use crate::values::RAck;

/// Reliable answers acknowledged in one call. Ringing and queue news come a few a minute; a far end that numbers on and on
/// would have us send a PRACK for each.
pub(crate) const MAX_PRACKS: u16 = 100;
/// Provisional answers that wait for the PRACK of the one before.
const MAX_QUEUED: usize = 4;

/// An early dialog of a call of ours.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    pub(crate) dialog: Dialog,
    /// RSeq of the last answer taken in (§4).
    rseq: Option<u32>,
    /// The session answer, where it came reliably: with it, offer and answer are settled in this fork (§5).
    pub(crate) answer: Option<Vec<u8>>,
}

impl Early {
    pub(crate) fn new(dialog: Dialog) -> Self {
        Self { dialog, rseq: None, answer: None }
    }
}

/// The description and the headers of a 2xx.
pub(crate) type HeldAnswer = (Vec<u8>, Vec<(String, String)>);

/// The callee's side of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Provisional {
    caller: Caller,
    /// The caller left the offer to us (RFC 3261 §13.2.1).
    offerless: bool,
    /// RSeq of the next one; 0 before the first.
    rseq: u32,
    unacked: Option<Unacked>,
    /// What is to follow once the PRACK is in.
    queue: VecDeque<(u16, Option<Vec<u8>>)>,
    /// The application's answer, which may not overtake an unacknowledged description (§3).
    answer: Option<HeldAnswer>,
    /// Offer and answer have met before the 2xx.
    pub(crate) agreed: bool,
}

/// What a caller says of 100rel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Caller {
    #[default]
    Unable,
    Able,
    Insists,
}

/// A reliable answer without its PRACK.
#[derive(Clone, Debug)]
struct Unacked {
    rseq: u32,
    cseq: u32,
    sent: Transmit,
    gap: Duration,
    has_body: bool,
}

impl Provisional {
    /// As a first INVITE asks for it.
    pub(crate) fn of_invite(invite: &Request, rule: Reliable) -> Self {
        let caller = if rule == Reliable::Off {
            Caller::Unable
        } else if invite.headers.has_token(&HeaderName::Require, RELIABLE) {
            Caller::Insists
        } else if invite.headers.has_token(&HeaderName::Supported, RELIABLE) {
            Caller::Able
        } else {
            Caller::Unable
        };
        Self { caller, offerless: invite.body.is_empty(), ..Self::default() }
    }

    /// Whether the caller can do what our rule insists on.
    pub(crate) fn is_able(&self) -> bool {
        self.caller != Caller::Unable
    }

    /// Whether the next answer goes reliably: always where one side insists (§3), else where it describes a session,
    /// which is what must not get lost.
    fn wants(&self, rule: Reliable, has_body: bool) -> bool {
        match (self.caller, rule) {
            (Caller::Unable, _) | (_, Reliable::Off) => false,
            (Caller::Insists, _) | (Caller::Able, Reliable::Required) => true,
            (Caller::Able, Reliable::Supported) => has_body,
        }
    }

    /// Our own offer went out in an answer whose PRACK, with theirs, is not in.
    pub(crate) fn is_offering(&self) -> bool {
        self.offerless && !self.agreed && self.unacked.as_ref().is_some_and(|unacked| unacked.has_body)
    }
}

impl Endpoint {
    // The caller's side.

    /// A 101 to 199 came. `false`: a copy, or one whose predecessor is missing, and nobody hears of it (§4).
    pub(crate) fn take_provisional(&mut self, call_ref: CallRef, response: &Response, now: Instant) -> bool {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return false;
        };
        let offered = call.invite.as_ref().is_some_and(|invite| !invite.body.is_empty());
        let reliable = response.headers.has_token(&HeaderName::Require, RELIABLE);
        let rseq = response.headers.number::<u32>(&HeaderName::RSeq).filter(|rseq| *rseq > 0);
        let (true, Some(rseq), Ok(cseq)) = (reliable, rseq, response.cseq()) else {
            return true;
        };
        if call.extensions.reliable == Reliable::Off {
            return true;
        }
        let tag = response.to_tag().unwrap_or_default();
        let Some(early) = call.early.iter_mut().find(|early| early.dialog.remote_tag() == tag) else {
            return false;
        };
        // §4: each exactly one above the one before.
        let follows = early.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if !follows || call.pracks >= MAX_PRACKS {
            return false;
        }
        call.pracks += 1;
        early.rseq = Some(rseq);
        if offered && early.answer.is_none() {
            early.answer = compose::body_of(&response.body);
        }
        let mut prack = early.dialog.request(Method::Prack);
        prack.headers.push(HeaderName::RAck, &RAck { rseq, cseq }.to_string());
        let hop = early.dialog.next_hop(&self.layer.config.locals);
        self.layer.request(prack, hop, User::Call(call_ref, Purpose::Prack), now);
        true
    }

    /// A far end that does not take our PRACK gives its INVITE up by itself; only a challenge is answered.
    pub(crate) fn handle_prack_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        if let (Answer::Response(response), Some(challenged)) = (&outcome.answer, outcome.challenged) {
            let (mut prack, hop) = *challenged;
            if self.prove(call_ref, &mut prack, response, outcome.flow) {
                self.layer.request(prack, hop, User::Call(call_ref, Purpose::Prack), now);
            }
        }
    }

    // The callee's side.

    /// 101 to 199 as the application wants it: reliably, plainly, later or, where it would break a rule, not at all.
    pub(crate) fn progress(&mut self, call_ref: CallRef, status: u16, body: Option<Vec<u8>>, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref).filter(|call| call.state == State::Offered) else {
            return;
        };
        let provisional = &mut call.provisional;
        if !provisional.wants(call.extensions.reliable, body.is_some()) {
            return self.send_progress(call_ref, status, body, false, now);
        }
        if provisional.offerless && provisional.rseq == 0 && body.is_none() {
            // RFC 3261 §13.2.1: the first reliable answer must bring the offer. Without one, only a plain answer can
            // go, and none at all to a caller who insists.
            if provisional.caller == Caller::Able {
                self.send_progress(call_ref, status, None, false, now);
            }
            return;
        }
        if provisional.unacked.is_some() {
            // §3: the second waits for the PRACK of the first, so that the caller knows where to begin.
            if provisional.queue.len() < MAX_QUEUED {
                provisional.queue.push_back((status, body));
            }
            return;
        }
        self.send_progress(call_ref, status, body, true, now);
    }

    /// The number of the next reliable answer: the first by chance between 1 and 2^31 − 1, then one more each (§3).
    pub(crate) fn next_rseq(&mut self, call_ref: CallRef) -> u32 {
        let first = self.layer.rng.random_range(1..1 << 31);
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return first;
        };
        call.provisional.rseq = if call.provisional.rseq == 0 { first } else { call.provisional.rseq + 1 };
        call.provisional.rseq
    }

    /// A reliable answer has gone out: it is sent again until its PRACK.
    pub(crate) fn await_prack(
        &mut self,
        call_ref: CallRef,
        cseq: u32,
        sent: Transmit,
        body: Option<&[u8]>,
        now: Instant,
    ) {
        let timers = self.layer.config.timers;
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        if let Some(body) = body {
            call.local_sdp = body.to_vec();
        }
        let (rseq, has_body) = (call.provisional.rseq, body.is_some());
        call.provisional.unacked = Some(Unacked { rseq, cseq, sent, gap: timers.t1, has_body });
        let owner = Owner::Call(call_ref);
        self.layer.timers.set(owner, Timer::Provisional, now + timers.t1);
        self.layer.timers.set(owner, Timer::PrackWait, now + timers.give_up());
    }

    /// §3: T1, then doubling without an upper limit, over a stream too.
    pub(crate) fn repeat_provisional(&mut self, call_ref: CallRef, now: Instant) {
        let call = self.calls.get_mut(&call_ref);
        let Some(unacked) = call.and_then(|call| call.provisional.unacked.as_mut()) else {
            return;
        };
        unacked.gap *= 2;
        let (sent, at) = (unacked.sent.clone(), now + unacked.gap);
        self.layer.send(sent.flow, sent.bytes);
        self.layer.timers.set(Owner::Call(call_ref), Timer::Provisional, at);
    }

    /// No PRACK for 64 × T1: the INVITE is refused (§3: with a 5xx).
    pub(crate) fn prack_wait_passed(&mut self, call_ref: CallRef, now: Instant) {
        let Some(server) = self
            .calls
            .get_mut(&call_ref)
            .filter(|call| call.state == State::Offered)
            .and_then(|call| call.server.take())
        else {
            return;
        };
        self.layer.respond_status(server, 504, compose::phrase(504), now);
        self.finish(call_ref, Farewell::by(EndedBy::Timer(Timer::PrackWait)), now);
    }

    fn silence_provisional(&mut self, call_ref: CallRef) {
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::Provisional);
        self.layer.timers.cancel(Owner::Call(call_ref), Timer::PrackWait);
    }

    /// The application answers. `None`: later, when the description that is on its way has its PRACK (§3).
    pub(crate) fn may_answer(
        &mut self,
        call_ref: CallRef,
        body: Vec<u8>,
        headers: Vec<(String, String)>,
    ) -> Option<HeldAnswer> {
        let call = self.calls.get_mut(&call_ref)?;
        let provisional = &mut call.provisional;
        if provisional.unacked.as_ref().is_some_and(|unacked| unacked.has_body) {
            provisional.answer.get_or_insert((body, headers));
            return None;
        }
        provisional.queue.clear();
        // RFC 6337 §2.1: settled already, the description is not said once more.
        let body = if provisional.agreed { Vec::new() } else { body };
        // A PRACK on its way is still taken (§3), but nothing is sent again.
        self.silence_provisional(call_ref);
        Some((body, headers))
    }

    /// PRACK of the far end (§3, §5).
    pub(crate) fn handle_prack(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let flow = call.flow;
        let Some(Ok(rack)) = request.headers.get(&HeaderName::RAck).map(str::parse::<RAck>) else {
            self.layer.respond_status(server, 400, "Bad Request: RAck", now);
            return self.layer.refuse(Refusal::NotAcceptable(400), flow);
        };
        let meant = |unacked: &mut Unacked| {
            unacked.rseq == rack.rseq && unacked.cseq == rack.cseq.number && rack.cseq.method == Method::Invite
        };
        let Some(unacked) = call.provisional.unacked.take_if(meant) else {
            // §3: it acknowledges nothing that waits.
            self.layer.respond_status(server, 481, compose::phrase(481), now);
            return self.layer.refuse(Refusal::StrayPrack, flow);
        };
        let was_agreed = call.provisional.agreed;
        let offered = call.provisional.offerless && unacked.has_body && !was_agreed;
        let body = compose::body_of(&request.body);
        call.provisional.agreed |= unacked.has_body && (!offered || body.is_some());
        let agreed = call.provisional.agreed;
        self.silence_provisional(call_ref);
        match body {
            None => self.layer.respond_status(server, 200, "OK", now),
            Some(body) if offered => {
                self.layer.respond_status(server, 200, "OK", now);
                self.layer.report(SipEvent::EarlyAnswered { call: call_ref, body });
            }
            // §5: with the first offer settled, the PRACK may bring another; its answer is in the 2xx to the PRACK.
            Some(_) if agreed => self.handle_reoffer(call_ref, server, request, now),
            Some(_) => self.layer.respond_status(server, 488, compose::phrase(488), now),
        }
        self.after_prack(call_ref, now);
    }

    /// What waited for the PRACK: the 2xx, else the next provisional answer.
    fn after_prack(&mut self, call_ref: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        // §5: a 2xx to the INVITE may not overtake the answer to an offer that came by PRACK.
        if matches!(call.offer, Offer::Theirs { .. }) {
            return;
        }
        if let Some((body, headers)) = call.provisional.answer.take() {
            self.send_answer(call_ref, body, headers, now);
        } else if let Some((status, body)) = call.provisional.queue.pop_front() {
            self.progress(call_ref, status, body, now);
        }
    }

    /// An offer that came by PRACK has its answer.
    pub(crate) fn prack_answered(&mut self, call_ref: CallRef, now: Instant) {
        if self.calls.get(&call_ref).is_some_and(|call| call.state == State::Offered) {
            self.after_prack(call_ref, now);
        }
    }
}

impl Call {
    /// Offer and answer of the first INVITE have met, in the dialog with this tag, before its 2xx.
    pub(crate) fn is_agreed_early(&self, tag: &str) -> bool {
        match self.state {
            State::Offered => self.provisional.agreed,
            State::Calling | State::Proceeding => {
                self.early.iter().any(|early| early.dialog.remote_tag() == tag && early.answer.is_some())
            }
            State::Cancelling | State::Answered | State::Up | State::Ending => false,
        }
    }
}
