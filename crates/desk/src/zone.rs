//! Zones: the rules of a wall clock, and which instant a local time names on it.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::Day;

/// A wall clock and its rules, by the name it is kept under.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// No zone of that name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownZone(pub String);

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no time zone is called \"{}\"", self.0)
    }
}

impl std::error::Error for UnknownZone {}

/// How often the wall clock shows a local time: the page tells the visitor when it is not once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occurrence {
    /// As on any day.
    Once,
    /// Never: the clock jumps over it. The first instant after the gap stands for it.
    Skipped,
    /// Twice: the clock is set back over it. The first occurrence stands for it unless an offset says the second.
    Repeated,
}

impl Occurrence {
    /// The stable word for the page and the store.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Skipped => "skipped",
            Self::Repeated => "repeated",
        }
    }

    /// The one whose [`code`](Self::code) this is.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Once, Self::Skipped, Self::Repeated].into_iter().find(|one| one.code() == code)
    }
}

/// What a local time came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) at: Timestamp,
    pub(crate) offset: Offset,
    pub(crate) occurrence: Occurrence,
}

/// The longest IANA name has 32 characters.
const NAME_MAX: usize = 64;
/// A gap is one change of the clock away; others are looked at no further than this.
const CHANGES_MAX: usize = 8;

impl Zone {
    /// A zone of the IANA data bundled in, such as `Europe/Paris`, in any case of letters.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let unknown = || UnknownZone(name.chars().take(NAME_MAX).collect());
        if name.len() > NAME_MAX {
            return Err(unknown());
        }
        let rules = TimeZone::get(name).map_err(|_| unknown())?;
        let kept = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name: kept, rules })
    }

    /// An IANA name, or a fixed offset as `+02:00`.
    pub fn parse(text: &str) -> Result<Self, UnknownZone> {
        fixed_offset(text).and_then(Self::fixed).map_or_else(|| Self::named(text), Ok)
    }

    /// A clock without rules; none for offsets that are not whole minutes.
    pub(crate) fn fixed(offset: Offset) -> Option<Self> {
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let name = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        (offset.seconds() % 60 == 0).then(|| Self { name, rules: TimeZone::fixed(offset) })
    }

    /// The name it is kept under: [`parse`](Self::parse) reads it again.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A moment on this clock in RFC 3339, as `2026-03-29T03:00:00+02:00`; `None` beyond the year 9999.
    pub fn rfc3339(&self, unix_ms: u64) -> Option<String> {
        let (at, _, offset) = self.local(unix_ms)?;
        Some(at.display_with_offset(offset).to_string())
    }

    /// Which day this clock shows at a moment; `None` beyond the year 9999.
    pub fn day(&self, unix_ms: u64) -> Option<Day> {
        self.local(unix_ms).map(|(_, local, _)| Day(local.date()))
    }

    /// The date on this clock, and the moment the next one begins; `None` only at the ends of the calendar.
    pub fn day_and_next(&self, at_unix_ms: u64) -> Option<(Day, u64)> {
        let (_, local, _) = self.local(at_unix_ms)?;
        let tomorrow = local.date().tomorrow().ok()?;
        let next = self.resolve(tomorrow.at(0, 0, 0, 0), None)?;
        Some((Day(local.date()), unix_ms(next.at)?))
    }

    /// The moment, what the clock shows then, and its offset.
    pub(crate) fn local(&self, unix_ms: u64) -> Option<(Timestamp, DateTime, Offset)> {
        let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
        let offset = self.rules.to_offset(at);
        Some((at, offset.to_datetime(at), offset))
    }

    /// The next change of the clock after a moment.
    pub(crate) fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        self.rules.following(after).next().map(|change| change.timestamp())
    }

    /// Which instant a local time names. `told` is an offset that came with it: it chooses between two occurrences.
    /// `None` only at the ends of the calendar.
    pub(crate) fn resolve(&self, local: DateTime, told: Option<Offset>) -> Option<Resolved> {
        match self.rules.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => resolved(local, offset, Occurrence::Once),
            AmbiguousOffset::Fold { before, after } => {
                let offset = if told == Some(after) { after } else { before };
                resolved(local, offset, Occurrence::Repeated)
            }
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset the local time lies before the gap: the gap's end is the next change.
                let before_gap = after.to_timestamp(local).ok()?;
                let end = self.rules.following(before_gap).take(CHANGES_MAX).find(|change| change.offset() == after)?;
                Some(Resolved { at: end.timestamp(), offset: after, occurrence: Occurrence::Skipped })
            }
        }
    }

    /// Whether the clock, showing this local time, can be at this offset.
    pub(crate) fn can_be(&self, local: DateTime, told: Offset) -> bool {
        match self.rules.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset == told,
            AmbiguousOffset::Fold { before, after } => before == told || after == told,
            AmbiguousOffset::Gap { .. } => false,
        }
    }
}

fn resolved(local: DateTime, offset: Offset, occurrence: Occurrence) -> Option<Resolved> {
    Some(Resolved { at: offset.to_timestamp(local).ok()?, offset, occurrence })
}

/// `+HH:MM` or `-HH:MM` and nothing else.
fn fixed_offset(text: &str) -> Option<Offset> {
    let &[sign, h1, h2, b':', m1, m2] = text.as_bytes() else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(10).and_then(|digit| i32::try_from(digit).ok());
    let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()
}

/// Milliseconds since 1970; `None` before.
pub(crate) fn unix_ms(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}
