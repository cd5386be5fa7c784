//! Requests too large for a datagram (RFC 3261 §18.1.1): over TCP, and as a datagram after all where nobody takes it.

use std::time::{Duration, Instant};

use super::Layer;
use crate::endpoint::config::{Flow, Local, Transport};
use crate::endpoint::event::SipEvent;
use crate::message::Request;

/// The path's MTU is not known: what may be sent as a datagram then.
const DATAGRAM_BYTES: usize = 1_300;
/// How long it is believed that a far end takes no connections.
const NO_STREAM: Duration = Duration::from_secs(600);
/// Such far ends that are remembered.
const NO_STREAM_MAX: usize = 1_024;

impl Layer {
    /// The way a request goes by its size, with its Via as that way wants it, and the way back from there.
    pub(super) fn fit(
        &mut self,
        mut request: Request,
        branch: &str,
        flow: Flow,
        now: Instant,
    ) -> (Request, Flow, Option<Flow>) {
        let is_large = flow.transport == Transport::Udp && request.encode().len() > DATAGRAM_BYTES;
        if !is_large {
            return (request, flow, None);
        }
        // A phone's datagrams leave by a hole in its NAT, where no connection can come in.
        let is_phone = self.phones.contains_key(&flow);
        let refused = self.no_stream.get(&flow.remote).is_some_and(|until| now < *until);
        let is_it =
            |local: &&Local| local.transport == Transport::Tcp && local.bound.is_ipv4() == flow.remote.is_ipv4();
        let local = self.config.locals.iter().find(is_it).filter(|_| !is_phone && !refused);
        let Some(local) = local else {
            self.report(SipEvent::Large { flow });
            return (request, flow, None);
        };
        let by = Flow { transport: Transport::Tcp, local: local.bound, remote: flow.remote };
        request.headers.set_first_via(&self.via(by, branch));
        self.report(SipEvent::Large { flow: by });
        (request, by, Some(flow))
    }

    pub(super) fn no_stream(&mut self, flow: Flow, now: Instant) {
        if self.no_stream.len() >= NO_STREAM_MAX {
            self.no_stream.retain(|_, until| now < *until);
        }
        if self.no_stream.len() < NO_STREAM_MAX {
            self.no_stream.insert(flow.remote, now + NO_STREAM);
        }
        self.report(SipEvent::Large { flow });
    }
}
