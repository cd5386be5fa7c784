//! What is said to whoever is to take a call-back by a key, then a pause: to an agent "press 1", in French and in English; to
//! a customer who is rung first, in the language of his page, also what other keys do.

use std::sync::{Arc, LazyLock};

use media::play::Sound;

/// Mono, 16 bits, lowest octet first; made by `scripts/prompts.sh`.
const PRESS_ONE: &[u8] = include_bytes!("press-1.s16le");
const ASK_CUSTOMER_FR: &[u8] = include_bytes!("ask-customer.fr.s16le");
const ASK_CUSTOMER_EN: &[u8] = include_bytes!("ask-customer.en.s16le");
const RATE_HZ: u32 = 8_000;

/// Read once, shared by all calls.
static TO_AGENT: LazyLock<Option<Arc<Sound>>> = LazyLock::new(|| sound(PRESS_ONE));
static TO_CUSTOMER_FR: LazyLock<Option<Arc<Sound>>> = LazyLock::new(|| sound(ASK_CUSTOMER_FR));
static TO_CUSTOMER_EN: LazyLock<Option<Arc<Sound>>> = LazyLock::new(|| sound(ASK_CUSTOMER_EN));

fn sound(bytes: &[u8]) -> Option<Arc<Sound>> {
    let samples = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(i16::from_le_bytes)).collect();
    Sound::new(RATE_HZ, samples).map(Arc::new)
}

/// For an agent, played again and again until a key is pressed.
pub(super) fn to_agent() -> Option<Arc<Sound>> {
    TO_AGENT.clone()
}

/// For a customer with a page in this language (RFC 5646).
pub(super) fn to_customer(language: &str) -> Option<Arc<Sound>> {
    let is_french = language.get(..2).is_some_and(|tag| tag.eq_ignore_ascii_case("fr"));
    if is_french { TO_CUSTOMER_FR.clone() } else { TO_CUSTOMER_EN.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_speaks_and_then_leaves_a_pause() {
        for (sound, seconds) in [(to_agent(), 4..=12), (to_customer("fr-FR"), 8..=20), (to_customer("en"), 8..=20)] {
            let sound = sound.unwrap();
            assert!(seconds.contains(&sound.duration().as_secs()), "{:?}", sound.duration());
            let loudest = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            let (speech, pause) = sound.samples().split_at(sound.samples().len() - RATE_HZ as usize);
            assert!(loudest(speech) > 8_000 && loudest(speech) < 32_000, "{}", loudest(speech));
            assert!(loudest(pause) < 200, "{}", loudest(pause));
        }
        assert!(!Arc::ptr_eq(&to_customer("FR").unwrap(), &to_customer("").unwrap()));
    }
}
