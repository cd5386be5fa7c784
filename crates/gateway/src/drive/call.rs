//! The call task: one per call, owns its `Call`, carries its orders to the legs and their events back.
//!
//! ```text
//! page ─────► VisitorRequest ┐                        ┌ LegCommand ────► SIP driver, page, agent's page
//! SIP driver ► SipNotice ────┼─► LegEvent ► Call ─────┤
//! worker ────► MediaNotice ──┘      (one table)       └ BridgeCommand ─► media worker
//! ```

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use call::{
    BridgeEvent, Call, CallCommand, CallEvent, CallId, CallRecord, CallSpec, CallTags, HangupCause, LegEvent, LegId,
    Party,
};
use media::bridge::Side;
use media::codec::CodecKind;
use media::sdp;
use store::{OpenCall, Store};
use tokio::sync::mpsc;
use tracing::{Instrument, debug, error, info, info_span, warn};
use web::backend::{AgentUpdate, VisitorRequest, VisitorUpdate};

use crate::clock;
use crate::config::checked::{Seat, Trunk};
use crate::drive::calls::{CallEntry, Calls};
use crate::drive::console::{self, ConsoleAction, Consoles};
use crate::drive::desk::DeskHandle;
use crate::drive::media::session::index;
use crate::drive::media::{BridgeOrder, MediaError, MediaHandle, MediaNotice, MediaSession};
use crate::drive::sip::driver::sleep_until;
use crate::drive::sip::{Incoming, LegSink, SipHandle, SipLeg, SipNotice};
use crate::net::addresses;
use crate::observe::metric::{self, Metric};

pub(crate) mod legs;
mod orders;

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
    pub(crate) store: Arc<dyn Store>,
    pub(crate) calls: Calls,
    pub(crate) consoles: Consoles,
    pub(crate) config: Arc<CallConfig>,
}

