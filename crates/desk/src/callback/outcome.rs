//! What came of one try, read from what the network, the person and the clock said (FEATURES §2.4).

use std::time::Duration;

/// What is known at the end of a try.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AttemptEnd {
    /// The final answer to the customer's INVITE (RFC 3261 §21); `None` when none came.
    pub sip: Option<u16>,
    /// The network's own cause (ITU-T Q.850, in `Reason`: RFC 3326).
    pub q850: Option<u8>,
    /// It rang as long as we let it, and we gave up.
    pub rang_out: bool,
    /// The message did not reach the trunk at all.
    pub unreachable: bool,
    /// The customer's phone rang.
    pub rang: bool,
    /// He answered, whether or not somebody was there to talk with.
    pub answered: bool,
    /// Our side ended it before the customer answered: the agent hung up, the gateway was told to end.
    pub agent_left: bool,
    /// Here was no room for the call: no port, no place in a queue. It says nothing about anybody.
    pub no_room: bool,
    /// How long they talked; `None` when nobody answered.
    pub talk: Option<Duration>,
    /// A machine answered.
    pub voicemail: bool,
    /// The key the person pressed when asked: 2 puts it off, 3 cancels, 9 says "this was not me".
    pub key: Option<char>,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// They talked.
    Reached,
    /// Answered and over so soon that it may have been nobody.
    ShortTalk,
    /// The line was busy.
    Busy,
    /// Nobody picked up.
    NoAnswer,
    /// A machine answered.
    Voicemail,
    /// The person asked to be called later.
    Later,
    /// The person declined.
    Declined,
    /// The person never asked for it: the number is not to be called again.
    NotMe,
    /// There is no such number.
    BadNumber,
    /// The trunk or the network behind it failed.
    TrunkFault,
    /// The trunk does not accept us or our offer: its configuration is wrong.
    TrunkRefuses,
    /// The agent went away before the customer was there.
    AgentGone,
    /// The gateway that dialled died, and its successor stopped the ringing: nobody had answered.
    Interrupted,
    /// The gateway that dialled died: nobody knows whether he answered.
    InDoubt,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 14] = [
        Self::Reached,
        Self::ShortTalk,
        Self::Busy,
        Self::NoAnswer,
        Self::Voicemail,
        Self::Later,
        Self::Declined,
        Self::NotMe,
        Self::BadNumber,
        Self::TrunkFault,
        Self::TrunkRefuses,
        Self::AgentGone,
        Self::Interrupted,
        Self::InDoubt,
    ];

    /// Reads the end of a try. `short_talk`: a talk below it counts as none.
    pub fn of(end: &AttemptEnd, short_talk: Duration) -> Self {
        match (end.key, end.talk) {
            (Some('9'), _) => return Self::NotMe,
            (Some('3'), _) => return Self::Declined,
            (Some('2'), _) => return Self::Later,
            (Some(_) | None, _) if end.voicemail => return Self::Voicemail,
            (Some(_) | None, Some(talk)) if talk < short_talk => return Self::ShortTalk,
            (Some(_) | None, Some(_)) => return Self::Reached,
            (Some(_) | None, None) => {}
        }
        if end.agent_left {
            return Self::AgentGone;
        }
        if end.answered {
            // He hung up on an empty line, or our sound could not be agreed: enough to have been disturbed.
            return Self::ShortTalk;
        }
        if end.unreachable {
            return Self::TrunkFault;
        }
        match end.sip {
            // What the person, or our own trunk, said outright; a gateway adds a cause of its own making.
            Some(603 | 607 | 608) => Self::Declined,
            Some(401 | 403 | 407 | 488) => Self::TrunkRefuses,
            Some(status) => end.q850.and_then(by_q850).unwrap_or_else(|| by_status(status, end.rang || end.rang_out)),
            None => end.q850.and_then(by_q850).unwrap_or(if end.rang_out { Self::NoAnswer } else { Self::TrunkFault }),
        }
    }

    /// Whether it counts as a try: what our side or the network spoilt does not, nor what he only put off.
    pub const fn counts(self) -> bool {
        match self {
            Self::Reached
            | Self::ShortTalk
            | Self::Busy
            | Self::NoAnswer
            | Self::Voicemail
            | Self::Declined
            | Self::NotMe
            | Self::BadNumber
            | Self::InDoubt => true,
            Self::Later | Self::TrunkFault | Self::TrunkRefuses | Self::AgentGone | Self::Interrupted => false,
        }
    }

    /// Whether the trunk is to blame, and the admin to be told.
    pub const fn is_trunks(self) -> bool {
        matches!(self, Self::TrunkFault | Self::TrunkRefuses)
    }

    /// The stable word for records, metrics and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::ShortTalk => "short-talk",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Voicemail => "voicemail",
            Self::Later => "later",
            Self::Declined => "declined",
            Self::NotMe => "not-me",
            Self::BadNumber => "bad-number",
            Self::TrunkFault => "trunk-fault",
            Self::TrunkRefuses => "trunk-refuses",
            Self::AgentGone => "agent-gone",
            Self::Interrupted => "interrupted",
            Self::InDoubt => "in-doubt",
        }
    }

    /// The outcome whose [`code`](Self::code) this is.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// The network's cause, where it decides; it is nearer to the person than a gateway's status.
fn by_q850(cause: u8) -> Option<Outcome> {
    match cause {
        17 => Some(Outcome::Busy),
        18 | 19 => Some(Outcome::NoAnswer),
        21 => Some(Outcome::Declined),
        1 | 3 | 22 | 28 => Some(Outcome::BadNumber),
        34 | 38 | 41 | 42 | 47 => Some(Outcome::TrunkFault),
        _ => None,
    }
}

fn by_status(status: u16, rang: bool) -> Outcome {
    match status {
        486 | 600 => Outcome::Busy,
        404 | 410 | 484 | 604 => Outcome::BadNumber,
        // Our own CANCEL after the ring limit, or the far side's patience.
        480 | 487 => Outcome::NoAnswer,
        // A carrier's own ring time-out; or it broke after his phone had rung, which disturbs him as much.
        408 | 500..=599 if rang => Outcome::NoAnswer,
        // Without a ring, 408 says that nobody was reached there at all (RFC 3261 §16.7).
        408 | 500..=599 => Outcome::TrunkFault,
        _ => Outcome::TrunkRefuses,
    }
}
