//! An agent: where he can ring, whether he wants to, and how long he has been idle.

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
}

impl Presence {
    /// The stable word for JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::WrapUp => "wrap_up",
        }
    }
}
