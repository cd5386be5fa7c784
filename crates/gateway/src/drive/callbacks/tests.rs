//! What the door tells outside: one promise, its move and its end, each in the outbox before it is answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use call::{QueueId, TenantId};
use desk::{CallLimits, DeskConfig, DeskLimits, Queue, QueueTarget};
use media::sdp::SrtpPolicy;
use store::{Home, Memory, Message, NewCallback, NodeId};
use web::{CallbackAsk, CallbackMade, SessionInfo};

use super::*;
use crate::clock;
use crate::config::{self, Config};
use crate::drive::call::CallConfig;
use crate::drive::calls::Calls;
use crate::drive::console::Consoles;
use crate::drive::media::MediaHandle;
use crate::drive::sip::{Order, SipHandle};
use crate::number_key::NumberKey;

const CONFIG: &str = r#"
[[tenant]]
id = "shop"
origins = ["https://www.shop.example"]
[tenant.webhook]
url = "http://127.0.0.1:9/hook"
secret_file = "KEY"
events = ["callback.scheduled", "callback.moved", "callback.cancelled", "callback.expired"]
[[trunk]]
name = "pbx"
uri = "sip:127.0.0.1"
[[queue]]
id = "support"
tenant = "shop"
dial = "sip:600@pbx"
[queue.callback]
trunk = "pbx"
[mail]
host = "localhost"
tls = "none"
from = "rappel@shop.example"
"#;

