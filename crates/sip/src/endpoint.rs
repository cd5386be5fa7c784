//! `Endpoint`: octets in, octets out, and the calls, probes and registrations between them.
//!
//! ```text
//! handle_datagram / handle_stream ─► wire ─► transactions ─► calls, registrar, probes ─► poll_event
//! invite, answer, hang_up, …      ─► calls ─► transactions ─► wire                     ─► poll_transmit
//! handle_timeout                  ─► whichever asked to be woken                       ─► poll_timeout
//! ```
//!
//! After every call of a `handle_*` or an order, drain `poll_transmit` and `poll_event` until `None`.

mod config;
mod event;

pub use config::{
    Account, Binding, EndpointConfig, Flow, Invite, Local, RegistrationConfig, Target, Transmit, Transport,
};
pub use event::{
    CallRef, EndedBy, IncomingInvite, Ledger, ProbeRef, Refusal, RegistrationRef, RegistrationState, SipEvent,
    UnboundWhy,
};

use std::net::IpAddr;
use std::time::Instant;

use crate::error::{Reason, SipError};
use crate::timer::Timer;

/// One SIP user agent: any number of calls, a registrar, registrations elsewhere.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
}

impl Endpoint {
    /// An endpoint that knows no account and no trunk yet: it answers OPTIONS and refuses calls.
    pub fn new(config: EndpointConfig, now: Instant) -> Self { todo!("{config:?} {now:?}") }
    /// A datagram came in.
    pub fn handle_datagram(&mut self, flow: Flow, bytes: &[u8], now: Instant) { todo!("{flow} {bytes:?} {now:?}") }
    /// Octets of a stream connection came in. The first octets make the connection known.
    pub fn handle_stream(&mut self, flow: Flow, bytes: &[u8], now: Instant) { todo!("{flow} {bytes:?} {now:?}") }
    /// A stream connection closed, by whichever side.
    pub fn handle_stream_closed(&mut self, flow: Flow, now: Instant) { todo!("{flow} {now:?}") }
    /// The driver could not connect or send.
    pub fn handle_transport_error(&mut self, flow: Flow, now: Instant) { todo!("{flow} {now:?}") }
    /// The deadline of `poll_timeout` passed.
    pub fn handle_timeout(&mut self, now: Instant) { todo!("{now:?}") }
    /// The next octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> { todo!() }
    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<SipEvent> { todo!() }
    /// The next deadline and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> { todo!() }
    /// Addresses whose INVITEs need no account: the trunks.
    pub fn set_trunks(&mut self, addresses: Vec<IpAddr>) { todo!("{addresses:?}") }
    /// Who may register here and call from here.
    pub fn set_accounts(&mut self, accounts: Vec<Account>, now: Instant) { todo!("{accounts:?} {now:?}") }
    /// Calls somebody.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> Result<CallRef, SipError> { todo!("{invite:?} {now:?}") }
    /// Tells the caller that it rings here (180), or sends early media (183 with a body).
    pub fn ring(&mut self, call: CallRef, status: u16, body: Option<Vec<u8>>, now: Instant) { todo!("{call:?} {status} {body:?} {now:?}") }
    /// Answers a call that came in.
    pub fn answer(&mut self, call: CallRef, body: Vec<u8>, headers: Vec<(String, String)>, now: Instant) { todo!("{call:?} {body:?} {headers:?} {now:?}") }
    /// Refuses a call that came in.
    pub fn reject(&mut self, call: CallRef, status: u16, phrase: Option<&str>, now: Instant) { todo!("{call:?} {status} {phrase:?} {now:?}") }
    /// Ends a call whatever its state: CANCEL, BYE or a final answer.
    pub fn hang_up(&mut self, call: CallRef, reason: Option<Reason>, now: Instant) { todo!("{call:?} {reason:?} {now:?}") }
    /// Offers a changed session.
    pub fn reinvite(&mut self, call: CallRef, body: Vec<u8>, now: Instant) -> Result<(), SipError> { todo!("{call:?} {body:?} {now:?}") }
    /// Answers `SipEvent::Reoffered`.
    pub fn answer_reoffer(&mut self, call: CallRef, body: Vec<u8>, now: Instant) { todo!("{call:?} {body:?} {now:?}") }
    /// Refuses `SipEvent::Reoffered`: 488 as a rule. The session stays as it was.
    pub fn reject_reoffer(&mut self, call: CallRef, status: u16, now: Instant) { todo!("{call:?} {status} {now:?}") }
    /// Sends INFO within a call.
    pub fn info(&mut self, call: CallRef, content_type: &str, body: Vec<u8>, now: Instant) { todo!("{call:?} {content_type} {body:?} {now:?}") }
    /// Asks a far end whether it lives.
    pub fn options(&mut self, target: Target, now: Instant) -> ProbeRef { todo!("{target:?} {now:?}") }
    /// Registers somewhere and keeps it up.
    pub fn register(&mut self, registration: RegistrationConfig, now: Instant) -> RegistrationRef { todo!("{registration:?} {now:?}") }
    /// Takes a registration back.
    pub fn unregister(&mut self, registration: RegistrationRef, now: Instant) { todo!("{registration:?} {now:?}") }
    /// Where an account can be reached, the newest first.
    pub fn bindings(&self, user: &str) -> Vec<Binding> { todo!("{user}") }
    /// What the endpoint holds.
    pub fn ledger(&self) -> Ledger { todo!("{:?}", self.config) }
}
