//! One pass over one message: start line, headers, body; what can be saved of a bad one for its answer.

use std::borrow::Cow;

use crate::message::{HeaderName, Headers, Message, Method, Request, Response};
use crate::uri::Uri;
use crate::values::{CSeq, NameAddr, ValueError, Via, decimal, is_token_byte, split_list};
use crate::wire::{Limits, ParseError, ParseReason};

/// How the body's length is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Length {
    /// Datagram: Content-Length, or up to the end of the octets.
    ToEnd,
    /// Stream: the framer has cut the octets by Content-Length, which must be there.
    Framed,
}

/// The start line, as far as it could be read.
enum Start {
    Request { method: Method, uri: Option<Uri> },
    Response { status: u16, phrase: String },
}

/// First thing found wrong; later ones are not looked at.
#[derive(Default)]
struct Fault(Option<(ParseReason, Option<ValueError>)>);

impl Fault {
    fn note(&mut self, reason: ParseReason) {
        self.0.get_or_insert((reason, None));
    }

    fn note_header(&mut self, reason: ParseReason, error: ValueError) {
        self.0.get_or_insert((reason, Some(error)));
    }
}

/// Reads one message that begins at the first octet.
pub(super) fn parse(bytes: &[u8], length: Length, limits: &Limits) -> Result<Message, ParseError> {
    let mut fault = Fault::default();
    let mut lines = Lines::new(bytes);
    let line = lines.next().unwrap_or_default();
    let start = start_line(line, &mut fault).map_err(ParseError::bare)?;
    let headers = header_lines(&mut lines, limits, &mut fault);
    let body = lines.body.unwrap_or_else(|| {
        fault.note(ParseReason::Unfinished);
        &[]
    });
    check_headers(&headers, matches!(start, Start::Request { .. }), &mut fault);
    let body = body_of(&headers, body, length, &mut fault);
    match (start, fault.0) {
        (Start::Request { method, uri: Some(uri) }, None) => {
            Ok(Message::Request(Request { method, uri, headers, body: body.to_vec() }))
        }
        (Start::Response { status, phrase }, None) => {
            Ok(Message::Response(Response { status, phrase, headers, body: body.to_vec() }))
        }
        (Start::Request { method, uri }, fault) => {
            let (reason, header) = fault.unwrap_or((ParseReason::RequestUri, None));
            Err(ParseError { reason, header, reply: salvage(method, uri, headers), status: reason.status() })
        }
        // §16.7, §18.1.2: nobody answers a response.
        (Start::Response { .. }, Some((reason, header))) => Err(ParseError { header, ..ParseError::bare(reason) }),
    }
}

/// Where CRLF CRLF begins, looking from `from` on.
pub(super) fn find_head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    tail.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + from)
}

/// Lines of a header block up to its empty line; CRLF only. A bare CR or LF stays in its line, where it is
/// refused.
struct Lines<'a> {
    rest: &'a [u8],
    /// What follows the empty line, once it was seen.
    body: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    const fn new(rest: &'a [u8]) -> Self {
        Self { rest, body: None }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = std::mem::take(&mut self.rest);
        let mut from = 0;
        while let Some(found) = rest.get(from..)?.iter().position(|&byte| byte == b'\n') {
            let at = from + found;
            if at > 0 && rest.get(at - 1) == Some(&b'\r') {
                let after = rest.get(at + 1..)?;
                if at == 1 {
                    self.body = Some(after);
                    return None;
                }
                self.rest = after;
                return rest.get(..at - 1);
            }
            from = at + 1;
        }
        (!rest.is_empty()).then_some(rest)
    }
}

/// Reads the start line. An error means: not SIP, or a response that says nothing.
fn start_line(line: &[u8], fault: &mut Fault) -> Result<Start, ParseReason> {
    let text = text_of(line);
    if line.iter().any(|&byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
        fault.note(ParseReason::Control);
    }
    if let Some(rest) = strip_version(&text) {
        return status_line(rest);
    }
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (Some(method), Some(version)) = (words.next(), words.next_back()) else {
        return Err(ParseReason::NotSip);
    };
    let Some(method) = Method::parse(method) else {
        return Err(ParseReason::NotSip);
    };
    if !version.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("SIP/")) {
        return Err(ParseReason::NotSip);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        fault.note(ParseReason::Version);
    }
    // §7.1: exactly one blank between the three; a URI has none inside (RFC 4475 §3.1.2.8, .9, .10).
    let uri = match text.split(' ').collect::<Vec<_>>().as_slice() {
        [_, uri, _] => match uri.parse() {
            Ok(uri) => Some(uri),
            Err(_) => {
                fault.note(ParseReason::RequestUri);
                None
            }
        },
        _ => {
            fault.note(ParseReason::StartLine);
            None
        }
    };
    Ok(Start::Request { method, uri })
}

