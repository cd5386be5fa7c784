//! What the configuration means for each loop: the same at the start and whenever another one is read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use call::{QueueId, TenantId, TrunkId};
use desk::{AgentConfig, CallLimits, DeskConfig, DeskLimits, Queue, QueueTarget, Seat as DeskSeat};
use media::codec::CodecKind;
use rand::Rng;
use sip::digest::AccountSecret;
use sip::endpoint::Account;
use tracing::error;
use web::origin::Origins;

use crate::admin_token;
use crate::app::ECHO;
use crate::config::checked::{self, Config, Seat};
use crate::drive::call::{CallConfig, CallContext};
use crate::drive::callbacks::{Callbacks, Line};
use crate::drive::desk as desk_task;
use crate::drive::web::{Standing, TenantDoor};

/// Calls the echo answers at once.
const ECHO_CALLS_MAX: usize = 200;

/// Whom a queue rings behind a trunk.
fn trunk_user(queue: &checked::Queue) -> Option<(String, String)> {
    match &queue.target {
        checked::QueueTarget::Trunk { trunk, user } => Some((trunk.clone(), user.clone())),
        checked::QueueTarget::Agents { .. } | checked::QueueTarget::Echo => None,
    }
}

/// What calls read of it. Trunks that did not change, and keys that were made up, are those of `before`.
pub(crate) fn call_config(config: &Config, before: Option<&CallConfig>) -> CallConfig {
    let seat = |queue: &checked::Queue| match queue.target {
        checked::QueueTarget::Agents { seat, .. } => seat,
        checked::QueueTarget::Echo => Seat::Phone,
        checked::QueueTarget::Trunk { .. } => Seat::Any,
    };
    let made_up = |tenant: &str| {
        let known = before.and_then(|before| before.made_up_keys.iter().find(|(id, _)| id == tenant));
        known.map_or_else(|| rand::rng().random::<[u8; 32]>().to_vec(), |(_, key)| key.clone())
    };
    let made_up_keys: Vec<(String, Vec<u8>)> =
        config.tenants.iter().map(|tenant| (tenant.id.clone(), made_up(&tenant.id))).collect();
    let key = |tenant: &checked::Tenant| match &tenant.tag_key {
        Some(key) => key.expose().as_bytes().to_vec(),
        None => made_up_keys.iter().find(|(id, _)| *id == tenant.id).map(|(_, key)| key.clone()).unwrap_or_default(),
    };
    let trunk = |trunk: &checked::Trunk| {
        let same = before.and_then(|before| before.trunk(&trunk.name)).filter(|known| ***known == *trunk);
        same.map_or_else(|| Arc::new(trunk.clone()), Arc::clone)
    };
    CallConfig {
        sdp_ip: sdp_ip(config),
        trunks: config.trunks.iter().map(trunk).collect(),
        trunk_users: config.queues.iter().filter_map(trunk_user).collect(),
        agent_codecs: vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcma, CodecKind::Pcmu],
        agent_srtp: config.sip.srtp,
        seats: config.queues.iter().map(|queue| ((queue.tenant.clone(), queue.id.clone()), seat(queue))).collect(),
        tag_keys: config.tenants.iter().map(|tenant| (tenant.id.clone(), key(tenant))).collect(),
        made_up_keys,
    }
}

/// What a tenant's desk and its calls go by.
pub(crate) fn desk_rules(config: &Config, tenant: &str, calls: &Arc<CallConfig>) -> desk_task::Rules {
    let queues = config.queues.iter().filter(|queue| queue.tenant == tenant).map(desk_queue).collect();
    desk_task::Rules { desk: desk_config(config, tenant, queues), calls: Arc::clone(calls) }
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
pub(crate) fn tenants_of(config: &Config, agent: &checked::Agent) -> Vec<String> {
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

/// The door of each tenant.
pub(crate) fn doors(config: &Config, contexts: &BTreeMap<String, CallContext>) -> BTreeMap<String, TenantDoor> {
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
pub(crate) fn callback_lines(config: &Config, contexts: &BTreeMap<String, CallContext>) -> Vec<Line> {
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
            retired: false,
        })
    };
    config.queues.iter().filter_map(line).collect()
}

/// Who may register here: the agents, and the echo where it serves.
pub(crate) fn accounts(config: &Config, echo: Option<&str>) -> Vec<Account> {
    let agents = config.agents.iter().map(|agent| (agent.extension.as_str(), agent.password.expose()));
    let accounts = agents.chain(echo.map(|password| (ECHO, password)));
    let account = |(user, password): (&str, &str)| Account {
        user: user.to_owned(),
        secret: AccountSecret::new(user, &config.sip.realm, password),
    };
    accounts.map(account).collect()
}

/// What the edge sees of the house.
pub(crate) fn standing(
    config: &Config,
    contexts: &BTreeMap<String, CallContext>,
    callbacks: Callbacks,
) -> Result<Standing, String> {
    Ok(Standing {
        tenants: doors(config, contexts),
        agents: config.agents.iter().map(|agent| (agent.clone(), tenants_of(config, agent))).collect(),
        callbacks,
        admin_token: admin_token::of_the_gateway(config)?,
    })
}
