//! Bounds and leaks: what is refused when there is no room, and that everything comes back to zero.

use super::*;

#[test]
fn beyond_max_calls_an_invitation_is_503_and_an_order_an_error() {
    let mut bench = Bench::with(EndpointConfig { max_calls: 2, ..config() });
    bench.called();
    bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
    bench.sent();
    let third = bench.foreign(Method::Invite);
    bench.receive(&third);
    let response = bench.response();
    assert_eq!(response.status, 503);
    assert!(response.headers.get_str("Retry-After").is_some());
    assert_eq!(bench.refusals, [Refusal::TooManyCalls]);
    assert_eq!(bench.order(|endpoint, now| endpoint.invite(invite(), now)), Err(SipError::TooManyCalls));
}

#[test]
fn beyond_max_transactions_new_requests_are_503_without_state_and_calls_go_on() {
    let mut bench = Bench::with(EndpointConfig { max_transactions: 10, ..config() });
    let (invite, answer, _) = bench.up_as_callee();
    for _ in 0..50 {
        let options = bench.foreign(Method::Options);
        bench.receive_from("203.0.113.7:5060", &options);
    }
    let statuses: Vec<String> = bench.titles().into_iter().map(|(_, title)| title).collect();
    assert_eq!(statuses.iter().filter(|status| *status == "200").count(), 4);
    assert_eq!(statuses.iter().filter(|status| *status == "503").count(), 46);
    assert_eq!(bench.endpoint.ledger().transactions, 5, "strangers have half of the room");
    assert_eq!(bench.refusals.len(), 46);
    assert_eq!(bench.refusals.first(), Some(&Refusal::TooManyTransactions));
    for _ in 0..10 {
        let options = bench.foreign(Method::Options);
        bench.receive(&options);
    }
    assert_eq!(bench.moments("200").len(), 5, "the trunk has the rest");
    // R18: in-dialog first.
    let bye = bench.within(&invite, &answer, Method::Bye, 2);
    bench.receive(&bye);
    assert_eq!(bench.response().status, 200);
    bench.assert_empty();
}

#[test]
fn a_flood_of_one_request_is_one_transaction_and_answered_now_and_then() {
    let mut bench = Bench::new();
    let (invite, _) = bench.called();
    for ms in 0..1_000 {
        bench.run_until_ms(ms);
        (0..20).for_each(|_| bench.receive(&invite));
    }
    // 20,000 copies in a second: 50 answers, one each 20 ms.
    assert_eq!(bench.moments("100").len(), 50);
    assert_eq!(bench.endpoint.ledger().calls, 1);
    assert_eq!(bench.endpoint.ledger().transactions, 1);
}

#[test]
fn a_copy_after_the_transaction_is_a_new_request() {
    let mut bench = Bench::new();
    let options = bench.foreign(Method::Options);
    bench.receive(&options);
    assert_eq!(bench.moments("200").len(), 1);
    bench.receive(&options);
    assert_eq!(bench.moments("200").len(), 1, "the first copy is answered at once");
    bench.run_until_ms(33_000);
    assert_eq!(bench.endpoint.ledger().transactions, 0);
    bench.receive(&options);
    assert_eq!(bench.moments("200").len(), 1);
    bench.run_until_ms(70_000);
    bench.assert_empty();
}

#[test]
fn a_stranger_who_proves_nothing_leaves_nothing_and_hears_once() {
    let mut bench = Bench::new();
    let invite = bench.foreign(Method::Invite);
    bench.receive_from("203.0.113.7:5060", &invite);
    let answer = bench.response();
    assert_eq!(answer.status, 401);
    assert_eq!(bench.endpoint.ledger(), Ledger::default(), "no transaction, no timer");
    bench.run_until_ms(40_000);
    assert!(bench.sent().is_empty(), "RFC 3261 §26.3.2.4: not sent again");
    bench.refusals.clear();
    let mut ack = invite.clone();
    ack.method = Method::Ack;
    ack.headers.set(HeaderName::CSeq, "1 ACK");
    ack.headers.set(HeaderName::To, answer.headers.get_str("To").unwrap());
    bench.receive_from("203.0.113.7:5060", &ack);
    assert!(bench.refusals.is_empty() && bench.sent().is_empty(), "its ACK is expected: {:?}", bench.refusals);
    ack.headers.set(HeaderName::To, "<sip:desk@gw.test>;tag=invented");
    bench.receive_from("203.0.113.7:5060", &ack);
    assert_eq!(bench.refusals, [Refusal::StrayAck]);
}

