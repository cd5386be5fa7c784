//! A stream of SIP cut into messages for the ladder (RFC 3261 §18.3), apart from the endpoint's own cutting: that one
//! hands out what it has understood, and a ladder wants the octets.
//!
//! Octets may be missing, as notes get lost. So each message is looked for by a first line that reads like one, and what
//! stands before it is given up.

use std::collections::HashMap;

use sip::endpoint::Flow;

/// Octets that wait for the rest of their message, in all; beyond it all of them are given up.
const WAITING_MAX: usize = 4 << 20;
/// Longest message, as the endpoint takes them.
const MESSAGE_MAX: usize = 65_535;

/// Every connection's unfinished message.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    waiting: HashMap<Flow, Rest>,
    bytes: usize,
}

/// An unfinished message, and what is known of it already, so that single octets do not cost a full search.
#[derive(Debug, Default)]
struct Rest {
    bytes: Vec<u8>,
    /// No headers end before this.
    searched: usize,
    /// How long the message is, once its headers are there.
    wanted: usize,
}

impl Rest {
    fn may_be_whole(&self) -> bool {
        if self.wanted > 0 {
            return self.bytes.len() >= self.wanted;
        }
        let fresh = self.bytes.get(self.searched.saturating_sub(3)..).unwrap_or_default();
        self.bytes.len() > MESSAGE_MAX || fresh.windows(4).any(|window| window == b"\r\n\r\n")
    }

    /// The messages that are whole.
    fn cut(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut at = 0;
        while self.may_be_whole() {
            let rest = self.bytes.get(at..).unwrap_or_default();
            match cut(rest) {
                Cut::Message { skipped, length } => {
                    messages.push(rest.get(skipped..skipped + length).unwrap_or_default().to_vec());
                    at += skipped + length;
                    (self.searched, self.wanted) = (0, 0);
                }
                Cut::Wait { skipped, wanted } => {
                    at += skipped;
                    self.wanted = wanted;
                    break;
                }
            }
        }
        self.bytes.drain(..at.min(self.bytes.len()));
        self.searched = self.bytes.len();
        messages
    }
}

impl Pieces {
    /// Takes a piece; gives the messages that are whole with it.
    pub(super) fn push(&mut self, flow: Flow, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = self.take(flow);
        rest.bytes.extend_from_slice(piece);
        let messages = rest.cut();
        if self.bytes + rest.bytes.len() > WAITING_MAX {
            self.waiting.clear();
            self.bytes = 0;
        } else if !rest.bytes.is_empty() {
            self.bytes += rest.bytes.len();
            self.waiting.insert(flow, rest);
        }
        messages
    }

    /// The connection is no more.
    pub(super) fn forget(&mut self, flow: Flow) {
        self.take(flow);
    }

    fn take(&mut self, flow: Flow) -> Rest {
        let rest = self.waiting.remove(&flow).unwrap_or_default();
        self.bytes -= rest.bytes.len();
        rest
    }
}

enum Cut {
    /// A whole message after so many octets that are none.
    Message { skipped: usize, length: usize },
    /// More is wanted; so many octets can be given up. The length of what is there, if it is known.
    Wait { skipped: usize, wanted: usize },
}

fn cut(bytes: &[u8]) -> Cut {
    let mut skipped = 0;
    loop {
        let rest = bytes.get(skipped..).unwrap_or_default();
        let is_endless = rest.len() > MESSAGE_MAX;
        let Some(line_end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Cut::Wait { skipped: if is_endless { bytes.len() } else { skipped }, wanted: 0 };
        };
        if is_start(rest.get(..line_end).unwrap_or_default()) {
            match length(rest) {
                Some(length) if length <= rest.len() && length <= MESSAGE_MAX => {
                    return Cut::Message { skipped, length };
                }
                Some(length) if length <= MESSAGE_MAX => return Cut::Wait { skipped, wanted: length },
                None if !is_endless => return Cut::Wait { skipped, wanted: 0 },
                Some(_) | None => {}
            }
        }
        skipped += line_end + 2;
    }
}

/// Whether a line reads like the first of a message.
fn is_start(line: &[u8]) -> bool {
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

/// Of a message with all its headers there.
fn length(message: &[u8]) -> Option<usize> {
    let head = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(message.get(..head)?);
    let stated = text.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        let name = name.trim();
        let is_length = name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("l");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    Some((head + 4).saturating_add(stated.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use sip::endpoint::Transport;

    use super::*;

    fn flow() -> Flow {
        let at = |port| ([127, 0, 0, 1], port).into();
        Flow { transport: Transport::Tcp, local: at(5060), remote: at(40_000) }
    }

    const FIRST: &str = "BYE sip:x SIP/2.0\r\nl: 3\r\n\r\nabc";
    const SECOND: &str = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";

    fn texts(messages: Vec<Vec<u8>>) -> Vec<String> {
        messages.into_iter().map(|message| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let stream = format!("\r\n\r\n{FIRST}{SECOND}\r\n{FIRST}");
        for size in [1, 2, 3, 7, 16, stream.len()] {
            let mut pieces = Pieces::default();
            let found: Vec<String> =
                stream.as_bytes().chunks(size).flat_map(|piece| texts(pieces.push(flow(), piece))).collect();
            assert_eq!(found, [FIRST, SECOND, FIRST], "in pieces of {size}");
            assert_eq!(pieces.bytes, 0);
        }
    }

    #[test]
    fn after_a_loss_the_next_message_is_found() {
        let mut pieces = Pieces::default();
        assert_eq!(texts(pieces.push(flow(), format!("of it: lost\r\n\r\nxx\r\n{SECOND}").as_bytes())), [SECOND]);
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut pieces = Pieces::default();
        for _ in 0..200 {
            assert!(pieces.push(flow(), &[b'x'; 1_000]).is_empty());
            assert!(pieces.bytes <= MESSAGE_MAX + 1_000);
        }
        assert_eq!(texts(pieces.push(flow(), format!("\r\n{FIRST}").as_bytes())), [FIRST]);
        let huge = format!("BYE sip:x SIP/2.0\r\nl: {}\r\n\r\n{SECOND}", usize::MAX);
        assert_eq!(texts(pieces.push(flow(), huge.as_bytes())), [SECOND]);
        for port in 0..1_000 {
            let flow = Flow { remote: ([127, 0, 0, 2], port).into(), ..flow() };
            pieces.push(flow, &[b'x'; 60_000]);
            assert!(pieces.bytes <= WAITING_MAX);
        }
    }
}
