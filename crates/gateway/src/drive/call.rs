//! The call task: one per call, owns its `Call`, carries its orders to the legs and their events back.
//!
//! ```text
//! page ─────► VisitorRequest ┐                        ┌ LegCommand ────► SIP driver, page, agent's page
//! SIP driver ► SipNotice ────┼─► LegEvent ► Call ─────┤
//! worker ────► MediaNotice ──┘      (one table)       └ BridgeCommand ─► media worker
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use call::{Call, CallCommand, CallEvent, CallId, CallRecord, CallSpec, CallTags, HangupCause, LegEvent, LegId, Party};
use desk::AttemptEnd;
use media::bridge::Side;
use media::codec::CodecKind;
use media::sdp::SrtpPolicy;
use store::{Home, OpenCall};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug, error, info, info_span, warn};
use web::backend::{AgentUpdate, VisitorRequest, VisitorUpdate};

use crate::clock;
use crate::config::checked::{Seat, Trunk};
use crate::drive::calls::{CallEntry, Calls};
use crate::drive::console::{ConsoleAction, Consoles};
use crate::drive::desk::DeskHandle;
use crate::drive::media::{BridgeOrder, MediaError, MediaHandle, MediaNotice, MediaSession, Place};
use crate::drive::sip::driver::sleep_until;
use crate::drive::sip::{Incoming, LegSink, SipHandle, SipLeg, SipNotice};
use crate::ladder::Tap;
use crate::observe::metric::{self, Metric};

mod callback;
mod inputs;
mod ladder;
pub(crate) mod legs;
mod orders;
mod prompt;
mod transfer;

pub(crate) use callback::{CallbackLink, CallbackNews, Role};
use legs::{LegIo, Phone};

/// From the moment when media is held back, as the browser gives no sign of life, to the loss of consent.
const UNHEARD: Duration = browser::CONSENT_LIMIT.saturating_sub(browser::HOLD_AFTER);

/// Inputs a call may have waiting. A call that falls behind so far is stuck; its senders count what they lose.
const INBOX_MAX: usize = 256;

/// Everything that can happen to a call.
#[derive(Debug)]
pub(crate) enum CallInput {
    /// From its media worker.
    Media(MediaNotice),
    /// From the SIP driver, about a leg.
    Sip(LegId, SipNotice),
    /// From the visitor's page.
    Visitor(VisitorRequest),
    /// The page's socket is lost.
    VisitorGone,
    /// From one page of an agent.
    Console { extension: String, page: u64, action: ConsoleAction },
    /// Another call wants the leg across from this one: its party asked for it.
    GiveAway { by: LegId, to: mpsc::Sender<Self>, reply: oneshot::Sender<transfer::Given> },
    /// The other call's leg, or nothing.
    Given { by: LegId, given: Option<transfer::Given> },
    /// A phone has called to take this leg's place.
    TakesPlace { of: LegId, incoming: Box<Incoming> },
    /// Do not try this candidate any more.
    Withdraw(LegId),
    /// End it.
    HangUp(Party, HangupCause),
}

/// What every call needs of the house.
#[derive(Clone)]
pub(crate) struct CallContext {
    pub(crate) sip: SipHandle,
    pub(crate) media: MediaHandle,
    pub(crate) desk: DeskHandle,
    pub(crate) store: Arc<dyn Home>,
    pub(crate) calls: Calls,
    pub(crate) consoles: Consoles,
    /// Hears what happens in each call.
    pub(crate) tap: Tap,
    pub(crate) config: Arc<CallConfig>,
}

/// The part of the configuration calls read: a call goes by the one it began with.
#[derive(Debug)]
pub(crate) struct CallConfig {
    /// Address written into SDP; else the one that faces the peer.
    pub(crate) sdp_ip: Option<IpAddr>,
    pub(crate) trunks: Vec<Arc<Trunk>>,
    /// Trunk and user whom some queue rings there.
    pub(crate) trunk_users: Vec<(String, String)>,
    /// Codecs for agents' own phones.
    pub(crate) agent_codecs: Vec<CodecKind>,
    /// Whether their sound is encrypted.
    pub(crate) agent_srtp: SrtpPolicy,
    /// Which seats each queue rings, by its tenant and its id.
    pub(crate) seats: BTreeMap<(String, String), Seat>,
    /// Key of the tag's MAC, per tenant.
    pub(crate) tag_keys: Vec<(String, Vec<u8>)>,
    /// The same where the configuration names none: made at the start, and kept until the end.
    pub(crate) made_up_keys: Vec<(String, Vec<u8>)>,
}

