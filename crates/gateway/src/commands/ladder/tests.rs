//! What `passerelle ladder` prints.

use serde_json::json;

use super::*;

fn message(sent: bool, label: &str, more: Value) -> Value {
    let mut message = json!({
        "sent": sent, "transport": "udp", "local": "192.0.2.1:5060", "remote": "192.0.2.9:5060", "label": label,
        "call_id": "c0ffee-1", "again": [], "repeats": 0, "text": format!("{label}\r\n\r\nx\x1b[2J\r\n"),
    });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn view() -> Value {
    let sdp = |sdp: &str| json!({ "sdp": sdp });
    json!({
        "call": "c0ffee",
        "legs": [{"call_id": "c0ffee-1", "leg": 1, "who": "pbx"}],
        "dropped_lines": 0,
        "rows": [
            {"at": "2026-11-18T10:00:00.000100Z", "event": "state", "words": "the call is opening"},
            {"at": "2026-11-18T10:00:00.010Z", "message": message(true, "INVITE", sdp("opus/PCMA 192.0.2.1:20000 sendrecv"))},
            {"at": "2026-11-18T10:00:00.510Z", "message": message(false, "180 Ringing", json!({"repeats": 2}))},
            {"at": "2026-11-18T10:00:00.512Z", "event": "ringing", "leg": 1, "who": "pbx", "words": "rings"},
            {"at": "2026-11-18T10:00:00.900Z", "event": "media-up", "leg": 0, "who": "visitor", "words": "connected"},
            {"at": "2026-11-18T10:00:01.512Z", "message": message(false, "200 OK", sdp("PCMA 192.0.2.9:6000 sendrecv"))},
            {"at": "2026-11-18T10:00:02.512Z", "message": message(false, "INVITE", sdp("PCMA 192.0.2.9:6000 sendonly"))},
            {"at": "2026-11-18T10:00:03.512Z", "message": message(false, "BYE", json!({})), "refused": "out-of-order"},
        ],
    })
}

#[test]
fn a_ladder_has_a_lane_for_each_and_an_arrow_for_each_message() {
    let drawn = draw::ladder(&view(), &TimeZone::UTC);
    let expected = "\
Call c0ffee, from 2026-11-18 10:00:00.000
pbx: Call-ID c0ffee-1

       ms  visitor                   passerelle                pbx
           page                      192.0.2.1:5060            192.0.2.9:5060 udp
        0   |                         *                         |   the call is opening
        9   |                         |-------- INVITE -------->|
            |                         |                         |   our SDP: opus/PCMA 192.0.2.1:20000 sendrecv
      509   |                         |<-- 180 Ringing (x3) ----|
      511   |                         |                         *   pbx: rings
      899   *                         |                         |   visitor: connected
     1511   |                         |<------- 200 OK ---------|
            |                         |                         |   their SDP: PCMA 192.0.2.9:6000 sendrecv
     2511   |                         |<------- INVITE ---------|
            |                         |                         |   their SDP: PCMA 192.0.2.9:6000 sendonly
     3511   |                         |<-------- BYE -----------|   refused: out-of-order
";
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn the_raw_messages_steer_no_terminal() {
    let raw = raw(&view(), &TimeZone::UTC);
    assert!(
        raw.starts_with("--- 2026-11-18 10:00:00.010 udp 192.0.2.1:5060 -> 192.0.2.9:5060\nINVITE\n\nx\u{fffd}[2J\n"),
        "{raw}"
    );
    assert!(raw.contains("192.0.2.9:5060 -> 192.0.2.1:5060, 2 times again\n180 Ringing\n"), "{raw}");
    assert!(raw.contains(", refused: out-of-order\nBYE\n"), "{raw}");
    assert!(!raw.contains('\x1b') && !raw.contains('\r'));
}

#[test]
fn the_list_says_how_each_call_went_and_the_refused_why() {
    let card = json!({"call": "c0ffee00c0ffee00c0ffee00c0ffee00", "call_ids": ["x-1"], "began": "2026-11-18T10:00:00Z",
        "last": "2026-11-18T10:00:09Z", "peers": ["pbx"], "first": "the call is opening", "outcome": "busy, by agent",
        "messages": 7});
    let stray = json!({"call_ids": ["a\x1b@b"], "began": "2026-11-18T09:00:00Z", "peers": ["192.0.2.7:5060"],
        "first": "REGISTER", "messages": 2});
    let told = list(&json!({"ladders": [card, stray], "lost": 3}), &TimeZone::UTC);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[1], "2026-11-18 10:00:00  c0ffee00  pbx             the call is opening  busy, by agent  7");
    assert_eq!(
        lines[2],
        "2026-11-18 09:00:00  a\u{fffd}@b      192.0.2.7:5060  REGISTER             -               2"
    );
    assert!(lines[3].starts_with("3 messages"), "{told}");
    assert!(list(&json!({"ladders": []}), &TimeZone::UTC).starts_with("No call's ladder"));
    let refused = refused(&view(), &TimeZone::UTC);
    assert!(refused.lines().last().unwrap().ends_with("udp 192.0.2.9:5060  BYE          out-of-order  1"), "{refused}");
}

#[test]
fn any_call_id_is_one_segment_of_a_path() {
    assert_eq!(escaped("a-b_c~1@10.0.0.1/x?y z%"), "a-b_c~1%4010%2E0%2E0%2E1%2Fx%3Fy%20z%25");
}
