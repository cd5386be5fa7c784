//! Opening hours of a week, on the wall clock of a zone.

use std::fmt;

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

/// Opening hours.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: jiff::tz::TimeZone,
    openings: Vec<Opening>,
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

const DAY_MINUTES: u16 = 1_440;

impl Hours {
    /// Hours of a week in an IANA zone such as `Europe/Paris`.
    pub fn new(zone: &str, openings: Vec<Opening>) -> Result<Self, HoursError> {
        if let Some(bad) =
            openings.iter().find(|o| o.weekday > 6 || o.from_minute >= DAY_MINUTES || o.to_minute > DAY_MINUTES)
        {
            return Err(HoursError::BadOpening(*bad));
        }
        let zone = jiff::tz::TimeZone::get(zone).map_err(|_| HoursError::UnknownZone(zone.to_owned()))?;
        Ok(Self { zone, openings })
    }

    /// Whether it is open at this moment.
    pub fn is_open(&self, unix_ms: u64) -> bool {
        let Some(at) = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) else {
            return false;
        };
        let local = at.to_zoned(self.zone.clone());
        let weekday = local.weekday().to_monday_zero_offset();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        self.openings.iter().any(|opening| opening.contains(weekday, minute))
    }
}

impl Opening {
    fn contains(&self, weekday: i8, minute: i32) -> bool {
        let (from, to) = (i32::from(self.from_minute), i32::from(self.to_minute));
        let opens_today = i32::from(self.weekday) == i32::from(weekday);
        let opened_yesterday = (i32::from(self.weekday) + 1) % 7 == i32::from(weekday);
        if to > from {
            opens_today && (from..to).contains(&minute)
        } else {
            (opens_today && minute >= from) || (opened_yesterday && minute < to)
        }
    }
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
