//! Session timers (RFC 4028), UPDATE (RFC 3311), reliable provisional answers (RFC 3262), delayed offers (RFC 3261 §13.2.1).

use super::*;

/// The PBX's tone after it has moved.
const MOVED_HZ: f64 = 1_300.0;
/// §10 of RFC 4028 with an interval of 90 s: refreshed after 45 s, given up 30 s before its end.
const REFRESHED: Duration = Duration::from_secs(45);
const GIVEN_UP: Duration = Duration::from_secs(60);

/// A call whose session is refreshed in mid-talk, by this method; the PBX's Allow says which.
fn refreshed(name: &str, number: u8, allow: &str, method: &str) {
    let mut line = Line::with(name, number, "session_expires_s = 90\nrefresher = \"gateway\"", 20);
    let mut pbx = line.pbx("refresh", &[("session", "90;refresher=uac"), ("allow", allow)]);
    let sound = line.talk(&pbx);
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    assert_eq!(invite.headers("Session-Expires"), ["90;refresher=uac"], "{}", invite.text);
    assert!(invite.headers("Supported")[0].contains("timer"), "{}", invite.text);
    let (count, start) = if method == "INVITE" { (2, "INVITE") } else { (1, method) };
    let refresh = pbx.wait_received(start, count, REFRESHED + SOON).unwrap();
    assert_eq!(refresh.headers("Session-Expires"), ["90;refresher=uac"], "{}", refresh.text);
    if method == "INVITE" {
        assert_eq!(refresh.sound_at(), invite.sound_at(), "it says what was said before");
        pbx.wait_received("ACK", 2, SOON).unwrap();
    }
    line.hear_each_other(&sound);
    assert!(!line.state_was_told("held") && !line.state_was_told("ended"));
    line.hang_up(&mut pbx);
    assert_eq!(cause(&line.record(1, SOON)), "normal");
}

#[test]
fn a_long_call_is_refreshed_by_update() {
    need_sipp!();
    refreshed("sipp-refresh", 100, "INVITE, ACK, CANCEL, BYE, UPDATE", "UPDATE");
}

#[test]
fn a_long_call_with_an_old_pbx_is_refreshed_by_a_reinvite() {
    need_sipp!();
    refreshed("sipp-refresh-old", 101, "INVITE, ACK, CANCEL, BYE", "INVITE");
}

#[test]
fn a_pbx_that_forgets_to_refresh_loses_the_call_before_its_session_expires() {
    need_sipp!();
    let mut line = Line::with("sipp-expires", 102, "session_expires_s = 90\nrefresher = \"pbx\"", 20);
    let mut pbx = line.pbx("refresh", &[("session", "90;refresher=uas"), ("allow", "INVITE, ACK, CANCEL, BYE")]);
    let started = Instant::now();
    let _sound = line.talk(&pbx);
    let bye = pbx.wait_received("BYE", 1, GIVEN_UP + SOON).unwrap();
    assert!(started.elapsed() > GIVEN_UP - SOON, "too early:\n{}", bye.text);
    let told = line.visitor.wait_state("failed", SOON).unwrap();
    assert_eq!(told["code"], "unreachable", "{told}");
    pbx.wait_done(SOON).unwrap();
    assert_eq!(cause(&line.record(1, SOON)), "unreachable");
}

#[test]
fn an_interval_the_pbx_finds_too_short_is_asked_for_again_as_it_wants() {
    need_sipp!();
    let mut line = Line::with("sipp-422", 103, "session_expires_s = 90", 20);
    let mut pbx = line.pbx("interval", &[]);
    let _sound = line.talk(&pbx);
    let first = pbx.wait_received("INVITE", 1, SOON).unwrap();
    let second = pbx.wait_received("INVITE", 2, SOON).unwrap();
    assert_eq!((first.headers("Session-Expires"), first.headers("CSeq")), (vec!["90"], vec!["1 INVITE"]));
    assert_eq!((second.headers("Session-Expires"), second.headers("Min-SE")), (vec!["300"], vec!["300"]));
    assert_eq!(second.headers("CSeq"), ["2 INVITE"]);
    assert_ne!(first.headers("Via"), second.headers("Via"));
    line.hang_up(&mut pbx);
}

