//! A gateway behind a 1:1 NAT: browsers are told the public address, and reach it there.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sip_tests::crowd::{self, Door, Line, Offer, Sound};
use sip_tests::gateway::{Gateway, Tables, address, folder};
use sip_tests::sipp::{Pbx, SOUND_PORT, Sipp};

use super::need_peers;

const SCENE: u8 = 85;
const WEBRTC_PORT: u16 = 3480;

/// The NAT: what comes to the public address goes to the gateway, and back. One visitor is behind it.
fn forward(public: SocketAddr, gateway: SocketAddr, passed: Arc<AtomicU64>) {
    let outside = UdpSocket::bind(public).unwrap();
    std::thread::spawn(move || {
        let (mut visitor, mut buffer) = (None, [0; 2_048]);
        while let Ok((length, source)) = outside.recv_from(&mut buffer) {
            let to = if source == gateway { visitor } else { Some(gateway) };
            if source != gateway {
                visitor = Some(source);
            }
            passed.fetch_add(1, Ordering::Relaxed);
            // A packet that cannot be sent is a packet lost.
            let _sent = to.map(|to| outside.send_to(&buffer[..length], to));
        }
    });
}

#[test]
fn a_visitor_reaches_a_gateway_behind_a_nat_by_its_public_address() {
    need_peers!();
    if !Sipp::installed() {
        eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
        return;
    }
    crowd::prepare();
    let folder = folder("nat");
    let (inside, public, pbx) = (address(SCENE, 1), address(SCENE, 9), address(SCENE, 3));
    let passed = Arc::new(AtomicU64::new(0));
    forward(SocketAddr::new(public, WEBRTC_PORT), SocketAddr::new(inside, WEBRTC_PORT), Arc::clone(&passed));
    let more = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx}\"\ncodecs = [\"pcmu\"]\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n"
    );
    let gateway = Gateway::start_with(
        &folder,
        inside,
        &more,
        Tables { media: &format!("public_ip = \"{public}\""), ..Tables::default() },
    )
    .unwrap();
    let sound_port = SOUND_PORT.to_string();
    let keys = [("sound_port", sound_port.as_str())];
    let mut sipp =
        Sipp::start(&folder.join("pbx"), &Pbx { address: pbx, scenario: "answer", keys: &keys, calls: 1, echo: true })
            .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = SocketAddr::new(inside, 8080);
        let door = Door { http, from: address(SCENE, 2), tenant: "shop", queue: "support" };
        let offer = Offer::make(door.from).unwrap();
        let mut line = Line::ask(door, "behind-a-nat", offer.sdp()).await.unwrap();
        let answer = line.answer().await.unwrap();
        let candidates: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate")).collect();
        assert_eq!(candidates.len(), 1, "the address inside is nobody's business: {candidates:?}");
        assert!(candidates[0].contains(&format!(" {public} {WEBRTC_PORT} typ host")), "{candidates:?}");
        let sound = Sound::start(offer.answered(&answer).unwrap());
        let heard = async {
            line.state("talking").await.unwrap();
            while sound.heard() < 50 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("the PBX's echo comes back through the NAT");
        line.bye().await.unwrap();
        assert_eq!(line.ended().await.unwrap(), "normal");
    });
    sipp.wait_done(Duration::from_secs(12)).unwrap();
    assert!(passed.load(Ordering::Relaxed) > 100, "the sound went through the NAT");
    drop(gateway);
    drop(std::fs::remove_dir_all(&folder));
}
