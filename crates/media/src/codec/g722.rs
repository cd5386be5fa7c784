//! ITU-T G.722 at 64 kbit/s: two bands of ADPCM, by the crate `audio-codec`.
//!
//! RFC 3551 §4.5.2: "Even though the actual sampling rate for G.722 audio is 16,000 Hz, the RTP clock rate for the
//! G722 payload format is 8,000 Hz". One octet is two samples of 62.5 µs, or one tick. At 8000 Hz only the lower band is
//! decoded, so towards a G.711 leg nothing is resampled.

use super::{CodecError, Decoder, Encoder};
use crate::conceal::Concealer;
use audio_codec::g722::{Bitrate, G722Decoder as Inner, G722Encoder as InnerEncoder};
use audio_codec::{Decoder as _, Encoder as _};

/// G.722 coder, for samples at 16000 Hz. (The crate's coder for 8000 Hz gives broken codes in 0.4.13; sound from a G.711
/// leg is brought to 16000 Hz first.)
pub struct G722Encoder {
    inner: InnerEncoder,
}

impl G722Encoder {
    /// A coder.
    #[must_use]
    pub fn new() -> Self {
        Self { inner: InnerEncoder::with_options(Bitrate::Mode1_64000, false, false) }
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder for G722Encoder {
    fn rate_hz(&self) -> u32 {
        16_000
    }

    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.inner.encode_into(samples, out).map_err(|_| CodecError::BufferTooSmall)
    }
}

/// G.722 decoder with concealment.
pub struct G722Decoder {
    inner: Inner,
    rate_hz: u32,
    concealer: Concealer,
}

impl G722Decoder {
    /// A decoder that gives samples at 8000 Hz (lower band only) or 16000 Hz.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let narrow = rate_hz == 8_000;
        let rate_hz = if narrow { 8_000 } else { 16_000 };
        Self {
            inner: Inner::with_options(Bitrate::Mode1_64000, false, narrow),
            rate_hz,
            concealer: Concealer::new(rate_hz),
        }
    }
}

impl Decoder for G722Decoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let count = self.inner.decode_into(payload, out).map_err(|_| CodecError::BufferTooSmall)?;
        self.concealer.received(&mut out[..count]);
        Ok(count)
    }

    fn conceal(&mut self, _next: Option<&[u8]>, out: &mut [i16]) {
        // G.722 Appendix IV in spirit: the sound is made up after the decoder, whose own state waits.
        self.concealer.conceal(out);
    }
}

#[cfg(test)]
mod tests;
