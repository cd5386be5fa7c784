//! Tests of `digest`: what a phone answers is what the server takes, once. RFC vectors are in sip-tests.

use std::time::{Duration, Instant};

use super::*;
use crate::uri::{Host, Uri};

const REALM: &str = "pbx.test";

struct Server {
    nonces: Nonces,
    account: AccountSecret,
    start: Instant,
}

impl Server {
    fn new() -> Self {
        // The one place where a test needs a clock's origin; no time passes on it.
        #[expect(clippy::disallowed_methods, reason = "an Instant can only be made by the clock")]
        let start = Instant::now();
        Self {
            nonces: Nonces::new([7; 32], Duration::from_secs(300), start),
            account: AccountSecret::new("1001", REALM, "se:cret"),
            start,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn challenges(&mut self, seconds: u64) -> Vec<Challenge> {
        let now = self.at(seconds);
        let mut headers = Headers::new();
        for value in self.nonces.challenge(REALM, &[Algorithm::Sha256, Algorithm::Md5], false, now) {
            headers.push(HeaderName::WwwAuthenticate, &value);
        }
        Challenge::all(&headers, false)
    }

    fn verify(&mut self, authorization: &str, seconds: u64) -> Result<String, Denied> {
        let mut headers = Headers::new();
        headers.push(HeaderName::Authorization, authorization);
        let now = self.at(seconds);
        let mut uri = Uri::sip(None, Host::Name(REALM.to_owned()), None);
        uri.params.set("transport", Some("udp"));
        let account = self.account.clone();
        self.nonces.verify(
            &headers,
            false,
            &Method::Register,
            &uri,
            REALM,
            |user| (user == "1001").then_some(&account),
            now,
        )
    }
}

fn credentials(password: &str) -> Credentials {
    Credentials { username: "1001".to_owned(), password: password.to_owned(), realm: Some(REALM.to_owned()) }
}

fn answer_with(challenges: &[Challenge], password: &str, nc: u32) -> String {
    answer(challenges, &credentials(password), (&Method::Register, b""), "sip:pbx.test", nc, "cn\"once").unwrap()
}

#[test]
fn right_password_is_let_in_with_every_algorithm_offered() {
    let mut server = Server::new();
    let challenges = server.challenges(0);
    assert_eq!(
        challenges.iter().map(|challenge| challenge.algorithm).collect::<Vec<_>>(),
        [Algorithm::Sha256, Algorithm::Md5],
        "strongest first (RFC 8760 §2.3)"
    );
    for (nc, challenge) in (1..).zip(challenges) {
        assert_eq!(server.verify(&answer_with(&[challenge], "se:cret", nc), 1), Ok("1001".to_owned()));
    }
}

#[test]
fn wrong_password_unknown_user_and_foreign_nonce_look_alike() {
    let mut server = Server::new();
    let challenges = server.challenges(0);
    assert_eq!(server.verify(&answer_with(&challenges, "wrong", 1), 1), Err(Denied::Wrong));
    let stranger = answer_with(&challenges, "se:cret", 1).replace("\"1001\"", "\"1002\"");
    assert_eq!(server.verify(&stranger, 1), Err(Denied::Wrong));
    let foreign = Challenge { nonce: "00".repeat(32), ..challenges[0].clone() };
    assert_eq!(server.verify(&answer_with(&[foreign], "se:cret", 1), 1), Err(Denied::Wrong));
    assert_eq!(server.nonces.remembered(), 0, "strangers leave nothing behind");
}

#[test]
fn a_count_is_good_once_and_may_come_late_by_a_little() {
    let mut server = Server::new();
    let challenges = server.challenges(0);
    for (nc, want) in [
        (1, true),
        (1, false),
        (3, true),
        (2, true),
        (2, false),
        (100, true),
        (37, true),
        (36, false),
        (99, true),
        (100, false),
        (u32::MAX, true),
    ] {
        let result = server.verify(&answer_with(&challenges, "se:cret", nc), 1);
        assert_eq!(result.is_ok(), want, "nc {nc}: {result:?}");
        if !want {
            assert_eq!(result, Err(Denied::Replay));
        }
    }
}

#[test]
fn an_old_nonce_is_stale_and_only_for_who_knows_the_password() {
    let mut server = Server::new();
    let challenges = server.challenges(10);
    assert_eq!(server.verify(&answer_with(&challenges, "se:cret", 1), 310), Ok("1001".to_owned()));
    assert_eq!(server.verify(&answer_with(&challenges, "se:cret", 2), 311), Err(Denied::Stale));
    assert_eq!(server.verify(&answer_with(&challenges, "wrong", 3), 311), Err(Denied::Wrong));
    let now = server.at(311);
    assert!(server.nonces.challenge(REALM, &[Algorithm::Md5], true, now)[0].ends_with(", stale=true"));
}

#[test]
fn nonces_are_remembered_up_to_a_bound_and_never_twice_good() {
    let mut server = Server::new();
    let first = server.challenges(0);
    assert!(server.verify(&answer_with(&first, "se:cret", 1), 0).is_ok());
    for _ in 0..10_000 {
        let next = server.challenges(0);
        assert!(server.verify(&answer_with(&next[1..], "se:cret", 1), 0).is_ok());
    }
    assert_eq!(server.nonces.remembered(), 10_000);
    assert_eq!(server.verify(&answer_with(&first, "se:cret", 1), 0), Err(Denied::Stale), "forgotten is not forgiven");
}

#[test]
fn an_old_phone_without_qop_is_let_in_once() {
    let mut server = Server::new();
    let old = Challenge { qop: Qop::None, ..server.challenges(0)[1].clone() };
    let value = answer_with(&[old], "se:cret", 1);
    assert!(!value.contains("nc="));
    assert_eq!(server.verify(&value, 0), Ok("1001".to_owned()));
    assert_eq!(server.verify(&value, 0), Err(Denied::Replay));
}

#[test]
fn malformed_answers_are_told_apart_from_missing_ones() {
    let mut server = Server::new();
    let challenges = server.challenges(0);
    let good = answer_with(&challenges, "se:cret", 1);
    for other in [
        "Basic QWxhZGRpbg==",
        "NoOneKnowsThisScheme opaque-data=here",
        "Digest",
        "",
        "Digest realm=\"another\", x=y",
        "Digest realm",
    ] {
        assert_eq!(server.verify(other, 0), Err(Denied::Missing), "{other}");
    }
    for (from, to) in [
        ("nc=00000001", "nc=0000001"),
        ("nc=00000001", "nc=00000000"),
        ("nc=00000001", "nc=+0000001"),
        ("nc=00000001", "nc=zzzzzzzz"),
        ("qop=auth", "qop=auth-int"),
        ("username=", "usrname="),
        ("nonce=", "nonse="),
        ("response=", "respons="),
        ("algorithm=SHA-256", "algorithm=ROT13"),
        ("uri=\"sip:pbx.test\"", "uri=\"sip:other.test\""),
        ("uri=\"sip:pbx.test\"", "uri=\"*\""),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(server.verify(&good.replace(from, to), 0), Err(Denied::Malformed), "{to}");
    }
    assert!(server.verify(&good, 0).is_ok(), "and the good one is still good");
}

/// SECURITY S7: no stranger's realm makes this side compute anything.
#[test]
fn only_the_named_realm_is_answered() {
    let mut headers = Headers::new();
    headers.push(HeaderName::ProxyAuthenticate, "Digest realm=\"evil\", nonce=\"n\"");
    let challenges = Challenge::all(&headers, true);
    assert_eq!(challenges.len(), 1);
    assert_eq!(answer(&challenges, &credentials("x"), (&Method::Bye, b""), "sip:a", 1, "c"), None);
    assert!(!format!("{:?}", credentials("planted")).contains("planted"));
    let secret = AccountSecret::new("u", "r", "p");
    assert!(!format!("{secret:?}").contains(secret.ha1(Algorithm::Md5)));
}

/// RFC 8760 §2.4: the topmost that is known; what is not known is skipped.
#[test]
fn unknown_challenges_are_skipped() {
    let mut headers = Headers::new();
    for value in [
        "Bearer realm=\"pbx.test\"",
        "Digest realm=\"pbx.test\", nonce=\"1\", algorithm=SHA3-512",
        "Digest realm=\"pbx.test\", nonce=\"2\", qop=\"auth-conf\"",
        "Digest realm=\"pbx.test\", algorithm=MD5",
        "digest  REALM = \"pbx.test\" , Nonce=\"a\\\"b\", qop=\"auth-int, auth\",algorithm=sha-512-256, opaque=\"\", stale=TRUE",
        "Digest realm=\"pbx.test\", nonce=\"5\"",
    ] {
        headers.push(HeaderName::WwwAuthenticate, value);
    }
    let challenges = Challenge::all(&headers, false);
    assert_eq!(challenges.len(), 2);
    let first = &challenges[0];
    assert_eq!(
        (first.nonce.as_str(), first.algorithm, first.qop, first.stale),
        ("a\"b", Algorithm::Sha512_256, Qop::Auth, true)
    );
    let value = answer_with(&challenges, "p", 1);
    assert!(value.contains("nonce=\"a\\\"b\"") && value.contains("opaque=\"\"") && value.contains("nc=00000001"));
}

/// A server that names MD5 first gets the strongest of its realm all the same; another realm's challenge says nothing.
#[test]
fn the_strongest_of_the_realm_is_answered_wherever_it_stands() {
    let mut headers = Headers::new();
    for value in [
        "Digest realm=\"pbx.test\", nonce=\"1\", qop=\"auth\", algorithm=MD5",
        "Digest realm=\"pbx.test\", nonce=\"2\", qop=\"auth\", algorithm=SHA-256",
        "Digest realm=\"other\", nonce=\"3\", qop=\"auth\", algorithm=SHA-512-256",
        "Digest realm=\"pbx.test\", nonce=\"4\", qop=\"auth\", algorithm=SHA-256",
    ] {
        headers.push(HeaderName::WwwAuthenticate, value);
    }
    let value = answer_with(&Challenge::all(&headers, false), "p", 1);
    assert!(value.contains("nonce=\"2\"") && value.contains("algorithm=SHA-256"), "{value}");
}

#[test]
fn auth_int_covers_the_body_and_a_session_covers_both_nonces() {
    let answers = |qop: &str, algorithm: &str, body: &[u8]| {
        let mut headers = Headers::new();
        let value = format!("Digest realm=\"pbx.test\", nonce=\"n\", qop=\"{qop}\", algorithm={algorithm}");
        headers.push(HeaderName::WwwAuthenticate, &value);
        let challenges = Challenge::all(&headers, false);
        answer(&challenges, &credentials("p"), (&Method::Invite, body), "sip:a", 1, "c").unwrap()
    };
    for algorithm in ["MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-SESS"] {
        let plain = answers("auth-int", algorithm, b"v=0");
        assert!(plain.contains("qop=auth-int"), "{plain}");
        assert_ne!(plain, answers("auth-int", algorithm, b"v=1"), "the body counts: {plain}");
        assert_eq!(
            answers("auth-int,auth", algorithm, b"v=0"),
            answers("auth", algorithm, b"v=1"),
            "auth where it may"
        );
    }
    // Made with openssl: HA1 = MD5(MD5(1001:pbx.test:p):n:c), HA2 = MD5(INVITE:sip:a).
    assert!(answers("auth", "MD5-sess", b"").contains("algorithm=MD5-sess"));
    assert!(answers("auth", "MD5-sess", b"").contains("response=\"ccc09bc8af0e3648d5c5cd4d5cfef916\""));
}
