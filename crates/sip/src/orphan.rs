//! Orphans: calls whose own process is dead, ended from another one, and what is then certain about them.
//!
//! ```text
//! CANCEL ─2xx─► a moment ─► BYE in each dialog that was heard of ─481─► Unanswered
//!    │  └─ INVITE ─487─► Unanswered;  ─3xx-6xx─► Refused;  ─2xx─► ACK, BYE: Answered
//!    ├─481─► BYE in each ─481─► Gone                              └─2xx─► Answered
//!    │                     └─2xx─► Ended
//!    └─nothing─► BYE in each ─2xx─► Ended
//! whatever else, or nothing within six seconds ─► Unknown
//! ```
//! A CANCEL is matched by the branch and sent-by of its INVITE's Via (RFC 3261 §9.1, §17.2.3), so it must be written as
//! the dead process would have; its answer comes back to whoever sent it (RFC 3581). The INVITE's own answer goes to the
//! dead process's address and is heard only by a process that has this address now. Any other learns it from a BYE:
//! once a CANCEL was taken, a dialog is still there only if the call had been answered before.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::dialog::Dialog;
use crate::endpoint::layer::{Answer, ClientId, Errand, Outcome, Owner, User, cancel_of};
use crate::endpoint::{CallRef, Endpoint, Flow, Invite, OrphanRef, SipEvent, Transport};
use crate::error::{Failure, SipError};
use crate::invite::State;
use crate::message::{HeaderName, Message, Method, Request, Response};
use crate::timer::Timer;
use crate::wire::{Limits, parse_datagram};

/// Requests a call may still send after it was described.
const SPARE_CSEQS: u32 = 10_000;
/// All that can be learned is learned within this time.
const LIMIT: Duration = Duration::from_secs(6);
/// From the answer to a CANCEL, which each hop gives by itself, to the end of the call at the last one.
const PAUSE: Duration = Duration::from_millis(700);
/// A CANCEL without an answer for so long, sent three times by then, is one that nobody knows what to do with.
const CANCEL_WAIT: Duration = Duration::from_millis(2_200);
/// Dialogs of one forked INVITE that are written down.
const DIALOGS_MAX: usize = 4;
/// Branch of a BYE that is only written down.
const UNSENT: &str = "z9hG4bKunsent";
/// A description longer than this is not ours.
const TEXT_MAX: usize = 32_768;

/// What another process needs to end a call of ours, should this one die.
///
/// It is kept as text: for each request that ends the call a line with transport and next hop, and the request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Orphan {
    requests: Vec<(Transport, SocketAddr, Request)>,
}

impl Orphan {
    /// The far end has said that it rings, or has answered.
    pub fn was_heard(&self) -> bool {
        self.requests.iter().any(|(_, _, request)| request.method == Method::Bye)
    }
}

/// A text that describes no orphan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadOrphan;

impl fmt::Display for BadOrphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the description of a call")
    }
}

impl std::error::Error for BadOrphan {}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (transport, hop, request) in &self.requests {
            write!(f, "{transport} {hop}\r\n{}", String::from_utf8_lossy(&request.encode()))?;
        }
        Ok(())
    }
}

impl FromStr for Orphan {
    type Err = BadOrphan;

    fn from_str(text: &str) -> Result<Self, BadOrphan> {
        if text.len() > TEXT_MAX {
            return Err(BadOrphan);
        }
        let parts = text.split_inclusive("\r\n\r\n");
        let requests: Vec<_> = parts.map(read_part).collect::<Option<_>>().ok_or(BadOrphan)?;
        let in_order = requests.iter().enumerate().all(|(at, (_, _, request))| {
            let is_cancel = request.method == Method::Cancel && at == 0 && request.branch().is_some();
            is_cancel || request.method == Method::Bye
        });
        if requests.is_empty() || requests.len() > DIALOGS_MAX + 1 || !in_order {
            return Err(BadOrphan);
        }
        Ok(Self { requests })
    }
}

