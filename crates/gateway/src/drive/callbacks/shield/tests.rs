//! The shield at the door and at the clerk's desk: a real book and a real clerk, no agent to give anything to.

use std::sync::atomic::AtomicU64;

use call::TenantId;
use desk::{CallLimits, CallbackState, CancelledBy, DeskConfig, DeskLimits, FailReason};
use store::{Counted, Memory, NodeId, SuppressedBy, Tally};
use web::backend::Refusal;
use web::refusal;
use web::{CallbackAsk, CallbackMade, SessionInfo};

use super::super::*;
use super::Leave;
use crate::clock;
use crate::config::{self, Config};
use crate::drive::call::CallConfig;
use crate::drive::calls::Calls;
use crate::drive::console::Consoles;
use crate::drive::media::MediaHandle;
use crate::drive::sip::SipHandle;
use crate::number_key::NumberKey;

const NUMBER: &str = "06 12 34 56 78";
const E164: &str = "+33612345678";
/// A clerk looks at least once a second; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two tenants that call back through one trunk, with these keys for the trunk and for their queues.
fn config(trunk: &str, queue: &str) -> Config {
    let tenant = |id: &str| {
        format!(
            "[[tenant]]\nid = \"{id}\"\norigins = [\"https://{id}.example\"]\n[[queue]]\nid = \"support\"\n\
             tenant = \"{id}\"\ndial = \"sip:600@pbx\"\n[queue.callback]\ntrunk = \"pbx\"\n{queue}\n"
        )
    };
    let text = format!(
        "[store]\nurl = \"memory:\"\n[[trunk]]\nname = \"pbx\"\nuri = \"sip:192.0.2.1\"\n{trunk}\n{}{}",
        tenant("shop"),
        tenant("bank")
    );
    let name = format!("passerelle-shield-{}-{:x}.toml", std::process::id(), rand::random::<u64>());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    let examined = config::examine(&path);
    std::fs::remove_file(&path).unwrap();
    let problems = format!("{:?}", examined.problems);
    examined.into_config().map_err(|_| problems).unwrap()
}

struct House {
    home: Arc<dyn Home>,
    shield: Arc<Shield>,
    callbacks: Callbacks,
}

impl House {
    fn open(trunk: &str, queue: &str) -> Self {
        Self::of(Arc::new(Memory::default()), &config(trunk, queue), None)
    }

    /// The same book at a site with these hours.
    fn of(home: Arc<dyn Home>, config: &Config, hours: Option<&Hours>) -> Self {
        let key = NumberKey::of(config).unwrap();
        let shield = Arc::new(Shield::new(Arc::clone(&home), key, config));
        let lines = config.queues.iter().map(|queue| Line { hours: hours.cloned(), ..line(&home, queue) }).collect();
        let (callbacks, _clerk) =
            start(NodeId(rand::random()), Arc::clone(&shield), lines, Messages::new(Arc::clone(&home), config));
        Self { home, shield, callbacks }
    }

    fn line(&self) -> &Line {
        self.callbacks.line("shop", "support").unwrap()
    }

    async fn ask(&self, tenant: &str, number: &str, session: &str) -> Result<CallbackMade, Refusal> {
        self.ask_for(tenant, number, session, "asap").await
    }

    async fn ask_for(&self, tenant: &str, number: &str, session: &str, when: &str) -> Result<CallbackMade, Refusal> {
        let ask = CallbackAsk {
            tenant: tenant.to_owned(),
            queue: "support".to_owned(),
            number: number.to_owned(),
            country: None,
            when: when.to_owned(),
            tz: String::new(),
            consent: Some(("callback-v1".to_owned(), "1".to_owned())),
            hold: None,
            customer: None,
            email: None,
            request_key: None,
            session: SessionInfo { id: session.to_owned(), ..SessionInfo::default() },
            source: [192, 0, 2, 7].into(),
        };
        self.callbacks.ask(ask).await
    }

    async fn refused(&self, tenant: &str, number: &str, session: &str) -> Refusal {
        self.ask(tenant, number, session).await.unwrap_err()
    }

