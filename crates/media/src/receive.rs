//! What arrives on one leg: whose stream it is, what is missing, late or double, and how it jitters.
//!
//! RFC 3550 appendix A.1 (sequence numbers), A.3 (loss) and A.8 (jitter), with at most four senders remembered.

use crate::bridge::PacketError;
use crate::packet::{RtpTime, RtpView, SeqNo, Ssrc};
use crate::stats::StreamStats;
use std::time::{Duration, Instant};

/// Senders remembered per leg: a flood of SSRC evicts the one heard longest ago.
pub(crate) const STREAMS_MAX: usize = 4;

/// A stream heard within this time is alive: another SSRC must show two packets in a row to take its place.
const ALIVE: Duration = Duration::from_millis(100);

/// A step ahead beyond this is a restart, not loss (RFC 3550 A.1, MAX_DROPOUT).
const AHEAD_MAX: i16 = 3_000;

/// Sequence numbers behind the newest that are still told apart as late or double.
const BEHIND_MAX: i16 = 63;

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Accepted {
    /// Changes with every new stream or restart: nothing may be concluded across it.
    pub(crate) generation: u32,
    /// Older than a packet already seen.
    pub(crate) older: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: Ssrc,
    generation: u32,
    /// Extended: cycles in the upper half.
    base: u32,
    highest: u32,
    received: u32,
    /// Bit n: the packet n behind the newest came.
    seen: u64,
    /// The number that would confirm a jump (RFC 3550 A.1, bad_seq).
    restart_at: Option<SeqNo>,
    last_at: Instant,
    clock_hz: u32,
    transit: Option<u32>,
    jitter_ticks: f32,
    expected_prior: u32,
    received_prior: u32,
}

/// Loss, jitter and place of the stream in use, for a report block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reception {
    pub(crate) ssrc: Ssrc,
    pub(crate) fraction_lost: u8,
    pub(crate) lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter_ticks: u32,
}

/// The senders of one leg.
#[derive(Debug)]
pub(crate) struct Receiver {
    epoch: Instant,
    streams: [Option<Stream>; STREAMS_MAX],
    active: usize,
    generation: u32,
    /// Loss of streams that are over.
    lost_before: u64,
    expected_before: u64,
    stats: StreamStats,
}

impl Receiver {
    pub(crate) const fn new(epoch: Instant) -> Self {
        const NO_STATS: StreamStats = StreamStats {
            packets: 0,
            bytes: 0,
            lost: 0,
            late: 0,
            duplicate: 0,
            concealed: 0,
            recovered: 0,
            refused: 0,
            jitter_ms: 0.0,
            first_at: None,
            last_at: None,
        };
        Self {
            epoch,
            streams: [None; STREAMS_MAX],
            active: 0,
            generation: 0,
            lost_before: 0,
            expected_before: 0,
            stats: NO_STATS,
        }
    }

    /// For whoever takes this leg's place: figures begin anew, and nothing is concluded across the two.
    pub(crate) const fn successor(&self) -> Self {
        Self { generation: self.generation, ..Self::new(self.epoch) }
    }

    /// Says where a packet belongs, or why it is dropped. `clock_hz` is the clock of its payload type; `sound` is false
    /// for digits, whose timestamps stand still and say nothing about jitter.
    pub(crate) fn accept(
        &mut self,
        view: &RtpView<'_>,
        clock_hz: u32,
        sound: bool,
        now: Instant,
    ) -> Result<Accepted, PacketError> {
        let (index, fresh) = self.stream_of(view, now)?;
        let place = match self.streams[index].as_mut() {
            Some(stream) if !fresh => stream.place(view.seq, now),
            Some(_) | None => Place::New,
        };
        match place {
            Place::New | Place::Older => {}
            Place::Duplicate => {
                self.stats.duplicate += 1;
                return Err(PacketError::Duplicate);
            }
            Place::Unbelieved => {
                self.stats.late += 1;
                return Err(PacketError::Late);
            }
            Place::Restart => self.restart(index, view, now),
        }
        if sound && let Some(stream) = self.streams[index].as_mut() {
            stream.note_jitter(view.time, clock_hz, now.saturating_duration_since(self.epoch));
        }
        self.stats.packets += 1;
        self.stats.bytes += view.payload.len() as u64;
        self.stats.first_at.get_or_insert(now);
        self.stats.last_at = Some(now);
        Ok(Accepted { generation: self.generation, older: matches!(place, Place::Older) })
    }

    /// The stream a packet belongs to, and whether it began with this packet: a new one takes over when it is believed.
    fn stream_of(&mut self, view: &RtpView<'_>, now: Instant) -> Result<(usize, bool), PacketError> {
        let known = self.streams.iter().position(|stream| stream.is_some_and(|stream| stream.ssrc == view.ssrc));
        if known == Some(self.active) {
            return Ok((self.active, false));
        }
        let alive =
            self.streams[self.active].is_some_and(|active| now.saturating_duration_since(active.last_at) < ALIVE);
        let confirmed =
            known.is_some_and(|index| self.streams[index].is_some_and(|stream| stream.restart_at == Some(view.seq)));
        let index = known.unwrap_or_else(|| self.free_slot());
        if alive && !confirmed {
            let mut stranger = Stream::new(view, now, 0);
            stranger.restart_at = Some(view.seq.next());
            self.streams[index] = Some(stranger);
            self.stats.refused += 1;
            return Err(PacketError::ForeignSsrc);
        }
        self.restart(index, view, now);
        Ok((index, true))
    }

