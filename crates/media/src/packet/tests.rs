//! The header view on good, odd and hostile packets; wrap-around tables.

use super::*;

const WRAP_POINTS: [u16; 9] = [0, 1, 127, 128, 32_767, 32_768, 32_769, 65_534, 65_535];

#[test]
fn sequence_distance_holds_across_the_wrap() {
    for start in WRAP_POINTS {
        for step in [0, 1, 2, 100, 32_767] {
            let later = SeqNo(start).plus(step);
            assert_eq!(i32::from(later.since(SeqNo(start))), i32::from(step), "{start}+{step}");
            if step < 32_767 {
                assert_eq!(i32::from(SeqNo(start).since(later)), -i32::from(step));
            }
        }
    }
}

#[test]
fn timestamp_distance_holds_across_the_wrap() {
    for start in [0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
        assert_eq!(RtpTime(start).plus(960).since(RtpTime(start)), 960);
        assert_eq!(RtpTime(start).since(RtpTime(start).plus(960)), -960);
    }
}

#[test]
fn a_header_is_read_as_it_was_written() {
    let header = RtpHeader {
        marker: true,
        payload_type: 111,
        seq: SeqNo(65_535),
        time: RtpTime(0xffff_fff0),
        ssrc: Ssrc(0xdead_beef),
    };
    let mut bytes = header.encode(false).to_vec();
    bytes.extend_from_slice(b"sound");
    let view = RtpView::parse(&bytes).unwrap();
    assert!(view.marker);
    assert_eq!(view.payload_type, 111);
    assert_eq!((view.seq, view.time, view.ssrc), (header.seq, header.time, header.ssrc));
    assert_eq!(view.payload, b"sound");
    assert!(view.extension.is_empty());
}

#[test]
fn csrc_extension_and_padding_are_taken_off() {
    let mut bytes = vec![0x80 | 0x20 | 0x10 | 2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend_from_slice(&[9; 8]); // two CSRC
    bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // one extension word
    bytes.extend_from_slice(b"abc");
    bytes.extend_from_slice(&[0, 0, 3]);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.payload, b"abc");
    assert_eq!(view.extension, [0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
}

#[test]
fn bytes_that_are_no_rtp_are_told_apart() {
    let good = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    assert_eq!(RtpView::parse(&[]), Err(HeaderError::TooShort));
    assert_eq!(RtpView::parse(&good[..11]), Err(HeaderError::TooShort));
    assert_eq!(RtpView::parse(&[0x40; 12]), Err(HeaderError::Version));
    assert_eq!(RtpView::parse(&[0x81; 12]), Err(HeaderError::TooShort), "CSRC missing");
    let mut extended = good.to_vec();
    extended[0] |= 0x10;
    assert_eq!(RtpView::parse(&extended), Err(HeaderError::TooShort), "extension missing");
    extended.extend_from_slice(&[0, 0, 0xff, 0xff]);
    assert_eq!(RtpView::parse(&extended), Err(HeaderError::TooShort), "extension cut");
    let mut padded = good.to_vec();
    padded[0] |= 0x20;
    assert_eq!(RtpView::parse(&padded), Err(HeaderError::Padding), "nothing to count");
    padded.extend_from_slice(&[1, 2, 4]);
    assert_eq!(RtpView::parse(&padded), Err(HeaderError::Padding), "count beyond the payload");
    assert_eq!(RtpView::parse(&[0x80; PACKET_BYTES_MAX + 1]), Err(HeaderError::TooLong));
}
