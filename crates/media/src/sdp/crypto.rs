//! SRTP keys in SDP: `a=crypto` (RFC 4568), which suite and key each side uses for what it sends.
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:BASE64(key salt)|2^31|1:4
//!          tag suite                        key and salt      lifetime, identifier:its octets
//! ```
//! The keys are readable to whoever reads the signalling; on its way that belongs into TLS.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::CryptoRng;

use super::{Attributes, Media};
use crate::srtp::{Keys, MAX_MKI_BYTES, Suite};

/// Most `a=crypto` lines looked at.
const MAX_LINES: usize = 16;
/// A line's tag has at most nine digits (RFC 4568 §9.1).
const MAX_TAG_DIGITS: usize = 9;

/// Some phones leave the padding away.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether sound is encrypted on a leg.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SrtpPolicy {
    /// Never: keys are neither offered nor taken.
    #[default]
    Off,
    /// Where the far end can: keys are offered beside plain RTP, and taken where they are offered.
    Optional,
    /// Always: a description without keys is refused.
    Required,
}

/// Our side of the encryption of one leg.
#[derive(Clone, Debug, Default)]
pub struct Secure {
    policy: SrtpPolicy,
    /// One key for each suite, the same for the life of the leg; its place is its tag.
    keys: Arc<[Keys]>,
    /// The leg is encrypted already: no later description makes it plain again. Whether it says `RTP/SAVP`.
    agreed: Option<bool>,
}

impl Secure {
    /// With new keys, unless the policy is off.
    pub fn new(policy: SrtpPolicy, rng: &mut impl CryptoRng) -> Self {
        let keys = match policy {
            SrtpPolicy::Off => Arc::default(),
            SrtpPolicy::Optional | SrtpPolicy::Required => {
                Suite::ALL.into_iter().map(|suite| Keys::generate(suite, rng)).collect()
            }
        };
        Self { policy, keys, agreed: None }
    }

    /// Remembers that a description with these keys was agreed.
    pub fn note(&mut self, agreed: Option<&SrtpKeys>) {
        self.agreed = agreed.map(|keys| keys.savp).or(self.agreed);
    }

    /// Whether a description without keys is refused.
    pub(super) fn is_required(&self) -> bool {
        self.agreed.is_some() || self.policy == SrtpPolicy::Required
    }

    /// The transport of our offer: as it was agreed before. Keys beside plain RTP are what phones with encryption "where
    /// possible" write and read; a line of their own for them (RFC 5939) they do not.
    pub(super) fn protocol(&self) -> &'static str {
        if self.agreed.unwrap_or(self.policy == SrtpPolicy::Required) { "RTP/SAVP" } else { "RTP/AVP" }
    }

    /// Adds the lines of our offer.
    pub(super) fn describe_offer(&self, attributes: &mut Attributes) {
        for (place, keys) in self.keys.iter().enumerate() {
            attributes.push("crypto", line(place + 1, keys));
        }
    }

    /// The keys of an answer to our offer, by the tag it repeats.
    pub(super) fn of_answer(&self, media: &Media) -> Option<SrtpKeys> {
        lines(media).find_map(|(tag, theirs)| {
            let ours = self.keys.get(tag.checked_sub(1)?)?;
            (ours.suite() == theirs.suite()).then(|| SrtpKeys { ours: ours.clone(), theirs, savp: is_savp(media) })
        })
    }

    /// The first of an offer's keys we can use, with its tag. He lists them as he likes them (RFC 4568 §5.1.2).
    pub(super) fn of_offer(&self, media: &Media) -> Option<(usize, SrtpKeys)> {
        lines(media).find_map(|(tag, theirs)| {
            let ours = self.keys.iter().find(|keys| keys.suite() == theirs.suite())?;
            Some((tag, SrtpKeys { ours: ours.clone(), theirs, savp: is_savp(media) }))
        })
    }
}

/// The keys both sides agreed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SrtpKeys {
    /// What we send is protected with these.
    pub ours: Keys,
    /// What comes is opened with these.
    pub theirs: Keys,
    /// The section says `RTP/SAVP` or `RTP/SAVPF`, and not plain RTP with keys beside.
    pub savp: bool,
}

/// A section whose transport is SRTP.
pub(super) fn is_savp(media: &Media) -> bool {
    ["RTP/SAVP", "RTP/SAVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol))
}

/// The value of one `a=crypto` line of ours.
pub(super) fn line(tag: usize, keys: &Keys) -> String {
    format!("{tag} {} inline:{}", keys.suite().name(), STANDARD.encode(keys.octets()))
}

/// The lines of a section that we can use, in order.
fn lines(media: &Media) -> impl Iterator<Item = (usize, Keys)> + '_ {
    media.attributes.all("crypto").take(MAX_LINES).filter_map(read)
}

