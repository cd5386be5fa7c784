//! The hand: carries out one call-back, from the offer to what came of it, and writes down each step before the next.

use std::time::{Duration, Instant};

use call::{CallId, CallSpec, HangupCause, LegId, Party};
use desk::{AttemptEnd, AttemptLegs, Callback, CallbackId, CallbackState, CancelledBy, OutOfTurn, Outcome};
use store::{Change, Changed, KeptCallback};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::clerk::ms;
use super::shield::Leave;
use super::{Back, Callbacks, LEASE, LEASE_MARGIN, Line, Rest, Word, forecast};
use crate::clock;
use crate::drive::call::{CallInput, CallbackLink, CallbackNews, Role, start_callback};
use crate::observe::metric::{self, Metric};

mod heir;

/// News a call may have waiting for its hand.
const NEWS_MAX: usize = 16;
/// A step that the store did not take is tried again after this; somebody who took over meanwhile ends the trying.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// That they talk is tried to be written so often; the end says it too.
const CONNECT_TRIES: usize = 3;
/// Versions of this node's own making that a step may meet.
const ADOPTED_MAX: usize = 4;

/// What a hand is told.
pub(super) enum HandWord {
    /// The call-back was changed by somebody else, or the lease is lost.
    Touched,
    /// This agent will not take it.
    Declined(String),
}

/// Why a step was not written.
enum NotWritten {
    /// It does not fit where the call-back stands.
    OutOfTurn,
    /// Somebody else has changed it: it is not this hand's any more.
    Lost,
    /// The store does not take it now.
    Store,
}

pub(super) struct Hand {
    callbacks: Callbacks,
    line: usize,
    id: CallbackId,
    call: CallId,
    /// As it was last written or read.
    kept: KeptCallback,
    declined: Vec<String>,
    /// Who is asked.
    agent: String,
    /// How another process could end the call's legs.
    legs: AttemptLegs,
    /// The customer's INVITE was let go.
    dialled: bool,
    /// They talk, whether or not that could be written.
    talking: bool,
    /// Here was no room for its call.
    no_room: bool,
}

/// Tells the clerk however the hand ends.
struct Done {
    words: mpsc::Sender<Word>,
    id: CallbackId,
    back: Option<Box<Back>>,
}

impl Drop for Done {
    fn drop(&mut self) {
        let word = Word::Done(self.id, self.back.take());
        if let Err(mpsc::error::TrySendError::Full(word)) = self.words.try_send(word) {
            let words = self.words.clone();
            tokio::spawn(async move {
                let _ended = words.send(word).await.is_err();
            });
        }
    }
}

/// Carries a call-back out in a task of its own; the clerk hears of its end however it ends.
fn spawn(words: mpsc::Sender<Word>, id: CallbackId, work: impl Future<Output = Option<Back>> + Send + 'static) {
    let span = info_span!("callback", id = %id);
    tokio::spawn(
        async move {
            let mut done = Done { words, id, back: None };
            done.back = work.await.map(Box::new);
        }
        .instrument(span),
    );
}

impl Hand {
    /// Starts the call of `spec` for this call-back.
    pub(super) fn start(
        callbacks: Callbacks,
        line: usize,
        kept: KeptCallback,
        declined: Vec<String>,
        spec: CallSpec,
        words: mpsc::Receiver<HandWord>,
    ) {
        let agent = std::iter::once(&spec.first).chain(&spec.second).find_map(|leg| leg.kind.extension());
        let agent = agent.unwrap_or_default().to_owned();
        let id = kept.callback.id();
        let call = spec.id;
        let legs = AttemptLegs::default();
        let hand = Self {
            id,
            call,
            line,
            kept,
            declined,
            agent,
            legs,
            dialled: false,
            talking: false,
            no_room: false,
            callbacks,
        };
        spawn(hand.callbacks.words.clone(), id, hand.run(spec, words));
    }

    async fn run(mut self, spec: CallSpec, words: mpsc::Receiver<HandWord>) -> Option<Back> {
        let line = self.line()?.context.clone();
        let agent = self.agent.clone();
        let trunk = self.line().map(|line| line.config.trunk.clone()).unwrap_or_default();
        if !line.sip.takes_calls(&trunk).await {
            // Nobody picks up for a customer who cannot be called; the queue looks again in a moment.
            debug!(trunk, "a call-back waits for its trunk");
            line.desk.forget(self.call).await;
            return Some(Back { kept: self.kept, declined: self.declined, rest: Rest::TheQueue });
        }
        if let Err(why) = self.write(|callback| callback.offer(&agent)).await {
            line.desk.forget(self.call).await;
            // Somebody else's it is only dropped; while the store is away it waits a little.
            return matches!(why, NotWritten::Store).then_some(Back {
                kept: self.kept,
                declined: self.declined,
                rest: Rest::Him,
            });
        }
        let (news_in, news) = mpsc::channel(NEWS_MAX);
        let agent_first = matches!(spec.plan, call::Plan::CallBack { first: Party::Agent });
        let customer = if agent_first { LegId(1) } else { LegId::FIRST };
        let link = CallbackLink {
            customer,
            caller_id: self.line().and_then(|line| line.config.caller_id.clone()),
            news: news_in,
        };
        self.note_lateness();
        info!(call = %self.call, agent = self.agent, "a call-back is offered");
        if let Err(error) = start_callback(line.clone(), spec, link) {
            warn!(%error, "a call-back's call could not start");
            line.desk.forget(self.call).await;
            self.write_surely(Callback::decline).await;
        } else {
            self.follow(news, words).await;
        }
        self.finish()
    }

