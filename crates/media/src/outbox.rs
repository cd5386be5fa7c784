//! Packets waiting for the driver: one fixed buffer, emptied after every call into the bridge.

use crate::bridge::{PacketKind, Side};
use crate::packet::PACKET_BYTES_MAX;

/// Octets held at most: a burst of concealed frames and a few whole packets.
const BYTES: usize = 16 * 1024;
/// Packets held at most.
const PACKETS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    to: Side,
    kind: PacketKind,
    start: usize,
    end: usize,
}

/// The queue. What does not fit is refused; the caller counts it.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    next: usize,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(BYTES), entries: Vec::with_capacity(PACKETS), next: 0 }
    }

    /// Queues one packet made of some parts; false when there is no room.
    pub(crate) fn push(&mut self, to: Side, kind: PacketKind, parts: &[&[u8]]) -> bool {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let fits = length <= PACKET_BYTES_MAX && self.bytes.len() + length <= BYTES && self.entries.len() < PACKETS;
        if fits {
            let start = self.bytes.len();
            for part in parts {
                self.bytes.extend_from_slice(part);
            }
            self.entries.push(Entry { to, kind, start, end: start + length });
        }
        fits
    }

    /// The next packet; when there is none the buffer starts anew.
    pub(crate) fn pop(&mut self) -> Option<(Side, PacketKind, &[u8])> {
        let Some(entry) = self.entries.get(self.next).copied() else {
            self.entries.clear();
            self.bytes.clear();
            self.next = 0;
            return None;
        };
        self.next += 1;
        Some((entry.to, entry.kind, &self.bytes[entry.start..entry.end]))
    }

    #[cfg(test)]
    pub(crate) const fn capacity(&self) -> (usize, usize) {
        (self.bytes.capacity(), self.entries.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_in_order_and_the_buffer_never_grows() {
        let mut outbox = Outbox::new();
        let capacity = outbox.capacity();
        for round in 0..3_u8 {
            let mut taken = 0;
            while outbox.push(Side::A, PacketKind::Rtp, &[&[round, taken], b"payload"]) {
                taken += 1;
            }
            assert_eq!(usize::from(taken), PACKETS);
            for index in 0..taken {
                let (_, _, bytes) = outbox.pop().unwrap();
                assert_eq!(bytes[..2], [round, index]);
            }
            assert!(outbox.pop().is_none());
            assert_eq!(outbox.capacity(), capacity);
        }
    }

    #[test]
    fn more_octets_than_the_buffer_holds_are_refused() {
        let mut outbox = Outbox::new();
        let packet = [0; PACKET_BYTES_MAX];
        let taken = (0..PACKETS).filter(|_| outbox.push(Side::B, PacketKind::Rtcp, &[&packet])).count();
        assert_eq!(taken, BYTES / PACKET_BYTES_MAX);
        assert!(!outbox.push(Side::B, PacketKind::Rtcp, &[&packet, &[1]]), "longer than a frame");
    }
}
