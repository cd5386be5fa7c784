//! Starts every loop in order, keeps watch over them, and takes them down: calls first, then the doors.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use call::{HangupCause, QueueId, TenantId, TrunkId};
use desk::{AgentConfig, CallLimits, Desk, DeskConfig, DeskLimits, Queue, QueueTarget, Seat as DeskSeat};
use media::codec::CodecKind;
use rand::Rng;
use sip::digest::{AccountSecret, Algorithm};
use sip::endpoint::{Account, Endpoint, EndpointConfig, Local, Transport};
use store::{Home, NodeId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use web::origin::Origins;
use web::{WebConfig, WebLimits};

use crate::admin_token;
use crate::clock;
use crate::config::checked::{self, Config, Seat};
use crate::demo;
use crate::drive::call::{CallConfig, CallContext};
use crate::drive::callbacks::shield::Shield;
use crate::drive::callbacks::{self, Callbacks, Line};
use crate::drive::calls::Calls;
use crate::drive::console::Consoles;
use crate::drive::desk::{self as desk_task, DeskHandle};
use crate::drive::inbound;
use crate::drive::media::MediaHandle;
use crate::drive::media::worker::{self, WorkerConfig};
use crate::drive::messages::{self, Messages, Round};
use crate::drive::sip::dns::Dns;
use crate::drive::sip::driver::{DriverConfig, PhonePresence, SipDriver};
use crate::drive::sip::sockets::{Certificates, Sockets};
use crate::drive::sip::trunks::transport;
use crate::drive::sip::{Incoming, ORDERS_MAX, SipHandle};
use crate::drive::web::{House, TenantDoor};
use crate::ladder::{self, Ladders, Tap};
use crate::net::addresses;
use crate::node;
use crate::number_key::NumberKey;
use crate::observe::health::{self, HealthBoard};
use crate::observe::metric::{self, Metric};
use crate::shutdown;

/// The extension of the agent inside the program.
pub(crate) const ECHO: &str = "echo";
/// The demo's trunk to the telephone inside the program.
const TELEPHONE: &str = "telephone";
/// Calls the echo answers at once.
const ECHO_CALLS_MAX: usize = 200;
/// Incoming calls and presence changes that may wait.
const WAITING_MAX: usize = 256;

/// How the program was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `passerelle demo`: the shop is served and the way to try it is printed.
    pub demo: bool,
}

