//! The HTTP and WebSocket edge: widget, consoles, API.
//!
//! The edge checks form, size, pace, origin and tokens, and speaks JSON; who rings whom is asked of a [`Backend`].

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state, routing::get};

use crate::edge::Edge;

mod agent;
mod api;
mod assets;
pub mod backend;
pub mod callback;
mod edge;
mod guard;
mod ladder;
mod line;
mod openapi;
pub mod origin;
mod proof;
pub mod protocol;
pub mod refusal;
mod routes;
pub mod sentence;
mod serve;
mod source;
pub mod staff;
mod talk;
mod throttle;
mod token;

pub use backend::{
    AgentLogin, AgentRequest, AgentSession, AgentUpdate, Availability, Backend, BoxFuture, CallCard, CardState, Door,
    Health, HealthCheck, Refusal, SessionInfo, TalkSession, TalkStart, VisitorRequest, VisitorState, VisitorUpdate,
    WebCounter,
};
pub use callback::{
    AttemptView, CallbackAsk, CallbackMade, CallbackMove, CallbackOffer, CallbackView, HoldAsk, HoldBy, HoldView,
    SlotView, SlotsAsk, SlotsView, WaitView,
};
pub use callback::{Invitation, calendar_entry};
pub use ladder::{LadderCard, LadderLeg, LadderList, LadderMessage, LadderQuery, LadderRow, LadderView};
pub use proof::ProofDemand;
pub use sentence::{Lang, sentence};
pub use serve::serve;
pub use staff::{
    AgentName, NoteView, QueueAct, QueueAsk, QueueDone, QueueView, ReloadOutcome, ReloadView, Staff, StaffAct,
    StaffAsk, StaffList, StaffQuery, StaffView,
};

/// Where the edge takes its time from: the gateway's one clock, or a test's.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time.
    fn now(&self) -> Instant;
    /// Milliseconds since 1970.
    fn unix_ms(&self) -> u64;
}

/// How the edge is set up. Tenants and their origins come from the [`Backend`].
#[derive(Clone)]
pub struct WebConfig {
    /// Serve the demo shop under `/`.
    pub demo: bool,
    /// Origin of our own pages as browsers see it (`https://voice.shop.example`); the agent console may connect
    /// from there, and from whatever host it was itself loaded from.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpAddr>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Sizes, paces and times allowed.
    pub limits: WebLimits,
}