fn read_part(part: &str) -> Option<(Transport, SocketAddr, Request)> {
    let (hop, message) = part.split_once("\r\n")?;
    let (transport, address) = hop.split_once(' ')?;
    let transport = Transport::ALL.into_iter().find(|known| known.as_str() == transport)?;
    match parse_datagram(message.as_bytes(), &Limits::default()) {
        Ok(Message::Request(request)) => Some((transport, address.parse().ok()?, request)),
        Ok(Message::Response(_)) | Err(_) => None,
    }
}

/// What became of an orphan.
#[derive(Clone, Debug, PartialEq)]
pub enum OrphanEnd {
    /// It was still ringing, and does not any more: nobody had answered.
    Unanswered,
    /// It had been refused.
    Refused(Failure),
    /// Somebody had answered; now it is ended there.
    Answered,
    /// It was there and is ended now: answered as a rule, for nobody knew its INVITE any more; at worst still ringing.
    Ended,
    /// The far end knows nothing of it. It was never answered, unless so long ago that the far end gave it up: an answer
    /// without an ACK lives for 64 × T1, 32 s (§13.3.1.4).
    Gone,
    /// Nobody says.
    Unknown,
}

/// An orphan that is being ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Where its INVITE's answers are listened for.
    invite: Option<ClientId>,
    /// To follow the CANCEL.
    byes: Vec<(Flow, Request)>,
    /// BYEs without an answer.
    open: usize,
    /// What the CANCEL was answered; a call that was up has none.
    cancel: CancelAnswer,
    /// A BYE found a dialog.
    found: bool,
    /// A BYE was answered so that it proves nothing.
    unclear: bool,
    /// There were dialogs to ask in.
    asked: bool,
    /// Then it has taken long enough.
    until: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CancelAnswer {
    /// None was needed.
    NotSent,
    Waiting,
    Taken,
    Unmatched,
}

impl Endpoint {
    pub(crate) fn plan_call(&mut self, invite: &mut Invite) -> Result<Orphan, SipError> {
        let flow = self.layer.flow_to(&invite.target)?;
        let identity = self.new_identity();
        if invite.call_id.is_none() {
            invite.call_id = Some(self.layer.long_token());
        }
        let mut request = self.first_invite(invite, &identity.tag, flow)?;
        let via = self.layer.via(flow, &identity.branch);
        request.headers.push_front(HeaderName::Via, &via.to_string());
        invite.identity = Some(identity);
        Ok(Orphan { requests: vec![(flow.transport, flow.remote, cancel_of(&request))] })
    }

    pub(crate) fn orphan_of(&self, call: CallRef) -> Option<Orphan> {
        let call = self.calls.get(&call)?;
        let bye = |dialog: &Dialog| {
            let hop = dialog.next_hop(&self.layer.config.locals);
            let mut dialog = dialog.clone();
            // Refreshes and the like may have used up numbers since; an order has gaps, but no way back (§12.2.2).
            dialog.local_cseq = dialog.local_cseq.saturating_add(SPARE_CSEQS);
            let mut bye = dialog.request(Method::Bye);
            // No message is without a Via; whoever sends it writes his own.
            bye.headers.push_front(HeaderName::Via, &self.layer.via(hop, UNSENT).to_string());
            (hop.transport, hop.remote, bye)
        };
        let requests = match call.state {
            State::Calling | State::Proceeding | State::Cancelling => {
                let client = self.layer.client(call.client?)?;
                let cancel = (client.flow.transport, client.flow.remote, cancel_of(&client.request));
                std::iter::once(cancel)
                    .chain(call.early.iter().map(|early| &early.dialog).take(DIALOGS_MAX).map(bye))
                    .collect()
            }
            State::Up | State::Answered => call.dialog.iter().map(bye).collect(),
            State::Offered | State::Ending => Vec::new(),
        };
        (!requests.is_empty()).then_some(Orphan { requests })
    }

