//! The book is away while people speak: frozen, slow, without its replicas, killed. They go on, nobody is called on a
//! guess, who asks is told so, and when it is back the promises are kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip_tests::baresip::{Baresip, Phone, sip_port};
use sip_tests::detour::Detour;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::redis::Redis;

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, phone, wait_share};

const SCENE: u8 = 98;
const CUSTOMER_HZ: u32 = 700;
/// Who speaks, and who waits for the agent to be free.
const FIRST: &str = "06 12 34 56 78";
const SECOND: &str = "06 12 34 56 79";
/// A book that is back is used again within this.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// What is asked while it is away is answered within this: the store's limit of 250 ms, a few times.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

struct House {
    book: Redis,
    detour: Detour,
    gateway: Gateway,
    agent: Baresip,
    customer: Baresip,
    folder: PathBuf,
}

/// A customer's phone, which answers for his number alone.
fn customer(folder: &Path, number: &str) -> Baresip {
    let setting = Setting::new("book-away", SCENE);
    let own = phone(address(SCENE, 3), "127.0.0.1".to_owned(), number, "none", setting);
    let phone = Phone { codecs: "PCMA/8000/1", tone_hz: CUSTOMER_HZ, ..own };
    Baresip::start(&folder.join(number), &phone).unwrap()
}

impl House {
    fn new() -> Self {
        let setting = Setting::new("book-away", SCENE);
        let folder = folder(setting.name);
        let book = Redis::start(&folder.join("book"), address(SCENE, 15)).unwrap();
        let detour = Detour::start(address(SCENE, 16), book.address()).unwrap();
        let key = folder.join("number.key");
        std::fs::write(&key, "a key of sixteen letters\n").unwrap();
        let (own, customer_at) = (address(SCENE, 2), address(SCENE, 3));
        let more = format!(
            "[store]\nurl = \"redis://{}/0\"\n\
             [[trunk]]\nname = \"pstn\"\nuri = \"sip:127.0.0.1:{}\"\ncodecs = [\"pcma\"]\n\
             [[queue]]\nid = \"support\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"phone\"\nring_limit_s = 8\n\
             [queue.callback]\ntrunk = \"pstn\"\nring_limit_s = 8\n\
             per_session_per_day_max = 1000\n\
             [limits]\ncallback_asks_per_ip_per_hour_max = 1000\n\
             [callback]\nproof_of_work = \"off\"\nnumber_key_file = \"{}\"\n",
            detour.address(),
            sip_port(customer_at),
            key.display()
        );
        let gateway = Gateway::start(&folder, address(SCENE, 1), &more).unwrap();
        let registrar = gateway.address.to_string();
        let mut agent =
            Baresip::start(&folder.join("agent"), &phone(own, registrar, "1001", "secret1001", setting)).unwrap();
        agent.wait_registered().unwrap();
        let customer = customer(&folder, "+33612345678");
        Self { book, detour, gateway, agent, customer, folder }
    }

    fn ask(&self, number: &str) -> (u16, Value) {
        let token = self.gateway.api("POST", "/v1/token", "", &json!({"tenant": "shop", "queue": "support"})).unwrap();
        let wish = json!({
            "token": token.1["token"], "number": number, "when": "asap", "tz": sip_tests::clock::zone_by_day(), "lang": "fr",
            // Each number is another visitor's: who is on the line is asked to hang up first.
            "session": {"id": number, "page": {"url": "http://shop.test/", "title": "Panier"}},
            "consent": {"text_id": "callback-v1", "version": "1"},
        });
        self.gateway.api("POST", "/v1/callbacks", "", &wish).unwrap()
    }

    /// Asking is refused with a sentence, and soon.
    fn asking_is_refused(&self, why: &str) {
        let asked = Instant::now();
        let (status, problem) = self.ask(SECOND);
        assert_eq!((status, &problem["code"]), (503, &json!("book_away")), "{why}: {problem}");
        let sentence = problem["sentence"].as_str().unwrap_or_default();
        assert!(sentence.contains(' ') && sentence.ends_with('.'), "{why}: {problem}");
        assert!(asked.elapsed() < ANSWER_WITHIN, "{why}: told after {:?}", asked.elapsed());
    }

