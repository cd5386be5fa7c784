//! Connections of SIP: accepted or made, by TLS or not, then read and written until either side has enough.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::{Flow, Transport};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{debug, warn};

use super::{Inbound, WRITES_MAX};
use crate::clock;
use crate::net::tls::{self, Distrust, Peer};
use crate::observe::metric::{self, Metric};

/// How long a connection attempt may take before the next step (RFC 3263 §4.3 wants the next target soon).
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// The same trouble is logged no more often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Handshakes of peers at once: they cost more than anything else a stranger may ask for.
const HANDSHAKES_MAX: usize = 256;
/// A connection that says nothing for so long is closed; a phone's keep-alive comes every two minutes at most.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// A connection that has never said anything is closed after so long.
const FIRST_WORD_LIMIT: Duration = Duration::from_secs(30);
/// How long a peer may leave a message of ours unread before its connection is closed.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long the kernel may wait for the acknowledgement of what was written to a trunk, a ping at least each 20 s: a far
/// end that is gone without a word is noticed within 30 s, also one that knows no pings (RFC 5482).
const TRUNK_SILENT_LIMIT: Duration = Duration::from_secs(10);
/// The same for a phone, which may be changing from one network to the next.
const PHONE_SILENT_LIMIT: Duration = Duration::from_secs(30);

/// Accepts until the driver is gone.
pub(super) async fn accept(
    listener: TcpListener,
    (transport, local): (Transport, SocketAddr),
    tls: Option<TlsAcceptor>,
    inbox: mpsc::Sender<Inbound>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut told_at = None;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => {
                    prepare(&stream, PHONE_SILENT_LIMIT);
                    let flow = Flow { transport, local, remote };
                    let (writer, queue) = mpsc::channel(WRITES_MAX);
                    if inbox.send(Inbound::Opened { flow, writer }).await.is_err() {
                        return;
                    }
                    let inbox = inbox.clone();
                    match &tls {
                        None => drop(connections.spawn(run(stream, flow, queue, inbox, FIRST_WORD_LIMIT))),
                        Some(acceptor) => {
                            let (acceptor, handshakes) = (acceptor.clone(), Arc::clone(&handshakes));
                            connections.spawn(shake_hands(acceptor, handshakes, stream, flow, queue, inbox));
                        }
                    }
                }
                Err(error) => {
                    // Out of descriptors: the listener lives on and tries again (SECURITY S16).
                    metric::count(Metric::SipAcceptErrors);
                    if clock::is_due(&mut told_at, TELL_EVERY) {
                        warn!(%error, %transport, "no SIP connection can be accepted now; the file limit may be too low");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The server's side of a handshake. One too many is turned away, not kept waiting with its memory.
async fn shake_hands(
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
    stream: TcpStream,
    flow: Flow,
    queue: mpsc::Receiver<Vec<u8>>,
    inbox: mpsc::Sender<Inbound>,
) {
    let Ok(one) = handshakes.try_acquire() else {
        metric::count(Metric::SipConnectionsRefused);
        let _driver_gone = inbox.send(Inbound::Closed { flow }).await;
        return;
    };
    let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await;
    drop(one);
    match shaken {
        Ok(Ok(stream)) => return run(stream, flow, queue, inbox, FIRST_WORD_LIMIT).await,
        Ok(Err(error)) => {
            let Distrust { code, why } = tls::why(&error);
            metric::count_with(Metric::SipTlsRefused, code);
            debug!(remote = %flow.remote, why, "sip tls handshake of a peer");
        }
        Err(_) => {
            metric::count_with(Metric::SipTlsRefused, "slow");
            debug!(remote = %flow.remote, "sip tls handshake of a peer takes too long");
        }
    }
    let _driver_gone = inbox.send(Inbound::Closed { flow }).await;
}

/// Makes a connection; with a `peer`, by TLS to nobody else.
pub(super) async fn connect(
    flow: Flow,
    peer: Option<Arc<Peer>>,
    queue: mpsc::Receiver<Vec<u8>>,
    inbox: mpsc::Sender<Inbound>,
) {
    let connected = tokio::time::timeout(CONNECT_LIMIT, dial(flow)).await;
    let error = match (connected, peer.filter(|_| flow.transport == Transport::Tls)) {
        (Ok(Ok(stream)), None) => return run(stream, flow, queue, inbox, IDLE_LIMIT).await,
        (Ok(Ok(stream)), Some(peer)) => {
            let connector = TlsConnector::from(Arc::clone(&peer.config));
            match tokio::time::timeout(HANDSHAKE_LIMIT, connector.connect(peer.name.clone(), stream)).await {
                Ok(Ok(stream)) => {
                    debug!(trunk = peer.trunk, remote = %flow.remote, "encrypted line to a trunk");
                    return run(stream, flow, queue, inbox, IDLE_LIMIT).await;
                }
                Ok(Err(error)) => return distrusted(&peer, flow, &tls::why(&error), &inbox).await,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            }
        }
        (Ok(Err(error)), _) => error,
        (Err(_), _) => io::Error::from(io::ErrorKind::TimedOut),
    };
    debug!(%flow, %error, "sip connect");
    let _driver_gone = inbox.send(Inbound::Failed { flow }).await;
}

async fn distrusted(peer: &Peer, flow: Flow, distrust: &Distrust, inbox: &mpsc::Sender<Inbound>) {
    metric::count_with(Metric::SipTlsRefused, distrust.code);
    let why = &distrust.why;
    warn!(trunk = peer.trunk, remote = %flow.remote, reason = distrust.code, why, "no encrypted line to this trunk");
    let _driver_gone = inbox.send(Inbound::Failed { flow }).await;
}

/// From the address that listens, where it is a single one: so that the far end's own list of addresses holds.
async fn dial(flow: Flow) -> io::Result<TcpStream> {
    let socket = if flow.remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    let stream = socket.connect(flow.remote).await?;
    prepare(&stream, TRUNK_SILENT_LIMIT);
    Ok(stream)
}

/// Both are for speed; without them a connection serves, too.
fn prepare(stream: &TcpStream, silent_limit: Duration) {
    let socket = SockRef::from(stream);
    if let Err(error) = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(silent_limit))) {
        debug!(%error, "sip connection left as it is");
    }
}

/// Reads and writes one connection until either side has enough.
async fn run<S: AsyncRead + AsyncWrite>(
    stream: S,
    flow: Flow,
    mut queue: mpsc::Receiver<Vec<u8>>,
    inbox: mpsc::Sender<Inbound>,
    first_word: Duration,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0_u8; 16 * 1_024];
    let mut patience = first_word;
    loop {
        tokio::select! {
            message = queue.recv() => match message {
                Some(bytes) => match tokio::time::timeout(WRITE_LIMIT, write(&mut writer, &bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => break,
                },
                None => break,
            },
            read = tokio::time::timeout(patience, reader.read(&mut buffer)) => match read {
                Ok(Ok(length)) if length > 0 => {
                    patience = IDLE_LIMIT;
                    if inbox.send(Inbound::Stream { flow, bytes: buffer[..length].to_vec() }).await.is_err() { return }
                }
                // In TLS 1.3 a server looks at our certificate when its own is long believed.
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    let Distrust { code, why } = tls::why(&error);
                    metric::count_with(Metric::SipTlsRefused, code);
                    warn!(%flow, why, "encrypted line broken off");
                    break;
                }
                Ok(Ok(_) | Err(_)) | Err(_) => break,
            },
        }
    }
    let _best_effort = tokio::time::timeout(WRITE_LIMIT, writer.shutdown()).await;
    let _driver_gone = inbox.send(Inbound::Closed { flow }).await;
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}
