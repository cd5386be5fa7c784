//! Which numbers are called: countries, kinds and blocked prefixes, and the walk of one number through them.

use std::collections::BTreeSet;
use std::fmt;

use crate::number::explain::{Explanation, Rule, Trail};
use crate::number::plan::{self, Country, Parsed};
use crate::number::spelling::{self, Spelling};
use crate::number::{Number, NumberKind, NumberRefusal};

/// Up to so many digits that are no number are an emergency or short number. No line of any country is written in the
/// digits of one of its short numbers; the shortest lines have four digits.
const SHORT_DIGITS: usize = 6;
/// ITU-T E.164 §6.1: calling code and number together. Some plans have longer numbers, but not for the rest of the world.
const MAX_DIGITS: usize = 15;

/// What a policy is made of, as an administrator names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NumberPolicyConfig {
    /// The country of the site: a number written without a plus is one of it, unless the page says another.
    pub home: String,
    /// Countries that are called, as ISO 3166-1 alpha-2 codes. A network of the whole world (satellites: 870, 881, 882,
    /// 883; others: 800, 808, 878, 888, 979) is named by its calling code, and by nothing else.
    pub countries: Vec<String>,
    /// Kinds that are called.
    pub kinds: Vec<NumberKind>,
    /// Digits that a number must not begin with, calling code first: `33162`.
    pub blocked_prefixes: Vec<String>,
}

/// The configuration makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NumberPolicyError {
    /// The home is no country.
    UnknownHome(String),
    /// A country to call is none, nor a network of the whole world.
    UnknownCountry(String),
    /// No country is named: nobody could be called.
    NoCountry,
    /// No kind is named.
    NoKind,
    /// A prefix is not 1 to 15 digits that begin with a calling code.
    BadPrefix(String),
}

/// Which numbers are called.
#[derive(Clone, Debug)]
pub struct NumberPolicy {
    home: Country,
    countries: BTreeSet<Country>,
    networks: BTreeSet<i32>,
    kinds: BTreeSet<NumberKind>,
    blocked: BTreeSet<String>,
}

impl NumberPolicyConfig {
    /// The default of a site: its own country, fixed lines and mobiles, nothing blocked beyond that.
    pub fn at_home(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            countries: vec![home.to_owned()],
            kinds: vec![NumberKind::Fixed, NumberKind::Mobile, NumberKind::FixedOrMobile],
            blocked_prefixes: Vec::new(),
        }
    }
}

impl NumberPolicy {
    /// Checks the configuration. The first policy of a process loads the numbering plans: some milliseconds.
    pub fn new(config: &NumberPolicyConfig) -> Result<Self, NumberPolicyError> {
        let home = plan::country(&config.home).ok_or_else(|| NumberPolicyError::UnknownHome(config.home.clone()))?;
        if config.countries.is_empty() {
            return Err(NumberPolicyError::NoCountry);
        }
        if config.kinds.is_empty() {
            return Err(NumberPolicyError::NoKind);
        }
        let (mut countries, mut networks) = (BTreeSet::new(), BTreeSet::new());
        for name in &config.countries {
            if let Some(country) = plan::country(name) {
                countries.insert(country);
            } else if let Some(network) = plan::network(name) {
                networks.insert(network);
            } else {
                return Err(NumberPolicyError::UnknownCountry(name.clone()));
            }
        }
        if let Some(bad) = config.blocked_prefixes.iter().find(|prefix| !begins_e164(prefix)) {
            return Err(NumberPolicyError::BadPrefix(bad.clone()));
        }
        let kinds = config.kinds.iter().copied().collect();
        let blocked = config.blocked_prefixes.iter().cloned().collect();
        Ok(Self { home, countries, networks, kinds, blocked })
    }

    /// The country whose numbers are written without a plus.
    pub fn home(&self) -> String {
        self.home.to_string()
    }

    /// Judges what a visitor typed. `country` is what the page says a number without a plus belongs to; `None` is home.
    pub fn judge(&self, typed: &str, country: Option<&str>) -> Result<Number, NumberRefusal> {
        self.walk(typed, country, &mut Trail::default())
    }

    /// Judges a stored number once more, just before it is dialled.
    pub fn judge_again(&self, e164: &str) -> Result<Number, NumberRefusal> {
        self.walk_e164(e164, &mut Trail::default())
    }

