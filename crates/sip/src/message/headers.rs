//! The ordered list of headers, and typed access to the ones every message has.

use crate::message::HeaderName;
use crate::values::{Contacts, NameAddr, ValueError, Via, split_list};

/// Headers in the order of the wire. Names are expanded, values are kept as they came (unfolded).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(Vec<(HeaderName, String)>);

impl Headers {
    /// No header yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many header lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No header at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first line of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&str> {
        self.all(name).next()
    }

    /// The first line of this name, by its spelling.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(&HeaderName::parse(name))
    }

    /// Every line of this name, not split at commas.
    pub fn all<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a str> {
        let name = name.clone();
        self.0.iter().filter(move |(have, _)| *have == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a header that is a comma-separated list: Via, Route, Supported, Contact… (§7.3.1).
    pub fn values<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_list)
    }

    /// Whether a list header (Supported, Require, Allow…) has this token, without regard to case.
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Appends a line. CR, LF, NUL and other controls in the value are removed, so that no text can start a
    /// header of its own.
    pub fn push(&mut self, name: HeaderName, value: &str) {
        self.0.push((name, safe(value)));
    }

    /// Appends what the parser has checked already: quoted controls (RFC 4475 §3.1.1.2) stay.
    pub(crate) fn push_raw(&mut self, name: HeaderName, value: String) {
        self.0.push((name, value));
    }

    /// Replaces the first line of this name with text that came from the parser.
    pub(crate) fn set_raw(&mut self, name: &HeaderName, value: String) {
        if let Some(line) = self.0.iter_mut().find(|(have, _)| have == name) {
            line.1 = value;
        }
    }

    /// Puts a line before all others.
    pub fn push_front(&mut self, name: HeaderName, value: &str) {
        self.0.insert(0, (name, safe(value)));
    }

    /// Replaces the first line of this name and removes the others; appends where there was none.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        let Some(at) = self.0.iter().position(|(have, _)| *have == name) else {
            self.push(name, value);
            return;
        };
        let mut index = 0;
        self.0.retain(|(have, _)| {
            let keep = index <= at || *have != name;
            index += 1;
            keep
        });
        if let Some(line) = self.0.get_mut(at) {
            line.1 = safe(value);
        }
    }

    /// Removes every line of this name; returns how many there were.
    pub fn remove(&mut self, name: &HeaderName) -> usize {
        let before = self.0.len();
        self.0.retain(|(have, _)| have != name);
        before - self.0.len()
    }

    /// Keeps the lines for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&HeaderName, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// The first line of this name, or an error that says it is missing.
    pub fn need(&self, name: &HeaderName) -> Result<&str, ValueError> {
        self.get(name).ok_or_else(|| ValueError::missing(name))
    }

    /// A header that is one number. `None` where it is absent, malformed or too big for the type.
    pub fn number<T: TryFrom<u64>>(&self, name: &HeaderName) -> Option<T> {
        let text = self.get(name)?;
        let digits = text.split([';', ' ', '(']).next()?.trim();
        crate::values::decimal(digits).and_then(|number| T::try_from(number).ok())
    }

    /// A header that is one name-addr: From, To, Refer-To, Referred-By…
    pub fn name_addr(&self, name: &HeaderName) -> Result<NameAddr, ValueError> {
        NameAddr::parse(self.need(name)?).map_err(|error| error.of(name))
    }

    /// Every name-addr of a list header: Route, Record-Route, P-Asserted-Identity…
    pub fn name_addrs(&self, name: &HeaderName) -> Result<Vec<NameAddr>, ValueError> {
        self.values(name).map(|value| NameAddr::parse(value).map_err(|error| error.of(name))).collect()
    }

    /// The topmost Via.
    pub fn via(&self) -> Result<Via, ValueError> {
        let value = self.values(&HeaderName::Via).next();
        value.ok_or_else(|| ValueError::missing(&HeaderName::Via))?.parse()
    }

    /// Every Via, topmost first.
    pub fn vias(&self) -> Result<Vec<Via>, ValueError> {
        self.values(&HeaderName::Via).map(str::parse).collect()
    }

    /// Replaces the topmost Via and leaves the others as they are.
    pub fn set_first_via(&mut self, via: &Via) {
        let first = self.0.iter_mut().find(|(name, _)| *name == HeaderName::Via);
        let Some((_, line)) = first else {
            self.push_front(HeaderName::Via, &via.to_string());
            return;
        };
        let rest: Vec<&str> = split_list(line).skip(1).collect();
        let mut text = via.to_string();
        for value in rest {
            text.push_str(", ");
            text.push_str(value);
        }
        *line = safe(&text);
    }

    /// Every Contact.
    pub fn contacts(&self) -> Result<Contacts, ValueError> {
        if self.get(&HeaderName::Contact).map(str::trim) == Some("*") {
            return Ok(Contacts::Star);
        }
        Ok(Contacts::List(self.name_addrs(&HeaderName::Contact)?))
    }

    /// Content-Type without parameters, in lower case.
    pub fn content_type(&self) -> Option<String> {
        let text = self.get(&HeaderName::ContentType)?;
        let kind = text.split(';').next()?;
        Some(kind.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase())
    }
}

/// A value that cannot break the line it stands on.
fn safe(value: &str) -> String {
    if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        value
            .chars()
            .map(|c| if c == '\r' || c == '\n' { ' ' } else { c })
            .filter(|c| *c == '\t' || !c.is_control())
            .collect()
    } else {
        value.to_owned()
    }
}
