//! Metrics: every name in one enum, with its unit in the name, its help and its labels.
//!
//! Names follow Prometheus: base units, `_seconds`, `_bytes`, `_ratio`, counters end in `_total`. A label's values are
//! words of the program or names of the configuration, never anything a visitor, a caller or a packet brought: the
//! number of series is bounded by construction, and no personal data can be in one. Packets are not counted one by one
//! here, only what goes wrong with them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder};
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

/// A packet's way through, in seconds.
const PACKET_SECONDS: &[f64] = &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1];

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $kind:expr, $label:expr;)+) => {
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

            /// The name of its label, when it has one.
            pub const fn label(self) -> Option<&'static str> {
                match self { $(Self::$variant => $label,)+ }
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
    BuildInfo = "build_info", Kind::Gauge, Some("version");
    /// Calls that have begun and not ended.
    CallsLive = "calls_live", Kind::Gauge, None;
    /// Calls begun.
    CallsStarted = "calls_started_total", Kind::Counter, None;
    /// Calls somebody answered.
    CallsAnswered = "calls_answered_total", Kind::Counter, None;
    /// Transfers that a phone or a PBX asked for, by what came of them.
    Transfers = "transfers_total", Kind::Counter, Some("outcome");
    /// Calls ended, by why.
    CallsEnded = "calls_ended_total", Kind::Counter, Some("cause");
    /// Calls refused before they began, by why.
    TalksRefused = "talks_refused_total", Kind::Counter, Some("reason");
    /// From the start of a call to its answer.
    CallWaitSeconds = "call_wait_seconds", Kind::Histogram(CALL_SECONDS), None;
    /// From the answer of a call to its end.
    CallTalkSeconds = "call_talk_seconds", Kind::Histogram(CALL_SECONDS), None;
    /// Call records the store did not take.
    RecordsLost = "records_lost_total", Kind::Counter, None;
    /// Call-backs that are not over, in the whole book.
    CallbacksOpen = "callbacks_open", Kind::Gauge, None;
    /// Call-backs this node holds: waiting for an agent, offered, dialled or talked on.
    CallbacksHeld = "callbacks_held", Kind::Gauge, None;
    /// Call-backs promised.
    CallbacksAsked = "callbacks_asked_total", Kind::Counter, None;
    /// Call-backs refused when they were asked for, by why.
    CallbacksRefused = "callbacks_refused_total", Kind::Counter, Some("reason");
    /// Tries of call-backs that are over, by what came of them.
    CallbackAttempts = "callback_attempts_total", Kind::Counter, Some("outcome");
    /// Ranges of the wait told to those who asked for a call at once, by whether they came true: nine of ten should be `kept`.
    CallbackWaitsTold = "callback_waits_told_total", Kind::Counter, Some("came");
    /// Call-backs that are over, by how.
    CallbacksEnded = "callbacks_ended_total", Kind::Counter, Some("state");
    /// Call-backs taken over from a node that died.
    CallbacksTakenOver = "callbacks_taken_over_total", Kind::Counter, None;
    /// Call-backs not dialled because another node, or the visitor, had changed them meanwhile.
    CallbacksFenced = "callbacks_fenced_total", Kind::Counter, None;
    /// 1 while nobody is called back through the trunk because its budget of the day is used up, else 0.
    CallbackSpendStopped = "callback_spend_stopped", Kind::Gauge, Some("trunk");
    /// Agents of this tenant who did not take two calls in a row and are rung no more until they show that they are there.
    AgentsAway = "agents_away", Kind::Gauge, Some("tenant");
    /// 1 while this queue, as tenant/queue, is paused and calls nobody, else 0.
    CallbackQueuePaused = "callback_queue_paused", Kind::Gauge, Some("queue");
    /// Numbers noted as not to be called, by who said so.
    CallbackNumbersSuppressed = "callback_numbers_suppressed_total", Kind::Counter, Some("by");
    /// Changes of call-backs the store did not take at once.
    CallbackStoreErrors = "callback_store_errors_total", Kind::Counter, None;
    /// From the promised moment of a call-back to the first ring of an agent.
    CallbackLateSeconds = "callback_late_seconds", Kind::Histogram(CALL_SECONDS), None;
    /// From the promised moment of a call-back to the two talking.
    CallbackDelaySeconds = "callback_delay_seconds", Kind::Histogram(CALL_SECONDS), None;
    /// Messages by webhook and mail, by what came of each try, as place/outcome.
    Messages = "messages_total", Kind::Counter, Some("outcome");
    /// Messages that wait to be sent, in the whole outbox.
    MessagesWaiting = "messages_waiting", Kind::Gauge, None;
    /// Requests a tenant's desk had no room for.
    DeskOverload = "desk_overload_total", Kind::Counter, None;
    /// From a browser's offer to its keys.
    BrowserConnectSeconds = "browser_connect_seconds", Kind::Histogram(SETUP_SECONDS), None;
    /// Media sessions held by the workers.
    MediaSessions = "media_sessions", Kind::Gauge, None;
    /// Media sessions found without a call and taken down.
    MediaSessionsLeaked = "media_sessions_leaked_total", Kind::Counter, None;
    /// Orders a media worker had no room for.
    MediaOrdersRefused = "media_orders_refused_total", Kind::Counter, None;
    /// News of a media worker nobody took in time.
    MediaNoticesLost = "media_notices_lost_total", Kind::Counter, None;
    /// Packets that were not what they claimed.
    MediaPacketsMalformed = "media_packets_malformed_total", Kind::Counter, None;
    /// Packets from an address or with a key that was not agreed.
    MediaPacketsRefused = "media_packets_refused_total", Kind::Counter, None;
    /// Packets of sound the system did not take.
    MediaSendErrors = "media_send_errors_total", Kind::Counter, None;
    /// SDP that could not be read or agreed on.
    SdpRefused = "sdp_refused_total", Kind::Counter, None;
    /// SIP messages refused or dropped, by why.
    SipRefused = "sip_refused_total", Kind::Counter, Some("reason");
    /// SIP messages dropped because the endpoint was behind.
    SipInboxDropped = "sip_inbox_dropped_total", Kind::Counter, None;
    /// Orders the SIP endpoint had no room for.
    SipOrdersRefused = "sip_orders_refused_total", Kind::Counter, None;
    /// News of the SIP endpoint nobody took in time.
    SipNoticesLost = "sip_notices_lost_total", Kind::Counter, None;
    /// SIP messages that could not be sent.
    SipSendErrors = "sip_send_errors_total", Kind::Counter, None;
    /// SIP requests too large for a datagram, by how they went: TCP, or UDP where no connection can be had.
    SipRequestsLarge = "sip_requests_large_total", Kind::Counter, Some("transport");
    /// SIP connections refused, there being enough.
    SipConnectionsRefused = "sip_connections_refused_total", Kind::Counter, None;
    /// Encrypted SIP connections that did not come about or broke off, by why, as wrong_name or unknown_issuer.
    SipTlsRefused = "sip_tls_refused_total", Kind::Counter, Some("reason");
    /// SIP connections that failed while being accepted.
    SipAcceptErrors = "sip_accept_errors_total", Kind::Counter, None;
    /// Messages and events that no ladder has, the recorder being behind.
    LadderNotesLost = "ladder_notes_lost_total", Kind::Counter, None;
    /// Ladders given up for their age or for want of room, and lines of calls that were too long, by why: age, room, length.
    LadderDropped = "ladder_dropped_total", Kind::Counter, Some("reason");
    /// Memory that ladders take.
    LadderBytes = "ladder_bytes", Kind::Gauge, None;
    /// Packets sent to the HEP collector.
    LadderHepSent = "ladder_hep_sent_total", Kind::Counter, None;
    /// Packets that did not go to the HEP collector, by why.
    LadderHepFailed = "ladder_hep_failed_total", Kind::Counter, Some("reason");
    /// Names of PBXs that could not be looked up.
    DnsFailures = "dns_failures_total", Kind::Counter, None;
    /// Times DNS did not answer and a trunk stayed where it was found last.
    DnsStale = "dns_stale_total", Kind::Counter, None;
    /// A trunk's target, as trunk/address: 1 up, 0.5 degraded, 0 down; absent while nothing has been heard of it.
    TrunkUp = "trunk_up", Kind::Gauge, Some("target");
    /// OPTIONS to targets of a trunk, as trunk/answered or trunk/silent.
    TrunkProbes = "trunk_probes_total", Kind::Counter, Some("outcome");
    /// Calls that went to the next target of their trunk because one was silent or said 503.
    TrunkFailovers = "trunk_failovers_total", Kind::Counter, Some("trunk");
    /// Calls a trunk did not take, as trunk/reason: calls-per-second, calls-at-once, no-target.
    TrunkCallsRefused = "trunk_calls_refused_total", Kind::Counter, Some("reason");
    /// 1 while the gateway is registered at the trunk, else 0.
    TrunkRegistered = "trunk_registered", Kind::Gauge, Some("trunk");
    /// Times the configuration was read anew: applied, refused, dry-run.
    ConfigReloads = "config_reloads_total", Kind::Counter, Some("outcome");
    /// What happened at the web edge, as door/event.
    WebEvents = "web_events_total", Kind::Counter, Some("event");
    /// What the web edge refused, as door/reason.
    WebRefused = "web_refused_total", Kind::Counter, Some("reason");
    /// News a visitor's page did not take in time.
    VisitorUpdatesLost = "visitor_updates_lost_total", Kind::Counter, None;
    /// News an agent's page did not take in time.
    ConsoleUpdatesLost = "console_updates_lost_total", Kind::Counter, None;
    /// RTP port pairs calls hold.
    RtpPortsUsed = "rtp_ports_used", Kind::Gauge, None;
    /// Addresses, user fragments and sockets that lead to a media session.
    MediaRoutes = "media_routes", Kind::Gauge, None;
    /// Deadlines media sessions wait for.
    MediaDeadlines = "media_deadlines", Kind::Gauge, None;
    /// Calls the SIP endpoint holds, one a leg.
    SipCalls = "sip_calls", Kind::Gauge, None;
    /// Dialogs the SIP endpoint holds.
    SipDialogs = "sip_dialogs", Kind::Gauge, None;
    /// Transactions the SIP endpoint holds.
    SipTransactions = "sip_transactions", Kind::Gauge, None;
    /// Softphones registered here.
    SipPhones = "sip_phones", Kind::Gauge, None;
    /// Tasks of the runtime that have not ended.
    Tasks = "tasks", Kind::Gauge, None;
    /// Health checks that turned bad, by check.
    HealthFailures = "health_failures_total", Kind::Counter, Some("check");
    /// Round trip of the self-probe packet through the slowest media worker.
    MediaProbeSeconds = "media_probe_seconds", Kind::Histogram(PACKET_SECONDS), None;
    /// Panics: each is a bug.
    Panics = "panics_total", Kind::Counter, None;
}

