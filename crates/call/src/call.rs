//! `Call`: one `match (state, event)` table, nothing else in the file.

use std::time::Instant;

use crate::{
    BridgeEvent, CallCommand, CallEvent, CallRecord, CallSpec, HangupCause, LegEvent, LegId, Now, Party, Timer,
};

/// Where a call stands. The rows of call-back, transfer and page change are not built yet and have
/// no state here.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Nothing ordered yet.
    New,
    /// The first leg comes up, the first candidate is invited.
    Opening,
    /// A candidate rings.
    Ringing,
    /// They talk.
    Bridged,
    /// They would talk, but a side holds.
    Held,
    /// Hung up; the legs are being ended.
    Ending,
    /// Over.
    Ended,
}

impl State {
    /// The stable word for JSON and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Opening => "opening",
            Self::Ringing => "ringing",
            Self::Bridged => "bridged",
            Self::Held => "held",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// One call, from the click to the record.
#[derive(Debug)]
pub struct Call {
    spec: CallSpec,
    state: State,
}

impl Call {
    /// Starts a call: its first orders wait in [`poll_command`](Self::poll_command).
    pub fn new(spec: CallSpec, _now: Now) -> Self {
        Self { spec, state: State::New }
    }

    /// Something happened on a leg.
    pub fn handle_leg(&mut self, _leg: LegId, _event: LegEvent, _now: Now) {
        todo!()
    }

    /// Something happened on the bridge.
    pub fn handle_bridge(&mut self, _event: BridgeEvent, _now: Now) {
        todo!()
    }

    /// Somebody, or a rule, ends the call.
    pub fn hang_up(&mut self, _by: Party, _cause: HangupCause, _now: Now) {
        todo!()
    }

    /// Do not try this candidate when its turn comes (the agent has taken another call). Without
    /// effect once it was tried.
    pub fn withdraw(&mut self, _leg: LegId) {
        todo!()
    }

    /// The deadline of [`poll_timeout`](Self::poll_timeout) has passed.
    pub fn handle_timeout(&mut self, _now: Now) {
        todo!()
    }

    /// The next order.
    pub fn poll_command(&mut self) -> Option<CallCommand> {
        todo!()
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<CallEvent> {
        todo!()
    }

    /// The next deadline, and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// Where the call stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// What was asked for.
    pub fn spec(&self) -> &CallSpec {
        &self.spec
    }

    /// Events and commands left out because the driver did not drain.
    pub fn dropped(&self) -> u64 {
        todo!()
    }

    /// The record as it would be if the process died now; after the end, the final one.
    pub fn record(&self, _now: Now) -> CallRecord {
        todo!()
    }
}
