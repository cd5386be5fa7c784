//! What a full call-back book costs: a start, the next that is due, a page of what is due, and a promise, as it grows.
//!
//! ```text
//! fill to n ─► start again ─► next due ─► lease 10,000 ─► promise 500 a second ─► fill to the next n
//! ```
//! Each figure stands beside its floor, and below the last step how it grew with n: 0 is not at all, 1 as fast as n.

mod figures;
mod floor;
mod home;
mod load;
mod noise;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use store::{Embedded, EmbeddedOptions, Home, NodeId};

use figures::Figures;
use home::Server;
use load::{Load, Offered};

/// Due in the same second.
const DUE: u64 = 10_000;
/// What a clerk takes at once.
const PAGE: usize = 256;
const HOLD: Duration = Duration::from_secs(15);
/// The moment at which the bench stands; what is promised lies later.
const NOW_UNIX_MS: u64 = 1_800_000_000_000;

/// Fills a call-back book and prints what it costs.
#[derive(Parser)]
struct Options {
    /// Call-backs kept, step after step
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    rows: Vec<u64>,
    /// The same in Redis, where there is one; 0 for none
    #[arg(long, default_value_t = 100_000)]
    redis_rows: u64,
    /// Promises asked for in a second
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Seconds of asking
    #[arg(long, default_value_t = 10)]
    window: u32,
    /// Where the file is kept meanwhile; taken away at the end
    #[arg(long, default_value = "target/callbacks-bench")]
    folder: PathBuf,
    /// Begin with the file that is there, and leave it: two programs are held against each other on copies of one
    #[arg(long)]
    keep: bool,
    /// Where the figures are added
    #[arg(long, default_value = "target/callbacks.csv")]
    csv: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let measured = run(&options);
    if !options.keep {
        let _not_there = std::fs::remove_dir_all(&options.folder);
    }
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _heard = writeln!(std::io::stderr(), "callbacks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if !options.keep {
        let _fresh = std::fs::remove_dir_all(&options.folder);
    }
    std::fs::create_dir_all(&options.folder).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let mut steps = Vec::new();
    let path = options.folder.join("calls.db");
    for rows in &options.rows {
        let figures = embedded(&runtime, options, &path, *rows)?;
        figures.print()?;
        steps.push(figures);
    }
    figures::print_slopes(&steps)?;
    if options.redis_rows > 0 {
        match Server::start(&options.folder.join("redis"))? {
            Some(server) => {
                let figures = redis(&runtime, options, &server)?;
                figures.print()?;
                steps.push(figures);
            }
            None => say("SKIPPED redis: Debian package redis-server is not installed")?,
        }
    }
    figures::write(&options.csv, &steps)
}

fn embedded(runtime: &tokio::runtime::Runtime, options: &Options, path: &Path, rows: u64) -> Result<Figures, String> {
    let open = || Embedded::open(path, EmbeddedOptions::default()).map_err(|error| error.to_string());
    let home: Arc<dyn Home> = Arc::new(open()?);
    let (known, _) = runtime.block_on(load::count(&home))?;
    let rows = rows.max(known);
    let (other_before, filling) = (figures::cpu_of_others()?, Instant::now());
    runtime.block_on(Load { home: Arc::clone(&home), first: known, rows }.fill())?;
    let mut figures = Figures { home: "sqlite", rows, fill_s: filling.elapsed().as_secs_f64(), ..Figures::default() };
    drop(home);
    figures.file_bytes_per_row = file_bytes(path)? as f64 / rows as f64;
    let before = figures::rss_kb()?;
    let start = Instant::now();
    let home: Arc<dyn Home> = Arc::new(open()?);
    runtime.block_on(home.next_callback(NOW_UNIX_MS)).map_err(|error| error.to_string())?;
    figures.start_s = start.elapsed().as_secs_f64();
    runtime.block_on(measure(&home, options, &mut figures))?;
    figures.ram_bytes_per_row = figures::rss_kb()?.saturating_sub(before) as f64 * 1_024.0 / rows as f64;
    let offered = Offered { rate: options.rate, window_s: options.window, first: 0 };
    let mut floor = floor::commits(&options.folder, path, &offered, figures.rows_per_commit)?;
    floor.sort_unstable();
    (figures.floor_p50_ms, figures.floor_p99_ms) = (figures::quantile_ms(&floor, 50), figures::quantile_ms(&floor, 99));
    figures.other_cores = figures::others_since(other_before, filling)?;
    Ok(figures)
}

