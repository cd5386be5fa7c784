//! `passerelle number`: a number tried against the rules, and the list of those that are not to be called.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use desk::{NumberPolicy, NumberPolicyConfig};
use jiff::tz::TimeZone;
use serde_json::json;
use store::{NumberHash, StoreError, SuppressedBy, Suppression, Suppressions};
use tokio::runtime::Runtime;

use super::listing::{self, local, timestamp};
use super::said;
use crate::clock;
use crate::config::{self, Config};
use crate::number_key::NumberKey;

/// What is asked; numbers as typed, with the country they are of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NumberAsk {
    /// Would it be called, and why (not)?
    Explain(String, Option<String>),
    /// It is not to be called.
    Block(String, Option<String>),
    /// It may be called again.
    Unblock(String, Option<String>),
    /// The newest `limit` that are not to be called.
    Blocked { limit: u32, json: bool },
}

const NO_QUEUE: &str = "passerelle: no queue calls back: [queue.callback] makes one that does\n";

/// Does it, and says what came of it.
pub(crate) fn number(path: &Path, ask: &NumberAsk) -> ExitCode {
    let answer = match config::examine(path).into_config() {
        Ok(config) => answered(&config, ask),
        Err(errors) => Err(format!("{errors}\n")),
    };
    said(answer)
}

fn answered(config: &Config, ask: &NumberAsk) -> Result<String, String> {
    match ask {
        NumberAsk::Explain(typed, country) => explained(config, typed, country.as_deref()),
        NumberAsk::Block(typed, country) => {
            let (number, list) = (understood(config, typed, country.as_deref())?, List::open(config)?);
            let suppression = Suppression {
                hash: list.key.number(None, &number),
                key_id: list.key.id(),
                at_unix_ms: clock::unix_ms(),
                by: SuppressedBy::Admin,
            };
            list.ask(list.home.suppress(suppression))?;
            Ok(format!("{number} is not called any more, by any tenant.\n"))
        }
        NumberAsk::Unblock(typed, country) => {
            let (number, list) = (understood(config, typed, country.as_deref())?, List::open(config)?);
            let gone = list.ask(list.home.unsuppress(list.hashes(config, &number)))?;
            Ok(if gone > 0 {
                format!("{number} may be called again.\n")
            } else {
                format!("{number} was not on the list.\n")
            })
        }
        NumberAsk::Blocked { limit, json } => blocked(&List::open(config)?, *limit, *json),
    }
}

/// The list, open beside the gateway, and the key of its hashes.
struct List {
    home: Arc<dyn Suppressions>,
    key: NumberKey,
    runtime: Runtime,
    shown: String,
}

impl List {
    fn open(config: &Config) -> Result<Self, String> {
        if policies(config).next().is_none() {
            return Err(NO_QUEUE.to_owned());
        }
        let shown = store::shown_url(&config.store.url);
        let failed =
            |error: &dyn std::fmt::Display| format!("passerelle: the list in {shown} cannot be had: {error}\n");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        // The store first: where there is none yet, no key is left behind.
        let home = match store::open_suppressions(&config.store.url) {
            Err(StoreError::NoSuchFile(_)) => Err(format!(
                "passerelle: there is no store at {shown} yet: a gateway makes it when it first starts. A relative path \
                 counts from where this command is started\n"
            )),
            opened => opened.map_err(|error| failed(&error)),
        }?;
        let key = NumberKey::of(config).map_err(|why| failed(&why))?;
        Ok(Self { home, key, runtime, shown })
    }

    fn ask<T>(&self, answer: store::Answer<'_, T>) -> Result<T, String> {
        let failed = |error| format!("passerelle: the list in {} does not answer: {error}\n", self.shown);
        self.runtime.block_on(answer).map_err(failed)
    }

    /// All by which a number may be on the list: for every tenant, or for one.
    fn hashes(&self, config: &Config, number: &str) -> Vec<NumberHash> {
        let tenants = config.tenants.iter().map(|tenant| Some(tenant.id.as_str()));
        std::iter::once(None).chain(tenants).map(|tenant| self.key.number(tenant, number)).collect()
    }
}

