//! The judge: virtual network, real peers, tone identity.

pub mod baresip;
pub mod clock;
pub mod crowd;
pub mod data;
pub mod detour;
pub mod dns;
pub mod fuzz;
pub mod gateway;
pub mod kamailio;
pub mod net;
pub mod page;
pub mod process;
pub mod receiver;
pub mod redis;
pub mod relay;
pub mod rtp_peer;
pub mod sipp;
pub mod tone;
pub mod visitor;
