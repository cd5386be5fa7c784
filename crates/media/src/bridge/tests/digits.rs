//! Digits through the bridge: each once, three ends, both clocks, and never as sound.

use super::*;
use crate::dtmf::{Digit, EventPayload};
use crate::goertzel::amplitude;
use crate::plan::DtmfPlan;

const OPUS_DTMF: DtmfPlan = DtmfPlan { pt: 110, clock_hz: 48_000 };
const PLAIN_DTMF: DtmfPlan = DtmfPlan { pt: 101, clock_hz: 8_000 };

fn with_dtmf(codec: CodecKind, dtmf: DtmfPlan) -> LegPlan {
    LegPlan { send_dtmf: Some(dtmf), receive_dtmf: vec![dtmf], ..plan(codec) }
}

fn desk(a: (CodecKind, DtmfPlan), b: (CodecKind, DtmfPlan)) -> Desk {
    let mut desk = Desk::new();
    desk.bridge.set_leg(Side::A, with_dtmf(a.0, a.1), desk.now);
    desk.bridge.set_leg(Side::B, with_dtmf(b.0, b.1), desk.now);
    desk.bridge.connect(true, desk.now);
    desk
}

/// Says a digit of 160 ms in packets of 20 ms; `lost` are left out by index. The audio clock stands still meanwhile.
fn press(desk: &mut Desk, speaker: &mut Speaker, dtmf: DtmfPlan, key: char, lost: &[usize]) {
    let time = speaker.header.time;
    let ticks = dtmf.clock_hz / 50;
    for index in 0..10_usize {
        let end = index >= 7;
        let duration = (ticks * (index as u32 + 1)).min(ticks * 8) as u16;
        let payload = EventPayload { event: Digit::from_char(key).unwrap().event(), end, volume: 10, duration };
        let header = RtpHeader { marker: index == 0, payload_type: dtmf.pt, time, ..speaker.header };
        speaker.header.seq = speaker.header.seq.next();
        if !lost.contains(&index) {
            let bytes = [&header.encode(false)[..], &payload.encode()].concat();
            desk.take(Side::A, &bytes).unwrap();
        }
        desk.pass(ms(20));
    }
    speaker.header.time = time.plus(speaker.ticks() * 10);
}

/// The digits that a far end would read, and how many ends each had.
fn digits_heard(desk: &Desk, dtmf: DtmfPlan) -> Vec<(char, usize, u16)> {
    let mut digits: Vec<(RtpTime, char, usize, u16)> = Vec::new();
    for packet in desk.ears(Side::B).iter().filter(|packet| packet.payload_type == dtmf.pt) {
        let event = EventPayload::parse(&packet.payload).unwrap();
        let key = Digit::from_event(event.event).unwrap().as_char();
        match digits.last_mut().filter(|(time, ..)| *time == packet.time) {
            Some(last) => {
                assert_eq!(last.1, key);
                last.2 += usize::from(event.end);
                last.3 = last.3.max(event.duration);
            }
            None => digits.push((packet.time, key, usize::from(event.end), event.duration)),
        }
    }
    digits.into_iter().map(|(_, key, ends, duration)| (key, ends, duration)).collect()
}

fn digits_told(desk: &Desk) -> Vec<(char, u32)> {
    desk.events
        .iter()
        .filter_map(|event| {
            let MediaEvent::Digit { from: Side::A, digit, duration_ms } = event else { return None };
            Some((digit.as_char(), *duration_ms))
        })
        .collect()
}

const PAIRS: [((CodecKind, DtmfPlan), (CodecKind, DtmfPlan)); 5] = [
    ((CodecKind::Opus, OPUS_DTMF), (CodecKind::Pcmu, PLAIN_DTMF)),
    ((CodecKind::Pcma, PLAIN_DTMF), (CodecKind::Opus, OPUS_DTMF)),
    ((CodecKind::Pcmu, PLAIN_DTMF), (CodecKind::Pcmu, PLAIN_DTMF)),
    ((CodecKind::Opus, OPUS_DTMF), (CodecKind::Opus, PLAIN_DTMF)),
    ((CodecKind::G722, PLAIN_DTMF), (CodecKind::Opus, OPUS_DTMF)),
];

