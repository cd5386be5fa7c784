//! `Call`: one `match (state, happening)` table, and the doors to it.

use std::collections::VecDeque;
use std::time::Instant;

use crate::handover::{Handover, Step};
use crate::leg::{Leg, LegState};
use crate::orders::Deadlines;
use crate::record::Times;
use crate::{
    BridgeEvent, CallCommand, CallEvent, CallRecord, CallSpec, Digit, HangupCause, LegEvent, LegId, MAX_CANDIDATES,
    Now, Party, Plan, Timer, clean,
};

/// Orders and news that may wait for the driver; digits and holds beyond it are refused and counted,
/// all others are few by nature.
const MAX_PENDING: usize = 64;
/// Longest codec name kept, bytes.
const CODEC_BYTES: usize = 32;

/// Where a call stands.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Nothing ordered yet.
    New,
    /// The first leg comes up, the first candidate is invited.
    Opening,
    /// A candidate rings, or one has rung and the next is being tried.
    Ringing,
    /// A call-back: its first leg is being rung.
    RingingFirst,
    /// A call-back: its first leg has answered, and is asked to press key 1.
    AskingFirst,
    /// A call-back: its first leg is there, the other side is being rung.
    RingingSecond,
    /// They talk.
    Bridged,
    /// They would talk, but a side holds.
    Held,
    /// They talk, and a side is being handed over to somebody who is rung.
    Transferring,
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
            Self::RingingFirst => "ringing-first",
            Self::AskingFirst => "asking-first",
            Self::RingingSecond => "ringing-second",
            Self::Bridged => "bridged",
            Self::Held => "held",
            Self::Transferring => "transferring",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// What the events of legs, bridge, timers and people come down to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Happening {
    Start,
    /// The candidate rings.
    Rings,
    /// The candidate sends sound before the answer.
    EarlySound,
    /// The candidate answers.
    Answers,
    /// The candidate is gone, or must go.
    CandidateOut(HangupCause),
    /// The call must end.
    Over(Party, HangupCause),
    Hold(LegId, bool),
    Key(LegId, Digit),
    /// Whoever was asked for a key has pressed none.
    NoKey,
    /// A side is handed over.
    HandOver(Step),
    /// One more of those we wait for at the end is gone.
    Quiet,
    /// We have waited long enough for them.
    Enough,
}

/// One call, from the click to the record.
#[derive(Debug)]
pub struct Call {
    pub(crate) spec: CallSpec,
    state: State,
    /// The first leg, then the candidates in their order.
    pub(crate) legs: Vec<Leg>,
    /// The candidate being tried or talking.
    pub(crate) candidate: Option<LegId>,
    /// Who holds the first leg's place.
    pub(crate) first: LegId,
    pub(crate) handover: Option<Handover>,
    /// Sound flows between the first leg and the candidate.
    pub(crate) connected: bool,
    pub(crate) ringback: bool,
    /// The first leg was told that it rings.
    pub(crate) ring_told: bool,
    /// The first leg was told that sound comes before the answer.
    pub(crate) progress_told: bool,
    pub(crate) bridge_gone: bool,
    pub(crate) deadlines: Deadlines,
    pub(crate) times: Times,
    /// Who ended it, and why.
    pub(crate) outcome: Option<(Party, HangupCause)>,
    /// Of the candidates that failed, the cause to tell.
    pub(crate) failure: Option<HangupCause>,
    pub(crate) commands: VecDeque<CallCommand>,
    pub(crate) events: VecDeque<CallEvent>,
    ignored: u64,
    dropped: u64,
}

impl Call {
    /// Starts a call: its first orders wait in [`poll_command`](Self::poll_command).
    pub fn new(spec: CallSpec, now: Now) -> Self {
        let candidates = spec.second.iter().take(MAX_CANDIDATES);
        let legs = std::iter::once(&spec.first).chain(candidates).cloned().map(Leg::new).collect();
        let mut call = Self {
            spec,
            state: State::New,
            legs,
            candidate: None,
            first: LegId::FIRST,
            handover: None,
            connected: false,
            ringback: false,
            ring_told: false,
            progress_told: false,
            bridge_gone: false,
            deadlines: Deadlines::default(),
            times: Times::starting(now),
            outcome: None,
            failure: None,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            ignored: 0,
            dropped: 0,
        };
        call.step(Happening::Start, now);
        call
    }

