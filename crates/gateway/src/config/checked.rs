//! The configuration as the program uses it: units applied, ranges checked, references known to hold.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use media::sdp::SrtpPolicy;

/// Everything `passerelle run` needs to know. Built only by [`super::load`] and [`super::demo`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Pages, API, metrics.
    pub http: Http,
    /// Signalling towards PBXs and softphones.
    pub sip: Sip,
    /// Sound.
    pub media: Media,
    /// Where records are kept.
    pub store: Store,
    /// The web sites served.
    pub tenants: Vec<Tenant>,
    /// The PBXs and providers calls may go to.
    pub trunks: Vec<Trunk>,
    /// Who rings for which button.
    pub queues: Vec<Queue>,
    /// What keeps the call-backs of all queues from being turned against people.
    pub callback: Shield,
    /// Softphones that register straight to Passerelle, and the agents' page.
    pub agents: Vec<Agent>,
    /// How a running gateway ends.
    pub shutdown: Shutdown,
    /// What is written while it runs.
    pub log: Log,
    /// What no page, visitor or caller may exceed.
    pub limits: Limits,
    /// How visitors are written to; `None`: they are not.
    pub mail: Option<Mail>,
    /// What is kept of the messages of a call.
    pub ladder: Ladder,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Address of the HTTP and WebSocket listener.
    pub listen: SocketAddr,
    /// How browsers reach it, without a trailing slash: `https://voice.shop.example`.
    pub public_url: String,
    /// Reverse proxies whose word about a visitor's address is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who shows it is the administrator; none: the file beside an embedded store holds it.
    pub admin_token: Option<Secret>,
}

/// How SIP travels. The drivers translate it to `sip::endpoint::Transport`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// One datagram a message.
    Udp,
    /// A stream.
    Tcp,
    /// A stream by TLS.
    Tls,
}

impl Transport {
    /// As it is written in the configuration and in a URI's `transport` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port where none is written.
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

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// Listeners, never empty.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// Address written into Via, Contact and SDP when the gateway stands behind a NAT.
    pub public_ip: Option<IpAddr>,
    /// Realm of the challenges sent to registering softphones.
    pub realm: String,
    /// Challenge with SHA-256 beside MD5 (RFC 8760).
    pub digest_sha256: bool,
    /// Whether the sound of agents' own phones is encrypted.
    pub srtp: SrtpPolicy,
    /// What the `tls:` listeners show. Present whenever there is one.
    pub tls: Option<TlsFiles>,
    /// DNS servers asked for trunks; empty: the system's.
    pub dns: Vec<SocketAddr>,
    /// New calls from outside in any one second; more are answered 503.
    pub calls_per_second_max: usize,
    /// Requests without proof that one stranger's address may make at once; one more each second.
    pub stranger_requests_max: usize,
    /// How long an address that made more is not heard.
    pub stranger_ban: Duration,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// SHA-256 of a public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pin(pub [u8; 32]);

/// How a trunk by TLS is known, and how it knows us.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrunkTls {
    /// Authorities that are believed instead of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The keys that are believed, and then no others.
    pub pins: Vec<Pin>,
    /// What we show.
    pub own: Option<TlsFiles>,
}

/// `[media]`
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Address and first UDP port of the browser legs; worker `n` listens on this port plus `n`.
    pub webrtc_listen: SocketAddr,
    /// Address browsers are told to send to, before the machine's own addresses. Default: `sip.public_ip`.
    pub public_ip: Option<IpAddr>,
    /// UDP ports of the SIP legs: RTP on the even one, RTCP on the odd one above it. Starts even, ends odd.
    pub rtp_ports: RangeInclusive<u16>,
    /// Local address of the SIP legs' sockets; `None`: all.
    pub rtp_address: Option<IpAddr>,
    /// Media threads, at least one.
    pub workers: usize,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// As `store::open` takes it: `sqlite:data/passerelle.db` or `memory:`.
    pub url: String,
}

