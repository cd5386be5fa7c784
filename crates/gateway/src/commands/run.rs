//! `passerelle run` and `passerelle demo`: read the configuration, start logging, hand over to the app.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use super::complain;
use crate::app::{self, FileRead, Options};
use crate::config::{self, Config, ConfigErrors, DemoPlace};
use crate::observe::log;

/// Runs the gateway until it is told to end.
pub(crate) fn run(path: &Path, filter: Option<String>) -> ExitCode {
    let examined = config::examine(path);
    if !examined.problems.is_empty() {
        complain(&config::render(&examined.name, &examined.source, &examined.problems, stderr().is_terminal(), 100));
    }
    let file = FileRead { path: path.to_owned(), text: examined.source.clone(), sets_filter: filter.is_none() };
    let Ok(mut config) = examined.into_config() else { return ExitCode::FAILURE };
    if let Some(filter) = filter {
        if let Err(why) = log::check_filter(&filter) {
            complain(&format!("passerelle: --log {filter}: {why}\n"));
            return ExitCode::FAILURE;
        }
        config.log.filter = filter;
    }
    start(config, Options { demo: false, file: Some(file) })
}

/// Runs the demo until Ctrl-C.
pub(crate) fn demo(place: &DemoPlace) -> ExitCode {
    match config::demo(place) {
        Ok(config) => start(config, Options { demo: true, file: None }),
        Err(errors) => refuse(&errors),
    }
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    complain(&config::render(&errors.name, &errors.source, &errors.problems, stderr().is_terminal(), 100));
    ExitCode::FAILURE
}

fn start(config: Config, options: Options) -> ExitCode {
    if let Err(error) = log::init(&config.log) {
        complain(&format!("passerelle: logging cannot start: {error}\n"));
        return ExitCode::FAILURE;
    }
    match app::run(config, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("passerelle: {error}\n"));
            ExitCode::FAILURE
        }
    }
}