    /// The table of DESIGN §5, the rows that concern talk: where the call goes from where it stands.
    pub(crate) fn step(&mut self, happening: Happening, now: Now) {
        use Happening::{
            Answers, CandidateOut, EarlySound, Enough, HandOver, Hold, Key, NoKey, Over, Quiet, Rings, Start,
        };
        use State::{
            AskingFirst, Bridged, Ended, Ending, Held, New, Opening, Ringing, RingingFirst, RingingSecond, Transferring,
        };
        let next = match (self.state, happening) {
            (New, Start) if self.is_call_back() => self.step_call_back(happening, now),
            (RingingFirst | AskingFirst | RingingSecond, _) => self.step_call_back(happening, now),
            (Bridged | Held, HandOver(Step::Asked)) => Transferring,
            (Transferring, _) => self.step_transfer(happening, now),
            (New, Start) => {
                self.open_first(now);
                if self.invite_next(now) { Opening } else { self.wind_down(Party::Gateway, HangupCause::NoAgent, now) }
            }
            (Opening | Ringing, Rings) => {
                self.show_ringing(now);
                Ringing
            }
            (Opening | Ringing, EarlySound) => {
                self.let_early_sound_through(now);
                Ringing
            }
            (Opening | Ringing, Answers) => {
                self.bridge(now);
                Bridged
            }
            (at @ (Opening | Ringing), CandidateOut(cause)) => {
                self.let_candidate_go(cause);
                if self.invite_next(now) { at } else { self.wind_down_for_want_of_an_answer(now) }
            }
            (Bridged | Held, CandidateOut(cause)) => self.wind_down(self.blame_candidate(cause), cause, now),
            (Bridged | Held, Hold(by, on)) => {
                self.hold(by, on);
                if self.legs.iter().any(|leg| leg.held) { Held } else { Bridged }
            }
            (at @ (Opening | Ringing | Bridged | Held), Key(from, digit)) => {
                self.pass_digit(from, digit);
                at
            }
            (Opening | Ringing | Bridged | Held, Over(by, cause)) => self.wind_down(by, cause, now),
            (Ending, Quiet) => self.rest(),
            (Ending, Enough) => Ended,

            // A hold before the answer has nothing to hold.
            (at @ (Opening | Ringing), Hold(..))
            // Ringing and answering are over.
            | (at @ (Bridged | Held), Rings | EarlySound | Answers)
            // Nobody is waited for yet.
            | (at @ (Opening | Ringing | Bridged | Held), Start | NoKey | Quiet | Enough)
            | (
                at @ New,
                Rings | EarlySound | Answers | CandidateOut(_) | Over(..) | Hold(..) | Key(..) | NoKey | Quiet | Enough,
            )
            // Nobody is handed over but in a talk.
            | (at @ (New | Opening | Ringing | Bridged | Held | Ending | Ended), HandOver(_))
            // The first cause stays; what comes after the hang-up changes nothing.
            | (at @ Ending, Start | Rings | EarlySound | Answers | CandidateOut(_) | Over(..) | Hold(..) | Key(..) | NoKey)
            | (
                at @ Ended,
                Start | Rings | EarlySound | Answers | CandidateOut(_) | Over(..) | Hold(..) | Key(..) | NoKey | Quiet
                | Enough,
            ) => {
                self.ignored += u64::from(happening != Quiet);
                at
            }
        };
        self.enter(next, now);
    }

