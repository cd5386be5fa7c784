//! What each fuzz target does with its octets. cargo-fuzz, the replay of the committed corpora and the seeded
//! mutation tests all call these same functions. A finding is a panic.

pub mod browser;
pub mod media;
pub mod mutate;
pub mod sip;
pub mod ws_json;

/// What a fuzz target runs.
pub type Target = fn(&[u8]);

/// Every target: its name is its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("sip_message", sip::message),
    ("sip_stream", sip::stream),
    ("sdp", browser::description),
    ("offer", browser::offer),
    ("stun", browser::datagram),
    ("rtp", media::rtp),
    ("rtcp", media::rtcp),
    ("ws_json", ws_json::message),
];
