//! Sound: everything between an RTP packet and another RTP packet.

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
