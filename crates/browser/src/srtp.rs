//! SRTP and SRTCP of one leg: contexts from the DTLS keys, a gate for synchronization sources, replay windows.
//!
//! `rtc-srtp` keeps state per SSRC from before a packet is authenticated (149 octets for every forged one), so
//! an SSRC is let through to the lasting context only if the offer named it or a packet of it has proven
//! itself in a context that is thrown away after a few failures. Its own replay window moves on a first packet
//! that was never authenticated, so the window is ours.

use bytes::BytesMut;
use dimpl::{KeyingMaterial, SrtpProfile};
use rtc_crypto::RTCCrypto;
use rtc_shared::replay_detector::ReplayDetector;
use rtc_srtp::context::Context;
use rtc_srtp::option::ContextOption;
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::error::DropReason;

/// Most sources with lasting state, over the life of a leg, when offers name them.
const MAX_NAMED: usize = 8;
/// Most sources after which none is admitted that no offer named.
const MAX_LEARNT: usize = 4;
/// Failures after which the trial context is made anew, so that its state stays bounded.
const MAX_TRIALS: u32 = 16;
/// Shortest RTP header.
const RTP_HEADER_BYTES: usize = 12;

/// Protection of one leg, both ways.
pub(crate) struct Srtp {
    keys: Keys,
    outbound: Context,
    inbound: Context,
    trial: Context,
    trials: u32,
    admitted: Vec<u32>,
    header: rtp::Header,
    plain: BytesMut,
    protected: BytesMut,
}

/// The browser's write key: what the trial context is made of again and again.
struct Keys {
    profile: ProtectionProfile,
    key: Vec<u8>,
    salt: Vec<u8>,
}

impl Keys {
    fn context(&self, crypto: &dyn RTCCrypto) -> Option<Context> {
        Context::new(
            &self.key,
            &self.salt,
            self.profile,
            Some(window(u64::from(u16::MAX))),
            Some(window(0x7fff_ffff)),
            crypto,
        )
        .ok()
    }
}

impl Srtp {
    /// From the keys of the handshake (RFC 5764 §4.2); `named` are the sources of the offer.
    pub(crate) fn new(
        material: &KeyingMaterial,
        profile: SrtpProfile,
        we_are_client: bool,
        named: &[u32],
        crypto: &dyn RTCCrypto,
    ) -> Option<Self> {
        let profile = match profile {
            SrtpProfile::AES128_CM_SHA1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            SrtpProfile::AEAD_AES_128_GCM => ProtectionProfile::AeadAes128Gcm,
            SrtpProfile::AEAD_AES_256_GCM => ProtectionProfile::AeadAes256Gcm,
            // `SrtpProfile` may grow; one we do not know cannot be keyed.
            _ => return None,
        };
        // client key | server key | client salt | server salt
        let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
        let client_key = material.get(..key_len)?;
        let server_key = material.get(key_len..2 * key_len)?;
        let client_salt = material.get(2 * key_len..2 * key_len + salt_len)?;
        let server_salt = material.get(2 * key_len + salt_len..2 * (key_len + salt_len))?;
        let client = Keys { profile, key: client_key.to_vec(), salt: client_salt.to_vec() };
        let server = Keys { profile, key: server_key.to_vec(), salt: server_salt.to_vec() };
        let (ours, theirs) = if we_are_client { (client, server) } else { (server, client) };
        let mut srtp = Self {
            outbound: ours.context(crypto)?,
            inbound: theirs.context(crypto)?,
            trial: theirs.context(crypto)?,
            keys: theirs,
            trials: 0,
            admitted: Vec::new(),
            header: rtp::Header::default(),
            plain: BytesMut::new(),
            protected: BytesMut::new(),
        };
        srtp.admit(named);
        Some(srtp)
    }

    /// Lets sources named by a (later) offer through.
    pub(crate) fn admit(&mut self, named: &[u32]) {
        for ssrc in named {
            if self.admitted.len() < MAX_NAMED && !self.admitted.contains(ssrc) {
                self.admitted.push(*ssrc);
            }
        }
    }

    /// Opens one SRTP packet.
    pub(crate) fn open_rtp(&mut self, packet: &[u8], crypto: &dyn RTCCrypto) -> Result<&[u8], DropReason> {
        read_header(packet, &mut self.header)?;
        let ssrc = self.header.ssrc;
        if !self.admitted.contains(&ssrc) {
            let opened = self.trial.decrypt_rtp_with_header(packet, &self.header).is_ok();
            self.note_trial(ssrc, opened, crypto)?;
        }
        match self.inbound.decrypt_rtp_with_header(packet, &self.header) {
            Ok(plain) => self.plain = plain,
            Err(error) => return Err(reason(&error)),
        }
        Ok(&self.plain)
    }

