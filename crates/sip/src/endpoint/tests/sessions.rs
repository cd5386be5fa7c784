//! Session timers (RFC 4028) in both roles: what is asked, what is granted, who refreshes and when the call ends.

use super::*;
use crate::endpoint::event::EndedBy;
use crate::values::SessionExpires;

/// The peer knows the extension, and UPDATE.
const MODERN: &[(HeaderName, &str)] =
    &[(HeaderName::Supported, "timer"), (HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE")];
/// The peer knows the extension, and no UPDATE.
const OLD: &[(HeaderName, &str)] = &[(HeaderName::Supported, "timer"), (HeaderName::Allow, "INVITE, ACK, BYE, CANCEL")];

fn put(headers: &mut crate::message::Headers, more: &[(HeaderName, &str)]) {
    for (name, value) in more {
        headers.set(name.clone(), value);
    }
}

fn session(headers: &crate::message::Headers) -> Option<String> {
    headers.get(&HeaderName::SessionExpires).map(str::to_owned)
}

fn rule(expires_s: u32, min_se_s: u32, refresher: Refresher) -> EndpointConfig {
    let session = Some(SessionTimer { expires_s, min_se_s, refresher });
    let extensions = Extensions { session, reliable: Reliable::Off };
    EndpointConfig { extensions, ..config() }
}

/// A call of ours whose 2xx carries these headers. Returns the INVITE.
fn caller(bench: &mut Bench, answer: &[(HeaderName, &str)]) -> (Request, Response, CallRef) {
    let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (request, _) = bench.request();
    let mut accepted = answered(&request, "peer");
    put(&mut accepted.headers, answer);
    bench.receive(&accepted);
    bench.sent();
    bench.events();
    (request, accepted, call)
}

/// A call of theirs whose INVITE carries these headers. Returns our 2xx.
fn callee(bench: &mut Bench, asked: &[(HeaderName, &str)]) -> (Request, Response, CallRef) {
    let mut invite = bench.foreign(Method::Invite);
    put(&mut invite.headers, asked);
    bench.receive(&invite);
    assert_eq!(bench.response().status, 100);
    let SipEvent::Incoming { call, .. } = bench.event() else { panic!("an invitation expected") };
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    bench.receive(&ack);
    bench.events();
    (invite, answer, call)
}

#[test]
fn an_invite_asks_for_the_timer_and_names_a_refresher_only_by_rule() {
    for (refresher, expected) in
        [(Refresher::Either, "1800"), (Refresher::Us, "1800;refresher=uac"), (Refresher::Peer, "1800;refresher=uas")]
    {
        let mut bench = Bench::new();
        let timer = SessionTimer { refresher, ..SessionTimer::USUAL };
        let extensions = Extensions { session: Some(timer), ..Extensions::USUAL };
        bench.order(|endpoint, now| endpoint.invite(Invite { extensions, ..invite() }, now)).unwrap();
        let (request, _) = bench.request();
        assert_eq!(session(&request.headers).as_deref(), Some(expected));
        assert!(request.headers.has_token(&HeaderName::Supported, "timer"));
        assert_eq!(request.headers.get(&HeaderName::MinSe), None, "90 goes without saying (§5)");
    }
    let mut bench = Bench::new();
    let off = Invite { extensions: Extensions::default(), ..invite() };
    bench.order(|endpoint, now| endpoint.invite(off, now)).unwrap();
    let (request, _) = bench.request();
    assert_eq!(session(&request.headers), None);
    assert_eq!(request.headers.get(&HeaderName::Supported), Some("replaces"));
}

#[test]
fn a_caller_who_refreshes_sends_an_update_at_half_time_again_and_again() {
    let mut bench = Bench::new();
    let granted =
        [MODERN, &[(HeaderName::SessionExpires, "100;refresher=uac"), (HeaderName::Require, "timer")]].concat();
    caller(&mut bench, &granted);
    for round in 1..=4 {
        bench.run_until_ms(round * 50_000 - 1);
        assert!(bench.sent().is_empty());
        bench.run_until_ms(round * 50_000);
        let (update, _) = bench.request();
        assert_eq!(update.method, Method::Update);
        assert_eq!(session(&update.headers).as_deref(), Some("100;refresher=uac"), "§7.4: roles stay");
        assert!(update.body.is_empty() && update.headers.get(&HeaderName::Contact).is_some());
        let mut accepted = reply(&update, 200, "peer");
        put(&mut accepted.headers, &granted);
        bench.receive(&accepted);
    }
    assert!(bench.events().is_empty(), "nothing of this concerns the application");
}

#[test]
fn a_far_end_without_update_is_refreshed_by_a_reinvite_that_says_the_same() {
    let mut bench = Bench::new();
    let granted = [OLD, &[(HeaderName::SessionExpires, "100;refresher=uac")]].concat();
    let (_, _, call) = caller(&mut bench, &granted);
    bench.run_until_ms(50_000);
    let (reinvite, _) = bench.request();
    assert_eq!((reinvite.method.clone(), reinvite.body.as_slice()), (Method::Invite, SDP));
    let mut accepted = answered(&reinvite, "peer");
    put(&mut accepted.headers, &granted);
    bench.receive(&accepted);
    assert_eq!(bench.request().0.method, Method::Ack);
    assert_eq!(bench.event(), SipEvent::Refreshed { call, body: SDP.to_vec() });
    bench.run_until_ms(100_000);
    assert_eq!(bench.moments("INVITE"), [100_000]);
}

#[test]
fn an_update_that_is_refused_405_becomes_a_reinvite_at_once_and_stays_one() {
    let mut bench = Bench::new();
    let granted = [MODERN, &[(HeaderName::SessionExpires, "100;refresher=uac")]].concat();
    caller(&mut bench, &granted);
    bench.run_until_ms(50_000);
    let (update, _) = bench.request();
    bench.receive(&reply(&update, 405, "peer"));
    let (reinvite, _) = bench.request();
    assert_eq!(reinvite.method, Method::Invite);
}

#[test]
fn nobody_refreshes_and_both_roles_end_the_call_before_it_expires() {
    // §10: 32 s or a third before the end, whichever is less.
    for (interval, bye_ms) in [("100", 68_000), ("90", 60_000), ("300", 268_000)] {
        let mut bench = Bench::new();
        let granted = format!("{interval};refresher=uas");
        let granted = [MODERN, &[(HeaderName::SessionExpires, granted.as_str())]].concat();
        let (_, _, call) = caller(&mut bench, &granted);
        bench.run_until_ms(bye_ms - 1);
        assert!(bench.sent().is_empty());
        bench.run_until_ms(bye_ms);
        let (bye, _) = bench.request();
        assert_eq!(bye.method, Method::Bye);
        bench.receive(&reply(&bye, 200, "peer"));
        match bench.event() {
            SipEvent::Ended { call: ended, by, .. } => {
                assert_eq!((ended, by), (call, EndedBy::Timer(Timer::SessionExpiry)));
            }
            other => panic!("{other:?}"),
        }
        bench.assert_empty();
    }
}

#[test]
fn refused_refreshes_are_tried_a_few_times_and_then_the_session_expires() {
    let mut bench = Bench::new();
    let granted = [MODERN, &[(HeaderName::SessionExpires, "300;refresher=uac")]].concat();
    caller(&mut bench, &granted);
    let mut tries = 0;
    for second in 1..=310 {
        bench.run_until_ms(second * 1_000);
        for (_, sent) in bench.sent() {
            if let Message::Request(request) = parse(&sent.bytes) {
                tries += u32::from(request.method == Method::Update);
                let status = if request.method == Method::Bye { 200 } else { 500 };
                bench.receive(&reply(&request, status, "peer"));
            }
        }
    }
    assert!((3..=8).contains(&tries), "{tries}");
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Timer(Timer::SessionExpiry), .. }));
}

