//! The call-back book in the file. The columns beside `row` are what is searched by; all of them follow from the row and
//! are written with it.

use call::TenantId;
use desk::{Callback, CallbackId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};

use super::writer::Written;
use super::{seats, to_column};
use crate::callback::{LAST_TO, OF_SESSION_MAX, lease_after, session, wake};
use crate::callback_row::{self, VERSION};
use crate::counters::Counters;
use crate::{
    Added, CallbackQuery, Change, Changed, KeptCallback, Lease, Moved, NewCallback, NodeId, SeatClaim, StoreError,
};

/// What a kept call-back is read from.
const COLUMNS: &str = "id, manage, change, lease_node, lease_until_unix_ms, version, row";

// What is asked for every call that is promised, due or held: each follows an index (plan_tests).
const BY_ID: &str = "id = ?1 LIMIT 1";
const REQUESTED: &str = "tenant = ?1 AND request_key = ?2 LIMIT 1";
const WAITING: &str = "tenant = ?1 AND number = ?2 AND is_open LIMIT 1";
const DUE: &str = "wake_unix_ms <= ?1 ORDER BY wake_unix_ms, id LIMIT ?2";
const NEXT: &str = "SELECT wake_unix_ms FROM callbacks WHERE wake_unix_ms IS NOT NULL ORDER BY wake_unix_ms LIMIT 1";
const RENEW: &str =
    "UPDATE callbacks SET lease_until_unix_ms = ?3, wake_unix_ms = ?3 WHERE id = ?1 AND lease_node = ?2";
const FREE_ALL: &str = "UPDATE callbacks INDEXED BY callbacks_held SET wake_unix_ms = 0
    WHERE lease_node IS NOT NULL AND wake_unix_ms IS NOT NULL";
/// All that is held is looked at, once a start.
const LEFT: &str = "lease_node IS NOT NULL AND wake_unix_ms IS NOT NULL
    AND lease_node BETWEEN ?1 AND ?2 AND lease_node <> ?3 ORDER BY id";
const TO_NUMBER: &str = "SELECT COUNT(*) FROM callbacks WHERE number = ?1 AND asked_unix_ms >= ?2";
const LAST: &str = "number = ?1 ORDER BY asked_unix_ms DESC LIMIT ?2";
const OF_SESSION: &str = "tenant = ?1 AND session = ?2 AND is_open ORDER BY asked_unix_ms LIMIT ?3";
const OPEN_OF: &str = "SELECT open FROM callbacks_open_of WHERE tenant = ?1";
/// One row a tenant.
const OPEN: &str = "SELECT COALESCE(SUM(open), 0) FROM callbacks_open_of";

fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM callbacks WHERE {condition}")
}

/// Keeps a new one, unless the same request came before or the number has an open one.
pub(super) fn add(connection: &Connection, new: &NewCallback, counters: &Counters) -> Written<Added> {
    let (tenant, number) = (&new.callback.tenant().0, &new.callback.wish().number);
    if let Some(key) = &new.request_key {
        let found = first(connection, REQUESTED, (tenant, key), counters)?;
        if let Some(kept) = found {
            return Ok((0, Added::Same(kept)));
        }
    }
    if let Some(kept) = first(connection, WAITING, (tenant, number), counters)? {
        return Ok((0, Added::Open(kept)));
    }
    if let Some(seat) = &new.seat
        && !seats::take(connection, &new.callback, None, seat)?
    {
        return Ok((0, Added::Full));
    }
    let kept = KeptCallback { callback: new.callback.clone(), manage: new.manage, version: 1, lease: None };
    let sql = "INSERT INTO callbacks (id, tenant, queue, number, request_key, manage, asked_unix_ms,
            promised_unix_ms, is_open, wake_unix_ms, lease_node, lease_until_unix_ms, change, version, row, session)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL, NULL, ?11, ?12, ?13, ?14)";
    let callback = &kept.callback;
    connection.prepare_cached(sql)?.execute(rusqlite::params![
        callback.id().to_string(),
        tenant,
        callback.queue().0,
        number,
        new.request_key,
        hex(new.manage),
        to_column(callback.wish().asked_unix_ms),
        to_column(callback.wish().promised_unix_ms),
        !callback.state().is_over(),
        wake(callback, None).map(to_column),
        to_column(kept.version),
        VERSION,
        encode(callback)?,
        session(callback),
    ])?;
    Ok((1, Added::New(kept)))
}

