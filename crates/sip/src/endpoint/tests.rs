//! One endpoint and a scripted far end on a virtual clock: what is sent when, and what is reported.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on whatever it does not expect")]

mod bounds;
mod callee;
mod caller;
mod changes;
mod failover;
mod large;
mod reliable;
mod sessions;
mod streams;
mod transfer;
mod v6;

use super::*;
use crate::message::{HeaderName, Message, Method, Request, Response};
use crate::timer::tests::start;
use crate::wire::Limits;

pub(crate) const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";
pub(crate) const PEER: &str = "192.0.2.9:5060";
pub(crate) const OURS: &str = "192.0.2.1:5060";

/// The endpoint and the other end of its wire.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    start: Instant,
    pub(crate) now: Instant,
    /// Everything sent and not looked at.
    out: Vec<(u64, Transmit)>,
    /// Everything reported and not looked at, refusals apart.
    events: Vec<SipEvent>,
    pub(crate) refusals: Vec<Refusal>,
    count: u32,
}

pub(crate) fn config() -> EndpointConfig {
    let bound = OURS.parse().unwrap();
    let local = |transport| Local { transport, bound, advertised: None };
    EndpointConfig::new(vec![local(Transport::Udp), local(Transport::Tcp)], "gw.test", 1)
}

pub(crate) fn udp(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, local: OURS.parse().unwrap(), remote: remote.parse().unwrap() }
}

pub(crate) fn tcp(remote: &str) -> Flow {
    Flow { transport: Transport::Tcp, ..udp(remote) }
}

