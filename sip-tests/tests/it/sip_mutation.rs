//! Hundreds of thousands of spoilt SIP messages: none panics, none takes long. The seed is printed.

use std::time::{Duration, Instant};

use sip_tests::data;
use sip_tests::fuzz::mutate::Mutator;
use sip_tests::fuzz::sip::{message, stream};

/// Seeds of this run: the same for all, so that a failure here is a failure everywhere.
const SEEDS: [u64; 4] = [1, 4_475, 3_665, 0xfeed];

/// Messages for each seed.
const EACH: usize = 80_000;

/// A message that takes longer is a hang, however busy the machine.
const SLOWEST: Duration = Duration::from_secs(5);

fn originals() -> Vec<Vec<u8>> {
    let torture = data::folder("rfc4475", ".dat");
    let flows = data::folder("rfc3665", ".sip");
    torture.into_iter().chain(flows).map(|(_, octets)| octets).collect()
}

#[test]
fn spoilt_messages_never_panic() {
    let originals = originals();
    for seed in SEEDS {
        println!("seed {seed}");
        let mut mutator = Mutator::new(seed);
        for number in 0..EACH {
            let octets = mutator.pick(&originals).clone();
            let other = mutator.pick(&originals).clone();
            let spoilt = mutator.spoil(&octets, &other);
            let start = Instant::now();
            message(&spoilt);
            let took = start.elapsed();
            assert!(took < SLOWEST, "seed {seed}, message {number}: {took:?}");
        }
    }
}

#[test]
fn spoilt_streams_are_the_same_in_any_pieces() {
    let originals = originals();
    let seed = 5_923;
    println!("seed {seed}");
    let mut mutator = Mutator::new(seed);
    for _ in 0..20_000 {
        let mut octets = vec![u8::try_from(mutator.below(256)).unwrap()];
        for _ in 0..=mutator.below(3) {
            octets.extend_from_slice(mutator.pick::<Vec<u8>>(&originals));
        }
        let (first, rest) = octets.split_first().unwrap();
        let other = mutator.pick(&originals).clone();
        let mut spoilt = vec![*first];
        spoilt.extend(mutator.spoil(rest, &other));
        stream(&spoilt);
    }
}
