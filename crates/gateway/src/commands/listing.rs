//! What every list of the store has in common: which store, how a table is laid out, what of a person is shown.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::{Home, StoreError};
use tokio::runtime::Runtime;

use crate::config;

/// Whose store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// That of the gateway this file configures.
    Config(PathBuf),
    /// That of the demo.
    Demo,
    /// This one.
    Store(String),
}

impl Source {
    /// Opens the store to read it beside a running gateway; gives also how its address may be shown.
    pub(crate) fn open(&self, what: &str) -> Result<(Arc<dyn Home>, Runtime, String), String> {
        let glance = |path: Option<&PathBuf>| {
            config::glance(path.map(PathBuf::as_path))
                .map(|glance| glance.store_url)
                .map_err(|errors| format!("{errors}\n"))
        };
        let url = match self {
            Self::Config(path) => glance(Some(path))?,
            Self::Demo => glance(None)?,
            Self::Store(url) => url.clone(),
        };
        // An address may hold a password.
        let shown = store::shown_url(&url);
        let failed = |error: &dyn std::fmt::Display| format!("passerelle: {what} in {shown} cannot be read: {error}\n");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        match store::open_reader(&url) {
            Err(StoreError::NoSuchFile(_)) => Err(format!(
                "passerelle: there is no store at {shown} yet: a gateway makes it when it first starts. A relative path \
                 counts from where this command is started\n"
            )),
            opened => Ok((opened.map_err(|error| failed(&error))?, runtime, shown)),
        }
    }
}

/// Columns as wide as what stands in them.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&head.map(str::to_owned));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// Up to five characters are an extension; of a longer one only the ends are shown.
pub(crate) fn masked(user: &str) -> String {
    let characters: Vec<char> = user.chars().collect();
    match characters.as_slice() {
        short if short.len() <= 5 => short.iter().collect(),
        [a, b, .., y, z] => format!("{a}{b}…{y}{z}"),
        _ => String::new(),
    }
}

pub(crate) fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

pub(crate) fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

pub(crate) fn local(unix_ms: u64, zone: &TimeZone) -> String {
    timestamp(unix_ms)
        .map_or_else(|| "?".to_owned(), |at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

pub(crate) fn timestamp(unix_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()
}
