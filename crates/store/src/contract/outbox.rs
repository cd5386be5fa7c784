//! The contract of the outbox.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Home, on_every_home};
use crate::{Arc, Memory, Message, StoreError};

fn message(id: &str, due_unix_ms: u64) -> Message {
    Message {
        id: id.to_owned(),
        kind: "callback.scheduled".to_owned(),
        destination: "webhook.crm".to_owned(),
        payload: format!("{{\"of\":\"{id}\",\"text\":\"d'été\"}}"),
        due_unix_ms,
        tries: 0,
    }
}

async fn post(home: &Arc<dyn Home>, messages: &[(&str, u64)]) -> u64 {
    home.post_messages(messages.iter().map(|(id, due)| message(id, *due)).collect()).await.unwrap()
}

async fn claim(home: &Arc<dyn Home>, now: u64, until: u64) -> Vec<String> {
    home.claim_messages(now, until, 100).await.unwrap().into_iter().map(|message| message.id).collect()
}

#[test]
fn a_message_is_claimed_as_it_was_posted_and_once_for_each_id() {
    on_every_home(|home| async move {
        assert_eq!(post(&home, &[("b", 2_000), ("a", 2_000), ("c", 1_000)]).await, 3);
        assert_eq!(post(&home, &[("a", 500), ("d", 9_000)]).await, 1, "an id that is there stays as it is");
        assert_eq!(home.messages_waiting().await, Ok(4));
        assert_eq!(claim(&home, 999, 60_000).await, Vec::<String>::new());
        let first = home.claim_messages(2_000, 60_000, 1).await.unwrap();
        assert_eq!(first, [Message { due_unix_ms: 60_000, tries: 1, ..message("c", 0) }]);
        assert_eq!(claim(&home, 2_000, 60_000).await, ["a", "b"], "the longest overdue first, then by id");
        assert_eq!(claim(&home, 2_000, 60_000).await, Vec::<String>::new(), "what is claimed is nobody else's");
        assert_eq!(home.messages_waiting().await, Ok(4));
    });
}

#[test]
fn who_dies_with_a_claim_leaves_it_and_what_is_told_is_gone() {
    on_every_home(|home| async move {
        post(&home, &[("a", 1_000), ("b", 1_000)]).await;
        assert_eq!(claim(&home, 1_000, 60_000).await, ["a", "b"]);
        assert_eq!(home.end_message("a".to_owned()).await, Ok(true));
        assert_eq!(home.end_message("a".to_owned()).await, Ok(false));
        assert_eq!(claim(&home, 59_999, 90_000).await, Vec::<String>::new());
        let again = home.claim_messages(60_000, 90_000, 9).await.unwrap();
        assert_eq!(again, [Message { due_unix_ms: 90_000, tries: 2, ..message("b", 0) }]);
        assert_eq!(home.retry_message("b".to_owned(), 70_000).await, Ok(true));
        assert_eq!(home.retry_message("a".to_owned(), 70_000).await, Ok(false));
        assert_eq!(claim(&home, 69_999, 99_000).await, Vec::<String>::new());
        assert_eq!(claim(&home, 70_000, 99_000).await, ["b"]);
        assert_eq!(home.end_message("b".to_owned()).await, Ok(true));
        assert_eq!(home.messages_waiting().await, Ok(0));
        assert_eq!(post(&home, &[("a", 1)]).await, 1, "an id that is gone may come again");
    });
}

#[test]
fn what_is_too_long_or_badly_named_is_refused_with_all_that_came_with_it() {
    on_every_home(|home| async move {
        let long = Message { payload: "x".repeat(Message::PAYLOAD_BYTES_MAX + 1), ..message("long", 1) };
        let unnamed = message("", 1);
        let odd = message("a:b", 1);
        let wide = Message { destination: "d".repeat(Message::WORD_BYTES_MAX + 1), ..message("wide", 1) };
        for wrong in [long, unnamed, odd, wide] {
            let refused = home.post_messages(vec![message("good", 1), wrong]).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        }
        let many = (0..=Message::BATCH_MAX).map(|at| message(&format!("m{at}"), 1)).collect();
        assert!(matches!(home.post_messages(many).await, Err(StoreError::Refused(_))));
        assert_eq!(home.messages_waiting().await, Ok(0));
        let longest = Message { payload: "x".repeat(Message::PAYLOAD_BYTES_MAX), ..message("longest", 1) };
        assert_eq!(home.post_messages(vec![longest.clone()]).await, Ok(1));
        assert_eq!(home.claim_messages(1, 2, 1).await.unwrap()[0].payload, longest.payload);
    });
}

#[test]
fn a_full_outbox_takes_no_more_until_something_is_told() {
    on_every_home(|home| async move {
        let mut left = Message::WAITING_MAX;
        while left > 0 {
            let size = left.min(Message::BATCH_MAX);
            let batch = (0..size).map(|at| message(&format!("m{}", left - at), 1_000 + left as u64)).collect();
            assert_eq!(home.post_messages(batch).await, Ok(size as u64));
            left -= size;
        }
        let refused = home.post_messages(vec![message("m1", 1), message("late", 1)]).await;
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        assert_eq!(post(&home, &[("m1", 1)]).await, 0, "one that is there needs no room");
        assert_eq!(home.end_message("m7".to_owned()).await, Ok(true));
        assert_eq!(post(&home, &[("late", 1)]).await, 1);
        assert_eq!(home.claim_messages(1, 2, 1).await.unwrap()[0].id, "late");
        assert_eq!(home.messages_waiting().await, Ok(Message::WAITING_MAX as u64));
    });
}

#[test]
fn of_two_that_claim_at_once_each_message_goes_to_one() {
    on_every_home(|home| async move {
        for batch in 0..4 {
            let batch = (0..250).map(|at| message(&format!("m{batch}-{at}"), 1_000)).collect();
            home.post_messages(batch).await.unwrap();
        }
        let claimers: Vec<_> = (0..8)
            .map(|_| {
                let home = Arc::clone(&home);
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    loop {
                        let claimed = home.claim_messages(1_000, 60_000, 16).await.unwrap();
                        if claimed.is_empty() {
                            return ids;
                        }
                        ids.extend(claimed.into_iter().map(|message| message.id));
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for claimer in claimers {
            all.extend(claimer.await.unwrap());
        }
        assert_eq!(all.len(), 1_000);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1_000, "none twice");
    });
}

#[test]
fn every_home_leads_the_same_random_life_as_the_plain_one() {
    for seed in 0..4 {
        on_every_home(|home| async move {
            let plain: Arc<dyn Home> = Arc::new(Memory::default());
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut now = 1_000;
            for step in 0..300 {
                now += rng.random_range(0..2_000);
                let id = format!("m{}", rng.random_range(0..40));
                let at = now + rng.random_range(0..5_000);
                let (kind, limit) = (rng.random_range(0..10), rng.random_range(0..5));
                let mut said = Vec::new();
                for home in [&plain, &home] {
                    said.push(match kind {
                        0..=3 => format!("{:?}", home.post_messages(vec![message(&id, at)]).await),
                        4..=6 => format!("{:?}", home.claim_messages(now, at, limit).await),
                        7 => format!("{:?}", home.end_message(id.clone()).await),
                        8 => format!("{:?}", home.retry_message(id.clone(), at).await),
                        _ => format!("{:?}", home.messages_waiting().await),
                    });
                }
                assert_eq!(said[0], said[1], "seed {seed}, step {step}");
            }
        });
    }
}
