//! Phones that register, lapse, move, and are called back over the path they came by.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on whatever it does not expect")]

use super::*;
use crate::digest::{AccountSecret, Challenge, Credentials, answer};
use crate::endpoint::tests::{Bench, OURS, answered, config, invite, reply, tcp, udp};
use crate::endpoint::{Account, EndpointConfig, Ledger, Transport};
use crate::message::Method;

/// Where the phone is seen; its contact says something else.
const PHONE: &str = "203.0.113.20:34567";
const CONTACT: &str = "<sip:1001-0x55@192.168.1.20:5060>";

fn bench_with(config: EndpointConfig) -> Bench {
    let mut bench = Bench::with(config);
    let account = |user: &str| Account { user: user.into(), secret: AccountSecret::new(user, "gw.test", "secret") };
    bench.order(|endpoint, _| endpoint.set_accounts(vec![account("1001"), account("1002")]));
    bench
}

fn bench() -> Bench {
    bench_with(config())
}

struct Phone {
    user: &'static str,
    password: &'static str,
    cseq: u32,
    from: &'static str,
    call_id: &'static str,
}

impl Phone {
    fn new(user: &'static str, password: &'static str) -> Self {
        Self { user, password, cseq: 0, from: PHONE, call_id: "reg-1" }
    }

    fn request(&mut self, headers: &[(&str, &str)]) -> Request {
        self.cseq += 1;
        let mut request = Request::new(Method::Register, "sip:gw.test".parse().unwrap());
        let list = &mut request.headers;
        let (user, cseq, from) = (self.user, self.cseq, self.from);
        list.push(HeaderName::Via, &format!("SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bKr{user}{cseq}{from};rport"));
        list.push(HeaderName::From, &format!("<sip:{user}@gw.test>;tag=r{user}"));
        list.push(HeaderName::To, &format!("<sip:{user}@gw.test>"));
        list.push(HeaderName::CallId, self.call_id);
        list.push(HeaderName::CSeq, &format!("{cseq} REGISTER"));
        list.push(HeaderName::UserAgent, "baresip v1.0.0 (x86_64/linux)");
        for (name, value) in headers {
            list.push(HeaderName::parse(name), value);
        }
        request
    }

    /// REGISTER, the challenge, REGISTER with the answer to it; the last answer.
    fn register(&mut self, bench: &mut Bench, headers: &[(&str, &str)]) -> Response {
        let first = self.request(headers);
        bench.receive_from(self.from, &first);
        let challenge = bench.response();
        if challenge.status != 401 {
            return challenge;
        }
        let second = self.prove(&challenge, headers);
        bench.receive_from(self.from, &second);
        bench.response()
    }

    fn prove(&mut self, challenge: &Response, headers: &[(&str, &str)]) -> Request {
        let mut request = self.request(headers);
        let credentials = Credentials { username: self.user.into(), password: self.password.into(), realm: None };
        let challenges = Challenge::all(&challenge.headers, false);
        let value = answer(&challenges, &credentials, (&Method::Register, b""), "sip:gw.test", 1, "cn").unwrap();
        request.headers.push(HeaderName::Authorization, &value);
        request
    }
}

fn bound(bench: &mut Bench) -> usize {
    bench.events().iter().filter(|event| matches!(event, SipEvent::Bound { .. })).count()
}

