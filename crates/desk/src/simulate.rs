//! What an order of service would have made of given arrivals: a day, or a year, of call-backs served by so many agents.
//!
//! ```text
//! asked ──► due ──────── waits in the order's line ────────► an agent takes it ──► handled, the agent is free
//!            └────────────────── its delay ──────────────────┘
//! ```
//! An agent who is free takes whoever is first at that moment; nobody is taken before he is due. Agents are alike and
//! always there: hours, breaks and pauses between two tries are not played, so that only the order differs between two
//! runs. Randomness is a seed, and only where arrivals are made up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::callback::{Order, Satisfaction, Waiting};
use crate::{CallbackId, Spread};

#[cfg(test)]
mod tests;

/// Agents that are played; more than this serve everybody at once.
const AGENTS_MAX: usize = 10_000;

/// One call-back that was, or might be, asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// When it was asked for: its place.
    pub asked_unix_ms: u64,
    /// From when on it may be served: the promised moment.
    pub due_unix_ms: u64,
    /// 0 for everybody; more for customers who go first.
    pub priority: u8,
    /// How long it keeps an agent: his ringing, theirs, the talk.
    pub handling: Duration,
}

/// An agent took one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// Which of the arrivals.
    pub arrival: usize,
    /// When.
    pub at_unix_ms: u64,
}

/// The turns in which so many agents (one at least) would have served these arrivals in this order.
pub fn serve(arrivals: &[Arrival], agents: usize, order: Order) -> Vec<Turn> {
    let mut by_due: Vec<(u64, usize)> = arrivals.iter().enumerate().map(|(at, one)| (one.due_unix_ms, at)).collect();
    by_due.sort_unstable();
    let mut coming = by_due.into_iter().peekable();
    let mut waiting = Waiting::new(order);
    let mut free = agents.clamp(1, AGENTS_MAX);
    let mut busy_until: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    let mut turns = Vec::with_capacity(arrivals.len());
    while let Some(now) = next_event(coming.peek().map(|(due, _)| *due), busy_until.peek().map(|until| until.0)) {
        while let Some((_, at)) = coming.next_if(|(due, _)| *due <= now) {
            if let Some(one) = arrivals.get(at) {
                let since = order.counts_from(one.asked_unix_ms, one.due_unix_ms);
                waiting.add(name(at), since, one.priority);
            }
        }
        while busy_until.peek().is_some_and(|until| until.0 <= now) {
            busy_until.pop();
            free += 1;
        }
        while free > 0
            && let Some(first) = waiting.first(now)
        {
            waiting.remove(first);
            let Some((at, one)) = index(first).and_then(|at| Some((at, arrivals.get(at)?))) else { continue };
            let lasts = u64::try_from(one.handling.as_millis()).unwrap_or(u64::MAX);
            busy_until.push(Reverse(now.saturating_add(lasts)));
            free -= 1;
            turns.push(Turn { arrival: at, at_unix_ms: now });
        }
    }
    turns
}

fn next_event(due: Option<u64>, free: Option<u64>) -> Option<u64> {
    match (due, free) {
        (Some(due), Some(free)) => Some(due.min(free)),
        (one, other) => one.or(other),
    }
}

fn name(at: usize) -> CallbackId {
    CallbackId::new(u128::try_from(at).unwrap_or(u128::MAX))
}

fn index(id: CallbackId) -> Option<usize> {
    usize::try_from(id.bits()).ok()
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The delays of all, from due to an agent, in milliseconds; `None` when nobody came.
    pub all: Option<Spread>,
    /// The same by priority.
    pub by_priority: BTreeMap<u8, Spread>,
    /// The loss of satisfaction by the curve, 0 to 1, on average.
    pub loss: f64,
    /// The same by priority.
    pub loss_by_priority: BTreeMap<u8, f64>,
}

impl Outlook {
    /// Of these turns; the curve is the assumption the loss rests on.
    pub fn of(arrivals: &[Arrival], turns: &[Turn], curve: Satisfaction) -> Self {
        let mut delays: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
        let mut losses: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
        for (priority, delay) in waits(arrivals, turns) {
            delays.entry(priority).or_default().push(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
            losses.entry(priority).or_default().push(curve.loss(delay));
        }
        Self {
            all: Spread::of(delays.values().flatten().copied()),
            by_priority: delays
                .into_iter()
                .filter_map(|(priority, all)| Spread::of(all).map(|spread| (priority, spread)))
                .collect(),
            loss: mean(losses.values().flatten()),
            loss_by_priority: losses.iter().map(|(priority, all)| (*priority, mean(all))).collect(),
        }
    }
}

/// Each turn's priority and delay, in the order of the turns.
pub fn waits(arrivals: &[Arrival], turns: &[Turn]) -> impl Iterator<Item = (u8, Duration)> {
    turns.iter().filter_map(|turn| {
        let one = arrivals.get(turn.arrival)?;
        Some((one.priority, Duration::from_millis(turn.at_unix_ms.saturating_sub(one.due_unix_ms))))
    })
}

fn mean<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

/// A made-up day for so many agents, for who has no arrivals of his own: from `opens_unix_ms` on for twelve hours, fuller
/// in the middle of the morning and of the afternoon than the agents can serve; one in five has priority 1, one in four
/// chose a slot. Handling takes four minutes on average, a few take long.
pub fn made_up_day(opens_unix_ms: u64, agents: usize, seed: u64) -> Vec<Arrival> {
    const HOUR_MS: f64 = 3_600_000.0;
    const SLOT_MS: u64 = 15 * 60_000;
    /// Arrivals in each hour, as a share of what the agents can serve in it.
    const LOAD: [f64; 12] = [0.4, 0.8, 1.25, 1.1, 0.7, 0.5, 0.8, 1.2, 1.25, 0.9, 0.6, 0.3];
    let agents = u32::try_from(agents.clamp(1, AGENTS_MAX)).unwrap_or(1);
    let mut rng = StdRng::seed_from_u64(seed);
    let exponential = |rng: &mut StdRng, mean: f64| -mean * rng.random_range(f64::EPSILON..1.0_f64).ln();
    let mut arrivals = Vec::new();
    for (hour, load) in (0_u32..).zip(LOAD) {
        let pause_ms = MADE_UP_HANDLING.as_secs_f64() * 1_000.0 / (f64::from(agents) * load);
        let mut at_ms = exponential(&mut rng, pause_ms);
        while at_ms < HOUR_MS {
            let into_the_day = Duration::from_secs_f64((f64::from(hour) * HOUR_MS + at_ms) / 1_000.0);
            let asked_unix_ms = opens_unix_ms.saturating_add(u64::try_from(into_the_day.as_millis()).unwrap_or(0));
            let later = rng.random_ratio(1, 4).then(|| rng.random_range(1..=8_u64));
            let slot = |slots: u64| (asked_unix_ms / SLOT_MS + slots) * SLOT_MS;
            let floor = MADE_UP_HANDLING.as_secs_f64() / 4.0;
            arrivals.push(Arrival {
                asked_unix_ms,
                due_unix_ms: later.map_or(asked_unix_ms, slot),
                priority: u8::from(rng.random_ratio(1, 5)),
                handling: Duration::from_secs_f64(floor + exponential(&mut rng, 3.0 * floor)),
            });
            at_ms += exponential(&mut rng, pause_ms);
        }
    }
    arrivals
}

/// Mean handling time of a made-up day, and of call-backs nothing is known of.
pub const MADE_UP_HANDLING: Duration = Duration::from_secs(240);
