//! What this machine gives just now, whoever asks: how long its disk takes for a flush, how late a thread wakes.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FLUSHES: usize = 200;
const PAGE_BYTES: usize = 4_096;
const SLEEP: Duration = Duration::from_millis(2);

/// How long a page takes to the disk, microseconds each.
pub(crate) fn flushes(folder: &Path) -> Result<Vec<u64>, String> {
    let write = || -> std::io::Result<Vec<u64>> {
        let mut file = File::create(folder.join("flush"))?;
        let mut took = Vec::new();
        for _ in 0..FLUSHES {
            let start = Instant::now();
            file.write_all(&[7; PAGE_BYTES])?;
            file.sync_data()?;
            took.push(micros(start.elapsed()));
        }
        Ok(took)
    };
    write().map_err(|error| error.to_string())
}

/// A thread that sleeps and notes how much too late it wakes.
pub(crate) struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u64>>,
}

impl Probe {
    pub(crate) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut late = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(SLEEP);
                late.push(micros(start.elapsed().saturating_sub(SLEEP)));
            }
            late
        });
        Self { over, thread }
    }

    /// Microseconds too late, each time.
    pub(crate) fn stop(self) -> Result<Vec<u64>, String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the probe has panicked".to_owned())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
