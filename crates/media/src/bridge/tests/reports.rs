//! RTCP both ways: what we report, what we learn, what it changes.

use super::*;
use crate::rtcp::{self, Item};

fn items(packets: &[Vec<u8>]) -> Vec<Item> {
    let mut items = Vec::new();
    for packet in packets {
        rtcp::read(packet, |item| items.push(item)).unwrap();
    }
    items
}

#[test]
fn reports_leave_after_one_second_and_then_about_every_five() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    let mut visitor = Speaker::new(CodecKind::Opus, 440.0);
    desk.speak(Side::A, &mut visitor, ms(1_100));
    assert_eq!((desk.rtcp[0].len(), desk.rtcp[1].len()), (1, 1));
    desk.speak(Side::A, &mut visitor, ms(60_000));
    for side in 0..2 {
        assert!((11..=16).contains(&desk.rtcp[side].len()), "{}", desk.rtcp[side].len());
    }
    // To the visitor, who speaks: a block about his stream. To the agent, who hears: a sender report.
    let to_visitor = items(&desk.rtcp[0]);
    assert!(to_visitor.iter().any(|item| matches!(item, Item::Block(block) if block.about == Ssrc(77))));
    let to_agent = items(&desk.rtcp[1]);
    assert!(
        to_agent.iter().any(|item| matches!(item, Item::Sender { ssrc, .. } if *ssrc == plan(CodecKind::Pcmu).ssrc))
    );
}

/// Two bridges, one behind the other's leg: each reports to the other.
#[test]
fn loss_jitter_and_round_trip_are_learnt_from_the_far_end() {
    let mut near = Desk::joined(CodecKind::Pcma, CodecKind::Opus);
    let mut far = Desk::new();
    far.now = near.now;
    far.bridge = Bridge::new(9, near.now);
    far.bridge.set_leg(Side::A, LegPlan { ssrc: Ssrc(31), ..plan(CodecKind::Opus) }, far.now);
    far.bridge.set_echo(Side::A, true);
    let mut agent = Speaker::new(CodecKind::Pcma, 440.0);
    let mut carried = 0;
    for round in 0..1_500 {
        let packet = agent.say();
        near.take(Side::A, &packet).unwrap();
        near.pass(ms(20));
        // 40 ms there; every fifth packet is lost, from the tenth second on none.
        far.pass((near.now + ms(40)).saturating_duration_since(far.now));
        for heard in &near.ears(Side::B)[carried..] {
            let header =
                RtpHeader { marker: false, payload_type: 109, seq: heard.seq, time: heard.time, ssrc: heard.ssrc };
            if round % 5 != 0 || round > 500 {
                far.bridge.handle_rtp(Side::A, &[&header.encode(false)[..], &heard.payload].concat(), far.now).unwrap();
                far.drain();
            }
        }
        carried = near.ears(Side::B).len();
        for packet in near.rtcp[1].drain(..) {
            far.bridge.handle_rtcp(Side::A, &packet, far.now).unwrap();
        }
        for packet in far.rtcp[0].drain(..) {
            // And 40 ms back.
            let arrives = far.now + ms(40);
            near.bridge.handle_rtcp(Side::B, &packet, arrives).unwrap();
        }
        if round == 480 {
            let remote = near.bridge.stats(Side::B).remote.unwrap();
            assert!((0.15..0.25).contains(&remote.loss_ratio), "{remote:?}");
            assert!(remote.lost > 50);
        }
    }
    let remote = near.bridge.stats(Side::B).remote.unwrap();
    assert!(remote.loss_ratio < 0.01, "{remote:?}");
    let rtt_ms = remote.rtt_ms.unwrap();
    assert!((75.0..125.0).contains(&rtt_ms), "{rtt_ms} ms there and back");
    let mos = far.bridge.stats(Side::A).mos.unwrap();
    assert!((2.5..4.4).contains(&mos), "{mos}");
}

#[test]
fn loss_the_browser_reports_makes_the_coder_send_more_copies() {
    let mut desk = Desk::joined(CodecKind::Pcmu, CodecKind::Opus);
    let ssrc = plan(CodecKind::Opus).ssrc;
    let mut agent = Speaker::new(CodecKind::Pcmu, 440.0);
    agent.syllables = true;
    let size = |desk: &Desk, from: usize| -> usize {
        desk.ears(Side::B)[from..].iter().map(|packet| packet.payload.len()).sum::<usize>()
    };
    desk.speak(Side::A, &mut agent, ms(4_000));
    let clean = size(&desk, 100);
    for _ in 0..6 {
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
        report.extend_from_slice(&ssrc.0.to_be_bytes());
        report.extend_from_slice(&[80, 0, 0, 50]); // 31 %
        report.extend_from_slice(&[0; 16]);
        desk.bridge.handle_rtcp(Side::B, &report, desk.now).unwrap();
    }
    let remote = desk.bridge.stats(Side::B).remote.unwrap();
    assert!((0.3..0.33).contains(&remote.loss_ratio));
    assert_eq!(remote.rtt_ms, None, "it echoed none of our reports");
    let from = desk.ears(Side::B).len();
    desk.speak(Side::A, &mut agent, ms(2_000));
    assert!(size(&desk, from) < clean, "a lower rate for a line that loses a third");
    let with_copy = desk.ears(Side::B)[from..].iter().filter(|packet| opus::carries_fec(&packet.payload)).count();
    assert!(with_copy > 60, "{with_copy} of 100 carry a copy");
}

#[test]
fn reports_about_other_streams_and_garbage_change_nothing() {
    let mut desk = Desk::joined(CodecKind::Pcmu, CodecKind::Opus);
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
    report.extend_from_slice(&[9; 24]);
    desk.bridge.handle_rtcp(Side::B, &report, desk.now).unwrap();
    assert_eq!(desk.bridge.stats(Side::B).remote, None);
    assert_eq!(desk.bridge.handle_rtcp(Side::B, &[0; 40], desk.now), Err(PacketError::Rtcp));
    // A goodbye ends nothing.
    desk.bridge.handle_rtcp(Side::B, &[0x81, 203, 0, 1, 0, 0, 0, 1], desk.now).unwrap();
    let mut agent = Speaker::new(CodecKind::Pcmu, 440.0);
    desk.speak(Side::A, &mut agent, ms(100));
    assert_eq!(desk.ears(Side::B).len(), 5);
    let mut empty = Desk::new();
    assert_eq!(empty.bridge.handle_rtcp(Side::A, &report, empty.now), Err(PacketError::NoLeg));
}

#[test]
fn rtcp_counts_as_a_sign_of_life() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    for _ in 0..6 {
        desk.bridge.handle_rtcp(Side::A, &[0x80, 201, 0, 1, 0, 0, 0, 1], desk.now).unwrap();
        desk.pass(ms(1_000));
    }
    let reports: Vec<_> = desk
        .events
        .iter()
        .filter_map(|event| {
            let MediaEvent::Silent { from, report } = event else { return None };
            Some((*from, report.rtcp_heard))
        })
        .collect();
    assert_eq!(reports, [(Side::A, true), (Side::B, false)]);
}
