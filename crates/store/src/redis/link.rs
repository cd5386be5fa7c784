//! The line to the server: one connection, made again whenever it breaks, with a limit on every wait and on how many wait.
//!
//! ```text
//! Connecting ──► Up ──hung up, or a command had no answer──► Connecting      who asks waits, within his own limit
//!      └──failed──► Down ──every 250 ms: try again──► Up                     who asks is refused at once
//! ```
//! Everything runs on a thread of its own: whoever asks may live in any runtime, and one that is late does not make
//! Redis look late.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Address;
use super::keys::{SCHEMA, key};
use super::refusal::{meaning, risks};
use super::{RedisOptions, calls, migrate};
use crate::StoreError;
use crate::counters::Counters;

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// How long until the next try.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// A server that takes no writes may have been replaced at its address: a new connection finds out, not more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The line as those who ask see it.
#[derive(Clone)]
enum Line {
    /// Not there yet or not any more, and why.
    Connecting(Option<StoreError>),
    /// The connection, and which one it is.
    Up(u64, MultiplexedConnection),
    /// The last try failed.
    Down(StoreError),
}

/// What all who ask share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) options: RedisOptions,
    pub(super) counters: Counters,
    /// This process to the others; `None` for a reader.
    pub(super) process: Option<String>,
    line: watch::Sender<Line>,
    /// A connection that is no good any more, and why.
    lost: mpsc::Sender<(u64, StoreError)>,
    /// What was said last about its settings: said again only when it changes.
    said: Mutex<Vec<String>>,
    /// From when on dead processes' calls are closed: the caller's clock and ours.
    pub(super) started: Mutex<Option<(u64, Instant)>>,
}

/// A hand on the line.
#[derive(Clone)]
pub(super) struct Session(pub(super) Arc<Shared>);

impl Session {
    /// One command.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.limited(async |connection| command.query_async(connection).await).await
    }

    /// Several commands that need not be done as one.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        self.limited(async |connection| commands.query_async(connection).await).await
    }

    /// One script: done whole or not at all.
    pub(super) async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.limited(async |connection| script.invoke_async(connection).await).await
    }

    async fn limited<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.0.options.answer_limit;
        let (number, mut connection) = self.connection(deadline).await?;
        let error = match timeout_at(deadline, ask(&mut connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => meaning(&error, &self.0.address),
            Err(_) => StoreError::Slow,
        };
        if matches!(error, StoreError::Slow | StoreError::Refused(_)) {
            // A full inbox: somebody has said so already.
            drop(self.0.lost.try_send((number, error.clone())));
        }
        Err(error)
    }

    /// The connection, once there is one.
    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), StoreError> {
        let mut line = self.0.line.subscribe();
        let settled = timeout_at(deadline, line.wait_for(|line| !matches!(line, Line::Connecting(_)))).await;
        if let Ok(Err(_)) = settled {
            return Err(StoreError::Closed);
        }
        drop(settled);
        match line.borrow().clone() {
            Line::Up(number, connection) => Ok((number, connection)),
            Line::Down(why) | Line::Connecting(Some(why)) => Err(why),
            Line::Connecting(None) => Err(StoreError::Unreachable(format!("{} does not answer", self.0.address))),
        }
    }
}

