//! Garbage on every port while two people talk: they hear nothing of it, and the gateway counts it.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sip_tests::data;
use sip_tests::gateway::address;

use super::need_peers;
use super::scene::{SOON, Scene, Setting};

/// The same garbage on every run.
const SEED: u64 = 0x6761_7262_6167_6531;
/// Datagrams in all, to all UDP ports.
const DATAGRAMS: usize = 20_000;
/// Connections to each TCP port.
const CONNECTIONS: usize = 150;

#[test]
fn garbage_on_every_port_does_not_touch_the_call() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("garbage", 60));
    scene.talk();
    let gateway = scene.gateway.address;
    let ports = udp_ports(gateway);
    assert!(ports.len() >= 4, "SIP, WebRTC, RTP and RTCP: {ports:?}");
    let before = Counts::of(&scene);

    let attacks = [
        std::thread::spawn(move || spray(gateway, &ports)),
        std::thread::spawn(move || knock(SocketAddr::new(gateway, 5060), sip_noise)),
        std::thread::spawn(move || knock(SocketAddr::new(gateway, 8080), http_noise)),
    ];
    // While it goes on, and when it is over.
    scene.hear_each_other();
    for attack in attacks {
        attack.join().unwrap();
    }
    scene.hear_each_other();

    let after = Counts::of(&scene);
    assert_eq!(scene.gateway.metric("passerelle_panics_total"), Some(0.0));
    assert!(after.sip > before.sip, "refused SIP is counted: {before:?} {after:?}");
    assert!(after.media > before.media + 1_000.0, "refused packets are counted: {before:?} {after:?}");
    assert!(!scene.gateway.running.all().contains("panicked"));
    let (healthy, _) = scene.gateway.get("/healthz").unwrap();
    assert_eq!(healthy, 200);
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "visitor".to_owned()));
}

/// What was refused so far.
#[derive(Debug)]
struct Counts {
    sip: f64,
    media: f64,
}

impl Counts {
    fn of(scene: &Scene) -> Self {
        let (_, metrics) = scene.gateway.get("/metrics").unwrap();
        let sum = |names: &[&str]| {
            let lines = metrics.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Self {
            sip: sum(&["passerelle_sip_refused_total"]),
            media: sum(&["passerelle_media_packets_refused_total", "passerelle_media_packets_malformed_total"]),
        }
    }
}

/// The UDP ports bound on this address.
fn udp_ports(at: IpAddr) -> Vec<u16> {
    let IpAddr::V4(at) = at else { return Vec::new() };
    let wanted = format!("{:08X}", u32::from_le_bytes(at.octets()));
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let local = |line: &str| {
        line.split_whitespace()
            .nth(1)
            .and_then(|local| local.split_once(':').map(|(ip, port)| (ip.to_owned(), port.to_owned())))
    };
    table
        .lines()
        .filter_map(local)
        .filter(|(ip, _)| *ip == wanted)
        .filter_map(|(_, port)| u16::from_str_radix(&port, 16).ok())
        .collect()
}

/// Datagrams of every kind to every port, from a stranger and from the agent's own host.
fn spray(to: IpAddr, ports: &[u16]) {
    let mut random = SmallRng::seed_from_u64(SEED);
    let sockets = [9, 2].map(|party| UdpSocket::bind((address(60, party), 0)).unwrap());
    let sip: Vec<Vec<u8>> = data::folder("rfc4475", ".dat").into_iter().map(|(_, message)| message).collect();
    for number in 0..DATAGRAMS {
        let datagram = datagram(&mut random, &sip);
        let port = ports[random.random_range(0..ports.len())];
        // What the system does not take is garbage less.
        let _sent = sockets[number % sockets.len()].send_to(&datagram, (to, port));
        // A few seconds in all: a burst would only test the kernel's buffers.
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn datagram(random: &mut SmallRng, sip: &[Vec<u8>]) -> Vec<u8> {
    let length = random.random_range(0..600);
    let mut noise = vec![0_u8; length];
    random.fill(noise.as_mut_slice());
    let head: &[u8] = match random.random_range(0..8) {
        // Nothing at all, and noise.
        0 => &[],
        // STUN binding request with its cookie, RFC 8489 §5.
        1 => &[0, 1, 0, 40, 0x21, 0x12, 0xa4, 0x42],
        // DTLS 1.2 handshake.
        2 => &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 1, 44],
        // RTP, RTP with every bit of its first octet, telephone-event, RTCP sender report.
        3 => &[0x80, 0],
        4 => &[0xbf, 0xff],
        5 => &[0x80, 101],
        6 => &[0x80, 200, 0xff, 0xff],
        // A SIP message with some octets changed.
        _ => {
            let mut message = sip[random.random_range(0..sip.len())].clone();
            for _ in 0..random.random_range(0..12) {
                let at = random.random_range(0..message.len());
                message[at] = random.random();
            }
            return message;
        }
    };
    [head, &noise].concat()
}

/// Connects again and again, writes noise, reads a little, leaves in one way or another.
fn knock(to: SocketAddr, noise: fn(&mut SmallRng) -> Vec<u8>) {
    let mut random = SmallRng::seed_from_u64(SEED ^ u64::from(to.port()));
    let mut left_open = Vec::new();
    for number in 0..CONNECTIONS {
        // A refusal is an answer too.
        let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else { continue };
        let _limits = (
            stream.set_write_timeout(Some(Duration::from_millis(200))),
            stream.set_read_timeout(Some(Duration::from_millis(20))),
        );
        let _written = stream.write_all(&noise(&mut random));
        let _read = stream.read(&mut [0; 512]);
        match number % 3 {
            0 => drop(stream),
            1 => drop(stream.shutdown(Shutdown::Write)),
            _ => left_open.push(stream),
        }
    }
}

fn sip_noise(random: &mut SmallRng) -> Vec<u8> {
    let mut noise = vec![0_u8; random.random_range(1..4_000)];
    random.fill(noise.as_mut_slice());
    match random.random_range(0..5) {
        0 => noise,
        1 => [b"INVITE sip:x@y SIP/2.0\r\nContent-Length: 99999999999999\r\n\r\n".as_slice(), &noise].concat(),
        2 => [b"OPTIONS sip:x SIP/2.0\r\nVia: ".as_slice(), &vec![b'a'; 100_000]].concat(),
        3 => b"\r\n\r\n".repeat(500),
        _ => [b"REGISTER sip:x SIP/2.0\r\nContent-Length: -1\r\n".as_slice(), &noise].concat(),
    }
}

fn http_noise(random: &mut SmallRng) -> Vec<u8> {
    let mut noise = vec![0_u8; random.random_range(1..4_000)];
    random.fill(noise.as_mut_slice());
    match random.random_range(0..6) {
        0 => noise,
        1 => [b"GET /".as_slice(), &vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat(),
        2 => b"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{\"te}".to_vec(),
        3 => b"GET /v1/talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n".to_vec(),
        4 => [b"POST /v1/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n".as_slice(), &noise].concat(),
        _ => [b"GET /../../etc/passwd HTTP/1.1\r\nX: ".as_slice(), &noise].concat(),
    }
}
