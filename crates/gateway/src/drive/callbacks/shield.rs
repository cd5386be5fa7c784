//! What keeps call-backs from being turned against people and the phone bill: the numbers not to be called, the budgets of
//! a day, the spend stop of each trunk.
//!
//! The list and the counters are the store's, so they outlive the process and are one for all who share the store. Here is
//! only what this node has seen of the stop, for the pages that ask in passing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use desk::{CallbackId, Number, Zone};
use store::{Counted, Home, StoreError, SuppressedBy, Suppression, Tally};
use tracing::{debug, error, info, warn};

use super::Line;
use super::clerk::ms;
use crate::clock;
use crate::config::Config;
use crate::config::checked::MoneyMax;
use crate::number_key::NumberKey;
use crate::observe::metric::{self, Metric};

/// How often what is over is looked at.
const UPKEEP_EVERY: Duration = Duration::from_secs(30);
/// What is too old is forgotten so often.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Days whose counters are kept besides today, in every zone.
const DAYS_KEPT_MS: u64 = 2 * 86_400_000;
/// What the store did not take is tried again after this, for an hour.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 7_200;
/// Without a clock, which only the ends of the calendar have not: tried again after this.
const NO_DAY_MS: u64 = 3_600_000;

/// Beyond these nobody is called back through a trunk that day.
struct SpendMax {
    dials: u64,
    line_ms: u64,
    money: Option<MoneyMax>,
}

/// What was used up of a day's budget.
#[derive(Clone, Copy, Default)]
struct Spent {
    dials: u64,
    line_ms: u64,
    micros: u64,
}

impl SpendMax {
    fn is_used_up(&self, spent: Spent) -> bool {
        let too_dear = self.money.as_ref().is_some_and(|money| spent.micros >= money.per_day_micros);
        spent.dials >= self.dials || spent.line_ms >= self.line_ms || too_dear
    }
}

/// Whether a customer may be dialled now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Leave {
    Yes,
    /// He, or somebody for him, said that the number is not to be called.
    Suppressed,
    /// The trunk's budget is used up until then.
    Spent(u64),
}

