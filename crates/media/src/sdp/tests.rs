//! Offers and answers as phones, PBXs and browsers write them.

mod secure;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::format::{FormatKind, formats};
use super::*;
use crate::codec::CodecKind::{self, G722, Opus, Pcma, Pcmu};
use crate::packet::Ssrc;
use crate::plan::DtmfPlan;

fn config(codecs: &[CodecKind]) -> SdpConfig {
    SdpConfig {
        address: "192.0.2.1".parse().unwrap(),
        rtp_port: 20_000,
        codecs: codecs.to_vec(),
        ssrc: Ssrc(7),
        session_id: 42,
        version: 1,
        dtmf: true,
        ptime_ms: 20,
        secure: Secure::default(),
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A phone's description: `lines` after the usual head.
fn phone(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{lines}")
}

const G711_AND_EVENTS: &str =
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";

#[test]
fn an_offer_lists_codecs_in_our_order_with_events_at_both_clocks_beside_opus() {
    let text = offer(&config(&[Opus, G722, Pcma, Pcmu]));
    assert!(text.contains("m=audio 20000 RTP/AVP 111 9 8 0 110 101\r\n"), "{text}");
    for line in [
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 useinbandfec=1;stereo=0",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
        "a=rtcp-mux",
        "a=sendrecv",
        "c=IN IP4 192.0.2.1",
        "o=- 42 1 IN IP4 192.0.2.1",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{line} not in\n{text}");
    }
    let narrow = offer(&config(&[Pcma, Pcmu]));
    assert!(narrow.contains("m=audio 20000 RTP/AVP 8 0 101\r\n"), "{narrow}");
    assert!(!narrow.contains("48000"), "{narrow}");
}

#[test]
fn the_answer_to_our_offer_names_codec_address_and_events() {
    let agreed = accept_answer(&config(&[Opus, Pcma, Pcmu]), &phone(G711_AND_EVENTS)).unwrap();
    assert_eq!(agreed.plan.codec, Pcmu, "the answerer's first codec is the one to use");
    assert_eq!(agreed.plan.send_pt, 0);
    assert_eq!(agreed.plan.send_dtmf, Some(DtmfPlan { pt: 101, clock_hz: 8_000 }));
    assert_eq!(agreed.remote, Some(at("198.51.100.9:4000")));
    assert_eq!(agreed.remote_rtcp, Some(at("198.51.100.9:4001")));
    assert_eq!(agreed.direction, Direction::SendRecv);
    assert!(!agreed.held_by_peer && !agreed.rtcp_mux);
    // He may still send any codec of our offer under our number.
    assert!(agreed.plan.receive.contains(&(111, Opus)) && agreed.plan.receive.contains(&(8, Pcma)));
}

#[test]
fn dynamic_payload_types_differ_per_direction() {
    let answer = phone(
        "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 OPUS/48000/2\r\na=fmtp:96 useinbandfec=1; maxaveragebitrate=32000;usedtx=1\r\n\
         a=rtpmap:97 telephone-event/48000\r\n",
    );
    let plan = accept_answer(&config(&[Opus]), &answer).unwrap().plan;
    assert_eq!((plan.codec, plan.send_pt), (Opus, 96), "we send under his number");
    assert_eq!(plan.receive, [(111, Opus), (96, Opus)], "and take ours, and his for those who mix them up");
    assert_eq!(plan.send_dtmf, Some(DtmfPlan { pt: 97, clock_hz: 48_000 }));
    assert_eq!(
        plan.receive_dtmf,
        [(110, 48_000), (101, 8_000), (97, 48_000)].map(|(pt, clock_hz)| DtmfPlan { pt, clock_hz })
    );
    assert!(plan.opus.fec && plan.opus.dtx && !plan.opus.stereo);
    assert_eq!(plan.opus.max_bitrate, Some(32_000));
}

#[test]
fn his_number_never_gives_a_second_meaning_to_ours() {
    // He uses 101 for Opus and 111 for events: the reverse of our offer.
    let answer =
        phone("m=audio 4000 RTP/AVP 101 111\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:111 telephone-event/48000\r\n");
    let plan = accept_answer(&config(&[Opus]), &answer).unwrap().plan;
    assert_eq!((plan.send_pt, plan.send_dtmf.unwrap().pt), (101, 111));
    assert_eq!(plan.receive, [(111, Opus)]);
    assert_eq!(plan.receive_dtmf.iter().map(|d| d.pt).collect::<Vec<_>>(), [110, 101]);
}

#[test]
fn a_dynamic_number_without_a_map_keeps_our_meaning() {
    let agreed = accept_answer(&config(&[Opus, Pcmu]), &phone("m=audio 4000 RTP/AVP 111 101\r\n")).unwrap();
    assert_eq!((agreed.plan.codec, agreed.plan.send_pt), (Opus, 111));
    assert_eq!(agreed.plan.send_dtmf, Some(DtmfPlan { pt: 101, clock_hz: 8_000 }));
}

#[test]
fn an_answer_that_cannot_be_used_says_why() {
    let ours = config(&[Pcma]);
    let why = |lines: &str| accept_answer(&ours, &phone(lines)).unwrap_err();
    assert_eq!(why("m=audio 0 RTP/AVP 8\r\n"), SdpError::AudioRefused);
    assert_eq!(why("m=audio 4000 RTP/AVP 0\r\n"), SdpError::NoCommonCodec);
    assert_eq!(why("m=audio 4000 RTP/SAVP 8\r\n"), SdpError::NoKeys, "secure RTP without keys is not plain RTP");
    assert_eq!(why("m=video 4000 RTP/AVP 96\r\n"), SdpError::NoAudio);
    assert_eq!(why("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 phone.example\r\n"), SdpError::AddressIsName);
    let bare = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\nm=audio 4000 RTP/AVP 8\r\n";
    assert_eq!(accept_answer(&ours, bare).unwrap_err(), SdpError::NoAddress);
    for junk in ["", "hello", "\r\n\r\n", "INVITE sip:a@b SIP/2.0\r\nFrom: x\r\n"] {
        assert_eq!(accept_answer(&ours, junk).unwrap_err(), SdpError::NotSdp, "{junk:?}");
    }
}

#[test]
fn our_preference_decides_what_we_answer() {
    let theirs = phone("m=audio 4000 RTP/AVP 0 8 9 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n");
    let (text, agreed) = answer(&config(&[G722, Pcma, Pcmu]), &theirs).unwrap();
    assert!(text.contains("m=audio 20000 RTP/AVP 9 101\r\n"), "{text}");
    assert!(text.contains("a=rtpmap:9 G722/8000\r\n") && !text.contains("rtcp-mux"), "{text}");
    assert_eq!((agreed.plan.codec, agreed.plan.ptime_ms), (G722, 30));
    assert_eq!(agreed.plan.receive, [(9, G722)]);
}

#[test]
fn an_opus_offer_is_answered_under_its_own_numbers_with_both_event_clocks() {
    let theirs = phone(
        "m=audio 4000 RTP/AVP 109 0 96 97\r\na=rtpmap:109 opus/48000/2\r\na=fmtp:109 maxplaybackrate=16000;stereo=1;useinbandfec=1\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=rtpmap:97 telephone-event/48000\r\na=rtcp-mux\r\n",
    );
    let (text, agreed) = answer(&config(&[Opus, Pcmu]), &theirs).unwrap();
    assert!(text.contains("m=audio 20000 RTP/AVP 109 97 96\r\n"), "{text}");
    assert!(text.contains("a=rtcp-mux\r\n"), "{text}");
    assert!(agreed.rtcp_mux);
    assert_eq!(agreed.remote_rtcp, agreed.remote);
    assert_eq!(agreed.plan.send_dtmf, Some(DtmfPlan { pt: 97, clock_hz: 48_000 }));
    assert_eq!(agreed.plan.opus.max_playback_rate, Some(16_000));
    assert!(agreed.plan.opus.stereo && agreed.plan.opus.fec);
}

#[test]
fn hold_is_answered_as_rfc_3264_says_and_reported() {
    for (line, answered, held, has_remote) in [
        ("a=sendonly", "recvonly", true, true),
        ("a=inactive", "inactive", true, false),
        ("a=recvonly", "sendonly", false, true),
        ("a=sendrecv", "sendrecv", false, true),
        ("a=SendOnly", "recvonly", true, true),
        ("c=IN IP4 0.0.0.0", "recvonly", true, false),
    ] {
        let (text, agreed) = answer(&config(&[Pcmu]), &phone(&format!("{G711_AND_EVENTS}{line}\r\n"))).unwrap();
        assert!(text.contains(&format!("a={answered}\r\n")), "{line}: {text}");
        assert_eq!(agreed.direction.as_str(), answered, "{line}");
        assert_eq!(agreed.held_by_peer, held, "{line}");
        assert_eq!(agreed.remote.is_some(), has_remote, "{line}");
    }
    // The direction may stand at session level; the section's own wins.
    let session_level = phone(G711_AND_EVENTS).replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    assert!(answer(&config(&[Pcmu]), &session_level).unwrap().1.held_by_peer);
    let overridden = format!("{session_level}a=sendrecv\r\n");
    assert!(!answer(&config(&[Pcmu]), &overridden).unwrap().1.held_by_peer);
}

#[test]
fn our_own_hold_is_seen_as_such_when_answered() {
    let text = offer_with_direction(&config(&[Pcmu]), Direction::SendOnly);
    assert!(text.contains("a=sendonly\r\n"));
    let agreed = accept_answer(&config(&[Pcmu]), &phone(&format!("{G711_AND_EVENTS}a=recvonly\r\n"))).unwrap();
    assert_eq!(agreed.direction, Direction::SendOnly);
    assert!(!agreed.held_by_peer);
}

#[test]
fn every_section_is_answered_in_order_and_only_one_taken() {
    let theirs = phone(
        "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 4100 RTP/SAVP 0\r\nm=audio 4200 RTP/AVP 3\r\n\
         m=audio 4000 RTP/AVP 8\r\nc=IN IP4 203.0.113.5\r\nm=audio 4300 RTP/AVP 8\r\nm=image 6000 udptl t38\r\n",
    );
    let (text, agreed) = answer(&config(&[Pcma]), &theirs).unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 96",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 0 RTP/AVP 3",
            "m=audio 20000 RTP/AVP 8",
            "m=audio 0 RTP/AVP 8",
            "m=image 0 udptl t38",
        ]
    );
    assert_eq!(agreed.remote, Some(at("203.0.113.5:4000")), "the section's c= wins over the session's");
}

