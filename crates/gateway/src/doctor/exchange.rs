//! One request and its answer, on a socket of the doctor's own: the running gateway is not disturbed, and nothing of the
//! answer is lost on the way through it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use sip::digest::Credentials;
use sip::endpoint::{Transport, prove};
use sip::message::{HeaderName, Message, Method, Request, Response};
use sip::target::Candidate;
use sip::uri::Uri;
use sip::values::NameAddr;
use sip::wire::{Limits, StreamFramer, parse_datagram};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::clock;
use crate::net::tls::{self, Peer};

/// An answer that has not come by then does not come.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The same for a connection and its handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// First pause before a datagram is sent again; doubles (RFC 3261 §17.1.2.2).
const T1: Duration = Duration::from_millis(500);
const DATAGRAM_BYTES: usize = 65_535;

/// What both directions of a connection can do.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

enum Wire {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Box<StreamFramer>),
}

/// What a handshake came to.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    pub(super) version: String,
    pub(super) suite: String,
    /// The PBX's certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// A way to one target of a trunk.
pub(super) struct Line {
    wire: Wire,
    at: Candidate,
    local: SocketAddr,
    pub(super) secured: Option<Secured>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) response: Response,
    /// From the first copy of the request on.
    pub(super) after: Duration,
    /// Where it came from, when that is not where the request went.
    pub(super) elsewhere: Option<SocketAddr>,
    /// Copies of the request that were sent.
    pub(super) copies: u32,
}

/// Who asks whom, over all requests of one conversation.
pub(super) struct Asker {
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    call_id: String,
    cseq: u32,
}

impl Asker {
    pub(super) fn new(from: Uri, to: Uri) -> Self {
        let mut from = NameAddr::new(from);
        from.set_tag(&token());
        Self { from, to: NameAddr::new(to), call_id: format!("doctor-{}", token()), cseq: 0 }
    }

    /// The next request; what its method needs beyond is added by whoever asks.
    pub(super) fn request(&mut self, method: Method, uri: Uri) -> Request {
        self.cseq += 1;
        let mut request = Request::new(method, uri);
        let cseq = format!("{} {}", self.cseq, request.method);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &self.from.to_string());
        headers.push(HeaderName::To, &self.to.to_string());
        headers.push(HeaderName::CallId, &self.call_id);
        headers.push(HeaderName::CSeq, &cseq);
        headers.push(HeaderName::UserAgent, "Passerelle");
        request
    }
}

fn token() -> String {
    format!("{:016x}", rand::rng().random::<u64>())
}

impl Line {
    /// Opens it, from `local` where the gateway speaks from one address alone. The error is a sentence.
    pub(super) async fn open(at: Candidate, local: Option<IpAddr>, peer: Option<&Peer>) -> Result<Self, String> {
        let opened = tokio::time::timeout(CONNECT_LIMIT, async {
            match at.transport {
                Transport::Udp => Self::datagrams(at, local).await.map_err(|error| refused(&error)),
                Transport::Tcp | Transport::Tls => Self::connection(at, local, peer).await,
            }
        });
        opened.await.unwrap_or_else(|_| Err("nothing answers within 5 s".to_owned()))
    }

    async fn datagrams(at: Candidate, local: Option<IpAddr>) -> io::Result<Self> {
        // Which of our addresses faces it is the routing table's to say.
        let bind = SocketAddr::new(local.unwrap_or_else(|| any(at.address)), 0);
        let facing = UdpSocket::bind(bind).await?;
        facing.connect(at.address).await?;
        let ip = facing.local_addr()?.ip();
        // Not connected: an answer from elsewhere is to be seen.
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
        let local = socket.local_addr()?;
        Ok(Self { wire: Wire::Udp(socket), at, local, secured: None })
    }

