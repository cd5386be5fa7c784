//! Offers as browsers write them, and as they should not.

use std::path::Path;

use media::CodecKind::{self, G722, Opus, Pcma, Pcmu};
use media::sdp::{Direction, MediaKind, SdpError, Session};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::visitor::{config, start};
use crate::{BrowserLeg, Certificate, OfferError};

const CODECS: [CodecKind; 3] = [Opus, Pcma, Pcmu];

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-tests/data/sdp/chromium156");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn certificate() -> Certificate {
    Certificate::generate().unwrap()
}

fn accept(offer: &str) -> Result<(BrowserLeg, String), OfferError> {
    BrowserLeg::accept(offer, config(&CODECS), &certificate(), start())
}

fn refusal(offer: &str) -> OfferError {
    accept(offer).map(|(_, answer)| answer).unwrap_err()
}

/// Firefox writes ice and fingerprint at session level, other numbers, and a wish for trickle.
const FIREFOX: &str = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 123 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    a=fingerprint:sha-256 11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00\r\n\
    a=group:BUNDLE 0\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n\
    a=fmtp:101 0-15\r\na=ice-pwd:0123456789abcdef0123456789abcdef\r\na=ice-ufrag:abcd1234\r\na=mid:0\r\n\
    a=msid:{a} {b}\r\na=rtcp-mux\r\na=rtpmap:109 opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000/1\r\na=setup:actpass\r\na=ssrc:42 cname:{c}\r\n";

/// What every answer must be, whatever the offer.
fn check_answer(offer: &str, answer: &str, leg: &BrowserLeg) {
    let theirs = Session::parse(offer).unwrap();
    let ours = Session::parse(answer).unwrap();
    assert_eq!(ours.media.len(), theirs.media.len());
    for (ours, theirs) in ours.media.iter().zip(&theirs.media) {
        assert_eq!((&ours.kind, &ours.protocol), (&theirs.kind, &theirs.protocol));
        assert_eq!(ours.attributes.get("mid"), theirs.attributes.get("mid"), "{answer}");
    }
    let taken: Vec<_> = ours.media.iter().filter(|m| m.port != 0).collect();
    assert_eq!(taken.len(), 1, "one section: {answer}");
    let audio = taken[0];
    assert_eq!(audio.kind, MediaKind::Audio);
    let a = &audio.attributes;
    for name in ["rtcp-mux", "ice-pwd", "fingerprint", "ssrc", "msid", "end-of-candidates"] {
        assert!(a.has(name), "{name}: {answer}");
    }
    assert!(ours.attributes.has("ice-lite"));
    assert_eq!(a.get("ice-ufrag"), Some(leg.ufrag()));
    assert_eq!(a.get("candidate"), Some("1 1 udp 2130706431 192.0.2.1 3480 typ host generation 0"));
    assert!(!a.has("extmap") && !a.has("rtcp-fb"), "nothing we do not do: {answer}");
    if let (Some(_), Some(mid)) = (theirs.attributes.get("group"), a.get("mid")) {
        assert_eq!(ours.attributes.get("group"), Some(format!("BUNDLE {mid}").as_str()), "only what is taken");
    }
    for pt in &audio.formats {
        assert!(a.all("rtpmap").any(|m| m.starts_with(&format!("{pt} "))), "a map for {pt}: {answer}");
    }
}

#[test]
fn every_offer_of_chromium_is_answered() {
    let mut seen = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-tests/data/sdp/chromium156");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "sdp") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let offer = std::fs::read_to_string(&path).unwrap();
        let (leg, answer) = accept(&offer).unwrap_or_else(|e| panic!("{name}: {e}"));
        check_answer(&offer, &answer, &leg);
        let setup = if name.starts_with("answer") { "a=setup:active" } else { "a=setup:actpass" };
        assert!(offer.contains(setup) && answer.contains("a=setup:passive\r\n"), "{name}");
        let expected = match name.as_str() {
            n if n.contains("inactive") => Direction::Inactive,
            n if n.contains("recvonly") => Direction::SendOnly,
            n if n.contains("sendonly") => Direction::RecvOnly,
            _ => Direction::SendRecv,
        };
        assert_eq!(leg.direction(), expected, "{name}");
        let codec = if name.contains("g711") { Pcma } else { Opus };
        assert_eq!(leg.plan().codec, codec, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 25);
}

