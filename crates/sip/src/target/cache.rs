//! What DNS has answered: for its time to live, within bounds, and for a day more while DNS answers nothing (RFC 8767).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::locate::{Answer, Question, Record};

/// A shorter time to live is not obeyed: DNS is not asked without pause.
const TTL_MIN: Duration = Duration::from_secs(5);
/// Nor a longer one: a PBX that moved is found within the hour.
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// That there is nothing is believed for so long.
const NOTHING_TTL: Duration = Duration::from_secs(30);
/// How long an answer may serve after its time while DNS fails (RFC 8767 §5 suggests one to three days).
const STALE_MAX: Duration = Duration::from_secs(86_400);
/// After a failure DNS is asked again so soon; doubles.
const RETRY: Duration = Duration::from_secs(2);
/// The longest such pause (RFC 8767 §5).
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Questions kept; one trunk needs a few dozen.
const QUESTIONS_MAX: usize = 256;

/// What came of a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    /// These records, for so long; empty: there are none.
    Records(Vec<Record>, Duration),
    /// Nothing usable, in words.
    Failed(String),
}

#[derive(Clone, Debug)]
struct Known {
    answer: Answer,
    /// Asked again from then on.
    until: Instant,
    /// The last good records, and when their time was over.
    good: Option<(Vec<Record>, Instant)>,
    /// Failures in a row.
    failures: u32,
}

/// Answers by question.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    known: BTreeMap<Question, Known>,
}

impl Cache {
    /// Notes what came of a question. `spread`, a random number from 0 to 1, keeps many gateways from asking in step.
    pub fn put(&mut self, question: Question, heard: Heard, now: Instant, spread: f64) {
        let before = self.known.remove(&question);
        if self.known.len() >= QUESTIONS_MAX {
            self.known.pop_first();
        }
        let known = match heard {
            Heard::Records(records, ttl) => {
                let ttl = if records.is_empty() { NOTHING_TTL } else { ttl.clamp(TTL_MIN, TTL_MAX) };
                let until = now + ttl;
                // "There is none" is an answer too, and ends what was said before.
                let good = (!records.is_empty()).then(|| (records.clone(), until));
                Known { answer: Answer::Records(records), until, good, failures: 0 }
            }
            Heard::Failed(why) => {
                let failures = before.as_ref().map_or(0, |known| known.failures);
                let pause = RETRY.saturating_mul(1 << failures.min(8)).min(RETRY_MAX);
                let good = before.and_then(|known| known.good).filter(|(_, ended)| now < *ended + STALE_MAX);
                let answer = match &good {
                    Some((records, _)) => Answer::Records(records.clone()),
                    None => Answer::Failed(why),
                };
                let until = now + pause.mul_f64(0.5 + 0.5 * spread.clamp(0.0, 1.0));
                Known { answer, until, good, failures: failures.saturating_add(1) }
            }
        };
        self.known.insert(question, known);
    }

    /// What holds now, for [`locate`](super::locate()). What does not hold any more is asked again by it.
    pub fn answers(&self, now: Instant) -> BTreeMap<Question, Answer> {
        let holding = self.known.iter().filter(|(_, known)| now < known.until);
        holding.map(|(question, known)| (question.clone(), known.answer.clone())).collect()
    }

    /// Whether answers whose time is over serve because DNS fails.
    pub fn is_stale(&self) -> bool {
        self.known.values().any(|known| known.failures > 0 && known.good.is_some())
    }

    /// When something that holds now is to be asked again, at the earliest.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.known.values().map(|known| known.until).filter(|until| now < *until).min()
    }

    /// Forgets what has not been asked for since long: a host that SRV no longer names.
    pub fn forget_old(&mut self, now: Instant) {
        self.known.retain(|_, known| now < known.until + STALE_MAX);
    }
}
