//! Signalling: the handle by which calls order SIP, and what the driver reports to them.
//!
//! `SipHandle` numbers each leg before the order leaves, so that no task waits for the driver to give it a name.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use call::{HangupCause, LegId};
use sip::target::Candidate;
use tokio::sync::{mpsc, oneshot};

use crate::config::checked::Trunk;
use crate::drive::call::CallInput;
use crate::drive::sip::sockets::Certificates;
use crate::observe::metric::{self, Metric};

pub(crate) mod dns;
pub(crate) mod driver;
pub(crate) mod report;
pub(crate) mod sockets;
pub(crate) mod trunks;

/// Orders the driver may have waiting.
pub(crate) const ORDERS_MAX: usize = 4_096;

/// A driver that does not say by then whether a trunk takes calls is too busy for one.
const TAKES_CALLS_LIMIT: Duration = Duration::from_secs(1);

/// One SIP leg of one call, unique in this process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SipLeg(pub(crate) u64);

/// Where the events of a leg go: the call's inbox, and which of its legs this is.
#[derive(Clone, Debug)]
pub(crate) struct LegSink {
    pub(crate) inbox: mpsc::Sender<CallInput>,
    pub(crate) leg: LegId,
}

impl LegSink {
    /// Says something to the call; false when it does not listen any more.
    pub(crate) fn tell(&self, notice: SipNotice) -> bool {
        let told = self.inbox.try_send(CallInput::Sip(self.leg, notice)).is_ok();
        if !told {
            metric::count(Metric::SipNoticesLost);
        }
        told
    }
}

/// What the driver says of a leg.
#[derive(Debug)]
pub(crate) enum SipNotice {
    /// 180 or another provisional answer; with SDP it is early media.
    Progress { sdp: Option<Vec<u8>>, remote: IpAddr },
    /// 2xx with the answer to our offer (or the offer, when ours was missing).
    Answered { sdp: Option<Vec<u8>>, remote: IpAddr },
    /// The target was silent, or says 503: the leg may go to another one of its trunk. These have been tried.
    Elsewhere { tried: Vec<Candidate> },
    /// The leg never came up. Status 0: the INVITE never left. `q850` is the network's own cause (RFC 3326).
    Refused { cause: HangupCause, status: u16, phrase: String, q850: Option<u8> },
    /// The far end changed the session: hold, resume, new address, new codec. Answer with `accept` or `refuse`.
    Reoffered { sdp: Option<Vec<u8>> },
    /// The session was refreshed, and this is what the far end described itself as.
    Reanswered { sdp: Vec<u8> },
    /// Key pressed, told by INFO.
    Info { content_type: String, body: Vec<u8> },
    /// How another process could end this leg has changed: it rings, or is answered.
    Described(String),
    /// Our change of the session was answered.
    ReofferAnswered { sdp: Option<Vec<u8>> },
    /// It was not; the session stays as it was.
    ReofferFailed { status: u16 },
    /// It wants whoever it talks with to be called by somebody else. Answer with `answer_refer`.
    Referred(Box<Asked>),
    /// How the call goes that our REFER asked the far end for.
    ReferNews { status: u16, last: bool },
    /// Our answer was acknowledged; with SDP when the offer was ours.
    Confirmed { sdp: Option<Vec<u8>> },
    /// The leg is over, by the far end, a timer or our own order.
    Ended { cause: HangupCause, by_peer: bool },
}

/// What a REFER asks for, looked up among what we know.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The user it names.
    pub(crate) user: String,
    /// The host it names is this program.
    pub(crate) here: bool,
    /// The host it names is the PBX of these trunks.
    pub(crate) trunks: Vec<String>,
    pub(crate) replaced: Replaced,
    /// Who asks, as he says (RFC 3892).
    pub(crate) referred_by: Option<String>,
}

/// Whose place the new call takes.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// Nobody's: a blind transfer.
    Nobody,
    /// A leg of ours, in the call behind this sink.
    Here(LegSink),
    /// A dialog that only the other side knows, as it is written in Replaces.
    There(String),
}

/// Whom to invite.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    /// An agent's own softphone, wherever it registered.
    Agent { extension: String },
    /// A user behind a trunk of the configuration.
    Trunk {
        /// As it stood in the configuration when the call began.
        trunk: Arc<Trunk>,
        user: String,
        /// Its targets this leg has been sent to already.
        tried: Vec<Candidate>,
    },
}

/// An invitation as a call orders it.
#[derive(Debug)]
pub(crate) struct Invitation {
    pub(crate) parties: Parties,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ring_limit: Duration,
    /// Our offer, made once the address towards the callee is known.
    pub(crate) sdp: SdpMaker,
    /// As it was planned and written down.
    pub(crate) plan: Option<Plan>,
    /// After this moment it may not leave any more: another node may have taken over.
    pub(crate) not_after: Option<Instant>,
    /// Whether the call wants to hear how another process could end it ([`SipNotice::Described`]).
    pub(crate) described: bool,
}

