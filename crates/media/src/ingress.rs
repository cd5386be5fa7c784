//! What comes from one leg, up to linear sound: payload types, order, timeline, decoders.

use crate::codec::{CodecKind, Decoder, g711, g722, opus};
use crate::dtmf::DigitReader;
use crate::packet::RtpTime;
use crate::plan::{DtmfPlan, LegPlan};
use crate::receive::Receiver;
use crate::reorder::Reorder;
use std::time::{Duration, Instant};

/// Longest sound one packet or one concealed gap can give, in samples: 1500 octets of G.722.
pub(crate) const PCM_SAMPLES_MAX: usize = 3_000;

/// Sound made up for one gap at most. Longer gaps are shown to the far end as loss: by then every concealment has faded
/// to silence, and a burst of made-up packets would only upset the far end's jitter buffer.
pub(crate) const CONCEAL_MAX: Duration = Duration::from_millis(120);

/// Comfort noise under its static payload type, sent by some gateways without having been agreed (RFC 3389 §4).
const COMFORT_NOISE: u8 = 13;

/// What a payload type means on this leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Payload {
    Sound(CodecKind),
    Event { clock_hz: u32 },
    ComfortNoise,
}

impl Payload {
    pub(crate) const fn clock_hz(self) -> u32 {
        match self {
            Self::Sound(codec) => codec.rtp_clock_hz(),
            Self::Event { clock_hz } => clock_hz,
            Self::ComfortNoise => 8_000,
        }
    }
}

/// How long the sound in a payload is, in ticks of the codec's clock; `None` when it cannot be told.
pub(crate) fn payload_ticks(codec: CodecKind, payload: &[u8]) -> Option<u32> {
    match codec {
        CodecKind::Opus => opus::packet_ticks(payload),
        CodecKind::G722 | CodecKind::Pcma | CodecKind::Pcmu => {
            u32::try_from(payload.len()).ok().filter(|ticks| *ticks > 0)
        }
    }
}

/// What lies between a packet and the one before, in ticks of the incoming clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Step {
    /// The two cannot be compared: a new stream, clock, or jump.
    pub(crate) new_timeline: bool,
    /// Sound that was lost.
    pub(crate) lost_ticks: u32,
    /// Silence the sender did not send.
    pub(crate) pause_ticks: u32,
}

/// Follows the timestamps of a stream.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    generation: u32,
    clock_hz: u32,
    end: RtpTime,
    ticks: u32,
    at: Instant,
}

impl Timeline {
    pub(crate) const fn reset(&mut self) {
        self.last = None;
    }

    /// Ticks of the packet before, at this clock.
    pub(crate) fn last_ticks(&self, clock_hz: u32) -> u32 {
        self.last.filter(|last| last.clock_hz == clock_hz).map_or(clock_hz / 50, |last| last.ticks)
    }

    /// Compares a packet with the one before; `missing` packets lie between by number.
    pub(crate) fn step(&self, time: RtpTime, clock_hz: u32, generation: u32, missing: u16, now: Instant) -> Step {
        let same = |last: &Last| last.generation == generation && last.clock_hz == clock_hz;
        let Some(last) = self.last.filter(same) else { return Step { new_timeline: true, ..Step::default() } };
        let ahead = i64::from(time.since(last.end));
        let elapsed = now.saturating_duration_since(last.at).as_micros() * u128::from(clock_hz) / 1_000_000;
        let second = i64::from(clock_hz);
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX / 2);
        // More silence than time went by, or sound from before: the sender began a new timeline (RFC 3550 says nothing
        // of it, 183 → 200 and hold music do it).
        if ahead < -second || ahead > elapsed.saturating_add(second) {
            return Step { new_timeline: true, ..Step::default() };
        }
        let ahead = u32::try_from(ahead).unwrap_or(0);
        let lost_ticks = ahead.min(u32::from(missing).saturating_mul(last.ticks));
        Step { new_timeline: false, lost_ticks, pause_ticks: ahead - lost_ticks }
    }

    /// A packet passed.
    pub(crate) const fn passed(&mut self, time: RtpTime, ticks: u32, clock_hz: u32, generation: u32, now: Instant) {
        self.last = Some(Last { generation, clock_hz, end: time.plus(ticks), ticks, at: now });
    }
}

/// Silence worth a word, at first; then twice as long each time.
const SILENCE: Duration = Duration::from_secs(5);

/// Watches for a leg from which nothing comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SilenceWatch {
    pub(crate) check_at: Option<Instant>,
    limit: Duration,
    /// Since when nothing came.
    since: Option<Instant>,
}

impl Default for SilenceWatch {
    fn default() -> Self {
        Self { check_at: None, limit: SILENCE, since: None }
    }
}

impl SilenceWatch {
    /// Something came, or the watch begins; true when a silence was told before.
    pub(crate) fn heard(&mut self, now: Instant) -> bool {
        let told = self.limit > SILENCE;
        self.since = Some(now);
        self.limit = SILENCE;
        if told || self.check_at.is_none() {
            self.check_at = Some(now + SILENCE);
        }
        told
    }

