//! Call-backs with real phones: the agent's rings first, then the customer's; they hear each other.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip_tests::baresip::{Baresip, Phone, sip_port};
use sip_tests::gateway::{Gateway, address, folder};

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, phone, visit, wait_share};

/// As a French visitor types it.
pub(super) const NUMBER: &str = "06 12 34 56 78";
const CUSTOMER: &str = "+33612345678";
pub(super) const CUSTOMER_HZ: u32 = 700;
/// A shorter talk may be nobody: it is tried again.
const TALK: Duration = Duration::from_secs(9);

/// A gateway, an agent's phone registered to it, a customer's phone behind a trunk.
struct Street {
    gateway: Gateway,
    agent: Baresip,
    customer: Baresip,
    folder: PathBuf,
    more: String,
    number: u8,
}

/// An agent's phone, registered.
pub(super) fn seat(folder: &Path, setting: Setting<'_>) -> Baresip {
    let (own, registrar) = (address(setting.number, 2), address(setting.number, 1).to_string());
    let mut agent = Baresip::start(folder, &phone(own, registrar, "1001", "secret1001", setting)).unwrap();
    agent.wait_registered().unwrap();
    agent
}

/// A queue that rings the agent's phone.
pub(super) const OWN_AGENT: &str = "agents = [\"1001\"]\nseat = \"phone\"\n";

/// A queue that calls back a customer behind a trunk; `target` says whom it rings, `lines` more of how it calls back.
pub(super) fn configuration(target: &str, lines: &str, customer: IpAddr) -> String {
    format!(
        "[[trunk]]\nname = \"pstn\"\nuri = \"sip:127.0.0.1:{}\"\ncodecs = [\"pcma\"]\ncaller_ids = [\"+33123456789\"]\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\n{target}ring_limit_s = 8\n\
         [queue.callback]\ntrunk = \"pstn\"\ncaller_id = \"+33123456789\"\nring_limit_s = 8\n{lines}",
        sip_port(customer)
    )
}

/// The customer's phone.
pub(super) fn customer(folder: &Path, setting: Setting<'_>, answers: bool) -> Baresip {
    let phone = Phone {
        user: CUSTOMER,
        password: "none",
        codecs: "PCMA/8000/1",
        tone_hz: CUSTOMER_HZ,
        auto_answer: answers,
        ..phone(address(setting.number, 3), "127.0.0.1".to_owned(), "", "", setting)
    };
    Baresip::start(&folder.join("customer"), &phone).unwrap()
}

impl Street {
    fn new(setting: Setting<'_>, customer_answers: bool) -> Self {
        Self::ringing_first("agent", setting, customer_answers)
    }

    fn ringing_first(first: &str, setting: Setting<'_>, customer_answers: bool) -> Self {
        Self::built(setting, customer_answers, OWN_AGENT, &format!("rings_first = \"{first}\"\n"), seat)
    }

    /// The agents are behind a PBX, whose queue answers at once and plays its music.
    fn behind_a_queue(setting: Setting<'_>, lines: &str) -> Self {
        let queue_at = address(setting.number, 2);
        let lines = format!(
            "{lines}[[trunk]]\nname = \"pbx\"\nuri = \"sip:127.0.0.1:{}\"\ncodecs = [\"pcmu\"]\n",
            sip_port(queue_at)
        );
        Self::built(setting, true, "dial = \"sip:600@pbx\"\n", &lines, |folder, setting| {
            let queue = phone(queue_at, "127.0.0.1".to_owned(), "600", "none", setting);
            Baresip::start(folder, &queue).unwrap()
        })
    }

    /// A key, pressed and let go.
    fn press(phone: &mut Baresip, key: &str) {
        phone.command("sndcode", key).unwrap();
        phone.command("sndcode", "x").unwrap();
    }

