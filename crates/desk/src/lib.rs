//! The call centre's judgement, pure: may this visitor talk now, to whom, tagged with what.
//!
//! One [`Desk`] a tenant. It hears requests ([`Desk::talk`], [`Desk::dial`]), the agents' presence
//! and every [`CallEvent`](call::CallEvent) of its calls; it answers with a
//! [`CallSpec`](call::CallSpec) or a [`Refusal`], and says [`DeskCommand`]s. It never does I/O, and
//! time is an argument. After every call drain [`Desk::poll_command`] until `None`, then sleep until
//! [`Desk::poll_timeout`].
//!
//! Beside the desk stands what a call-back needs to know of time: [`Hours`] with holidays and exceptions, the
//! [`Slots`] within them, the moment a visitor [`Wanted`], and the [`CallingHours`] in which he may be rung. None of
//! them keeps anything; the same question has the same answer. [`simulate`] plays an [`Order`] on given arrivals.

mod agent;
mod calendar;
mod callback;
mod card;
mod config;
mod day;
mod desk;
mod email;
mod holidays;
mod hours;
mod limit;
mod live;
mod load;
mod number;
mod price;
mod quiet;
mod refusal;
mod routing;
pub mod simulate;
mod slots;
mod spread;
mod wait;
mod when;
mod zone;

pub use agent::{Presence, Seat, Seats};
pub use callback::{
    Attempt, AttemptEnd, AttemptLegs, Callback, CallbackId, CallbackParts, CallbackState, CancelledBy, Care, Consent,
    Deed, FailReason, LeftBehind, Note, Order, OutOfTurn, Outcome, PRIORITY_MAX, Purpose, RetryRules, Satisfaction,
    Waiting, Wish, is_disposition,
};
pub use card::{AgentCard, CallCard};
pub use config::{AgentConfig, CallLimits, DeskConfig, DeskLimits, Queue, QueueTarget};
pub use day::{Day, DaySpan, NoSuchDay};
pub use desk::{Availability, CallbackTurn, Desk, DeskCommand, TalkRequest, Timer};
pub use email::{BadEmail, Email};
pub use holidays::{Holiday, Holidays};
pub use hours::{Because, DayPlan, Hours, HoursError, Opening};
pub use load::Load;
pub use number::{
    Explanation, Misspelling, Number, NumberKind, NumberPolicy, NumberPolicyConfig, NumberPolicyError, NumberRefusal,
    Rule,
};
pub use price::Prices;
pub use quiet::CallingHours;
pub use refusal::{Bound, Refusal};
pub use routing::LastAgent;
pub use slots::{BadSlotRule, SeatRule, Slot, SlotPage, SlotRefusal, SlotRules, Slots, Taken};
pub use spread::Spread;
pub use wait::{Calibration, Handling, Queued, Wait};
pub use when::{Promise, Wanted, WhenError};
pub use zone::{Occurrence, UnknownZone, Zone};
