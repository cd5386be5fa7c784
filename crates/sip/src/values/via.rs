//! Via: where a request has been and where its response goes (RFC 3261 §20.42, RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::message::HeaderName;
use crate::uri::{Host, Params};
use crate::values::{ValueError, is_token};

/// What a branch of RFC 3261 begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`… in upper case.
    pub transport: String,
    /// sent-by host.
    pub host: Host,
    /// sent-by port, where one is written.
    pub port: Option<u16>,
    /// branch, received, rport, maddr…
    pub params: Params,
}

impl Via {
    /// A Via of ours with `rport` asked for.
    pub fn new(transport: &str, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Self { transport: transport.to_ascii_uppercase(), host, port, params }
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// The `branch` parameter, where it names a transaction by itself: it begins with the cookie and has more
    /// than the cookie (RFC 4475 §3.2.1). Otherwise RFC 2543 matching applies (§17.2.3).
    pub fn rfc3261_branch(&self) -> Option<&str> {
        self.branch().filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch.get(..MAGIC_COOKIE.len()).is_some_and(|head| head.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// The `received` parameter; IPv6 with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(text).parse().ok()
    }

    /// `None`: no `rport`; `Some(None)`: asked for; `Some(Some(port))`: filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.has("rport").then(|| self.params.get("rport").and_then(|port| port.parse().ok()))
    }

    /// sent-by port or the transport's default (§18.1.1).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.transport == "TLS" { 5061 } else { 5060 })
    }

    /// The same sent-by: host and port, default filled in.
    pub fn same_sent_by(&self, other: &Self) -> bool {
        self.host.equivalent(&other.host) && self.port_or_default() == other.port_or_default()
    }

    /// Notes where the request came from (§18.2.1, RFC 3581 §4). What the sender claimed there is replaced.
    pub fn note_source(&mut self, source: SocketAddr) {
        let asked = self.params.has("rport");
        if asked || self.host.ip() != Some(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        } else {
            self.params.remove("received");
        }
        if asked {
            self.params.set("rport", Some(&source.port().to_string()));
        }
    }
}

impl FromStr for Via {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bad = |why| ValueError::new(HeaderName::Via, why);
        // SIP / 2.0 / UDP host : port ; params, with blanks allowed around every separator.
        let (protocol, rest) = text.trim().split_once('/').ok_or_else(|| bad("has no protocol"))?;
        let (version, rest) = rest.split_once('/').ok_or_else(|| bad("has no version"))?;
        if !protocol.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return Err(bad("is not of SIP/2.0"));
        }
        let rest = rest.trim_start();
        let blank = rest.find([' ', '\t']).ok_or_else(|| bad("has no sent-by"))?;
        let (transport, rest) = rest.split_at_checked(blank).ok_or_else(|| bad("is malformed"))?;
        if !is_token(transport) {
            return Err(bad("has no transport"));
        }
        let end = rest.find(';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at_checked(end).ok_or_else(|| bad("is malformed"))?;
        let compact: String = match sent_by.trim() {
            plain if !plain.contains([' ', '\t']) => plain.to_owned(),
            // `host : port`; a blank anywhere else would join two words to one host.
            spaced => match spaced.rsplit_once(':') {
                Some((host, port)) => format!("{}:{}", host.trim_end(), port.trim_start()),
                None => return Err(bad("has a blank in its sent-by")),
            },
        };
        let (host, port) = crate::uri::parse_host_port(&compact).map_err(|_| bad("has no legal sent-by"))?;
        Ok(Self {
            transport: transport.to_ascii_uppercase(),
            host,
            port,
            params: Params::parse_header(params).ok_or_else(|| bad("has an illegal parameter"))?,
        })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
