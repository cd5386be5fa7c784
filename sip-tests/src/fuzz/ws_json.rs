//! WebSocket messages of visitors' pages and agents' consoles: read or refused, never past a limit.

use web::AgentRequest;
use web::protocol::{AgentMessage, VisitorHello, VisitorMessage};

/// One text message. Octets that are not UTF-8 never get this far: the WebSocket itself refuses them.
pub fn message(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(message) = VisitorMessage::parse(text) {
        check_visitor(&message);
    }
    if let Ok(message) = AgentMessage::parse(text) {
        check_agent(&message);
    }
}

fn check_visitor(message: &VisitorMessage) {
    match message {
        VisitorMessage::Hello(hello) => check_hello(hello),
        VisitorMessage::Reoffer(sdp) => assert!(sdp.len() <= 32_768),
        VisitorMessage::Digits(digits) => {
            let known = |key: u8| b"0123456789*#ABCD".contains(&key);
            assert!((1..=32).contains(&digits.len()) && digits.bytes().all(known), "{digits:?} is no key");
        }
        VisitorMessage::Page { url, title } => assert!(url.len() <= 2_048 && title.len() <= 300),
        VisitorMessage::Mute(_) | VisitorMessage::Bye | VisitorMessage::Ping => {}
    }
}

fn check_hello(hello: &VisitorHello) {
    let session = &hello.session;
    assert!(hello.token.len() <= 256 && hello.offer.len() <= 32_768);
    assert!(session.id.len() <= 128 && session.lang.len() <= 35);
    assert!(session.page_url.len() <= 2_048 && session.page_title.len() <= 300);
    assert!(session.referrer.as_ref().is_none_or(|referrer| (1..=2_048).contains(&referrer.len())));
}

fn check_agent(message: &AgentMessage) {
    match message {
        AgentMessage::Hello { extension, password, lang } => {
            assert!(extension.len() <= 256 && password.len() <= 256 && lang.len() <= 35);
        }
        AgentMessage::Request(AgentRequest::Answer { call, offer }) => {
            assert!(call.len() <= 256 && offer.len() <= 32_768);
        }
        AgentMessage::Request(AgentRequest::Decline { call } | AgentRequest::Bye { call }) => {
            assert!(call.len() <= 256)
        }
        AgentMessage::Request(AgentRequest::Ready(_)) | AgentMessage::Ping => {}
    }
}
