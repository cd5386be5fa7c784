//! A gateway that does what the test says: it keeps what it was asked and lets the test speak for the call.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Mutex, atomic::AtomicBool, atomic::Ordering},
};

use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    time::timeout,
};

use super::PATIENCE;
use crate::{
    AgentLogin, AgentName, AgentRequest, AgentSession, AgentUpdate, Availability, Backend, BoxFuture, CallbackAsk,
    CallbackMade, CallbackMove, CallbackOffer, CallbackView, Health, HealthCheck, HoldAsk, HoldView, LadderCard,
    LadderList, LadderMessage, LadderQuery, LadderRow, LadderView, NoteView, QueueAsk, QueueDone, QueueView, Refusal,
    ReloadOutcome, ReloadView, SlotsAsk, SlotsView, Staff, StaffAct, StaffAsk, StaffList, StaffQuery, StaffView,
    TalkSession, TalkStart, VisitorRequest, VisitorUpdate, WebCounter, origin::Origins,
};

/// A visitor's call as the gateway holds it.
pub(super) struct FakeCall {
    pub(super) start: TalkStart,
    pub(super) requests: mpsc::Receiver<VisitorRequest>,
    pub(super) updates: mpsc::Sender<VisitorUpdate>,
}

/// An agent's session as the gateway holds it.
pub(super) struct FakeSeat {
    pub(super) requests: mpsc::Receiver<AgentRequest>,
    pub(super) updates: mpsc::Sender<AgentUpdate>,
}

pub(super) struct Fake {
    counts: Mutex<BTreeMap<WebCounter, usize>>,
    calls: (mpsc::Sender<FakeCall>, AsyncMutex<mpsc::Receiver<FakeCall>>),
    seats: (mpsc::Sender<FakeSeat>, AsyncMutex<mpsc::Receiver<FakeSeat>>),
    pub(super) ready: AtomicBool,
    pub(super) book: Mutex<Option<(CallbackAsk, CallbackView)>>,
    changes: tokio::sync::broadcast::Sender<String>,
    pub(super) held: Mutex<Vec<HoldAsk>>,
    pub(super) released: Mutex<Vec<String>>,
    pub(super) moved_with: Mutex<Option<String>>,
    pub(super) listed_with: Mutex<String>,
    /// What staff asked, in words.
    pub(super) staffed: Mutex<Vec<String>>,
}

/// The one call-back of the fake book; its key is `5ec7e7`.
fn callback_view(state: &'static str) -> CallbackView {
    CallbackView {
        id: "cb1".into(),
        tenant: "shop".into(),
        queue: "support".into(),
        state,
        detail: None,
        asap: true,
        promised_at: "2026-11-18T11:26:40+01:00".into(),
        due_at: None,
        tz: "Europe/Paris".into(),
        zone: "Europe/Paris".into(),
        number: "+33 6 ** ** ** 78".into(),
        attempts: Vec::new(),
        can_cancel: true,
        can_move: true,
        now: "2026-11-18T11:00:00+01:00".into(),
        wait: None,
        sequence: 1,
        promised_unix_ms: 1_795_000_000_000,
        is_over: false,
    }
}

/// The call of the fake ladder.
const CALL: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";

fn message_row() -> LadderRow {
    let message = LadderMessage {
        sent: false,
        transport: "udp",
        local: "192.0.2.1:5060".into(),
        remote: "192.0.2.2:5060".into(),
        label: "BYE".into(),
        call_id: Some("a b@host/1".into()),
        cseq: Some("2 BYE".into()),
        sdp: None,
        again: vec!["2026-11-18T10:00:01.5Z".into()],
        repeats: 1,
        text: "BYE sip:x SIP/2.0\r\n\r\n".into(),
        base64: None,
    };
    let at = "2026-11-18T10:00:01Z".into();
    LadderRow { at, message: Some(message), event: None, words: None, leg: None, who: None, refused: None }
}

impl Fake {
    pub(super) fn new() -> Self {
        let (calls, seats) = (mpsc::channel(100), mpsc::channel(100));
        Self {
            counts: Mutex::default(),
            calls: (calls.0, AsyncMutex::new(calls.1)),
            seats: (seats.0, AsyncMutex::new(seats.1)),
            ready: AtomicBool::new(true),
            book: Mutex::default(),
            changes: tokio::sync::broadcast::channel(16).0,
            held: Mutex::default(),
            released: Mutex::default(),
            moved_with: Mutex::default(),
            listed_with: Mutex::default(),
            staffed: Mutex::default(),
        }
    }

