//! RFC 5769, a second implementation, and hostile STUN.

use std::path::Path;

use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_stun::message::Getter;

use super::*;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

fn crypto() -> std::sync::Arc<dyn RTCCryptoProvider> {
    rtc_crypto::default_provider().unwrap()
}

fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-tests/data/stun/rfc5769");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn the_request_of_rfc_5769_is_read_and_authentic() {
    let raw = vector("request_short_term.bin");
    let message = Message::parse(&raw).unwrap();
    assert!(message.is_binding_request());
    assert_eq!(message.username, Some("evtj:h6vY"));
    assert!(message.controlled && !message.use_candidate);
    assert!(message.unknown().is_empty());
    assert!(message.is_authentic(PASSWORD, crypto().crypto()));
    assert!(!message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBT", crypto().crypto()));
    assert!(!message.is_authentic(b"", crypto().crypto()));
}

#[test]
fn the_other_vectors_of_rfc_5769_hold_too() {
    for name in ["response_ipv4.bin", "response_ipv6.bin"] {
        let raw = vector(name);
        let message = Message::parse(&raw).unwrap();
        assert!(!message.is_binding_request() && message.is_authentic(PASSWORD, crypto().crypto()), "{name}");
    }
    // Long-term credentials: the key is a hash (RFC 8489 §9.2.2); no FINGERPRINT in this one.
    let raw = vector("request_long_term.bin");
    let message = Message::parse(&raw).unwrap();
    assert_eq!(message.username, Some("マトリックス"));
    let secret = "マトリックス:example.org:TheMatrIX";
    let key = crypto().crypto().hash(HashAlgorithm::Md5, secret.as_bytes()).unwrap();
    assert!(message.is_authentic(&key, crypto().crypto()));
}

#[test]
fn no_flipped_bit_passes() {
    let raw = vector("request_short_term.bin");
    for bit in 0..raw.len() * 8 {
        let mut forged = raw.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let passes =
            Message::parse(&forged).is_ok_and(|m| m.fingerprint && m.is_authentic(PASSWORD, crypto().crypto()));
        assert!(!passes, "bit {bit}");
    }
    for length in 0..raw.len() {
        assert!(Message::parse(&raw[..length]).is_err(), "{length} octets");
    }
    assert!(Message::parse(&[&raw[..], &[0; 4]].concat()).is_err(), "octets after the end");
}

#[test]
fn a_second_implementation_reads_our_answers() {
    let raw = vector("request_short_term.bin");
    let request = Message::parse(&raw).unwrap();
    for source in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853", "[::ffff:192.0.2.1]:32853"] {
        let source: SocketAddr = source.parse().unwrap();
        let bytes = success(&request, source, PASSWORD, crypto().crypto()).unwrap();
        assert!(bytes.len() <= raw.len(), "an answer is never longer than the question");
        let mut theirs = rtc_stun::message::Message::new();
        theirs.unmarshal_binary(&bytes).unwrap();
        assert_eq!(theirs.transaction_id.0, request.transaction);
        rtc_stun::fingerprint::FINGERPRINT.check(&theirs).unwrap();
        rtc_stun::integrity::MessageIntegrity::check(&mut theirs, PASSWORD, crypto().crypto()).unwrap();
        let mut mapped = rtc_stun::xoraddr::XorMappedAddress::default();
        mapped.get_from(&theirs).unwrap();
        assert_eq!((mapped.ip, mapped.port), (source.ip().to_canonical(), source.port()));
    }
    let refusal = failure(&request, 487, PASSWORD, crypto().crypto()).unwrap();
    let mut theirs = rtc_stun::message::Message::new();
    theirs.unmarshal_binary(&refusal).unwrap();
    rtc_stun::integrity::MessageIntegrity::check(&mut theirs, PASSWORD, crypto().crypto()).unwrap();
    let mut code = rtc_stun::error_code::ErrorCodeAttribute::default();
    code.get_from(&theirs).unwrap();
    assert_eq!(code.code.0, 487);
}

#[test]
fn we_read_what_a_second_implementation_writes() {
    use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType};
    use rtc_stun::message::{BINDING_REQUEST, Setter};
    let mut theirs = rtc_stun::message::Message::new();
    theirs.set_type(BINDING_REQUEST);
    theirs.write_header();
    theirs.new_transaction_id().unwrap();
    theirs.add(ATTR_USERNAME, b"ours:theirs");
    theirs.add(ATTR_ICE_CONTROLLING, &7_u64.to_be_bytes());
    theirs.add(ATTR_USE_CANDIDATE, &[]);
    theirs.add(AttrType(0x7abc), b"what is this");
    theirs.add(AttrType(0xc057), &[0, 0, 0, 10]);
    let provider = crypto();
    rtc_stun::integrity::MessageIntegrity::new_raw_integrity_with_provider(PASSWORD, provider.crypto())
        .add_to(&mut theirs)
        .unwrap();
    rtc_stun::fingerprint::FINGERPRINT.add_to(&mut theirs).unwrap();
    let ours = Message::parse(&theirs.raw).unwrap();
    assert_eq!(ours.username, Some("ours:theirs"));
    assert!(ours.use_candidate && !ours.controlled && ours.is_authentic(PASSWORD, provider.crypto()));
    assert_eq!(ours.unknown(), [0x7abc], "comprehension-required only");
}

/// RFC 8489 §14.5: whatever follows MESSAGE-INTEGRITY is nobody's word.
#[test]
fn attributes_after_the_integrity_do_not_count() {
    let raw = vector("response_ipv4.bin");
    let mut request = raw[..raw.len() - 8].to_vec();
    request[0] = 0;
    request.extend_from_slice(&[0x00, 0x25, 0, 0]);
    let length = u16::try_from(request.len() - 20).unwrap();
    request[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(!Message::parse(&request).unwrap().use_candidate);
}

#[test]
fn damaged_messages_never_panic() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    let mut rng = SmallRng::seed_from_u64(0x5707);
    let seeds =
        ["request_short_term.bin", "response_ipv4.bin", "response_ipv6.bin", "request_long_term.bin"].map(vector);
    let provider = crypto();
    for round in 0..200_000_u32 {
        let mut raw = seeds[rng.random_range(0..seeds.len())].clone();
        for _ in 0..rng.random_range(1..6) {
            let place = rng.random_range(0..raw.len());
            match rng.random_range(0..4) {
                0 => raw.truncate(place.max(1)),
                1 => raw.insert(place, rng.random()),
                _ => raw[place] = rng.random(),
            }
        }
        if round % 2 == 0 && raw.len() >= 20 {
            // Make the length fit, so that the attributes are reached.
            let length = u16::try_from(raw.len() - 20).unwrap();
            raw[2..4].copy_from_slice(&length.to_be_bytes());
        }
        if let Ok(message) = Message::parse(&raw) {
            assert!(!message.is_authentic(b"no such password", provider.crypto()));
            assert!(message.unknown().len() <= MAX_UNKNOWN);
        }
        assert!(crate::check_ufrag(&raw).is_none_or(|ufrag| ufrag.len() < raw.len()));
    }
}
