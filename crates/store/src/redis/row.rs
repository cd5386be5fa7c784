//! The row of a call-back as Redis keeps it, all of it in memory: the same JSON as in a file, with a letter or two for each
//! name, and nothing said of what is not there.

use desk::Callback;
use serde_json::{Map, Value};

use crate::callback_row::{self, VERSION};
use crate::record::Unreadable;

/// What stands before a row in this form; without it the row is as in a file, of the version that stands beside it.
const MARK: &str = "1s";

/// Names and how they are written here. A pair that was released is never changed; a name that has no pair is written in full.
const NAMES: [Pair; 38] = [
    ("id", "i"),
    ("number", "n"),
    ("promised_unix_ms", "p"),
    ("wanted", "w"),
    ("zone", "z"),
    ("consent", "c"),
    ("email", "e"),
    ("asked_unix_ms", "a"),
    ("priority", "y"),
    ("told_ms", "o"),
    ("tags", "t"),
    ("state", "s"),
    ("detail", "d"),
    ("due_unix_ms", "u"),
    ("attempts", "r"),
    ("trunk_faults", "f"),
    ("agent", "g"),
    ("unix_ms", "m"),
    ("local", "l"),
    ("offset_s", "os"),
    ("occurrence", "oc"),
    ("promise", "pr"),
    ("text_id", "ti"),
    ("version", "v"),
    ("at_unix_ms", "at"),
    ("call", "ca"),
    ("outcome", "ou"),
    ("customer_leg", "cl"),
    ("agent_leg", "al"),
    ("tag", "tg"),
    ("tenant", "te"),
    ("queue", "q"),
    ("session", "se"),
    ("page_url", "pu"),
    ("page_title", "pt"),
    ("referrer", "re"),
    ("language", "la"),
    ("made_at_unix_ms", "ma"),
];

/// The row, with its mark.
pub(super) fn encode(callback: &Callback) -> Result<String, Unreadable> {
    let row = serde_json::from_str(&callback_row::encode(callback)?).map_err(unreadable)?;
    let text = serde_json::to_string(&renamed(row, &|name| pair(name, |(full, _)| full, |(_, short)| short)));
    text.map(|text| format!("{MARK}{text}")).map_err(unreadable)
}

/// Reads a row in either form; `version` is that of a row without a mark.
pub(super) fn decode(version: u32, row: &str) -> Result<Callback, Unreadable> {
    let Some(short) = row.strip_prefix(MARK) else { return callback_row::decode(version, row) };
    let row = serde_json::from_str(short).map_err(unreadable)?;
    let full = renamed(row, &|name| pair(name, |(_, short)| short, |(full, _)| full));
    callback_row::decode(VERSION, &full.to_string())
}

fn unreadable(error: serde_json::Error) -> Unreadable {
    Unreadable(error.to_string())
}

type Pair = (&'static str, &'static str);

fn pair(name: &str, from: fn(&Pair) -> &'static str, to: fn(&Pair) -> &'static str) -> &str {
    NAMES.iter().find(|pair| from(pair) == name).map_or(name, to)
}

/// The same with other names, without what is null.
fn renamed(value: Value, rename: &impl Fn(&str) -> &str) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                there.map(|(name, value)| (rename(&name).to_owned(), renamed(value, rename))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(all) => Value::Array(all.into_iter().map(|one| renamed(one, rename)).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::callbacks::callback;

    #[test]
    fn a_short_row_is_the_same_call_back_and_an_older_row_is_read_as_before() {
        let kept = callback(1, 5_000);
        let (short, full) = (encode(&kept).ok().unwrap(), callback_row::encode(&kept).ok().unwrap());
        assert!(short.len() + 200 < full.len(), "{} of {}: {short}", short.len(), full.len());
        for row in [short.as_str(), full.as_str()] {
            assert_eq!(decode(VERSION, row).ok().as_ref(), Some(&kept));
        }
        assert!(decode(VERSION + 1, &full).is_err());
        for torn in ["torn", "1s", "1s{}", "1s[1]", "2s{}", ""] {
            assert!(decode(VERSION, torn).is_err(), "{torn}");
        }
    }

    #[test]
    fn no_two_names_are_written_alike_and_no_name_reads_as_another() {
        let of = |side: fn(&Pair) -> &'static str| NAMES.iter().map(side).collect::<BTreeSet<_>>();
        let (full, short) = (of(|(full, _)| full), of(|(_, short)| short));
        assert_eq!((full.len(), short.len()), (NAMES.len(), NAMES.len()));
        // A name in full that looks like a short one would come back as another.
        assert!(full.is_disjoint(&short));
        let mut names = BTreeSet::new();
        collect(&serde_json::from_str(&callback_row::encode(&callback(1, 5_000)).ok().unwrap()).unwrap(), &mut names);
        for name in names {
            assert!(full.contains(name.as_str()) || !short.contains(name.as_str()), "{name} needs a pair");
        }
    }

    fn collect(value: &Value, names: &mut BTreeSet<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            names.insert(name.clone());
            collect(value, names);
        }
        value.as_array().into_iter().flatten().for_each(|one| collect(one, names));
    }
}
