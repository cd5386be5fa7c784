//! The figures of a step, their floors, how they grow, and the machine's noise beside them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::say;

/// Columns of the CSV file; `benches/callbacks.csv` has the same.
const HEADER: &str = "unix_s,home,rows,fill_s,start_s,next_alone_us,next_us,lease_10000_s,asked,ask_p50_ms,ask_p99_ms,\
                      rows_per_commit,ram_bytes_per_row,file_bytes_per_row,flush_p50_ms,flush_p99_ms,late_p99_ms,other_cores,floor_p50_ms,floor_p99_ms";

/// Fewer rows than this say nothing about the memory of a row.
const FEW: u64 = 100_000;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) home: &'static str,
    pub(crate) rows: u64,
    pub(crate) fill_s: f64,
    /// Opening it and asking for the next that is due.
    pub(crate) start_s: f64,
    /// The next due: one question after another, two threads being woken for each; and 32 at a time.
    pub(crate) next_alone_us: f64,
    pub(crate) next_us: f64,
    /// 10,000 that are due taken by pages, the longest overdue first.
    pub(crate) lease_s: f64,
    pub(crate) asked: u64,
    pub(crate) ask_p50_ms: f64,
    pub(crate) ask_p99_ms: f64,
    pub(crate) rows_per_commit: f64,
    pub(crate) ram_bytes_per_row: f64,
    pub(crate) file_bytes_per_row: f64,
    /// The bare disk just before: a page written and flushed.
    pub(crate) flush_p50_ms: f64,
    pub(crate) flush_p99_ms: f64,
    /// How late a thread that only sleeps wakes meanwhile.
    pub(crate) late_p99_ms: f64,
    /// Cores that everything else on this machine took meanwhile.
    pub(crate) other_cores: f64,
    /// Bare SQLite just after: a commit of as many such rows, at the same pace.
    pub(crate) floor_p50_ms: f64,
    pub(crate) floor_p99_ms: f64,
}

impl Figures {
    pub(crate) fn print(&self) -> Result<(), String> {
        say(&format!(
            "\n{} with {} call-backs (others took {:.2} cores meanwhile)",
            self.home, self.rows, self.other_cores
        ))?;
        // The floors are those of one file; a server has its own pace and keeps all in memory.
        let is_file = self.home == "sqlite";
        let row = |what: &str, value: String| say(&format!("  {what:<38} {value:>14}"));
        let beside = |what: &str, value: String, floor: &str, held: bool| match is_file {
            true => say(&format!("  {what:<38} {value:>14}   {floor:<12} {}", if held { "" } else { "MISSED" })),
            false => say(&format!("  {what:<38} {value:>14}")),
        };
        row("filled in", format!("{:.1} s", self.fill_s))?;
        beside("start, and the first question", format!("{:.3} s", self.start_s), "under 10 s", self.start_s < 10.0)?;
        let alone = self.next_alone_us;
        beside("next due", format!("{alone:.1} us"), "under 10 us", alone < 10.0)?;
        row("  asked 32 at a time, each", format!("{:.1} us", self.next_us))?;
        row("10,000 due leased, oldest first", format!("{:.3} s", self.lease_s))?;
        row("promise, median", format!("{:.2} ms", self.ask_p50_ms))?;
        beside("promise, 99 of 100", format!("{:.2} ms", self.ask_p99_ms), "under 50 ms", self.ask_p99_ms < 50.0)?;
        if is_file {
            let ratios = (self.ask_p50_ms / self.floor_p50_ms, self.ask_p99_ms / self.floor_p99_ms);
            row("  bare SQLite, median and 99", format!("{:.1}, {:.1} ms", self.floor_p50_ms, self.floor_p99_ms))?;
            row("  a promise is so many of its commits", format!("{:.1}, {:.1}", ratios.0, ratios.1))?;
        }
        row("  the bare disk, median and 99", format!("{:.1}, {:.1} ms", self.flush_p50_ms, self.flush_p99_ms))?;
        row("  a thread wakes late, 99 of 100", format!("{:.2} ms", self.late_p99_ms))?;
        row("rows in a commit", format!("{:.1}", self.rows_per_commit))?;
        let ram = self.ram_bytes_per_row;
        // With few rows it is the program itself that is weighed.
        beside("memory a row", format!("{ram:.0} B"), "under 1 kB", ram < 1_024.0 || self.rows < FEW)?;
        row("file a row", format!("{:.0} B", self.file_bytes_per_row))
    }

