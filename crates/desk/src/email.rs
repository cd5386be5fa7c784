//! An address for mail, held to the plain form that everybody can deliver to: nothing in it can end a header or a line.

use std::fmt;
use std::str::FromStr;

/// An e-mail address: dot-atom, `@`, a host name with at least one dot (RFC 5321 §4.1.2, without its quoted forms).
#[derive(Clone, Eq, PartialEq)]
pub struct Email(String);

/// It is none that we would write to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadEmail;

impl Email {
    /// Longest address (RFC 5321 §4.5.3.1.3, without its brackets).
    pub const BYTES_MAX: usize = 254;
    /// Longest part before the `@` (§4.5.3.1.1).
    const LOCAL_MAX: usize = 64;

    /// The address; never for a log above DEBUG.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = BadEmail;

    fn from_str(text: &str) -> Result<Self, BadEmail> {
        let (local, host) = text.rsplit_once('@').ok_or(BadEmail)?;
        let sound = text.len() <= Self::BYTES_MAX && is_local(local) && is_host(host);
        if sound { Ok(Self(text.to_owned())) } else { Err(BadEmail) }
    }
}

/// Atoms with dots between them (RFC 5322 §3.2.3).
fn is_local(local: &str) -> bool {
    let atext = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
    local.len() <= Email::LOCAL_MAX && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// Labels of letters, digits and inner hyphens; at least two, and the last is no number: that would be an IP address.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    let Some((_, last)) = host.rsplit_once('.') else { return false };
    host.split('.').all(label) && last.bytes().any(|octet| octet.is_ascii_alphabetic())
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(personal)")
    }
}

impl fmt::Display for BadEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no e-mail address")
    }
}

impl std::error::Error for BadEmail {}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(text: &str) -> bool {
        text.parse::<Email>().is_ok_and(|email| email.as_str() == text)
    }

    #[test]
    fn addresses_as_people_have_them_are_taken() {
        for text in ["a@b.fr", "Claire.Dupont+rappel@mail.shop.example", "o'brien@x-y.co.uk", "x@xn--bcher-kva.example"]
        {
            assert!(is_one(text), "{text}");
        }
        assert!(is_one(&format!("{}@{}.fr", "l".repeat(64), "h".repeat(63))));
    }

    #[test]
    fn nothing_that_could_end_a_header_or_name_a_second_recipient_is_one() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.fr",
            "a@b",
            "a b@c.fr",
            "a@b..fr",
            ".a@b.fr",
            "a.@b.fr",
            "a..b@c.fr",
            "a@-b.fr",
            "a@b-.fr",
            "a@b.fr\r\nBcc: x@y.fr",
            "a\n@b.fr",
            "a@b.fr\0",
            "a@b.fr,c@d.fr",
            "a@b.fr;c@d.fr",
            "<a@b.fr>",
            "\"a b\"@c.fr",
            "\"\r\nBcc:x\"@c.fr",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a(x)@b.fr",
            "é@b.fr",
            "a@é.fr",
            "a@b.fr ",
            " a@b.fr",
            "a@b@c.fr",
            "a\\@b.fr",
            "a:b@c.fr",
            "a@b.fr%0d%0aBcc:x@y.fr",
        ] {
            assert!(!is_one(text), "{text:?}");
        }
        assert!(!is_one(&format!("{}@b.fr", "l".repeat(65))));
        assert!(!is_one(&format!("a@{}.fr", "h".repeat(64))));
        assert!(!is_one(&format!("a@{}fr", "h.".repeat(130))));
    }

    #[test]
    fn printing_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", "a@b.fr".parse::<Email>()), "Ok((personal))");
    }
}