/// `[[tenant]]`
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Name in the widget's `data-tenant`.
    pub id: String,
    /// Web origins that may use it, lower case, no trailing slash, default port left out.
    pub origins: Vec<String>,
    /// Key of the MAC in `User-to-User`; `None`: the gateway makes one at each start.
    pub tag_key: Option<Secret>,
    /// Keys of what the shop's server says of customers, the newest first; none: nothing is believed of it.
    pub customer_keys: Vec<Secret>,
    /// Where its call-backs are told of; `None`: nowhere.
    pub webhook: Option<Webhook>,
}

/// `[tenant.webhook]`
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where it is sent.
    pub url: HttpUrl,
    /// The key of its signature, decoded.
    pub key: SigningKey,
    /// What is told.
    pub events: Vec<Event>,
    /// The customer's number in full; else masked.
    pub full_number: bool,
}

/// An address for HTTP, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl {
    /// By TLS.
    pub https: bool,
    /// Name or number of the host, an IPv6 one without its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// As `Host` has it.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// The key of a webhook's signature. `Debug` hides it.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningKey(pub Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// What is told of a call-back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// It is promised.
    Scheduled,
    /// It has another time.
    Moved,
    /// It is called off.
    Cancelled,
    /// They talk.
    Connected,
    /// They talked.
    Completed,
    /// It is given up.
    Failed,
    /// Its day is over.
    Expired,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Scheduled, Self::Moved, Self::Cancelled, Self::Connected, Self::Completed, Self::Failed, Self::Expired];

    /// As it is written in the configuration and in a webhook's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "callback.scheduled",
            Self::Moved => "callback.moved",
            Self::Cancelled => "callback.cancelled",
            Self::Connected => "callback.connected",
            Self::Completed => "callback.completed",
            Self::Failed => "callback.failed",
            Self::Expired => "callback.expired",
        }
    }
}

/// `[mail]`
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is kept secret.
    pub tls: MailTls,
    /// User and password at the relay.
    pub login: Option<(String, Secret)>,
    /// Who writes, as a person reads it.
    pub from_name: Option<String>,
    /// Who writes.
    pub from: desk::Email,
}

/// How the line to the relay is kept secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTls {
    /// After STARTTLS, or not at all (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314).
    Tls,
    /// It is not.
    None,
}

/// `[[trunk]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// What queues call it.
    pub name: String,
    /// Name or address of the PBX.
    pub host: String,
    /// Port of the PBX. `None`: not written in the URI; a name is then looked up by RFC 3263, an address means 5060.
    pub port: Option<u16>,
    /// How to reach it, where nothing else is said.
    pub transport: Transport,
    /// Certificates, where that is by TLS.
    pub tls: TrunkTls,
    /// Where requests to it go: what `uri` names, or the `targets`. Never empty.
    pub places: Vec<Place>,
    /// Time between two OPTIONS to each target; `None`: none is sent.
    pub options_interval: Option<Duration>,
    /// Calls begun in one second; `None`: no such cap.
    pub calls_per_second_max: Option<usize>,
    /// Calls at once; `None`: no such cap.
    pub calls_max: Option<usize>,
    /// Send REGISTER and stay registered.
    pub register: bool,
    /// Lifetime asked for in REGISTER; the registrar may grant less.
    pub register_expires: Duration,
    /// Digest user, also the user part of the gateway's own address there.
    pub username: Option<String>,
    /// The only digest realm its password is for; `None`: whichever its own address names.
    pub realm: Option<String>,
    /// Digest password. Present whenever `register` is.
    pub password: Option<Secret>,
    /// Codecs offered, best first, each once, never empty.
    pub codecs: Vec<Codec>,
    /// Whether its sound is encrypted.
    pub srtp: SrtpPolicy,
    /// What it is asked for beyond plain calls, and what it is granted.
    pub extensions: sip::Extensions,
    /// Where this PBX may have a call transferred.
    pub transfer: TransferPolicy,
    /// What of the visitor's tag is shown to this PBX.
    pub headers: HeaderPolicy,
    /// Addresses whose INVITEs are taken as this trunk's, besides `host`'s own.
    pub accept_from: Vec<IpAddr>,
    /// Numbers that may be shown to people called through it.
    pub caller_ids: Vec<String>,
    /// Customers called back through it in a day.
    pub callback_dials_per_day_max: u64,
    /// How long customers called back through it may be on the line, together, in a day.
    pub callback_time_per_day_max: Duration,
    /// Beyond so much money in a day nobody is called back through it.
    pub callback_money: Option<MoneyMax>,
}

