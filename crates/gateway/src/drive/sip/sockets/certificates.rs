//! Certificates of the SIP sockets: what the listeners show, and who is expected at which address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::Transport;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::warn;

use crate::config::checked::{self, Config};
use crate::net::tls::{self, Own, Peer};

/// How often the files are looked at: a renewed certificate is shown from then on.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Read once at the start; who is where is told as it is looked up.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(super) own: Option<(Arc<Own>, Arc<ServerConfig>)>,
    pub(super) peers: Vec<Arc<Peer>>,
    pub(super) places: HashMap<SocketAddr, Arc<Peer>>,
}

impl Certificates {
    /// Reads all files the configuration names. The error is a sentence that names the key.
    pub(crate) fn read(config: &Config) -> Result<Self, String> {
        let own = match &config.sip.tls {
            Some(files) => {
                let own = Own::new(files).map_err(|why| format!("[sip] {why}"))?;
                let server = tls::server(&own)?;
                Some((own, server))
            }
            None => None,
        };
        let trunks = config.trunks.iter().filter(|trunk| trunk.transport == checked::Transport::Tls);
        let peers = trunks.map(|trunk| Peer::new(trunk).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { own, peers, places: HashMap::new() })
    }

    /// What is known of the trunks from now on; where they are stays known.
    pub(super) fn follow(&mut self, other: Self) {
        self.peers = other.peers;
        let peers = &self.peers;
        self.places.retain(|_, there| match peers.iter().find(|peer| peer.trunk == there.trunk) {
            Some(peer) => {
                *there = Arc::clone(peer);
                true
            }
            None => false,
        });
        if let Some((own, _)) = &self.own {
            own.refresh();
        }
    }

    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.own.as_ref().map(|(_, server)| TlsAcceptor::from(Arc::clone(server)))
    }

    /// The addresses TLS connections to trunks are made from where no `tls:` listener gives one: on them nobody answers,
    /// and whoever wants something of us uses the connection at hand (RFC 5923).
    pub(super) fn callers(&self, bound: &[(Transport, SocketAddr)]) -> Vec<(Transport, SocketAddr)> {
        if self.peers.is_empty() {
            return Vec::new();
        }
        let families = [true, false].into_iter().filter(|is_ipv4| {
            !bound.iter().any(|(transport, at)| *transport == Transport::Tls && at.is_ipv4() == *is_ipv4)
        });
        let first = families.filter_map(|is_ipv4| bound.iter().find(|(_, at)| at.is_ipv4() == is_ipv4));
        first.map(|(_, at)| (Transport::Tls, SocketAddr::new(at.ip(), Transport::Tls.default_port()))).collect()
    }

    /// A trunk is at these addresses now, and no longer where it was. Gives those it can use: where another trunk is
    /// already, that one stays, for one connection has one far end, and it is known by one name.
    pub(super) fn trunk_at(&mut self, trunk: &str, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let Some(peer) = self.peers.iter().find(|peer| peer.trunk == trunk) else { return addresses };
        self.places.retain(|_, there| there.trunk != trunk);
        let mut mine = |address: &SocketAddr| {
            let there = self.places.entry(*address).or_insert_with(|| Arc::clone(peer));
            let is_mine = there.is_same_far_end(peer);
            if !is_mine {
                let why = "one connection cannot be held against two names: make one trunk of them";
                warn!(trunk, other = there.trunk, %address, why, "another trunk by tls is at this address");
            }
            is_mine
        };
        addresses.into_iter().filter(|address| mine(address)).collect()
    }

    pub(super) fn peer_at(&self, address: SocketAddr) -> Option<Arc<Peer>> {
        self.places.get(&address).cloned()
    }

    /// Reads again what has changed, for ever.
    pub(super) async fn watch(self) {
        let peers = self.peers.iter().filter_map(|peer| peer.own.clone());
        let all: Vec<Arc<Own>> = self.own.iter().map(|(own, _)| Arc::clone(own)).chain(peers).collect();
        while !all.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            all.iter().for_each(|own| own.refresh());
        }
    }
}
