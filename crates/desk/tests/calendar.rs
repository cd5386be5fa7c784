//! Opening hours a person can check by hand: lunch, nights, holidays, exceptions, changes of the clock; quiet hours.
#![expect(clippy::unwrap_used, reason = "a test file as a whole; the lint knows only `#[test]` functions")]

use desk::{Because, CallingHours, Day, DayPlan, DaySpan, Holiday, Holidays, Hours, HoursError, Opening, Zone};
use jiff::Timestamp;

const MONDAY: u8 = 0;
const FRIDAY: u8 = 4;
const SATURDAY: u8 = 5;
const SUNDAY: u8 = 6;

fn ms(rfc3339: &str) -> u64 {
    u64::try_from(rfc3339.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn minute(text: &str) -> u16 {
    let (hour, minute) = text.split_once(':').unwrap();
    hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
}

fn span(text: &str) -> DaySpan {
    let (from, to) = text.split_once('-').unwrap();
    DaySpan { from_minute: minute(from), to_minute: minute(to) }
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn hours(zone: &str, days: impl IntoIterator<Item = u8>, spans: &[&str]) -> Hours {
    let openings = days.into_iter().flat_map(|weekday| {
        spans.iter().map(move |text| {
            let DaySpan { from_minute, to_minute } = span(text);
            Opening { weekday, from_minute, to_minute }
        })
    });
    Hours::new(zone, openings.collect()).unwrap()
}

/// At a moment: open or closed, when it closes, when it opens next.
fn check(hours: &Hours, at: &str, open: bool, closes_at: Option<&str>, next_opening: Option<&str>) {
    let at_ms = ms(at);
    let shown = |moment: Option<u64>| moment.and_then(|ms| hours.zone().rfc3339(ms));
    let expected = |text: Option<&str>| text.and_then(|text| hours.zone().rfc3339(ms(text)));
    assert_eq!(hours.is_open(at_ms), open, "open at {at}");
    assert_eq!(shown(hours.closes_at(at_ms)), expected(closes_at), "closes after {at}");
    assert_eq!(shown(hours.next_opening(at_ms)), expected(next_opening), "opens after {at}");
    let next_open = if open { Some(at_ms) } else { hours.next_opening(at_ms) };
    assert_eq!(hours.next_instant_open(at_ms), next_open, "first open from {at}");
}

#[test]
fn a_week_with_lunch_is_followed() {
    let shop = hours("Europe/Paris", MONDAY..=FRIDAY, &["09:00-12:00", "14:00-18:30"]);
    check(&shop, "2026-06-01T08:59:59.999+02:00", false, None, Some("2026-06-01T09:00+02:00"));
    check(&shop, "2026-06-01T09:00+02:00", true, Some("2026-06-01T12:00+02:00"), Some("2026-06-01T14:00+02:00"));
    check(&shop, "2026-06-01T11:59:59.5+02:00", true, Some("2026-06-01T12:00+02:00"), Some("2026-06-01T14:00+02:00"));
    check(&shop, "2026-06-01T12:00+02:00", false, None, Some("2026-06-01T14:00+02:00"));
    check(&shop, "2026-06-05T18:29+02:00", true, Some("2026-06-05T18:30+02:00"), Some("2026-06-08T09:00+02:00"));
    assert!(shop.is_open_for(ms("2026-06-05T18:15+02:00"), 15 * 60_000));
    assert!(!shop.is_open_for(ms("2026-06-05T18:15+02:00"), 15 * 60_000 + 1));
    assert!(!shop.is_open_for(ms("2026-06-05T18:30+02:00"), 0), "it is closed");
}

#[test]
fn spans_that_touch_are_one_opening() {
    let around = hours("UTC", 0..7, &["00:00-24:00"]);
    check(&around, "2026-06-01T12:00Z", true, None, None);
    let noon_to_noon = hours("UTC", [MONDAY, MONDAY + 1], &["12:00-12:00"]);
    check(&noon_to_noon, "2026-06-02T08:00Z", true, Some("2026-06-03T12:00Z"), Some("2026-06-08T12:00Z"));
    let over_midnight =
        hours("UTC", [SUNDAY], &["20:00-24:00"]).with_exception(day("2026-06-08"), vec![span("00:00-06:00")]);
    let over_midnight = over_midnight.unwrap();
    check(&over_midnight, "2026-06-07T23:00Z", true, Some("2026-06-08T06:00Z"), Some("2026-06-14T20:00Z"));
}

#[test]
fn a_night_is_an_hour_shorter_or_longer_when_the_clock_changes() {
    let bar = hours("Europe/Paris", [SATURDAY], &["22:00-04:00"]);
    let hours_open = |from: &str| (bar.closes_at(ms(from)).unwrap() - ms(from)) / 3_600_000;
    assert_eq!(hours_open("2026-03-21T22:00+01:00"), 6);
    assert_eq!(hours_open("2026-03-28T22:00+01:00"), 5);
    assert_eq!(hours_open("2026-10-24T22:00+02:00"), 7);
    // Opens on the gap's far side, or closes on it.
    let early = hours("Europe/Paris", [SUNDAY], &["02:30-05:00"]);
    check(&early, "2026-03-29T00:00+01:00", false, None, Some("2026-03-29T03:00+02:00"));
    let late = hours("Europe/Paris", [SUNDAY], &["00:00-02:30"]);
    check(&late, "2026-03-29T00:00+01:00", true, Some("2026-03-29T03:00+02:00"), Some("2026-04-05T00:00+02:00"));
    // Within the gap it does not open at all; within the overlap it opens twice.
    let short = hours("Europe/Paris", [SUNDAY], &["02:15-02:45"]);
    check(&short, "2026-03-28T12:00+01:00", false, None, Some("2026-04-05T02:15+02:00"));
    check(&short, "2026-10-25T02:15+02:00", true, Some("2026-10-25T02:45+02:00"), Some("2026-10-25T02:15+01:00"));
    check(&short, "2026-10-25T02:30+01:00", true, Some("2026-10-25T02:45+01:00"), Some("2026-11-01T02:15+01:00"));
    // Samoa had no 30 December 2011.
    let friday = hours("Pacific/Apia", [FRIDAY], &["09:00-17:00"]);
    check(&friday, "2011-12-29T12:00-10:00", false, None, Some("2012-01-06T09:00+14:00"));
    // Lord Howe Island changes by half an hour.
    let howe = hours("Australia/Lord_Howe", [SUNDAY], &["01:30-03:00"]);
    check(&howe, "2026-10-04T01:30+10:30", true, Some("2026-10-04T03:00+11:00"), Some("2026-10-11T01:30+11:00"));
    assert!(howe.is_open_for(ms("2026-10-04T01:30+10:30"), 3_600_000));
    assert!(!howe.is_open_for(ms("2026-10-04T01:30+10:30"), 3_600_001));
}

#[test]
fn holidays_and_exceptions_stand_above_the_week() {
    let bar = hours("Europe/Paris", 0..7, &["18:00-02:00"]).with_holidays(Holidays::France);
    let bar = bar.with_exception(day("2026-12-25"), vec![span("12:00-15:00"), span("23:00-01:00")]).unwrap();
    let bar = bar.with_exception(day("2026-12-31"), Vec::new()).unwrap();
    // 14 July: what opened on the 13th goes on to its end, the evening stays closed.
    check(&bar, "2026-07-14T01:00+02:00", true, Some("2026-07-14T02:00+02:00"), Some("2026-07-15T18:00+02:00"));
    check(&bar, "2026-07-15T00:30+02:00", false, None, Some("2026-07-15T18:00+02:00"));
    // Christmas: the exception stands above the holiday, with its own night.
    check(&bar, "2026-12-25T02:00+01:00", false, None, Some("2026-12-25T12:00+01:00"));
    check(&bar, "2026-12-25T12:00+01:00", true, Some("2026-12-25T15:00+01:00"), Some("2026-12-25T23:00+01:00"));
    check(&bar, "2026-12-26T00:59+01:00", true, Some("2026-12-26T01:00+01:00"), Some("2026-12-26T18:00+01:00"));
    // 31 December is taken away, and 1 January is a holiday.
    check(&bar, "2026-12-31T01:00+01:00", true, Some("2026-12-31T02:00+01:00"), Some("2027-01-02T18:00+01:00"));
    let alsace = hours("Europe/Paris", 0..7, &["09:00-18:00"]).with_holidays(Holidays::AlsaceMoselle);
    check(&alsace, "2026-12-24T20:00+01:00", false, None, Some("2026-12-27T09:00+01:00"));
    check(&alsace, "2026-04-02T20:00+02:00", false, None, Some("2026-04-04T09:00+02:00"));
}

#[test]
fn a_day_says_what_opens_on_it_and_why() {
    let shop = hours("Europe/Paris", MONDAY..=FRIDAY, &["14:00-18:30", "09:00-12:00"]).with_holidays(Holidays::France);
    let shop = shop.with_exception(day("2026-12-24"), vec![span("09:00-12:00")]).unwrap();
    let shop = shop.with_exception(day("2026-12-25"), vec![span("22:00-02:00"), span("10:00-11:00")]).unwrap();
    let plan = |text: &str| shop.plan(day(text));
    let spans = |texts: &[&str]| texts.iter().map(|text| span(text)).collect::<Vec<_>>();
    assert_eq!(plan("2026-12-23"), DayPlan { spans: spans(&["09:00-12:00", "14:00-18:30"]), because: None });
    let exception = Some(Because::Exception);
    assert_eq!(plan("2026-12-24"), DayPlan { spans: spans(&["09:00-12:00"]), because: exception });
    assert_eq!(plan("2026-12-25"), DayPlan { spans: spans(&["10:00-11:00", "22:00-02:00"]), because: exception });
    assert_eq!(plan("2026-12-26"), DayPlan { spans: vec![], because: None }, "a Saturday");
    let new_year = Some(Because::Holiday(Holiday::NewYear));
    assert_eq!(plan("2027-01-01"), DayPlan { spans: vec![], because: new_year });
    assert_eq!(shop.zone().day(ms("2026-12-31T23:30Z")), Some(day("2027-01-01")), "by its own clock");
    assert_eq!(day("2026-12-31").tomorrow(), Some(day("2027-01-01")));
}

#[test]
fn the_search_has_an_end() {
    check(&hours("Europe/Paris", [], &[]), "2026-06-01T12:00Z", false, None, None);
    let once = hours("UTC", [], &[]).with_exception(day("2027-07-06"), vec![span("09:00-10:00")]).unwrap();
    let opens = ms("2027-07-06T09:00Z");
    assert_eq!(once.next_opening(opens - Hours::SEARCH_MS), Some(opens));
    assert_eq!(once.next_opening(opens - Hours::SEARCH_MS - 1), None, "more than 400 days away");
    assert_eq!(once.next_instant_open(opens), Some(opens));
    assert_eq!(once.next_opening(opens), None);
}

#[test]
fn the_ends_of_time_are_closed_and_do_not_panic() {
    let zones = ["UTC", "Pacific/Apia", "America/New_York", "Asia/Kolkata", "Africa/Monrovia"];
    let last = u64::try_from(Timestamp::MAX.as_millisecond()).unwrap();
    for zone in zones {
        for spans in [["00:00-24:00"], ["23:00-22:59"], ["09:00-17:00"]] {
            let site = hours(zone, 0..7, &spans).with_holidays(Holidays::AlsaceMoselle);
            let site = site.with_exception(day("9999-12-31"), vec![span("00:00-00:00")]).unwrap();
            let site = site.with_exception(Day::new(-9999, 1, 1).unwrap(), vec![]).unwrap();
            for at in [0, 1, last - 86_400_000, last - 1, last, last + 1, i64::MAX.unsigned_abs(), u64::MAX] {
                let opens = [site.next_opening(at), site.next_instant_open(at)];
                assert!(
                    opens.into_iter().flatten().all(|found| (at..=last).contains(&found)),
                    "{zone} {at}: {opens:?}"
                );
                assert!(site.closes_at(at).is_none_or(|found| found > at), "{zone} {at}");
                assert!(!site.is_open_for(at, u64::MAX) || site.is_open(at));
                assert!(at <= last || !site.is_open(at), "{zone} {at}");
            }
        }
    }
}

#[test]
fn nonsense_is_named() {
    let bad = DaySpan { from_minute: 1_440, to_minute: 60 };
    let error = hours("UTC", [], &[]).with_exception(day("2026-06-01"), vec![bad]).unwrap_err();
    assert_eq!(error, HoursError::BadOpening(Opening { weekday: MONDAY, from_minute: 1_440, to_minute: 60 }));
    for text in ["", "2026-02-29", "2026-6-1", "20260601", "2026-06-01T10:00", "2026-W23-1", "+002026-06-01", "0-0-0"] {
        assert!(text.parse::<Day>().is_err(), "{text}");
    }
    assert_eq!(Day::new(2026, 2, 30), None);
    assert_eq!(day("2026-02-28").to_string(), "2026-02-28");
    assert_eq!(day("2026-02-28").weekday(), SATURDAY);
}

/// Easter Monday, Ascension and Whit Monday.
const MOVING: [[&str; 3]; 11] = [
    ["2020-04-13", "2020-05-21", "2020-06-01"],
    ["2021-04-05", "2021-05-13", "2021-05-24"],
    ["2022-04-18", "2022-05-26", "2022-06-06"],
    ["2023-04-10", "2023-05-18", "2023-05-29"],
    ["2024-04-01", "2024-05-09", "2024-05-20"],
    ["2025-04-21", "2025-05-29", "2025-06-09"],
    ["2026-04-06", "2026-05-14", "2026-05-25"],
    ["2027-03-29", "2027-05-06", "2027-05-17"],
    ["2028-04-17", "2028-05-25", "2028-06-05"],
    ["2029-04-02", "2029-05-10", "2029-05-21"],
    ["2030-04-22", "2030-05-30", "2030-06-10"],
];

#[test]
fn the_holidays_of_eleven_years_are_the_printed_ones() {
    let good_fridays =
        ["04-10", "04-02", "04-15", "04-07", "03-29", "04-18", "04-03", "03-26", "04-14", "03-30", "04-19"];
    for ((year, moving), good_friday) in (2020..).zip(MOVING).zip(good_fridays) {
        let fixed = ["01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25"];
        let mut printed: Vec<Day> = fixed.iter().map(|date| day(&format!("{year}-{date}"))).collect();
        printed.extend(moving.map(day));
        printed.sort();
        let days = |list: Vec<(Day, Holiday)>| {
            let mut days: Vec<Day> = list.into_iter().map(|(day, _)| day).collect();
            days.sort();
            days
        };
        assert_eq!(days(Holidays::french(year)), printed);
        printed.extend([day(&format!("{year}-{good_friday}")), day(&format!("{year}-12-26"))]);
        printed.sort();
        assert_eq!(days(Holidays::AlsaceMoselle.of_year(year)), printed);
        let found = (1..=12).flat_map(|month| (1..=31).filter_map(move |date| Day::new(year, month, date)));
        let found: Vec<Day> = found.filter(|day| Holidays::AlsaceMoselle.on(*day).is_some()).collect();
        assert_eq!(found, printed);
    }
    assert_eq!(Holidays::France.on(day("2026-12-26")), None);
    assert_eq!(Holidays::France.on(day("2008-05-01")), Some(Holiday::LabourDay), "and Ascension");
}

fn next(calling: &CallingHours, at: &str) -> u64 {
    let next = calling.next_allowed(ms(at)).unwrap();
    assert!(calling.allows(next));
    assert_eq!(calling.allows(ms(at)), next == ms(at));
    next
}

#[test]
fn nobody_is_rung_in_his_quiet_hours() {
    let paris = CallingHours::daily(Zone::named("Europe/Paris").unwrap(), CallingHours::USUAL).unwrap();
    for (at, allowed) in [
        ("2026-06-01T07:59:59.999+02:00", "2026-06-01T08:00+02:00"),
        ("2026-06-01T19:59:59.999+02:00", "2026-06-01T19:59:59.999+02:00"),
        ("2026-06-01T20:00+02:00", "2026-06-02T08:00+02:00"),
        // The night the clock changes: 08:00 on it, not twelve hours after 20:00.
        ("2026-03-28T20:00+01:00", "2026-03-29T08:00+02:00"),
        ("2026-03-29T07:30+02:00", "2026-03-29T08:00+02:00"),
        ("2026-10-24T20:00+02:00", "2026-10-25T08:00+01:00"),
        ("2026-10-25T08:00+02:00", "2026-10-25T08:00+01:00"),
    ] {
        assert_eq!(next(&paris, at), ms(allowed), "{at}");
    }
    let apia = CallingHours::daily(Zone::named("Pacific/Apia").unwrap(), CallingHours::USUAL).unwrap();
    assert_eq!(next(&apia, "2011-12-29T20:00-10:00"), ms("2011-12-31T08:00+14:00"));
    let unknown = CallingHours::daily(Zone::parse("-03:30").unwrap(), CallingHours::USUAL).unwrap();
    assert_eq!(next(&unknown, "2026-06-01T11:29Z"), ms("2026-06-01T11:30Z"));
}

#[test]
fn follow_up_calls_keep_the_french_hours() {
    let paris = Zone::named("Europe/Paris").unwrap();
    let window = CallingHours::french_follow_up(paris, Holidays::France).unwrap();
    for (at, allowed) in [
        ("2026-07-13T09:00+02:00", "2026-07-13T10:00+02:00"),
        ("2026-07-13T12:59+02:00", "2026-07-13T12:59+02:00"),
        ("2026-07-13T13:00+02:00", "2026-07-13T14:00+02:00"),
        ("2026-07-13T20:00+02:00", "2026-07-15T10:00+02:00"),
        ("2026-04-03T20:00+02:00", "2026-04-07T10:00+02:00"),
        ("2026-10-23T20:00+02:00", "2026-10-26T10:00+01:00"),
        ("2026-12-25T11:00+01:00", "2026-12-28T10:00+01:00"),
    ] {
        assert_eq!(next(&window, at), ms(allowed), "{at}");
    }
    let island = CallingHours::french_follow_up(Zone::named("Indian/Reunion").unwrap(), Holidays::France).unwrap();
    assert_eq!(next(&island, "2026-07-13T05:59Z"), ms("2026-07-13T06:00Z"));
}

#[test]
fn a_new_try_waits_for_both_clocks() {
    let site = hours("Europe/Paris", MONDAY..=FRIDAY, &["09:00-18:00"]);
    let visitor = |zone: &str| CallingHours::daily(Zone::named(zone).unwrap(), CallingHours::USUAL).unwrap();
    let montreal = visitor("America/Montreal");
    let both = montreal.next_allowed_while_open(&site, ms("2026-06-05T17:59:59+02:00"));
    assert_eq!(both, Some(ms("2026-06-05T17:59:59+02:00")));
    let both = montreal.next_allowed_while_open(&site, ms("2026-06-05T18:00+02:00"));
    assert_eq!(both, Some(ms("2026-06-08T14:00+02:00")));
    // From 09:00 to 10:00 in Paris it is 19:00 to 20:00 in Auckland; the rest of the day is its night.
    let auckland = visitor("Pacific/Auckland").next_allowed_while_open(&site, ms("2026-06-01T12:00Z"));
    assert_eq!(auckland, Some(ms("2026-06-02T09:00+02:00")));
    let dawn = hours("Europe/Paris", 0..7, &["03:00-04:00"]);
    assert_eq!(visitor("Europe/Paris").next_allowed_while_open(&dawn, ms("2026-06-01T12:00Z")), None);
}
