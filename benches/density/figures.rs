//! What a step gave: the table's row, the CSV line, and whether the targets are reached.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::stream::Outcome;
use crate::wire::Heard;

/// Gateway CPU beside the bare codec's: at most this.
const RATIO_MAX: f64 = 2.0;
/// Added delay at half load, 99 of 100 packets: less than this.
const DELAY_MAX: Duration = Duration::from_millis(5);
/// Cores other programs may use before figures are called noisy.
const CALM_CORES: f64 = 0.15;

/// Columns of the CSV file; `benches/baseline.csv` has the same.
const COLUMNS: &str = "unix_s,calls,half_load,workers,window_s,cpu_ms_per_call_s,media_ms_per_call_s,calls_per_core,bare_ms_per_call_s,ratio,rss_kb_per_call,rss_idle_kb,to_pbx_sent,to_pbx_lost,to_pbx_p50_us,to_pbx_p99_us,to_visitor_sent,to_visitor_lost,to_visitor_p50_us,to_visitor_p99_us,probe_p50_us,probe_p99_us,late_sends,kernel_drops,load_cores,other_cores";

/// One step's figures. CPU is in milliseconds a call-second.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: usize,
    pub(crate) workers: usize,
    pub(crate) half_load: bool,
    pub(crate) window_s: f64,
    /// The whole gateway process.
    pub(crate) cpu_ms: f64,
    /// Its media workers alone.
    pub(crate) media_ms: f64,
    /// Bare libopus.
    pub(crate) bare_ms: f64,
    pub(crate) rss_idle_kb: u64,
    pub(crate) rss_kb: u64,
    /// Datagrams thrown away by the kernel, at the gateway's sockets or the load's.
    pub(crate) kernel_drops: u64,
    /// Cores used by this program, and by others than it and the gateway.
    pub(crate) own_cores: f64,
    pub(crate) other_cores: f64,
    pub(crate) heard: Heard,
}

/// Title and column names.
pub(crate) fn heading(workers: u8, window_s: u64) -> String {
    format!(
        "Opus <-> PCMU, {workers} media worker(s), {window_s} s measured; CPU in ms a call-second; delays p50/p99 in ms, load included;\n\
         \"probe\" is the load's own share of them. Packets are matched by order within a call.\n\
         {:>5} {:>7} {:>7} {:>6} {:>6} {:>9} {:>8} {:>15} {:>15} {:>13} {:>15} {:>5} {:>6}",
        "calls",
        "cpu",
        "media",
        "bare",
        "ratio",
        "calls/core",
        "kB/call",
        "to pbx",
        "to visitor",
        "probe",
        "lost of sent",
        "late",
        "others"
    )
}

fn ms(delay: Duration) -> f64 {
    delay.as_secs_f64() * 1_000.0
}

fn percentiles(outcome: &Outcome) -> (Duration, Duration) {
    (outcome.percentile(0.5), outcome.percentile(0.99))
}

fn pair(outcome: &Outcome) -> String {
    let (middle, high) = percentiles(outcome);
    format!("{:.2}/{:.2}", ms(middle), ms(high))
}

impl Figures {
    fn ratio(&self) -> f64 {
        if self.bare_ms > 0.0 { self.cpu_ms / self.bare_ms } else { f64::INFINITY }
    }

    fn calls_per_core(&self) -> f64 {
        if self.cpu_ms > 0.0 { 1_000.0 / self.cpu_ms } else { 0.0 }
    }

    fn rss_per_call_kb(&self) -> f64 {
        self.rss_kb.saturating_sub(self.rss_idle_kb) as f64 / self.calls.max(1) as f64
    }

    fn lost(&self) -> u64 {
        self.heard.to_pbx.lost() + self.heard.to_visitor.lost()
    }

    fn sent(&self) -> u64 {
        self.heard.to_pbx.sent + self.heard.to_visitor.sent
    }

    fn is_noisy(&self) -> bool {
        self.other_cores > CALM_CORES || self.heard.late > 0
    }

