//! The client machine of every method but INVITE and ACK (RFC 3261 §17.1.2).
//!
//! ```text
//! Trying ─1xx─► Proceeding
//!    └───final────┴──► Completed (K absorbs copies) ─► gone
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
pub(crate) struct ClientOther {
    state: State,
    pace: Pace,
}

impl ClientOther {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { state: State::Trying, pace }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Step> {
        match (self.state, input) {
            (State::Trying, Input::Request) => {
                let mut steps = vec![Step::Send, Step::Arm(Timer::F, self.pace.timers.give_up())];
                if !self.pace.reliable {
                    steps.push(Step::Arm(Timer::E, self.pace.gap));
                }
                steps
            }
            (State::Trying, Input::Resend) => {
                self.pace.gap = self.pace.timers.backed_off(self.pace.gap);
                vec![Step::Send, Step::Arm(Timer::E, self.pace.gap)]
            }
            // §17.1.2.2: after a provisional the gap is T2.
            (State::Proceeding, Input::Resend) => {
                vec![Step::Send, Step::Arm(Timer::E, self.pace.timers.t2)]
            }
            (State::Trying | State::Proceeding, Input::GiveUp) => {
                vec![Step::TimedOut(Timer::F), Step::End]
            }
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                vec![Step::Pass]
            }
            (State::Trying | State::Proceeding, Input::Success | Input::Refusal) => {
                self.state = State::Completed;
                vec![
                    Step::Disarm(Timer::E),
                    Step::Disarm(Timer::F),
                    Step::Pass,
                    self.pace.rest(Timer::K, self.pace.timers.t4),
                ]
            }
            (State::Trying | State::Proceeding, Input::Broken) => vec![Step::Failed, Step::End],
            (State::Completed, Input::Rest | Input::Broken) => vec![Step::End],
            (State::Trying, Input::Ack | Input::Rest)
            | (State::Proceeding, Input::Request | Input::Ack | Input::Rest)
            | (
                State::Completed,
                Input::Request
                | Input::Provisional
                | Input::Success
                | Input::Refusal
                | Input::Ack
                | Input::Resend
                | Input::GiveUp,
            ) => Vec::new(),
        }
    }
}
