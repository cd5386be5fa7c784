//! Who is rung for a queue: present, free; for a customer who is known, first the agent who knows him;
//! then who has his language; then longest idle.

use call::{LegKind, LegSpec, MAX_CANDIDATES};

use crate::agent::Agent;
use crate::{Queue, QueueTarget, Refusal};

/// Who spoke with a customer last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastAgent {
    /// His extension.
    pub extension: String,
    /// While he works and is not free, nobody else is asked.
    pub is_waited_for: bool,
}

/// What is known of the customer when candidates are looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// Who spoke with him last.
    pub(crate) last_agent: Option<&'a LastAgent>,
    /// His language, as his page says it: `fr-FR`.
    pub(crate) language: &'a str,
    /// Who would not take this call: asked after all others.
    pub(crate) declined: &'a [String],
}

impl Known<'_> {
    fn has_declined(&self, agent: &Agent) -> bool {
        self.declined.contains(&agent.config.extension)
    }

    /// The agent has his language among his skills.
    fn is_understood_by(&self, agent: &Agent) -> bool {
        let language = self.language.split(['-', '_']).next().unwrap_or_default();
        !language.is_empty() && agent.config.skills.iter().any(|skill| skill.eq_ignore_ascii_case(language))
    }

    fn spoke_with(&self, agent: &Agent) -> bool {
        self.last_agent.is_some_and(|last| last.extension == agent.config.extension)
    }
}

/// The candidates of a queue now, in the order they are to be tried.
pub(crate) fn candidates(queue: &Queue, agents: &[Agent], known: Known<'_>) -> Result<Vec<LegSpec>, Refusal> {
    let leg = |kind| LegSpec { kind, ring_limit: queue.ring_limit };
    match &queue.target {
        // A PBX chooses by itself, and says so when nobody is there.
        QueueTarget::Trunk { trunk, uri } => Ok(vec![leg(LegKind::Trunk { trunk: trunk.clone(), uri: uri.clone() })]),
        QueueTarget::Agents { extensions, seat } => {
            let listed = agents.iter().filter(|agent| extensions.contains(&agent.config.extension));
            let (mut free, others): (Vec<&Agent>, Vec<&Agent>) = listed.partition(|agent| agent.is_free(*seat));
            let waits = known.last_agent.is_some_and(|last| last.is_waited_for);
            let is_missed = |agent: &&Agent| known.spoke_with(agent) && !known.has_declined(agent);
            if waits && others.into_iter().filter(is_missed).any(|agent| agent.will_be_free(*seat)) {
                return Err(Refusal::AgentBusy);
            }
            // Stable: of two idle equally long the one first in the configuration.
            let order = |agent: &&Agent| {
                let (spoke, understands) = (known.spoke_with(agent), known.is_understood_by(agent));
                (known.has_declined(agent), !spoke, !understands, agent.idle_since)
            };
            free.sort_by_key(order);
            let kinds = free.into_iter().map(|agent| LegKind::Agent { extension: agent.config.extension.clone() });
            let legs: Vec<LegSpec> = kinds.take(MAX_CANDIDATES).map(leg).collect();
            if legs.is_empty() { Err(Refusal::NoAgent) } else { Ok(legs) }
        }
    }
}
