//! Names carry their unit, labels stay bounded, and what is put in comes out.

use std::collections::BTreeSet;

use super::{Kind, METADATA, Metric, NAMES_MAX, configured, describe, key, recorder};
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
    let allowed = ["version", "cause", "code", "reason", "trunk", "event", "door", "queue", "check", "task"];
    assert!(Metric::ALL.iter().flat_map(|metric| metric.labels()).all(|label| allowed.contains(label)));
}

#[test]
fn what_is_counted_is_shown_with_help_and_type() {
    let recorder = recorder().unwrap();
    describe(&recorder);
    recorder.register_counter(&key(Metric::CallsEnded, &["busy"]), &METADATA).increment(3);
    recorder.register_gauge(&key(Metric::CallsActive, &[]), &METADATA).set(2.0);
    recorder.register_histogram(&key(Metric::CallWait, &[]), &METADATA).record(7.5);
    let text = recorder.handle().render();
    for line in [
        "# HELP passerelle_calls_ended_total Calls ended, by why.",
        "# TYPE passerelle_calls_ended_total counter",
        "passerelle_calls_ended_total{cause=\"busy\"} 3",
        "passerelle_calls_active 2",
        "passerelle_call_wait_seconds_bucket{le=\"5\"} 0",
        "passerelle_call_wait_seconds_bucket{le=\"10\"} 1",
        "passerelle_call_wait_seconds_count 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
    }
}

#[test]
fn names_of_the_configuration_are_bounded() {
    assert_eq!(configured("pbx"), "pbx");
    assert_eq!(configured(&"x".repeat(200)), "other");
    let names: BTreeSet<&str> = (0..NAMES_MAX + 10).map(|index| configured(&format!("trunk-{index}"))).collect();
    assert!(names.contains("other") && names.len() <= NAMES_MAX + 1);
    assert_eq!(configured("pbx"), "pbx");
}
