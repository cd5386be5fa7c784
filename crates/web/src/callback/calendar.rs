//! `/v1/callbacks/{id}/calendar.ics`: the promise as a calendar entry (RFC 5545), which follows a move and a cancel by
//! its `SEQUENCE` (RFC 5546 §3.2).

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use jiff::Timestamp;

use super::CallbackView;
use super::api::Keyed;
use crate::{
    Door, Lang,
    edge::{Caller, Edge},
};

/// How long the entry is: the slot a person keeps free.
const LENGTH_MS: u64 = 15 * 60_000;
/// The calendar reminds so long before.
const REMINDER: &str = "-PT15M";
/// Longest line, octets (RFC 5545 §3.1).
const LINE_OCTETS: usize = 75;

/// `GET /v1/callbacks/{id}/calendar.ics`.
pub(crate) async fn calendar(State(edge): State<Arc<Edge>>, caller: Caller, Keyed { id, key }: Keyed) -> Response {
    match edge.backend.callback(id, key.clone()).await {
        Ok(view) => {
            let base = edge.config.public_url.as_deref().unwrap_or_default();
            let page = format!("{base}/callback/{}#{key}", view.id);
            let text = calendar_entry(&view, &page, None, edge.config.clock.unix_ms(), caller.lang);
            let headers = [
                (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"callback.ics\""),
            ];
            (headers, text).into_response()
        }
        Err(refusal) => edge.refuse(Door::Callback, refusal, caller.lang),
    }
}

/// Between whom an entry travels by mail (RFC 5546 §3.2.2). Both are addresses without anything that needs quoting.
#[derive(Clone, Copy, Debug)]
pub struct Invitation<'a> {
    /// Who calls.
    pub organizer: &'a str,
    /// Who is called.
    pub attendee: &'a str,
}

/// The calendar object: published where it is fetched, a request to the visitor where it is mailed, a cancellation once
/// nothing will come of it.
pub fn calendar_entry(
    view: &CallbackView,
    page: &str,
    mailed: Option<Invitation<'_>>,
    now_unix_ms: u64,
    lang: Lang,
) -> String {
    let cancelled = view.is_over && view.state != "completed";
    let (summary, description) = match lang {
        Lang::Fr => ("On vous rappelle", format!("Nous vous appelons au {}. Changer ou annuler : {page}", view.number)),
        Lang::En => ("We call you back", format!("We call you at {}. Change or cancel: {page}", view.number)),
    };
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Passerelle//Call-back//EN".to_owned(),
        format!("METHOD:{}", method(cancelled, mailed.is_some())),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}@passerelle", view.id),
        format!("SEQUENCE:{}", view.sequence),
        format!("DTSTAMP:{}", stamp(now_unix_ms)),
        format!("DTSTART:{}", stamp(view.promised_unix_ms)),
        format!("DTEND:{}", stamp(view.promised_unix_ms.saturating_add(LENGTH_MS))),
        format!("SUMMARY:{summary}"),
        format!("DESCRIPTION:{}", escaped(&description)),
        format!("STATUS:{}", if cancelled { "CANCELLED" } else { "CONFIRMED" }),
        "TRANSP:OPAQUE".to_owned(),
    ];
    if let Some(Invitation { organizer, attendee }) = mailed {
        lines.push(format!("ORGANIZER:mailto:{organizer}"));
        // Who asked to be called need not answer that he comes.
        lines.push(format!("ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:{attendee}"));
    }
    if !cancelled {
        lines.extend([
            "BEGIN:VALARM".to_owned(),
            "ACTION:DISPLAY".to_owned(),
            format!("DESCRIPTION:{summary}"),
            format!("TRIGGER:{REMINDER}"),
            "END:VALARM".to_owned(),
        ]);
    }
    lines.extend(["END:VEVENT".to_owned(), "END:VCALENDAR".to_owned()]);
    lines.iter().map(|line| folded(line)).collect()
}

/// What the entry asks of a calendar (RFC 5546 §1.4).
fn method(cancelled: bool, mailed: bool) -> &'static str {
    match (cancelled, mailed) {
        (true, _) => "CANCEL",
        (false, true) => "REQUEST",
        (false, false) => "PUBLISH",
    }
}

/// `DATE-TIME` in UTC (RFC 5545 §3.3.5).
fn stamp(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Text as RFC 5545 §3.3.11 wants it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A line and its end, folded at 75 octets and never within a character.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS {
            out.push_str("\r\n ");
            octets = 1;
        }
        out.push(c);
        octets += c.len_utf8();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: &'static str, is_over: bool) -> CallbackView {
        CallbackView {
            id: "0a".repeat(16),
            tenant: "shop".into(),
            queue: "support".into(),
            state,
            detail: None,
            asap: false,
            promised_at: String::new(),
            due_at: None,
            tz: "Europe/Paris".into(),
            zone: "Europe/Paris".into(),
            number: "+33 6 ** ** ** 78".into(),
            attempts: Vec::new(),
            can_cancel: true,
            can_move: true,
            now: String::new(),
            wait: None,
            sequence: 3,
            promised_unix_ms: 1_795_000_000_000,
            is_over,
        }
    }

    #[test]
    fn an_entry_is_a_calendar_object_of_short_lines() {
        let text =
            calendar_entry(&view("scheduled", false), "https://voice.shop.example/callback/1#2", None, 0, Lang::Fr);
        assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= LINE_OCTETS), "{text}");
        for line in [
            "METHOD:PUBLISH",
            "SEQUENCE:3",
            "DTSTART:20261118T110640Z",
            "DTEND:20261118T112140Z",
            "DTSTAMP:19700101T000000Z",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
        let unfolded = text.replace("\r\n ", "");
        assert!(unfolded.contains("DESCRIPTION:Nous vous appelons au +33 6 ** ** ** 78."), "{unfolded}");
    }

    #[test]
    fn one_that_is_called_off_is_cancelled_in_the_calendar_too() {
        let text = calendar_entry(&view("cancelled", true), "page", None, 0, Lang::En);
        assert!(text.contains("METHOD:CANCEL\r\n") && text.contains("STATUS:CANCELLED\r\n"));
        assert!(!text.contains("VALARM"));
    }

    #[test]
    fn one_that_is_mailed_says_between_whom_and_is_called_off_the_same_way() {
        let between = Invitation { organizer: "rappel@shop.example", attendee: "claire@mail.example" };
        let asked = calendar_entry(&view("scheduled", false), "page", Some(between), 0, Lang::En);
        let off = calendar_entry(&view("cancelled", true), "page", Some(between), 0, Lang::En);
        assert!(asked.contains("METHOD:REQUEST\r\n") && off.contains("METHOD:CANCEL\r\n"));
        for text in [asked, off] {
            let unfolded = text.replace("\r\n ", "");
            assert!(unfolded.contains("\r\nORGANIZER:mailto:rappel@shop.example\r\n"), "{unfolded}");
            assert!(unfolded.contains("RSVP=FALSE:mailto:claire@mail.example\r\n"), "{unfolded}");
            assert!(unfolded.contains(&format!("\r\nUID:{}@passerelle\r\n", "0a".repeat(16))), "{unfolded}");
        }
    }

    #[test]
    fn text_cannot_end_its_line() {
        assert_eq!(escaped("a,b;c\\d\ne\rf"), "a\\,b\\;c\\\\d\\nef");
        let long = folded(&format!("SUMMARY:{}", "é".repeat(100)));
        assert!(long.lines().all(|line| line.len() <= LINE_OCTETS));
        assert_eq!(long.replace("\r\n ", "").trim_end(), format!("SUMMARY:{}", "é".repeat(100)));
    }
}
