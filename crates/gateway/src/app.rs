//! Starts every loop in order, keeps watch over them, and takes them down: calls first, then the doors.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use call::HangupCause;
use desk::Seat as DeskSeat;
use rand::Rng;
use sip::digest::Algorithm;
use sip::endpoint::{Endpoint, EndpointConfig, GuardConfig, Local, Transport};
use store::{Home, NodeId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use web::{WebConfig, WebLimits};

use crate::clock;
use crate::config::checked::{self, Config};
use crate::demo;
use crate::drive::call::{CallConfig, CallContext};
use crate::drive::callbacks::shield::Shield;
use crate::drive::callbacks::{self, Callbacks, Latest};
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
use crate::drive::web::House;
use crate::ladder::{self, Tap};
use crate::net::addresses;
use crate::node;
use crate::number_key::NumberKey;
use crate::observe::health::{self, HealthBoard};
use crate::observe::metric::{self, Metric};
use crate::reload::{self, Loops};
use crate::shutdown;
use crate::standing;

/// The extension of the agent inside the program.
pub(crate) const ECHO: &str = "echo";
/// The demo's trunk to the telephone inside the program.
const TELEPHONE: &str = "telephone";
/// Incoming calls and presence changes that may wait.
const WAITING_MAX: usize = 256;

/// How the program was started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration's file, read again when a reload is asked for; `None`: it has none.
    pub file: Option<FileRead>,
    /// `passerelle demo`: the shop is served and the way to try it is printed.
    pub demo: bool,
}

/// The configuration's file as it was read at the start.
#[derive(Clone, Debug)]
pub struct FileRead {
    /// Where it is.
    pub path: PathBuf,
    /// What stood in it.
    pub text: String,
    /// Its log filter counts; else the command line's, whatever it says.
    pub sets_filter: bool,
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
    let listener = listen_http(&config).await?;
    let probe: [u8; 16] = rand::rng().random();
    let (media, threads) = start_media(&config, probe)?;
    let echo = config.queues.iter().any(|queue| queue.target == checked::QueueTarget::Echo).then(random_password);
    let (tap, ladders) = ladder::start(&config.ladder);
    let call_config = Arc::new(standing::call_config(&config, None));
    let signalling = start_sip(&config, call_config.trunks.clone(), echo.as_deref(), tap.clone()).await?;
    let calls = Calls::default();
    let consoles = Consoles::default();
    let mut rooms = Rooms::default();
    rooms.watch("signalling", signalling.task);
    let contexts = |desk: &DeskHandle| CallContext {
        sip: signalling.handle.clone(),
        media: media.clone(),
        desk: desk.clone(),
        store: Arc::clone(&store),
        calls: calls.clone(),
        consoles: consoles.clone(),
        tap: tap.clone(),
        config: Arc::clone(&call_config),
    };
    let (desks, contexts) = start_desks(&config, &call_config, &calls, contexts, &mut rooms);
    let presence = follow_presence(signalling.presence, desks.values().cloned().collect());
    rooms.watch("the phones' presence", tokio::spawn(presence));
    let board = HealthBoard::default();
    rooms.watch("the metrics' upkeep", tokio::spawn(metrics_upkeep()));
    let (callbacks, latest, round) =
        start_callbacks(&config, node::id(&signalling.bound), &contexts, shield, &mut rooms)?;
    let phones = start_phones(&config, options.demo, echo.as_deref(), &signalling.bound, &media).await?;
    let standing = standing::standing(&config, &contexts, callbacks.clone()).map_err(StartError::Store)?;
    let (stands, standing) = watch::channel(Arc::new(standing));
    let inbound = inbound::run(standing.clone(), signalling.handle.clone(), signalling.incoming);
    rooms.watch("the inbound door", tokio::spawn(inbound));
    let sip = signalling.handle.clone();
    let loops = Loops { sip, desks: desks.clone(), contexts, calls: call_config, latest, stands, echo };
    let (reload, reloader) = reload::start(options.file.clone(), Arc::clone(&config), loops);
    rooms.watch("the reloader", reloader);
    let accepting = AtomicBool::new(true);
    let house = Arc::new(House { standing, reload: reload.clone(), ladders, board: board.clone(), accepting });
    let (stop, stopped) = watch::channel(false);
    let web = tokio::spawn(serve_web(listener, Arc::clone(&house), Arc::clone(&config), options.demo, stopped));
    // The last to start: the first gauges it writes count every room.
    let prober = health::run(board, media.clone(), signalling.handle.clone(), store, probe);
    rooms.watch("the health probe", tokio::spawn(prober));
    info!(http = %config.http.listen, sip = ?signalling.bound, workers = config.media.workers, "passerelle is ready");
    if options.demo {
        demo::banner::print(&config);
    }

    let ended = rooms.until_told_to_end().await;
    let drain = if options.demo { Duration::ZERO } else { reload.config().shutdown.drain_limit };
    let desks: Vec<DeskHandle> = desks.into_values().collect();
    finish_calls(&house, &desks, &callbacks, &calls, drain).await;
    shutdown::end_at_next_signal();
    let _web_gone = stop.send(true);
    for phone in phones {
        phone.shutdown().await;
    }
    signalling.handle.shutdown().await;
    round.end().await;
    drop(rooms);
    end_workers(&media, threads, web).await;
    info!("passerelle has ended");
    ended.map_or(Ok(()), |room| Err(StartError::Ended(room)))
}

async fn listen_http(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.http.listen;
    let failed = |error| StartError::Listen { what: "http", address, key: "[http] listen", error };
    TcpListener::bind(address).await.map_err(failed)
}

