//! Dialogs: who talks with whom, in which order, and by which way requests within it go (RFC 3261 §12).

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::endpoint::{Flow, Local, Transport};
use crate::message::{HeaderName, Method, Request, Response};
use crate::uri::Uri;
use crate::values::{CSeq, NameAddr, ValueError};

/// Route entries kept at most; a longer set is a hostile one.
const MAX_ROUTES: usize = 32;

/// One dialog, early or confirmed, seen from this side.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// From of our requests, with our tag.
    pub(crate) local: NameAddr,
    /// To of our requests, with the far end's tag (none at an RFC 2543 peer).
    pub(crate) remote: NameAddr,
    /// Contact of the far end.
    pub(crate) remote_target: Uri,
    /// Proxies that want to stay in the path, next hop first.
    pub(crate) routes: Vec<NameAddr>,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    /// The path last used: the way back to a far end whose contact leads nowhere.
    pub(crate) flow: Flow,
    /// A phone registered here or a proven account: only its own flow reaches it, whatever its contact says.
    pub(crate) pinned: bool,
    /// Our Contact.
    pub(crate) contact: String,
}

impl Dialog {
    /// The dialog a response to our INVITE makes (§12.1.2).
    pub(crate) fn from_response(
        request: &Request,
        response: &Response,
        flow: Flow,
        pinned: bool,
    ) -> Result<Self, ValueError> {
        let mut routes = response.headers.name_addrs(&HeaderName::RecordRoute)?;
        routes.reverse();
        routes.truncate(MAX_ROUTES);
        let remote_target = match response.contact() {
            Ok(Some(contact)) => contact.uri,
            // Some far ends forget it or write nonsense; the flow still leads back to them.
            Ok(None) | Err(_) => request.uri.clone(),
        };
        Ok(Self {
            call_id: request.call_id()?.to_owned(),
            local: request.from()?,
            remote: response.to()?,
            remote_target,
            routes,
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
            flow,
            pinned,
            contact: request.headers.get(&HeaderName::Contact).unwrap_or_default().to_owned(),
        })
    }

    /// The dialog an INVITE from outside makes (§12.1.1).
    pub(crate) fn from_request(
        request: &Request,
        local_tag: &str,
        contact: String,
        flow: Flow,
        pinned: bool,
    ) -> Result<Self, ValueError> {
        let mut routes = request.headers.name_addrs(&HeaderName::RecordRoute)?;
        routes.truncate(MAX_ROUTES);
        let mut local = request.to()?;
        local.set_tag(local_tag);
        let remote_target = request.contact()?.ok_or_else(|| ValueError::missing(&HeaderName::Contact))?.uri;
        Ok(Self {
            call_id: request.call_id()?.to_owned(),
            local,
            remote: request.from()?,
            remote_target,
            routes,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            flow,
            pinned,
            contact,
        })
    }

