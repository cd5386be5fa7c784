//! Sounds a telephone network makes, sample by sample: ring-back per country, and the noise of a quiet line.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Whose ring-back tone is heard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Country {
    /// 440 Hz, 1.5 s on, 3.5 s off.
    #[default]
    France,
    /// 400 + 450 Hz, 0.4 s on, 0.2 s off, 0.4 s on, 2 s off.
    UnitedKingdom,
    /// 440 + 480 Hz, 2 s on, 4 s off.
    UnitedStates,
}

/// Level of each tone: −19 dB of full scale, about −16 dBm0.
const TONE_AMPLITUDE: f32 = 3_600.0;

/// Comfort noise: −63 dB of full scale, heard as "the line is alive".
const NOISE_AMPLITUDE: f32 = 60.0;

impl Country {
    /// The country of a two-letter code, `fr`, `uk` (or `gb`), `us`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "fr" => Some(Self::France),
            "uk" | "gb" => Some(Self::UnitedKingdom),
            "us" => Some(Self::UnitedStates),
            _ => None,
        }
    }

    /// The frequencies sounding together, in hertz; 0 for none. ITU-T E.180 Supplement 2.
    #[must_use]
    pub const fn frequencies_hz(self) -> [u16; 2] {
        match self {
            Self::France => [440, 0],
            Self::UnitedKingdom => [400, 450],
            Self::UnitedStates => [440, 480],
        }
    }

    /// On, off, on, off, in milliseconds.
    #[must_use]
    pub const fn cadence_ms(self) -> [u16; 4] {
        match self {
            Self::France => [1_500, 3_500, 0, 0],
            Self::UnitedKingdom => [400, 200, 400, 2_000],
            Self::UnitedStates => [2_000, 4_000, 0, 0],
        }
    }

    /// Whether the tone sounds this long after its beginning.
    #[must_use]
    pub fn sounds_at(self, elapsed_ms: u64) -> bool {
        let cadence = self.cadence_ms();
        let cycle: u64 = cadence.iter().map(|part| u64::from(*part)).sum();
        let mut rest = elapsed_ms % cycle;
        for (index, part) in cadence.iter().enumerate() {
            if rest < u64::from(*part) {
                return index % 2 == 0;
            }
            rest -= u64::from(*part);
        }
        false
    }
}

/// A ring-back tone from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Ringback {
    country: Country,
    sample: u64,
}

impl Ringback {
    pub(crate) const fn new(country: Country) -> Self {
        Self { country, sample: 0 }
    }

    pub(crate) fn fill(&mut self, rate_hz: u32, out: &mut [i16]) {
        for sample in out {
            *sample = 0;
            if self.country.sounds_at(self.sample * 1_000 / u64::from(rate_hz)) {
                // Whole hertz repeat every second: the phase stays exact however long it rings.
                let second = (self.sample % u64::from(rate_hz)) as f32 / rate_hz as f32;
                let tones = self.country.frequencies_hz();
                let sum: f32 = tones.iter().map(|hz| (std::f32::consts::TAU * f32::from(*hz) * second).sin()).sum();
                *sample = (sum * TONE_AMPLITUDE) as i16;
            }
            self.sample += 1;
        }
    }
}

/// Soft noise, darker than white.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    random: SmallRng,
    level: f32,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), level: 0.0 }
    }

    pub(crate) fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let white = (self.random.random::<f32>() - 0.5) * 2.0 * NOISE_AMPLITUDE;
            self.level += (white - self.level) * 0.6;
            *sample = self.level as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::amplitude;

    #[test]
    fn each_country_rings_with_its_own_tones_and_pauses() {
        for (country, on_ms, off_ms) in [
            (Country::France, [0, 1_499, 5_000], [1_500, 4_999]),
            (Country::UnitedKingdom, [0, 600, 3_000], [400, 1_000]),
            (Country::UnitedStates, [0, 1_999, 6_000], [2_000, 5_999]),
        ] {
            assert!(on_ms.iter().all(|ms| country.sounds_at(*ms)), "{country:?}");
            assert!(!off_ms.iter().any(|ms| country.sounds_at(*ms)), "{country:?}");
            let mut sound = vec![0; 3_200];
            Ringback::new(country).fill(8_000, &mut sound);
            for frequency in country.frequencies_hz().into_iter().filter(|hz| *hz > 0) {
                let level = amplitude(&sound, 8_000, f64::from(frequency));
                assert!((3_000.0..4_200.0).contains(&level), "{country:?} {frequency}: {level}");
            }
        }
    }

    #[test]
    fn comfort_noise_is_quiet_and_never_dead() {
        let mut sound = vec![0; 8_000];
        Noise::new(1).fill(&mut sound);
        let rms = (sound.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 8_000.0).sqrt();
        assert!((10.0..40.0).contains(&rms), "{rms}");
    }
}
