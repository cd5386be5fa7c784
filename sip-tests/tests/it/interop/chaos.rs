//! Gateways killed and frozen again and again while they call people back: the judge is a PBX that writes down every INVITE.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::kamailio::Kamailio;
use sip_tests::redis::Redis;
use sip_tests::sipp::{Logged, Pbx, SOUND_PORT, Sipp};

use super::need_peers;

/// One gateway with its file.
const ALONE: u8 = 81;
/// Two gateways on one Redis.
const TOGETHER: u8 = 86;
/// Parties of a scene.
const AGENTS: u8 = 10;
/// Customers who answer soon, and who let it ring; and the proxy in front of each, where there is one.
const CUSTOMERS: [u8; 2] = [11, 12];
const BORDERS: [u8; 2] = [13, 14];
const BOOK: u8 = 15;
const QUEUES: [&str; 2] = ["support", "sales"];
/// How often a gateway is killed or frozen in each scene; `PASSERELLE_KILLS` says how often in both together.
const KILLS: usize = 50;
/// After the last start: until nothing is in hand any more.
const SETTLED_LIMIT: Duration = Duration::from_secs(120);
/// Whoever may have answered is called again no sooner: ten minutes later where that is in doubt, a quarter of an hour after a
/// talk that was too short.
const NEXT_TRY: Duration = Duration::from_secs(590);
/// What was promised: the number, the id, the key.
struct Promise {
    number: String,
    id: String,
    key: String,
}

/// Two queues; the customers of each are reached through a trunk of its own.
fn configuration(scene: u8, trunks: [u8; 2], store: &str) -> String {
    let trunk = |name: &str, party| {
        let uri = address(scene, party);
        format!(
            "[[trunk]]\nname = \"{name}\"\nuri = \"sip:{uri}\"\ncodecs = [\"pcmu\"]\ncallback_dials_per_day_max = 1000000\n"
        )
    };
    let queue = |id: &str| {
        format!(
            "[[queue]]\nid = \"{id}\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n\
             [queue.callback]\naccept = \"answer\"\ntrunk = \"to-{id}\"\nat_once_max = 50\nopen_max = 1000000\nasks_per_day_max = 1000000\n"
        )
    };
    let to = |at: usize| trunk(&format!("to-{}", QUEUES[at]), trunks[at]) + &queue(QUEUES[at]);
    // Everybody asks from one address here.
    [store, &trunk("pbx", AGENTS), &to(0), &to(1), "[callback]\nproof_of_work = \"off\"\n"].concat()
}

/// Asks for one call-back; `None` when the gateway did not promise it.
fn ask(gateway: &Gateway, queue: &str, number: &str) -> Option<Promise> {
    let wanted = json!({"tenant": "shop", "queue": queue});
    let (_, token) = gateway.api("POST", "/v1/token", "", &wanted).ok()?;
    let wish = json!({
        "token": token["token"], "number": number, "when": "asap", "tz": sip_tests::clock::zone_by_day(),
        "session": {"id": number, "page": {"url": "http://shop.test/", "title": "Chaos"}},
        "consent": {"text_id": "callback-v1", "version": "1"},
    });
    let (status, made) = gateway.api("POST", "/v1/callbacks", "", &wish).ok()?;
    let text = |key: &str| made[key].as_str().map(str::to_owned);
    (status == 201).then_some(Promise { number: number.to_owned(), id: text("id")?, key: text("manage_token")? })
}

fn shown(gateway: &Gateway, promise: &Promise) -> Value {
    let (status, shown) =
        gateway.api("GET", &format!("/v1/callbacks/{}", promise.id), &promise.key, &Value::Null).unwrap();
    assert_eq!(status, 200, "lost: {} is not in the book any more: {shown}", promise.id);
    shown
}

