//! What happens to a call: early media, hold, prompts, page changes, new codecs. One stream goes out all the while.

use super::*;
use crate::goertzel::{amplitude, purity};
use crate::play::Sound;
use crate::tone::Country;
use std::sync::Arc;

/// How strong a tone is in the last `span_ms` of what a side heard.
fn heard_lately(desk: &Desk, side: Side, codec: CodecKind, frequency_hz: f64, span_ms: usize) -> f64 {
    let sound = listen(codec, desk.ears(side));
    let count = rate_hz(codec) as usize / 1_000 * span_ms;
    amplitude(&sound[sound.len() - count..], rate_hz(codec), frequency_hz)
}

#[test]
fn early_media_and_answer_are_one_stream() {
    for (a, b) in
        [(CodecKind::Pcmu, CodecKind::Opus), (CodecKind::Pcmu, CodecKind::Pcmu), (CodecKind::G722, CodecKind::Pcma)]
    {
        let mut desk = Desk::joined(a, b);
        let mut early = Speaker::new(a, 440.0);
        desk.speak(Side::A, &mut early, ms(600));
        // 200 OK: another SSRC, other numbers, after a pause of a few packets.
        desk.pass(ms(140));
        let mut answered = Speaker::new(a, 620.0);
        answered.header = RtpHeader { seq: SeqNo(7), time: RtpTime(123), ssrc: Ssrc(4_242), ..answered.header };
        desk.speak(Side::A, &mut answered, ms(600));
        desk.assert_continuous(Side::B);
        let marked = desk.ears(Side::B).iter().filter(|packet| packet.marker).count();
        assert_eq!(marked, 2, "{a} -> {b}: a marker where each begins");
        assert!(heard_lately(&desk, Side::B, b, 620.0, 400) > 6_000.0, "{a} -> {b}");
        assert_eq!(desk.bridge.stats(Side::A).received.lost, 0);
        // The clock went on by what went by: 1340 ms from first to last packet end.
        let span = desk.ears(Side::B).last().unwrap().time.since(desk.ears(Side::B)[0].time);
        assert_eq!(span, (b.rtp_clock_hz() / 1_000 * 1_320) as i32, "{a} -> {b}");
    }
}

#[test]
fn hold_music_with_new_numbers_on_the_same_ssrc_is_one_stream() {
    for (a, b) in
        [(CodecKind::Pcma, CodecKind::Opus), (CodecKind::Opus, CodecKind::Opus), (CodecKind::Opus, CodecKind::Pcmu)]
    {
        let mut desk = Desk::joined(a, b);
        let mut speaker = Speaker::new(a, 440.0);
        desk.speak(Side::A, &mut speaker, ms(400));
        speaker.header.seq = speaker.header.seq.plus(20_000);
        speaker.header.time = speaker.header.time.plus(1 << 30);
        // The jump is believed with its second packet.
        assert_eq!(desk.take(Side::A, &speaker.say()), Err(PacketError::Late));
        desk.pass(ms(20));
        desk.speak(Side::A, &mut speaker, ms(400));
        desk.assert_continuous(Side::B);
        // A timestamp that jumps while the sequence does not.
        speaker.header.time = speaker.header.time.plus(1 << 29);
        desk.speak(Side::A, &mut speaker, ms(400));
        desk.assert_continuous(Side::B);
        let steps: Vec<i32> = desk.ears(Side::B).windows(2).map(|pair| pair[1].time.since(pair[0].time)).collect();
        assert!(steps.iter().all(|step| *step <= (b.rtp_clock_hz() / 10) as i32), "{a} -> {b}: {steps:?}");
        assert!(heard_lately(&desk, Side::B, b, 440.0, 300) > 6_000.0);
    }
}

#[test]
fn a_new_codec_in_the_middle_of_the_call_goes_on_with_the_same_numbers() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
    for codec in [CodecKind::Pcmu, CodecKind::Pcma, CodecKind::G722, CodecKind::Opus, CodecKind::Pcmu] {
        let heard_before = desk.ears(Side::B).len();
        desk.bridge.set_leg(Side::B, LegPlan { ssrc: Ssrc(1), ..plan(codec) }, desk.now);
        desk.speak(Side::A, &mut speaker, ms(600));
        desk.assert_continuous(Side::B);
        let sound = listen(codec, &desk.ears(Side::B)[heard_before..]);
        let rate = rate_hz(codec);
        assert!(purity(&sound[rate as usize / 5..], rate, 440.0) > 0.9, "{codec}");
    }
}

