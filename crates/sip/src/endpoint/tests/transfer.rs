//! REFER within a call, what is told of it, and an INVITE that takes a call's place.

use super::*;
use crate::endpoint::event::EndedBy;
use crate::error::Reason;

fn refer(bench: &mut Bench, invite: &Request, answer: &Response, cseq: u32) -> Request {
    let mut refer = bench.within(invite, answer, Method::Refer, cseq);
    refer.headers.push(HeaderName::ReferTo, "<sip:601@192.0.2.9>");
    refer.headers.push(HeaderName::ReferredBy, "<sip:600@192.0.2.9>");
    refer
}

/// A call with a REFER that was taken, and its first NOTIFY answered.
fn referred(bench: &mut Bench) -> (Request, Response, CallRef) {
    let (invite, answer, call) = bench.up_as_callee();
    let refer = refer(bench, &invite, &answer, 2);
    bench.receive(&refer);
    match bench.event() {
        SipEvent::Referred { call: asked, refer } => {
            assert_eq!((asked, refer.to.to_string().as_str()), (call, "sip:601@192.0.2.9"));
            assert_eq!(refer.referred_by.as_deref(), Some("<sip:600@192.0.2.9>"));
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.sent().is_empty(), "the application decides");
    bench.order(|endpoint, now| endpoint.answer_refer(call, 202, now));
    let mut sent = bench.sent();
    assert_eq!(title(&sent[0].1.bytes), "202");
    check_notify(bench, &sent.remove(1).1.bytes, "SIP/2.0 100 Trying\r\n", "active;expires=180");
    (invite, answer, call)
}

/// A NOTIFY says this, and is answered.
fn check_notify(bench: &mut Bench, bytes: &[u8], fragment: &str, state: &str) {
    let Message::Request(notify) = parse(bytes) else { panic!("a NOTIFY") };
    assert_eq!(notify.method, Method::Notify);
    assert_eq!(String::from_utf8_lossy(&notify.body), fragment);
    assert_eq!(notify.headers.get(&HeaderName::Event), Some("refer;id=2"));
    assert_eq!(notify.headers.get(&HeaderName::SubscriptionState), Some(state));
    assert_eq!(notify.content_type().as_deref(), Some("message/sipfrag"));
    bench.receive(&reply(&notify, 200, &notify.to_tag().unwrap()));
}

fn tell(bench: &mut Bench, call: CallRef, status: u16) {
    bench.order(|endpoint, now| endpoint.notify_refer(call, status, now));
}

#[test]
fn a_transfer_is_taken_and_told_step_by_step() {
    let mut bench = Bench::new();
    let (invite, answer, call) = referred(&mut bench);
    tell(&mut bench, call, 180);
    let sent = bench.sent();
    check_notify(&mut bench, &sent[0].1.bytes, "SIP/2.0 180 Ringing\r\n", "active;expires=180");
    tell(&mut bench, call, 180);
    assert!(bench.sent().is_empty(), "nothing is said twice");
    tell(&mut bench, call, 200);
    let sent = bench.sent();
    check_notify(&mut bench, &sent[0].1.bytes, "SIP/2.0 200 OK\r\n", "terminated;reason=noresource");
    tell(&mut bench, call, 486);
    assert!(bench.sent().is_empty(), "nothing follows the last word");
    let bye = bench.within(&invite, &answer, Method::Bye, 3);
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Peer, .. }));
    bench.assert_empty();
}

#[test]
fn of_news_that_wait_for_a_notify_the_newest_is_told() {
    let mut bench = Bench::new();
    let (_, _, call) = referred(&mut bench);
    tell(&mut bench, call, 180);
    let Message::Request(ringing) = parse(&bench.sent()[0].1.bytes) else { panic!("a NOTIFY") };
    tell(&mut bench, call, 183);
    tell(&mut bench, call, 486);
    assert!(bench.sent().is_empty());
    bench.receive(&reply(&ringing, 200, &ringing.to_tag().unwrap()));
    let sent = bench.sent();
    assert_eq!(sent.len(), 1);
    check_notify(&mut bench, &sent[0].1.bytes, "SIP/2.0 486 Busy Here\r\n", "terminated;reason=noresource");
    // Afterwards it may ask again.
    assert_eq!(bench.endpoint.ledger().calls, 1);
}

