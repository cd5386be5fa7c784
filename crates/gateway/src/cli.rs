//! The command line: what can be asked of `passerelle`, with its help.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::commands::listing::Source;
use crate::commands::message::Way;
use crate::commands::numbers::NumberAsk;
use crate::config::DemoPlace;

mod book;
mod figures;
mod ladder;
mod trunk;

/// A WebRTC-to-SIP gateway between a web site and the telephones of its agents.
#[derive(Debug, Parser)]
#[command(
    name = "passerelle",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C
    ///
    /// At SIGTERM it takes no more calls, lets those in progress end (as long as [shutdown] drain_limit_s allows), and
    /// leaves. A second signal ends it at once.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Log by this filter instead of the configuration's, as "info,sip=debug"
        #[arg(long, value_name = "FILTER")]
        log: Option<String>,
    },
    /// Try it: a small shop with the button, an echo, two agents, all on this machine
    ///
    /// Needs no configuration and no other program. It prints what to open and what to dial.
    Demo(Demo),
    /// Check a configuration and name every mistake with line, column and the mend
    ///
    /// Secrets are read from their files and variables, so check as the user and in the environment Passerelle runs in.
    /// Exit status: 0 without mistakes (warnings are none), 1 with.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Let the running gateway go by its configuration as the file is now, without losing a call
    ///
    /// Asks with the administrator's token, so run it as the same user; it reads the file it was started with. Prints what
    /// changes: + new, - gone, ~ changed. What needs a restart, or a file with a mistake, changes nothing. SIGHUP does the
    /// same. Exit status: 0 when the file is in force, 1 when nothing was changed.
    Reload {
        #[command(flatten)]
        config: ConfigFile,
        /// Only print what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// List the calls that have ended, newest first
    ///
    /// Reads the store beside a running gateway. Times are this machine's local time; numbers and sessions are
    /// shortened. With --json nothing is shortened, and times are in UTC.
    Calls(Calls),
    /// Show what was said on the wire and heard in a call: its ladder, to see why it failed
    ///
    /// Asks the running gateway with the administrator's token, so run it as the same user. Ladders are kept in memory, as
    /// long as [ladder] says; passwords' proofs, keys of the sound and keys pressed are blotted out. Times of the list are
    /// this machine's local time, those of a ladder milliseconds from its first line.
    Ladder(ladder::Ladder),
    /// Look into the call-back book, and change it
    ///
    /// `list`, `show` and `export` read the store beside a running gateway; times are this machine's local time, and
    /// numbers are shortened, but for --json and exports. The others ask the running gateway with the administrator's
    /// token, so run them as the same user.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Callback {
        #[command(subcommand)]
        ask: book::CallbackCommand,
    },
    /// Play FIFO, priority and satisfaction orders on your own call-backs, and compare the delays
    ///
    /// Reads the call-backs and the records of their calls from the store, beside a running gateway; or arrivals from a
    /// CSV file; or makes up a day. Nothing is changed and nobody is called.
    Simulate(figures::Simulate),
    /// Sum up how well call-backs were kept: delays, punctuality, first tries, ends
    ///
    /// Reads the store beside a running gateway. No number is shown.
    Report(figures::Report),
    /// Show when each queue is open in the next days, with holidays and exceptions
    ///
    /// Reads the configuration only. Times are those of the queue's own clock.
    Hours(figures::Hours),
    /// Try the ways on which call-backs are told of: mail to visitors, webhooks to programs
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Message {
        #[command(subcommand)]
        order: MessageCommand,
    },
    /// Try a telephone number against the rules, and keep the list of those that are not to be called
    ///
    /// Works beside a running gateway, with its configuration, its store and its key of the numbers (which `run` makes
    /// beside the store when the configuration names none): so run it as the same user.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Number {
        #[command(subcommand)]
        ask: NumberCommand,
    },
    /// See how the trunks are, and examine one from DNS to the sound of a call
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Trunk {
        #[command(subcommand)]
        ask: trunk::TrunkCommand,
    },
    /// Ask the running gateway whether it is well
    ///
    /// Exit status: 0 when /healthz says so, 1 otherwise. For a container's health check; needs no curl.
    Health {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask the demo instead
        #[arg(long, conflicts_with = "config")]
        demo: bool,
    },
}

#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration
    #[arg(long = "config", short, value_name = "FILE", default_value = "config/passerelle.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct Demo {
    /// Port of the pages
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http_port: u16,
    /// Port of SIP, over UDP and TCP
    #[arg(long, value_name = "PORT", default_value_t = 5060)]
    sip_port: u16,
    /// First UDP port of browsers' sound
    #[arg(long, value_name = "PORT", default_value_t = 3480)]
    webrtc_port: u16,
    /// First UDP port of phones' sound; a thousand are used
    #[arg(long, value_name = "PORT", default_value_t = 20_000)]
    rtp_port: u16,
    /// Folder of the store
    #[arg(long, value_name = "FOLDER", default_value = "data")]
    data: PathBuf,
}

#[derive(Args, Debug)]
struct StoreSource {
    #[command(flatten)]
    config: ConfigFile,
    /// The demo's store
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// This store, as "sqlite:data/passerelle.db", instead of the configuration's
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "demo"])]
    store: Option<String>,
}

