//! The INVITE client machine (RFC 3261 §17.1.1 with RFC 6026 §8.4).
//!
//! ```text
//! Calling ─1xx─► Proceeding
//!    └──────2xx─────┴──► Accepted  (M: more 2xx go to the user) ─► gone
//!    └────3xx-6xx───┴──► Completed (D: copies get the ACK again) ─► gone
//! ```

use crate::timer::Timer;
use crate::transaction::{Input, Pace, Step};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

#[derive(Debug)]
pub(crate) struct ClientInvite {
    state: State,
    pace: Pace,
}

impl ClientInvite {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { state: State::Calling, pace }
    }

    /// For an INVITE that another process sent: nothing is sent, its answers are listened for.
    pub(crate) fn adopted(pace: Pace) -> Self {
        Self { state: State::Proceeding, pace }
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Step> {
        let give_up = self.pace.timers.give_up();
        match (self.state, input) {
            (State::Calling, Input::Request) => {
                let mut steps = vec![Step::Send, Step::Arm(Timer::B, give_up)];
                if !self.pace.reliable {
                    steps.push(Step::Arm(Timer::A, self.pace.gap));
                }
                steps
            }
            // §17.1.1.2: doubles without a ceiling, B ends it.
            (State::Calling, Input::Resend) => {
                self.pace.gap *= 2;
                vec![Step::Send, Step::Arm(Timer::A, self.pace.gap)]
            }
            // In Proceeding B runs only for a request whose call is gone: see `Layer::abandon_client`.
            (State::Calling | State::Proceeding, Input::GiveUp) => vec![Step::TimedOut(Timer::B), Step::End],
            (State::Calling, Input::Provisional) => {
                self.state = State::Proceeding;
                vec![Step::Disarm(Timer::A), Step::Disarm(Timer::B), Step::Pass]
            }
            (State::Proceeding, Input::Provisional) => vec![Step::Pass],
            (State::Calling | State::Proceeding, Input::Success) => {
                self.state = State::Accepted;
                vec![Step::Disarm(Timer::A), Step::Disarm(Timer::B), Step::Arm(Timer::M, give_up), Step::Pass]
            }
            (State::Calling | State::Proceeding, Input::Refusal) => {
                self.state = State::Completed;
                vec![
                    Step::Disarm(Timer::A),
                    Step::Disarm(Timer::B),
                    Step::Ack,
                    Step::Pass,
                    self.pace.rest(Timer::D, give_up),
                ]
            }
            (State::Calling | State::Proceeding, Input::Broken) => vec![Step::Failed, Step::End],
            (State::Completed, Input::Refusal) => vec![Step::Ack],
            (State::Accepted, Input::Success) => vec![Step::Pass],
            (State::Completed | State::Accepted, Input::Rest) => vec![Step::End],
            // RFC 6026 §8.4: in Accepted a broken ACK is the user's concern, and it has the 2xx already.
            (State::Completed, Input::Broken) => vec![Step::End],
            (State::Calling, Input::Ack | Input::Rest)
            | (State::Proceeding, Input::Request | Input::Ack | Input::Resend | Input::Rest)
            | (
                State::Completed,
                Input::Request | Input::Provisional | Input::Success | Input::Ack | Input::Resend | Input::GiveUp,
            )
            | (
                State::Accepted,
                Input::Request
                | Input::Provisional
                | Input::Refusal
                | Input::Ack
                | Input::Resend
                | Input::GiveUp
                | Input::Broken,
            ) => Vec::new(),
        }
    }
}
