//! Budgets for people we do not know yet: sockets without a hello, wrong passwords, messages a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::source::SourceKey;

/// Sockets per source that have not said a good hello.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strangers(Arc<Mutex<HashMap<SourceKey, usize>>>);

/// A place among the strangers; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Stranger {
    all: Strangers,
    source: SourceKey,
}

impl Strangers {
    pub(crate) fn admit(&self, source: SourceKey, limit: usize) -> Option<Stranger> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Stranger { all: self.clone(), source })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// Wrong passwords per source in a window. Not per extension: that would let anybody lock an agent out.
#[derive(Debug)]
pub(crate) struct Failures {
    limit: usize,
    window: Duration,
    rows: HashMap<SourceKey, (Instant, usize)>,
}

/// Sources remembered; the one remembered longest makes room.
const MAX_SOURCES: usize = 10_000;

impl Failures {
    pub(crate) fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, rows: HashMap::new() }
    }

    /// Whether this source has to wait.
    pub(crate) fn is_blocked(&self, source: SourceKey, now: Instant) -> bool {
        self.count(source, now) >= self.limit
    }

    /// How often this source did it in the window.
    pub(crate) fn count(&self, source: SourceKey, now: Instant) -> usize {
        let row = self.rows.get(&source).filter(|(since, _)| now.saturating_duration_since(*since) < self.window);
        row.map_or(0, |(_, count)| *count)
    }

    pub(crate) fn note(&mut self, source: SourceKey, now: Instant) {
        if self.rows.len() >= MAX_SOURCES && !self.rows.contains_key(&source) {
            let oldest = self.rows.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| *key);
            if let Some(key) = oldest {
                self.rows.remove(&key);
            }
        }
        let row = self.rows.entry(source).or_insert((now, 0));
        if now.saturating_duration_since(row.0) >= self.window {
            *row = (now, 0);
        }
        row.1 += 1;
    }

    pub(crate) fn forgive(&mut self, source: SourceKey) {
        self.rows.remove(&source);
    }
}

/// How often something was done for each tenant in a window. Tenants are the configuration's, so they are few.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Duration,
    rows: HashMap<String, (Instant, usize)>,
}

impl Pace {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, rows: HashMap::new() }
    }

    pub(crate) fn count(&self, tenant: &str, now: Instant) -> usize {
        let row = self.rows.get(tenant).filter(|(since, _)| now.saturating_duration_since(*since) < self.window);
        row.map_or(0, |(_, count)| *count)
    }

    pub(crate) fn note(&mut self, tenant: &str, now: Instant) {
        let count = self.count(tenant, now);
        match self.rows.get_mut(tenant) {
            Some(row) if count > 0 => row.1 += 1,
            Some(row) => *row = (now, 1),
            None => {
                self.rows.insert(tenant.to_owned(), (now, 1));
            }
        }
    }
}

/// Messages a second with a burst: a bucket that refills evenly.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Time one message costs.
    cost: Duration,
    /// The bucket is full when this much time is saved.
    depth: Duration,
    /// Time up to here is spent.
    spent_until: Instant,
}

impl Bucket {
    pub(crate) fn new(per_s: u32, burst: u32, now: Instant) -> Self {
        let cost = Duration::from_secs(1) / per_s.max(1);
        let depth = cost * burst.max(1);
        Self { cost, depth, spent_until: now.checked_sub(depth).unwrap_or(now) }
    }

    /// Takes one message's worth; `false` when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let floor = now.checked_sub(self.depth).unwrap_or(self.spent_until);
        let from = self.spent_until.max(floor);
        if now.saturating_duration_since(from) < self.cost {
            return false;
        }
        self.spent_until = from + self.cost;
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn source(last: u8) -> SourceKey {
        SourceKey::of([192, 0, 2, last].into())
    }

    #[test]
    fn strangers_are_counted_per_source_and_given_back() {
        let strangers = Strangers::default();
        let first = strangers.admit(source(1), 2).unwrap();
        let _second = strangers.admit(source(1), 2).unwrap();
        assert!(strangers.admit(source(1), 2).is_none());
        let other = strangers.admit(source(2), 2).unwrap();
        drop((first, other));
        assert!(strangers.admit(source(1), 2).is_some());
        assert_eq!(strangers.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn wrong_passwords_block_for_the_window_and_a_right_one_forgives() {
        let start = Instant::now();
        let window = Duration::from_secs(300);
        let mut failures = Failures::new(3, window);
        for _ in 0..3 {
            assert!(!failures.is_blocked(source(1), start));
            failures.note(source(1), start);
        }
        assert!(failures.is_blocked(source(1), start));
        assert!(!failures.is_blocked(source(2), start));
        assert!(!failures.is_blocked(source(1), start + window));
        failures.note(source(1), start + window);
        assert!(!failures.is_blocked(source(1), start + window), "a new window begins at one");
        failures.forgive(source(1));
        assert!(failures.rows.is_empty());
    }

    #[test]
    fn remembered_sources_are_bounded() {
        let start = Instant::now();
        let mut failures = Failures::new(3, Duration::from_secs(300));
        for n in 0..MAX_SOURCES as u32 + 50 {
            let key = SourceKey::of(std::net::Ipv4Addr::from_bits(n).into());
            failures.note(key, start + Duration::from_millis(u64::from(n)));
        }
        assert_eq!(failures.rows.len(), MAX_SOURCES);
    }

    #[test]
    fn the_bucket_allows_a_burst_then_the_pace() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut bucket = Bucket::new(20, 40, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 40);
        let second: usize = (1..=1_000).filter(|ms| bucket.take(start + Duration::from_millis(*ms))).count();
        assert_eq!(second, 20);
        let later = start + Duration::from_secs(3_600);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 40, "an idle hour saves one burst, no more");
    }
}
