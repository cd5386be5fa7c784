//! A moment as it is asked for on the command line: a date, an instant, or so long ago.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The beginning, or the end, of a period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// So long before now.
    Ago(Duration),
    /// The midnight a day of this machine's clock begins with.
    Day(Date),
    /// An instant.
    At(u64),
}

impl Moment {
    /// Which instant that is.
    pub(crate) fn unix_ms(self, now_unix_ms: u64, zone: &TimeZone) -> u64 {
        match self {
            Self::Ago(ago) => now_unix_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            Self::Day(day) => day
                .to_zoned(zone.clone())
                .map_or(0, |midnight| u64::try_from(midnight.timestamp().as_millisecond()).unwrap_or(0)),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a date as 2026-11-01, an instant as 2026-11-01T08:00:00Z, or so long ago as 12h, 30d or 8w";
        let ago = |seconds: u64| {
            let number = text.get(..text.len().saturating_sub(1))?;
            let is_number =
                !number.is_empty() && number.len() <= 5 && number.bytes().all(|octet| octet.is_ascii_digit());
            let number: u64 = is_number.then(|| number.parse().ok())??;
            Some(Self::Ago(Duration::from_secs(number * seconds)))
        };
        match text.as_bytes().last() {
            Some(b'h') => ago(3_600).ok_or(wrong),
            Some(b'd') => ago(86_400).ok_or(wrong),
            Some(b'w') => ago(604_800).ok_or(wrong),
            Some(_) | None => {
                let instant = || text.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
                let day = || text.parse::<Date>().ok().filter(|day| day.to_string() == text);
                day().map(Self::Day).or_else(|| instant().map(Self::At)).ok_or(wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_ways_and_nothing_else_is() {
        const NOW: u64 = 1_793_880_000_000;
        let read = |text: &str| text.parse().map(|moment: Moment| moment.unix_ms(NOW, &TimeZone::UTC));
        assert_eq!(read("12h"), Ok(NOW - 12 * 3_600_000));
        assert_eq!(read("30d"), Ok(NOW - 30 * 86_400_000));
        assert_eq!(read("2w"), Ok(NOW - 14 * 86_400_000));
        assert_eq!(read("99999w"), Ok(0), "before there were clocks");
        assert_eq!(read("2026-11-01"), Ok(1_793_491_200_000));
        assert_eq!(read("2026-11-01T01:00:00+01:00"), Ok(1_793_491_200_000));
        for wrong in
            ["", "d", "-1d", "1.5d", "yesterday", "2026-02-30", "20261101", "2026-11-01T08:00", "9999999d", "é"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