impl CallContext {
    /// The same house by the configuration its desk judged by.
    pub(crate) fn by(&self, config: Arc<CallConfig>) -> Self {
        Self { config, ..self.clone() }
    }
}

impl CallConfig {
    /// The trunk of this name.
    pub(crate) fn trunk(&self, name: &str) -> Option<&Arc<Trunk>> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }
}

/// The visitor's side of a call that is about to start.
pub(crate) struct Visitor {
    pub(crate) requests: mpsc::Receiver<VisitorRequest>,
    pub(crate) updates: mpsc::Sender<VisitorUpdate>,
}

/// Starts a visitor's call: his offer is answered here, the rest runs in the call's own task.
pub(crate) async fn start_talk(
    context: CallContext,
    spec: CallSpec,
    offer: String,
    visitor: Visitor,
) -> Result<String, MediaError> {
    let (inbox_in, inbox) = mpsc::channel(INBOX_MAX);
    // From here on the desk can speak to it, also while its sound is being set up.
    let entry = context.calls.enter(spec.id, inbox_in.clone());
    let session = context.media.open(&spec.id.to_string(), inbox_in.clone())?;
    let answer = session
        .browser(Place::Side(Side::A), offer, vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma])
        .await?;
    tokio::spawn(forward_requests(visitor.requests, inbox_in.clone()));
    let first = First { io: LegIo::Visitor { updates: visitor.updates }, caller: None, callback: None };
    spawn(context, spec, session, first, inbox_in, inbox, entry);
    Ok(answer)
}

/// Starts a call that a phone asked for.
pub(crate) fn start_inbound(context: CallContext, spec: CallSpec, incoming: Incoming) -> Result<(), MediaError> {
    let (inbox_in, inbox) = mpsc::channel(INBOX_MAX);
    let entry = context.calls.enter(spec.id, inbox_in.clone());
    let session = context.media.open(&spec.id.to_string(), inbox_in.clone())?;
    let sink = LegSink { inbox: inbox_in.clone(), leg: LegId::FIRST };
    if !context.sip.adopt(incoming.leg, sink) {
        return Err(MediaError::Overload);
    }
    let caller = Caller { display: incoming.from_display.clone(), user: incoming.account.clone().unwrap_or_default() };
    let phone = Phone::called_us(incoming);
    let first = First { io: LegIo::Phone(Box::new(phone)), caller: Some(caller), callback: None };
    spawn(context, spec, session, first, inbox_in, inbox, entry);
    Ok(())
}

/// Starts a call-back's call: its first leg is rung, and its holder hears what becomes of it.
pub(crate) fn start_callback(context: CallContext, spec: CallSpec, link: CallbackLink) -> Result<(), MediaError> {
    let (inbox_in, inbox) = mpsc::channel(INBOX_MAX);
    let entry = context.calls.enter(spec.id, inbox_in.clone());
    let session = context.media.open(&spec.id.to_string(), inbox_in.clone())?;
    let first = First { io: LegIo::None, caller: None, callback: Some(link) };
    spawn(context, spec, session, first, inbox_in, inbox, entry);
    Ok(())
}

/// The page's requests become inputs; its end is an input too.
async fn forward_requests(mut requests: mpsc::Receiver<VisitorRequest>, inbox: mpsc::Sender<CallInput>) {
    while let Some(request) = requests.recv().await {
        if inbox.send(CallInput::Visitor(request)).await.is_err() {
            return;
        }
    }
    // The call may be over already: then nobody listens, and nobody needs to.
    let _call_over = inbox.send(CallInput::VisitorGone).await;
}

