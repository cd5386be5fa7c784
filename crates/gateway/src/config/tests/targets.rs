//! Where a trunk's requests go, as it is written: `targets`, probes, caps, realm.

use std::time::Duration;

use super::super::checked::{Place, Transport};
use super::{SMALL, check_one, examine};

fn trunk(lines: &str) -> String {
    format!("[[trunk]]\nname = \"pbx\"\n{lines}")
}

#[test]
fn targets_and_caps_are_checked() {
    for (lines, expected) in [
        ("uri = \"sip:10.0.0.5;priority=1\"", "`;priority` is for one of several `targets`"),
        ("uri = \"sip:10.0.0.5\"\ntargets = []", "0 targets"),
        ("uri = \"sip:a.test\"\ntargets = [\"sip:b.test;weight=x\"]", "`;weight=x` is no number"),
        ("uri = \"sip:a.test\"\ntargets = [\"sip:b.test\", \"sip:b.test;weight=2\"]", "stands here twice"),
        ("uri = \"sip:a.test\"\noptions_interval_s = -1", "write a number from 0 to 3600"),
        ("uri = \"sip:a.test\"\ncalls_per_second_max = 5000", "write a number from 0 to 1000"),
        ("uri = \"sip:a.test\"\nrealm = \"a\"", "without a `username` this has no effect"),
        (
            "uri = \"sips:a.test\"\ntargets = [\"sip:b.test;transport=tcp\"]",
            "the trunk is by TLS and this target is not",
        ),
    ] {
        check_one(&trunk(lines), expected);
    }
}

#[test]
fn without_targets_the_uri_is_the_place() {
    let config = examine(&format!("{}\n{SMALL}", trunk("uri = \"sip:pbx.example:5070\""))).config.unwrap();
    let pbx = &config.trunks[0];
    assert_eq!(pbx.places.len(), 1);
    assert_eq!(
        (pbx.options_interval, pbx.calls_max, pbx.calls_per_second_max),
        (Some(Duration::from_secs(30)), None, None)
    );
}

#[test]
fn targets_have_their_own_way_priority_and_share() {
    let several = "uri = \"sip:pbx.example;transport=tcp\"\ntargets = [\"sip:10.0.0.5;priority=1;weight=9\", \
                   \"sip:10.0.0.6:5070;transport=udp;priority=2\"]\noptions_interval_s = 0\ncalls_max = 30";
    let config = examine(&format!("{}\n{SMALL}", trunk(several))).config.unwrap();
    let several = &config.trunks[0];
    let place = |host: &str, port, transport, priority, weight| Place {
        host: host.to_owned(),
        port,
        transport: Some(transport),
        priority,
        weight,
    };
    assert_eq!(
        several.places,
        [place("10.0.0.5", None, Transport::Tcp, 1, 9), place("10.0.0.6", Some(5_070), Transport::Udp, 2, 1)]
    );
    assert_eq!((several.options_interval, several.calls_max), (None, Some(30)));
}
