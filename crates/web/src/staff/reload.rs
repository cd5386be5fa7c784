//! The configuration read anew, for the administrator.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ReloadView;
use super::api::{Bearer, answer};
use crate::{
    Refusal, Staff,
    callback::api::{Body, read},
    edge::{Caller, Edge},
    refusal,
};

/// How it is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ReloadOrder")]
pub(crate) struct ReloadJson {
    /// Only say what would change.
    dry_run: bool,
}

/// `POST /v1/reload`
pub(crate) async fn reload(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    bearer: Bearer,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&edge, caller.lang, done(&edge, bearer.who, &headers, body).await)
}

async fn done(edge: &Edge, who: Staff, headers: &HeaderMap, body: Body) -> Result<ReloadView, Refusal> {
    if who != Staff::Admin {
        return Err(refusal::ADMIN_ONLY);
    }
    let ReloadJson { dry_run } = read(headers, body)?;
    edge.backend.reload(dry_run).await
}
