//! A gateway killed again and again while it calls people back: the judge is a PBX that writes down every INVITE.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::sipp::{Pbx, SOUND_PORT, Sipp};

use super::need_peers;

const SCENE: u8 = 81;
/// How often it is killed; `PASSERELLE_KILLS` says otherwise.
const KILLS: usize = 40;
/// After the last start: until nothing is in hand any more.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// What was promised: the number, the id, the key.
struct Promise {
    number: String,
    id: String,
    key: String,
}

fn configuration() -> String {
    format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{}\"\ncodecs = [\"pcmu\"]\n\
         [[trunk]]\nname = \"pstn\"\nuri = \"sip:{}\"\ncodecs = [\"pcmu\"]\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n\
         [queue.callback]\ntrunk = \"pstn\"\nat_once_max = 50\nopen_max = 1000000\n",
        address(SCENE, 10),
        address(SCENE, 11)
    )
}

/// Asks for one call-back; `None` when the gateway did not promise it.
fn ask(gateway: &Gateway, number: &str) -> Option<Promise> {
    let wanted = json!({"tenant": "shop", "queue": "support"});
    let (_, token) = gateway.api("POST", "/v1/token", "", &wanted).ok()?;
    let wish = json!({
        "token": token["token"], "number": number, "when": "asap", "tz": "Europe/Paris",
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

/// The customers' INVITEs by number, each `Call-ID` once: a retransmission is no second call.
fn rung(customers: &Sipp) -> BTreeMap<String, Vec<String>> {
    let mut rung: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in customers.messages().iter().filter(|message| message.received) {
        let Some(uri) = message.start_line().strip_prefix("INVITE sip:") else { continue };
        let number = uri.split('@').next().unwrap_or_default().to_owned();
        let call = message.headers("Call-ID").first().map(|id| (*id).to_owned()).unwrap_or_default();
        let calls = rung.entry(number).or_default();
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
    rung
}

#[test]
fn killed_at_any_instant_nobody_is_forgotten_and_nobody_is_rung_twice() {
    need_peers!();
    if !Sipp::installed() {
        eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
        return;
    }
    let kills = std::env::var("PASSERELLE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let folder = folder("chaos");
    let (sound_port, pause) = (SOUND_PORT.to_string(), |ms: u32| format!("<pause milliseconds=\"{ms}\"/>"));
    let start = |scenario, party, ring: u32| {
        let (ring, wait) = (pause(ring), pause(400));
        let keys = [("sound_port", sound_port.as_str()), ("wait", wait.as_str()), ("ring", ring.as_str())];
        let pbx = Pbx { address: address(SCENE, party), scenario, keys: &keys, calls: 1_000_000, echo: false };
        Sipp::start(&folder.join(scenario), &pbx).unwrap()
    };
    let (_agents, customers) = (start("answer", 10, 0), start("person", 11, 250));
    let more = configuration();
    let mut random = StdRng::seed_from_u64(0xca05);
    let mut promises = Vec::new();
    for kill in 0..kills {
        let mut gateway = Gateway::start(&folder, address(SCENE, 1), &more).unwrap();
        for one in 0..2 {
            promises.extend(ask(&gateway, &format!("+3361{:07}", kill * 10 + one)));
            std::thread::sleep(Duration::from_millis(random.random_range(0..250)));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        gateway.running.signal("KILL").unwrap();
        gateway.running.wait_end(Duration::from_secs(5)).unwrap();
    }
    assert!(promises.len() >= kills, "{} promises in {kills} lives", promises.len());

    let gateway = Gateway::start(&folder, address(SCENE, 1), &more).unwrap();
    let all = settle(&gateway, &promises);
    let rung = rung(&customers);
    let outcome = |one: &Value, code: &str| {
        one["attempts"].as_array().is_some_and(|tries| tries.iter().any(|attempt| attempt["outcome"] == code))
    };
    let doubted = all.iter().filter(|one| outcome(one, "in-doubt")).count();
    let mut unheard = Vec::new();
    for (promise, one) in promises.iter().zip(&all) {
        let calls = rung.get(&promise.number).map_or(0, Vec::len);
        assert!(calls <= 1, "doubled: {} was rung {calls} times: {one}", promise.number);
        if calls == 0 && !outcome(one, "in-doubt") {
            unheard.push(one);
        }
    }
    assert!(unheard.is_empty(), "forgotten: {unheard:#?}");
    println!("{kills} kills, {} promised, {} rung, 0 doubled, 0 lost, {doubted} in doubt", promises.len(), rung.len());
    drop(std::fs::remove_dir_all(&folder));
}