    pub(crate) fn start_ending(&mut self, orphan: Orphan, now: Instant) -> Result<OrphanRef, SipError> {
        if self.layer.is_full() {
            return Err(SipError::TooManyTransactions);
        }
        let mut byes = Vec::new();
        let mut cancel = None;
        for (transport, remote, request) in orphan.requests {
            let (flow, mut request) = (self.flow_towards(transport, remote)?, request);
            if request.method == Method::Cancel {
                cancel = Some((flow, request));
            } else {
                request.headers.remove(&HeaderName::Via);
                byes.push((flow, request));
            }
        }
        let orphan = OrphanRef(self.layer.next_id());
        let asked = !byes.is_empty();
        let state = if cancel.is_some() { CancelAnswer::Waiting } else { CancelAnswer::NotSent };
        let (found, unclear, until) = (false, false, now + LIMIT);
        self.orphans
            .insert(orphan, Ending { invite: None, byes, open: 0, cancel: state, found, unclear, asked, until });
        let at = if asked { now + CANCEL_WAIT } else { until };
        self.layer.timers.set(Owner::Orphan(orphan), Timer::Orphan, at);
        match cancel {
            Some((flow, cancel)) => self.cancel_orphan(orphan, flow, cancel, now),
            None => self.bye_orphan(orphan, now),
        }
        Ok(orphan)
    }

    fn flow_towards(&self, transport: Transport, remote: SocketAddr) -> Result<Flow, SipError> {
        let mut locals = self.layer.config.locals.iter();
        let faces = locals.find(|local| local.transport == transport && local.bound.is_ipv4() == remote.is_ipv4());
        let local = faces.ok_or(SipError::NoSuchLocal)?.bound;
        Ok(Flow { transport, local, remote })
    }

    fn cancel_orphan(&mut self, orphan: OrphanRef, flow: Flow, mut cancel: Request, now: Instant) {
        let branch = cancel.branch().unwrap_or_default();
        let mut invite = cancel.clone();
        invite.method = Method::Invite;
        let number = cancel.cseq().map_or(1, |cseq| cseq.number);
        invite.headers.set(HeaderName::CSeq, &format!("{number} INVITE"));
        let invite = self.layer.adopt_invite(invite, flow, User::Orphan(orphan, Errand::Invite), now);
        if let Some(ending) = self.orphans.get_mut(&orphan) {
            ending.invite = Some(invite);
        }
        cancel.headers.push(HeaderName::UserAgent, &self.layer.config.product);
        self.layer.start_client(cancel, &branch, flow, User::Orphan(orphan, Errand::Cancel), now);
    }

    /// A BYE in each dialog that was heard of. Without any, only the INVITE's own answer can still say something.
    fn bye_orphan(&mut self, orphan: OrphanRef, now: Instant) {
        let Some(ending) = self.orphans.get_mut(&orphan) else {
            return;
        };
        let byes = std::mem::take(&mut ending.byes);
        ending.open = byes.len();
        for (flow, bye) in byes {
            self.layer.request(bye, flow, User::Orphan(orphan, Errand::Bye), now);
        }
    }

