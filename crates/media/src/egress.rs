//! What is sent to one leg: whatever feeds it, the far end sees one stream without a break.
//!
//! ```text
//! relayed packets ──────────┐ numbers shifted
//! decoded, played, covered ─┤ framed, coded      ├─► one SSRC, sequence +1, timestamps that follow the clock
//! digits ───────────────────┘ RFC 4733
//! ```
//! When the feed changes (early media, hold music, a prompt, another leg) the next packet follows the last one sent in
//! sequence, and in timestamp by the time that went by.

use crate::bridge::{PacketKind, Side};
use crate::codec::{CodecKind, Encoder, g711, g722, opus};
use crate::outbox::Outbox;
use crate::packet::{PACKET_BYTES_MAX, RtpHeader, RtpTime, RtpView, SeqNo, Ssrc};
use crate::plan::{DtmfPlan, LegPlan, OpusPlan};
use crate::play::Player;
use crate::resample::Doubler;
use crate::stats::SentStats;
use std::time::{Duration, Instant};

mod digits;
pub(crate) use digits::DigitWriter;

/// Longest frame sent: 60 ms at 16 kHz.
const FRAME_SAMPLES_MAX: usize = 960;

/// A stream that feeds a leg: its side and its generation there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    pub(crate) from: Side,
    pub(crate) generation: u32,
    /// Counts the times the stream was not passed on for a while.
    pub(crate) break_count: u32,
}

/// Where the packets come from at present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Feed {
    Idle,
    Relayed(Origin),
    Chunked(Origin),
    Decoded(Origin),
    Made,
}

/// The part of the plan that concerns sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendPlan {
    pub(crate) codec: CodecKind,
    pub(crate) payload_type: u8,
    pub(crate) dtmf: Option<DtmfPlan>,
    pub(crate) ssrc: Ssrc,
    pub(crate) frame_ms: u8,
    pub(crate) opus: OpusPlan,
    pub(crate) strip_extensions: bool,
}

impl SendPlan {
    fn new(plan: &LegPlan) -> Self {
        Self {
            codec: plan.codec,
            payload_type: plan.send_pt,
            dtmf: plan.send_dtmf,
            ssrc: plan.ssrc,
            frame_ms: frame_ms(plan.codec, plan.ptime_ms),
            opus: plan.opus,
            strip_extensions: plan.strip_extensions,
        }
    }

    pub(crate) const fn clock_hz(&self) -> u32 {
        self.codec.rtp_clock_hz()
    }

    fn frame_ticks(&self) -> u32 {
        self.clock_hz() / 1_000 * u32::from(self.frame_ms)
    }
}

/// The packet time really sent: what the codec can carry, at most 60 ms.
fn frame_ms(codec: CodecKind, ptime_ms: u8) -> u8 {
    match codec {
        // RFC 6716 §2.1.4: frames of 10, 20, 40, 60 ms.
        CodecKind::Opus => [60, 40, 20].into_iter().find(|legal| ptime_ms >= *legal).unwrap_or(10),
        CodecKind::G722 | CodecKind::Pcma | CodecKind::Pcmu => ptime_ms.clamp(10, 60),
    }
}

/// The sending half of one leg.
pub(crate) struct Egress {
    side: Side,
    pub(crate) plan: Option<SendPlan>,
    pub(crate) encoder: Option<Box<dyn Encoder>>,
    feed: Feed,
    /// Next sequence number to send.
    next_seq: SeqNo,
    /// Where the sound sent last ends.
    audio_end: RtpTime,
    audio_ticks: u32,
    audio_at: Option<Instant>,
    /// Relay: what is added to the incoming numbers, and the first incoming one that may still pass.
    seq_shift: u16,
    time_shift: u32,
    floor: SeqNo,
    /// Sound short of a frame.
    frame: Vec<i16>,
    chunk: Vec<u8>,
    /// Timestamp of the frame being filled.
    frame_time: RtpTime,
    marker: bool,
    doubler: Doubler,
    widened: Vec<i16>,
    coded: Vec<u8>,
    pub(crate) digits: DigitWriter,
    pub(crate) player: Option<Player>,
    pub(crate) cover: Option<Player>,
    pub(crate) held: bool,
    /// When the silence towards this leg is looked at next.
    pub(crate) cover_at: Option<Instant>,
    /// The other leg said that it will be silent: `cover_at` stands as it is.
    pub(crate) silence_announced: bool,
    pub(crate) stats: SentStats,
}

