//! What a call does: connect, speak, lose datagrams, hold, change network, fall silent, hang up.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use media::CodecKind;
use media::sdp::Direction as Seen;
use str0m::crypto::dtls::DtlsVersion;
use str0m::media::Direction;

use super::visitor::{World, browser, config, is_dtls, rtp};
use crate::{BrowserEvent, FailReason, Timer};

/// str0m offers `actpass`; a browser may also insist on waiting, then we open.
fn browser_waits(offer: String) -> String {
    offer.replace("a=setup:actpass", "a=setup:passive")
}

fn as_is(offer: String) -> String {
    offer
}

fn speak_both_ways(world: &mut World) {
    let pt = world.leg.plan().send_pt;
    let ssrc = world.leg.plan().ssrc.0;
    for n in 0_u16..20 {
        let n8 = n.to_be_bytes()[1];
        world.visitor_says(&[0xfc, 1, n8]);
        assert!(world.leg_says(&rtp(pt, 1_000 + n, ssrc, &[0xfc, 2, n8])));
        world.run(Duration::from_millis(20));
    }
    world.run(Duration::from_millis(300));
    let heard: Vec<u8> = world.heard.iter().map(|p| p[p.len() - 1]).collect();
    assert_eq!(heard, (0..20).collect::<Vec<u8>>(), "every frame of the visitor, in order, once");
    let visitor_heard: Vec<u8> = world.visitor_heard.iter().map(|p| p[p.len() - 1]).collect();
    assert_eq!(visitor_heard, (0..20).collect::<Vec<u8>>(), "every frame of ours, in order, once");
    let source = world.heard[0][8..12].to_vec();
    assert!(world.heard.iter().all(|p| p[..1] == [0x80] || p[..1] == [0x90]) && source != [0; 4]);
}

#[test]
fn a_visitor_connects_and_both_hear_each_other_in_either_dtls_role() {
    for (edit, role) in [(as_is as fn(String) -> String, "browser opens"), (browser_waits, "we open")] {
        let mut world = World::new(edit);
        assert!(world.run_until(Duration::from_secs(5), World::is_connected), "{role}: {:?}", world.events);
        assert!(matches!(world.events[..], [BrowserEvent::Connected { .. }]), "{role}: {:?}", world.events);
        assert_eq!(world.leg.selected(), Some(browser()));
        assert_eq!(world.leg.plan().codec, CodecKind::Opus);
        speak_both_ways(&mut world);
        assert_eq!(world.dropped, [], "{role}");
        assert_eq!(world.leg.overflows(), 0);
    }
}

#[test]
fn reports_pass_both_ways() {
    let mut world = World::connected();
    speak_both_ways(&mut world);
    world.run(Duration::from_secs(12));
    assert!(world.reports.len() >= 2, "the visitor's sender reports: {}", world.reports.len());
    assert!(world.reports.iter().all(|r| (192..=223).contains(&r[1])), "{:?}", world.reports);
    // A sender report of ours is read by the visitor without complaint; it is protected, not sent plain.
    let mut report = vec![0x80, 200, 0, 6];
    report.extend_from_slice(&world.leg.plan().ssrc.0.to_be_bytes());
    report.extend_from_slice(&[0; 20]);
    let now = world.now;
    let (to, bytes) = world.leg.protect_rtcp(&report, now).unwrap();
    assert_eq!(to, browser());
    assert!(bytes.len() > report.len() && bytes[8..28] != report[8..]);
    assert_eq!(world.leg.protect_rtcp(&[0x80, 200], now), None, "not RTCP");
    assert_eq!(world.leg.protect_rtp(&[0x80], now), None, "not RTP");
}

#[test]
fn any_one_lost_datagram_of_the_handshake_costs_little() {
    for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
        for edit in [as_is as fn(String) -> String, browser_waits] {
            let mut losses = 0;
            for lost in 1..=8_u32 {
                let mut world = World::with(version, edit);
                let seen = Rc::new(Cell::new(0));
                let counter = Rc::clone(&seen);
                world.wire = Box::new(move |_, datagram| {
                    if is_dtls(datagram) {
                        counter.set(counter.get() + 1);
                    }
                    !(is_dtls(datagram) && counter.get() == lost)
                });
                let connected = world.run_until(Duration::from_secs(10), World::is_connected);
                assert!(connected, "{version:?}, datagram {lost} of {}: {:?}", seen.get(), world.events);
                assert!(
                    world.elapsed() < Duration::from_secs(4),
                    "{version:?}, datagram {lost}: {:?}",
                    world.elapsed()
                );
                speak_both_ways(&mut world);
                losses += u32::from(seen.get() >= lost);
            }
            assert!(losses >= 4, "{version:?}: a handshake of fewer datagrams than there are flights: {losses}");
        }
    }
}

