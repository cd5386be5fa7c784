//! `/v1/callbacks/{id}/events`: how a call-back stands, at once and at each change, as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
};

use super::api::{Keyed, view_json};
use super::{CallbackView, WaitView};
use crate::{
    Door, Lang,
    api::{known, readable_by},
    edge::{Caller, Edge},
    refusal,
    throttle::Stranger,
};

/// Another node says nothing: the page looks again by itself.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a page was told: the change it is from, and the range of the wait in whole minutes.
type Told = (u64, Option<(u64, u64)>);

/// A range that moves by seconds is no news.
fn told(view: &CallbackView) -> Told {
    let minutes = |wait: &WaitView| (wait.p50_s / 60, wait.p90_s.div_ceil(60));
    (view.sequence, view.wait.as_ref().map(minutes))
}

/// What one page follows.
struct Follow {
    edge: Arc<Edge>,
    id: String,
    key: String,
    lang: Lang,
    changes: Receiver<String>,
    /// What the page was told last.
    told: Option<Told>,
    over: bool,
    /// Then it connects again: a page that nobody looks at any more does not hold a place for ever.
    until: tokio::time::Instant,
    _places: (Stranger, OwnedSemaphorePermit),
}

/// `GET /v1/callbacks/{id}/events`.
pub(crate) async fn events(State(edge): State<Arc<Edge>>, caller: Caller, Keyed { id, key }: Keyed) -> Response {
    // Before the first look, so that no change falls between.
    let changes = edge.backend.callback_changes();
    if let Err(refusal) = edge.backend.callback(id.clone(), key.clone()).await {
        return edge.refuse(Door::Callback, refusal, caller.lang);
    }
    let limits = &edge.config.limits;
    let own = edge.followers.admit(caller.key, limits.followers_per_source);
    let (Some(own), Ok(place)) = (own, Arc::clone(&edge.follower_places).try_acquire_owned()) else {
        return edge.refuse(Door::Callback, refusal::FOLLOWERS_FULL, caller.lang);
    };
    let follow = Follow {
        id,
        key,
        lang: caller.lang,
        changes,
        told: None,
        over: false,
        until: tokio::time::Instant::now() + limits.follow_limit,
        _places: (own, place),
        edge: Arc::clone(&edge),
    };
    let stream = stream::unfold(follow, |mut follow| async move {
        follow.next().await.map(|view| (event(&view, follow.lang), follow))
    });
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    // A proxy that waits for more would keep the news.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match known(&edge, &caller) {
        Ok(origin) => readable_by(&origin, response),
        Err(_) => response,
    }
}

fn event(view: &CallbackView, lang: Lang) -> Result<Event, axum::Error> {
    Event::default().event("callback").json_data(view_json(view, lang))
}

impl Follow {
    /// The next news; `None` when there will be none.
    async fn next(&mut self) -> Option<CallbackView> {
        while !self.over {
            if self.told.is_some() {
                self.wait().await?;
            }
            match self.edge.backend.callback(self.id.clone(), self.key.clone()).await {
                Ok(view) if self.told != Some(told(&view)) => {
                    self.told = Some(told(&view));
                    self.over = view.is_over;
                    return Some(view);
                }
                Ok(_) => {}
                Err(refusal) if refusal.status == 404 => return None,
                // The book cannot be had: the page keeps what it has.
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        None
    }

    /// Until this one may have changed; `None` when the gateway ends.
    async fn wait(&mut self) -> Option<()> {
        let look = tokio::time::sleep(LOOK_EVERY);
        let mut look = std::pin::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => return Some(()),
                () = tokio::time::sleep_until(self.until) => return None,
                changed = self.changes.recv() => match changed {
                    Ok(id) if id == self.id => return Some(()),
                    // The gateway ends.
                    Ok(id) if id.is_empty() => return None,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Some(()),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }
}
