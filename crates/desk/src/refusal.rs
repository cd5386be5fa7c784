//! Why a request to talk is refused: a code for the page, a bound for the counter.

use std::fmt;

/// Why nobody will be called.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// Outside the opening hours, or the gateway is being stopped.
    Closed,
    /// Nobody who could answer is there and free.
    NoAgent,
    /// The agent who knows this customer is not free yet, and is waited for.
    AgentBusy,
    /// A bound is reached.
    TooMany(Bound),
    /// No such queue here.
    UnknownQueue,
    /// No such extension here (a phone dialled it).
    UnknownAgent,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Bound {
    /// This session talks already.
    Session,
    /// Too many calls from this address.
    Address,
    /// Too many requests a minute from this address.
    Rate,
    /// Too many wait in this queue.
    Queue,
    /// Too many calls of this tenant.
    Tenant,
}

impl Refusal {
    /// The stable word for the page.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::NoAgent => "no_agent",
            Self::AgentBusy => "agent_busy",
            Self::TooMany(_) => "too_many",
            Self::UnknownQueue => "unknown_queue",
            Self::UnknownAgent => "unknown_agent",
        }
    }

    /// The stable word for the counter's label: as [`code`](Self::code), with the bound named.
    pub const fn counter(self) -> &'static str {
        match self {
            Self::TooMany(Bound::Session) => "too_many_session",
            Self::TooMany(Bound::Address) => "too_many_address",
            Self::TooMany(Bound::Rate) => "too_many_rate",
            Self::TooMany(Bound::Queue) => "too_many_queue",
            Self::TooMany(Bound::Tenant) => "too_many_tenant",
            Self::Closed | Self::NoAgent | Self::AgentBusy | Self::UnknownQueue | Self::UnknownAgent => self.code(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the queue is closed",
            Self::NoAgent => "no agent is free",
            Self::AgentBusy => "the agent who knows this customer is not free yet",
            Self::TooMany(Bound::Session) => "this session has a call already",
            Self::TooMany(Bound::Address) => "too many calls from this address",
            Self::TooMany(Bound::Rate) => "too many requests from this address",
            Self::TooMany(Bound::Queue) => "too many wait in this queue",
            Self::TooMany(Bound::Tenant) => "too many calls of this tenant",
            Self::UnknownQueue => "no such queue",
            Self::UnknownAgent => "no such extension",
        })
    }
}

impl std::error::Error for Refusal {}
