//! Reliable provisional answers (RFC 3262) in both directions, and UPDATE in early dialogs (RFC 3311).

use super::*;
use crate::endpoint::event::EndedBy;

const EARLY: &[u8] = b"v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\n";
const MOVED: &[u8] = b"v=0\r\no=- 7 2 IN IP4 192.0.2.9\r\n";

fn with(reliable: Reliable) -> Bench {
    let extensions = Extensions { session: None, reliable };
    Bench::with(EndpointConfig { extensions, ..config() })
}

/// A reliable answer of the far end to our INVITE.
fn reliably(invite: &Request, status: u16, tag: &str, rseq: &str, body: &[u8]) -> Response {
    let mut response = reply(invite, status, tag);
    response.headers.push(HeaderName::Require, "100rel");
    response.headers.push(HeaderName::RSeq, rseq);
    if !body.is_empty() {
        response.headers.push(HeaderName::ContentType, "application/sdp");
        response.body = body.to_vec();
    }
    response
}

fn calling(bench: &mut Bench, reliable: Reliable) -> (Request, CallRef) {
    let extensions = Extensions { session: None, reliable };
    let call = bench.order(|endpoint, now| endpoint.invite(Invite { extensions, ..invite() }, now)).unwrap();
    (bench.request().0, call)
}

/// A call from a far end that says this of 100rel.
fn called(bench: &mut Bench, header: HeaderName, offer: bool) -> (Request, CallRef) {
    let mut invite = bench.foreign(Method::Invite);
    invite.headers.push(header, "100rel");
    if !offer {
        invite.headers.remove(&HeaderName::ContentType);
        invite.body.clear();
    }
    bench.receive(&invite);
    assert_eq!(bench.response().status, 100);
    let SipEvent::Incoming { call, .. } = bench.event() else { panic!("an invitation expected") };
    (invite, call)
}

fn prack(bench: &mut Bench, invite: &Request, answer: &Response, cseq: u32) -> Request {
    let mut prack = bench.within(invite, answer, Method::Prack, cseq);
    let rseq = answer.headers.get(&HeaderName::RSeq).unwrap();
    prack.headers.push(HeaderName::RAck, &format!("{rseq} 1 INVITE"));
    prack
}

fn put_sdp(request: &mut Request, body: &[u8]) {
    request.headers.push(HeaderName::ContentType, "application/sdp");
    request.body = body.to_vec();
}

// We call.

#[test]
fn what_is_asked_for_follows_the_rule() {
    for (rule, supported, required) in
        [(Reliable::Off, false, false), (Reliable::Supported, true, false), (Reliable::Required, true, true)]
    {
        let mut bench = Bench::new();
        let (invite, _) = calling(&mut bench, rule);
        assert_eq!(invite.headers.has_token(&HeaderName::Supported, "100rel"), supported);
        assert_eq!(invite.headers.has_token(&HeaderName::Require, "100rel"), required);
    }
}

#[test]
fn a_reliable_183_is_acknowledged_once_and_its_answer_holds_for_a_200_without_one() {
    let mut bench = Bench::new();
    let (invite, call) = calling(&mut bench, Reliable::Supported);
    let progress = reliably(&invite, 183, "pbx", "4711", EARLY);
    bench.receive(&progress);
    let (prack, _) = bench.request();
    assert_eq!((prack.method.clone(), prack.headers.get(&HeaderName::RAck)), (Method::Prack, Some("4711 1 INVITE")));
    assert_eq!((prack.to_tag().as_deref(), prack.cseq().unwrap().number), (Some("pbx"), 2));
    assert!(matches!(bench.event(), SipEvent::Progress { status: 183, body: Some(body), .. } if body == EARLY));
    // A copy: the PRACK may be on its way.
    bench.receive(&progress);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    bench.receive(&reply(&prack, 200, "pbx"));
    bench.receive(&reply(&invite, 200, "pbx"));
    assert_eq!(bench.request().0.method, Method::Ack);
    assert!(matches!(bench.event(), SipEvent::Answered { body: Some(body), .. } if body == EARLY));
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, _) = bench.request();
    assert!(bye.cseq().unwrap().number > 2, "above the PRACK's");
    bench.receive(&reply(&bye, 200, "pbx"));
    bench.assert_empty();
}

