//! How a call ends, and what each side is told: hang-up by either, busy, no answer, cancel, a gone phone, a gone page.

use std::time::Duration;

use super::need_peers;
use super::scene::{QUEUE, SOON, Scene, Setting};

#[test]
fn the_visitor_hangs_up() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-visitor", 21));
    scene.talk();
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "visitor".to_owned()));
}

#[test]
fn the_agent_hangs_up() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-agent", 22));
    scene.talk();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("ended", SOON).unwrap();
    assert_eq!(scene.ended(), ("normal".to_owned(), "agent".to_owned()));
}

#[test]
fn the_visitor_gives_up_while_it_rings() {
    need_peers!();
    let mut scene = Scene::set(Setting { auto_answer: false, ..Setting::new("end-cancel", 23) });
    scene.visitor.act("talk").unwrap();
    scene.visitor.wait_state("ringing", SOON).unwrap();
    scene.agent.wait_event("CALL_INCOMING", SOON).unwrap();
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    assert_eq!(scene.ended(), ("cancelled".to_owned(), "visitor".to_owned()));
}

#[test]
fn the_agent_declines() {
    need_peers!();
    let mut scene = Scene::set(Setting { auto_answer: false, ..Setting::new("end-decline", 24) });
    scene.visitor.act("talk").unwrap();
    scene.agent.wait_event("CALL_INCOMING", SOON).unwrap();
    scene.agent.command("hangup", "").unwrap();
    scene.visitor.wait_state("failed", SOON).unwrap();
    let (cause, _) = scene.ended();
    assert!(["busy", "refused"].contains(&cause.as_str()), "{cause}");
}

#[test]
fn nobody_answers() {
    need_peers!();
    let queue = QUEUE.replace("ring_limit_s = 20", "ring_limit_s = 5");
    let mut scene = Scene::set(Setting { auto_answer: false, more: &queue, ..Setting::new("end-no-answer", 25) });
    scene.visitor.act("talk").unwrap();
    scene.agent.wait_event("CALL_INCOMING", SOON).unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    scene.visitor.wait_state("failed", SOON).unwrap();
    assert_eq!(scene.ended().0, "no-answer");
}

#[test]
fn no_agent_is_there() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-no-agent", 26));
    scene.agent.running.signal("TERM").unwrap();
    scene.gateway.running.wait_for("phone no longer registered", SOON).unwrap();
    scene.visitor.act("talk").unwrap();
    let state = scene.visitor.wait_state("failed", SOON).unwrap();
    assert!(!state.to_string().is_empty());
    assert!(scene.gateway.calls().unwrap().is_empty(), "a refused request is no call");
}

#[test]
fn a_closed_tab_ends_the_agents_leg() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-tab", 27));
    scene.talk();
    scene.visitor.running.tell("close").unwrap();
    scene.agent.wait_event("CALL_CLOSED", Duration::from_secs(45)).unwrap();
    assert_eq!(scene.ended().1, "visitor");
}

#[test]
fn a_killed_gateway_closes_its_calls_as_interrupted_at_the_next_start() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-kill", 28));
    scene.talk();
    scene.gateway.running.signal("KILL").unwrap();
    scene.gateway.running.wait_end(SOON).unwrap();
    let address = scene.gateway.address;
    scene.gateway = sip_tests::gateway::Gateway::start(&scene.folder, address, QUEUE).unwrap();
    assert_eq!(scene.ended().0, "interrupted");
}

#[test]
fn sigterm_lets_the_call_finish_and_then_ends() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("end-drain", 29));
    scene.talk();
    scene.gateway.running.signal("TERM").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    scene.hear_each_other();
    let (status, _) = scene.gateway.get("/readyz").unwrap();
    assert_eq!(status, 503, "no new call is taken");
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    let status = scene.gateway.running.wait_end(SOON).unwrap();
    assert!(status.success(), "{status}");
}