fn configured() -> Config {
    let folder =
        std::env::temp_dir().join(format!("passerelle-door-{}-{:x}", std::process::id(), rand::random::<u64>()));
    std::fs::create_dir_all(&folder).unwrap();
    let (key, path) = (folder.join("key"), folder.join("passerelle.toml"));
    std::fs::write(&key, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    std::fs::write(&path, CONFIG.replace("KEY", &key.display().to_string())).unwrap();
    let config = config::load(&path).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    config
}

/// Call-backs of a house without phones: nobody is ever called.
pub(super) fn house(home: &Arc<dyn Home>) -> Callbacks {
    house_with(home, |_| {})
}

/// The same, its queue set up otherwise.
pub(super) fn house_with(home: &Arc<dyn Home>, set_up: impl FnOnce(&mut QueueCallback)) -> Callbacks {
    house_of(home, &["support"], set_up, true, mpsc::channel(1).0)
}

/// Two queues, and nobody who looks after the book but the test.
pub(super) fn house_of_two(home: &Arc<dyn Home>) -> Callbacks {
    house_of(home, &["support", "sales"], |_| {}, false, mpsc::channel(1).0)
}

/// The usual house, and what it asks of the signalling.
pub(super) fn house_heard(home: &Arc<dyn Home>) -> (Callbacks, mpsc::Receiver<Order>) {
    let (orders, heard) = mpsc::channel(16);
    (house_of(home, &["support"], |_| {}, true, orders), heard)
}

fn house_of(
    home: &Arc<dyn Home>,
    queues: &[&str],
    set_up: impl FnOnce(&mut QueueCallback),
    clerk: bool,
    orders: mpsc::Sender<Order>,
) -> Callbacks {
    let config = configured();
    let queue = Queue {
        id: QueueId::from("support"),
        target: QueueTarget::Trunk { trunk: TrunkId::from("pbx"), uri: "600".to_owned() },
        ring_limit: Duration::from_secs(25),
        max_waiting: 10,
        hours: None,
    };
    let desk = DeskConfig {
        tenant: TenantId::from("shop"),
        queues: vec![queue],
        agents: Vec::new(),
        limits: DeskLimits { live_per_address: 10, asks_per_address_per_minute: 30, live_calls: 10 },
        calls: CallLimits::default(),
        wrap_up: Duration::ZERO,
        seed: [1; 32],
    };
    let calls = Calls::default();
    let config_of_calls = Arc::new(CallConfig {
        sdp_ip: None,
        trunks: Vec::new(),
        trunk_users: Vec::new(),
        agent_codecs: Vec::new(),
        agent_srtp: SrtpPolicy::Off,
        seats: std::collections::BTreeMap::new(),
        tag_keys: Vec::new(),
        made_up_keys: Vec::new(),
    });
    let rules = crate::drive::desk::Rules { desk, calls: Arc::clone(&config_of_calls) };
    let (desk, _task) = crate::drive::desk::start(rules, calls.clone());
    let context = CallContext {
        sip: SipHandle::new(orders, Arc::default()),
        media: MediaHandle::new(Vec::new()),
        desk,
        store: Arc::clone(home),
        calls,
        consoles: Consoles::default(),
        tap: crate::ladder::Tap::default(),
        config: config_of_calls,
    };
    let mut callback = config.queues[0].callback.clone().unwrap();
    set_up(&mut callback);
    let line = |queue: &&str| Line {
        tenant: "shop".to_owned(),
        queue: (*queue).to_owned(),
        config: callback.clone(),
        hours: None,
        agents: vec!["1001".to_owned()],
        customer_keys: vec![Secret::new(crate::customer_token::tests::KEY.to_owned())],
        context: context.clone(),
        retired: false,
    };
    let lines = queues.iter().map(line).collect();
    let key = NumberKey::for_this_process().unwrap();
    let shield = Arc::new(Shield::new(Arc::clone(home), key, &config));
    let (callbacks, clerks) = start(NodeId(rand::random()), shield, lines, Messages::new(Arc::clone(home), &config));
    if !clerk {
        clerks.abort();
    }
    callbacks
}

fn ask(email: Option<&str>, when: &str) -> CallbackAsk {
    CallbackAsk {
        tenant: "shop".to_owned(),
        queue: "support".to_owned(),
        number: "06 12 34 56 78".to_owned(),
        country: None,
        when: when.to_owned(),
        tz: "Europe/Paris".to_owned(),
        consent: Some(("callback-v1".to_owned(), "1".to_owned())),
        email: email.map(str::to_owned),
        hold: None,
        customer: None,
        request_key: Some("k1".to_owned()),
        session: SessionInfo { id: "s1".to_owned(), lang: "fr".to_owned(), ..SessionInfo::default() },
        source: IpAddr::from([127, 0, 0, 1]),
    }
}

/// The `number`th slot that is at least two hours away.
pub(super) async fn slot(callbacks: &Callbacks, number: usize) -> String {
    let ask = web::SlotsAsk {
        tenant: "shop".to_owned(),
        queue: "support".to_owned(),
        tz: String::new(),
        from: Zone::named("UTC").unwrap().rfc3339(clock::unix_ms() + 7_200_000).unwrap(),
        to: String::new(),
        hold: String::new(),
    };
    callbacks.slots(ask).await.unwrap().slots[number].start.clone()
}

/// What is in the outbox, and out of it: kind and destination.
pub(super) async fn posted(home: &Arc<dyn Home>) -> Vec<(String, String)> {
    let far = u64::MAX / 4;
    let mut found = Vec::new();
    for Message { id, kind, destination, .. } in home.claim_messages(far, far, 100).await.unwrap() {
        home.end_message(id).await.unwrap();
        found.push((kind, destination));
    }
    found.sort();
    found
}

pub(super) fn both(kind: &str) -> Vec<(String, String)> {
    ["mail", "webhook.shop"].map(|to| (kind.to_owned(), to.to_owned())).to_vec()
}

fn and_reminder(mut of: Vec<(String, String)>) -> Vec<(String, String)> {
    of.push(("callback.reminder".to_owned(), "mail".to_owned()));
    of.sort();
    of
}

fn to(when: &str, hold: Option<String>) -> web::CallbackMove {
    web::CallbackMove { when: when.to_owned(), tz: "Europe/Paris".to_owned(), hold }
}

/// Another visitor, with another number.
pub(super) fn ask_of(number: usize, when: &str, hold: Option<String>) -> CallbackAsk {
    CallbackAsk {
        number: format!("06 12 34 57 {number:02}"),
        request_key: None,
        session: SessionInfo { id: format!("s{number}"), ..SessionInfo::default() },
        hold,
        ..ask(None, when)
    }
}

fn hold_of(session: &str, start: &str) -> web::HoldAsk {
    let (tenant, queue, session) = ("shop".to_owned(), "support".to_owned(), session.to_owned());
    let by = web::HoldBy::Visitor { tenant, queue, session };
    web::HoldAsk { by, start: start.to_owned(), tz: String::new(), place: "192.0.2.1".to_owned() }
}

#[tokio::test]
async fn the_last_seat_is_given_once_and_to_whoever_holds_it() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let (first, second, third) = (slot(&callbacks, 0).await, slot(&callbacks, 1).await, slot(&callbacks, 2).await);
    let held = callbacks.hold(hold_of("s1", &first)).await.unwrap();
    assert_eq!((held.held_s, held.start.is_empty(), held.until.is_empty()), (120, false, false));
    let gone = |refused: web::backend::Refusal| assert_eq!((refused.code, refused.status), ("slot_gone", 409));
    gone(callbacks.hold(hold_of("s2", &first)).await.unwrap_err());
    gone(callbacks.ask(ask_of(2, &first, None)).await.unwrap_err());
    let mine = callbacks.ask(ask_of(1, &first, Some(held.hold.clone()))).await.unwrap();
    gone(callbacks.ask(ask_of(3, &first, Some(held.hold))).await.unwrap_err());

    // Moved with a hold by its key; what it left is free, and what others hold is not.
    let by = web::HoldBy::Callback { id: mine.view.id.clone(), key: mine.manage.clone() };
    let own = callbacks.hold(web::HoldAsk { by, ..hold_of("", &second) }).await.unwrap();
    gone(callbacks.ask(ask_of(2, &second, None)).await.unwrap_err());
    let moved = callbacks.reschedule(&mine.view.id, &mine.manage, &to(&second, Some(own.hold))).await.unwrap();
    assert_ne!(moved.promised_unix_ms, mine.view.promised_unix_ms);
    let other = callbacks.hold(hold_of("s2", &third)).await.unwrap();
    gone(callbacks.reschedule(&mine.view.id, &mine.manage, &to(&third, None)).await.unwrap_err());
    callbacks.release(&other.hold).await.unwrap();
    callbacks.reschedule(&mine.view.id, &mine.manage, &to(&third, None)).await.unwrap();
    callbacks.ask(ask_of(2, &first, None)).await.unwrap();
    let stranger = web::HoldBy::Callback { id: mine.view.id, key: "0".repeat(32) };
    assert_eq!(
        callbacks.hold(web::HoldAsk { by: stranger, ..hold_of("", &second) }).await.unwrap_err().code,
        "not_found"
    );
}

