//! The binary: sockets, threads, configuration, drivers between rooms.

pub mod app;
pub mod cli;
mod clock;
mod commands;
pub mod config;
mod demo;
mod drive;
mod net;
mod node;
mod number_key;
pub mod observe;
mod shutdown;
