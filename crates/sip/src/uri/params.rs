//! `;name=value` lists of URIs and of header values, in the order they came.

use std::fmt;

use crate::uri::{UriError, unescape};
use crate::values::{is_token, quoted_end, split_outside, unquote};

/// Most parameters of one value.
const MAX_PARAMS: usize = 64;

/// Parameters. Names are compared without regard to case; values are kept as written, quotes included.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// No parameter.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a parameter as written. `None` where it is absent or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_deref()
    }

    /// The value of a parameter without its quotes.
    pub fn get_unquoted(&self, name: &str) -> Option<String> {
        self.get(name).map(unquote)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets or appends. The value must be a token or already quoted; what could break out is left out.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let safe =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect() };
        let value = value.map(safe);
        let found = self.0.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name));
        match found {
            Some(entry) => entry.1 = value,
            None => self.0.push((safe(name), value)),
        }
    }

    /// Removes a parameter.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
    }

    /// All in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Option<&Option<String>> {
        self.0.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Parameters of a URI: what begins with `;`, or nothing.
    pub(crate) fn parse_uri(text: &str) -> Result<Self, UriError> {
        let mut list = Vec::new();
        let Some(text) = text.strip_prefix(';') else {
            return if text.is_empty() { Ok(Self(list)) } else { Err(UriError::Parameter) };
        };
        // One `;` too many at the end is what phones do; one in the middle is not (RFC 4475 §3.1.2.1).
        if text.is_empty() {
            return Ok(Self(list));
        }
        for part in text.strip_suffix(';').unwrap_or(text).split(';') {
            if !part.bytes().all(|byte| byte > 0x20 && byte != 0x7f && !b"<>\"@?".contains(&byte)) {
                return Err(UriError::Parameter);
            }
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (part, None),
            };
            if name.is_empty() || list.len() >= MAX_PARAMS {
                return Err(UriError::Parameter);
            }
            list.push((name.to_owned(), value));
        }
        Ok(Self(list))
    }

    /// Parameters of a header value: blanks around `;` and `=` allowed, values may be quoted. `None` where
    /// a name is no token or a value is neither token, host nor quoted string.
    pub(crate) fn parse_header(text: &str) -> Option<Self> {
        let mut list = Vec::new();
        let text = text.trim();
        let Some(text) = text.strip_prefix(';') else {
            return text.is_empty().then_some(Self(list));
        };
        if text.is_empty() {
            return Some(Self(list));
        }
        let text = text.strip_suffix(';').unwrap_or(text);
        for part in split_outside(text, b';').map(str::trim) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (part, None),
            };
            if !is_token(name) || value.is_some_and(|value| !is_value(value)) {
                return None;
            }
            // Two tags or two branches: two readers could take two.
            let repeated = list.iter().any(|(have, _): &(String, _)| have.eq_ignore_ascii_case(name));
            if repeated || list.len() >= MAX_PARAMS {
                return None;
            }
            list.push((name.to_owned(), value.map(str::to_owned)));
        }
        Some(Self(list))
    }

    /// Equality of URI parameters, RFC 3261 §19.1.4: those in both must match; `user`, `ttl`, `method`,
    /// `maddr` and `transport` in one only make a difference; any other in one only is ignored.
    pub(crate) fn equivalent(&self, other: &Self) -> bool {
        let weighty = ["user", "ttl", "method", "maddr", "transport"];
        let one_way = |a: &Self, b: &Self| {
            a.iter().all(|(name, value)| match b.find(name) {
                Some(theirs) => same_value(value, theirs.as_deref()),
                None => !weighty.iter().any(|heavy| heavy.eq_ignore_ascii_case(name)),
            })
        };
        one_way(self, other) && one_way(other, self)
    }
}

fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => unescape(a).eq_ignore_ascii_case(&unescape(b)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// A quoted string, or text without blanks, controls and separators that would end the value.
fn is_value(text: &str) -> bool {
    if text.starts_with('"') {
        return quoted_end(text) == Some(text.len());
    }
    !text.is_empty() && text.bytes().all(|byte| byte > 0x20 && byte != 0x7f && !b"\",;<>".contains(&byte))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}
