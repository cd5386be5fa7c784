//! Sockets: RTP ports and their draining, interface addresses, SIP transports.

pub(crate) mod addresses;
pub(crate) mod dual;
pub(crate) mod ports;
pub(crate) mod tls;
