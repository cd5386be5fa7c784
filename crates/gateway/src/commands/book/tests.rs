//! A book in a file to read from, written as a gateway would have.

use std::future::Future;
use std::sync::Arc;

use call::{
    CallId, CallRecord, CallTags, HangupCause, LegId, LegQuality, LegRecord, Party, QueueId, TagsDraft, TrunkId,
};
use desk::{Callback, Outcome, RetryRules, Wanted, Wish, Zone};
use store::{Change, Memory, NewCallback};
use tokio::runtime::Runtime;

use super::*;

pub(crate) const T0: u64 = 1_767_225_600_000;

pub(crate) struct Book {
    pub(crate) home: Arc<dyn Home>,
    runtime: Runtime,
}

/// Which of the book's call-backs.
pub(crate) type Id = CallbackId;

impl Book {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { home: Arc::new(Memory::default()), runtime }
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Asked for, as soon as possible.
    pub(crate) fn asked(&self, number: u32, asked_unix_ms: u64) -> Id {
        self.add(number, asked_unix_ms, None)
    }

    /// Asked for a moment.
    pub(crate) fn later(&self, number: u32, asked_unix_ms: u64, promised_unix_ms: u64) -> Id {
        self.add(number, asked_unix_ms, Some(promised_unix_ms))
    }

    fn add(&self, number: u32, asked_unix_ms: u64, promised: Option<u64>) -> Id {
        let wish = Wish {
            number: format!("+336{number:08}"),
            promised_unix_ms: promised.unwrap_or(asked_unix_ms),
            wanted: promised.and_then(|at| Wanted::at(at, &Zone::named("UTC").unwrap())),
            zone: "UTC".to_owned(),
            consent: None,
            email: None,
            asked_unix_ms,
            priority: 0,
            told: None,
            customer: None,
            tags: tags(),
        };
        let callback = Callback::new(CallbackId::new(number.into()), wish);
        let new = NewCallback { callback, manage: 1, request_key: None, seat: None };
        self.wait(self.home.add_callback(new)).unwrap();
        CallbackId::new(number.into())
    }

    pub(crate) fn kept(&self, id: Id) -> KeptCallback {
        self.wait(self.home.callback(id)).unwrap().unwrap()
    }

    pub(crate) fn changed(&self, id: Id, edit: impl FnOnce(&mut Callback)) {
        let kept = self.kept(id);
        let mut callback = kept.callback;
        edit(&mut callback);
        self.wait(self.home.change_callback(Change { callback, version: kept.version, held: false })).unwrap();
    }

    /// The agent rings at a moment, takes it 3 s later, the customer 4 s after that; they talk so long.
    pub(crate) fn reached(&self, id: Id, at: u64, agent: &str, talk_ms: u64) {
        self.tried(id, at, agent, Outcome::Reached);
        let answered = at + 7_000;
        self.record(id, (at, Some(answered), answered + talk_ms), agent_first(agent, "+33600000001"));
    }

    /// The same, and the customer does not talk: 20 s after the agent took it the call is over.
    pub(crate) fn in_vain(&self, id: Id, at: u64, agent: &str, outcome: Outcome) {
        self.tried(id, at, agent, outcome);
        self.record(id, (at, None, at + 23_000), agent_first(agent, "+33600000001"));
    }

    pub(crate) fn tried(&self, id: Id, at: u64, agent: &str, outcome: Outcome) {
        let rules = RetryRules::default();
        self.changed(id, |callback| {
            callback.come_due(at, &rules).unwrap();
            callback.offer(agent).unwrap();
            callback.dial(call_of(id, at), at + 3_000, desk::AttemptLegs::default()).unwrap();
            if outcome == Outcome::Reached {
                callback.connect("1001").unwrap();
            }
            callback.end_attempt(outcome, at + 23_000, &rules, Some).unwrap();
        });
    }

