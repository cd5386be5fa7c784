//! A small book with every end there is; the same figures as text, JSON and CSV.

use desk::{Callback, Outcome, RetryRules};

use super::*;
use crate::commands::book::tests::{Book, T0};

const MINUTE: u64 = 60_000;

/// Ten call-backs: one that was served on the site, two reached at once, one at the second try, one for a chosen time, one in doubt and still open, and
/// four that came to nothing in four ways.
fn book() -> Book {
    let book = Book::new();
    let quick = book.asked(1, T0);
    book.reached(quick, T0 + 10_000, "1001", 2 * MINUTE);
    let slow = book.asked(2, T0);
    book.reached(slow, T0 + 8 * MINUTE, "1002", MINUTE);
    let twice = book.asked(3, T0);
    book.in_vain(twice, T0 + MINUTE, "1001", Outcome::NoAnswer);
    book.reached(twice, T0 + 20 * MINUTE, "1001", MINUTE);
    let chosen = book.later(4, T0, T0 + 60 * MINUTE);
    book.reached(chosen, T0 + 63 * MINUTE, "1001", MINUTE);
    let doubted = book.asked(5, T0);
    book.tried(doubted, T0 + MINUTE, "1001", Outcome::InDoubt);
    let gone = book.asked(6, T0);
    book.changed(gone, |callback| callback.cancel(CancelledBy::Visitor).unwrap());
    let wrong = book.asked(7, T0);
    book.in_vain(wrong, T0 + MINUTE, "1001", Outcome::BadNumber);
    let late = book.asked(8, T0);
    let rules = RetryRules::default();
    book.changed(late, |callback: &mut Callback| callback.come_due(T0 + 25 * 60 * MINUTE, &rules).unwrap());
    let served = book.asked(10, T0);
    book.changed(served, |callback| callback.serve().unwrap());
    let refused = book.asked(9, T0);
    book.in_vain(refused, T0 + MINUTE, "1001", Outcome::Declined);
    book
}

fn figures(book: &Book) -> Queues {
    book.wait(read(&*book.home, Some("shop"), None, (T0, T0 + 1))).unwrap().0
}

#[test]
fn every_figure_is_that_of_the_book() {
    let book = book();
    let queues = figures(&book);
    let told: BTreeMap<&str, String> = queues.values().flat_map(lines).collect();
    for (what, expected) in [
        ("asked", "10, 1 still open"),
        ("completed", "4 of 8 (50.0 %)"),
        ("served on the site", "1"),
        ("reached at first try", "3 of 7 (42.9 %)"),
        ("tries per completion", "1.25"),
        // 17 s, 8:07 and 20:07 after asking.
        ("delay", "p50 8:07, p90 20:07, p99 20:07 (3 connected)"),
        // Three minutes late, and three seconds until the customer's phone rings.
        ("punctuality", "p50 3:03, p99 3:03; within 2 min 0.0 %, within 5 min 100.0 % (1 rung)"),
        ("cancelled by", "visitor 1, agent 0, admin 0, recipient 1"),
        ("failed", "bad-number 1, not-reached 0, not-allowed 0"),
        ("expired", "1 of 8 (12.5 %)"),
        ("tries in doubt", "1 of 8 (12.5 %)"),
        // Four of 4 s, three in vain of 20 s; four were completed.
        ("agent waits", "19 s for each completed"),
    ] {
        assert_eq!(told.get(what).map(String::as_str), Some(expected), "{what}");
    }
    // 17 s cost 2.1 %, 8:07 33.7 %, 20:07 40 %.
    assert_eq!(told["estimated loss"], "25.3 %");
    let text = text(&queues, (T0, T0 + 1), false, &TimeZone::UTC);
    assert!(
        text.starts_with("Call-backs asked for from 2026-01-01 00:00:00 to 2026-01-01 00:00:00.\n\nshop/support\n"),
        "{text}"
    );
    assert!(text.contains("Not kept at all"), "{text}");
}

#[test]
fn programs_read_the_same() {
    let book = book();
    let queues = figures(&book);
    let object = object(&queues, (T0, T0 + 1), false);
    let queue = &object["queues"][0];
    assert_eq!((&queue["tenant"], &queue["queue"]), (&json!("shop"), &json!("support")));
    for (name, expected) in [
        ("asked", json!(10)),
        ("served_on_site", json!(1)),
        ("completed_share", json!(0.5)),
        ("delay_p50_ms", json!(487_000)),
        ("punctuality_p99_ms", json!(183_000)),
        ("within_5_min_share", json!(1.0)),
        ("cancelled_recipient", json!(1)),
        ("failed_bad_number", json!(1)),
        ("agent_wait_per_completion_ms", json!(19_000)),
        ("tries_without_record", json!(1)),
    ] {
        assert_eq!(queue[name], expected, "{name}");
    }
    let csv = csv(&queues);
    let [head, line] = csv.lines().collect::<Vec<_>>()[..] else { panic!("{csv}") };
    let cells: BTreeMap<&str, &str> = head.split(',').zip(line.split(',')).collect();
    assert_eq!(head.split(',').count(), line.split(',').count());
    assert_eq!(
        (cells["tenant"], cells["asked"], cells["delay_p50_ms"], cells["in_doubt"]),
        ("shop", "10", "487000", "1")
    );
}

#[test]
fn an_empty_period_has_no_figures_and_says_so() {
    let book = book();
    let none = |tenant, queue, period| book.wait(read(&*book.home, tenant, queue, period)).unwrap().0.len();
    assert_eq!(none(None, None, (T0 + 1, T0 + 2)), 0);
    assert_eq!(none(Some("other"), None, (T0, T0 + 1)), 0);
    assert_eq!(none(None, Some("sales"), (T0, T0 + 1)), 0);
    let empty = Figures::default();
    assert!(lines(&empty).iter().any(|(what, value)| *what == "delay" && value == "-"));
    assert_eq!(object(&Queues::new(), (0, 0), false)["queues"], json!([]));
    let source = Source::Store("sqlite:/nowhere/at/all.db".to_owned());
    let ask = Ask { source, tenant: None, queue: None, since: Moment::At(0), until: None, form: Form::Text };
    let error = reported(&ask, &TimeZone::UTC).unwrap_err();
    assert!(error.contains("there is no store at sqlite:/nowhere/at/all.db yet"), "{error}");
}
