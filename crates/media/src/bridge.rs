//! `Bridge`: the sound of one call between two legs, packet in, packet out.

use crate::codec::CodecKind;
use crate::dtmf::Digit;
use crate::egress::Egress;
use crate::ingress::{Ingress, PCM_SAMPLES_MAX};
use crate::outbox::Outbox;
use crate::packet::HeaderError;
use crate::plan::LegPlan;
use crate::play::{Player, Source};
use crate::stats::{LegStats, SentStats, SilenceReport};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

mod clockwork;
mod report;
mod route;

use report::Reports;

/// One of the two legs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The first leg.
    A,
    /// The second leg.
    B,
}

impl Side {
    /// Both legs.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

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

/// Events kept for the driver at most; it drains them after every call.
const EVENTS_MAX: usize = 32;

/// A leg to which nothing was sent for this long is covered with comfort noise while it is connected.
const COVER_AFTER: Duration = Duration::from_millis(300);

/// A sender that announced silence (DTX, RFC 3389) is covered sooner.
const COVER_AFTER_DTX: Duration = Duration::from_millis(60);

/// A held leg gets one frame this often: less than any address translator's patience (RFC 6263 §4: 15 s).
const HOLD_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The sound of one call.
pub struct Bridge {
    epoch: Instant,
    random: SmallRng,
    ingress: [Ingress; 2],
    egress: [Egress; 2],
    reports: [Reports; 2],
    connected: bool,
    echo: [bool; 2],
    outbox: Outbox,
    events: VecDeque<MediaEvent>,
    events_dropped: u64,
    /// Linear sound under way.
    pcm: Vec<i16>,
}

impl Bridge {
    /// A bridge without legs. `seed` gives the first sequence numbers, timestamps and report times.
    #[must_use]
    pub fn new(seed: u64, now: Instant) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        // RFC 3550 §5.1: both numbers begin at random; the upper bit is left out of the first sequence number, so that
        // an SRTP roll-over counter cannot be guessed wrong by a packet lost at the start (RFC 3711 §3.3.1).
        let mut egress = |side| Egress::new(side, random.random::<u16>() >> 1, random.random());
        let egress = [egress(Side::A), egress(Side::B)];
        let reports = [Reports::new(&mut random), Reports::new(&mut random)];
        Self {
            epoch: now,
            random,
            ingress: [Ingress::new(now), Ingress::new(now)],
            egress,
            reports,
            connected: false,
            echo: [false; 2],
            outbox: Outbox::new(),
            events: VecDeque::with_capacity(EVENTS_MAX),
            events_dropped: 0,
            pcm: vec![0; PCM_SAMPLES_MAX],
        }
    }

    /// Sets what a leg agreed, the first time or anew: SSRC, sequence and timestamp towards it go on without a break.
    /// Here coders are made; the packet path allocates nothing.
    pub fn set_leg(&mut self, side: Side, plan: LegPlan, now: Instant) {
        let index = side.index();
        let first = !self.ingress[index].has_plan();
        self.ingress[index].set_plan(&plan);
        self.egress[index].set_plan(&plan);
        if first {
            self.ingress[index].watch.heard(now);
            self.reports[index].start(now);
        }
        self.prepare();
        self.watch_silence_towards(side, now);
    }

    /// Forgets a leg, as when a page changes; its statistics and numbers are kept. The other leg hears comfort noise.
    pub fn clear_leg(&mut self, side: Side) {
        let index = side.index();
        self.ingress[index].clear_plan();
        self.egress[index].clear_plan();
        self.reports[index].stop();
        self.prepare();
    }

    /// Somebody else takes a side's place: the other side hears one stream all the while, and the figures of this one
    /// begin anew.
    pub fn hand_over(&mut self, side: Side, plan: LegPlan, now: Instant) {
        let index = side.index();
        self.clear_leg(side);
        self.ingress[index].receiver = self.ingress[index].receiver.successor();
        (self.ingress[index].codec, self.ingress[index].rtcp_at) = (None, None);
        self.egress[index].stats = SentStats::default();
        self.reports[index] = Reports::new(&mut self.random);
        self.set_leg(side, plan, now);
    }