    fn line(&self) -> Option<&Line> {
        self.callbacks.lines.get(self.line)
    }

    /// Whether this node's lease is on it.
    fn holds(&self, kept: &KeptCallback) -> bool {
        kept.lease.is_some_and(|lease| lease.node == self.callbacks.node)
    }

    fn note_lateness(&self) {
        if self.kept.callback.attempts().is_empty() {
            let promised = self.kept.callback.wish().promised_unix_ms;
            metric::time(Metric::CallbackLateSeconds, since(promised));
        }
    }

    /// Until the call is over.
    async fn follow(&mut self, mut news: mpsc::Receiver<CallbackNews>, mut words: mpsc::Receiver<HandWord>) {
        loop {
            tokio::select! {
                heard = news.recv() => match heard {
                    Some(CallbackNews::MayDial(described, reply)) => {
                        self.legs.customer = described;
                        self.may_dial(reply).await;
                    }
                    Some(CallbackNews::MayDialElsewhere(described, reply)) => {
                        self.legs.customer = described;
                        self.may_dial_elsewhere(reply).await;
                    }
                    Some(CallbackNews::Described(role, described)) => self.note_leg(role, described).await,
                    Some(CallbackNews::Answered(agent)) => self.answered(agent).await,
                    Some(CallbackNews::Ended(end, on_line)) => {
                        if let Some(line) = self.line() {
                            let number = &self.kept.callback.wish().number;
                            self.callbacks.shield.note_line_time(line, number, on_line);
                        }
                        self.note_end(&end).await;
                        return;
                    }
                    // The call's task died; its record says so.
                    None => {
                        error!("the call of this call-back is gone without a word");
                        self.settle(Outcome::InDoubt).await;
                        return;
                    }
                },
                Some(word) = words.recv() => match word {
                    HandWord::Touched => self.look_again().await,
                    HandWord::Declined(agent) => self.decline(&agent),
                },
            }
        }
    }

    /// The customer's INVITE is about to leave: the attempt is written first, and the lease must be sure to last.
    async fn may_dial(&mut self, reply: oneshot::Sender<Option<Instant>>) {
        let (asked, now) = (clock::now(), clock::unix_ms());
        // What is not this node's any more uses up no budget.
        let held = self.hold_on(now).await;
        let allowed = held.is_ok() && self.leave(now).await;
        let wish = self.kept.callback.wish();
        if self.kept.callback.attempts().is_empty() && wish.wanted.is_none() {
            forecast::score(wish.told, wish.promised_unix_ms, now);
        }
        let (call, legs) = (self.call, self.legs.clone());
        let written = match held {
            Ok(()) if allowed => self.write(|callback| callback.dial(call, now, legs.clone())).await,
            Ok(()) => Err(NotWritten::OutOfTurn),
            Err(why) => Err(why),
        };
        let not_after = match written {
            // The lease began after it was asked for, whatever the book's clock shows.
            Ok(()) => Some(asked + LEASE.saturating_sub(LEASE_MARGIN)),
            Err(NotWritten::Lost) => {
                metric::count(Metric::CallbacksFenced);
                None
            }
            Err(NotWritten::OutOfTurn | NotWritten::Store) => None,
        };
        self.dialled = not_after.is_some();
        let _call_over = reply.send(not_after);
    }

    /// The same try goes to another target of the trunk: it used up its budget already, and how to end it is written first.
    async fn may_dial_elsewhere(&mut self, reply: oneshot::Sender<Option<Instant>>) {
        let (asked, now) = (clock::now(), clock::unix_ms());
        let (call, legs) = (self.call, self.legs.clone());
        let written = match self.hold_on(now).await {
            Ok(()) => self.write(|callback| callback.note_legs(call, legs.clone())).await,
            Err(why) => Err(why),
        };
        let not_after = written.is_ok().then(|| asked + LEASE.saturating_sub(LEASE_MARGIN));
        let _call_over = reply.send(not_after);
    }

