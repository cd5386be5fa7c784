//! The agent without a telephone: he answers on his page, and two browsers talk through the gateway.

use std::path::Path;

use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::tone;
use sip_tests::visitor::{Visit, Visitor};

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, VISITOR_HZ, visit};

/// A queue that rings agent 1001's page.
const QUEUE: &str =
    "[[queue]]\nid = \"support\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"browser\"\nring_limit_s = 20\n";

/// Agent 1001 at his page, ready to answer there.
fn log_in(folder: &Path, gateway: &Gateway) -> Visitor {
    let microphone = folder.join("agent.wav");
    tone::write_wav(&microphone, &tone::sine(48_000, f64::from(AGENT_HZ), 10.0)).unwrap();
    let url = format!("{}/agent/?audio=raw", gateway.url());
    let mut agent = Visitor::open(&Visit { url, microphone: &microphone, language: "en-GB" }).unwrap();
    agent.act("fill #extension 1001").unwrap();
    agent.act("fill #password secret1001").unwrap();
    agent.act("click #login button").unwrap();
    agent.act("click #ready").unwrap();
    agent.act("see #ready[aria-checked=true]").unwrap();
    agent
}

fn text(answer: &serde_json::Value) -> &str {
    answer["text"].as_str().unwrap_or_default()
}

#[test]
fn an_agent_answers_on_his_page() {
    need_peers!();
    let folder = folder("console");
    let gateway = Gateway::start(&folder, address(81, 1), QUEUE).unwrap();
    let mut agent = log_in(&folder, &gateway);
    let mut visitor = visit(&folder, address(81, 1), &gateway);
    visitor.act("talk").unwrap();
    let card = agent.act("see .card").unwrap();
    assert!(text(&card).contains("Basket \u{2014} the \"shop\""), "the page he calls from: {card}");
    visitor.wait_state("ringing", SOON).unwrap();
    agent.act("click [data-do=answer]").unwrap();
    visitor.wait_state("talking", SOON).unwrap();
    visitor.wait_hears(f64::from(AGENT_HZ)).unwrap();
    agent.wait_hears(VISITOR_HZ).unwrap();
    visitor.act("digits 5").unwrap();
    let keys = agent.act("see [data-is=digits]:has-text(\"5\")").unwrap();
    assert!(text(&keys).contains('5'), "{keys}");
    agent.act("click [data-do=hangUp]").unwrap();
    visitor.wait_state("ended", SOON).unwrap();
    let records = gateway.calls().unwrap();
    let record = records.first().expect("a record").to_string();
    assert!(record.contains("\"agent\"") && record.contains("opus"), "{record}");
    drop(gateway);
    drop(std::fs::remove_dir_all(&folder));
}

#[test]
fn a_call_leaves_the_page_of_an_agent_who_goes() {
    need_peers!();
    let folder = folder("console-gone");
    let gateway = Gateway::start(&folder, address(82, 1), QUEUE).unwrap();
    let mut agent = log_in(&folder, &gateway);
    let mut visitor = visit(&folder, address(82, 1), &gateway);
    visitor.act("talk").unwrap();
    agent.act("see .card").unwrap();
    agent.running.tell("close").unwrap();
    // At once, and not when the ring limit of 20 s is over.
    let told = visitor.wait_state("failed", SOON).unwrap();
    assert!(told["sentence"].as_str().is_some_and(|sentence| sentence.len() > 10), "{told}");
    drop(gateway);
    drop(std::fs::remove_dir_all(&folder));
}
