//! `BrowserLeg`: offer in, answer out; packets in and out.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::sdp::Direction;
use media::srtp::Srtp;
use media::{CodecKind, LegPlan, Ssrc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::certificate::Certificate;
use crate::demux::{Kind, kind};
use crate::dtls::{Association, Progress};
use crate::error::{DropReason, FailReason, OfferError};
use crate::ice::{Check, Credentials, Ice, ice_chars};
use crate::sdp::{self, Offer, Ours, Role};

/// Silence after which media is held back until the next sign of life: checks come every 4 to 6 s (RFC 7675 §5.1).
pub const HOLD_AFTER: Duration = Duration::from_secs(7);
/// Silence after which consent is lost (RFC 7675 §5.1).
pub const CONSENT_LIMIT: Duration = Duration::from_secs(30);

/// Our side of a leg.
#[derive(Clone, Debug)]
pub struct LegConfig {
    /// Where browsers reach this worker, the public address first: one host candidate each.
    pub candidates: Vec<SocketAddr>,
    /// Codecs we speak with browsers, best first.
    pub codecs: Vec<CodecKind>,
    /// Our SSRC towards the browser.
    pub ssrc: Ssrc,
    /// From the operating system's randomness: user fragment, password and names come from it.
    pub seed: [u8; 32],
    /// How long a browser may take to connect. Default 30 s.
    pub connect_limit: Duration,
    /// Silence after which media is held back. Default [`HOLD_AFTER`].
    pub hold_after: Duration,
    /// Silence after which the leg is over. Default [`CONSENT_LIMIT`]; longer for an owner who waits longer and decides
    /// himself: nothing is sent meanwhile.
    pub consent_limit: Duration,
}

impl LegConfig {
    /// The usual limits.
    #[must_use]
    pub const fn new(candidates: Vec<SocketAddr>, codecs: Vec<CodecKind>, ssrc: Ssrc, seed: [u8; 32]) -> Self {
        Self {
            candidates,
            codecs,
            ssrc,
            seed,
            connect_limit: Duration::from_secs(30),
            hold_after: HOLD_AFTER,
            consent_limit: CONSENT_LIMIT,
        }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<'a> {
    /// Taken by the leg itself.
    Nothing,
    /// A plain RTP packet.
    Rtp(&'a [u8]),
    /// A plain RTCP packet, often compound.
    Rtcp(&'a [u8]),
    /// Dropped: count it.
    Dropped(DropReason),
}

/// A datagram to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The local address to send from, where the caller told on which one the question came.
    pub local: Option<SocketAddr>,
    /// What.
    pub bytes: Vec<u8>,
}

/// What happened on a leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BrowserEvent {
    /// Keys agreed, fingerprint right: media may flow.
    Connected {
        /// Since the answer was made.
        after: Duration,
    },
    /// No sign of life for `hold_after`: media is held back.
    ConsentLost,
    /// The browser is heard again.
    ConsentBack,
    /// The browser closed the connection. Last event.
    Closed,
    /// The leg is lost. Last event.
    Failed(FailReason),
}

/// Why a leg asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// The browser must be connected by now (`connect_limit`).
    Connect,
    /// A DTLS flight is sent again (RFC 9147 §5.8).
    Handshake,
    /// Media is held back (`hold_after`).
    Hold,
    /// Consent is over (RFC 7675 §5.1).
    Consent,
}

/// Most datagrams and events waiting; the driver drains after every input, so reaching it means a bug there.
const MAX_TRANSMITS: usize = 64;
const MAX_EVENTS: usize = 16;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Connecting,
    Connected,
    Ended,
}

/// One browser's audio.
pub struct BrowserLeg {
    config: LegConfig,
    certificate: Certificate,
    offer: Offer,
    role: Role,
    plan: LegPlan,
    cname: String,
    session_id: u64,
    version: u64,
    rng: StdRng,
    ice: Ice,
    dtls: Option<Association>,
    srtp: Option<Srtp>,
    state: State,
    started: Instant,
    /// Last authentic thing heard, of any protocol.
    heard: Instant,
    /// Media is held back.
    silent: bool,
    transmits: VecDeque<Transmit>,
    events: VecDeque<BrowserEvent>,
    overflows: u64,
}

