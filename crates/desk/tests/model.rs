//! Hours and slots against a plain model: a year, minute by minute, read off the wall clock.
//!
//! The model knows no search, no edges and no rules of a zone: it writes down what the clock shows at each minute and
//! looks the minute up.
#![expect(clippy::unwrap_used, reason = "a test file as a whole; the lint knows only `#[test]` functions")]

use std::collections::BTreeMap;
use std::time::Duration;

use desk::{Day, DaySpan, Holidays, Hours, Opening, SlotRefusal, SlotRules, Slots, Taken};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ZONES: [&str; 5] = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];
const YEARS: u64 = 10;
const WINDOWS_A_YEAR: u64 = 40;
const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: usize = 1_440;
/// A year and more than the longest way to the next opening in it.
const MINUTES: usize = 400 * DAY_MINUTES;

/// Easter Sundays from 2020 to 2030.
const EASTER: [(i8, i8); 11] =
    [(4, 12), (4, 4), (4, 17), (4, 9), (3, 31), (4, 20), (4, 5), (3, 28), (4, 16), (4, 1), (4, 21)];

/// What was asked for, as plain lists.
struct Site {
    zone: &'static str,
    week: Vec<Opening>,
    exceptions: BTreeMap<Day, Vec<DaySpan>>,
    has_holidays: bool,
}

/// The year, minute by minute.
struct Model {
    start_ms: u64,
    /// What the clock shows.
    local: Vec<DateTime>,
    open: Vec<bool>,
    /// Minutes from the opening of each span the minute is in.
    since_opening: Vec<Vec<i64>>,
}

fn any_span(rng: &mut StdRng) -> DaySpan {
    let from_minute = rng.random_range(0..1_440);
    let to_minute = match rng.random_range(0..4) {
        0 => rng.random_range(0..=1_440),
        _ => (from_minute + rng.random_range(1..600)).min(1_440),
    };
    // Openings about the hours at which clocks are changed come often.
    let from_minute = if rng.random_ratio(1, 4) { rng.random_range(0..240) } else { from_minute };
    DaySpan { from_minute, to_minute }
}

impl Site {
    fn any(rng: &mut StdRng, zone: &'static str, year: i16) -> Self {
        let mut week = Vec::new();
        for weekday in 0..7 {
            for _ in 0..[0, 1, 1, 2, 3][rng.random_range(0..5)] {
                let DaySpan { from_minute, to_minute } = any_span(rng);
                week.push(Opening { weekday, from_minute, to_minute });
            }
        }
        let mut exceptions = BTreeMap::new();
        for _ in 0..rng.random_range(0..60) {
            let Some(day) = Day::new(year, rng.random_range(1..=12), rng.random_range(1..=31)) else { continue };
            let spans = (0..rng.random_range(0..3)).map(|_| any_span(rng)).collect();
            exceptions.insert(day, spans);
        }
        Self { zone, week, exceptions, has_holidays: rng.random() }
    }

    fn hours(&self) -> Hours {
        let hours = Hours::new(self.zone, self.week.clone()).unwrap();
        let hours = if self.has_holidays { hours.with_holidays(Holidays::France) } else { hours };
        let except = |hours: Hours, (day, spans): (&Day, &Vec<DaySpan>)| hours.with_exception(*day, spans.clone());
        self.exceptions.iter().try_fold(hours, except).unwrap()
    }

    /// The spans that open on a date.
    fn spans(&self, date: jiff::civil::Date) -> Vec<DaySpan> {
        let day = Day::new(date.year(), date.month(), date.day()).unwrap();
        if let Some(spans) = self.exceptions.get(&day) {
            return spans.clone();
        }
        if self.has_holidays && is_holiday(date) {
            return Vec::new();
        }
        let weekday = date.weekday().to_monday_zero_offset();
        let today = self.week.iter().filter(|opening| i16::from(opening.weekday) == i16::from(weekday));
        today.map(|opening| DaySpan { from_minute: opening.from_minute, to_minute: opening.to_minute }).collect()
    }
}

fn is_holiday(date: jiff::civil::Date) -> bool {
    let (month, day) = EASTER[usize::try_from(date.year() - 2020).unwrap()];
    let easter = jiff::civil::date(date.year(), month, day);
    let days = date.since((jiff::Unit::Day, easter)).unwrap().get_days();
    let fixed = [(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)];
    [1, 39, 50].contains(&days) || fixed.contains(&(date.month(), date.day()))
}

