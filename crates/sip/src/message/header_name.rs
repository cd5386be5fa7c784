//! Header names: one value for every spelling (case, compact form), unknown names kept.

use std::fmt;

/// A header's name. `via`, `Via` and `v` are all [`HeaderName::Via`] (RFC 3261 §7.3.1, §7.3.3).
#[derive(Clone, Debug)]
pub enum HeaderName {
    /// `Accept`.
    Accept,
    /// `Accept-Encoding`.
    AcceptEncoding,
    /// `Accept-Language`.
    AcceptLanguage,
    /// `Alert-Info`.
    AlertInfo,
    /// `Allow`.
    Allow,
    /// `Allow-Events`.
    AllowEvents,
    /// `Authentication-Info`.
    AuthenticationInfo,
    /// `Authorization`.
    Authorization,
    /// `Call-ID`.
    CallId,
    /// `Call-Info`.
    CallInfo,
    /// `Contact`.
    Contact,
    /// `Content-Disposition`.
    ContentDisposition,
    /// `Content-Encoding`.
    ContentEncoding,
    /// `Content-Language`.
    ContentLanguage,
    /// `Content-Length`.
    ContentLength,
    /// `Content-Type`.
    ContentType,
    /// `CSeq`.
    CSeq,
    /// `Date`.
    Date,
    /// `Diversion`.
    Diversion,
    /// `Event`.
    Event,
    /// `Expires`.
    Expires,
    /// `From`.
    From,
    /// `History-Info`.
    HistoryInfo,
    /// `In-Reply-To`.
    InReplyTo,
    /// `Max-Forwards`.
    MaxForwards,
    /// `MIME-Version`.
    MimeVersion,
    /// `Min-Expires`.
    MinExpires,
    /// `Min-SE`.
    MinSe,
    /// `Organization`.
    Organization,
    /// `P-Asserted-Identity`.
    PAssertedIdentity,
    /// `Path`.
    Path,
    /// `P-Preferred-Identity`.
    PPreferredIdentity,
    /// `Priority`.
    Priority,
    /// `Privacy`.
    Privacy,
    /// `Proxy-Authenticate`.
    ProxyAuthenticate,
    /// `Proxy-Authorization`.
    ProxyAuthorization,
    /// `Proxy-Require`.
    ProxyRequire,
    /// `RAck`.
    RAck,
    /// `Reason`.
    Reason,
    /// `Record-Route`.
    RecordRoute,
    /// `Referred-By`.
    ReferredBy,
    /// `Refer-To`.
    ReferTo,
    /// `Remote-Party-ID`.
    RemotePartyId,
    /// `Replaces`.
    Replaces,
    /// `Reply-To`.
    ReplyTo,
    /// `Require`.
    Require,
    /// `Retry-After`.
    RetryAfter,
    /// `Route`.
    Route,
    /// `RSeq`.
    RSeq,
    /// `Server`.
    Server,
    /// `Service-Route`.
    ServiceRoute,
    /// `Session-Expires`.
    SessionExpires,
    /// `Subject`.
    Subject,
    /// `Subscription-State`.
    SubscriptionState,
    /// `Supported`.
    Supported,
    /// `Timestamp`.
    Timestamp,
    /// `To`.
    To,
    /// `Unsupported`.
    Unsupported,
    /// `User-Agent`.
    UserAgent,
    /// `User-to-User`.
    UserToUser,
    /// `Via`.
    Via,
    /// `Warning`.
    Warning,
    /// `WWW-Authenticate`.
    WwwAuthenticate,
    /// Any other name, spelled as it came; compared without regard to case.
    Other(String),
}

