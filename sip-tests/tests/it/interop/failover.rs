//! Trunks with several targets: one is killed, silent, full or started anew, and DNS does not answer.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sip_tests::baresip::{Baresip, Phone};
use sip_tests::dns::{DnsServer, Record};
use sip_tests::gateway::{Gateway, Tables, address, folder};
use sip_tests::kamailio::Kamailio;
use sip_tests::rtp_peer::{RtpPeer, Stream};
use sip_tests::sipp::{Logged, Pbx, Sipp};
use sip_tests::tone;
use sip_tests::visitor::Visitor;

use super::callback::{NUMBER, OWN_AGENT, configuration, seat};
use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, VISITOR_HZ, phone, visit, wait_share};

/// A call that meets silence must be at the next target by then.
const NEXT_TARGET_LIMIT: Duration = Duration::from_secs(4);
const SOUND_PORT: u16 = 42_000;
const PBX_HZ: f64 = 1_000.0;

macro_rules! need_sipp {
    () => {
        need_peers!();
        if !Sipp::installed() || !Kamailio::installed() {
            eprintln!("SKIPPED {}: Debian packages sip-tester and kamailio are not both installed", module_path!());
            return;
        }
    };
}

/// An address whose PBX is dead, or says one and the same thing: it writes down what comes and when.
struct Address {
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Address {
    /// `says` is the status line of its answer to an INVITE, with more headers; `None`: it is dead.
    fn hold(ip: IpAddr, says: Option<&'static str>) -> Self {
        let socket = UdpSocket::bind((ip, 5_060)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while Arc::strong_count(&kept) > 1 {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if let Some(says) = says.filter(|_| text.starts_with("INVITE")) {
                    let copied = text.lines().filter(|line| {
                        ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
                    });
                    let head: String = copied.map(|line| format!("{line}\r\n")).collect();
                    let answer = format!("SIP/2.0 {says}\r\n{head}Content-Length: 0\r\n\r\n");
                    socket.send_to(answer.as_bytes(), from).unwrap();
                }
                kept.lock().unwrap().push((Instant::now(), text));
            }
        });
        Self { heard }
    }

