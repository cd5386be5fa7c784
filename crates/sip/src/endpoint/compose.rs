//! The parts of messages that are the same everywhere: what we can do, bodies, credentials, phrases.

use crate::check::Abilities;
use crate::digest::{self, Challenge, Credentials};
use crate::endpoint::Extensions;
use crate::error::SipError;
use crate::message::{HeaderName, Headers, Method, Request, Response};

/// What this endpoint answers. The others are refused with 405.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, REGISTER";

/// The only session description.
const SDP: &str = "application/sdp";

/// The same for the checks of §8.2.
pub(crate) fn our_abilities(extensions: Extensions) -> Abilities {
    Abilities {
        methods: vec![
            Method::Invite,
            Method::Ack,
            Method::Cancel,
            Method::Bye,
            Method::Options,
            Method::Info,
            Method::Update,
            Method::Prack,
            Method::Refer,
            Method::Notify,
            Method::Register,
        ],
        extensions: extensions.supported().into_iter().map(str::to_owned).collect(),
        content_types: [SDP, "application/dtmf-relay", "application/dtmf", "message/sipfrag"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// Allow and Supported, as every INVITE and its 2xx should carry them (§13.2.1).
pub(crate) fn abilities(headers: &mut Headers, extensions: Extensions) {
    headers.push(HeaderName::Allow, ALLOW);
    let supported = extensions.supported();
    if !supported.is_empty() {
        headers.push(HeaderName::Supported, &supported.join(", "));
    }
}

/// Headers the endpoint itself writes; the application cannot.
fn is_ours(name: &HeaderName) -> bool {
    [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::Contact,
        HeaderName::MaxForwards,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::Allow,
        HeaderName::Authorization,
        HeaderName::ProxyAuthorization,
        HeaderName::UserAgent,
        HeaderName::Server,
        HeaderName::Expires,
        HeaderName::Supported,
        HeaderName::Require,
        HeaderName::SessionExpires,
        HeaderName::MinSe,
        HeaderName::RSeq,
        HeaderName::RAck,
        HeaderName::Event,
        HeaderName::SubscriptionState,
        HeaderName::ReferTo,
    ]
    .contains(name)
}

/// Headers of the application on a request, each checked.
pub(crate) fn application_headers(headers: &mut Headers, wanted: &[(String, String)]) -> Result<(), SipError> {
    for (name, value) in wanted {
        if !is_allowed(name, value) {
            return Err(SipError::BadHeader);
        }
        headers.push(HeaderName::parse(name), value);
    }
    Ok(())
}

/// Headers of the application on an answer: a bad one is left out, for the answer itself must go.
pub(crate) fn known_good_headers(headers: &mut Headers, wanted: &[(String, String)]) {
    for (name, value) in wanted.iter().filter(|(name, value)| is_allowed(name, value)) {
        headers.push(HeaderName::parse(name), value);
    }
}

fn is_allowed(name: &str, value: &str) -> bool {
    crate::values::is_token(name)
        && !value.trim().is_empty()
        && !value.chars().any(char::is_control)
        && !is_ours(&HeaderName::parse(name))
}

/// Puts a session description on a message.
pub(crate) fn sdp(headers: &mut Headers, place: &mut Vec<u8>, body: Vec<u8>) {
    headers.push(HeaderName::ContentType, SDP);
    *place = body;
}

/// A body, or none.
pub(crate) fn body_of(body: &[u8]) -> Option<Vec<u8>> {
    (!body.is_empty()).then(|| body.to_vec())
}

/// Puts credentials for the challenges of a response on a request, and the next CSeq, which it returns.
/// `None`: no answer to these challenges, or the same password was refused already.
pub fn prove(request: &mut Request, response: &Response, credentials: &Credentials, cnonce: &str) -> Option<u32> {
    let proxy = response.status == 407;
    let name = if proxy { HeaderName::ProxyAuthorization } else { HeaderName::Authorization };
    let challenges = Challenge::all(&response.headers, proxy);
    // Refused with these very credentials, and not because the nonce was old: they are wrong.
    if request.headers.get(&name).is_some() && !challenges.iter().any(|challenge| challenge.stale) {
        return None;
    }
    let uri = request.uri.to_string();
    let value = digest::answer(&challenges, credentials, (&request.method, &request.body), &uri, 1, cnonce)?;
    request.headers.remove(&name);
    request.headers.push(name, &value);
    let cseq = request.cseq().ok()?.number.saturating_add(1);
    request.headers.set(HeaderName::CSeq, &format!("{cseq} {}", request.method));
    Some(cseq)
}

/// The usual reason phrase.
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        410 => "Gone",
        415 => "Unsupported Media Type",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        600 => "Busy Everywhere",
        603 => "Decline",
        606 => "Not Acceptable",
        _ => kind(status),
    }
}

/// What the class of a status says (§7.2).
fn kind(status: u16) -> &'static str {
    match status / 100 {
        1 => "Progress",
        2 => "OK",
        3 => "Redirected",
        5 => "Server Failure",
        _ => "Refused",
    }
}