/// Who is invited, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    pub(crate) callee: Callee,
    /// Display name and user of our `From`.
    pub(crate) display: String,
    pub(crate) user: String,
    /// `Call-ID` is this; it starts with the call's id, so that a log line joins both legs.
    pub(crate) call: String,
}

/// An INVITE that has its name and its way, and has not left yet.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) identity: sip::Identity,
    pub(crate) target: sip::Target,
    /// How another process could end it.
    pub(crate) described: String,
}

/// Makes the SDP offer for the local address that faces the callee.
pub(crate) struct SdpMaker(pub(crate) Box<dyn FnOnce(IpAddr) -> Vec<u8> + Send>);

impl std::fmt::Debug for SdpMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SdpMaker")
    }
}

/// An INVITE that came in; 100 Trying is already sent.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) leg: SipLeg,
    pub(crate) user: String,
    /// The registered agent who calls, proven by digest; `None` for a trunk.
    pub(crate) account: Option<String>,
    pub(crate) from_display: String,
    pub(crate) sdp: Option<Vec<u8>>,
    pub(crate) remote: IpAddr,
    /// Our address as the caller sees it, for the SDP answer.
    pub(crate) local: IpAddr,
    pub(crate) headers: sip::message::Headers,
}

/// An order to the driver.
pub(crate) enum Order {
    Invite { leg: SipLeg, sink: LegSink, invitation: Box<Invitation> },
    Plan { parties: Box<Parties>, reply: oneshot::Sender<Result<Plan, HangupCause>> },
    TakesCalls { trunk: String, reply: oneshot::Sender<bool> },
    EndOrphan { orphan: Box<sip::Orphan>, reply: oneshot::Sender<sip::OrphanEnd> },
    Adopt { leg: SipLeg, sink: LegSink },
    Ring { leg: SipLeg },
    Answer { leg: SipLeg, sdp: Vec<u8> },
    Accept { leg: SipLeg, sdp: Vec<u8> },
    Refuse { leg: SipLeg, status: u16 },
    Reoffer { leg: SipLeg, sdp: Vec<u8> },
    AnswerRefer { leg: SipLeg, status: u16 },
    NotifyRefer { leg: SipLeg, status: u16 },
    Refer { leg: SipLeg, to: String },
    HangUp { leg: SipLeg, cause: HangupCause },
    Ledger { reply: oneshot::Sender<DriverLedger> },
    Follow { rules: Box<Rules>, reply: oneshot::Sender<()> },
    TellPresence,
    Shutdown { done: oneshot::Sender<()> },
}

/// What the driver goes by besides its sockets; another configuration brings others.
pub(crate) struct Rules {
    pub(crate) trunks: Vec<Arc<Trunk>>,
    /// Who may register here.
    pub(crate) accounts: Vec<sip::endpoint::Account>,
    /// Of the trunks; the listeners' own stays.
    pub(crate) certificates: Certificates,
}

/// What the driver holds; zero when no call is up, registrations apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct DriverLedger {
    pub(crate) legs: usize,
    /// How each trunk is.
    pub(crate) trunks: Vec<report::TrunkReport>,
    pub(crate) endpoint: sip::endpoint::Ledger,
}

/// The driver as others see it.
#[derive(Clone)]
pub(crate) struct SipHandle {
    orders: mpsc::Sender<Order>,
    next: Arc<AtomicU64>,
}

impl SipHandle {
    pub(crate) fn new(orders: mpsc::Sender<Order>, next: Arc<AtomicU64>) -> Self {
        Self { orders, next }
    }

    fn order(&self, order: Order) -> bool {
        let taken = self.orders.try_send(order).is_ok();
        if !taken {
            metric::count(Metric::SipOrdersRefused);
        }
        taken
    }

    /// Invites; events go to `sink`. `None` when the driver is overloaded or gone.
    pub(crate) fn invite(&self, sink: LegSink, invitation: Invitation) -> Option<SipLeg> {
        let leg = SipLeg(self.next.fetch_add(1, Ordering::Relaxed));
        self.order(Order::Invite { leg, sink, invitation: Box::new(invitation) }).then_some(leg)
    }

