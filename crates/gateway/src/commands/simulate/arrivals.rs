//! Arrivals for a simulation: from the book and the records of its calls, from a file, or made up.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use desk::CallbackState;
use desk::simulate::{self, Arrival};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::{Home, KeptCallback, StoreError};

use super::{Ask, From};
use crate::clock;
use crate::commands::book::{Pages, READ_MAX, Tried};
use crate::commands::listing::{Source, local};

/// What a simulation starts from.
pub(super) struct Loaded {
    pub(super) arrivals: Vec<Arrival>,
    /// Whose they are: `asked for since … in …`.
    pub(super) what: String,
    /// Agents there were, where that is known.
    pub(super) agents: Option<usize>,
    /// What was left out, or assumed.
    pub(super) notes: Vec<String>,
}

/// Agents when nothing says how many.
pub(super) const AGENTS: usize = 3;

pub(super) fn load(ask: &Ask) -> Result<Loaded, String> {
    match &ask.from {
        From::Book { source, tenant, queue, since } => {
            let (zone, now) = (TimeZone::system(), clock::unix_ms());
            let period = (since.unix_ms(now, &zone), now);
            from_book(source, (tenant.as_deref(), queue.as_deref()), period, ask.seed, &zone)
        }
        From::File(path) => from_file(path, ask.seed),
        From::MadeUp => {
            let agents = ask.agents.unwrap_or(AGENTS);
            // A day like any other: which one does not matter.
            let arrivals = simulate::made_up_day(0, agents, ask.seed);
            let notes = vec![format!(
                "Nothing here is real: the day is made up (seed {}), as full as so many agents can just bear.",
                ask.seed
            )];
            Ok(Loaded { arrivals, what: "of a made-up day of twelve hours".to_owned(), agents: Some(agents), notes })
        }
    }
}

/// An arrival whose handling time may not be known.
type Half = (Arrival, Option<Duration>);

/// What was found in the book.
#[derive(Default)]
struct Found {
    halves: Vec<Half>,
    agents: BTreeSet<String>,
    left: usize,
    is_cut: bool,
}

fn from_book(
    source: &Source,
    (tenant, queue): (Option<&str>, Option<&str>),
    (since, now): (u64, u64),
    seed: u64,
    zone: &TimeZone,
) -> Result<Loaded, String> {
    let (home, runtime, shown) = source.open("the call-backs")?;
    let found = runtime
        .block_on(read(&*home, tenant, queue, (since, now)))
        .map_err(|error| format!("passerelle: the call-backs in {shown} cannot be read: {error}\n"))?;
    let mut notes = Vec::new();
    let arrivals = complete(found.halves, seed, &mut notes);
    if found.left > 0 {
        notes.push(format!("Left out: {} called off before anybody tried.", found.left));
    }
    if found.is_cut {
        notes.push(format!("The period holds more: only the newest {READ_MAX} were read."));
    }
    let of = match (tenant, queue) {
        (None, None) => String::new(),
        (tenant, queue) => format!(" of {}", [tenant, queue].into_iter().flatten().collect::<Vec<_>>().join("/")),
    };
    let agents = Some(found.agents.len()).filter(|agents| *agents > 0);
    let what = format!("asked for since {}{of} in {shown}", local(since, zone));
    Ok(Loaded { arrivals, what, agents, notes })
}

async fn read(
    home: &dyn Home,
    tenant: Option<&str>,
    queue: Option<&str>,
    (since, now): (u64, u64),
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let mut pages = Pages::new(home, tenant, since, now);
    while let Some(page) = pages.next().await? {
        for kept in page.iter().filter(|kept| queue.is_none_or(|queue| kept.callback.queue().0 == queue)) {
            note(home, kept, now, &mut found).await?;
        }
    }
    found.is_cut = pages.is_cut();
    Ok(found)
}

async fn note(home: &dyn Home, kept: &KeptCallback, now: u64, found: &mut Found) -> Result<(), StoreError> {
    let (callback, wish) = (&kept.callback, kept.callback.wish());
    if wish.promised_unix_ms > now {
        return Ok(());
    }
    if matches!(callback.state(), CallbackState::Cancelled(_)) && callback.attempts().is_empty() {
        found.left += 1;
        return Ok(());
    }
    let mut agent_ms: Option<u64> = None;
    for attempt in callback.attempts() {
        if !attempt.agent.is_empty() {
            found.agents.insert(attempt.agent.clone());
        }
        if let Some(tried) = Tried::read(home, kept, attempt).await? {
            agent_ms = Some(agent_ms.unwrap_or(0).saturating_add(tried.agent_ms()));
        }
    }
    let arrival = Arrival {
        asked_unix_ms: wish.asked_unix_ms,
        due_unix_ms: wish.promised_unix_ms,
        priority: wish.priority,
        handling: Duration::ZERO,
    };
    found.halves.push((arrival, agent_ms.map(Duration::from_millis)));
    Ok(())
}

