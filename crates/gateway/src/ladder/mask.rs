//! What of a message is blotted out before it is kept: whoever reads a ladder should not be able to log in, listen in or
//! read a card's number.
//!
//! Each octet becomes one star, so that lengths (and Content-Length) still hold. Lines are looked at one by one, in the
//! headers and in every body alike, so that nothing hides in a multipart body, in a sipfrag or in a message that is none.

/// Headers whose parameters prove a password.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
    "www-authenticate",
    "proxy-authenticate",
];
/// Those parameters.
const PROOFS: [&str; 6] = ["response", "rspauth", "nonce", "nextnonce", "cnonce", "auts"];

/// The message with its secrets blotted out.
pub(crate) fn masked(message: &[u8]) -> Vec<u8> {
    let mut masked = message.to_vec();
    let mut at = 0;
    let mut in_credentials = false;
    while at < masked.len() {
        let line = masked.get_mut(at..).unwrap_or_default();
        let length = line.iter().position(|octet| matches!(octet, b'\r' | b'\n')).unwrap_or(line.len());
        let Some(line) = line.get_mut(..length) else { break };
        // A folded line belongs to the header before it (RFC 3261 §7.3.1).
        if line.first().is_some_and(|first| !matches!(first, b' ' | b'\t')) {
            in_credentials = header(line).is_some_and(|name| CREDENTIALS.contains(&name.as_str()));
        }
        if in_credentials {
            mask_credentials(line);
        } else {
            mask_line(line);
        }
        at += length + 1;
    }
    masked
}

/// The name of a header, in small letters.
fn header(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let name = std::str::from_utf8(line.get(..colon)?).ok()?;
    Some(name.trim().to_ascii_lowercase())
}

fn blot(octets: Option<&mut [u8]>) {
    octets.unwrap_or_default().fill(b'*');
}

/// Digest shows what proves nothing (user, realm, algorithm, URI); of any other scheme nothing is shown.
fn mask_credentials(line: &mut [u8]) {
    let start = line
        .iter()
        .position(|octet| *octet == b':')
        .filter(|_| header(line).is_some_and(|name| CREDENTIALS.contains(&name.as_str())));
    if let Some(colon) = start {
        let value = line.get(colon + 1..).unwrap_or_default();
        let word = value.trim_ascii_start();
        let scheme_at = colon + 1 + (value.len() - word.len());
        let scheme: Vec<u8> = word.iter().take_while(|octet| !octet.is_ascii_whitespace()).copied().collect();
        let is_bare = scheme.contains(&b'=');
        if !is_bare && !scheme.eq_ignore_ascii_case(b"digest") {
            return blot(line.get_mut(scheme_at + scheme.len()..));
        }
    }
    for name in PROOFS {
        mask_parameter(line, name.as_bytes());
    }
}

/// Every `name="value"` or `name=value` of this name.
fn mask_parameter(line: &mut [u8], name: &[u8]) {
    let mut from = 0;
    while let Some(found) =
        line.get(from..).and_then(|rest| rest.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name)))
    {
        let at = from + found;
        from = at + name.len();
        let begins =
            at == 0 || line.get(at - 1).is_some_and(|before| !before.is_ascii_alphanumeric() && *before != b'-');
        let rest = line.get(from..).unwrap_or_default();
        let blanks = rest.len() - rest.trim_ascii_start().len();
        if !begins || rest.get(blanks) != Some(&b'=') {
            continue;
        }
        let value = rest.get(blanks + 1..).unwrap_or_default();
        let skipped = value.len() - value.trim_ascii_start().len();
        let value = value.trim_ascii_start();
        let start = from + blanks + 1 + skipped;
        let (start, length) = match value.split_first() {
            Some((b'"', inside)) => (start + 1, quoted_length(inside)),
            Some(_) | None => (
                start,
                value.iter().position(|octet| matches!(octet, b',' | b';' | b' ' | b'\t')).unwrap_or(value.len()),
            ),
        };
        blot(line.get_mut(start..start + length));
        from = start + length;
    }
}

/// Up to the closing quote, past escaped ones (RFC 3261 §25.1); to the end where there is none.
fn quoted_length(inside: &[u8]) -> usize {
    let mut escaped = false;
    for (at, octet) in inside.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    inside.len()
}

