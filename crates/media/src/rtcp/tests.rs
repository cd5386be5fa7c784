//! What is written is read back, by us and as RFC 3550 draws it; anything else is stepped over.

use super::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn sample() -> ([u8; COMPOUND_BYTES_MAX], usize) {
    let sender = SenderInfo { ntp: NtpTime(0x1122_3344_5566_7788), time: RtpTime(99), packets: 7, bytes: 1_120 };
    let reception = Reception { ssrc: Ssrc(5), fraction_lost: 64, lost: -3, highest: 0x1_0007, jitter_ticks: 12 };
    let mut out = [0; COMPOUND_BYTES_MAX];
    let echo = Some(Echo { middle: 0xaabb_ccdd, delay: 65_536 });
    let length = write(Ssrc(9), Some(sender), Some((reception, echo)), b"0123456789abcdef", &mut out);
    (out, length)
}

fn items(bytes: &[u8]) -> Result<Vec<Item>, NotRtcp> {
    let mut items = Vec::new();
    read(bytes, |item| items.push(item)).map(|()| items)
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let (bytes, length) = sample();
    assert_eq!(length % 4, 0);
    assert_eq!(
        items(&bytes[..length]).unwrap(),
        [
            Item::Sender { ssrc: Ssrc(9), ntp: NtpTime(0x1122_3344_5566_7788) },
            Item::Block(Block {
                about: Ssrc(5),
                fraction_lost: 64,
                lost: -3,
                jitter_ticks: 12,
                last_report: 0xaabb_ccdd,
                delay: 65_536,
            }),
        ]
    );
    assert_eq!(bytes[0..4], [0x81, 200, 0, 12], "SR with one block, 13 words");
    assert_eq!(bytes[52..56], [0x81, 202, 0, 6], "SDES with one chunk, 7 words");
    assert_eq!(bytes[60..62], [1, 16], "CNAME of 16 octets");
    assert_eq!(length, 80);
}

#[test]
fn without_anything_sent_it_is_a_receiver_report() {
    let mut out = [0; COMPOUND_BYTES_MAX];
    let length = write(Ssrc(9), None, None, b"0123456789abcdef", &mut out);
    assert_eq!(out[0..4], [0x80, 201, 0, 1]);
    assert_eq!(items(&out[..length]).unwrap(), []);
}

#[test]
fn what_is_no_rtcp_is_told_and_a_broken_tail_is_left_alone() {
    assert_eq!(items(&[]), Err(NotRtcp));
    assert_eq!(items(&[0x80, 0, 0, 0]), Err(NotRtcp), "an RTP payload type");
    assert_eq!(items(&[0x81, 201, 0, 7, 0, 0]), Err(NotRtcp), "cut");
    let (bytes, length) = sample();
    let mut tail = bytes[..length].to_vec();
    tail.extend_from_slice(&[0x81, 201, 0xff, 0xff, 1]);
    assert_eq!(items(&tail).unwrap().len(), 2);
    // A count that promises more blocks than there are.
    let mut greedy = bytes[..52].to_vec();
    greedy[0] = 0x9f;
    assert_eq!(items(&greedy).unwrap().len(), 2);
}

#[test]
fn published_and_mutated_packets_never_panic() {
    let seed = 0x0c7c_5eed;
    println!("seed {seed:#x}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut seeds: Vec<Vec<u8>> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/data/rtcp"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 60);
    seeds.push(sample().0.to_vec());
    let mut found = 0;
    for bytes in &seeds {
        found += items(bytes).map_or(0, |items| items.len());
        for _ in 0..2_000 {
            let mut bytes = bytes.clone();
            for _ in 0..random.random_range(1..8) {
                if let Some(octet) = random.random_range(0..=bytes.len()).checked_sub(1) {
                    bytes[octet] = random.random();
                }
            }
            bytes.truncate(random.random_range(0..=bytes.len()));
            // One item takes at least eight octets.
            assert!(items(&bytes).map_or(0, |items| items.len()) <= bytes.len() / 8);
        }
    }
    assert!(found > 0, "the seeds hold reports");
}
