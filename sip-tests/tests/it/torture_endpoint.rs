//! RFC 4475 on the wire: each of the 49 messages reaches an endpoint as a datagram, from a stranger and from a
//! trunk. The answer is one that data/rfc4475/expected.tsv allows, and the endpoint still answers OPTIONS.
#![allow(clippy::print_stdout, reason = "a test prints what it ran")]

use std::net::SocketAddr;

use sip::digest::AccountSecret;
use sip::{
    Account, Endpoint, EndpointConfig, Flow, Limits, Local, Message, Refusal, Response, SipEvent, Transport,
    parse_datagram,
};
use sip_tests::data;
use sip_tests::net::epoch;

/// Answers that tell a caller nothing but how the call goes.
const NORMAL: &[u16] = &[100, 180, 200, 401, 403, 404, 480, 481, 484, 486, 488, 603];

struct Row {
    name: String,
    kind: String,
    allowed: String,
    never: String,
}

fn rows() -> Vec<Row> {
    let text = data::read_text("rfc4475/expected.tsv");
    let row = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        let mut next = || columns.next().unwrap_or_default();
        let (name, _section, kind, _parse) = (next(), next(), next(), next());
        Row { name, kind, allowed: next(), never: next() }
    };
    text.lines().skip(1).map(row).filter(|row| row.name != "test.dat").collect()
}

/// The three-digit numbers of a text.
fn statuses(text: &str) -> Vec<u16> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn is_allowed(row: &Row, status: u16) -> bool {
    let mut list = statuses(&row.allowed);
    if row.allowed.contains("any normal INVITE answer") || row.allowed.contains("or normal") {
        list.extend(NORMAL);
    }
    // Ours is a registrar with passwords: where a registrar may accept, it may ask who is there.
    let accepts = list.iter().any(|status| matches!(status, 200 | 405)) || row.allowed.contains("one answer");
    if row.kind.starts_with("REGISTER") && accepts {
        list.push(401);
    }
    if row.allowed.contains("RFC 2543 matching") {
        list.push(200);
    }
    list.contains(&status)
}

fn is_forbidden(row: &Row, status: u16) -> bool {
    statuses(&row.never).contains(&status) || (row.never.contains("2xx") && (200..300).contains(&status))
}

struct Answer {
    status: u16,
    response: Option<Response>,
}

struct Bench {
    endpoint: Endpoint,
    flow: Flow,
    now: std::time::Instant,
}

impl Bench {
    fn new(trunk: bool) -> Self {
        let now = epoch();
        let local: SocketAddr = "192.0.2.1:5060".parse().expect("an address");
        let remote: SocketAddr = "192.0.2.99:5060".parse().expect("an address");
        let locals = vec![Local { transport: Transport::Udp, bound: local, advertised: None }];
        let mut endpoint = Endpoint::new(EndpointConfig::new(locals, "example.com", 4475), now);
        let secret = AccountSecret::new("j.user", "example.com", "secret");
        endpoint.set_accounts(vec![Account { user: "j.user".into(), secret }]);
        if trunk {
            endpoint.set_trunks(vec![remote.ip()]);
        }
        Self { endpoint, flow: Flow { transport: Transport::Udp, local, remote }, now }
    }

    fn feed(&mut self, bytes: &[u8]) -> (Vec<Answer>, Vec<SipEvent>) {
        self.endpoint.handle_datagram(self.flow, bytes, self.now);
        let mut answers = Vec::new();
        while let Some(sent) = self.endpoint.poll_transmit() {
            // SECURITY S17: to the address it came from, whatever Via and Route say.
            assert_eq!(sent.flow.remote.ip(), self.flow.remote.ip());
            let text = String::from_utf8_lossy(&sent.bytes).into_owned();
            let status =
                text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
            let status = status.unwrap_or_else(|| panic!("an endpoint that is asked sends only answers: {text}"));
            // A 400 repeats the very header that could not be read, so not every answer can be read either.
            let response = match parse_datagram(&sent.bytes, &Limits::default()) {
                Ok(Message::Response(response)) => Some(response),
                Ok(Message::Request(_)) => panic!("a request: {text}"),
                Err(_) => None,
            };
            answers.push(Answer { status, response });
        }
        let events = std::iter::from_fn(|| self.endpoint.poll_event()).collect();
        (answers, events)
    }

