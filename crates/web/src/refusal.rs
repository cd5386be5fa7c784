//! Every refusal of the REST API, once: its code, its status, and after how many seconds trying again makes sense. Who
//! answers names a row; the description of the API (`openapi.rs`) reads the same rows.

use crate::Refusal;

macro_rules! table {
    ($($name:ident = $code:literal, $status:literal $(, again after $seconds:literal)?;)*) => {
        $(
            #[doc = concat!("`", $code, "`, status ", $status, ".")]
            pub const $name: Refusal = Refusal::new($code, $status)$(.retry_after($seconds))?;
        )*

        /// All of them.
        pub const ALL: &[Refusal] = &[$($name),*];
    };
}

table! {
    // Who may ask at all.
    ORIGIN_MISSING = "origin-missing", 403;
    ORIGIN_REFUSED = "origin-refused", 403;
    QUEUE_UNKNOWN = "queue-unknown", 404;
    TOKEN_UNKNOWN = "token-unknown", 401;
    TOKEN_USED = "token-used", 401;
    TOKEN_EXPIRED = "token-expired", 401;
    TOKEN_ORIGIN = "token-origin", 403;
    LOGIN_NEEDED = "login_needed", 401;
    LOGIN_REFUSED = "login-refused", 401;
    LOGIN_BLOCKED = "login-blocked", 429, again after 300;
    ADMIN_ONLY = "admin_only", 403;
    // How it is asked.
    REQUEST_INVALID = "request-invalid", 400;
    JSON_EXPECTED = "json-expected", 415;
    TOO_BIG = "too-big", 413;
    WEBSOCKET_EXPECTED = "websocket-expected", 400;
    PROTOCOL_UNSUPPORTED = "protocol-unsupported", 400;
    // How often.
    VERIFICATION_NEEDED = "verification_needed", 403;
    TOO_MANY_TOKENS = "too-many-tokens", 429, again after 60;
    MEMORY_FULL = "overload", 503, again after 60;
    TOO_MANY_SOCKETS = "too-many-sockets", 429, again after 10;
    SOCKETS_FULL = "overload", 503, again after 10;
    FOLLOWERS_FULL = "too-many-sockets", 503, again after 10;
    TOO_MANY_HOLDS = "too_many_holds", 429, again after 120;
    // What is wrong with a call-back (FEATURES §2.3).
    NUMBER_REQUIRED = "number_required", 422;
    NUMBER_INVALID = "number_invalid", 422;
    NUMBER_NOT_DIALABLE = "number_not_dialable", 422;
    NUMBER_BLOCKED = "number_blocked", 422;
    COUNTRY_NOT_SERVED = "country_not_served", 422;
    EMAIL_INVALID = "email_invalid", 422;
    CONSENT_MISSING = "consent_missing", 422;
    WHEN_INVALID = "when_invalid", 422;
    TZ_INVALID = "tz_invalid", 422;
    SLOT_PAST = "slot_past", 422;
    SLOT_OUTSIDE_HOURS = "slot_outside_hours", 422;
    SLOT_GONE = "slot_gone", 409;
    CLOSED = "closed", 409;
    KEY_TAKEN = "request-invalid", 422;
    // Not at once; at a chosen time.
    PAUSED = "paused", 409, again after 600;
    ASAP_FULL = "asap_full", 409, again after 600;
    // What the shop's server says of the visitor.
    CUSTOMER_INVALID = "customer_invalid", 403;
    CUSTOMER_EXPIRED = "customer_expired", 403;
    // The same visitor talks with somebody, or his phone is being rung.
    IN_CALL = "in_call", 409, again after 60;
    // A budget of the one who asks, or of the number he asks for. It is the same word for each, and for a number that
    // somebody else has asked for already: which of them it was would tell a stranger about the number.
    TOO_MANY_REQUESTS = "too_many_requests", 429, again after 86_400;
    CAPACITY_FULL = "capacity_full", 503, again after 600;
    // What is wrong with what an agent or an administrator asks.
    DUPLICATE_OPEN = "duplicate_open", 409;
    AGENT_UNKNOWN = "agent_unknown", 422;
    DISPOSITION_MISSING = "disposition_missing", 422;
    HOURS_FORBID = "hours_forbid", 422;
    NOT_FOUND = "not_found", 404;
    GONE = "gone", 409;
    // The ladders of calls.
    LADDER_UNKNOWN = "ladder_unknown", 404;
    LADDER_AMBIGUOUS = "ladder_ambiguous", 409;
    LADDER_OFF = "ladder_off", 404;
    // What is wrong with the gateway.
    BOOK_AWAY = "book_away", 503, again after 60;
    RELOAD_BUSY = "reload_busy", 503, again after 5;
    TIMEOUT = "timeout", 408;
    BUG = "bug", 500;
}

/// Of every operation.
pub(crate) const ANYWHERE: &[Refusal] = &[TIMEOUT, BUG];
/// Of what only the pages of a listed origin may ask.
pub(crate) const PAGE: &[Refusal] = &[ORIGIN_MISSING, ORIGIN_REFUSED];
/// Of what others may ask too, but no page of a foreign origin.
pub(crate) const READER: &[Refusal] = &[ORIGIN_REFUSED];
/// Of what only an agent or an administrator may ask.
pub(crate) const STAFF: &[Refusal] = &[LOGIN_NEEDED, LOGIN_BLOCKED];
/// Of a query that names a queue.
pub(crate) const QUEUE: &[Refusal] = &[REQUEST_INVALID, QUEUE_UNKNOWN];
/// Of a JSON body.
pub(crate) const BODY: &[Refusal] = &[REQUEST_INVALID, TOO_BIG, JSON_EXPECTED];
/// Of a token that is spent.
pub(crate) const TOKEN: &[Refusal] = &[TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED, TOKEN_ORIGIN, ORIGIN_REFUSED];
/// Of a WebSocket's handshake.
pub(crate) const SOCKET: &[Refusal] = &[WEBSOCKET_EXPECTED, PROTOCOL_UNSUPPORTED, TOO_MANY_SOCKETS, SOCKETS_FULL];
/// Of a call-back that is opened by its key.
pub(crate) const KEY: &[Refusal] = &[REQUEST_INVALID, NOT_FOUND, BOOK_AWAY];
/// Of a date and time.
pub(crate) const WHEN: &[Refusal] = &[WHEN_INVALID, TZ_INVALID];
/// Of a slot.
pub(crate) const SLOT: &[Refusal] = &[SLOT_PAST, SLOT_OUTSIDE_HOURS, SLOT_GONE, CLOSED];
/// Of a telephone number.
pub(crate) const NUMBER: &[Refusal] =
    &[NUMBER_REQUIRED, NUMBER_INVALID, NUMBER_NOT_DIALABLE, NUMBER_BLOCKED, COUNTRY_NOT_SERVED];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::is_known;

    #[test]
    fn every_row_has_a_sentence_and_a_status_of_a_refusal() {
        for (index, refusal) in ALL.iter().enumerate() {
            assert!(is_known(refusal.code), "{} has no sentence", refusal.code);
            assert!((400..600).contains(&refusal.status), "{refusal:?}");
            assert!(!ALL[..index].contains(refusal), "{refusal:?} twice");
        }
    }
}
