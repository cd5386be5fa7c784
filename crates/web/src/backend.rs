//! What the edge asks of the gateway: one trait and the plain types that cross it. Nothing here knows JSON.

use std::borrow::Cow;
use std::{fmt, future::Future, net::IpAddr, pin::Pin};

use tokio::sync::{broadcast, mpsc};

use crate::callback::{
    CallbackAsk, CallbackMade, CallbackMove, CallbackOffer, CallbackView, HoldAsk, HoldView, SlotsAsk, SlotsView,
};
use crate::ladder::{LadderList, LadderQuery, LadderView};
use crate::sentence::{Lang, sentence};
use crate::staff::{QueueAsk, QueueDone, ReloadView, Staff, StaffAct, StaffAsk, StaffList, StaffQuery, StaffView};

/// A future in a box, so that [`Backend`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the gateway answers, later, or why not.
pub type Answered<'a, T> = BoxFuture<'a, Result<T, Refusal>>;

/// The gateway as the edge sees it.
///
/// The edge checks form, size, pace, origin and tokens; everything that needs judgement is asked here. No method
/// may block. The futures are always driven to their end, also when the page is gone meanwhile: then the session
/// they return is dropped at once, which closes its `requests` sender.
pub trait Backend: Send + Sync + 'static {
    /// Starts the call of a visitor whose token and origin are good. Answers when the browser leg has its answer.
    fn talk(&self, start: TalkStart) -> BoxFuture<'_, Result<TalkSession, Refusal>>;

    /// Logs an agent in. The password is checked here, in constant time.
    fn agent(&self, login: AgentLogin) -> BoxFuture<'_, Result<AgentSession, Refusal>>;

    /// Whether somebody would answer now. `None`: no such tenant or queue.
    fn availability(&self, tenant: &str, queue: &str) -> Option<Availability>;

    /// Whether and when this queue calls back.
    fn callback_offer(&self, tenant: &str, queue: &str) -> CallbackOffer;

    /// The slots a visitor may choose from.
    fn slots(&self, ask: SlotsAsk) -> BoxFuture<'_, Result<SlotsView, Refusal>>;

    /// Holds a seat for a while.
    fn hold_seat(&self, ask: HoldAsk) -> BoxFuture<'_, Result<HoldView, Refusal>>;

    /// Lets go of a seat that was held.
    fn release_seat(&self, hold: String) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Promises a call-back. When it answers, the promise is stored.
    fn ask_callback(&self, ask: CallbackAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>>;

    /// How a call-back stands, for whoever has its key.
    fn callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>>;

    /// Gives a call-back another time.
    fn move_callback(&self, id: String, key: String, to: CallbackMove) -> BoxFuture<'_, Result<CallbackView, Refusal>>;

    /// Calls a call-back off.
    fn cancel_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>>;

    /// Whoever has a call-back's key says that it was not he who asked: it is called off, and the number is not called again.
    fn disown_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>>;

    /// The name of the agent whose extension and password these are.
    fn agent_name(&self, login: AgentLogin) -> BoxFuture<'_, Result<String, Refusal>>;

    /// Whether this is the administrator's token, compared in constant time.
    fn is_admin(&self, token: &str) -> bool;

    /// The open call-backs that are somebody's to see, in the order in which they are called.
    fn staff_list(&self, who: Staff, query: StaffQuery) -> BoxFuture<'_, Result<StaffList, Refusal>>;

    /// One call-back.
    fn staff_show(&self, who: Staff, id: String) -> BoxFuture<'_, Result<StaffView, Refusal>>;

    /// Makes a call-back for a customer. When it answers, the promise is stored.
    fn staff_make(&self, who: Staff, ask: StaffAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>>;

    /// Does something to a call-back, and writes down who did and why.
    fn staff_act(&self, who: Staff, id: String, act: StaffAct, note: String) -> Answered<'_, StaffView>;

    /// Does something to a whole queue. Asked of an administrator alone.
    fn staff_queue(&self, who: Staff, ask: QueueAsk) -> BoxFuture<'_, Result<QueueDone, Refusal>>;

    /// The newest ladders. Asked of an administrator alone, as the two below.
    fn ladders(&self, query: LadderQuery) -> Answered<'_, LadderList>;

    /// One ladder: by the id of its call, the beginning of that, or a Call-ID.
    fn ladder(&self, name: String) -> Answered<'_, LadderView>;

    /// The messages that were refused last, each with its reason.
    fn refused_messages(&self) -> Answered<'_, LadderView>;

    /// Reads the configuration anew and goes by it, or only says what would change. Asked of an administrator alone.
    fn reload(&self, dry_run: bool) -> BoxFuture<'_, Result<ReloadView, Refusal>>;

    /// The ids of call-backs as they change.
    fn callback_changes(&self) -> broadcast::Receiver<String>;

    /// Whether this tenant lists this origin. `origin` is canonical (see [`crate::origin::Origins`]).
    fn origin_allowed(&self, tenant: &str, origin: &str) -> bool;

    /// Whether any tenant lists this origin. Answers CORS preflights, which do not say the tenant.
    fn origin_known(&self, origin: &str) -> bool;

    /// Whether this tenant has this queue.
    fn queue_exists(&self, tenant: &str, queue: &str) -> bool;

    /// Is the process alive: loops turning, media probe heard.
    fn healthz(&self) -> Health;

    /// Should new calls be sent here: store open, trunks up, not draining.
    fn readyz(&self) -> Health;

    /// All metrics in the Prometheus text format.
    fn metrics(&self) -> String;

    /// Something worth counting happened at the edge.
    fn count(&self, counter: WebCounter);
}

/// A visitor's request to talk, checked in form. Text from the page is bounded here and cleaned by `CallTags`.
#[derive(Clone, Debug)]
pub struct TalkStart {
    /// The tenant in the token.
    pub tenant: String,
    /// The queue in the token: it alone decides who rings.
    pub queue: String,
    /// The page's origin, canonical.
    pub origin: String,
    /// Where the visitor connects from, behind trusted proxies.
    pub source: IpAddr,
    /// What the page says about itself.
    pub session: SessionInfo,
    /// The browser's SDP offer.
    pub offer: String,
}

/// The visitor's web session as the page tells it. Untrusted; each text is cut at its limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionInfo {
    /// The site's own session id.
    pub id: String,
    /// Address of the page the visitor clicked on.
    pub page_url: String,
    /// Title of that page.
    pub page_title: String,
    /// Where the visitor came from.
    pub referrer: Option<String>,
    /// Language tag of the page, such as `fr-FR`.
    pub lang: String,
}

