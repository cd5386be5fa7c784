//! The configuration: one commented TOML file, read once, every mistake in it named.
//!
//! Three steps: `shape` brings the text into the structs of `file`, as typed; `check` makes [`Config`] of it, which the
//! program may use; `problem` shows what is wrong. Nothing guesses: a file with one mistake is refused whole, with all
//! its mistakes.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

mod check;
pub mod checked;
mod file;
mod problem;
mod secret;
mod shape;
mod suggest;

#[cfg(test)]
mod tests;

pub use checked::Config;
pub use problem::{ConfigErrors, Problem, Severity, render};

use check::Checker;
use secret::{Machine, SecretSource};

/// The configuration of `passerelle demo`, as text.
pub const DEMO: &str = include_str!("../../../config/demo.toml");

/// A longer file is not a configuration.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// What one reading of a file found.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The file's name as it was given.
    pub name: String,
    /// Its text, with secrets written into it blotted out.
    pub source: String,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Present when there is no error.
    pub config: Option<Config>,
}

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    examine(path).into_config()
}

/// The configuration of `passerelle demo`: loopback, an echo, two agents, an embedded store under `data/`.
pub fn demo() -> Result<Config, ConfigErrors> {
    examine_text("the demo's configuration", DEMO, &Machine, true).into_config()
}

/// Reads and checks the file at `path`, and keeps its warnings too.
pub fn examine(path: &Path) -> Examined {
    let name = path.display().to_string();
    match read(path) {
        Ok(text) => examine_text(&name, &text, &Machine, false),
        Err(problem) => Examined { name, source: String::new(), problems: vec![problem], config: None },
    }
}

impl Examined {
    /// The configuration, or its errors.
    pub fn into_config(self) -> Result<Config, ConfigErrors> {
        let Self { name, source, problems, config } = self;
        config.ok_or(ConfigErrors { name, source, problems })
    }

    /// How many errors and how many warnings.
    pub fn count(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        (errors, self.problems.len() - errors)
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let whole = |message: String, help: &str| Problem {
        severity: Severity::Error,
        message,
        span: None,
        help: Some(help.to_owned()),
    };
    let file = fs::File::open(path).map_err(|error| {
        whole(
            format!("cannot open it: {error}"),
            "start from config/passerelle.toml, and name the file with --config FILE",
        )
    })?;
    let mut octets = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(|error| whole(format!("cannot read it: {error}"), "it must be a file of text"))?;
    if octets.len() as u64 > FILE_BYTES_MAX {
        return Err(whole(
            format!("it is longer than {FILE_BYTES_MAX} bytes"),
            "it must be a TOML file; is it the right one?",
        ));
    }
    String::from_utf8(octets).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|&&octet| octet == b'\n').count() + 1;
        whole(format!("line {line} is not UTF-8 text"), "save the file as UTF-8")
    })
}

fn examine_text(name: &str, text: &str, secrets: &dyn SecretSource, literals_allowed: bool) -> Examined {
    let mut problems = Vec::new();
    // Where the syntax is wrong, what stands after it says nothing about what was meant: meaning is not judged then.
    let Some((file, removed)) = shape::read(text, &mut problems) else {
        return Examined { name: name.to_owned(), source: text.to_owned(), problems, config: None };
    };
    let mut checker = Checker { problems, removed, secrets, literals_allowed, hidden: Vec::new() };
    let config = checker.config(&file);
    let Checker { mut problems, hidden, .. } = checker;
    problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
    let sound = problems.iter().all(|problem| problem.severity == Severity::Warning);
    Examined { name: name.to_owned(), source: blot(text, &hidden), problems, config: sound.then_some(config) }
}

/// The text with `places` overwritten, each octet by one star, so that every other place stays where it is.
fn blot(text: &str, places: &[Range<usize>]) -> String {
    let mut octets = text.as_bytes().to_vec();
    for octet in places.iter().cloned().flatten() {
        if let Some(octet) = octets.get_mut(octet) {
            *octet = b'*';
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}
