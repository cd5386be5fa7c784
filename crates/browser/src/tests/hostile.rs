//! Strangers and liars: each test names the line of the attack list it answers (M1 to M11).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use rtc_stun::message::{BINDING_REQUEST, Message, Setter};

use super::visitor::{World, browser, is_dtls, rtp};
use crate::{BrowserEvent, DropReason, FailReason, Kind, check_ufrag, kind};

fn stranger() -> SocketAddr {
    "203.0.113.66:4444".parse().unwrap()
}

fn offered(offer: &str, name: &str) -> String {
    let start = format!("a={name}:");
    offer.lines().find_map(|l| l.strip_prefix(&start)).unwrap().trim().to_owned()
}

/// A binding request as a browser (or a stranger) makes it.
pub(super) fn check(ufrag: &str, password: &str, role: AttrType, more: &[(AttrType, &[u8])]) -> Vec<u8> {
    let provider = rtc_crypto::default_provider().unwrap();
    let mut request = Message::new();
    request.set_type(BINDING_REQUEST);
    request.write_header();
    request.new_transaction_id().unwrap();
    request.add(ATTR_USERNAME, format!("{ufrag}:them").as_bytes());
    request.add(role, &9_u64.to_be_bytes());
    request.add(ATTR_PRIORITY, &1_u32.to_be_bytes());
    for (kind, value) in more {
        request.add(*kind, value);
    }
    rtc_stun::integrity::MessageIntegrity::new_raw_integrity_with_provider(password.as_bytes(), provider.crypto())
        .add_to(&mut request)
        .unwrap();
    rtc_stun::fingerprint::FINGERPRINT.add_to(&mut request).unwrap();
    request.raw
}

/// A world nobody connects in, with our credentials, as the browser knows them from the answer.
fn waiting() -> (World, String, String) {
    let mut world = World::new(|offer| offer);
    world.wire = Box::new(|_, _| false);
    let ufrag = world.leg.ufrag().to_owned();
    let password = world.leg_password();
    (world, ufrag, password)
}

impl World {
    /// From the answer to an offer that changes nothing.
    fn leg_password(&mut self) -> String {
        let (_, answer) = {
            let now = self.now;
            let offer = self.first_offer.clone();
            (0, self.leg.reoffer(&offer, now).unwrap())
        };
        offered(&answer, "ice-pwd")
    }

    fn answers(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::iter::from_fn(|| self.leg.poll_transmit()).map(|t| (t.to, t.bytes)).collect()
    }
}

/// The datagrams a browser sends to open DTLS: real ones, from another call.
fn client_hello() -> Vec<Vec<u8>> {
    let mut world = World::new(|offer| offer);
    let hello = Rc::new(RefCell::new(Vec::new()));
    let taken = Rc::clone(&hello);
    world.wire = Box::new(move |_, datagram| {
        if is_dtls(datagram) {
            taken.borrow_mut().push(datagram.clone());
        }
        !is_dtls(datagram)
    });
    world.run_until(Duration::from_secs(2), |_| !hello.borrow().is_empty());
    let hello = hello.borrow().clone();
    assert!(!hello.is_empty());
    hello
}

fn other_digit(digit: &str) -> &'static str {
    if digit == "0" { "1" } else { "0" }
}

/// M5: the certificate shown must be the one announced; nothing is released before.
#[test]
fn one_wrong_digit_in_the_fingerprint_ends_the_leg_in_either_role() {
    for setup in ["a=setup:actpass", "a=setup:passive"] {
        let mut world = World::new(|offer| {
            let fingerprint = offered(&offer, "fingerprint");
            let (head, last) = fingerprint.split_at(fingerprint.len() - 1);
            offer.replace(&fingerprint, &format!("{head}{}", other_digit(last))).replace("a=setup:actpass", setup)
        });
        let now = world.now;
        world.run_until(Duration::from_secs(5), |w| w.leg.is_ended());
        assert_eq!(world.events, [BrowserEvent::Failed(FailReason::FingerprintMismatch)], "{setup}");
        assert_eq!(world.leg.protect_rtp(&rtp(111, 1, 1, &[1]), now), None);
        assert_eq!((world.heard.len(), world.leg.poll_timeout()), (0, None));
    }
}

