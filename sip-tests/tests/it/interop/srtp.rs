//! Encrypted sound with real phones: keys in SDP, tones both ways, a hold in between; and no call where one side insists
//! and the other cannot.

use sip_tests::baresip::Baresip;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::kamailio::Kamailio;

use super::need_peers;
use super::scene::{AGENT_HZ, QUEUE, SOON, Scene, Setting, phone, visit, wait_share};

const REQUIRED: &str = "srtp = \"required\"";
const OPTIONAL: &str = "srtp = \"optional\"";

/// What baresip says of a leg whose sound is encrypted, as we like it best and as it does.
const ENABLED: &str = "SRTP is Enabled (cryptosuite=AEAD_AES_256_GCM)";
const ENABLED_AS_OFFERED: &str = "SRTP is Enabled (cryptosuite=AES_CM_128_HMAC_SHA1_80)";

#[test]
fn an_agents_phone_and_a_visitor_hear_each_other_encrypted_before_and_after_a_hold() {
    need_peers!();
    let setting = Setting { encryption: "srtp-mand", sip: REQUIRED, ..Setting::new("srtp-phone", 18) };
    let mut scene = Scene::set(setting);
    scene.talk();
    assert!(scene.agent.running.all().contains(ENABLED), "{}", scene.agent.running.all());
    scene.agent.command("hold", "").unwrap();
    scene.visitor.wait_state("held", SOON).unwrap();
    scene.agent.command("resume", "").unwrap();
    scene.visitor.wait_state("talking", SOON).unwrap();
    scene.hear_each_other();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
}

#[test]
fn a_phone_that_likes_encryption_gets_it_beside_plain_rtp() {
    need_peers!();
    let setting =
        Setting { encryption: "srtp", sip: OPTIONAL, codecs: "opus/48000/2", ..Setting::new("srtp-like", 19) };
    let mut scene = Scene::set(setting);
    scene.talk();
    assert!(scene.agent.running.all().contains(ENABLED), "{}", scene.agent.running.all());
    scene.visitor.act("hangUp").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
}

#[test]
fn a_phone_without_encryption_is_served_where_it_is_optional_and_refused_where_it_is_required() {
    need_peers!();
    let mut scene = Scene::set(Setting { sip: OPTIONAL, ..Setting::new("srtp-plain", 20) });
    scene.talk();
    drop(scene);
    let mut scene = Scene::set(Setting { sip: REQUIRED, ..Setting::new("srtp-refused", 30) });
    scene.visitor.act("talk").unwrap();
    scene.visitor.wait_state("failed", SOON).unwrap();
    assert_eq!(scene.ended().0, "incompatible-media");
}

#[test]
fn a_phone_that_calls_with_keys_hears_itself_in_the_echo() {
    need_peers!();
    let setting = Setting { encryption: "srtp-mand", ..Setting::new("srtp-echo", 33) };
    let folder = folder(setting.name);
    let more = "[[queue]]\nid = \"echo\"\ntenant = \"shop\"\ndial = \"echo\"\n";
    let tables = sip_tests::gateway::Tables { sip: OPTIONAL, ..Default::default() };
    let mut gateway = Gateway::start_with(&folder, address(33, 1), more, tables).unwrap();
    gateway.running.wait_for("agent=\"echo\"", SOON).unwrap();
    let registrar = gateway.address.to_string();
    let own = phone(address(33, 2), registrar, "1001", "secret1001", setting);
    let mut agent = Baresip::start(&folder.join("phone"), &own).unwrap();
    agent.wait_registered().unwrap();
    agent.command("dial", &format!("sip:echo@{}", gateway.address)).unwrap();
    agent.wait_event("CALL_ESTABLISHED", SOON).unwrap();
    let share = wait_share(&agent, f64::from(AGENT_HZ));
    assert!(share > 0.8, "the phone should hear itself; its tone is {share:.2} of what it hears");
    assert!(agent.running.all().contains(ENABLED_AS_OFFERED), "{}", agent.running.all());
    drop(std::fs::remove_dir_all(&folder));
}

#[test]
fn a_trunk_with_encryption_carries_tones_through_a_proxy() {
    need_peers!();
    if !Kamailio::installed() {
        super::trunk::eprintln_skipped("Debian package kamailio is not installed");
        return;
    }
    let setting =
        Setting { encryption: "srtp-mand", codecs: "PCMA/8000/1", more: QUEUE, ..Setting::new("srtp-trunk", 34) };
    let (folder, pbx) = (folder(setting.name), address(34, 3));
    let kamailio = Kamailio::start(&folder.join("kamailio"), pbx).unwrap();
    std::fs::write(folder.join("trunk"), "pbx-secret").unwrap();
    let more = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx}\"\nregister = true\nusername = \"passerelle\"\n\
         password_file = \"{}/trunk\"\n{REQUIRED}\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
        folder.display()
    );
    let agent = super::trunk::agent_behind(&folder, pbx, setting);
    let mut gateway = Gateway::start(&folder, address(34, 1), &more).unwrap();
    gateway.running.wait_for("registered", SOON).unwrap();
    let visitor = visit(&folder, address(34, 1), &gateway);
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();
    assert!(scene.agent.running.all().contains(ENABLED), "{}", scene.agent.running.all());
    drop(kamailio);
}
