//! What is said to whoever is to take a call-back by a key: "press 1", in French and in English, then a pause.

use std::sync::{Arc, LazyLock};

use media::play::Sound;

/// Mono, 16 bits, lowest octet first; made by `scripts/prompts.sh`.
const PRESS_ONE: &[u8] = include_bytes!("press-1.s16le");
const RATE_HZ: u32 = 8_000;

/// Read once, shared by all calls.
static TAKE_CALL_BACK: LazyLock<Option<Arc<Sound>>> = LazyLock::new(|| {
    let samples = PRESS_ONE.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(i16::from_le_bytes)).collect();
    Sound::new(RATE_HZ, samples).map(Arc::new)
});

/// The prompt, played again and again until a key is pressed.
pub(super) fn take_call_back() -> Option<Arc<Sound>> {
    TAKE_CALL_BACK.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_speaks_and_then_leaves_a_pause() {
        let sound = take_call_back().unwrap();
        assert!((4..=12).contains(&sound.duration().as_secs()), "{:?}", sound.duration());
        let loudest = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let (speech, pause) = sound.samples().split_at(sound.samples().len() - RATE_HZ as usize);
        assert!(loudest(speech) > 8_000 && loudest(speech) < 32_000, "{}", loudest(speech));
        assert!(loudest(pause) < 200, "{}", loudest(pause));
    }
}
