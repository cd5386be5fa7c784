//! Origins: what a browser writes is read, every trick is refused.

use super::*;

fn list() -> Origins {
    Origins::new(&[
        "https://shop.fr",
        "https://WWW.Shop.fr/",
        "https://xn--caf-dma.fr:443",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ])
    .unwrap()
}

fn check(origin: &str, expected: bool) {
    let allowed = Origin::from_header(origin).is_some_and(|parsed| list().allows(parsed.as_str()));
    assert_eq!(allowed, expected, "{origin:?}");
}

#[test]
fn listed_origins_are_allowed_as_browsers_write_them() {
    for origin in [
        "https://shop.fr",
        "https://www.shop.fr",
        "https://xn--caf-dma.fr",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ] {
        check(origin, true);
    }
}

/// SECURITY W1: forty ways to look like the shop.
pub(crate) const TRICKS: [&str; 44] = [
    "null",
    "",
    "*",
    "https://evil-shop.fr",
    "https://shop.fr.evil.com",
    "https://shop.fr.evil",
    "https://sub.shop.fr",
    "https://wwwshop.fr",
    "https://www.shop.fr.",
    "https://shop.fr.",
    "https://shop.fr:443",
    "https://shop.fr:8443",
    "https://shop.fr:0443",
    "https://shop.fr:+443",
    "https://shop.fr:",
    "https://shop.fr:99999",
    "https://shop.fr/",
    "https://shop.fr/path",
    "https://shop.fr?x",
    "https://shop.fr#x",
    "https://shop.fr@evil.com",
    "https://evil.com@shop.fr",
    "https://user:pass@shop.fr",
    "https://evil.com/https://shop.fr",
    "https://evil.com#https://shop.fr",
    "https://SHOP.fr",
    "HTTPS://shop.fr",
    "http://shop.fr",
    "ws://shop.fr",
    "wss://shop.fr",
    "ftp://shop.fr",
    "file://",
    "file://shop.fr",
    "data:text/html,https://shop.fr",
    "javascript:alert(1)//https://shop.fr",
    "chrome-extension://abcdefghijklmnop",
    "https://shop.fr https://evil.com",
    "https://evil.com https://shop.fr",
    " https://shop.fr",
    "https://shop.fr%2eevil.com",
    "https://shop.fr%00.evil.com",
    "https://shop\u{3002}fr",
    "https://caf\u{e9}.fr",
    "//shop.fr",
];

#[test]
fn forty_tricks_are_refused() {
    for origin in TRICKS {
        check(origin, false);
    }
    check(&format!("https://{}shop.fr", "a.".repeat(500)), false);
    for origin in ["http://127.0.0.1", "http://127.1:8080", "http://2130706433:8080", "http://0x7f.1:8080"] {
        check(origin, false);
    }
    for origin in ["http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8081", "http://[::1", "http://[::1]x:8080"] {
        check(origin, false);
    }
}

#[test]
fn a_person_may_write_an_origin_loosely_but_not_anything() {
    assert_eq!(Origin::from_config(" HTTPS://Shop.fr:443/ ").unwrap().as_str(), "https://shop.fr");
    assert_eq!(Origin::from_config("http://localhost:8080").unwrap().as_str(), "http://localhost:8080");
    for wrong in ["shop.fr", "*", "https://*.shop.fr", "https://shop.fr/fr/", "null", ""] {
        assert_eq!(Origins::new(&[wrong]), Err(wrong.to_owned()));
    }
}

#[test]
fn own_pages_are_known_by_the_host_they_came_from() {
    let own = |origin: &str, host: &str| Origin::from_header(origin).unwrap().is_host(host);
    assert!(own("http://127.0.0.1:8080", "127.0.0.1:8080"));
    assert!(own("https://voice.shop.fr", "voice.shop.fr:443"));
    assert!(own("https://voice.shop.fr", "Voice.Shop.fr"));
    assert!(!own("http://127.0.0.1:8080", "127.0.0.1:80"));
    assert!(!own("https://voice.shop.fr", "voice.shop.fr.evil"));
    assert!(!own("https://evil.fr", "voice.shop.fr"));
}
