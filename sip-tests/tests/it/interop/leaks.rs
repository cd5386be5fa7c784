//! A thousand calls that end in every way there is: afterwards nothing is left of them, in the program or the system.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use sip_tests::crowd::{self, Door, Line, Offer, Sound};
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::sipp::{Pbx, SOUND_PORT, Sipp};

use super::need_peers;

const SCENE: u8 = 80;
const CALLS: usize = 1_000;
/// Calls at the same time, at most.
const AT_ONCE: usize = 25;
/// Any one step of a visitor's.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// Until everything is gone: the longest timers are a lost visitor's grace and RFC 3261's 64 × T1, each once.
const GONE_LIMIT: Duration = Duration::from_secs(100);
/// Books that say the same for so long have been written twice at least.
const STILL: Duration = Duration::from_secs(12);
/// Memory the second half may add, kB a call: a codec pair alone is 60.
const GROWTH_KB: u64 = 12;

/// What a call leaves in the program's own books.
const BOOKS: [&str; 9] = [
    "passerelle_calls_live",
    "passerelle_media_sessions",
    "passerelle_rtp_ports_used",
    "passerelle_media_routes",
    "passerelle_media_deadlines",
    "passerelle_sip_calls",
    "passerelle_sip_dialogs",
    "passerelle_sip_transactions",
    "passerelle_tasks",
];

/// How a call goes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Way {
    VisitorHangsUp,
    AgentHangsUp,
    TabClosed,
    SoundNeverCame,
    Cancelled,
    TabClosedWhileRinging,
    Busy,
    PbxSilent,
    /// He leaves while the answer is on its way.
    Crossed,
    BadOffer,
}

impl Way {
    const ALL: [Self; 10] = [
        Self::VisitorHangsUp,
        Self::AgentHangsUp,
        Self::TabClosed,
        Self::SoundNeverCame,
        Self::Cancelled,
        Self::TabClosedWhileRinging,
        Self::Busy,
        Self::PbxSilent,
        Self::Crossed,
        Self::BadOffer,
    ];

    /// The queue, and by that the PBX, it is for.
    fn queue(self) -> &'static str {
        match self {
            Self::VisitorHangsUp | Self::TabClosed | Self::SoundNeverCame | Self::Crossed | Self::BadOffer => "answer",
            Self::AgentHangsUp => "hangup",
            Self::Cancelled | Self::TabClosedWhileRinging => "ring",
            Self::Busy => "refuse",
            Self::PbxSilent => "silent",
        }
    }

    /// One visitor's call, to what he sees as its end.
    async fn go(self, number: usize, pause: Duration) -> Result<(), String> {
        let door = Door {
            http: SocketAddr::new(address(SCENE, 1), 8080),
            from: address(SCENE, 2),
            tenant: "shop",
            queue: self.queue(),
        };
        let session = format!("crowd-{number}");
        let offer = Offer::make(door.from)?;
        if self == Self::BadOffer {
            let sdp = offer.sdp().replace("a=fingerprint", "a=nonsense");
            return expect_end(&mut Line::ask(door, &session, &sdp).await?, &["offer-invalid"]).await;
        }
        let mut line = Line::ask(door, &session, offer.sdp()).await?;
        if self == Self::Crossed {
            tokio::time::sleep(pause / 4).await;
            line.bye().await?;
            return expect_end(&mut line, &["normal", "cancelled"]).await;
        }
        let peer = offer.answered(&line.answer().await?)?;
        let sound = (self != Self::SoundNeverCame).then(|| Sound::start(peer));
        match self {
            Self::VisitorHangsUp => {
                hear(&mut line, sound).await?;
                tokio::time::sleep(pause).await;
                line.bye().await?;
                expect_end(&mut line, &["normal"]).await
            }
            Self::AgentHangsUp => {
                line.state("talking").await?;
                expect_end(&mut line, &["normal"]).await
            }
            Self::TabClosed => hear(&mut line, sound).await,
            Self::SoundNeverCame => {
                tokio::time::sleep(pause).await;
                line.bye().await?;
                expect_end(&mut line, &["normal", "cancelled"]).await
            }
            Self::Cancelled => {
                line.state("ringing").await?;
                line.bye().await?;
                expect_end(&mut line, &["cancelled"]).await
            }
            Self::TabClosedWhileRinging => line.state("ringing").await,
            Self::Busy => expect_end(&mut line, &["busy"]).await,
            Self::PbxSilent => {
                tokio::time::sleep(pause).await;
                line.bye().await?;
                expect_end(&mut line, &["cancelled"]).await
            }
            Self::Crossed | Self::BadOffer => Ok(()),
        }
    }
}

async fn expect_end(line: &mut Line, codes: &[&str]) -> Result<(), String> {
    let code = line.ended().await?;
    if codes.contains(&code.as_str()) { Ok(()) } else { Err(format!("ended as {code:?}, not one of {codes:?}")) }
}

