//! Slots a person can check by hand: a day's list, the nights the clock changes, seats, bounds and refusals.
#![expect(clippy::unwrap_used, reason = "a test file as a whole; the lint knows only `#[test]` functions")]

use std::time::Duration;

use desk::{BadSlotRule, Holidays, Hours, Opening, Slot, SlotRefusal, SlotRules, Slots, Taken};
use jiff::Timestamp;

const DAY_MS: u64 = 86_400_000;

fn ms(rfc3339: &str) -> u64 {
    u64::try_from(rfc3339.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// The same hours any day, in minutes.
fn daily(zone: &str, spans: &[(u16, u16)]) -> Hours {
    let week = (0..7).flat_map(|weekday| {
        spans.iter().map(move |&(from_minute, to_minute)| Opening { weekday, from_minute, to_minute })
    });
    Hours::new(zone, week.collect()).unwrap()
}

/// Half-hours, at once and up to 30 days ahead.
fn half_hours() -> SlotRules {
    let (every, length) = (minutes(30), minutes(30));
    SlotRules { every, length, lead: Duration::ZERO, horizon: minutes(30 * 1_440), ..SlotRules::default() }
}

/// What a page shows of a day: the times on the clock's face.
fn shown(hours: &Hours, rules: SlotRules, from: &str, to: &str, now: &str) -> Vec<String> {
    let page = Slots::new(hours.clone(), rules).unwrap().list(ms(from), ms(to), ms(now), &Taken::new());
    assert_eq!(page.more_from_ms, None);
    let at = |slot: &Slot| hours.zone().rfc3339(slot.start_ms).unwrap();
    page.slots.iter().map(|slot| at(slot).get(11..16).unwrap().to_owned()).collect()
}

#[test]
fn a_day_is_cut_from_each_opening() {
    let shop = daily("Europe/Paris", &[(9 * 60, 10 * 60), (14 * 60 + 10, 15 * 60 + 30)]);
    let day = |rules| shown(&shop, rules, "2026-06-01T00:00+02:00", "2026-06-02T00:00+02:00", "2026-06-01T00:00Z");
    assert_eq!(day(half_hours()), ["09:00", "09:30", "14:10", "14:40"], "15:10 would end after the closing");
    let short = SlotRules { length: minutes(10), ..half_hours() };
    assert_eq!(day(short), ["09:00", "09:30", "14:10", "14:40", "15:10"]);
    let careful = SlotRules { length: minutes(10), refuse_before_close: minutes(30), ..half_hours() };
    assert_eq!(day(careful), ["09:00", "09:30", "14:10", "14:40"]);
    let late = shown(&shop, half_hours(), "2026-06-01T00:00Z", "2026-06-02T00:00Z", "2026-06-01T09:30:01+02:00");
    assert_eq!(late, ["14:10", "14:40"]);
    let lead = SlotRules { lead: minutes(15), ..half_hours() };
    let soon = shown(&shop, lead, "2026-06-01T00:00Z", "2026-06-02T00:00Z", "2026-06-01T14:00+02:00");
    assert_eq!(soon, ["14:40"]);
    let closed = shop.clone().with_holidays(Holidays::France);
    let holiday = shown(&closed, half_hours(), "2026-07-14T00:00Z", "2026-07-14T22:00Z", "2026-07-13T00:00Z");
    assert!(holiday.is_empty());
}

#[test]
fn no_two_slots_read_the_same_when_the_clock_changes() {
    let night = daily("Europe/Paris", &[(22 * 60, 5 * 60)]);
    let hourly = SlotRules { every: minutes(30), length: minutes(15), ..half_hours() };
    let spring = shown(&night, hourly, "2026-03-29T01:00+01:00", "2026-03-29T05:00+02:00", "2026-03-01T00:00Z");
    assert_eq!(spring, ["01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]);
    let autumn = shown(&night, hourly, "2026-10-25T01:00+02:00", "2026-10-25T05:00+01:00", "2026-10-01T00:00Z");
    assert_eq!(autumn, ["01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00", "04:30"]);
    let slots = Slots::new(night, hourly).unwrap();
    let judge = |at: &str| slots.judge(ms(at), ms("2026-10-01T00:00Z"), &Taken::new()).map(|slot| slot.start_ms);
    assert_eq!(judge("2026-10-25T02:30+02:00"), Ok(ms("2026-10-25T00:30Z")));
    assert_eq!(judge("2026-10-25T02:30+01:00"), Err(SlotRefusal::OutsideHours), "read as the one before");
    // Where the clock moves by half an hour, the grid stays on its face.
    let howe = daily("Australia/Lord_Howe", &[(0, 4 * 60)]);
    let hourly = SlotRules { every: minutes(60), length: minutes(15), ..half_hours() };
    let spring = shown(&howe, hourly, "2026-10-04T00:00+10:30", "2026-10-04T06:00+11:00", "2026-10-01T00:00Z");
    assert_eq!(spring, ["00:00", "01:00", "03:00"]);
    let autumn = shown(&howe, hourly, "2026-04-05T00:00+11:00", "2026-04-05T06:00+10:30", "2026-04-01T00:00Z");
    assert_eq!(autumn, ["00:00", "01:00", "02:00", "03:00"]);
    // Samoa had no 30 December 2011.
    let samoa = daily("Pacific/Apia", &[(9 * 60, 10 * 60)]);
    let days = shown(&samoa, half_hours(), "2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00", "2011-12-29T00:00Z");
    assert_eq!(days, ["09:00", "09:30", "09:00", "09:30"], "the 29th and the 31st");
}

#[test]
fn seats_are_shared_by_those_who_do_not_meet() {
    let rules = SlotRules { every: minutes(15), length: minutes(20), buffer: minutes(10), seats: 2, ..half_hours() };
    let slots = Slots::new(daily("UTC", &[(9 * 60, 17 * 60)]), rules).unwrap();
    let left = |taken: &[(&str, u32)]| {
        let taken: Taken = taken.iter().map(|(at, seats)| (ms(&format!("2026-06-01T{at}Z")), *seats)).collect();
        let page = slots.list(ms("2026-06-01T09:30Z"), ms("2026-06-01T11:00Z"), 0, &taken);
        assert!(page.slots.is_empty(), "1970 is too early to ask");
        let page = slots.list(ms("2026-06-01T09:30Z"), ms("2026-06-01T11:00Z"), ms("2026-06-01T00:00Z"), &taken);
        page.slots.iter().map(|slot| slot.seats_left).collect::<Vec<_>>()
    };
    // 09:30 09:45 10:00 10:15 10:30 10:45
    assert_eq!(left(&[]), [2, 2, 2, 2, 2, 2]);
    assert_eq!(left(&[("10:00", 1)]), [2, 1, 1, 1, 2, 2], "twenty minutes and ten of rest");
    assert_eq!(left(&[("10:00", 2)]), [2, 0, 0, 0, 2, 2]);
    assert_eq!(left(&[("09:45", 1), ("10:15", 1)]), [1, 1, 1, 1, 1, 2], "one seat serves both: 10:00 has the other");
    assert_eq!(left(&[("09:45", 1), ("10:00", 1)]), [1, 0, 0, 1, 2, 2]);
    assert_eq!(left(&[("10:07", 1)]), [2, 1, 1, 1, 1, 2], "given when the grid was another");
    assert_eq!(left(&[("10:00", u32::MAX), ("10:15", u32::MAX)]), [2, 0, 0, 0, 0, 2]);
}

#[test]
fn each_refusal_has_its_code() {
    let slots = Slots::new(daily("UTC", &[(9 * 60, 17 * 60)]), SlotRules::default()).unwrap();
    let now = ms("2026-06-01T12:00Z");
    let taken = Taken::from([(ms("2026-06-01T15:00Z"), 1)]);
    let judge = |at: &str| slots.judge(ms(at), now, &taken).map_err(SlotRefusal::code);
    assert_eq!(
        judge("2026-06-01T12:15Z"),
        Ok(Slot { start_ms: ms("2026-06-01T12:15Z"), end_ms: ms("2026-06-01T12:30Z"), seats_left: 1 })
    );
    assert_eq!(judge("2026-06-01T11:45Z"), Err("slot_past"));
    assert_eq!(judge("2026-06-01T12:00Z"), Err("slot_gone"), "too soon to reach anybody");
    assert_eq!(judge("2026-06-01T15:00Z"), Err("slot_gone"));
    for outside in ["12:20:00Z", "12:15:00.001Z", "12:15:01Z", "17:00Z", "23:00Z"] {
        assert_eq!(judge(&format!("2026-06-01T{outside}")), Err("slot_outside_hours"), "{outside}");
    }
    assert_eq!(judge("2026-06-15T12:00Z").map(|slot| slot.seats_left), Ok(1), "the horizon");
    assert_eq!(judge("2026-06-15T12:15Z"), Err("slot_outside_hours"));
    let last = slots.list(ms("2026-06-15T11:45Z"), u64::MAX, now, &taken).slots;
    assert_eq!(last.last().map(|slot| slot.start_ms), Some(ms("2026-06-15T12:00Z")), "listed as judged");
    for beyond in [i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(slots.judge(beyond, now, &taken), Err(SlotRefusal::OutsideHours));
        assert_eq!(slots.judge(beyond, beyond, &taken), Err(SlotRefusal::OutsideHours));
        assert!(slots.list(beyond, u64::MAX, now, &taken).slots.is_empty());
        assert!(slots.list(0, beyond, beyond, &taken).slots.is_empty());
    }
    assert!(slots.list(u64::MAX, 0, now, &taken).slots.is_empty());
}

#[test]
fn nobody_asks_to_be_called_now_when_the_door_is_about_to_close() {
    let rules = SlotRules { refuse_before_close: minutes(10), ..SlotRules::default() };
    let slots = Slots::new(daily("UTC", &[(9 * 60, 17 * 60)]), rules).unwrap();
    let asked = ["08:59:59.999Z", "09:00Z", "16:50Z", "16:50:00.001Z", "17:00Z"];
    let may = |slots: &Slots| asked.map(|at| slots.may_ask_now(ms(&format!("2026-06-01T{at}"))));
    assert_eq!(may(&slots), [false, true, true, false, false]);
    // The same for those who ask to be called at once alone: slots are offered until the end.
    let rules = SlotRules { asap_before_close: minutes(10), ..SlotRules::default() };
    let slots = Slots::new(daily("UTC", &[(9 * 60, 17 * 60)]), rules).unwrap();
    assert_eq!(may(&slots), [false, true, true, false, false]);
    let (now, last) = (ms("2026-06-01T16:00Z"), ms("2026-06-01T16:45Z"));
    assert_eq!(slots.judge(last, now, &Taken::new()).map(|slot| slot.start_ms), Ok(last));
}

#[test]
fn a_list_is_bounded_and_says_where_to_go_on() {
    let now = ms("2026-06-01T00:00Z");
    let always = daily("UTC", &[(0, 1_440)]);
    let slots = Slots::new(always, half_hours()).unwrap();
    let page = slots.list(0, u64::MAX, now, &Taken::new());
    assert_eq!(page.slots.len(), Slots::LIST_MAX);
    let next = now + 500 * 30 * 60_000;
    assert_eq!(page.more_from_ms, Some(next));
    assert_eq!(slots.list(next, u64::MAX, now, &Taken::new()).slots[0].start_ms, next);
    // Few a day: two weeks at once.
    let rare = Slots::new(daily("UTC", &[(9 * 60, 10 * 60)]), half_hours()).unwrap();
    let page = rare.list(0, u64::MAX, now, &Taken::new());
    assert_eq!((page.slots.len(), page.more_from_ms), (28, Some(now + 14 * DAY_MS)));
    let page = rare.list(now + 14 * DAY_MS, u64::MAX, now, &Taken::new());
    assert_eq!((page.slots.len(), page.more_from_ms), (28, Some(now + 28 * DAY_MS)));
    let page = rare.list(now + 28 * DAY_MS, u64::MAX, now, &Taken::new());
    assert_eq!((page.slots.len(), page.more_from_ms), (4, None), "up to the horizon");
}

#[test]
fn rules_out_of_range_are_named() {
    let sound = SlotRules::default();
    let day = Duration::from_secs(86_400);
    for (name, rules) in [
        ("every", SlotRules { every: Duration::ZERO, ..sound }),
        ("every", SlotRules { every: Duration::from_secs(90), ..sound }),
        ("every", SlotRules { every: Duration::from_nanos(60_000_000_001), ..sound }),
        ("every", SlotRules { every: day + minutes(1), ..sound }),
        ("length", SlotRules { length: Duration::from_secs(59), ..sound }),
        ("length", SlotRules { length: Duration::MAX, ..sound }),
        ("lead", SlotRules { lead: Duration::MAX, horizon: Duration::MAX, ..sound }),
        ("horizon", SlotRules { horizon: day * 401, ..sound }),
        ("horizon", SlotRules { lead: day * 15, ..sound }),
        ("buffer", SlotRules { buffer: Duration::MAX, ..sound }),
        ("seats", SlotRules { seats: 0, ..sound }),
        ("refuse_before_close", SlotRules { refuse_before_close: day * 2, ..sound }),
        ("asap_before_close", SlotRules { asap_before_close: day * 2, ..sound }),
    ] {
        let hours = daily("UTC", &[(0, 1_440)]);
        assert_eq!(Slots::new(hours, rules).err(), Some(BadSlotRule(name)), "{rules:?}");
    }
}
