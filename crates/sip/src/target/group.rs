//! The targets of one trunk together: which one a call goes to, which is probed when, and how the trunk is as a whole.

use std::time::{Duration, Instant};

use super::health::{Health, State};
use super::locate::Candidate;

/// A target that is not up is probed so many times as often.
const CLOSER: u32 = 4;
/// But not more often than this.
const CLOSEST: Duration = Duration::from_secs(1);
/// An OPTIONS without an answer for so long has none.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// How targets are probed.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    /// Time between two OPTIONS; `None`: nobody asks.
    pub every: Option<Duration>,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Member {
    /// Where.
    pub candidate: Candidate,
    /// How it is.
    pub health: Health,
    /// The next OPTIONS, or until when the one on its way is waited for.
    probe_at: Instant,
    /// An OPTIONS is on its way.
    asked: bool,
}

/// Why no target is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoTarget {
    /// None is known: DNS has not answered yet, or with nothing.
    Unknown,
    /// All are down, or want to be left alone.
    Down,
    /// All that could be used have been tried for this call.
    Tried,
}

/// What became of a call's INVITE, or of a REGISTER, at a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// It said something that is no 503.
    Answered,
    /// 503, and for how long it wants to be left alone.
    Overloaded(Option<Duration>),
    /// Silence, or nothing could be sent.
    Failed,
}

/// The targets of one trunk.
#[derive(Clone, Debug)]
pub struct Group {
    members: Vec<Member>,
    probing: Probing,
}

impl Group {
    /// Without any target yet.
    pub fn new(probing: Probing) -> Self {
        Self { members: Vec::new(), probing }
    }

    /// Asks its targets at other times from now on; what is known of them stays.
    pub fn probe(&mut self, probing: Probing) {
        self.probing = probing;
    }

    /// The targets in order of priority.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What DNS and the configuration name now. Of a target that was there before its health is kept. `spread` is a random
    /// part of the interval, from 0 to 1, so that targets are not probed in step.
    pub fn set(&mut self, candidates: &[Candidate], now: Instant, mut spread: impl FnMut() -> f64) {
        let mut before = std::mem::take(&mut self.members);
        for candidate in candidates {
            let same = |member: &Member| {
                (member.candidate.transport, member.candidate.address) == (candidate.transport, candidate.address)
            };
            let member = match before.iter().position(same) {
                Some(at) => Member { candidate: *candidate, ..before.swap_remove(at) },
                None => {
                    // The first question comes soon: until it is answered nothing is known.
                    let first = self.probing.every.unwrap_or_default().min(CLOSEST).mul_f64(spread().clamp(0.0, 1.0));
                    let health = Health::new(now);
                    Member { candidate: *candidate, health, probe_at: now + first, asked: false }
                }
            };
            self.members.push(member);
        }
        self.members.sort_by_key(|member| member.candidate.priority);
    }

    /// The target for a call that has been sent to `tried` already: of those that can be used the best, by health before
    /// priority where one has failed, by weight among equals (RFC 2782). `random` gives a number from 0 to its argument.
    pub fn choose(
        &self,
        tried: &[Candidate],
        now: Instant,
        mut random: impl FnMut(u32) -> u32,
    ) -> Result<Candidate, NoTarget> {
        if self.members.is_empty() {
            return Err(NoTarget::Unknown);
        }
        let untried = |member: &&Member| {
            let candidate = &member.candidate;
            !tried.iter().any(|one| (one.transport, one.address) == (candidate.transport, candidate.address))
        };
        let usable = |member: &&Member| member.health.is_usable(now);
        let mut left: Vec<&Member> = self.members.iter().filter(untried).filter(usable).collect();
        if left.is_empty() {
            let none_usable = !self.members.iter().any(|member| member.health.is_usable(now));
            return Err(if none_usable { NoTarget::Down } else { NoTarget::Tried });
        }
        // What works comes before what has failed of late, whatever its priority: nobody waits for a time-out twice.
        let rank = |member: &Member| match member.health.state() {
            State::Up | State::Unknown => 0_u8,
            State::Degraded => 1,
            State::Down => 2,
        };
        let key = |member: &Member| (rank(member), member.candidate.priority);
        let best = left.iter().map(|member| key(member)).min().unwrap_or_default();
        left.retain(|member| key(member) == best);
        // RFC 2782: those of weight 0 first in the running sum, so that they have a small chance.
        left.sort_by_key(|member| member.candidate.weight);
        let total: u32 = left.iter().map(|member| u32::from(member.candidate.weight)).sum();
        let mark = random(total).min(total);
        let mut sum = 0;
        for member in &left {
            sum += u32::from(member.candidate.weight);
            if sum >= mark {
                return Ok(member.candidate);
            }
        }
        left.first().map(|member| member.candidate).ok_or(NoTarget::Down)
    }

