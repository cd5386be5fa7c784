//! What happens by the clock: made sound, held packets, digits, cover, silence, reports.

use super::{Bridge, COVER_AFTER, HOLD_KEEP_ALIVE, MediaEvent, Side, Timer};
use crate::play::{Player, Source};
use crate::stats::SilenceReport;
use rand::Rng;
use std::time::Instant;

impl Bridge {
    /// The deadline of [`Self::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for side in Side::BOTH {
            self.release_overdue(side, now);
            self.give_up_digit(side, now);
            self.egress[side.index()].tick_digits(now, &mut self.outbox);
            self.tick_player(side, now);
            self.cover(side, now);
            self.check_silence(side, now);
            self.report(side, now);
        }
    }

    /// When to call [`Self::handle_timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        Side::BOTH
            .into_iter()
            .flat_map(|side| {
                let ingress = &self.ingress[side.index()];
                let egress = &self.egress[side.index()];
                let tick = egress.player.as_ref().or(egress.cover.as_ref()).map(Player::next_at);
                [
                    tick.map(|at| (at, Timer::Tick)),
                    ingress.reorder.deadline().map(|at| (at, Timer::Reorder)),
                    ingress.digits.deadline().map(|at| (at, Timer::Digit)),
                    egress.digits.deadline().map(|at| (at, Timer::Digit)),
                    egress.cover_at.filter(|_| tick.is_none()).map(|at| (at, Timer::Cover)),
                    ingress.watch.check_at.map(|at| (at, Timer::Silence)),
                    self.reports[side.index()].next_at().map(|at| (at, Timer::Rtcp)),
                ]
            })
            .flatten()
            .min()
    }

    fn give_up_digit(&mut self, from: Side, now: Instant) {
        let Some(press) = self.ingress[from.index()].digits.handle_timeout(now) else { return };
        self.tell(MediaEvent::Digit { from, digit: press.digit, duration_ms: press.duration_ms });
        self.egress[from.other().index()].end_forwarded(now, &mut self.outbox);
    }

    fn tick_player(&mut self, to: Side, now: Instant) {
        let egress = &mut self.egress[to.index()];
        let Some(mut player) = egress.player.take() else { return };
        let mut more = true;
        while more && player.tick(egress.frame_duration(), now) {
            more = egress.play_frame(&mut player, &mut self.pcm, now, &mut self.outbox);
        }
        if more {
            egress.player = Some(player);
        } else {
            self.tell(MediaEvent::PlayDone { to });
            self.watch_silence_towards(to, now);
        }
    }

    /// A leg to which nothing goes hears that the line is alive; a held one gets a sign of life now and then.
    fn cover(&mut self, to: Side, now: Instant) {
        let egress = &mut self.egress[to.index()];
        if let Some(mut cover) = egress.cover.take() {
            while cover.tick(egress.frame_duration(), now) {
                egress.play_frame(&mut cover, &mut self.pcm, now, &mut self.outbox);
            }
            egress.cover = Some(cover);
            return;
        }
        if egress.player.is_some() || egress.cover_at.is_none_or(|at| now < at) {
            return;
        }
        if egress.held {
            let mut noise = Player::new(Source::ComfortNoise, self.random.random(), now);
            egress.play_frame(&mut noise, &mut self.pcm, now, &mut self.outbox);
            egress.cover_at = Some(now + HOLD_KEEP_ALIVE);
            return;
        }
        // The check is not moved with every packet, only when it comes too early.
        let due = egress.stats.last_at.map_or(now, |at| at + COVER_AFTER);
        if now >= due || egress.silence_announced {
            egress.silence_announced = false;
            egress.cover = Some(Player::new(Source::ComfortNoise, self.random.random(), now));
            self.cover(to, now);
        } else {
            egress.cover_at = Some(due);
        }
    }

    fn check_silence(&mut self, from: Side, now: Instant) {
        let ingress = &mut self.ingress[from.index()];
        if let Some(lasting) = ingress.watch.check(now) {
            let rtcp_heard = ingress.rtcp_at.is_some_and(|at| now.saturating_duration_since(at) < lasting);
            self.tell(MediaEvent::Silent { from, report: SilenceReport { lasting, rtcp_heard } });
        }
    }
}
