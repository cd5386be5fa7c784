//! The contract of seats: of those who want the last one, one has it.

use std::time::Duration;

use desk::{CallbackId, CancelledBy, SeatRule, Taken};

use super::callbacks::new_callback;
use super::{Home, on_every_home};
use crate::{
    Added, Arc, Change, Changed, Held, HoldId, HoldLimits, KeptCallback, Moved, NewCallback, NewHold, SeatClaim,
    SeatQuery,
};

/// Seats at the same moment.
const SEATS: u32 = 2;
/// How long each is busy.
const BUSY_MS: u64 = 900;
/// How long one is held.
const HOLD: Duration = Duration::from_secs(60);

fn rule() -> SeatRule {
    SeatRule::new(SEATS, Duration::from_millis(BUSY_MS))
}

/// A seat that must be free.
pub(crate) fn claim(hold: Option<HoldId>, now_unix_ms: u64) -> SeatClaim {
    SeatClaim { rule: rule(), hold, now_unix_ms }
}

/// A seat to be held; every visitor is another one, eight of them at each address.
pub(crate) fn hold(id: u128, start_unix_ms: u64, now_unix_ms: u64) -> NewHold {
    NewHold {
        id: HoldId(id),
        queue: ("shop".into(), "support".into()),
        start_unix_ms,
        rule: rule(),
        holder: format!("visitor {}", id % 64),
        source: format!("192.0.2.{}", id % 8),
        now_unix_ms,
        hold: HOLD,
        limits: HoldLimits { per_source: 3, per_tenant: 12 },
    }
}

/// All seats of the queue.
pub(crate) fn every_seat(now_unix_ms: u64) -> SeatQuery {
    let queue = ("shop".into(), "support".into());
    SeatQuery { queue, from_unix_ms: 0, to_unix_ms: u64::MAX / 4, now_unix_ms, own: None }
}

async fn taken(home: &Arc<dyn Home>, now_unix_ms: u64, own: Option<u128>) -> Vec<(u64, u32)> {
    let query = SeatQuery { own: own.map(HoldId), ..every_seat(now_unix_ms) };
    home.taken_seats(query).await.unwrap().into_iter().collect()
}

/// Asks for a seat; whether he has it.
async fn ask(home: &Arc<dyn Home>, id: u128, start_unix_ms: u64, seat: SeatClaim) -> Option<KeptCallback> {
    let new = NewCallback { seat: Some(seat), ..new_callback(id, start_unix_ms) };
    match home.add_callback(new).await.unwrap() {
        Added::New(kept) => Some(kept),
        Added::Full => None,
        other @ (Added::Same(_) | Added::Open(_)) => panic!("{other:?}"),
    }
}

async fn move_to(home: &Arc<dyn Home>, kept: &KeptCallback, start_unix_ms: u64) -> Moved {
    let mut callback = kept.callback.clone();
    callback.reschedule(start_unix_ms, None).unwrap();
    let change = Change { callback, version: kept.version, held: false };
    home.move_callback(change, claim(None, 1_000)).await.unwrap()
}

#[test]
fn no_more_are_promised_than_there_are_seats() {
    on_every_home(|home| async move {
        let first = ask(&home, 1, 5_000, claim(None, 1_000)).await.unwrap();
        assert!(ask(&home, 2, 5_300, claim(None, 1_000)).await.is_some());
        assert!(ask(&home, 3, 5_000, claim(None, 1_000)).await.is_none(), "two are busy at 5,300");
        assert!(ask(&home, 3, 4_399, claim(None, 1_000)).await.is_some(), "it is over when the second begins");
        assert!(ask(&home, 4, 6_200, claim(None, 1_000)).await.is_some(), "one after the other may share a seat");
        assert_eq!(home.callback(CallbackId::new(9)).await, Ok(None));
        // Who asked before hears of it, also when there is no seat left.
        let again = NewCallback { seat: Some(claim(None, 1_000)), ..new_callback(1, 5_000) };
        assert_eq!(home.add_callback(again).await, Ok(Added::Open(first.clone())));
        // Who waits for no slot takes none away, but those who do see him.
        assert!(matches!(home.add_callback(new_callback(5, 5_000)).await, Ok(Added::New(_))));
        let mut cancelled = first.callback.clone();
        cancelled.cancel(CancelledBy::Visitor).unwrap();
        home.change_callback(Change { callback: cancelled, version: first.version, held: false }).await.unwrap();
        assert!(ask(&home, 6, 5_000, claim(None, 1_000)).await.is_none());
        assert_eq!(taken(&home, 1_000, None).await, [(4_399, 1), (5_000, 1), (5_300, 1), (6_200, 1)]);
    });
}

