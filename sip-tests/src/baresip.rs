//! A real softphone: baresip, registered or not, playing its own tone and keeping what it hears.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Running;
use crate::tone::{self, Samples};

/// How long a command may take; its answer comes within a millisecond.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How long one read of the control connection waits.
const READ_LIMIT: Duration = Duration::from_millis(200);

/// How a softphone is set up.
#[derive(Clone, Debug)]
pub struct Phone<'a> {
    /// Its place in the scene. Its ports come from it; its sockets are on 127.0.0.1, because baresip sends its sound
    /// from there whatever it was told, and a gateway hears only the address the SDP names.
    pub address: IpAddr,
    /// Its SIP user.
    pub user: &'a str,
    /// Digest password.
    pub password: &'a str,
    /// Where it registers: address and port.
    pub registrar: String,
    /// `udp` or `tcp`.
    pub transport: &'a str,
    /// Codecs as baresip names them: `PCMU/8000/1`, `PCMA/8000/1`, `G722/16000/1`, `opus/48000/2`.
    pub codecs: &'a str,
    /// The tone it plays, hertz; 0: it says what it hears.
    pub tone_hz: u32,
    /// Answers by itself.
    pub auto_answer: bool,
    /// Whether its sound is encrypted: `srtp` (where the other can), `srtp-mand` (always); empty for never.
    pub encryption: &'a str,
}

/// A running softphone.
pub struct Baresip {
    /// The program.
    pub running: Running,
    folder: PathBuf,
    control: TcpStream,
    unread: Vec<u8>,
    /// Events that came while a command waited for its answer.
    events: VecDeque<serde_json::Value>,
}

impl Baresip {
    /// Is it installed?
    #[must_use]
    pub fn installed() -> bool {
        Path::new("/usr/lib/baresip/modules/ctrl_tcp.so").exists()
    }

    /// Starts one in its own folder.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start(folder: &Path, phone: &Phone<'_>) -> Result<Self, String> {
        Self::start_as(folder, phone, &[])
    }

    /// Starts one that also says every SIP message it sends and receives.
    ///
    /// # Errors
    /// With what it said when it does not come up.
    pub fn start_traced(folder: &Path, phone: &Phone<'_>) -> Result<Self, String> {
        Self::start_as(folder, phone, &["-s"])
    }

    fn start_as(folder: &Path, phone: &Phone<'_>, more: &[&str]) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let write =
            |name: &str, text: &str| fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"));
        write("config", &config(folder, phone))?;
        write("accounts", &account(phone))?;
        write("contacts", "")?;
        let mut command = Command::new("baresip");
        command.args(more).args(["-4", "-f"]).arg(folder).env("HOME", folder);
        let running = Running::start(&format!("baresip {}", phone.user), command)?;
        let control = connect(ports(phone.address).control, &running)?;
        Ok(Self { running, folder: folder.to_owned(), control, unread: Vec::new(), events: VecDeque::new() })
    }

    /// Waits until it is registered.
    ///
    /// # Errors
    /// With its last lines when it is not.
    pub fn wait_registered(&mut self) -> Result<(), String> {
        // Not by its event: it may have come before the control connection was open.
        self.running.wait_for("200 OK", Duration::from_secs(15)).map(|_| ())
    }

    /// Gives a command of its menu and waits until it is carried out: `dial`, `hangup`, `hold`, `resume`, `sndcode`,
    /// `accept`.
    ///
    /// # Errors
    /// When its control connection is gone or says nothing in time.
    pub fn command(&mut self, command: &str, params: &str) -> Result<(), String> {
        let json = serde_json::json!({ "command": command, "params": params }).to_string();
        let netstring = format!("{}:{json},", json.len());
        // In one piece and never two at a time: of two, baresip loses the second when it is not whole.
        self.control.write_all(netstring.as_bytes()).map_err(|error| format!("baresip control: {error}"))?;
        let until = Instant::now() + COMMAND_LIMIT;
        while Instant::now() < until {
            while let Some(message) = self.next_message() {
                if message["response"].as_bool() == Some(true) {
                    return Ok(());
                }
                self.events.push_back(message);
            }
            self.read_more(until)?;
        }
        Err(format!("baresip has not answered {command} {params} within {COMMAND_LIMIT:?}\n{}", self.running.all()))
    }

    /// Waits for an event of this type: `CALL_INCOMING`, `CALL_ESTABLISHED`, `CALL_CLOSED`, `CALL_DTMF_START`…
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_event(&mut self, kind: &str, limit: Duration) -> Result<serde_json::Value, String> {
        let until = Instant::now() + limit;
        let mut seen = Vec::new();
        loop {
            while let Some(message) = self.events.pop_front().or_else(|| self.next_message()) {
                if message["event"].as_bool() == Some(true) {
                    let found = message["type"].as_str().unwrap_or_default().to_owned();
                    if found == kind {
                        return Ok(message);
                    }
                    seen.push(found);
                }
            }
            if Instant::now() >= until {
                return Err(format!("baresip had no {kind} within {limit:?}; it had {seen:?}\n{}", self.running.all()));
            }
            self.read_more(until)?;
        }
    }

    /// Reads once from its control connection, for a moment at most.
    fn read_more(&mut self, until: Instant) -> Result<(), String> {
        let left = until.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), READ_LIMIT);
        self.control.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        let mut buffer = [0_u8; 4_096];
        match self.control.read(&mut buffer) {
            Ok(0) => return Err(format!("baresip has closed its control\n{}", self.running.all())),
            Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
            Err(_) => {}
        }
        Ok(())
    }

    /// The next netstring of JSON, when a whole one has come.
    fn next_message(&mut self) -> Option<serde_json::Value> {
        let colon = self.unread.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&self.unread[..colon]).ok()?.parse().ok()?;
        let body = self.unread.get(colon + 1..colon + 1 + length)?.to_vec();
        self.unread.drain(..(colon + 2 + length).min(self.unread.len()));
        serde_json::from_slice(&body).ok()
    }

    /// What it has heard so far, the newest call's recording.
    ///
    /// # Errors
    /// When there is no recording yet.
    pub fn heard(&self) -> Result<Samples, String> {
        let mut dumps: Vec<PathBuf> = fs::read_dir(&self.folder)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-dec.wav")))
            .collect();
        dumps.sort();
        tone::read_wav(dumps.last().ok_or("baresip has recorded nothing")?)
    }
}

