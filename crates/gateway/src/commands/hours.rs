//! `passerelle hours`: when each queue is open in the next days, as holidays and exceptions make it.

use std::path::PathBuf;
use std::process::ExitCode;

use desk::{Because, Day, DayPlan, DaySpan, Hours};
use serde_json::{Value, json};

use super::said;
use crate::clock;
use crate::config;
use crate::config::checked::Queue;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Of this configuration; `None`: the demo's.
    pub(crate) config: Option<PathBuf>,
    /// This queue alone.
    pub(crate) queue: Option<String>,
    /// The first day; `None`: today.
    pub(crate) from: Option<Day>,
    /// How many.
    pub(crate) days: u16,
    /// For a program.
    pub(crate) json: bool,
}

/// Prints them.
pub(crate) fn hours(ask: &Ask) -> ExitCode {
    said(told(ask, clock::unix_ms()))
}

fn told(ask: &Ask, now: u64) -> Result<String, String> {
    let queues = config::queues(ask.config.as_deref()).map_err(|errors| format!("{errors}\n"))?;
    let wanted = |queue: &Queue| {
        ask.queue.as_ref().is_none_or(|name| *name == queue.id || *name == format!("{}/{}", queue.tenant, queue.id))
    };
    let found: Vec<&Queue> = queues.iter().filter(|queue| wanted(queue)).collect();
    if let (true, Some(name)) = (found.is_empty(), &ask.queue) {
        let known: Vec<String> = queues.iter().map(|queue| format!("{}/{}", queue.tenant, queue.id)).collect();
        return Err(format!("passerelle: there is no queue \"{name}\": there is {}\n", known.join(", ")));
    }
    if found.is_empty() {
        return Ok("No queue is configured.\n".to_owned());
    }
    if ask.json {
        return Ok(found.iter().map(|queue| format!("{}\n", object(queue, ask, now))).collect());
    }
    let texts: Vec<String> = found.iter().map(|queue| text(queue, ask, now)).collect();
    Ok(texts.join("\n"))
}

/// The days asked for, each with what opens on it.
fn days<'h>(hours: &'h Hours, ask: &Ask, now: u64) -> impl Iterator<Item = (Day, DayPlan)> + use<'h> {
    let first = ask.from.or_else(|| hours.zone().day(now));
    std::iter::successors(first, |day| day.tomorrow()).take(usize::from(ask.days)).map(|day| (day, hours.plan(day)))
}

fn text(queue: &Queue, ask: &Ask, now: u64) -> String {
    let name = format!("{}/{}", queue.tenant, queue.id);
    let Some(hours) = &queue.hours else { return format!("{name}: always open\n") };
    let mut text = format!("{name}, {}: {}\n", hours.zone().name(), at_present(hours, now));
    for (day, plan) in days(hours, ask, now) {
        let spans: Vec<String> = plan.spans.iter().map(span).collect();
        let spans = if spans.is_empty() { "closed".to_owned() } else { spans.join(", ") };
        let line = format!(
            "{} {day}  {spans}{}",
            weekday(day),
            because(&plan).map_or_else(String::new, |why| format!("  ({why})"))
        );
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn at_present(hours: &Hours, now: u64) -> String {
    let shown = |at: u64| hours.zone().rfc3339(at).unwrap_or_default();
    match (hours.is_open(now), hours.closes_at(now), hours.next_opening(now)) {
        (true, Some(at), _) => format!("open now, closes at {}", shown(at)),
        (true, None, _) => "open now, and for more than a year".to_owned(),
        (false, _, Some(at)) => format!("closed now, opens at {}", shown(at)),
        (false, _, None) => "closed now, and for more than a year".to_owned(),
    }
}

fn because(plan: &DayPlan) -> Option<String> {
    plan.because.map(|because| match because {
        Because::Holiday(holiday) => holiday.name().to_owned(),
        Because::Exception => "exception".to_owned(),
    })
}

fn weekday(day: Day) -> &'static str {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].get(usize::from(day.weekday())).copied().unwrap_or("?")
}

/// `08:00-22:00`
fn span(span: &DaySpan) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}-{}", time(span.from_minute), time(span.to_minute))
}

