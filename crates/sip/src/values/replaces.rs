//! What a REFER names: the dialog to be replaced (RFC 3891 §6.1) and the place to call (RFC 3515 §2.1).

use std::fmt;
use std::str::FromStr;

use super::{is_token, split_outside};
use crate::message::{HeaderName, Headers};
use crate::uri::{Uri, unescape};
use crate::values::ValueError;

/// Longest Call-ID or tag taken, bytes. Ours have 32; the longest seen in the field stay below 128.
const NAME_BYTES: usize = 256;

/// The dialog that a new call takes the place of. The tags are those of whoever reads it: `to_tag` is the reader's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The reader's tag.
    pub to_tag: String,
    /// The other side's tag.
    pub from_tag: String,
    /// Only while it is not answered yet.
    pub early_only: bool,
}

impl Replaces {
    /// The Replaces of a request. Two of them, or an unreadable one, are an error (§3: 400).
    pub fn of(headers: &Headers) -> Result<Option<Self>, ValueError> {
        let mut values = headers.all(&HeaderName::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(ValueError::new(HeaderName::Replaces, "stands twice"));
        }
        value.parse().map(Some)
    }
}

impl FromStr for Replaces {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bad = |why| ValueError::new(HeaderName::Replaces, why);
        let mut parts = split_outside(text, b';').map(str::trim);
        let call_id = parts.next().unwrap_or_default();
        let sound = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES;
        if !sound(call_id) || !call_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("has no readable Call-ID"));
        }
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()));
            let slot = match name.to_ascii_lowercase().as_str() {
                "to-tag" => &mut to_tag,
                "from-tag" => &mut from_tag,
                "early-only" => {
                    early_only = true;
                    continue;
                }
                _ => continue,
            };
            // §6.1: each tag exactly once.
            if slot.is_some() || !is_token(value) || !sound(value) {
                return Err(bad("has an unreadable tag"));
            }
            *slot = Some(value.to_owned());
        }
        let (Some(to_tag), Some(from_tag)) = (to_tag, from_tag) else { return Err(bad("lacks a tag")) };
        Ok(Self { call_id: call_id.to_owned(), to_tag, from_tag, early_only })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

/// What a REFER asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Refer {
    /// Whom to call, without the headers the URI brought along.
    pub to: Uri,
    /// The dialog at that place which the new call replaces: an attended transfer (RFC 5589 §7).
    pub replaces: Option<Replaces>,
    /// Who asks for it, as he says (RFC 3892), made harmless.
    pub referred_by: Option<String>,
}

impl Refer {
    /// The one Refer-To of a REFER (RFC 3515 §2.4.1).
    pub(crate) fn of(headers: &Headers) -> Result<Self, ValueError> {
        let bad = |why| ValueError::new(HeaderName::ReferTo, why);
        let mut targets = headers.all(&HeaderName::ReferTo);
        let first = targets.next().ok_or_else(|| ValueError::missing(&HeaderName::ReferTo))?;
        if targets.next().is_some() {
            return Err(bad("stands twice"));
        }
        let mut to = super::NameAddr::parse(first).map_err(|error| error.of(&HeaderName::ReferTo))?.uri;
        if to.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(bad("asks for something else than a call"));
        }
        to.params.remove("method");
        let replaces = to.headers.take().map(|headers| replaces_in(&headers)).transpose()?.flatten();
        let referred_by = headers.get(&HeaderName::ReferredBy).map(|value| crate::headers::clean(value, NAME_BYTES));
        Ok(Self { to, replaces, referred_by: referred_by.filter(|value| !value.is_empty()) })
    }
}

/// The Replaces among the headers of a URI: `Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2`. Others are left out: what a
/// call of ours says is not for somebody else to choose.
fn replaces_in(headers: &str) -> Result<Option<Replaces>, ValueError> {
    let named = headers.split('&').filter_map(|header| header.split_once('='));
    let mut found = named.filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    let Some((_, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(ValueError::new(HeaderName::Replaces, "stands twice"));
    }
    unescape(value).parse().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let read = text.parse::<Replaces>().ok().map(|replaces| replaces.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_replaced_dialog_is_read_in_any_order_and_spacing() {
        check("98asjd8@t.example;to-tag=1;from-tag=2", Some("98asjd8@t.example;to-tag=1;from-tag=2"));
        check(" a ; From-Tag = 2 ;x=y; to-tag=1;early-only", Some("a;to-tag=1;from-tag=2;early-only"));
        for text in ["", ";to-tag=1;from-tag=2", "a;to-tag=1", "a;from-tag=1", "a;to-tag=1;to-tag=2;from-tag=3"] {
            check(text, None);
        }
        check("a;to-tag=1\r\nVia;from-tag=2", None);
        check(&format!("{};to-tag=1;from-tag=2", "a".repeat(NAME_BYTES + 1)), None);
    }

    fn refer(target: &str) -> Result<Refer, ValueError> {
        let mut headers = Headers::new();
        headers.push(HeaderName::ReferTo, target);
        headers.push(HeaderName::ReferredBy, "<sip:1001@gw.test>");
        Refer::of(&headers)
    }

    #[test]
    fn a_refer_names_one_place_and_maybe_a_dialog_there() {
        let blind = refer("\"Carol\" <sip:1002@gw.test;transport=udp;method=INVITE>").unwrap();
        assert_eq!((blind.to.to_string().as_str(), &blind.replaces), ("sip:1002@gw.test;transport=udp", &None));
        assert_eq!(blind.referred_by.as_deref(), Some("<sip:1001@gw.test>"));
        let attended = "<sip:1002@gw.test?X-Evil=1&replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>";
        let attended = refer(attended).unwrap();
        assert_eq!(attended.to.to_string(), "sip:1002@gw.test", "no header of theirs stays");
        assert_eq!(attended.replaces.unwrap().to_string(), "a@b;to-tag=1;from-tag=2");
        for target in ["", "<sip:1002@gw.test;method=BYE>", "<sip:a@b?Replaces=x>", "<sip:a@b?Replaces=a&Replaces=b>"] {
            assert!(refer(target).is_err(), "{target}");
        }
    }
}
