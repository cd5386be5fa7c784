//! What the agent's live page shows: who is ringing or talking, from which page.

use call::{CallId, CallTags, State};

use crate::{Presence, Seats};

/// One live call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallCard {
    /// Which call.
    pub call: CallId,
    /// Where it stands.
    pub state: State,
    /// Tenant, queue, session, page, title, referrer and language.
    pub tags: CallTags,
    /// When it was asked for.
    pub started_unix_ms: u64,
    /// Since when it stands there.
    pub since_unix_ms: u64,
    /// A visitor's own call from the site: no call-back, and no call between phones.
    pub is_talk: bool,
    /// The extension being called or talking; none behind a trunk.
    pub agent: Option<String>,
}

/// One agent, as the others see him.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentCard {
    /// His extension.
    pub extension: String,
    /// The name visitors see.
    pub name: String,
    /// What he says of himself.
    pub presence: Presence,
    /// Where he can ring.
    pub seats: Seats,
    /// The calls he is in or is being rung for.
    pub calls: Vec<CallId>,
}
