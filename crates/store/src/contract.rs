//! The test every home passes, and the rows it passes with.

use std::future::Future;
use std::sync::Arc;

use call::{
    CallId, CallRecord, CallTags, HangupCause, LegId, LegKind, LegQuality, LegRecord, Party, TagsDraft, TenantId,
};

use crate::embedded::tests::Folder;
use crate::redis::tests::server::Server;
use crate::{CallQuery, Embedded, EmbeddedOptions, Home, Memory, OpenCall};

pub(crate) mod callbacks;
mod outbox;
mod pauses;
pub(crate) mod seats;
mod shield;

/// A call that has started.
pub(crate) fn open_call(id: u128, started_unix_ms: u64) -> OpenCall {
    let tags = record(id, started_unix_ms).tags;
    OpenCall { id: CallId::new(id), tags, started_unix_ms, first: LegKind::Browser }
}

/// A call that has ended, with every field filled.
pub(crate) fn record(id: u128, started_unix_ms: u64) -> CallRecord {
    let tags = CallTags::new(TagsDraft {
        tag: id.to_be_bytes(),
        tenant: "shop".into(),
        queue: "support".into(),
        session: format!("session {id}"),
        page_url: "https://shop.test/cart?é=€".to_owned(),
        page_title: "Panier \"d'été\"".to_owned(),
        referrer: Some("https://search.test/".to_owned()),
        language: "fr".to_owned(),
        made_at_unix_ms: started_unix_ms,
    });
    let quality = LegQuality {
        loss_in: Some(0.25),
        loss_out: Some(0.5),
        jitter_in_ms: Some(1.5),
        jitter_out_ms: Some(2.5),
        rtt_ms: Some(40.0),
        mos: Some(4.25),
        packets_in: 3_000,
        packets_out: 2_999,
    };
    let codec = |name: &str| Some(name.to_owned());
    CallRecord {
        id: CallId::new(id),
        tenant: tags.tenant.clone(),
        queue: tags.queue.clone(),
        tags,
        started_unix_ms,
        ringing_unix_ms: Some(started_unix_ms + 700),
        answered_unix_ms: Some(started_unix_ms + 5_000),
        ended_unix_ms: started_unix_ms + 66_000,
        wait_ms: 5_000,
        talk_ms: 61_000,
        hung_up_by: Party::Agent,
        cause: HangupCause::Normal,
        legs: vec![
            LegRecord {
                id: LegId(0),
                kind: LegKind::Browser,
                codec: codec("opus"),
                quality,
                cause: Some(HangupCause::Normal),
                talked: None,
            },
            LegRecord {
                id: LegId(1),
                kind: LegKind::Agent { extension: "1001".to_owned() },
                codec: None,
                quality: LegQuality::default(),
                cause: Some(HangupCause::Busy),
                talked: None,
            },
            LegRecord {
                id: LegId(2),
                kind: LegKind::Trunk { trunk: "pbx".into(), uri: "sip:600@pbx.test".to_owned() },
                codec: codec("PCMA"),
                quality,
                cause: None,
                talked: None,
            },
        ],
        interrupted: false,
    }
}

/// Runs one test of the contract on every home.
fn on_every_home<T: Future<Output = ()>>(test: impl Fn(Arc<dyn Home>) -> T) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let folder = Folder::new();
    let embedded = Embedded::open(&folder.file("calls.db"), EmbeddedOptions::default()).unwrap();
    runtime.block_on(test(Arc::new(Memory::default())));
    runtime.block_on(test(Arc::new(embedded)));
    if let Some(server) = Server::start(module_path!()) {
        runtime.block_on(test(Arc::new(server.home())));
    }
}

async fn listed(store: &Arc<dyn Home>, query: CallQuery) -> Vec<u128> {
    store.calls(query).await.unwrap().iter().map(|record| record.id.bits()).collect()
}

#[test]
fn a_record_is_kept_as_it_was_given() {
    on_every_home(|store| async move {
        store.open_call(open_call(1, 1_000)).await.unwrap();
        assert_eq!(store.call(CallId::new(1)).await, Ok(None), "it has not ended");
        assert_eq!(listed(&store, CallQuery::default()).await, []);
        store.close_call(record(1, 1_000)).await.unwrap();
        assert_eq!(store.call(CallId::new(1)).await, Ok(Some(record(1, 1_000))));
        assert_eq!(store.call(CallId::new(2)).await, Ok(None));
    });
}

