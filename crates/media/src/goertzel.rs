//! How much of one frequency is in a sound (Goertzel's algorithm): the ear of the tests and of the self-probe.

/// Amplitude of the sine at `frequency_hz` within `samples`, in sample units (a full-scale sine gives 32767).
#[must_use]
pub fn amplitude(samples: &[i16], rate_hz: u32, frequency_hz: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let coefficient = 2.0 * (std::f64::consts::TAU * frequency_hz / f64::from(rate_hz)).cos();
    let (mut before, mut last) = (0.0_f64, 0.0_f64);
    for sample in samples {
        (before, last) = (last, f64::from(*sample) + coefficient * last - before);
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

/// Share of the sound's energy that lies in the sine at `frequency_hz`: 1 for a pure tone, near 0 for anything else.
#[must_use]
pub fn purity(samples: &[i16], rate_hz: u32, frequency_hz: f64) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    if energy == 0.0 {
        return 0.0;
    }
    let amplitude = amplitude(samples, rate_hz, frequency_hz);
    (amplitude * amplitude / 2.0) * samples.len() as f64 / energy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency_hz: f64, amplitude: f64) -> Vec<i16> {
        (0..8_000)
            .map(|n| (amplitude * (std::f64::consts::TAU * frequency_hz * f64::from(n) / 8_000.0).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_tone_is_itself_and_no_other() {
        let tone = sine(440.0, 10_000.0);
        assert!((amplitude(&tone, 8_000, 440.0) - 10_000.0).abs() < 20.0);
        assert!(purity(&tone, 8_000, 440.0) > 0.999);
        assert!(purity(&tone, 8_000, 620.0) < 0.001);
    }

    #[test]
    fn silence_and_nothing_have_no_tone() {
        assert_eq!(amplitude(&[], 8_000, 440.0), 0.0);
        assert_eq!(purity(&[0; 160], 8_000, 440.0), 0.0);
    }
}
