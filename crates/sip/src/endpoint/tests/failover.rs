//! Leaving a silent target for another one, and what the first may still do: nothing that rings goes on ringing.

use super::*;
use crate::error::Failure;

fn called() -> (Bench, CallRef, Request) {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    (bench, call, request)
}

#[test]
fn a_silent_target_is_left_without_a_further_invite_and_without_a_word() {
    let (mut bench, call, _) = called();
    bench.run_until_ms(3_000);
    assert_eq!(bench.moments("INVITE"), [500, 1_500]);
    assert!(bench.order(|endpoint, _| endpoint.is_unheard(call)));
    assert!(bench.order(|endpoint, now| endpoint.abandon(call, now)));
    assert!(!bench.order(|endpoint, now| endpoint.abandon(call, now)), "once");
    // The same call goes elsewhere: same Call-ID, another tag and branch.
    let mut second = invite();
    second.call_id = Some("the-same-call".to_owned());
    second.target.address = "192.0.2.10:5060".parse().unwrap();
    bench.order(|endpoint, now| endpoint.invite(second, now)).unwrap();
    let (request, flow) = bench.request();
    assert_eq!(flow, udp("192.0.2.10:5060"));
    bench.receive_from("192.0.2.10:5060", &reply(&request, 486, "other"));
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 486 && !failure.unheard));
    bench.sent();
    bench.run_until_ms(40_000);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn a_target_that_wakes_up_late_is_told_to_stop_ringing() {
    let (mut bench, call, request) = called();
    bench.run_until_ms(3_000);
    bench.order(|endpoint, now| endpoint.abandon(call, now));
    bench.sent();
    bench.run_until_ms(5_000);
    bench.receive(&reply(&request, 180, "late"));
    let (cancel, _) = bench.request();
    assert_eq!((cancel.method.clone(), cancel.branch()), (Method::Cancel, request.branch()));
    bench.receive(&cancel.reply(200, "OK"));
    bench.receive(&reply(&request, 487, "late"));
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn a_target_that_answers_late_is_acknowledged_and_ended() {
    let (mut bench, call, request) = called();
    bench.run_until_ms(3_000);
    bench.order(|endpoint, now| endpoint.abandon(call, now));
    bench.sent();
    bench.receive(&answered(&request, "late"));
    let titles: Vec<String> = bench.sent().into_iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(titles, ["ACK", "BYE"]);
    bench.run_until_ms(40_000);
    assert!(bench.events().iter().all(|event| !matches!(event, SipEvent::Answered { .. } | SipEvent::Failed { .. })));
    bench.assert_empty();
}

/// No doubled ring: what has said a word, were it 100 or a challenge, is not left.
#[test]
fn a_target_that_said_a_word_is_not_left() {
    for status in [100, 180, 183] {
        let (mut bench, call, request) = called();
        bench.receive(&reply(&request, status, "there"));
        assert!(!bench.order(|endpoint, now| endpoint.abandon(call, now)), "{status}");
        assert!(!bench.order(|endpoint, _| endpoint.is_unheard(call)), "{status}");
    }
    let mut bench = Bench::new();
    let mut known = invite();
    known.credentials =
        Some(crate::digest::Credentials { username: "a".into(), password: "b".into(), realm: Some("pbx".into()) });
    let call = bench.order(|endpoint, now| endpoint.invite(known, now)).unwrap();
    let (request, _) = bench.request();
    let mut challenge = reply(&request, 401, "there");
    challenge.headers.push(HeaderName::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"1\", qop=\"auth\"");
    bench.receive(&challenge);
    assert_eq!(bench.moments("INVITE").len(), 1, "proven");
    assert!(!bench.order(|endpoint, now| endpoint.abandon(call, now)));
}

#[test]
fn a_failure_says_whether_a_word_was_heard() {
    let (mut bench, call, request) = called();
    bench.order(|endpoint, now| endpoint.handle_transport_error(udp(PEER), now));
    assert_eq!(bench.event(), SipEvent::Failed { call, failure: Failure { unheard: true, ..Failure::transport() } });
    drop(request);
    let (mut bench, _, request) = called();
    bench.receive(&reply(&request, 100, "there"));
    bench.order(|endpoint, now| endpoint.handle_transport_error(udp(PEER), now));
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if !failure.unheard));
    let (mut bench, _, request) = called();
    bench.receive(&reply(&request, 503, "there"));
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if !failure.unheard && failure.status == 503));
}

#[test]
fn a_probe_given_up_leaves_nothing() {
    let mut bench = Bench::new();
    let probe = bench.order(|endpoint, now| endpoint.options(invite().target, now));
    assert_eq!(bench.request().0.method, Method::Options);
    bench.run_until_ms(3_000);
    bench.sent();
    bench.order(|endpoint, _| endpoint.forget_probe(probe));
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
    bench.run_until_ms(40_000);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
}

/// A large INVITE goes by TCP (RFC 3261 §18.1.1). Its connection fails after the call has left: no datagram takes its place.
#[test]
fn a_large_invite_that_was_left_is_not_sent_as_a_datagram() {
    let mut bench = Bench::new();
    let mut large = invite();
    large.headers.push(("X-Passerelle-Page".into(), "x".repeat(1_400)));
    let call = bench.order(|endpoint, now| endpoint.invite(large, now)).unwrap();
    let (_, flow) = bench.request();
    assert_eq!(flow, tcp(PEER));
    bench.run_until_ms(3_000);
    assert!(bench.order(|endpoint, now| endpoint.abandon(call, now)));
    bench.order(|endpoint, now| endpoint.handle_transport_error(tcp(PEER), now));
    assert!(bench.sent().is_empty());
    let told = |event: &SipEvent| matches!(event, SipEvent::Failed { .. } | SipEvent::Ended { .. });
    assert!(!bench.events().iter().any(told));
    bench.assert_empty();
}
