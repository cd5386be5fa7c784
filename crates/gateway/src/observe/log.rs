//! Log lines: set up once, and the policy of their levels.
//!
//! | level | what stands there | personal data |
//! |---|---|---|
//! | `error` | someone has to act: a task died, the store refuses, a listener is gone | never |
//! | `warn` | something was refused or lost and the gateway went on: a call that failed, a forged packet, a full queue | never |
//! | `info` | what an operator follows: start, stop, a trunk up or down, a call's begin and end by id | never |
//! | `debug` | what a developer asks for: messages, decisions, page addresses | yes, inside `call::Pii` |
//! | `trace` | each packet | yes |
//!
//! Values are fields, ids are in spans, sentences are constant. Whatever came from outside is escaped: one event is one
//! line, whoever wrote its text, and no line grows past a bound.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::checked::{Log, LogFormat};

/// A field longer than this is cut; its length is said.
const FIELD_BYTES_MAX: usize = 1_024;

/// The levels a filter may name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The filter in force.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging to standard error. Once a process.
pub fn init(log: &Log) -> Result<(), TryInitError> {
    let filter = check_filter(&log.filter).unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let (filter, handle) = reload::Layer::new(filter);
    tracing_subscriber::registry().with(layer(log.format).with_filter(filter)).try_init()?;
    let _the_first_stays = FILTER.set(handle);
    report_panics();
    Ok(())
}

/// Logs by this filter from now on; it has been checked.
pub(crate) fn follow(filter: &str) {
    if let (Some(handle), Ok(filter)) = (FILTER.get(), check_filter(filter)) {
        // The one of before stays where it cannot be had.
        let _gone = handle.reload(filter);
    }
}

/// One line an event, in the chosen clothes.
fn layer(log_format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match log_format {
        LogFormat::Text => layer
            .with_ansi(std::io::stderr().is_terminal())
            .fmt_fields(format::debug_fn(write_field).delimited(" "))
            .boxed(),
        // JSON escapes by itself.
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

/// A panic is a bug: it is logged on one line like everything else, and the task's supervisor does the rest.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("a panic without words");
        tracing::error!(place, what, "panic");
    }));
}

/// Reads a filter, `info,sip=debug`, or says what is wrong with it.
///
/// A word that is no level would be taken for a module's name and silence everything else, so it is refused.
pub fn check_filter(filter: &str) -> Result<Targets, String> {
    for directive in filter.split(',') {
        let (room, level) =
            directive.split_once('=').map_or((None, directive), |(room, level)| (Some(room), level.trim()));
        if let Some(room) =
            room.filter(|room| !room.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b':'))
        {
            return Err(format!("`{room}` is not a room"));
        }
        if !LEVELS.contains(&level.trim().to_ascii_lowercase().as_str()) {
            return Err(format!("`{level}` is not a level"));
        }
    }
    Targets::from_str(filter).map_err(|error| error.to_string())
}

/// One field as text, escaped and bounded.
fn write_field(writer: &mut format::Writer<'_>, field: &tracing::field::Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut text = Escaped { text: String::new(), dropped: 0 };
    write!(text, "{value:?}")?;
    if field.name() == "message" {
        write!(writer, "{}", text.text)?
    } else {
        write!(writer, "{}={}", field.name(), text.text)?
    }
    if text.dropped > 0 {
        write!(writer, "… ({} bytes more)", text.dropped)?;
    }
    Ok(())
}

/// Takes text in; control characters, line breaks and the marks that turn the direction of writing come out as escapes.
struct Escaped {
    text: String,
    dropped: usize,
}

impl fmt::Write for Escaped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.text.len() >= FIELD_BYTES_MAX {
                self.dropped += character.len_utf8();
            } else if needs_escape(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

/// Characters that could break a line, colour a terminal or hide text.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
