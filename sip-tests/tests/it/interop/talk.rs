//! A visitor talks to an agent: real browser, real softphone, real sound both ways.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::tone;
use sip_tests::visitor::{Visit, Visitor};

use super::need_peers;

/// The visitor's tone and the agent's.
const VISITOR_HZ: f64 = 440.0;
const AGENT_HZ: u32 = 1_000;
const SOON: Duration = Duration::from_secs(10);

const QUEUE: &str = "[[queue]]\nid = \"support\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"phone\"\n";

/// One gateway, one phone, one page: everything a call needs.
struct Scene {
    gateway: Gateway,
    agent: Baresip,
    visitor: Visitor,
    folder: PathBuf,
}

impl Scene {
    fn set(name: &str, number: u8, codecs: &str, transport: &str, auto_answer: bool) -> Self {
        let folder = folder(name);
        let gateway = Gateway::start(&folder, address(number, 1), QUEUE).unwrap();
        let mut agent = Baresip::start(&folder.join("phone"), &phone(address(number, 2), &gateway, codecs, transport, auto_answer)).unwrap();
        agent.wait_registered().unwrap();
        let microphone = folder.join("microphone.wav");
        tone::write_wav(&microphone, &tone::sine(48_000, VISITOR_HZ, 10.0)).unwrap();
        let url = sip_tests::page::serve(address(number, 1), &gateway.url(), "support").unwrap();
        let visitor = Visitor::open(&Visit { url, microphone: &microphone, language: "en-GB" }).unwrap();
        Self { gateway, agent, visitor, folder }
    }

    /// Up to the moment when both hear each other.
    fn talk(&mut self) {
        self.visitor.act("talk").unwrap();
        self.visitor.wait_state("talking", SOON).unwrap();
        self.hear_each_other();
    }

    fn hear_each_other(&mut self) {
        self.visitor.wait_hears(f64::from(AGENT_HZ)).unwrap();
        let heard = wait_share(&self.agent, VISITOR_HZ);
        assert!(heard > 0.8, "the agent should hear {VISITOR_HZ} Hz; its share of what he hears is {heard:.2}");
    }

    /// The one record of the call, once it is kept.
    fn record(&self) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let calls = self.gateway.calls().unwrap();
            if let Some(record) = calls.into_iter().next() {
                return record;
            }
            assert!(Instant::now() < until, "no record is kept");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn phone<'a>(at: IpAddr, gateway: &Gateway, codecs: &'a str, transport: &'a str, auto_answer: bool) -> Phone<'a> {
    Phone { address: at, user: "1001", password: "secret1001", registrar: gateway.address.to_string(), transport, codecs, tone_hz: AGENT_HZ, auto_answer }
}

/// The share of a tone in the last second the agent heard, waiting for it to be the most of it.
fn wait_share(agent: &Baresip, frequency_hz: f64) -> f64 {
    let until = Instant::now() + SOON;
    loop {
        let share = agent.heard().map_or(0.0, |heard| tone::share_at(&tone::tail(&heard, 1.0), frequency_hz));
        if share > 0.8 || Instant::now() > until {
            return share;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn tones_cross(name: &str, number: u8, codecs: &str, codec: &str) {
    let mut scene = Scene::set(name, number, codecs, "udp", true);
    scene.talk();
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    let record = scene.record();
    let text = record.to_string();
    assert!(text.contains(codec), "the record should name {codec}: {text}");
}

#[test]
fn tones_cross_in_pcmu() {
    need_peers!();
    tones_cross("pcmu", 11, "PCMU/8000/1", "PCMU");
}

#[test]
fn tones_cross_in_pcma() {
    need_peers!();
    tones_cross("pcma", 12, "PCMA/8000/1", "PCMA");
}

#[test]
fn tones_cross_in_g722() {
    need_peers!();
    tones_cross("g722", 13, "G722/16000/1", "G722");
}

#[test]
fn tones_cross_in_opus() {
    need_peers!();
    tones_cross("opus", 14, "opus/48000/2", "opus");
}
