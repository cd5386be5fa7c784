//! A session description of a SIP leg: the body is `sip_tests::fuzz::browser::description`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::browser::description(octets));
