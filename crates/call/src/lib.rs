//! Legs and bridges: the B2BUA as one state table.
//!
//! A [`Call`] has a first leg (who asked for it) and candidates for the second (who should answer),
//! tried in order. It hears [`LegEvent`]s, says [`LegCommand`]s and [`BridgeCommand`]s, and ends
//! every call exactly once with one [`CallRecord`], whatever the legs do:
//!
//! ```text
//!   New ─► Opening ─► Ringing ─► Bridged ◄─► Held
//!             │          │          │  ▲       │ ▲
//!             │          │          │  └───┬───┼─┘
//!             │          │          ├──► Transferring
//!             └──────────┴─────┬────┴──────────┘
//!                              ▼
//!                           Ending ─► Ended
//! ```
//!
//! It never knows SIP, WebRTC, JSON, a codec, a socket or the time of day by itself. After every
//! `handle_*`, `hang_up` or `withdraw` drain [`Call::poll_command`] and [`Call::poll_event`] until
//! `None`, then sleep until [`Call::poll_timeout`].

mod call;
mod cause;
mod command;
mod event;
mod handover;
mod id;
mod leg;
mod orders;
mod pii;
mod record;
mod spec;
mod tags;
mod time;
mod timer;

pub use call::{Call, State};
pub use cause::{HangupCause, Party};
pub use command::{BridgeCommand, CallCommand, LegCommand};
pub use event::{BridgeEvent, CallEvent, Digit, LegEvent, Transfer};
pub use id::{BadCallId, CallId, LegId, QueueId, TenantId, TrunkId};
pub use leg::{LegKind, LegQuality};
pub use pii::Pii;
pub use record::{CallRecord, LegRecord, Talked};
pub use spec::{CallSpec, LegSpec, MAX_CANDIDATES, Plan};
pub use tags::{CallTags, TagsDraft, clean};
pub use time::Now;
pub use timer::Timer;
