//! What the measurements share: the frames that are spoken, and the CPU clock of a thread.

pub mod cpu;
pub mod frames;
