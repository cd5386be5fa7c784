//! Public holidays, computed for any year: France's, and the two more of Alsace-Moselle.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::Day;

/// Which public holidays are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holidays {
    /// The eleven of all France (Code du travail, L3133-1).
    France,
    /// Those, Good Friday and 26 December (Code du travail, L3134-13).
    AlsaceMoselle,
}

/// A public holiday.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Holiday {
    /// 1 January.
    NewYear,
    /// Two days before Easter; Alsace-Moselle only.
    GoodFriday,
    /// The day after Easter.
    EasterMonday,
    /// 1 May.
    LabourDay,
    /// 8 May.
    Victory,
    /// 39 days after Easter.
    Ascension,
    /// 50 days after Easter.
    WhitMonday,
    /// 14 July.
    NationalDay,
    /// 15 August.
    Assumption,
    /// 1 November.
    AllSaints,
    /// 11 November.
    Armistice,
    /// 25 December.
    Christmas,
    /// 26 December; Alsace-Moselle only.
    SaintStephen,
}

impl Holidays {
    /// The days of all France in a year, in the order of [`Holiday`]. Two may fall on one date (1 and 8 May can be
    /// Ascension).
    pub fn french(year: i16) -> Vec<(Day, Holiday)> {
        Self::France.of_year(year)
    }

    /// The days of a year, in the order of [`Holiday`].
    pub fn of_year(self, year: i16) -> Vec<(Day, Holiday)> {
        self.kept().filter_map(|holiday| holiday.in_year(year).map(|date| (Day(date), holiday))).collect()
    }

    /// Which holiday a day is.
    pub fn on(self, day: Day) -> Option<Holiday> {
        self.kept().find(|holiday| holiday.in_year(day.0.year()) == Some(day.0))
    }

    fn kept(self) -> impl Iterator<Item = Holiday> {
        let is_kept = move |holiday: &Holiday| match holiday {
            Holiday::GoodFriday | Holiday::SaintStephen => self == Self::AlsaceMoselle,
            Holiday::NewYear
            | Holiday::EasterMonday
            | Holiday::LabourDay
            | Holiday::Victory
            | Holiday::Ascension
            | Holiday::WhitMonday
            | Holiday::NationalDay
            | Holiday::Assumption
            | Holiday::AllSaints
            | Holiday::Armistice
            | Holiday::Christmas => true,
        };
        Holiday::ALL.into_iter().filter(is_kept)
    }
}

impl Holiday {
    /// Its name as it is said in English.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewYear => "New Year's Day",
            Self::GoodFriday => "Good Friday",
            Self::EasterMonday => "Easter Monday",
            Self::LabourDay => "Labour Day",
            Self::Victory => "Victory Day",
            Self::Ascension => "Ascension Day",
            Self::WhitMonday => "Whit Monday",
            Self::NationalDay => "the national day",
            Self::Assumption => "Assumption Day",
            Self::AllSaints => "All Saints' Day",
            Self::Armistice => "Armistice Day",
            Self::Christmas => "Christmas Day",
            Self::SaintStephen => "St Stephen's Day",
        }
    }

    const ALL: [Self; 13] = [
        Self::NewYear,
        Self::GoodFriday,
        Self::EasterMonday,
        Self::LabourDay,
        Self::Victory,
        Self::Ascension,
        Self::WhitMonday,
        Self::NationalDay,
        Self::Assumption,
        Self::AllSaints,
        Self::Armistice,
        Self::Christmas,
        Self::SaintStephen,
    ];

    fn in_year(self, year: i16) -> Option<Date> {
        let fixed = |month, day| Date::new(year, month, day).ok();
        let from_easter = |days: i64| easter(year)?.checked_add(days.days()).ok();
        match self {
            Self::NewYear => fixed(1, 1),
            Self::GoodFriday => from_easter(-2),
            Self::EasterMonday => from_easter(1),
            Self::LabourDay => fixed(5, 1),
            Self::Victory => fixed(5, 8),
            Self::Ascension => from_easter(39),
            Self::WhitMonday => from_easter(50),
            Self::NationalDay => fixed(7, 14),
            Self::Assumption => fixed(8, 15),
            Self::AllSaints => fixed(11, 1),
            Self::Armistice => fixed(11, 11),
            Self::Christmas => fixed(12, 25),
            Self::SaintStephen => fixed(12, 26),
        }
    }
}

/// Easter Sunday of a Gregorian year: the anonymous computus (Nature, 20 April 1876; Meeus, Astronomical Algorithms,
/// chapter 8). The letters are its own.
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let a = year_number.rem_euclid(19);
    let (b, c) = (year_number.div_euclid(100), year_number.rem_euclid(100));
    let (d, e) = (b.div_euclid(4), b.rem_euclid(4));
    let f = (b + 8).div_euclid(25);
    let g = (b - f + 1).div_euclid(3);
    let h = (19 * a + b - d - g + 15).rem_euclid(30);
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
    let m = (a + 11 * h + 22 * l) / 451;
    let day_from_march = h + l - 7 * m + 114;
    let (month, day) = (day_from_march / 31, day_from_march % 31 + 1);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easter_follows_the_moon() {
        // Astronomical Algorithms, chapter 8, and the extremes of the 20th and 21st centuries.
        let known = [
            (1818, 3, 22),
            (1886, 4, 25),
            (1943, 4, 25),
            (1954, 4, 18),
            (1991, 3, 31),
            (1992, 4, 19),
            (1993, 4, 11),
            (2000, 4, 23),
            (2008, 3, 23),
            (2038, 4, 25),
            (2285, 3, 22),
        ];
        for (year, month, day) in known {
            assert_eq!(easter(year), Date::new(year, month, day).ok(), "{year}");
        }
    }

    #[test]
    fn easter_is_a_sunday_of_march_or_april_in_every_year_there_is() {
        for year in -9999..=9999 {
            let date = easter(year).unwrap();
            assert_eq!(Day(date).weekday(), 6, "{date}");
            let (first, last) = (Date::new(year, 3, 22).unwrap(), Date::new(year, 4, 25).unwrap());
            assert!((first..=last).contains(&date), "{date}");
        }
    }
}
