//! When a person may be rung, on his own clock: quiet hours, and the French hours for follow-up calls.

use crate::{DaySpan, Holidays, Hours, HoursError, Opening, Zone};

/// The hours in which somebody may be rung.
#[derive(Clone, Debug)]
pub struct CallingHours(Hours);

const fn hour(hour: u16) -> u16 {
    hour * 60
}

const ALL_DAYS: std::ops::Range<u8> = 0..7;
const MONDAY_TO_FRIDAY: std::ops::Range<u8> = 0..5;

impl CallingHours {
    /// 08:00 to 20:00 on the visitor's clock, any day: for tries again he did not choose the time of.
    pub const USUAL: DaySpan = DaySpan { from_minute: hour(8), to_minute: hour(20) };

    /// The French hours for calls nobody asked for: Monday to Friday, 10:00 to 13:00 and 14:00 to 20:00, on no public
    /// holiday (decree 2022-1313).
    pub const FRENCH_FOLLOW_UP: [DaySpan; 2] = [
        DaySpan { from_minute: hour(10), to_minute: hour(13) },
        DaySpan { from_minute: hour(14), to_minute: hour(20) },
    ];

    /// Any day within a span of the visitor's clock, such as [`USUAL`](Self::USUAL).
    pub fn daily(zone: Zone, span: DaySpan) -> Result<Self, HoursError> {
        Hours::in_zone(zone, week(ALL_DAYS, &[span])).map(Self)
    }

    /// [`FRENCH_FOLLOW_UP`](Self::FRENCH_FOLLOW_UP) on the clock of the person called, overseas too.
    pub fn french_follow_up(zone: Zone, holidays: Holidays) -> Result<Self, HoursError> {
        let week = week(MONDAY_TO_FRIDAY, &Self::FRENCH_FOLLOW_UP);
        Hours::in_zone(zone, week).map(|hours| Self(hours.with_holidays(holidays)))
    }

    /// Whether he may be rung at this moment.
    pub fn allows(&self, unix_ms: u64) -> bool {
        self.0.is_open(unix_ms)
    }

    /// The first moment from this one on at which he may be rung.
    pub fn next_allowed(&self, unix_ms: u64) -> Option<u64> {
        self.0.next_instant_open(unix_ms)
    }

    /// The first moment from this one on at which he may be rung and the site is open; `None` if there is none within
    /// 400 days.
    pub fn next_allowed_while_open(&self, site: &Hours, unix_ms: u64) -> Option<u64> {
        let last = unix_ms.saturating_add(Hours::SEARCH_MS);
        let mut at = unix_ms;
        while !(self.allows(at) && site.is_open(at)) {
            at = site.next_instant_open(self.next_allowed(at)?).filter(|next| *next <= last)?;
        }
        Some(at)
    }
}

fn week(days: std::ops::Range<u8>, spans: &[DaySpan]) -> Vec<Opening> {
    let opening = |weekday| {
        spans.iter().map(move |span| Opening { weekday, from_minute: span.from_minute, to_minute: span.to_minute })
    };
    days.flat_map(opening).collect()
}
