//! A network that exists only in memory: seeded loss, duplication, reordering and delay, and a clock that jumps
//! from one thing that happens to the next.
//!
//! Nodes are our own endpoints; any other address is a scripted peer, whose mail waits in [`Net::mail`]. The same
//! seed gives the same run.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sip::{Endpoint, EndpointConfig, Flow, Message, SipEvent, Timer, Transport, parse_datagram};

/// What the network does to datagrams.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Share of datagrams lost.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicate: f64,
    /// Share of datagrams that are held back, so that later ones overtake them.
    pub reorder: f64,
    /// Time on the way, in milliseconds.
    pub delay_ms: RangeInclusive<u64>,
}

impl Weather {
    /// Nothing is lost and everything takes a millisecond.
    pub fn fair() -> Self {
        Self { loss: 0.0, duplicate: 0.0, reorder: 0.0, delay_ms: 1..=1 }
    }

    /// Anything up to 30 % loss, 10 % duplicates, 10 % held back, 300 ms on the way.
    pub fn random(rng: &mut SmallRng) -> Self {
        let longest = rng.random_range(1..=300);
        Self {
            loss: rng.random_range(0.0..0.3),
            duplicate: rng.random_range(0.0..0.1),
            reorder: rng.random_range(0.0..0.1),
            delay_ms: 1..=longest,
        }
    }
}

/// A datagram or a piece of a stream that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// By which way, seen from the sender.
    pub flow: Flow,
    /// What.
    pub bytes: Vec<u8>,
}

impl Sent {
    /// The message it is.
    pub fn message(&self) -> Option<Message> {
        parse_datagram(&self.bytes, &sip::Limits::default()).ok()
    }

    /// `INVITE`, `180 INVITE` and so on, for transcripts.
    pub fn title(&self) -> String {
        match self.message() {
            Some(Message::Request(request)) => request.method.to_string(),
            Some(Message::Response(response)) => {
                let method = response.cseq().map(|cseq| cseq.method.to_string());
                format!("{} {}", response.status, method.unwrap_or_default())
            }
            None => "?".to_owned(),
        }
    }
}

/// One endpoint of ours and what it reported.
#[derive(Debug)]
pub struct Node {
    /// Its address, for both transports.
    pub address: SocketAddr,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What it reported and nobody has looked at yet.
    pub events: VecDeque<SipEvent>,
}

/// The network, its nodes and its clock.
#[derive(Debug)]
pub struct Net {
    rng: SmallRng,
    weather: Weather,
    start: Instant,
    now: Instant,
    nodes: Vec<Node>,
    flying: BTreeMap<(Instant, u64), Sent>,
    /// Over a stream nothing overtakes: when the last piece of each direction arrives.
    streams: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    mail: BTreeMap<SocketAddr, VecDeque<Sent>>,
    sent: Vec<Sent>,
    count: u64,
    black_hole: bool,
    /// What somebody in the middle makes of each message.
    middleman: Option<fn(Vec<u8>) -> Vec<u8>>,
}

/// Where virtual time starts: `Instant` has no other constructor.
pub fn epoch() -> Instant {
    Instant::now()
}

