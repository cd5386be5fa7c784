//! A call-back for a chosen moment: held while the form is open, confirmed by mail and webhook, kept to the second. The
//! gateway has a clock of its own, which is set forward when all is agreed: nobody waits five minutes for a test.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sip_tests::gateway::{Gateway, address, folder, other_clock};
use sip_tests::receiver::{Receiver, Told};
use sip_tests::relay::Relay;
use sip_tests::visitor::{Visitor, repository};

use super::callback::{CUSTOMER_HZ, NUMBER, OWN_AGENT, configuration, customer, seat};
use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, visit, wait_share};

const SCENE: u8 = 87;
/// From one slot to the next.
const SLOT: Duration = Duration::from_secs(300);
/// The form is filled within this time.
const AT_LEISURE: Duration = Duration::from_secs(150);
/// So near is the moment then.
const NEAR: Duration = Duration::from_secs(10);
const KEY: &str = "cGFzc2VyZWxsZS10ZXN0cy13ZWJob29rLWtleQ==";
/// Later than this nobody was ever promised to be called.
const LATE_MAX: Duration = Duration::from_secs(5);

fn missing() -> Option<&'static str> {
    [
        (Relay::installed(), "Debian package python3-aiosmtpd is not installed"),
        (other_clock().is_some(), "Debian package faketime is not installed"),
    ]
    .into_iter()
    .find_map(|(there, why)| (!there).then_some(why))
}

/// How far a clock must be ahead, so that the first slot comes after so long.
fn ahead(before: Duration) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let into_slot = Duration::from_secs_f64(now.as_secs_f64() % SLOT.as_secs_f64());
    let wanted = SLOT - before;
    if into_slot <= wanted { wanted - into_slot } else { wanted + SLOT - into_slot }
}

