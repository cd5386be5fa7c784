//! The figures of one queue's call-backs, counted one by one (FEATURES §2.8).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use desk::{Callback, CallbackState, CancelledBy, FailReason, Outcome, Satisfaction, Spread};

use crate::commands::book::Tried;

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Share {
    pub(super) part: usize,
    pub(super) whole: usize,
}

impl Share {
    /// 0 to 1; `None` of nothing.
    pub(super) fn ratio(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }

    fn note(&mut self, is_part: bool) {
        self.whole += 1;
        self.part += usize::from(is_part);
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ratio() {
            Some(ratio) => write!(f, "{} of {} ({:.1} %)", self.part, self.whole, ratio * 100.0),
            None => f.write_str("-"),
        }
    }
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Asked for.
    pub(super) asked: usize,
    /// Not over yet.
    pub(super) open: usize,
    /// Whose first try reached them, of those that were tried.
    pub(super) first_try: Share,
    /// Tries nobody knows the end of, of all that are over.
    pub(super) in_doubt: Share,
    /// Tries of whose call there is no record, or one that breaks off.
    pub(super) without_record: usize,
    /// Those that are over, by the words of their state.
    ends: BTreeMap<(&'static str, Option<&'static str>), usize>,
    /// Tries that count, of those that were completed.
    tries_of_completed: usize,
    agent_waited_ms: u64,
    /// From asking to talking, of those asked for as soon as possible.
    delays_ms: Vec<i64>,
    /// From the promised moment to the first ring, of those who chose one.
    punctuality_ms: Vec<i64>,
}

impl Figures {
    /// One more, with what is known of its tries.
    pub(super) fn note(&mut self, callback: &Callback, tried: &[Option<Tried<'_>>]) {
        let (state, wish, attempts) = (callback.state(), callback.wish(), callback.attempts());
        self.asked += 1;
        if state.is_over() {
            *self.ends.entry((state.code(), state.detail())).or_default() += 1;
        } else {
            self.open += 1;
        }
        if let Some(outcome) = attempts.first().and_then(|first| first.outcome) {
            self.first_try.note(outcome == Outcome::Reached);
        }
        for (attempt, tried) in attempts.iter().zip(tried) {
            let Some(outcome) = attempt.outcome else { continue };
            self.in_doubt.note(outcome == Outcome::InDoubt);
            match tried {
                Some(tried) => self.agent_waited_ms = self.agent_waited_ms.saturating_add(tried.agent_waited_ms()),
                None => self.without_record += 1,
            }
        }
        if state == CallbackState::Completed {
            self.tries_of_completed += callback.counted();
        }
        let connected = tried.iter().flatten().find_map(Tried::connected_unix_ms);
        let rung = attempts.first().map(|first| first.at_unix_ms);
        let after = |at: u64| signed(at).saturating_sub(signed(wish.promised_unix_ms));
        if wish.wanted.is_none() {
            self.delays_ms.extend(connected.map(after));
        } else {
            self.punctuality_ms.extend(rung.map(after));
        }
    }

    fn ended(&self, state: CallbackState) -> usize {
        self.ends.get(&(state.code(), state.detail())).copied().unwrap_or(0)
    }

    /// Those that are over, but for those who talked on the site before anybody had to call.
    fn over(&self) -> usize {
        self.ends.values().sum::<usize>() - self.served()
    }

    /// Who talked on the site before his turn came.
    pub(super) fn served(&self) -> usize {
        self.ended(CallbackState::Served)
    }

    pub(super) fn cancelled(&self, by: CancelledBy) -> usize {
        self.ended(CallbackState::Cancelled(by))
    }

    pub(super) fn failed(&self, why: FailReason) -> usize {
        self.ended(CallbackState::Failed(why))
    }

    /// Of those that are over.
    pub(super) fn completed_share(&self) -> Share {
        Share { part: self.ended(CallbackState::Completed), whole: self.over() }
    }

    /// Of those that are over.
    pub(super) fn expired_share(&self) -> Share {
        Share { part: self.ended(CallbackState::Expired), whole: self.over() }
    }

    pub(super) fn tries_per_completion(&self) -> Option<f64> {
        Share { part: self.tries_of_completed, whole: self.ended(CallbackState::Completed) }.ratio()
    }

    /// How long agents listened to customers' ringing, in all tries, for each that was completed.
    pub(super) fn agent_wait_ms(&self) -> Option<u64> {
        self.agent_waited_ms.checked_div(u64::try_from(self.ended(CallbackState::Completed)).unwrap_or(u64::MAX))
    }

    pub(super) fn delay(&self) -> Option<Spread> {
        Spread::of(self.delays_ms.iter().copied())
    }

    pub(super) fn punctuality(&self) -> Option<Spread> {
        Spread::of(self.punctuality_ms.iter().copied())
    }

    /// Rung no more than so many minutes before or after the promised moment.
    pub(super) fn punctual_within(&self, minutes: u64) -> Share {
        let within = |ms: &&i64| ms.unsigned_abs() <= minutes * 60_000;
        Share { part: self.punctuality_ms.iter().filter(within).count(), whole: self.punctuality_ms.len() }
    }

    /// What the delays cost by the curve, on average.
    pub(super) fn loss(&self, curve: Satisfaction) -> Option<f64> {
        let delay = |ms: &i64| Duration::from_millis(u64::try_from(*ms).unwrap_or(0));
        let sum: f64 = self.delays_ms.iter().map(|ms| curve.loss(delay(ms))).sum();
        (!self.delays_ms.is_empty()).then(|| sum / self.delays_ms.len() as f64)
    }
}

fn signed(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms).unwrap_or(i64::MAX)
}
