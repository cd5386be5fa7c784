//! How long a call-back will wait, as its visitor is told: from who works, how long calls last, and who comes before him.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desk::{CallbackId, CallbackState, Load, Wait};
use store::KeptCallback;
use web::{Refusal, WaitView, refusal};

use super::{Callbacks, Line};
use crate::clock;
use crate::observe::metric::{self, Metric};

/// Who waits on this node for one queue, and who is being called.
#[derive(Debug, Default)]
pub(super) struct LineUp {
    /// How many come before each of those who wait.
    pub(super) before: HashMap<CallbackId, usize>,
    /// Since when the others are in hand.
    pub(super) in_hand_since_unix_ms: Vec<u64>,
    /// So many of the tenant are open that one more is refused.
    pub(super) is_full: bool,
}

/// The line-up of each queue: written by the clerk, read at the door.
#[derive(Debug)]
pub(super) struct LineUps(Vec<Arc<Mutex<LineUp>>>);

impl LineUps {
    pub(super) fn of(lines: &[Line]) -> Self {
        Self(lines.iter().map(|_| Arc::default()).collect())
    }

    /// So many; those that are there stay.
    pub(super) fn with(&self, lines: usize) -> Self {
        Self((0..lines).map(|at| self.0.get(at).map_or_else(Arc::default, Arc::clone)).collect())
    }

    pub(super) fn show(&self, line: usize, line_up: LineUp) {
        if let Some(shown) = self.0.get(line) {
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = line_up;
        }
    }
}

impl Callbacks {
    /// The range for somebody who would ask now.
    pub(super) fn wait_now(&self, line: &Line) -> Option<Wait> {
        self.wait(line, |line_up| Some(line_up.before.len()))
    }

    /// The range for one that waits for its turn; `None` for any other.
    pub(super) fn wait_of(&self, line: &Line, kept: &KeptCallback) -> Option<Wait> {
        let callback = &kept.callback;
        let is_due = callback.due_unix_ms().is_some_and(|at| at <= clock::unix_ms());
        if callback.state() != CallbackState::Queued && !is_due {
            return None;
        }
        // What another node holds comes after all that wait here, for want of better knowledge.
        self.wait(line, |line_up| Some(line_up.before.get(&callback.id()).copied().unwrap_or(line_up.before.len())))
    }

    /// Whether one more would be refused, by the clerk's last count.
    pub(super) fn is_full(&self, line: &Line) -> bool {
        let at = self.lines.iter().position(|known| std::ptr::eq(known, line));
        let line_up = at.and_then(|at| self.line_ups.0.get(at));
        line_up.is_some_and(|line_up| line_up.lock().unwrap_or_else(PoisonError::into_inner).is_full)
    }

    /// Why nobody is taken as soon as possible, though it is the hour: the queue is paused, or too many wait.
    pub(super) fn no_asap(&self, line: &Line) -> Option<Refusal> {
        if self.pause_of(line).is_some() {
            return (!line.config.asap_while_paused).then_some(refusal::PAUSED);
        }
        let longest = line.config.wait_max?;
        self.wait_now(line).is_some_and(|wait| wait.p90 > longest).then_some(refusal::ASAP_FULL)
    }

    fn wait(&self, line: &Line, before: impl FnOnce(&LineUp) -> Option<usize>) -> Option<Wait> {
        // Nobody knows how long a pause lasts.
        if self.pause_of(line).is_some() {
            return None;
        }
        let at = self.lines.iter().position(|known| std::ptr::eq(known, line))?;
        let view = line.context.desk.view();
        let load = view.loads.get(&line.queue)?;
        let line_up = self.line_ups.0.get(at)?.lock().unwrap_or_else(PoisonError::into_inner);
        let before = before(&line_up)?;
        if load.agents_known {
            drop(line_up);
            return load.estimate(before, clock::unix_ms());
        }
        // A PBX has agents of its own; what is known is how many it is given at once.
        let busy_since_unix_ms = line_up.in_hand_since_unix_ms.clone();
        let free = line.config.at_once_max.saturating_sub(busy_since_unix_ms.len());
        drop(line_up);
        let load = Load { free, busy_since_unix_ms, ..load.clone() };
        load.estimate(before, clock::unix_ms())
    }
}

/// As a page is told.
pub(super) fn shown(wait: Wait) -> WaitView {
    WaitView { p50_s: wait.p50.as_secs(), p90_s: wait.p90.as_secs() }
}

/// His phone is about to ring for the first time: what he was told is held against how long it took.
pub(super) fn score(told: Option<Wait>, asked_unix_ms: u64, now_unix_ms: u64) {
    let Some(told) = told else { return };
    let waited = Duration::from_millis(now_unix_ms.saturating_sub(asked_unix_ms));
    let (_, longest_minutes) = told.minutes();
    // He was told whole minutes, and "at once" is told as the first of them.
    let kept = waited <= Duration::from_secs(60 * longest_minutes.max(1));
    metric::count_with(Metric::CallbackWaitsTold, if kept { "kept" } else { "longer" });
}
