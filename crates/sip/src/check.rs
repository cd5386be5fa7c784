//! What a user agent server refuses before it looks at the meaning (RFC 3261 §8.2).
//!
//! Max-Forwards of 0 is no reason: this is an endpoint, not a proxy (RFC 4475 §3.3.11).

#[cfg(test)]
mod tests;

use crate::message::{HeaderName, Method, Request, Response};
use crate::uri::Scheme;
use crate::values::{Contacts, SessionExpires, decimal};

/// What this side can do; what is asked beyond is refused.
#[derive(Clone, Debug)]
pub struct Abilities {
    /// Methods, as in Allow.
    pub methods: Vec<Method>,
    /// Extensions, as in Supported.
    pub extensions: Vec<String>,
    /// Body types, as in Accept, in lower case.
    pub content_types: Vec<String>,
}

impl Default for Abilities {
    /// A plain caller and callee with a registrar.
    fn default() -> Self {
        Self {
            methods: vec![
                Method::Invite,
                Method::Ack,
                Method::Bye,
                Method::Cancel,
                Method::Options,
                Method::Register,
                Method::Info,
            ],
            extensions: Vec::new(),
            content_types: vec![
                "application/sdp".to_owned(),
                "application/dtmf-relay".to_owned(),
                "application/dtmf".to_owned(),
            ],
        }
    }
}

impl Abilities {
    /// The value of Allow.
    pub fn allow(&self) -> String {
        self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The value of Accept.
    pub fn accept(&self) -> String {
        self.content_types.join(", ")
    }

    /// The value of Supported; possibly empty.
    pub fn supported(&self) -> String {
        self.extensions.join(", ")
    }
}

/// A request that is refused: the status and what must go with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// 400, 405, 406, 415, 416, 420 or 501.
    pub status: u16,
    /// Reason phrase that says what is wrong.
    pub phrase: String,
    /// Headers the answer must carry: Allow, Accept, Unsupported, Warning.
    pub headers: Vec<(HeaderName, String)>,
}

