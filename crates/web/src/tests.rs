//! The edge over real sockets: a fake gateway behind it, hand-made requests and a foreign WebSocket client before it.

mod agent;
mod callback;
mod client;
mod contract;
mod fake;
mod http;
mod openapi;
mod staff;
mod talk;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use self::fake::Fake;
use crate::{Clock, Door, WebConfig, WebCounter, WebLimits, serve};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

const SHOP: &str = "https://shop.fr";

/// A clock that moves when told to.
struct HandClock(Mutex<Duration>, Instant);

impl HandClock {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn new() -> Self {
        Self(Mutex::new(Duration::ZERO), Instant::now())
    }

    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Instant {
        self.1 + *self.0.lock().unwrap()
    }

    fn unix_ms(&self) -> u64 {
        1_800_000_000_000 + u64::try_from(self.0.lock().unwrap().as_millis()).unwrap()
    }
}

/// The edge, served on a port of its own.
struct House {
    address: SocketAddr,
    fake: Arc<Fake>,
    clock: Arc<HandClock>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl House {
    async fn open(change: impl FnOnce(&mut WebConfig)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fake, clock) = (Arc::new(Fake::new()), Arc::new(HandClock::new()));
        let mut config = WebConfig {
            demo: true,
            public_url: None,
            trusted_proxies: vec![IpAddr::from(Ipv4Addr::LOCALHOST)],
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            limits: WebLimits::default(),
        };
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let task = tokio::spawn(serve(listener, config, Arc::clone(&fake) as Arc<_>, shutdown));
        Self { address, fake, clock, stop, task }
    }

    async fn plain() -> Self {
        Self::open(|_| ()).await
    }

    /// Waits until a counter has reached a value: things are counted just after they are told.
    async fn counted(&self, counter: WebCounter, at_least: usize) {
        let reached = async {
            while self.fake.count_of(counter) < at_least {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = timeout(PATIENCE, reached).await;
        assert!(seen.is_ok(), "{counter:?} is {} of {at_least}", self.fake.count_of(counter));
    }

    /// Ends the house and checks the ledger: every socket opened was closed.
    async fn close(self) {
        for door in [Door::Talk, Door::Agent] {
            self.counted(WebCounter::SocketClosed(door), self.fake.count_of(WebCounter::SocketOpened(door))).await;
        }
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}
