//! The contract of the list of numbers not to be called, and of the day's budgets.

use std::collections::BTreeMap;

use super::on_every_home;
use crate::{Arc, Counted, NumberHash, SuppressedBy, Suppression, Tally};

fn hash(number: u8) -> NumberHash {
    let mut bytes = [0xa5; 32];
    bytes[0] = number;
    NumberHash(bytes)
}

fn said(number: u8, at_unix_ms: u64, by: SuppressedBy) -> Suppression {
    Suppression { hash: hash(number), key_id: "k1".to_owned(), at_unix_ms, by }
}

fn tally(day: &str, name: &str) -> Tally {
    Tally { day: day.to_owned(), name: name.to_owned() }
}

#[test]
fn a_number_is_on_the_list_until_it_is_taken_off() {
    on_every_home(|home| async move {
        assert_eq!(home.suppressed(vec![hash(1), hash(2)]).await, Ok(None));
        home.suppress(said(1, 5_000, SuppressedBy::Recipient)).await.unwrap();
        let found = home.suppressed(vec![hash(2), hash(1)]).await;
        assert_eq!(found, Ok(Some(said(1, 5_000, SuppressedBy::Recipient))));
        assert_eq!(home.suppressed(vec![hash(2)]).await, Ok(None));
        assert_eq!(home.unsuppress(vec![hash(1), hash(2)]).await, Ok(1));
        assert_eq!(home.unsuppress(vec![hash(1)]).await, Ok(0));
        assert_eq!(home.suppressed(vec![hash(1)]).await, Ok(None));
        assert_eq!(home.suppression_keys().await, Ok(BTreeMap::new()));
    });
}

#[test]
fn said_again_the_newer_word_stays_and_it_counts_once() {
    on_every_home(|home| async move {
        home.suppress(said(1, 5_000, SuppressedBy::Link)).await.unwrap();
        let newer = Suppression { key_id: "k2".to_owned(), ..said(1, 9_000, SuppressedBy::Admin) };
        home.suppress(newer.clone()).await.unwrap();
        assert_eq!(home.suppressions(10).await, Ok(vec![newer]));
        assert_eq!(home.suppression_keys().await, Ok(BTreeMap::from([("k2".to_owned(), 1)])));
    });
}

#[test]
fn the_list_is_newest_first_counted_by_key_and_forgets_what_is_old() {
    on_every_home(|home| async move {
        // More than a page of the shared server.
        for number in 0..=255 {
            let key_id = if number < 100 { "old" } else { "new" };
            let one = Suppression {
                key_id: key_id.to_owned(),
                ..said(number, 1_000 + u64::from(number), SuppressedBy::Admin)
            };
            home.suppress(one).await.unwrap();
        }
        home.suppress(Suppression { hash: NumberHash([0; 32]), ..said(0, 10, SuppressedBy::Recipient) }).await.unwrap();
        let newest = home.suppressions(2).await.unwrap();
        assert_eq!(newest.iter().map(|one| one.hash).collect::<Vec<_>>(), [hash(255), hash(254)]);
        let all = home.suppressions(10_000).await.unwrap();
        assert_eq!((all.len(), all[256].at_unix_ms, all[256].by), (257, 10, SuppressedBy::Recipient));
        assert_eq!(home.suppressions(0).await, Ok(Vec::new()));
        let keys = [("k1".to_owned(), 1), ("new".to_owned(), 156), ("old".to_owned(), 100)];
        assert_eq!(home.suppression_keys().await, Ok(BTreeMap::from(keys)));
        assert_eq!(home.forget_suppressions(1_000 + 255).await, Ok(256), "the moment itself stays");
        assert_eq!(home.suppressions(10).await.unwrap().iter().map(|one| one.hash).collect::<Vec<_>>(), [hash(255)]);
        assert_eq!(home.suppression_keys().await, Ok(BTreeMap::from([("new".to_owned(), 1)])));
    });
}

#[test]
fn a_budget_is_used_up_to_its_last_place_and_no_further() {
    on_every_home(|home| async move {
        let today = tally("2026-07-14", "dials:pbx");
        assert_eq!(home.counted(today.clone()).await, Ok(0));
        assert_eq!(home.count(today.clone(), 3, 5).await, Ok(Counted::Done(3)));
        assert_eq!(home.count(today.clone(), 3, 5).await, Ok(Counted::Over(3)), "too much is not counted");
        assert_eq!(home.count(today.clone(), 2, 5).await, Ok(Counted::Done(5)));
        assert_eq!(home.count(today.clone(), 1, 5).await, Ok(Counted::Over(5)));
        assert_eq!(
            home.count(today.clone(), 7, i64::MAX as u64).await,
            Ok(Counted::Done(12)),
            "what is spent is spent"
        );
        assert_eq!(home.counted(today.clone()).await, Ok(12));
        // Another day, and another budget.
        assert_eq!(home.count(tally("2026-07-15", "dials:pbx"), 1, 5).await, Ok(Counted::Done(1)));
        assert_eq!(home.counted(tally("2026-07-14", "dials:pb:x")).await, Ok(0));
    });
}

#[test]
fn of_many_who_come_together_as_many_as_there_are_places_get_one() {
    on_every_home(|home| async move {
        let takers: Vec<_> = (0..40)
            .map(|_| {
                let home = Arc::clone(&home);
                tokio::spawn(async move { home.count(tally("2026-07-14", "asks"), 1, 25).await.unwrap() })
            })
            .collect();
        let mut got = 0;
        for taker in takers {
            got += usize::from(matches!(taker.await.unwrap(), Counted::Done(_)));
        }
        assert_eq!(got, 25);
        assert_eq!(home.counted(tally("2026-07-14", "asks")).await, Ok(25));
    });
}

#[test]
fn days_that_are_over_may_be_forgotten() {
    on_every_home(|home| async move {
        for day in ["2026-07-12", "2026-07-13", "2026-07-14"] {
            home.count(tally(day, "asks"), 1, 5).await.unwrap();
        }
        home.forget_tallies("2026-07-13".to_owned()).await.unwrap();
        assert_eq!(home.counted(tally("2026-07-13", "asks")).await, Ok(1));
        assert_eq!(home.counted(tally("2026-07-14", "asks")).await, Ok(1));
    });
}
