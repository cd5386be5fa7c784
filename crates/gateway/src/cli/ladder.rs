//! `passerelle ladder`: what can be asked of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ConfigFile;
use crate::commands::ladder::{self, Form, What};
use crate::commands::listing::Source;

#[derive(Args, Debug)]
pub(super) struct Ladder {
    /// The call's id as `passerelle calls` prints it, the beginning of it, or the Call-ID of a leg; else the newest are listed
    #[arg(group = "whose")]
    call: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the demo instead
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// The messages that were refused, each with the reason: no SIP, no such dialog, not allowed
    #[arg(long, group = "whose")]
    refused: bool,
    /// The messages themselves
    #[arg(long, requires = "whose")]
    raw: bool,
    /// One JSON object with everything
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Write the messages into a capture file for Wireshark or tshark. Its IP and UDP headers are made up from the
    /// addresses, also for what went by TCP or TLS
    #[arg(long, value_name = "FILE", requires = "whose", conflicts_with_all = ["raw", "json"])]
    pcap: Option<PathBuf>,
    /// List also what belongs to no call: registrations, probes, calls that were refused at once
    #[arg(long, conflicts_with_all = ["call", "refused"])]
    all: bool,
    /// List at most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

impl Ladder {
    pub(super) fn run(self) -> ExitCode {
        let Self { call, config, demo, refused, raw, json, pcap, all, limit } = self;
        let source = if demo { Source::Demo } else { Source::Config(config.config) };
        let form = match pcap {
            Some(file) => Form::Pcap(file),
            None if raw => Form::Raw,
            None if json => Form::Json,
            None => Form::Drawn,
        };
        let what = match call {
            Some(call) => What::Call(call),
            None if refused => What::Refused,
            None => What::List { limit, all },
        };
        ladder::ladder(&source, &what, &form)
    }
}
