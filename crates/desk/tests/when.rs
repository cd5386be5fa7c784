//! A wanted moment: local times at every edge of the table, rules that changed, what pages and strangers send.
#![expect(clippy::unwrap_used, reason = "a test file as a whole; the lint knows only `#[test]` functions")]

use desk::{Occurrence, Promise, Wanted, WhenError, Zone};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TRANSITIONS: &str = include_str!("data/tz/transitions.tsv");
const RULE_CHANGES: &str = include_str!("data/tz/rule_changes.tsv");
/// Rows of the transitions the bundled zone data (IANA 2026e) know otherwise.
const KNOWN_OTHERWISE: [&str; 0] = [];
/// Zones whose change of rules the bundled zone data (IANA 2026e) do not know: Cuba's came with 2026f.
const NOT_KNOWN_YET: [&str; 2] = ["America/Havana", "Cuba"];

fn ms(rfc3339: &str) -> u64 {
    u64::try_from(rfc3339.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

/// `+10:30` in milliseconds.
fn offset_ms(text: &str) -> i64 {
    let (hours, minutes) = text.trim_start_matches(['+', '-']).split_once(':').unwrap();
    let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
    minutes * if text.starts_with('-') { -60_000 } else { 60_000 }
}

/// What a clock at this offset shows, as an instant: by arithmetic, with no rules.
fn instant_ms(local: DateTime, offset: &str) -> u64 {
    let as_if_utc = local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_millis();
    u64::try_from(i64::try_from(as_if_utc).unwrap() - offset_ms(offset)).unwrap()
}

struct Row<'a> {
    zone: &'a str,
    is_gap: bool,
    at_ms: u64,
    before: &'a str,
    after: &'a str,
    from: DateTime,
    to: DateTime,
}

impl Row<'_> {
    fn parse(line: &str) -> Row<'_> {
        let field: Vec<&str> = line.split('\t').collect();
        let local = |text: &str| text.parse::<DateTime>().unwrap();
        let is_gap = match field[1] {
            "gap" => true,
            "overlap" => false,
            other => panic!("neither gap nor overlap: {other}"),
        };
        let (from, to) = (local(field[5]), local(field[6]));
        Row { zone: field[0], is_gap, at_ms: ms(field[2]), before: field[3], after: field[4], from, to }
    }

    /// Local times at and about the edges, with the instant and the occurrence each must come to.
    fn expected(&self) -> Vec<(DateTime, u64, Occurrence)> {
        let second = SignedDuration::from_secs(1);
        let middle = self.from + self.to.duration_since(self.from) / 2;
        let (just_before, last) = (self.from - second, self.to - second);
        let within = [self.from, self.from + second, middle, last].map(|local| {
            if self.is_gap {
                (local, self.at_ms, Occurrence::Skipped)
            } else {
                (local, instant_ms(local, self.before), Occurrence::Repeated)
            }
        });
        let around = [
            (just_before, instant_ms(just_before, self.before), Occurrence::Once),
            (self.to, instant_ms(self.to, self.after), Occurrence::Once),
        ];
        within.into_iter().chain(around).collect()
    }

    /// What comes out otherwise.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (local, at_ms, occurrence) in self.expected() {
            let wanted = Wanted::parse(&local.to_string(), Some(self.zone), 0).unwrap();
            if (wanted.unix_ms, wanted.occurrence) != (at_ms, occurrence) {
                wrong.push(format!("{} {local}: {at_ms} {occurrence:?} expected, {wanted:?}", self.zone));
            }
            assert_eq!(wanted.reresolve().as_ref(), Ok(&wanted), "the same rules say the same");
            assert_eq!((wanted.local.as_str(), wanted.promise), (local.to_string().as_str(), Promise::Local));
            if occurrence == Occurrence::Repeated {
                wrong.extend(self.wrong_second(local));
            }
        }
        wrong
    }

    /// The second occurrence, told by its offset.
    fn wrong_second(&self, local: DateTime) -> Option<String> {
        let at_ms = instant_ms(local, self.after);
        let beside = Wanted::parse(&format!("{local}{}", self.after), Some(self.zone), 0).unwrap();
        let within = Wanted::parse(&format!("{local}{}[{}]", self.after, self.zone), None, 0).unwrap();
        assert_eq!(beside, within);
        assert_eq!(beside.reresolve().as_ref(), Ok(&beside), "told to be the second, it stays the second");
        let is_right = (beside.unix_ms, beside.occurrence) == (at_ms, Occurrence::Repeated);
        (!is_right).then(|| format!("{} {local} the second time: {at_ms} expected, {beside:?}", self.zone))
    }
}