    pub(crate) fn handle_orphan_outcome(&mut self, orphan: OrphanRef, errand: Errand, outcome: Outcome, now: Instant) {
        let (client, flow) = (outcome.client, outcome.flow);
        let response = match outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => Some(response),
            Answer::TimedOut(_) | Answer::Broken => None,
        };
        match (errand, response) {
            (Errand::Invite, Some(response)) if response.is_success() => {
                self.end_answered(orphan, client, &response, flow, now);
            }
            (Errand::Invite, Some(response)) if response.status == 487 => {
                self.orphan_over(orphan, OrphanEnd::Unanswered, now);
            }
            (Errand::Invite, Some(response)) => {
                self.orphan_over(orphan, OrphanEnd::Refused(Failure::from_response(&response)), now);
            }
            // Whoever waits for it waits for the CANCEL too, and not as long as this.
            (Errand::Invite, None) => {}
            (Errand::Cancel, response) => self.orphan_cancelled(orphan, response.as_ref(), now),
            (Errand::Bye, response) => self.orphan_told(orphan, response.as_ref(), now),
        }
    }

    fn orphan_cancelled(&mut self, orphan: OrphanRef, response: Option<&Response>, now: Instant) {
        let Some(ending) = self.orphans.get_mut(&orphan) else {
            return;
        };
        match response.map(|response| response.status) {
            Some(200..=299) => {
                ending.cancel = CancelAnswer::Taken;
                if !ending.byes.is_empty() {
                    let at = ending.until.min(now + PAUSE);
                    self.layer.timers.set(Owner::Orphan(orphan), Timer::Orphan, at);
                }
            }
            Some(481) if ending.asked => {
                ending.cancel = CancelAnswer::Unmatched;
                if !ending.byes.is_empty() {
                    self.layer.timers.set(Owner::Orphan(orphan), Timer::Orphan, ending.until);
                    self.bye_orphan(orphan, now);
                }
            }
            Some(_) | None => self.orphan_over(orphan, OrphanEnd::Unknown, now),
        }
    }

    /// A BYE is answered.
    fn orphan_told(&mut self, orphan: OrphanRef, response: Option<&Response>, now: Instant) {
        let Some(ending) = self.orphans.get_mut(&orphan) else {
            return;
        };
        ending.open = ending.open.saturating_sub(1);
        match response.map(|response| response.status) {
            Some(200..=299) => ending.found = true,
            Some(481) => {}
            Some(_) | None => ending.unclear = true,
        }
        if ending.open > 0 {
            return;
        }
        let end = match (ending.cancel, ending.found, ending.unclear) {
            // It was up; what remains of it is not the question.
            (CancelAnswer::NotSent, _, _) | (CancelAnswer::Taken, true, _) => OrphanEnd::Answered,
            (CancelAnswer::Taken, false, false) => OrphanEnd::Unanswered,
            (CancelAnswer::Unmatched, false, false) => OrphanEnd::Gone,
            (CancelAnswer::Unmatched | CancelAnswer::Waiting, true, _) => OrphanEnd::Ended,
            (CancelAnswer::Unmatched | CancelAnswer::Taken | CancelAnswer::Waiting, false, _) => OrphanEnd::Unknown,
        };
        self.orphan_over(orphan, end, now);
    }

    /// Its timer: the BYEs are due, or it has taken long enough.
    pub(crate) fn orphan_waited(&mut self, orphan: OrphanRef, now: Instant) {
        let Some(ending) = self.orphans.get(&orphan) else {
            return;
        };
        if ending.cancel != CancelAnswer::NotSent && !ending.byes.is_empty() && now < ending.until {
            self.layer.timers.set(Owner::Orphan(orphan), Timer::Orphan, ending.until);
            return self.bye_orphan(orphan, now);
        }
        let was_up = ending.cancel == CancelAnswer::NotSent;
        self.orphan_over(orphan, if was_up { OrphanEnd::Answered } else { OrphanEnd::Unknown }, now);
    }

    /// A 2xx to its INVITE reached us: acknowledged, and ended. Copies too, after the orphan itself is forgotten.
    fn end_answered(&mut self, orphan: OrphanRef, client: ClientId, response: &Response, flow: Flow, now: Instant) {
        let tag = response.to_tag().unwrap_or_default();
        if self.layer.repeat_ack(client, &tag) {
            return;
        }
        let Some(request) = self.layer.client(client).map(|client| client.request.clone()) else {
            return;
        };
        if let Ok(mut dialog) = Dialog::from_response(&request, response, flow, false) {
            self.acknowledge(client, &dialog, &request, &tag);
            let bye = dialog.request(Method::Bye);
            let hop = dialog.next_hop(&self.layer.config.locals);
            self.layer.request(bye, hop, User::Nobody, now);
        }
        self.orphan_over(orphan, OrphanEnd::Answered, now);
    }

    fn orphan_over(&mut self, orphan: OrphanRef, end: OrphanEnd, now: Instant) {
        if let Some(ending) = self.orphans.remove(&orphan) {
            self.layer.timers.cancel_all(Owner::Orphan(orphan));
            if let Some(invite) = ending.invite {
                self.layer.abandon_client(invite, now);
            }
            self.layer.report(SipEvent::OrphanEnded { orphan, end });
        }
    }
}
