//! A TCP stream cut into messages by Content-Length (RFC 3261 §18.3), keep-alives answered (RFC 5626).

use crate::message::Message;
use crate::wire::parse::{self, Length};
use crate::wire::{Limits, ParseError, ParseReason};

/// How much one `push` may bring beyond one message.
const READ_BYTES: usize = 65_536;

/// Cuts a TCP stream into messages.
///
/// Call `push` for what was read, then `next` until `None`, then `poll_pong` until `false`. How long a peer may
/// take over one message is the caller's deadline to keep.
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Octets of `buffer` already handed out.
    taken: usize,
    /// Where the search for the end of the headers goes on, so that single octets do not cost a full search.
    searched: usize,
    /// Total size of the message at the front, once its headers are there.
    wanted: Option<usize>,
    /// CRLFs in a row between messages.
    crlf: u8,
    pongs: u8,
    /// We sent a ping and wait for its pong.
    pinged: bool,
    /// The peer has answered a ping of ours.
    ponged: bool,
    broken: bool,
}

/// Pongs owed at most; a flood of pings is answered no faster than it is drained.
const MAX_PONGS: u8 = 8;

impl StreamFramer {
    /// A framer for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            wanted: None,
            crlf: 0,
            pongs: 0,
            pinged: false,
            ponged: false,
            broken: false,
        }
    }

    /// Adds octets as they came, at most 64 kB at a time. An error means: close the connection.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if self.broken {
            return Err(ParseError::bare(ParseReason::Length));
        }
        self.drop_taken();
        if self.buffer.len() + bytes.len() > self.limits.message_bytes + READ_BYTES {
            self.broken = true;
            return Err(ParseError::bare(ParseReason::TooLong));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole message, or what is wrong with it. After an error look at
    /// [`StreamFramer::is_broken`]: a bad message that was framed well costs nothing but itself.
    #[expect(clippy::should_implement_trait, reason = "no iterator: more may come after None")]
    pub fn next(&mut self) -> Option<Result<Message, ParseError>> {
        if self.broken {
            return None;
        }
        self.skip_empty_lines();
        let pending = self.buffer.get(self.taken..)?;
        if pending.is_empty() {
            return None;
        }
        let total = match self.wanted {
            Some(total) => total,
            None => match self.measure() {
                Ok(Some(total)) => total,
                Ok(None) => return None,
                Err(reason) => return Some(Err(self.break_off(reason))),
            },
        };
        self.wanted = Some(total);
        let bytes = self.buffer.get(self.taken..self.taken.checked_add(total)?)?;
        let message = parse::parse(bytes, Length::Framed, &self.limits);
        if matches!(&message, Err(error) if error.reason == ParseReason::NotSip) {
            self.broken = true;
        }
        self.taken += total;
        self.searched = 0;
        self.wanted = None;
        self.crlf = 0;
        Some(message)
    }

    /// Whether framing is lost: answer what can be answered, then close the connection.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// A pong (one CRLF) is owed for a ping (two CRLF) between messages, RFC 5626 §4.4.1: true once for each.
    pub fn poll_pong(&mut self) -> bool {
        let owed = self.pongs > 0;
        self.pongs = self.pongs.saturating_sub(1);
        owed
    }

    /// Two CRLF were sent to the peer: one CRLF between messages is its answer, and no half of a ping of its own.
    pub const fn pinged(&mut self) {
        self.pinged = true;
    }

    /// Whether the peer is one that answers pings: some know nothing of them.
    pub const fn answers_pings(&self) -> bool {
        self.ponged
    }

    /// Whether octets of an unfinished message wait for the rest.
    pub fn is_mid_message(&self) -> bool {
        self.buffer.len() > self.taken
    }

    fn drop_taken(&mut self) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// CRLF before a start line: §7.5 ignores it, RFC 5626 makes two of them a ping.
    fn skip_empty_lines(&mut self) {
        while self.wanted.is_none() && self.searched == 0 {
            match self.buffer.get(self.taken..) {
                // An odd number of them: one is the pong.
                Some(pending) if self.pinged && self.crlf == 0 && empty_lines(pending) % 2 == 1 => {
                    self.taken += 2;
                    (self.pinged, self.ponged) = (false, true);
                }
                Some([b'\r', b'\n', ..]) => {
                    self.taken += 2;
                    self.crlf += 1;
                    if self.crlf == 2 {
                        self.crlf = 0;
                        self.pongs = self.pongs.saturating_add(1).min(MAX_PONGS);
                    }
                }
                Some(_) | None => return,
            }
        }
    }

    /// Size of the message at the front: headers, empty line and stated body. `None`: headers not yet whole.
    fn measure(&mut self) -> Result<Option<usize>, ParseReason> {
        let Some(pending) = self.buffer.get(self.taken..) else {
            return Ok(None);
        };
        let Some(head_end) = parse::find_head_end(pending, self.searched) else {
            if pending.len() > self.limits.message_bytes {
                return Err(ParseReason::TooLong);
            }
            // A lone CR may be half of an empty line between messages: look at it again.
            if pending != b"\r" {
                self.searched = pending.len().saturating_sub(3);
            }
            return Ok(None);
        };
        let head = pending.get(..head_end).unwrap_or_default();
        let total = parse::stated_length(head)?.checked_add(head_end + 4).ok_or(ParseReason::Length)?;
        if total > self.limits.message_bytes {
            return Err(ParseReason::TooLong);
        }
        Ok(Some(total))
    }

    /// Framing is lost; the headers at the front may still say whom to answer.
    fn break_off(&mut self, reason: ParseReason) -> ParseError {
        self.broken = true;
        let pending = self.buffer.get(self.taken..).unwrap_or_default();
        let head = parse::find_head_end(pending, 0).and_then(|at| pending.get(..at + 4));
        let salvaged = match head.map(|head| parse::parse(head, Length::ToEnd, &self.limits)) {
            Some(Err(error)) => error.reply,
            Some(Ok(Message::Request(request))) => Some(Box::new(request)),
            Some(Ok(Message::Response(_))) | None => None,
        };
        self.buffer = Vec::new();
        self.taken = 0;
        ParseError {
            reply: salvaged.filter(|request| request.method != crate::message::Method::Ack),
            ..ParseError::bare(reason)
        }
    }
}

/// How many CRLF stand in front.
fn empty_lines(pending: &[u8]) -> usize {
    pending.chunks(2).take_while(|pair| *pair == b"\r\n").count()
}
