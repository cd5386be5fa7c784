//! Names carry their unit, labels stay bounded, and what is put in comes out.

use std::collections::BTreeSet;

use super::{Kind, METADATA, Metric, WORD_BYTES_MAX, WORDS_MAX, describe, key, recorder, word};
use metrics::Recorder;

#[test]
fn names_are_unique_and_carry_their_unit() {
    let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    for metric in Metric::ALL {
        let name = metric.name();
        assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
        assert!(!name.contains("_ms") && !name.contains("milli"), "{name}: base units");
        let timed = matches!(metric.kind(), Kind::Histogram(_));
        assert!(!timed || name.ends_with("_seconds"), "{name}");
        assert!(metric.help().ends_with('.') && !metric.help().starts_with(' '), "{name}: {:?}", metric.help());
    }
}

#[test]
fn buckets_rise() {
    for metric in Metric::ALL {
        if let Kind::Histogram(bounds) = metric.kind() {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{metric:?}");
        }
    }
}

#[test]
fn labels_name_no_person() {
    let allowed = [
        "version",
        "cause",
        "reason",
        "trunk",
        "target",
        "event",
        "check",
        "outcome",
        "state",
        "by",
        "came",
        "queue",
        "transport",
        "tenant",
    ];
    assert!(Metric::ALL.iter().filter_map(|metric| metric.label()).all(|label| allowed.contains(&label)));
}

#[test]
fn what_is_counted_is_shown_with_help_and_type() {
    let recorder = recorder().unwrap();
    describe(&recorder);
    recorder.register_counter(&key(Metric::CallsEnded, Some("busy")), &METADATA).increment(3);
    recorder.register_gauge(&key(Metric::CallsLive, None), &METADATA).set(2.0);
    recorder.register_histogram(&key(Metric::CallWaitSeconds, None), &METADATA).record(7.5);
    let text = recorder.handle().render();
    for line in [
        "# HELP passerelle_calls_ended_total Calls ended, by why.",
        "# TYPE passerelle_calls_ended_total counter",
        "passerelle_calls_ended_total{cause=\"busy\"} 3",
        "passerelle_calls_live 2",
        "passerelle_call_wait_seconds_bucket{le=\"5\"} 0",
        "passerelle_call_wait_seconds_bucket{le=\"10\"} 1",
        "passerelle_call_wait_seconds_count 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
    }
}

#[test]
fn label_values_are_bounded_whoever_chose_them() {
    assert_eq!(word("busy"), "busy");
    assert_eq!(word(&"x".repeat(WORD_BYTES_MAX + 1)), "other");
    let words: BTreeSet<&str> = (0..WORDS_MAX + 10).map(|index| word(&format!("stranger-{index}"))).collect();
    assert!(words.contains("other") && words.len() <= WORDS_MAX + 1);
    assert_eq!(word("busy"), "busy");
}
