//! Calls in Redis, and which process each belongs to: one that lives says so every ten seconds.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use call::CallRecord;
use redis::{Cmd, Script};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::keys::{key, prefix};
use super::link::Session;
use super::{PAGE, Written, damaged};
use crate::{CallQuery, OpenCall, StoreError, record};

static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/open_call.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/close_call.lua")));

/// A heartbeat lasts as long as this many of them: two may be missed.
const BEATS: u32 = 3;

/// A call has started: unless known.
pub(super) async fn open(session: &Session, call: &OpenCall) -> Written<()> {
    let row = record::encode_open(call).map_err(damaged)?;
    let (id, process) = (call.id.to_string(), session.0.process.as_deref().unwrap_or_default());
    let mut script = OPEN.key(key(&["call", &id]));
    script.key(key(&["calling", process])).key(key(&["processes"])).arg(&id).arg(process);
    script.arg("ended").arg(0).arg("process").arg(process).arg("tenant").arg(&call.tags.tenant.0);
    script.arg("started").arg(call.started_unix_ms).arg("version").arg(record::VERSION).arg("row").arg(row);
    Ok((session.script(&script).await?, ()))
}

/// A call has ended: unless it had already.
pub(super) async fn close(session: &Session, ended: &CallRecord) -> Written<()> {
    let row = Row {
        id: ended.id.to_string(),
        tenant: ended.tenant.0.clone(),
        started_unix_ms: ended.started_unix_ms,
        version: record::VERSION,
        row: record::encode_record(ended).map_err(damaged)?,
    };
    Ok((close_row(session, &row, None).await?, ()))
}

/// What a call's record is kept as.
struct Row {
    id: String,
    tenant: String,
    started_unix_ms: u64,
    version: u32,
    row: String,
}

/// Closes it; in the place of a process only if that one is dead. Gives 1, or 0 when there was nothing to close.
async fn close_row(session: &Session, row: &Row, heartbeat: Option<String>) -> Result<u64, StoreError> {
    let mut script = CLOSE.key(key(&["call", &row.id]));
    script.key(key(&["calls"])).key(key(&["calls", &row.tenant]));
    heartbeat.iter().for_each(|heartbeat| {
        script.key(heartbeat);
    });
    script.arg(&row.id).arg(row.started_unix_ms).arg(prefix("calling")).arg(session.0.options.max_calls);
    script.arg("ended").arg(1).arg("tenant").arg(&row.tenant).arg("started").arg(row.started_unix_ms);
    script.arg("version").arg(row.version).arg("row").arg(&row.row);
    let (closed, oldest): (u64, Option<String>) = match session.script::<Vec<redis::Value>>(&script).await? {
        answer if answer.len() > 1 => parsed(session, redis::Value::Array(answer))?,
        mut answer => (answer.pop().map(|value| parsed(session, value)).transpose()?.unwrap_or(0), None),
    };
    if let Some(oldest) = oldest {
        forget(session, &oldest).await?;
    }
    Ok(closed)
}

fn parsed<T: redis::FromRedisValue>(session: &Session, value: redis::Value) -> Result<T, StoreError> {
    redis::from_redis_value(value)
        .map_err(|error| StoreError::Damaged(format!("{} answers what was not asked ({error})", session.0.address)))
}

/// The oldest record goes when there are too many.
async fn forget(session: &Session, id: &str) -> Result<(), StoreError> {
    let hash = key(&["call", id]);
    let tenant: Option<String> = session.command(redis::cmd("HGET").arg(&hash).arg("tenant")).await?;
    let mut commands = redis::pipe();
    commands.atomic().del(hash).zrem(key(&["calls"]), id);
    commands.zrem(key(&["calls", &tenant.unwrap_or_default()]), id);
    session.pipeline::<()>(commands.ignore()).await
}

/// One call that has ended.
pub(super) async fn one(session: &Session, id: &str) -> Result<Option<CallRecord>, StoreError> {
    Ok(read(session, &[id.to_owned()]).await?.pop())
}

/// Calls that have ended, the newest first.
pub(super) async fn list(session: &Session, query: &CallQuery) -> Result<Vec<CallRecord>, StoreError> {
    let order = match &query.tenant {
        Some(tenant) => key(&["calls", &tenant.0]),
        None => key(&["calls"]),
    };
    let limit = query.limit.min(CallQuery::LIMIT_MAX);
    let ids = session.command::<Vec<String>>(&super::newest(&order, (query.since_unix_ms, None), limit)).await?;
    let mut found = Vec::new();
    for page in ids.chunks(PAGE) {
        found.extend(read(session, page).await?);
    }
    Ok(found)
}

async fn read(session: &Session, ids: &[String]) -> Result<Vec<CallRecord>, StoreError> {
    let mut commands = redis::pipe();
    for id in ids {
        commands.cmd("HMGET").arg(key(&["call", id])).arg(&["ended", "version", "row"]);
    }
    let rows: Vec<(Option<String>, Option<u32>, Option<String>)> = session.pipeline(&commands).await?;
    let mut records = Vec::new();
    for (id, (ended, version, row)) in ids.iter().zip(rows) {
        if ended.as_deref() != Some("1") {
            continue;
        }
        // One bad row must not hide the others.
        match record::decode_record(version.unwrap_or(0), &row.unwrap_or_default()) {
            Ok(record) => records.push(record),
            Err(why) => session.0.counters.unreadable(id, &why),
        }
    }
    Ok(records)
}

