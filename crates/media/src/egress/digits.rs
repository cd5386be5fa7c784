//! Digits towards a leg (RFC 4733 §2.5.1): forwarded as they are pressed on the other leg, or made here from a queue.

use super::{Egress, SendPlan};
use crate::dtmf::{Digit, EventPayload, Phase, Progress};
use crate::outbox::Outbox;
use crate::packet::RtpTime;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Interval between the packets of a digit made here, and between the last copies of an end.
const INTERVAL: Duration = Duration::from_millis(20);
/// Length of a digit made here, in eighths of a millisecond: 100 ms.
const OWN_EIGHTHS_MS: u32 = 800;
/// A digit whose beginning was lost is sent with its whole length up to one second; what came before counts for a
/// longer one only from here on.
const MISSED_MAX_EIGHTHS_MS: u32 = 8_000;
/// Pause after a digit made here.
const PAUSE: Duration = Duration::from_millis(60);
/// Level of a digit made here: −10 dBm0.
const OWN_VOLUME: u8 = 10;
/// Copies of an end (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Digits that may wait.
const QUEUE_MAX: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Writing {
    digit: Digit,
    volume: u8,
    own: bool,
    /// Timestamp of the present segment.
    time: RtpTime,
    /// Ticks of the segments before it.
    before: u32,
    /// How far the digit had come on the other leg when it began on this one.
    missed_eighths_ms: u32,
    eighths_ms: u32,
    /// Ends still to be sent; all of them while the digit lasts.
    ends_left: u8,
    ended: bool,
    next_at: Option<Instant>,
}

/// The digits of one leg on their way out.
#[derive(Debug)]
pub(crate) struct DigitWriter {
    writing: Option<Writing>,
    queue: VecDeque<Digit>,
    /// When the next one of the queue may begin.
    free_at: Option<Instant>,
}

impl DigitWriter {
    pub(crate) fn new() -> Self {
        Self { writing: None, queue: VecDeque::with_capacity(QUEUE_MAX), free_at: None }
    }

    /// Whether a digit made here holds the line, so that no sound passes.
    pub(crate) fn own(&self) -> bool {
        self.writing.is_some_and(|writing| writing.own) || !self.queue.is_empty()
    }

    /// When the next packet is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.writing {
            Some(writing) => writing.next_at,
            None if self.queue.is_empty() => None,
            None => self.free_at,
        }
    }

    /// Forgets everything, with the leg.
    pub(crate) fn clear(&mut self) {
        self.writing = None;
        self.queue.clear();
        self.free_at = None;
    }
}

impl Egress {
    /// Queues a digit; false without telephone-event on this leg or when the queue is full.
    pub(crate) fn queue_digit(&mut self, digit: Digit, now: Instant) -> bool {
        let agreed = self.plan.is_some_and(|plan| plan.dtmf.is_some());
        if !agreed || self.digits.queue.len() >= QUEUE_MAX {
            return false;
        }
        self.digits.queue.push_back(digit);
        self.digits.free_at.get_or_insert(now);
        true
    }

    /// Passes on how a digit stands on the other leg.
    pub(crate) fn forward_digit(&mut self, progress: &Progress, now: Instant, outbox: &mut Outbox) {
        let Some(plan) = self.plan else { return };
        if plan.dtmf.is_none() || self.held {
            return;
        }
        let same = self.digits.writing.is_some_and(|writing| !writing.own && writing.digit == progress.digit);
        match progress.phase {
            Phase::Started => self.start_forwarded(&plan, progress, now, outbox),
            // Its beginning was lost, or was sent while this leg was not there.
            Phase::Lasting | Phase::Ended if !same => self.start_forwarded(&plan, progress, now, outbox),
            Phase::Lasting | Phase::Ended | Phase::EndedAgain => {}
        }
        let Some(mut writing) = self.digits.writing.filter(|writing| !writing.own && writing.digit == progress.digit)
        else {
            return;
        };
        match progress.phase {
            Phase::Started => return,
            Phase::Lasting if !same => return,
            Phase::Lasting => {
                writing.eighths_ms = writing.eighths_ms.max(progress.eighths_ms);
                self.write_event(&plan, &mut writing, false, now, outbox);
            }
            Phase::Ended => {
                writing.eighths_ms = writing.eighths_ms.max(progress.eighths_ms);
                self.write_end(&plan, &mut writing, now, outbox);
            }
            Phase::EndedAgain => {
                if writing.ended {
                    self.write_end(&plan, &mut writing, now, outbox);
                }
            }
        }
        self.keep(writing, now);
    }