    /// The check is due: how long nothing came, when that is worth a word.
    pub(crate) fn check(&mut self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| self.check_at.is_some_and(|at| now >= at))?;
        let quiet = now.saturating_duration_since(since);
        let told = quiet >= self.limit;
        if told {
            self.limit *= 2;
        }
        self.check_at = Some(since + self.limit);
        told.then_some(quiet)
    }

    pub(crate) const fn stop(&mut self) {
        self.check_at = None;
        self.since = None;
        self.limit = SILENCE;
    }
}

/// The receiving half of one leg.
pub(crate) struct Ingress {
    sounds: Vec<(u8, CodecKind)>,
    events: Vec<DtmfPlan>,
    decoders: [Option<Box<dyn Decoder>>; CodecKind::ALL.len()],
    pub(crate) receiver: Receiver,
    pub(crate) reorder: Reorder,
    pub(crate) timeline: Timeline,
    pub(crate) digits: DigitReader,
    /// Generation the reorder window and timeline belong to.
    pub(crate) generation: u32,
    pub(crate) break_count: u32,
    /// The last packet was not passed on.
    pub(crate) broken: bool,
    /// Sound goes through the reorder window, not straight on.
    pub(crate) ordered: bool,
    /// Packets missing before an event: sound lost that the next sound packet makes up for.
    pub(crate) missing: u16,
    pub(crate) watch: SilenceWatch,
    /// The codec that came last.
    pub(crate) codec: Option<CodecKind>,
    pub(crate) rtcp_at: Option<Instant>,
}

impl Ingress {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            sounds: Vec::new(),
            events: Vec::new(),
            decoders: [None, None, None, None],
            receiver: Receiver::new(epoch),
            reorder: Reorder::new(),
            timeline: Timeline::default(),
            digits: DigitReader::default(),
            generation: 0,
            break_count: 0,
            broken: true,
            ordered: false,
            missing: 0,
            watch: SilenceWatch::default(),
            codec: None,
            rtcp_at: None,
        }
    }

    pub(crate) fn set_plan(&mut self, plan: &LegPlan) {
        self.sounds.clone_from(&plan.receive);
        self.events.clone_from(&plan.receive_dtmf);
    }

    pub(crate) fn clear_plan(&mut self) {
        self.sounds.clear();
        self.events.clear();
        self.decoders = [None, None, None, None];
        self.reorder.reset();
        self.timeline.reset();
        self.watch.stop();
        self.broken = true;
    }

    pub(crate) const fn has_plan(&self) -> bool {
        !self.sounds.is_empty()
    }

    /// Has a decoder ready for each codec that may come, at the rate the far side takes sound at.
    pub(crate) fn prepare(&mut self, rate_hz: u32) {
        for (index, codec) in CodecKind::ALL.into_iter().enumerate() {
            let wanted = self.sounds.iter().any(|(_, sound)| *sound == codec);
            let rate_hz = match codec {
                CodecKind::Pcma | CodecKind::Pcmu => 8_000,
                CodecKind::Opus | CodecKind::G722 => rate_hz,
            };
            let ready = self.decoders[index].as_ref().is_some_and(|decoder| decoder.rate_hz() == rate_hz);
            if !wanted {
                self.decoders[index] = None;
            } else if !ready {
                self.decoders[index] = new_decoder(codec, rate_hz);
            }
        }
    }

    pub(crate) fn decoder(&mut self, codec: CodecKind) -> Option<&mut Box<dyn Decoder>> {
        let index = CodecKind::ALL.iter().position(|other| *other == codec)?;
        self.decoders[index].as_mut()
    }

    /// What a payload type means; digits before sound, so that one is never taken for the other.
    pub(crate) fn payload(&self, payload_type: u8) -> Option<Payload> {
        if let Some(event) = self.events.iter().find(|event| event.pt == payload_type) {
            return Some(Payload::Event { clock_hz: event.clock_hz });
        }
        match self.sounds.iter().find(|(number, _)| *number == payload_type) {
            Some((_, codec)) => Some(Payload::Sound(*codec)),
            None => (payload_type == COMFORT_NOISE).then_some(Payload::ComfortNoise),
        }
    }

    /// Notes the stream a packet belongs to; what was remembered of another one is forgotten.
    pub(crate) fn enter(&mut self, generation: u32) {
        if generation != self.generation || self.broken {
            if self.broken && generation == self.generation {
                self.break_count = self.break_count.wrapping_add(1);
            }
            self.generation = generation;
            self.broken = false;
            self.missing = 0;
            self.reorder.reset();
            self.timeline.reset();
        }
    }
}

fn new_decoder(codec: CodecKind, rate_hz: u32) -> Option<Box<dyn Decoder>> {
    match codec {
        CodecKind::Pcma => Some(Box::new(g711::G711Decoder::new(g711::Law::A))),
        CodecKind::Pcmu => Some(Box::new(g711::G711Decoder::new(g711::Law::Mu))),
        CodecKind::G722 => Some(Box::new(g722::G722Decoder::new(rate_hz))),
        CodecKind::Opus => {
            opus::OpusDecoder::new(rate_hz).ok().map(|decoder| -> Box<dyn Decoder> { Box::new(decoder) })
        }
    }
}
