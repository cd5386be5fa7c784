//! name-addr and addr-spec: From, To, Contact, Route and their like (RFC 3261 §20.10).

use std::fmt;
use std::str::FromStr;

use crate::message::HeaderName;
use crate::uri::{Params, Uri};
use crate::values::{ValueError, quote, quoted_end, unquote};

/// An address with an optional name and header parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameAddr {
    /// Display name, unquoted.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters of the header: tag, q, expires, +sip.instance…
    pub params: Params,
}

/// The value of Contact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contacts {
    /// `*`: all bindings, only in a REGISTER with `Expires: 0` (§10.2.2).
    Star,
    /// Any number of addresses.
    List(Vec<NameAddr>),
}

impl NameAddr {
    /// An address without a name.
    pub const fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// Sets the `tag` parameter.
    pub fn set_tag(&mut self, tag: &str) {
        self.params.set("tag", Some(tag));
    }

    /// The same address without its tag.
    #[must_use]
    pub fn without_tag(mut self) -> Self {
        self.params.remove("tag");
        self
    }

    /// The `expires` parameter of a Contact. A number too big for 32 bits is the biggest (§20.19 leaves it
    /// to us; RFC 4475 §3.1.2.4 wants no wrap-around).
    pub fn expires_s(&self) -> Option<u32> {
        crate::values::decimal(self.params.get("expires")?).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Reads one value. The error names Contact until the caller knows better.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let bad = |why| ValueError::new(HeaderName::Contact, why);
        let text = text.trim();
        let (display, rest) = if text.starts_with('"') {
            let end = quoted_end(text).ok_or_else(|| bad("has an unbalanced quote"))?;
            let (name, rest) = text.split_at_checked(end).ok_or_else(|| bad("is malformed"))?;
            let rest = rest.trim_start();
            if !rest.starts_with('<') {
                return Err(bad("has a name but no <address>"));
            }
            (Some(unquote(name)), rest)
        } else {
            match text.find('<') {
                Some(at) => {
                    let (name, rest) = text.split_at_checked(at).ok_or_else(|| bad("is malformed"))?;
                    (plain_name(name.trim()).map_err(bad)?, rest)
                }
                None => (None, text),
            }
        };
        let (uri, params) = match rest.strip_prefix('<') {
            Some(inner) => inner.split_once('>').ok_or_else(|| bad("has an unbalanced bracket"))?,
            None => {
                let end = rest.find(';').unwrap_or(rest.len());
                let (uri, params) = rest.split_at_checked(end).ok_or_else(|| bad("is malformed"))?;
                // §20: with `?` or `,` in it the address must stand in brackets.
                if uri.contains(['?', ',']) {
                    return Err(bad("has an address that needs brackets"));
                }
                (uri.trim_end(), params)
            }
        };
        let params = params.trim();
        if !(params.is_empty() || params.starts_with(';')) {
            return Err(bad("has text after the address"));
        }
        Ok(Self {
            display,
            uri: uri.parse().map_err(|_| bad("has no legal address"))?,
            params: Params::parse_header(params).ok_or_else(|| bad("has an illegal parameter"))?,
        })
    }
}

/// A display name without quotes. Tokens by the grammar; UTF-8 and brackets are tolerated as phones send
/// them, separators that would make a second value are not (RFC 4475 §3.1.2.15).
fn plain_name(name: &str) -> Result<Option<String>, &'static str> {
    if name.is_empty() {
        return Ok(None);
    }
    if name.chars().any(|c| c.is_control() && c != '\t' || "\",;<>@\\".contains(c)) {
        return Err("has a name that needs quotes");
    }
    Ok(Some(name.split_whitespace().collect::<Vec<_>>().join(" ")))
}

impl FromStr for NameAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
