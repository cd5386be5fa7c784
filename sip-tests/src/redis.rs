//! A real Redis, alone on a port of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Running;

/// A running Redis.
pub struct Redis {
    /// The program.
    pub running: Running,
    address: IpAddr,
}

/// Its port.
const PORT: u16 = 6_379;

impl Redis {
    /// Is it installed?
    #[must_use]
    pub fn installed() -> bool {
        Path::new("/usr/bin/redis-server").exists()
    }

    /// Starts it on port 6379 of a loopback address.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start(folder: &Path, address: IpAddr) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mut command = Command::new("/usr/bin/redis-server");
        command.args(["--bind", &address.to_string(), "--port", &PORT.to_string(), "--dir"]).arg(folder);
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
        let running = Running::start("redis", command)?;
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((address, PORT)).is_err() {
            if Instant::now() > until {
                return Err(format!("redis does not listen\n{}", running.all()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { running, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, PORT)
    }

    /// Says a command to it; what it answers.
    ///
    /// # Errors
    /// When it does not answer within five seconds.
    pub fn say(&self, words: &str) -> Result<String, String> {
        let talk = || -> std::io::Result<String> {
            let mut line = TcpStream::connect(self.address())?;
            line.set_read_timeout(Some(Duration::from_secs(5)))?;
            line.write_all(format!("{words}\r\n").as_bytes())?;
            let mut answer = [0; 4_096];
            let length = line.read(&mut answer)?;
            Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
        };
        talk().map_err(|error| format!("redis does not answer {words}: {error}"))
    }

    /// Its address for `[store] url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}:{PORT}/0", self.address)
    }
}
