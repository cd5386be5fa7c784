//! What a webhook says and how it is signed (Standard Webhooks 1.0). Pure.
//!
//! ```text
//! POST /passerelle HTTP/1.1
//! webhook-id: ID                    the same at every try
//! webhook-timestamp: SECONDS        of this try
//! webhook-signature: v1,BASE64      HMAC-SHA256 of "ID.SECONDS.BODY" with the decoded key
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::json;
use sha2::Sha256;

use super::Standing;
use super::told::Told;

/// The body. Whatever is not in `told` never changes over the life of a call-back, so a second try says the same.
pub(super) fn body(id: &str, kind: &str, told: &Told, standing: &Standing, page: &str, full_number: bool) -> String {
    let wish = standing.kept.callback.wish();
    let number = if full_number { &wish.number } else { &standing.view.number };
    json!({
        "id": id,
        "type": kind,
        "at": time(told.at_unix_ms),
        "callback": {
            "id": told.callback,
            "tenant": wish.tags.tenant.0,
            "queue": wish.tags.queue.0,
            "state": told.state,
            "detail": told.detail,
            "asap": told.asap,
            "promised_at": time(told.promised_unix_ms),
            "attempts": told.attempts,
            "number": number,
            "zone": wish.zone,
            "language": wish.tags.language,
            "session": wish.tags.session,
            "tag": wish.tags.tag_hex(),
            "page": page,
        },
    })
    .to_string()
}

/// A body that tries the way.
pub(super) fn test_body(id: &str, now_unix_ms: u64) -> String {
    json!({ "id": id, "type": "message.test", "at": time(now_unix_ms) }).to_string()
}

/// In UTC, to the millisecond.
fn time(unix_ms: u64) -> Option<String> {
    Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok().map(|at| format!("{at:.3}"))
}

/// The value of `webhook-signature`.
pub(super) fn signature(key: &[u8], id: &str, unix_s: u64, body: &str) -> String {
    // Any length of key is one for HMAC (RFC 2104 §2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{unix_s}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::{ASKED, kept, standing};
    use super::*;

    #[test]
    fn the_published_vector_is_met() {
        // The test vector of the libraries of Standard Webhooks (their `sign` test).
        let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_part_of_it_is_signed() {
        let signed = signature(b"key", "a", 1, "{}");
        for other in [
            signature(b"kez", "a", 1, "{}"),
            signature(b"key", "b", 1, "{}"),
            signature(b"key", "a", 2, "{}"),
            signature(b"key", "a", 1, "{ }"),
        ] {
            assert_ne!(signed, other);
        }
    }

    #[test]
    fn the_number_is_masked_unless_it_is_wanted_in_full() {
        let standing = standing(kept(ASKED + 3_600_000));
        let id = standing.kept.callback.id().to_string();
        let told = Told {
            callback: id.clone(),
            at_unix_ms: ASKED,
            state: "scheduled".to_owned(),
            detail: None,
            asap: false,
            promised_unix_ms: ASKED + 3_600_000,
            attempts: 0,
        };
        let masked = body("m1", "callback.scheduled", &told, &standing, "https://voice.example/callback/1#2", false);
        assert!(!masked.contains("612345678") && !masked.contains("claire"), "{masked}");
        let read: Value = serde_json::from_str(&masked).unwrap();
        assert_eq!((&read["id"], &read["type"]), (&json!("m1"), &json!("callback.scheduled")));
        assert_eq!(read["at"], "2026-01-01T00:00:00.000Z");
        let callback = &read["callback"];
        assert_eq!((&callback["id"], &callback["tenant"]), (&json!(id), &json!("shop")));
        assert_eq!((&callback["state"], &callback["detail"]), (&json!("scheduled"), &json!(null)));
        assert_eq!((&callback["promised_at"], &callback["asap"]), (&json!("2026-01-01T01:00:00.000Z"), &json!(false)));
        assert_eq!(
            (&callback["number"], &callback["page"]),
            (&json!("+33 6 ** ** ** 78"), &json!("https://voice.example/callback/1#2"))
        );
        let full: Value = serde_json::from_str(&body("m1", "x", &told, &standing, "", true)).unwrap();
        assert_eq!(full["callback"]["number"], "+33612345678");
    }
}
