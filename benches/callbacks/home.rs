//! A Redis server of the bench's own, with a flush before every answer.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use store::{LeaseClock, Redis, RedisOptions};

/// How often a start is waited for, and how long each time.
const TRIES: u32 = 500;
const TRY: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl Server {
    /// `None` where there is no such program.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>, String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        drop(listener);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(folder);
        let process = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let server = Self { process, port, folder: folder.to_owned() };
        for _ in 0..TRIES {
            if server.say("PING").is_ok_and(|answer| answer.starts_with("+PONG")) {
                return Ok(Some(server));
            }
            std::thread::sleep(TRY);
        }
        Err("redis-server does not start".to_owned())
    }

    /// Its log of changes.
    pub(crate) fn file_bytes(&self) -> Result<u64, String> {
        fn size(path: &Path) -> std::io::Result<u64> {
            if path.is_dir() {
                return std::fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum();
            }
            Ok(std::fs::metadata(path)?.len())
        }
        size(&self.folder).map_err(|error| error.to_string())
    }

    pub(crate) fn home(&self) -> Result<Redis, String> {
        let options = RedisOptions {
            answer_limit: Duration::from_secs(10),
            lease_clock: LeaseClock::Caller,
            ..RedisOptions::default()
        };
        Redis::open(&format!("redis://127.0.0.1:{}/0", self.port), options).map_err(|error| error.to_string())
    }

    /// Memory the server has given out.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        let said = self.say("INFO memory")?;
        let line = said.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(|| "redis says no used_memory".to_owned())
    }

    fn say(&self, words: &str) -> Result<String, String> {
        use std::io::{Read, Write};
        let talk = || -> std::io::Result<String> {
            let mut line = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            line.set_read_timeout(Some(Duration::from_secs(5)))?;
            line.write_all(format!("{words}\r\n").as_bytes())?;
            let mut answer = [0; 65_536];
            let length = line.read(&mut answer)?;
            Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
        };
        talk().map_err(|error| error.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