    /// As [`configuration`] says it, with this phone of the agents.
    fn built(
        setting: Setting<'_>,
        customer_answers: bool,
        target: &str,
        lines: &str,
        agent: impl Fn(&Path, Setting<'_>) -> Baresip,
    ) -> Self {
        let folder = folder(setting.name);
        let number = setting.number;
        let more = configuration(target, lines, address(number, 3));
        let gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
        let agent = agent(&folder.join("agent"), setting);
        let customer = customer(&folder, setting, customer_answers);
        Self { gateway, agent, customer, folder, more, number }
    }

    /// The agent's phone, started anew.
    fn seat(&self, name: &str) -> Baresip {
        seat(&self.folder.join(name), Setting::new(name, self.number))
    }

    fn ask(&self, number: &str, when: &str) -> (u16, Value) {
        let token = self.gateway.api("POST", "/v1/token", "", &json!({"tenant": "shop", "queue": "support"})).unwrap();
        let wish = json!({
            "token": token.1["token"], "number": number, "when": when, "tz": sip_tests::clock::zone_by_day(), "lang": "fr",
            "session": {"id": "s1", "page": {"url": "http://shop.test/cart", "title": "Panier"}},
            "consent": {"text_id": "callback-v1", "version": "1"},
        });
        self.gateway.api("POST", "/v1/callbacks", "", &wish).unwrap()
    }

    fn hear_each_other(&self) {
        let (at_agent, at_customer) =
            (wait_share(&self.agent, f64::from(CUSTOMER_HZ)), wait_share(&self.customer, f64::from(AGENT_HZ)));
        assert!(at_agent > 0.8 && at_customer > 0.8, "shares of the other's tone: {at_agent:.2} and {at_customer:.2}");
    }

    /// Up to the moment when the customer's phone rings.
    fn ring(&mut self) -> Value {
        let (status, made) = self.ask(NUMBER, "asap");
        assert_eq!(status, 201, "{made}");
        self.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
        self.customer.wait_event("CALL_INCOMING", SOON).unwrap();
        made
    }

    fn shown(&self, made: &Value) -> Value {
        let path = format!("/v1/callbacks/{}", made["id"].as_str().unwrap());
        self.gateway.api("GET", &path, made["manage_token"].as_str().unwrap(), &Value::Null).unwrap().1
    }

    fn wait_state(&self, made: &Value, state: &str) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let shown = self.shown(made);
            if shown["state"] == state {
                return shown;
            }
            assert!(Instant::now() < until, "not {state}: {shown}\n{}", self.gateway.running.all());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Street {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

#[test]
fn the_agent_is_rung_then_the_customer_and_they_hear_each_other() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback", 71), true);
    let (status, made) = street.ask(NUMBER, "asap");
    assert_eq!((status, &made["number"]), (201, &json!("+33 6 12 34 56 78")), "{made}");
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let talking = street.wait_state(&made, "connected");
    assert_eq!((&talking["number"], &talking["can_move"]), (&json!("+33 6 ** ** ** 78"), &json!(false)));
    street.hear_each_other();
    std::thread::sleep(TALK);
    street.customer.command("hangup", "").unwrap();
    let over = street.wait_state(&made, "completed");
    assert_eq!(over["attempts"].as_array().map(Vec::len), Some(1), "{over}");
    assert_eq!(over["attempts"][0]["outcome"], "reached");
    let record = street.gateway.calls().unwrap().remove(0);
    assert_eq!((&record["cause"], &record["page"]["title"]), (&json!("normal"), &json!("Panier")), "{record}");
    let codecs: Vec<&Value> = record["legs"].as_array().unwrap().iter().map(|leg| &leg["codec"]).collect();
    assert_eq!(codecs, ["PCMU", "PCMA"].map(|codec| json!(codec)).iter().collect::<Vec<_>>(), "{record}");
    assert_eq!(street.gateway.metric("passerelle_callbacks_held"), Some(0.0));
}

#[test]
fn a_visitor_fills_the_form_and_follows_it_on_its_page() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-form", 72), true);
    let mut visitor = visit(&street.folder, address(72, 1), &street.gateway);
    for step in ["click button:has-text('Talk to us')", "click button:has-text('Be called back')"] {
        visitor.act(step).unwrap();
    }
    visitor.act(&format!("fill #number {NUMBER}")).unwrap();
    visitor.act("click button:has-text('Call me back')").unwrap();
    let done = visitor.act("see h3:has-text('We will call you')").unwrap();
    assert!(done["text"].as_str().is_some(), "{done}");
    let link = "document.querySelector('passerelle-talk').shadowRoot.querySelector('a[href*=\"/callback/\"]').href";
    let link = visitor.act(&format!("eval {link}")).unwrap();
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    visitor.act(&format!("goto {}", link["value"].as_str().unwrap())).unwrap();
    visitor.act("see h1:has-text('on the line')").unwrap();
    street.hear_each_other();
    std::thread::sleep(TALK);
    street.agent.command("hangup", "").unwrap();
    let over = visitor.act("see h1:has-text('taken place')").unwrap();
    assert!(over["text"].as_str().is_some_and(|text| !text.is_empty()), "{over}");
    let record = street.gateway.calls().unwrap().remove(0);
    assert_eq!(record["page"]["title"], "Basket \u{2014} the \"shop\"", "{record}");
    assert_eq!(record["hung_up_by"], "agent");
}

#[test]
fn a_busy_customer_is_called_again_in_three_minutes_and_a_wrong_wish_is_refused() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-busy", 73), false);
    // A sixth ask within the hour would have to compute first.
    for (number, code) in [("112", "number_not_dialable"), ("+1 212 555 0100", "country_not_served")] {
        let (status, problem) = street.ask(number, "asap");
        assert_eq!((status, &problem["code"]), (422, &json!(code)), "{problem}");
    }
    assert_eq!(street.ask(NUMBER, "2020-01-01T10:00").1["code"], "slot_past");
    let made = street.ring();
    street.customer.command("hangup", "").unwrap();
    let shown = street.wait_state(&made, "scheduled");
    assert_eq!(shown["attempts"][0]["outcome"], "busy", "{shown}");
    let late = |key: &str| shown[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let pause = late("due_at").duration_since(late("now")).as_secs();
    assert!((170..=180).contains(&pause), "{shown}");
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    // The same visitor again: his promise moves to now, and he has one all the same.
    let (status, again) = street.ask(NUMBER, "asap");
    assert_eq!((status, &again["id"]), (200, &made["id"]), "{again}");
    street.customer.wait_event("CALL_INCOMING", SOON).unwrap();
}

#[test]
fn called_off_while_it_rings_both_phones_are_quiet() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-off", 74), false);
    let made = street.ring();
    let path = format!("/v1/callbacks/{}", made["id"].as_str().unwrap());
    let (status, gone) =
        street.gateway.api("DELETE", &path, made["manage_token"].as_str().unwrap(), &Value::Null).unwrap();
    assert_eq!((status, &gone["state"], &gone["detail"]), (200, &json!("cancelled"), &json!("visitor")));
    street.customer.wait_event("CALL_CLOSED", SOON).unwrap();
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    assert_eq!(street.shown(&made)["state"], "cancelled");
    assert_eq!(street.gateway.api("GET", &path, "wrong", &Value::Null).unwrap().0, 404);
}

