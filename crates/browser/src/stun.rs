//! STUN messages (RFC 8489) as ICE uses them: one tolerant, copy-free reader, one small writer.
//!
//! ```text
//!  0                   1                   2                   3      RFC 8489 §5
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |0 0|     STUN Message Type     |         Message Length        |
//! |                         Magic Cookie 0x2112A442               |
//! |                     Transaction ID (96 bits)                  |
//! |         Type                  |            Length             | Value, padded to 4 | …
//! ```
//! Attributes after MESSAGE-INTEGRITY other than FINGERPRINT prove nothing and are not looked at (§14.5).

use std::net::{IpAddr, SocketAddr};

use rtc_crypto::{CryptoError, HmacAlgorithm, RTCCrypto};

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const INTEGRITY_BYTES: usize = 20;
/// FINGERPRINT is this xor the CRC-32 (§14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

/// Comprehension-required attributes that may stand in a request without being refused (RFC 8489 §18.3).
const KNOWN_REQUIRED: [u16; 12] = [
    0x0001, // MAPPED-ADDRESS
    USERNAME,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014, // REALM
    0x0015, // NONCE
    0x001c, // MESSAGE-INTEGRITY-SHA256: computed by newer stacks beside the older one
    0x001d, // PASSWORD-ALGORITHM
    XOR_MAPPED_ADDRESS,
    PRIORITY,
    USE_CANDIDATE,
];
/// Most unknown attributes named in a 420 answer.
const MAX_UNKNOWN: usize = 8;

/// Why a datagram is no STUN message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StunError {
    Header,
    Attribute,
    Fingerprint,
}

/// What a check needs of a message; borrowed from the datagram.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    raw: &'a [u8],
    kind: u16,
    pub(crate) transaction: [u8; 12],
    pub(crate) username: Option<&'a str>,
    pub(crate) use_candidate: bool,
    pub(crate) controlled: bool,
    /// A FINGERPRINT was there, and held.
    pub(crate) fingerprint: bool,
    /// Offset of MESSAGE-INTEGRITY.
    integrity: Option<usize>,
    unknown: [u16; MAX_UNKNOWN],
    unknown_count: usize,
}

impl<'a> Message<'a> {
    /// Reads one datagram whole. A FINGERPRINT, where there is one, must hold.
    pub(crate) fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let (head, _) = datagram.split_first_chunk::<HEADER_BYTES>().ok_or(StunError::Header)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if kind & 0xc000 != 0 || head[4..8] != COOKIE || length % 4 != 0 || datagram.len() != HEADER_BYTES + length {
            return Err(StunError::Header);
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&head[8..20]);
        let mut message = Self {
            raw: datagram,
            kind,
            transaction,
            username: None,
            use_candidate: false,
            controlled: false,
            fingerprint: false,
            integrity: None,
            unknown: [0; MAX_UNKNOWN],
            unknown_count: 0,
        };
        let mut offset = HEADER_BYTES;
        while offset < datagram.len() {
            offset = message.take_attribute(offset)?;
        }
        Ok(message)
    }

    /// Reads the attribute at `offset` and says where the next begins.
    fn take_attribute(&mut self, offset: usize) -> Result<usize, StunError> {
        let raw = self.raw;
        let rest = raw.get(offset..).ok_or(StunError::Attribute)?;
        let (head, rest) = rest.split_first_chunk::<4>().ok_or(StunError::Attribute)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let padded = length.next_multiple_of(4);
        if rest.len() < padded {
            return Err(StunError::Attribute);
        }
        let value = &rest[..length];
        let next = offset + 4 + padded;
        if kind == FINGERPRINT {
            // Last of all, over everything before it.
            let said = <[u8; 4]>::try_from(value).map_err(|_| StunError::Fingerprint)?;
            if next != raw.len() || u32::from_be_bytes(said) != fingerprint(&raw[..offset]) {
                return Err(StunError::Fingerprint);
            }
            self.fingerprint = true;
            return Ok(next);
        }
        if self.integrity.is_some() {
            return Ok(next);
        }
        match kind {
            MESSAGE_INTEGRITY if length == INTEGRITY_BYTES => self.integrity = Some(offset),
            MESSAGE_INTEGRITY => return Err(StunError::Attribute),
            USERNAME => {
                let text = std::str::from_utf8(value).map_err(|_| StunError::Attribute)?;
                self.username.get_or_insert(text);
            }
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLED => self.controlled = true,
            unknown if unknown < 0x8000 && !KNOWN_REQUIRED.contains(&unknown) => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_count) {
                    *slot = unknown;
                    self.unknown_count += 1;
                }
            }
            _ => {}
        }
        Ok(next)
    }

    pub(crate) const fn is_binding_request(&self) -> bool {
        self.kind == BINDING_REQUEST
    }

    /// Comprehension-required attributes not understood (RFC 8489 §6.3.1), the first few.
    pub(crate) fn unknown(&self) -> &[u16] {
        &self.unknown[..self.unknown_count]
    }

    /// Whether MESSAGE-INTEGRITY is there and holds (§14.5): HMAC-SHA1 over everything before it, with the
    /// length field as if it were the last attribute.
    pub(crate) fn is_authentic(&self, password: &[u8], crypto: &dyn RTCCrypto) -> bool {
        let Some(offset) = self.integrity else {
            return false;
        };
        let end = offset + 4 + INTEGRITY_BYTES;
        let (Ok(length), Some(tag)) = (u16::try_from(end - HEADER_BYTES), self.raw.get(offset + 4..end)) else {
            return false;
        };
        let covered: [&[u8]; 3] = [&self.raw[..2], &length.to_be_bytes(), &self.raw[4..offset]];
        crypto.new_hmac(HmacAlgorithm::Sha1, password).and_then(|mut mac| mac.verify(&covered, tag)).is_ok()
    }
}