fn redis(runtime: &tokio::runtime::Runtime, options: &Options, server: &Server) -> Result<Figures, String> {
    let rows = options.redis_rows;
    let home: Arc<dyn Home> = Arc::new(server.home()?);
    let (other_before, filling) = (figures::cpu_of_others()?, Instant::now());
    // The slope from half of them on: what a server has anyway is no row's.
    runtime.block_on(Load { home: Arc::clone(&home), first: 0, rows: rows / 2 }.fill())?;
    let half = server.memory()?;
    runtime.block_on(Load { home: Arc::clone(&home), first: rows / 2, rows }.fill())?;
    let mut figures = Figures { home: "redis", rows, fill_s: filling.elapsed().as_secs_f64(), ..Figures::default() };
    figures.ram_bytes_per_row = server.memory()?.saturating_sub(half) as f64 / (rows - rows / 2).max(1) as f64;
    figures.file_bytes_per_row = server.file_bytes()? as f64 / rows as f64;
    drop(home);
    let start = Instant::now();
    let home: Arc<dyn Home> = Arc::new(server.home()?);
    runtime.block_on(home.next_callback(NOW_UNIX_MS)).map_err(|error| error.to_string())?;
    figures.start_s = start.elapsed().as_secs_f64();
    runtime.block_on(measure(&home, options, &mut figures))?;
    figures.other_cores = figures::others_since(other_before, filling)?;
    Ok(figures)
}

async fn measure(home: &Arc<dyn Home>, options: &Options, figures: &mut Figures) -> Result<(), String> {
    (figures.next_alone_us, figures.next_us) = load::next(home).await?;
    let start = Instant::now();
    let held = load::lease(home, NodeId(0xa), DUE).await?;
    figures.lease_s = start.elapsed().as_secs_f64();
    let in_order = held.iter().map(|kept| kept.callback.wish().promised_unix_ms).is_sorted();
    if !in_order || held.len() as u64 != DUE {
        return Err(format!("{} of {DUE} were leased; the longest overdue first: {in_order}", held.len()));
    }
    load::give_back(home, held).await?;
    let mut flushes = noise::flushes(&options.folder)?;
    flushes.sort_unstable();
    (figures.flush_p50_ms, figures.flush_p99_ms) =
        (figures::quantile_ms(&flushes, 50), figures::quantile_ms(&flushes, 99));
    let before = home.health().await.map_err(|error| error.to_string())?;
    let probe = noise::Probe::start();
    let offered = Offered { rate: options.rate, window_s: options.window, first: figures.rows };
    let mut delays = offered.ask(home).await?;
    let mut late = probe.stop()?;
    late.sort_unstable();
    figures.late_p99_ms = figures::quantile_ms(&late, 99);
    delays.sort_unstable();
    figures.asked = delays.len() as u64;
    (figures.ask_p50_ms, figures.ask_p99_ms) = (figures::quantile_ms(&delays, 50), figures::quantile_ms(&delays, 99));
    let after = home.health().await.map_err(|error| error.to_string())?;
    figures.rows_per_commit = (after.rows - before.rows) as f64 / (after.commits - before.commits).max(1) as f64;
    Ok(())
}

/// The file and its log.
fn file_bytes(path: &Path) -> Result<u64, String> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let log = path.with_extension("db-wal");
    Ok(size(path) + size(&log))
}

pub(crate) fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}
