//! Session descriptions and what arrives on the media port: refused or answered, never a surprise.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Instant;

use browser::{BrowserLeg, Certificate, Kind, LegConfig, Received, check_ufrag, kind};
use media::sdp::{self, SdpConfig, Secure, Session, SrtpPolicy};
use media::{CodecKind, Ssrc};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// An offer that a leg can be made of.
const OFFER: &str = include_str!("../../data/sdp/chromium156/audio_sendrecv.sdp");

/// Keys of ours, so that those of a description are read too.
fn secure() -> Secure {
    static KEYS: OnceLock<Secure> = OnceLock::new();
    KEYS.get_or_init(|| Secure::new(SrtpPolicy::Optional, &mut StdRng::seed_from_u64(1))).clone()
}

/// A description from a phone or a PBX: read, written, read again; answered, and taken as an answer.
pub fn description(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok(session) = Session::parse(&text) {
        let again = Session::parse(&session.to_string()).unwrap_or_else(|e| panic!("what we wrote: {e}\n{session}"));
        assert_eq!(again.media, session.media, "writing what was read changes nothing");
    }
    let ours = SdpConfig {
        address: [192, 0, 2, 1].into(),
        rtp_port: 20_000,
        codecs: CodecKind::ALL.to_vec(),
        ssrc: Ssrc(1),
        session_id: 1,
        version: 1,
        dtmf: true,
        ptime_ms: 20,
        secure: secure(),
    };
    if let Ok((answer, agreed)) = sdp::answer(&ours, &text) {
        let answer = Session::parse(&answer).unwrap_or_else(|e| panic!("our answer: {e}\n{answer}"));
        assert_eq!(answer.media.iter().filter(|m| m.port != 0).count(), 1);
        assert!((10..=60).contains(&agreed.plan.ptime_ms));
        assert!(agreed.plan.receive.iter().any(|(_, codec)| *codec == agreed.plan.codec));
    }
    if let Ok(agreed) = sdp::accept_answer(&ours, &text) {
        assert!(agreed.remote.is_none_or(|remote| !remote.ip().is_unspecified() && remote.port() != 0));
        assert!(agreed.plan.receive.len() + agreed.plan.receive_dtmf.len() <= 16);
    }
}

/// A browser's offer, first and again.
pub fn offer(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok((mut leg, answer)) = BrowserLeg::accept(&text, config(), certificate(), start()) {
        let theirs = Session::parse(&text).map_or(0, |session| session.media.len());
        let ours = Session::parse(&answer).unwrap_or_else(|e| panic!("our answer: {e}\n{answer}"));
        assert_eq!(ours.media.len(), theirs);
        assert_eq!(ours.media.iter().filter(|m| m.port != 0).count(), 1);
        leg.reoffer(&text, start()).unwrap_or_else(|e| panic!("the same offer again: {e}"));
    }
}

/// One datagram from a stranger: never an answer, never known, whatever it is.
pub fn datagram(octets: &[u8]) {
    let source: SocketAddr = ([198, 51, 100, 7], 5_000).into();
    let (mut leg, _) = BrowserLeg::accept(OFFER, config(), certificate(), start())
        .unwrap_or_else(|e| panic!("the corpus' own offer: {e}"));
    if check_ufrag(octets).is_some() {
        assert_eq!(kind(octets), Kind::Stun);
    }
    let received = leg.handle_datagram(source, None, octets, start());
    assert!(matches!(received, Received::Dropped(_)), "{received:?}");
    assert!(leg.poll_transmit().is_none() && !leg.knows(source));
}

fn config() -> LegConfig {
    LegConfig::new(vec![([192, 0, 2, 1], 3_480).into()], CodecKind::ALL.to_vec(), Ssrc(1), [9; 32])
}

fn certificate() -> &'static Certificate {
    static ONE: OnceLock<Certificate> = OnceLock::new();
    ONE.get_or_init(|| Certificate::generate().unwrap_or_else(|e| panic!("{e}")))
}

fn start() -> Instant {
    static ONE: OnceLock<Instant> = OnceLock::new();
    *ONE.get_or_init(Instant::now)
}
