//! Stream connections: whole calls over them, cut anywhere, idle, stuck, closed.

use super::*;
use crate::endpoint::event::EndedBy;

const REMOTE: &str = "192.0.2.9:41000";

fn over_tcp(mut request: Request) -> Request {
    let via = request.headers.get(&HeaderName::Via).unwrap().replace("UDP", "TCP");
    request.headers.set(HeaderName::Via, &via);
    request
}

#[test]
fn a_call_comes_in_and_ends_over_one_connection() {
    let mut bench = Bench::new();
    let invite = bench.foreign(Method::Invite);
    let invite = over_tcp(invite);
    // Octet by octet: framing is by Content-Length, not by packet.
    for byte in invite.encode() {
        bench.receive_stream(REMOTE, [byte].as_slice());
    }
    assert_eq!(bench.response().status, 100);
    let call = match bench.event() {
        SipEvent::Incoming { call, invite } => {
            assert_eq!(invite.flow, tcp(REMOTE));
            call
        }
        other => panic!("{other:?}"),
    };
    bench.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
    let answer = bench.response();
    assert!(answer.headers.get(&HeaderName::Contact).is_some_and(|contact| contact.contains("transport=tcp")));
    let ack = bench.within(&invite, &answer, Method::Ack, 1);
    let ack = over_tcp(ack);
    bench.receive_stream(REMOTE, &ack);
    bench.events();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, flow) = bench.request();
    assert_eq!(flow, tcp(REMOTE), "the connection at hand serves both directions");
    bench.run_until_ms(10_000);
    assert!(bench.sent().is_empty(), "a stream repeats nothing");
    bench.receive_stream(REMOTE, &reply(&bye, 200, "x"));
    assert!(matches!(bench.event(), SipEvent::Ended { by: EndedBy::Us, .. }));
    assert_eq!(bench.endpoint.ledger().flows, 1);
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(REMOTE), now));
    bench.assert_empty();
}

#[test]
fn a_call_of_ours_names_the_listening_address_and_the_wanted_remote() {
    let mut bench = Bench::new();
    let mut invite = invite();
    invite.target = Target { transport: Transport::Tcp, address: PEER.parse().unwrap(), local: 1 };
    bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    let (request, flow) = bench.request();
    assert_eq!(flow, tcp(PEER));
    assert_eq!(request.via().unwrap().transport, "TCP");
    bench.run_until_ms(20_000);
    assert!(bench.sent().is_empty());
    bench.order(|endpoint, now| endpoint.handle_transport_error(tcp(PEER), now));
    assert!(matches!(bench.event(), SipEvent::Failed { failure, .. } if failure.status == 503));
    bench.assert_empty();
}

#[test]
fn a_connection_that_closes_ends_what_waits_on_it() {
    // SECURITY S5: INVITEs, then an abrupt close.
    let mut bench = Bench::new();
    for _ in 0..100 {
        let invite = bench.foreign(Method::Invite);
        let invite = over_tcp(invite);
        bench.receive_stream(REMOTE, &invite);
    }
    assert_eq!(bench.endpoint.ledger().calls, 100);
    bench.events();
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(REMOTE), now));
    let events = bench.events();
    assert_eq!(events.len(), 100);
    assert!(events.iter().all(|event| matches!(event, SipEvent::Ended { by: EndedBy::Peer, .. })));
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn pings_are_answered_and_an_idle_connection_is_closed() {
    let mut bench = Bench::new();
    bench.receive_stream(REMOTE, b"\r\n\r\n".as_slice());
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].1.bytes.as_slice()), (1, b"\r\n".as_slice()));
    bench.run_until_ms(119_999);
    assert!(bench.events().is_empty());
    bench.run_until_ms(120_000);
    assert_eq!(bench.event(), SipEvent::Close { flow: tcp(REMOTE) });
    assert_eq!(bench.refusals, [Refusal::IdleConnection]);
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn a_peer_that_drips_one_message_for_ever_is_cut_off() {
    let mut bench = Bench::new();
    bench.receive_stream(REMOTE, b"OPTIONS sip:a@b SIP/2.0\r\n".as_slice());
    for second in 1..=29 {
        bench.run_until_ms(second * 1_000);
        bench.receive_stream(REMOTE, b"X-A: b\r\n".as_slice());
        assert!(bench.events().is_empty());
    }
    bench.run_until_ms(30_000);
    assert_eq!(bench.event(), SipEvent::Close { flow: tcp(REMOTE) });
}

#[test]
fn lost_framing_closes_the_connection_and_nothing_else() {
    let mut bench = Bench::new();
    bench.receive_stream("192.0.2.9:41001", b"\r\n\r\n".as_slice());
    bench.receive_stream(REMOTE, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice());
    assert_eq!(bench.event(), SipEvent::Close { flow: tcp(REMOTE) });
    assert_eq!(bench.endpoint.ledger().flows, 1);
}

#[test]
fn connections_are_counted_and_bounded() {
    let mut bench = Bench::with(EndpointConfig { max_connections: 3, ..config() });
    for port in 0..5 {
        bench.receive_stream(&format!("192.0.2.9:{}", 42_000 + port), b"\r\n\r\n".as_slice());
    }
    assert_eq!(bench.endpoint.ledger().flows, 3);
    assert_eq!(bench.events().len(), 2);
    assert_eq!(bench.refusals, [Refusal::TooManyConnections; 2]);
}
