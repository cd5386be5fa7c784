//! What is particular to a call-back's call: leave to dial the customer, what became of his leg, who hears of it.

use std::time::{Duration, Instant};

use call::{CallEvent, CallRecord, HangupCause, LegId, Party};
use desk::AttemptEnd;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::CallTask;
use crate::clock;
use crate::drive::sip::Plan;

/// The store may take so long over the attempt's journal; then nobody is dialled.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// How a call-back's call speaks with whoever holds the call-back.
pub(crate) struct CallbackLink {
    /// The customer's leg.
    pub(crate) customer: LegId,
    /// What the customer's phone shows; `None`: as the trunk decides.
    pub(crate) caller_id: Option<String>,
    /// Where news goes.
    pub(crate) news: mpsc::Sender<CallbackNews>,
}

/// One of the two who are to talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Customer,
    Agent,
}

/// What a call-back's call says.
pub(crate) enum CallbackNews {
    /// The customer's INVITE is about to leave; so another process could end it. Answered with the moment after which it
    /// may not, or with no.
    MayDial(String, oneshot::Sender<Option<Instant>>),
    /// The same once more, for the same try at another target of the trunk: nothing rang at the first.
    MayDialElsewhere(String, oneshot::Sender<Option<Instant>>),
    /// So another process could now end this leg of the call.
    Described(Role, String),
    /// They talk: the customer and this agent; empty for one behind a trunk.
    Answered(String),
    /// The call is over; this is what is known of the customer's leg, and how long he was on the line.
    Ended(AttemptEnd, Duration),
}

impl CallTask {
    pub(super) fn is_customer(&self, leg: LegId) -> bool {
        self.callback.as_ref().is_some_and(|link| link.customer == leg)
    }

    /// Asks leave to dial; the attempt is journalled when it is given. `again`: the same one goes to another target.
    pub(super) async fn leave_to_dial(&self, plan: &Plan, again: bool) -> Result<Option<Instant>, HangupCause> {
        let Some(link) = &self.callback else { return Ok(None) };
        let (reply, answer) = oneshot::channel();
        let asks = if again { CallbackNews::MayDialElsewhere } else { CallbackNews::MayDial };
        if link.news.send(asks(plan.described.clone(), reply)).await.is_err() {
            return Err(HangupCause::Cancelled);
        }
        match tokio::time::timeout(LEAVE_LIMIT, answer).await {
            Ok(Ok(Some(not_after))) => Ok(Some(not_after)),
            Ok(Ok(None) | Err(_)) => {
                info!("the customer is not dialled: the call-back is not ours to dial any more");
                Err(HangupCause::Cancelled)
            }
            Err(_) => {
                warn!("the customer is not dialled: the store does not answer");
                Err(HangupCause::Cancelled)
            }
        }
    }

    /// What another process needs to end this leg goes into the journal. Beside the call: its answer waits for no disk.
    pub(super) fn tell_described(&self, leg: LegId, described: String) {
        let role = if self.is_customer(leg) { Role::Customer } else { Role::Agent };
        if let Some(link) = &self.callback
            && link.news.try_send(CallbackNews::Described(role, described)).is_err()
        {
            debug!("the journal of this call-back is behind");
        }
    }

    /// A final answer to the customer's INVITE, or that it never left.
    pub(super) fn note_refusal(&mut self, leg: LegId, status: u16, q850: Option<u8>) {
        // Our own CANCEL after the ring limit brings a 487 which says nothing about him.
        if self.is_customer(leg) && !self.io(leg).was_ended() {
            self.customer_end.sip = (status > 0).then_some(status);
            self.customer_end.q850 = q850;
            self.customer_end.unreachable = status == 0;
        }
    }

    /// What a customer who was rung first says by a key while he is asked, or waits: 2 puts it off, 3 calls it off, 9 says
    /// that it was not he who asked; 1, which takes it, is the call's own. Once they talk, keys are for whoever he talks with.
    pub(super) fn note_key(&mut self, leg: LegId, key: char) {
        let waits = matches!(self.call.state(), call::State::AskingFirst | call::State::RingingSecond);
        if waits && leg == LegId::FIRST && self.is_customer(leg) && matches!(key, '2' | '3' | '9') {
            self.customer_end.key = Some(key);
            self.call.hang_up(Party::Visitor, HangupCause::Cancelled, clock::call_now());
        }
    }

    /// How far the customer's leg has come.
    pub(super) fn note_progress(&mut self, leg: LegId, answered: bool) {
        if self.is_customer(leg) {
            self.customer_end.rang = true;
            self.customer_end.answered |= answered;
            if answered {
                self.customer_since.get_or_insert_with(clock::now);
            }
        }
    }

    pub(super) async fn tell_holder(&self, event: &CallEvent) {
        let Some(link) = &self.callback else { return };
        let news = match event {
            CallEvent::Answered { leg } => CallbackNews::Answered(self.agent_with(*leg)),
            CallEvent::Ended(record) => {
                let on_line = self.customer_since.map(|since| clock::now().saturating_duration_since(since));
                CallbackNews::Ended(self.end_of_attempt(link.customer, record), on_line.unwrap_or_default())
            }
            CallEvent::State(_)
            | CallEvent::Trying { .. }
            | CallEvent::Ringing { .. }
            | CallEvent::Held { .. }
            | CallEvent::Transfer { .. }
            | CallEvent::Digit { .. } => return,
        };
        if link.news.send(news).await.is_err() {
            warn!("nobody holds this call-back any more");
        }
    }

    /// The agent who talks: on the first leg, or on the one that answered last.
    fn agent_with(&self, leg: LegId) -> String {
        let spec = self.call.spec();
        let second = usize::from(leg.0).checked_sub(1).and_then(|at| spec.second.get(at));
        let agent = std::iter::once(&spec.first).chain(second).find_map(|leg| leg.kind.extension());
        agent.unwrap_or_default().to_owned()
    }

    fn end_of_attempt(&self, customer: LegId, record: &CallRecord) -> AttemptEnd {
        let leg = record.legs.iter().find(|leg| leg.id == customer);
        let talked = record.answered_unix_ms.is_some();
        let AttemptEnd { sip, answered, .. } = self.customer_end;
        let by_us = matches!(record.hung_up_by, Party::Agent | Party::Gateway);
        let rang_out = leg.is_some_and(|leg| leg.cause == Some(HangupCause::NoAnswer)) && sip.is_none() && !answered;
        AttemptEnd {
            rang_out,
            // Also when he answered first and nobody came.
            agent_left: !talked && !rang_out && sip.is_none() && by_us,
            no_room: sip.is_none() && record.cause == HangupCause::Overload,
            talk: talked.then(|| Duration::from_millis(record.talk_ms)),
            // It answered, was asked for a key and pressed none: so does a machine.
            voicemail: self.customer_asked && record.cause == HangupCause::NoAnswer,
            ..self.customer_end
        }
    }
}