/// Keeps a change, if it was made from the newest version.
pub(super) fn change(connection: &Connection, change: &Change, counters: &Counters) -> Written<Changed> {
    let id = change.callback.id();
    let Some(kept) = one(connection, id, counters)? else { return Ok((0, Changed::Missing)) };
    if kept.version != change.version {
        return Ok((0, Changed::Stale(kept)));
    }
    let lease = lease_after(&change.callback, change.held, kept.lease);
    let after =
        KeptCallback { callback: change.callback.clone(), version: kept.version + 1, lease, manage: kept.manage };
    write(connection, &after)?;
    Ok((1, Changed::Done(after)))
}

/// Keeps a change that gives it another promised moment, if a seat is left then.
pub(super) fn move_to(connection: &Connection, to: &Change, seat: SeatClaim, counters: &Counters) -> Written<Moved> {
    if let Some(kept) = one(connection, to.callback.id(), counters)?
        && kept.version == to.version
        && !seats::take(connection, &to.callback, Some(&kept.callback), &seat)?
    {
        return Ok((0, Moved::Full));
    }
    let (rows, changed) = change(connection, to, counters)?;
    Ok((rows, Moved::Changed(changed)))
}

fn write(connection: &Connection, kept: &KeptCallback) -> Result<(), StoreError> {
    let callback = &kept.callback;
    let sql = "UPDATE callbacks SET promised_unix_ms = ?2, is_open = ?3, wake_unix_ms = ?4, lease_node = ?5,
        lease_until_unix_ms = ?6, change = ?7, version = ?8, row = ?9, queue = ?10 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(rusqlite::params![
        callback.id().to_string(),
        to_column(callback.wish().promised_unix_ms),
        !callback.state().is_over(),
        wake(callback, kept.lease.as_ref()).map(to_column),
        kept.lease.map(|lease| hex(lease.node.0)),
        kept.lease.map(|lease| to_column(lease.until_unix_ms)),
        to_column(kept.version),
        VERSION,
        encode(callback)?,
        callback.queue().0,
    ])?;
    Ok(())
}

/// Takes what has come to its moment. A row that cannot be read is put aside for an hour: it must not stop the others.
pub(super) fn lease(
    connection: &Connection,
    lease: Lease,
    now_unix_ms: u64,
    limit: usize,
    counters: &Counters,
) -> Written<Vec<KeptCallback>> {
    let limit = to_column(limit.min(CallbackQuery::LIMIT_MAX) as u64);
    take(connection, (DUE, (to_column(now_unix_ms), limit)), lease, now_unix_ms, counters)
}

/// Takes what a process held that ran where this one runs.
pub(super) fn reclaim(
    connection: &Connection,
    lease: Lease,
    now_unix_ms: u64,
    counters: &Counters,
) -> Written<Vec<KeptCallback>> {
    let place = lease.node.0 >> 64 << 64;
    let of_place = (hex(place), hex(place | u128::from(u64::MAX)), hex(lease.node.0));
    take(connection, (LEFT, of_place), lease, now_unix_ms, counters)
}

fn take(
    connection: &Connection,
    (which, values): (&str, impl rusqlite::Params),
    lease: Lease,
    now_unix_ms: u64,
    counters: &Counters,
) -> Written<Vec<KeptCallback>> {
    const ASIDE_MS: u64 = 3_600_000;
    let mut taken = Vec::new();
    let mut unreadable = Vec::new();
    let mut statement = connection.prepare_cached(&select(which))?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        match kept(row, counters)? {
            Some(kept) => taken.push(KeptCallback { version: kept.version + 1, lease: Some(lease), ..kept }),
            None => unreadable.push(row.get::<_, String>(0)?),
        }
    }
    drop(rows);
    taken.iter().try_for_each(|kept| write(connection, kept))?;
    let mut aside = connection.prepare_cached("UPDATE callbacks SET wake_unix_ms = ?2 WHERE id = ?1")?;
    for id in unreadable {
        aside.execute((id, to_column(now_unix_ms.saturating_add(ASIDE_MS))))?;
    }
    Ok((taken.len() as u64, taken))
}

/// Holds on to what is still this node's.
pub(super) fn renew(connection: &Connection, lease: Lease, ids: &[CallbackId]) -> Written<Vec<CallbackId>> {
    let mut statement = connection.prepare_cached(RENEW)?;
    let (node, until) = (hex(lease.node.0), to_column(lease.until_unix_ms));
    let mut held = Vec::new();
    for id in ids {
        if statement.execute((id.to_string(), &node, until))? > 0 {
            held.push(*id);
        }
    }
    Ok((held.len() as u64, held))
}

