//! Requests too large for a datagram: over TCP, back to a datagram where nobody takes it, and never to a phone's NAT.

use super::*;

/// An INVITE of 1,300 octets and more.
fn large() -> Invite {
    let mut invite = invite();
    let page = format!("https://shop.example/{}", "a".repeat(1_000));
    invite.headers = vec![("X-Passerelle-Page".into(), page)];
    invite
}

fn call(bench: &mut Bench) -> (CallRef, Request, Flow) {
    let call = bench.order(|endpoint, now| endpoint.invite(large(), now)).unwrap();
    let (request, flow) = bench.request();
    (call, request, flow)
}

fn ways(bench: &mut Bench) -> Vec<Transport> {
    let ways = bench.events().into_iter().filter_map(|event| match event {
        SipEvent::Large { flow } => Some(flow.transport),
        _ => None,
    });
    ways.collect()
}

#[test]
fn it_goes_over_tcp_and_so_does_all_that_belongs_to_it() {
    let mut bench = Bench::new();
    let (call, request, flow) = call(&mut bench);
    assert!(request.encode().len() > 1_300);
    assert_eq!((flow, request.via().unwrap().transport.as_str()), (tcp(PEER), "TCP"));
    assert_eq!(ways(&mut bench), [Transport::Tcp]);
    bench.run_until_ms(5_000);
    assert!(bench.sent().is_empty(), "a stream repeats nothing");
    bench.receive_stream(PEER, &answered(&request, "theirs"));
    let (ack, flow) = bench.request();
    assert_eq!((ack.method, flow), (Method::Ack, tcp(PEER)));
    bench.events();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, flow) = bench.request();
    assert_eq!((bye.method.clone(), flow), (Method::Bye, tcp(PEER)));
    bench.receive_stream(PEER, &reply(&bye, 200, "theirs"));
    bench.events();
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(PEER), now));
    bench.run_until_ms(60_000);
    bench.assert_empty();
}

#[test]
fn a_challenge_over_tcp_is_answered_over_tcp() {
    let mut bench = Bench::new();
    let mut wanted = large();
    wanted.credentials = Some(crate::digest::Credentials { username: "u".into(), password: "p".into(), realm: None });
    bench.order(|endpoint, now| endpoint.invite(wanted, now)).unwrap();
    let (request, _) = bench.request();
    let mut challenge = reply(&request, 407, "theirs");
    challenge.headers.push(HeaderName::ProxyAuthenticate, "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"");
    bench.receive_stream(PEER, &challenge);
    let sent: Vec<_> = bench.sent().into_iter().map(|(_, sent)| (title(&sent.bytes), sent.flow)).collect();
    assert_eq!(sent.iter().map(|(_, flow)| *flow).collect::<Vec<_>>(), [tcp(PEER); 2], "{sent:?}");
}

#[test]
fn where_no_connection_can_be_had_the_same_request_goes_as_a_datagram_and_the_next_at_once() {
    let mut bench = Bench::new();
    let (_, first, _) = call(&mut bench);
    bench.run_until_ms(200);
    bench.order(|endpoint, now| endpoint.handle_transport_error(tcp(PEER), now));
    let (again, flow) = bench.request();
    assert_eq!((flow, again.via().unwrap().transport.as_str()), (udp(PEER), "UDP"));
    assert_eq!(
        (again.branch(), again.call_id().ok(), again.from_tag()),
        (first.branch(), first.call_id().ok(), first.from_tag())
    );
    assert_eq!(ways(&mut bench), [Transport::Tcp, Transport::Udp]);
    bench.run_until_ms(4_000);
    assert_eq!(bench.moments("INVITE"), [700, 1_700, 3_700], "a datagram is repeated");
    bench.receive(&reply(&again, 486, "theirs"));
    bench.sent();
    bench.events();
    assert_eq!(call(&mut bench).2, udp(PEER), "it is remembered");
    bench.run_until_ms(601_000);
    bench.sent();
    assert_eq!(call(&mut bench).2, tcp(PEER), "and tried again in ten minutes");
}

#[test]
fn a_connection_that_breaks_after_an_answer_is_no_reason_to_send_it_twice() {
    let mut bench = Bench::new();
    let (_, request, _) = call(&mut bench);
    bench.receive_stream(PEER, &reply(&request, 180, "theirs"));
    bench.events();
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(PEER), now));
    assert!(bench.sent().is_empty());
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 503));
    bench.assert_empty();
}

#[test]
fn one_that_may_no_longer_leave_does_not() {
    let mut bench = Bench::new();
    let mut wanted = large();
    wanted.not_after = Some(bench.now + Duration::from_secs(1));
    bench.order(|endpoint, now| endpoint.invite(wanted, now)).unwrap();
    bench.sent();
    bench.run_until_ms(1_000);
    bench.order(|endpoint, now| endpoint.handle_transport_error(tcp(PEER), now));
    assert!(bench.sent().is_empty());
    assert!(bench.events().iter().any(|event| matches!(event, SipEvent::Failed { .. })));
}

#[test]
fn without_a_tcp_listener_it_stays_a_datagram() {
    let mut only = config();
    only.locals.truncate(1);
    let mut bench = Bench::with(only);
    assert_eq!(call(&mut bench).2, udp(PEER));
    assert_eq!(ways(&mut bench), [Transport::Udp]);
}
