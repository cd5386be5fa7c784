//! `passerelle trunk test` against a real registrar and a real telephone: what is well, what is not, and whom it blames.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sip_tests::baresip::{Baresip, Phone};
use sip_tests::gateway::{Gateway, address, binary, folder};
use sip_tests::kamailio::Kamailio;
use sip_tests::sipp::{Pbx, Sipp};

use super::need_peers;

const SCENE: u8 = 121;
const PASSWORD: &str = "pbx-secret";

macro_rules! need_kamailio {
    () => {
        need_peers!();
        if !Kamailio::installed() {
            eprintln!("SKIPPED {}: Debian package kamailio is not installed", module_path!());
            return;
        }
    };
}

fn trunk(scene: u8, password: &str) -> String {
    format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{}\"\nregister = true\nusername = \"gateway\"\npassword_file = \"{password}\"\n\
         codecs = [\"g722\", \"pcma\", \"pcmu\"]\noptions_interval_s = 0\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
        address(scene, 2)
    )
}

/// The doctor's report, and whether it calls the trunk bad.
fn examine(folder: &Path, more: &[&str]) -> (Value, Option<i32>) {
    let config = folder.join("passerelle.toml");
    let mut command = Command::new(binary());
    command.args(["trunk", "test", "pbx", "--json"]).args(more).arg("--config").arg(config).current_dir(folder);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text);
    let report = report.unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}

fn finding<'a>(report: &'a Value, step: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|one| one["step"] == step).unwrap_or_else(|| panic!("no {step} in {report:#}"))
}

#[test]
fn a_trunk_is_examined_from_its_name_to_the_sound_of_a_call() {
    need_kamailio!();
    let folder = folder("doctor");
    let _pbx = Kamailio::start(&folder.join("kamailio"), address(SCENE, 2)).unwrap();
    fs::write(folder.join("secret"), PASSWORD).unwrap();
    let gateway = Gateway::start(&folder, address(SCENE, 1), &trunk(SCENE, "secret")).unwrap();
    let phone = Phone {
        address: address(SCENE, 3),
        user: "600",
        password: PASSWORD,
        registrar: format!("{}:5060", address(SCENE, 2)),
        transport: "udp",
        codecs: "PCMU/8000/1,PCMA/8000/1,G722/16000/1",
        tone_hz: 0,
        auto_answer: true,
        encryption: "",
    };
    let mut echo = Baresip::start(&folder.join("600"), &phone).unwrap();
    echo.wait_registered().unwrap();

    let secret = folder.join("secret");
    let (one, other) = (format!("1001={}", secret.display()), format!("1002={}", secret.display()));
    let asks = ["--call", "600", "--seconds", "3", "--extension", one.as_str(), "--extension", other.as_str()];
    let (report, code) = examine(&folder, &asks);
    eprintln!("{report:#}");
    // baresip 1.0 does not begin to send its loop again after a hold; another echo is held below.
    let bad =
        report["findings"].as_array().unwrap().iter().filter(|one| one["verdict"] == "bad" && one["step"] != "hold");
    assert_eq!((bad.count(), code.is_some()), (0, true), "{report:#}");
    for step in ["options", "nat", "register", "call", "sound", "dtmf", "quality", "tags"] {
        assert_eq!(finding(&report, step)["verdict"], "ok", "{step}: {report:#}");
    }
    // The gateway beside keeps its registration, and the doctor has seen it.
    let register = finding(&report, "register");
    assert_eq!(register["figures"]["asked_for_password"], true);
    assert!(register["lines"][0].as_str().unwrap().starts_with("sip:gateway@"), "{register:#}");
    assert_eq!(gateway.metric("passerelle_trunk_registered{trunk=\"pbx\"}"), Some(1.0));
    // By sound: our own tone came back.
    let sound = &finding(&report, "sound")["figures"];
    assert!(sound["tone_purity"].as_f64().unwrap() > 0.9, "{sound:#}");
    assert!(sound["there_and_back_ms"].as_u64().unwrap() < 2_000, "{sound:#}");
    let codecs = finding(&report, "codecs")["figures"].as_array().unwrap();
    let echoed: Vec<&str> =
        codecs.iter().filter(|row| row["echoed"] == true).filter_map(|row| row["codec"].as_str()).collect();
    assert_eq!(echoed, ["G722", "PCMA", "PCMU"], "{codecs:#?}");
    let opus = codecs.iter().find(|row| row["codec"] == "opus").unwrap();
    assert_eq!((&opus["taken"], &opus["status"]), (&Value::Bool(false), &Value::from(488)), "{opus:#}");
    // A proxy hands everything on, and leaves a transfer to us.
    for row in finding(&report, "tags")["figures"].as_array().unwrap() {
        assert_eq!((&row["fate"]["direct"], &row["fate"]["transfer"]), (&"whole".into(), &"by us".into()), "{row:#}");
    }
}

