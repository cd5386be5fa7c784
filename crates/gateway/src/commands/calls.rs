//! `passerelle calls`: what the store kept of the calls that ended, as a table for a person or as JSON for a program.

use std::process::ExitCode;

use call::{CallRecord, LegKind, LegRecord};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::{CallQuery, StoreError};

use super::listing::{self, Source, cut, dash, local, masked, timestamp};
use super::said;

/// Lists the last `limit` calls.
pub(crate) fn calls(source: &Source, limit: u32, json: bool) -> ExitCode {
    said(listed(source, limit, json))
}

fn listed(source: &Source, limit: u32, json: bool) -> Result<String, String> {
    let (store, runtime, shown) = source.open("the calls")?;
    let query = CallQuery { limit: usize::try_from(limit).unwrap_or(usize::MAX), ..CallQuery::default() };
    let failed = |error: StoreError| format!("passerelle: the calls in {shown} cannot be read: {error}\n");
    let records = runtime.block_on(store.calls(query)).map_err(failed)?;
    Ok(if json {
        records.iter().map(|record| format!("{}\n", object(record))).collect()
    } else if records.is_empty() {
        format!("No call has ended yet in {shown}.\n")
    } else {
        table(&records, &TimeZone::system())
    })
}

/// The columns of the table.
const HEAD: [&str; 11] =
    ["STARTED", "CALL", "QUEUE", "PAGE", "AGENT", "WAIT", "TALK", "END", "BY", "CODECS", "LOST IN/OUT"];

/// One line a call.
fn table(records: &[CallRecord], zone: &TimeZone) -> String {
    listing::table(HEAD, &records.iter().map(|record| row(record, zone)).collect::<Vec<_>>())
}

fn row(record: &CallRecord, zone: &TimeZone) -> [String; HEAD.len()] {
    let (first, last) = (record.legs.first(), record.legs.iter().rev().find(|leg| leg.id.0 > 0));
    let quality = first.map(|leg| leg.quality).unwrap_or_default();
    let end = if record.interrupted { "interrupted" } else { record.cause.code() };
    [
        local(record.started_unix_ms, zone),
        record.id.to_string().chars().take(8).collect(),
        dash(format!("{}/{}", record.tenant, record.queue).trim_end_matches('/')),
        dash(&cut(path(&record.tags.page_url), 24)),
        who(record).or_else(|| last.map(peer)).unwrap_or_else(|| "-".to_owned()),
        span(record.wait_ms),
        record.answered_unix_ms.map_or_else(|| "-".to_owned(), |_| span(record.talk_ms)),
        end.to_owned(),
        record.hung_up_by.code().to_owned(),
        codecs(first, last),
        format!("{}/{}", percent(quality.loss_in), percent(quality.loss_out)),
    ]
}

/// The agents known here who talked, in the order they did: `1001>1002` is a call that was transferred. When nobody talked,
/// who was asked first.
fn who(record: &CallRecord) -> Option<String> {
    let agents = || record.legs.iter().filter(|leg| leg.kind.extension().is_some());
    let talked: Vec<String> = agents().filter(|leg| leg.talked.is_some()).map(peer).collect();
    if talked.is_empty() { agents().next().map(peer) } else { Some(talked.join(">")) }
}

/// The two legs' codecs: `opus-PCMU`.
fn codecs(first: Option<&LegRecord>, last: Option<&LegRecord>) -> String {
    let name = |leg: Option<&LegRecord>| leg.and_then(|leg| leg.codec.clone()).unwrap_or_else(|| "?".to_owned());
    match (first, last) {
        (None, None) => "-".to_owned(),
        (first, last) => format!("{}-{}", name(first), name(last)),
    }
}

/// Who was called: an extension whole, what is behind a trunk shortened (it may be somebody's number).
fn peer(leg: &LegRecord) -> String {
    match &leg.kind {
        LegKind::Browser => "browser".to_owned(),
        LegKind::Agent { extension } => cut(extension, 16),
        LegKind::Trunk { trunk, uri } => format!("{}@{}", masked(user(uri)), cut(trunk.as_str(), 16)),
    }
}

/// The user part of `sip:600@pbx`.
fn user(uri: &str) -> &str {
    let uri = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    uri.split('@').next().unwrap_or_default()
}

/// The path of a page's address; what follows `?` may name a person.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(if rest.is_empty() { "" } else { "/" });
    path.split(['?', '#']).next().unwrap_or_default()
}

/// `0.8 s`, `12 s`, `3:05`, `1:02:09`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

fn percent(share: Option<f32>) -> String {
    share.map_or_else(|| "?".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// A moment in UTC.
fn time(unix_ms: Option<u64>) -> Option<String> {
    unix_ms.and_then(timestamp).map(|at| at.to_string())
}

/// Everything that is kept, times in UTC.
fn object(record: &CallRecord) -> Value {
    let tags = &record.tags;
    json!({
        "call": record.id.to_string(),
        "tenant": record.tenant.as_str(),
        "queue": record.queue.as_str(),
        "tag": tags.tag_hex(),
        "session": tags.session,
        "page": { "url": tags.page_url, "title": tags.page_title },
        "referrer": tags.referrer,
        "language": tags.language,
        "clicked": time(Some(tags.made_at_unix_ms)),
        "started": time(Some(record.started_unix_ms)),
        "ringing": time(record.ringing_unix_ms),
        "answered": time(record.answered_unix_ms),
        "ended": time(Some(record.ended_unix_ms)),
        "wait_ms": record.wait_ms,
        "talk_ms": record.talk_ms,
        "hung_up_by": record.hung_up_by.code(),
        "cause": record.cause.code(),
        "interrupted": record.interrupted,
        "legs": record.legs.iter().map(leg_object).collect::<Vec<_>>(),
    })
}

fn leg_object(leg: &LegRecord) -> Value {
    let quality = &leg.quality;
    let trunk = match &leg.kind {
        LegKind::Trunk { trunk, .. } => Some(trunk.as_str()),
        LegKind::Browser | LegKind::Agent { .. } => None,
    };
    json!({
        "leg": leg.id.0,
        "kind": leg.kind.code(),
        "trunk": trunk,
        "peer": leg.kind.peer(),
        "codec": leg.codec,
        "cause": leg.cause.map(|cause| cause.code()),
        "loss_in": quality.loss_in,
        "loss_out": quality.loss_out,
        "jitter_in_ms": quality.jitter_in_ms,
        "jitter_out_ms": quality.jitter_out_ms,
        "rtt_ms": quality.rtt_ms,
        "mos": quality.mos,
        "packets_in": quality.packets_in,
        "packets_out": quality.packets_out,
        "talked_from": time(leg.talked.map(|talked| talked.from_unix_ms)),
        "talked_until": time(leg.talked.map(|talked| talked.until_unix_ms)),
    })
}

#[cfg(test)]
mod tests;
