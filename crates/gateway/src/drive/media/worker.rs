//! A media worker: one thread, its sockets, its sessions, no lock.
//!
//! ```text
//! browser port ─ recv ─┬ known source ────────────┐
//!                      └ STUN check: ufrag ──────►│ session ─ bridge ─ flush ─► sockets
//! rtp/rtcp sockets ─ recv ─ token ───────────────►│
//! timetable ─ due ───────────────────────────────►│
//! orders (bounded queue + wake-up) ──────────────►│
//! ```
//! A panic inside one session ends that session and no other (SECURITY R23).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use browser::{BrowserEvent, BrowserLeg, Certificate, LegConfig, Received};
use media::bridge::{MediaEvent, PacketKind, Side};
use media::latch::Latch;
use media::packet::Ssrc;
use media::stats::LegStats;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tracing::{debug, error, info, trace, warn};

use crate::clock;
use crate::drive::media::session::{Leg, Protection, RtpLeg, SPARE, Session, index, side, spot};
use crate::drive::media::{
    BridgeOrder, MediaError, MediaNotice, ORDERS_MAX, Order, Place, RtpPort, SessionId, WorkerHandle, WorkerLedger,
};
use crate::net::ports::PortPool;
use crate::net::{addresses, dual};
use crate::observe::metric::{self, Metric};

const WAKER: Token = Token(0);
const BROWSER: Token = Token(1);
/// Tokens of RTP sockets count up from here, two a leg.
const FIRST_RTP: usize = 2;
/// Datagrams read from one socket before the others have their turn.
const BURST: usize = 64;
/// Largest datagram taken. Media stays under 1,500; DTLS and STUN as well.
const DATAGRAM_BYTES: usize = 2_048;
/// How often sessions nobody listens to are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Kernel buffers of the shared browser port: a burst of all its legs must fit.
const BROWSER_BUFFER_BYTES: usize = 4 << 20;

/// What a worker needs to start.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    /// Its number, from 0, and how many there are.
    pub(crate) number: usize,
    pub(crate) workers: usize,
    /// Where its browser port listens.
    pub(crate) browser_listen: SocketAddr,
    /// The address browsers are told, when the gateway stands behind NAT.
    pub(crate) public_ip: Option<IpAddr>,
    /// Where RTP sockets bind, and the range of their ports.
    pub(crate) rtp_bind: Option<IpAddr>,
    pub(crate) rtp_ports: std::ops::RangeInclusive<u16>,
    /// How long a browser may give no sign of life before its leg is over. The call decides earlier.
    pub(crate) consent_limit: Duration,
    /// A datagram that begins with this secret is answered: the self-probe of `/healthz`.
    pub(crate) probe: [u8; 16],
}

/// Starts the thread; its sockets are bound before this returns, so a busy port is an error here.
pub(crate) fn start(config: WorkerConfig) -> io::Result<(WorkerHandle, std::thread::JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let mut browser = bind_browser_port(config.browser_listen)?;
    poll.registry().register(&mut browser, BROWSER, Interest::READABLE)?;
    let bound = browser.local_addr()?;
    let certificate = Certificate::generate().map_err(|error| io::Error::other(error.to_string()))?;
    let (orders, inbox) = sync_channel(ORDERS_MAX);
    let handle = WorkerHandle::new(orders, waker, bound);
    let candidates = addresses::candidates(bound, config.public_ip);
    info!(worker = config.number, address = %bound, candidates = ?candidates, "media worker listens for browsers");
    let pool = PortPool::share(&config.rtp_ports, config.number, config.workers);
    let name = format!("media-{}", config.number);
    let worker = Worker {
        poll,
        browser,
        candidates,
        certificate,
        pool,
        rng: StdRng::from_os_rng(),
        sessions: BTreeMap::new(),
        by_source: HashMap::new(),
        by_ufrag: HashMap::new(),
        by_token: BTreeMap::new(),
        next_token: FIRST_RTP,
        timetable: BTreeSet::new(),
        config,
    };
    let thread = std::thread::Builder::new().name(name).spawn(move || worker.run(&inbox))?;
    Ok((handle, thread))
}

/// As the poll wants it.
fn nonblocking(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket))
}

