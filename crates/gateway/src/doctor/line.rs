//! A telephone of the doctor's own: the gateway's driver of SIP and a media worker, with one trunk and nothing else.
//!
//! It speaks from the ports of `[sip] listen` where they are free, so that a PBX which knows us by them knows it too; beside a
//! running gateway it takes others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rand::Rng;
use sip::endpoint::{Endpoint, EndpointConfig, Transport};
use tokio::sync::mpsc;

use crate::app;
use crate::clock;
use crate::config::checked::{Config, Trunk};
use crate::drive::media::MediaHandle;
use crate::drive::media::worker::{self, WorkerConfig};
use crate::drive::sip::dns::Dns;
use crate::drive::sip::driver::{DriverConfig, SipDriver};
use crate::drive::sip::sockets::{Certificates, Sockets};
use crate::drive::sip::trunks::transport;
use crate::drive::sip::{DriverLedger, Incoming, ORDERS_MAX, SipHandle};
use crate::ladder::Tap;
use crate::standing;

const WAITING_MAX: usize = 64;
/// Some ten calls one after another, each with four ports that rest for a while, and room for those that are in use.
const PORTS_NEEDED: u16 = 200;
/// How often it is looked whether the trunk is found.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The running telephone.
pub(super) struct Phone {
    pub(super) sip: SipHandle,
    /// Calls that come in.
    pub(super) incoming: mpsc::Receiver<Incoming>,
    /// It has ports of its own: a gateway runs on the configured ones.
    pub(super) beside: bool,
    _presence: mpsc::Receiver<crate::drive::sip::driver::PhonePresence>,
}

impl Phone {
    /// Starts it with this trunk. The error is a sentence.
    pub(super) async fn start(config: &Config, trunk: Arc<Trunk>) -> Result<Self, String> {
        let listen: Vec<_> = config.sip.listen.iter().map(|(kind, at)| (transport(*kind), *at)).collect();
        let (beside, bound) = match bind(config, &listen).await {
            Ok(bound) => (false, bound),
            Err(_in_use) => {
                let any: Vec<_> = listen.iter().map(|(kind, at)| (*kind, SocketAddr::new(at.ip(), 0))).collect();
                (true, bind(config, &any).await?)
            }
        };
        let (sockets, bound, inbound) = bound;
        let locals = app::locals(&bound, config);
        let endpoint =
            Endpoint::new(EndpointConfig::new(locals, &config.sip.realm, rand::rng().random()), clock::now());
        let (incoming_in, incoming) = mpsc::channel(WAITING_MAX);
        let (presence_in, presence) = mpsc::channel(WAITING_MAX);
        let (orders_in, orders) = mpsc::channel(ORDERS_MAX);
        let next_leg = Arc::new(AtomicU64::new(1));
        let driver = DriverConfig {
            trunks: vec![trunk],
            dns: Arc::new(Dns::new(&config.sip.dns)),
            sdp_ip: standing::sdp_ip(config),
            realm: config.sip.realm.clone(),
            incoming: incoming_in,
            presence: presence_in,
            next_leg: Arc::clone(&next_leg),
            tap: Tap::default(),
        };
        tokio::spawn(SipDriver::new(driver, endpoint, sockets, bound).run(orders, inbound));
        Ok(Self { sip: SipHandle::new(orders_in, next_leg), incoming, beside, _presence: presence })
    }

    /// Waits until the trunk is as wanted, or no longer.
    pub(super) async fn wait_until(&self, limit: Duration, ready: impl Fn(&DriverLedger) -> bool) -> bool {
        let waited = tokio::time::timeout(limit, async {
            loop {
                if self.sip.ledger().await.is_some_and(|ledger| ready(&ledger)) {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        waited.await.is_ok()
    }
}

type Bound = (Sockets, Vec<(Transport, SocketAddr)>, mpsc::Receiver<crate::drive::sip::sockets::Inbound>);

async fn bind(config: &Config, listen: &[(Transport, SocketAddr)]) -> Result<Bound, String> {
    let certificates = Certificates::read(config)?;
    Sockets::bind(listen, certificates).await.map_err(|(at, error)| format!("sip {at} cannot be opened: {error}"))
}

/// A worker for its sound, from the same range of ports as the gateway's.
pub(super) fn media(config: &Config) -> io::Result<MediaHandle> {
    // Not where the gateway's calls of this moment most likely are; of a small range all of it.
    let (first, last) = (*config.media.rtp_ports.start(), *config.media.rtp_ports.end());
    let spare = (last - first).saturating_sub(PORTS_NEEDED);
    let begin = first + (rand::rng().random_range(0..=spare) & !1);
    let (handle, _ends_with_the_program) = worker::start(WorkerConfig {
        number: 0,
        workers: 1,
        browser_listen: ([127, 0, 0, 1], 0).into(),
        public_ip: None,
        rtp_bind: config.media.rtp_address,
        rtp_ports: begin..=last,
        consent_limit: Duration::from_secs(30),
        probe: rand::rng().random(),
    })?;
    Ok(MediaHandle::new(vec![handle]))
}
