//! One media session on its worker: a bridge and the two legs that feed it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use browser::BrowserLeg;
use media::bridge::{Bridge, PacketKind, Side};
use media::latch::Latch;
use media::plan::LegPlan;
use media::sdp::{Negotiated, SrtpKeys};
use media::srtp::{Sources, Srtp};
use mio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::drive::call::CallInput;
use crate::drive::media::{MediaNotice, Place};
use crate::net::dual;
use crate::observe::metric::{self, Metric};

/// A SIP leg's two sockets and where its packets may come from.
pub(crate) struct RtpLeg {
    pub(crate) port: u16,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// The sockets are of IPv6, and write IPv4 addresses as theirs.
    pub(crate) is_v6: bool,
    pub(crate) latch: Latch,
    pub(crate) remote_rtcp: Option<SocketAddr>,
    pub(crate) rtcp_mux: bool,
    pub(crate) protection: Protection,
}

/// What the packets of a SIP leg go through.
pub(crate) enum Protection {
    /// Plain RTP was agreed.
    Plain,
    /// SRTP was agreed.
    Sealed(Box<Srtp>),
    /// SRTP was agreed and its keys cannot be used: nothing is sent, and nothing heard.
    Broken,
}

impl Protection {
    /// Takes what a description agreed; the same keys again go on where they are.
    fn agree(&mut self, keys: Option<&SrtpKeys>) {
        let Some(keys) = keys else {
            *self = Self::Plain;
            return;
        };
        if let Self::Sealed(srtp) = self
            && srtp.rekey(&keys.ours, &keys.theirs)
        {
            return;
        }
        let srtp = Srtp::new(keys.ours.clone(), keys.theirs.clone(), Sources::PHONE, &[]);
        *self = srtp.map_or(Self::Broken, |srtp| Self::Sealed(Box::new(srtp)));
    }

    /// A packet as the bridge reads it; `None` when it is not authentic.
    fn open<'a>(&'a mut self, kind: PacketKind, packet: &'a [u8]) -> Option<&'a [u8]> {
        match (self, kind) {
            (Self::Plain, _) => Some(packet),
            (Self::Sealed(srtp), PacketKind::Rtp) => srtp.open_rtp(packet).ok(),
            (Self::Sealed(srtp), PacketKind::Rtcp) => srtp.open_rtcp(packet).ok(),
            (Self::Broken, _) => None,
        }
    }

    /// A packet as it goes out.
    fn protect<'a>(&'a mut self, kind: PacketKind, packet: &'a [u8]) -> Option<&'a [u8]> {
        match (self, kind) {
            (Self::Plain, _) => Some(packet),
            (Self::Sealed(srtp), PacketKind::Rtp) => srtp.protect_rtp(packet),
            (Self::Sealed(srtp), PacketKind::Rtcp) => srtp.protect_rtcp(packet),
            (Self::Broken, _) => None,
        }
    }
}

impl RtpLeg {
    /// Where to send and whom to hear, as SDP agreed.
    pub(crate) fn negotiated(&mut self, negotiated: &Negotiated, also: Option<IpAddr>) {
        self.latch.signalled(negotiated.remote, also);
        self.remote_rtcp = negotiated.remote_rtcp;
        self.rtcp_mux = negotiated.rtcp_mux;
        self.protection.agree(negotiated.srtp.as_ref());
    }

    /// A packet from this source as the bridge reads it; `None` when it may not speak here. Of an encrypted leg only an
    /// authentic packet teaches where the far end is.
    fn hear<'a>(&'a mut self, kind: PacketKind, source: SocketAddr, packet: &'a [u8]) -> Option<&'a [u8]> {
        let known = match kind {
            PacketKind::Rtp => self.latch.may_allow(source),
            PacketKind::Rtcp => self.latch.allows_rtcp(source),
        };
        // What the latch refuses it also counts.
        let opened = if known { self.protection.open(content(kind, packet), packet) } else { Some(packet) };
        let allowed = opened.is_some() && (kind == PacketKind::Rtcp || self.latch.allows(source));
        opened.filter(|_| known && allowed)
    }

    fn send(&mut self, kind: PacketKind, bytes: &[u8]) -> io::Result<()> {
        let Some(remote) = self.latch.remote() else { return Ok(()) };
        let Some(bytes) = self.protection.protect(kind, bytes) else { return Ok(()) };
        let rtcp_at = self.remote_rtcp.unwrap_or_else(|| next_port(remote));
        let (remote, rtcp_at) = (dual::towards(self.is_v6, remote), dual::towards(self.is_v6, rtcp_at));
        match kind {
            PacketKind::Rtp => self.rtp.send_to(bytes, remote),
            PacketKind::Rtcp if self.rtcp_mux => self.rtp.send_to(bytes, remote),
            PacketKind::Rtcp => self.rtcp.send_to(bytes, rtcp_at),
        }
        .map(|_| ())
    }
}

/// RTCP goes to the next higher port unless said otherwise (RFC 3550 §11).
fn next_port(remote: SocketAddr) -> SocketAddr {
    SocketAddr::new(remote.ip(), remote.port().saturating_add(1))
}

