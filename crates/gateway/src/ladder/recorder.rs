//! The recorder: the task that reads the notes, files them, hands messages to the collector, and answers questions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sip::endpoint::{Flow, Refusal, Transport};
use tokio::sync::mpsc;
use tracing::error;

use super::book::{Book, Bounds, Dropped, Found, Message};
use super::hep::{Hep, Packet};
use super::pieces::Pieces;
use super::{ASKS_MAX, Ask, Counts, Inlet, Ladders, NOTES_MAX, Note, Tap, mask, message, view};
use crate::clock;
use crate::config::checked;
use crate::net::addresses;
use crate::observe::metric::{self, Metric};

/// How often what is too old is looked for, and the gauges are set.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Addresses of ours that are remembered, by the peer they face.
const FACING_MAX: usize = 1_024;

/// Starts the recorder, unless nothing is to be kept.
pub(crate) fn start(config: &checked::Ladder) -> (Tap, Ladders) {
    if config.bytes == 0 {
        return (Tap::default(), Ladders::default());
    }
    let (notes_in, notes) = mpsc::channel(NOTES_MAX);
    let (asks_in, asks) = mpsc::channel(ASKS_MAX);
    let counts = Arc::new(Counts::default());
    let bounds = Bounds { bytes: config.bytes, keep: config.keep, rows: config.rows };
    let recorder = Recorder {
        book: Book::new(bounds),
        pieces: Pieces::default(),
        hep: config.hep.as_ref().map(Hep::start),
        counts: Arc::clone(&counts),
        facing: HashMap::new(),
        last: None,
    };
    let task = tokio::spawn(recorder.run(notes, asks));
    tokio::spawn(async move {
        // Calls go on without it.
        if let Err(failure) = task.await
            && failure.is_panic()
        {
            metric::count(Metric::Panics);
            error!(%failure, "a panic in the recorder of the ladders; none are kept any more, please report it");
        }
    });
    (Tap(Some(Inlet { notes: notes_in, counts })), Ladders(Some(asks_in)))
}

struct Recorder {
    book: Book,
    pieces: Pieces,
    hep: Option<Hep>,
    counts: Arc<Counts>,
    /// Which of our addresses faces a peer, for sockets that listen on all.
    facing: HashMap<IpAddr, IpAddr>,
    /// What came in last: a refusal that follows is about it.
    last: Option<(Flow, Message)>,
}

