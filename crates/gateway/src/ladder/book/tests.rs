//! Ladders within their bounds.

use std::time::Duration;

use super::*;
use crate::ladder::message;

const SECOND: u64 = 1_000_000;

fn book(bytes: usize, rows: usize) -> Book {
    Book::new(Bounds { bytes, keep: Duration::from_secs(3_600), rows })
}

fn flow(port: u16) -> Flow {
    let at = |port| ([192, 0, 2, 1], port).into();
    Flow { transport: Transport::Udp, local: at(5060), remote: at(port) }
}

fn made(call_id: &str, text: &str) -> Message {
    let bytes = format!("{text}\r\nCall-ID: {call_id}\r\n\r\n").into_bytes();
    let read = message::read(&bytes);
    Message::new(true, flow(5062), bytes, read)
}

fn invite(call_id: &str) -> Message {
    made(call_id, "INVITE sip:x SIP/2.0")
}

fn event(words: &str) -> Event {
    Event { code: "state", words: words.to_owned(), leg: None, who: None }
}

fn one<'a>(book: &'a Book, name: &str) -> &'a Ladder {
    match book.find(name) {
        Found::One(ladder) => ladder,
        found @ (Found::Several | Found::Nothing) => panic!("{name}: {found:?}"),
    }
}

fn labels(ladder: &Ladder) -> Vec<String> {
    let label = |row: &&Row| match &row.what {
        What::Message(message) => message.read.label.clone(),
        What::Event(event) => event.words.clone(),
    };
    ladder.in_order().iter().map(label).collect()
}

#[test]
fn messages_and_events_of_a_call_are_on_one_axis_of_time() {
    let (mut book, call) = (book(1 << 20, 100), CallId::new(0xc0ffee));
    book.joins(call, LegId(1), "a", "pbx");
    assert_eq!(book.message(5, invite("a")), Some(call));
    book.event(3, call, event("the call is opening"));
    book.message(9, made("a", "SIP/2.0 100 Trying"));
    book.event(7, call, event("known afterwards"));
    let name = call.to_string();
    assert_eq!(labels(one(&book, &name)), ["the call is opening", "INVITE", "known afterwards", "100 Trying"]);
    assert_eq!(labels(one(&book, "a")).len(), 4, "the Call-ID names it too");
    assert_eq!(one(&book, &name).legs, [Leg { call_id: "a".into(), leg: Some(LegId(1)), who: Some("pbx".into()) }]);
}

#[test]
fn what_came_before_its_call_was_known_moves_to_it_and_another_calls_leg_leaves_its_past_there() {
    let (mut book, call, other) = (book(1 << 20, 100), CallId::new(1), CallId::new(2));
    assert_eq!(book.message(1, invite("a")), None);
    book.event(2, call, event("begins"));
    book.joins(call, LegId(0), "a", "agent 1001");
    assert_eq!(labels(one(&book, &call.to_string())), ["INVITE", "begins"]);
    assert_eq!(book.newest(true).count(), 1, "no stray is left");
    book.joins(other, LegId(2), "a", "agent 1001");
    assert_eq!(book.message(3, made("a", "BYE sip:x SIP/2.0")), Some(other));
    assert_eq!(labels(one(&book, &call.to_string())), ["INVITE", "begins"]);
    assert_eq!(labels(one(&book, &other.to_string())), ["BYE"]);
}

#[test]
fn a_retransmission_is_one_line_with_its_moments() {
    let mut book = book(1 << 20, 100);
    for at in 0..40 {
        book.message(at, invite("a"));
    }
    book.message(50, Message { sent: false, ..invite("a") });
    let ladder = one(&book, "a");
    assert_eq!(labels(ladder), ["INVITE", "INVITE"], "the other way it is another message");
    let first = ladder.in_order()[0];
    assert_eq!((first.repeats, first.again_us.len(), first.again_us[0]), (39, AGAIN_MAX, 1));
}

#[test]
fn a_long_call_keeps_its_beginning_and_its_end() {
    let mut book = book(1 << 20, 10);
    for number in 0..100 {
        book.message(number, made("a", &format!("SIP/2.0 {} x", 100 + number)));
    }
    let ladder = one(&book, "a");
    let labels = labels(ladder);
    assert_eq!((labels.len(), ladder.dropped_rows, book.dropped.rows), (10, 90, 90));
    assert_eq!((labels[0].as_str(), labels[4].as_str(), labels[9].as_str()), ("100 x", "104 x", "199 x"));
}