/// The file has one owner at a time: whoever held anything before is dead.
pub(super) fn free_all(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.execute(FREE_ALL, [])?)
}

/// One call-back.
pub(super) fn one(
    connection: &Connection,
    id: CallbackId,
    counters: &Counters,
) -> Result<Option<KeptCallback>, StoreError> {
    first(connection, BY_ID, [id.to_string()], counters)
}

/// What was made of a request.
pub(super) fn requested(
    connection: &Connection,
    tenant: &TenantId,
    key: &str,
    counters: &Counters,
) -> Result<Option<KeptCallback>, StoreError> {
    first(connection, REQUESTED, (&tenant.0, key), counters)
}

fn first(
    connection: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
    counters: &Counters,
) -> Result<Option<KeptCallback>, StoreError> {
    let mut statement = connection.prepare_cached(&select(condition))?;
    let mut rows = statement.query(values)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    // As if it were not there, it would be promised twice.
    kept(row, counters)?.map(Some).ok_or_else(|| StoreError::Damaged("a kept call-back cannot be read".to_owned()))
}

/// The newest first.
pub(super) fn list(
    connection: &Connection,
    query: &CallbackQuery,
    counters: &Counters,
) -> Result<Vec<KeptCallback>, StoreError> {
    let mut sql = format!("SELECT {COLUMNS} FROM callbacks WHERE asked_unix_ms >= ?1 AND asked_unix_ms < ?2");
    let (since, before) = (query.since_unix_ms.unwrap_or(0), query.before_unix_ms.unwrap_or(u64::MAX));
    let mut values = vec![Value::Integer(to_column(since)), Value::Integer(to_column(before))];
    if let Some(tenant) = &query.tenant {
        sql.push_str(" AND tenant = ?3");
        values.push(Value::Text(tenant.0.clone()));
    }
    if query.open_only {
        sql.push_str(" AND is_open");
    }
    let limit = query.limit.min(CallbackQuery::LIMIT_MAX);
    sql.push_str(&format!(" ORDER BY asked_unix_ms DESC, id DESC LIMIT {limit}"));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(kept(row, counters)?);
    }
    Ok(found)
}

/// When the next one must be looked at.
pub(super) fn next(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let found = connection.prepare_cached(NEXT)?.query_row([], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.and_then(|at| u64::try_from(at).ok()))
}

/// How often this number was asked for.
pub(super) fn count_to(connection: &Connection, number: &str, since_unix_ms: u64) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached(TO_NUMBER)?
        .query_row((number, to_column(since_unix_ms)), |row| row.get::<_, u32>(0))?
        .into())
}