#[test]
fn the_usual_offer_is_answered_word_for_word() {
    let (leg, answer) = accept(&read("audio_sendrecv.sdp")).unwrap();
    for line in [
        "m=audio 3480 UDP/TLS/RTP/SAVPF 111 8 0 110 126",
        "c=IN IP4 192.0.2.1",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;stereo=0",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=setup:passive",
        "a=sendrecv",
        "a=ssrc:168496141 msid:passerelle voice",
    ] {
        assert!(answer.contains(&format!("{line}\r\n")), "{line} not in\n{answer}");
    }
    let plan = leg.plan();
    assert_eq!(plan.receive, [(111, Opus), (8, Pcma), (0, Pcmu)]);
    assert_eq!(plan.send_dtmf.map(|d| (d.pt, d.clock_hz)), Some((110, 48_000)));
    assert_eq!(plan.receive_dtmf.iter().map(|d| (d.pt, d.clock_hz)).collect::<Vec<_>>(), [(110, 48_000), (126, 8_000)]);
    assert!(plan.opus.fec && plan.strip_extensions);
    assert!(!answer.contains("G722"));
    let certificate = certificate();
    let (_, with_g722) =
        BrowserLeg::accept(&read("audio_sendrecv.sdp"), config(&[G722, Pcmu]), &certificate, start()).unwrap();
    assert!(
        with_g722.contains("SAVPF 9 0 110 126\r\n") && with_g722.contains("a=rtpmap:9 G722/8000\r\n"),
        "{with_g722}"
    );
    assert!(with_g722.contains(&format!("a=fingerprint:sha-256 {}\r\n", certificate.fingerprint())));
}

#[test]
fn what_stands_at_session_level_counts_too() {
    let (leg, answer) = accept(FIREFOX).unwrap();
    check_answer(FIREFOX, &answer, &leg);
    assert_eq!((leg.plan().codec, leg.plan().send_pt), (Opus, 109));
    assert_eq!(leg.plan().send_dtmf, None, "no event at the clock of Opus");
    assert_eq!(leg.plan().receive_dtmf.len(), 1);
}

#[test]
fn every_candidate_of_ours_is_listed_best_first() {
    let mut ours = config(&CODECS);
    ours.candidates = vec![
        "203.0.113.7:3480".parse().unwrap(),
        "[2001:db8::7]:3481".parse().unwrap(),
        "127.0.0.1:3480".parse().unwrap(),
    ];
    let (_, answer) = BrowserLeg::accept(FIREFOX, ours.clone(), &certificate(), start()).unwrap();
    let session = Session::parse(&answer).unwrap();
    let list: Vec<&str> = session.media[0].attributes.all("candidate").collect();
    assert_eq!(
        list,
        [
            "1 1 udp 2130706431 203.0.113.7 3480 typ host generation 0",
            "2 1 udp 2130706175 2001:db8::7 3481 typ host generation 0",
            "3 1 udp 2130705919 127.0.0.1 3480 typ host generation 0",
        ]
    );
    ours.candidates.clear();
    let refused = BrowserLeg::accept(FIREFOX, ours, &certificate(), start());
    assert_eq!(refused.map(|_| ()).unwrap_err(), OfferError::NoCandidate);
}

#[test]
fn what_cannot_be_a_call_is_refused_with_a_reason() {
    let without =
        |part: &str| FIREFOX.lines().filter(|l| !l.contains(part)).map(|l| format!("{l}\r\n")).collect::<String>();
    let with = |from: &str, to: &str| FIREFOX.replace(from, to);
    assert_eq!(refusal(&without("ice-ufrag")), OfferError::NoIce);
    assert_eq!(refusal(&without("ice-pwd")), OfferError::NoIce);
    assert_eq!(refusal(&with("a=ice-pwd:0123456789abcdef0123456789abcdef", "a=ice-pwd:short")), OfferError::NoIce);
    assert_eq!(refusal(&with("a=ice-ufrag:abcd1234", "a=ice-ufrag:ab cd\u{e9}")), OfferError::NoIce);
    assert_eq!(refusal(&without("fingerprint")), OfferError::NoFingerprint);
    assert_eq!(refusal(&with("sha-256 11", "sha-1 11")), OfferError::NoFingerprint);
    assert_eq!(refusal(&with("sha-256 11:22", "sha-256 11")), OfferError::NoFingerprint, "a digest too short");
    assert_eq!(refusal(&with("sha-256 11", "sha-256 +1")), OfferError::NoFingerprint, "no hex");
    assert_eq!(refusal(&without("rtcp-mux")), OfferError::NoRtcpMux);
    assert_eq!(refusal(&with("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")), OfferError::PeerIsLite);
    assert_eq!(refusal(&with("setup:actpass", "setup:holdconn")), OfferError::Setup);
    assert_eq!(refusal(&with("m=audio 9", "m=audio 0")), OfferError::Sdp(SdpError::NoAudio));
    assert_eq!(
        refusal(&with("UDP/TLS/RTP/SAVPF", "RTP/AVP")),
        OfferError::Sdp(SdpError::NoAudio),
        "no plain RTP with browsers"
    );
    assert_eq!(refusal(&with("109 9 0 8 101", "9 101")), OfferError::Sdp(SdpError::NoCommonCodec));
    assert_eq!(refusal("hello"), OfferError::Sdp(SdpError::NotSdp));
    let candidates = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n".repeat(10_000);
    assert!(matches!(refusal(&format!("{FIREFOX}{candidates}")), OfferError::Sdp(SdpError::TooLong(_))));
    assert!(accept(&without("a=setup")).unwrap().1.contains("a=setup:passive\r\n"), "RFC 4145: the offerer is active");
    assert!(accept(&with("setup:actpass", "setup:passive")).unwrap().1.contains("a=setup:active\r\n"));
}