/// M5: more fingerprints than one.
#[test]
fn a_right_fingerprint_among_others_of_its_kind_is_enough() {
    let mut world = World::new(|offer| {
        let right = format!("a=fingerprint:{}\r\n", offered(&offer, "fingerprint"));
        let wrong = format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
        let weak = format!("a=fingerprint:sha-1 {}\r\n", ["AB"; 20].join(":"));
        offer.replace(&right, &format!("{weak}{wrong}{right}"))
    });
    assert!(world.run_until(Duration::from_secs(5), World::is_connected), "{:?}", world.events);
    // A stronger hash that does not match is not made good by a weaker one that does.
    let mut world = World::new(|offer| {
        let right = format!("a=fingerprint:{}\r\n", offered(&offer, "fingerprint"));
        let wrong = format!("a=fingerprint:sha-512 {}\r\n", ["AB"; 64].join(":"));
        offer.replace(&right, &format!("{right}{wrong}"))
    });
    world.run_until(Duration::from_secs(5), |w| w.leg.is_ended());
    assert_eq!(world.events, [BrowserEvent::Failed(FailReason::FingerprintMismatch)]);
}

/// M4: a ClientHello counts only from an address that proved the password.
#[test]
fn dtls_before_an_authentic_check_is_not_answered() {
    let hello = client_hello();
    let (mut world, ufrag, password) = waiting();
    let try_hello = |world: &mut World, source, why: &str| {
        hello.iter().for_each(|datagram| world.deliver(source, datagram));
        assert_eq!(world.answers(), [], "{why}");
        assert_eq!(world.dropped.pop(), Some(DropReason::UnknownAddress), "{why}");
        assert!(!world.leg.knows(source), "{why}");
    };
    try_hello(&mut world, browser(), "before any check");

    world.deliver(browser(), &check(&ufrag, "a wrong password here..", ATTR_ICE_CONTROLLING, &[]));
    assert_eq!(world.dropped.pop(), Some(DropReason::WrongCredentials));
    try_hello(&mut world, browser(), "after a wrong password");

    world.deliver(browser(), &check("AAAAAAAA", &password, ATTR_ICE_CONTROLLING, &[]));
    assert_eq!(world.dropped.pop(), Some(DropReason::WrongCredentials));
    try_hello(&mut world, browser(), "after a wrong user fragment");

    world.deliver(browser(), &check(&ufrag, &password, ATTR_ICE_CONTROLLED, &[]));
    let refusal = world.answers();
    assert_eq!(refusal.len(), 1, "487 is said to who knows the password");
    assert_eq!(refusal[0].1[..2], [0x01, 0x11]);
    try_hello(&mut world, browser(), "after a role conflict");

    let unknown = [(AttrType(0x7777), &b"?"[..])];
    world.deliver(browser(), &check(&ufrag, &password, ATTR_ICE_CONTROLLING, &unknown));
    let refusal = world.answers();
    assert_eq!(refusal[0].1[..2], [0x01, 0x11], "420 names what it does not know");
    assert!(refusal[0].1.windows(6).any(|w| w == [0, 0x0a, 0, 2, 0x77, 0x77]));
    try_hello(&mut world, browser(), "after an unknown attribute");

    world.deliver(browser(), &check(&ufrag, &password, ATTR_ICE_CONTROLLING, &[(ATTR_USE_CANDIDATE, &[])]));
    let answer = world.answers();
    assert_eq!((answer.len(), answer[0].0, &answer[0].1[..2]), (1, browser(), &[0x01, 0x01][..]));
    try_hello(&mut world, stranger(), "from a second address");
    hello.iter().for_each(|datagram| world.deliver(browser(), datagram));
    assert!(world.answers().iter().any(|(to, bytes)| *to == browser() && kind(bytes) == Kind::Dtls));
}

/// M11: nobody without the password gets a single octet, so nothing can be reflected.
#[test]
fn unauthenticated_checks_are_never_answered() {
    let (mut world, ufrag, _) = waiting();
    for n in 0..10_000_u32 {
        let source = SocketAddr::new([10, 0, n.to_be_bytes()[2], n.to_be_bytes()[3]].into(), 5_000);
        if n % 100 == 0 {
            world.deliver(source, &check(&ufrag, "guess guess guess guess", ATTR_ICE_CONTROLLING, &[]));
        } else {
            world.deliver(source, &check("guess", "guess guess guess guess", ATTR_ICE_CONTROLLING, &[]));
        }
        assert_eq!(world.answers(), []);
    }
    assert_eq!(world.leg.addresses().count(), 0);
    // Without FINGERPRINT or MESSAGE-INTEGRITY, truncated, empty.
    for junk in [
        &b""[..],
        &[0],
        &[0; 19],
        &[0; 20],
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    ] {
        world.deliver(stranger(), junk);
        assert_eq!(world.answers(), []);
    }
}

