//! The tables of all regions: which of libphonenumber's examples a site's default policy would call.

use super::*;

const EXAMPLES: &str = include_str!("../../../data/number_examples.tsv");
const SHORT: &str = include_str!("../../../data/short_numbers.tsv");

/// One example number.
pub(super) struct Example {
    pub(super) region: &'static str,
    pub(super) listed_as: &'static str,
    pub(super) e164: &'static str,
    country: &'static str,
    kind: &'static str,
    pub(super) international: &'static str,
    pub(super) national: &'static str,
}

impl Example {
    pub(super) fn is_line(&self) -> bool {
        ["fixed", "mobile"].contains(&self.listed_as)
    }
}

pub(super) fn examples() -> impl Iterator<Item = Example> {
    EXAMPLES.lines().map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap();
        Example {
            region: next(),
            listed_as: next(),
            e164: next(),
            country: next(),
            kind: next(),
            international: next(),
            national: next(),
        }
    })
}

/// Region, list and number.
fn short_numbers() -> impl Iterator<Item = [&'static str; 3]> {
    SHORT.lines().map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
}

/// All countries with a numbering plan.
pub(super) fn regions() -> Vec<String> {
    let mut regions: Vec<String> =
        examples().map(|row| row.region.to_owned()).filter(|region| region != "001").collect();
    regions.dedup();
    assert_eq!(regions.len(), 245);
    regions
}

/// Lines of every country.
pub(super) fn everywhere() -> NumberPolicy {
    policy(NumberPolicyConfig { countries: regions(), ..NumberPolicyConfig::at_home("FR") })
}

#[test]
fn the_default_policy_calls_lines_at_home_and_nothing_that_costs() {
    let everywhere = everywhere();
    let (mut lines, mut accepted) = (0, 0);
    let mut refused = std::collections::BTreeMap::<&str, u32>::new();
    for row in examples() {
        let home = at_home(if row.region == "001" { "FR" } else { row.region });
        let verdict = home.judge(row.e164, None);
        if row.is_line() && row.region != "001" {
            lines += 1;
            accepted += u32::from(verdict.is_ok());
            continue;
        }
        assert!(verdict.is_err(), "{} {} {}", row.region, row.listed_as, row.e164);
        assert!(everywhere.judge(row.e164, None).is_err(), "{} {} {}", row.region, row.listed_as, row.e164);
        *refused.entry(row.listed_as).or_default() += 1;
    }
    assert_eq!((refused["premium"], refused["shared_cost"], refused["pager"]), (151, 54, 23));
    assert_eq!((lines, accepted), (489, 489), "lines of their own country");
}

#[test]
fn country_kind_and_formats_are_libphonenumbers() {
    let kinds = NumberKind::ALL.to_vec();
    let mut countries = regions();
    countries.extend(["800", "808", "870", "878", "881", "882", "883", "888", "979"].map(str::to_owned));
    let anything = policy(NumberPolicyConfig { countries, kinds, ..NumberPolicyConfig::at_home("FR") });
    let mut rows = 0;
    for row in examples() {
        let number = anything.judge(row.e164, None).unwrap();
        assert_eq!(number.e164(), row.e164);
        assert_eq!((number.country(), number.kind().code()), (row.country, row.kind), "{}", row.e164);
        assert_eq!((number.international(), number.national()), (row.international, row.national), "{}", row.e164);
        rows += 1;
    }
    assert_eq!(rows, 1_143);
}

#[test]
fn no_short_number_of_any_region_is_called() {
    let everywhere = everywhere();
    let mut rows = 0;
    for [region, list, short] in short_numbers() {
        let refusal = everywhere.judge(short, Some(region)).unwrap_err();
        assert!(list != "emergency" || refusal == NumberRefusal::NotDialable, "{region} {short}: {refusal:?}");
        assert!(everywhere.judge(&format!("+{short}"), Some(region)).is_err(), "{region} +{short}");
        assert!(at_home(region).judge(short, None).is_err(), "{region} {short}");
        rows += 1;
    }
    assert_eq!(rows, 961);
}