/// Why the program could not start: one sentence for the admin, with the mend.
#[derive(Debug)]
pub enum StartError {
    /// A socket could not be had.
    Listen {
        /// For what.
        what: &'static str,
        /// Which.
        address: SocketAddr,
        /// The key to change.
        key: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The store could not be opened.
    Store(String),
    /// A certificate for SIP cannot be used: which key, why.
    Certificate(String),
    /// Messages cannot be sent.
    Messages(String),
    /// Threads or the runtime could not be had.
    Runtime(io::Error),
    /// Not a start at all: a loop of the program ended while it was wanted.
    Ended(&'static str),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { what, address, key, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{what} {address} is in use by another program (or another passerelle): stop it, or change {key}"
                )
            }
            Self::Listen { what, address, key, error } if error.kind() == io::ErrorKind::AddrNotAvailable => {
                write!(f, "{what} {address} is no address of this machine: change {key}")
            }
            Self::Listen { what, address, key, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "{what} {address} may not be opened by this user: take a port above 1023 in {key}, or grant CAP_NET_BIND_SERVICE"
                )
            }
            Self::Listen { what, address, key, error } => {
                write!(f, "{what} {address} cannot be opened ({error}): change {key}")
            }
            Self::Store(why) => write!(f, "the store cannot be opened: {why}"),
            Self::Certificate(why) => write!(f, "a certificate for SIP cannot be used: {why}"),
            Self::Messages(why) => write!(f, "messages cannot be sent: {why}; see [mail] and [tenant.webhook]"),
            Self::Runtime(error) => write!(f, "the system gives no threads: {error}"),
            Self::Ended(room) => {
                write!(f, "{room} ended by a fault of the program; its last lines say where: please report it")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the gateway until it is told to end.
pub fn run(config: Config, options: Options) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("passerelle")
        .build()
        .map_err(StartError::Runtime)?;
    let outcome = runtime.block_on(serve(config, options));
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

async fn serve(config: Config, options: Options) -> Result<(), StartError> {
    let config = Arc::new(config);
    metric::install().map_err(|error| StartError::Store(error.to_string()))?;
    let store = open_store(&config).await?;
    let shield = start_shield(&config, &store).await?;
    let listener = TcpListener::bind(config.http.listen).await.map_err(|error| StartError::Listen {
        what: "http",
        address: config.http.listen,
        key: "[http] listen",
        error,
    })?;
    let probe: [u8; 16] = rand::rng().random();
    let (media, threads) = start_media(&config, probe)?;
    let echo = config.queues.iter().any(|queue| queue.target == checked::QueueTarget::Echo).then(random_password);
    let (tap, ladders) = ladder::start(&config.ladder);
    let signalling = start_sip(&config, echo.as_deref(), tap.clone()).await?;
    let calls = Calls::default();
    let consoles = Consoles::default();
    let mut rooms = Rooms::default();
    rooms.watch("signalling", signalling.task);
    let parts =
        Parts { calls: &calls, consoles: &consoles, sip: &signalling.handle, media: &media, store: &store, tap };
    let (desks, contexts) = start_desks(&config, &parts, &mut rooms);
    let presence = follow_presence(signalling.presence, desks.values().cloned().collect());
    rooms.watch("the phones' presence", tokio::spawn(presence));
    let inbound = inbound::run(contexts.clone(), signalling.handle.clone(), signalling.incoming);
    rooms.watch("the inbound door", tokio::spawn(inbound));
    let board = HealthBoard::default();
    rooms.watch("the metrics' upkeep", tokio::spawn(metrics_upkeep()));
    let (callbacks, round) = start_callbacks(&config, node::id(&signalling.bound), &contexts, shield, &mut rooms)?;
    let echo_agent = match &echo {
        Some(password) => Some(demo::agent::start(&signalling.bound, password, media.clone()).await?),
        None => None,
    };
    let telephone = start_telephone(&config, options, &signalling.bound, &media).await?;
    let house = Arc::new(house(&config, &contexts, callbacks.clone(), ladders, board.clone())?);
    let (stop, stopped) = watch::channel(false);
    let web = tokio::spawn(serve_web(listener, Arc::clone(&house), Arc::clone(&config), options, stopped));
    // The last to start: the first gauges it writes count every room.
    let prober = health::run(board, media.clone(), signalling.handle.clone(), store, probe);
    rooms.watch("the health probe", tokio::spawn(prober));
    info!(http = %config.http.listen, sip = ?signalling.bound, workers = config.media.workers, "passerelle is ready");
    if options.demo {
        demo::banner::print(&config);
    }

    let drain = if options.demo { Duration::ZERO } else { config.shutdown.drain_limit };
    let ended = rooms.until_told_to_end().await;
    let desks: Vec<DeskHandle> = desks.into_values().collect();
    finish_calls(&house, &desks, &callbacks, &calls, drain).await;
    shutdown::end_at_next_signal();
    let _web_gone = stop.send(true);
    for phone in [echo_agent, telephone].into_iter().flatten() {
        phone.shutdown().await;
    }
    signalling.handle.shutdown().await;
    round.end().await;
    drop(rooms);
    let told = media.workers().iter().map(|worker| worker.shutdown().is_ok());
    let threads: Vec<_> = threads.into_iter().zip(told.collect::<Vec<_>>()).collect();
    if tokio::time::timeout(Duration::from_secs(3), web).await.is_err() {
        warn!("the web edge did not end in time");
    }
    join_workers(threads).await;
    info!("passerelle has ended");
    ended.map_or(Ok(()), |room| Err(StartError::Ended(room)))
}

/// The telephone that answers the demo's call-backs.
async fn start_telephone(
    config: &Config,
    options: Options,
    gateway: &[(Transport, SocketAddr)],
    media: &MediaHandle,
) -> Result<Option<demo::agent::EchoAgent>, StartError> {
    let trunk = config.trunks.iter().find(|trunk| options.demo && trunk.name == TELEPHONE);
    let at = trunk.and_then(|trunk| Some(SocketAddr::new(trunk.host.parse().ok()?, trunk.port?)));
    match at {
        Some(at) => Ok(Some(demo::agent::telephone(gateway, at, media.clone()).await?)),
        None => Ok(None),
    }
}

/// What the edge talks to.
fn house(
    config: &Config,
    contexts: &BTreeMap<String, CallContext>,
    callbacks: Callbacks,
    ladders: Ladders,
    board: HealthBoard,
) -> Result<House, StartError> {
    Ok(House {
        tenants: doors(config, contexts),
        agents: config.agents.iter().map(|agent| (agent.clone(), tenants_of(config, agent))).collect(),
        callbacks,
        admin_token: admin_token::of_the_gateway(config).map_err(StartError::Store)?,
        ladders,
        board,
        accepting: AtomicBool::new(true),
    })
}

/// The clerk at his book, and the postman on his round.
fn start_callbacks(
    config: &Config,
    node: NodeId,
    contexts: &BTreeMap<String, CallContext>,
    shield: Arc<Shield>,
    rooms: &mut Rooms,
) -> Result<(Callbacks, Round), StartError> {
    let messages = Messages::new(shield.home(), config);
    let lines = callback_lines(config, contexts);
    let (callbacks, clerk) = callbacks::start(node, Arc::clone(&shield), lines, messages.clone());
    rooms.watch("the shield's upkeep", tokio::spawn(shield.upkeep()));
    rooms.watch("the call-back clerk", clerk);
    let book = Arc::new(callbacks.clone());
    let (round, postman) = messages::start(messages, book, config).map_err(StartError::Messages)?;
    rooms.watch("the postman", postman);
    Ok((callbacks, round))
}

/// Takes nothing more, and lets what is in progress come to its end.
async fn finish_calls(house: &House, desks: &[DeskHandle], callbacks: &Callbacks, calls: &Calls, drain: Duration) {
    house.accepting.store(false, Ordering::Relaxed);
    for desk in desks {
        desk.accepting(false).await;
    }
    if tokio::time::timeout(Duration::from_secs(5), callbacks.hand_over()).await.is_err() {
        warn!("the call-backs in hand were not put back in time: they are taken over when their lease ends");
    }
    shutdown::drain(calls, drain).await;
    if tokio::time::timeout(Duration::from_secs(3), callbacks.idle()).await.is_err() {
        warn!("a call-back's outcome was not written in time: the next start takes it over as in doubt");
    }
}

/// Waits for the workers that were told to end; one that could not be told ends with the process.
async fn join_workers(threads: Vec<(std::thread::JoinHandle<()>, bool)>) {
    for (thread, told) in threads {
        if !told {
            warn!("a media worker could not be told to end");
            continue;
        }
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok());
        match tokio::time::timeout(Duration::from_secs(3), joined).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => error!("a media worker panicked"),
            Err(_) => warn!("a media worker did not end in time"),
        }
    }
}

