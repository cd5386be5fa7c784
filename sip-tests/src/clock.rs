//! The clock of a person who is called: nobody is rung again at night, so a test gives him one where it is day.

/// The zone in which it is ten in the morning now, such as `Etc/GMT-3`: hours are left to call him again whenever the
/// test runs.
#[must_use]
pub fn zone_by_day() -> String {
    zone_at_ten(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour())
}

/// These zones count westward: `Etc/GMT-3` is three hours ahead of UTC.
fn zone_at_ten(hour_utc: i8) -> String {
    let ahead = (10 - hour_utc + 11).rem_euclid(24) - 11;
    format!("Etc/GMT{:+}", -ahead)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_ten_in_the_morning_there_at_every_hour() {
        for hour in 0..24 {
            let name = super::zone_at_ten(hour);
            let zone = jiff::tz::TimeZone::get(&name).unwrap();
            let now = jiff::civil::date(2026, 11, 22).at(hour, 30, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
            assert_eq!(now.with_time_zone(zone).hour(), 10, "{name} at {hour} UTC");
        }
    }
}
