//! What is known of the sound of one leg: counted here, and reported by the far end.

use crate::codec::CodecKind;
use std::time::{Duration, Instant};

/// What came from the far end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// RTP packets taken.
    pub packets: u64,
    /// Payload octets taken.
    pub bytes: u64,
    /// Packets that never came (or came too late to be used).
    pub lost: u64,
    /// Packets that came too late to be used.
    pub late: u64,
    /// Copies of a packet already taken.
    pub duplicate: u64,
    /// Packets' worth of sound made up here for packets that did not come.
    pub concealed: u64,
    /// Of `concealed`, those restored from Opus in-band FEC.
    pub recovered: u64,
    /// Packets refused: bad header, unknown payload type, foreign SSRC, undecodable.
    pub refused: u64,
    /// Interarrival jitter, in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// First RTP packet.
    pub first_at: Option<Instant>,
    /// Latest RTP packet.
    pub last_at: Option<Instant>,
}

/// What was sent to the far end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentStats {
    /// RTP packets sent.
    pub packets: u64,
    /// Payload octets sent.
    pub bytes: u64,
    /// Packets dropped because the queue to the socket was full.
    pub overflow: u64,
    /// First RTP packet.
    pub first_at: Option<Instant>,
    /// Latest RTP packet.
    pub last_at: Option<Instant>,
}

/// What the far end said by RTCP about the stream we send it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RemoteReport {
    /// Share lost since the report before, 0 to 1.
    pub loss_ratio: f32,
    /// Packets it misses in all.
    pub lost: u32,
    /// Jitter it sees, in milliseconds.
    pub jitter_ms: f32,
    /// Round-trip time, in milliseconds; `None` until one of our reports came back to us.
    pub rtt_ms: Option<f32>,
}

/// Everything known of one leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegStats {
    /// What came from it.
    pub received: StreamStats,
    /// What went to it.
    pub sent: SentStats,
    /// Its own report, once one came.
    pub remote: Option<RemoteReport>,
    /// Mean opinion score of the sound received from it, 1 to 4.5 (ITU-T G.107); `None` before any sound.
    pub mos: Option<f32>,
    /// The codec we send to it; `None` without a plan.
    pub codec: Option<CodecKind>,
    /// The codec it last sent us.
    pub received_codec: Option<CodecKind>,
}

/// A silence that was long enough to speak of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SilenceReport {
    /// How long no RTP came.
    pub lasting: Duration,
    /// Whether RTCP came meanwhile: the far end lives and merely says nothing.
    pub rtcp_heard: bool,
}
