//! The gateway as the web edge sees it: talk, agents' pages, availability, health.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use desk::{Presence, Seat, TalkRequest};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};
use web::backend::{
    AgentLogin, AgentRequest, AgentSession, AgentUpdate, Availability, Backend, BoxFuture, CallCard, Health, Refusal,
    TalkSession, TalkStart, WebCounter,
};
use web::origin::Origins;
use web::refusal::LOGIN_REFUSED;
use web::{
    CallbackAsk, CallbackMade, CallbackMove, CallbackOffer, CallbackView, HoldAsk, HoldView, LadderList, LadderQuery,
    LadderView, QueueAsk, QueueDone, ReloadView, SlotsAsk, SlotsView, Staff, StaffAct, StaffAsk, StaffList, StaffQuery,
    StaffView,
};

use crate::config::checked::{Agent, Secret};
use crate::drive::call::{CallContext, CallInput, Visitor, start_talk};
use crate::drive::callbacks::{Callbacks, Worker};
use crate::drive::console::{self, ConsoleAction};
use crate::drive::desk::DeskView;
use crate::drive::media::MediaError;
use crate::ladder::Ladders;
use crate::observe::health::HealthBoard;
use crate::observe::metric::{self, Metric};
use crate::reload::ReloadHandle;

/// Updates a page may have waiting; a page that reads none for so long is dead.
const UPDATES_MAX: usize = 64;
/// How often an agent's page gets the list of live calls at most.
const LIVE_PACE: Duration = Duration::from_millis(250);
/// Requests of a page that may wait.
const REQUESTS_MAX: usize = 32;

/// One tenant's door.
pub(crate) struct TenantDoor {
    pub(crate) origins: Origins,
    pub(crate) queues: Vec<String>,
    pub(crate) context: CallContext,
}

/// What of the house the configuration decides: one whole, exchanged as one when another is read.
pub(crate) struct Standing {
    pub(crate) tenants: BTreeMap<String, TenantDoor>,
    /// Each with the tenants he serves.
    pub(crate) agents: Vec<(Agent, Vec<String>)>,
    pub(crate) callbacks: Callbacks,
    /// The administrator's token; none: there is no administrator.
    pub(crate) admin_token: Option<Secret>,
}

/// What the edge talks to.
pub(crate) struct House {
    pub(crate) standing: watch::Receiver<Arc<Standing>>,
    pub(crate) reload: ReloadHandle,
    pub(crate) ladders: Ladders,
    pub(crate) board: HealthBoard,
    /// False from the moment a shutdown is asked for.
    pub(crate) accepting: AtomicBool,
}

impl House {
    /// As the configuration stands now.
    fn now(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.borrow())
    }

    async fn start(&self, start: TalkStart) -> Result<TalkSession, Refusal> {
        if !self.accepting.load(Ordering::Relaxed) {
            return Err(Refusal::new("shutdown", 503).retry_after(30));
        }
        let now = self.now();
        let door = now.tenants.get(&start.tenant).ok_or(Refusal::new("queue-unknown", 404))?;
        let session = start.session;
        let request = TalkRequest {
            queue: call::QueueId(start.queue),
            session: session.id,
            page_url: session.page_url,
            page_title: session.page_title,
            referrer: session.referrer,
            language: session.lang,
            source_ip: start.source,
        };
        let (spec, config) = door.context.desk.talk(request).await.map_err(web_refusal)?;
        let id = spec.id;
        let (requests, visitor_requests) = mpsc::channel(REQUESTS_MAX);
        let (visitor_updates, updates) = mpsc::channel(UPDATES_MAX);
        let visitor = Visitor { requests: visitor_requests, updates: visitor_updates };
        match start_talk(door.context.by(config), spec, start.offer, visitor).await {
            Ok(answer) => Ok(TalkSession { call: id.to_string(), answer, requests, updates }),
            Err(error) => {
                warn!(call = %id, %error, "a visitor's call could not start");
                door.context.desk.forget(id).await;
                Err(match error {
                    MediaError::Offer(_) => Refusal::new("offer-invalid", 488),
                    MediaError::Overload | MediaError::NoPort => Refusal::new("overload", 503).retry_after(10),
                    MediaError::Gone => Refusal::new("bug", 500),
                })
            }
        }
    }
}

