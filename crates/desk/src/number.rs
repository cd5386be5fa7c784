//! Telephone numbers that may be called: what was typed is read, judged and kept as E.164, or refused.
//!
//! ```text
//! typed ─► spelling ─► + and digits ─► numbering plan ─► E.164 ─► judged again, from the E.164 alone ─► Number
//!   hostile   letters, pauses, *codes      short? valid?              country, kind, blocked prefixes
//! ```
//! No character of the typed text reaches a [`Number`]: it is written anew from the parsed one, and
//! [`Number::digits`] is all that a dial string may be made of. The same walk is judged once when the number is given
//! and once more just before it is dialled ([`NumberPolicy::judge_again`]), because the policy may have changed.

mod explain;
mod plan;
mod policy;
mod spelling;
#[cfg(test)]
mod tests;

use std::fmt;

pub use explain::{Explanation, Rule};
pub use policy::{NumberPolicy, NumberPolicyConfig, NumberPolicyError};
pub use spelling::Misspelling;

/// A telephone number that passed a [`NumberPolicy`].
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Number {
    e164: String,
    international: String,
    national: String,
    country: String,
    kind: NumberKind,
}

/// What kind of number it is, in libphonenumber's words.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NumberKind {
    /// A line at a place.
    Fixed,
    /// A mobile telephone.
    Mobile,
    /// One of the two: the numbers do not tell which (North America).
    FixedOrMobile,
    /// A telephone over IP, bound to no place.
    Voip,
    /// Free for the caller.
    TollFree,
    /// Paid in part by the caller, above a plain call.
    SharedCost,
    /// Paid by the caller for a service; where fraud earns its money.
    Premium,
    /// A pager.
    Pager,
    /// A universal access number, which leads to a company wherever it is.
    Uan,
    /// A number that follows a person from line to line.
    Personal,
    /// A voice mailbox.
    Voicemail,
    /// None of these.
    Unknown,
}

/// Why a number will not be called.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NumberRefusal {
    /// Nothing was typed.
    Required,
    /// No telephone has such a number.
    Invalid,
    /// A number, but of a kind that is not called: emergency, short, premium, with a code or an extension.
    NotDialable,
    /// It begins with a blocked prefix.
    Blocked,
    /// Of a country that is not called.
    CountryNotServed,
}

impl Number {
    /// As stored: `+33612345678`.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// As dialled: `33612345678`. Nothing else of a number may stand in a dial string.
    pub fn digits(&self) -> &str {
        self.e164.strip_prefix('+').unwrap_or_default()
    }

    /// For people abroad: `+33 6 12 34 56 78`.
    pub fn international(&self) -> &str {
        &self.international
    }

    /// For people at home: `06 12 34 56 78`.
    pub fn national(&self) -> &str {
        &self.national
    }

    /// Its country in ISO 3166-1 alpha-2, as libphonenumber says (a Caribbean number under +1 is of its island); `001` for
    /// a network of the whole world.
    pub fn country(&self) -> &str {
        &self.country
    }

    /// Its kind.
    pub fn kind(&self) -> NumberKind {
        self.kind
    }

    /// For logs: `+33 6 ** ** ** 78`.
    pub fn masked(&self) -> String {
        masked(&self.international)
    }
}

/// The calling code, the first and the last two digits stay; of a very short number only the calling code.
fn masked(international: &str) -> String {
    /// With fewer digits after the calling code the three shown would tell too much.
    const SHOWING_DIGITS: usize = 7;
    let (code, rest) = international.split_once(' ').unwrap_or((international, ""));
    let total = rest.chars().filter(char::is_ascii_digit).count();
    let mut seen = 0;
    let hidden = rest.chars().map(|character| {
        if !character.is_ascii_digit() {
            return character;
        }
        seen += 1;
        let shown = total >= SHOWING_DIGITS && (seen == 1 || seen + 2 > total);
        if shown { character } else { '*' }
    });
    let hidden: String = hidden.collect();
    format!("{code} {hidden}")
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({}, {}, {})", self.masked(), self.country, self.kind.code())
    }
}

impl NumberKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Fixed,
        Self::Mobile,
        Self::FixedOrMobile,
        Self::Voip,
        Self::TollFree,
        Self::SharedCost,
        Self::Premium,
        Self::Pager,
        Self::Uan,
        Self::Personal,
        Self::Voicemail,
        Self::Unknown,
    ];

    /// The stable word, in a configuration and in an explanation.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Mobile => "mobile",
            Self::FixedOrMobile => "fixed_or_mobile",
            Self::Voip => "voip",
            Self::TollFree => "toll_free",
            Self::SharedCost => "shared_cost",
            Self::Premium => "premium",
            Self::Pager => "pager",
            Self::Uan => "uan",
            Self::Personal => "personal",
            Self::Voicemail => "voicemail",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of that word.
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl NumberRefusal {
    /// The stable word for the page and for the counter's label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Required => "number_required",
            Self::Invalid => "number_invalid",
            Self::NotDialable => "number_not_dialable",
            Self::Blocked => "number_blocked",
            Self::CountryNotServed => "country_not_served",
        }
    }
}

impl fmt::Display for NumberRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "no number is given",
            Self::Invalid => "no telephone has such a number",
            Self::NotDialable => "numbers of this kind are not called",
            Self::Blocked => "the number is blocked",
            Self::CountryNotServed => "numbers of this country are not called",
        })
    }
}

impl std::error::Error for NumberRefusal {}
