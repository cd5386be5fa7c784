//! What a command asks of the running gateway as its administrator: one request, its JSON or its refusal.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::health::reachable;
use super::listing::Source;
use crate::admin_token;
use crate::config;
use crate::config::checked::Secret;

/// Longer than the gateway may take over a request.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A running gateway, and the token of its administrator.
#[derive(Debug)]
pub(crate) struct Remote {
    address: SocketAddr,
    token: Secret,
}

/// Why it was not done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It said so: code and sentence.
    Said(String, String),
    /// It could not be asked.
    Unreached(String),
}

impl Remote {
    /// The gateway of a configuration or of the demo.
    pub(crate) fn of(source: &Source) -> Result<Self, String> {
        let path = match source {
            Source::Config(path) => Some(path.as_path()),
            Source::Demo => None,
            Source::Store(_) => {
                return Err("passerelle: only a running gateway changes its book: name its --config\n".to_owned());
            }
        };
        let door = config::admin_door(path).map_err(|errors| format!("{errors}\n"))?;
        let token = admin_token::of_a_command(&door).map_err(|why| format!("passerelle: {why}\n"))?;
        Ok(Self { address: reachable(door.listen), token })
    }

    #[cfg(test)]
    pub(crate) fn at(address: SocketAddr, token: &str) -> Self {
        Self { address, token: Secret::new(token) }
    }

    /// One request.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let unreached = |why: &dyn std::fmt::Display| {
            Refused::Unreached(format!("the gateway at http://{} does not answer: {why}. Is it running?", self.address))
        };
        let (status, body) = self.exchange(method, path, body).map_err(|error| unreached(&error))?;
        let read: Value = serde_json::from_str(&body).map_err(|_| unreached(&format!("status {status}, no JSON")))?;
        if (200..300).contains(&status) {
            return Ok(read);
        }
        let text = |key: &str| read[key].as_str().unwrap_or_default().to_owned();
        Err(Refused::Said(text("code"), text("sentence")))
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let body = body.map_or_else(String::new, Value::to_string);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\nAccept-Language: en\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.token.expose(),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        status.map(|status| (status, body.to_owned())).ok_or_else(|| io::Error::other("this is not HTTP"))
    }
}

impl Refused {
    /// For a person.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Said(code, sentence) => format!("passerelle: {sentence} ({code})\n"),
            Self::Unreached(why) => format!("passerelle: {why}\n"),
        }
    }
}
