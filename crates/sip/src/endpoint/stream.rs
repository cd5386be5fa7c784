//! Stream connections: framing, keep-alives, idling, and what breaks with them (RFC 3261 §18, RFC 5626 §4.4.1).

use std::time::Instant;

use super::event::{Refusal, SipEvent};
use super::layer::Owner;
use super::{Endpoint, Flow};
use crate::dialog::Dialog;
use crate::timer::Timer;
use crate::wire::StreamFramer;

impl Endpoint {
    pub(crate) fn receive_stream(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        if !self.streams.contains_key(&flow) {
            if self.streams.len() >= self.layer.config.max_connections {
                self.layer.refuse(Refusal::TooManyConnections, flow);
                return self.layer.report(SipEvent::Close { flow });
            }
            let framer = StreamFramer::new(self.layer.config.limits.clone());
            self.streams.insert(flow, framer);
            self.layer.heard.insert(flow);
        }
        let mut bytes = bytes;
        let mut progressed = false;
        let was_waiting = self.streams.get(&flow).is_some_and(StreamFramer::is_mid_message);
        while !bytes.is_empty() {
            // In pieces, so that a framer never holds more than it allows.
            let (piece, rest) = bytes.split_at(bytes.len().min(16_384));
            bytes = rest;
            let pushed = self.streams.get_mut(&flow).map(|framer| framer.push(piece));
            match pushed {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    self.handle_garbage(flow, &error);
                    return self.close_stream(flow, now);
                }
                None => return,
            }
            progressed |= self.drain_stream(flow, now);
        }
        self.watch_stream(flow, was_waiting && !progressed, now);
    }

    /// Takes whole messages off a stream. Returns whether there was any.
    fn drain_stream(&mut self, flow: Flow, now: Instant) -> bool {
        let mut progressed = false;
        while let Some(message) = self.streams.get_mut(&flow).and_then(StreamFramer::next) {
            progressed = true;
            match message {
                Ok(message) => self.handle_message(flow, message, now),
                Err(error) => self.handle_garbage(flow, &error),
            }
        }
        let Some(framer) = self.streams.get_mut(&flow) else {
            return progressed;
        };
        let broken = framer.is_broken();
        while self.streams.get_mut(&flow).is_some_and(StreamFramer::poll_pong) {
            progressed = true;
            self.layer.send(flow, b"\r\n".to_vec());
        }
        if broken {
            // Where one message ends and the next begins can no longer be told.
            self.close_stream(flow, now);
        }
        progressed
    }

    /// Sets the deadline of a connection. A peer that is in the middle of a message gets a short one, which
    /// further octets of the same message do not move.
    fn watch_stream(&mut self, flow: Flow, keep_deadline: bool, now: Instant) {
        let Some(framer) = self.streams.get(&flow) else {
            return;
        };
        if keep_deadline && framer.is_mid_message() {
            return;
        }
        let limit = self.layer.config.idle_limit;
        let limit = if framer.is_mid_message() { limit / 4 } else { limit };
        self.layer.timers.set(Owner::Stream(flow), Timer::Idle, now + limit);
    }

    /// The deadline of a connection passed.
    pub(crate) fn stream_idle(&mut self, flow: Flow, now: Instant) {
        let stuck = self.streams.get(&flow).is_some_and(StreamFramer::is_mid_message);
        let used = self.layer.uses(flow)
            || self.registrar.has_flow(flow)
            || self
                .calls
                .values()
                .any(|call| call.flow == flow || call.dialog.as_ref().is_some_and(|dialog| dialog.flow == flow))
            || self.registrations_use(flow);
        if used && !stuck {
            return self.watch_stream(flow, false, now);
        }
        self.layer.refuse(Refusal::IdleConnection, flow);
        self.close_stream(flow, now);
    }

    fn close_stream(&mut self, flow: Flow, now: Instant) {
        self.layer.report(SipEvent::Close { flow });
        self.stream_gone(flow, now);
    }

    /// A connection is no more: what waits on it fails, and who registered by it is gone.
    pub(crate) fn stream_gone(&mut self, flow: Flow, now: Instant) {
        self.streams.remove(&flow);
        self.layer.timers.cancel_all(Owner::Stream(flow));
        self.layer.heard.remove(&flow);
        // One of our own making is made anew by whatever is sent next.
        let remade = self.layer.opened.contains(&flow);
        self.flow_broken(flow, now);
        self.unbind_flow(flow);
        if !remade {
            let dialogs = self.calls.values_mut().filter_map(|call| call.dialog.as_mut());
            dialogs.filter(|dialog| dialog.flow == flow).for_each(Dialog::flow_lost);
        }
        self.registration_flow_lost(flow, now);
    }

    /// Nothing can be sent by this flow just now.
    pub(crate) fn flow_broken(&mut self, flow: Flow, now: Instant) {
        self.layer.opened.remove(&flow);
        let (outcomes, calls) = self.layer.break_flow(flow, now);
        for call in calls {
            self.invitation_lost(call, now);
        }
        for outcome in outcomes {
            self.handle_outcome(outcome, now);
        }
    }
}
