//! The list of numbers not to be called, and the day's budgets, in the file.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::to_column;
use super::writer::Written;
use crate::{Counted, NumberHash, StoreError, SuppressedBy, Suppression, Tally};

/// Keeps one; the newer word stays.
pub(super) fn suppress(connection: &Connection, suppression: &Suppression) -> Written<()> {
    let sql = "INSERT INTO suppressions (hash, key_id, at_unix_ms, said_by) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (hash) DO UPDATE SET key_id = ?2, at_unix_ms = ?3, said_by = ?4";
    let Suppression { hash, key_id, at_unix_ms, by } = suppression;
    let values = (hash.to_string(), key_id, to_column(*at_unix_ms), by.code());
    connection.prepare_cached(sql)?.execute(values)?;
    Ok((1, ()))
}

/// The first of these on the list.
pub(super) fn suppressed(connection: &Connection, hashes: &[NumberHash]) -> Result<Option<Suppression>, StoreError> {
    let sql = "SELECT hash, key_id, at_unix_ms, said_by FROM suppressions WHERE hash = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    for hash in hashes {
        if let Some(found) = statement.query_row([hash.to_string()], kept).optional()? {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Takes these off the list.
pub(super) fn unsuppress(connection: &Connection, hashes: &[NumberHash]) -> Written<u64> {
    let mut statement = connection.prepare_cached("DELETE FROM suppressions WHERE hash = ?1")?;
    let mut gone = 0;
    for hash in hashes {
        gone += statement.execute([hash.to_string()])? as u64;
    }
    Ok((gone, gone))
}

/// The newest first.
pub(super) fn list(connection: &Connection, limit: usize) -> Result<Vec<Suppression>, StoreError> {
    let sql = "SELECT hash, key_id, at_unix_ms, said_by FROM suppressions
        ORDER BY at_unix_ms DESC, hash DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([to_column(limit as u64)], kept)?;
    rows.filter_map(Result::transpose).map(|row| row.map_err(StoreError::from)).collect()
}

/// How many under each key.
pub(super) fn keys(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT key_id, COUNT(*) FROM suppressions GROUP BY key_id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, u64::from(row.get::<_, u32>(1)?))))?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}

/// Forgets what is too old.
pub(super) fn forget(connection: &Connection, before_unix_ms: u64) -> Written<u64> {
    let sql = "DELETE FROM suppressions WHERE at_unix_ms < ?1";
    let gone = connection.prepare_cached(sql)?.execute([to_column(before_unix_ms)])? as u64;
    Ok((gone, gone))
}

/// `None` for a hash that is none: no number has it.
fn kept(row: &Row<'_>) -> rusqlite::Result<Option<Suppression>> {
    let (hash, by): (String, String) = (row.get(0)?, row.get(3)?);
    let at_unix_ms = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
    let key_id = row.get(1)?;
    Ok(NumberHash::parse(&hash).map(|hash| Suppression { hash, key_id, at_unix_ms, by: SuppressedBy::from_code(&by) }))
}

/// Counts an amount, if there is room for it.
pub(super) fn count(connection: &Connection, tally: &Tally, amount: u64, max: u64) -> Written<Counted> {
    let used = counted(connection, tally)?;
    let after = used.saturating_add(amount);
    if after > max {
        return Ok((0, Counted::Over(used)));
    }
    let sql = "INSERT INTO tallies (day, name, used) VALUES (?1, ?2, ?3)
        ON CONFLICT (day, name) DO UPDATE SET used = ?3";
    connection.prepare_cached(sql)?.execute((&tally.day, &tally.name, to_column(after)))?;
    Ok((1, Counted::Done(after)))
}

/// How much is used.
pub(super) fn counted(connection: &Connection, tally: &Tally) -> Result<u64, StoreError> {
    let sql = "SELECT used FROM tallies WHERE day = ?1 AND name = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let used = statement.query_row((&tally.day, &tally.name), |row| row.get::<_, i64>(0)).optional()?;
    Ok(used.and_then(|used| u64::try_from(used).ok()).unwrap_or(0))
}

/// Forgets the days before this one.
pub(super) fn forget_tallies(connection: &Connection, before_day: &str) -> Written<()> {
    let gone = connection.prepare_cached("DELETE FROM tallies WHERE day < ?1")?.execute([before_day])?;
    Ok((gone as u64, ()))
}
