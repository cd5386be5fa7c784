//! `passerelle callback export`: the whole book, a page at a time, as CSV for a spreadsheet or JSON for a program.

use std::process::ExitCode;

use desk::Outcome;
use store::{Home, KeptCallback};

use super::book::Pages;
use super::callbacks::object;
use super::listing::{Source, timestamp};
use super::{complain, print};

/// How it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// RFC 4180, with a head.
    Csv,
    /// An object a line.
    Json,
}

/// Writes it.
pub(crate) fn export(source: &Source, format: Format, queue: Option<&str>, open_only: bool) -> ExitCode {
    let written = source.open("the call-backs").and_then(|(home, runtime, shown)| {
        let failed = |error| format!("passerelle: the call-backs in {shown} cannot be read: {error}\n");
        runtime.block_on(pages(home.as_ref(), format, queue, open_only)).map_err(failed)
    });
    match written {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => {
            complain(&format!("passerelle: there are more: these are the newest {}\n", super::book::READ_MAX));
            ExitCode::FAILURE
        }
        Err(text) => {
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

/// Whether there are more than are read.
async fn pages(
    home: &dyn Home,
    format: Format,
    queue: Option<&str>,
    open_only: bool,
) -> Result<bool, store::StoreError> {
    if format == Format::Csv {
        print(&line(&HEAD.map(str::to_owned)));
    }
    let mut pages = Pages::new(home, None, 0, u64::MAX);
    while let Some(page) = pages.next().await? {
        let wanted = page.iter().filter(|kept| is_of(kept, queue) && !(open_only && kept.callback.state().is_over()));
        let text: String = wanted
            .map(|kept| match format {
                Format::Csv => line(&row(kept)),
                Format::Json => format!("{}\n", object(kept)),
            })
            .collect();
        print(&text);
    }
    Ok(pages.is_cut())
}

fn is_of(kept: &KeptCallback, queue: Option<&str>) -> bool {
    let (tenant, own) = (kept.callback.tenant().as_str(), kept.callback.queue().as_str());
    match queue.map(|queue| queue.split_once('/').unwrap_or(("", queue))) {
        None => true,
        Some((wanted, queue)) => own == queue && (wanted.is_empty() || wanted == tenant),
    }
}

const HEAD: [&str; 17] = [
    "id",
    "tenant",
    "queue",
    "state",
    "detail",
    "number",
    "asap",
    "asked",
    "promised",
    "next",
    "priority",
    "owner",
    "purpose",
    "disposition",
    "tries",
    "last_outcome",
    "last_note",
];

fn row(kept: &KeptCallback) -> [String; HEAD.len()] {
    let (callback, wish, care) = (&kept.callback, kept.callback.wish(), kept.callback.care());
    let time = |unix_ms: u64| timestamp(unix_ms).map(|at| at.to_string()).unwrap_or_default();
    let last = callback.attempts().last().and_then(|last| last.outcome);
    [
        callback.id().to_string(),
        callback.tenant().to_string(),
        callback.queue().to_string(),
        callback.state().code().to_owned(),
        callback.state().detail().unwrap_or_default().to_owned(),
        wish.number.clone(),
        wish.wanted.is_none().to_string(),
        time(wish.asked_unix_ms),
        time(wish.promised_unix_ms),
        callback.due_unix_ms().map(time).unwrap_or_default(),
        wish.priority.to_string(),
        care.owner.clone().unwrap_or_default(),
        care.purpose.code().to_owned(),
        care.disposition.clone().unwrap_or_default(),
        callback.attempts().len().to_string(),
        last.map(Outcome::code).unwrap_or_default().to_owned(),
        care.notes.last().map(|note| note.text.clone()).unwrap_or_default(),
    ]
}

/// A line of CSV (RFC 4180).
fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// What a spreadsheet would take for a formula is quoted as text: a note is written by people.
fn cell(text: &str) -> String {
    // A telephone number is one: the plus of E.164 and digits.
    let is_number = text.strip_prefix('+').is_some_and(|rest| rest.chars().all(|digit| digit.is_ascii_digit()));
    let is_formula = !is_number && text.starts_with(['=', '+', '-', '@', '\t']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::callbacks::tests::kept;
    use super::*;

    #[test]
    fn a_line_has_as_many_cells_as_the_head_and_what_is_in_them_breaks_none() {
        let mut kept = kept();
        let text = "said \"no, thanks\"\nthen yes".to_owned();
        kept.callback.note(desk::Note { at_unix_ms: 1, by: "admin".to_owned(), deed: desk::Deed::Noted, text });
        let row = row(&kept);
        let expected = ["shop", "support", "scheduled", "", "+33612345678", "true"];
        assert_eq!(row[1..7], expected.map(str::to_owned));
        let line = line(&row);
        assert!(line.ends_with(",1,busy,\"said \"\"no, thanks\"\"\nthen yes\"\r\n"), "{line}");
        assert!(is_of(&kept, Some("shop/support")) && is_of(&kept, Some("support")) && is_of(&kept, None));
        assert!(!is_of(&kept, Some("bank/support")) && !is_of(&kept, Some("sales")));
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+33612345678", "+33612345678"),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("-", "'-"),
            ("plain", "plain"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
