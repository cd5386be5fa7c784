//! A leg: one side of a call, what it is and how far it has come.

use std::fmt;

use crate::{HangupCause, LegId, LegSpec, Now, TrunkId};
use std::time::Instant;

/// What a leg leads to.
#[derive(Clone, Eq, PartialEq)]
pub enum LegKind {
    /// The visitor's page.
    Browser,
    /// An agent known to Passerelle: his registered phone or his page.
    Agent {
        /// His extension.
        extension: String,
    },
    /// A PBX or carrier.
    Trunk {
        /// Which trunk.
        trunk: TrunkId,
        /// Whom to call there.
        uri: String,
    },
}

impl LegKind {
    /// The agent it rings at, when it is one of ours.
    pub fn extension(&self) -> Option<&str> {
        match self {
            Self::Agent { extension } => Some(extension),
            Self::Browser | Self::Trunk { .. } => None,
        }
    }
}

impl LegKind {
    /// The stable word for records and JSON.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Agent { .. } => "agent",
            Self::Trunk { .. } => "trunk",
        }
    }

    /// Who is there, as far as the configuration says: the extension or the URI, empty for a visitor.
    pub fn peer(&self) -> &str {
        match self {
            Self::Browser => "",
            Self::Agent { extension } => extension,
            Self::Trunk { uri, .. } => uri,
        }
    }
}

impl fmt::Debug for LegKind {
    /// The URI may hold a phone number: it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Browser => f.write_str("browser"),
            Self::Agent { extension } => write!(f, "agent {extension}"),
            Self::Trunk { trunk, .. } => write!(f, "trunk {trunk}"),
        }
    }
}

/// How a leg sounded, as far as it is known. "In" is towards Passerelle, "out" away from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegQuality {
    /// Share of packets lost on the way in, 0 to 1.
    pub loss_in: Option<f32>,
    /// Share of packets lost on the way out, as the far end reported.
    pub loss_out: Option<f32>,
    /// Interarrival jitter on the way in, milliseconds.
    pub jitter_in_ms: Option<f32>,
    /// Jitter the far end reported, milliseconds.
    pub jitter_out_ms: Option<f32>,
    /// Round trip by RTCP, milliseconds.
    pub rtt_ms: Option<f32>,
    /// Estimated listening quality of what came in, 1 to 4.5 (G.107).
    pub mos: Option<f32>,
    /// Packets that came in.
    pub packets_in: u64,
    /// Packets sent out.
    pub packets_out: u64,
}

/// How far a leg has come. Only forward.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum LegState {
    /// A candidate whose turn has not come.
    Waiting,
    /// Ordered to open.
    Opened,
    /// We ordered it to end and have not heard that it did.
    Ending,
    /// It is gone, or was passed over and never opened.
    Gone,
}

/// One side of the call.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) spec: LegSpec,
    pub(crate) state: LegState,
    /// It was opened once, whatever became of it.
    pub(crate) opened: bool,
    pub(crate) rang: bool,
    pub(crate) held: bool,
    /// When the grace for lost sound is over.
    pub(crate) grace_until: Option<Instant>,
    pub(crate) codec: Option<String>,
    pub(crate) quality: LegQuality,
    pub(crate) cause: Option<HangupCause>,
    /// Whose place it takes or took.
    pub(crate) stands_for: Option<LegId>,
    /// When it began to talk with the other side, and when it ended before the call did.
    pub(crate) joined: Option<Now>,
    pub(crate) left: Option<Now>,
}

impl Leg {
    pub(crate) fn new(spec: LegSpec) -> Self {
        Self {
            spec,
            state: LegState::Waiting,
            opened: false,
            rang: false,
            held: false,
            grace_until: None,
            codec: None,
            quality: LegQuality::default(),
            cause: None,
            stands_for: None,
            joined: None,
            left: None,
        }
    }

    /// Opened, not told to end, not gone: it may be given commands.
    pub(crate) fn is_live(&self) -> bool {
        self.state == LegState::Opened
    }

    pub(crate) fn open(&mut self) {
        self.state = LegState::Opened;
        self.opened = true;
    }

    /// It went away by itself.
    pub(crate) fn leave(&mut self, cause: HangupCause) {
        self.state = LegState::Gone;
        self.grace_until = None;
        self.cause = Some(cause);
    }

    /// We sent it away.
    pub(crate) fn told_to_end(&mut self, cause: HangupCause) {
        self.state = LegState::Ending;
        self.grace_until = None;
        self.cause = Some(cause);
    }
}
