//! What all handlers share: the backend, the budgets, and one way of saying no.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Backend, Door, Lang, Refusal, WebConfig, WebCounter,
    origin::Origin,
    proof::{BadProof, Challenge, ProofDemand, Proofs},
    refusal::{self, VERIFICATION_NEEDED},
    source::{SourceKey, source},
    staff::bearers::Bearers,
    throttle::{Failures, Pace, Strangers},
    token::Tokens,
};

/// The state of the edge.
pub(crate) struct Edge {
    pub(crate) config: WebConfig,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) strangers: Strangers,
    /// Status pages that follow their call-back.
    pub(crate) followers: Strangers,
    pub(crate) follower_places: Arc<Semaphore>,
    asks: Mutex<Failures>,
    tenant_asks: Mutex<Pace>,
    proofs: Mutex<Proofs>,
    holds: Mutex<Failures>,
    tokens: Mutex<Tokens>,
    failures: Mutex<Failures>,
    bearers: Mutex<Bearers>,
    sockets: Arc<Semaphore>,
    own_origin: Option<Origin>,
}

impl Edge {
    pub(crate) fn new(config: WebConfig, backend: Arc<dyn Backend>) -> Self {
        let limits = &config.limits;
        Self {
            strangers: Strangers::default(),
            followers: Strangers::default(),
            // Each holds a connection; the others need some too.
            follower_places: Arc::new(Semaphore::new(limits.connections / 4)),
            asks: Mutex::new(Failures::new(limits.callback_asks, limits.callback_window)),
            tenant_asks: Mutex::new(Pace::new(limits.busy_window)),
            proofs: Mutex::new(Proofs::new(ms(limits.proof_life), limits.proofs, limits.proof_numbers)),
            holds: Mutex::new(Failures::new(limits.slot_holds, limits.hold_window)),
            tokens: Mutex::new(Tokens::new(limits.token_life, limits.tokens, limits.tokens_per_source)),
            failures: Mutex::new(Failures::new(limits.login_failures, limits.login_window)),
            bearers: Mutex::default(),
            sockets: Arc::new(Semaphore::new(limits.sockets)),
            own_origin: config.public_url.as_deref().and_then(Origin::from_config),
            config,
            backend,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.config.clock.now()
    }

    /// Held for a few instructions, never across an await.
    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for a few instructions, never across an await.
    pub(crate) fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for a few instructions, never across an await.
    pub(crate) fn bearers(&self) -> MutexGuard<'_, Bearers> {
        self.bearers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this address may ask for one more call-back.
    pub(crate) fn may_ask(&self, source: SourceKey) -> bool {
        !self.asks.lock().unwrap_or_else(PoisonError::into_inner).is_blocked(source, self.now())
    }

    /// It has asked, of this tenant if its token was good.
    pub(crate) fn note_ask(&self, source: SourceKey, tenant: Option<&str>) {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).note(source, self.now());
        if let Some(tenant) = tenant {
            self.tenant_asks.lock().unwrap_or_else(PoisonError::into_inner).note(tenant, self.now());
        }
    }

    /// Whether whoever asks has worked for it, where that is demanded.
    pub(crate) fn check_proof(&self, source: SourceKey, tenant: &str, proof: Option<&str>) -> Result<(), Refusal> {
        let (limits, now) = (&self.config.limits, self.now());
        let demanded = match limits.proof {
            ProofDemand::Off => false,
            ProofDemand::Always => true,
            ProofDemand::Busy => {
                let asked = self.asks.lock().unwrap_or_else(PoisonError::into_inner).count(source, now);
                let pace = self.tenant_asks.lock().unwrap_or_else(PoisonError::into_inner).count(tenant, now);
                asked >= limits.free_asks || pace >= limits.busy_asks
            }
        };
        if !demanded {
            return Ok(());
        }
        let taken =
            proof.ok_or(BadProof::Form).and_then(|proof| self.proofs().take(proof, self.config.clock.unix_ms()));
        taken.map_err(|why| {
            tracing::debug!(?why, "a proof of work is missing, or not good");
            if why == BadProof::Full { refusal::MEMORY_FULL } else { VERIFICATION_NEEDED }
        })
    }

