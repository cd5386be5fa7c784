//! The heir: ends the legs that a dead node's offer or try left behind, learns what became of it, and only then decides.

use std::time::Duration;

use call::CallId;
use desk::{AttemptEnd, AttemptLegs, CallbackState, LeftBehind, Outcome};
use sip::{Orphan, OrphanEnd};
use store::KeptCallback;
use tracing::{info, warn};

use super::super::{Back, Callbacks};
use super::{Hand, spawn};
use crate::clock;
use crate::observe::metric::{self, Metric};

/// So long after the INVITE a far end that had answered it would still know: an answer without an ACK lives for 64 × T1,
/// 32 s (RFC 3261 §13.3.1.4).
const REMEMBERED: Duration = Duration::from_secs(30);

impl Hand {
    /// Whether an offer or a try of this one has legs that can be ended from here.
    pub(in crate::drive::callbacks) fn has_legs(kept: &KeptCallback) -> bool {
        let parts = kept.callback.parts();
        let rings_agent = parts.state == CallbackState::Offered && !parts.offer_leg.is_empty();
        rings_agent
            || kept.callback.is_live()
                && kept.callback.attempts().last().is_some_and(|last| last.legs != AttemptLegs::default())
    }

    /// Puts a dead node's offer or try in order.
    pub(in crate::drive::callbacks) fn inherit(callbacks: Callbacks, line: usize, kept: KeptCallback) {
        let parts = kept.callback.parts();
        let (call, agent, legs, at) = match kept.callback.attempts().last().filter(|_| kept.callback.is_live()) {
            Some(last) => (last.call, last.agent.clone(), last.legs.clone(), last.at_unix_ms),
            // An offer is no try: of its call nothing is known but the agent's leg.
            None => {
                let legs = AttemptLegs { agent: parts.offer_leg.clone(), ..AttemptLegs::default() };
                (CallId::new(0), parts.agent.clone().unwrap_or_default(), legs, 0)
            }
        };
        let (id, words) = (kept.callback.id(), callbacks.words.clone());
        let hand = Self {
            callbacks,
            line,
            id,
            call,
            kept,
            declined: Vec::new(),
            agent,
            legs,
            dialled: true,
            talking: false,
            no_room: false,
        };
        spawn(words, id, hand.succeed(at));
    }

    async fn succeed(mut self, dialled_unix_ms: u64) -> Option<Back> {
        metric::count(Metric::CallbacksTakenOver);
        warn!(call = %self.call, state = self.kept.callback.state().code(), "taken over from a node that died");
        let was_try = self.kept.callback.is_live();
        let left = self.end_legs(dialled_unix_ms).await;
        let lines = std::sync::Arc::clone(&self.callbacks.lines);
        let line = lines.get(self.line)?;
        let (rules, now) = (line.config.retry, clock::unix_ms());
        self.write_surely(|callback| {
            let allowed = line.allowed(callback);
            callback.take_over(left, now, &rules, allowed)
        })
        .await;
        let last = self.kept.callback.attempts().last().filter(|_| was_try).and_then(|last| last.outcome);
        if let Some(outcome) = last {
            metric::count_with(Metric::CallbackAttempts, outcome.code());
        }
        info!(outcome = last.map(Outcome::code), "what a dead node had begun is in order");
        self.finish()
    }

    async fn end_legs(&self, dialled_unix_ms: u64) -> LeftBehind {
        let Some(line) = self.line() else { return LeftBehind::Unknown };
        let sip = line.context.sip.clone();
        if !self.legs.agent.is_empty() {
            // His line is freed; what his phone says of it decides nothing.
            let (sip, agent) = (sip.clone(), self.legs.agent.clone());
            tokio::spawn(async move { sip.end_orphan(&agent).await });
        }
        if self.legs.customer.is_empty() {
            return LeftBehind::Unknown;
        }
        if self.kept.callback.state() == CallbackState::Connected {
            let customer = self.legs.customer.clone();
            tokio::spawn(async move { sip.end_orphan(&customer).await });
            return LeftBehind::Answered;
        }
        let customer = sip.end_orphan(&self.legs.customer).await;
        let age = clock::unix_ms().saturating_sub(dialled_unix_ms);
        let rang = self.legs.customer.parse::<Orphan>().is_ok_and(|orphan| orphan.was_heard());
        left_behind(&customer, Duration::from_millis(age), rang)
    }
}

/// What the end of the customer's leg says of the try.
fn left_behind(end: &OrphanEnd, age: Duration, rang: bool) -> LeftBehind {
    match end {
        OrphanEnd::Unanswered => LeftBehind::Unanswered,
        OrphanEnd::Answered | OrphanEnd::Ended => LeftBehind::Answered,
        OrphanEnd::Gone if age < REMEMBERED => LeftBehind::Unanswered,
        OrphanEnd::Gone | OrphanEnd::Unknown => LeftBehind::Unknown,
        // It waited for credentials that the dead node did not send any more.
        OrphanEnd::Refused(failure) if matches!(failure.status, 401 | 407) => LeftBehind::Unanswered,
        OrphanEnd::Refused(failure) => {
            let end = AttemptEnd { sip: Some(failure.status), q850: failure.q850, rang, ..AttemptEnd::default() };
            LeftBehind::Over(Outcome::of(&end, Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_is_believed() {
        let (soon, late) = (Duration::from_secs(20), Duration::from_secs(40));
        assert_eq!(left_behind(&OrphanEnd::Unanswered, late, true), LeftBehind::Unanswered);
        assert_eq!(left_behind(&OrphanEnd::Gone, soon, true), LeftBehind::Unanswered);
        assert_eq!(left_behind(&OrphanEnd::Gone, late, true), LeftBehind::Unknown, "an answer may be forgotten by now");
        assert_eq!(left_behind(&OrphanEnd::Unknown, soon, false), LeftBehind::Unknown);
        assert_eq!(left_behind(&OrphanEnd::Answered, soon, true), LeftBehind::Answered);
        let refused = |status| {
            let failure = sip::Failure {
                status,
                phrase: String::new(),
                q850: None,
                retry_after: None,
                timed_out: None,
                broken: false,
                unheard: false,
            };
            left_behind(&OrphanEnd::Refused(failure), soon, true)
        };
        assert_eq!(refused(486), LeftBehind::Over(Outcome::Busy));
        assert_eq!(refused(408), LeftBehind::Over(Outcome::NoAnswer), "it had rung");
        assert_eq!(refused(407), LeftBehind::Unanswered);
    }
}
