//! A datagram on the media port: the body is `sip_tests::fuzz::browser::datagram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::browser::datagram(octets));
