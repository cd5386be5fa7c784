//! The codec against libg722's streams, octet by octet.

use super::*;
use sha2::{Digest, Sha256};

/// libg722, `test.checksum` and `pcminb.checksum`: SHA-256 of what its own coder and decoder give.
const CODED: &str = "fc0abeb220fc66fc7d5429758dff26b56bdc9e2d64ce701a5b2489ba3a2fb877";
const CODED_AND_BACK: &str = "6f80f1635a58a9352b1a31357f6f3feea4459953df34d6d275167f4c3e8cc967";
const DECODED_NARROW: &str = "8eb29e8e9feb9709d96c7bbda37cbb2f77510fcfab2d1f48a495178cd2231253";
const DECODED_WIDE: &str = "a886f22d37ecd356e1963072bc481ed2c5dd12539428188d9779d33a520f3ff8";
const NARROW_AND_BACK: &str = "cb8edfaa7b5a85384dde8e0c9976f5247294732d6caf32c07b94510fc8844403";
const DECODED_FULL_SCALE: &str = "e70c92cd2068d112839db12bfaa787cc0ea9a809b64fbf62fd78b6041cd9fbcc";

const STREAM: &[u8] = include_bytes!("../../../data/g722/test.g722");
const FULL_SCALE: &[u8] = include_bytes!("../../../data/g722/fullscale.g722");
const SPEECH: &[u8] = include_bytes!("../../../data/g722/pcminb.dat");

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn decode(rate_hz: u32, coded: &[u8]) -> Vec<i16> {
    let mut decoder = G722Decoder::new(rate_hz);
    let mut sound = Vec::new();
    for payload in coded.chunks(160) {
        let mut out = [0; 320];
        let count = decoder.decode(payload, &mut out).unwrap();
        sound.extend_from_slice(&out[..count]);
    }
    sound
}

fn encode(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let mut coded = vec![0; samples.len()];
    let length = G722Encoder::new(rate_hz).encode(samples, &mut coded).unwrap();
    coded.truncate(length);
    coded
}

fn little_endian(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn big_endian(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()
}

#[test]
fn published_streams_decode_octet_by_octet() {
    assert_eq!(hash(&little_endian(&decode(8_000, STREAM))), DECODED_NARROW);
    assert_eq!(hash(&little_endian(&decode(16_000, STREAM))), DECODED_WIDE);
    assert_eq!(hash(&little_endian(&decode(16_000, FULL_SCALE))), DECODED_FULL_SCALE);
}

#[test]
fn published_speech_is_coded_octet_by_octet() {
    let samples: Vec<i16> = SPEECH.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    let coded = encode(16_000, &samples);
    assert_eq!(hash(&coded), CODED);
    assert_eq!(hash(&big_endian(&decode(16_000, &coded))), CODED_AND_BACK);
    assert_eq!(hash(&encode(8_000, &decode(8_000, STREAM))), NARROW_AND_BACK);
}

#[test]
fn odd_frames_and_small_buffers_are_errors() {
    let mut encoder = G722Encoder::new(16_000);
    assert_eq!(encoder.encode(&[0; 3], &mut [0; 9]), Err(CodecError::BadFrame));
    assert_eq!(encoder.encode(&[0; 320], &mut [0; 159]), Err(CodecError::BufferTooSmall));
    assert_eq!(G722Encoder::new(8_000).encode(&[0; 160], &mut [0; 159]), Err(CodecError::BufferTooSmall));
    assert_eq!(G722Decoder::new(16_000).decode(&[0; 160], &mut [0; 319]), Err(CodecError::BufferTooSmall));
}
