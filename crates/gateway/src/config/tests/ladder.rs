//! What is kept of the messages of a call, as it is written.

use super::{SMALL, check_one, examine};

#[test]
fn bounds_have_ranges_and_a_collector_has_a_host_and_a_port() {
    for (lines, expected) in [
        ("memory_mb = 5000", "`memory_mb` is 5000"),
        ("keep_hours = 0", "`keep_hours` is 0"),
        ("messages_max = 3", "`messages_max` is 3"),
        ("hep = \"10.0.0.9:9060\"", "write \"udp:HOST:PORT\""),
        ("hep = \"udp:10.0.0.9\"", "is no collector"),
        ("hep = \"udp:10.0.0.9:0\"", "is no collector"),
        ("hep = \"udp:a b:9060\"", "is no collector"),
        ("hep = \"udp:[::g]:9060\"", "is no collector"),
        ("hep = \"tcp:10.0.0.9:9060\"", "is no collector"),
        ("hep = \"udp:10.0.0.9:9060\"\nmemory_mb = 0", "without memory"),
        ("hep_key_file = \"/secret\"", "there is no collector"),
        ("hep = \"udp:10.0.0.9:9060\"\nhep_key = \"typed\"", "a secret does not belong"),
    ] {
        check_one(&format!("[ladder]\n{lines}"), expected);
    }
    let ladder = |lines: &str| examine(&format!("[ladder]\n{lines}\n{SMALL}")).config.unwrap().ladder;
    let usual = ladder("");
    assert_eq!((usual.bytes, usual.keep.as_secs(), usual.rows), (32 << 20, 86_400, 400));
    assert!(usual.hep.is_none());
    assert_eq!(ladder("memory_mb = 0").bytes, 0);
    for (typed, host) in
        [("homer.example", "homer.example"), ("[2001:db8::9]", "2001:db8::9"), ("10.0.0.9", "10.0.0.9")]
    {
        let hep = ladder(&format!("hep = \"udp:{typed}:9060\"\nhep_id = 77")).hep.unwrap();
        assert_eq!((hep.host.as_str(), hep.port, hep.id), (host, 9_060, 77));
    }
}