    async fn connection(at: Candidate, local: Option<IpAddr>, peer: Option<&Peer>) -> Result<Self, String> {
        let socket = if at.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|error| refused(&error))?;
        if let Some(ip) = local {
            socket.bind(SocketAddr::new(ip, 0)).map_err(|error| refused(&error))?;
        }
        let stream = socket.connect(at.address).await.map_err(|error| refused(&error))?;
        let local = stream.local_addr().map_err(|error| refused(&error))?;
        let framer = Box::new(StreamFramer::new(Limits::default()));
        let Some(peer) = peer.filter(|_| at.transport == Transport::Tls) else {
            return Ok(Self { wire: Wire::Stream(Box::new(stream), framer), at, local, secured: None });
        };
        let connector = TlsConnector::from(Arc::clone(&peer.config));
        let stream = connector.connect(peer.name.clone(), stream).await.map_err(|error| tls::why(&error).why)?;
        let connection = stream.get_ref().1;
        let secured = Secured {
            version: connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS").to_owned(),
            suite: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown suite")
                .to_owned(),
            chain: connection
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|one| one.clone().into_owned())
                .collect(),
        };
        Ok(Self { wire: Wire::Stream(Box::new(stream), framer), at, local, secured: Some(secured) })
    }

    /// Our end of it.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Asks, and proves us where that is wanted and we may (SECURITY S7: to this very address alone).
    pub(super) async fn ask_proven(
        &mut self,
        asker: &mut Asker,
        request: Request,
        credentials: Option<&Credentials>,
    ) -> Result<(Heard, bool), String> {
        let heard = self.ask(request.clone()).await?;
        let (401 | 407, Some(credentials)) = (heard.response.status, credentials) else { return Ok((heard, false)) };
        let mut proven = request;
        let Some(cseq) = prove(&mut proven, &heard.response, credentials, &token()) else { return Ok((heard, false)) };
        asker.cseq = cseq;
        Ok((self.ask(proven).await?, true))
    }

    /// Sends a request and waits for its final answer. The error is a sentence.
    pub(super) async fn ask(&mut self, mut request: Request) -> Result<Heard, String> {
        let branch = format!("z9hG4bK{}", token());
        let via = format!("SIP/2.0/{} {};branch={branch};rport", self.at.transport, self.local);
        request.headers.push_front(HeaderName::Via, &via);
        let (bytes, begun) = (request.encode(), clock::now());
        let asked = tokio::time::timeout(ANSWER_LIMIT, async {
            match &mut self.wire {
                Wire::Udp(socket) => by_datagrams(socket, self.at.address, &bytes, &branch, begun).await,
                Wire::Stream(stream, framer) => by_stream(stream, framer, &bytes, &branch, begun).await,
            }
        });
        asked.await.unwrap_or_else(|_| Err("no answer within 5 s".to_owned()))
    }
}

async fn by_datagrams(
    socket: &UdpSocket,
    to: SocketAddr,
    bytes: &[u8],
    branch: &str,
    begun: Instant,
) -> Result<Heard, String> {
    let mut buffer = vec![0_u8; DATAGRAM_BYTES];
    let (mut pause, mut copies, mut again) = (T1, 1, begun + T1);
    socket.send_to(bytes, to).await.map_err(|error| refused(&error))?;
    loop {
        let received = tokio::time::timeout_at(again.into(), socket.recv_from(&mut buffer)).await;
        let Ok(received) = received else {
            socket.send_to(bytes, to).await.map_err(|error| refused(&error))?;
            copies += 1;
            pause *= 2;
            again += pause;
            continue;
        };
        let (length, source) = received.map_err(|error| refused(&error))?;
        let message = buffer.get(..length).and_then(|octets| parse_datagram(octets, &Limits::default()).ok());
        if let Some(response) = message.and_then(|message| answer(message, branch)) {
            let elsewhere = (source != to).then_some(source);
            return Ok(Heard { response, after: clock::now().saturating_duration_since(begun), elsewhere, copies });
        }
    }
}

async fn by_stream(
    stream: &mut Box<dyn Stream>,
    framer: &mut StreamFramer,
    bytes: &[u8],
    branch: &str,
    begun: Instant,
) -> Result<Heard, String> {
    stream.write_all(bytes).await.map_err(|error| refused(&error))?;
    stream.flush().await.map_err(|error| refused(&error))?;
    let mut buffer = vec![0_u8; 16 * 1_024];
    loop {
        while let Some(message) = framer.next() {
            let message = message.map_err(|error| format!("what comes back is no SIP: {error}"))?;
            if let Some(response) = answer(message, branch) {
                let after = clock::now().saturating_duration_since(begun);
                return Ok(Heard { response, after, elsewhere: None, copies: 1 });
            }
        }
        let length = stream.read(&mut buffer).await.map_err(|error| refused(&error))?;
        if length == 0 {
            return Err("the far end closed the connection without an answer".to_owned());
        }
        let octets = buffer.get(..length).unwrap_or_default();
        framer.push(octets).map_err(|error| format!("what comes back is no SIP: {error}"))?;
    }
}

/// The final answer to our request, if this message is it.
fn answer(message: Message, branch: &str) -> Option<Response> {
    let Message::Response(response) = message else { return None };
    let ours = response.headers.via().ok()?.branch() == Some(branch);
    (ours && !response.is_provisional()).then_some(response)
}

fn any(like: SocketAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// What the system says of a socket, in words an admin knows.
#[expect(clippy::wildcard_enum_match_arm, reason = "of the system's many errors these have a sentence of their own")]
fn refused(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
        io::ErrorKind::ConnectionReset => "the far end reset the connection".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("no route leads there ({error})"),
        _ => error.to_string(),
    }
}
