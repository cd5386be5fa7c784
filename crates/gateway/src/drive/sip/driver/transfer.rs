//! Transfers as the driver sees them: what a REFER names is looked up among our own addresses, trunks and legs, and
//! whether it is allowed is left to its call.

use std::net::IpAddr;

use sip::endpoint::{CallRef, IncomingInvite};
use sip::{Host, Refer, Uri};
use tracing::debug;

use super::{SipDriver, addresses};
use crate::clock;
use crate::drive::call::CallInput;
use crate::drive::sip::{Asked, Incoming, LegSink, Replaced, SipLeg, SipNotice};

impl SipDriver {
    /// A far end asks for a transfer: its call decides.
    pub(super) fn referred(&mut self, call: CallRef, refer: Refer) {
        let Some(remote) = self.by_call.get(&call).and_then(|leg| self.legs.get(leg)).map(|entry| entry.remote) else {
            return;
        };
        let replaced = match &refer.replaces {
            None => Replaced::Nobody,
            Some(replaces) => match self.sink_of(self.endpoint.replaced(replaces)) {
                Some(sink) => Replaced::Here(sink),
                None => Replaced::There(replaces.to_string()),
            },
        };
        let asked = Asked {
            user: refer.to.user_decoded().unwrap_or_default(),
            here: refer.to.is_sip() && self.is_ours(&refer.to.host, remote),
            trunks: if refer.to.is_sip() { self.trunks.at(&refer.to.host) } else { Vec::new() },
            replaced,
            referred_by: refer.referred_by,
        };
        self.tell(call, |_| SipNotice::Referred(Box::new(asked)));
    }

    /// Asks the far end of a leg to call somebody else; what cannot be asked has failed.
    pub(super) fn refer(&mut self, leg: SipLeg, to: &str) {
        let Some(call) = self.legs.get(&leg).map(|entry| entry.call) else { return };
        let asked = to.parse::<Uri>().ok().map(|to| self.endpoint.refer(call, &to, clock::now()));
        if !matches!(asked, Some(Ok(()))) {
            debug!(leg = leg.0, to, "no REFER now");
            self.tell(call, |_| SipNotice::ReferNews { status: 491, last: true });
        }
    }

    fn sink_of(&self, call: Option<CallRef>) -> Option<LegSink> {
        self.legs.get(self.by_call.get(&call?)?)?.sink.clone()
    }

    /// Whether a host is this program, as its registered phones and its PBXs write it.
    fn is_ours(&self, host: &Host, remote: IpAddr) -> bool {
        if host.to_string().eq_ignore_ascii_case(&self.config.realm) {
            return true;
        }
        let Some(ip) = host.ip() else { return false };
        let facing = addresses::local_towards((remote, 9).into());
        ip == facing || self.config.sdp_ip == Some(ip) || self.trunks.is_bound(ip)
    }

    /// An INVITE that wants the place of a leg: it goes to that leg's call. `None`: it is taken care of.
    pub(super) fn replacing(&mut self, invite: &IncomingInvite, incoming: Incoming) -> Option<Incoming> {
        let Some(replaced) = invite.replaces else { return Some(incoming) };
        let entry = self.by_call.get(&replaced).and_then(|leg| self.legs.get(leg));
        // RFC 3891 §8: an agent who proved himself, or the PBX whose call it is.
        let may = incoming.account.is_some() || entry.is_some_and(|entry| entry.remote == incoming.remote);
        let leg = incoming.leg;
        let taken = may
            && entry.and_then(|entry| entry.sink.clone()).is_some_and(|LegSink { inbox, leg }| {
                inbox.try_send(CallInput::TakesPlace { of: leg, incoming: Box::new(incoming) }).is_ok()
            });
        if !taken && let Some(entry) = self.legs.get(&leg) {
            debug!(leg = leg.0, "an INVITE with Replaces is refused");
            self.endpoint.reject(entry.call, if may { 481 } else { 403 }, None, clock::now());
        }
        None
    }
}
