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
        if c == ' ' && out.is_empty() {
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
