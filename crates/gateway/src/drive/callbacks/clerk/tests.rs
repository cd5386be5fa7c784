//! Who spoke with a customer last, as the clerk finds it in the book.

use std::sync::Arc;

use call::CallId;
use desk::{Attempt, AttemptLegs, Callback, CallbackParts, Outcome};
use store::{Added, Home, Memory, NewCallback};

use super::super::tests::house;
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
