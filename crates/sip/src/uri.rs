//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966): parsed once, written again as they came.

mod host;
mod params;
#[cfg(test)]
mod tests;

pub use host::Host;
pub(crate) use host::parse_host_port;
pub use params::Params;

use std::fmt;
use std::str::FromStr;

/// Longest URI that is parsed at all.
const MAX_URI_BYTES: usize = 4_096;

/// The scheme of a URI.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// Any other scheme; answered with 416 where a call is asked of it.
    Other(String),
}

/// A URI. Of a scheme that is not SIP the whole opaque part is `user` (for `tel` without its parameters) and
/// `host` is empty.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Uri {
    /// Scheme.
    pub scheme: Scheme,
    /// User part as it came, escapes kept, without the password.
    pub user: Option<String>,
    /// Password as it came. Discouraged by RFC 3261 §19.1.1, kept so that nothing is lost.
    pub password: Option<String>,
    /// Host.
    pub host: Host,
    /// Port, where one is written.
    pub port: Option<u16>,
    /// Parameters in order.
    pub params: Params,
    /// What stands after `?`, as it came. Never applied to a request (escaped headers are not to be trusted).
    pub headers: Option<String>,
}

/// Why a text is no URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UriError {
    /// Nothing there, or longer than 4 kB.
    Length,
    /// No `scheme:` in front.
    Scheme,
    /// A character that may not stand in the user part.
    User,
    /// No host, or no legal one.
    Host,
    /// Port is not a number of 1 to 65535.
    Port,
    /// A character that may not stand in a parameter or after `?`.
    Parameter,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "uri is empty or too long",
            Self::Scheme => "uri has no scheme",
            Self::User => "illegal character in the user part of a uri",
            Self::Host => "illegal host in a uri",
            Self::Port => "illegal port in a uri",
            Self::Parameter => "illegal character in a uri parameter",
        })
    }
}

impl std::error::Error for UriError {}

impl Uri {
    /// `sip:user@host`, `sip:host` without a user. The user is escaped as needed.
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(escape_user),
            password: None,
            host,
            port,
            params: Params::default(),
            headers: None,
        }
    }

    /// What stands in for a request URI that could not be read, so that the request can still be answered.
    pub(crate) fn unreadable() -> Self {
        Self {
            scheme: Scheme::Other("invalid".to_owned()),
            user: None,
            password: None,
            host: Host::Name(String::new()),
            port: None,
            params: Params::default(),
            headers: None,
        }
    }

    /// `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part with `%hh` resolved, once. `%00` becomes a NUL character, it never cuts the text.
    pub fn user_decoded(&self) -> Option<String> {
        self.user.as_deref().map(unescape)
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<&str> {
        self.params.get("transport")
    }

    /// Whether `lr` stands on this route (RFC 3261 §16.12.1.1).
    pub fn is_loose_route(&self) -> bool {
        self.params.has("lr")
    }

    /// Port, or 5060 / 5061 of the scheme.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == Scheme::Sips { 5061 } else { 5060 })
    }

    /// Equality of RFC 3261 §19.1.4. It is not transitive (a parameter in one URI only is mostly ignored), so
    /// it is not `==`, which compares what is written.
    pub fn equivalent(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        if !self.is_sip() {
            return self.user == other.user && self.params == other.params;
        }
        let same_text = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_text(&self.user, &other.user)
            && same_text(&self.password, &other.password)
            && self.host.equivalent(&other.host)
            && self.port == other.port
            && self.params.equivalent(&other.params)
            && same_headers(self.headers.as_deref(), other.headers.as_deref())
    }
}

/// Headers after `?`: the same set in any order (§19.1.4).
fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let set = |text: Option<&str>| {
        let mut list: Vec<(String, String)> = text
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                (unescape(name).to_ascii_lowercase(), unescape(value))
            })
            .collect();
        list.sort();
        list
    };
    set(a) == set(b)
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.is_empty() || text.len() > MAX_URI_BYTES {
            return Err(UriError::Length);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        match scheme_of(scheme)? {
            scheme @ (Scheme::Sip | Scheme::Sips) => parse_sip(scheme, rest),
            Scheme::Tel => parse_tel(rest),
            other @ Scheme::Other(_) => {
                if rest.is_empty() || !rest.bytes().all(is_visible) {
                    return Err(UriError::User);
                }
                Ok(Self { scheme: other, user: Some(rest.to_owned()), ..Self::unreadable() })
            }
        }
    }
}