fn bind_browser_port(listen: SocketAddr) -> io::Result<UdpSocket> {
    let domain = if listen.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // A kernel that grants less than asked is no error: the default works, with more loss under bursts.
    let _granted = socket.set_recv_buffer_size(BROWSER_BUFFER_BYTES);
    let _granted = socket.set_send_buffer_size(BROWSER_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Where a token leads.
#[derive(Clone, Copy)]
struct Route {
    session: SessionId,
    leg: usize,
    kind: PacketKind,
}

struct Worker {
    config: WorkerConfig,
    poll: Poll,
    browser: UdpSocket,
    candidates: Vec<SocketAddr>,
    certificate: Certificate,
    pool: PortPool,
    rng: StdRng,
    sessions: BTreeMap<SessionId, Session>,
    by_source: HashMap<SocketAddr, (SessionId, usize)>,
    by_ufrag: HashMap<String, (SessionId, usize)>,
    by_token: BTreeMap<usize, Route>,
    next_token: usize,
    timetable: BTreeSet<(Instant, SessionId)>,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut events = Events::with_capacity(512);
        let mut buffer = [0_u8; DATAGRAM_BYTES];
        // Edge-triggered sockets with packets left: read on in the next round, after everybody else had his turn.
        let (mut unread, mut ready): (Vec<Token>, Vec<Token>) = (Vec::new(), Vec::new());
        let mut sweep_at = clock::now() + SWEEP_EVERY;
        loop {
            let now = clock::now();
            let wait =
                self.timetable.first().map_or(sweep_at, |(at, _)| sweep_at.min(*at)).saturating_duration_since(now);
            let wait = if unread.is_empty() { wait } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(worker = self.config.number, %error, "media worker cannot poll; it ends");
                return;
            }
            std::mem::swap(&mut ready, &mut unread);
            let left_over = ready.len();
            for event in &events {
                if !ready[..left_over].contains(&event.token()) {
                    ready.push(event.token());
                }
            }
            for token in ready.drain(..) {
                let more = match token {
                    WAKER => false,
                    BROWSER => self.read_browser(&mut buffer),
                    Token(token) => self.read_rtp(token, &mut buffer),
                };
                if more {
                    unread.push(token);
                }
                self.run_due();
            }
            if !self.take_orders(inbox) {
                self.close_all();
                return;
            }
            self.run_due();
            if clock::now() >= sweep_at {
                self.sweep();
                sweep_at = clock::now() + SWEEP_EVERY;
            }
        }
    }

    /// Carries out the orders that wait; false when the worker is to end.
    fn take_orders(&mut self, inbox: &Receiver<Order>) -> bool {
        for _ in 0..ORDERS_MAX {
            match inbox.try_recv() {
                Ok(Order::Shutdown) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
                Ok(order) => {
                    let session = order.session();
                    if catch_unwind(AssertUnwindSafe(|| self.handle_order(order))).is_err() {
                        self.bug(session);
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
            }
        }
        true
    }

    /// A session whose call listens no more and never said `Close` is taken down.
    fn sweep(&mut self) {
        let now = clock::now();
        let dead: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| session.is_orphan()).map(|(id, _)| *id).collect();
        for id in dead {
            metric::count(Metric::MediaSessionsLeaked);
            self.close(id, now);
        }
    }

    /// A panic ends the session it happened in, and no other (SECURITY R23).
    fn bug(&mut self, id: Option<SessionId>) {
        metric::count(Metric::Panics);
        let session = id.and_then(|id| self.sessions.get(&id));
        error!(
            call = session.map(|session| session.call.as_str()),
            "a panic in the media of this call; the call is ended, please report it"
        );
        if let Some(session) = session {
            session.notify(MediaNotice::Bug);
        }
        if let Some(id) = id
            && catch_unwind(AssertUnwindSafe(|| self.close(id, clock::now()))).is_err()
        {
            // What it held in the tables is lost with it; its own memory and sockets are not.
            self.sessions.remove(&id);
        }
    }

    /// Reads the browser port; true when the burst ended with packets left.
    fn read_browser(&mut self, buffer: &mut [u8; DATAGRAM_BYTES]) -> bool {
        for _ in 0..BURST {
            match self.browser.recv_from(buffer) {
                Ok((length, source)) => self.handle_browser_datagram(source, &buffer[..length], clock::now()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP "port unreachable" of a gone browser surfaces here; it says nothing about the others.
                Err(error) => trace!(%error, "browser port"),
            }
        }
        true
    }

    fn handle_browser_datagram(&mut self, source: SocketAddr, datagram: &[u8], now: Instant) {
        let known = self.by_source.get(&source).copied();
        let route = match (known, browser::check_ufrag(datagram)) {
            // A check names its leg by ufrag: a browser may come back from the same address with a new leg.
            (_, Some(ufrag)) => self.by_ufrag.get(ufrag).copied().or(known),
            (known, None) => known,
        };
        let Some((id, at)) = route else {
            self.handle_stranger(source, datagram);
            return;
        };
        let is_check = known != route;
        self.guarded(id, now, |session, browser| {
            let Some(Some(Leg::Browser(leg))) = session.legs.get_mut(at) else { return };
            match leg.handle_datagram(source, None, datagram, now) {
                Received::Nothing => {}
                Received::Rtp(packet) => {
                    // Nobody hears the spare leg yet.
                    if side(at).is_some_and(|side| session.bridge.handle_rtp(side, packet, now).is_err()) {
                        metric::count(Metric::MediaPacketsMalformed);
                    }
                }
                Received::Rtcp(packet) => {
                    if side(at).is_some_and(|side| session.bridge.handle_rtcp(side, packet, now).is_err()) {
                        metric::count(Metric::MediaPacketsMalformed);
                    }
                }
                Received::Dropped(reason) => {
                    metric::count(Metric::MediaPacketsRefused);
                    trace!(?reason, %source, "browser datagram dropped");
                }
            }
            session.flush(browser, now);
        });
        if is_check && self.validated(id, at, source) {
            self.by_source.insert(source, (id, at));
            self.forget_sources(id, at);
        }
    }

    /// A leg knows a few addresses; a browser that moves on and on leaves no trail of routes.
    fn forget_sources(&mut self, id: SessionId, at: usize) {
        if let Some(Some(Leg::Browser(leg))) = self.sessions.get(&id).map(|session| session.legs[at].as_ref()) {
            self.by_source.retain(|source, to| *to != (id, at) || leg.knows(*source));
        }
    }

    /// Only an address that passed an authenticated check becomes a route (SECURITY M4).
    fn validated(&self, id: SessionId, at: usize, source: SocketAddr) -> bool {
        match self.sessions.get(&id).and_then(|session| session.legs[at].as_ref()) {
            Some(Leg::Browser(leg)) => leg.knows(source),
            Some(Leg::Rtp(_)) | None => false,
        }
    }

    /// Nobody's packet: the self-probe is echoed to loopback, the rest is counted and dropped without an answer.
    fn handle_stranger(&self, source: SocketAddr, datagram: &[u8]) {
        if datagram.len() == 32 && datagram.starts_with(&self.config.probe) && own_address(source.ip()) {
            let _echoed = self.browser.send_to(datagram, source);
        } else {
            metric::count(Metric::MediaPacketsRefused);
        }
    }

    /// Reads one RTP or RTCP socket; true when the burst ended with packets left.
    fn read_rtp(&mut self, token: usize, buffer: &mut [u8; DATAGRAM_BYTES]) -> bool {
        let Some(Route { session: id, leg: at, kind }) = self.by_token.get(&token).copied() else { return false };
        for _ in 0..BURST {
            let Some(Some(Leg::Rtp(leg))) = self.sessions.get_mut(&id).map(|session| session.legs[at].as_mut()) else {
                return false;
            };
            let socket = match kind {
                PacketKind::Rtp => &leg.rtp,
                PacketKind::Rtcp => &leg.rtcp,
            };
            match socket.recv_from(buffer) {
                Ok((length, source)) => {
                    let (now, source) = (clock::now(), dual::plain(source));
                    self.guarded(id, now, |session, browser| {
                        if session.handle_rtp_socket(at, kind, source, &buffer[..length], now) {
                            session.flush(browser, now);
                        } else {
                            metric::count(Metric::MediaPacketsRefused);
                        }
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => trace!(%error, "rtp socket"),
            }
        }
        true
    }

    /// Timers that are due, oldest first.
    fn run_due(&mut self) {
        let now = clock::now();
        while let Some((at, id)) = self.timetable.first().copied() {
            if at > now {
                break;
            }
            self.timetable.pop_first();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.deadline = None;
            }
            self.guarded(id, now, |session, browser| {
                session.bridge.handle_timeout(now);
                for leg in session.legs.iter_mut().flatten() {
                    if let Leg::Browser(leg) = leg {
                        leg.handle_timeout(now);
                    }
                }
                session.flush(browser, now);
            });
        }
    }

    /// Runs one step of a session, then hands on its events and books its next deadline. A panic ends the session.
    fn guarded(&mut self, id: SessionId, now: Instant, step: impl FnOnce(&mut Session, &UdpSocket)) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let browser = &self.browser;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            step(session, browser);
            drain_events(session);
        }));
        if outcome.is_err() {
            self.bug(Some(id));
            return;
        }
        let due = session.next_deadline();
        if due != session.deadline {
            if let Some(old) = session.deadline.take() {
                self.timetable.remove(&(old, id));
            }
            if let Some(at) = due {
                // A deadline already past would spin this loop: the next millisecond is soon enough.
                let at = at.max(now + Duration::from_millis(1));
                session.deadline = Some(at);
                self.timetable.insert((at, id));
            }
        }
    }

    fn handle_order(&mut self, order: Order) {
        let now = clock::now();
        match order {
            Order::Open { session, call, sink } => {
                let seed = self.rng.random();
                self.sessions.insert(session, Session::new(call, seed, sink, now));
            }
            Order::Browser { session, place, offer, codecs, reply } => {
                let answer = self.open_browser(session, place, &offer, codecs, now);
                self.touch(session, now);
                answered(reply.send(answer).is_ok());
            }
            Order::Reoffer { session, side, offer, reply } => {
                let answer = self.reoffer(session, side, &offer, now);
                self.touch(session, now);
                answered(reply.send(answer).is_ok());
            }
            Order::Rtp { session, place, reply } => {
                let port = self.open_rtp(session, place, now);
                answered(reply.send(port).is_ok());
            }
            Order::Negotiated { session, place, negotiated, also } => self.guarded(session, now, |session, browser| {
                if let Some(Leg::Rtp(leg)) = &mut session.legs[spot(place)] {
                    leg.negotiated(&negotiated, also);
                    match place {
                        Place::Side(side) => session.bridge.set_leg(side, negotiated.plan, now),
                        Place::Spare => session.spare_plan = Some(negotiated.plan),
                    }
                    session.flush(browser, now);
                }
            }),
            Order::Seat { session, side, reply } => {
                let stats = self.seat(session, side, now);
                self.touch(session, now);
                answered(reply.send(stats).is_ok());
            }
            Order::DropSpare { session } => self.clear_leg(session, Place::Spare, now),
            Order::Bridge { session, order } => self.guarded(session, now, |session, browser| {
                apply(session, order, now);
                session.flush(browser, now);
            }),
            Order::Close { session, reply } => {
                let stats = self.stats(session);
                self.close(session, now);
                if let Some(reply) = reply {
                    answered(reply.send(stats).is_ok());
                }
            }
            Order::Ledger { reply } => answered(
                reply
                    .send(WorkerLedger {
                        sessions: self.sessions.len(),
                        ports: self.pool.in_use(),
                        routes: self.by_source.len() + self.by_ufrag.len() + self.by_token.len(),
                        deadlines: self.timetable.len(),
                    })
                    .is_ok(),
            ),
            Order::Shutdown => {}
        }
    }

    /// Books the deadline a changed session now has.
    fn touch(&mut self, id: SessionId, now: Instant) {
        self.guarded(id, now, |session, browser| session.flush(browser, now));
    }

    fn open_browser(
        &mut self,
        id: SessionId,
        place: Place,
        offer: &str,
        codecs: Vec<media::codec::CodecKind>,
        now: Instant,
    ) -> Result<String, MediaError> {
        self.clear_leg(id, place, now);
        let config = LegConfig {
            consent_limit: self.config.consent_limit,
            ..LegConfig::new(self.candidates.clone(), codecs, Ssrc(self.rng.random()), self.rng.random())
        };
        let Some(session) = self.sessions.get_mut(&id) else { return Err(MediaError::Gone) };
        let (leg, answer) = BrowserLeg::accept(offer, config, &self.certificate, now)
            .map_err(|error| MediaError::Offer(error.to_string()))?;
        for ufrag in leg.ufrags() {
            self.by_ufrag.insert(ufrag.to_owned(), (id, spot(place)));
        }
        match place {
            Place::Side(side) => session.bridge.set_leg(side, leg.plan().clone(), now),
            Place::Spare => session.spare_plan = Some(leg.plan().clone()),
        }
        session.legs[spot(place)] = Some(Leg::Browser(Box::new(leg)));
        Ok(answer)
    }

    fn reoffer(&mut self, id: SessionId, side: Side, offer: &str, now: Instant) -> Result<String, MediaError> {
        let Some(session) = self.sessions.get_mut(&id) else { return Err(MediaError::Gone) };
        let Some(Leg::Browser(leg)) = &mut session.legs[index(side)] else { return Err(MediaError::Gone) };
        let answer = leg.reoffer(offer, now).map_err(|error| MediaError::Offer(error.to_string()))?;
        // A page may restart ICE for hours: only the fragments a check may still name keep their route.
        let route = (id, index(side));
        self.by_ufrag.retain(|ufrag, to| *to != route || leg.ufrags().any(|known| known == ufrag));
        for ufrag in leg.ufrags() {
            self.by_ufrag.insert(ufrag.to_owned(), (id, index(side)));
        }
        session.bridge.set_leg(side, leg.plan().clone(), now);
        Ok(answer)
    }

    fn open_rtp(&mut self, id: SessionId, place: Place, now: Instant) -> Result<RtpPort, MediaError> {
        self.clear_leg(id, place, now);
        if !self.sessions.contains_key(&id) {
            return Err(MediaError::Gone);
        }
        // Another program may sit on a port of our range: it is left draining and the next is tried.
        for _ in 0..16 {
            let port = self.pool.take(now).ok_or(MediaError::NoPort)?;
            match self.bind_pair(port) {
                Ok((rtp, rtcp)) => return self.install_rtp(id, place, port, rtp, rtcp, now),
                Err(error) => {
                    warn!(port, %error, "rtp port pair is taken by another program; trying the next");
                    self.pool.give(port, now);
                }
            }
        }
        Err(MediaError::NoPort)
    }

    fn bind_pair(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let ip = self.config.rtp_bind;
        let bind = |port| dual::bind_udp(ip, port).and_then(nonblocking);
        Ok((bind(port)?, bind(port + 1)?))
    }

    fn install_rtp(
        &mut self,
        id: SessionId,
        place: Place,
        port: u16,
        mut rtp: UdpSocket,
        mut rtcp: UdpSocket,
        now: Instant,
    ) -> Result<RtpPort, MediaError> {
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(2).max(FIRST_RTP);
        let registry = self.poll.registry();
        let registered = registry
            .register(&mut rtp, Token(token), Interest::READABLE)
            .and_then(|()| registry.register(&mut rtcp, Token(token + 1), Interest::READABLE));
        if let Err(error) = registered {
            warn!(port, %error, "rtp sockets cannot be watched");
            self.pool.give(port, now);
            return Err(MediaError::NoPort);
        }
        for (token, kind) in [(token, PacketKind::Rtp), (token + 1, PacketKind::Rtcp)] {
            self.by_token.insert(token, Route { session: id, leg: spot(place), kind });
        }
        let is_v6 = rtp.local_addr().is_ok_and(|at| at.is_ipv6());
        let leg = RtpLeg {
            is_v6,
            port,
            rtp,
            rtcp,
            latch: Latch::new(),
            remote_rtcp: None,
            rtcp_mux: false,
            protection: Protection::Plain,
        };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.legs[spot(place)] = Some(Leg::Rtp(Box::new(leg)));
        }
        Ok(RtpPort { port, ssrc: Ssrc(self.rng.random()) })
    }

    /// Takes a leg down: routes, tokens, sockets, port.
    fn clear_leg(&mut self, id: SessionId, place: Place, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match place {
            Place::Side(side) => session.bridge.clear_leg(side),
            Place::Spare => session.spare_plan = None,
        }
        let spot = spot(place);
        match session.legs[spot].take() {
            None => {}
            Some(Leg::Browser(mut leg)) => {
                leg.close(now);
                while let Some(transmit) = leg.poll_transmit() {
                    let _best_effort = self.browser.send_to(&transmit.bytes, transmit.to);
                }
                self.by_ufrag.retain(|_, route| *route != (id, spot));
                self.by_source.retain(|_, route| *route != (id, spot));
            }
            Some(Leg::Rtp(mut leg)) => {
                let _deregistered = self.poll.registry().deregister(&mut leg.rtp);
                let _deregistered = self.poll.registry().deregister(&mut leg.rtcp);
                self.by_token.retain(|_, route| !(route.session == id && route.leg == spot));
                self.pool.give(leg.port, now);
            }
        }
    }

    /// The spare leg takes a side: what was there is taken down, its routes lead to the side, and the other side hears
    /// one stream all the while.
    fn seat(&mut self, id: SessionId, side: Side, now: Instant) -> Result<Option<LegStats>, MediaError> {
        let Some(session) = self.sessions.get_mut(&id) else { return Err(MediaError::Gone) };
        let (Some(leg), Some(plan)) = (session.legs[SPARE].take(), session.spare_plan.take()) else {
            return Err(MediaError::Gone);
        };
        let before = session.legs[index(side)].is_some().then(|| session.bridge.stats(side));
        self.clear_leg(id, Place::Side(side), now);
        let (from, to) = ((id, SPARE), (id, index(side)));
        self.by_ufrag.values_mut().chain(self.by_source.values_mut()).filter(|route| **route == from).for_each(
            |route| {
                *route = to;
            },
        );
        for route in self.by_token.values_mut().filter(|route| (route.session, route.leg) == from) {
            route.leg = to.1;
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.legs[to.1] = Some(leg);
            session.bridge.hand_over(side, plan, now);
        }
        Ok(before)
    }

    fn stats(&self, id: SessionId) -> crate::drive::media::SessionStats {
        let stats = |side: Side| {
            self.sessions
                .get(&id)
                .filter(|session| session.legs[index(side)].is_some())
                .map(|session| session.bridge.stats(side))
        };
        [stats(Side::A), stats(Side::B)]
    }

    fn close(&mut self, id: SessionId, now: Instant) {
        for place in [Place::Side(Side::A), Place::Side(Side::B), Place::Spare] {
            self.clear_leg(id, place, now);
        }
        if let Some(at) = self.sessions.remove(&id).and_then(|session| session.deadline) {
            self.timetable.remove(&(at, id));
        }
    }

    fn close_all(&mut self) {
        let now = clock::now();
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.close(id, now);
        }
        debug!(worker = self.config.number, "media worker ends");
    }
}

