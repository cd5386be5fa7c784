//! The ladders that are kept, within bounds of memory, age and length. No clock and no lock: whoever holds it tells the
//! time.
//!
//! Ladders stand on two shelves, each in the order of their newest line: those of calls, and strays (registrations, probes,
//! whatever never became a call). When room is wanted, strays beyond a quarter of it go first, so that no scanner washes
//! a call away.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use call::{CallId, LegId};
use sip::endpoint::{Flow, Transport};

use super::Event;
use super::message::Read;

/// What a line costs beside its octets.
const ROW_BYTES: usize = 240;
/// What a ladder costs beside its lines.
const LADDER_BYTES: usize = 480;
/// Moments of repetitions that are kept of one message.
const AGAIN_MAX: usize = 16;
/// How far back the same message is looked for.
const LOOK_BACK: usize = 32;
/// Refused messages that are kept.
const REFUSED_MAX: usize = 300;
/// Octets of a refused message that are kept.
const REFUSED_BYTES: usize = 4_096;
/// Fewest characters of a call's id that name it.
const PREFIX_MIN: usize = 4;

/// What may be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) keep: Duration,
    /// Lines of one ladder.
    pub(crate) rows: usize,
}

/// A message as it passed, its secrets blotted out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) sent: bool,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) read: Read,
}

impl Message {
    pub(crate) fn new(sent: bool, flow: Flow, bytes: Vec<u8>, read: Read) -> Self {
        Self { sent, transport: flow.transport, local: flow.local, remote: flow.remote, bytes, read }
    }
}

/// A line of a ladder.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at_us: u64,
    pub(crate) what: What,
    /// Why the message was refused.
    pub(crate) refused: Option<String>,
    /// When the same message passed again.
    pub(crate) again_us: Vec<u64>,
    pub(crate) repeats: u64,
}

/// What a line is about.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Message(Box<Message>),
    Event(Event),
}

impl Row {
    fn new(at_us: u64, what: What) -> Self {
        Self { at_us, what, refused: None, again_us: Vec::new(), repeats: 0 }
    }

    pub(crate) fn message(&self) -> Option<&Message> {
        match &self.what {
            What::Message(message) => Some(message),
            What::Event(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        ROW_BYTES
            + match &self.what {
                What::Message(message) => message.bytes.len() + message.read.call_id.as_ref().map_or(0, String::len),
                What::Event(event) => event.words.len(),
            }
    }
}

/// A leg that speaks SIP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Leg {
    pub(crate) call_id: String,
    pub(crate) leg: Option<LegId>,
    pub(crate) who: Option<String>,
}

/// What is kept of one call, or of one Call-ID without a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    pub(crate) call: Option<CallId>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) rows: Vec<Row>,
    pub(crate) dropped_rows: u64,
    pub(crate) last_us: u64,
    bytes: usize,
    /// Its place on its shelf.
    turn: u64,
}

impl Ladder {
    /// Its lines in order of time: two tasks tell of them.
    pub(crate) fn in_order(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.at_us);
        rows
    }
}

/// Ladders in the order of their newest line.
#[derive(Debug, Default)]
struct Shelf {
    order: BTreeMap<u64, u64>,
    bytes: usize,
}

/// What was given up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Dropped {
    /// Ladders that were too old.
    pub(crate) old: u64,
    /// Ladders for which there was no room.
    pub(crate) room: u64,
    /// Lines of ladders that were too long.
    pub(crate) rows: u64,
}

/// What a name leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    One(&'a Ladder),
    Several,
    Nothing,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Book {
    bounds: Bounds,
    ladders: HashMap<u64, Ladder>,
    by_call: HashMap<CallId, u64>,
    by_call_id: HashMap<String, u64>,
    calls: Shelf,
    strays: Shelf,
    next: u64,
    turn: u64,
    refused: VecDeque<Row>,
    pub(crate) dropped: Dropped,
}

