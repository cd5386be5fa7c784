//! The call-back book read page by page, and what the records of its calls add: who waited for whom, and how long.

use std::collections::BTreeSet;

use call::{CallRecord, LegKind, TenantId};
use desk::{Attempt, CallbackId};
use store::{CallbackQuery, Home, KeptCallback, StoreError};

/// Call-backs read at once.
const PAGE: usize = 1_000;
/// Call-backs read in all; of a longer period the newest.
pub(crate) const READ_MAX: usize = 200_000;

/// Those asked for in a period, the newest first, a page at a time.
pub(crate) struct Pages<'h> {
    home: &'h dyn Home,
    query: CallbackQuery,
    /// Of the moment the last page ended in.
    seen: BTreeSet<CallbackId>,
    left: usize,
    over: bool,
}

impl<'h> Pages<'h> {
    /// From one moment on and before another.
    pub(crate) fn new(home: &'h dyn Home, tenant: Option<&str>, since_unix_ms: u64, before_unix_ms: u64) -> Self {
        let query = CallbackQuery {
            limit: PAGE,
            tenant: tenant.map(|tenant| TenantId(tenant.to_owned())),
            since_unix_ms: Some(since_unix_ms),
            before_unix_ms: Some(before_unix_ms),
            open_only: false,
        };
        Self { home, query, seen: BTreeSet::new(), left: READ_MAX, over: false }
    }

    /// The next ones; `None` when there are no more, or [`READ_MAX`] were read.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<KeptCallback>>, StoreError> {
        if self.over || self.left == 0 {
            return Ok(None);
        }
        let mut page = self.home.callbacks(self.query.clone()).await?;
        self.over = page.len() < PAGE;
        page.retain(|kept| !self.seen.contains(&kept.callback.id()));
        page.truncate(self.left);
        self.left -= page.len();
        let Some(last) = page.last().map(|kept| kept.callback.wish().asked_unix_ms) else { return Ok(None) };
        // Several may have been asked for in the millisecond in which the page ends: they come again, and are known.
        let of_last = page.iter().filter(|kept| kept.callback.wish().asked_unix_ms == last);
        self.seen = of_last.map(|kept| kept.callback.id()).collect();
        self.query.before_unix_ms = Some(last.saturating_add(1));
        Ok(Some(page))
    }

    /// Whether the period holds more than was read.
    pub(crate) const fn is_cut(&self) -> bool {
        self.left == 0 && !self.over
    }
}

/// One try with the record of its call.
pub(crate) struct Tried<'k> {
    number: &'k str,
    attempt: &'k Attempt,
    record: CallRecord,
}

impl<'k> Tried<'k> {
    /// `None` while its call lasts, or when the record is not kept or says that its process died.
    pub(crate) async fn read(
        home: &dyn Home,
        kept: &'k KeptCallback,
        attempt: &'k Attempt,
    ) -> Result<Option<Self>, StoreError> {
        let record = home.call(attempt.call).await?.filter(|record| !record.interrupted);
        Ok(record.map(|record| Self { number: &kept.callback.wish().number, attempt, record }))
    }

    /// When they began to talk.
    pub(crate) const fn connected_unix_ms(&self) -> Option<u64> {
        self.record.answered_unix_ms
    }

    /// Whether the customer was rung before the agent: the first leg is his number behind the trunk.
    fn is_customer_first(&self) -> bool {
        /// So much of a number stays the same however it is written for a trunk.
        const SAME_DIGITS: usize = 6;
        let Some(LegKind::Trunk { uri, .. }) = self.record.legs.first().map(|leg| &leg.kind) else { return false };
        let dialled: String = uri.chars().filter(char::is_ascii_digit).collect();
        let end = self.number.get(self.number.len().saturating_sub(SAME_DIGITS)..).unwrap_or(self.number);
        dialled.ends_with(end)
    }

    /// How long it kept the agent: his own ringing, the customer's, the talk. Who is rung second is kept by the talk.
    pub(crate) fn agent_ms(&self) -> u64 {
        if self.is_customer_first() {
            self.record.talk_ms
        } else {
            self.record.ended_unix_ms.saturating_sub(self.record.started_unix_ms)
        }
    }

    /// How long the agent listened to the customer's ringing: nothing where the customer is rung first.
    pub(crate) fn agent_waited_ms(&self) -> u64 {
        let until = self.record.answered_unix_ms.unwrap_or(self.record.ended_unix_ms);
        if self.is_customer_first() { 0 } else { until.saturating_sub(self.attempt.at_unix_ms) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
