//! The server machine of every method but INVITE and ACK (RFC 3261 §17.2.2).
//!
//! ```text
//! Trying ─1xx─► Proceeding
//!    └───final────┴──► Completed (J: copies get the answer again) ─► gone
//! ```

use crate::timer::Timer;
use crate::transaction::{Input, Pace, Step};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Debug)]
pub(crate) struct ServerOther {
    state: State,
    pace: Pace,
}

impl ServerOther {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { state: State::Trying, pace }
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Step> {
        match (self.state, input) {
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                vec![Step::Send]
            }
            (State::Proceeding | State::Completed, Input::Request) => vec![Step::Send],
            (State::Trying | State::Proceeding, Input::Success | Input::Refusal) => {
                self.state = State::Completed;
                vec![Step::Send, self.pace.rest(Timer::J, self.pace.timers.give_up())]
            }
            (State::Trying | State::Proceeding, Input::Broken) => vec![Step::Failed, Step::End],
            (State::Completed, Input::Rest | Input::Broken) => vec![Step::End],
            (State::Trying, Input::Request | Input::Ack | Input::Resend | Input::GiveUp | Input::Rest)
            | (State::Proceeding, Input::Ack | Input::Resend | Input::GiveUp | Input::Rest)
            | (
                State::Completed,
                Input::Provisional | Input::Success | Input::Refusal | Input::Ack | Input::Resend | Input::GiveUp,
            ) => Vec::new(),
        }
    }
}
