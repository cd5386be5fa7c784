//! What an endpoint reports.

use std::fmt;
use std::time::Instant;

use super::config::{Binding, Flow};
use crate::error::{Failure, Reason};
use crate::message::Headers;
use crate::orphan::OrphanEnd;
use crate::timer::Timer;
use crate::uri::Uri;
use crate::values::{NameAddr, Refer};
use crate::wire::ParseReason;

/// The endpoint's own handle of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallRef(pub u64);

/// The endpoint's own handle of an OPTIONS probe.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProbeRef(pub u64);

/// The endpoint's own handle of a registration it keeps up.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RegistrationRef(pub u64);

/// The endpoint's own handle of a dead process's call that it ends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrphanRef(pub u64);

/// Who ended a call that was up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndedBy {
    /// `hang_up`, `reject`, or a failure the endpoint had to end the call for.
    Us,
    /// BYE, CANCEL, or an answer that says the dialog is gone.
    Peer,
    /// Nobody answered in time.
    Timer(Timer),
}

/// A call that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingInvite {
    /// Request-URI: what was dialled.
    pub uri: Uri,
    /// Who calls, as claimed.
    pub from: NameAddr,
    /// Who was called at first.
    pub to: NameAddr,
    /// Every header.
    pub headers: Headers,
    /// The session offer; `None` where the caller wants ours.
    pub body: Option<Vec<u8>>,
    /// The path it came by.
    pub flow: Flow,
    /// The account that proved itself; `None` for a trunk's address.
    pub account: Option<String>,
    /// The call whose place it wants to take (RFC 3891). Whether it may is for the application to say.
    pub replaces: Option<CallRef>,
}

/// State of a registration we keep up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegistrationState {
    /// REGISTER is on its way.
    Trying,
    /// The registrar holds our contact.
    Registered {
        /// Until then, unless refreshed; the endpoint refreshes.
        until: Instant,
    },
    /// It did not work; the endpoint tries again by itself.
    Failed {
        /// Status, 408 for a time-out, 503 for a broken transport.
        status: u16,
        /// Reason phrase.
        text: String,
        /// When the next REGISTER goes out.
        retry_at: Instant,
    },
    /// Taken back at our wish.
    Unregistered,
}

/// Why a binding went away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnboundWhy {
    /// The phone took it back.
    Removed,
    /// It was not renewed.
    Lapsed,
    /// Its connection closed.
    ConnectionLost,
    /// The account is gone.
    AccountRemoved,
}

/// Why a message was refused or dropped. Each has a counter at the driver.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// Not SIP as this endpoint reads it; answered 400 or 505 where enough could be read.
    Malformed(ParseReason),
    /// Sane but not acceptable by its own headers; answered with this status (§8.2).
    NotAcceptable(u16),
    /// Answered 401: nothing proves who sent it.
    Unauthenticated,
    /// Answered 403: proven, but not allowed to do this.
    Forbidden,
    /// Answered 482: the same request reached us twice by different paths.
    Merged,
    /// Answered 481: no such call or transaction.
    NoDialog,
    /// Answered 500: out of order within its dialog.
    OutOfOrder,
    /// Answered 491 or 500: another offer is still unanswered.
    OfferPending,
    /// Answered 503: `max_transactions` is reached.
    TooManyTransactions,
    /// Answered 503: more calls begin in a second than may, or strangers ask more.
    Overloaded,
    /// Dropped: more than can be answered even by 503.
    OverloadDropped,
    /// Dropped: a stranger's address has asked too much, and is not heard for a while. Told once.
    Barred,
    /// Dropped: from an address that is not heard.
    FromBarred,
    /// Answered 503: `max_calls` is reached.
    TooManyCalls,
    /// Answered 503: the registrar is full.
    TooManyBindings,
    /// Answered 423 or 422: the registration or the session interval asked for is too short.
    TooBrief,
    /// Answered 481: a PRACK of a response that does not wait for one.
    StrayPrack,
    /// Answered 421: the trunk's rule wants reliable provisional answers and the caller cannot.
    ExtensionRequired,
    /// Answered 500: more requests within one call than any sane far end sends.
    TooManyRequests,
    /// Dropped: a response nothing waits for.
    StrayResponse,
    /// Dropped: an ACK nothing waits for.
    StrayAck,
    /// The connection is closed: too many of them.
    TooManyConnections,
    /// The connection is closed: silent for too long or stuck within a message.
    IdleConnection,
    /// The connection is closed: it has swallowed a keep-alive.
    DeadConnection,
    /// Dropped: an internal queue was full.
    QueueFull,
}

impl Refusal {
    /// Whether there was more to do than the limits allow, whoever asked.
    pub fn is_overload(self) -> bool {
        matches!(self, Self::Overloaded | Self::OverloadDropped | Self::TooManyTransactions | Self::TooManyCalls)
    }

