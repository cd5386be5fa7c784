//! The routes under `/v1`, in one table: who answers, and what its description says. The router and `/v1/openapi.json`
//! are both made of it.

use std::sync::Arc;

use axum::{
    handler::Handler,
    routing::{self, MethodRouter},
};
use serde_json::json;

use crate::{
    HoldView, Refusal, SlotsView, agent,
    api::{self, AvailabilityAnswer, AvailabilityQuery, TokenAnswer, TokenRequest},
    callback::{
        api::{self as callbacks, AskJson, CancelQuery, KEY_BYTES, MadeJson, MoveJson, SlotsQuery, ViewJson},
        calendar, events,
        hold::{self, HoldJson},
    },
    edge::Edge,
    openapi::{self, Operation},
    proof::Challenge,
    protocol::SUBPROTOCOL,
    refusal,
    staff::{
        StaffView,
        api::{AskJson as StaffAskJson, EditJson as StaffEditJson},
    },
    talk,
};

mod ladder;
mod staff;

/// One method of one path.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    /// In small letters, as OpenAPI writes it.
    pub(crate) method: &'static str,
    pub(crate) answered: MethodRouter<Arc<Edge>>,
    /// None for a preflight: it is the browser's own business.
    pub(crate) operation: Option<Operation>,
}

