//! Sound that is made here, and therefore the only place where a tick runs: ring-back, prompts, comfort noise.

use crate::tone::Country;
use std::sync::Arc;

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
        match rate_hz {
            8_000 | 16_000 => Some(Self { rate_hz, samples }),
            _ => None,
        }
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
    /// Digital silence.
    Silence,
}
