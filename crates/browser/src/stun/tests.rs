//! RFC 5769 and hostile STUN.
