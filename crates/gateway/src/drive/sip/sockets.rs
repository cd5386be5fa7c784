//! The sockets of SIP: UDP, TCP and TLS, each read by a small task that feeds the driver's bounded inbox.

mod certificates;
mod share;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use certificates::Certificates;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sip::endpoint::{Flow, Transport};
use socket2::{SockRef, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use crate::clock;
use crate::net::dual;
use crate::observe::metric::{self, Metric};

/// Datagrams and stream pieces the driver may have waiting; more are dropped and counted, as a full socket buffer would.
const INBOX_MAX: usize = 8_192;
/// Messages waiting to be written to one connection; a peer that does not read loses its connection.
const WRITES_MAX: usize = 64;
/// Open connections in all, and from one address.
const CONNECTIONS_MAX: usize = 2_000;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// Connections of our own making, beyond those.
const OWN_CONNECTIONS_MAX: usize = 500;
/// What the kernel may hold of datagrams, as far as the system's own limit (`net.core.rmem_max`) lets it: a burst that comes
/// while the driver is busy is not lost.
const KERNEL_BYTES: usize = 4 << 20;
/// Largest datagram taken.
const DATAGRAM_BYTES: usize = 65_535;

/// What came in.
pub(crate) enum Inbound {
    Datagram { flow: Flow, bytes: Vec<u8> },
    Opened { flow: Flow, writer: mpsc::Sender<Vec<u8>> },
    Stream { flow: Flow, bytes: Vec<u8> },
    Closed { flow: Flow },
    Failed { flow: Flow },
}

/// All SIP sockets, and the connections they hold.
pub(crate) struct Sockets {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    connections: HashMap<Flow, mpsc::Sender<Vec<u8>>>,
    certificates: Certificates,
    inbox: mpsc::Sender<Inbound>,
    tasks: JoinSet<()>,
    /// Looks after the certificates.
    watch: Option<AbortHandle>,
}

impl Sockets {
    /// Binds what the configuration lists. The error names the socket that could not be had.
    pub(crate) async fn bind(
        listen: &[(Transport, SocketAddr)],
        certificates: Certificates,
    ) -> Result<(Self, Vec<(Transport, SocketAddr)>, mpsc::Receiver<Inbound>), (SocketAddr, io::Error)> {
        let (inbox, outbox) = mpsc::channel(INBOX_MAX);
        let connections = HashMap::new();
        let mut sockets =
            Self { udp: Vec::new(), connections, certificates, inbox, tasks: JoinSet::new(), watch: None };
        let mut bound = Vec::new();
        for (transport, address) in listen {
            let at = match transport {
                Transport::Udp => sockets.listen_udp(*address).await,
                Transport::Tcp | Transport::Tls => sockets.listen_stream(*transport, *address),
            }
            .map_err(|error| (*address, error))?;
            bound.push((*transport, at));
        }
        bound.extend(sockets.certificates.callers(&bound));
        sockets.watch_certificates();
        Ok((sockets, bound, outbox))
    }

    async fn listen_udp(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket: std::net::UdpSocket = dual::bind_only(address, Type::DGRAM)?.into();
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        if let Err(error) = SockRef::from(&*socket).set_recv_buffer_size(KERNEL_BYTES) {
            debug!(%error, "sip socket keeps the system's buffer");
        }
        // Until the runtime has looked at it, nothing can be sent by it.
        socket.writable().await?;
        let local = socket.local_addr()?;
        self.udp.push((local, Arc::clone(&socket)));
        let inbox = self.inbox.clone();
        self.tasks.spawn(read_udp(socket, local, inbox));
        Ok(local)
    }

    fn listen_stream(&mut self, transport: Transport, address: SocketAddr) -> io::Result<SocketAddr> {
        let tls = match (transport, self.certificates.acceptor()) {
            (Transport::Tls, None) => return Err(io::Error::other("there is no certificate for it")),
            (Transport::Tls, Some(acceptor)) => Some(acceptor),
            (Transport::Udp | Transport::Tcp, _) => None,
        };
        let listener: std::net::TcpListener = dual::bind_only(address, Type::STREAM)?.into();
        let listener = TcpListener::from_std(listener)?;
        let local = listener.local_addr()?;
        self.tasks.spawn(stream::accept(listener, (transport, local), tls, self.inbox.clone()));
        Ok(local)
    }

    fn watch_certificates(&mut self) {
        let watch = self.tasks.spawn(self.certificates.clone().watch());
        if let Some(before) = self.watch.replace(watch) {
            before.abort();
        }
    }

    /// Other certificates of the trunks, for connections that are made from now on; those at hand stay.
    pub(crate) fn trust(&mut self, certificates: Certificates) {
        self.certificates.follow(certificates);
        self.watch_certificates();
    }

    /// The addresses a trunk has now: who answers there by TLS must be that trunk. Gives those it can use.
    pub(crate) fn trunk_at(&mut self, trunk: &str, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        self.certificates.trunk_at(trunk, addresses)
    }

    /// Sends one message. A stream flow without a connection gets one.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        match flow.transport {
            Transport::Udp => self.send_udp(flow, &bytes),
            Transport::Tcp | Transport::Tls => self.send_stream(flow, bytes),
        }
    }

    fn send_udp(&self, flow: Flow, bytes: &[u8]) {
        let socket = self
            .udp
            .iter()
            .find(|(local, _)| *local == flow.local)
            .or_else(|| self.udp.iter().find(|(local, _)| local.is_ipv4() == flow.remote.is_ipv4()));
        let Some((_, socket)) = socket else {
            self.say_failed(flow);
            return;
        };
        match socket.try_send_to(bytes, flow.remote) {
            Ok(_) => {}
            // A full socket buffer is a lost datagram: the transaction sends it again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => metric::count(Metric::SipSendErrors),
            Err(error) => {
                metric::count(Metric::SipSendErrors);
                debug!(remote = %flow.remote, %error, "sip datagram not sent");
                self.say_failed(flow);
            }
        }
    }

    fn send_stream(&mut self, flow: Flow, bytes: Vec<u8>) {
        let writer = match self.connections.get(&flow) {
            Some(writer) if !writer.is_closed() => writer.clone(),
            // What peers opened may take their share, not ours: a trunk can be reached whatever strangers hold.
            _ if self.connections.len() >= CONNECTIONS_MAX + OWN_CONNECTIONS_MAX => {
                metric::count(Metric::SipConnectionsRefused);
                self.say_failed(flow);
                return;
            }
            _ => {
                let peer = self.certificates.peer_at(flow.remote);
                if flow.transport == Transport::Tls && peer.is_none() {
                    // Nobody says whose certificate to expect there.
                    debug!(remote = %flow.remote, "no trunk is reached by tls at this address");
                    self.say_failed(flow);
                    return;
                }
                let (writer, queue) = mpsc::channel(WRITES_MAX);
                self.connections.insert(flow, writer.clone());
                self.tasks.spawn(stream::connect(flow, peer, queue, self.inbox.clone()));
                writer
            }
        };
        if writer.try_send(bytes).is_err() {
            metric::count(Metric::SipSendErrors);
            self.connections.remove(&flow);
            self.say_failed(flow);
        }
    }

    /// The endpoint hears of a failed send as of any other input.
    fn say_failed(&self, flow: Flow) {
        if self.inbox.try_send(Inbound::Failed { flow }).is_err() {
            metric::count(Metric::SipInboxDropped);
        }
    }

    /// Notes a connection a peer opened. Above the bounds it is dropped, which closes it.
    pub(crate) fn opened(&mut self, flow: Flow, writer: mpsc::Sender<Vec<u8>>) {
        let network = network(flow.remote.ip());
        let from_there = self.connections.keys().filter(|known| self::network(known.remote.ip()) == network).count();
        if self.connections.len() >= CONNECTIONS_MAX || from_there >= per_address(flow.remote.ip()) {
            metric::count(Metric::SipConnectionsRefused);
            return;
        }
        self.connections.insert(flow, writer);
    }

    /// Forgets a connection that has ended.
    pub(crate) fn closed(&mut self, flow: Flow) {
        self.connections.remove(&flow);
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Who counts as one: an IPv4 address, an IPv6 /64 (a customer's network, RFC 6177).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => std::net::Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Loopback is where tests and local proxies live; one address there may be many peers.
fn per_address(ip: IpAddr) -> usize {
    if ip.is_loopback() { CONNECTIONS_MAX } else { CONNECTIONS_PER_ADDRESS_MAX }
}

async fn read_udp(socket: Arc<UdpSocket>, local: SocketAddr, inbox: mpsc::Sender<Inbound>) {
    let mut buffer = vec![0_u8; DATAGRAM_BYTES];
    let mut share = share::Share::new();
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, remote)) => {
                let crowded = inbox.capacity() < inbox.max_capacity() / 2;
                if !share.admits(remote.ip(), crowded, clock::now()) {
                    metric::count(Metric::SipInboxDropped);
                    continue;
                }
                let flow = Flow { transport: Transport::Udp, local, remote };
                match inbox.try_send(Inbound::Datagram { flow, bytes: buffer[..length].to_vec() }) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => metric::count(Metric::SipInboxDropped),
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
            }
            // ICMP errors of earlier sends surface here; the socket itself is well.
            Err(error) => debug!(%error, %local, "sip udp"),
        }
    }
}