#[test]
fn a_phone_registers_and_is_called_back_over_the_path_it_came_by() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    let answer = phone.register(&mut bench, &[("Contact", CONTACT), ("Expires", "600")]);
    assert_eq!(answer.status, 200);
    let contact = answer.contact().unwrap().unwrap();
    assert_eq!((contact.uri.to_string().as_str(), contact.expires_s()), ("sip:1001-0x55@192.168.1.20:5060", Some(600)));
    let binding = match bench.event() {
        SipEvent::Bound { user, binding } => {
            assert_eq!(user, "1001");
            *binding
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(binding.flow, udp(PHONE));
    assert_eq!(binding.user_agent.as_deref(), Some("baresip v1.0.0 (x86_64/linux)"));
    assert_eq!(bench.endpoint.bindings("1001"), std::slice::from_ref(&binding));
    assert!(bench.endpoint.bindings("1002").is_empty());
    // The call goes to the address the packets came from, with the contact as Request-URI.
    let mut call = invite();
    call.uri = binding.contact.clone();
    call.target = binding.target;
    bench.order(|endpoint, now| endpoint.invite(call, now)).unwrap();
    let (request, flow) = bench.request();
    assert_eq!((request.uri.to_string().as_str(), flow), ("sip:1001-0x55@192.168.1.20:5060", udp(PHONE)));
    let mut accepted = answered(&request, "phone");
    accepted.headers.set(HeaderName::Contact, "<sip:1001@8.8.8.8:5060>");
    bench.receive_from(PHONE, &accepted);
    assert_eq!(bench.request().1, udp(PHONE), "a registered phone is reached by its own path only");
}

#[test]
fn a_renewal_is_silent_and_a_lapse_is_told() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    phone.register(&mut bench, &[("Contact", CONTACT), ("Expires", "100")]);
    assert_eq!(bound(&mut bench), 1);
    bench.run_until_ms(80_000);
    bench.sent();
    phone.register(&mut bench, &[("Contact", CONTACT), ("Expires", "100")]);
    assert!(bench.events().is_empty());
    bench.run_until_ms(179_999);
    assert_eq!(bench.endpoint.ledger().bindings, 1);
    bench.run_until_ms(180_000);
    assert_eq!(bench.event(), SipEvent::Unbound { user: "1001".into(), why: UnboundWhy::Lapsed });
    bench.assert_empty();
}

#[test]
fn expires_is_obeyed_bounded_and_refused_below_the_minimum() {
    let check = |headers: &[(&str, &str)], status: u16, granted: Option<u32>| {
        let mut bench = bench();
        let answer = Phone::new("1001", "secret").register(&mut bench, headers);
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 423 {
            assert_eq!(answer.headers.get_str("Min-Expires"), Some("60"));
        } else {
            let contact = answer.contact().unwrap();
            assert_eq!(contact.and_then(|contact| contact.expires_s()), granted, "{headers:?}");
        }
    };
    check(&[("Contact", CONTACT)], 200, Some(3_600));
    check(&[("Contact", CONTACT), ("Expires", "86400")], 200, Some(3_600));
    check(&[("Contact", CONTACT), ("Expires", "4294967295")], 200, Some(3_600));
    check(&[("Contact", CONTACT), ("Expires", "nonsense")], 400, None);
    check(&[("Contact", &format!("{CONTACT};expires=120")), ("Expires", "600")], 200, Some(120));
    check(&[("Contact", CONTACT), ("Expires", "59")], 423, None);
    check(&[("Contact", CONTACT), ("Expires", "0")], 200, None);
    check(&[], 200, None);
}

#[test]
fn contact_star_removes_all_and_only_with_expires_0() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    phone.register(&mut bench, &[("Contact", CONTACT)]);
    phone.register(&mut bench, &[("Contact", "<sip:1001@192.168.1.21:5060>")]);
    assert_eq!(bound(&mut bench), 2);
    assert_eq!(phone.register(&mut bench, &[("Contact", "*")]).status, 400);
    assert_eq!(phone.register(&mut bench, &[("Contact", "*"), ("Expires", "10")]).status, 400);
    assert_eq!(bench.endpoint.ledger().bindings, 2);
    let answer = phone.register(&mut bench, &[("Contact", "*"), ("Expires", "0")]);
    assert_eq!((answer.status, answer.contact().unwrap()), (200, None));
    let removed = SipEvent::Unbound { user: "1001".into(), why: UnboundWhy::Removed };
    assert_eq!(bench.events(), [removed.clone(), removed]);
    bench.assert_empty();
}