    /// Written down, so that whoever takes over can end the leg and knows whether it was answered. What cannot be written
    /// stays in doubt should this node die, no more.
    async fn note_leg(&mut self, role: Role, described: String) {
        match role {
            Role::Customer => self.legs.customer = described,
            Role::Agent => self.legs.agent = described,
        }
        if self.dialled {
            let (call, legs) = (self.call, self.legs.clone());
            if self.write(|callback| callback.note_legs(call, legs.clone())).await.is_err() {
                debug!("how to end a leg of this call-back is not written down");
            }
        } else if role == Role::Agent {
            let leg = self.legs.agent.clone();
            if self.write(|callback| callback.note_offer(leg.clone())).await.is_err() {
                debug!("how to silence the agent's telephone is not written down");
            }
        }
    }

    /// The rules for numbers, the numbers not to be called, and the trunk's budget; what cannot be asked is not allowed.
    async fn leave(&self, now_unix_ms: u64) -> bool {
        let Some(line) = self.line() else { return false };
        let Ok(number) = line.config.numbers.judge_again(&self.kept.callback.wish().number) else { return false };
        match self.callbacks.shield.dial(line, &number, now_unix_ms).await {
            Ok(Leave::Yes) => true,
            Ok(why) => {
                info!(?why, "the customer is not dialled");
                false
            }
            Err(error) => {
                metric::count(Metric::CallbackStoreErrors);
                warn!(%error, "the customer is not dialled: the store does not say whether he may be");
                false
            }
        }
    }

    /// A whole lease from now on, if this node still has it.
    async fn hold_on(&self, now_unix_ms: u64) -> Result<(), NotWritten> {
        let renewed = self.callbacks.home.renew_callbacks(self.callbacks.node, vec![self.id], now_unix_ms, LEASE);
        match renewed.await {
            Ok(held) if held.is_empty() => Err(NotWritten::Lost),
            Ok(_) => Ok(()),
            Err(error) => {
                metric::count(Metric::CallbackStoreErrors);
                debug!(%error, "a lease is not renewed");
                Err(NotWritten::Store)
            }
        }
    }

    async fn answered(&mut self, agent: String) {
        let promised = self.kept.callback.wish().promised_unix_ms;
        metric::time(Metric::CallbackDelaySeconds, since(promised));
        self.talking = true;
        for _ in 0..CONNECT_TRIES {
            match self.write(|callback| callback.connect(&agent)).await {
                Ok(()) | Err(NotWritten::OutOfTurn | NotWritten::Lost) => return,
                Err(NotWritten::Store) => tokio::time::sleep(WRITE_AGAIN).await,
            }
        }
    }

    /// Called off, or taken over: what still rings is stopped. Who talks is left to talk.
    async fn look_again(&mut self) {
        let found = match self.callbacks.home.callback(self.id).await {
            Ok(found) => found,
            Err(error) => {
                debug!(%error, "the book does not say how this call-back stands");
                return;
            }
        };
        let stop = match &found {
            Some(kept) => kept.callback.state().is_over() || !self.holds(kept),
            None => true,
        };
        if stop && !self.talking {
            info!("a call-back is called off while it rings");
            if let Some(line) = self.line() {
                let hang_up = CallInput::HangUp(Party::Visitor, HangupCause::Cancelled);
                line.context.calls.tell(&self.call, hang_up);
            }
        }
        if let Some(kept) = found.filter(|kept| kept.callback.state().is_over()) {
            self.kept = kept;
        }
    }

    /// The agent who is asked says no by his page or a program: his phone rings no longer, and the next one is asked.
    fn decline(&self, agent: &str) {
        if !self.dialled
            && self.agent == agent
            && let Some(line) = self.line()
        {
            info!(agent, "an agent declines a call-back");
            line.context.calls.tell(&self.call, CallInput::HangUp(Party::Agent, HangupCause::Refused));
        }
    }

    /// What came of the offer, or of the try.
    async fn note_end(&mut self, end: &AttemptEnd) {
        let Some(rules) = self.line().map(|line| line.config.retry) else { return };
        self.no_room = end.no_room;
        if self.no_room && !self.dialled {
            warn!("no room for the call of this call-back: the queue rests for a moment");
            self.settle(Outcome::AgentGone).await;
            return;
        }
        if !self.dialled {
            // An offer that came to nothing is no try.
            self.declined.push(self.agent.clone());
            self.settle(Outcome::AgentGone).await;
            return;
        }
        let outcome = Outcome::of(end, rules.short_talk);
        info!(outcome = outcome.code(), sip = end.sip, q850 = end.q850, "a try of a call-back is over");
        metric::count_with(Metric::CallbackAttempts, outcome.code());
        if outcome == Outcome::NotMe {
            self.callbacks.shield.not_me(self.id, self.kept.callback.wish().number.clone());
        }
        if outcome == Outcome::AgentGone {
            self.declined.push(self.agent.clone());
        }
        self.settle(outcome).await;
    }