/// Gives those whose handling time nobody knows one that has been.
fn complete(halves: Vec<Half>, seed: u64, notes: &mut Vec<String>) -> Vec<Arrival> {
    let known: Vec<Duration> = halves.iter().filter_map(|(_, handling)| *handling).collect();
    let unknown = halves.len() - known.len();
    match (known.len(), unknown) {
        (_, 0) => {}
        (0, _) => notes.push(format!(
            "No handling time is known: {} s are assumed for each.",
            simulate::MADE_UP_HANDLING.as_secs()
        )),
        (known, unknown) => notes.push(format!(
            "Handling times: {known} known; for the {unknown} others one of these is drawn (seed {seed})."
        )),
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut drawn = || match known.len() {
        0 => simulate::MADE_UP_HANDLING,
        count => known.get(rng.random_range(0..count)).copied().unwrap_or_default(),
    };
    let whole = |(arrival, handling): Half| Arrival { handling: handling.unwrap_or_else(&mut drawn), ..arrival };
    halves.into_iter().map(whole).collect()
}

/// A file longer than this is no list of arrivals.
const FILE_BYTES_MAX: u64 = 64 << 20;

fn from_file(path: &Path, seed: u64) -> Result<Loaded, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("passerelle: {shown} cannot be read: {error}\n");
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(format!("passerelle: {shown} is longer than {FILE_BYTES_MAX} bytes: give fewer arrivals\n"));
    }
    let lines: Vec<String> =
        BufReader::new(file.take(FILE_BYTES_MAX)).lines().collect::<Result<_, _>>().map_err(failed)?;
    let halves = rows(&lines).map_err(|(line, wrong)| format!("passerelle: {shown}:{line}: {wrong}\n"))?;
    let mut notes = Vec::new();
    let arrivals = complete(halves, seed, &mut notes);
    Ok(Loaded { arrivals, what: format!("in {shown}"), agents: None, notes })
}

const COLUMNS: [&str; 4] = ["asked", "promised", "priority", "handling_s"];

/// Which cell of a line each of the columns is.
type Places = [Option<usize>; COLUMNS.len()];

/// The arrivals of a file; or its first mistake, with its line.
fn rows(lines: &[String]) -> Result<Vec<Half>, (usize, String)> {
    let mut numbered = (1..).zip(lines).filter(|(_, line)| !line.trim().is_empty());
    let head = numbered.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
    let places = head_of(head).map_err(|wrong| (1, wrong))?;
    numbered.map(|(number, line)| half(line, &places).map_err(|wrong| (number, wrong))).collect()
}

fn head_of(line: &str) -> Result<Places, String> {
    let mut places = Places::default();
    for (at, name) in line.split(',').map(str::trim).enumerate() {
        let known = COLUMNS.iter().position(|column| *column == name);
        let place = known.and_then(|known| places.get_mut(known));
        let place = place.ok_or_else(|| format!("there is no column \"{name}\": write {}", COLUMNS.join(",")))?;
        if place.replace(at).is_some() {
            return Err(format!("the column \"{name}\" is named twice: leave one out"));
        }
    }
    match places {
        [Some(_), ..] => Ok(places),
        [None, ..] => Err("the column \"asked\" is missing: the first line names the columns".to_owned()),
    }
}

fn half(line: &str, places: &Places) -> Result<Half, String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [asked, promised, priority, handling] =
        places.map(|place| place.and_then(|at| cells.get(at)).copied().filter(|cell| !cell.is_empty()));
    let named = places.iter().flatten().count();
    if cells.len() != named {
        return Err(format!("{} cells where {named} columns are named", cells.len()));
    }
    let asked_unix_ms = moment(asked.unwrap_or_default(), "asked")?;
    let due_unix_ms = promised.map_or(Ok(asked_unix_ms), |text| moment(text, "promised"))?;
    let priority = priority.map_or(Ok(0), |text| {
        text.parse::<u8>().map_err(|_| format!("priority: \"{text}\" is no whole number from 0 to 255"))
    })?;
    let handling = handling.map(seconds).transpose()?;
    let arrival = Arrival {
        asked_unix_ms,
        due_unix_ms: due_unix_ms.max(asked_unix_ms),
        priority,
        handling: handling.unwrap_or_default(),
    };
    Ok((arrival, handling))
}

fn moment(text: &str, column: &str) -> Result<u64, String> {
    let at = text.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    at.ok_or_else(|| format!("{column}: \"{text}\" is no time: write it as 2026-11-01T08:00:00Z"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    const DAY_S: f64 = 86_400.0;
    let sound = text.parse::<f64>().ok().filter(|seconds| (0.0..=DAY_S).contains(seconds));
    sound.map(Duration::from_secs_f64).ok_or_else(|| format!("handling_s: \"{text}\" is not 0 to 86400 seconds"))
}

#[cfg(test)]
mod tests;
