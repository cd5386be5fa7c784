//! A real visitor: Chromium on a page of the shop, with a tone for a microphone, driven by `browser/visitor.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Running;

/// How a visit goes.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// The page to open.
    pub url: String,
    /// A 48 kHz mono WAV file: what his microphone hears, again and again.
    pub microphone: &'a Path,
    /// Language of his browser.
    pub language: &'a str,
}

/// A running browser.
pub struct Visitor {
    /// The driver and the browser below it.
    pub running: Running,
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

impl Visitor {
    /// Is everything there? Else what is missing.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn installed() -> Result<(), String> {
        for (path, what) in [("/usr/bin/chromium", "Debian package chromium")] {
            if !Path::new(path).exists() {
                return Err(format!("{what} is not installed"));
            }
        }
        let packages = repository().join("crates/web/assets/node_modules/playwright-core");
        if packages.exists() {
            Ok(())
        } else {
            Err("npm package playwright-core is not installed in crates/web/assets".to_owned())
        }
    }

    /// Opens the page.
    ///
    /// # Errors
    /// With what the browser said.
    pub fn open(visit: &Visit<'_>) -> Result<Self, String> {
        let mut command = Command::new("node");
        command
            .arg(repository().join("sip-tests/browser/visitor.mjs"))
            .arg(&visit.url)
            .arg(visit.microphone)
            .arg(visit.language);
        let mut running = Running::start("visitor", command)?;
        running.wait_for("\"opened\"", Duration::from_secs(40))?;
        Ok(Self { running })
    }

    /// Does something (`talk`, `hangUp`, `digits 12#`, `mute`, `goto URL`, `close`) and gives the driver's answer.
    ///
    /// # Errors
    /// With the driver's words when it could not be done.
    pub fn act(&mut self, what: &str) -> Result<Value, String> {
        self.running.tell(what)?;
        // The browser gives up after 30 s, and says why.
        let line = self.running.wait_for("\"done\"", Duration::from_secs(40))?;
        let value: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
        match value["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(value),
        }
    }

    /// Waits until the widget is in this state; gives what the widget said then.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_state(&mut self, state: &str, limit: Duration) -> Result<Value, String> {
        let line = self.running.wait_for(&format!("\"state\":\"{state}\""), limit)?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }

    /// The strongest frequency of what he hears now and its share, measured in the page over a second.
    ///
    /// # Errors
    /// When the page has no sound.
    pub fn hears(&mut self) -> Result<(f64, f64), String> {
        let value = self.act("hear")?;
        Ok((value["peak_hz"].as_f64().ok_or("no peak")?, value["level"].as_f64().unwrap_or(0.0)))
    }

    /// Waits until he hears this tone: the peak is there, three times in a row.
    ///
    /// # Errors
    /// After some seconds, with what he heard instead.
    pub fn wait_hears(&mut self, frequency_hz: f64) -> Result<(), String> {
        let (mut good, mut last) = (0, (0.0, 0.0));
        for _ in 0..20 {
            last = self.hears()?;
            let near = (last.0 - frequency_hz).abs() < 12.0 && last.1 > 0.003;
            good = if near { good + 1 } else { 0 };
            if good == 3 {
                return Ok(());
            }
        }
        Err(format!("the visitor should hear {frequency_hz} Hz but hears {:.0} Hz at level {:.4}", last.0, last.1))
    }
}