#[test]
fn wrong_password_unknown_user_and_none_look_the_same() {
    let mut bench = bench();
    let mut statuses = Vec::new();
    for (user, password) in [("1001", "wrong"), ("9999", "secret"), ("admin", "")] {
        let answer = Phone::new(user, password).register(&mut bench, &[("Contact", CONTACT)]);
        let names: Vec<String> = answer.headers.iter().map(|(name, _)| name.to_string()).collect();
        statuses.push((answer.status, answer.phrase, names));
    }
    assert_eq!(statuses[0].0, 401);
    assert!(statuses.windows(2).all(|pair| pair[0] == pair[1]), "{statuses:?}");
    assert!(bench.refusals.iter().all(|why| *why == Refusal::Unauthenticated));
    assert_eq!(bench.endpoint.ledger().bindings, 0);
}

#[test]
fn an_account_registers_nobody_else() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    let first = phone.request(&[("Contact", CONTACT)]);
    bench.receive_from(PHONE, &first);
    let challenge = bench.response();
    let mut second = phone.prove(&challenge, &[("Contact", CONTACT)]);
    second.headers.set(HeaderName::To, "<sip:1002@gw.test>");
    bench.receive_from(PHONE, &second);
    assert_eq!(bench.response().status, 403);
    assert_eq!(bench.refusals.last(), Some(&Refusal::Forbidden));
    assert!(bench.endpoint.bindings("1002").is_empty());
}

#[test]
fn a_phone_that_moves_keeps_one_binding_by_its_instance() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    let at = |port: u16| format!("<sip:1001@192.168.1.20:{port}>;+sip.instance=\"<urn:uuid:0-1-2>\"");
    phone.register(&mut bench, &[("Contact", &at(5_060))]);
    phone.from = "203.0.113.20:40000";
    phone.call_id = "reg-2";
    phone.register(&mut bench, &[("Contact", &at(5_999))]);
    let bindings = bench.endpoint.bindings("1001");
    assert_eq!(bindings.len(), 1);
    assert_eq!(bindings[0].contact.port, Some(5_999));
    assert_eq!(bindings[0].flow, udp("203.0.113.20:40000"));
}

#[test]
fn bindings_are_bounded_by_user_and_in_all() {
    let mut bench = bench_with(EndpointConfig { max_bindings_per_user: 2, max_bindings: 3, ..config() });
    let mut phone = Phone::new("1001", "secret");
    for port in 1..=5 {
        let contact = format!("<sip:1001@192.168.1.20:{port}>");
        assert_eq!(phone.register(&mut bench, &[("Contact", &contact)]).status, 200, "{port}");
    }
    let ports: Vec<_> = bench.endpoint.bindings("1001").iter().map(|binding| binding.contact.port).collect();
    assert_eq!(ports, [Some(5), Some(4)], "the newest first, the oldest gone");
    let mut other = Phone::new("1002", "secret");
    other.call_id = "reg-9";
    assert_eq!(other.register(&mut bench, &[("Contact", "<sip:1002@192.168.1.22>")]).status, 200);
    assert_eq!(other.register(&mut bench, &[("Contact", "<sip:1002@192.168.1.23>")]).status, 503);
    assert_eq!(bench.endpoint.ledger().bindings, 3);
}

#[test]
fn a_register_out_of_order_is_500_and_changes_nothing() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    phone.cseq = 10;
    phone.register(&mut bench, &[("Contact", CONTACT)]);
    phone.cseq = 2;
    let answer = phone.register(&mut bench, &[("Contact", CONTACT), ("Expires", "0")]);
    assert_eq!(answer.status, 500);
    assert_eq!(bench.endpoint.ledger().bindings, 1);
}

