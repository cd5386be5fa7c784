//! What becomes an arrival: of the book, and of a file.

use desk::CancelledBy;

use super::*;
use crate::commands::book::tests::{Book, T0};

const DAY: u64 = 86_400_000;

fn file(text: &str) -> Result<Vec<Half>, (usize, String)> {
    rows(&text.lines().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn the_book_gives_who_waited_and_the_records_how_long_it_kept_an_agent() {
    let book = Book::new();
    // Asked at 1 s; rung at 2 s, dialled at 5 s, talked from 9 s to 69 s.
    let talked = book.asked(1, T0 + 1_000);
    book.reached(talked, T0 + 2_000, "1001", 60_000);
    let left = book.asked(2, T0 + 5_000);
    book.changed(left, |callback| callback.cancel(CancelledBy::Visitor).unwrap());
    book.asked(3, T0 + 6_000);
    book.later(4, T0 + 7_000, T0 + DAY);
    book.asked(5, T0 - DAY);
    let found = book.wait(read(&*book.home, None, None, (T0, T0 + 3_600_000))).unwrap();
    assert_eq!((found.left, found.halves.len(), found.is_cut), (1, 2, false), "4 is not due, 5 is too old");
    assert_eq!(found.agents.into_iter().collect::<Vec<_>>(), ["1001"]);
    let half = |asked: u64, handling: Option<u64>| {
        let arrival = Arrival { asked_unix_ms: asked, due_unix_ms: asked, priority: 0, handling: Duration::ZERO };
        (arrival, handling.map(Duration::from_millis))
    };
    assert_eq!(found.halves, [half(T0 + 6_000, None), half(T0 + 1_000, Some(67_000))]);
    let mut notes = Vec::new();
    let whole = complete(found.halves, 7, &mut notes);
    assert_eq!(whole.iter().map(|one| one.handling.as_millis()).collect::<Vec<_>>(), [67_000, 67_000]);
    assert_eq!(notes, ["Handling times: 1 known; for the 1 others one of these is drawn (seed 7)."]);
    let none = book.wait(read(&*book.home, Some("other"), None, (T0, T0 + DAY))).unwrap();
    assert_eq!(none.halves.len(), 0);
    let none = book.wait(read(&*book.home, Some("shop"), Some("other"), (T0, T0 + DAY))).unwrap();
    assert_eq!(none.halves.len(), 0);
}

#[test]
fn without_any_handling_time_one_is_assumed_and_said() {
    let halves = file("asked\n2026-11-02T08:00:00Z\n").unwrap();
    let mut notes = Vec::new();
    assert_eq!(complete(halves, 1, &mut notes)[0].handling, simulate::MADE_UP_HANDLING);
    assert_eq!(notes, ["No handling time is known: 240 s are assumed for each."]);
}

#[test]
fn a_files_columns_stand_in_any_order_and_may_be_empty() {
    let text = "\u{feff}priority, asked,promised\n2,2026-11-02T08:00:00Z,2026-11-02T09:30:00+01:00\n\n,2026-11-02T08:00:00.5Z,\n";
    let [first, second] = file(text).unwrap()[..] else { panic!("two rows") };
    assert_eq!((first.0.priority, first.0.due_unix_ms - first.0.asked_unix_ms, first.1), (2, 30 * 60_000, None));
    assert_eq!((second.0.priority, second.0.due_unix_ms - second.0.asked_unix_ms), (0, 0));
}

#[test]
fn a_files_first_mistake_is_named_with_its_line() {
    for (text, line, words) in [
        ("", 1, "there is no column \"\""),
        ("when\n", 1, "there is no column \"when\": write asked,promised,priority,handling_s"),
        ("priority\n1\n", 1, "the column \"asked\" is missing"),
        ("asked,asked\n", 1, "named twice"),
        ("asked\n2026-11-02T08:00:00Z\nnoon\n", 3, "asked: \"noon\" is no time"),
        ("asked,priority\n2026-11-02T08:00:00Z\n", 2, "1 cells where 2 columns are named"),
        ("asked,priority\n2026-11-02T08:00:00Z,256\n", 2, "no whole number from 0 to 255"),
        ("asked,handling_s\n2026-11-02T08:00:00Z,-1\n", 2, "not 0 to 86400 seconds"),
        ("asked,handling_s\n2026-11-02T08:00:00Z,NaN\n", 2, "not 0 to 86400 seconds"),
    ] {
        let (at, wrong) = file(text).unwrap_err();
        assert!(at == line && wrong.contains(words), "{text:?}: {at}: {wrong}");
    }
}
