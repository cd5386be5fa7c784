//! Tone identity, level and delay for every pair of codecs and packet times.

use super::*;
use crate::goertzel::{amplitude, purity};

/// Says a tone on one side and returns what the other heard, without the first 200 ms.
fn hear(
    a: CodecKind,
    b: CodecKind,
    frequency_hz: f64,
    amplitude: f64,
    frame_ms: u32,
    ptime_ms: u8,
) -> (Desk, Vec<i16>) {
    let mut desk = Desk::new();
    desk.bridge.set_leg(Side::A, plan(a), desk.now);
    desk.bridge.set_leg(Side::B, LegPlan { ptime_ms, ..plan(b) }, desk.now);
    desk.bridge.connect(true, desk.now);
    let mut speaker = Speaker::new(a, frequency_hz);
    speaker.amplitude = amplitude;
    speaker.frame_ms = frame_ms;
    desk.speak(Side::A, &mut speaker, ms(1_800));
    let sound = listen(b, desk.ears(Side::B));
    let skipped = rate_hz(b) as usize / 5;
    let heard = sound[skipped..].to_vec();
    (desk, heard)
}

#[test]
fn a_tone_said_in_any_codec_is_heard_in_any_other() {
    for a in CodecKind::ALL {
        for b in CodecKind::ALL {
            let (desk, heard) = hear(a, b, 440.0, 8_000.0, 20, 20);
            desk.assert_continuous(Side::B);
            let back = listen(a, desk.ears(Side::A));
            assert!(amplitude(&back, rate_hz(a), 440.0) < 5.0, "{a}: only comfort noise comes back");
            let share = purity(&heard, rate_hz(b), 440.0);
            assert!(share > 0.95, "{a} -> {b}: {share}");
            assert_eq!(desk.ears(Side::B).len(), 90, "{a} -> {b}: packet in, packet out");
        }
    }
}

#[test]
fn level_is_kept_within_half_a_decibel() {
    for a in CodecKind::ALL {
        for b in CodecKind::ALL {
            for (frequency_hz, level) in [(440.0, 1_000.0), (1_000.0, 8_000.0), (2_000.0, 8_000.0)] {
                let (_, heard) = hear(a, b, frequency_hz, level, 20, 20);
                let decibel = 20.0 * (amplitude(&heard, rate_hz(b), frequency_hz) / level).log10();
                assert!(decibel.abs() < 0.5, "{a} -> {b} at {frequency_hz} Hz, {level}: {decibel:.2} dB");
            }
        }
    }
}

#[test]
fn wideband_stays_wideband() {
    for (a, b) in [(CodecKind::Opus, CodecKind::G722), (CodecKind::G722, CodecKind::Opus)] {
        let (_, heard) = hear(a, b, 5_500.0, 8_000.0, 20, 20);
        let level = amplitude(&heard, 16_000, 5_500.0);
        assert!(level > 4_000.0, "{a} -> {b}: {level}");
    }
}

#[test]
fn packet_times_are_changed_to_what_the_leg_wants() {
    for (a, b) in [
        (CodecKind::Opus, CodecKind::Pcmu),
        (CodecKind::Pcma, CodecKind::Opus),
        (CodecKind::Pcmu, CodecKind::Pcmu),
        (CodecKind::G722, CodecKind::G722),
        (CodecKind::G722, CodecKind::Pcma),
    ] {
        for frame_ms in [10, 20, 30, 40, 60] {
            for ptime_ms in [10, 20, 30, 40, 60] {
                if a == CodecKind::Opus && frame_ms == 30 || b == CodecKind::Opus && ptime_ms == 30 {
                    continue; // no such Opus frame
                }
                let (desk, heard) = hear(a, b, 440.0, 8_000.0, frame_ms, ptime_ms);
                desk.assert_continuous(Side::B);
                let share = purity(&heard, rate_hz(b), 440.0);
                assert!(share > 0.95, "{a} {frame_ms} ms -> {b} {ptime_ms} ms: {share}");
                let ticks = b.rtp_clock_hz() / 1_000 * u32::from(ptime_ms);
                for pair in desk.ears(Side::B).windows(2) {
                    assert_eq!(pair[1].time.since(pair[0].time), ticks as i32, "{a} {frame_ms} -> {b} {ptime_ms}");
                }
            }
        }
    }
}

#[test]
fn the_same_codec_is_passed_on_octet_by_octet() {
    for codec in CodecKind::ALL {
        let mut desk = Desk::joined(codec, codec);
        let mut speaker = Speaker::new(codec, 440.0);
        let mut said = Vec::new();
        for _ in 0..100 {
            let packet = speaker.say();
            said.push(packet[12..].to_vec());
            desk.take(Side::A, &packet).unwrap();
            desk.pass(ms(20));
        }
        let heard: Vec<_> = desk.ears(Side::B).iter().map(|packet| packet.payload.clone()).collect();
        assert_eq!(said, heard, "{codec}");
        desk.assert_continuous(Side::B);
    }
}

/// The added delay: a packet leaves in the call in which it came, and inside it the sound is late only by what the
/// coders need.
#[test]
fn sound_is_delayed_by_the_coders_and_nothing_else() {
    for (a, b, limit_ms) in [
        (CodecKind::Pcmu, CodecKind::Pcma, 0.2),
        (CodecKind::Opus, CodecKind::Pcmu, 8.0),
        (CodecKind::Pcmu, CodecKind::Opus, 16.0),
        (CodecKind::G722, CodecKind::Pcmu, 3.0),
    ] {
        let mut desk = Desk::joined(a, b);
        let mut speaker = Speaker::new(a, 500.0);
        speaker.amplitude = 0.0;
        desk.speak(Side::A, &mut speaker, ms(400));
        speaker.amplitude = 8_000.0;
        let began_at = 400.0;
        desk.speak(Side::A, &mut speaker, ms(400));
        assert_eq!(desk.ears(Side::B).len(), 40);
        for (index, packet) in desk.ears(Side::B).iter().enumerate() {
            assert_eq!(packet.at, desk.start + ms(20 * index as u64), "out when it came");
        }
        let sound = listen(b, desk.ears(Side::B));
        let onset = sound.iter().position(|sample| sample.unsigned_abs() > 2_000).unwrap();
        let delay = onset as f64 * 1_000.0 / f64::from(rate_hz(b)) - began_at;
        println!("{a} -> {b}: {delay:.1} ms");
        assert!((-1.0..limit_ms + 0.5).contains(&delay), "{a} -> {b}: {delay} ms");
    }
}
