//! The call-back book in Redis. Every change is one script, so that of two nodes one wins; what is found by follows from
//! the row and is written with it.

use std::sync::LazyLock;
use std::time::Duration;

use call::TenantId;
use desk::{Callback, CallbackId};
use redis::{Script, ScriptInvocation};

use super::keys::{key, prefix};
use super::link::Session;
use super::row;
use super::seats::Seat;
use super::{LeaseClock, PAGE, Written, damaged, newest};
use crate::callback::{LAST_TO, OF_SESSION_MAX, keeps_lease, ms, session as session_of, wake};
use crate::{
    Added, CallbackQuery, Change, Changed, KeptCallback, Lease, Moved, NewCallback, NodeId, SeatClaim, StoreError,
};

static ADD: LazyLock<Script> = LazyLock::new(|| {
    let parts =
        concat!(include_str!("lua/clock.lua"), include_str!("lua/seats.lua"), include_str!("lua/add_callback.lua"));
    Script::new(parts)
});
static CHANGE: LazyLock<Script> = LazyLock::new(|| {
    let parts =
        concat!(include_str!("lua/clock.lua"), include_str!("lua/seats.lua"), include_str!("lua/change_callback.lua"));
    Script::new(parts)
});
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/forget_callback.lua")));
static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/clock.lua"),
        include_str!("lua/take.lua"),
        include_str!("lua/lease_callbacks.lua")
    ))
});
static RECLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/clock.lua"),
        include_str!("lua/take.lua"),
        include_str!("lua/reclaim_callbacks.lua")
    ))
});
static NEXT: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/clock.lua"), include_str!("lua/next_callback.lua"))));
static RENEW: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/clock.lua"), include_str!("lua/renew_callbacks.lua"))));

/// How often room is made for one more before it is refused.
const ROOM_TRIES: u32 = 8;
/// A row that cannot be read is put aside for an hour: it must not stop the others.
const ASIDE_MS: u64 = 3_600_000;

/// What a kept call-back is read from; the scripts give the same, in this order. The id is the key's: older rows have it too.
const FIELDS: [&str; 7] = ["id", "manage", "change", "node", "until", "version", "row"];
type Fields = Vec<Option<String>>;

/// The keys a call-back is found by.
struct Found {
    hash: String,
    waiting: String,
    wake: String,
    asked: [String; 2],
    open: [String; 2],
    number: String,
    promised: String,
    /// Empty where the page said no session.
    session: String,
}

