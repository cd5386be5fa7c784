//! The list of numbers not to be called, and the day's budgets, in Redis.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use redis::Script;

use super::keys::key;
use super::link::Session;
use super::{PAGE, Written};
use crate::{Counted, NumberHash, StoreError, SuppressedBy, Suppression, Tally};

static SUPPRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/suppress.lua")));
static UNSUPPRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/unsuppress.lua")));
static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/count.lua")));

/// A day's counter lives so long: that day in every time zone, and one more to look at.
const TALLY_LIFE_MS: u64 = 3 * 86_400_000;

/// The order of the list, what was said of each, and how many under each key.
fn places() -> [String; 3] {
    [key(&["suppressed"]), key(&["suppression"]), key(&["suppression-keys"])]
}

/// Keeps one; the newer word stays.
pub(super) async fn suppress(session: &Session, suppression: &Suppression) -> Written<()> {
    let Suppression { hash, key_id, at_unix_ms, by } = suppression;
    let mut script = SUPPRESS.key(&places());
    script.arg(hash.to_string()).arg(at_unix_ms).arg(key_id).arg(by.code());
    session.script::<()>(&script).await?;
    Ok((1, ()))
}

/// The first of these on the list.
pub(super) async fn suppressed(session: &Session, hashes: &[NumberHash]) -> Result<Option<Suppression>, StoreError> {
    for hash in hashes {
        if let Some(found) = one(session, *hash).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn one(session: &Session, hash: NumberHash) -> Result<Option<Suppression>, StoreError> {
    let [order, said, _] = places();
    let mut commands = redis::pipe();
    commands.atomic().cmd("ZSCORE").arg(order).arg(hash.to_string());
    commands.cmd("HGET").arg(said).arg(hash.to_string());
    let (at, said): (Option<f64>, Option<String>) = session.pipeline(&commands).await?;
    Ok(at.map(|at| kept(hash, at, &said.unwrap_or_default())))
}

/// Takes these off the list.
pub(super) async fn unsuppress(session: &Session, hashes: &[NumberHash]) -> Written<u64> {
    let hashes: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    let gone = take_off(session, &hashes).await?;
    Ok((gone, gone))
}

async fn take_off(session: &Session, hashes: &[String]) -> Result<u64, StoreError> {
    let mut gone = 0;
    for page in hashes.chunks(PAGE) {
        let mut script = UNSUPPRESS.key(&places());
        script.arg(page);
        gone += session.script::<u64>(&script).await?;
    }
    Ok(gone)
}

/// The newest first.
pub(super) async fn list(session: &Session, limit: usize) -> Result<Vec<Suppression>, StoreError> {
    let [order, said, _] = places();
    let mut found = Vec::new();
    while found.len() < limit {
        let last = found.len() + PAGE.min(limit - found.len()) - 1;
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&order).arg(found.len()).arg(last).arg("WITHSCORES");
        let page: Vec<(String, f64)> = session.command(&command).await?;
        if page.is_empty() {
            break;
        }
        let hashes: Vec<&str> = page.iter().map(|(hash, _)| hash.as_str()).collect();
        let words: Vec<Option<String>> = session.command(redis::cmd("HMGET").arg(&said).arg(&hashes)).await?;
        for ((hash, at), said) in page.iter().zip(words) {
            let hash = NumberHash::parse(hash).unwrap_or(NumberHash([0; 32]));
            found.push(kept(hash, *at, &said.unwrap_or_default()));
        }
    }
    Ok(found)
}

/// How many under each key.
pub(super) async fn keys(session: &Session) -> Result<BTreeMap<String, u64>, StoreError> {
    let [_, _, keys] = places();
    let counts: HashMap<String, i64> = session.command(redis::cmd("HGETALL").arg(keys)).await?;
    let counts = counts.into_iter().filter_map(|(key, count)| Some((key, u64::try_from(count).ok()?)));
    Ok(counts.filter(|(_, count)| *count > 0).collect())
}

/// Forgets what is too old, a page a script.
pub(super) async fn forget(session: &Session, before_unix_ms: u64) -> Written<u64> {
    let [order, ..] = places();
    let mut gone = 0;
    loop {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(&order).arg("-inf").arg(format!("({before_unix_ms}")).arg("LIMIT").arg(0).arg(PAGE);
        let old: Vec<String> = session.command(&command).await?;
        gone += take_off(session, &old).await?;
        if old.len() < PAGE {
            return Ok((gone, gone));
        }
    }
}

fn kept(hash: NumberHash, at: f64, said: &str) -> Suppression {
    let (by, key_id) = said.split_once(' ').unwrap_or((said, ""));
    // Whole numbers all of them, exact until far beyond the year 200,000.
    Suppression { hash, key_id: key_id.to_owned(), at_unix_ms: at as u64, by: SuppressedBy::from_code(by) }
}

/// Counts an amount, if there is room for it.
pub(super) async fn count(session: &Session, tally: &Tally, amount: u64, max: u64) -> Written<Counted> {
    let mut script = COUNT.key(place(tally));
    script.arg(amount).arg(max).arg(TALLY_LIFE_MS);
    let (done, used): (u8, u64) = session.script(&script).await?;
    Ok(if done == 1 { (1, Counted::Done(used)) } else { (0, Counted::Over(used)) })
}

/// How much is used.
pub(super) async fn counted(session: &Session, tally: &Tally) -> Result<u64, StoreError> {
    let used: Option<u64> = session.command(redis::cmd("GET").arg(place(tally))).await?;
    Ok(used.unwrap_or(0))
}

fn place(tally: &Tally) -> String {
    key(&["tally", &tally.day, &tally.name])
}
