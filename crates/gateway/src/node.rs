//! Who this process is among those who share a call-back book, and which dead one's place it has taken.

use std::net::SocketAddr;
use std::path::Path;

use sha2::{Digest, Sha256};
use sip::Transport;
use store::NodeId;
use tracing::warn;

/// The kernel's name of this boot: another machine has another, and so has this one after its next start.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The network this process is in, by its inode: of two containers on one kernel each has its own.
const NETWORK: &str = "/proc/self/ns/net";

/// The name of the process that has this socket. A socket's address is bound once in a network of a running kernel, so
/// whoever had the same place before is dead for certain. Where the system does not tell, nobody's place is taken.
pub(crate) fn id(bound: &[(Transport, SocketAddr)]) -> NodeId {
    let run = rand::random();
    match place(Path::new(BOOT), Path::new(NETWORK), bound) {
        Some(place) => NodeId::new(place, run),
        None => {
            warn!(
                "the system does not say which boot and network this is: what a killed process held waits for its lease to end"
            );
            NodeId::new(rand::random(), run)
        }
    }
}

fn place(boot: &Path, network: &Path, bound: &[(Transport, SocketAddr)]) -> Option<u64> {
    let boot = std::fs::read(boot).ok().filter(|text| !text.trim_ascii().is_empty())?;
    let network = std::fs::read_link(network).ok()?;
    let (transport, address) = bound.first()?;
    let hash = Sha256::new()
        .chain_update(boot.trim_ascii())
        .chain_update(network.as_os_str().as_encoded_bytes())
        .chain_update(transport.as_str())
        .chain_update(address.to_string());
    hash.finalize().first_chunk().map(|first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_socket_is_the_same_place_and_each_process_another_one() {
        let bound = |port| [(Transport::Udp, SocketAddr::from(([127, 0, 0, 1], port)))];
        let (first, again, other) = (id(&bound(5060)), id(&bound(5060)), id(&bound(5061)));
        assert!(again.succeeds(first) && first != again);
        assert!(!other.succeeds(first) && !first.succeeds(first));
    }

    #[test]
    fn another_boot_another_network_or_an_unknown_one_is_another_place() {
        let folder = std::env::temp_dir().join(format!("passerelle-node-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let boot = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let network = |name: &str, to: &str| {
            let path = folder.join(name);
            std::os::unix::fs::symlink(to, &path).unwrap();
            path
        };
        let bound = [(Transport::Udp, SocketAddr::from(([10, 0, 0, 1], 5060)))];
        let (one, two, empty) = (boot("one", "7f\n"), boot("two", "8f\n"), boot("empty", "\n"));
        let (inner, outer) = (network("inner", "net:[1]"), network("outer", "net:[2]"));
        let here = place(&one, &inner, &bound);
        assert!(here.is_some());
        assert_eq!(here, place(&one, &inner, &bound));
        assert_ne!(here, place(&two, &inner, &bound));
        assert_ne!(here, place(&one, &outer, &bound));
        assert_ne!(here, place(&one, &inner, &[(Transport::Tcp, bound[0].1)]));
        assert_eq!(place(&empty, &inner, &bound), None);
        assert_eq!(place(&folder.join("none"), &inner, &bound), None);
        assert_eq!(place(&one, &folder.join("none"), &bound), None);
        assert_eq!(place(&one, &inner, &[]), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
