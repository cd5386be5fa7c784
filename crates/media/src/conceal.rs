//! Concealment of lost sound for codecs that have none of their own, in the spirit of ITU-T G.711 Appendix I.
//!
//! ```text
//! ... heard | last 1, 2, 3 pitch periods repeated, faded out by 60 ms | cross-fade | heard ...
//! ```
//! Unlike the appendix nothing is delayed by 3.75 ms to prepare a loss that may never come: the seam at its start is
//! closed by letting the step between the two sides decay over 2 ms.

/// Longest pitch period looked for, in milliseconds (66 Hz).
const PERIOD_MS_MAX: usize = 15;
/// Shortest pitch period, in milliseconds (200 Hz).
const PERIOD_MS_MIN: usize = 5;
/// Sound kept: three and a quarter of the longest period.
const HISTORY_MS: usize = 49;
/// Sound compared to find the period.
const MATCH_MS: usize = 20;
/// The first part of a loss is repeated at full level.
const FULL_MS: usize = 10;
/// By then the repeated sound is silent.
const SILENT_MS: usize = 60;

/// Remembers what was heard last and goes on from it when nothing comes.
#[derive(Debug)]
pub struct Concealer {
    per_ms: usize,
    /// The last sound given out, oldest first.
    history: Vec<i16>,
    /// The periods being repeated; as long as `history`, `cycle` samples of it in use.
    template: Vec<i16>,
    cycle: usize,
    position: usize,
    period: usize,
    /// Samples made up since the last heard one.
    made: usize,
    /// Step at the seam, to decay.
    seam: i32,
}

impl Concealer {
    /// For sound at `rate_hz`.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let per_ms = (rate_hz / 1_000) as usize;
        Self {
            per_ms,
            history: vec![0; HISTORY_MS * per_ms],
            template: vec![0; HISTORY_MS * per_ms],
            cycle: 0,
            position: 0,
            period: 0,
            made: 0,
            seam: 0,
        }
    }

    /// Sound came: remembers it, and after a loss fades into it.
    pub fn received(&mut self, samples: &mut [i16]) {
        if self.made > 0 {
            // Appendix I.2.7: 4 ms, and 4 ms more per 10 ms lost, at most 10 ms.
            let fade_ms = (4 + 4 * (self.made / (10 * self.per_ms))).min(10);
            let fade = (fade_ms * self.per_ms).min(samples.len());
            for (index, sample) in samples.iter_mut().take(fade).enumerate() {
                let guess = i32::from(self.next_guess());
                let weight = (index * 256 / fade) as i32;
                *sample = ((i32::from(*sample) * weight + guess * (256 - weight)) / 256) as i16;
            }
            self.made = 0;
        }
        self.remember(samples);
    }

    /// Nothing came: fills `out` with a guess.
    pub fn conceal(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = self.next_guess();
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let length = self.history.len();
        let samples = &samples[samples.len().saturating_sub(length)..];
        self.history.copy_within(samples.len().., 0);
        self.history[length - samples.len()..].copy_from_slice(samples);
    }

    fn next_guess(&mut self) -> i16 {
        if self.made == 0 {
            self.period = self.find_period();
            self.prepare(1);
            let before = usize::min(self.period + 1, self.history.len());
            let last = self.history[self.history.len() - 1];
            self.seam = i32::from(last) - i32::from(self.history[self.history.len() - before]);
        }
        let elapsed_ms = self.made / self.per_ms;
        if elapsed_ms >= SILENT_MS {
            self.made += 1;
            return 0;
        }
        // A second and a third period after 10 and 20 ms keep a long loss from buzzing (Appendix I.2.4).
        let periods = elapsed_ms / 10 + 1;
        if periods <= 3 && self.made.is_multiple_of(10 * self.per_ms) && periods > 1 {
            let offset = self.position % self.period;
            self.prepare(periods);
            self.position = offset;
        }
        let sample = i32::from(self.template[self.position]) + self.decayed_seam();
        self.position = (self.position + 1) % self.cycle;
        let fading = self.made.saturating_sub(FULL_MS * self.per_ms);
        let whole = (SILENT_MS - FULL_MS) * self.per_ms;
        self.made += 1;
        let faded = sample * (whole - fading) as i32 / whole as i32;
        faded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }

    fn decayed_seam(&self) -> i32 {
        let length = 2 * self.per_ms;
        if self.made < length { self.seam * (length - self.made) as i32 / length as i32 } else { 0 }
    }

    /// Copies the last `periods` periods and makes their end flow into their beginning.
    fn prepare(&mut self, periods: usize) {
        self.cycle = self.period * periods;
        self.position = 0;
        let start = self.history.len() - self.cycle;
        self.template[..self.cycle].copy_from_slice(&self.history[start..]);
        let fade = (self.period / 4).min(start);
        for index in 0..fade {
            let weight = ((index + 1) * 256 / (fade + 1)) as i32;
            let end = self.cycle - fade + index;
            let earlier = i32::from(self.history[start - fade + index]);
            self.template[end] = ((i32::from(self.template[end]) * (256 - weight) + earlier * weight) / 256) as i16;
        }
    }

    /// The lag at which the sound resembles itself most: every other lag and sample first, then the neighbours.
    fn find_period(&self) -> usize {
        let (shortest, longest) = (PERIOD_MS_MIN * self.per_ms, PERIOD_MS_MAX * self.per_ms);
        let coarse = (shortest..=longest).step_by(2).max_by_key(|lag| self.likeness(*lag, 2)).unwrap_or(shortest);
        (coarse.saturating_sub(1).max(shortest)..=(coarse + 1).min(longest))
            .max_by_key(|lag| self.likeness(*lag, 1))
            .unwrap_or(coarse)
    }

    /// Normalised cross-correlation at a lag, as an ordered number.
    fn likeness(&self, lag: usize, stride: usize) -> i64 {
        let length = MATCH_MS * self.per_ms;
        let recent = &self.history[self.history.len() - length..];
        let earlier = &self.history[self.history.len() - length - lag..];
        let (mut product, mut energy) = (0_i64, 1_i64);
        for (now, then) in recent.iter().zip(earlier).step_by(stride) {
            let (now, then) = (i64::from(*now), i64::from(*then));
            product += now * then;
            energy += then * then;
        }
        // product / sqrt(energy), the sign kept: the square orders alike.
        (product / 256) * (product.abs() / 256) / (energy / 65_536 + 1)
    }
}

#[cfg(test)]
mod tests;
