//! How a queue calls back: the trunk the customers are behind, the numbers that may be called, slots and tries.

use std::time::Duration;

use desk::{
    Hours, NumberKind, NumberPolicy, NumberPolicyConfig, NumberPolicyError, Opening, Order, RetryRules, Satisfaction,
    SlotRules, Slots,
};
use toml::Spanned;

use super::people::names;
use super::{Checker, text};
use crate::config::checked::{DialAs, QueueCallback, QueueTarget};
use crate::config::file::{self, File};
use crate::config::problem::Problem;
use crate::config::suggest;

/// ISO 3166-1 code of the country whose numbers are called by default.
const HOME: &str = "FR";
/// A whole day, in minutes.
const DAY_MINUTES: u16 = 1_440;

impl Checker<'_> {
    /// `[queue.callback]`; `None` when it is too wrong to be used, which was noted.
    pub(super) fn callback(
        &mut self,
        file: &File,
        table: &Spanned<file::Callback>,
        target: &QueueTarget,
        hours: Option<&Hours>,
    ) -> Option<QueueCallback> {
        let (place, callback) = (table.span(), table.get_ref());
        let help = "say behind which trunk the customers' phones are: trunk = \"pbx\"";
        let trunk = self.required(&callback.trunk, &place, "trunk", help);
        if let Some(trunk) = trunk {
            self.known(trunk, "trunk", trunk.get_ref(), names(&file.trunk, |trunk| &trunk.name));
        }
        let agent_first = self.rings_first(callback);
        let key_limit = self.key_limit(callback, target, agent_first);
        let last_agent_days = self.number(&callback.last_agent_days, "last_agent_days", 30, 0..=365).unsigned_abs();
        let last_agent_wait =
            self.number(&callback.last_agent_wait_minutes, "last_agent_wait_minutes", 0, 0..=60).unsigned_abs();
        let numbers = self.numbers(table);
        let dial_as = self.dial_as(callback);
        let dial_prefix = self.dial_prefix(callback);
        let caller_id = self.caller_id(file, callback);
        let slots = self.slots(callback, hours);
        let wait_max = callback.wait_max_minutes.is_some().then(|| {
            let minutes = self.number(&callback.wait_max_minutes, "wait_max_minutes", 60, 1..=1_440).unsigned_abs();
            Duration::from_secs(minutes * 60)
        });
        let retry = RetryRules {
            attempts_max: u8::try_from(self.number(&callback.attempts_max, "attempts_max", 3, 1..=10)).unwrap_or(3),
            window: Duration::from_secs(
                self.number(&callback.window_hours, "window_hours", 24, 1..=720).unsigned_abs() * 3_600,
            ),
            ..RetryRules::default()
        };
        Some(QueueCallback {
            trunk: trunk?.get_ref().clone(),
            agent_first,
            key_limit,
            last_agent_for: Duration::from_secs(last_agent_days * 86_400),
            last_agent_wait: Duration::from_secs(last_agent_wait * 60),
            numbers: numbers?,
            dial_as,
            dial_prefix,
            caller_id,
            ring_limit: self.seconds(&callback.ring_limit_s, "ring_limit_s", 28, 5..=120),
            at_once_max: self.count(&callback.at_once_max, "at_once_max", 10, 1..=10_000),
            open_max: self.number(&callback.open_max, "open_max", 1_000, 1..=1_000_000).unsigned_abs(),
            per_number_per_day_max: self
                .number(&callback.per_number_per_day_max, "per_number_per_day_max", 2, 1..=1_000)
                .unsigned_abs(),
            per_session_per_day_max: self
                .number(&callback.per_session_per_day_max, "per_session_per_day_max", 5, 1..=1_000)
                .unsigned_abs(),
            asks_per_day_max: self
                .number(&callback.asks_per_day_max, "asks_per_day_max", 2_000, 1..=10_000_000)
                .unsigned_abs(),
            asap_while_paused: callback.asap_while_paused.as_ref().is_some_and(|key| *key.get_ref()),
            wait_max,
            slots: slots?,
            order: self.order(callback),
            retry,
        })
    }

    fn rings_first(&mut self, callback: &file::Callback) -> bool {
        match callback.rings_first.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "agent")) => true,
            Some((_, "customer")) => false,
            Some((key, other)) => {
                let message = format!("`{other}` cannot be rung first");
                self.error(key, &message, &suggest::mend(other, ["agent", "customer"], ""));
                true
            }
        }
    }

    /// Whether he who is rung first takes it by answering or by a key. What answers behind a trunk may be a queue with its
    /// music, what answers at a customer's number a voicemail; an agent known here answers himself.
    fn key_limit(&mut self, callback: &file::Callback, target: &QueueTarget, agent_first: bool) -> Option<Duration> {
        let by_key = match callback.accept.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None => !agent_first || matches!(target, QueueTarget::Trunk { .. }),
            Some((_, "answer")) => false,
            Some((_, "key")) => true,
            Some((key, other)) => {
                let help = suggest::mend(other, ["answer", "key"], "");
                self.error(key, &format!("nobody can accept by `{other}`"), &help);
                false
            }
        };
        let usual = if agent_first { 120 } else { 45 };
        let limit = self.seconds(&callback.accept_limit_s, "accept_limit_s", usual, 5..=3_600);
        by_key.then_some(limit)
    }

    fn numbers(&mut self, table: &Spanned<file::Callback>) -> Option<NumberPolicy> {
        let callback = table.get_ref();
        let texts = |key: &file::Key<Vec<Spanned<String>>>| -> Option<Vec<String>> {
            key.as_ref().map(|key| key.get_ref().iter().map(|item| item.get_ref().clone()).collect())
        };
        let countries = texts(&callback.countries).unwrap_or_else(|| vec![HOME.to_owned()]);
        let home = countries.first().cloned().unwrap_or_default();
        let mut config = NumberPolicyConfig {
            countries,
            blocked_prefixes: texts(&callback.blocked_prefixes).unwrap_or_default(),
            ..NumberPolicyConfig::at_home(&home)
        };
        if let Some(kinds) = &callback.kinds {
            config.kinds = kinds.get_ref().iter().filter_map(|item| self.kind(item)).collect();
        }
        match NumberPolicy::new(&config) {
            Ok(policy) => Some(policy),
            Err(error) => {
                self.number_policy_error(table, &error);
                None
            }
        }
    }

    fn kind(&mut self, item: &Spanned<String>) -> Option<NumberKind> {
        let kind = NumberKind::named(item.get_ref());
        if kind.is_none() {
            let message = format!("there is no kind of number `{}`", item.get_ref());
            let help = suggest::mend(item.get_ref(), NumberKind::ALL.map(NumberKind::code), "");
            self.error(item, &message, &help);
        }
        kind
    }

    /// Points at the very word that is wrong, where there is one.
    fn number_policy_error(&mut self, table: &Spanned<file::Callback>, error: &NumberPolicyError) {
        let callback = table.get_ref();
        let (list, word) = match error {
            NumberPolicyError::UnknownHome(word) | NumberPolicyError::UnknownCountry(word) => {
                (&callback.countries, Some(word))
            }
            NumberPolicyError::NoCountry => (&callback.countries, None),
            NumberPolicyError::NoKind => (&callback.kinds, None),
            NumberPolicyError::BadPrefix(word) => (&callback.blocked_prefixes, Some(word)),
        };
        let span = list.as_ref().map_or_else(
            || table.span(),
            |list| {
                let item = list.get_ref().iter().find(|item| Some(item.get_ref()) == word);
                item.map_or_else(|| list.span(), Spanned::span)
            },
        );
        self.problems.push(Problem::error(span, error.to_string()));
    }

    fn dial_as(&mut self, callback: &file::Callback) -> DialAs {
        match callback.dial_as.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "e164")) => DialAs::E164,
            Some((_, "digits")) => DialAs::Digits,
            Some((_, "international")) => DialAs::International,
            Some((_, "national")) => DialAs::National,
            Some((key, other)) => {
                let known = ["e164", "digits", "international", "national"];
                self.error(key, &format!("no way to dial is called `{other}`"), &suggest::mend(other, known, ""));
                DialAs::E164
            }
        }
    }

    fn dial_prefix(&mut self, callback: &file::Callback) -> String {
        let typed = text(&callback.dial_prefix, "");
        let sound = typed.len() <= 8 && typed.bytes().all(|octet| octet.is_ascii_digit() || b"*#".contains(&octet));
        if let (Some(key), false) = (&callback.dial_prefix, sound) {
            self.error(key, &format!("`{typed}` cannot be dialled before a number"), "up to 8 digits, * and #");
        }
        typed.to_owned()
    }

    /// Only what the trunk's contract lists may be shown.
    fn caller_id(&mut self, file: &File, callback: &file::Callback) -> Option<String> {
        let key = callback.caller_id.as_ref()?;
        let trunk = callback.trunk.as_ref().map(|key| key.get_ref().as_str())?;
        let is_named =
            |table: &&Spanned<file::Trunk>| table.get_ref().name.as_ref().is_some_and(|name| name.get_ref() == trunk);
        let ids = file.trunk.iter().find(is_named).and_then(|table| table.get_ref().caller_ids.as_ref());
        let listed = ids.is_some_and(|ids| ids.get_ref().iter().any(|id| id.get_ref() == key.get_ref()));
        if !listed {
            let message = format!("trunk `{trunk}` may not show `{}`", key.get_ref());
            let help = format!("list it there, if your provider allows it: caller_ids = [\"{}\"]", key.get_ref());
            self.error(key, &message, &help);
        }
        Some(key.get_ref().clone())
    }

    /// Whose turn it is. The parameters of an order that is not chosen are checked all the same.
    fn order(&mut self, callback: &file::Callback) -> Order {
        let minutes = |minutes: i64| Duration::from_secs(minutes.unsigned_abs() * 60);
        let curve = Satisfaction {
            soon: minutes(self.number(&callback.soon_minutes, "soon_minutes", 4, 1..=1_440)),
            late: minutes(self.number(&callback.late_minutes, "late_minutes", 15, 1..=1_440)),
            ceiling: minutes(self.number(&callback.ceiling_minutes, "ceiling_minutes", 30, 1..=1_440)),
            ..Satisfaction::default()
        };
        if let (true, Some(key)) =
            (curve.late < curve.soon, callback.late_minutes.as_ref().or(callback.soon_minutes.as_ref()))
        {
            self.error(
                key,
                "`late_minutes` is less than `soon_minutes`",
                "the loss grows with time: give the longer wait second",
            );
        }
        let head_start = minutes(self.number(&callback.head_start_minutes, "head_start_minutes", 10, 0..=1_440));
        match callback.order.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "fifo")) => Order::Fifo,
            Some((key, "priority")) => {
                let message = "no call-back has a priority in this version, so this order serves by the time asked";
                let help = "a page may not give one, and nothing signed by the site is read yet";
                self.problems.push(Problem::warning(key.span(), message).help(help));
                Order::Priority { head_start }
            }
            Some((_, "satisfaction")) => Order::Satisfaction(curve),
            Some((key, other)) => {
                let known = ["fifo", "priority", "satisfaction"];
                self.error(key, &format!("no order is called `{other}`"), &suggest::mend(other, known, ""));
                Order::Fifo
            }
        }
    }

    fn slots(&mut self, callback: &file::Callback, hours: Option<&Hours>) -> Option<Slots> {
        let minutes = |minutes: i64| Duration::from_secs(minutes.unsigned_abs() * 60);
        let every = minutes(self.number(&callback.slot_minutes, "slot_minutes", 15, 5..=240));
        let rules = SlotRules {
            every,
            length: every,
            lead: minutes(self.number(&callback.lead_minutes, "lead_minutes", 5, 0..=1_440)),
            horizon: minutes(self.number(&callback.horizon_days, "horizon_days", 14, 1..=365) * 1_440),
            asap_before_close: minutes(self.number(
                &callback.asap_before_close_minutes,
                "asap_before_close_minutes",
                0,
                0..=240,
            )),
            seats: u32::try_from(self.number(&callback.slot_seats, "slot_seats", 1, 1..=10_000)).unwrap_or(1),
            ..SlotRules::default()
        };
        // A queue that never closes offers slots around the clock, told in UTC.
        let always = || {
            let day = |weekday| Opening { weekday, from_minute: 0, to_minute: DAY_MINUTES };
            Hours::new("UTC", (0..7).map(day).collect()).ok()
        };
        Slots::new(hours.cloned().or_else(always)?, rules).ok()
    }
}
