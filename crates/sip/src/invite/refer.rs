//! Transfers we ask for: REFER within a call (RFC 3515), and what the far end tells of it by NOTIFY.
//!
//! ```text
//! refer() ─► Sent ── 2xx ─► Going ── NOTIFY 100, 180 ─► Going
//!              │ else          └──── NOTIFY 200 and above, or "terminated" ─► None, the last word
//!              └─► None, the last word
//! ```

use std::time::Instant;

use crate::endpoint::layer::{Answer, ClientId, Outcome, Purpose, ServerId, User};
use crate::endpoint::{CallRef, EndedBy, Endpoint, Refusal, SipEvent, compose};
use crate::error::SipError;
use crate::invite::State;
use crate::message::{HeaderName, Method, Request};
use crate::uri::Uri;

/// A REFER of ours. There is at most one in a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Asking {
    /// None.
    #[default]
    None,
    /// It waits for its answer.
    Sent { client: ClientId },
    /// It was taken: the far end tells how it goes.
    Going,
}

impl Endpoint {
    pub(crate) fn start_refer(&mut self, call_ref: CallRef, to: &Uri, now: Instant) -> Result<(), SipError> {
        let call = self.calls.get_mut(&call_ref).ok_or(SipError::Unknown)?;
        if call.state != State::Up || call.farewell.is_some() || call.asking != Asking::None {
            return Err(SipError::WrongState);
        }
        let dialog = call.dialog.as_mut().ok_or(SipError::WrongState)?;
        let mut request = dialog.request(Method::Refer);
        request.headers.push(HeaderName::Contact, &dialog.contact);
        request.headers.push(HeaderName::ReferTo, &format!("<{to}>"));
        self.put_refer(call_ref, request, now);
        Ok(())
    }

    fn put_refer(&mut self, call_ref: CallRef, request: Request, now: Instant) {
        let Some(call) = self.calls.get_mut(&call_ref) else {
            return;
        };
        let Some(hop) = call.dialog.as_ref().map(|dialog| dialog.next_hop(&self.layer.config.locals)) else {
            return;
        };
        let client = self.layer.request(request, hop, User::Call(call_ref, Purpose::Refer), now);
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.asking = Asking::Sent { client };
        }
    }

    /// Our REFER was answered or given up.
    pub(crate) fn handle_refer_outcome(&mut self, call_ref: CallRef, outcome: Outcome, now: Instant) {
        let sent = |asking: Asking| asking == Asking::Sent { client: outcome.client };
        if !self.calls.get(&call_ref).is_some_and(|call| sent(call.asking)) {
            return;
        }
        let status = match &outcome.answer {
            Answer::Response(response) if response.is_provisional() => return,
            Answer::Response(response) => response.status,
            Answer::TimedOut(_) => 408,
            Answer::Broken => 503,
        };
        if let (Answer::Response(response), Some(challenged)) = (&outcome.answer, outcome.challenged) {
            let (mut request, _) = *challenged;
            if self.prove(call_ref, &mut request, response, outcome.flow) {
                return self.put_refer(call_ref, request, now);
            }
        }
        self.note_asking(call_ref, status, status >= 300);
        if status == 481 {
            self.dialog_lost(call_ref, EndedBy::Peer, now);
        }
    }

    /// NOTIFY within a call: of our REFER, or of nothing we asked for (RFC 6665 §4.1.3).
    pub(crate) fn handle_notify(&mut self, call_ref: CallRef, server: ServerId, request: &Request, now: Instant) {
        let Some(call) = self.calls.get(&call_ref) else {
            return;
        };
        let flow = call.flow;
        let word = |name: &HeaderName| -> Option<&str> {
            request.headers.get(name).and_then(|value| value.split(';').next()).map(str::trim)
        };
        let ours = word(&HeaderName::Event).is_some_and(|event| event.eq_ignore_ascii_case("refer"));
        if !ours || call.asking == Asking::None {
            self.layer.respond_status(server, 481, compose::phrase(481), now);
            return self.layer.refuse(Refusal::NoDialog, flow);
        }
        self.layer.respond_status(server, 200, "OK", now);
        let over = word(&HeaderName::SubscriptionState).is_some_and(|state| state.eq_ignore_ascii_case("terminated"));
        // A NOTIFY that says nothing readable is no news; that the subscription is over is.
        match sipfrag(&request.body) {
            Some(status) => self.note_asking(call_ref, status, over || status >= 200),
            None if over => self.note_asking(call_ref, 408, true),
            None => {}
        }
    }

    fn note_asking(&mut self, call_ref: CallRef, status: u16, last: bool) {
        if let Some(call) = self.calls.get_mut(&call_ref) {
            call.asking = if last { Asking::None } else { Asking::Going };
            self.layer.report(SipEvent::ReferNews { call: call_ref, status, last });
        }
    }
}

/// The status of a `message/sipfrag` body (RFC 3420): its first line.
fn sipfrag(body: &[u8]) -> Option<u16> {
    let line = body.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.trim().split_once(' ')?;
    let status = rest.split(' ').next()?.parse::<u16>().ok()?;
    (version.eq_ignore_ascii_case("SIP/2.0") && (100..700).contains(&status)).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::sipfrag;

    #[test]
    fn the_first_line_of_a_sipfrag_is_its_status() {
        assert_eq!(sipfrag(b"SIP/2.0 180 Ringing\r\n"), Some(180));
        assert_eq!(sipfrag(b"SIP/2.0 603 Decline"), Some(603));
        for nothing in [&b""[..], b"SIP/2.0", b"SIP/2.0 abc", b"SIP/2.0 99 x", b"HTTP/1.1 200 OK", b"\xff\xfe"] {
            assert_eq!(sipfrag(nothing), None, "{nothing:?}");
        }
    }
}
