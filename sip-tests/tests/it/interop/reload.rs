//! The configuration read anew while two people talk: the call, and what did not change, do not notice.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::kamailio::Kamailio;
use sip_tests::page;
use sip_tests::visitor::{Visit, Visitor};

use super::need_peers;
use super::scene::{SOON, Scene, Setting, VISITOR_HZ, phone, visit, wait_share};
use super::trunk::agent_behind;

/// The tone of the one behind trunk B.
const OTHER_HZ: u32 = 700;
const NUMBER: u8 = 126;

fn trunk(folder: &Path, name: &str, pbx: IpAddr) -> String {
    format!(
        "[[trunk]]\nname = \"{name}\"\nuri = \"sip:{pbx}\"\nregister = true\nusername = \"passerelle\"\n\
         password_file = \"{}/trunk\"\noptions_interval_s = 0\n",
        folder.display()
    )
}

fn queue(id: &str, dial: &str, ring_limit_s: u8) -> String {
    format!("[[queue]]\nid = \"{id}\"\ntenant = \"shop\"\ndial = \"sip:{dial}\"\nring_limit_s = {ring_limit_s}\n")
}

/// What a visitor of the second queue sees and says.
fn second_visitor(folder: &Path, gateway: &Gateway) -> Visitor {
    let url = page::serve(address(NUMBER, 6), &gateway.url(), "sales").unwrap();
    let microphone = folder.join("microphone.wav");
    Visitor::open(&Visit { url, microphone: &microphone, language: "en-GB" }).unwrap()
}

/// As `trunk list` tells of one.
fn told(gateway: &Gateway, name: &str) -> String {
    let list = gateway.command(&["trunk", "list"]).unwrap();
    list.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
}

/// Waits until `trunk list` tells of one so, or nothing of it where that is what is waited for.
fn wait_told(gateway: &Gateway, name: &str, expected: &str) {
    let until = Instant::now() + SOON;
    loop {
        let line = told(gateway, name);
        if line.is_empty() == expected.is_empty() && line.contains(expected) {
            return;
        }
        assert!(Instant::now() < until, "trunk {name} should be told as `{expected}`: {line}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Since when a trunk is registered, as `trunk list` tells it.
fn registered_since(gateway: &Gateway, name: &str) -> String {
    let line = told(gateway, name);
    let since = line.split("registered since ").nth(1).unwrap_or_else(|| panic!("not registered: {line}"));
    since.split([';', ',', ' ']).next().unwrap_or_default().to_owned()
}

/// Neither one with a mistake nor one that only a restart could follow.
fn bad_files_change_nothing(scene: &mut Scene, file: &Path, before: &str) {
    std::fs::write(file, before.replace("ring_limit_s = 20", "ring_limit_s = \"soon\"")).unwrap();
    let refused = scene.gateway.command(&["reload"]).unwrap_err();
    assert!(refused.contains("passerelle.toml:") && refused.contains("nothing was changed"), "{refused}");
    std::fs::write(file, before.replace(":3480\"", ":3490\"")).unwrap();
    let refused = scene.gateway.command(&["reload"]).unwrap_err();
    assert!(refused.contains("needs a restart: [media]"), "{refused}");
    assert_eq!(scene.gateway.metric("passerelle_config_reloads_total{outcome=\"refused\"}"), Some(2.0));
    scene.hear_each_other();
}

/// First only what would change, then for good.
fn reload(gateway: &Gateway) {
    let difference = [
        "+ queue \"shop/sales\"",
        "~ queue \"shop/support\": ring_limit_s 20 → 30",
        "~ tenant \"shop\": origins ",
        "+ trunk \"b\"",
    ];
    let tried = gateway.command(&["reload", "--dry-run"]).unwrap();
    assert!(difference.iter().all(|line| tried.contains(line)), "{tried}");
    let reloads = |outcome: &str| gateway.metric(&format!("passerelle_config_reloads_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((reloads("dry-run"), reloads("applied")), (Some(1.0), None), "a dry run changes nothing");
    let done = gateway.command(&["reload"]).unwrap();
    assert!(difference.iter().all(|line| done.contains(line)) && done.contains("This is in force"), "{done}");
}

#[test]
fn a_reload_adds_a_trunk_and_changes_a_queue_while_a_call_goes_on() {
    need_peers!();
    if !Kamailio::installed() {
        eprintln!("SKIPPED {}: Debian package kamailio is not installed", module_path!());
        return;
    }
    let setting = Setting { codecs: "PCMA/8000/1", ..Setting::new("reload", NUMBER) };
    let folder = folder(setting.name);
    let (a, b) = (address(NUMBER, 3), address(NUMBER, 5));
    let _pbxs =
        [("a", a), ("b", b)].map(|(name, at)| Kamailio::start(&folder.join(format!("kamailio-{name}")), at).unwrap());
    std::fs::write(folder.join("trunk"), "pbx-secret").unwrap();
    let agent = agent_behind(&folder, a, setting);
    let behind_b = phone(address(NUMBER, 4), b.to_string(), "600", "pbx-secret", setting);
    let mut other = Baresip::start(&folder.join("other"), &Phone { tone_hz: OTHER_HZ, ..behind_b }).unwrap();
    other.wait_registered().unwrap();
    let start = format!("{}{}", trunk(&folder, "a", a), queue("support", "600@a", 20));
    let gateway = Gateway::start(&folder, address(NUMBER, 1), &start).unwrap();
    wait_told(&gateway, "a", "; registered since");
    let since = registered_since(&gateway, "a");
    let visitor = visit(&folder, address(NUMBER, 1), &gateway);
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();

    let file = scene.folder.join("passerelle.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    bad_files_change_nothing(&mut scene, &file, &before);
    let more = format!("{}{}", trunk(&scene.folder, "b", b), queue("sales", "600@b", 20));
    let site = format!("origins = [\"http://{}:8090\", ", address(NUMBER, 6));
    let after = before.replace("ring_limit_s = 20", "ring_limit_s = 30").replace("origins = [", &site);
    std::fs::write(&file, format!("{after}\n{more}")).unwrap();
    reload(&scene.gateway);
    wait_told(&scene.gateway, "b", "; registered since");
    assert_eq!(registered_since(&scene.gateway, "a"), since, "trunk a is not registered anew");
    scene.hear_each_other();

    // A call through the new trunk, while the first one is up.
    let mut second = second_visitor(&scene.folder, &scene.gateway);
    second.act("talk").unwrap();
    second.wait_state("talking", SOON).unwrap();
    second.wait_hears(f64::from(OTHER_HZ)).unwrap();
    assert!(wait_share(&other, VISITOR_HZ) > 0.8, "the one behind trunk b hears the second visitor");

    // Trunk b is taken out again, by signal: it takes no new call, and its call goes on to its end.
    std::fs::write(&file, &before).unwrap();
    scene.gateway.running.signal("HUP").unwrap();
    scene.gateway.running.wait_for("a trunk takes no new calls", SOON).unwrap();
    second.wait_hears(f64::from(OTHER_HZ)).unwrap();
    wait_told(&scene.gateway, "b", "");
    scene.hear_each_other();
    other.command("hangup", "").unwrap();
    second.wait_state("ended", SOON).unwrap();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    let causes: Vec<String> = scene
        .gateway
        .calls()
        .unwrap()
        .iter()
        .map(|call| call["cause"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(causes, ["normal", "normal"]);
}
