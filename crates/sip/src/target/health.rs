//! Health of one target, with hysteresis: one bad sign makes it degraded, three in a row make it down, two good ones in a
//! row make it up again.
//!
//! ```text
//!            good             bad                bad bad
//! Unknown ─────────► Up ────────────► Degraded ──────────► Down
//!                    ▲ ▲   good good     │                  │
//!                    │ └─────────────────┘                  │
//!                    └──────────────── good good ───────────┘
//! ```
//! A target that has never answered OPTIONS is not taken for dead because it does not: many a PBX drops what it does not
//! know the sender of. Calls alone judge it, and when they have found it down, time lets it be tried again.

use std::time::{Duration, Instant};

/// Bad signs in a row that make a target down.
const BAD_MAX: u8 = 3;
/// Good signs in a row that make it up again.
const GOOD_MIN: u8 = 2;
/// A call that met silence or a closed port weighs as two probes: it was sent three times, or not at all.
const CALL_WEIGHT: u8 = 2;
/// Where only calls tell, one that is down is tried again after this; doubles.
const REST: Duration = Duration::from_secs(15);
/// The longest such rest.
const REST_MAX: Duration = Duration::from_secs(120);
/// Longest Retry-After that keeps calls away: a PBX that names an hour is looked at sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Words kept of an error.
const ERROR_MAX: usize = 200;

/// How a target is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// It answers.
    Up,
    /// Nothing has been heard of it yet, and it is used.
    Unknown,
    /// It has failed of late, or says that it has too much to do; used when nothing better is there.
    Degraded,
    /// It does not answer: not used.
    Down,
}

impl State {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct Health {
    state: State,
    since: Instant,
    bad: u8,
    good: u8,
    /// It has answered an OPTIONS.
    probes_tell: bool,
    /// Times in a row that it was found down by calls alone.
    rests: u32,
    /// Until then it is left alone.
    rest_until: Option<Instant>,
    last_error: Option<String>,
}

impl Health {
    /// One nothing is known of.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Unknown,
            since: now,
            bad: 0,
            good: 0,
            probes_tell: false,
            rests: 0,
            rest_until: None,
            last_error: None,
        }
    }

    /// How it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// What went wrong last, in words.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Whether OPTIONS says something about it.
    pub fn probes_tell(&self) -> bool {
        self.probes_tell
    }

    /// Whether a call may be sent there now.
    pub fn is_usable(&self, now: Instant) -> bool {
        let rests = self.rest_until.is_some_and(|until| now < until);
        match self.state {
            State::Up | State::Unknown | State::Degraded => !rests,
            // By probes it comes back by itself; else one call after the other tries it.
            State::Down => !self.probes_tell && !rests,
        }
    }

    /// An OPTIONS was answered.
    pub fn probe_answered(&mut self, now: Instant) {
        self.probes_tell = true;
        self.good(now);
    }

    /// An OPTIONS was not answered.
    pub fn probe_failed(&mut self, why: &str, now: Instant) {
        if self.probes_tell {
            self.bad(1, why, now);
        } else {
            self.note(why);
        }
    }

    /// A call met silence or a closed port.
    pub fn call_failed(&mut self, why: &str, now: Instant) {
        self.bad(CALL_WEIGHT, why, now);
        if self.state == State::Down && !self.probes_tell {
            let rest = REST.saturating_mul(1 << self.rests.min(8)).min(REST_MAX);
            self.rests = self.rests.saturating_add(1);
            self.rest_until = Some(now + rest);
        }
    }

    /// It answered a call, whatever it said but 503: it lives.
    pub fn call_answered(&mut self, now: Instant) {
        self.good(now);
    }

    /// It answered 503: it lives, and has too much to do. With Retry-After it is left alone for so long (RFC 3261 §21.5.4).
    pub fn overloaded(&mut self, why: &str, retry_after: Option<Duration>, now: Instant) {
        self.note(why);
        self.good = 0;
        if let Some(after) = retry_after {
            self.rest_until = Some(now + after.min(RETRY_AFTER_MAX));
        }
        match self.state {
            State::Up | State::Unknown => self.become_(State::Degraded, now),
            State::Degraded | State::Down => {}
        }
    }

    /// Nobody probes it any more, or the other way round: what OPTIONS said does not count.
    pub fn forget_probes(&mut self) {
        self.probes_tell = false;
    }

    fn good(&mut self, now: Instant) {
        self.bad = 0;
        self.good = self.good.saturating_add(1);
        match self.state {
            State::Up => {}
            State::Unknown => self.become_(State::Up, now),
            State::Degraded | State::Down if self.good >= GOOD_MIN => {
                self.rest_until = None;
                self.rests = 0;
                self.become_(State::Up, now);
            }
            State::Degraded | State::Down => {}
        }
    }

    fn bad(&mut self, weight: u8, why: &str, now: Instant) {
        self.note(why);
        self.good = 0;
        self.bad = self.bad.saturating_add(weight);
        match self.state {
            State::Up | State::Unknown | State::Degraded if self.bad >= BAD_MAX => self.become_(State::Down, now),
            State::Up | State::Unknown => self.become_(State::Degraded, now),
            State::Degraded | State::Down => {}
        }
    }

    fn note(&mut self, why: &str) {
        self.last_error = Some(why.chars().filter(|c| !c.is_control()).take(ERROR_MAX).collect());
    }

    fn become_(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
    }
}
