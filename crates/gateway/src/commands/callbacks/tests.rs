//! The table hides what is personal; JSON is everything.

use call::{CallId, CallTags, QueueId, TagsDraft, TenantId};
use desk::{Callback, CallbackId, Consent, RetryRules, Wish};
use jiff::tz::TimeZone;

use super::*;

const ASKED: u64 = 1_767_225_600_000;

pub(crate) fn kept() -> KeptCallback {
    let tags = CallTags::new(TagsDraft {
        tag: [7; 16],
        tenant: TenantId("shop".to_owned()),
        queue: QueueId("support".to_owned()),
        session: "s-4f2a9c".to_owned(),
        page_url: "https://www.shop.example/cart".to_owned(),
        page_title: "Your cart".to_owned(),
        referrer: None,
        language: "fr".to_owned(),
        made_at_unix_ms: ASKED,
    });
    let wish = Wish {
        number: "+33612345678".to_owned(),
        promised_unix_ms: ASKED,
        wanted: None,
        zone: "Europe/Paris".to_owned(),
        consent: Some(Consent { text_id: "callback-v1".to_owned(), version: "1".to_owned(), at_unix_ms: ASKED }),
        email: None,
        asked_unix_ms: ASKED,
        priority: 0,
        told: None,
        customer: None,
        tags,
    };
    let (rules, mut callback) = (RetryRules::default(), Callback::new(CallbackId::new(0xcb), wish));
    callback.come_due(ASKED, &rules).unwrap();
    callback.offer("1001").unwrap();
    callback.dial(CallId::new(0xca11), ASKED + 5_000, desk::AttemptLegs::default()).unwrap();
    callback.end_attempt(Outcome::Busy, ASKED + 9_000, &rules, Some).unwrap();
    let (by, text) = ("1001".to_owned(), "prefers\nmornings".to_owned());
    callback.note(desk::Note { at_unix_ms: ASKED + 10_000, by, deed: desk::Deed::Noted, text });
    KeptCallback { callback, manage: 0x5ec7e7, version: 5, lease: None }
}

#[test]
fn the_table_has_a_line_a_call_back_and_no_whole_number() {
    let text = table(&[kept()], &TimeZone::UTC);
    let [head, line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(head.starts_with("ID ") && head.ends_with("NEXT"), "{text}");
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [id, cells @ ..] = cells.as_slice() else { panic!("{text}") };
    assert!(id.ends_with("00cb"), "{text}");
    let expected =
        ["2026-01-01 00:00:00", "at once", "scheduled", "shop/support", "+3…78", "1 busy", "2026-01-01 00:03:09"];
    assert_eq!(cells, expected);
    assert!(!text.contains("612345"), "{text}");
}

#[test]
fn one_is_told_with_its_consent_and_its_tries() {
    let text = told(&kept(), &TimeZone::UTC);
    for line in [
        "state     scheduled",
        "page      Your cart",
        "noted     2026-01-01 00:00:10  by 1001  prefers mornings",
        "consent   callback-v1 version 1, 2026-01-01 00:00:00",
        "tried     2026-01-01 00:00:05  busy  agent 1001  call 0000000000000000000000000000ca11",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in {text}");
    }
}

#[test]
fn json_has_everything_but_the_visitors_key() {
    let object = object(&kept());
    assert_eq!(object["number"], "+33612345678");
    assert_eq!(object["attempts"][0]["outcome"], "busy");
    assert_eq!(object["notes"][0]["text"], "prefers\nmornings");
    assert_eq!(object["next"], "2026-01-01T00:03:09Z");
    assert!(!object.to_string().contains("5ec7e7"), "who reads the book may not act as the visitor");
}

#[test]
fn what_is_not_there_is_said() {
    let source = Source::Store("sqlite:/nowhere/at/all.db".to_owned());
    let error = answered(&source, &Ask::Show("x".to_owned()), false).unwrap_err();
    assert!(error.contains("there is no store at sqlite:/nowhere/at/all.db yet"), "{error}");
}
