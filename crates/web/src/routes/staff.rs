//! The routes of those who work with the book: agents and the administrator.

use super::{Route, delete, get, post};
use crate::{
    Refusal,
    openapi::Operation,
    refusal,
    staff::{
        QueueDone, ReloadView, StaffList, StaffView,
        api::{self, BearerJson, CompleteJson, ListQuery, LoginJson, NoteJson, SnoozeJson},
        queues::{self, OrderJson},
        reload::{self, ReloadJson},
    },
};

/// Of a call-back that staff makes, beside what a visitor may be refused with.
pub(super) const MADE: &[Refusal] = &[refusal::DUPLICATE_OPEN, refusal::AGENT_UNKNOWN, refusal::HOURS_FORBID];
/// Of one that staff changes.
pub(super) const CHANGED: &[Refusal] = &[refusal::QUEUE_UNKNOWN, refusal::AGENT_UNKNOWN, refusal::HOURS_FORBID];

pub(super) fn working() -> Vec<Route> {
    [logging_in(), acting(), ordering(), configuring()].into_iter().flatten().collect()
}

fn logging_in() -> Vec<Route> {
    let own = "Pages of other origins may not ask.";
    vec![
        post(
            "/v1/agent/token",
            api::log_in,
            Operation::new("logIn", "A bearer token for an agent", own)
                .reads::<LoginJson>()
                .writes::<BearerJson>(200, "Good for a shift, or until the gateway ends.")
                .refuses(&[refusal::ORIGIN_REFUSED, refusal::LOGIN_REFUSED, refusal::LOGIN_BLOCKED]),
        ),
        delete(
            "/v1/agent/token",
            api::log_out,
            Operation::new("logOut", "Give the token back", "").of_staff().writes_nothing(204, "It is good no more."),
        ),
        get(
            "/v1/callbacks",
            api::list,
            Operation::new("listCallbacks", "The open call-backs", "An agent sees those of the tenants he serves.")
                .of_staff()
                .query::<ListQuery>()
                .writes::<StaffList>(200, "In the order in which they are called.")
                .refuses(&[refusal::REQUEST_INVALID, refusal::BOOK_AWAY]),
        ),
    ]
}

/// What is done to a call-back by staff.
fn act(id: &'static str, summary: &'static str, description: &'static str) -> Operation {
    Operation::new(id, summary, description)
        .of_staff()
        .writes::<StaffView>(200, "How it stands now.")
        .refuses(refusal::KEY)
        .refuses(&[refusal::GONE])
}

fn acting() -> Vec<Route> {
    let own = "Of an agent, and while nobody is rung for it.";
    vec![
        post(
            "/v1/callbacks/{id}/accept",
            api::accept,
            act("acceptCallback", "I will call", own).reads::<NoteJson>().refuses(&[refusal::AGENT_UNKNOWN]),
        ),
        post(
            "/v1/callbacks/{id}/decline",
            api::decline,
            act("declineCallback", "I will not call", "It is anybody's again.").reads::<NoteJson>(),
        ),
        post(
            "/v1/callbacks/{id}/snooze",
            api::snooze,
            act("snoozeCallback", "Later", "From its moment, or from now if that has come.")
                .reads::<SnoozeJson>()
                .refuses(&[refusal::HOURS_FORBID]),
        ),
        post(
            "/v1/callbacks/{id}/complete",
            api::complete,
            act("completeCallback", "The customer was spoken to", "While they talk or afterwards: how it went.")
                .reads::<CompleteJson>()
                .refuses(&[refusal::DISPOSITION_MISSING]),
        ),
    ]
}

/// What is done to a queue by the administrator.
fn order(id: &'static str, summary: &'static str, description: &'static str) -> Operation {
    Operation::new(id, summary, description)
        .of_staff()
        .reads::<OrderJson>()
        .writes::<QueueDone>(200, "What was done, or would be.")
        .refuses(&[refusal::ADMIN_ONLY, refusal::QUEUE_UNKNOWN, refusal::BOOK_AWAY])
}

fn configuring() -> Vec<Route> {
    vec![post(
        "/v1/reload",
        reload::reload,
        Operation::new(
            "reload",
            "Go by the configuration as it is now",
            "Reads the file the gateway was started with. Calls, registrations and what did not change go on.",
        )
        .of_staff()
        .reads::<ReloadJson>()
        .writes::<ReloadView>(200, "What was changed, or would be; or why nothing was.")
        .refuses(&[refusal::ADMIN_ONLY, refusal::RELOAD_BUSY]),
    )]
}

fn ordering() -> Vec<Route> {
    vec![
        post(
            "/v1/queues/{id}/pause",
            queues::pause,
            order("pauseQueue", "Call nobody for now", "Visitors may still choose a time. Who is being called is."),
        ),
        post("/v1/queues/{id}/resume", queues::resume, order("resumeQueue", "Call again", "")),
        post(
            "/v1/queues/{id}/cancel",
            queues::cancel,
            order(
                "emptyQueue",
                "Call off every call-back of a queue",
                "Each visitor is told as if it were the only one.",
            ),
        ),
        post(
            "/v1/queues/{id}/shift",
            queues::shift,
            order(
                "shiftQueue",
                "Make every call-back of a queue later",
                "One that would fall outside of the hours goes to the next moment at which he may be called.",
            ),
        ),
    ]
}
