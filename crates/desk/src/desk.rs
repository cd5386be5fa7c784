//! `Desk`: decides for one tenant who talks to whom.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use call::{
    CallEvent, CallId, CallRecord, CallSpec, CallTags, HangupCause, LegId, LegKind, LegSpec, Now, Party, Plan, QueueId,
    State, TagsDraft, TenantId, Transfer,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::agent::Agent;
use crate::limit::{Budgets, Source};
use crate::live::LiveCall;
use crate::load::Load;
use crate::routing::{Known, LastAgent};
use crate::wait::Handling;
use crate::{AgentCard, Bound, CallCard, DeskConfig, Presence, Queue, Refusal, Seat, Seats, routing};

/// How long a phone that dials another may let it ring.
const DIAL_RING_LIMIT: Duration = Duration::from_secs(60);
/// How often the opening hours are looked at: they are written in minutes.
const HOURS_EVERY_MS: u64 = 60_000;

/// A visitor clicked *Talk*.
#[derive(Clone, Debug)]
pub struct TalkRequest {
    /// In which queue; bound into his token, never chosen by the page.
    pub queue: QueueId,
    /// His web session.
    pub session: String,
    /// The page he clicked on.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Where he came from.
    pub referrer: Option<String>,
    /// His language.
    pub language: String,
    /// His address.
    pub source_ip: IpAddr,
}

/// A call-back whose turn has come.
#[derive(Clone, Debug)]
pub struct CallbackTurn {
    /// What the call carries; the queue among it.
    pub tags: CallTags,
    /// The customer's leg.
    pub customer: LegSpec,
    /// The agent is rung first, or the customer.
    pub agent_first: bool,
    /// An agent who is rung first takes it by key 1, within this time of answering; `None`: by answering.
    pub key_limit: Option<Duration>,
    /// Agents who would not take this one: they are asked last.
    pub declined: Vec<String>,
    /// Who talked with this customer last: he is asked first, unless he declined.
    pub last_agent: Option<LastAgent>,
}

/// Whether a visitor could talk now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Availability {
    /// Yes.
    TalkNow,
    /// No, and why.
    Not(Refusal),
}

/// What a desk orders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeskCommand {
    /// Tell this call not to try that candidate: the agent has been taken by another call
    /// ([`Call::withdraw`](call::Call::withdraw)).
    Withdraw {
        /// Which call.
        call: CallId,
        /// Which candidate.
        leg: LegId,
    },
    /// [`Desk::live`] or [`Desk::agents`] has changed: show it.
    LiveChanged,
}

/// Why a desk asks to be woken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// An agent's rest after a call is over (`wrap_up`).
    WrapUp,
    /// A queue may open or close (`hours`, by the minute).
    Hours,
}

/// The judgement of one tenant.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
    agents: Vec<Agent>,
    calls: BTreeMap<CallId, LiveCall>,
    budgets: Budgets,
    accepting: bool,
    /// When the hours are looked at next, if any queue has hours.
    hours_at: Option<Instant>,
    /// Which queues were open at the last look.
    open: Vec<bool>,
    numbers: u64,
    withdrawals: VecDeque<(CallId, LegId)>,
    live_changed: bool,
    /// How long calls have lasted of late, by queue.
    handling: BTreeMap<QueueId, Handling>,
    rng: StdRng,
}

impl Desk {
    /// A desk with nobody there yet.
    pub fn new(config: DeskConfig, now: Now) -> Self {
        let mut desk = Self {
            agents: config.agents.iter().cloned().map(|agent| Agent::new(agent, now.mono)).collect(),
            calls: BTreeMap::new(),
            budgets: Budgets::default(),
            accepting: true,
            hours_at: None,
            open: Vec::new(),
            numbers: 0,
            withdrawals: VecDeque::new(),
            live_changed: false,
            handling: BTreeMap::new(),
            rng: StdRng::from_seed(config.seed),
            config,
        };
        desk.look_at_hours(now);
        desk
    }

