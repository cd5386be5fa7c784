//! RFC 4475 at parse level: each of the 49 messages is taken, refused or dropped as data/rfc4475/expected.tsv
//! allows. What an endpoint answers on the wire is judged with the endpoint.

use std::collections::BTreeMap;

use sip::{Abilities, Contacts, HeaderName, Limits, Message, Method, Request, Scheme, check_request, parse_datagram};
use sip_tests::data;

/// What became of a message at the front door.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// Taken: a request without anything to refuse, or a response.
    Taken,
    /// Answered with this status.
    Answered(u16),
    /// Neither taken nor answered.
    Dropped,
}

use Outcome::{Answered, Dropped, Taken};

fn outcome(octets: &[u8]) -> Outcome {
    match parse_datagram(octets, &Limits::default()) {
        Ok(Message::Request(request)) => match check_request(&request, &Abilities::default()) {
            Ok(()) => Taken,
            Err(rejection) => Answered(rejection.response(&request).status),
        },
        Ok(Message::Response(_)) => Taken,
        Err(error) => error.response().map_or(Dropped, |response| Answered(response.status)),
    }
}

fn octets(name: &str) -> Vec<u8> {
    data::read(&format!("rfc4475/{name}.dat"))
}

fn request(name: &str) -> Request {
    match parse_datagram(&octets(name), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

/// What we do, message by message. Any of it that the table below does not allow fails.
const OURS: &[(&str, Outcome)] = &[
    ("wsinv", Taken),
    ("intmeth", Answered(501)),
    ("esc01", Taken),
    ("escnull", Taken),
    ("esc02", Answered(501)),
    ("lwsdisp", Taken),
    ("longreq", Taken),
    ("dblreq", Taken),
    ("semiuri", Taken),
    ("transports", Taken),
    ("mpart01", Answered(405)),
    ("unreason", Taken),
    ("noreason", Taken),
    ("badinv01", Answered(400)),
    ("clerr", Answered(400)),
    ("ncl", Answered(400)),
    ("scalar02", Answered(400)),
    ("scalarlg", Dropped),
    ("quotbal", Answered(400)),
    ("ltgtruri", Answered(400)),
    ("lwsruri", Answered(400)),
    ("lwsstart", Answered(400)),
    ("trws", Answered(400)),
    ("escruri", Taken),
    ("baddate", Taken),
    ("regbadct", Answered(400)),
    ("badaspec", Answered(400)),
    ("baddn", Answered(400)),
    ("badvers", Answered(505)),
    ("mismatch01", Answered(400)),
    ("mismatch02", Answered(501)),
    ("bigcode", Dropped),
    ("badbranch", Taken),
    ("insuf", Dropped),
    ("unkscm", Answered(416)),
    ("novelsc", Answered(416)),
    ("unksm2", Answered(400)),
    ("bext01", Answered(420)),
    ("invut", Answered(415)),
    ("regaut01", Taken),
    ("multi01", Answered(400)),
    ("mcl01", Answered(400)),
    ("bcast", Taken),
    ("zeromf", Taken),
    ("cparam01", Taken),
    ("cparam02", Taken),
    ("regescrt", Taken),
    ("sdp01", Answered(406)),
    ("inv2543", Taken),
];

/// Whether the table's words allow an outcome. Taken hands the message to the endpoint, so every answer the
/// table names may still follow.
fn allowed(parse: &str, answers: &str, outcome: Outcome) -> bool {
    match outcome {
        Taken => matches!(parse, "accept" | "accept first only" | "either"),
        Dropped => answers.contains("drop"),
        Answered(status) => answers.contains(&status.to_string()),
    }
}

#[test]
fn every_message_is_classified_as_the_table_allows() {
    let table = data::read_text("rfc4475/expected.tsv");
    let rows: BTreeMap<&str, Vec<&str>> = table
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter_map(|row| Some((row.first()?.strip_suffix(".dat")?, row)))
        .filter(|(name, _)| *name != "test")
        .collect();
    assert_eq!(rows.len(), 49);
    assert_eq!(OURS.len(), 49);
    let mut wrong = Vec::new();
    for (name, ours) in OURS {
        let row = &rows[name];
        let got = outcome(&octets(name));
        if got != *ours {
            wrong.push(format!("{name}: {got:?}, we said {ours:?}"));
        }
        if !allowed(row[3], row[4], got) {
            wrong.push(format!("{name}: {got:?}, allowed: parse {:?}, answer {:?}", row[3], row[4]));
        }
        let never = row.get(5).copied().unwrap_or_default();
        if let Answered(status) = got {
            assert!(!never.contains(&status.to_string()), "{name}: {status} must never be answered");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every answer the front gives can be read again and carries the request's transaction.
#[test]
fn every_refusal_can_be_sent() {
    let mut answers = 0;
    for (name, ours) in OURS {
        let octets = octets(name);
        let response = match (ours, parse_datagram(&octets, &Limits::default())) {
            (Answered(_), Ok(Message::Request(request))) => {
                check_request(&request, &Abilities::default()).unwrap_err().response(&request)
            }
            (Answered(_), Err(error)) => error.response().unwrap(),
            (Taken | Dropped, _) => continue,
            (Answered(_), Ok(Message::Response(_))) => panic!("{name}: nobody answers a response"),
        };
        let text = String::from_utf8(response.encode()).unwrap();
        assert!(text.contains("\r\nCall-ID: ") && text.contains("\r\nCSeq: ") && text.contains("\r\nVia: "), "{text}");
        assert_eq!(text.matches("\r\n\r\n").count(), 1, "{text}");
        assert!(text.starts_with("SIP/2.0 "), "{text}");
        answers += 1;
    }
    assert_eq!(answers, OURS.iter().filter(|(_, ours)| matches!(ours, Answered(_))).count());
}

#[test]
fn the_extra_file_of_the_archive_is_refused_quietly() {
    assert_eq!(outcome(&data::read("rfc4475/test.dat")), Dropped);
}

#[test]
fn wsinv_is_read_through_its_folds_and_compact_names() {
    let request = request("wsinv");
    let branches: Vec<_> = request.vias().unwrap().iter().map(|via| via.branch().unwrap().to_owned()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(request.via().unwrap().rfc3261_branch(), None, "RFC 2543 matching");
    let cseq = request.cseq().unwrap();
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    assert_eq!(request.max_forwards(), Some(68));
    let from = request.from().unwrap();
    assert_eq!((from.display.as_deref(), from.tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!(request.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(request.headers.get_str("newfangledheader"), Some("newfangled value continued newfangled value"));
    assert_eq!(request.headers.get_str("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(request.headers.get_str("Subject"), Some(""));
    let contact = request.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.get("secondparam"), None);
    assert!(contact.params.has("secondparam"));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(request.body.len(), 150);
}

#[test]
fn escapes_are_never_applied_to_names_or_twice() {
    let odd = request("intmeth");
    assert_eq!(odd.method.as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert!(odd.to().unwrap().display.unwrap().contains("NUL:\0"));
    let params = odd.from().unwrap();
    assert_eq!(params.params.get_unquoted("fromParam''~+*_!.-%").as_deref(), Some("работающий"));
    assert_eq!(odd.uri.host.to_string(), "example.com");

    let nul = request("escnull");
    assert_eq!(nul.to().unwrap().uri.user_decoded().as_deref(), Some("null-\0-null"));
    let Contacts::List(contacts) = nul.contacts().unwrap() else { panic!("two contacts") };
    assert_eq!(contacts.len(), 2);
    assert!(!contacts[0].uri.equivalent(&contacts[1].uri), "one NUL is not two");

    let method = request("esc02");
    assert_eq!(method.method, Method::Other("RE%47IST%45R".to_owned()));
    assert_eq!(method.headers.all(&HeaderName::Contact).count(), 2, "C%6Fntact is no Contact");

    let once = request("esc01");
    assert_eq!(once.uri.user.as_deref(), Some("sips%3Auser%40example.com"));
    assert_eq!(once.uri.host.to_string(), "example.net");
}

#[test]
fn bodies_end_where_content_length_says() {
    let first = request("dblreq");
    assert_eq!((first.method, first.body.len()), (Method::Register, 0));
    let multipart = request("mpart01");
    assert_eq!(multipart.body.len(), 553);
    assert!(multipart.body.contains(&0), "NUL octets are body, not an end");
    let body = request("inv2543").body;
    assert!(body.starts_with(b"v=0\r\n") && body.ends_with(b"m=audio 49217 RTP/AVP 0\r\n"), "up to the datagram's end");
}

#[test]
fn uris_and_parameters_are_what_they_say() {
    assert_eq!(request("semiuri").uri.user_decoded().as_deref(), Some("user;par=u@example.net"));
    let header_param = request("cparam01").contact().unwrap().unwrap();
    assert!(header_param.params.has("unknownparam") && !header_param.uri.params.has("unknownparam"));
    let uri_param = request("cparam02").contact().unwrap().unwrap();
    assert!(uri_param.uri.params.has("unknownparam") && !uri_param.params.has("unknownparam"));
    let escaped = request("regescrt");
    assert_eq!(escaped.headers.get(&HeaderName::Route), None, "an escaped Route is no Route");
    assert_eq!(request("escruri").headers.get(&HeaderName::Route), None);
    assert!(matches!(request("unkscm").uri.scheme, Scheme::Other(scheme) if scheme == "nobodyKnowsThisScheme"));
    let transports: Vec<String> = request("transports").vias().unwrap().into_iter().map(|via| via.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert_eq!(request("lwsdisp").from().unwrap().display.as_deref(), Some("caller"));
    assert_eq!(request("zeromf").max_forwards(), Some(0));
}

#[test]
fn unsupported_extensions_are_listed() {
    let request = request("bext01");
    let response = check_request(&request, &Abilities::default()).unwrap_err().response(&request);
    assert_eq!(
        response.headers.get(&HeaderName::Unsupported),
        Some("nothingSupportsThis, nothingSupportsThisEither"),
        "Require only: Proxy-Require is a proxy's"
    );
}

/// Over TCP the same messages, one after the other on one connection each: no wait, no read past the end.
#[test]
fn over_a_stream_framing_is_kept_or_the_connection_is_given_up() {
    for (name, _) in OURS {
        let mut framer = sip::StreamFramer::new(Limits::default());
        for piece in octets(name).chunks(7) {
            if framer.push(piece).is_err() {
                break;
            }
            while framer.next().is_some() {}
        }
        match *name {
            "clerr" => assert!(!framer.is_broken() && framer.is_mid_message(), "waits for the rest"),
            "ncl" | "mcl01" | "inv2543" => assert!(framer.is_broken(), "{name}: no length to trust"),
            _ => {}
        }
    }
}