/// A call that has begun.
#[derive(Debug)]
pub struct TalkSession {
    /// The call's id.
    pub call: String,
    /// The SDP answer for the browser.
    pub answer: String,
    /// What the page asks. A dropped sender means that the socket is lost.
    pub requests: mpsc::Sender<VisitorRequest>,
    /// What the page is told. After [`VisitorUpdate::Ended`] nothing more is read.
    pub updates: mpsc::Receiver<VisitorUpdate>,
}

/// What a visitor's page asks during a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VisitorRequest {
    /// A new SDP offer: ICE restart, hold.
    Reoffer(String),
    /// Keys pressed where the browser cannot send telephone-event. Only `0-9 * # A-D`.
    Digits(String),
    /// The microphone was switched off (`true`) or on.
    Mute(bool),
    /// The visitor is on another page now.
    Page {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
    },
    /// The visitor hangs up. [`VisitorUpdate::Ended`] is expected.
    Bye,
}

/// What a visitor's page is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VisitorUpdate {
    /// The answer to [`VisitorRequest::Reoffer`].
    Reanswer(String),
    /// The call moved on.
    State {
        /// To this state.
        state: VisitorState,
        /// First name of the agent, once known.
        agent: Option<String>,
    },
    /// The far side pressed a key.
    Digit(char),
    /// Something asked was refused; the call goes on.
    Refused(Refusal),
    /// The call is over; the edge adds the sentence in the visitor's language and closes the socket.
    Ended {
        /// Code of the cause, such as `busy`.
        code: &'static str,
        /// Seconds the two sides could talk.
        talk_s: u64,
    },
}

/// Where a visitor's call stands, in the words of the protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VisitorState {
    /// The browser's media is being set up.
    Connecting,
    /// An agent's phone rings.
    Ringing,
    /// Both sides hear each other.
    Talking,
    /// The agent put the visitor on hold.
    Held,
}

/// An agent at the login form.
#[derive(Clone)]
pub struct AgentLogin {
    /// Extension, such as `1001`.
    pub extension: String,
    /// The password as typed.
    pub password: String,
    /// Where the agent connects from, behind trusted proxies.
    pub source: IpAddr,
}

impl fmt::Debug for AgentLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentLogin").field("extension", &self.extension).finish_non_exhaustive()
    }
}

/// An agent who is logged in.
#[derive(Debug)]
pub struct AgentSession {
    /// The agent's name, shown to him and to visitors.
    pub name: String,
    /// What the agent asks. A dropped sender means that the console is gone: no longer ready, his calls end.
    pub requests: mpsc::Sender<AgentRequest>,
    /// What the console is told. The first update should be [`AgentUpdate::Live`].
    pub updates: mpsc::Receiver<AgentUpdate>,
}

/// What an agent's console asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AgentRequest {
    /// Calls may (or may no longer) ring here, in the browser.
    Ready(bool),
    /// Take the ringing call with this SDP offer.
    Answer {
        /// The call.
        call: String,
        /// The browser's SDP offer, complete with candidates.
        offer: String,
    },
    /// Not me: ring the next agent.
    Decline {
        /// The call.
        call: String,
    },
    /// Hang up.
    Bye {
        /// The call.
        call: String,
    },
}

