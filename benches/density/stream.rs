//! One direction of one call: when frames were sent, when packets came, and which belongs to which.
//!
//! The gateway sends one packet for each it gets, under its own numbers. Within a call, the distance between its number
//! and the count of frames sent is therefore constant. That distance is the one most packets have when each is taken for
//! the answer to the last frame sent before it (20 ms apart, so right for every delay below 20 ms); with it, delays of
//! any length are measured. A gateway late by more than 20 ms most of the time would look better than it is: it is then
//! also out of CPU, which the table shows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The steady part of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    fn holds(self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// What one direction did in the window.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) delays: Vec<Duration>,
}

impl Outcome {
    pub(crate) fn lost(&self) -> u64 {
        self.sent - self.received
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.delays.extend(other.delays);
    }

    /// The delay that the share `of` (0 to 1) of packets stays under.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index: not negative, not large")]
    pub(crate) fn percentile(&self, of: f64) -> Duration {
        let mut delays = self.delays.clone();
        let at = (delays.len().saturating_sub(1) as f64 * of).round() as usize;
        if delays.is_empty() { Duration::ZERO } else { *delays.select_nth_unstable(at).1 }
    }
}

/// Times of one direction. Bounded by the length of a run.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    sent: Vec<Instant>,
    came: Vec<(i64, Instant)>,
    last_number: Option<(u16, i64)>,
}

impl Stream {
    pub(crate) fn note_sent(&mut self, at: Instant) {
        self.sent.push(at);
    }

    /// A packet came with this number of the gateway's.
    pub(crate) fn note_came(&mut self, number: u16, at: Instant) {
        let extended = match self.last_number {
            None => i64::from(number),
            Some((last, extended)) => extended + i64::from(number.wrapping_sub(last).cast_signed()),
        };
        self.last_number = Some((number, extended));
        self.came.push((extended, at));
    }

    pub(crate) fn has_heard(&self) -> bool {
        !self.came.is_empty()
    }

    /// Matches and measures.
    pub(crate) fn outcome(&self, window: Window) -> Outcome {
        let in_window = self.sent.iter().filter(|at| window.holds(**at)).count() as u64;
        let mut outcome = Outcome { sent: in_window, ..Outcome::default() };
        let Some(distance) = self.distance(window) else { return outcome };
        let mut seen = vec![false; self.sent.len()];
        for (number, at) in &self.came {
            let Ok(index) = usize::try_from(number - distance) else { continue };
            let Some(sent) = self.sent.get(index).filter(|sent| window.holds(**sent)) else { continue };
            // A copy is no second arrival; a packet older than its frame answers nothing.
            if *at >= *sent && !std::mem::replace(&mut seen[index], true) {
                outcome.received += 1;
                outcome.delays.push(*at - *sent);
            }
        }
        outcome
    }

    /// The gateway's number minus our count, as most packets in the window have it.
    fn distance(&self, window: Window) -> Option<i64> {
        let mut votes: BTreeMap<i64, usize> = BTreeMap::new();
        for (number, at) in self.came.iter().filter(|(_, at)| window.holds(*at)) {
            let before = self.sent.partition_point(|sent| sent <= at);
            if let Some(index) = before.checked_sub(1).and_then(|index| i64::try_from(index).ok()) {
                *votes.entry(number - index).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(distance, _)| distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// 500 frames; `fate` gives the delay of each, or its loss. The gateway's numbers begin before the wrap.
    fn run(fate: impl Fn(u32) -> Option<Duration>) -> Outcome {
        let start = Instant::now();
        let mut stream = Stream::default();
        let mut came = Vec::new();
        for frame in 0..500_u32 {
            let at = start + FRAME * frame;
            stream.note_sent(at);
            if let Some(delay) = fate(frame) {
                came.push((65_400_u16.wrapping_add(u16::try_from(frame).expect("small")), at + delay));
            }
        }
        came.sort_by_key(|(_, at)| *at);
        for (number, at) in came {
            stream.note_came(number, at);
        }
        stream.outcome(Window { from: start + FRAME * 100, to: start + FRAME * 400 })
    }

    #[test]
    fn delays_are_measured_across_the_wrap_of_numbers() {
        let outcome = run(|frame| Some(Duration::from_micros(100 + u64::from(frame))));
        assert_eq!((outcome.sent, outcome.received, outcome.lost()), (300, 300, 0));
        assert_eq!(outcome.percentile(0.0), Duration::from_micros(200));
        assert_eq!(outcome.percentile(1.0), Duration::from_micros(499));
    }

    #[test]
    fn a_lost_packet_is_counted_and_shifts_nobody_else() {
        let outcome = run(|frame| (frame % 50 != 7).then_some(Duration::from_millis(1)));
        assert_eq!((outcome.sent, outcome.lost()), (300, 6));
        assert_eq!(outcome.percentile(1.0), Duration::from_millis(1));
    }

    #[test]
    fn a_stall_longer_than_a_frame_is_seen_in_full() {
        let outcome = run(|frame| Some(Duration::from_millis(if (200..210).contains(&frame) { 130 } else { 1 })));
        assert_eq!((outcome.sent, outcome.lost()), (300, 0));
        assert_eq!(outcome.percentile(1.0), Duration::from_millis(130));
        assert_eq!(outcome.percentile(0.5), Duration::from_millis(1));
    }

    #[test]
    fn silence_is_loss_of_everything() {
        let outcome = run(|_| None);
        assert_eq!((outcome.sent, outcome.lost()), (300, 300));
    }
}
