//! Texts that are no numbers: nothing panics, nothing takes long, nothing but digits comes out.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::table::everywhere;
use super::*;

/// Whatever it says, a number is digits of a sensible length, and the same when it is judged again.
fn judge(policy: &NumberPolicy, typed: &str, country: Option<&str>) {
    let explanation = policy.explain(typed, country);
    assert_eq!(explanation.verdict().err(), policy.judge(typed, country).err());
    assert!(explanation.rules().len() <= 6, "{typed:?}");
    let Ok(number) = explanation.verdict() else { return };
    let digits = number.digits();
    assert!((5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{typed:?}");
    assert_eq!(policy.judge_again(number.e164()).as_ref(), Ok(number), "{typed:?}");
}

#[test]
fn every_text_of_two_bytes_is_survived() {
    let policy = at_home("FR");
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            assert!(policy.judge(&String::from_utf8_lossy(&[first, second]), None).is_err());
        }
    }
}

#[test]
fn random_texts_are_survived() {
    const TEXTS: u64 = 20_000;
    const SIGNS: [&str; 40] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "00", "33", "6", "+", "＋", " ", "\u{a0}", "\u{202e}",
        "\u{202c}", "\u{200f}", "\u{feff}", "(", ")", "(0)", "-", ".", "/", "tel:", ";ext=", ",", "*", "#", "@", "x",
        "\0", "\n", "٣", "３", "é", "\u{301}",
    ];
    let policy = everywhere();
    for seed in 0..TEXTS {
        let mut rng = StdRng::seed_from_u64(seed);
        // half of them of digits and plus only, so that they come as far as the numbering plans
        let signs = if seed % 2 == 0 { &SIGNS[..14] } else { &SIGNS[..] };
        let length = rng.random_range(0..70);
        let typed: String = (0..length).map(|_| *signs.choose(&mut rng).unwrap()).collect();
        let country =
            [None, Some("FR"), Some("US"), Some("IT"), Some("AR"), Some("BR")].choose(&mut rng).copied().flatten();
        let survived = std::panic::catch_unwind(|| judge(&policy, &typed, country));
        assert!(survived.is_ok(), "seed {seed}: {typed:?} in {country:?}");
    }
}

#[test]
fn random_numbers_of_every_calling_code_are_survived() {
    const NUMBERS: u64 = 10_000;
    let policy = everywhere();
    for seed in 0..NUMBERS {
        let mut rng = StdRng::seed_from_u64(seed);
        let below = 10_u64.pow(rng.random_range(1..18));
        let typed = format!("+{}", rng.random_range(0..below));
        let survived = std::panic::catch_unwind(|| judge(&policy, &typed, None));
        assert!(survived.is_ok(), "seed {seed}: {typed}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it really takes is the question")]
fn a_long_text_costs_no_more_than_a_short_one() {
    const BYTES: usize = 100_000;
    let policy = at_home("FR");
    let started = Instant::now();
    for piece in ["0", "+", " ", "\u{202e}", "\u{301}", "٣", "a", ",", "\0", "tel:", "(0)", "\u{10ffff}"] {
        let typed = piece.repeat(BYTES / piece.len());
        for _ in 0..1_000 {
            assert!(policy.judge(&typed, None).is_err());
            assert!(policy.judge("0612345678", Some(&typed)).is_err());
            assert!(policy.judge_again(&typed).is_err());
        }
    }
    let spent = started.elapsed();
    assert!(spent < Duration::from_secs(10), "36,000 judgements took {spent:?}");
}