#[test]
fn a_digit_crosses_once_with_three_ends_and_its_length_on_the_other_clock() {
    for (a, b) in PAIRS {
        for lost in [&[][..], &[0], &[3, 4], &[7], &[8, 9], &[7, 8], &[0, 1, 2, 3, 4, 5, 6]] {
            let mut desk = desk(a, b);
            let mut speaker = Speaker::new(a.0, 440.0);
            desk.speak(Side::A, &mut speaker, ms(200));
            press(&mut desk, &mut speaker, a.1, '5', lost);
            desk.speak(Side::A, &mut speaker, ms(400));
            let full = (b.1.clock_hz / 1_000 * 160) as u16;
            assert_eq!(digits_heard(&desk, b.1), [('5', 3, full)], "{a:?} -> {b:?}, lost {lost:?}");
            assert_eq!(digits_told(&desk), [('5', 160)], "lost {lost:?}");
        }
    }
}

#[test]
fn a_digit_whose_ends_are_all_lost_ends_all_the_same() {
    for (a, b) in PAIRS {
        let mut desk = desk(a, b);
        let mut speaker = Speaker::new(a.0, 440.0);
        desk.speak(Side::A, &mut speaker, ms(200));
        press(&mut desk, &mut speaker, a.1, '#', &[7, 8, 9]);
        desk.speak(Side::A, &mut speaker, ms(600));
        let heard = digits_heard(&desk, b.1);
        assert_eq!((heard.len(), heard[0].0, heard[0].1), (1, '#', 3), "{a:?} -> {b:?}");
        assert_eq!(digits_told(&desk), [('#', 140)]);
    }
}

#[test]
fn sound_before_and_after_a_digit_is_continuous_and_free_of_it() {
    for (a, b) in PAIRS {
        let mut desk = desk(a, b);
        let mut speaker = Speaker::new(a.0, 440.0);
        for key in ['1', '1', '2'] {
            desk.speak(Side::A, &mut speaker, ms(300));
            press(&mut desk, &mut speaker, a.1, key, &[]);
        }
        desk.speak(Side::A, &mut speaker, ms(300));
        let keys: Vec<char> = digits_heard(&desk, b.1).iter().map(|digit| digit.0).collect();
        assert_eq!(keys, ['1', '1', '2'], "{a:?} -> {b:?}");
        for pair in desk.ears(Side::B).windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq.next(), "{a:?} -> {b:?}");
        }
        let sound = listen(b.0, desk.ears(Side::B));
        let rate = rate_hz(b.0);
        // '1' is 697 + 1209 Hz, '2' 697 + 1336 Hz.
        for tone in [697.0, 1_209.0, 1_336.0] {
            assert!(amplitude(&sound, rate, tone) < 120.0, "{a:?} -> {b:?}: {tone} Hz heard");
        }
        assert!(amplitude(&sound[..rate as usize / 5], rate, 440.0) > 4_000.0);
    }
}

#[test]
fn a_digit_ordered_by_the_call_is_sent_and_sound_waits_for_it() {
    let mut desk = desk((CodecKind::Opus, OPUS_DTMF), (CodecKind::Pcmu, PLAIN_DTMF));
    let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
    desk.speak(Side::A, &mut speaker, ms(100));
    for key in ['1', '2', '#'] {
        assert!(desk.bridge.send_digit(Side::B, Digit::from_char(key).unwrap(), desk.now));
    }
    desk.speak(Side::A, &mut speaker, ms(1_500));
    assert_eq!(digits_heard(&desk, PLAIN_DTMF), [('1', 3, 800), ('2', 3, 800), ('#', 3, 800)]);
    assert!(digits_told(&desk).is_empty(), "nobody pressed them");
    desk.assert_continuous(Side::B);
    let sound = listen(CodecKind::Pcmu, desk.ears(Side::B));
    assert!(amplitude(&sound[sound.len() - 1_600..], 8_000, 440.0) > 6_000.0, "sound is back");
}