/// The thread behind the line.
pub(super) struct Link {
    session: Session,
    runtime: Handle,
    slots: Arc<Semaphore>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts the thread; whether there is a server shows at the first question.
    pub(super) fn start(address: Address, options: RedisOptions, process: Option<String>) -> Result<Self, StoreError> {
        let cannot =
            |error: std::io::Error| StoreError::Unreachable(format!("no thread for it can be started: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let (lost, losses) = mpsc::channel(8);
        let shared = Arc::new(Shared {
            address,
            options,
            counters: Counters::default(),
            process,
            line: watch::Sender::new(Line::Connecting(None)),
            lost,
            said: Mutex::default(),
            started: Mutex::default(),
        });
        let session = Session(shared);
        let slots = Arc::new(Semaphore::new(options.max_waiting.max(1)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (handle, ours, open) = (runtime.handle().clone(), session.clone(), Arc::clone(&slots));
        let work = move || {
            runtime.block_on(live(ours, losses, stopped, open, options.max_waiting.max(1)));
            // A name that is being looked up must not hold up the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("store-redis".to_owned()).spawn(work).map_err(cannot)?;
        Ok(Self { session, runtime: handle, slots, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.session.0
    }

    /// How many wait for the server.
    pub(super) fn waiting(&self) -> u64 {
        (self.shared().options.max_waiting.max(1) - self.slots.available_permits()) as u64
    }

    /// Does this on the thread, to its end also when nobody waits for it any more.
    pub(super) async fn run<T, Fut>(&self, work: impl FnOnce(Session) -> Fut) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| StoreError::Overloaded)?;
        let work = work(self.session.clone());
        let task = self.runtime.spawn(async move {
            let done = work.await;
            drop(slot);
            done
        });
        task.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Dropping it is the sign.
        self.stop = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the store has panicked");
        }
    }
}

/// The life of the thread: until it is told to stop and what was taken is answered.
async fn live(
    session: Session,
    losses: mpsc::Receiver<(u64, StoreError)>,
    stopped: oneshot::Receiver<()>,
    slots: Arc<Semaphore>,
    all: usize,
) {
    let line = tokio::spawn(keep(session.clone(), losses));
    let beats = tokio::spawn(calls::beat(session.clone()));
    // Nothing is ever sent: the other end is dropped.
    let _stop: Result<(), oneshot::error::RecvError> = stopped.await;
    beats.abort();
    let limit = session.0.options.answer_limit;
    let all = u32::try_from(all).unwrap_or(u32::MAX);
    if timeout(limit, slots.acquire_many(all)).await.is_err() {
        tracing::warn!("the store is shut while writes still wait");
    }
    calls::leave(&session).await;
    line.abort();
}

/// Keeps the line up.
async fn keep(session: Session, mut losses: mpsc::Receiver<(u64, StoreError)>) {
    let shared = &session.0;
    let mut is_away = false;
    for number in 1_u64.. {
        let tried = Instant::now();
        let made = match timeout(CONNECT_LIMIT, connect(shared)).await {
            Ok(Ok(made)) => up_to_date(shared, made).await,
            Ok(Err(why)) => Err(why),
            Err(_) => Err(StoreError::Unreachable(format!("{} does not answer", shared.address))),
        };
        let why = match made {
            Ok((connection, driver)) => {
                if std::mem::take(&mut is_away) {
                    tracing::info!(store = %shared.address, "the store is back");
                }
                shared.line.send_replace(Line::Up(number, connection));
                let why = good_until(shared, number, driver, &mut losses).await;
                shared.line.send_replace(Line::Connecting(Some(why.clone())));
                why
            }
            Err(why) => {
                // Once, not at every try.
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(%why, "the store is away");
                }
                shared.line.send_replace(Line::Down(why.clone()));
                why
            }
        };
        tracing::debug!(%why, "the line to the store is down");
        // After a long good time at once, otherwise in steps.
        tokio::time::sleep_until(tried + RETRY_EVERY).await;
    }
}

/// Waits until this connection is no good any more; says why.
async fn good_until(
    shared: &Shared,
    number: u64,
    driver: tokio::task::JoinHandle<()>,
    losses: &mut mpsc::Receiver<(u64, StoreError)>,
) -> StoreError {
    let since = Instant::now();
    tokio::pin!(driver);
    loop {
        tokio::select! {
            _ended = &mut driver => return StoreError::Unreachable(format!("{} has hung up", shared.address)),
            loss = losses.recv() => match loss {
                Some((of, StoreError::Slow)) if of == number => {
                    return StoreError::Unreachable(format!("{} does not answer", shared.address));
                }
                Some((of, why)) if of == number && since.elapsed() >= LOOK_AGAIN => return why,
                Some(_) => {}
                // Cannot be: we hold a sender ourselves.
                None => sleep(LOOK_AGAIN).await,
            },
        }
    }
}

/// A connection, and what drives it.
type Made = (MultiplexedConnection, tokio::task::JoinHandle<()>);

/// What an older version kept is brought up to date first, however long that takes: whoever asks meanwhile is told.
async fn up_to_date(shared: &Shared, (mut connection, driver): Made) -> Result<Made, StoreError> {
    if migrate::is_due(shared, &mut connection).await? {
        let why = format!("{} is being brought up to date", shared.address);
        shared.line.send_replace(Line::Down(StoreError::Unreachable(why)));
        migrate::run(&shared.address, &mut connection).await?;
        greet(shared, &mut connection).await;
    }
    Ok((connection, driver))
}

/// Makes a connection and looks at what is there.
async fn connect(shared: &Arc<Shared>) -> Result<Made, StoreError> {
    let address = &shared.address;
    let unreachable = |error: std::io::Error| StoreError::Unreachable(format!("{address}: {error}"));
    let socket = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    // Our own limit is around every command.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let login = address.login.clone().set_lib_name("passerelle", env!("CARGO_PKG_VERSION"));
    let made = MultiplexedConnection::new_with_config(&login, socket, config).await;
    let (mut connection, driver) = made.map_err(|error| hello(&error, address))?;
    let driver = tokio::spawn(driver);
    look(shared, &mut connection).await.map_err(|error| hello(&error, address))??;
    Ok((connection, driver))
}

/// What a failed greeting means: nothing was asked yet, so that nothing can have been done.
fn hello(error: &redis::RedisError, address: &Address) -> StoreError {
    let meant = meaning(error, address);
    if meant == StoreError::Slow { StoreError::Unreachable(format!("{address} hangs up: {error}")) } else { meant }
}

/// What form its keys have, what its settings may cost; and that this process lives.
async fn look(shared: &Shared, connection: &mut MultiplexedConnection) -> RedisResult<Result<(), StoreError>> {
    let found: Option<u32> = redis::cmd("GET").arg(key(&["schema"])).query_async(connection).await?;
    if let Some(found) = found.filter(|found| *found > SCHEMA) {
        return Ok(Err(StoreError::Newer { found, known: SCHEMA }));
    }
    if found.is_none_or(|found| found == SCHEMA) {
        greet(shared, connection).await;
    }
    let mut settings = Vec::<String>::new();
    for name in ["append*", "maxmemory-policy"] {
        match redis::cmd("CONFIG").arg("GET").arg(name).query_async::<Vec<String>>(connection).await {
            Ok(found) => settings.extend(found),
            Err(error) => tracing::debug!(%error, "the settings of Redis may not be read"),
        }
    }
    let value = |name: &str| settings.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    let now = risks(value);
    if let Ok(mut said) = shared.said.lock()
        && *said != now
    {
        now.iter().for_each(|risk| tracing::warn!(store = %shared.address, "{risk}"));
        *said = now;
    }
    Ok(Ok(()))
}

/// Says that this process lives, and what form it writes.
async fn greet(shared: &Shared, connection: &mut MultiplexedConnection) {
    let Some(process) = &shared.process else { return };
    let greeting = async {
        redis::cmd("SET").arg(key(&["schema"])).arg(SCHEMA).query_async::<()>(connection).await?;
        calls::heartbeat(process, shared.options.heartbeat).query_async::<()>(connection).await
    };
    // A server that takes no writes is still there to be read: whoever writes will hear of it.
    let greeted: RedisResult<()> = greeting.await;
    if let Err(error) = greeted {
        tracing::debug!(%error, "the store takes no writes");
    }
}
