//! What is different between two configurations: what is shown of it, and what a running gateway cannot follow.
//!
//! Shown is the difference of the two files, table by table and key by key as they are written. What needs a restart is
//! judged by what the program makes of them, so that a default that is written out changes nothing.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::checked::{Config, QueueTarget, Secret, Transport};

/// Longer values are cut when they are shown.
const SHOWN_CHARS_MAX: usize = 80;

/// Keys whose values are shown nowhere.
const SECRETS: [&str; 7] =
    ["password", "tag_key", "customer_key", "customer_key_old", "number_key", "admin_token", "secret"];

/// One configuration as it was read: the file's text, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version<'v> {
    pub(crate) text: &'v str,
    pub(crate) config: &'v Config,
}

/// The way from one configuration to another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Difference {
    /// In the order of their names.
    pub(crate) changes: Vec<Change>,
    /// Keys that only a restart changes.
    pub(crate) fixed: Vec<&'static str>,
}

/// What became of one table of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// `trunk "b"` is new.
    Added(String),
    /// It is gone.
    Removed(String),
    /// These of its keys are different, each in words.
    Changed(String, Vec<String>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "+ {name}"),
            Self::Removed(name) => write!(f, "- {name}"),
            Self::Changed(name, keys) => write!(f, "~ {name}: {}", keys.join(", ")),
        }
    }
}

/// What is different in `new`.
pub(crate) fn difference(old: Version<'_>, new: Version<'_>) -> Difference {
    let (before, after) = (tables(old.text), tables(new.text));
    let secrets = other_secrets(old.config, new.config);
    let nothing = Keys::new();
    let mut names: Vec<&String> = before.keys().chain(after.keys()).chain(secrets.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let is_section = name.starts_with('[');
        match (before.get(name), after.get(name)) {
            (None, Some(_)) if !is_section => changes.push(Change::Added(name.clone())),
            (Some(_), None) if !is_section => changes.push(Change::Removed(name.clone())),
            (old, new) => {
                let mut keys = other_keys(old.unwrap_or(&nothing), new.unwrap_or(&nothing));
                keys.extend(secrets.get(name).into_iter().flatten().cloned());
                if !keys.is_empty() {
                    changes.push(Change::Changed(name.clone(), keys));
                }
            }
        }
    }
    let fixed = FIXED.iter().filter(|(_, is_same)| !is_same(old.config, new.config)).map(|(key, _)| *key).collect();
    Difference { changes, fixed }
}

/// The keys of one table, nested ones with their path, each with its value as it is shown.
type Keys = BTreeMap<String, String>;

/// Every table of a file by the name it is shown under.
fn tables(text: &str) -> BTreeMap<String, Keys> {
    let file: Table = text.parse().unwrap_or_default();
    let mut tables = BTreeMap::new();
    for (section, value) in &file {
        if let Some(table) = value.as_table() {
            tables.insert(format!("[{section}]"), keys(table));
        }
        for table in value.as_array().into_iter().flatten().filter_map(Value::as_table) {
            tables.insert(name(section, table), keys(table));
        }
    }
    tables
}

fn name(section: &str, table: &Table) -> String {
    let word = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
    match section {
        "trunk" => format!("trunk \"{}\"", word("name")),
        "queue" => format!("queue \"{}/{}\"", word("tenant"), word("id")),
        "agent" => format!("agent \"{}\"", word("extension")),
        _ => format!("{section} \"{}\"", word("id")),
    }
}

fn keys(table: &Table) -> Keys {
    let mut keys = Keys::new();
    for (key, value) in table {
        match value.as_table() {
            Some(inner) => {
                keys.extend(self::keys(inner).into_iter().map(|(end, value)| (format!("{key}.{end}"), value)))
            }
            None if SECRETS.contains(&key.as_str()) => drop(keys.insert(key.clone(), "(hidden)".to_owned())),
            None => drop(keys.insert(key.clone(), value.to_string())),
        }
    }
    keys
}

fn other_keys(old: &Keys, new: &Keys) -> Vec<String> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let told = |name: &&String| match (old.get(*name), new.get(*name)) {
        (Some(old), Some(new)) if old != new => Some(format!("{name} {} → {}", cut(old), cut(new))),
        (None, Some(new)) => Some(format!("{name} = {}", cut(new))),
        (Some(old), None) => Some(format!("{name} taken out (it was {})", cut(old))),
        (Some(_) | None, Some(_) | None) => None,
    };
    names.iter().filter_map(told).collect()
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", value.get(..at).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// Secrets that are others behind the same keys: what stands in their files has changed.
fn other_secrets(old: &Config, new: &Config) -> BTreeMap<String, Vec<String>> {
    let (before, after) = (secrets(old), secrets(new));
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((name, key), secret) in &after {
        if before.get(&(name.clone(), key)).is_some_and(|known| known != secret) {
            others.entry(name.clone()).or_default().push(format!("another {key}"));
        }
    }
    others
}

