//! What a person typed, down to a plus and digits; or what stands in it that no number has.

use std::fmt;

/// Longest text looked at; a number with every separator people write fits twice.
pub(super) const MAX_CHARS: usize = 64;

/// The zero of each script whose digits telephones of our day show; the other nine follow it in Unicode.
const ZEROES: [char; 18] = [
    '0', '\u{0660}', // Arabic-Indic
    '\u{06f0}', // Persian, Urdu
    '\u{0966}', // Devanagari
    '\u{09e6}', // Bengali
    '\u{0a66}', // Gurmukhi
    '\u{0ae6}', // Gujarati
    '\u{0b66}', // Odia
    '\u{0be6}', // Tamil
    '\u{0c66}', // Telugu
    '\u{0ce6}', // Kannada
    '\u{0d66}', // Malayalam
    '\u{0e50}', // Thai
    '\u{0ed0}', // Lao
    '\u{0f20}', // Tibetan
    '\u{1040}', // Burmese
    '\u{17e0}', // Khmer
    '\u{ff10}', // full width
];

/// What is left of what was typed: a plus perhaps, and ASCII digits, at least one.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Spelling {
    pub(super) plus: bool,
    pub(super) digits: String,
    /// Where a zero stands in brackets: dialled at home and not from abroad, but in Italy from everywhere.
    bracketed_zero: Option<usize>,
}

/// Why a text is no spelling of a number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Misspelling {
    /// No digit in it.
    Empty,
    /// Longer than 64 characters.
    TooLong,
    /// A letter: a vanity number, an extension in words, a name.
    Letter,
    /// A comma, `;`, `*` or `#`: more than a number is meant to be dialled, or a service of the exchange.
    DialString,
    /// A plus after the first digit.
    Plus,
    /// A sign no number is written with, such as `@` or a line break.
    Sign,
}

/// How one character counts.
enum Sign {
    Digit(char),
    Plus,
    Separator,
    Open,
    Close,
    Fault(Misspelling),
}

/// Reads what was typed. Nothing but a leading plus and the values of the digits comes through.
pub(super) fn read(typed: &str) -> Result<Spelling, Misspelling> {
    if typed.chars().nth(MAX_CHARS).is_some() {
        return Err(Misspelling::TooLong);
    }
    let mut spelling = Spelling { plus: false, digits: String::new(), bracketed_zero: None };
    let mut bracket = None;
    for character in without_scheme(typed.trim_matches(is_blank)).chars() {
        match sign(character) {
            Sign::Digit(digit) => spelling.digits.push(digit),
            Sign::Plus if spelling.plus || !spelling.digits.is_empty() => return Err(Misspelling::Plus),
            Sign::Plus => spelling.plus = true,
            Sign::Separator => {}
            Sign::Open => bracket = Some(spelling.digits.len()),
            Sign::Close => {
                let zero = bracket.take().filter(|at| spelling.digits.get(*at..) == Some("0"));
                spelling.bracketed_zero = spelling.bracketed_zero.or(zero);
            }
            Sign::Fault(fault) => return Err(fault),
        }
    }
    if spelling.digits.is_empty() { Err(Misspelling::Empty) } else { Ok(spelling) }
}

impl Spelling {
    /// The same without the zero in brackets, if there is one.
    pub(super) fn without_bracketed_zero(&self) -> Option<Self> {
        let at = self.bracketed_zero?;
        let mut digits = self.digits.clone();
        digits.remove(at);
        Some(Self { digits, bracketed_zero: None, ..*self })
    }
}

/// RFC 3966 §3: a `tel:` link without parameters is the number.
fn without_scheme(typed: &str) -> &str {
    match typed.split_at_checked(4) {
        Some((scheme, number)) if scheme.eq_ignore_ascii_case("tel:") => number,
        _ => typed,
    }
}

fn sign(character: char) -> Sign {
    if let Some(digit) = digit(character) {
        return Sign::Digit(digit);
    }
    match character {
        '+' | '\u{ff0b}' => Sign::Plus,
        ',' | ';' | '*' | '#' | '\u{ff0c}' | '\u{ff1b}' | '\u{ff0a}' | '\u{ff03}' => {
            Sign::Fault(Misspelling::DialString)
        }
        '(' | '[' | '\u{ff08}' => Sign::Open,
        ')' | ']' | '\u{ff09}' => Sign::Close,
        '-' | '.' | '/' => Sign::Separator,
        // hyphens and dashes, minus, and the same in full width
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '\u{ff0e}' | '\u{ff0f}' => Sign::Separator,
        _ if is_mark(character) => Sign::Separator,
        _ if character.is_control() => Sign::Fault(Misspelling::Sign),
        _ if character.is_whitespace() => Sign::Separator,
        _ if character.is_alphabetic() => Sign::Fault(Misspelling::Letter),
        _ => Sign::Fault(Misspelling::Sign),
    }
}

/// Around a number it is nothing, line breaks too: people copy them along.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || is_mark(character)
}

/// Soft hyphen, zero-width characters and the marks that address books wrap a number in when it is copied. Not U+202E: it
/// shows the digits in another order than they are in.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202d}')
        || matches!(character, '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The ASCII digit of the same value.
fn digit(character: char) -> Option<char> {
    let value = ZEROES
        .iter()
        .find_map(|&zero| u32::from(character).checked_sub(u32::from(zero)).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

impl fmt::Display for Misspelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no digit in it",
            Self::TooLong => "longer than 64 characters",
            Self::Letter => "a letter in it",
            Self::DialString => "a pause, a code or an extension in it",
            Self::Plus => "a plus after its beginning",
            Self::Sign => "a sign in it that no number has",
        })
    }
}
