//! A real SMTP relay (Debian's python3-aiosmtpd), alone on a port of its own: what it takes is read by Python's own parser.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Running;
use crate::visitor::repository;

/// A running relay.
pub struct Relay {
    running: Running,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Relay {
    /// Is it installed?
    #[must_use]
    pub fn installed() -> bool {
        Path::new("/usr/lib/python3/dist-packages/aiosmtpd").exists()
    }

    /// Starts it.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start() -> Result<Self, String> {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(repository().join("crates/gateway/src/drive/messages/tests/relay.py")).arg("plain");
        let mut running = Running::start("relay", command)?;
        let line = running.wait_for("PORT ", Duration::from_secs(15))?;
        let port = line.trim_start_matches("PORT ").parse().map_err(|error| format!("{error}: {line}"))?;
        Ok(Self { running, port })
    }

    /// The next mail it has taken.
    ///
    /// # Errors
    /// After `limit`.
    pub fn mail(&mut self, limit: Duration) -> Result<Value, String> {
        let line = self.running.wait_for("\"headers\"", limit)?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }
}