impl Standing {
    /// The agent whose extension and password these are, with the tenants he serves.
    fn known(&self, login: &AgentLogin) -> Result<&(Agent, Vec<String>), Refusal> {
        let agent = self.agents.iter().find(|(agent, _)| agent.extension == login.extension);
        // The comparison takes the same time for an unknown extension.
        let expected = agent.map_or("", |(agent, _)| agent.password.expose());
        let good = same(expected.as_bytes(), login.password.as_bytes());
        agent.filter(|_| good).ok_or_else(|| {
            info!("an agent's log-in is refused: wrong extension or password");
            debug!(source = %login.source, "log-in refused");
            LOGIN_REFUSED
        })
    }

    /// What of the book is his. An agent who is in the configuration no more has lost his token with the process.
    fn worker(&self, staff: Staff) -> Worker {
        let tenants = match &staff {
            Staff::Admin => self.tenants.keys().cloned().collect(),
            Staff::Agent(extension) => {
                let own = self.agents.iter().find(|(agent, _)| agent.extension == *extension);
                own.map(|(_, tenants)| tenants.clone()).unwrap_or_default()
            }
        };
        Worker { staff, tenants }
    }

    fn log_in(&self, login: &AgentLogin) -> Result<AgentSession, Refusal> {
        let (agent, tenants) = self.known(login)?;
        let doors = self.tenants.iter().filter(|(tenant, _)| tenants.contains(tenant));
        let contexts: Vec<CallContext> = doors.map(|(_, door)| door.context.clone()).collect();
        let Some(first) = contexts.first() else { return Err(Refusal::new("queue-unknown", 404)) };
        let (updates_in, updates) = mpsc::channel(UPDATES_MAX);
        let (requests, requests_out) = mpsc::channel(REQUESTS_MAX);
        let page =
            first.consoles.open(&agent.extension, updates_in.clone()).ok_or(Refusal::new("too-many-calls", 429))?;
        info!(agent = agent.extension, "an agent's page opens");
        let task = AgentPage { extension: agent.extension.clone(), page, contexts, updates: updates_in };
        tokio::spawn(task.run(requests_out));
        Ok(AgentSession { name: agent.name.clone(), requests, updates })
    }
}

/// Compares without telling by time where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    let mut difference = u8::from(a.len() != b.len()) | u8::from(a.is_empty());
    for (at, byte) in b.iter().enumerate() {
        difference |= byte ^ a.get(at % a.len().max(1)).copied().unwrap_or(0);
    }
    difference == 0
}

fn web_refusal(refusal: desk::Refusal) -> Refusal {
    match refusal {
        desk::Refusal::Closed => Refusal::new("closed", 503),
        desk::Refusal::NoAgent | desk::Refusal::AgentBusy => Refusal::new("no-agent", 503).retry_after(30),
        desk::Refusal::TooMany(desk::Bound::Session) => Refusal::new("session-busy", 429).retry_after(5),
        desk::Refusal::TooMany(_) => Refusal::new("too-many-calls", 429).retry_after(30),
        desk::Refusal::UnknownQueue | desk::Refusal::UnknownAgent => Refusal::new("queue-unknown", 404),
    }
}

