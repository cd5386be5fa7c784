//! Where a trunk's requests go: its targets by RFC 3263, which of them live, which comes next, and how many calls they take.
//!
//! ```text
//! Cache   what DNS has answered, for how long it holds, and what serves while DNS does not answer
//! locate  a URI's host and what DNS has said so far ─► the next questions, or candidates
//! Group   candidates ─► choose ─► a target for this call; news of calls and probes ─► up, degraded, down
//! Caps    calls per second, calls at once
//! ```
//! Nothing here asks DNS, sends or sleeps: answers, time and random numbers are arguments.

mod cache;
mod caps;
mod group;
mod health;
mod locate;
#[cfg(test)]
mod tests;

pub use cache::{Cache, Heard};
pub use caps::{Caps, Full};
pub use group::{Group, Member, News, NoTarget, Probing};
pub use health::{Health, State};
pub use locate::{Answer, Candidate, Kind, Located, Question, Record, Wanted, locate};
