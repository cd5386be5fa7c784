//! Changes of a call that is up: re-INVITE both ways, glare, UPDATE, INFO.

use super::*;
use crate::endpoint::event::EndedBy;

const HOLD: &[u8] = b"v=0\r\na=sendonly\r\n";

fn with_sdp(mut request: Request) -> Request {
    if request.headers.get(&HeaderName::ContentType).is_none() {
        request.headers.push(HeaderName::ContentType, "application/sdp");
    }
    if request.headers.get(&HeaderName::Contact).is_none() {
        request.headers.push(HeaderName::Contact, "<sip:pbx@192.0.2.9:5060>");
    }
    request.body = HOLD.to_vec();
    request
}

#[test]
fn the_far_ends_hold_is_told_and_answered_and_its_ack_awaited() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let reinvite = bench.within(&invite, &answer, Method::Invite, 2);
    let reinvite = with_sdp(reinvite);
    bench.receive(&reinvite);
    assert_eq!(bench.response().status, 100);
    assert_eq!(bench.event(), SipEvent::Reoffered { call, body: Some(HOLD.to_vec()) });
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, b"v=0\r\na=recvonly\r\n".to_vec(), now));
    let accepted = bench.response();
    assert_eq!((accepted.status, accepted.body.as_slice()), (200, b"v=0\r\na=recvonly\r\n".as_slice()));
    bench.run_until_ms(1_600);
    assert_eq!(bench.moments("200"), [500, 1_500]);
    let ack = bench.within(&invite, &answer, Method::Ack, 2);
    bench.receive(&ack);
    bench.run_until_ms(60_000);
    assert!(bench.events().is_empty() && bench.sent().is_empty());
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_caller();
    let reinvite = bench.back(&invite, &answer, Method::Invite, 2);
    let reinvite = with_sdp(reinvite);
    bench.receive(&reinvite);
    bench.sent();
    bench.events();
    bench.order(|endpoint, now| endpoint.reject_reoffer(call, 488, now));
    assert_eq!(bench.response().status, 488);
    assert_eq!(bench.endpoint.ledger().calls, 1);
    assert_eq!(bench.order(|endpoint, now| endpoint.reinvite(call, SDP.to_vec(), now)), Ok(()));
}

#[test]
fn an_offer_the_application_forgets_is_refused_at_32_s() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let reinvite = bench.within(&invite, &answer, Method::Invite, 2);
    bench.receive(&with_sdp(reinvite));
    bench.events();
    bench.sent();
    bench.run_until_ms(32_000);
    assert_eq!(bench.response().status, 500);
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    assert!(bench.sent().is_empty(), "too late");
}

#[test]
fn our_hold_is_answered_and_acknowledged() {
    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
    assert_eq!(bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)), Err(SipError::OfferPending));
    let (reinvite, _) = bench.request();
    assert_eq!((reinvite.cseq().unwrap().number, reinvite.to_tag().as_deref()), (2, Some("peer")));
    let mut accepted = answered(&reinvite, "peer");
    accepted.headers.set(HeaderName::Contact, "<sip:600@192.0.2.9:5077>");
    bench.receive(&accepted);
    let (ack, flow) = bench.request();
    assert_eq!((ack.method.clone(), ack.cseq().unwrap().number), (Method::Ack, 2));
    assert_eq!(flow.remote.port(), 5_077, "the target is refreshed (§12.2.1.2)");
    assert_eq!(bench.event(), SipEvent::ReofferAnswered { call, body: Some(SDP.to_vec()) });
    bench.receive(&accepted);
    assert_eq!(bench.request().0.encode(), ack.encode());
    assert!(bench.events().is_empty());
}