impl Backend for House {
    fn talk(&self, start: TalkStart) -> BoxFuture<'_, Result<TalkSession, Refusal>> {
        Box::pin(self.start(start))
    }

    fn agent(&self, login: AgentLogin) -> BoxFuture<'_, Result<AgentSession, Refusal>> {
        Box::pin(async move { self.now().log_in(&login) })
    }

    fn availability(&self, tenant: &str, queue: &str) -> Option<Availability> {
        let view = self.now().tenants.get(tenant)?.context.desk.view();
        let found = view.availability.get(queue)?;
        Some(match found {
            desk::Availability::TalkNow => Availability { talk_now: true, reason: None },
            desk::Availability::Not(refusal) => {
                Availability { talk_now: false, reason: Some(web_refusal(*refusal).code) }
            }
        })
    }

    fn callback_offer(&self, tenant: &str, queue: &str) -> CallbackOffer {
        self.now().callbacks.offer(tenant, queue)
    }

    fn slots(&self, ask: SlotsAsk) -> BoxFuture<'_, Result<SlotsView, Refusal>> {
        Box::pin(async move { self.now().callbacks.slots(ask).await })
    }

    fn hold_seat(&self, ask: HoldAsk) -> BoxFuture<'_, Result<HoldView, Refusal>> {
        Box::pin(async move { self.now().callbacks.hold(ask).await })
    }

    fn release_seat(&self, hold: String) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.now().callbacks.release(&hold).await })
    }

    fn ask_callback(&self, ask: CallbackAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>> {
        Box::pin(async move { self.now().callbacks.ask(ask).await })
    }

    fn callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move { self.now().callbacks.show(&id, &key).await })
    }

    fn move_callback(&self, id: String, key: String, to: CallbackMove) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move { self.now().callbacks.reschedule(&id, &key, &to).await })
    }

    fn cancel_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move { self.now().callbacks.cancel(&id, &key).await })
    }

    fn disown_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move { self.now().callbacks.disown(&id, &key).await })
    }

    fn agent_name(&self, login: AgentLogin) -> BoxFuture<'_, Result<String, Refusal>> {
        Box::pin(async move { self.now().known(&login).map(|(agent, _)| agent.name.clone()) })
    }

    fn is_admin(&self, token: &str) -> bool {
        self.now().admin_token.as_ref().is_some_and(|own| same(own.expose().as_bytes(), token.as_bytes()))
    }

    fn staff_list(&self, who: Staff, query: StaffQuery) -> BoxFuture<'_, Result<StaffList, Refusal>> {
        Box::pin(async move {
            let now = self.now();
            now.callbacks.staff_list(&now.worker(who), &query).await
        })
    }

    fn staff_show(&self, who: Staff, id: String) -> BoxFuture<'_, Result<StaffView, Refusal>> {
        Box::pin(async move {
            let now = self.now();
            now.callbacks.staff_show(&now.worker(who), &id).await
        })
    }

    fn staff_make(&self, who: Staff, ask: StaffAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>> {
        Box::pin(async move {
            let now = self.now();
            now.callbacks.staff_make(&now.worker(who), ask).await
        })
    }

    fn staff_act(
        &self,
        who: Staff,
        id: String,
        act: StaffAct,
        note: String,
    ) -> BoxFuture<'_, Result<StaffView, Refusal>> {
        Box::pin(async move {
            let now = self.now();
            now.callbacks.staff_act(&now.worker(who), &id, act, &note).await
        })
    }

    fn staff_queue(&self, who: Staff, ask: QueueAsk) -> BoxFuture<'_, Result<QueueDone, Refusal>> {
        Box::pin(async move {
            let now = self.now();
            now.callbacks.staff_queue(&now.worker(who), ask).await
        })
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<'_, Result<ReloadView, Refusal>> {
        Box::pin(self.reload.ask(dry_run))
    }

    fn ladders(&self, query: LadderQuery) -> BoxFuture<'_, Result<LadderList, Refusal>> {
        Box::pin(self.ladders.list(query))
    }

    fn ladder(&self, name: String) -> BoxFuture<'_, Result<LadderView, Refusal>> {
        Box::pin(self.ladders.show(name))
    }

    fn refused_messages(&self) -> BoxFuture<'_, Result<LadderView, Refusal>> {
        Box::pin(self.ladders.refused())
    }

    fn callback_changes(&self) -> tokio::sync::broadcast::Receiver<String> {
        self.now().callbacks.changes()
    }

    fn origin_allowed(&self, tenant: &str, origin: &str) -> bool {
        self.now().tenants.get(tenant).is_some_and(|door| door.origins.allows(origin))
    }

    fn origin_known(&self, origin: &str) -> bool {
        self.now().tenants.values().any(|door| door.origins.allows(origin))
    }

    fn queue_exists(&self, tenant: &str, queue: &str) -> bool {
        self.now().tenants.get(tenant).is_some_and(|door| door.queues.iter().any(|known| known == queue))
    }

    fn healthz(&self) -> Health {
        self.board.live()
    }

    fn readyz(&self) -> Health {
        self.board.ready(self.accepting.load(Ordering::Relaxed))
    }

    fn metrics(&self) -> String {
        metric::render()
    }

    fn count(&self, counter: WebCounter) {
        match counter {
            WebCounter::Refused(door, code) => {
                metric::count_with(Metric::WebRefused, &format!("{}/{code}", door.label()))
            }
            WebCounter::TokenIssued => metric::count_with(Metric::WebEvents, "token-issued"),
            WebCounter::SocketOpened(_) => metric::count_with(Metric::WebEvents, "socket-opened"),
            WebCounter::SocketClosed(_) => metric::count_with(Metric::WebEvents, "socket-closed"),
            WebCounter::SessionStarted(_) => metric::count_with(Metric::WebEvents, "session-started"),
        }
    }
}

