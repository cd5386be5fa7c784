//! What both sides say: ten seconds of a speech-like signal, coded once, as a browser and as a telephone would.
//!
//! Voiced stretches are a glottal pulse train through three formants, unvoiced ones are noise, and there are pauses:
//! libopus meets all its modes, so that decoding costs what it costs with people.

use media::OpusPlan;
use media::codec::g711::mu_from_linear;
use media::codec::opus::{OpusDecoder, OpusEncoder};
use media::codec::{Decoder, Encoder};

/// Frames in the loop: 10 s.
const FRAMES: usize = 500;
const RATE_HZ: u32 = 48_000;
/// 20 ms at 48 kHz.
const SAMPLES: usize = 960;
/// 20 ms at 8 kHz.
const SAMPLES_NARROW: usize = 160;
const BITRATE: u32 = 32_000;
const PACKET_BYTES: usize = 1_275;

/// The same ten seconds in both codecs, and as the samples the gateway has to code.
pub struct Frames {
    /// Opus, 48 kHz mono, 32 kbit/s, with FEC: the visitors.
    pub opus: Vec<Vec<u8>>,
    /// PCMU: the PBX.
    pub pcmu: Vec<Vec<u8>>,
    /// 8 kHz samples, what PCMU decodes to.
    pub narrow: Vec<Vec<i16>>,
}

impl Frames {
    /// Speaks and codes.
    ///
    /// # Errors
    /// When libopus has no memory left.
    pub fn make() -> Result<Self, String> {
        let plan = OpusPlan { max_bitrate: Some(BITRATE), ..OpusPlan::default() };
        let mut encoder = OpusEncoder::new(RATE_HZ, &plan).map_err(|error| error.to_string())?;
        encoder.set_bitrate(BITRATE);
        let mut decoder = OpusDecoder::new(8_000).map_err(|error| error.to_string())?;
        let mut voice = Voice::new();
        let mut frames = Self { opus: Vec::new(), pcmu: Vec::new(), narrow: Vec::new() };
        let mut packet = [0; PACKET_BYTES];
        for _ in 0..FRAMES {
            let samples: Vec<i16> = (0..SAMPLES).map(|_| voice.sample()).collect();
            let length = encoder.encode(&samples, &mut packet).map_err(|error| error.to_string())?;
            let mut narrow = vec![0; SAMPLES_NARROW];
            decoder.decode(&packet[..length], &mut narrow).map_err(|error| error.to_string())?;
            frames.opus.push(packet[..length].to_vec());
            frames.pcmu.push(narrow.iter().map(|sample| mu_from_linear(*sample)).collect());
            frames.narrow.push(narrow);
        }
        Ok(frames)
    }
}

/// A second-order resonance.
struct Formant {
    hz: f64,
    width_hz: f64,
    last: [f64; 2],
}

impl Formant {
    fn pass(&mut self, input: f64) -> f64 {
        let rate = f64::from(RATE_HZ);
        let radius = (-std::f64::consts::PI * self.width_hz / rate).exp();
        let turn = 2.0 * radius * (std::f64::consts::TAU * self.hz / rate).cos();
        let out = (1.0 - radius) * input + turn * self.last[0] - radius * radius * self.last[1];
        self.last = [out, self.last[0]];
        out
    }
}

struct Voice {
    at: u64,
    noise: u32,
    phase: f64,
    formants: [Formant; 3],
}

/// Vowels by their first three formants, in hertz.
const VOWELS: [[f64; 3]; 5] = [
    [730.0, 1_090.0, 2_440.0],
    [270.0, 2_290.0, 3_010.0],
    [300.0, 870.0, 2_240.0],
    [530.0, 1_840.0, 2_480.0],
    [570.0, 840.0, 2_410.0],
];

impl Voice {
    fn new() -> Self {
        let formant = |width_hz| Formant { hz: 500.0, width_hz, last: [0.0; 2] };
        Self { at: 0, noise: 0x1234_5678, phase: 0.0, formants: [formant(80.0), formant(100.0), formant(140.0)] }
    }

    /// White noise in -1..1, the same at each run.
    fn noise(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.noise >> 8) / f64::from(1_u32 << 23) - 1.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
    fn sample(&mut self) -> i16 {
        let rate = f64::from(RATE_HZ);
        let seconds = self.at as f64 / rate;
        let syllable = (seconds / 0.18) as usize;
        let inside = (seconds / 0.18).fract();
        self.at += 1;
        let noise = self.noise();
        // Every seventh syllable is a pause, every third after it begins with a hiss.
        if syllable % 7 == 6 {
            return (noise * 12.0) as i16;
        }
        if syllable.is_multiple_of(3) && inside < 0.35 {
            return (noise * 1_800.0 * (inside / 0.35 * std::f64::consts::PI).sin()) as i16;
        }
        for (formant, hz) in self.formants.iter_mut().zip(VOWELS[syllable * 2 % VOWELS.len()]) {
            formant.hz += (hz - formant.hz) * 0.002;
        }
        let pitch_hz = 120.0 + 25.0 * (seconds * 2.1).sin() + 6.0 * (seconds * 31.0).sin();
        self.phase += pitch_hz / rate;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        let breath = noise * 0.01;
        let sound: f64 = self.formants.iter_mut().map(|formant| formant.pass((pulse + breath) * 90_000.0)).sum();
        let envelope = (inside * std::f64::consts::PI).sin().max(0.0).sqrt();
        (sound * envelope).clamp(-20_000.0, 20_000.0) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_voice_is_heard_in_both_codecs_and_costs_its_bitrate() {
        let frames = Frames::make().expect("libopus codes");
        let bytes: usize = frames.opus.iter().map(Vec::len).sum();
        // 32 kbit/s for 10 s is 40,000 bytes; libopus varies, and spends less on pauses.
        assert!((20_000..52_000).contains(&bytes), "{bytes} bytes in 10 s");
        let loud =
            frames.narrow.iter().filter(|frame| frame.iter().any(|sample| sample.unsigned_abs() > 1_000)).count();
        assert!((FRAMES * 5 / 10..FRAMES * 95 / 100).contains(&loud), "{loud} loud frames of {FRAMES}");
        assert_eq!((frames.opus.len(), frames.pcmu.len()), (FRAMES, FRAMES));
        assert!(frames.pcmu.iter().all(|frame| frame.len() == SAMPLES_NARROW));
    }
}