    fn got(&self, method: &str) -> Vec<(Instant, String)> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(_, text)| text.starts_with(method)).cloned().collect()
    }

    fn wait(&self, method: &str) -> Instant {
        let until = Instant::now() + SOON;
        loop {
            if let Some((at, _)) = self.got(method).first() {
                return *at;
            }
            assert!(Instant::now() < until, "no {method} came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

/// A gateway whose one trunk has these lines, and a visitor.
struct Line {
    gateway: Gateway,
    visitor: Visitor,
    folder: PathBuf,
    number: u8,
}

impl Line {
    fn set(name: &str, number: u8, trunk: &str) -> Self {
        Self::with(name, number, trunk, "")
    }

    /// `sip` is added to the table of that name.
    fn with(name: &str, number: u8, trunk: &str, sip: &str) -> Self {
        let folder = folder(name);
        let more = format!(
            "{trunk}\n[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\nring_limit_s = 25\n"
        );
        let tables = Tables { sip, ..Tables::default() };
        let gateway = Gateway::start_with(&folder, address(number, 1), &more, tables).unwrap();
        let visitor = visit(&folder, address(number, 1), &gateway);
        Self { gateway, visitor, folder, number }
    }

    fn pbx(&self, party: u8, calls: u32) -> Sipp {
        pbx(&self.folder.join(format!("pbx{party}")), address(self.number, party), calls)
    }

    /// The PBX that got this INVITE and the visitor hear each other.
    fn hear_each_other(&mut self, party: u8, invite: &Logged, ssrc: u32) -> RtpPeer {
        let stream = Stream { tone_hz: PBX_HZ, ssrc, sequence: 1, timestamp: 1 };
        let at = SocketAddr::new(address(self.number, party), SOUND_PORT);
        let sound = RtpPeer::start(at, invite.sound_at().expect("an address for sound"), stream).unwrap();
        self.visitor.wait_state("talking", SOON).unwrap();
        self.visitor.wait_hears(PBX_HZ).unwrap();
        let until = Instant::now() + SOON;
        while tone::share_at(&tone::tail(&sound.heard(), 1.0), VISITOR_HZ) < 0.8 {
            assert!(Instant::now() < until, "the PBX should hear the visitor");
            std::thread::sleep(Duration::from_millis(200));
        }
        sound
    }

    fn hang_up(&mut self) {
        self.visitor.running.tell("hangUp").unwrap();
        self.visitor.wait_state("ended", SOON).unwrap();
        self.visitor.running.wait_for("\"done\":\"hangUp\"", SOON).unwrap();
    }

    fn wait_metric(&self, name: &str, value: f64, limit: Duration) {
        let until = Instant::now() + limit;
        while self.gateway.metric(name) != Some(value) {
            assert!(Instant::now() < until, "{name} is {:?}, not {value}", self.gateway.metric(name));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What `passerelle trunk list` says, once it says this.
    fn wait_told(&self, what: &str) -> String {
        let until = Instant::now() + SOON;
        loop {
            let told = self.gateway.command(&["trunk", "list"]).unwrap();
            if told.contains(what) {
                return told;
            }
            assert!(Instant::now() < until, "{what:?} is not told: {told}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn pbx(folder: &Path, address: IpAddr, calls: u32) -> Sipp {
    let port = SOUND_PORT.to_string();
    Sipp::start(folder, &Pbx { address, scenario: "answer", keys: &[("sound_port", &port)], calls, echo: false })
        .unwrap()
}

/// `uri` by a name that nobody looks up: the targets say where.
fn targets(number: u8, more: &str) -> String {
    format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:pbx.test\"\ncodecs = [\"pcmu\"]\n\
         targets = [\"sip:{};priority=1\", \"sip:{};priority=2\"]\n{more}",
        address(number, 3),
        address(number, 4)
    )
}

#[test]
fn a_call_to_a_killed_pbx_is_at_the_other_within_four_seconds() {
    need_sipp!();
    let mut line = Line::set("failover-killed", 110, &targets(110, ""));
    let mut first = line.pbx(3, 1);
    first.running.signal("KILL").unwrap();
    first.running.wait_end(SOON).unwrap();
    let dead = Address::hold(address(110, 3), None);
    let second = line.pbx(4, 1);
    line.visitor.act("talk").unwrap();
    let sent = dead.wait("INVITE");
    let invite = second.wait_received("INVITE", 1, SOON).unwrap();
    assert!(sent.elapsed() < NEXT_TARGET_LIMIT, "{:?} after the first INVITE", sent.elapsed());
    let _sound = line.hear_each_other(4, &invite, 7);
    assert_eq!(line.gateway.metric("passerelle_trunk_failovers_total{trunk=\"pbx\"}"), Some(1.0));
    // RFC 3263 §4.3: another transaction; and nothing more for the first, which would ring late.
    let at_first = dead.got("INVITE");
    assert_eq!(header(&at_first[0].1, "Call-ID:"), invite.headers("Call-ID")[0]);
    assert_ne!(header(&at_first[0].1, "Via:"), invite.headers("Via")[0]);
    assert_ne!(header(&at_first[0].1, "From:"), invite.headers("From")[0]);
    line.hang_up();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(dead.got("INVITE").len(), at_first.len());
}

#[test]
fn a_pbx_that_said_100_keeps_the_call_and_no_other_is_rung() {
    need_sipp!();
    let mut line = Line::set("failover-word", 111, &targets(111, ""));
    let (first, second) =
        (Address::hold(address(111, 3), Some("100 Trying")), Address::hold(address(111, 4), Some("100 Trying")));
    line.visitor.act("talk").unwrap();
    first.wait("INVITE");
    std::thread::sleep(2 * NEXT_TARGET_LIMIT);
    assert!(second.got("INVITE").is_empty(), "two phones would ring");
    line.visitor.running.tell("hangUp").unwrap();
    first.wait("CANCEL");
    assert!(second.got("").is_empty());
}

#[test]
fn a_503_goes_to_the_next_and_is_left_alone_for_as_long_as_it_says() {
    need_sipp!();
    let mut line = Line::set("failover-503", 112, &targets(112, "calls_max = 1"));
    let full = Address::hold(address(112, 3), Some("503 Service Unavailable\r\nRetry-After: 60"));
    let second = line.pbx(4, 2);
    for call in 1..=2 {
        line.visitor.act("talk").unwrap();
        let invite = second.wait_received("INVITE", call, SOON).unwrap();
        let sound = line.hear_each_other(4, &invite, u32::try_from(call).unwrap());
        // The one line of the trunk is taken.
        let health: serde_json::Value = serde_json::from_str(&line.gateway.get("/readyz").unwrap().1).unwrap();
        assert!(health["ok"].as_bool().unwrap(), "{health}");
        line.hang_up();
        drop(sound);
    }
    assert_eq!(full.got("INVITE").len(), 1, "not asked again");
    let told = line.wait_told("degraded");
    assert!(told.contains("1 of 2 targets") && told.contains("503"), "{told}");
}

#[test]
fn a_registrar_started_anew_is_noticed_and_registered_at_again() {
    need_sipp!();
    let place = address(113, 3);
    let kamailio_at = folder("failover-kamailio");
    let kamailio = Kamailio::start(&kamailio_at, place).unwrap();
    let secret = kamailio_at.join("trunk");
    std::fs::write(&secret, "pbx-secret").unwrap();
    let trunk = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{place}\"\nregister = true\nusername = \"passerelle\"\n\
         realm = \"{place}\"\npassword_file = \"{}\"\noptions_interval_s = 1\n",
        secret.display()
    );
    let mut line = Line::set("failover-restart", 113, &trunk);
    let up = format!("passerelle_trunk_up{{target=\"pbx/{place}:5060\"}}");
    line.wait_metric(&up, 1.0, SOON);
    line.wait_told("up since");
    let told = line.wait_told("; registered since");
    assert!(told.starts_with("pbx") && told.contains(" ok ") && told.contains("up since"), "{told}");
    drop(kamailio);
    line.wait_metric(&up, 0.0, 2 * SOON);
    let told = line.wait_told("down since");
    assert!(told.contains("no answer to OPTIONS") && told.contains("check that the PBX runs"), "{told}");
    let asked = Instant::now();
    line.visitor.act("talk").unwrap();
    let ended = line.visitor.wait_state("failed", SOON).unwrap();
    assert_eq!(ended["code"], "unreachable", "{ended}");
    assert!(asked.elapsed() < NEXT_TARGET_LIMIT, "refused at once, without an INVITE: {:?}", asked.elapsed());
    let mut again = Kamailio::start(&kamailio_at, place).unwrap();
    // Granted was two minutes: it is not waited for.
    again.running.wait_for("saved passerelle", SOON).unwrap();
    line.wait_metric(&up, 1.0, SOON);
    line.wait_told(" ok ");
    drop(std::fs::remove_dir_all(&kamailio_at));
}

#[test]
fn dns_that_refuses_is_told_waited_for_and_outlived() {
    need_sipp!();
    let dns = DnsServer::start(SocketAddr::new(address(114, 9), 5_353)).unwrap();
    let trunk = "[[trunk]]\nname = \"pbx\"\nuri = \"sip:pbx.test\"\ncodecs = [\"pcmu\"]\n";
    let asked = format!("dns = [\"{}\"]", dns.address);
    let mut line = Line::with("failover-dns", 114, trunk, &asked);
    let told = line.wait_told("DNS");
    assert!(told.contains("bad") && told.to_lowercase().contains("refused"), "{told}");
    let text = str::to_owned;
    dns.serve(
        5,
        &[
            ("pbx.test", Record::Naptr(10, 10, text("s"), text("SIP+D2U"), text("_sip._udp.pbx.test"))),
            ("_sip._udp.pbx.test", Record::Srv(10, 0, 5_060, text("a.pbx.test"))),
            ("_sip._udp.pbx.test", Record::Srv(20, 0, 5_060, text("b.pbx.test"))),
            ("a.pbx.test", Record::Address(address(114, 3))),
            ("b.pbx.test", Record::Address(address(114, 4))),
        ],
    );
    // Nobody starts it anew: it asks again, half a minute apart at the most.
    let until = Instant::now() + Duration::from_secs(40);
    while !line.gateway.command(&["trunk", "list"]).unwrap().contains("2 of 2 targets") {
        assert!(Instant::now() < until, "{}", line.gateway.command(&["trunk", "list"]).unwrap());
        std::thread::sleep(Duration::from_millis(200));
    }
    let dead = Address::hold(address(114, 3), None);
    let second = line.pbx(4, 2);
    line.visitor.act("talk").unwrap();
    let sent = dead.wait("INVITE");
    let invite = second.wait_received("INVITE", 1, SOON).unwrap();
    assert!(sent.elapsed() < NEXT_TARGET_LIMIT, "{:?} after the first INVITE", sent.elapsed());
    drop(line.hear_each_other(4, &invite, 1));
    line.hang_up();
    // The time of all answers passes, and DNS refuses: the last ones serve.
    dns.refuse();
    line.wait_metric("passerelle_dns_stale_total", 1.0, 2 * SOON);
    line.wait_told("its last answers serve");
    line.visitor.act("talk").unwrap();
    let invite = second.wait_received("INVITE", 2, SOON).unwrap();
    drop(line.hear_each_other(4, &invite, 2));
    line.hang_up();
    assert!(dns.questions().len() < 200, "asked without pause");
}

/// What is written of a try before its INVITE leaves is written again before the second leaves, and one phone rings once.
#[test]
fn a_call_back_whose_trunk_is_silent_reaches_the_customer_by_the_next_target() {
    need_sipp!();
    const CUSTOMER_HZ: u32 = 700;
    let number = 115;
    let folder = folder("failover-callback");
    let customer_at = address(number, 3);
    let port = sip_tests::baresip::sip_port(customer_at);
    let targets = format!(
        "codecs = [\"pcma\"]\ntargets = [\"sip:{};priority=1\", \"sip:127.0.0.1:{port};priority=2\"]",
        address(number, 4)
    );
    let more =
        configuration(OWN_AGENT, "rings_first = \"agent\"\n", customer_at).replace("codecs = [\"pcma\"]", &targets);
    let gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
    let setting = Setting::new("failover-callback", number);
    let dead = Address::hold(address(number, 4), None);
    let mut agent = seat(&folder.join("agent"), setting);
    let customer = Phone {
        user: "+33612345678",
        password: "none",
        codecs: "PCMA/8000/1",
        tone_hz: CUSTOMER_HZ,
        auto_answer: true,
        ..phone(customer_at, "127.0.0.1".to_owned(), "", "", setting)
    };
    let mut customer = Baresip::start(&folder.join("customer"), &customer).unwrap();
    let token = gateway.api("POST", "/v1/token", "", &json!({"tenant": "shop", "queue": "support"})).unwrap();
    let wish = json!({
        "token": token.1["token"], "number": NUMBER, "when": "asap", "tz": sip_tests::clock::zone_by_day(),
        "lang": "fr", "session": {"id": "s1", "page": {"url": "http://shop.test/cart", "title": "Panier"}},
        "consent": {"text_id": "callback-v1", "version": "1"},
    });
    let (status, made) = gateway.api("POST", "/v1/callbacks", "", &wish).unwrap();
    assert_eq!(status, 201, "{made}");
    agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let sent = dead.wait("INVITE");
    customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    assert!(sent.elapsed() < NEXT_TARGET_LIMIT + Duration::from_secs(2), "{:?}", sent.elapsed());
    let heard = (wait_share(&agent, f64::from(CUSTOMER_HZ)), wait_share(&customer, f64::from(AGENT_HZ)));
    assert!(heard.0 > 0.8 && heard.1 > 0.8, "shares of the other's tone: {heard:?}");
    assert_eq!(gateway.metric("passerelle_trunk_failovers_total{trunk=\"pstn\"}"), Some(1.0));
    agent.command("hangup", "").unwrap();
    let until = Instant::now() + SOON;
    while gateway.metric("passerelle_callback_attempts_total{outcome=\"reached\"}").is_none()
        && gateway.metric("passerelle_callback_attempts_total{outcome=\"short-talk\"}").is_none()
    {
        assert!(Instant::now() < until, "one try, and it reached him");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(std::fs::remove_dir_all(&folder));
}