/// One open agent's page.
struct AgentPage {
    extension: String,
    page: u64,
    contexts: Vec<CallContext>,
    updates: mpsc::Sender<AgentUpdate>,
}

impl AgentPage {
    async fn run(self, mut requests: mpsc::Receiver<AgentRequest>) {
        let mut views: Vec<watch::Receiver<Arc<DeskView>>> =
            self.contexts.iter().map(|context| context.desk.watch()).collect();
        let mut taken: Option<String> = None;
        let mut pace = tokio::time::interval(LIVE_PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stale = true;
        let mut away = false;
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.handle(request, &mut taken).await,
                    None => break,
                },
                alive = any_change(&mut views) => {
                    if !alive {
                        break;
                    }
                    stale = true;
                    away = self.show_away(away);
                }
                _ = pace.tick(), if stale => stale = !self.show_live(),
            }
        }
        self.leave(taken).await;
    }

    fn consoles(&self) -> Option<&console::Consoles> {
        self.contexts.first().map(|context| &context.consoles)
    }

    /// The whole list, a few times a second at most and never so that it takes the room of what rings or ends; false
    /// when it has to be shown again.
    fn show_live(&self) -> bool {
        if self.updates.capacity() <= UPDATES_MAX / 2 {
            return false;
        }
        let mut cards = Vec::new();
        for context in &self.contexts {
            let view = context.desk.view();
            for card in &view.live {
                let name = card.agent.as_ref().and_then(|extension| context.desk.agent_name(extension));
                cards.push(console::card(card, name));
            }
        }
        self.updates.try_send(AgentUpdate::Live(cards)).is_ok()
    }

    /// Whether he is away by now; told when it changes.
    fn show_away(&self, was: bool) -> bool {
        let at_a_desk = |context: &CallContext| {
            let view = context.desk.view();
            view.agents.iter().any(|card| card.extension == self.extension && card.presence == Presence::Away)
        };
        let is = self.contexts.iter().any(at_a_desk);
        if is != was && self.updates.try_send(AgentUpdate::Away(is)).is_err() {
            return was;
        }
        is
    }

    async fn handle(&self, request: AgentRequest, taken: &mut Option<String>) {
        match request {
            AgentRequest::Ready(on) => {
                let ready = self.consoles().is_some_and(|consoles| consoles.ready(&self.extension, self.page, on));
                self.seat(ready).await;
                let _page_gone = self.updates.try_send(AgentUpdate::Ready(on));
                if on {
                    self.ring_again();
                } else if !ready {
                    self.leave_ringing(taken.as_deref());
                }
            }
            AgentRequest::Answer { call, offer } => {
                let action = ConsoleAction::Answer { offer, updates: self.updates.clone() };
                if self.act(&call, action) {
                    *taken = Some(call);
                } else {
                    let _page_gone = self.updates.try_send(AgentUpdate::Ended { call, code: "cancelled" });
                }
            }
            AgentRequest::Decline { call } => {
                self.act(&call, ConsoleAction::Decline);
            }
            AgentRequest::Bye { call } => {
                self.act(&call, ConsoleAction::Bye);
                *taken = None;
            }
        }
    }

    fn act(&self, call: &str, action: ConsoleAction) -> bool {
        let (Ok(id), Some(context)) = (call.parse(), self.contexts.first()) else { return false };
        let (extension, page) = (self.extension.clone(), self.page);
        context.calls.tell(&id, CallInput::Console { extension, page, action })
    }

    /// The calls that ring at this agent now.
    fn ringing(&self) -> Vec<CallCard> {
        let mut cards = Vec::new();
        for context in &self.contexts {
            let view = context.desk.view();
            let rings = |card: &&desk::CallCard| {
                card.agent.as_ref() == Some(&self.extension) && card.state == call::State::Ringing
            };
            cards.extend(view.live.iter().filter(rings).map(|card| console::card(card, None)));
        }
        cards
    }

    /// A page that comes while it rings can take the call too.
    fn ring_again(&self) {
        for card in self.ringing() {
            self.act(&card.call, ConsoleAction::Ready { updates: self.updates.clone() });
        }
    }

    /// Nobody is left at this agent's pages: what rings there goes to the next at once, and not after its time.
    fn leave_ringing(&self, taken: Option<&str>) {
        for card in self.ringing().iter().filter(|card| taken != Some(card.call.as_str())) {
            self.act(&card.call, ConsoleAction::Gone);
        }
    }

    async fn seat(&self, on: bool) {
        for context in &self.contexts {
            context.desk.seat(&self.extension, Seat::Browser, on).await;
        }
    }

    /// The page is gone: its call with it, and its seat when no other page of the agent answers.
    async fn leave(self, taken: Option<String>) {
        debug!(agent = self.extension, "an agent's page closes");
        if let Some(call) = &taken {
            self.act(call, ConsoleAction::Gone);
        }
        let ready = self.consoles().is_some_and(|consoles| consoles.close(&self.extension, self.page));
        self.seat(ready).await;
        if !ready {
            self.leave_ringing(taken.as_deref());
        }
    }
}