    fn check_alive(&mut self, after: &str) {
        let branch = format!("z9hG4bKalive{}", after.replace('.', ""));
        let options = format!(
            "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99;branch={branch};rport\r\n\
             From: <sip:a@192.0.2.99>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: alive-{after}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let (answers, _) = self.feed(options.as_bytes());
        assert_eq!(answers.len(), 1, "after {after}");
        assert_eq!(answers[0].status, 200, "after {after}");
    }
}

fn check(trunk: bool) {
    let rows = rows();
    assert_eq!(rows.len(), 49);
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    for row in &rows {
        // Some share branch and sent-by, so each has an endpoint of its own.
        let mut bench = Bench::new(trunk);
        let (answers, events) = bench.feed(&data::read(&format!("rfc4475/{}", row.name)));
        let list: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        table.push(format!("{:<16} {:<28} {list:?}", row.name, row.kind));
        let row_text = format!("{} ({}): {list:?}, allowed: {}", row.name, row.kind, row.allowed);
        if row.kind.contains("response") {
            assert!(list.is_empty(), "a response is never answered: {row_text}");
        } else if list.is_empty() && !row.allowed.contains("drop") {
            wrong.push(row_text.clone());
        }
        for status in &list {
            if !is_allowed(row, *status) || is_forbidden(row, *status) {
                wrong.push(format!("{row_text}, never: {}", row.never));
            }
        }
        assert!(list.len() <= 1, "one answer at most: {row_text}");
        // What was not taken left a reason (LESSONS 12).
        let taken = list.first().is_some_and(|status| *status < 300);
        let refused = events.iter().any(|event| matches!(event, SipEvent::Refused { .. }));
        assert!(taken || refused, "no reason for {row_text}: {events:?}");
        for answer in &answers {
            check_companions(row, answer);
        }
        bench.check_alive(&row.name);
    }
    println!("{}", table.join("\n"));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What some answers must carry.
fn check_companions(row: &Row, answer: &Answer) {
    let Some(answer) = &answer.response else {
        assert!(matches!(answer.status, 400 | 505), "{}", row.name);
        return;
    };
    let has = |name: &str| answer.headers.get_str(name).is_some();
    match answer.status {
        401 => assert!(has("WWW-Authenticate"), "{}", row.name),
        405 | 501 => assert!(has("Allow"), "{}", row.name),
        406 => assert!(answer.body.is_empty(), "{}", row.name),
        415 => assert!(has("Accept"), "{}", row.name),
        420 => assert!(has("Unsupported"), "{}", row.name),
        _ => {}
    }
    if answer.status > 100 {
        assert!(answer.to_tag().is_some() || answer.to().is_err(), "{}: no To tag", row.name);
    }
}

#[test]
fn a_stranger_gets_an_allowed_answer_to_every_torture_message() {
    check(false);
}

#[test]
fn a_trunk_gets_an_allowed_answer_to_every_torture_message() {
    check(true);
}

#[test]
fn the_second_request_of_a_datagram_has_no_effect() {
    let mut bench = Bench::new(true);
    let (answers, events) = bench.feed(&data::read("rfc4475/dblreq.dat"));
    assert_eq!(answers.len(), 1);
    let response = answers[0].response.as_ref().expect("a readable answer");
    assert_eq!(response.cseq().map(|cseq| cseq.method), Ok(sip::Method::Register));
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Incoming { .. })));
}

#[test]
fn an_unknown_method_stays_unknown_however_it_is_escaped() {
    let mut bench = Bench::new(true);
    let (answers, events) = bench.feed(&data::read("rfc4475/esc02.dat"));
    assert_eq!(answers[0].status, 501);
    assert!(events.contains(&SipEvent::Refused { why: Refusal::NotAcceptable(501), flow: bench.flow }));
    assert_eq!(bench.endpoint.ledger().bindings, 0);
}
