//! The simulation of `sip`: two endpoints over a network that loses, doubles, delays and reorders, and people who
//! call, ring, answer, refuse, give up, change the session and hang up at any moment. Thousands of seeds; what
//! must hold for every one of them stands in `judge`.
#![allow(clippy::print_stdout, reason = "a test prints what it ran")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sip::{
    CallRef, EndedBy, Endpoint, EndpointConfig, Extensions, Invite, Ledger, Local, NameAddr, SipError, SipEvent,
    Target, Timer, Transport,
};
use sip_tests::net::{Net, Weather, epoch};

/// Seeds of one run. A seed takes well under a millisecond.
const SEEDS: u64 = 4_000;
/// Seeds with a stream under the calls.
const TCP_SEEDS: u64 = 500;

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

fn address(node: usize) -> SocketAddr {
    let text = if node == 0 { "192.0.2.1:5060" } else { "192.0.2.2:5060" };
    text.parse().expect("an address")
}

fn endpoint(node: usize, seed: u64, now: Instant) -> Endpoint {
    let local = |transport| Local { transport, bound: address(node), advertised: None };
    let locals = vec![local(Transport::Udp), local(Transport::Tcp)];
    let mut endpoint = Endpoint::new(EndpointConfig::new(locals, "sim.test", seed), now);
    endpoint.set_trunks(vec![address(1 - node).ip()]);
    endpoint
}

/// What a person does.
#[derive(Clone, Debug)]
enum Act {
    Invite { ring_limit: Option<Duration> },
    Ring(CallRef, u16),
    Answer(CallRef),
    Reject(CallRef),
    HangUp(CallRef),
    Reinvite(CallRef),
    AnswerReoffer(CallRef),
    RejectReoffer(CallRef),
    Info(CallRef),
}

/// What one side saw of one call.
#[derive(Clone, Debug, Default)]
struct Diary {
    call_id: String,
    caller: bool,
    answered: bool,
    we_answered: bool,
    confirmed: bool,
    hung_up: bool,
    ended: Vec<String>,
    ended_at_ms: u64,
    unconfirmed_end: bool,
    late: Vec<String>,
    reoffers: u32,
    reoffers_settled: u32,
}

struct World {
    seed: u64,
    net: Net,
    rng: SmallRng,
    acts: BTreeMap<(Instant, u64), (usize, Act)>,
    diaries: BTreeMap<(usize, CallRef), Diary>,
    transport: Transport,
    count: u64,
}

