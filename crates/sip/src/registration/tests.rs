//! A registration of ours against a scripted registrar.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on whatever it does not expect")]

use super::*;
use crate::digest::Credentials;
use crate::endpoint::tests::{Bench, PEER, invite, parse, tcp, udp};
use crate::endpoint::{Ledger, Transport};
use crate::message::Message;

fn wish() -> RegistrationConfig {
    RegistrationConfig {
        registrar: "sip:pbx.test".parse().unwrap(),
        target: invite().target,
        aor: "sip:passerelle@pbx.test".parse().unwrap(),
        credentials: Some(Credentials { username: "passerelle".into(), password: "secret".into(), realm: None }),
        expires_s: 300,
        local: 0,
    }
}

fn start() -> (Bench, RegistrationRef, Request) {
    let mut bench = Bench::new();
    let registration = bench.order(|endpoint, now| endpoint.register(wish(), now));
    assert_eq!(state(&mut bench), RegistrationState::Trying);
    let (request, flow) = bench.request();
    assert_eq!(flow, udp(PEER));
    (bench, registration, request)
}

fn state(bench: &mut Bench) -> RegistrationState {
    match bench.event() {
        SipEvent::Registration { state, .. } => state,
        other => panic!("{other:?}"),
    }
}

fn challenge(request: &Request) -> Response {
    let mut response = request.reply(401, "Unauthorized");
    let value = "Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
    response.headers.push(HeaderName::WwwAuthenticate, value);
    response
}

/// 200 that grants this long to our contact, which stands among others.
fn granted(request: &Request, seconds: u32) -> Response {
    let mut response = request.reply(200, "OK");
    let ours = request.headers.get(&HeaderName::Contact).unwrap().to_owned();
    response.headers.push(HeaderName::Contact, "<sip:passerelle@198.51.100.77:5060>;expires=3000");
    response.headers.push(HeaderName::Contact, &format!("{ours};expires={seconds}"));
    response
}

#[test]
fn it_registers_with_a_password_and_renews_before_the_granted_time() {
    let (mut bench, _, first) = start();
    assert_eq!(first.uri.to_string(), "sip:pbx.test");
    assert_eq!(first.contact().unwrap().unwrap().uri.to_string(), "sip:passerelle@192.0.2.1:5060");
    assert_eq!(first.headers.get_str("Expires"), Some("300"));
    bench.receive(&challenge(&first));
    let (second, _) = bench.request();
    assert_eq!((second.cseq().unwrap().number, second.vias().unwrap().len()), (2, 1));
    assert_eq!(second.call_id(), first.call_id());
    assert!(second.headers.get(&HeaderName::Authorization).is_some());
    bench.receive(&granted(&second, 100));
    match state(&mut bench) {
        RegistrationState::Registered { until } => assert_eq!((until - bench.now).as_secs(), 100),
        other => panic!("{other:?}"),
    }
    bench.run_until_ms(69_000);
    assert!(bench.sent().is_empty());
    bench.run_until_ms(86_000);
    let moments = bench.sent();
    let at = moments[0].0;
    assert!((70_000..=85_000).contains(&at), "renewed at {at} ms of 100 s");
}

#[test]
fn what_the_registrar_grants_counts_not_what_we_asked() {
    let (mut bench, _, request) = start();
    let mut response = request.reply(200, "OK");
    response.headers.push(HeaderName::Expires, "50");
    bench.receive(&response);
    assert!(
        matches!(state(&mut bench), RegistrationState::Registered { until } if (until - bench.now).as_secs() == 50)
    );
    bench.run_until_ms(45_000);
    assert!(!bench.sent().is_empty());
}

#[test]
fn a_423_is_asked_again_with_its_minimum() {
    let (mut bench, _, request) = start();
    let mut response = request.reply(423, "Interval Too Brief");
    response.headers.push(HeaderName::MinExpires, "1800");
    bench.receive(&response);
    let (again, _) = bench.request();
    assert_eq!(again.headers.get_str("Expires"), Some("1800"));
    assert_eq!(again.cseq().unwrap().number, 2);
    // A registrar that contradicts itself is not asked in a circle.
    let mut response = again.reply(423, "Interval Too Brief");
    response.headers.push(HeaderName::MinExpires, "1800");
    bench.receive(&response);
    assert!(matches!(state(&mut bench), RegistrationState::Failed { status: 423, .. }));
}

