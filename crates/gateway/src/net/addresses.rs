//! The machine's own addresses: what a browser is offered as ICE candidates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Host candidates for a socket bound to `bound`: the advertised address alone when one is configured
/// (a gateway behind 1:1 NAT), the bound address when it is a real one, else every interface address,
/// loopback last (a browser ignores it unless told otherwise).
pub(crate) fn candidates(bound: SocketAddr, public_ip: Option<IpAddr>) -> Vec<SocketAddr> {
    let port = bound.port();
    if let Some(ip) = public_ip {
        return vec![SocketAddr::new(ip, port)];
    }
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let mut found: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|ip| usable(*ip, bound.ip()))
        .collect();
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    found.dedup();
    if found.is_empty() {
        found.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    found.truncate(8);
    found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// An address a peer can reach on a socket of this family; link-local needs a zone and is left out.
fn usable(ip: IpAddr, bound: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_link_local() && bound.is_ipv4(),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0) != 0xfe80 && bound.is_ipv6(),
    }
}

/// What a peer is told to send sound to: the configured address, unless it is of the other version of IP.
pub(crate) fn facing(configured: Option<IpAddr>, remote: SocketAddr) -> IpAddr {
    let fits = configured.filter(|ip| ip.is_ipv4() == remote.ip().to_canonical().is_ipv4());
    fits.unwrap_or_else(|| local_towards(remote))
}

/// The address a peer at `remote` sees us under: what goes into SDP `c=` and SIP `Contact` when the socket
/// listens on all addresses and no public address is configured. Asks the routing table, sends nothing.
pub(crate) fn local_towards(remote: SocketAddr) -> IpAddr {
    let any: SocketAddr =
        if remote.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    std::net::UdpSocket::bind(any)
        .and_then(|socket| socket.connect(remote).and_then(|()| socket.local_addr()))
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_public_address_is_offered_alone() {
        let bound = "0.0.0.0:3480".parse().unwrap();
        assert_eq!(candidates(bound, Some("203.0.113.7".parse().unwrap())), ["203.0.113.7:3480".parse().unwrap()]);
    }

    #[test]
    fn a_socket_on_all_addresses_offers_the_interfaces_with_loopback_last() {
        let found = candidates("0.0.0.0:3480".parse().unwrap(), None);
        assert!(!found.is_empty());
        let first_loopback = found.iter().position(|address| address.ip().is_loopback()).unwrap_or(found.len());
        assert!(found[first_loopback..].iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn a_peer_is_told_an_address_of_its_own_version_of_ip() {
        let public: IpAddr = "203.0.113.7".parse().unwrap();
        assert_eq!(facing(Some(public), "198.51.100.9:5060".parse().unwrap()), public);
        assert!(facing(Some("2001:db8::7".parse().unwrap()), "127.0.0.1:5060".parse().unwrap()).is_ipv4());
    }

    #[test]
    fn towards_loopback_we_are_loopback() {
        assert!(local_towards("127.0.0.1:5060".parse().unwrap()).is_loopback());
    }
}
