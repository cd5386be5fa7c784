//! What one leg agreed with its far end: filled by `media::sdp` for a SIP leg, by `browser` for a WebRTC leg.

use crate::codec::CodecKind;
use crate::packet::Ssrc;

/// How sound travels on one leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegPlan {
    /// The codec we send.
    pub codec: CodecKind,
    /// Payload type of what we send: the number the far end gave.
    pub send_pt: u8,
    /// What we take: payload types as we gave them. May hold several codecs and several numbers for one.
    pub receive: Vec<(u8, CodecKind)>,
    /// How digits are sent to the far end; `None` when it did not agree to telephone-event.
    pub send_dtmf: Option<DtmfPlan>,
    /// The telephone-event formats we take.
    pub receive_dtmf: Vec<DtmfPlan>,
    /// Our own SSRC towards this leg.
    pub ssrc: Ssrc,
    /// Packet time we send, in milliseconds. Clamped to what the codec can carry.
    pub ptime_ms: u8,
    /// What was agreed on Opus; ignored for the other codecs.
    pub opus: OpusPlan,
    /// Header extensions are taken off before a packet is relayed to this leg. True for every plain RTP leg;
    /// false only where both legs agreed on the same extension numbers.
    pub strip_extensions: bool,
}

impl LegPlan {
    /// A plain plan: one codec both ways under one payload type, telephone-event 101 at the codec's clock, 20 ms.
    #[must_use]
    pub fn simple(codec: CodecKind, payload_type: u8, ssrc: Ssrc) -> Self {
        let dtmf = DtmfPlan { pt: 101, clock_hz: codec.rtp_clock_hz() };
        Self {
            codec,
            send_pt: payload_type,
            receive: vec![(payload_type, codec)],
            send_dtmf: Some(dtmf),
            receive_dtmf: vec![dtmf],
            ssrc,
            ptime_ms: 20,
            opus: OpusPlan::default(),
            strip_extensions: true,
        }
    }
}

/// One telephone-event format (RFC 4733).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DtmfPlan {
    /// Payload type.
    pub pt: u8,
    /// Clock of its timestamps and durations, in hertz: 8000 or 48000.
    pub clock_hz: u32,
}

/// The far end's wishes about the Opus we send (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpusPlan {
    /// `useinbandfec=1`: the far end makes use of in-band FEC. Default true.
    pub fec: bool,
    /// `usedtx=1`: the far end likes silence not to be sent. Default false.
    pub dtx: bool,
    /// `stereo=1`: the far end likes stereo. We always send mono, which every decoder takes. Default false.
    pub stereo: bool,
    /// `maxaveragebitrate`, in bits per second; `None`: no wish.
    pub max_bitrate: Option<u32>,
    /// `maxplaybackrate`, in hertz; `None`: no wish.
    pub max_playback_rate: Option<u32>,
}

impl Default for OpusPlan {
    fn default() -> Self {
        Self { fec: true, dtx: false, stereo: false, max_bitrate: None, max_playback_rate: None }
    }
}
