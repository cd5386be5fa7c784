//! Sound that is made here, and therefore the only place where a tick runs: ring-back, prompts, comfort noise.

use crate::resample::Doubler;
use crate::tone::{Country, Noise, Ringback};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A tick this late starts the count anew instead of sending what was missed in one burst.
const LATE_MAX: Duration = Duration::from_millis(200);

/// Longest frame made at once: 60 ms at 16 kHz.
const FRAME_SAMPLES_MAX: usize = 960;

/// A recording held in memory, shared by all calls that play it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sound {
    rate_hz: u32,
    samples: Vec<i16>,
}

impl Sound {
    /// A sound of linear mono samples at 8000 or 16000 Hz; `None` for another rate.
    #[must_use]
    pub fn new(rate_hz: u32, samples: Vec<i16>) -> Option<Self> {
        matches!(rate_hz, 8_000 | 16_000).then_some(Self { rate_hz, samples })
    }

    /// Its rate, in hertz.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(self.rate_hz))
    }
}

/// What is played to a leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The far telephone rings.
    Ringback(Country),
    /// The line is alive and nobody speaks.
    ComfortNoise,
    /// A sentence or music, once.
    Sound(Arc<Sound>),
    /// The same, again and again, without an end.
    Repeat(Arc<Sound>),
    /// Digital silence.
    Silence,
}

#[derive(Debug)]
enum Made {
    Ringback(Ringback),
    Noise(Noise),
    Sound { sound: Arc<Sound>, position: usize, doubler: Box<Doubler>, again: bool },
    Silence,
}

impl Made {
    fn sound(sound: Arc<Sound>, again: bool) -> Self {
        let doubler = Box::new(Doubler::new(sound.rate_hz, sound.rate_hz));
        Self::Sound { sound, position: 0, doubler, again }
    }
}

/// A source being played.
#[derive(Debug)]
pub(crate) struct Player {
    made: Made,
    next_at: Instant,
}

impl Player {
    pub(crate) fn new(source: Source, seed: u64, now: Instant) -> Self {
        let made = match source {
            Source::Ringback(country) => Made::Ringback(Ringback::new(country)),
            Source::ComfortNoise => Made::Noise(Noise::new(seed)),
            Source::Sound(sound) => Made::sound(sound, false),
            Source::Repeat(sound) => Made::sound(sound, true),
            Source::Silence => Made::Silence,
        };
        Self { made, next_at: now }
    }

    /// When the next frame is due.
    pub(crate) const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Whether a frame is due; counts on to the next one.
    pub(crate) fn tick(&mut self, frame: Duration, now: Instant) -> bool {
        if now < self.next_at {
            return false;
        }
        if now.saturating_duration_since(self.next_at) > LATE_MAX {
            self.next_at = now;
        }
        self.next_at += frame;
        true
    }

    /// Makes one frame; false when the sound came to its end (the frame is filled up with silence).
    pub(crate) fn fill(&mut self, rate_hz: u32, out: &mut [i16]) -> bool {
        match &mut self.made {
            Made::Ringback(ringback) => ringback.fill(rate_hz, out),
            Made::Noise(noise) => noise.fill(out),
            Made::Silence => out.fill(0),
            Made::Sound { sound, position, doubler, again } => {
                doubler.set_rates(sound.rate_hz, rate_hz);
                let rest = sound.samples.get(*position..).unwrap_or_default();
                let wanted = doubler.input_for(out.len().min(FRAME_SAMPLES_MAX));
                let taken = &rest[..wanted.min(rest.len())];
                let count = doubler.run(taken, out);
                out[count..].fill(0);
                *position += taken.len();
                let over = *position >= sound.samples.len();
                if over && *again {
                    *position = 0;
                }
                return *again || !over;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goertzel::purity;

    fn tone(rate_hz: u32, samples: u32) -> Vec<i16> {
        let radians = std::f64::consts::TAU * 440.0 / f64::from(rate_hz);
        (0..samples).map(|n| (8_000.0 * (radians * f64::from(n)).sin()) as i16).collect()
    }

    #[test]
    fn a_sound_is_played_once_at_whatever_rate_is_wanted() {
        let start = crate::test_clock();
        for (recorded_hz, wanted_hz) in [(8_000, 8_000), (8_000, 16_000), (16_000, 8_000), (16_000, 16_000)] {
            let sound = Arc::new(Sound::new(recorded_hz, tone(recorded_hz, recorded_hz / 2)).unwrap());
            assert_eq!(sound.duration(), Duration::from_millis(500));
            let mut player = Player::new(Source::Sound(sound), 1, start);
            let mut heard = Vec::new();
            let mut frames = 0;
            loop {
                let mut frame = vec![0; wanted_hz as usize / 50];
                let more = player.fill(wanted_hz, &mut frame);
                heard.extend(frame);
                frames += 1;
                if !more {
                    break;
                }
            }
            assert_eq!(frames, 25, "{recorded_hz}->{wanted_hz}");
            assert!(purity(&heard[400..], wanted_hz, 440.0) > 0.98);
        }
    }

    #[test]
    fn a_prompt_is_played_again_and_again_until_it_is_stopped() {
        let start = crate::test_clock();
        // Half a second of tone and a quarter of a second of pause; an empty one is silence and no endless loop.
        let samples = [tone(8_000, 4_000), vec![0; 2_000]].concat();
        let prompt = Arc::new(Sound::new(8_000, samples).unwrap());
        let mut player = Player::new(Source::Repeat(prompt), 1, start);
        let mut heard = vec![0; 160 * 500];
        assert!(heard.chunks_mut(160).all(|frame| player.fill(8_000, frame)), "it has no end");
        let (tones, pauses): (Vec<usize>, Vec<usize>) =
            (0..12).map(|turn| (turn * 6_080, turn * 6_080 + 4_400)).unzip();
        for (tone, pause) in tones.into_iter().zip(pauses) {
            assert!(purity(&heard[tone..tone + 3_900], 8_000, 440.0) > 0.98, "at {tone}");
            assert!(heard[pause..pause + 1_500].iter().all(|sample| *sample == 0), "at {pause}");
        }
        let mut empty = Player::new(Source::Repeat(Arc::new(Sound::new(8_000, Vec::new()).unwrap())), 1, start);
        assert!(empty.fill(8_000, &mut heard[..160]) && heard[..160].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_tick_that_comes_late_does_not_burst() {
        let start = crate::test_clock();
        let frame = Duration::from_millis(20);
        let mut player = Player::new(Source::Silence, 1, start);
        assert!(player.tick(frame, start));
        assert!(!player.tick(frame, start));
        let late = start + Duration::from_secs(5);
        let due = std::iter::from_fn(|| player.tick(frame, late).then_some(())).take(50).count();
        assert_eq!(due, 1);
    }
}
