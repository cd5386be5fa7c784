//! Twice or half the rate, for sound made at 8000 Hz that must go out at 16000 Hz or the reverse.
//!
//! Nothing on the two-party path needs it: codecs decode at the rate the far side uses. It serves recordings, and a far
//! end that falls back from G.722 to G.711 in the middle of a call.

/// Taps on each side of the point between two samples.
const SIDE: usize = 8;
const TAPS: usize = 2 * SIDE;

/// A half-band filter that runs up, down, or lets sound pass.
#[derive(Clone, Debug)]
pub struct Doubler {
    from_hz: u32,
    to_hz: u32,
    weights: [f32; TAPS],
    first: [f32; TAPS],
    second: [f32; TAPS],
}

impl Doubler {
    /// From one rate to another: equal, double or half.
    #[must_use]
    pub fn new(from_hz: u32, to_hz: u32) -> Self {
        Self { from_hz, to_hz, weights: weights(), first: [0.0; TAPS], second: [0.0; TAPS] }
    }

    /// Takes other rates from now on; the filter's memory is kept only when they are the same.
    pub fn set_rates(&mut self, from_hz: u32, to_hz: u32) {
        if (from_hz, to_hz) != (self.from_hz, self.to_hz) {
            (self.from_hz, self.to_hz) = (from_hz, to_hz);
            self.first = [0.0; TAPS];
            self.second = [0.0; TAPS];
        }
    }

    /// Samples wanted at the input to get `count` at the output.
    #[must_use]
    pub const fn input_for(&self, count: usize) -> usize {
        count * self.from_hz as usize / self.to_hz as usize
    }

    /// Filters `input` into `out` and says how many samples it gave, never more than `out` holds.
    pub fn run(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        if self.to_hz > self.from_hz {
            let mut count = 0;
            for (sample, pair) in input.iter().zip(out.chunks_exact_mut(2)) {
                push(&mut self.first, *sample);
                pair[0] = round(self.first[SIDE - 1]);
                pair[1] = round(dot(&self.first, &self.weights));
                count += 2;
            }
            count
        } else if self.to_hz < self.from_hz {
            let mut count = 0;
            for (pair, sample) in input.chunks_exact(2).zip(out.iter_mut()) {
                push(&mut self.first, pair[0]);
                push(&mut self.second, pair[1]);
                *sample = round(f32::midpoint(self.first[SIDE], dot(&self.second, &self.weights)));
                count += 1;
            }
            count
        } else {
            let count = input.len().min(out.len());
            out[..count].copy_from_slice(&input[..count]);
            count
        }
    }
}

/// Windowed sinc at the half-way points (Hann window), summing to one.
fn weights() -> [f32; TAPS] {
    let mut weights = [0.0_f32; TAPS];
    for (index, weight) in weights.iter_mut().enumerate() {
        let x = index as f32 - SIDE as f32 + 0.5;
        let window = (std::f32::consts::PI * x / (TAPS as f32 + 1.0)).cos().powi(2);
        *weight = (std::f32::consts::PI * x).sin() / (std::f32::consts::PI * x) * window;
    }
    let sum: f32 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn push(history: &mut [f32; TAPS], sample: i16) {
    history.copy_within(1.., 0);
    history[TAPS - 1] = f32::from(sample);
}

fn dot(history: &[f32; TAPS], weights: &[f32; TAPS]) -> f32 {
    history.iter().zip(weights).map(|(sample, weight)| sample * weight).sum()
}

fn round(value: f32) -> i16 {
    value.round() as i16 // saturates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::{amplitude, purity};

    fn sine(frequency_hz: f64, rate_hz: u32) -> Vec<i16> {
        (0..rate_hz)
            .map(|n| {
                (8_000.0 * (std::f64::consts::TAU * frequency_hz * f64::from(n) / f64::from(rate_hz)).sin()) as i16
            })
            .collect()
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level_both_ways() {
        for (from_hz, to_hz) in [(8_000, 16_000), (16_000, 8_000), (8_000, 8_000)] {
            for frequency_hz in [100.0, 440.0, 1_000.0, 3_000.0] {
                let mut out = vec![0; to_hz as usize];
                let count = Doubler::new(from_hz, to_hz).run(&sine(frequency_hz, from_hz), &mut out);
                assert_eq!(count, to_hz as usize);
                let level = amplitude(&out[400..], to_hz, frequency_hz);
                assert!((7_600.0..8_400.0).contains(&level), "{frequency_hz} Hz {from_hz}->{to_hz}: {level}");
                assert!(purity(&out[400..], to_hz, frequency_hz) > 0.99);
            }
        }
    }

    #[test]
    fn halving_takes_away_what_would_fold() {
        let mut out = vec![0; 8_000];
        Doubler::new(16_000, 8_000).run(&sine(5_500.0, 16_000), &mut out);
        assert!(amplitude(&out[400..], 8_000, 2_500.0) < 80.0, "40 dB down");
    }
}
