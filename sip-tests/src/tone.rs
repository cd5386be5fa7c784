//! Tone identity: who heard whom, proven by frequency. Each party plays its own sine.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

/// Linear mono samples and their rate.
#[derive(Clone, Debug)]
pub struct Samples {
    /// In hertz.
    pub rate_hz: u32,
    /// 16 bit.
    pub samples: Vec<i16>,
}

/// A sine at −9 dBFS with soft edges.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a test tone")]
pub fn sine(rate_hz: u32, frequency_hz: f64, seconds: f64) -> Samples {
    let length = (f64::from(rate_hz) * seconds) as usize;
    let samples =
        (0..length).map(|at| ((TAU * frequency_hz * at as f64 / f64::from(rate_hz)).sin() * 11_600.0) as i16).collect();
    Samples { rate_hz, samples }
}

/// Writes a WAV file, mono 16 bit.
///
/// # Errors
/// When the file cannot be written.
pub fn write_wav(path: &Path, sound: &Samples) -> std::io::Result<()> {
    let bytes = u32::try_from(sound.samples.len() * 2).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(44 + sound.samples.len() * 2);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + bytes).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&sound.rate_hz.to_le_bytes());
    out.extend_from_slice(&(sound.rate_hz * 2).to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&16_u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&bytes.to_le_bytes());
    for sample in &sound.samples {
        out.extend_from_slice(&sample.to_le_bytes());
    }
    fs::write(path, out)
}

/// Reads a 16 bit WAV file, the first channel of it; a file still being written is read as far as it goes.
///
/// # Errors
/// When it is no such file.
pub fn read_wav(path: &Path) -> Result<Samples, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let word = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let long = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let (mut at, mut rate_hz, mut channels) = (12, 0, 1);
    while let (Some(id), Some(length)) = (bytes.get(at..at + 4), long(at + 4)) {
        let body = at + 8;
        if id == b"fmt " {
            channels = usize::from(word(body + 2).unwrap_or(1)).max(1);
            rate_hz = long(body + 4).unwrap_or(0);
        } else if id == b"data" {
            let samples = bytes[body..]
                .chunks_exact(2 * channels)
                .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
                .collect();
            return Ok(Samples { rate_hz, samples });
        }
        at = body + usize::try_from(length).unwrap_or(usize::MAX / 2) + usize::from(length % 2 == 1);
    }
    Err(format!("{} holds no sound", path.display()))
}

/// The share of a sound's power that lies at a frequency, 0 to 1 (Goertzel over 100 ms blocks).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "signal powers")]
pub fn share_at(sound: &Samples, frequency_hz: f64) -> f64 {
    let block = sound.rate_hz as usize / 10;
    if block == 0 {
        return 0.0;
    }
    let coefficient = 2.0 * (TAU * frequency_hz / f64::from(sound.rate_hz)).cos();
    let (mut at_tone, mut in_all) = (0.0, 0.0);
    for chunk in sound.samples.chunks_exact(block) {
        let (mut one, mut two) = (0.0, 0.0);
        for sample in chunk {
            let next = f64::from(*sample) + coefficient * one - two;
            two = one;
            one = next;
            in_all += f64::from(*sample) * f64::from(*sample);
        }
        at_tone += (one * one + two * two - coefficient * one * two) * 2.0 / block as f64;
    }
    if in_all < 1.0 { 0.0 } else { (at_tone / in_all).min(1.0) }
}

/// Root mean square of the samples.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a mean")]
pub fn rms(sound: &Samples) -> f64 {
    if sound.samples.is_empty() {
        return 0.0;
    }
    (sound.samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / sound.samples.len() as f64).sqrt()
}

/// The last part of a sound.
#[must_use]
pub fn tail(sound: &Samples, seconds: f64) -> Samples {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of samples")]
    let keep = (f64::from(sound.rate_hz) * seconds) as usize;
    let from = sound.samples.len().saturating_sub(keep);
    Samples { rate_hz: sound.rate_hz, samples: sound.samples[from..].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_another_and_from_silence() {
        let tone = sine(8_000, 440.0, 1.0);
        assert!(share_at(&tone, 440.0) > 0.95, "{}", share_at(&tone, 440.0));
        assert!(share_at(&tone, 1_000.0) < 0.01);
        let silence = Samples { rate_hz: 8_000, samples: vec![0; 8_000] };
        assert!(share_at(&silence, 440.0) < 0.01);
    }

    #[test]
    fn a_wav_file_is_read_as_it_was_written() {
        let path = std::env::temp_dir().join(format!("tone-{}.wav", std::process::id()));
        let tone = sine(16_000, 700.0, 0.5);
        write_wav(&path, &tone).unwrap();
        let back = read_wav(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((back.rate_hz, back.samples), (tone.rate_hz, tone.samples));
    }
}
