//! Session timers (RFC 4028): a call whose far end died without a word is found out and ended.
//!
//! ```text
//! 2xx ──────────────── ½ ─────────────────────────── BYE ───── expires
//!                      │ the refresher's UPDATE       │ expires − min(32 s, ⅓), on both sides (§10)
//!                      └─2xx─► from the start         └ unless somebody refreshed
//! ```

use std::time::{Duration, Instant};

use crate::endpoint::extensions::TIMER;
use crate::endpoint::layer::Owner;
use crate::endpoint::{CallRef, EndedBy, Endpoint, Refresher, SessionTimer};
use crate::invite::{Call, Change, Farewell, State};
use crate::message::{HeaderName, Headers, Request};
use crate::timer::Timer;
use crate::values::{SessionExpires, SessionRole};

/// §4, §5: no session is shorter, and a request without Min-SE means this.
const FLOOR_S: u32 = 90;
/// The longest Min-SE of a 422 that is followed: a day. Who wants more is asked without a timer.
const CEILING_S: u32 = 86_400;
/// 422s followed in one call: each proxy on the way may have its own minimum (§7.3).
const MAX_TOO_SMALL: u8 = 3;
/// A refresh that failed is not tried again sooner.
const RETRY_LEAST: Duration = Duration::from_secs(5);

/// What one call knows of its session timer.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    rule: Option<SessionTimer>,
    /// What our next refresh request asks for; `None`: nothing.
    wanted_s: Option<u32>,
    /// The largest minimum anybody named in this call (§7.4).
    min_se_s: u32,
    /// 422s so far.
    too_small: u8,
    running: Option<Running>,
}

/// A session timer both sides agreed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Running {
    interval_s: u32,
    we_refresh: bool,
    /// When it was agreed to or refreshed last.
    since: Instant,
}

impl Running {
    /// §10: half of the interval.
    fn refresh_at(&self) -> Instant {
        self.since + Duration::from_secs(u64::from(self.interval_s)) / 2
    }

    /// §10: "the minimum of 32 seconds and one third of the session interval" before it expires.
    fn bye_at(&self) -> Instant {
        self.since + Duration::from_secs(u64::from(self.interval_s - (self.interval_s / 3).min(32)))
    }
}

/// Min-SE is written as Session-Expires is, without a refresher (§5).
fn min_se(headers: &Headers) -> Option<u32> {
    Some(headers.get(&HeaderName::MinSe)?.parse::<SessionExpires>().ok()?.seconds)
}

/// What a 2xx of ours grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    interval_s: u32,
    we_refresh: bool,
    /// The far end knows the extension and has to follow it.
    require: bool,
}

impl Terms {
    /// §9: Session-Expires with the refresher, and Require where the far end supports the timer: it must where
    /// the far end refreshes, and should otherwise.
    fn write(self, headers: &mut Headers) {
        let role = if self.we_refresh { SessionRole::Uas } else { SessionRole::Uac };
        let value = SessionExpires { seconds: self.interval_s, refresher: Some(role) };
        headers.push(HeaderName::SessionExpires, &value.to_string());
        if self.require {
            headers.push(HeaderName::Require, TIMER);
        }
    }
}

