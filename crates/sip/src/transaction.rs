//! Transactions: what pairs a request with its answers, and the four machines of RFC 3261 §17 with RFC 6026.
//!
//! A machine owns no octets: it takes an [`Input`] and says which [`Step`]s follow. `endpoint::layer` keeps the
//! messages and carries the steps out.

pub(crate) mod client_invite;
pub(crate) mod client_other;
pub(crate) mod server_invite;
pub(crate) mod server_other;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::message::{Method, Request, Response};
use crate::timer::{Timer, Timers};
use crate::values::{ValueError, Via};

/// What happens to a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Input {
    /// Client: send the request. Server: the request came in again.
    Request,
    /// 100 to 199.
    Provisional,
    /// 200 to 299.
    Success,
    /// 300 to 699.
    Refusal,
    /// The ACK of a refusal came in.
    Ack,
    /// Time to send again: timers A, E, G.
    Resend,
    /// Waited long enough: timers B, F, H.
    GiveUp,
    /// No copy can come any more: timers D, I, J, K, L, M.
    Rest,
    /// The transport failed.
    Broken,
}

impl Input {
    /// The class of a response.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            0..=199 => Self::Provisional,
            200..=299 => Self::Success,
            300.. => Self::Refusal,
        }
    }

    /// What a transaction's timer means. `None` for timers that belong to nobody here.
    pub(crate) fn of_timer(timer: Timer) -> Option<Self> {
        match timer {
            Timer::A | Timer::E | Timer::G => Some(Self::Resend),
            Timer::B | Timer::F | Timer::H => Some(Self::GiveUp),
            Timer::D | Timer::I | Timer::J | Timer::K | Timer::L | Timer::M => Some(Self::Rest),
            Timer::Answer
            | Timer::AckWait
            | Timer::Ring
            | Timer::CancelWait
            | Timer::Glare
            | Timer::Reoffer
            | Timer::SessionRefresh
            | Timer::SessionExpiry
            | Timer::Provisional
            | Timer::PrackWait
            | Timer::Refresh
            | Timer::RegisterRetry
            | Timer::Binding
            | Timer::Orphan
            | Timer::Ping
            | Timer::Pong
            | Timer::Idle => None,
        }
    }
}

/// What a machine wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Client: send the request. Server: send the last response.
    Send,
    /// Client: acknowledge the refusal just received.
    Ack,
    /// Set a timer.
    Arm(Timer, Duration),
    /// Forget a timer.
    Disarm(Timer),
    /// Hand the message to the transaction user.
    Pass,
    /// Tell the transaction user that this timer ended it.
    TimedOut(Timer),
    /// Tell the transaction user that the transport failed.
    Failed,
    /// The transaction is over.
    End,
}

/// What all four machines know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) timers: Timers,
    /// The transport repeats for us.
    pub(crate) reliable: bool,
    /// The current gap between two sends.
    pub(crate) gap: Duration,
}

impl Pace {
    pub(crate) fn new(timers: Timers, reliable: bool) -> Self {
        Self { timers, reliable, gap: timers.t1 }
    }

    /// Lingers for `over_udp` where the transport may bring copies, else ends at once.
    pub(crate) fn rest(&self, timer: Timer, over_udp: Duration) -> Step {
        if self.reliable { Step::End } else { Step::Arm(timer, over_udp) }
    }
}

/// What identifies a client transaction (§17.1.3): our own random branch, and the method of the CSeq, because
/// CANCEL shares the branch of its INVITE.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ClientKey {
    pub(crate) branch: String,
    pub(crate) method: Method,
}

impl ClientKey {
    /// The transaction a response belongs to.
    pub(crate) fn of_response(response: &Response) -> Result<Self, ValueError> {
        let via = response.via()?;
        Ok(Self { branch: via.branch().unwrap_or_default().to_owned(), method: response.cseq()?.method })
    }
}

/// What identifies a server transaction (§17.2.3).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ServerKey(String);

impl ServerKey {
    /// The transaction of a request; for an ACK that of its INVITE.
    pub(crate) fn of_request(request: &Request) -> Result<Self, ValueError> {
        let is_ack = request.method == Method::Ack;
        Self::build(request, if is_ack { &Method::Invite } else { &request.method })
    }

    /// The INVITE a CANCEL is for (§9.2).
    pub(crate) fn of_cancelled(cancel: &Request) -> Result<Self, ValueError> {
        Self::build(cancel, &Method::Invite)
    }

    fn build(request: &Request, method: &Method) -> Result<Self, ValueError> {
        let via = request.via()?;
        let sent_by = sent_by(&via);
        if let Some(branch) = via.rfc3261_branch() {
            // Branches compare without regard to case (§7.3.1, they are tokens).
            return Ok(Self(format!("{} {sent_by} {method}", branch.to_ascii_lowercase())));
        }
        // RFC 2543 matching: no cookie in the branch. The To tag is left out, because an ACK has one and its
        // INVITE has none.
        Ok(Self(format!(
            "2543 {} {} {} {} {sent_by} {} {method}",
            request.uri,
            request.call_id()?,
            request.from_tag().unwrap_or_default(),
            request.cseq()?.number,
            via.branch().unwrap_or_default(),
        )))
    }
}

fn sent_by(via: &Via) -> String {
    format!("{}:{}", via.host, via.port_or_default()).to_ascii_lowercase()
}

/// What is the same in two copies of one request that took different paths (§8.2.2.2).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct MergeKey {
    call_id: String,
    from_tag: String,
    cseq: u32,
    method: Method,
}

impl MergeKey {
    /// `None` for what cannot be merged: requests with a To tag, or without a From tag.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        if request.to_tag().is_some() {
            return None;
        }
        Some(Self {
            call_id: request.call_id().ok()?.to_owned(),
            from_tag: request.from_tag()?,
            cseq: request.cseq().ok()?.number,
            method: request.method.clone(),
        })
    }
}