#[test]
fn room_is_made_by_the_oldest_and_strays_do_not_wash_calls_away() {
    let mut book = book(64_000, 100);
    let calls: Vec<CallId> = (1..=10).map(CallId::new).collect();
    for (at, call) in (1..).zip(&calls) {
        book.joins(*call, LegId(1), &format!("call-{at}"), "pbx");
        book.message(at, invite(&format!("call-{at}")));
    }
    for at in 100..2_000 {
        book.message(at, made(&format!("scan-{at}"), "OPTIONS sip:x SIP/2.0"));
        assert!(book.bytes() <= 64_000);
    }
    assert_eq!(book.newest(false).count(), 10, "every call is there yet");
    assert!(book.dropped.room > 1_000);
    assert!(matches!(book.find("scan-100"), Found::Nothing) && matches!(book.find("scan-1999"), Found::One(_)));
    for at in 3_000..4_000_u64 {
        book.event(at, CallId::new(u128::from(at)), event("x"));
        assert!(book.bytes() <= 64_000);
    }
    assert!(matches!(book.find(&calls[0].to_string()), Found::Nothing));
    assert_eq!(labels(one(&book, &CallId::new(3_999).to_string())), ["x"]);
    // Nothing is left of what was dropped.
    let kept = book.newest(true).count();
    assert_eq!((book.ladders.len(), book.by_call.len() + book.strays.order.len()), (kept, kept));
    assert_eq!(book.by_call_id.len(), book.newest(true).map(|ladder| ladder.legs.len()).sum::<usize>());
}

#[test]
fn one_message_larger_than_all_the_room_is_dropped_itself() {
    let mut book = book(4_000, 100);
    book.message(1, made("a", &format!("INVITE {} SIP/2.0", "x".repeat(9_000))));
    assert_eq!((book.newest(true).count(), book.bytes(), book.dropped.room), (0, 0, 1));
}

#[test]
fn what_is_too_old_goes() {
    let mut book = book(1 << 20, 100);
    book.message(SECOND, invite("old"));
    book.refused(SECOND, flow(5062), "no-dialog", None);
    book.event(SECOND, CallId::new(1), event("old"));
    book.message(4_000 * SECOND, invite("new"));
    book.sweep(3_601 * SECOND);
    assert_eq!(book.newest(true).count(), 3, "an hour is not over");
    book.sweep(3_602 * SECOND);
    assert_eq!((book.newest(true).count(), book.dropped.old, book.refused_rows().count()), (1, 2, 0));
}

#[test]
fn a_call_is_found_by_the_beginning_of_its_id_unless_another_begins_so_too() {
    let mut book = book(1 << 20, 100);
    let call = |hex: &str| format!("{hex:0<32}").parse::<CallId>().unwrap();
    for id in ["aaaabbbb", "aaaabccc", "ffff"] {
        book.event(1, call(id), event(id));
    }
    assert_eq!(labels(one(&book, "FFFF0")), ["ffff"]);
    assert_eq!(labels(one(&book, "aaaabb")), ["aaaabbbb"]);
    assert!(matches!(book.find("aaaab"), Found::Several));
    for name in ["", "fff", "eeee", "no-such@call"] {
        assert!(matches!(book.find(name), Found::Nothing), "{name}");
    }
}

#[test]
fn refused_messages_keep_their_reason_and_the_same_one_again_is_one_line() {
    let mut book = book(1 << 20, 100);
    book.message(1, Message { sent: false, ..made("a", "BYE sip:x SIP/2.0") });
    for at in [1, 2, 3] {
        book.refused(at, flow(5062), "no-dialog", Some(&Message { sent: false, ..made("a", "BYE sip:x SIP/2.0") }));
    }
    book.refused(4, flow(5062), "malformed: control", Some(&made("b", "BYE sip:x SIP/2.0")));
    book.refused(5, flow(5062), "idle-connection", None);
    let rows: Vec<(u64, u64, usize)> =
        book.refused_rows().map(|row| (row.at_us, row.repeats, row.again_us.len())).collect();
    assert_eq!(rows, [(3, 2, 2), (4, 0, 0), (5, 0, 0)]);
    assert_eq!(one(&book, "a").rows[0].refused.as_deref(), Some("no-dialog"), "its own ladder says so as well");
    for at in 10..2_000_u64 {
        book.refused(
            at,
            flow(5062),
            "no-dialog",
            Some(&made("c", &format!("X{at} sip:x SIP/2.0 {}", "y".repeat(9_000)))),
        );
    }
    assert_eq!(book.refused_rows().count(), REFUSED_MAX);
    assert!(book.refused_rows().all(|row| row.message().unwrap().bytes.len() <= REFUSED_BYTES));
}
