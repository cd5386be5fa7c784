//! Calls from outside: 100, 180, 200 until its ACK, refusals, CANCEL, BYE, strangers.

use super::*;
use crate::endpoint::event::EndedBy;

#[test]
fn an_invitation_is_told_whole_and_rings_and_answers() {
    let mut bench = Bench::new();
    let mut invite = bench.foreign(Method::Invite);
    invite.headers.push(HeaderName::parse("X-Ticket"), "42");
    bench.receive(&invite);
    let trying = bench.response();
    assert_eq!((trying.status, trying.to_tag()), (100, None));
    let (call, told) = match bench.event() {
        SipEvent::Incoming { call, invite } => (call, invite),
        other => panic!("{other:?}"),
    };
    assert_eq!(told.uri.to_string(), "sip:desk@192.0.2.1");
    assert_eq!(told.headers.get_str("x-ticket"), Some("42"));
    assert_eq!((told.body.as_deref(), told.flow, told.account), (Some(SDP), udp(PEER), None));
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    assert_eq!(ringing.status, 180);
    let tag = ringing.to_tag().unwrap();
    assert!(ringing.contact().unwrap().is_some());
    // A copy of the INVITE gets the last provisional again, and is no second call.
    bench.receive(&invite);
    assert_eq!(bench.response().status, 180);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(SDP.to_vec()), now));
    assert_eq!(bench.response().body, SDP);
    let own = vec![("X-Agent".to_owned(), "Claire".to_owned()), ("Via".to_owned(), "x".to_owned())];
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), own, now));
    let answer = bench.response();
    assert_eq!((answer.status, answer.to_tag()), (200, Some(tag)));
    assert_eq!(answer.headers.get_str("X-Agent"), Some("Claire"));
    assert_eq!(answer.vias().unwrap().len(), 1);
    assert_eq!(answer.content_type().as_deref(), Some("application/sdp"));
    assert!(bench.events().is_empty());
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    bench.receive(&ack);
    assert_eq!(bench.event(), SipEvent::Confirmed { call, body: None });
    bench.receive(&ack);
    bench.run_until_ms(60_000);
    assert!(bench.events().is_empty() && bench.sent().is_empty(), "an ACK is told once and ends the copies");
    assert_eq!(bench.endpoint.ledger(), Ledger { calls: 1, dialogs: 1, ..Ledger::default() });
}

#[test]
fn a_200_without_ack_is_repeated_up_to_every_4_s_and_ended_with_bye_at_32_s() {
    let mut bench = Bench::new();
    let (_, call) = bench.called();
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    bench.run_until_ms(31_999);
    assert_eq!(bench.moments("200"), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    bench.run_until_ms(32_000);
    let (bye, flow) = bench.request();
    assert_eq!((bye.method.clone(), flow), (Method::Bye, udp(PEER)));
    bench.receive(&reply(&bye, 481, "x"));
    match bench.event() {
        SipEvent::Ended { by, .. } => assert_eq!(by, EndedBy::Timer(Timer::AckWait)),
        other => panic!("{other:?}"),
    }
    bench.assert_empty();
}

#[test]
fn a_hang_up_before_the_ack_sends_its_bye_after_it() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    assert!(bench.sent().is_empty(), "§15: no BYE before the ACK");
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    bench.receive(&ack);
    let (bye, _) = bench.request();
    assert_eq!(bye.method, Method::Bye);
    assert!(bench.events().is_empty());
    bench.receive(&reply(&bye, 200, "x"));
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    bench.assert_empty();
}