    /// The rows of a call-back, up to the moment when both are there.
    fn step_call_back(&mut self, happening: Happening, now: Now) -> State {
        use Happening::{
            Answers, CandidateOut, EarlySound, Enough, HandOver, Hold, Key, NoKey, Over, Quiet, Rings, Start,
        };
        use State::{AskingFirst, Bridged, Held, RingingFirst, RingingSecond};
        match (self.state, happening) {
            (_, Start) => {
                self.ring_first(now);
                RingingFirst
            }
            (RingingFirst, Rings) => {
                self.note_ringing(now);
                RingingFirst
            }
            (RingingFirst, Answers) if self.is_taken_by_answering(now) => self.ring_second(now),
            (RingingFirst, Answers) => AskingFirst,
            (AskingFirst, Key(LegId::FIRST, Digit::TAKES)) => {
                self.stop_asking();
                self.ring_second(now)
            }
            // Any other key of an agent is a no; what a customer's keys mean is not the call's to know.
            (AskingFirst, Key(..)) if self.spec.plan == (Plan::CallBack { first: Party::Agent }) => {
                self.not_taken(HangupCause::Refused, now)
            }
            (AskingFirst, Key(..)) => AskingFirst,
            (AskingFirst, NoKey) => self.not_taken(HangupCause::NoAnswer, now),
            (RingingFirst, CandidateOut(cause)) => {
                self.let_candidate_go(cause);
                self.wind_down_for_want_of_an_answer(now)
            }
            (RingingSecond, Rings) => {
                self.show_ringing(now);
                RingingSecond
            }
            (RingingSecond, EarlySound) => {
                self.let_early_sound_through(now);
                RingingSecond
            }
            (RingingSecond, Answers) => {
                self.bridge(now);
                if self.legs.iter().any(|leg| leg.held) { Held } else { Bridged }
            }
            (RingingSecond, CandidateOut(cause)) => {
                self.let_candidate_go(cause);
                if self.invite_next(now) { RingingSecond } else { self.wind_down_for_want_of_an_answer(now) }
            }
            // He who waits may put the wait on hold: it is so when the other side answers.
            (at @ (AskingFirst | RingingSecond), Hold(by, on)) => {
                self.note_hold(by, on);
                at
            }
            (RingingSecond, Key(from, digit)) => {
                self.pass_digit(from, digit);
                RingingSecond
            }
            (_, Over(by, cause)) => self.wind_down(by, cause, now),
            // Nobody is there yet to hear a PBX's music, or a key.
            (
                at,
                Hold(..) | EarlySound | Key(..) | NoKey | Quiet | Enough | Rings | Answers | CandidateOut(_)
                | HandOver(_),
            ) => {
                self.ignored += u64::from(happening != Quiet);
                at
            }
        }
    }

    /// The first leg is there and has taken it: the other side's turn.
    fn ring_second(&mut self, now: Now) -> State {
        if self.invite_next(now) {
            State::RingingSecond
        } else {
            self.wind_down(Party::Gateway, HangupCause::NoAgent, now)
        }
    }

    /// The first leg answered, and would not have it.
    fn not_taken(&mut self, cause: HangupCause, now: Now) -> State {
        self.wind_down(self.blame_candidate(cause), cause, now)
    }

    fn enter(&mut self, next: State, now: Now) {
        if next == self.state {
            return;
        }
        self.state = next;
        self.events.push_back(CallEvent::State(next));
        if next == State::Ended {
            self.deadlines = Deadlines::default();
            self.events.push_back(CallEvent::Ended(Box::new(self.record(now))));
        }
    }

