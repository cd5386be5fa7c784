//! Tags on the wire: User-to-User (RFC 7433), display names, and cleaning of text that comes from a page.
//!
//! ```text
//! User-to-User: 00112233445566778899aabbccddeeff 0f1e2d3c4b5a69788796a5b4c3d2e1f0 ;encoding=hex
//!               └──────────── id ──────────────┘ └─── HMAC-SHA256, 16 octets ───┘   (no blank on the wire)
//! ```

#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::uri::Params;
use crate::values::quote;

/// Octets of the MAC that are sent: 2^-128 to guess, and the whole value stays under 128 octets.
const MAC_BYTES: usize = 16;

/// The value of a User-to-User header: id and MAC in hex, `;encoding=hex` (RFC 7433 §4.1).
pub fn user_to_user(id: &[u8; 16], key: &[u8]) -> String {
    format!("{}{};encoding=hex", to_hex(id), to_hex(&mac(id, key)))
}

/// The id of a User-to-User value, where its MAC is right. Blanks, case, a quoted value and other parameters
/// (`purpose`, `content`) are tolerated: PBXs write the header anew.
pub fn open_user_to_user(value: &str, key: &[u8]) -> Option<[u8; 16]> {
    let (data, params) = match value.find(';') {
        Some(at) => value.split_at_checked(at)?,
        None => (value, ""),
    };
    let params = Params::parse_header(params)?;
    if params.get("encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("hex")) {
        return None;
    }
    let octets = from_hex(data.trim().trim_matches('"'))?;
    let (id, theirs) = octets.split_at_checked(16)?;
    let id: [u8; 16] = id.try_into().ok()?;
    same(theirs, &mac(&id, key)).then_some(id)
}

fn mac(id: &[u8; 16], key: &[u8]) -> [u8; MAC_BYTES] {
    let whole = hmac_sha256(key, &[b"passerelle user-to-user 1", id]);
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(whole.split_at(MAC_BYTES).0);
    short
}

/// HMAC-SHA256 over parts, one after the other. Callers keep every part but the last of fixed length.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104 takes keys of any length, so this branch cannot fail; an all-zero MAC would match nothing.
    let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// Equality in a time that depends on the lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

pub(crate) fn to_hex(octets: &[u8]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|value| u8::try_from(value).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Text that may stand in a header: controls and line separators out, blanks at the ends out, cut on a
/// character boundary. Page data passes here before it rides on a call.
pub fn clean(text: &str, max_bytes: usize) -> String {
    // U+2028, U+2029: some readers take them for a line end. Bidi controls: a name must read as it is written.
    let unwanted = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len().min(max_bytes));
    for c in text.trim().chars().filter(|c| !unwanted(*c)) {
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Text as a quoted string for a display name, at most 128 octets of it.
pub fn display_name(text: &str) -> String {
    quote(&clean(text, 128))
}