/// Long form, compact form (`""`: none), name. Sorted by the long form in lower case.
const NAMES: &[(&str, &str, HeaderName)] = &[
    ("Accept", "", HeaderName::Accept),
    ("Accept-Encoding", "", HeaderName::AcceptEncoding),
    ("Accept-Language", "", HeaderName::AcceptLanguage),
    ("Alert-Info", "", HeaderName::AlertInfo),
    ("Allow", "", HeaderName::Allow),
    ("Allow-Events", "u", HeaderName::AllowEvents),
    ("Authentication-Info", "", HeaderName::AuthenticationInfo),
    ("Authorization", "", HeaderName::Authorization),
    ("Call-ID", "i", HeaderName::CallId),
    ("Call-Info", "", HeaderName::CallInfo),
    ("Contact", "m", HeaderName::Contact),
    ("Content-Disposition", "", HeaderName::ContentDisposition),
    ("Content-Encoding", "e", HeaderName::ContentEncoding),
    ("Content-Language", "", HeaderName::ContentLanguage),
    ("Content-Length", "l", HeaderName::ContentLength),
    ("Content-Type", "c", HeaderName::ContentType),
    ("CSeq", "", HeaderName::CSeq),
    ("Date", "", HeaderName::Date),
    ("Diversion", "", HeaderName::Diversion),
    ("Event", "o", HeaderName::Event),
    ("Expires", "", HeaderName::Expires),
    ("From", "f", HeaderName::From),
    ("History-Info", "", HeaderName::HistoryInfo),
    ("In-Reply-To", "", HeaderName::InReplyTo),
    ("Max-Forwards", "", HeaderName::MaxForwards),
    ("MIME-Version", "", HeaderName::MimeVersion),
    ("Min-Expires", "", HeaderName::MinExpires),
    ("Min-SE", "", HeaderName::MinSe),
    ("Organization", "", HeaderName::Organization),
    ("P-Asserted-Identity", "", HeaderName::PAssertedIdentity),
    ("P-Preferred-Identity", "", HeaderName::PPreferredIdentity),
    ("Path", "", HeaderName::Path),
    ("Priority", "", HeaderName::Priority),
    ("Privacy", "", HeaderName::Privacy),
    ("Proxy-Authenticate", "", HeaderName::ProxyAuthenticate),
    ("Proxy-Authorization", "", HeaderName::ProxyAuthorization),
    ("Proxy-Require", "", HeaderName::ProxyRequire),
    ("RAck", "", HeaderName::RAck),
    ("Reason", "", HeaderName::Reason),
    ("Record-Route", "", HeaderName::RecordRoute),
    ("Refer-To", "r", HeaderName::ReferTo),
    ("Referred-By", "b", HeaderName::ReferredBy),
    ("Remote-Party-ID", "", HeaderName::RemotePartyId),
    ("Replaces", "", HeaderName::Replaces),
    ("Reply-To", "", HeaderName::ReplyTo),
    ("Require", "", HeaderName::Require),
    ("Retry-After", "", HeaderName::RetryAfter),
    ("Route", "", HeaderName::Route),
    ("RSeq", "", HeaderName::RSeq),
    ("Server", "", HeaderName::Server),
    ("Service-Route", "", HeaderName::ServiceRoute),
    ("Session-Expires", "x", HeaderName::SessionExpires),
    ("Subject", "s", HeaderName::Subject),
    ("Subscription-State", "", HeaderName::SubscriptionState),
    ("Supported", "k", HeaderName::Supported),
    ("Timestamp", "", HeaderName::Timestamp),
    ("To", "t", HeaderName::To),
    ("Unsupported", "", HeaderName::Unsupported),
    ("User-Agent", "", HeaderName::UserAgent),
    ("User-to-User", "", HeaderName::UserToUser),
    ("Via", "v", HeaderName::Via),
    ("Warning", "", HeaderName::Warning),
    ("WWW-Authenticate", "", HeaderName::WwwAuthenticate),
];

