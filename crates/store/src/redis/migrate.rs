//! Brings the call-backs of schema 1 and 2 to the form of today, before anybody is answered.
//!
//! A call-back was a hash with its id in digits, found by orders of its own for all and for its tenant. Each is read, written
//! anew and its hash taken away by one script, so that a gateway that dies meanwhile leaves a book that the next one goes
//! on with, and of two that begin at once neither undoes what the other has done. At last the orders of before go. A
//! gateway of the older version would go on writing the older form: while one lives, nothing is touched.

use std::collections::HashMap;
use std::time::Duration;

use desk::CallbackId;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::task::JoinSet;

use super::address::Address;
use super::callbacks::migrated;
use super::keys::{SCHEMA, key, prefix};
use super::link::Shared;
use super::refusal::meaning;
use super::{PAGE, row};
use crate::record::Unreadable;
use crate::{KeptCallback, Lease, NodeId, StoreError};

/// What the orders and lists of before began with.
const BEFORE: [&str; 8] = ["wake", "open", "asked", "number", "promised", "waiting", "request", "session"];
/// It has begun and is not over.
const BEGUN: &str = "migrating";
/// A page takes no longer than this, or the server is away.
const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// Names that one step of the way through all keys may look at.
const STEP: usize = 1_000;

type Fields = HashMap<String, Vec<u8>>;

