//! The packet path: one RTP packet in, what it gives out, in the same call.

use super::{Bridge, COVER_AFTER, COVER_AFTER_DTX, MediaEvent, PacketError, Side};
use crate::codec::{CodecKind, opus};
use crate::egress::{Egress, Gap, Origin};
use crate::ingress::{CONCEAL_MAX, Ingress, Payload, Step, payload_ticks};
use crate::outbox::Outbox;
use crate::packet::RtpView;
use crate::reorder::{Limit, Place};
use std::time::{Duration, Instant};

/// How long the far end of an Opus relay may be left to its own comfort noise: DTX sends a packet every 400 ms.
const COVER_AFTER_OPUS_DTX: Duration = Duration::from_secs(1);

impl Bridge {
    /// An RTP packet came.
    ///
    /// # Errors
    /// Says why it was dropped; the call goes on.
    pub fn handle_rtp(&mut self, from: Side, packet: &[u8], now: Instant) -> Result<(), PacketError> {
        let ingress = &mut self.ingress[from.index()];
        if !ingress.has_plan() {
            return Err(PacketError::NoLeg);
        }
        let view = RtpView::parse(packet).map_err(|error| {
            ingress.receiver.count_refused();
            PacketError::Header(error)
        })?;
        let Some(payload) = ingress.payload(view.payload_type) else {
            ingress.receiver.count_refused();
            return Err(PacketError::UnknownPayloadType(view.payload_type));
        };
        let sound = matches!(payload, Payload::Sound(_));
        let first = ingress.receiver.last_at().is_none();
        let accepted = ingress.receiver.accept(&view, payload.clock_hz(), sound, now)?;
        let resumed = ingress.watch.heard(now);
        if first {
            self.tell(MediaEvent::FirstPacket { from });
        } else if resumed {
            self.tell(MediaEvent::Resumed { from });
        }
        self.release_overdue(from, now);
        self.route(from, packet, &view, payload, accepted.generation, now)
    }

    fn route(
        &mut self,
        from: Side,
        packet: &[u8],
        view: &RtpView<'_>,
        payload: Payload,
        generation: u32,
        now: Instant,
    ) -> Result<(), PacketError> {
        let target = self.target(from);
        let ingress = &mut self.ingress[from.index()];
        let open = target.is_some_and(|target| self.egress[target.index()].open());
        if !open {
            // Nobody to hear it; a digit is still told.
            ingress.broken = true;
            ingress.generation = generation;
            if let Payload::Sound(codec) = payload {
                ingress.codec = Some(codec);
            }
            if let Payload::Event { clock_hz } = payload {
                self.digit(from, view, generation, clock_hz, now);
            }
            return Ok(());
        }
        ingress.enter(generation);
        let direct = match (payload, target) {
            (Payload::Sound(codec), Some(target)) => self.egress[target.index()].relays(codec, view.payload),
            (Payload::Event { .. } | Payload::ComfortNoise | Payload::Sound(_), _) => !ingress.ordered,
        };
        if direct {
            if self.ingress[from.index()].ordered {
                self.release(from, Limit::All, now);
                self.ingress[from.index()].reorder.reset();
            }
            self.ingress[from.index()].ordered = false;
            return self.pass(from, view, 0, true, now);
        }
        self.ingress[from.index()].ordered = true;
        match self.ingress[from.index()].reorder.place(view.seq, packet, now) {
            Place::Held => Ok(()),
            Place::Late => {
                self.ingress[from.index()].receiver.count_late();
                Err(PacketError::Late)
            }
            Place::Turn { missing } => {
                if missing > 0 {
                    self.release(from, Limit::Before(view.seq), now);
                }
                let result = self.take_turn(from, view, now);
                self.release(from, Limit::Turn, now);
                result
            }
        }
    }

    /// Who hears a side.
    fn target(&self, from: Side) -> Option<Side> {
        if self.echo[from.index()] { Some(from) } else { self.connected.then(|| from.other()) }
    }

    fn take_turn(&mut self, from: Side, view: &RtpView<'_>, now: Instant) -> Result<(), PacketError> {
        let ingress = &mut self.ingress[from.index()];
        let missing = ingress.reorder.missing_before(view.seq);
        ingress.reorder.passed(view.seq);
        self.pass(from, view, missing, false, now)
    }

    /// Lets held packets go whose wait is over.
    pub(super) fn release_overdue(&mut self, from: Side, now: Instant) {
        if self.ingress[from.index()].reorder.deadline().is_some_and(|deadline| now >= deadline) {
            self.release(from, Limit::All, now);
        }
    }

