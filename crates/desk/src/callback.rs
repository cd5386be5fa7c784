//! One call-back: what was promised to whom, where it stands, what was tried; and what each outcome leads to.
//!
//! ```text
//! scheduled ──due──► queued ──► offered ──► dialling ──► connected ──► completed
//!     ▲                ▲  ▲         │           │            │
//!     │ moved          │  └─────────┘ declined  │ outcome    │ talked too short
//!     └────────────────┴──────── retry ◄────────┴────────────┘
//! any but the last column: cancelled · expired · failed · blocked; asked for at once, and served on the site meanwhile
//! ```
//! A call-back is a row: it is changed here, kept by the store, and dialled by whoever holds its lease. Nothing in this
//! file knows a clock; the calendar in which a retry may fall is an argument.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use call::{BadCallId, CallId, CallTags, QueueId, TenantId};

use crate::{Email, Wait, Wanted};

mod care;
mod order;
mod outcome;
#[cfg(test)]
mod tests;

pub use care::{Care, Deed, Note, PRIORITY_MAX, Purpose, is_disposition};
pub use order::{Order, Satisfaction, Waiting};
pub use outcome::{AttemptEnd, Outcome};

/// A call-back's name, unique and not to be guessed.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallbackId(u128);

impl CallbackId {
    /// From 128 random bits.
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl FromStr for CallbackId {
    type Err = BadCallId;

    /// 32 hexadecimal digits, as a call's id.
    fn from_str(text: &str) -> Result<Self, BadCallId> {
        text.parse::<CallId>().map(|id| Self(id.bits()))
    }
}

impl fmt::Display for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who ended it before its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CancelledBy {
    /// Who asked for it, on the page.
    Visitor,
    /// The agent who was to call.
    Agent,
    /// The company, by its console or API.
    Admin,
    /// The person who was called: a refusal, or the key for it.
    Recipient,
}

impl CancelledBy {
    /// Everybody who may.
    pub const ALL: [Self; 4] = [Self::Visitor, Self::Agent, Self::Admin, Self::Recipient];

    /// The stable word for JSON, records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Recipient => "recipient",
        }
    }
}

/// Why it came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailReason {
    /// The network says that there is no such number.
    BadNumber,
    /// Called as often as the rules allow, and nobody was reached.
    NotReached,
    /// The rules for numbers have changed since it was asked: this one is not called any more.
    NotAllowed,
}

impl FailReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BadNumber, Self::NotReached, Self::NotAllowed];

    /// The stable word for JSON, records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadNumber => "bad-number",
            Self::NotReached => "not-reached",
            Self::NotAllowed => "not-allowed",
        }
    }
}

/// Where a call-back stands (FEATURES §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallbackState {
    /// Waits for its time: the one promised, or that of the next try.
    Scheduled,
    /// Its time has come; it waits for an agent.
    Queued,
    /// An agent is being asked.
    Offered,
    /// The agent is there; the customer's phone is being rung.
    Dialling,
    /// They talk.
    Connected,
    /// They talked. Last.
    Completed,
    /// He talked with an agent on the site before his turn came. Last.
    Served,
    /// Called off. Last.
    Cancelled(CancelledBy),
    /// Its day is over. Last.
    Expired,
    /// Given up. Last.
    Failed(FailReason),
}

impl CallbackState {
    /// Nothing will happen any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Served | Self::Cancelled(_) | Self::Expired | Self::Failed(_))
    }

    /// The stable word for JSON, records and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Offered => "offered",
            Self::Dialling => "dialling",
            Self::Connected => "connected",
            Self::Completed | Self::Served => "completed",
            Self::Cancelled(_) => "cancelled",
            Self::Expired => "expired",
            Self::Failed(_) => "failed",
        }
    }

    /// What the word leaves open: by whom, or why.
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Served => Some("served"),
            Self::Cancelled(by) => Some(by.code()),
            Self::Failed(why) => Some(why.code()),
            Self::Scheduled
            | Self::Queued
            | Self::Offered
            | Self::Dialling
            | Self::Connected
            | Self::Completed
            | Self::Expired => None,
        }
    }

    /// The state of these words; `None` when there is none.
    pub fn from_words(code: &str, detail: Option<&str>) -> Option<Self> {
        let plain = [
            Self::Scheduled,
            Self::Queued,
            Self::Offered,
            Self::Dialling,
            Self::Connected,
            Self::Completed,
            Self::Served,
            Self::Expired,
        ];
        let cancelled = CancelledBy::ALL.map(Self::Cancelled);
        let failed = FailReason::ALL.map(Self::Failed);
        let mut all = plain.into_iter().chain(cancelled).chain(failed);
        all.find(|state| state.code() == code && state.detail() == detail)
    }
}

