//! `passerelle health`: one request to the running gateway's `/healthz`, for a health check without curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{complain, print};
use crate::config;

/// Longer than this is not well.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// More of the answer is not read.
const ANSWER_BYTES_MAX: u64 = 16_384;

/// Asks and says what came.
pub(crate) fn health(path: &Path, demo: bool) -> ExitCode {
    let name = if demo { None } else { Some(path) };
    let listen = match config::glance(name) {
        Ok(glance) => glance.http_listen,
        Err(errors) => {
            complain(&format!("{errors}\n"));
            return ExitCode::FAILURE;
        }
    };
    let address = reachable(listen);
    match ask(address, "/healthz") {
        Ok((200, body)) => {
            print(&format!("{}\n", body.trim()));
            ExitCode::SUCCESS
        }
        Ok((status, body)) => {
            complain(&format!("not well: {status} {}\n", body.trim()));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("no answer from http://{address}/healthz: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// "All addresses" is no address to connect to: this machine's own then.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Status and body.
pub(super) fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    status.map(|status| (status, body.to_owned())).ok_or_else(|| io::Error::other("this is not HTTP"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::{ask, reachable};

    /// What `ask` makes of `answer`, as its debug text.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = ask(address, "/healthz");
        assert!(server.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
        answer.map_or_else(|error| error.to_string(), |(status, body)| format!("{status} {body}"))
    }

    #[test]
    fn status_and_body_are_read() {
        assert_eq!(answering("HTTP/1.1 200 OK\r\n\r\nwell"), "200 well");
        assert_eq!(answering("HTTP/1.1 503 No\r\nA: b\r\n\r\nmedia"), "503 media");
        assert_eq!(answering("garbage"), "this is not HTTP");
    }

    #[test]
    fn all_addresses_are_asked_at_this_machine() {
        assert_eq!(reachable("0.0.0.0:8080".parse().unwrap()), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(reachable("[::]:8080".parse().unwrap()), "[::1]:8080".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:8080".parse().unwrap()), "10.0.0.1:8080".parse().unwrap());
    }
}