/// M10, M11: one who knows the password (the visitor himself) is held to a browser's pace and to eight addresses.
#[test]
fn checks_have_a_pace_and_addresses_a_number() {
    let (mut world, ufrag, password) = waiting();
    let good = check(&ufrag, &password, ATTR_ICE_CONTROLLING, &[]);
    for _ in 0..1_000 {
        world.deliver(browser(), &good);
    }
    let answered = world.answers().len();
    assert!((50..=100).contains(&answered), "{answered} answers in one instant");
    assert!(world.dropped.contains(&DropReason::RateLimited));
    world.run(Duration::from_secs(2));
    world.dropped.clear();
    world.deliver(browser(), &good);
    assert_eq!((world.answers().len(), world.dropped.len()), (1, 0), "the next second is a new one");

    for port in 1..200 {
        let source = SocketAddr::new(stranger().ip(), port);
        world.deliver(source, &check(&ufrag, &password, ATTR_ICE_CONTROLLING, &[]));
        world.run(Duration::from_millis(30));
    }
    assert_eq!(world.leg.addresses().count(), 8);
    assert!(world.leg.knows(SocketAddr::new(stranger().ip(), 199)), "the newest");
    assert_eq!(world.leg.selected(), Some(browser()), "the selected one stays whatever comes");
}

/// A check overheard and sent again from elsewhere would draw the visitor's sound there.
#[test]
fn a_check_sent_again_from_elsewhere_is_a_replay() {
    let (mut world, ufrag, password) = waiting();
    let good = check(&ufrag, &password, ATTR_ICE_CONTROLLING, &[(ATTR_USE_CANDIDATE, &[])]);
    world.deliver(browser(), &good);
    world.deliver(browser(), &good);
    assert_eq!(world.answers().len(), 2, "the browser itself may repeat it");
    world.deliver(stranger(), &good);
    assert_eq!((world.answers(), &world.dropped[..]), (vec![], &[DropReason::Replayed][..]));
    assert!(!world.leg.knows(stranger()));
    assert_eq!(world.leg.selected(), Some(browser()));
}

/// M1, M2, M3: forged and repeated media is dropped, counted, and ends nothing.
#[test]
fn forged_and_repeated_media_is_dropped_and_the_call_goes_on() {
    let mut world = World::connected();
    let packets = Rc::new(RefCell::new(Vec::new()));
    let taken = Rc::clone(&packets);
    world.wire = Box::new(move |_, datagram| {
        if kind(datagram) == Kind::Srtp {
            taken.borrow_mut().push(datagram.clone());
        }
        true
    });
    world.visitor_says(&[0xfc, 1, 1]);
    world.run(Duration::from_millis(20));
    let real = packets.borrow()[0].clone();
    assert_eq!(world.heard.len(), 1);

    world.dropped.clear();
    for _ in 0..10 {
        world.deliver(browser(), &real);
    }
    assert_eq!(world.dropped, [DropReason::Replayed; 10]);

    world.dropped.clear();
    for bit in 0..real.len() * 8 {
        let mut forged = real.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        world.deliver(browser(), &forged);
    }
    for n in 0..10_000_u16 {
        world.deliver(browser(), &rtp(111, n, 0xdead_beef, &[0; 60]));
    }
    assert_eq!(world.heard.len(), 1, "nothing forged is heard");
    assert!(world.dropped.len() >= 10_000 + real.len() * 8 - 16, "{}", world.dropped.len());

    world.dropped.clear();
    world.deliver(stranger(), &real);
    assert_eq!(world.dropped, [DropReason::UnknownAddress], "even a true packet, from elsewhere");

    world.visitor_says(&[0xfc, 1, 2]);
    world.run(Duration::from_millis(20));
    assert_eq!(world.heard.len(), 2, "the call goes on");
    assert!(matches!(world.events[..], [BrowserEvent::Connected { .. }]));
}

/// M7: an offer that names no source still lets the visitor be heard.
#[test]
fn a_source_the_offer_did_not_name_is_learnt() {
    let mut world = World::new(|offer| {
        let lines = offer.lines().filter(|l| !l.starts_with("a=ssrc") && !l.starts_with("a=mid-ssrc"));
        lines.map(|l| format!("{l}\r\n")).collect()
    });
    assert!(world.run_until(Duration::from_secs(5), World::is_connected));
    world.visitor_says(&[0xfc, 1, 1]);
    world.run(Duration::from_millis(50));
    assert_eq!(world.heard.len(), 1, "{:?}", world.dropped);
}