/// How often and when it is tried again. The defaults are those of FEATURES §2.4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryRules {
    /// After a busy line; doubled each time.
    pub after_busy: Duration,
    /// After a phone nobody picked up.
    pub after_no_answer: Duration,
    /// After a voicemail, once.
    pub after_voicemail: Duration,
    /// After he asked for later by a key. Such a try does not count.
    pub after_later: Duration,
    /// After a fault of the trunk; doubled each time up to `trunk_back_off_max`. Such a try does not count.
    pub after_trunk_fault: Duration,
    /// Longest pause after faults of the trunk.
    pub trunk_back_off_max: Duration,
    /// Tries that count, in all.
    pub attempts_max: u8,
    /// From the promised moment to the last one it may be dialled at.
    pub window: Duration,
    /// A shorter talk may be a pocket or a machine: the agent is asked.
    pub short_talk: Duration,
    /// After a try of which nobody knows whether it rang: longer than any orphaned INVITE can live.
    pub after_doubt: Duration,
}

impl Default for RetryRules {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            after_busy: minutes(3),
            after_no_answer: minutes(15),
            after_voicemail: minutes(60),
            after_later: minutes(60),
            after_trunk_fault: Duration::from_secs(30),
            trunk_back_off_max: minutes(10),
            attempts_max: 3,
            window: minutes(24 * 60),
            short_talk: Duration::from_secs(8),
            after_doubt: minutes(10),
        }
    }
}

/// What the person was shown when he asked, and when: whoever calls has to prove it (C. conso L223-1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consent {
    /// Which text.
    pub text_id: String,
    /// Which version of it.
    pub version: String,
    /// When he agreed.
    pub at_unix_ms: u64,
}

/// What a visitor asks for, judged already: number, hours, budgets.
#[derive(Clone, Eq, PartialEq)]
pub struct Wish {
    /// The number in E.164.
    pub number: String,
    /// When he is to be called.
    pub promised_unix_ms: u64,
    /// The moment as he chose it on his own clock; `None`: as soon as possible.
    pub wanted: Option<Wanted>,
    /// His time zone, to show him times in; empty when unknown.
    pub zone: String,
    /// What he agreed to.
    pub consent: Option<Consent>,
    /// Where he is written to about it, if he gave an address.
    pub email: Option<Email>,
    /// His place among equals: when he first asked.
    pub asked_unix_ms: u64,
    /// 0 for everybody; more for customers who go first.
    pub priority: u8,
    /// How long he was told that it would take, if he wanted a call at once.
    pub told: Option<Wait>,
    /// Who he is by the word of the shop's server, if it gave one.
    pub customer: Option<String>,
    /// What the call carries.
    pub tags: CallTags,
}

impl fmt::Debug for Wish {
    /// Without the number, the address, the customer and the page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish")
            .field("promised_unix_ms", &self.promised_unix_ms)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// One try, as the record shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Its call: the record with both legs, and the beginning of the INVITE's `Call-ID`.
    pub call: CallId,
    /// When its INVITE left.
    pub at_unix_ms: u64,
    /// Who was to talk.
    pub agent: String,
    /// What came of it; `None` while it lasts.
    pub outcome: Option<Outcome>,
    /// How to end its legs from another process, while it lasts.
    pub legs: AttemptLegs,
}

/// The legs of a try as the signalling describes them, so that another process can end them; empty where nothing is known.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct AttemptLegs {
    /// The customer's.
    pub customer: String,
    /// The agent's.
    pub agent: String,
}

impl fmt::Debug for AttemptLegs {
    /// Without the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (customer, agent) = (!self.customer.is_empty(), !self.agent.is_empty());
        f.debug_struct("AttemptLegs").field("customer", &customer).field("agent", &agent).finish()
    }
}

/// What is known of a dead node's try, when another has ended its legs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftBehind {
    /// It rang or was about to, and is over; nobody had answered.
    Unanswered,
    /// It had come to this.
    Over(Outcome),
    /// He had answered, and heard nobody.
    Answered,
    /// Nobody says.
    Unknown,
}

