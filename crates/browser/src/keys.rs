//! The SRTP keys of a DTLS handshake (RFC 5764 §4.2).

use dimpl::{KeyingMaterial, SrtpProfile};
use media::srtp::{Keys, Sources, Srtp, Suite};

/// The protection both sides agreed; `named` are the sources of the offer.
pub(crate) fn srtp(
    material: &KeyingMaterial,
    profile: SrtpProfile,
    we_are_client: bool,
    named: &[u32],
) -> Option<Srtp> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::Aes128CmSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        // `SrtpProfile` may grow; one we do not know cannot be keyed.
        _ => return None,
    };
    // client key | server key | client salt | server salt
    let (key_len, salt_len) = suite.lengths();
    let (keys, salts) = material.split_at_checked(2 * key_len)?;
    let of = |place: usize| {
        let key = keys.get(place * key_len..(place + 1) * key_len)?;
        let salt = salts.get(place * salt_len..(place + 1) * salt_len)?;
        Keys::new(suite, &[key, salt].concat())
    };
    let (client, server) = (of(0)?, of(1)?);
    let (ours, theirs) = if we_are_client { (client, server) } else { (server, client) };
    Srtp::new(ours, theirs, Sources::BROWSER, named)
}