/// The part of the configuration calls read.
#[derive(Debug)]
pub(crate) struct CallConfig {
    /// Address written into SDP; else the one that faces the peer.
    pub(crate) sdp_ip: Option<IpAddr>,
    pub(crate) trunks: Vec<Trunk>,
    /// Codecs for agents' own phones.
    pub(crate) agent_codecs: Vec<CodecKind>,
    /// Which seats the queue rings.
    pub(crate) seats: Vec<(String, Seat)>,
    /// Key of the tag's MAC, per tenant.
    pub(crate) tag_keys: Vec<(String, Vec<u8>)>,
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
        .browser(Side::A, offer, vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma])
        .await?;
    tokio::spawn(forward_requests(visitor.requests, inbox_in.clone()));
    let first = First { io: LegIo::Visitor { updates: visitor.updates }, caller: None };
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
    let first = First { io: LegIo::Phone(Box::new(phone)), caller: Some(caller) };
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
    let agents: Vec<String> = spec.second.iter().filter_map(|leg| leg.kind.extension().map(str::to_owned)).collect();
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
    /// The candidate that holds side B.
    second: Option<LegId>,
    inbox_in: mpsc::Sender<CallInput>,
    sip_legs: SipLegs,
    visitor_told: bool,
    /// The page's socket is gone, and with it any way to mend the sound.
    page_lost: bool,
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
            second: None,
            inbox_in,
            sip_legs,
            visitor_told: false,
            page_lost: false,
            lost_at: [None; 2],
            over: false,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<CallInput>, opened: OpenCall) {
        info!(tag = %self.tags.tag_hex(), "call starts");
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
        self.call.handle_leg(leg, event, clock::call_now());
    }

    fn io(&mut self, leg: LegId) -> &mut LegIo {
        let at = usize::from(leg.0).min(self.legs.len() - 1);
        &mut self.legs[at]
    }

    fn side(leg: LegId) -> Side {
        if leg == LegId::FIRST { Side::A } else { Side::B }
    }

    fn leg_of(&self, side: Side) -> Option<LegId> {
        match side {
            Side::A => Some(LegId::FIRST),
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

    // ---- what comes in ----

    async fn handle(&mut self, input: CallInput) {
        match input {
            CallInput::Media(notice) => self.handle_media(notice),
            CallInput::Sip(leg, notice) => self.handle_sip(leg, notice),
            CallInput::Visitor(request) => self.handle_visitor(request).await,
            CallInput::VisitorGone => self.handle_visitor_gone(),
            CallInput::Console { extension, page, action } => self.handle_console(&extension, page, action).await,
            CallInput::Withdraw(leg) => self.call.withdraw(leg),
            CallInput::HangUp(by, cause) => self.call.hang_up(by, cause, clock::call_now()),
        }
    }

    fn handle_media(&mut self, notice: MediaNotice) {
        let (side, event) = match notice {
            MediaNotice::Connected(side) => (side, LegEvent::MediaUp),
            MediaNotice::ConsentLost(side) => {
                self.lost_at[index(side)] = Some(clock::now() + UNHEARD);
                return self.tell_lost_sound();
            }
            MediaNotice::ConsentBack(side) => {
                self.lost_at[index(side)] = None;
                (side, LegEvent::MediaBack)
            }
            MediaNotice::Closed(side) => (side, LegEvent::Gone { cause: self.end_cause() }),
            MediaNotice::Failed(side, why) => {
                warn!(?side, why, "browser media failed");
                (side, LegEvent::Gone { cause: HangupCause::MediaFailed })
            }
            MediaNotice::Digit(side, digit) => match call::Digit::new(digit.as_char()) {
                // The bridge has sent it on as telephone-event; the call tells the page.
                Some(digit) => (side, LegEvent::Digit(digit)),
                None => return,
            },
            MediaNotice::FirstPacket(side) => {
                debug!(?side, "first rtp packet");
                return;
            }
            MediaNotice::PlayDone => return,
            MediaNotice::Bug => {
                self.session = None;
                self.call.handle_bridge(BridgeEvent::Failed, clock::call_now());
                return;
            }
        };
        if let Some(leg) = self.leg_of(side) {
            self.tell_call(leg, event);
        }
    }

    /// A browser that is not heard may come back: its page notices and starts ICE anew. It counts as lost when consent
    /// has run out (RFC 7675 §5.1), or when its page is gone as well.
    fn tell_lost_sound(&mut self) {
        let now = clock::now();
        for side in [Side::A, Side::B] {
            let gone = self.page_lost && side == Side::A;
            if self.lost_at[index(side)].take_if(|at| gone || *at <= now).is_some()
                && let Some(leg) = self.leg_of(side)
            {
                info!(?side, "the browser is not heard any more");
                self.tell_call(leg, LegEvent::MediaLost);
            }
        }
    }

    /// What a good-bye means now: before the answer it is giving up.
    fn end_cause(&self) -> HangupCause {
        match self.call.state() {
            call::State::New
            | call::State::Opening
            | call::State::Ringing
            | call::State::RingingFirst
            | call::State::RingingSecond => HangupCause::Cancelled,
            call::State::Bridged | call::State::Held | call::State::Ending | call::State::Ended => HangupCause::Normal,
        }
    }

    fn handle_sip(&mut self, leg: LegId, notice: SipNotice) {
        let current = leg == LegId::FIRST || self.second == Some(leg);
        match notice {
            // A candidate passed over may still ring or answer while its CANCEL travels: its sound must not reach the
            // side that the next candidate holds. The driver ends it; its last word is taken below.
            SipNotice::Progress { .. }
            | SipNotice::Answered { .. }
            | SipNotice::Reoffered { .. }
            | SipNotice::Info { .. }
            | SipNotice::Confirmed { .. }
                if !current =>
            {
                debug!(leg = %leg, "news of a candidate passed over");
            }
            SipNotice::Progress { sdp, remote } => {
                let early = sdp.is_some_and(|sdp| self.phone_answer(leg, &sdp, remote));
                self.tell_call(leg, if early { LegEvent::EarlyMedia } else { LegEvent::Ringing });
            }
            SipNotice::Answered { sdp, remote } => self.phone_answered(leg, sdp, remote),
            SipNotice::Refused { cause, status, phrase } => {
                info!(leg = %leg, status, cause = cause.code(), "leg refused");
                debug!(leg = %leg, phrase, "in the far end's words");
                let ordered = self.io(leg).was_ended();
                self.tell_call(leg, if ordered { LegEvent::Ended } else { LegEvent::Refused(cause) });
            }
            SipNotice::Reoffered { sdp } => self.phone_reoffered(leg, sdp),
            SipNotice::Info { content_type, body } => {
                if let Some(digit) = legs::info_digit(&content_type, &body) {
                    self.digit_from(leg, digit);
                }
            }
            SipNotice::Confirmed { sdp } => {
                if let (Some(sdp), LegIo::Phone(phone)) = (sdp, self.io(leg)) {
                    let (held, remote) = (phone.held, phone.remote);
                    self.phone_answer(leg, &sdp, remote);
                    self.tell_hold(leg, held);
                }
            }
            SipNotice::Ended { cause, by_peer } => {
                debug!(leg = %leg, cause = cause.code(), by_peer, "sip leg ended");
                let ordered = self.io(leg).was_ended();
                let cause = if cause == HangupCause::Normal { self.end_cause() } else { cause };
                self.tell_call(leg, if ordered { LegEvent::Ended } else { LegEvent::Gone { cause } });
            }
        }
    }

    /// Takes an SDP answer into use; false when it says nothing usable.
    fn phone_answer(&mut self, leg: LegId, answer: &[u8], remote: IpAddr) -> bool {
        let sdp_ip = self.context.config.sdp_ip;
        let LegIo::Phone(phone) = self.io(leg) else { return false };
        let text = String::from_utf8_lossy(answer);
        match sdp::accept_answer(&phone.sdp, &text) {
            Ok(negotiated) => {
                phone.remote = remote;
                phone.sdp.address = facing(sdp_ip, remote);
                phone.held = negotiated.held_by_peer;
                phone.agreed = true;
                self.negotiated(leg, negotiated, remote);
                true
            }
            Err(error) => {
                warn!(leg = %leg, %error, "sdp answer not usable");
                metric::count(Metric::SdpRefused);
                false
            }
        }
    }

    fn negotiated(&mut self, leg: LegId, negotiated: sdp::Negotiated, remote: IpAddr) {
        let codec = negotiated.plan.codec.name().to_owned();
        if let Some(session) = &self.session
            && let Err(error) = session.negotiated(Self::side(leg), negotiated, Some(remote))
        {
            warn!(%error, "media order not carried out");
        }
        self.tell_call(leg, LegEvent::Codec(codec));
    }

    fn phone_answered(&mut self, leg: LegId, sdp: Option<Vec<u8>>, remote: IpAddr) {
        let usable = match sdp {
            Some(sdp) => self.phone_answer(leg, &sdp, remote),
            // The 183 carried the answer; a 200 need not say it again (RFC 3261 §13.2.1).
            None => matches!(self.io(leg), LegIo::Phone(phone) if phone.agreed),
        };
        if usable {
            self.tell_call(leg, LegEvent::Answered);
        } else {
            if let LegIo::Phone(phone) = self.io(leg)
                && let Some(sip_leg) = phone.end()
            {
                self.context.sip.hang_up(sip_leg, HangupCause::IncompatibleMedia);
            }
            self.tell_call(leg, LegEvent::Refused(HangupCause::IncompatibleMedia));
        }
    }

    /// Hold, resume, a new address or codec from the far end (RFC 3264 §8).
    fn phone_reoffered(&mut self, leg: LegId, offer: Option<Vec<u8>>) {
        let LegIo::Phone(phone) = self.io(leg) else { return };
        let (Some(sip_leg), remote) = (phone.leg, phone.remote) else { return };
        phone.sdp.version += 1;
        let Some(offer) = offer else {
            // Offerless: our own description is the offer, the answer comes in the ACK (RFC 3261 §14.2).
            let own = sdp::offer(&phone.sdp).into_bytes();
            self.context.sip.accept(sip_leg, own);
            return;
        };
        match sdp::answer(&phone.sdp, &String::from_utf8_lossy(&offer)) {
            Ok((answer, negotiated)) => {
                let before = std::mem::replace(&mut phone.held, negotiated.held_by_peer);
                self.context.sip.accept(sip_leg, answer.into_bytes());
                self.negotiated(leg, negotiated, remote);
                self.tell_hold(leg, before);
            }
            Err(error) => {
                phone.sdp.version -= 1;
                warn!(leg = %leg, %error, "re-offer not usable; the session stays as it was");
                metric::count(Metric::SdpRefused);
                self.context.sip.refuse(sip_leg, 488);
            }
        }
    }

    /// Tells the call when a phone holds it now and did not before, or the other way round.
    fn tell_hold(&mut self, leg: LegId, before: bool) {
        if let LegIo::Phone(phone) = self.io(leg) {
            let held = phone.held;
            if held != before {
                info!(leg = %leg, held, "hold changed by the far end");
                self.tell_call(leg, LegEvent::Held(held));
            }
        }
    }

    async fn handle_visitor(&mut self, request: VisitorRequest) {
        match request {
            VisitorRequest::Bye => {
                let cause = self.end_cause();
                self.call.hang_up(Party::Visitor, cause, clock::call_now());
            }
            VisitorRequest::Reoffer(offer) => {
                let Some(session) = &self.session else { return };
                match session.reoffer(Side::A, offer).await {
                    Ok(answer) => self.update(VisitorUpdate::Reanswer(answer)),
                    Err(error) => {
                        warn!(%error, "the page's new offer was refused");
                        self.update(VisitorUpdate::Refused(web::backend::Refusal::new("offer-invalid", 488)));
                    }
                }
            }
            VisitorRequest::Digits(digits) => {
                for digit in digits.chars().filter_map(call::Digit::new) {
                    self.digit_from(LegId::FIRST, digit);
                }
            }
            VisitorRequest::Mute(on) => debug!(on, "visitor mutes"),
            VisitorRequest::Page { url, title } => self.context.desk.page(self.id, url, title).await,
        }
    }

    /// The socket is lost, the sound perhaps not: once they talk, consent decides (RFC 7675).
    fn handle_visitor_gone(&mut self) {
        self.page_lost = true;
        self.tell_lost_sound();
        match self.call.state() {
            call::State::Bridged | call::State::Held => {
                info!("the page's socket is lost; the call goes on while its sound does")
            }
            call::State::New
            | call::State::Opening
            | call::State::Ringing
            | call::State::RingingFirst
            | call::State::RingingSecond => {
                self.call.hang_up(Party::Visitor, HangupCause::SocketLost, clock::call_now());
            }
            call::State::Ending | call::State::Ended => {}
        }
    }

    /// A digit that did not come as telephone-event: it is sent on as such, and shown.
    fn digit_from(&mut self, leg: LegId, digit: call::Digit) {
        let to = Self::side(leg).other();
        if let Some(event) = media::dtmf::Digit::from_char(digit.key()) {
            self.bridge(BridgeOrder::Digit(to, event));
        }
        self.tell_call(leg, LegEvent::Digit(digit));
    }

    async fn handle_console(&mut self, extension: &str, page: u64, action: ConsoleAction) {
        let rings_here = |io: &LegIo| io.is_console_of(extension, page);
        let Some(leg) = self.legs.iter().position(rings_here).and_then(|at| u8::try_from(at).ok()).map(LegId) else {
            // Over, with somebody else, or on another page of the same agent: nothing of it is this page's any more.
            if let ConsoleAction::Answer { updates, .. } = action {
                let refusal = web::backend::Refusal::new("answered-elsewhere", 409);
                let _page_gone = updates.try_send(AgentUpdate::Refused { call: Some(self.id.to_string()), refusal });
            }
            return;
        };
        match action {
            ConsoleAction::Answer { offer, updates } => {
                *self.io(leg) = LegIo::Console { extension: extension.to_owned(), taken_by: Some(page) };
                self.console_answers(leg, offer, updates).await;
            }
            ConsoleAction::Decline => {
                self.console_over(leg, HangupCause::Refused);
                self.tell_call(leg, LegEvent::Refused(HangupCause::Refused));
            }
            ConsoleAction::Bye => {
                let cause = self.end_cause();
                self.console_over(leg, cause);
                self.tell_call(leg, LegEvent::Gone { cause });
            }
            ConsoleAction::Gone => self.console_gone(leg),
            ConsoleAction::Ready { updates } => {
                let card = console::ringing_card(self.id, &self.tags, clock::unix_ms());
                let _page_gone = updates.try_send(AgentUpdate::Ring(card));
            }
        }
    }

    fn console_gone(&mut self, leg: LegId) {
        self.console_over(leg, HangupCause::SocketLost);
        self.tell_call(leg, LegEvent::Gone { cause: HangupCause::SocketLost });
    }

    async fn console_answers(&mut self, leg: LegId, offer: String, updates: mpsc::Sender<AgentUpdate>) {
        let Some(session) = &self.session else { return };
        let call = self.id.to_string();
        match session
            .browser(Side::B, offer, vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma])
            .await
        {
            Ok(sdp) => {
                if updates.try_send(AgentUpdate::Media { call, sdp }).is_ok() {
                    self.tell_call(leg, LegEvent::Codec(CodecKind::Opus.name().to_owned()));
                    self.tell_call(leg, LegEvent::Answered);
                } else {
                    // A page that does not hear the answer will never bring any sound.
                    metric::count(Metric::ConsoleUpdatesLost);
                    self.console_gone(leg);
                }
            }
            Err(error) => {
                warn!(%error, "the agent's offer was refused");
                self.console_over(leg, HangupCause::IncompatibleMedia);
                self.tell_call(leg, LegEvent::Refused(HangupCause::IncompatibleMedia));
            }
        }
    }

    /// The agent's pages stop ringing or talking.
    fn console_over(&mut self, leg: LegId, cause: HangupCause) {
        let call = self.id.to_string();
        if let LegIo::Console { extension, .. } = self.io(leg) {
            let extension = std::mem::take(extension);
            *self.io(leg) = LegIo::None;
            self.context.consoles.tell_all(&extension, &AgentUpdate::Ended { call, code: cause.code() });
        }
    }

    // ---- what the call says ----

    async fn pass_on(&mut self, event: CallEvent) {
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
            CallEvent::Trying { .. } | CallEvent::Ringing { .. } | CallEvent::Held { .. } | CallEvent::Digit { .. } => {
            }
        }
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

/// Our address as a peer sees it.
fn facing(sdp_ip: Option<IpAddr>, remote: IpAddr) -> IpAddr {
    sdp_ip.unwrap_or_else(|| addresses::local_towards((remote, 9).into()))
}
