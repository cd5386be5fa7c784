//! How many calls a core carries, and what a call adds: N visitors (a foreign WebRTC stack, real Opus frames) talk
//! through the release binary to a synthetic PBX (G.711), all on this machine's loopback.
//!
//! ```text
//!            WebSocket                    SIP
//! visitors ───────────── passerelle ───────────── pbx        signalling: this thread
//!          ═════════════            ═════════════            sound: the media thread (`wire`), both ends
//!          Opus, DTLS-SRTP           PCMU, RTP
//! ```
//! Beside each figure stands its floor from the same run: bare libopus for CPU, the generator's own probe for delay.

mod figures;
mod floor;
mod gateway;
mod pbx;
mod stream;
mod visitor;
mod wire;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::frames::Frames;
use clap::Parser;
use futures_util::{StreamExt, TryStreamExt};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use figures::Figures;
use gateway::{Gateway, Net};
use stream::Window;
use wire::{Orders, Wire};

/// Calls set up at the same time.
const AT_ONCE: usize = 4;
const CALLS_MAX: usize = 200;
/// After the window, for the last packets to arrive while sending goes on.
const AFTER: Duration = Duration::from_millis(500);

/// Drives calls through the release binary and prints what they cost.
#[derive(Parser)]
struct Options {
    /// The gateway's program
    #[arg(long, default_value = "target/release/passerelle")]
    binary: PathBuf,
    /// Calls at once, step after step, each 1 to 200
    #[arg(long, value_delimiter = ',', default_value = "10,25,50")]
    calls: Vec<usize>,
    /// No step at half of what the media workers could carry by the last step's figure
    #[arg(long)]
    no_half: bool,
    /// Media workers of the gateway; 1 leaves the load a core of its own on two
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Seconds before the window, 1 to 60
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    warm_up: u64,
    /// Seconds measured, 1 to 120
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    window: u64,
    /// Loopback network 127.0.N.0/24 of the run
    #[arg(long, default_value_t = 90)]
    net: u8,
    /// A line for each step is added to this file
    #[arg(long, default_value = "target/density.csv")]
    csv: PathBuf,
    /// Fail when a target is missed
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(good) if good || !options.strict => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("density: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A pipe that is closed wants to hear no more.
fn say(out: &mut impl Write, line: &str) {
    let _heard = writeln!(out, "{line}");
}

/// True when every target was reached.
fn run(options: &Options) -> Result<bool, String> {
    if options.calls.is_empty() || options.calls.iter().any(|calls| !(1..=CALLS_MAX).contains(calls)) {
        return Err(format!("--calls takes 1 to {CALLS_MAX}"));
    }
    sip_tests::crowd::prepare();
    let frames = Arc::new(Frames::make()?);
    let mut out = std::io::stdout();
    say(&mut out, &figures::heading(options.workers, options.window));
    let mut all = Vec::new();
    for calls in &options.calls {
        all.push(step(options, *calls, &frames)?);
        say(&mut out, &all[all.len() - 1].row());
    }
    if let Some(last) = all.last().filter(|_| !options.no_half) {
        let half = last.half_load(usize::from(options.workers)).clamp(1, CALLS_MAX);
        let mut figures = step(options, half, &frames)?;
        figures.half_load = true;
        say(&mut out, &figures.row());
        all.push(figures);
    }
    figures::append(&options.csv, &all)?;
    let verdict = figures::verdict(&all);
    for (_, line) in &verdict {
        say(&mut out, line);
    }
    Ok(verdict.iter().all(|(good, _)| *good))
}

/// One gateway, one number of calls.
fn step(options: &Options, calls: usize, frames: &Arc<Frames>) -> Result<Figures, String> {
    let net = Net(options.net);
    let gateway = Gateway::start(&options.binary, net, usize::from(options.workers))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let wire = Wire::start(calls, Arc::clone(frames))?;
    let measured = runtime.block_on(calls_through(options, calls, frames, &gateway, &wire.orders));
    // Whatever happened, the threads end; what they say explains a failure best.
    let notes = wire.stop()?;
    let (mut figures, window) =
        measured.map_err(|error| format!("{error}\nthe gateway's last lines:\n{}", gateway.log_tail()))?;
    gateway.end()?;
    figures.heard = notes.heard(window);
    Ok(figures)
}

async fn calls_through(
    options: &Options,
    calls: usize,
    frames: &Frames,
    gateway: &Gateway,
    orders: &Orders,
) -> Result<(Figures, Window), String> {
    let net = Net(options.net);
    let mut figures =
        Figures { calls, workers: usize::from(options.workers), rss_idle_kb: gateway.rss_kb()?, ..Figures::default() };
    let socket = UdpSocket::bind((net.pbx(), 5060)).await.map_err(|error| format!("the PBX's port: {error}"))?;
    let pbx = tokio::spawn(pbx::serve(socket, orders.clone()));
    let talking: Vec<_> = futures_util::stream::iter(0..calls)
        .map(|call| visitor::talk(call, net, orders.clone()))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let (over, until) = watch::channel(false);
    let mut visitors = JoinSet::new();
    for talking in talking {
        visitors.spawn(talking.until(until.clone()));
    }
    tokio::time::sleep(Duration::from_secs(options.warm_up)).await;
    let window = measure(&mut figures, options, frames, gateway).await?;
    tokio::time::sleep(AFTER).await;
    over.send(true).map_err(|_| "every visitor ended early".to_owned())?;
    while let Some(ended) = visitors.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    pbx.abort();
    Ok((figures, window))
}

/// The steady window, with the floor measured before and after it: while it lasts, the load has its core alone.
async fn measure(
    figures: &mut Figures,
    options: &Options,
    frames: &Frames,
    gateway: &Gateway,
) -> Result<Window, String> {
    let net = Net(options.net);
    let floor_before = floor::bare_ms_per_call_s(frames, figures.calls)?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = (gateway.cpu()?, gateway::own_cpu_ms()?, gateway::machine_cpu_ms()?, gateway::kernel_drops(net)?);
    let from = Instant::now();
    tokio::time::sleep(Duration::from_secs(options.window)).await;
    let to = Instant::now();
    let after = (gateway.cpu()?, gateway::own_cpu_ms()?, gateway::machine_cpu_ms()?, gateway::kernel_drops(net)?);
    figures.rss_kb = gateway.rss_kb()?;
    let seconds = (to - from).as_secs_f64();
    let call_seconds = seconds * figures.calls as f64;
    let gateway_ms = after.0.whole_ms - before.0.whole_ms;
    figures.window_s = seconds;
    figures.cpu_ms = gateway_ms / call_seconds;
    figures.media_ms = (after.0.media_ms - before.0.media_ms) / call_seconds;
    figures.own_cores = (after.1 - before.1) / 1_000.0 / seconds;
    figures.other_cores = ((after.2 - before.2 - gateway_ms) / 1_000.0 / seconds - figures.own_cores).max(0.0);
    figures.kernel_drops = after.3 - before.3;
    figures.bare_ms = f64::midpoint(floor_before, floor::bare_ms_per_call_s(frames, figures.calls)?);
    Ok(Window { from, to })
}
