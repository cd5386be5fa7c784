//! What a user agent server refuses before it looks at the meaning (RFC 3261 §8.2).

use crate::message::{HeaderName, Method, Request, Response};

/// What this side can do; what is asked beyond is refused.
#[derive(Clone, Debug)]
pub struct Abilities {
    /// Methods, as in Allow.
    pub methods: Vec<Method>,
    /// Extensions, as in Supported.
    pub extensions: Vec<String>,
    /// Body types, as in Accept.
    pub content_types: Vec<String>,
}

/// A request that is refused: the status and what must go with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// 400, 405, 415, 416, 420…
    pub status: u16,
    /// Reason phrase that says what is wrong.
    pub phrase: String,
    /// Headers the answer must carry: Allow, Accept, Unsupported, Warning…
    pub headers: Vec<(HeaderName, String)>,
}

impl Rejection {
    /// The answer. The To tag is the caller's to add.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.reply(self.status, &self.phrase);
        for (name, value) in &self.headers {
            response.headers.push(name.clone(), value);
        }
        response
    }
}

/// Checks a parsed request. ACK is never answered: for an ACK an error means "drop it".
pub fn check_request(request: &Request, abilities: &Abilities) -> Result<(), Rejection> {
    todo!("{request:?} {abilities:?}")
}
