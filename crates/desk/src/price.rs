//! What a call costs: a price a minute by the beginning of the number, and the longest beginning counts.

use std::collections::BTreeMap;
use std::time::Duration;

/// Prices a minute of one trunk, in millionths of whatever money its provider counts in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Prices(BTreeMap<String, u64>);

impl Prices {
    /// From the digits a number begins with (E.164 without the plus) to its price a minute, in millionths.
    pub const fn new(by_prefix: BTreeMap<String, u64>) -> Self {
        Self(by_prefix)
    }

    /// Whether nothing has a price.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A minute to this number, in millionths. One that begins with none of them costs as much as the dearest: nobody
    /// finds out too late what it was.
    pub fn a_minute(&self, e164: &str) -> u64 {
        let digits = e164.strip_prefix('+').unwrap_or(e164);
        let known = (1..=digits.len()).rev().find_map(|length| self.0.get(digits.get(..length)?));
        known.or_else(|| self.0.values().max()).copied().unwrap_or(0)
    }

    /// So long on the line with this number, in millionths; what is left of one counts as one.
    pub fn cost(&self, e164: &str, span: Duration) -> u64 {
        let a_minute = u128::from(self.a_minute(e164));
        u64::try_from((a_minute * span.as_millis()).div_ceil(60_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        let all = [("33", 8_000), ("336", 60_000), ("337", 60_000), ("33700", 90_000), ("1", 12_000)];
        Prices::new(all.map(|(prefix, price)| (prefix.to_owned(), price)).into())
    }

    #[test]
    fn the_longest_beginning_counts_and_what_is_unknown_is_dear() {
        for (number, expected) in [
            ("+33142685300", 8_000),
            ("+33612345678", 60_000),
            ("+33700123456", 90_000),
            ("+33711223344", 60_000),
            ("+12025550123", 12_000),
            ("+4930123456", 90_000),
            ("", 90_000),
        ] {
            assert_eq!(prices().a_minute(number), expected, "{number}");
        }
        assert_eq!((Prices::default().a_minute("+33612345678"), Prices::default().is_empty()), (0, true));
    }

    #[test]
    fn time_costs_by_the_millisecond_and_never_nothing() {
        let cost = |ms| prices().cost("+33612345678", Duration::from_millis(ms));
        assert_eq!([cost(0), cost(1), cost(30_000), cost(60_000), cost(90_000)], [0, 1, 30_000, 60_000, 90_000]);
        assert_eq!(Prices::new([("1".to_owned(), u64::MAX)].into()).cost("+1", Duration::from_secs(120)), u64::MAX);
    }
}
