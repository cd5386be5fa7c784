//! Requests and responses as the rest of the room sees them, and their encoding.

mod header_name;
mod headers;
mod method;
#[cfg(test)]
mod tests;

pub use header_name::HeaderName;
pub use headers::Headers;
pub use method::Method;

use std::net::SocketAddr;

use crate::uri::Uri;
use crate::values::{CSeq, Contacts, NameAddr, ValueError, Via};

/// One SIP message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request (RFC 3261 §7.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub uri: Uri,
    /// Headers in the order of the wire.
    pub headers: Headers,
    /// Body, possibly empty. Content-Length is computed from it.
    pub body: Vec<u8>,
}

/// A response (RFC 3261 §7.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// Reason phrase, possibly empty.
    pub phrase: String,
    /// Headers in the order of the wire.
    pub headers: Headers,
    /// Body, possibly empty. Content-Length is computed from it.
    pub body: Vec<u8>,
}

/// Header access that requests and responses share.
macro_rules! shared_accessors {
    () => {
        /// The topmost Via.
        pub fn via(&self) -> Result<Via, ValueError> {
            self.headers.via()
        }

        /// Every Via, topmost first.
        pub fn vias(&self) -> Result<Vec<Via>, ValueError> {
            self.headers.vias()
        }

        /// The branch of the topmost Via, where it has one.
        pub fn branch(&self) -> Option<String> {
            self.headers.via().ok().and_then(|via| via.branch().map(str::to_owned))
        }

        /// From.
        pub fn from(&self) -> Result<NameAddr, ValueError> {
            self.headers.name_addr(&HeaderName::From)
        }

        /// To.
        pub fn to(&self) -> Result<NameAddr, ValueError> {
            self.headers.name_addr(&HeaderName::To)
        }

        /// The tag of From.
        pub fn from_tag(&self) -> Option<String> {
            self.from().ok().and_then(|from| from.tag().map(str::to_owned))
        }

        /// The tag of To: absent outside a dialog.
        pub fn to_tag(&self) -> Option<String> {
            self.to().ok().and_then(|to| to.tag().map(str::to_owned))
        }

        /// Call-ID.
        pub fn call_id(&self) -> Result<&str, ValueError> {
            self.headers.need(&HeaderName::CallId)
        }

        /// CSeq.
        pub fn cseq(&self) -> Result<CSeq, ValueError> {
            self.headers.need(&HeaderName::CSeq)?.parse()
        }

        /// The first Contact, `None` where there is none or it is `*`.
        pub fn contact(&self) -> Result<Option<NameAddr>, ValueError> {
            Ok(match self.headers.contacts()? {
                Contacts::Star => None,
                Contacts::List(list) => list.into_iter().next(),
            })
        }

        /// Every Contact.
        pub fn contacts(&self) -> Result<Contacts, ValueError> {
            self.headers.contacts()
        }

        /// Content-Type without parameters, in lower case.
        pub fn content_type(&self) -> Option<String> {
            self.headers.content_type()
        }
    };
}

impl Message {
    /// The message as it goes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.encode(),
            Self::Response(response) => response.encode(),
        }
    }

    /// Headers of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// Headers of either kind, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    /// Body of either kind.
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

impl Request {
    shared_accessors!();

    /// A request with no header yet.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Vec::new() }
    }

    /// Max-Forwards, `None` where it is absent or not a number of 0 to 255.
    pub fn max_forwards(&self) -> Option<u8> {
        self.headers.number(&HeaderName::MaxForwards)
    }

    /// The request as it goes on the wire; Content-Length is computed.
    pub fn encode(&self) -> Vec<u8> {
        let start = format!("{} {} SIP/2.0\r\n", self.method, self.uri);
        encode(start, &self.headers, &self.body)
    }

    /// A response to this request with the headers of RFC 3261 §8.2.6.2: all Via, From, To, Call-ID, CSeq
    /// (and Timestamp in a 100). The To tag is the caller's to add: see [`Response::set_to_tag`].
    pub fn reply(&self, status: u16, phrase: &str) -> Response {
        let mut headers = Headers::new();
        for (name, value) in self.headers.iter() {
            let copied = match status {
                100 if name == &HeaderName::Timestamp => true,
                _ if name == &HeaderName::RecordRoute => makes_dialog(&self.method, status),
                _ => COPIED.contains(name),
            };
            if copied {
                headers.push_raw(name.clone(), value.to_owned());
            }
        }
        Response { status, phrase: crate::headers::clean(phrase, 256), headers, body: Vec::new() }
    }

    /// Notes in the topmost Via where the request really came from: `received` where it differs from the
    /// sent-by host (§18.2.1), `rport` where it was asked for (RFC 3581 §4).
    pub fn note_source(&mut self, source: SocketAddr) -> Result<(), ValueError> {
        let mut via = self.headers.via()?;
        via.note_source(source);
        self.headers.set_first_via(&via);
        Ok(())
    }
}

/// What every response takes from its request.
const COPIED: [HeaderName; 5] =
    [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];

/// Record-Route is copied into what makes a dialog: 101-299 to INVITE and friends (§12.1.1).
fn makes_dialog(method: &Method, status: u16) -> bool {
    (101..300).contains(&status)
        && matches!(method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
}

impl Response {
    shared_accessors!();

    /// The response as it goes on the wire; Content-Length is computed.
    pub fn encode(&self) -> Vec<u8> {
        let start = format!("SIP/2.0 {:03} {}\r\n", self.status, self.phrase);
        encode(start, &self.headers, &self.body)
    }

    /// 100 to 199.
    pub fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Gives To this tag where it has none yet (§8.2.6.2). An unreadable To stays as it is.
    pub fn set_to_tag(&mut self, tag: &str) {
        // Appended to the text as it came: the rest must go back unchanged.
        if self.to().is_ok_and(|to| to.tag().is_none())
            && let Some(text) = self.headers.get(&HeaderName::To)
        {
            let text = format!("{};tag={tag}", text.trim_end_matches([';', ' ']));
            self.headers.set_raw(&HeaderName::To, text);
        }
    }
}

/// Start line, headers, Content-Length where the headers had it (else at the end), blank line, body.
fn encode(start: String, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut out = Vec::with_capacity(start.len() + size + 32 + body.len());
    out.extend_from_slice(start.as_bytes());
    let mut length_written = false;
    for (name, value) in headers.iter() {
        if name == &HeaderName::ContentLength {
            if !length_written {
                write_length(&mut out, body.len());
                length_written = true;
            }
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !length_written {
        write_length(&mut out, body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

fn write_length(out: &mut Vec<u8>, length_bytes: usize) {
    out.extend_from_slice(format!("Content-Length: {length_bytes}\r\n").as_bytes());
}
