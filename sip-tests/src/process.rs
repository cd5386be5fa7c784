//! A program under test or a peer: started, listened to line by line, ended with the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines kept; a program that says more is cut at its oldest.
const LINES_MAX: usize = 20_000;

#[derive(Default)]
struct Said {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

/// One line, and whether a test has waited for it.
struct Line {
    text: String,
    taken: bool,
}

/// What a program holds of the system (proc(5)).
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Open files and sockets.
    pub files: usize,
    /// Threads.
    pub threads: usize,
    /// Memory, kB.
    pub rss_kb: u64,
}

/// A running program. Dropped, it is killed.
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Said>,
}

impl Running {
    /// Starts it; both its outputs are read.
    ///
    /// # Errors
    /// When the program is not installed or may not run.
    pub fn start(name: &str, mut command: Command) -> Result<Self, String> {
        // A group of its own: what it starts (Kamailio's children, the browser) ends with it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let said = Arc::new(Said::default());
        if let Some(out) = child.stdout.take() {
            listen(out, Arc::clone(&said));
        }
        if let Some(err) = child.stderr.take() {
            listen(err, Arc::clone(&said));
        }
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, stdin, said })
    }

    /// Writes a line to its input.
    ///
    /// # Errors
    /// When it has ended.
    pub fn tell(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.stdin.as_mut().ok_or("its input is closed")?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .map_err(|error| format!("{} does not listen: {error}", self.name))
    }

    /// The first line that holds `text` and was not waited for before.
    ///
    /// # Errors
    /// After `limit`, with the last lines it said.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<String, String> {
        let until = Instant::now() + limit;
        let mut lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines.iter_mut().find(|line| !line.taken && line.text.contains(text)) {
                line.taken = true;
                return Ok(line.text.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let tail: Vec<&Line> = lines.iter().rev().take(25).collect();
                let tail: Vec<&str> = tail.into_iter().rev().map(|line| line.text.as_str()).collect();
                return Err(format!(
                    "{} did not say {text:?} within {limit:?}; its last lines:\n{}",
                    self.name,
                    tail.join("\n")
                ));
            }
            lines = self.said.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything it said so far.
    #[must_use]
    pub fn all(&self) -> String {
        let lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| line.text.as_str()).collect::<Vec<&str>>().join("\n")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it holds now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn held(&self) -> Result<Held, String> {
        let process = PathBuf::from(format!("/proc/{}", self.id()));
        let entries = |name| std::fs::read_dir(process.join(name)).map(Iterator::count).map_err(|e| e.to_string());
        let status = std::fs::read_to_string(process.join("status")).map_err(|error| error.to_string())?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_ascii_whitespace().next());
        let rss_kb = rss.and_then(|word| word.parse().ok()).ok_or("no VmRSS")?;
        Ok(Held { files: entries("fd")?, threads: entries("task")?, rss_kb })
    }

    /// Sends a signal by name (`TERM`, `INT`, `KILL`, `STOP`).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        if sent.is_ok_and(|status| status.success()) { Ok(()) } else { Err(format!("{} is gone", self.name)) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() >= until => return Err(format!("{} still runs after {limit:?}", self.name)),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended or not, nothing of it stays.
        let _group_killed =
            Command::new("kill").args(["-KILL", "--"]).arg(format!("-{}", self.id())).stderr(Stdio::null()).status();
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            let said = self.all();
            let tail: Vec<&str> = said.lines().rev().take(60).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let mut out = std::io::stderr().lock();
            let _shown = writeln!(out, "---- last lines of {} ----\n{}", self.name, tail.join("\n"));
        }
    }
}

fn listen(stream: impl std::io::Read + Send + 'static, said: Arc<Said>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut lines = said.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                lines.push(Line { text: String::from_utf8_lossy(&line).trim_end().to_owned(), taken: false });
            }
            said.more.notify_all();
        }
    });
}