/// Runs the call under supervision: a panic ends this call, its record says so, and nothing else ends.
fn spawn(
    context: CallContext,
    spec: CallSpec,
    session: MediaSession,
    first: First,
    inbox_in: mpsc::Sender<CallInput>,
    inbox: mpsc::Receiver<CallInput>,
    entry: CallEntry,
) {
    let sip_legs = SipLegs::default();
    if let LegIo::Phone(phone) = &first.io {
        sip_legs.add(phone.leg);
    }
    let span = info_span!("call", id = %spec.id, queue = %spec.tags.queue.0);
    let (id, house) = (spec.id, context.clone());
    let opened = OpenCall::of(&spec, clock::unix_ms());
    let legs = std::iter::once(&spec.first).chain(&spec.second);
    let agents: Vec<String> = legs.filter_map(|leg| leg.kind.extension().map(str::to_owned)).collect();
    let task_opened = opened.clone();
    metric::gauge_add(Metric::CallsLive, 1.0);
    metric::count(Metric::CallsStarted);
    let task = tokio::spawn(
        CallTask::new(context, spec, session, first, inbox_in, sip_legs.clone())
            .run(inbox, task_opened)
            .instrument(span),
    );
    tokio::spawn(async move {
        if let Err(failure) = task.await {
            metric::count(Metric::Panics);
            error!(call = %id, %failure, "a panic in this call; it is ended, please report it");
            sip_legs.hang_up(&house.sip);
            let ended = AgentUpdate::Ended { call: id.to_string(), code: HangupCause::Bug.code() };
            for extension in &agents {
                house.consoles.tell_all(extension, &ended);
            }
            house.desk.forget(id).await;
            metric::count_with(Metric::CallsEnded, HangupCause::Bug.code());
            let record = CallRecord { cause: HangupCause::Bug, ..opened.interrupted(clock::unix_ms()) };
            if let Err(error) = house.store.close_call(record).await {
                metric::count(Metric::RecordsLost);
                error!(call = %id, %error, "the record of a broken call is not kept");
            }
        }
        metric::gauge_add(Metric::CallsLive, -1.0);
        drop(entry);
    });
}

/// Who a calling phone says it is: the display it sent, the account it proved.
struct Caller {
    display: String,
    user: String,
}

/// The leg a call starts with.
struct First {
    io: LegIo,
    caller: Option<Caller>,
    callback: Option<CallbackLink>,
}

/// The task's state.
struct CallTask {
    context: CallContext,
    call: Call,
    tags: CallTags,
    id: CallId,
    /// Taken at the end.
    session: Option<MediaSession>,
    /// By leg id.
    legs: Vec<LegIo>,
    /// The phone that called, in a call between phones.
    caller: Option<Caller>,
    /// Who holds the call-back this call is made for.
    callback: Option<CallbackLink>,
    /// What is known so far of its customer's leg.
    customer_end: AttemptEnd,
    /// A customer who was rung first is asked for a key.
    customer_asked: bool,
    /// When the customer answered: from then on somebody pays for it.
    customer_since: Option<Instant>,
    /// The candidate that holds side B.
    second: Option<LegId>,
    inbox_in: mpsc::Sender<CallInput>,
    sip_legs: SipLegs,
    visitor_told: bool,
    /// The page's socket is gone, and with it any way to mend the sound.
    page_lost: bool,
    /// What the INVITE of a transfer says besides the tag.
    referral: transfer::Referral,
    /// When each side's silence becomes a loss, while a browser is not heard.
    lost_at: [Option<Instant>; 2],
    over: bool,
}

/// The SIP legs a call has opened, kept outside its task: should the task panic, they are ended all the same.
#[derive(Clone, Default)]
struct SipLegs(Arc<Mutex<Vec<SipLeg>>>);

impl SipLegs {
    fn add(&self, leg: Option<SipLeg>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(leg);
    }

    fn hang_up(&self, sip: &SipHandle) {
        for leg in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            sip.hang_up(leg, HangupCause::Bug);
        }
    }
}

impl CallTask {
    fn new(
        context: CallContext,
        spec: CallSpec,
        session: MediaSession,
        first: First,
        inbox_in: mpsc::Sender<CallInput>,
        sip_legs: SipLegs,
    ) -> Self {
        let (tags, id) = (spec.tags.clone(), spec.id);
        let mut legs = vec![first.io];
        legs.resize_with(1 + spec.second.len(), || LegIo::None);
        let call = Call::new(spec, clock::call_now());
        Self {
            context,
            call,
            tags,
            id,
            session: Some(session),
            legs,
            caller: first.caller,
            callback: first.callback,
            customer_end: AttemptEnd::default(),
            customer_asked: false,
            customer_since: None,
            second: None,
            inbox_in,
            sip_legs,
            visitor_told: false,
            page_lost: false,
            referral: transfer::Referral::default(),
            lost_at: [None; 2],
            over: false,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<CallInput>, opened: OpenCall) {
        info!(tag = %self.tags.tag_hex(), "call starts");
        if let Some(LegIo::Phone(phone)) = self.legs.first() {
            self.ladder_joins(LegId::FIRST, &phone.call_id);
        }
        let store = Arc::clone(&self.context.store);
        // Beside the call, so that a slow disk delays no ringing; awaited before the record is closed.
        let journal = tokio::spawn(async move { store.open_call(opened).await });
        self.drain().await;
        while !self.over {
            let due = self.call.poll_timeout().map(|(at, _)| at).into_iter().chain(self.lost_at.into_iter().flatten());
            tokio::select! {
                input = inbox.recv() => match input {
                    Some(input) => self.handle(input).await,
                    None => self.call.hang_up(Party::Gateway, HangupCause::Bug, clock::call_now()),
                },
                () = sleep_until(due.min()) => {
                    self.tell_lost_sound();
                    self.call.handle_timeout(clock::call_now());
                }
            }
            self.drain().await;
        }
        match journal.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the start of this call was not journalled"),
            Err(error) => error!(%error, "the journal task failed"),
        }
        self.keep_record().await;
    }

