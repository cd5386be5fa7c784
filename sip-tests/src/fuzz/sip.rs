//! SIP messages and streams: whatever comes in, what goes out can be read again and says the same.

use sip::{
    Abilities, HeaderName, Limits, Message, ParseError, Request, Response, StreamFramer, check_request, parse_datagram,
};

/// A datagram: parse, look at everything, answer, encode, parse again.
pub fn message(octets: &[u8]) {
    match parse_datagram(octets, &Limits::default()) {
        Ok(message) => look_at(&message),
        Err(error) => answer_of(&error),
    }
}

/// A TCP stream: the first octet says how it is cut; cut or whole, the same messages come out.
pub fn stream(octets: &[u8]) {
    let Some((first, octets)) = octets.split_first() else {
        return;
    };
    let whole = frames(octets, usize::MAX);
    let cut = frames(octets, usize::from(*first).max(1));
    assert_eq!(whole, cut, "the same stream in pieces of {first}");
    for result in whole {
        match result {
            Ok(message) => look_at(&message),
            Err(error) => answer_of(&error),
        }
    }
}

/// All messages of a stream that arrives in pieces; after one that breaks the framing nothing more is read.
fn frames(octets: &[u8], piece_bytes: usize) -> Vec<Result<Message, ParseError>> {
    let mut framer = StreamFramer::new(Limits::default());
    let mut out = Vec::new();
    for piece in octets.chunks(piece_bytes.min(60_000)) {
        if framer.push(piece).is_err() {
            break;
        }
        while let Some(result) = framer.next() {
            out.push(result);
        }
        while framer.poll_pong() {}
        if framer.is_broken() {
            break;
        }
    }
    out
}

/// Room for what encoding may add: long names for compact ones, a Content-Length, UTF-8 for Latin-1.
fn roomy() -> Limits {
    let mut limits = Limits::default();
    limits.message_bytes *= 4;
    limits.header_bytes *= 4;
    limits.headers += 8;
    limits
}

fn look_at(message: &Message) {
    let octets = message.encode();
    let again = parse_datagram(&octets, &roomy())
        .unwrap_or_else(|error| panic!("what we wrote cannot be read: {error}\n{}", String::from_utf8_lossy(&octets)));
    assert_eq!(again.encode(), octets, "encoding what was read again changes nothing");
    assert_eq!(again.body(), message.body());
    match message {
        Message::Request(request) => look_at_request(request),
        Message::Response(response) => look_at_response(response),
    }
}

fn look_at_request(request: &Request) {
    // What parse_datagram lets through can be relied on.
    let via = request.via().expect("a parsed request has a Via");
    let cseq = request.cseq().expect("a parsed request has a CSeq");
    let to = request.to().expect("a parsed request has a To");
    request.from().expect("a parsed request has a From");
    request.call_id().expect("a parsed request has a Call-ID");
    request.contact().expect("Contact was checked");
    assert_eq!(request.vias().map(|vias| vias.first().cloned()), Ok(Some(via)));
    assert!(cseq.number < 1 << 31);
    assert_eq!(request.to_tag().as_deref(), to.tag());
    assert!(request.uri.equivalent(&request.uri), "{}", request.uri);
    if let Err(rejection) = check_request(request, &Abilities::default()) {
        assert!((400..600).contains(&rejection.status));
        readable(&rejection.response(request));
    }
    let mut request = request.clone();
    request.note_source(([192, 0, 2, 7], 5060).into()).expect("a parsed Via can be amended");
    let mut response = request.reply(200, "OK");
    response.set_to_tag("t");
    assert!(response.to_tag().is_some(), "{:?}", response.headers.get(&HeaderName::To));
    readable(&response);
}

fn look_at_response(response: &Response) {
    assert!((100..700).contains(&response.status));
    response.via().expect("a parsed response has a Via");
    response.cseq().expect("a parsed response has a CSeq");
    for proxy in [true, false] {
        let challenges = sip::digest::Challenge::all(&response.headers, proxy);
        let credentials = sip::digest::Credentials { username: "u".to_owned(), password: "p".to_owned(), realm: None };
        let value = sip::digest::answer(&challenges, &credentials, (&sip::Method::Invite, b"v=0"), "sip:x", 1, "c");
        assert_eq!(value.is_some(), !challenges.is_empty());
    }
}

fn readable(response: &Response) {
    let octets = response.encode();
    if let Err(error) = parse_datagram(&octets, &roomy()) {
        panic!("our answer cannot be read: {error}\n{}", String::from_utf8_lossy(&octets));
    }
}

fn answer_of(error: &ParseError) {
    assert!(!error.to_string().is_empty());
    let Some(response) = error.response() else {
        return;
    };
    assert!(matches!(response.status, 400 | 413 | 505));
    let octets = response.encode();
    let text = String::from_utf8(octets).expect("what we write is UTF-8");
    assert!(text.ends_with("Content-Length: 0\r\n\r\n"), "no body and no second header block in {text:?}");
    assert_eq!(text.matches("\r\n\r\n").count(), 1);
}
