//! Tests of `headers`.

use super::*;

const ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];

#[test]
fn a_tag_comes_back_and_fits_128_octets() {
    let value = user_to_user(&ID, b"key of the tenant");
    assert!(value.starts_with("000102030405060708090a0b0c0d0eff") && value.ends_with(";encoding=hex"));
    assert!(value.len() <= 128);
    assert_eq!(open_user_to_user(&value, b"key of the tenant"), Some(ID));
    // As PBXs write it anew.
    let upper = value.to_ascii_uppercase().replace("ENCODING=HEX", "Encoding=HEX");
    for rewritten in [
        upper,
        value.replace(';', " ; "),
        format!("{value};purpose=isdn-uui;content=isdn-uui"),
        value.replace(";encoding=hex", ""),
    ] {
        assert_eq!(open_user_to_user(&rewritten, b"key of the tenant"), Some(ID), "{rewritten}");
    }
}

#[test]
fn a_forged_or_cut_tag_is_nothing() {
    let value = user_to_user(&ID, b"key");
    assert_eq!(open_user_to_user(&value, b"another"), None);
    for at in 0..64 {
        let mut forged = value.clone().into_bytes();
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(open_user_to_user(std::str::from_utf8(&forged).unwrap(), b"key"), None, "digit {at}");
    }
    for bad in [
        "",
        ";encoding=hex",
        "00",
        value.get(..62).unwrap(),
        &format!("00{value}"),
        "zz;encoding=hex",
        "é",
        &value.replace("=hex", "=base64"),
        "\0",
    ] {
        assert_eq!(open_user_to_user(bad, b"key"), None, "{bad}");
    }
}

/// RFC 4231, test case 2.
#[test]
fn hmac_is_hmac_sha256() {
    assert_eq!(
        to_hex(&hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

/// SECURITY S9, S10: what a page may say.
#[test]
fn page_data_can_never_break_a_header() {
    for (text, want) in [
        ("  Panier — étape 2  ", "Panier — étape 2"),
        ("a\r\nVia: evil", "aVia: evil"),
        ("a\0b\u{7f}c\u{85}d\te", "abcde"),
        ("\u{202e}ecila\u{2028}", "ecila"),
        ("", ""),
    ] {
        assert_eq!(clean(text, 100), want);
    }
    assert_eq!(clean("ééééé", 5), "éé", "cut on a character boundary");
    assert_eq!(clean("abc", 0), "");
    assert_eq!(display_name("Eve\" <sip:evil@x>;tag=1\r\n"), "\"Eve\\\" <sip:evil@x>;tag=1\"");
    let read = crate::values::NameAddr::parse(&format!("{} <sip:a@b>", display_name("x\\\" <sip:evil@y>;"))).unwrap();
    assert_eq!(read.uri.to_string(), "sip:a@b");
    assert!(display_name(&"é".repeat(1_000)).len() <= 130);
}
