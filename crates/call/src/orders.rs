//! What the table orders: each function says the commands of one move and notes that they were said.

use std::time::Instant;

use crate::call::leg_id;
use crate::leg::LegState;
use crate::{
    BridgeCommand, Call, CallCommand, CallEvent, Digit, HangupCause, LegCommand, LegId, LegKind, Now, Party, Plan,
    State, Timer,
};

/// When the call must be woken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadlines {
    pub(crate) media_setup: Option<Instant>,
    pub(crate) ring: Option<Instant>,
    pub(crate) key: Option<Instant>,
    pub(crate) max_duration: Option<Instant>,
    pub(crate) end_limit: Option<Instant>,
}

impl Deadlines {
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        let all = [
            (self.media_setup, Timer::MediaSetup),
            (self.ring, Timer::Ring),
            (self.key, Timer::Key),
            (self.max_duration, Timer::MaxDuration),
            (self.end_limit, Timer::EndLimit),
        ];
        all.into_iter().filter_map(|(at, timer)| at.map(|at| (at, timer))).min()
    }
}

impl Call {
    pub(crate) fn open_first(&mut self, now: Now) {
        if let Some(first) = self.legs.first_mut() {
            first.open();
        }
        match self.spec.plan {
            Plan::Talk => {
                self.deadlines.media_setup = Some(now.mono + self.spec.media_setup_limit);
                self.order(LegId::FIRST, LegCommand::Open);
            }
            // It called us: it is open.
            Plan::Inbound | Plan::CallBack { .. } => {}
        }
    }

    /// A call-back's first leg is invited like a candidate; its answer is the call's second half.
    pub(crate) fn ring_first(&mut self, now: Now) {
        let Some(first) = self.legs.first_mut() else { return };
        first.open();
        self.deadlines.ring = Some(now.mono + first.spec.ring_limit);
        self.candidate = Some(LegId::FIRST);
        self.order(LegId::FIRST, LegCommand::Invite);
    }

