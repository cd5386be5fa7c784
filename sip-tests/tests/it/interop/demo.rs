//! `passerelle demo`, as a newcomer has it: a call-back to the telephone inside the program.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{address, binary, folder, request};
use sip_tests::process::Running;

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Setting, phone, wait_share};

const SCENE: u8 = 89;
/// Out of the way of a demo that somebody is trying on this machine.
const HTTP: u16 = 18_080;
const SIP: u16 = 15_060;
const WEBRTC: u16 = 13_480;
const RTP: u16 = 25_000;
/// The sentence the telephone says first.
const SENTENCE: Duration = Duration::from_secs(15);

fn api(method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let (origin, bearer) = (format!("http://127.0.0.1:{HTTP}"), format!("Bearer {key}"));
    let headers = [("Origin", origin.as_str()), ("Content-Type", "application/json"), ("Authorization", &bearer)];
    let (status, body) = request([127, 0, 0, 1].into(), HTTP, method, path, &headers, &body.to_string()).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[test]
fn a_newcomer_is_called_back_and_his_agent_hears_the_telephone_inside() {
    need_peers!();
    let folder = folder("demo");
    let mut command = Command::new(binary());
    command.arg("demo").arg("--data").arg(&folder).current_dir(&folder);
    for (option, port) in [("http", HTTP), ("sip", SIP), ("webrtc", WEBRTC), ("rtp", RTP)] {
        command.arg(format!("--{option}-port")).arg(port.to_string());
    }
    let mut demo = Running::start("demo", command).unwrap();
    demo.wait_for("Passerelle demo is ready", SOON).unwrap();
    let registrar = format!("127.0.0.1:{SIP}");
    let agent = phone(address(SCENE, 2), registrar, "1001", "demo-1001", Setting::new("demo", SCENE));
    let mut agent = Baresip::start(&folder.join("agent"), &Phone { codecs: "G722/16000/1", ..agent }).unwrap();
    agent.wait_registered().unwrap();

    let (_, token) = api("POST", "/v1/token", "", &json!({"tenant": "shop", "queue": "support"}));
    let wish = json!({
        "token": token["token"], "number": "06 12 34 56 78", "when": "asap", "tz": sip_tests::clock::zone_by_day(),
        "session": {"id": "s1", "page": {"url": format!("http://127.0.0.1:{HTTP}/"), "title": "Atelier"}},
        "consent": {"text_id": "callback-v1", "version": "1"},
    });
    let (status, made) = api("POST", "/v1/callbacks", "", &wish);
    assert_eq!(status, 201, "{made}");
    agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    // First the sentence, then his own tone comes back.
    let until = Instant::now() + SENTENCE;
    while wait_share(&agent, f64::from(AGENT_HZ)) <= 0.8 {
        assert!(Instant::now() < until, "the telephone does not echo\n{}", demo.all());
    }
    agent.command("hangup", "").unwrap();
    let listed = Command::new(binary())
        .args(["callback", "list", "--all", "--json", "--store"])
        .arg(format!("sqlite:{}", folder.join("demo.db").display()))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(made["id"].as_str().unwrap()), "{listed:?}");
    demo.signal("INT").unwrap();
    assert!(demo.wait_end(SOON).unwrap().success());
    drop(std::fs::remove_dir_all(&folder));
}
