//! The clerk: takes what is due, knows whose turn it is, holds on to what this node has in hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use desk::{CallbackId, CallbackState, CallbackTurn, LastAgent, LeftBehind, Refusal, Waiting};
use store::{Change, Changed, KeptCallback};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::forecast::LineUp;
use super::hand::{Hand, HandWord};
use super::shield::Leave;
use super::{Back, Callbacks, LEASE, Line, RENEW_EVERY, Rest, Word};
use crate::clock;
use crate::config::checked::Event;
use crate::drive::sip::driver::sleep_until;
use crate::observe::metric::{self, Metric};

/// The book is looked at least this often: another node, or a step of the clock, says nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Call-backs taken at once.
const BATCH: usize = 256;
/// So often in one look: who is held already is given out meanwhile.
const BATCHES_MAX: usize = 80;
/// Call-backs of one queue this node holds at most; the rest waits in the book, so that the rush of one queue takes nothing
/// from another.
const HELD_MAX: usize = 20_000;
/// So long what is too many is not looked at again: the queue has that much to do first.
const ASIDE: Duration = Duration::from_secs(30);
/// When every agent has been asked, so long passes before the first is asked again.
const ROUND_PAUSE: Duration = Duration::from_secs(20);
/// So long the moment a visitor chose is still the one he chose, whatever the hour.
const CHOSEN_FOR: Duration = Duration::from_secs(3_600);
/// How often those who wait are put in a row for those who are told how long it will take.
const LINE_UP_EVERY: Duration = Duration::from_secs(1);
/// After a step the store did not take.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// Who waits for the agent who knows him lets the others go first, and looks again after this.
const AGENT_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Clerk {
    callbacks: Callbacks,
    /// As the lines.
    queues: Vec<Queue>,
    /// The queue that is served first next time, so that two with the same agents take turns.
    first: usize,
    held: HashMap<CallbackId, Held>,
    held_max: usize,
    renew_at: Instant,
    look_at: Instant,
    /// How many of each tenant are open, by the last count.
    open_of: BTreeMap<String, u64>,
    line_up_at: Instant,
    /// What the process before this one held has been asked for.
    reclaimed: bool,
    pauses_at: Instant,
    /// Taking nothing more.
    handed_over: bool,
    /// Who waits for the last hand to be free.
    idle: Vec<oneshot::Sender<()>>,
    /// The book cannot be had: said once.
    book_lost: bool,
    /// How far the book's clock is ahead of this node's, or behind it, by the last that was taken.
    book_ahead_ms: u64,
    book_behind_ms: u64,
}

struct Queue {
    waiting: Waiting,
    /// Who was asked in vain, until when.
    paused: Vec<(Instant, CallbackId)>,
    /// There was no room for a call: nobody is given out before.
    rests_until: Option<Instant>,
    in_hand: usize,
}

impl Queue {
    fn of(line: &Line) -> Self {
        Self { waiting: Waiting::new(line.config.order), paused: Vec::new(), rests_until: None, in_hand: 0 }
    }

    /// How many are held for it.
    fn len(&self) -> usize {
        self.waiting.len() + self.paused.len() + self.in_hand
    }

    fn has_room(&self, line: &Line) -> bool {
        self.rests_until.is_none() && self.in_hand < line.config.at_once_max
    }
}

enum Held {
    /// `spoke`: who talked with this customer last; `None` while nobody has looked it up.
    Waiting {
        line: usize,
        kept: Box<KeptCallback>,
        declined: Vec<String>,
        spoke: Option<Option<String>>,
    },
    InHand {
        line: usize,
        since_unix_ms: u64,
        words: mpsc::Sender<HandWord>,
    },
}

