//! From the file as typed to [`Config`]: defaults, units, ranges, references. Every mistake is noted, none ends the reading.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;

use super::checked::{Config, Limits, Log, LogFormat, Secret, Shutdown, Store};
use super::file::{self, File, Key};
use super::problem::Problem;
use super::secret::SecretSource;
use super::shape::Removed;
use super::suggest;

mod callback;
mod extensions;
mod hours;
mod ladder;
mod messages;
mod net;
mod people;
mod shield;
mod tls;
mod transfer;
mod trunk;

/// What reading found so far, and what it may read.
pub(super) struct Checker<'a> {
    pub(super) problems: Vec<Problem>,
    pub(super) removed: Removed,
    pub(super) secrets: &'a dyn SecretSource,
    /// Only the configuration built into the program may hold passwords: they open nothing but a loopback port.
    pub(super) literals_allowed: bool,
    /// Places of literal secrets, to be hidden in excerpts.
    pub(super) hidden: Vec<Range<usize>>,
}

/// The keys a secret may come from.
pub(super) struct SecretKeys<'k> {
    pub(super) name: &'static str,
    pub(super) literal: &'k Key<String>,
    pub(super) file: &'k Key<String>,
    pub(super) env: &'k Key<String>,
}

impl Checker<'_> {
    /// The whole file. What it returns is to be used only when no error was noted.
    pub(super) fn config(&mut self, file: &File) -> Config {
        let limits = self.limits(&file.limits);
        let http = self.http(&file.http);
        let sip = self.sip(&file.sip);
        let media = self.media(&file.media, sip.public_ip);
        self.overlaps(file, &http, &sip, &media);
        self.room_for_calls(file, &media, &limits);
        let tenants = self.tenants(&file.tenant);
        let trunks = self.trunks(&file.trunk);
        let agents = self.agents(&file.agent);
        let queues = self.queues(file);
        let store = self.store(&file.store);
        let callback = self.shield(file, &store);
        self.unused(file);
        Config {
            http,
            sip,
            media,
            store,
            tenants,
            trunks,
            queues,
            callback,
            agents,
            shutdown: Shutdown {
                drain_limit: self.seconds(&file.shutdown.drain_limit_s, "drain_limit_s", 120, 0..=86_400),
            },
            log: self.log(&file.log),
            limits,
            mail: self.mail(&file.mail),
            ladder: self.ladder(&file.ladder),
        }
    }

    /// The store's address. One with a password is a secret, and comes from a file or the environment as others do.
    pub(super) fn store(&mut self, store: &file::Store) -> Store {
        let keys = SecretKeys { name: "url", literal: &None, file: &store.url_file, env: &store.url_env };
        let secret = self.secret(&keys).map(|secret| secret.expose().to_owned());
        let elsewhere = store.url_file.as_ref().or(store.url_env.as_ref());
        if let (Some(key), Some(_)) = (elsewhere, &store.url) {
            self.error(key, "`url` is given as well", "leave one of them out");
        }
        let literal = text(&store.url, "sqlite:data/passerelle.db");
        let url = secret.as_deref().unwrap_or(literal);
        if let Some(key) = store.url.as_ref().or(elsewhere) {
            self.store_url(key, url, secret.is_some());
        }
        Store { url: url.to_owned() }
    }

    fn store_url(&mut self, key: &Spanned<String>, url: &str, is_hidden: bool) {
        if !is_hidden && store::shown_url(url) != url {
            self.hidden.push(key.span());
            self.error(
                key,
                "a secret does not belong into the configuration, where copies and backups spread it",
                "put the whole address into a file and write url_file = \"/etc/passerelle/store.url\", or url_env = \"VARIABLE\"",
            );
        }
        match store::check_url(url) {
            Ok(()) if url == "memory:" => {
                let problem = Problem::warning(key.span(), "records kept in memory are gone when the gateway ends");
                self.problems.push(problem.help("for trials only; else \"sqlite:data/passerelle.db\""));
            }
            Ok(()) => {}
            Err(_) => self.error(
                key,
                "no such store",
                "write \"sqlite:data/passerelle.db\" (a file, made when missing), \"redis://127.0.0.1:6379/0\" (shared by \
                 several gateways) or \"memory:\" (nothing survives the end of the program)",
            ),
        }
    }

    fn log(&mut self, log: &file::Log) -> Log {
        let filter = text(&log.filter, "info");
        if let Some(key) = &log.filter
            && let Err(error) = crate::observe::log::check_filter(filter)
        {
            self.error(
                key,
                &format!("not a log filter: {error}"),
                "write a level (error, warn, info, debug, trace), or levels by room: \"info,sip=debug\"",
            );
        }
        let format = match &log.format {
            None => LogFormat::Text,
            Some(key) => match key.get_ref().as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => {
                    self.error(
                        key,
                        &format!("no such log format: `{other}`"),
                        &suggest::mend(other, ["text", "json"], ""),
                    );
                    LogFormat::Text
                }
            },
        };
        Log { filter: filter.to_owned(), format }
    }

    fn limits(&mut self, limits: &file::Limits) -> Limits {
        let token_lifetime = self.seconds(&limits.token_lifetime_s, "token_lifetime_s", 180, 10..=600);
        Limits {
            calls_max: self.count(&limits.calls_max, "calls_max", 500, 1..=100_000),
            calls_per_ip_max: self.count(&limits.calls_per_ip_max, "calls_per_ip_max", 10, 1..=100_000),
            talks_per_ip_per_minute_max: self.count(
                &limits.talks_per_ip_per_minute_max,
                "talks_per_ip_per_minute_max",
                30,
                1..=100_000,
            ),
            callback_asks_per_ip_per_hour_max: self.count(
                &limits.callback_asks_per_ip_per_hour_max,
                "callback_asks_per_ip_per_hour_max",
                20,
                1..=100_000,
            ),
            call_duration_max: self.seconds(&limits.call_duration_max_s, "call_duration_max_s", 14_400, 60..=86_400),
            media_lost_grace: self.seconds(&limits.media_lost_grace_s, "media_lost_grace_s", 5, 1..=600),
            token_lifetime,
            sip_transactions_max: self.count(
                &limits.sip_transactions_max,
                "sip_transactions_max",
                10_000,
                100..=1_000_000,
            ),
        }
    }

    /// A mistake at a key, with its mend.
    fn error<T>(&mut self, key: &Spanned<T>, message: &str, help: &str) {
        self.problems.push(Problem::error(key.span(), message).help(help));
    }

    /// The value of a key that must be there. Its absence is pointed out at `table`.
    fn required<'k, T>(
        &mut self,
        key: &'k Key<T>,
        table: &Range<usize>,
        name: &str,
        help: &str,
    ) -> Option<&'k Spanned<T>> {
        if key.is_none() && !self.removed.contains(table, name) {
            self.problems.push(Problem::error(table.clone(), format!("`{name}` is missing")).help(help));
        }
        key.as_ref()
    }

    /// A whole number in a range.
    fn number(&mut self, key: &Key<i64>, name: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let Some(key) = key else { return default };
        let value = *key.get_ref();
        if range.contains(&value) {
            return value;
        }
        let message = format!("`{name}` is {value}, which is out of range");
        self.error(
            key,
            &message,
            &format!("write a number from {} to {}; without the key it is {default}", range.start(), range.end()),
        );
        default
    }

    /// A span of time, written in seconds.
    fn seconds(&mut self, key: &Key<i64>, name: &str, default: i64, range: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.number(key, name, default, range).unsigned_abs())
    }

    /// A number of things.
    fn count(&mut self, key: &Key<i64>, name: &str, default: i64, range: RangeInclusive<i64>) -> usize {
        usize::try_from(self.number(key, name, default, range)).unwrap_or(usize::MAX)
    }

    /// A name other keys and pages refer to: letters, digits, `-`, `_`, `.`.
    fn name(&mut self, key: &Spanned<String>, what: &str) {
        let name = key.get_ref();
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            self.error(key, &format!("`{name}` cannot be {what}"), "use 1 to 64 letters a-z, digits, `-`, `_` or `.`");
        }
    }

    /// A secret from exactly one of its three keys.
    fn secret(&mut self, keys: &SecretKeys<'_>) -> Option<Secret> {
        let name = keys.name;
        let given: Vec<&Spanned<String>> = [keys.literal, keys.file, keys.env].into_iter().flatten().collect();
        if let Some(key) = keys.literal {
            if self.literals_allowed {
                return Some(Secret::new(key.get_ref().clone()));
            }
            self.hidden.push(key.span());
            self.error(
                key,
                "a secret does not belong into the configuration, where copies and backups spread it",
                &format!("put it into a file of its own and write {name}_file = \"/etc/passerelle/NAME\", or {name}_env = \"VARIABLE\""),
            );
            return None;
        }
        if let [_, second, ..] = given.as_slice() {
            self.error(second, &format!("`{name}_file` and `{name}_env` are both given"), "leave one of them out");
            return None;
        }
        let (key, read) = match (keys.file, keys.env) {
            (Some(key), _) => {
                (key, self.secrets.file(key.get_ref()).map_err(|why| format!("`{}`: {why}", key.get_ref())))
            }
            (None, Some(key)) => {
                (key, self.secrets.env(key.get_ref()).map_err(|why| format!("the variable `{}`: {why}", key.get_ref())))
            }
            (None, None) => return None,
        };
        // An editor ends the file with a line break; it is no part of the secret.
        let secret = read.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        match secret {
            Ok(secret) if secret.is_empty() => {
                self.error(key, "the secret is empty", "write the password there, on one line")
            }
            Ok(secret) if secret.contains(['\r', '\n', '\0']) => {
                self.error(
                    key,
                    "the secret has more than one line",
                    "a secret is one line; the last line break is ignored",
                );
            }
            Ok(secret) => return Some(Secret::new(secret)),
            Err(why) => {
                let help = if keys.file.is_some() {
                    "make the file readable for the user Passerelle runs as; a relative path counts from where it is started"
                } else {
                    "set the variable before Passerelle starts"
                };
                self.error(key, &why, help);
            }
        }
        None
    }
}

/// The text of an optional key, or its default.
fn text<'k>(key: &'k Key<String>, default: &'k str) -> &'k str {
    key.as_ref().map_or(default, |key| key.get_ref().as_str())
}