/// One place where a trunk's requests go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Name or address.
    pub host: String,
    /// Where it is written.
    pub port: Option<u16>,
    /// Where it is written.
    pub transport: Option<Transport>,
    /// Lower first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
}

/// What a day of call-backs may cost, in millionths of the provider's money.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MoneyMax {
    /// A minute to each number.
    pub prices: desk::Prices,
    /// A day.
    pub per_day_micros: u64,
}

/// Audio codecs by their SDP names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Codec {
    /// `opus`
    Opus,
    /// `g722`
    G722,
    /// `pcma`
    Pcma,
    /// `pcmu`
    Pcmu,
}

impl Codec {
    /// All, best first: the default preference.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "g722",
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
        }
    }
}

/// What of the tag goes on an INVITE to a trunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderPolicy {
    /// One `User-to-User` (RFC 7433): an opaque id and its MAC.
    pub user_to_user: bool,
    /// Readable `X-Passerelle-*`: session, page, title, referrer, language, time.
    pub x_headers: bool,
    /// The page's title as display name of From.
    pub display_name: bool,
}

/// `[[queue]]`
#[derive(Clone, Debug)]
pub struct Queue {
    /// Name in the widget's `data-queue`.
    pub id: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// Who rings.
    pub target: QueueTarget,
    /// How long one agent, or the trunk, rings before the next is tried.
    pub ring_limit: Duration,
    /// Visitors who may wait at once; one more is told that all are busy.
    pub waiting_max: usize,
    /// When it is open; `None`: always.
    pub hours: Option<desk::Hours>,
    /// How it calls back; `None`: it does not.
    pub callback: Option<QueueCallback>,
}

/// `[queue.callback]`
#[derive(Clone, Debug)]
pub struct QueueCallback {
    /// Behind which trunk the customers are.
    pub trunk: String,
    /// The agent is rung first and hears the customer's phone ring; else the customer is.
    pub agent_first: bool,
    /// An agent who is rung first takes it by key 1 within this time of answering; `None`: by answering.
    pub key_limit: Option<Duration>,
    /// So long after a talk the agent who had it is asked first; zero: never.
    pub last_agent_for: Duration,
    /// So long he is waited for when he is not free.
    pub last_agent_wait: Duration,
    /// Which numbers are called.
    pub numbers: desk::NumberPolicy,
    /// How a number is written for the trunk.
    pub dial_as: DialAs,
    /// Digits before it, such as the 0 of an outside line.
    pub dial_prefix: String,
    /// The number shown to the customer, one of the trunk's; `None`: as the trunk decides.
    pub caller_id: Option<String>,
    /// How long the customer's phone may ring.
    pub ring_limit: Duration,
    /// Call-backs of this queue dialled at once.
    pub at_once_max: usize,
    /// Call-backs of this tenant that may be open.
    pub open_max: u64,
    /// Call-backs to one number in 24 hours, at all tenants.
    pub per_number_per_day_max: u64,
    /// Call-backs one web session may ask for in a day.
    pub per_session_per_day_max: u64,
    /// Call-backs this tenant may be asked for in a day.
    pub asks_per_day_max: u64,
    /// Visitors may ask to be called at once also while the queue is paused.
    pub asap_while_paused: bool,
    /// Nobody is offered a call at once who would probably wait longer; `None`: however long it takes.
    pub wait_max: Option<Duration>,
    /// The slots a visitor may choose from.
    pub slots: desk::Slots,
    /// Whose turn it is among those who wait.
    pub order: desk::Order,
    /// When a try is made again.
    pub retry: desk::RetryRules,
}

