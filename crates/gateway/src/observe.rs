//! What a running gateway tells: log lines and metrics.

pub(crate) mod health;
pub mod log;
pub mod metric;
