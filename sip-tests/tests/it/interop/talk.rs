//! A visitor talks to an agent: real browser, real softphone, real sound both ways, in every codec.

use std::time::Duration;

use super::need_peers;
use super::scene::{AGENT_HZ, SOON, Scene, Setting};

fn tones_cross(setting: Setting<'_>, codec: &str) {
    let mut scene = Scene::set(setting);
    scene.talk();
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
    let record = scene.record().to_string();
    assert!(record.to_lowercase().contains(&codec.to_lowercase()), "the record should name {codec}: {record}");
}

#[test]
fn tones_cross_in_pcmu() {
    need_peers!();
    tones_cross(Setting::new("pcmu", 11), "PCMU");
}

#[test]
fn tones_cross_in_pcma_over_tcp() {
    need_peers!();
    tones_cross(Setting { codecs: "PCMA/8000/1", transport: "tcp", ..Setting::new("pcma", 12) }, "PCMA");
}

#[test]
fn tones_cross_in_g722() {
    need_peers!();
    tones_cross(Setting { codecs: "G722/16000/1", ..Setting::new("g722", 13) }, "G722");
}

#[test]
fn tones_cross_in_opus() {
    need_peers!();
    tones_cross(Setting { codecs: "opus/48000/2", ..Setting::new("opus", 14) }, "opus");
}

#[test]
fn hold_is_shown_and_resume_brings_the_sound_back() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("hold", 15));
    scene.talk();
    for _ in 0..2 {
        scene.agent.command("hold", "").unwrap();
        scene.visitor.wait_state("held", SOON).unwrap();
        std::thread::sleep(Duration::from_secs(2));
        scene.agent.command("resume", "").unwrap();
        scene.visitor.wait_state("talking", SOON).unwrap();
        scene.hear_each_other();
    }
    scene.visitor.act("hangUp").unwrap();
    scene.agent.wait_event("CALL_CLOSED", SOON).unwrap();
}

#[test]
fn digits_cross_both_ways_each_once() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("digits", 16));
    scene.talk();
    scene.visitor.act("digits 42#").unwrap();
    for key in ["4", "2", "#"] {
        let event = scene.agent.wait_event("CALL_DTMF_START", SOON).unwrap();
        assert_eq!(event["param"].as_str(), Some(key), "{event}");
    }
    let again = scene.agent.wait_event("CALL_DTMF_START", Duration::from_secs(1));
    assert!(again.is_err(), "a digit came twice: {again:?}");
    scene.agent.command("sndcode", "7").unwrap();
    scene.agent.command("sndcode", "x").unwrap();
    scene.visitor.running.wait_for("\"digit\":\"7\"", SOON).unwrap();
    let again = scene.visitor.running.wait_for("\"digit\"", Duration::from_secs(1));
    assert!(again.is_err(), "a digit came twice: {again:?}");
    scene.visitor.wait_hears(f64::from(AGENT_HZ)).unwrap();
}

#[test]
fn the_record_keeps_the_page_without_its_query() {
    need_peers!();
    let mut scene = Scene::set(Setting::new("tag", 17));
    scene.talk();
    scene.visitor.act("hangUp").unwrap();
    let record = scene.record().to_string();
    assert!(record.contains("/basket") && !record.contains("secret"), "the page without its query: {record}");
    assert!(record.contains("Basket"), "the page's title: {record}");
}
