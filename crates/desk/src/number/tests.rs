//! What a policy lets through and what it refuses, rule by rule.

use super::*;

mod hostile;
mod spellings;
mod table;

fn policy(config: NumberPolicyConfig) -> NumberPolicy {
    NumberPolicy::new(&config).unwrap()
}

fn at_home(home: &str) -> NumberPolicy {
    policy(NumberPolicyConfig::at_home(home))
}

fn serving(home: &str, countries: &[&str]) -> NumberPolicy {
    let countries = countries.iter().map(|&country| country.to_owned()).collect();
    policy(NumberPolicyConfig { countries, ..NumberPolicyConfig::at_home(home) })
}

/// `expected` is the E.164, or the code of the refusal.
fn check(policy: &NumberPolicy, typed: &str, expected: &str) {
    let verdict = policy.judge(typed, None);
    let said = verdict.as_ref().map_or_else(|refusal| refusal.code(), Number::e164);
    assert_eq!(said, expected, "{typed:?}");
}

#[test]
fn a_number_is_kept_as_e164_and_shown_as_people_write_it() {
    let number = at_home("FR").judge("06.12.34.56.78", None).unwrap();
    assert_eq!(number.e164(), "+33612345678");
    assert_eq!(number.digits(), "33612345678");
    assert_eq!(number.international(), "+33 6 12 34 56 78");
    assert_eq!(number.national(), "06 12 34 56 78");
    assert_eq!((number.country(), number.kind()), ("FR", NumberKind::Mobile));
}

#[test]
fn a_log_does_not_show_the_number() {
    let number = at_home("FR").judge("0612345678", None).unwrap();
    assert_eq!(number.masked(), "+33 6 ** ** ** 78");
    assert_eq!(format!("{number:?}"), "Number(+33 6 ** ** ** 78, FR, mobile)");
    let small = at_home("AC").judge("62889", None).unwrap();
    assert_eq!(small.masked(), "+247 *****", "of five digits none is shown");
    let explanation = format!("{:?}", at_home("FR").explain("0612345678", None));
    assert!(!explanation.contains("345") && explanation.contains("ReadIn"), "{explanation}");
    assert!(!format!("{:?}", at_home("FR").explain("0899123456", None)).contains("345"));
}

#[test]
fn a_number_without_a_plus_is_read_where_the_page_says() {
    let policy = serving("FR", &["FR", "BE"]);
    check(&policy, "0470 12 34 56", "+33470123456");
    assert_eq!(policy.judge("0470 12 34 56", Some("BE")).unwrap().e164(), "+32470123456");
    assert_eq!(policy.judge("0470 12 34 56", Some("be")).unwrap().e164(), "+32470123456");
    assert_eq!(policy.judge("+33612345678", Some("nowhere")).unwrap().country(), "FR", "a plus needs no country");
    for nonsense in ["", "XX", "001", "FRA", "é", "F\0", "\u{202e}"] {
        assert_eq!(policy.judge("0612345678", Some(nonsense)), Err(NumberRefusal::CountryNotServed), "{nonsense:?}");
    }
}

#[test]
fn only_countries_that_are_named_are_called() {
    let policy = at_home("FR");
    check(&policy, "+41446681800", "country_not_served");
    check(&policy, "0041 44 668 18 00", "country_not_served");
    check(&serving("FR", &["FR", "CH"]), "0041 44 668 18 00", "+41446681800");
    check(&serving("FR", &["CH"]), "0612345678", "country_not_served");
    // a plus for abroad that this exchange does not know, but people do
    check(&serving("US", &["US", "FR"]), "011 33 6 12 34 56 78", "+33612345678");
    check(&serving("US", &["US", "FR"]), "0033612345678", "+33612345678");
}

#[test]
fn an_island_under_plus_one_is_not_the_united_states() {
    const ISLANDS: [&str; 20] = [
        "AG", "AI", "BB", "BM", "BS", "DM", "DO", "GD", "JM", "KN", "KY", "LC", "MS", "PR", "SX", "TC", "TT", "VC",
        "VG", "VI",
    ];
    for island in ISLANDS {
        let numbers: Vec<_> = table::examples().filter(|row| row.region == island && row.is_line()).collect();
        assert!(!numbers.is_empty());
        for row in numbers {
            check(&at_home("US"), row.e164, "country_not_served");
            check(&at_home("CA"), row.e164, "country_not_served");
            assert_eq!(at_home(island).judge(row.national, None).unwrap().country(), island);
        }
    }
    check(&at_home("US"), "(201) 555-0123", "+12015550123");
    check(&at_home("US"), "+1 506-234-5678", "country_not_served");
    check(&at_home("CA"), "(506) 234-5678", "+15062345678");
}

