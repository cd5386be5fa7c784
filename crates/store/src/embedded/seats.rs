//! Seats in the file. All writes come through one thread, so that what is counted here is still so when it is written.

use desk::{Callback, Taken};
use rusqlite::{Connection, OptionalExtension};

use super::to_column;
use super::writer::Written;
use crate::callback::ms;
use crate::{Held, HoldId, NewHold, SeatClaim, SeatQuery, StoreError};

pub(super) const PROMISED: &str = "SELECT promised_unix_ms, COUNT(*) FROM callbacks
    WHERE tenant = ?1 AND queue = ?2 AND is_open AND promised_unix_ms >= ?3 AND promised_unix_ms < ?4
    GROUP BY promised_unix_ms";
pub(super) const HELD: &str = "SELECT start_unix_ms, id FROM seat_holds
    WHERE tenant = ?1 AND queue = ?2 AND start_unix_ms >= ?3 AND start_unix_ms < ?4 AND until_unix_ms > ?5";
pub(super) const OF_HOLDER: &str = "SELECT id FROM seat_holds WHERE tenant = ?1 AND holder = ?2";
pub(super) const OF_TENANT: &str = "SELECT COUNT(*) FROM seat_holds WHERE tenant = ?1 AND holder <> ?2";
pub(super) const OF_SOURCE: &str = "SELECT COUNT(*) FROM seat_holds WHERE tenant = ?1 AND source = ?3 AND holder <> ?2";
pub(super) const END: &str = "DELETE FROM seat_holds WHERE until_unix_ms <= ?1";

/// The seats that are taken, by their start.
pub(super) fn taken(connection: &Connection, query: &SeatQuery) -> Result<Taken, StoreError> {
    let (tenant, queue) = &query.queue;
    let (from, to) = (to_column(query.from_unix_ms), to_column(query.to_unix_ms));
    let mut promised = connection.prepare_cached(PROMISED)?;
    let rows = promised
        .query_map((&tenant.0, &queue.0, from, to), |row| Ok((from_column(row.get(0)?), row.get::<_, u32>(1)?)))?;
    let mut taken: Taken = rows.collect::<Result<_, _>>()?;
    let own = query.own.map(|hold| hold.to_string());
    let mut held = connection.prepare_cached(HELD)?;
    let mut rows = held.query((&tenant.0, &queue.0, from, to, to_column(query.now_unix_ms)))?;
    while let Some(row) = rows.next()? {
        if Some(row.get::<_, String>(1)?) != own {
            *taken.entry(from_column(row.get(0)?)).or_default() += 1;
        }
    }
    Ok(taken)
}

/// Whether a seat is left for this one, whose place of before is not counted; the hold that kept it is used up.
pub(super) fn take(
    connection: &Connection,
    callback: &Callback,
    before: Option<&Callback>,
    seat: &SeatClaim,
) -> Result<bool, StoreError> {
    let start = callback.wish().promised_unix_ms;
    let (from_unix_ms, to_unix_ms) = seat.rule.beside(start, start);
    let queue = (callback.tenant().clone(), callback.queue().clone());
    let query = SeatQuery { queue, from_unix_ms, to_unix_ms, now_unix_ms: seat.now_unix_ms, own: seat.hold };
    let mut taken = taken(connection, &query)?;
    let place = before.filter(|before| !before.state().is_over()).map(|before| before.wish().promised_unix_ms);
    if let Some(seats) = place.and_then(|place| taken.get_mut(&place)) {
        *seats = seats.saturating_sub(1);
    }
    let is_left = seat.rule.left(start, &taken) > 0;
    if is_left && let Some(hold) = seat.hold {
        release(connection, hold)?;
    }
    Ok(is_left)
}

/// Holds a seat, if one is left.
pub(super) fn hold(connection: &Connection, new: &NewHold) -> Written<Held> {
    let (tenant, queue) = &new.queue;
    connection.prepare_cached(END)?.execute([to_column(new.now_unix_ms)])?;
    let of_tenant =
        connection.prepare_cached(OF_TENANT)?.query_row((&tenant.0, &new.holder), |row| row.get::<_, u32>(0))?;
    let of_source = connection
        .prepare_cached(OF_SOURCE)?
        .query_row((&tenant.0, &new.holder, &new.source), |row| row.get::<_, u32>(0))?;
    if of_tenant >= new.limits.per_tenant || of_source >= new.limits.per_source {
        return Ok((0, Held::TooMany));
    }
    let before: Option<String> =
        connection.prepare_cached(OF_HOLDER)?.query_row((&tenant.0, &new.holder), |row| row.get(0)).optional()?;
    let before = before.and_then(|id| id.parse::<HoldId>().ok());
    let (from_unix_ms, to_unix_ms) = new.rule.beside(new.start_unix_ms, new.start_unix_ms);
    let (queue_of, now_unix_ms) = (new.queue.clone(), new.now_unix_ms);
    let query = SeatQuery { queue: queue_of, from_unix_ms, to_unix_ms, now_unix_ms, own: before };
    if new.rule.left(new.start_unix_ms, &taken(connection, &query)?) == 0 {
        return Ok((0, Held::Full));
    }
    if let Some(before) = before {
        release(connection, before)?;
    }
    let sql = "INSERT INTO seat_holds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute((
        new.id.to_string(),
        &tenant.0,
        &queue.0,
        to_column(new.start_unix_ms),
        to_column(new.now_unix_ms.saturating_add(ms(new.hold))),
        &new.holder,
        &new.source,
    ))?;
    Ok((1, Held::Yes))
}

/// Lets go of a held seat.
pub(super) fn release(connection: &Connection, hold: HoldId) -> Written<()> {
    let gone = connection.prepare_cached("DELETE FROM seat_holds WHERE id = ?1")?.execute([hold.to_string()])?;
    Ok((gone as u64, ()))
}

fn from_column(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
