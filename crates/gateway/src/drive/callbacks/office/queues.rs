//! Whole queues at once: paused and resumed, emptied, shifted.

use std::sync::PoisonError;

use call::{QueueId, TenantId};
use desk::CallbackId;
use store::{CallbackQuery, KeptCallback, Pause, StoreError};
use tokio::task::JoinSet;
use tracing::info;
use web::{QueueAct, QueueAsk, QueueDone, Refusal, refusal};

use super::super::door::away;
use super::super::{Callbacks, Line, Word};
use super::{Edit, Worker, told_at};
use crate::clock;
use crate::observe::metric::{self, Metric};

/// Call-backs looked at in one request: all of them are changed well within the time that a request has.
const PAGE: usize = 2_000;
/// Changes on their way to the store at once: they share its commits.
const AT_ONCE: usize = 64;

/// What is done to each call-back of a queue.
#[derive(Clone, Copy)]
enum ToEach {
    Cancel,
    Shift(u32),
}

impl Callbacks {
    /// Why this queue calls nobody for now, if it is paused.
    pub(in crate::drive::callbacks) fn pause_of(&self, line: &Line) -> Option<Pause> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.iter().find(|pause| pause.tenant.0 == line.tenant && pause.queue.0 == line.queue).cloned()
    }

    /// What the book says now of the queues that are paused.
    pub(in crate::drive::callbacks) async fn read_pauses(&self) -> Result<(), StoreError> {
        let pauses = self.home.paused_queues().await?;
        *self.pauses.lock().unwrap_or_else(PoisonError::into_inner) = pauses;
        for line in self.lines() {
            let paused = f64::from(u8::from(self.pause_of(line).is_some()));
            metric::gauge_with(Metric::CallbackQueuePaused, &format!("{}/{}", line.tenant, line.queue), paused);
        }
        Ok(())
    }

    /// Does something to a whole queue.
    pub(crate) async fn staff_queue(&self, worker: &Worker, ask: QueueAsk) -> Result<QueueDone, Refusal> {
        let named = |line: &&Line| {
            worker.may(&line.tenant) && line.queue == ask.queue && (ask.tenant.is_empty() || line.tenant == ask.tenant)
        };
        let mut lines = self.lines().filter(named);
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(refusal::QUEUE_UNKNOWN) };
        let mut done = QueueDone { tenant: line.tenant.clone(), queue: line.queue.clone(), ..QueueDone::default() };
        match ask.act {
            QueueAct::Pause if !ask.dry_run => self.pause(worker, line, &ask.note).await.map_err(away)?,
            QueueAct::Resume if !ask.dry_run => self.resume(worker, line).await.map_err(away)?,
            QueueAct::Pause | QueueAct::Resume => {}
            QueueAct::Cancel => self.to_each(worker, line, &ask, ToEach::Cancel, &mut done).await?,
            QueueAct::Shift(minutes) => self.to_each(worker, line, &ask, ToEach::Shift(minutes), &mut done).await?,
        }
        done.paused = self.pause_of(line).is_some();
        Ok(done)
    }

    async fn pause(&self, worker: &Worker, line: &Line, note: &str) -> Result<(), StoreError> {
        let (tenant, queue) = line.names();
        let (by, at_unix_ms) = (worker.staff.name().to_owned(), clock::unix_ms());
        let note = note.chars().filter(|letter| !letter.is_control()).take(desk::Note::TEXT_MAX).collect();
        let new = self.home.pause_queue(Pause { tenant, queue, by, note, at_unix_ms }).await?;
        if new {
            info!(
                queue = line.queue,
                by = worker.staff.name(),
                "a queue is paused: it calls nobody until it is resumed"
            );
        }
        self.read_pauses().await
    }

    async fn resume(&self, worker: &Worker, line: &Line) -> Result<(), StoreError> {
        let (tenant, queue): (TenantId, QueueId) = line.names();
        if self.home.resume_queue(tenant, queue).await? {
            info!(queue = line.queue, by = worker.staff.name(), "a queue is resumed");
        }
        self.read_pauses().await?;
        let _behind = self.words.try_send(Word::GiveOut);
        Ok(())
    }

    /// Does the same to each open call-back of a queue, the one asked for last first, a page a request.
    async fn to_each(
        &self,
        worker: &Worker,
        line: &Line,
        ask: &QueueAsk,
        what: ToEach,
        done: &mut QueueDone,
    ) -> Result<(), Refusal> {
        let from = ask.from.as_deref().map(|text| cursor(text).ok_or(refusal::REQUEST_INVALID)).transpose()?;
        let query = CallbackQuery {
            limit: PAGE,
            tenant: Some(TenantId(line.tenant.clone())),
            open_only: true,
            before_unix_ms: from.map(|(asked, _)| asked.saturating_add(1)),
            ..CallbackQuery::default()
        };
        let found = self.home.callbacks(query).await.map_err(away)?;
        let is_last = found.len() < PAGE;
        let place = |kept: &KeptCallback| (kept.callback.wish().asked_unix_ms, kept.callback.id());
        done.next = found.last().map(place).filter(|_| !is_last).map(|(asked, id)| format!("{asked}.{id}"));
        let own = found.into_iter().filter(|kept| from.is_none_or(|from| place(kept) < from));
        let own = own.filter(|kept| kept.callback.queue().0 == line.queue);
        // On a task of its own: a request that is given up leaves nothing half done.
        let (callbacks, by, order) = (self.clone(), worker.clone(), ask.clone());
        let own: Vec<KeptCallback> = own.collect();
        let all = tokio::spawn(async move { callbacks.in_step(&by, own, what, &order).await });
        (done.touched, done.left_alone) = all.await.map_err(|_| refusal::BUG)??;
        if !ask.dry_run {
            let (touched, by) = (done.touched, worker.staff.name());
            info!(queue = line.queue, by, touched, "the call-backs of a queue are changed together");
        }
        Ok(())
    }

    /// Several at once: they share the store's commits. How many were changed, and how many left alone.
    async fn in_step(
        &self,
        worker: &Worker,
        own: Vec<KeptCallback>,
        what: ToEach,
        ask: &QueueAsk,
    ) -> Result<(u64, u64), Refusal> {
        let (mut touched, mut left_alone) = (0, 0);
        let mut own = own.into_iter();
        let mut changes = JoinSet::new();
        loop {
            while changes.len() < AT_ONCE
                && let Some(kept) = own.next()
            {
                let (callbacks, worker, ask) = (self.clone(), worker.clone(), ask.clone());
                changes.spawn(async move { callbacks.to_one(&worker, kept, what, &ask.note, ask.dry_run).await });
            }
            let Some(changed) = changes.join_next().await else { return Ok((touched, left_alone)) };
            let is_changed: bool = changed.map_err(|_| refusal::BUG)??;
            touched += u64::from(is_changed);
            left_alone += u64::from(!is_changed);
        }
    }

    /// Whether it was changed, or would be; what somebody else did first is left as it is.
    async fn to_one(
        &self,
        worker: &Worker,
        kept: KeptCallback,
        what: ToEach,
        note: &str,
        dry_run: bool,
    ) -> Result<bool, Refusal> {
        let fits = match what {
            ToEach::Cancel => kept.callback.clone().cancel(worker.cancels_as()).is_ok(),
            ToEach::Shift(_) => kept.callback.waits(),
        };
        if dry_run || !fits {
            return Ok(fits);
        }
        let changed = match what {
            ToEach::Cancel => self.cancel_as(worker, kept, note).await,
            ToEach::Shift(minutes) => {
                let line = self.line_of(&kept)?;
                let later = super::later(&kept.callback, minutes);
                let at = line.allowed(&kept.callback)(later).unwrap_or(later);
                let edit = Edit { moment: Some(told_at(line, &kept.callback, at)), ..Edit::default() };
                self.edit(worker, kept, edit, note).await
            }
        };
        match changed {
            Ok(_) => Ok(true),
            Err(refused) if refused == refusal::GONE || refused == refusal::NOT_FOUND => Ok(false),
            Err(refused) => Err(refused),
        }
    }
}

/// Where a page ended.
fn cursor(text: &str) -> Option<(u64, CallbackId)> {
    let (asked, id) = text.split_once('.')?;
    Some((asked.parse().ok()?, id.parse().ok()?))
}