#[test]
fn one_that_is_moved_needs_a_seat_and_its_own_is_not_counted() {
    on_every_home(|home| async move {
        let mut mine = ask(&home, 1, 5_000, claim(None, 1_000)).await.unwrap();
        ask(&home, 2, 5_000, claim(None, 1_000)).await.unwrap();
        ask(&home, 3, 9_000, claim(None, 1_000)).await.unwrap();
        let Moved::Changed(Changed::Done(moved)) = move_to(&home, &mine, 5_300).await else { panic!("full") };
        assert_eq!(move_to(&home, &mine, 7_000).await, Moved::Changed(Changed::Stale(moved.clone())));
        mine = moved;
        ask(&home, 4, 9_000, claim(None, 1_000)).await.unwrap();
        assert_eq!(move_to(&home, &mine, 9_000).await, Moved::Full);
        assert_eq!(home.callback(CallbackId::new(1)).await, Ok(Some(mine.clone())), "it stands as it did");
        let Moved::Changed(Changed::Done(_)) = move_to(&home, &mine, 10_000).await else { panic!("full") };
        assert!(ask(&home, 5, 5_300, claim(None, 1_000)).await.is_some(), "what it left is free");
        let missing = Change { callback: new_callback(77, 5_000).callback, version: 1, held: false };
        assert_eq!(home.move_callback(missing, claim(None, 1_000)).await, Ok(Moved::Changed(Changed::Missing)));
    });
}

#[test]
fn a_held_seat_is_taken_for_all_but_its_holder_until_its_time_is_over() {
    on_every_home(|home| async move {
        assert_eq!(home.hold_seat(hold(1, 5_000, 1_000)).await, Ok(Held::Yes));
        assert_eq!(home.hold_seat(hold(2, 5_000, 1_000)).await, Ok(Held::Yes));
        assert_eq!(home.hold_seat(hold(3, 5_000, 1_000)).await, Ok(Held::Full));
        assert!(ask(&home, 10, 5_000, claim(None, 60_999)).await.is_none());
        assert!(ask(&home, 10, 5_000, claim(Some(HoldId(99)), 60_999)).await.is_none(), "a hold that is none");
        assert_eq!(taken(&home, 60_999, None).await, [(5_000, 2)]);
        assert_eq!(taken(&home, 60_999, Some(2)).await, [(5_000, 1)], "he who holds it may have it");
        // Used up by its holder: the call-back has the seat now.
        assert!(ask(&home, 11, 5_000, claim(Some(HoldId(1)), 60_999)).await.is_some());
        assert!(ask(&home, 12, 5_000, claim(Some(HoldId(1)), 60_999)).await.is_none());
        assert_eq!(taken(&home, 60_999, None).await, [(5_000, 2)]);
        // Over: the seat is anybody's, and the late holder is anybody.
        assert_eq!(taken(&home, 61_000, None).await, [(5_000, 1)]);
        assert!(ask(&home, 13, 5_000, claim(None, 61_000)).await.is_some());
        assert!(ask(&home, 14, 5_000, claim(Some(HoldId(2)), 61_000)).await.is_none());
        assert_eq!(taken(&home, 61_000, None).await, [(5_000, 2)]);
    });
}

