//! What a shop's own server says of a visitor: who he is, and how early he goes. A JSON Web Token (RFC 7519) signed with
//! HMAC-SHA256 under a key of the tenant; the page carries it and can change nothing of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tracing::info;
use web::{Refusal, refusal};

use crate::config::checked::Secret;

/// Longest life of a token: a stolen one is soon worth nothing.
const LIFE_MAX_S: u64 = 600;
/// So far may the shop's clock be ahead of this one.
const CLOCK_SLACK_S: u64 = 60;
/// Longest customer id, in bytes.
const ID_BYTES_MAX: usize = 128;

/// A customer, by the shop's word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Customer {
    /// As the shop names him.
    pub(crate) id: String,
    /// 0 for everybody; more for customers who go first.
    pub(crate) priority: u8,
}

/// Why a token is not believed, in words for the shop's developer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    NoKey,
    Shape,
    Algorithm,
    Signature,
    Audience,
    Claims,
    TooLong,
    Early,
    Expired,
}

impl Fault {
    const fn why(self) -> &'static str {
        match self {
            Self::NoKey => "the tenant has no customer_key_file",
            Self::Shape => "it is not three parts in Base64url with JSON (RFC 7519)",
            Self::Algorithm => "its alg is not HS256",
            Self::Signature => "it is not signed with the tenant's customer key, nor with the old one",
            Self::Audience => "its aud is not the tenant's id",
            Self::Claims => "sub must be 1 to 128 bytes of text, priority 0 to 9, iat and exp seconds since 1970",
            Self::TooLong => "exp is more than 10 minutes after iat",
            Self::Early => "its iat is in the future: compare the clocks",
            Self::Expired => {
                "its exp has passed: make one for each page, or give identify() a function that fetches one"
            }
        }
    }

    const fn refusal(self) -> Refusal {
        match self {
            Self::Expired => refusal::CUSTOMER_EXPIRED,
            Self::NoKey
            | Self::Shape
            | Self::Algorithm
            | Self::Signature
            | Self::Audience
            | Self::Claims
            | Self::TooLong
            | Self::Early => refusal::CUSTOMER_INVALID,
        }
    }
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    sub: String,
    #[serde(default)]
    priority: u8,
    iat: u64,
    exp: u64,
}

/// One name or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, tenant: &str) -> bool {
        match self {
            Self::One(name) => name == tenant,
            Self::Many(names) => names.iter().any(|name| name == tenant),
        }
    }
}

/// Whom a token names, if a key of this tenant has signed it. The log says what is wrong, the answer whether it was in time.
pub(crate) fn judge(token: &str, tenant: &str, keys: &[Secret], now_unix_ms: u64) -> Result<Customer, Refusal> {
    read(token, tenant, keys, now_unix_ms / 1_000).map_err(|fault| {
        info!(tenant, why = fault.why(), "a page's customer token is refused");
        fault.refusal()
    })
}

fn read(token: &str, tenant: &str, keys: &[Secret], now_s: u64) -> Result<Customer, Fault> {
    if keys.is_empty() {
        return Err(Fault::NoKey);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Shape)?;
    let (head, claims) = signed.split_once('.').ok_or(Fault::Shape)?;
    let signature = BASE64.decode(signature).map_err(|_| Fault::Shape)?;
    // What is to be believed is believed of no other algorithm, "none" among them.
    let head: Head = json(head).ok_or(Fault::Shape)?;
    if head.alg != "HS256" {
        return Err(Fault::Algorithm);
    }
    // Every key is tried whatever the one before said, each in constant time.
    let good = keys.iter().fold(false, |good, key| good | is_signed(signed, &signature, key));
    if !good {
        return Err(Fault::Signature);
    }
    let claims: Claims = json(claims).ok_or(Fault::Claims)?;
    if !claims.aud.names(tenant) {
        return Err(Fault::Audience);
    }
    let sound = (1..=ID_BYTES_MAX).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
    if !sound || claims.priority > desk::PRIORITY_MAX || claims.exp < claims.iat {
        return Err(Fault::Claims);
    }
    if claims.exp - claims.iat > LIFE_MAX_S {
        return Err(Fault::TooLong);
    }
    if claims.iat > now_s.saturating_add(CLOCK_SLACK_S) {
        return Err(Fault::Early);
    }
    if claims.exp <= now_s {
        return Err(Fault::Expired);
    }
    Ok(Customer { id: claims.sub, priority: claims.priority })
}

fn json<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