    /// Carries out everything the call orders, and passes on everything it says.
    async fn drain(&mut self) {
        loop {
            if let Some(command) = self.call.poll_command() {
                match command {
                    CallCommand::Leg(leg, command) => self.order_leg(leg, command).await,
                    CallCommand::Bridge(command) => self.order_bridge(command).await,
                }
                continue;
            }
            let Some(event) = self.call.poll_event() else { return };
            self.pass_on(event).await;
        }
    }

    fn tell_call(&mut self, leg: LegId, event: LegEvent) {
        debug!(leg = %leg, ?event, "leg event");
        self.ladder_event(leg, &event);
        self.call.handle_leg(leg, event, clock::call_now());
    }

    fn io(&mut self, leg: LegId) -> &mut LegIo {
        let at = usize::from(leg.0).min(self.legs.len() - 1);
        &mut self.legs[at]
    }

    /// The side of the bridge a leg has, or had.
    fn side(&self, leg: LegId) -> Side {
        if leg == self.call.first() { Side::A } else { Side::B }
    }

    /// Where a leg's sound is: whoever is to take a side is heard by nobody yet.
    fn place(&self, leg: LegId) -> Place {
        if self.call.coming() == Some(leg) { Place::Spare } else { Place::Side(self.side(leg)) }
    }

    fn leg_of(&self, side: Side) -> Option<LegId> {
        match side {
            Side::A => Some(self.call.first()),
            Side::B => self.second,
        }
    }

    fn bridge(&self, order: BridgeOrder) {
        if let Some(session) = &self.session
            && let Err(error) = session.bridge(order)
        {
            warn!(%error, "media order not carried out");
        }
    }

    fn update(&self, update: VisitorUpdate) {
        if let Some(LegIo::Visitor { updates }) = self.legs.first()
            && updates.try_send(update).is_err()
        {
            // The page is gone, or reads nothing; the call goes on by its media.
            metric::count(Metric::VisitorUpdatesLost);
        }
    }

    async fn pass_on(&mut self, event: CallEvent) {
        self.ladder_call(&event);
        match &event {
            CallEvent::State(state) => {
                info!(state = state.code(), "call moves");
                if *state == call::State::Ending {
                    self.tell_visitor_the_end();
                }
            }
            CallEvent::Ended(record) => {
                info!(
                    cause = record.cause.code(),
                    by = record.hung_up_by.code(),
                    wait_ms = record.wait_ms,
                    talk_ms = record.talk_ms,
                    "call ends"
                );
                self.over = true;
            }
            CallEvent::Answered { .. } => metric::count(Metric::CallsAnswered),
            CallEvent::Transfer { by, step, .. } => self.transfer_moves(*by, step),
            CallEvent::Trying { .. } | CallEvent::Ringing { .. } | CallEvent::Held { .. } | CallEvent::Digit { .. } => {
            }
        }
        self.tell_holder(&event).await;
        self.context.desk.event(self.id, event).await;
    }

    /// The last word, said once and as soon as it is known: a silent PBX may keep its leg for 32 s more.
    fn tell_visitor_the_end(&mut self) {
        if !std::mem::replace(&mut self.visitor_told, true) {
            let record = self.call.record(clock::call_now());
            self.update(VisitorUpdate::Ended { code: record.cause.code(), talk_s: record.talk_ms / 1_000 });
        }
    }

    /// The record is kept; a call that ended at once tells its page only now.
    async fn keep_record(&mut self) {
        let record = self.call.record(clock::call_now());
        metric::count_with(Metric::CallsEnded, record.cause.code());
        if record.answered_unix_ms.is_some() {
            metric::time(Metric::CallWaitSeconds, Duration::from_millis(record.wait_ms));
            metric::time(Metric::CallTalkSeconds, Duration::from_millis(record.talk_ms));
        }
        self.tell_visitor_the_end();
        if let Err(error) = self.context.store.close_call(record).await {
            metric::count(Metric::RecordsLost);
            error!(%error, "the record of this call is not kept: check the store");
        }
    }
}