    /// An empty place, else the one heard longest ago that is not in use.
    fn free_slot(&self) -> usize {
        let heard = |index: &usize| self.streams[*index].map(|stream| stream.last_at);
        (0..STREAMS_MAX)
            .filter(|index| *index != self.active || self.streams[*index].is_none())
            .min_by_key(heard)
            .unwrap_or_default()
    }

    /// Begins a stream at this packet, keeping the account of the one before.
    fn restart(&mut self, index: usize, view: &RtpView<'_>, now: Instant) {
        if let Some(old) = self.streams[self.active]
            && old.generation == self.generation
        {
            self.expected_before += u64::from(old.expected());
            self.lost_before += u64::from(old.expected().saturating_sub(old.received));
        }
        self.generation += 1;
        self.active = index;
        self.streams[index] = Some(Stream::new(view, now, self.generation));
    }

    /// Counts a packet that came but could not be used any more.
    pub(crate) const fn count_late(&mut self) {
        self.stats.late += 1;
    }

    /// Counts packets' worth of sound that was made up, and how many of them were restored.
    pub(crate) const fn count_concealed(&mut self, packets: u64, recovered: u64) {
        self.stats.concealed += packets;
        self.stats.recovered += recovered;
    }

    /// Counts a packet that nobody agreed on or that cannot be read.
    pub(crate) const fn count_refused(&mut self) {
        self.stats.refused += 1;
    }

    /// When something last came.
    pub(crate) const fn last_at(&self) -> Option<Instant> {
        self.stats.last_at
    }

    /// The account so far.
    pub(crate) fn stats(&self) -> StreamStats {
        let mut stats = self.stats;
        stats.lost = self.lost_before + stats.late;
        if let Some(stream) = self.streams[self.active] {
            stats.lost += u64::from(stream.expected().saturating_sub(stream.received));
            stats.jitter_ms = stream.jitter_ticks * 1_000.0 / stream.clock_hz.max(1) as f32;
        }
        stats
    }

    /// Packets that should have come.
    pub(crate) fn expected(&self) -> u64 {
        self.expected_before + self.streams[self.active].map_or(0, |stream| u64::from(stream.expected()))
    }

    /// What the next report block says; the fraction is since the one before (RFC 3550 A.3).
    pub(crate) fn report(&mut self) -> Option<Reception> {
        let stream = self.streams[self.active].as_mut()?;
        let expected = stream.expected();
        let lost = i64::from(expected) - i64::from(stream.received);
        let interval = expected.wrapping_sub(stream.expected_prior);
        let lost_now = i64::from(interval) - i64::from(stream.received.wrapping_sub(stream.received_prior));
        stream.expected_prior = expected;
        stream.received_prior = stream.received;
        let fraction = if interval == 0 || lost_now <= 0 { 0 } else { (lost_now * 256 / i64::from(interval)).min(255) };
        Some(Reception {
            ssrc: stream.ssrc,
            fraction_lost: fraction as u8,
            lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest: stream.highest,
            jitter_ticks: stream.jitter_ticks as u32,
        })
    }
}

enum Place {
    New,
    Older,
    Duplicate,
    /// A jump that one more packet must confirm.
    Unbelieved,
    Restart,
}

impl Stream {
    const fn new(view: &RtpView<'_>, now: Instant, generation: u32) -> Self {
        // One cycle is added so that packets before the first have a place.
        let first = 0x1_0000 | view.seq.0 as u32;
        Self {
            ssrc: view.ssrc,
            generation,
            base: first,
            highest: first,
            received: 1,
            seen: 1,
            restart_at: None,
            last_at: now,
            clock_hz: 0,
            transit: None,
            jitter_ticks: 0.0,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    const fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    fn place(&mut self, seq: SeqNo, now: Instant) -> Place {
        let step = seq.since(SeqNo(self.highest as u16));
        let silent = now.saturating_duration_since(self.last_at) >= ALIVE;
        if step > 0 && step <= AHEAD_MAX {
            self.seen = self.seen.checked_shl(u32::from(step.unsigned_abs())).unwrap_or(0) | 1;
            self.highest = self.highest.wrapping_add(u32::from(step.unsigned_abs()));
            self.received += 1;
            self.last_at = now;
            self.restart_at = None;
            return Place::New;
        }
        if (-BEHIND_MAX..=0).contains(&step) {
            let bit = 1_u64 << step.unsigned_abs();
            if self.seen & bit != 0 {
                return Place::Duplicate;
            }
            if self.highest.wrapping_sub(u32::from(step.unsigned_abs())) >= self.base {
                self.seen |= bit;
                self.received += 1;
                return Place::Older;
            }
        }
        if silent || self.restart_at == Some(seq) {
            return Place::Restart;
        }
        self.restart_at = Some(seq.next());
        Place::Unbelieved
    }

    fn note_jitter(&mut self, time: RtpTime, clock_hz: u32, arrival: Duration) {
        let ticks = (arrival.as_micros() * u128::from(clock_hz) / 1_000_000) as u32;
        let transit = ticks.wrapping_sub(time.0);
        if clock_hz != self.clock_hz {
            self.clock_hz = clock_hz;
            self.transit = None;
            self.jitter_ticks = 0.0;
        }
        if let Some(before) = self.transit.replace(transit) {
            let step = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A step of over a second is a new timeline or a pause, not the network's jitter.
            if step < clock_hz {
                self.jitter_ticks += (step as f32 - self.jitter_ticks) / 16.0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