#[test]
fn digits_that_cannot_be_sent_are_refused_and_the_queue_is_bounded() {
    let mut desk = Desk::new();
    let five = Digit::from_char('5').unwrap();
    assert!(!desk.bridge.send_digit(Side::B, five, desk.now), "no leg");
    desk.bridge.set_leg(Side::B, LegPlan { send_dtmf: None, ..plan(CodecKind::Pcmu) }, desk.now);
    assert!(!desk.bridge.send_digit(Side::B, five, desk.now), "not agreed");
    desk.bridge.set_leg(Side::B, plan(CodecKind::Pcmu), desk.now);
    let taken = (0..1_000).filter(|_| desk.bridge.send_digit(Side::B, five, desk.now)).count();
    assert_eq!(taken, 32);
}

#[test]
fn a_digit_is_told_even_while_a_prompt_plays() {
    let mut desk = desk((CodecKind::Opus, OPUS_DTMF), (CodecKind::Pcmu, PLAIN_DTMF));
    desk.bridge.connect(false, desk.now);
    desk.bridge.play(Side::A, Source::Ringback(crate::tone::Country::France), desk.now);
    let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
    press(&mut desk, &mut speaker, OPUS_DTMF, '7', &[]);
    assert_eq!(digits_told(&desk), [('7', 160)]);
}

/// One packet of a capture: payload type, and RTP bytes.
fn capture(bytes: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let link_bytes = if word(20) == 113 { 16 } else { 14 };
    let mut packets = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let length = word(at + 8);
        let ip = &bytes[at + 16 + link_bytes..at + 16 + length];
        packets.push(ip[usize::from(ip[0] & 15) * 4 + 8..].to_vec());
        at += 16 + length;
    }
    packets
}

fn replay(bytes: &[u8], codec: CodecKind, pt: u8, dtmf: DtmfPlan, drop: impl Fn(usize) -> bool) -> (Desk, Vec<char>) {
    let mut desk = Desk::new();
    let a = LegPlan { send_pt: pt, receive: vec![(pt, codec)], ..with_dtmf(codec, dtmf) };
    desk.bridge.set_leg(Side::A, a, desk.now);
    desk.bridge.set_leg(Side::B, with_dtmf(CodecKind::Pcma, PLAIN_DTMF), desk.now);
    desk.bridge.connect(true, desk.now);
    for (index, packet) in capture(bytes).iter().enumerate() {
        if !drop(index) {
            // Captures hold copies and strays; what matters is the digits.
            desk.bridge.handle_rtp(Side::A, packet, desk.now).unwrap_or_default();
            desk.drain();
        }
        desk.pass(ms(20));
    }
    desk.pass(ms(500));
    let keys = digits_heard(&desk, PLAIN_DTMF).iter().map(|digit| digit.0).collect();
    (desk, keys)
}

#[test]
fn published_captures_give_their_digits() {
    let opus = include_bytes!("../../../data/dtmf/opus-2013785496.pcap");
    let ulaw = include_bytes!("../../../data/dtmf/ulaw-3125894607.pcap");
    for every in [0, 37] {
        let drop = |index: usize| every > 0 && index % every == 5;
        let (desk, keys) = replay(opus, CodecKind::Opus, 96, DtmfPlan { pt: 101, clock_hz: 48_000 }, drop);
        assert_eq!(keys.iter().collect::<String>(), "2013785496", "one in {every} lost");
        assert_eq!(digits_told(&desk).len(), 10);
        let (desk, keys) = replay(ulaw, CodecKind::Pcmu, 0, PLAIN_DTMF, drop);
        assert_eq!(keys.iter().collect::<String>(), "3125894607", "one in {every} lost");
        assert_eq!(digits_told(&desk).len(), 10);
        for packet in desk.ears(Side::B).iter().filter(|packet| packet.payload_type == 8) {
            assert_eq!(packet.payload.len(), 160, "an event never becomes sound");
        }
    }
}

#[test]
fn every_key_of_sipp_is_known() {
    for (name, key) in [("0", '0'), ("1", '1'), ("5", '5'), ("9", '9'), ("star", '*'), ("pound", '#')] {
        let path = format!("{}/data/dtmf/dtmf_2833_{name}.pcap", env!("CARGO_MANIFEST_DIR"));
        let (desk, keys) = replay(&std::fs::read(path).unwrap(), CodecKind::Pcmu, 0, PLAIN_DTMF, |_| false);
        assert_eq!(keys, [key]);
        assert_eq!(digits_told(&desk), [(key, 280)]);
    }
}
