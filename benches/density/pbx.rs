//! The synthetic PBX: rings, answers with PCMU, and hangs up when told. Its sound is the media thread's.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use sip::{HeaderName, Message, Method, Request, Response, parse_datagram};
use tokio::net::UdpSocket;

use crate::wire::{Command, Orders};

/// Answers until it is dropped.
pub(crate) async fn serve(socket: UdpSocket, orders: Orders) {
    let mut pbx = Pbx { orders, answers: BTreeMap::new() };
    let mut buffer = vec![0; 65_535];
    // Loopback has no errors worth living on for: an ICMP refusal of a gateway that ended is the end here too.
    while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
        let Ok(Message::Request(request)) = parse_datagram(&buffer[..length], &sip::Limits::default()) else {
            continue;
        };
        for response in pbx.handle(&request) {
            if socket.send_to(&response.encode(), source).await.is_err() {
                return;
            }
        }
    }
}

struct Pbx {
    orders: Orders,
    /// Answer bodies by Call-ID, for an INVITE that comes again.
    answers: BTreeMap<String, Vec<u8>>,
}

impl Pbx {
    fn handle(&mut self, request: &Request) -> Vec<Response> {
        match request.method {
            Method::Invite => self.invite(request),
            Method::Ack => Vec::new(),
            Method::Bye | Method::Cancel | Method::Options | Method::Info | Method::Update => {
                vec![reply(request, 200, "OK")]
            }
            Method::Register
            | Method::Prack
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Other(_) => {
                vec![reply(request, 405, "Method Not Allowed")]
            }
        }
    }

    fn invite(&mut self, request: &Request) -> Vec<Response> {
        let key = request.headers.get(&HeaderName::CallId).unwrap_or_default().to_owned();
        if !self.answers.contains_key(&key) {
            let Some(body) = self.accept(request) else { return vec![reply(request, 488, "Not Acceptable Here")] };
            self.answers.insert(key.clone(), body);
        }
        let mut ok = reply(request, 200, "OK");
        ok.headers.push(HeaderName::ContentType, "application/sdp");
        ok.body = self.answers.get(&key).cloned().unwrap_or_default();
        vec![reply(request, 100, "Trying"), reply(request, 180, "Ringing"), ok]
    }

    /// Opens a socket for this call and hands it to the media thread; gives the answer.
    fn accept(&self, request: &Request) -> Option<Vec<u8>> {
        let call: usize = request.headers.get_str("X-Passerelle-Session")?.strip_prefix("bench-")?.parse().ok()?;
        let offer = std::str::from_utf8(&request.body).ok()?;
        let value = |prefix| offer.lines().find_map(|line| line.strip_prefix(prefix));
        let ip: Ipv4Addr = value("c=IN IP4 ")?.trim().parse().ok()?;
        let port: u16 = value("m=audio ")?.split(' ').next()?.parse().ok()?;
        let socket = std::net::UdpSocket::bind((own_address(request)?, 0)).ok()?;
        let local = socket.local_addr().ok()?;
        self.orders.send(Command::Pbx { call, socket, gateway: SocketAddr::from((ip, port)) });
        let mux = if offer.contains("a=rtcp-mux") { "a=rtcp-mux\r\n" } else { "" };
        let (ip, port) = (local.ip(), local.port());
        let answer = format!(
            "v=0\r\no=- {call} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n{mux}a=sendrecv\r\n"
        );
        Some(answer.into_bytes())
    }
}

/// Where the gateway called us.
fn own_address(request: &Request) -> Option<Ipv4Addr> {
    match request.uri.host {
        sip::Host::V4(ip) => Some(ip),
        sip::Host::V6(_) | sip::Host::Name(_) => None,
    }
}

fn reply(request: &Request, status: u16, phrase: &str) -> Response {
    let mut response = request.reply(status, phrase);
    if status > 100 {
        response.set_to_tag("pbx");
    }
    if let Some(ip) = own_address(request).filter(|_| request.method == Method::Invite) {
        response.headers.push(HeaderName::Contact, &format!("<sip:bench@{ip}:5060>"));
    }
    response
}