/// What a packet is on a socket of this kind: on a shared one RTCP is told by its packet type (RFC 5761 §4).
fn content(socket: PacketKind, packet: &[u8]) -> PacketKind {
    if matches!(packet.get(1), Some(192..=223)) { PacketKind::Rtcp } else { socket }
}

/// What stands behind one side of the bridge.
pub(crate) enum Leg {
    Browser(Box<BrowserLeg>),
    Rtp(Box<RtpLeg>),
}

/// One call's sound.
pub(crate) struct Session {
    /// The call's id, for the log.
    pub(crate) call: String,
    pub(crate) bridge: Bridge,
    /// Those of the two sides, and the spare one at [`SPARE`].
    pub(crate) legs: [Option<Leg>; 3],
    /// What the spare leg has agreed, for the moment when it takes a side.
    pub(crate) spare_plan: Option<LegPlan>,
    sink: mpsc::Sender<CallInput>,
    /// The deadline under which this session stands in the worker's timetable.
    pub(crate) deadline: Option<Instant>,
}

/// Index of a side in `Session::legs`.
pub(crate) fn index(side: Side) -> usize {
    match side {
        Side::A => 0,
        Side::B => 1,
    }
}

/// Index of the spare leg in `Session::legs`.
pub(crate) const SPARE: usize = 2;

/// Index of a place in `Session::legs`.
pub(crate) fn spot(place: Place) -> usize {
    match place {
        Place::Side(side) => index(side),
        Place::Spare => SPARE,
    }
}

/// The side at an index, the inverse of [`index`]; the spare leg has none.
pub(crate) fn side(index: usize) -> Option<Side> {
    [Side::A, Side::B].get(index).copied()
}

impl Session {
    pub(crate) fn new(call: String, seed: u64, sink: mpsc::Sender<CallInput>, now: Instant) -> Self {
        Self { call, bridge: Bridge::new(seed, now), legs: [None, None, None], spare_plan: None, sink, deadline: None }
    }

    /// Says something to the call. A call that does not listen is dead; it is counted, never waited for.
    pub(crate) fn notify(&self, notice: MediaNotice) {
        if self.sink.try_send(CallInput::Media(notice)).is_err() {
            metric::count(Metric::MediaNoticesLost);
        }
    }

    /// Nobody listens any more.
    pub(crate) fn is_orphan(&self) -> bool {
        self.sink.is_closed()
    }

    /// The next moment at which something here is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let bridge = self.bridge.poll_timeout().map(|(at, _)| at);
        let legs = self.legs.iter().flatten().filter_map(|leg| match leg {
            Leg::Browser(leg) => leg.poll_timeout().map(|(at, _)| at),
            Leg::Rtp(_) => None,
        });
        legs.chain(bridge).min()
    }

    /// A datagram on a SIP leg's socket. False when its source may not speak here.
    pub(crate) fn handle_rtp_socket(
        &mut self,
        at: usize,
        kind: PacketKind,
        source: SocketAddr,
        packet: &[u8],
        now: Instant,
    ) -> bool {
        let Some(Some(Leg::Rtp(leg))) = self.legs.get_mut(at) else { return false };
        let Some(packet) = leg.hear(kind, source, packet) else { return false };
        // Nobody hears the spare leg yet; the address it speaks from is known from here on.
        let Some(side) = side(at) else { return true };
        let handled = match content(kind, packet) {
            PacketKind::Rtcp => self.bridge.handle_rtcp(side, packet, now),
            PacketKind::Rtp => self.bridge.handle_rtp(side, packet, now),
        };
        if handled.is_err() {
            metric::count(Metric::MediaPacketsMalformed);
        }
        true
    }

    /// Sends what the bridge and the browser legs have to send. `browser` is the worker's shared browser port.
    pub(crate) fn flush(&mut self, browser: &UdpSocket, now: Instant) {
        for leg in self.legs.iter_mut().flatten() {
            if let Leg::Browser(leg) = leg {
                while let Some(transmit) = leg.poll_transmit() {
                    sent(browser.send_to(&transmit.bytes, transmit.to).map(|_| ()));
                }
            }
        }
        while let Some(out) = self.bridge.poll_packet() {
            match &mut self.legs[index(out.to)] {
                Some(Leg::Rtp(leg)) => sent(leg.send(out.kind, out.bytes)),
                Some(Leg::Browser(leg)) => {
                    let sealed = match out.kind {
                        PacketKind::Rtp => leg.protect_rtp(out.bytes, now),
                        PacketKind::Rtcp => leg.protect_rtcp(out.bytes, now),
                    };
                    if let Some((to, bytes)) = sealed {
                        sent(browser.send_to(bytes, to).map(|_| ()));
                    }
                }
                None => {}
            }
        }
    }
}

/// Counts a datagram the kernel would not take: a full socket buffer drops it as the network would.
fn sent(result: io::Result<()>) {
    if result.is_err() {
        metric::count(Metric::MediaSendErrors);
    }
}
