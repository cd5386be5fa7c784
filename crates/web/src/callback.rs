//! Call-backs as the edge speaks of them: what a page asks, what it is told. Times are RFC 3339 in the visitor's zone.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{SessionInfo, sentence::callback_states};
pub use calendar::{Invitation, calendar_entry};

pub(crate) mod api;
pub(crate) mod calendar;
pub(crate) mod events;
pub(crate) mod hold;

/// A visitor asks to be called. His token and origin are good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackAsk {
    /// The tenant in the token.
    pub tenant: String,
    /// The queue in the token.
    pub queue: String,
    /// The number as typed.
    pub number: String,
    /// Which country a number without a plus is of, as the page guesses.
    pub country: Option<String>,
    /// `asap`, or a date and time (RFC 3339, RFC 9557).
    pub when: String,
    /// His time zone, an IANA name; empty when the page does not know.
    pub tz: String,
    /// What he agreed to: the text's id and its version.
    pub consent: Option<(String, String)>,
    /// Where he wants to be written to, as typed.
    pub email: Option<String>,
    /// The seat he holds, by its name.
    pub hold: Option<String>,
    /// What the shop's server says of him, as the page carries it: to be judged.
    pub customer: Option<String>,
    /// His `Idempotency-Key`.
    pub request_key: Option<String>,
    /// What the page says about itself.
    pub session: SessionInfo,
    /// Where he connects from, behind trusted proxies.
    pub source: IpAddr,
}

/// A call-back promised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackMade {
    /// His key to it.
    pub manage: String,
    /// It was there before: the same request, or the same number of the same visitor.
    pub again: bool,
    /// The number in full, as he may check it.
    pub number: String,
    /// How it stands.
    pub view: CallbackView,
}

/// Another time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackMove {
    /// `asap`, or a date and time.
    pub when: String,
    /// The visitor's time zone; empty when the page does not know.
    pub tz: String,
    /// The seat he holds, by its name.
    pub hold: Option<String>,
}

/// A seat to be held while a form is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HoldAsk {
    /// Who wants it.
    pub by: HoldBy,
    /// The slot's start, a date and time.
    pub start: String,
    /// The visitor's time zone; empty when the page does not know.
    pub tz: String,
    /// The address, or the part of it, that is one place.
    pub place: String,
}

/// Who wants a seat held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HoldBy {
    /// A visitor whose token and origin are good.
    Visitor {
        /// The tenant in the token.
        tenant: String,
        /// The queue in the token.
        queue: String,
        /// The site's own session id; empty when there is none.
        session: String,
    },
    /// Whoever has the key of a call-back and may move it.
    Callback {
        /// Its id.
        id: String,
        /// Its key.
        key: String,
    },
}

/// A seat that is held.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Hold")]
pub struct HoldView {
    /// Its name: whoever knows it may use it or let it go.
    pub hold: String,
    /// The slot's start.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// Until when.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// How long that is, seconds.
    pub held_s: u64,
}

/// How a call-back stands, as its visitor may see it.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "CallbackState")]
pub struct CallbackView {
    /// Its id.
    pub id: String,
    /// Whose site.
    pub tenant: String,
    /// Which queue.
    pub queue: String,
    /// Where it stands.
    #[schemars(extend("enum" = callback_states()))]
    pub state: &'static str,
    /// By whom it was cancelled, why it failed; or that he talked on the site before his turn came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Self::DETAILS))]
    pub detail: Option<&'static str>,
    /// He asked for as soon as possible.
    pub asap: bool,
    /// The promised moment.
    #[schemars(extend("format" = "date-time"))]
    pub promised_at: String,
    /// When the next try is made, while it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub due_at: Option<String>,
    /// His time zone.
    #[schemars(example = "Europe/Paris")]
    pub tz: String,
    /// The site's time zone.
    #[schemars(example = "Europe/Paris")]
    pub zone: String,
    /// The number, masked.
    #[schemars(example = "+33 6 ** ** ** 78")]
    pub number: String,
    /// What was tried.
    pub attempts: Vec<AttemptView>,
    /// He may call it off.
    pub can_cancel: bool,
    /// He may choose another time.
    pub can_move: bool,
    /// The time here.
    #[schemars(extend("format" = "date-time"))]
    pub now: String,
    /// How long it will probably take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitView>,
    /// Grows with each change; the `SEQUENCE` of its calendar entry.
    pub sequence: u64,
    /// The promised moment, milliseconds since 1970.
    #[serde(skip)]
    pub promised_unix_ms: u64,
    /// Nothing will happen any more.
    #[serde(skip)]
    pub is_over: bool,
}

impl CallbackView {
    /// Every `detail` there is.
    pub const DETAILS: &'static [&'static str] =
        &["served", "visitor", "agent", "admin", "recipient", "bad-number", "not-reached", "not-allowed"];
}

/// One try.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Attempt")]
pub struct AttemptView {
    /// When the phone was dialled.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// What came of it; none while it lasts.
    #[schemars(extend("enum" = Self::outcomes_or_null()))]
    pub outcome: Option<&'static str>,
}

impl AttemptView {
    /// Every `outcome` there is.
    pub const OUTCOMES: &'static [&'static str] = &[
        "reached",
        "short-talk",
        "busy",
        "no-answer",
        "voicemail",
        "later",
        "declined",
        "not-me",
        "bad-number",
        "trunk-fault",
        "trunk-refuses",
        "agent-gone",
        "interrupted",
        "in-doubt",
    ];

    fn outcomes_or_null() -> Vec<Option<&'static str>> {
        Self::OUTCOMES.iter().copied().map(Some).chain([None]).collect()
    }
}

/// A range that holds in four cases of ten, seconds.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Wait")]
pub struct WaitView {
    /// Half of those who wait wait no longer.
    pub p50_s: u64,
    /// Nine of ten wait no longer.
    pub p90_s: u64,
}

/// What a queue offers besides talking.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
pub struct CallbackOffer {
    /// It calls back at all.
    pub callback: bool,
    /// As soon as possible is possible.
    pub callback_now: bool,
    /// Else why not, if it is not the hour: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Self::REASONS))]
    pub callback_reason: Option<&'static str>,
    /// When it opens, if it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub opens_at: Option<String>,
    /// How long it would probably take now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitView>,
    /// It confirms by mail to whoever gives an address.
    pub email: bool,
}

impl CallbackOffer {
    /// Every `callback_reason` there is.
    pub const REASONS: &'static [&'static str] = &["paused", "asap_full"];
}

/// Which slots a page wants to show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotsAsk {
    /// Whose site.
    pub tenant: String,
    /// Which queue.
    pub queue: String,
    /// In whose zone they are told; the site's own when empty.
    pub tz: String,
    /// From this moment on; now when empty.
    pub from: String,
    /// Before this moment; as far as may be chosen when empty.
    pub to: String,
    /// The asker's own hold, which takes no seat from him; empty when he has none.
    pub hold: String,
}

/// Slots to choose from.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Slots")]
pub struct SlotsView {
    /// The site's zone.
    #[schemars(example = "Europe/Paris")]
    pub zone: String,
    /// The zone the times are told in.
    #[schemars(example = "Europe/Paris")]
    pub tz: String,
    /// The time here.
    #[schemars(extend("format" = "date-time"))]
    pub now: String,
    /// By their start.
    pub slots: Vec<SlotView>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub more_from: Option<String>,
}

/// A slot.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Slot")]
pub struct SlotView {
    /// When it starts.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// When it is over.
    #[schemars(extend("format" = "date-time"))]
    pub end: String,
    /// How many may still choose it.
    pub seats_left: u32,
}