    fn release(&mut self, from: Side, limit: Limit, now: Instant) {
        while let Some(bytes) = self.ingress[from.index()].reorder.take(limit) {
            if let Ok(view) = RtpView::parse(&bytes) {
                // A held packet that cannot be decoded was concealed and counted; there is nobody left to tell.
                self.take_turn(from, &view, now).unwrap_or_default();
            }
            self.ingress[from.index()].reorder.give_back(bytes);
        }
    }

    /// One packet in its turn.
    fn pass(
        &mut self,
        from: Side,
        view: &RtpView<'_>,
        missing: u16,
        direct: bool,
        now: Instant,
    ) -> Result<(), PacketError> {
        let Some(target) = self.target(from) else { return Ok(()) };
        let ingress = &mut self.ingress[from.index()];
        let egress = &mut self.egress[target.index()];
        let generation = ingress.generation;
        let origin = Origin { from, generation, break_count: ingress.break_count };
        match ingress.payload(view.payload_type) {
            None => Err(PacketError::UnknownPayloadType(view.payload_type)),
            Some(Payload::ComfortNoise) => {
                egress.consumed(view.seq, origin);
                egress.announce_silence(COVER_AFTER_DTX, now);
                Ok(())
            }
            Some(Payload::Event { clock_hz }) => {
                ingress.missing = ingress.missing.saturating_add(missing);
                egress.consumed(view.seq, origin);
                self.digit(from, view, generation, clock_hz, now);
                Ok(())
            }
            Some(Payload::Sound(codec)) => {
                ingress.codec = Some(codec);
                if view.payload.is_empty() {
                    egress.consumed(view.seq, origin); // a keep-alive (RFC 6263 §4.1)
                    return Ok(());
                }
                let missing = missing.saturating_add(std::mem::take(&mut ingress.missing));
                let mut path = Path { ingress, egress, outbox: &mut self.outbox, pcm: &mut self.pcm, origin, now };
                if direct { path.relay(view, codec) } else { path.follow(view, codec, missing) }
            }
        }
    }

    /// A telephone-event packet: told once it ended, passed on at once.
    fn digit(&mut self, from: Side, view: &RtpView<'_>, generation: u32, clock_hz: u32, now: Instant) {
        let digits = &mut self.ingress[from.index()].digits;
        let reading = digits.read(view.payload, view.time, generation, clock_hz, now);
        let ended = digits.pressed();
        if let Some(press) = reading.cut_short {
            self.tell(MediaEvent::Digit { from, digit: press.digit, duration_ms: press.duration_ms });
        }
        let Some(progress) = reading.progress else { return };
        if progress.phase == crate::dtmf::Phase::Ended
            && let Some(press) = ended
        {
            self.tell(MediaEvent::Digit { from, digit: press.digit, duration_ms: press.duration_ms });
        }
        // An echo does not press keys.
        if self.connected && !self.echo[from.index()] {
            self.egress[from.other().index()].forward_digit(&progress, now, &mut self.outbox);
        }
    }
}

/// The way of one sound packet from one leg to another (or back, for an echo).
struct Path<'a> {
    ingress: &'a mut Ingress,
    egress: &'a mut Egress,
    outbox: &'a mut Outbox,
    pcm: &'a mut Vec<i16>,
    origin: Origin,
    now: Instant,
}

