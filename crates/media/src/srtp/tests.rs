//! Published SRTP packets, the gate for sources, the replay window.

use std::path::Path;

use rand::rngs::{SmallRng, StdRng};
use rand::{Rng, SeedableRng};
use rtc_shared::replay_detector::ReplayDetector;

use super::window::Window;
use super::*;

/// Both directions under the same key, so that what is protected can be opened again.
fn same_keys(keys: &Keys, named: &[u32]) -> Srtp {
    Srtp::new(keys.clone(), keys.clone(), Sources::BROWSER, named).unwrap()
}

fn keys(suite: Suite, seed: u64) -> Keys {
    Keys::generate(suite, &mut StdRng::seed_from_u64(seed))
}

fn pair(suite: Suite, named: &[u32]) -> (Srtp, Srtp) {
    let (his, own) = (keys(suite, 1), keys(suite, 2));
    let browser = Srtp::new(his.clone(), own.clone(), Sources::BROWSER, &[]).unwrap();
    let ours = Srtp::new(own, his, Sources::BROWSER, named).unwrap();
    (browser, ours)
}

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
        let suite = Suite::named(vector["profile"].as_str().unwrap()).unwrap();
        let (plain, protected) = (hex(&vector["plain"]), hex(&vector["protected"]));
        let octets = [hex(&vector["master_key"]), hex(&vector["master_salt"])].concat();
        let mut srtp = same_keys(&Keys::new(suite, &octets).unwrap(), &[0xcafe_babe]);
        if vector["kind"] == "rtp" {
            assert_eq!(srtp.protect_rtp(&plain).unwrap(), protected);
            assert_eq!(srtp.open_rtp(&protected).unwrap(), plain);
        } else {
            assert_eq!(srtp.protect_rtcp(&plain).unwrap(), protected);
            assert_eq!(srtp.open_rtcp(&protected).unwrap(), plain);
        }
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn every_profile_carries_headers_of_every_shape() {
    for suite in Suite::ALL {
        let (mut browser, mut ours) = pair(suite, &[5]);
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
            assert_eq!(ours.open_rtp(&protected), Ok(&packet[..]), "{suite:?} {first:#x}");
        }
        let report = rtcp_packet(5);
        let protected = browser.protect_rtcp(&report).unwrap().to_vec();
        assert_eq!(ours.open_rtcp(&protected), Ok(&report[..]));
        assert_eq!(ours.open_rtcp(&protected), Err(SrtpError::Replayed));
    }
}

#[test]
fn no_flipped_bit_passes_and_none_disturbs() {
    for suite in Suite::ALL {
        let (mut browser, mut ours) = pair(suite, &[5]);
        let plain = rtp_packet(5, 1);
        let protected = browser.protect_rtp(&plain).unwrap().to_vec();
        for bit in 0..protected.len() * 8 {
            let mut forged = protected.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.open_rtp(&forged).is_err(), "{suite:?} bit {bit}");
        }
        for length in 0..protected.len() {
            assert!(ours.open_rtp(&protected[..length]).is_err(), "{suite:?} {length} octets");
        }
        assert_eq!(ours.open_rtp(&protected), Ok(&plain[..]), "{suite:?}: the true one still");
        assert_eq!(ours.open_rtp(&protected), Err(SrtpError::Replayed), "{suite:?}: once");
    }
}

/// The window of the library moves on a first packet nobody authenticated; a forged one far ahead would then
/// make every true packet "too old".
#[test]
fn a_forged_first_packet_does_not_move_the_window() {
    let (mut browser, mut ours) = pair(Suite::AeadAes128Gcm, &[5]);
    let mut forged = rtp_packet(5, 30_000);
    forged.extend_from_slice(&[0; 16]);
    assert_eq!(ours.open_rtp(&forged), Err(SrtpError::Forged));
    let protected = browser.protect_rtp(&rtp_packet(5, 100)).unwrap().to_vec();
    assert!(ours.open_rtp(&protected).is_ok());
}

#[test]
fn sequence_numbers_wrap_with_loss_and_disorder() {
    for suite in Suite::ALL {
        let (mut browser, mut ours) = pair(suite, &[5]);
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
                assert_eq!(ours.open_rtp(protected), Ok(&plain[..]), "{suite:?}");
            }
        }
        let (_, old) = &packets[packets.len() - 500];
        assert!(ours.open_rtp(old).is_err(), "too old to tell");
    }
}

