//! The configuration read anew while the program runs: judged as at the start, compared with the one in force, and handed to
//! each loop as a whole; or refused as a whole.
//!
//! ```text
//! SIGHUP ────────┐            ┌─► SIP driver: trunks, accounts, certificates
//!                ├─► reloader ├─► each desk: queues, agents, limits, and what its calls go by
//! POST reload ───┘  (one task)├─► clerk: lines and budgets of call-backs
//!                             └─► the edge: origins, agents, tokens
//! ```
//! The driver is first and keeps what calls in progress began with, so that a call that a desk has judged by the old
//! configuration finds its trunk all the same; a desk gives each call the configuration it was judged by.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use web::refusal::RELOAD_BUSY;
use web::{Refusal, ReloadOutcome, ReloadView};

use crate::app::FileRead;
use crate::config::change::{Difference, Version, difference};
use crate::config::{self, Config, Examined, Severity};
use crate::drive::call::{CallConfig, CallContext};
use crate::drive::callbacks::Callbacks;
use crate::drive::desk::DeskHandle;
use crate::drive::sip::sockets::Certificates;
use crate::drive::sip::{Rules, SipHandle};
use crate::drive::web::Standing;
use crate::observe::log;
use crate::observe::metric::{self, Metric};
use crate::standing;

/// Reloads that may wait for one another.
const ASKS_MAX: usize = 4;

/// Who goes by the configuration, and what they go by now.
pub(crate) struct Loops {
    pub(crate) sip: SipHandle,
    pub(crate) desks: BTreeMap<String, DeskHandle>,
    pub(crate) contexts: BTreeMap<String, CallContext>,
    pub(crate) calls: Arc<CallConfig>,
    pub(crate) latest: watch::Sender<Callbacks>,
    pub(crate) stands: watch::Sender<Arc<Standing>>,
    /// The password of the echo inside the program.
    pub(crate) echo: Option<String>,
}

struct Ask {
    dry_run: bool,
    reply: oneshot::Sender<ReloadView>,
}

/// The reloader as others see it.
#[derive(Clone)]
pub(crate) struct ReloadHandle {
    asks: mpsc::Sender<Ask>,
    config: watch::Receiver<Arc<Config>>,
}

impl ReloadHandle {
    /// Reads the file anew and goes by it, or only says what would change.
    pub(crate) async fn ask(&self, dry_run: bool) -> Result<ReloadView, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask { dry_run, reply }).map_err(|_| RELOAD_BUSY)?;
        answer.await.map_err(|_| RELOAD_BUSY)
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }
}

/// Starts the reloader; without a file it refuses.
pub(crate) fn start(
    file: Option<FileRead>,
    config: Arc<Config>,
    loops: Loops,
) -> (ReloadHandle, tokio::task::JoinHandle<()>) {
    let (asks, inbox) = mpsc::channel(ASKS_MAX);
    let (shown, seen) = watch::channel(Arc::clone(&config));
    let reloader = Reloader { file, config, loops, shown };
    (ReloadHandle { asks, config: seen }, tokio::spawn(reloader.run(inbox)))
}

struct Reloader {
    file: Option<FileRead>,
    config: Arc<Config>,
    loops: Loops,
    shown: watch::Sender<Arc<Config>>,
}