fn connect(port: u16, running: &Running) -> Result<TcpStream, String> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > until => return Err(format!("baresip control: {error}\n{}", running.all())),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn account(phone: &Phone<'_>) -> String {
    let Phone { user, registrar, transport, password, codecs, encryption, .. } = phone;
    let mode = if phone.auto_answer { "auto" } else { "manual" };
    // A number for a user: a subscriber's phone, which its network finds by itself.
    let regint = if user.starts_with('+') { 0 } else { 60 };
    let encryption = if encryption.is_empty() { String::new() } else { format!(";mediaenc={encryption}") };
    format!(
        "<sip:{user}@{registrar};transport={transport}>;auth_user={user};auth_pass={password};answermode={mode};regint={regint};audio_codecs={codecs}{encryption}\n"
    )
}

/// Where the phone of the party at 127.0.SCENE.PARTY takes SIP, on 127.0.0.1.
#[must_use]
pub fn sip_port(address: IpAddr) -> u16 {
    ports(address).sip
}

/// The ports of one phone.
struct Ports {
    sip: u16,
    control: u16,
    rtp: u16,
}

/// Ports of the party at 127.0.SCENE.PARTY, apart from those of every other.
fn ports(address: IpAddr) -> Ports {
    let [.., scene, party] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let place = u16::from(scene) * 10 + u16::from(party) % 10;
    // SIP takes two: baresip listens for TLS on the next one.
    Ports { sip: 11_000 + place * 2, control: 14_000 + place, rtp: 40_000 + place * 10 }
}

fn config(folder: &Path, phone: &Phone<'_>) -> String {
    let folder = folder.display();
    let Ports { sip, control, rtp } = ports(phone.address);
    let source = match phone.tone_hz {
        // At the codec's own rate: aubridge joins what is alike.
        0 => "aubridge,sink".to_owned(),
        hz => format!("ausine,{hz}\nausrc_channels 2\nausrc_srate 48000"),
    };
    let mut text = format!(
        "sip_listen 127.0.0.1:{sip}\nnet_interface 127.0.0.1\nrtp_ports {rtp}-{}\naudio_source {source}\n\
         audio_player aubridge,sink\nmodule_path /usr/lib/baresip/modules\n\
         snd_path {folder}\nmodule_tmp account.so\nmodule_app menu.so\nctrl_tcp_listen 127.0.0.1:{control}\n",
        rtp + 9
    );
    for module in ["opus", "g722", "g711", "ausine", "aubridge", "sndfile", "srtp", "ctrl_tcp"] {
        let _infallible = writeln!(text, "module {module}.so");
    }
    text
}
