//! The routes to the ladders of calls.

use super::{Route, get};
use crate::{
    ladder::{self, LadderList, LadderView, ListQuery},
    openapi::Operation,
    refusal,
};

/// What the administrator reads.
fn read(id: &'static str, summary: &'static str, description: &'static str) -> Operation {
    Operation::new(id, summary, description).of_staff().refuses(&[refusal::ADMIN_ONLY, refusal::LADDER_OFF])
}

pub(super) fn laddering() -> Vec<Route> {
    vec![
        get(
            "/v1/ladders",
            ladder::list,
            read("listLadders", "The newest ladders of calls", "For the administrator.")
                .query::<ListQuery>()
                .writes::<LadderList>(200, "The one with the newest line first.")
                .refuses(&[refusal::REQUEST_INVALID]),
        ),
        get(
            "/v1/ladders/refused",
            ladder::refused,
            read(
                "showRefused",
                "The messages that were refused",
                "The last few hundred; of the same sender, method and reason the newest.",
            )
            .writes::<LadderView>(200, "Each with its reason."),
        ),
        get(
            "/v1/ladders/{call}",
            ladder::show,
            read(
                "showLadder",
                "What was said and heard in a call",
                "By the id of the call, the beginning of it, or the Call-ID of one of its legs.",
            )
            .writes::<LadderView>(200, "Every line that is kept.")
            .refuses(&[refusal::REQUEST_INVALID, refusal::LADDER_UNKNOWN, refusal::LADDER_AMBIGUOUS]),
        ),
    ]
}