#[test]
fn a_far_end_may_change_codec_and_payload_type_without_a_word() {
    let mut desk = Desk::new();
    let receive = vec![(9, CodecKind::G722), (8, CodecKind::Pcma), (0, CodecKind::Pcmu), (109, CodecKind::Opus)];
    desk.bridge.set_leg(Side::A, LegPlan { receive, ..plan(CodecKind::G722) }, desk.now);
    desk.bridge.set_leg(Side::B, plan(CodecKind::Opus), desk.now);
    desk.bridge.connect(true, desk.now);
    let mut header = Speaker::new(CodecKind::G722, 440.0).header;
    for codec in [CodecKind::G722, CodecKind::Pcma, CodecKind::Pcmu, CodecKind::Opus, CodecKind::G722] {
        let mut speaker = Speaker::new(codec, 440.0);
        speaker.header = RtpHeader { payload_type: number(codec), ..header };
        desk.speak(Side::A, &mut speaker, ms(400));
        header = speaker.header;
        assert!(heard_lately(&desk, Side::B, CodecKind::Opus, 440.0, 200) > 6_000.0, "{codec}");
    }
    desk.assert_continuous(Side::B);
}

#[test]
fn a_held_side_hears_nothing_and_the_other_its_music_or_comfort_noise() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    let mut visitor = Speaker::new(CodecKind::Opus, 440.0);
    let mut agent = Speaker::new(CodecKind::Pcmu, 620.0);
    desk.speak(Side::A, &mut visitor, ms(400));
    desk.speak(Side::B, &mut agent, ms(400));
    desk.bridge.set_hold(Side::B, true, desk.now);
    let (to_agent, to_visitor) = (desk.ears(Side::B).len(), desk.ears(Side::A).len());
    desk.speak(Side::A, &mut visitor, ms(25_000));
    assert_eq!(desk.ears(Side::B).len() - to_agent, 2, "one sign of life in ten seconds");
    assert!(desk.ears(Side::A).len() - to_visitor > 1_200, "comfort noise to the visitor");
    assert!(heard_lately(&desk, Side::A, CodecKind::Opus, 620.0, 1_000) < 5.0);
    // The agent's PBX plays music.
    let mut music = Speaker::new(CodecKind::Pcmu, 880.0);
    music.header.ssrc = Ssrc(99);
    desk.speak(Side::B, &mut music, ms(600));
    assert!(heard_lately(&desk, Side::A, CodecKind::Opus, 880.0, 400) > 6_000.0);
    desk.bridge.set_hold(Side::B, false, desk.now);
    desk.speak(Side::A, &mut visitor, ms(600));
    assert!(heard_lately(&desk, Side::B, CodecKind::Pcmu, 440.0, 400) > 6_000.0, "heard again after 25 s of hold");
    desk.assert_continuous(Side::A);
    desk.assert_continuous(Side::B);
}

#[test]
fn a_page_change_is_covered_and_the_new_page_is_heard() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcma);
    let mut visitor = Speaker::new(CodecKind::Opus, 440.0);
    desk.speak(Side::A, &mut visitor, ms(400));
    desk.bridge.clear_leg(Side::A);
    assert_eq!(desk.take(Side::A, &visitor.say()), Err(PacketError::NoLeg));
    let before = desk.ears(Side::B).len();
    desk.pass(ms(3_000));
    let covered = desk.ears(Side::B).len() - before;
    assert!((130..=140).contains(&covered), "{covered} frames of comfort noise in 2.7 s");
    desk.bridge.set_leg(Side::A, plan(CodecKind::Opus), desk.now);
    let mut again = Speaker::new(CodecKind::Opus, 550.0);
    again.header.ssrc = Ssrc(5);
    desk.speak(Side::A, &mut again, ms(600));
    assert!(heard_lately(&desk, Side::B, CodecKind::Pcma, 550.0, 400) > 6_000.0);
    desk.assert_continuous(Side::B);
}

