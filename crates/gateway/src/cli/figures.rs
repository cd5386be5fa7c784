//! Arguments of the commands that look at how a call-back service does, or might do.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use desk::{Day, Order, Satisfaction};

use super::{ConfigFile, StoreSource};
use crate::commands::hours;
use crate::commands::period::Moment;
use crate::commands::report::{self, Form};
use crate::commands::simulate::{Ask, From, OrderName};

#[derive(Args, Debug)]
pub(super) struct Simulate {
    #[command(flatten)]
    source: StoreSource,
    /// Take the arrivals from this file: CSV with the columns asked, promised, priority, handling_s
    ///
    /// The first line names the columns, in any order; only `asked` is required. `asked` and `promised` are times as
    /// 2026-11-01T08:00:00Z (without `promised`: as soon as possible), `priority` is 0 to 255, `handling_s` how long an
    /// agent is kept.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "demo", "store", "tenant", "queue", "since"])]
    arrivals: Option<PathBuf>,
    /// Make up the arrivals of one full day
    #[arg(long, conflicts_with_all = ["config", "demo", "store", "arrivals", "tenant", "queue", "since"])]
    synthetic: bool,
    /// Only those of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Only those of this queue
    #[arg(long, value_name = "ID")]
    queue: Option<String>,
    /// Only those asked for from then on: 2026-11-01, 12h, 30d
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// How many agents answer. Default: as many as the book shows, else 3
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    agents: Option<u16>,
    /// This order alone. Default: all three side by side
    #[arg(long, value_enum)]
    order: Option<OrderName>,
    /// Order priority: the head start of one step
    #[arg(long, value_name = "MINUTES", default_value_t = minutes(Order::HEAD_START), value_parser = clap::value_parser!(u16).range(0..=1_440))]
    head_start_minutes: u16,
    /// The wait after which 30 % of satisfaction is lost
    #[arg(long, value_name = "MINUTES", default_value_t = minutes(Satisfaction::default().soon), value_parser = clap::value_parser!(u16).range(1..=1_440))]
    soon_minutes: u16,
    /// The wait after which 40 % is lost
    #[arg(long, value_name = "MINUTES", default_value_t = minutes(Satisfaction::default().late), value_parser = clap::value_parser!(u16).range(1..=1_440))]
    late_minutes: u16,
    /// Order satisfaction: who has waited so long goes first
    #[arg(long, value_name = "MINUTES", default_value_t = minutes(Satisfaction::default().ceiling), value_parser = clap::value_parser!(u16).range(1..=1_440))]
    ceiling_minutes: u16,
    /// Seed of what is made up or drawn: the same again gives the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the delays as a picture, too
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// As a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Report {
    #[command(flatten)]
    source: StoreSource,
    /// Only of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Only of this queue
    #[arg(long, value_name = "ID")]
    queue: Option<String>,
    /// Those asked for from then on: 2026-11-01, 12h, 30d
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// And before then. Default: now
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// As a JSON object
    #[arg(long)]
    json: bool,
    /// As CSV, a line a queue
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Report {
    pub(super) fn ask(self) -> report::Ask {
        let Self { source, tenant, queue, since, until, json, csv } = self;
        let form = match (json, csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Text,
        };
        report::Ask { source: source.source(), tenant, queue, since, until, form }
    }
}

#[derive(Args, Debug)]
pub(super) struct Hours {
    /// This queue alone: support, or shop/support
    queue: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Those of the demo
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// The first day, as 2026-12-20. Default: today
    #[arg(long, value_name = "DATE")]
    from: Option<Day>,
    /// How many days
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,
    /// One JSON object a queue
    #[arg(long)]
    json: bool,
}

impl Hours {
    pub(super) fn ask(self) -> hours::Ask {
        let Self { queue, config, demo, from, days, json } = self;
        hours::Ask { config: (!demo).then_some(config.config), queue, from, days, json }
    }
}

fn minutes(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs() / 60).unwrap_or(u16::MAX)
}

impl Simulate {
    pub(super) fn ask(self) -> Ask {
        let minutes = |minutes: u16| Duration::from_secs(u64::from(minutes) * 60);
        let from = match self.arrivals {
            Some(file) => From::File(file),
            None if self.synthetic => From::MadeUp,
            None => {
                From::Book { source: self.source.source(), tenant: self.tenant, queue: self.queue, since: self.since }
            }
        };
        let (soon, late) = (minutes(self.soon_minutes), minutes(self.late_minutes));
        Ask {
            from,
            agents: self.agents.map(usize::from),
            only: self.order,
            head_start: minutes(self.head_start_minutes),
            curve: Satisfaction { soon, late, ceiling: minutes(self.ceiling_minutes), ..Satisfaction::default() },
            seed: self.seed,
            plot: self.plot,
            json: self.json,
        }
    }
}
