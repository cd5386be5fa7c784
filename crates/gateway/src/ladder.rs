//! The ladders: what was said on the wire and what was heard in a call, on one axis of time, kept for whoever asks later
//! why a call failed.
//!
//! ```text
//! SIP driver ── every message ──┐                          ┌─► Ladders ── /v1/ladders, passerelle ladder
//!                               ├─► Tap ─ bounded ─► recorder ─► Book
//! call tasks ── what they hear ─┘   try_send               └─► HEP3 collector
//! ```
//!
//! Nobody waits for the recorder: where it is behind, a note is lost and counted. It reads, masks and files in a task of
//! its own, so the SIP loop pays for one copy of a message and nothing else. A recorder that breaks ends no call.

pub(crate) mod book;
pub(crate) mod hep;
pub(crate) mod mask;
pub(crate) mod message;
mod pieces;
mod recorder;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use call::{CallId, LegId};
use sip::endpoint::{Flow, Refusal};
use tokio::sync::{mpsc, oneshot};
use web::{LadderList, LadderQuery, LadderView};

use crate::clock;
use crate::observe::metric::{self, Metric};

pub(crate) use recorder::start;
pub(crate) use view::ENDED as LADDER_ENDED;

/// Notes that may wait for the recorder.
const NOTES_MAX: usize = 8_192;
/// Octets of messages among them.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Questions that may wait.
const ASKS_MAX: usize = 16;

/// What the recorder is told.
#[derive(Debug)]
pub(crate) enum Note {
    /// A datagram, or a piece of a stream, came in.
    Received { at_us: u64, flow: Flow, bytes: Vec<u8> },
    /// A message went out.
    Sent { at_us: u64, flow: Flow, bytes: Vec<u8> },
    /// A connection is no more.
    Closed { flow: Flow },
    /// What came by this flow last was refused; or, of a connection itself, nothing was said.
    Refused { at_us: u64, flow: Flow, why: Refusal, of_message: bool },
    /// A leg of a call has this Call-ID.
    Joins { call: CallId, leg: LegId, call_id: String, who: String },
    /// Something happened in a call.
    Event { at_us: u64, call: CallId, event: Event },
}

/// Something that happened in a call, or to a leg of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Event {
    /// A stable word.
    pub(crate) code: &'static str,
    /// For a person.
    pub(crate) words: String,
    pub(crate) leg: Option<LegId>,
    /// Whose leg.
    pub(crate) who: Option<String>,
}

/// Where notes are put in. The default one keeps nothing.
#[derive(Clone, Default)]
pub(crate) struct Tap(Option<Inlet>);

#[derive(Clone)]
struct Inlet {
    notes: mpsc::Sender<Note>,
    counts: Arc<Counts>,
}

/// What both ends of the queue know.
#[derive(Debug, Default)]
struct Counts {
    /// Octets of messages among the notes that wait.
    waiting: AtomicUsize,
    /// Notes the recorder had no room for.
    lost: AtomicU64,
}

impl Tap {
    /// A datagram, or a piece of a stream.
    pub(crate) fn received(&self, flow: Flow, bytes: &[u8]) {
        self.message(bytes, |bytes| Note::Received { at_us: clock::unix_us(), flow, bytes });
    }

    /// A message of ours, whether or not it gets there.
    pub(crate) fn sent(&self, flow: Flow, bytes: &[u8]) {
        self.message(bytes, |bytes| Note::Sent { at_us: clock::unix_us(), flow, bytes });
    }

    pub(crate) fn closed(&self, flow: Flow) {
        self.note(Note::Closed { flow });
    }

    pub(crate) fn refused(&self, flow: Flow, why: Refusal, of_message: bool) {
        self.note(Note::Refused { at_us: clock::unix_us(), flow, why, of_message });
    }

    /// To be said before the leg's INVITE is ordered, so that nothing of it is filed without its call.
    pub(crate) fn joins(&self, call: CallId, leg: LegId, call_id: String, who: String) {
        self.note(Note::Joins { call, leg, call_id, who });
    }

    pub(crate) fn event(&self, call: CallId, event: Event) {
        self.event_at(clock::unix_us(), call, event);
    }

    /// The same for what is known only afterwards.
    pub(crate) fn event_at(&self, at_us: u64, call: CallId, event: Event) {
        self.note(Note::Event { at_us, call, event });
    }

    fn message(&self, bytes: &[u8], note: impl FnOnce(Vec<u8>) -> Note) {
        let Some(inlet) = &self.0 else { return };
        let waiting = &inlet.counts.waiting;
        let before = waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        if before + bytes.len() > WAITING_BYTES_MAX {
            waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            inlet.lost();
        } else if !inlet.put(note(bytes.to_vec())) {
            waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
    }

    fn note(&self, note: Note) {
        if let Some(inlet) = &self.0 {
            inlet.put(note);
        }
    }
}

impl Inlet {
    fn put(&self, note: Note) -> bool {
        let put = self.notes.try_send(note).is_ok();
        if !put {
            self.lost();
        }
        put
    }

    fn lost(&self) {
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
        metric::count(Metric::LadderNotesLost);
    }
}

/// A question to the recorder.
enum Ask {
    List { query: LadderQuery, reply: oneshot::Sender<LadderList> },
    Show { name: String, reply: oneshot::Sender<Result<LadderView, web::Refusal>> },
    Refused { reply: oneshot::Sender<LadderView> },
}

/// Where ladders are read. The default one has none.
#[derive(Clone, Default)]
pub(crate) struct Ladders(Option<mpsc::Sender<Ask>>);

impl Ladders {
    pub(crate) async fn list(&self, query: LadderQuery) -> Result<LadderList, web::Refusal> {
        self.ask(|reply| Ask::List { query, reply }).await
    }

    pub(crate) async fn show(&self, name: String) -> Result<LadderView, web::Refusal> {
        self.ask(|reply| Ask::Show { name, reply }).await?
    }

    pub(crate) async fn refused(&self) -> Result<LadderView, web::Refusal> {
        self.ask(|reply| Ask::Refused { reply }).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, web::Refusal> {
        let asks = self.0.as_ref().ok_or(web::refusal::LADDER_OFF)?;
        let (reply, answer) = oneshot::channel();
        asks.send(ask(reply)).await.map_err(|_| web::refusal::BUG)?;
        answer.await.map_err(|_| web::refusal::BUG)
    }
}

#[cfg(test)]
mod tests;
