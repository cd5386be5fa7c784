//! From text to the typed file, past every mistake of shape: a wrong key or type is noted, taken out, and reading goes on.
//!
//! serde stops at its first error; an administrator wants all of them at once. So the offending entry is removed from
//! the parsed table, which keeps the place of everything, and the rest is read again. Each turn removes one entry and
//! the turns are bounded, so this ends.

use std::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use super::file::File;
use super::problem::Problem;
use super::suggest;

/// More mistakes of shape than this are not a configuration.
const MISTAKES_MAX: usize = 100;

/// A table of which keys were taken out, so that they are not reported missing as well.
#[derive(Debug, Default)]
pub(super) struct Removed(Vec<(Range<usize>, String)>);

impl Removed {
    /// Whether `key` stood in the table at `table` and was wrong.
    pub(super) fn contains(&self, table: &Range<usize>, key: &str) -> bool {
        self.0.iter().any(|(place, name)| place == table && name == key)
    }
}

/// Reads `text`, adding problems in the order they are met. `None`: this is not TOML.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<(File, Removed)> {
    let (mut document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        problems.extend(
            syntax
                .iter()
                .map(|error| Problem::error(error.span().unwrap_or(0..0), error.message().trim().replace('\n', ", "))),
        );
        return None;
    }
    let mut removed = Removed::default();
    for _ in 0..MISTAKES_MAX {
        let error = match serde_path_to_error::deserialize(toml::Deserializer::from(document.clone())) {
            Ok(file) => return Some((file, removed)),
            Err(error) => error,
        };
        let path = plain(&error.path().to_string());
        let error = error.into_inner();
        let Some(span) = error.span() else {
            problems.push(Problem::error(0..0, error.message().to_owned()));
            break;
        };
        problems.push(describe(text, &path, error.message(), span.clone()));
        let place = document.span();
        if !remove(place, document.get_mut(), &span, &mut removed) {
            break;
        }
    }
    None
}

/// The path without the steps serde's wrapper for places adds.
fn plain(path: &str) -> String {
    let steps: Vec<&str> = path.split('.').filter(|step| !step.starts_with("$__") && *step != "?").collect();
    steps.join(".")
}

/// Words for a mistake of shape.
fn describe(text: &str, path: &str, message: &str, span: Range<usize>) -> Problem {
    let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let key = rest.split('`').next().unwrap_or_default().to_owned();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).filter(|word| !word.is_empty()).collect();
        let section = path.strip_suffix(&key).map_or(path, |outer| outer.trim_end_matches('.'));
        let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
        let problem = Problem::error(span, format!("unknown key `{key}`{place}"));
        return problem.help(match absent(&key) {
            Some(sentence) => sentence.to_owned(),
            None => suggest::mend(&key, known, "leave it out"),
        });
    }
    let what = message.trim().trim_end_matches('\n').replace('\n', ", ");
    let what = what.strip_prefix("invalid type: ").map_or_else(|| what.clone(), |rest| format!("wrong type: {rest}"));
    let name = path.rsplit('.').next().unwrap_or_default();
    let problem = Problem::error(span.clone(), format!("{what}{place}"));
    let value = text.get(span).unwrap_or_default().trim();
    match (what.contains("expected a sequence"), value.starts_with('[')) {
        (false, true) if value.starts_with("[[") => {
            let name = name.split('[').next().unwrap_or_default();
            problem.help(format!("there is only one: write [{name}] with one bracket"))
        }
        (true, true) => problem.help(format!("there may be several: write [[{name}]] with two brackets")),
        (true, false) => problem.help(format!("write a list: {name} = [{value}]")),
        (false, _) if what.contains("expected a string") => problem.help(format!("put it in quotes: \"{value}\"")),
        (false, _) if what.contains("expected i64") => {
            problem.help("write a whole number, without quotes and without a unit")
        }
        (false, _) => problem,
    }
}

/// Keys an administrator may look for that this version does not have.
fn absent(key: &str) -> Option<&'static str> {
    match key {
        "dejitter" => Some("the gateway relays on arrival and has no buffer to set; leave it out"),
        "tls" | "certificate" | "cert" | "key" => Some("TLS ends at the reverse proxy in front; see README.md"),
        _ => None,
    }
}

/// Takes out the entry whose key is at `span`, else the innermost whose value holds it.
fn remove(place: Range<usize>, table: &mut DeTable<'_>, span: &Range<usize>, removed: &mut Removed) -> bool {
    let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (_, value) in table.iter_mut() {
        let inner = value.span();
        // A `[section]` has its header's span only, so its entries are searched whatever it says.
        let exact = inner == *span;
        let gone = match value.get_mut() {
            DeValue::Table(table) => !exact && remove(inner, table, span, removed),
            DeValue::Array(array) => !exact && remove_item(array, span, removed),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => false,
        };
        if gone {
            return true;
        }
    }
    let key = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span || holds(&value.span()));
    let Some(key) = key.map(|(key, _)| key.clone()) else { return false };
    removed.0.push((place, key.get_ref().to_string()));
    table.remove(&key).is_some()
}

/// The same in a list. An item that is wrong as a whole goes alone; the list has no `remove`, so it is built again.
fn remove_item(array: &mut DeArray<'_>, span: &Range<usize>, removed: &mut Removed) -> bool {
    for item in array.iter_mut() {
        let place = item.span();
        if let DeValue::Table(table) = item.get_mut()
            && place != *span
            && remove(place, table, span, removed)
        {
            return true;
        }
    }
    let Some(wrong) = array.iter().position(|item| item.span() == *span) else { return false };
    let mut kept = DeArray::new();
    for (index, item) in array.iter().enumerate() {
        if index != wrong {
            kept.push(item.clone());
        }
    }
    *array = kept;
    true
}
