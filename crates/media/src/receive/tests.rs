//! Streams that wrap, lose, double, jump and change hands.

use super::*;
use crate::packet::RtpHeader;

struct Line {
    receiver: Receiver,
    start: Instant,
}

impl Line {
    fn new() -> Self {
        let start = crate::test_clock();
        Self { receiver: Receiver::new(start), start }
    }

    fn take(&mut self, ssrc: u32, seq: u16, at_ms: u64) -> Result<Accepted, PacketError> {
        let time = RtpTime((at_ms as u32).wrapping_mul(8).wrapping_add(u32::MAX - 800));
        let header = RtpHeader { marker: false, payload_type: 0, seq: SeqNo(seq), time, ssrc: Ssrc(ssrc) };
        let bytes = [&header.encode(false)[..], &[0; 160]].concat();
        let view = RtpView::parse(&bytes).map_err(PacketError::Header)?;
        self.receiver.accept(&view, 8_000, true, self.start + Duration::from_millis(at_ms))
    }
}

#[test]
fn loss_is_counted_across_the_wrap() {
    for first in [0_u16, 1, 32_767, 32_768, 65_400, 65_535] {
        let mut line = Line::new();
        for step in 0..200_u16 {
            if step % 10 != 5 {
                line.take(1, first.wrapping_add(step), u64::from(step) * 20).unwrap();
            }
        }
        let stats = line.receiver.stats();
        assert_eq!((stats.packets, stats.lost, stats.duplicate, stats.late), (180, 20, 0, 0), "from {first}");
        assert!(stats.jitter_ms < 0.1, "{}", stats.jitter_ms);
        let report = line.receiver.report().unwrap();
        assert_eq!(report.lost, 20);
        assert_eq!(report.fraction_lost, (20 * 256 / 200) as u8);
        assert_eq!(line.receiver.report().unwrap().fraction_lost, 0, "nothing new since");
    }
}

#[test]
fn copies_are_dropped_and_late_ones_have_their_place() {
    let mut line = Line::new();
    line.take(1, 10, 0).unwrap();
    line.take(1, 12, 40).unwrap();
    assert_eq!(line.take(1, 12, 40), Err(PacketError::Duplicate));
    assert!(line.take(1, 11, 41).unwrap().older);
    assert_eq!(line.take(1, 11, 41), Err(PacketError::Duplicate));
    let stats = line.receiver.stats();
    assert_eq!((stats.packets, stats.lost, stats.duplicate), (3, 0, 2));
}

#[test]
fn a_jump_is_a_restart_once_a_second_packet_confirms_it() {
    let mut line = Line::new();
    let before = line.take(1, 10, 0).unwrap().generation;
    assert_eq!(line.take(1, 30_000, 20), Err(PacketError::Late));
    let after = line.take(1, 30_001, 40).unwrap().generation;
    assert_ne!(before, after);
    // After a silence it is believed at once.
    let resumed = line.take(1, 5, 400).unwrap().generation;
    assert_ne!(after, resumed);
    assert_eq!(line.receiver.stats().lost, 1, "only the packet that was not believed");
}

#[test]
fn another_sender_takes_over_with_two_packets_or_after_a_silence() {
    let mut line = Line::new();
    let first = line.take(1, 10, 0).unwrap().generation;
    assert_eq!(line.take(2, 500, 10), Err(PacketError::ForeignSsrc));
    let second = line.take(2, 501, 20).unwrap().generation;
    assert_ne!(first, second);
    // Early media of the old one straggles in: not a switch back.
    assert_eq!(line.take(1, 11, 25), Err(PacketError::ForeignSsrc));
    line.take(2, 502, 40).unwrap();
    assert_ne!(line.take(3, 9, 500).unwrap().generation, second, "after a silence at once");
}

#[test]
fn a_flood_of_senders_does_not_disturb_the_one_in_use() {
    let mut line = Line::new();
    let mut taken = 0;
    for step in 0..2_000_u32 {
        let at_ms = u64::from(step) * 20;
        taken += u32::from(line.take(1, step as u16, at_ms).is_ok());
        for stranger in 0..20 {
            assert!(line.take(1_000 + step * 20 + stranger, 7, at_ms + 1).is_err());
        }
    }
    assert_eq!(taken, 2_000);
    assert_eq!(line.receiver.stats().lost, 0);
    assert_eq!(size_of_val(&line.receiver.streams), size_of::<[Option<Stream>; 4]>(), "four, whatever comes");
}

#[test]
fn jitter_is_seen() {
    let mut line = Line::new();
    for step in 0..500_u64 {
        let late = if step % 2 == 0 { 10 } else { 0 };
        let time = RtpTime((step * 160) as u32);
        let header = RtpHeader { marker: false, payload_type: 0, seq: SeqNo(step as u16), time, ssrc: Ssrc(1) };
        let bytes = header.encode(false);
        let view = RtpView::parse(&bytes).unwrap();
        line.receiver.accept(&view, 8_000, true, line.start + Duration::from_millis(step * 20 + late)).unwrap();
    }
    let jitter = line.receiver.stats().jitter_ms;
    assert!((9.0..11.0).contains(&jitter), "{jitter}");
}
