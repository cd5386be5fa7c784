//! `passerelle simulate`: what each order of service would have made of the arrivals that were, side by side.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use desk::simulate::{self, Arrival, Outlook, Turn};
use desk::{Order, Satisfaction, Spread};
use serde_json::{Value, json};

use super::calls::span;
use super::listing::{self, Source};
use super::period::Moment;
use super::said;

mod arrivals;
mod plot;

use arrivals::Loaded;
use plot::{Panel, Trace};

/// What is to be simulated.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Whose arrivals.
    pub(crate) from: From,
    /// How many agents; `None`: as many as there were.
    pub(crate) agents: Option<usize>,
    /// This order alone.
    pub(crate) only: Option<OrderName>,
    /// Of one step of priority.
    pub(crate) head_start: Duration,
    /// What waiting costs: an assumption.
    pub(crate) curve: Satisfaction,
    /// Of what is drawn.
    pub(crate) seed: u64,
    /// Where to write the picture.
    pub(crate) plot: Option<PathBuf>,
    /// For a program.
    pub(crate) json: bool,
}

/// Where arrivals come from.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// Those the store knows.
    Book { source: Source, tenant: Option<String>, queue: Option<String>, since: Moment },
    /// Those of a file.
    File(PathBuf),
    /// A made-up day.
    MadeUp,
}

/// The orders by their names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum OrderName {
    /// By the time they asked
    Fifo,
    /// Priority is a head start
    Priority,
    /// First whoever loses most by waiting on
    Satisfaction,
}

impl OrderName {
    const ALL: [Self; 3] = [Self::Fifo, Self::Priority, Self::Satisfaction];

    const fn order(self, ask: &Ask) -> Order {
        match self {
            Self::Fifo => Order::Fifo,
            Self::Priority => Order::Priority { head_start: ask.head_start },
            Self::Satisfaction => Order::Satisfaction(ask.curve),
        }
    }
}

/// Prints the comparison.
pub(crate) fn simulate(ask: &Ask) -> ExitCode {
    said(simulated(ask))
}

fn simulated(ask: &Ask) -> Result<String, String> {
    if ask.curve.late < ask.curve.soon {
        return Err("passerelle: --late-minutes is less than --soon-minutes: give the longer wait there\n".to_owned());
    }
    let loaded = arrivals::load(ask)?;
    if loaded.arrivals.is_empty() && !ask.json {
        let other = "`--arrivals FILE.csv` takes them from a file, `--synthetic` makes up a day.";
        return Ok(format!("No call-backs {}. {other}\n", loaded.what));
    }
    let agents = ask.agents.or(loaded.agents).unwrap_or(arrivals::AGENTS);
    let runs: Vec<Run> = OrderName::ALL
        .into_iter()
        .filter(|name| ask.only.is_none_or(|only| only == *name))
        .map(|name| Run::of(name.order(ask), &loaded.arrivals, agents, ask.curve))
        .collect();
    let heading = heading(&loaded, agents, &runs);
    let written = match &ask.plot {
        Some(path) => {
            let svg = plot::svg(&heading, &panels(&loaded.arrivals, &runs));
            std::fs::write(path, svg)
                .map_err(|error| format!("passerelle: {} cannot be written: {error}\n", path.display()))?;
            format!("\nThe picture is in {}.\n", path.display())
        }
        None => String::new(),
    };
    if ask.json {
        return Ok(format!("{}\n", object(ask, &loaded, agents, &runs)));
    }
    let bars = panels(&loaded.arrivals, &runs).first().map(plot::bars).unwrap_or_default();
    Ok(format!("{heading}\n\n{}\n{bars}\n{}{written}", table(&runs), notes(ask, &loaded)))
}

/// One order's run.
struct Run {
    order: Order,
    turns: Vec<Turn>,
    outlook: Outlook,
}

impl Run {
    fn of(order: Order, arrivals: &[Arrival], agents: usize, curve: Satisfaction) -> Self {
        let turns = simulate::serve(arrivals, agents, order);
        let outlook = Outlook::of(arrivals, &turns, curve);
        Self { order, turns, outlook }
    }

    /// When the last one is done with.
    fn ends_unix_ms(&self, arrivals: &[Arrival]) -> u64 {
        let end = |turn: &Turn| {
            let lasts = arrivals.get(turn.arrival).map_or(0, |one| one.handling.as_millis());
            turn.at_unix_ms.saturating_add(u64::try_from(lasts).unwrap_or(u64::MAX))
        };
        self.turns.iter().map(end).max().unwrap_or(0)
    }
}

fn heading(loaded: &Loaded, agents: usize, runs: &[Run]) -> String {
    let first = loaded.arrivals.iter().map(|one| one.due_unix_ms).min().unwrap_or(0);
    let last = runs.first().map_or(0, |run| run.ends_unix_ms(&loaded.arrivals));
    let worked: f64 = loaded.arrivals.iter().map(|one| one.handling.as_secs_f64()).sum();
    let there = Duration::from_millis(last.saturating_sub(first)).as_secs_f64() * agents as f64;
    let busy = if there > 0.0 { 100.0 * worked / there } else { 0.0 };
    let (count, calls) = (loaded.arrivals.len(), if loaded.arrivals.len() == 1 { "call-back" } else { "call-backs" });
    let people = if agents == 1 { "1 agent".to_owned() } else { format!("{agents} agents") };
    format!("{count} {calls} {}; {people}, busy {busy:.0} % from the first to the last.", loaded.what)
}