/// A call-back.
#[derive(Clone, Eq, PartialEq)]
pub struct Callback(CallbackParts);

/// A call-back taken apart, to be kept and read again.
#[derive(Clone, Eq, PartialEq)]
pub struct CallbackParts {
    /// Its name.
    pub id: CallbackId,
    /// What was asked.
    pub wish: Wish,
    /// Where it stands.
    pub state: CallbackState,
    /// When it is next looked at, while scheduled.
    pub due_unix_ms: u64,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// Tries spoilt by trunks in a row.
    pub trunk_faults: u8,
    /// The agent who is asked, or talks.
    pub agent: Option<String>,
    /// How another process can end the leg of the agent who is asked; empty where nothing is known.
    pub offer_leg: String,
    /// What those who work with it have written.
    pub care: Care,
}

/// Attempts kept in a row: those that count are few, those spoilt by trunks are cut at the oldest.
const ATTEMPTS_KEPT: usize = 16;

/// From the dialling: after this, a talk cut by a crash has had its time.
const LONG_TALK: Duration = Duration::from_secs(120);
/// Tries of one call-back that may have rung his phone.
const RINGS_MAX: usize = 6;

/// A change that does not fit where the call-back stands, such as cancelling one that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutOfTurn {
    /// Where it stands.
    pub state: CallbackState,
}

impl fmt::Display for OutOfTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the call-back is {}", self.state.code())
    }
}

impl std::error::Error for OutOfTurn {}

impl Callback {
    /// A promise made.
    pub fn new(id: CallbackId, wish: Wish) -> Self {
        let due_unix_ms = wish.promised_unix_ms;
        Self(CallbackParts {
            id,
            wish,
            state: CallbackState::Scheduled,
            due_unix_ms,
            attempts: Vec::new(),
            trunk_faults: 0,
            agent: None,
            offer_leg: String::new(),
            care: Care::default(),
        })
    }

    /// As it was kept.
    pub const fn from_parts(parts: CallbackParts) -> Self {
        Self(parts)
    }

    /// To be kept.
    pub const fn parts(&self) -> &CallbackParts {
        &self.0
    }

    /// Its name.
    pub const fn id(&self) -> CallbackId {
        self.0.id
    }

    /// What was asked.
    pub const fn wish(&self) -> &Wish {
        &self.0.wish
    }

    /// Where it stands.
    pub const fn state(&self) -> CallbackState {
        self.0.state
    }

    /// When it is next looked at; `None` unless it is scheduled.
    pub fn due_unix_ms(&self) -> Option<u64> {
        (self.0.state == CallbackState::Scheduled).then_some(self.0.due_unix_ms)
    }

