//! Session timers over bad weather: long calls live as long as both sides do, whoever refreshes and however, and end in
//! time when one of them dies without a word (RFC 4028 §10).
#![allow(clippy::wildcard_enum_match_arm, reason = "a test waits for one event and fails on its own")]

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sip::{
    CallRef, EndedBy, Endpoint, EndpointConfig, Extensions, Invite, Ledger, Local, Message, Method, NameAddr,
    Refresher, SessionTimer, SipEvent, Target, Timer, Transport,
};
use sip_tests::net::{Net, Weather, epoch};

const SEEDS: u64 = 1_500;
const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";
const MINUTE: Duration = Duration::from_secs(60);

fn address(node: usize) -> SocketAddr {
    let text = if node == 0 { "192.0.2.1:5060" } else { "192.0.2.2:5060" };
    text.parse().expect("an address")
}

fn rule(rng: &mut SmallRng) -> Extensions {
    let refresher = [Refresher::Either, Refresher::Us, Refresher::Peer][rng.random_range(0..3)];
    let min_se_s = rng.random_range(90..=300);
    let session = SessionTimer { expires_s: rng.random_range(min_se_s..=600), min_se_s, refresher };
    Extensions { session: Some(session), ..Extensions::USUAL }
}

struct World {
    seed: u64,
    net: Net,
    rng: SmallRng,
    /// The call as the caller and as the callee know it.
    calls: [Option<CallRef>; 2],
    ended: [Option<EndedBy>; 2],
    refreshed: usize,
}

impl World {
    /// Two endpoints with a rule each, over a network that loses up to a sixth: more than that breaks re-INVITEs
    /// within their 32 s, which is judged in `sim_sip`.
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x4028);
        let mut weather = Weather::random(&mut rng);
        weather.loss /= 2.0;
        let mut net = Net::new(seed, weather, epoch());
        for node in 0..2 {
            let local = Local { transport: Transport::Udp, bound: address(node), advertised: None };
            let mut config = EndpointConfig::new(vec![local], "sim.test", seed * 2 + node as u64);
            config.extensions = rule(&mut rng);
            let mut endpoint = Endpoint::new(config, epoch());
            endpoint.set_trunks(vec![address(1 - node).ip()]);
            net.add(address(node), endpoint);
        }
        Self { seed, net, rng, calls: [None; 2], ended: [None; 2], refreshed: 0 }
    }

    fn call(&mut self) {
        let invite = Invite {
            uri: format!("sip:desk@{}", address(1)).parse().expect("a uri"),
            from: NameAddr::new("sip:visitor@sim.test".parse().expect("a uri")),
            to: None,
            target: Target { transport: Transport::Udp, address: address(1), local: 0 },
            credentials: None,
            extensions: rule(&mut self.rng),
            headers: Vec::new(),
            body: Some(SDP.to_vec()),
            ring_limit: None,
            call_id: None,
            identity: None,
            not_after: None,
        };
        self.calls[0] = self.net.order(0, |e, now| e.invite(invite, now)).ok();
    }

    fn run_for(&mut self, span: Duration) {
        let until = self.net.now() + span;
        while self.net.next_at().is_some_and(|at| at <= until) {
            self.net.step();
            for node in 0..2 {
                while let Some(event) = self.net.event(node) {
                    self.note(node, event);
                }
            }
        }
        self.net.run_until(until);
    }

    fn note(&mut self, node: usize, event: SipEvent) {
        match event {
            SipEvent::Incoming { call, .. } => {
                self.calls[1] = Some(call);
                self.net.order(node, |e, now| e.answer(call, SDP.to_vec(), Vec::new(), now));
            }
            SipEvent::Reoffered { call, .. } => {
                self.net.order(node, |e, now| e.answer_reoffer(call, SDP.to_vec(), now));
            }
            SipEvent::Refreshed { body, .. } => {
                assert_eq!(body, SDP);
                self.refreshed += 1;
            }
            SipEvent::Ended { by, .. } => self.ended[node] = Some(by),
            SipEvent::Failed { failure, .. } => panic!("seed {}: {failure}", self.seed),
            _ => {}
        }
    }

    /// Refreshes that were sent, by method.
    fn refreshes(&self, method: &Method) -> usize {
        let is_refresh = |message: Option<Message>| {
            matches!(message, Some(Message::Request(request))
                if request.method == *method && request.to_tag().is_some())
        };
        self.net.sent().iter().filter(|sent| is_refresh(sent.message())).count()
    }
}

fn lives(seed: u64) -> (usize, usize) {
    let mut world = World::new(seed);
    if seed.is_multiple_of(2) {
        world.net.middleman(without_update);
    }
    world.call();
    world.run_for(MINUTE * 30);
    assert_eq!(world.ended, [None, None], "seed {seed}: a call whose both sides live goes on");
    let sent = world.refreshes(if seed.is_multiple_of(2) { &Method::Invite } else { &Method::Update });
    // The longest interval is 600 s.
    assert!(sent >= 5, "seed {seed}: {sent} refreshes");
    assert!(world.refreshed == 0 || seed.is_multiple_of(2), "seed {seed}: an UPDATE has no answer to tell");
    // One of the two dies without a word; the other has at most a session interval to find out.
    let dead = world.rng.random_range(0..2);
    world.net.kill(dead);
    world.run_for(Duration::from_secs(600 + 33));
    let by = world.ended[1 - dead].unwrap_or_else(|| panic!("seed {seed}: nobody noticed within the interval"));
    assert!(
        matches!(by, EndedBy::Timer(Timer::SessionExpiry | Timer::F | Timer::B | Timer::AckWait)),
        "seed {seed}: {by:?} although nobody said a word"
    );
    world.run_for(MINUTE * 2);
    assert_eq!(world.net.node(1 - dead).endpoint.ledger(), Ledger::default(), "seed {seed}");
    (sent, world.refreshed)
}

/// A B2BUA that takes UPDATE out of Allow: refreshes are re-INVITEs.
fn without_update(bytes: Vec<u8>) -> Vec<u8> {
    String::from_utf8_lossy(&bytes).replace("UPDATE, ", "").into_bytes()
}

#[test]
fn calls_live_while_both_sides_do_and_end_in_time_when_one_dies() {
    let (mut sent, mut told) = (0, 0);
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| lives(seed));
        let Ok((more, answers)) = result else { panic!("seed {seed} failed") };
        (sent, told) = (sent + more, told + answers);
    }
    println!("{SEEDS} calls of half an hour: {sent} refreshes, {told} by re-INVITE");
    assert!(told > 0 && sent > told, "both ways are gone");
}