#[test]
fn a_visitor_holds_one_seat_and_may_let_it_go() {
    on_every_home(|home| async move {
        let mine = |id, start, now| NewHold { holder: "me".to_owned(), ..hold(id, start, now) };
        assert_eq!(home.hold_seat(mine(1, 5_000, 1_000)).await, Ok(Held::Yes));
        assert_eq!(home.hold_seat(mine(2, 8_000, 1_000)).await, Ok(Held::Yes));
        assert_eq!(taken(&home, 1_000, None).await, [(8_000, 1)], "the new one in the place of the one before");
        // The same slot again, for longer; and one that is full: he keeps what he has.
        assert_eq!(home.hold_seat(mine(3, 8_000, 31_000)).await, Ok(Held::Yes));
        for id in [10, 11] {
            ask(&home, id, 9_900, claim(None, 1_000)).await.unwrap();
        }
        assert_eq!(home.hold_seat(mine(4, 9_900, 31_000)).await, Ok(Held::Full));
        assert_eq!(taken(&home, 90_999, None).await, [(8_000, 1), (9_900, 2)]);
        assert_eq!(taken(&home, 91_000, None).await, [(9_900, 2)]);
        assert_eq!(home.hold_seat(mine(5, 5_000, 31_000)).await, Ok(Held::Yes));
        for _ in 0..2 {
            assert_eq!(home.release_seat(HoldId(5)).await, Ok(()));
        }
        assert_eq!(taken(&home, 31_000, None).await, [(9_900, 2)]);
    });
}

#[test]
fn held_seats_are_bounded_by_place_and_by_tenant() {
    on_every_home(|home| async move {
        let at =
            |id: u128, source: &str, now| NewHold { source: source.to_owned(), ..hold(id, 1_000 * id as u64, now) };
        for id in 1..=3 {
            assert_eq!(home.hold_seat(at(id, "a", 1_000)).await, Ok(Held::Yes));
        }
        assert_eq!(home.hold_seat(at(4, "a", 1_000)).await, Ok(Held::TooMany));
        let again = NewHold { holder: hold(3, 0, 0).holder, ..at(44, "a", 1_000) };
        assert_eq!(home.hold_seat(again).await, Ok(Held::Yes), "he who has one may choose another");
        for id in 5..=13 {
            assert_eq!(home.hold_seat(at(id, &format!("b{id}"), 1_000)).await, Ok(Held::Yes));
        }
        assert_eq!(home.hold_seat(at(14, "c", 1_000)).await, Ok(Held::TooMany), "the whole tenant");
        let elsewhere = NewHold { queue: ("other".into(), "support".into()), ..at(15, "a", 1_000) };
        assert_eq!(home.hold_seat(elsewhere).await, Ok(Held::Yes));
        assert_eq!(home.hold_seat(at(16, "a", 61_000)).await, Ok(Held::Yes), "their time is over");
    });
}

#[test]
fn of_many_who_want_a_seat_at_once_as_many_have_one_as_there_are() {
    on_every_home(|home| async move {
        let takers: Vec<_> = (1..=40_u128)
            .map(|id| {
                let home = Arc::clone(&home);
                tokio::spawn(async move {
                    if id % 2 == 0 {
                        return ask(&home, id, 5_000, claim(None, 1_000)).await.is_some();
                    }
                    let unbounded = HoldLimits { per_source: 100, per_tenant: 100 };
                    home.hold_seat(NewHold { limits: unbounded, ..hold(id, 5_000, 1_000) }).await == Ok(Held::Yes)
                })
            })
            .collect();
        let mut won = 0;
        for taker in takers {
            won += u32::from(taker.await.unwrap());
        }
        assert_eq!(won, SEATS);
        assert_eq!(home.taken_seats(every_seat(1_000)).await, Ok(Taken::from([(5_000, SEATS)])));
    });
}