/// The loops without which the program does nothing useful. Dropped, what still runs of them is ended.
#[derive(Default)]
struct Rooms(tokio::task::JoinSet<&'static str>);

impl Rooms {
    fn watch(&mut self, name: &'static str, task: tokio::task::JoinHandle<()>) {
        let ending = task.abort_handle();
        self.0.spawn(async move {
            let _end_at_drop = AbortAtDrop(ending);
            if task.await.is_err() {
                metric::count(Metric::Panics);
            }
            name
        });
    }

    /// Waits for a signal; or gives the name of a loop that ended before it.
    async fn until_told_to_end(&mut self) -> Option<&'static str> {
        let ended = tokio::select! {
            () = shutdown::wait_for_signal() => None,
            room = self.first_end() => Some(room),
        };
        if let Some(room) = ended {
            error!(room, "a part of the program has ended; no new calls, and those in progress may finish");
        }
        ended
    }

    /// The name of the first that ends, by itself or by a panic.
    async fn first_end(&mut self) -> &'static str {
        match self.0.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(_)) | None => "a watched loop",
        }
    }
}

struct AbortAtDrop(tokio::task::AbortHandle);

impl Drop for AbortAtDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open_store(config: &Config) -> Result<Arc<dyn Home>, StartError> {
    let store = store::open(&config.store.url).map_err(|error| StartError::Store(error.to_string()))?;
    match store.close_interrupted(clock::unix_ms()).await {
        Ok(0) => {}
        Ok(closed) => warn!(calls = closed, "calls of a process that died are closed as interrupted"),
        Err(error) => return Err(StartError::Store(error.to_string())),
    }
    Ok(store)
}