/// The answer to an authentic check: where it came from.
pub(crate) fn success(
    request: &Message<'_>,
    source: SocketAddr,
    password: &[u8],
    crypto: &dyn RTCCrypto,
) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new(BINDING_SUCCESS, request);
    writer.xor_mapped_address(source);
    writer.finish(password, crypto)
}

/// An error answer to an authentic check: 420 with the attributes not understood, 487 for a role conflict.
pub(crate) fn failure(
    request: &Message<'_>,
    code: u16,
    password: &[u8],
    crypto: &dyn RTCCrypto,
) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new(BINDING_ERROR, request);
    let (hundreds, rest) = (code / 100, code % 100);
    writer.attribute(ERROR_CODE, &[0, 0, hundreds.to_be_bytes()[1], rest.to_be_bytes()[1]]);
    if !request.unknown().is_empty() {
        let list: Vec<u8> = request.unknown().iter().flat_map(|kind| kind.to_be_bytes()).collect();
        writer.attribute(UNKNOWN_ATTRIBUTES, &list);
    }
    writer.finish(password, crypto)
}

struct Writer {
    bytes: Vec<u8>,
    transaction: [u8; 12],
}

impl Writer {
    fn new(kind: u16, request: &Message<'_>) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&request.transaction);
        Self { bytes, transaction: request.transaction }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        let length = u16::try_from(value.len()).unwrap_or(0);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// RFC 8489 §14.2: port and address mixed with cookie and transaction id, so that no NAT rewrites them.
    fn xor_mapped_address(&mut self, address: SocketAddr) {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&COOKIE);
        key[4..].copy_from_slice(&self.transaction);
        let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
        let mut value = vec![0, 0];
        value.extend_from_slice(&port.to_be_bytes());
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value.extend(ip.octets().iter().zip(key).map(|(a, k)| a ^ k));
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                value.extend(ip.octets().iter().zip(key).map(|(a, k)| a ^ k));
            }
        }
        self.attribute(XOR_MAPPED_ADDRESS, &value);
    }

    fn set_length_with(&mut self, more: usize) {
        let length = u16::try_from(self.bytes.len() - HEADER_BYTES + more).unwrap_or(0);
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }

    fn finish(mut self, password: &[u8], crypto: &dyn RTCCrypto) -> Result<Vec<u8>, CryptoError> {
        self.set_length_with(4 + INTEGRITY_BYTES);
        let mut tag = [0; INTEGRITY_BYTES];
        crypto.new_hmac(HmacAlgorithm::Sha1, password)?.sign(&[&self.bytes], &mut tag)?;
        self.attribute(MESSAGE_INTEGRITY, &tag);
        self.set_length_with(8);
        let crc = fingerprint(&self.bytes);
        self.attribute(FINGERPRINT, &crc.to_be_bytes());
        Ok(self.bytes)
    }
}

fn fingerprint(bytes: &[u8]) -> u32 {
    crc32(bytes) ^ FINGERPRINT_XOR
}

/// CRC-32 of ITU-T V.42, one table made at compile time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0_u32; 256];
        let mut index = 0_u32;
        while index < 256 {
            let mut crc = index;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[index as usize] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests;
