//! The call-back book in Redis. Every change is one script, so that of two nodes one wins; what is found by follows from
//! the row and is written with it.

use std::sync::LazyLock;
use std::time::Duration;

use call::TenantId;
use desk::{Callback, CallbackId};
use redis::{Script, ScriptInvocation};

use super::kept::{self, Kept};
use super::keys::{self, Spot, id_bytes, id_of, key, prefix};
use super::link::Session;
use super::seats::Seat;
use super::{LeaseClock, PAGE, Written, damaged, row};
use crate::callback::{LAST_TO, OF_SESSION_MAX, keeps_lease, ms, session as session_of, wake};
use crate::{Added, CallbackQuery, Change, Changed, KeptCallback, Moved, NewCallback, NodeId, SeatClaim, StoreError};

/// A script of these parts.
macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)))
    };
}

static ADD: LazyLock<Script> = script!("clock", "kept", "seats", "session", "keep", "add_callback");
static CHANGE: LazyLock<Script> = script!("clock", "kept", "seats", "session", "change_callback");
static FORGET: LazyLock<Script> = script!("forget_callback");
static LEASE: LazyLock<Script> = script!("clock", "kept", "take", "lease_callbacks");
static RECLAIM: LazyLock<Script> = script!("clock", "kept", "take", "reclaim_callbacks");
static RENEW: LazyLock<Script> = script!("clock", "kept", "renew_callbacks");
static ASIDE: LazyLock<Script> = script!("kept", "put_aside");
static NEXT: LazyLock<Script> = script!("clock", "next_callback");
static LIST: LazyLock<Script> = script!("list_callbacks");
static MIGRATE: LazyLock<Script> = script!("session", "keep", "migrate_callback");

/// How often room is made for one more before it is refused.
const ROOM_TRIES: u32 = 8;
/// A row that cannot be read is put aside for an hour: it must not stop the others.
const ASIDE_MS: u64 = 3_600_000;

/// A script's answer: a word, and what belongs to it.
type Words = Vec<Vec<u8>>;

/// The keys a call-back is found by.
struct Found {
    own: Vec<u8>,
    due: String,
    live: String,
    over: String,
    seats: String,
    /// The open one of a number, and all of it.
    waits: Spot,
    number: Spot,
    /// Nothing where the page said no session.
    session: Option<Spot>,
}

impl Found {
    fn of(callback: &Callback) -> Self {
        let (tenant, number) = (callback.tenant().0.as_str(), callback.wish().number.as_str());
        Self {
            own: keys::callback(callback.id()),
            due: key(&["due"]),
            live: key(&["live", tenant]),
            over: key(&["over", tenant]),
            seats: key(&["seats", tenant, &callback.queue().0]),
            waits: Spot::of(&["wait", tenant, number]),
            number: Spot::of(&[number]),
            session: session_of(callback).map(|session| Spot::of(&["session", tenant, session])),
        }
    }
}

/// Keeps a new one, unless the same request came before or the number has an open one.
pub(super) async fn add(session: &Session, new: &NewCallback) -> Written<Added> {
    let mut seat = Seat::claimed(session, &new.callback, new.seat);
    let mut room_tries = 0;
    while room_tries < ROOM_TRIES {
        if seat.as_ref().is_some_and(Seat::is_taken) {
            // It may be the same request again, or the same number: that counts before the seat does.
            return Ok((0, known(session, new).await?.unwrap_or(Added::Full)));
        }
        let script = added(new, seat.as_ref(), session.0.options.max_callbacks)?;
        let words: Words = session.script(&script).await?;
        return match word(&words, 0) {
            b"seats" => {
                see(&mut seat, &words)?;
                continue;
            }
            b"new" => {
                let (callback, manage) = (new.callback.clone(), new.manage);
                Ok((1, Added::New(KeptCallback { callback, manage, version: 1, lease: None })))
            }
            b"same" => Ok((0, Added::Same(named(session, &words)?))),
            b"open" => Ok((0, Added::Open(named(session, &words)?))),
            // Full: the oldest that is over goes, and it is tried again.
            _ => match (std::str::from_utf8(word(&words, 1)), id_of(word(&words, 2))) {
                (Ok(tenant), Some(oldest)) => {
                    forget(session, tenant, oldest).await?;
                    room_tries += 1;
                    continue;
                }
                _ => Err(StoreError::Overloaded),
            },
        };
    }
    Err(StoreError::Overloaded)
}