#[tokio::test]
async fn of_many_who_ask_for_the_same_slot_one_is_promised_it() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let start = slot(&callbacks, 0).await;
    let asks = (10..30).map(|number| {
        let (callbacks, ask) = (callbacks.clone(), ask_of(number, &start, None));
        tokio::spawn(async move { callbacks.ask(ask).await.is_ok() })
    });
    let mut promised = 0;
    for ask in asks.collect::<Vec<_>>() {
        promised += usize::from(ask.await.unwrap());
    }
    assert_eq!(promised, 1);
}

#[tokio::test]
async fn what_a_visitor_does_is_in_the_outbox_before_he_has_his_answer() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    assert!(callbacks.offer("shop", "support").email, "the form may ask for an address");
    let first = slot(&callbacks, 0).await;
    let CallbackMade { view, manage, .. } = callbacks.ask(ask(Some("claire@mail.example"), &first)).await.unwrap();
    assert_eq!(posted(&home).await, and_reminder(both("callback.scheduled")));
    let kept = callbacks.home.callback(view.id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.callback.wish().email.as_ref().map(desk::Email::as_str), Some("claire@mail.example"));
    let again = callbacks.ask(ask(Some("claire@mail.example"), &first)).await.unwrap();
    assert!(again.again);
    assert_eq!(posted(&home).await, [], "the same request is told once");

    let second = slot(&callbacks, 3).await;
    callbacks.reschedule(&view.id, &manage, &to(&second, None)).await.unwrap();
    assert_eq!(posted(&home).await, and_reminder(both("callback.moved")));
    callbacks.cancel(&view.id, &manage).await.unwrap();
    assert_eq!(posted(&home).await, both("callback.cancelled"));
    callbacks.cancel(&view.id, &manage).await.unwrap();
    assert_eq!(posted(&home).await, [], "called off already");
}