#[test]
fn a_source_nobody_named_is_learnt_from_its_first_authentic_packet() {
    let (mut browser, mut ours) = pair(Suite::AeadAes128Gcm, &[]);
    for ssrc in 1..=4 {
        let protected = browser.protect_rtp(&rtp_packet(ssrc, 1)).unwrap().to_vec();
        assert!(ours.open_rtp(&protected).is_ok(), "source {ssrc}");
        assert_eq!(ours.open_rtp(&protected), Err(SrtpError::Replayed), "source {ssrc}");
    }
    let fifth = browser.protect_rtp(&rtp_packet(5, 1)).unwrap().to_vec();
    assert_eq!(ours.open_rtp(&fifth), Err(SrtpError::TooManySources));
    // Unless a later offer names it.
    ours.admit(&[5]);
    assert!(ours.open_rtp(&fifth).is_ok());
    // The reports of a browser that only listens come from a source of their own.
    let (mut browser, mut ours) = pair(Suite::Aes128CmSha1_80, &[77]);
    let report = browser.protect_rtcp(&rtcp_packet(1)).unwrap().to_vec();
    assert!(ours.open_rtcp(&report).is_ok());
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[test]
fn forged_sources_keep_memory_flat() {
    let mut rng = SmallRng::seed_from_u64(0xf100d);
    let (mut browser, mut ours) = pair(Suite::Aes128CmSha1_80, &[5]);
    let before = resident_bytes();
    for n in 0..500_000_u32 {
        let ssrc = rng.random();
        let dropped = if n % 2 == 0 {
            let forged = [rtp_packet(ssrc, rng.random()), vec![0; 10]].concat();
            ours.open_rtp(&forged).is_err()
        } else {
            let forged = [rtcp_packet(ssrc), vec![0x80, 0, 0, 1], vec![0; 10]].concat();
            ours.open_rtcp(&forged).is_err()
        };
        assert!(dropped);
    }
    assert_eq!(ours.admitted, [5]);
    // Kept state would be 70 MB; other tests of this process share the figure, hence the room.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 35_000_000, "{grown} octets more for half a million forged packets");
    let protected = browser.protect_rtp(&rtp_packet(5, 1)).unwrap().to_vec();
    assert!(ours.open_rtp(&protected).is_ok(), "the true source is heard all the same");
}

#[test]
fn damaged_packets_never_panic() {
    let mut rng = SmallRng::seed_from_u64(0x57f);
    for suite in Suite::ALL {
        let (mut browser, mut ours) = pair(suite, &[5]);
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
            assert!(!ours.open_rtp(&packet).is_ok_and(|p| p.len() >= most));
            assert!(!ours.open_rtcp(&packet).is_ok_and(|p| p.len() >= most));
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

#[test]
fn a_packet_with_an_identifier_is_opened_and_one_with_another_is_not() {
    for suite in Suite::ALL {
        let (his, own) = (keys(suite, 1), keys(suite, 2));
        let mut phone = Srtp::new(his.clone(), own.clone(), Sources::PHONE, &[]).unwrap();
        let mki = vec![0, 0, 0, 1];
        let mut ours = Srtp::new(own, his.identified(mki).unwrap(), Sources::PHONE, &[]).unwrap();
        let tag = if matches!(suite, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm) { 0 } else { 10 };
        let rtp_tag = if suite == Suite::Aes128CmSha1_32 { 4 } else { tag };
        let plain = rtp_packet(5, 1);
        let mut packet = phone.protect_rtp(&plain).unwrap().to_vec();
        assert_eq!(ours.open_rtp(&packet), Err(SrtpError::Forged), "{suite:?} without");
        let end = packet.len() - rtp_tag;
        packet.splice(end..end, [0, 0, 0, 1]);
        let mut wrong = packet.clone();
        wrong[end + 3] = 2;
        assert_eq!(ours.open_rtp(&wrong), Err(SrtpError::Forged), "{suite:?} another");
        assert_eq!(ours.open_rtp(&packet), Ok(&plain[..]), "{suite:?}");
        let report = rtcp_packet(5);
        let mut packet = phone.protect_rtcp(&report).unwrap().to_vec();
        let end = packet.len() - tag;
        packet.splice(end..end, [0, 0, 0, 1]);
        assert_eq!(ours.open_rtcp(&packet), Ok(&report[..]), "{suite:?}");
        for length in 0..packet.len() {
            assert!(ours.open_rtcp(&packet[..length]).is_err(), "{suite:?} {length} octets");
        }
    }
}

/// A hold is a new offer with the keys of the old one: rollover counters and windows have to outlive it, or the sound
/// ends at the first hold after 65,536 packets.
#[test]
fn the_same_keys_again_keep_the_rollover_counter_and_other_keys_begin_anew() {
    for suite in Suite::ALL {
        let (his, own) = (keys(suite, 1), keys(suite, 2));
        let mut phone = Srtp::new(his.clone(), own.clone(), Sources::PHONE, &[]).unwrap();
        let mut ours = Srtp::new(own.clone(), his.clone(), Sources::PHONE, &[]).unwrap();
        let mut last = Vec::new();
        for n in 0..70_000_u32 {
            last = phone.protect_rtp(&rtp_packet(5, u16::try_from(n & 0xffff).unwrap())).unwrap().to_vec();
            if n % 1_000 == 0 || n > 69_990 {
                assert!(ours.open_rtp(&last).is_ok(), "{suite:?} {n}");
            }
        }
        assert!(ours.rekey(&own, &his));
        assert_eq!(ours.open_rtp(&last), Err(SrtpError::Replayed), "{suite:?}");
        let next = phone.protect_rtp(&rtp_packet(5, 4_464)).unwrap().to_vec();
        assert!(ours.open_rtp(&next).is_ok(), "{suite:?}: after a hold");
        // Another key of his, ours as before: what we send goes on, what he sends begins anew.
        let new = keys(suite, 3);
        let mut moved = Srtp::new(new.clone(), own.clone(), Sources::PHONE, &[]).unwrap();
        assert!(ours.rekey(&own, &new));
        let first = moved.protect_rtp(&rtp_packet(5, 1)).unwrap().to_vec();
        assert!(ours.open_rtp(&first).is_ok(), "{suite:?}: under the new key");
        assert_eq!(ours.open_rtp(&next), Err(SrtpError::Forged), "{suite:?}: the old key is over");
    }
}

#[test]
fn keys_are_never_printed() {
    let keys = keys(Suite::AeadAes128Gcm, 9);
    assert_eq!(format!("{keys:?}"), "Keys { suite: AeadAes128Gcm, .. }");
    assert!(!format!("{:?}", same_keys(&keys, &[])).contains('['));
}