impl World {
    fn new(seed: u64, transport: Transport) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        let weather = Weather::random(&mut rng);
        let start = epoch();
        let mut net = Net::new(seed, weather, start);
        for node in 0..2 {
            net.add(address(node), endpoint(node, seed * 2 + node as u64, start));
        }
        let mut world = Self { seed, net, rng, acts: BTreeMap::new(), diaries: BTreeMap::new(), transport, count: 0 };
        for _ in 0..world.rng.random_range(1..=3) {
            let node = world.rng.random_range(0..2);
            let limit_ms = world.rng.random_range(500..=20_000);
            let ring_limit = world.rng.random_bool(0.3).then(|| Duration::from_millis(limit_ms));
            world.plan(0..=5_000, node, Act::Invite { ring_limit });
        }
        world
    }

    fn plan(&mut self, after_ms: std::ops::RangeInclusive<u64>, node: usize, act: Act) {
        let at = self.net.now() + Duration::from_millis(self.rng.random_range(after_ms));
        self.count += 1;
        self.acts.insert((at, self.count), (node, act));
    }

    /// Until nothing is left to happen.
    fn run(&mut self) {
        for _ in 0..200_000 {
            let act_at = self.acts.keys().next().map(|(at, _)| *at);
            match (act_at, self.net.next_at()) {
                (Some(act_at), Some(net_at)) if net_at <= act_at => {
                    self.net.step();
                }
                (Some(act_at), _) => {
                    self.net.run_until(act_at);
                    if let Some((_, (node, act))) = self.acts.pop_first() {
                        self.act(node, act);
                    }
                }
                (None, Some(_)) => {
                    self.net.step();
                }
                (None, None) => return,
            }
            self.look();
        }
        let open: Vec<_> = self.diaries.iter().filter(|(_, diary)| diary.ended.is_empty()).collect();
        let (seed, next) = (self.seed, self.net.next_timer());
        panic!("seed {seed}: still busy after 200000 steps, next {next:?}, not ended {open:#?}");
    }

    fn act(&mut self, node: usize, act: Act) {
        match act {
            Act::Invite { ring_limit } => self.invite(node, ring_limit),
            Act::Ring(call, status) => {
                // A 183 describes the session, so it is reliable: PRACK, and an answer that waits for it.
                let body = (status == 183).then(|| OFFER.to_vec());
                self.net.order(node, |e, now| e.ring(call, status, body, now));
            }
            Act::Answer(call) => {
                if let Some(diary) = self.diaries.get_mut(&(node, call))
                    && diary.ended.is_empty()
                {
                    diary.we_answered = true;
                }
                self.net.order(node, |e, now| e.answer(call, OFFER.to_vec(), Vec::new(), now));
            }
            Act::Reject(call) => self.net.order(node, |e, now| e.reject(call, 486, None, now)),
            Act::HangUp(call) => {
                if let Some(diary) = self.diaries.get_mut(&(node, call)) {
                    diary.hung_up = true;
                }
                self.net.order(node, |e, now| e.hang_up(call, None, now));
            }
            Act::Reinvite(call) => {
                let by_update = self.rng.random_bool(0.4);
                let change = if by_update { Endpoint::update } else { Endpoint::reinvite };
                let result = self.net.order(node, |e, now| change(e, call, OFFER.to_vec(), now));
                if let (Ok(()), Some(diary)) = (result, self.diaries.get_mut(&(node, call))) {
                    diary.reoffers += 1;
                }
                let expected = [Ok(()), Err(SipError::Unknown), Err(SipError::WrongState), Err(SipError::OfferPending)];
                assert!(expected.contains(&result), "seed {}: {result:?}", self.seed);
            }
            Act::AnswerReoffer(call) => self.net.order(node, |e, now| e.answer_reoffer(call, OFFER.to_vec(), now)),
            Act::RejectReoffer(call) => self.net.order(node, |e, now| e.reject_reoffer(call, 488, now)),
            Act::Info(call) => {
                self.net.order(node, |e, now| e.info(call, "application/dtmf-relay", b"Signal=5".to_vec(), now));
            }
        }
    }

    fn invite(&mut self, node: usize, ring_limit: Option<Duration>) {
        let peer = address(1 - node);
        let local = if self.transport == Transport::Udp { 0 } else { 1 };
        self.count += 1;
        let call_id = format!("call-{}-{}", self.seed, self.count);
        let uri: sip::Uri = format!("sip:desk@{peer}").parse().expect("a uri");
        let invite = Invite {
            uri,
            from: NameAddr::new("sip:visitor@sim.test".parse().expect("a uri")),
            to: None,
            target: Target { transport: self.transport, address: peer, local },
            credentials: None,
            headers: vec![("X-Page".to_owned(), "/cart".to_owned())],
            body: Some(OFFER.to_vec()),
            ring_limit,
            call_id: Some(call_id.clone()),
            identity: None,
            not_after: None,
            extensions: Extensions::USUAL,
        };
        let call = self.net.order(node, |e, now| e.invite(invite, now)).expect("room for a call");
        self.diaries.insert((node, call), Diary { call_id, caller: true, ..Diary::default() });
        match self.rng.random_range(0..10) {
            0..3 => self.plan(0..=8_000, node, Act::HangUp(call)),
            // Right into the race with the answer.
            3 => self.plan(2_000..=4_500, node, Act::HangUp(call)),
            _ => {}
        }
    }

    /// Both sides read what happened, and decide.
    fn look(&mut self) {
        for node in 0..2 {
            while let Some(event) = self.net.event(node) {
                self.note(node, event);
            }
        }
    }

    fn note(&mut self, node: usize, event: SipEvent) {
        let Some(call) = call_of(&event) else {
            return;
        };
        if let SipEvent::Incoming { invite, .. } = &event {
            let call_id = invite.headers.get_str("Call-ID").expect("a Call-ID").to_owned();
            self.diaries.insert((node, call), Diary { call_id, ..Diary::default() });
        }
        let now_ms = self.net.now_ms();
        let diary = self.diaries.get_mut(&(node, call)).expect("a call that was made or came in");
        if !diary.ended.is_empty() {
            diary.late.push(format!("{event:?}"));
        }
        match event {
            SipEvent::Incoming { .. } => self.decide_incoming(node, call),
            SipEvent::Answered { .. } => {
                diary.answered = true;
                self.decide_up(node, call);
            }
            SipEvent::Confirmed { .. } => {
                let first = !diary.confirmed;
                diary.confirmed = true;
                if first {
                    self.decide_up(node, call);
                }
            }
            SipEvent::Reoffered { .. } => {
                let act = match self.rng.random_range(0..10) {
                    0 => Act::RejectReoffer(call),
                    1..=8 => Act::AnswerReoffer(call),
                    // Somebody who never answers: the endpoint does in the end.
                    _ => return,
                };
                self.plan(0..=1_500, node, act);
            }
            SipEvent::ReofferAnswered { .. } | SipEvent::ReofferFailed { .. } => diary.reoffers_settled += 1,
            SipEvent::Failed { failure, .. } => {
                diary.ended.push(format!("failed {failure}"));
                diary.ended_at_ms = now_ms;
            }
            SipEvent::Ended { by, .. } => {
                diary.unconfirmed_end = matches!(by, EndedBy::Timer(Timer::AckWait | Timer::PrackWait));
                diary.ended.push(format!("ended {by:?}"));
                diary.ended_at_ms = now_ms;
            }
            SipEvent::Progress { .. }
            | SipEvent::Cancelled { .. }
            | SipEvent::EarlyAnswered { .. }
            | SipEvent::Refreshed { .. }
            | SipEvent::Info { .. }
            | SipEvent::Referred { .. }
            | SipEvent::ReferNews { .. }
            | SipEvent::Registration { .. }
            | SipEvent::Bound { .. }
            | SipEvent::Unbound { .. }
            | SipEvent::Probed { .. }
            | SipEvent::OrphanEnded { .. }
            | SipEvent::Refused { .. }
            | SipEvent::Large { .. }
            | SipEvent::Close { .. } => {}
        }
    }

    fn decide_incoming(&mut self, node: usize, call: CallRef) {
        if self.rng.random_bool(0.7) {
            let status = if self.rng.random_bool(0.5) { 180 } else { 183 };
            self.plan(0..=2_000, node, Act::Ring(call, status));
        }
        match self.rng.random_range(0..10) {
            0..7 => self.plan(0..=4_000, node, Act::Answer(call)),
            7 => self.plan(0..=4_000, node, Act::Reject(call)),
            // Nobody there: the caller, or this side much later, ends it.
            8 => self.plan(30_000..=60_000, node, Act::HangUp(call)),
            _ => {
                self.plan(0..=3_000, node, Act::Answer(call));
                self.plan(0..=6_000, node, Act::HangUp(call));
            }
        }
    }

    fn decide_up(&mut self, node: usize, call: CallRef) {
        for _ in 0..self.rng.random_range(0..=2) {
            self.plan(0..=6_000, node, Act::Reinvite(call));
        }
        if self.rng.random_bool(0.3) {
            self.plan(0..=5_000, node, Act::Info(call));
        }
        // Somebody always hangs up in the end; often both do.
        self.plan(0..=20_000, node, Act::HangUp(call));
    }

    /// What must hold whatever the weather and the people did.
    fn judge(&self) {
        let seed = self.seed;
        let by_id = |node: usize, id: &str| {
            let of_node = self.diaries.iter().filter(|((at, _), _)| *at == node);
            of_node.map(|(_, diary)| diary).filter(|diary| diary.call_id == id).collect::<Vec<_>>()
        };
        for ((node, _), diary) in &self.diaries {
            let who = format!("seed {seed} ({:?}), node {node}, {diary:#?}", self.transport);
            assert_eq!(diary.ended.len(), 1, "a call ends exactly once: {who}");
            assert!(diary.late.is_empty(), "nothing follows the end: {who}");
            assert!(diary.reoffers_settled <= diary.reoffers, "an offer settles once: {who}");
            if !diary.caller {
                continue;
            }
            let others = by_id(1 - node, &diary.call_id);
            assert!(others.len() <= 1, "one INVITE makes one call there: {who} {others:#?}");
            let other = others.first().copied().cloned().unwrap_or_default();
            if diary.answered {
                assert!(other.we_answered, "an answer that nobody gave: {who} {other:#?}");
            }
            if other.confirmed {
                assert!(
                    diary.answered || diary.hung_up || diary.ended[0].contains("Ring"),
                    "the far end talks and we do not: {who} {other:#?}"
                );
            }
            // A 2xx is acknowledged, or the call is ended at 32 s.
            if other.we_answered && !other.confirmed {
                assert!(
                    other.unconfirmed_end || other.hung_up || other.ended[0].contains("Peer"),
                    "an answer without ACK that did not end by itself: {who} {other:#?}"
                );
            }
        }
        for node in 0..2 {
            let ledger = self.net.node(node).endpoint.ledger();
            let rest = Ledger { flows: 0, timers: 0, ..ledger };
            assert_eq!(rest, Ledger::default(), "seed {seed} ({:?}): node {node} leaks", self.transport);
        }
        // 64×T1 for a re-INVITE whose call is gone, 64×T1 for the transaction that refuses it, and a little.
        let last_end_ms = self.diaries.values().map(|diary| diary.ended_at_ms).max().unwrap_or(0);
        if self.transport == Transport::Udp {
            let quiet_ms = self.net.now_ms();
            assert!(
                quiet_ms <= last_end_ms.max(6_000) + 64_000 + 5_000,
                "seed {seed}: state lived until {quiet_ms} ms, the last call ended at {last_end_ms} ms"
            );
        }
    }
}

