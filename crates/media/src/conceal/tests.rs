//! Lost sound goes on as it was, fades, and comes back without a click.

use super::*;
use crate::goertzel::{amplitude, purity};

fn tone(rate_hz: u32, frequency_hz: f64, start: usize, count: usize) -> Vec<i16> {
    let radians = std::f64::consts::TAU * frequency_hz / f64::from(rate_hz);
    (start..start + count).map(|n| (8_000.0 * (radians * n as f64).sin()) as i16).collect()
}

/// 400 ms of tone, a loss, 400 ms more; returns the sound and where the loss was.
fn lose(rate_hz: u32, frequency_hz: f64, lost_ms: usize, look_ahead: bool) -> (Vec<i16>, std::ops::Range<usize>) {
    let per_ms = rate_hz as usize / 1_000;
    let mut concealer = Concealer::new(rate_hz);
    let mut sound = Vec::new();
    for frame in 0..20 {
        let mut samples = tone(rate_hz, frequency_hz, frame * 20 * per_ms, 20 * per_ms);
        concealer.received(&mut samples);
        sound.extend(samples);
    }
    let lost = sound.len()..sound.len() + lost_ms * per_ms;
    let mut made = vec![0; lost_ms * per_ms];
    let future = tone(rate_hz, frequency_hz, lost.end, 20 * per_ms);
    concealer.conceal(&mut made, if look_ahead { &future } else { &[] });
    sound.extend(made);
    for frame in 0..20 {
        let mut samples = tone(rate_hz, frequency_hz, lost.end + frame * 20 * per_ms, 20 * per_ms);
        concealer.received(&mut samples);
        sound.extend(samples);
    }
    (sound, lost)
}

#[test]
fn a_lost_frame_of_a_tone_is_the_tone() {
    for rate_hz in [8_000, 16_000] {
        for frequency_hz in [150.0, 220.0, 440.0, 1_000.0] {
            for look_ahead in [false, true] {
                let (sound, lost) = lose(rate_hz, frequency_hz, 20, look_ahead);
                let level = amplitude(&sound[lost.clone()], rate_hz, frequency_hz);
                assert!((6_000.0..8_400.0).contains(&level), "{frequency_hz} Hz at {rate_hz}: {level}");
                assert!(purity(&sound, rate_hz, frequency_hz) > 0.98);
            }
        }
    }
}

#[test]
fn no_click_at_either_seam() {
    for frequency_hz in [150.0, 333.0, 440.0] {
        for look_ahead in [false, true] {
            let (sound, lost) = lose(8_000, frequency_hz, 40, look_ahead);
            // The steepest step a tone of this amplitude takes, and half as much again.
            let steepest = 8_000.0 * std::f64::consts::TAU * frequency_hz / 8_000.0 * 1.5;
            for index in lost.start - 10..lost.end + 100 {
                let step = f64::from(i32::from(sound[index]) - i32::from(sound[index - 1])).abs();
                assert!(step < steepest, "{frequency_hz} Hz, sample {}: step {step}", index - lost.start);
            }
        }
    }
}

#[test]
fn a_change_over_the_gap_is_heard_as_one() {
    // Low before, high after: each is heard on its own side of the gap.
    let mut concealer = Concealer::new(8_000);
    let mut before = tone(8_000, 200.0, 0, 400);
    concealer.received(&mut before);
    let mut made = vec![0; 320];
    concealer.conceal(&mut made, &tone(8_000, 600.0, 0, 160));
    let low = |part: &[i16]| amplitude(part, 8_000, 200.0);
    let high = |part: &[i16]| amplitude(part, 8_000, 600.0);
    assert!(low(&made[..80]) > 4_000.0 && high(&made[..80]) < 2_500.0);
    assert!(high(&made[240..]) > 4_000.0 && low(&made[240..]) < 2_500.0);
}

#[test]
fn a_loss_with_nothing_after_it_fades_to_silence_and_stays_there() {
    let (sound, lost) = lose(8_000, 440.0, 200, false);
    let at = |ms: usize| amplitude(&sound[lost.start + ms * 8..lost.start + ms * 8 + 80], 8_000, 440.0);
    assert!(at(0) > 6_000.0);
    assert!(at(30) < at(0) && at(30) > 2_000.0);
    assert!(sound[lost.start + 60 * 8..lost.end].iter().all(|sample| *sample == 0));
}

#[test]
fn a_loss_before_any_sound_is_silence_and_noise_does_not_overflow() {
    let mut concealer = Concealer::new(8_000);
    let mut made = [1; 480];
    concealer.conceal(&mut made, &[]);
    assert!(made.iter().all(|sample| *sample == 0));
    for frame in 0..50 {
        let mut loud: Vec<i16> =
            (0..160).map(|n| if (n * 7919 + frame) % 3 == 0 { i16::MIN } else { i16::MAX }).collect();
        concealer.received(&mut loud);
        concealer.conceal(&mut made, &loud[..frame as usize * 3]);
    }
    concealer.conceal(&mut [], &[]);
    concealer.conceal(&mut [0; 5_000], &[0; 5_000]);
}
