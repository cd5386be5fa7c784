//! Why an offer is refused, a datagram dropped, a leg lost.

use std::fmt;

use media::sdp::SdpError;
use media::srtp::SrtpError;

/// The certificate could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Key or certificate generation failed.
    Certificate,
    /// The cryptographic library refused its settings.
    Crypto,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate could not be generated",
            Self::Crypto => "cryptography could not be set up",
        })
    }
}

impl std::error::Error for Error {}

/// Why a browser's offer cannot be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OfferError {
    /// The description itself: unreadable, too long, without audio, without a common codec.
    Sdp(SdpError),
    /// `ice-ufrag` or `ice-pwd` is missing or has a length RFC 8839 §5.4 does not allow.
    NoIce,
    /// Both sides lite: nobody would make checks (RFC 8445 §6.1.1).
    PeerIsLite,
    /// No usable `a=fingerprint`: sha-256, sha-384 or sha-512 (RFC 8122 §5).
    NoFingerprint,
    /// `a=setup` cannot be matched with our role, or is `holdconn`.
    Setup,
    /// Without `rtcp-mux` a second port would be needed (RFC 8834 §4.5).
    NoRtcpMux,
    /// A later offer brings another certificate: that would be another call (RFC 8842 §4).
    NewAssociation,
    /// The leg has ended.
    Closed,
    /// There is no address of ours to offer.
    NoCandidate,
    /// The cryptographic library refused its settings.
    Crypto,
}

impl From<SdpError> for OfferError {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sdp(error) => error.fmt(f),
            Self::NoIce => f.write_str("offer has no usable ice-ufrag and ice-pwd"),
            Self::PeerIsLite => f.write_str("offer is ice-lite like ours"),
            Self::NoFingerprint => f.write_str("offer has no sha-256 or stronger fingerprint"),
            Self::Setup => f.write_str("offer's dtls setup role cannot be answered"),
            Self::NoRtcpMux => f.write_str("offer has no rtcp-mux"),
            Self::NewAssociation => f.write_str("offer brings another certificate"),
            Self::Closed => f.write_str("the leg has ended"),
            Self::NoCandidate => f.write_str("no local address to answer with"),
            Self::Crypto => f.write_str("cryptography could not be set up"),
        }
    }
}

impl std::error::Error for OfferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sdp(error) => Some(error),
            Self::NoIce
            | Self::PeerIsLite
            | Self::NoFingerprint
            | Self::Setup
            | Self::NoRtcpMux
            | Self::NewAssociation
            | Self::Closed
            | Self::NoCandidate
            | Self::Crypto => None,
        }
    }
}

/// Why a datagram was dropped: one counter each.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DropReason {
    /// First octet of no protocol spoken here.
    UnknownKind,
    /// Not a STUN message, or one that breaks its own rules.
    BadStun,
    /// A STUN message that is no binding request: a lite agent asks nothing, so it is answered nothing.
    UnexpectedStun,
    /// User name of another leg, or MESSAGE-INTEGRITY that does not hold.
    WrongCredentials,
    /// More checks from one source, or for one leg, than any browser makes.
    RateLimited,
    /// DTLS or SRTP from an address no authentic check came from.
    UnknownAddress,
    /// A plaintext DTLS alert, which anybody can write.
    PlainAlert,
    /// SRTP before there are keys.
    NoKeys,
    /// Not RTP or RTCP.
    BadRtp,
    /// More synchronization sources than a browser's audio has.
    TooManySources,
    /// SRTP that does not authenticate.
    Forged,
    /// SRTP seen before, or too old to tell; a check sent again from elsewhere.
    Replayed,
    /// The leg has ended.
    Closed,
}

impl From<SrtpError> for DropReason {
    fn from(error: SrtpError) -> Self {
        match error {
            SrtpError::Malformed => Self::BadRtp,
            SrtpError::TooManySources => Self::TooManySources,
            SrtpError::Forged => Self::Forged,
            SrtpError::Replayed => Self::Replayed,
        }
    }
}

impl DropReason {
    /// All of them, for counters.
    pub const ALL: [Self; 13] = [
        Self::UnknownKind,
        Self::BadStun,
        Self::UnexpectedStun,
        Self::WrongCredentials,
        Self::RateLimited,
        Self::UnknownAddress,
        Self::PlainAlert,
        Self::NoKeys,
        Self::BadRtp,
        Self::TooManySources,
        Self::Forged,
        Self::Replayed,
        Self::Closed,
    ];

    /// Label of a counter.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownKind => "unknown-kind",
            Self::BadStun => "bad-stun",
            Self::UnexpectedStun => "unexpected-stun",
            Self::WrongCredentials => "wrong-credentials",
            Self::RateLimited => "rate-limited",
            Self::UnknownAddress => "unknown-address",
            Self::PlainAlert => "plain-alert",
            Self::NoKeys => "no-keys",
            Self::BadRtp => "bad-rtp",
            Self::TooManySources => "too-many-sources",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Closed => "closed",
        }
    }
}

/// Why a leg failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailReason {
    /// No authentic check came, or the handshake did not end, in time.
    NeverConnected,
    /// The certificate shown is not the one the offer announced.
    FingerprintMismatch,
    /// The DTLS handshake failed.
    Handshake,
    /// No SRTP profile in common.
    NoSrtp,
    /// No sign of consent for too long (RFC 7675 §5.1).
    ConsentExpired,
}

impl FailReason {
    /// Label of a counter.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NeverConnected => "never-connected",
            Self::FingerprintMismatch => "fingerprint-mismatch",
            Self::Handshake => "handshake",
            Self::NoSrtp => "no-srtp",
            Self::ConsentExpired => "consent-expired",
        }
    }
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverConnected => "browser never connected",
            Self::FingerprintMismatch => "certificate does not match the announced fingerprint",
            Self::Handshake => "dtls handshake failed",
            Self::NoSrtp => "no srtp profile in common",
            Self::ConsentExpired => "browser went silent",
        })
    }
}
