//! Loss, reordering and copies on the way.

use super::*;
use crate::goertzel::{amplitude, purity};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Says three seconds of a tone; `fate` says for each packet how long it takes, or that it is lost.
fn send(a: CodecKind, b: CodecKind, mut fate: impl FnMut(usize) -> Option<u64>) -> Desk {
    let mut desk = Desk::joined(a, b);
    let mut speaker = Speaker::new(a, 440.0);
    let mut arrivals: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    for index in 0..150 {
        let packet = speaker.say();
        if let Some(delay_ms) = fate(index) {
            arrivals.push((index as u64 * 20 + delay_ms, index, packet));
        }
    }
    arrivals.sort();
    for (at_ms, _, packet) in arrivals {
        let at = desk.start + ms(at_ms);
        desk.pass(at.saturating_duration_since(desk.now));
        desk.bridge.handle_rtp(Side::A, &packet, desk.now).unwrap_or_default();
        desk.drain();
    }
    desk
}

const TRANSCODED: [(CodecKind, CodecKind); 5] = [
    (CodecKind::Opus, CodecKind::Pcmu),
    (CodecKind::Opus, CodecKind::G722),
    (CodecKind::Pcmu, CodecKind::Opus),
    (CodecKind::G722, CodecKind::Opus),
    (CodecKind::Pcma, CodecKind::G722),
];

#[test]
fn single_losses_are_filled_and_the_stream_has_no_hole() {
    for (a, b) in TRANSCODED {
        // The very last one is lost too, which no packet shows.
        let desk = send(a, b, |index| (index % 8 != 5).then_some(0));
        desk.assert_continuous(Side::B);
        assert_eq!(desk.ears(Side::B).len(), 149, "{a} -> {b}");
        let stats = desk.bridge.stats(Side::A).received;
        assert_eq!((stats.lost, stats.concealed), (18, 18), "{a} -> {b}");
        let sound = listen(b, desk.ears(Side::B));
        let share = purity(&sound[rate_hz(b) as usize / 5..], rate_hz(b), 440.0);
        // A tone without syllables gets no copies in Opus packets: it is guessed, and its phase drifts a little.
        let wanted = if a == CodecKind::Opus { 0.8 } else { 0.9 };
        assert!(share > wanted, "{a} -> {b}: {share}");
        let level = amplitude(&sound[rate_hz(b) as usize / 5..], rate_hz(b), 440.0);
        assert!(level > 8_000.0 * wanted, "{a} -> {b}: {level}");
    }
}

#[test]
fn lost_opus_is_restored_from_the_packet_behind_it() {
    let mut desk = Desk::joined(CodecKind::Opus, CodecKind::Pcmu);
    let mut speaker = Speaker::new(CodecKind::Opus, 440.0);
    speaker.syllables = true;
    for index in 0..200 {
        let packet = speaker.say();
        if index % 8 != 5 {
            desk.take(Side::A, &packet).unwrap();
        }
        desk.pass(ms(20));
    }
    let stats = desk.bridge.stats(Side::A).received;
    assert_eq!((stats.lost, stats.concealed), (25, 25));
    assert!(stats.recovered > 12, "{} of 25 restored", stats.recovered);
}

#[test]
fn a_burst_is_filled_up_to_a_bound_and_the_rest_is_shown_as_loss() {
    for (a, b) in TRANSCODED {
        // Three packets, then thirteen.
        let desk = send(a, b, |index| (!(40..43).contains(&index) && !(80..93).contains(&index)).then_some(0));
        let ears = desk.ears(Side::B);
        let holes: Vec<i16> =
            ears.windows(2).map(|pair| pair[1].seq.since(pair[0].seq)).filter(|step| *step != 1).collect();
        assert_eq!(holes, [8], "{a} -> {b}: thirteen lost, six made up, seven shown");
        for pair in ears.windows(2) {
            let ticks = pair[1].time.since(pair[0].time);
            let frame = (b.rtp_clock_hz() / 50) as i32;
            assert_eq!(ticks, frame * i32::from(pair[1].seq.since(pair[0].seq)), "{a} -> {b}");
        }
    }
}