#[test]
fn a_prack_that_gets_lost_is_sent_again() {
    let mut bench = Bench::new();
    let (invite, _) = calling(&mut bench, Reliable::Supported);
    bench.receive(&reliably(&invite, 180, "pbx", "1", b""));
    bench.run_until_ms(4_000);
    assert_eq!(bench.moments("PRACK"), [0, 500, 1_500, 3_500]);
}

#[test]
fn gaps_jumps_and_strange_numbers_are_not_acknowledged() {
    let mut bench = Bench::new();
    let (invite, _) = calling(&mut bench, Reliable::Supported);
    bench.receive(&reliably(&invite, 180, "pbx", "4294967294", b""));
    assert_eq!(bench.moments("PRACK").len(), 1);
    bench.events();
    for (rseq, acknowledged) in
        [("4294967293", 0), ("4294967294", 0), ("1", 0), ("4294967295", 1), ("4294967295", 0), ("0", 0)]
    {
        bench.receive(&reliably(&invite, 180, "pbx", rseq, b""));
        assert_eq!(bench.moments("PRACK").len(), acknowledged, "{rseq}");
    }
    // Without a number that can be read it is a plain one.
    bench.events();
    for rseq in ["4294967296", "-1", "x"] {
        bench.receive(&reliably(&invite, 182, "pbx", rseq, b""));
        assert!(bench.sent().is_empty(), "{rseq}");
        assert!(matches!(bench.event(), SipEvent::Progress { status: 182, .. }), "{rseq}");
    }
    // 100 is never reliable (§3).
    bench.receive(&reliably(&invite, 100, "pbx", "9", b""));
    assert!(bench.sent().is_empty());
}

#[test]
fn a_far_end_that_numbers_on_and_on_gets_a_hundred_pracks() {
    let mut bench = Bench::new();
    let (invite, _) = calling(&mut bench, Reliable::Supported);
    let mut pracks = 0;
    for rseq in 1..=1_000_u32 {
        bench.receive(&reliably(&invite, 182, "pbx", &rseq.to_string(), b""));
        pracks += bench.moments("PRACK").len();
    }
    assert_eq!(pracks, 100);
}

#[test]
fn a_reliable_answer_nobody_asked_for_is_a_plain_one() {
    let mut bench = Bench::new();
    let (invite, _) = calling(&mut bench, Reliable::Off);
    bench.receive(&reliably(&invite, 183, "pbx", "1", EARLY));
    assert!(bench.sent().is_empty());
    assert!(matches!(bench.event(), SipEvent::Progress { .. }));
}

#[test]
fn each_fork_has_its_own_numbers_and_its_own_answer() {
    let mut bench = Bench::new();
    let (invite, _) = calling(&mut bench, Reliable::Supported);
    bench.receive(&reliably(&invite, 183, "one", "10", EARLY));
    bench.receive(&reliably(&invite, 183, "two", "20", MOVED));
    bench.receive(&reliably(&invite, 180, "one", "11", b""));
    let acks: Vec<String> = bench
        .sent()
        .iter()
        .filter_map(|(_, sent)| match parse(&sent.bytes) {
            Message::Request(prack) => {
                let rack = prack.headers.get(&HeaderName::RAck).unwrap().to_owned();
                Some(format!("{} {rack} {}", prack.to_tag().unwrap(), prack.cseq().unwrap().number))
            }
            Message::Response(_) => None,
        })
        .collect();
    assert_eq!(acks, ["one 10 1 INVITE 2", "two 20 1 INVITE 2", "one 11 1 INVITE 3"]);
    bench.events();
    // The first one answers, though the second was heard last.
    bench.receive(&reply(&invite, 200, "one"));
    bench.sent();
    assert!(matches!(bench.event(), SipEvent::Answered { body: Some(body), .. } if body == EARLY));
    bench.receive(&reply(&invite, 200, "two"));
    let ended: Vec<Request> = bench
        .sent()
        .iter()
        .filter_map(|(_, sent)| match parse(&sent.bytes) {
            Message::Request(request) if request.method == Method::Bye => Some(request),
            Message::Request(_) | Message::Response(_) => None,
        })
        .collect();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].cseq().unwrap().number > 2, "the fork has seen a PRACK with 2");
}