    /// Other queues, agents and limits from now on. Calls in progress go on as they are, and whoever is still an agent
    /// keeps his seats, his presence and his calls.
    pub fn follow(&mut self, config: DeskConfig, now: Now) {
        let mut before = std::mem::take(&mut self.agents);
        for agent in &config.agents {
            let known = before.iter().position(|known| known.config.extension == agent.extension);
            let mut agent = match known {
                Some(at) => before.swap_remove(at).named(agent.clone()),
                None => Agent::new(agent.clone(), now.mono),
            };
            // One who was taken out and is back may be in a call all the while.
            let is_his = |call: &&LiveCall| {
                call.caller.iter().chain(&call.card.agent).any(|known| *known == agent.config.extension)
            };
            let calls: Vec<CallId> = self.calls.values().filter(is_his).map(LiveCall::id).collect();
            calls.into_iter().for_each(|call| agent.claim(call));
            self.agents.push(agent);
        }
        self.config = config;
        (self.open, self.hours_at) = (Vec::new(), None);
        self.look_at_hours(now);
        self.live_changed = true;
    }

    /// A visitor asks to talk: the call to start, or why not. The first candidate is his from now
    /// on, so that two visitors at the same moment do not get the same agent.
    pub fn talk(&mut self, request: TalkRequest, now: Now) -> Result<CallSpec, Refusal> {
        if !self.accepting {
            return Err(Refusal::Closed);
        }
        let source = Source::of(request.source_ip);
        self.budgets.ask(source, &self.config.limits, now.mono)?;
        let tags = CallTags::new(TagsDraft {
            tag: self.rng.random(),
            tenant: self.config.tenant.clone(),
            queue: request.queue,
            session: request.session,
            page_url: request.page_url,
            page_title: request.page_title,
            referrer: request.referrer,
            language: request.language,
            made_at_unix_ms: now.unix_ms,
        });
        // A call on its way out keeps nobody from asking again: a silent PBX may take 32 s over its end.
        let up = self.calls.values().filter(|call| !matches!(call.card.state, State::Ending | State::Ended));
        let mut sessions = up.map(|call| &call.card.tags.session);
        if !tags.session.is_empty() && sessions.any(|session| *session == tags.session) {
            return Err(Refusal::TooMany(Bound::Session));
        }
        let second = self.candidates(&tags.queue, &tags.language, now)?;
        self.budgets.take(source);
        let first = LegSpec { kind: LegKind::Browser, ring_limit: Duration::ZERO };
        Ok(self.start(Plan::Talk, tags, first, second, Some(source), now))
    }

    /// A call-back's turn has come: the call to start, or why not now. The agent is this call's from now on.
    pub fn call_back(&mut self, turn: CallbackTurn, now: Now) -> Result<CallSpec, Refusal> {
        if !self.accepting {
            return Err(Refusal::Closed);
        }
        let queue = self.open_queue(&turn.tags.queue, now)?;
        let (last_agent, language) = (turn.last_agent.as_ref(), turn.tags.language.as_str());
        let known = Known { last_agent, language, declined: &turn.declined };
        let agents = routing::candidates(queue, &self.agents, known)?;
        let (plan, first, second) = if turn.agent_first {
            let agent = agents.into_iter().next().ok_or(Refusal::NoAgent)?;
            (Plan::CallBack { first: Party::Agent }, agent, vec![turn.customer])
        } else {
            (Plan::CallBack { first: Party::Visitor }, turn.customer, agents)
        };
        Ok(CallSpec { key_limit: turn.key_limit, ..self.start(plan, turn.tags, first, second, None, now) })
    }

    /// An agent's phone dials another extension: the call to start, or why not.
    pub fn dial(&mut self, from: &str, to: &str, now: Now) -> Result<CallSpec, Refusal> {
        if !self.accepting {
            return Err(Refusal::Closed);
        }
        let callee = self.agent(to).filter(|_| self.agent(from).is_some()).ok_or(Refusal::UnknownAgent)?;
        if from == to || !callee.can_be_dialled() {
            return Err(Refusal::NoAgent);
        }
        if self.calls.len() >= self.config.limits.live_calls {
            return Err(Refusal::TooMany(Bound::Tenant));
        }
        let tags = CallTags::new(TagsDraft {
            tag: self.rng.random(),
            tenant: self.config.tenant.clone(),
            queue: QueueId::from(""),
            session: String::new(),
            page_url: String::new(),
            page_title: String::new(),
            referrer: None,
            language: String::new(),
            made_at_unix_ms: now.unix_ms,
        });
        // Whoever dials is there.
        if let Some(agent) = self.agent_mut(from) {
            agent.show_up();
        }
        let leg = |extension: &str| LegSpec {
            kind: LegKind::Agent { extension: extension.to_owned() },
            ring_limit: DIAL_RING_LIMIT,
        };
        Ok(self.start(Plan::Inbound, tags, leg(from), vec![leg(to)], None, now))
    }

