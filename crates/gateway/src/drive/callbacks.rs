//! Call-backs: what one node does with the book. A clerk takes what is due, and a hand carries each one out.
//!
//! ```text
//!        page ──► door ──► book ◄──────────── hand (one a call-back: offer, dial, talk, outcome)
//!                  │        ▲                  ▲        │
//!                  └─ look ─┤ lease, renew     │ starts │ done
//!                           clerk (one a node: who is due, whose turn it is, who holds what)
//! ```
//! Nothing is dialled on a guess: a hand writes the attempt, with the call's name, before the customer's INVITE leaves,
//! and may only send it while this node's lease is sure to last.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::shield::Shield;
use call::{LegKind, LegSpec, TrunkId};
use desk::{Callback, CallbackId, CallingHours, Holidays, Hours, Number, Purpose, Zone};
use store::{Answer, Home, KeptCallback, NodeId, Pause};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub(crate) use self::office::Worker;
use crate::config::checked::{DialAs, QueueCallback, Secret};
use crate::drive::call::CallContext;
use crate::drive::messages::{Book, Messages, Standing};

mod clerk;
pub(crate) mod door;
mod forecast;
mod hand;
mod office;
mod seats;
mod served;
pub(crate) mod shield;
#[cfg(test)]
mod tests;

/// A node that is not heard for so long is dead, and what it held is taken over.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// How often a node says that it lives.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// So long before its lease ends a node dials nobody any more.
const LEASE_MARGIN: Duration = Duration::from_secs(3);
/// Words the clerk may have waiting; all of them only hurry it.
const INBOX_MAX: usize = 4_096;
/// Changes a status page may be behind; beyond it the page looks again by itself.
const CHANGES_MAX: usize = 1_024;

/// A queue that calls back.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) tenant: String,
    pub(crate) queue: String,
    pub(crate) config: QueueCallback,
    pub(crate) hours: Option<Hours>,
    /// Extensions of the agents who serve it; none where another telephone system does.
    pub(crate) agents: Vec<String>,
    /// Keys of what the shop's server says of customers.
    pub(crate) customer_keys: Vec<Secret>,
    pub(crate) context: CallContext,
    /// It stands in the configuration no more: what it has in hand comes to its end.
    pub(crate) retired: bool,
}

impl Line {
    /// The first moment from one on at which this person may be rung: while the site is open, and not at night where he
    /// is; if he did not ask for it himself, in the hours for such calls.
    fn allowed<'l>(&'l self, callback: &Callback) -> impl Fn(u64) -> Option<u64> + use<'l> {
        self.allowed_for(&callback.wish().zone, callback.care().purpose)
    }

    fn allowed_for<'l>(&'l self, zone: &str, purpose: Purpose) -> impl Fn(u64) -> Option<u64> + use<'l> {
        let his = Zone::named(zone).ok();
        let quiet = match purpose {
            Purpose::Requested => his.and_then(|zone| CallingHours::daily(zone, CallingHours::USUAL).ok()),
            // Where his clock is not known, the site's.
            Purpose::FollowUp => {
                his.or_else(|| self.zone()).and_then(|zone| CallingHours::french_follow_up(zone, Holidays::France).ok())
            }
        };
        move |at| match (&quiet, &self.hours) {
            (Some(quiet), Some(site)) => quiet.next_allowed_while_open(site, at),
            (Some(quiet), None) => quiet.next_allowed(at),
            (None, Some(site)) => site.next_instant_open(at),
            (None, None) => Some(at),
        }
    }

    /// The clock its days go by.
    fn zone(&self) -> Option<Zone> {
        self.hours.as_ref().map(|hours| hours.zone().clone()).or_else(|| Zone::named("UTC").ok())
    }

    /// The customer's leg. Of his number only digits reach the trunk.
    fn customer(&self, number: &Number) -> LegSpec {
        let dialled = dialled(number, self.config.dial_as, &self.config.numbers.home());
        let uri = format!("{}{dialled}", self.config.dial_prefix);
        let kind = LegKind::Trunk { trunk: TrunkId(self.config.trunk.clone()), uri };
        LegSpec { kind, ring_limit: self.config.ring_limit }
    }
}

fn dialled(number: &Number, dial_as: DialAs, home: &str) -> String {
    match dial_as {
        DialAs::E164 => format!("+{}", number.digits()),
        DialAs::Digits => number.digits().to_owned(),
        DialAs::National if number.country() == home => {
            number.national().chars().filter(char::is_ascii_digit).collect()
        }
        DialAs::National | DialAs::International => format!("00{}", number.digits()),
    }
}

/// What the clerk is told.
enum Word {
    /// There may be something new in the book.
    Look,
    /// Somebody may be free.
    GiveOut,
    /// This one was changed by somebody who does not hold it.
    Touched(CallbackId),
    /// This agent will not take what he is being offered.
    Declined(CallbackId, String),
    /// A hand is free; what it gives back waits on.
    Done(CallbackId, Option<Box<Back>>),
    /// Go by these lines from now on; then the reply.
    Follow(Box<Callbacks>, oneshot::Sender<()>),
    /// Take nothing more; what only waits goes back into the book.
    HandOver(oneshot::Sender<()>),
    /// Say when no hand is busy.
    Idle(oneshot::Sender<()>),
}