impl Net {
    /// A network without nodes. `start` is where its clock stands.
    pub fn new(seed: u64, weather: Weather, start: Instant) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            weather,
            start,
            now: start,
            nodes: Vec::new(),
            flying: BTreeMap::new(),
            streams: BTreeMap::new(),
            mail: BTreeMap::new(),
            sent: Vec::new(),
            count: 0,
            black_hole: false,
            middleman: None,
        }
    }

    /// Adds an endpoint; returns its number.
    pub fn add(&mut self, address: SocketAddr, endpoint: Endpoint) -> usize {
        self.nodes.push(Node { address, endpoint, events: VecDeque::new() });
        self.nodes.len() - 1
    }

    /// The process of a node dies: nobody is at its address any more.
    pub fn kill(&mut self, at: usize) {
        let nobody = Endpoint::new(EndpointConfig::new(Vec::new(), "nobody", 0), self.now);
        self.start(at, SocketAddr::from(([0, 0, 0, 0], 0)), nobody);
    }

    /// Another process starts in the place of a dead one.
    pub fn start(&mut self, at: usize, address: SocketAddr, endpoint: Endpoint) {
        self.nodes[at] = Node { address, endpoint, events: VecDeque::new() };
    }

    /// From now on everything sent is lost, or no longer.
    pub fn black_hole(&mut self, on: bool) {
        self.black_hole = on;
    }

    /// From now on somebody in the middle changes what is sent.
    pub fn middleman(&mut self, change: fn(Vec<u8>) -> Vec<u8>) {
        self.middleman = Some(change);
    }

    /// What the clock shows.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        millis(self.now - self.start)
    }

    /// A node, to look at.
    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Gives an endpoint an order, and sends what comes of it.
    pub fn order<T>(&mut self, at: usize, order: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let result = order(&mut self.nodes[at].endpoint, self.now);
        self.drain(at);
        result
    }

    /// The next thing a node reported.
    pub fn event(&mut self, at: usize) -> Option<SipEvent> {
        self.nodes[at].events.pop_front()
    }

    /// Everything a node reported that is not a word about a refused message.
    pub fn events(&mut self, at: usize) -> Vec<SipEvent> {
        let all = std::mem::take(&mut self.nodes[at].events);
        all.into_iter().filter(|event| !matches!(event, SipEvent::Refused { .. })).collect()
    }

    /// What came for an address that is no node.
    pub fn mail(&mut self, address: SocketAddr) -> Option<Sent> {
        self.mail.get_mut(&address).and_then(VecDeque::pop_front)
    }

    /// Everything anybody sent, in order.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// When messages of this title were sent by this address, in milliseconds since the start.
    pub fn sent_at_ms(&self, from: SocketAddr, title: &str) -> Vec<u64> {
        let by = self.sent.iter().filter(|sent| sent.flow.local == from && sent.title() == title);
        by.map(|sent| millis(sent.at - self.start)).collect()
    }

    /// A scripted peer sends.
    pub fn inject(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let flow = Flow { transport, local: from, remote: to };
        self.launch(Sent { at: self.now, flow, bytes: bytes.to_vec() });
    }

    /// The next moment at which anything happens.
    pub fn next_at(&self) -> Option<Instant> {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let timers = self.nodes.iter().filter_map(|node| node.endpoint.poll_timeout());
        arrival.into_iter().chain(timers.map(|(at, _)| at)).min()
    }

    /// Which timer of which node is next, for messages of failed tests.
    pub fn next_timer(&self) -> Option<(usize, Timer)> {
        let due = |(at, node): (usize, &Node)| node.endpoint.poll_timeout().map(|(due, timer)| (due, at, timer));
        let next = self.nodes.iter().enumerate().filter_map(due).min();
        next.map(|(_, at, timer)| (at, timer))
    }

    /// Lets one thing happen. `false`: nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_at() else {
            return false;
        };
        self.now = self.now.max(at);
        if let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= self.now) {
            let sent = first.remove();
            self.deliver(sent);
            return true;
        }
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if node.endpoint.poll_timeout().is_some_and(|(due, _)| due <= self.now) {
                node.endpoint.handle_timeout(self.now);
                self.drain(at);
            }
        }
        true
    }

    /// Lets everything happen up to a moment, and sets the clock there.
    pub fn run_until(&mut self, until: Instant) {
        while self.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    fn drain(&mut self, at: usize) {
        while let Some(transmit) = self.nodes[at].endpoint.poll_transmit() {
            self.launch(Sent { at: self.now, flow: transmit.flow, bytes: transmit.bytes });
        }
        while let Some(event) = self.nodes[at].endpoint.poll_event() {
            self.nodes[at].events.push_back(event);
        }
    }

    fn launch(&mut self, mut sent: Sent) {
        if let Some(change) = self.middleman {
            sent.bytes = change(sent.bytes);
        }
        self.sent.push(sent.clone());
        if self.black_hole {
            return;
        }
        match sent.flow.transport {
            Transport::Udp => {
                if self.rng.random_bool(self.weather.loss) {
                    return;
                }
                let copies = if self.rng.random_bool(self.weather.duplicate) { 2 } else { 1 };
                for _ in 0..copies {
                    let mut delay_ms = self.rng.random_range(self.weather.delay_ms.clone());
                    if self.rng.random_bool(self.weather.reorder) {
                        delay_ms += self.rng.random_range(1..=1_000);
                    }
                    self.fly(self.now + Duration::from_millis(delay_ms), sent.clone());
                }
            }
            Transport::Tcp | Transport::Tls => {
                let delay_ms = self.rng.random_range(self.weather.delay_ms.clone());
                let way = (sent.flow.local, sent.flow.remote);
                let arrival = self.now + Duration::from_millis(delay_ms);
                let last = self.streams.entry(way).or_insert(arrival);
                *last = (*last).max(arrival);
                let arrival = *last;
                self.fly(arrival, sent);
            }
        }
    }

    fn fly(&mut self, arrival: Instant, sent: Sent) {
        self.count += 1;
        self.flying.insert((arrival, self.count), sent);
    }

    fn deliver(&mut self, sent: Sent) {
        let Some(at) = self.nodes.iter().position(|node| node.address == sent.flow.remote) else {
            self.mail.entry(sent.flow.remote).or_default().push_back(sent);
            return;
        };
        let flow = Flow { local: sent.flow.remote, remote: sent.flow.local, ..sent.flow };
        match flow.transport {
            Transport::Udp => self.nodes[at].endpoint.handle_datagram(flow, &sent.bytes, self.now),
            Transport::Tcp | Transport::Tls => self.nodes[at].endpoint.handle_stream(flow, &sent.bytes, self.now),
        }
        self.drain(at);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