/// Waits until every promise is at rest: over, or waiting for its next try.
fn settle(gateway: &Gateway, promises: &[Promise]) -> Vec<Value> {
    let until = Instant::now() + SETTLED_LIMIT;
    loop {
        let all: Vec<Value> = promises.iter().map(|promise| shown(gateway, promise)).collect();
        let rests =
            |one: &Value| !["queued", "offered", "dialling", "connected"].iter().any(|state| one["state"] == *state);
        if all.iter().all(|one| rests(one) && one["attempts"].as_array().is_some_and(|tries| !tries.is_empty())) {
            return all;
        }
        let late: Vec<&Value> = all.iter().filter(|one| !rests(one)).collect();
        assert!(Instant::now() < until, "not at rest: {late:#?}\n{}", gateway.running.all());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// One INVITE a customer got, as his PBX wrote it down.
struct Rung {
    call: String,
    at: jiff::civil::DateTime,
    /// It was told that the call is called off.
    cancelled: bool,
    /// It answered.
    answered: bool,
}

/// The customers' INVITEs by number, each `Call-ID` once: a retransmission is no second call. Whoever is rung again while
/// his phone rings, or after he has answered, is disturbed twice for one promise; unless that try was over and it is the next
/// one's time.
fn judge(log: &[Logged]) -> BTreeMap<String, usize> {
    let mut by_number: BTreeMap<String, Vec<Rung>> = BTreeMap::new();
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    for message in log {
        let call = message.headers("Call-ID").first().map(|id| (*id).to_owned()).unwrap_or_default();
        if let Some(uri) = message.start_line().strip_prefix("INVITE sip:").filter(|_| message.received) {
            let number = uri.split('@').next().unwrap_or_default().to_owned();
            let rung = by_number.entry(number.clone()).or_default();
            if rung.iter().all(|before| before.call != call) {
                let rests = |before: &Rung| before.cancelled && !before.answered;
                let is_next = |before: &Rung| message.at.duration_since(before.at).unsigned_abs() >= NEXT_TRY;
                let once = rung.iter().all(|before| rests(before) || is_next(before));
                assert!(once, "doubled: {number} is rung by {call} while an earlier call stands or was answered");
                rung.push(Rung { call: call.clone(), at: message.at, cancelled: false, answered: false });
                numbers.insert(call, number);
            }
            continue;
        }
        let rung = numbers.get(&call).and_then(|number| by_number.get_mut(number));
        let Some(rung) = rung.and_then(|all| all.iter_mut().find(|rung| rung.call == call)) else { continue };
        let of_invite = message.headers("CSeq").first().is_some_and(|cseq| cseq.ends_with("INVITE"));
        match (message.received, message.start_line()) {
            (false, line) if line.starts_with("SIP/2.0 487") => rung.cancelled = true,
            (false, line) if line.starts_with("SIP/2.0 200") && of_invite => rung.answered = true,
            _ => {}
        }
    }
    by_number.into_iter().map(|(number, rung)| (number, rung.len())).collect()
}

struct Town {
    folder: PathBuf,
    _agents: Sipp,
    customers: [Sipp; 2],
}

impl Town {
    /// `patience_ms`: how long the phones of the second kind of customers ring; `more_via`: what a proxy before the customers
    /// has put below its own `Via`.
    fn new(scene: u8, name: &str, patience_ms: &str, more_via: &str) -> Self {
        let folder = folder(name);
        let (sound_port, wait) = (SOUND_PORT.to_string(), "<pause milliseconds=\"400\"/>");
        let start = |name: &str, scenario, party, ring| {
            let keys = [("sound_port", sound_port.as_str()), ("wait", wait), ("ring", ring), ("more_via", more_via)];
            let pbx = Pbx { address: address(scene, party), scenario, keys: &keys, calls: 1_000_000, echo: false };
            Sipp::start(&folder.join(name), &pbx).unwrap()
        };
        let agents = start("agents", "answer", AGENTS, "");
        let quick = start("quick", "person", CUSTOMERS[0], "250");
        let slow = start("slow", "person", CUSTOMERS[1], patience_ms);
        Self { folder, _agents: agents, customers: [quick, slow] }
    }

    /// Nobody forgotten, nobody doubled; prints and gives the share in doubt.
    fn verdict(&self, what: &str, gateway: &Gateway, promises: &[Promise]) -> f64 {
        let all = settle(gateway, promises);
        let mut rung = judge(&self.customers[0].messages());
        rung.extend(judge(&self.customers[1].messages()));
        let with = |code: &str| {
            let came = |one: &&Value| {
                one["attempts"].as_array().is_some_and(|tries| tries.iter().any(|attempt| attempt["outcome"] == code))
            };
            all.iter().filter(came).count()
        };
        for (promise, one) in promises.iter().zip(&all) {
            let doubted =
                one["attempts"].as_array().is_some_and(|tries| tries.iter().any(|t| t["outcome"] == "in-doubt"));
            assert!(doubted || rung.contains_key(&promise.number), "forgotten: {} {one}", promise.number);
        }
        let (doubted, again) = (with("in-doubt"), with("interrupted"));
        let calls: usize = rung.values().sum();
        println!(
            "{what}: {} promised, {} rung by {calls} calls, 0 doubled, 0 lost, {again} stopped and called again, \
             {doubted} in doubt",
            promises.len(),
            rung.len()
        );
        f64::from(u32::try_from(doubted).unwrap()) / f64::from(u32::try_from(promises.len()).unwrap())
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn kills() -> usize {
    std::env::var("PASSERELLE_KILLS").ok().and_then(|text| text.parse::<usize>().ok()).map_or(KILLS, |all| all / 2)
}

/// How much stays in doubt is a matter of time: how long a disk takes to keep what the network said. So the bar is held by
/// the thousand of `make chaos`, on a machine that does nothing else; here only that most of it is known.
fn check_doubt(share: f64, promises: usize) {
    let bound = if promises >= 900 { 0.02 } else { 0.5 };
    assert!(share <= bound, "{share:.3} of {promises} promises are in doubt");
}

fn missing() -> Option<&'static str> {
    [
        (Sipp::installed(), "Debian package sip-tester is not installed"),
        (Kamailio::installed(), "Debian package kamailio is not installed"),
        (Redis::installed(), "Debian package redis-server is not installed"),
    ]
    .into_iter()
    .find_map(|(there, why)| (!there).then_some(why))
}

#[test]
fn killed_at_any_instant_nobody_is_forgotten_and_nobody_is_rung_twice() {
    need_peers!();
    if let Some(why) = missing() {
        eprintln!("SKIPPED {}: {why}", module_path!());
        return;
    }
    let town = Town::new(ALONE, "chaos", "1500", "");
    let more = configuration(ALONE, CUSTOMERS, "");
    let mut random = StdRng::seed_from_u64(0xca05);
    let mut promises = Vec::new();
    for kill in 0..kills() {
        let mut gateway = Gateway::start(&town.folder, address(ALONE, 1), &more).unwrap();
        for (one, queue) in QUEUES.into_iter().enumerate() {
            promises.extend(ask(&gateway, queue, &format!("+3361{:07}", kill * 10 + one)));
            std::thread::sleep(Duration::from_millis(random.random_range(0..250)));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        gateway.running.signal("KILL").unwrap();
        gateway.running.wait_end(Duration::from_secs(5)).unwrap();
    }
    assert!(promises.len() >= kills(), "{} promises in {} lives", promises.len(), kills());
    let gateway = Gateway::start(&town.folder, address(ALONE, 1), &more).unwrap();
    let share = town.verdict(&format!("one node, {} kills", kills()), &gateway, &promises);
    check_doubt(share, promises.len());
}

#[test]
fn two_nodes_on_one_book_killed_and_frozen_in_turn_keep_each_promise_once() {
    need_peers!();
    if let Some(why) = missing() {
        eprintln!("SKIPPED {}: {why}", module_path!());
        return;
    }
    let town = Town::new(TOGETHER, "chaos-two", "18000", ", [$behind]");
    let borders = [0, 1].map(|at| {
        let folder = town.folder.join(format!("border-{at}"));
        Kamailio::start_border(&folder, address(TOGETHER, BORDERS[at]), address(TOGETHER, CUSTOMERS[at])).unwrap()
    });
    let book = Redis::start(&town.folder.join("book"), address(TOGETHER, BOOK)).unwrap();
    let key = town.folder.join("number.key");
    std::fs::write(&key, "one key for both nodes\n").unwrap();
    let more = configuration(TOGETHER, BORDERS, &format!("[store]\nurl = \"{}\"\n", book.url()))
        + &format!("number_key_file = \"{}\"\n", key.display());
    let node = |party: u8| {
        let own = town.folder.join(format!("node-{party}"));
        std::fs::create_dir_all(&own).unwrap();
        Gateway::start(&own, address(TOGETHER, party), &more).unwrap()
    };
    let mut nodes = [node(1), node(2)];
    let mut random = StdRng::seed_from_u64(0xca06);
    let mut promises = Vec::new();
    let (mut killed, mut frozen) = (0, 0);
    for event in 0..kills() {
        let victim = random.random_range(0..2_usize);
        for (one, queue) in QUEUES.into_iter().enumerate() {
            promises.extend(ask(&nodes[victim], queue, &format!("+3362{:07}", event * 10 + one)));
            std::thread::sleep(Duration::from_millis(random.random_range(0..250)));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        // One in ten is frozen, some for much longer than their lease, so that the other takes over, and wakes up.
        if random.random_bool(0.1) {
            frozen += 1;
            nodes[victim].running.signal("STOP").unwrap();
            let most_s: f64 = if kills() > KILLS { 90.0 } else { 24.0 };
            std::thread::sleep(Duration::from_secs_f64(most_s * random.random_range(0.1..1.0_f64).powi(2)));
            nodes[victim].running.signal("CONT").unwrap();
        } else {
            killed += 1;
            nodes[victim].running.signal("KILL").unwrap();
            nodes[victim].running.wait_end(Duration::from_secs(5)).unwrap();
            let party = if victim == 0 { 1 } else { 2 };
            nodes[victim] = node(party);
        }
    }
    assert!(promises.len() >= kills(), "{} promises in {} events", promises.len(), kills());
    let what = format!("two nodes on one redis, {killed} kills and {frozen} freezes");
    let share = town.verdict(&what, &nodes[0], &promises);
    check_doubt(share, promises.len());
    drop(borders);
}