impl Reloader {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| warn!(%error, "SIGHUP cannot be heard: use `passerelle reload`"))
            .ok();
        loop {
            tokio::select! {
                ask = asks.recv() => {
                    let Some(Ask { dry_run, reply }) = ask else { return };
                    let _asker_gone = reply.send(self.reload(dry_run).await);
                }
                () = next(&mut hangup) => drop(self.reload(false).await),
            }
        }
    }

    async fn reload(&mut self, dry_run: bool) -> ReloadView {
        let view = match self.examined().await {
            Ok((text, config)) => self.judge(text, config, dry_run).await,
            Err(why) => refused(Vec::new(), why),
        };
        let word = match view.outcome {
            ReloadOutcome::Applied => "applied",
            ReloadOutcome::DryRun => "dry-run",
            ReloadOutcome::Refused => "refused",
        };
        metric::count_with(Metric::ConfigReloads, word);
        match view.outcome {
            ReloadOutcome::Applied => info!(changes = ?view.changes, "the configuration is read anew and in force"),
            ReloadOutcome::DryRun => {}
            ReloadOutcome::Refused => {
                warn!(why = view.why, "the configuration is not taken: the one of before stays in force");
            }
        }
        view
    }

    /// The file as it is now, sound; or its mistakes.
    async fn examined(&self) -> Result<(String, Config), String> {
        let Some(FileRead { path, .. }) = self.file.clone() else {
            return Err("this gateway was started without a configuration file: there is nothing to read".to_owned());
        };
        let examined = tokio::task::spawn_blocking(move || config::examine(&path)).await;
        let Examined { name, source, mut problems, config } = examined.map_err(|error| error.to_string())?;
        match config {
            Some(config) => Ok((source, config)),
            None => {
                problems.retain(|problem| problem.severity == Severity::Error);
                Err(config::render(&name, &source, &problems, false, 100))
            }
        }
    }

    async fn judge(&mut self, text: String, config: Config, dry_run: bool) -> ReloadView {
        let before = self.file.as_ref().map(|file| file.text.clone()).unwrap_or_default();
        let old = Version { text: &before, config: &self.config };
        let Difference { changes, fixed } = difference(old, Version { text: &text, config: &config });
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        if !fixed.is_empty() {
            return refused(changes, format!("needs a restart: {}", fixed.join(", ")));
        }
        if dry_run {
            return ReloadView { outcome: ReloadOutcome::DryRun, changes, why: String::new() };
        }
        match self.apply(config).await {
            Ok(()) => {
                if let Some(file) = &mut self.file {
                    file.text = text;
                }
                ReloadView { outcome: ReloadOutcome::Applied, changes, why: String::new() }
            }
            Err(why) => refused(changes, why),
        }
    }

    /// Everything that can fail comes first; then each loop is told, and waited for.
    async fn apply(&mut self, config: Config) -> Result<(), String> {
        let certificates = Certificates::read(&config)?;
        let calls = Arc::new(standing::call_config(&config, Some(&self.loops.calls)));
        let loops = &mut self.loops;
        let by = |(tenant, context): (&String, &CallContext)| (tenant.clone(), context.by(Arc::clone(&calls)));
        let contexts: BTreeMap<String, CallContext> = loops.contexts.iter().map(by).collect();
        let before = loops.latest.borrow().clone();
        let shield = Arc::new(before.shield().with(&config));
        let callbacks = before.with(standing::callback_lines(&config, &contexts), shield);
        let stands = Arc::new(standing::standing(&config, &contexts, callbacks.clone())?);
        let accounts = standing::accounts(&config, loops.echo.as_deref());
        let rules = Rules { trunks: calls.trunks.clone(), accounts, certificates };
        if !loops.sip.follow(rules).await {
            return Err("signalling has ended".to_owned());
        }
        for (tenant, desk) in &loops.desks {
            desk.follow(standing::desk_rules(&config, tenant, &calls)).await;
        }
        callbacks.put_in_force().await;
        loops.latest.send_replace(callbacks);
        loops.stands.send_replace(stands);
        (loops.contexts, loops.calls) = (contexts, calls);
        // Whose phone is registered already may sit at another desk now.
        loops.sip.tell_presence().await;
        if self.file.as_ref().is_some_and(|file| file.sets_filter) {
            log::follow(&config.log.filter);
        }
        self.config = Arc::new(config);
        self.shown.send_replace(Arc::clone(&self.config));
        Ok(())
    }
}

fn refused(changes: Vec<String>, why: String) -> ReloadView {
    ReloadView { outcome: ReloadOutcome::Refused, changes, why }
}

/// The next SIGHUP.
async fn next(hangup: &mut Option<Signal>) {
    let heard = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}
