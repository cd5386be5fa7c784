//! SIP messages for a HOMER collector: HEP version 3, one packet a message, over UDP.
//!
//! ```text
//! "HEP3" | total length u16 | chunk | chunk | …          chunk: vendor u16 = 0 | type u16 | length u16 | value
//! ```
//!
//! The length of a chunk counts its own six octets. Left out on purpose: compressed payloads, keep-alives, media reports.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip::endpoint::Transport;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::clock;
use crate::config::checked::Hep as Config;
use crate::observe::metric::{self, Metric};

/// Packets that may wait for the socket.
const QUEUE_MAX: usize = 1_024;
/// What a datagram holds.
const DATAGRAM_BYTES: usize = 65_507;
/// After a failure, until the collector is looked for again.
const RETRY: Duration = Duration::from_secs(10);

/// A message as it passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) at_us: u64,
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: &'a [u8],
    /// What joins the legs of a call.
    pub(crate) correlation: Option<&'a str>,
}

/// The packet in octets; `None` when no datagram holds it.
pub(crate) fn encode(packet: &Packet<'_>, agent: u32, key: Option<&str>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(packet.payload.len() + 160);
    out.extend_from_slice(b"HEP3\0\0");
    let (from, to) = (packet.source, packet.destination);
    // AF_INET and AF_INET6 as Linux numbers them, which is what collectors read.
    let (family, source, destination) = if from.is_ipv4() { (2, 0x03, 0x04) } else { (10, 0x05, 0x06) };
    let protocol = if packet.transport == Transport::Udp { 17 } else { 6 };
    chunk(&mut out, 0x01, &[family]);
    chunk(&mut out, 0x02, &[protocol]);
    address(&mut out, source, from.ip());
    address(&mut out, destination, to.ip());
    chunk(&mut out, 0x07, &from.port().to_be_bytes());
    chunk(&mut out, 0x08, &to.port().to_be_bytes());
    // Seconds of 1970 fit into 32 bits until 2106.
    let (seconds, micros) = (packet.at_us / 1_000_000, packet.at_us % 1_000_000);
    chunk(&mut out, 0x09, &u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes());
    chunk(&mut out, 0x0a, &u32::try_from(micros).unwrap_or(0).to_be_bytes());
    // SIP.
    chunk(&mut out, 0x0b, &[1]);
    chunk(&mut out, 0x0c, &agent.to_be_bytes());
    if let Some(key) = key {
        chunk(&mut out, 0x0e, key.as_bytes());
    }
    if let Some(correlation) = packet.correlation {
        chunk(&mut out, 0x11, correlation.as_bytes());
    }
    chunk(&mut out, 0x0f, packet.payload);
    let total = u16::try_from(out.len()).ok().filter(|_| out.len() <= DATAGRAM_BYTES)?;
    out.get_mut(4..6)?.copy_from_slice(&total.to_be_bytes());
    Some(out)
}

/// What is too long for a chunk is too long for a datagram, which is looked at in the end.
fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&0_u16.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&u16::try_from(value.len() + 6).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

fn address(out: &mut Vec<u8>, kind: u16, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => chunk(out, kind, &ip.octets()),
        IpAddr::V6(ip) => chunk(out, kind, &ip.octets()),
    }
}

/// The way to the collector. Whoever sends does not wait.
pub(super) struct Hep {
    queue: mpsc::Sender<Vec<u8>>,
    agent: u32,
    key: Option<crate::config::checked::Secret>,
}

impl Hep {
    pub(super) fn start(config: &Config) -> Self {
        let (queue, packets) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run((config.host.clone(), config.port), packets));
        Self { queue, agent: config.id, key: config.key.clone() }
    }

    pub(super) fn send(&self, packet: &Packet<'_>) {
        match encode(packet, self.agent, self.key.as_ref().map(|key| key.expose())) {
            None => failed("too-large"),
            Some(octets) => {
                if self.queue.try_send(octets).is_err() {
                    failed("queue-full");
                }
            }
        }
    }
}

fn failed(why: &str) {
    metric::count_with(Metric::LadderHepFailed, why);
}

async fn run((host, port): (String, u16), mut packets: mpsc::Receiver<Vec<u8>>) {
    let mut socket = None;
    let mut again_at: Option<Instant> = None;
    while let Some(packet) = packets.recv().await {
        if socket.is_none() && again_at.is_none_or(|at| clock::now() >= at) {
            again_at = Some(clock::now() + RETRY);
            match connect(&host, port).await {
                Ok(made) => socket = Some(made),
                Err(error) => warn!(host, port, %error, "the HEP collector is not found: look at [ladder] hep"),
            }
        }
        match &socket {
            None => failed("not-found"),
            Some(to) => match to.send(&packet).await {
                Ok(_) => metric::count(Metric::LadderHepSent),
                Err(error) => {
                    // Nobody listens there, as an earlier packet found out; the address may have changed.
                    debug!(%error, "HEP packet not sent");
                    failed("not-sent");
                    socket = None;
                }
            },
        }
    }
}

