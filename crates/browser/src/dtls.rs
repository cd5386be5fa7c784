//! DTLS to keys: drives `dimpl`, compares the certificate with the offer before anything is released.
//!
//! `dimpl` gives the peer's certificate before the keys; a certificate the offer did not announce ends the leg
//! there, so keys of a stranger never reach SRTP (RFC 8122 §6.2, RFC 5763 §5).

use std::time::Instant;

use dimpl::{Dtls, KeyingMaterial, Output, SrtpProfile, UnexpectedMessageError};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::certificate::Certificate;
use crate::error::FailReason;

/// Room for one datagram or one certificate; grown when `dimpl` asks, within `MAX_OUTPUT_BYTES`.
const OUTPUT_BYTES: usize = 2_048;
const MAX_OUTPUT_BYTES: usize = 16_384;
/// Most outputs taken in one go: a loop that would not end ends the handshake instead.
const MAX_OUTPUTS: usize = 256;

/// Hash functions a fingerprint may be made with, weakest first. SHA-1 and MD5 are not among them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn from_name(name: &str) -> Option<Self> {
        [("sha-256", Self::Sha256), ("sha-384", Self::Sha384), ("sha-512", Self::Sha512)]
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, hash)| hash)
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// One `a=fingerprint` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint {
    hash: Hash,
    digest: Vec<u8>,
}

impl Fingerprint {
    /// `sha-256 AB:CD:…`; `None` for a weak hash or a digest of the wrong length.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (name, digits) = value.split_once(char::is_whitespace)?;
        let hash = Hash::from_name(name)?;
        let digest: Option<Vec<u8>> = digits.trim().split(':').map(octet).collect();
        digest.filter(|d| d.len() == hash.bytes()).map(|digest| Self { hash, digest })
    }
}

fn octet(digits: &str) -> Option<u8> {
    let is_hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// RFC 8122 §5: of several lines those with the strongest hash count, and one of them must match.
fn matches(announced: &[Fingerprint], certificate: &[u8]) -> bool {
    let Some(strongest) = announced.iter().map(|f| f.hash).max() else {
        return false;
    };
    let digest = strongest.of(certificate);
    announced.iter().any(|f| f.hash == strongest && rtc_crypto::constant_time_eq(&f.digest, &digest))
}

/// What a handshake came to in one go.
#[derive(Default)]
pub(crate) struct Progress {
    /// Keys, once, after the certificate was found right.
    pub(crate) keys: Option<(KeyingMaterial, SrtpProfile)>,
    /// The handshake is complete.
    pub(crate) connected: bool,
    /// The browser said good-bye.
    pub(crate) closed: bool,
}

/// One DTLS association.
pub(crate) struct Association {
    dtls: Dtls,
    announced: Vec<Fingerprint>,
    verified: bool,
    connected: bool,
    deadline: Option<Instant>,
}

impl Association {
    pub(crate) fn new(certificate: &Certificate, announced: Vec<Fingerprint>, active: bool, now: Instant) -> Self {
        let mut dtls = certificate.association(now);
        dtls.set_active(active);
        Self { dtls, announced, verified: false, connected: false, deadline: None }
    }

    /// When `handle_timeout` is due.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a datagram is to be left alone: while there are no keys, a plaintext alert proves nothing and
    /// would end the handshake (RFC 9147 §4.5.2 lets it be ignored).
    pub(crate) fn is_plain_alert(&self, datagram: &[u8]) -> bool {
        !self.connected && has_plain_alert(datagram)
    }

    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &[u8],
        now: Instant,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Progress, FailReason> {
        self.dtls.handle_timeout(now).map_err(|_| FailReason::Handshake)?;
        match self.dtls.handle_packet(datagram) {
            Ok(()) => {}
            // Anybody's noise before the first answer; the association itself is untouched by it.
            Err(dimpl::Error::UnexpectedMessage(UnexpectedMessageError::UnrecognizedAutoServerResponse)) => {}
            Err(_) => return Err(FailReason::Handshake),
        }
        self.drain(send)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, send: &mut dyn FnMut(&[u8])) -> Result<Progress, FailReason> {
        self.dtls.handle_timeout(now).map_err(|_| FailReason::Handshake)?;
        self.drain(send)
    }

    /// Says good-bye, where there is a channel to say it in.
    pub(crate) fn close(&mut self, send: &mut dyn FnMut(&[u8])) {
        if self.dtls.close().is_ok() {
            // The leg has ended already: what the drain comes to no longer matters.
            drop(self.drain(send));
        }
    }

    fn drain(&mut self, send: &mut dyn FnMut(&[u8])) -> Result<Progress, FailReason> {
        let mut progress = Progress::default();
        let mut buffer = vec![0; OUTPUT_BYTES];
        for _ in 0..MAX_OUTPUTS {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => send(packet),
                Output::BufferTooSmall { needed } if needed <= MAX_OUTPUT_BYTES => buffer.resize(needed, 0),
                Output::BufferTooSmall { .. } => return Err(FailReason::Handshake),
                Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return Ok(progress);
                }
                Output::PeerCert(certificate) => {
                    if !matches(&self.announced, certificate) {
                        return Err(FailReason::FingerprintMismatch);
                    }
                    self.verified = true;
                }
                Output::KeyingMaterial(keys, profile) => {
                    if !self.verified {
                        return Err(FailReason::FingerprintMismatch);
                    }
                    progress.keys = Some((keys, profile));
                }
                Output::Connected => {
                    self.connected = true;
                    progress.connected = true;
                }
                Output::CloseNotify => progress.closed = true,
                // No data channel was agreed: whatever comes is not for us.
                Output::ApplicationData(_) => {}
                // `Output` may grow: an output nobody asked for is let pass.
                _ => {}
            }
        }
        Err(FailReason::Handshake)
    }
}

/// Walks the records of a datagram (RFC 6347 §4.1) looking for an alert of epoch 0.
fn has_plain_alert(mut datagram: &[u8]) -> bool {
    const ALERT: u8 = 21;
    while let [kind @ 20..=25, _, _, epoch_high, epoch_low, _, _, _, _, _, _, high, low, rest @ ..] = datagram {
        if *kind == ALERT && [*epoch_high, *epoch_low] == [0, 0] {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        datagram = rest.get(length..).unwrap_or(&[]);
    }
    false
}
