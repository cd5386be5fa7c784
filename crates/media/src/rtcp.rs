//! RTCP (RFC 3550 §6): a tolerant reader and a writer of SR or RR with SDES.
//!
//! ```text
//!  0                   1                   2                   3
//! |V=2|P|   RC    |      PT       |    length in words − 1        |   200 SR, 201 RR, 202 SDES, 203 BYE
//! ```
//! Feedback and extended reports are stepped over: nothing of ours answers them. A BYE ends nothing (SIP does).

use crate::packet::{RtpTime, Ssrc};
use crate::receive::Reception;
use std::time::{Duration, Instant};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BLOCK_BYTES: usize = 24;
/// SR with one block 52, SDES with a name of 16 characters 28.
pub(crate) const COMPOUND_BYTES_MAX: usize = 96;
pub(crate) const NAME_BYTES: usize = 16;

/// RFC 3550 §4 allows a clock that only tells elapsed time; it starts here so that no report bears the time 0, which
/// means "none".
const CLOCK_START: Duration = Duration::from_secs(60);

/// The moment as an NTP timestamp of a clock that began with the bridge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NtpTime(pub(crate) u64);

impl NtpTime {
    pub(crate) fn at(epoch: Instant, now: Instant) -> Self {
        let elapsed = CLOCK_START + now.saturating_duration_since(epoch);
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        Self(elapsed.as_secs() << 32 | fraction)
    }

    /// The middle 32 bits, as reports quote it: units of 1/65536 s.
    pub(crate) const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// One thing found in an RTCP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// A sender's clock reading.
    Sender { ssrc: Ssrc, ntp: NtpTime },
    /// What the far end says of a stream.
    Block(Block),
}

/// A report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    /// The stream spoken of.
    pub(crate) about: Ssrc,
    /// Lost since the report before, in 256ths.
    pub(crate) fraction_lost: u8,
    /// Lost in all; may be negative with duplicates.
    pub(crate) lost: i32,
    pub(crate) jitter_ticks: u32,
    /// Middle of the NTP time of our last report, 0 for none.
    pub(crate) last_report: u32,
    /// Since that one came, in 1/65536 s.
    pub(crate) delay: u32,
}

/// Not one whole RTCP packet at the beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotRtcp;

/// Reads a compound packet, handing each item found to `found`. Whatever follows a broken packet is left alone.
pub(crate) fn read(bytes: &[u8], mut found: impl FnMut(Item)) -> Result<(), NotRtcp> {
    let mut rest = bytes;
    let mut whole = 0_usize;
    while let Some((header, _)) = rest.split_first_chunk::<4>() {
        let length = 4 * (1 + usize::from(u16::from_be_bytes([header[2], header[3]])));
        // RFC 3550 A.2: version 2 and a length that stays within the datagram.
        if header[0] >> 6 != 2 || !(192..=223).contains(&header[1]) {
            break;
        }
        let Some((packet, after)) = rest.split_at_checked(length) else { break };
        let blocks_at = match header[1] {
            SENDER_REPORT => Some(28),
            RECEIVER_REPORT => Some(8),
            _ => None,
        };
        if header[1] == SENDER_REPORT
            && let (Some(ssrc), Some(high), Some(low)) = (word(packet, 4), word(packet, 8), word(packet, 12))
        {
            found(Item::Sender { ssrc: Ssrc(ssrc), ntp: NtpTime(u64::from(high) << 32 | u64::from(low)) });
        }
        let blocks = blocks_at.and_then(|start| packet.get(start..)).unwrap_or_default();
        for block in blocks.chunks_exact(BLOCK_BYTES).take(usize::from(header[0] & 0x1f)) {
            read_block(block).into_iter().for_each(|block| found(Item::Block(block)));
        }
        whole += 1;
        rest = after;
    }
    if whole == 0 { Err(NotRtcp) } else { Ok(()) }
}

fn read_block(block: &[u8]) -> Option<Block> {
    let lost = word(block, 4)?;
    Some(Block {
        about: Ssrc(word(block, 0)?),
        fraction_lost: (lost >> 24) as u8,
        lost: (lost << 8).cast_signed() >> 8,
        jitter_ticks: word(block, 12)?,
        last_report: word(block, 16)?,
        delay: word(block, 20)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))
}

/// What we say of our own sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SenderInfo {
    pub(crate) ntp: NtpTime,
    pub(crate) time: RtpTime,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
}

/// The sender report last heard: its middle NTP bits, and how long ago.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Echo {
    pub(crate) middle: u32,
    pub(crate) delay: u32,
}

/// Writes a compound packet and says how long it is: SR when we sent lately, else RR; then our name.
pub(crate) fn write(
    ssrc: Ssrc,
    sender: Option<SenderInfo>,
    reception: Option<(Reception, Option<Echo>)>,
    name: &[u8; NAME_BYTES],
    out: &mut [u8; COMPOUND_BYTES_MAX],
) -> usize {
    let mut writer = Writer { out, length: 0 };
    let body_words = 1 + if sender.is_some() { 5 } else { 0 } + if reception.is_some() { 6 } else { 0 };
    let kind = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    writer.header(u8::from(reception.is_some()), kind, body_words);
    writer.word(ssrc.0);
    if let Some(sender) = sender {
        writer.word((sender.ntp.0 >> 32) as u32);
        writer.word(sender.ntp.0 as u32);
        writer.word(sender.time.0);
        writer.word(sender.packets);
        writer.word(sender.bytes);
    }
    if let Some((reception, echo)) = reception {
        writer.word(reception.ssrc.0);
        writer.word(u32::from(reception.fraction_lost) << 24 | (reception.lost.cast_unsigned() & 0x00ff_ffff));
        writer.word(reception.highest);
        writer.word(reception.jitter_ticks);
        writer.word(echo.map_or(0, |echo| echo.middle));
        writer.word(echo.map_or(0, |echo| echo.delay));
    }
    // SDES: SSRC, CNAME item (1), its length, the name, and at least one zero octet up to the next word.
    let item_words = (2 + NAME_BYTES + 1).div_ceil(4);
    writer.header(1, SOURCE_DESCRIPTION, 1 + item_words as u16);
    writer.word(ssrc.0);
    writer.bytes(&[1, NAME_BYTES as u8]);
    writer.bytes(name);
    writer.bytes(&[0; 4][..4 * item_words - 2 - NAME_BYTES]);
    writer.length
}

struct Writer<'a> {
    out: &'a mut [u8; COMPOUND_BYTES_MAX],
    length: usize,
}

impl Writer<'_> {
    fn header(&mut self, count: u8, kind: u8, words: u16) {
        self.bytes(&[0x80 | count, kind]);
        self.bytes(&words.to_be_bytes());
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests;