    /// What was tried, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Which queue it is for.
    pub const fn queue(&self) -> &QueueId {
        &self.0.wish.tags.queue
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &TenantId {
        &self.0.wish.tags.tenant
    }

    /// Tries that count.
    pub fn counted(&self) -> usize {
        self.0.attempts.iter().filter(|attempt| attempt.outcome.is_some_and(Outcome::counts)).count()
    }

    /// Its moment has come. Never early; when its window has passed meanwhile, it expires.
    pub fn come_due(&mut self, now_unix_ms: u64, rules: &RetryRules) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Scheduled && self.0.due_unix_ms <= now_unix_ms)?;
        self.0.state =
            if now_unix_ms > self.last_moment(rules) { CallbackState::Expired } else { CallbackState::Queued };
        Ok(())
    }

    /// It is this agent's turn.
    pub fn offer(&mut self, agent: &str) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Queued)?;
        self.0.state = CallbackState::Offered;
        self.0.agent = Some(agent.to_owned());
        Ok(())
    }

    /// The agent's telephone is about to ring, rings, or was answered: so another process could silence it.
    pub fn note_offer(&mut self, leg: String) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Offered)?;
        self.0.offer_leg = leg;
        Ok(())
    }

    /// The agent would not, or could not: the next one is asked, and nothing counts against the customer.
    pub fn decline(&mut self) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Offered)?;
        self.0.state = CallbackState::Queued;
        self.0.agent = None;
        self.0.offer_leg.clear();
        Ok(())
    }

    /// The customer's INVITE is about to leave. To be stored before it does.
    pub fn dial(&mut self, call: CallId, now_unix_ms: u64, legs: AttemptLegs) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Offered)?;
        self.0.state = CallbackState::Dialling;
        // From here on the try holds it.
        self.0.offer_leg.clear();
        if self.0.attempts.len() >= ATTEMPTS_KEPT {
            let spoilt = self.0.attempts.iter().position(|attempt| !attempt.outcome.is_some_and(Outcome::counts));
            self.0.attempts.remove(spoilt.unwrap_or(0));
        }
        let agent = self.0.agent.clone().unwrap_or_default();
        self.0.attempts.push(Attempt { call, at_unix_ms: now_unix_ms, agent, outcome: None, legs });
        Ok(())
    }

    /// The signalling of the try under way says more: it rings, or is answered.
    pub fn note_legs(&mut self, call: CallId, legs: AttemptLegs) -> Result<(), OutOfTurn> {
        let lasts = matches!(self.0.state, CallbackState::Dialling | CallbackState::Connected);
        let state = self.0.state;
        let last = self.0.attempts.last_mut().filter(|last| lasts && last.call == call);
        last.ok_or(OutOfTurn { state })?.legs = legs;
        Ok(())
    }

    /// They talk: the customer and this agent, who need not be the one it was offered to. Empty: behind a trunk, and not
    /// known here.
    pub fn connect(&mut self, agent: &str) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Dialling)?;
        self.0.state = CallbackState::Connected;
        self.0.agent = Some(agent.to_owned());
        if let Some(attempt) = self.0.attempts.last_mut() {
            agent.clone_into(&mut attempt.agent);
        }
        Ok(())
    }

    /// Who of the agents known here talked with him in it last, and when he was called.
    pub fn spoke_last(&self) -> Option<(u64, &str)> {
        let talks = self.0.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Reached));
        talks.filter(|talk| !talk.agent.is_empty()).map(|talk| (talk.at_unix_ms, talk.agent.as_str())).max()
    }

    /// The try is over; what follows is §2.4's table. `allowed` gives the first moment, at or after one, at which this
    /// person may be called: the site's hours and the quiet hours of his own zone; `None` when there is none.
    pub fn end_attempt(
        &mut self,
        outcome: Outcome,
        now_unix_ms: u64,
        rules: &RetryRules,
        allowed: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), OutOfTurn> {
        self.only_if(matches!(self.0.state, CallbackState::Dialling | CallbackState::Connected))?;
        if let Some(attempt) = self.0.attempts.last_mut() {
            attempt.outcome = Some(outcome);
            attempt.legs = AttemptLegs::default();
        }
        self.0.agent = None;
        self.0.trunk_faults = if outcome.is_trunks() { self.0.trunk_faults.saturating_add(1) } else { 0 };
        self.0.state = match outcome {
            Outcome::Reached => CallbackState::Completed,
            Outcome::Declined | Outcome::NotMe => CallbackState::Cancelled(CancelledBy::Recipient),
            Outcome::BadNumber => CallbackState::Failed(FailReason::BadNumber),
            _ if self.is_disturbed() => CallbackState::Failed(FailReason::NotReached),
            // The customer waits no longer for an agent who went away; who leaves again and again must not ring him
            // again and again.
            Outcome::AgentGone if self.times(Outcome::AgentGone) <= 1 => CallbackState::Queued,
            Outcome::Interrupted => CallbackState::Queued,
            Outcome::ShortTalk | Outcome::Busy | Outcome::NoAnswer | Outcome::Voicemail | Outcome::InDoubt
                if self.is_used_up(rules) =>
            {
                CallbackState::Failed(FailReason::NotReached)
            }
            Outcome::ShortTalk
            | Outcome::Busy
            | Outcome::NoAnswer
            | Outcome::Voicemail
            | Outcome::Later
            | Outcome::InDoubt
            | Outcome::AgentGone
            | Outcome::TrunkFault
            | Outcome::TrunkRefuses => self.schedule_again(outcome, now_unix_ms, rules, allowed),
        };
        Ok(())
    }

    /// Whoever held it is dead: what he had begun is put in order. An offer is no try. A try that is proven to be over and
    /// unanswered is followed by another at once; one of which nobody says whether it was answered is in doubt.
    pub fn take_over(
        &mut self,
        left: LeftBehind,
        now_unix_ms: u64,
        rules: &RetryRules,
        allowed: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), OutOfTurn> {
        match self.0.state {
            CallbackState::Offered => self.decline(),
            CallbackState::Dialling => {
                let outcome = match left {
                    LeftBehind::Unanswered => Outcome::Interrupted,
                    LeftBehind::Over(outcome) => outcome,
                    LeftBehind::Answered => Outcome::ShortTalk,
                    LeftBehind::Unknown => Outcome::InDoubt,
                };
                self.end_attempt(outcome, now_unix_ms, rules, allowed)
            }
            // That he answered is certain. Whoever had a while to talk is not called again unasked.
            CallbackState::Connected => {
                let dialled = self.0.attempts.last().map_or(0, |attempt| attempt.at_unix_ms);
                let long_ago = now_unix_ms.saturating_sub(dialled) >= ms(LONG_TALK);
                let outcome = if long_ago { Outcome::Reached } else { Outcome::ShortTalk };
                self.end_attempt(outcome, now_unix_ms, rules, allowed)
            }
            CallbackState::Scheduled
            | CallbackState::Queued
            | CallbackState::Completed
            | CallbackState::Served
            | CallbackState::Cancelled(_)
            | CallbackState::Expired
            | CallbackState::Failed(_) => Ok(()),
        }
    }

    /// He whom another node took for dead was not: what came of his try is known after all.
    pub fn settle_doubt(
        &mut self,
        call: CallId,
        outcome: Outcome,
        now_unix_ms: u64,
        rules: &RetryRules,
        allowed: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), OutOfTurn> {
        let last = self.0.attempts.last();
        let is_doubted = last.is_some_and(|last| last.call == call && last.outcome == Some(Outcome::InDoubt));
        self.only_if(is_doubted && self.0.state == CallbackState::Scheduled)?;
        self.0.state = CallbackState::Dialling;
        self.end_attempt(outcome, now_unix_ms, rules, allowed)
    }

    /// It came due by a clock that was set back since: its moment is still to come.
    pub fn is_early(&self, now_unix_ms: u64) -> bool {
        now_unix_ms < self.0.due_unix_ms
    }

    /// Its turn came at the wrong time: past its window it expires; outside `allowed` hours, or before its moment, it
    /// waits for them.
    pub fn put_off(
        &mut self,
        now_unix_ms: u64,
        rules: &RetryRules,
        allowed: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), OutOfTurn> {
        self.only_if(self.0.state == CallbackState::Queued)?;
        let next = allowed(now_unix_ms.max(self.0.due_unix_ms))
            .filter(|at| *at <= self.last_moment(rules) && now_unix_ms <= self.last_moment(rules));
        match next {
            Some(at) if at > now_unix_ms => {
                self.0.due_unix_ms = at;
                self.0.state = CallbackState::Scheduled;
            }
            Some(_) => {}
            None => self.0.state = CallbackState::Expired,
        }
        Ok(())
    }

    /// This node has enough of its queue in hand: it is looked at again then. Its moment and its place stay.
    pub fn set_aside(&mut self, until_unix_ms: u64) -> Result<(), OutOfTurn> {
        self.only_if(self.waits())?;
        self.0.due_unix_ms = self.0.due_unix_ms.max(until_unix_ms);
        self.0.state = CallbackState::Scheduled;
        Ok(())
    }

    /// It may not be called any more.
    pub fn forbid(&mut self) -> Result<(), OutOfTurn> {
        self.only_if(matches!(
            self.0.state,
            CallbackState::Scheduled | CallbackState::Queued | CallbackState::Offered
        ))?;
        self.0.state = CallbackState::Failed(FailReason::NotAllowed);
        self.0.agent = None;
        self.0.offer_leg.clear();
        Ok(())
    }

    /// Another moment, chosen by who may choose. A new promise: its window begins anew, its place stays.
    pub fn reschedule(&mut self, promised_unix_ms: u64, wanted: Option<Wanted>) -> Result<(), OutOfTurn> {
        self.only_if(matches!(self.0.state, CallbackState::Scheduled | CallbackState::Queued))?;
        self.0.wish.promised_unix_ms = promised_unix_ms;
        self.0.wish.wanted = wanted;
        self.0.due_unix_ms = promised_unix_ms;
        self.0.state = CallbackState::Scheduled;
        Ok(())
    }

    /// Called off. While they talk it is too late; while the phone rings, the ringing is to be stopped too.
    pub fn cancel(&mut self, by: CancelledBy) -> Result<(), OutOfTurn> {
        self.only_if(!self.0.state.is_over() && self.0.state != CallbackState::Connected)?;
        self.0.state = CallbackState::Cancelled(by);
        self.0.agent = None;
        self.0.offer_leg.clear();
        Ok(())
    }

    /// He talks with an agent on the site: what was to come as soon as possible has come. What he chose a time for stays,
    /// and so does what the company wants of him; who talks in it already has it.
    pub fn serve(&mut self) -> Result<(), OutOfTurn> {
        let as_soon_as_possible = self.0.wish.wanted.is_none() && self.0.care.purpose == Purpose::Requested;
        self.only_if(as_soon_as_possible && !self.0.state.is_over() && self.0.state != CallbackState::Connected)?;
        self.0.state = CallbackState::Served;
        self.0.agent = None;
        self.0.offer_leg.clear();
        Ok(())
    }

    /// His phone is being rung, or they talk.
    pub const fn is_live(&self) -> bool {
        matches!(self.0.state, CallbackState::Dialling | CallbackState::Connected)
    }

    fn only_if(&self, fits: bool) -> Result<(), OutOfTurn> {
        if fits { Ok(()) } else { Err(OutOfTurn { state: self.0.state }) }
    }

    fn last_moment(&self, rules: &RetryRules) -> u64 {
        self.0.wish.promised_unix_ms.saturating_add(ms(rules.window))
    }

    fn times(&self, outcome: Outcome) -> usize {
        self.0.attempts.iter().filter(|attempt| attempt.outcome == Some(outcome)).count()
    }

    /// Whatever counts and whatever does not: nobody's phone is rung more often than this for one wish.
    fn is_disturbed(&self) -> bool {
        let may_have_rung = |attempt: &&Attempt| !attempt.outcome.is_some_and(Outcome::is_trunks);
        self.0.attempts.iter().filter(may_have_rung).count() >= RINGS_MAX
    }

    /// The rules leave no further try.
    fn is_used_up(&self, rules: &RetryRules) -> bool {
        let voicemails = self.0.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Voicemail)).count();
        self.counted() >= usize::from(rules.attempts_max) || voicemails >= 2
    }

    fn schedule_again(
        &mut self,
        outcome: Outcome,
        now_unix_ms: u64,
        rules: &RetryRules,
        allowed: impl Fn(u64) -> Option<u64>,
    ) -> CallbackState {
        let wanted = now_unix_ms.saturating_add(ms(self.pause_after(outcome, rules)));
        match allowed(wanted).filter(|at| *at <= self.last_moment(rules)) {
            Some(at) => {
                self.0.due_unix_ms = at.max(wanted);
                CallbackState::Scheduled
            }
            None if outcome.is_trunks() => CallbackState::Expired,
            None => CallbackState::Failed(FailReason::NotReached),
        }
    }

    fn pause_after(&self, outcome: Outcome, rules: &RetryRules) -> Duration {
        let doubled = |first: Duration, times: usize| first.saturating_mul(1 << times.saturating_sub(1).min(16));
        match outcome {
            Outcome::Busy => doubled(rules.after_busy, self.times(Outcome::Busy)),
            Outcome::NoAnswer | Outcome::ShortTalk => rules.after_no_answer,
            Outcome::Voicemail => rules.after_voicemail,
            Outcome::Later => rules.after_later,
            Outcome::AgentGone => doubled(rules.after_busy, self.times(Outcome::AgentGone).saturating_sub(1)),
            Outcome::InDoubt => rules.after_doubt,
            Outcome::TrunkFault | Outcome::TrunkRefuses => {
                doubled(rules.after_trunk_fault, usize::from(self.0.trunk_faults)).min(rules.trunk_back_off_max)
            }
            Outcome::Reached | Outcome::Declined | Outcome::NotMe | Outcome::BadNumber | Outcome::Interrupted => {
                Duration::ZERO
            }
        }
    }
}

impl fmt::Debug for Callback {
    /// Without the number and the page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("id", &self.0.id)
            .field("state", &self.0.state)
            .field("due_unix_ms", &self.0.due_unix_ms)
            .field("attempts", &self.0.attempts)
            .finish_non_exhaustive()
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