#[test]
fn whoever_is_let_go_hears_the_last_word_first() {
    let mut bench = Bench::new();
    let (_, _, call) = referred(&mut bench);
    tell(&mut bench, call, 200);
    let Message::Request(notify) = parse(&bench.sent()[0].1.bytes) else { panic!("a NOTIFY") };
    bench.order(|endpoint, now| endpoint.hang_up(call, Some(Reason::sip(200, "done")), now));
    assert!(bench.sent().is_empty(), "the BYE waits");
    bench.receive(&reply(&notify, 200, &notify.to_tag().unwrap()));
    let (bye, _) = bench.request();
    assert_eq!(bye.method, Method::Bye);
    bench.receive(&reply(&bye, 200, &bye.to_tag().unwrap()));
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    bench.assert_empty();
}

#[test]
fn a_far_end_deaf_to_notifies_is_still_let_go() {
    for status in [481, 405] {
        let mut bench = Bench::new();
        let (_, _, call) = referred(&mut bench);
        tell(&mut bench, call, 200);
        let Message::Request(notify) = parse(&bench.sent()[0].1.bytes) else { panic!("a NOTIFY") };
        bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
        bench.receive(&reply(&notify, status, &notify.to_tag().unwrap()));
        assert_eq!(bench.request().0.method, Method::Bye);
    }
    let mut bench = Bench::new();
    let (_, _, call) = referred(&mut bench);
    tell(&mut bench, call, 200);
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    bench.run_until_ms(bench.now_ms() + 70_000);
    assert!(!bench.moments("BYE").is_empty());
    assert!(matches!(bench.event(), SipEvent::Ended { .. }));
    bench.assert_empty();
}

#[test]
fn a_refused_transfer_says_so_and_nothing_more() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let first = refer(&mut bench, &invite, &answer, 2);
    bench.receive(&first);
    bench.events();
    let second = refer(&mut bench, &invite, &answer, 3);
    bench.receive(&second);
    assert_eq!(bench.response().status, 491, "one at a time");
    bench.order(|endpoint, now| endpoint.answer_refer(call, 403, now));
    assert_eq!(bench.response().status, 403);
    tell(&mut bench, call, 200);
    assert!(bench.sent().is_empty());
    let mut unreadable = refer(&mut bench, &invite, &answer, 4);
    unreadable.headers.set(HeaderName::ReferTo, "<sip:601@192.0.2.9;method=BYE>");
    bench.receive(&unreadable);
    assert_eq!(bench.response().status, 400);
    let mut silent = refer(&mut bench, &invite, &answer, 5);
    silent.headers.push(HeaderName::parse("Refer-Sub"), "false");
    bench.receive(&silent);
    bench.order(|endpoint, now| endpoint.answer_refer(call, 202, now));
    assert_eq!(bench.response().headers.get_str("Refer-Sub"), Some("false"), "and no NOTIFY (RFC 4488)");
    assert_eq!(bench.endpoint.ledger().calls, 1, "the call goes on");
}

#[test]
fn a_refer_nobody_has_answered_is_refused_when_its_call_ends() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let asked = refer(&mut bench, &invite, &answer, 2);
    bench.receive(&asked);
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let titles: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["481", "BYE"]);
    let late = refer(&mut bench, &invite, &answer, 3);
    bench.receive(&late);
    assert_eq!(bench.response().status, 491);
}

#[test]
fn a_refer_to_no_call_of_ours_is_refused() {
    let mut bench = Bench::new();
    let mut refer = bench.foreign(Method::Refer);
    refer.headers.push(HeaderName::ReferTo, "<sip:+979123456789@192.0.2.9>");
    refer.headers.set(HeaderName::To, "<sip:desk@192.0.2.1>;tag=guessed");
    bench.receive(&refer);
    assert_eq!(bench.response().status, 481);
    assert!(bench.events().is_empty());
}

