//! The program under test: the release binary with a configuration of its own on a loopback address of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Running;
use crate::visitor::repository;

/// A running gateway.
pub struct Gateway {
    /// The program.
    pub running: Running,
    /// Its folder: configuration, store, secrets.
    pub folder: PathBuf,
    /// Its loopback address; HTTP on 8080, SIP on 5060, WebRTC on 3480.
    pub address: IpAddr,
}

/// The loopback address of a party in a scene: every scene has its own /24, so that tests can run side by side.
#[must_use]
pub fn address(scene: u8, party: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, scene, party))
}

/// A fresh folder for a scene.
///
/// # Panics
/// When the system has no room for it.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("passerelle-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

/// Lines added to the tables every configuration has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables<'a> {
    /// To `[sip]`.
    pub sip: &'a str,
    /// To `[media]`.
    pub media: &'a str,
}

/// The file that says how far a gateway's own clock is ahead.
const CLOCK: &str = "clock";

fn set_clock(folder: &Path, ahead: Duration) -> Result<(), String> {
    // In one step: it may be read at any moment.
    let new = folder.join("clock.new");
    fs::write(&new, format!("+{:.3}\n", ahead.as_secs_f64()))
        .and_then(|()| fs::rename(&new, folder.join(CLOCK)))
        .map_err(|error| error.to_string())
}

/// The library that gives a program a clock of its own, where it is installed.
#[must_use]
pub fn other_clock() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// The release binary; `PASSERELLE_BIN` names another.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("PASSERELLE_BIN") {
        return named.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    target.join("release/passerelle")
}

impl Gateway {
    /// Starts it; `more` is added to the configuration: queues, trunks, limits.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start(folder: &Path, address: IpAddr, more: &str) -> Result<Self, String> {
        Self::start_with(folder, address, more, Tables::default())
    }

    /// As [`Self::start`], with lines added to tables that stand there already.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start_with(folder: &Path, address: IpAddr, more: &str, tables: Tables<'_>) -> Result<Self, String> {
        Self::start_as(Command::new(binary()), folder, address, more, tables)
    }

    /// As [`Self::start`], with a clock of its own (Debian's `faketime`) that is ahead of this machine's by so much.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start_ahead(folder: &Path, address: IpAddr, more: &str, ahead: Duration) -> Result<Self, String> {
        set_clock(folder, ahead)?;
        let mut command = Command::new(binary());
        command.env("LD_PRELOAD", other_clock().ok_or("Debian package faketime is not installed")?);
        command.env("FAKETIME_TIMESTAMP_FILE", folder.join(CLOCK)).env("FAKETIME_CACHE_DURATION", "1");
        // Only what o'clock it is: how fast time passes stays as it is.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Self::start_as(command, folder, address, more, Tables::default())
    }

    /// Sets the clock of one that was started ahead; it is looked at once a second.
    ///
    /// # Errors
    /// When its folder is gone.
    pub fn set_ahead(&self, ahead: Duration) -> Result<(), String> {
        set_clock(&self.folder, ahead)
    }

    fn start_as(
        mut command: Command,
        folder: &Path,
        address: IpAddr,
        more: &str,
        tables: Tables<'_>,
    ) -> Result<Self, String> {
        let binary = binary();
        if !binary.exists() {
            return Err(format!("{} is not built: cargo build --release -p gateway", binary.display()));
        }
        let file = folder.join("passerelle.toml");
        for (name, secret) in [("1001", "secret1001"), ("1002", "secret1002")] {
            fs::write(folder.join(name), secret).map_err(|error| error.to_string())?;
        }
        // A SIPp plays the one call of its scenario: it is asked by OPTIONS only in the scenes that are about it.
        let more = if more.contains("options_interval_s") {
            more.to_owned()
        } else {
            more.replace("[[trunk]]\n", "[[trunk]]\noptions_interval_s = 0\n")
        };
        let more = more.as_str();
        let config = config(folder, address, more, tables);
        // A table stands once: what `more` says of the store counts.
        let own = format!("[store]\nurl = \"sqlite:{}/calls.db\"\n", folder.display());
        let config = if more.contains("[store]") { config.replace(&own, "") } else { config };
        fs::write(&file, config).map_err(|error| error.to_string())?;
        command.arg("run").arg("--config").arg(&file).current_dir(folder).env("RUST_BACKTRACE", "1");
        let mut running = Running::start("passerelle", command)?;
        running.wait_for("passerelle is ready", Duration::from_secs(15))?;
        Ok(Self { running, folder: folder.to_owned(), address })
    }

    /// The origin of its pages.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:8080", self.address)
    }

    /// GETs a page; status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<(u16, String), String> {
        get(self.address, 8080, path)
    }

    /// Asks its API as a page of the company would; status and JSON.
    ///
    /// # Errors
    /// When it does not answer, or not in JSON.
    pub fn api(&self, method: &str, path: &str, key: &str, body: &Value) -> Result<(u16, Value), String> {
        let bearer = format!("Bearer {key}");
        let origin = self.url();
        let headers = [("Origin", origin.as_str()), ("Content-Type", "application/json"), ("Authorization", &bearer)];
        let (status, body) = request(self.address, 8080, method, path, &headers, &body.to_string())?;
        Ok((status, serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?))
    }

    /// The value of a metric line that begins with `name` (labels included).
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics").ok()?;
        body.lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
    }

    /// The records, as `passerelle calls --json` gives them.
    ///
    /// # Errors
    /// When the command fails.
    pub fn calls(&self) -> Result<Vec<Value>, String> {
        let text = self.command(&["calls", "--json", "--limit", "1000"])?;
        let row = |line: &str| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"));
        text.lines().filter(|line| !line.is_empty()).map(row).collect()
    }

    /// What a command prints that reads the same configuration.
    ///
    /// # Errors
    /// When the command fails.
    pub fn command(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new(binary())
            .args(words)
            .arg("--config")
            .arg(self.folder.join("passerelle.toml"))
            .current_dir(&self.folder)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("passerelle {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// GETs over plain HTTP/1.1.
///
/// # Errors
/// When nobody answers.
pub fn get(address: IpAddr, port: u16, path: &str) -> Result<(u16, String), String> {
    request(address, port, "GET", path, &[], "")
}

/// One request over plain HTTP/1.1; status and body.
///
/// # Errors
/// When nobody answers.
pub fn request(
    address: IpAddr,
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect((address, port)).map_err(|error| error.to_string())?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("no HTTP answer")?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

fn config(folder: &Path, address: IpAddr, more: &str, Tables { sip, media }: Tables<'_>) -> String {
    let folder = folder.display();
    format!(
        r#"
[http]
listen = "{address}:8080"
public_url = "http://{address}:8080"
[sip]
listen = ["udp:{address}:5060", "tcp:{address}:5060"]
{sip}
[media]
webrtc_listen = "{address}:3480"
rtp_ports = "20000-20999"
rtp_address = "{address}"
{media}
[store]
url = "sqlite:{folder}/calls.db"
[log]
filter = "debug"
[[tenant]]
id = "shop"
origins = ["http://{address}:8080", "http://{address}:8090"]
[[agent]]
extension = "1001"
name = "Claire"
password_file = "{folder}/1001"
[[agent]]
extension = "1002"
name = "Marc"
password_file = "{folder}/1002"
{more}
"#
    )
}
