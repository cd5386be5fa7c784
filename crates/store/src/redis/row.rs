//! The row of a call-back as Redis keeps it, all of it in memory: the JSON of a file with a letter or two for each name,
//! nothing said of what is not there nor of the id, which is the key's, and packed (pack.rs).

use desk::{Callback, CallbackId};
use serde_json::{Map, Value};

use super::pack::{pack, unpack};
use crate::callback_row::{self, VERSION};
use crate::record::Unreadable;

/// What stands before a row in this form.
const MARK: u8 = b'2';
/// What stood before a row of schema 2 whose names were short; without it the row was as in a file.
const MARK_OF_2: &str = "1s";

/// How the id is named here.
const ID: &str = "i";

/// What is written only where it is not as usual: priority, trunk faults, attempts, and when it is due.
const USUAL: [&str; 4] = ["y", "f", "r", "u"];

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
pub(super) fn encode(callback: &Callback) -> Result<Vec<u8>, Unreadable> {
    let row = serde_json::from_str(&callback_row::encode(callback)?).map_err(unreadable)?;
    let mut row = renamed(row, &|name| pair(name, |(full, _)| full, |(_, short)| short));
    if let Value::Object(fields) = &mut row {
        fields.remove(ID);
        for name in USUAL {
            if fields.get(name) == usual(fields, name).as_ref() {
                fields.remove(name);
            }
        }
    }
    let mut out = vec![MARK];
    pack(&row, &mut out);
    Ok(out)
}

/// Reads a row.
pub(super) fn decode(id: CallbackId, row: &[u8]) -> Result<Callback, Unreadable> {
    let Some((&MARK, packed)) = row.split_first() else { return Err(Unreadable("a row without its mark".to_owned())) };
    let mut row = unpack(packed).ok_or_else(|| Unreadable("a row that is torn".to_owned()))?;
    if let Value::Object(fields) = &mut row {
        fields.insert(ID.to_owned(), Value::from(id.to_string()));
        for name in USUAL {
            if let Some(value) = usual(fields, name).filter(|_| !fields.contains_key(name)) {
                fields.insert(name.to_owned(), value);
            }
        }
    }
    full(row)
}

/// Reads a row of schema 2 and before; `version` is that of a row without a mark.
pub(super) fn decode_before(version: u32, row: &str) -> Result<Callback, Unreadable> {
    match row.strip_prefix(MARK_OF_2) {
        Some(short) => full(serde_json::from_str(short).map_err(unreadable)?),
        None => callback_row::decode(version, row),
    }
}

/// What is not said because it is so of most: not urgent, nothing tried yet, due at the moment that was promised.
fn usual(fields: &Map<String, Value>, name: &str) -> Option<Value> {
    match name {
        "y" | "f" => Some(Value::from(0)),
        "r" => Some(Value::Array(vec![])),
        _ => fields.get("p").cloned(),
    }
}

fn full(short: Value) -> Result<Callback, Unreadable> {
    let full = renamed(short, &|name| pair(name, |(_, short)| short, |(full, _)| full));
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

/// The row as schema 2 wrote it.
#[cfg(test)]
pub(super) fn encode_before(callback: &Callback) -> String {
    let row = serde_json::from_str(&callback_row::encode(callback).ok().unwrap()).unwrap();
    format!("{MARK_OF_2}{}", renamed(row, &|name| pair(name, |(full, _)| full, |(_, short)| short)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use desk::{CancelledBy, Wish};

    use super::*;
    use crate::contract::callbacks::callback;

    #[test]
    fn a_packed_row_is_the_same_call_back_and_an_older_row_is_read() {
        let kept = callback(1, 5_000);
        let (packed, full) = (encode(&kept).ok().unwrap(), callback_row::encode(&kept).ok().unwrap());
        assert!(packed.len() * 5 < full.len() * 3, "{} of {}", packed.len(), full.len());
        assert_eq!(decode(kept.id(), &packed).ok().as_ref(), Some(&kept));
        // What is as usual is not said, and is read as if it were.
        let mut later = kept.clone();
        later.cancel(CancelledBy::Admin).unwrap();
        let usual = Wish { priority: 0, ..kept.wish().clone() };
        for other in [later, Callback::new(kept.id(), usual)] {
            let row = encode(&other).ok().unwrap();
            assert_eq!(decode(kept.id(), &row).ok().as_ref(), Some(&other));
        }
        for before in [encode_before(&kept), full.clone()] {
            assert_eq!(decode_before(VERSION, &before).ok().as_ref(), Some(&kept), "{before}");
        }
        assert!(decode_before(VERSION + 1, &full).is_err());
        for torn in [&packed[..packed.len() - 1], &packed[1..], full.as_bytes(), b"2", b"2\x80", b""] {
            assert!(decode(kept.id(), torn).is_err(), "{torn:x?}");
        }
        for torn in ["torn", "1s", "1s{}", "1s[1]", "2s{}", ""] {
            assert!(decode_before(VERSION, torn).is_err(), "{torn}");
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