impl Model {
    fn new(site: &Site, year: i16) -> Self {
        let start = jiff::civil::date(year, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let start_ms = u64::try_from(start.as_millisecond()).unwrap();
        let zone = TimeZone::get(site.zone).unwrap();
        let mut model = Self { start_ms, local: Vec::new(), open: Vec::new(), since_opening: Vec::new() };
        let mut spans: BTreeMap<jiff::civil::Date, Vec<DaySpan>> = BTreeMap::new();
        for minute in 0..MINUTES {
            let at = Timestamp::from_millisecond(i64::try_from(model.ms(minute)).unwrap()).unwrap();
            let local = zone.to_datetime(at);
            let mut since = Vec::new();
            let clock = i64::from(local.hour()) * 60 + i64::from(local.minute());
            for (date, clock) in [(local.date(), clock), (local.date().yesterday().unwrap(), clock + 1_440)] {
                for span in spans.entry(date).or_insert_with(|| site.spans(date)) {
                    let (from, to) = (i64::from(span.from_minute), i64::from(span.to_minute));
                    let to = if to > from { to } else { to + 1_440 };
                    if from <= clock && clock < to {
                        since.push(clock - from);
                    }
                }
            }
            model.local.push(local);
            model.open.push(!since.is_empty());
            model.since_opening.push(since);
        }
        model
    }

    fn ms(&self, minute: usize) -> u64 {
        self.start_ms + u64::try_from(minute).unwrap() * MINUTE_MS
    }

    /// Minutes about which the door or the clock moves.
    fn is_lively(&self, minute: usize) -> bool {
        let moved = |at: usize| {
            self.open[at - 1] != self.open[at] || self.local[at].duration_since(self.local[at - 1]).as_mins() != 1
        };
        (minute.max(3) - 2..(minute + 3).min(MINUTES)).any(moved)
    }

    /// Whether a slot may start at this minute if nobody takes it and it is not too near or too far.
    fn is_offered(&self, minute: usize, rules: &SlotRules) -> bool {
        let every = i64::try_from(rules.every.as_secs() / 60).unwrap();
        let on_grid = self.since_opening[minute].iter().any(|since| since % every == 0);
        let is_second = (minute.saturating_sub(180)..minute).any(|earlier| self.local[earlier] == self.local[minute]);
        let needed = rules.length.max(rules.refuse_before_close).as_secs().div_ceil(60);
        let end = minute + usize::try_from(needed).unwrap();
        on_grid && !is_second && (minute..end).all(|at| self.open[at])
    }
}

#[test]
fn opening_and_closing_are_found_where_the_clock_shows_them() {
    for seed in 0..YEARS {
        let mut rng = StdRng::seed_from_u64(seed);
        let zone = ZONES[usize::try_from(seed).unwrap() % ZONES.len()];
        let year = rng.random_range(2020..=2028);
        let site = Site::any(&mut rng, zone, year);
        let (hours, model) = (site.hours(), Model::new(&site, year));
        let (mut next_open, mut next_closed, mut next_opening) = (None, None, None);
        for minute in (0..MINUTES).rev() {
            let here = model.ms(minute);
            let at = here + rng.random_range(0..MINUTE_MS);
            let context = || format!("seed {seed}: {zone} at {}, minute {minute}", model.local[minute]);
            assert_eq!(hours.is_open(at), model.open[minute], "is_open, {}", context());
            let is_open = model.open[minute];
            if is_open {
                next_open = Some(here);
            } else {
                next_closed = Some(here);
            }
            if minute % 61 == 0 || model.is_lively(minute) {
                // What the model has not seen by the end of its time, it cannot know.
                let known = |found: Option<u64>| found.filter(|found| *found < model.ms(MINUTES));
                let first_open = if is_open { Some(at) } else { next_open };
                assert_eq!(known(hours.next_instant_open(at)), first_open, "next_instant_open, {}", context());
                let closes = if is_open { next_closed } else { None };
                assert_eq!(known(hours.closes_at(at)), closes, "closes_at, {}", context());
                assert_eq!(known(hours.next_opening(at)), next_opening, "next_opening, {}", context());
            }
            if is_open && minute > 0 && !model.open[minute - 1] {
                next_opening = Some(here);
            }
        }
    }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

fn any_rules(rng: &mut StdRng) -> SlotRules {
    SlotRules {
        every: minutes([1, 5, 7, 15, 15, 30, 60, 90][rng.random_range(0..8)]),
        length: minutes([1, 10, 15, 30, 60][rng.random_range(0..5)]),
        lead: minutes(rng.random_range(0..90)),
        horizon: minutes(rng.random_range(90..20 * 1_440)),
        buffer: minutes([0, 0, 5, 20][rng.random_range(0..4)]),
        seats: rng.random_range(1..4),
        refuse_before_close: minutes([0, 0, 10, 45][rng.random_range(0..4)]),
        asap_before_close: Duration::ZERO,
    }
}

/// Seats left all through a slot and its buffer, counted at every minute of it.
fn seats_left(start_ms: u64, rules: &SlotRules, taken: &Taken) -> u32 {
    let busy_ms = u64::try_from((rules.length + rules.buffer).as_millis()).unwrap();
    let at = |moment: u64| {
        let busy = taken.iter().filter(|(start, _)| **start <= moment && moment < **start + busy_ms);
        busy.map(|(_, seats)| *seats).sum::<u32>()
    };
    let crowd = (start_ms..start_ms + busy_ms).step_by(60_000).map(at).max().unwrap();
    rules.seats.saturating_sub(crowd)
}

/// Rules, what is taken, and a stretch of the year to list.
struct Window {
    rules: SlotRules,
    taken: Taken,
    /// In minutes of the model.
    from: usize,
    to: usize,
    now_ms: u64,
}

impl Window {
    /// Often about a change of the clock.
    fn any(rng: &mut StdRng, model: &Model, changes: &[usize]) -> Self {
        let from = match rng.random_range(0..=changes.len()) {
            chosen if chosen < changes.len() => changes[chosen].saturating_sub(rng.random_range(1..2_000)).max(200),
            _ => rng.random_range(200..360 * DAY_MINUTES),
        };
        let to = from + rng.random_range(1..4_000);
        let now = from.saturating_sub(rng.random_range(0..200)) + rng.random_range(0..300);
        let now_ms = model.ms(now) - rng.random_range(0..2) * rng.random_range(0..MINUTE_MS);
        let taken = (0..rng.random_range(0..40))
            .map(|_| (model.ms(rng.random_range(from..to)), rng.random_range(1..3)))
            .collect();
        Self { rules: any_rules(rng), taken, from, to, now_ms }
    }

    /// All pages of the list.
    fn listed(&self, slots: &Slots, model: &Model) -> Vec<(u64, u32)> {
        let (mut listed, mut next) = (Vec::new(), Some(model.ms(self.from)));
        while let Some(start) = next {
            let page = slots.list(start, model.ms(self.to), self.now_ms, &self.taken);
            assert!(page.slots.len() <= Slots::LIST_MAX);
            assert!(page.more_from_ms.is_none_or(|more| more > start));
            listed.extend(page.slots.iter().map(|slot| (slot.start_ms, slot.seats_left)));
            next = page.more_from_ms;
        }
        listed
    }

    /// The seats left at a minute, or why there is none.
    fn verdict(&self, model: &Model, minute: usize) -> Result<u32, SlotRefusal> {
        let at = model.ms(minute);
        let wait = Duration::from_millis(at.saturating_sub(self.now_ms));
        if at < self.now_ms {
            Err(SlotRefusal::Past)
        } else if wait > self.rules.horizon || !model.is_offered(minute, &self.rules) {
            Err(SlotRefusal::OutsideHours)
        } else if wait < self.rules.lead {
            Err(SlotRefusal::Gone)
        } else {
            Ok(seats_left(at, &self.rules, &self.taken))
        }
    }
}

#[test]
fn slots_are_listed_and_judged_as_found_by_trying_every_minute() {
    let mut listed_in_all = 0;
    for seed in 0..YEARS {
        let mut rng = StdRng::seed_from_u64(seed);
        let zone = ZONES[usize::try_from(seed).unwrap() % ZONES.len()];
        let year = rng.random_range(2020..=2028);
        let site = Site::any(&mut rng, zone, year);
        let model = Model::new(&site, year);
        let is_change = |at: &usize| model.local[*at].duration_since(model.local[at - 1]).as_mins() != 1;
        let changes: Vec<usize> = (1..365 * DAY_MINUTES).filter(is_change).collect();
        for number in 0..WINDOWS_A_YEAR {
            let window = Window::any(&mut rng, &model, &changes);
            let slots = Slots::new(site.hours(), window.rules).unwrap();
            let context = format!("seed {seed}, window {number}: {zone}, {:?}, now {}", window.rules, window.now_ms);
            let mut expected = Vec::new();
            for minute in window.from..window.to {
                let (at, local) = (model.ms(minute), model.local[minute]);
                let verdict = window.verdict(&model, minute);
                expected.extend(verdict.map(|seats_left| (at, seats_left)));
                let verdict = verdict.and_then(|left| if left == 0 { Err(SlotRefusal::Gone) } else { Ok(left) });
                let judged = slots.judge(at, window.now_ms, &window.taken).map(|slot| slot.seats_left);
                assert_eq!(judged, verdict, "judge at {local}, {context}");
                let between = at + rng.random_range(1..MINUTE_MS);
                let judged = slots.judge(between, window.now_ms, &window.taken);
                assert!(judged.is_err(), "judge between {local} and the next minute, {context}");
            }
            assert_eq!(window.listed(&slots, &model), expected, "{context}");
            listed_in_all += expected.len();
        }
    }
    assert!(listed_in_all > 10_000, "the windows hold slots: {listed_in_all}");
}
