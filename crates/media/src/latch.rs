//! Where the packets of a plain RTP leg may come from: the signalled address, or one address learnt early.
//!
//! A stranger who sprays RTP at our ports must neither be heard nor receive the call (RTP bleed, RTP inject:
//! CVE-2025-53399, AST-2017-005). A phone behind NAT, on the other hand, sends from a port its SDP does not name.
//! So: where the address of the SDP speaks first, it is the one; another port is learnt once, before that, and only
//! from the IP address of the SDP or of the leg's own signalling; then the source is strict. When SDP moves
//! the address, packets of the old one are still on their way (RFC 3264 §8.3.1): they are heard until the new address
//! speaks, and never learnt.

use std::net::{IpAddr, SocketAddr};

/// The source check of one leg.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    also: Option<IpAddr>,
    learnt: Option<SocketAddr>,
    /// The source before SDP moved it, until the new one is heard.
    former: Option<SocketAddr>,
    /// The address to hear has been heard: no other is learnt.
    spoken: bool,
    refused: u64,
}

impl Latch {
    /// Nothing is allowed before [`Latch::signalled`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What SDP said. `also` is the address the leg's signalling comes from. After a changed address another source may be learnt anew.
    pub fn signalled(&mut self, remote: Option<SocketAddr>, also: Option<IpAddr>) {
        self.also = also;
        if remote.is_some() && remote != self.signalled {
            self.former = self.remote().filter(|former| Some(*former) != remote);
            self.signalled = remote;
            self.learnt = None;
            self.spoken = false;
        }
    }

    /// Where to send.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.learnt.or(self.signalled)
    }

    /// Would an RTP packet from `source` be heard? Learns nothing: for a packet that still has to prove itself.
    #[must_use]
    pub fn may_allow(&self, source: SocketAddr) -> bool {
        let Some(signalled) = self.signalled else { return false };
        let own_host = source.ip() == signalled.ip() || self.also == Some(source.ip());
        self.learnt.unwrap_or(signalled) == source
            || self.former == Some(source)
            || (self.learnt.is_none() && own_host && !self.spoken)
    }

    /// May an RTP packet from `source` be heard? Learns, once.
    pub fn allows(&mut self, source: SocketAddr) -> bool {
        let Some(signalled) = self.signalled else {
            self.refused += 1;
            return false;
        };
        let known = match self.learnt {
            Some(learnt) => source == learnt,
            None => source == signalled,
        };
        if known {
            self.former = None;
            self.spoken = true;
            return true;
        }
        if self.former == Some(source) {
            return true;
        }
        if self.may_allow(source) {
            self.learnt = Some(source);
            self.former = None;
            self.spoken = true;
            return true;
        }
        self.refused += 1;
        false
    }

    /// May an RTCP packet from `source` be heard? Its port is not the RTP one, so the host decides.
    #[must_use]
    pub fn allows_rtcp(&self, source: SocketAddr) -> bool {
        self.remote().is_some_and(|remote| remote.ip() == source.ip()) || self.also == Some(source.ip())
    }

    /// Packets of strangers so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_heard_before_the_sdp() {
        assert!(!Latch::new().allows(at("192.0.2.1:4000")));
    }

    #[test]
    fn a_stranger_is_never_heard_and_never_answered() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("192.0.2.1:4000")), None);
        for port in 1..200 {
            assert!(!latch.allows(SocketAddr::new("198.51.100.9".parse().unwrap(), port)));
        }
        assert_eq!(latch.remote(), Some(at("192.0.2.1:4000")));
        assert!(latch.allows(at("192.0.2.1:4000")));
        assert_eq!(latch.refused(), 199);
    }

    #[test]
    fn a_phone_behind_nat_is_learnt_once_then_strict() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("10.0.0.5:4000")), Some("203.0.113.9".parse().unwrap()));
        assert!(latch.allows(at("203.0.113.9:61000")));
        assert_eq!(latch.remote(), Some(at("203.0.113.9:61000")));
        assert!(!latch.allows(at("203.0.113.9:61002")), "the second address is a stranger");
        assert!(!latch.allows(at("10.0.0.5:4000")), "strict after learning");
    }

    #[test]
    fn where_the_signalled_address_speaks_no_other_is_learnt() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("192.0.2.1:4000")), None);
        assert!(latch.allows(at("192.0.2.1:4000")));
        assert!(!latch.allows(at("192.0.2.1:4002")));
        assert_eq!(latch.remote(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn a_new_address_in_a_re_invite_opens_it_again() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("192.0.2.1:4000")), None);
        assert!(latch.allows(at("192.0.2.1:4000")));
        latch.signalled(Some(at("192.0.2.7:5000")), None);
        assert_eq!(latch.remote(), Some(at("192.0.2.7:5000")));
        assert!(latch.allows(at("192.0.2.7:5000")));
        assert!(!latch.allows(at("192.0.2.1:4000")), "the old one is over once the new one speaks");
    }

    #[test]
    fn packets_still_on_their_way_from_the_old_port_are_heard_and_not_learnt() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("192.0.2.1:4000")), None);
        assert!(latch.allows(at("192.0.2.1:4000")));
        latch.signalled(Some(at("192.0.2.1:4010")), None);
        for _ in 0..50 {
            assert!(latch.allows(at("192.0.2.1:4000")), "RFC 3264 §8.3.1: it sends from there until it has our answer");
            assert_eq!(latch.remote(), Some(at("192.0.2.1:4010")));
        }
        assert!(latch.allows(at("192.0.2.1:4010")));
        assert!(!latch.allows(at("192.0.2.1:4000")));
        assert_eq!(latch.refused(), 1);
    }

    #[test]
    fn a_phone_behind_nat_that_moves_is_learnt_anew() {
        let mut latch = Latch::new();
        let nat = Some("203.0.113.9".parse().unwrap());
        latch.signalled(Some(at("10.0.0.5:4000")), nat);
        assert!(latch.allows(at("203.0.113.9:61000")));
        latch.signalled(Some(at("10.0.0.5:4010")), nat);
        assert!(latch.allows(at("203.0.113.9:61000")), "the old mapping, still on its way");
        assert!(latch.allows(at("203.0.113.9:61010")));
        assert_eq!(latch.remote(), Some(at("203.0.113.9:61010")));
        assert!(!latch.allows(at("203.0.113.9:61000")));
    }

    #[test]
    fn hold_without_an_address_keeps_the_old_one() {
        let mut latch = Latch::new();
        latch.signalled(Some(at("192.0.2.1:4000")), None);
        latch.signalled(None, None);
        assert_eq!(latch.remote(), Some(at("192.0.2.1:4000")));
    }
}