#[test]
fn a_lossy_network_still_connects() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..60_u64 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let version = [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto][(seed % 3) as usize];
        let mut world = World::with(version, if seed % 2 == 0 { as_is } else { browser_waits });
        world.wire = Box::new(move |_, _| rng.random_range(0..100) >= 20);
        let connected = world.run_until(Duration::from_secs(30), World::is_connected);
        assert!(connected, "seed {seed}, {version:?}: {:?} {:?}", world.events, world.leg);
    }
}

#[test]
fn a_lost_check_is_asked_again() {
    let mut world = World::new(as_is);
    let mut count = 0;
    world.wire = Box::new(move |_, _| {
        count += 1;
        count > 3
    });
    assert!(world.run_until(Duration::from_secs(5), World::is_connected));
}

#[test]
fn hold_and_back_keep_keys_and_credentials() {
    let mut world = World::connected();
    let ufrag = world.leg.ufrag().to_owned();
    let (_, answer) = world.renegotiate(Direction::Inactive, false);
    assert!(answer.contains("a=inactive\r\n"), "{answer}");
    assert!(answer.contains(&format!("a=ice-ufrag:{ufrag}\r\n")), "hold is no ICE restart: {answer}");
    assert_eq!(world.leg.direction(), Seen::Inactive);
    world.run(Duration::from_secs(20));
    let (_, answer) = world.renegotiate(Direction::SendRecv, false);
    assert!(answer.contains("a=sendrecv\r\n") && answer.contains("a=setup:passive\r\n"), "{answer}");
    assert!(answer.lines().nth(1).unwrap().contains(" 3 IN IP4"), "the version counts on: {answer}");
    speak_both_ways(&mut world);
    assert!(matches!(world.events[..], [BrowserEvent::Connected { .. }]), "{:?}", world.events);
}

#[test]
fn an_ice_restart_keeps_the_association_and_follows_the_new_address() {
    let mut world = World::connected();
    let handshakes = Rc::new(Cell::new(0));
    let counter = Rc::clone(&handshakes);
    world.wire = Box::new(move |_, datagram| {
        counter.set(counter.get() + u32::from(is_dtls(datagram)));
        true
    });
    let before = world.leg.ufrag().to_owned();
    let (_, answer) = world.renegotiate(Direction::SendRecv, true);
    assert_ne!(world.leg.ufrag(), before);
    assert!(!answer.contains(&before));
    assert_eq!(world.leg.ufrags().count(), 2, "the old one is good until the new one is nominated");
    // The visitor changes from Wi-Fi to mobile at the same moment.
    world.address = "203.0.113.99:61000".parse().unwrap();
    let new_address = world.address;
    assert!(world.run_until(Duration::from_secs(10), |w| w.leg.selected() == Some(new_address)), "{:?}", world.leg);
    assert!(world.run_until(Duration::from_secs(10), |w| w.leg.ufrags().count() == 1), "{:?}", world.leg);
    speak_both_ways(&mut world);
    assert_eq!(handshakes.get(), 0, "no DTLS on an ICE restart");
    assert!(matches!(world.events[..], [BrowserEvent::Connected { .. }]), "{:?}", world.events);
    // The old address is forgotten when no check has come from it for as long as consent lasts.
    assert!(world.leg.knows(browser()));
    world.run(Duration::from_secs(40));
    assert!(!world.leg.knows(browser()) && world.leg.knows(new_address));
}

#[test]
fn silence_holds_media_then_ends_the_leg() {
    let mut world = World::connected();
    let pt = world.leg.plan().send_pt;
    world.wire = Box::new(|_, _| false);
    let lost = |w: &World| w.events.contains(&BrowserEvent::ConsentLost);
    let start = world.now;
    assert!(world.run_until(Duration::from_secs(20), lost));
    let held_after = world.now - start;
    assert!((5..=8).contains(&held_after.as_secs()), "{held_after:?}");
    assert!(!world.leg_says(&rtp(pt, 1, 1, &[1])), "nothing is sent to a browser that is not heard");
    assert!(world.run_until(Duration::from_secs(60), |w| w.leg.is_ended()));
    let ended_after = world.now - start;
    assert!((26..=31).contains(&ended_after.as_secs()), "{ended_after:?}");
    assert_eq!(world.events.last(), Some(&BrowserEvent::Failed(FailReason::ConsentExpired)));
    assert_eq!(world.leg.poll_timeout(), None);
}

