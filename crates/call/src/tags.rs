//! `CallTags`: made once at the click, bounded and cleaned, and carried by every leg and record.

use std::fmt;

use crate::{QueueId, TenantId};

/// Longest session id kept, bytes.
const SESSION_BYTES: usize = 64;
/// Longest URL kept, bytes.
const URL_BYTES: usize = 1_024;
/// Longest title kept, bytes.
const TITLE_BYTES: usize = 256;
/// Longest language tag kept, bytes (RFC 5646 §4.4.1 advises room for 35 characters).
const LANGUAGE_BYTES: usize = 35;

/// What the page and the desk know, before it is bounded and cleaned.
#[derive(Clone, Debug)]
pub struct TagsDraft {
    /// 128 random bits: the opaque id that travels in `User-to-User`.
    pub tag: [u8; 16],
    /// Whose.
    pub tenant: TenantId,
    /// For which queue.
    pub queue: QueueId,
    /// The visitor's web session.
    pub session: String,
    /// The page he clicked on.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Where he came from.
    pub referrer: Option<String>,
    /// His language.
    pub language: String,
    /// When he clicked.
    pub made_at_unix_ms: u64,
}

/// What a call carries. Only [`CallTags::new`] makes it, so no field can break a header, a log line
/// or an agent's page.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallTags {
    /// 128 random bits: the opaque id that travels in `User-to-User`.
    pub tag: [u8; 16],
    /// Whose.
    pub tenant: TenantId,
    /// For which queue.
    pub queue: QueueId,
    /// The visitor's web session.
    pub session: String,
    /// The page he clicked on: `http(s)` or empty.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Where he came from: `http(s)` or nothing.
    pub referrer: Option<String>,
    /// His language: letters, digits and hyphens.
    pub language: String,
    /// When he clicked.
    pub made_at_unix_ms: u64,
}

impl CallTags {
    /// Bounds and cleans a draft. Doing it again changes nothing.
    pub fn new(draft: TagsDraft) -> Self {
        let referrer = draft.referrer.map(|url| clean_url(&url)).filter(|url| !url.is_empty());
        Self {
            tag: draft.tag,
            tenant: draft.tenant,
            queue: draft.queue,
            session: clean(&draft.session, SESSION_BYTES),
            page_url: clean_url(&draft.page_url),
            page_title: clean(&draft.page_title, TITLE_BYTES),
            referrer,
            language: clean_language(&draft.language),
            made_at_unix_ms: draft.made_at_unix_ms,
        }
    }

    /// The same contact, seen on another page; for what is shown, not for what the click was.
    #[must_use]
    pub fn on_page(&self, url: &str, title: &str) -> Self {
        Self { page_url: clean_url(url), page_title: clean(title, TITLE_BYTES), ..self.clone() }
    }

    /// The tag id as 32 hexadecimal digits.
    pub fn tag_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.tag))
    }
}

impl fmt::Debug for CallTags {
    /// The page and the session are personal: only the opaque parts are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTags")
            .field("tag", &self.tag_hex())
            .field("tenant", &self.tenant.0)
            .field("queue", &self.queue.0)
            .finish_non_exhaustive()
    }
}

/// Text from outside made harmless: no control character, no invisible one that turns the reading
/// order, no blank at either end, cut at a character boundary.
pub fn clean(text: &str, max_bytes: usize) -> String {
    let mut out = String::new();
    for c in text.trim().chars().map(|c| if is_blank(c) { ' ' } else { c }).filter(|c| !is_hidden(*c)) {
        // No blank at the start, also when a hidden character stood before it.
        if c.is_whitespace() && out.is_empty() {
            continue;
        }
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Control characters, and those that hide text or reverse its direction (Unicode TR 36 §2.5.1).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A web address or nothing: `javascript:` and its like never reach an agent's page.
fn clean_url(url: &str) -> String {
    let url: String = clean(url, URL_BYTES).chars().filter(|c| *c != ' ').collect();
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => url,
        Some(_) | None => String::new(),
    }
}

fn clean_language(language: &str) -> String {
    language.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(LANGUAGE_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let cleaned = clean(text, 64);
        assert_eq!(cleaned, expected, "{text:?}");
        assert_eq!(clean(&cleaned, 64), cleaned, "cleaning twice changes nothing");
    }

    #[test]
    fn page_data_cannot_break_a_line_or_hide() {
        check("Panier – Boutique", "Panier – Boutique");
        check("a\r\nX-Evil: 1\0", "a  X-Evil: 1");
        check("a\u{2028}b\u{85}c", "a b c");
        check("\u{202e}moc.live\u{2066}\u{feff}", "moc.live");
        check("\u{feff} \u{200b} x \u{7f}", "x");
        check("\u{1b}[31mred", "[31mred");
        check(" \t ", "");
        check("\u{feff}\u{a0}x\u{a0}\u{200b}", "x");
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(clean("aé€😀", 2), "a");
        assert_eq!(clean("aé€😀", 3), "aé");
        assert_eq!(clean("aé€😀", 9), "aé€");
        assert_eq!(clean("a b", 2), "a", "no blank is left at the cut");
        assert_eq!(clean("x", 0), "");
    }

    #[test]
    fn only_web_addresses_stay() {
        for (url, kept) in [
            ("https://shop.test/cart?id=1#top", "https://shop.test/cart?id=1#top"),
            ("HTTP://shop.test/", "HTTP://shop.test/"),
            ("javascript:alert(1)", ""),
            ("java\nscript:alert(1)", ""),
            ("https://shop.test/\r\nVia: x", "https://shop.test/Via:x"),
            ("data:text/html,x", ""),
            ("/cart", ""),
            ("", ""),
        ] {
            assert_eq!(clean_url(url), kept);
        }
    }

    #[test]
    fn tags_are_bounded_and_say_nothing_personal_when_printed() {
        let draft = TagsDraft {
            tag: [0xab; 16],
            tenant: TenantId::from("shop"),
            queue: QueueId::from("support"),
            session: "s".repeat(1_000),
            page_url: format!("https://shop.test/{}", "€".repeat(10_000)),
            page_title: "t".repeat(100_000),
            referrer: Some("about:blank".to_owned()),
            language: "fr-FR\r\n<script>".to_owned(),
            made_at_unix_ms: 5,
        };
        let tags = CallTags::new(draft);
        assert_eq!((tags.session.len(), tags.page_title.len()), (SESSION_BYTES, TITLE_BYTES));
        assert!(tags.page_url.len() <= URL_BYTES && tags.page_url.ends_with('€'));
        assert_eq!((tags.referrer.as_deref(), tags.language.as_str()), (None, "fr-FRscript"));
        assert_eq!(tags.tag_hex(), "ab".repeat(16));
        let printed = format!("{tags:?}");
        assert!(
            printed.contains(&tags.tag_hex()) && !printed.contains("sss") && !printed.contains("http"),
            "{printed}"
        );
    }
}