/// What was promised before by the same request, or to the same number.
async fn known(session: &Session, new: &NewCallback) -> Result<Option<Added>, StoreError> {
    let tenant = new.callback.tenant();
    if let Some(request) = &new.request_key
        && let Some(kept) = requested(session, tenant, request).await?
    {
        return Ok(Some(Added::Same(kept)));
    }
    match at(session, Spot::of(&["wait", &tenant.0, &new.callback.wish().number])).await? {
        Some(id) => Ok(one(session, id).await?.map(Added::Open)),
        None => Ok(None),
    }
}

/// The call-back that stands at this spot.
async fn at(session: &Session, spot: Spot) -> Result<Option<CallbackId>, StoreError> {
    let id: Option<Vec<u8>> = session.command(redis::cmd("HGET").arg(spot.key("spots")).arg(spot.name())).await?;
    Ok(id.and_then(|id| id_of(&id)))
}

/// The seats as they are, to be judged anew.
fn see(seat: &mut Option<Seat>, words: &Words) -> Result<(), StoreError> {
    match seat.as_mut().is_some_and(|seat| seat.sees(&text(words, 1))) {
        true => Ok(()),
        false => Err(StoreError::Overloaded),
    }
}

fn added(new: &NewCallback, seat: Option<&Seat>, max_callbacks: u64) -> Result<ScriptInvocation<'static>, StoreError> {
    let kept = KeptCallback { callback: new.callback.clone(), manage: new.manage, version: 1, lease: None };
    let request = new.request_key.as_deref().map(|request| Spot::of(&["request", &kept.callback.tenant().0, request]));
    let mut script = ADD.prepare_invoke();
    written(&mut script, &kept, request)?;
    Seat::keys(seat, &kept.callback.tenant().0, &mut script);
    script.arg(max_callbacks).arg(prefix("cb")).arg(prefix("over"));
    Seat::args(seat, &mut script);
    Ok(script)
}

/// The keys and words of `keep.lua`.
fn written(script: &mut ScriptInvocation<'_>, kept: &KeptCallback, request: Option<Spot>) -> Result<(), StoreError> {
    let (callback, wish, found) = (&kept.callback, kept.callback.wish(), Found::of(&kept.callback));
    let row = row::encode(callback).map_err(damaged)?;
    let value = kept::write(kept, request, &callback.queue().0, &row).map_err(damaged)?;
    script.key(found.own).key(request.map_or_else(String::new, |request| request.key("spots")));
    script.key(found.waits.key("spots")).key(found.due).key(found.live).key(found.over);
    script.key(found.number.key("numbers")).key(found.seats).key(key(&["tenants"])).key(key(&["kept"]));
    script.key(found.session.map_or_else(String::new, |session| session.key("spots")));
    script.arg(&id_bytes(callback.id())).arg(value).arg(u8::from(callback.state().is_over()));
    script.arg(wake(callback, kept.lease.as_ref()).unwrap_or(0)).arg(wish.asked_unix_ms).arg(wish.promised_unix_ms);
    script.arg(&callback.tenant().0).arg(request.as_ref().map_or(&[][..], Spot::name));
    script.arg(found.waits.name()).arg(found.number.member(callback.id()));
    script.arg(found.session.as_ref().map_or(&[][..], Spot::name));
    Ok(())
}

