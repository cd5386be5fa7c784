//! The tolerant SDP reader: one pass, every count bounded.

use std::net::IpAddr;

use super::{
    Address, Attribute, Attributes, Connection, MAX_ATTRIBUTES, MAX_BYTES, MAX_FORMATS, MAX_LINE_BYTES, MAX_LINES,
    MAX_MEDIA, Media, MediaKind, Origin, SdpError, Session,
};

pub(super) fn session(text: &str) -> Result<Session, SdpError> {
    if text.len() > MAX_BYTES {
        return Err(SdpError::TooLong("octets"));
    }
    let mut session = Session::new(Origin::unknown());
    let mut recognised = false;
    // RFC 8866 §5 wants CRLF and lets LF pass; a lone CR is met in the field too.
    for (count, line) in text.split(['\r', '\n']).filter(|l| !l.trim().is_empty()).enumerate() {
        if count >= MAX_LINES {
            return Err(SdpError::TooLong("lines"));
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(SdpError::TooLong("octets in a line"));
        }
        let Some((kind, value)) = line.trim().split_once('=') else {
            continue;
        };
        recognised |= take_line(&mut session, kind.trim_end(), value.trim())?;
    }
    if recognised { Ok(session) } else { Err(SdpError::NotSdp) }
}

/// Puts one line where it belongs; says whether it is a line that only SDP has.
fn take_line(session: &mut Session, kind: &str, value: &str) -> Result<bool, SdpError> {
    match kind {
        "o" => session.origin = origin(value),
        "s" => session.name = value.to_owned(),
        "c" => {
            let connection = connection(value);
            match session.media.last_mut() {
                Some(media) => media.connection = connection.or_else(|| media.connection.take()),
                None => session.connection = connection.or_else(|| session.connection.take()),
            }
        }
        "m" => {
            if session.media.len() >= MAX_MEDIA {
                return Err(SdpError::TooLong("media sections"));
            }
            session.media.push(media(value)?);
        }
        "a" => {
            let attributes = match session.media.last_mut() {
                Some(media) => &mut media.attributes,
                None => &mut session.attributes,
            };
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(SdpError::TooLong("attributes"));
            }
            attributes.0.push(attribute(value));
        }
        "v" => return Ok(value == "0"),
        // RFC 8866 §5: b= t= r= z= k= i= u= e= p= say nothing a call needs; unknown types are skipped.
        _ => return Ok(false),
    }
    Ok(kind == "m" || kind == "o")
}

fn attribute(text: &str) -> Attribute {
    match text.split_once(':') {
        Some((name, value)) => Attribute { name: name.trim().to_owned(), value: Some(value.trim().to_owned()) },
        None => Attribute { name: text.to_owned(), value: None },
    }
}

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <address>`; what cannot be read is left out.
fn origin(value: &str) -> Origin {
    let mut words = value.split_whitespace();
    let mut origin = Origin::unknown();
    origin.username = words.next().unwrap_or("-").to_owned();
    origin.session_id = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    origin.version = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    if let Some(address) = words.nth(2) {
        origin.address = address_of(address);
    }
    origin
}

/// `c=<nettype> <addrtype> <address>[/ttl][/count]`
fn connection(value: &str) -> Option<Connection> {
    let mut words = value.split_whitespace();
    let address = words.nth(2)?;
    let address = address.split('/').next().filter(|a| !a.is_empty())?;
    Some(Connection { address: address_of(address) })
}

fn address_of(text: &str) -> Address {
    // Some stacks write IPv6 literals in brackets as in a URI.
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map_or_else(|_| Address::Name(text.to_owned()), Address::Ip)
}

/// `m=<media> <port>[/<count>] <proto> <fmt> …` (RFC 8866 §5.14)
fn media(value: &str) -> Result<Media, SdpError> {
    let mut words = value.split_whitespace();
    let kind = match words.next().ok_or(SdpError::BadMediaLine)? {
        word if word.eq_ignore_ascii_case("audio") => MediaKind::Audio,
        word if word.eq_ignore_ascii_case("video") => MediaKind::Video,
        word if word.eq_ignore_ascii_case("application") => MediaKind::Application,
        word => MediaKind::Other(word.to_owned()),
    };
    let port = words.next().ok_or(SdpError::BadMediaLine)?;
    let port = port.split('/').next().unwrap_or(port);
    let port = port.parse().map_err(|_| SdpError::BadMediaLine)?;
    let protocol = words.next().ok_or(SdpError::BadMediaLine)?.to_owned();
    let formats: Vec<String> = words.map(str::to_owned).take(MAX_FORMATS + 1).collect();
    if formats.len() > MAX_FORMATS {
        return Err(SdpError::TooLong("formats"));
    }
    // The grammar wants one; a section switched off (port 0) is met without.
    if formats.is_empty() && port != 0 {
        return Err(SdpError::BadMediaLine);
    }
    Ok(Media { kind, port, protocol, formats, connection: None, attributes: Attributes::default() })
}
