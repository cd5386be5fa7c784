//! Metrics: every name in one enum, with its unit in the name, its help and its labels.
//!
//! Names follow Prometheus: base units, `_seconds`, `_bytes`, `_ratio`, counters end in `_total`. A label's values are
//! words of the program or names of the configuration, never anything a visitor, a caller or a packet brought: the
//! number of series is bounded by construction, and no personal data can be in one. Packets are not counted one by one
//! here, only what goes wrong with them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Many values, counted in buckets of these bounds.
    Histogram(&'static [f64]),
}

/// A call's waiting and talking, in seconds.
const CALL_SECONDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// Set-up and requests, in seconds.
const SETUP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a packet spends inside, in seconds.
const PACKET_SECONDS: &[f64] = &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1];

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $kind:expr, [$($label:literal),*];)+) => {
        /// Every metric.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As `/metrics` shows it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("passerelle_", $name),)+ }
            }

            /// Its kind.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => $kind,)+ }
            }

            /// The names of its labels, in the order their values are given.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($label),*],)+ }
            }

            /// One sentence for the operator.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

metrics! {
    /// The running version, always 1.
    BuildInfo = "build_info", Kind::Gauge, ["version"];
    /// Calls that have begun and not ended.
    CallsActive = "calls_active", Kind::Gauge, [];
    /// Calls begun.
    CallsStarted = "calls_started_total", Kind::Counter, [];
    /// Calls somebody answered.
    CallsAnswered = "calls_answered_total", Kind::Counter, [];
    /// Calls ended, by why.
    CallsEnded = "calls_ended_total", Kind::Counter, ["cause"];
    /// Calls refused before they began, by why.
    CallsRefused = "calls_refused_total", Kind::Counter, ["code"];
    /// From the start of a call to its answer, or to its end when nobody answered.
    CallWait = "call_wait_seconds", Kind::Histogram(CALL_SECONDS), [];
    /// From the answer of a call to its end.
    CallTalk = "call_talk_seconds", Kind::Histogram(CALL_SECONDS), [];
    /// From a browser's offer to its keys.
    BrowserConnect = "browser_connect_seconds", Kind::Histogram(SETUP_SECONDS), [];
    /// Bridges held by the media workers.
    Bridges = "media_bridges_active", Kind::Gauge, [];
    /// Packets dropped on arrival or not sent, by why.
    MediaDropped = "media_packets_dropped_total", Kind::Counter, ["reason"];
    /// Round trip of the self-probe packet through the slowest media worker.
    MediaProbe = "media_probe_seconds", Kind::Histogram(PACKET_SECONDS), [];
    /// SIP messages and connections refused or dropped, by why.
    SipRefused = "sip_refused_total", Kind::Counter, ["reason"];
    /// 1 while the gateway is registered at the trunk, else 0.
    TrunkRegistered = "trunk_registered", Kind::Gauge, ["trunk"];
    /// Tries to reach a trunk that failed, by trunk.
    TrunkFailures = "trunk_failures_total", Kind::Counter, ["trunk"];
    /// What happened at the web edge, by kind.
    WebEvents = "web_events_total", Kind::Counter, ["event"];
    /// Requests and sockets the web edge refused, by door and code.
    WebRefused = "web_refused_total", Kind::Counter, ["door", "code"];
    /// Call records the store did not take.
    StoreFailures = "store_failures_total", Kind::Counter, [];
    /// Messages dropped because a queue inside the gateway was full, by queue.
    QueueDropped = "queue_dropped_total", Kind::Counter, ["queue"];
    /// Health checks that turned bad, by check.
    HealthFailures = "health_failures_total", Kind::Counter, ["check"];
    /// Panics, each a bug, by task.
    Panics = "panics_total", Kind::Counter, ["task"];
}

