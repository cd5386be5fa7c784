//! Calls: what an INVITE started, until both sides know that it is over (RFC 3261 §13 to §15).
//!
//! ```text
//! caller  Calling ─1xx─► Proceeding ─2xx─► Up ─hang_up─► Ending ─► gone
//!            └──────┬────────┘  └─3xx-6xx──► gone (Failed)
//!              hang_up, ring limit
//!                   └────► Cancelling ─487─► gone;  ─2xx─► ACK, BYE: Ending (the race of §9.1)
//!
//! callee  Offered ─answer─► Answered ─ACK─► Up ─hang_up─► Ending ─► gone
//!            └─reject, CANCEL─► gone    └─no ACK for 64×T1: BYE─► Ending
//! ```
//! A BYE from the far end leads from anywhere to gone. Whatever leaves the table reports `Ended` or `Failed`
//! once, in `Endpoint::finish` or `Endpoint::fail`, and nowhere else.

pub(crate) mod callee;
pub(crate) mod caller;
pub(crate) mod change;
pub(crate) mod ending;
pub(crate) mod refer;
pub(crate) mod reliable;
pub(crate) mod reoffer;
pub(crate) mod session;
pub(crate) mod transfer;

use std::time::{Duration, Instant};

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::endpoint::layer::{ClientId, ServerId};
use crate::endpoint::{EndedBy, Extensions, Flow, Transmit};
use crate::error::Reason;
use crate::invite::refer::Asking;
use crate::invite::reliable::{Early, Provisional};
use crate::invite::session::Session;
use crate::invite::transfer::Referral;
use crate::message::{Method, Request};

/// Early dialogs of one forked INVITE.
pub(crate) const MAX_EARLY: usize = 16;

/// Where a call stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Caller: INVITE is out, nothing came back.
    Calling,
    /// Caller: a provisional came.
    Proceeding,
    /// Caller: we want out and wait for the final response.
    Cancelling,
    /// Callee: the application has not answered yet.
    Offered,
    /// Callee: 2xx is out, its ACK is not in.
    Answered,
    /// Both sides know.
    Up,
    /// BYE is out, its answer is not in.
    Ending,
}

/// Which side sent the first INVITE: it owns the Call-ID (§14.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Caller,
    Callee,
}

/// How a call will be reported once it is over.
#[derive(Clone, Debug)]
pub(crate) struct Farewell {
    pub(crate) by: EndedBy,
    pub(crate) reason: Option<Reason>,
    pub(crate) q850: Option<u8>,
}

impl Farewell {
    pub(crate) fn by(by: EndedBy) -> Self {
        Self { by, reason: None, q850: None }
    }
}

/// A 2xx to an INVITE that waits for its ACK (§13.3.1.4).
#[derive(Clone, Debug)]
pub(crate) struct Unconfirmed {
    pub(crate) cseq: u32,
    pub(crate) sent: Transmit,
    pub(crate) gap: Duration,
    /// The first INVITE of the call, not a later one.
    pub(crate) first: bool,
}

/// A change of the session that we ask for.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// INVITE or UPDATE.
    pub(crate) method: Method,
    /// The offer.
    pub(crate) body: Vec<u8>,
    /// Times a 491, or a 500 with a pause, sent us back.
    pub(crate) glares: u8,
    /// It changes nothing: the endpoint itself keeps the session alive, and the application does not wait for it.
    pub(crate) refresh: bool,
}

/// The offer that is on its way, if any. There is at most one (RFC 3264 §4).
#[derive(Clone, Debug)]
pub(crate) enum Offer {
    /// None.
    Idle,
    /// Our re-INVITE or UPDATE waits for its final response.
    Ours { client: ClientId, change: Change },
    /// Their re-INVITE, UPDATE or PRACK waits for the application.
    Theirs { server: ServerId, method: Method },
}

impl Offer {
    /// It is ours, and this request carries it.
    pub(crate) fn is_ours(&self, request: ClientId) -> bool {
        matches!(self, Self::Ours { client, .. } if *client == request)
    }
}

/// Requests taken within one call in [`BUDGET_SPAN`], BYE apart: re-INVITE, UPDATE, PRACK, INFO. A hand on the keypad and
/// a nervous PBX stay far below.
const BUDGET: u16 = 100;
const BUDGET_SPAN: Duration = Duration::from_secs(10);