#[test]
fn an_invite_may_name_the_call_whose_place_it_takes() {
    let mut bench = Bench::new();
    let (held, answer, call) = bench.up_as_callee();
    let ours = answer.to_tag().unwrap();
    let theirs = held.from_tag().unwrap();
    let call_id = held.call_id().unwrap().to_owned();
    let mut ask = |replaces: &str, expected: Result<(), u16>| {
        let mut invite = bench.foreign(Method::Invite);
        invite.headers.push(HeaderName::Require, "replaces");
        invite.headers.push(HeaderName::Replaces, replaces);
        bench.receive(&invite);
        assert_eq!(bench.response().status, expected.err().unwrap_or(100), "{replaces}");
        match bench.events().as_slice() {
            [SipEvent::Incoming { invite, call: new }] => {
                assert_eq!((invite.replaces, expected), (Some(call), Ok(())));
                bench.order(|endpoint, now| endpoint.reject(*new, 486, None, now));
                bench.sent();
                bench.events();
            }
            [] => assert!(expected.is_err()),
            other => panic!("{other:?}"),
        }
    };
    ask(&format!("{call_id};to-tag={ours};from-tag={theirs}"), Ok(()));
    ask(&format!("{call_id};to-tag={theirs};from-tag={ours}"), Err(481));
    ask(&format!("{call_id};to-tag={ours};from-tag=guessed"), Err(481));
    ask(&format!("{call_id};to-tag={ours};from-tag={theirs};early-only"), Err(486));
    ask("nonsense", Err(400));
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    assert_eq!(bench.request().0.method, Method::Bye);
    let mut late = bench.foreign(Method::Invite);
    late.headers.push(HeaderName::Replaces, &format!("{call_id};to-tag={ours};from-tag={theirs}"));
    bench.receive(&late);
    assert_eq!(bench.response().status, 603);
}

/// A REFER of ours as the far end sees it.
fn asked(bench: &mut Bench, call: CallRef) -> Request {
    let to = "sip:601@192.0.2.9".parse().unwrap();
    bench.order(|endpoint, now| endpoint.refer(call, &to, now)).unwrap();
    let Message::Request(refer) = parse(&bench.sent()[0].1.bytes) else { panic!("a REFER") };
    assert_eq!((&refer.method, refer.headers.get(&HeaderName::ReferTo)), (&Method::Refer, Some("<sip:601@192.0.2.9>")));
    refer
}

fn notify(bench: &mut Bench, invite: &Request, answer: &Response, cseq: u32, body: &str, state: &str) -> u16 {
    let mut notify = bench.within(invite, answer, Method::Notify, cseq);
    notify.headers.push(HeaderName::Event, "refer");
    notify.headers.push(HeaderName::SubscriptionState, state);
    notify.headers.push(HeaderName::ContentType, "message/sipfrag;version=2.0");
    notify.body = body.as_bytes().to_vec();
    bench.receive(&notify);
    bench.response().status
}

#[test]
fn a_transfer_of_ours_is_followed_to_its_last_word() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    assert_eq!(notify(&mut bench, &invite, &answer, 2, "SIP/2.0 200 OK", "terminated"), 481, "nobody asked for it");
    let refer = asked(&mut bench, call);
    let again = "sip:602@192.0.2.9".parse().unwrap();
    let twice = bench.order(|endpoint, now| endpoint.refer(call, &again, now));
    assert_eq!(twice, Err(SipError::WrongState), "one at a time");
    bench.receive(&reply(&refer, 202, &refer.to_tag().unwrap()));
    let news = |status, last| SipEvent::ReferNews { call, status, last };
    assert_eq!(bench.event(), news(202, false));
    assert_eq!(notify(&mut bench, &invite, &answer, 3, "SIP/2.0 180 Ringing\r\n", "active;expires=60"), 200);
    assert_eq!(bench.event(), news(180, false));
    assert_eq!(notify(&mut bench, &invite, &answer, 4, "SIP/2.0 200 OK\r\n", "terminated;reason=noresource"), 200);
    assert_eq!(bench.event(), news(200, true));
    assert_eq!(notify(&mut bench, &invite, &answer, 5, "SIP/2.0 200 OK\r\n", "terminated"), 481, "it is over");
    let bye = bench.within(&invite, &answer, Method::Bye, 6);
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Peer, .. }));
    bench.assert_empty();
}

#[test]
fn a_transfer_that_is_refused_or_forgotten_has_a_last_word_too() {
    let mut bench = Bench::new();
    let (invite, answer, call) = bench.up_as_callee();
    let refer = asked(&mut bench, call);
    bench.receive(&reply(&refer, 603, &refer.to_tag().unwrap()));
    assert_eq!(bench.event(), SipEvent::ReferNews { call, status: 603, last: true });
    let refer = asked(&mut bench, call);
    bench.receive(&reply(&refer, 202, &refer.to_tag().unwrap()));
    assert_eq!(bench.event(), SipEvent::ReferNews { call, status: 202, last: false });
    assert_eq!(notify(&mut bench, &invite, &answer, 2, "", "terminated;reason=timeout"), 200);
    assert_eq!(bench.event(), SipEvent::ReferNews { call, status: 408, last: true });
    let bye = bench.within(&invite, &answer, Method::Bye, 3);
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    bench.event();
    bench.assert_empty();
}