    fn line(&self, unix_s: u64) -> String {
        format!(
            "{unix_s},{},{},{:.1},{:.3},{:.1},{:.2},{:.3},{},{:.2},{:.2},{:.1},{:.0},{:.0},{:.2},{:.2},{:.2},{:.2},{:.2},{:.2}",
            self.home,
            self.rows,
            self.fill_s,
            self.start_s,
            self.next_alone_us,
            self.next_us,
            self.lease_s,
            self.asked,
            self.ask_p50_ms,
            self.ask_p99_ms,
            self.rows_per_commit,
            self.ram_bytes_per_row,
            self.file_bytes_per_row,
            self.flush_p50_ms,
            self.flush_p99_ms,
            self.late_p99_ms,
            self.other_cores,
            self.floor_p50_ms,
            self.floor_p99_ms
        )
    }
}

/// One of them.
type Figure = fn(&Figures) -> f64;

/// How each figure grew from step to step: the exponent of n.
pub(crate) fn print_slopes(steps: &[Figures]) -> Result<(), String> {
    let of: [(&str, Figure); 5] = [
        ("start", |step| step.start_s),
        ("next due", |step| step.next_alone_us),
        ("10,000 leased", |step| step.lease_s),
        ("promise, median", |step| step.ask_p50_ms),
        ("promise, 99 of 100", |step| step.ask_p99_ms),
    ];
    say("\nhow it grows: cost ~ n^x")?;
    for pair in steps.windows(2) {
        let [few, many] = pair else { continue };
        for (what, figure) in of {
            let slope = (figure(many) / figure(few)).ln() / (many.rows as f64 / few.rows as f64).ln();
            say(&format!("  {:>9} -> {:<9} {what:<20} {slope:>6.2}", few.rows, many.rows))?;
        }
    }
    Ok(())
}

pub(crate) fn write(path: &Path, steps: &[Figures]) -> Result<(), String> {
    let is_new = !path.exists();
    let mut file = fs::File::options().create(true).append(true).open(path).map_err(|error| error.to_string())?;
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let header = is_new.then(|| HEADER.to_owned());
    for line in header.into_iter().chain(steps.iter().map(|step| step.line(now))) {
        writeln!(file, "{line}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// So many of a hundred were no slower; the delays in order, microseconds.
pub(crate) fn quantile_ms(sorted_us: &[u64], percent: usize) -> f64 {
    let at = (sorted_us.len() * percent / 100).min(sorted_us.len().saturating_sub(1));
    sorted_us.get(at).map_or(f64::NAN, |us| *us as f64 / 1_000.0)
}

/// Memory of this process that is in RAM.
pub(crate) fn rss_kb() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).ok_or_else(|| "no VmRSS".to_owned())
}

/// CPU that everything but this process has taken since the start of the machine.
pub(crate) fn cpu_of_others() -> Result<Duration, String> {
    let ticks = |path: &str, from: usize, count: usize| -> Result<u64, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let line = text.lines().next().unwrap_or_default();
        let words = line.rsplit(") ").next().unwrap_or_default().split_ascii_whitespace();
        Ok(words.skip(from).take(count).filter_map(|word| word.parse::<u64>().ok()).sum())
    };
    // user, nice, system of the machine; utime and stime of this process (fields 14 and 15). A tick is 10 ms.
    let (all, own) = (ticks("/proc/stat", 1, 3)?, ticks("/proc/self/stat", 11, 2)?);
    Ok(Duration::from_millis(all.saturating_sub(own) * 10))
}

pub(crate) fn others_since(before: Duration, start: Instant) -> Result<f64, String> {
    Ok(cpu_of_others()?.saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_has_the_columns_that_are_written() {
        let baseline = include_str!("../callbacks.csv");
        let mut lines = baseline.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.next(), Some(HEADER));
        let commas = |line: &str| line.matches(',').count();
        assert!(lines.all(|line| commas(line) == commas(HEADER)));
        assert_eq!(commas(&Figures::default().line(0)), commas(HEADER));
    }

    #[test]
    fn a_quantile_is_one_of_those_measured() {
        let delays: Vec<u64> = (1..=100).map(|ms| ms * 1_000).collect();
        assert_eq!((quantile_ms(&delays, 50), quantile_ms(&delays, 99)), (51.0, 100.0));
        assert!(quantile_ms(&[], 99).is_nan());
    }
}