#[test]
fn rtcp_goes_where_it_is_asked_to() {
    for (line, expected) in [
        ("a=rtcp:5005", Some(at("198.51.100.9:5005"))),
        ("a=rtcp:5005 IN IP4 203.0.113.1", Some(at("203.0.113.1:5005"))),
        ("a=rtcp:0", Some(at("198.51.100.9:4001"))),
        ("a=rtcp:junk", Some(at("198.51.100.9:4001"))),
        ("a=rtcp:9 IN IP4 0.0.0.0", Some(at("198.51.100.9:4001"))),
        ("a=rtcp-mux", Some(at("198.51.100.9:4000"))),
    ] {
        let agreed = accept_answer(&config(&[Pcmu]), &phone(&format!("{G711_AND_EVENTS}{line}\r\n"))).unwrap();
        assert_eq!(agreed.remote_rtcp, expected, "{line}");
    }
}

#[test]
fn packet_time_is_his_wish_within_his_limit() {
    for (lines, expected) in [
        ("", 20),
        ("a=ptime:30\r\n", 30),
        ("a=ptime:20.0\r\n", 20),
        ("a=ptime:0\r\n", 20),
        ("a=ptime:5\r\n", 10),
        ("a=ptime:25\r\n", 20),
        ("a=ptime:400\r\n", 60),
        ("a=maxptime:10\r\n", 10),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=ptime:99999999999\r\n", 20),
    ] {
        let agreed = accept_answer(&config(&[Pcmu]), &phone(&format!("{G711_AND_EVENTS}{lines}"))).unwrap();
        assert_eq!(agreed.plan.ptime_ms, expected, "{lines:?}");
    }
}

