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

/// A registration over a connection of our own making; what answers at the moments of its pings.
fn registered(bench: &mut Bench) {
    let wish = RegistrationConfig {
        registrar: "sip:pbx.test".parse().unwrap(),
        target: Target { transport: Transport::Tcp, address: PEER.parse().unwrap(), local: 1 },
        aor: "sip:passerelle@pbx.test".parse().unwrap(),
        credentials: None,
        expires_s: 3_600,
        local: 1,
    };
    bench.order(|endpoint, now| endpoint.register(wish, now));
    let (request, flow) = bench.request();
    assert_eq!(flow, tcp(PEER));
    bench.receive_stream(PEER, &reply(&request, 200, "theirs"));
    bench.events();
}

/// The moment of the one ping sent since the last look.
fn pinged(bench: &mut Bench) -> u64 {
    let sent = bench.sent();
    assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|(_, sent)| title(&sent.bytes)).collect::<Vec<_>>());
    assert_eq!((sent[0].1.flow, sent[0].1.bytes.as_slice()), (tcp(PEER), b"\r\n\r\n".as_slice()));
    sent[0].0
}

#[test]
fn a_connection_that_swallows_a_ping_is_noticed_within_30_s_and_made_anew() {
    let mut bench = Bench::new();
    registered(&mut bench);
    bench.run_until_ms(20_000);
    let first = pinged(&mut bench);
    assert!((15_000..20_000).contains(&first), "{first}");
    bench.receive_stream(PEER, b"\r\n".as_slice());
    assert!(bench.sent().is_empty(), "a pong is no ping");
    let answered = bench.now_ms();
    // From here on it swallows everything.
    bench.run_until_ms(answered + 30_000);
    let seen = bench.events();
    assert!(matches!(seen.as_slice(), [SipEvent::Close { flow }, ..] if *flow == tcp(PEER)), "{seen:?}");
    assert_eq!(bench.refusals, [Refusal::DeadConnection]);
    bench.run_until_ms(answered + 32_000);
    let sent: Vec<Vec<u8>> = bench.sent().into_iter().map(|(_, sent)| sent.bytes).collect();
    assert!(sent.first().is_some_and(|ping| ping == b"\r\n\r\n"), "{sent:?}");
    assert!(sent.last().is_some_and(|last| last.starts_with(b"REGISTER ")), "{sent:?}");
}

#[test]
fn a_peer_that_knows_no_pings_keeps_its_connection() {
    let mut bench = Bench::new();
    registered(&mut bench);
    bench.run_until_ms(300_000);
    assert!(bench.events().is_empty());
    let pings = bench.sent().len();
    assert!((9..=13).contains(&pings), "{pings} in five minutes, each 10 s and 15 to 20 s after the one before");
}

#[test]
fn requests_of_a_call_take_the_connection_that_is_made_anew() {
    let mut bench = Bench::new();
    let mut invite = invite();
    invite.target = Target { transport: Transport::Tcp, address: PEER.parse().unwrap(), local: 1 };
    let call = bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    let (request, _) = bench.request();
    let mut answer = answered(&request, "theirs");
    // Where nobody from outside can come.
    answer.headers.set(HeaderName::Contact, "<sip:600@198.51.100.200:40000;transport=tcp>");
    bench.receive_stream(PEER, &answer);
    bench.sent();
    bench.events();
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(PEER), now));
    assert!(bench.events().is_empty(), "a call does not end with a connection");
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, flow) = bench.request();
    assert_eq!((bye.method, flow.transport), (Method::Bye, Transport::Tcp));
}
