//! WebSocket JSON: the body is `sip_tests::fuzz::ws_json::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sip_tests::fuzz::ws_json::message(octets));
