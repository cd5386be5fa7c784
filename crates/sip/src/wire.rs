//! The front door: octets to messages, within limits, and never a panic (RFC 3261 §7, §18.3).

use std::fmt;

use crate::message::{Message, Request, Response};

/// What a message may cost before it is refused.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest message, headers and body. Default 65,535.
    pub message_bytes: usize,
    /// Most header lines. Default 200.
    pub headers: usize,
    /// Longest header line, unfolded. Default 8,192.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 65_535,
            headers: 200,
            header_bytes: 8_192,
        }
    }
}

/// Why octets are no message. Each is a counter's label.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ParseReason {
    /// Longer than [`Limits::message_bytes`].
    TooLong,
}

/// Octets that are no message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseError {
    /// What is wrong.
    pub reason: ParseReason,
    /// Enough of a request to answer it with [`ParseError::response`]. `None`: drop silently but count. Its
    /// URI may be a placeholder; use it for nothing but the answer.
    pub reply: Option<Box<Request>>,
    /// 400, 413, 505…
    pub status: u16,
}

impl ParseError {
    /// The answer, where one can be given.
    pub fn response(&self) -> Option<Response> {
        let request = self.reply.as_ref()?;
        Some(request.reply(self.status, "Bad Request"))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reason)
    }
}

impl std::error::Error for ParseError {}

/// Reads one datagram. Octets past Content-Length are dropped (§18.3).
pub fn parse_datagram(bytes: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    todo!("{bytes:?} {limits:?}")
}

/// Cuts a TCP stream into messages by Content-Length.
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
}

impl StreamFramer {
    /// A framer for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Adds octets as they came. An error means that the connection must be closed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        todo!("{bytes:?} {:?}", self.limits)
    }

    /// The next whole message. After an error that says [`StreamFramer::is_broken`] no more come.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: more may come after None")]
    pub fn next(&mut self) -> Option<Result<Message, ParseError>> {
        todo!()
    }

    /// Whether framing is lost: answer what can be answered, then close the connection.
    pub fn is_broken(&self) -> bool {
        todo!()
    }

    /// A pong (CRLF) owed for a double CRLF (RFC 5626 §4.4.1): true once for each.
    pub fn poll_pong(&mut self) -> bool {
        todo!()
    }
}