/// The recorder of the process. Copies are handles to the same one.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder. Once a process, before anything is counted: what is counted earlier is lost.
    pub fn install() -> Result<Self, InstallError> {
        let recorder = recorder().map_err(InstallError::Build)?;
        let handle = recorder.handle();
        describe(&recorder);
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::Twice)?;
        INSTALLED.store(true, Ordering::Release);
        for &metric in Metric::ALL {
            // A series that is there from the start shows its first increment; one that appears with it hides it.
            match (metric.kind(), metric.labels()) {
                (Kind::Counter, []) => add(metric, &[], 0),
                (Kind::Gauge, []) => set(metric, &[], 0.0),
                (Kind::Counter | Kind::Gauge | Kind::Histogram(_), _) => {}
            }
        }
        set(Metric::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        Ok(Self { handle })
    }

    /// All values in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what histograms gathered; to be called every few seconds even when nobody asks for `/metrics`.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Why the recorder could not be installed.
#[derive(Debug)]
pub enum InstallError {
    /// Its buckets are wrong.
    Build(BuildError),
    /// There is one already.
    Twice,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => write!(f, "metrics cannot be set up: {error}"),
            Self::Twice => f.write_str("metrics are set up already"),
        }
    }
}

impl std::error::Error for InstallError {}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for &metric in Metric::ALL {
        if let Kind::Histogram(bounds) = metric.kind() {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name().to_owned()), bounds)?;
        }
    }
    Ok(builder.build_recorder())
}

fn describe(recorder: &PrometheusRecorder) {
    for &metric in Metric::ALL {
        let (name, help) = (KeyName::from_const_str(metric.name()), metric.help().into());
        match metric.kind() {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
        }
    }
}

/// Adds to a counter; `values` in the order of [`Metric::labels`].
pub fn add(metric: Metric, values: &[&'static str], amount: u64) {
    counter(metric, values).increment(amount);
}

/// Sets a gauge.
pub fn set(metric: Metric, values: &[&'static str], value: f64) {
    gauge(metric, values).set(value);
}

/// Puts a value into a histogram.
pub fn observe(metric: Metric, values: &[&'static str], value: f64) {
    histogram(metric, values).record(value);
}

/// The counter itself. Without labels it is looked up once and kept.
pub fn counter(metric: Metric, values: &[&'static str]) -> Counter {
    static COUNTERS: [OnceLock<Counter>; Metric::ALL.len()] = [const { OnceLock::new() }; Metric::ALL.len()];
    let register = || metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, values), &METADATA));
    match COUNTERS.get(metric as usize) {
        // Before `install` it would be a counter of nothing for ever.
        Some(kept) if values.is_empty() && INSTALLED.load(Ordering::Acquire) => kept.get_or_init(register).clone(),
        Some(_) | None => register(),
    }
}

/// The gauge itself.
pub fn gauge(metric: Metric, values: &[&'static str]) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(metric, values), &METADATA))
}

/// The histogram itself.
pub fn histogram(metric: Metric, values: &[&'static str]) -> Histogram {
    metrics::with_recorder(|recorder| recorder.register_histogram(&key(metric, values), &METADATA))
}

static INSTALLED: AtomicBool = AtomicBool::new(false);
static METADATA: Metadata<'static> = Metadata::new("gateway", Level::INFO, Some("gateway"));

/// Name and labels. A value too few is empty, one too many is ignored: a slip here must not cost a call.
fn key(metric: Metric, values: &[&'static str]) -> Key {
    debug_assert_eq!(metric.labels().len(), values.len(), "labels of {metric:?}");
    if metric.labels().is_empty() {
        return Key::from_static_name(metric.name());
    }
    let labels: Vec<Label> = metric
        .labels()
        .iter()
        .enumerate()
        .map(|(index, &name)| Label::from_static_parts(name, values.get(index).copied().unwrap_or_default()))
        .collect();
    Key::from_parts(metric.name(), labels)
}

/// More names than this share one.
const NAMES_MAX: usize = 1_024;

/// A name of the configuration as a label's value, kept for the life of the process. A caller that let outside text in
/// would meet the bound, not the end of the memory: past it everything is `other`.
pub fn configured(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    if names.len() >= NAMES_MAX || name.len() > 96 {
        return "other";
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

#[cfg(test)]
mod tests;
