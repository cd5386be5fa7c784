//! A real `redis-server` on a port of its own, with its files in a folder of its own, gone at the end of the test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::embedded::tests::Folder;
use crate::redis::{LeaseClock, Redis, RedisOptions};

/// How often a start is waited for, and how long each time.
const TRIES: u32 = 1_000;
const TRY: Duration = Duration::from_millis(10);

/// A server.
pub(crate) struct Server {
    process: Child,
    folder: Arc<Folder>,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one that writes every answer to its disk first; `None`, said, when there is no such program here.
    pub(crate) fn start(module: &str) -> Option<Self> {
        Self::start_with(module, &[])
    }

    #[expect(clippy::print_stderr, reason = "a test that was left out must be seen")]
    pub(crate) fn start_with(module: &str, settings: &[&str]) -> Option<Self> {
        let folder = Arc::new(Folder::new());
        for _ in 0..5 {
            // Somebody else may take the port before Redis does: then another.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut process = match Self::spawn(port, &folder, settings) {
                Ok(process) => process,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
                    eprintln!("SKIPPED {module}: Debian package redis-server is not installed");
                    return None;
                }
            };
            if is_up(&mut process, port) {
                return Some(Self { process, folder, port });
            }
            drop(process.kill());
            process.wait().unwrap();
        }
        panic!("redis-server does not start");
    }

    fn spawn(port: u16, folder: &Folder, settings: &[&str]) -> std::io::Result<Child> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(folder.file(""));
        command.args(settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// The address of its database 0.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A home on it that is patient with a busy machine.
    pub(crate) fn home(&self) -> Redis {
        self.home_with(RedisOptions { answer_limit: Duration::from_secs(10), ..RedisOptions::default() })
    }

    /// Its time is the test's.
    pub(crate) fn home_with(&self, options: RedisOptions) -> Redis {
        Redis::open(&self.url(), RedisOptions { lease_clock: LeaseClock::Caller, ..options }).unwrap()
    }

    /// The server's own clock.
    pub(crate) fn now_unix_ms(&self) -> u64 {
        let said = self.say("TIME");
        let mut words = said.lines().filter_map(|line| line.parse::<u64>().ok());
        words.next().unwrap() * 1_000 + words.next().unwrap() / 1_000
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Again, on the same port, with its file.
    pub(crate) fn restart(&mut self) {
        self.process = Self::spawn(self.port, &self.folder, &[]).unwrap();
        assert!(is_up(&mut self.process, self.port), "redis-server does not start again");
    }

    /// `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// What the server says to a command of plain words.
    pub(crate) fn say(&self, words: &str) -> String {
        said(self.port, words).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn said(port: u16, words: &str) -> std::io::Result<String> {
    let mut line = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    line.set_read_timeout(Some(Duration::from_secs(5)))?;
    line.write_all(format!("{words}\r\n").as_bytes())?;
    let mut answer = [0; 65_536];
    let length = line.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn is_up(process: &mut Child, port: u16) -> bool {
    (0..TRIES).any(|_| {
        let is_there = said(port, "PING").is_ok_and(|answer| answer.starts_with("+PONG"));
        if !is_there && process.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(TRY);
        }
        is_there
    }) && process.try_wait().is_ok_and(|ended| ended.is_none())
}
