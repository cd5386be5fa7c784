//! Tests of `message`: names, the header list, answers.

use super::*;
use crate::wire::{Limits, parse_datagram};

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport, SIP/2.0/TCP b.example;branch=z9hG4bKb\r\n\
    v: SIP/2.0/UDP c.example;branch=z9hG4bKc\r\n\
    Record-Route: <sip:p1.example;lr>\r\n\
    From: Alice <sip:alice@example.org>;tag=1\r\n\
    To: \"B\\\"ob\" <sip:bob@example.com>\r\n\
    Call-ID: x@y\r\nCSeq: 7 INVITE\r\nMax-Forwards: 70\r\nX-Foo: bar\r\nContent-Length: 0\r\n\r\n";

fn request(text: &str) -> Request {
    match parse_datagram(text.as_bytes(), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_spelling_of_a_name_is_the_same_name() {
    for (a, b) in [
        ("Via", "v"),
        ("CALL-ID", "i"),
        ("content-length", "L"),
        ("Session-Expires", "x"),
        ("Refer-To", "r"),
        ("x-FOO", "X-foo"),
        ("www-authenticate", "WWW-Authenticate"),
    ] {
        assert_eq!(HeaderName::parse(a), HeaderName::parse(b));
    }
    assert_ne!(HeaderName::parse("X-Foo"), HeaderName::parse("X-Fo"));
    assert_ne!(HeaderName::parse("X-Via"), HeaderName::Via);
    assert_eq!(HeaderName::parse("q"), HeaderName::Other("q".to_owned()), "one letter that is no compact form");
    for name in header_name::every_known() {
        assert_eq!(HeaderName::parse(name.as_str()), name, "the table is sorted");
        assert_eq!(HeaderName::parse(&name.as_str().to_ascii_uppercase()), name);
    }
}

#[test]
fn methods_are_case_sensitive_tokens() {
    assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
    assert_eq!(Method::parse("invite"), Some(Method::Other("invite".to_owned())));
    assert_eq!(Method::parse("RE%47ISTER"), Some(Method::Other("RE%47ISTER".to_owned())));
    for bad in ["", "IN VITE", "INV,ITE", "INVITE\0", "é"] {
        assert_eq!(Method::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn header_list_keeps_order_and_finds_by_any_name() {
    let mut headers = request(INVITE).headers;
    assert_eq!(headers.get_str("x-foo"), Some("bar"));
    assert_eq!(headers.all(&HeaderName::Via).count(), 2);
    assert_eq!(headers.values(&HeaderName::Via).count(), 3);
    assert_eq!(headers.number::<u8>(&HeaderName::MaxForwards), Some(70));
    headers.set(HeaderName::Via, "one");
    assert_eq!(headers.all(&HeaderName::Via).collect::<Vec<_>>(), ["one"]);
    assert_eq!(headers.iter().next().map(|(name, _)| name.clone()), Some(HeaderName::Via));
    headers.push_front(HeaderName::Via, "zero");
    assert_eq!(headers.remove(&HeaderName::Via), 2);
    headers.push(HeaderName::Supported, "timer, Replaces");
    assert!(
        headers.has_token(&HeaderName::Supported, "replaces") && !headers.has_token(&HeaderName::Supported, "100rel")
    );
}

/// SECURITY S9, S10: no text that is pushed can begin a line of its own.
#[test]
fn pushed_values_cannot_start_a_header() {
    let mut request = request(INVITE);
    let evil = "a\r\nX-Evil: 1\n\rX-Evil: 2\0\u{7f}\u{85}\r\n\r\nbody";
    request.headers.push(HeaderName::parse("X-Page"), evil);
    request.headers.set(HeaderName::UserAgent, evil);
    request.headers.push_front(HeaderName::parse("X-Front"), evil);
    let bytes = request.encode();
    let again = match parse_datagram(&bytes, &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.headers.get_str("X-Evil"), None);
    assert!(again.body.is_empty());
    assert_eq!(again.headers.len(), 13);
}

#[test]
fn a_reply_carries_what_rfc_3261_8_2_6_2_asks() {
    let mut request = request(INVITE);
    request.note_source("198.51.100.7:40000".parse().unwrap()).unwrap();
    let mut reply = request.reply(180, "Ringing\r\nX: y");
    reply.set_to_tag("t1");
    reply.set_to_tag("t2");
    let text = String::from_utf8(reply.encode()).unwrap();
    assert_eq!(
        text,
        "SIP/2.0 180 RingingX: y\r\n\
         Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport=40000;received=198.51.100.7, SIP/2.0/TCP b.example;branch=z9hG4bKb\r\n\
         Via: SIP/2.0/UDP c.example;branch=z9hG4bKc\r\n\
         Record-Route: <sip:p1.example;lr>\r\n\
         From: Alice <sip:alice@example.org>;tag=1\r\n\
         To: \"B\\\"ob\" <sip:bob@example.com>;tag=t1\r\n\
         Call-ID: x@y\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(request.reply(404, "").headers.get(&HeaderName::RecordRoute), None);
    assert_eq!(reply.vias().map(|vias| vias.len()), Ok(3));
}

#[test]
fn content_length_is_always_the_bodys() {
    let mut request = request(INVITE);
    request.body = b"12345".to_vec();
    request.headers.push(HeaderName::ContentLength, "99");
    let text = String::from_utf8(request.encode()).unwrap();
    assert_eq!(text.matches("Content-Length: 5\r\n").count(), 1);
    assert_eq!(text.matches("Content-Length").count(), 1);
}
