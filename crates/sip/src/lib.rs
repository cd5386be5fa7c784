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
//! | `dialog`, `invite` | dialogs and calls: routes, order, ACK, CANCEL, BYE, re-INVITE and its glare, session timers, PRACK, REFER |
//! | `orphan` | a dead process's call, ended from another one, and what became of it |
//! | `registrar`, `registration` | who registers here; where we register |
//! | `target` | where a trunk's requests go: RFC 3263, health of each target, which comes next, caps |
//! | `timer`, `error` | named deadlines; refusals and failures |
//!
//! Nothing here reads a clock, a socket or the environment. What is kept of which RFC, and what is left out on
//! purpose, stands in RFC.md beside this folder: 3261 with 6026, 3262, 3581, 3311, 3326, 3515, 3891, 4028, 6086, 7433, 7616 and 8760 above
//! all.
//!
//! # The poll contract
//! Tell the endpoint one thing at a time (`handle_*` or an order such as `invite`), then drain both queues; wake
//! it again at `poll_timeout`. A driver is this loop:
//! ```
//! use std::net::SocketAddr;
//! use std::time::Instant;
//! use sip::{Endpoint, EndpointConfig, Flow, Local, SipEvent, Transport};
//!
//! let bound: SocketAddr = "127.0.0.1:5060".parse()?;
//! let local = Local { transport: Transport::Udp, bound, advertised: None };
//! let now = Instant::now(); // the driver has the one clock
//! let mut endpoint = Endpoint::new(EndpointConfig::new(vec![local], "example.test", 1), now);
//!
//! let flow = Flow { transport: Transport::Udp, local: bound, remote: "127.0.0.1:5070".parse()? };
//! let datagram = b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
//!     From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
//!     Content-Length: 0\r\n\r\n";
//! endpoint.handle_datagram(flow, datagram, now);
//!
//! let mut answers = 0;
//! while let Some(transmit) = endpoint.poll_transmit() {
//!     assert_eq!(transmit.flow, flow); // send transmit.bytes there
//!     assert!(transmit.bytes.starts_with(b"SIP/2.0 200 OK"));
//!     answers += 1;
//! }
//! assert_eq!(answers, 1);
//! while let Some(event) = endpoint.poll_event() {
//!     if let SipEvent::Incoming { call, .. } = event {
//!         endpoint.reject(call, 486, None, now); // and drain again
//!     }
//! }
//! let wake_at = endpoint.poll_timeout(); // sleep until then, or until a datagram comes
//! assert!(wake_at.is_some());
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub mod check;
mod dialog;
pub mod digest;
pub mod endpoint;
pub mod error;
pub mod headers;
mod invite;
pub mod message;
mod orphan;
mod registrar;
mod registration;
pub mod target;
pub mod timer;
mod transaction;
pub mod uri;
pub mod values;
pub mod wire;

pub use check::{Abilities, Rejection, check_request};
pub use endpoint::{
    Account, Binding, CallRef, EndedBy, Endpoint, EndpointConfig, Extensions, Flow, GuardConfig, Identity,
    IncomingInvite, Invite, Ledger, Local, OrphanRef, ProbeRef, Refresher, Refusal, RegistrationConfig,
    RegistrationRef, RegistrationState, Reliable, SessionTimer, SipEvent, Target, Transmit, Transport, UnboundWhy,
};
pub use error::{Failure, Reason, SipError};
pub use message::{HeaderName, Headers, Message, Method, Request, Response};
pub use orphan::{BadOrphan, Orphan, OrphanEnd};
pub use timer::{Timer, Timers};
pub use uri::{Host, Params, Scheme, Uri};
pub use values::{CSeq, Contacts, NameAddr, Refer, Replaces, ValueError, Via};
pub use wire::{Limits, ParseError, ParseReason, StreamFramer, parse_datagram};
