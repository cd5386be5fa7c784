//! The WebSocket messages, version 1: JSON in, checked and bounded; JSON out.
//!
//! | visitor's page → | | → visitor's page | |
//! |---|---|---|---|
//! | `hello` | `v` `token` `session{id,page{url,title},referrer,lang}` `offer` | `answer` | `call` `sdp` |
//! | `reoffer` | `sdp` | `reanswer` | `sdp` |
//! | `digits` | `digits` | `digit` | `digit` |
//! | `mute` | `on` | `state` | `state` `agent`? |
//! | `page` | `url` `title` | `error` | `code` `sentence` |
//! | `bye`, `ping` | | `ended`, `pong` | `code` `sentence` `talk_s` |
//!
//! | agent's console → | | → agent's console | |
//! |---|---|---|---|
//! | `hello` | `v` `extension` `password` `lang`? | `welcome` | `name` `extension` |
//! | `ready` | `on` | `live` | `now_ms` `calls[{call,state,tenant,queue,page,referrer,session,lang,since_ms,agent?}]` |
//! | `answer` | `call` `offer` | `ring` | `call` `card{…}` |
//! | `decline` | `call` | `media` | `call` `sdp` |
//! | `bye` | `call` | `digit`, `ready` | `call` `digit`; `on` |
//! | `ping` | | `ended`, `error`, `pong` | `call`? `code` `sentence` |
//!
//! Unknown fields are ignored and unknown types refused without ending the call, so that a newer page can talk to an
//! older gateway. Everything else is strict: types, sizes, depth.

use std::{borrow::Cow, fmt};

use serde::Deserialize;

mod agent;
mod shape;
mod visitor;

pub use agent::AgentMessage;
pub(crate) use agent::{AgentReply, CardJson};
pub use visitor::{VisitorHello, VisitorMessage};
pub(crate) use visitor::{VisitorReply, session};

/// The version spoken here.
pub const VERSION: u64 = 1;

/// WebSocket subprotocol of version 1.
pub const SUBPROTOCOL: &str = "passerelle.v1";

/// Largest SDP taken from a page. Chromium's audio-only offers are 2 to 6 kB.
const MAX_SDP_BYTES: usize = 32_768;
/// Longest address of a page.
const MAX_URL_BYTES: usize = 2_048;
/// Longest title of a page.
const MAX_TITLE_BYTES: usize = 300;
/// Longest session id.
pub(crate) const MAX_SESSION_BYTES: usize = 128;
/// Longest language tag (RFC 5646 §4.4.1 asks for 35).
const MAX_LANG_BYTES: usize = 35;
/// Most digits in one message.
const MAX_DIGITS: usize = 32;
/// Longest token, extension, password, call id: ours are far shorter.
const MAX_WORD_BYTES: usize = 256;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Not JSON, or fields missing or of the wrong kind.
    Invalid,
    /// Nested deeper or with more members than any message of ours.
    Shape,
    /// A type we do not know.
    UnknownType,
    /// A field is longer than allowed.
    TooLong,
    /// `v` is not 1.
    Version,
    /// Digits that are none.
    Digits,
}

impl Fault {
    /// The code in the error message, with a sentence in `sentence.rs`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "message-invalid",
            Self::Shape => "message-shape",
            Self::UnknownType => "message-unknown",
            Self::TooLong => "message-too-long",
            Self::Version => "version-unsupported",
            Self::Digits => "digits-invalid",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Fault {}

/// What every message starts with.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    v: Option<u64>,
}

/// Checks the shape and reads the type; a hello of another version is refused before its fields are looked at.
fn head(text: &str) -> Result<Head<'_>, Fault> {
    shape::check(text)?;
    let head: Head<'_> = fields(text)?;
    if head.kind == "hello" && head.v != Some(VERSION) {
        return Err(Fault::Version);
    }
    Ok(head)
}

fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Invalid)
}

/// A field that must be whole: refused when too long.
fn whole(text: String, max_bytes: usize) -> Result<String, Fault> {
    if text.len() > max_bytes { Err(Fault::TooLong) } else { Ok(text) }
}

/// Words about the page: cut when too long, because a long title is no reason to refuse a customer.
fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

fn digits(text: String) -> Result<String, Fault> {
    let known = |byte: u8| matches!(byte, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D');
    let good = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(known);
    good.then_some(text).ok_or(Fault::Digits)
}

#[cfg(test)]
mod tests;