    /// The record of a try.
    pub(crate) fn record(&self, id: Id, (started, answered, ended): (u64, Option<u64>, u64), legs: Vec<LegKind>) {
        let record = CallRecord {
            id: call_of(id, started),
            tenant: TenantId("shop".to_owned()),
            queue: QueueId("support".to_owned()),
            tags: tags(),
            started_unix_ms: started,
            ringing_unix_ms: Some(started),
            answered_unix_ms: answered,
            ended_unix_ms: ended,
            wait_ms: answered.unwrap_or(ended) - started,
            talk_ms: answered.map_or(0, |answered| ended - answered),
            hung_up_by: Party::Agent,
            cause: HangupCause::Normal,
            legs: (0_u8..).zip(legs).map(|(leg, kind)| leg_record(LegId(leg), kind)).collect(),
            interrupted: false,
        };
        self.wait(self.home.close_call(record)).unwrap();
    }
}

fn leg_record(id: LegId, kind: LegKind) -> LegRecord {
    LegRecord { id, kind, codec: None, quality: LegQuality::default(), cause: None, talked: None }
}

fn call_of(id: Id, at: u64) -> CallId {
    CallId::new(id.bits() << 64 | u128::from(at))
}

fn trunk(uri: &str) -> LegKind {
    LegKind::Trunk { trunk: TrunkId("pbx".to_owned()), uri: uri.to_owned() }
}

pub(crate) fn agent_first(agent: &str, number: &str) -> Vec<LegKind> {
    vec![LegKind::Agent { extension: agent.to_owned() }, trunk(number)]
}

fn tags() -> CallTags {
    CallTags::new(TagsDraft {
        tag: [7; 16],
        tenant: TenantId("shop".to_owned()),
        queue: QueueId("support".to_owned()),
        session: "s".to_owned(),
        page_url: String::new(),
        page_title: String::new(),
        referrer: None,
        language: "fr".to_owned(),
        made_at_unix_ms: T0,
    })
}

#[test]
fn a_long_book_is_read_once_each_also_where_many_asked_in_one_moment() {
    let book = Book::new();
    let count = 2 * PAGE + 30;
    for number in 0..count {
        // The first page ends among forty who asked in the same millisecond.
        let moment = if (PAGE - 20..PAGE + 20).contains(&number) { PAGE - 20 } else { number };
        book.asked(u32::try_from(number).unwrap(), T0 + u64::try_from(moment).unwrap());
    }
    let read = |since, before| {
        let mut pages = Pages::new(&*book.home, Some("shop"), since, before);
        let mut found = Vec::new();
        while let Some(page) = book.wait(pages.next()).unwrap() {
            found.extend(page.into_iter().map(|kept| kept.callback.id().bits()));
        }
        assert!(!pages.is_cut());
        found
    };
    let mut all = read(T0, u64::MAX);
    all.sort_unstable();
    assert!(all.into_iter().eq(0..u128::try_from(count).unwrap()));
    assert_eq!(read(T0 + 5, T0 + 8), [7, 6, 5]);
    assert!(read(0, T0).is_empty());
}

#[test]
fn who_waited_for_whom_is_told_by_who_was_rung_first() {
    let book = Book::new();
    let tried = |id| {
        let kept = book.kept(id);
        let tried = book.wait(Tried::read(&*book.home, &kept, &kept.callback.attempts()[0])).unwrap();
        tried.map(|tried| (tried.connected_unix_ms(), tried.agent_ms(), tried.agent_waited_ms()))
    };
    let agent_waits = book.asked(1, T0);
    book.reached(agent_waits, T0, "1001", 60_000);
    assert_eq!(tried(agent_waits), Some((Some(T0 + 7_000), 67_000, 4_000)));
    let in_vain = book.asked(2, T0);
    book.in_vain(in_vain, T0, "1001", Outcome::NoAnswer);
    assert_eq!(tried(in_vain), Some((None, 23_000, 20_000)));
    // The customer's leg is the first, written as this trunk wants it.
    let customer_waits = book.asked(12_345_678, T0);
    book.tried(customer_waits, T0, "600", Outcome::Reached);
    let legs = vec![trunk("0612345678"), trunk("600")];
    book.record(customer_waits, (T0, Some(T0 + 9_000), T0 + 69_000), legs);
    assert_eq!(tried(customer_waits), Some((Some(T0 + 9_000), 60_000, 0)));
    let unknown = book.asked(4, T0);
    book.tried(unknown, T0, "1001", Outcome::InDoubt);
    assert_eq!(tried(unknown), None);
}
