//! A PBX behind a trunk that plays by no script but RFC 3261's: early media, refusals, silence, changed sessions, forks.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::rtp_peer::{self, RtpPeer, Stream};
use sip_tests::sipp::{Logged, Pbx, Sipp};
use sip_tests::tone;
use sip_tests::visitor::Visitor;

use super::need_peers;
use super::scene::{SOON, VISITOR_HZ, visit};

/// Where the PBX's sound is, when it is the test's own, and where it moves to.
const SOUND_PORT: u16 = 42_000;
const MOVED_PORT: u16 = 42_010;
/// The PBX's tone.
const PBX_HZ: f64 = 1_000.0;
/// How long a silent PBX is waited for: the queue's `ring_limit_s` in these scenes.
const RING_LIMIT: Duration = Duration::from_secs(5);
/// RFC 3261 §17.1.1.2, timer B: an INVITE nobody answers is given up after 64 × T1.
const GIVEN_UP: Duration = Duration::from_secs(32);

macro_rules! need_sipp {
    () => {
        need_peers!();
        if !Sipp::installed() {
            eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
            return;
        }
    };
}

mod extensions;
mod transfer;

/// A gateway with a trunk, a visitor, and a place for the PBX.
struct Line {
    gateway: Gateway,
    visitor: Visitor,
    folder: PathBuf,
    pbx: IpAddr,
}

impl Line {
    fn set(name: &str, number: u8) -> Self {
        Self::with(name, number, "", 20)
    }

    /// `trunk` is added to the trunk's configuration.
    fn with(name: &str, number: u8, trunk: &str, ring_limit_s: u8) -> Self {
        let folder = folder(name);
        let pbx = address(number, 3);
        let more = format!(
            "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx}\"\ncodecs = [\"pcmu\"]\n{trunk}\n\
             [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\nring_limit_s = {ring_limit_s}\n"
        );
        let gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
        let visitor = visit(&folder, address(number, 1), &gateway);
        Self { gateway, visitor, folder, pbx }
    }

    /// The PBX, whose `[sound_port]` is [`SOUND_PORT`].
    fn pbx(&self, scenario: &str, keys: &[(&str, &str)]) -> Sipp {
        let port = SOUND_PORT.to_string();
        let keys: Vec<(&str, &str)> =
            std::iter::once(("sound_port", port.as_str())).chain(keys.iter().copied()).collect();
        Sipp::start(&self.folder.join("pbx"), &Pbx { address: self.pbx, scenario, keys: &keys, calls: 1, echo: false })
            .unwrap()
    }

    /// The PBX's sound towards where an SDP of the gateway wants it.
    fn sound(&self, port: u16, towards: &Logged, ssrc: u32) -> RtpPeer {
        self.tone(PBX_HZ, port, towards, ssrc)
    }

    /// The same with a tone of its own.
    fn tone(&self, tone_hz: f64, port: u16, towards: &Logged, ssrc: u32) -> RtpPeer {
        let to = towards.sound_at().expect("an address for sound");
        let stream = Stream { tone_hz, ssrc, sequence: ssrc as u16, timestamp: ssrc.rotate_left(7) };
        RtpPeer::start(SocketAddr::new(self.pbx, port), to, stream).unwrap()
    }

    /// Up to the moment when both hear each other.
    fn talk(&mut self, pbx: &Sipp) -> RtpPeer {
        self.visitor.act("talk").unwrap();
        let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
        let sound = self.sound(SOUND_PORT, &invite, 0x1234_5678);
        self.visitor.wait_state("talking", SOON).unwrap();
        self.hear_each_other(&sound);
        sound
    }

    fn hear_each_other(&mut self, sound: &RtpPeer) {
        self.visitor.wait_hears(PBX_HZ).unwrap();
        pbx_hears_visitor(sound);
    }

    fn hang_up(&mut self, pbx: &mut Sipp) {
        // The page may say that it has ended before the driver says that it has hung up.
        self.visitor.running.tell("hangUp").unwrap();
        self.visitor.wait_state("ended", SOON).unwrap();
        pbx.wait_done(SOON).unwrap();
    }