/// What follows `SIP/2.0 ` of a status line.
fn strip_version(text: &str) -> Option<&str> {
    let (version, rest) = text.split_once(' ')?;
    version.eq_ignore_ascii_case("SIP/2.0").then_some(rest)
}

fn status_line(rest: &str) -> Result<Start, ParseReason> {
    let (code, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = decimal(code).and_then(|code| u16::try_from(code).ok());
    match status.filter(|status| code.len() == 3 && (100..700).contains(status)) {
        Some(status) => Ok(Start::Response { status, phrase: phrase.chars().filter(|c| !c.is_control()).collect() }),
        None => Err(ParseReason::Status),
    }
}

/// UTF-8, or octet by octet as Latin-1 where it is none: old phones send names so. Never a refusal.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// All header lines, unfolded. A bad line is noted and left out.
fn header_lines(lines: &mut Lines<'_>, limits: &Limits, fault: &mut Fault) -> Headers {
    let mut headers = Headers::new();
    let mut open: Option<Cow<'_, [u8]>> = None;
    for line in lines {
        // §7.3.1: a line that begins with a blank continues the one before. So does one that begins with `<`
        // after a comma (RFC 3665 §3.10 F4): it can be no header for any reader.
        let listed = line.first() == Some(&b'<') && open.as_ref().is_some_and(|before| before.ends_with(b","));
        if listed || matches!(line.first(), Some(b' ' | b'\t')) {
            match &mut open {
                Some(before) if before.len() + line.len() <= limits.header_bytes => {
                    let before = before.to_mut();
                    before.push(b' ');
                    before.extend_from_slice(line.trim_ascii());
                }
                Some(_) => fault.note(ParseReason::HeaderTooLong),
                None => fault.note(ParseReason::HeaderLine),
            }
            continue;
        }
        if let Some(before) = open.replace(Cow::Borrowed(line)) {
            header_line(&before, limits, &mut headers, fault);
        }
    }
    if let Some(last) = open {
        header_line(&last, limits, &mut headers, fault);
    }
    headers
}

fn header_line(line: &[u8], limits: &Limits, headers: &mut Headers, fault: &mut Fault) {
    if line.len() > limits.header_bytes {
        return fault.note(ParseReason::HeaderTooLong);
    }
    if headers.len() >= limits.headers {
        return fault.note(ParseReason::TooManyHeaders);
    }
    if has_control(line) {
        return fault.note(ParseReason::Control);
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let parts = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)));
    let Some((name, value)) = parts else {
        return fault.note(ParseReason::HeaderLine);
    };
    // §25.1 HCOLON: blanks before the colon are legal, `X-Bypass : v` is `X-Bypass`.
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return fault.note(ParseReason::HeaderLine);
    }
    headers.push_raw(HeaderName::parse(&text_of(name)), text_of(value.trim_ascii()).into_owned());
}

/// A control octet that is not a tab and not the second half of a quoted pair (`\` NUL is legal, RFC 4475
/// §3.1.1.2). CR and LF never are.
fn has_control(line: &[u8]) -> bool {
    // Whole lines at a time, without a branch: nearly all have none.
    if !line.iter().fold(false, |any, &byte| any | (byte < 0x20) | (byte == 0x7f)) {
        return false;
    }
    let mut before = 0;
    line.iter().any(|&byte| {
        let control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
        let bad = control && (before != b'\\' || matches!(byte, b'\r' | b'\n'));
        // `\\` is a whole pair: the second backslash escapes nothing.
        before = if before == b'\\' && byte == b'\\' { 0 } else { byte };
        bad
    })
}

/// Headers that must be there once (§8.1.1), or may be there at most once.
const ONCE: [HeaderName; 4] = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
const AT_MOST_ONCE: [HeaderName; 3] = [HeaderName::MaxForwards, HeaderName::ContentLength, HeaderName::ContentType];