/// What an agent's console is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AgentUpdate {
    /// All live calls this agent may see, on every change.
    Live(Vec<CallCard>),
    /// A call rings at this agent.
    Ring(CallCard),
    /// The SDP answer to [`AgentRequest::Answer`].
    Media {
        /// The call.
        call: String,
        /// The answer.
        sdp: String,
    },
    /// The visitor pressed a key.
    Digit {
        /// The call.
        call: String,
        /// The key.
        digit: char,
    },
    /// Whether calls ring in this browser now, as the desk sees it.
    Ready(bool),
    /// He did not take two calls in a row and is rung no more (`true`), or is back.
    Away(bool),
    /// Something asked was refused (answered elsewhere, no such call); the console stays open.
    Refused {
        /// About this call, if any.
        call: Option<String>,
        /// Why.
        refusal: Refusal,
    },
    /// A call that rang or was taken here is over; the edge adds the sentence.
    Ended {
        /// The call.
        call: String,
        /// Code of the cause, such as `normal`.
        code: &'static str,
    },
}

/// One live call as an agent sees it. Text comes from the visitor's page: show it as text only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallCard {
    /// The call's id.
    pub call: String,
    /// Where it stands.
    pub state: CardState,
    /// Whose site.
    pub tenant: String,
    /// Which queue.
    pub queue: String,
    /// Address of the page the visitor is on.
    pub page_url: String,
    /// Title of that page.
    pub page_title: String,
    /// Where the visitor came from.
    pub referrer: Option<String>,
    /// The site's session id.
    pub session: String,
    /// Language tag of the visitor's page.
    pub lang: String,
    /// When this state began, milliseconds since 1970.
    pub since_unix_ms: u64,
    /// Who was rung or talks.
    pub agent: Option<String>,
}

/// Where a live call stands, in the words of the protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CardState {
    /// Being set up.
    Connecting,
    /// An agent's phone rings.
    Ringing,
    /// Both sides hear each other.
    Talking,
    /// On hold.
    Held,
    /// The visitor's connection is lost and may come back.
    Reattaching,
    /// Being torn down.
    Ending,
}

/// Whether somebody would answer now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Availability {
    /// The button may offer to talk.
    pub talk_now: bool,
    /// Else why not: one of [`Availability::REASONS`].
    pub reason: Option<&'static str>,
}

impl Availability {
    /// Every reason there is.
    pub const REASONS: &'static [&'static str] = &["closed", "no-agent", "too-many-calls"];
}

/// Health of the process, for an orchestrator and for a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// All in order.
    pub ok: bool,
    /// Each part that was looked at.
    pub checks: Vec<HealthCheck>,
}

/// One part of [`Health`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// Which part, such as `store` or `trunk pbx`.
    pub name: Cow<'static, str>,
    /// In order.
    pub ok: bool,
    /// A word for the operator.
    pub detail: String,
}

/// A polite no: a code for programs, a status for HTTP, a sentence for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Kebab-case code, one of those in `sentence.rs`.
    pub code: &'static str,
    /// HTTP status where one is sent.
    pub status: u16,
    /// When trying again makes sense.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    /// A refusal with the sentence that `sentence.rs` has for the code.
    pub const fn new(code: &'static str, status: u16) -> Self {
        Self { code, status, retry_after_s: None }
    }

    /// The same, saying when to try again.
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// What to tell a person.
    pub fn sentence(&self, lang: Lang) -> &'static str {
        sentence(self.code, lang)
    }
}

/// Which door of the edge something happened at.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Door {
    /// `POST /v1/token`.
    Token,
    /// `GET /v1/availability`.
    Availability,
    /// WebSocket `/v1/talk`.
    Talk,
    /// WebSocket `/v1/agent`.
    Agent,
    /// `/v1/callbacks` and `/v1/slots`.
    Callback,
    /// The same for agents and administrators, and `/v1/queues`.
    Staff,
    /// Pages, scripts and everything else.
    Page,
}

impl Door {
    /// The name as a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Availability => "availability",
            Self::Talk => "talk",
            Self::Agent => "agent",
            Self::Callback => "callback",
            Self::Staff => "staff",
            Self::Page => "page",
        }
    }
}

/// What the edge counts. Labels are bounded: codes come from the source, never from the network.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum WebCounter {
    /// A token was handed out.
    TokenIssued,
    /// A WebSocket was opened.
    SocketOpened(Door),
    /// A WebSocket is gone; each `SocketOpened` has exactly one.
    SocketClosed(Door),
    /// A visitor's call or an agent's session began.
    SessionStarted(Door),
    /// Something was refused, by code.
    Refused(Door, &'static str),
}
