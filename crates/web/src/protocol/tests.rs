//! The messages as pages write them, and everything they must not be.

use super::*;
use crate::backend::{AgentRequest, SessionInfo};

const HELLO: &str = r#"{"type":"hello","v":1,"token":"00","session":{"id":"s-1","page":{"url":"https://shop.fr/cart","title":"Cart"},"referrer":"","lang":"fr-FR","later":[1,{"x":2}]},"offer":"v=0\r\n","unknown":true}"#;

fn visitor(text: &str) -> Result<VisitorMessage, Fault> {
    VisitorMessage::parse(text)
}

#[test]
fn a_hello_is_read_and_unknown_fields_are_ignored() {
    let VisitorMessage::Hello(hello) = visitor(HELLO).unwrap() else { panic!("not a hello") };
    assert_eq!(hello.token, "00");
    assert_eq!(hello.offer, "v=0\r\n");
    let session = SessionInfo {
        id: "s-1".into(),
        page_url: "https://shop.fr/cart".into(),
        page_title: "Cart".into(),
        referrer: None,
        lang: "fr-FR".into(),
    };
    assert_eq!(hello.session, session);
}

#[test]
fn every_visitor_message_is_read() {
    let page = VisitorMessage::Page { url: "https://shop.fr/".into(), title: String::new() };
    for (text, expected) in [
        (r#"{"type":"reoffer","sdp":"v=0"}"#, VisitorMessage::Reoffer("v=0".into())),
        (r#"{"type":"digits","digits":"12#*AD"}"#, VisitorMessage::Digits("12#*AD".into())),
        (r#"{"type":"mute","on":true}"#, VisitorMessage::Mute(true)),
        (r#"{"type":"page","url":"https://shop.fr/"}"#, page),
        (r#"{"type":"bye"}"#, VisitorMessage::Bye),
        (r#"{"v":1,"type":"ping"}"#, VisitorMessage::Ping),
        (r#"{"type":"b\u0079e"}"#, VisitorMessage::Bye),
    ] {
        assert_eq!(visitor(text), Ok(expected), "{text}");
    }
}

#[test]
fn every_agent_message_is_read() {
    let hello = AgentMessage::Hello { extension: "1001".into(), password: "pw".into(), lang: String::new() };
    let request = AgentMessage::Request;
    for (text, expected) in [
        (r#"{"type":"hello","v":1,"extension":"1001","password":"pw"}"#, hello),
        (r#"{"type":"ready","on":false}"#, request(AgentRequest::Ready(false))),
        (
            r#"{"type":"answer","call":"c","offer":"v=0"}"#,
            request(AgentRequest::Answer { call: "c".into(), offer: "v=0".into() }),
        ),
        (r#"{"type":"decline","call":"c"}"#, request(AgentRequest::Decline { call: "c".into() })),
        (r#"{"type":"bye","call":"c"}"#, request(AgentRequest::Bye { call: "c".into() })),
        (r#"{"type":"ping"}"#, AgentMessage::Ping),
    ] {
        assert_eq!(AgentMessage::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn wrong_messages_are_told_apart() {
    let long = |bytes: usize| "x".repeat(bytes);
    let reoffer = format!(r#"{{"type":"reoffer","sdp":"{}"}}"#, long(MAX_SDP_BYTES + 1));
    let digits = format!(r#"{{"type":"digits","digits":"{}"}}"#, "1".repeat(MAX_DIGITS + 1));
    let session = HELLO.replace("s-1", &long(MAX_SESSION_BYTES + 1));
    let token = HELLO.replace(r#""00""#, &format!(r#""{}""#, long(MAX_WORD_BYTES + 1)));
    let wide = format!(r#"{{"type":"bye","x":[{}0]}}"#, "0,".repeat(300));
    for (text, expected) in [
        ("", Fault::Invalid),
        ("hello", Fault::Invalid),
        ("{}", Fault::Invalid),
        ("[]", Fault::Invalid),
        (r#"{"type":1}"#, Fault::Invalid),
        (r#"{"type":"mute","on":"yes"}"#, Fault::Invalid),
        (r#"{"type":"mute"}"#, Fault::Invalid),
        (r#"{"type":"mute","on":true,"on":false}"#, Fault::Invalid),
        (r#"{"type":"bye"} {"type":"bye"}"#, Fault::Invalid),
        (r#"{"type":"hello","v":1}"#, Fault::Invalid),
        (r#"{"type":"dial","number":"+33899000000"}"#, Fault::UnknownType),
        (r#"{"type":"Bye"}"#, Fault::UnknownType),
        (&HELLO.replace(r#""v":1"#, r#""v":2"#), Fault::Version),
        (&HELLO.replace(r#""v":1,"#, ""), Fault::Version),
        (r#"{"type":"hello","v":9007199254740993}"#, Fault::Version),
        (&reoffer, Fault::TooLong),
        (&session, Fault::TooLong),
        (&token, Fault::TooLong),
        (&digits, Fault::Digits),
        (r#"{"type":"digits","digits":""}"#, Fault::Digits),
        (r#"{"type":"digits","digits":"1;2"}"#, Fault::Digits),
        (r#"{"type":"digits","digits":"é"}"#, Fault::Digits),
        (&"[".repeat(60_000), Fault::Shape),
        (&"{\"a\":".repeat(10_000), Fault::Shape),
        (&wide, Fault::Shape),
    ] {
        assert_eq!(visitor(text), Err(expected), "{}", text.chars().take(80).collect::<String>());
        assert!(crate::sentence::is_known(expected.code()), "{expected} has no sentence");
    }
}

#[test]
fn brackets_inside_a_string_are_not_depth() {
    let text =
        format!(r#"{{"type":"page","url":"https://shop.fr/","title":"{}\"{}"}}"#, "[".repeat(90), "{,".repeat(90));
    assert!(matches!(visitor(&text), Ok(VisitorMessage::Page { .. })));
}

#[test]
fn page_words_are_cut_on_a_character_boundary() {
    let text = format!(r#"{{"type":"page","url":"https://shop.fr/","title":"{}"}}"#, "é".repeat(400));
    let Ok(VisitorMessage::Page { title, .. }) = visitor(&text) else { panic!("not a page") };
    assert_eq!(title, "é".repeat(MAX_TITLE_BYTES / 2));
    let text = text.replace("\"title\":\"", "\"title\":\"x");
    let Ok(VisitorMessage::Page { title, .. }) = visitor(&text) else { panic!("not a page") };
    assert_eq!(title.len(), MAX_TITLE_BYTES - 1);
}

/// Good messages with bytes changed, dropped, doubled: read or refused, never a panic, never past a limit.
#[test]
fn spoilt_messages_never_panic() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let seed = 0x7061_7373;
    println!("seed {seed:#x}");
    let mut rng = StdRng::seed_from_u64(seed);
    let good = [HELLO, r#"{"type":"digits","digits":"12#"}"#, r#"{"type":"answer","call":"c","offer":"v=0"}"#];
    let mut refused = 0;
    for round in 0..30_000 {
        let mut bytes = good[round % good.len()].as_bytes().to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, *b"\"{}[],:\\0e-".get(rng.random_range(0..11)).unwrap()),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        refused += usize::from(VisitorMessage::parse(&text).is_err());
        drop(AgentMessage::parse(&text));
    }
    assert!(refused > 10_000, "only {refused} of 30000 spoilt messages refused");
}
