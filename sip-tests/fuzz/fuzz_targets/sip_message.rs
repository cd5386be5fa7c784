//! SIP message: the body is `sip_tests::fuzz::sip::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::sip::message(octets));