async fn connect(host: &str, port: u16) -> std::io::Result<UdpSocket> {
    let mut last = std::io::Error::other("it has no address");
    for at in tokio::net::lookup_host((host, port)).await? {
        let any: SocketAddr =
            if at.is_ipv4() { ([0; 4], 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(at).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Packet<'_> {
        Packet {
            at_us: 0x4e49_8d1c * 1_000_000 + 0x0008_7df5,
            transport: Transport::Udp,
            source: "212.202.0.1:12010".parse().unwrap(),
            destination: "82.116.0.211:5060".parse().unwrap(),
            payload,
            correlation: Some("c0ffee"),
        }
    }

    #[test]
    fn a_packet_is_as_the_specification_lays_it_out() {
        // Each chunk by hand, from the table of generic chunk types.
        let expected: &[&[u8]] = &[
            b"HEP3\x00\x87",
            b"\x00\x00\x00\x01\x00\x07\x02",
            b"\x00\x00\x00\x02\x00\x07\x11",
            b"\x00\x00\x00\x03\x00\x0a\xd4\xca\x00\x01",
            b"\x00\x00\x00\x04\x00\x0a\x52\x74\x00\xd3",
            b"\x00\x00\x00\x07\x00\x08\x2e\xea",
            b"\x00\x00\x00\x08\x00\x08\x13\xc4",
            b"\x00\x00\x00\x09\x00\x0a\x4e\x49\x8d\x1c",
            b"\x00\x00\x00\x0a\x00\x0a\x00\x08\x7d\xf5",
            b"\x00\x00\x00\x0b\x00\x07\x01",
            b"\x00\x00\x00\x0c\x00\x0a\x00\x00\x00\xe4",
            b"\x00\x00\x00\x0e\x00\x0a\x61\x62\x63\x64",
            b"\x00\x00\x00\x11\x00\x0cc0ffee",
            b"\x00\x00\x00\x0f\x00\x14INVITE sip:bob",
        ];
        assert_eq!(encode(&packet(b"INVITE sip:bob"), 228, Some("abcd")).unwrap(), expected.concat());
        assert_eq!(expected.concat().len(), 0x87);
    }

    #[test]
    fn ipv6_and_streams_are_told_apart_and_what_is_optional_is_left_out() {
        let packet = Packet {
            transport: Transport::Tls,
            source: "[2001:db8::1]:5061".parse().unwrap(),
            destination: "[2001:db8::2]:5061".parse().unwrap(),
            correlation: None,
            ..packet(b"x")
        };
        let octets = encode(&packet, 1, None).unwrap();
        let has = |part: &[u8]| octets.windows(part.len()).any(|window| window == part);
        assert!(has(
            b"\x00\x00\x00\x01\x00\x07\x0a\x00\x00\x00\x02\x00\x07\x06\x00\x00\x00\x05\x00\x16\x20\x01\x0d\xb8"
        ));
        assert!(has(b"\x00\x00\x00\x06\x00\x16\x20\x01\x0d\xb8"));
        assert!(!has(b"\x00\x00\x00\x0e\x00") && !has(b"\x00\x00\x00\x11\x00"));
    }

    #[test]
    fn what_no_datagram_holds_is_no_packet() {
        assert!(encode(&packet(&vec![b'x'; 65_000]), 1, None).is_some());
        assert!(encode(&packet(&vec![b'x'; 65_500]), 1, None).is_none());
        assert!(encode(&packet(&vec![b'x'; 70_000]), 1, None).is_none());
    }

    #[tokio::test]
    async fn the_collector_hears_it() {
        let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = collector.local_addr().unwrap().port();
        let hep = Hep::start(&Config { host: "127.0.0.1".to_owned(), port, id: 7, key: None });
        hep.send(&packet(b"OPTIONS sip:x SIP/2.0\r\n\r\n"));
        let mut octets = [0; 1_024];
        let length = tokio::time::timeout(Duration::from_secs(20), collector.recv(&mut octets)).await.unwrap().unwrap();
        assert_eq!(&octets[..length], encode(&packet(b"OPTIONS sip:x SIP/2.0\r\n\r\n"), 7, None).unwrap());
    }
}
