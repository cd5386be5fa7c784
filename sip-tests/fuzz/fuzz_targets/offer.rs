//! A browser's offer: the body is `sip_tests::fuzz::browser::offer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::browser::offer(octets));
