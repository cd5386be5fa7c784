//! Where a request comes from: the peer's address, or what a trusted proxy says it is.

use std::net::{IpAddr, Ipv6Addr};

/// Entries of `X-Forwarded-For` looked at, from the right.
const MAX_HOPS: usize = 8;

/// The address of the person. `forwarded` is the whole `X-Forwarded-For`, believed only while the hop that added the
/// entry is one of `trusted`: everything further left can be written by anybody.
pub(crate) fn source(peer: IpAddr, forwarded: &str, trusted: &[IpAddr]) -> IpAddr {
    let mut source = plain(peer);
    for entry in forwarded.rsplit(',').take(MAX_HOPS) {
        if !trusted.iter().any(|own| plain(*own) == source) {
            break;
        }
        match entry.trim().parse::<IpAddr>() {
            Ok(address) => source = plain(address),
            Err(_) => break,
        }
    }
    source
}

/// The unit that budgets are counted in: an IPv4 address, or an IPv6 /64, because one customer has all of that.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct SourceKey(IpAddr);

impl SourceKey {
    pub(crate) fn of(source: IpAddr) -> Self {
        match plain(source) {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)))),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl std::fmt::Display for SourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let check = |peer: &str, forwarded: &str, expected: &str| {
            assert_eq!(source(ip(peer), forwarded, &trusted), ip(expected), "{peer} {forwarded}");
        };
        check("192.0.2.9", "", "192.0.2.9");
        check("192.0.2.9", "1.2.3.4", "192.0.2.9");
        check("10.0.0.1", "1.2.3.4", "1.2.3.4");
        check("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4");
        check("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4");
        check("10.0.0.1", "6.6.6.6, rubbish", "10.0.0.1");
        check("10.0.0.1", "", "10.0.0.1");
    }

    #[test]
    fn one_customer_is_one_key() {
        let key = |text: &str| SourceKey::of(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