impl Clerk {
    pub(super) fn new(callbacks: Callbacks) -> Self {
        let queues = callbacks.lines.iter().map(Queue::of).collect();
        let now = clock::now();
        Self {
            callbacks,
            first: 0,
            queues,
            held: HashMap::new(),
            held_max: HELD_MAX,
            renew_at: now + RENEW_EVERY,
            look_at: now,
            open_of: BTreeMap::new(),
            line_up_at: now,
            reclaimed: false,
            pauses_at: now,
            handed_over: false,
            idle: Vec::new(),
            book_lost: false,
            book_ahead_ms: 0,
            book_behind_ms: 0,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Word>) {
        let mut desks = JoinSet::new();
        let mut watched = BTreeSet::new();
        loop {
            self.watch_desks(&mut desks, &mut watched);
            tokio::select! {
                word = inbox.recv() => match word {
                    Some(word) => self.hear(word).await,
                    None => return,
                },
                () = sleep_until(Some(self.look_at.min(self.renew_at))) => {}
            }
            let now = clock::now();
            if now >= self.renew_at {
                self.renew().await;
                self.count_open().await;
                self.renew_at = now + RENEW_EVERY;
            }
            if now >= self.pauses_at {
                match self.callbacks.read_pauses().await {
                    Ok(()) => self.pauses_at = now + LOOK_EVERY,
                    Err(error) => self.book_fails(&error),
                }
            }
            if now >= self.look_at && !self.handed_over {
                self.take_due().await;
            }
            self.give_out().await;
            self.show_line_ups();
            metric::gauge_set(Metric::CallbacksHeld, count(self.held.len() as u64));
        }
    }

    /// Agents come and go: whoever waits may have his turn. A tenant has one desk for as long as the program runs.
    fn watch_desks(&self, desks: &mut JoinSet<()>, watched: &mut BTreeSet<String>) {
        for line in self.callbacks.lines.iter() {
            if !watched.insert(line.tenant.clone()) {
                continue;
            }
            // It asks no line, and must not hold on to what is in no configuration any more.
            let callbacks = Callbacks { lines: std::sync::Arc::default(), ..self.callbacks.clone() };
            desks.spawn(callbacks.watch_talks(line.tenant.clone(), line.context.desk.clone()));
            let (mut view, words) = (line.context.desk.watch(), self.callbacks.words.clone());
            desks.spawn(async move {
                while view.changed().await.is_ok() {
                    let _behind = words.try_send(Word::GiveOut);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }

    /// Other lines. What waits by an order that is another now is put in line anew; what waits in a line that is gone goes
    /// back into the book.
    async fn follow(&mut self, callbacks: Callbacks) {
        let before = std::mem::replace(&mut self.callbacks, callbacks);
        let mut gone = Vec::new();
        for (at, line) in self.callbacks.lines.iter().enumerate() {
            match self.queues.get_mut(at) {
                None => self.queues.push(Queue::of(line)),
                Some(_) if line.retired => gone.push(at),
                Some(queue) if before.lines.get(at).is_none_or(|old| old.config.order != line.config.order) => {
                    let waiting: Vec<CallbackId> = queue.waiting.by_place().collect();
                    queue.waiting = Waiting::new(line.config.order);
                    for id in waiting {
                        if let Some(Held::Waiting { kept, .. }) = self.held.get(&id) {
                            queue.waiting.place(id, kept.callback.wish());
                        }
                    }
                }
                Some(_) => {}
            }
        }
        self.put_back(|at| gone.contains(&at)).await;
        for at in gone {
            if let Some(queue) = self.queues.get_mut(at) {
                (queue.waiting, queue.paused) = (Waiting::new(desk::Order::Fifo), Vec::new());
            }
        }
        self.look_at = clock::now();
    }

    async fn hear(&mut self, word: Word) {
        match word {
            Word::Look => self.look_at = clock::now(),
            Word::GiveOut => {}
            Word::Touched(id) => {
                self.look_at = clock::now();
                match self.held.get(&id) {
                    Some(Held::InHand { words, .. }) => {
                        let _ending = words.try_send(HandWord::Touched);
                    }
                    Some(Held::Waiting { .. }) => self.read_again(id).await,
                    None => {}
                }
            }
            Word::Declined(id, agent) => {
                if let Some(Held::InHand { words, .. }) = self.held.get(&id) {
                    let _ending = words.try_send(HandWord::Declined(agent));
                }
            }
            Word::Done(id, back) => self.free(id, back).await,
            Word::Follow(callbacks, done) => {
                self.follow(*callbacks).await;
                let _asker_gone = done.send(());
            }
            Word::HandOver(done) => {
                self.hand_over().await;
                let _asker_gone = done.send(());
            }
            Word::Idle(done) => self.idle.push(done),
        }
        if !self.held.values().any(|held| matches!(held, Held::InHand { .. })) {
            for done in self.idle.drain(..) {
                let _asker_gone = done.send(());
            }
        }
    }

    /// A hand is free.
    async fn free(&mut self, id: CallbackId, back: Option<Box<Back>>) {
        let Some(Held::InHand { line, .. }) = self.held.get(&id) else { return };
        let line = *line;
        self.held.remove(&id);
        let Some(queue) = self.queues.get_mut(line) else { return };
        queue.in_hand = queue.in_hand.saturating_sub(1);
        self.look_at = clock::now();
        let Some(Back { kept, mut declined, rest }) = back.map(|back| *back) else { return };
        // He who declines twice is the only one there: another round begins after a while.
        let round_over = declined.split_last().is_some_and(|(last, before)| last.is_empty() || before.contains(last));
        if rest == Rest::TheQueue {
            queue.rests_until = Some(clock::now() + STORE_PAUSE);
            queue.waiting.place(id, kept.callback.wish());
        } else if rest == Rest::Him || round_over {
            declined.clear();
            let pause = if rest == Rest::Him { STORE_PAUSE } else { ROUND_PAUSE };
            queue.paused.push((clock::now() + pause, id));
        } else {
            queue.waiting.place(id, kept.callback.wish());
        }
        self.held.insert(id, Held::Waiting { line, kept: Box::new(kept), declined, spoke: None });
        if self.handed_over {
            self.hand_over().await;
        } else if self.callbacks.lines.get(line).is_some_and(|line| line.retired) {
            self.put_back(|at| at == line).await;
        }
    }

    /// Somebody else changed one that waits here.
    async fn read_again(&mut self, id: CallbackId) {
        let found = match self.callbacks.home.callback(id).await {
            Ok(found) => found.filter(|kept| kept.lease.is_some_and(|lease| lease.node == self.callbacks.node)),
            Err(error) => return self.book_fails(&error),
        };
        match (found, self.held.get_mut(&id)) {
            (Some(newer), Some(Held::Waiting { kept, .. })) => **kept = newer,
            (_, _) => self.drop_waiting(id),
        }
    }

    fn drop_waiting(&mut self, id: CallbackId) {
        if let Some(Held::Waiting { line, .. }) = self.held.remove(&id)
            && let Some(queue) = self.queues.get_mut(line)
        {
            queue.waiting.remove(id);
            queue.paused.retain(|(_, paused)| *paused != id);
        }
    }

    /// Says that this node lives. What is not its own any more is let go.
    async fn renew(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let ids: Vec<CallbackId> = self.held.keys().copied().collect();
        let now = clock::unix_ms();
        match self.callbacks.home.renew_callbacks(self.callbacks.node, ids.clone(), now, LEASE).await {
            Ok(held) => {
                self.book_answers();
                let held: std::collections::HashSet<CallbackId> = held.into_iter().collect();
                for id in ids.into_iter().filter(|id| !held.contains(id)) {
                    match self.held.get(&id) {
                        Some(Held::InHand { words, .. }) => {
                            let _ending = words.try_send(HandWord::Touched);
                        }
                        Some(Held::Waiting { .. }) => self.drop_waiting(id),
                        None => {}
                    }
                }
            }
            Err(error) => self.book_fails(&error),
        }
    }

    /// How many wait in the whole book, and of each tenant.
    async fn count_open(&mut self) {
        let tenants: BTreeSet<String> = self.callbacks.lines.iter().map(|line| line.tenant.clone()).collect();
        for tenant in tenants {
            match self.callbacks.home.open_callbacks(Some(tenant.as_str().into())).await {
                Ok(open) => drop(self.open_of.insert(tenant, open)),
                Err(error) => return self.book_fails(&error),
            }
        }
        match self.callbacks.home.open_callbacks(None).await {
            Ok(open) => metric::gauge_set(Metric::CallbacksOpen, count(open)),
            Err(error) => self.book_fails(&error),
        }
    }

    /// Takes what has come to its moment, and finds out when to look again.
    async fn take_due(&mut self) {
        let home = std::sync::Arc::clone(&self.callbacks.home);
        if !self.reclaimed {
            let now = clock::unix_ms();
            let taken = match home.reclaim_callbacks(self.callbacks.node, now, LEASE).await {
                Ok(taken) => taken,
                Err(error) => return self.book_fails(&error),
            };
            self.reclaimed = true;
            if !taken.is_empty() {
                info!(count = taken.len(), "the process before this one was killed: what it held is taken back");
            }
            self.begin(taken, now).await;
        }
        for _ in 0..BATCHES_MAX {
            let now = clock::unix_ms();
            let taken = match home.lease_callbacks(self.callbacks.node, now, LEASE, BATCH).await {
                Ok(taken) => taken,
                Err(error) => return self.book_fails(&error),
            };
            let last = taken.len() < BATCH;
            self.begin(taken, now).await;
            if last {
                break;
            }
        }
        match home.next_callback(clock::unix_ms()).await {
            Ok(next) => {
                self.book_answers();
                self.look_at = clock::now() + next.unwrap_or(LOOK_EVERY).clamp(Duration::from_millis(1), LOOK_EVERY);
            }
            Err(error) => self.book_fails(&error),
        }
    }

    /// What was just taken: a dead node's are put in order, the others have come due. All are written together.
    async fn begin(&mut self, taken: Vec<KeptCallback>, now_unix_ms: u64) {
        // What the book gives is due by the book's clock, which is told by the leases it gives; this node's may differ.
        let Some(lease) = taken.first().and_then(|kept| kept.lease) else { return };
        let book_unix_ms = lease.until_unix_ms.saturating_sub(ms(LEASE));
        self.book_ahead_ms = book_unix_ms.saturating_sub(now_unix_ms);
        self.book_behind_ms = now_unix_ms.saturating_sub(book_unix_ms);
        let now_unix_ms = book_unix_ms;
        let mut writes = JoinSet::new();
        let mut more: Vec<usize> = vec![0; self.queues.len()];
        for kept in taken {
            let id = kept.callback.id();
            match self.held.get_mut(&id) {
                // This node's own: its clock was set forward, or the book was away for longer than a lease.
                Some(Held::Waiting { kept: mine, .. }) => {
                    **mine = kept;
                    continue;
                }
                Some(Held::InHand { .. }) => continue,
                None => {}
            }
            let lines = &self.callbacks.lines;
            let (tenant, queue) = (kept.callback.tenant(), kept.callback.queue());
            let is_its = |line: &Line| !line.retired && line.tenant == tenant.0 && line.queue == queue.0;
            let Some(line) = lines.iter().position(is_its) else {
                debug!(callback = %id, queue = queue.0, "a call-back of a queue that calls nobody back: it stays in the book");
                continue;
            };
            if Hand::has_legs(&kept) {
                let (words, _nothing_to_hear) = mpsc::channel(1);
                self.held.insert(id, Held::InHand { line, since_unix_ms: now_unix_ms, words });
                if let Some(queue) = self.queues.get_mut(line) {
                    queue.in_hand += 1;
                }
                Hand::inherit(self.callbacks.clone(), line, kept);
                continue;
            }
            let mut callback = kept.callback.clone();
            if let Some(line) = lines.get(line) {
                bring_up_to_date(&mut callback, line, now_unix_ms);
            }
            let in_queue = self.queues.get(line).map_or(0, Queue::len) + more.get(line).copied().unwrap_or(0);
            let is_too_many =
                in_queue >= self.held_max && callback.set_aside(now_unix_ms.saturating_add(ms(ASIDE))).is_ok();
            if let Some(more) = more.get_mut(line).filter(|_| !is_too_many) {
                *more += 1;
            }
            let home = std::sync::Arc::clone(&self.callbacks.home);
            let change = Change { callback, version: kept.version, held: true };
            writes.spawn(async move { (line, home.change_callback(change).await) });
        }
        while let Some(written) = writes.join_next().await {
            match written {
                Ok((line, Ok(Changed::Done(kept)))) => {
                    self.callbacks.messages.tell_state(&kept).await;
                    self.wait_for_turn(line, kept);
                }
                Ok((_, Ok(Changed::Stale(_) | Changed::Missing))) => {}
                Ok((_, Err(error))) => self.book_fails(&error),
                Err(failure) => error!(%failure, "a write of the call-back book failed"),
            }
        }
    }

    fn wait_for_turn(&mut self, line: usize, kept: KeptCallback) {
        let id = kept.callback.id();
        self.callbacks.announce(id);
        let state = kept.callback.state();
        debug!(callback = %id, state = state.code(), "taken from the book");
        if state.is_over() {
            metric::count_with(Metric::CallbacksEnded, state.code());
        }
        if state == CallbackState::Queued
            && let Some(queue) = self.queues.get_mut(line)
        {
            queue.waiting.place(id, kept.callback.wish());
            self.held.insert(id, Held::Waiting { line, kept: Box::new(kept), declined: Vec::new(), spoke: None });
        }
    }

    /// Gives each queue's next call-backs to agents who are free.
    async fn give_out(&mut self) {
        if self.handed_over || self.book_lost {
            return;
        }
        let lines = std::sync::Arc::clone(&self.callbacks.lines);
        self.first = (self.first + 1) % lines.len().max(1);
        for (at, line) in lines.iter().enumerate().cycle().skip(self.first).take(lines.len()) {
            self.end_pauses(at);
            while self.callbacks.pause_of(line).is_none() && self.give_one(at, line).await {}
        }
    }

    fn end_pauses(&mut self, line: usize) {
        let now = clock::now();
        let Some(queue) = self.queues.get_mut(line) else { return };
        queue.rests_until = queue.rests_until.filter(|until| *until > now);
        let (over, still) = queue.paused.drain(..).partition(|(until, _)| *until <= now);
        queue.paused = still;
        let over: Vec<(Instant, CallbackId)> = over;
        for (_, id) in over {
            if let Some(Held::Waiting { kept, .. }) = self.held.get(&id) {
                queue.waiting.place(id, kept.callback.wish());
            }
        }
    }

    /// Who spoke last with the customer who is first in this line, looked up once. Nobody waits for an answer about it.
    async fn spoke_last(&mut self, id: CallbackId, line: &Line, now_unix_ms: u64) -> Option<String> {
        let Some(Held::Waiting { kept, spoke, .. }) = self.held.get_mut(&id) else { return None };
        if let Some(known) = spoke {
            return known.clone();
        }
        let memory = ms(line.config.last_agent_for);
        if memory == 0 {
            return spoke.insert(None).clone();
        }
        let (tenant, number) = (kept.callback.tenant().clone(), kept.callback.wish().number.clone());
        match self.callbacks.home.last_callbacks_to(tenant, number).await {
            Ok(before) => {
                let talks = before.iter().filter_map(|kept| kept.callback.spoke_last());
                let last = talks.max().filter(|(at, _)| *at >= now_unix_ms.saturating_sub(memory));
                spoke.insert(last.map(|(_, agent)| agent.to_owned())).clone()
            }
            Err(error) => {
                debug!(callback = %id, %error, "the book does not say who spoke with this customer last");
                None
            }
        }
    }

    /// Who is next in this queue; nobody while it is paused, rests or has enough in hand.
    fn next_in(&self, at: usize, line: &Line, now: u64) -> Option<CallbackId> {
        let queue = self.queues.get(at).filter(|queue| queue.has_room(line))?;
        if self.callbacks.pause_of(line).is_some() { None } else { queue.waiting.first(now) }
    }

    /// Gives out one; false when there is none, or nobody to give it to.
    async fn give_one(&mut self, at: usize, line: &Line) -> bool {
        let now = self.book_now();
        let Some(id) = self.next_in(at, line, now) else { return false };
        let spoke = self.spoke_last(id, line, now).await;
        let Some(queue) = self.queues.get_mut(at) else { return false };
        let Some(Held::Waiting { kept, declined, .. }) = self.held.get(&id) else {
            queue.waiting.remove(id);
            return true;
        };
        let late = Late::of(kept, line, now);
        if late != Late::No {
            self.put_off(id, line, late).await;
            return true;
        }
        let Ok(number) = line.config.numbers.judge_again(&kept.callback.wish().number) else {
            self.forbid(id).await;
            return true;
        };
        match self.callbacks.shield.leave(line, number.e164(), now).await {
            Ok(Leave::Yes) => {}
            Ok(Leave::Suppressed) => {
                self.forbid(id).await;
                return true;
            }
            Ok(Leave::Spent(until)) => {
                self.promise_anew(id, line, until).await;
                return true;
            }
            Err(error) => {
                self.book_fails(&error);
                return false;
            }
        }
        let due = kept.callback.parts().due_unix_ms;
        let is_waited_for = now < due.saturating_add(ms(line.config.last_agent_wait));
        // Whose it is, by the word of staff; else who knows him.
        let owner = kept.callback.care().owner.clone();
        let turn = CallbackTurn {
            tags: kept.callback.wish().tags.clone(),
            customer: line.customer(&number),
            agent_first: line.config.agent_first,
            key_limit: line.config.key_limit,
            declined: declined.clone(),
            last_agent: owner.or(spoke).map(|extension| LastAgent { extension, is_waited_for }),
        };
        let spec = match call_of(line, turn).await {
            Ok(Some(spec)) => spec,
            Ok(None) => return false,
            Err(Refusal::AgentBusy) => {
                queue.waiting.remove(id);
                queue.paused.push((clock::now() + AGENT_PAUSE, id));
                return true;
            }
            Err(refusal) => {
                debug!(callback = %id, why = refusal.counter(), "nobody to call back now");
                return false;
            }
        };
        queue.waiting.remove(id);
        queue.in_hand += 1;
        let (words, inbox) = mpsc::channel(4);
        if let Some(Held::Waiting { kept, declined, .. }) =
            self.held.insert(id, Held::InHand { line: at, since_unix_ms: now, words })
        {
            Hand::start(self.callbacks.clone(), at, *kept, declined, spec, inbox);
        }
        true
    }

    /// The rules have changed since it was asked for.
    async fn forbid(&mut self, id: CallbackId) {
        warn!(callback = %id, "not called: the rules for numbers, or the list of those not to be called, forbid it");
        self.give_back(id, desk::Callback::forbid).await;
    }

    /// The trunk's budget of the day is used up, or the site has closed before his turn came. That is none of the customer's
    /// doing: he gets a new promise, whose window begins anew, for the first moment from then on at which he may be rung;
    /// his place and his tries stay. He is told, with the link by which he moves it or calls it off.
    async fn promise_anew(&mut self, id: CallbackId, line: &Line, from_unix_ms: u64) {
        let moved = self.give_back(id, |callback| {
            let at = line.allowed(callback)(from_unix_ms).unwrap_or(from_unix_ms);
            let clock = desk::Zone::named(&callback.wish().zone).ok().or_else(|| line.zone());
            callback.reschedule(at, clock.and_then(|clock| desk::Wanted::at(at, &clock)))
        });
        if let Some(kept) = moved.await {
            self.callbacks.messages.tell(&kept, Event::Moved).await;
        }
    }

    /// Nobody was free in time: it expires, or waits for the next hours in which he may be rung; if nobody has rung him yet, by
    /// a new promise.
    async fn put_off(&mut self, id: CallbackId, line: &Line, late: Late) {
        let now = self.book_now();
        let opens = line.hours.as_ref().and_then(|hours| hours.next_instant_open(now));
        if let (Late::Closed, Some(opens)) = (late, opens) {
            return self.promise_anew(id, line, opens).await;
        }
        self.give_back(id, |callback| {
            let allowed = line.allowed(callback);
            callback.put_off(now, &line.config.retry, allowed)
        })
        .await;
    }

    /// Changes one that waits here and lets go of it; gives it as it was written.
    async fn give_back(
        &mut self,
        id: CallbackId,
        edit: impl FnOnce(&mut desk::Callback) -> Result<(), desk::OutOfTurn>,
    ) -> Option<KeptCallback> {
        let Some(Held::Waiting { kept, .. }) = self.held.get(&id) else { return None };
        let (mut callback, version) = (kept.callback.clone(), kept.version);
        self.drop_waiting(id);
        edit(&mut callback).ok()?;
        let state = callback.state();
        info!(callback = %id, state = state.code(), "a call-back is not given out");
        if state.is_over() {
            metric::count_with(Metric::CallbacksEnded, state.code());
        }
        let mut written = None;
        match self.callbacks.home.change_callback(Change { callback, version, held: false }).await {
            Ok(Changed::Done(kept)) => {
                self.callbacks.messages.tell_state(&kept).await;
                written = Some(kept);
            }
            Ok(Changed::Stale(_) | Changed::Missing) => {}
            Err(error) => self.book_fails(&error),
        }
        self.callbacks.announce(id);
        written
    }

    /// Puts back what only waits, for another node or the next start.
    async fn hand_over(&mut self) {
        self.handed_over = true;
        self.put_back(|_| true).await;
    }

    /// Puts back what only waits in these lines.
    async fn put_back(&mut self, of: impl Fn(usize) -> bool) {
        let mut writes = JoinSet::new();
        let waits = |held: &Held| matches!(held, Held::Waiting { line, .. } if of(*line));
        let waiting: Vec<CallbackId> = self.held.iter().filter_map(|(id, held)| waits(held).then_some(*id)).collect();
        for id in waiting {
            if let Some(Held::Waiting { kept, .. }) = self.held.remove(&id) {
                let home = std::sync::Arc::clone(&self.callbacks.home);
                let change = Change { callback: kept.callback, version: kept.version, held: false };
                writes.spawn(async move { home.change_callback(change).await });
            }
        }
        let mut count = 0;
        while let Some(written) = writes.join_next().await {
            count += usize::from(matches!(written, Ok(Ok(Changed::Done(_)))));
        }
        if count > 0 {
            info!(count, "call-backs that waited are back in the book");
        }
    }

    /// For those who are told how long it will take.
    fn show_line_ups(&mut self) {
        let now = clock::now();
        if now < self.line_up_at {
            return;
        }
        self.line_up_at = now + LINE_UP_EVERY;
        for (at, queue) in self.queues.iter().enumerate() {
            let before = queue.waiting.by_place().enumerate().map(|(before, id)| (id, before)).collect();
            let since = |held: &Held| match held {
                Held::InHand { line, since_unix_ms, .. } if *line == at => Some(*since_unix_ms),
                Held::InHand { .. } | Held::Waiting { .. } => None,
            };
            let in_hand_since_unix_ms = self.held.values().filter_map(since).collect();
            let line = self.callbacks.lines.get(at);
            let is_full = line
                .is_some_and(|line| self.open_of.get(&line.tenant).is_some_and(|open| *open >= line.config.open_max));
            self.callbacks.line_ups.show(at, LineUp { before, in_hand_since_unix_ms, is_full });
        }
    }

    fn book_fails(&mut self, error: &store::StoreError) {
        metric::count(Metric::CallbackStoreErrors);
        if !std::mem::replace(&mut self.book_lost, true) {
            error!(%error, "the call-back book cannot be had: nobody is called back until it can");
        }
        self.look_at = clock::now() + Duration::from_millis(500);
    }

    /// The book's time.
    fn book_now(&self) -> u64 {
        clock::unix_ms().saturating_add(self.book_ahead_ms).saturating_sub(self.book_behind_ms)
    }

    fn book_answers(&mut self) {
        if std::mem::replace(&mut self.book_lost, false) {
            info!("the call-back book is there again");
        }
    }
}

/// The call that its desk gives for a turn; none while the desk goes by another configuration than the line: that line's
/// successor is on its way.
async fn call_of(line: &Line, turn: CallbackTurn) -> Result<Option<call::CallSpec>, Refusal> {
    let (spec, config) = line.context.desk.call_back(turn).await?;
    if std::sync::Arc::ptr_eq(&config, &line.context.config) {
        return Ok(Some(spec));
    }
    line.context.desk.forget(spec.id).await;
    Ok(None)
}

/// Whether its turn comes too late.
#[derive(Eq, PartialEq)]
enum Late {
    No,
    /// Too early: the clock was set back since it came due.
    NotYet,
    /// Its window is over.
    PastWindow,
    /// The site has closed, and nobody has been called yet.
    Closed,
    /// It is night where he is, or the site is closed; and he did not choose this moment.
    OutsideHours,
}

impl Late {
    fn of(kept: &KeptCallback, line: &Line, now_unix_ms: u64) -> Self {
        let (callback, wish) = (&kept.callback, kept.callback.wish());
        if callback.is_early(now_unix_ms) {
            return Self::NotYet;
        }
        let waited = now_unix_ms.saturating_sub(wish.promised_unix_ms);
        if waited > ms(line.config.retry.window) {
            return Self::PastWindow;
        }
        if callback.attempts().is_empty() && line.hours.as_ref().is_some_and(|hours| !hours.is_open(now_unix_ms)) {
            return Self::Closed;
        }
        let his_own = callback.care().purpose == desk::Purpose::Requested;
        let chosen = his_own && callback.attempts().is_empty() && waited < ms(CHOSEN_FOR);
        let allowed = chosen || line.allowed(callback)(now_unix_ms).is_some_and(|at| at <= now_unix_ms);
        if allowed { Self::No } else { Self::OutsideHours }
    }
}

/// What a leased call-back has to hear first.
fn bring_up_to_date(callback: &mut desk::Callback, line: &Line, now_unix_ms: u64) {
    let rules = &line.config.retry;
    if matches!(callback.state(), CallbackState::Offered | CallbackState::Dialling | CallbackState::Connected) {
        metric::count(Metric::CallbacksTakenOver);
        warn!(callback = %callback.id(), state = callback.state().code(), "taken over from a node that died");
        let allowed = line.allowed(callback);
        let _fits = callback.take_over(LeftBehind::Unknown, now_unix_ms, rules, allowed);
    }
    // The rules of a zone may have changed since: the promised time on his clock is what counts.
    let wanted = callback.wish().wanted.as_ref().and_then(|wanted| wanted.reresolve().ok());
    if let Some(wanted) = wanted
        && callback.attempts().is_empty()
        && wanted.unix_ms > now_unix_ms
        && wanted.unix_ms > callback.wish().promised_unix_ms
    {
        let _fits = callback.reschedule(wanted.unix_ms, Some(wanted));
    }
    let _due_or_not = callback.come_due(now_unix_ms, rules);
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
