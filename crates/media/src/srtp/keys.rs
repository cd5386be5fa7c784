//! The keys of one direction: suite, master key and salt, and the identifier packets carry of them.

use std::fmt;

use rand::CryptoRng;
use rtc_crypto::RTCCrypto;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::window::window;

/// Longest master key identifier taken (RFC 4568 §9.2 allows 128 octets).
pub const MAX_MKI_BYTES: usize = 128;
/// SRTCP's word of flag and index (RFC 3711 §3.4).
const INDEX_BYTES: usize = 4;
/// The authentication tag of SRTCP, whatever SRTP's is (RFC 4568 §6.2).
const RTCP_TAG_BYTES: usize = 10;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suite {
    /// AES-256 in GCM (RFC 7714).
    AeadAes256Gcm,
    /// AES-128 in GCM (RFC 7714): the quickest.
    AeadAes128Gcm,
    /// AES-256 in counter mode, tag of 80 bits (RFC 6188).
    Aes256CmSha1_80,
    /// AES-128 in counter mode, tag of 80 bits (RFC 4568): the one every phone knows.
    Aes128CmSha1_80,
    /// The same with a tag of 32 bits.
    Aes128CmSha1_32,
}

impl Suite {
    /// All of them, the one we like best first.
    pub const ALL: [Self; 5] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::Aes256CmSha1_80, Self::Aes128CmSha1_80, Self::Aes128CmSha1_32];

    /// As `a=crypto` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes256CmSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of this name; names are compared as RFC 4568 §9.2 writes them, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Octets of the master key and of the master salt.
    #[must_use]
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            Self::AeadAes256Gcm => (32, 12),
            Self::AeadAes128Gcm => (16, 12),
            Self::Aes256CmSha1_80 => (32, 14),
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => (16, 14),
        }
    }

    const fn profile(self) -> ProtectionProfile {
        match self {
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::Aes256CmSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::Aes128CmSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        }
    }

    /// What stands after the identifier: the tag of counter mode; in GCM the identifier is the last (RFC 7714 §14.2).
    const fn rtp_tail(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 0,
            Self::Aes256CmSha1_80 | Self::Aes128CmSha1_80 => 10,
            Self::Aes128CmSha1_32 => 4,
        }
    }

    const fn rtcp_tail(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 0,
            Self::Aes256CmSha1_80 | Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => RTCP_TAG_BYTES,
        }
    }
}

/// The master key and salt of one direction. Never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Keys {
    suite: Suite,
    /// Key, then salt.
    octets: Vec<u8>,
    mki: Vec<u8>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Keys {
    /// From key and salt, one behind the other; `None` when they are not as long as the suite wants.
    #[must_use]
    pub fn new(suite: Suite, octets: &[u8]) -> Option<Self> {
        let (key, salt) = suite.lengths();
        (octets.len() == key + salt).then(|| Self { suite, octets: octets.to_vec(), mki: Vec::new() })
    }

    /// New ones.
    pub fn generate(suite: Suite, rng: &mut impl CryptoRng) -> Self {
        let (key, salt) = suite.lengths();
        let mut octets = vec![0; key + salt];
        rng.fill_bytes(&mut octets);
        Self { suite, octets, mki: Vec::new() }
    }

    /// The same, whose packets carry this identifier (RFC 3711 §3.1); `None` beyond [`MAX_MKI_BYTES`].
    #[must_use]
    pub fn identified(self, mki: Vec<u8>) -> Option<Self> {
        if mki.len() <= MAX_MKI_BYTES { Some(Self { mki, ..self }) } else { None }
    }

    /// How packets are protected.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key, then salt.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The identifier packets carry; empty when they carry none.
    pub(crate) fn mki(&self) -> &[u8] {
        &self.mki
    }

    pub(super) fn context(&self, crypto: &dyn RTCCrypto) -> Option<Context> {
        let (key, salt) = self.octets.split_at(self.suite.lengths().0);
        let windows = (window(u64::from(u16::MAX)), window(0x7fff_ffff));
        Context::new(key, salt, self.suite.profile(), Some(windows.0), Some(windows.1), crypto).ok()
    }

    /// An SRTP packet without its identifier; `None` when it carries another.
    pub(super) fn strip_rtp(&self, packet: &[u8], bare: &mut Vec<u8>) -> Option<()> {
        self.strip(packet, self.suite.rtp_tail(), 0, bare)
    }

    /// An SRTCP packet without its identifier, which stands behind the index.
    pub(super) fn strip_rtcp(&self, packet: &[u8], bare: &mut Vec<u8>) -> Option<()> {
        self.strip(packet, self.suite.rtcp_tail(), INDEX_BYTES, bare)
    }

    fn strip(&self, packet: &[u8], tail: usize, before: usize, bare: &mut Vec<u8>) -> Option<()> {
        let end = packet.len().checked_sub(tail)?;
        let start = end.checked_sub(self.mki.len())?;
        if start < before || packet.get(start..end)? != self.mki {
            return None;
        }
        bare.clear();
        bare.extend_from_slice(packet.get(..start)?);
        bare.extend_from_slice(packet.get(end..)?);
        Some(())
    }
}