    /// Lets sound flow between the legs, or not.
    pub fn connect(&mut self, on: bool, now: Instant) {
        self.connected = on;
        for side in Side::BOTH {
            self.watch_silence_towards(side, now);
        }
    }

    /// Sends a side its own sound back instead of passing it on.
    pub fn set_echo(&mut self, side: Side, on: bool) {
        self.echo[side.index()] = on;
    }

    /// Plays to a leg, in place of what the other leg says, until `stop` or the sound's end.
    pub fn play(&mut self, to: Side, source: Source, now: Instant) {
        let seed = self.random.random();
        let egress = &mut self.egress[to.index()];
        egress.cover = None;
        egress.player = Some(Player::new(source, seed, now));
    }

    /// Ends what is played to a leg.
    pub fn stop(&mut self, to: Side, now: Instant) {
        self.egress[to.index()].player = None;
        self.watch_silence_towards(to, now);
    }

    /// Puts a side on hold: nothing but a slow keep-alive is sent to it. The other side hears what the held side
    /// plays (hold music), or comfort noise.
    pub fn set_hold(&mut self, side: Side, held: bool, now: Instant) {
        self.egress[side.index()].held = held;
        self.egress[side.index()].cover = None;
        self.watch_silence_towards(side, now);
    }

    /// Sends a digit to a leg. False when the leg did not agree to telephone-event or its queue of digits is full.
    pub fn send_digit(&mut self, to: Side, digit: Digit, now: Instant) -> bool {
        self.egress[to.index()].queue_digit(digit, now)
    }

    /// The next packet to send. Drain to `None` after every call above.
    pub fn poll_packet(&mut self) -> Option<Outgoing<'_>> {
        self.outbox.pop().map(|(to, kind, bytes)| Outgoing { to, kind, bytes })
    }

    /// The next event. Drain to `None` after every call above.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// What is known of a leg's sound.
    #[must_use]
    pub fn stats(&self, side: Side) -> LegStats {
        let ingress = &self.ingress[side.index()];
        let egress = &self.egress[side.index()];
        let received = ingress.receiver.stats();
        let remote = self.reports[side.index()].remote();
        LegStats {
            received,
            sent: egress.stats,
            remote,
            mos: ingress.codec.map(|codec| report::score(codec, &received, ingress.receiver.expected(), remote)),
            codec: egress.plan.map(|plan| plan.codec),
            received_codec: ingress.codec,
        }
    }

    /// Events lost because nobody drained them.
    #[must_use]
    pub const fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    fn tell(&mut self, event: MediaEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.events_dropped += 1;
        }
    }

    /// Has the coders ready that the two plans ask for. Sound towards a leg runs at the rate the other leg's codec has
    /// by nature: 8000 Hz when that is G.711, else 16000 Hz.
    fn prepare(&mut self) {
        for side in Side::BOTH {
            let far = self.egress[side.other().index()].plan.map(|plan| plan.codec);
            let narrow = matches!(far, Some(CodecKind::Pcma | CodecKind::Pcmu));
            self.egress[side.index()].prepare(if narrow { 8_000 } else { 16_000 });
        }
        for side in Side::BOTH {
            let far = self.egress[side.other().index()].rate_hz();
            let rate_hz = far.or_else(|| self.egress[side.index()].rate_hz());
            self.ingress[side.index()].prepare(rate_hz.unwrap_or(8_000));
        }
    }

    /// From now on silence towards a leg is looked at, if there is reason to.
    fn watch_silence_towards(&mut self, side: Side, now: Instant) {
        let connected = self.connected;
        let egress = &mut self.egress[side.index()];
        egress.cover_at = match (egress.plan, egress.held) {
            (None, _) => None,
            (Some(_), true) => Some(now + HOLD_KEEP_ALIVE),
            (Some(_), false) => connected.then_some(now + COVER_AFTER),
        };
        if egress.cover_at.is_none() {
            egress.cover = None;
        }
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codecs = self.egress.each_ref().map(|egress| egress.plan.map(|plan| plan.codec));
        f.debug_struct("Bridge").field("codecs", &codecs).field("connected", &self.connected).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