impl Book {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ladders: HashMap::new(),
            by_call: HashMap::new(),
            by_call_id: HashMap::new(),
            calls: Shelf::default(),
            strays: Shelf::default(),
            next: 0,
            turn: 0,
            refused: VecDeque::new(),
            dropped: Dropped::default(),
        }
    }

    /// Files a message under its Call-ID; gives the call it belongs to. One without a Call-ID is nobody's.
    pub(crate) fn message(&mut self, at_us: u64, message: Message) -> Option<CallId> {
        let call_id = message.read.call_id.clone()?;
        let id = match self.by_call_id.get(&call_id) {
            Some(id) => *id,
            None => self.open(None, Some(Leg { call_id, leg: None, who: None })),
        };
        self.change(id, at_us, |ladder| match again(&mut ladder.rows, &message) {
            Some(row) => {
                row.repeats += 1;
                if row.again_us.len() < AGAIN_MAX {
                    row.again_us.push(at_us);
                }
            }
            None => ladder.rows.push(Row::new(at_us, What::Message(Box::new(message)))),
        });
        self.ladders.get(&id).and_then(|ladder| ladder.call)
    }

    /// Notes what happened in a call.
    pub(crate) fn event(&mut self, at_us: u64, call: CallId, event: Event) {
        let id = self.of_call(call);
        self.change(id, at_us, |ladder| ladder.rows.push(Row::new(at_us, What::Event(event))));
    }

    /// A Call-ID belongs to a leg of a call; what is filed under it already moves there.
    pub(crate) fn joins(&mut self, call: CallId, leg: LegId, call_id: &str, who: &str) {
        let to = self.of_call(call);
        let own = Leg { call_id: call_id.to_owned(), leg: Some(leg), who: Some(who.to_owned()) };
        let before = self.by_call_id.insert(call_id.to_owned(), to).filter(|from| *from != to);
        // A leg that another call has given away leaves there what was said there.
        let stray = before.filter(|from| self.ladders.get(from).is_some_and(|ladder| ladder.call.is_none()));
        let moved = stray.and_then(|from| self.take(from)).unwrap_or_default();
        self.change(to, moved.last_us, |ladder| {
            ladder.legs.retain(|known| known.call_id != own.call_id);
            ladder.legs.push(own);
            ladder.rows.extend(moved.rows);
            ladder.dropped_rows += moved.dropped_rows;
        });
    }

    /// A message was refused, or a connection for its own sake. Of the same sender, method and reason the newest is kept.
    pub(crate) fn refused(&mut self, at_us: u64, flow: Flow, why: &str, message: Option<&Message>) {
        let mut message = message.cloned().unwrap_or_else(|| {
            let read = Read { label: "connection".to_owned(), ..Read::default() };
            Message::new(false, flow, Vec::new(), read)
        });
        if let Some(id) = message.read.call_id.as_ref().and_then(|call_id| self.by_call_id.get(call_id))
            && let Some(rows) = self.ladders.get_mut(id).map(|ladder| &mut ladder.rows)
            && let Some(row) = again(rows, &message)
        {
            row.refused = Some(why.to_owned());
        }
        message.bytes.truncate(REFUSED_BYTES);
        let is_same = |row: &Row| {
            row.refused.as_deref() == Some(why)
                && row.message().is_some_and(|known| {
                    known.remote.ip() == message.remote.ip() && known.read.label == message.read.label
                })
        };
        let known = self.refused.iter().position(is_same).and_then(|at| self.refused.remove(at));
        let repeats = known.as_ref().map_or(0, |known| known.repeats + 1);
        let mut again_us = known.map(|known| [known.again_us, vec![known.at_us]].concat()).unwrap_or_default();
        again_us.drain(..again_us.len().saturating_sub(AGAIN_MAX));
        if self.refused.len() >= REFUSED_MAX {
            self.refused.pop_front();
        }
        let what = What::Message(Box::new(message));
        self.refused.push_back(Row { at_us, what, refused: Some(why.to_owned()), again_us, repeats });
    }

    /// Drops what is too old.
    pub(crate) fn sweep(&mut self, now_us: u64) {
        let keep_us = u64::try_from(self.bounds.keep.as_micros()).unwrap_or(u64::MAX);
        let is_old = |last_us: u64| now_us.saturating_sub(last_us) > keep_us;
        for stray in [false, true] {
            while let Some(id) =
                self.oldest(stray).filter(|id| self.ladders.get(id).is_some_and(|is| is_old(is.last_us)))
            {
                self.take(id);
                self.dropped.old += 1;
            }
        }
        self.refused.retain(|row| !is_old(row.at_us));
    }

    /// The newest first.
    pub(crate) fn newest(&self, all: bool) -> impl Iterator<Item = &Ladder> {
        let strays = self.strays.order.iter().filter(move |_| all);
        let mut turns: Vec<(&u64, &u64)> = self.calls.order.iter().chain(strays).collect();
        turns.sort_unstable_by(|a, b| b.cmp(a));
        turns.into_iter().filter_map(|(_, id)| self.ladders.get(id))
    }

    /// By the id of a call, the beginning of that, or a Call-ID.
    pub(crate) fn find(&self, name: &str) -> Found<'_> {
        let exact = name.parse().ok().and_then(|call: CallId| self.by_call.get(&call));
        if let Some(ladder) = exact.or_else(|| self.by_call_id.get(name)).and_then(|id| self.ladders.get(id)) {
            return Found::One(ladder);
        }
        let name = name.to_ascii_lowercase();
        if name.len() < PREFIX_MIN {
            return Found::Nothing;
        }
        let mut begin = self.by_call.iter().filter(|(call, _)| call.to_string().starts_with(&name));
        match (begin.next().and_then(|(_, id)| self.ladders.get(id)), begin.next()) {
            (Some(ladder), None) => Found::One(ladder),
            (Some(_), Some(_)) => Found::Several,
            (None, _) => Found::Nothing,
        }
    }

    /// The refused, oldest first.
    pub(crate) fn refused_rows(&self) -> impl Iterator<Item = &Row> {
        self.refused.iter()
    }

    /// Octets that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.calls.bytes + self.strays.bytes
    }

    fn of_call(&mut self, call: CallId) -> u64 {
        match self.by_call.get(&call) {
            Some(id) => *id,
            None => self.open(Some(call), None),
        }
    }

    fn open(&mut self, call: Option<CallId>, leg: Option<Leg>) -> u64 {
        let id = self.next;
        self.next += 1;
        if let Some(call) = call {
            self.by_call.insert(call, id);
        }
        if let Some(leg) = &leg {
            self.by_call_id.insert(leg.call_id.clone(), id);
        }
        self.ladders.insert(id, Ladder { call, legs: leg.into_iter().collect(), ..Ladder::default() });
        id
    }

    /// Changes a ladder, which makes it the newest, and keeps the bounds.
    fn change(&mut self, id: u64, at_us: u64, change: impl FnOnce(&mut Ladder)) {
        let Some(ladder) = self.ladders.get_mut(&id) else { return };
        let shelf = if ladder.call.is_some() { &mut self.calls } else { &mut self.strays };
        shelf.order.remove(&ladder.turn);
        shelf.bytes -= ladder.bytes;
        change(ladder);
        while ladder.rows.len() > self.bounds.rows {
            // How it began and how it goes on say most.
            ladder.rows.remove(self.bounds.rows / 2);
            ladder.dropped_rows += 1;
            self.dropped.rows += 1;
        }
        ladder.last_us = ladder.last_us.max(at_us);
        ladder.bytes = LADDER_BYTES
            + ladder.rows.iter().map(Row::bytes).sum::<usize>()
            + ladder.legs.iter().map(|leg| leg.call_id.len()).sum::<usize>();
        self.turn += 1;
        ladder.turn = self.turn;
        shelf.order.insert(ladder.turn, id);
        shelf.bytes += ladder.bytes;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes() > self.bounds.bytes {
            let stray = self.strays.bytes > self.bounds.bytes / 4 || self.calls.order.is_empty();
            let Some(id) = self.oldest(stray).or_else(|| self.oldest(!stray)) else { return };
            self.take(id);
            self.dropped.room += 1;
        }
    }

    fn oldest(&self, stray: bool) -> Option<u64> {
        let shelf = if stray { &self.strays } else { &self.calls };
        shelf.order.first_key_value().map(|(_, id)| *id)
    }

    fn take(&mut self, id: u64) -> Option<Ladder> {
        let ladder = self.ladders.remove(&id)?;
        let shelf = if ladder.call.is_some() { &mut self.calls } else { &mut self.strays };
        shelf.order.remove(&ladder.turn);
        shelf.bytes -= ladder.bytes;
        if let Some(call) = ladder.call {
            self.by_call.remove(&call);
        }
        for leg in &ladder.legs {
            // It may have joined another one since.
            if self.by_call_id.get(&leg.call_id) == Some(&id) {
                self.by_call_id.remove(&leg.call_id);
            }
        }
        Some(ladder)
    }
}

/// The line of the very same message by the same way, if it passed lately: then this is a retransmission.
fn again<'a>(rows: &'a mut [Row], message: &Message) -> Option<&'a mut Row> {
    rows.iter_mut().rev().take(LOOK_BACK).find(|row| row.message() == Some(message))
}

#[cfg(test)]
mod tests;
