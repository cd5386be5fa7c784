//! SRTP and SRTCP of one leg (RFC 3711, RFC 7714): keys, a gate for synchronization sources, replay windows.
//!
//! `rtc-srtp` keeps state per SSRC from before a packet is authenticated (149 octets for every forged one), so
//! an SSRC is let through to the lasting context only if SDP named it or a packet of it has proven
//! itself in a context that is thrown away after a few failures. Its own replay window moves on a first packet
//! that was never authenticated, so the window is ours.

mod keys;
mod window;

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_srtp::context::Context;

pub use keys::{Keys, MAX_MKI_BYTES, Suite};

/// Failures after which the trial context is made anew, so that its state stays bounded.
const MAX_TRIALS: u32 = 16;
/// Shortest RTP header.
const RTP_HEADER_BYTES: usize = 12;

/// How many synchronization sources of the far end may have lasting state, over the life of its key.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    /// Those SDP names.
    pub named: usize,
    /// Number of sources after which none is admitted that SDP did not name.
    pub learnt: usize,
}

impl Sources {
    /// A browser names its own.
    pub const BROWSER: Self = Self { named: 8, learnt: 4 };
    /// A telephone system brings a new one with each piece of music and each transfer, and names none.
    pub const PHONE: Self = Self { named: 0, learnt: 256 };
}

/// Why a packet is not opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SrtpError {
    /// Not RTP or RTCP.
    Malformed,
    /// More synchronization sources than this leg may have.
    TooManySources,
    /// It does not authenticate.
    Forged,
    /// Seen before, or too old to tell.
    Replayed,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an rtp packet",
            Self::TooManySources => "too many synchronization sources",
            Self::Forged => "packet does not authenticate",
            Self::Replayed => "packet was seen before",
        })
    }
}

impl std::error::Error for SrtpError {}

/// Protection of one leg, both ways.
pub struct Srtp {
    crypto: Arc<dyn RTCCryptoProvider>,
    ours: Keys,
    /// The far end's key: what the trial context is made of again and again.
    theirs: Keys,
    limits: Sources,
    outbound: Context,
    inbound: Context,
    trial: Context,
    trials: u32,
    admitted: Vec<u32>,
    header: rtp::Header,
    plain: BytesMut,
    protected: BytesMut,
    /// A packet without its master key identifier.
    bare: Vec<u8>,
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srtp").field("ours", &self.ours).field("theirs", &self.theirs).finish_non_exhaustive()
    }
}

impl Srtp {
    /// What is sent is protected with `ours`, what comes is opened with `theirs`; `named` are the sources of the offer.
    #[must_use]
    pub fn new(ours: Keys, theirs: Keys, limits: Sources, named: &[u32]) -> Option<Self> {
        let crypto = rtc_crypto::default_provider().ok()?;
        let mut srtp = Self {
            outbound: ours.context(crypto.crypto())?,
            inbound: theirs.context(crypto.crypto())?,
            trial: theirs.context(crypto.crypto())?,
            crypto,
            ours,
            theirs,
            limits,
            trials: 0,
            admitted: Vec::new(),
            header: rtp::Header::default(),
            plain: BytesMut::new(),
            protected: BytesMut::new(),
            bare: Vec::new(),
        };
        srtp.admit(named);
        Some(srtp)
    }

    /// Takes the keys of a later offer or answer. A key that has not changed keeps its rollover counters and windows, or
    /// a hold would end the sound; false when the keys cannot be used.
    pub fn rekey(&mut self, ours: &Keys, theirs: &Keys) -> bool {
        let crypto = self.crypto.crypto();
        if *ours != self.ours {
            let Some(outbound) = ours.context(crypto) else { return false };
            self.outbound = outbound;
            self.ours = ours.clone();
        }
        if *theirs != self.theirs {
            let (Some(inbound), Some(trial)) = (theirs.context(crypto), theirs.context(crypto)) else { return false };
            self.inbound = inbound;
            self.trial = trial;
            self.theirs = theirs.clone();
            self.admitted.clear();
        }
        true
    }

    /// Lets sources named by a (later) offer through.
    pub fn admit(&mut self, named: &[u32]) {
        for ssrc in named {
            if self.admitted.len() < self.limits.named && !self.admitted.contains(ssrc) {
                self.admitted.push(*ssrc);
            }
        }
    }

    /// Opens one SRTP packet.
    ///
    /// # Errors
    /// When it is no RTP, not authentic, or seen before.
    pub fn open_rtp(&mut self, packet: &[u8]) -> Result<&[u8], SrtpError> {
        self.without_identifier(packet, Keys::strip_rtp, Self::decrypt_rtp)?;
        Ok(&self.plain)
    }