impl BrowserLeg {
    /// Answers a browser's offer. The leg waits for its checks from then on.
    ///
    /// # Errors
    /// When the offer cannot be used; nothing is kept then.
    pub fn accept(
        offer: &str,
        config: LegConfig,
        certificate: &Certificate,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        let offer = Offer::parse(offer)?;
        let role = offer.role(None)?;
        let plan = offer.plan(&config.codecs, config.ssrc)?;
        let mut rng = StdRng::from_seed(config.seed);
        let leg = Self {
            ice: Ice::new(Credentials::generate(&mut rng), now),
            cname: ice_chars(&mut rng, 16),
            // Some readers take it for signed.
            session_id: rng.random::<u64>() >> 1,
            version: 1,
            certificate: certificate.clone(),
            config,
            offer,
            role,
            plan,
            rng,
            dtls: None,
            srtp: None,
            state: State::Connecting,
            started: now,
            heard: now,
            silent: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            overflows: 0,
        };
        let answer = leg.describe()?;
        Ok((leg, answer))
    }

    /// Answers a later offer of the same browser: hold, another direction, an ICE restart. The DTLS association
    /// and its keys go on whatever ICE does.
    ///
    /// # Errors
    /// When the offer cannot be used; the leg then goes on as before.
    pub fn reoffer(&mut self, offer: &str, _now: Instant) -> Result<String, OfferError> {
        if self.state == State::Ended {
            return Err(OfferError::Closed);
        }
        let offer = Offer::parse(offer)?;
        offer.role(Some(self.role))?;
        if offer.fingerprints != self.offer.fingerprints {
            return Err(OfferError::NewAssociation);
        }
        let plan = offer.plan(&self.config.codecs, self.config.ssrc)?;
        if offer.restarts(&self.offer) {
            self.ice.restart(Credentials::generate(&mut self.rng));
        }
        if let Some(srtp) = &mut self.srtp {
            srtp.admit(&offer.ssrcs);
        }
        self.plan = plan;
        self.offer = offer;
        self.version += 1;
        self.describe()
    }

