//! What a running gateway tells: log lines and metrics.

pub mod log;
pub mod metric;
