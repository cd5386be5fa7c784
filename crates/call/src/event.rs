//! What a call hears from its legs and bridge, and what it tells the house.

use std::fmt;

use crate::{CallRecord, HangupCause, LegId, LegKind, LegQuality, State};

/// A key of the telephone keypad: `0`-`9`, `*`, `#`, `A`-`D` (RFC 4733 §3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digit(char);

impl Digit {
    /// The key by which a call-back is taken.
    pub const TAKES: Self = Self('1');

    /// The key for this character, if it is one.
    pub const fn new(key: char) -> Option<Self> {
        match key {
            '0'..='9' | '*' | '#' | 'A'..='D' => Some(Self(key)),
            'a'..='d' => Some(Self(key.to_ascii_uppercase())),
            _ => None,
        }
    }

    /// The character on the key.
    pub const fn key(self) -> char {
        self.0
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something happened on a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// Its sound can flow (ICE and DTLS done, or RTP agreed).
    MediaUp,
    /// It rings.
    Ringing,
    /// It sends sound before the answer (183 with SDP).
    EarlyMedia,
    /// It answered.
    Answered,
    /// It said no before answering; the leg is gone.
    Refused(HangupCause),
    /// It went away by itself; the leg is gone.
    Gone {
        /// Why.
        cause: HangupCause,
    },
    /// It has ended as we ordered; the leg is gone.
    Ended,
    /// It put us on hold, or took us back.
    Held(bool),
    /// It pressed a key.
    Digit(Digit),
    /// Its sound or consent is away; it may come back.
    MediaLost,
    /// Its sound is back.
    MediaBack,
    /// The codec in use.
    Codec(String),
    /// How it sounds; the last one said is kept.
    Quality(LegQuality),
}

/// Something happened on the bridge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BridgeEvent {
    /// It has closed as ordered: every `Quality` was said, ports and codecs are free.
    Closed,
    /// It is gone by itself (a fault in its worker): the call ends.
    Failed,
}

/// How far a transfer has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transfer {
    /// This one is asked.
    Asked(LegKind),
    /// He rings.
    Ringing,
    /// He has the place, and the one who asked is let go.
    Done,
    /// He does not come; the one who asked goes on if he is still there.
    Failed(HangupCause),
}

/// What the house should know: the desk, the agent's page, the record.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEvent {
    /// The call moved.
    State(State),
    /// This candidate is being invited now; whichever was before it is let go.
    Trying {
        /// The candidate.
        leg: LegId,
    },
    /// This candidate rings.
    Ringing {
        /// The candidate.
        leg: LegId,
    },
    /// This candidate answered.
    Answered {
        /// The candidate.
        leg: LegId,
    },
    /// A leg put the call on hold, or took it back.
    Held {
        /// Who.
        by: LegId,
        /// On hold or back.
        on: bool,
    },
    /// A leg pressed a key, passed on to the other.
    Digit {
        /// Who.
        from: LegId,
        /// Which.
        digit: Digit,
    },
    /// A party hands its place over.
    Transfer {
        /// Who leaves.
        by: LegId,
        /// Who is to come.
        to: LegId,
        /// How far it has come.
        step: Transfer,
    },
    /// It is over. Said once, last.
    Ended(Box<CallRecord>),
}