impl HeaderName {
    /// Any spelling to a name.
    pub fn parse(text: &str) -> Self {
        if text.len() == 1 {
            for (_, compact, name) in NAMES {
                if compact.eq_ignore_ascii_case(text) {
                    return name.clone();
                }
            }
        }
        let first = text.as_bytes().first().map_or(0, u8::to_ascii_lowercase);
        NAMES
            .iter()
            // Sorted, and no two names differ before their first letter does.
            .skip(usize::from(STARTS[usize::from(first)]))
            .take_while(|(long, _, _)| long.as_bytes().first().is_some_and(|have| have.eq_ignore_ascii_case(&first)))
            .find(|(long, _, _)| long.len() == text.len() && long.eq_ignore_ascii_case(text))
            .map_or_else(|| Self::Other(text.to_owned()), |row| row.2.clone())
    }

    /// The long form, as it goes on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accept => "Accept",
            Self::AcceptEncoding => "Accept-Encoding",
            Self::AcceptLanguage => "Accept-Language",
            Self::AlertInfo => "Alert-Info",
            Self::Allow => "Allow",
            Self::AllowEvents => "Allow-Events",
            Self::AuthenticationInfo => "Authentication-Info",
            Self::Authorization => "Authorization",
            Self::CallId => "Call-ID",
            Self::CallInfo => "Call-Info",
            Self::Contact => "Contact",
            Self::ContentDisposition => "Content-Disposition",
            Self::ContentEncoding => "Content-Encoding",
            Self::ContentLanguage => "Content-Language",
            Self::ContentLength => "Content-Length",
            Self::ContentType => "Content-Type",
            Self::CSeq => "CSeq",
            Self::Date => "Date",
            Self::Diversion => "Diversion",
            Self::Event => "Event",
            Self::Expires => "Expires",
            Self::From => "From",
            Self::HistoryInfo => "History-Info",
            Self::InReplyTo => "In-Reply-To",
            Self::MaxForwards => "Max-Forwards",
            Self::MimeVersion => "MIME-Version",
            Self::MinExpires => "Min-Expires",
            Self::MinSe => "Min-SE",
            Self::Organization => "Organization",
            Self::PAssertedIdentity => "P-Asserted-Identity",
            Self::Path => "Path",
            Self::PPreferredIdentity => "P-Preferred-Identity",
            Self::Priority => "Priority",
            Self::Privacy => "Privacy",
            Self::ProxyAuthenticate => "Proxy-Authenticate",
            Self::ProxyAuthorization => "Proxy-Authorization",
            Self::ProxyRequire => "Proxy-Require",
            Self::RAck => "RAck",
            Self::Reason => "Reason",
            Self::RecordRoute => "Record-Route",
            Self::ReferredBy => "Referred-By",
            Self::ReferTo => "Refer-To",
            Self::RemotePartyId => "Remote-Party-ID",
            Self::Replaces => "Replaces",
            Self::ReplyTo => "Reply-To",
            Self::Require => "Require",
            Self::RetryAfter => "Retry-After",
            Self::Route => "Route",
            Self::RSeq => "RSeq",
            Self::Server => "Server",
            Self::ServiceRoute => "Service-Route",
            Self::SessionExpires => "Session-Expires",
            Self::Subject => "Subject",
            Self::SubscriptionState => "Subscription-State",
            Self::Supported => "Supported",
            Self::Timestamp => "Timestamp",
            Self::To => "To",
            Self::Unsupported => "Unsupported",
            Self::UserAgent => "User-Agent",
            Self::UserToUser => "User-to-User",
            Self::Via => "Via",
            Self::Warning => "Warning",
            Self::WwwAuthenticate => "WWW-Authenticate",
            Self::Other(name) => name,
        }
    }
}

/// Where in [`NAMES`] a first letter (in lower case) begins; the end where no name begins with it.
const STARTS: [u8; 256] = {
    let mut starts = [NAMES.len() as u8; 256];
    let mut at = NAMES.len();
    while at > 0 {
        at -= 1;
        let first = NAMES[at].0.as_bytes()[0].to_ascii_lowercase();
        starts[first as usize] = at as u8;
    }
    starts
};

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for HeaderName {}

impl From<&str> for HeaderName {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
pub(super) fn every_known() -> impl Iterator<Item = HeaderName> {
    NAMES.iter().map(|row| row.2.clone())
}
