//! A party hands its place over to somebody else (a transfer), while whoever it talked with stays where he is.
//!
//! ```text
//! Bridged | Held ── transfer, take_place ──► Transferring ── the new one answers ──► Bridged | Held, the old one ends
//!                                              │  │ the new one refuses ───────────► Bridged | Held, as before
//!                                              │  └ … and the old one has left ────► Ending, with the new one's cause
//!                                              └─── the other side hangs up ───────► Ending
//! ```
//! The tag, the record and the other leg are the same before and after: nobody repeats himself.

use crate::call::{Happening, leg_id};
use crate::leg::{Leg, LegState};
use crate::{
    BridgeCommand, Call, CallCommand, CallEvent, HangupCause, LegCommand, LegId, LegSpec, Now, Party, State, Transfer,
};

/// Legs one call may have had, candidates and transfers together. Whoever is sent on and on has another trouble.
const MAX_LEGS: usize = 32;

/// What happens to a hand-over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Asked,
    /// Whoever is to take a place rings.
    NewRings,
    /// He is there.
    NewAnswers,
    /// He is gone, or must go.
    NewOut(HangupCause),
    /// Whoever asked for it has left.
    OldOut,
}

/// A hand-over under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    /// Who leaves.
    pub(crate) by: LegId,
    /// Who comes.
    pub(crate) to: LegId,
    /// The one who leaves has hung up already.
    left: bool,
}

impl Call {
    /// A party wants somebody else in its place: the new leg, which is invited now. `None` where that cannot be: nobody
    /// talks, another hand-over is under way, or it is not this leg's to say.
    pub fn transfer(&mut self, by: LegId, to: LegSpec, now: Now) -> Option<LegId> {
        let limit = to.ring_limit;
        let new = self.begin_handover(by, to, now)?;
        self.deadlines.ring = Some(now.mono + limit);
        self.order(new, LegCommand::Invite);
        Some(new)
    }

    /// The same with a leg that is there already: it called us to take this place (RFC 3891), or talked in another call.
    pub fn take_place(&mut self, of: LegId, newcomer: LegSpec, now: Now) -> Option<LegId> {
        let limit = newcomer.ring_limit;
        let new = self.begin_handover(of, newcomer, now)?;
        self.deadlines.ring = Some(now.mono + limit);
        Some(new)
    }

    fn begin_handover(&mut self, by: LegId, to: LegSpec, now: Now) -> Option<LegId> {
        let talks = matches!(self.state(), State::Bridged | State::Held) && self.handover.is_none();
        let is_seated = by == self.first || self.candidate == Some(by);
        // The visitor, or a customer called back, sends nobody anywhere: that is how toll fraud begins.
        if !talks || !is_seated || self.party(by) != Party::Agent || self.legs.len() >= MAX_LEGS {
            return None;
        }
        let new = leg_id(self.legs.len());
        let kind = to.kind.clone();
        let mut leg = Leg::new(to);
        leg.stands_for = Some(by);
        leg.open();
        self.legs.push(leg);
        self.handover = Some(Handover { by, to: new, left: false });
        self.events.push_back(CallEvent::Transfer { by, to: new, step: Transfer::Asked(kind) });
        self.step(Happening::HandOver(Step::Asked), now);
        Some(new)
    }

    /// The rows of a hand-over.
    pub(crate) fn step_transfer(&mut self, happening: Happening, now: Now) -> State {
        use Happening::{
            Answers, CandidateOut, EarlySound, Enough, HandOver, Hold, Key, NoKey, Over, Quiet, Rings, Start,
        };
        let Some(handover) = self.handover else { return self.talk_state() };
        match happening {
            HandOver(Step::NewRings) => {
                self.note_new_ringing(handover);
                State::Transferring
            }
            HandOver(Step::NewAnswers) => self.seat(handover, now),
            HandOver(Step::NewOut(cause)) => self.stay(handover, cause, now),
            HandOver(Step::OldOut) => {
                self.cover_absence(handover);
                State::Transferring
            }
            // The side that is being handed over had enough.
            CandidateOut(cause) => self.wind_down(self.blame_candidate(cause), cause, now),
            Over(by, cause) => self.wind_down(by, cause, now),
            // Who comes holds nobody yet: it is so once he has the place.
            Hold(by, on) if by == handover.to => {
                if let Some(leg) = self.legs.get_mut(usize::from(by.0)) {
                    leg.held = on;
                }
                State::Transferring
            }
            Hold(by, on) => {
                self.hold(by, on);
                State::Transferring
            }
            Key(from, digit) if from != handover.to => {
                self.pass_digit(from, digit);
                State::Transferring
            }
            Key(..) | Start | Rings | EarlySound | Answers | NoKey | Quiet | Enough | HandOver(Step::Asked) => {
                State::Transferring
            }
        }
    }

