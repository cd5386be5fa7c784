//! Real sockets on loopback: TLS both ways, and to nobody who is not expected.

use std::time::Duration;

use super::*;
use crate::config::checked::{TlsFiles, TrunkTls};
use crate::net::tls::tests::{Authority, Folder, for_name, trunk};
use crate::net::tls::{Own, Peer, server};

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn showing(files: &TlsFiles) -> Certificates {
    let own = Own::new(files).unwrap();
    let config = server(&own).unwrap();
    Certificates { own: Some((own, config)), ..Certificates::default() }
}

async fn next(inbox: &mut mpsc::Receiver<Inbound>) -> Inbound {
    tokio::time::timeout(Duration::from_secs(30), inbox.recv()).await.unwrap().unwrap()
}

async fn heard(inbox: &mut mpsc::Receiver<Inbound>) -> (Flow, Vec<u8>) {
    match next(inbox).await {
        Inbound::Stream { flow, bytes } => (flow, bytes),
        Inbound::Failed { flow } | Inbound::Closed { flow } => panic!("{flow} failed"),
        Inbound::Opened { flow, .. } | Inbound::Datagram { flow, .. } => panic!("{flow} is not expected"),
    }
}

#[tokio::test]
async fn a_trunk_by_tls_is_called_by_name_and_answers_over_the_same_connection() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let pbx = showing(&folder.files("pbx", &authority.sign(for_name("pbx.test"))));
    let (mut pbx, pbx_at, mut pbx_hears) = Sockets::bind(&[(Transport::Tls, loopback(0))], pbx).await.unwrap();
    let tls = TrunkTls { ca_file: Some(folder.authority(&authority)), ..TrunkTls::default() };
    let peers = ["pbx.test", "other.test"].map(|host| Arc::new(Peer::new(&trunk(host, host, tls.clone())).unwrap()));
    let calling = Certificates { peers: peers.to_vec(), ..Certificates::default() };
    let listen = [(Transport::Udp, loopback(0))];
    let (mut ours, bound, mut we_hear) = Sockets::bind(&listen, calling).await.unwrap();
    // Nothing listens for TLS here; the flow has a name all the same.
    assert_eq!(bound[1], (Transport::Tls, loopback(5061)));
    let flow = Flow { transport: Transport::Tls, local: bound[1].1, remote: pbx_at[0].1 };
    ours.send(flow, b"too early".to_vec());
    assert!(matches!(next(&mut we_hear).await, Inbound::Failed { flow: failed } if failed == flow));
    assert_eq!(ours.trunk_at("pbx.test", vec![flow.remote]), [flow.remote]);
    assert_eq!(ours.trunk_at("other.test", vec![flow.remote, loopback(9)]), [loopback(9)], "one far end, one name");
    ours.send(flow, b"OPTIONS".to_vec());
    let Inbound::Opened { flow: theirs, writer } = next(&mut pbx_hears).await else { panic!("no connection") };
    pbx.opened(theirs, writer);
    assert_eq!(heard(&mut pbx_hears).await, (theirs, b"OPTIONS".to_vec()));
    pbx.send(theirs, b"200 OK".to_vec());
    assert_eq!(heard(&mut we_hear).await, (flow, b"200 OK".to_vec()));
    // Moved: the address is nobody's now, and the connection in use stays.
    ours.trunk_at("pbx.test", Vec::new());
    pbx.closed(theirs);
    assert!(matches!(next(&mut we_hear).await, Inbound::Closed { flow: closed } if closed == flow));
    ours.closed(flow);
    ours.send(flow, b"OPTIONS".to_vec());
    assert!(matches!(next(&mut we_hear).await, Inbound::Failed { .. }));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_and_plain_text_end_without_a_word_to_the_endpoint() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let pbx = showing(&folder.files("pbx", &authority.sign(for_name("pbx.test"))));
    let (_pbx, at, mut hears) = Sockets::bind(&[(Transport::Tls, loopback(0))], pbx).await.unwrap();
    let stream = tokio::net::TcpStream::connect(at[0].1).await.unwrap();
    stream.writable().await.unwrap();
    stream.try_write(b"OPTIONS sip:a SIP/2.0\r\n\r\n").unwrap();
    assert!(matches!(next(&mut hears).await, Inbound::Opened { .. }));
    assert!(matches!(next(&mut hears).await, Inbound::Closed { .. }));
    let _silent = tokio::net::TcpStream::connect(at[0].1).await.unwrap();
    assert!(matches!(next(&mut hears).await, Inbound::Opened { .. }));
    assert!(matches!(next(&mut hears).await, Inbound::Closed { .. }));
}