    /// Whether a call could still go to another target.
    pub fn has_another(&self, tried: &[Candidate], now: Instant) -> bool {
        self.choose(tried, now, |_| 0).is_ok()
    }

    /// What became of a request at a target; `why` in words where it is no good news. True when its state has changed.
    pub fn heard(&mut self, at: &Candidate, news: &News, why: &str, now: Instant) -> bool {
        let every = self.probing.every;
        let Some(member) = self.member(at) else { return false };
        let before = member.health.state();
        match news {
            News::Answered => member.health.call_answered(now),
            News::Overloaded(after) => member.health.overloaded(why, *after, now),
            News::Failed => {
                member.health.call_failed(why, now);
                // Do not wait for the interval to know it better.
                if every.is_some() && !member.asked {
                    member.probe_at = now;
                }
            }
        }
        before != member.health.state()
    }

    /// The targets to be asked now.
    pub fn due(&mut self, now: Instant) -> Vec<Candidate> {
        if self.probing.every.is_none() {
            return Vec::new();
        }
        let due = self.members.iter_mut().filter(|member| !member.asked && member.probe_at <= now);
        due.map(|member| {
            member.asked = true;
            member.probe_at = now + PROBE_LIMIT;
            member.candidate
        })
        .collect()
    }

    /// Targets whose OPTIONS was not answered in time.
    pub fn overdue(&self, now: Instant) -> Vec<Candidate> {
        let late = self.members.iter().filter(|member| member.asked && member.probe_at <= now);
        late.map(|member| member.candidate).collect()
    }

    /// An OPTIONS ended: 503 says that it lives and has too much to do, any other answer that it lives. `Err`: none, and why.
    /// `spread` is a random number from 0 to 1. True when the target's state has changed.
    pub fn probed(&mut self, at: &Candidate, answer: Result<u16, &str>, now: Instant, spread: f64) -> bool {
        let Some(every) = self.probing.every else { return false };
        let Some(member) = self.member(at).filter(|member| member.asked) else { return false };
        let before = member.health.state();
        match answer {
            Ok(503) => member.health.overloaded("503 to OPTIONS", None, now),
            Ok(_) => member.health.probe_answered(now),
            Err(why) => member.health.probe_failed(why, now),
        }
        member.asked = false;
        let gap = match member.health.state() {
            State::Up => every,
            State::Unknown if !member.health.probes_tell() => every,
            State::Unknown | State::Degraded | State::Down => (every / CLOSER).max(CLOSEST).min(every),
        };
        member.probe_at = now + gap.mul_f64(0.9 + 0.2 * spread.clamp(0.0, 1.0));
        before != member.health.state()
    }

    /// The next moment at which [`Group::due`] or [`Group::overdue`] has something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.probing.every?;
        self.members.iter().map(|member| member.probe_at).min()
    }

    /// How the trunk is: up when its best targets are, degraded while it leans on others, down when none can be used.
    pub fn state(&self) -> State {
        let mut states: Vec<State> = self.members.iter().map(|member| member.health.state()).collect();
        states.sort_unstable();
        match (states.first(), states.last()) {
            (None, _) | (_, None) => State::Unknown,
            (Some(State::Down), _) => State::Down,
            (Some(State::Up | State::Unknown), Some(State::Degraded | State::Down)) => State::Degraded,
            (Some(best), Some(_)) => *best,
        }
    }

    /// Since when: the last change of any target.
    pub fn since(&self) -> Option<Instant> {
        self.members.iter().map(|member| member.health.since()).max()
    }

    fn member(&mut self, at: &Candidate) -> Option<&mut Member> {
        let same =
            |member: &&mut Member| (member.candidate.transport, member.candidate.address) == (at.transport, at.address);
        self.members.iter_mut().find(same)
    }
}
