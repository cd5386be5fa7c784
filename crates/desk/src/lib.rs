//! The call centre's judgement, pure: may this visitor talk now, to whom, tagged with what.
//!
//! One [`Desk`] a tenant. It hears requests ([`Desk::talk`], [`Desk::dial`]), the agents' presence
//! and every [`CallEvent`](call::CallEvent) of its calls; it answers with a
//! [`CallSpec`](call::CallSpec) or a [`Refusal`], and says [`DeskCommand`]s. It never does I/O, and
//! time is an argument. After every call drain [`Desk::poll_command`] until `None`, then sleep until
//! [`Desk::poll_timeout`].

mod agent;
mod card;
mod config;
mod desk;
mod hours;
mod limit;
mod live;
mod number;
mod refusal;
mod routing;

pub use agent::{Presence, Seat, Seats};
pub use card::{AgentCard, CallCard};
pub use config::{AgentConfig, CallLimits, DeskConfig, DeskLimits, Queue, QueueTarget};
pub use desk::{Availability, Desk, DeskCommand, TalkRequest, Timer};
pub use hours::{Hours, HoursError, Opening};
pub use number::{
    Explanation, Misspelling, Number, NumberKind, NumberPolicy, NumberPolicyConfig, NumberPolicyError, NumberRefusal,
    Rule,
};
pub use refusal::{Bound, Refusal};