#[test]
fn a_refresh_answered_481_or_by_nobody_ends_the_call() {
    let granted = [MODERN, &[(HeaderName::SessionExpires, "200;refresher=uac")]].concat();
    let mut bench = Bench::new();
    caller(&mut bench, &granted);
    bench.run_until_ms(100_000);
    let (update, _) = bench.request();
    bench.receive(&reply(&update, 481, "peer"));
    assert_eq!(bench.moments("BYE"), [100_000]);
    let mut bench = Bench::new();
    caller(&mut bench, &granted);
    bench.run_until_ms(132_000);
    assert_eq!(bench.moments("BYE"), [132_000], "timer F, before the expiry at 168 s");
}

#[test]
fn a_far_end_without_the_timer_is_left_alone() {
    let mut bench = Bench::new();
    caller(&mut bench, &[(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE")]);
    bench.run_until_ms(86_400_000);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    // And one that grants a timer nobody asked for is not followed.
    let mut bench = Bench::new();
    let call = Invite { extensions: Extensions::default(), ..invite() };
    bench.order(|endpoint, now| endpoint.invite(call, now)).unwrap();
    let (request, _) = bench.request();
    let mut accepted = answered(&request, "peer");
    put(&mut accepted.headers, &[(HeaderName::SessionExpires, "90;refresher=uac")]);
    bench.receive(&accepted);
    bench.sent();
    bench.run_until_ms(86_400_000);
    assert!(bench.sent().is_empty());
}

#[test]
fn an_answer_without_the_timer_turns_it_off() {
    let mut bench = Bench::new();
    caller(&mut bench, &[MODERN, &[(HeaderName::SessionExpires, "100;refresher=uac")]].concat());
    bench.run_until_ms(50_000);
    let (update, _) = bench.request();
    bench.receive(&reply(&update, 200, "peer"));
    bench.run_until_ms(1_000_000);
    assert!(bench.sent().is_empty() && bench.events().is_empty(), "§7.2");
}

#[test]
fn absurd_intervals_make_no_storm() {
    for value in ["0;refresher=uac", "1;refresher=uac", "4294967296;refresher=uac", "99999999999999999;refresher=uac"] {
        let mut bench = Bench::new();
        caller(&mut bench, &[MODERN, &[(HeaderName::SessionExpires, value)]].concat());
        bench.run_until_ms(44_999);
        assert!(bench.sent().is_empty(), "{value}: never below 90 s");
    }
    for value in ["", "soon", "-1", "90x", ";refresher=uac"] {
        let mut bench = Bench::new();
        caller(&mut bench, &[MODERN, &[(HeaderName::SessionExpires, value)]].concat());
        bench.run_until_ms(10_000_000);
        assert!(bench.sent().is_empty(), "{value}: no timer");
        let mut invite = bench.foreign(Method::Invite);
        put(&mut invite.headers, &[(HeaderName::SessionExpires, value)]);
        bench.receive(&invite);
        if !value.is_empty() {
            assert_eq!(bench.response().status, 400, "{value}");
        }
    }
}

#[test]
fn a_422_is_followed_with_the_minimum_it_names() {
    let mut bench = Bench::new();
    bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    let (first, _) = bench.request();
    let mut refused = reply(&first, 422, "pbx");
    refused.headers.push(HeaderName::MinSe, "3600");
    bench.receive(&refused);
    let sent = bench.sent();
    let titles: Vec<String> = sent.iter().map(|(_, sent)| title(&sent.bytes)).collect();
    assert_eq!(titles, ["ACK", "INVITE"]);
    let Message::Request(second) = parse(&sent[1].1.bytes) else { panic!("a request expected") };
    assert_eq!(session(&second.headers).as_deref(), Some("3600"));
    assert_eq!(second.headers.get(&HeaderName::MinSe), Some("3600"));
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_eq!(second.headers.get(&HeaderName::CallId), first.headers.get(&HeaderName::CallId));
    assert_ne!(second.branch(), first.branch());
    bench.receive(&answered(&second, "pbx"));
    assert!(matches!(bench.event(), SipEvent::Answered { .. }));
}

#[test]
fn minima_that_rise_without_end_or_beyond_a_day_are_met_by_no_timer_at_all() {
    for minima in [vec!["200", "300", "400", "500"], vec!["4000000000"], vec![""]] {
        let mut bench = Bench::new();
        bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
        let mut asked = Vec::new();
        let mut minima = minima.into_iter();
        loop {
            let request = bench.sent().into_iter().find_map(|(_, sent)| match parse(&sent.bytes) {
                Message::Request(request) if request.method == Method::Invite => Some(request),
                Message::Request(_) | Message::Response(_) => None,
            });
            let Some(request) = request else { break };
            asked.push(session(&request.headers));
            let mut refused = reply(&request, 422, "pbx");
            if let Some(least) = minima.next().filter(|least| !least.is_empty()) {
                refused.headers.push(HeaderName::MinSe, least);
            }
            bench.receive(&refused);
        }
        assert!(asked.len() <= 4, "{asked:?}");
        assert_eq!(asked.last(), Some(&None), "{asked:?}");
        assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 422));
        bench.assert_empty();
    }
}

/// Our rule, what an INVITE asks for, Session-Expires of our 2xx, and whether it requires the timer.
type Row<'a> = (Refresher, &'a [(HeaderName, &'a str)], Option<&'a str>, bool);

#[test]
fn what_is_granted_follows_table_2() {
    let known = (HeaderName::Supported, "timer");
    let ask = |value| (HeaderName::SessionExpires, value);
    let usual = Refresher::Either;
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        // Both know it, and the caller names who refreshes.
        (usual, &[known.clone(), ask("1800;refresher=uac")], Some("1800;refresher=uac"), true),
        (usual, &[known.clone(), ask("1800;refresher=uas")], Some("1800;refresher=uas"), true),
        (Refresher::Peer, &[known.clone(), ask("1800;refresher=uas")], Some("1800;refresher=uas"), true),
        // The caller leaves it open.
        (usual, &[known.clone(), ask("600")], Some("600;refresher=uas"), true),
        (Refresher::Peer, &[known.clone(), ask("600")], Some("600;refresher=uac"), true),
        // We shorten, but not below their minimum, and never lengthen.
        (usual, &[known.clone(), ask("7200")], Some("1800;refresher=uas"), true),
        (usual, &[known.clone(), ask("7200"), (HeaderName::MinSe, "3600")], Some("3600;refresher=uas"), true),
        // Nobody asked: we bring it in.
        (usual, std::slice::from_ref(&known), Some("1800;refresher=uas"), true),
        // A proxy asked for a caller who does not know it: we refresh, and nothing is required.
        (usual, &[ask("600;refresher=uac")], Some("600;refresher=uas"), false),
        (usual, &[ask("30")], None, false),
        // Nobody knows of it.
        (usual, &[], None, false),
    ];
    for (refresher, asked, granted, required) in table {
        let mut bench = Bench::with(rule(1_800, 90, *refresher));
        let (_, answer, _) = callee(&mut bench, asked);
        assert_eq!(session(&answer.headers).as_deref(), *granted, "{refresher:?} {asked:?}");
        assert_eq!(answer.headers.has_token(&HeaderName::Require, "timer"), *required, "{asked:?}");
    }
}

#[test]
fn too_short_an_interval_is_422_with_our_minimum_at_first_and_later() {
    let mut bench = Bench::with(rule(1_800, 120, Refresher::Either));
    let mut invite = bench.foreign(Method::Invite);
    put(&mut invite.headers, &[(HeaderName::Supported, "timer"), (HeaderName::SessionExpires, "119")]);
    bench.receive(&invite);
    let refused = bench.response();
    assert_eq!((refused.status, refused.headers.get(&HeaderName::MinSe)), (422, Some("120")));
    assert_eq!(bench.refusals, [Refusal::TooBrief]);
    assert!(bench.events().is_empty() && bench.endpoint.ledger().calls == 0);

    let (invite, answer, _) = callee(&mut bench, MODERN);
    for (cseq, method) in [(2, Method::Update), (3, Method::Invite)] {
        let mut refresh = bench.within(&invite, &answer, method.clone(), cseq);
        put(&mut refresh.headers, &[(HeaderName::Supported, "timer"), (HeaderName::SessionExpires, "100")]);
        bench.receive(&refresh);
        let refused = bench.response();
        assert_eq!((refused.status, refused.headers.get(&HeaderName::MinSe)), (422, Some("120")), "{method}");
    }
    assert!(bench.events().is_empty());
}

#[test]
fn a_caller_who_refreshes_keeps_the_call_and_one_who_stops_loses_it() {
    let mut bench = Bench::new();
    let asked = [MODERN, &[(HeaderName::SessionExpires, "100;refresher=uac")]].concat();
    let (invite, answer, _) = callee(&mut bench, &asked);
    for (cseq, at_ms) in [(2, 50_000), (3, 100_000)] {
        bench.run_until_ms(at_ms);
        assert!(bench.sent().is_empty());
        let mut update = bench.within(&invite, &answer, Method::Update, cseq);
        put(&mut update.headers, &asked);
        bench.receive(&update);
        let accepted = bench.response();
        assert_eq!((accepted.status, session(&accepted.headers).as_deref()), (200, Some("100;refresher=uac")));
        assert!(accepted.headers.has_token(&HeaderName::Require, "timer"), "§9");
    }
    bench.run_until_ms(167_999);
    assert!(bench.sent().is_empty());
    bench.run_until_ms(168_000);
    assert_eq!(bench.moments("BYE"), [168_000]);
}

#[test]
fn a_callee_refreshes_as_well_and_a_change_of_ours_counts_as_one() {
    let mut bench = Bench::new();
    let asked = [OLD, &[(HeaderName::SessionExpires, "100;refresher=uas")]].concat();
    let (_, _, call) = callee(&mut bench, &asked);
    bench.run_until_ms(40_000);
    bench.order(|endpoint, now| endpoint.reinvite(call, b"v=0\r\na=sendonly\r\n".to_vec(), now)).unwrap();
    let (reinvite, _) = bench.request();
    assert_eq!(session(&reinvite.headers).as_deref(), Some("100;refresher=uac"), "we sent it, and we refresh");
    let mut accepted = answered(&reinvite, "peer1");
    put(&mut accepted.headers, &[(HeaderName::SessionExpires, "100;refresher=uac")]);
    bench.receive(&accepted);
    bench.sent();
    bench.events();
    bench.run_until_ms(89_999);
    assert!(bench.sent().is_empty());
    bench.run_until_ms(90_000);
    let (refresh, _) = bench.request();
    assert_eq!(refresh.body, b"v=0\r\na=sendonly\r\n", "what was agreed to last");
}

#[test]
fn a_refresh_that_meets_theirs_gives_way_and_is_left_out_when_theirs_has_done_it() {
    let mut bench = Bench::new();
    let asked = [OLD, &[(HeaderName::SessionExpires, "100;refresher=uas")]].concat();
    let (invite, answer, call) = callee(&mut bench, &asked);
    bench.run_until_ms(50_000);
    let (ours, _) = bench.request();
    bench.receive(&reply(&ours, 491, "peer1"));
    assert_eq!(bench.moments("ACK").len(), 1);
    let mut theirs = bench.within(&invite, &answer, Method::Invite, 2);
    put(&mut theirs.headers, &[(HeaderName::Supported, "timer"), (HeaderName::SessionExpires, "100;refresher=uas")]);
    put(
        &mut theirs.headers,
        &[(HeaderName::ContentType, "application/sdp"), (HeaderName::Contact, "<sip:p@192.0.2.9>")],
    );
    theirs.body = SDP.to_vec();
    bench.receive(&theirs);
    bench.order(|endpoint, now| endpoint.answer_reoffer(call, SDP.to_vec(), now));
    bench.sent();
    let ack = bench.within(&invite, &answer, Method::Ack, 2);
    bench.receive(&ack);
    bench.run_until_ms(60_000);
    assert_eq!(bench.moments("INVITE"), [0; 0]);
    bench.run_until_ms(100_000);
    assert_eq!(bench.moments("INVITE"), [100_000]);
}

#[test]
fn the_value_is_read_as_peers_write_it() {
    let read = |text: &str| text.parse::<SessionExpires>().map(|value| value.to_string()).ok();
    assert_eq!(read(" 1800 ;refresher=UAC;x=1").as_deref(), Some("1800;refresher=uac"));
    assert_eq!(read("90; Refresher = uas").as_deref(), Some("90;refresher=uas"));
    assert_eq!(read("90;refresher=none").as_deref(), Some("90"));
    assert_eq!(read("90;refresher").as_deref(), Some("90"));
    assert_eq!(read("18446744073709551615").as_deref(), Some("4294967295"));
    assert_eq!(read("18446744073709551616"), None);
    assert_eq!(read("+90"), None);
}