#[test]
fn digits_follow_the_setting_and_the_far_end() {
    let mut quiet = config(&[Pcmu]);
    quiet.dtmf = false;
    let (text, agreed) = answer(&quiet, &phone(G711_AND_EVENTS)).unwrap();
    assert!(!text.contains("telephone-event"));
    assert_eq!((agreed.plan.send_dtmf, agreed.plan.receive_dtmf.len()), (None, 0));
    let (_, agreed) = answer(&config(&[Pcmu]), &phone("m=audio 4000 RTP/AVP 0\r\n")).unwrap();
    assert_eq!(agreed.plan.send_dtmf, None);
}

#[test]
fn careless_writing_is_read() {
    let careless = "\n o = phone 1 1 IN IP4 198.51.100.9\nc=IN IP6 [2001:db8::9]/127\r\rm=AUDIO  4000/2  RTP/AVP 0 0 8 300 abc 101\n\
                    a=RTPMAP:101   Telephone-Event/8000 \na=rtpmap:0 pcmu/8000/1\na = ptime : 20\nz\nx=1\nb=AS:80\n";
    let agreed = accept_answer(&config(&[Pcmu]), careless).unwrap();
    assert_eq!(agreed.plan.codec, Pcmu);
    assert_eq!(agreed.remote, Some(at("[2001:db8::9]:4000")));
    assert_eq!(agreed.plan.send_dtmf, Some(DtmfPlan { pt: 101, clock_hz: 8_000 }));
}