/// Those of this tenant among the last to this number.
pub(super) fn last_to(
    connection: &Connection,
    tenant: &TenantId,
    number: &str,
    counters: &Counters,
) -> Result<Vec<KeptCallback>, StoreError> {
    let mut statement = connection.prepare_cached(&select(LAST))?;
    let mut rows = statement.query((number, to_column(LAST_TO as u64)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(kept(row, counters)?.filter(|kept| kept.callback.tenant() == tenant));
    }
    Ok(found)
}

/// The open ones that this session asked for.
pub(super) fn of_session(
    connection: &Connection,
    tenant: &TenantId,
    session: &str,
    counters: &Counters,
) -> Result<Vec<KeptCallback>, StoreError> {
    let mut statement = connection.prepare_cached(&select(OF_SESSION))?;
    let mut rows = statement.query((&tenant.0, session, to_column(OF_SESSION_MAX as u64)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(kept(row, counters)?);
    }
    Ok(found)
}

/// How many are open.
pub(super) fn count_open(connection: &Connection, tenant: Option<&TenantId>) -> Result<u64, StoreError> {
    let count = match tenant {
        Some(tenant) => connection
            .prepare_cached(OPEN_OF)?
            .query_row([&tenant.0], |row| row.get::<_, i64>(0))
            .optional()?
            .unwrap_or_default(),
        None => connection.prepare_cached(OPEN)?.query_row([], |row| row.get(0))?,
    };
    Ok(u64::try_from(count).unwrap_or_default())
}

fn kept(row: &Row<'_>, counters: &Counters) -> Result<Option<KeptCallback>, StoreError> {
    let (id, manage, change): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (node, until): (Option<String>, Option<i64>) = (row.get(3)?, row.get(4)?);
    let (version, text): (u32, String) = (row.get(5)?, row.get(6)?);
    let lease = node.zip(until).and_then(|(node, until)| {
        let until_unix_ms = u64::try_from(until).unwrap_or(0);
        bits(&node).map(|node| Lease { node: NodeId(node), until_unix_ms })
    });
    match callback_row::decode(version, &text) {
        Ok(callback) => Ok(Some(KeptCallback {
            callback,
            manage: bits(&manage).unwrap_or_default(),
            version: u64::try_from(change).unwrap_or(0),
            lease,
        })),
        Err(why) => {
            counters.unreadable(&id, &why);
            Ok(None)
        }
    }
}

fn encode(callback: &Callback) -> Result<String, StoreError> {
    callback_row::encode(callback).map_err(|why| StoreError::Damaged(why.0))
}

fn hex(bits: u128) -> String {
    format!("{bits:032x}")
}

fn bits(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    /// How SQLite finds what is asked for.
    fn plan(sql: &str) -> Vec<String> {
        let mut file = Connection::open_in_memory().unwrap();
        schema::migrate(&mut file, schema::STEPS).unwrap();
        let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![Value::Integer(1); statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_asked_for_every_call_follows_an_index_and_sorts_nothing() {
        for (sql, index) in [
            (select(BY_ID), "sqlite_autoindex_callbacks_1 (id=?)"),
            (select(REQUESTED), "callbacks_request (tenant=? AND request_key=?)"),
            (select(WAITING), "callbacks_open (tenant=? AND number=?)"),
            (select(DUE), "callbacks_wake (wake_unix_ms<?)"),
            (RENEW.to_owned(), "sqlite_autoindex_callbacks_1 (id=?)"),
            (
                seats::PROMISED.to_owned(),
                "callbacks_promised (tenant=? AND queue=? AND promised_unix_ms>? AND promised_unix_ms<?)",
            ),
            (TO_NUMBER.to_owned(), "callbacks_to (number=? AND asked_unix_ms>?)"),
            (select(LAST), "callbacks_to (number=?)"),
            (select(OF_SESSION), "callbacks_session (tenant=? AND session=?)"),
        ] {
            let plan = plan(&sql);
            assert_eq!(plan.len(), 1, "{sql}: {plan:?}");
            assert!(plan[0].starts_with("SEARCH callbacks USING") && plan[0].ends_with(index), "{sql}: {plan:?}");
        }
        // The first of an index, and an index of nothing but what was held: rows are passed, but only those that are asked for.
        assert_eq!(plan(NEXT), ["SEARCH callbacks USING COVERING INDEX callbacks_wake (wake_unix_ms>?)"]);
        assert_eq!(plan(&select(LEFT)), ["SCAN callbacks USING INDEX callbacks_held"]);
        assert_eq!(plan(FREE_ALL), ["SCAN callbacks USING INDEX callbacks_held"]);
        assert_eq!(plan(OPEN_OF), ["SEARCH callbacks_open_of USING PRIMARY KEY (tenant=?)"]);
        assert_eq!(plan(OPEN), ["SCAN callbacks_open_of"]);
    }

    #[test]
    fn an_older_file_is_counted_once_and_the_count_follows_its_rows() {
        let mut file = Connection::open_in_memory().unwrap();
        schema::migrate(&mut file, &schema::STEPS[..2]).unwrap();
        for (id, tenant, is_open) in
            [("1", "shop", true), ("2", "shop", true), ("3", "bank", true), ("4", "bank", false)]
        {
            let sql = "INSERT INTO callbacks VALUES (?1, ?2, 'q', ?1, NULL, '0', 1, 1, ?3, 1, NULL, NULL, 1, 1, '{}')";
            file.execute(sql, (id, tenant, is_open)).unwrap();
        }
        schema::migrate(&mut file, schema::STEPS).unwrap();
        let counted = |file: &Connection| {
            ["shop", "bank", "none"].map(|tenant| count_open(file, Some(&tenant.into())).unwrap()).to_vec()
        };
        assert_eq!((counted(&file), count_open(&file, None)), (vec![2, 1, 0], Ok(3)));
        let set = |id: &str, is_open: bool| {
            file.execute("UPDATE callbacks SET is_open = ?2 WHERE id = ?1", (id, is_open)).unwrap();
        };
        set("1", false);
        set("1", false);
        set("4", true);
        file.execute("DELETE FROM callbacks WHERE id = '3'", []).unwrap();
        assert_eq!((counted(&file), count_open(&file, None)), (vec![1, 1, 0], Ok(2)));
        // What is rolled back was never counted.
        file.execute_batch("BEGIN; UPDATE callbacks SET is_open = 0; ROLLBACK").unwrap();
        assert_eq!(counted(&file), [1, 1, 0]);
    }
}
