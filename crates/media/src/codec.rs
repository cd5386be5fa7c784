//! The codecs: what they are called and clocked, and the two traits behind which they stand.

use std::fmt;

pub mod g711;
pub mod g722;
pub mod opus;

/// A speech codec of the gateway.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CodecKind {
    /// RFC 6716, RTP format RFC 7587.
    Opus,
    /// ITU-T G.722 at 64 kbit/s, RFC 3551 §4.5.2.
    G722,
    /// ITU-T G.711 A-law.
    Pcma,
    /// ITU-T G.711 µ-law.
    Pcmu,
}

impl CodecKind {
    /// All of them, best sound first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// Name as in SDP's `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// The codec of an SDP name, whatever its case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Clock of its RTP timestamps. G.722 says 8000 though it samples at 16000: RFC 3551 §4.5.2, an old mistake kept.
    #[must_use]
    pub const fn rtp_clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcma | Self::Pcmu => 8_000,
        }
    }

    /// Rate of the sound itself. Opus can also be decoded at, and encoded from, 8000 and 16000.
    #[must_use]
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 => 16_000,
            Self::Pcma | Self::Pcmu => 8_000,
        }
    }

    /// The payload type RFC 3551 §6 fixed, where there is one.
    #[must_use]
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Opus => None,
            Self::G722 => Some(9),
            Self::Pcma => Some(8),
            Self::Pcmu => Some(0),
        }
    }

    /// Channels named in `a=rtpmap`: Opus always says 2 (RFC 7587 §7), the others leave it out.
    #[must_use]
    pub const fn rtpmap_channels(self) -> Option<u8> {
        match self {
            Self::Opus => Some(2),
            Self::G722 | Self::Pcma | Self::Pcmu => None,
        }
    }
}

impl fmt::Display for CodecKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a frame could not be coded or decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodecError {
    /// The bytes are no frame of this codec.
    BadFrame,
    /// The caller's buffer cannot hold the result.
    BufferTooSmall,
    /// The library refused to start a coder.
    Start,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadFrame => "not a frame of this codec",
            Self::BufferTooSmall => "buffer too small for the frame",
            Self::Start => "codec could not be started",
        })
    }
}

impl std::error::Error for CodecError {}

/// Linear mono samples into frames.
pub trait Encoder: Send {
    /// Rate of the samples it takes, in hertz.
    fn rate_hz(&self) -> u32;

    /// Codes one frame into `out` and says how many octets it took.
    ///
    /// # Errors
    /// When the frame length is not one of the codec's, or `out` is too small.
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;

    /// Tells the coder how its packets fare: what the far end reported lost, 0 to 100.
    fn set_loss_percent(&mut self, _percent: u8) {}

    /// Sets the bitrate, in bits per second, where the codec has a choice.
    fn set_bitrate(&mut self, _bits_per_second: u32) {}
}

/// Frames into linear mono samples.
pub trait Decoder: Send {
    /// Rate of the samples it gives, in hertz.
    fn rate_hz(&self) -> u32;

    /// Decodes one payload into `out` and says how many samples it gave.
    ///
    /// # Errors
    /// When the payload is no frame of this codec, or `out` is too small.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `out` whole with the best guess for sound that was lost. `next` is the payload that came right after the
    /// loss: a codec with in-band redundancy looks for a copy in it.
    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]);
}
