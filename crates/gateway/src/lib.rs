//! The binary: sockets, threads, configuration, drivers between rooms.

mod admin_token;
pub mod app;
pub mod cli;
mod clock;
mod commands;
pub mod config;
mod customer_token;
mod demo;
mod doctor;
mod drive;
mod ladder;
mod net;
mod node;
mod number_key;
pub mod observe;
mod reload;
mod secret_file;
mod shutdown;
mod standing;
