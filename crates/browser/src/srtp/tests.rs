//! Published SRTP packets, the gate for sources, the replay window.

use std::path::Path;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtc_crypto::RTCCryptoProvider;

use super::*;

fn crypto() -> Arc<dyn RTCCryptoProvider> {
    rtc_crypto::default_provider().unwrap()
}

/// Both directions under the same key, so that what is protected can be opened again.
fn same_keys(key: &[u8], salt: &[u8], profile: SrtpProfile, named: &[u32]) -> Srtp {
    let material = KeyingMaterial::new(&[key, key, salt, salt].concat());
    Srtp::new(&material, profile, true, named, crypto().crypto()).unwrap()
}

fn pair(profile: SrtpProfile, named: &[u32]) -> (Srtp, Srtp) {
    let length = profile.keying_material_len();
    let material: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    let material = KeyingMaterial::new(&material);
    let browser = Srtp::new(&material, profile, true, &[], crypto().crypto()).unwrap();
    let ours = Srtp::new(&material, profile, false, named, crypto().crypto()).unwrap();
    (browser, ours)
}

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM];

fn rtp_packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0xab; 40]);
    packet
}

fn rtcp_packet(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn published_packets_are_opened_and_made_octet_by_octet() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-tests/data/srtp/vectors.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut seen = 0;
    for vector in vectors["packets"].as_array().unwrap() {
        let profile = match vector["profile"].as_str().unwrap() {
            "AES_CM_128_HMAC_SHA1_80" => SrtpProfile::AES128_CM_SHA1_80,
            "AEAD_AES_128_GCM" => SrtpProfile::AEAD_AES_128_GCM,
            // Not offered in DTLS-SRTP by any browser.
            "AES_256_CM_HMAC_SHA1_80" => continue,
            other => panic!("unknown profile {other}"),
        };
        let (plain, protected) = (hex(&vector["plain"]), hex(&vector["protected"]));
        let mut srtp = same_keys(&hex(&vector["master_key"]), &hex(&vector["master_salt"]), profile, &[0xcafe_babe]);
        let provider = crypto();
        if vector["kind"] == "rtp" {
            assert_eq!(srtp.protect_rtp(&plain).unwrap(), protected);
            assert_eq!(srtp.open_rtp(&protected, provider.crypto()).unwrap(), plain);
        } else {
            assert_eq!(srtp.protect_rtcp(&plain).unwrap(), protected);
            assert_eq!(srtp.open_rtcp(&protected, provider.crypto()).unwrap(), plain);
        }
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn every_profile_carries_headers_of_every_shape() {
    let provider = crypto();
    for profile in PROFILES {
        let (mut browser, mut ours) = pair(profile, &[5]);
        let mut sequence = 0;
        for (first, more) in [
            (0x80, vec![]),
            (0x90, vec![0xbe, 0xde, 0, 2, 0x10, 1, 0x20, 2, 0x30, 3, 0, 0]),
            (0x90, vec![0x10, 0x00, 0, 1, 1, 2, 3, 4]),
            (0x90, vec![0xbe, 0xde, 0, 0]),
            (0x82, vec![0; 8]),
            (0x9f, [vec![0; 60], vec![0xbe, 0xde, 0, 1, 0x10, 1, 0, 0]].concat()),
            (0xa0, vec![]),
        ] {
            sequence += 1;
            let mut packet = rtp_packet(5, sequence);
            packet[0] = first;
            packet.splice(12..12, more);
            let protected = browser.protect_rtp(&packet).unwrap().to_vec();
            assert_eq!(ours.open_rtp(&protected, provider.crypto()), Ok(&packet[..]), "{profile:?} {first:#x}");
        }
        let report = rtcp_packet(5);
        let protected = browser.protect_rtcp(&report).unwrap().to_vec();
        assert_eq!(ours.open_rtcp(&protected, provider.crypto()), Ok(&report[..]));
        assert_eq!(ours.open_rtcp(&protected, provider.crypto()), Err(DropReason::Replayed));
    }
}

#[test]
fn no_flipped_bit_passes_and_none_disturbs() {
    let provider = crypto();
    for profile in PROFILES {
        let (mut browser, mut ours) = pair(profile, &[5]);
        let plain = rtp_packet(5, 1);
        let protected = browser.protect_rtp(&plain).unwrap().to_vec();
        for bit in 0..protected.len() * 8 {
            let mut forged = protected.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.open_rtp(&forged, provider.crypto()).is_err(), "{profile:?} bit {bit}");
        }
        for length in 0..protected.len() {
            assert!(ours.open_rtp(&protected[..length], provider.crypto()).is_err(), "{profile:?} {length} octets");
        }
        assert_eq!(ours.open_rtp(&protected, provider.crypto()), Ok(&plain[..]), "{profile:?}: the true one still");
        assert_eq!(ours.open_rtp(&protected, provider.crypto()), Err(DropReason::Replayed), "{profile:?}: once");
    }
}

/// The window of the library moves on a first packet nobody authenticated; a forged one far ahead would then
/// make every true packet "too old".
#[test]
fn a_forged_first_packet_does_not_move_the_window() {
    let provider = crypto();
    let (mut browser, mut ours) = pair(SrtpProfile::AEAD_AES_128_GCM, &[5]);
    let mut forged = rtp_packet(5, 30_000);
    forged.extend_from_slice(&[0; 16]);
    assert_eq!(ours.open_rtp(&forged, provider.crypto()), Err(DropReason::Forged));
    let protected = browser.protect_rtp(&rtp_packet(5, 100)).unwrap().to_vec();
    assert!(ours.open_rtp(&protected, provider.crypto()).is_ok());
}

#[test]
fn sequence_numbers_wrap_with_loss_and_disorder() {
    let provider = crypto();
    for profile in PROFILES {
        let (mut browser, mut ours) = pair(profile, &[5]);
        let packets: Vec<(Vec<u8>, Vec<u8>)> = (0..140_000_u32)
            .map(|n| {
                let plain = rtp_packet(5, u16::try_from((n + 60_000) & 0xffff).unwrap());
                let protected = browser.protect_rtp(&plain).unwrap().to_vec();
                (plain, protected)
            })
            .collect();
        // Every third lost, neighbours swapped, over two wraps.
        for two in packets.chunks(3) {
            for (plain, protected) in two.iter().take(2).rev() {
                assert_eq!(ours.open_rtp(protected, provider.crypto()), Ok(&plain[..]), "{profile:?}");
            }
        }
        let (_, old) = &packets[packets.len() - 500];
        assert!(ours.open_rtp(old, provider.crypto()).is_err(), "too old to tell");
    }
}

#[test]
fn a_source_nobody_named_is_learnt_from_its_first_authentic_packet() {
    let provider = crypto();
    let (mut browser, mut ours) = pair(SrtpProfile::AEAD_AES_128_GCM, &[]);
    for ssrc in 1..=4 {
        let protected = browser.protect_rtp(&rtp_packet(ssrc, 1)).unwrap().to_vec();
        assert!(ours.open_rtp(&protected, provider.crypto()).is_ok(), "source {ssrc}");
        assert_eq!(ours.open_rtp(&protected, provider.crypto()), Err(DropReason::Replayed), "source {ssrc}");
    }
    let fifth = browser.protect_rtp(&rtp_packet(5, 1)).unwrap().to_vec();
    assert_eq!(ours.open_rtp(&fifth, provider.crypto()), Err(DropReason::TooManySources));
    // Unless a later offer names it.
    ours.admit(&[5]);
    assert!(ours.open_rtp(&fifth, provider.crypto()).is_ok());
    // The reports of a browser that only listens come from a source of their own.
    let (mut browser, mut ours) = pair(SrtpProfile::AES128_CM_SHA1_80, &[77]);
    let report = browser.protect_rtcp(&rtcp_packet(1)).unwrap().to_vec();
    assert!(ours.open_rtcp(&report, provider.crypto()).is_ok());
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[test]
fn forged_sources_keep_memory_flat() {
    let provider = crypto();
    let mut rng = SmallRng::seed_from_u64(0xf100d);
    let (mut browser, mut ours) = pair(SrtpProfile::AES128_CM_SHA1_80, &[5]);
    let before = resident_bytes();
    for n in 0..500_000_u32 {
        let ssrc = rng.random();
        let dropped = if n % 2 == 0 {
            let forged = [rtp_packet(ssrc, rng.random()), vec![0; 10]].concat();
            ours.open_rtp(&forged, provider.crypto()).is_err()
        } else {
            let forged = [rtcp_packet(ssrc), vec![0x80, 0, 0, 1], vec![0; 10]].concat();
            ours.open_rtcp(&forged, provider.crypto()).is_err()
        };
        assert!(dropped);
    }
    assert_eq!(ours.admitted, [5]);
    // Kept state would be 70 MB; other tests of this process share the figure, hence the room.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 35_000_000, "{grown} octets more for half a million forged packets");
    let protected = browser.protect_rtp(&rtp_packet(5, 1)).unwrap().to_vec();
    assert!(ours.open_rtp(&protected, provider.crypto()).is_ok(), "the true source is heard all the same");
}

#[test]
fn damaged_packets_never_panic() {
    let provider = crypto();
    let mut rng = SmallRng::seed_from_u64(0x57f);
    for profile in PROFILES {
        let (mut browser, mut ours) = pair(profile, &[5]);
        for n in 0..50_000_u32 {
            let sequence = u16::try_from(n & 0xffff).unwrap();
            let mut packet = if n % 3 == 0 {
                browser.protect_rtcp(&rtcp_packet(5)).unwrap().to_vec()
            } else {
                browser.protect_rtp(&rtp_packet(5, sequence)).unwrap().to_vec()
            };
            for _ in 0..rng.random_range(1..4) {
                let place = rng.random_range(0..packet.len());
                match rng.random_range(0..3) {
                    0 => packet.truncate(place.max(1)),
                    _ => packet[place] = rng.random(),
                }
            }
            let most = packet.len() + 20;
            assert!(!ours.open_rtp(&packet, provider.crypto()).is_ok_and(|p| p.len() >= most));
            assert!(!ours.open_rtcp(&packet, provider.crypto()).is_ok_and(|p| p.len() >= most));
            assert!(ours.protect_rtp(&packet).is_none_or(|p| p.len() <= most));
            assert!(ours.protect_rtcp(&packet).is_none_or(|p| p.len() <= most));
        }
    }
}

#[test]
fn the_window_knows_new_old_and_seen() {
    let mut window = Window { highest: 0xffff, last: None, seen: 0, candidate: 0 };
    let mut take = |number: u64| {
        let fresh = window.check(number);
        if fresh {
            window.accept();
        }
        fresh
    };
    // (number, taken?) in order
    for (number, expected) in [
        (65_530, true),
        (65_530, false),
        (65_535, true),
        (65_533, true),
        (65_533, false),
        (0, true),
        (65_534, true),
        (65_534, false),
        (3, true),
        (2, true),
        (1, true),
        (0, false),
        (130, true),
        (3, false),
        (2, false),
        (4, true),
        (1_000, true),
        (872, false),
        (873, true),
        (0x1_0000, false),
    ] {
        assert_eq!(take(number), expected, "{number}");
    }
}
