//! Reports about sound at a bridge: the body is `sip_tests::fuzz::media::rtcp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::media::rtcp(octets));
