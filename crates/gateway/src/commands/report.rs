//! `passerelle report`: how well call-backs were kept over a period, by queue: as text, JSON or CSV.

use std::collections::BTreeMap;
use std::process::ExitCode;

use desk::{CancelledBy, FailReason, Satisfaction, Spread};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::{Home, StoreError};

use super::book::{Pages, READ_MAX, Tried};
use super::calls::span;
use super::listing::{Source, local, timestamp};
use super::period::Moment;
use super::said;
use crate::clock;

mod figures;

use figures::{Figures, Share};

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Whose book.
    pub(crate) source: Source,
    /// This tenant alone.
    pub(crate) tenant: Option<String>,
    /// This queue alone.
    pub(crate) queue: Option<String>,
    /// Those asked for from this moment on.
    pub(crate) since: Moment,
    /// And before this one; `None`: until now.
    pub(crate) until: Option<Moment>,
    /// How it is written.
    pub(crate) form: Form,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// For a person.
    Text,
    /// One object.
    Json,
    /// A line a queue.
    Csv,
}

/// Prints it.
pub(crate) fn report(ask: &Ask) -> ExitCode {
    said(reported(ask, &TimeZone::system()))
}

/// From one moment on and before another.
type Period = (u64, u64);

/// The figures of each tenant's queue.
type Queues = BTreeMap<(String, String), Figures>;

fn reported(ask: &Ask, zone: &TimeZone) -> Result<String, String> {
    let now = clock::unix_ms();
    let period = (ask.since.unix_ms(now, zone), ask.until.map_or(now, |until| until.unix_ms(now, zone)));
    let (home, runtime, shown) = ask.source.open("the call-backs")?;
    let (queues, is_cut) = runtime
        .block_on(read(&*home, ask.tenant.as_deref(), ask.queue.as_deref(), period))
        .map_err(|error| format!("passerelle: the call-backs in {shown} cannot be read: {error}\n"))?;
    Ok(match ask.form {
        Form::Text if queues.is_empty() => {
            let (since, until) = (local(period.0, zone), local(period.1, zone));
            format!("No call-backs asked for from {since} to {until} in {shown}.\n")
        }
        Form::Text => text(&queues, period, is_cut, zone),
        Form::Json => format!("{}\n", object(&queues, period, is_cut)),
        Form::Csv => csv(&queues),
    })
}

async fn read(
    home: &dyn Home,
    tenant: Option<&str>,
    queue: Option<&str>,
    (since, until): Period,
) -> Result<(Queues, bool), StoreError> {
    let mut queues = Queues::new();
    let mut pages = Pages::new(home, tenant, since, until);
    while let Some(page) = pages.next().await? {
        for kept in page.iter().filter(|kept| queue.is_none_or(|queue| kept.callback.queue().0 == queue)) {
            let mut tried = Vec::new();
            for attempt in kept.callback.attempts() {
                tried.push(Tried::read(home, kept, attempt).await?);
            }
            let name = (kept.callback.tenant().0.clone(), kept.callback.queue().0.clone());
            queues.entry(name).or_default().note(&kept.callback, &tried);
        }
    }
    Ok((queues, pages.is_cut()))
}

fn text(queues: &Queues, (since, until): Period, is_cut: bool, zone: &TimeZone) -> String {
    let mut text = format!("Call-backs asked for from {} to {}.\n", local(since, zone), local(until, zone));
    for ((tenant, queue), figures) in queues {
        text.push_str(&format!("\n{tenant}/{queue}\n"));
        for (what, value) in lines(figures) {
            text.push_str(&format!("  {what:22}{value}\n"));
        }
    }
    text.push('\n');
    text.push_str(NOTES);
    if is_cut {
        text.push_str(&format!("The period holds more: only the newest {READ_MAX} were read.\n"));
    }
    text
}

const NOTES: &str = "\
Delay: from asking for a call-back as soon as possible until both talk. Punctuality: from a chosen time until the
customer's phone rings. Tries per completion: those that count. Loss is an assumption: 30 % after 4 min, 40 % after 15.
When they talked is not kept in the book but in the record of the call: tries without a record are left out of delays.
Of a call-back that was moved only the last promise is kept. Not kept at all: what wait was told, and whether a machine
answered.
";

