//! All judges in one binary: a file a subject.

mod digest;
mod fuzz_replay;
mod interop;
mod rfc3665;
mod second_opinion;
mod sim_register;
mod sim_sip;
mod sip_mutation;
mod torture;
mod torture_endpoint;
