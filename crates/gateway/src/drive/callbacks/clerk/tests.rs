//! Who spoke with a customer last, as the clerk finds it in the book.

use std::sync::Arc;

use call::CallId;
use desk::{Attempt, AttemptLegs, Callback, CallbackParts, Outcome};
use store::{Added, Home, Memory, NewCallback};

use super::super::tests::{house, house_heard, house_of_two};
use super::*;
use crate::drive::messages::tests::example;

const DAY_MS: u64 = 86_400_000;

/// One in which this agent spoke with the customer then; without an agent one that is still to come.
fn talk(id: u128, tenant: &str, agent: Option<&str>, at_unix_ms: u64) -> NewCallback {
    let attempt = |agent: &str| Attempt {
        call: CallId::new(id),
        at_unix_ms,
        agent: agent.to_owned(),
        outcome: Some(Outcome::Reached),
        legs: AttemptLegs::default(),
    };
    let parts = example(at_unix_ms).parts().clone();
    let mut wish = parts.wish.clone();
    wish.tags.tenant = tenant.into();
    let state = if agent.is_some() { CallbackState::Completed } else { CallbackState::Scheduled };
    let attempts = agent.map(attempt).into_iter().collect();
    let parts = CallbackParts { id: CallbackId::new(id), wish, state, attempts, ..parts };
    NewCallback { callback: Callback::from_parts(parts), manage: id, request_key: None, seat: None }
}

/// Who spoke with the customer last, by a book that holds these talks: tenant, agent, and how many days ago.
async fn last(talks: &[(&str, &str, u64)]) -> Option<String> {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let now = clock::unix_ms();
    for (id, (tenant, agent, days)) in talks.iter().enumerate() {
        home.add_callback(talk(id as u128, tenant, Some(agent), now - days * DAY_MS)).await.unwrap();
    }
    let coming = home.add_callback(talk(1_000, "shop", None, now + DAY_MS)).await.unwrap();
    let Added::New(kept) = coming else { panic!("{coming:?}") };
    let callbacks = house(&home);
    let (mut clerk, lines, id) = (Clerk::new(callbacks.clone()), Arc::clone(&callbacks.lines), kept.callback.id());
    clerk.held.insert(id, Held::Waiting { line: 0, kept: Box::new(kept), declined: Vec::new(), spoke: None });
    let found = clerk.spoke_last(id, &lines[0], now).await;
    // It is looked up once: what comes later changes nothing for one whose turn has come.
    home.add_callback(talk(1_001, "shop", Some("later"), now)).await.unwrap();
    assert_eq!(clerk.spoke_last(id, &lines[0], now).await, found);
    found
}

#[tokio::test]
async fn who_spoke_last_is_found_among_the_talks_of_the_tenant_that_are_not_too_old() {
    assert_eq!(last(&[]).await, None);
    assert_eq!(
        last(&[("shop", "1001", 20), ("shop", "1002", 10), ("shop", "1003", 15)]).await.as_deref(),
        Some("1002")
    );
    assert_eq!(last(&[("shop", "1001", 20), ("bank", "1002", 10)]).await.as_deref(), Some("1001"));
    assert_eq!(last(&[("shop", "1001", 31)]).await, None, "thirty days are remembered");
}

/// One that is due now, of this queue.
fn due(id: u128, queue: &str, asked_unix_ms: u64) -> NewCallback {
    let mut parts = example(asked_unix_ms).parts().clone();
    parts.wish.tags.queue = queue.into();
    parts.wish.number = format!("+336123457{id:02}");
    parts.wish.wanted = None;
    parts.wish.asked_unix_ms = asked_unix_ms;
    let parts = CallbackParts { id: CallbackId::new(id), due_unix_ms: asked_unix_ms, ..parts };
    NewCallback { callback: Callback::from_parts(parts), manage: id, request_key: None, seat: None }
}

#[tokio::test]
async fn the_rush_of_one_queue_takes_no_place_from_another() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let now = clock::unix_ms();
    // Ten of one queue, all longer overdue than the one of the other.
    for id in 0..10 {
        home.add_callback(due(id, "support", now - 60_000 + u64::try_from(id).unwrap())).await.unwrap();
    }
    home.add_callback(due(50, "sales", now - 1_000)).await.unwrap();
    let callbacks = house_of_two(&home);
    let mut clerk = Clerk::new(callbacks.clone());
    clerk.held_max = 3;
    clerk.take_due().await;
    let held = |clerk: &Clerk| {
        let mut ids: Vec<u128> = clerk.held.keys().map(|id| id.bits()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(held(&clerk), [0, 1, 2, 50], "the longest overdue of each");
    let aside = home.callback(CallbackId::new(3)).await.unwrap().unwrap();
    assert_eq!((aside.callback.state(), aside.lease), (CallbackState::Scheduled, None));
    let wish = aside.callback.wish();
    assert_eq!((wish.asked_unix_ms, wish.promised_unix_ms), (now - 59_997, now - 59_997), "his place stays");
    assert!(aside.callback.due_unix_ms().is_some_and(|due| due >= now + ms(ASIDE)));
    clerk.take_due().await;
    assert_eq!(held(&clerk), [0, 1, 2, 50], "what was set aside is not taken again and again");
}

#[tokio::test]
async fn of_a_dead_nodes_offer_the_telephone_falls_silent_and_nothing_counts() {
    let leg = "UDP 127.0.0.1:5062\r\nCANCEL sip:1001@127.0.0.1:5062 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:gw@127.0.0.1>;tag=a\r\n\
        To: <sip:1001@127.0.0.1:5062>\r\nCall-ID: c0ffee-0\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n";
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let (tenant, queue) = ("shop".into(), "support".into());
    let pause = store::Pause { tenant, queue, by: "admin".to_owned(), note: String::new(), at_unix_ms: 1 };
    home.pause_queue(pause).await.unwrap();
    let (now, dead) = (clock::unix_ms(), store::NodeId::new(9, 9));
    home.add_callback(due(1, "support", now - 60_000)).await.unwrap();
    // Its lease has ended since.
    let kept = home.lease_callbacks(dead, now - 60_000, LEASE, 1).await.unwrap().remove(0);
    let mut callback = kept.callback.clone();
    callback.come_due(now - 60_000, &desk::RetryRules::default()).unwrap();
    callback.offer("1001").unwrap();
    callback.note_offer(leg.to_owned()).unwrap();
    home.change_callback(Change { callback, version: kept.version, held: true }).await.unwrap();

    let (_callbacks, mut heard) = house_heard(&home);
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Some(crate::drive::sip::Order::EndOrphan { orphan, reply }) = heard.recv().await {
                let _heir_gone = reply.send(sip::OrphanEnd::Unanswered);
                return orphan.to_string();
            }
        }
    });
    let ended = ended.await.unwrap();
    assert!(ended.contains("CANCEL sip:1001@") && ended.contains("c0ffee-0"), "{ended}");
    for _ in 0..3_000 {
        let kept = home.callback(CallbackId::new(1)).await.unwrap().unwrap();
        let parts = kept.callback.parts();
        if parts.state == CallbackState::Queued {
            assert_eq!((parts.attempts.len(), parts.offer_leg.as_str(), kept.callback.counted()), (0, "", 0));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not in order");
}
