//! ITU-T G.722 at 64 kbit/s: two bands of adaptive differential PCM.
//!
//! ```text
//! 16 kHz ─► QMF ─► low 8 kHz ──► 6 bits ─┐
//!              └─► high 8 kHz ─► 2 bits ─┴─► one octet each 125 µs        and back
//! ```
//! RFC 3551 §4.5.2: "Even though the actual sampling rate for G.722 audio is 16,000 Hz, the RTP clock rate for the
//! G722 payload format is 8,000 Hz". One octet is two samples, or one tick. Towards and from a G.711 leg only the lower
//! band is coded or decoded, at its own 8000 Hz: nothing is resampled.

use super::{CodecError, Decoder, Encoder};
use crate::conceal::Concealer;

mod band;
mod qmf;

use band::{HighBand, LowBand};
use qmf::{Join, Split};

/// A high band that stays silent: the smallest positive step.
const HIGH_SILENT: u8 = 3;

const fn rate_of(rate_hz: u32) -> u32 {
    if rate_hz == 8_000 { 8_000 } else { 16_000 }
}

/// G.722 coder.
#[derive(Debug)]
pub struct G722Encoder {
    rate_hz: u32,
    split: Split,
    low: LowBand,
    high: HighBand,
}

impl G722Encoder {
    /// A coder that takes samples at 8000 Hz (lower band only) or 16000 Hz.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz: rate_of(rate_hz), split: Split::new(), low: LowBand::new(), high: HighBand::new() }
    }
}

impl Encoder for G722Encoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        if self.rate_hz == 8_000 {
            let out = out.get_mut(..samples.len()).ok_or(CodecError::BufferTooSmall)?;
            for (code, sample) in out.iter_mut().zip(samples) {
                *code = HIGH_SILENT << 6 | self.low.encode(i32::from(*sample) >> 1);
            }
            return Ok(samples.len());
        }
        // A sample without its pair would put the two bands out of step.
        if !samples.len().is_multiple_of(2) {
            return Err(CodecError::BadFrame);
        }
        let out = out.get_mut(..samples.len() / 2).ok_or(CodecError::BufferTooSmall)?;
        for (code, pair) in out.iter_mut().zip(samples.chunks_exact(2)) {
            let (low, high) = self.split.run(pair[0], pair[1]);
            *code = self.high.encode(high) << 6 | self.low.encode(low);
        }
        Ok(out.len())
    }
}

/// The state of a decoder; small enough to be tried out on a copy.
#[derive(Clone, Debug)]
struct Bands {
    narrow: bool,
    join: Join,
    low: LowBand,
    high: HighBand,
}

impl Bands {
    fn run(&mut self, payload: &[u8], out: &mut [i16]) {
        if self.narrow {
            for (sample, code) in out.iter_mut().zip(payload) {
                *sample = (self.low.decode(*code & 0x3f) << 1) as i16;
            }
            return;
        }
        for (pair, code) in out.chunks_exact_mut(2).zip(payload) {
            let low = self.low.decode(*code & 0x3f);
            let high = self.high.decode(*code >> 6);
            (pair[0], pair[1]) = self.join.run(low, high);
        }
    }
}

/// G.722 decoder with concealment.
#[derive(Debug)]
pub struct G722Decoder {
    rate_hz: u32,
    bands: Bands,
    concealer: Concealer,
    /// What comes after a gap.
    future: Vec<i16>,
}

impl G722Decoder {
    /// A decoder that gives samples at 8000 Hz (lower band only) or 16000 Hz.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = rate_of(rate_hz);
        let concealer = Concealer::new(rate_hz);
        let future = vec![0; concealer.future_samples()];
        let bands = Bands { narrow: rate_hz == 8_000, join: Join::new(), low: LowBand::new(), high: HighBand::new() };
        Self { rate_hz, bands, concealer, future }
    }

    fn samples(&self, octets: usize) -> usize {
        octets * self.rate_hz as usize / 8_000
    }
}

impl Decoder for G722Decoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let out = out.get_mut(..self.samples(payload.len())).ok_or(CodecError::BufferTooSmall)?;
        self.bands.run(payload, out);
        self.concealer.received(out);
        Ok(out.len())
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        // G.722 Appendix IV in spirit: the sound is made up after the decoder, whose own state waits. What follows is
        // decoded ahead on a copy.
        let next = next.unwrap_or_default();
        let count = self.samples(next.len()).min(self.future.len());
        self.bands.clone().run(next, &mut self.future[..count]);
        self.concealer.conceal(out, &self.future[..count]);
    }
}

#[cfg(test)]
mod tests;