    async fn kept(&self, made: &CallbackMade) -> KeptCallback {
        self.home.callback(made.view.id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Waits until the clerk has brought it there.
    async fn until(&self, made: &CallbackMade, there: impl Fn(&KeptCallback) -> bool) -> KeptCallback {
        let start = clock::now();
        loop {
            let kept = self.kept(made).await;
            if there(&kept) {
                return kept;
            }
            assert!(start.elapsed() < PATIENCE, "{kept:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// So many were dialled today already.
    async fn dialled(&self, count: u64) {
        let (day, _) = Zone::named("UTC").unwrap().day_and_next(clock::unix_ms()).unwrap();
        let tally = Tally { day: day.to_string(), name: "dials:pbx".to_owned() };
        assert!(matches!(self.home.count(tally, count, u64::MAX).await, Ok(Counted::Done(_))));
    }
}

/// A queue's line at a desk where nobody sits.
fn line(home: &Arc<dyn Home>, queue: &config::checked::Queue) -> Line {
    let desk = DeskConfig {
        tenant: TenantId(queue.tenant.clone()),
        queues: Vec::new(),
        agents: Vec::new(),
        limits: DeskLimits { live_per_address: 1, asks_per_address_per_minute: 1, live_calls: 1 },
        calls: CallLimits::default(),
        wrap_up: Duration::ZERO,
        seed: [7; 32],
    };
    let calls = Calls::default();
    let config = Arc::new(CallConfig {
        sdp_ip: None,
        trunks: Vec::new(),
        trunk_users: Vec::new(),
        agent_codecs: Vec::new(),
        agent_srtp: media::sdp::SrtpPolicy::Off,
        seats: std::collections::BTreeMap::new(),
        tag_keys: Vec::new(),
        made_up_keys: Vec::new(),
    });
    let rules = crate::drive::desk::Rules { desk, calls: Arc::clone(&config) };
    let (desk, _task) = crate::drive::desk::start(rules, calls.clone());
    let context = CallContext {
        sip: SipHandle::new(mpsc::channel(1).0, Arc::new(AtomicU64::new(1))),
        media: MediaHandle::new(Vec::new()),
        desk,
        store: Arc::clone(home),
        calls,
        consoles: Consoles::default(),
        tap: crate::ladder::Tap::default(),
        config,
    };
    Line {
        tenant: queue.tenant.clone(),
        queue: queue.id.clone(),
        config: queue.callback.clone().unwrap(),
        customer_keys: Vec::new(),
        agents: Vec::new(),
        hours: queue.hours.clone(),
        context,
        retired: false,
    }
}

fn blocked() -> Refusal {
    refusal::NUMBER_BLOCKED
}

#[tokio::test]
async fn who_said_on_the_telephone_that_it_was_not_he_is_called_by_nobody() {
    let house = House::open("", "");
    house.shield.suppress(None, E164, SuppressedBy::Recipient).await.unwrap();
    assert_eq!(house.refused("shop", NUMBER, "s1").await, blocked());
    assert_eq!(house.refused("bank", "+33 6 12 34 56 78", "s1").await, blocked(), "however it is written");
    house.ask("shop", "06 12 34 56 79", "s1").await.unwrap();
}

#[tokio::test]
async fn the_word_of_the_telephone_is_noted_for_every_tenant() {
    let house = House::open("", "");
    let made = house.ask("shop", NUMBER, "s1").await.unwrap();
    house.shield.not_me(made.view.id.parse().unwrap(), E164.to_owned());
    let start = clock::now();
    while !house.shield.suppressed("bank", E164).await.unwrap() {
        assert!(start.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    let [noted] = house.home.suppressions(10).await.unwrap().try_into().unwrap();
    assert_eq!(noted.by, SuppressedBy::Recipient);
}

#[tokio::test]
async fn the_page_s_not_me_calls_it_off_and_binds_its_own_tenant_alone() {
    let house = House::open("", "");
    let made = house.ask("shop", NUMBER, "s1").await.unwrap();
    let wrong = house.callbacks.disown(&made.view.id, "5ec7e7").await.unwrap_err();
    assert_eq!(wrong.code, "not_found");
    let view = house.callbacks.disown(&made.view.id, &made.manage).await.unwrap();
    assert_eq!((view.state, view.detail), ("cancelled", Some("recipient")));
    let again = house.callbacks.disown(&made.view.id, &made.manage).await.unwrap();
    assert_eq!(again.state, "cancelled", "said twice is said once");
    assert_eq!(house.refused("shop", NUMBER, "s2").await, blocked());
    house.ask("bank", NUMBER, "s2").await.unwrap();
    assert_eq!(house.home.suppressions(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_that_comes_on_the_list_while_it_waits_is_not_called() {
    let house = House::open("", "");
    let made = house.ask("shop", NUMBER, "s1").await.unwrap();
    house.until(&made, |kept| kept.callback.state() == CallbackState::Queued).await;
    house.shield.suppress(None, E164, SuppressedBy::Admin).await.unwrap();
    let over = house.until(&made, |kept| kept.callback.state().is_over()).await;
    assert_eq!(over.callback.state(), CallbackState::Failed(FailReason::NotAllowed));
}

#[tokio::test]
async fn a_stranger_hears_one_word_whichever_budget_it_was() {
    let house = House::open("", "per_session_per_day_max = 2");
    let made = house.ask("shop", NUMBER, "s1").await.unwrap();
    let open = house.refused("shop", NUMBER, "stranger").await;
    // Asked again by its own visitor it is moved, and is the same.
    let again = house.ask("shop", NUMBER, "s1").await.unwrap();
    assert!(again.again && again.view.id == made.view.id);
    let session = house.refused("shop", "06 12 34 56 79", "s1").await;
    house.callbacks.cancel(&made.view.id, &made.manage).await.unwrap();
    house.ask("bank", NUMBER, "other").await.unwrap();
    let number = house.refused("shop", NUMBER, "third").await;
    assert_eq!([open, session, number], [refusal::TOO_MANY_REQUESTS; 3]);
    let kept = house.kept(&made).await;
    assert_eq!(kept.callback.state(), CallbackState::Cancelled(CancelledBy::Visitor));
}

#[tokio::test]
async fn a_tenant_is_asked_so_often_in_a_day() {
    let house = House::open("", "asks_per_day_max = 2");
    for (number, session) in [("06 12 34 56 70", "s1"), ("06 12 34 56 71", "s2")] {
        house.ask("shop", number, session).await.unwrap();
    }
    let full = house.refused("shop", "06 12 34 56 72", "s3").await;
    assert_eq!((full.code, full.status), ("capacity_full", 503));
    assert!(full.retry_after_s.is_some_and(|wait_s| wait_s > 0 && wait_s <= 86_400), "until the next day begins");
    house.ask("bank", "06 12 34 56 72", "s3").await.unwrap();
}

#[tokio::test]
async fn the_spend_stop_counts_each_dial_and_ends_at_the_next_day() {
    let house = House::open("callback_dials_per_day_max = 3", "");
    let number = house.line().config.numbers.judge(NUMBER, None).unwrap();
    let now = clock::unix_ms();
    let (_, next) = Zone::named("UTC").unwrap().day_and_next(now).unwrap();
    for _ in 0..3 {
        assert_eq!(house.shield.dial(house.line(), &number, now).await, Ok(Leave::Yes));
    }
    assert_eq!(house.shield.stopped_until(house.line(), now), None, "nobody was refused yet");
    assert_eq!(house.shield.dial(house.line(), &number, now).await, Ok(Leave::Spent(next)));
    assert_eq!(house.shield.stopped_until(house.line(), now), Some(next));
    assert_eq!(house.shield.stopped_until(house.line(), next), None);
    assert_eq!(house.shield.dial(house.line(), &number, next).await, Ok(Leave::Yes), "a new day, a new budget");
    // Another node, or another life of this one, finds what was spent.
    let config = config("callback_dials_per_day_max = 3", "");
    let other = Shield::new(Arc::clone(&house.home), NumberKey::of(&config).unwrap(), &config);
    assert_eq!(other.leave(house.line(), E164, now).await, Ok(Leave::Spent(next)));
}

#[tokio::test]
async fn time_on_the_line_is_a_budget_too() {
    let house = House::open("callback_minutes_per_day_max = 2", "");
    let now = clock::unix_ms();
    house.shield.note_line_time(house.line(), E164, Duration::from_secs(60));
    house.shield.note_line_time(house.line(), E164, Duration::from_secs(59));
    house.shield.note_line_time(house.line(), E164, Duration::ZERO);
    let start = clock::now();
    let (day, next) = Zone::named("UTC").unwrap().day_and_next(now).unwrap();
    let tally = Tally { day: day.to_string(), name: "line-ms:pbx".to_owned() };
    while house.home.counted(tally.clone()).await != Ok(119_000) {
        assert!(start.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    assert_eq!(house.shield.leave(house.line(), E164, now).await, Ok(Leave::Yes));
    house.shield.note_line_time(house.line(), E164, Duration::from_secs(1));
    while house.shield.leave(house.line(), E164, now).await == Ok(Leave::Yes) {
        assert!(start.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    assert_eq!(house.shield.leave(house.line(), E164, now).await, Ok(Leave::Spent(next)));
}

#[tokio::test]
async fn while_the_budget_is_used_up_what_waits_is_promised_anew_and_what_is_asked_is_for_tomorrow() {
    // A window of one hour: by the rules of retries alone it would be lost.
    let house = House::open("callback_dials_per_day_max = 3", "window_hours = 1");
    let made = house.ask("shop", NUMBER, "s1").await.unwrap();
    house.until(&made, |kept| kept.callback.state() == CallbackState::Queued).await;
    assert!(house.callbacks.offer("shop", "support").callback_now);
    house.dialled(3).await;
    let now = clock::unix_ms();
    let (_, next) = Zone::named("UTC").unwrap().day_and_next(now).unwrap();
    let put = house.until(&made, |kept| kept.callback.state() == CallbackState::Scheduled).await;
    assert_eq!((put.callback.due_unix_ms(), put.callback.wish().promised_unix_ms), (Some(next), next));
    assert!(put.callback.wish().wanted.is_some() && put.lease.is_none());
    assert!(!house.callbacks.offer("shop", "support").callback_now, "the form offers no more than it can keep");

    let full = house.refused("bank", "06 12 34 56 79", "s2").await;
    assert_eq!((full.code, full.status), ("capacity_full", 503), "another tenant, the same trunk");
    let utc = Zone::named("UTC").unwrap();
    let tomorrow = utc.rfc3339(next + 3_600_000).unwrap();
    let kept = house.ask_for("bank", "06 12 34 56 79", "s2", &tomorrow).await.unwrap();
    assert_eq!(house.kept(&kept).await.callback.state(), CallbackState::Scheduled);
}

#[tokio::test]
async fn what_waits_when_the_site_closes_is_promised_anew_for_its_next_opening() {
    let config = config("", "window_hours = 1");
    let open = House::of(Arc::new(Memory::default()), &config, None);
    let made = open.ask("shop", NUMBER, "s1").await.unwrap();
    open.until(&made, |kept| kept.callback.state() == CallbackState::Queued).await;
    open.callbacks.hand_over().await;
    // Open in two days; the first of January 1970 was a Thursday.
    let days = clock::unix_ms() / 86_400_000 + 2;
    let weekday = u8::try_from((days + 3) % 7).unwrap();
    let opening = desk::Opening { weekday, from_minute: 600, to_minute: 660 };
    let hours = Hours::new("UTC", vec![opening]).unwrap();
    let closed = House::of(Arc::clone(&open.home), &config, Some(&hours));
    let put = closed.until(&made, |kept| kept.callback.state() == CallbackState::Scheduled).await;
    let opens = days * 86_400_000 + 600 * 60_000;
    assert_eq!((put.callback.due_unix_ms(), put.callback.wish().promised_unix_ms), (Some(opens), opens));
    assert!(put.callback.wish().wanted.is_some(), "in a zone, as what he chose himself");
}

#[tokio::test]
async fn numbers_kept_under_another_key_are_noticed() {
    let house = House::open("", "");
    assert_eq!(house.shield.look_at_keys().await, Ok(0));
    house.shield.suppress(None, E164, SuppressedBy::Admin).await.unwrap();
    assert_eq!(house.shield.look_at_keys().await, Ok(0));
    // In memory each start has a key of its own.
    let config = config("", "");
    let other = Shield::new(Arc::clone(&house.home), NumberKey::of(&config).unwrap(), &config);
    assert_eq!(other.suppressed("shop", E164).await, Ok(false));
    assert_eq!(other.look_at_keys().await, Ok(1));
}

#[tokio::test]
async fn when_a_days_money_is_spent_nobody_is_called_until_the_next_and_what_is_dear_is_spent_sooner() {
    let trunk = "callback_prices = { \"33\" = 0.01, \"336\" = 0.5 }\ncallback_money_per_day_max = 1";
    let house = House::open(trunk, "");
    let now = clock::unix_ms();
    let (day, _) = Zone::named("UTC").unwrap().day_and_next(now).unwrap();
    let spent = async |micros: u64| {
        let start = clock::now();
        let tally = Tally { day: day.to_string(), name: "micros:pbx".to_owned() };
        while house.home.counted(tally.clone()).await.unwrap() < micros {
            assert!(start.elapsed() < PATIENCE, "{micros} is not spent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.home.counted(tally.clone()).await.unwrap()
    };
    // An hour to a fixed line costs as much as 72 seconds to a mobile.
    house.shield.note_line_time(house.line(), "+33142685300", Duration::from_secs(3_600));
    assert_eq!(spent(1).await, 600_000);
    assert_eq!(house.shield.spent(house.line(), now).await, Ok(None));
    house.shield.note_line_time(house.line(), E164, Duration::from_secs(48));
    assert_eq!(spent(600_001).await, 1_000_000);
    assert!(house.shield.spent(house.line(), now).await.unwrap().is_some_and(|until| until > now));
    assert_eq!(house.refused("shop", NUMBER, "s1").await.code, "capacity_full");
}