/// A call-back that waits on after an offer.
struct Back {
    kept: KeptCallback,
    /// Agents who would not take it.
    declined: Vec<String>,
    rest: Rest,
}

/// Who is not given out again at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rest {
    Nobody,
    /// The store did not take a step of his.
    Him,
    /// There was no room for his call, or no way to the customers: whoever went before him now would only be luckier than he.
    TheQueue,
}

/// The call-backs as others see them.
#[derive(Clone)]
pub(crate) struct Callbacks {
    home: Arc<dyn Home>,
    shield: Arc<Shield>,
    /// This process.
    node: NodeId,
    lines: Arc<Vec<Line>>,
    line_ups: Arc<forecast::LineUps>,
    /// Queues that call nobody for now, as the book said last.
    pauses: Arc<Mutex<Vec<Pause>>>,
    words: mpsc::Sender<Word>,
    /// Ids of call-backs as they change.
    changes: broadcast::Sender<String>,
    /// Who is told outside.
    messages: Messages,
}

/// The call-backs by whichever configuration is in force.
pub(crate) struct Latest(pub(crate) watch::Receiver<Callbacks>);

impl Book for Latest {
    fn look(&self, id: CallbackId) -> Answer<'_, Option<Standing>> {
        let now = self.0.borrow().clone();
        Box::pin(async move {
            let kept = now.home.callback(id).await?;
            Ok(kept.map(|kept| Standing { view: now.view(&kept), kept }))
        })
    }
}

impl Callbacks {
    /// The same book with other lines and budgets. Each line keeps its place, so that what is in hand stays with its own;
    /// one that is gone keeps it empty. It is in force when [`Callbacks::put_in_force`] has returned.
    pub(crate) fn with(&self, lines: Vec<Line>, shield: Arc<Shield>) -> Self {
        let mut lines = lines;
        let mut all = Vec::new();
        for old in self.lines.iter() {
            let same = lines.iter().position(|line| line.tenant == old.tenant && line.queue == old.queue);
            all.push(same.map_or_else(|| Line { retired: true, ..old.clone() }, |at| lines.remove(at)));
        }
        all.append(&mut lines);
        let line_ups = Arc::new(self.line_ups.with(all.len()));
        Self { lines: Arc::new(all), line_ups, shield, ..self.clone() }
    }

    /// The clerk goes by it.
    pub(crate) async fn put_in_force(&self) {
        let (done, follows) = oneshot::channel();
        if self.words.send(Word::Follow(Box::new(self.clone()), done)).await.is_ok() {
            let _follows_or_gone = follows.await;
        }
    }

    /// What it is shielded by.
    pub(crate) fn shield(&self) -> &Shield {
        &self.shield
    }

    /// Takes nothing more, and puts back what nobody is being asked for yet.
    pub(crate) async fn hand_over(&self) {
        // Status pages follow no further: they connect again, here or elsewhere.
        let _nobody_watches = self.changes.send(String::new());
        let (done, over) = oneshot::channel();
        if self.words.send(Word::HandOver(done)).await.is_ok() {
            let _handed_over_or_gone = over.await;
        }
    }

    /// Waits until the last hand has written what came of its call.
    pub(crate) async fn idle(&self) {
        let (done, over) = oneshot::channel();
        if self.words.send(Word::Idle(done)).await.is_ok() {
            let _idle_or_gone = over.await;
        }
    }

    /// Those of the configuration.
    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.retired)
    }

    fn line(&self, tenant: &str, queue: &str) -> Option<&Line> {
        self.lines().find(|line| line.tenant == tenant && line.queue == queue)
    }

    /// Somebody changed it: its holder looks, and so do its status pages.
    fn touched(&self, id: CallbackId) {
        self.announce(id);
        // A clerk with so many words waiting looks at the book anyway.
        let _behind = self.words.try_send(Word::Touched(id));
    }

    fn announce(&self, id: CallbackId) {
        let _nobody_watches = self.changes.send(id.to_string());
    }

    fn look(&self) {
        let _behind = self.words.try_send(Word::Look);
    }
}

/// Starts the clerk; it ends when the last handle is dropped.
pub(crate) fn start(
    node: NodeId,
    shield: Arc<Shield>,
    lines: Vec<Line>,
    messages: Messages,
) -> (Callbacks, tokio::task::JoinHandle<()>) {
    let (words, inbox) = mpsc::channel(INBOX_MAX);
    let (changes, _) = broadcast::channel(CHANGES_MAX);
    let line_ups = Arc::new(forecast::LineUps::of(&lines));
    let home = shield.home();
    let (lines, pauses) = (Arc::new(lines), Arc::default());
    let callbacks = Callbacks { home, shield, node, lines, line_ups, pauses, words, changes, messages };
    let clerk = clerk::Clerk::new(callbacks.clone());
    (callbacks, tokio::spawn(clerk.run(inbox)))
}
