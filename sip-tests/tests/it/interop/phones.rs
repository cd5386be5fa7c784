//! Calls the agents' own phones make: to the echo inside the program, and to each other.

use sip_tests::baresip::Baresip;
use sip_tests::gateway::{Gateway, address, folder};

use super::need_peers;
use super::scene::{AGENT_HZ, QUEUE, SOON, Setting, phone, wait_share};

const ECHO: &str = "[[queue]]\nid = \"echo\"\ntenant = \"shop\"\ndial = \"echo\"\n";

#[test]
fn a_phone_dials_the_echo_and_hears_itself() {
    need_peers!();
    let setting = Setting { codecs: "G722/16000/1", ..Setting::new("phone-echo", 35) };
    let folder = folder(setting.name);
    let mut gateway = Gateway::start(&folder, address(35, 1), ECHO).unwrap();
    gateway.running.wait_for("agent=\"echo\"", SOON).unwrap();
    let mut agent = Baresip::start(
        &folder.join("phone"),
        &phone(address(35, 2), gateway.address.to_string(), "1001", "secret1001", setting),
    )
    .unwrap();
    agent.wait_registered().unwrap();
    agent.command("dial", &format!("sip:echo@{}", gateway.address)).unwrap();
    agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let share = wait_share(&agent, f64::from(AGENT_HZ));
    assert!(share > 0.8, "the phone should hear itself; its tone is {share:.2} of what it hears");
    agent.command("hangup", "").unwrap();
    agent.wait_event("CALL_CLOSED", SOON).unwrap();
    drop(std::fs::remove_dir_all(&folder));
}

#[test]
fn one_phone_dials_another_and_both_hear_the_other() {
    need_peers!();
    let setting = Setting { codecs: "PCMU/8000/1", ..Setting::new("phone-phone", 36) };
    let folder = folder(setting.name);
    let gateway = Gateway::start(&folder, address(36, 1), QUEUE).unwrap();
    let registrar = gateway.address.to_string();
    let mut first =
        Baresip::start(&folder.join("first"), &phone(address(36, 2), registrar.clone(), "1001", "secret1001", setting))
            .unwrap();
    let other = Setting { codecs: "PCMA/8000/1", transport: "tcp", ..setting };
    let mut second_phone = phone(address(36, 3), registrar, "1002", "secret1002", other);
    second_phone.tone_hz = 700;
    let mut second = Baresip::start(&folder.join("second"), &second_phone).unwrap();
    first.wait_registered().unwrap();
    second.wait_registered().unwrap();
    first.command("dial", &format!("sip:1002@{}", gateway.address)).unwrap();
    first.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let (at_first, at_second) = (wait_share(&first, 700.0), wait_share(&second, f64::from(AGENT_HZ)));
    assert!(at_first > 0.8 && at_second > 0.8, "shares of the other's tone: {at_first:.2} and {at_second:.2}");
    second.command("hangup", "").unwrap();
    first.wait_event("CALL_CLOSED", SOON).unwrap();
    drop(std::fs::remove_dir_all(&folder));
}