#[test]
fn a_packet_that_comes_a_little_late_is_waited_for() {
    for (a, b) in TRANSCODED {
        // Every tenth packet arrives 24 ms late: just behind the next one.
        let desk = send(a, b, |index| Some(if index % 10 == 5 { 24 } else { 0 }));
        desk.assert_continuous(Side::B);
        let stats = desk.bridge.stats(Side::A).received;
        assert_eq!((stats.lost, stats.late, stats.concealed), (0, 0, 0), "{a} -> {b}");
        assert_eq!(desk.ears(Side::B).len(), 150);
        let sound = listen(b, desk.ears(Side::B));
        assert!(purity(&sound[rate_hz(b) as usize / 5..], rate_hz(b), 440.0) > 0.95);
    }
}

#[test]
fn a_packet_that_comes_too_late_is_dropped_and_counted() {
    for (a, b) in TRANSCODED {
        let desk = send(a, b, |index| Some(if index % 10 == 5 { 55 } else { 0 }));
        desk.assert_continuous(Side::B);
        let stats = desk.bridge.stats(Side::A).received;
        assert_eq!((stats.late, stats.lost, stats.concealed), (15, 15, 15), "{a} -> {b}");
    }
}

#[test]
fn waiting_costs_ten_milliseconds_and_only_at_a_gap() {
    let desk = send(CodecKind::Opus, CodecKind::Pcmu, |index| (index % 30 != 20).then_some(0));
    for (index, packet) in desk.ears(Side::B).iter().enumerate() {
        let said_at = desk.start + ms(index as u64 * 20);
        let added = packet.at.saturating_duration_since(said_at);
        match index % 30 {
            20 => assert_eq!(added, ms(30), "made up when the wait for it was over"),
            21 => assert_eq!(added, ms(10)),
            _ => assert_eq!(added, ms(0), "packet {index}"),
        }
    }
}

#[test]
fn a_relay_keeps_gaps_and_order_as_they_are() {
    for codec in CodecKind::ALL {
        let desk = send(codec, codec, |index| match index % 10 {
            5 => None,
            7 => Some(25),
            _ => Some(0),
        });
        let ears = desk.ears(Side::B);
        assert_eq!(ears.len(), 135);
        let offset = ears[0].seq;
        let numbers: Vec<i16> = ears.iter().map(|packet| packet.seq.since(offset)).collect();
        assert!(!numbers.iter().any(|number| number % 10 == 5), "a gap stays a gap: the far end conceals");
        assert_eq!(numbers[6..8], [8, 7], "and order stays");
        assert_eq!(desk.bridge.stats(Side::A).received.lost, 15);
    }
}

#[test]
fn any_weather_gives_a_stream_that_rises() {
    for seed in 0..200_u64 {
        let mut random = SmallRng::seed_from_u64(seed);
        let (a, b) = (CodecKind::ALL[random.random_range(0..4)], CodecKind::ALL[random.random_range(0..4)]);
        let (loss, jitter) = (random.random_range(0.0..0.5), random.random_range(0..80));
        let desk = send(a, b, |_| (random.random::<f64>() > loss).then(|| random.random_range(0..=jitter)));
        let relayed = a == b;
        for pair in desk.ears(Side::B).windows(2) {
            let (step, ticks) = (pair[1].seq.since(pair[0].seq), pair[1].time.since(pair[0].time));
            if relayed {
                assert_ne!(step, 0, "seed {seed}: number used twice");
            } else {
                assert!(step > 0, "seed {seed} {a} -> {b}: sequence {step}");
                assert!(ticks > 0, "seed {seed} {a} -> {b}: timestamp {ticks}");
            }
        }
        let stats = desk.bridge.stats(Side::A);
        assert!(stats.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos)));
        assert_eq!(stats.sent.overflow + desk.bridge.stats(Side::B).sent.overflow, 0, "seed {seed}");
    }
}