/// Everything a message must have to be worked with, so that later readers can rely on it.
fn check_headers(headers: &Headers, request: bool, fault: &mut Fault) {
    let repeated = |name: &HeaderName, fault: &mut Fault| {
        if headers.all(name).nth(1).is_some() {
            fault.note_header(ParseReason::Repeated, ValueError::new(name.clone(), "is repeated"));
        }
    };
    for name in &ONCE {
        if headers.get(name).is_none_or(str::is_empty) {
            fault.note_header(ParseReason::Missing, ValueError::missing(name));
        }
        repeated(name, fault);
    }
    for name in &AT_MOST_ONCE {
        repeated(name, fault);
    }
    if let Err(error) = values_of(headers, request) {
        let reason = if error.why == ValueError::MISSING { ParseReason::Missing } else { ParseReason::Value };
        fault.note_header(reason, error);
    }
}

fn values_of(headers: &Headers, request: bool) -> Result<(), ValueError> {
    let mut vias = 0;
    for line in headers.all(&HeaderName::Via) {
        for value in split_list(line) {
            value.parse::<Via>()?;
            vias += 1;
        }
    }
    if vias == 0 {
        return Err(ValueError::missing(&HeaderName::Via));
    }
    for name in [HeaderName::From, HeaderName::To] {
        let address = NameAddr::parse(headers.need(&name)?).map_err(|error| error.of(&name))?;
        if address.params.has("tag") && address.tag().is_none() {
            return Err(ValueError::new(name, "has an empty tag"));
        }
    }
    let call_id = headers.need(&HeaderName::CallId)?;
    if call_id.contains([' ', '\t']) {
        return Err(ValueError::new(HeaderName::CallId, "has a blank inside"));
    }
    headers.need(&HeaderName::CSeq)?.parse::<CSeq>()?;
    headers.contacts()?;
    if request {
        // Where a response goes wrong here, the dialog fails later and says so.
        headers.name_addrs(&HeaderName::RecordRoute)?;
        headers.name_addrs(&HeaderName::Route)?;
    }
    Ok(())
}

/// The body by Content-Length. Longer is cut, shorter is refused (§18.3).
fn body_of<'a>(headers: &Headers, body: &'a [u8], length: Length, fault: &mut Fault) -> &'a [u8] {
    let Some(text) = headers.get(&HeaderName::ContentLength) else {
        if length == Length::Framed {
            fault.note_header(ParseReason::Length, ValueError::missing(&HeaderName::ContentLength));
        }
        return body;
    };
    let stated = decimal(text).and_then(|stated| usize::try_from(stated).ok());
    match stated.and_then(|stated| body.get(..stated)) {
        Some(body) => body,
        None => {
            let why = if stated.is_some() { "says more than there is" } else { "is not a number" };
            fault.note_header(ParseReason::Length, ValueError::new(HeaderName::ContentLength, why));
            &[]
        }
    }
}

/// The stated length of a framed message: `Err` where it cannot be known.
pub(super) fn stated_length(head: &[u8]) -> Result<usize, ParseReason> {
    let mut stated: Option<usize> = None;
    for line in Lines::new(head).skip(1) {
        let Some(at) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (Some(name), Some(value)) = (line.get(..at), line.get(at + 1..)) else {
            continue;
        };
        let name = name.trim_ascii_end();
        if !(name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l")) {
            continue;
        }
        // A second one, a folded one, a sign, a blank inside: two readers could cut in two places.
        let number = std::str::from_utf8(value.trim_ascii()).ok().and_then(decimal);
        match (stated, number.and_then(|number| usize::try_from(number).ok())) {
            (None, Some(number)) => stated = Some(number),
            (Some(_), _) | (None, None) => return Err(ParseReason::Length),
        }
    }
    stated.ok_or(ParseReason::Length)
}

/// What an answer needs: all five headers of §8.2.6.2. An ACK is never answered.
fn salvage(method: Method, uri: Option<Uri>, mut headers: Headers) -> Option<Box<Request>> {
    // The first of two From goes back: an answer has one.
    let mut seen: Vec<HeaderName> = Vec::with_capacity(ONCE.len());
    headers.retain(|name, _| {
        let again = ONCE.contains(name) && seen.contains(name);
        if ONCE.contains(name) && !again {
            seen.push(name.clone());
        }
        !again
    });
    let whole = ONCE.iter().chain([&HeaderName::Via]).all(|name| headers.get(name).is_some());
    (whole && method != Method::Ack)
        .then(|| Box::new(Request { method, uri: uri.unwrap_or_else(Uri::unreadable), headers, body: Vec::new() }))
}
