//! Calls in the file: started, ended, listed.

use call::CallRecord;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::to_column;
use super::writer::Written;
use crate::counters::Counters;
use crate::{CallQuery, StoreError, record};

/// A row of `calls`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) started_unix_ms: i64,
    pub(super) ended_unix_ms: Option<i64>,
    pub(super) row: String,
}

/// A call has started: unless known.
pub(super) fn open(connection: &Connection, row: &Row) -> Written<()> {
    insert(
        connection,
        "INSERT INTO calls (id, tenant, started_unix_ms, ended_unix_ms, version, row)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        row,
    )
}

/// A call has ended: unless it had already.
pub(super) fn close(connection: &Connection, row: &Row) -> Written<()> {
    insert(
        connection,
        "INSERT INTO calls (id, tenant, started_unix_ms, ended_unix_ms, version, row)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET ended_unix_ms = ?4, version = ?5, row = ?6 WHERE ended_unix_ms IS NULL",
        row,
    )
}

fn insert(connection: &Connection, sql: &str, row: &Row) -> Written<()> {
    let values = (&row.id, &row.tenant, row.started_unix_ms, row.ended_unix_ms, record::VERSION, &row.row);
    Ok((connection.prepare_cached(sql)?.execute(values)? as u64, ()))
}

/// Closes every open row; one that cannot be read is closed as it is, and shows up as unreadable.
pub(super) fn interrupt(connection: &Connection, at_unix_ms: u64, counters: &Counters) -> Written<u64> {
    let mut find = connection.prepare("SELECT id, version, row FROM calls WHERE ended_unix_ms IS NULL LIMIT 1")?;
    let mut close = connection.prepare("UPDATE calls SET ended_unix_ms = ?2, version = ?3, row = ?4 WHERE id = ?1")?;
    let mut closed = 0;
    while let Some((id, version, row)) = find
        .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?)))
        .optional()?
    {
        let ended =
            record::decode_open(version, &row).and_then(|call| record::encode_record(&call.interrupted(at_unix_ms)));
        let (version, row) = match ended {
            Ok(ended) => (record::VERSION, ended),
            Err(why) => {
                counters.unreadable(&id, &why);
                (version, row)
            }
        };
        close.execute((&id, to_column(at_unix_ms), version, row))?;
        closed += 1;
    }
    Ok((closed, closed))
}

/// One call that has ended.
pub(super) fn one(connection: &Connection, id: &str, counters: &Counters) -> Result<Option<CallRecord>, StoreError> {
    let sql = "SELECT id, version, row FROM calls WHERE ended_unix_ms IS NOT NULL AND id = ?1";
    Ok(read(connection, sql, vec![Value::Text(id.to_owned())], counters)?.pop())
}

/// Calls that have ended, the newest first.
pub(super) fn list(
    connection: &Connection,
    query: &CallQuery,
    counters: &Counters,
) -> Result<Vec<CallRecord>, StoreError> {
    let mut sql =
        "SELECT id, version, row FROM calls WHERE ended_unix_ms IS NOT NULL AND started_unix_ms >= ?1".to_owned();
    let mut values = vec![Value::Integer(to_column(query.since_unix_ms.unwrap_or(0)))];
    if let Some(tenant) = &query.tenant {
        sql.push_str(" AND tenant = ?2");
        values.push(Value::Text(tenant.0.clone()));
    }
    let limit = query.limit.min(CallQuery::LIMIT_MAX);
    sql.push_str(&format!(" ORDER BY started_unix_ms DESC, id DESC LIMIT {limit}"));
    read(connection, &sql, values, counters)
}

fn read(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
    counters: &Counters,
) -> Result<Vec<CallRecord>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, version, text): (String, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // One bad row must not hide the others.
        match record::decode_record(version, &text) {
            Ok(record) => records.push(record),
            Err(why) => counters.unreadable(&id, &why),
        }
    }
    Ok(records)
}