/// Talks until the PBX's echo of his sound comes back.
async fn hear(line: &mut Line, sound: Option<Sound>) -> Result<(), String> {
    line.state("talking").await?;
    let sound = sound.ok_or("no sound to hear")?;
    while sound.heard() < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Lets the visitors `numbers` come and go; gives what went wrong, by way.
async fn let_in(numbers: std::ops::Range<usize>, random: &mut StdRng) -> BTreeMap<Way, Vec<String>> {
    let mut wrong: BTreeMap<Way, Vec<String>> = BTreeMap::new();
    let mut visitors = tokio::task::JoinSet::new();
    for number in numbers {
        while visitors.len() >= AT_ONCE {
            note(&mut wrong, visitors.join_next().await);
        }
        let (way, pause) = (Way::ALL[number % Way::ALL.len()], Duration::from_millis(random.random_range(0..400)));
        visitors.spawn(async move {
            let gone = tokio::time::timeout(STEP_LIMIT, way.go(number, pause)).await;
            (way, gone.unwrap_or_else(|_| Err(format!("visitor {number} waits for {STEP_LIMIT:?}"))))
        });
    }
    while !visitors.is_empty() {
        note(&mut wrong, visitors.join_next().await);
    }
    wrong
}

type Left = Option<Result<(Way, Result<(), String>), tokio::task::JoinError>>;

fn note(wrong: &mut BTreeMap<Way, Vec<String>>, left: Left) {
    if let Some((way, Err(error))) = left.map(Result::unwrap) {
        wrong.entry(way).or_default().push(error);
    }
}

fn books(gateway: &Gateway) -> Vec<(&'static str, f64)> {
    BOOKS.into_iter().map(|name| (name, gateway.metric(name).unwrap())).collect()
}

/// The books before the first call, once they are written and stand still: tasks that tasks begin come a moment later.
fn wait_books(gateway: &Gateway) -> Vec<(&'static str, f64)> {
    let (mut seen, mut since) = (books(gateway), Instant::now());
    while since.elapsed() < STILL || gateway.metric("passerelle_tasks").unwrap() < 1.0 {
        std::thread::sleep(Duration::from_millis(200));
        let now = books(gateway);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

/// Connections to its pages that are up, as the kernel counts them (proc(5): addresses in hexadecimal, state 01).
fn connections() -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let here = format!("01{SCENE:02X}007F:1F90");
    let up = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(here.as_str()) && words.nth(1) == Some("01")
    };
    table.lines().filter(up).count()
}

/// Waits until the books and the system are as they were.
fn wait_gone(gateway: &Gateway, before: &[(&'static str, f64)], files: usize) {
    let until = Instant::now() + GONE_LIMIT;
    loop {
        let now = books(gateway);
        let held = gateway.running.held().unwrap();
        let more: Vec<_> = now.iter().zip(before).filter(|(now, before)| now.1 > before.1).collect();
        if more.is_empty() && held.files <= files {
            return;
        }
        // A task more may be a connection that somebody still holds, or one that nobody ends.
        let lines = (held.files, connections());
        assert!(
            Instant::now() < until,
            "left after {GONE_LIMIT:?}: {more:?}; files, connections {lines:?} for {files}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn nothing_is_left_of_a_thousand_calls() {
    need_peers!();
    if !Sipp::installed() {
        eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
        return;
    }
    crowd::prepare();
    let folder = folder("leaks");
    let pbx = |party| address(SCENE, party);
    let queues = ["answer", "hangup", "ring", "refuse", "silent"];
    // The ladders keep what they may of every call: little, so that it is full before half of them.
    let mut more =
        "[ladder]\nmemory_mb = 1\n[limits]\ncalls_max = 1000\ncalls_per_ip_max = 1000\ntalks_per_ip_per_minute_max = 100000\n".to_owned();
    for (queue, party) in queues.into_iter().zip(10..) {
        more.push_str(&format!(
            "[[trunk]]\nname = \"{queue}\"\nuri = \"sip:{}\"\ncodecs = [\"pcmu\"]\n\
             [[queue]]\nid = \"{queue}\"\ntenant = \"shop\"\ndial = \"sip:600@{queue}\"\nwaiting_max = 1000\n",
            pbx(party)
        ));
    }
    let gateway = Gateway::start(&folder, address(SCENE, 1), &more).unwrap();
    let sound_port = SOUND_PORT.to_string();
    let keys =
        [("sound_port", sound_port.as_str()), ("wait", "<pause milliseconds=\"300\"/>"), ("status", "486 Busy Here")];
    let start = |scenario, address: IpAddr| {
        Sipp::start(&folder.join(scenario), &Pbx { address, scenario, keys: &keys, calls: 10_000, echo: true }).unwrap()
    };
    let _pbxs: Vec<Sipp> =
        queues.into_iter().zip(10..).take(4).map(|(queue, party)| start(queue, pbx(party))).collect();
    let _silent = UdpSocket::bind((pbx(14), 5060)).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut random = StdRng::seed_from_u64(0x1eaf);
    let (empty, before) = (wait_books(&gateway), gateway.running.held().unwrap());
    let mut half = |numbers| {
        let wrong = runtime.block_on(let_in(numbers, &mut random));
        assert!(wrong.is_empty(), "{wrong:#?}");
    };
    half(0..CALLS / 2);
    wait_gone(&gateway, &empty, before.files);
    let halfway = gateway.running.held().unwrap();
    half(CALLS / 2..CALLS);
    wait_gone(&gateway, &empty, before.files);
    let after = gateway.running.held().unwrap();

    println!("{CALLS} calls: {before:?}, {halfway:?}, {after:?}");
    assert_eq!(after.threads, before.threads);
    let growth = after.rss_kb.saturating_sub(halfway.rss_kb);
    assert!(growth < GROWTH_KB * (CALLS as u64 / 2), "{growth} kB more after the second half");
    for bug in ["passerelle_panics_total", "passerelle_media_sessions_leaked_total", "passerelle_records_lost_total"] {
        assert_eq!(gateway.metric(bug), Some(0.0), "{bug}");
    }
    drop(gateway);
    drop(std::fs::remove_dir_all(&folder));
}
