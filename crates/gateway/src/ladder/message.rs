//! A message read just as far as a ladder needs: its label, Call-ID and CSeq, its session description in short.
//!
//! It reads also what the front door of `sip` refuses, for that is when somebody asks.

use std::collections::BTreeMap;

/// Longest label, and longest name of a codec or address.
const WORD_CHARS: usize = 60;
/// Longest Call-ID that is kept; two that differ later only share a ladder.
const CALL_ID_BYTES: usize = 256;
/// Codecs named in a summary.
const CODECS_MAX: usize = 8;

/// What a ladder needs of a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Read {
    /// `INVITE`, `180 Ringing`, or the beginning of what is no SIP.
    pub(crate) label: String,
    pub(crate) call_id: Option<String>,
    pub(crate) cseq: Option<String>,
    pub(crate) sdp: Option<String>,
}

/// Reads a message.
pub(crate) fn read(message: &[u8]) -> Read {
    let text = String::from_utf8_lossy(message);
    let (head, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap_or((&text, ""));
    let mut lines = head.lines();
    let label = label(lines.by_ref().find(|line| !line.trim().is_empty()).unwrap_or_default());
    let mut read = Read { label, ..Read::default() };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim();
        if name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i") {
            read.call_id.get_or_insert_with(|| cut_bytes(value.trim(), CALL_ID_BYTES));
        } else if name.eq_ignore_ascii_case("cseq") {
            read.cseq.get_or_insert_with(|| plain(value));
        }
    }
    read.sdp = sdp(body);
    read
}

/// Whether an answer says that the matter is decided.
pub(crate) fn is_final(label: &str) -> bool {
    label.len() > 3 && label.starts_with(['2', '3', '4', '5', '6']) && label.as_bytes().get(3) == Some(&b' ')
}

fn label(start: &str) -> String {
    if let Some(status) = start.strip_prefix("SIP/2.0 ") {
        return plain(status);
    }
    let is_request = start.trim_end().to_ascii_uppercase().contains("SIP/");
    plain(if is_request { start.split(' ').next().unwrap_or_default() } else { start })
}

/// Without control characters, and not too long.
fn plain(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(WORD_CHARS).collect()
}

fn cut_bytes(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// `opus/PCMA/PCMU 192.0.2.1:20000 sendrecv SRTP`, of the first stream of sound (RFC 8866).
fn sdp(body: &str) -> Option<String> {
    let mut media: Option<(String, &str, Vec<&str>)> = None;
    let (mut address, mut direction, mut keys) = (None, "sendrecv", false);
    let mut names: BTreeMap<&str, &str> = BTreeMap::from([("0", "PCMU"), ("8", "PCMA"), ("9", "G722")]);
    for line in body.lines().map(str::trim_end) {
        match line.split_once('=') {
            // What follows is about another stream.
            Some(("m", _)) if media.is_some() => break,
            Some(("m", value)) => {
                let mut words = value.strip_prefix("audio ")?.split_ascii_whitespace();
                media = Some((plain(words.next()?), words.next()?, words.collect()));
            }
            // Of the session, or of the stream in its place.
            Some(("c", value)) => address = value.split(' ').nth(2),
            Some(("a", attribute @ ("sendrecv" | "sendonly" | "recvonly" | "inactive"))) => direction = attribute,
            Some(("a", attribute)) => {
                keys |= attribute.starts_with("crypto:") || attribute.starts_with("fingerprint:");
                if let Some((number, codec)) = attribute.strip_prefix("rtpmap:").and_then(|map| map.split_once(' ')) {
                    names.insert(number, codec.split('/').next().unwrap_or_default());
                }
            }
            Some(_) | None => {}
        }
    }
    let (port, _, numbers) = media?;
    let codecs: Vec<&str> = numbers.iter().map(|number| names.get(number).copied().unwrap_or(number)).collect();
    let codecs: Vec<&str> = codecs.into_iter().filter(|name| *name != "telephone-event").take(CODECS_MAX).collect();
    let srtp = if keys { " SRTP" } else { "" };
    let address = address.unwrap_or("?");
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    Some(format!("{} {}:{port} {direction}{srtp}", plain(&codecs.join("/")), plain(&host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_told_by_their_first_line() {
        let read = |text: &str| {
            let read = read(text.as_bytes());
            (read.label, read.call_id.unwrap_or_default(), read.cseq.unwrap_or_default())
        };
        let triple = |label: &str, call_id: &str, cseq: &str| (label.to_owned(), call_id.to_owned(), cseq.to_owned());
        assert_eq!(
            read("INVITE sip:600@pbx SIP/2.0\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n\r\n"),
            triple("INVITE", "a@b", "1 INVITE")
        );
        assert_eq!(
            read("SIP/2.0 486 Busy Here\r\ni:a@b\r\ncseq : 1 INVITE\r\n\r\n"),
            triple("486 Busy Here", "a@b", "1 INVITE")
        );
        assert_eq!(read("\r\n\r\n"), triple("", "", ""));
        assert_eq!(read("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), triple("GET / HTTP/1.1", "", ""));
        // A body names no Call-ID.
        assert_eq!(read("BYE sip:x SIP/2.0\r\n\r\nCall-ID: no"), triple("BYE", "", ""));
        // What steers a terminal is left out.
        assert_eq!(read("SIP/2.0 200 O\x1b[2JK\r\n\r\n").0, "200 O[2JK");
        let long = "x".repeat(1_000);
        assert_eq!(read(&format!("BYE x SIP/2.0\r\nCall-ID: {long}\r\n\r\n")).1.len(), CALL_ID_BYTES);
    }

    #[test]
    fn a_final_answer_is_one_from_200_on() {
        for (label, expected) in
            [("200 OK", true), ("603 Decline", true), ("180 Ringing", false), ("INVITE", false), ("2", false)]
        {
            assert_eq!(is_final(label), expected, "{label}");
        }
    }

    #[test]
    fn a_session_description_in_short() {
        let with = |sdp: &str| read(format!("INVITE x SIP/2.0\r\n\r\n{sdp}").as_bytes()).sdp;
        let offer = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 20000 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";
        assert_eq!(with(offer).as_deref(), Some("opus/PCMA/PCMU 192.0.2.1:20000 sendonly"));
        let secure = "m=audio 6000 RTP/SAVP 8\r\nc=IN IP6 2001:db8::1\r\na=crypto:1 X inline:*\r\nm=video 7 RTP/AVP 31\r\na=inactive";
        assert_eq!(with(secure).as_deref(), Some("PCMA [2001:db8::1]:6000 sendrecv SRTP"));
        assert_eq!(with("m=audio 0"), None);
        assert_eq!(with("nothing"), None);
        assert_eq!(with(""), None);
    }
}
