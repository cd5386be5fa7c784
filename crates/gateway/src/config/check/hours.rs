//! Opening hours: days, times of day, the zone they are told in, holidays, and days that are otherwise.

use std::ops::Range;

use desk::{Day, DaySpan, Holidays, Hours, HoursError, Opening};
use toml::Spanned;

use super::Checker;
use crate::config::file;
use crate::config::suggest;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 1_440;

impl Checker<'_> {
    /// The opening hours by their names.
    pub(super) fn hours(&mut self, tables: &[Spanned<file::Hours>]) -> Vec<(String, Hours)> {
        let mut checked: Vec<(String, Hours)> = Vec::new();
        for table in tables {
            let (place, hours) = (table.span(), table.get_ref());
            let id = self.required(&hours.id, &place, "id", "queues call it by this name: id = \"shop\"");
            if let Some(id) = id {
                self.name(id, "the name of opening hours");
                self.double(id, "hours", checked.iter().any(|(other, _)| other == id.get_ref()));
            }
            let zone = self.required(&hours.zone, &place, "zone", "say whose clock: zone = \"Europe/Paris\"");
            let openings = self.week(hours, &place);
            let holidays = self.holidays(hours);
            let exceptions = self.exceptions(hours);
            let Some(zone) = zone else { continue };
            match Hours::new(zone.get_ref(), openings) {
                Ok(usual) => {
                    let kept = match holidays {
                        Some(holidays) => usual.with_holidays(holidays),
                        None => usual,
                    };
                    let id = id.map_or_else(String::new, |id| id.get_ref().clone());
                    checked.push((id, with_exceptions(kept, exceptions)));
                }
                Err(HoursError::UnknownZone(name)) => {
                    let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
                    let near = suggest::closest(&name, known.iter().map(String::as_str));
                    let help = near.map_or_else(
                        || "write a name as \"Europe/Paris\" or \"UTC\"".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.error(zone, &format!("there is no time zone `{name}`"), &help);
                }
                Err(error @ HoursError::BadOpening(_)) => self.error(zone, &error.to_string(), "mend `week`"),
            }
        }
        checked
    }

    fn week(&mut self, hours: &file::Hours, place: &Range<usize>) -> Vec<Opening> {
        let help =
            "say when it is open: week = { mon-fri = [\"08:00-18:00\"], sat = [\"09:00-12:00\", \"14:00-17:30\"] }";
        let Some(week) = self.required(&hours.week, place, "week", help) else { return Vec::new() };
        let mut openings = Vec::new();
        let mut named: Vec<usize> = Vec::new();
        for (days, times) in week.get_ref() {
            let Some(days_named) = self.days(days) else { continue };
            for &day in &days_named {
                if named.contains(&day) {
                    self.error(days, &format!("`{}` is named twice in this week", DAYS[day]), "give each day once");
                }
                named.push(day);
            }
            for time in times.get_ref() {
                let Some((from_minute, to_minute)) = self.times(time) else { continue };
                let day = |&day: &usize| Opening { weekday: u8::try_from(day).unwrap_or(0), from_minute, to_minute };
                openings.extend(days_named.iter().map(day));
            }
        }
        if week.get_ref().is_empty() {
            self.error(week, "a week without a day is never open", help);
        }
        openings
    }

    fn holidays(&mut self, hours: &file::Hours) -> Option<Holidays> {
        let key = hours.holidays.as_ref()?;
        match key.get_ref().as_str() {
            "none" => None,
            "fr" => Some(Holidays::France),
            "fr-alsace-moselle" => Some(Holidays::AlsaceMoselle),
            other => {
                let help = suggest::mend(other, ["none", "fr", "fr-alsace-moselle"], "");
                let help = format!("{help}; days of another country are written as `exceptions`");
                self.error(key, &format!("no public holidays are called `{other}`"), &help);
                None
            }
        }
    }

    /// Dates with hours of their own.
    fn exceptions(&mut self, hours: &file::Hours) -> Vec<(Day, Vec<DaySpan>)> {
        let Some(exceptions) = &hours.exceptions else { return Vec::new() };
        let mut checked = Vec::new();
        for (date, times) in exceptions.get_ref() {
            let mut spans: Vec<DaySpan> = Vec::new();
            for time in times.get_ref() {
                let Some((from_minute, to_minute)) = self.times(time) else { continue };
                let span = DaySpan { from_minute, to_minute };
                if spans.contains(&span) {
                    self.error(time, &format!("`{}` stands here twice", time.get_ref()), "leave one of them out");
                }
                spans.push(span);
            }
            match date.get_ref().parse::<Day>() {
                Ok(day) => checked.push((day, spans)),
                Err(_) => {
                    let message = format!("`{}` is not a date", date.get_ref());
                    self.error(
                        date,
                        &message,
                        "write exceptions = { 2026-12-24 = [\"09:00-12:00\"], 2026-12-31 = [] }",
                    );
                }
            }
        }
        checked
    }

    /// `mon`, or `mon-fri`; `sat-mon` goes over the end of the week.
    fn days(&mut self, key: &Spanned<String>) -> Option<Vec<usize>> {
        let typed = key.get_ref().to_lowercase();
        let (first, last) = typed.split_once('-').unwrap_or((&typed, &typed));
        let day = |name: &str| DAYS.iter().position(|day| *day == name);
        let (Some(first), Some(last)) = (day(first), day(last)) else {
            let message = format!("`{}` is not a day", key.get_ref());
            self.error(key, &message, "write mon, tue, wed, thu, fri, sat, sun, or a span as mon-fri");
            return None;
        };
        let length = (last + DAYS.len() - first) % DAYS.len() + 1;
        Some((0..length).map(|step| (first + step) % DAYS.len()).collect())
    }

    /// `08:00-22:00`; `22:00-02:00` goes past midnight.
    fn times(&mut self, key: &Spanned<String>) -> Option<(u16, u16)> {
        let typed = key.get_ref();
        let ends = typed.split_once('-').map(|(from, to)| (minute(from.trim()), minute(to.trim())));
        match ends {
            Some((Some(from), Some(to))) if from < DAY_MINUTES && from != to => Some((from, to)),
            Some((Some(_), Some(_))) => {
                self.error(key, &format!("`{typed}` is no time at all"), "for the whole day write \"00:00-24:00\"");
                None
            }
            Some(_) | None => {
                let help = "write hours and minutes of a 24-hour clock: \"08:00-18:30\"";
                self.error(key, &format!("`{typed}` is not a span of the day"), help);
                None
            }
        }
    }
}

/// The spans were read as minutes of a day already: none is refused.
fn with_exceptions(hours: Hours, exceptions: Vec<(Day, Vec<DaySpan>)>) -> Hours {
    exceptions.into_iter().fold(hours, |hours, (day, spans)| hours.clone().with_exception(day, spans).unwrap_or(hours))
}

/// `HH:MM` as minute of the day; `24:00` is its end.
fn minute(typed: &str) -> Option<u16> {
    let (hour, minute) = typed.split_once(':')?;
    let digits = |text: &str| text.len() <= 2 && !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY_MINUTES).then_some(at)
}