    /// Opens one SRTCP packet.
    ///
    /// # Errors
    /// When it is no RTCP, not authentic, or seen before.
    pub fn open_rtcp(&mut self, packet: &[u8]) -> Result<&[u8], SrtpError> {
        self.without_identifier(packet, Keys::strip_rtcp, Self::decrypt_rtcp)?;
        Ok(&self.plain)
    }

    fn without_identifier(
        &mut self,
        packet: &[u8],
        strip: fn(&Keys, &[u8], &mut Vec<u8>) -> Option<()>,
        decrypt: fn(&mut Self, &[u8]) -> Result<(), SrtpError>,
    ) -> Result<(), SrtpError> {
        if self.theirs.mki().is_empty() {
            return decrypt(self, packet);
        }
        let mut bare = std::mem::take(&mut self.bare);
        let stripped = strip(&self.theirs, packet, &mut bare).ok_or(SrtpError::Forged);
        let outcome = stripped.and_then(|()| decrypt(self, &bare));
        self.bare = bare;
        outcome
    }

    fn decrypt_rtp(&mut self, packet: &[u8]) -> Result<(), SrtpError> {
        read_header(packet, &mut self.header)?;
        let ssrc = self.header.ssrc;
        if !self.admitted.contains(&ssrc) {
            let opened = self.trial.decrypt_rtp_with_header(packet, &self.header).is_ok();
            self.note_trial(ssrc, opened)?;
        }
        self.plain = self.inbound.decrypt_rtp_with_header(packet, &self.header).map_err(|error| reason(&error))?;
        Ok(())
    }

    fn decrypt_rtcp(&mut self, packet: &[u8]) -> Result<(), SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        if !self.admitted.contains(&ssrc) {
            let opened = self.trial.decrypt_rtcp(packet).is_ok();
            self.note_trial(ssrc, opened)?;
        }
        self.plain = self.inbound.decrypt_rtcp(packet).map_err(|error| reason(&error))?;
        Ok(())
    }

    /// Protects one RTP packet of ours.
    #[must_use]
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Option<&[u8]> {
        read_header(packet, &mut self.header).ok()?;
        self.protected = self.outbound.encrypt_rtp_with_header(packet, &self.header).ok()?;
        Some(&self.protected)
    }

    /// Protects one RTCP packet of ours.
    #[must_use]
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Option<&[u8]> {
        rtcp_ssrc(packet).ok()?;
        self.protected = self.outbound.encrypt_rtcp(packet).ok()?;
        Some(&self.protected)
    }

    /// A source nobody named is admitted by its first authentic packet.
    fn note_trial(&mut self, ssrc: u32, authentic: bool) -> Result<(), SrtpError> {
        let full = self.admitted.len() >= self.limits.learnt;
        if authentic && !full {
            self.admitted.push(ssrc);
            return Ok(());
        }
        self.trials += 1;
        if self.trials >= MAX_TRIALS {
            self.trials = 0;
            if let Some(fresh) = self.theirs.context(self.crypto.crypto()) {
                self.trial = fresh;
            }
        }
        Err(if authentic { SrtpError::TooManySources } else { SrtpError::Forged })
    }
}

fn reason(error: &rtc_shared::error::Error) -> SrtpError {
    use rtc_shared::error::Error;
    if matches!(error, Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..)) {
        SrtpError::Replayed
    } else {
        SrtpError::Forged
    }
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    match packet {
        [first, _, _, _, a, b, c, d, ..] if first >> 6 == 2 => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SrtpError::Malformed),
    }
}

/// What SRTP needs of an RTP header (RFC 3550 §5.1): sequence number, SSRC and how long it is. One header is
/// used again for every packet, so nothing is allocated: the extension is told by its length only.
fn read_header(packet: &[u8], header: &mut rtp::Header) -> Result<(), SrtpError> {
    let Some((head, _)) = packet.split_first_chunk::<RTP_HEADER_BYTES>() else {
        return Err(SrtpError::Malformed);
    };
    if head[0] >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let csrc_count = usize::from(head[0] & 0x0f);
    let mut length = RTP_HEADER_BYTES + 4 * csrc_count;
    header.sequence_number = u16::from_be_bytes([head[2], head[3]]);
    header.ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    header.csrc.resize(csrc_count, 0);
    header.extension = head[0] & 0x10 != 0;
    header.extensions_padding = 0;
    if header.extension {
        let words = packet.get(length + 2..length + 4).ok_or(SrtpError::Malformed)?;
        header.extensions_padding = 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        length += 4 + header.extensions_padding;
    }
    if packet.len() < length { Err(SrtpError::Malformed) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
