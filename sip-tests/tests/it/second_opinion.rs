//! A foreign parser (rsip) reads the same messages: where it can, it must see what we see.

use rsip::headers::UntypedHeader;
use rsip::prelude::{HasHeaders, HeadersExt};
use sip::{Limits, Message, parse_datagram};
use sip_tests::data;

#[test]
fn rsip_sees_what_we_see_wherever_it_can_read() {
    let mut agreed = 0;
    for (name, octets) in data::folder("rfc3665", ".sip").into_iter().chain(data::folder("rfc4475", ".dat")) {
        let Ok(theirs) = rsip::SipMessage::try_from(octets.as_slice()) else {
            continue;
        };
        let Ok(ours) = parse_datagram(&octets, &Limits::default()) else {
            continue;
        };
        match (&ours, &theirs) {
            (Message::Request(ours), rsip::SipMessage::Request(theirs)) => {
                assert_eq!(ours.method.as_str(), theirs.method().to_string(), "{name}");
                if ours.uri.is_sip() {
                    assert_eq!(ours.uri.host.to_string(), theirs.uri().host().to_string(), "{name}");
                }
            }
            (Message::Response(ours), rsip::SipMessage::Response(theirs)) => {
                assert_eq!(ours.status, theirs.status_code().code(), "{name}");
            }
            (Message::Request(_), rsip::SipMessage::Response(_))
            | (Message::Response(_), rsip::SipMessage::Request(_)) => {
                panic!("{name}: a request and a response")
            }
        }
        // It keeps what follows the stated length (dblreq); the first octets must be the same.
        assert!(theirs.body().starts_with(ours.body()), "{name}");
        let headers = ours.headers();
        if let Ok(id) = theirs.call_id_header() {
            assert_eq!(headers.get_str("Call-ID"), Some(id.value()), "{name}");
        }
        if let Ok(Ok(number)) = theirs.cseq_header().map(rsip::headers::CSeq::seq) {
            let ours: sip::CSeq = headers.get_str("CSeq").unwrap().parse().unwrap();
            assert_eq!(ours.number, number, "{name}");
        }
        if let Ok(Ok(tag)) = theirs.from_header().map(|from| from.tag().map(|tag| tag.map(|tag| tag.to_string()))) {
            let from = headers.name_addr(&sip::HeaderName::From).unwrap();
            assert_eq!(from.tag().map(str::to_owned), tag, "{name}");
        }
        assert!(theirs.headers().iter().count() <= headers.len(), "{name}: it sees a header we do not");
        agreed += 1;
    }
    println!("rsip could read {agreed} messages and agrees on all of them");
    assert!(agreed >= 30, "only {agreed}");
}
