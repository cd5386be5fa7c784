//! Sockets of both versions of IP: one that hears both for sound, one for each where a port is asked for by its address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Listening connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// A socket for sound on a port of one address; `None`: of all, IPv4 and IPv6 alike.
pub(crate) fn bind_udp(ip: Option<IpAddr>, port: u16) -> io::Result<std::net::UdpSocket> {
    let Some(ip) = ip else {
        let both = open((Ipv6Addr::UNSPECIFIED, port).into(), Type::DGRAM, false);
        return match both {
            Ok(socket) => Ok(socket.into()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            // A kernel without IPv6.
            Err(_) => std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)),
        };
    };
    std::net::UdpSocket::bind((ip, port))
}

/// A socket that hears this address and no other, so that `[::]` and `0.0.0.0` may stand side by side.
pub(crate) fn bind_only(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    open(address, kind, true)
}

fn open(address: SocketAddr, kind: Type, only_v6: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    if kind == Type::STREAM {
        // A restart need not wait for the last connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Who sent it, as he is known elsewhere: IPv4 as IPv4.
pub(crate) fn plain(source: SocketAddr) -> SocketAddr {
    SocketAddr::new(source.ip().to_canonical(), source.port())
}

/// How an address is written for a socket of this version of IP.
pub(crate) fn towards(socket_is_v6: bool, remote: SocketAddr) -> SocketAddr {
    match remote.ip() {
        IpAddr::V4(ip) if socket_is_v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), remote.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_socket_hears_and_reaches_both_versions() {
        let ours = bind_udp(None, 0).unwrap();
        ours.set_nonblocking(false).unwrap();
        ours.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let at = ours.local_addr().unwrap();
        if at.is_ipv4() {
            return;
        }
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            // A machine may have IPv6 and no address of it.
            let Ok(peer) = std::net::UdpSocket::bind((ip, 0)) else { continue };
            peer.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            peer.send_to(b"ping", (ip, at.port())).unwrap();
            let mut buffer = [0; 8];
            let (_, source) = ours.recv_from(&mut buffer).unwrap();
            assert_eq!(plain(source), peer.local_addr().unwrap());
            ours.send_to(b"pong", towards(true, plain(source))).unwrap();
            assert_eq!(peer.recv_from(&mut buffer).unwrap(), (4, SocketAddr::new(ip, at.port())));
        }
    }

    #[test]
    fn a_port_that_somebody_has_is_not_shared() {
        let theirs = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = theirs.local_addr().unwrap().port();
        assert_eq!(bind_udp(None, port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