    /// Our user fragment: what the browser's checks name.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ice.credentials().ufrag
    }

    /// Every user fragment a check may name: ours and, for a while after a restart, the one before.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.ufrags()
    }

    /// How sound travels on this leg.
    #[must_use]
    pub const fn plan(&self) -> &LegPlan {
        &self.plan
    }

    /// Who sends, seen from us.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.offer.direction
    }

    /// Whether an authentic check came from `address`.
    #[must_use]
    pub fn knows(&self, address: SocketAddr) -> bool {
        self.state != State::Ended && self.ice.knows(address)
    }

    /// Addresses authentic checks came from.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ice.addresses()
    }

    /// The address media goes to.
    #[must_use]
    pub const fn selected(&self) -> Option<SocketAddr> {
        self.ice.selected()
    }

    /// Whether keys are agreed and the leg has not ended.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Whether the leg has ended: it holds no keys and takes nothing any more.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Datagrams and events thrown away because nobody drained them.
    #[must_use]
    pub const fn overflows(&self) -> u64 {
        self.overflows
    }

    /// One datagram from `source`; `local` is the address it came to, where the caller knows.
    pub fn handle_datagram<'a>(
        &'a mut self,
        source: SocketAddr,
        local: Option<SocketAddr>,
        datagram: &[u8],
        now: Instant,
    ) -> Received<'a> {
        if self.state == State::Ended {
            return Received::Dropped(DropReason::Closed);
        }
        let kind = kind(datagram);
        match kind {
            Kind::Stun => return self.handle_stun(source, local, datagram, now),
            Kind::Other => return Received::Dropped(DropReason::UnknownKind),
            Kind::Dtls | Kind::Srtp | Kind::Srtcp => {}
        }
        // Only from an address that proved the password: the ClientHello race and RTP injection end here.
        if !self.ice.knows(source) {
            return Received::Dropped(DropReason::UnknownAddress);
        }
        match kind {
            Kind::Dtls => self.handle_dtls(source, local, datagram, now),
            Kind::Srtp | Kind::Srtcp => self.handle_srtp(kind, datagram, now),
            Kind::Stun | Kind::Other => Received::Dropped(DropReason::UnknownKind),
        }
    }

    /// Protects an RTP packet of ours: where to and what. `None` before keys, after the end, and while the
    /// browser is not heard.
    pub fn protect_rtp(&mut self, packet: &[u8], _now: Instant) -> Option<(SocketAddr, &[u8])> {
        let to = self.open_way()?;
        self.srtp.as_mut()?.protect_rtp(packet).map(|bytes| (to, bytes))
    }

    /// Protects an RTCP packet of ours, as [`Self::protect_rtp`].
    pub fn protect_rtcp(&mut self, packet: &[u8], _now: Instant) -> Option<(SocketAddr, &[u8])> {
        let to = self.open_way()?;
        self.srtp.as_mut()?.protect_rtcp(packet).map(|bytes| (to, bytes))
    }

    /// The deadline of [`Self::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Connecting && now >= self.started + self.config.connect_limit {
            self.fail(FailReason::NeverConnected);
        }
        if self.dtls.as_ref().and_then(Association::deadline).is_some_and(|at| now >= at) {
            self.drive_dtls(None, None, now, |dtls, send| dtls.handle_timeout(now, send));
        }
        if self.state != State::Connected {
            return;
        }
        if now >= self.consent_at() {
            return self.fail(FailReason::ConsentExpired);
        }
        self.ice.forget_stale(self.config.consent_limit, now);
        if !self.silent && now >= self.heard + self.config.hold_after {
            self.silent = true;
            self.tell(BrowserEvent::ConsentLost);
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<BrowserEvent> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] is due, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let of_state = match self.state {
            State::Connecting => Some((self.started + self.config.connect_limit, Timer::Connect)),
            State::Connected if self.silent => Some((self.consent_at(), Timer::Consent)),
            State::Connected => {
                Some((self.heard + self.config.hold_after, Timer::Hold).min((self.consent_at(), Timer::Consent)))
            }
            State::Ended => return None,
        };
        let of_dtls = self.dtls.as_ref().and_then(Association::deadline).map(|at| (at, Timer::Handshake));
        of_state.into_iter().chain(of_dtls).min()
    }

    /// Ends the leg from our side: `close_notify` waits in `poll_transmit`, no event follows.
    pub fn close(&mut self, _now: Instant) {
        if let (Some(mut dtls), Some(to)) = (self.dtls.take(), self.ice.selected()) {
            let mut packets = Vec::new();
            dtls.close(&mut |packet| packets.push(packet.to_vec()));
            packets.into_iter().for_each(|bytes| self.send(to, None, bytes));
        }
        self.end();
    }

    fn handle_stun(
        &mut self,
        source: SocketAddr,
        local: Option<SocketAddr>,
        datagram: &[u8],
        now: Instant,
    ) -> Received<'_> {
        match self.ice.handle(source, datagram, self.certificate.crypto(), now) {
            Check::Dropped(reason) => return Received::Dropped(reason),
            Check::Refused(answer) => self.send(source, local, answer),
            Check::Good(answer) => {
                self.send(source, local, answer);
                self.note_life(now);
                // The way is open: if it is ours to speak first, speak. The answer above leaves before it.
                if self.role == Role::Active && self.dtls.is_none() {
                    self.open_dtls(now);
                    self.drive_dtls(Some(source), local, now, |dtls, send| dtls.handle_timeout(now, send));
                }
            }
        }
        Received::Nothing
    }

    fn handle_dtls(
        &mut self,
        source: SocketAddr,
        local: Option<SocketAddr>,
        datagram: &[u8],
        now: Instant,
    ) -> Received<'_> {
        self.open_dtls(now);
        if self.dtls.as_ref().is_some_and(|dtls| dtls.is_plain_alert(datagram)) {
            return Received::Dropped(DropReason::PlainAlert);
        }
        self.drive_dtls(Some(source), local, now, |dtls, send| dtls.handle_datagram(datagram, now, send));
        Received::Nothing
    }

    fn handle_srtp<'a>(&'a mut self, kind: Kind, datagram: &[u8], now: Instant) -> Received<'a> {
        let Some(srtp) = &mut self.srtp else {
            return Received::Dropped(DropReason::NoKeys);
        };
        let opened = match kind {
            Kind::Srtcp => srtp.open_rtcp(datagram).map(Received::Rtcp),
            Kind::Srtp | Kind::Stun | Kind::Dtls | Kind::Other => srtp.open_rtp(datagram).map(Received::Rtp),
        };
        if opened.is_ok() {
            // Only fields beside `srtp` are touched here: the packet is still lent out.
            self.heard = now;
            if self.silent {
                self.silent = false;
                push_bounded(&mut self.events, BrowserEvent::ConsentBack, MAX_EVENTS, &mut self.overflows);
            }
        }
        opened.unwrap_or_else(|error| Received::Dropped(error.into()))
    }

    fn open_dtls(&mut self, now: Instant) {
        if self.dtls.is_none() {
            let announced = self.offer.fingerprints.clone();
            self.dtls = Some(Association::new(&self.certificate, announced, self.role == Role::Active, now));
        }
    }

    /// One input for DTLS and everything that follows from it. Answers go to `to`, else to the selected address.
    fn drive_dtls(
        &mut self,
        to: Option<SocketAddr>,
        local: Option<SocketAddr>,
        now: Instant,
        input: impl FnOnce(&mut Association, &mut dyn FnMut(&[u8])) -> Result<Progress, FailReason>,
    ) {
        let Some(dtls) = &mut self.dtls else { return };
        let mut packets = Vec::new();
        let outcome = input(dtls, &mut |packet| packets.push(packet.to_vec()));
        if let Some(to) = self.ice.selected().or(to) {
            packets.into_iter().for_each(|bytes| self.send(to, local, bytes));
        }
        match outcome {
            Ok(progress) => self.take_progress(progress, now),
            Err(reason) => self.fail(reason),
        }
    }

    fn take_progress(&mut self, progress: Progress, now: Instant) {
        if let Some((keys, profile)) = progress.keys {
            let client = self.role == Role::Active;
            self.srtp = crate::keys::srtp(&keys, profile, client, &self.offer.ssrcs);
        }
        if progress.connected && self.state == State::Connecting {
            if self.srtp.is_none() {
                return self.fail(FailReason::NoSrtp);
            }
            self.state = State::Connected;
            self.heard = now;
            self.tell(BrowserEvent::Connected { after: now.saturating_duration_since(self.started) });
        }
        if progress.closed {
            self.end();
            self.tell(BrowserEvent::Closed);
        }
    }

    /// Where media may go now.
    fn open_way(&self) -> Option<SocketAddr> {
        (self.state == State::Connected && !self.silent).then(|| self.ice.selected()).flatten()
    }

    fn consent_at(&self) -> Instant {
        self.ice.last_check().unwrap_or(self.started) + self.config.consent_limit
    }

    fn note_life(&mut self, now: Instant) {
        self.heard = now;
        if self.silent {
            self.silent = false;
            self.tell(BrowserEvent::ConsentBack);
        }
    }

    fn fail(&mut self, reason: FailReason) {
        if self.state != State::Ended {
            self.end();
            self.tell(BrowserEvent::Failed(reason));
        }
    }

    /// Lets go of everything that holds keys or memory.
    fn end(&mut self) {
        self.state = State::Ended;
        self.dtls = None;
        self.srtp = None;
    }

    fn send(&mut self, to: SocketAddr, local: Option<SocketAddr>, bytes: Vec<u8>) {
        push_bounded(&mut self.transmits, Transmit { to, local, bytes }, MAX_TRANSMITS, &mut self.overflows);
    }

    fn tell(&mut self, event: BrowserEvent) {
        push_bounded(&mut self.events, event, MAX_EVENTS, &mut self.overflows);
    }

    fn describe(&self) -> Result<String, OfferError> {
        let ours = Ours {
            candidates: &self.config.candidates,
            codecs: &self.config.codecs,
            credentials: self.ice.credentials(),
            fingerprint: self.certificate.fingerprint(),
            role: self.role,
            ssrc: self.config.ssrc,
            cname: &self.cname,
            session_id: self.session_id,
            version: self.version,
        };
        sdp::answer(&self.offer, &ours)
    }
}

impl fmt::Debug for BrowserLeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserLeg")
            .field("ufrag", &self.ufrag())
            .field("state", &self.state)
            .field("selected", &self.ice.selected())
            .finish_non_exhaustive()
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize, overflows: &mut u64) {
    if queue.len() < most {
        queue.push_back(item);
    } else {
        *overflows += 1;
    }
}
