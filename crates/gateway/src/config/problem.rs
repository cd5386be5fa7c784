//! A mistake in the configuration: where it is, what is wrong, how to mend it.

use std::fmt;
use std::ops::Range;

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// Octets of the source it points at; `None`: the file as a whole (it cannot be read, say).
    pub span: Option<Range<usize>>,
    /// How to mend it.
    pub help: Option<String>,
}

/// Every mistake of one file, in the order of the file.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    /// The file's name as it was given.
    pub name: String,
    /// Its text, for excerpts; empty when it could not be read.
    pub source: String,
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}: {}", self.name, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
