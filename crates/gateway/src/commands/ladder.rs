//! `passerelle ladder`: what was said and heard in a call, asked of the running gateway; drawn, raw, as JSON or as a pcap.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::listing::{self, Source, cut, dash, local};
use super::remote::{Refused, Remote};
use super::{harmless, said};

mod draw;
mod pcap;

/// How it is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// For a person.
    Drawn,
    /// The messages themselves.
    Raw,
    /// For a program.
    Json,
    /// For Wireshark, into this file.
    Pcap(PathBuf),
}

/// What is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// The newest ones.
    List {
        /// At most so many.
        limit: u32,
        /// Also those of no call.
        all: bool,
    },
    /// One, by a name of it.
    Call(String),
    /// What was refused.
    Refused,
}

/// Tells it.
pub(crate) fn ladder(source: &Source, what: &What, form: &Form) -> ExitCode {
    said(Remote::of(source).and_then(|remote| told(&remote, what, form)))
}

fn told(remote: &Remote, what: &What, form: &Form) -> Result<String, String> {
    let path = match what {
        What::List { limit, all } => format!("/v1/ladders?limit={limit}&all={all}"),
        What::Call(name) => format!("/v1/ladders/{}", escaped(name)),
        What::Refused => "/v1/ladders/refused".to_owned(),
    };
    let view = remote.ask("GET", &path, None).map_err(|refused| mended(&refused))?;
    match (form, what) {
        (Form::Json, _) => Ok(format!("{view}\n")),
        (Form::Drawn, What::List { .. }) => Ok(list(&view, &TimeZone::system())),
        (Form::Drawn, What::Call(_)) => Ok(draw::ladder(&view, &TimeZone::system())),
        (Form::Drawn, What::Refused) => Ok(refused(&view, &TimeZone::system())),
        (Form::Raw, _) => Ok(raw(&view, &TimeZone::system())),
        (Form::Pcap(file), _) => {
            let (octets, packets) = pcap::of(&view);
            fs::write(file, octets)
                .map_err(|error| format!("passerelle: {} cannot be written: {error}\n", file.display()))?;
            Ok(format!("{packets} messages are in {}; open it with Wireshark or tshark.\n", file.display()))
        }
    }
}

/// The refusal, and what keeps it from coming again.
fn mended(refused: &Refused) -> String {
    let told = refused.told();
    let help = match refused {
        Refused::Said(code, _) if code == "ladder_unknown" => {
            "passerelle ladder lists those that are kept; memory_mb and keep_hours in [ladder] keep more of them.\n"
        }
        Refused::Said(..) | Refused::Unreached(_) => "",
    };
    format!("{told}{help}")
}

/// As a segment of a path (RFC 3986 §2.1).
fn escaped(name: &str) -> String {
    name.bytes()
        .map(|octet| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(octet).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The columns of the list.
const HEAD: [&str; 6] = ["STARTED", "CALL", "WITH", "BEGAN AS", "OUTCOME", "MESSAGES"];

fn list(view: &Value, zone: &TimeZone) -> String {
    let cards = view["ladders"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = |list: &Value| {
        let words = list.as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let rows: Vec<[String; HEAD.len()]> = cards
        .iter()
        .map(|card| {
            let call = card["call"].as_str().map(|call| call.chars().take(8).collect());
            [
                local(at_us(&card["began"]) / 1_000, zone),
                call.unwrap_or_else(|| cut(&harmless(&words(&card["call_ids"])), 40)),
                cut(&dash(&harmless(&words(&card["peers"]))), 40),
                cut(&harmless(text(&card["first"])), 24),
                cut(&dash(&harmless(text(&card["outcome"]))), 60),
                card["messages"].to_string(),
            ]
        })
        .collect();
    let mut told = if rows.is_empty() {
        "No call's ladder is kept: there was none since the gateway started, or it is too long ago. --all lists also what \
         never became a call, --refused what was turned away.\n"
            .to_owned()
    } else {
        listing::table(HEAD, &rows)
    };
    let lost = view["lost"].as_u64().unwrap_or(0);
    if lost > 0 {
        told.push_str(&format!(
            "{lost} messages or events are in no ladder: the gateway was too busy to write them down.\n"
        ));
    }
    told
}

fn refused(view: &Value, zone: &TimeZone) -> String {
    let rows: Vec<[String; 5]> = rows(view)
        .iter()
        .map(|row| {
            let message = &row["message"];
            [
                local(at_us(&row["at"]) / 1_000, zone),
                format!("{} {}", text(&message["transport"]), text(&message["remote"])),
                cut(&harmless(text(&message["label"])), 40),
                harmless(text(&row["refused"])),
                (message["repeats"].as_u64().unwrap_or(0) + 1).to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "Nothing was refused since the gateway started, or it is too long ago.\n".to_owned();
    }
    listing::table(["LAST", "FROM", "MESSAGE", "REASON", "TIMES"], &rows)
}

/// Every message as it passed, each under a line that says when and between whom.
fn raw(view: &Value, zone: &TimeZone) -> String {
    let mut told = String::new();
    for row in rows(view) {
        let message = &row["message"];
        if message.is_null() {
            continue;
        }
        let (local_end, remote) = (text(&message["local"]), text(&message["remote"]));
        let (from, to) = if message["sent"] == true { (local_end, remote) } else { (remote, local_end) };
        let at_us = at_us(&row["at"]);
        let mut head = format!("{}.{:03}", local(at_us / 1_000, zone), at_us / 1_000 % 1_000);
        head.push_str(&format!(" {} {from} -> {to}", text(&message["transport"])));
        if let Some(repeats) = message["repeats"].as_u64().filter(|repeats| *repeats > 0) {
            head.push_str(&format!(", {repeats} times again"));
        }
        if let Some(why) = row["refused"].as_str() {
            head.push_str(&format!(", refused: {}", harmless(why)));
        }
        let body: Vec<String> = text(&message["text"]).lines().map(harmless).collect();
        told.push_str(&format!("--- {head}\n{}\n\n", body.join("\n").trim_end()));
    }
    if told.is_empty() { "No message is kept.\n".to_owned() } else { told }
}

fn rows(view: &Value) -> &[Value] {
    view["rows"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Microseconds since 1970.
fn at_us(time: &Value) -> u64 {
    let at: Option<Timestamp> = time.as_str().and_then(|time| time.parse().ok());
    at.and_then(|at| u64::try_from(at.as_microsecond()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
