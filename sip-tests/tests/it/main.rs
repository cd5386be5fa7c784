//! All judges in one binary: a file a subject.

mod digest;
mod fuzz_replay;
mod rfc3665;
mod second_opinion;
mod sip_mutation;
mod torture;