/// How many requests of the far end a call has taken of late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    since: Instant,
    used: u16,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, used: 0 }
    }

    /// Takes one; `false` when there is none left.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= BUDGET_SPAN {
            *self = Self::new(now);
        }
        self.used = self.used.saturating_add(1);
        self.used <= BUDGET
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    /// The dialog: a callee's from the start, a caller's from the 2xx.
    pub(crate) dialog: Option<Dialog>,
    /// Caller: dialogs of provisional responses, by fork.
    pub(crate) early: Vec<Early>,
    /// Caller: the INVITE to be sent again with credentials; without Via.
    pub(crate) invite: Option<Request>,
    /// Caller: the INVITE transaction.
    pub(crate) client: Option<ClientId>,
    /// Callee: the INVITE transaction.
    pub(crate) server: Option<ServerId>,
    /// Caller: the far end has said something, were it 100.
    pub(crate) heard: bool,
    /// The path of the first INVITE.
    pub(crate) flow: Flow,
    pub(crate) pinned: bool,
    pub(crate) credentials: Option<Credentials>,
    /// Challenges answered so far, of whatever request.
    pub(crate) challenges: u8,
    pub(crate) cancel_sent: bool,
    pub(crate) unconfirmed: Option<Unconfirmed>,
    pub(crate) offer: Offer,
    /// Our offer that met theirs and waits for its turn (§14.1).
    pub(crate) waiting: Option<Change>,
    /// What this side has described itself as last, for a refresh that says it again.
    pub(crate) local_sdp: Vec<u8>,
    /// What was asked of the far end, or is granted to it.
    pub(crate) extensions: Extensions,
    pub(crate) session: Session,
    /// Our UPDATE without an offer waits for its answer.
    pub(crate) refreshing: Option<ClientId>,
    /// Callee: reliable provisional answers.
    pub(crate) provisional: Provisional,
    /// Caller: reliable provisional answers acknowledged.
    pub(crate) pracks: u16,
    /// What its REFER has come to.
    pub(crate) referral: Referral,
    pub(crate) asking: Asking,
    /// Requests the far end may still send within the call.
    pub(crate) budget: Budget,
    /// The far end's Allow names UPDATE.
    pub(crate) peer_updates: bool,
    /// How the end will be told; set when the end is decided and its messages are still on their way.
    pub(crate) farewell: Option<Farewell>,
    /// Caller: from this moment on the INVITE is not sent any more.
    pub(crate) not_after: Option<Instant>,
    /// Caller: the ring limit passed.
    pub(crate) ring_limit_passed: bool,
    /// Its end has been reported already, for the far end never said a word; only its messages are still on
    /// their way.
    pub(crate) reported: bool,
}

impl Call {
    /// A call of which nothing is known but who started it, its names, its path and its rule.
    fn new(
        role: Role,
        (call_id, local_tag): (String, String),
        (flow, pinned): (Flow, bool),
        extensions: Extensions,
        now: Instant,
    ) -> Self {
        let state = match role {
            Role::Caller => State::Calling,
            Role::Callee => State::Offered,
        };
        Self {
            role,
            state,
            call_id,
            local_tag,
            dialog: None,
            early: Vec::new(),
            invite: None,
            client: None,
            server: None,
            heard: false,
            flow,
            pinned,
            credentials: None,
            challenges: 0,
            cancel_sent: false,
            unconfirmed: None,
            offer: Offer::Idle,
            waiting: None,
            local_sdp: Vec::new(),
            extensions,
            session: Session::new(extensions.session),
            refreshing: None,
            provisional: Provisional::default(),
            pracks: 0,
            referral: Referral::default(),
            asking: Asking::default(),
            budget: Budget::new(now),
            peer_updates: false,
            farewell: None,
            not_after: None,
            ring_limit_passed: false,
            reported: false,
        }
    }

    /// Whether a dialog of this call has this remote tag.
    pub(crate) fn has_remote_tag(&self, tag: &str) -> bool {
        match &self.dialog {
            Some(dialog) => dialog.remote_tag() == tag,
            None => self.early.iter().any(|early| early.dialog.remote_tag() == tag),
        }
    }

    /// The dialog with this remote tag.
    pub(crate) fn dialog_mut(&mut self, tag: &str) -> Option<&mut Dialog> {
        match &mut self.dialog {
            Some(dialog) => Some(dialog),
            None => self.early.iter_mut().map(|early| &mut early.dialog).find(|dialog| dialog.remote_tag() == tag),
        }
    }

    /// How many dialogs it holds.
    pub(crate) fn dialogs(&self) -> usize {
        usize::from(self.dialog.is_some()) + self.early.len()
    }

    /// Whether the session may be changed now.
    pub(crate) fn is_settled(&self) -> bool {
        self.state == State::Up
            && self.unconfirmed.is_none()
            && self.waiting.is_none()
            && matches!(self.offer, Offer::Idle)
    }
}