    /// A short stable name for logs and counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NotAcceptable(_) => "not-acceptable",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Merged => "merged",
            Self::NoDialog => "no-dialog",
            Self::OutOfOrder => "out-of-order",
            Self::OfferPending => "offer-pending",
            Self::TooManyTransactions => "too-many-transactions",
            Self::Overloaded => "overloaded",
            Self::OverloadDropped => "overload-dropped",
            Self::Barred => "barred",
            Self::FromBarred => "from-barred",
            Self::TooManyCalls => "too-many-calls",
            Self::TooManyBindings => "too-many-bindings",
            Self::TooBrief => "too-brief",
            Self::StrayPrack => "stray-prack",
            Self::ExtensionRequired => "extension-required",
            Self::TooManyRequests => "too-many-requests",
            Self::StrayResponse => "stray-response",
            Self::StrayAck => "stray-ack",
            Self::TooManyConnections => "too-many-connections",
            Self::IdleConnection => "idle-connection",
            Self::DeadConnection => "dead-connection",
            Self::QueueFull => "queue-full",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What happened.
///
/// Every call, whichever way it went, ends with exactly one of [`SipEvent::Ended`] and [`SipEvent::Failed`],
/// and nothing about it follows.
#[derive(Clone, Debug, PartialEq)]
pub enum SipEvent {
    /// 101 to 199 for a call of ours.
    Progress {
        /// Which call.
        call: CallRef,
        /// 180, 183 and so on.
        status: u16,
        /// Early session description. Of a fork, whichever branch it came from.
        body: Option<Vec<u8>>,
        /// Every header.
        headers: Headers,
    },
    /// The first 2xx for a call of ours; ACK has gone out.
    Answered {
        /// Which call.
        call: CallRef,
        /// 200 as a rule.
        status: u16,
        /// The session answer.
        body: Option<Vec<u8>>,
        /// Every header.
        headers: Headers,
    },
    /// A call of ours was not answered. The last word on it.
    Failed {
        /// Which call.
        call: CallRef,
        /// How.
        failure: Failure,
    },
    /// Somebody calls. 100 has gone out; the application rings, answers or rejects.
    Incoming {
        /// Which call.
        call: CallRef,
        /// The invitation.
        invite: Box<IncomingInvite>,
    },
    /// The caller gave up before the answer. `Ended` follows at once.
    Cancelled {
        /// Which call.
        call: CallRef,
    },
    /// The far end acknowledged our 2xx: to its first INVITE, or to a later one whose ACK carries a body.
    Confirmed {
        /// Which call.
        call: CallRef,
        /// The session answer where the offer was in our 2xx.
        body: Option<Vec<u8>>,
    },
    /// The far end acknowledged (PRACK) a provisional answer with an offer of ours, and this is its session answer.
    EarlyAnswered {
        /// Which call.
        call: CallRef,
        /// The session answer.
        body: Vec<u8>,
    },
    /// The far end changes the session (re-INVITE, UPDATE or PRACK), perhaps before the call is answered: `answer_reoffer` or `reject_reoffer`.
    Reoffered {
        /// Which call.
        call: CallRef,
        /// The offer; `None` where the far end wants ours.
        body: Option<Vec<u8>>,
    },
    /// Our `reinvite` was answered 2xx.
    ReofferAnswered {
        /// Which call.
        call: CallRef,
        /// The session answer.
        body: Option<Vec<u8>>,
    },
    /// Our `reinvite` failed; the session stays as it was.
    ReofferFailed {
        /// Which call.
        call: CallRef,
        /// How.
        failure: Failure,
    },
    /// The endpoint kept the session alive by a re-INVITE that said what was said before (RFC 4028 §7.4); this is
    /// what the far end answered, the same as before as a rule.
    Refreshed {
        /// Which call.
        call: CallRef,
        /// The session answer.
        body: Vec<u8>,
    },
    /// INFO within a call; answered 200.
    Info {
        /// Which call.
        call: CallRef,
        /// In lower case, without parameters.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// The far end wants whoever it talks with to be called by somebody else (REFER): `answer_refer`.
    Referred {
        /// Which call.
        call: CallRef,
        /// What it asks for.
        refer: Box<Refer>,
    },
    /// How the call that our REFER asked for is going.
    ReferNews {
        /// Which call.
        call: CallRef,
        /// As the far end tells it: 100 and 180 on the way, 200 when it is done, 300 and above when it is not.
        status: u16,
        /// Nothing more is told.
        last: bool,
    },
    /// A call is over. The last word on it.
    Ended {
        /// Which call.
        call: CallRef,
        /// By whom.
        by: EndedBy,
        /// First reason of the message that ended it.
        reason: Option<Reason>,
        /// Q.850 cause of that message.
        q850: Option<u8>,
    },
    /// A registration of ours changed.
    Registration {
        /// Which one.
        registration: RegistrationRef,
        /// To what.
        state: RegistrationState,
    },
    /// A phone registered here for the first time with this contact. Renewals are silent.
    Bound {
        /// Account.
        user: String,
        /// Where it is.
        binding: Box<Binding>,
    },
    /// A phone is no longer registered with some contact.
    Unbound {
        /// Account.
        user: String,
        /// Why.
        why: UnboundWhy,
    },
    /// An OPTIONS probe ended: the status of the answer, whatever it was, or why there was none.
    Probed {
        /// Which one.
        probe: ProbeRef,
        /// Any answer at all means that the far end lives.
        result: Result<u16, Failure>,
    },
    /// A dead process's call is ended, or nobody says what became of it. The last word on it.
    OrphanEnded {
        /// Which one.
        orphan: OrphanRef,
        /// What became of it.
        end: OrphanEnd,
    },
    /// A message was refused or dropped.
    Refused {
        /// Why.
        why: Refusal,
        /// The path it came by.
        flow: Flow,
    },
    /// A request of ours is too large for a datagram, and goes this way: over TCP, or as a datagram after all where no
    /// connection can be had.
    Large {
        /// The way it goes.
        flow: Flow,
    },
    /// The driver closes this stream connection: its octets can no longer be told apart, or it idled.
    Close {
        /// Which one.
        flow: Flow,
    },
}

/// What an endpoint holds. All of it returns to zero.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    /// Client and server transactions.
    pub transactions: usize,
    /// Early and confirmed dialogs.
    pub dialogs: usize,
    /// Calls not yet reported as ended.
    pub calls: usize,
    /// Bindings of the registrar.
    pub bindings: usize,
    /// Stream connections.
    pub flows: usize,
    /// Timers that run.
    pub timers: usize,
}
