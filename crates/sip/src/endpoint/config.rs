//! What an endpoint is told at its start, and the addresses it thinks in.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::extensions::Extensions;
use super::guard::GuardConfig;
use crate::digest::{AccountSecret, Algorithm, Credentials};
use crate::timer::Timers;
use crate::uri::Uri;
use crate::values::NameAddr;
use crate::wire::Limits;

/// What carries SIP.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// Datagrams: the endpoint repeats what may be lost.
    Udp,
    /// A stream: repeats nothing but a 2xx to INVITE.
    Tcp,
    /// A stream that nobody else reads. Who the far end is was looked at by the driver.
    Tls,
}

impl Transport {
    /// As in a Via header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As in the `transport` parameter of a URI, in either case.
    pub fn of_param(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.as_str().eq_ignore_ascii_case(name))
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// Whether the transport itself repeats what is lost. Those that do are connections.
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// What goes into the `transport` parameter of our Contact. RFC 3261 §26.2.2 deprecates `transport=tls` for
    /// `sips:`, which many a PBX does not know; all write and read the parameter.
    pub(crate) fn contact_param(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
        }
    }

    /// The port where none is written (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One path to a peer.
///
/// Over UDP, `local` is the bound address of one of [`EndpointConfig::locals`]. Over TCP and TLS a flow is one
/// connection and `local` is always the *listening* address: for a connection that came in, `remote` is the
/// far end's port; for one the endpoint wants opened, a [`Transmit`] carries the wanted remote. The driver opens
/// it where no such connection exists and goes on naming it by that very flow.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Flow {
    /// Datagrams or a stream.
    pub transport: Transport,
    /// Our side: the bound or listening address.
    pub local: SocketAddr,
    /// Their side.
    pub remote: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} - {}", self.transport, self.local, self.remote)
    }
}

/// Octets for the driver to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// One datagram, or a piece of the stream.
    pub bytes: Vec<u8>,
}

/// An address the endpoint answers on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Local {
    /// Datagrams or a stream.
    pub transport: Transport,
    /// The socket's own address.
    pub bound: SocketAddr,
    /// What goes into Via and Contact instead: the public address of a gateway behind NAT. Needed where
    /// `bound` is an unspecified address, for nobody can answer to 0.0.0.0.
    pub advertised: Option<SocketAddr>,
}

impl Local {
    /// The address peers are told.
    pub fn advertised(&self) -> SocketAddr {
        self.advertised.unwrap_or(self.bound)
    }
}

/// What an endpoint is told at its start.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// User-Agent and Server, without a version (SECURITY: scanners read it).
    pub product: String,
    /// Addresses the endpoint answers on; a [`Target`] names one by its place here.
    pub locals: Vec<Local>,
    /// Digest realm and the domain of the registrar.
    pub realm: String,
    /// Digest algorithms phones are challenged with, strongest first (RFC 8760). Default MD5 alone: phones of
    /// before 2019 give up at a challenge that names one they do not know (baresip 1.0, most desk phones).
    pub algorithms: Vec<Algorithm>,
    /// T1, T2 and T4.
    pub timers: Timers,
    /// Bounds of the message front.
    pub limits: Limits,
    /// Beyond this many transactions new requests are answered 503 without a state; strangers' beyond half of it.
    pub max_transactions: usize,
    /// What is served first in overload, and what a stranger gets.
    pub guard: GuardConfig,
    /// Beyond this many calls new INVITEs are answered 503.
    pub max_calls: usize,
    /// Beyond this many bindings a REGISTER for a new contact is answered 503.
    pub max_bindings: usize,
    /// Bindings of one account.
    pub max_bindings_per_user: usize,
    /// Beyond this many stream connections a further one is closed.
    pub max_connections: usize,
    /// Shortest registration granted; shorter wishes are answered 423.
    pub min_expires: Duration,
    /// Longest registration granted, and the one for wishes without a time.
    pub max_expires: Duration,
    /// A silent stream connection without a call or binding is closed after this, and one stuck within a
    /// message after a quarter of it.
    pub idle_limit: Duration,
    /// What is granted to peers without a rule of their own.
    pub extensions: Extensions,
    /// Seed of branches, tags, Call-IDs, nonces and back-off. Take it from the operating system.
    pub seed: u64,
}

impl EndpointConfig {
    /// The defaults of everything but the addresses and the seed.
    pub fn new(locals: Vec<Local>, realm: &str, seed: u64) -> Self {
        Self {
            product: "Passerelle".into(),
            locals,
            realm: realm.into(),
            algorithms: vec![Algorithm::Md5],
            timers: Timers::default(),
            limits: Limits::default(),
            max_transactions: 20_000,
            guard: GuardConfig::default(),
            max_calls: 2_000,
            max_bindings: 10_000,
            max_bindings_per_user: 10,
            max_connections: 2_000,
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3_600),
            idle_limit: Duration::from_secs(120),
            extensions: Extensions::USUAL,
            seed,
        }
    }
}

/// Where a request of ours goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// Datagrams or a stream.
    pub transport: Transport,
    /// The far end; over a connection that came in, its port.
    pub address: SocketAddr,
    /// Place in [`EndpointConfig::locals`] of the address to send from.
    pub local: usize,
}

/// Who may register here and call from here.
#[derive(Clone, Debug)]
pub struct Account {
    /// User part and digest user name.
    pub user: String,
    /// Password or its digest.
    pub secret: AccountSecret,
}

/// A call we make.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Request-URI: the dialled number at the trunk, or the contact of a binding.
    pub uri: Uri,
    /// Who calls. A tag is added.
    pub from: NameAddr,
    /// Who is called; the Request-URI where absent.
    pub to: Option<NameAddr>,
    /// The next hop.
    pub target: Target,
    /// For a 401 or 407 of that hop, and of nobody else.
    pub credentials: Option<Credentials>,
    /// What it is asked for beyond a plain call.
    pub extensions: Extensions,
    /// Headers of the application: tags, identity.
    pub headers: Vec<(String, String)>,
    /// The session offer (application/sdp).
    pub body: Option<Vec<u8>>,
    /// CANCEL after this long without a final answer.
    pub ring_limit: Option<Duration>,
    /// Call-ID, made up where absent.
    pub call_id: Option<String>,
    /// As [`Endpoint::plan`](super::Endpoint::plan) named it; made up where absent.
    pub identity: Option<Identity>,
    /// From this moment on it is sent neither again nor with credentials: the call may be somebody else's by then.
    pub not_after: Option<Instant>,
}

/// What tells one INVITE from every other, fixed before it is sent so that it can be written down first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Branch of its Via.
    pub branch: String,
    /// Tag of its From.
    pub tag: String,
}

/// A registration we keep up at somebody else's registrar.
#[derive(Clone, Debug)]
pub struct RegistrationConfig {
    /// Request-URI: the registrar's domain, without a user part.
    pub registrar: Uri,
    /// The next hop.
    pub target: Target,
    /// Address of record.
    pub aor: Uri,
    /// For a 401 or 407.
    pub credentials: Option<Credentials>,
    /// How long we ask for. The registrar decides.
    pub expires_s: u32,
    /// Place in [`EndpointConfig::locals`] of the address the contact names.
    pub local: usize,
}

/// Where an account can be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// What the phone gave.
    pub contact: Uri,
    /// The path its REGISTER came by; calls go back over it.
    pub flow: Flow,
    /// The same path, for [`Invite::target`].
    pub target: Target,
    /// When it lapses.
    pub expires_at: Instant,
    /// User-Agent, cleaned and cut.
    pub user_agent: Option<String>,
}