/// The one recorder of the process.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder. Once a process, before anything is counted: what is counted earlier is lost.
pub fn install() -> Result<(), InstallError> {
    let recorder = recorder().map_err(InstallError::Build)?;
    let handle = recorder.handle();
    describe(&recorder);
    metrics::set_global_recorder(recorder).map_err(|_| InstallError::Twice)?;
    RECORDER.set(handle).map_err(|_| InstallError::Twice)?;
    for &metric in Metric::ALL {
        // A counter that is there from the start shows its first increment; one that appears with it hides it.
        match (metric.kind(), metric.label()) {
            (Kind::Counter, None) => count_by(metric, 0),
            (Kind::Gauge, None) => gauge_set(metric, 0.0),
            (Kind::Counter | Kind::Gauge | Kind::Histogram(_), _) => {}
        }
    }
    gauge_with(Metric::BuildInfo, env!("CARGO_PKG_VERSION"), 1.0);
    Ok(())
}

/// All values in Prometheus' text format. Empty before [`install`].
pub fn render() -> String {
    RECORDER.get().map_or_else(String::new, PrometheusHandle::render)
}

/// Folds what histograms gathered; to be called every few seconds even when nobody asks for `/metrics`.
pub fn upkeep() {
    if let Some(handle) = RECORDER.get() {
        handle.run_upkeep();
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

/// One more.
pub fn count(metric: Metric) {
    count_by(metric, 1);
}

/// So many more. No lock and no allocation after the first: may be called for each packet that goes wrong.
pub fn count_by(metric: Metric, amount: u64) {
    static COUNTERS: [OnceLock<Counter>; Metric::ALL.len()] = [const { OnceLock::new() }; Metric::ALL.len()];
    let register = || metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, None), &METADATA));
    match COUNTERS.get(metric as usize) {
        // Before `install` a counter would be a counter of nothing for ever.
        Some(kept) if RECORDER.get().is_some() => kept.get_or_init(register).increment(amount),
        Some(_) | None => register().increment(amount),
    }
}