#[test]
fn where_the_queue_says_so_the_customer_is_rung_first_takes_it_by_a_key_and_then_hears_the_agent() {
    need_peers!();
    let mut street = Street::ringing_first("customer", Setting::new("callback-first", 77), true);
    let (status, made) = street.ask(NUMBER, "asap");
    assert_eq!(status, 201, "{made}");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    assert!(
        street.agent.wait_event("CALL_INCOMING", Duration::from_secs(3)).is_err(),
        "rung for what may be a voicemail"
    );
    Street::press(&mut street.customer, "1");
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.wait_state(&made, "connected");
    street.hear_each_other();
    std::thread::sleep(TALK);
    street.agent.command("hangup", "").unwrap();
    let over = street.wait_state(&made, "completed");
    assert_eq!(over["attempts"][0]["outcome"], "reached", "{over}");
}

#[test]
fn a_customer_who_waits_for_the_agent_calls_it_off_by_the_key_three() {
    need_peers!();
    let setting = Setting { auto_answer: false, ..Setting::new("callback-key", 78) };
    let mut street = Street::ringing_first("customer", setting, true);
    let (_, made) = street.ask(NUMBER, "asap");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    Street::press(&mut street.customer, "1");
    street.agent.wait_event("CALL_INCOMING", SOON).unwrap();
    // The sound has to flow before a key can ride on it.
    std::thread::sleep(Duration::from_secs(1));
    Street::press(&mut street.customer, "3");
    let over = street.wait_state(&made, "cancelled");
    assert_eq!((&over["detail"], &over["attempts"][0]["outcome"]), (&json!("recipient"), &json!("declined")), "{over}");
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
}

