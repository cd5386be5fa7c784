//! What an administrator is shown of the walk of one number: each rule that spoke, in its order.

use std::fmt;

use crate::number::{Misspelling, Number, NumberKind, NumberRefusal};

/// The walk of one number through a policy. Its `Debug` shows no number.
#[derive(Clone, Eq, PartialEq)]
pub struct Explanation {
    pub(super) trail: Trail,
    pub(super) verdict: Result<Number, NumberRefusal>,
}

/// What a walk leaves behind.
#[derive(Clone, Default, Eq, PartialEq)]
pub(super) struct Trail {
    pub(super) parsed_as: Option<String>,
    pub(super) country: Option<String>,
    pub(super) kind: Option<NumberKind>,
    rules: Vec<Rule>,
}

/// A rule that spoke. At most the last one refuses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Refused: not spelled as numbers are.
    Misspelled(Misspelling),
    /// Refused: written without a plus, and no country is called what the page sent.
    UnknownCountry,
    /// Written without a plus: read as a number of this country.
    ReadIn(String),
    /// Written with a plus: read as it stands.
    ReadAsInternational,
    /// Refused: an emergency or short number, which leads elsewhere in every network.
    Short,
    /// Refused: no numbering plan has it, or a zero in brackets leaves open which of two numbers is meant.
    NotValid,
    /// A numbering plan has it.
    Valid,
    /// Its country is called.
    CountryServed(String),
    /// Refused: its country is not called.
    CountryNotServed(String),
    /// Its kind is called.
    KindServed(NumberKind),
    /// Refused: its kind is not called.
    KindNotServed(NumberKind),
    /// No blocked prefix begins it.
    NotBlocked,
    /// Refused: this blocked prefix begins it.
    Blocked(String),
}

impl Trail {
    /// Notes a rule; one that refuses ends the walk.
    pub(super) fn say(&mut self, rule: Rule) -> Result<(), NumberRefusal> {
        let refusal = rule.refusal();
        self.rules.push(rule);
        refusal.map_or(Ok(()), Err)
    }

    /// Notes the rule that ends the walk.
    pub(super) fn refuse(&mut self, rule: Rule) -> NumberRefusal {
        self.say(rule).err().unwrap_or(NumberRefusal::Invalid)
    }
}

impl Explanation {
    /// The number in E.164 as it was understood, also when it is refused.
    pub fn parsed_as(&self) -> Option<&str> {
        self.trail.parsed_as.as_deref()
    }

    /// Its country, as [`Number::country`].
    pub fn country(&self) -> Option<&str> {
        self.trail.country.as_deref()
    }

    /// Its kind.
    pub fn kind(&self) -> Option<NumberKind> {
        self.trail.kind
    }

    /// The rules that spoke, in their order; the last one decided.
    pub fn rules(&self) -> &[Rule] {
        &self.trail.rules
    }

    /// What the policy says.
    pub fn verdict(&self) -> Result<&Number, NumberRefusal> {
        self.verdict.as_ref().map_err(|refusal| *refusal)
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("rules", &self.trail.rules)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl Rule {
    /// What the visitor is told when this rule refuses; `None` where it lets the number pass.
    pub const fn refusal(&self) -> Option<NumberRefusal> {
        match self {
            Self::Misspelled(Misspelling::Empty) => Some(NumberRefusal::Required),
            Self::Misspelled(Misspelling::DialString) | Self::Short | Self::KindNotServed(_) => {
                Some(NumberRefusal::NotDialable)
            }
            Self::Misspelled(Misspelling::TooLong | Misspelling::Letter | Misspelling::Plus | Misspelling::Sign)
            | Self::NotValid => Some(NumberRefusal::Invalid),
            Self::UnknownCountry | Self::CountryNotServed(_) => Some(NumberRefusal::CountryNotServed),
            Self::Blocked(_) => Some(NumberRefusal::Blocked),
            Self::ReadIn(_)
            | Self::ReadAsInternational
            | Self::Valid
            | Self::CountryServed(_)
            | Self::KindServed(_)
            | Self::NotBlocked => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misspelled(fault) => fault.fmt(f),
            Self::UnknownCountry => f.write_str("the country it should be read in is not known"),
            Self::ReadIn(country) => write!(f, "read as a number of {country}"),
            Self::ReadAsInternational => f.write_str("read as an international number"),
            Self::Short => f.write_str("an emergency or short number"),
            Self::NotValid => f.write_str("in no numbering plan"),
            Self::Valid => f.write_str("in the numbering plan"),
            Self::CountryServed(country) => write!(f, "country {country} is served"),
            Self::CountryNotServed(country) => write!(f, "country {country} is not served"),
            Self::KindServed(kind) => write!(f, "kind {} is served", kind.code()),
            Self::KindNotServed(kind) => write!(f, "kind {} is not served", kind.code()),
            Self::NotBlocked => f.write_str("no blocked prefix begins it"),
            Self::Blocked(prefix) => write!(f, "begins with the blocked prefix {prefix}"),
        }
    }
}