fn call_of(event: &SipEvent) -> Option<CallRef> {
    match event {
        SipEvent::Progress { call, .. }
        | SipEvent::Answered { call, .. }
        | SipEvent::Failed { call, .. }
        | SipEvent::Incoming { call, .. }
        | SipEvent::Cancelled { call }
        | SipEvent::Confirmed { call, .. }
        | SipEvent::Reoffered { call, .. }
        | SipEvent::ReofferAnswered { call, .. }
        | SipEvent::ReofferFailed { call, .. }
        | SipEvent::EarlyAnswered { call, .. }
        | SipEvent::Refreshed { call, .. }
        | SipEvent::Info { call, .. }
        | SipEvent::Referred { call, .. }
        | SipEvent::ReferNews { call, .. }
        | SipEvent::Ended { call, .. } => Some(*call),
        SipEvent::Registration { .. }
        | SipEvent::Bound { .. }
        | SipEvent::Unbound { .. }
        | SipEvent::Probed { .. }
        | SipEvent::OrphanEnded { .. }
        | SipEvent::Refused { .. }
        | SipEvent::Large { .. }
        | SipEvent::Close { .. } => None,
    }
}

fn simulate(seed: u64, transport: Transport) -> World {
    let mut world = World::new(seed, transport);
    world.run();
    world.judge();
    world
}

