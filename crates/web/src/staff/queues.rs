//! Whole queues, for the administrator: paused, resumed, emptied, shifted.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Bearer, NOTE_BYTES, Named, answer};
use super::{QueueAct, QueueAsk, QueueDone};
use crate::{
    Refusal, Staff,
    callback::api::{Body, WORD_BYTES, read},
    edge::{Caller, Edge},
    refusal::{self, REQUEST_INVALID},
};

/// What is done to a queue.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "QueueOrder")]
pub(crate) struct OrderJson {
    /// Whose; may be left out when only one tenant has such a queue.
    #[schemars(length(max = WORD_BYTES))]
    tenant: String,
    /// Why.
    #[schemars(length(max = NOTE_BYTES))]
    note: String,
    /// Only say how many it would touch.
    dry_run: bool,
    /// `next` of the answer before: a queue with very many call-backs is done in several requests.
    #[schemars(length(max = WORD_BYTES))]
    from: Option<String>,
    /// Of `shift`: by so many minutes.
    #[schemars(range(min = 1, max = 10080))]
    minutes: Option<u32>,
}

async fn done(
    edge: &Edge,
    (who, id): (Staff, String),
    act: impl FnOnce(Option<u32>) -> Option<QueueAct>,
    headers: &HeaderMap,
    body: Body,
) -> Result<QueueDone, Refusal> {
    if who != Staff::Admin {
        return Err(refusal::ADMIN_ONLY);
    }
    let OrderJson { tenant, note, dry_run, from, minutes } = read(headers, body)?;
    let words = [Some(&tenant), Some(&id), from.as_ref()];
    if words.into_iter().flatten().any(|word| word.len() > WORD_BYTES) || note.len() > NOTE_BYTES {
        return Err(REQUEST_INVALID);
    }
    let act = act(minutes).ok_or(REQUEST_INVALID)?;
    edge.backend.staff_queue(who, QueueAsk { tenant, queue: id, act, note, dry_run, from }).await
}

/// Handlers of `POST /v1/queues/{id}/WORD`.
macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident as |$minutes:pat_param| $act:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) async fn $name(
            State(edge): State<Arc<Edge>>,
            caller: Caller,
            bearer: Bearer,
            Named(id): Named,
            headers: HeaderMap,
            body: Body,
        ) -> Response {
            let done = done(&edge, (bearer.who, id), |$minutes| $act, &headers, body).await;
            answer(&edge, caller.lang, done)
        }
    )*};
}

orders! {
    /// Nobody is called until it is resumed.
    pause as |_| Some(QueueAct::Pause);
    /// It calls again.
    resume as |_| Some(QueueAct::Resume);
    /// Every call-back of it that can be called off is.
    cancel as |_| Some(QueueAct::Cancel);
    /// Every call-back of it that waits is later.
    shift as |minutes| minutes.filter(|minutes| (1..=10_080).contains(minutes)).map(QueueAct::Shift);
}