/// The shield of the call-backs; where nobody is called back it needs no key of its own.
async fn start_shield(config: &Config, store: &Arc<dyn Home>) -> Result<Arc<Shield>, StartError> {
    let calls_back = config.queues.iter().any(|queue| queue.callback.is_some());
    let key = if calls_back { NumberKey::of(config) } else { NumberKey::for_this_process() };
    let shield = Arc::new(Shield::new(Arc::clone(store), key.map_err(StartError::Store)?, config));
    if calls_back {
        shield.look_at_keys().await.map_err(|error| StartError::Store(error.to_string()))?;
    }
    Ok(shield)
}

fn start_media(
    config: &Config,
    probe: [u8; 16],
) -> Result<(MediaHandle, Vec<std::thread::JoinHandle<()>>), StartError> {
    let mut workers = Vec::new();
    let mut threads = Vec::new();
    for number in 0..config.media.workers {
        let mut listen = config.media.webrtc_listen;
        listen.set_port(listen.port() + u16::try_from(number).unwrap_or(u16::MAX));
        let worker = WorkerConfig {
            number,
            workers: config.media.workers,
            browser_listen: listen,
            public_ip: config.media.public_ip,
            rtp_bind: config.media.rtp_address,
            rtp_ports: config.media.rtp_ports.clone(),
            // A little later than the call gives up by itself: this one is for a call that does not.
            consent_limit: browser::CONSENT_LIMIT + config.limits.media_lost_grace + Duration::from_secs(1),
            probe,
        };
        let (handle, thread) = worker::start(worker).map_err(|error| StartError::Listen {
            what: "webrtc udp",
            address: listen,
            key: "[media] webrtc_listen",
            error,
        })?;
        workers.push(handle);
        threads.push(thread);
    }
    Ok((MediaHandle::new(workers), threads))
}

/// Signalling, running.
struct Signalling {
    handle: SipHandle,
    bound: Vec<(Transport, SocketAddr)>,
    incoming: mpsc::Receiver<Incoming>,
    presence: mpsc::Receiver<PhonePresence>,
    task: tokio::task::JoinHandle<()>,
}

