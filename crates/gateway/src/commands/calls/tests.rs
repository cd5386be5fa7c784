//! The table is for eyes: short, aligned, nothing personal whole. JSON is everything.

use call::{
    CallId, CallRecord, CallTags, HangupCause, LegId, LegKind, LegQuality, LegRecord, Party, QueueId, TagsDraft,
    TenantId, TrunkId,
};
use jiff::tz::TimeZone;

use super::{Source, listed, masked, object, path, span, table};

fn record(number: u128, uri: &str) -> CallRecord {
    let tags = TagsDraft {
        tag: [7; 16],
        tenant: TenantId("shop".to_owned()),
        queue: QueueId("support".to_owned()),
        session: "s-4f2a9c".to_owned(),
        page_url: "https://www.shop.example/cart/step-2?mail=anna@example.org".to_owned(),
        page_title: "Your cart".to_owned(),
        referrer: None,
        language: "fr".to_owned(),
        made_at_unix_ms: 1_767_225_600_000,
    };
    let leg = |id: u8, kind: LegKind, codec: &str, quality: LegQuality| LegRecord {
        id: LegId(id),
        kind,
        codec: Some(codec.to_owned()),
        quality,
        cause: Some(HangupCause::Normal),
        talked: None,
    };
    let quality = LegQuality { loss_in: Some(0.0125), packets_in: 4_321, ..LegQuality::default() };
    CallRecord {
        id: CallId::new(number),
        tenant: TenantId("shop".to_owned()),
        queue: QueueId("support".to_owned()),
        tags: CallTags::new(tags),
        started_unix_ms: 1_767_225_600_000,
        ringing_unix_ms: Some(1_767_225_601_000),
        answered_unix_ms: Some(1_767_225_604_200),
        ended_unix_ms: 1_767_225_689_200,
        wait_ms: 4_200,
        talk_ms: 85_000,
        hung_up_by: Party::Visitor,
        cause: HangupCause::Normal,
        legs: vec![
            leg(0, LegKind::Browser, "opus", quality),
            leg(
                1,
                LegKind::Trunk { trunk: TrunkId("pbx".to_owned()), uri: uri.to_owned() },
                "PCMA",
                LegQuality::default(),
            ),
        ],
        interrupted: false,
    }
}

#[test]
fn the_table_is_aligned_local_and_shows_no_number_whole() {
    let mut missed = record(2 << 100, "sip:600@pbx");
    (missed.answered_unix_ms, missed.talk_ms, missed.cause) = (None, 0, HangupCause::NoAnswer);
    missed.legs.clear();
    let zone = TimeZone::get("Europe/Paris").unwrap();
    let text = table(&[record(0xabcd_ef01 << 96, "sip:+33612345678@pbx"), missed], &zone);
    assert_eq!(
        text,
        "STARTED              CALL      QUEUE         PAGE          AGENT      WAIT   TALK  END        BY       CODECS     LOST IN/OUT\n\
         2026-01-01 01:00:00  abcdef01  shop/support  /cart/step-2  +3…78@pbx  4.2 s  1:25  normal     visitor  opus-PCMA  1.2%/?\n\
         2026-01-01 01:00:00  00000020  shop/support  /cart/step-2  -          4.2 s  -     no-answer  visitor  -          ?/?\n"
    );
}

#[test]
fn json_holds_everything() {
    let object = object(&record(5, "sip:+33612345678@pbx"));
    assert_eq!(object["started"], "2026-01-01T00:00:00Z");
    assert_eq!(object["answered"], "2026-01-01T00:00:04.2Z");
    assert_eq!(object["page"]["url"], "https://www.shop.example/cart/step-2?mail=anna@example.org");
    assert_eq!(object["session"], "s-4f2a9c");
    assert_eq!(object["legs"][1]["peer"], "sip:+33612345678@pbx");
    assert_eq!(object["legs"][1]["trunk"], "pbx");
    assert_eq!(object["legs"][0]["packets_in"], 4_321);
    assert_eq!(object["legs"][0]["rtt_ms"], serde_json::Value::Null);
    assert_eq!(object["cause"], "normal");
}

#[test]
fn spans_paths_and_numbers_are_short() {
    for (ms, shown) in [(0, "0.0 s"), (9_960, "9.9 s"), (59_999, "59 s"), (60_000, "1:00"), (3_729_000, "1:02:09")] {
        assert_eq!(span(ms), shown);
    }
    for (url, shown) in
        [("https://a.example", "/"), ("https://a.example/b?c=d#e", "/b"), ("", ""), ("https://é.example/ü", "/ü")]
    {
        assert_eq!(path(url), shown);
    }
    for (user, shown) in [("", ""), ("600", "600"), ("12345", "12345"), ("+33612345678", "+3…78")] {
        assert_eq!(masked(user), shown);
    }
}

#[test]
fn a_store_that_is_not_there_is_a_sentence() {
    let missing = listed(&Source::Store("sqlite:/nonexistent/calls.db".to_owned()), 20, false).unwrap_err();
    assert!(missing.starts_with("passerelle: there is no store at sqlite:/nonexistent/calls.db yet"), "{missing}");
    let config = listed(&Source::Config("/nonexistent/passerelle.toml".into()), 20, false).unwrap_err();
    assert!(config.starts_with("/nonexistent/passerelle.toml: cannot open it"), "{config}");
}

#[test]
fn a_running_gateways_store_is_read_beside_it() {
    let folder = std::env::temp_dir().join(format!("passerelle-calls-{}", std::process::id()));
    let url = format!("sqlite:{}", folder.join("calls.db").display());
    let source = Source::Store(url.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The owner stays open, as the gateway's does.
    let owner = store::open(&url).unwrap();
    assert_eq!(listed(&source, 20, false).unwrap(), format!("No call has ended yet in {url}.\n"));
    for number in 1..=3 {
        let mut record = record(number << 100, "sip:600@pbx");
        record.started_unix_ms += u64::try_from(number).unwrap() * 60_000;
        record.ended_unix_ms += u64::try_from(number).unwrap() * 60_000;
        runtime.block_on(owner.close_call(record)).unwrap();
    }
    let text = listed(&source, 2, false).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().nth(1).unwrap().contains("00000030"), "the newest first:\n{text}");
    let json = listed(&source, 20, true).unwrap();
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["call"], "00000010000000000000000000000000");
    drop(owner);
    std::fs::remove_dir_all(&folder).unwrap();
}
