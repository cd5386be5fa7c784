//! What the endpoint refuses to do, and how a call or a request of ours failed.

use std::fmt;
use std::time::Duration;

use crate::message::{HeaderName, Headers, Response};
use crate::timer::Timer;
use crate::values::{split_list, split_outside, unquote};

/// Why the endpoint did not do what its owner asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SipError {
    /// No call, registration or probe has this handle any more.
    Unknown,
    /// The call is not in a state that allows it.
    WrongState,
    /// Another offer of the call is still without its answer (RFC 3261 §14.1).
    OfferPending,
    /// `max_calls` is reached.
    TooManyCalls,
    /// `max_transactions` is reached.
    TooManyTransactions,
    /// The target names a local address that is not configured for its transport.
    NoSuchLocal,
    /// A header given by the application is not allowed: empty, with control characters, or the endpoint's own.
    BadHeader,
}

impl fmt::Display for SipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such call, registration or probe",
            Self::WrongState => "the call is not in a state for this",
            Self::OfferPending => "another offer is still unanswered",
            Self::TooManyCalls => "too many calls",
            Self::TooManyTransactions => "too many transactions",
            Self::NoSuchLocal => "no such local address for this transport",
            Self::BadHeader => "header name or value not allowed",
        })
    }
}

impl std::error::Error for SipError {}

/// How a request of ours ended when not in success.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Final status of the far end; 408 for a time-out and 503 for a broken transport (RFC 3261 §8.1.3.1).
    pub status: u16,
    /// Reason phrase of the far end, or our own words.
    pub phrase: String,
    /// Cause of a `Reason: Q.850` header (RFC 3326).
    pub q850: Option<u8>,
    /// How long the far end wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The timer that ended it, where no answer did.
    pub timed_out: Option<Timer>,
    /// The transport failed; no answer says this status.
    pub broken: bool,
    /// The far end never said a word, were it 100: of a call of ours, nothing can be ringing there that will not end.
    pub unheard: bool,
}

impl Failure {
    /// What a final response says.
    pub(crate) fn from_response(response: &Response) -> Self {
        Self {
            status: response.status,
            phrase: crate::headers::clean(&response.phrase, 256),
            q850: Reason::q850(&response.headers),
            retry_after: retry_after(&response.headers),
            timed_out: None,
            broken: false,
            unheard: false,
        }
    }

    /// No answer in time: as a 408 (§8.1.3.1).
    pub(crate) fn timed_out(timer: Timer) -> Self {
        Self {
            status: 408,
            phrase: "No answer".into(),
            q850: None,
            retry_after: None,
            timed_out: Some(timer),
            broken: false,
            unheard: false,
        }
    }

    /// The connection broke after the far end had said something: what it does now is not known.
    pub fn broken_late(&self) -> bool {
        self.broken && !self.unheard
    }

    /// The transport failed: as a 503 (§8.1.3.1).
    pub(crate) fn transport() -> Self {
        Self {
            status: 503,
            phrase: "Transport failed".into(),
            q850: None,
            retry_after: None,
            timed_out: None,
            broken: true,
            unheard: false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.phrase)?;
        if let Some(timer) = self.timed_out {
            write!(f, " (timer {timer:?})")?;
        }
        Ok(())
    }
}

/// Seconds of a Retry-After header, its comment and parameters dropped (§20.33).
pub(crate) fn retry_after(headers: &Headers) -> Option<Duration> {
    let value = headers.get(&HeaderName::RetryAfter)?;
    let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
    let seconds: u32 = digits.parse().ok()?;
    Some(Duration::from_secs(u64::from(seconds.min(86_400))))
}

/// Why a call ends, as told to the far end (RFC 3326).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: String,
    /// Cause within that protocol.
    pub cause: Option<u16>,
    /// Words for a person.
    pub text: Option<String>,
}