/// A plaintext alert can be written by anybody who can forge a source address.
#[test]
fn a_plain_alert_does_not_end_the_handshake() {
    for setup in ["a=setup:actpass", "a=setup:passive"] {
        let mut world = World::new(|offer| offer.replace("a=setup:actpass", setup));
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
        // The answer to the ClientHello is lost, so the handshake hangs for a quarter of a second.
        let mut count = 0;
        world.wire = Box::new(move |_, datagram| {
            count += u32::from(is_dtls(datagram));
            !is_dtls(datagram) || count != 2
        });
        for _ in 0..3_000 {
            if world.run_until(Duration::from_millis(1), World::is_connected) {
                break;
            }
            if world.leg.knows(browser()) && !world.leg.is_connected() {
                world.deliver(browser(), &alert);
            }
        }
        assert!(world.is_connected(), "{setup}: {:?}", world.events);
        let alerts = world.dropped.iter().filter(|reason| **reason == DropReason::PlainAlert).count();
        assert!(alerts > 20, "{setup}: {alerts}");
    }
}

/// M4: tiny fragments of a ClientHello without end, from the visitor's own address.
#[test]
fn endless_fragments_are_bounded() {
    let (mut world, ufrag, password) = waiting();
    world.deliver(browser(), &check(&ufrag, &password, ATTR_ICE_CONTROLLING, &[(ATTR_USE_CANDIDATE, &[])]));
    for n in 0..20_000_u32 {
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0];
        record.extend_from_slice(&n.to_be_bytes());
        record.extend_from_slice(&13_u16.to_be_bytes());
        let offset = n.to_be_bytes();
        record.extend_from_slice(&[1, 0, 0x80, 0, 0, 0, offset[1], offset[2], offset[3], 0, 0, 1, 0xaa]);
        world.deliver(browser(), &record);
        assert!(world.leg.poll_transmit().is_none_or(|t| t.bytes.len() < 1_500));
    }
    world.run(Duration::from_secs(31));
    assert!(world.leg.is_ended());
    assert!(matches!(world.events[..], [BrowserEvent::Failed(_)]), "{:?}", world.events);
}

/// Whatever is done to copies of the real traffic, from the visitor's address or a stranger's, at any moment:
/// no panic, no flood of answers; and from a stranger's it changes nothing at all.
#[test]
fn damaged_copies_of_real_traffic_never_panic() {
    for seed in 0..30_u64 {
        let from_stranger = seed % 2 == 0;
        let mut world = World::new(|offer| {
            offer.replace("a=setup:actpass", if seed % 4 < 2 { "a=setup:actpass" } else { "a=setup:passive" })
        });
        let copies = Rc::new(RefCell::new(Vec::new()));
        let taken = Rc::clone(&copies);
        world.wire = Box::new(move |_, datagram| {
            taken.borrow_mut().push(datagram.clone());
            true
        });
        let mut rng = SmallRng::seed_from_u64(seed);
        for _ in 0..600 {
            world.run(Duration::from_millis(5));
            if world.is_connected() {
                world.visitor_says(&[0xfc, 1, 1]);
            }
            let batch: Vec<Vec<u8>> = copies.borrow_mut().drain(..).collect();
            for original in batch {
                let mut datagram = original.clone();
                for _ in 0..rng.random_range(1..5) {
                    let place = rng.random_range(0..datagram.len());
                    match rng.random_range(0..3) {
                        0 => datagram.truncate(place.max(1)),
                        _ => datagram[place] = rng.random(),
                    }
                }
                if datagram == original {
                    continue;
                }
                assert!(check_ufrag(&datagram).is_none_or(|ufrag| ufrag.len() < 600));
                let source = if from_stranger { stranger() } else { browser() };
                world.deliver(source, &datagram);
                world.drain_leg();
                assert!(world.leg.addresses().count() <= 2, "seed {seed}");
            }
        }
        assert_eq!(world.leg.overflows(), 0, "seed {seed}");
        if from_stranger {
            assert!(world.is_connected(), "seed {seed}: {:?}", world.events);
            assert!(!world.leg.knows(stranger()), "seed {seed}");
        }
    }
}

#[test]
fn every_octet_has_one_kind() {
    for first in 0..=255_u8 {
        for second in [0, 111, 191, 192, 200, 223, 224, 255] {
            let expected = match first {
                0..=3 => Kind::Stun,
                20..=63 => Kind::Dtls,
                128..=191 if (192..=223).contains(&second) => Kind::Srtcp,
                128..=191 => Kind::Srtp,
                _ => Kind::Other,
            };
            assert_eq!(kind(&[first, second, 0, 0]), expected, "{first} {second}");
        }
    }
    assert_eq!(kind(&[]), Kind::Other);
    let request = check("ours", "p", ATTR_ICE_CONTROLLING, &[]);
    assert_eq!(check_ufrag(&request), Some("ours"));
    assert_eq!(check_ufrag(&request[..30]), None);
}
