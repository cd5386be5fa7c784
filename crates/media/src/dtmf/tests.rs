//! Each digit once, whatever happens to its packets.

use super::*;

struct Line {
    reader: DigitReader,
    now: Instant,
    told: Vec<(char, u32)>,
    phases: Vec<Phase>,
}

impl Line {
    fn new() -> Self {
        Self { reader: DigitReader::default(), now: crate::test_clock(), told: Vec::new(), phases: Vec::new() }
    }

    fn take(&mut self, digit: u8, end: bool, duration: u16, time: u32) {
        let payload = EventPayload { event: digit, end, volume: 10, duration }.encode();
        let reading = self.reader.read(&payload, RtpTime(time), 1, 8_000, self.now);
        self.told.extend(reading.cut_short.map(|press| (press.digit.as_char(), press.duration_ms)));
        if let Some(progress) = reading.progress {
            self.phases.push(progress.phase);
            if progress.phase == Phase::Ended {
                let press = self.reader.pressed().unwrap();
                self.told.push((press.digit.as_char(), press.duration_ms));
            }
        }
        self.now += Duration::from_millis(20);
    }
}

#[test]
fn every_key_has_its_code() {
    for (code, key) in "0123456789*#ABCD".chars().enumerate() {
        let digit = Digit::from_char(key).unwrap();
        assert_eq!(usize::from(digit.event()), code);
        assert_eq!(Digit::from_event(digit.event()), Some(digit));
        assert_eq!((digit.as_char(), digit.to_string()), (key, key.to_string()));
    }
    assert_eq!(Digit::from_char('d'), Digit::from_char('D'));
    assert_eq!((Digit::from_char('x'), Digit::from_char('é'), Digit::from_event(16)), (None, None, None));
}

#[test]
fn a_digit_is_told_once_whichever_of_its_packets_are_lost() {
    let packets = [(false, 160), (false, 320), (false, 480), (false, 640), (true, 800), (true, 800), (true, 800)];
    for kept in 1_u32..128 {
        let mut line = Line::new();
        for (index, (end, duration)) in packets.iter().enumerate() {
            if kept >> index & 1 == 1 {
                line.take(5, *end, *duration, 1_000);
            }
        }
        line.now += LOST_END;
        let now = line.now;
        line.told.extend(line.reader.handle_timeout(now).map(|press| (press.digit.as_char(), press.duration_ms)));
        assert_eq!(line.told.len(), 1, "kept {kept:07b}");
        assert_eq!(line.told[0].0, '5');
        let ended = kept >= 16;
        assert_eq!(ended, line.told[0].1 == 100, "kept {kept:07b}: {:?}", line.told);
    }
}

#[test]
fn the_same_key_pressed_twice_is_two_digits() {
    let mut line = Line::new();
    for time in [1_000, 3_000] {
        line.take(1, false, 160, time);
        line.take(1, true, 320, time);
        line.take(1, true, 320, time);
    }
    assert_eq!(line.told, [('1', 40), ('1', 40)]);
}

#[test]
fn a_new_digit_ends_one_whose_end_was_lost_and_late_copies_start_nothing() {
    let mut line = Line::new();
    line.take(1, false, 160, 1_000);
    line.take(2, false, 160, 5_000);
    line.take(1, true, 800, 1_000); // straggler
    line.take(2, true, 320, 5_000);
    line.take(2, false, 240, 5_000); // overtaken by the end
    line.take(2, true, 320, 5_000);
    assert_eq!(line.told, [('1', 20), ('2', 40)]);
    assert_eq!(line.phases, [Phase::Started, Phase::Started, Phase::Ended, Phase::EndedAgain]);
}

#[test]
fn a_key_held_for_ten_seconds_goes_on_in_new_segments() {
    let mut line = Line::new();
    let start = u32::MAX - 1_000; // and the clock wraps
    line.take(9, false, 160, start);
    line.take(9, false, u16::MAX, start);
    line.take(9, false, 160, start.wrapping_add(65_535));
    line.take(9, true, 14_465, start.wrapping_add(65_535));
    assert_eq!(line.told, [('9', 10_000)]);
    assert_eq!(line.phases.iter().filter(|phase| **phase == Phase::Started).count(), 1);
}

#[test]
fn what_is_no_digit_is_left_alone() {
    let mut line = Line::new();
    line.take(16, false, 160, 1_000); // flash
    line.take(255, true, 160, 1_000);
    assert!(line.told.is_empty() && line.phases.is_empty());
    for length in 0..4 {
        assert_eq!(EventPayload::parse(&[0; 4][..length]), None);
    }
    let reading = line.reader.read(&[1, 0x8a, 0, 160, 7, 7, 7, 7], RtpTime(1), 1, 8_000, line.now);
    assert!(reading.progress.is_some(), "octets of another event behind it do no harm");
}

#[test]
fn a_sender_that_began_a_new_timeline_is_heard_again() {
    let mut line = Line::new();
    line.take(1, true, 320, 1_000_000);
    line.take(2, true, 320, 10); // 125 s back
    assert_eq!(line.told, [('1', 40), ('2', 40)]);
}
