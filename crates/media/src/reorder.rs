//! The reorder window of the decoded path.
//!
//! A packet that shows a gap of one or two is held back for [`HOLD`] in case the missing one is just behind it, as
//! happens when a network path changes and packets arrive in a bunch. Then the gap is concealed and sound goes on. The
//! price is 10 ms of jitter at each loss and nothing at any other time; waiting longer would cost more than a concealed
//! frame is worth, since the far end has a jitter buffer of its own. Wider gaps are real loss and wait for nothing.

use crate::packet::{PACKET_BYTES_MAX, SeqNo};
use std::time::{Duration, Instant};

/// How long a packet waits for an earlier one.
pub(crate) const HOLD: Duration = Duration::from_millis(10);

/// Packets held at most.
const SLOTS: usize = 3;

/// The widest gap worth waiting for, in packets.
const GAP_MAX: u16 = 2;

#[derive(Debug)]
struct Slot {
    seq: SeqNo,
    bytes: Vec<u8>,
}

/// Where a packet stands in the order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Its turn, after this many that did not come.
    Turn {
        /// Packets missing before it.
        missing: u16,
    },
    /// Held back.
    Held,
    /// Its turn is over.
    Late,
}

/// Which held packets may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    /// Those whose turn it is.
    Turn,
    /// Those before this one.
    Before(SeqNo),
    /// All: the wait is over.
    All,
}

/// The window.
#[derive(Debug)]
pub(crate) struct Reorder {
    next: Option<SeqNo>,
    slots: [Slot; SLOTS],
    deadline: Option<Instant>,
}

impl Reorder {
    pub(crate) fn new() -> Self {
        let slot = || Slot { seq: SeqNo(0), bytes: Vec::with_capacity(PACKET_BYTES_MAX) };
        Self { next: None, slots: [slot(), slot(), slot()], deadline: None }
    }

    /// Begins anew with whatever comes next.
    pub(crate) fn reset(&mut self) {
        self.next = None;
        self.deadline = None;
        self.slots.iter_mut().for_each(|slot| slot.bytes.clear());
    }

    /// Places a packet; one that must wait is copied in. With `Turn { missing: 1.. }` held packets
    /// before it must be taken first.
    pub(crate) fn place(&mut self, seq: SeqNo, packet: &[u8], now: Instant) -> Place {
        let Some(next) = self.next else { return Place::Turn { missing: 0 } };
        let step = seq.since(next);
        if step < 0 {
            return Place::Late;
        }
        let missing = step.unsigned_abs();
        if missing == 0 {
            return Place::Turn { missing };
        }
        let free = self.slots.iter_mut().find(|slot| slot.bytes.is_empty());
        match free {
            Some(slot) if missing <= GAP_MAX + SLOTS as u16 && self.deadline.is_some() || missing <= GAP_MAX => {
                slot.seq = seq;
                slot.bytes.extend_from_slice(packet);
                self.deadline.get_or_insert(now + HOLD);
                Place::Held
            }
            Some(_) | None => Place::Turn { missing },
        }
    }

    /// A packet had its turn.
    pub(crate) const fn passed(&mut self, seq: SeqNo) {
        self.next = Some(seq.next());
    }

    /// How many packets are missing before this one.
    pub(crate) fn missing_before(&self, seq: SeqNo) -> u16 {
        self.next.map_or(0, |next| seq.since(next).max(0).unsigned_abs())
    }

    /// Takes out the earliest held packet if it is within `limit`. Its buffer must be given back.
    pub(crate) fn take(&mut self, limit: Limit) -> Option<Vec<u8>> {
        let next = self.next?;
        let held = self.slots.iter_mut().filter(|slot| !slot.bytes.is_empty());
        let earliest = held.min_by_key(|slot| slot.seq.since(next))?;
        let taken = match limit {
            Limit::Turn => earliest.seq.since(next) <= 0,
            Limit::Before(seq) => earliest.seq.since(seq) < 0,
            Limit::All => true,
        };
        // An empty Vec in place of the taken one costs nothing.
        taken.then(|| std::mem::take(&mut earliest.bytes))
    }

    /// Puts a taken buffer back.
    pub(crate) fn give_back(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.bytes.capacity() == 0) {
            slot.bytes = bytes;
        }
        if self.slots.iter().all(|slot| slot.bytes.is_empty()) {
            self.deadline = None;
        }
    }

    /// When held packets go on whatever is missing.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