async fn start_sip(config: &Config, echo: Option<&str>, tap: Tap) -> Result<Signalling, StartError> {
    let listen: Vec<_> = config.sip.listen.iter().map(|(kind, address)| (transport(*kind), *address)).collect();
    let certificates = Certificates::read(config).map_err(StartError::Certificate)?;
    let bind = Sockets::bind(&listen, certificates).await;
    let (sockets, bound, inbound) =
        bind.map_err(|(address, error)| StartError::Listen { what: "sip", address, key: "[sip] listen", error })?;
    let mut endpoint_config = EndpointConfig::new(locals(&bound, config), &config.sip.realm, rand::rng().random());
    if config.sip.digest_sha256 {
        endpoint_config.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    }
    endpoint_config.max_transactions = config.limits.sip_transactions_max;
    endpoint_config.max_calls = config.limits.calls_max.saturating_mul(2).saturating_mul(config.tenants.len().max(1));
    let endpoint = Endpoint::new(endpoint_config, clock::now());
    let (incoming_in, incoming) = mpsc::channel(WAITING_MAX);
    let (presence_in, presence) = mpsc::channel(WAITING_MAX);
    let (orders_in, orders) = mpsc::channel(ORDERS_MAX);
    let next_leg = Arc::new(AtomicU64::new(1));
    let driver_config = DriverConfig {
        trunks: config.trunks.clone(),
        dns: Arc::new(Dns::new(&config.sip.dns)),
        sdp_ip: sdp_ip(config),
        realm: config.sip.realm.clone(),
        incoming: incoming_in,
        presence: presence_in,
        next_leg: Arc::clone(&next_leg),
        tap,
    };
    let mut driver = SipDriver::new(driver_config, endpoint, sockets, bound.clone());
    let agents = config.agents.iter().map(|agent| (agent.extension.as_str(), agent.password.expose()));
    let accounts = agents.chain(echo.map(|password| (ECHO, password)));
    driver.set_accounts(
        accounts
            .map(|(user, password)| Account {
                user: user.to_owned(),
                secret: AccountSecret::new(user, &config.sip.realm, password),
            })
            .collect(),
    );
    let task = tokio::spawn(driver.run(orders, inbound));
    Ok(Signalling { handle: SipHandle::new(orders_in, next_leg), bound, incoming, presence, task })
}

/// What peers are told of each socket: the public address, or for a socket on all addresses the one that faces out.
pub(crate) fn locals(bound: &[(Transport, SocketAddr)], config: &Config) -> Vec<Local> {
    bound
        .iter()
        .map(|(transport, bound)| {
            // An address of the other version of IP leads nobody to this socket.
            let ip = match config.sip.public_ip.filter(|ip| ip.is_ipv4() == bound.is_ipv4()) {
                Some(ip) => Some(ip),
                None if bound.ip().is_unspecified() => Some(addresses::local_towards(outside(*bound))),
                None => None,
            };
            Local { transport: *transport, bound: *bound, advertised: ip.map(|ip| SocketAddr::new(ip, bound.port())) }
        })
        .collect()
}

/// Some address out there (TEST-NET-1, RFC 5737; 2001:db8::/32), to ask the routing table which of ours faces it.
fn outside(bound: SocketAddr) -> SocketAddr {
    if bound.is_ipv4() {
        ([192, 0, 2, 1], 9).into()
    } else {
        (std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()
    }
}

/// What every call needs, whosever it is.
struct Parts<'a> {
    calls: &'a Calls,
    consoles: &'a Consoles,
    sip: &'a SipHandle,
    media: &'a MediaHandle,
    store: &'a Arc<dyn Home>,
    tap: Tap,
}

fn start_desks(
    config: &Arc<Config>,
    Parts { calls, consoles, sip, media, store, tap }: &Parts<'_>,
    rooms: &mut Rooms,
) -> (BTreeMap<String, DeskHandle>, BTreeMap<String, CallContext>) {
    let call_config = Arc::new(call_config(config));
    let mut desks = BTreeMap::new();
    let mut contexts = BTreeMap::new();
    for tenant in &config.tenants {
        let queues: Vec<Queue> =
            config.queues.iter().filter(|queue| queue.tenant == tenant.id).map(desk_queue).collect();
        let ids: Vec<QueueId> = queues.iter().map(|queue| queue.id.clone()).collect();
        let desk = Desk::new(desk_config(config, &tenant.id, queues), clock::call_now());
        let (handle, task) = desk_task::start(desk, ids, (*calls).clone());
        rooms.watch("a desk", task);
        contexts.insert(
            tenant.id.clone(),
            CallContext {
                sip: (*sip).clone(),
                media: (*media).clone(),
                desk: handle.clone(),
                store: Arc::clone(store),
                calls: (*calls).clone(),
                consoles: (*consoles).clone(),
                tap: tap.clone(),
                config: Arc::clone(&call_config),
            },
        );
        desks.insert(tenant.id.clone(), handle);
    }
    (desks, contexts)
}

/// Whom a queue rings behind a trunk.
fn trunk_user(queue: &checked::Queue) -> Option<(String, String)> {
    match &queue.target {
        checked::QueueTarget::Trunk { trunk, user } => Some((trunk.clone(), user.clone())),
        checked::QueueTarget::Agents { .. } | checked::QueueTarget::Echo => None,
    }
}

