//! The trunk doctor: everything between us and a PBX looked at, step by step, with what to change and on which side.
//!
//! ```text
//! names ─► reach (TLS, OPTIONS, NAT, REGISTER) ─► call (sound, digits, hold, codecs) ─► tags (what arrives of the tag)
//!  DNS      each target, on a socket of its own     by the gateway's driver and bridge     at a telephone we hold
//! ```
//! It runs beside the gateway and changes nothing there: the registrar is asked for its bindings and given none, calls come
//! from ports of its own.

mod call;
mod ear;
mod exchange;
mod line;
mod names;
mod reach;
pub(crate) mod report;
mod tags;
mod talk;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::target::Candidate;

use crate::config::checked::{self, Config, Secret, Trunk};
use crate::drive::sip::dns::Dns;
use crate::drive::sip::trunks::{Trunks, credentials, transport};
use crate::net::tls::Peer;
use line::Phone;
use report::{Finding, Report, Verdict, Where};

/// Until a trunk whose addresses are known takes calls.
const READY_LIMIT: Duration = Duration::from_secs(8);

/// A telephone at the PBX that the doctor may be.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// What is to be looked at beyond what costs nobody anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// A number for a test call.
    pub(crate) call: Option<String>,
    /// How long the test call listens.
    pub(crate) seconds: u64,
    /// Telephones for the test of the tag: the one called, and the one it transfers to.
    pub(crate) extensions: Vec<Extension>,
    /// A number behind which the first of them is called through a queue.
    pub(crate) queue: Option<String>,
}

/// Examines one trunk; each finding is told as soon as it is there.
pub(crate) async fn examine(config: &Config, trunk: &Trunk, wish: &Wish, mut tell: impl FnMut(&Finding)) -> Report {
    let mut report = Report { trunk: trunk.name.clone(), findings: Vec::new() };
    let mut found = |finding: Finding| {
        tell(&finding);
        report.findings.push(finding);
    };
    let reached = reach_all(config, trunk, &mut found).await;
    if reached {
        calls(config, trunk, wish, &mut found).await;
    } else if wish.call.is_some() || !wish.extensions.is_empty() {
        found(Finding::new("call", Verdict::Skipped, "no target of this trunk answers"));
    }
    report
}

/// Whether any target answers.
async fn reach_all(config: &Config, trunk: &Trunk, found: &mut impl FnMut(Finding)) -> bool {
    let bound: Vec<_> = config.sip.listen.iter().map(|(kind, at)| (transport(*kind), *at)).collect();
    let dns = Dns::new(&config.sip.dns);
    let trunks = Trunks::new(vec![Arc::new(trunk.clone())], bound.clone());
    let wanted: Vec<_> = trunks.keys().into_iter().flat_map(|key| trunks.wanted(key)).collect();
    let (candidates, findings) = names::look_up(&dns, &wanted).await;
    findings.into_iter().for_each(&mut *found);
    if candidates.is_empty() {
        return false;
    }
    // A trunk by TLS is called from any socket of its version of IP (certificates.rs).
    let faces = |at: &Candidate| {
        bound.iter().any(|(kind, local)| {
            local.is_ipv4() == at.address.is_ipv4() && (*kind == at.transport || at.transport == sip::Transport::Tls)
        })
    };
    let usable: Vec<Candidate> = candidates.iter().copied().filter(faces).collect();
    if usable.is_empty() {
        found(names::unreachable(&candidates));
        return false;
    }
    let peer = if trunk.transport == checked::Transport::Tls {
        match Peer::new(trunk) {
            Ok(peer) => Some(peer),
            Err(why) => {
                found(Finding::new("tls", Verdict::Bad, why).mend(Where::Here, "see the tls_ keys of the trunk"));
                return false;
            }
        }
    } else {
        None
    };
    let mut reached = false;
    for at in usable {
        let local = bound.iter().map(|(_, local)| local.ip()).find(|ip| ip.is_ipv4() == at.address.is_ipv4());
        let local = local.filter(|ip: &IpAddr| !ip.is_unspecified());
        let way = reach::Way { config, trunk, local, credentials: credentials(trunk), peer: peer.as_ref() };
        let (here, findings) = reach::look_at(&way, at).await;
        findings.into_iter().for_each(&mut *found);
        reached |= here;
    }
    reached
}

/// What needs a telephone of our own.
async fn calls(config: &Config, trunk: &Trunk, wish: &Wish, found: &mut impl FnMut(Finding)) {
    if wish.call.is_none() && wish.extensions.is_empty() {
        return found(
            Finding::new("call", Verdict::Skipped, "no test call: give an echo's number with --call")
                .figures(serde_json::Value::Null),
        );
    }
    // The gateway's own registration stays the gateway's.
    let plain = Arc::new(Trunk { register: false, options_interval: None, ..trunk.clone() });
    let (phone, media) = match (Phone::start(config, Arc::clone(&plain)).await, line::media(config)) {
        (Ok(phone), Ok(media)) => (phone, media),
        (Err(why), _) => {
            return found(Finding::new("call", Verdict::Bad, why).mend(Where::Here, "see `listen` of [sip]"));
        }
        (_, Err(error)) => {
            let why = format!("no sound can be made: {error}");
            return found(Finding::new("call", Verdict::Bad, why).mend(Where::Here, "see rtp_ports of [media]"));
        }
    };
    if !phone.wait_until(READY_LIMIT, |ledger| ledger.trunks.first().is_some_and(|trunk| trunk.ok)).await {
        return found(Finding::new("call", Verdict::Bad, "the trunk takes no calls: see above"));
    }
    let means = talk::Means { config, trunk: &plain, sip: &phone.sip, media: &media };
    if phone.beside {
        tracing::debug!("a gateway runs on the ports of [sip] listen; the doctor calls from others");
    }
    if let Some(user) = &wish.call {
        call::examine(&means, user, wish.seconds, found).await;
    }
    if !wish.extensions.is_empty() {
        tags::examine(&means, trunk, wish, found).await;
    }
    phone.sip.shutdown().await;
}