    fn start_forwarded(&mut self, plan: &SendPlan, progress: &Progress, now: Instant, outbox: &mut Outbox) {
        self.finish_digit(now, outbox);
        let mut writing = Writing {
            digit: progress.digit,
            volume: progress.volume,
            own: false,
            time: self.position(now),
            before: 0,
            missed_eighths_ms: if progress.eighths_ms > MISSED_MAX_EIGHTHS_MS { progress.eighths_ms } else { 0 },
            eighths_ms: progress.eighths_ms,
            ends_left: ENDS,
            ended: false,
            next_at: None,
        };
        // Also when only its end came: Chromium sends short digits as three ends, and a phone that waits for a
        // beginning (baresip) would never hear of them.
        self.write_event(plan, &mut writing, true, now, outbox);
        self.digits.writing = Some(writing);
    }

    /// The other leg's digit is over without an end: end it here.
    pub(crate) fn end_forwarded(&mut self, now: Instant, outbox: &mut Outbox) {
        let Some(plan) = self.plan else { return };
        if let Some(mut writing) = self.digits.writing.filter(|writing| !writing.own && !writing.ended) {
            self.write_end(&plan, &mut writing, now, outbox);
            self.keep(writing, now);
        }
    }

    /// Sends whatever ends are still owed, at once: another digit begins.
    fn finish_digit(&mut self, now: Instant, outbox: &mut Outbox) {
        let (Some(plan), Some(mut writing)) = (self.plan, self.digits.writing.take()) else { return };
        while writing.ends_left > 0 {
            self.write_end(&plan, &mut writing, now, outbox);
        }
    }

    fn keep(&mut self, writing: Writing, now: Instant) {
        if writing.ends_left > 0 {
            self.digits.writing = Some(writing);
            return;
        }
        self.digits.writing = None;
        self.digits.free_at = Some(now + PAUSE);
        if writing.own {
            // The sound that follows takes up where the clock is.
            self.feed = super::Feed::Idle;
        }
    }

    /// A deadline of [`DigitWriter::deadline`] may have passed.
    pub(crate) fn tick_digits(&mut self, now: Instant, outbox: &mut Outbox) {
        let Some(plan) = self.plan else { return };
        if self.digits.deadline().is_none_or(|at| now < at) {
            return;
        }
        let Some(mut writing) = self.digits.writing.or_else(|| self.next_own(now)) else { return };
        if writing.own && !writing.ended {
            let first = writing.eighths_ms == 0;
            writing.eighths_ms += 8 * INTERVAL.as_millis() as u32;
            if writing.eighths_ms >= OWN_EIGHTHS_MS {
                self.write_end(&plan, &mut writing, now, outbox);
            } else {
                self.write_event(&plan, &mut writing, first, now, outbox);
            }
            writing.next_at = Some(now + INTERVAL);
        } else {
            self.write_end(&plan, &mut writing, now, outbox);
        }
        self.keep(writing, now);
    }

    fn next_own(&mut self, now: Instant) -> Option<Writing> {
        let digit = self.digits.queue.pop_front()?;
        Some(Writing {
            digit,
            volume: OWN_VOLUME,
            own: true,
            time: self.position(now),
            before: 0,
            missed_eighths_ms: 0,
            eighths_ms: 0,
            ends_left: ENDS,
            ended: false,
            next_at: Some(now),
        })
    }

    fn write_end(&mut self, plan: &SendPlan, writing: &mut Writing, now: Instant, outbox: &mut Outbox) {
        writing.ended = true;
        writing.ends_left = writing.ends_left.saturating_sub(1);
        // The copies follow each other at the interval of the updates; those of the other leg set the pace when they come.
        writing.next_at = (writing.ends_left > 0).then_some(now + INTERVAL);
        self.write_event(plan, writing, false, now, outbox);
    }

    fn write_event(&mut self, plan: &SendPlan, writing: &mut Writing, first: bool, now: Instant, outbox: &mut Outbox) {
        let Some(format) = plan.dtmf else { return };
        let eighths_ms = writing.eighths_ms.saturating_sub(writing.missed_eighths_ms);
        let ticks = u64::from(eighths_ms) * u64::from(format.clock_hz) / 8_000;
        let mut ticks = u32::try_from(ticks).unwrap_or(u32::MAX).saturating_sub(writing.before);
        // RFC 4733 §2.5.1.3: the counter is full, the event goes on in a new segment.
        while ticks > u32::from(u16::MAX) {
            let full =
                EventPayload { event: writing.digit.event(), end: false, volume: writing.volume, duration: u16::MAX };
            self.send(plan, format.pt, false, writing.time, &full.encode(), now, outbox);
            writing.time = writing.time.plus(u32::from(u16::MAX));
            writing.before = writing.before.saturating_add(u32::from(u16::MAX));
            ticks -= u32::from(u16::MAX);
        }
        let payload = EventPayload {
            event: writing.digit.event(),
            end: writing.ended,
            volume: writing.volume,
            duration: u16::try_from(ticks).unwrap_or(u16::MAX),
        };
        self.send(plan, format.pt, first, writing.time, &payload.encode(), now, outbox);
    }
}
