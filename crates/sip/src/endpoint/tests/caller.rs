//! Calls of ours: copies, answers, forks, CANCEL and its races, challenges, routes.

use super::*;
use crate::digest::Credentials;
use crate::endpoint::event::EndedBy;
use crate::error::{Failure, Reason};

#[test]
fn an_invite_nobody_answers_is_sent_seven_times_and_given_up_at_32_s() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    bench.run_until_ms(31_999);
    assert_eq!(bench.moments("INVITE"), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert!(bench.events().is_empty());
    bench.run_until_ms(40_000);
    assert_eq!(
        bench.event(),
        SipEvent::Failed { call, failure: Failure { unheard: true, ..Failure::timed_out(Timer::B) } }
    );
    assert!(bench.sent().is_empty(), "nothing after the end");
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn the_invite_carries_tags_contact_and_what_we_can_do() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, flow) = bench.request();
    assert_eq!(flow, udp(PEER));
    assert_eq!(request.uri.to_string(), "sip:600@192.0.2.9");
    let from = request.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("Visitor"));
    assert!(from.tag().is_some_and(|tag| tag.len() >= 8));
    assert_eq!(request.to_tag(), None);
    assert_eq!(request.max_forwards(), Some(70));
    assert_eq!(request.contact().unwrap().unwrap().uri.to_string(), "sip:web@192.0.2.1:5060");
    assert_eq!(request.headers.get_str("X-Passerelle-Page"), Some("https://shop.example/cart"));
    assert_eq!(request.headers.get_str("User-Agent"), Some("Passerelle"));
    assert!(request.headers.has_token(&HeaderName::Allow, "UPDATE"));
    let via = request.via().unwrap();
    assert!(via.rfc3261_branch().is_some() && via.rport() == Some(None), "{via}");
    assert_eq!(request.body, SDP);
}