/// The figures of a queue in words, a line a fact.
fn lines(figures: &Figures) -> Vec<(&'static str, String)> {
    let by_name = |names: &mut dyn Iterator<Item = (&'static str, usize)>| {
        names.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let cancelled = by_name(&mut CancelledBy::ALL.into_iter().map(|by| (by.code(), figures.cancelled(by))));
    let failed = by_name(&mut FailReason::ALL.into_iter().map(|why| (why.code(), figures.failed(why))));
    let punctuality = figures.punctuality().map_or_else(
        || "-".to_owned(),
        |spread| {
            let within = |minutes| percent(figures.punctual_within(minutes));
            format!(
                "p50 {}, p99 {}; within 2 min {}, within 5 min {} ({} rung)",
                signed(spread.p50),
                signed(spread.p99),
                within(2),
                within(5),
                spread.count
            )
        },
    );
    let delay = figures.delay().map_or_else(
        || "-".to_owned(),
        |Spread { count, p50, p90, p99, .. }| {
            let [p50, p90, p99] = [p50, p90, p99].map(signed);
            format!("p50 {p50}, p90 {p90}, p99 {p99} ({count} connected)")
        },
    );
    vec![
        ("asked", format!("{}, {} still open", figures.asked, figures.open)),
        ("completed", figures.completed_share().to_string()),
        ("served on the site", figures.served().to_string()),
        ("reached at first try", figures.first_try.to_string()),
        ("tries per completion", figures.tries_per_completion().map_or_else(|| "-".to_owned(), |n| format!("{n:.2}"))),
        ("delay", delay),
        (
            "estimated loss",
            figures.loss(Satisfaction::default()).map_or_else(|| "-".to_owned(), |l| format!("{:.1} %", l * 100.0)),
        ),
        ("punctuality", punctuality),
        ("cancelled by", cancelled),
        ("failed", failed),
        ("expired", figures.expired_share().to_string()),
        ("tries in doubt", figures.in_doubt.to_string()),
        (
            "agent waits",
            figures.agent_wait_ms().map_or_else(|| "-".to_owned(), |ms| format!("{} for each completed", span(ms))),
        ),
    ]
}

fn percent(share: Share) -> String {
    share.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

/// A time that may be before its moment.
fn signed(ms: i64) -> String {
    format!("{}{}", if ms < 0 { "-" } else { "" }, span(ms.unsigned_abs()))
}

/// One figure as a program reads it.
type Field = (&'static str, Value);

/// The figures of a queue by the names JSON and CSV have for them; times in milliseconds, shares from 0 to 1.
fn fields(figures: &Figures) -> Vec<Field> {
    let (delay, punctuality) = (figures.delay(), figures.punctuality());
    let of = |spread: Option<Spread>, pick: fn(Spread) -> i64| json!(spread.map(pick));
    let count = |spread: Option<Spread>| json!(spread.map_or(0, |spread| spread.count));
    let mut fields = vec![
        ("asked", json!(figures.asked)),
        ("open", json!(figures.open)),
        ("completed", json!(figures.completed_share().part)),
        ("completed_share", json!(figures.completed_share().ratio())),
        ("served_on_site", json!(figures.served())),
        ("first_try_reached", json!(figures.first_try.part)),
        ("first_try_share", json!(figures.first_try.ratio())),
        ("tries", json!(figures.in_doubt.whole)),
        ("tries_per_completion", json!(figures.tries_per_completion())),
        ("delay_count", count(delay)),
        ("delay_p50_ms", of(delay, |spread| spread.p50)),
        ("delay_p90_ms", of(delay, |spread| spread.p90)),
        ("delay_p99_ms", of(delay, |spread| spread.p99)),
        ("estimated_loss", json!(figures.loss(Satisfaction::default()))),
        ("punctuality_count", count(punctuality)),
        ("punctuality_p50_ms", of(punctuality, |spread| spread.p50)),
        ("punctuality_p99_ms", of(punctuality, |spread| spread.p99)),
        ("within_2_min_share", json!(figures.punctual_within(2).ratio())),
        ("within_5_min_share", json!(figures.punctual_within(5).ratio())),
        ("expired", json!(figures.expired_share().part)),
        ("expired_share", json!(figures.expired_share().ratio())),
        ("in_doubt", json!(figures.in_doubt.part)),
        ("in_doubt_share", json!(figures.in_doubt.ratio())),
        ("agent_wait_per_completion_ms", json!(figures.agent_wait_ms())),
        ("tries_without_record", json!(figures.without_record)),
    ];
    let by = |by: CancelledBy| match by {
        CancelledBy::Visitor => "cancelled_visitor",
        CancelledBy::Agent => "cancelled_agent",
        CancelledBy::Admin => "cancelled_admin",
        CancelledBy::Recipient => "cancelled_recipient",
    };
    let why = |why: FailReason| match why {
        FailReason::BadNumber => "failed_bad_number",
        FailReason::NotReached => "failed_not_reached",
        FailReason::NotAllowed => "failed_not_allowed",
    };
    fields.extend(CancelledBy::ALL.map(|one| (by(one), json!(figures.cancelled(one)))));
    fields.extend(FailReason::ALL.map(|one| (why(one), json!(figures.failed(one)))));
    fields
}

fn object(queues: &Queues, (since, until): Period, is_cut: bool) -> Value {
    let time = |unix_ms: u64| timestamp(unix_ms).map(|at| at.to_string());
    let queue = |((tenant, queue), figures): (&(String, String), &Figures)| {
        let mut object = json!({ "tenant": tenant, "queue": queue });
        for (name, value) in fields(figures) {
            object[name] = value;
        }
        object
    };
    json!({
        "since": time(since),
        "until": time(until),
        "is_cut": is_cut,
        "queues": queues.iter().map(queue).collect::<Vec<_>>(),
    })
}

/// A line of names, then a line a queue; what is not known is empty. Ids hold neither commas nor quotes.
fn csv(queues: &Queues) -> String {
    let line = |cells: Vec<String>| format!("{}\n", cells.join(","));
    let head = fields(&Figures::default()).into_iter().map(|(name, _)| name.to_owned());
    let mut text = line(["tenant".to_owned(), "queue".to_owned()].into_iter().chain(head).collect());
    for ((tenant, queue), figures) in queues {
        let cell = |(_, value): Field| if value.is_null() { String::new() } else { value.to_string() };
        let cells = fields(figures).into_iter().map(cell);
        text.push_str(&line([tenant.clone(), queue.clone()].into_iter().chain(cells).collect()));
    }
    text
}

#[cfg(test)]
mod tests;
