//! Bytes made to hurt: nothing panics, nothing grows, and a call under attack is still heard.

use super::*;
use crate::goertzel::purity;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn corpus() -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/data/rtp"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    packets.sort();
    assert_eq!(packets.len(), 9);
    packets
}

/// Changes a packet so that it may still be believed.
fn mutate(random: &mut SmallRng, packet: &mut Vec<u8>) {
    match random.random_range(0..6) {
        0 => packet.truncate(random.random_range(0..=packet.len())),
        1 => packet.extend((0..random.random_range(0..1_600)).map(|n: u32| n as u8)),
        2 if packet.len() > 1 => packet[1] = random.random(),
        3 if packet.len() > 12 => {
            let at = random.random_range(2..12);
            packet[at] = random.random();
        }
        4 if packet.len() > 12 => {
            for octet in &mut packet[12..] {
                if random.random::<f32>() < 0.3 {
                    *octet = random.random();
                }
            }
        }
        _ if !packet.is_empty() => {
            let at = random.random_range(0..packet.len());
            packet[at] ^= 1 << random.random_range(0..8);
        }
        _ => {}
    }
}

#[test]
fn mutated_packets_of_every_codec_never_panic() {
    let seed = 0xbad_5eed;
    println!("seed {seed:#x}");
    let mut random = SmallRng::seed_from_u64(seed);
    let corpus = corpus();
    for a in CodecKind::ALL {
        for b in CodecKind::ALL {
            let mut desk = Desk::joined(a, b);
            let mut speaker = Speaker::new(a, 440.0);
            for round in 0..1_500 {
                let mut packet = if round % 5 == 4 { corpus[round / 5 % corpus.len()].clone() } else { speaker.say() };
                if random.random::<f32>() < 0.7 {
                    mutate(&mut random, &mut packet);
                }
                desk.bridge.handle_rtp(Side::A, &packet, desk.now).unwrap_or_default();
                desk.drain();
                desk.pass(ms(random.random_range(0..25)));
                desk.heard = Default::default();
            }
        }
    }
}

#[test]
fn a_call_under_attack_is_still_heard() {
    let seed = 0x5afe_5eed;
    println!("seed {seed:#x}");
    let mut random = SmallRng::seed_from_u64(seed);
    for (a, b) in [(CodecKind::Opus, CodecKind::Pcmu), (CodecKind::Pcmu, CodecKind::Opus)] {
        let mut desk = Desk::joined(a, b);
        let mut speaker = Speaker::new(a, 440.0);
        for round in 0..150_u32 {
            let packet = speaker.say();
            desk.take(Side::A, &packet).unwrap();
            for stranger in 0..20 {
                // Other senders, wild numbers, unknown payload types, from the right address.
                let mut forged = packet.clone();
                forged[2..4].copy_from_slice(&random.random::<u16>().to_be_bytes());
                forged[8..12].copy_from_slice(&(round * 20 + stranger + 1_000_000).to_be_bytes());
                assert_eq!(desk.take(Side::A, &forged), Err(PacketError::ForeignSsrc));
                forged[1] = 77;
                assert_eq!(desk.take(Side::A, &forged), Err(PacketError::UnknownPayloadType(77)));
            }
            desk.pass(ms(20));
        }
        desk.assert_continuous(Side::B);
        assert_eq!(desk.ears(Side::B).len(), 150);
        let sound = listen(b, desk.ears(Side::B));
        assert!(purity(&sound[rate_hz(b) as usize / 5..], rate_hz(b), 440.0) > 0.95);
        let stats = desk.bridge.stats(Side::A).received;
        assert_eq!((stats.refused, stats.lost), (150 * 40, 0));
    }
}

#[test]
fn codec_bombs_are_bounded() {
    for b in [CodecKind::Pcmu, CodecKind::G722] {
        let mut desk = Desk::joined(CodecKind::Opus, b);
        let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
        desk.speak(Side::A, &mut speaker, ms(100));
        let before = desk.ears(Side::B).len();
        let mut results = Vec::new();
        for bomb in [
            &[0x83, 48][..],  // 48 frames of 2.5 ms, all empty
            &[0x1b, 2, 0, 0], // 120 ms of SILK
            &[0x83, 63],      // more than 120 ms
            &[0xff; 1_275],   // as long as a frame can be
            &[0x18],          // DTX
            &[],              // nothing
        ] {
            let packet = speaker.packet(bomb);
            results.push(desk.take(Side::A, &packet));
            desk.pass(ms(20));
        }
        assert_eq!(results[2], Err(PacketError::Undecodable));
        assert_eq!(results[5], Ok(()), "an empty packet is a keep-alive");
        let frames = desk.ears(Side::B).len() - before;
        assert!(frames <= 6 * 6, "{frames} frames for six packets");
        desk.speak(Side::A, &mut speaker, ms(1_000));
        let sound = listen(b, desk.ears(Side::B));
        assert!(purity(&sound[sound.len() - rate_hz(b) as usize / 2..], rate_hz(b), 440.0) > 0.95);
    }
}

#[test]
fn digits_made_to_hurt_send_no_flood() {
    let seed = 0xd161_75ee;
    println!("seed {seed:#x}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut desk = Desk::joined(CodecKind::Pcmu, CodecKind::Opus);
    let mut speaker = Speaker::new(CodecKind::Pcmu, 440.0);
    speaker.header.payload_type = 101;
    for _ in 0..20_000 {
        let before = desk.ears(Side::B).len();
        if random.random() {
            speaker.header.time = RtpTime(random.random());
        } else {
            speaker.header.time = speaker.header.time.plus(65_535 - 160);
        }
        let packet = speaker.packet(&random.random::<u32>().to_be_bytes());
        desk.take(Side::A, &packet).unwrap();
        assert!(desk.ears(Side::B).len() - before < 16, "a few ends and segments at most");
        desk.heard = Default::default();
        desk.events.clear();
    }
    assert_eq!(desk.bridge.stats(Side::B).sent.overflow, 0);
}
