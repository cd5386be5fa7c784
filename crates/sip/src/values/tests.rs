//! Tests of `values`.

use super::*;
use crate::uri::Host;

fn addr(text: &str) -> NameAddr {
    NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn names_and_addresses_are_told_apart() {
    for (text, display, uri, tag) in [
        ("sip:a@b;tag=1", None, "sip:a@b", Some("1")),
        ("<sip:a@b;x=y>;tag=1", None, "sip:a@b;x=y", Some("1")),
        ("\"A \\\"q\\\" \\\\\" <sip:a@b>", Some("A \"q\" \\"), "sip:a@b", None),
        ("caller<sip:a@b>;tag=323", Some("caller"), "sip:a@b", Some("323")),
        ("A. Bell  Jr <sip:a@b>", Some("A. Bell Jr"), "sip:a@b", None),
        ("\"<sip:fake@evil>\" <sip:a@b>", Some("<sip:fake@evil>"), "sip:a@b", None),
        ("\"Bell, A.\" <sip:a@b> ;  tag =  x", Some("Bell, A."), "sip:a@b", Some("x")),
        ("\"\" <sip:a@b>;", Some(""), "sip:a@b", None),
        ("Zoé <sip:a@b>", Some("Zoé"), "sip:a@b", None),
        ("isbn:2983792873", None, "isbn:2983792873", None),
        ("<http://www.example.com>;tag=3", None, "http://www.example.com", Some("3")),
    ] {
        let read = addr(text);
        assert_eq!((read.display.as_deref(), read.uri.to_string().as_str(), read.tag()), (display, uri, tag), "{text}");
        assert_eq!(addr(&read.to_string()), read, "{text}");
    }
}

#[test]
fn malformed_addresses_are_refused() {
    for text in [
        "",
        " ",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        "\"A <sip:a@b>",
        "A, B <sip:a@b>",
        "\"A\" sip:a@b",
        "< sip:a@b >",
        "<sip:a@b> x",
        "<sip:a@b>;tag=\"x",
        "<sip:a@b>;ta g=1",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>, <sip:c@d>",
        "sip:a@b?Route=x",
        "sip:a,b@c",
        "\"A\"",
        "<sip:a@b>;tag=a<b",
        "<sip:a@b><sip:c@d>",
        "a\0b <sip:a@b>",
    ] {
        assert!(NameAddr::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn contact_parameters_are_the_headers_and_never_the_uris() {
    let bare = addr("sip:+19725552222@gw1.example.net;unknownparam");
    assert!(bare.params.has("unknownparam") && !bare.uri.params.has("unknownparam"));
    let bracketed = addr("<sip:+19725552222@gw1.example.net;unknownparam>");
    assert!(!bracketed.params.has("unknownparam") && bracketed.uri.params.has("unknownparam"));
    let instance = addr("<sip:a@b>;+sip.instance=\"<urn:uuid:0-1;,>\";reg-id=1;expires=280297596632815");
    assert_eq!(instance.params.get_unquoted("+sip.instance").as_deref(), Some("<urn:uuid:0-1;,>"));
    assert_eq!(instance.expires_s(), Some(u32::MAX), "no wrap-around");
}

#[test]
fn via_is_read_with_blanks_and_without() {
    let via: Via = "SIP  /   2.0 /UDP    192.0.2.2 : 5070 ;branch =390skdjuw ; rport".parse().unwrap();
    assert_eq!(via.to_string(), "SIP/2.0/UDP 192.0.2.2:5070;branch=390skdjuw;rport");
    assert_eq!((via.branch(), via.rfc3261_branch(), via.rport()), (Some("390skdjuw"), None, Some(None)));
    let via: Via = "SIP/2.0/UNKNOWN [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111".parse().unwrap();
    assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
    assert_eq!(via.rfc3261_branch(), Some("z9hG4bKas3-111"));
    let bare: Via = "SIP/2.0/UDP h.example;branch=z9hG4bK".parse().unwrap();
    assert_eq!(bare.rfc3261_branch(), None, "the cookie alone names nothing (RFC 4475 §3.2.1)");
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 host",
        "SIP/7.0/UDP c.example.com",
        "HTTP/1.1/UDP h",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP .1",
        "SIP/2.0/UDP [.1]",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP 192.0.2.15;;",
        "SIP/2.0/UDP ;branch=x",
        "SIP/2.0/U DP h",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP fe80::1",
        "SIP/2.0/UDP h;branch=a b",
        "SIP/2.0/UDP a:b:5060",
    ] {
        assert!(text.parse::<Via>().is_err(), "{text:?}");
    }
}

/// RFC 3261 §18.2.1, RFC 3581 §4.
#[test]
fn the_source_is_noted_and_what_the_sender_claims_is_not() {
    let source = "198.51.100.7:40000".parse().unwrap();
    for (text, want) in [
        ("SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1", "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1"),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=198.51.100.7"),
        (
            "SIP/2.0/UDP h.example;rport;branch=z9hG4bK1",
            "SIP/2.0/UDP h.example;rport=40000;branch=z9hG4bK1;received=198.51.100.7",
        ),
        ("SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1;received=203.0.113.9", "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1"),
        ("SIP/2.0/UDP 10.0.0.1;rport=1;received=203.0.113.9", "SIP/2.0/UDP 10.0.0.1;rport=40000;received=198.51.100.7"),
    ] {
        let mut via: Via = text.parse().unwrap();
        via.note_source(source);
        assert_eq!(via.to_string(), want);
    }
    let via = Via::new("udp", Host::Name("me.test".to_owned()), Some(5060), "z9hG4bKx");
    assert!(via.same_sent_by(&"SIP/2.0/UDP ME.test".parse().unwrap()));
}

/// SECURITY S3: nothing wraps.
#[test]
fn cseq_stays_below_2_to_the_31() {
    assert_eq!("0009  INVITE".parse(), Ok(CSeq { number: 9, method: Method::Invite }));
    assert_eq!("2147483647 BYE".parse::<CSeq>().map(|cseq| cseq.number), Ok(2_147_483_647));
    for text in [
        "2147483648 BYE",
        "4294967296 BYE",
        "18446744073709551616 BYE",
        "-1 BYE",
        "+1 BYE",
        "1",
        "BYE",
        "1 BYE x",
        "1 B,E",
        "",
        "1.0 BYE",
        "0x1 BYE",
    ] {
        assert!(text.parse::<CSeq>().is_err(), "{text}");
    }
    assert_eq!("7 1 INVITE".parse::<RAck>().map(|rack| rack.rseq), Ok(7));
    assert!("99999999999 1 INVITE".parse::<RAck>().is_err());
}

#[test]
fn lists_split_outside_quotes_and_brackets_only() {
    let split = |text| split_list(text).collect::<Vec<_>>();
    assert_eq!(split("a, \"b, \\\" c\" , <d,e>;f , ,g,"), ["a", "\"b, \\\" c\"", "<d,e>;f", "g"]);
    assert!(split("").is_empty() && split(" , ,").is_empty());
    assert_eq!(split("\"open, a"), ["\"open, a"]);
}

#[test]
fn quoting_and_unquoting_are_inverse() {
    for text in ["", "plain", "a \"b\" c", "back\\slash", "é\"\\", "<sip:x>;tag=1"] {
        assert_eq!(unquote(&quote(text)), text);
        assert_eq!(quoted_end(&quote(text)), Some(quote(text).len()));
    }
    assert_eq!(quote("a\r\nb\0c\u{7f}"), "\"abc\"");
}