    fn start(
        &mut self,
        plan: Plan,
        tags: CallTags,
        first: LegSpec,
        second: Vec<LegSpec>,
        source: Option<Source>,
        now: Now,
    ) -> CallSpec {
        let limits = self.config.calls;
        let spec = CallSpec {
            id: CallId::new(self.rng.random()),
            tags,
            plan,
            first,
            second,
            key_limit: None,
            media_setup_limit: limits.media_setup_limit,
            max_duration: limits.max_duration,
            media_lost_grace: limits.media_lost_grace,
            end_limit: limits.end_limit,
        };
        self.numbers += 1;
        let call = LiveCall::new(&spec, source, self.numbers, now);
        let taken: Vec<String> = call.caller.iter().cloned().chain(call.card.agent.clone()).collect();
        self.calls.insert(spec.id, call);
        taken.iter().for_each(|extension| self.claim(extension, spec.id));
        self.live_changed = true;
        spec
    }

    /// A seat of an agent comes or goes.
    pub fn agent_seat(&mut self, extension: &str, seat: Seat, on: bool, now: Now) {
        if let Some(agent) = self.agent_mut(extension) {
            // At his page it is he who says so, each time; a phone's registration is only renewed.
            if on && (seat == Seat::Browser || !agent.seats.has(Some(seat))) {
                agent.show_up();
            }
            // Who comes in starts his turn of waiting now.
            if on && !agent.seats.any() {
                agent.idle_since = now.mono;
            }
            agent.seats.set(seat, on);
            self.live_changed = true;
        }
    }

    /// An agent says how he is.
    pub fn agent_presence(&mut self, extension: &str, presence: Presence, now: Now) {
        let wrap_up = self.config.wrap_up;
        if let Some(agent) = self.agent_mut(extension) {
            agent.declare(presence, now.mono, wrap_up);
            self.live_changed = true;
        }
    }

    /// A call of this desk has news. `Ended` frees the call; keys do not matter here.
    pub fn call_event(&mut self, call: &CallId, event: &CallEvent, now: Now) {
        let Some(live) = self.calls.get_mut(call) else { return };
        match event {
            CallEvent::State(state) => {
                (live.card.state, live.card.since_unix_ms) = (*state, now.unix_ms);
                self.live_changed = true;
            }
            CallEvent::Trying { leg } => self.move_to(*call, *leg, now),
            CallEvent::Answered { .. } => {
                live.answered_unix_ms = Some(now.unix_ms);
                let there: Vec<String> = live.caller.iter().chain(&live.card.agent).cloned().collect();
                for extension in there {
                    let was_away = self.agent_mut(&extension).is_some_and(Agent::show_up);
                    self.live_changed |= was_away;
                }
            }
            CallEvent::Ended(record) => {
                self.note_misses(record);
                self.forget(call, now);
            }
            CallEvent::Transfer { by, to, step } => self.transfer(*call, *by, *to, step, now),
            CallEvent::Ringing { .. } | CallEvent::Held { .. } | CallEvent::Digit { .. } => {}
        }
    }

    /// Who was rung in this call and did not take it. Of a line that was busy, a phone that could not be reached and a
    /// visitor who hung up first nobody is to blame; a colleague's call is none of ours.
    fn note_misses(&mut self, record: &CallRecord) {
        if self.calls.get(&record.id).is_none_or(|live| live.is_between_phones) {
            return;
        }
        for leg in
            record.legs.iter().filter(|leg| matches!(leg.cause, Some(HangupCause::NoAnswer | HangupCause::Refused)))
        {
            if let Some(agent) = leg.kind.extension().and_then(|extension| self.agent_mut(extension))
                && agent.miss()
            {
                self.live_changed = true;
            }
        }
    }

