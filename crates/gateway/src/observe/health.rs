//! Health: each worker is probed with a packet, the store with a write, the SIP driver with a question.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::Home;
use tokio::net::UdpSocket;
use tracing::{info, warn};
use web::backend::{Health, HealthCheck};

use crate::clock;
use crate::drive::media::MediaHandle;
use crate::drive::sip::report::TrunkReport;
use crate::drive::sip::{DriverLedger, SipHandle};
use crate::observe::metric::{self, Metric};

/// Time between two rounds of probes.
const EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// The store writes to a disk, which may be busy for a moment. With all limits reached a round still ends before `STALE`.
const STORE_LIMIT: Duration = Duration::from_secs(3);
/// A result older than this counts as bad: the prober itself hangs.
const STALE: Duration = Duration::from_secs(10);

/// One result: when, good or not, in words.
type Checked = (Instant, bool, String);

/// The latest results, shared by the prober and the HTTP edge.
#[derive(Clone, Default)]
pub(crate) struct HealthBoard {
    checks: Arc<Mutex<BTreeMap<&'static str, Checked>>>,
    /// Shown and not counted: a PBX that is away is no reason to restart the gateway, or to send its visitors to another
    /// one that finds it away as well.
    trunks: Arc<Mutex<Vec<TrunkReport>>>,
}

impl HealthBoard {
    fn set(&self, name: &'static str, ok: bool, detail: String) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = checks.insert(name, (clock::now(), ok, detail.clone())).map(|(_, ok, _)| ok);
        if before != Some(ok) {
            if ok {
                info!(check = name, detail, "healthy");
            } else {
                metric::count_with(Metric::HealthFailures, name);
                warn!(check = name, detail, "not healthy");
            }
        }
    }

    /// Is the process alive: media and signalling loops turn.
    pub(crate) fn live(&self) -> Health {
        self.health(|name| name != "store")
    }

    /// Should new calls be sent here.
    pub(crate) fn ready(&self, accepting: bool) -> Health {
        let mut health = self.health(|_| true);
        health.ok &= accepting;
        let detail = if accepting { "new calls are taken" } else { "shutting down: no new call" };
        health.checks.push(HealthCheck { name: "accepting".into(), ok: accepting, detail: detail.to_owned() });
        health
    }

    fn health(&self, counts: impl Fn(&str) -> bool) -> Health {
        let now = clock::now();
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let checks: Vec<HealthCheck> = checks
            .iter()
            .filter(|(name, _)| counts(name))
            .map(|(name, (at, ok, detail))| {
                let fresh = now.saturating_duration_since(*at) < STALE;
                let detail =
                    if fresh { detail.clone() } else { format!("no probe for {} s; last: {detail}", STALE.as_secs()) };
                HealthCheck { name: (*name).into(), ok: *ok && fresh, detail }
            })
            .collect();
        let ok = !checks.is_empty() && checks.iter().all(|check| check.ok);
        let trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        let trunk = |trunk: &TrunkReport| HealthCheck {
            name: format!("trunk {}", trunk.name).into(),
            ok: trunk.ok,
            detail: trunk.detail.clone(),
        };
        let checks = checks.into_iter().chain(trunks.iter().map(trunk)).collect();
        Health { ok, checks }
    }

    fn set_trunks(&self, trunks: Vec<TrunkReport>) {
        *self.trunks.lock().unwrap_or_else(PoisonError::into_inner) = trunks;
    }
}

/// Probes for as long as the process lives.
pub(crate) async fn run(
    board: HealthBoard,
    media: MediaHandle,
    sip: SipHandle,
    store: Arc<dyn Home>,
    secret: [u8; 16],
) {
    loop {
        let (ok, detail) = probe_media(&media, secret).await;
        board.set("media", ok, detail);
        count_media(&media).await;
        let heard = tokio::time::timeout(ANSWER_LIMIT, sip.ledger()).await.ok().flatten();
        if let Some(ledger) = &heard {
            count_sip(ledger);
            board.set_trunks(ledger.trunks.clone());
        }
        gauge(Metric::Tasks, tokio::runtime::Handle::current().metrics().num_alive_tasks());
        board.set(
            "sip",
            heard.is_some(),
            heard.map_or_else(
                || "the driver does not answer".to_owned(),
                |ledger| format!("{} legs, {} phones", ledger.legs, ledger.endpoint.bindings),
            ),
        );
        // A slow disk must not make the other probes stale: whoever asks for life is not asking for the store.
        let (ok, detail) = match tokio::time::timeout(STORE_LIMIT, store.health()).await {
            Ok(Ok(health)) => (
                health.ok,
                health.error.unwrap_or_else(|| format!("{} rows in {} commits", health.rows, health.commits)),
            ),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("no answer within {} s: is the disk slow or full?", STORE_LIMIT.as_secs())),
        };
        board.set("store", ok, detail);
        tokio::time::sleep(EVERY).await;
    }
}

/// What the workers hold, as gauges: all zero when no call is up.
async fn count_media(media: &MediaHandle) {
    let (mut sessions, mut ports, mut routes, mut deadlines) = (0, 0, 0, 0);
    for worker in media.workers() {
        let Ok(Ok(ledger)) = tokio::time::timeout(ANSWER_LIMIT, worker.ledger()).await else { return };
        sessions += ledger.sessions;
        ports += ledger.ports;
        routes += ledger.routes;
        deadlines += ledger.deadlines;
    }
    gauge(Metric::MediaSessions, sessions);
    gauge(Metric::RtpPortsUsed, ports);
    gauge(Metric::MediaRoutes, routes);
    gauge(Metric::MediaDeadlines, deadlines);
}

/// What the SIP endpoint holds, as gauges: all but the phones zero when no call is up.
fn count_sip(ledger: &DriverLedger) {
    gauge(Metric::SipCalls, ledger.endpoint.calls);
    gauge(Metric::SipDialogs, ledger.endpoint.dialogs);
    gauge(Metric::SipTransactions, ledger.endpoint.transactions);
    gauge(Metric::SipPhones, ledger.endpoint.bindings);
}

fn gauge(metric: Metric, count: usize) {
    metric::gauge_set(metric, f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// One packet to each worker and back.
async fn probe_media(media: &MediaHandle, secret: [u8; 16]) -> (bool, String) {
    let mut slowest = Duration::ZERO;
    for (number, worker) in media.workers().iter().enumerate() {
        let started = clock::now();
        match tokio::time::timeout(ANSWER_LIMIT, echo(reachable(worker.browser_port), secret)).await {
            Ok(Ok(())) => slowest = slowest.max(clock::now().saturating_duration_since(started)),
            Ok(Err(error)) => return (false, format!("worker {number}: {error}")),
            Err(_) => return (false, format!("worker {number} does not answer its probe packet")),
        }
    }
    metric::time(Metric::MediaProbeSeconds, slowest);
    (true, format!("{} workers, slowest probe {} us", media.workers().len(), slowest.as_micros()))
}

async fn echo(worker: SocketAddr, secret: [u8; 16]) -> std::io::Result<()> {
    let local: IpAddr = if worker.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(worker).await?;
    let mut packet = [0_u8; 32];
    packet[..16].copy_from_slice(&secret);
    packet[16..24].copy_from_slice(&clock::unix_ms().to_be_bytes());
    socket.send(&packet).await?;
    let mut answer = [0_u8; 64];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer.get(..length) == Some(&packet[..]) {
            return Ok(());
        }
    }
}

/// An address that reaches a socket bound to all addresses.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, bound.port())
}