/// How far it must be ahead, so that this moment comes after so long.
fn ahead_of(moment: jiff::Timestamp, before: Duration) -> Duration {
    let moment = u64::try_from(moment.as_millisecond()).map(Duration::from_millis).unwrap();
    moment - before - SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn more(relay: &Relay, receiver: &Receiver) -> String {
    let told = format!(
        "[tenant.webhook]\nurl = \"http://{}/told\"\nsecret_file = \"webhook.key\"\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Shop <callback@shop.test>\"\n",
        receiver.address, relay.port
    );
    told + &configuration(OWN_AGENT, "slot_minutes = 5\nlead_minutes = 0\n", address(SCENE, 3))
}

/// The receiver of README.md, in Python as it stands there.
fn check_signature(told: &Told) {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let code = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let headers: Value = told.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let clock = told.header("webhook-timestamp");
    let program = format!(
        "import hashlib, hmac, json, time\nfrom base64 import b64decode, b64encode\n{code}\ntime.time = lambda: {clock}\n\
         print(is_from_passerelle({headers}, {:?}.encode(), \"{KEY}\"))",
        told.body
    );
    let said = Command::new("python3").args(["-c", &program]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "True", "{}", String::from_utf8_lossy(&said.stderr));
}

/// The calendar entry of a mail: what to do with it, and its text.
fn calendar(mail: &Value) -> (String, String) {
    let parts = mail["parts"].as_array().unwrap();
    let part =
        parts.iter().find(|part| part["type"] == "text/calendar").unwrap_or_else(|| panic!("no entry in {mail}"));
    let text = part["text"].as_str().unwrap_or_default();
    (part["method"].as_str().unwrap_or_default().to_owned(), text.to_owned())
}

/// Number, address, the first slot; gives the link of the call-back's page.
fn fill(visitor: &mut Visitor) -> String {
    for step in [
        "click button:has-text('Talk to us')",
        "click button:has-text('Be called back')",
        "check input[value=later]",
        "check .when-times input",
        "see :text('Held for you')",
    ] {
        visitor.act(step).unwrap();
    }
    visitor.act(&format!("fill #number {NUMBER}")).unwrap();
    visitor.act("fill #email claude@example.test").unwrap();
    visitor.act("click button:has-text('Call me back')").unwrap();
    visitor.act("see h3:has-text('We will call you')").unwrap();
    let link = "document.querySelector('passerelle-talk').shadowRoot.querySelector('a[href*=\"/callback/\"]').href";
    visitor.act(&format!("eval {link}")).unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_slot_is_held_confirmed_by_mail_and_webhook_and_kept_to_the_second() {
    need_peers!();
    if let Some(why) = missing() {
        eprintln!("SKIPPED {}: {why}", module_path!());
        return;
    }
    let folder = folder("slot");
    let (mut relay, receiver) = (Relay::start().unwrap(), Receiver::start().unwrap());
    let more = more(&relay, &receiver);
    std::fs::write(folder.join("webhook.key"), format!("whsec_{KEY}\n")).unwrap();
    let setting = Setting::new("slot", SCENE);
    // What takes long to start comes before the moment from which time counts.
    let gateway = Gateway::start(&folder, address(SCENE, 1), &more).unwrap();
    let mut visitor = visit(&folder, address(SCENE, 1), &gateway);
    let mut customer = customer(&folder, setting, true);
    drop(gateway);
    let gateway = Gateway::start_ahead(&folder, address(SCENE, 1), &more, ahead(AT_LEISURE)).unwrap();
    let mut agent = seat(&folder.join("agent"), setting);

    // What it heard of the gateway before is old.
    let page = visitor.act("eval location.href").unwrap();
    visitor.act(&format!("goto {}", page["value"].as_str().unwrap())).unwrap();
    let link = fill(&mut visitor);
    let scheduled = receiver.next(SOON).unwrap();
    check_signature(&scheduled);
    let told = scheduled.json();
    assert_eq!(
        (&told["type"], &told["callback"]["number"]),
        (&json!("callback.scheduled"), &json!("+33 6 ** ** ** 78"))
    );
    let promised: jiff::Timestamp = told["callback"]["promised_at"].as_str().unwrap().parse().unwrap();
    let mail = relay.mail(SOON).unwrap();
    assert_eq!(mail["to"], json!(["claude@example.test"]));
    let (method, entry) = calendar(&mail);
    assert_eq!(method, "REQUEST", "{mail}");
    assert!(entry.contains(&format!("DTSTART:{}", promised.strftime("%Y%m%dT%H%M%SZ"))), "{promised}: {entry}");
    visitor.act(&format!("goto {link}")).unwrap();
    visitor.act("see #countdown").unwrap();

    gateway.set_ahead(ahead_of(promised, NEAR)).unwrap();
    agent.wait_event("CALL_ESTABLISHED", NEAR + SOON).unwrap();
    customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    visitor.act("see h1:has-text('on the line')").unwrap();
    let (at_agent, at_customer) =
        (wait_share(&agent, f64::from(CUSTOMER_HZ)), wait_share(&customer, f64::from(AGENT_HZ)));
    assert!(at_agent > 0.8 && at_customer > 0.8, "shares of the other's tone: {at_agent:.2} and {at_customer:.2}");
    let (id, key) = link.split_once("/callback/").and_then(|(_, rest)| rest.split_once('#')).unwrap();
    let (_, shown) = gateway.api("GET", &format!("/v1/callbacks/{id}"), key, &Value::Null).unwrap();
    // By the gateway's own clock: never early, and the agent's answer lies between.
    let rung: jiff::Timestamp = shown["attempts"][0]["at"].as_str().unwrap().parse().unwrap();
    let late = rung.duration_since(promised).as_secs_f64();
    assert!((0.0..LATE_MAX.as_secs_f64()).contains(&late), "rung {late} s after the promised moment: {shown}");
    assert_eq!(receiver.next(SOON).unwrap().json()["type"], "callback.connected");
    std::thread::sleep(Duration::from_secs(9));
    agent.command("hangup", "").unwrap();
    assert_eq!(receiver.next(SOON).unwrap().json()["type"], "callback.completed");
    visitor.act("see h1:has-text('taken place')").unwrap();
    assert_eq!(gateway.metric("passerelle_callback_late_seconds_count"), Some(1.0));
    drop(std::fs::remove_dir_all(&folder));
}
