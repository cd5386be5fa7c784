//! SDP (RFC 8866) read tolerantly and within bounds, written strictly; offer and answer (RFC 3264) for SIP legs.
//!
//! ```text
//! text ── Session::parse ──> Session ── negotiate ──> Negotiated { plan, remote, direction }
//!  ^                           │
//!  └──────── Display ──────────┘
//! ```
//! [`Session`] is the document as it stands: ordered, nothing of interest lost, no meaning given.
//! [`mod@format`] gives meaning to payload types, [`negotiate`] to two descriptions side by side.
//! Browsers and softphones differ in everything the grammar allows and in some things it does not,
//! so reading forgives (line ends, blanks, missing `v=`/`s=`/`t=`, unknown lines) and only a
//! description that cannot be used for a call is refused.

pub mod crypto;
pub mod format;
pub mod negotiate;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

pub use crypto::{Secure, SrtpKeys, SrtpPolicy};
pub use negotiate::{Negotiated, SdpConfig, accept_answer, answer, offer, offer_with_direction};

/// Most octets a description may have. A browser's largest is about 12 kB.
pub const MAX_BYTES: usize = 65_536;
/// Most lines; beyond it the description is refused.
pub const MAX_LINES: usize = 4_096;
/// Most octets in one line.
pub const MAX_LINE_BYTES: usize = 4_096;
/// Most media sections.
pub const MAX_MEDIA: usize = 32;
/// Most formats in one media line: every payload type once.
pub const MAX_FORMATS: usize = 128;
/// Most attributes in one section.
pub const MAX_ATTRIBUTES: usize = 1_024;

/// One session description.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The `o=` line.
    pub origin: Origin,
    /// The `s=` line; `-` when there is none.
    pub name: String,
    /// Session-level `c=`.
    pub connection: Option<Connection>,
    /// Session-level `a=` lines, in order.
    pub attributes: Attributes,
    /// The `m=` sections, in order.
    pub media: Vec<Media>,
}

/// Who made the description (RFC 8866 §5.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// User name, usually `-`.
    pub username: String,
    /// Session id; 0 when it was not a number.
    pub session_id: u64,
    /// Version: one more on each change (RFC 3264 §8).
    pub version: u64,
    /// Address of the maker; never used for media.
    pub address: Address,
}

/// A `c=` line (RFC 8866 §5.7).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Where media goes; a TTL or address count is dropped.
    pub address: Address,
}

/// An address as SDP writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// A literal address.
    Ip(IpAddr),
    /// A host name: kept, never resolved here.
    Name(String),
}

impl Address {
    /// The literal address, if it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "IN IP4 {ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "IN IP6 {ip}"),
            Self::Name(name) => write!(f, "IN IP4 {name}"),
        }
    }
}

/// One `m=` section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Media {
    /// `audio`, `video`, `application`, …
    pub kind: MediaKind,
    /// Port; 0 means refused or switched off (RFC 3264 §6).
    pub port: u16,
    /// Transport, as written: `RTP/AVP`, `UDP/TLS/RTP/SAVPF`, …
    pub protocol: String,
    /// Formats, as written: payload types for RTP.
    pub formats: Vec<String>,
    /// Media-level `c=`.
    pub connection: Option<Connection>,
    /// Media-level `a=` lines, in order.
    pub attributes: Attributes,
}

/// What a media section carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels and the like.
    Application,
    /// Anything else, as written.
    Other(String),
}

impl MediaKind {
    /// The word in the `m=` line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other(word) => word,
        }
    }
}

/// One `a=` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    /// Before the colon.
    pub name: String,
    /// After the colon.
    pub value: Option<String>,
}

/// The `a=` lines of one section, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes(Vec<Attribute>);