impl Egress {
    pub(crate) fn new(side: Side, first_seq: u16, first_time: u32) -> Self {
        Self {
            side,
            plan: None,
            encoder: None,
            feed: Feed::Idle,
            next_seq: SeqNo(first_seq),
            audio_end: RtpTime(first_time),
            audio_ticks: 0,
            audio_at: None,
            seq_shift: 0,
            time_shift: 0,
            floor: SeqNo(0),
            frame: Vec::with_capacity(FRAME_SAMPLES_MAX),
            chunk: Vec::with_capacity(2 * PACKET_BYTES_MAX),
            frame_time: RtpTime(0),
            marker: false,
            doubler: Doubler::new(8_000, 8_000),
            widened: vec![0; crate::ingress::PCM_SAMPLES_MAX],
            coded: vec![0; PACKET_BYTES_MAX],
            digits: DigitWriter::new(),
            player: None,
            cover: None,
            held: false,
            cover_at: None,
            silence_announced: false,
            stats: SentStats::default(),
        }
    }

    /// Takes a plan, the first or a new one; [`Self::prepare`] follows.
    pub(crate) fn set_plan(&mut self, plan: &LegPlan) {
        let before = self.plan.replace(SendPlan::new(plan));
        let after = SendPlan::new(plan);
        let same_frames = before.is_some_and(|old| old.codec == after.codec && old.frame_ms == after.frame_ms);
        let same_coder = before.is_some_and(|old| old.codec == after.codec && old.opus == after.opus);
        if !same_frames {
            self.frame.clear();
            self.chunk.clear();
            self.feed = Feed::Idle;
        }
        if !same_coder {
            self.encoder = None;
        }
    }

    /// Forgets the plan; the numbers go on where they were should a leg come back.
    pub(crate) fn clear_plan(&mut self) {
        self.plan = None;
        self.encoder = None;
        self.player = None;
        self.cover = None;
        self.held = false;
        self.cover_at = None;
        self.feed = Feed::Idle;
        self.digits.clear();
    }

    /// Has a coder ready for sound at this rate (8000 or 16000) where the codec has a choice.
    pub(crate) fn prepare(&mut self, rate_hz: u32) {
        let Some(plan) = self.plan else { return };
        let rate_hz = match plan.codec {
            CodecKind::Pcma | CodecKind::Pcmu => 8_000,
            CodecKind::Opus | CodecKind::G722 => rate_hz,
        };
        if self.encoder.as_ref().is_some_and(|encoder| encoder.rate_hz() == rate_hz) {
            return;
        }
        self.encoder = match plan.codec {
            CodecKind::Pcma => Some(Box::new(g711::G711Encoder::new(g711::Law::A))),
            CodecKind::Pcmu => Some(Box::new(g711::G711Encoder::new(g711::Law::Mu))),
            CodecKind::G722 => Some(Box::new(g722::G722Encoder::new(rate_hz))),
            CodecKind::Opus => opus::OpusEncoder::new(rate_hz, &plan.opus)
                .ok()
                .map(|encoder| -> Box<dyn Encoder> { Box::new(encoder) }),
        };
        self.frame.clear();
    }

    /// Rate the coder takes sound at.
    pub(crate) fn rate_hz(&self) -> Option<u32> {
        self.encoder.as_ref().map(|encoder| encoder.rate_hz())
    }

    /// How long one frame lasts.
    pub(crate) fn frame_duration(&self) -> Duration {
        Duration::from_millis(self.plan.map_or(20, |plan| u64::from(plan.frame_ms)))
    }

    /// Whether what comes from the other leg may pass now.
    pub(crate) fn open(&self) -> bool {
        self.plan.is_some() && !self.held && self.player.is_none() && !self.digits.own()
    }