#[test]
fn a_closed_connection_takes_its_bindings_along() {
    let mut bench = bench();
    let mut phone = Phone::new("1001", "secret");
    let over = |request: &Request| {
        let mut request = request.clone();
        let via = request.headers.get(&HeaderName::Via).unwrap().replace("UDP", "TCP");
        request.headers.set(HeaderName::Via, &via);
        request
    };
    let first = phone.request(&[("Contact", CONTACT)]);
    bench.receive_stream(PHONE, &over(&first));
    let challenge = bench.response();
    let second = phone.prove(&challenge, &[("Contact", CONTACT)]);
    bench.receive_stream(PHONE, &over(&second));
    assert_eq!(bench.response().status, 200);
    let binding = bench.endpoint.bindings("1001").remove(0);
    assert_eq!((binding.flow, binding.target.transport), (tcp(PHONE), Transport::Tcp));
    assert_eq!(binding.flow.local.to_string(), OURS);
    bench.events();
    bench.run_until_ms(600_000);
    assert!(bench.events().is_empty(), "a connection with a phone behind it is not idle");
    bench.order(|endpoint, now| endpoint.handle_stream_closed(tcp(PHONE), now));
    assert_eq!(bench.event(), SipEvent::Unbound { user: "1001".into(), why: UnboundWhy::ConnectionLost });
    assert_eq!(bench.endpoint.ledger(), Ledger::default());
}

#[test]
fn an_account_that_is_removed_loses_its_bindings() {
    let mut bench = bench();
    Phone::new("1001", "secret").register(&mut bench, &[("Contact", CONTACT)]);
    bench.events();
    bench.order(|endpoint, _| endpoint.set_accounts(Vec::new()));
    assert_eq!(bench.event(), SipEvent::Unbound { user: "1001".into(), why: UnboundWhy::AccountRemoved });
    bench.assert_empty();
}

#[test]
fn an_account_that_proves_itself_may_call() {
    let mut bench = bench();
    let mut call = bench.foreign(Method::Invite);
    bench.receive_from(PHONE, &call);
    let challenge = bench.response();
    assert_eq!(challenge.status, 401);
    let credentials = Credentials { username: "1001".into(), password: "secret".into(), realm: None };
    let challenges = Challenge::all(&challenge.headers, false);
    let uri = call.uri.to_string();
    let value = answer(&challenges, &credentials, (&Method::Invite, b""), &uri, 1, "cn").unwrap();
    call.headers.push(HeaderName::Authorization, &value);
    call.headers.set(HeaderName::CSeq, "2 INVITE");
    call.headers.set(HeaderName::Via, &format!("SIP/2.0/UDP {PHONE};branch=z9hG4bKsecond;rport"));
    bench.receive_from(PHONE, &call);
    assert_eq!(bench.response().status, 100);
    let call_ref = match bench.event() {
        SipEvent::Incoming { call, invite } => {
            assert_eq!(invite.account.as_deref(), Some("1001"));
            call
        }
        other => panic!("{other:?}"),
    };
    bench.order(|endpoint, now| endpoint.answer(call_ref, Vec::new(), Vec::new(), now));
    let accepted = bench.response();
    let ack = bench.within(&call, &accepted, Method::Ack, 2);
    bench.receive_from(PHONE, &ack);
    bench.events();
    bench.order(|endpoint, now| endpoint.hang_up(call_ref, None, now));
    let (bye, flow) = bench.request();
    assert_eq!(flow, udp(PHONE), "BYE goes back by the phone's own path, whatever its contact says");
    bench.receive_from(PHONE, &reply(&bye, 200, "x"));
    bench.events();
    bench.assert_empty();
}

#[test]
fn a_phone_on_datagrams_gets_a_large_invite_as_one() {
    let mut bench = bench();
    Phone::new("1001", "secret").register(&mut bench, &[("Contact", CONTACT)]);
    let binding = bench.endpoint.bindings("1001").remove(0);
    let mut invite = invite();
    invite.headers = vec![("X-Page".into(), "a".repeat(1_500))];
    invite.target = binding.target;
    bench.order(|endpoint, now| endpoint.invite(invite, now)).unwrap();
    assert_eq!(bench.request().1, binding.flow);
}
