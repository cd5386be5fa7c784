//! The commented file and the README say what the code does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::value::Error as ValueError;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::super::{Examined, file};
use super::{EXAMPLE, examine};

const README: &str = include_str!("../../../../../README.md");

/// The example with every `#key = value` in force.
fn with_defaults_written() -> String {
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let line =
            line.strip_prefix('#').filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line);
        writeln!(text, "{line}").unwrap();
    }
    text
}

#[test]
fn the_commented_file_states_the_real_defaults() {
    let (short, long) = (examine(EXAMPLE), examine(&with_defaults_written()));
    let errors =
        |examined: &Examined| examined.problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>();
    assert_eq!((errors(&short), errors(&long)), (vec![], vec![]));
    assert_eq!(format!("{:#?}", short.config.unwrap()), format!("{:#?}", long.config.unwrap()));
}

#[test]
fn the_readmes_configurations_are_sound() {
    let blocks: Vec<&str> = README.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [direct, trunk, callback] = blocks.as_slice() else { panic!("three configurations, not {}", blocks.len()) };
    let (before, agents) = (direct.split("[[queue]]").next().unwrap(), direct.split("[[agent]]").nth(1).unwrap());
    let hours = "[[hours]]\nid = \"shop\"\nzone = \"Europe/Paris\"\nweek = { mon-fri = [\"09:00-18:00\"] }";
    let called_back = format!("{before}\n{callback}\n{hours}\n[[agent]]{agents}");
    for text in [(*direct).to_owned(), format!("{before}\n{trunk}"), called_back] {
        let examined = examine(&text);
        // The example's public address is one of those for documentation, and that is said.
        let unexpected = examined.problems.iter().find(|problem| !problem.message.contains("for documentation"));
        assert_eq!(unexpected, None, "in:\n{text}");
        assert!(examined.config.is_some());
    }
}

/// The keys of one struct of `file`, as serde knows them.
fn keys_of<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    struct Catch<'k>(&'k mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Catch<'_> {
        type Error = ValueError;
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
            Err(serde::de::Error::custom("only structs"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, ValueError> {
            *self.0 = fields;
            Err(serde::de::Error::custom("seen"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut fields: &'static [&'static str] = &[];
    assert!(T::deserialize(Catch(&mut fields)).is_err());
    fields.iter().copied().collect()
}

#[test]
fn the_commented_file_has_every_key_with_its_comment_and_no_other() {
    // A literal secret is a key only to be refused, so it is not advertised.
    // `callback` and `webhook` are tables of their own.
    let refused = [
        "password",
        "tag_key",
        "customer_key",
        "customer_key_old",
        "number_key",
        "admin_token",
        "secret",
        "callback",
        "webhook",
    ];
    for (section, keys) in [
        ("http", keys_of::<file::Http>()),
        ("sip", keys_of::<file::Sip>()),
        ("media", keys_of::<file::Media>()),
        ("store", keys_of::<file::Store>()),
        ("tenant", keys_of::<file::Tenant>()),
        ("tenant.webhook", keys_of::<file::Webhook>()),
        ("trunk", keys_of::<file::Trunk>()),
        ("queue", keys_of::<file::Queue>()),
        ("queue.callback", keys_of::<file::Callback>()),
        ("callback", keys_of::<file::Shield>()),
        ("hours", keys_of::<file::Hours>()),
        ("agent", keys_of::<file::Agent>()),
        ("shutdown", keys_of::<file::Shutdown>()),
        ("log", keys_of::<file::Log>()),
        ("limits", keys_of::<file::Limits>()),
        ("mail", keys_of::<file::Mail>()),
    ] {
        let keys: BTreeSet<&str> = keys.into_iter().filter(|key| !refused.contains(key)).collect();
        let written = documented(section);
        assert_eq!(written.iter().map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>(), keys, "[{section}]");
        for key in &keys {
            let comment =
                written.iter().filter(|(name, _)| name == key).map(|(_, comment)| comment.as_str()).collect::<String>();
            assert!(
                comment.contains("Default:") || comment.contains("Required"),
                "[{section}] {key} does not say its default"
            );
            assert!(!key.ends_with("_s") || comment.contains("seconds"), "[{section}] {key} does not say its unit");
        }
    }
}

/// Keys of a section of the example, live or commented out, each with the comment above it.
fn documented(section: &str) -> Vec<(String, String)> {
    let (mut found, mut inside, mut comment) = (Vec::new(), false, String::new());
    for line in EXAMPLE.lines() {
        let bare = line.trim_start_matches('#').trim();
        let key = bare
            .split_once(" = ")
            .map(|(key, _)| key)
            .filter(|key| key.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
        match key {
            _ if line.starts_with('[') => inside = line.trim_matches(['[', ']']) == section,
            Some(key) => {
                if inside {
                    found.push((key.to_owned(), std::mem::take(&mut comment)));
                }
                comment.clear();
            }
            None if line.starts_with('#') => writeln!(comment, "{bare}").unwrap(),
            None => comment.clear(),
        }
    }
    found
}