fn is_signed(signed: &str, signature: &[u8], key: &Secret) -> bool {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose().as_bytes()) else { return false };
    mac.update(signed.as_bytes());
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_767_225_600;
    pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

    /// A token as a shop's server makes one.
    pub(crate) fn token(head: &Value, claims: &Value, key: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
    }

    pub(crate) fn claims(now_s: u64) -> Value {
        json!({"aud": "shop", "sub": "c-42", "priority": 3, "iat": now_s, "exp": now_s + 600})
    }

    fn hs256() -> Value {
        json!({"alg": "HS256", "typ": "JWT"})
    }

    fn keys(keys: &[&str]) -> Vec<Secret> {
        keys.iter().map(|key| Secret::new((*key).to_owned())).collect()
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims(NOW);
        claims[name] = value;
        claims
    }

    #[test]
    fn a_token_that_another_program_made_is_read() {
        // By the lines of README.md, in Python.
        let head = "eyJ0eXAiOiAiSldUIiwgImFsZyI6ICJIUzI1NiJ9";
        let body = "eyJpc3MiOiAiaHR0cHM6Ly93d3cuc2hvcC5leGFtcGxlIiwgImF1ZCI6ICJzaG9wIiwgInN1YiI6ICJjLTQyIiwgInByaW9yaXR5\
             IjogMywgImlhdCI6IDE3NjcyMjU2MDAsICJleHAiOiAxNzY3MjI2MjAwfQ";
        let signature = "dM4sWlr3B8VteMgsdj5FrFcHOmYmB8Mp5t59qAdQVB0";
        let customer = read(&format!("{head}.{body}.{signature}"), "shop", &keys(&[KEY]), NOW);
        assert_eq!(customer, Ok(Customer { id: "c-42".to_owned(), priority: 3 }));
    }

    #[test]
    fn a_customer_is_known_by_either_key_and_by_nothing_else() {
        let good = Ok(Customer { id: "c-42".to_owned(), priority: 3 });
        let signed = |claims: &Value| token(&hs256(), claims, KEY);
        let read = |token: &str, of: &[&str], now: u64| read(token, "shop", &keys(of), now);
        let (plain, new) = (signed(&claims(NOW)), "another key of thirty-two bytes.");
        assert_eq!(read(&plain, &[KEY], NOW), good);
        assert_eq!(read(&plain, &[new, KEY], NOW), good, "the old one, while both hold");
        assert_eq!(read(&token(&hs256(), &claims(NOW), new), &[new, KEY], NOW), good);
        assert_eq!(read(&signed(&with("aud", json!(["blog", "shop"]))), &[KEY], NOW), good);
        assert_eq!(read(&plain, &[KEY], NOW + 599), good);
        let nobody = read(&signed(&json!({"aud": "shop", "sub": "c", "iat": NOW, "exp": NOW + 1})), &[KEY], NOW);
        assert_eq!(nobody.map(|customer| customer.priority), Ok(0), "a customer like everybody");

        assert_eq!(read(&plain, &[], NOW), Err(Fault::NoKey));
        assert_eq!(read(&plain, &[new], NOW), Err(Fault::Signature));
        assert_eq!(read(&plain, &[KEY], NOW + 600), Err(Fault::Expired));
        assert_eq!(read(&plain, &[KEY], NOW - 61), Err(Fault::Early));
        for (name, value, fault) in [
            ("aud", json!("bank"), Fault::Audience),
            ("aud", json!([]), Fault::Audience),
            ("aud", json!(null), Fault::Claims),
            ("sub", json!(""), Fault::Claims),
            ("sub", json!("a\nb"), Fault::Claims),
            ("sub", json!("x".repeat(129)), Fault::Claims),
            ("sub", json!(42), Fault::Claims),
            ("priority", json!(10), Fault::Claims),
            ("priority", json!(-1), Fault::Claims),
            ("priority", json!("9"), Fault::Claims),
            ("exp", json!(NOW + 601), Fault::TooLong),
            ("exp", json!(NOW - 1), Fault::Claims),
            ("exp", json!(null), Fault::Claims),
            ("exp", json!(u64::MAX), Fault::TooLong),
        ] {
            assert_eq!(read(&signed(&with(name, value.clone())), &[KEY], NOW), Err(fault), "{name} {value}");
        }
    }

    #[test]
    fn what_is_changed_on_the_way_or_signed_otherwise_is_not_believed() {
        let plain = token(&hs256(), &claims(NOW), KEY);
        let read = |token: &str| read(token, "shop", &keys(&[KEY]), NOW);
        let [head, body, signature] = plain.split('.').collect::<Vec<_>>()[..] else { panic!("{plain}") };
        let better = BASE64.encode(with("priority", json!(9)).to_string());
        assert_eq!(read(&format!("{head}.{better}.{signature}")), Err(Fault::Signature));
        assert_eq!(read(&format!("{head}.{body}.")), Err(Fault::Signature));
        for alg in ["none", "None", "hs256", "HS512", "RS256", ""] {
            assert_eq!(read(&token(&json!({"alg": alg}), &claims(NOW), KEY)), Err(Fault::Algorithm), "{alg}");
        }
        let none = BASE64.encode(json!({"alg": "none"}).to_string());
        assert_eq!(read(&format!("{none}.{body}.")), Err(Fault::Algorithm));
        for shape in ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", &plain.replace('.', "!"), &format!("{plain}=")] {
            assert!(matches!(read(shape), Err(Fault::Shape | Fault::Signature)), "{shape}");
        }
        // Any bit of the signature.
        for at in 0..43 {
            let mut bytes = plain.clone().into_bytes();
            let place = plain.len() - 43 + at;
            bytes[place] = if bytes[place] == b'A' { b'Q' } else { b'A' };
            assert!(read(&String::from_utf8(bytes).unwrap()).is_err(), "{at}");
        }
    }

    #[test]
    fn the_answer_tells_a_page_whether_a_fresh_one_would_help() {
        assert_eq!(Fault::Expired.refusal().code, "customer_expired");
        assert_eq!(judge("x", "shop", &keys(&[KEY]), NOW * 1_000).unwrap_err(), refusal::CUSTOMER_INVALID);
    }
}