    /// Writes what came of it, by where it stands: an offer is taken back, a try has its outcome.
    async fn settle(&mut self, outcome: Outcome) {
        let lines = std::sync::Arc::clone(&self.callbacks.lines);
        let Some(line) = lines.get(self.line) else { return };
        let (rules, now) = (line.config.retry, clock::unix_ms());
        let written = self
            .write_surely(|callback| {
                if callback.state() == CallbackState::Offered {
                    callback.decline()
                } else {
                    let allowed = line.allowed(callback);
                    callback.end_attempt(outcome, now, &rules, allowed)
                }
            })
            .await;
        if written || outcome == Outcome::InDoubt {
            return;
        }
        // Somebody took this node for dead, and doubts what is known here.
        let Ok(Some(found)) = self.callbacks.home.callback(self.id).await else { return };
        let (mut callback, call) = (found.callback, self.call);
        let allowed = line.allowed(&callback);
        if callback.settle_doubt(call, outcome, now, &rules, allowed).is_ok() {
            let change = Change { callback, version: found.version, held: false };
            let settled = self.callbacks.home.change_callback(change).await;
            info!(outcome = outcome.code(), settled = settled.is_ok(), "a doubt is settled");
            if let Ok(Changed::Done(kept)) = settled {
                self.callbacks.messages.tell_state(&kept).await;
            }
            self.callbacks.touched(self.id);
        }
    }

    /// What waits on is given back to the clerk.
    fn finish(self) -> Option<Back> {
        let state = self.kept.callback.state();
        let by_visitor = state == CallbackState::Cancelled(CancelledBy::Visitor);
        if state.is_over() && !by_visitor {
            metric::count_with(Metric::CallbacksEnded, state.code());
            info!(state = state.code(), detail = state.detail(), "a call-back is over");
        }
        self.back_if_ours()
    }

    fn back_if_ours(self) -> Option<Back> {
        let rest = if self.no_room { Rest::TheQueue } else { Rest::Nobody };
        let waits = self.kept.callback.state() == CallbackState::Queued && self.kept.lease.is_some();
        waits.then_some(Back { kept: self.kept, declined: self.declined, rest })
    }

    /// Writes a step; what was written is what this hand goes on from. A step that the store did not confirm may have been
    /// written all the same; and a new lease of this very node is a new version of the same.
    async fn write(&mut self, step: impl Fn(&mut Callback) -> Result<(), OutOfTurn>) -> Result<(), NotWritten> {
        for _ in 0..ADOPTED_MAX {
            let mut callback = self.kept.callback.clone();
            step(&mut callback).map_err(|_| NotWritten::OutOfTurn)?;
            let change = Change { callback: callback.clone(), version: self.kept.version, held: true };
            match self.callbacks.home.change_callback(change).await {
                Ok(Changed::Done(kept)) => {
                    self.kept = kept;
                    self.callbacks.announce(self.id);
                    self.callbacks.messages.tell_state(&self.kept).await;
                    return Ok(());
                }
                Ok(Changed::Stale(newer)) => {
                    let ours = self.holds(&newer);
                    let written = newer.callback == callback;
                    let over = newer.callback.state().is_over();
                    if ours || written || over {
                        self.kept = newer;
                    }
                    if written {
                        self.callbacks.messages.tell_state(&self.kept).await;
                        return Ok(());
                    }
                    if !ours {
                        return Err(NotWritten::Lost);
                    }
                }
                Ok(Changed::Missing) => return Err(NotWritten::Lost),
                Err(error) => {
                    metric::count(Metric::CallbackStoreErrors);
                    debug!(%error, "a step of a call-back is not written");
                    return Err(NotWritten::Store);
                }
            }
        }
        Err(NotWritten::Lost)
    }

    /// Writes a step as soon as the store takes it, unless somebody else has taken over meanwhile.
    async fn write_surely(&mut self, step: impl Fn(&mut Callback) -> Result<(), OutOfTurn>) -> bool {
        let tries = usize::try_from(ms(Duration::from_secs(3_600)) / ms(WRITE_AGAIN)).unwrap_or(1);
        for _ in 0..tries {
            match self.write(&step).await {
                Ok(()) => return true,
                Err(NotWritten::Store) => tokio::time::sleep(WRITE_AGAIN).await,
                Err(NotWritten::OutOfTurn | NotWritten::Lost) => break,
            }
        }
        debug!("what came of this call-back is somebody else's to write");
        false
    }
}

fn since(unix_ms: u64) -> Duration {
    Duration::from_millis(clock::unix_ms().saturating_sub(unix_ms))
}
