//! The desk task: one a tenant, owns its `Desk`, answers who may talk to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use call::{CallEvent, CallId, CallSpec, QueueId};
use desk::{
    AgentCard, Availability, CallCard, CallbackTurn, Desk, DeskCommand, DeskConfig, Load, Presence, Refusal, Seat,
    Seats, TalkRequest,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::drive::call::{CallConfig, CallInput};
use crate::drive::calls::Calls;
use crate::drive::sip::driver::sleep_until;
use crate::observe::metric::{self, Metric};

/// Questions a desk may have waiting.
const INBOX_MAX: usize = 1_024;

/// What a desk shows to the pages: recomputed on each change, read without asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeskView {
    pub(crate) live: Vec<CallCard>,
    pub(crate) agents: Vec<AgentCard>,
    pub(crate) availability: BTreeMap<String, Availability>,
    pub(crate) loads: BTreeMap<String, Load>,
}

/// The call to start, with the configuration it was judged by and goes by; or why not.
pub(crate) type Judged = Result<(CallSpec, Arc<CallConfig>), Refusal>;

/// What a desk and its calls go by; another configuration brings others.
pub(crate) struct Rules {
    pub(crate) desk: DeskConfig,
    pub(crate) calls: Arc<CallConfig>,
}

impl Rules {
    fn queues(&self) -> Vec<QueueId> {
        self.desk.queues.iter().map(|queue| queue.id.clone()).collect()
    }
}

enum Question {
    Talk(Box<TalkRequest>, oneshot::Sender<Judged>),
    CallBack(Box<CallbackTurn>, oneshot::Sender<Judged>),
    Dial { from: String, to: String, reply: oneshot::Sender<Judged> },
    Follow(Box<Rules>, oneshot::Sender<()>),
    Seat { extension: String, seat: Seat, on: bool },
    Event(CallId, CallEvent),
    Page(CallId, String, String),
    Forget(CallId),
    Accepting(bool),
}

/// A desk as others see it.
#[derive(Clone)]
pub(crate) struct DeskHandle {
    questions: mpsc::Sender<Question>,
    view: watch::Receiver<Arc<DeskView>>,
}

/// Starts the desk's task; it ends when the last handle is dropped.
pub(crate) fn start(rules: Rules, calls: Calls) -> (DeskHandle, tokio::task::JoinHandle<()>) {
    let (questions, inbox) = mpsc::channel(INBOX_MAX);
    let (show, view) = watch::channel(Arc::new(DeskView::default()));
    let room = Room { queues: rules.queues(), desk: Desk::new(rules.desk, clock::call_now()), config: rules.calls };
    let task = tokio::spawn(run(room, calls, inbox, show));
    (DeskHandle { questions, view }, task)
}

impl DeskHandle {
    /// May this visitor talk, and to whom?
    pub(crate) async fn talk(&self, request: TalkRequest) -> Judged {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::Talk(Box::new(request), reply), answer).await
    }

    /// Who calls this customer back now?
    pub(crate) async fn call_back(&self, turn: CallbackTurn) -> Judged {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::CallBack(Box::new(turn), reply), answer).await
    }

    /// May this phone dial that extension?
    pub(crate) async fn dial(&self, from: String, to: String) -> Judged {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::Dial { from, to, reply }, answer).await
    }

    async fn ask(&self, question: Question, answer: oneshot::Receiver<Judged>) -> Judged {
        match self.questions.try_send(question) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                metric::count(Metric::DeskOverload);
                return Err(Refusal::TooMany(desk::Bound::Tenant));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Refusal::Closed),
        }
        answer.await.unwrap_or(Err(Refusal::Closed))
    }

    /// Goes by other rules from the next question on; when this returns, it does.
    pub(crate) async fn follow(&self, rules: Rules) {
        let (reply, done) = oneshot::channel();
        self.say(Question::Follow(Box::new(rules), reply)).await;
        let _follows_or_gone = done.await;
    }

    /// A seat of an agent comes or goes.
    pub(crate) async fn seat(&self, extension: &str, seat: Seat, on: bool) {
        self.say(Question::Seat { extension: extension.to_owned(), seat, on }).await;
    }

    /// A call has news.
    pub(crate) async fn event(&self, call: CallId, event: CallEvent) {
        self.say(Question::Event(call, event)).await;
    }

    /// The visitor of a call is on another page.
    pub(crate) async fn page(&self, call: CallId, url: String, title: String) {
        self.say(Question::Page(call, url, title)).await;
    }

    /// A call's task is gone without a last word.
    pub(crate) async fn forget(&self, call: CallId) {
        self.say(Question::Forget(call)).await;
    }

    /// New calls, or none from now on.
    pub(crate) async fn accepting(&self, on: bool) {
        self.say(Question::Accepting(on)).await;
    }

    async fn say(&self, question: Question) {
        if self.questions.send(question).await.is_err() {
            tracing::debug!("the desk has ended");
        }
    }

    /// What the desk shows now.
    pub(crate) fn view(&self) -> Arc<DeskView> {
        Arc::clone(&self.view.borrow())
    }

    /// The view, and a signal at each change of it.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<DeskView>> {
        self.view.clone()
    }

    /// Where an agent can ring now.
    pub(crate) fn seats(&self, extension: &str) -> Seats {
        self.view()
            .agents
            .iter()
            .find(|agent| agent.extension == extension)
            .map(|agent| agent.seats)
            .unwrap_or_default()
    }

    /// The name visitors see.
    pub(crate) fn agent_name(&self, extension: &str) -> Option<String> {
        self.view().agents.iter().find(|agent| agent.extension == extension).map(|agent| agent.name.clone())
    }
}

