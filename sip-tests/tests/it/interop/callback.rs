//! Call-backs with real phones: the agent's rings first, then the customer's; they hear each other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip_tests::baresip::{Baresip, Phone, sip_port};
use sip_tests::gateway::{Gateway, address, folder};

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, phone, wait_share};

const CUSTOMER: &str = "+33612345678";
const CUSTOMER_HZ: u32 = 700;
/// A shorter talk may be nobody: it is tried again.
const TALK: Duration = Duration::from_secs(9);

/// A gateway, an agent's phone registered to it, a customer's phone behind a trunk.
struct Street {
    gateway: Gateway,
    agent: Baresip,
    customer: Baresip,
    folder: PathBuf,
}

impl Street {
    fn new(setting: Setting<'_>, callback: &str) -> Self {
        let folder = folder(setting.name);
        let (number, customer_at) = (setting.number, address(setting.number, 3));
        let more = format!(
            "[[trunk]]\nname = \"pstn\"\nuri = \"sip:127.0.0.1:{}\"\ncodecs = [\"pcma\"]\ncaller_ids = [\"+33123456789\"]\n\
             [[queue]]\nid = \"support\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"phone\"\nring_limit_s = 8\n\
             [queue.callback]\ntrunk = \"pstn\"\ncaller_id = \"+33123456789\"\nring_limit_s = 8\n{callback}\n",
            sip_port(customer_at)
        );
        let gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
        let registrar = gateway.address.to_string();
        let agent = phone(address(number, 2), registrar, "1001", "secret1001", setting);
        let mut agent = Baresip::start(&folder.join("agent"), &agent).unwrap();
        agent.wait_registered().unwrap();
        let customer = Phone {
            user: CUSTOMER,
            password: "none",
            codecs: "PCMA/8000/1",
            tone_hz: CUSTOMER_HZ,
            ..phone(customer_at, "127.0.0.1".to_owned(), "", "", setting)
        };
        let customer = Baresip::start(&folder.join("customer"), &customer).unwrap();
        Self { gateway, agent, customer, folder }
    }

    fn ask(&self, number: &str, when: &str) -> (u16, Value) {
        let token = self.gateway.api("POST", "/v1/token", "", &json!({"tenant": "shop", "queue": "support"})).unwrap();
        let wish = json!({
            "token": token.1["token"], "number": number, "when": when, "tz": "Europe/Paris", "lang": "fr",
            "session": {"id": "s1", "page": {"url": "http://shop.test/cart", "title": "Panier"}},
            "consent": {"text_id": "callback-v1", "version": "1"},
        });
        self.gateway.api("POST", "/v1/callbacks", "", &wish).unwrap()
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
    let mut street = Street::new(Setting::new("callback", 71), "");
    let (status, made) = street.ask("06 12 34 56 78", "asap");
    assert_eq!((status, &made["number"]), (201, &json!("+33 6 12 34 56 78")), "{made}");
    street.agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    street.customer.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let talking = street.wait_state(&made, "connected");
    assert_eq!((&talking["number"], &talking["can_move"]), (&json!("+33 6 ** ** ** 78"), &json!(false)));
    let (at_agent, at_customer) =
        (wait_share(&street.agent, f64::from(CUSTOMER_HZ)), wait_share(&street.customer, f64::from(AGENT_HZ)));
    assert!(at_agent > 0.8 && at_customer > 0.8, "shares of the other's tone: {at_agent:.2} and {at_customer:.2}");
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
