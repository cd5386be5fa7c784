//! The tables against published ones, for every code and every sample.

use super::*;

const LINEAR_TO_MU: &[u8; 65_536] = include_bytes!("../../../data/g711/ulaw_encode.bin");
const LINEAR_TO_A: &[u8; 65_536] = include_bytes!("../../../data/g711/alaw_encode.bin");

fn published(bytes: &[u8; 512]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn every_code_has_the_published_value() {
    assert_eq!(MU_TO_LINEAR.to_vec(), published(include_bytes!("../../../data/g711/ulaw_decode.bin")));
    assert_eq!(A_TO_LINEAR.to_vec(), published(include_bytes!("../../../data/g711/alaw_decode.bin")));
}

#[test]
fn every_sample_has_the_published_code() {
    for (sample, (mu, a)) in (i16::MIN..=i16::MAX).zip(LINEAR_TO_MU.iter().zip(LINEAR_TO_A)) {
        assert_eq!(mu_from_linear(sample), *mu, "µ-law of {sample}");
        assert_eq!(a_from_linear(sample), *a, "A-law of {sample}");
    }
}

#[test]
fn a_code_survives_decoding_and_coding() {
    for code in 0..=255_u8 {
        let mu = mu_from_linear(MU_TO_LINEAR[usize::from(code)]);
        // 0x7f is the negative zero, 0xff the positive one.
        assert!(mu == code || (mu, code) == (0xff, 0x7f), "{code:02x} became {mu:02x}");
        assert_eq!(a_from_linear(A_TO_LINEAR[usize::from(code)]), code);
    }
}

#[test]
fn a_buffer_too_small_is_an_error() {
    let mut encoder = G711Encoder::new(Law::A);
    assert_eq!(encoder.encode(&[0; 160], &mut [0; 159]), Err(CodecError::BufferTooSmall));
    let mut decoder = G711Decoder::new(Law::Mu);
    assert_eq!(decoder.decode(&[0; 160], &mut [0; 159]), Err(CodecError::BufferTooSmall));
    assert_eq!(decoder.decode(&[], &mut []), Ok(0));
}
