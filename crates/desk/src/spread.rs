//! How a quantity is spread: what half, nine tenths and all but one in a hundred stay below.

/// Percentiles of what was measured, by the nearest rank: each is a value that has really been.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spread {
    /// How many there are, never 0.
    pub count: usize,
    /// Half are no greater.
    pub p50: i64,
    /// Nine tenths are no greater.
    pub p90: i64,
    /// All but one in a hundred are no greater.
    pub p99: i64,
    /// The greatest.
    pub max: i64,
}

impl Spread {
    /// Of these values; `None` when there is none.
    pub fn of(values: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut values: Vec<i64> = values.into_iter().collect();
        values.sort_unstable();
        let count = values.len();
        let at = |percent: usize| values.get((count * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { count, p50: at(50)?, p90: at(90)?, p99: at(99)?, max: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_are_the_nearest_ones() {
        assert_eq!(Spread::of([]), None);
        let one = Spread { count: 1, p50: -7, p90: -7, p99: -7, max: -7 };
        assert_eq!(Spread::of([-7]), Some(one));
        let hundred = Spread { count: 100, p50: 50, p90: 90, p99: 99, max: 100 };
        assert_eq!(Spread::of((1..=100).rev()), Some(hundred));
        let three = Spread { count: 3, p50: 2, p90: 9, p99: 9, max: 9 };
        assert_eq!(Spread::of([9, 1, 2]), Some(three));
    }
}
