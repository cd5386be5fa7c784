//! Opus (RFC 6716) by libopus, decoded at and coded from the rate the far side uses: with a G.711 leg that is 8000 Hz,
//! and nothing is ever resampled.
//!
//! RTP format RFC 7587: the clock is 48000 Hz whatever the rate of the sound; one packet holds 2.5 to 120 ms.

use super::{CodecError, Decoder, Encoder};
use crate::plan::OpusPlan;
use audiopus::coder::{Decoder as Inner, Encoder as InnerEncoder};
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, packet::Packet};

/// CPU spent on a frame, 0 to 10. At 8000 Hz complexity 5 costs 56 µs a frame, 0 costs 20 µs and sounds worse at the
/// bitrates used here, 10 costs 70 µs and is not heard to be better.
pub const COMPLEXITY: u8 = 5;

/// Loss the coder prepares for before the far end reported any, in percent: below it no FEC is sent, and the first lost
/// packet of a call would be heard.
pub const LOSS_PERCENT_MIN: u8 = 5;

/// Loss above which more redundancy no longer helps, in percent.
const LOSS_PERCENT_MAX: u8 = 30;

const BITRATE_NARROW: u32 = 24_000;
const BITRATE_WIDE: u32 = 32_000;
const BITRATE_MIN: u32 = 12_000;

/// Longest packet, in ticks of 48 kHz: 120 ms (RFC 6716 §3.2, requirement 5).
const PACKET_TICKS_MAX: u32 = 5_760;

/// How long the sound in a packet is, in ticks of 48 kHz; `None` when it is no Opus packet (RFC 6716 §3.1, §3.2).
#[must_use]
pub fn packet_ticks(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let config = toc >> 3;
    let frame_ticks: u32 = match config {
        0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*payload.get(1)? & 0x3f),
    };
    let ticks = frame_ticks * frames;
    (1..=PACKET_TICKS_MAX).contains(&ticks).then_some(ticks)
}

/// Whether a packet carries a copy of the sound before it (LBRR). For the count only, so packets of one frame or two
/// equal ones are looked at and others taken to carry none.
#[must_use]
pub fn carries_fec(payload: &[u8]) -> bool {
    // RFC 6716 §4.2.3: a SILK frame begins with one bit of voice activity per 20 ms, then the LBRR flag.
    let Some([toc, first]) = payload.first_chunk::<2>() else { return false };
    let (config, code) = (toc >> 3, toc & 3);
    let silk_frames = match config {
        0..=11 => [1, 1, 2, 3][usize::from(config & 3)],
        12..=15 => 1,
        _ => return false,
    };
    code < 2 && first >> (7 - silk_frames) & 1 == 1
}

/// The bitrate we send at, before the far end reported anything.
#[must_use]
pub fn bitrate(rate_hz: u32, plan: &OpusPlan) -> u32 {
    let wanted = if rate_hz == 8_000 { BITRATE_NARROW } else { BITRATE_WIDE };
    wanted.min(plan.max_bitrate.unwrap_or(u32::MAX)).max(BITRATE_MIN)
}

/// Opus coder, mono, tuned for speech.
#[derive(Debug)]
pub struct OpusEncoder {
    inner: InnerEncoder,
    rate_hz: u32,
    loss_percent: u8,
}

impl OpusEncoder {
    /// A coder that takes samples at 8000 or 16000 Hz.
    ///
    /// # Errors
    /// When libopus has no memory left.
    pub fn new(rate_hz: u32, plan: &OpusPlan) -> Result<Self, CodecError> {
        let rate = sample_rate(rate_hz)?;
        let mut inner = InnerEncoder::new(rate, Channels::Mono, Application::Voip).map_err(|_| CodecError::Start)?;
        inner.set_complexity(COMPLEXITY).map_err(|_| CodecError::Start)?;
        inner.set_inband_fec(plan.fec).map_err(|_| CodecError::Start)?;
        inner.set_packet_loss_perc(LOSS_PERCENT_MIN).map_err(|_| CodecError::Start)?;
        let mut encoder = Self { inner, rate_hz, loss_percent: LOSS_PERCENT_MIN };
        encoder.set_bitrate(bitrate(rate_hz, plan));
        Ok(encoder)
    }
}

impl Encoder for OpusEncoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.inner.encode(samples, out).map_err(|_| CodecError::BadFrame)
    }

    fn set_loss_percent(&mut self, percent: u8) {
        let percent = percent.clamp(LOSS_PERCENT_MIN, LOSS_PERCENT_MAX);
        if percent != self.loss_percent && self.inner.set_packet_loss_perc(percent).is_ok() {
            self.loss_percent = percent;
        }
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        // libopus takes any value above 500; a refusal would leave the rate as it is.
        if let Ok(bits) = i32::try_from(bits_per_second) {
            self.inner.set_bitrate(Bitrate::BitsPerSecond(bits)).unwrap_or_default();
        }
    }
}

/// Opus decoder, mono (libopus folds stereo down).
#[derive(Debug)]
pub struct OpusDecoder {
    inner: Inner,
    rate_hz: u32,
}

impl OpusDecoder {
    /// A decoder that gives samples at 8000, 16000 or 48000 Hz.
    ///
    /// # Errors
    /// When libopus has no memory left.
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let inner = Inner::new(sample_rate(rate_hz)?, Channels::Mono).map_err(|_| CodecError::Start)?;
        Ok(Self { inner, rate_hz })
    }

    fn run(&mut self, payload: Option<&[u8]>, fec: bool, out: &mut [i16]) -> Result<usize, CodecError> {
        let packet = payload.map(Packet::try_from).transpose().map_err(|_| CodecError::BadFrame)?;
        let signals = MutSignals::try_from(out).map_err(|_| CodecError::BufferTooSmall)?;
        self.inner.decode(packet, signals, fec).map_err(|_| CodecError::BadFrame)
    }
}

impl Decoder for OpusDecoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let samples = packet_ticks(payload).ok_or(CodecError::BadFrame)? * (self.rate_hz / 400) / 120;
        let out = out.get_mut(..samples as usize).ok_or(CodecError::BufferTooSmall)?;
        self.run(Some(payload), false, out)
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        // libopus takes losses in steps of 2.5 ms. With `next` it restores what the packet carries of its predecessor
        // (LBRR) and guesses whatever comes before that, or everything when the packet carries nothing.
        let step = (self.rate_hz / 400) as usize;
        let (whole, rest) = out.split_at_mut(out.len() - out.len() % step);
        rest.fill(0);
        if whole.is_empty() {
            return;
        }
        let next = next.filter(|payload| packet_ticks(payload).is_some());
        if self.run(next, next.is_some(), whole) != Ok(whole.len()) {
            whole.fill(0);
        }
    }
}

fn sample_rate(rate_hz: u32) -> Result<SampleRate, CodecError> {
    match rate_hz {
        8_000 => Ok(SampleRate::Hz8000),
        16_000 => Ok(SampleRate::Hz16000),
        48_000 => Ok(SampleRate::Hz48000),
        _ => Err(CodecError::Start),
    }
}

#[cfg(test)]
mod tests;
