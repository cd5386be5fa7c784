//! Who works for a queue now and how long its calls have lasted: what an estimate of the wait is made of.

use std::time::Duration;

use rand::rngs::StdRng;

use crate::agent::Agent;
use crate::live::LiveCall;
use crate::wait::{Handling, Queued, Wait};
use crate::{Presence, Queue, QueueTarget};

/// A queue's agents and its recent handling times.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Agents who could take a call now.
    pub free: usize,
    /// For each agent at work, since when.
    pub busy_since_unix_ms: Vec<u64>,
    /// What handling a call has cost of late.
    pub handling: Handling,
    /// Its agents are counted here; else a PBX knows them.
    pub agents_known: bool,
}

impl Load {
    /// Of a queue whose agents are known here; behind a trunk nobody is counted.
    pub(crate) fn of<'a>(
        queue: &Queue,
        agents: &[Agent],
        calls: impl Iterator<Item = &'a LiveCall> + Clone,
        handling: Handling,
    ) -> Self {
        let mut load = Self { free: 0, busy_since_unix_ms: Vec::new(), handling, agents_known: false };
        let QueueTarget::Agents { extensions, seat } = &queue.target else { return load };
        load.agents_known = true;
        for agent in agents.iter().filter(|agent| extensions.contains(&agent.config.extension)) {
            if agent.is_free(*seat) {
                load.free += 1;
                continue;
            }
            let is_his = |call: &&LiveCall| {
                let his = |who: &Option<String>| who.as_deref() == Some(agent.config.extension.as_str());
                his(&call.card.agent) || his(&call.caller)
            };
            let since = calls.clone().filter(is_his).map(|call| call.card.started_unix_ms).min();
            match (agent.presence(), since) {
                (Presence::Offline, _) | (Presence::Busy | Presence::Away, None) => {}
                (Presence::Ready | Presence::WrapUp | Presence::Busy | Presence::Away, Some(since)) => {
                    load.busy_since_unix_ms.push(since);
                }
                // He writes up his last call: he may be there at any moment.
                (Presence::WrapUp, None) if agent.seats.has(*seat) => load.busy_since_unix_ms.push(0),
                (Presence::Ready | Presence::WrapUp, None) => {}
            }
        }
        load
    }

    /// The range for somebody before whom so many go; `None` when nobody works. The same question has the same answer.
    pub fn estimate(&self, before: usize, now_unix_ms: u64) -> Option<Wait> {
        let elapsed = |since: &u64| Duration::from_millis(now_unix_ms.saturating_sub(*since));
        let busy_for = self.busy_since_unix_ms.iter().map(elapsed).collect();
        let mut rng: StdRng = rand::SeedableRng::seed_from_u64(before as u64);
        self.handling.estimate(&Queued { free: self.free, busy_for, before }, &mut rng)
    }
}
