//! What is asked of the book: rows to fill it, and the questions of a clerk and of a door.

use std::sync::Arc;
use std::time::{Duration, Instant};

use call::{CallTags, QueueId, TagsDraft, TenantId};
use desk::{Callback, CallbackId, Consent, SeatRule, Wish};
use futures_util::StreamExt;
use futures_util::stream;
use store::{Added, Change, Changed, Home, KeptCallback, NewCallback, NodeId, SeatClaim, SeatQuery, StoreError};

use crate::{DUE, HOLD, NOW_UNIX_MS, PAGE};

/// Writes on their way at the same time: as many as the store shares a commit among.
const AT_ONCE: usize = 512;
/// Questions on their way at the same time, so that no thread sleeps between two.
const IN_A_ROW: usize = 32;
const QUESTIONS: usize = 20_000;
const ALONE: usize = 500;
const QUEUES: u64 = 20;
const SLOT_MS: u64 = 15 * 60_000;
/// Slots lie this far ahead: two weeks.
const SLOTS: u64 = 14 * 96;
/// As long a number is not called again, and as long an ask looks back.
const DAY_MS: u64 = 86_400_000;

/// Rows from one number up to another.
pub(crate) struct Load {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) first: u64,
    pub(crate) rows: u64,
}

impl Load {
    pub(crate) async fn fill(&self) -> Result<(), String> {
        let writes = stream::iter(self.first..self.rows).map(|number| self.home.add_callback(new(number, None)));
        let mut writes = writes.buffer_unordered(AT_ONCE);
        while let Some(added) = writes.next().await {
            match added.map_err(said)? {
                Added::New(_) => {}
                other @ (Added::Same(_) | Added::Open(_) | Added::Full) => return Err(format!("not new: {other:?}")),
            }
        }
        Ok(())
    }
}

fn said(error: StoreError) -> String {
    error.to_string()
}

/// The first are due, all within one second; the others are promised for slots.
fn new(number: u64, seat: Option<SeatClaim>) -> NewCallback {
    let promised_unix_ms =
        if number < DUE { NOW_UNIX_MS - 1_000 + number % 1_000 } else { NOW_UNIX_MS + SLOT_MS * (1 + number % SLOTS) };
    // Spread as random ids are, and the same in every run.
    let id = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let tags = CallTags::new(TagsDraft {
        tag: id.to_be_bytes(),
        tenant: TenantId(format!("shop{}", number % 4)),
        queue: QueueId(format!("queue{}", number % QUEUES)),
        session: format!("{id:032x}"),
        page_url: format!("https://shop.test/cart?item={number}"),
        page_title: "Votre panier".to_owned(),
        referrer: Some("https://search.test/".to_owned()),
        language: "fr-FR".to_owned(),
        made_at_unix_ms: NOW_UNIX_MS,
    });
    let wish = Wish {
        number: format!("+336{number:08}"),
        promised_unix_ms,
        wanted: None,
        zone: "Europe/Paris".to_owned(),
        consent: Some(Consent { text_id: "callback-v1".to_owned(), version: "1".to_owned(), at_unix_ms: NOW_UNIX_MS }),
        asked_unix_ms: NOW_UNIX_MS - DAY_MS / 2 + number,
        priority: 0,
        tags,
        email: None,
        told: None,
        customer: None,
    };
    let request_key = Some(format!("{id:032x}"));
    NewCallback { callback: Callback::new(CallbackId::new(id), wish), manage: id, request_key, seat }
}

/// How many are open, in all and of one tenant.
pub(crate) async fn count(home: &Arc<dyn Home>) -> Result<(u64, u64), String> {
    let all = home.open_callbacks(None).await.map_err(said)?;
    Ok((all, home.open_callbacks(Some(TenantId("shop0".to_owned()))).await.map_err(said)?))
}