#[test]
fn a_reliable_answer_is_acknowledged_heard_moved_and_holds_for_the_200() {
    need_sipp!();
    let mut line = Line::set("sipp-reliable", 104);
    let moved_port = MOVED_PORT.to_string();
    let mut pbx = line.pbx("reliable", &[("moved_port", moved_port.as_str())]);
    line.visitor.act("talk").unwrap();
    let invite = pbx.wait_received("INVITE", 1, SOON).unwrap();
    let prack = pbx.wait_received("PRACK", 1, SOON).unwrap();
    assert_eq!(prack.headers("RAck"), ["4711 1 INVITE"], "{}", prack.text);
    assert!(prack.headers("To")[0].contains("tag=pbx"), "{}", prack.text);
    let first = line.sound(SOUND_PORT, &invite, 0x1234_5678);
    line.visitor.wait_hears(PBX_HZ).unwrap();
    assert!(!line.state_was_told("talking"), "nobody has answered yet");
    pbx.nudge(&[]).unwrap();
    let moved = pbx.wait_received("SIP/2.0 200", 1, SOON).unwrap();
    assert!(moved.headers("CSeq")[0].ends_with("UPDATE"), "{}", moved.text);
    drop(first);
    let second = line.tone(MOVED_HZ, MOVED_PORT, &moved, 0xfeed_0001);
    line.visitor.wait_hears(MOVED_HZ).unwrap();
    assert!(!line.state_was_told("talking"), "still nobody");
    pbx.nudge(&[]).unwrap();
    line.visitor.wait_state("talking", SOON).unwrap();
    line.visitor.wait_hears(MOVED_HZ).unwrap();
    pbx_hears_visitor(&second);
    let pracks = pbx.messages().iter().filter(|message| message.received && message.text.starts_with("PRACK")).count();
    assert_eq!(pracks, 1, "a copy of the 183 is not acknowledged again");
    line.hang_up(&mut pbx);
    assert_eq!(cause(&line.record(1, SOON)), "normal");
}

/// A phone that calls the echo by this scenario, and hears itself.
fn calls_the_echo(name: &str, number: u8, scenario: &str) {
    let folder = folder(name);
    let phone = address(number, 3);
    let more = "[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"echo\"\n";
    let gateway = Gateway::start(&folder, address(number, 1), more).unwrap();
    let port = SOUND_PORT.to_string();
    let call = Pbx { address: phone, scenario, keys: &[("sound_port", port.as_str())], calls: 1, echo: false };
    let mut sipp = Sipp::call(&folder.join("phone"), &call, gateway.address).unwrap();
    let until = Instant::now() + SOON;
    let answer = loop {
        let messages = sipp.messages();
        let mut answers = messages.iter().filter(|message| message.received && message.text.starts_with("SIP/2.0 200"));
        if let Some(answer) = answers.find(|answer| answer.sound_at().is_some()) {
            break answer.clone();
        }
        assert!(Instant::now() < until, "no description in any 200: {messages:#?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let stream = Stream { tone_hz: PBX_HZ, ssrc: 0x1234_5678, sequence: 7, timestamp: 77 };
    let sound = RtpPeer::start(SocketAddr::new(phone, SOUND_PORT), answer.sound_at().unwrap(), stream).unwrap();
    // First the echo says its sentence.
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let share = tone::share_at(&tone::tail(&sound.heard(), 1.0), PBX_HZ);
        if share > 0.8 {
            break;
        }
        assert!(Instant::now() < until, "the echo should bring {PBX_HZ} Hz back; its share is {share:.2}");
        std::thread::sleep(Duration::from_millis(200));
    }
    sipp.nudge(&[]).unwrap();
    sipp.wait_done(SOON).unwrap();
    drop(std::fs::remove_dir_all(&folder));
}

#[test]
fn a_phone_that_leaves_the_offer_to_us_is_heard() {
    need_sipp!();
    calls_the_echo("sipp-delayed-call", 105, "caller_delayed");
}

#[test]
fn a_phone_that_insists_on_reliable_answers_is_rung_back_and_heard() {
    need_sipp!();
    calls_the_echo("sipp-reliable-call", 105, "caller_reliable");
}