fn scheme_of(text: &str) -> Result<Scheme, UriError> {
    if text.eq_ignore_ascii_case("sip") {
        return Ok(Scheme::Sip);
    }
    if text.eq_ignore_ascii_case("sips") {
        return Ok(Scheme::Sips);
    }
    if text.eq_ignore_ascii_case("tel") {
        return Ok(Scheme::Tel);
    }
    // RFC 3986 §3.1
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if first && text.bytes().all(legal) { Ok(Scheme::Other(text.to_owned())) } else { Err(UriError::Scheme) }
}

fn parse_sip(scheme: Scheme, rest: &str) -> Result<Uri, UriError> {
    // The user part may hold `;` and `?` (RFC 4475 §3.1.1.9), so the first `@` decides. A second one before
    // the host ends makes the host illegal, so two readers can never see two hosts.
    let (userinfo, after) = match rest.split_once('@') {
        Some((userinfo, after)) => (Some(userinfo), after),
        None => (None, rest),
    };
    let (user, password) = match userinfo {
        None => (None, None),
        Some(info) => {
            let (user, password) = match info.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (info, None),
            };
            if user.is_empty() || !info.bytes().all(is_user) {
                return Err(UriError::User);
            }
            (Some(user.to_owned()), password.map(str::to_owned))
        }
    };
    let end = after.find([';', '?']).unwrap_or(after.len());
    let (authority, tail) = after.split_at_checked(end).ok_or(UriError::Host)?;
    let (host, port) = parse_host_port(authority)?;
    let (params, headers) = match tail.split_once('?') {
        Some((params, headers)) => (params, Some(headers)),
        None => (tail, None),
    };
    if headers.is_some_and(|headers| !headers.bytes().all(is_visible)) {
        return Err(UriError::Parameter);
    }
    Ok(Uri {
        scheme,
        user,
        password,
        host,
        port,
        params: Params::parse_uri(params)?,
        headers: headers.map(str::to_owned),
    })
}

fn parse_tel(rest: &str) -> Result<Uri, UriError> {
    let (number, params) = match rest.find(';') {
        Some(at) => rest.split_at_checked(at).ok_or(UriError::User)?,
        None => (rest, ""),
    };
    // RFC 3966 §3: digits, hex digits for local numbers, `*`, `#` and visual separators.
    let legal = |byte: u8| byte.is_ascii_hexdigit() || b"+*#-.()".contains(&byte);
    if number.is_empty() || !number.bytes().all(legal) {
        return Err(UriError::User);
    }
    Ok(Uri {
        scheme: Scheme::Tel,
        user: Some(number.to_owned()),
        params: Params::parse_uri(params)?,
        ..Uri::unreadable()
    })
}

/// Visible ASCII or UTF-8 without the characters that end a URI in a header.
fn is_visible(byte: u8) -> bool {
    byte > 0x20 && byte != 0x7f && !matches!(byte, b'<' | b'>' | b'"')
}

/// Tolerant of characters that should have been escaped (`#`, UTF-8), never of those that would let the text
/// end elsewhere.
fn is_user(byte: u8) -> bool {
    is_visible(byte) && !matches!(byte, b'@' | b'\\' | b'[' | b']')
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Sip => f.write_str("sip:")?,
            Scheme::Sips => f.write_str("sips:")?,
            Scheme::Tel => f.write_str("tel:")?,
            Scheme::Other(scheme) => write!(f, "{scheme}:")?,
        }
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            if self.is_sip() {
                f.write_str("@")?;
            }
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}

/// `%hh` to octets, once; what is no escape stays. Octets that are no UTF-8 become replacement characters.
pub fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte == b'%').then(|| Some((hex(*bytes.get(at + 1)?)?, hex(*bytes.get(at + 2)?)?))).flatten();
        if let Some((high, low)) = pair {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Any text as a user part: everything but unreserved and user-unreserved characters becomes `%hh`.
pub fn escape_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