#[test]
fn headers_of_the_application_cannot_become_the_endpoints_own_or_break_a_line() {
    let mut bench = Bench::new();
    for (name, value) in [
        ("Via", "SIP/2.0/UDP 203.0.113.1"),
        ("v", "SIP/2.0/UDP 203.0.113.1"),
        ("Contact", "<sip:a@b>"),
        ("CONTENT-LENGTH", "5"),
        ("X-A: b\r\nRoute", "x"),
        ("X-A", "b\r\nRoute: <sip:evil>"),
        ("X-A", ""),
        ("", "x"),
    ] {
        let mut invite = invite();
        invite.headers = vec![(name.into(), value.into())];
        let result = bench.order(|endpoint, now| endpoint.invite(invite, now));
        assert_eq!(result, Err(SipError::BadHeader), "{name:?}: {value:?}");
    }
    assert!(bench.sent().is_empty());
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn ringing_then_answer_then_ack_then_bye_of_ours() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    bench.receive(&request.reply(100, "Trying"));
    bench.receive(&reply(&request, 180, "peer"));
    match bench.event() {
        SipEvent::Progress { status, body, .. } => assert_eq!((status, body), (180, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.endpoint.ledger().dialogs, 1, "an early one");
    bench.run_until_ms(20_000);
    assert!(bench.sent().is_empty(), "no copies after a provisional");
    let answer = answered(&request, "peer");
    bench.receive(&answer);
    match bench.event() {
        SipEvent::Answered { status, body, .. } => assert_eq!((status, body.as_deref()), (200, Some(SDP))),
        other => panic!("{other:?}"),
    }
    let (ack, flow) = bench.request();
    assert_eq!((ack.method.clone(), flow), (Method::Ack, udp(PEER)));
    assert_eq!(ack.cseq().unwrap().number, 1);
    assert_ne!(ack.branch(), request.branch(), "an ACK of a 2xx has its own branch");
    assert_eq!(ack.to_tag().as_deref(), Some("peer"));
    // The ACK was lost: each copy of the 200 brings it again, the same.
    for at in [20_500, 21_500, 23_500] {
        bench.run_until_ms(at);
        bench.receive(&answer);
        let (again, _) = bench.request();
        assert_eq!(again.encode(), ack.encode());
    }
    assert!(bench.events().is_empty(), "an answer is reported once");
    let reason = Reason::q850_cause(16, "Normal call clearing");
    bench.order(|endpoint, now| endpoint.hang_up(call, Some(reason.clone()), now));
    let (bye, _) = bench.request();
    assert_eq!((bye.method.clone(), bye.cseq().unwrap().number), (Method::Bye, 2));
    assert_eq!(bye.headers.get_str("Reason"), Some("Q.850;cause=16;text=\"Normal call clearing\""));
    assert!(bench.events().is_empty(), "not before the far end knows");
    bench.receive(&reply(&bye, 200, "peer"));
    assert_eq!(bench.event(), SipEvent::Ended { call, by: EndedBy::Us, reason: Some(reason), q850: None });
    bench.assert_empty();
}

#[test]
fn a_bye_nobody_answers_ends_the_call_at_32_s() {
    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    bench.run_until_ms(33_000);
    assert_eq!(bench.moments("BYE"), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    bench.assert_empty();
}

#[test]
fn the_far_ends_bye_is_answered_and_its_reason_told() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_caller();
    let mut bye = bench.back(&invite, &answer, Method::Bye, 7);
    bye.headers.push(HeaderName::Reason, "Q.850;cause=31;text=\"Normal, unspecified\"");
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    match bench.event() {
        SipEvent::Ended { call: ended, by: EndedBy::Peer, q850: Some(31), reason: Some(_) } => assert_eq!(ended, call),
        other => panic!("{other:?}"),
    }
    // A copy gets the same answer and changes nothing.
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    // A second one with a new branch finds no call.
    let late = bench.back(&invite, &answer, Method::Bye, 8);
    bench.receive(&late);
    assert_eq!(bench.response().status, 481);
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    assert!(bench.events().is_empty() && bench.sent().is_empty());
    bench.assert_empty();
}

#[test]
fn a_refusal_is_acknowledged_on_its_own_branch_and_told_once() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut busy = reply(&request, 486, "peer");
    busy.headers.push(HeaderName::Reason, "Q.850;cause=17");
    busy.headers.push(HeaderName::RetryAfter, "30");
    bench.receive(&busy);
    let (ack, _) = bench.request();
    assert_eq!(ack.method, Method::Ack);
    assert_eq!(ack.branch(), request.branch(), "the ACK of a refusal belongs to the INVITE (§17.1.1.3)");
    assert_eq!(ack.to_tag().as_deref(), Some("peer"));
    match bench.event() {
        SipEvent::Failed { call: failed, failure } => {
            assert_eq!((failed, failure.status, failure.q850), (call, 486, Some(17)));
            assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
        }
        other => panic!("{other:?}"),
    }
    bench.receive(&busy);
    assert_eq!(bench.request().0.method, Method::Ack);
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn cancel_waits_for_a_provisional_and_the_487_ends_it() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    bench.order(|endpoint, now| endpoint.hang_up(call, Some(Reason::sip(200, "elsewhere")), now));
    assert!(bench.sent().is_empty(), "§9.1: nothing to cancel yet");
    // Whoever hangs up need not wait for a far end that has not said a word.
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    assert_eq!(bench.endpoint.ledger().calls, 1, "its messages are still on their way");
    bench.receive(&request.reply(100, "Trying"));
    let (cancel, _) = bench.request();
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(cancel.branch(), request.branch());
    assert_eq!(cancel.cseq().unwrap().number, 1);
    assert_eq!(cancel.to().unwrap(), request.to().unwrap());
    assert!(cancel.headers.get_str("Reason").is_some());
    bench.receive(&reply(&request, 180, "peer"));
    assert!(bench.events().is_empty() && bench.sent().is_empty(), "one CANCEL, no more progress");
    bench.receive(&reply(&cancel, 200, "peer"));
    bench.receive(&reply(&request, 487, "peer"));
    assert_eq!(bench.request().0.method, Method::Ack);
    assert!(bench.events().is_empty(), "told once");
    bench.assert_empty();
}

#[test]
fn a_late_answer_to_a_call_already_reported_is_acknowledged_and_ended() {
    let mut bench = Bench::new();
    let mut limited = invite();
    limited.ring_limit = Some(Duration::from_secs(4));
    let call = bench.order(|endpoint, now| endpoint.invite(limited, now)).unwrap();
    let (request, _) = bench.request();
    bench.run_until_ms(4_000);
    let failure = Failure::timed_out(Timer::Ring);
    assert_eq!(bench.event(), SipEvent::Failed { call, failure }, "at the limit, not at 32 s");
    bench.sent();
    bench.receive(&answered(&request, "peer"));
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["ACK", "BYE"]);
    bench.run_until_ms(60_000);
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn a_200_that_crosses_our_cancel_is_acknowledged_and_ended_with_bye() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    bench.receive(&reply(&request, 180, "peer"));
    bench.events();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (cancel, _) = bench.request();
    bench.receive(&answered(&request, "peer"));
    let titles: Vec<String> = bench.sent().iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(titles, ["ACK", "BYE"]);
    bench.receive(&reply(&cancel, 481, "peer"));
    assert!(bench.events().is_empty(), "neither answered nor over yet");
    bench.run_until_ms(32_000);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    bench.assert_empty();
}

