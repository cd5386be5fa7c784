//! Packet times a codec can carry; numbers close up round what is used here and not passed on.

use super::*;
use crate::bridge::Side;

#[test]
fn a_packet_time_is_brought_to_what_the_codec_can_carry() {
    for (codec, wished, sent) in [
        (CodecKind::Opus, 5, 10),
        (CodecKind::Opus, 20, 20),
        (CodecKind::Opus, 30, 20),
        (CodecKind::Opus, 120, 60),
        (CodecKind::Pcmu, 0, 10),
        (CodecKind::Pcma, 30, 30),
        (CodecKind::G722, 255, 60),
    ] {
        assert_eq!(frame_ms(codec, wished), sent, "{codec} {wished}");
    }
}

struct Line {
    egress: Egress,
    outbox: Outbox,
    now: Instant,
}

impl Line {
    fn new() -> Self {
        let mut egress = Egress::new(Side::A, 65_530, u32::MAX - 500);
        egress.set_plan(&LegPlan::simple(CodecKind::Pcmu, 0, Ssrc(1)));
        egress.prepare(8_000);
        Self { egress, outbox: Outbox::new(), now: crate::test_clock() }
    }

    fn relay(&mut self, seq: u16, time: u32) -> Option<(u16, u32)> {
        let header = RtpHeader { marker: false, payload_type: 0, seq: SeqNo(seq), time: RtpTime(time), ssrc: Ssrc(9) };
        let bytes = [&header.encode(false)[..], &[0xff; 160]].concat();
        let origin = Origin { from: Side::B, generation: 1, break_count: 0 };
        let view = RtpView::parse(&bytes).unwrap();
        self.egress.relay(&view, 160, origin, false, self.now, &mut self.outbox);
        self.sent()
    }

    fn sent(&mut self) -> Option<(u16, u32)> {
        let sent = self.outbox.pop().map(|(_, _, bytes)| {
            let view = RtpView::parse(bytes).unwrap();
            (view.seq.0, view.time.0)
        });
        assert!(self.outbox.pop().is_none());
        sent
    }
}

#[test]
fn a_packet_used_here_leaves_no_hole_and_a_lost_one_does() {
    let mut line = Line::new();
    let origin = Origin { from: Side::B, generation: 1, break_count: 0 };
    let first = line.relay(100, 5_000).unwrap();
    line.egress.consumed(SeqNo(101), origin);
    line.egress.consumed(SeqNo(101), origin); // a copy counts once
    assert_eq!(line.relay(102, 5_160), Some((first.0.wrapping_add(1), first.1.wrapping_add(160))));
    assert_eq!(line.relay(104, 5_480), Some((first.0.wrapping_add(3), first.1.wrapping_add(480))), "103 was lost");
    assert_eq!(line.relay(103, 5_320), Some((first.0.wrapping_add(2), first.1.wrapping_add(320))), "and came late");
    assert_eq!(line.relay(100, 5_000), None, "before what was used: no place left");
}

#[test]
fn time_that_goes_by_between_two_feeds_is_in_the_timestamps() {
    let mut line = Line::new();
    let first = line.relay(100, 5_000).unwrap();
    line.now += Duration::from_secs(3);
    let position = line.egress.position(line.now);
    assert_eq!(position.since(RtpTime(first.1)), 24_000);
    // Within the frame just sent it does not run back.
    let mut line = Line::new();
    let first = line.relay(100, 5_000).unwrap();
    line.now += Duration::from_millis(3);
    assert_eq!(line.egress.position(line.now).since(RtpTime(first.1)), 160);
}
