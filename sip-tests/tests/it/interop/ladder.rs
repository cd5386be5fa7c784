//! Why a call went as it did: its ladder after a real call through a trunk, drawn, as JSON, as a pcap, at a HEP collector.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::rtp_peer::{RtpPeer, Stream};
use sip_tests::sipp::{Pbx, Sipp};

use super::need_peers;
use super::scene::{SOON, visit};

/// Where the PBX's sound is.
const SOUND_PORT: u16 = 42_000;
/// Every scene has its own loopback network.
const NUMBER: u8 = 141;

/// A message as the ladder must have it: sent by the gateway or not, its label.
type Step = (bool, &'static str);
const STEPS: [Step; 5] = [(true, "INVITE"), (false, "180 Ringing"), (false, "200 OK"), (true, "ACK"), (true, "BYE")];

#[test]
fn the_ladder_of_a_call_through_a_trunk_has_every_step_in_order_and_opens_in_wireshark() {
    need_peers!();
    if !Sipp::installed() {
        eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
        return;
    }
    let (folder, pbx_at) = (folder("ladder"), address(NUMBER, 3));
    let collector = UdpSocket::bind((address(NUMBER, 9), 9060)).unwrap();
    collector.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let more = format!(
        "[ladder]\nhep = \"udp:{}:9060\"\nhep_id = 77\n[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx_at}\"\ncodecs = [\"pcmu\"]\n\
         srtp = \"optional\"\n[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\nring_limit_s = 20\n",
        address(NUMBER, 9)
    );
    let gateway = Gateway::start(&folder, address(NUMBER, 1), &more).unwrap();
    let call = talk(&gateway, &folder, pbx_at);
    let short: String = call.chars().take(8).collect();
    let view: Value = serde_json::from_str(&until_ended(&gateway, &short)).unwrap();
    assert_eq!(view["call"], call.as_str());
    check_steps(&view);
    check_drawn(&gateway.command(&["ladder", &short]).unwrap(), pbx_at);
    let list = gateway.command(&["ladder"]).unwrap();
    assert!(list.contains(&short) && list.contains("normal, by visitor"), "{list}");
    check_secrets(&gateway.command(&["ladder", &call, "--raw"]).unwrap());
    check_pcap(&gateway, &folder, &call, pbx_at);
    check_collector(&collector, &call);
    check_refused(&gateway);
    let unknown = gateway.command(&["ladder", "0123456789"]).unwrap_err();
    assert!(unknown.contains("ladder_unknown") && unknown.contains("keep_hours"), "{unknown}");
    drop(gateway);
    drop(std::fs::remove_dir_all(&folder));
}

/// One call, ended by the visitor; its id.
fn talk(gateway: &Gateway, folder: &Path, pbx_at: IpAddr) -> String {
    let port = SOUND_PORT.to_string();
    let scenario = Pbx { address: pbx_at, scenario: "answer", keys: &[("sound_port", &port)], calls: 1, echo: false };
    let mut pbx = Sipp::start(&folder.join("pbx"), &scenario).unwrap();
    let mut visitor = visit(folder, address(NUMBER, 1), gateway);
    visitor.act("talk").unwrap();
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    let stream = Stream { tone_hz: 1_000.0, ssrc: 0x1234_5678, sequence: 7, timestamp: 77 };
    let sound = RtpPeer::start(SocketAddr::new(pbx_at, SOUND_PORT), invite.sound_at().unwrap(), stream).unwrap();
    visitor.wait_state("talking", SOON).unwrap();
    visitor.wait_hears(1_000.0).unwrap();
    visitor.running.tell("hangUp").unwrap();
    visitor.wait_state("ended", SOON).unwrap();
    pbx.wait_done(SOON).unwrap();
    drop(sound);
    // `CALL-LEG`: by it a log line is joined with its leg.
    invite.headers("Call-ID")[0].split('-').next().unwrap().to_owned()
}

/// The ladder as JSON, once the call's end is on it.
fn until_ended(gateway: &Gateway, call: &str) -> String {
    let until = Instant::now() + SOON;
    loop {
        let told = gateway.command(&["ladder", call, "--json"]).unwrap();
        if told.contains("call-ended") {
            return told;
        }
        assert!(Instant::now() < until, "the end is not on the ladder: {told}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn check_steps(view: &Value) {
    let rows = view["rows"].as_array().unwrap();
    let messages = rows.iter().filter(|row| row["message"].is_object());
    let mut steps = messages.map(|row| {
        let message = &row["message"];
        (message["sent"] == true, message["label"].as_str().unwrap_or_default())
    });
    for step in STEPS {
        assert!(steps.any(|found| found == step), "{step:?} is missing or out of order: {view:#}");
    }
    assert!(steps.any(|step| step == (false, "200 OK")), "the answer to BYE");
    let events: Vec<&str> = rows.iter().filter_map(|row| row["event"].as_str()).collect();
    let wanted =
        ["media-up", "ringing", "answered", "codec", "first-packet-in", "first-packet-out", "quality", "call-ended"];
    for event in wanted {
        assert!(events.contains(&event), "{event} is missing: {events:?}");
    }
    assert!(rows.iter().map(|row| row["at"].as_str()).is_sorted(), "one axis of time");
    let offer = rows.iter().find_map(|row| row["message"]["sdp"].as_str()).unwrap();
    assert!(offer.starts_with(&format!("PCMU {}:", address(NUMBER, 1))), "{offer}");
}

fn check_drawn(drawn: &str, pbx_at: IpAddr) {
    let names = drawn.lines().find(|line| line.contains("passerelle")).expect("the lanes' names");
    let places: Vec<Option<usize>> = ["visitor", "passerelle", "pbx"].iter().map(|name| names.find(name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{drawn}");
    // With keys of the sound the INVITE is too large for a datagram: it is tried by TCP, which this PBX does not have.
    assert!(drawn.contains(&format!("{pbx_at}:5060 tcp udp")), "{drawn}");
    let mut lines = drawn.lines();
    for (sent, label) in STEPS {
        let arrow = |line: &&str| {
            let label = format!(" {label} ");
            line.contains(&label) && line.contains(if sent { "->|" } else { "|<-" })
        };
        assert!(lines.by_ref().any(|line| arrow(&line)), "{label} is missing or out of order:\n{drawn}");
    }
    assert!(drawn.contains("visitor: connected: ICE and DTLS done") && drawn.contains("MOS "), "{drawn}");
}

fn check_secrets(raw: &str) {
    let key = raw.lines().find_map(|line| line.split("inline:").nth(1)?.split('|').next()).expect("the offer has keys");
    assert!(key.trim_end().bytes().all(|octet| octet == b'*'), "a key of the sound is readable: {key}");
}

/// Every packet of a capture file: sender, receiver, message. The file's own words are checked on the way.
fn packets(file: &[u8]) -> Vec<(SocketAddr, SocketAddr, String)> {
    let (head, mut rest) = file.split_at(24);
    assert_eq!(head, b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\x27\0\x01\0\x65\0\0\0");
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(rest[8..12].try_into().unwrap())).unwrap();
        let packet = &rest[16..16 + length];
        let two = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let ip = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        assert_eq!((packet[0], packet[9], usize::from(two(2)), usize::from(two(24))), (0x45, 17, length, length - 20));
        let text = String::from_utf8(packet[28..].to_vec()).unwrap();
        found.push(((ip(12), two(20)).into(), (ip(16), two(22)).into(), text));
        rest = &rest[16 + length..];
    }
    found
}

fn check_pcap(gateway: &Gateway, folder: &Path, call: &str, pbx_at: IpAddr) {
    let file = folder.join("call.pcap");
    let name = file.display().to_string();
    let said = gateway.command(&["ladder", call, "--pcap", &name]).unwrap();
    assert!(said.contains("Wireshark"), "{said}");
    let packets = packets(&std::fs::read(&file).unwrap());
    let (ours, theirs) = (SocketAddr::new(gateway.address, 5060), SocketAddr::new(pbx_at, 5060));
    let mut left = packets.iter();
    for (sent, label) in STEPS {
        let ends = if sent { (ours, theirs) } else { (theirs, ours) };
        let fits = |text: &str| text.strip_prefix("SIP/2.0 ").unwrap_or(text).starts_with(label);
        let found = left.any(|(from, to, text)| (*from, *to) == ends && fits(text));
        assert!(found, "{label} is missing or out of order: {packets:#?}");
    }
    let tshark = Path::new("/usr/bin/tshark");
    if !tshark.exists() {
        eprintln!("SKIPPED {}, its second reader: Debian package tshark is not installed", module_path!());
        return;
    }
    let mut command = Command::new(tshark);
    command.args(["-r", &name, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"]);
    command.args([
        "-e",
        "ip.checksum.status",
        "-e",
        "udp.checksum.status",
        "-e",
        "sip.Method",
        "-e",
        "sip.Status-Code",
    ]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), packets.len(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    // 1: the checksum was looked at and is right.
    assert!(lines.iter().all(|line| line.starts_with("1\t1\t")), "{told}");
    assert!(told.contains("INVITE") && told.contains("\t180") && told.contains("BYE"), "{told}");
}

fn check_collector(collector: &UdpSocket, call: &str) {
    let mut octets = [0; 65_536];
    let mut labels = Vec::new();
    while let Ok(length) = collector.recv(&mut octets) {
        let packet = &octets[..length];
        let has = |part: &[u8]| packet.windows(part.len()).any(|window| window == part);
        assert!(packet.starts_with(b"HEP3") && has(b"\0\0\0\x0c\0\x0a\0\0\0\x4d"), "{packet:?}");
        if has(&[b"\0\0\0\x11\0\x26", call.as_bytes()].concat()) {
            labels.extend(STEPS.iter().map(|(_, label)| *label).filter(|label| has(label.as_bytes())));
        }
    }
    for (_, label) in STEPS {
        assert!(labels.contains(&label), "the collector has not heard {label}: {labels:?}");
    }
}

/// A BYE of no call is refused, and the reason is kept with it.
fn check_refused(gateway: &Gateway) {
    let stranger = UdpSocket::bind((address(NUMBER, 7), 5060)).unwrap();
    let bye = format!(
        "BYE sip:600@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:5060;branch=z9hG4bKx\r\nFrom: <sip:a@{from}>;tag=1\r\n\
         To: <sip:600@{to}>;tag=2\r\nCall-ID: lost\r\nCSeq: 7 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        to = gateway.address,
        from = address(NUMBER, 7)
    );
    stranger.send_to(bye.as_bytes(), (gateway.address, 5060)).unwrap();
    let until = Instant::now() + SOON;
    loop {
        let told = gateway.command(&["ladder", "--refused"]).unwrap();
        if told.lines().any(|line| line.contains("BYE") && line.contains("no-dialog")) {
            break;
        }
        assert!(Instant::now() < until, "the refused BYE is not listed: {told}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let own = gateway.command(&["ladder", "lost"]).unwrap();
    assert!(own.contains("refused: no-dialog") && own.contains("481"), "{own}");
}