#[test]
fn a_rejection_is_repeated_until_its_ack() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.reject(call, 486, None, now));
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    bench.run_until_ms(2_000);
    let sent = bench.sent();
    let at: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [0, 500, 1_500]);
    let Message::Response(busy) = parse(&sent[0].1.bytes) else { panic!("a response expected") };
    assert_eq!((busy.status, busy.phrase.as_str()), (486, "Busy Here"));
    let mut ack = bench.within(&invite, &busy, Method::Ack, 1);
    ack.headers.set(HeaderName::Via, invite.headers.get(&HeaderName::Via).unwrap());
    bench.receive(&ack);
    bench.run_until_ms(30_000);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    assert!(bench.refusals.is_empty(), "that ACK is no stray");
    bench.assert_empty();
}

#[test]
fn a_cancel_is_answered_the_invite_gets_487_and_the_call_is_over() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    let mut cancel = invite;
    cancel.method = Method::Cancel;
    cancel.headers.set(HeaderName::CSeq, "1 CANCEL");
    cancel.headers.push(HeaderName::Reason, "SIP;cause=200;text=\"Call completed elsewhere\"");
    cancel.headers.remove(&HeaderName::ContentType);
    cancel.body.clear();
    bench.receive(&cancel);
    let sent = bench.sent();
    let statuses: Vec<String> = sent.iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(statuses, ["200", "487"]);
    for (_, sent) in &sent {
        let to = parse(&sent.bytes).headers().name_addr(&HeaderName::To).unwrap();
        assert_eq!(to.tag().map(str::to_owned), ringing.to_tag(), "§9.2: one tag");
    }
    let events = bench.events();
    assert_eq!(events[0], SipEvent::Cancelled { call });
    match &events[1] {
        SipEvent::Ended { by: EndedBy::Peer, reason: Some(reason), .. } => assert_eq!(reason.cause, Some(200)),
        other => panic!("{other:?}"),
    }
    assert_eq!(events.len(), 2);
    // What the application still says comes too late and does nothing.
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    assert!(bench.events().is_empty() && bench.sent().is_empty());
    bench.assert_empty();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    let mut cancel = invite.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set(HeaderName::CSeq, "1 CANCEL");
    cancel.headers.remove(&HeaderName::ContentType);
    cancel.body.clear();
    bench.receive(&cancel);
    assert_eq!(bench.response().status, 200);
    assert!(bench.events().is_empty());
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    bench.receive(&ack);
    assert!(matches!(bench.event(), SipEvent::Confirmed { .. }));
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut bench = Bench::new();
    let cancel = bench.foreign(Method::Cancel);
    bench.receive(&cancel);
    assert_eq!(bench.response().status, 481);
    assert_eq!(bench.refusals, [Refusal::NoDialog]);
    bench.assert_empty();
}

#[test]
fn an_offer_in_our_200_is_answered_in_the_ack() {
    let mut bench = Bench::new();
    let mut invite = bench.foreign(Method::Invite);
    invite.body.clear();
    invite.headers.remove(&HeaderName::ContentType);
    bench.receive(&invite);
    bench.sent();
    let call = match bench.event() {
        SipEvent::Incoming { call, invite } => {
            assert_eq!(invite.body, None);
            call
        }
        other => panic!("{other:?}"),
    };
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    let mut ack = bench.within(&invite, &answer, Method::Ack, 1);
    ack.headers.push(HeaderName::ContentType, "application/sdp");
    ack.body = b"v=0\r\n".to_vec();
    bench.receive(&ack);
    assert_eq!(bench.event(), SipEvent::Confirmed { call, body: Some(b"v=0\r\n".to_vec()) });
}

#[test]
fn the_same_invite_by_two_ways_is_482_and_one_call() {
    let mut bench = Bench::new();
    let (invite, _) = bench.called();
    let mut other = invite;
    other.headers.set(HeaderName::Via, &format!("SIP/2.0/UDP {PEER};branch=z9hG4bKotherway;rport"));
    bench.receive(&other);
    assert_eq!(bench.response().status, 482);
    assert_eq!(bench.refusals, [Refusal::Merged]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.ledger().calls, 1);
}