    /// The next candidate is being tried: the one before is free again.
    fn move_to(&mut self, call: CallId, leg: LegId, now: Now) {
        let Some(live) = self.calls.get_mut(&call) else { return };
        let before = std::mem::replace(&mut live.at, leg);
        let left = live.candidate(before).filter(|_| before != leg).map(str::to_owned);
        // Of a call-back whose agent came first, the customer is no candidate: it stays his.
        live.card.agent = live.candidate(leg).map(str::to_owned).or_else(|| live.caller.clone());
        let taken = live.card.agent.clone();
        if let Some(agent) = left.and_then(|extension| self.agent_mut(&extension)) {
            agent.release(call, Duration::ZERO, now.mono);
        }
        if let Some(extension) = taken {
            self.claim(&extension, call);
        }
        self.live_changed = true;
    }

    /// An agent hands a call over: whoever is asked has no other call meanwhile, and whoever has left is free again.
    fn transfer(&mut self, call: CallId, by: LegId, to: LegId, step: &Transfer, now: Now) {
        let wrap_up = self.config.wrap_up;
        let Some(live) = self.calls.get_mut(&call) else { return };
        let (leaves, rest) = match step {
            Transfer::Asked(kind) => {
                live.coming = kind.extension().map(str::to_owned);
                if let Some(extension) = live.coming.clone() {
                    self.claim(&extension, call);
                }
                return;
            }
            Transfer::Ringing => return,
            Transfer::Done => {
                let left = live.hand_over(by);
                if by == live.caller_at {
                    live.caller_at = to;
                }
                (left, wrap_up)
            }
            Transfer::Failed(_) => (live.coming.take(), Duration::ZERO),
        };
        if let Some(agent) = leaves.and_then(|extension| self.agent_mut(&extension)) {
            agent.release(call, rest, now.mono);
        }
        self.live_changed = true;
    }

    /// The agent is this call's; others who would have tried him later are told not to, once he has
    /// no hand free.
    fn claim(&mut self, extension: &str, call: CallId) {
        let Some(agent) = self.agent_mut(extension) else { return };
        agent.claim(call);
        if agent.is_full() {
            let others = self.calls.values().filter(|other| other.id() != call && other.is_waiting());
            let later = others.filter_map(|other| other.later(extension).map(|leg| (other.id(), leg)));
            self.withdrawals.extend(later);
        }
    }

    /// The visitor is on another page now: his card follows.
    pub fn note_page(&mut self, call: &CallId, url: &str, title: &str) {
        if let Some(live) = self.calls.get_mut(call) {
            let tags = live.card.tags.on_page(url, title);
            self.live_changed |= tags != live.card.tags;
            live.card.tags = tags;
        }
    }

    /// A call is gone; also without having said `Ended`, when its task died.
    pub fn forget(&mut self, call: &CallId, now: Now) {
        let Some(live) = self.calls.remove(call) else { return };
        if let Some(source) = live.source {
            self.budgets.give_back(source);
        }
        // Whoever answered has work to write up; a program that answers many has not.
        let rest = if live.answered_unix_ms.is_some() { self.config.wrap_up } else { Duration::ZERO };
        if let Some(lasted) = live.handled(now) {
            self.handling.entry(live.card.tags.queue.clone()).or_default().note(lasted + rest);
        }
        for extension in live.caller.iter().chain(&live.card.agent).chain(&live.coming) {
            if let Some(agent) = self.agent_mut(extension) {
                agent.release(*call, rest, now.mono);
            }
        }
        self.live_changed = true;
    }

    /// No new call from now on (shutdown), or again.
    pub fn set_accepting(&mut self, on: bool) {
        self.accepting = on;
        self.live_changed = true;
    }

    /// Whether a visitor could talk now in this queue.
    pub fn availability(&self, queue: &QueueId, now: Now) -> Availability {
        let answer = if self.accepting { self.candidates(queue, "", now) } else { Err(Refusal::Closed) };
        answer.map_or_else(Availability::Not, |_| Availability::TalkNow)
    }

