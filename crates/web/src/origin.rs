//! Web origins: who may embed the widget and open a socket. One canonical text, compared whole.
//!
//! Browsers send the origin in one exact form (RFC 6454 §6.2, WHATWG URL). A header in any other form was not written
//! by a browser and is refused, so no comparing here ever looks at a prefix, a suffix or letter case.

use std::fmt;

/// Longest `Origin` looked at: a host name of 253 octets, scheme and port.
const MAX_BYTES: usize = 280;

/// A canonical web origin: `https://www.shop.example` or `http://127.0.0.1:8080`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin(String);

impl Origin {
    /// Reads an `Origin` header. `null`, paths, capitals, default ports and the like are all `None`.
    pub fn from_header(value: &str) -> Option<Self> {
        let (scheme, authority) = split(value)?;
        let (host, port) = split_port(authority)?;
        if !is_host(host) {
            return None;
        }
        match port {
            Some(digits) if !is_port(digits) || digits == default_port(scheme) => return None,
            Some(_) | None => {}
        }
        Some(Self(value.to_owned()))
    }

    /// Reads an origin typed by a person: capitals, a closing slash and the default port are forgiven.
    pub fn from_config(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_suffix('/').unwrap_or(&lower);
        let (scheme, authority) = split(bare)?;
        let suffix = format!(":{}", default_port(scheme));
        let authority = authority.strip_suffix(suffix.as_str()).unwrap_or(authority);
        Self::from_header(&format!("{scheme}://{authority}"))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a `Host` header names the same host and port: the page came from this very server.
    pub fn is_host(&self, host_header: &str) -> bool {
        let Some((scheme, authority)) = split(&self.0) else {
            return false;
        };
        let host = host_header.to_ascii_lowercase();
        let suffix = format!(":{}", default_port(scheme));
        host.strip_suffix(suffix.as_str()).unwrap_or(&host) == authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tenant's list of origins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// A list from the configuration. The error is the first entry that is not an origin.
    pub fn new<T: AsRef<str>>(entries: &[T]) -> Result<Self, String> {
        let parse = |entry: &T| Origin::from_config(entry.as_ref()).ok_or_else(|| entry.as_ref().to_owned());
        let mut list = entries.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        list.sort();
        list.dedup();
        Ok(Self(list))
    }

    /// Whether the list names exactly this origin.
    pub fn allows(&self, origin: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(origin)).is_ok()
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let (scheme, authority) = text.split_once("://")?;
    matches!(scheme, "http" | "https").then_some((scheme, authority))
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, rest) = authority.split_at_checked(end + 1)?;
        if rest.is_empty() {
            return Some((host, None));
        }
        return Some((host, Some(rest.strip_prefix(':')?)));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn default_port(scheme: &str) -> &'static str {
    if scheme == "https" { "443" } else { "80" }
}

fn is_port(digits: &str) -> bool {
    !digits.starts_with(['0', '+']) && digits.parse::<u16>().is_ok()
}

/// A canonical host: lower-case labels (names beyond ASCII as punycode), or an address in brackets as browsers write it.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok_and(|address| browser_v6(address) == inner);
    }
    let label_ok = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(inside)
    };
    host.len() <= 253 && host.split('.').all(label_ok)
}

/// WHATWG URL writes an IPv4-mapped address in hexadecimal, the standard library with dots.
fn browser_v6(address: std::net::Ipv6Addr) -> String {
    match address.to_ipv4_mapped() {
        Some(_) => {
            let parts = address.segments();
            format!("::ffff:{:x}:{:x}", parts[6], parts[7])
        }
        None => address.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
