//! Telephone events (RFC 4733): the digits, their payload, and the two machines that read and send them.

use std::fmt;

/// One DTMF digit: RFC 4733 event codes 0 to 15.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digit(u8);

impl Digit {
    const NAMES: &[u8; 16] = b"0123456789*#ABCD";

    /// The digit of a key: `0`-`9`, `*`, `#`, `A`-`D` (either case).
    #[must_use]
    pub fn from_char(key: char) -> Option<Self> {
        let key = u8::try_from(key.to_ascii_uppercase()).ok()?;
        let code = Self::NAMES.iter().position(|name| *name == key)?;
        u8::try_from(code).ok().map(Self)
    }

    /// The digit of an event code (RFC 4733 §3.2); other events, as a flash, are no digits.
    #[must_use]
    pub const fn from_event(event: u8) -> Option<Self> {
        if event < 16 { Some(Self(event)) } else { None }
    }

    /// Its event code.
    #[must_use]
    pub const fn event(self) -> u8 {
        self.0
    }

    /// Its key.
    #[must_use]
    pub fn as_char(self) -> char {
        char::from(Self::NAMES[usize::from(self.0)])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}