#[test]
fn local_times_about_every_change_of_the_clock_come_to_the_right_instant() {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in TRANSITIONS.lines().skip(1) {
        rows += 1;
        let differs = Row::parse(line).wrong();
        let known = KNOWN_OTHERWISE.contains(&line);
        assert!(!(known && differs.is_empty()), "the data know this row now; take it from the list: {line}");
        if !known {
            wrong.extend(differs);
        }
    }
    assert_eq!(rows, 115, "the whole table is read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_local_time_is_kept_when_the_rules_of_its_zone_change() {
    let mut rows = 0;
    for line in RULE_CHANGES.lines().skip(1) {
        let field: Vec<&str> = line.split('\t').collect();
        let [zone, local, booked, now] = field.try_into().unwrap();
        rows += 1;
        let booked_ms = ms(booked);
        let told =
            local.parse::<DateTime>().unwrap().duration_since("1970-01-01T00:00:00".parse::<DateTime>().unwrap());
        let offset_s = told.as_secs() - i64::try_from(booked_ms / 1_000).unwrap();
        let as_booked = |promise| Wanted {
            unix_ms: booked_ms,
            zone: zone.to_owned(),
            local: local.to_owned(),
            offset_s: i32::try_from(offset_s).unwrap(),
            occurrence: Occurrence::Once,
            promise,
        };
        let kept = as_booked(Promise::Local).reresolve().unwrap();
        if NOT_KNOWN_YET.contains(&zone) {
            assert_eq!(kept.unix_ms, booked_ms, "{zone}: the data know the new rule now; take it from the list");
            continue;
        }
        assert_eq!((kept.unix_ms, kept.local.as_str()), (ms(now), local), "{zone}");
        let kept = as_booked(Promise::Instant).reresolve().unwrap();
        assert_eq!(kept.unix_ms, booked_ms, "{zone}");
        assert_ne!(kept.local, local, "{zone}");
    }
    assert_eq!(rows, 13, "the whole table is read");
}

/// `Ok`: zone kept, instant, local time, occurrence, promise.
fn check(text: &str, zone: Option<&str>, expected: Result<(&str, &str, &str, Occurrence, Promise), WhenError>) {
    let wanted = Wanted::parse(text, zone, ms("2026-01-01T00:00:00Z"));
    let expected = expected.map(|(zone, at, local, occurrence, promise)| {
        let at = at.parse::<Timestamp>().unwrap().as_millisecond();
        (zone.to_owned(), u64::try_from(at).unwrap(), local.to_owned(), occurrence, promise)
    });
    let got = wanted.map(|wanted| (wanted.zone, wanted.unix_ms, wanted.local, wanted.occurrence, wanted.promise));
    assert_eq!(got, expected, "{text} {zone:?}");
}

#[test]
fn what_pages_send_is_understood() {
    use Occurrence::{Once, Repeated, Skipped};
    use Promise::{Instant, Local};
    let paris = Some("Europe/Paris");
    let summer = ("Europe/Paris", "2026-07-14T08:30:00Z", "2026-07-14T10:30:00", Once, Local);
    for text in ["2026-07-14T10:30", "2026-07-14 10:30:00", "2026-07-14T10:30:00+02:00", "2026-07-14T10:30:00.999"] {
        check(text, paris, Ok(summer));
    }
    check("2026-07-14T10:30[Europe/Paris]", None, Ok(summer));
    check("2026-07-14T10:30+02:00[europe/paris]", None, Ok(summer));
    check("2026-07-14T10:30", Some("EUROPE/PARIS"), Ok(summer));
    // The text says its zone; the one beside it is the page's.
    check("2026-07-14T10:30[Europe/Paris]", Some("America/New_York"), Ok(summer));
    // The clock at this offset is another's: the instant was chosen, not the time on the visitor's clock.
    let elsewhere = ("America/New_York", "2026-07-14T08:30:00Z", "2026-07-14T04:30:00", Once, Instant);
    check("2026-07-14T10:30:00+02:00", Some("America/New_York"), Ok(elsewhere));
    let no_zone = ("+02:00", "2026-07-14T08:30:00Z", "2026-07-14T10:30:00", Once, Instant);
    check("2026-07-14T10:30:00+02:00", None, Ok(no_zone));
    let utc = ("UTC", "2026-07-14T08:30:00Z", "2026-07-14T08:30:00", Once, Instant);
    check("2026-07-14T08:30:00Z", None, Ok(utc));
    check("2026-07-14T08:30:00-00:00", None, Ok(utc));
    let shown = ("Europe/Paris", "2026-07-14T08:30:00Z", "2026-07-14T10:30:00", Once, Instant);
    check("2026-07-14T08:30:00.123Z", paris, Ok(shown));
    check("2026-07-14T08:30:00Z[Europe/Paris]", None, Ok(shown));
    // A page with old rules tells the wrong offset: the local time with its zone is what was chosen.
    let vancouver = ("America/Vancouver", "2026-12-15T16:00:00Z", "2026-12-15T09:00:00", Once, Local);
    check("2026-12-15T09:00:00-08:00[America/Vancouver]", None, Ok(vancouver));
    let skipped = ("Europe/Paris", "2026-03-29T01:00:00Z", "2026-03-29T02:30:00", Skipped, Local);
    check("2026-03-29T02:30", paris, Ok(skipped));
    check("2026-03-29T02:30+01:00[Europe/Paris]", None, Ok(skipped));
    let first = ("Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00", Repeated, Local);
    check("2026-10-25T02:30", paris, Ok(first));
    check("2026-10-25T02:30+02:00", paris, Ok(first));
    let second = ("Europe/Paris", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00", Repeated, Local);
    check("2026-10-25T02:30+01:00", paris, Ok(second));
    let second = ("Europe/Paris", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00", Repeated, Instant);
    check("2026-10-25T01:30Z", paris, Ok(second));
}

#[test]
fn what_cannot_be_is_refused_by_its_code() {
    for text in ["", "asap", "2026-07-14", "10:30", "2026-02-30T10:00", "2026-07-14T25:00", "2026-07-14T10:30+99:00"] {
        check(text, Some("Europe/Paris"), Err(WhenError::Unreadable));
    }
    check("9999-12-31T23:59:59", Some("America/New_York"), Err(WhenError::Unreadable));
    check(&format!("2026-07-14T10:30[{}]", "A/".repeat(100)), None, Err(WhenError::Unreadable));
    let paths = ["../../etc/passwd", "/etc/localtime", "posixrules", "localtime", "right/Europe/Paris", "Paris", ""];
    let strings =
        ["CET-1CEST,M3.5.0,M10.5.0/3", "Etc/Unknown", "+2:00", "+24:00", "+02:60", "é+2:00", "Europe/Paris\0"];
    for zone in paths.into_iter().chain(strings) {
        check("2026-07-14T10:30", Some(zone), Err(WhenError::Zone));
        check("2026-07-14T08:30:00Z", Some(zone), Err(WhenError::Zone));
    }
    check("2026-07-14T10:30", None, Err(WhenError::Zone));
    check("2026-07-14T10:30[Mars/Olympus]", Some("Europe/Paris"), Err(WhenError::Zone));
    for over in ["2025-12-31T23:59:59Z", "1969-07-20T20:17:00Z", "-009998-01-01T00:00:00Z", "2026-01-01T00:59:59+01:00"]
    {
        check(over, Some("Europe/Paris"), Err(WhenError::Past));
    }
    let noon = ms("2026-06-01T12:00Z");
    assert_eq!(Wanted::parse("2026-06-01T12:00Z", None, noon).map(|wanted| wanted.unix_ms), Ok(noon));
    assert_eq!(Wanted::parse("2026-06-01T12:00Z", None, noon + 1), Err(WhenError::Past));
    let codes = [WhenError::Unreadable, WhenError::Zone, WhenError::Past].map(WhenError::code);
    assert_eq!(codes, ["when_invalid", "tz_invalid", "slot_past"]);
}

#[test]
fn what_was_stored_wrongly_is_refused() {
    let wanted = Wanted::parse("2026-07-14T10:30", Some("Europe/Paris"), 0).unwrap();
    let lost = Wanted { zone: "Europe/Atlantis".to_owned(), ..wanted.clone() };
    assert_eq!(lost.reresolve(), Err(WhenError::Zone));
    let broken = Wanted { local: "half past ten".to_owned(), ..wanted.clone() };
    assert_eq!(broken.reresolve(), Err(WhenError::Unreadable));
    let beyond = Wanted { unix_ms: u64::MAX, promise: Promise::Instant, ..wanted.clone() };
    assert_eq!(beyond.reresolve(), Err(WhenError::Unreadable));
    let offset = Wanted { offset_s: i32::MIN, ..wanted.clone() };
    assert_eq!(offset.reresolve(), Ok(wanted));
}

#[test]
fn a_fixed_offset_is_kept_by_its_name() {
    for name in ["+02:00", "-03:30", "+00:00", "-00:30", "+14:00"] {
        assert_eq!(Zone::parse(name).unwrap().name(), name);
    }
    assert_eq!(Zone::parse("-00:00").unwrap().name(), "+00:00");
    assert!(Zone::named("+02:00").is_err(), "a site is in a place");
    let kept = Wanted::parse("2026-07-14T10:30:00+02:00", None, 0).unwrap();
    assert_eq!(kept.reresolve().as_ref(), Ok(&kept));
}

#[test]
fn a_moment_is_shown_on_any_clock() {
    let at = ms("2026-03-29T01:00:00Z");
    assert_eq!(Zone::named("Europe/Paris").unwrap().rfc3339(at).unwrap(), "2026-03-29T03:00:00+02:00");
    assert_eq!(Zone::named("UTC").unwrap().rfc3339(at).unwrap(), "2026-03-29T01:00:00+00:00");
    assert_eq!(Zone::named("Asia/Kolkata").unwrap().rfc3339(at - 1).unwrap(), "2026-03-29T06:29:59.999+05:30");
    assert_eq!(Zone::named("UTC").unwrap().rfc3339(u64::MAX), None);
}

#[test]
fn strangers_texts_never_panic() {
    let sound = ["2026-03-29T02:30:00.5+01:00[!Europe/Paris][u-ca=iso8601]", "2026-10-25T02:30:00Z", "+02:00", "UTC"];
    let letters: Vec<char> = "0123456789TZtz:.,+-−[]=!_/ \0\u{a0}é\u{1f570}EuropeParis".chars().collect();
    let mut understood = 0;
    for seed in 0..20_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut texts = [0, 1].map(|_| sound[rng.random_range(0..sound.len())].chars().collect::<Vec<char>>());
        for text in &mut texts {
            for _ in 0..rng.random_range(0..6) {
                let (at, letter) = (rng.random_range(0..=text.len()), letters[rng.random_range(0..letters.len())]);
                match rng.random_range(0..3) {
                    0 => text.insert(at, letter),
                    1 if at < text.len() => text[at] = letter,
                    _ => text.truncate(at),
                }
            }
        }
        let [text, zone] = texts.map(|text| text.into_iter().collect::<String>());
        let now_ms = if rng.random() { 0 } else { rng.random() };
        if let Ok(wanted) = Wanted::parse(&text, rng.random::<bool>().then_some(zone.as_str()), now_ms) {
            understood += 1;
            assert!(wanted.unix_ms >= now_ms, "seed {seed}: {wanted:?}");
            assert_eq!(wanted.reresolve().as_ref(), Ok(&wanted), "seed {seed}: {text} {zone}");
        }
    }
    assert!(understood > 500, "some are near enough to be understood: {understood}");
}

#[test]
fn a_day_ends_where_its_own_clock_says_also_when_it_is_an_hour_short_or_long() {
    let paris = Zone::named("Europe/Paris").unwrap();
    for (at, day, next) in [
        ("2026-07-14T21:59:59Z", "2026-07-14", "2026-07-14T22:00:00Z"),
        ("2026-07-14T22:00:00Z", "2026-07-15", "2026-07-15T22:00:00Z"),
        ("2026-03-29T00:30:00Z", "2026-03-29", "2026-03-29T22:00:00Z"),
        ("2026-10-25T00:30:00Z", "2026-10-25", "2026-10-25T23:00:00Z"),
    ] {
        let (found, until) = paris.day_and_next(ms(at)).unwrap();
        assert_eq!((found.to_string().as_str(), until), (day, ms(next)), "{at}");
    }
    // Beirut begins its summer at midnight: that day begins at one o'clock.
    let beirut = Zone::named("Asia/Beirut").unwrap();
    let (day, until) = beirut.day_and_next(ms("2026-03-28T12:00:00Z")).unwrap();
    assert_eq!((day.to_string().as_str(), until), ("2026-03-28", ms("2026-03-28T22:00:00Z")));
}