#[test]
fn a_customer_puts_it_off_by_the_key_two_and_pressing_none_is_a_voicemail() {
    need_peers!();
    let setting = Setting::new("callback-later", 95);
    let mut street = Street::built(setting, true, OWN_AGENT, "rings_first = \"customer\"\naccept_limit_s = 5\n", seat);
    let (_, made) = street.ask(NUMBER, "asap");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    Street::press(&mut street.customer, "2");
    let later = street.wait_state(&made, "scheduled");
    assert_eq!(later["attempts"][0]["outcome"], "later", "{later}");
    let at = |key: &str| later[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let pause = at("due_at").duration_since(at("now")).as_secs();
    assert!((3_500..=3_600).contains(&pause), "an hour later: {later}");
    // He changes his mind; this time a machine answers, which presses nothing.
    let (status, again) = street.ask(NUMBER, "asap");
    assert_eq!((status, &again["id"]), (200, &made["id"]), "{again}");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.customer.wait_event("CALL_CLOSED", SOON).unwrap();
    let shown = street.wait_state(&made, "scheduled");
    assert_eq!(shown["attempts"][1]["outcome"], "voicemail", "{shown}");
    assert!(
        street.agent.wait_event("CALL_INCOMING", Duration::from_millis(10)).is_err(),
        "the agent was rung for nobody"
    );
}

#[test]
fn a_pbx_queue_that_answers_with_its_music_has_taken_nothing_until_an_agent_presses_one() {
    need_peers!();
    let mut street = Street::behind_a_queue(Setting::new("callback-accept", 91), "");
    let (status, made) = street.ask(NUMBER, "asap");
    assert_eq!(status, 201, "{made}");
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    // Music for a while; the prompt is heard, and nobody else's phone rings.
    assert!(street.customer.wait_event("CALL_INCOMING", Duration::from_secs(4)).is_err(), "rung for a queue's music");
    let heard = street.agent.heard().unwrap();
    let loudest = heard.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    assert!(loudest > 4_000, "the prompt is not heard: {loudest}");
    let waiting = street.shown(&made);
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("offered"), &json!([])), "{waiting}");
    Street::press(&mut street.agent, "1");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.wait_state(&made, "connected");
    street.hear_each_other();
    std::thread::sleep(TALK);
    street.agent.command("hangup", "").unwrap();
    let over = street.wait_state(&made, "completed");
    assert_eq!(over["attempts"].as_array().map(Vec::len), Some(1), "{over}");
    assert_eq!(over["attempts"][0]["outcome"], "reached", "{over}");
}

#[test]
fn another_key_or_none_is_no_try_and_it_is_offered_again() {
    need_peers!();
    let mut street = Street::behind_a_queue(Setting::new("callback-untaken", 92), "accept_limit_s = 5\n");
    let (_, made) = street.ask(NUMBER, "asap");
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    Street::press(&mut street.agent, "2");
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    assert_eq!(street.wait_state(&made, "queued")["attempts"], json!([]));
    // The next round: music, and no key at all.
    street.agent.wait_event("CALL_ESTABLISHED", Duration::from_secs(40)).unwrap();
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    assert_eq!(street.wait_state(&made, "queued")["attempts"], json!([]));
    assert!(street.customer.wait_event("CALL_INCOMING", Duration::from_secs(1)).is_err(), "rung for nobody");
}

#[test]
fn a_customer_who_never_asked_says_so_by_the_key_nine_and_is_not_called_again() {
    need_peers!();
    let setting = Setting { auto_answer: false, ..Setting::new("callback-nine", 93) };
    let mut street = Street::ringing_first("customer", setting, true);
    let explain = |street: &Street| street.gateway.command(&["number", "explain", CUSTOMER]).unwrap();
    let before = explain(&street);
    assert!(before.contains("is called") && !before.contains("on the list"), "{before}");
    let (_, made) = street.ask(NUMBER, "asap");
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    Street::press(&mut street.customer, "9");
    let over = street.wait_state(&made, "cancelled");
    assert_eq!((&over["detail"], &over["attempts"][0]["outcome"]), (&json!("recipient"), &json!("not-me")), "{over}");
    let until = Instant::now() + SOON;
    while !explain(&street).contains("on the list: NOT called by any tenant, said by whoever picked up") {
        assert!(Instant::now() < until, "{}", explain(&street));
    }
    let (status, problem) = street.ask(NUMBER, "asap");
    assert_eq!((status, &problem["code"]), (422, &json!("number_blocked")), "{problem}");
}