/// Keeps one of schema 2 as it is kept today; its keys before are those of `hash`. False when somebody else has.
pub(super) fn migrated(
    hash: &[u8],
    kept: &KeptCallback,
    request: Option<&str>,
) -> Result<ScriptInvocation<'static>, StoreError> {
    let request = request.map(|request| Spot::of(&["request", &kept.callback.tenant().0, request]));
    let mut script = MIGRATE.prepare_invoke();
    written(&mut script, kept, request)?;
    script.key(hash);
    Ok(script)
}

/// Makes room: this one is over.
async fn forget(session: &Session, tenant: &str, id: CallbackId) -> Result<(), StoreError> {
    let own = keys::callback(id);
    let value: Option<Vec<u8>> = session.command(redis::cmd("GET").arg(&own)).await?;
    let kept = value.as_deref().and_then(Kept::read);
    let request = kept.as_ref().and_then(|kept| kept.request);
    let callback = kept.and_then(|kept| kept.callback(id).ok());
    // Of a row that cannot be read the number is not known: what it is found by by number leads to nothing then.
    let number = callback.map(|callback| Spot::of(&[&callback.wish().number]));
    let mut script = FORGET.key(own);
    script.key(request.map_or_else(String::new, |request| request.key("spots"))).key(key(&["over", tenant]));
    script.key(number.map_or_else(String::new, |number| number.key("numbers"))).key(key(&["kept"]));
    script.arg(&id_bytes(id)).arg(request.as_ref().map_or(&[][..], Spot::name));
    script.arg(number.map(|number| number.member(id)).unwrap_or_default());
    session.script::<u64>(&script).await.map(|_| ())
}

/// Keeps a change, if it was made from the newest version.
pub(super) async fn change(session: &Session, to: &Change) -> Written<Changed> {
    match change_with(session, to, None).await? {
        (rows, Moved::Changed(changed)) => Ok((rows, changed)),
        (_, Moved::Full) => Err(StoreError::Damaged("a change that takes no seat finds none".to_owned())),
    }
}

/// Keeps a change that gives it another promised moment, if a seat is left then.
pub(super) async fn move_to(session: &Session, to: &Change, seat: SeatClaim) -> Written<Moved> {
    let mut seat = Seat::claimed(session, &to.callback, Some(seat));
    loop {
        if seat.as_ref().is_some_and(Seat::is_taken) {
            // What was changed meanwhile, or is gone, is told as such.
            return Ok((
                0,
                match one(session, to.callback.id()).await? {
                    None => Moved::Changed(Changed::Missing),
                    Some(kept) if kept.version != to.version => Moved::Changed(Changed::Stale(kept)),
                    Some(_) => Moved::Full,
                },
            ));
        }
        match change_with(session, to, seat.as_mut()).await? {
            (_, Moved::Full) => continue,
            done => return Ok(done),
        }
    }
}

/// One try of a change; `Full` when the seats are not as they were seen.
async fn change_with(session: &Session, change: &Change, seat: Option<&mut Seat>) -> Written<Moved> {
    let (callback, found) = (&change.callback, Found::of(&change.callback));
    let mut script = CHANGE.key(found.own);
    script.key(found.waits.key("spots")).key(found.due).key(found.live).key(found.over).key(found.seats);
    Seat::keys(seat.as_deref(), &callback.tenant().0, &mut script);
    script.key(found.session.map_or_else(String::new, |session| session.key("spots")));
    script.arg(&id_bytes(callback.id())).arg(change.version).arg(u8::from(keeps_lease(callback, change.held)));
    script.arg(u8::from(callback.state().is_over())).arg(wake(callback, None).unwrap_or(0));
    script.arg(callback.wish().asked_unix_ms).arg(callback.wish().promised_unix_ms);
    script.arg(found.waits.name()).arg(&callback.queue().0).arg(row::encode(callback).map_err(damaged)?);
    script.arg(format!("{}:", key(&["seats", &callback.tenant().0])));
    Seat::args(seat.as_deref(), &mut script);
    script.arg(found.session.as_ref().map_or(&[][..], Spot::name));
    let words: Words = session.script(&script).await?;
    match word(&words, 0) {
        b"done" => Ok((1, Moved::Changed(Changed::Done(promised(session, callback.id(), word(&words, 1))?)))),
        b"stale" => Ok((0, Moved::Changed(Changed::Stale(promised(session, callback.id(), word(&words, 1))?)))),
        b"seats" => match seat.is_some_and(|seat| seat.sees(&text(&words, 1))) {
            true => Ok((0, Moved::Full)),
            false => Err(StoreError::Overloaded),
        },
        _ => Ok((0, Moved::Changed(Changed::Missing))),
    }
}

