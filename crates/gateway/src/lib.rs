//! The binary: sockets, threads, configuration, drivers between rooms.

pub mod app;
pub mod cli;
mod clock;
mod commands;
pub mod config;
mod demo;
mod drive;
mod net;
pub mod observe;
mod shutdown;
