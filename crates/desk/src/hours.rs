//! Opening hours: a week on the wall clock of a zone, its holidays, and the days that are otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::civil::{Date, DateTime};

use crate::{Day, DaySpan, Holiday, Holidays, Zone};

/// One opening: from a minute of a weekday to another minute, past midnight when `to` is not after
/// `from`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opening {
    /// 0 is Monday, 6 Sunday.
    pub weekday: u8,
    /// Minute of the day it opens, 0 to 1439.
    pub from_minute: u16,
    /// Minute of the day it closes (excluded), 0 to 1440.
    pub to_minute: u16,
}

/// Opening hours. A span belongs to the day it opens on: a holiday ends nothing that opened the evening before, and
/// takes away all of what would open on it, past midnight too.
///
/// It is open whenever the wall clock shows a time within a span: when the clock is set back over an hour that hour is
/// open twice, when it jumps over one that hour is not.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: Zone,
    openings: Vec<Opening>,
    holidays: Option<Holidays>,
    exceptions: BTreeMap<Day, Vec<DaySpan>>,
}

/// What a day is like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DayPlan {
    /// What opens on it, by the minute it opens; none is closed.
    pub spans: Vec<DaySpan>,
    /// Why it is not as any day of its name.
    pub because: Option<Because>,
}

/// Why a day is not as any other of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Because {
    /// It is a public holiday.
    Holiday(Holiday),
    /// Its hours were said for this day.
    Exception,
}

/// The hours make no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HoursError {
    /// No time zone of that name.
    UnknownZone(String),
    /// A weekday or a minute out of range.
    BadOpening(Opening),
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownZone(zone) => write!(f, "no time zone is called \"{zone}\""),
            Self::BadOpening(opening) => {
                write!(f, "no such opening: day {}, {} to {}", opening.weekday, opening.from_minute, opening.to_minute)
            }
        }
    }
}

impl std::error::Error for HoursError {}

pub(crate) const DAY_MINUTES: u16 = 1_440;

impl Hours {
    /// Hours of a week in an IANA zone such as `Europe/Paris`.
    pub fn new(zone: &str, openings: Vec<Opening>) -> Result<Self, HoursError> {
        let zone = Zone::named(zone).map_err(|unknown| HoursError::UnknownZone(unknown.0))?;
        Self::in_zone(zone, openings)
    }

    /// Hours of a week on a clock already known.
    pub fn in_zone(zone: Zone, openings: Vec<Opening>) -> Result<Self, HoursError> {
        match openings.iter().find(|opening| !opening.is_sound()) {
            Some(bad) => Err(HoursError::BadOpening(*bad)),
            None => Ok(Self { zone, openings, holidays: None, exceptions: BTreeMap::new() }),
        }
    }

    /// Closed on these holidays.
    pub fn with_holidays(mut self, holidays: Holidays) -> Self {
        self.holidays = Some(holidays);
        self
    }

    /// On this day these spans and no others; none is closed. Stands above the week and the holidays.
    pub fn with_exception(mut self, day: Day, spans: Vec<DaySpan>) -> Result<Self, HoursError> {
        let opening = |span: &DaySpan| Opening {
            weekday: day.weekday(),
            from_minute: span.from_minute,
            to_minute: span.to_minute,
        };
        if let Some(bad) = spans.iter().map(opening).find(|opening| !opening.is_sound()) {
            return Err(HoursError::BadOpening(bad));
        }
        self.exceptions.insert(day, spans);
        Ok(self)
    }

    /// What opens on a day, and why it is not as usual.
    pub fn plan(&self, day: Day) -> DayPlan {
        if let Some(spans) = self.exceptions.get(&day) {
            return DayPlan { spans: sorted(spans.clone()), because: Some(Because::Exception) };
        }
        if let Some(holiday) = self.holidays.and_then(|holidays| holidays.on(day)) {
            return DayPlan { spans: Vec::new(), because: Some(Because::Holiday(holiday)) };
        }
        let today = self.openings.iter().filter(|opening| opening.weekday == day.weekday());
        let span = |one: &Opening| DaySpan { from_minute: one.from_minute, to_minute: one.to_minute };
        DayPlan { spans: sorted(today.map(span).collect()), because: None }
    }

    /// Whose wall clock.
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether it is open at this moment.
    pub fn is_open(&self, unix_ms: u64) -> bool {
        self.zone.local(unix_ms).is_some_and(|(_, local, _)| self.covers(local))
    }

    /// Whether it is open when the clock shows this.
    fn covers(&self, local: DateTime) -> bool {
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        self.spans_around(local.date()).any(|span| span.contains(&minute))
    }