/// Takes what has come to its moment; a page a script, so that no other command waits long.
pub(super) async fn lease(
    session: &Session,
    node: NodeId,
    now_unix_ms: u64,
    hold: Duration,
    limit: usize,
) -> Written<Vec<KeptCallback>> {
    let limit = limit.min(CallbackQuery::LIMIT_MAX);
    let mut taken: Vec<KeptCallback> = Vec::new();
    let mut asked = 0;
    while asked < limit {
        let page = (limit - asked).min(PAGE);
        let mut script = LEASE.key(key(&["due"]));
        script.arg(clock(session, now_unix_ms)).arg(&node.0.to_be_bytes()).arg(ms(hold)).arg(page).arg(prefix("cb"));
        let (at_unix_ms, rows): (u64, Vec<Words>) = match session.script(&script).await {
            Ok(answer) => answer,
            // What was taken before is this node's, and it must know.
            Err(_) if !taken.is_empty() => break,
            Err(error) => return Err(error),
        };
        read_taken(session, &rows, at_unix_ms, &mut taken).await?;
        asked += page;
        // A lease that is over already would be taken again and again.
        if rows.len() < page || hold.is_zero() {
            break;
        }
    }
    Ok((taken.len() as u64, taken))
}

/// Takes what a process held that ran where this one runs; a page a script, as above.
pub(super) async fn reclaim(
    session: &Session,
    node: NodeId,
    now_unix_ms: u64,
    hold: Duration,
) -> Written<Vec<KeptCallback>> {
    let mut taken: Vec<KeptCallback> = Vec::new();
    // What is taken goes to the end of the order: only what stays where it is must be passed over.
    let mut passed = 0;
    loop {
        let mut script = RECLAIM.key(key(&["due"]));
        script.arg(clock(session, now_unix_ms)).arg(&node.0.to_be_bytes()).arg(ms(hold));
        script.arg(passed).arg(PAGE).arg(prefix("cb"));
        let (at_unix_ms, rows, seen, left): (u64, Vec<Words>, usize, usize) = match session.script(&script).await {
            Ok(answer) => answer,
            Err(_) if !taken.is_empty() => break,
            Err(error) => return Err(error),
        };
        read_taken(session, &rows, at_unix_ms, &mut taken).await?;
        passed += left;
        if seen < PAGE {
            break;
        }
    }
    Ok((taken.len() as u64, taken))
}

async fn read_taken(
    session: &Session,
    rows: &[Words],
    at_unix_ms: u64,
    taken: &mut Vec<KeptCallback>,
) -> Result<(), StoreError> {
    for words in rows {
        let Some(id) = id_of(word(words, 0)) else { continue };
        match kept(session, id, word(words, 1)) {
            Some(kept) => taken.push(kept),
            None => put_aside(session, id, at_unix_ms).await?,
        }
    }
    Ok(())
}

async fn put_aside(session: &Session, id: CallbackId, now_unix_ms: u64) -> Result<(), StoreError> {
    let mut script = ASIDE.key(keys::callback(id));
    script.key(key(&["due"])).arg(&id_bytes(id)).arg(now_unix_ms.saturating_add(ASIDE_MS));
    session.script::<u64>(&script).await.map(|_| ())
}