impl Session {
    /// Whether a refresh by us is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.running.is_some_and(|running| running.we_refresh && running.refresh_at() <= now)
    }

    pub(crate) fn new(rule: Option<SessionTimer>) -> Self {
        let min_se_s = rule.map_or(FLOOR_S, |rule| rule.min_se_s.max(FLOOR_S));
        let wanted_s = rule.map(|rule| rule.expires_s.max(min_se_s));
        Self { rule, wanted_s, min_se_s, too_small: 0, running: None }
    }

    /// What a refresh request of ours asks for (§7.1, §7.4): at first who refreshes only if the rule says so, later
    /// who does already.
    pub(crate) fn ask(&self, headers: &mut Headers) {
        let (Some(rule), Some(seconds)) = (self.rule, self.wanted_s) else {
            return;
        };
        let refresher = match (self.running, rule.refresher) {
            (Some(running), _) => Some(if running.we_refresh { SessionRole::Uac } else { SessionRole::Uas }),
            (None, Refresher::Us) => Some(SessionRole::Uac),
            (None, Refresher::Peer) => Some(SessionRole::Uas),
            (None, Refresher::Either) => None,
        };
        headers.set(HeaderName::SessionExpires, &SessionExpires { seconds, refresher }.to_string());
        if self.min_se_s > FLOOR_S {
            headers.set(HeaderName::MinSe, &self.min_se_s.to_string());
        }
    }

    /// A 422 (§7.3). `true`: the request may go once more, as [`Self::ask`] now writes it.
    pub(crate) fn too_small(&mut self, headers: &Headers) -> bool {
        if self.wanted_s.is_none() || self.too_small >= MAX_TOO_SMALL {
            return false;
        }
        self.too_small += 1;
        let least = min_se(headers).filter(|least| *least <= CEILING_S);
        match least {
            Some(least) if self.too_small < MAX_TOO_SMALL => {
                self.min_se_s = self.min_se_s.max(least);
                self.wanted_s = self.wanted_s.map(|wanted| wanted.max(self.min_se_s));
            }
            // No minimum, an absurd one or one after another: a request without a timer has no length to refuse.
            Some(_) | None => self.wanted_s = None,
        }
        true
    }

    /// A 2xx to a refresh request of ours (§7.2). Without Session-Expires there is no timer, or no longer.
    fn heard(&mut self, headers: &Headers, now: Instant) {
        let granted = headers.get(&HeaderName::SessionExpires).and_then(|value| value.parse::<SessionExpires>().ok());
        self.running = granted.filter(|_| self.rule.is_some() && self.wanted_s.is_some()).map(|granted| Running {
            // §5: below 90 s nothing is agreed to, whatever is written: nobody makes us refresh every second.
            interval_s: granted.seconds.max(FLOOR_S),
            // A 2xx that names nobody breaks §9; who asked for the timer then keeps it up.
            we_refresh: granted.refresher != Some(SessionRole::Uas),
            since: now,
        });
        self.wanted_s = self.running.map(|running| running.interval_s);
    }

    /// What a refresh request of theirs gets (§9). `Err`: too short, with the least we take, for a 422.
    pub(crate) fn judge(&self, request: &Request) -> Result<Option<Terms>, u32> {
        let Some(rule) = self.rule else {
            return Ok(None);
        };
        let knows =
            [HeaderName::Supported, HeaderName::Require].iter().any(|name| request.headers.has_token(name, TIMER));
        let asked = request.headers.get(&HeaderName::SessionExpires).and_then(|value| value.parse().ok());
        let least = rule.min_se_s.max(FLOOR_S);
        let theirs_least = min_se(&request.headers).unwrap_or(FLOOR_S);
        let ours = self.running.map_or(rule.expires_s, |running| running.interval_s).max(least).max(theirs_least);
        let Some(SessionExpires { seconds, refresher }) = asked else {
            // Nobody asked: §9 lets us bring the timer in, where the far end can follow.
            let terms = Terms { interval_s: ours, we_refresh: self.we_refresh_by_choice(rule), require: true };
            return Ok(knows.then_some(terms));
        };
        if seconds < least {
            // A proxy asked in the name of a caller who could not follow a 422: no timer.
            return if knows { Err(least) } else { Ok(None) };
        }
        // §9: the response may shorten what was asked for and never lengthen it.
        let interval_s = seconds.min(ours);
        let we_refresh = match refresher {
            // §9, table 2: a far end without the extension never refreshes.
            _ if !knows => true,
            Some(SessionRole::Uac) => false,
            Some(SessionRole::Uas) => true,
            None => self.we_refresh_by_choice(rule),
        };
        Ok(Some(Terms { interval_s, we_refresh, require: knows }))
    }

    /// The choice table 2 of §9 leaves to the answering side: as it was, else by the rule.
    fn we_refresh_by_choice(&self, rule: SessionTimer) -> bool {
        self.running.map_or(rule.refresher != Refresher::Peer, |running| running.we_refresh)
    }

    fn granted(&mut self, terms: Option<Terms>, now: Instant) {
        self.running = terms.map(|Terms { interval_s, we_refresh, .. }| Running { interval_s, we_refresh, since: now });
        self.wanted_s = self.running.map(|running| running.interval_s);
    }
}