#[test]
fn a_cancel_that_brings_nothing_ends_after_32_s() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    bench.receive(&reply(&request, 180, "peer"));
    bench.events();
    bench.run_until_ms(5_000);
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    bench.run_until_ms(36_999);
    assert!(bench.events().is_empty());
    bench.run_until_ms(37_000);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    assert!(bench.endpoint.ledger().calls == 0);
    bench.assert_empty();
}

#[test]
fn the_ring_limit_cancels_and_says_that_nobody_answered() {
    let mut bench = Bench::new();
    let mut invite = invite();
    invite.ring_limit = Some(Duration::from_secs(20));
    let call = bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    let (request, _) = bench.request();
    bench.receive(&reply(&request, 180, "peer"));
    bench.events();
    bench.run_until_ms(20_000);
    assert_eq!(bench.request().0.method, Method::Cancel);
    bench.receive(&reply(&request, 487, "peer"));
    let failure = match bench.event() {
        SipEvent::Failed { call: failed, failure } if failed == call => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure.status, 408);
    assert!(failure.timed_out.is_some_and(Timer::is_ring_limit));
    bench.assert_empty();
}

#[test]
fn of_a_fork_the_first_answer_counts_and_the_second_is_ended() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    for tag in ["one", "two", "one"] {
        bench.receive(&reply(&request, 180, tag));
    }
    assert_eq!(bench.events().len(), 3);
    assert_eq!(bench.endpoint.ledger().dialogs, 2);
    bench.receive(&answered(&request, "two"));
    assert!(matches!(bench.event(), SipEvent::Answered { .. }));
    assert_eq!(bench.request().0.to_tag().as_deref(), Some("two"));
    let other = answered(&request, "one");
    bench.receive(&other);
    let sent = bench.sent();
    let titles: Vec<String> = sent.iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(titles, ["ACK", "BYE"]);
    for (_, sent) in &sent {
        assert_eq!(parse(&sent.bytes).headers().name_addr(&HeaderName::To).unwrap().tag(), Some("one"));
    }
    // Its copies are acknowledged, and no second BYE goes out.
    bench.receive(&other);
    assert_eq!(bench.request().0.method, Method::Ack);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.ledger().calls, 1, "the call with the first branch goes on");
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    bench.assert_empty();
}

#[test]
fn a_2xx_after_the_call_was_given_up_is_acknowledged_and_ended() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    bench.receive(&answered(&request, "one"));
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let bye = match parse(&bench.sent().last().unwrap().1.bytes) {
        Message::Request(bye) => bye,
        Message::Response(_) => panic!("a BYE expected"),
    };
    bench.receive(&reply(&bye, 200, "one"));
    assert!(matches!(bench.events().last(), Some(SipEvent::Ended { .. })));
    bench.receive(&answered(&request, "two"));
    assert_eq!(bench.moments("BYE"), [0]);
    bench.assert_empty();
}