#[tokio::test]
async fn a_tls_listener_without_a_certificate_is_no_listener() {
    let bound = Sockets::bind(&[(Transport::Tls, loopback(0))], Certificates::default()).await;
    assert!(bound.is_err());
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a skipped test is never silent")]
async fn both_versions_of_ip_stand_side_by_side_on_one_port() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    for transport in [Transport::Udp, Transport::Tcp] {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let (mut v4, first, mut v4_hears) = Sockets::bind(&[(transport, any)], Certificates::default()).await.unwrap();
        let port = first[0].1.port();
        let beside = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port);
        let (mut v6, _, mut v6_hears) = Sockets::bind(&[(transport, beside)], Certificates::default()).await.unwrap();
        let flow = |local: &str, remote: &str| Flow {
            transport,
            local: format!("{local}:{port}").parse().unwrap(),
            remote: format!("{remote}:{port}").parse().unwrap(),
        };
        v6.send(flow("[::]", "[::1]"), b"six".to_vec());
        assert_eq!(said(&mut v6_hears).await, b"six");
        v4.send(flow("0.0.0.0", "127.0.0.1"), b"four".to_vec());
        assert_eq!(said(&mut v4_hears).await, b"four", "and not at the other");
    }
}

async fn said(inbox: &mut mpsc::Receiver<Inbound>) -> Vec<u8> {
    let mut kept = Vec::new();
    loop {
        match next(inbox).await {
            Inbound::Datagram { flow, bytes } | Inbound::Stream { flow, bytes } => {
                assert_eq!(flow.remote.ip(), flow.remote.ip().to_canonical(), "no IPv4 in the clothes of IPv6");
                return bytes;
            }
            Inbound::Opened { writer, .. } => kept.push(writer),
            Inbound::Closed { flow } | Inbound::Failed { flow } => panic!("{flow} failed"),
        }
    }
}

#[tokio::test]
async fn connections_are_bounded_for_each_address_and_in_all() {
    let (mut sockets, ..) = Sockets::bind(&[(Transport::Tcp, loopback(0))], Certificates::default()).await.unwrap();
    let local = loopback(5060);
    let mut open = |ip: IpAddr, port: u16| {
        let (writer, queue) = mpsc::channel(1);
        sockets.opened(Flow { transport: Transport::Tcp, local, remote: SocketAddr::new(ip, port) }, writer);
        // A connection that is not kept is closed by the loss of its writer.
        !queue.is_closed()
    };
    let kept = (0..100).filter(|port| open("203.0.113.7".parse().unwrap(), 40_000 + port)).count();
    assert_eq!(kept, CONNECTIONS_PER_ADDRESS_MAX);
    let hosts = (0..100).map(|host| format!("2001:db8::{host:x}").parse().unwrap());
    assert_eq!(hosts.filter(|ip| open(*ip, 40_000)).count(), CONNECTIONS_PER_ADDRESS_MAX, "a /64 is one address");
    let many = (0..3_000_u32).map(|number| IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
    assert_eq!(many.filter(|ip| open(*ip, 40_000)).count(), CONNECTIONS_MAX - 2 * CONNECTIONS_PER_ADDRESS_MAX);
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_room_for_the_others_datagram() {
    let listen = [(Transport::Udp, loopback(0))];
    let (_sockets, bound, mut inbox) = Sockets::bind(&listen, Certificates::default()).await.unwrap();
    let bye = UdpSocket::bind("127.0.0.3:0").await.unwrap();
    let flood = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    // Nobody takes anything out: the driver is behind. More than the inbox holds.
    for number in 0..3 * INBOX_MAX {
        flood.send_to(b"INVITE", bound[0].1).await.unwrap();
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    bye.send_to(b"BYE", bound[0].1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut heard = Vec::new();
    while let Ok(Inbound::Datagram { bytes, .. }) = inbox.try_recv() {
        heard.push(bytes);
    }
    assert!(heard.len() < INBOX_MAX, "the flood does not fill the inbox: {}", heard.len());
    assert_eq!(heard.iter().filter(|bytes| *bytes == b"BYE").count(), 1);
}