impl Recorder {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>, mut asks: mpsc::Receiver<Ask>) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let before = self.book.dropped;
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.note(note),
                    // Driver and calls are gone.
                    None => return,
                },
                Some(ask) = asks.recv() => self.answer(ask),
                _ = sweep.tick() => self.sweep(),
            }
            self.count_dropped(before);
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Received { at_us, flow, bytes } => {
                self.counts.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.received(at_us, flow, bytes);
            }
            Note::Sent { at_us, flow, bytes } => {
                self.counts.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                if !is_keep_alive(&bytes) {
                    self.file(at_us, flow, true, &bytes);
                }
            }
            Note::Closed { flow } => self.pieces.forget(flow),
            Note::Refused { at_us, flow, why, of_message } => self.refused(at_us, flow, why, of_message),
            Note::Joins { call, leg, call_id, who } => self.book.joins(call, leg, &call_id, &who),
            Note::Event { at_us, call, event } => self.book.event(at_us, call, event),
        }
    }

    fn received(&mut self, at_us: u64, flow: Flow, bytes: Vec<u8>) {
        if is_keep_alive(&bytes) {
            return;
        }
        let whole = match flow.transport {
            Transport::Udp => vec![bytes],
            Transport::Tcp | Transport::Tls => {
                let whole = self.pieces.push(flow, &bytes);
                // A piece that cannot be read may be refused for it.
                self.last = Some((flow, self.read(flow, false, &bytes)));
                whole
            }
        };
        for bytes in whole {
            let message = self.file(at_us, flow, false, &bytes);
            self.last = Some((flow, message));
        }
    }

    fn read(&mut self, mut flow: Flow, sent: bool, bytes: &[u8]) -> Message {
        flow.local = self.local(flow);
        let bytes = mask::masked(bytes);
        let read = message::read(&bytes);
        Message::new(sent, flow, bytes, read)
    }

    fn file(&mut self, at_us: u64, flow: Flow, sent: bool, bytes: &[u8]) -> Message {
        let message = self.read(flow, sent, bytes);
        let call = self.book.message(at_us, message.clone());
        if let Some(hep) = &self.hep {
            let (source, destination) =
                if sent { (message.local, message.remote) } else { (message.remote, message.local) };
            let call = call.map(|call| call.to_string());
            let correlation = call.as_deref().or(message.read.call_id.as_deref());
            let (transport, payload) = (message.transport, message.bytes.as_slice());
            hep.send(&Packet { at_us, transport, source, destination, payload, correlation });
        }
        message
    }

    /// Our address on this flow, also where the socket listens on all of them.
    fn local(&mut self, flow: Flow) -> SocketAddr {
        if !flow.local.ip().is_unspecified() {
            return flow.local;
        }
        if self.facing.len() >= FACING_MAX {
            self.facing.clear();
        }
        let ours = self.facing.entry(flow.remote.ip()).or_insert_with(|| addresses::local_towards(flow.remote));
        SocketAddr::new(*ours, flow.local.port())
    }

    fn refused(&mut self, at_us: u64, flow: Flow, why: Refusal, of_message: bool) {
        let message = self.last.as_ref().filter(|(last, _)| of_message && *last == flow).map(|(_, message)| message);
        // Every phone's first REGISTER is challenged: that is no news.
        let is_usual = why == Refusal::Unauthenticated
            && message.is_some_and(|message| message.read.label == "REGISTER" && !has_credentials(&message.bytes));
        if !is_usual {
            let flow = Flow { local: self.local(flow), ..flow };
            let message = self.last.as_ref().filter(|_| of_message).map(|(_, message)| message);
            let message =
                message.filter(|message| message.remote == flow.remote && message.transport == flow.transport);
            self.book.refused(at_us, flow, &words(why), message);
        }
    }

    fn answer(&self, ask: Ask) {
        match ask {
            Ask::List { query, reply } => {
                let _asker_gone = reply.send(view::list(&self.book, query, self.counts.lost.load(Ordering::Relaxed)));
            }
            Ask::Show { name, reply } => {
                let found = match self.book.find(&name) {
                    Found::One(ladder) => Ok(view::ladder(ladder)),
                    Found::Several => Err(web::refusal::LADDER_AMBIGUOUS),
                    Found::Nothing => Err(web::refusal::LADDER_UNKNOWN),
                };
                let _asker_gone = reply.send(found);
            }
            Ask::Refused { reply } => {
                let _asker_gone = reply.send(view::refused(&self.book));
            }
        }
    }

    fn sweep(&mut self) {
        self.book.sweep(clock::unix_us());
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metric::gauge_set(Metric::LadderBytes, self.book.bytes() as f64);
    }

    /// Counts what was given up since.
    fn count_dropped(&self, before: Dropped) {
        let Dropped { old, room, rows } = self.book.dropped;
        for (why, dropped) in [("age", old - before.old), ("room", room - before.room), ("length", rows - before.rows)]
        {
            for _ in 0..dropped {
                metric::count_with(Metric::LadderDropped, why);
            }
        }
    }
}

/// Nothing but line breaks (RFC 5626 §4.4.1), or the zeros some phones send.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

fn has_credentials(message: &[u8]) -> bool {
    message.split(|octet| *octet == b'\n').any(|line| {
        let name: Vec<u8> = line.iter().take_while(|octet| **octet != b':').map(u8::to_ascii_lowercase).collect();
        matches!(name.trim_ascii_end(), b"authorization" | b"proxy-authorization")
    })
}

/// As `passerelle_sip_refused_total` has it, and what exactly.
fn words(why: Refusal) -> String {
    if let Refusal::Malformed(reason) = why {
        format!("{}: {}", why.code(), reason.as_str())
    } else if let Refusal::NotAcceptable(status) = why {
        format!("{}: {status}", why.code())
    } else {
        why.code().to_owned()
    }
}