/// An INVITE of ours towards the peer.
pub(crate) fn invite() -> Invite {
    Invite {
        uri: "sip:600@192.0.2.9".parse().unwrap(),
        from: "\"Visitor\" <sip:web@gw.test>".parse().unwrap(),
        to: None,
        target: Target { transport: Transport::Udp, address: PEER.parse().unwrap(), local: 0 },
        credentials: None,
        extensions: Extensions::USUAL,
        headers: vec![("X-Passerelle-Page".into(), "https://shop.example/cart".into())],
        body: Some(SDP.to_vec()),
        ring_limit: None,
        call_id: None,
        identity: None,
        not_after: None,
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    /// The peer's address is a trunk's.
    pub(crate) fn with(config: EndpointConfig) -> Self {
        let now = start();
        let mut endpoint = Endpoint::new(config, now);
        endpoint.set_trunks(vec!["192.0.2.9".parse().unwrap()]);
        Self { endpoint, start: now, now, out: Vec::new(), events: Vec::new(), refusals: Vec::new(), count: 0 }
    }

    fn drain(&mut self) {
        let at = u64::try_from((self.now - self.start).as_millis()).unwrap();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.out.push((at, transmit));
        }
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                SipEvent::Refused { why, .. } => self.refusals.push(why),
                event => self.events.push(event),
            }
        }
    }

    /// Lets time pass up to this millisecond; every timer fires at its own moment.
    pub(crate) fn run_until_ms(&mut self, ms: u64) {
        let until = self.start + Duration::from_millis(ms);
        while let Some((at, _)) = self.endpoint.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    /// Gives the endpoint an order.
    pub(crate) fn order<T>(&mut self, order: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let result = order(&mut self.endpoint, self.now);
        self.drain();
        result
    }

    pub(crate) fn receive(&mut self, message: impl Into<Octets>) {
        self.receive_from(PEER, message);
    }

    pub(crate) fn receive_from(&mut self, remote: &str, message: impl Into<Octets>) {
        let bytes = message.into().0;
        self.order(|endpoint, now| endpoint.handle_datagram(udp(remote), &bytes, now));
    }

    pub(crate) fn receive_stream(&mut self, remote: &str, message: impl Into<Octets>) {
        let bytes = message.into().0;
        self.order(|endpoint, now| endpoint.handle_stream(tcp(remote), &bytes, now));
    }

    /// What was sent since the last look.
    pub(crate) fn sent(&mut self) -> Vec<(u64, Transmit)> {
        std::mem::take(&mut self.out)
    }

    /// When and what, for transcripts.
    pub(crate) fn titles(&mut self) -> Vec<(u64, String)> {
        self.sent().into_iter().map(|(at, transmit)| (at, title(&transmit.bytes))).collect()
    }

    /// The moments at which this was sent since the last look.
    pub(crate) fn moments(&mut self, what: &str) -> Vec<u64> {
        self.titles().into_iter().filter(|(_, title)| title == what).map(|(at, _)| at).collect()
    }

    /// The one request sent since the last look, with its flow.
    pub(crate) fn request(&mut self) -> (Request, Flow) {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|(_, sent)| title(&sent.bytes)).collect::<Vec<_>>());
        match parse(&sent[0].1.bytes) {
            Message::Request(request) => (request, sent[0].1.flow),
            Message::Response(response) => panic!("a request expected: {response:?}"),
        }
    }

    /// The one response sent since the last look.
    pub(crate) fn response(&mut self) -> Response {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|(_, sent)| title(&sent.bytes)).collect::<Vec<_>>());
        match parse(&sent[0].1.bytes) {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a response expected: {request:?}"),
        }
    }

    pub(crate) fn events(&mut self) -> Vec<SipEvent> {
        std::mem::take(&mut self.events)
    }

    /// The one event since the last look.
    pub(crate) fn event(&mut self) -> SipEvent {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.remove(0)
    }

    /// A request of the far end outside any dialog.
    pub(crate) fn foreign(&mut self, method: Method) -> Request {
        self.count += 1;
        let count = self.count;
        let mut request = Request::new(method.clone(), "sip:desk@192.0.2.1".parse().unwrap());
        let headers = &mut request.headers;
        headers.push(HeaderName::Via, &format!("SIP/2.0/UDP {PEER};branch=z9hG4bKpeer{count};rport"));
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &format!("<sip:pbx@192.0.2.9>;tag=peer{count}"));
        headers.push(HeaderName::To, "<sip:desk@192.0.2.1>");
        headers.push(HeaderName::CallId, &format!("call{count}@192.0.2.9"));
        headers.push(HeaderName::CSeq, &format!("1 {method}"));
        if method == Method::Invite {
            headers.push(HeaderName::Contact, "<sip:pbx@192.0.2.9:5060>");
            headers.push(HeaderName::ContentType, "application/sdp");
            request.body = SDP.to_vec();
        }
        request
    }

    /// A later request of the far end in the dialog that `invite` and our `answer` made.
    pub(crate) fn within(&mut self, invite: &Request, answer: &Response, method: Method, cseq: u32) -> Request {
        let mut request = self.foreign(method.clone());
        let headers = &mut request.headers;
        for (name, value) in [
            (HeaderName::From, invite.headers.get(&HeaderName::From)),
            (HeaderName::To, answer.headers.get(&HeaderName::To)),
            (HeaderName::CallId, invite.headers.get(&HeaderName::CallId)),
        ] {
            headers.set(name, value.unwrap());
        }
        headers.set(HeaderName::CSeq, &format!("{cseq} {method}"));
        request
    }

    /// A request of the far end in the dialog that our `invite` and its `answer` made.
    pub(crate) fn back(&mut self, invite: &Request, answer: &Response, method: Method, cseq: u32) -> Request {
        let mut request = self.within(invite, answer, method, cseq);
        request.headers.set(HeaderName::From, answer.headers.get(&HeaderName::To).unwrap());
        request.headers.set(HeaderName::To, invite.headers.get(&HeaderName::From).unwrap());
        request
    }

    /// The far end calls; returns its INVITE and the endpoint's handle. 100 and the event are checked and gone.
    pub(crate) fn called(&mut self) -> (Request, CallRef) {
        let invite = self.foreign(Method::Invite);
        self.receive(&invite);
        assert_eq!(self.response().status, 100);
        match self.event() {
            SipEvent::Incoming { call, .. } => (invite, call),
            other => panic!("{other:?}"),
        }
    }

    /// A call from the far end, answered and acknowledged.
    pub(crate) fn up_as_callee(&mut self) -> (Request, Response, CallRef) {
        let (invite, call) = self.called();
        self.order(|endpoint, now| endpoint.answer(call, SDP.to_vec(), Vec::new(), now));
        let answer = self.response();
        let ack = self.within(&invite, &answer, Method::Ack, 1);
        self.receive(&ack);
        assert_eq!(self.event(), SipEvent::Confirmed { call, body: None });
        assert!(self.sent().is_empty());
        (invite, answer, call)
    }

    /// A call of ours, answered by the peer. What was sent and reported is gone.
    pub(crate) fn up_as_caller(&mut self) -> (Request, Response, CallRef) {
        let call = self.order(|endpoint, now| endpoint.invite(invite(), now)).unwrap();
        let (request, _) = self.request();
        let answer = answered(&request, "peer");
        self.receive(&answer);
        let (ack, _) = self.request();
        assert_eq!(ack.method, Method::Ack);
        assert!(matches!(self.event(), SipEvent::Answered { .. }));
        (request, answer, call)
    }

    /// Nothing is held any more once 64×T1 and a little have passed.
    pub(crate) fn assert_empty(&mut self) {
        self.run_until_ms(self.now_ms() + 40_000);
        assert_eq!(self.endpoint.ledger(), Ledger::default());
    }
}

/// Octets to be received.
pub(crate) struct Octets(Vec<u8>);

impl From<&Request> for Octets {
    fn from(request: &Request) -> Self {
        Self(request.encode())
    }
}

impl From<&Response> for Octets {
    fn from(response: &Response) -> Self {
        Self(response.encode())
    }
}

impl From<&[u8]> for Octets {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Message {
    parse_datagram(bytes, &Limits::default()).unwrap()
}

fn title(bytes: &[u8]) -> String {
    match parse(bytes) {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => response.status.to_string(),
    }
}

/// The far end's answer to a request of ours, with a tag and a contact.
pub(crate) fn reply(request: &Request, status: u16, tag: &str) -> Response {
    let mut response = request.reply(status, "Whatever");
    response.set_to_tag(tag);
    if status < 300 {
        response.headers.push(HeaderName::Contact, "<sip:600@192.0.2.9:5060>");
    }
    response
}

/// The same with a session description.
pub(crate) fn answered(request: &Request, tag: &str) -> Response {
    let mut response = reply(request, 200, tag);
    response.headers.push(HeaderName::ContentType, "application/sdp");
    response.body = SDP.to_vec();
    response
}
