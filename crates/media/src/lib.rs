//! Sound: everything between an RTP packet and another RTP packet.
//!
//! ```text
//! packet ─► header ─► whose stream? ─► same codec ──────────────────────────────────► numbers shifted ─┐
//!           packet    receive          other codec ─► order ─► gap? ─► decode ─► frames ─► encode ─────┤─► packet
//!                                                     reorder  conceal  codec    egress    codec      │
//!                                      digit ─► read once ────────────────────────────────► re-timed ──┤
//!                                               dtmf                                       egress     │
//! every 20 ms, only while sound is made here:          ring-back, prompt, comfort noise ──► encode ────┘
//! ```
//! [`Bridge`] is the whole of it: two legs, driven by arrival. A packet in comes out in the same call; the only wait is
//! 10 ms behind a gap of one or two packets. Time is an argument; after each `handle_*` drain `poll_packet` and
//! `poll_event`, and call `handle_timeout` when `poll_timeout` says so. After [`Bridge::set_leg`] nothing is allocated
//! (`tests/no_alloc.rs`).
//!
//! | quantity | unit |
//! |---|---|
//! | [`RtpTime`], `*_ticks` | ticks of the codec's RTP clock: 48000 Hz for Opus, 8000 Hz for the rest, G.722 included |
//! | `rate_hz` | samples of sound a second: 8000 or 16000 inside the bridge |
//! | `*_eighths_ms` | length of a digit, in ticks of 8000 Hz |
//! | `ptime_ms`, `frame_ms` | milliseconds of sound in one packet |
//!
//! Left out on purpose: a jitter buffer (both ends have one), DTX towards a far end that asks for it (`usedtx=1` is a
//! wish), stereo, RED, in-band tones as digits or the reverse, RTCP feedback and XR.

pub mod bridge;
pub mod codec;
pub mod conceal;
pub mod dtmf;
mod egress;
pub mod goertzel;
mod ingress;
pub mod latch;
pub mod mos;
mod outbox;
pub mod packet;
pub mod plan;
pub mod play;
mod receive;
mod reorder;
pub mod resample;
mod rtcp;
pub mod sdp;
pub mod srtp;
pub mod stats;
pub mod tone;

pub use bridge::{Bridge, MediaEvent, Outgoing, PacketError, PacketKind, Side, Timer};
pub use codec::CodecKind;
pub use dtmf::Digit;
pub use packet::{RtpTime, SeqNo, Ssrc};
pub use plan::{DtmfPlan, LegPlan, OpusPlan};
pub use play::{Sound, Source};
pub use stats::{LegStats, RemoteReport, SentStats, StreamStats};
pub use tone::Country;

/// The beginning of a test's time. Only tests read a clock, and only once.
#[cfg(test)]
pub(crate) fn test_clock() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing; tests count from here")]
    std::time::Instant::now()
}