fn challenge(request: &Request, status: u16, realm: &str, nonce: &str) -> Response {
    let mut response = reply(request, status, "peer");
    let name = if status == 407 { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
    let value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
    response.headers.push(name, &value);
    response
}

fn with_credentials(realm: Option<&str>) -> Invite {
    let credentials = Credentials { username: "gw".into(), password: "secret".into(), realm: realm.map(str::to_owned) };
    Invite { credentials: Some(credentials), ..invite() }
}

#[test]
fn a_challenge_is_answered_once_with_the_next_cseq_and_a_new_branch() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(with_credentials(None), now)).unwrap();
    let (first, _) = bench.request();
    bench.receive(&challenge(&first, 407, "pbx", "n1"));
    let sent = bench.sent();
    assert_eq!(title(&sent[0].1.bytes), "ACK");
    let second = match parse(&sent[1].1.bytes) {
        Message::Request(second) => second,
        Message::Response(_) => panic!("an INVITE expected"),
    };
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_ne!(second.branch(), first.branch());
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from_tag(), first.from_tag());
    assert_eq!(second.to_tag(), None);
    assert_eq!(second.vias().unwrap().len(), 1);
    assert_eq!(second.body, SDP);
    assert!(second.headers.get(&HeaderName::ProxyAuthorization).is_some_and(|value| value.contains("\"n1\"")));
    assert!(bench.events().is_empty());
    bench.receive(&answered(&second, "peer"));
    let (ack, _) = bench.request();
    assert_eq!(ack.cseq().unwrap().number, 2);
    assert!(ack.headers.get(&HeaderName::ProxyAuthorization).is_some(), "§22.1");
    assert!(matches!(bench.event(), SipEvent::Answered { .. }));
}

#[test]
fn every_kind_of_request_is_proven_over_udp_and_over_a_stream() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new();
        let mut call = with_credentials(None);
        call.target.transport = transport;
        call.target.local = usize::from(transport == Transport::Tcp);
        let receive = |bench: &mut Bench, response: &Response| match transport {
            Transport::Udp => bench.receive(response),
            Transport::Tcp | Transport::Tls => bench.receive_stream(PEER, response),
        };
        let proven = |bench: &mut Bench, method: &Method| {
            let mut requests = bench.sent().into_iter().filter_map(|(_, sent)| match parse(&sent.bytes) {
                Message::Request(request) if request.method == *method => Some(request),
                Message::Request(_) | Message::Response(_) => None,
            });
            let request = requests.next_back().unwrap_or_else(|| panic!("no {method} over {transport}"));
            assert!(request.headers.get(&HeaderName::Authorization).is_some(), "{method} over {transport}");
            assert_eq!(request.vias().unwrap().len(), 1);
            request
        };
        let call = bench.order(|endpoint, now| endpoint.invite(call, now)).unwrap();
        let (first, _) = bench.request();
        receive(&mut bench, &challenge(&first, 401, "pbx", "n1"));
        let second = proven(&mut bench, &Method::Invite);
        receive(&mut bench, &answered(&second, "peer"));
        bench.sent();
        bench.order(|endpoint, now| endpoint.reinvite(call, SDP.to_vec(), now)).unwrap();
        let (reinvite, _) = bench.request();
        assert_eq!(reinvite.cseq().unwrap().number, 3);
        receive(&mut bench, &challenge(&reinvite, 401, "pbx", "n2"));
        let again = proven(&mut bench, &Method::Invite);
        assert_eq!(again.cseq().unwrap().number, 4);
        receive(&mut bench, &answered(&again, "peer"));
        bench.sent();
        bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
        let (bye, _) = bench.request();
        assert_eq!(bye.cseq().unwrap().number, 5);
        receive(&mut bench, &challenge(&bye, 401, "pbx", "n3"));
        let last = proven(&mut bench, &Method::Bye);
        receive(&mut bench, &reply(&last, 200, "peer"));
        assert!(matches!(bench.events().last(), Some(SipEvent::Ended { by: EndedBy::Us, .. })));
        assert_eq!(bench.endpoint.ledger().calls, 0);
    }
}

#[test]
fn wrong_credentials_are_not_tried_twice() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(with_credentials(None), now)).unwrap();
    let (first, _) = bench.request();
    bench.receive(&challenge(&first, 401, "pbx", "n1"));
    let sent = bench.sent();
    let Message::Request(second) = parse(&sent[1].1.bytes) else { panic!("an INVITE expected") };
    bench.receive(&challenge(&second, 401, "pbx", "n2"));
    assert_eq!(bench.request().0.method, Method::Ack);
    match bench.event() {
        SipEvent::Failed { failure, .. } => assert_eq!(failure.status, 401),
        other => panic!("{other:?}"),
    }
    bench.assert_empty();
}

