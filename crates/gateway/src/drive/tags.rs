//! `CallTags` on the wire: the headers an INVITE carries, by the policy of the trunk it goes to.

use call::CallTags;
use sip::headers::{clean, user_to_user};

use crate::config::checked::HeaderPolicy;

/// Longest readable header value; some PBXs cut or drop longer ones.
const VALUE_BYTES: usize = 512;
/// Longest display name; a desk phone shows less.
const DISPLAY_BYTES: usize = 60;

/// What an agent registered straight to Passerelle is shown: everything.
pub(crate) const AGENT_POLICY: HeaderPolicy = HeaderPolicy { user_to_user: true, x_headers: true, display_name: true };

/// The headers of one INVITE. Page data is cleaned twice, when the tag is made and here: it can never break a header.
pub(crate) fn headers(tags: &CallTags, key: &[u8], policy: HeaderPolicy) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    if policy.user_to_user {
        headers.push(("User-to-User".to_owned(), user_to_user(&tags.tag, key)));
    }
    if policy.x_headers {
        let mut readable = |name: &str, value: &str| {
            let value = clean(value, VALUE_BYTES);
            if !value.is_empty() {
                headers.push((format!("X-Passerelle-{name}"), value));
            }
        };
        readable("Tag", &tags.tag_hex());
        readable("Tenant", &tags.tenant.0);
        readable("Queue", &tags.queue.0);
        readable("Session", &tags.session);
        readable("Page", &tags.page_url);
        readable("Title", &tags.page_title);
        readable("Referrer", tags.referrer.as_deref().unwrap_or_default());
        readable("Language", &tags.language);
        readable("Time", &rfc3339(tags.made_at_unix_ms));
    }
    headers
}

/// What the phone shows beside the number: the page the visitor is on, or the site.
pub(crate) fn display(tags: &CallTags, policy: HeaderPolicy) -> String {
    let title = clean(&tags.page_title, DISPLAY_BYTES);
    if policy.display_name && !title.is_empty() {
        title
    } else {
        format!("Web {}", clean(&tags.tenant.0, DISPLAY_BYTES))
    }
}

/// A moment as RFC 3339, in UTC.
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|at| at.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::{QueueId, TagsDraft, TenantId};

    fn tags(title: &str) -> CallTags {
        CallTags::new(TagsDraft {
            tag: [7; 16],
            tenant: TenantId("shop".into()),
            queue: QueueId("support".into()),
            session: "s-1".into(),
            page_url: "https://www.shop.example/cart\r\nX-Evil: 1".into(),
            page_title: title.into(),
            referrer: None,
            language: "fr-FR".into(),
            made_at_unix_ms: 1_790_000_000_000,
        })
    }

    #[test]
    fn page_data_never_breaks_a_header() {
        let tags = tags("Caf\u{e9}\r\nVia: SIP/2.0/UDP evil\0\"<sip:x@y>;tag=1");
        for (name, value) in headers(&tags, b"key", AGENT_POLICY) {
            assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
        }
        assert!(!display(&tags, AGENT_POLICY).contains(['\r', '\n', '\0']));
    }

    #[test]
    fn the_policy_decides_what_a_trunk_sees() {
        let none = HeaderPolicy { user_to_user: false, x_headers: false, display_name: false };
        assert!(headers(&tags("t"), b"key", none).is_empty());
        assert_eq!(display(&tags("t"), none), "Web shop");
        let all = headers(&tags("t"), b"key", AGENT_POLICY);
        assert_eq!(all.iter().filter(|(name, _)| name == "User-to-User").count(), 1);
        assert!(all.iter().any(|(name, value)| name == "X-Passerelle-Time" && value.starts_with("2026-")), "{all:?}");
    }
}