impl Attributes {
    /// Value of the first attribute of this name; an empty text when it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Values of all attributes of this name, in order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |a| a.name.eq_ignore_ascii_case(name)).map(|a| a.value.as_deref().unwrap_or(""))
    }

    /// Whether the attribute is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds `a=name`.
    pub fn flag(&mut self, name: &str) {
        self.0.push(Attribute { name: name.to_owned(), value: None });
    }

    /// Adds `a=name:value`.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(Attribute { name: name.to_owned(), value: Some(value.into()) });
    }

    /// All attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Who sends (RFC 8866 §6.7), seen from the side that wrote it unless said otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// The writer only sends: he holds the other side, or plays music to it.
    SendOnly,
    /// The writer only listens.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same arrangement as the other side sees it.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    /// Whether the writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// From the two halves.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    fn find(attributes: &Attributes) -> Option<Self> {
        attributes.iter().find_map(|a| {
            [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
                .into_iter()
                .find(|d| a.name.eq_ignore_ascii_case(d.as_str()))
        })
    }
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SdpError {
    /// More octets, lines, sections, formats or attributes than allowed; says which.
    TooLong(&'static str),
    /// Not a session description at all.
    NotSdp,
    /// A media line without port, transport or format.
    BadMediaLine,
    /// No audio section over a transport this leg speaks.
    NoAudio,
    /// The audio section was refused: port 0.
    AudioRefused,
    /// No codec in common.
    NoCommonCodec,
    /// The media address is a host name.
    AddressIsName,
    /// The audio section has no `c=` line to go by.
    NoAddress,
    /// The leg is to be encrypted, and the description has no key we can use.
    NoKeys,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(what) => write!(f, "session description has too many {what}"),
            Self::NotSdp => f.write_str("not a session description"),
            Self::BadMediaLine => f.write_str("media line cannot be read"),
            Self::NoAudio => f.write_str("no audio section over a usable transport"),
            Self::AudioRefused => f.write_str("audio was refused (port 0)"),
            Self::NoCommonCodec => f.write_str("no codec in common"),
            Self::AddressIsName => f.write_str("media address is a host name"),
            Self::NoAddress => f.write_str("audio section has no address"),
            Self::NoKeys => f.write_str("sound is to be encrypted, and there is no usable a=crypto key"),
        }
    }
}

impl std::error::Error for SdpError {}

impl Session {
    /// Reads a description, forgiving what does not matter.
    ///
    /// # Errors
    /// When it is beyond the bounds of this module or is no SDP.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        parse::session(text)
    }

    /// A description to be filled, by `origin`.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self { origin, name: "-".to_owned(), connection: None, attributes: Attributes::default(), media: Vec::new() }
    }

    /// The address media of this section goes to: its own `c=`, else the session's.
    #[must_use]
    pub fn address_of<'a>(&'a self, media: &'a Media) -> Option<&'a Address> {
        media.connection.as_ref().or(self.connection.as_ref()).map(|c| &c.address)
    }

    /// The direction of this section: its own, else the session's, else `sendrecv`.
    #[must_use]
    pub fn direction_of(&self, media: &Media) -> Direction {
        Direction::find(&media.attributes).or_else(|| Direction::find(&self.attributes)).unwrap_or_default()
    }

    /// An attribute of this section, else of the session.
    #[must_use]
    pub fn attribute_of<'a>(&'a self, media: &'a Media, name: &str) -> Option<&'a str> {
        media.attributes.get(name).or_else(|| self.attributes.get(name))
    }
}

impl Media {
    /// This section refused: port 0, transport and first format kept (RFC 3264 §6).
    #[must_use]
    pub fn refused(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            port: 0,
            protocol: self.protocol.clone(),
            formats: self.formats.clone(),
            connection: None,
            attributes: Attributes::default(),
        }
    }
}

impl Origin {
    /// An origin of ours.
    #[must_use]
    pub fn new(session_id: u64, version: u64, address: IpAddr) -> Self {
        Self { username: "-".to_owned(), session_id, version, address: Address::Ip(address) }
    }

    const fn unknown() -> Self {
        Self {
            username: String::new(),
            session_id: 0,
            version: 0,
            address: Address::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        let username = if o.username.is_empty() { "-" } else { &o.username };
        let name = if self.name.is_empty() { "-" } else { &self.name };
        write!(f, "v=0\r\no={username} {} {} {}\r\ns={name}\r\n", o.session_id, o.version, o.address)?;
        if let Some(connection) = &self.connection {
            write!(f, "c={}\r\n", connection.address)?;
        }
        f.write_str("t=0 0\r\n")?;
        self.attributes.fmt(f)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind.as_str(), self.port, self.protocol)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={}\r\n", connection.address)?;
        }
        self.attributes.fmt(f)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for a in &self.0 {
            match &a.value {
                Some(value) => write!(f, "a={}:{value}\r\n", a.name)?,
                None => write!(f, "a={}\r\n", a.name)?,
            }
        }
        Ok(())
    }
}
