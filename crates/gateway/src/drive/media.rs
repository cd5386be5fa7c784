//! Media: the handle by which tasks order sound from the worker threads, and what the workers report.
//!
//! A call lives whole on one worker: both legs' sockets, codecs and SRTP, so that the packet path takes no
//! lock and no hand-over (DESIGN §3). Orders cross by a bounded queue and a wake-up; replies by `oneshot`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use media::bridge::Side;
use media::codec::CodecKind;
use media::sdp::Negotiated;
use media::stats::LegStats;
use tokio::sync::{mpsc, oneshot};

use crate::drive::call::CallInput;
use crate::observe::metric::{self, Metric};

pub(crate) mod session;
pub(crate) mod worker;

/// Orders a worker may have waiting. More means that the machine is overloaded: the order is refused.
pub(crate) const ORDERS_MAX: usize = 4_096;

/// How long a worker may take to answer an order; one that takes longer has no CPU left.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Where a leg is in its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// It speaks and is heard.
    Side(Side),
    /// It is to take a side once it is there: it has a port, and nobody hears it.
    Spare,
}

/// One media session, the two sides of one call, unique in this process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SessionId(pub(crate) u64);

/// Why an order was not carried out, in words for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum MediaError {
    /// The worker's queue of orders is full.
    Overload,
    /// The worker has gone, or the session with it.
    Gone,
    /// Every RTP port of the range is in use or draining.
    NoPort,
    /// The browser's offer cannot be answered.
    Offer(String),
}

impl std::fmt::Display for MediaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overload => f.write_str("media worker overloaded"),
            Self::Gone => f.write_str("media session gone"),
            Self::NoPort => f.write_str("no rtp port free: widen [media] rtp_ports"),
            Self::Offer(why) => write!(f, "browser offer refused: {why}"),
        }
    }
}

impl std::error::Error for MediaError {}

/// Where the RTP of a SIP leg is to be sent: the port this gateway opened, its SSRC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtpPort {
    /// Even port of the pair, RTCP on the next.
    pub(crate) port: u16,
    /// Ours, towards this leg.
    pub(crate) ssrc: media::packet::Ssrc,
}

/// What a session does with its sound.
#[derive(Clone, Debug)]
pub(crate) enum BridgeOrder {
    /// Sound flows between the sides, or stops flowing.
    Connect(bool),
    /// A side hears a made sound until `Stop`.
    Play(Side, media::play::Source),
    /// Ends a made sound.
    Stop(Side),
    /// The side is on hold, or back.
    Hold(Side, bool),
    /// The side hears itself.
    Echo(Side, bool),
    /// A key press is sent to the side as telephone-event.
    Digit(Side, media::dtmf::Digit),
}

/// What a worker says of a session.
#[derive(Debug)]
pub(crate) enum MediaNotice {
    /// ICE and DTLS are done: sound can flow to and from the browser.
    Connected(Side),
    /// Consent is lost (RFC 7675): nothing is sent until it is back.
    ConsentLost(Side),
    /// Consent is back.
    ConsentBack(Side),
    /// The browser closed the leg.
    Closed(Side),
    /// The leg cannot work; the sentence says why.
    Failed(Side, String),
    /// A key was pressed on this side.
    Digit(Side, media::dtmf::Digit),
    /// The first RTP packet of this side came.
    FirstPacket(Side),
    /// The sound ordered by `Play` is over.
    PlayDone,
    /// The session's code panicked; the session is gone.
    Bug,
}

/// The statistics of both sides, for the record.
pub(crate) type SessionStats = [Option<LegStats>; 2];

/// An order to a worker.
pub(crate) enum Order {
    Open {
        session: SessionId,
        call: String,
        sink: mpsc::Sender<CallInput>,
    },
    Browser {
        session: SessionId,
        place: Place,
        offer: String,
        codecs: Vec<CodecKind>,
        reply: oneshot::Sender<Result<String, MediaError>>,
    },
    Reoffer {
        session: SessionId,
        side: Side,
        offer: String,
        reply: oneshot::Sender<Result<String, MediaError>>,
    },
    Rtp {
        session: SessionId,
        place: Place,
        reply: oneshot::Sender<Result<RtpPort, MediaError>>,
    },
    Negotiated {
        session: SessionId,
        place: Place,
        negotiated: Box<Negotiated>,
        also: Option<IpAddr>,
    },
    /// The spare leg takes this side; what was there is taken down. Its last figures are the answer.
    Seat {
        session: SessionId,
        side: Side,
        reply: oneshot::Sender<Result<Option<LegStats>, MediaError>>,
    },
    /// The spare leg is not needed.
    DropSpare {
        session: SessionId,
    },
    Bridge {
        session: SessionId,
        order: BridgeOrder,
    },
    Close {
        session: SessionId,
        reply: Option<oneshot::Sender<SessionStats>>,
    },
    Ledger {
        reply: oneshot::Sender<WorkerLedger>,
    },
    Shutdown,
}

impl Order {
    /// The session it is about.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Open { session, .. }
            | Self::Browser { session, .. }
            | Self::Reoffer { session, .. }
            | Self::Rtp { session, .. }
            | Self::Negotiated { session, .. }
            | Self::Seat { session, .. }
            | Self::DropSpare { session }
            | Self::Bridge { session, .. }
            | Self::Close { session, .. } => Some(*session),
            Self::Ledger { .. } | Self::Shutdown => None,
        }
    }
}

/// What a worker holds; all zero when no call is up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerLedger {
    /// Open sessions.
    pub(crate) sessions: usize,
    /// RTP port pairs in use.
    pub(crate) ports: usize,
    /// Known addresses and ufrags of browser legs.
    pub(crate) routes: usize,
    /// Registered timers.
    pub(crate) deadlines: usize,
}

