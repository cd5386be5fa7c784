//! How each trunk is, in words for its administrator: state, since when, what went wrong last, and the mend.

use std::time::Instant;

use sip::target::{NoTarget, State};

use super::trunks::{Registration, TrunkEntry};
use crate::clock;

/// What an admin may do about a target that does not answer.
pub(super) const MEND_TARGET: &str = "check that the PBX runs, its host, port and transport, and the firewall between";
/// What an admin may do about a name that is not found.
const MEND_DNS: &str = "check the host in `uri` or `targets`, and the DNS servers (`dns` of [sip])";

/// How we are registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Registered {
    /// REGISTER is on its way for the first time.
    Trying,
    /// The registrar holds our contact.
    Yes,
    /// It does not; the next try is at this moment.
    No {
        /// When.
        retry_at: Instant,
    },
    /// Taken back.
    Left,
}

impl Registered {
    /// The same, whenever the next try is.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// One trunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrunkReport {
    pub(crate) name: String,
    /// Calls find a way through it.
    pub(crate) ok: bool,
    /// One line: state, since when, last error, mend.
    pub(crate) detail: String,
}

/// All trunks, for `/readyz` and `passerelle trunk list`. No address is in it: who may ask for health need not know where the
/// PBX is.
pub(super) fn all(entries: &[&TrunkEntry]) -> Vec<TrunkReport> {
    entries.iter().map(|entry| one(entry)).collect()
}

fn one(entry: &TrunkEntry) -> TrunkReport {
    let state = entry.group.state();
    let members = entry.group.members();
    let mut detail = state.code().to_owned();
    if let Some(since) = entry.group.since() {
        detail.push_str(&format!(" since {}", at(since)));
    }
    let used = members.iter().filter(|member| matches!(member.health.state(), State::Up | State::Unknown)).count();
    if members.len() > 1 {
        detail.push_str(&format!(", {used} of {} targets", members.len()));
    }
    if entry.caps.up() > 0 {
        detail.push_str(&format!(", {} calls", entry.caps.up()));
    }
    let registered = entry.registration.as_ref().map(registration);
    if let Some((_, told)) = &registered {
        detail.push_str(&format!("; {told}"));
    }
    if let Some(trouble) = &entry.trouble {
        detail.push_str(&format!("; {trouble} ({MEND_DNS})"));
    }
    let worst = members.iter().filter(|member| matches!(member.health.state(), State::Degraded | State::Down));
    if let Some(why) = worst.max_by_key(|member| member.health.state()).and_then(|member| member.health.last_error()) {
        detail.push_str(&format!("; last error: {why} ({MEND_TARGET})"));
    }
    let usable = state != State::Down && !members.is_empty();
    TrunkReport { name: entry.trunk.name.clone(), ok: usable && registered.is_none_or(|(yes, _)| yes), detail }
}

fn registration(registration: &Registration) -> (bool, String) {
    let since = at(registration.since);
    let why = registration
        .last_error
        .as_ref()
        .map_or_else(String::new, |(status, text)| format!(": {status} {text} ({})", registration_mend(*status)));
    match registration.state {
        Registered::Yes => (true, format!("registered since {since}")),
        Registered::Trying => (false, format!("registering since {since}{why}")),
        Registered::No { retry_at } => {
            let left = retry_at.saturating_duration_since(clock::now()).as_secs();
            (false, format!("not registered since {since}{why}; next try in {left} s"))
        }
        Registered::Left => (false, "unregistered".to_owned()),
    }
}

/// Why a call finds no way, in words for the log.
pub(super) fn refusal(entry: &TrunkEntry, none: NoTarget) -> String {
    let name = &entry.trunk.name;
    match none {
        NoTarget::Unknown => {
            let why = entry.trouble.as_deref().unwrap_or("DNS has not answered yet");
            format!("where trunk {name} is is not known: {why} ({MEND_DNS})")
        }
        NoTarget::Down => format!("trunk {name} is down ({MEND_TARGET})"),
        NoTarget::Tried => format!("no target of trunk {name} takes this call"),
    }
}

/// What an admin may do about a refused registration.
pub(crate) fn registration_mend(status: u16) -> &'static str {
    match status {
        401 | 407 => "check username, password_file and realm of the trunk, and that the PBX has this account",
        403 => "check username and password_file of the trunk, and that the PBX lets this account in from here",
        404 => "the PBX does not know this user or domain: check username and uri",
        408 => "no answer: check host, port, transport and the firewall between",
        423 => "the PBX wants a longer registration: it is followed by itself",
        503 => "the PBX is overloaded or restarting, or its port is closed",
        _ => "see the PBX's own log for this status",
    }
}

/// A moment of the monotonic clock as UTC.
fn at(moment: Instant) -> String {
    let ago = clock::now().saturating_duration_since(moment);
    let unix_ms = clock::unix_ms().saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
    let timestamp = i64::try_from(unix_ms / 1_000).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| "the start".to_owned(), |timestamp| timestamp.to_string())
}
