//! The same call through a PBX: Passerelle registers to Kamailio with digest and calls an extension behind it.

use sip_tests::baresip::Baresip;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::kamailio::Kamailio;

use super::need_peers;
use super::scene::{Scene, Setting, phone, visit};

fn through_kamailio(setting: Setting<'_>) {
    let folder = folder(setting.name);
    let number = setting.number;
    let pbx = address(number, 3);
    let kamailio = Kamailio::start(&folder.join("kamailio"), pbx).unwrap();
    std::fs::write(folder.join("trunk"), "pbx-secret").unwrap();
    let more = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx};transport={}\"\nregister = true\nusername = \"passerelle\"\n\
         password_file = \"{}/trunk\"\ncodecs = [\"opus\", \"g722\", \"pcma\", \"pcmu\"]\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
        setting.transport,
        folder.display()
    );
    let mut agent = Baresip::start(
        &folder.join("phone"),
        &phone(address(number, 2), pbx.to_string(), "600", "pbx-secret", setting),
    )
    .unwrap();
    agent.wait_registered().unwrap();
    let mut gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
    gateway.running.wait_for("registered", super::scene::SOON).unwrap();
    assert_eq!(gateway.metric("passerelle_trunk_registered{trunk=\"pbx\"}"), Some(1.0));
    let visitor = visit(&folder, address(number, 1), &gateway);
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", super::scene::SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
    drop(kamailio);
}

/// As [`need_peers`], and Kamailio besides.
macro_rules! need_kamailio {
    () => {
        need_peers!();
        if !Kamailio::installed() {
            eprintln_skipped("Debian package kamailio is not installed");
            return;
        }
    };
}

#[test]
fn tones_cross_through_a_registrar_and_proxy_over_udp() {
    need_kamailio!();
    through_kamailio(Setting { codecs: "PCMA/8000/1", ..Setting::new("kamailio-udp", 31) });
}

#[test]
fn tones_cross_through_a_registrar_and_proxy_over_tcp() {
    need_kamailio!();
    through_kamailio(Setting { codecs: "PCMU/8000/1", transport: "tcp", ..Setting::new("kamailio-tcp", 32) });
}

#[test]
fn tones_cross_through_a_registrar_and_proxy_in_g722() {
    need_kamailio!();
    through_kamailio(Setting { codecs: "G722/16000/1", ..Setting::new("kamailio-g722", 83) });
}

#[test]
fn tones_cross_through_a_registrar_and_proxy_in_opus() {
    need_kamailio!();
    through_kamailio(Setting { codecs: "opus/48000/2", ..Setting::new("kamailio-opus", 84) });
}

#[expect(clippy::print_stderr, reason = "a skipped test is never silent")]
pub(super) fn eprintln_skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