    /// Opens one SRTCP packet.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8], crypto: &dyn RTCCrypto) -> Result<&[u8], DropReason> {
        let ssrc = rtcp_ssrc(packet)?;
        if !self.admitted.contains(&ssrc) {
            let opened = self.trial.decrypt_rtcp(packet).is_ok();
            self.note_trial(ssrc, opened, crypto)?;
        }
        match self.inbound.decrypt_rtcp(packet) {
            Ok(plain) => self.plain = plain,
            Err(error) => return Err(reason(&error)),
        }
        Ok(&self.plain)
    }

    /// Protects one RTP packet of ours.
    pub(crate) fn protect_rtp(&mut self, packet: &[u8]) -> Option<&[u8]> {
        read_header(packet, &mut self.header).ok()?;
        self.protected = self.outbound.encrypt_rtp_with_header(packet, &self.header).ok()?;
        Some(&self.protected)
    }

    /// Protects one RTCP packet of ours.
    pub(crate) fn protect_rtcp(&mut self, packet: &[u8]) -> Option<&[u8]> {
        rtcp_ssrc(packet).ok()?;
        self.protected = self.outbound.encrypt_rtcp(packet).ok()?;
        Some(&self.protected)
    }

    /// A source nobody named is admitted by its first authentic packet.
    fn note_trial(&mut self, ssrc: u32, authentic: bool, crypto: &dyn RTCCrypto) -> Result<(), DropReason> {
        let full = self.admitted.len() >= MAX_LEARNT;
        if authentic && !full {
            self.admitted.push(ssrc);
            return Ok(());
        }
        self.trials += 1;
        if self.trials >= MAX_TRIALS {
            self.trials = 0;
            if let Some(fresh) = self.keys.context(crypto) {
                self.trial = fresh;
            }
        }
        Err(if authentic { DropReason::TooManySources } else { DropReason::Forged })
    }
}

fn reason(error: &rtc_shared::error::Error) -> DropReason {
    use rtc_shared::error::Error;
    if matches!(error, Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..)) {
        DropReason::Replayed
    } else {
        DropReason::Forged
    }
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, DropReason> {
    match packet {
        [first, _, _, _, a, b, c, d, ..] if first >> 6 == 2 => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(DropReason::BadRtp),
    }
}

/// What SRTP needs of an RTP header (RFC 3550 §5.1): sequence number, SSRC and how long it is. One header is
/// used again for every packet, so nothing is allocated: the extension is told by its length only.
fn read_header(packet: &[u8], header: &mut rtp::Header) -> Result<(), DropReason> {
    let Some((head, _)) = packet.split_first_chunk::<RTP_HEADER_BYTES>() else {
        return Err(DropReason::BadRtp);
    };
    if head[0] >> 6 != 2 {
        return Err(DropReason::BadRtp);
    }
    let csrc_count = usize::from(head[0] & 0x0f);
    let mut length = RTP_HEADER_BYTES + 4 * csrc_count;
    header.sequence_number = u16::from_be_bytes([head[2], head[3]]);
    header.ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    header.csrc.resize(csrc_count, 0);
    header.extension = head[0] & 0x10 != 0;
    header.extensions_padding = 0;
    if header.extension {
        let words = packet.get(length + 2..length + 4).ok_or(DropReason::BadRtp)?;
        header.extensions_padding = 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        length += 4 + header.extensions_padding;
    }
    if packet.len() < length { Err(DropReason::BadRtp) } else { Ok(()) }
}

fn window(highest: u64) -> ContextOption {
    Box::new(move || Box::new(Window { highest, last: None, seen: 0, candidate: 0 }))
}

/// Replay window of RFC 3711 §3.3.2: 128 numbers, moved by authentic packets only.
///
/// ```text
///   last-127 ……………… last-1  last │ newer: always looked at
///   bit 127  ……………… bit 1   bit 0│
/// ```
struct Window {
    /// Numbers wrap after this one.
    highest: u64,
    last: Option<u64>,
    seen: u128,
    candidate: u64,
}

impl Window {
    /// How far `number` is ahead of `last`, the short way around; negative when behind.
    fn ahead(&self, number: u64, last: u64) -> i64 {
        let range = self.highest + 1;
        let forward = (number + range - last) % range;
        let signed = i64::try_from(forward).unwrap_or(0);
        if forward > range / 2 { signed - i64::try_from(range).unwrap_or(0) } else { signed }
    }
}

impl ReplayDetector for Window {
    fn check(&mut self, number: u64) -> bool {
        self.candidate = number;
        if number > self.highest {
            return false;
        }
        let Some(last) = self.last else {
            return true;
        };
        match self.ahead(number, last) {
            1.. => true,
            behind @ -127..=0 => self.seen & (1 << -behind) == 0,
            _ => false,
        }
    }

    fn accept(&mut self) {
        let Some(last) = self.last else {
            self.last = Some(self.candidate);
            self.seen = 1;
            return;
        };
        match self.ahead(self.candidate, last) {
            ahead @ 1.. => {
                let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
                self.last = Some(self.candidate);
            }
            behind @ -127..=0 => self.seen |= 1 << -behind,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
