//! Tests of `check`. The torture messages are judged in sip-tests.

use super::*;
use crate::message::Message;
use crate::wire::{Limits, parse_datagram};

/// Checks a request made of a start and some lines; the five mandatory headers are added.
#[track_caller]
fn check(start: &str, lines: &str, body: &str) -> Result<(), (u16, String)> {
    let method = start.split(' ').next().unwrap();
    let text = format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
         Call-ID: 1\r\nCSeq: 1 {method}\r\n{lines}\r\n{body}"
    );
    let request = match parse_datagram(text.as_bytes(), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    check_request(&request, &Abilities::default()).map_err(|rejection| {
        let header = rejection.headers.first().map(|(name, value)| format!("{name}: {value}"));
        assert_eq!(rejection.response(&request).status, rejection.status);
        (rejection.status, header.unwrap_or(rejection.phrase))
    })
}

fn status(result: Result<(), (u16, String)>) -> u16 {
    result.map_or_else(|(status, _)| status, |()| 0)
}

#[test]
fn what_is_normal_passes() {
    assert_eq!(check("INVITE sip:x@y", "Content-Type: application/SDP;x=y\r\nRequire:\r\n", "v=0"), Ok(()));
    assert_eq!(check("INVITE sip:x@y", "Accept: text/plain, application/*;q=0.1\r\n", ""), Ok(()));
    assert_eq!(check("OPTIONS sip:x@y", "Max-Forwards: 0\r\n", ""), Ok(()));
    assert_eq!(check("INVITE tel:+33123", "", ""), Ok(()));
    assert_eq!(check("ACK sip:x@y", "Require: foo\r\n", ""), Ok(()));
    assert_eq!(check("REGISTER sip:y", "Contact: *\r\nExpires: 0\r\n", ""), Ok(()));
    assert_eq!(check("INFO sip:x@y", "Content-Type: application/dtmf-relay\r\n", "Signal=1"), Ok(()));
    assert_eq!(
        check("INVITE sip:x@y", "Content-Type: x/y\r\nContent-Disposition: icon;handling=optional\r\n", "z"),
        Ok(())
    );
}

#[test]
fn what_is_not_served_is_refused_and_says_what_is() {
    let allow = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO".to_owned();
    assert_eq!(check("SUBSCRIBE sip:x@y", "", ""), Err((405, allow.clone())));
    assert_eq!(check("NOTIFY sip:x@y", "", ""), Err((405, allow.clone())));
    assert_eq!(check("invite sip:x@y", "", ""), Err((501, allow)));
    assert_eq!(
        check("OPTIONS sip:x@y", "Require: a, B\r\nRequire: c\r\n", ""),
        Err((420, "Unsupported: a, B, c".to_owned()))
    );
    assert_eq!(
        check("INVITE sip:x@y", "Content-Type: text/html\r\n", "x"),
        Err((415, "Accept: application/sdp, application/dtmf-relay, application/dtmf".to_owned()))
    );
    assert_eq!(
        check("INVITE sip:x@y", "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", "x"),
        Err((415, "Accept-Encoding: identity".to_owned()))
    );
    assert_eq!(status(check("MESSAGE sip:x@y", "Content-Type: text/plain\r\n", "x")), 405);
    assert_eq!(status(check("INVITE sip:x@y", "Accept: text/plain\r\n", "")), 406);
    assert_eq!(status(check("OPTIONS http://x", "", "")), 416);
    assert_eq!(status(check("REGISTER tel:12", "", "")), 416);
    assert_eq!(status(check("INFO sip:x@y", "", "untyped")), 415);
}

/// SECURITY S3.
#[test]
fn numbers_out_of_range_are_400() {
    for number in
        ["-1", "4294967296", "18446744073709551616", "1e3", "0x10", "", "1 2", "99999999999999999999999999999"]
    {
        assert_eq!(status(check("REGISTER sip:y", &format!("Expires: {number}\r\n"), "")), 400, "Expires {number:?}");
        if !number.is_empty() && !number.contains(' ') {
            let line = format!("Contact: <sip:a@b>;expires={number}\r\n");
            assert_eq!(status(check("REGISTER sip:y", &line, "")), 400, "{line}");
        }
    }
    for number in ["256", "300", "-1", "x"] {
        assert_eq!(status(check("OPTIONS sip:y", &format!("Max-Forwards: {number}\r\n"), "")), 400, "{number}");
    }
    assert_eq!(status(check("REGISTER sip:y", "Contact: *\r\n", "")), 400);
    assert_eq!(status(check("REGISTER sip:y", "Contact: *\r\nExpires: 60\r\n", "")), 400);
    assert_eq!(status(check("REGISTER sip:y", "Expires: 4294967295\r\n", "")), 0);
}