impl Rejection {
    fn new(status: u16, phrase: &str) -> Self {
        Self { status, phrase: phrase.to_owned(), headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer. The To tag is the caller's to add.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.reply(self.status, &self.phrase);
        for (name, value) in &self.headers {
            response.headers.push(name.clone(), value);
        }
        response
    }
}

/// Checks a parsed request in the order of §8.2: method, headers, URI, extensions, body. An ACK is never
/// answered: for it an error means "drop it and count it". Require in a CANCEL or ACK is ignored (§8.2.2.3).
pub fn check_request(request: &Request, abilities: &Abilities) -> Result<(), Rejection> {
    method(request, abilities)?;
    numbers(request)?;
    schemes(request)?;
    if !matches!(request.method, Method::Ack | Method::Cancel) {
        extensions(request, abilities)?;
    }
    content(request, abilities)
}

/// §8.2.1. A method nobody here knows is 501 (RFC 4475 §3.1.1.2), one we know and do not serve is 405.
fn method(request: &Request, abilities: &Abilities) -> Result<(), Rejection> {
    if !abilities.methods.contains(&request.method) {
        let unknown = matches!(request.method, Method::Other(_));
        let (status, phrase) = if unknown { (501, "Not Implemented") } else { (405, "Method Not Allowed") };
        return Err(Rejection::new(status, phrase).with(HeaderName::Allow, abilities.allow()));
    }
    let cseq = request.cseq().map_err(|error| bad(&error.to_string()))?;
    if cseq.method == request.method {
        Ok(())
    } else {
        Err(bad("CSeq method does not match the request")) // RFC 4475 §3.1.2.17
    }
}

fn bad(why: &str) -> Rejection {
    Rejection::new(400, &format!("Bad Request: {why}"))
}

/// Numbers that do not fit are refused, never wrapped (RFC 4475 §3.1.2.4).
fn numbers(request: &Request) -> Result<(), Rejection> {
    let fits = |text: &str, max: u64| decimal(text.trim()).is_some_and(|number| number <= max);
    let limits = [
        (HeaderName::MaxForwards, 255),
        (HeaderName::Expires, u64::from(u32::MAX)),
        (HeaderName::MinExpires, u64::from(u32::MAX)),
    ];
    for (name, max) in limits {
        if request.headers.all(&name).any(|text| !fits(text, max)) {
            return Err(bad(&format!("{name} is out of range")));
        }
    }
    for name in [HeaderName::SessionExpires, HeaderName::MinSe] {
        if request.headers.all(&name).any(|text| text.parse::<SessionExpires>().is_err()) {
            return Err(bad(&format!("{name} is not a number of seconds")));
        }
    }
    if request.method != Method::Register {
        return Ok(());
    }
    let contacts = request.contacts().map_err(|error| bad(&error.to_string()))?;
    let Contacts::List(contacts) = contacts else {
        // §10.2.2: `*` only with Expires: 0.
        let zero = request.headers.number::<u32>(&HeaderName::Expires) == Some(0);
        let alone = request.headers.all(&HeaderName::Contact).nth(1).is_none();
        return if zero && alone { Ok(()) } else { Err(bad("Contact * needs Expires 0")) };
    };
    let out_of_range = |text: &str| !fits(text, u64::from(u32::MAX));
    if contacts.iter().any(|contact| contact.params.get("expires").is_some_and(out_of_range)) {
        return Err(bad("expires of Contact is out of range"));
    }
    Ok(())
}

/// §8.2.2.1: a scheme we do not understand in the request URI is 416; a REGISTER of an address of record that
/// is no SIP URI is 400 (RFC 4475 §3.3.4).
fn schemes(request: &Request) -> Result<(), Rejection> {
    let callable = match &request.uri.scheme {
        Scheme::Sip | Scheme::Sips => true,
        // A phone number only makes sense where somebody is to be called.
        Scheme::Tel => request.method != Method::Register,
        Scheme::Other(_) => false,
    };
    if !callable {
        return Err(Rejection::new(416, "Unsupported URI Scheme"));
    }
    if request.method == Method::Register && !request.to().is_ok_and(|to| to.uri.is_sip()) {
        return Err(bad("To of a REGISTER must be a sip uri"));
    }
    Ok(())
}

/// §8.2.2.3.
fn extensions(request: &Request, abilities: &Abilities) -> Result<(), Rejection> {
    let unknown: Vec<&str> = request
        .headers
        .values(&HeaderName::Require)
        .filter(|wanted| !abilities.extensions.iter().any(|have| have.eq_ignore_ascii_case(wanted)))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Rejection::new(420, "Bad Extension").with(HeaderName::Unsupported, unknown.join(", ")))
}

/// §8.2.3, and §13.3.1.3 where the caller would not understand our SDP.
fn content(request: &Request, abilities: &Abilities) -> Result<(), Rejection> {
    let encoded =
        request.headers.values(&HeaderName::ContentEncoding).any(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    if encoded && !request.body.is_empty() {
        return Err(
            Rejection::new(415, "Unsupported Media Type").with(HeaderName::AcceptEncoding, "identity".to_owned())
        );
    }
    let optional = request
        .headers
        .get(&HeaderName::ContentDisposition)
        .is_some_and(|text| text.to_ascii_lowercase().contains("handling=optional"));
    if !request.body.is_empty() && !optional && request.method != Method::Cancel {
        let kind = request.content_type().unwrap_or_default();
        // A body without a type can only be SDP from a careless INVITE; anything else is not guessed at.
        let untyped_offer = kind.is_empty() && request.method == Method::Invite;
        if !untyped_offer && !abilities.content_types.contains(&kind) {
            return Err(Rejection::new(415, "Unsupported Media Type").with(HeaderName::Accept, abilities.accept()));
        }
    }
    if request.method == Method::Invite && !accepts_sdp(request) {
        return Err(Rejection::new(406, "Not Acceptable").with(
            HeaderName::Warning,
            "399 passerelle \"this side describes sessions in application/sdp only\"".to_owned(),
        ));
    }
    Ok(())
}

/// No Accept in an INVITE means application/sdp (§20.1).
fn accepts_sdp(request: &Request) -> bool {
    let mut ranges = request.headers.values(&HeaderName::Accept).peekable();
    if ranges.peek().is_none() {
        return true;
    }
    ranges.any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        let kind: String = kind.chars().filter(|c| !c.is_whitespace()).collect();
        ["application/sdp", "application/*", "*/*"].iter().any(|have| kind.eq_ignore_ascii_case(have))
    })
}