#[test]
fn offers_that_cross_are_refused_491_and_tried_again_in_the_bands_of_14_1() {
    for (as_caller, least_ms, most_ms) in [(true, 2_100, 4_000), (false, 0, 2_000)] {
        let mut bench = Bench::new();
        let (invite, answer, call) = if as_caller { bench.up_as_caller() } else { bench.up_as_callee() };
        bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
        let (ours, _) = bench.request();
        let theirs = if as_caller {
            bench.back(&invite, &answer, Method::Invite, 2)
        } else {
            bench.within(&invite, &answer, Method::Invite, 2)
        };
        bench.receive(&with_sdp(theirs));
        assert_eq!(bench.response().status, 491);
        assert_eq!(bench.refusals, [Refusal::OfferPending]);
        bench.receive(&reply(&ours, 491, "peer"));
        assert_eq!(bench.request().0.method, Method::Ack);
        assert!(bench.events().is_empty());
        let (at, timer) = bench.endpoint.poll_timeout().unwrap();
        // Other timers of closed transactions run too; the glare's own is looked for.
        let _ = (at, timer);
        bench.run_until_ms(6_000);
        let again = bench.moments("INVITE");
        assert_eq!(again.first().map(|at| (least_ms..=most_ms).contains(at)), Some(true), "{as_caller} {again:?}");
        assert_eq!(bench.endpoint.ledger().calls, 1);
    }
}

#[test]
fn a_glare_that_never_ends_is_given_up() {
    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
    let mut tries = 0;
    for round in 1..=20 {
        let request = bench.sent().into_iter().find_map(|(_, sent)| match parse(&sent.bytes) {
            Message::Request(request) if request.method == Method::Invite => Some(request),
            Message::Request(_) | Message::Response(_) => None,
        });
        let Some(request) = request else { break };
        tries += 1;
        bench.receive(&reply(&request, 491, "peer"));
        bench.run_until_ms(round * 5_000);
    }
    assert_eq!(tries, 7);
    match bench.event() {
        SipEvent::ReofferFailed { failure, .. } => assert_eq!(failure.status, 491),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reinvite_answered_481_or_by_nobody_ends_the_call() {
    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
    let (reinvite, _) = bench.request();
    bench.receive(&reply(&reinvite, 481, "peer"));
    assert_eq!(bench.moments("BYE"), [0]);
    bench.run_until_ms(32_000);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Peer, .. }));
    bench.assert_empty();

    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
    bench.run_until_ms(70_000);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Timer(Timer::B), .. }));
    bench.assert_empty();
}

#[test]
fn an_offer_the_far_end_leaves_at_100_is_cancelled_at_32_s_and_theirs_is_heard_again() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_caller();
    bench.order(|endpoint, now| endpoint.reinvite(call, HOLD.to_vec(), now)).unwrap();
    let (reinvite, _) = bench.request();
    bench.receive(&reinvite.reply(100, "Trying"));
    bench.run_until_ms(31_999);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    bench.run_until_ms(32_000);
    assert_eq!(bench.request().0.method, Method::Cancel);
    assert!(
        matches!(bench.event(), SipEvent::ReofferFailed { failure, .. } if failure.timed_out == Some(Timer::Reoffer))
    );
    let theirs = bench.back(&invite, &answer, Method::Invite, 2);
    bench.receive(&with_sdp(theirs));
    assert_eq!(bench.response().status, 100);
    assert!(matches!(bench.event(), SipEvent::Reoffered { .. }));
    // A 200 after all is acknowledged, so that its copies end.
    bench.receive(&answered(&reinvite, "peer"));
    assert_eq!(bench.request().0.method, Method::Ack);
    assert!(bench.events().is_empty());
    let bye = bench.back(&invite, &answer, Method::Bye, 3);
    bench.receive(&bye);
    bench.assert_empty();
}

#[test]
fn an_offer_before_our_200_is_acknowledged_waits() {
    let mut bench = Bench::new();
    let (invite, call) = bench.called();
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    let reinvite = bench.within(&invite, &answer, Method::Invite, 2);
    bench.receive(&with_sdp(reinvite));
    assert_eq!(bench.response().status, 491);
}

