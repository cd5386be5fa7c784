//! DTLS with OpenSSL, which shares no line with ours: both roles, each datagram lost once, keys compared.
//!
//! ```text
//! openssl s_client / s_server <── UDP on 127.0.0.1 ──> this test ──> BrowserLeg, in memory
//! ```
//! Skipped, saying so, where there is no `openssl` program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dimpl::{KeyingMaterial, SrtpProfile};
use media::CodecKind;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_USE_CANDIDATE};

use super::hostile::check;
use super::visitor::{browser, config, rtp};
use crate::{BrowserEvent, BrowserLeg, Certificate, FailReason, Received};

const PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";

/// How OpenSSL announces what it exports.
const KEYS: &str = "Keying material: ";

/// A foreign process takes real time.
#[expect(clippy::disallowed_methods, reason = "the other side is a process with a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

/// Key and certificate files, gone with the value.
struct Identity {
    folder: PathBuf,
    fingerprint: String,
}

impl Identity {
    /// `None` where there is no `openssl`.
    fn new(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("passerelle-dtls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).ok()?;
        let mut identity = Self { folder, fingerprint: String::new() };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=visitor", "-keyout"])
            .arg(identity.file("key.pem"))
            .arg("-out")
            .arg(identity.file("cert.pem"))
            .output()
            .ok()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let shown = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(identity.file("cert.pem"))
            .output()
            .ok()?;
        let shown = String::from_utf8_lossy(&shown.stdout);
        identity.fingerprint = shown.trim().rsplit('=').next().unwrap_or_default().to_owned();
        Some(identity)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn offer(&self, setup: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n\
             a=rtpmap:111 opus/48000/2\r\na=ice-ufrag:them\r\na=ice-pwd:0123456789012345678901\r\n\
             a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=rtcp-mux\r\na=ssrc:42 cname:x\r\n",
            self.fingerprint
        )
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The foreign process, its words, and the socket it speaks with.
struct Foreign {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
    socket: UdpSocket,
    address: Option<SocketAddr>,
}

impl Foreign {
    /// `waits`: a server, which we call; else a client, which calls us.
    fn start(identity: &Identity, waits: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut command = Command::new("openssl");
        let mut address = None;
        if waits {
            let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            command.args(["s_server", "-Verify", "1", "-accept", &free.port().to_string()]);
            address = Some(free);
        } else {
            command.args(["s_client", "-connect", &socket.local_addr().unwrap().to_string()]);
        }
        let mut child = command
            // WebRTC stacks set this too. With a smaller one OpenSSL cuts what it repeats in other places than
            // the first time, and `dimpl` puts together a DTLS 1.2 message only of pieces that fit end to end.
            .args([
                "-mtu",
                "1200",
                "-dtls1_2",
                "-use_srtp",
                PROFILES,
                "-keymatexport",
                "EXTRACTOR-dtls_srtp",
                "-keymatexportlen",
                "60",
            ])
            .arg("-cert")
            .arg(identity.file("cert.pem"))
            .arg("-key")
            .arg(identity.file("key.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let (words, lines) = mpsc::channel();
        #[expect(clippy::disallowed_methods, reason = "reads what a process writes")]
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if words.send(line).is_err() {
                    return;
                }
            }
        });
        let mut foreign = Self { child, stdin, lines, said: Vec::new(), socket, address };
        let end = now() + Duration::from_secs(10);
        while waits && foreign.line_with("ACCEPT").is_none() {
            assert!(now() < end, "the server does not start: {:?}", foreign.said);
        }
        foreign
    }

    /// A line with this in it, if it has been said by now.
    fn line_with(&mut self, part: &str) -> Option<String> {
        self.said.extend(self.lines.recv_timeout(Duration::from_millis(1)));
        self.said.extend(self.lines.try_iter());
        self.said.iter().find(|line| line.contains(part)).cloned()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One handshake with the `lost`-th datagram thrown away; gives the leg, and how many datagrams there were.
fn shake_hands(foreign: &mut Foreign, offer: &str, lost: u32) -> (BrowserLeg, Vec<BrowserEvent>, u32) {
    let certificate = Certificate::generate().unwrap();
    let (mut leg, answer) = BrowserLeg::accept(offer, config(&[CodecKind::Opus]), &certificate, now()).unwrap();
    let password = answer.lines().find_map(|l| l.strip_prefix("a=ice-pwd:")).unwrap();
    let good = check(leg.ufrag(), password, ATTR_ICE_CONTROLLING, &[(ATTR_USE_CANDIDATE, &[])]);
    assert_eq!(leg.handle_datagram(browser(), None, &good, now()), Received::Nothing);
    assert!(leg.poll_transmit().is_some_and(|t| t.bytes[..2] == [1, 1]), "the check is answered first");
    let (mut events, mut count) = (Vec::new(), 0);
    let arrives = |count: &mut u32| {
        *count += 1;
        *count != lost
    };
    let end = now() + Duration::from_secs(10);
    let mut buffer = [0; 4_096];
    while now() < end && !leg.is_ended() {
        while let Some(transmit) = leg.poll_transmit() {
            if let Some(address) = foreign.address.filter(|_| arrives(&mut count)) {
                foreign.socket.send_to(&transmit.bytes, address).unwrap();
            }
        }
        events.extend(std::iter::from_fn(|| leg.poll_event()));
        if let Ok((length, source)) = foreign.socket.recv_from(&mut buffer) {
            foreign.address = Some(source);
            if arrives(&mut count) {
                assert_eq!(leg.handle_datagram(browser(), None, &buffer[..length], now()), Received::Nothing);
            }
        } else if leg.is_connected() && foreign.line_with(KEYS).is_some() {
            break;
        }
        if leg.poll_timeout().is_some_and(|(at, _)| at <= now()) {
            leg.handle_timeout(now());
        }
    }
    events.extend(std::iter::from_fn(|| leg.poll_event()));
    (leg, events, count)
}

/// The keys OpenSSL shows are the leg's: what one protects the other opens.
fn compare_keys(foreign: &mut Foreign, leg: &mut BrowserLeg, foreign_is_client: bool) {
    let profile = foreign.line_with("profile=").expect("openssl names the profile");
    assert!(profile.ends_with("SRTP_AEAD_AES_128_GCM"), "{profile}");
    let shown = foreign.line_with(KEYS).expect("openssl shows the keys");
    let digits = shown.trim().rsplit(' ').next().unwrap();
    let material: Vec<u8> =
        (0..digits.len() / 2).map(|i| u8::from_str_radix(digits.get(2 * i..2 * i + 2).unwrap(), 16).unwrap()).collect();
    let material = KeyingMaterial::new(&material);
    let mut theirs = crate::keys::srtp(&material, SrtpProfile::AEAD_AES_128_GCM, foreign_is_client, &[]).unwrap();
    let spoken = rtp(111, 1, 42, &[1, 2, 3]);
    let protected = theirs.protect_rtp(&spoken).unwrap().to_vec();
    assert_eq!(leg.handle_datagram(browser(), None, &protected, now()), Received::Rtp(&spoken));
    let ours = rtp(111, 1, leg.plan().ssrc.0, &[4, 5, 6]);
    let (_, protected) = leg.protect_rtp(&ours, now()).unwrap();
    assert_eq!(theirs.open_rtp(protected), Ok(&ours[..]));
}

#[test]
fn openssl_and_we_agree_on_keys_in_both_roles_whatever_datagram_is_lost() {
    let Some(identity) = Identity::new("keys") else {
        println!("SKIPPED: no openssl program here");
        return;
    };
    for (waits, setup) in [(false, "active"), (true, "passive")] {
        let mut most = 0;
        for lost in 0..=8 {
            // The second datagram of an OpenSSL server is a HelloVerifyRequest, which nobody repeats: it waits for
            // a new ClientHello, and `dimpl` repeats the old one under its old record number, a replay in
            // OpenSSL's eyes. No browser asks for a cookie.
            if waits && lost == 2 {
                continue;
            }
            let mut foreign = Foreign::start(&identity, waits);
            let (mut leg, events, count) = shake_hands(&mut foreign, &identity.offer(setup), lost);
            assert!(matches!(events[..], [BrowserEvent::Connected { .. }]), "{setup}, datagram {lost}: {events:?}");
            if let Some(stdin) = &mut foreign.stdin {
                // A line of application data: nobody asked for any, so it disturbs nothing.
                drop(stdin.write_all(b"hello\n"));
            }
            compare_keys(&mut foreign, &mut leg, !waits);
            most = most.max(count);
        }
        assert!(most >= 4, "{setup}: {most} datagrams");
    }
}

#[test]
fn openssl_with_another_certificate_is_refused_in_both_roles() {
    let (Some(announced), Some(shown)) = (Identity::new("announced"), Identity::new("shown")) else {
        println!("SKIPPED: no openssl program here");
        return;
    };
    for (waits, setup) in [(false, "active"), (true, "passive")] {
        let mut foreign = Foreign::start(&shown, waits);
        let (mut leg, events, _) = shake_hands(&mut foreign, &announced.offer(setup), 0);
        assert_eq!(events, [BrowserEvent::Failed(FailReason::FingerprintMismatch)], "{setup}");
        assert_eq!(leg.protect_rtp(&rtp(111, 1, 1, &[1]), now()), None);
    }
}