/// Lines of a body: keys of the sound (RFC 4568, RFC 8839, RFC 8866 §5.12), and a key that was pressed (INFO).
fn mask_line(line: &mut [u8]) {
    let begins =
        |line: &[u8], with: &[u8]| line.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins(line, b"a=crypto:") {
        let mut from = 0;
        while let Some(found) =
            line.get(from..).and_then(|rest| rest.windows(7).position(|window| window.eq_ignore_ascii_case(b"inline:")))
        {
            let start = from + found + 7;
            let rest = line.get(start..).unwrap_or_default();
            let length = rest.iter().position(|octet| matches!(octet, b'|' | b';' | b' ')).unwrap_or(rest.len());
            blot(line.get_mut(start..start + length));
            from = start + length;
        }
    } else if begins(line, b"a=ice-pwd:") {
        blot(line.get_mut(10..));
    } else if begins(line, b"k=") {
        blot(line.get_mut(2..));
    } else if begins(line, b"signal") && line.get(6..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"=")) {
        let value = line.iter().position(|octet| *octet == b'=').map_or(line.len(), |at| at + 1);
        blot(line.get_mut(value..));
    } else if line.len() <= 2 && line.first().is_some_and(|key| key.is_ascii_digit() || matches!(key, b'*' | b'#')) {
        // The whole body of an `application/dtmf`.
        blot(Some(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let text = String::from_utf8(masked(line.as_bytes())).unwrap();
        assert_eq!(text, expected);
        assert_eq!(text.len(), line.len(), "lengths hold");
    }

    #[test]
    fn what_proves_a_password_is_blotted_out_and_the_rest_stays() {
        check(
            "Authorization: Digest username=\"1001\", realm=\"p\", nonce=\"abcd\", uri=\"sip:p\", response=\"0123\"\r\n",
            "Authorization: Digest username=\"1001\", realm=\"p\", nonce=\"****\", uri=\"sip:p\", response=\"****\"\r\n",
        );
        check(
            "proxy-AUTHORIZATION : dIgEsT Response = \"ab\",CNONCE=xyz",
            "proxy-AUTHORIZATION : dIgEsT Response = \"**\",CNONCE=***",
        );
        check("Authorization: Digest nonce=\"a\\\"b\", qop=auth", "Authorization: Digest nonce=\"****\", qop=auth");
        check("Authorization: Digest response=\"open", "Authorization: Digest response=\"****");
        check(
            "Authorization: Digest realm=\"p\",\r\n response=\"0123\"\r\nTo: x",
            "Authorization: Digest realm=\"p\",\r\n response=\"****\"\r\nTo: x",
        );
        check(
            "WWW-Authenticate: Digest realm=\"p\", nonce=\"ab\"",
            "WWW-Authenticate: Digest realm=\"p\", nonce=\"**\"",
        );
        check("Authorization: Basic c2VjcmV0", "Authorization: Basic*********");
        check("Authorization: Bearer\ttoken", "Authorization: Bearer******");
    }

    #[test]
    fn keys_of_the_sound_and_keys_pressed_are_blotted_out() {
        check(
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4;inline:a2V5\r\n",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:********|2^20|1:4;inline:****\r\n",
        );
        check("v=0\r\na=ice-pwd:secret\r\nk=base64:a2V5", "v=0\r\na=ice-pwd:******\r\nk=***********");
        check("Signal=5\r\nDuration=160", "Signal=*\r\nDuration=160");
        check("signal = #", "signal =**");
        check("INFO sip:x SIP/2.0\r\n\r\n7", "INFO sip:x SIP/2.0\r\n\r\n*");
    }

    #[test]
    fn nothing_else_is_touched() {
        for line in [
            "User-to-User: 00c4a5e1;encoding=hex",
            "Subject: response=\"not a credential\"",
            "X-Note: nonce=abc",
            "a=rtpmap:0 PCMU/8000",
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1",
            "k",
            "",
            "\r\n\r\n",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn any_octets_are_taken() {
        let mut octets: Vec<u8> = (0..=255).collect();
        octets.extend_from_slice(
            b"\nAuthorization:\nauthorization: =\na=crypto:inline:\nAuthorization: Digest response=",
        );
        assert_eq!(masked(&octets).len(), octets.len());
    }
}