    /// The first leg has answered: a person, or a PBX's queue with its music. Says whether that is enough.
    pub(crate) fn is_taken_by_answering(&mut self, now: Now) -> bool {
        self.deadlines.ring = None;
        self.deadlines.key = self.spec.key_limit.map(|limit| now.mono + limit);
        if self.deadlines.key.is_some() {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Prompt { to: LegId::FIRST, on: true }));
        }
        self.deadlines.key.is_none()
    }

    pub(crate) fn stop_asking(&mut self) {
        self.deadlines.key = None;
        self.commands.push_back(CallCommand::Bridge(BridgeCommand::Prompt { to: LegId::FIRST, on: false }));
    }

    /// Invites the next candidate that was not withdrawn; says whether there was one.
    pub(crate) fn invite_next(&mut self, now: Now) -> bool {
        let tried = self.candidate.map_or(0, |leg| usize::from(leg.0));
        let mut rest = self.legs.iter_mut().enumerate().skip(tried + 1);
        let Some((index, leg)) = rest.find(|(_, leg)| leg.state == LegState::Waiting) else {
            return false;
        };
        leg.open();
        self.deadlines.ring = Some(now.mono + leg.spec.ring_limit);
        let id = leg_id(index);
        self.candidate = Some(id);
        self.order(id, LegCommand::Invite);
        self.events.push_back(CallEvent::Trying { leg: id });
        // The visitor heard it ring, or somebody's early sound that has stopped: ringing goes on.
        if self.ring_told || self.progress_told {
            self.play_ringback();
        }
        true
    }

    pub(crate) fn show_ringing(&mut self, now: Now) {
        if !self.note_ringing(now) {
            return;
        }
        if !std::mem::replace(&mut self.ring_told, true) && !self.is_call_back() {
            self.order(LegId::FIRST, LegCommand::Ring);
        }
        // 180 after 183: the early sound goes on (RFC 3960 §3.2).
        if !self.connected {
            self.play_ringback();
        }
    }

    pub(crate) fn let_early_sound_through(&mut self, now: Now) {
        self.note_ringing(now);
        let Some(candidate) = self.candidate.filter(|_| !self.connected) else { return };
        self.stop_ringback();
        if !std::mem::replace(&mut self.progress_told, true) && !self.is_call_back() {
            self.order(LegId::FIRST, LegCommand::Progress);
        }
        self.connect(candidate);
    }

    pub(crate) fn bridge(&mut self, now: Now) {
        let Some(candidate) = self.candidate else { return };
        self.times.answered = Some(now);
        for leg in [self.first, candidate] {
            if let Some(leg) = self.legs.get_mut(usize::from(leg.0)) {
                leg.joined = Some(now);
            }
        }
        self.deadlines.ring = None;
        self.deadlines.max_duration = Some(now.mono + self.spec.max_duration);
        self.stop_ringback();
        // In a call-back the first leg has answered itself, and nobody waits to be told.
        if !self.is_call_back() {
            self.order(LegId::FIRST, LegCommand::Answered);
        }
        if !self.connected {
            self.connect(candidate);
        }
        self.events.push_back(CallEvent::Answered { leg: candidate });
    }

    /// The candidate did not answer, or failed: forget him, and note what to tell if he was the last.
    pub(crate) fn let_candidate_go(&mut self, cause: HangupCause) {
        // Gone without an answer and without a reason is a refusal.
        let cause = if cause == HangupCause::Normal { HangupCause::Refused } else { cause };
        self.deadlines.ring = None;
        if std::mem::replace(&mut self.connected, false) {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Disconnect));
        }
        if let Some(candidate) = self.candidate {
            self.end_leg(candidate, cause);
        }
        let worst = self.failure.filter(|failure| failure.rank() <= cause.rank());
        self.failure = worst.or(Some(cause));
    }

    pub(crate) fn wind_down_for_want_of_an_answer(&mut self, now: Now) -> State {
        let cause = self.failure.unwrap_or(HangupCause::NoAgent);
        self.wind_down(self.blame_candidate(cause), cause, now)
    }

    /// Hung up: every live leg is told to end, the bridge to close. Called once a call.
    pub(crate) fn wind_down(&mut self, by: Party, cause: HangupCause, now: Now) -> State {
        let cause = match (cause, self.times.answered) {
            // RFC 3261 §9: who hangs up before the answer cancels.
            (HangupCause::Normal, None) => HangupCause::Cancelled,
            (cause, None | Some(_)) => cause,
        };
        self.outcome = Some((by, cause));
        self.times.ended = Some(now);
        for index in 0..self.legs.len() {
            self.end_leg(leg_id(index), cause);
        }
        if !self.bridge_gone {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Close));
        }
        (self.connected, self.ringback) = (false, false);
        self.handover = None;
        self.deadlines = Deadlines { end_limit: Some(now.mono + self.spec.end_limit), ..Deadlines::default() };
        self.rest()
    }

    pub(crate) fn note_hold(&mut self, by: LegId, on: bool) {
        if let Some(leg) = self.legs.get_mut(usize::from(by.0)) {
            leg.held = on;
        }
        self.commands.push_back(CallCommand::Bridge(BridgeCommand::Hold { leg: by, on }));
    }

    pub(crate) fn hold(&mut self, by: LegId, on: bool) {
        self.note_hold(by, on);
        if let Some(other) = self.other(by) {
            self.order(other, LegCommand::ShowHeld(on));
        }
        self.events.push_back(CallEvent::Held { by, on });
    }

    /// Keys go through wherever sound does: also to a menu that speaks before it answers.
    pub(crate) fn pass_digit(&mut self, from: LegId, digit: Digit) {
        if let Some(other) = self.other(from).filter(|_| self.connected) {
            self.order(other, LegCommand::Digit(digit));
            self.events.push_back(CallEvent::Digit { from, digit });
        }
    }

    /// Notes that this candidate rings; says whether that is news.
    pub(crate) fn note_ringing(&mut self, now: Now) -> bool {
        let Some(leg) = self.candidate else { return false };
        let Some(seen) = self.legs.get_mut(usize::from(leg.0)) else { return false };
        if std::mem::replace(&mut seen.rang, true) {
            return false;
        }
        if leg != LegId::FIRST {
            self.times.ringing_unix_ms.get_or_insert(now.unix_ms);
        }
        self.events.push_back(CallEvent::Ringing { leg });
        true
    }

    /// A phone that was told 180 makes its own tone, unless our sound has already replaced it; one that has answered
    /// hears ours.
    fn play_ringback(&mut self) {
        let is_ours = self.spec.first.kind == LegKind::Browser || self.is_call_back() || self.progress_told;
        if is_ours && !std::mem::replace(&mut self.ringback, true) {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Ringback { to: LegId::FIRST, on: true }));
        }
    }

    fn stop_ringback(&mut self) {
        if std::mem::replace(&mut self.ringback, false) {
            self.commands.push_back(CallCommand::Bridge(BridgeCommand::Ringback { to: LegId::FIRST, on: false }));
        }
    }

    pub(crate) fn connect(&mut self, candidate: LegId) {
        self.connected = true;
        self.commands.push_back(CallCommand::Bridge(BridgeCommand::Connect { a: self.first, b: candidate }));
    }

    pub(crate) fn end_leg(&mut self, id: LegId, cause: HangupCause) {
        if let Some(leg) = self.legs.get_mut(usize::from(id.0)).filter(|leg| leg.is_live()) {
            leg.told_to_end(cause);
            self.commands.push_back(CallCommand::Leg(id, LegCommand::End(cause)));
        }
    }

    pub(crate) fn order(&mut self, leg: LegId, command: LegCommand) {
        if self.legs.get(usize::from(leg.0)).is_some_and(super::leg::Leg::is_live) {
            self.commands.push_back(CallCommand::Leg(leg, command));
        }
    }

    pub(crate) fn other(&self, leg: LegId) -> Option<LegId> {
        if leg == self.first { self.candidate } else { Some(self.first) }
    }
}
