//! Packets of sound at a bridge: the body is `sip_tests::fuzz::media::rtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::media::rtp(octets));