#[test]
fn an_update_moves_early_media_once_the_first_offer_is_settled() {
    let mut bench = Bench::new();
    let (invite, call) = calling(&mut bench, Reliable::Supported);
    let ringing = reply(&invite, 180, "pbx");
    bench.receive(&ringing);
    bench.events();
    let mut update = bench.back(&invite, &ringing, Method::Update, 1);
    put_sdp(&mut update, MOVED);
    bench.receive(&update);
    assert_eq!(bench.response().status, 491, "RFC 3311 §5.2: our offer is still open");
    bench.receive(&reliably(&invite, 183, "pbx", "1", EARLY));
    bench.sent();
    bench.events();
    let mut update = bench.back(&invite, &ringing, Method::Update, 2);
    put_sdp(&mut update, MOVED);
    update.headers.push(HeaderName::Contact, "<sip:600@192.0.2.9:5077>");
    bench.receive(&update);
    assert_eq!(bench.event(), SipEvent::Reoffered { call, body: Some(MOVED.to_vec()) });
    // One after the other.
    let again = bench.back(&invite, &ringing, Method::Update, 3);
    bench.receive(&again);
    let refused = bench.response();
    assert_eq!(refused.status, 500);
    assert!(refused.headers.get(&HeaderName::RetryAfter).is_some());
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    let accepted = bench.response();
    assert_eq!((accepted.status, accepted.body.as_slice()), (200, SDP));
    bench.receive(&reliably(&invite, 180, "pbx", "2", b""));
    let (prack, flow) = bench.request();
    assert_eq!((prack.method, flow.remote.port()), (Method::Prack, 5_077), "the target is refreshed");
    bench.events();
    bench.receive(&reply(&invite, 200, "pbx"));
    assert!(matches!(bench.event(), SipEvent::Answered { .. }));
}

#[test]
fn an_update_is_sent_only_where_allow_names_it_and_comes_through() {
    let mut bench = Bench::new();
    let (_, _, call) = bench.up_as_caller();
    assert_eq!(bench.order(|e, now| e.update(call, SDP.to_vec(), now)), Err(SipError::WrongState));
    let mut bench = Bench::new();
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut answer = answered(&request, "pbx");
    answer.headers.push(HeaderName::Allow, "INVITE, UPDATE");
    bench.receive(&answer);
    bench.sent();
    bench.events();
    bench.order(|e, now| e.update(call, MOVED.to_vec(), now)).unwrap();
    let (update, _) = bench.request();
    assert_eq!((update.method.clone(), update.body.as_slice()), (Method::Update, MOVED));
    // RFC 3311 §5.2: busy with another offer; after its pause once more.
    let mut busy = reply(&update, 500, "pbx");
    busy.headers.push(HeaderName::RetryAfter, "3");
    bench.receive(&busy);
    bench.run_until_ms(2_999);
    assert!(bench.sent().is_empty());
    bench.run_until_ms(3_000);
    let (update, _) = bench.request();
    bench.receive(&reply(&update, 491, "pbx"));
    bench.run_until_ms(8_000);
    // After its turn in the bands of §14.1, and over UDP more than once.
    let Message::Request(update) = parse(&bench.sent()[0].1.bytes) else { panic!("a request expected") };
    // Refused for good: what INVITE can do, UPDATE need not.
    bench.receive(&reply(&update, 504, "pbx"));
    let (reinvite, _) = bench.request();
    assert_eq!((reinvite.method.clone(), reinvite.body.as_slice()), (Method::Invite, MOVED));
    bench.receive(&answered(&reinvite, "pbx"));
    assert_eq!(bench.request().0.method, Method::Ack);
    assert_eq!(bench.event(), SipEvent::ReofferAnswered { call, body: Some(SDP.to_vec()) });
}

// We are called.

#[test]
fn a_reliable_183_goes_out_again_until_its_prack_doubling_without_an_end() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    let progress = bench.response();
    assert!(progress.headers.has_token(&HeaderName::Require, "100rel"));
    let rseq: u32 = progress.headers.get_str("RSeq").unwrap().parse().unwrap();
    assert!((1..1 << 31).contains(&rseq));
    bench.run_until_ms(16_000);
    assert_eq!(bench.moments("183"), [500, 1_500, 3_500, 7_500, 15_500], "§3: no T2 here");
    let ack = prack(&mut bench, &invite, &progress, 2);
    bench.receive(&ack);
    assert_eq!(bench.response().status, 200);
    bench.run_until_ms(60_000);
    assert!(bench.sent().is_empty());
    // The same again acknowledges nothing.
    let again = prack(&mut bench, &invite, &progress, 3);
    bench.receive(&again);
    assert_eq!(bench.response().status, 481);
    assert_eq!(bench.refusals, [Refusal::StrayPrack]);
}