impl Found {
    fn of(callback: &Callback) -> Self {
        let (tenant, number) = (callback.tenant().0.as_str(), callback.wish().number.as_str());
        Self {
            hash: key(&["callback", &callback.id().to_string()]),
            waiting: key(&["waiting", tenant, number]),
            wake: key(&["wake"]),
            asked: [key(&["asked"]), key(&["asked", tenant])],
            open: [key(&["open"]), key(&["open", tenant])],
            number: key(&["number", number]),
            promised: key(&["promised", tenant, &callback.queue().0]),
            session: session_of(callback).map_or_else(String::new, |session| key(&["session", tenant, session])),
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
        let (what, fields): (String, Fields) = session.script(&script).await?;
        return match what.as_str() {
            "seats" => {
                see(&mut seat, &fields)?;
                continue;
            }
            "new" => {
                let (callback, manage) = (new.callback.clone(), new.manage);
                Ok((1, Added::New(KeptCallback { callback, manage, version: 1, lease: None })))
            }
            "same" => Ok((0, Added::Same(promised_one(session, &fields)?))),
            "open" => Ok((0, Added::Open(promised_one(session, &fields)?))),
            // Full: the oldest that is over goes, and it is tried again.
            _ => match fields.into_iter().flatten().next() {
                Some(oldest) => {
                    forget(session, &oldest).await?;
                    room_tries += 1;
                    continue;
                }
                None => Err(StoreError::Overloaded),
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
    let waiting = key(&["waiting", &tenant.0, &new.callback.wish().number]);
    let id: Option<String> = session.command(redis::cmd("GET").arg(waiting)).await?;
    match id.and_then(|id| id.parse().ok()) {
        Some(id) => Ok(one(session, id).await?.map(Added::Open)),
        None => Ok(None),
    }
}

/// The seats as they are, to be judged anew.
fn see(seat: &mut Option<Seat>, fields: &Fields) -> Result<(), StoreError> {
    match seat.as_mut().is_some_and(|seat| seat.sees(text(fields, 0))) {
        true => Ok(()),
        false => Err(StoreError::Overloaded),
    }
}

fn added(new: &NewCallback, seat: Option<&Seat>, max_callbacks: u64) -> Result<ScriptInvocation<'static>, StoreError> {
    let (callback, wish) = (&new.callback, new.callback.wish());
    let (tenant, found) = (callback.tenant().0.as_str(), Found::of(callback));
    let is_over = callback.state().is_over();
    let request = new.request_key.as_deref();
    let mut script = ADD.key(found.hash);
    script.key(request.map_or_else(String::new, |request| key(&["request", tenant, request])));
    script.key(found.waiting).key(found.wake).key(&found.asked).key(&found.open).key(found.number).key(found.promised);
    Seat::keys(seat, tenant, &mut script);
    script.key(found.session);
    script.arg(callback.id().to_string()).arg(u8::from(is_over)).arg(wake(callback, None).unwrap_or(0));
    script.arg(wish.asked_unix_ms).arg(wish.promised_unix_ms).arg(max_callbacks).arg(prefix("callback"));
    Seat::args(seat, &mut script);
    // Each field costs more than its text: what the row says stands nowhere else, but the queue, which a script must know.
    script.arg("queue").arg(&callback.queue().0).arg("manage").arg(hex(new.manage)).arg("change").arg(1);
    request.iter().for_each(|request| {
        script.arg("request").arg(request);
    });
    script.arg("row").arg(encode(callback)?);
    Ok(script)
}

/// Makes room: this one is over.
async fn forget(session: &Session, id: &str) -> Result<(), StoreError> {
    let hash = key(&["callback", id]);
    let mut command = redis::cmd("HMGET");
    command.arg(&hash).arg(&["tenant", "number", "request", "version", "row"]);
    let fields: Fields = session.command(&command).await?;
    // A row that cannot be read any more may be an older one: then they stand beside it.
    let (tenant, number) = match row::decode(text(&fields, 3).parse().unwrap_or(0), text(&fields, 4)) {
        Ok(callback) => (callback.tenant().0.clone(), callback.wish().number.clone()),
        Err(_) => (text(&fields, 0).to_owned(), text(&fields, 1).to_owned()),
    };
    let mut script = FORGET.key(hash);
    script.key(
        fields.get(2).and_then(Option::as_ref).map_or_else(String::new, |request| key(&["request", &tenant, request])),
    );
    script.key(key(&["asked"])).key(key(&["asked", &tenant])).key(key(&["number", &number]));
    script.key(key(&["open"])).arg(id);
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
    let mut script = CHANGE.key(found.hash);
    script.key(found.waiting).key(found.wake).key(&found.open).key(found.promised);
    Seat::keys(seat.as_deref(), &callback.tenant().0, &mut script);
    script.key(found.session);
    script.arg(callback.id().to_string()).arg(change.version).arg(u8::from(keeps_lease(callback, change.held)));
    script.arg(u8::from(callback.state().is_over())).arg(wake(callback, None).unwrap_or(0));
    script.arg(callback.wish().asked_unix_ms).arg(callback.wish().promised_unix_ms);
    Seat::args(seat.as_deref(), &mut script);
    script.arg("queue").arg(&callback.queue().0).arg("row").arg(encode(callback)?);
    let (what, fields): (String, Fields) = session.script(&script).await?;
    match what.as_str() {
        "done" => {
            let (manage, version, lease) = beside(&fields);
            Ok((1, Moved::Changed(Changed::Done(KeptCallback { callback: callback.clone(), manage, version, lease }))))
        }
        "stale" => Ok((0, Moved::Changed(Changed::Stale(promised_one(session, &fields)?)))),
        "seats" => match seat.is_some_and(|seat| seat.sees(text(&fields, 0))) {
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
        let mut script = LEASE.key(key(&["wake"]));
        script.arg(clock(session, now_unix_ms)).arg(hex(node.0)).arg(ms(hold)).arg(page).arg(prefix("callback"));
        let (at_unix_ms, rows): (u64, Vec<Fields>) = match session.script(&script).await {
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
        let mut script = RECLAIM.key(key(&["wake"]));
        script.arg(clock(session, now_unix_ms)).arg(hex(node.0)).arg(ms(hold));
        script.arg(passed).arg(PAGE).arg(prefix("callback"));
        let (at_unix_ms, rows, seen, left): (u64, Vec<Fields>, usize, usize) = match session.script(&script).await {
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
    rows: &[Fields],
    at_unix_ms: u64,
    taken: &mut Vec<KeptCallback>,
) -> Result<(), StoreError> {
    for fields in rows {
        match kept(session, fields) {
            Some(kept) => taken.push(kept),
            None => put_aside(session, fields, at_unix_ms).await?,
        }
    }
    Ok(())
}

async fn put_aside(session: &Session, fields: &Fields, now_unix_ms: u64) -> Result<(), StoreError> {
    let id = text(fields, 0);
    let mut commands = redis::pipe();
    commands.atomic().zadd(key(&["wake"]), id, now_unix_ms.saturating_add(ASIDE_MS));
    commands.hdel(key(&["callback", id]), &["node", "until"]);
    session.pipeline::<()>(commands.ignore()).await
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
        let mut script = RENEW.key(key(&["wake"]));
        script.arg(clock(session, now_unix_ms)).arg(hex(node.0)).arg(ms(hold)).arg(prefix("callback"));
        page.iter().for_each(|id| {
            script.arg(id.to_string());
        });
        let ours: Vec<String> = session.script(&script).await?;
        held.extend(ours.iter().filter_map(|id| id.parse::<CallbackId>().ok()));
    }
    Ok((held.len() as u64, held))
}

/// One call-back.
pub(super) async fn one(session: &Session, id: CallbackId) -> Result<Option<KeptCallback>, StoreError> {
    let hash = key(&["callback", &id.to_string()]);
    let mut fields: Fields = session.command(redis::cmd("HMGET").arg(hash).arg(&FIELDS)).await?;
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    name(&mut fields, &id.to_string());
    promised_one(session, &fields).map(Some)
}

/// What was made of a request.
pub(super) async fn requested(
    session: &Session,
    tenant: &TenantId,
    request: &str,
) -> Result<Option<KeptCallback>, StoreError> {
    let mut command = redis::cmd("GET");
    command.arg(key(&["request", &tenant.0, request]));
    let id: Option<String> = session.command(&command).await?;
    match id.and_then(|id| id.parse().ok()) {
        Some(id) => one(session, id).await,
        None => Ok(None),
    }
}

/// The newest first.
pub(super) async fn list(session: &Session, query: &CallbackQuery) -> Result<Vec<KeptCallback>, StoreError> {
    let kind = if query.open_only { "open" } else { "asked" };
    let order = match &query.tenant {
        Some(tenant) => key(&[kind, &tenant.0]),
        None => key(&[kind]),
    };
    let limit = query.limit.min(CallbackQuery::LIMIT_MAX);
    let ids: Vec<String> = session.command(&newest(&order, (query.since_unix_ms, query.before_unix_ms), limit)).await?;
    let mut found = read(session, &ids).await?;
    // One may have ended while the rows were read.
    found.retain(|kept| !(query.open_only && kept.callback.state().is_over()));
    Ok(found)
}

/// Those of this tenant among the last to this number.
pub(super) async fn last_to(
    session: &Session,
    tenant: &TenantId,
    number: &str,
) -> Result<Vec<KeptCallback>, StoreError> {
    let ids: Vec<String> = session.command(&newest(&key(&["number", number]), (None, None), LAST_TO)).await?;
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
    let ids: Vec<String> = session.command(redis::cmd("SMEMBERS").arg(key(&["session", &tenant.0, wanted]))).await?;
    let mut found = read(session, &ids).await?;
    found.retain(|kept| !kept.callback.state().is_over());
    found.sort_by_key(|kept| (kept.callback.wish().asked_unix_ms, kept.callback.id()));
    found.truncate(OF_SESSION_MAX);
    Ok(found)
}

async fn read(session: &Session, ids: &[String]) -> Result<Vec<KeptCallback>, StoreError> {
    let mut found = Vec::new();
    for page in ids.chunks(PAGE) {
        let mut commands = redis::pipe();
        for id in page {
            commands.cmd("HMGET").arg(key(&["callback", id])).arg(&FIELDS);
        }
        let rows: Vec<Fields> = session.pipeline(&commands).await?;
        // One that is gone since has no fields.
        for (id, mut fields) in page.iter().zip(rows).filter(|(_, fields)| fields.iter().any(Option::is_some)) {
            name(&mut fields, id);
            found.extend(kept(session, &fields));
        }
    }
    Ok(found)
}

/// When the next one must be looked at.
pub(super) async fn next(session: &Session, now_unix_ms: u64) -> Result<Option<Duration>, StoreError> {
    let mut script = NEXT.key(key(&["wake"]));
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
    session.command(redis::cmd("ZCOUNT").arg(key(&["number", number])).arg(since_unix_ms).arg("+inf")).await
}

/// How many are open.
pub(super) async fn count_open(session: &Session, tenant: Option<&TenantId>) -> Result<u64, StoreError> {
    let open = tenant.map_or_else(|| key(&["open"]), |tenant| key(&["open", &tenant.0]));
    session.command(redis::cmd("ZCARD").arg(open)).await
}

/// As if it were not there, it would be promised twice.
fn promised_one(session: &Session, fields: &Fields) -> Result<KeptCallback, StoreError> {
    kept(session, fields).ok_or_else(|| StoreError::Damaged("a kept call-back cannot be read".to_owned()))
}

fn kept(session: &Session, fields: &Fields) -> Option<KeptCallback> {
    let (manage, version, lease) = beside(fields);
    match row::decode(text(fields, 5).parse().unwrap_or(0), text(fields, 6)) {
        Ok(callback) => Some(KeptCallback { callback, manage, version, lease }),
        Err(why) => {
            session.0.counters.unreadable(text(fields, 0), &why);
            None
        }
    }
}

/// What stands beside the row: the visitor's key, the version, the lease.
fn beside(fields: &Fields) -> (u128, u64, Option<Lease>) {
    let lease = bits(text(fields, 3))
        .zip(text(fields, 4).parse().ok())
        .map(|(node, until_unix_ms)| Lease { node: NodeId(node), until_unix_ms });
    (bits(text(fields, 1)).unwrap_or_default(), text(fields, 2).parse().unwrap_or(0), lease)
}

/// Says whose fields they are.
fn name(fields: &mut Fields, id: &str) {
    if let Some(first) = fields.first_mut() {
        *first = Some(id.to_owned());
    }
}

fn text(fields: &Fields, index: usize) -> &str {
    fields.get(index).and_then(Option::as_deref).unwrap_or_default()
}

fn encode(callback: &Callback) -> Result<String, StoreError> {
    row::encode(callback).map_err(damaged)
}

fn hex(bits: u128) -> String {
    format!("{bits:032x}")
}

fn bits(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}