/// Holds on to what is still this node's.
pub(super) async fn renew(
    session: &Session,
    node: NodeId,
    ids: &[CallbackId],
    now_unix_ms: u64,
    hold: Duration,
) -> Written<Vec<CallbackId>> {
    let mut held = Vec::new();
    for page in ids.chunks(PAGE) {
        let mut script = RENEW.key(key(&["due"]));
        script.arg(clock(session, now_unix_ms)).arg(&node.0.to_be_bytes()).arg(ms(hold)).arg(prefix("cb"));
        page.iter().for_each(|id| {
            script.arg(&id_bytes(*id));
        });
        let ours: Words = session.script(&script).await?;
        held.extend(ours.iter().filter_map(|id| id_of(id)));
    }
    Ok((held.len() as u64, held))
}

/// One call-back.
pub(super) async fn one(session: &Session, id: CallbackId) -> Result<Option<KeptCallback>, StoreError> {
    let value: Option<Vec<u8>> = session.command(redis::cmd("GET").arg(keys::callback(id))).await?;
    value.map(|value| promised(session, id, &value)).transpose()
}

/// What was made of a request.
pub(super) async fn requested(
    session: &Session,
    tenant: &TenantId,
    request: &str,
) -> Result<Option<KeptCallback>, StoreError> {
    match at(session, Spot::of(&["request", &tenant.0, request])).await? {
        Some(id) => one(session, id).await,
        None => Ok(None),
    }
}

/// The newest first.
pub(super) async fn list(session: &Session, query: &CallbackQuery) -> Result<Vec<KeptCallback>, StoreError> {
    let tenants = match &query.tenant {
        Some(tenant) => vec![tenant.0.clone()],
        None => tenants(session).await?,
    };
    let kinds = if query.open_only { &["live"][..] } else { &["live", "over"] };
    let mut script = LIST.prepare_invoke();
    for tenant in &tenants {
        kinds.iter().for_each(|kind| {
            script.key(key(&[kind, tenant]));
        });
    }
    let limit = query.limit.min(CallbackQuery::LIMIT_MAX);
    if limit == 0 || tenants.is_empty() {
        return Ok(vec![]);
    }
    let before = query.before_unix_ms.map_or_else(|| "+inf".to_owned(), |before| format!("({before}"));
    script.arg(query.since_unix_ms.unwrap_or(0)).arg(before).arg(limit);
    let mut found = read(session, &session.script::<Words>(&script).await?).await?;
    // One may have ended while the rows were read.
    found.retain(|kept| !(query.open_only && kept.callback.state().is_over()));
    Ok(found)
}

/// Those who ever had a call-back here.
async fn tenants(session: &Session) -> Result<Vec<String>, StoreError> {
    session.command(redis::cmd("SMEMBERS").arg(key(&["tenants"]))).await
}

/// Those of this tenant among the last to this number.
pub(super) async fn last_to(
    session: &Session,
    tenant: &TenantId,
    number: &str,
) -> Result<Vec<KeptCallback>, StoreError> {
    let mut ids = to_number(session, number, 0).await?;
    ids.reverse();
    ids.truncate(LAST_TO);
    let mut found = read(session, &ids).await?;
    found.retain(|kept| kept.callback.tenant() == tenant);
    Ok(found)
}

/// The open ones that this session asked for.
pub(super) async fn of_session(
    session: &Session,
    tenant: &TenantId,
    wanted: &str,
) -> Result<Vec<KeptCallback>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let spot = Spot::of(&["session", &tenant.0, wanted]);
    let ids: Option<Vec<u8>> = session.command(redis::cmd("HGET").arg(spot.key("spots")).arg(spot.name())).await?;
    let ids: Words = ids.unwrap_or_default().chunks(16).map(<[u8]>::to_vec).collect();
    let mut found = read(session, &ids).await?;
    found.retain(|kept| !kept.callback.state().is_over());
    found.sort_by_key(|kept| (kept.callback.wish().asked_unix_ms, kept.callback.id()));
    found.truncate(OF_SESSION_MAX);
    Ok(found)
}