    /// The timestamp of this moment: right after the last sound, or later by the time that went by since.
    pub(crate) fn position(&self, now: Instant) -> RtpTime {
        let Some(at) = self.audio_at else { return self.audio_end };
        let clock_hz = self.plan.map_or(8_000, |plan| plan.clock_hz());
        let elapsed = now.saturating_duration_since(at).as_micros() * u128::from(clock_hz) / 1_000_000;
        // Beyond what fits, only that it went on counts.
        let ahead = (elapsed as u32).saturating_sub(self.audio_ticks);
        self.audio_end.plus(ahead.min(u32::MAX / 4))
    }

    /// The timestamp of the sound that is being said at this moment, for a sender report (RFC 3550 §6.4.1).
    pub(crate) fn media_time(&self, now: Instant) -> RtpTime {
        let Some(at) = self.audio_at else { return self.audio_end };
        let clock_hz = self.plan.map_or(8_000, |plan| plan.clock_hz());
        let elapsed = now.saturating_duration_since(at).as_micros() * u128::from(clock_hz) / 1_000_000;
        self.audio_end.plus((elapsed as u32).wrapping_sub(self.audio_ticks))
    }

    /// Passes a packet of the same codec on, its payload untouched. False when it is too old to have a place.
    pub(crate) fn relay(
        &mut self,
        view: &RtpView<'_>,
        ticks: u32,
        origin: Origin,
        new_timeline: bool,
        now: Instant,
        outbox: &mut Outbox,
    ) -> bool {
        let Some(plan) = self.plan else { return false };
        if self.feed != Feed::Relayed(origin) {
            self.feed = Feed::Relayed(origin);
            self.seq_shift = self.next_seq.0.wrapping_sub(view.seq.0);
            self.floor = view.seq;
            self.time_shift = self.position(now).0.wrapping_sub(view.time.0);
            self.marker = true;
        } else if new_timeline {
            self.time_shift = self.position(now).0.wrapping_sub(view.time.0);
            self.marker = true;
        }
        if view.seq.since(self.floor) < 0 {
            return false;
        }
        let seq = view.seq.plus(self.seq_shift);
        let time = view.time.plus(self.time_shift);
        let marker = view.marker || std::mem::take(&mut self.marker);
        let header = RtpHeader { marker, payload_type: plan.payload_type, seq, time, ssrc: plan.ssrc };
        let extension: &[u8] = if plan.strip_extensions { &[] } else { view.extension };
        let sent =
            outbox.push(self.side, PacketKind::Rtp, &[&header.encode(!extension.is_empty()), extension, view.payload]);
        self.count(sent, view.payload.len(), now);
        if seq.since(self.next_seq) >= 0 {
            self.next_seq = seq.next();
            self.note_audio(time, ticks, now);
        }
        true
    }

    /// An incoming packet of the relayed stream was used here and not passed on: the numbers close up.
    pub(crate) fn consumed(&mut self, seq: SeqNo, origin: Origin) {
        if self.feed == Feed::Relayed(origin) && seq.since(self.floor) >= 0 {
            self.seq_shift = self.seq_shift.wrapping_sub(1);
            self.floor = seq.next();
        }
    }

    /// Cuts a stream of octets that are samples (G.711, G.722: eight octets a millisecond) into this leg's packet time,
    /// without decoding. `pause_ticks` of silence and `lost` packets came before.
    pub(crate) fn rechunk(
        &mut self,
        payload: &[u8],
        gap: Gap,
        new_timeline: bool,
        origin: Origin,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let Some(plan) = self.plan else { return };
        if new_timeline {
            self.feed = Feed::Idle;
        }
        let changed = self.begin(Feed::Chunked(origin), now);
        if !changed && (gap.pause_ticks > 0 || gap.lost_ticks > 0) {
            self.flush_chunk(now, outbox);
            self.skip(gap, plan.frame_ticks());
        }
        self.chunk.extend_from_slice(&payload[..payload.len().min(PACKET_BYTES_MAX)]);
        let length = plan.frame_ticks() as usize;
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut sent = 0;
        while chunk.len() - sent >= length {
            self.send_audio(&plan, &chunk[sent..sent + length], length as u32, now, outbox);
            sent += length;
        }
        chunk.drain(..sent);
        self.chunk = chunk;
    }