impl Endpoint {
    /// Writes what a 2xx of ours to a refresh request grants, and starts its clock.
    pub(crate) fn grant_session(&mut self, call_ref: CallRef, request: &Request, headers: &mut Headers, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        // A request that was too short is answered 422 before it comes here.
        let terms = call.session.judge(request).unwrap_or_default();
        if let Some(terms) = terms {
            terms.write(headers);
        }
        call.session.granted(terms, now);
        self.arm_session(call_ref);
    }

    /// A 2xx to a refresh request of ours is in.
    pub(crate) fn session_heard(&mut self, call_ref: CallRef, headers: &Headers, now: Instant) {
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.session.heard(headers, now);
            self.arm_session(call_ref);
        }
    }

    fn arm_session(&mut self, call_ref: CallRef) {
        let owner = Owner::Call(call_ref);
        self.layer.timers.cancel(owner, Timer::SessionRefresh);
        self.layer.timers.cancel(owner, Timer::SessionExpiry);
        let Some(running) = self.calls.get(&call_ref).and_then(|call| call.session.running) else {
            return;
        };
        if running.we_refresh {
            self.layer.timers.set(owner, Timer::SessionRefresh, running.refresh_at());
        }
        self.layer.timers.set(owner, Timer::SessionExpiry, running.bye_at());
    }

    /// Half of the interval has passed, or a refresh that failed is tried again.
    pub(crate) fn refresh_session(&mut self, call_ref: CallRef, now: Instant) {
        if !self.calls.get(&call_ref).is_some_and(Call::may_change) {
            return;
        }
        // Until its answer is in, this says when to try once more.
        self.refresh_again(call_ref, Duration::ZERO, now);
        let Some(call) = self.calls.get(&call_ref).filter(|call| call.refreshing.is_none()) else {
            return;
        };
        if call.peer_updates {
            // §7.4: an UPDATE without an offer changes nothing but the clock, and is recommended.
            return self.send_plain_update(call_ref, now);
        }
        // §7.4: a re-INVITE says what was said before, word for word. While another offer is on its way, that one
        // refreshes the session too.
        if call.is_settled() && !call.local_sdp.is_empty() {
            let change = Change::refresh(call.local_sdp.clone());
            self.send_change(call_ref, change, now);
        }
    }

    /// The next try: half way to the end, so that a refused refresh is repeated a few times and not for ever.
    pub(crate) fn refresh_again(&mut self, call_ref: CallRef, not_before: Duration, now: Instant) {
        let running = self.calls.get(&call_ref).and_then(|call| call.session.running);
        if let Some(running) = running.filter(|running| running.we_refresh) {
            let left = running.bye_at().saturating_duration_since(now);
            let at = now + (left / 2).max(RETRY_LEAST).max(not_before);
            self.layer.timers.set(Owner::Call(call_ref), Timer::SessionRefresh, at);
        }
    }

    /// Nobody refreshed the session: BYE, by whichever side notices (§10).
    pub(crate) fn session_expired(&mut self, call_ref: CallRef, now: Instant) {
        if let Some(call) = self.calls.get_mut(&call_ref)
            && call.state == State::Up
        {
            call.farewell.get_or_insert_with(|| Farewell::by(EndedBy::Timer(Timer::SessionExpiry)));
            self.send_bye(call_ref, now);
        }
    }
}

impl Call {
    /// Up, and nobody has decided to end it.
    pub(crate) fn may_change(&self) -> bool {
        self.state == State::Up && self.farewell.is_none()
    }
}