#[test]
fn a_later_offer_keeps_what_must_be_kept() {
    let (mut leg, first) = accept(FIREFOX).unwrap();
    let now = start();
    let ufrag = leg.ufrag().to_owned();
    // Hold: the same credentials, the same role, the version counted on.
    let held = leg.reoffer(&FIREFOX.replace("a=sendrecv", "a=sendonly").replace("actpass", "active"), now).unwrap();
    assert!(held.contains("a=recvonly\r\n") && held.contains("a=setup:passive\r\n"), "{held}");
    assert_eq!(leg.ufrag(), ufrag);
    let origin = |text: &str| text.lines().nth(1).unwrap().to_owned();
    assert_eq!(origin(&held), origin(&first).replace(" 1 IN", " 2 IN"));
    // ICE restart: new credentials, the old ones good for a while.
    let restarted = leg.reoffer(&FIREFOX.replace("abcd1234", "wxyz5678"), now).unwrap();
    assert!(!restarted.contains(&ufrag) && leg.ufrag() != ufrag);
    assert_eq!(leg.ufrags().collect::<Vec<_>>(), [leg.ufrag(), &ufrag]);
    // Refused, with nothing changed: another certificate, another role, no audio.
    let before = leg.ufrag().to_owned();
    assert_eq!(leg.reoffer(&FIREFOX.replace("11:22:33", "11:22:34"), now), Err(OfferError::NewAssociation));
    assert_eq!(leg.reoffer(&FIREFOX.replace("actpass", "passive"), now), Err(OfferError::Setup));
    assert_eq!(leg.reoffer("v=0\r\n", now), Err(OfferError::Sdp(SdpError::NoAudio)));
    assert_eq!(leg.ufrag(), before);
    leg.close(now);
    assert_eq!(leg.reoffer(FIREFOX, now), Err(OfferError::Closed));
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let certificate = certificate();
    let answer = |seed| {
        let mut ours = config(&CODECS);
        ours.seed = [seed; 32];
        BrowserLeg::accept(FIREFOX, ours, &certificate, start()).unwrap().1
    };
    assert_eq!(answer(1), answer(1));
    assert_ne!(answer(1), answer(2));
}

#[test]
fn damaged_offers_never_panic() {
    let certificate = certificate();
    let mut rng = SmallRng::seed_from_u64(0x0ffe4);
    let seeds =
        [read("audio_sendrecv.sdp"), read("audio_video_recvonly.sdp"), read("two_audio.sdp"), FIREFOX.to_owned()];
    let now = start();
    let mut answered = 0;
    for _ in 0..10_000 {
        let mut text = seeds[rng.random_range(0..seeds.len())].clone().into_bytes();
        for _ in 0..rng.random_range(1..6) {
            let place = rng.random_range(0..text.len());
            match rng.random_range(0..4) {
                0 => text[place] = rng.random(),
                1 => drop(text.drain(place..(place + rng.random_range(0..30)).min(text.len()))),
                2 => {
                    let piece = text[place..(place + rng.random_range(0..80)).min(text.len())].to_vec();
                    text.splice(place..place, piece);
                }
                _ => text.insert(place, b"\r\n: =/;"[rng.random_range(0..7)]),
            }
            if text.is_empty() {
                text.push(b'v');
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Ok((mut leg, answer)) = BrowserLeg::accept(&text, config(&CODECS), &certificate, now) {
            let ours = Session::parse(&answer).unwrap();
            let theirs = Session::parse(&text).unwrap();
            assert_eq!(ours.media.len(), theirs.media.len(), "{text}");
            assert_eq!(ours.media.iter().filter(|m| m.port != 0).count(), 1, "{text}");
            assert!(leg.reoffer(&text, now).is_ok(), "{text}");
            answered += 1;
        }
    }
    assert!(answered > 2_000, "{answered}");
}