    pub(super) fn count_of(&self, counter: WebCounter) -> usize {
        self.counts.lock().unwrap().get(&counter).copied().unwrap_or_default()
    }

    fn note_staff(&self, what: String) {
        self.staffed.lock().unwrap().push(what);
    }

    fn staff_view(id: &str) -> Result<StaffView, Refusal> {
        let text = |text: &str| text.to_owned();
        if id != "cb1" {
            return Err(Refusal::new("not_found", 404));
        }
        Ok(StaffView {
            id: text(id),
            tenant: text("shop"),
            queue: text("support"),
            state: "scheduled",
            detail: None,
            number: text("+33 6 12 34 56 78"),
            asap: false,
            asked_at: text("2026-11-18T10:26:40+01:00"),
            promised_at: text("2026-11-18T11:26:40+01:00"),
            due_at: Some(text("2026-11-18T11:26:40+01:00")),
            zone: text("Europe/Paris"),
            tz: text("Europe/Paris"),
            lang: text("fr"),
            customer: None,
            priority: 0,
            purpose: "requested",
            owner: Some(text("1001")),
            agent: None,
            disposition: None,
            page_url: String::new(),
            page_title: String::new(),
            attempts: Vec::new(),
            notes: vec![NoteView {
                at: text("2026-11-18T10:30:00+01:00"),
                by: text("admin"),
                deed: "noted",
                text: text("rings twice"),
            }],
            can_cancel: true,
            can_change: true,
            can_complete: true,
            sequence: 2,
        })
    }

    fn view(&self, id: &str, key: &str) -> Result<CallbackView, Refusal> {
        let book = self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = book.as_ref().filter(|_| (id, key) == ("cb1", "5ec7e7"));
        known.map(|(_, view)| view.clone()).ok_or(Refusal::new("not_found", 404))
    }

    /// Something happens to the call-back.
    pub(super) fn change(&self, edit: impl FnOnce(&mut CallbackView)) {
        if let Some((_, view)) = self.book.lock().unwrap().as_mut() {
            edit(view);
            view.sequence += 1;
        }
        self.changes.send("cb1".into()).ok();
    }

    pub(super) async fn next_call(&self) -> FakeCall {
        timeout(PATIENCE, async { self.calls.1.lock().await.recv().await.unwrap() }).await.unwrap()
    }

    pub(super) async fn next_seat(&self) -> FakeSeat {
        timeout(PATIENCE, async { self.seats.1.lock().await.recv().await.unwrap() }).await.unwrap()
    }

    fn origins(tenant: &str) -> Option<Origins> {
        match tenant {
            "shop" => Origins::new(&["https://shop.fr", "https://www.shop.fr"]).ok(),
            "bank" => Origins::new(&["https://bank.fr"]).ok(),
            _ => None,
        }
    }
}

