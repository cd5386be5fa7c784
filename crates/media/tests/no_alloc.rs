//! The packet path allocates nothing after set-up (DESIGN §2): counted by an allocator.

use media::{Bridge, CodecKind, LegPlan, RtpTime, SeqNo, Side, Ssrc, packet::RtpHeader};
use std::time::{Duration, Instant};

/// A real frame of 20 ms, made by a bridge out of silence from a G.711 leg.
fn frame(codec: CodecKind, start: Instant) -> Vec<u8> {
    let mut bridge = Bridge::new(1, start);
    bridge.set_leg(Side::A, LegPlan::simple(CodecKind::Pcmu, 0, Ssrc(1)), start);
    bridge.set_leg(Side::B, LegPlan::simple(codec, 100, Ssrc(2)), start);
    bridge.connect(true, start);
    let header = RtpHeader { marker: false, payload_type: 0, seq: SeqNo(1), time: RtpTime(0), ssrc: Ssrc(3) };
    let sound: Vec<u8> = (0..160).map(|n| if n % 20 < 10 { 0x90 } else { 0x10 }).collect();
    let packet = [&header.encode(false)[..], &sound].concat();
    bridge.handle_rtp(Side::A, &packet, start).expect("a plain packet");
    bridge.poll_packet().expect("coded").bytes[12..].to_vec()
}

#[test]
fn two_seconds_of_every_pair_with_loss_and_a_digit_allocate_nothing() {
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing; the test counts from here")]
    let start = Instant::now();
    let counts = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 10])));
    assert_eq!(counts.count_total, 1, "the counter counts");
    for a in CodecKind::ALL {
        for b in CodecKind::ALL {
            let sound = frame(a, start);
            let mut bridge = Bridge::new(1, start);
            bridge.set_leg(Side::A, LegPlan::simple(a, 100, Ssrc(1)), start);
            bridge.set_leg(Side::B, LegPlan { ptime_ms: 40, ..LegPlan::simple(b, 100, Ssrc(2)) }, start);
            bridge.connect(true, start);
            let digit = [5, 0x8a, 3, 32];
            let mut packet = [0_u8; 1_500];
            let mut sent = 0_u32;
            let counted = allocation_counter::measure(|| {
                for index in 0..100_u16 {
                    let now = start + Duration::from_millis(u64::from(index) * 20);
                    if index % 10 == 5 {
                        continue;
                    }
                    let event = (50..53).contains(&index);
                    let payload: &[u8] = if event { &digit } else { &sound };
                    let at = if event { 50 } else { u32::from(index) };
                    let header = RtpHeader {
                        marker: false,
                        payload_type: if event { 101 } else { 100 },
                        seq: SeqNo(index),
                        time: RtpTime(at * a.rtp_clock_hz() / 50),
                        ssrc: Ssrc(3),
                    };
                    let length = 12 + payload.len();
                    packet[..12].copy_from_slice(&header.encode(false));
                    packet[12..length].copy_from_slice(payload);
                    bridge.handle_rtp(Side::A, &packet[..length], now).expect("a good packet");
                    while let Some((at, _)) = bridge.poll_timeout().filter(|(at, _)| *at <= now) {
                        bridge.handle_timeout(at);
                    }
                    while let Some(outgoing) = bridge.poll_packet() {
                        sent += u32::from(!outgoing.bytes.is_empty());
                    }
                    while bridge.poll_event().is_some() {}
                }
            });
            assert!(sent > 40, "{a} -> {b}: {sent} packets");
            assert_eq!(counted.count_total, 0, "{a} -> {b}: {} octets", counted.bytes_total);
        }
    }
}
