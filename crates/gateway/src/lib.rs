//! The binary: sockets, threads, configuration, drivers between rooms.

pub mod app;
mod clock;
pub mod config;
mod demo;
mod drive;
mod net;
pub mod observe;
mod shutdown;