#[test]
fn ring_back_rings_in_its_cadence_and_gives_way_to_the_voice() {
    let mut desk = Desk::new();
    desk.bridge.set_leg(Side::A, plan(CodecKind::Opus), desk.now);
    desk.bridge.play(Side::A, Source::Ringback(Country::France), desk.now);
    desk.pass(ms(6_000));
    assert_eq!(desk.ears(Side::A).len(), 301, "one frame every 20 ms, and one at once");
    let sound = listen(CodecKind::Opus, desk.ears(Side::A));
    let level = |from_ms: usize, to_ms: usize| amplitude(&sound[from_ms * 16..to_ms * 16], 16_000, 440.0);
    assert!(level(100, 1_400) > 3_000.0 && level(5_100, 5_900) > 3_000.0);
    assert!(level(1_600, 4_900) < 10.0, "the pause is silent");
    desk.bridge.set_leg(Side::B, plan(CodecKind::Pcmu), desk.now);
    desk.bridge.connect(true, desk.now);
    desk.bridge.stop(Side::A, desk.now);
    let mut agent = Speaker::new(CodecKind::Pcmu, 620.0);
    desk.speak(Side::B, &mut agent, ms(600));
    assert!(heard_lately(&desk, Side::A, CodecKind::Opus, 620.0, 400) > 6_000.0);
    desk.assert_continuous(Side::A);
}

#[test]
fn a_sentence_is_played_once_then_the_visitor_hears_himself() {
    for codec in CodecKind::ALL {
        for sound_hz in [8_000, 16_000] {
            let mut desk = Desk::new();
            desk.bridge.set_leg(Side::A, plan(codec), desk.now);
            let radians = std::f64::consts::TAU * 700.0 / f64::from(sound_hz);
            let samples = (0..sound_hz).map(|n| (8_000.0 * (radians * f64::from(n)).sin()) as i16).collect();
            let sound = Arc::new(Sound::new(sound_hz, samples).unwrap());
            desk.bridge.play(Side::A, Source::Sound(sound), desk.now);
            desk.bridge.set_echo(Side::A, true);
            let mut visitor = Speaker::new(codec, 440.0);
            desk.speak(Side::A, &mut visitor, ms(900));
            assert!(heard_lately(&desk, Side::A, codec, 700.0, 500) > 6_000.0, "{codec}");
            assert!(heard_lately(&desk, Side::A, codec, 440.0, 500) < 200.0, "the sentence alone");
            assert!(!desk.events.contains(&MediaEvent::PlayDone { to: Side::A }));
            desk.speak(Side::A, &mut visitor, ms(900));
            assert!(desk.events.contains(&MediaEvent::PlayDone { to: Side::A }));
            assert!(heard_lately(&desk, Side::A, codec, 440.0, 500) > 6_000.0, "{codec}: echo");
            desk.assert_continuous(Side::A);
        }
    }
}

#[test]
fn nobody_is_cut_off_for_being_silent() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    desk.pass(ms(60_000));
    for side in Side::BOTH {
        assert!(desk.ears(side).len() > 2_900, "both are covered from the start");
        let told = desk.events.iter().filter(|event| matches!(event, MediaEvent::Silent { from, .. } if *from == side));
        assert_eq!(told.count(), 4, "told after 5, 10, 20, 40 s");
        desk.assert_continuous(side);
    }
    let mut visitor = Speaker::new(CodecKind::Opus, 440.0);
    desk.speak(Side::A, &mut visitor, ms(100));
    assert!(desk.events.contains(&MediaEvent::FirstPacket { from: Side::A }));
    desk.pass(ms(6_000));
    desk.speak(Side::A, &mut visitor, ms(100));
    assert!(desk.events.contains(&MediaEvent::Resumed { from: Side::A }));
}

