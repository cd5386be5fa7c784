//! What a call tells its ladder: the news of its legs in words, beside the SIP messages that the driver tells of.

use std::time::{Duration, Instant};

use call::{CallEvent, LegEvent, LegId, LegKind, LegQuality};
use media::bridge::Side;
use media::stats::LegStats;

use super::CallTask;
use super::legs::LegIo;
use crate::clock;
use crate::drive::media::MediaNotice;
use crate::ladder::{Event, LADDER_ENDED};

impl CallTask {
    /// Whose leg it is, without anybody's number.
    pub(super) fn leg_name(&self, leg: LegId) -> String {
        self.call.leg_spec(leg).map_or_else(String::new, |spec| kind_name(&spec.kind))
    }

    /// From now on this Call-ID is a leg of this call.
    pub(super) fn ladder_joins(&self, leg: LegId, call_id: &str) {
        self.context.tap.joins(self.id, leg, call_id.to_owned(), self.leg_name(leg));
    }

    fn ladder_leg(&self, leg: LegId, code: &'static str, words: String) {
        self.context.tap.event(self.id, self.event_of(leg, code, words));
    }

    fn event_of(&self, leg: LegId, code: &'static str, words: String) -> Event {
        Event { code, words, leg: Some(leg), who: Some(self.leg_name(leg)) }
    }

    /// What the call is told of a leg.
    pub(super) fn ladder_event(&mut self, leg: LegId, event: &LegEvent) {
        let on_page = matches!(self.io(leg), LegIo::Visitor { .. } | LegIo::Console { .. });
        let (code, words) = leg_words(event, on_page);
        self.ladder_leg(leg, code, words);
    }

    /// What only the media worker knows.
    pub(super) fn ladder_media(&self, notice: &MediaNotice) {
        let (side, code, words) = match notice {
            MediaNotice::FirstPacket(side) => (side, "first-packet-in", "first packet of its sound".to_owned()),
            MediaNotice::ConsentLost(side) => (side, "consent-lost", "gives no sign of life (ICE consent)".to_owned()),
            MediaNotice::Closed(side) => (side, "media-closed", "closes its sound (DTLS)".to_owned()),
            MediaNotice::Failed(side, why) => (side, "media-failed", format!("its sound fails: {why}")),
            // Told as events of the leg.
            MediaNotice::Connected(_) | MediaNotice::ConsentBack(_) | MediaNotice::Digit(..) => return,
            MediaNotice::PlayDone | MediaNotice::Bug => return,
        };
        self.ladder_side(*side, code, words);
    }

    fn ladder_side(&self, side: Side, code: &'static str, words: String) {
        if let Some(leg) = self.leg_of(side) {
            self.ladder_leg(leg, code, words);
        }
    }

    /// The first packet that went to a leg, known when its figures are taken.
    pub(super) fn ladder_sent(&self, leg: LegId, stats: &LegStats) {
        if let Some(first) = stats.sent.first_at {
            let at_us = unix_us_of(first);
            let event = self.event_of(leg, "first-packet-out", "first packet of sound to it".to_owned());
            self.context.tap.event_at(at_us, self.id, event);
        }
    }

    /// What the call says of itself.
    pub(super) fn ladder_call(&self, event: &CallEvent) {
        let (code, words) = match event {
            CallEvent::State(state) => ("state", format!("the call is {}", state.code())),
            CallEvent::Ended(record) => (LADDER_ENDED, {
                let (cause, by) = (record.cause.code(), record.hung_up_by.code());
                format!("{cause}, by {by}, waited {} ms, talked {} ms", record.wait_ms, record.talk_ms)
            }),
            // Told as events of their legs.
            CallEvent::Trying { .. }
            | CallEvent::Ringing { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Held { .. }
            | CallEvent::Digit { .. }
            | CallEvent::Transfer { .. } => return,
        };
        self.context.tap.event(self.id, Event { code, words, leg: None, who: None });
    }
}

fn kind_name(kind: &LegKind) -> String {
    match kind {
        LegKind::Browser => "visitor".to_owned(),
        LegKind::Agent { extension } => format!("agent {extension}"),
        LegKind::Trunk { trunk, .. } => trunk.0.clone(),
    }
}

fn leg_words(event: &LegEvent, on_page: bool) -> (&'static str, String) {
    let plain = |code: &'static str, words: &str| (code, words.to_owned());
    match event {
        LegEvent::MediaUp if on_page => plain("media-up", "connected: ICE and DTLS done"),
        LegEvent::MediaUp => plain("media-up", "sound can flow"),
        LegEvent::Ringing => plain("ringing", "rings"),
        LegEvent::EarlyMedia => plain("early-media", "sends sound before the answer"),
        LegEvent::Answered => plain("answered", "answers"),
        LegEvent::Refused(cause) => ("refused", format!("does not come: {}", cause.code())),
        LegEvent::Gone { cause } => ("gone", format!("leaves: {}", cause.code())),
        LegEvent::Ended => plain("leg-ended", "is let go"),
        LegEvent::Held(true) => plain("held", "puts the call on hold"),
        LegEvent::Held(false) => plain("resumed", "takes the call back from hold"),
        // Which one may be part of a card's number.
        LegEvent::Digit(_) => plain("digit", "presses a key"),
        LegEvent::MediaLost => plain("media-lost", "is not heard any more"),
        LegEvent::MediaBack => plain("media-back", "is heard again"),
        LegEvent::Codec(codec) => ("codec", format!("codec {codec}")),
        LegEvent::Quality(quality) => ("quality", quality_words(quality)),
    }
}

fn quality_words(quality: &LegQuality) -> String {
    let share = |share: Option<f32>| share.map_or_else(|| "?".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let figure = |figure: Option<f32>| figure.map_or_else(|| "?".to_owned(), |figure| format!("{figure:.1}"));
    format!(
        "loss in/out {}/{}, jitter {}/{} ms, round trip {} ms, MOS {}, packets {}/{}",
        share(quality.loss_in),
        share(quality.loss_out),
        figure(quality.jitter_in_ms),
        figure(quality.jitter_out_ms),
        figure(quality.rtt_ms),
        figure(quality.mos),
        quality.packets_in,
        quality.packets_out,
    )
}

fn unix_us_of(at: Instant) -> u64 {
    let ago: Duration = clock::now().saturating_duration_since(at);
    clock::unix_us().saturating_sub(u64::try_from(ago.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use call::{Digit, HangupCause};

    use super::*;

    #[test]
    fn no_words_tell_which_key_was_pressed() {
        let (_, words) = leg_words(&LegEvent::Digit(Digit::TAKES), true);
        assert_eq!(words, "presses a key");
    }

    #[test]
    fn a_legs_end_tells_why_and_its_figures_are_for_people() {
        assert_eq!(leg_words(&LegEvent::Refused(HangupCause::Busy), false).1, "does not come: busy");
        let quality =
            LegQuality { loss_in: Some(0.015), jitter_in_ms: Some(3.21), mos: Some(4.36), ..LegQuality::default() };
        assert_eq!(
            leg_words(&LegEvent::Quality(quality), false).1,
            "loss in/out 1.5 %/?, jitter 3.2/? ms, round trip ? ms, MOS 4.4, packets 0/0"
        );
    }
}