    /// Whether a packet can be passed on as it is: the same codec, and for the codecs whose octets are samples the
    /// packet time of this leg, with nothing waiting to be filled up.
    pub(crate) fn relays(&self, codec: CodecKind, payload: &[u8]) -> bool {
        let Some(plan) = self.plan.filter(|plan| plan.codec == codec) else { return false };
        match codec {
            CodecKind::Opus => true,
            CodecKind::G722 | CodecKind::Pcma | CodecKind::Pcmu => {
                self.chunk.is_empty() && payload.len() == plan.frame_ticks() as usize
            }
        }
    }

    fn flush_chunk(&mut self, now: Instant, outbox: &mut Outbox) {
        let Some(plan) = self.plan else { return };
        let mut chunk = std::mem::take(&mut self.chunk);
        if !chunk.is_empty() {
            self.send_audio(&plan, &chunk, chunk.len() as u32, now, outbox);
            chunk.clear();
        }
        self.chunk = chunk;
    }

    /// Announces decoded sound of a stream; `new_timeline` when its timestamps begin anew. True when something else was
    /// heard before, and the gap to the packet before means nothing here.
    pub(crate) fn begin_decoded(&mut self, origin: Origin, new_timeline: bool, now: Instant) -> bool {
        if new_timeline {
            self.feed = Feed::Idle;
        }
        self.begin(Feed::Decoded(origin), now)
    }

    fn begin(&mut self, feed: Feed, now: Instant) -> bool {
        let changed = self.feed != feed;
        if changed {
            self.feed = feed;
            self.frame.clear();
            self.chunk.clear();
            self.frame_time = self.position(now);
            self.marker = true;
        }
        changed
    }

    /// Makes room in the timeline for what will not be filled; in ticks of this leg's clock.
    pub(crate) fn leave_gap(&mut self, gap: Gap, now: Instant, outbox: &mut Outbox) {
        let Some(plan) = self.plan else { return };
        if gap.pause_ticks == 0 && gap.lost_ticks == 0 {
            return;
        }
        let mut gap = gap;
        if !self.frame.is_empty() {
            // Fill up the frame under way with silence out of the gap.
            let rate_hz = self.rate_hz().unwrap_or(8_000);
            let length = self.frame_samples();
            let missing = length - self.frame.len();
            let ticks_missing = (missing as u64 * u64::from(plan.clock_hz()) / u64::from(rate_hz)) as u32;
            let from_pause = ticks_missing.min(gap.pause_ticks);
            gap.pause_ticks -= from_pause;
            let from_loss = (ticks_missing - from_pause).min(gap.lost_ticks);
            gap.lost_ticks -= from_loss;
            if from_pause + from_loss < ticks_missing {
                let filled = u64::from(from_pause + from_loss) * u64::from(rate_hz) / u64::from(plan.clock_hz());
                self.frame.resize(self.frame.len() + filled as usize, 0);
                return;
            }
            self.frame.resize(length, 0);
            self.send_frame(&plan, now, outbox);
        }
        self.skip(gap, plan.frame_ticks());
    }

    fn skip(&mut self, gap: Gap, frame_ticks: u32) {
        self.frame_time = self.frame_time.plus(gap.pause_ticks).plus(gap.lost_ticks);
        // What was lost upstream and not made up is shown as lost downstream, so that the far end conceals it.
        let lost = gap.lost_ticks / frame_ticks.max(1);
        self.next_seq = self.next_seq.plus(lost.min(1_000) as u16);
        self.marker |= gap.pause_ticks > 0;
    }

    fn frame_samples(&self) -> usize {
        let rate_hz = self.rate_hz().unwrap_or(8_000) as usize;
        rate_hz / 1_000 * self.plan.map_or(20, |plan| usize::from(plan.frame_ms))
    }

    /// The other leg said that it will be silent: this one is covered soon.
    pub(crate) fn announce_silence(&mut self, after: Duration, now: Instant) {
        self.silence_announced = true;
        self.cover_at = Some(now + after);
    }