/// A desk, and what its calls go by.
struct Room {
    desk: Desk,
    queues: Vec<QueueId>,
    config: Arc<CallConfig>,
}

async fn run(mut room: Room, calls: Calls, mut inbox: mpsc::Receiver<Question>, show: watch::Sender<Arc<DeskView>>) {
    publish(&room, &show);
    loop {
        let due = room.desk.poll_timeout().map(|(at, _)| at);
        tokio::select! {
            question = inbox.recv() => match question {
                Some(question) => handle(&mut room, question),
                None => return,
            },
            () = sleep_until(due) => room.desk.handle_timeout(clock::call_now()),
        }
        let mut changed = false;
        while let Some(command) = room.desk.poll_command() {
            match command {
                DeskCommand::Withdraw { call, leg } => {
                    calls.tell(&call, CallInput::Withdraw(leg));
                }
                DeskCommand::LiveChanged => changed = true,
            }
        }
        if changed {
            publish(&room, &show);
        }
    }
}

fn handle(room: &mut Room, question: Question) {
    let now = clock::call_now();
    let Room { desk, queues, config } = room;
    let by = |spec| (spec, Arc::clone(config));
    match question {
        Question::Talk(request, reply) => {
            let answer = desk.talk(*request, now).map(by);
            count_refusal(&answer);
            forget_unheard(desk, reply.send(answer), now);
        }
        Question::CallBack(turn, reply) => {
            let answer = desk.call_back(*turn, now).map(by);
            forget_unheard(desk, reply.send(answer), now);
        }
        Question::Dial { from, to, reply } => {
            let answer = desk.dial(&from, &to, now).map(by);
            count_refusal(&answer);
            forget_unheard(desk, reply.send(answer), now);
        }
        Question::Follow(rules, reply) => {
            *queues = rules.queues();
            *config = rules.calls;
            desk.follow(rules.desk, now);
            let _asker_gone = reply.send(());
        }
        Question::Seat { extension, seat, on } => desk.agent_seat(&extension, seat, on, now),
        Question::Event(call, event) => desk.call_event(&call, &event, now),
        Question::Page(call, url, title) => desk.note_page(&call, &url, &title),
        Question::Forget(call) => desk.forget(&call, now),
        Question::Accepting(on) => desk.set_accepting(on),
    }
}

/// An asker who is gone will not start the call: its place is free again.
fn forget_unheard(desk: &mut Desk, sent: Result<(), Judged>, now: call::Now) {
    if let Err(Ok((spec, _))) = sent {
        desk.forget(&spec.id, now);
    }
}

fn count_refusal(answer: &Judged) {
    if let Err(refusal) = answer {
        metric::count_with(Metric::TalksRefused, refusal.counter());
    }
}

fn publish(room: &Room, show: &watch::Sender<Arc<DeskView>>) {
    let Room { desk, queues, .. } = room;
    let now = clock::call_now();
    let availability = queues.iter().map(|queue| (queue.0.clone(), desk.availability(queue, now))).collect();
    let loads = queues.iter().map(|queue| (queue.0.clone(), desk.load(queue))).collect();
    let agents = desk.agents();
    let away = agents.iter().filter(|agent| agent.presence == Presence::Away).count();
    metric::gauge_with(Metric::AgentsAway, &desk.tenant().0, f64::from(u32::try_from(away).unwrap_or(u32::MAX)));
    show.send_replace(Arc::new(DeskView { live: desk.live(), agents, availability, loads }));
}