#[test]
fn without_a_prack_the_invite_is_refused_504_at_32_s() {
    let mut bench = Bench::new();
    let (_, call) = called(&mut bench, HeaderName::Require, true);
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    bench.sent();
    bench.run_until_ms(31_999);
    bench.sent();
    bench.run_until_ms(32_000);
    assert!(bench.titles().iter().any(|(_, title)| title == "504"));
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Timer(Timer::PrackWait), .. }));
    bench.assert_empty();
}

#[test]
fn the_answer_waits_for_the_prack_of_a_description_and_does_not_repeat_it() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    let progress = bench.response();
    bench.order(|endpoint, now| endpoint.answer(call, EARLY.to_vec(), Vec::new(), now));
    assert!(bench.sent().is_empty(), "§3");
    let ack = prack(&mut bench, &invite, &progress, 2);
    bench.receive(&ack);
    let sent = bench.sent();
    let answers: Vec<Response> = sent
        .iter()
        .filter_map(|(_, sent)| match parse(&sent.bytes) {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        })
        .collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    assert!(answers[1].cseq().unwrap().method == Method::Invite && answers[1].body.is_empty());
    // What describes nothing does not hold the answer up, and its PRACK is still taken.
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Require, true);
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    assert_eq!((answer.status, answer.body.as_slice()), (200, SDP));
    let late = prack(&mut bench, &invite, &ringing, 2);
    bench.receive(&late);
    assert_eq!(bench.response().status, 200);
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    bench.receive(&ack);
    bench.run_until_ms(100_000);
    assert!(bench.sent().is_empty() && bench.endpoint.ledger().calls == 1);
}

#[test]
fn the_second_reliable_answer_waits_for_the_first() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Require, true);
    for _ in 0..20 {
        bench.order(|endpoint, now| endpoint.ring(call, 182, None, now));
    }
    let mut numbers = Vec::new();
    for cseq in 2..10 {
        let Some((_, sent)) = bench.sent().pop() else { break };
        let Message::Response(answer) = parse(&sent.bytes) else { panic!("a response expected") };
        if answer.status != 182 {
            break;
        }
        numbers.push(answer.headers.get_str("RSeq").unwrap().parse::<u32>().unwrap());
        let ack = prack(&mut bench, &invite, &answer, cseq);
        bench.receive(&ack);
    }
    assert_eq!(numbers.len(), 5, "one and four that wait");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn who_cannot_is_421_by_rule_and_who_insists_is_420_where_it_is_off() {
    let mut bench = with(Reliable::Required);
    let invite = bench.foreign(Method::Invite);
    bench.receive(&invite);
    let refused = bench.response();
    assert_eq!((refused.status, refused.headers.get(&HeaderName::Require)), (421, Some("100rel")));
    assert_eq!(bench.refusals, [Refusal::ExtensionRequired]);
    let (_, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    assert!(bench.response().headers.has_token(&HeaderName::Require, "100rel"));
    let mut bench = with(Reliable::Off);
    let mut invite = bench.foreign(Method::Invite);
    invite.headers.push(HeaderName::Require, "100rel");
    bench.receive(&invite);
    let refused = bench.response();
    assert_eq!((refused.status, refused.headers.get(&HeaderName::Unsupported)), (420, Some("100rel")));
    let (_, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    assert_eq!(bench.response().headers.get(&HeaderName::RSeq), None);
}

#[test]
fn a_caller_who_leaves_the_offer_to_us_answers_it_in_the_prack() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Require, false);
    // RFC 3261 §13.2.1: nothing reliable before the offer, and this caller takes nothing else.
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    assert!(bench.sent().is_empty());
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    let progress = bench.response();
    let mut update = bench.within(&invite, &progress, Method::Update, 2);
    put_sdp(&mut update, MOVED);
    bench.receive(&update);
    assert_eq!(bench.response().status, 491, "RFC 3311 §5.2: our offer is open");
    let mut ack = prack(&mut bench, &invite, &progress, 3);
    put_sdp(&mut ack, SDP);
    bench.receive(&ack);
    assert_eq!(bench.response().status, 200);
    assert_eq!(bench.event(), SipEvent::EarlyAnswered { call, body: SDP.to_vec() });
    bench.order(|endpoint, now| endpoint.answer(call, EARLY.to_vec(), Vec::new(), now));
    let answer = bench.response();
    assert_eq!((answer.status, answer.body.len()), (200, 0), "settled already");
}