/// Waits for any desk to change; false when one has ended.
async fn any_change(views: &mut [watch::Receiver<Arc<DeskView>>]) -> bool {
    let changes: Vec<_> = views.iter_mut().map(|view| Box::pin(view.changed())).collect();
    if changes.is_empty() {
        return std::future::pending().await;
    }
    select_first(changes).await
}

/// The first of some futures to be done; the others are dropped.
async fn select_first<F>(mut futures: Vec<std::pin::Pin<Box<F>>>) -> bool
where
    F: Future<Output = Result<(), watch::error::RecvError>>,
{
    std::future::poll_fn(move |context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(changed) = future.as_mut().poll(context) {
                return std::task::Poll::Ready(changed.is_ok());
            }
        }
        std::task::Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::{Availability, same, web_refusal};

    #[test]
    fn only_the_whole_password_is_the_same() {
        assert!(same(b"secret1001", b"secret1001"));
        for wrong in ["", "s", "secret100", "secret10011", "Secret1001", "secret1001secret1001"] {
            assert!(!same(b"secret1001", wrong.as_bytes()), "{wrong}");
        }
        assert!(!same(b"", b""), "no password is no password");
    }

    #[test]
    fn why_nobody_answers_now_is_a_reason_the_api_has() {
        // What `Desk::availability` may say.
        for refusal in [desk::Refusal::Closed, desk::Refusal::NoAgent, desk::Refusal::TooMany(desk::Bound::Queue)] {
            let code = web_refusal(refusal).code;
            assert!(Availability::REASONS.contains(&code), "{code}");
        }
    }
}