fn run_seeds(seeds: std::ops::Range<u64>, transport: Transport) {
    let mut answered = 0;
    let mut failed = 0;
    let mut changed = 0;
    for seed in seeds.clone() {
        // The seed is printed by a panic inside too; this line says how to run it again.
        let result = std::panic::catch_unwind(|| simulate(seed, transport));
        let Ok(world) = result else {
            panic!("seed {seed} over {transport} failed; run it alone by `one_seed` in sim_sip.rs");
        };
        for diary in world.diaries.values().filter(|diary| diary.caller) {
            answered += u32::from(diary.answered);
            failed += u32::from(diary.ended[0].starts_with("failed"));
            changed += diary.reoffers_settled;
        }
    }
    println!("{transport}: seeds {seeds:?}: {answered} answered, {failed} failed, {changed} offers settled");
    // The scripts must reach every corner, else the invariants above prove nothing.
    let least = u32::try_from((seeds.end - seeds.start) / 10).expect("small");
    assert!(answered > least && failed > least && changed > least, "the scripts have become tame");
}

#[test]
fn calls_over_bad_weather_end_once_agree_and_leak_nothing() {
    run_seeds(0..SEEDS, Transport::Udp);
}

#[test]
fn calls_over_a_stream_end_once_agree_and_leak_nothing() {
    run_seeds(0..TCP_SEEDS, Transport::Tcp);
}

/// To look at one failing seed: put it here.
#[test]
fn one_seed() {
    simulate(1, Transport::Udp);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let transcript = |seed| {
        let world = simulate(seed, Transport::Udp);
        let start = world.net.sent().first().map(|sent| sent.at);
        let line = |sent: &sip_tests::net::Sent| {
            (start.map(|start| sent.at - start), sent.flow.local, String::from_utf8_lossy(&sent.bytes).into_owned())
        };
        world.net.sent().iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(transcript(7), transcript(7));
    assert_ne!(transcript(7), transcript(8));
}