    /// A riddle for a page.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        self.proofs().challenge(self.config.clock.unix_ms())
    }

    /// Held for a few instructions, never across an await.
    fn proofs(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the page to solve the riddle that comes with the answer.
    pub(crate) fn refuse_until_proven(&self, door: Door, lang: Lang) -> Response {
        self.note_refusal(door, VERIFICATION_NEEDED.code);
        problem_with(&VERIFICATION_NEEDED, lang, self.challenge())
    }

    /// Whether this address may hold one more seat; each time it asks counts.
    pub(crate) fn may_hold(&self, source: SourceKey) -> bool {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let may = !holds.is_blocked(source, self.now());
        holds.note(source, self.now());
        may
    }

    /// Whether a page of this very gateway asks.
    pub(crate) fn is_own(&self, origin: &Origin, host: Option<&str>) -> bool {
        self.own_origin.as_ref() == Some(origin) || host.is_some_and(|host| origin.is_host(host))
    }

    /// Counts and logs a refusal.
    pub(crate) fn note_refusal(&self, door: Door, code: &'static str) {
        tracing::debug!(door = door.label(), code, "refused");
        self.backend.count(WebCounter::Refused(door, code));
    }

    /// Counts, logs and answers a refusal.
    pub(crate) fn refuse(&self, door: Door, refusal: Refusal, lang: Lang) -> Response {
        self.note_refusal(door, refusal.code);
        problem(&refusal, lang)
    }

    /// A place for one more WebSocket.
    pub(crate) fn admit_socket(self: &Arc<Self>, door: Door) -> Option<SocketGuard> {
        let permit = Arc::clone(&self.sockets).try_acquire_owned().ok()?;
        self.backend.count(WebCounter::SocketOpened(door));
        Some(SocketGuard { edge: Arc::clone(self), door, _permit: permit })
    }
}

/// One open WebSocket in the ledger; dropping it closes the entry, whatever ended the socket.
pub(crate) struct SocketGuard {
    edge: Arc<Edge>,
    door: Door,
    _permit: OwnedSemaphorePermit,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.edge.backend.count(WebCounter::SocketClosed(self.door));
    }
}

/// A refusal (RFC 9457). The type is `about:blank`, so the title is that of the status (§4.2.1).
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Says nothing that `code` does not say.
    #[serde(rename = "type")]
    #[schemars(extend("const" = "about:blank"))]
    kind: &'static str,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// Why, for programs. It does not change between versions.
    code: &'static str,
    /// The name of the status, in English.
    title: &'static str,
    /// Why and what to do, for people, in French or English.
    sentence: &'static str,
    /// With `verification_needed`: what to solve first.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<Challenge>,
}

/// A refusal as an HTTP answer.
pub(crate) fn problem(refusal: &Refusal, lang: Lang) -> Response {
    problem_with(refusal, lang, None)
}

fn problem_with(refusal: &Refusal, lang: Lang, challenge: Option<Challenge>) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Problem {
        kind: "about:blank",
        status: status.as_u16(),
        code: refusal.code,
        title: status.canonical_reason().unwrap_or("Error"),
        sentence: refusal.sentence(lang),
        challenge,
    };
    let mut response = (status, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.tag()));
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Who asks: address, origin, language.
pub(crate) struct Caller {
    pub(crate) source: std::net::IpAddr,
    pub(crate) key: SourceKey,
    pub(crate) origin: Asked,
    pub(crate) host: Option<String>,
    pub(crate) lang: Lang,
}

/// The `Origin` header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// None: not a browser, or a same-origin GET.
    Missing,
    /// `null`, doubled, or in no form a browser writes.
    Bad,
    /// A canonical origin, not yet known to be allowed.
    From(Origin),
}

impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Response> {
        let lang = lang_of(&parts.headers);
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            tracing::error!("the router is served without connection info");
            return Err(edge.refuse(Door::Page, refusal::BUG, lang));
        };
        let source = source(peer.ip(), &forwarded(&parts.headers), &edge.config.trusted_proxies);
        Ok(Self {
            source,
            key: SourceKey::of(source),
            origin: asked(&parts.headers),
            host: header_text(&parts.headers, "host").map(str::to_owned),
            lang,
        })
    }
}

/// The language a browser prefers.
pub(crate) fn lang_of(headers: &HeaderMap) -> Lang {
    Lang::of(header_text(headers, "accept-language").unwrap_or_default())
}

/// The one `Origin` header, if it is one.
pub(crate) fn asked(headers: &HeaderMap) -> Asked {
    let mut all = headers.get_all(header::ORIGIN).iter();
    match (all.next(), all.next()) {
        (None, _) => Asked::Missing,
        (Some(value), None) => value.to_str().ok().and_then(Origin::from_header).map_or(Asked::Bad, Asked::From),
        (Some(_), Some(_)) => Asked::Bad,
    }
}

/// All of `X-Forwarded-For`: some proxies add a line of their own below what the client wrote.
fn forwarded(headers: &HeaderMap) -> String {
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default()).collect();
    lines.join(",")
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