#[test]
fn silence_that_is_not_sent_keeps_its_length() {
    // DTX: sequence goes on, timestamps leave room, no packet for two seconds.
    for (a, b) in
        [(CodecKind::Opus, CodecKind::Pcmu), (CodecKind::Pcmu, CodecKind::Opus), (CodecKind::Pcmu, CodecKind::Pcmu)]
    {
        let mut desk = Desk::joined(a, b);
        let mut speaker = Speaker::new(a, 440.0);
        desk.speak(Side::A, &mut speaker, ms(400));
        desk.pass(ms(2_000));
        speaker.header.time = speaker.header.time.plus(speaker.ticks() * 100);
        desk.speak(Side::A, &mut speaker, ms(400));
        desk.assert_continuous(Side::B);
        let first = desk.ears(Side::B)[0].time;
        let last = desk.ears(Side::B).last().unwrap().time;
        let span_ms = last.since(first) / (b.rtp_clock_hz() / 1_000) as i32;
        assert!((2_760..=2_800).contains(&span_ms), "{a} -> {b}: {span_ms} ms");
        assert_eq!(desk.bridge.stats(Side::A).received.lost, 0);
        assert_eq!(desk.bridge.stats(Side::A).received.concealed, 0);
    }
}

#[test]
fn header_extensions_stay_behind_unless_both_agreed() {
    for strip in [true, false] {
        let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Opus);
        desk.bridge.set_leg(Side::B, LegPlan { strip_extensions: strip, ..plan(CodecKind::Opus) }, desk.now);
        let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
        let plain = speaker.say();
        let mut extended = plain[..12].to_vec();
        extended[0] |= 0x10;
        extended.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        extended.extend_from_slice(&plain[12..]);
        desk.bridge.handle_rtp(Side::A, &extended, desk.now).unwrap();
        let sent = desk.bridge.poll_packet().unwrap().bytes.to_vec();
        assert_eq!(sent.len(), if strip { plain.len() } else { extended.len() });
        assert_eq!(RtpView::parse(&sent).unwrap().payload, &plain[12..]);
    }
}

#[test]
fn whoever_takes_a_place_is_heard_in_the_same_stream_and_has_figures_of_his_own() {
    for (old, new, stays) in [
        (CodecKind::Pcmu, CodecKind::Pcmu, CodecKind::Opus),
        (CodecKind::Pcmu, CodecKind::Pcma, CodecKind::Pcmu),
        (CodecKind::Opus, CodecKind::G722, CodecKind::Opus),
    ] {
        let mut desk = Desk::joined(old, stays);
        let mut visitor = Speaker::new(stays, 620.0);
        let mut first = Speaker::new(old, 440.0);
        desk.speak(Side::A, &mut first, ms(600));
        desk.bridge.set_hold(Side::A, true, desk.now);
        desk.bridge.hand_over(Side::A, LegPlan { ssrc: Ssrc(9), ..plan(new) }, desk.now);
        let heard_before = desk.ears(Side::A).len();
        // The old one's packets on their way mean nothing any more; the new one counts from his own numbers.
        let mut second = Speaker::new(new, 880.0);
        second.header = RtpHeader { seq: SeqNo(9), time: RtpTime(99), ssrc: Ssrc(99), ..second.header };
        for _ in 0..30 {
            desk.speak(Side::A, &mut second, ms(20));
            desk.speak(Side::B, &mut visitor, ms(20));
        }
        desk.assert_continuous(Side::B);
        let steps: Vec<i32> = desk.ears(Side::B).windows(2).map(|pair| pair[1].time.since(pair[0].time)).collect();
        assert!(steps.iter().all(|step| *step <= (stays.rtp_clock_hz() / 10) as i32), "{old} -> {new}: {steps:?}");
        assert!(heard_lately(&desk, Side::B, stays, 880.0, 300) > 6_000.0, "{old} -> {new}");
        let sound = listen(new, &desk.ears(Side::A)[heard_before..]);
        let rate = rate_hz(new);
        assert!(purity(&sound[rate as usize / 5..], rate, 620.0) > 0.9, "{old} -> {new}: a hold ends with who held");
        assert_eq!(desk.ears(Side::A).last().unwrap().ssrc, Ssrc(9));
        let stats = desk.bridge.stats(Side::A);
        assert_eq!((stats.received.packets, stats.received.lost), (30, 0), "{old} -> {new}");
        assert!(stats.sent.packets <= 40, "{old} -> {new}: {:?}", stats.sent);
    }
}