/// One worker as others see it.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    orders: SyncSender<Order>,
    waker: Arc<mio::Waker>,
    /// Address of its browser port, for the self-probe.
    pub(crate) browser_port: SocketAddr,
}

impl WorkerHandle {
    pub(crate) fn new(orders: SyncSender<Order>, waker: Arc<mio::Waker>, browser_port: SocketAddr) -> Self {
        Self { orders, waker, browser_port }
    }

    fn order(&self, order: Order) -> Result<(), MediaError> {
        match self.orders.try_send(order) {
            Ok(()) => self.waker.wake().map_err(|_| MediaError::Gone),
            Err(TrySendError::Full(_)) => {
                metric::count(Metric::MediaOrdersRefused);
                Err(MediaError::Overload)
            }
            Err(TrySendError::Disconnected(_)) => Err(MediaError::Gone),
        }
    }

    /// What the worker holds now.
    pub(crate) async fn ledger(&self) -> Result<WorkerLedger, MediaError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ledger { reply })?;
        answer.await.map_err(|_| MediaError::Gone)
    }

    /// Ends the thread after what is already ordered.
    pub(crate) fn shutdown(&self) -> Result<(), MediaError> {
        self.order(Order::Shutdown)
    }
}

/// All workers; calls are dealt to them in turn.
#[derive(Clone)]
pub(crate) struct MediaHandle {
    workers: Arc<[WorkerHandle]>,
    next: Arc<AtomicUsize>,
    sessions: Arc<AtomicU64>,
}

impl MediaHandle {
    pub(crate) fn new(workers: Vec<WorkerHandle>) -> Self {
        Self { workers: workers.into(), next: Arc::default(), sessions: Arc::default() }
    }

    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Opens a session for a call; what happens in it is reported to `sink`.
    pub(crate) fn open(&self, call: &str, sink: mpsc::Sender<CallInput>) -> Result<MediaSession, MediaError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let id = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let mut refused = MediaError::Gone;
        // One that is overloaded or has died leaves the call to the next.
        for step in 0..self.workers.len() {
            let worker = self.workers[(turn + step) % self.workers.len()].clone();
            match worker.order(Order::Open { session: id, call: call.to_owned(), sink: sink.clone() }) {
                Ok(()) => return Ok(MediaSession { id, worker, closed: false }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

/// One open session. Dropped without [`MediaSession::close`], it closes itself; should its worker have no room for that
/// order, the worker finds the session without a listener and takes it down. A panicked call leaks nothing.
pub(crate) struct MediaSession {
    id: SessionId,
    worker: WorkerHandle,
    closed: bool,
}

impl MediaSession {
    async fn ask<T>(
        &self,
        make: impl FnOnce(SessionId, oneshot::Sender<Result<T, MediaError>>) -> Order,
    ) -> Result<T, MediaError> {
        let (reply, answer) = oneshot::channel();
        self.worker.order(make(self.id, reply))?;
        tokio::time::timeout(ANSWER_LIMIT, answer)
            .await
            .map_err(|_| MediaError::Overload)?
            .map_err(|_| MediaError::Gone)?
    }

    /// Takes a browser's offer; the answer carries our candidates.
    pub(crate) async fn browser(
        &self,
        place: Place,
        offer: String,
        codecs: Vec<CodecKind>,
    ) -> Result<String, MediaError> {
        self.ask(|session, reply| Order::Browser { session, place, offer, codecs, reply }).await
    }

    /// A new offer on a running leg (ICE restart, hold).
    pub(crate) async fn reoffer(&self, side: Side, offer: String) -> Result<String, MediaError> {
        self.ask(|session, reply| Order::Reoffer { session, side, offer, reply }).await
    }

    /// Opens an RTP port for a SIP leg.
    pub(crate) async fn rtp(&self, place: Place) -> Result<RtpPort, MediaError> {
        self.ask(|session, reply| Order::Rtp { session, place, reply }).await
    }

    /// What SDP agreed for a SIP leg. `also`: the address its signalling comes from, for a phone behind NAT.
    pub(crate) fn negotiated(
        &self,
        place: Place,
        negotiated: Negotiated,
        also: Option<IpAddr>,
    ) -> Result<(), MediaError> {
        self.worker.order(Order::Negotiated { session: self.id, place, negotiated: Box::new(negotiated), also })
    }

    /// The spare leg takes this side's place; the last figures of who was there.
    pub(crate) async fn seat(&self, side: Side) -> Result<Option<LegStats>, MediaError> {
        self.ask(|session, reply| Order::Seat { session, side, reply }).await
    }

    /// Whoever was to take a place does not come.
    pub(crate) fn drop_spare(&self) -> Result<(), MediaError> {
        self.worker.order(Order::DropSpare { session: self.id })
    }

    /// Changes what the sides hear.
    pub(crate) fn bridge(&self, order: BridgeOrder) -> Result<(), MediaError> {
        self.worker.order(Order::Bridge { session: self.id, order })
    }

    /// Ends the session and gives its last figures.
    pub(crate) async fn close(mut self) -> Result<SessionStats, MediaError> {
        let (reply, answer) = oneshot::channel();
        self.worker.order(Order::Close { session: self.id, reply: Some(reply) })?;
        self.closed = true;
        answer.await.map_err(|_| MediaError::Gone)
    }
}

impl Drop for MediaSession {
    fn drop(&mut self) {
        if !self.closed {
            // Refused, it is counted there.
            let _ordered = self.worker.order(Order::Close { session: self.id, reply: None });
        }
    }
}
