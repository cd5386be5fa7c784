//! ITU-T G.711: the two logarithmic laws of the telephone network, by table and shift.
//!
//! One octet is one sample of 125 µs: a sign, three bits of segment, four bits of step, all inverted (µ-law) or every
//! other bit inverted (A-law).

use super::{CodecError, Decoder, Encoder};
use crate::conceal::Concealer;

const RATE_HZ: u32 = 8_000;

/// Which of the two laws.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Law {
    /// Europe and most of the world; PCMA.
    A,
    /// North America and Japan; PCMU.
    Mu,
}

/// Linear value of each µ-law octet.
pub const MU_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as u8);
        let magnitude = ((((bits & 0x0f) as i16) << 3) + 0x84) << ((bits >> 4) & 7);
        table[code] = if bits & 0x80 != 0 { 0x84 - magnitude } else { magnitude - 0x84 };
        code += 1;
    }
    table
};

/// Linear value of each A-law octet.
pub const A_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = (code as u8) ^ 0x55;
        let step = ((bits & 0x0f) as i16) << 4;
        let segment = (bits >> 4) & 7;
        let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
        table[code] = if bits & 0x80 != 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
};

/// µ-law octet of a linear sample.
#[must_use]
pub const fn mu_from_linear(sample: i16) -> u8 {
    // 14 bits as the law is defined on, biased so that each segment starts at a power of two.
    let fourteen = (sample >> 2) as i32;
    let biased = (fourteen.abs() + 33) as u32;
    let biased = if biased > 0x1fff { 0x1fff } else { biased };
    let segment = 26 - biased.leading_zeros(); // 33..=63 is segment 0
    let step = (biased >> (segment + 1)) & 0x0f;
    let sign = if fourteen < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) | step) as u8
}

/// A-law octet of a linear sample.
#[must_use]
pub const fn a_from_linear(sample: i16) -> u8 {
    // 12 bits of magnitude; one's complement below zero, so that −1 and 0 are neighbours.
    let magnitude = if sample < 0 { !sample >> 4 } else { sample >> 4 } as u32;
    let (segment, step) = if magnitude < 32 {
        (magnitude >> 4, magnitude & 0x0f)
    } else {
        let segment = 28 - magnitude.leading_zeros(); // 32..=63 is segment 2
        (segment, (magnitude >> (segment - 1)) & 0x0f)
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    ((sign | (segment << 4) | step) as u8) ^ 0x55
}

/// G.711 coder: no state at all.
#[derive(Debug)]
pub struct G711Encoder {
    law: Law,
}

impl G711Encoder {
    /// A coder of one law.
    #[must_use]
    pub const fn new(law: Law) -> Self {
        Self { law }
    }
}

impl Encoder for G711Encoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let out = out.get_mut(..samples.len()).ok_or(CodecError::BufferTooSmall)?;
        match self.law {
            Law::A => out.iter_mut().zip(samples).for_each(|(code, sample)| *code = a_from_linear(*sample)),
            Law::Mu => out.iter_mut().zip(samples).for_each(|(code, sample)| *code = mu_from_linear(*sample)),
        }
        Ok(samples.len())
    }
}

/// G.711 decoder with concealment.
#[derive(Debug)]
pub struct G711Decoder {
    table: &'static [i16; 256],
    concealer: Concealer,
    /// What comes after a gap.
    future: Vec<i16>,
}

impl G711Decoder {
    /// A decoder of one law.
    #[must_use]
    pub fn new(law: Law) -> Self {
        let table = match law {
            Law::A => &A_TO_LINEAR,
            Law::Mu => &MU_TO_LINEAR,
        };
        let concealer = Concealer::new(RATE_HZ);
        let future = Vec::with_capacity(concealer.future_samples());
        Self { table, concealer, future }
    }
}

impl Decoder for G711Decoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let out = out.get_mut(..payload.len()).ok_or(CodecError::BufferTooSmall)?;
        for (sample, code) in out.iter_mut().zip(payload) {
            *sample = self.table[usize::from(*code)];
        }
        self.concealer.received(out);
        Ok(payload.len())
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        let next = next.unwrap_or_default().iter().take(self.concealer.future_samples());
        self.future.clear();
        self.future.extend(next.map(|code| self.table[usize::from(*code)]));
        self.concealer.conceal(out, &self.future);
    }
}

#[cfg(test)]
mod tests;
