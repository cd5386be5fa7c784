//! What stands behind each leg of a call task, and small translations at its edge.

use std::net::IpAddr;

use call::{Digit, LegQuality};
use media::codec::CodecKind;
use media::packet::Ssrc;
use media::sdp::{SdpConfig, Secure};
use media::stats::LegStats;
use media::tone::Country;
use sip::message::HeaderName;
use tokio::sync::mpsc;
use web::backend::VisitorUpdate;

use crate::clock;
use crate::config::checked::Codec;
use crate::drive::sip::{Incoming, SipLeg};

/// What carries a leg.
pub(crate) enum LegIo {
    /// The visitor's page.
    Visitor { updates: mpsc::Sender<VisitorUpdate> },
    /// A SIP phone or a trunk.
    Phone(Box<Phone>),
    /// An agent's pages: all that ring, or the one that has taken the call.
    Console { extension: String, taken_by: Option<u64> },
    /// Not opened, or gone.
    None,
}

impl LegIo {
    /// Did we order its end?
    pub(crate) fn was_ended(&self) -> bool {
        match self {
            Self::Phone(phone) => phone.ended,
            Self::Visitor { .. } | Self::Console { .. } | Self::None => false,
        }
    }

    /// May this page of this agent speak for the leg?
    pub(crate) fn is_console_of(&self, wanted: &str, page: u64) -> bool {
        match self {
            Self::Console { extension, taken_by } => extension == wanted && taken_by.is_none_or(|taker| taker == page),
            Self::Visitor { .. } | Self::Phone(_) | Self::None => false,
        }
    }
}

/// A SIP leg as its call sees it.
pub(crate) struct Phone {
    pub(crate) leg: Option<SipLeg>,
    /// Its Call-ID.
    pub(crate) call_id: String,
    /// Our side of its SDP; the version grows with each description.
    pub(crate) sdp: SdpConfig,
    /// Its offer, while it waits for our answer.
    pub(crate) offer: Option<Vec<u8>>,
    /// Where its signalling comes from.
    pub(crate) remote: IpAddr,
    /// It holds us.
    pub(crate) held: bool,
    /// An offer and its answer have met.
    pub(crate) agreed: bool,
    /// We ordered its end.
    ended: bool,
}

impl Phone {
    /// A leg we invite.
    pub(crate) fn we_call(leg: SipLeg, call_id: String, sdp: SdpConfig) -> Self {
        let remote = sdp.address;
        Self { leg: Some(leg), call_id, sdp, offer: None, remote, held: false, agreed: false, ended: false }
    }

    /// A leg that called us.
    pub(crate) fn called_us(incoming: Incoming) -> Self {
        let sdp = SdpConfig {
            address: incoming.local,
            rtp_port: 0,
            codecs: Vec::new(),
            ssrc: Ssrc(0),
            session_id: clock::unix_ms(),
            version: 1,
            dtmf: true,
            ptime_ms: 20,
            secure: Secure::default(),
        };
        Self {
            leg: Some(incoming.leg),
            call_id: incoming.headers.get(&HeaderName::CallId).unwrap_or_default().to_owned(),
            sdp,
            offer: incoming.sdp,
            remote: incoming.remote,
            held: false,
            agreed: false,
            ended: false,
        }
    }

    /// Marks it as ended by us; gives the leg to hang up the first time.
    pub(crate) fn end(&mut self) -> Option<SipLeg> {
        let first = !self.ended;
        self.ended = true;
        self.leg.filter(|_| first)
    }
}

/// A configured codec in the media room's words.
pub(crate) fn codec(codec: Codec) -> CodecKind {
    match codec {
        Codec::Opus => CodecKind::Opus,
        Codec::G722 => CodecKind::G722,
        Codec::Pcma => CodecKind::Pcma,
        Codec::Pcmu => CodecKind::Pcmu,
    }
}

/// Whose ring-back tone a visitor knows, by the language of his page.
pub(crate) fn country(language: &str) -> Country {
    let language = language.to_ascii_lowercase();
    if language.starts_with("en-us") || language.starts_with("en-ca") {
        Country::UnitedStates
    } else if language.starts_with("en") {
        Country::UnitedKingdom
    } else {
        Country::France
    }
}

/// A leg's figures for the record.
#[expect(clippy::cast_precision_loss, reason = "a ratio for a person")]
pub(crate) fn quality(stats: &LegStats) -> LegQuality {
    let expected = stats.received.packets + stats.received.lost;
    let heard = stats.received.packets > 0;
    LegQuality {
        loss_in: (expected > 0).then(|| stats.received.lost as f32 / expected as f32),
        loss_out: stats.remote.map(|remote| remote.loss_ratio),
        jitter_in_ms: heard.then_some(stats.received.jitter_ms),
        jitter_out_ms: stats.remote.map(|remote| remote.jitter_ms),
        rtt_ms: stats.remote.and_then(|remote| remote.rtt_ms),
        mos: stats.mos,
        packets_in: stats.received.packets,
        packets_out: stats.sent.packets,
    }
}

/// The key in an INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
pub(crate) fn info_digit(content_type: &str, body: &[u8]) -> Option<Digit> {
    let text = std::str::from_utf8(body.get(..body.len().min(256))?).ok()?;
    let key = match content_type {
        "application/dtmf-relay" => text
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("signal"))
            .and_then(|(_, value)| value.trim().chars().next()),
        "application/dtmf" => text.trim().chars().next(),
        _ => None,
    }?;
    Digit::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_both_kinds_of_info() {
        let key = |content_type, body: &str| info_digit(content_type, body.as_bytes()).map(Digit::key);
        assert_eq!(key("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(key("application/dtmf-relay", "Duration=160\r\nsignal = #"), Some('#'));
        assert_eq!(key("application/dtmf", " 9 "), Some('9'));
        assert_eq!(key("application/dtmf", ""), None);
        assert_eq!(key("text/plain", "5"), None);
        assert_eq!(info_digit("application/dtmf", &[0xff; 4]), None);
    }

    #[test]
    fn the_ring_back_follows_the_language_of_the_page() {
        assert_eq!(country("fr-FR"), Country::France);
        assert_eq!(country("en-US"), Country::UnitedStates);
        assert_eq!(country("en"), Country::UnitedKingdom);
        assert_eq!(country(""), Country::France);
    }
}
