//! A program of the shop that is told of call-backs: takes every webhook with 204 and keeps it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// One request as it came.
#[derive(Debug)]
pub struct Told {
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A running receiver; it ends with the test's process.
pub struct Receiver {
    told: mpsc::Receiver<Told>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Requests it keeps.
const KEPT_MAX: usize = 100;
/// The longest body it reads.
const BODY_MAX: usize = 65_536;

impl Told {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Receiver {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has no port.
    pub fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (keep, told) = mpsc::sync_channel(KEPT_MAX);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(one) = take(stream) else { continue };
                if keep.try_send(one).is_err() {
                    return;
                }
            }
        });
        Ok(Self { told, address })
    }

    /// The next request.
    ///
    /// # Errors
    /// After `limit`.
    pub fn next(&self, limit: Duration) -> Result<Told, String> {
        self.told.recv_timeout(limit).map_err(|_| format!("nothing was told within {limit:?}"))
    }
}

fn take(mut stream: TcpStream) -> Option<Told> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.filter(|length| *length <= BODY_MAX)?];
    lines.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
    Some(Told { headers, body: String::from_utf8(body).ok()? })
}
