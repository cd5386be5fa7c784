//! RTP numbers that wrap, a tolerant view on an RTP packet, and the writer of the header we send.
//!
//! ```text
//!  0                   1                   2                   3      RFC 3550 §5.1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! |                           timestamp                           |
//! |           synchronization source (SSRC) identifier            |
//! |  CSRC x CC ...  |  extension: profile, length, words  | payload | padding, count |
//! ```

use std::fmt;

/// Octets of an RTP header without CSRC and extension.
pub const HEADER_BYTES: usize = 12;

/// Largest RTP or RTCP packet taken or sent: one Ethernet frame. Longer ones are dropped and counted.
pub const PACKET_BYTES_MAX: usize = 1500;

/// Who sends a stream (RFC 3550 §8).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Sequence number of a packet; wraps at 16 bits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SeqNo(pub u16);

impl SeqNo {
    /// The number `count` packets later.
    #[must_use]
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The next packet's number.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many packets after `earlier` this one is: −32768 to 32767.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Timestamp of a packet in ticks of its RTP clock; wraps at 32 bits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// The time `ticks` later.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks since `earlier`: negative when this one is before it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderError {
    /// Shorter than the header it announces.
    TooShort,
    /// Longer than one Ethernet frame.
    TooLong,
    /// Version is not 2.
    Version,
    /// Padding count is zero or longer than the payload.
    Padding,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "shorter than its header",
            Self::TooLong => "longer than one frame",
            Self::Version => "version is not 2",
            Self::Padding => "padding longer than the payload",
        })
    }
}

impl std::error::Error for HeaderError {}

/// A view on one RTP packet; nothing is copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpView<'a> {
    /// First packet of a talk spurt, or of an event.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: SeqNo,
    /// Timestamp.
    pub time: RtpTime,
    /// Sender.
    pub ssrc: Ssrc,
    /// Header extension with its four octets of profile and length; empty when there is none.
    pub extension: &'a [u8],
    /// Payload without padding; may be empty.
    pub payload: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// Reads a packet; any bytes may come here.
    ///
    /// # Errors
    /// When the bytes cannot be an RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(HeaderError::TooLong);
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::TooShort);
        };
        if header[0] >> 6 != 2 {
            return Err(HeaderError::Version);
        }
        let csrc_bytes = usize::from(header[0] & 0x0f) * 4;
        let mut rest = rest.get(csrc_bytes..).ok_or(HeaderError::TooShort)?;
        let mut extension: &[u8] = &[];
        if header[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: the length counts 32-bit words after the first four octets.
            let words = rest.get(2..4).ok_or(HeaderError::TooShort)?;
            let length = 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
            (extension, rest) = rest.split_at_checked(length).ok_or(HeaderError::TooShort)?;
        }
        if header[0] & 0x20 != 0 {
            let count = usize::from(rest.last().copied().unwrap_or(0));
            let kept = rest.len().checked_sub(count).filter(|_| count > 0);
            rest = &rest[..kept.ok_or(HeaderError::Padding)?];
        }
        Ok(Self {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            seq: SeqNo(u16::from_be_bytes([header[2], header[3]])),
            time: RtpTime(u32::from_be_bytes([header[4], header[5], header[6], header[7]])),
            ssrc: Ssrc(u32::from_be_bytes([header[8], header[9], header[10], header[11]])),
            extension,
            payload: rest,
        })
    }
}

/// The fixed header of a packet we send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpHeader {
    /// First packet of a talk spurt, or of an event.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: SeqNo,
    /// Timestamp.
    pub time: RtpTime,
    /// Sender.
    pub ssrc: Ssrc,
}

impl RtpHeader {
    /// The twelve octets; `extended` says that a header extension follows them.
    #[must_use]
    pub fn encode(&self, extended: bool) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 0x80 | (u8::from(extended) << 4);
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        bytes[2..4].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.time.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests;
