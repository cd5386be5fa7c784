//! Packets of sound and their reports, at a bridge in the middle of a talk: never a surprise, never a flood.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use media::packet::RtpHeader;
use media::{Bridge, CodecKind, LegPlan, RtpTime, SeqNo, Side, Ssrc};

/// What one packet in may bring out at most: itself and a gap's concealment, cut at the bridge's own bound.
const OUT_MAX: usize = 64;
/// The largest packet a bridge may make.
const PACKET_BYTES_MAX: usize = 1_500;

/// RTP: the octets as one packet, then as a train of them, from both sides.
pub fn rtp(octets: &[u8]) {
    run(octets, |bridge, side, packet, now| {
        // A packet that is none is refused; that is no finding.
        let _refused = bridge.handle_rtp(side, packet, now).is_err();
    });
}

/// RTCP, likewise.
pub fn rtcp(octets: &[u8]) {
    run(octets, |bridge, side, packet, now| {
        let _refused = bridge.handle_rtcp(side, packet, now).is_err();
    });
}

fn run(octets: &[u8], take: impl Fn(&mut Bridge, Side, &[u8], Instant)) {
    let mut now = start();
    let mut bridge = talking(now);
    for side in [Side::A, Side::B] {
        take(&mut bridge, side, octets, now);
        drain(&mut bridge);
    }
    // A train: each packet's length, side and delay come from an octet before it.
    let mut rest = octets;
    while let Some((how, after)) = rest.split_first() {
        let (packet, next) = after.split_at(usize::from(how & 0x7f).min(after.len()));
        let side = if how & 0x80 == 0 { Side::A } else { Side::B };
        now += Duration::from_millis(u64::from(how % 40));
        take(&mut bridge, side, packet, now);
        drain(&mut bridge);
        while let Some((at, _)) = bridge.poll_timeout().filter(|(at, _)| *at <= now) {
            bridge.handle_timeout(at);
            drain(&mut bridge);
        }
        rest = next;
    }
    for side in [Side::A, Side::B] {
        let stats = bridge.stats(side);
        assert!(stats.mos.is_none_or(|mos| (1.0..=5.0).contains(&mos)), "{stats:?}");
        assert!(stats.received.jitter_ms.is_finite(), "{stats:?}");
    }
}

fn drain(bridge: &mut Bridge) {
    let mut out = 0;
    while let Some(packet) = bridge.poll_packet() {
        assert!(packet.bytes.len() <= PACKET_BYTES_MAX);
        assert_eq!(packet.bytes.first().map(|octet| octet >> 6), Some(2), "version 2");
        out += 1;
        assert!(out <= OUT_MAX, "one packet in, {out} out");
    }
    while bridge.poll_event().is_some() {}
}

/// Opus on one side, PCMU on the other, and both have spoken.
fn talking(now: Instant) -> Bridge {
    let mut bridge = Bridge::new(1, now);
    bridge.set_leg(Side::A, LegPlan::simple(CodecKind::Opus, 111, Ssrc(1)), now);
    bridge.set_leg(Side::B, LegPlan::simple(CodecKind::Pcmu, 0, Ssrc(2)), now);
    bridge.connect(true, now);
    for (side, payload_type, payload) in [(Side::A, 111, &[0xf8, 0xff, 0xfe][..]), (Side::B, 0, &[0xff; 160][..])] {
        let header = RtpHeader { marker: true, payload_type, seq: SeqNo(65_530), time: RtpTime(0), ssrc: Ssrc(9) };
        let packet = [&header.encode(false)[..], payload].concat();
        bridge.handle_rtp(side, &packet, now).unwrap_or_else(|error| panic!("a plain packet: {error:?}"));
    }
    drain(&mut bridge);
    bridge
}

fn start() -> Instant {
    static ONE: OnceLock<Instant> = OnceLock::new();
    *ONE.get_or_init(Instant::now)
}
