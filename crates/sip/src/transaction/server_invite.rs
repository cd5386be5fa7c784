//! The INVITE server machine (RFC 3261 §17.2.1 with RFC 6026 §8.5, §8.7).
//!
//! ```text
//! Proceeding ─2xx──────► Accepted  (L absorbs INVITE copies) ─► gone
//!     └──────3xx-6xx───► Completed (G sends again, H gives up) ─ACK─► Confirmed (I) ─► gone
//! ```
//! Copies of a 2xx are the user's to send (§13.3.1.4), so a 2xx in Accepted goes straight out.

use crate::timer::Timer;
use crate::transaction::{Input, Pace, Step};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Debug)]
pub(crate) struct ServerInvite {
    state: State,
    pace: Pace,
}

impl ServerInvite {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { state: State::Proceeding, pace }
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// A refusal went out: its ACK belongs to this transaction and to nobody else.
    pub(crate) fn was_refused(&self) -> bool {
        matches!(self.state, State::Completed | State::Confirmed)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Step> {
        let give_up = self.pace.timers.give_up();
        match (self.state, input) {
            (State::Proceeding, Input::Request | Input::Provisional) => vec![Step::Send],
            (State::Proceeding, Input::Success) => {
                self.state = State::Accepted;
                vec![Step::Send, Step::Arm(Timer::L, give_up)]
            }
            (State::Proceeding, Input::Refusal) => {
                self.state = State::Completed;
                let mut steps = vec![Step::Send, Step::Arm(Timer::H, give_up)];
                if !self.pace.reliable {
                    steps.push(Step::Arm(Timer::G, self.pace.gap));
                }
                steps
            }
            (State::Proceeding, Input::Broken) => vec![Step::Failed, Step::End],
            (State::Completed, Input::Request) => vec![Step::Send],
            (State::Completed, Input::Resend) => {
                self.pace.gap = self.pace.timers.backed_off(self.pace.gap);
                vec![Step::Send, Step::Arm(Timer::G, self.pace.gap)]
            }
            (State::Completed, Input::Ack) => {
                self.state = State::Confirmed;
                vec![Step::Disarm(Timer::G), Step::Disarm(Timer::H), self.pace.rest(Timer::I, self.pace.timers.t4)]
            }
            (State::Completed, Input::GiveUp | Input::Broken) => vec![Step::End],
            (State::Confirmed | State::Accepted, Input::Rest) => vec![Step::End],
            (State::Accepted, Input::Success) => vec![Step::Send],
            // RFC 6026 §8.7: the 2xx may reach the far end by its next copy.
            (State::Accepted, Input::Broken) => vec![Step::Failed],
            (State::Proceeding, Input::Ack | Input::Resend | Input::GiveUp | Input::Rest)
            | (State::Completed, Input::Provisional | Input::Success | Input::Refusal | Input::Rest)
            | (
                State::Confirmed,
                Input::Request
                | Input::Provisional
                | Input::Success
                | Input::Refusal
                | Input::Ack
                | Input::Resend
                | Input::GiveUp
                | Input::Broken,
            )
            | (
                State::Accepted,
                Input::Request | Input::Provisional | Input::Refusal | Input::Ack | Input::Resend | Input::GiveUp,
            ) => Vec::new(),
        }
    }
}