/// `[callback]`
#[derive(Clone, Debug, PartialEq)]
pub struct Shield {
    /// Key under which numbers not to be called are hashed; `None`: one that is kept beside the store.
    pub number_key: Option<Secret>,
    /// How long such a number is remembered.
    pub suppress_for: Duration,
    /// When a page has to work before it may ask.
    pub proof: web::ProofDemand,
}

/// How a number is dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DialAs {
    /// `+33612345678`
    E164,
    /// `33612345678`
    Digits,
    /// `0033612345678`
    International,
    /// `0612345678` at home, as international abroad.
    National,
}

/// Where a PBX's REFER may lead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferPolicy {
    /// Whom it may name at all.
    pub rule: TransferRule,
    /// Users of this PBX besides those the queues ring: `601`, or `6??` for any three digits that begin with 6.
    pub users: Vec<String>,
}

/// Whom a PBX's REFER may name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransferRule {
    /// Nobody: a REFER is refused.
    Off,
    /// Agents registered here.
    Agents,
    /// These and the users of the same PBX the configuration knows.
    Trunk,
}

impl TransferPolicy {
    /// Whether this user of the PBX is among those named here.
    pub fn names(&self, user: &str) -> bool {
        self.users.iter().any(|pattern| {
            pattern.len() == user.len()
                && pattern.bytes().zip(user.bytes()).all(|(want, is)| match want {
                    b'?' => is.is_ascii_digit(),
                    want => want == is,
                })
        })
    }
}

/// Where a queue's calls go. A page never chooses: the queue decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueueTarget {
    /// These extensions, at the seat the queue names.
    Agents {
        /// Never empty, each defined.
        extensions: Vec<String>,
        /// Which of the agent's seats ring.
        seat: Seat,
    },
    /// `sip:USER@TRUNK`
    Trunk {
        /// A defined trunk.
        trunk: String,
        /// User part of the request URI.
        user: String,
    },
    /// The agent inside the program: answers, says a sentence, then echoes.
    Echo,
}

/// Where an agent can answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seat {
    /// Softphone and page, whichever is ready.
    Any,
    /// The registered softphone only.
    Phone,
    /// The agents' page only.
    Browser,
}

/// `[[agent]]`
#[derive(Clone, Debug)]
pub struct Agent {
    /// SIP user and login name.
    pub extension: String,
    /// Shown to the visitor.
    pub name: String,
    /// What he can do, languages among it.
    pub skills: Vec<String>,
    /// For REGISTER and for the agents' page.
    pub password: Secret,
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// After SIGTERM: how long calls in progress may go on.
    pub drain_limit: Duration,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Directives as `info,sip=debug`.
    pub filter: String,
    /// One JSON object a line, or text.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// For a collector.
    Json,
}

/// `[ladder]`
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Memory for all of them; 0: none are kept.
    pub bytes: usize,
    /// How long after its last line.
    pub keep: Duration,
    /// Lines of one call.
    pub rows: usize,
    /// The collector every message is sent to as well.
    pub hep: Option<Hep>,
}

/// A collector of HEP packets.
#[derive(Clone, Debug)]
pub struct Hep {
    /// Its name or address.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
    /// Who we are to it.
    pub id: u32,
    /// What lets us in there.
    pub key: Option<Secret>,
}

/// `[limits]`
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once of one tenant; one more is refused.
    pub calls_max: usize,
    /// Live calls from one address.
    pub calls_per_ip_max: usize,
    /// Talk requests from one address in a minute.
    pub talks_per_ip_per_minute_max: usize,
    /// Call-backs asked for from one address in an hour.
    pub callback_asks_per_ip_per_hour_max: usize,
    /// A call this long is ended.
    pub call_duration_max: Duration,
    /// How long a browser leg whose consent has run out (RFC 7675: 30 s) is waited for before the call ends.
    pub media_lost_grace: Duration,
    /// Lifetime of the page's one-use token.
    pub token_lifetime: Duration,
    /// SIP transactions at once.
    pub sip_transactions_max: usize,
}

/// Text that must not be seen: passwords and keys. `Debug` hides it.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that computes with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Store {
    /// The file behind an embedded store's URL.
    pub fn path(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }
}