#[test]
fn a_stranger_who_sends_garbage_is_not_heard_for_a_while() {
    let mut bench = Bench::with(EndpointConfig {
        guard: GuardConfig { stranger_requests: 10, ..GuardConfig::default() },
        ..config()
    });
    for _ in 0..100 {
        bench.receive_from("203.0.113.7:5060", b"OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n".as_slice());
    }
    assert!(bench.sent().len() <= 10);
    assert_eq!(bench.refusals.iter().filter(|why| **why == Refusal::Barred).count(), 1);
    let register = bench.foreign(Method::Register);
    bench.receive_from("203.0.113.7:5070", &register);
    assert!(bench.sent().is_empty());
    // A call is not touched by what its far end's neighbour did.
    let (invite, answer, _) = bench.up_as_callee();
    let bye = bench.within(&invite, &answer, Method::Bye, 2);
    bench.receive_from("203.0.113.7:5060", &bye);
    assert_eq!(bench.response().status, 200);
}

#[test]
fn garbage_is_counted_and_answered_at_most_once_each() {
    let mut bench = Bench::new();
    let pieces: [&[u8]; 7] = [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"SIP/2.0 200\r\nVia: x\r\n\r\n",
        &[0xff; 2_000],
    ];
    for piece in pieces {
        bench.receive(piece);
        assert!(bench.sent().len() <= 1);
    }
    assert!(bench.events().is_empty());
    assert_eq!(bench.refusals.len(), 5, "keep-alives apart, each has a reason: {:?}", bench.refusals);
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn a_thousand_calls_of_every_kind_leave_nothing_behind() {
    let guard = GuardConfig { calls_per_second: 1_000, ..GuardConfig::default() };
    let mut bench = Bench::with(EndpointConfig { guard, ..config() });
    for round in 0..1_000_u32 {
        match round % 6 {
            0 => {
                let (_, _, call) = bench.up_as_caller();
                bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
                let (bye, _) = bench.request();
                bench.receive(&reply(&bye, 200, "peer"));
            }
            1 => {
                let (invite, answer, _) = bench.up_as_callee();
                let bye = bench.within(&invite, &answer, Method::Bye, 2);
                bench.receive(&bye);
            }
            2 => {
                let (_, call) = bench.called();
                bench.order(|endpoint, now| endpoint.reject(call, 486, None, now));
            }
            3 => {
                bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
                let (request, _) = bench.request();
                bench.receive(&reply(&request, 603, "peer"));
            }
            4 => {
                let call = bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
                let (request, _) = bench.request();
                bench.receive(&reply(&request, 180, "peer"));
                bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
                bench.receive(&reply(&request, 487, "peer"));
            }
            _ => {
                bench.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
                bench.order(|endpoint, now| endpoint.handle_transport_error(udp(PEER), now));
            }
        }
        bench.sent();
        bench.events();
    }
    assert_eq!(bench.endpoint.ledger().calls, 0);
    bench.assert_empty();
    assert_eq!(bench.endpoint.dropped(), 0);
}

#[test]
fn undrained_queues_stay_within_their_bounds() {
    let mut bench = Bench::new();
    for _ in 0..20_000 {
        bench.endpoint.handle_datagram(udp("203.0.113.7:5060"), b"junk junk junk\r\n\r\n", bench.now);
    }
    assert!(bench.endpoint.dropped() > 0);
    let reported = std::iter::from_fn(|| bench.endpoint.poll_event()).count();
    assert!(reported <= 8_192, "{reported}");
}
