//! Signalling: RFC 3261 and friends as state machines over its own messages.
//!
//! | file | what it is for |
//! |---|---|
//! | `wire` | octets to messages and back: limits, unfolding, framing of a TCP stream |
//! | `message`, `uri`, `values` | requests, responses, headers and the values inside them |
//! | `check` | what a user agent server refuses before it looks at the meaning (§8.2) |
//! | `headers` | the tags that ride on a call, and cleaning of text from a page |
//! | `digest` | 401/407 challenges and answers (RFC 7616, RFC 8760) |
//! | `endpoint` | `Endpoint`: routes octets to transactions, calls, the registrar; what the driver talks to |
//! | `transaction` | the four machines of §17 with RFC 6026 |
//! | `dialog`, `invite` | dialogs and calls: routes, order, ACK, CANCEL, BYE, re-INVITE and its glare |
//! | `registrar`, `registration` | who registers here; where we register |
//! | `timer`, `error` | named deadlines; refusals and failures |
//!
//! Nothing here reads a clock, a socket or the environment.

pub mod check;
pub mod digest;
mod dialog;
pub mod endpoint;
pub mod error;
pub mod headers;
mod invite;
pub mod message;
mod registrar;
mod registration;
pub mod timer;
mod transaction;
pub mod uri;
pub mod values;
pub mod wire;

pub use check::{Abilities, Rejection, check_request};
pub use endpoint::{
    Account, Binding, CallRef, EndedBy, Endpoint, EndpointConfig, Flow, IncomingInvite, Invite, Ledger, Local,
    ProbeRef, Refusal, RegistrationConfig, RegistrationRef, RegistrationState, SipEvent, Target, Transmit,
    Transport, UnboundWhy,
};
pub use error::{Failure, Reason, SipError};
pub use message::{HeaderName, Headers, Message, Method, Request, Response};
pub use timer::{Timer, Timers};
pub use uri::{Host, Params, Scheme, Uri};
pub use values::{CSeq, Contacts, NameAddr, ValueError, Via};
pub use wire::{Limits, ParseError, ParseReason, StreamFramer, parse_datagram};
