//! All judges in one binary: a file a subject.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "in a test an unwrap is an assertion, and a skipped test is never silent"
)]
#![expect(clippy::print_stdout, reason = "seeds and figures are shown with --show-output")]

mod digest;
mod fuzz_replay;
mod interop;
mod rfc3665;
mod second_opinion;
mod sim_defence;
mod sim_glare;
mod sim_orphan;
mod sim_register;
mod sim_session;
mod sim_sip;
mod sip_mutation;
mod tidy;
mod torture;
mod torture_endpoint;
