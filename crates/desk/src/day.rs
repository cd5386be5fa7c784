//! A date of the calendar, and the hours a day may be given.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

/// A date of the calendar, on whichever clock it is used with.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Day(pub(crate) Date);

impl Day {
    /// `None` for what is no date, such as 30 February.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    /// The next day; `None` at the end of the calendar.
    pub fn tomorrow(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Self)
    }

    /// 0 is Monday, 6 Sunday, as in [`Opening`](crate::Opening).
    pub fn weekday(self) -> u8 {
        u8::try_from(self.0.weekday().to_monday_zero_offset()).unwrap_or(0)
    }
}

/// As `2026-07-14`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was to be a date is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchDay;

impl fmt::Display for NoSuchDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date: write it as 2026-07-14")
    }
}

impl std::error::Error for NoSuchDay {}

/// `YYYY-MM-DD` and nothing else.
impl FromStr for Day {
    type Err = NoSuchDay;

    fn from_str(text: &str) -> Result<Self, NoSuchDay> {
        let parsed = text.parse::<Date>().map_err(|_| NoSuchDay)?;
        // The library reads more forms than we promise; only what prints the same is ours.
        if parsed.to_string() == text { Ok(Self(parsed)) } else { Err(NoSuchDay) }
    }
}

/// Open from a minute of a day to another, past midnight when `to_minute` is not after `from_minute`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DaySpan {
    /// Minute of the day it opens, 0 to 1439.
    pub from_minute: u16,
    /// Minute of the day it closes (excluded), 0 to 1440.
    pub to_minute: u16,
}
