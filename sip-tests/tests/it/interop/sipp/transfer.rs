//! A PBX asks for a transfer (RFC 3515): to whom it may, what it is told, what the new one is shown, and that the visitor hears
//! somebody all the while.

use super::*;

/// Where the two calls of the scenario have their sound, and the second one's tone.
const FIRST_PORT: u16 = 43_100;
const SECOND_PORT: u16 = 43_200;
const SECOND_HZ: f64 = 1_300.0;

/// A talk with the PBX's user 600, and the PBX's sound.
fn talk(line: &mut Line, scenario: &str, calls: u32) -> (Sipp, Logged, RtpPeer) {
    let pbx = Pbx { address: line.pbx, scenario, keys: &[], calls, echo: false };
    let pbx = Sipp::start(&line.folder.join("pbx"), &pbx).unwrap();
    line.visitor.act("talk").unwrap();
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    let sound = line.sound(FIRST_PORT, &invite, 0x1234_5678);
    line.visitor.wait_state("talking", SOON).unwrap();
    line.hear_each_other(&sound);
    (pbx, invite, sound)
}

fn refer(pbx: &mut Sipp, number: u32, target: &str) {
    pbx.nudge(&[("X-Refer-To", target), ("X-Number", &number.to_string())]).unwrap();
}

/// The fragments of SIP that the PBX was told, in order, once there are so many.
fn told(pbx: &Sipp, count: usize) -> Vec<String> {
    pbx.wait_received("NOTIFY", count, SOON).unwrap();
    let notifies = pbx.messages().into_iter().filter(|message| message.received && message.text.starts_with("NOTIFY"));
    let mut fragments: Vec<String> = notifies
        .filter_map(|notify| {
            assert!(notify.headers("Event")[0].starts_with("refer"), "{}", notify.text);
            notify.text.lines().find(|line| line.starts_with("SIP/2.0 ")).map(str::to_owned)
        })
        .collect();
    fragments.dedup();
    fragments
}

#[test]
fn a_pbx_hands_the_visitor_to_a_user_of_its_own_and_the_tag_goes_with_him() {
    need_sipp!();
    let mut line = Line::with("sipp-refer", 116, "transfer_to = [\"60?\"]", 20);
    let (mut pbx, invite, first) = talk(&mut line, "refer", 2);
    refer(&mut pbx, 1, &format!("<sip:601@{}>", line.pbx));
    let second = pbx.wait_received("INVITE sip:601", 1, SOON).unwrap();
    for header in ["User-to-User", "X-Passerelle-Tag", "X-Passerelle-Page", "X-Passerelle-Title"] {
        assert_eq!(second.headers(header), invite.headers(header), "{header}");
        assert_eq!(invite.headers(header).len(), 1, "{header}");
    }
    assert_eq!(second.headers("Referred-By"), [format!("<sip:600@{}>", line.pbx)]);
    let sound = line.tone(SECOND_HZ, SECOND_PORT, &second, 0xfeed_0001);
    line.visitor.wait_hears(SECOND_HZ).unwrap();
    pbx_hears_visitor(&sound);
    let fragments = told(&pbx, 2);
    assert_eq!(fragments.first().map(String::as_str), Some("SIP/2.0 100 Trying"), "{fragments:?}");
    assert_eq!(fragments.last().map(String::as_str), Some("SIP/2.0 200 OK"), "{fragments:?}");
    pbx.wait_received("BYE", 1, SOON).unwrap();
    drop(first);
    assert!(!line.state_was_told("ended"), "the visitor's call went on");
    line.hang_up(&mut pbx);
    let record = line.record(1, SOON);
    assert_eq!(cause(&record), "normal");
    let peers: Vec<&str> = record["legs"].as_array().unwrap().iter().filter_map(|leg| leg["peer"].as_str()).collect();
    assert_eq!(peers, ["", "600", "601"], "one record, and who talked in it: {record}");
    assert!(record["legs"][1]["talked_until"] == record["legs"][2]["talked_from"], "{record}");
}

#[test]
fn a_pbx_sends_nobody_outside_nor_to_a_phone_that_is_not_there_and_the_talk_goes_on() {
    need_sipp!();
    let mut line = Line::with("sipp-refer-outside", 117, "transfer_to = [\"60?\"]", 20);
    let (mut pbx, _, sound) = talk(&mut line, "refer", 1);
    let gateway = line.gateway.address;
    for (number, target) in (1..).zip([
        format!("<sip:+979123456789@{}>", line.pbx),
        format!("<sip:0899123456@{gateway}>"),
        format!("<sip:610@{}>", line.pbx),
        "<sip:601@198.51.100.7>".to_owned(),
        format!("<sip:601@pbx.elsewhere.example;maddr={}>", line.pbx),
        "<tel:+33899123456>".to_owned(),
    ]) {
        refer(&mut pbx, number, &target);
        pbx.wait_received("SIP/2.0 403", number as usize, SOON).unwrap();
    }
    // A colleague whom the rules allow and whose phone is not there: told, and the two talk on.
    refer(&mut pbx, 7, &format!("<sip:1002@{gateway}>"));
    let fragments = told(&pbx, 2);
    assert_eq!(fragments, ["SIP/2.0 100 Trying", "SIP/2.0 480 Temporarily Unavailable"]);
    line.hear_each_other(&sound);
    let invites =
        pbx.messages().iter().filter(|message| message.received && message.text.starts_with("INVITE")).count();
    assert_eq!(invites, 1, "nobody was called");
    assert_eq!(line.gateway.metric("passerelle_transfers_total{outcome=\"refused\"}"), Some(6.0));
    line.hang_up(&mut pbx);
    assert_eq!(cause(&line.record(1, SOON)), "normal");
}