#[derive(Args, Debug)]
struct Calls {
    #[command(flatten)]
    source: StoreSource,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// One JSON object a line, with everything that is kept of the call
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum MessageCommand {
    /// Send one message now, and say in a sentence what went wrong and the mend
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Test {
        #[command(subcommand)]
        way: TestWay,
    },
}

#[derive(Debug, Subcommand)]
enum TestWay {
    /// A mail to this address, by the relay of [mail]
    Mail {
        /// Where to, as "claire@mail.example"
        address: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// A signed request to the webhook of each tenant that has one
    Webhook {
        /// Only to this tenant's
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum NumberCommand {
    /// Say of each queue whether it would call this number, and by which rule
    Explain {
        #[command(flatten)]
        typed: TypedNumber,
    },
    /// Never call this number any more, for any tenant
    Block {
        #[command(flatten)]
        typed: TypedNumber,
    },
    /// Call this number again, whoever said that it was not to be called
    Unblock {
        #[command(flatten)]
        typed: TypedNumber,
    },
    /// List the numbers that are not to be called: when it was said and by whom; the numbers themselves are kept nowhere
    Blocked {
        #[command(flatten)]
        config: ConfigFile,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
struct TypedNumber {
    /// The number, as a visitor would type it
    number: String,
    /// Which country a number without a plus is of (ISO 3166-1); else each queue's own
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl NumberCommand {
    fn run(self) -> ExitCode {
        let (config, ask) = match self {
            Self::Explain { typed } => (typed.config, NumberAsk::Explain(typed.number, typed.country)),
            Self::Block { typed } => (typed.config, NumberAsk::Block(typed.number, typed.country)),
            Self::Unblock { typed } => (typed.config, NumberAsk::Unblock(typed.number, typed.country)),
            Self::Blocked { config, limit, json } => (config, NumberAsk::Blocked { limit, json }),
        };
        commands::numbers::number(&config.config, &ask)
    }
}

impl StoreSource {
    fn source(self) -> Source {
        match self {
            Self { store: Some(url), .. } => Source::Store(url),
            Self { demo: true, .. } => Source::Demo,
            Self { config, .. } => Source::Config(config.config),
        }
    }
}

impl Demo {
    /// The place asked for.
    fn place(self) -> DemoPlace {
        let Self { http_port, sip_port, webrtc_port, rtp_port, data } = self;
        DemoPlace { http_port, sip_port, webrtc_port, rtp_port, data }
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config, log } => commands::run::run(&config.config, log),
        Command::Demo(demo) => commands::run::demo(&demo.place()),
        Command::Check { config } => commands::check::check(&config.config),
        Command::Reload { config, dry_run } => commands::reload::reload(&Source::Config(config.config), dry_run),
        Command::Calls(Calls { source, limit, json }) => commands::calls::calls(&source.source(), limit, json),
        Command::Ladder(ladder) => ladder.run(),
        Command::Callback { ask } => ask.run(),
        Command::Simulate(simulate) => commands::simulate::simulate(&simulate.ask()),
        Command::Report(report) => commands::report::report(&report.ask()),
        Command::Hours(hours) => commands::hours::hours(&hours.ask()),
        Command::Message { order: MessageCommand::Test { way: TestWay::Mail { address, config } } } => {
            commands::message::test(&config.config, &Way::Mail(address))
        }
        Command::Message { order: MessageCommand::Test { way: TestWay::Webhook { tenant, config } } } => {
            commands::message::test(&config.config, &Way::Webhook(tenant))
        }
        Command::Number { ask } => ask.run(),
        Command::Trunk { ask } => ask.run(),
        Command::Health { config, demo } => commands::health::health(&config.config, demo),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_consistent_and_every_part_has_its_help() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for command in std::iter::once(command).chain(command.get_subcommands()) {
                for argument in command.get_arguments() {
                    assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
                }
            }
        }
    }

    #[test]
    fn commands_are_read_with_their_defaults() {
        let calls = Cli::try_parse_from(["passerelle", "calls"]).unwrap();
        assert!(matches!(calls.command, Command::Calls(calls) if calls.limit == 20 && !calls.json));
        for right in [
            &["passerelle", "callback", "cancel", "cb", "--reason", "closed"][..],
            &["passerelle", "callback", "cancel", "--queue", "shop/advice", "--all", "--yes"],
            &["passerelle", "callback", "shift", "--queue", "advice", "--by", "2h", "--demo"],
            &["passerelle", "callback", "pause", "advice"],
            &["passerelle", "ladder"],
            &["passerelle", "ladder", "3f2a", "--pcap", "call.pcap"],
            &["passerelle", "ladder", "--refused", "--raw", "--demo"],
            &["passerelle", "callback", "export", "--format", "csv"],
        ] {
            assert!(Cli::try_parse_from(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &["passerelle"][..],
            &["passerelle", "cals"],
            &["passerelle", "calls", "--limit", "0"],
            &["passerelle", "calls", "--demo", "--config", "x"],
            &["passerelle", "demo", "--http-port", "70000"],
            &["passerelle", "ladder", "3f2a", "--refused"],
            &["passerelle", "ladder", "3f2a", "--json", "--raw"],
            &["passerelle", "ladder", "--pcap", "call.pcap"],
            &["passerelle", "callback", "cancel"],
            &["passerelle", "callback", "cancel", "cb", "--queue", "advice", "--all"],
            &["passerelle", "callback", "cancel", "--queue", "advice"],
            &["passerelle", "callback", "shift", "--queue", "advice", "--by", "-15m"],
            &["passerelle", "callback", "shift", "--queue", "advice", "--by", "15"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