impl Reason {
    /// A `SIP` reason, such as 200 "Call completed elsewhere".
    pub fn sip(cause: u16, text: &str) -> Self {
        Self { protocol: "SIP".into(), cause: Some(cause), text: Some(text.into()) }
    }

    /// A `Q.850` reason, such as 16 "Normal call clearing".
    pub fn q850_cause(cause: u8, text: &str) -> Self {
        Self { protocol: "Q.850".into(), cause: Some(u16::from(cause)), text: Some(text.into()) }
    }

    /// The first reason of a message.
    pub fn first(headers: &Headers) -> Option<Self> {
        headers.get(&HeaderName::Reason).and_then(|value| split_list(value).next()).and_then(Self::parse)
    }

    /// The Q.850 cause of a message, whichever of its reasons carries it.
    pub fn q850(headers: &Headers) -> Option<u8> {
        headers
            .values(&HeaderName::Reason)
            .filter_map(Self::parse)
            .find(|reason| reason.protocol.eq_ignore_ascii_case("Q.850"))
            .and_then(|reason| reason.cause)
            .and_then(|cause| u8::try_from(cause).ok())
    }

    fn parse(value: &str) -> Option<Self> {
        let mut parts = split_outside(value, b';');
        let protocol = parts.next()?.trim();
        if protocol.is_empty() {
            return None;
        }
        let mut reason = Self { protocol: crate::headers::clean(protocol, 32), cause: None, text: None };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let name = name.trim();
            if name.eq_ignore_ascii_case("cause") {
                reason.cause = value.trim().parse().ok();
            } else if name.eq_ignore_ascii_case("text") {
                reason.text = Some(crate::headers::clean(&unquote(value.trim()), 128));
            }
        }
        Some(reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token: String =
            self.protocol.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
        f.write_str(&token)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            let text = crate::headers::clean(text, 128).replace('\\', "").replace('"', "'");
            write!(f, ";text=\"{text}\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[(&str, Option<u16>, Option<&str>)]) {
        let mut headers = Headers::new();
        headers.push(HeaderName::Reason, value);
        let first = Reason::first(&headers);
        let expected_first = expected.first().map(|(protocol, cause, text)| Reason {
            protocol: (*protocol).into(),
            cause: *cause,
            text: text.map(Into::into),
        });
        assert_eq!(first, expected_first, "{value}");
    }

    #[test]
    fn reasons_are_read_with_quotes_commas_and_odd_spacing() {
        check(
            "SIP ;cause=200 ;text=\"Call completed elsewhere\"",
            &[("SIP", Some(200), Some("Call completed elsewhere"))],
        );
        check("Q.850;cause=16;text=\"a;b,c=\\\"d\\\"\", SIP;cause=600", &[("Q.850", Some(16), Some("a;b,c=\"d\""))]);
        check("preemption;cause=99999999", &[("preemption", None, None)]);
        check("", &[]);
    }

    #[test]
    fn the_q850_cause_is_found_among_several_reasons() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Reason, "SIP;cause=486, q.850;cause=17;text=\"User busy\"");
        assert_eq!(Reason::q850(&headers), Some(17));
        let mut headers = Headers::new();
        headers.push(HeaderName::Reason, "Q.850;cause=300");
        assert_eq!(Reason::q850(&headers), None);
    }

    #[test]
    fn a_reason_text_can_not_break_the_header() {
        let reason = Reason::sip(200, "a\"b\\c\r\nBye: 1");
        let text = reason.to_string();
        assert!(!text.contains('\r') && !text.contains('\n'), "{text}");
        assert!(text.starts_with("SIP;cause=200;text=\"a'bc"), "{text}");
    }

    #[test]
    fn retry_after_drops_comment_and_parameters() {
        let mut headers = Headers::new();
        headers.push(HeaderName::RetryAfter, "18000 (in a meeting);duration=3600");
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(18_000)));
        headers.set(HeaderName::RetryAfter, "soon");
        assert_eq!(retry_after(&headers), None);
    }
}
