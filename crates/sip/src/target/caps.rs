//! Caps of a trunk: calls begun in any one second, and calls at once.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// The span in which `per_second` calls may begin.
const SPAN: Duration = Duration::from_secs(1);

/// Which cap is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Full {
    /// As many calls began within the last second as may.
    PerSecond,
    /// As many calls are up as may be.
    AtOnce,
}

impl Full {
    /// A short stable name for counters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PerSecond => "calls-per-second",
            Self::AtOnce => "calls-at-once",
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerSecond => "as many calls began in this second as the trunk takes",
            Self::AtOnce => "as many calls are up as the trunk takes",
        })
    }
}

/// How many calls a trunk takes.
#[derive(Clone, Debug)]
pub struct Caps {
    per_second: Option<usize>,
    at_once: Option<usize>,
    up: usize,
    /// When the last `per_second` calls began, the oldest first.
    begun: VecDeque<Instant>,
}

impl Caps {
    /// `None`: no such cap.
    pub fn new(per_second: Option<usize>, at_once: Option<usize>) -> Self {
        Self { per_second, at_once, up: 0, begun: VecDeque::new() }
    }

    /// Other caps from now on; what is up stays up.
    pub fn limit(&mut self, per_second: Option<usize>, at_once: Option<usize>) {
        (self.per_second, self.at_once) = (per_second, at_once);
    }

    /// Whether a call may begin now.
    pub fn check(&self, now: Instant) -> Result<(), Full> {
        if self.at_once.is_some_and(|most| self.up >= most) {
            return Err(Full::AtOnce);
        }
        let within = self.begun.iter().filter(|at| now.saturating_duration_since(**at) < SPAN).count();
        if self.per_second.is_some_and(|most| within >= most) {
            return Err(Full::PerSecond);
        }
        Ok(())
    }

    /// A call begins. A second INVITE of the same call, to another target, counts again in the second, as it does for who
    /// receives it.
    pub fn begin(&mut self, now: Instant) -> Result<(), Full> {
        self.check(now)?;
        self.up += 1;
        if let Some(most) = self.per_second {
            self.begun.push_back(now);
            while self.begun.len() > most {
                self.begun.pop_front();
            }
        }
        Ok(())
    }

    /// A call that began is over.
    pub fn end(&mut self) {
        self.up = self.up.saturating_sub(1);
    }

    /// Calls that are up.
    pub fn up(&self) -> usize {
        self.up
    }
}
