//! The program under load: started with a configuration of its own, looked at through `/proc`, ended.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to be ready, and to end.
const LIMIT: Duration = Duration::from_secs(15);
/// The kernel's unit of CPU time for programs, the same on every Linux.
const TICK_MS: f64 = 10.0;

/// The parties' addresses: a loopback network of the run's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net(pub(crate) u8);

impl Net {
    pub(crate) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.0, 1)
    }

    pub(crate) fn visitors(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.0, 2)
    }

    pub(crate) fn pbx(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.0, 3)
    }

    pub(crate) fn http(self) -> SocketAddr {
        SocketAddr::from((self.gateway(), 8080))
    }

    pub(crate) fn origin(self) -> String {
        format!("http://{}", self.http())
    }
}

/// A running gateway. Dropped, it is killed and its folder is gone.
pub(crate) struct Gateway {
    child: Child,
    folder: PathBuf,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(binary: &Path, net: Net, workers: usize) -> Result<Self, String> {
        if !binary.exists() {
            return Err(format!("{} is not there: cargo build --release -p gateway", binary.display()));
        }
        let binary = binary.canonicalize().map_err(|error| error.to_string())?;
        let folder = std::env::temp_dir().join(format!("passerelle-density-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let file = folder.join("passerelle.toml");
        fs::write(&file, config(&folder, net, workers)).map_err(|error| error.to_string())?;
        let log = fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let child = Command::new(&binary)
            .arg("run")
            .arg("--config")
            .arg(&file)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", binary.display()))?;
        let mut gateway = Self { child, folder };
        gateway.wait_ready(net)?;
        Ok(gateway)
    }

    fn wait_ready(&mut self, net: Net) -> Result<(), String> {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the gateway ended at once, {status}:\n{}", self.log_tail()));
            }
            if ready(net.http()).unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the gateway is not ready after {LIMIT:?}:\n{}", self.log_tail()))
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU it has used so far.
    pub(crate) fn cpu(&self) -> Result<Cpu, String> {
        let process = PathBuf::from(format!("/proc/{}", self.id()));
        let (_, whole_ms) = stat(&process.join("stat"))?;
        let mut media_ms = 0.0;
        for thread in fs::read_dir(process.join("task")).map_err(|error| error.to_string())?.flatten() {
            // A thread may end between the listing and the look.
            if let Ok((name, ms)) = stat(&thread.path().join("stat"))
                && name.starts_with("media-")
            {
                media_ms += ms;
            }
        }
        Ok(Cpu { whole_ms, media_ms })
    }

    /// Memory it holds, in kB.
    pub(crate) fn rss_kb(&self) -> Result<u64, String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).map_err(|error| error.to_string())?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| "no VmRSS".to_owned())
    }

    /// Asks it to end and waits; killed when it does not.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let asked = Command::new("kill").arg("-TERM").arg(self.id().to_string()).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the gateway ended with {status}:\n{}", self.log_tail())),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("the gateway does not end after {LIMIT:?}:\n{}", self.log_tail()))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Ended or not, nothing of it stays.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// CPU time used, user and system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// By the whole process.
    pub(crate) whole_ms: f64,
    /// By the media workers' threads alone.
    pub(crate) media_ms: f64,
}

/// CPU of this process.
pub(crate) fn own_cpu_ms() -> Result<f64, String> {
    stat(Path::new("/proc/self/stat")).map(|(_, ms)| ms)
}

/// CPU all programs of this machine used, in milliseconds.
pub(crate) fn machine_cpu_ms() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/stat").map_err(|error| error.to_string())?;
    let line = text.lines().next().ok_or("no /proc/stat")?;
    let ticks: Vec<f64> = line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal guest guest_nice: idle and iowait are not work, guests stand in user.
    let busy = ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks);
    Ok(busy.sum::<f64>() * TICK_MS)
}

/// Datagrams the kernel threw away at sockets of this network, because nobody read them in time.
pub(crate) fn kernel_drops(net: Net) -> Result<u64, String> {
    let text = fs::read_to_string("/proc/net/udp").map_err(|error| error.to_string())?;
    let mut drops = 0;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let address =
            words.get(1).and_then(|word| word.split(':').next()).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let [first, second, third, _] = address.unwrap_or_default().to_le_bytes();
        if [first, second, third] == [127, 0, net.0] {
            drops += words.last().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    Ok(drops)
}

/// Name and CPU of a process or thread (proc(5): the name stands in brackets and may hold any character).
fn stat(path: &Path) -> Result<(String, f64), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bad = || format!("{} is not as expected", path.display());
    let (head, tail) = text.rsplit_once(')').ok_or_else(bad)?;
    let name = head.split_once('(').map(|(_, name)| name.to_owned()).ok_or_else(bad)?;
    let ticks = |at| tail.split_ascii_whitespace().nth(at).and_then(|word| word.parse::<f64>().ok()).ok_or_else(bad);
    Ok((name, (ticks(11)? + ticks(12)?) * TICK_MS))
}

fn ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer == *b"HTTP/1.1 200")
}

fn config(folder: &Path, net: Net, workers: usize) -> String {
    let (folder, gateway, pbx, http, origin) = (folder.display(), net.gateway(), net.pbx(), net.http(), net.origin());
    format!(
        r#"
[http]
listen = "{http}"
public_url = "{origin}"
[sip]
listen = ["udp:{gateway}:5060"]
[media]
webrtc_listen = "{gateway}:3480"
rtp_ports = "20000-20999"
rtp_address = "{gateway}"
workers = {workers}
[store]
url = "sqlite:{folder}/calls.db"
[shutdown]
drain_limit_s = 1
[[tenant]]
id = "bench"
origins = ["{origin}"]
[[trunk]]
name = "pbx"
uri = "sip:{pbx};transport=udp"
codecs = ["pcmu"]
[[queue]]
id = "bench"
tenant = "bench"
dial = "sip:bench@pbx"
waiting_max = 1000
[limits]
calls_max = 1000
calls_per_ip_max = 1000
talks_per_ip_per_minute_max = 100000
"#
    )
}