/// What was asked for this number since a moment, the oldest first.
async fn to_number(session: &Session, number: &str, since_unix_ms: u64) -> Result<Words, StoreError> {
    let spot = Spot::of(&[number]);
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(spot.key("numbers")).arg(since_unix_ms).arg("+inf");
    let mut members: Words = session.command(&command).await?;
    members.retain(|member| member.starts_with(spot.short()));
    Ok(members)
}

/// The call-backs whose ids these are, or end with.
async fn read(session: &Session, ids: &[Vec<u8>]) -> Result<Vec<KeptCallback>, StoreError> {
    let ids: Vec<CallbackId> = ids.iter().filter_map(|id| id_of(id)).collect();
    let mut found = Vec::new();
    for page in ids.chunks(PAGE) {
        let mut command = redis::cmd("MGET");
        page.iter().for_each(|id| {
            command.arg(keys::callback(*id));
        });
        let values: Vec<Option<Vec<u8>>> = session.command(&command).await?;
        // One that is gone since has no value.
        for (id, value) in page.iter().zip(values) {
            found.extend(value.and_then(|value| kept(session, *id, &value)));
        }
    }
    Ok(found)
}

/// When the next one must be looked at.
pub(super) async fn next(session: &Session, now_unix_ms: u64) -> Result<Option<Duration>, StoreError> {
    let mut script = NEXT.key(key(&["due"]));
    let wait_ms: Option<u64> = session.script(script.arg(clock(session, now_unix_ms))).await?;
    Ok(wait_ms.map(Duration::from_millis))
}

/// The time a script goes by: empty for the server's own.
pub(super) fn clock(session: &Session, now_unix_ms: u64) -> String {
    match session.0.options.lease_clock {
        LeaseClock::Server => String::new(),
        LeaseClock::Caller => now_unix_ms.to_string(),
    }
}

/// How often this number was asked for.
pub(super) async fn count_to(session: &Session, number: &str, since_unix_ms: u64) -> Result<u64, StoreError> {
    Ok(to_number(session, number, since_unix_ms).await?.len() as u64)
}

/// How many are open.
pub(super) async fn count_open(session: &Session, tenant: Option<&TenantId>) -> Result<u64, StoreError> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant.0.clone()],
        None => tenants(session).await?,
    };
    if tenants.is_empty() {
        return Ok(0);
    }
    let mut commands = redis::pipe();
    for tenant in tenants {
        commands.cmd("ZCARD").arg(key(&["live", &tenant]));
    }
    Ok(session.pipeline::<Vec<u64>>(&commands).await?.iter().sum())
}

/// As if it were not there, it would be promised twice.
fn promised(session: &Session, id: CallbackId, value: &[u8]) -> Result<KeptCallback, StoreError> {
    kept(session, id, value).ok_or_else(|| StoreError::Damaged("a kept call-back cannot be read".to_owned()))
}

/// The same, its id beside it.
fn named(session: &Session, words: &Words) -> Result<KeptCallback, StoreError> {
    match id_of(word(words, 1)) {
        Some(id) => promised(session, id, word(words, 2)),
        None => Err(StoreError::Damaged("a call-back is found by what is no id".to_owned())),
    }
}

fn kept(session: &Session, id: CallbackId, value: &[u8]) -> Option<KeptCallback> {
    let read = kept::read(id, value);
    read.inspect_err(|why| session.0.counters.unreadable(&id.to_string(), why)).ok()
}

fn word(words: &Words, index: usize) -> &[u8] {
    words.get(index).map_or(&[], Vec::as_slice)
}

fn text(words: &Words, index: usize) -> String {
    String::from_utf8_lossy(word(words, index)).into_owned()
}
