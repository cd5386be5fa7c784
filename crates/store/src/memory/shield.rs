//! The list of numbers not to be called, and the day's budgets, in memory.

use std::collections::BTreeMap;

use crate::{Counted, NumberHash, StoreError, Suppression, Tally};

/// So many numbers at most; one more is refused rather than another forgotten.
const NUMBERS_MAX: usize = 1_000_000;
/// So many counters at most.
const TALLIES_MAX: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Shield {
    numbers: BTreeMap<NumberHash, Suppression>,
    tallies: BTreeMap<Tally, u64>,
}

impl Shield {
    pub(super) fn suppress(&mut self, suppression: Suppression) -> Result<(), StoreError> {
        if self.numbers.len() >= NUMBERS_MAX && !self.numbers.contains_key(&suppression.hash) {
            return Err(StoreError::Overloaded);
        }
        self.numbers.insert(suppression.hash, suppression);
        Ok(())
    }

    pub(super) fn suppressed(&self, hashes: &[NumberHash]) -> Option<Suppression> {
        hashes.iter().find_map(|hash| self.numbers.get(hash)).cloned()
    }

    pub(super) fn unsuppress(&mut self, hashes: &[NumberHash]) -> u64 {
        hashes.iter().filter(|hash| self.numbers.remove(hash).is_some()).count() as u64
    }

    pub(super) fn list(&self, limit: usize) -> Vec<Suppression> {
        let mut all: Vec<Suppression> = self.numbers.values().cloned().collect();
        all.sort_by_key(|kept| std::cmp::Reverse((kept.at_unix_ms, kept.hash)));
        all.truncate(limit);
        all
    }

    pub(super) fn keys(&self) -> BTreeMap<String, u64> {
        let mut keys = BTreeMap::new();
        for kept in self.numbers.values() {
            *keys.entry(kept.key_id.clone()).or_default() += 1;
        }
        keys
    }

    pub(super) fn forget(&mut self, before_unix_ms: u64) -> u64 {
        let before = self.numbers.len();
        self.numbers.retain(|_, kept| kept.at_unix_ms >= before_unix_ms);
        (before - self.numbers.len()) as u64
    }

    pub(super) fn count(&mut self, tally: Tally, amount: u64, max: u64) -> Result<Counted, StoreError> {
        let used = self.counted(&tally);
        let after = used.saturating_add(amount);
        if after > max {
            return Ok(Counted::Over(used));
        }
        if self.tallies.len() >= TALLIES_MAX && !self.tallies.contains_key(&tally) {
            return Err(StoreError::Overloaded);
        }
        self.tallies.insert(tally, after);
        Ok(Counted::Done(after))
    }

    pub(super) fn counted(&self, tally: &Tally) -> u64 {
        self.tallies.get(tally).copied().unwrap_or(0)
    }

    pub(super) fn forget_tallies(&mut self, before_day: &str) {
        self.tallies.retain(|tally, _| tally.day.as_str() >= before_day);
    }
}