/// The echo, and the demo's telephone.
async fn start_phones(
    config: &Config,
    demo: bool,
    echo: Option<&str>,
    gateway: &[(Transport, SocketAddr)],
    media: &MediaHandle,
) -> Result<Vec<demo::agent::EchoAgent>, StartError> {
    let mut phones = Vec::new();
    if let Some(password) = echo {
        phones.push(demo::agent::start(gateway, password, media.clone()).await?);
    }
    phones.extend(start_telephone(config, demo, gateway, media).await?);
    Ok(phones)
}

/// The telephone that answers the demo's call-backs.
async fn start_telephone(
    config: &Config,
    demo: bool,
    gateway: &[(Transport, SocketAddr)],
    media: &MediaHandle,
) -> Result<Option<demo::agent::EchoAgent>, StartError> {
    let trunk = config.trunks.iter().find(|trunk| demo && trunk.name == TELEPHONE);
    let at = trunk.and_then(|trunk| Some(SocketAddr::new(trunk.host.parse().ok()?, trunk.port?)));
    match at {
        Some(at) => Ok(Some(demo::agent::telephone(gateway, at, media.clone()).await?)),
        None => Ok(None),
    }
}

/// The clerk at his book, and the postman on his round.
fn start_callbacks(
    config: &Config,
    node: NodeId,
    contexts: &BTreeMap<String, CallContext>,
    shield: Arc<Shield>,
    rooms: &mut Rooms,
) -> Result<(Callbacks, watch::Sender<Callbacks>, Round), StartError> {
    let messages = Messages::new(shield.home(), config);
    let lines = standing::callback_lines(config, contexts);
    let (callbacks, clerk) = callbacks::start(node, Arc::clone(&shield), lines, messages.clone());
    rooms.watch("the shield's upkeep", tokio::spawn(shield.upkeep()));
    rooms.watch("the call-back clerk", clerk);
    let (latest, now) = watch::channel(callbacks.clone());
    let book = Arc::new(Latest(now));
    let (round, postman) = messages::start(messages, book, config).map_err(StartError::Messages)?;
    rooms.watch("the postman", postman);
    Ok((callbacks, latest, round))
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

/// Ends the media workers while the edge ends.
async fn end_workers(media: &MediaHandle, threads: Vec<std::thread::JoinHandle<()>>, web: tokio::task::JoinHandle<()>) {
    let told = media.workers().iter().map(|worker| worker.shutdown().is_ok());
    let threads: Vec<_> = threads.into_iter().zip(told.collect::<Vec<_>>()).collect();
    if tokio::time::timeout(Duration::from_secs(3), web).await.is_err() {
        warn!("the web edge did not end in time");
    }
    join_workers(threads).await;
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

async fn start_sip(
    config: &Config,
    trunks: Vec<Arc<checked::Trunk>>,
    echo: Option<&str>,
    tap: Tap,
) -> Result<Signalling, StartError> {
    let listen: Vec<_> = config.sip.listen.iter().map(|(kind, address)| (transport(*kind), *address)).collect();
    let certificates = Certificates::read(config).map_err(StartError::Certificate)?;
    let bind = Sockets::bind(&listen, certificates).await;
    let (sockets, bound, inbound) =
        bind.map_err(|(address, error)| StartError::Listen { what: "sip", address, key: "[sip] listen", error })?;
    let mut endpoint_config = EndpointConfig::new(locals(&bound, config), &config.sip.realm, rand::rng().random());
    if config.sip.digest_sha256 {
        endpoint_config.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    }
    let count = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    endpoint_config.guard = GuardConfig {
        calls_per_second: count(config.sip.calls_per_second_max),
        stranger_requests: count(config.sip.stranger_requests_max),
        ban: config.sip.stranger_ban,
        ..GuardConfig::default()
    };
    endpoint_config.max_transactions = config.limits.sip_transactions_max;
    endpoint_config.max_calls = config.limits.calls_max.saturating_mul(2).saturating_mul(config.tenants.len().max(1));
    let endpoint = Endpoint::new(endpoint_config, clock::now());
    let (incoming_in, incoming) = mpsc::channel(WAITING_MAX);
    let (presence_in, presence) = mpsc::channel(WAITING_MAX);
    let (orders_in, orders) = mpsc::channel(ORDERS_MAX);
    let next_leg = Arc::new(AtomicU64::new(1));
    let driver_config = DriverConfig {
        trunks,
        dns: Arc::new(Dns::new(&config.sip.dns)),
        sdp_ip: standing::sdp_ip(config),
        realm: config.sip.realm.clone(),
        incoming: incoming_in,
        presence: presence_in,
        next_leg: Arc::clone(&next_leg),
        tap,
    };
    let mut driver = SipDriver::new(driver_config, endpoint, sockets, bound.clone());
    driver.set_accounts(standing::accounts(config, echo));
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

fn start_desks(
    config: &Config,
    call_config: &Arc<CallConfig>,
    calls: &Calls,
    context: impl Fn(&DeskHandle) -> CallContext,
    rooms: &mut Rooms,
) -> (BTreeMap<String, DeskHandle>, BTreeMap<String, CallContext>) {
    let mut desks = BTreeMap::new();
    let mut contexts = BTreeMap::new();
    for tenant in &config.tenants {
        let rules = standing::desk_rules(config, &tenant.id, call_config);
        let (handle, task) = desk_task::start(rules, calls.clone());
        rooms.watch("a desk", task);
        contexts.insert(tenant.id.clone(), context(&handle));
        desks.insert(tenant.id.clone(), handle);
    }
    (desks, contexts)
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
    demo: bool,
    mut stop: watch::Receiver<bool>,
) {
    let web_config = WebConfig {
        demo,
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
