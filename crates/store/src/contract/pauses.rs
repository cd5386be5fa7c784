//! The contract of queues that are paused, and of call-backs that those who work with them hand on.

use std::time::Duration;

use call::{QueueId, TenantId};
use desk::{CallbackId, Deed, Note, Purpose};

use super::callbacks::{callback, new_callback};
use super::on_every_home;
use super::seats::every_seat;
use crate::{Added, Change, Changed, NewCallback, NodeId, Pause, SeatQuery};

fn pause(queue: &str, note: &str) -> Pause {
    let (tenant, queue) = (TenantId::from("shop"), QueueId::from(queue));
    Pause { tenant, queue, by: "admin".to_owned(), note: note.to_owned(), at_unix_ms: 5_000 }
}

#[test]
fn a_queue_is_paused_once_and_until_it_is_resumed() {
    on_every_home(|home| async move {
        assert_eq!(home.paused_queues().await, Ok(Vec::new()));
        assert_eq!(home.pause_queue(pause("support", "meeting")).await, Ok(true));
        assert_eq!(home.pause_queue(pause("support", "again")).await, Ok(false), "the first word stays");
        assert_eq!(home.pause_queue(pause("a:b", "")).await, Ok(true));
        assert_eq!(home.paused_queues().await, Ok(vec![pause("a:b", ""), pause("support", "meeting")]));
        let resume = |queue: &str| home.resume_queue(TenantId::from("shop"), QueueId::from(queue));
        assert_eq!(resume("support").await, Ok(true));
        assert_eq!(resume("support").await, Ok(false));
        assert_eq!(home.paused_queues().await, Ok(vec![pause("a:b", "")]));
    });
}

#[test]
fn what_is_written_on_a_call_back_is_kept() {
    on_every_home(|home| async move {
        let mut made = callback(7, 5_000).for_purpose(Purpose::FollowUp);
        made.assign(Some("1001".to_owned())).unwrap();
        made.note(Note {
            at_unix_ms: 6_000,
            by: "1001".to_owned(),
            deed: Deed::Created,
            text: "at the shop".to_owned(),
        });
        let new = NewCallback { callback: made.clone(), ..new_callback(7, 5_000) };
        home.add_callback(new).await.unwrap();
        let mut kept = home.callback(CallbackId::new(7)).await.unwrap().unwrap();
        assert_eq!(kept.callback, made);
        kept.callback.complete("resolved").unwrap();
        let change = Change { callback: kept.callback.clone(), version: 1, held: false };
        home.change_callback(change).await.unwrap();
        assert_eq!(home.callback(CallbackId::new(7)).await.unwrap().unwrap().callback, kept.callback);
    });
}

#[test]
fn handed_to_another_queue_a_call_back_takes_its_seat_along() {
    on_every_home(|home| async move {
        let Added::New(kept) = home.add_callback(new_callback(7, 5_000)).await.unwrap() else { panic!() };
        let before = kept.callback.queue().clone();
        let taken = |queue: QueueId| {
            let (home, tenant) = (home.clone(), kept.callback.tenant().clone());
            let query = SeatQuery { queue: (tenant, queue), ..every_seat(1_000) };
            async move { home.taken_seats(query).await.unwrap().values().sum::<u32>() }
        };
        assert_eq!(taken(before.clone()).await, 1);
        let mut callback = kept.callback.clone();
        callback.hand_to(QueueId::from("advice:2")).unwrap();
        let changed = home.change_callback(Change { callback, version: 1, held: false }).await.unwrap();
        assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
        assert_eq!((taken(before.clone()).await, taken(QueueId::from("advice:2")).await), (0, 1));
        // And back, by which nothing stays behind.
        let Changed::Done(kept) = changed else { panic!() };
        let mut callback = kept.callback.clone();
        callback.hand_to(before.clone()).unwrap();
        home.change_callback(Change { callback, version: 2, held: false }).await.unwrap();
        assert_eq!((taken(before).await, taken(QueueId::from("advice:2")).await), (1, 0));
        let leased = home.lease_callbacks(NodeId(1), 6_000, Duration::from_secs(15), 10).await.unwrap();
        assert_eq!(leased.len(), 1);
    });
}