/// A constructor for each method that is used.
macro_rules! methods {
    ($($method:ident $name:literal,)*) => {$(
        pub(crate) fn $method<H, T>(path: &'static str, handler: H, operation: Operation) -> Route
        where
            H: Handler<T, Arc<Edge>>,
            T: 'static,
        {
            Route { path, method: $name, answered: routing::$method(handler), operation: Some(operation) }
        }
    )*};
}

methods! {
    get "get",
    post "post",
    patch "patch",
    delete "delete",
}

/// Pages of other origins may use this path.
fn preflight(path: &'static str) -> Route {
    Route { path, method: "options", answered: routing::options(api::preflight), operation: None }
}

/// All of them.
pub(crate) fn table() -> Vec<Route> {
    [talking(), asking(), following(), staff::working(), ladder::laddering(), description()]
        .into_iter()
        .flatten()
        .collect()
}

fn talking() -> Vec<Route> {
    vec![
        post(
            "/v1/token",
            api::token,
            Operation::new("makeToken", "A token for a page", "Good once, for a call or a call-back of this queue.")
                .of_a_page()
                .reads::<TokenRequest>()
                .writes::<TokenAnswer>(200, "The token.")
                .refuses(&[refusal::QUEUE_UNKNOWN, refusal::TOO_MANY_TOKENS, refusal::MEMORY_FULL]),
        ),
        preflight("/v1/token"),
        get(
            "/v1/availability",
            api::availability,
            Operation::new(
                "getAvailability",
                "What a queue offers now",
                "Whether to offer a call, a call-back, or both.",
            )
            .of_a_reader()
            .query::<AvailabilityQuery>()
            .writes::<AvailabilityAnswer>(200, "What the queue offers.")
            .refuses(refusal::QUEUE),
        ),
        preflight("/v1/availability"),
        get(
            "/v1/talk",
            talk::talk,
            websocket("talk", "A visitor's call", "Signalling of one call between a page and an agent.").of_a_page(),
        ),
        get(
            "/v1/agent",
            agent::agent,
            websocket("serve", "An agent's console", "Only for pages of the gateway itself.").of_a_page(),
        ),
    ]
}

fn websocket(id: &'static str, summary: &'static str, description: &'static str) -> Operation {
    Operation::new(id, summary, description)
        .header("Sec-WebSocket-Protocol", "The protocol spoken.", json!({"const": SUBPROTOCOL}))
        .writes_nothing(101, "A WebSocket (RFC 6455) of JSON messages.")
        .refuses(refusal::SOCKET)
}

fn asking() -> Vec<Route> {
    vec![
        get(
            "/v1/slots",
            callbacks::slots,
            Operation::new("listSlots", "The slots a visitor may choose from", "Full slots are not listed.")
                .of_a_reader()
                .query::<SlotsQuery>()
                .writes::<SlotsView>(200, "The slots, by their start.")
                .refuses(refusal::QUEUE)
                .refuses(refusal::WHEN)
                .refuses(&[refusal::SLOT_PAST, refusal::NOT_FOUND, refusal::BOOK_AWAY]),
        ),
        preflight("/v1/slots"),
        post("/v1/slots/hold", hold::hold, hold_seat()),
        preflight("/v1/slots/hold"),
        delete(
            "/v1/slots/hold/{id}",
            hold::release,
            Operation::new("releaseSeat", "Let go of a held seat", "Of one that is gone nothing is said.")
                .writes_nothing(204, "Nobody holds it.")
                .refuses(&[refusal::REQUEST_INVALID, refusal::TOO_MANY_HOLDS, refusal::BOOK_AWAY]),
        ),
        preflight("/v1/slots/hold/{id}"),
        get(
            "/v1/challenge",
            callbacks::challenge,
            Operation::new(
                "getChallenge",
                "A challenge to solve",
                "Proof of work, ALTCHA's scheme: its answer is `pow`.",
            )
            .of_a_reader()
            .writes::<Challenge>(200, "Solve it and ask with the answer."),
        ),
        preflight("/v1/challenge"),
        post("/v1/callbacks", callbacks::ask, ask()),
        preflight("/v1/callbacks"),
    ]
}

fn hold_seat() -> Operation {
    let about = "For a page with a `token`, or for whoever moves the call-back whose key he has.";
    Operation::new("holdSeat", "Hold a seat while a form is open", about)
        .of_a_page_or_the_key()
        .reads::<HoldJson>()
        .writes::<HoldView>(201, "Held for a while.")
        .refuses(refusal::TOKEN)
        .refuses(refusal::WHEN)
        .refuses(&[refusal::SLOT_PAST, refusal::SLOT_OUTSIDE_HOURS, refusal::SLOT_GONE, refusal::TOO_MANY_HOLDS])
}

fn ask() -> Operation {
    let key = json!({"type": "string", "minLength": 1, "maxLength": KEY_BYTES});
    let about = "Whoever asks again with the same key and the same number gets the same call-back.";
    Operation::new("askCallback", "Ask to be called back", "When it answers, the promise is stored.")
        .of_a_page_or_staff()
        .header("Idempotency-Key", about, key)
        .reads_either::<AskJson, StaffAskJson>()
        .writes::<MadeJson>(201, "Promised.")
        .writes::<MadeJson>(200, "It was promised before: the same request, or the same visitor and number.")
        .refuses(refusal::TOKEN)
        .refuses(refusal::NUMBER)
        .refuses(refusal::WHEN)
        .refuses(refusal::SLOT)
        .refuses(ASK)
        .refuses(staff::MADE)
}

/// Of a call-back that is asked for, beside what is wrong with its parts.
const ASK: &[Refusal] = &[
    refusal::CONSENT_MISSING,
    refusal::EMAIL_INVALID,
    refusal::KEY_TAKEN,
    refusal::IN_CALL,
    refusal::CUSTOMER_INVALID,
    refusal::CUSTOMER_EXPIRED,
    refusal::PAUSED,
    refusal::ASAP_FULL,
    refusal::VERIFICATION_NEEDED,
    refusal::MEMORY_FULL,
    refusal::TOO_MANY_REQUESTS,
    refusal::CAPACITY_FULL,
    refusal::NOT_FOUND,
    refusal::GONE,
    refusal::BOOK_AWAY,
];

fn change(view: &'static str) -> Operation {
    Operation::new("moveCallback", "Choose another time", "Only while `can_move`; staff may change more.")
        .of_the_key()
        .reads_either::<MoveJson, StaffEditJson>()
        .writes_either::<ViewJson<'_>, StaffView>(200, view)
        .refuses(refusal::WHEN)
        .refuses(refusal::SLOT)
        .refuses(&[refusal::GONE, refusal::PAUSED, refusal::ASAP_FULL])
        .refuses(staff::CHANGED)
}

fn following() -> Vec<Route> {
    let view = "How it stands now.";
    vec![
        get(
            "/v1/callbacks/{id}",
            callbacks::show,
            Operation::new("getCallback", "How a call-back stands", "")
                .of_the_key()
                .writes_either::<ViewJson<'_>, StaffView>(200, view),
        ),
        patch("/v1/callbacks/{id}", callbacks::change, change(view)),
        delete(
            "/v1/callbacks/{id}",
            callbacks::cancel,
            Operation::new(
                "cancelCallback",
                "Call it off",
                "Only while `can_cancel`; a second time it changes nothing.",
            )
            .of_the_key()
            .query::<CancelQuery>()
            .writes_either::<ViewJson<'_>, StaffView>(200, view)
            .refuses(&[refusal::GONE]),
        ),
        preflight("/v1/callbacks/{id}"),
        post(
            "/v1/callbacks/{id}/not-me",
            callbacks::not_me,
            Operation::new(
                "disownCallback",
                "I did not ask for this",
                "Called off, and the number is not called again.",
            )
            .of_the_key()
            .writes::<ViewJson<'_>>(200, view)
            .refuses(&[refusal::GONE]),
        ),
        preflight("/v1/callbacks/{id}/not-me"),
        get(
            "/v1/callbacks/{id}/events",
            events::events,
            Operation::new(
                "followCallback",
                "Follow a call-back",
                "It ends with the call-back, or after some minutes.",
            )
            .of_the_key()
            .writes_events::<ViewJson<'_>>("callback", "How it stands, at once and at each change.")
            .refuses(&[refusal::FOLLOWERS_FULL]),
        ),
        preflight("/v1/callbacks/{id}/events"),
        get(
            "/v1/callbacks/{id}/calendar.ics",
            calendar::calendar,
            Operation::new("getCalendarEntry", "A calendar entry", "It follows a move and a cancel by its `SEQUENCE`.")
                .of_the_key()
                .writes_text("text/calendar", "One entry (RFC 5545), with a reminder.")
                .with_header("Content-Disposition", "A name for the file."),
        ),
    ]
}

fn description() -> Vec<Route> {
    let path = "/v1/openapi.json";
    let tag = "If-None-Match";
    let operation = Operation::new("getDescription", "This document", "")
        .header(tag, "The `ETag` that is known.", json!({"type": "string"}))
        .writes_openapi("OpenAPI 3.1, as JSON.")
        .writes_nothing(304, "It is the one that is known.")
        .with_header("ETag", "Changes with the document.");
    vec![get(path, openapi::openapi, operation)]
}
