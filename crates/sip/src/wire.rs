//! The front door: octets to messages, within limits, and never a panic (RFC 3261 §7, §18.3).
//!
//! Tolerant where a reader can only understand one thing (case, compact names, folding, blanks around a
//! colon, unknown names), strict where two readers could understand two: a bare CR or LF, a control octet, a
//! second Content-Length, two From. Such a message is refused whole, so nothing can hide from a later check.

mod framer;
mod parse;
#[cfg(test)]
mod tests;

pub use framer::StreamFramer;

use std::fmt;

use crate::message::{Message, Request, Response};
use crate::values::ValueError;

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
        Self { message_bytes: 65_535, headers: 200, header_bytes: 8_192 }
    }
}

/// Why octets are no message. Each is a counter's label.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ParseReason {
    /// Nothing but CRLF: a keep-alive, to be counted and forgotten (RFC 5626 §4.4.1).
    KeepAlive,
    /// No SIP start line.
    NotSip,
    /// A request line with blanks too many or words too few.
    StartLine,
    /// A request URI that is none.
    RequestUri,
    /// A version other than SIP/2.0.
    Version,
    /// A status that is not 100 to 699.
    Status,
    /// Longer than [`Limits::message_bytes`].
    TooLong,
    /// More lines than [`Limits::headers`].
    TooManyHeaders,
    /// A line longer than [`Limits::header_bytes`].
    HeaderTooLong,
    /// The headers do not end with an empty line.
    Unfinished,
    /// A line that is no `name: value`.
    HeaderLine,
    /// A bare CR or LF, a NUL or another control octet.
    Control,
    /// Via, From, To, Call-ID or CSeq is not there.
    Missing,
    /// A header that may stand once stands twice.
    Repeated,
    /// A value that cannot be read.
    Value,
    /// Content-Length is no number, is missing on a stream, or says more than there is.
    Length,
}

impl ParseReason {
    /// A label for a counter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep_alive",
            Self::NotSip => "not_sip",
            Self::StartLine => "start_line",
            Self::RequestUri => "request_uri",
            Self::Version => "version",
            Self::Status => "status",
            Self::TooLong => "too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::HeaderTooLong => "header_too_long",
            Self::Unfinished => "unfinished",
            Self::HeaderLine => "header_line",
            Self::Control => "control",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Value => "value",
            Self::Length => "length",
        }
    }

    /// The status of the answer: 505 for another version, 413 for too much, else 400.
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLong => 413,
            Self::KeepAlive
            | Self::NotSip
            | Self::StartLine
            | Self::RequestUri
            | Self::Status
            | Self::TooManyHeaders
            | Self::HeaderTooLong
            | Self::Unfinished
            | Self::HeaderLine
            | Self::Control
            | Self::Missing
            | Self::Repeated
            | Self::Value
            | Self::Length => 400,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::NotSip => "no sip message",
            Self::StartLine => "malformed request line",
            Self::RequestUri => "malformed request uri",
            Self::Version => "sip version not supported",
            Self::Status => "status out of range",
            Self::TooLong => "message too long",
            Self::TooManyHeaders => "too many headers",
            Self::HeaderTooLong => "header too long",
            Self::Unfinished => "headers do not end",
            Self::HeaderLine => "malformed header line",
            Self::Control => "control octet in a header",
            Self::Missing => "mandatory header missing",
            Self::Repeated => "header repeated",
            Self::Value => "malformed header value",
            Self::Length => "wrong content-length",
        }
    }
}

impl fmt::Display for ParseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Octets that are no message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseError {
    /// What is wrong.
    pub reason: ParseReason,
    /// Which header, where it is one.
    pub header: Option<ValueError>,
    /// Enough of a request to answer it with [`ParseError::response`]. `None`: count and drop. Its URI may be
    /// a placeholder and its values unreadable; use it for nothing but the answer.
    pub reply: Option<Box<Request>>,
    /// 400, 413, 505.
    pub status: u16,
}

impl ParseError {
    /// An error that nothing can be answered to.
    pub(crate) const fn bare(reason: ParseReason) -> Self {
        Self { reason, header: None, reply: None, status: reason.status() }
    }

    /// The answer, where one can be given. It goes to the packet's source; the To tag is the caller's to add.
    pub fn response(&self) -> Option<Response> {
        let request = self.reply.as_ref()?;
        let phrase = match (self.status, &self.header) {
            (505, _) => "Version Not Supported".to_owned(),
            (413, _) => "Request Entity Too Large".to_owned(),
            (_, Some(header)) => format!("Bad Request: {header}"),
            (_, None) => format!("Bad Request: {}", self.reason),
        };
        Some(request.reply(self.status, &phrase))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.header {
            Some(header) => write!(f, "{}: {header}", self.reason),
            None => write!(f, "{}", self.reason),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads one datagram. Octets past Content-Length are dropped (§18.3).
pub fn parse_datagram(bytes: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    if bytes.len() > limits.message_bytes {
        return Err(ParseError::bare(ParseReason::TooLong));
    }
    // §7.5: empty lines before the start line are ignored.
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let bytes = start.and_then(|start| bytes.get(start..)).ok_or(ParseError::bare(ParseReason::KeepAlive))?;
    parse::parse(bytes, parse::Length::ToEnd, limits)
}