fn call_config(config: &Config) -> CallConfig {
    let seat = |queue: &checked::Queue| match queue.target {
        checked::QueueTarget::Agents { seat, .. } => seat,
        checked::QueueTarget::Echo => Seat::Phone,
        checked::QueueTarget::Trunk { .. } => Seat::Any,
    };
    let key = |tenant: &checked::Tenant| match &tenant.tag_key {
        Some(key) => key.expose().as_bytes().to_vec(),
        None => rand::rng().random::<[u8; 32]>().to_vec(),
    };
    CallConfig {
        sdp_ip: sdp_ip(config),
        trunks: config.trunks.clone(),
        trunk_users: config.queues.iter().filter_map(trunk_user).collect(),
        agent_codecs: vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcma, CodecKind::Pcmu],
        agent_srtp: config.sip.srtp,
        seats: config.queues.iter().map(|queue| ((queue.tenant.clone(), queue.id.clone()), seat(queue))).collect(),
        tag_keys: config.tenants.iter().map(|tenant| (tenant.id.clone(), key(tenant))).collect(),
    }
}

fn desk_config(config: &Config, tenant: &str, queues: Vec<Queue>) -> DeskConfig {
    let limits = &config.limits;
    let mut agents: Vec<AgentConfig> = config
        .agents
        .iter()
        .filter(|agent| serves(config, &agent.extension, tenant))
        .map(|agent| AgentConfig {
            extension: agent.extension.clone(),
            name: agent.name.clone(),
            skills: agent.skills.clone(),
            max_calls: 1,
        })
        .collect();
    let (extension, name) = (ECHO.to_owned(), "Echo".to_owned());
    agents.push(AgentConfig { extension, name, skills: Vec::new(), max_calls: ECHO_CALLS_MAX });
    DeskConfig {
        tenant: TenantId(tenant.to_owned()),
        queues,
        agents,
        limits: DeskLimits {
            live_per_address: limits.calls_per_ip_max,
            asks_per_address_per_minute: limits.talks_per_ip_per_minute_max,
            live_calls: limits.calls_max,
        },
        calls: CallLimits {
            max_duration: limits.call_duration_max,
            media_lost_grace: limits.media_lost_grace,
            ..CallLimits::default()
        },
        wrap_up: Duration::ZERO,
        seed: rand::rng().random(),
    }
}

/// Does this agent sit at this tenant's desk? Where a queue of it names him, or where none of any tenant does: he may
/// still call colleagues.
fn serves(config: &Config, extension: &str, tenant: &str) -> bool {
    let named = |queue: &&checked::Queue| match &queue.target {
        checked::QueueTarget::Agents { extensions, .. } => extensions.iter().any(|known| known == extension),
        checked::QueueTarget::Trunk { .. } | checked::QueueTarget::Echo => false,
    };
    let mut tenants = config.queues.iter().filter(named).map(|queue| queue.tenant.as_str()).peekable();
    tenants.peek().is_none() || tenants.any(|known| known == tenant)
}

/// The tenants at whose desks an agent sits.
fn tenants_of(config: &Config, agent: &checked::Agent) -> Vec<String> {
    let tenants = config.tenants.iter().map(|tenant| &tenant.id);
    tenants.filter(|tenant| serves(config, &agent.extension, tenant)).cloned().collect()
}

fn desk_queue(queue: &checked::Queue) -> Queue {
    let target = match &queue.target {
        checked::QueueTarget::Agents { extensions, seat } => QueueTarget::Agents {
            extensions: extensions.clone(),
            seat: match seat {
                Seat::Any => None,
                Seat::Phone => Some(DeskSeat::SipPhone),
                Seat::Browser => Some(DeskSeat::Browser),
            },
        },
        checked::QueueTarget::Trunk { trunk, user } => {
            QueueTarget::Trunk { trunk: TrunkId(trunk.clone()), uri: user.clone() }
        }
        checked::QueueTarget::Echo => {
            QueueTarget::Agents { extensions: vec![ECHO.to_owned()], seat: Some(DeskSeat::SipPhone) }
        }
    };
    Queue {
        id: QueueId(queue.id.clone()),
        target,
        ring_limit: queue.ring_limit,
        max_waiting: queue.waiting_max,
        hours: queue.hours.clone(),
    }
}

