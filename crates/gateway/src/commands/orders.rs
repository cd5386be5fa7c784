//! `passerelle callback cancel|move|…`: what an administrator does to the book of the running gateway.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::listing::Source;
use super::remote::{Refused, Remote};
use super::said;

/// What is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// One is called off.
    Cancel {
        /// Its id.
        id: String,
    },
    /// One gets another moment.
    Move {
        /// Its id.
        id: String,
        /// `asap`, or a date and time.
        at: String,
        /// The zone of a time without an offset.
        tz: String,
    },
    /// Something is done to a whole queue.
    Queue {
        /// `QUEUE` or `TENANT/QUEUE`.
        queue: String,
        /// What.
        what: QueueOrder,
        /// Done, and not only counted.
        yes: bool,
    },
}

/// What is done to a whole queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum QueueOrder {
    /// Nobody is called until it is resumed.
    Pause,
    /// It calls again.
    Resume,
    /// All are called off.
    Cancel,
    /// All are later, by so many minutes.
    Shift(u32),
}

impl QueueOrder {
    /// The last part of its path.
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Shift(_) => "shift",
        }
    }
}

/// Does it, and says what came of it.
pub(crate) fn order(source: &Source, order: &Order, reason: &str) -> ExitCode {
    let done = Remote::of(source).and_then(|remote| done(&remote, order, reason));
    said(done)
}

fn done(remote: &Remote, order: &Order, reason: &str) -> Result<String, String> {
    let told = |refused: Refused| refused.told();
    match order {
        Order::Cancel { id } => {
            // In a query a blank is a plus and everything else is escaped.
            let note: String = form(reason);
            let path = format!("/v1/callbacks/{}?note={note}", named(id)?);
            let view = remote.ask("DELETE", &path, None).map_err(told)?;
            Ok(format!("call-back {id} is {}.\n", text(&view, "state")))
        }
        Order::Move { id, at, tz } => {
            let body = json!({ "when": at, "tz": tz, "note": reason });
            let view = remote.ask("PATCH", &format!("/v1/callbacks/{}", named(id)?), Some(&body)).map_err(told)?;
            Ok(format!("call-back {id} is promised for {} ({}).\n", text(&view, "promised_at"), text(&view, "zone")))
        }
        Order::Queue { queue, what, yes } => to_queue(remote, queue, *what, *yes, reason).map_err(told),
    }
}

fn text<'v>(view: &'v Value, key: &str) -> &'v str {
    view[key].as_str().unwrap_or_default()
}

/// An id goes into a path: nothing else does.
fn named(id: &str) -> Result<&str, String> {
    let good = id.len() == 32 && id.chars().all(|digit| digit.is_ascii_hexdigit());
    let wrong = || format!("passerelle: \"{id}\" is no call-back's id: `passerelle callback list` shows them\n");
    good.then_some(id).ok_or_else(wrong)
}

/// As `application/x-www-form-urlencoded` writes it.
fn form(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// Counts first; then, if that is meant, does it, a page after the other.
fn to_queue(remote: &Remote, queue: &str, what: QueueOrder, yes: bool, reason: &str) -> Result<String, Refused> {
    let (tenant, id) = queue.split_once('/').unwrap_or(("", queue));
    let path = format!("/v1/queues/{}/{}", form(id), what.word());
    let many = matches!(what, QueueOrder::Cancel | QueueOrder::Shift(_));
    let dry_run = many && !yes;
    let (mut touched, mut left_alone, mut from) = (0, 0, Value::Null);
    let done = loop {
        let minutes = if let QueueOrder::Shift(minutes) = what { json!(minutes) } else { Value::Null };
        let body = json!({
            "tenant": tenant, "note": reason, "dry_run": dry_run, "from": from, "minutes": minutes,
        });
        let done = remote.ask("POST", &path, Some(&body))?;
        touched += done["touched"].as_u64().unwrap_or(0);
        left_alone += done["left_alone"].as_u64().unwrap_or(0);
        match done["next"].as_str() {
            Some(next) => from = json!(next),
            None => break done,
        }
    };
    let name = format!("{}/{}", text(&done, "tenant"), text(&done, "queue"));
    Ok(summed(&name, what, dry_run, (touched, left_alone)))
}

fn summed(name: &str, what: QueueOrder, dry_run: bool, (touched, left_alone): (u64, u64)) -> String {
    let verb = match what {
        QueueOrder::Pause => return format!("queue {name} is paused: it calls nobody until it is resumed.\n"),
        QueueOrder::Resume => return format!("queue {name} calls again.\n"),
        QueueOrder::Cancel => "called off".to_owned(),
        QueueOrder::Shift(minutes) => format!("made {minutes} minutes later"),
    };
    let beside = if left_alone > 0 {
        format!(" {left_alone} that are being called, or that somebody changed first, are left alone.")
    } else {
        String::new()
    };
    if dry_run {
        let many = if touched > 0 { " Their visitors are told. To do it, say it again with --yes." } else { "" };
        format!("{touched} call-backs of queue {name} would be {verb}.{beside}{many}\n")
    } else {
        format!("{touched} call-backs of queue {name} are {verb}.{beside}\n")
    }
}

#[cfg(test)]
mod tests;
