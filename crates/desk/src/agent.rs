//! An agent: where he can ring, whether he wants to, and how long he has been idle.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use call::CallId;

use crate::{AgentCard, AgentConfig};

/// So many calls in a row that he does not take, and he is away (FEATURES §2.4).
const MISSES_MAX: u8 = 2;

/// Where an agent can ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seat {
    /// A SIP phone registered here.
    SipPhone,
    /// The agent page, set to answer in the browser.
    Browser,
}

/// The seats an agent has now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seats {
    /// A phone is registered.
    pub sip_phone: bool,
    /// The page is ready to answer.
    pub browser: bool,
}

impl Seats {
    /// Any seat at all.
    pub const fn any(self) -> bool {
        self.sip_phone || self.browser
    }

    /// Whether he sits there; `None` asks for any seat.
    pub const fn has(self, seat: Option<Seat>) -> bool {
        match seat {
            Some(Seat::SipPhone) => self.sip_phone,
            Some(Seat::Browser) => self.browser,
            None => self.any(),
        }
    }

    pub(crate) const fn set(&mut self, seat: Seat, on: bool) {
        match seat {
            Seat::SipPhone => self.sip_phone = on,
            Seat::Browser => self.browser = on,
        }
    }

    /// Where to ring him: the page when he set it to answer, for he just said so; else the phone.
    pub const fn preferred(self) -> Option<Seat> {
        match (self.browser, self.sip_phone) {
            (true, _) => Some(Seat::Browser),
            (false, true) => Some(Seat::SipPhone),
            (false, false) => None,
        }
    }
}

/// What an agent says of himself, or the desk of him.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// Not to be called, whatever is registered.
    Offline,
    /// May be called.
    Ready,
    /// Does something else.
    Busy,
    /// Rests after a call; ends by itself.
    WrapUp,
    /// Rung twice in a row without taking it: not rung until he shows that he is there.
    Away,
}

impl Presence {
    /// The stable word for JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::WrapUp => "wrap_up",
            Self::Away => "away",
        }
    }
}

/// An agent, as the desk knows him.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) seats: Seats,
    declared: Presence,
    /// Until when he rests.
    pub(crate) wrap_up_until: Option<Instant>,
    /// Calls in a row that rang him and that he did not take.
    misses: u8,
    /// Since when nobody has rung him.
    pub(crate) idle_since: Instant,
    calls: BTreeSet<CallId>,
}

impl Agent {
    pub(crate) fn new(config: AgentConfig, now: Instant) -> Self {
        let (seats, calls) = (Seats::default(), BTreeSet::new());
        Self { config, seats, declared: Presence::Ready, wrap_up_until: None, misses: 0, idle_since: now, calls }
    }

    /// The same person by another word of the configuration.
    pub(crate) fn named(self, config: AgentConfig) -> Self {
        Self { config, ..self }
    }

    pub(crate) fn presence(&self) -> Presence {
        match self.declared {
            Presence::Ready | Presence::WrapUp if self.misses >= MISSES_MAX => Presence::Away,
            Presence::Ready | Presence::WrapUp if self.wrap_up_until.is_some() => Presence::WrapUp,
            Presence::Ready | Presence::WrapUp => Presence::Ready,
            Presence::Offline | Presence::Busy | Presence::Away => self.declared,
        }
    }

    pub(crate) fn declare(&mut self, presence: Presence, now: Instant, wrap_up: Duration) {
        self.declared = presence;
        self.misses = 0;
        self.wrap_up_until = (presence == Presence::WrapUp && !wrap_up.is_zero()).then(|| now + wrap_up);
    }

    /// A visitor may be given to him.
    pub(crate) fn is_free(&self, seat: Option<Seat>) -> bool {
        self.presence() == Presence::Ready && self.seats.has(seat) && !self.is_full()
    }

    /// He is at work, and only his call or his rest has to end.
    pub(crate) fn will_be_free(&self, seat: Option<Seat>) -> bool {
        let works = match self.presence() {
            Presence::Ready | Presence::WrapUp => true,
            Presence::Offline | Presence::Busy | Presence::Away => false,
        };
        works && self.seats.has(seat) && !self.is_free(seat)
    }

    /// A colleague may dial him: also while he rests.
    pub(crate) fn can_be_dialled(&self) -> bool {
        let is_in = match self.presence() {
            Presence::Ready | Presence::Busy | Presence::WrapUp | Presence::Away => true,
            Presence::Offline => false,
        };
        is_in && self.seats.any() && !self.is_full()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.calls.len() >= self.config.max_calls
    }

    /// He was rung for a visitor or a customer and did not take it; whether he is away by that.
    pub(crate) fn miss(&mut self) -> bool {
        self.misses = self.misses.saturating_add(1);
        self.misses == MISSES_MAX
    }

    /// He is there: he answered, dialled, came in or said so; whether he was away.
    pub(crate) fn show_up(&mut self) -> bool {
        std::mem::take(&mut self.misses) >= MISSES_MAX
    }

    pub(crate) fn claim(&mut self, call: CallId) {
        self.calls.insert(call);
    }

    /// The call is no longer his: he goes to the end of the line, also when he did not answer, so
    /// that one who left his desk does not cost every visitor a ring limit. Rests if he talked.
    pub(crate) fn release(&mut self, call: CallId, rest: Duration, now: Instant) {
        if !self.calls.remove(&call) {
            return;
        }
        self.idle_since = now;
        if !rest.is_zero() && self.config.max_calls == 1 {
            self.wrap_up_until = Some(now + rest);
        }
    }

    pub(crate) fn card(&self) -> AgentCard {
        AgentCard {
            extension: self.config.extension.clone(),
            name: self.config.name.clone(),
            presence: self.presence(),
            seats: self.seats,
            calls: self.calls.iter().copied().collect(),
        }
    }
}
