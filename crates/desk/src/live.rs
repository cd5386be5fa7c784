//! A call while it lives, as the desk follows it.

use std::time::Duration;

use call::{CallId, CallSpec, LegId, LegKind, Now, Plan, State};

use crate::CallCard;
use crate::limit::Source;

/// One live call.
#[derive(Debug)]
pub(crate) struct LiveCall {
    pub(crate) card: CallCard,
    /// In the order the calls came.
    pub(crate) number: u64,
    pub(crate) source: Option<Source>,
    /// The agent who dialled, for a call between phones.
    pub(crate) caller: Option<String>,
    /// The leg he is on.
    pub(crate) caller_at: LegId,
    /// The extension of each candidate; `None` behind a trunk.
    candidates: Vec<Option<String>>,
    /// The candidate being tried or talking.
    pub(crate) at: LegId,
    pub(crate) answered_unix_ms: Option<u64>,
    /// Nobody waits at a page for it.
    pub(crate) is_callback: bool,
    /// A colleague dialled it.
    pub(crate) is_between_phones: bool,
    /// The agent who is asked to take somebody's place.
    pub(crate) coming: Option<String>,
}

impl LiveCall {
    pub(crate) fn new(spec: &CallSpec, source: Option<Source>, number: u64, now: Now) -> Self {
        let extension = |kind: &LegKind| match kind {
            LegKind::Agent { extension } => Some(extension.clone()),
            LegKind::Browser | LegKind::Trunk { .. } => None,
        };
        let candidates: Vec<_> = spec.second.iter().map(|leg| extension(&leg.kind)).collect();
        let card = CallCard {
            call: spec.id,
            state: State::New,
            tags: spec.tags.clone(),
            started_unix_ms: now.unix_ms,
            since_unix_ms: now.unix_ms,
            is_talk: spec.plan == Plan::Talk,
            agent: candidates.first().cloned().flatten().or_else(|| extension(&spec.first.kind)),
        };
        let (caller, at) = (extension(&spec.first.kind), LegId(1));
        let is_callback = matches!(spec.plan, Plan::CallBack { .. });
        Self {
            card,
            number,
            source,
            caller,
            caller_at: LegId::FIRST,
            candidates,
            at,
            answered_unix_ms: None,
            is_callback,
            is_between_phones: spec.plan == Plan::Inbound,
            coming: None,
        }
    }

    pub(crate) fn id(&self) -> CallId {
        self.card.call
    }

    /// How long it has kept its agent, if it was answered: in a call-back he was there from the start.
    pub(crate) fn handled(&self, now: Now) -> Option<Duration> {
        let answered = self.answered_unix_ms?;
        let since = if self.is_callback { self.card.started_unix_ms } else { answered };
        Some(Duration::from_millis(now.unix_ms.saturating_sub(since)))
    }

    /// The extension of a candidate.
    pub(crate) fn candidate(&self, leg: LegId) -> Option<&str> {
        self.candidates.get(usize::from(leg.0).checked_sub(1)?)?.as_deref()
    }

    /// The place of the first leg, or of the candidate who talks, is somebody else's now. Who has left it, if it was an
    /// agent's.
    pub(crate) fn hand_over(&mut self, by: LegId) -> Option<String> {
        let new = self.coming.take();
        let is_caller = by == self.caller_at;
        let left = if is_caller { self.caller.take() } else { self.card.agent.clone() };
        if is_caller {
            if self.card.agent == left {
                self.card.agent.clone_from(&new);
            }
            self.caller = new;
        } else {
            self.card.agent = new;
        }
        left
    }

    /// Whether it waits for an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        match self.card.state {
            State::New
            | State::Opening
            | State::Ringing
            | State::RingingFirst
            | State::AskingFirst
            | State::RingingSecond => true,
            State::Bridged | State::Held | State::Transferring | State::Ending | State::Ended => false,
        }
    }

    /// Where this agent stands in the candidates still to come.
    pub(crate) fn later(&self, extension: &str) -> Option<LegId> {
        let mut later = self.candidates.iter().enumerate().skip(usize::from(self.at.0));
        let (index, _) = later.find(|(_, candidate)| candidate.as_deref() == Some(extension))?;
        u8::try_from(index + 1).ok().map(LegId)
    }
}