/// What the edge allows. Every default fits a busy site; tests make them small.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebLimits {
    /// Largest request body and WebSocket message. Default 64 kB.
    pub message_bytes: usize,
    /// WebSocket messages a second, sustained. Default 20.
    pub messages_per_s: u32,
    /// WebSocket messages at once. Default 40.
    pub message_burst: u32,
    /// The first message must come within this. Default 10 s.
    pub hello_limit: Duration,
    /// A ping goes out after this. Default 10 s.
    pub ping_every: Duration,
    /// A socket that said nothing for this long is dead. Default 25 s.
    pub silence_limit: Duration,
    /// A message must be taken by the socket, or by the call, within this. Default 5 s.
    pub send_limit: Duration,
    /// After a visitor's `bye` the end must be confirmed within this. Default 35 s: the call's own end limit and a bit.
    pub bye_limit: Duration,
    /// A plain request must be answered within this, and a call or an agent's session begun. Default 10 s.
    pub request_limit: Duration,
    /// The headers of a request must be complete within this; also how long an idle connection is kept. Default 10 s.
    pub header_limit: Duration,
    /// Connections with a plain request, or none, in all. Default 4,096.
    pub connections: usize,
    /// The same from one address that is not a trusted proxy. Default 256.
    pub connections_per_source: usize,
    /// How long a token lives. Default 3 minutes.
    pub token_life: Duration,
    /// Unused tokens in all. Default 20,000.
    pub tokens: usize,
    /// Unused tokens for one address (one /64 in IPv6). Default 100.
    pub tokens_per_source: usize,
    /// WebSockets in all. Default 10,000.
    pub sockets: usize,
    /// WebSockets of one address that have not said a good hello yet. Default 30.
    pub strangers_per_source: usize,
    /// Wrong passwords from one address within `login_window`. Default 10.
    pub login_failures: usize,
    /// See `login_failures`. Default 5 minutes.
    pub login_window: Duration,
    /// Call-backs asked for from one address within `callback_window`, refused ones too. Default 20.
    pub callback_asks: usize,
    /// See `callback_asks`. Default an hour.
    pub callback_window: Duration,
    /// When a page has to work before it may ask for a call-back. Default when it, or its site, asks more than usual.
    pub proof: ProofDemand,
    /// More than usual: an address that has asked so often within `callback_window`. Default 5.
    pub free_asks: usize,
    /// More than usual: a tenant that was asked so often within `busy_window`. Default 30.
    pub busy_asks: usize,
    /// See `busy_asks`. Default 10 minutes.
    pub busy_window: Duration,
    /// A riddle's number is at most this; half as many are tried. Default 300,000: a third of a second, a telephone two.
    pub proof_numbers: u32,
    /// How long a riddle lives. Default 5 minutes.
    pub proof_life: Duration,
    /// Solved riddles remembered, so that each is good once; beyond it none is taken. Default 20,000.
    pub proofs: usize,
    /// Seats held from one address within `hold_window`, refused ones too. Default 120.
    pub slot_holds: usize,
    /// See `slot_holds`. Default 10 minutes.
    pub hold_window: Duration,
    /// Status pages of one address that follow a call-back. Default 16.
    pub followers_per_source: usize,
    /// So long a status page is followed in one piece; then it connects again. Default 5 minutes.
    pub follow_limit: Duration,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            message_bytes: 65_536,
            messages_per_s: 20,
            message_burst: 40,
            hello_limit: Duration::from_secs(10),
            ping_every: Duration::from_secs(10),
            silence_limit: Duration::from_secs(25),
            send_limit: Duration::from_secs(5),
            bye_limit: Duration::from_secs(35),
            request_limit: Duration::from_secs(10),
            header_limit: Duration::from_secs(10),
            connections: 4_096,
            connections_per_source: 256,
            token_life: Duration::from_secs(180),
            tokens: 20_000,
            tokens_per_source: 100,
            sockets: 10_000,
            strangers_per_source: 30,
            login_failures: 10,
            login_window: Duration::from_secs(300),
            callback_asks: 20,
            slot_holds: 120,
            hold_window: Duration::from_secs(600),
            callback_window: Duration::from_secs(3_600),
            proof: ProofDemand::Busy,
            free_asks: 5,
            busy_asks: 30,
            busy_window: Duration::from_secs(600),
            proof_numbers: 300_000,
            proof_life: Duration::from_secs(300),
            proofs: 20_000,
            followers_per_source: 16,
            follow_limit: Duration::from_secs(300),
        }
    }
}

impl WebLimits {
    /// Fits the edge's budgets for one address to the calls that the desk lets it ask for in a minute, so that an
    /// operator has one number to set. Call after `token_life` is set.
    #[must_use]
    pub fn for_talks_per_minute(mut self, talks: usize) -> Self {
        let minutes = usize::try_from(self.token_life.as_secs().div_ceil(60)).unwrap_or(1);
        // Twice as many tokens as calls: a token is spent also on a microphone that was then refused.
        self.tokens_per_source = talks.saturating_mul(2 * minutes).max(20);
        self.tokens = self.tokens.max(self.tokens_per_source);
        self.strangers_per_source = self.strangers_per_source.max(talks);
        self.connections_per_source = self.connections_per_source.max(talks.saturating_mul(2));
        self
    }
}

/// The whole edge as one router.
///
/// Serve it with [`serve()`], or at least with connection info: a visitor without an address is refused.
pub fn router(config: WebConfig, backend: Arc<dyn Backend>) -> Router {
    let body_limit = DefaultBodyLimit::max(config.limits.message_bytes);
    let edge = Arc::new(Edge::new(config, backend));
    let api = routes::table().into_iter();
    api.fold(Router::new(), |router, route| router.route(route.path, route.answered))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/metrics", get(api::metrics))
        .fallback(assets::serve)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(body_limit)
        .layer(from_fn_with_state(Arc::clone(&edge), guard::guard))
        .with_state(edge)
}

#[cfg(test)]
mod tests;