/// That this process lives.
pub(super) fn heartbeat(process: &str, every: Duration) -> Cmd {
    let mut command = redis::cmd("SET");
    let until_ms = (every * BEATS).as_millis().max(1);
    command.arg(key(&["process", process])).arg(1).arg("PX").arg(u64::try_from(until_ms).unwrap_or(u64::MAX));
    command
}

/// Says that this process lives, as long as it does; from its first `close_interrupted` on it also closes the calls of
/// those that have died since: a process started again within thirty seconds finds its own heartbeat of before.
pub(super) async fn beat(session: Session) {
    let Some(process) = session.0.process.clone() else { return };
    let mut ticks = interval(session.0.options.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut suspects = BTreeSet::new();
    loop {
        ticks.tick().await;
        if let Err(error) = session.command::<()>(&heartbeat(&process, session.0.options.heartbeat)).await {
            tracing::debug!(%error, "no heartbeat could be left in the store");
            suspects.clear();
            continue;
        }
        let started = session.0.started.lock().map_or(None, |started| *started);
        let Some((at_unix_ms, since)) = started else { continue };
        let Ok(dead) = silent(&session).await else { continue };
        let at_unix_ms = at_unix_ms.saturating_add(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        for process in dead.intersection(&suspects) {
            match interrupt_of(&session, process, false, at_unix_ms).await {
                Ok(closed) if closed > 0 => {
                    tracing::warn!(calls = closed, "calls of a process that died are closed as interrupted");
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "calls of a dead process could not be closed"),
            }
        }
        suspects = dead;
    }
}

/// The last word of this process: it holds nothing any more.
pub(super) async fn leave(session: &Session) {
    let Some(process) = &session.0.process else { return };
    if let Err(error) = session.command::<()>(redis::cmd("DEL").arg(key(&["process", process]))).await {
        tracing::debug!(%error, "the store was left without a word");
    }
}

/// Closes what this process or a dead one left open.
pub(super) async fn interrupt(session: &Session, at_unix_ms: u64) -> Written<u64> {
    if let Ok(mut started) = session.0.started.lock() {
        *started = Some((at_unix_ms, Instant::now()));
    }
    let own = session.0.process.clone().unwrap_or_default();
    let mut closed = interrupt_of(session, &own, true, at_unix_ms).await?;
    let suspects = silent(session).await?;
    if !suspects.is_empty() {
        // Redis itself may have been away: whoever lives has said so again by then.
        sleep(session.0.options.heartbeat / 5).await;
        for process in silent(session).await?.intersection(&suspects) {
            closed += interrupt_of(session, process, false, at_unix_ms).await?;
        }
    }
    Ok((closed, closed))
}

/// Processes with calls but without a heartbeat.
async fn silent(session: &Session) -> Result<BTreeSet<String>, StoreError> {
    let mut all: Vec<String> = session.command(redis::cmd("SMEMBERS").arg(key(&["processes"]))).await?;
    all.retain(|process| Some(process) != session.0.process.as_ref());
    if all.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut commands = redis::pipe();
    all.iter().for_each(|process| {
        commands.exists(key(&["process", process]));
    });
    let alive: Vec<bool> = session.pipeline(&commands).await?;
    Ok(all.into_iter().zip(alive).filter(|(_, alive)| !alive).map(|(process, _)| process).collect())
}

/// Closes every open call of a process; one that cannot be read is closed as it is, and shows up as unreadable.
async fn interrupt_of(session: &Session, process: &str, is_own: bool, at_unix_ms: u64) -> Result<u64, StoreError> {
    let calling = key(&["calling", process]);
    let mut closed = 0;
    loop {
        let ids: Vec<String> = session.command(redis::cmd("SRANDMEMBER").arg(&calling).arg(PAGE)).await?;
        if ids.is_empty() {
            break;
        }
        let before = closed;
        for id in ids {
            let heartbeat = (!is_own).then(|| key(&["process", process]));
            let gone = match interrupted(session, &id, at_unix_ms).await? {
                Some(row) => close_row(session, &row, heartbeat).await?,
                None => session.command(redis::cmd("SREM").arg(&calling).arg(&id)).await?,
            };
            closed += gone;
        }
        if closed == before {
            // It lives after all, or another process does the same.
            return Ok(closed);
        }
    }
    if !is_own {
        // It opens no more calls; should it do so all the same, it is put back.
        session.command::<()>(redis::cmd("SREM").arg(key(&["processes"])).arg(process)).await?;
    }
    Ok(closed)
}

/// The record of an open call whose process is dead; `None` when there is no such call.
async fn interrupted(session: &Session, id: &str, at_unix_ms: u64) -> Result<Option<Row>, StoreError> {
    type Fields = (Option<String>, Option<u64>, Option<u32>, Option<String>);
    let mut command = redis::cmd("HMGET");
    command.arg(key(&["call", id])).arg(&["tenant", "started", "version", "row"]);
    let (Some(tenant), started, Some(version), Some(row)) = session.command::<Fields>(&command).await? else {
        return Ok(None);
    };
    let ended =
        record::decode_open(version, &row).and_then(|call| record::encode_record(&call.interrupted(at_unix_ms)));
    let (version, row) = match ended {
        Ok(ended) => (record::VERSION, ended),
        Err(why) => {
            session.0.counters.unreadable(id, &why);
            (version, row)
        }
    };
    Ok(Some(Row { id: id.to_owned(), tenant, started_unix_ms: started.unwrap_or(0), version, row }))
}
