//! Published digest vectors (data/auth) against `sip::digest`.

use serde_json::Value;
use sip::Method;
use sip::digest::{Algorithm, Challenge, Credentials, Qop, answer};
use sip_tests::data;

/// RFC 7616 §3.9.2 prints SHA-512 cut to 256 bits where SHA-512/256 is meant (erratum); this is the right one.
const ERRATUM: (&str, &str) = (
    "ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd",
    "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
);

#[test]
fn vectors_of_rfc_7616_and_others_are_met() {
    let file: Value = serde_json::from_slice(&data::read("auth/digest_vectors.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let mut met = 0;
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().map(str::to_owned);
        let qop = match text("qop").as_deref() {
            Some("auth-int") => Qop::AuthInt,
            Some(_) => Qop::Auth,
            None => Qop::None,
        };
        let challenge = Challenge {
            realm: text("realm").unwrap(),
            nonce: text("nonce").unwrap(),
            opaque: None,
            algorithm: Algorithm::parse(&text("algorithm").unwrap()).unwrap(),
            session: false,
            qop,
            stale: false,
        };
        let credentials = Credentials {
            username: text("username").unwrap(),
            password: text("password").unwrap(),
            realm: text("realm"),
        };
        let method = Method::parse(&text("method").unwrap()).unwrap();
        let nc = text("nc").map_or(1, |nc| u32::from_str_radix(&nc, 16).unwrap());
        let cnonce = text("cnonce").unwrap_or_default();
        let body = text("body").unwrap_or_default();
        let value =
            answer(&[challenge], &credentials, (&method, body.as_bytes()), &text("uri").unwrap(), nc, &cnonce).unwrap();
        let printed = text("response").unwrap();
        let expected = if printed == ERRATUM.0 { ERRATUM.1.to_owned() } else { printed };
        assert!(value.contains(&format!("response=\"{expected}\"")), "{}: {value}", text("source").unwrap());
        met += 1;
    }
    assert_eq!(met, 8);
}