#[test]
fn doing_it_twice_changes_nothing() {
    on_every_home(|store| async move {
        for _ in 0..2 {
            store.open_call(open_call(1, 1_000)).await.unwrap();
        }
        store.close_call(record(1, 1_000)).await.unwrap();
        store.close_call(CallRecord { cause: HangupCause::Bug, ..record(1, 1_000) }).await.unwrap();
        store.open_call(open_call(1, 1_000)).await.unwrap();
        assert_eq!(store.close_interrupted(9_000).await, Ok(0), "a late start does not open it again");
        assert_eq!(store.call(CallId::new(1)).await, Ok(Some(record(1, 1_000))), "the first record stays");
        assert_eq!(listed(&store, CallQuery::default()).await, [1]);
    });
}

#[test]
fn a_record_without_a_start_is_kept_too() {
    on_every_home(|store| async move {
        store.close_call(record(5, 1_000)).await.unwrap();
        assert_eq!(listed(&store, CallQuery::default()).await, [5]);
    });
}

#[test]
fn what_a_dead_process_left_open_is_closed_as_interrupted() {
    on_every_home(|store| async move {
        for id in 1..=3 {
            store.open_call(open_call(id, 1_000 * id as u64)).await.unwrap();
        }
        store.close_call(record(2, 2_000)).await.unwrap();
        assert_eq!(store.close_interrupted(50_000).await, Ok(2));
        assert_eq!(store.close_interrupted(60_000).await, Ok(0));
        let left = store.call(CallId::new(3)).await.unwrap().unwrap();
        assert_eq!(left, open_call(3, 3_000).interrupted(50_000));
        assert!(left.interrupted);
        assert_eq!((left.cause, left.hung_up_by), (HangupCause::Interrupted, Party::Gateway));
        assert_eq!((left.ended_unix_ms, left.tags.session.as_str()), (50_000, "session 3"));
        assert_eq!(store.call(CallId::new(2)).await, Ok(Some(record(2, 2_000))));
    });
}

#[test]
fn calls_are_listed_newest_first_by_tenant_and_time() {
    on_every_home(|store| async move {
        for id in 1..=30 {
            let tenant = TenantId::from(if id % 3 == 0 { "other" } else { "shop" });
            // Two at the same moment: by id.
            let started = 1_000 * (id as u64 / 2);
            store.close_call(CallRecord { tenant, ..record(id, started) }).await.unwrap();
        }
        assert_eq!(listed(&store, CallQuery::default()).await, (11..=30).rev().collect::<Vec<_>>());
        let few = CallQuery { limit: 3, ..CallQuery::default() };
        assert_eq!(listed(&store, few.clone()).await, [30, 29, 28]);
        let other = CallQuery { tenant: Some("other".into()), ..few.clone() };
        assert_eq!(listed(&store, other).await, [30, 27, 24]);
        let late = CallQuery { since_unix_ms: Some(14_000), ..CallQuery::default() };
        assert_eq!(listed(&store, late).await, [30, 29, 28]);
        assert_eq!(listed(&store, CallQuery { limit: 0, ..few }).await, []);
        let all = CallQuery { limit: usize::MAX, since_unix_ms: Some(0), tenant: None };
        assert_eq!(listed(&store, all).await.len(), 30);
    });
}

#[test]
fn extreme_numbers_are_kept() {
    on_every_home(|store| async move {
        let record = CallRecord { talk_ms: u64::MAX, ..record(u128::MAX, 0) };
        store.close_call(record.clone()).await.unwrap();
        assert_eq!(store.call(CallId::new(u128::MAX)).await, Ok(Some(record)));
        let never = CallQuery { since_unix_ms: Some(u64::MAX), ..CallQuery::default() };
        assert_eq!(listed(&store, never).await, []);
    });
}

#[test]
fn a_healthy_home_says_so_and_counts() {
    on_every_home(|store| async move {
        store.open_call(open_call(1, 1_000)).await.unwrap();
        store.close_call(record(1, 1_000)).await.unwrap();
        let health = store.health().await.unwrap();
        assert!(health.ok && health.error.is_none());
        assert_eq!((health.rows, health.failed, health.waiting, health.unreadable), (2, 0, 0, 0));
        assert!(health.commits >= 1);
    });
}

#[test]
fn many_at_once_all_get_their_answer() {
    on_every_home(|store| async move {
        let writers: Vec<_> = (1..=200)
            .map(|id| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.close_call(record(id, id as u64)).await })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), Ok(()));
        }
        let all = CallQuery { limit: 1_000, ..CallQuery::default() };
        assert_eq!(listed(&store, all).await.len(), 200);
    });
}
