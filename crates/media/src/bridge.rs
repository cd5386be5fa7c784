//! `Bridge`: the sound of one call between two legs, packet in, packet out.

use crate::dtmf::Digit;
use crate::packet::HeaderError;
use crate::plan::LegPlan;
use crate::play::Source;
use crate::stats::{LegStats, SilenceReport};
use std::fmt;
use std::time::Instant;

/// One of the two legs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The first leg.
    A,
    /// The second leg.
    B,
}

impl Side {
    /// The leg opposite.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What kind of packet goes out: RTP and RTCP have two sockets without rtcp-mux, and two keys always.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketKind {
    /// Sound or digits.
    Rtp,
    /// Reports.
    Rtcp,
}

/// One packet to send now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outgoing<'a> {
    /// The leg it goes to.
    pub to: Side,
    /// RTP or RTCP.
    pub kind: PacketKind,
    /// Header and payload, unprotected.
    pub bytes: &'a [u8],
}

/// Something the call may want to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MediaEvent {
    /// A digit was pressed, told once, when it ended.
    Digit {
        /// Who pressed it.
        from: Side,
        /// Which.
        digit: Digit,
        /// For how long.
        duration_ms: u32,
    },
    /// The first RTP packet came.
    FirstPacket {
        /// From whom.
        from: Side,
    },
    /// No RTP for a while. For information: silence alone never ends a call.
    Silent {
        /// From whom.
        from: Side,
        /// How long, and whether RTCP still came.
        report: SilenceReport,
    },
    /// RTP came again after `Silent`.
    Resumed {
        /// From whom.
        from: Side,
    },
    /// A `Source::Sound` was played to its end.
    PlayDone {
        /// To whom.
        to: Side,
    },
}

/// Why a packet was dropped. None of these is the call's fault or end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketError {
    /// No plan was set for this leg yet.
    NoLeg,
    /// Not an RTP packet.
    Header(HeaderError),
    /// Not an RTCP packet.
    Rtcp,
    /// A payload type nobody agreed on.
    UnknownPayloadType(u8),
    /// A new SSRC beside a living stream; believed after two packets in a row.
    ForeignSsrc,
    /// A copy of a packet already taken.
    Duplicate,
    /// Came after its place was filled.
    Late,
    /// The codec cannot read it; its place was concealed.
    Undecodable,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeg => f.write_str("no plan for this leg"),
            Self::Header(error) => write!(f, "not rtp: {error}"),
            Self::Rtcp => f.write_str("not rtcp"),
            Self::UnknownPayloadType(number) => write!(f, "payload type {number} was not agreed"),
            Self::ForeignSsrc => f.write_str("new ssrc beside a living stream"),
            Self::Duplicate => f.write_str("copy of a packet"),
            Self::Late => f.write_str("came too late"),
            Self::Undecodable => f.write_str("payload cannot be decoded"),
        }
    }
}

impl std::error::Error for PacketError {}

/// Why the bridge asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// A frame of made sound is due (ring-back, prompt, comfort noise).
    Tick,
    /// A packet held back for an earlier one is let go.
    Reorder,
    /// The next packet of a digit is due, or its end was lost (RFC 4733 §2.5.1.4).
    Digit,
    /// Nothing was sent to a leg for a while: cover it, or keep it alive.
    Cover,
    /// Nothing came from a leg for a while: say so.
    Silence,
    /// A report is due (RFC 3550 §6.2).
    Rtcp,
}

/// The sound of one call.
pub struct Bridge {}

impl Bridge {
    /// A bridge without legs.
    #[must_use]
    pub fn new(seed: u64, now: Instant) -> Self {
        let _ = (seed, now);
        todo!()
    }

    /// Sets what a leg agreed, the first time or anew: SSRC, sequence and timestamp towards it go on without a break.
    /// The only place that allocates.
    pub fn set_leg(&mut self, side: Side, plan: LegPlan, now: Instant) {
        let _ = (side, plan, now);
        todo!()
    }

    /// Forgets a leg, as when a page changes; its statistics are kept.
    pub fn clear_leg(&mut self, side: Side) {
        let _ = side;
        todo!()
    }

    /// Lets sound flow between the legs, or not.
    pub fn connect(&mut self, on: bool, now: Instant) {
        let _ = (on, now);
        todo!()
    }

    /// Sends a side its own sound back instead of passing it on.
    pub fn set_echo(&mut self, side: Side, on: bool) {
        let _ = (side, on);
        todo!()
    }

    /// Plays to a leg, in place of what the other leg says, until `stop` or the sound's end.
    pub fn play(&mut self, to: Side, source: Source, now: Instant) {
        let _ = (to, source, now);
        todo!()
    }

    /// Ends what is played to a leg.
    pub fn stop(&mut self, to: Side, now: Instant) {
        let _ = (to, now);
        todo!()
    }

    /// Puts a side on hold: nothing but a slow keep-alive is sent to it. The other side hears what the held side
    /// plays (hold music), or comfort noise.
    pub fn set_hold(&mut self, side: Side, held: bool, now: Instant) {
        let _ = (side, held, now);
        todo!()
    }

    /// Sends a digit to a leg. False when the leg did not agree to telephone-event or its queue of digits is full.
    pub fn send_digit(&mut self, to: Side, digit: Digit, now: Instant) -> bool {
        let _ = (to, digit, now);
        todo!()
    }

    /// An RTP packet came.
    ///
    /// # Errors
    /// Says why it was dropped; the call goes on.
    pub fn handle_rtp(&mut self, from: Side, packet: &[u8], now: Instant) -> Result<(), PacketError> {
        let _ = (from, packet, now);
        todo!()
    }

    /// An RTCP packet came.
    ///
    /// # Errors
    /// Says why it was dropped; the call goes on.
    pub fn handle_rtcp(&mut self, from: Side, packet: &[u8], now: Instant) -> Result<(), PacketError> {
        let _ = (from, packet, now);
        todo!()
    }

    /// The deadline of [`Self::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// The next packet to send. Drain to `None` after every call above.
    pub fn poll_packet(&mut self) -> Option<Outgoing<'_>> {
        todo!()
    }

    /// The next event. Drain to `None` after every call above.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        todo!()
    }

    /// When to call [`Self::handle_timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// What is known of a leg's sound.
    #[must_use]
    pub fn stats(&self, side: Side) -> LegStats {
        let _ = side;
        todo!()
    }
}
