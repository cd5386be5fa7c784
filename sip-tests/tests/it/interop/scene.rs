//! One gateway, one agent's phone, one page: everything a real call needs, and what is asked of it again and again.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{Gateway, Tables, address, folder};
use sip_tests::tone;
use sip_tests::visitor::{Visit, Visitor};

/// The visitor's tone and the agent's.
pub(crate) const VISITOR_HZ: f64 = 440.0;
pub(crate) const AGENT_HZ: u32 = 1_000;
/// How long anything may take that a person waits for.
pub(crate) const SOON: Duration = Duration::from_secs(12);

/// A queue that rings agent 1001's phone.
pub(crate) const QUEUE: &str =
    "[[queue]]\nid = \"support\"\ntenant = \"shop\"\nagents = [\"1001\"]\nseat = \"phone\"\nring_limit_s = 20\n";

/// How a scene is set.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    /// Every scene has its own loopback network.
    pub(crate) number: u8,
    pub(crate) codecs: &'a str,
    pub(crate) transport: &'a str,
    pub(crate) auto_answer: bool,
    /// Of the phone's sound, as baresip names it: `srtp`, `srtp-mand`; empty for none.
    pub(crate) encryption: &'a str,
    /// Added to `[sip]`.
    pub(crate) sip: &'a str,
    /// Added to the configuration.
    pub(crate) more: &'a str,
}

impl<'a> Setting<'a> {
    pub(crate) const fn new(name: &'a str, number: u8) -> Self {
        Self {
            name,
            number,
            codecs: "PCMU/8000/1",
            transport: "udp",
            auto_answer: true,
            encryption: "",
            sip: "",
            more: QUEUE,
        }
    }
}

pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) agent: Baresip,
    pub(crate) visitor: Visitor,
    pub(crate) folder: PathBuf,
}

impl Scene {
    pub(crate) fn set(setting: Setting<'_>) -> Self {
        let folder = folder(setting.name);
        let tables = Tables { sip: setting.sip, ..Tables::default() };
        let gateway = Gateway::start_with(&folder, address(setting.number, 1), setting.more, tables).unwrap();
        let registrar = gateway.address.to_string();
        let mut agent = Baresip::start(
            &folder.join("phone"),
            &phone(address(setting.number, 2), registrar, "1001", "secret1001", setting),
        )
        .unwrap();
        agent.wait_registered().unwrap();
        let visitor = visit(&folder, address(setting.number, 1), &gateway);
        Self { gateway, agent, visitor, folder }
    }

    /// Up to the moment when both hear each other.
    pub(crate) fn talk(&mut self) {
        self.visitor.act("talk").unwrap();
        self.visitor.wait_state("talking", SOON).unwrap();
        self.hear_each_other();
    }

    pub(crate) fn hear_each_other(&mut self) {
        self.visitor.wait_hears(f64::from(AGENT_HZ)).unwrap();
        self.agent_hears_visitor();
    }

    pub(crate) fn agent_hears_visitor(&self) {
        let share = wait_share(&self.agent, VISITOR_HZ);
        assert!(share > 0.8, "the agent should hear {VISITOR_HZ} Hz; its share of what he hears is {share:.2}");
    }

    /// The record of the one call, once it is kept.
    pub(crate) fn record(&self) -> Value {
        let until = Instant::now() + SOON;
        loop {
            if let Some(record) = self.gateway.calls().unwrap().into_iter().next() {
                return record;
            }
            assert!(Instant::now() < until, "no record is kept");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The record's cause and who hung up.
    pub(crate) fn ended(&self) -> (String, String) {
        let record = self.record();
        let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        (word("cause"), word("hung_up_by"))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// A visitor on the company's page.
pub(crate) fn visit(folder: &Path, at: IpAddr, gateway: &Gateway) -> Visitor {
    let microphone = folder.join("microphone.wav");
    tone::write_wav(&microphone, &tone::sine(48_000, VISITOR_HZ, 10.0)).unwrap();
    let url = sip_tests::page::serve(at, &gateway.url(), "support").unwrap();
    Visitor::open(&Visit { url, microphone: &microphone, language: "en-GB" }).unwrap()
}

/// A softphone as the setting wants it.
pub(crate) fn phone<'a>(
    at: IpAddr,
    registrar: String,
    user: &'a str,
    password: &'a str,
    setting: Setting<'a>,
) -> Phone<'a> {
    let Setting { codecs, transport, auto_answer, encryption, .. } = setting;
    Phone { address: at, user, password, registrar, transport, codecs, tone_hz: AGENT_HZ, auto_answer, encryption }
}

/// The share of a tone in the last second a phone heard, waiting for it to be the most of it.
pub(crate) fn wait_share(agent: &Baresip, frequency_hz: f64) -> f64 {
    let until = Instant::now() + SOON;
    loop {
        let share = agent.heard().map_or(0.0, |heard| tone::share_at(&tone::tail(&heard, 1.0), frequency_hz));
        if share > 0.8 || Instant::now() > until {
            return share;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