/// See the module.
pub(crate) struct Shield {
    home: Arc<dyn Home>,
    key: NumberKey,
    suppress_for: Duration,
    trunks: BTreeMap<String, SpendMax>,
    /// Trunks that are stopped, until when.
    stopped: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Shield {
    pub(crate) fn new(home: Arc<dyn Home>, key: NumberKey, config: &Config) -> Self {
        let (trunks, stopped) = (Self::budgets(config), Arc::default());
        Self { home, key, suppress_for: config.callback.suppress_for, trunks, stopped }
    }

    /// The same with other budgets; what was stopped stays so until its day is over.
    pub(crate) fn with(&self, config: &Config) -> Self {
        let (home, stopped) = (self.home(), Arc::clone(&self.stopped));
        Self { home, key: self.key.clone(), suppress_for: self.suppress_for, trunks: Self::budgets(config), stopped }
    }

    fn budgets(config: &Config) -> BTreeMap<String, SpendMax> {
        let max = |trunk: &crate::config::checked::Trunk| SpendMax {
            dials: trunk.callback_dials_per_day_max,
            line_ms: ms(trunk.callback_time_per_day_max),
            money: trunk.callback_money.clone(),
        };
        config.trunks.iter().map(|trunk| (trunk.name.clone(), max(trunk))).collect()
    }

    pub(crate) fn home(&self) -> Arc<dyn Home> {
        Arc::clone(&self.home)
    }

    /// Numbers kept under another key are not found: that must not go unsaid. Says how many.
    pub(crate) async fn look_at_keys(&self) -> Result<u64, StoreError> {
        let own = self.key.id();
        let others: u64 =
            self.home.suppression_keys().await?.iter().filter(|(id, _)| **id != own).map(|(_, count)| count).sum();
        if others > 0 {
            warn!(
                numbers = others,
                "numbers not to be called are kept under another key and are NOT found: put the old key back \
                 ([callback] number_key_file, or the .number-key file beside the store)"
            );
        }
        Ok(others)
    }

    /// Ends stops whose day is over, and forgets what is too old.
    pub(crate) async fn upkeep(self: Arc<Self>) {
        let mut forget_at = clock::now();
        self.trunks.keys().for_each(|trunk| metric::gauge_with(Metric::CallbackSpendStopped, trunk, 0.0));
        loop {
            let now = clock::unix_ms();
            self.stopped().retain(|trunk, until| {
                if *until <= now {
                    metric::gauge_with(Metric::CallbackSpendStopped, trunk, 0.0);
                    info!(trunk, "a new day's budget: customers are called back through this trunk again");
                }
                *until > now
            });
            if clock::now() >= forget_at {
                forget_at = clock::now() + FORGET_EVERY;
                if let Err(error) = self.forget(now).await {
                    warn!(%error, "what is too old cannot be forgotten now");
                }
            }
            tokio::time::sleep(UPKEEP_EVERY).await;
        }
    }

    async fn forget(&self, now_unix_ms: u64) -> Result<(), StoreError> {
        let gone = self.home.forget_suppressions(now_unix_ms.saturating_sub(ms(self.suppress_for))).await?;
        if gone > 0 {
            info!(gone, "numbers not to be called are forgotten after their time");
        }
        let day = Zone::named("UTC").ok().and_then(|utc| utc.day_and_next(now_unix_ms.saturating_sub(DAYS_KEPT_MS)));
        match day {
            Some((day, _)) => self.home.forget_tallies(day.to_string()).await,
            None => Ok(()),
        }
    }

    /// Whether this number is not to be called by this tenant.
    pub(super) async fn suppressed(&self, tenant: &str, e164: &str) -> Result<bool, StoreError> {
        let hashes = vec![self.key.number(None, e164), self.key.number(Some(tenant), e164)];
        Ok(self.home.suppressed(hashes).await?.is_some())
    }

    /// Not to be called any more: by this tenant, or by nobody.
    pub(super) async fn suppress(&self, tenant: Option<&str>, e164: &str, by: SuppressedBy) -> Result<(), StoreError> {
        let hash = self.key.number(tenant, e164);
        let suppression = Suppression { hash, key_id: self.key.id(), at_unix_ms: clock::unix_ms(), by };
        self.home.suppress(suppression).await?;
        metric::count_with(Metric::CallbackNumbersSuppressed, by.code());
        Ok(())
    }

    /// The person who picked up said "this was not me": no tenant calls him any more, as soon as the store takes it.
    pub(super) fn not_me(self: &Arc<Self>, id: CallbackId, e164: String) {
        let shield = Arc::clone(self);
        tokio::spawn(async move {
            for _ in 0..TRIES {
                match shield.suppress(None, &e164, SuppressedBy::Recipient).await {
                    Ok(()) => {
                        return info!(callback = %id, "whoever picked up did not ask: the number is not called again");
                    }
                    Err(error) => debug!(%error, "a number not to be called is not noted yet"),
                }
                tokio::time::sleep(AGAIN).await;
            }
            error!(callback = %id, "a number not to be called could not be noted: use `passerelle number block`");
        });
    }

    /// The day of a line at a moment, and when the next one begins.
    fn day(line: &Line, now_unix_ms: u64) -> (String, u64) {
        let day = line.zone().and_then(|zone| zone.day_and_next(now_unix_ms));
        day.map_or_else(
            || ("0000-00-00".to_owned(), now_unix_ms.saturating_add(NO_DAY_MS)),
            |(day, next)| (day.to_string(), next),
        )
    }

    /// Counts one more call-back that this session asks for; false when there were enough today.
    pub(super) async fn session_may_ask(&self, line: &Line, session: &str, now: u64) -> Result<bool, StoreError> {
        if session.is_empty() {
            return Ok(true);
        }
        let (day, _) = Self::day(line, now);
        let name = format!("session:{}", self.key.session(&line.tenant, session));
        let counted = self.home.count(Tally { day, name }, 1, line.config.per_session_per_day_max).await?;
        Ok(matches!(counted, Counted::Done(_)))
    }

    /// Counts one more call-back that this tenant is asked for; the moment the next day begins when there were enough.
    pub(super) async fn tenant_may_be_asked(&self, line: &Line, now: u64) -> Result<Option<u64>, StoreError> {
        let (day, next) = Self::day(line, now);
        let tally = Tally { day, name: format!("asks:{}", line.tenant) };
        let counted = self.home.count(tally, 1, line.config.asks_per_day_max).await?;
        Ok(matches!(counted, Counted::Over(_)).then_some(next))
    }

    /// As this node last knew: until when nobody is called back through this line's trunk.
    pub(super) fn stopped_until(&self, line: &Line, now: u64) -> Option<u64> {
        self.stopped().get(&line.config.trunk).copied().filter(|until| *until > now)
    }

    /// Until when nobody is called back through this line's trunk, its budget of the day being used up.
    pub(super) async fn spent(&self, line: &Line, now: u64) -> Result<Option<u64>, StoreError> {
        let Some(max) = self.trunks.get(&line.config.trunk) else { return Ok(None) };
        let (day, next) = Self::day(line, now);
        let [dials, time, money] = tallies(line, &day);
        let (dials, line_ms) = (self.home.counted(dials).await?, self.home.counted(time).await?);
        let micros = if max.money.is_some() { self.home.counted(money).await? } else { 0 };
        let spent = Spent { dials, line_ms, micros };
        if !max.is_used_up(spent) {
            return Ok(None);
        }
        self.stop(line, next, spent);
        Ok(Some(next))
    }

    /// Whether somebody may be rung for it at all; counts nothing.
    pub(super) async fn leave(&self, line: &Line, e164: &str, now: u64) -> Result<Leave, StoreError> {
        if self.suppressed(&line.tenant, e164).await? {
            return Ok(Leave::Suppressed);
        }
        Ok(self.spent(line, now).await?.map_or(Leave::Yes, Leave::Spent))
    }

    /// Whether the customer may be dialled this instant; if so, it is counted.
    pub(super) async fn dial(&self, line: &Line, number: &Number, now: u64) -> Result<Leave, StoreError> {
        let leave = self.leave(line, number.e164(), now).await?;
        let Some(max) = self.trunks.get(&line.config.trunk).filter(|_| leave == Leave::Yes) else { return Ok(leave) };
        let (day, next) = Self::day(line, now);
        let [dials, ..] = tallies(line, &day);
        match self.home.count(dials, 1, max.dials).await? {
            Counted::Done(_) => Ok(Leave::Yes),
            // Another node took the last one.
            Counted::Over(used) => {
                self.stop(line, next, Spent { dials: used, ..Spent::default() });
                Ok(Leave::Spent(next))
            }
        }
    }

    /// The customer of this number was on the line so long.
    pub(super) fn note_line_time(self: &Arc<Self>, line: &Line, e164: &str, span: Duration) {
        if span.is_zero() {
            return;
        }
        let (day, _) = Self::day(line, clock::unix_ms());
        let [_, time, money] = tallies(line, &day);
        let prices = self.trunks.get(&line.config.trunk).and_then(|max| max.money.as_ref()).map(|money| &money.prices);
        if let Some(prices) = prices {
            self.note_spent(money, prices.cost(e164, span));
        }
        self.note_spent(time, ms(span));
    }

    /// Counts what is spent already, as soon as the store takes it.
    fn note_spent(self: &Arc<Self>, tally: Tally, amount: u64) {
        let shield = Arc::clone(self);
        tokio::spawn(async move {
            for _ in 0..TRIES {
                match shield.home.count(tally.clone(), amount, u64::MAX).await {
                    Ok(_) => return,
                    // It may have been counted, and counted twice would only stop sooner.
                    Err(error) => debug!(%error, "what a call used up is not counted yet"),
                }
                tokio::time::sleep(AGAIN).await;
            }
            warn!("what a call used up could not be counted: the day's budget is larger by it");
        });
    }

    fn stop(&self, line: &Line, until_unix_ms: u64, spent: Spent) {
        let trunk = &line.config.trunk;
        let before = self.stopped().insert(trunk.clone(), until_unix_ms);
        if before.is_some_and(|until| until >= until_unix_ms) {
            return;
        }
        metric::gauge_with(Metric::CallbackSpendStopped, trunk, 1.0);
        let until = line.zone().and_then(|zone| zone.rfc3339(until_unix_ms)).unwrap_or_default();
        error!(
            trunk,
            dials = spent.dials,
            minutes = spent.line_ms / 60_000,
            money = format!("{}.{:02}", spent.micros / 1_000_000, spent.micros % 1_000_000 / 10_000),
            until,
            "the day's budget of this trunk is used up: nobody is called back through it until then. If that is no abuse, \
             raise callback_dials_per_day_max, callback_minutes_per_day_max or callback_money_per_day_max of the trunk"
        );
    }

    /// Held for a few instructions, never across an await.
    fn stopped(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted of a trunk: customers dialled, their time on the line, what it cost.
fn tallies(line: &Line, day: &str) -> [Tally; 3] {
    ["dials", "line-ms", "micros"]
        .map(|what| Tally { day: day.to_owned(), name: format!("{what}:{}", line.config.trunk) })
}

#[cfg(test)]
mod tests;
