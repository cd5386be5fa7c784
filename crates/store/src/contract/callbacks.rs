//! The contract of the call-back book.

use std::time::Duration;

use call::CallId;
use desk::{
    AttemptLegs, Callback, CallbackId, CallbackState, CancelledBy, Consent, Outcome, RetryRules, Taken, Wanted, Wish,
    Zone,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::seats::{claim, every_seat, hold};
use super::{Home, on_every_home, record};
use crate::{
    Added, Arc, CallbackQuery, Change, Changed, HoldId, KeptCallback, LAST_TO, Lease, Memory, NewCallback, NodeId,
    SeatQuery,
};

const A: NodeId = NodeId(1 << 64 | 0xa);
const B: NodeId = NodeId(2 << 64 | 0xb);
/// The first, started again.
const A_AGAIN: NodeId = NodeId(1 << 64 | 0xaa);
const HOLD: Duration = Duration::from_secs(15);

/// A call-back with every field filled, promised for this moment.
pub(crate) fn callback(id: u128, promised_unix_ms: u64) -> Callback {
    let tags = record(id, 1_000 + id as u64).tags;
    let paris = Zone::named("Europe/Paris").unwrap();
    let wish = Wish {
        number: format!("+336{id:08}"),
        promised_unix_ms,
        wanted: Wanted::at(promised_unix_ms, &paris),
        zone: "Europe/Paris".to_owned(),
        consent: Some(Consent { text_id: "callback-v1".to_owned(), version: "1".to_owned(), at_unix_ms: 900 }),
        email: "claire@mail.example".parse().ok(),
        asked_unix_ms: 1_000 + id as u64,
        priority: 2,
        told: Some(desk::Wait { p50: Duration::from_secs(60), p90: Duration::from_secs(240) }),
        customer: Some("c-42".to_owned()),
        tags,
    };
    Callback::new(CallbackId::new(id), wish)
}

/// To be kept, without a request key.
pub(crate) fn new_callback(id: u128, promised_unix_ms: u64) -> NewCallback {
    NewCallback { callback: callback(id, promised_unix_ms), manage: id << 8, request_key: None, seat: None }
}

/// The same, to this number.
pub(crate) fn of_number(new: NewCallback, number: &str) -> NewCallback {
    let parts = new.callback.parts().clone();
    let wish = Wish { number: number.to_owned(), ..parts.wish.clone() };
    NewCallback { callback: Callback::from_parts(desk::CallbackParts { wish, ..parts }), ..new }
}

async fn add(home: &Arc<dyn Home>, id: u128, promised_unix_ms: u64) -> KeptCallback {
    let added = home.add_callback(new_callback(id, promised_unix_ms)).await.unwrap();
    let Added::New(kept) = added else { panic!("{added:?}") };
    kept
}

/// Changes the newest version.
async fn change(home: &Arc<dyn Home>, kept: &KeptCallback, held: bool, edit: impl Fn(&mut Callback)) -> KeptCallback {
    let mut callback = kept.callback.clone();
    edit(&mut callback);
    let changed = home.change_callback(Change { callback, version: kept.version, held }).await.unwrap();
    let Changed::Done(kept) = changed else { panic!("{changed:?}") };
    kept
}

fn ids(kept: &[KeptCallback]) -> Vec<u128> {
    kept.iter().map(|kept| kept.callback.id().bits()).collect()
}

async fn lease(home: &Arc<dyn Home>, node: NodeId, now: u64) -> Vec<u128> {
    ids(&home.lease_callbacks(node, now, HOLD, 100).await.unwrap())
}

/// When the next one must be looked at.
async fn next(home: &Arc<dyn Home>) -> Option<u64> {
    let wait = home.next_callback(0).await.unwrap();
    assert_eq!(home.next_callback(u64::MAX / 4).await, Ok(wait.map(|_| Duration::ZERO)), "overdue");
    wait.map(|wait| u64::try_from(wait.as_millis()).unwrap())
}

#[test]
fn a_callback_is_kept_as_it_was_given_and_as_it_was_changed() {
    on_every_home(|home| async move {
        let kept = add(&home, 7, 5_000).await;
        assert_eq!((kept.version, kept.lease, kept.manage), (1, None, 7 << 8));
        assert_eq!(kept.callback, callback(7, 5_000));
        assert_eq!(home.callback(CallbackId::new(7)).await, Ok(Some(kept.clone())));
        assert_eq!(home.callback(CallbackId::new(8)).await, Ok(None));

        let rules = RetryRules::default();
        let talked = change(&home, &kept, false, |callback| {
            callback.come_due(5_000, &rules).unwrap();
            callback.offer("1001").unwrap();
            callback.dial(CallId::new(9), 5_100, AttemptLegs::default()).unwrap();
            callback.end_attempt(Outcome::Busy, 5_200, &rules, Some).unwrap();
        })
        .await;
        let read = home.callback(CallbackId::new(7)).await.unwrap().unwrap();
        assert_eq!((read.clone(), read.version), (talked, 2));
        assert_eq!((read.callback.counted(), read.callback.due_unix_ms()), (1, Some(185_200)));
    });
}

#[test]
fn the_last_call_backs_to_a_number_are_found_of_one_tenant_and_the_newest_first() {
    on_every_home(|home| async move {
        let number = "+33612345678";
        // Asked for one after the other, each over before the next; every fourth at another tenant.
        for id in 1..=LAST_TO as u128 + 4 {
            let mut new = of_number(new_callback(id, 5_000), number);
            if id % 4 == 0 {
                let parts = new.callback.parts().clone();
                let mut wish = parts.wish.clone();
                wish.tags.tenant = "other".into();
                new.callback = Callback::from_parts(desk::CallbackParts { wish, ..parts });
            }
            let Added::New(kept) = home.add_callback(new).await.unwrap() else { panic!("{id} is not new") };
            change(&home, &kept, false, |callback| callback.cancel(CancelledBy::Visitor).unwrap()).await;
        }
        add(&home, 99, 5_000).await;
        let last = async |tenant: &str, number: &str| {
            ids(&home.last_callbacks_to(tenant.into(), number.to_owned()).await.unwrap())
        };
        assert_eq!(last("shop", number).await, [19, 18, 17, 15, 14, 13, 11, 10, 9, 7, 6, 5]);
        assert_eq!(last("other", number).await, [20, 16, 12, 8]);
        assert_eq!((last("shop", "+336").await, last("nobody", number).await), (vec![], vec![]));
    });
}

#[test]
fn what_one_session_asked_for_is_found_while_it_is_open() {
    on_every_home(|home| async move {
        let of = |id: u128, session: &str| {
            let new = new_callback(id, 5_000);
            let mut parts = new.callback.parts().clone();
            session.clone_into(&mut parts.wish.tags.session);
            NewCallback { callback: Callback::from_parts(parts), ..new }
        };
        for (id, session) in [(2, "mine"), (1, "mine"), (3, "his"), (4, ""), (5, "mine"), (6, "a:b")] {
            home.add_callback(of(id, session)).await.unwrap();
        }
        let found = async |session: &str| home.callbacks_of_session("shop".into(), session.to_owned()).await.unwrap();
        assert_eq!(ids(&found("mine").await), [1, 2, 5]);
        assert_eq!((ids(&found("his").await), ids(&found("a:b").await)), (vec![3], vec![6]));
        for nobody in ["", "b", "nobody"] {
            assert_eq!(ids(&found(nobody).await), [0; 0], "{nobody:?}");
        }
        assert_eq!(home.callbacks_of_session("other".into(), "mine".to_owned()).await, Ok(Vec::new()));
        // Held or not, changed or not, until it is over.
        assert_eq!(lease(&home, A, 6_000).await.len(), 6);
        let first = found("mine").await.remove(0);
        assert_eq!(first.lease.map(|lease| lease.node), Some(A));
        let queued =
            change(&home, &first, true, |callback| callback.come_due(6_000, &RetryRules::default()).unwrap()).await;
        assert_eq!(found("mine").await[0], queued);
        change(&home, &queued, false, |callback| callback.cancel(CancelledBy::Visitor).unwrap()).await;
        assert_eq!(ids(&found("mine").await), [2, 5]);
    });
}

#[test]
fn every_state_reads_back() {
    on_every_home(|home| async move {
        let over = [
            CallbackState::Completed,
            CallbackState::Served,
            CallbackState::Expired,
            CallbackState::Cancelled(CancelledBy::Recipient),
            CallbackState::Failed(desk::FailReason::NotReached),
            CallbackState::Offered,
            CallbackState::Connected,
        ];
        for (id, state) in (1..).zip(over) {
            let kept = add(&home, id, 5_000).await;
            let offer_leg = format!("leg {id}\r\n\r\n");
            let parts = desk::CallbackParts {
                state,
                agent: Some("1001".to_owned()),
                offer_leg,
                ..kept.callback.parts().clone()
            };
            change(&home, &kept, true, |callback| *callback = Callback::from_parts(parts.clone())).await;
            let read = home.callback(CallbackId::new(id)).await.unwrap().unwrap();
            assert!(read.callback.parts() == &parts, "{state:?}");
        }
    });
}

#[test]
fn the_same_request_and_the_same_number_make_one_callback() {
    on_every_home(|home| async move {
        let keyed = |id, key: &str| NewCallback { request_key: Some(key.to_owned()), ..new_callback(id, 5_000) };
        let Added::New(first) = home.add_callback(keyed(1, "k1")).await.unwrap() else { panic!("not new") };
        assert_eq!(
            home.add_callback(keyed(2, "k1")).await,
            Ok(Added::Same(first.clone())),
            "another id, the same request"
        );
        assert_eq!(home.requested_callback("shop".into(), "k1".to_owned()).await, Ok(Some(first.clone())));
        assert_eq!(home.requested_callback("other".into(), "k1".to_owned()).await, Ok(None));
        let mut again = new_callback(3, 9_000);
        let parts = again.callback.parts().clone();
        let wish = Wish { number: first.callback.wish().number.clone(), ..parts.wish.clone() };
        again.callback = Callback::from_parts(desk::CallbackParts { wish: wish.clone(), ..parts.clone() });
        assert_eq!(home.add_callback(again.clone()).await, Ok(Added::Open(first.clone())), "the number is waiting");

        // Another tenant may call the same number; and so may this one, once the first is over.
        let mut tags = wish.tags.clone();
        tags.tenant = "other".into();
        let other = Wish { tags, ..wish };
        let elsewhere = desk::CallbackParts { id: CallbackId::new(4), wish: other, ..parts };
        let elsewhere = NewCallback { callback: Callback::from_parts(elsewhere), ..again.clone() };
        assert!(matches!(home.add_callback(elsewhere).await, Ok(Added::New(_))));
        change(&home, &first, false, |callback| callback.cancel(CancelledBy::Visitor).unwrap()).await;
        assert!(matches!(home.add_callback(again).await, Ok(Added::New(_))));
        assert!(matches!(home.add_callback(keyed(5, "k1")).await, Ok(Added::Same(_))), "a key stays used");
        assert_eq!(home.callbacks_to(first.callback.wish().number.clone(), 0).await, Ok(3));
        assert_eq!(home.callbacks_to(first.callback.wish().number.clone(), 1_003).await, Ok(2));
        assert_eq!(home.callbacks_to("+33".to_owned(), 0).await, Ok(0));
        let open = async |tenant: Option<&str>| home.open_callbacks(tenant.map(Into::into)).await.unwrap();
        assert_eq!((open(None).await, open(Some("shop")).await, open(Some("none")).await), (2, 1, 0));
    });
}

#[test]
fn of_two_changes_from_one_version_the_first_is_kept() {
    on_every_home(|home| async move {
        let kept = add(&home, 1, 5_000).await;
        let cancelled = change(&home, &kept, false, |callback| callback.cancel(CancelledBy::Visitor).unwrap()).await;
        let mut late = kept.callback.clone();
        late.reschedule(9_000, None).unwrap();
        let stale = home.change_callback(Change { callback: late, version: kept.version, held: false }).await;
        assert_eq!(stale, Ok(Changed::Stale(cancelled.clone())));
        let missing = Change { callback: callback(99, 1), version: 1, held: false };
        assert_eq!(home.change_callback(missing).await, Ok(Changed::Missing));
        assert_eq!(home.callback(CallbackId::new(1)).await, Ok(Some(cancelled)));
    });
}

#[test]
fn what_is_due_is_given_to_one_node_the_longest_overdue_first() {
    on_every_home(|home| async move {
        for (id, at) in [(1, 5_000), (2, 3_000), (3, 4_000), (4, 5_001)] {
            add(&home, id, at).await;
        }
        assert_eq!(next(&home).await, Some(3_000));
        assert_eq!(lease(&home, A, 2_999).await, []);
        let two = home.lease_callbacks(A, 5_000, HOLD, 2).await.unwrap();
        assert_eq!(ids(&two), [2, 3]);
        let held = Some(Lease { node: A, until_unix_ms: 20_000 });
        assert!(two.iter().all(|kept| kept.lease == held && kept.version == 2));
        assert_eq!(lease(&home, B, 5_000).await, [1]);
        assert_eq!(lease(&home, B, 5_000).await, []);
        assert_eq!(next(&home).await, Some(5_001));
        assert_eq!(lease(&home, B, 19_999).await, [4]);
        assert_eq!(next(&home).await, Some(20_000));
    });
}

#[test]
fn a_lease_that_is_not_renewed_goes_to_another_and_the_sleeper_changes_nothing() {
    on_every_home(|home| async move {
        for id in 1..=3 {
            add(&home, id, 1_000).await;
        }
        let held = home.lease_callbacks(A, 1_000, HOLD, 10).await.unwrap();
        let all = [1, 2, 3].map(CallbackId::new).to_vec();
        let mut renewed = home.renew_callbacks(A, all.clone(), 5_000, HOLD).await.unwrap();
        renewed.sort();
        assert_eq!(renewed, all);
        assert_eq!(home.renew_callbacks(B, all.clone(), 5_000, HOLD).await, Ok(vec![]));
        assert_eq!(lease(&home, B, 19_999).await, []);
        assert_eq!(lease(&home, B, 20_000).await, [1, 2, 3]);
        assert_eq!(home.renew_callbacks(A, all, 20_000, HOLD).await, Ok(vec![]));
        let sleeper = held.into_iter().next().unwrap();
        let late = Change { callback: sleeper.callback, version: sleeper.version, held: true };
        assert!(matches!(home.change_callback(late).await, Ok(Changed::Stale(kept)) if kept.lease.unwrap().node == B));
    });
}

#[test]
fn who_is_started_again_takes_at_once_what_he_held_before_and_nothing_else() {
    on_every_home(|home| async move {
        for id in 1..=600 {
            add(&home, id, 1_000).await;
        }
        let of_a = home.lease_callbacks(A, 1_000, HOLD, 400).await.unwrap();
        assert_eq!(home.lease_callbacks(B, 1_000, HOLD, 100).await.unwrap().len(), 100);
        assert_eq!(home.reclaim_callbacks(A, 2_000, HOLD).await, Ok(vec![]), "what it holds itself");
        let mut taken = home.reclaim_callbacks(A_AGAIN, 2_000, HOLD).await.unwrap();
        taken.sort_by_key(|kept| kept.callback.id());
        let mut before = ids(&of_a);
        before.sort();
        assert_eq!(ids(&taken), before);
        let held = Some(Lease { node: A_AGAIN, until_unix_ms: 17_000 });
        assert!(taken.iter().all(|kept| kept.lease == held && kept.version == 3));
        assert_eq!(home.reclaim_callbacks(A_AGAIN, 2_000, HOLD).await, Ok(vec![]));
        let dead = of_a.into_iter().next().unwrap();
        let late = Change { callback: dead.callback, version: dead.version, held: true };
        assert!(matches!(home.change_callback(late).await, Ok(Changed::Stale(_))));
        assert_eq!(lease(&home, A_AGAIN, 2_000).await.len(), 100, "nobody held these");
        assert_eq!(
            home.lease_callbacks(A, 16_000, HOLD, 500).await.unwrap().len(),
            100,
            "of B, by the end of its lease"
        );
    });
}

#[test]
fn a_change_keeps_the_lease_or_gives_it_back() {
    on_every_home(|home| async move {
        let rules = RetryRules::default();
        add(&home, 1, 1_000).await;
        let kept = home.lease_callbacks(A, 1_000, HOLD, 10).await.unwrap().remove(0);
        let queued = change(&home, &kept, true, |callback| callback.come_due(1_000, &rules).unwrap()).await;
        assert_eq!(queued.lease, Some(Lease { node: A, until_unix_ms: 16_000 }));
        assert_eq!(lease(&home, B, 2_000).await, []);
        // Put back into the queue: whoever comes next.
        let back = change(&home, &queued, false, |_| {}).await;
        assert_eq!(back.lease, None);
        assert_eq!(lease(&home, B, 2_000).await, [1]);
        // Moved by its visitor while B holds it: nobody's until then.
        let held = home.callback(CallbackId::new(1)).await.unwrap().unwrap();
        let moved = change(&home, &held, true, |callback| callback.reschedule(50_000, None).unwrap()).await;
        assert_eq!((moved.lease, next(&home).await), (None, Some(50_000)));
        assert_eq!(home.renew_callbacks(B, vec![CallbackId::new(1)], 45_000, HOLD).await, Ok(vec![]));
        let over = change(&home, &moved, true, |callback| callback.cancel(CancelledBy::Visitor).unwrap()).await;
        assert_eq!((over.lease, next(&home).await), (None, None));
        assert_eq!(lease(&home, A, u64::MAX / 4).await, []);
    });
}

#[test]
fn callbacks_are_listed_newest_first_and_seats_are_counted() {
    on_every_home(|home| async move {
        for id in 1..=9 {
            let kept = add(&home, id, 10_000 * (id as u64 / 3)).await;
            if id == 8 {
                change(&home, &kept, false, |callback| callback.cancel(CancelledBy::Admin).unwrap()).await;
            }
        }
        let listed = async |query: CallbackQuery| ids(&home.callbacks(query).await.unwrap());
        assert_eq!(listed(CallbackQuery { limit: 3, ..CallbackQuery::default() }).await, [9, 8, 7]);
        let open = CallbackQuery { open_only: true, since_unix_ms: Some(1_007), ..CallbackQuery::default() };
        assert_eq!(listed(open).await, [9, 7]);
        let page = CallbackQuery { before_unix_ms: Some(1_007), limit: 2, ..CallbackQuery::default() };
        assert_eq!(listed(page.clone()).await, [6, 5]);
        let between = CallbackQuery { since_unix_ms: Some(1_006), tenant: Some("shop".into()), ..page };
        assert_eq!(listed(between).await, [6]);
        let none = CallbackQuery { tenant: Some("other".into()), ..CallbackQuery::default() };
        assert_eq!(listed(none).await, []);
        let query = SeatQuery { from_unix_ms: 10_000, to_unix_ms: 30_000, ..every_seat(0) };
        assert_eq!(home.taken_seats(query).await, Ok(Taken::from([(10_000, 3), (20_000, 2)])));
        let elsewhere = SeatQuery { queue: ("shop".into(), "other".into()), ..every_seat(0) };
        assert_eq!(home.taken_seats(elsewhere).await, Ok(Taken::new()));
    });
}

/// One step of a random life of a book.
async fn random_step(home: &Arc<dyn Home>, rng: &mut SmallRng, now: &mut u64, step: u128) -> String {
    let rules = RetryRules::default();
    let node = [A, B, A_AGAIN][rng.random_range(0..3)];
    let id = CallbackId::new(rng.random_range(1..=step.max(1)));
    *now += rng.random_range(0..5_000);
    match rng.random_range(0..14) {
        0..=3 => {
            let key = rng.random_bool(0.3).then(|| format!("k{}", rng.random_range(0..20)));
            let new = new_callback(step, *now + rng.random_range(0..60_000));
            let new = of_number(new, &format!("+3361234567{}", rng.random_range(0..30)));
            let own = rng.random_bool(0.3).then(|| HoldId(rng.random_range(1..=step.max(1))));
            let seat = rng.random_bool(0.7).then(|| claim(own, *now));
            let new = NewCallback { request_key: key, seat, ..new };
            format!("{:?}", home.add_callback(new).await)
        }
        4..=5 => format!("{:?}", home.lease_callbacks(node, *now, HOLD, rng.random_range(1..6)).await),
        6 => format!("{:?}", home.renew_callbacks(node, vec![id], *now, HOLD).await),
        7..=8 => {
            let Some(kept) = home.callback(id).await.unwrap() else { return "none".to_owned() };
            let mut callback = kept.callback;
            let _out_of_turn = match rng.random_range(0..6) {
                0 => callback.come_due(*now, &rules),
                1 => callback.offer("1001"),
                2 => callback.dial(
                    CallId::new(step),
                    *now,
                    AttemptLegs { customer: "CANCEL".to_owned(), agent: "BYE".to_owned() },
                ),
                3 => callback.end_attempt(Outcome::NoAnswer, *now, &rules, Some),
                4 => callback.reschedule(*now + 9_000, None),
                _ => callback.cancel(CancelledBy::Visitor),
            };
            let version = kept.version - u64::from(rng.random_bool(0.1));
            format!("{:?}", home.change_callback(Change { callback, version, held: rng.random() }).await)
        }
        9 => format!("{:?}", home.hold_seat(hold(step, *now + rng.random_range(0..60_000), *now)).await),
        10 => {
            let own = HoldId(rng.random_range(1..=step.max(1)));
            format!("{:?}", home.release_seat(own).await)
        }
        11 => {
            let Some(kept) = home.callback(id).await.unwrap() else { return "none".to_owned() };
            let mut callback = kept.callback;
            let _out_of_turn = callback.reschedule(*now + rng.random_range(0..60_000), None);
            let version = kept.version - u64::from(rng.random_bool(0.1));
            format!("{:?}", home.move_callback(Change { callback, version, held: false }, claim(None, *now)).await)
        }
        12 => {
            let mut taken = home.reclaim_callbacks(node, *now, HOLD).await.unwrap();
            taken.sort_by_key(|kept| kept.callback.id());
            format!("{taken:?}")
        }
        _ => format!(
            "{:?} {:?} {:?} {:?}",
            home.next_callback(*now).await,
            home.open_callbacks(None).await,
            home.open_callbacks(Some("shop".into())).await,
            home.taken_seats(every_seat(*now)).await
        ),
    }
}

#[test]
fn every_home_leads_the_same_random_life_as_the_plain_one() {
    for seed in 0..4 {
        on_every_home(|home| async move {
            let plain: Arc<dyn Home> = Arc::new(Memory::default());
            let mut lives = [SmallRng::seed_from_u64(seed), SmallRng::seed_from_u64(seed)];
            let mut clocks = [1_000; 2];
            for step in 1..=300 {
                let [first, second] = &mut lives;
                let said = random_step(&plain, first, &mut clocks[0], step).await;
                let also = random_step(&home, second, &mut clocks[1], step).await;
                assert_eq!(said, also, "seed {seed}, step {step}");
            }
        });
    }
}