#[test]
fn a_second_offer_while_the_first_is_with_the_application_is_500_with_a_pause() {
    let mut bench = Bench::new();
    let (invite, answer, _) = bench.up_as_callee();
    let first = bench.within(&invite, &answer, Method::Invite, 2);
    bench.receive(&with_sdp(first));
    bench.sent();
    let second = bench.within(&invite, &answer, Method::Invite, 3);
    bench.receive(&with_sdp(second));
    let response = bench.response();
    assert_eq!(response.status, 500);
    let seconds: u32 = response.headers.get_str("Retry-After").unwrap().parse().unwrap();
    assert!(seconds <= 10);
}

#[test]
fn requests_out_of_order_are_500() {
    let mut bench = Bench::new();
    let (invite, answer, _) = bench.up_as_callee();
    let late = bench.within(&invite, &answer, Method::Info, 1);
    bench.receive(&late);
    assert_eq!(bench.response().status, 500);
    assert_eq!(bench.refusals, [Refusal::OutOfOrder]);
}

#[test]
fn an_update_without_offer_refreshes_and_one_with_an_offer_is_told() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let mut refresh = bench.within(&invite, &answer, Method::Update, 2);
    refresh.headers.push(HeaderName::Contact, "<sip:pbx@192.0.2.9:5077>");
    bench.receive(&refresh);
    assert_eq!(bench.response().status, 200);
    assert!(bench.events().is_empty());
    let offer = bench.within(&invite, &answer, Method::Update, 3);
    bench.receive(&with_sdp(offer));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.event(), SipEvent::Reoffered { call, body: Some(HOLD.to_vec()) });
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    let accepted = bench.response();
    assert_eq!((accepted.status, accepted.body.as_slice()), (200, SDP));
    bench.run_until_ms(20_000);
    assert!(bench.sent().is_empty(), "an UPDATE has no ACK, so its 200 is not repeated");
}

#[test]
fn info_goes_both_ways() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let mut info = bench.within(&invite, &answer, Method::Info, 2);
    info.headers.push(HeaderName::ContentType, "application/dtmf-relay");
    info.body = b"Signal=5\r\nDuration=160\r\n".to_vec();
    bench.receive(&info);
    assert_eq!(bench.response().status, 200);
    let body = info.body.clone();
    assert_eq!(bench.event(), SipEvent::Info { call, content_type: "application/dtmf-relay".into(), body });
    bench.order(|endpoint, now| endpoint.info(call, "application/dtmf-relay", b"Signal=6".to_vec(), now));
    let (ours, _) = bench.request();
    assert_eq!((ours.method.clone(), ours.body.as_slice()), (Method::Info, b"Signal=6".as_slice()));
    bench.receive(&reply(&ours, 481, "peer"));
    assert_eq!(bench.moments("BYE"), [0], "481: the far end no longer knows the call (§12.2.1.2)");
}

#[test]
fn a_bye_ends_a_call_whose_offer_is_pending_and_answers_the_offer() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let reinvite = bench.within(&invite, &answer, Method::Invite, 2);
    bench.receive(&with_sdp(reinvite));
    bench.events();
    bench.sent();
    let bye = bench.within(&invite, &answer, Method::Bye, 3);
    bench.receive(&bye);
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["200", "487"], "§15.1.2");
    assert!(matches!(bench.event(), SipEvent::Ended { call: ended, by: EndedBy::Peer, .. } if ended == call));
    bench.assert_empty();
}

#[test]
fn a_cancelled_reinvite_leaves_the_call_up() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let reinvite = bench.within(&invite, &answer, Method::Invite, 2);
    let reinvite = with_sdp(reinvite);
    bench.receive(&reinvite);
    bench.events();
    bench.sent();
    let mut cancel = reinvite.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set(HeaderName::CSeq, "2 CANCEL");
    cancel.headers.remove(&HeaderName::ContentType);
    cancel.body.clear();
    bench.receive(&cancel);
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["200", "487"]);
    assert!(bench.events().is_empty());
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    assert!(bench.sent().is_empty(), "too late");
    assert_eq!(bench.endpoint.ledger().calls, 1);
}
