//! The judge: virtual network, real peers, tone identity.

pub mod data;
pub mod fuzz;
