//! What can be asked of `passerelle callback`, with its help.

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::{ConfigFile, StoreSource};
use crate::commands;
use crate::commands::callbacks::Ask;
use crate::commands::export::Format;
use crate::commands::listing::Source;
use crate::commands::orders::{Order, QueueOrder};

#[derive(Debug, Subcommand)]
pub(super) enum CallbackCommand {
    /// List those that are open, the one asked for last first
    List {
        #[command(flatten)]
        source: StoreSource,
        /// Those that are over too
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// One JSON object a line, with everything that is kept
        #[arg(long)]
        json: bool,
    },
    /// Show one: what was promised, what was tried, who did what, what comes next
    Show {
        /// Its id, as the list shows it
        id: String,
        #[command(flatten)]
        source: StoreSource,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write all of them, or those of a queue, to the standard output: whole numbers and notes
    Export {
        #[command(flatten)]
        source: StoreSource,
        /// How
        #[arg(long, value_enum, default_value_t = FormatName::Csv)]
        format: FormatName,
        /// Only of this queue, as QUEUE or TENANT/QUEUE
        #[arg(long, value_name = "QUEUE")]
        queue: Option<String>,
        /// Only those that are open
        #[arg(long)]
        open: bool,
    },
    /// Call one off, or every one of a queue; its visitor is told
    #[command(group = ArgGroup::new("which").required(true).args(["id", "all"]))]
    Cancel {
        /// Its id, as the list shows it
        #[arg(conflicts_with = "queue")]
        id: Option<String>,
        /// Every one of this queue, as QUEUE or TENANT/QUEUE; with --all
        #[arg(long, value_name = "QUEUE", requires = "all")]
        queue: Option<String>,
        /// Yes, every one
        #[arg(long, requires = "queue")]
        all: bool,
        /// Do it; without it they are only counted
        #[arg(long, requires = "all")]
        yes: bool,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Give one another moment; its visitor is told
    Move {
        /// Its id, as the list shows it
        id: String,
        /// "asap", or a date and time, as "2026-11-18T10:30" or with an offset
        #[arg(long, value_name = "WHEN")]
        at: String,
        /// The zone of a time without an offset, as "Europe/Paris"; else the visitor's, else the site's
        #[arg(long, value_name = "ZONE", default_value = "")]
        tz: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Make every call-back of a queue later; each visitor is told
    ///
    /// One that would fall outside of the hours goes to the next moment at which he may be called.
    Shift {
        /// As QUEUE or TENANT/QUEUE
        #[arg(long, value_name = "QUEUE")]
        queue: String,
        /// By how much, as 15m or 2h
        #[arg(long, value_name = "TIME", value_parser = minutes)]
        by: u32,
        /// Do it; without it they are only counted
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Let a queue call nobody until it is resumed; visitors may still choose a time, and who is being called is
    Pause {
        /// As QUEUE or TENANT/QUEUE
        queue: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Let a paused queue call again
    Resume {
        /// As QUEUE or TENANT/QUEUE
        queue: String,
        #[command(flatten)]
        gateway: Gateway,
    },
}

/// The running gateway, and why it is asked.
#[derive(Args, Debug)]
pub(super) struct Gateway {
    #[command(flatten)]
    config: ConfigFile,
    /// The demo's gateway
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// Why: kept with the call-back
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatName {
    /// A line each, for a spreadsheet
    Csv,
    /// An object a line, with everything that is kept
    Json,
}

/// `15m` or `2h`, at most a week.
fn minutes(typed: &str) -> Result<u32, String> {
    let wrong = || "write minutes or hours, as 15m or 2h, at most a week".to_owned();
    let (number, unit) = typed.split_at_checked(typed.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let minutes = match unit {
        "m" => Some(number),
        "h" => number.checked_mul(60),
        _ => None,
    };
    minutes.filter(|minutes| (1..=10_080).contains(minutes)).ok_or_else(wrong)
}

impl Gateway {
    fn order(self, order: &Order) -> ExitCode {
        let source = if self.demo { Source::Demo } else { Source::Config(self.config.config) };
        commands::orders::order(&source, order, &self.reason)
    }

    fn queue(self, queue: String, what: QueueOrder, yes: bool) -> ExitCode {
        self.order(&Order::Queue { queue, what, yes })
    }
}

impl CallbackCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::List { source, all, limit, json } => {
                commands::callbacks::callback(&source.source(), &Ask::List { limit, all }, json)
            }
            Self::Show { id, source, json } => commands::callbacks::callback(&source.source(), &Ask::Show(id), json),
            Self::Export { source, format, queue, open } => {
                let format = match format {
                    FormatName::Csv => Format::Csv,
                    FormatName::Json => Format::Json,
                };
                commands::export::export(&source.source(), format, queue.as_deref(), open)
            }
            Self::Cancel { id: Some(id), gateway, .. } => gateway.order(&Order::Cancel { id }),
            Self::Cancel { id: None, queue, yes, gateway, .. } => {
                gateway.queue(queue.unwrap_or_default(), QueueOrder::Cancel, yes)
            }
            Self::Move { id, at, tz, gateway } => gateway.order(&Order::Move { id, at, tz }),
            Self::Shift { queue, by, yes, gateway } => gateway.queue(queue, QueueOrder::Shift(by), yes),
            Self::Pause { queue, gateway } => gateway.queue(queue, QueueOrder::Pause, true),
            Self::Resume { queue, gateway } => gateway.queue(queue, QueueOrder::Resume, true),
        }
    }
}
