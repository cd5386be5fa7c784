//! The same call through a PBX: Passerelle registers to Kamailio with digest and calls an extension behind it.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use sip_tests::baresip::Baresip;
use sip_tests::gateway::{Gateway, address, folder};
use sip_tests::kamailio::Kamailio;
use sip_tests::tone;
use sip_tests::visitor::{Visit, Visitor};

use super::need_peers;
use super::scene::{SOON, Scene, Setting, VISITOR_HZ, phone, visit};

/// The agent's phone, registered at the PBX as 600.
pub(super) fn agent_behind(folder: &Path, pbx: IpAddr, setting: Setting<'_>) -> Baresip {
    let own = phone(address(setting.number, 2), pbx.to_string(), "600", "pbx-secret", setting);
    let mut agent = Baresip::start(&folder.join("phone"), &own).unwrap();
    agent.wait_registered().unwrap();
    agent
}

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
    let agent = agent_behind(&folder, pbx, setting);
    let mut gateway = Gateway::start(&folder, address(number, 1), &more).unwrap();
    gateway.running.wait_for("registered", SOON).unwrap();
    assert_eq!(gateway.metric("passerelle_trunk_registered{trunk=\"pbx\"}"), Some(1.0));
    let visitor = visit(&folder, address(number, 1), &gateway);
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
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

/// An authority, and certificates of its for the PBX at an address and for the gateway.
fn make_keys(folder: &Path, pbx: IpAddr) {
    std::fs::create_dir_all(folder).unwrap();
    let openssl = |args: &str| {
        let done = Command::new("openssl").args(args.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {new_key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    for (name, of) in [("pbx", format!("IP:{pbx}")), ("gateway", "DNS:gateway.test".to_owned())] {
        std::fs::write(folder.join("names"), format!("subjectAltName={of}\n")).unwrap();
        openssl(&format!("req {new_key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names";
        openssl(&format!("x509 -req -in {name}.csr {sign} -out {name}.pem"));
    }
}

#[test]
fn tones_cross_through_a_registrar_by_tls_with_certificates_on_both_sides() {
    need_kamailio!();
    if !Kamailio::has_tls() {
        eprintln_skipped("Debian package kamailio-tls-modules is not installed");
        return;
    }
    let setting = Setting { codecs: "PCMA/8000/1", ..Setting::new("kamailio-tls", 106) };
    let (folder, pbx) = (folder(setting.name), address(setting.number, 3));
    let keys = folder.join("keys");
    make_keys(&keys, pbx);
    let kamailio = Kamailio::start_tls(&folder.join("kamailio"), pbx, &keys).unwrap();
    std::fs::write(folder.join("trunk"), "pbx-secret").unwrap();
    let trunk = |tls: &str| {
        format!(
            "[[trunk]]\nname = \"pbx\"\nuri = \"sips:{pbx}\"\n{tls}register = true\nusername = \"passerelle\"\n\
             password_file = \"{}/trunk\"\n[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
            folder.display()
        )
    };
    // Nobody on this machine trusts that authority: refused, and the log says what to write.
    let mut stranger = Gateway::start(&folder, address(setting.number, 1), &trunk("")).unwrap();
    stranger.running.wait_for("nobody trusted has signed the certificate", SOON).unwrap();
    let refused = stranger.metric("passerelle_sip_tls_refused_total{reason=\"unknown_issuer\"}");
    assert!(refused >= Some(1.0), "{refused:?}");
    drop(stranger);
    let known = format!(
        "tls_ca_file = \"{0}/ca.pem\"\ntls_certificate_file = \"{0}/gateway.pem\"\ntls_key_file = \"{0}/gateway.key\"\n",
        keys.display()
    );
    // Nothing listens for TLS here: what the PBX wants of us comes back over our own connection.
    let agent = agent_behind(&folder, pbx, setting);
    let mut gateway = Gateway::start(&folder, address(setting.number, 1), &trunk(&known)).unwrap();
    gateway.running.wait_for("registered", SOON).unwrap();
    assert_eq!(gateway.metric("passerelle_trunk_registered{trunk=\"pbx\"}"), Some(1.0));
    let visitor = visit(&folder, address(setting.number, 1), &gateway);
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
    drop(kamailio);
}

#[test]
fn a_call_too_large_for_a_datagram_reaches_the_pbx_over_tcp() {
    need_kamailio!();
    let setting = Setting::new("kamailio-large", 107);
    let (folder, pbx) = (folder(setting.name), address(setting.number, 3));
    let kamailio = Kamailio::start(&folder.join("kamailio"), pbx).unwrap();
    std::fs::write(folder.join("trunk"), "pbx-secret").unwrap();
    let more = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{pbx};transport=udp\"\nregister = true\nusername = \"passerelle\"\n\
         password_file = \"{}/trunk\"\n[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
        folder.display()
    );
    let agent = agent_behind(&folder, pbx, setting);
    let mut gateway = Gateway::start(&folder, address(setting.number, 1), &more).unwrap();
    gateway.running.wait_for("registered", SOON).unwrap();
    let microphone = folder.join("microphone.wav");
    tone::write_wav(&microphone, &tone::sine(48_000, VISITOR_HZ, 10.0)).unwrap();
    let url = sip_tests::page::serve(address(setting.number, 1), &gateway.url(), "support").unwrap();
    let url = format!("{url}?basket={}", "a".repeat(600));
    let visitor = Visitor::open(&Visit { url, microphone: &microphone, language: "en-GB" }).unwrap();
    let mut scene = Scene { gateway, agent, visitor, folder };
    scene.talk();
    // The INVITE, and once more with the answer to the PBX's challenge.
    assert_eq!(scene.gateway.metric("passerelle_sip_requests_large_total{transport=\"TCP\"}"), Some(2.0));
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
    drop(kamailio);
}

#[expect(clippy::print_stderr, reason = "a skipped test is never silent")]
pub(super) fn eprintln_skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
