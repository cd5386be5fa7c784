//! `Endpoint`: octets in, octets out, and the calls, probes and registrations between them.
//!
//! ```text
//! handle_datagram / handle_stream ─► wire ─► transactions ─► calls, registrar, probes ─► poll_event
//! invite, answer, hang_up, …      ─► calls ─► transactions ─► wire                     ─► poll_transmit
//! handle_timeout                  ─► whichever asked to be woken                       ─► poll_timeout
//! ```
//!
//! After every `handle_*` and every order, drain `poll_transmit` and `poll_event` until `None`.

pub(crate) mod compose;
mod config;
mod event;
pub(crate) mod extensions;
pub(crate) mod guard;
pub(crate) mod layer;
mod receive;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use compose::prove;
pub use config::{
    Account, Binding, EndpointConfig, Flow, Identity, Invite, Local, RegistrationConfig, Target, Transmit, Transport,
};
pub use event::{
    CallRef, EndedBy, IncomingInvite, Ledger, OrphanRef, ProbeRef, Refusal, RegistrationRef, RegistrationState,
    SipEvent, UnboundWhy,
};
pub use extensions::{Extensions, Refresher, Reliable, SessionTimer};
pub use guard::GuardConfig;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::digest::{AccountSecret, Nonces};
use crate::error::{Reason, SipError};
use crate::invite::Call;
use crate::message::Method;
use crate::orphan::{Ending, Orphan};
use crate::registrar::Registrar;
use crate::registration::Registration;
use crate::timer::Timer;
use crate::uri::Uri;
use crate::values::Replaces;
use crate::wire::{StreamFramer, parse_datagram};
use layer::Layer;

/// How long a nonce of ours serves. A phone that comes back later is challenged once more.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// One SIP user agent: any number of calls, a registrar, registrations elsewhere.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) layer: Layer,
    pub(crate) calls: BTreeMap<CallRef, Call>,
    /// Calls by Call-ID and our tag, which no two calls share.
    pub(crate) dialogs: BTreeMap<(String, String), CallRef>,
    pub(crate) streams: BTreeMap<Flow, StreamFramer>,
    pub(crate) registrar: Registrar,
    pub(crate) registrations: BTreeMap<RegistrationRef, Registration>,
    pub(crate) accounts: BTreeMap<String, AccountSecret>,
    pub(crate) trunks: Vec<IpAddr>,
    /// Rules of peers that have one of their own.
    pub(crate) extensions: BTreeMap<IpAddr, Extensions>,
    pub(crate) nonces: Nonces,
    pub(crate) orphans: BTreeMap<OrphanRef, Ending>,
}

impl Endpoint {
    /// An endpoint that knows no account and no trunk yet: it answers OPTIONS and refuses calls.
    pub fn new(config: EndpointConfig, now: Instant) -> Self {
        let mut layer = Layer::new(config);
        let key: [u8; 32] = layer.rng.random();
        Self {
            layer,
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            streams: BTreeMap::new(),
            registrar: Registrar::new(),
            registrations: BTreeMap::new(),
            accounts: BTreeMap::new(),
            trunks: Vec::new(),
            extensions: BTreeMap::new(),
            nonces: Nonces::new(key, NONCE_LIFE, now),
            orphans: BTreeMap::new(),
        }
    }

    /// A datagram came in. `flow.local` is the bound address of the socket.
    pub fn handle_datagram(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        // Both before it is read: what comes by the thousand is cheap.
        if self.layer.is_repeated(flow, bytes, now) {
            return;
        }
        if guard::is_outside_calls(bytes) && self.layer.guard.is_barred(flow.remote.ip(), now) && !self.is_known(flow) {
            return self.layer.refuse(Refusal::FromBarred, flow);
        }
        match parse_datagram(bytes, &self.layer.config.limits) {
            Ok(message) => self.handle_message(flow, message, now),
            Err(error) => self.handle_garbage(flow, &error, now),
        }
    }

    /// Octets of a stream connection came in. The first octets make the connection known.
    pub fn handle_stream(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        self.receive_stream(flow, bytes, now);
    }

    /// A stream connection closed, by whichever side.
    pub fn handle_stream_closed(&mut self, flow: Flow, now: Instant) {
        self.stream_gone(flow, now);
    }