#[test]
fn territories_that_share_a_plan_are_each_served_by_name() {
    check(&at_home("AX"), "041 2345678", "+358412345678");
    check(&at_home("FI"), "041 2345678", "+358412345678");
    check(&at_home("GP"), "+262692123456", "country_not_served");
    // the same national digits under another calling code are another country's
    check(&at_home("NO"), "+33612345678", "country_not_served");
    check(&at_home("RU"), "+77710009998", "country_not_served");
    check(&at_home("KZ"), "8 (771) 000 9998", "+77710009998");
}

#[test]
fn a_network_of_the_whole_world_is_called_only_if_its_code_is_named() {
    let networks = [
        ("+870773111632", NumberKind::Mobile),
        ("+881612345678", NumberKind::Mobile),
        ("+8823421234", NumberKind::Mobile),
        ("+883510012345", NumberKind::Voip),
        ("+88812345678901", NumberKind::Uan),
        ("+979123456789", NumberKind::Premium),
        ("+80012345678", NumberKind::TollFree),
        ("+80812345678", NumberKind::SharedCost),
    ];
    let countries: Vec<String> = table::regions();
    let everywhere =
        policy(NumberPolicyConfig { countries, kinds: NumberKind::ALL.to_vec(), ..NumberPolicyConfig::at_home("FR") });
    for (e164, kind) in networks {
        check(&at_home("FR"), e164, "country_not_served");
        check(&everywhere, e164, "country_not_served");
        let code = e164.get(1..4).unwrap();
        check(
            &serving("FR", &["FR", code]),
            e164,
            if kind == NumberKind::Mobile { e164 } else { "number_not_dialable" },
        );
        let kinds = vec![kind];
        let named = NumberPolicyConfig { countries: vec![code.to_owned()], kinds, ..NumberPolicyConfig::at_home("FR") };
        let number = policy(named).judge(e164, None).unwrap();
        assert_eq!((number.country(), number.kind()), ("001", kind));
    }
}

#[test]
fn only_kinds_that_are_named_are_called() {
    let numbers = [
        ("0801 23 45 67", NumberKind::TollFree),
        ("0899 12 34 56", NumberKind::Premium),
        ("0820 12 34 56", NumberKind::SharedCost),
        ("09 12 34 56 78", NumberKind::Voip),
        ("08 06 12 34 56", NumberKind::Uan),
    ];
    for (typed, kind) in numbers {
        check(&at_home("FR"), typed, "number_not_dialable");
        let named = policy(NumberPolicyConfig { kinds: vec![kind], ..NumberPolicyConfig::at_home("FR") });
        assert_eq!(named.judge(typed, None).map(|number| number.kind()), Ok(kind), "{typed}");
        check(&named, "06 12 34 56 78", "number_not_dialable");
    }
}

#[test]
fn a_blocked_prefix_blocks_what_begins_with_it_and_no_more() {
    let blocked_prefixes = ["3316", "337", "33612345679"].map(str::to_owned).to_vec();
    let policy = policy(NumberPolicyConfig { blocked_prefixes, ..NumberPolicyConfig::at_home("FR") });
    check(&policy, "01 62 00 00 00", "number_blocked");
    check(&policy, "01 52 00 00 00", "+33152000000");
    check(&policy, "07 56 12 34 56", "number_blocked");
    check(&policy, "06 12 34 56 79", "number_blocked");
    check(&policy, "06 12 34 56 78", "+33612345678");
}

#[test]
fn a_stored_number_is_judged_by_the_policy_of_the_moment_of_dialling() {
    let number = at_home("FR").judge("0612345678", None).unwrap();
    assert_eq!(at_home("FR").judge_again(number.e164()), Ok(number));
    assert_eq!(at_home("BE").judge_again("+33612345678"), Err(NumberRefusal::CountryNotServed));
    let fixed = policy(NumberPolicyConfig { kinds: vec![NumberKind::Fixed], ..NumberPolicyConfig::at_home("FR") });
    assert_eq!(fixed.judge_again("+33612345678"), Err(NumberRefusal::NotDialable));
    let not_e164 =
        ["", "+", "33612345678", "0612345678", "+33 612345678", "++33612345678", "+330612345678", "+33612345678;ext=9"];
    for text in not_e164 {
        assert_eq!(at_home("FR").judge_again(text), Err(NumberRefusal::Invalid), "{text}");
    }
}

