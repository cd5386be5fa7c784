//! A PBX made of a SIPp scenario: what it says is in `scenarios/*.xml`, what it was told is in its message log.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Running;
use crate::visitor::repository;

/// Between two SIP messages in the log.
const RULE: &str = "-----------------------------------------------";

/// Where a SIPp sends sound back from.
pub const SOUND_PORT: u16 = 41_000;

/// How a SIPp is set up.
#[derive(Clone, Copy, Debug)]
pub struct Pbx<'a> {
    /// Its loopback address; SIP on 5060.
    pub address: IpAddr,
    /// Name of the scenario, without folder and ending.
    pub scenario: &'a str,
    /// `[name]` in the scenario and its value; put in here, as SIPp takes no keys for a status or a file's name.
    pub keys: &'a [(&'a str, &'a str)],
    /// How many calls it takes before it ends.
    pub calls: u32,
    /// Sound to port [`SOUND_PORT`] is sent back. Not for a scenario that plays sound of its own: both would be heard.
    pub echo: bool,
}

/// A running SIPp.
pub struct Sipp {
    /// The program.
    pub running: Running,
    address: IpAddr,
    log: PathBuf,
    nudges: u32,
}

/// One SIP message of the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// It came to SIPp; else SIPp sent it.
    pub received: bool,
    /// When, by SIPp's own clock.
    pub at: jiff::civil::DateTime,
    /// The message.
    pub text: String,
}

impl Logged {
    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Every value of a header, in order.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.lines().skip(1).take_while(|line| !line.trim().is_empty());
        let named = head.filter_map(|line| line.split_once(':'));
        named.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// Where its SDP wants sound.
    #[must_use]
    pub fn sound_at(&self) -> Option<SocketAddr> {
        let line = |start: &str| self.text.lines().find_map(|line| line.strip_prefix(start));
        let ip = line("c=IN IP4 ")?.trim().parse().ok()?;
        Some(SocketAddr::new(ip, line("m=audio ")?.split(' ').next()?.parse().ok()?))
    }
}

impl Sipp {
    /// Is it installed?
    #[must_use]
    pub fn installed() -> bool {
        Path::new("/usr/bin/sipp").exists()
    }

    /// Starts one; it is ready when its port is bound.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start(folder: &Path, pbx: &Pbx<'_>) -> Result<Self, String> {
        Self::run(folder, pbx, None)
    }

    /// Starts one that calls: its scenario begins with an INVITE to this address.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn call(folder: &Path, pbx: &Pbx<'_>, towards: IpAddr) -> Result<Self, String> {
        Self::run(folder, pbx, Some(towards))
    }

    fn run(folder: &Path, pbx: &Pbx<'_>, towards: Option<IpAddr>) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let log = folder.join(format!("{}.messages", pbx.scenario));
        drop(fs::remove_file(&log));
        let address = pbx.address.to_string();
        let file = folder.join(format!("{}.xml", pbx.scenario));
        fs::write(&file, written(pbx)?).map_err(|error| error.to_string())?;
        let mut command = Command::new("/usr/bin/sipp");
        if let Some(towards) = towards {
            // Digest proves the Request-URI (RFC 7616 §3.4.6); by itself SIPp takes the address alone.
            command.arg(format!("{towards}:5060")).arg("-auth_uri").arg(format!("echo@{towards}"));
        }
        command.arg("-sf").arg(&file);
        command.args(["-i", &address, "-p", "5060", "-mi", &address, "-nostdin", "-nd", "-timeout", "7200s"]);
        if pbx.echo {
            command.arg("-rtp_echo");
        }
        command.arg("-m").arg(pbx.calls.to_string()).arg("-mp").arg(SOUND_PORT.to_string());
        command
            .arg("-trace_msg")
            .arg("-message_file")
            .arg(&log)
            .arg("-trace_err")
            .arg("-error_file")
            .arg(folder.join("errors"));
        command.current_dir(folder);
        let mut running = Running::start("sipp", command)?;
        let until = Instant::now() + Duration::from_secs(10);
        // Bound by it, the port cannot be had.
        while UdpSocket::bind((pbx.address, 5060)).is_ok() {
            if Instant::now() > until || running.wait_end(Duration::ZERO).is_ok() {
                return Err(format!("sipp does not listen\n{}", running.all()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { running, address: pbx.address, log, nudges: 0 })
    }

    /// The messages so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Logged> {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        let message = |part: &str| {
            let (head, text) = part.split_once("\n\n")?;
            let at = head.lines().next()?.trim().parse().ok()?;
            Some(Logged { received: head.contains("message received"), at, text: text.to_owned() })
        };
        log.split(RULE).skip(1).filter_map(message).collect()
    }

    /// Waits for the `count`-th message it received that begins with these words.
    ///
    /// # Errors
    /// After `limit`, with the start lines of the log.
    pub fn wait_received(&self, start: &str, count: usize, limit: Duration) -> Result<Logged, String> {
        let until = Instant::now() + limit;
        loop {
            let messages = self.messages();
            let mut found = messages.iter().filter(|message| message.received && message.text.starts_with(start));
            if let Some(found) = found.nth(count - 1) {
                return Ok(found.clone());
            }
            if Instant::now() > until {
                let lines: Vec<String> = messages
                    .iter()
                    .map(|message| format!("{} {}", if message.received { "<" } else { ">" }, message.start_line()))
                    .collect();
                return Err(format!(
                    "sipp did not get {start:?} {count} times within {limit:?}:\n{}",
                    lines.join("\n")
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lets the scenario go on: it waits in `<recv request="INFO">`, whose `X-Port`, `X-Address` and `X-Direction`
    /// say what to do. The message is the test's own, and its sender not the gateway.
    ///
    /// # Errors
    /// When there was no call yet.
    pub fn nudge(&mut self, more: &[(&str, &str)]) -> Result<(), String> {
        let messages = self.messages();
        let invite = messages.iter().find(|message| message.text.starts_with("INVITE")).ok_or("no call yet")?;
        let call_id = invite.headers("Call-ID").first().copied().unwrap_or_default();
        self.nudges += 1;
        let more: String = more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let number = self.nudges;
        let text = format!(
            "INFO sip:go@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {0}:5059;branch=z9hG4bKgo{number}\r\nFrom: <sip:test@{0}>;tag=test\r\n\
             To: <sip:go@{0}>\r\nCall-ID: {call_id}\r\nCSeq: {number} INFO\r\n{more}Content-Length: 0\r\n\r\n",
            self.address
        );
        let socket = UdpSocket::bind((self.address, 0)).map_err(|error| error.to_string())?;
        socket.send_to(text.as_bytes(), (self.address, 5060)).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Waits until the scenario has come to its end as it is written.
    ///
    /// # Errors
    /// When it has not, or something else came than it expects.
    pub fn wait_done(&mut self, limit: Duration) -> Result<(), String> {
        let status = self.running.wait_end(limit)?;
        if status.success() { Ok(()) } else { Err(format!("sipp ended with {status}\n{}", self.running.all())) }
    }
}

/// The scenario with its keys put in.
fn written(pbx: &Pbx<'_>) -> Result<String, String> {
    let path = repository().join("sip-tests/scenarios").join(format!("{}.xml", pbx.scenario));
    let scenario = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(pbx.keys.iter().fold(scenario, |scenario, (name, value)| scenario.replace(&format!("[{name}]"), value)))
}
