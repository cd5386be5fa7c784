//! libopus as `audiopus` expects it: the bindings of `opusic-sys`, which builds libopus 1.6 from its own source.
#![no_std]
pub use opusic_sys::*;