#[test]
fn emergency_and_short_numbers_are_not_dialable() {
    let policy = at_home("FR");
    for short in [
        "112", "15", "17", "18", "114", "115", "119", "191", "3949", "3617", "36 10", "118 218", "116117", "10 23",
        "1", "0",
    ] {
        check(&policy, short, "number_not_dialable");
    }
    for hidden in ["+112", "+33112", "0033 15", "00112", "0112", "+33 0 112", "+3317", "tel:112"] {
        assert!(policy.judge(hidden, None).is_err(), "{hidden}");
    }
    for value in 0..100_000 {
        assert!(policy.judge(&value.to_string(), None).is_err(), "{value}");
    }
    check(&at_home("US"), "911", "number_not_dialable");
    check(&at_home("GB"), "999", "number_not_dialable");
    check(&at_home("AU"), "000", "number_not_dialable");
}

#[test]
fn an_administrator_sees_each_rule_that_spoke() {
    let rules = |typed: &str| -> Vec<String> {
        at_home("FR").explain(typed, None).rules().iter().map(Rule::to_string).collect()
    };
    assert_eq!(
        rules("06 12 34 56 78"),
        [
            "read as a number of FR",
            "in the numbering plan",
            "country FR is served",
            "kind mobile is served",
            "no blocked prefix begins it"
        ]
    );
    assert_eq!(
        rules("+1 876 210 1234"),
        ["read as an international number", "in the numbering plan", "country JM is not served"]
    );
    assert_eq!(rules("3949"), ["read as a number of FR", "an emergency or short number"]);
    assert_eq!(rules("06 12 34"), ["read as a number of FR", "an emergency or short number"]);
    assert_eq!(rules("06 12 34 56"), ["read as a number of FR", "in no numbering plan"]);
    assert_eq!(rules("0612345678,,9"), ["a pause, a code or an extension in it"]);

    let premium = at_home("FR").explain("0899123456", None);
    assert_eq!(premium.parsed_as(), Some("+33899123456"));
    assert_eq!((premium.country(), premium.kind()), (Some("FR"), Some(NumberKind::Premium)));
    assert_eq!(premium.rules().last(), Some(&Rule::KindNotServed(NumberKind::Premium)));
    assert_eq!(premium.verdict(), Err(NumberRefusal::NotDialable));
}

#[test]
fn a_mistake_in_the_configuration_is_named() {
    let site = NumberPolicyConfig::at_home("FR");
    let mistake = |config: NumberPolicyConfig| NumberPolicy::new(&config).unwrap_err();
    for home in ["", "UK", "001", "France", "33"] {
        assert_eq!(mistake(NumberPolicyConfig::at_home(home)), NumberPolicyError::UnknownHome(home.to_owned()));
    }
    for country in ["UK", "001", "33", "+870", "", "*"] {
        let config = NumberPolicyConfig { countries: vec!["FR".to_owned(), country.to_owned()], ..site.clone() };
        assert_eq!(mistake(config), NumberPolicyError::UnknownCountry(country.to_owned()));
    }
    for prefix in ["", "+33", "06", "33 1", "33a", "٣٣", "1234567890123456"] {
        let config = NumberPolicyConfig { blocked_prefixes: vec![prefix.to_owned()], ..site.clone() };
        assert_eq!(mistake(config), NumberPolicyError::BadPrefix(prefix.to_owned()));
    }
    assert_eq!(mistake(NumberPolicyConfig { countries: vec![], ..site.clone() }), NumberPolicyError::NoCountry);
    assert_eq!(mistake(NumberPolicyConfig { kinds: vec![], ..site }), NumberPolicyError::NoKind);
    assert!(NumberPolicyError::UnknownHome("UK".to_owned()).to_string().contains("\"UK\""));
}

#[test]
fn a_kind_is_named_as_it_is_written() {
    for kind in NumberKind::ALL {
        assert_eq!(NumberKind::named(kind.code()), Some(kind));
    }
    assert_eq!(NumberKind::named("Mobile"), None);
}
