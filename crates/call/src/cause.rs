//! Why a call or a leg ended, and who ended it.

use std::fmt;

/// Who ended the call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Party {
    /// The person on the web page.
    Visitor,
    /// The person (or the PBX) who was asked to answer; also an agent who dialled.
    Agent,
    /// Passerelle itself: a limit, a fault, a shutdown.
    Gateway,
}

impl Party {
    /// Every party.
    pub const ALL: [Self; 3] = [Self::Visitor, Self::Agent, Self::Gateway];

    /// The stable word for records and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
        }
    }

    /// The party whose [`code`](Self::code) this is.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|party| party.code() == code)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a leg or a call ended. Each has one code for records, metrics and sentences.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HangupCause {
    /// Somebody hung up after talking.
    Normal,
    /// The called side was on another call.
    Busy,
    /// It rang and nobody picked up.
    NoAnswer,
    /// The called side declined.
    Refused,
    /// The asking side gave up before the answer.
    Cancelled,
    /// No way to the called side: no route, no reply, 5xx.
    Unreachable,
    /// The called side does not exist there.
    NotFound,
    /// Nobody was there to be called.
    NoAgent,
    /// Sound never came up (ICE, DTLS).
    MediaFailed,
    /// Sound was there and went away for longer than the grace.
    MediaLost,
    /// The page's or phone's signalling connection broke.
    SocketLost,
    /// The longest allowed duration was reached.
    TooLong,
    /// A limit of this gateway or of the far side was reached.
    Overload,
    /// The gateway is stopping.
    Shutdown,
    /// The process died while the call was up; written at the next start.
    Interrupted,
    /// A fault in the program ended this call and no other.
    Bug,
    /// The far side or our own rules forbid it.
    NotAllowed,
    /// No codec or transport in common.
    IncompatibleMedia,
}

impl HangupCause {
    /// Every cause.
    pub const ALL: [Self; 18] = [
        Self::Normal,
        Self::Busy,
        Self::NoAnswer,
        Self::Refused,
        Self::Cancelled,
        Self::Unreachable,
        Self::NotFound,
        Self::NoAgent,
        Self::MediaFailed,
        Self::MediaLost,
        Self::SocketLost,
        Self::TooLong,
        Self::Overload,
        Self::Shutdown,
        Self::Interrupted,
        Self::Bug,
        Self::NotAllowed,
        Self::IncompatibleMedia,
    ];

    /// The stable word for records, metrics and sentences.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not-found",
            Self::NoAgent => "no-agent",
            Self::MediaFailed => "media-failed",
            Self::MediaLost => "media-lost",
            Self::SocketLost => "socket-lost",
            Self::TooLong => "too-long",
            Self::Overload => "overload",
            Self::Shutdown => "shutdown",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
            Self::NotAllowed => "not-allowed",
            Self::IncompatibleMedia => "incompatible-media",
        }
    }

    /// The cause whose [`code`](Self::code) this is.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// Who ended it, when a leg of `owner` went away for this cause: a person's doing is theirs,
    /// what no person did is the gateway's.
    pub(crate) const fn blame(self, owner: Party) -> Party {
        match self {
            Self::Normal
            | Self::Busy
            | Self::Refused
            | Self::Cancelled
            | Self::NotFound
            | Self::NotAllowed
            | Self::MediaLost
            | Self::SocketLost => owner,
            // Nobody did it: we stopped waiting.
            Self::NoAnswer
            | Self::Unreachable
            | Self::NoAgent
            | Self::MediaFailed
            | Self::TooLong
            | Self::Overload
            | Self::Shutdown
            | Self::Interrupted
            | Self::Bug
            | Self::IncompatibleMedia => Party::Gateway,
        }
    }

    /// Of several candidates' failures the one to tell the visitor: the lowest rank. "Busy" is truer
    /// to him than "the second phone was unplugged".
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Bug | Self::Shutdown | Self::Interrupted => 0,
            Self::Busy => 1,
            Self::NoAnswer => 2,
            Self::Refused | Self::Cancelled | Self::Normal => 3,
            Self::Overload | Self::TooLong => 4,
            Self::NotAllowed | Self::IncompatibleMedia => 5,
            Self::MediaFailed | Self::MediaLost | Self::SocketLost => 6,
            Self::NotFound => 7,
            Self::Unreachable => 8,
            Self::NoAgent => 9,
        }
    }
}

impl fmt::Display for HangupCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_and_reads_back() {
        for (index, cause) in HangupCause::ALL.into_iter().enumerate() {
            // `ALL` lists the variants in their order, none left out before the last.
            assert_eq!(cause as usize, index);
            assert_eq!(HangupCause::from_code(cause.code()), Some(cause));
            assert!(cause.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{cause}");
        }
        assert_eq!(HangupCause::ALL.last(), Some(&HangupCause::IncompatibleMedia));
        for party in Party::ALL {
            assert_eq!(Party::from_code(party.code()), Some(party));
        }
        assert_eq!(HangupCause::from_code("nonsense"), None);
    }
}
