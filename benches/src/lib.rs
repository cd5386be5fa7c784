//! Measurements beside their floor.
