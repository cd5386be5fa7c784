//! A year of call-backs on a simulated clock that is now and then an hour off: hours, holidays, exceptions and both
//! changes of the clock; nobody is rung early, at night or on a closed day, and nobody is forgotten.
#![expect(clippy::unwrap_used, reason = "a test file as a whole; the lint knows only `#[test]` functions")]

use std::collections::BTreeSet;
use std::time::Duration;

use call::{CallId, CallTags, QueueId, TagsDraft, TenantId};
use desk::{
    Because, Callback, CallbackId, CallbackState, CallingHours, Day, DaySpan, Holidays, Hours, Opening, Outcome,
    RetryRules, SlotRules, Slots, Taken, Wanted, Wish, Zone,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TICK_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;
const VISITORS: [&str; 5] =
    ["Europe/Paris", "Indian/Reunion", "America/Montreal", "Pacific/Auckland", "Australia/Lord_Howe"];
/// So long the moment a visitor chose is still the one he chose, whatever the hour.
const CHOSEN_FOR_MS: u64 = HOUR_MS;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// The hours of the articles' bank, and a desk in the night of Saturday to Sunday, when clocks are changed.
fn site() -> Hours {
    let open = |weekday, from: u16, to: u16| Opening { weekday, from_minute: from, to_minute: to };
    let mut week: Vec<Opening> = (0..5).map(|weekday| open(weekday, 8 * 60, 22 * 60)).collect();
    week.extend([open(5, 9 * 60, 17 * 60 + 30), open(6, 30, 6 * 60)]);
    let hours = Hours::new("Europe/Paris", week).unwrap().with_holidays(Holidays::France);
    let morning = DaySpan { from_minute: 9 * 60, to_minute: 12 * 60 };
    let hours = hours.with_exception(day("2026-12-24"), vec![morning]).unwrap();
    let hours = hours.with_exception(day("2026-07-14"), vec![morning]).unwrap();
    hours.with_exception(day("2026-12-31"), Vec::new()).unwrap()
}

struct Visitor {
    callback: Callback,
    quiet: CallingHours,
}

/// The year.
struct Year {
    rng: StdRng,
    site: Hours,
    slots: Slots,
    rules: RetryRules,
    taken: Taken,
    /// What the machine's clock shows.
    clock: u64,
    waiting: Vec<Visitor>,
    over: Vec<Callback>,
    /// The days on which somebody was rung, by the site's clock.
    rung_on: BTreeSet<String>,
}

impl Year {
    fn new(seed: u64) -> Self {
        let half_hour = Duration::from_secs(30 * 60);
        let rules = SlotRules {
            every: half_hour,
            length: half_hour,
            asap_before_close: Duration::from_secs(20 * 60),
            seats: 2,
            ..SlotRules::default()
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            site: site(),
            slots: Slots::new(site(), rules).unwrap(),
            rules: RetryRules::default(),
            taken: Taken::new(),
            clock: 0,
            waiting: Vec::new(),
            over: Vec::new(),
            rung_on: BTreeSet::new(),
        }
    }

    /// Somebody asks for now, or for a slot.
    fn ask(&mut self, id: u128) {
        let zone = Zone::named(VISITORS[self.rng.random_range(0..VISITORS.len())]).unwrap();
        let now = self.clock;
        let wanted = if self.slots.may_ask_now(now) && self.rng.random() {
            assert!(self.site.is_open_for(now, 20 * 60_000), "asked for at the closing");
            None
        } else {
            let from = now + self.rng.random_range(0..10 * 24 * HOUR_MS);
            let page = self.slots.list(from, from + 4 * 24 * HOUR_MS, now, &self.taken);
            let free: Vec<u64> =
                page.slots.iter().filter(|slot| slot.seats_left > 0).map(|slot| slot.start_ms).collect();
            let start = free[self.rng.random_range(0..free.len())];
            assert!(self.slots.judge(start, now, &self.taken).is_ok(), "what is listed may be had");
            *self.taken.entry(start).or_default() += 1;
            Some(Wanted::at(start, &zone).unwrap())
        };
        let promised = wanted.as_ref().map_or(now, |wanted| wanted.unix_ms);
        self.open_as_planned(promised);
        let wish = Wish {
            number: "+33612345678".to_owned(),
            promised_unix_ms: promised,
            wanted,
            zone: zone.name().to_owned(),
            consent: None,
            email: None,
            asked_unix_ms: now,
            priority: 0,
            told: None,
            customer: None,
            tags: tags(now),
        };
        let quiet = CallingHours::daily(zone, CallingHours::USUAL).unwrap();
        self.waiting.push(Visitor { callback: Callback::new(CallbackId::new(id), wish), quiet });
    }

    /// Open at this moment, and on a day whose plan says so.
    fn open_as_planned(&self, at: u64) {
        assert!(self.site.is_open(at), "{} is closed", self.site.zone().rfc3339(at).unwrap());
        let plan = self.site.plan(self.site.zone().day(at).unwrap());
        assert!(!plan.spans.is_empty() && !matches!(plan.because, Some(Because::Holiday(_))), "{plan:?}");
    }

    /// What a node does with everybody each time it looks.
    fn look(&mut self) {
        for mut visitor in std::mem::take(&mut self.waiting) {
            self.look_at(&mut visitor);
            let callback = &visitor.callback;
            let last = callback.wish().promised_unix_ms + u64::try_from(self.rules.window.as_millis()).unwrap();
            if callback.state().is_over() {
                self.over.push(visitor.callback);
            } else {
                assert!(self.clock <= last + 2 * HOUR_MS, "forgotten: {callback:?}");
                self.waiting.push(visitor);
            }
        }
    }

    fn look_at(&mut self, Visitor { callback, quiet }: &mut Visitor) {
        let now = self.clock;
        if let Some(due) = callback.due_unix_ms() {
            assert_eq!(callback.come_due(now, &self.rules).is_ok(), due <= now, "never early, and never not at all");
        }
        // Agents are busy now and then.
        if callback.state() != CallbackState::Queued || self.rng.random_ratio(9, 10) {
            return;
        }
        let (site, rules) = (&self.site, &self.rules);
        let promised = callback.wish().promised_unix_ms;
        let waited = now.saturating_sub(promised);
        let allowed = |at| quiet.next_allowed_while_open(site, at);
        let chosen = callback.attempts().is_empty() && waited < CHOSEN_FOR_MS;
        if callback.is_early(now)
            || u128::from(waited) > rules.window.as_millis()
            || !(chosen || allowed(now) == Some(now))
        {
            callback.put_off(now, rules, allowed).unwrap();
            return;
        }
        callback.offer("1001").unwrap();
        callback.dial(CallId::new(callback.id().bits()), now, desk::AttemptLegs::default()).unwrap();
        assert!(now >= promised, "rung before the promised moment");
        if !chosen {
            assert!(quiet.allows(now) && site.is_open(now), "rung at night, or while closed");
        }
        let outcomes = [Outcome::Reached, Outcome::Busy, Outcome::NoAnswer, Outcome::TrunkFault, Outcome::InDoubt];
        let outcome = outcomes[self.rng.random_range(0..outcomes.len())];
        if outcome == Outcome::Reached {
            callback.connect("1001").unwrap();
        }
        callback.end_attempt(outcome, now + 28_000, rules, allowed).unwrap();
        assert!(callback.counted() <= usize::from(rules.attempts_max));
        let shown = site.zone().day(now).unwrap().to_string();
        self.rung_on.insert(shown);
    }
}

fn tags(now: u64) -> CallTags {
    CallTags::new(TagsDraft {
        tag: [7; 16],
        tenant: TenantId::from("bank"),
        queue: QueueId::from("support"),
        session: "s1".to_owned(),
        page_url: String::new(),
        page_title: String::new(),
        referrer: None,
        language: "fr".to_owned(),
        made_at_unix_ms: now,
    })
}

/// Runs a year. `steps`: the clock is set an hour forward or back every few days, and right again.
fn run(seed: u64, steps: bool) -> Year {
    let start = u64::try_from("2026-01-01T00:00Z".parse::<Timestamp>().unwrap().as_millisecond()).unwrap();
    let mut year = Year::new(seed);
    let (mut off_ms, mut asked) = (HOUR_MS, 0);
    for tick in 0..YEAR_MS / TICK_MS {
        if steps && year.rng.random_ratio(1, 2_500) {
            off_ms = [0, HOUR_MS, 2 * HOUR_MS][year.rng.random_range(0..3)];
        }
        year.clock = start + tick * TICK_MS + off_ms - HOUR_MS;
        // About one every four hours, until the last weeks, so that all come to their end.
        if year.rng.random_ratio(1, 240) && tick * TICK_MS < YEAR_MS - 16 * 24 * HOUR_MS {
            asked += 1;
            year.ask(asked);
        }
        year.look();
    }
    assert!(year.waiting.is_empty(), "seed {seed}: {} wait for ever", year.waiting.len());
    assert_eq!(year.over.len() as u128, asked, "seed {seed}");
    year
}

#[test]
fn a_year_of_promises_is_kept_by_a_clock_that_is_right() {
    let year = run(1, false);
    for callback in &year.over {
        let first = callback.attempts().first();
        assert!(first.is_none_or(|first| first.at_unix_ms >= callback.wish().promised_unix_ms), "early: {callback:?}");
    }
    let completed = year.over.iter().filter(|callback| callback.state() == CallbackState::Completed).count();
    assert!(completed * 2 > year.over.len() && year.over.len() > 1_500, "{completed} of {}", year.over.len());
    // Both nights in which the clock is changed, and the days with hours of their own.
    for lively in ["2026-03-29", "2026-10-25", "2026-07-14"] {
        assert!(year.rung_on.contains(lively), "{lively}: nobody was rung");
    }
    for closed in ["2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14", "2026-05-25", "2026-11-11"] {
        assert!(!year.rung_on.contains(closed), "{closed}: somebody was rung");
    }
}

#[test]
fn a_clock_that_is_set_an_hour_forward_or_back_forgets_nobody_and_rings_nobody_at_night() {
    for seed in 2..5 {
        let year = run(seed, true);
        let ends: BTreeSet<&str> = year.over.iter().map(|callback| callback.state().code()).collect();
        assert!(ends.contains("completed") && ends.contains("failed"), "{ends:?}");
    }
}
