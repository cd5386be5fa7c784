//! One endpoint registers at another with a password, is called over its binding, and takes the registration
//! back, over a network that loses, doubles, delays and reorders.
#![allow(clippy::print_stdout, reason = "a test prints what it ran")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_in_result,
    reason = "a test waits for one event and fails on its own"
)]

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use sip::digest::{AccountSecret, Credentials};
use sip::{
    Account, Endpoint, EndpointConfig, Extensions, Invite, Ledger, Local, RegistrationConfig, RegistrationState,
    SipEvent, Target, Transport, UnboundWhy,
};
use sip_tests::net::{Net, Weather, epoch};

const SEEDS: u64 = 500;
const PHONE: usize = 0;
const REGISTRAR: usize = 1;

fn address(node: usize) -> SocketAddr {
    let text = if node == PHONE { "192.0.2.1:5060" } else { "192.0.2.2:5060" };
    text.parse().expect("an address")
}

fn endpoint(node: usize, seed: u64) -> Endpoint {
    let local = |transport| Local { transport, bound: address(node), advertised: None };
    let config = EndpointConfig::new(vec![local(Transport::Udp), local(Transport::Tcp)], "sim.test", seed);
    let mut endpoint = Endpoint::new(config, epoch());
    if node == PHONE {
        endpoint.set_trunks(vec![address(REGISTRAR).ip()]);
    } else {
        let secret = AccountSecret::new("1001", "sim.test", "secret");
        endpoint.set_accounts(vec![Account { user: "1001".into(), secret }]);
    }
    endpoint
}

/// The first event of a node that `wanted` takes, within this many seconds.
fn wait<T>(net: &mut Net, node: usize, seconds: u64, wanted: impl Fn(&SipEvent) -> Option<T>) -> Option<T> {
    let until = net.now() + Duration::from_secs(seconds);
    loop {
        while let Some(event) = net.event(node) {
            if let Some(found) = wanted(&event) {
                return Some(found);
            }
        }
        if net.next_at().is_none_or(|at| at > until) {
            return None;
        }
        net.step();
    }
}

/// `None`: the weather broke the call itself, which happens and is judged elsewhere.
fn run(seed: u64, transport: Transport) -> Option<()> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let weather = Weather::random(&mut rng);
    let mut net = Net::new(seed, weather, epoch());
    for node in [PHONE, REGISTRAR] {
        net.add(address(node), endpoint(node, seed * 2 + node as u64));
    }
    let local = if transport == Transport::Udp { 0 } else { 1 };
    let wish = RegistrationConfig {
        registrar: "sip:sim.test".parse().expect("a uri"),
        target: Target { transport, address: address(REGISTRAR), local },
        aor: "sip:1001@sim.test".parse().expect("a uri"),
        credentials: Some(Credentials { username: "1001".into(), password: "secret".into(), realm: None }),
        expires_s: 120,
        local,
    };
    let registration = net.order(PHONE, |e, now| e.register(wish, now));
    let registered = |event: &SipEvent| {
        matches!(event, SipEvent::Registration { state: RegistrationState::Registered { .. }, .. }).then_some(())
    };
    wait(&mut net, PHONE, 120, registered).unwrap_or_else(|| panic!("seed {seed}: not registered in 2 minutes"));
    // It stays so over several renewals. A renewal that the weather eats may let it lapse, not for long.
    net.run_for(Duration::from_secs(600));
    for attempt in 0.. {
        if !net.node(REGISTRAR).endpoint.bindings("1001").is_empty() {
            break;
        }
        assert!(attempt < 60, "seed {seed}: lapsed and not back within a minute");
        net.run_for(Duration::from_secs(1));
    }
    let call = call_the_phone(&mut net);
    net.order(PHONE, |e, now| e.unregister(registration, now));
    let gone = |event: &SipEvent| {
        let state = SipEvent::Registration { registration, state: RegistrationState::Unregistered };
        (*event == state).then_some(())
    };
    wait(&mut net, PHONE, 33, gone).unwrap_or_else(|| panic!("seed {seed}: cannot leave"));
    // Where every copy of the goodbye was lost, the binding lapses by itself.
    net.run_for(Duration::from_secs(300));
    for node in [PHONE, REGISTRAR] {
        let rest = Ledger { flows: 0, timers: 0, ..net.node(node).endpoint.ledger() };
        assert_eq!(rest, Ledger::default(), "seed {seed} over {transport}, node {node}");
    }
    let unbound = |event: &SipEvent| match event {
        SipEvent::Unbound { user, why } => Some((user.clone(), *why)),
        _ => None,
    };
    let (user, why) = wait(&mut net, REGISTRAR, 1, unbound).expect("an unbinding");
    assert!(user == "1001" && matches!(why, UnboundWhy::Removed | UnboundWhy::Lapsed), "seed {seed}: {why:?}");
    call
}

fn call_the_phone(net: &mut Net) -> Option<()> {
    let binding = net.node(REGISTRAR).endpoint.bindings("1001").remove(0);
    let invite = Invite {
        uri: binding.contact,
        from: "<sip:web@sim.test>".parse().expect("an address"),
        to: None,
        target: binding.target,
        credentials: None,
        headers: Vec::new(),
        body: None,
        ring_limit: Some(Duration::from_secs(40)),
        call_id: None,
        identity: None,
        not_after: None,
        extensions: Extensions::USUAL,
    };
    let call = net.order(REGISTRAR, |e, now| e.invite(invite, now)).expect("room for a call");
    let incoming = |event: &SipEvent| match event {
        SipEvent::Incoming { call, .. } => Some(*call),
        _ => None,
    };
    let theirs = wait(net, PHONE, 33, incoming)?;
    net.order(PHONE, |e, now| e.answer(theirs, b"v=0\r\n".to_vec(), Vec::new(), now));
    let answered = |event: &SipEvent| matches!(event, SipEvent::Answered { .. }).then_some(());
    let up = wait(net, REGISTRAR, 33, answered);
    net.order(REGISTRAR, |e, now| e.hang_up(call, None, now));
    let ended = |event: &SipEvent| matches!(event, SipEvent::Ended { .. }).then_some(());
    wait(net, PHONE, 70, ended)?;
    up
}

fn run_seeds(transport: Transport) {
    let whole = (0..SEEDS).filter(|seed| run(*seed, transport).is_some()).count();
    println!("{transport}: {whole} of {SEEDS} seeds with a whole call");
    assert!(whole as u64 > SEEDS * 9 / 10, "{whole} of {SEEDS}");
}

#[test]
fn a_registration_over_bad_weather_holds_and_carries_a_call() {
    run_seeds(Transport::Udp);
}

#[test]
fn a_registration_over_a_stream_holds_and_carries_a_call() {
    run_seeds(Transport::Tcp);
}
