//! The binary: sockets, threads, configuration, drivers between rooms.

pub mod config;
pub mod observe;