fn secrets(config: &Config) -> BTreeMap<(String, &'static str), Vec<&Secret>> {
    let trunk = |trunk: &super::checked::Trunk| format!("trunk \"{}\"", trunk.name);
    let trunks = config.trunks.iter().map(|one| ((trunk(one), "password"), one.password.iter().collect()));
    let agents = config.agents.iter();
    let agents = agents.map(|one| ((format!("agent \"{}\"", one.extension), "password"), vec![&one.password]));
    let tenants = config.tenants.iter().flat_map(|one| {
        let name = format!("tenant \"{}\"", one.id);
        let keys = [("tag_key", one.tag_key.iter().collect()), ("customer_key", one.customer_keys.iter().collect())];
        keys.map(|(key, secrets)| ((name.clone(), key), secrets))
    });
    let admin = (("[http]".to_owned(), "admin_token"), config.http.admin_token.iter().collect());
    trunks.chain(agents).chain(tenants).chain([admin]).collect()
}

/// Whether a key means the same in both.
type IsSame = fn(&Config, &Config) -> bool;

/// What is opened, handed out or counted once, at the start. Everything else follows the file.
const FIXED: &[(&str, IsSame)] = &[
    ("[http] listen", |old, new| old.http.listen == new.http.listen),
    ("[http] public_url", |old, new| old.http.public_url == new.http.public_url),
    ("[http] trusted_proxies", |old, new| old.http.trusted_proxies == new.http.trusted_proxies),
    ("[sip] listen", |old, new| old.sip.listen == new.sip.listen),
    ("[sip] public_ip", |old, new| old.sip.public_ip == new.sip.public_ip),
    ("[sip] realm", |old, new| old.sip.realm == new.sip.realm),
    ("[sip] digest_sha256", |old, new| old.sip.digest_sha256 == new.sip.digest_sha256),
    ("[sip] tls_certificate_file and tls_key_file (a new certificate in the same files needs none)", |old, new| {
        old.sip.tls == new.sip.tls
    }),
    ("[sip] dns", |old, new| old.sip.dns == new.sip.dns),
    ("[sip] calls_per_second_max", |old, new| old.sip.calls_per_second_max == new.sip.calls_per_second_max),
    ("[sip] stranger_requests_max", |old, new| old.sip.stranger_requests_max == new.sip.stranger_requests_max),
    ("[sip] stranger_ban_s", |old, new| old.sip.stranger_ban == new.sip.stranger_ban),
    ("[media]", |old, new| old.media == new.media),
    ("[store]", |old, new| old.store.url == new.store.url),
    ("[[tenant]] (a new one, or one that is gone)", |old, new| tenants(old) == tenants(new)),
    ("[tenant.webhook]", |old, new| webhooks(old) == webhooks(new)),
    ("[mail]", |old, new| old.mail == new.mail),
    ("[callback]", |old, new| old.callback == new.callback),
    ("[queue.callback] (the first one)", |old, new| calls_back(old) || !calls_back(new)),
    ("dial = \"echo\" (the first one)", |old, new| has_echo(old) || !has_echo(new)),
    ("[[trunk]] (the first one by TLS)", |old, new| calls_by_tls(old) || !calls_by_tls(new)),
    ("[log] format", |old, new| old.log.format == new.log.format),
    ("[limits] calls_max", |old, new| old.limits.calls_max == new.limits.calls_max),
    ("[limits] sip_transactions_max", |old, new| old.limits.sip_transactions_max == new.limits.sip_transactions_max),
    ("[limits] talks_per_ip_per_minute_max", |old, new| {
        old.limits.talks_per_ip_per_minute_max == new.limits.talks_per_ip_per_minute_max
    }),
    ("[limits] callback_asks_per_ip_per_hour_max", |old, new| {
        old.limits.callback_asks_per_ip_per_hour_max == new.limits.callback_asks_per_ip_per_hour_max
    }),
    ("[limits] media_lost_grace_s", |old, new| old.limits.media_lost_grace == new.limits.media_lost_grace),
    ("[limits] token_lifetime_s", |old, new| old.limits.token_lifetime == new.limits.token_lifetime),
];

fn tenants(config: &Config) -> std::collections::BTreeSet<&str> {
    config.tenants.iter().map(|tenant| tenant.id.as_str()).collect()
}

fn webhooks(config: &Config) -> BTreeMap<&str, &super::checked::Webhook> {
    config.tenants.iter().filter_map(|tenant| Some((tenant.id.as_str(), tenant.webhook.as_ref()?))).collect()
}

fn calls_back(config: &Config) -> bool {
    config.queues.iter().any(|queue| queue.callback.is_some())
}

fn has_echo(config: &Config) -> bool {
    config.queues.iter().any(|queue| queue.target == QueueTarget::Echo)
}

/// Whether there is a socket from which connections by TLS are made: a listener, or one for the trunks alone.
fn calls_by_tls(config: &Config) -> bool {
    config.trunks.iter().any(|trunk| trunk.transport == Transport::Tls)
        || config.sip.listen.iter().any(|(transport, _)| *transport == Transport::Tls)
}
