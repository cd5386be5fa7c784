//! A real Redis, alone on a port of its own.

use std::fs;
use std::net::{IpAddr, TcpStream};
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

    /// Its address for `[store] url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}:{PORT}/0", self.address)
    }
}