/// What the next due costs, microseconds: asked alone, two threads being woken; and in a row.
pub(crate) async fn next(home: &Arc<dyn Home>) -> Result<(f64, f64), String> {
    let each = |start: Instant, count: usize| start.elapsed().as_secs_f64() * 1e6 / count as f64;
    let start = Instant::now();
    for _ in 0..ALONE {
        home.next_callback(NOW_UNIX_MS).await.map_err(said)?;
    }
    let alone = each(start, ALONE);
    let start = Instant::now();
    let mut questions = stream::iter(0..QUESTIONS).map(|_| home.next_callback(NOW_UNIX_MS)).buffer_unordered(IN_A_ROW);
    while let Some(answer) = questions.next().await {
        answer.map_err(said)?;
    }
    Ok((alone, each(start, QUESTIONS)))
}

/// Takes what is due, a clerk's page at a time.
pub(crate) async fn lease(home: &Arc<dyn Home>, node: NodeId, due: u64) -> Result<Vec<KeptCallback>, String> {
    let mut all = Vec::new();
    while (all.len() as u64) < due {
        let taken = home.lease_callbacks(node, NOW_UNIX_MS, HOLD, PAGE).await.map_err(said)?;
        if taken.is_empty() {
            break;
        }
        all.extend(taken);
    }
    Ok(all)
}

/// Puts them back as they were: the next step finds them due again, in the same order.
pub(crate) async fn give_back(home: &Arc<dyn Home>, held: Vec<KeptCallback>) -> Result<(), String> {
    let changes = stream::iter(held)
        .map(|kept| home.change_callback(Change { callback: kept.callback, version: kept.version, held: false }));
    let mut changes = changes.buffer_unordered(AT_ONCE);
    while let Some(changed) = changes.next().await {
        match changed.map_err(said)? {
            Changed::Done(_) => {}
            other @ (Changed::Stale(_) | Changed::Missing) => return Err(format!("not put back: {other:?}")),
        }
    }
    Ok(())
}

/// Promises asked for at a steady rate, however long each takes.
pub(crate) struct Offered {
    pub(crate) rate: u32,
    pub(crate) window_s: u32,
    pub(crate) first: u64,
}

impl Offered {
    /// How long each took, microseconds, from the moment at which it was to be asked.
    pub(crate) async fn ask(&self, home: &Arc<dyn Home>) -> Result<Vec<u64>, String> {
        let start = Instant::now();
        let asks: Vec<_> = (0..self.rate * self.window_s)
            .map(|number| {
                let (home, due) = (Arc::clone(home), start + Duration::from_secs(1) * number / self.rate);
                let number = self.first + u64::from(number);
                tokio::spawn(async move {
                    tokio::time::sleep_until(due.into()).await;
                    promise(&home, number).await.map(|()| due.elapsed())
                })
            })
            .collect();
        let mut delays = Vec::new();
        for ask in asks {
            let delay = ask.await.map_err(|error| error.to_string())??;
            delays.push(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
        }
        Ok(delays)
    }
}

/// What a door asks of the book for one promise.
async fn promise(home: &Arc<dyn Home>, number: u64) -> Result<(), String> {
    let rule = SeatRule::new(1_000_000, Duration::from_millis(SLOT_MS));
    let new = new(number, Some(SeatClaim { rule, hold: None, now_unix_ms: NOW_UNIX_MS }));
    let (tenant, wish) = (new.callback.tenant().clone(), new.callback.wish().clone());
    let queue = (tenant.clone(), new.callback.queue().clone());
    home.requested_callback(tenant.clone(), new.request_key.clone().unwrap_or_default()).await.map_err(said)?;
    let (from_unix_ms, to_unix_ms) = rule.beside(wish.promised_unix_ms, wish.promised_unix_ms);
    let seats = SeatQuery { queue, from_unix_ms, to_unix_ms, now_unix_ms: NOW_UNIX_MS, own: None };
    home.taken_seats(seats).await.map_err(said)?;
    home.callbacks_to(wish.number, NOW_UNIX_MS - DAY_MS).await.map_err(said)?;
    home.open_callbacks(Some(tenant)).await.map_err(said)?;
    match home.add_callback(new).await.map_err(said)? {
        Added::New(_) => Ok(()),
        other @ (Added::Same(_) | Added::Open(_) | Added::Full) => Err(format!("not new: {other:?}")),
    }
}
