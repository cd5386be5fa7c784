//! Seats in Redis. How many are left is judged here, by the one rule; a script then does what was judged only if the seats
//! are still as they were seen, and else says how they are.

use std::sync::LazyLock;

use desk::{Callback, SeatRule, Taken};
use redis::{Script, ScriptInvocation};

use super::Written;
use super::callbacks::clock;
use super::keys::{key, prefix};
use super::link::Session;
use crate::callback::ms;
use crate::{Held, HoldId, NewHold, SeatClaim, SeatQuery, StoreError};

static HOLD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/clock.lua"),
        include_str!("lua/seats.lua"),
        include_str!("lua/hold_seat.lua")
    ))
});
static TAKEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/clock.lua"),
        include_str!("lua/seats.lua"),
        include_str!("lua/taken_seats.lua")
    ))
});

/// How often seats may change between two looks at them: each time somebody else has taken one or let go of it.
const LOOKS_MAX: u32 = 256;

/// A seat somebody wants, and the others as they were last seen.
pub(super) struct Seat {
    rule: SeatRule,
    start_unix_ms: u64,
    queue: String,
    hold: Option<HoldId>,
    clock: String,
    /// Starts, in the words of the script. At first nobody is expected there.
    seen: String,
    looks: u32,
}

impl Seat {
    pub(super) fn claimed(session: &Session, callback: &Callback, claim: Option<SeatClaim>) -> Option<Self> {
        let queue = callback.queue().0.clone();
        let start_unix_ms = callback.wish().promised_unix_ms;
        claim.map(|SeatClaim { rule, hold, now_unix_ms }| {
            let clock = clock(session, now_unix_ms);
            Self { rule, start_unix_ms, queue, hold, clock, seen: String::new(), looks: 0 }
        })
    }

    /// No seat is left, by what was seen.
    pub(super) fn is_taken(&self) -> bool {
        self.rule.left(self.start_unix_ms, &starts(&self.seen)) == 0
    }

    /// The seats are like this; false when that has changed too often.
    pub(super) fn sees(&mut self, seen: &str) -> bool {
        seen.clone_into(&mut self.seen);
        self.looks += 1;
        self.looks < LOOKS_MAX
    }

    /// The tenant's holds, and his own.
    pub(super) fn keys(seat: Option<&Self>, tenant: &str, script: &mut ScriptInvocation<'_>) {
        let own = seat.and_then(|seat| seat.hold).map(|hold| hold.to_string()).unwrap_or_default();
        script.key(key(&["holds", tenant])).key(key(&["hold", &own]));
    }

    /// What a script needs to see whether the seats are as they were.
    pub(super) fn args(seat: Option<&Self>, script: &mut ScriptInvocation<'_>) {
        let Some(seat) = seat else {
            script.arg(&[""; 6]);
            return;
        };
        let (from, to) = seat.rule.beside(seat.start_unix_ms, seat.start_unix_ms);
        script.arg(&seat.clock).arg(&seat.queue).arg(from).arg(to);
        script.arg(seat.hold.map(|hold| hold.to_string()).unwrap_or_default()).arg(&seat.seen);
    }
}

/// The seats that are taken, by their start.
pub(super) async fn taken(session: &Session, query: &SeatQuery) -> Result<Taken, StoreError> {
    let (tenant, queue) = &query.queue;
    let mut script = TAKEN.key(key(&["seats", &tenant.0, &queue.0]));
    script.key(key(&["holds", &tenant.0])).arg(clock(session, query.now_unix_ms)).arg(&queue.0);
    script.arg(query.from_unix_ms).arg(query.to_unix_ms);
    script.arg(query.own.map(|hold| hold.to_string()).unwrap_or_default());
    Ok(starts(&session.script::<String>(&script).await?))
}

/// Holds a seat, if one is left.
pub(super) async fn hold(session: &Session, new: &NewHold) -> Written<Held> {
    let (tenant, queue) = &new.queue;
    let (from, to) = new.rule.beside(new.start_unix_ms, new.start_unix_ms);
    let mut seen = String::new();
    for _ in 0..LOOKS_MAX {
        if new.rule.left(new.start_unix_ms, &starts(&seen)) == 0 {
            return Ok((0, Held::Full));
        }
        let mut script = HOLD.key(key(&["seats", &tenant.0, &queue.0]));
        script.key(key(&["holds", &tenant.0])).arg(clock(session, new.now_unix_ms)).arg(&queue.0);
        script.arg(from).arg(to).arg(&seen).arg(new.id.to_string()).arg(new.start_unix_ms).arg(ms(new.hold));
        script.arg(&new.holder).arg(&new.source).arg(new.limits.per_source).arg(new.limits.per_tenant);
        script.arg(prefix("hold")).arg(&tenant.0);
        let (what, seats): (String, String) = session.script(&script).await?;
        match what.as_str() {
            "held" => return Ok((1, Held::Yes)),
            "many" => return Ok((0, Held::TooMany)),
            _ => seen = seats,
        }
    }
    Err(StoreError::Overloaded)
}

/// Lets go of a held seat.
pub(super) async fn release(session: &Session, hold: HoldId) -> Written<()> {
    let (id, name) = (hold.to_string(), key(&["hold", &hold.to_string()]));
    let Some(tenant) = session.command::<Option<String>>(redis::cmd("GET").arg(&name)).await? else {
        return Ok((0, ()));
    };
    let mut commands = redis::pipe();
    commands.atomic().hdel(key(&["holds", &tenant]), id).ignore().del(name).ignore();
    session.pipeline::<()>(&commands).await?;
    Ok((1, ()))
}

/// Starts in the words of a script, counted.
fn starts(words: &str) -> Taken {
    let mut taken = Taken::new();
    for start in words.split_ascii_whitespace().filter_map(|word| word.parse::<u64>().ok()) {
        *taken.entry(start).or_default() += 1;
    }
    taken
}