fn object(queue: &Queue, ask: &Ask, now: u64) -> Value {
    let days = queue.hours.as_ref().map(|hours| {
        let day = |(day, plan): (Day, DayPlan)| {
            json!({
                "day": day.to_string(),
                "open": plan.spans.iter().map(span).collect::<Vec<_>>(),
                "because": because(&plan),
            })
        };
        days(hours, ask, now).map(day).collect::<Vec<_>>()
    });
    let hours = queue.hours.as_ref();
    json!({
        "tenant": queue.tenant,
        "queue": queue.id,
        "zone": hours.map(|hours| hours.zone().name()),
        "open_now": hours.is_none_or(|hours| hours.is_open(now)),
        "days": days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[tenant]]
id = "shop"
origins = ["https://www.shop.example"]
tag_key_file = "/nowhere/at/all"
[[queue]]
id = "support"
tenant = "shop"
dial = "echo"
hours = "shop"
[[queue]]
id = "night"
tenant = "shop"
dial = "echo"
[[hours]]
id = "shop"
zone = "Europe/Paris"
week = { mon-fri = ["14:00-18:00", "09:00-12:00"] }
holidays = "fr"
exceptions = { 2026-12-24 = ["09:00-12:00"], 2026-12-28 = [] }
"#;
    /// Wednesday, 23 December 2026, 10:00 in Paris.
    const NOW: u64 = 1_798_016_400_000;

    /// What is printed, be it the days or what is wrong.
    fn printed(text: &str, of: impl FnOnce(&mut Ask)) -> String {
        let name = format!("passerelle-hours-{}-{:?}.toml", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let mut ask = Ask { config: Some(path.clone()), queue: None, from: None, days: 14, json: false };
        of(&mut ask);
        let answer = told(&ask, NOW);
        std::fs::remove_file(&path).unwrap();
        answer.unwrap_or_else(|error| format!("ERROR {error}"))
    }

    #[test]
    fn a_week_of_christmas_is_shown_without_reading_a_secret() {
        let shown = printed(TEXT, |ask| ask.days = 6);
        let expected = "\
shop/support, Europe/Paris: open now, closes at 2026-12-23T12:00:00+01:00
  Wed 2026-12-23  09:00-12:00, 14:00-18:00
  Thu 2026-12-24  09:00-12:00  (exception)
  Fri 2026-12-25  closed  (Christmas Day)
  Sat 2026-12-26  closed
  Sun 2026-12-27  closed
  Mon 2026-12-28  closed  (exception)

shop/night: always open
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn one_queue_can_be_asked_for_from_a_day_on_and_as_json() {
        let shown = printed(TEXT, |ask| {
            ask.queue = Some("shop/support".to_owned());
            ask.from = Some("2027-01-01".parse().unwrap());
            ask.json = true;
        });
        let object: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(object["days"][0], json!({ "day": "2027-01-01", "open": [], "because": "New Year's Day" }));
        assert_eq!((object["days"].as_array().map(Vec::len), &object["open_now"]), (Some(14), &json!(true)));
        let error = printed(TEXT, |ask| ask.queue = Some("sales".to_owned()));
        assert_eq!(error, "ERROR passerelle: there is no queue \"sales\": there is shop/support, shop/night\n");
    }

    #[test]
    fn a_mistake_in_the_hours_is_named_with_its_place() {
        let error = printed(&TEXT.replace("2026-12-28 =", "2026-12-32 ="), |_| {});
        assert!(error.starts_with("ERROR") && error.contains(":20:46: `2026-12-32` is not a date"), "{error}");
        let error = printed(&TEXT.replace("holidays", "holydays"), |_| {});
        assert!(error.contains("unknown key `holydays`"), "{error}");
    }
}