/// The address SIP legs send their sound to, when the configuration settles it; else the one that faces each peer.
pub(crate) fn sdp_ip(config: &Config) -> Option<IpAddr> {
    config.sip.public_ip.or(config.media.rtp_address).filter(|ip| !ip.is_unspecified())
}

/// Folds the histograms now and then, asked for or not.
async fn metrics_upkeep() {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metric::upkeep();
    }
}

/// Phones that come and go are known at every desk.
async fn follow_presence(mut presence: mpsc::Receiver<PhonePresence>, desks: Vec<DeskHandle>) {
    while let Some(change) = presence.recv().await {
        for desk in &desks {
            desk.seat(&change.extension, DeskSeat::SipPhone, change.on).await;
        }
    }
}

fn doors(config: &Config, contexts: &BTreeMap<String, CallContext>) -> BTreeMap<String, TenantDoor> {
    let queues = |tenant: &str| {
        config.queues.iter().filter(|queue| queue.tenant == tenant).map(|queue| queue.id.clone()).collect()
    };
    config
        .tenants
        .iter()
        .filter_map(|tenant| {
            let context = contexts.get(&tenant.id)?.clone();
            let origins = Origins::new(&tenant.origins)
                .inspect_err(|why| error!(tenant = tenant.id, why, "an origin of this tenant is not one"))
                .ok()?;
            Some((tenant.id.clone(), TenantDoor { origins, queues: queues(&tenant.id), context }))
        })
        .collect()
}

/// The queues that call back.
fn callback_lines(config: &Config, contexts: &BTreeMap<String, CallContext>) -> Vec<Line> {
    let keys_of = |tenant: &str| {
        let tenant = config.tenants.iter().find(|known| known.id == tenant);
        tenant.map(|tenant| tenant.customer_keys.clone()).unwrap_or_default()
    };
    let line = |queue: &checked::Queue| {
        Some(Line {
            tenant: queue.tenant.clone(),
            queue: queue.id.clone(),
            config: queue.callback.clone()?,
            hours: queue.hours.clone(),
            agents: match &queue.target {
                checked::QueueTarget::Agents { extensions, .. } => extensions.clone(),
                checked::QueueTarget::Trunk { .. } | checked::QueueTarget::Echo => Vec::new(),
            },
            customer_keys: keys_of(&queue.tenant),
            context: contexts.get(&queue.tenant)?.clone(),
        })
    };
    config.queues.iter().filter_map(line).collect()
}

/// The gateway's one clock, for the edge.
struct EdgeClock;

impl web::Clock for EdgeClock {
    fn now(&self) -> std::time::Instant {
        clock::now()
    }

    fn unix_ms(&self) -> u64 {
        clock::unix_ms()
    }
}

async fn serve_web(
    listener: TcpListener,
    house: Arc<House>,
    config: Arc<Config>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) {
    let web_config = WebConfig {
        demo: options.demo,
        public_url: Some(config.http.public_url.clone()),
        trusted_proxies: config.http.trusted_proxies.clone(),
        clock: Arc::new(EdgeClock),
        limits: WebLimits {
            token_life: config.limits.token_lifetime,
            callback_asks: config.limits.callback_asks_per_ip_per_hour_max,
            proof: config.callback.proof,
            ..WebLimits::default()
        }
        .for_talks_per_minute(config.limits.talks_per_ip_per_minute_max),
    };
    let stopped = async move {
        // A sender that is gone means the same.
        let _stop = stop.wait_for(|stop| *stop).await;
    };
    web::serve(listener, web_config, house, stopped).await;
}

fn random_password() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// The causes a shutdown gives to calls still up.
pub(crate) const SHUTDOWN: HangupCause = HangupCause::Shutdown;