    /// Who works for this queue now, and how long its calls last.
    pub fn load(&self, queue: &QueueId) -> Load {
        let handling = self.handling.get(queue).cloned().unwrap_or_default();
        let found = self.config.queues.iter().find(|known| known.id == *queue);
        found.map_or_else(Load::default, |queue| Load::of(queue, &self.agents, self.calls.values(), handling))
    }

    /// Who would be tried for this queue, or why nobody.
    fn candidates(&self, queue: &QueueId, language: &str, now: Now) -> Result<Vec<LegSpec>, Refusal> {
        let queue = self.open_queue(queue, now)?;
        let waiting = self
            .calls
            .values()
            .filter(|call| call.card.tags.queue == queue.id && call.is_waiting() && !call.is_callback)
            .count();
        if waiting >= queue.max_waiting {
            return Err(Refusal::TooMany(Bound::Queue));
        }
        routing::candidates(queue, &self.agents, Known { language, ..Known::default() })
    }

    /// A queue that may have one more call now.
    fn open_queue(&self, queue: &QueueId, now: Now) -> Result<&Queue, Refusal> {
        let queue = self.config.queues.iter().find(|known| known.id == *queue).ok_or(Refusal::UnknownQueue)?;
        if !is_open(queue, now) {
            return Err(Refusal::Closed);
        }
        if self.calls.len() >= self.config.limits.live_calls {
            return Err(Refusal::TooMany(Bound::Tenant));
        }
        Ok(queue)
    }

    /// Every live call, oldest first.
    pub fn live(&self) -> Vec<CallCard> {
        let mut calls: Vec<&LiveCall> = self.calls.values().collect();
        calls.sort_by_key(|call| call.number);
        calls.into_iter().map(|call| call.card.clone()).collect()
    }

    /// Every agent, in the order of the configuration.
    pub fn agents(&self) -> Vec<AgentCard> {
        self.agents.iter().map(Agent::card).collect()
    }

    /// Whose desk this is.
    pub const fn tenant(&self) -> &TenantId {
        &self.config.tenant
    }

    /// The name visitors see for an extension.
    pub fn agent_name(&self, extension: &str) -> Option<&str> {
        self.agent(extension).map(|agent| agent.config.name.as_str())
    }

    /// Where an agent can ring now.
    pub fn seats(&self, extension: &str) -> Seats {
        self.agent(extension).map(|agent| agent.seats).unwrap_or_default()
    }

    fn agent(&self, extension: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.config.extension == extension)
    }

    fn agent_mut(&mut self, extension: &str) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.config.extension == extension)
    }

    /// The next order.
    pub fn poll_command(&mut self) -> Option<DeskCommand> {
        if let Some((call, leg)) = self.withdrawals.pop_front() {
            return Some(DeskCommand::Withdraw { call, leg });
        }
        std::mem::take(&mut self.live_changed).then_some(DeskCommand::LiveChanged)
    }

    /// The next deadline, and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let rests = self.agents.iter().filter_map(|agent| agent.wrap_up_until).map(|at| (at, Timer::WrapUp));
        rests.chain(self.hours_at.map(|at| (at, Timer::Hours))).min()
    }

    /// The deadline of [`poll_timeout`](Self::poll_timeout) has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        for agent in self.agents.iter_mut().filter(|agent| agent.wrap_up_until.is_some_and(|at| at <= now.mono)) {
            agent.wrap_up_until = None;
            self.live_changed = true;
        }
        if self.hours_at.is_some_and(|at| at <= now.mono) {
            self.look_at_hours(now);
        }
    }

    fn look_at_hours(&mut self, now: Now) {
        if self.config.queues.iter().all(|queue| queue.hours.is_none()) {
            return;
        }
        let to_next_minute = Duration::from_millis(HOURS_EVERY_MS - now.unix_ms % HOURS_EVERY_MS);
        self.hours_at = Some(now.mono + to_next_minute);
        let open: Vec<bool> = self.config.queues.iter().map(|queue| is_open(queue, now)).collect();
        self.live_changed |= self.open != open;
        self.open = open;
    }
}

fn is_open(queue: &Queue, now: Now) -> bool {
    queue.hours.as_ref().is_none_or(|hours| hours.is_open(now.unix_ms))
}

#[cfg(test)]
mod tests;