/// Whether there is anything to do; if there is, nobody else may write the older form.
pub(super) async fn is_due(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<bool, StoreError> {
    let address = &shared.address;
    let mut look = redis::pipe();
    look.cmd("GET").arg(key(&["schema"])).cmd("EXISTS").arg(key(&[BEGUN]));
    let (found, is_begun): (Option<u32>, bool) = limited(address, look.query_async(connection)).await?;
    let is_older = found.is_some_and(|found| found < SCHEMA);
    if !is_older && !is_begun {
        return Ok(false);
    }
    if shared.process.is_none() {
        return Err(StoreError::Refused(format!(
            "{address} is of an older version: start a gateway of this one, which brings it up to date"
        )));
    }
    if is_older && another_lives(shared, connection).await? {
        return Err(StoreError::Refused(format!(
            "a gateway of an older version uses {address}: stop all of them, and this one begins within a minute"
        )));
    }
    Ok(true)
}

/// Every process says that it lives; ours only when all is up to date.
async fn another_lives(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<bool, StoreError> {
    let own = key(&["process", shared.process.as_deref().unwrap_or_default()]);
    let mut cursor = 0;
    loop {
        let (next, names) = limited(&shared.address, scan(connection, cursor, "process:*")).await?;
        if names.iter().any(|name| name != own.as_bytes()) {
            return Ok(true);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(false);
        }
    }
}

/// Does it.
pub(super) async fn run(address: &Address, connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    tracing::info!(store = %address, "the call-backs are brought up to date; until then nothing is answered");
    // From here on an older gateway that is started reads that it is one.
    let mut begin = redis::pipe();
    begin.atomic().set(key(&[BEGUN]), 1).ignore().set(key(&["schema"]), SCHEMA).ignore();
    limited(address, begin.query_async::<()>(connection)).await?;
    let (mut done, mut cursor) = (0, 0);
    loop {
        let (next, names) = limited(address, scan(connection, cursor, "callback:*")).await?;
        for page in names.chunks(PAGE) {
            done += limited(address, renew(connection, page)).await?;
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    loop {
        let (next, names) = limited(address, scan(connection, cursor, "*")).await?;
        limited(address, sweep(connection, &names)).await?;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    limited(address, redis::cmd("DEL").arg(key(&[BEGUN])).query_async::<()>(connection)).await?;
    tracing::info!(store = %address, done, "the call-backs are up to date");
    Ok(())
}

async fn limited<T>(address: &Address, work: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PAGE_LIMIT, work).await {
        Ok(done) => done.map_err(|error| meaning(&error, address)),
        Err(_) => Err(StoreError::Unreachable(format!("{address} does not answer"))),
    }
}

async fn scan(connection: &mut MultiplexedConnection, cursor: u64, kind: &str) -> RedisResult<(u64, Vec<Vec<u8>>)> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(format!("passerelle:{kind}")).arg("COUNT").arg(STEP);
    command.query_async(connection).await
}

/// These hashes, as they are kept today; gives how many it was.
async fn renew(connection: &mut MultiplexedConnection, hashes: &[Vec<u8>]) -> RedisResult<u64> {
    let mut commands = redis::pipe();
    for hash in hashes {
        commands.cmd("HGETALL").arg(hash);
    }
    let all: Vec<Fields> = commands.query_async(connection).await?;
    let mut writes = JoinSet::new();
    for (hash, fields) in hashes.iter().zip(all).filter(|(_, fields)| !fields.is_empty()) {
        let (hash, mut connection) = (hash.clone(), connection.clone());
        let request = text(&fields, "request");
        let script = read(&hash, &fields)
            .and_then(|kept| migrated(&hash, &kept, request.as_deref()).map_err(|error| Unreadable(error.to_string())));
        writes.spawn(async move {
            match script {
                Ok(script) => script.invoke_async::<u64>(&mut connection).await,
                Err(why) => put_away(&mut connection, &hash, &why).await,
            }
        });
    }
    let mut done = 0;
    while let Some(written) = writes.join_next().await {
        done += written.map_err(|error| RedisError::from(std::io::Error::other(error)))??;
    }
    Ok(done)
}

/// A row that nobody can read leads nobody anywhere, but it is there for whoever looks for it.
async fn put_away(connection: &mut MultiplexedConnection, hash: &[u8], why: &Unreadable) -> RedisResult<u64> {
    let id = String::from_utf8_lossy(hash.get(prefix("callback").len()..).unwrap_or_default()).into_owned();
    tracing::error!(id, why = why.0, "a call-back cannot be read; it is put away as passerelle:unreadable:ID");
    let moved = redis::cmd("RENAMENX").arg(hash).arg(key(&["unreadable", &id])).query_async::<()>(connection).await;
    // Somebody else was here meanwhile.
    if let Err(error) = moved {
        tracing::debug!(%error, "it is not there any more");
    }
    Ok(0)
}

/// The call-back of a hash.
fn read(hash: &[u8], fields: &Fields) -> Result<KeptCallback, Unreadable> {
    let text = |name: &str| text(fields, name).unwrap_or_default();
    let bits = |name: &str| u128::from_str_radix(&text(name), 16).ok();
    let callback = row::decode_before(text("version").parse().unwrap_or(0), &text("row"))?;
    let id = std::str::from_utf8(hash).ok().and_then(|hash| hash.strip_prefix(&prefix("callback")));
    if id.and_then(|id| id.parse::<CallbackId>().ok()) != Some(callback.id()) {
        return Err(Unreadable("the row is another call-back's".to_owned()));
    }
    let lease = bits("node")
        .zip(text("until").parse().ok())
        .map(|(node, until_unix_ms)| Lease { node: NodeId(node), until_unix_ms });
    let version = text("change").parse().unwrap_or(0);
    Ok(KeptCallback { callback, manage: bits("manage").unwrap_or_default(), version, lease })
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Takes away what things were found by before.
async fn sweep(connection: &mut MultiplexedConnection, names: &[Vec<u8>]) -> RedisResult<()> {
    let is_before = |name: &&Vec<u8>| {
        let kind = name.split(|octet| *octet == b':').nth(1).unwrap_or_default();
        BEFORE.iter().any(|before| before.as_bytes() == kind)
    };
    let gone: Vec<_> = names.iter().filter(is_before).collect();
    if gone.is_empty() {
        return Ok(());
    }
    redis::cmd("UNLINK").arg(gone).query_async(connection).await
}