impl Path<'_> {
    /// Same codec: the payload stays untouched, gaps and order stay as they are.
    fn relay(&mut self, view: &RtpView<'_>, codec: CodecKind) -> Result<(), PacketError> {
        let clock_hz = codec.rtp_clock_hz();
        let Some(ticks) = payload_ticks(codec, view.payload) else {
            self.ingress.receiver.count_refused();
            self.egress.consumed(view.seq, self.origin);
            return Err(PacketError::Undecodable);
        };
        // Any gap may be loss here: what counts is whether the timeline is the same.
        let step = self.ingress.timeline.step(view.time, clock_hz, self.origin.generation, u16::MAX, self.now);
        if !self.egress.relay(view, ticks, self.origin, step.new_timeline, self.now, self.outbox) {
            self.ingress.receiver.count_late();
            return Err(PacketError::Late);
        }
        self.ingress.timeline.passed(view.time, ticks, clock_hz, self.origin.generation, self.now);
        let dtx = codec == CodecKind::Opus && view.payload.len() <= 2;
        self.heard(dtx.then_some(COVER_AFTER_OPUS_DTX));
        Ok(())
    }

    /// In order: sound octets cut anew, or sound decoded and coded.
    fn follow(&mut self, view: &RtpView<'_>, codec: CodecKind, missing: u16) -> Result<(), PacketError> {
        let clock_hz = codec.rtp_clock_hz();
        let generation = self.origin.generation;
        let step = self.ingress.timeline.step(view.time, clock_hz, generation, missing, self.now);
        let same = codec != CodecKind::Opus && self.egress.plan.is_some_and(|plan| plan.codec == codec);
        let (ticks, result) = if same {
            let gap = Gap { pause_ticks: step.pause_ticks, lost_ticks: step.lost_ticks };
            self.egress.rechunk(view.payload, gap, step.new_timeline, self.origin, self.now, self.outbox);
            (view.payload.len() as u32, Ok(()))
        } else {
            self.transcode(view, codec, step, missing)
        };
        self.ingress.timeline.passed(view.time, ticks, clock_hz, generation, self.now);
        let dtx = codec == CodecKind::Opus && view.payload.len() <= 2;
        self.heard(dtx.then_some(COVER_AFTER_DTX));
        result
    }

    /// Fills what is missing, then decodes the packet. Gives the ticks it was worth.
    fn transcode(
        &mut self,
        view: &RtpView<'_>,
        codec: CodecKind,
        step: Step,
        missing: u16,
    ) -> (u32, Result<(), PacketError>) {
        let clock_hz = codec.rtp_clock_hz();
        let usual_ticks = self.ingress.timeline.last_ticks(clock_hz);
        // After comfort noise or a prompt the clock has gone on by itself: what is missing before is no gap any more.
        let changed = self.egress.begin_decoded(self.origin, step.new_timeline, self.now);
        let step = if changed { Step::default() } else { step };
        let made_max = (clock_hz / 1_000) * CONCEAL_MAX.as_millis() as u32;
        let made = step.lost_ticks.min(made_max);
        // The last part of a long loss is made up: that next to the packet can be restored from it.
        let gap = Gap {
            pause_ticks: self.to_egress(step.pause_ticks, clock_hz),
            lost_ticks: self.to_egress(step.lost_ticks - made, clock_hz),
        };
        self.egress.leave_gap(gap, self.now, self.outbox);
        if made > 0 {
            let recovered = codec == CodecKind::Opus && opus::carries_fec(view.payload);
            self.conceal(codec, made, Some(view.payload));
            let packets = u64::from((made / usual_ticks.max(1)).clamp(1, u32::from(missing.max(1))));
            self.ingress.receiver.count_concealed(packets, u64::from(recovered));
        }
        let Some(decoder) = self.ingress.decoder(codec) else { return (usual_ticks, Ok(())) };
        let rate_hz = decoder.rate_hz();
        match decoder.decode(view.payload, self.pcm) {
            Ok(count) => {
                self.egress.push_sound(&self.pcm[..count], rate_hz, self.now, self.outbox);
                ((count as u64 * u64::from(clock_hz) / u64::from(rate_hz)) as u32, Ok(()))
            }
            Err(_) => {
                self.ingress.receiver.count_refused();
                self.ingress.receiver.count_concealed(1, 0);
                self.conceal(codec, usual_ticks.min(made_max), None);
                (usual_ticks, Err(PacketError::Undecodable))
            }
        }
    }

    fn conceal(&mut self, codec: CodecKind, ticks: u32, next: Option<&[u8]>) {
        let Some(decoder) = self.ingress.decoder(codec) else { return };
        let rate_hz = decoder.rate_hz();
        let count = (u64::from(ticks) * u64::from(rate_hz) / u64::from(codec.rtp_clock_hz())) as usize;
        let count = count.min(self.pcm.len());
        let made = &mut self.pcm[..count];
        decoder.conceal(next, made);
        self.egress.push_sound(made, rate_hz, self.now, self.outbox);
    }

    fn to_egress(&self, ticks: u32, clock_hz: u32) -> u32 {
        let own = self.egress.plan.map_or(clock_hz, |plan| plan.clock_hz());
        u32::try_from(u64::from(ticks) * u64::from(own) / u64::from(clock_hz)).unwrap_or(u32::MAX / 4)
    }

    /// Real sound passed: the cover comes off. A sender that said it will be silent is covered after `announced`.
    fn heard(&mut self, announced: Option<Duration>) {
        let covered = self.egress.cover.take().is_some();
        let expected = std::mem::take(&mut self.egress.silence_announced);
        if let Some(after) = announced {
            self.egress.announce_silence(after, self.now);
        } else if covered || expected {
            self.egress.cover_at = Some(self.now + COVER_AFTER);
        }
    }
}