#[test]
fn a_password_never_answers_another_realm_another_host_or_nobodys_challenge() {
    // SECURITY S7.
    let check = |invite: Invite, from: &str, realm: &str| {
        let mut bench = Bench::new();
        bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
        let (first, _) = bench.request();
        bench.receive_from(from, &challenge(&first, 407, realm, "n1"));
        for (_, sent) in bench.sent() {
            let message = parse(&sent.bytes);
            assert!(message.headers().get(&HeaderName::ProxyAuthorization).is_none(), "{from} {realm}");
        }
        assert!(matches!(bench.event(), SipEvent::Failed { .. }));
    };
    check(with_credentials(Some("pbx")), PEER, "evil");
    check(with_credentials(Some("pbx")), "203.0.113.66:5060", "pbx");
    check(invite(), PEER, "pbx");
}

#[test]
fn requests_follow_the_recorded_route_and_the_contact() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut answer = answered(&request, "peer");
    answer.headers.set(HeaderName::Contact, "<sip:600@10.1.1.1:5070>");
    answer.headers.push(HeaderName::RecordRoute, "<sip:192.0.2.50;lr>, <sip:192.0.2.9;lr>");
    bench.receive(&answer);
    let (ack, flow) = bench.request();
    assert_eq!(ack.uri.to_string(), "sip:600@10.1.1.1:5070");
    let routes: Vec<&str> = ack.headers.all(&HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:192.0.2.9;lr>", "<sip:192.0.2.50;lr>"]);
    assert_eq!(flow.remote.to_string(), "192.0.2.9:5060");
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, _) = bench.request();
    assert_eq!(bye.headers.all(&HeaderName::Route).count(), 2);
}

#[test]
fn behind_nat_the_ack_goes_where_the_answer_came_from() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut answer = answered(&request, "peer");
    answer.headers.set(HeaderName::Contact, "<sip:600@192.168.1.4:5060>");
    bench.receive(&answer);
    let (ack, flow) = bench.request();
    assert_eq!(ack.uri.to_string(), "sip:600@192.168.1.4:5060");
    assert_eq!(flow, udp(PEER));
}

#[test]
fn a_transport_that_fails_fails_the_call_at_once() {
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    bench.order(|endpoint, now| endpoint.handle_transport_error(udp(PEER), now));
    match bench.event() {
        SipEvent::Failed { call: failed, failure } => assert_eq!((failed, failure.status), (call, 503)),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn stray_responses_and_responses_with_a_second_via_are_dropped_with_a_reason() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut answer = answered(&request, "peer");
    answer.headers.push(HeaderName::Via, "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKother");
    bench.receive(&answer);
    let mut stray = answered(&request, "peer");
    stray.headers.set(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKguess");
    bench.receive(&stray);
    assert_eq!(bench.refusals, [Refusal::StrayResponse, Refusal::StrayResponse]);
    assert!(bench.events().is_empty() && bench.sent().is_empty());
}

#[test]
fn an_options_probe_reports_any_answer_and_silence() {
    let mut bench = Bench::new();
    let target = invite().target;
    let probe = bench.order(|endpoint, now| endpoint.options(target, now));
    let (request, _) = bench.request();
    assert_eq!(request.method, Method::Options);
    bench.receive(&reply(&request, 404, "peer"));
    assert_eq!(bench.event(), SipEvent::Probed { probe, result: Ok(404) });
    let silent = bench.order(|endpoint, now| endpoint.options(target, now));
    bench.run_until_ms(33_000);
    assert_eq!(bench.event(), SipEvent::Probed { probe: silent, result: Err(Failure::timed_out(Timer::F)) });
    bench.assert_empty();
}

#[test]
fn after_its_time_an_invite_is_sent_neither_again_nor_with_credentials() {
    let limited =
        |bench: &Bench| Invite { not_after: Some(bench.now + Duration::from_secs(2)), ..with_credentials(None) };
    let mut bench = Bench::new();
    let invite = limited(&bench);
    bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    bench.run_until_ms(40_000);
    let sent: Vec<u64> = bench.sent().iter().map(|(at, _)| *at).collect();
    assert_eq!(sent, [0, 500, 1_500], "the next would leave at 3.5 s");
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 408));

    let mut bench = Bench::new();
    let invite = limited(&bench);
    bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    let (first, _) = bench.request();
    bench.receive(&reply(&first, 100, "peer"));
    bench.run_until_ms(2_500);
    bench.receive(&challenge(&first, 407, "pbx", "n1"));
    let titles: Vec<String> = bench.sent().iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(titles, ["ACK"], "no INVITE with credentials follows");
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 407));
}