#[test]
fn a_silent_registrar_is_tried_for_ever_and_never_more_than_30_s_apart() {
    let (mut bench, _, _) = start();
    let mut failures = 0;
    for minute in 1..=60 {
        bench.run_until_ms(minute * 60_000);
        for event in bench.events() {
            match event {
                SipEvent::Registration { state: RegistrationState::Failed { status, .. }, .. } => {
                    assert_eq!(status, 408);
                    failures += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // 32 s of timer F and 15 to 30 s of pause each.
    assert!((55..=80).contains(&failures), "{failures} failures in an hour");
    // The registrar comes back: the next REGISTER is answered.
    bench.sent();
    let mut ms = bench.now_ms();
    let request = loop {
        ms += 100;
        bench.run_until_ms(ms);
        if let Some((_, last)) = bench.sent().pop() {
            match parse(&last.bytes) {
                Message::Request(request) => break request,
                Message::Response(_) => panic!("a REGISTER expected"),
            }
        }
    };
    assert!(ms <= 3_600_000 + 35_000, "seen again at {ms} ms");
    bench.events();
    bench.receive(&granted(&request, 300));
    assert!(matches!(state(&mut bench), RegistrationState::Registered { .. }));
}

#[test]
fn a_refusal_is_tried_again_later_and_later_and_never_given_up() {
    let (mut bench, _, request) = start();
    let mut request = request;
    let mut waits = Vec::new();
    for _ in 0..10 {
        bench.receive(&request.reply(403, "Forbidden"));
        let retry_at = match state(&mut bench) {
            RegistrationState::Failed { status: 403, retry_at, .. } => retry_at,
            other => panic!("{other:?}"),
        };
        waits.push((retry_at - bench.now).as_secs());
        let until = bench.now_ms() + u64::try_from((retry_at - bench.now).as_millis()).unwrap() + 1;
        bench.run_until_ms(until);
        request = bench.request().0;
    }
    assert!((15..=30).contains(&waits[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 1_800) && waits[9] >= 900, "{waits:?}");
}

#[test]
fn retry_after_is_obeyed() {
    let (mut bench, _, request) = start();
    let mut response = request.reply(503, "Service Unavailable");
    response.headers.push(HeaderName::RetryAfter, "120");
    bench.receive(&response);
    assert!(matches!(
        state(&mut bench),
        RegistrationState::Failed { retry_at, .. } if (retry_at - bench.now).as_secs() == 120
    ));
}

#[test]
fn wrong_passwords_and_strangers_challenges_are_not_answered_in_a_circle() {
    let (mut bench, _, first) = start();
    bench.receive(&challenge(&first));
    let (second, _) = bench.request();
    bench.receive(&challenge(&second));
    assert!(bench.sent().is_empty());
    assert!(matches!(state(&mut bench), RegistrationState::Failed { status: 401, .. }));
    // SECURITY S7: the challenge of another address.
    let (mut bench, _, first) = start();
    bench.receive_from("203.0.113.66:5060", &challenge(&first));
    assert!(bench.sent().is_empty());
}

#[test]
fn taking_it_back_says_expires_0_and_leaves_nothing() {
    let (mut bench, registration, request) = start();
    bench.receive(&granted(&request, 300));
    bench.events();
    bench.order(|endpoint, now| endpoint.unregister(registration, now));
    let (goodbye, _) = bench.request();
    assert_eq!(goodbye.headers.get_str("Expires"), Some("0"));
    bench.receive(&goodbye.reply(200, "OK"));
    assert_eq!(state(&mut bench), RegistrationState::Unregistered);
    bench.order(|endpoint, now| endpoint.unregister(registration, now));
    assert!(bench.events().is_empty());
    bench.assert_empty();
    // A registrar that is gone does not keep us either.
    let (mut bench, registration, _) = start();
    bench.order(|endpoint, now| endpoint.unregister(registration, now));
    bench.run_until_ms(33_000);
    assert_eq!(state(&mut bench), RegistrationState::Unregistered);
    bench.assert_empty();
}

#[test]
fn a_connection_that_closes_brings_a_new_register() {
    let mut bench = Bench::new();
    let mut wish = wish();
    wish.target.transport = Transport::Tcp;
    wish.target.local = 1;
    wish.local = 1;
    bench.order(|endpoint, now| endpoint.register(wish, now));
    let (request, flow) = bench.request();
    assert_eq!(flow, tcp(PEER));
    bench.receive_stream(PEER, &granted(&request, 3_600));
    bench.events();
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(PEER), now));
    bench.run_until_ms(2_100);
    assert_eq!(bench.request().0.method, Method::Register);
    assert_ne!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn a_stale_nonce_is_no_wrong_password() {
    let (mut bench, _, first) = start();
    bench.receive(&challenge(&first));
    let (second, _) = bench.request();
    bench.receive(&granted(&second, 100));
    bench.events();
    // Renewed an hour of nonces later: the registrar wants a new proof, and says that the old one was right.
    bench.run_until_ms(69_000);
    let renewal = loop {
        let ms = bench.now_ms() + 200;
        bench.run_until_ms(ms);
        if let Some((_, sent)) = bench.sent().pop() {
            match parse(&sent.bytes) {
                Message::Request(request) => break request,
                Message::Response(response) => panic!("{response:?}"),
            }
        }
    };
    let mut stale = renewal.reply(401, "Unauthorized");
    let value = "Digest realm=\"pbx\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth\", stale=true";
    stale.headers.push(HeaderName::WwwAuthenticate, value);
    bench.receive(&stale);
    let (proven, _) = bench.request();
    assert!(proven.headers.get(&HeaderName::Authorization).is_some_and(|value| value.contains("nonce=\"n2\"")));
    // Stale again at once: still no wrong password, but no circle either.
    let mut again = proven.reply(401, "Unauthorized");
    again.headers.push(HeaderName::WwwAuthenticate, &value.replace("n2", "n3"));
    bench.receive(&again);
    let (third, _) = bench.request();
    bench.receive(&granted(&third, 100));
    assert!(matches!(state(&mut bench), RegistrationState::Registered { .. }));
}

#[test]
fn only_the_trunks_realm_is_answered() {
    let mut bench = Bench::new();
    let mut wish = wish();
    wish.credentials = wish.credentials.map(|known| Credentials { realm: Some("pbx.test".into()), ..known });
    bench.order(|endpoint, now| endpoint.register(wish, now));
    bench.events();
    let (request, _) = bench.request();
    bench.receive(&challenge(&request));
    assert!(bench.sent().is_empty(), "SECURITY S7");
    assert!(matches!(state(&mut bench), RegistrationState::Failed { status: 401, .. }));
}

#[test]
fn a_registration_is_renewed_when_told_and_not_twice_at_once() {
    let (mut bench, registration, request) = start();
    bench.order(|endpoint, now| endpoint.renew(registration, now));
    assert!(bench.sent().is_empty(), "one is on its way");
    bench.receive(&granted(&request, 3_600));
    bench.events();
    bench.run_until_ms(10_000);
    bench.order(|endpoint, now| endpoint.renew(registration, now));
    let (renewal, _) = bench.request();
    assert_eq!(renewal.call_id(), request.call_id());
    bench.receive(&granted(&renewal, 3_600));
    assert!(matches!(state(&mut bench), RegistrationState::Registered { .. }));
    // After a refusal the wait is over too.
    bench.run_until_ms(20_000);
    bench.order(|endpoint, now| endpoint.renew(registration, now));
    let (renewal, _) = bench.request();
    bench.receive(&renewal.reply(403, "Forbidden"));
    bench.events();
    bench.order(|endpoint, now| endpoint.renew(registration, now));
    assert_eq!(bench.request().0.method, Method::Register);
}

/// A day of a registrar that answers as it likes, from two thousand seeds: there is always a next try, and it comes within
/// the cap or what the registrar asked for.
#[test]
fn whatever_a_registrar_answers_there_is_a_next_try() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..300_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut bench, _, first) = start();
        let mut request = Some(first);
        for _ in 0..40 {
            if let Some(asked) = request.take() {
                let roll = rng.random_range(0..9);
                let mut answer = match roll {
                    0 => granted(&asked, rng.random_range(1..4_000)),
                    1 | 2 => challenge(&asked),
                    3 => asked.reply(403, "Forbidden"),
                    4 => asked.reply(423, "Interval Too Brief"),
                    5 => asked.reply(503, "Service Unavailable"),
                    6 => asked.reply(500, "Oops"),
                    _ => asked.reply(404, "Not Found"),
                };
                if roll == 4 && rng.random_bool(0.8) {
                    answer.headers.push(HeaderName::MinExpires, &rng.random_range(1..9_000).to_string());
                }
                if roll == 5 && rng.random_bool(0.5) {
                    answer.headers.push(HeaderName::RetryAfter, &rng.random_range(1..900).to_string());
                }
                // Sometimes it says nothing at all.
                if roll != 8 {
                    bench.receive(&answer);
                }
            }
            let mut waited = 0;
            while request.is_none() {
                request = bench.sent().into_iter().find_map(|(_, sent)| match parse(&sent.bytes) {
                    Message::Request(request) => Some(request),
                    Message::Response(_) => None,
                });
                if request.is_none() {
                    let ms = bench.now_ms() + 1_000;
                    bench.run_until_ms(ms);
                    waited += 1;
                    assert!(waited <= 3_600, "seed {seed}: nothing for an hour");
                }
            }
            bench.events();
        }
    }
}