    /// Where the call stands once nobody is being handed over.
    fn talk_state(&self) -> State {
        let held = [Some(self.first), self.candidate].into_iter().flatten();
        let mut held = held.filter_map(|leg| self.legs.get(usize::from(leg.0)));
        if held.any(|leg| leg.held) { State::Held } else { State::Bridged }
    }

    fn note_new_ringing(&mut self, handover: Handover) {
        let Some(leg) = self.legs.get_mut(usize::from(handover.to.0)) else { return };
        if !std::mem::replace(&mut leg.rang, true) {
            let (by, to) = (handover.by, handover.to);
            self.events.push_back(CallEvent::Transfer { by, to, step: Transfer::Ringing });
        }
    }

    /// The new one has answered: he takes the place, and the old one is let go.
    fn seat(&mut self, handover: Handover, now: Now) -> State {
        let Handover { by, to, left } = handover;
        self.handover = None;
        self.deadlines.ring = None;
        let was_held = self.legs.get(usize::from(by.0)).is_some_and(|leg| leg.held);
        if let Some(old) = self.legs.get_mut(usize::from(by.0)) {
            old.held = false;
            old.left.get_or_insert(now);
        }
        let mut holds = false;
        if let Some(new) = self.legs.get_mut(usize::from(to.0)) {
            new.joined = Some(now);
            holds = new.held;
        }
        let stays = self.other(by);
        if by == self.first {
            self.first = to
        } else {
            self.candidate = Some(to)
        }
        if left && let Some(stays) = stays {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Ringback { to: stays, on: false }));
        }
        self.commands.push_back(CallCommand::Bridge(BridgeCommand::Replace { leg: by, by: to }));
        if was_held != holds {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Hold { leg: to, on: holds }));
        }
        if !self.connected
            && let Some(candidate) = self.candidate
        {
            self.connect(candidate);
        }
        self.events.push_back(CallEvent::Transfer { by, to, step: Transfer::Done });
        if let Some(stays) = stays {
            self.order(stays, LegCommand::ShowHeld(holds));
        }
        self.end_leg(by, HangupCause::Normal);
        self.talk_state()
    }

    /// The new one does not come: the old one goes on, if he is still there.
    fn stay(&mut self, handover: Handover, cause: HangupCause, now: Now) -> State {
        let Handover { by, to, left } = handover;
        // Gone without an answer and without a reason is a refusal.
        let cause = if cause == HangupCause::Normal { HangupCause::Refused } else { cause };
        self.handover = None;
        self.deadlines.ring = None;
        self.end_leg(to, cause);
        self.events.push_back(CallEvent::Transfer { by, to, step: Transfer::Failed(cause) });
        if left { self.wind_down(cause.blame(self.party(to)), cause, now) } else { self.talk_state() }
    }

    /// The old one has hung up before the new one is there: whoever waits hears that it rings.
    fn cover_absence(&mut self, handover: Handover) {
        let Some(stays) = self.other(handover.by) else { return };
        if let Some(current) = &mut self.handover {
            current.left = true;
        }
        if std::mem::replace(&mut self.connected, false) {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Disconnect));
        }
        self.commands.push_back(CallCommand::Bridge(BridgeCommand::Ringback { to: stays, on: true }));
    }

    /// What it means that this leg is gone, where it matters to a hand-over.
    pub(crate) fn out_of_handover(&self, leg: LegId, cause: HangupCause) -> Option<Happening> {
        let handover = self.handover.filter(|_| self.state() == State::Transferring)?;
        if leg == handover.to {
            Some(Happening::HandOver(Step::NewOut(cause)))
        } else if leg == handover.by {
            Some(Happening::HandOver(Step::OldOut))
        } else {
            None
        }
    }

    /// Whether this leg is about to take a place.
    pub(crate) fn is_coming(&self, leg: LegId) -> bool {
        self.handover.is_some_and(|handover| handover.to == leg)
    }

    /// Who is about to take a place, if anybody.
    pub fn coming(&self) -> Option<LegId> {
        self.handover.map(|handover| handover.to)
    }

    /// Who holds the first leg's place now: the first leg, unless it handed over.
    pub fn first(&self) -> LegId {
        self.first
    }

    /// What a leg leads to, whether it was planned or came by a hand-over.
    pub fn leg_spec(&self, leg: LegId) -> Option<&LegSpec> {
        self.legs.get(usize::from(leg.0)).map(|leg| &leg.spec)
    }

    /// Whether a leg was opened and is neither gone nor told to go.
    pub fn is_live(&self, leg: LegId) -> bool {
        self.legs.get(usize::from(leg.0)).is_some_and(|leg| leg.state == LegState::Opened)
    }
}