impl Drop for Worker {
    /// Whatever ends the thread, the calls whose sound was here hear of it.
    fn drop(&mut self) {
        for session in self.sessions.values() {
            session.notify(MediaNotice::Bug);
        }
    }
}

/// A caller that no longer waits for its answer has ended meanwhile; its session closes itself.
fn answered(taken: bool) {
    if !taken {
        debug!("an order's caller was gone before the answer");
    }
}

/// The probe comes from this machine or it is nobody's.
fn own_address(ip: IpAddr) -> bool {
    ip.is_loopback() || addresses::local_towards(SocketAddr::new(ip, 9)) == ip
}

fn apply(session: &mut Session, order: BridgeOrder, now: Instant) {
    match order {
        BridgeOrder::Connect(on) => session.bridge.connect(on, now),
        BridgeOrder::Play(side, source) => session.bridge.play(side, source, now),
        BridgeOrder::Stop(side) => session.bridge.stop(side, now),
        BridgeOrder::Hold(side, held) => session.bridge.set_hold(side, held, now),
        BridgeOrder::Echo(side, on) => session.bridge.set_echo(side, on),
        BridgeOrder::Digit(side, digit) => {
            if !session.bridge.send_digit(side, digit, now) {
                debug!(call = session.call, ?side, "the leg takes no telephone-event; a digit is lost");
            }
        }
    }
}

