//! RTCP of each leg: what we report, what is reported to us, and what it changes.

use super::{Bridge, PacketError, PacketKind, Side};
use crate::codec::{CodecKind, opus};
use crate::mos::{self, Conditions};
use crate::rtcp::{self, Block, Echo, Item, NAME_BYTES, NtpTime, SenderInfo};
use crate::stats::{RemoteReport, StreamStats};
use rand::Rng;
use rand::rngs::SmallRng;
use std::time::{Duration, Instant};

/// The first report; the driver's own start-up is over by then.
const FIRST: Duration = Duration::from_secs(1);
/// Between reports on average (RFC 3550 §6.2); each is spread by a fifth so that calls do not report in step.
const INTERVAL_MS: std::ops::Range<u64> = 4_000..6_000;
/// A round trip longer than this is a broken clock.
const RTT_MAX_MS: f32 = 10_000.0;

/// The reports of one leg.
#[derive(Debug)]
pub(crate) struct Reports {
    name: [u8; NAME_BYTES],
    next_at: Option<Instant>,
    /// The far end's last sender report, and when it came.
    heard: Option<(u32, Instant)>,
    remote: Option<RemoteReport>,
    /// Loss the far end sees, smoothed: quick to believe, slow to forget.
    loss: f32,
    sent_packets: u64,
}

impl Reports {
    pub(crate) fn new(random: &mut SmallRng) -> Self {
        // RFC 7022 §4.2: a random name for each session, that tells nobody anything.
        let name = std::array::from_fn(|_| b"0123456789abcdefghijklmnopqrstuv"[random.random_range(0..32)]);
        Self { name, next_at: None, heard: None, remote: None, loss: 0.0, sent_packets: 0 }
    }

    pub(crate) fn start(&mut self, now: Instant) {
        self.next_at = Some(now + FIRST);
    }

    pub(crate) const fn stop(&mut self) {
        self.next_at = None;
    }

    pub(crate) const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    pub(crate) const fn remote(&self) -> Option<RemoteReport> {
        self.remote
    }

    fn take(&mut self, block: &Block, clock_hz: u32, epoch: Instant, now: Instant) {
        let loss = f32::from(block.fraction_lost) / 256.0;
        let weight = if loss > self.loss { 0.5 } else { 0.25 };
        self.loss += (loss - self.loss) * weight;
        // RFC 3550 §6.4.1: round trip = now − our report's time − the far end's delay.
        let round_trip = NtpTime::at(epoch, now).middle().wrapping_sub(block.last_report).wrapping_sub(block.delay);
        let rtt_ms = round_trip as f32 * 1_000.0 / 65_536.0;
        let known = block.last_report != 0 && rtt_ms < RTT_MAX_MS;
        self.remote = Some(RemoteReport {
            loss_ratio: loss,
            lost: u32::try_from(block.lost).unwrap_or(0),
            jitter_ms: block.jitter_ticks as f32 * 1_000.0 / clock_hz as f32,
            rtt_ms: if known { Some(rtt_ms) } else { self.remote.and_then(|remote| remote.rtt_ms) },
        });
    }
}

impl Bridge {
    /// An RTCP packet came.
    ///
    /// # Errors
    /// Says why it was dropped; the call goes on.
    pub fn handle_rtcp(&mut self, from: Side, packet: &[u8], now: Instant) -> Result<(), PacketError> {
        let index = from.index();
        let Some(plan) = self.egress[index].plan else { return Err(PacketError::NoLeg) };
        let reports = &mut self.reports[index];
        let epoch = self.epoch;
        let mut reported = false;
        rtcp::read(packet, |item| match item {
            Item::Sender { ntp, .. } => reports.heard = Some((ntp.middle(), now)),
            Item::Block(block) if block.about == plan.ssrc => {
                reports.take(&block, plan.clock_hz(), epoch, now);
                reported = true;
            }
            Item::Block(_) => {}
        })
        .map_err(|rtcp::NotRtcp| PacketError::Rtcp)?;
        self.ingress[index].rtcp_at = Some(now);
        if reported {
            self.adapt(from);
        }
        Ok(())
    }

    /// Tells the Opus coder how its packets fare: more redundancy with loss, and a lower rate where loss is so high
    /// that the line itself may be too narrow.
    fn adapt(&mut self, to: Side) {
        let loss = self.reports[to.index()].loss;
        let egress = &mut self.egress[to.index()];
        let (Some(plan), Some(encoder)) = (egress.plan, egress.encoder.as_mut()) else { return };
        if plan.codec == CodecKind::Opus {
            let full = opus::bitrate(encoder.rate_hz(), &plan.opus);
            encoder.set_loss_percent((loss * 100.0).ceil() as u8);
            encoder.set_bitrate(match loss {
                0.2.. => full / 10 * 7,
                0.1.. => full / 20 * 17,
                _ => full,
            });
        }
    }

    /// Sends a report when it is due.
    pub(super) fn report(&mut self, to: Side, now: Instant) {
        let index = to.index();
        let egress = &self.egress[index];
        let reports = &mut self.reports[index];
        let (Some(plan), Some(_)) = (egress.plan, reports.next_at.filter(|at| now >= *at)) else { return };
        let spread = self.random.random_range(INTERVAL_MS);
        reports.next_at = Some(now + Duration::from_millis(spread));
        let sent_lately = egress.stats.packets > reports.sent_packets;
        reports.sent_packets = egress.stats.packets;
        let sender = sent_lately.then(|| SenderInfo {
            ntp: NtpTime::at(self.epoch, now),
            time: egress.media_time(now),
            packets: egress.stats.packets as u32, // wraps, as the field does
            bytes: egress.stats.bytes as u32,
        });
        let echo = reports.heard.map(|(middle, at)| {
            let elapsed = now.saturating_duration_since(at);
            let delay = (elapsed.as_millis().min(60_000_000) * 65_536 / 1_000) as u32;
            Echo { middle, delay }
        });
        let reception = self.ingress[index].receiver.report().map(|reception| (reception, echo));
        let mut bytes = [0; rtcp::COMPOUND_BYTES_MAX];
        let length = rtcp::write(plan.ssrc, sender, reception, &reports.name, &mut bytes);
        if !self.outbox.push(to, PacketKind::Rtcp, &[&bytes[..length]]) {
            self.egress[index].stats.overflow += 1;
        }
    }
}

/// How the sound received from a leg was.
pub(crate) fn score(codec: CodecKind, stats: &StreamStats, expected: u64, remote: Option<RemoteReport>) -> f32 {
    let missing = stats.lost.saturating_sub(stats.recovered);
    let loss_ratio = if expected == 0 { 0.0 } else { missing as f32 / expected as f32 };
    let rtt_ms = remote.and_then(|remote| remote.rtt_ms).unwrap_or(0.0);
    // Half the round trip, a frame at the source, and a jitter buffer of twice the jitter, at least one frame.
    let delay_ms = rtt_ms / 2.0 + 20.0 + (2.0 * stats.jitter_ms).max(20.0);
    mos::mos(&Conditions { codec, loss_ratio, burst_ratio: 1.0, delay_ms })
}