    pub(crate) fn remote_tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// A request within the dialog with the next CSeq (§12.2.1.1). Via and the rest are the layer's.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.with_cseq(method, self.local_cseq)
    }

    /// The ACK of a 2xx: the CSeq of its INVITE (§13.2.2.4).
    pub(crate) fn ack(&self, cseq: u32) -> Request {
        self.with_cseq(Method::Ack, cseq)
    }

    fn with_cseq(&self, method: Method, number: u32) -> Request {
        let mut uri = self.remote_target.clone();
        // §19.1.1: neither has a place in a Request-URI.
        uri.headers = None;
        uri.params.remove("method");
        let mut routes: Vec<String> = self.routes.iter().map(ToString::to_string).collect();
        if let Some(first) = self.routes.first()
            && !first.uri.is_loose_route()
        {
            // A strict router wants its own address as the Request-URI and the target at the end.
            routes.remove(0);
            routes.push(format!("<{uri}>"));
            uri = first.uri.clone();
        }
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        for route in routes {
            headers.push(HeaderName::Route, &route);
        }
        headers.push(HeaderName::From, &self.local.to_string());
        headers.push(HeaderName::To, &self.remote.to_string());
        headers.push(HeaderName::CallId, &self.call_id);
        headers.push(HeaderName::CSeq, &CSeq { number, method: method.clone() }.to_string());
        if matches!(method, Method::Invite | Method::Update) {
            headers.push(HeaderName::Contact, &self.contact);
        }
        request
    }

    /// Checks the order of a request from the far end (§12.2.2) and takes over where it now is.
    /// `false`: out of order, to be answered 500.
    pub(crate) fn accept(&mut self, request: &Request, flow: Flow) -> bool {
        let Ok(cseq) = request.cseq() else {
            return false;
        };
        if self.remote_cseq.is_some_and(|last| cseq.number <= last) {
            return false;
        }
        self.remote_cseq = Some(cseq.number);
        self.flow = flow;
        true
    }

    /// Target refresh by a re-INVITE, an UPDATE or the 2xx to one (§12.2).
    pub(crate) fn refresh_target(&mut self, contact: Result<Option<NameAddr>, ValueError>) {
        if let Ok(Some(contact)) = contact
            && contact.uri.is_sip()
        {
            self.remote_target = contact.uri;
        }
    }

    /// The connection last used is closed: the next one goes to the contact, where that is an address.
    pub(crate) fn flow_lost(&mut self) {
        let remote = self.flow.remote;
        if let Some(ip) = self.remote_target.host.ip()
            && !self.pinned
            && !leads_nowhere(ip, remote.ip())
        {
            self.flow.remote =
                SocketAddr::new(ip, self.remote_target.port.unwrap_or_else(|| self.flow.transport.default_port()));
        }
    }

    /// By which way a request goes: the first route or the far end's contact where these are addresses one
    /// can send to, else the path last used.
    pub(crate) fn next_hop(&self, locals: &[Local]) -> Flow {
        if self.pinned {
            return self.flow;
        }
        let uri = self.routes.first().map_or(&self.remote_target, |route| &route.uri);
        next_hop(uri, self.flow, locals)
    }
}

/// The flow towards a URI, falling back to the path last used. Names are not looked up here: behind a name
/// that the far end gave stands the far end, and the path it used leads there.
pub(crate) fn next_hop(uri: &Uri, last: Flow, locals: &[Local]) -> Flow {
    let Some(ip) = uri.host.ip() else {
        return last;
    };
    if !uri.is_sip() || leads_nowhere(ip, last.remote.ip()) {
        return last;
    }
    // What began encrypted goes on encrypted, and to the one whose certificate was looked at: an address in a
    // contact has no name to be held against.
    if last.transport == Transport::Tls {
        return last;
    }
    let remote = SocketAddr::new(ip, uri.port_or_default());
    let transport = match uri.transport().map(Transport::of_param) {
        Some(Some(transport @ (Transport::Udp | Transport::Tcp))) => transport,
        // Whatever carried the last message has to do.
        Some(Some(Transport::Tls) | None) => return last,
        None if ip == last.remote.ip() => last.transport,
        None => Transport::Udp,
    };
    if transport == last.transport {
        // RFC 5923: the connection at hand serves requests of both directions.
        if transport.is_reliable() && ip == last.remote.ip() {
            return last;
        }
        return Flow { transport, local: last.local, remote };
    }
    let local = locals.iter().find(|local| local.transport == transport && local.bound.is_ipv4() == remote.is_ipv4());
    match local {
        Some(local) => Flow { transport, local: local.bound, remote },
        None => last,
    }
}

/// A contact of a far end behind NAT: an address nobody outside can reach, sent from one that can be.
fn leads_nowhere(contact: IpAddr, source: IpAddr) -> bool {
    if contact == source {
        return false;
    }
    contact.is_unspecified()
        || contact.is_multicast()
        || (is_inner(contact) && !is_inner(source))
        || (contact.is_loopback() && !source.is_loopback())
}

fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            // RFC 6598: 100.64.0.0/10 stands behind a carrier's NAT.
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
                || ip.is_broadcast()
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