#[test]
fn a_strangers_invite_is_challenged_and_makes_no_call() {
    let mut bench = Bench::new();
    let invite = bench.foreign(Method::Invite);
    bench.receive_from("203.0.113.7:5060", &invite);
    let challenge = bench.response();
    assert_eq!(challenge.status, 401);
    assert!(challenge.headers.get(&HeaderName::WwwAuthenticate).is_some());
    assert_eq!(bench.refusals, [Refusal::Unauthenticated]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.ledger().calls, 0);
    bench.assert_empty();
}

#[test]
fn a_caller_who_gives_up_by_bye_is_gone() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    let bye = bench.within(&invite, &ringing, Method::Bye, 2);
    bench.receive(&bye);
    let statuses: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(statuses, ["200", "487"]);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Peer, .. }));
    bench.assert_empty();
}

#[test]
fn requests_for_calls_that_are_not_there_are_481() {
    let mut bench = Bench::new();
    for method in [Method::Bye, Method::Info, Method::Update, Method::Invite] {
        let mut request = bench.foreign(method.clone());
        request.headers.set(HeaderName::To, "<sip:desk@192.0.2.1>;tag=gone");
        bench.receive(&request);
        assert_eq!(bench.response().status, 481, "{method}");
    }
    let mut ack = bench.foreign(Method::Ack);
    ack.headers.set(HeaderName::To, "<sip:desk@192.0.2.1>;tag=gone");
    bench.receive(&ack);
    assert!(bench.sent().is_empty(), "an ACK is never answered");
    assert_eq!(bench.refusals.last(), Some(&Refusal::StrayAck));
}

#[test]
fn methods_we_do_not_have_are_told_apart() {
    let mut bench = Bench::new();
    for (method, status) in [
        (Method::Message, 405),
        (Method::Subscribe, 405),
        (Method::Notify, 405),
        (Method::Refer, 405),
        (Method::Prack, 481),
        (Method::Other("BREW".into()), 501),
        (Method::Options, 200),
    ] {
        let request = bench.foreign(method.clone());
        bench.receive_from("203.0.113.7:5060", &request);
        let response = bench.response();
        assert_eq!(response.status, status, "{method}");
        assert!(status == 481 || response.headers.get(&HeaderName::Allow).is_some(), "{method}");
    }
    bench.assert_empty();
}

#[test]
fn session_timer_headers_are_tolerated() {
    let mut bench = Bench::new();
    let mut invite = bench.foreign(Method::Invite);
    invite.headers.push(HeaderName::Supported, "timer, 100rel, replaces");
    invite.headers.push(HeaderName::SessionExpires, "1800;refresher=uac");
    invite.headers.push(HeaderName::MinSe, "90");
    bench.receive(&invite);
    assert_eq!(bench.response().status, 100);
    assert!(matches!(bench.event(), SipEvent::Incoming { .. }));
}

#[test]
fn answers_go_to_the_source_and_its_port_where_rport_asks() {
    let mut bench = Bench::new();
    let mut options = bench.foreign(Method::Options);
    options.headers.set(HeaderName::Via, "SIP/2.0/UDP 10.0.0.9:5099;branch=z9hG4bKa;rport");
    bench.receive_from("203.0.113.7:40000", &options);
    let sent = bench.sent();
    assert_eq!(sent[0].1.flow, udp("203.0.113.7:40000"));
    let Message::Response(response) = parse(&sent[0].1.bytes) else { panic!("a response expected") };
    let via = response.via().unwrap();
    assert_eq!((via.received(), via.rport()), (Some("203.0.113.7".parse().unwrap()), Some(Some(40_000))));
    let mut options = bench.foreign(Method::Options);
    options.headers.set(HeaderName::Via, "SIP/2.0/UDP 10.0.0.9:5099;branch=z9hG4bKb");
    bench.receive_from("203.0.113.7:40000", &options);
    assert_eq!(bench.sent()[0].1.flow, udp("203.0.113.7:5099"), "§18.2.2: the port of sent-by without rport");
}
