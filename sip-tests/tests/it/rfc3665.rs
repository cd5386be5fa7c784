//! RFC 3665: all 178 messages of the basic call flows are read and written again equal.
//!
//! Equal is octet for octet, after these normalisations of the original, which are what `encode` does: a folded
//! line becomes one line (one blank for the fold), blanks around a name's colon become `: `, Content-Length is
//! the body's real length and is added at the end of the headers where there was none. One message (§3.10 F4)
//! breaks a list before `<` without the blank that makes a fold; it is read as the fold it was meant to be.

use sip::{Limits, Message, parse_datagram};
use sip_tests::data;

/// The normalisations above on the octets of an original, made without the parser.
fn normal(octets: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(octets).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", "\n ").replace("\r\n\t", "\n ").replace(",\r\n<", ",\n <");
    let mut lines = Vec::new();
    let mut length = false;
    for (at, line) in unfolded.split("\r\n").enumerate() {
        let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
        if at == 0 {
            lines.push(line);
            continue;
        }
        let (name, value) = line.split_once(':').unwrap();
        if name.trim().eq_ignore_ascii_case("content-length") {
            length = true;
            lines.push(format!("Content-Length: {}", body.len()));
        } else {
            lines.push(format!("{}: {}", name.trim(), value.trim()));
        }
    }
    if !length {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

#[test]
fn all_178_messages_are_read_and_written_again_equal() {
    let messages = data::folder("rfc3665", ".sip");
    assert_eq!(messages.len(), 178);
    let (mut requests, mut as_they_came) = (0, 0);
    for (name, octets) in &messages {
        let message = parse_datagram(octets, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let encoded = message.encode();
        assert_eq!(String::from_utf8_lossy(&encoded), String::from_utf8_lossy(&normal(octets)), "{name}");
        assert_eq!(
            parse_datagram(&encoded, &Limits::default()).map(|again| again.encode()),
            Ok(encoded.clone()),
            "{name}"
        );
        requests += usize::from(matches!(message, Message::Request(_)));
        as_they_came += usize::from(encoded == *octets);
    }
    println!("{requests} requests; {as_they_came} of 178 without any normalisation");
    assert!(as_they_came >= 30, "most are folded in print, not all: {as_they_came}");
}

/// Each section is one call: its messages share what RFC 3261 says they share.
#[test]
fn typed_values_of_all_messages_can_be_read() {
    for (name, octets) in data::folder("rfc3665", ".sip") {
        let message = parse_datagram(&octets, &Limits::default()).unwrap();
        let headers = message.headers();
        let vias = headers.vias().unwrap();
        assert!(!vias.is_empty() && vias.iter().all(|via| via.rfc3261_branch().is_some()), "{name}");
        for route in headers.name_addrs(&sip::HeaderName::RecordRoute).unwrap() {
            assert!(route.uri.is_loose_route(), "{name}");
        }
        if let Message::Request(request) = &message {
            assert_eq!(request.cseq().unwrap().method, request.method, "{name}");
            assert!(request.uri.is_sip(), "{name}");
            // As published, one REGISTER of §2.5 has no Max-Forwards.
            assert_eq!(request.max_forwards().is_none(), name == "2.5_F1_011.sip", "{name}");
        }
    }
}
