//! The configuration as typed: the shape of the TOML file, every key optional, every value with its place.
//!
//! Defaults, units, ranges and references are `check`'s. What each key means stands in `config/passerelle.toml`,
//! which a test holds against these structs.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A value and where it stands.
pub(super) type Key<T> = Option<Spanned<T>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) http: Http,
    pub(super) sip: Sip,
    pub(super) media: Media,
    pub(super) store: Store,
    pub(super) tenant: Vec<Spanned<Tenant>>,
    pub(super) trunk: Vec<Spanned<Trunk>>,
    pub(super) queue: Vec<Spanned<Queue>>,
    pub(super) hours: Vec<Spanned<Hours>>,
    pub(super) callback: Shield,
    pub(super) agent: Vec<Spanned<Agent>>,
    pub(super) shutdown: Shutdown,
    pub(super) log: Log,
    pub(super) limits: Limits,
    pub(super) mail: Mail,
    pub(super) ladder: Ladder,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Key<String>,
    pub(super) public_url: Key<String>,
    pub(super) trusted_proxies: Key<Vec<Spanned<String>>>,
    pub(super) admin_token: Key<String>,
    pub(super) admin_token_file: Key<String>,
    pub(super) admin_token_env: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sip {
    pub(super) listen: Key<Vec<Spanned<String>>>,
    pub(super) public_ip: Key<String>,
    pub(super) realm: Key<String>,
    pub(super) digest_sha256: Key<bool>,
    pub(super) srtp: Key<String>,
    pub(super) tls_certificate_file: Key<String>,
    pub(super) tls_key_file: Key<String>,
    pub(super) dns: Key<Vec<Spanned<String>>>,
    pub(super) calls_per_second_max: Key<i64>,
    pub(super) stranger_requests_max: Key<i64>,
    pub(super) stranger_ban_s: Key<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Media {
    pub(super) webrtc_listen: Key<String>,
    pub(super) public_ip: Key<String>,
    pub(super) rtp_ports: Key<String>,
    pub(super) rtp_address: Key<String>,
    pub(super) workers: Key<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) url: Key<String>,
    pub(super) url_file: Key<String>,
    pub(super) url_env: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tenant {
    pub(super) id: Key<String>,
    pub(super) origins: Key<Vec<Spanned<String>>>,
    pub(super) tag_key: Key<String>,
    pub(super) tag_key_file: Key<String>,
    pub(super) tag_key_env: Key<String>,
    pub(super) customer_key: Key<String>,
    pub(super) customer_key_file: Key<String>,
    pub(super) customer_key_env: Key<String>,
    pub(super) customer_key_old: Key<String>,
    pub(super) customer_key_old_file: Key<String>,
    pub(super) customer_key_old_env: Key<String>,
    pub(super) webhook: Option<Spanned<Webhook>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Webhook {
    pub(super) url: Key<String>,
    pub(super) secret: Key<String>,
    pub(super) secret_file: Key<String>,
    pub(super) secret_env: Key<String>,
    pub(super) events: Key<Vec<Spanned<String>>>,
    pub(super) number: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mail {
    pub(super) host: Key<String>,
    pub(super) port: Key<i64>,
    pub(super) tls: Key<String>,
    pub(super) username: Key<String>,
    pub(super) password: Key<String>,
    pub(super) password_file: Key<String>,
    pub(super) password_env: Key<String>,
    pub(super) from: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Trunk {
    pub(super) name: Key<String>,
    pub(super) uri: Key<String>,
    pub(super) tls_ca_file: Key<String>,
    pub(super) tls_pin_sha256: Key<Vec<Spanned<String>>>,
    pub(super) tls_certificate_file: Key<String>,
    pub(super) tls_key_file: Key<String>,
    pub(super) targets: Key<Vec<Spanned<String>>>,
    pub(super) options_interval_s: Key<i64>,
    pub(super) calls_per_second_max: Key<i64>,
    pub(super) calls_max: Key<i64>,
    pub(super) register: Key<bool>,
    pub(super) register_expires_s: Key<i64>,
    pub(super) session_expires_s: Key<i64>,
    pub(super) min_se_s: Key<i64>,
    pub(super) refresher: Key<String>,
    pub(super) reliable_provisional: Key<String>,
    pub(super) transfer: Key<String>,
    pub(super) transfer_to: Key<Vec<Spanned<String>>>,
    pub(super) username: Key<String>,
    pub(super) realm: Key<String>,
    pub(super) password: Key<String>,
    pub(super) password_file: Key<String>,
    pub(super) password_env: Key<String>,
    pub(super) codecs: Key<Vec<Spanned<String>>>,
    pub(super) srtp: Key<String>,
    pub(super) headers: Key<Vec<Spanned<String>>>,
    pub(super) accept_from: Key<Vec<Spanned<String>>>,
    pub(super) caller_ids: Key<Vec<Spanned<String>>>,
    pub(super) callback_dials_per_day_max: Key<i64>,
    pub(super) callback_minutes_per_day_max: Key<i64>,
    pub(super) callback_prices: Key<Prices>,
    pub(super) callback_money_per_day_max: Key<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Queue {
    pub(super) id: Key<String>,
    pub(super) tenant: Key<String>,
    pub(super) dial: Key<String>,
    pub(super) agents: Key<Vec<Spanned<String>>>,
    pub(super) skills: Key<Vec<Spanned<String>>>,
    pub(super) seat: Key<String>,
    pub(super) ring_limit_s: Key<i64>,
    pub(super) waiting_max: Key<i64>,
    pub(super) hours: Key<String>,
    pub(super) callback: Option<Spanned<Callback>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Callback {
    pub(super) trunk: Key<String>,
    pub(super) rings_first: Key<String>,
    pub(super) accept: Key<String>,
    pub(super) accept_limit_s: Key<i64>,
    pub(super) last_agent_days: Key<i64>,
    pub(super) last_agent_wait_minutes: Key<i64>,
    pub(super) countries: Key<Vec<Spanned<String>>>,
    pub(super) kinds: Key<Vec<Spanned<String>>>,
    pub(super) blocked_prefixes: Key<Vec<Spanned<String>>>,
    pub(super) dial_as: Key<String>,
    pub(super) dial_prefix: Key<String>,
    pub(super) caller_id: Key<String>,
    pub(super) ring_limit_s: Key<i64>,
    pub(super) at_once_max: Key<i64>,
    pub(super) open_max: Key<i64>,
    pub(super) per_number_per_day_max: Key<i64>,
    pub(super) per_session_per_day_max: Key<i64>,
    pub(super) asks_per_day_max: Key<i64>,
    pub(super) slot_minutes: Key<i64>,
    pub(super) slot_seats: Key<i64>,
    pub(super) lead_minutes: Key<i64>,
    pub(super) horizon_days: Key<i64>,
    pub(super) asap_before_close_minutes: Key<i64>,
    pub(super) asap_while_paused: Key<bool>,
    pub(super) wait_max_minutes: Key<i64>,
    pub(super) order: Key<String>,
    pub(super) head_start_minutes: Key<i64>,
    pub(super) soon_minutes: Key<i64>,
    pub(super) late_minutes: Key<i64>,
    pub(super) ceiling_minutes: Key<i64>,
    pub(super) attempts_max: Key<i64>,
    pub(super) window_hours: Key<i64>,
}

/// `[callback]`: what holds for the call-backs of all queues.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shield {
    pub(super) number_key: Key<String>,
    pub(super) number_key_file: Key<String>,
    pub(super) number_key_env: Key<String>,
    pub(super) suppress_years: Key<i64>,
    pub(super) proof_of_work: Key<String>,
}

/// The beginning of a number, each with its price a minute.
pub(super) type Prices = BTreeMap<Spanned<String>, Spanned<f64>>;

/// Days, or dates, each with its hours.
pub(super) type Week = BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Hours {
    pub(super) id: Key<String>,
    pub(super) zone: Key<String>,
    pub(super) week: Key<Week>,
    pub(super) holidays: Key<String>,
    pub(super) exceptions: Key<Week>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Agent {
    pub(super) extension: Key<String>,
    pub(super) name: Key<String>,
    pub(super) skills: Key<Vec<Spanned<String>>>,
    pub(super) password: Key<String>,
    pub(super) password_file: Key<String>,
    pub(super) password_env: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shutdown {
    pub(super) drain_limit_s: Key<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) filter: Key<String>,
    pub(super) format: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ladder {
    pub(super) memory_mb: Key<i64>,
    pub(super) keep_hours: Key<i64>,
    pub(super) messages_max: Key<i64>,
    pub(super) hep: Key<String>,
    pub(super) hep_id: Key<i64>,
    pub(super) hep_key: Key<String>,
    pub(super) hep_key_file: Key<String>,
    pub(super) hep_key_env: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) calls_max: Key<i64>,
    pub(super) calls_per_ip_max: Key<i64>,
    pub(super) talks_per_ip_per_minute_max: Key<i64>,
    pub(super) callback_asks_per_ip_per_hour_max: Key<i64>,
    pub(super) call_duration_max_s: Key<i64>,
    pub(super) media_lost_grace_s: Key<i64>,
    pub(super) token_lifetime_s: Key<i64>,
    pub(super) sip_transactions_max: Key<i64>,
}
