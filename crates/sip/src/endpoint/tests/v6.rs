//! A whole call over IPv6: addresses in brackets where a URI or Via has them, bare in `received` (RFC 5118).

use super::*;

const OURS_V6: &str = "[2001:db8::1]:5060";
const PEER_V6: &str = "[2001:db8::9]:5070";

fn bench() -> Bench {
    let local = |transport, bound: &str| Local { transport, bound: bound.parse().unwrap(), advertised: None };
    let locals = vec![local(Transport::Udp, OURS), local(Transport::Udp, OURS_V6)];
    let mut bench = Bench::with(EndpointConfig::new(locals, "gw.test", 1));
    bench.endpoint.set_trunks(vec!["2001:db8::9".parse().unwrap()]);
    bench
}

fn flow() -> Flow {
    Flow { transport: Transport::Udp, local: OURS_V6.parse().unwrap(), remote: PEER_V6.parse().unwrap() }
}

fn hear(bench: &mut Bench, message: &Response) {
    let bytes = message.encode();
    bench.order(|endpoint, now| endpoint.handle_datagram(flow(), &bytes, now));
}

#[test]
fn a_call_of_ours_names_its_addresses_in_brackets_and_goes_where_the_contact_says() {
    let mut bench = bench();
    let mut invite = invite();
    invite.uri = "sip:600@[2001:db8::9]:5070".parse().unwrap();
    invite.target = Target { transport: Transport::Udp, address: PEER_V6.parse().unwrap(), local: 1 };
    let call = bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    let (request, way) = bench.request();
    assert_eq!(way, flow());
    let via = request.headers.get(&HeaderName::Via).unwrap();
    assert!(via.starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"), "{via}");
    assert_eq!(request.contact().unwrap().unwrap().uri.to_string(), "sip:web@[2001:db8::1]:5060");
    let mut answer = answered(&request, "theirs");
    answer.headers.set(HeaderName::Contact, "<sip:600@[2001:db8::9]:5071>");
    hear(&mut bench, &answer);
    let (ack, way) = bench.request();
    assert_eq!((ack.method, way.remote.to_string().as_str()), (Method::Ack, "[2001:db8::9]:5071"));
    bench.events();
    bench.order(|endpoint, now| endpoint.hang_up(call, None, now));
    let (bye, way) = bench.request();
    assert_eq!(way, Flow { remote: "[2001:db8::9]:5071".parse().unwrap(), ..flow() });
    hear(&mut bench, &reply(&bye, 200, "theirs"));
}

#[test]
fn a_request_is_answered_where_it_came_from_and_told_so() {
    let mut bench = bench();
    let text = "OPTIONS sip:[2001:db8::1] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::77]:5070;rport;branch=z9hG4bK1\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@[2001:db8::9]>;tag=1\r\nTo: <sip:[2001:db8::1]>\r\nCall-ID: 1\r\n\
        CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    bench.order(|endpoint, now| endpoint.handle_datagram(flow(), text.as_bytes(), now));
    let response = bench.response();
    let via = response.vias().unwrap().remove(0);
    assert_eq!((via.received(), via.rport()), (Some("2001:db8::9".parse().unwrap()), Some(Some(5070))));
    assert_eq!(via.params.get("received"), Some("2001:db8::9"));
}