    /// The spans a date may be open in, of the day before and its own, in minutes from its midnight.
    pub(crate) fn spans_around(&self, date: Date) -> impl Iterator<Item = Range<i64>> {
        let day = i64::from(DAY_MINUTES);
        let yesterday = date.yesterday().ok().into_iter().flat_map(|date| self.spans_on(date));
        yesterday.map(move |span| span.start - day..span.end - day).chain(self.spans_on(date))
    }

    fn spans_on(&self, date: Date) -> impl Iterator<Item = Range<i64>> {
        let exception = self.exceptions.get(&Day(date));
        let is_holiday = || self.holidays.is_some_and(|holidays| holidays.on(Day(date)).is_some());
        let as_usual = exception.is_none() && !is_holiday();
        let today = move |opening: &&Opening| as_usual && opening.weekday == Day(date).weekday();
        let week = self.openings.iter().filter(today).map(|o| minutes(o.from_minute, o.to_minute));
        exception.into_iter().flatten().map(|span| minutes(span.from_minute, span.to_minute)).chain(week)
    }
}

fn sorted(mut spans: Vec<DaySpan>) -> Vec<DaySpan> {
    spans.sort_by_key(|span| span.from_minute);
    spans
}

impl Opening {
    const fn is_sound(&self) -> bool {
        self.weekday <= 6 && self.from_minute < DAY_MINUTES && self.to_minute <= DAY_MINUTES
    }
}

/// From the midnight of the day it opens on; past midnight the end goes on counting.
fn minutes(from: u16, to: u16) -> Range<i64> {
    let end = if to > from { to } else { to + DAY_MINUTES };
    i64::from(from)..i64::from(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: u8 = 0;
    const SATURDAY: u8 = 5;
    const SUNDAY: u8 = 6;

    fn opening(weekday: u8, from: (u16, u16), to: (u16, u16)) -> Opening {
        Opening { weekday, from_minute: from.0 * 60 + from.1, to_minute: to.0 * 60 + to.1 }
    }

    /// `at` in RFC 3339, UTC.
    fn check(hours: &Hours, at: &str, open: bool) {
        let at_ms = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert_eq!(hours.is_open(u64::try_from(at_ms).unwrap()), open, "{at}");
    }

    #[test]
    fn hours_follow_the_wall_clock_through_summer_time() {
        let hours = Hours::new("Europe/Paris", vec![opening(MONDAY, (9, 0), (17, 30))]).unwrap();
        check(&hours, "2025-06-02T06:59:59Z", false);
        check(&hours, "2025-06-02T07:00:00Z", true);
        check(&hours, "2025-06-02T15:29:59Z", true);
        check(&hours, "2025-06-02T15:30:00Z", false);
        check(&hours, "2025-12-01T07:30:00Z", false);
        check(&hours, "2025-12-01T08:00:00Z", true);
        check(&hours, "2025-12-02T12:00:00Z", false);
    }

    #[test]
    fn an_evening_goes_past_midnight_and_past_the_week() {
        let night = [opening(SATURDAY, (22, 0), (2, 0)), opening(SUNDAY, (23, 0), (1, 0))];
        let hours = Hours::new("UTC", night.to_vec()).unwrap();
        check(&hours, "2025-06-07T21:59:00Z", false);
        check(&hours, "2025-06-07T22:00:00Z", true);
        check(&hours, "2025-06-08T01:59:00Z", true);
        check(&hours, "2025-06-08T02:00:00Z", false);
        check(&hours, "2025-06-09T00:59:00Z", true);
        check(&hours, "2025-06-09T01:00:00Z", false);
    }

    #[test]
    fn a_whole_day_can_be_said() {
        let day = Opening { weekday: MONDAY, from_minute: 0, to_minute: DAY_MINUTES };
        let hours = Hours::new("UTC", vec![day]).unwrap();
        check(&hours, "2025-06-02T00:00:00Z", true);
        check(&hours, "2025-06-02T23:59:59Z", true);
        check(&hours, "2025-06-03T00:00:00Z", false);
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(Hours::new("Paris", vec![]).unwrap_err(), HoursError::UnknownZone("Paris".to_owned()));
        for bad in [opening(7, (9, 0), (10, 0)), opening(0, (24, 0), (10, 0)), opening(0, (9, 0), (24, 1))] {
            assert_eq!(Hours::new("UTC", vec![bad]).unwrap_err(), HoursError::BadOpening(bad));
        }
        let hours = Hours::new("UTC", vec![opening(0, (0, 0), (0, 0))]).unwrap();
        assert!(!hours.is_open(u64::MAX), "a moment that cannot be is not open");
    }
}
