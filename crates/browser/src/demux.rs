//! What a datagram is, and whose, from its first octets only.

use crate::stun;

/// What a datagram is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Connectivity check or consent.
    Stun,
    /// Handshake or close.
    Dtls,
    /// Protected media.
    Srtp,
    /// Protected reports.
    Srtcp,
    /// Nothing spoken here.
    Other,
}

/// Sorts a datagram by RFC 7983 §7 and, between RTP and RTCP, by RFC 5761 §4.
#[must_use]
pub const fn kind(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, ..] => Kind::Stun,
        // 20..=25 is DTLS 1.2 and the handshake of 1.3; 32..=63 the protected records of 1.3 (RFC 9147 §4).
        [20..=63, ..] => Kind::Dtls,
        [128..=191, 192..=223, ..] => Kind::Srtcp,
        [128..=191, _, ..] => Kind::Srtp,
        _ => Kind::Other,
    }
}

/// Our ufrag in a binding request: whose leg an unknown address claims to be for. Nothing is proven by it.
#[must_use]
pub fn check_ufrag(datagram: &[u8]) -> Option<&str> {
    let message = stun::Message::parse(datagram).ok()?;
    if !message.is_binding_request() {
        return None;
    }
    message.username?.split_once(':').map(|(ours, _)| ours)
}