    /// Something happened on a leg. What comes from a leg that was never opened or is gone, and what
    /// comes twice, is counted and changes nothing.
    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, now: Now) {
        if let Some(happening) = self.meaning(leg, event, now) {
            self.step(happening, now);
        }
    }

    /// Notes what an event says of its own leg; tells what it means to the call, if anything.
    fn meaning(&mut self, id: LegId, event: LegEvent, now: Now) -> Option<Happening> {
        let is_first = id == self.first;
        let is_full = self.commands.len().max(self.events.len()) >= MAX_PENDING;
        let grace_until = now.mono + self.spec.media_lost_grace;
        let is_over = self.state == State::Ended;
        let Some(leg) = self.legs.get_mut(usize::from(id.0)).filter(|leg| leg.opened && !is_over) else {
            self.ignored += 1;
            return None;
        };
        let happening = match (leg.state, event) {
            (_, LegEvent::Codec(codec)) => {
                leg.codec = Some(clean(&codec, CODEC_BYTES));
                return None;
            }
            // The last figures come when the leg is long gone.
            (_, LegEvent::Quality(quality)) => {
                leg.quality = quality;
                return None;
            }
            (LegState::Opened, LegEvent::Refused(cause) | LegEvent::Gone { cause }) => {
                leg.leave(cause);
                Some(self.out(id, cause))
            }
            (LegState::Opened, LegEvent::Ended) => {
                leg.leave(HangupCause::Normal);
                Some(self.out(id, HangupCause::Normal))
            }
            (LegState::Ending, LegEvent::Refused(_) | LegEvent::Gone { .. } | LegEvent::Ended) => {
                leg.state = LegState::Gone;
                Some(Happening::Quiet)
            }
            (LegState::Opened, LegEvent::MediaUp | LegEvent::MediaBack) => {
                leg.grace_until = None;
                if is_first {
                    self.deadlines.media_setup = None;
                }
                return None;
            }
            (LegState::Opened, LegEvent::MediaLost) => {
                leg.grace_until.get_or_insert(grace_until);
                return None;
            }
            (LegState::Opened, LegEvent::Held(_) | LegEvent::Digit(_)) if is_full => {
                self.dropped += 1;
                return None;
            }
            (LegState::Opened, LegEvent::Held(on)) => (leg.held != on).then_some(Happening::Hold(id, on)),
            (LegState::Opened, LegEvent::Digit(digit)) => Some(Happening::Key(id, digit)),
            (LegState::Opened, LegEvent::Ringing) => self.rung(id, Happening::Rings, Step::NewRings),
            (LegState::Opened, LegEvent::EarlyMedia) => self.rung(id, Happening::EarlySound, Step::NewRings),
            (LegState::Opened, LegEvent::Answered) => self.rung(id, Happening::Answers, Step::NewAnswers),
            (LegState::Waiting | LegState::Gone, LegEvent::Refused(_) | LegEvent::Gone { .. } | LegEvent::Ended)
            | (
                LegState::Waiting | LegState::Ending | LegState::Gone,
                LegEvent::MediaUp
                | LegEvent::MediaBack
                | LegEvent::MediaLost
                | LegEvent::Held(_)
                | LegEvent::Digit(_)
                | LegEvent::Ringing
                | LegEvent::EarlyMedia
                | LegEvent::Answered,
            ) => None,
        };
        self.ignored += u64::from(happening.is_none());
        happening
    }

    /// What it means that whoever is rung says something: the candidate, or whoever is to take a place.
    fn rung(&self, id: LegId, candidate: Happening, newcomer: Step) -> Option<Happening> {
        if self.is_coming(id) {
            Some(Happening::HandOver(newcomer))
        } else {
            (self.candidate == Some(id)).then_some(candidate)
        }
    }

    /// What it means that this leg is gone or must go.
    fn out(&self, leg: LegId, cause: HangupCause) -> Happening {
        if let Some(happening) = self.out_of_handover(leg, cause) {
            happening
        } else if leg == self.first && self.state != State::RingingFirst {
            Happening::Over(cause.blame(self.party(leg)), cause)
        } else {
            Happening::CandidateOut(cause)
        }
    }

    /// Something happened on the bridge.
    pub fn handle_bridge(&mut self, event: BridgeEvent, now: Now) {
        self.bridge_gone = true;
        match (self.state, event) {
            (State::Ending, BridgeEvent::Closed | BridgeEvent::Failed) => self.step(Happening::Quiet, now),
            // Closed without having been told to is a fault too.
            (
                State::New
                | State::Opening
                | State::Ringing
                | State::RingingFirst
                | State::AskingFirst
                | State::RingingSecond
                | State::Bridged
                | State::Held
                | State::Transferring
                | State::Ended,
                BridgeEvent::Closed | BridgeEvent::Failed,
            ) => self.step(Happening::Over(Party::Gateway, HangupCause::Bug), now),
        }
    }

    /// Somebody, or a rule, ends the call.
    pub fn hang_up(&mut self, by: Party, cause: HangupCause, now: Now) {
        self.step(Happening::Over(by, cause), now);
    }

    /// Do not try this candidate when its turn comes (the agent has taken another call). Without
    /// effect once it was tried.
    pub fn withdraw(&mut self, leg: LegId) {
        if leg != LegId::FIRST
            && let Some(leg) = self.legs.get_mut(usize::from(leg.0)).filter(|leg| leg.state == LegState::Waiting)
        {
            leg.state = LegState::Gone;
        }
    }

    /// The deadline of [`poll_timeout`](Self::poll_timeout) has passed. Each deadline is said once.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((_, timer)) = self.poll_timeout().filter(|(at, _)| *at <= now.mono) {
            let happening = match timer {
                Timer::MediaSetup => {
                    self.deadlines.media_setup = None;
                    Happening::Over(Party::Gateway, HangupCause::MediaFailed)
                }
                Timer::Ring => {
                    self.deadlines.ring = None;
                    match self.handover {
                        Some(handover) => Happening::HandOver(Step::NewOut(self.silence(Some(handover.to)))),
                        None => Happening::CandidateOut(self.silence(self.candidate)),
                    }
                }
                Timer::Key => {
                    self.deadlines.key = None;
                    Happening::NoKey
                }
                Timer::MediaLost => self.take_lost_leg(now),
                Timer::MaxDuration => {
                    self.deadlines.max_duration = None;
                    Happening::Over(Party::Gateway, HangupCause::TooLong)
                }
                Timer::EndLimit => {
                    self.deadlines.end_limit = None;
                    Happening::Enough
                }
            };
            self.step(happening, now);
        }
    }

    /// What it means that whoever is rung has not answered in time: it rang for nobody, or there was no way to it.
    fn silence(&self, leg: Option<LegId>) -> HangupCause {
        let candidate = leg.and_then(|leg| self.legs.get(usize::from(leg.0)));
        if candidate.is_some_and(|leg| leg.rang) { HangupCause::NoAnswer } else { HangupCause::Unreachable }
    }

    /// The leg whose grace is over.
    fn take_lost_leg(&mut self, now: Now) -> Happening {
        let lost = self.legs.iter().position(|leg| leg.grace_until.is_some_and(|at| at <= now.mono));
        let Some(index) = lost else { return Happening::Quiet };
        if let Some(leg) = self.legs.get_mut(index) {
            leg.grace_until = None;
        }
        self.out(leg_id(index), HangupCause::MediaLost)
    }

    /// The next order.
    pub fn poll_command(&mut self) -> Option<CallCommand> {
        self.commands.pop_front()
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<CallEvent> {
        self.events.pop_front()
    }

    /// The next deadline, and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let lost = self.legs.iter().filter_map(|leg| leg.grace_until).min();
        let lost = lost.map(|at| (at, Timer::MediaLost));
        self.deadlines.next().into_iter().chain(lost).min()
    }

    /// Where the call stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// What was asked for.
    pub fn spec(&self) -> &CallSpec {
        &self.spec
    }

    /// The candidate being tried or talking.
    pub fn candidate(&self) -> Option<LegId> {
        self.candidate
    }

    /// Events that came dead, late or twice.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Digits and holds left out because the driver did not drain.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Legs that were opened and never said that they are gone; after the end, those given up.
    pub fn unfinished(&self) -> impl Iterator<Item = LegId> + '_ {
        let left = self.legs.iter().enumerate().filter(|(_, leg)| leg.opened && leg.state != LegState::Gone);
        left.map(|(index, _)| leg_id(index))
    }

    /// The record as it would be if the process died now; after the end, the final one.
    pub fn record(&self, now: Now) -> CallRecord {
        self.times.record(self, now)
    }

    /// Whose leg this is.
    pub(crate) fn party(&self, leg: LegId) -> Party {
        let found = self.legs.get(usize::from(leg.0));
        if let Some(before) = found.and_then(|leg| leg.stands_for) {
            return self.party(before);
        }
        match (self.spec.plan, found.map(|leg| &leg.spec.kind)) {
            (Plan::CallBack { first }, _) if leg == LegId::FIRST => first,
            (Plan::CallBack { first: Party::Visitor }, _) => Party::Agent,
            (Plan::CallBack { first: Party::Agent | Party::Gateway }, _) => Party::Visitor,
            (Plan::Talk | Plan::Inbound, Some(crate::LegKind::Browser)) => Party::Visitor,
            (Plan::Talk | Plan::Inbound, Some(crate::LegKind::Agent { .. } | crate::LegKind::Trunk { .. }) | None) => {
                Party::Agent
            }
        }
    }

    pub(crate) fn is_call_back(&self) -> bool {
        matches!(self.spec.plan, Plan::CallBack { .. })
    }

    pub(crate) fn blame_candidate(&self, cause: HangupCause) -> Party {
        cause.blame(self.candidate.map_or(Party::Agent, |leg| self.party(leg)))
    }

    /// Whether everybody we wait for at the end is gone.
    pub(crate) fn rest(&self) -> State {
        if self.bridge_gone && self.unfinished().next().is_none() { State::Ended } else { State::Ending }
    }
}

/// There are never more than [`MAX_CANDIDATES`] and one.
pub(crate) fn leg_id(index: usize) -> LegId {
    LegId(u8::try_from(index).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests;