fn drain_events(session: &mut Session) {
    for at in 0..session.legs.len() {
        while let Some(event) = next_event(session.legs[at].as_mut()) {
            // A page that is about to take a side takes it at once; until then its call has nothing to hear of it.
            let Some(side) = side(at) else { continue };
            let notice = match event {
                BrowserEvent::Connected { after } => {
                    metric::time(Metric::BrowserConnectSeconds, after);
                    MediaNotice::Connected(side)
                }
                BrowserEvent::ConsentLost => MediaNotice::ConsentLost(side),
                BrowserEvent::ConsentBack => MediaNotice::ConsentBack(side),
                BrowserEvent::Closed => MediaNotice::Closed(side),
                BrowserEvent::Failed(reason) => MediaNotice::Failed(side, reason.to_string()),
            };
            session.notify(notice);
        }
    }
    while let Some(event) = session.bridge.poll_event() {
        match event {
            MediaEvent::Digit { from, digit, .. } => session.notify(MediaNotice::Digit(from, digit)),
            MediaEvent::FirstPacket { from } => session.notify(MediaNotice::FirstPacket(from)),
            MediaEvent::PlayDone { .. } => session.notify(MediaNotice::PlayDone),
            MediaEvent::Silent { from, report } => {
                debug!(call = session.call, ?from, silent = ?report.lasting, rtcp = report.rtcp_heard, "no rtp for a while");
            }
            MediaEvent::Resumed { from } => debug!(call = session.call, ?from, "rtp is back"),
        }
    }
}

/// The next event of a browser leg.
fn next_event(leg: Option<&mut Leg>) -> Option<BrowserEvent> {
    match leg? {
        Leg::Browser(leg) => leg.poll_event(),
        Leg::Rtp(_) => None,
    }
}