#[test]
fn a_prack_may_bring_an_offer_of_its_own_and_the_200_waits_for_its_answer() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    let progress = bench.response();
    bench.order(|endpoint, now| endpoint.answer(call, EARLY.to_vec(), Vec::new(), now));
    let mut ack = prack(&mut bench, &invite, &progress, 2);
    put_sdp(&mut ack, MOVED);
    bench.receive(&ack);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.event(), SipEvent::Reoffered { call, body: Some(MOVED.to_vec()) });
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["200", "200"], "of the PRACK, then of the INVITE");
    // And one that brings an offer before the first is settled is refused, though it acknowledges.
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Require, true);
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    let mut ack = prack(&mut bench, &invite, &ringing, 2);
    put_sdp(&mut ack, MOVED);
    bench.receive(&ack);
    assert_eq!(bench.response().status, 488);
    bench.run_until_ms(40_000);
    assert!(bench.sent().is_empty());
}

#[test]
fn pracks_that_mean_nothing_are_refused() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Require, true);
    bench.order(|endpoint, now| endpoint.ring(call, 180, None, now));
    let ringing = bench.response();
    let rseq: u32 = ringing.headers.get_str("RSeq").unwrap().parse().unwrap();
    let cases = [
        (None, 400),
        (Some("x".to_owned()), 400),
        (Some("99999999999 1 INVITE".to_owned()), 400),
        (Some(format!("{} 1 INVITE", rseq + 1)), 481),
        (Some(format!("{rseq} 2 INVITE")), 481),
        (Some(format!("{rseq} 1 UPDATE")), 481),
        (Some(format!("{rseq} 1 INVITE")), 200),
    ];
    for (cseq, (rack, status)) in cases.into_iter().enumerate() {
        let mut ack = bench.within(&invite, &ringing, Method::Prack, u32::try_from(cseq).unwrap() + 2);
        if let Some(rack) = &rack {
            ack.headers.push(HeaderName::RAck, rack);
        }
        bench.receive(&ack);
        assert_eq!(bench.response().status, status, "{rack:?}");
    }
}

#[test]
fn storms_within_one_call_are_shed_without_a_state_and_a_bye_still_gets_through() {
    for method in [Method::Prack, Method::Update, Method::Info] {
        let mut bench = Bench::new();
        let (invite, answer, call) = bench.up_as_callee();
        let before = bench.endpoint.ledger().transactions;
        for cseq in 2..2_000 {
            let mut request = bench.within(&invite, &answer, method.clone(), cseq);
            request.headers.push(HeaderName::RAck, "1 1 INVITE");
            bench.receive(&request);
        }
        assert!(bench.endpoint.ledger().transactions <= before + 100, "{method}");
        let shed = bench.refusals.iter().filter(|why| **why == Refusal::TooManyRequests).count();
        assert_eq!(shed, 1_998 - 100, "{method}");
        let last = bench.sent().pop().unwrap();
        let Message::Response(last) = parse(&last.1.bytes) else { panic!("a response expected") };
        assert_eq!((last.status, last.headers.get(&HeaderName::RetryAfter)), (500, Some("10")));
        bench.run_until_ms(10_000);
        let later = bench.within(&invite, &answer, Method::Update, 2_000);
        bench.receive(&later);
        assert_eq!(bench.response().status, 200, "the storm is over");
        let bye = bench.within(&invite, &answer, Method::Bye, 2_001);
        bench.receive(&bye);
        assert_eq!(bench.response().status, 200);
        assert!(
            bench.events().iter().any(|event| matches!(event, SipEvent::Ended { call: ended, .. } if *ended == call))
        );
        bench.assert_empty();
    }
}

#[test]
fn a_cancel_and_a_hang_up_end_a_call_whose_183_has_no_prack() {
    let mut bench = Bench::new();
    let (invite, call) = called(&mut bench, HeaderName::Supported, true);
    bench.order(|endpoint, now| endpoint.ring(call, 183, Some(EARLY.to_vec()), now));
    bench.order(|endpoint, now| endpoint.answer(call, EARLY.to_vec(), Vec::new(), now));
    bench.sent();
    let mut cancel = invite;
    cancel.method = Method::Cancel;
    cancel.headers.set(HeaderName::CSeq, "1 CANCEL");
    cancel.headers.remove(&HeaderName::ContentType);
    cancel.headers.remove(&HeaderName::Supported);
    cancel.body.clear();
    bench.receive(&cancel);
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["200", "487"]);
    bench.events();
    bench.assert_empty();
}
