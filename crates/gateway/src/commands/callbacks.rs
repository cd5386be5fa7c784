//! `passerelle callback`: the call-back book, as a table for a person or as JSON for a program.

use std::process::ExitCode;

use desk::{Attempt, CallbackState, Outcome};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::{CallbackQuery, KeptCallback};

use super::listing::{self, Source, dash, local, masked, timestamp};
use super::said;

/// What is asked of the book.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// The last `limit`, those that are over too if `all`.
    List { limit: u32, all: bool },
    /// One, by its id.
    Show(String),
}

/// Prints it.
pub(crate) fn callback(source: &Source, ask: &Ask, json: bool) -> ExitCode {
    said(answered(source, ask, json))
}

fn answered(source: &Source, ask: &Ask, json: bool) -> Result<String, String> {
    let (home, runtime, shown) = source.open("the call-backs")?;
    let failed = |error| format!("passerelle: the call-backs in {shown} cannot be read: {error}\n");
    match ask {
        Ask::List { limit, all } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let query = CallbackQuery { limit, open_only: !all, ..CallbackQuery::default() };
            let found = runtime.block_on(home.callbacks(query)).map_err(failed)?;
            Ok(if json {
                found.iter().map(|kept| format!("{}\n", object(kept))).collect()
            } else if found.is_empty() {
                let hint = if *all { "" } else { " Those that are over are shown with --all." };
                format!("No call-back is open in {shown}.{hint}\n")
            } else {
                table(&found, &TimeZone::system())
            })
        }
        Ask::Show(id) => {
            let wrong =
                || format!("passerelle: \"{id}\" is no call-back's id: `passerelle callback list` shows them\n");
            let id = id.parse().map_err(|_| wrong())?;
            let found = runtime.block_on(home.callback(id)).map_err(failed)?;
            let kept = found.ok_or_else(|| format!("passerelle: there is no call-back {id} in {shown}\n"))?;
            Ok(if json { format!("{}\n", object(&kept)) } else { told(&kept, &TimeZone::system()) })
        }
    }
}

/// The columns of the table.
const HEAD: [&str; 8] = ["ID", "ASKED", "PROMISED", "STATE", "QUEUE", "NUMBER", "TRIES", "NEXT"];

fn table(found: &[KeptCallback], zone: &TimeZone) -> String {
    listing::table(HEAD, &found.iter().map(|kept| row(kept, zone)).collect::<Vec<_>>())
}

fn row(kept: &KeptCallback, zone: &TimeZone) -> [String; HEAD.len()] {
    let (callback, wish) = (&kept.callback, kept.callback.wish());
    let last = callback.attempts().last().map(outcome).unwrap_or_default();
    [
        callback.id().to_string(),
        local(wish.asked_unix_ms, zone),
        if wish.wanted.is_some() { local(wish.promised_unix_ms, zone) } else { "at once".to_owned() },
        state(callback.state()),
        format!("{}/{}", callback.tenant(), callback.queue()),
        masked(&wish.number),
        format!("{} {last}", callback.attempts().len()).trim().to_owned(),
        dash(&callback.due_unix_ms().map(|at| local(at, zone)).unwrap_or_default()),
    ]
}

fn state(state: CallbackState) -> String {
    state.detail().map_or_else(|| state.code().to_owned(), |detail| format!("{} ({detail})", state.code()))
}

fn outcome(attempt: &Attempt) -> &'static str {
    attempt.outcome.map_or("in progress", Outcome::code)
}

/// One call-back in words, a line a fact.
fn told(kept: &KeptCallback, zone: &TimeZone) -> String {
    let (callback, wish) = (&kept.callback, kept.callback.wish());
    let [id, asked, promised, state, queue, number, _, next] = row(kept, zone);
    let mut text = format!(
        "call-back {id}\nasked     {asked}\npromised  {promised}\nstate     {state}\nqueue     {queue}\nnumber    {number}\n\
         next try  {next}\npage      {}\n",
        dash(&wish.tags.page_title)
    );
    if let Some(consent) = &wish.consent {
        let at = local(consent.at_unix_ms, zone);
        text.push_str(&format!("consent   {} version {}, {at}\n", consent.text_id, consent.version));
    }
    if let Some(disposition) = &callback.care().disposition {
        text.push_str(&format!("closed    {disposition}\n"));
    }
    for note in &callback.care().notes {
        let (at, deed) = (local(note.at_unix_ms, zone), note.deed.code());
        text.push_str(&format!("{deed:<9} {at}  by {}  {}\n", note.by, note.text.replace('\n', " ")));
    }
    for attempt in callback.attempts() {
        let at = local(attempt.at_unix_ms, zone);
        let agent = dash(&attempt.agent);
        text.push_str(&format!("tried     {at}  {}  agent {agent}  call {}\n", outcome(attempt), attempt.call));
    }
    text
}

/// Everything that is kept, times in UTC.
pub(super) fn object(kept: &KeptCallback) -> Value {
    let (callback, wish, care) = (&kept.callback, kept.callback.wish(), kept.callback.care());
    let time = |unix_ms: u64| timestamp(unix_ms).map(|at| at.to_string());
    let tried = |attempt: &Attempt| {
        json!({
            "call": attempt.call.to_string(),
            "at": time(attempt.at_unix_ms),
            "agent": attempt.agent,
            "outcome": attempt.outcome.map(Outcome::code),
        })
    };
    json!({
        "id": callback.id().to_string(),
        "tenant": callback.tenant().as_str(),
        "queue": callback.queue().as_str(),
        "state": callback.state().code(),
        "detail": callback.state().detail(),
        "number": wish.number,
        "email": wish.email.as_ref().map(desk::Email::as_str),
        "asap": wish.wanted.is_none(),
        "asked": time(wish.asked_unix_ms),
        "promised": time(wish.promised_unix_ms),
        "next": callback.due_unix_ms().and_then(time),
        "zone": wish.zone,
        "session": wish.tags.session,
        "page": { "url": wish.tags.page_url, "title": wish.tags.page_title },
        "tag": wish.tags.tag_hex(),
        "consent": wish.consent.as_ref().map(|consent| {
            json!({ "text_id": consent.text_id, "version": consent.version, "at": time(consent.at_unix_ms) })
        }),
        "priority": wish.priority,
        "owner": care.owner,
        "purpose": care.purpose.code(),
        "disposition": care.disposition,
        "notes": care.notes.iter().map(|note| {
            json!({ "at": time(note.at_unix_ms), "by": note.by, "deed": note.deed.code(), "text": note.text })
        }).collect::<Vec<_>>(),
        "attempts": callback.attempts().iter().map(tried).collect::<Vec<_>>(),
        "version": kept.version,
    })
}

#[cfg(test)]
pub(crate) mod tests;