    /// Asking works again; gives what was promised.
    fn asking_works(&self, why: &str) -> Value {
        let back = Instant::now();
        loop {
            let (status, made) = self.ask(SECOND);
            if matches!(status, 200 | 201) {
                return made;
            }
            assert_eq!(status, 503, "{why}: {made}");
            assert!(back.elapsed() < BACK_WITHIN, "{why}: not back after {:?}: {made}", back.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn hear_each_other(&self, why: &str) {
        // Only what came since counts.
        std::thread::sleep(Duration::from_millis(1_500));
        let (at_agent, at_customer) =
            (wait_share(&self.agent, f64::from(CUSTOMER_HZ)), wait_share(&self.customer, f64::from(AGENT_HZ)));
        assert!(at_agent > 0.8 && at_customer > 0.8, "{why}: shares {at_agent:.2} and {at_customer:.2}");
    }

    fn shown(&self, made: &Value) -> (u16, Value) {
        let path = format!("/v1/callbacks/{}", made["id"].as_str().unwrap());
        self.gateway.api("GET", &path, made["manage_token"].as_str().unwrap(), &Value::Null).unwrap()
    }

    fn wait_state(&self, made: &Value, state: &str) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let (_, shown) = self.shown(made);
            if shown["state"] == state {
                return shown;
            }
            assert!(Instant::now() < until, "not {state}: {shown}\n{}", self.gateway.running.all());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Both speak; then the book is taken away and given back. Gives the one who waits.
    fn away(&self, why: &str, take: impl Fn(&Self), give: impl Fn(&Self)) -> Value {
        take(self);
        self.asking_is_refused(why);
        self.hear_each_other(why);
        self.asking_is_refused(why);
        give(self);
        let made = self.asking_works(why);
        self.hear_each_other(why);
        made
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

#[test]
fn while_the_book_is_away_people_speak_on_and_nobody_is_called_on_a_guess() {
    need_peers!();
    if !Redis::installed() {
        eprintln!("SKIPPED {}: Debian package redis-server is not installed", module_path!());
        return;
    }
    let mut house = House::new();
    let (status, first) = house.ask(FIRST);
    assert_eq!(status, 201, "{first}");
    house.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    house.wait_state(&first, "connected");
    house.hear_each_other("before");

    let signal = |name: &'static str| move |house: &House| house.book.running.signal(name).unwrap();
    let made = house.away("frozen", signal("STOP"), signal("CONT"));
    let delay = |ms| move |house: &House| house.detour.delay(Duration::from_millis(ms));
    house.away("slow", delay(800), delay(0));
    let replicas = |count: &str| {
        let words = format!("CONFIG SET min-replicas-to-write {count}");
        move |house: &House| assert!(house.book.say(&words).unwrap().starts_with("+OK"))
    };
    house.away("without its replica", replicas("1"), replicas("0"));

    // Killed; and the agent is free while it is away. The one who waits is not called on a guess.
    house.book.running.signal("KILL").unwrap();
    house.book.running.wait_end(SOON).unwrap();
    house.asking_is_refused("killed");
    house.hear_each_other("killed");
    house.customer.command("hangup", "").unwrap();
    house.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    house.customer.running.signal("KILL").unwrap();
    house.customer.running.wait_end(SOON).unwrap();
    house.customer = customer(&house.folder, "+33612345679");
    assert!(house.agent.wait_event("CALL_INCOMING", Duration::from_secs(3)).is_err(), "the agent is rung on a guess");
    assert!(house.customer.wait_event("CALL_INCOMING", Duration::from_millis(1)).is_err(), "dialled on a guess");
    house.book = Redis::start(&house.folder.join("book"), address(SCENE, 15)).unwrap();
    let back = Instant::now();
    // The agent is free: whoever waits may be called before he could be asked for again.
    while house.shown(&made).0 != 200 {
        assert!(back.elapsed() < BACK_WITHIN, "killed and started again: not back after {:?}", back.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    // What came of the first try is written as it was, and the one who waited is called: each once.
    let over = house.wait_state(&first, "completed");
    assert_eq!(over["attempts"].as_array().map(Vec::len), Some(1), "{over}");
    house.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    eprintln!("the one who waited is called {:?} after the book is back", back.elapsed());
    let shown = house.wait_state(&made, "connected");
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1), "{shown}");
    house.hear_each_other("after");
}