#[tokio::test]
async fn one_that_nobody_called_in_time_is_told_of_when_it_expires() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let long_ago = crate::drive::messages::tests::example(clock::unix_ms() - 3 * 86_400_000);
    home.add_callback(NewCallback { callback: long_ago, manage: 1, request_key: None, seat: None }).await.unwrap();
    let _callbacks = house(&home);
    let told = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let told = posted(&home).await;
            if !told.is_empty() {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(told.await.unwrap(), both("callback.expired"));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_none_is_needed() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    for wrong in ["claire", "claire@mail.example\r\nBcc: x@y.fr", "a@b.fr,c@d.fr"] {
        let refused = callbacks.ask(ask(Some(wrong), "asap")).await.unwrap_err();
        assert_eq!((refused.code, refused.status), ("email_invalid", 422), "{wrong:?}");
    }
    callbacks.ask(ask(None, "asap")).await.unwrap();
    let expected = [("callback.scheduled".to_owned(), "webhook.shop".to_owned())];
    assert_eq!(posted(&home).await, expected);
}

#[tokio::test]
async fn an_outbox_without_room_fails_no_promise() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    for batch in 0..Message::WAITING_MAX.div_ceil(Message::BATCH_MAX) {
        let message = |at: usize| Message {
            id: format!("m{}", batch * Message::BATCH_MAX + at),
            kind: "callback.moved".to_owned(),
            destination: "nobody".to_owned(),
            payload: String::new(),
            due_unix_ms: u64::MAX / 8,
            tries: 0,
        };
        let left = Message::WAITING_MAX - batch * Message::BATCH_MAX;
        home.post_messages((0..left.min(Message::BATCH_MAX)).map(message).collect()).await.unwrap();
    }
    let made = callbacks.ask(ask(Some("claire@mail.example"), "asap")).await.unwrap();
    callbacks.cancel(&made.view.id, &made.manage).await.unwrap();
    assert_eq!(home.messages_waiting().await, Ok(Message::WAITING_MAX as u64));
}

#[tokio::test]
async fn who_goes_first_is_the_shops_word_and_never_the_pages() {
    use crate::customer_token::tests::{KEY, claims, token};
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let hs256 = serde_json::json!({"alg": "HS256"});
    let now_s = clock::unix_ms() / 1_000;
    let good = token(&hs256, &claims(now_s), KEY);
    let known = |number: usize, when: &str, token: &str| CallbackAsk {
        customer: Some(token.to_owned()),
        ..ask_of(number, when, None)
    };
    let kept = async |made: &CallbackMade| home.callback(made.view.id.parse().unwrap()).await.unwrap().unwrap();
    let first = slot(&callbacks, 0).await;
    let made = callbacks.ask(known(1, &first, &good)).await.unwrap();
    let wish = kept(&made).await.callback.wish().clone();
    assert_eq!((wish.priority, wish.customer.as_deref()), (3, Some("c-42")));
    let plain = callbacks.ask(ask_of(2, &slot(&callbacks, 1).await, None)).await.unwrap();
    assert_eq!(kept(&plain).await.callback.wish().priority, 0);

    let better = token(&hs256, &claims(now_s), "the page's own idea of a good key");
    let refused = async |token: &str| callbacks.ask(known(3, "asap", token)).await.unwrap_err().code;
    assert_eq!(refused(&better).await, "customer_invalid");
    assert_eq!(refused(&good.replace('.', "..")).await, "customer_invalid");
    assert_eq!(refused(&token(&hs256, &claims(now_s - 700), KEY)).await, "customer_expired");
    // Who logs in and asks again goes earlier, and who logs out no later.
    let again = callbacks.ask(known(2, &slot(&callbacks, 2).await, &good)).await.unwrap();
    assert_eq!((again.again, kept(&again).await.callback.wish().priority), (true, 3));
    let again = callbacks.ask(ask_of(2, &slot(&callbacks, 3).await, None)).await.unwrap();
    assert_eq!((again.again, kept(&again).await.callback.wish().priority), (true, 3));
}
