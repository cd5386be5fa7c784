//! The judge: virtual network, real peers, tone identity.