#[test]
fn a_static_number_may_be_given_another_meaning() {
    let theirs = phone("m=audio 4000 RTP/AVP 0 9\r\na=rtpmap:0 speex/8000\r\na=rtpmap:9 G722/16000\r\n");
    let agreed = accept_answer(&config(&[Pcmu, G722]), &theirs).unwrap();
    assert_eq!((agreed.plan.codec, agreed.plan.send_pt), (G722, 9));
}

#[test]
fn every_bound_is_kept() {
    let head = phone("m=audio 4000 RTP/AVP 0\r\n");
    let is_too_long = |text: &str| matches!(Session::parse(text), Err(SdpError::TooLong(_)));
    assert!(!is_too_long(&head));
    assert!(is_too_long(&format!("{head}a={}\r\n", "x".repeat(MAX_LINE_BYTES))));
    assert!(is_too_long(&format!("{head}{}", "a=candidate:1\r\n".repeat(MAX_ATTRIBUTES + 1))));
    assert!(is_too_long(&format!("{head}{}", "x=1\r\n".repeat(MAX_LINES))));
    assert!(is_too_long(&format!("{head}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(MAX_MEDIA))));
    assert!(is_too_long(&format!("{head}m=audio 1 RTP/AVP{}\r\n", " 0".repeat(MAX_FORMATS + 1))));
    assert!(is_too_long(&" ".repeat(MAX_BYTES + 1)));
    // Many numbers for one codec do not fill the plan.
    let numbers: String = (96..128).map(|pt| format!(" {pt}")).collect();
    let maps: String = (96..128).map(|pt| format!("a=rtpmap:{pt} opus/48000/2\r\n")).collect();
    let plan =
        accept_answer(&config(&[Opus]), &phone(&format!("m=audio 4000 RTP/AVP{numbers}\r\n{maps}"))).unwrap().plan;
    assert_eq!(plan.receive.len() + plan.receive_dtmf.len(), 16);
}

fn corpus() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-tests/data/sdp/chromium156");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sdp"))
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() >= 23, "the corpus is missing: {}", found.len());
    found
}

#[test]
fn what_chromium_writes_is_read_and_written_again_unchanged_in_meaning() {
    for (path, text) in corpus() {
        let session = Session::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let again = Session::parse(&session.to_string()).unwrap();
        assert_eq!(again, session, "{}", path.display());
        let audio = session.media.iter().find(|m| m.kind == MediaKind::Audio).unwrap();
        let known = formats(audio).into_iter().filter(|f| f.kind != FormatKind::Other).count();
        assert!(known >= 1, "{}: no format understood", path.display());
    }
}

/// Random damage to real descriptions: whatever comes out, it is an answer or an error, and quickly.
#[test]
fn damaged_descriptions_never_panic() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    let mut rng = SmallRng::seed_from_u64(0x5d9_0001);
    let mut seeds: Vec<String> = corpus().into_iter().map(|(_, text)| text).collect();
    seeds.push(phone(G711_AND_EVENTS));
    let ours = config(&[Opus, G722, Pcma, Pcmu]);
    let words =
        ["m=audio 9 RTP/AVP 0\r\n", "a=rtpmap:", "c=IN IP4 ", "\r", "\u{e9}", "=", ":", " ", "65536", "-1", "/"];
    for _ in 0..20_000 {
        let mut text = seeds[rng.random_range(0..seeds.len())].replace("UDP/TLS/RTP/SAVPF", "RTP/AVP").into_bytes();
        for _ in 0..rng.random_range(1..8) {
            let place = rng.random_range(0..text.len());
            match rng.random_range(0..4) {
                0 => text[place] = rng.random(),
                1 => text.truncate(place.max(1)),
                2 => drop(text.drain(place..(place + rng.random_range(0..40)).min(text.len()))),
                _ => {
                    let word = words[rng.random_range(0..words.len())];
                    text.splice(place..place, word.bytes());
                }
            }
            if text.is_empty() {
                text.push(b'm');
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Ok(session) = Session::parse(&text) {
            let again = Session::parse(&session.to_string()).unwrap();
            assert_eq!(again.media.len(), session.media.len(), "{text}");
        }
        if let Ok((reply, agreed)) = answer(&ours, &text) {
            let theirs = Session::parse(&text).unwrap();
            let reply = Session::parse(&reply).unwrap();
            assert_eq!(reply.media.len(), theirs.media.len(), "{text}");
            assert_eq!(reply.media.iter().filter(|m| m.port != 0).count(), 1, "{text}");
            assert!(agreed.plan.receive.iter().any(|(_, codec)| *codec == agreed.plan.codec), "{text}");
        }
        drop(accept_answer(&ours, &text));
    }
}
