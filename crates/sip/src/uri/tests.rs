//! Tests of `uri`: what comes back as it went in, what is refused, what is equal.

use super::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn legal_uris_are_written_again_as_they_came() {
    for text in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:user;par=u%40example.net@example.com",
        "sip:[2001:db8::10]",
        "sip:bob@[2001:db8::10]:5070;transport=udp;lr",
        "sip:pbx_1.docker:5080",
        "sip:*72#@pbx.test",
        "tel:+33-1-23-45-67-89;phone-context=example.com",
        "nobodyKnowsThisScheme:totallyopaquecontent",
        "soap.beep://192.0.2.103:3002",
        "sip:a@b.example?Replaces=12345%40host&X=y@z",
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
    ] {
        assert_eq!(uri(text).to_string(), text);
    }
}

#[test]
fn parts_are_where_rfc_3261_puts_them() {
    let odd = uri("sip:user;par=u%40example.net@example.com");
    assert_eq!(odd.user.as_deref(), Some("user;par=u%40example.net"));
    assert_eq!(odd.user_decoded().as_deref(), Some("user;par=u@example.net"));
    assert!(odd.params.is_empty());

    let nul = uri("sip:null-%00-null@example.com");
    assert_eq!(nul.user_decoded().as_deref(), Some("null-\0-null"));

    let once = uri("sip:sips%3Auser%2540x@example.com");
    assert_eq!(once.user_decoded().as_deref(), Some("sips:user%40x"), "unescaped once, never twice");

    let tel = uri("tel:+331234;ext=5");
    assert_eq!((tel.scheme, tel.user.as_deref(), tel.params.get("ext")), (Scheme::Tel, Some("+331234"), Some("5")));
    assert_eq!(uri("SIPS:x.example").port_or_default(), 5061);
}

/// SECURITY S12: hosts only some resolvers understand, and hosts that are none.
#[test]
fn odd_hosts_are_refused() {
    let long = format!("{}.example", "a".repeat(4_000));
    let label = format!("{}.example", "a".repeat(64));
    for host in [
        "",
        ".",
        ".1",
        "1.",
        "[.1]",
        "[",
        "[]",
        "[::1",
        "::1]",
        "[::1]x",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "fe80::1",
        "127.1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "010.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "a..b",
        "-a.example",
        "a-.example",
        "a b",
        "a\tb",
        "a,b",
        "a\"b",
        "a<b",
        "a\\b",
        "a/b",
        "a%2e.example",
        "a\0b",
        "a\r\nb",
        "hôte.example",
        "[::ffff:999.1.1.1]",
        "[v1.x]",
        "user@host",
        "*",
        "example.com.1",
        &long,
        &label,
    ] {
        for text in [format!("sip:{host}"), format!("sip:u@{host}"), format!("sip:{host}:5060")] {
            let legal = text == "sip:user@host" || text == "sip:user@host:5060";
            assert_eq!(text.parse::<Uri>().is_err(), !legal, "{text:?}");
        }
    }
    for host in [
        "a",
        "localhost",
        "a.b.",
        "xn--hte-fma.example",
        "3com.com",
        "c0ffee",
        "1a2b3c4d5e",
        "[::]",
        "[::ffff:192.0.2.1]",
    ] {
        assert!(format!("sip:u@{host}").parse::<Uri>().is_ok(), "{host}");
    }
}

#[test]
fn odd_ports_and_parameters_are_refused() {
    for text in [
        "sip:a@b:",
        "sip:a@b:0",
        "sip:a@b:65536",
        "sip:a@b:-1",
        "sip:a@b:+5",
        "sip:a@b:5060x",
        "sip:a@b:000005060",
        "sip:a@b: 5060",
        "sip:a@b;x y",
        "sip:a@b;;x",
        "sip:a@b;=x",
        "sip:a@b;x=\"y\"",
        "sip:a@b;<x>",
        "sip:a@b?x y",
        "sip:@b",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a\\b@c",
        "sip:a\"b@c",
        "sip:<a@c>",
        "<sip:a@c>",
        "sip",
        ":a@b",
        "1sip:a",
        "",
        "sip:",
        "tel:",
        "tel:xyz;abc",
        "tel:12 34",
        "x y:z",
        "http:",
        "mailto:a b",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text:?}");
    }
    let long = format!("sip:{}@b", "u".repeat(MAX_URI_BYTES));
    assert_eq!(long.parse::<Uri>(), Err(UriError::Length));
}

/// The examples of RFC 3261 §19.1.4.
#[test]
fn equality_is_that_of_rfc_3261() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:DB8:0::1]", "sip:a@[2001:db8::1]"),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} = {b}");
        assert!(uri(b).equivalent(&uri(a)), "{b} = {a}");
    }
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:carol@chicago.com", "sips:carol@chicago.com"),
        ("sip:chicago.com", "sip:carol@chicago.com"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} ≠ {b}");
        assert!(!uri(b).equivalent(&uri(a)), "{b} ≠ {a}");
    }
}

/// Any text at all as a user must come back as that text, and never move the host.
#[test]
fn an_escaped_user_cannot_change_the_host() {
    for user in [
        "alice",
        "a@evil.example",
        "a b",
        "a\r\nX: y",
        "<x>",
        "\"",
        "a%41",
        "é",
        "[::1]",
        "a:b",
        "a;lr",
        "a?b",
        "\0",
        "#",
    ] {
        let made = Uri::sip(Some(user), Host::Name("pbx.test".to_owned()), Some(5070)).to_string();
        let read = uri(&made);
        assert_eq!(read.user_decoded().as_deref(), Some(user), "{made}");
        assert_eq!((read.host.to_string().as_str(), read.port), ("pbx.test", Some(5070)));
    }
}

#[test]
fn parameters_keep_their_order_when_set() {
    let mut uri = uri("sip:b;x=1;lr;y");
    assert!(uri.is_loose_route());
    uri.params.set("LR", None);
    uri.params.set("x", Some("2\r\n<>"));
    uri.params.set("z", Some("3"));
    uri.params.remove("Y");
    assert_eq!(uri.to_string(), "sip:b;x=2;lr;z=3");
}
