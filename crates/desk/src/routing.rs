//! Who is rung for a queue: present, free, longest idle first.

use call::{LegKind, LegSpec, MAX_CANDIDATES};

use crate::agent::Agent;
use crate::{Queue, QueueTarget, Refusal};

/// The candidates of a queue now, in the order they are to be tried.
pub(crate) fn candidates(queue: &Queue, agents: &[Agent]) -> Result<Vec<LegSpec>, Refusal> {
    let leg = |kind| LegSpec { kind, ring_limit: queue.ring_limit };
    match &queue.target {
        // A PBX chooses by itself, and says so when nobody is there.
        QueueTarget::Trunk { trunk, uri } => Ok(vec![leg(LegKind::Trunk { trunk: trunk.clone(), uri: uri.clone() })]),
        QueueTarget::Agents { extensions, seat } => {
            let listed = agents.iter().filter(|agent| extensions.contains(&agent.config.extension));
            let mut free: Vec<&Agent> = listed.filter(|agent| agent.is_free(*seat)).collect();
            // Stable: of two idle equally long the one first in the configuration.
            free.sort_by_key(|agent| agent.idle_since);
            let kinds = free.into_iter().map(|agent| LegKind::Agent { extension: agent.config.extension.clone() });
            let legs: Vec<LegSpec> = kinds.take(MAX_CANDIDATES).map(leg).collect();
            if legs.is_empty() { Err(Refusal::NoAgent) } else { Ok(legs) }
        }
    }
}