    /// Names an INVITE and finds its way, so that it can be written down before it leaves.
    pub(crate) async fn plan(&self, parties: Parties) -> Result<Plan, HangupCause> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Plan { parties: Box::new(parties), reply });
        answer.await.unwrap_or(Err(HangupCause::Overload))
    }

    /// Whether a call would find a way through this trunk now. Without a driver nothing is known against it.
    pub(crate) async fn takes_calls(&self, trunk: &str) -> bool {
        let (reply, answer) = oneshot::channel();
        self.order(Order::TakesCalls { trunk: trunk.to_owned(), reply });
        tokio::time::timeout(TAKES_CALLS_LIMIT, answer).await.is_ok_and(|answer| answer.unwrap_or(true))
    }

    /// Ends a leg that a dead process left, and says what became of it.
    pub(crate) async fn end_orphan(&self, described: &str) -> sip::OrphanEnd {
        let Ok(orphan) = described.parse() else { return sip::OrphanEnd::Unknown };
        let (reply, answer) = oneshot::channel();
        self.order(Order::EndOrphan { orphan: Box::new(orphan), reply });
        answer.await.unwrap_or(sip::OrphanEnd::Unknown)
    }

    /// Takes an incoming leg into a call.
    pub(crate) fn adopt(&self, leg: SipLeg, sink: LegSink) -> bool {
        self.order(Order::Adopt { leg, sink })
    }

    /// 180 Ringing.
    pub(crate) fn ring(&self, leg: SipLeg) -> bool {
        self.order(Order::Ring { leg })
    }

    /// 200 OK with our answer.
    pub(crate) fn answer(&self, leg: SipLeg, sdp: Vec<u8>) -> bool {
        self.order(Order::Answer { leg, sdp })
    }

    /// 200 OK to a change of session.
    pub(crate) fn accept(&self, leg: SipLeg, sdp: Vec<u8>) -> bool {
        self.order(Order::Accept { leg, sdp })
    }

    /// Refuses a change of session; the session goes on as it was.
    pub(crate) fn refuse(&self, leg: SipLeg, status: u16) -> bool {
        self.order(Order::Refuse { leg, status })
    }

    /// Offers a changed session; `ReofferAnswered` or `ReofferFailed` follows.
    pub(crate) fn reoffer(&self, leg: SipLeg, sdp: Vec<u8>) -> bool {
        self.order(Order::Reoffer { leg, sdp })
    }

    /// Takes a REFER (202) or refuses it.
    pub(crate) fn answer_refer(&self, leg: SipLeg, status: u16) -> bool {
        self.order(Order::AnswerRefer { leg, status })
    }

    /// Says how the call a REFER asked for is going.
    pub(crate) fn notify_refer(&self, leg: SipLeg, status: u16) -> bool {
        self.order(Order::NotifyRefer { leg, status })
    }

    /// Asks the far end of a leg to call somebody else instead of us (REFER).
    pub(crate) fn refer(&self, leg: SipLeg, to: &str) -> bool {
        self.order(Order::Refer { leg, to: to.to_owned() })
    }

    /// CANCEL, BYE or a final answer, whichever the state of the leg asks for. Where there is no room for the order now,
    /// it waits: a leg whose end gets lost would stay for ever.
    pub(crate) fn hang_up(&self, leg: SipLeg, cause: HangupCause) -> bool {
        match self.orders.try_send(Order::HangUp { leg, cause }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(order)) => {
                metric::count(Metric::SipOrdersRefused);
                let orders = self.orders.clone();
                tokio::spawn(async move {
                    // A driver that ends meanwhile ends its legs itself.
                    let _ended = orders.send(order).await.is_err();
                });
                true
            }
        }
    }

    /// Goes by other rules from now on; false when there is no driver any more.
    pub(crate) async fn follow(&self, rules: Rules) -> bool {
        let (reply, done) = oneshot::channel();
        self.orders.send(Order::Follow { rules: Box::new(rules), reply }).await.is_ok() && done.await.is_ok()
    }

    /// Says of every registered phone once more that it is there.
    pub(crate) async fn tell_presence(&self) {
        let _gone = self.orders.send(Order::TellPresence).await.is_err();
    }

    /// What the driver holds now.
    pub(crate) async fn ledger(&self) -> Option<DriverLedger> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ledger { reply });
        answer.await.ok()
    }

    /// Unregisters from the trunks and ends the driver.
    pub(crate) async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Order::Shutdown { done }).await.is_ok() {
            let _ended_or_gone = ended.await;
        }
    }
}

/// The status we refuse or end a leg with (RFC 3261 §21, Q.850 by RFC 3326).
pub(crate) fn status_of(cause: HangupCause) -> u16 {
    match cause {
        HangupCause::Busy => 486,
        HangupCause::NoAnswer => 480,
        HangupCause::Refused => 603,
        HangupCause::NotFound => 404,
        HangupCause::NotAllowed => 403,
        HangupCause::IncompatibleMedia => 488,
        HangupCause::Unreachable | HangupCause::NoAgent => 480,
        HangupCause::Overload | HangupCause::Shutdown => 503,
        HangupCause::Cancelled => 487,
        HangupCause::Normal
        | HangupCause::MediaFailed
        | HangupCause::MediaLost
        | HangupCause::SocketLost
        | HangupCause::TooLong
        | HangupCause::Interrupted
        | HangupCause::Bug => 500,
    }
}

/// What a final answer means for the call.
pub(crate) fn cause_of(status: u16) -> HangupCause {
    match status {
        486 | 600 => HangupCause::Busy,
        480 => HangupCause::NoAnswer,
        408 => HangupCause::Unreachable,
        487 => HangupCause::Cancelled,
        603 | 607 | 608 | 403 => HangupCause::Refused,
        404 | 410 | 484 | 604 => HangupCause::NotFound,
        401 | 407 => HangupCause::NotAllowed,
        415 | 488 | 606 => HangupCause::IncompatibleMedia,
        500..=599 => HangupCause::Unreachable,
        _ => HangupCause::Refused,
    }
}