    /// The newest of `count` records, once it is kept.
    fn record(&self, count: usize, limit: Duration) -> Value {
        let until = Instant::now() + limit;
        loop {
            let records = self.gateway.calls().unwrap();
            if records.len() >= count {
                return records.into_iter().max_by_key(|record| record["started"].to_string()).unwrap();
            }
            assert!(Instant::now() < until, "the record is not kept: {records:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn state_was_told(&self, state: &str) -> bool {
        self.visitor.running.all().contains(&format!("\"state\":\"{state}\""))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn pbx_hears_visitor(sound: &RtpPeer) {
    let until = Instant::now() + SOON;
    loop {
        let share = tone::share_at(&tone::tail(&sound.heard(), 1.0), VISITOR_HZ);
        if share > 0.8 {
            return;
        }
        assert!(
            Instant::now() < until,
            "the PBX should hear {VISITOR_HZ} Hz; its share of what it hears is {share:.2}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn write_ulaw(path: &Path, frequency_hz: f64) {
    let tone = tone::sine(8_000, frequency_hz, 4.0);
    let bytes: Vec<u8> = tone.samples.into_iter().map(rtp_peer::encode).collect();
    std::fs::write(path, bytes).unwrap();
}

fn cause(record: &Value) -> &str {
    record["cause"].as_str().unwrap_or_default()
}

#[test]
fn what_the_pbx_says_before_it_answers_is_heard() {
    need_sipp!();
    let mut line = Line::set("sipp-early", 41);
    let (early, answered) = (line.folder.join("early.ulaw"), line.folder.join("answered.ulaw"));
    write_ulaw(&early, 700.0);
    write_ulaw(&answered, PBX_HZ);
    let mut pbx =
        line.pbx("early", &[("early", &early.display().to_string()), ("answered", &answered.display().to_string())]);
    line.visitor.act("talk").unwrap();
    line.visitor.wait_state("ringing", SOON).unwrap();
    line.visitor.wait_hears(700.0).unwrap();
    assert!(!line.state_was_told("talking"), "nobody has answered yet");
    pbx.nudge(&[]).unwrap();
    line.visitor.wait_state("talking", SOON).unwrap();
    line.visitor.wait_hears(PBX_HZ).unwrap();
    line.hang_up(&mut pbx);
    assert_eq!(cause(&line.record(1, SOON)), "normal");
}

#[test]
fn each_refusal_has_its_cause_and_its_sentence() {
    need_sipp!();
    let mut line = Line::set("sipp-refused", 42);
    let refusals = [
        ("486 Busy Here", "busy"),
        ("600 Busy Everywhere", "busy"),
        ("603 Decline", "refused"),
        ("404 Not Found", "not-found"),
        ("503 Service Unavailable", "unreachable"),
        ("488 Not Acceptable Here", "incompatible-media"),
    ];
    let mut sentences = std::collections::BTreeSet::new();
    for (count, (status, expected)) in refusals.into_iter().enumerate() {
        let mut pbx = line.pbx("refuse", &[("status", status)]);
        line.visitor.act("talk").unwrap();
        let told = line.visitor.wait_state("failed", SOON).unwrap();
        assert_eq!(told["code"], expected, "{status}: {told}");
        let sentence = told["sentence"].as_str().unwrap_or_default().to_owned();
        assert!(sentence.len() > 10 && !sentence.contains("SIP"), "{status}: a sentence for a person: {told}");
        sentences.insert(sentence);
        let record = line.record(count + 1, SOON);
        assert_eq!((cause(&record), &record["answered"]), (expected, &Value::Null), "{status}: {record}");
        pbx.wait_done(SOON).unwrap();
    }
    assert_eq!(sentences.len(), 5, "one sentence a cause: {sentences:?}");
}

#[test]
fn the_invite_carries_the_tag_once_and_readably() {
    need_sipp!();
    let mut line = Line::set("sipp-tag", 43);
    let mut pbx = line.pbx("answer", &[]);
    let _sound = line.talk(&pbx);
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    let tags = invite.headers("User-to-User");
    assert_eq!(tags.len(), 1, "{}", invite.text);
    let (octets, parameter) = tags[0].split_once(';').expect("parameters");
    assert_eq!(parameter, "encoding=hex");
    assert!(octets.len() == 64 && octets.bytes().all(|byte| byte.is_ascii_hexdigit()), "32 octets: {octets}");
    let readable = |name: &str| {
        let values = invite.headers(&format!("X-Passerelle-{name}"));
        assert_eq!(values.len(), 1, "X-Passerelle-{name}: {}", invite.text);
        values[0].to_owned()
    };
    assert_eq!(readable("Tag"), octets.get(..32).unwrap_or_default());
    assert_eq!((readable("Tenant"), readable("Queue")), ("shop".to_owned(), "support".to_owned()));
    assert_eq!(readable("Title"), "Basket \u{2014} the \"shop\"");
    assert!(readable("Page").ends_with("/basket"), "the page without its query");
    assert_eq!(readable("Session").len(), 32);
    assert!(readable("Language").starts_with("en"));
    assert!(readable("Time").ends_with('Z'));
    assert!(!invite.text.contains("secret"), "{}", invite.text);
    let from = invite.headers("From");
    assert!(from[0].starts_with("\"Basket \u{2014} the \\\"shop\\\"\" <sip:"), "{from:?}");
    line.hang_up(&mut pbx);
    let record = line.record(1, SOON);
    assert_eq!(record["tag"], octets.get(..32).unwrap_or_default());
}

#[test]
fn a_trunk_that_is_to_see_nothing_sees_nothing() {
    need_sipp!();
    let mut line = Line::with("sipp-no-tag", 44, "headers = []", 20);
    let mut pbx = line.pbx("answer", &[]);
    let _sound = line.talk(&pbx);
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    for word in ["user-to-user", "x-passerelle", "basket", "secret"] {
        assert!(!invite.text.to_lowercase().contains(word), "{word} in\n{}", invite.text);
    }
    line.hang_up(&mut pbx);
}

/// A call to a PBX that says nothing: the visitor hears so, the record says so, and the next call is not worse off.
fn nobody_there(mut line: Line, limit: Duration) {
    for count in 1..=2 {
        line.visitor.act("talk").unwrap();
        let told = line.visitor.wait_state("failed", limit).unwrap();
        assert_eq!(told["code"], "unreachable", "{told}");
        assert!(told["sentence"].as_str().is_some_and(|sentence| sentence.len() > 10), "{told}");
        let record = line.record(count, GIVEN_UP + SOON);
        assert_eq!((cause(&record), record["hung_up_by"].as_str()), ("unreachable", Some("gateway")), "{record}");
    }
    assert!(!line.state_was_told("ringing") && !line.state_was_told("talking"));
    assert_eq!(line.gateway.metric("passerelle_calls_live"), Some(0.0));
}

#[test]
fn a_pbx_whose_port_is_closed_is_unreachable() {
    need_sipp!();
    nobody_there(Line::with("sipp-closed", 45, "", 5), RING_LIMIT + SOON);
}

#[test]
fn a_pbx_that_takes_everything_and_says_nothing_is_unreachable() {
    need_sipp!();
    let line = Line::with("sipp-silent", 46, "", 5);
    let _deaf = UdpSocket::bind((line.pbx, 5060)).unwrap();
    nobody_there(line, RING_LIMIT + SOON);
}

#[test]
fn a_pbx_whose_tcp_port_is_closed_is_unreachable_at_once() {
    need_sipp!();
    let name = "sipp-closed-tcp";
    let folder = folder(name);
    let pbx = address(47, 3);
    let more = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx};transport=tcp\"\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\nring_limit_s = 60\n"
    );
    let gateway = Gateway::start(&folder, address(47, 1), &more).unwrap();
    let visitor = visit(&folder, address(47, 1), &gateway);
    nobody_there(Line { gateway, visitor, folder, pbx }, SOON);
}

#[test]
fn sound_follows_the_pbx_to_another_port_and_source() {
    need_sipp!();
    let mut line = Line::set("sipp-moves", 48);
    let mut pbx = line.pbx("change", &[]);
    let first = line.talk(&pbx);
    let ours = first.sources();
    pbx.nudge(&change(1, MOVED_PORT, line.pbx, "sendrecv")).unwrap();
    let accepted = pbx.wait_received("SIP/2.0 200", 1, SOON).unwrap();
    drop(first);
    let second = line.sound(MOVED_PORT, &accepted, 0xfeed_0001);
    line.hear_each_other(&second);
    assert_eq!(second.sources(), ours, "towards the PBX it stays one stream");
    // Back, with its numbers starting anew.
    pbx.nudge(&change(2, SOUND_PORT, line.pbx, "sendrecv")).unwrap();
    let accepted = pbx.wait_received("SIP/2.0 200", 2, SOON).unwrap();
    drop(second);
    let third = line.sound(SOUND_PORT, &accepted, 0x0000_0007);
    line.hear_each_other(&third);
    line.hang_up(&mut pbx);
    assert_eq!(cause(&line.record(1, SOON)), "normal");
}

/// The headers of a nudge that makes the PBX change the session.
fn change(number: u8, port: u16, at: IpAddr, direction: &'static str) -> [(&'static str, &'static str); 4] {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    [
        ("X-Number", leak(number.to_string())),
        ("X-Port", leak(port.to_string())),
        ("X-Address", leak(at.to_string())),
        ("X-Direction", direction),
    ]
}

#[test]
fn every_way_to_hold_is_shown_and_left_again() {
    need_sipp!();
    let mut line = Line::set("sipp-hold", 49);
    let mut pbx = line.pbx("change", &[]);
    let sound = line.talk(&pbx);
    let nowhere = IpAddr::from([0, 0, 0, 0]);
    let holds = [("sendonly", line.pbx, "recvonly"), ("inactive", line.pbx, "inactive"), ("sendrecv", nowhere, "")];
    for (at, (direction, hold_at, answered)) in holds.into_iter().enumerate() {
        let number = u8::try_from(at * 2 + 1).unwrap();
        pbx.nudge(&change(number, SOUND_PORT, hold_at, direction)).unwrap();
        let answer = pbx.wait_received("SIP/2.0 200", usize::from(number), SOON).unwrap();
        assert!(
            answer.text.contains(&format!("a={answered}")),
            "RFC 3264 §6.1: {direction} is answered by {answered}:\n{}",
            answer.text
        );
        line.visitor.wait_state("held", SOON).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        pbx.nudge(&change(number + 1, SOUND_PORT, line.pbx, "sendrecv")).unwrap();
        pbx.wait_received("SIP/2.0 200", usize::from(number) + 1, SOON).unwrap();
        line.visitor.wait_state("talking", SOON).unwrap();
        line.hear_each_other(&sound);
    }
    line.hang_up(&mut pbx);
}

#[test]
fn a_hold_is_left_by_an_answer_in_the_ack() {
    need_sipp!();
    let mut line = Line::set("sipp-delayed", 52);
    let mut pbx = line.pbx("delayed", &[]);
    let sound = line.talk(&pbx);
    pbx.nudge(&[]).unwrap();
    line.visitor.wait_state("held", SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    pbx.nudge(&[]).unwrap();
    let offer = pbx.wait_received("SIP/2.0 200", 2, SOON).unwrap();
    assert!(offer.text.contains("m=audio"), "the offer is ours:\n{}", offer.text);
    line.visitor.wait_state("talking", SOON).unwrap();
    line.hear_each_other(&sound);
    line.hang_up(&mut pbx);
}

#[test]
fn the_pbx_hangs_up_and_says_why() {
    need_sipp!();
    let mut line = Line::set("sipp-bye", 50);
    let mut pbx = line.pbx("hangup", &[("wait", "<recv request=\"INFO\"/>")]);
    let _sound = line.talk(&pbx);
    pbx.nudge(&[]).unwrap();
    line.visitor.wait_state("ended", SOON).unwrap();
    pbx.wait_done(SOON).unwrap();
    let record = line.record(1, SOON);
    assert_eq!((cause(&record), record["hung_up_by"].as_str()), ("normal", Some("agent")), "{record}");
}

#[test]
fn a_second_answer_is_acknowledged_and_only_the_other_branch_ended() {
    need_sipp!();
    let mut line = Line::set("sipp-fork", 51);
    let mut pbx = line.pbx("twice", &[]);
    let sound = line.talk(&pbx);
    pbx.nudge(&[]).unwrap();
    let bye = pbx.wait_received("BYE", 1, SOON).unwrap();
    assert!(bye.headers("To")[0].contains("tag=other"), "{}", bye.text);
    let acks: Vec<Logged> =
        pbx.messages().into_iter().filter(|message| message.received && message.text.starts_with("ACK")).collect();
    let tags: Vec<bool> = acks.iter().map(|ack| ack.headers("To")[0].contains("tag=other")).collect();
    assert_eq!(tags, [false, false, true], "each 200 has its ACK");
    line.hear_each_other(&sound);
    assert!(!line.state_was_told("ended"), "the call goes on");
    line.hang_up(&mut pbx);
    let bye = pbx.wait_received("BYE", 2, SOON).unwrap();
    assert!(bye.headers("To")[0].contains("tag=pbx"), "{}", bye.text);
    assert_eq!(line.gateway.calls().unwrap().len(), 1);
}
