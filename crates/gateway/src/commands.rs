//! What each command does.

use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) mod book;
pub(crate) mod callbacks;
pub(crate) mod calls;
pub(crate) mod check;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod hours;
pub(crate) mod ladder;
pub(crate) mod listing;
pub(crate) mod message;
pub(crate) mod numbers;
pub(crate) mod orders;
pub(crate) mod period;
pub(crate) mod reload;
pub(crate) mod remote;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod trunk_test;
pub(crate) mod trunks;

/// Says what came of a command: its answer, or why there is none.
pub(crate) fn said(done: Result<String, String>) -> ExitCode {
    match done {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

/// Text of somebody else's that steers no terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Writes to standard output. A reader that has gone (`| head`) is no mistake, so nothing is said about it.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error.
pub(crate) fn complain(text: &str) {
    let mut out = io::stderr().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