#[test]
fn a_customer_who_calls_again_gets_the_agent_he_spoke_with() {
    need_peers!();
    let setting = Setting::new("callback-again", 94);
    let target = "agents = [\"1001\", \"1002\"]\nseat = \"phone\"\n";
    let mut street = Street::built(setting, true, target, "", seat);
    let second = phone(address(94, 4), address(94, 1).to_string(), "1002", "secret1002", setting);
    let mut second = Baresip::start(&street.folder.join("second"), &second).unwrap();
    second.wait_registered().unwrap();
    // After the first talk the other agent is the one idle longest.
    for _ in 0..2 {
        let (status, made) = street.ask(NUMBER, "asap");
        assert_eq!(status, 201, "{made}");
        street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
        street.wait_state(&made, "connected");
        std::thread::sleep(TALK);
        street.customer.command("hangup", "").unwrap();
        street.wait_state(&made, "completed");
    }
    assert!(second.wait_event("CALL_INCOMING", Duration::from_millis(100)).is_err(), "the other agent was rung");
}

#[test]
fn killed_while_the_customers_phone_rings_its_successor_stops_it_and_calls_again() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-killed", 75), false);
    let made = street.ring();
    street.gateway.running.signal("KILL").unwrap();
    street.gateway.running.wait_end(SOON).unwrap();
    street.gateway = Gateway::start(&street.folder, address(75, 1), &street.more).unwrap();
    // CANCEL at the customer's phone, BYE at the agent's: both are quiet before either rings again.
    street.customer.wait_event("CALL_CLOSED", SOON).unwrap();
    street.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    // The new process knows his phone when it registers again; a person does not wait for the hour to be over.
    street.agent.running.signal("KILL").unwrap();
    street.agent.running.wait_end(SOON).unwrap();
    street.agent = street.seat("agent-again");
    street.customer.wait_event("CALL_INCOMING", SOON).unwrap();
    street.customer.command("accept", "").unwrap();
    let shown = street.wait_state(&made, "connected");
    assert_eq!(shown["attempts"][0]["outcome"], "interrupted", "{shown}");
    street.hear_each_other();
    assert_eq!(street.gateway.metric("passerelle_callbacks_taken_over_total"), Some(1.0));
}

#[test]
fn killed_where_nobody_can_be_asked_it_is_in_doubt_and_rung_once() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-doubt", 76), false);
    let made = street.ring();
    street.gateway.running.signal("KILL").unwrap();
    street.gateway.running.wait_end(SOON).unwrap();
    // His PBX answers nothing any more: whether he has picked up meanwhile, nobody says.
    street.customer.running.signal("STOP").unwrap();
    street.gateway = Gateway::start(&street.folder, address(76, 1), &street.more).unwrap();
    let shown = street.wait_state(&made, "scheduled");
    assert_eq!(shown["attempts"][0]["outcome"], "in-doubt", "{shown}");
    street.customer.running.signal("CONT").unwrap();
    assert!(street.customer.wait_event("CALL_INCOMING", Duration::from_secs(4)).is_err(), "rung twice");
}

#[test]
fn who_waits_for_the_only_agent_is_told_how_long_and_is_served_next() {
    need_peers!();
    let mut street = Street::new(Setting::new("callback-wait", 88), true);
    let mut visitor = visit(&street.folder, address(88, 1), &street.gateway);
    visitor.act("talk").unwrap();
    visitor.wait_state("talking", SOON).unwrap();
    let (status, made) = street.ask(NUMBER, "asap");
    assert_eq!(status, 201, "{made}");
    let told = street.wait_state(&made, "queued");
    let (p50, p90) = (told["wait"]["p50_s"].as_u64(), told["wait"]["p90_s"].as_u64());
    assert!(p50 > Some(0) && p50 <= p90, "the only agent talks: {told}");
    assert!(street.customer.wait_event("CALL_INCOMING", Duration::from_secs(3)).is_err(), "rung without an agent");
    visitor.act("hangUp").unwrap();
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.wait_state(&made, "connected");
    street.hear_each_other();
    let came = ["kept", "longer"];
    let kept = |came: &str| street.gateway.metric(&format!("passerelle_callback_waits_told_total{{came=\"{came}\"}}"));
    assert_eq!(came.iter().filter_map(|came| kept(came)).sum::<f64>(), 1.0, "what was told is held against what came");
}
