//! Messages between an agent's console and the gateway.

use serde::{Deserialize, Serialize};

use super::{Fault, MAX_LANG_BYTES, MAX_SDP_BYTES, MAX_WORD_BYTES, cut, fields, head, whole};
use crate::backend::{AgentRequest, CallCard, CardState};

/// A message from an agent's console, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AgentMessage {
    /// The first message.
    Hello {
        /// Extension as typed.
        extension: String,
        /// Password as typed.
        password: String,
        /// Language of the console, may be empty.
        lang: String,
    },
    /// Something for the desk.
    Request(AgentRequest),
    /// Are you there?
    Ping,
}

impl AgentMessage {
    /// Reads one text message.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let request = match head(text)?.kind.as_ref() {
            "hello" => return fields::<Hello>(text)?.check(),
            "ping" => return Ok(Self::Ping),
            "ready" => AgentRequest::Ready(fields::<Ready>(text)?.on),
            "answer" => {
                let Answer { call, offer } = fields(text)?;
                AgentRequest::Answer { call: whole(call, MAX_WORD_BYTES)?, offer: whole(offer, MAX_SDP_BYTES)? }
            }
            "decline" => AgentRequest::Decline { call: call(text)? },
            "bye" => AgentRequest::Bye { call: call(text)? },
            _ => return Err(Fault::UnknownType),
        };
        Ok(Self::Request(request))
    }
}

fn call(text: &str) -> Result<String, Fault> {
    whole(fields::<OfCall>(text)?.call, MAX_WORD_BYTES)
}

#[derive(Deserialize)]
struct Hello {
    extension: String,
    password: String,
    #[serde(default)]
    lang: String,
}

impl Hello {
    fn check(self) -> Result<AgentMessage, Fault> {
        Ok(AgentMessage::Hello {
            extension: whole(self.extension, MAX_WORD_BYTES)?,
            password: whole(self.password, MAX_WORD_BYTES)?,
            lang: cut(self.lang, MAX_LANG_BYTES),
        })
    }
}

#[derive(Deserialize)]
struct Ready {
    on: bool,
}

#[derive(Deserialize)]
struct Answer {
    call: String,
    offer: String,
}

#[derive(Deserialize)]
struct OfCall {
    call: String,
}

/// A message to an agent's console.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum AgentReply<'a> {
    Welcome {
        name: &'a str,
        extension: &'a str,
    },
    Live {
        /// The gateway's time, so that a console with a wrong clock shows right durations.
        now_ms: u64,
        calls: Vec<CardJson<'a>>,
    },
    Ring {
        call: &'a str,
        card: CardJson<'a>,
    },
    Media {
        call: &'a str,
        sdp: &'a str,
    },
    Digit {
        call: &'a str,
        digit: char,
    },
    Ready {
        on: bool,
    },
    /// He is rung no more until he is ready anew, or back.
    Away {
        on: bool,
    },
    Ended {
        call: &'a str,
        code: &'static str,
        sentence: &'static str,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        call: Option<&'a str>,
        code: &'static str,
        sentence: &'static str,
    },
    Pong,
}

/// A live call on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct CardJson<'a> {
    call: &'a str,
    state: &'static str,
    tenant: &'a str,
    queue: &'a str,
    page: PageJson<'a>,
    referrer: Option<&'a str>,
    session: &'a str,
    lang: &'a str,
    since_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct PageJson<'a> {
    url: &'a str,
    title: &'a str,
}

impl<'a> CardJson<'a> {
    pub(crate) fn of(card: &'a CallCard) -> Self {
        Self {
            call: &card.call,
            state: card.state.word(),
            tenant: &card.tenant,
            queue: &card.queue,
            page: PageJson { url: &card.page_url, title: &card.page_title },
            referrer: card.referrer.as_deref(),
            session: &card.session,
            lang: &card.lang,
            since_ms: card.since_unix_ms,
            agent: card.agent.as_deref(),
        }
    }
}

impl CardState {
    /// The word in the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ringing => "ringing",
            Self::Talking => "talking",
            Self::Held => "held",
            Self::Reattaching => "reattaching",
            Self::Ending => "ending",
        }
    }
}
