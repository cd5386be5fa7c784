//! What can be asked of trunks, with its help.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::ConfigFile;
use crate::commands;
use crate::commands::listing::Source;
use crate::commands::trunk_test::Ask;

#[derive(Debug, Subcommand)]
pub(super) enum TrunkCommand {
    /// List them: up, degraded or down, since when, the registration, the last error and the mend
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask the demo instead
        #[arg(long, conflicts_with = "config")]
        demo: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Examine one: DNS, TLS, OPTIONS, NAT, registration; with --call a test call; with --extension what arrives of the tag
    ///
    /// Each finding is said as soon as it is there, with what to change and on which side. It runs beside a gateway and
    /// changes nothing there: the registrar is only asked for its bindings, and where the ports of [sip] listen are in use,
    /// calls come from others (a PBX that knows this trunk by its port refuses those: stop the gateway for such a test).
    /// Exit status: 0 when the trunk works, 1 when something is bad, 2 when it could not be examined.
    Test {
        /// The trunk, by its name in the configuration
        trunk: String,
        /// Call this number: best an echo. Sound both ways, digits, hold, quality, then a short call with each codec
        #[arg(long, value_name = "NUMBER")]
        call: Option<String>,
        /// How long the test call listens
        #[arg(long, value_name = "SECONDS", default_value_t = 6, value_parser = clap::value_parser!(u64).range(2..=120))]
        seconds: u64,
        /// A telephone account at the PBX and the file of its password: it is called, and what of the tag arrives there is
        /// shown. Given twice, the first also transfers a call to the second
        #[arg(long = "extension", value_name = "USER=FILE", value_parser = extension)]
        extensions: Vec<(String, PathBuf)>,
        /// A number that leads to the first extension through a queue of the PBX
        #[arg(long, value_name = "NUMBER", requires = "extensions")]
        queue: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object, at the end
        #[arg(long)]
        json: bool,
    },
}

fn extension(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((user, file)) if !user.is_empty() && !file.is_empty() => Ok((user.to_owned(), PathBuf::from(file))),
        Some(_) | None => {
            Err("write the account and the file of its password, as 1001=/etc/passerelle/1001.secret".to_owned())
        }
    }
}

impl TrunkCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::List { config, demo, json } => {
                let source = if demo { Source::Demo } else { Source::Config(config.config) };
                commands::trunks::list(&source, json)
            }
            Self::Test { trunk, call, seconds, extensions, queue, config, json } => {
                let ask = Ask { trunk, call, seconds, extensions, queue, json };
                commands::trunk_test::test(&config.config, &ask)
            }
        }
    }
}