    /// Judges as [`judge`](Self::judge) and shows each rule that spoke.
    pub fn explain(&self, typed: &str, country: Option<&str>) -> Explanation {
        let mut trail = Trail::default();
        let verdict = self.walk(typed, country, &mut trail);
        Explanation { trail, verdict }
    }

    fn walk(&self, typed: &str, country: Option<&str>, trail: &mut Trail) -> Result<Number, NumberRefusal> {
        let spelling = spelling::read(typed).map_err(|fault| trail.refuse(Rule::Misspelled(fault)))?;
        let home = self.read_in(&spelling, country, trail)?;
        let parsed = Parsed::read(&spelling, home);
        trail.parsed_as = parsed.as_ref().map(Parsed::e164);
        match parsed.filter(Parsed::is_valid) {
            Some(parsed) => self.walk_e164(&parsed.e164(), trail),
            None if !spelling.plus && spelling.digits.len() <= SHORT_DIGITS => Err(trail.refuse(Rule::Short)),
            None => Err(trail.refuse(Rule::NotValid)),
        }
    }

    /// The country a number without a plus is read in.
    fn read_in(&self, spelling: &Spelling, country: Option<&str>, trail: &mut Trail) -> Result<Country, NumberRefusal> {
        if spelling.plus {
            trail.say(Rule::ReadAsInternational)?;
            return Ok(self.home);
        }
        let known = country.map_or(Some(self.home), plan::country);
        let country = known.ok_or_else(|| trail.refuse(Rule::UnknownCountry))?;
        trail.say(Rule::ReadIn(country.to_string()))?;
        Ok(country)
    }

    /// From the E.164 alone, so that what was typed has no part in it.
    fn walk_e164(&self, e164: &str, trail: &mut Trail) -> Result<Number, NumberRefusal> {
        let digits = e164.strip_prefix('+').filter(|digits| begins_e164(digits)).unwrap_or_default();
        let parsed = Parsed::international(digits).filter(|parsed| parsed.is_valid() && parsed.e164() == e164);
        let parsed = parsed.ok_or_else(|| trail.refuse(Rule::NotValid))?;
        trail.say(Rule::Valid)?;
        let country = parsed.country().map(|country| country.to_string()).unwrap_or_default();
        trail.country = Some(country.clone());
        trail.kind = Some(parsed.kind());
        trail.say(match self.serves(&parsed) {
            true => Rule::CountryServed(country.clone()),
            false => Rule::CountryNotServed(country.clone()),
        })?;
        let kind = parsed.kind();
        trail.say(if self.kinds.contains(&kind) { Rule::KindServed(kind) } else { Rule::KindNotServed(kind) })?;
        trail.say(self.blocks(digits).map_or(Rule::NotBlocked, |prefix| Rule::Blocked(prefix.to_owned())))?;
        Ok(Number {
            e164: parsed.e164(),
            international: parsed.international_format(),
            national: parsed.national_format(),
            country,
            kind,
        })
    }

    fn serves(&self, parsed: &Parsed) -> bool {
        match parsed.network() {
            Some(network) => self.networks.contains(&network),
            None => self.countries.iter().any(|country| parsed.is_of(*country)),
        }
    }

    /// The shortest blocked prefix that begins these digits.
    fn blocks<'a>(&self, digits: &'a str) -> Option<&'a str> {
        (1..=digits.len()).filter_map(|length| digits.get(..length)).find(|prefix| self.blocked.contains(*prefix))
    }
}

/// Whether a number could begin with, or be, these digits. Calling codes do not begin with a zero: `06` would block nothing.
fn begins_e164(digits: &str) -> bool {
    (1..=MAX_DIGITS).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for NumberPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHome(home) => {
                write!(f, "no country is called \"{home}\": write two letters, such as FR")
            }
            Self::UnknownCountry(name) => write!(
                f,
                "no country is called \"{name}\": write two letters, such as FR, or a calling code of the whole world, such as 870"
            ),
            Self::NoCountry => f.write_str("no country is named, nobody could be called"),
            Self::NoKind => f.write_str("no kind of number is named, nobody could be called"),
            Self::BadPrefix(prefix) => {
                write!(f, "\"{prefix}\" is no prefix: write digits only, calling code first, such as 33162")
            }
        }
    }
}

impl std::error::Error for NumberPolicyError {}