/// One line; `None` for a suite, a parameter or a number of keys we do not know. A session parameter that is not
/// understood makes the line unusable, and so does every one that takes protection away (RFC 4568 §6.3).
fn read(value: &str) -> Option<(usize, Keys)> {
    let mut words = value.split_whitespace();
    let tag = words.next().filter(|tag| tag.len() <= MAX_TAG_DIGITS)?.parse().ok()?;
    let suite = Suite::named(words.next()?)?;
    let keys = words.next()?;
    let harmless = |word: &str| {
        let word = word.to_ascii_uppercase();
        // How often keys are derived anew, and how far numbers may lie apart: nothing to do for us.
        word == "KDR=0" || word.starts_with("WSH=") || word.starts_with('-')
    };
    words.all(harmless).then(|| read_keys(suite, keys)).flatten().map(|keys| (tag, keys))
}

/// `inline:` key and salt, then lifetime and identifier, in any order that occurs.
fn read_keys(suite: Suite, text: &str) -> Option<Keys> {
    let (method, info) = text.split_once(':')?;
    // Several keys for one direction would be told apart by their identifiers: nobody sends them.
    if !method.eq_ignore_ascii_case("inline") || info.contains(';') {
        return None;
    }
    let mut parts = info.split('|');
    let mut keys = Keys::new(suite, &TOLERANT.decode(parts.next()?).ok()?)?;
    for part in parts {
        match part.split_once(':') {
            Some((identifier, length)) => keys = keys.identified(mki(identifier, length)?)?,
            None if is_lifetime(part) => {}
            None => return None,
        }
    }
    Some(keys)
}

/// A number as so many octets, the highest first (RFC 4568 §6.1).
fn mki(identifier: &str, length: &str) -> Option<Vec<u8>> {
    let number: u128 = identifier.parse().ok()?;
    let length: usize = length.parse().ok().filter(|length| (1..=MAX_MKI_BYTES).contains(length))?;
    let octets = number.to_be_bytes();
    let (lead, kept) = octets.split_at(octets.len().saturating_sub(length));
    if lead.iter().any(|octet| *octet != 0) {
        return None;
    }
    let mut mki = vec![0; length - kept.len()];
    mki.extend_from_slice(kept);
    Some(mki)
}

/// `2^31` or a plain number of packets, more than none.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    digits.parse::<u64>().is_ok_and(|packets| packets > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn lines_of_the_field_are_read() {
        // (value, its tag, its identifier) of RFC 4568, of Asterisk, Cisco, Grandstream and linphone
        for (value, tag, mki) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"), Some(1), 4),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:1"), Some(1), 1),
            (format!("2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20"), Some(2), 0),
            (format!("3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1048576"), Some(3), 0),
            (format!("4 aes_cm_128_hmac_sha1_80 INLINE:{KEY}|1:32"), Some(4), 32),
            (format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY} WSH=64 KDR=0"), Some(7), 0),
            (format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY} -X=1"), Some(7), 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNAUTHENTICATED_SRTP"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=24"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4;inline:{KEY}|2:4"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|300:1"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:0"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}AAAA"), None, 0),
            (format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"), None, 0),
            (format!("0123456789 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), None, 0),
            (format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"), None, 0),
            ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), None, 0),
            (String::new(), None, 0),
        ] {
            let line = read(&value);
            assert_eq!(line.as_ref().map(|(tag, _)| *tag), tag, "{value}");
            if let Some((_, keys)) = line {
                assert_eq!(STANDARD.encode(keys.octets()), KEY, "{value}");
                assert_eq!(keys.mki().len(), mki, "{value}");
            }
        }
    }

    #[test]
    fn a_line_of_ours_reads_back_for_every_suite() {
        use rand::SeedableRng;
        let secure = Secure::new(SrtpPolicy::Optional, &mut rand::rngs::StdRng::seed_from_u64(7));
        for (place, keys) in secure.keys.iter().enumerate() {
            assert_eq!(read(&line(place + 1, keys)), Some((place + 1, keys.clone())));
        }
    }

    #[test]
    fn padding_left_away_is_forgiven() {
        let keys = Keys::new(Suite::AeadAes128Gcm, &[7; 28]).unwrap();
        let padded = line(1, &keys);
        assert!(padded.ends_with('='));
        assert_eq!(read(padded.trim_end_matches('=')), Some((1, keys)));
    }
}
