//! An agent hands a visitor to a colleague from his own softphone: who hears whom before and after, and what the colleague
//! sees.

use std::path::PathBuf;

use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{Gateway, address, folder};

use super::need_peers;
use super::scene::{AGENT_HZ, QUEUE, SOON, Scene, Setting, VISITOR_HZ, phone, visit, wait_share};

/// The colleague's tone.
const COLLEAGUE_HZ: u32 = 700;

/// A visitor, agent 1001 whom the queue rings, and his colleague 1002.
struct Desk {
    scene: Scene,
    colleague: Baresip,
}

impl Desk {
    fn set(name: &str, number: u8, colleague_answers: bool) -> Self {
        let setting = Setting::new("transfer", number);
        let folder: PathBuf = folder(name);
        let gateway = Gateway::start(&folder, address(number, 1), QUEUE).unwrap();
        let registrar = gateway.address.to_string();
        let start = |place: &str, phone: &Phone<'_>| {
            let mut phone = Baresip::start_traced(&folder.join(place), phone).unwrap();
            phone.wait_registered().unwrap();
            phone
        };
        let agent = start("phone", &phone(address(number, 2), registrar.clone(), "1001", "secret1001", setting));
        let other = Setting { codecs: "PCMA/8000/1", auto_answer: colleague_answers, ..setting };
        let other = phone(address(number, 3), registrar, "1002", "secret1002", other);
        let colleague = start("colleague", &Phone { tone_hz: COLLEAGUE_HZ, ..other });
        let visitor = visit(&folder, address(number, 1), &gateway);
        let mut desk = Self { scene: Scene { gateway, agent, visitor, folder }, colleague };
        desk.scene.talk();
        desk
    }

    fn colleague_at(&self) -> String {
        format!("sip:1002@{}", self.scene.gateway.address)
    }

    fn colleague_and_visitor_hear_each_other(&mut self) {
        self.scene.visitor.wait_hears(f64::from(COLLEAGUE_HZ)).unwrap();
        let share = wait_share(&self.colleague, VISITOR_HZ);
        assert!(share > 0.8, "the colleague should hear {VISITOR_HZ} Hz; its share of what he hears is {share:.2}");
    }

    /// The visitor hangs up; the one record says who talked, in their order.
    fn hang_up(&mut self, talked: &[&str]) {
        assert!(!self.scene.visitor.running.all().contains("\"state\":\"ended\""), "his call went on all the while");
        self.scene.visitor.act("hangUp").unwrap();
        let record = self.scene.record();
        let legs = record["legs"].as_array().unwrap();
        let who = legs.iter().filter(|leg| leg["kind"] == "agent" && !leg["talked_from"].is_null());
        let who: Vec<&str> = who.filter_map(|leg| leg["peer"].as_str()).collect();
        assert_eq!((who.as_slice(), record["cause"].as_str()), (talked, Some("normal")), "{record}");
    }
}

/// Every value of a header in what a phone has sent and received.
fn headers<'a>(trace: &'a str, name: &str) -> Vec<&'a str> {
    let named = trace.lines().filter_map(|line| line.split_once(": "));
    named.filter(|(found, _)| found.trim() == name).map(|(_, value)| value.trim()).collect()
}

#[test]
fn an_agent_hands_a_visitor_to_a_colleague_who_sees_the_same_page() {
    need_peers!();
    let mut desk = Desk::set("transfer-blind", 118, true);
    let target = desk.colleague_at();
    desk.scene.agent.command("transfer", &target).unwrap();
    desk.colleague.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    desk.colleague_and_visitor_hear_each_other();
    desk.scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    let (first, second) = (desk.scene.agent.running.all(), desk.colleague.running.all());
    for name in ["User-to-User", "X-Passerelle-Page", "X-Passerelle-Tag"] {
        let (at_first, at_second) = (headers(&first, name), headers(&second, name));
        assert!(!at_first.is_empty() && at_first[0] == at_second[0], "{name}: {at_first:?} {at_second:?}");
    }
    desk.hang_up(&["1001", "1002"]);
}

#[test]
fn an_agent_hears_that_his_colleague_declines_and_has_talked_on_until_then() {
    need_peers!();
    let mut desk = Desk::set("transfer-declined", 119, false);
    let target = desk.colleague_at();
    desk.scene.agent.command("transfer", &target).unwrap();
    desk.colleague.wait_event("CALL_INCOMING", SOON).unwrap();
    desk.scene.hear_each_other();
    desk.colleague.command("hangup", "").unwrap();
    desk.scene.agent.running.wait_for("SIP/2.0 486", SOON).unwrap();
    // This phone hangs up once its transfer has failed; one that does not talks on (`sipp::transfer`).
    desk.scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(desk.scene.ended(), ("normal".to_owned(), "agent".to_owned()));
}

#[test]
fn an_agent_asks_his_colleague_first_and_then_puts_the_two_together() {
    need_peers!();
    let mut desk = Desk::set("transfer-attended", 120, true);
    let target = desk.colleague_at();
    desk.scene.agent.command("dial", &target).unwrap();
    desk.colleague.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let share = wait_share(&desk.colleague, f64::from(AGENT_HZ));
    assert!(share > 0.8, "first the agent speaks with his colleague: {share:.2}");
    // The dialog with the colleague, as the agent's phone names it (RFC 3891): its Call-ID, the far tag, its own.
    let trace = desk.scene.agent.running.all();
    let ours = trace.rsplit("INVITE sip:1002@").next().unwrap();
    let call_id = headers(ours, "Call-ID")[0].to_owned();
    let tag = |name: &str| {
        let of_call =
            trace.split("SIP/2.0 200").filter(|message| headers(message, "Call-ID").first() == Some(&call_id.as_str()));
        let value = of_call.last().map(|message| headers(message, name)[0].to_owned()).unwrap_or_default();
        value.split("tag=").nth(1).unwrap_or_default().to_owned()
    };
    let (far, own) = (tag("To"), tag("From"));
    desk.scene.agent.command("line", "1").unwrap();
    let replaces = format!("<{target}?Replaces={}%3Bto-tag%3D{far}%3Bfrom-tag%3D{own}>", call_id.replace('@', "%40"));
    desk.scene.agent.command("transfer", &replaces).unwrap();
    desk.colleague_and_visitor_hear_each_other();
    for _ in 0..2 {
        desk.scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    }
    desk.scene.visitor.act("hangUp").unwrap();
    desk.colleague.wait_event("CALL_CLOSED", SOON).unwrap();
}