    /// The driver could not connect or send: what waits on this flow fails as with a 503 (RFC 3261 §8.1.3.1).
    pub fn handle_transport_error(&mut self, flow: Flow, now: Instant) {
        self.flow_broken(flow, now);
    }

    /// The deadline of `poll_timeout` passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((owner, timer)) = self.layer.timers.pop_due(now) {
            self.fire(owner, timer, now);
        }
    }

    /// The next octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.layer.poll_transmit()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<SipEvent> {
        self.layer.poll_event()
    }

    /// The next deadline and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.layer.timers.next()
    }

    /// Addresses whose INVITEs need no account: the trunks. Everybody else is challenged.
    pub fn set_trunks(&mut self, addresses: Vec<IpAddr>) {
        self.trunks = addresses;
    }

    /// Which extensions are granted to calls from these addresses; to others by the configuration.
    pub fn set_extensions(&mut self, rules: Vec<(IpAddr, Extensions)>) {
        self.extensions = rules.into_iter().collect();
    }

    /// Whether somebody is at the other end whom we know before he has said anything: a trunk, or a phone by the path it
    /// has registered by.
    pub(crate) fn is_known(&self, flow: Flow) -> bool {
        self.trunks.contains(&flow.remote.ip()) || self.layer.phones.contains_key(&flow)
    }

    /// The rule for what comes from an address.
    pub(crate) fn extensions_of(&self, flow: Flow) -> Extensions {
        self.extensions.get(&flow.remote.ip()).copied().unwrap_or(self.layer.config.extensions)
    }

    /// Who may register here and call from here. Bindings of accounts that are gone go with them.
    pub fn set_accounts(&mut self, accounts: Vec<Account>) {
        self.accounts = accounts.into_iter().map(|account| (account.user, account.secret)).collect();
        self.unbind_strangers();
    }

    /// Calls somebody.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> Result<CallRef, SipError> {
        self.start_call(invite, now)
    }

    /// Names an INVITE that is to be sent later, and says what another process would need to end it.
    pub fn plan(&mut self, invite: &mut Invite) -> Result<Orphan, SipError> {
        self.plan_call(invite)
    }

    /// What another process would need to end a call of ours as it stands now; `None` when there is nothing to end.
    pub fn orphan(&self, call: CallRef) -> Option<Orphan> {
        self.orphan_of(call)
    }

    /// Ends a call that a dead process left: `OrphanEnded` follows within six seconds.
    pub fn end_orphan(&mut self, orphan: Orphan, now: Instant) -> Result<OrphanRef, SipError> {
        self.start_ending(orphan, now)
    }

    /// Tells the caller that it rings here (180), or sends early media (183 with a body).
    pub fn ring(&mut self, call: CallRef, status: u16, body: Option<Vec<u8>>, now: Instant) {
        self.progress(call, status, body, now);
    }

    /// Answers a call that came in: 200, sent again until its ACK. Headers the endpoint writes itself and
    /// ones that cannot stand in a message are left out.
    pub fn answer(&mut self, call: CallRef, body: Vec<u8>, headers: Vec<(String, String)>, now: Instant) {
        self.send_answer(call, body, headers, now);
    }

    /// Refuses a call that came in.
    pub fn reject(&mut self, call: CallRef, status: u16, phrase: Option<&str>, now: Instant) {
        self.send_rejection(call, status, phrase, None, now);
    }

    /// Ends a call whatever its state: CANCEL, BYE or a final answer. `Ended` or `Failed` follows when the far
    /// end has confirmed it, or after 32 s without a word from it.
    pub fn hang_up(&mut self, call: CallRef, reason: Option<Reason>, now: Instant) {
        self.end_call(call, reason, now);
    }

    /// Whether a call of ours has heard nothing yet, not even 100.
    pub fn is_unheard(&self, call: CallRef) -> bool {
        self.is_call_unheard(call)
    }

    /// Leaves a call that has heard nothing, so that another target can be tried (RFC 3263 §4.3): its INVITE is not sent
    /// again, a far end that wakes up late is told to stop, and no event follows. `false`, and nothing is done, when
    /// something has been heard of it: then it may ring, and must not ring twice.
    pub fn abandon(&mut self, call: CallRef, now: Instant) -> bool {
        self.abandon_call(call, now)
    }

    /// Offers a changed session: `ReofferAnswered` or `ReofferFailed` follows, unless the call ends first.
    pub fn reinvite(&mut self, call: CallRef, body: Vec<u8>, now: Instant) -> Result<(), SipError> {
        self.start_change(call, Method::Invite, body, now)
    }

    /// The same by UPDATE (RFC 3311), for a far end whose Allow names it; `WrongState` for another.
    pub fn update(&mut self, call: CallRef, body: Vec<u8>, now: Instant) -> Result<(), SipError> {
        if self.calls.get(&call).is_some_and(|call| !call.peer_updates) {
            return Err(SipError::WrongState);
        }
        self.start_change(call, Method::Update, body, now)
    }

    /// Answers `SipEvent::Reoffered`.
    pub fn answer_reoffer(&mut self, call: CallRef, body: Vec<u8>, now: Instant) {
        self.accept_reoffer(call, body, now);
    }

    /// Refuses `SipEvent::Reoffered`: 488 as a rule. The session stays as it was.
    pub fn reject_reoffer(&mut self, call: CallRef, status: u16, now: Instant) {
        self.refuse_reoffer(call, status, now);
    }

    /// Answers `SipEvent::Referred`: 202 says that it is being tried, and `notify_refer` what comes of it; 300 and above
    /// that it is not.
    pub fn answer_refer(&mut self, call: CallRef, status: u16, now: Instant) {
        self.decide_refer(call, status, now);
    }

    /// Tells how the call that a REFER asked for is going; a final status is the last word on it.
    pub fn notify_refer(&mut self, call: CallRef, status: u16, now: Instant) {
        self.report_referral(call, status, now);
    }

    /// Asks the far end to call somebody else in our place (RFC 3515): `ReferNews` tells how it goes, until its last word or
    /// the end of the call. What becomes of this call is ours to say: as a rule it is hung up at the last word.
    pub fn refer(&mut self, call: CallRef, to: &Uri, now: Instant) -> Result<(), SipError> {
        self.start_refer(call, to, now)
    }

    /// The call that somebody else's REFER or INVITE names, if it is here (RFC 3891 §3).
    pub fn replaced(&self, replaces: &Replaces) -> Option<CallRef> {
        self.call_replaced(replaces)
    }

    /// Sends INFO within a call that is up.
    pub fn info(&mut self, call: CallRef, content_type: &str, body: Vec<u8>, now: Instant) {
        self.send_info(call, content_type, body, now);
    }

    /// Asks a far end whether it lives.
    pub fn options(&mut self, target: Target, now: Instant) -> ProbeRef {
        self.start_probe(target, now)
    }

    /// Waits no longer for the answer to a probe.
    pub fn forget_probe(&mut self, probe: ProbeRef) {
        self.layer.drop_probe(probe);
    }

    /// Renews a registration now: its registrar may have forgotten it. One that is being renewed is left alone.
    pub fn renew(&mut self, registration: RegistrationRef, now: Instant) {
        self.renew_registration(registration, now);
    }

    /// Registers somewhere and keeps it up until `unregister`.
    pub fn register(&mut self, registration: RegistrationConfig, now: Instant) -> RegistrationRef {
        self.start_registration(registration, now)
    }

    /// Takes a registration back.
    pub fn unregister(&mut self, registration: RegistrationRef, now: Instant) {
        self.end_registration(registration, now);
    }

    /// Where an account can be reached, the newest first.
    pub fn bindings(&self, user: &str) -> Vec<Binding> {
        self.registrar.bindings(user)
    }

    /// What the endpoint holds.
    pub fn ledger(&self) -> Ledger {
        Ledger {
            transactions: self.layer.transactions(),
            dialogs: self.calls.values().map(Call::dialogs).sum(),
            calls: self.calls.len(),
            bindings: self.registrar.len(),
            flows: self.streams.len(),
            timers: self.layer.timers.len(),
        }
    }

    /// Strangers' addresses that are remembered for what they asked; never more than `GuardConfig::sources`.
    pub fn strangers(&self) -> usize {
        self.layer.guard.remembered()
    }

    /// Messages and events dropped because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.layer.dropped()
    }
}