/// The queues that call back, each with its rules.
fn policies(config: &Config) -> impl Iterator<Item = (String, &NumberPolicy)> {
    config.queues.iter().filter_map(|queue| {
        let callback = queue.callback.as_ref()?;
        Some((format!("{}/{}", queue.tenant, queue.id), &callback.numbers))
    })
}

/// The number in E.164, whether or not it may be called.
fn understood(config: &Config, typed: &str, country: Option<&str>) -> Result<String, String> {
    let by_queues =
        policies(config).find_map(|(_, policy)| policy.explain(typed, country).parsed_as().map(str::to_owned));
    let by_itself = || {
        let policy = NumberPolicy::new(&NumberPolicyConfig::at_home(country?)).ok()?;
        policy.explain(typed, country).parsed_as().map(str::to_owned)
    };
    by_queues.or_else(by_itself).ok_or_else(|| {
        format!("passerelle: \"{typed}\" is no telephone number: write it with a plus, or give its --country\n")
    })
}

fn explained(config: &Config, typed: &str, country: Option<&str>) -> Result<String, String> {
    let mut text = String::new();
    for (queue, policy) in policies(config) {
        let walk = policy.explain(typed, country);
        text.push_str(&format!("queue {queue}\n"));
        for rule in walk.rules() {
            text.push_str(&format!("  {rule}\n"));
        }
        text.push_str(&match walk.verdict() {
            Ok(number) => format!("  is called: {} ({})\n", number.international(), number.kind().code()),
            Err(refusal) => format!("  is NOT called: {}\n", refusal.code()),
        });
    }
    if text.is_empty() {
        return Err(NO_QUEUE.to_owned());
    }
    // The rules need no store; the list does.
    if let (Ok(number), Ok(list)) = (understood(config, typed, country), List::open(config)) {
        let tenants = config.tenants.iter().map(|tenant| Some(tenant.id.as_str()));
        for tenant in std::iter::once(None).chain(tenants) {
            let found = list.ask(list.home.suppressed(vec![list.key.number(tenant, &number)]))?;
            if let Some(found) = found {
                let whose = tenant.map_or_else(|| "any tenant".to_owned(), |tenant| format!("tenant {tenant}"));
                let at = local(found.at_unix_ms, &TimeZone::system());
                text.push_str(&format!("on the list: NOT called by {whose}, said by {} on {at}\n", said_by(found.by)));
            }
        }
    }
    Ok(text)
}

/// The columns of the table.
const HEAD: [&str; 4] = ["SAID", "BY", "HASH", "KEY"];

fn blocked(list: &List, limit: u32, json: bool) -> Result<String, String> {
    let keys = list.ask(list.home.suppression_keys())?;
    let newest = list.ask(list.home.suppressions(usize::try_from(limit).unwrap_or(usize::MAX)))?;
    let own = list.key.id();
    if json {
        let object = |one: &Suppression| {
            let at = timestamp(one.at_unix_ms).map(|at| at.to_string());
            json!({ "hash": one.hash.to_string(), "key": one.key_id, "at": at, "by": one.by.code() })
        };
        return Ok(newest.iter().map(|one| format!("{}\n", object(one))).collect());
    }
    let all: u64 = keys.values().sum();
    let others = all - keys.get(&own).copied().unwrap_or(0);
    let mut text = format!("Not to be called: {all}.\n");
    if others > 0 {
        text.push_str(&format!(
            "{others} of them are kept under another key and are NOT found: put the old key back ([callback] number_key_file, \
             or the .number-key file beside the store).\n"
        ));
    }
    let row = |one: &Suppression| {
        let key = if one.key_id == own { "this one" } else { "another" };
        let hash = listing::cut(&one.hash.to_string(), 17);
        [local(one.at_unix_ms, &TimeZone::system()), said_by(one.by).to_owned(), hash, key.to_owned()]
    };
    if all > 0 {
        text.push_str(&listing::table(HEAD, &newest.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(text)
}

fn said_by(by: SuppressedBy) -> &'static str {
    match by {
        SuppressedBy::Recipient => "whoever picked up",
        SuppressedBy::Link => "the link of its page",
        SuppressedBy::Admin => "an administrator",
    }
}

#[cfg(test)]
mod tests;