    /// Makes one frame of a player's sound and sends it, unless this leg is held or a digit holds the line. False when
    /// the sound is over.
    pub(crate) fn play_frame(
        &mut self,
        player: &mut Player,
        pcm: &mut [i16],
        now: Instant,
        outbox: &mut Outbox,
    ) -> bool {
        let Some(rate_hz) = self.rate_hz() else { return true };
        let Some(frame) = pcm.get_mut(..self.frame_samples()) else { return true };
        let more = player.fill(rate_hz, frame);
        if !self.digits.own() {
            self.begin(Feed::Made, now);
            self.push_sound(frame, rate_hz, now, outbox);
        }
        more
    }

    /// Takes linear sound at `rate_hz`, codes it frame by frame and sends each full one.
    pub(crate) fn push_sound(&mut self, samples: &[i16], rate_hz: u32, now: Instant, outbox: &mut Outbox) {
        let (Some(plan), Some(own_hz)) = (self.plan, self.rate_hz()) else { return };
        if rate_hz == own_hz {
            self.push_frames(&plan, samples, now, outbox);
        } else {
            let mut widened = std::mem::take(&mut self.widened);
            self.doubler.set_rates(rate_hz, own_hz);
            let count = self.doubler.run(samples, &mut widened);
            self.push_frames(&plan, &widened[..count], now, outbox);
            self.widened = widened;
        }
    }

    fn push_frames(&mut self, plan: &SendPlan, mut samples: &[i16], now: Instant, outbox: &mut Outbox) {
        let length = self.frame_samples();
        while !samples.is_empty() {
            let taken = (length - self.frame.len()).min(samples.len());
            self.frame.extend_from_slice(&samples[..taken]);
            samples = &samples[taken..];
            if self.frame.len() == length {
                self.send_frame(plan, now, outbox);
            }
        }
    }

    fn send_frame(&mut self, plan: &SendPlan, now: Instant, outbox: &mut Outbox) {
        let mut coded = std::mem::take(&mut self.coded);
        if let Some(encoder) = self.encoder.as_mut()
            && let Ok(length) = encoder.encode(&self.frame, &mut coded)
        {
            self.send_audio(plan, &coded[..length], plan.frame_ticks(), now, outbox);
        }
        self.coded = coded;
        self.frame.clear();
    }

    fn send_audio(&mut self, plan: &SendPlan, payload: &[u8], ticks: u32, now: Instant, outbox: &mut Outbox) {
        let marker = std::mem::take(&mut self.marker);
        let time = self.frame_time;
        self.send(plan, plan.payload_type, marker, time, payload, now, outbox);
        self.frame_time = time.plus(ticks);
        self.note_audio(time, ticks, now);
    }

    fn note_audio(&mut self, time: RtpTime, ticks: u32, now: Instant) {
        self.audio_end = time.plus(ticks);
        self.audio_ticks = ticks;
        self.audio_at = Some(now);
    }

    /// Sends one packet with the next number.
    #[expect(clippy::too_many_arguments, reason = "the header's fields, each once")]
    fn send(
        &mut self,
        plan: &SendPlan,
        payload_type: u8,
        marker: bool,
        time: RtpTime,
        payload: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let header = RtpHeader { marker, payload_type, seq: self.next_seq, time, ssrc: plan.ssrc };
        let sent = outbox.push(self.side, PacketKind::Rtp, &[&header.encode(false), payload]);
        self.count(sent, payload.len(), now);
        self.next_seq = self.next_seq.next();
        if let Feed::Relayed(_) = self.feed {
            self.seq_shift = self.seq_shift.wrapping_add(1);
        }
    }

    fn count(&mut self, sent: bool, bytes: usize, now: Instant) {
        if sent {
            self.stats.packets += 1;
            self.stats.bytes += bytes as u64;
            self.stats.first_at.get_or_insert(now);
            self.stats.last_at = Some(now);
        } else {
            self.stats.overflow += 1;
        }
    }
}

/// Sound that will not be made up, in ticks of the sending clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gap {
    /// The source was silent.
    pub(crate) pause_ticks: u32,
    /// The network lost it.
    pub(crate) lost_ticks: u32,
}

#[cfg(test)]
mod tests;
