//! Offers and answers with keys: what is agreed, and that nothing agreed is given up.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn secured(policy: SrtpPolicy, seed: u64) -> SdpConfig {
    SdpConfig { secure: Secure::new(policy, &mut StdRng::seed_from_u64(seed)), ..config(&[Pcma]) }
}

const KEY: &str = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^31|1:4\r\n";

#[test]
fn two_of_us_agree_on_the_best_suite_and_each_others_keys() {
    for (policy, protocol) in [(SrtpPolicy::Optional, "RTP/AVP"), (SrtpPolicy::Required, "RTP/SAVP")] {
        let (caller, callee) = (secured(policy, 1), secured(policy, 2));
        let text = offer(&caller);
        assert!(text.contains(&format!("m=audio 20000 {protocol} 8 101\r\n")), "{text}");
        assert_eq!(text.matches("a=crypto:").count(), 5);
        let (reply, at_callee) = answer(&callee, &text).unwrap();
        assert_eq!(reply.matches("a=crypto:1 AEAD_AES_256_GCM inline:").count(), 1, "{reply}");
        assert!(reply.contains(&format!("m=audio 20000 {protocol} 8 101\r\n")), "{reply}");
        let at_caller = accept_answer(&caller, &reply).unwrap().srtp.unwrap();
        let at_callee = at_callee.srtp.unwrap();
        assert_eq!((&at_caller.ours, &at_caller.theirs), (&at_callee.theirs, &at_callee.ours));
        assert_ne!(at_caller.ours, at_caller.theirs);
    }
}

#[test]
fn what_each_policy_makes_of_each_offer() {
    let plain = phone("m=audio 4000 RTP/AVP 8\r\n");
    let beside = phone(&format!("m=audio 4000 RTP/AVP 8\r\n{KEY}"));
    let secure = phone(&format!("m=audio 4000 RTP/SAVP 8\r\n{KEY}"));
    let keyless = phone("m=audio 4000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\n");
    // (policy, offer, whether the sound is encrypted, or why it is refused)
    for (policy, offer, expected) in [
        (SrtpPolicy::Off, &plain, Ok(false)),
        (SrtpPolicy::Off, &beside, Ok(false)),
        (SrtpPolicy::Off, &secure, Err(SdpError::NoKeys)),
        (SrtpPolicy::Optional, &plain, Ok(false)),
        (SrtpPolicy::Optional, &beside, Ok(true)),
        (SrtpPolicy::Optional, &secure, Ok(true)),
        (SrtpPolicy::Optional, &keyless, Err(SdpError::NoKeys)),
        (SrtpPolicy::Required, &plain, Err(SdpError::NoKeys)),
        (SrtpPolicy::Required, &beside, Ok(true)),
        (SrtpPolicy::Required, &secure, Ok(true)),
    ] {
        let config = secured(policy, 1);
        let answered = answer(&config, offer);
        let encrypted = answered.as_ref().map(|(_, agreed)| agreed.srtp.is_some()).map_err(|error| *error);
        assert_eq!(encrypted, expected, "{policy:?}\n{offer}");
        // The same text read as an answer, where the tag is the one of our offer.
        let as_answer = offer.replace("crypto:3", "crypto:4");
        let encrypted = accept_answer(&config, &as_answer).map(|agreed| agreed.srtp.is_some());
        assert_eq!(encrypted, expected, "as answer, {policy:?}\n{as_answer}");
    }
}

#[test]
fn an_answer_under_a_tag_or_suite_we_did_not_offer_is_no_key() {
    let config = secured(SrtpPolicy::Required, 1);
    for tag in [0, 3, 6, 999_999_999] {
        let line = KEY.replace("crypto:3", &format!("crypto:{tag}"));
        let text = phone(&format!("m=audio 4000 RTP/SAVP 8\r\n{line}"));
        assert_eq!(accept_answer(&config, &text).unwrap_err(), SdpError::NoKeys, "{tag}");
    }
}

#[test]
fn once_encrypted_nothing_makes_it_plain_again() {
    let plain = phone("m=audio 4000 RTP/AVP 8\r\n");
    for protocol in ["RTP/AVP", "RTP/SAVP"] {
        let mut config = secured(SrtpPolicy::Optional, 1);
        let (_, agreed) = answer(&config, &phone(&format!("m=audio 4000 {protocol} 8\r\n{KEY}"))).unwrap();
        config.secure.note(agreed.srtp.as_ref());
        assert_eq!(answer(&config, &plain).unwrap_err(), SdpError::NoKeys, "a second offer");
        assert_eq!(accept_answer(&config, &plain).unwrap_err(), SdpError::NoKeys, "a second answer");
        assert!(offer(&config).contains(&format!("m=audio 20000 {protocol} 8 101\r\n")), "ours says as before");
        config.secure.note(None);
        assert_eq!(answer(&config, &plain).unwrap_err(), SdpError::NoKeys, "whatever came between");
    }
}

#[test]
fn our_key_is_the_same_in_every_description() {
    let config = secured(SrtpPolicy::Required, 1);
    let text = phone(&format!("m=audio 4000 RTP/SAVP 8\r\n{KEY}"));
    let ours = |text: &str| answer(&config, text).unwrap().1.srtp.unwrap().ours;
    let first = ours(&text);
    assert_eq!(ours(&text.replace("4000", "4100")), first);
    assert!(answer(&config, &text).unwrap().0.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:"), "under his tag");
}
