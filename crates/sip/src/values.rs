//! Values inside headers: addresses, Via, CSeq and the small grammar they share (RFC 3261 §25.1).

mod name_addr;
mod replaces;
#[cfg(test)]
mod tests;
mod via;

pub use name_addr::{Contacts, NameAddr};
pub use replaces::{Refer, Replaces};
pub use via::{MAGIC_COOKIE, Via};

use std::fmt;
use std::str::FromStr;

use crate::message::{HeaderName, Method};

/// Which header could not be read, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValueError {
    /// The header.
    pub header: HeaderName,
    /// Why, in a few words.
    pub why: &'static str,
}

impl ValueError {
    pub(crate) fn new(header: HeaderName, why: &'static str) -> Self {
        Self { header, why }
    }

    /// What `why` says where a header is not there at all.
    pub(crate) const MISSING: &'static str = "is missing";

    pub(crate) fn missing(header: &HeaderName) -> Self {
        Self::new(header.clone(), Self::MISSING)
    }

    pub(crate) fn of(mut self, header: &HeaderName) -> Self {
        self.header = header.clone();
        self
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header {} {}", self.header, self.why)
    }
}

impl std::error::Error for ValueError {}

/// `CSeq: 4711 INVITE` (§8.1.1.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// Must be the request's.
    pub method: Method,
}

impl FromStr for CSeq {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bad = |why| ValueError::new(HeaderName::CSeq, why);
        let mut words = text.split_ascii_whitespace();
        let (Some(number), Some(method), None) = (words.next(), words.next(), words.next()) else {
            return Err(bad("is not a number and a method"));
        };
        // §8.1.1.5: below 2^31, so that no addition wraps.
        let number = decimal(number)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| *number < 1 << 31)
            .ok_or_else(|| bad("has no number below 2^31"))?;
        let method = Method::parse(method).ok_or_else(|| bad("has no method"))?;
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// `RAck: 776656 1 INVITE` (RFC 3262 §7.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RAck {
    /// RSeq of the response that is acknowledged.
    pub rseq: u32,
    /// CSeq of that response.
    pub cseq: CSeq,
}

impl FromStr for RAck {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bad = || ValueError::new(HeaderName::RAck, "is not two numbers and a method");
        let (rseq, cseq) = text.trim().split_once([' ', '\t']).ok_or_else(bad)?;
        let rseq = decimal(rseq).and_then(|number| u32::try_from(number).ok());
        Ok(Self { rseq: rseq.ok_or_else(bad)?, cseq: cseq.parse().map_err(|_| bad())? })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// Which side of a request refreshes a session (RFC 4028 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionRole {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionExpires {
    /// The session interval. What does not fit means the longest there is.
    pub seconds: u32,
    /// Who refreshes; `None` where the answering side may choose.
    pub refresher: Option<SessionRole>,
}

impl FromStr for SessionExpires {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut parts = split_outside(text, b';').map(str::trim);
        let seconds = parts
            .next()
            .and_then(decimal)
            .ok_or_else(|| ValueError::new(HeaderName::SessionExpires, "is not a number of seconds"))?;
        let refresher = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            let role = |word: &str| value.trim().eq_ignore_ascii_case(word);
            match name.trim().eq_ignore_ascii_case("refresher") {
                true if role("uac") => Some(SessionRole::Uac),
                true if role("uas") => Some(SessionRole::Uas),
                true | false => None,
            }
        });
        Ok(Self { seconds: u32::try_from(seconds).unwrap_or(u32::MAX), refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(SessionRole::Uac) => f.write_str(";refresher=uac"),
            Some(SessionRole::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// `token` of §25.1.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        at += 1;
    }
    table
};

/// Digits only, no sign, no blank, and small enough for 64 bits.
pub fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Splits at commas that stand outside quotes and angle brackets; empty parts are left out.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    split_outside(text, b',').map(str::trim).filter(|part| !part.is_empty())
}

/// Splits at a separator that stands outside quotes and angle brackets.
pub(crate) fn split_outside(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (mut quoted, mut escaped, mut bracket) = (false, false, false);
        let at = current.bytes().position(|byte| {
            if escaped {
                escaped = false;
            } else if quoted {
                escaped = byte == b'\\';
                quoted = byte != b'"';
            } else {
                match byte {
                    b'"' => quoted = true,
                    b'<' => bracket = true,
                    b'>' => bracket = false,
                    _ => return byte == separator && !bracket,
                }
            }
            false
        });
        match at.and_then(|at| Some((current.get(..at)?, current.get(at + 1..)?))) {
            Some((part, after)) => {
                rest = Some(after);
                Some(part)
            }
            None => {
                rest = None;
                Some(current)
            }
        }
    })
}

/// Where a quoted string that begins the text ends (just past its closing quote).
pub(crate) fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if at == 0 {
            if byte != b'"' {
                return None;
            }
        } else if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            return Some(at + 1);
        }
    }
    None
}

/// A quoted string without its quotes and escapes; any other text as it is.
pub fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if escaped {
            out.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            break;
        } else {
            out.push(c);
        }
    }
    out
}

/// Text as a quoted string: `"` and `\` escaped, controls left out.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
