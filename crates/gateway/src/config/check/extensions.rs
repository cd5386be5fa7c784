//! What a trunk is asked for beyond plain calls: session timers, reliable provisional answers, encrypted sound.

use media::sdp::SrtpPolicy;
use sip::{Extensions, Refresher, Reliable, SessionTimer};
use toml::Spanned;

use super::Checker;
use crate::config::file;
use crate::config::suggest;

/// RFC 4028 §4: no session interval is shorter.
const SHORTEST_S: i64 = 90;
const DAY_S: i64 = 86_400;

impl Checker<'_> {
    pub(super) fn extensions(&mut self, trunk: &file::Trunk) -> Extensions {
        let words = [("off", Reliable::Off), ("supported", Reliable::Supported), ("required", Reliable::Required)];
        let reliable = self.word(&trunk.reliable_provisional, "reliable_provisional", Reliable::Supported, &words);
        Extensions { session: self.session(trunk), reliable }
    }

    /// Whether the sound of a trunk, or of agents' phones, is encrypted.
    pub(super) fn srtp(&mut self, key: &file::Key<String>) -> SrtpPolicy {
        let words = [("off", SrtpPolicy::Off), ("optional", SrtpPolicy::Optional), ("required", SrtpPolicy::Required)];
        self.word(key, "srtp", SrtpPolicy::Off, &words)
    }

    fn session(&mut self, trunk: &file::Trunk) -> Option<SessionTimer> {
        let refresher = self.word(
            &trunk.refresher,
            "refresher",
            Refresher::Either,
            &[("auto", Refresher::Either), ("gateway", Refresher::Us), ("pbx", Refresher::Peer)],
        );
        let min_se_s = self.number(&trunk.min_se_s, "min_se_s", SHORTEST_S, SHORTEST_S..=DAY_S);
        let usual = i64::from(SessionTimer::USUAL.expires_s).max(min_se_s);
        if trunk.session_expires_s.as_ref().is_some_and(|key| *key.get_ref() == 0) {
            return None;
        }
        let expires_s = self.number(&trunk.session_expires_s, "session_expires_s", usual, SHORTEST_S..=DAY_S);
        if let Some(key) = &trunk.session_expires_s
            && expires_s < min_se_s
        {
            let help = format!("write {min_se_s} or more, or make `min_se_s` smaller");
            self.error(key, "`session_expires_s` is shorter than `min_se_s`", &help);
        }
        let short = |seconds: i64| u32::try_from(seconds).unwrap_or(u32::MAX);
        Some(SessionTimer { expires_s: short(expires_s), min_se_s: short(min_se_s), refresher })
    }

    /// One of a few words, or the default.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &Option<Spanned<String>>,
        name: &str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        let Some(key) = key else { return default };
        let typed = key.get_ref().as_str();
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == typed) {
            return *meant;
        }
        let message = format!("no such `{name}`: `{typed}`");
        self.error(key, &message, &suggest::mend(typed, words.iter().map(|(word, _)| *word), ""));
        default
    }
}