#[test]
fn an_echo_behind_a_border_is_held_and_heard_again() {
    need_kamailio!();
    if !Sipp::installed() {
        eprintln!("SKIPPED {}: Debian package sip-tester is not installed", module_path!());
        return;
    }
    const BEHIND: u8 = 123;
    let folder = folder("doctor-echo");
    let _border = Kamailio::start_border(&folder.join("border"), address(BEHIND, 2), address(BEHIND, 3)).unwrap();
    let keys = [("session", "1800;refresher=uas"), ("allow", "INVITE, ACK, BYE, CANCEL"), ("sound_port", "41000")];
    let pbx = Pbx { address: address(BEHIND, 3), scenario: "refresh", keys: &keys, calls: 5, echo: true };
    let _echo = Sipp::start(&folder.join("echo"), &pbx).unwrap();
    let trunk = format!(
        "[[trunk]]\nname = \"pbx\"\nuri = \"sip:{}\"\ncodecs = [\"pcmu\"]\noptions_interval_s = 0\n\
         [[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:600@pbx\"\n",
        address(BEHIND, 2)
    );
    let gateway = Gateway::start(&folder, address(BEHIND, 1), &trunk).unwrap();
    let (report, code) = examine(&folder, &["--call", "600", "--seconds", "2"]);
    assert_eq!(code, Some(0), "{report:#}");
    for step in ["options", "nat", "call", "sound", "quality", "codecs"] {
        assert_eq!(finding(&report, step)["verdict"], "ok", "{step}: {report:#}");
    }
    assert!(finding(&report, "sound")["figures"]["tone_purity"].as_f64().unwrap() > 0.9, "{report:#}");
    // Held, it answers sendrecv: that is worth a word, and sound is there again after it.
    let hold = finding(&report, "hold");
    assert_eq!((&hold["verdict"], &hold["figures"]["sound_after"]), (&"warning".into(), &true.into()), "{hold:#}");
    let dtmf = finding(&report, "dtmf");
    assert_eq!(
        (&dtmf["verdict"], &dtmf["mends"][0]["side"]),
        (&"warning".into(), &"pbx".into()),
        "it takes no telephone-event"
    );
    // Nothing of it is a call of the gateway's.
    assert_eq!(gateway.calls().unwrap().len(), 0);
    let words = ["trunk", "test", "pbx"];
    let text = gateway.command(&words).unwrap();
    assert!(text.contains("trunk pbx works: "), "{text}");
}

#[test]
fn what_is_wrong_is_blamed_on_the_right_side() {
    need_kamailio!();
    const OTHER: u8 = 122;
    let folder = folder("doctor-wrong");
    fs::write(folder.join("secret"), "not the password").unwrap();
    let _gateway = Gateway::start(&folder, address(OTHER, 1), &trunk(OTHER, "secret")).unwrap();
    // Nobody is there.
    let (report, code) = examine(&folder, &["--call", "600"]);
    let options = finding(&report, "options");
    assert_eq!((code, &options["verdict"], &options["mends"][0]["side"]), (Some(1), &"bad".into(), &"network".into()));
    assert_eq!(finding(&report, "call")["verdict"], "skipped");
    // Somebody is, who knows another password, and nobody of this number.
    let _pbx = Kamailio::start(&folder.join("kamailio"), address(OTHER, 2)).unwrap();
    let (report, code) = examine(&folder, &["--call", "600"]);
    assert_eq!((code, &finding(&report, "options")["verdict"]), (Some(1), &"ok".into()), "{report:#}");
    let register = finding(&report, "register");
    assert_eq!((&register["verdict"], &register["mends"][0]["side"]), (&"bad".into(), &"here".into()), "{register:#}");
    assert_eq!(
        (&finding(&report, "call")["verdict"], &finding(&report, "call")["mends"][0]["side"]),
        (&"bad".into(), &"here".into())
    );
    fs::write(folder.join("secret"), PASSWORD).unwrap();
    let (report, _) = examine(&folder, &["--call", "600"]);
    assert_ne!(finding(&report, "register")["verdict"], "bad", "{report:#}");
    let call = finding(&report, "call");
    assert_eq!((&call["figures"]["status"], &call["mends"][0]["side"]), (&404.into(), &"pbx".into()), "{call:#}");
}