#[test]
fn a_short_silence_is_forgiven() {
    let mut world = World::connected();
    let start = world.now;
    let open = Rc::new(Cell::new(false));
    let gate = Rc::clone(&open);
    world.wire = Box::new(move |_, _| gate.get());
    world.run(Duration::from_secs(10));
    assert_eq!(world.events.last(), Some(&BrowserEvent::ConsentLost));
    assert_eq!(world.leg.poll_timeout().map(|(_, timer)| timer == Timer::Hold), Some(false));
    open.set(true);
    assert!(world.run_until(Duration::from_secs(10), |w| w.events.last() == Some(&BrowserEvent::ConsentBack)));
    assert!(world.now - start < Duration::from_secs(20));
    speak_both_ways(&mut world);
}

#[test]
fn a_quiet_visitor_keeps_the_call_for_minutes() {
    let mut world = World::connected();
    world.run(Duration::from_secs(300));
    assert!(world.leg.is_connected());
    assert!(matches!(world.events[..], [BrowserEvent::Connected { .. }]), "checks alone are life: {:?}", world.events);
}

#[test]
fn hanging_up_in_the_page_ends_the_leg_at_once() {
    let mut world = World::connected();
    world.visitor.close().unwrap();
    assert!(world.run_until(Duration::from_secs(1), |w| w.leg.is_ended()), "{:?}", world.events);
    assert_eq!(world.events.last(), Some(&BrowserEvent::Closed));
    let (now, address) = (world.now, world.address);
    assert_eq!(world.leg.protect_rtp(&rtp(111, 1, 1, &[1]), now), None);
    world.dropped.clear();
    world.deliver(address, &[0x80; 40]);
    assert_eq!(world.dropped, [crate::DropReason::Closed]);
}

#[test]
fn our_hang_up_is_heard_by_the_browser() {
    let mut world = World::connected();
    world.visitor_events.clear();
    world.leg.close(world.now);
    assert!(world.leg.is_ended());
    world.run(Duration::from_secs(1));
    assert!(!world.visitor.is_alive() || !world.visitor.is_connected(), "{:?}", world.visitor_events);
    assert_eq!(world.events.iter().filter(|e| **e == BrowserEvent::Closed).count(), 0, "no event for our own end");
}

#[test]
fn a_visitor_who_never_comes_is_given_up() {
    let mut world = World::new(as_is);
    world.wire = Box::new(|_, _| false);
    assert_eq!(world.leg.poll_timeout().unwrap().1, Timer::Connect);
    assert!(world.run_until(Duration::from_secs(40), |w| w.leg.is_ended()));
    assert_eq!(world.elapsed().as_secs(), 30);
    assert_eq!(world.events, [BrowserEvent::Failed(FailReason::NeverConnected)]);
    assert_eq!(world.leg.poll_timeout(), None);
}

#[test]
fn a_handshake_that_stops_half_way_is_given_up() {
    for edit in [as_is as fn(String) -> String, browser_waits] {
        let mut world = World::new(edit);
        world.wire = Box::new(|way, datagram| !(is_dtls(datagram) && way == super::visitor::Way::ToBrowser));
        assert!(world.run_until(Duration::from_secs(40), |w| w.leg.is_ended()));
        assert_eq!(world.events, [BrowserEvent::Failed(FailReason::NeverConnected)]);
    }
}

#[test]
fn g711_alone_and_g722_are_agreed_when_asked_for() {
    for codec in [CodecKind::Pcmu, CodecKind::Pcma, CodecKind::G722] {
        let (leg, _) = crate::BrowserLeg::accept(
            include_str!("../../../../sip-tests/data/sdp/chromium156/audio_sendrecv.sdp"),
            config(&[codec]),
            &crate::Certificate::generate().unwrap(),
            super::visitor::start(),
        )
        .unwrap();
        assert_eq!(leg.plan().codec, codec);
    }
}

#[test]
fn a_handshake_is_short() {
    for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
        for edit in [as_is as fn(String) -> String, browser_waits] {
            let mut world = World::with(version, edit);
            let seen = Rc::new(Cell::new(0));
            let counter = Rc::clone(&seen);
            world.wire = Box::new(move |_, datagram| {
                counter.set(counter.get() + u32::from(is_dtls(datagram)));
                true
            });
            assert!(world.run_until(Duration::from_secs(1), World::is_connected));
            world.run(Duration::from_secs(2));
            assert!(seen.get() <= 8, "{version:?}: {} datagrams", seen.get());
        }
    }
}
