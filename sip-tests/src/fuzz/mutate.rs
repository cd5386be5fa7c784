//! Seeded mutation: the same seed makes the same octets on every machine.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Spoils octets, a little or a lot.
#[derive(Debug)]
pub struct Mutator {
    rng: StdRng,
}

/// Octets that parsers stumble over.
const NASTY: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b",",
    b";",
    b":",
    b"=",
    b"@",
    b"%",
    b"%00",
    b"?",
    b"[",
    b"]",
    b" ",
    b"\t",
    b"\r\n ",
    b"\r\n\r\n",
    b"-1",
    b"4294967296",
    b"2147483648",
    b"18446744073709551616",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xe2\x80\xa8",
    b"Content-Length: 5\r\n",
    b"l:0\r\n",
    b"Via: SIP/2.0/UDP x;branch=z9hG4bK\r\n",
    b"SIP/2.0",
    b"sip:",
    b"tel:",
    b"<sip:a@b>;tag=1",
    b"z9hG4bK",
    b";;",
    b",,",
    b"()",
    b"\x7f",
    b"\x0b",
];

impl Mutator {
    /// A mutator that always does the same for a seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed) }
    }

    /// A number below `bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.rng.random_range(0..bound) }
    }

    /// One of several; the list must not be empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = self.below(list.len());
        &list[at]
    }

    /// A spoilt copy of `octets`; `other` lends pieces.
    pub fn spoil(&mut self, octets: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = octets.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(out.len() + 1);
            let end = (at + self.below(24)).min(out.len());
            match self.below(9) {
                0 if at < out.len() => out[at] ^= 1 << self.below(8),
                1 if at < out.len() => out[at] = self.rng.random(),
                2 => drop(out.drain(at..end)),
                3 => {
                    let piece = *self.pick(NASTY);
                    drop(out.splice(at..at, piece.iter().copied()));
                }
                4 => {
                    let piece = *self.pick(NASTY);
                    drop(out.splice(at..end, piece.iter().copied()));
                }
                5 => {
                    let piece = out[at..end].to_vec();
                    let to = self.below(out.len() + 1);
                    drop(out.splice(to..to, piece));
                }
                6 => {
                    let from = self.below(other.len() + 1);
                    let till = (from + self.below(120)).min(other.len());
                    drop(out.splice(at..end, other[from..till].iter().copied()));
                }
                7 if self.below(4) == 0 => out.truncate(at),
                8 if self.below(8) == 0 => {
                    let piece = out[at..end].repeat(1 + self.below(40));
                    drop(out.splice(at..at, piece));
                }
                _ => {
                    // A whole line again, elsewhere: repeated headers in another order.
                    let start = out[..at].iter().rposition(|&octet| octet == b'\n').map_or(0, |found| found + 1);
                    let stop =
                        out[at..].iter().position(|&octet| octet == b'\n').map_or(out.len(), |found| at + found + 1);
                    let line = out[start..stop].to_vec();
                    if self.below(2) == 0 {
                        out.drain(start..stop);
                    }
                    let to = self.below(out.len() + 1);
                    drop(out.splice(to..to, line));
                }
            }
        }
        out
    }
}
