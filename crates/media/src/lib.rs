//! Sound: everything between an RTP packet and another RTP packet.

pub mod bridge;
pub mod codec;
pub mod dtmf;
pub mod goertzel;
pub mod latch;
pub mod packet;
pub mod plan;
pub mod play;
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
