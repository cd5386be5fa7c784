//! `Desk`: decides for one tenant who talks to whom.

use std::net::IpAddr;
use std::time::Instant;

use call::{CallEvent, CallId, CallSpec, LegId, Now, QueueId};

use crate::{AgentCard, CallCard, DeskConfig, Presence, Refusal, Seat, Seats};

/// A visitor clicked *Talk*.
#[derive(Clone, Debug)]
pub struct TalkRequest {
    /// In which queue; bound into his token, never chosen by the page.
    pub queue: QueueId,
    /// His web session.
    pub session: String,
    /// The page he clicked on.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Where he came from.
    pub referrer: Option<String>,
    /// His language.
    pub language: String,
    /// His address.
    pub source_ip: IpAddr,
}

/// Whether a visitor could talk now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Availability {
    /// Yes.
    TalkNow,
    /// No, and why.
    Not(Refusal),
}

/// What a desk orders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeskCommand {
    /// Tell this call not to try that candidate: the agent has been taken by another call
    /// ([`Call::withdraw`](call::Call::withdraw)).
    Withdraw {
        /// Which call.
        call: CallId,
        /// Which candidate.
        leg: LegId,
    },
    /// [`Desk::live`] or [`Desk::agents`] has changed: show it.
    LiveChanged,
}

/// Why a desk asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// An agent's rest after a call is over (`wrap_up`).
    WrapUp,
}

/// The judgement of one tenant.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
}

impl Desk {
    /// A desk with nobody there yet.
    pub fn new(config: DeskConfig, _now: Now) -> Self {
        Self { config }
    }

    /// A visitor asks to talk: the call to start, or why not.
    pub fn talk(&mut self, _request: TalkRequest, _now: Now) -> Result<CallSpec, Refusal> {
        todo!()
    }

    /// An agent's phone dials another extension: the call to start, or why not.
    pub fn dial(&mut self, _from: &str, _to: &str, _now: Now) -> Result<CallSpec, Refusal> {
        todo!()
    }

    /// A seat of an agent comes or goes.
    pub fn agent_seat(&mut self, _extension: &str, _seat: Seat, _on: bool, _now: Now) {
        todo!()
    }

    /// An agent says how he is.
    pub fn agent_presence(&mut self, _extension: &str, _presence: Presence, _now: Now) {
        todo!()
    }

    /// A call of this desk has news. Everything but the digits matters here; `Ended` frees the call.
    pub fn call_event(&mut self, _call: &CallId, _event: &CallEvent, _now: Now) {
        todo!()
    }

    /// A call is gone without having said `Ended` (its task died).
    pub fn forget(&mut self, _call: &CallId, _now: Now) {
        todo!()
    }

    /// No new call from now on (shutdown), or again.
    pub fn set_accepting(&mut self, _on: bool) {
        todo!()
    }

    /// Whether a visitor could talk now in this queue.
    pub fn availability(&self, _queue: &QueueId, _now: Now) -> Availability {
        todo!()
    }

    /// Every live call, oldest first.
    pub fn live(&self) -> Vec<CallCard> {
        todo!()
    }

    /// Every agent, in the order of the configuration.
    pub fn agents(&self) -> Vec<AgentCard> {
        todo!()
    }

    /// The name visitors see for an extension.
    pub fn agent_name(&self, _extension: &str) -> Option<&str> {
        todo!()
    }

    /// Where an agent can ring now.
    pub fn seats(&self, _extension: &str) -> Seats {
        todo!()
    }

    /// The next order.
    pub fn poll_command(&mut self) -> Option<DeskCommand> {
        todo!()
    }

    /// The next deadline, and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// The deadline of [`poll_timeout`](Self::poll_timeout) has passed.
    pub fn handle_timeout(&mut self, _now: Now) {
        todo!()
    }
}