/// The columns of the table.
const HEAD: [&str; 8] = ["ORDER", "WHO", "COUNT", "P50", "P90", "P99", "MAX", "LOSS"];

fn table(runs: &[Run]) -> String {
    let mut rows = Vec::new();
    for Run { order, outlook, .. } in runs {
        let Some(all) = &outlook.all else { continue };
        rows.push(row(order.code(), "all".to_owned(), all, outlook.loss));
        // One class alone is everybody.
        for (priority, spread) in outlook.by_priority.iter().filter(|_| outlook.by_priority.len() > 1) {
            let loss = outlook.loss_by_priority.get(priority).copied().unwrap_or_default();
            rows.push(row("", format!("priority {priority}"), spread, loss));
        }
    }
    listing::table(HEAD, &rows)
}

fn row(order: &str, who: String, spread: &Spread, loss: f64) -> [String; HEAD.len()] {
    let time = |ms: i64| span(ms.unsigned_abs());
    [
        order.to_owned(),
        who,
        spread.count.to_string(),
        time(spread.p50),
        time(spread.p90),
        time(spread.p99),
        time(spread.max),
        format!("{:.1} %", loss * 100.0),
    ]
}

/// What the figures rest on.
fn notes(ask: &Ask, loaded: &Loaded) -> String {
    let minutes = |duration: Duration| duration.as_secs() / 60;
    let Satisfaction { soon, late, loss_at_soon, loss_at_late, ceiling } = ask.curve;
    let mut text = format!(
        "Delay: from the promised moment (for \"as soon as possible\": from the asking) until an agent takes it.\n\
         Loss of satisfaction is an assumption: none at once, {} % after {} min, {} % after {} min and no more from there.\n\
         Priority: one step is a head start of {} min. Satisfaction: who has waited {} min goes first; priority is not \
         looked at.\n\
         Agents are alike and always there: hours, breaks and pauses between tries are not played.\n",
        loss_at_soon / 10,
        minutes(soon),
        loss_at_late / 10,
        minutes(late),
        minutes(ask.head_start),
        minutes(ceiling),
    );
    match (ask.agents, loaded.agents) {
        (None, Some(_)) => text.push_str("Agents: as many as there were. --agents N plays others.\n"),
        (None, None) => text.push_str(&format!(
            "Agents: nothing says how many there were, so {} are assumed. --agents N plays others.\n",
            arrivals::AGENTS
        )),
        (Some(_), _) => {}
    }
    for note in &loaded.notes {
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// The picture's parts: everybody, and each class when there are several.
fn panels(arrivals: &[Arrival], runs: &[Run]) -> Vec<Panel> {
    /// More are not told apart on one picture.
    const CLASSES_MAX: usize = 3;
    let traces = |of: Option<u8>| {
        let trace = |run: &Run| {
            let waits = simulate::waits(arrivals, &run.turns);
            let waits = waits.filter(|(priority, _)| of.is_none_or(|of| of == *priority));
            let delays = waits.map(|(_, delay)| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
            Trace::new(run.order, delays.collect())
        };
        runs.iter().map(trace).collect()
    };
    let mut panels = vec![Panel { title: "Everybody".to_owned(), traces: traces(None) }];
    let classes: Vec<u8> =
        runs.first().map(|run| run.outlook.by_priority.keys().copied().collect()).unwrap_or_default();
    if (2..=CLASSES_MAX).contains(&classes.len()) {
        panels.extend(
            classes
                .into_iter()
                .map(|priority| Panel { title: format!("Priority {priority}"), traces: traces(Some(priority)) }),
        );
    }
    panels
}

fn object(ask: &Ask, loaded: &Loaded, agents: usize, runs: &[Run]) -> Value {
    let figures = |spread: &Spread, loss: f64| {
        json!({
            "count": spread.count,
            "p50_ms": spread.p50,
            "p90_ms": spread.p90,
            "p99_ms": spread.p99,
            "max_ms": spread.max,
            "loss": loss,
        })
    };
    let run = |run: &Run| {
        let outlook = &run.outlook;
        let class = |(priority, spread): (&u8, &Spread)| {
            let loss = outlook.loss_by_priority.get(priority).copied().unwrap_or_default();
            json!({ "priority": priority, "figures": figures(spread, loss) })
        };
        json!({
            "order": run.order.code(),
            "all": outlook.all.as_ref().map(|all| figures(all, outlook.loss)),
            "by_priority": outlook.by_priority.iter().map(class).collect::<Vec<_>>(),
        })
    };
    json!({
        "arrivals": loaded.arrivals.len(),
        "what": loaded.what,
        "agents": agents,
        "seed": ask.seed,
        "assumed": {
            "head_start_s": ask.head_start.as_secs(),
            "soon_s": ask.curve.soon.as_secs(),
            "late_s": ask.curve.late.as_secs(),
            "ceiling_s": ask.curve.ceiling.as_secs(),
            "loss_at_soon": f64::from(ask.curve.loss_at_soon) / 1_000.0,
            "loss_at_late": f64::from(ask.curve.loss_at_late) / 1_000.0,
        },
        "notes": loaded.notes,
        "orders": runs.iter().map(run).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