    /// Half of the calls that many cores would carry.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    pub(crate) fn half_load(&self, cores: usize) -> usize {
        (self.calls_per_core() * cores as f64 / 2.0) as usize
    }

    /// A line of the table.
    pub(crate) fn row(&self) -> String {
        let heard = &self.heard;
        let mut notes = String::new();
        if self.half_load {
            notes.push_str(" half load");
        }
        if heard.alive < self.calls {
            notes.push_str(&format!(" ONLY {} CALLS HEARD BOTH WAYS", heard.alive));
        }
        if self.kernel_drops > 0 {
            notes.push_str(&format!(" {} dropped by the kernel", self.kernel_drops));
        }
        if self.is_noisy() {
            notes.push_str(" noisy");
        }
        format!(
            "{:>5} {:>7.2} {:>7.2} {:>6.2} {:>6.2} {:>9.0} {:>8.0} {:>15} {:>15} {:>13} {:>15} {:>5} {:>6.2}{notes}",
            self.calls,
            self.cpu_ms,
            self.media_ms,
            self.bare_ms,
            self.ratio(),
            self.calls_per_core(),
            self.rss_per_call_kb(),
            pair(&heard.to_pbx),
            pair(&heard.to_visitor),
            pair(&heard.probe),
            format!("{} of {}", self.lost(), self.sent()),
            heard.late,
            self.other_cores,
        )
    }

    fn line(&self) -> String {
        let direction = |outcome: &Outcome| {
            let (middle, high) = percentiles(outcome);
            format!("{},{},{},{}", outcome.sent, outcome.lost(), middle.as_micros(), high.as_micros())
        };
        let probe = percentiles(&self.heard.probe);
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        format!(
            "{unix_s},{},{},{},{:.1},{:.3},{:.3},{:.1},{:.3},{:.2},{:.0},{},{},{},{},{},{},{},{:.2},{:.2}",
            self.calls,
            u8::from(self.half_load),
            self.workers,
            self.window_s,
            self.cpu_ms,
            self.media_ms,
            self.calls_per_core(),
            self.bare_ms,
            self.ratio(),
            self.rss_per_call_kb(),
            self.rss_idle_kb,
            direction(&self.heard.to_pbx),
            direction(&self.heard.to_visitor),
            probe.0.as_micros(),
            probe.1.as_micros(),
            self.heard.late,
            self.kernel_drops,
            self.own_cores,
            self.other_cores,
        )
    }
}

/// Adds a line for each step; a new file begins with the column names.
pub(crate) fn append(file: &Path, all: &[Figures]) -> Result<(), String> {
    let fails = |error: std::io::Error| format!("{}: {error}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(fails)?;
    }
    let mut text = String::new();
    if !file.exists() {
        text.push_str(&format!("{COLUMNS}\n"));
    }
    for figures in all {
        text.push_str(&format!("{}\n", figures.line()));
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(fails)
}

/// The targets, each with whether it is reached.
pub(crate) fn verdict(all: &[Figures]) -> Vec<(bool, String)> {
    let mut verdict = Vec::new();
    let mut judge = |good: bool, text: String| {
        verdict.push((good, format!("{} {text}", if good { "reached:" } else { "MISSED: " })))
    };
    let most = all.iter().max_by_key(|figures| figures.calls);
    if let Some(most) = most {
        let (ratio, calls) = (most.ratio(), most.calls);
        judge(
            ratio <= RATIO_MAX,
            format!("CPU at most {RATIO_MAX} times the bare codec's: {ratio:.2} with {calls} calls"),
        );
    }
    if let Some(half) = all.iter().find(|figures| figures.half_load) {
        let (to_pbx, to_visitor) = (percentiles(&half.heard.to_pbx).1, percentiles(&half.heard.to_visitor).1);
        let good = to_pbx.max(to_visitor) < DELAY_MAX && half.heard.alive == half.calls;
        let text = format!(
            "added delay p99 under {} ms at half load: {:.2} to the PBX, {:.2} to the visitor",
            DELAY_MAX.as_millis(),
            ms(to_pbx),
            ms(to_visitor)
        );
        judge(good, text);
    }
    let (lost, sent) = all.iter().fold((0, 0), |(lost, sent), figures| (lost + figures.lost(), sent + figures.sent()));
    judge(lost == 0 && sent > 0, format!("no packet lost: {lost} of {sent}"));
    if all.iter().any(Figures::is_noisy) {
        judge(
            true,
            "but other programs were at work (column \"others\", in cores): measure again when it is calm".to_owned(),
        );
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let delays = vec![Duration::from_micros(300); 100];
        let mut figures =
            Figures { calls: 50, workers: 1, half_load: true, cpu_ms: 6.0, bare_ms: 4.0, ..Figures::default() };
        figures.heard.alive = 50;
        figures.heard.to_pbx = Outcome { sent: 100, received: 100, delays: delays.clone() };
        figures.heard.to_visitor = Outcome { sent: 100, received: 100, delays };
        figures
    }

    #[test]
    fn a_line_has_a_value_for_each_column() {
        assert_eq!(figures().line().split(',').count(), COLUMNS.split(',').count());
    }

    #[test]
    fn the_committed_baseline_has_the_same_columns() {
        let baseline = include_str!("../baseline.csv");
        let mut lines = baseline.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.next(), Some(COLUMNS));
        assert!(lines.all(|line| line.split(',').count() == COLUMNS.split(',').count()));
    }

    #[test]
    fn each_target_can_be_missed() {
        assert!(verdict(&[figures()]).iter().all(|(good, _)| *good));
        let dear = Figures { cpu_ms: 8.1, ..figures() };
        let mut lossy = figures();
        lossy.heard.to_pbx.received = 99;
        let mut slow = figures();
        slow.heard.to_visitor.delays = vec![Duration::from_millis(6); 100];
        let mut deaf = figures();
        deaf.heard.alive = 49;
        for bad in [dear, lossy, slow, deaf] {
            assert_eq!(verdict(&[bad]).iter().filter(|(good, _)| !good).count(), 1);
        }
    }
}