/// One more under a label: a word of the program or a name of the configuration.
pub fn count_with(metric: Metric, label: &str) {
    metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, Some(label)), &METADATA)).increment(1);
}

/// Moves a gauge by so much, up or down.
pub fn gauge_add(metric: Metric, amount: f64) {
    gauge(metric, None).increment(amount);
}

/// Sets a gauge.
pub fn gauge_set(metric: Metric, value: f64) {
    gauge(metric, None).set(value);
}

/// Sets a gauge under a label.
pub fn gauge_with(metric: Metric, label: &str, value: f64) {
    gauge(metric, Some(label)).set(value);
}

fn gauge(metric: Metric, label: Option<&str>) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(metric, label), &METADATA))
}

/// Puts a span of time into a histogram.
pub fn time(metric: Metric, span: Duration) {
    metrics::with_recorder(|recorder| recorder.register_histogram(&key(metric, None), &METADATA))
        .record(span.as_secs_f64());
}

static METADATA: Metadata<'static> = Metadata::new("gateway", Level::INFO, Some("gateway"));

/// Name and label.
fn key(metric: Metric, value: Option<&str>) -> Key {
    debug_assert_eq!(metric.label().is_some(), value.is_some(), "label of {metric:?}");
    match (metric.label(), value) {
        (Some(label), Some(value)) => {
            Key::from_parts(metric.name(), vec![Label::from_static_parts(label, word(value))])
        }
        (Some(_) | None, Some(_) | None) => Key::from_static_name(metric.name()),
    }
}

/// More words than this, over all labels, share one.
const WORDS_MAX: usize = 1_024;
/// A longer word is no word of the program.
const WORD_BYTES_MAX: usize = 96;

/// A label's value, kept for the life of the process. A caller that let outside text in would meet the bound, not the
/// end of the memory: past it everything is `other`.
fn word(text: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(text) {
        return known;
    }
    if words.len() >= WORDS_MAX || text.len() > WORD_BYTES_MAX {
        return "other";
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    words.insert(kept);
    kept
}

#[cfg(test)]
mod tests;
