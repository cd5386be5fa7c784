//! Stream connections: framing, keep-alives, idling, and what breaks with them (RFC 3261 §18, RFC 5626 §4.4.1).

use std::time::{Duration, Instant};

use rand::Rng;

use super::event::{Refusal, SipEvent};
use super::layer::Owner;
use super::{Endpoint, Flow};
use crate::dialog::Dialog;
use crate::timer::Timer;
use crate::wire::StreamFramer;

/// Between a sign of life and the next ping. RFC 5626 §4.4.1 has minutes for it; with [`PONG_LIMIT`] these find a dead
/// connection within 30 s.
const PING_MS: std::ops::Range<u64> = 15_000..20_000;
/// How long a pong may take (RFC 5626 §4.4.1).
const PONG_LIMIT: Duration = Duration::from_secs(10);

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
        self.expect_ping(flow, now);
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
                    self.handle_garbage(flow, &error, now);
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
                Err(error) => self.handle_garbage(flow, &error, now),
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

    /// A timer of a connection.
    pub(crate) fn fire_stream(&mut self, flow: Flow, timer: Timer, now: Instant) {
        if timer == Timer::Ping {
            self.ping(flow, now);
        } else if timer == Timer::Pong {
            self.pong_missing(flow, now);
        } else {
            self.stream_idle(flow, now);
        }
    }

    /// Sets the next ping of a connection that we opened. The far end has just given a sign of life.
    fn expect_ping(&mut self, flow: Flow, now: Instant) {
        if self.layer.opened.contains(&flow) {
            let wait = Duration::from_millis(self.layer.rng.random_range(PING_MS));
            self.layer.timers.cancel(Owner::Stream(flow), Timer::Pong);
            self.layer.timers.set(Owner::Stream(flow), Timer::Ping, now + wait);
        }
    }

    fn ping(&mut self, flow: Flow, now: Instant) {
        if !self.is_used(flow) {
            return self.expect_ping(flow, now);
        }
        if let Some(framer) = self.streams.get_mut(&flow) {
            framer.pinged();
            self.layer.send(flow, b"\r\n\r\n".to_vec());
            self.layer.timers.set(Owner::Stream(flow), Timer::Pong, now + PONG_LIMIT);
        }
    }

    /// Not one octet came since the ping. Of a far end that never answered one this says nothing: there the kernel finds
    /// out, for the ping itself wants to be acknowledged.
    fn pong_missing(&mut self, flow: Flow, now: Instant) {
        if self.streams.get(&flow).is_some_and(StreamFramer::answers_pings) {
            self.layer.refuse(Refusal::DeadConnection, flow);
            return self.close_stream(flow, now);
        }
        self.expect_ping(flow, now);
    }

    fn is_used(&self, flow: Flow) -> bool {
        self.layer.uses(flow)
            || self.layer.phones.contains_key(&flow)
            || self
                .calls
                .values()
                .any(|call| call.flow == flow || call.dialog.as_ref().is_some_and(|dialog| dialog.flow == flow))
            || self.registrations_use(flow)
    }

    /// The deadline of a connection passed.
    fn stream_idle(&mut self, flow: Flow, now: Instant) {
        let stuck = self.streams.get(&flow).is_some_and(StreamFramer::is_mid_message);
        if self.is_used(flow) && !stuck {
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
