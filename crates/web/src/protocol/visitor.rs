//! Messages between a visitor's page and the gateway.

use serde::{Deserialize, Serialize};

use super::{
    Fault, MAX_LANG_BYTES, MAX_SDP_BYTES, MAX_SESSION_BYTES, MAX_TITLE_BYTES, MAX_URL_BYTES, MAX_WORD_BYTES, cut,
    digits, fields, head, whole,
};
use crate::backend::{SessionInfo, VisitorState};

/// A message from a visitor's page, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VisitorMessage {
    /// The first message.
    Hello(Box<VisitorHello>),
    /// A new SDP offer.
    Reoffer(String),
    /// Keys pressed.
    Digits(String),
    /// Microphone off or on.
    Mute(bool),
    /// The visitor is on another page.
    Page {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
    },
    /// Hang up.
    Bye,
    /// Are you there?
    Ping,
}

/// The first message of a visitor's page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VisitorHello {
    /// One-use token of `POST /v1/token`.
    pub token: String,
    /// What the page says about itself.
    pub session: SessionInfo,
    /// SDP offer.
    pub offer: String,
}

impl VisitorMessage {
    /// Reads one text message.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match head(text)?.kind.as_ref() {
            "hello" => Ok(Self::Hello(Box::new(fields::<Hello>(text)?.check()?))),
            "reoffer" => Ok(Self::Reoffer(whole(fields::<Reoffer>(text)?.sdp, MAX_SDP_BYTES)?)),
            "digits" => Ok(Self::Digits(digits(fields::<Digits>(text)?.digits)?)),
            "mute" => Ok(Self::Mute(fields::<Mute>(text)?.on)),
            "page" => {
                let page: Page = fields(text)?;
                Ok(Self::Page { url: cut(page.url, MAX_URL_BYTES), title: cut(page.title, MAX_TITLE_BYTES) })
            }
            "bye" => Ok(Self::Bye),
            "ping" => Ok(Self::Ping),
            _ => Err(Fault::UnknownType),
        }
    }
}

#[derive(Deserialize)]
struct Hello {
    token: String,
    session: Session,
    offer: String,
}

#[derive(Deserialize)]
struct Session {
    #[serde(default)]
    id: String,
    page: Page,
    referrer: Option<String>,
    #[serde(default)]
    lang: String,
}

#[derive(Deserialize)]
struct Page {
    url: String,
    #[serde(default)]
    title: String,
}

#[derive(Deserialize)]
struct Reoffer {
    sdp: String,
}

#[derive(Deserialize)]
struct Digits {
    digits: String,
}

#[derive(Deserialize)]
struct Mute {
    on: bool,
}

/// What a page says of its session, within bounds.
pub(crate) fn session(
    id: String,
    url: String,
    title: String,
    referrer: Option<String>,
    lang: String,
) -> Result<SessionInfo, Fault> {
    Ok(SessionInfo {
        // Whole, because half an id would be somebody else's.
        id: whole(id, MAX_SESSION_BYTES)?,
        page_url: cut(url, MAX_URL_BYTES),
        page_title: cut(title, MAX_TITLE_BYTES),
        referrer: referrer.filter(|text| !text.is_empty()).map(|text| cut(text, MAX_URL_BYTES)),
        lang: cut(lang, MAX_LANG_BYTES),
    })
}

impl Hello {
    fn check(self) -> Result<VisitorHello, Fault> {
        let Session { id, page, referrer, lang } = self.session;
        Ok(VisitorHello {
            token: whole(self.token, MAX_WORD_BYTES)?,
            session: session(id, page.url, page.title, referrer, lang)?,
            offer: whole(self.offer, MAX_SDP_BYTES)?,
        })
    }
}

/// A message to a visitor's page.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum VisitorReply<'a> {
    Answer {
        call: &'a str,
        sdp: &'a str,
    },
    Reanswer {
        sdp: &'a str,
    },
    State {
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent: Option<&'a str>,
    },
    Digit {
        digit: char,
    },
    Ended {
        code: &'static str,
        sentence: &'static str,
        talk_s: u64,
    },
    Error {
        code: &'static str,
        sentence: &'static str,
    },
    Pong,
}

impl VisitorState {
    /// The word in the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ringing => "ringing",
            Self::Talking => "talking",
            Self::Held => "held",
        }
    }
}