impl Backend for Fake {
    fn talk(&self, start: TalkStart) -> BoxFuture<'_, Result<TalkSession, Refusal>> {
        Box::pin(async move {
            match start.queue.as_str() {
                "nobody" => return Err(Refusal::new("no-agent", 503)),
                "broken" => panic!("a fault in the gateway, on purpose"),
                "endless" => pending().await,
                "slow" => tokio::time::sleep(std::time::Duration::from_millis(300)).await,
                _ => {}
            }
            let (requests, asked) = mpsc::channel(4);
            let (tell, updates) = mpsc::channel(4);
            let call = FakeCall { start, requests: asked, updates: tell };
            self.calls.0.send(call).await.unwrap();
            Ok(TalkSession { call: "c0ffee".into(), answer: "v=0 answer".into(), requests, updates })
        })
    }

    fn agent(&self, login: AgentLogin) -> BoxFuture<'_, Result<AgentSession, Refusal>> {
        Box::pin(async move {
            assert!(!format!("{login:?}").contains("secret"), "a password in a log");
            if (login.extension.as_str(), login.password.as_str()) != ("1001", "secret") {
                return Err(Refusal::new("login-refused", 401));
            }
            let (requests, asked) = mpsc::channel(4);
            let (tell, updates) = mpsc::channel(4);
            self.seats.0.send(FakeSeat { requests: asked, updates: tell }).await.unwrap();
            Ok(AgentSession { name: "Claire".into(), requests, updates })
        })
    }

    fn availability(&self, tenant: &str, queue: &str) -> Option<Availability> {
        let free = queue != "nobody";
        let found = Availability { talk_now: free, reason: (!free).then_some("no-agent") };
        self.queue_exists(tenant, queue).then_some(found)
    }

    fn callback_offer(&self, _: &str, queue: &str) -> CallbackOffer {
        let callback_reason = (queue == "paused").then_some("paused");
        CallbackOffer { callback: queue == "support", callback_reason, email: true, ..CallbackOffer::default() }
    }

    fn slots(&self, ask: SlotsAsk) -> BoxFuture<'_, Result<SlotsView, Refusal>> {
        let (tz, now) = (ask.tz, "2026-11-18T11:00:00+01:00".into());
        Box::pin(async move {
            *self.listed_with.lock().unwrap() = ask.hold;
            Ok(SlotsView { zone: "Europe/Paris".into(), tz, now, slots: Vec::new(), more_from: None })
        })
    }

    fn hold_seat(&self, ask: HoldAsk) -> BoxFuture<'_, Result<HoldView, Refusal>> {
        Box::pin(async move {
            let start = ask.start.clone();
            if start == "full" {
                return Err(Refusal::new("slot_gone", 409));
            }
            self.held.lock().unwrap().push(ask);
            let start = format!("{start}:00+01:00");
            Ok(HoldView { hold: "c1a1".into(), start, until: "2026-11-18T11:02:00+01:00".into(), held_s: 120 })
        })
    }

    fn release_seat(&self, hold: String) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            self.released.lock().unwrap().push(hold);
            Ok(())
        })
    }

    fn ask_callback(&self, ask: CallbackAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>> {
        Box::pin(async move {
            let mut book = self.book.lock().unwrap();
            if ask.number == "112" {
                return Err(Refusal::new("number_not_dialable", 422));
            }
            let again = book.as_ref().is_some_and(|(before, _)| before.request_key == ask.request_key);
            if !again {
                *book = Some((ask, callback_view("scheduled")));
            }
            let (kept, view) = book.clone().unwrap();
            Ok(CallbackMade { manage: "5ec7e7".into(), again, number: kept.number, view })
        })
    }

    fn callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move { self.view(&id, &key) })
    }

    fn move_callback(&self, id: String, key: String, to: CallbackMove) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move {
            self.view(&id, &key)?;
            *self.moved_with.lock().unwrap() = to.hold;
            self.change(|view| view.promised_at = format!("{}:00+01:00", to.when));
            self.view(&id, &key)
        })
    }

    fn cancel_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move {
            self.view(&id, &key)?;
            self.change(|view| (view.state, view.is_over) = ("cancelled", true));
            self.view(&id, &key)
        })
    }

    fn disown_callback(&self, id: String, key: String) -> BoxFuture<'_, Result<CallbackView, Refusal>> {
        Box::pin(async move {
            self.view(&id, &key)?;
            self.change(|view| (view.state, view.detail, view.is_over) = ("cancelled", Some("recipient"), true));
            self.view(&id, &key)
        })
    }

    fn agent_name(&self, login: AgentLogin) -> BoxFuture<'_, Result<String, Refusal>> {
        Box::pin(async move {
            let good = (login.extension.as_str(), login.password.as_str()) == ("1001", "secret");
            good.then(|| "Claire".into()).ok_or(Refusal::new("login-refused", 401))
        })
    }

    fn is_admin(&self, token: &str) -> bool {
        token == "the-administrators-token"
    }

    fn staff_list(&self, who: Staff, query: StaffQuery) -> BoxFuture<'_, Result<StaffList, Refusal>> {
        Box::pin(async move {
            self.note_staff(format!(
                "list {} {} {} {}{}",
                who.name(),
                query.tenant,
                query.queue,
                query.limit,
                query.from
            ));
            let agents = vec![AgentName { extension: "1001".into(), name: "Claire".into() }];
            let (tenant, id, paused_note) = ("shop".into(), "support".into(), Some("admin: meeting".into()));
            let queue = QueueView { tenant, id, paused: true, paused_note, agents, open: 1 };
            let (callbacks, now) = (vec![Self::staff_view("cb1")?], "2026-11-18T11:00:00+01:00".into());
            Ok(StaffList { callbacks, more: false, next: None, queues: vec![queue], now })
        })
    }

    fn staff_show(&self, who: Staff, id: String) -> BoxFuture<'_, Result<StaffView, Refusal>> {
        Box::pin(async move {
            self.note_staff(format!("show {} {id}", who.name()));
            Self::staff_view(&id)
        })
    }

    fn staff_make(&self, who: Staff, ask: StaffAsk) -> BoxFuture<'_, Result<CallbackMade, Refusal>> {
        Box::pin(async move {
            if ask.number == "taken" {
                return Err(Refusal::new("duplicate_open", 409));
            }
            self.note_staff(format!("make {} {ask:?}", who.name()));
            let view = callback_view("scheduled");
            Ok(CallbackMade { manage: "5ec7e7".into(), again: false, number: ask.number, view })
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
            self.note_staff(format!("{} {id} {act:?} {note}", who.name()));
            Self::staff_view(&id)
        })
    }

    fn staff_queue(&self, who: Staff, ask: QueueAsk) -> BoxFuture<'_, Result<QueueDone, Refusal>> {
        Box::pin(async move {
            self.note_staff(format!("{} {:?} {} dry={}", who.name(), ask.act, ask.queue, ask.dry_run));
            let next = Some("1.2".into());
            Ok(QueueDone { tenant: "shop".into(), queue: ask.queue, paused: false, touched: 3, left_alone: 1, next })
        })
    }

    fn ladders(&self, query: LadderQuery) -> BoxFuture<'_, Result<LadderList, Refusal>> {
        Box::pin(async move {
            self.note_staff(format!("ladders {} {}", query.limit, query.all));
            let card = LadderCard {
                call: Some(CALL.into()),
                call_ids: vec![format!("{CALL}-1")],
                began: "2026-11-18T10:00:00.000001Z".into(),
                last: "2026-11-18T10:00:09Z".into(),
                peers: vec!["pbx".into()],
                first: "INVITE".into(),
                outcome: Some("486 Busy Here".into()),
                messages: 4,
            };
            Ok(LadderList { ladders: vec![card], bytes: 4_096, dropped_ladders: 0, dropped_lines: 0, lost: 1 })
        })
    }

    fn ladder(&self, name: String) -> BoxFuture<'_, Result<LadderView, Refusal>> {
        Box::pin(async move {
            match name.as_str() {
                "a b@host/1" => Ok(LadderView { rows: vec![message_row()], ..LadderView::default() }),
                "c0" => Err(crate::refusal::LADDER_AMBIGUOUS),
                _ => Err(crate::refusal::LADDER_UNKNOWN),
            }
        })
    }

    fn refused_messages(&self) -> BoxFuture<'_, Result<LadderView, Refusal>> {
        Box::pin(async move {
            let row = LadderRow { refused: Some("no-dialog".into()), ..message_row() };
            Ok(LadderView { rows: vec![row], ..LadderView::default() })
        })
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<'_, Result<ReloadView, Refusal>> {
        Box::pin(async move {
            let outcome = if dry_run { ReloadOutcome::DryRun } else { ReloadOutcome::Applied };
            Ok(ReloadView { outcome, changes: vec!["+ trunk \"b\"".to_owned()], why: String::new() })
        })
    }

    fn callback_changes(&self) -> tokio::sync::broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    fn origin_allowed(&self, tenant: &str, origin: &str) -> bool {
        Self::origins(tenant).is_some_and(|list| list.allows(origin))
    }

    fn origin_known(&self, origin: &str) -> bool {
        ["shop", "bank"].iter().any(|tenant| self.origin_allowed(tenant, origin))
    }

    fn queue_exists(&self, tenant: &str, queue: &str) -> bool {
        tenant == "shop" && ["support", "nobody", "paused", "broken", "endless", "slow"].contains(&queue)
    }

    fn healthz(&self) -> Health {
        Health { ok: true, checks: vec![HealthCheck { name: "media".into(), ok: true, detail: "probe heard".into() }] }
    }

    fn readyz(&self) -> Health {
        let ok = self.ready.load(Ordering::Relaxed);
        Health { ok, checks: vec![HealthCheck { name: "store".into(), ok, detail: "opening".into() }] }
    }

    fn metrics(&self) -> String {
        "passerelle_calls_total 3\n".into()
    }

    fn count(&self, counter: WebCounter) {
        if let WebCounter::Refused(_, code) = counter {
            // The other two are said to nobody: there is no request yet.
            let told = !["accept-failed", "too-many-connections"].contains(&code);
            assert!(!told || crate::sentence::is_known(code), "{code} has no sentence");
        }
        *self.counts.lock().unwrap().entry(counter).or_default() += 1;
    }
}
