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
