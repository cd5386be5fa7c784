//! Two nodes and one book: whoever talks at either is on the line, and is called back by neither.

use std::net::IpAddr;
use std::sync::Arc;

use call::CallEvent;
use desk::{AttemptLegs, Callback, CallbackId, CallbackParts, CallbackState, TalkRequest, Wanted, Wish, Zone};
use store::{Change, Changed, Home, KeptCallback, Memory, NewCallback, Pause};

use super::super::tests::{ask_of, both, house, posted};
use super::*;
use crate::clock;
use crate::drive::messages::tests::example;

/// Two nodes on one book. Their queue is paused, so that they hold what is due and call nobody.
async fn nodes() -> (Arc<dyn Home>, [Callbacks; 2]) {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let (tenant, queue) = ("shop".into(), "support".into());
    let pause = Pause { tenant, queue, by: "admin".to_owned(), note: String::new(), at_unix_ms: 1 };
    home.pause_queue(pause).await.unwrap();
    let nodes = [house(&home), house(&home)];
    (home, nodes)
}

/// Waits in the book: due at once, or at the moment this session chose.
async fn waiting(home: &Arc<dyn Home>, id: u128, session: &str, chosen: bool) -> CallbackId {
    let now = clock::unix_ms();
    let mut parts = example(now).parts().clone();
    let wanted = chosen.then(|| Wanted::at(now, &Zone::named("UTC").unwrap()).unwrap());
    session.clone_into(&mut parts.wish.tags.session);
    let wish = Wish { number: format!("+336123457{id:02}"), wanted, ..parts.wish.clone() };
    let parts = CallbackParts { id: CallbackId::new(id), wish, state: CallbackState::Scheduled, ..parts };
    let new = NewCallback { callback: Callback::from_parts(parts), manage: id, request_key: None, seat: None };
    home.add_callback(new).await.unwrap();
    CallbackId::new(id)
}

async fn until(home: &Arc<dyn Home>, id: CallbackId, is: impl Fn(&KeptCallback) -> bool) -> KeptCallback {
    for _ in 0..3_000 {
        let kept = home.callback(id).await.unwrap().unwrap();
        if is(&kept) {
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", home.callback(id).await);
}

async fn held(home: &Arc<dyn Home>, id: CallbackId) -> KeptCallback {
    until(home, id, |kept| kept.callback.state() == CallbackState::Queued && kept.lease.is_some()).await
}

/// A visitor rings at this node.
async fn rings(node: &Callbacks, session: &str) -> CallId {
    let request = TalkRequest {
        queue: "support".into(),
        session: session.to_owned(),
        page_url: String::new(),
        page_title: String::new(),
        referrer: None,
        language: String::new(),
        source_ip: IpAddr::from([127, 0, 0, 1]),
    };
    node.lines[0].context.desk.talk(request).await.unwrap().0.id
}

async fn answered(node: &Callbacks, call: CallId) {
    node.lines[0].context.desk.event(call, CallEvent::State(State::Bridged)).await;
}

#[tokio::test]
async fn who_talks_at_either_node_is_called_back_by_neither() {
    let (home, nodes) = nodes().await;
    for (number, node) in (0..).step_by(10).zip(&nodes) {
        let (session, other) = (format!("s{number}"), format!("other{number}"));
        let his =
            [waiting(&home, number + 1, &session, false).await, waiting(&home, number + 2, &session, false).await];
        let chosen = waiting(&home, number + 3, &session, true).await;
        let others = waiting(&home, number + 4, &other, false).await;
        for id in his.into_iter().chain([chosen, others]) {
            held(&home, id).await;
        }
        posted(&home).await;
        let call = rings(node, &session).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        held(&home, his[0]).await;
        answered(node, call).await;
        for id in his {
            let served = until(&home, id, |kept| kept.callback.state().is_over()).await;
            assert_eq!((served.callback.state(), served.lease), (CallbackState::Served, None));
            let view = node.show(&id.to_string(), &format!("{:032x}", id.bits())).await.unwrap();
            assert_eq!((view.state, view.detail, view.can_cancel), ("completed", Some("served"), false));
        }
        held(&home, chosen).await;
        held(&home, others).await;
        assert!(both("callback.completed").len() >= posted(&home).await.len(), "the visitor is not written to");
    }
}

#[tokio::test]
async fn who_is_on_the_line_is_refused_until_he_hangs_up() {
    let (home, [node, other]) = nodes().await;
    let refused = async |node: &Callbacks, number: usize| {
        let mut ask = ask_of(number, &super::super::tests::slot(node, 0).await, None);
        ask.session.id = "s1".to_owned();
        node.ask(ask).await.err().map(|refusal| (refusal.code, refusal.status))
    };
    // A call-back of his session, whichever node rings him, and with whatever number he asks.
    let id = waiting(&home, 1, "s1", false).await;
    let mut ringing = held(&home, id).await;
    ringing.callback.offer("1001").unwrap();
    assert_eq!(refused(&other, 50).await, None, "an agent is asked; nobody rings him yet");
    ringing.callback.dial(CallId::new(1), clock::unix_ms(), AttemptLegs::default()).unwrap();
    let change = Change { callback: ringing.callback, version: ringing.version, held: true };
    assert!(matches!(home.change_callback(change).await, Ok(Changed::Done(_))));
    for node in [&node, &other] {
        assert_eq!(refused(node, 51).await, Some(("in_call", 409)));
    }
    let stranger = node.ask(ask_of(2, "asap", None)).await;
    assert_ne!(stranger.err().map(|refusal| refusal.code), Some("in_call"), "another session");

    // A talk on the site, once an agent has answered.
    let (home, [node, _]) = nodes().await;
    let call = rings(&node, "s1").await;
    assert_eq!(refused(&node, 52).await, None, "nobody has answered");
    answered(&node, call).await;
    for _ in 0..3_000 {
        if refused(&node, 53).await.is_some_and(|(code, _)| code == "in_call") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(refused(&node, 54).await, Some(("in_call", 409)));
    node.lines[0].context.desk.forget(call).await;
    for _ in 0..3_000 {
        if talking(&node.lines[0].context.desk.view()).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_ne!(refused(&node, 55).await.map(|(code, _)| code), Some("in_call"));
    drop(home);
}
