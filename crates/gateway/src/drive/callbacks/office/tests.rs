//! What staff does to the book: kept with who and why, told like a visitor's own change, and never past a holder.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use store::{Home, Memory};
use web::{QueueAct, QueueAsk, StaffQuery};

use super::super::tests::{ask_of, both, house, house_with, posted, slot};
use super::*;
use crate::drive::callbacks::forecast::LineUp;

fn admin() -> Worker {
    Worker { staff: Staff::Admin, tenants: vec!["shop".to_owned()] }
}

fn agent(extension: &str) -> Worker {
    Worker { staff: Staff::Agent(extension.to_owned()), tenants: vec!["shop".to_owned()] }
}

/// The next day of this kind that is no French holiday, at this hour in Paris.
fn paris(is_it: impl Fn(Weekday) -> bool, hour: i8) -> String {
    let paris = TimeZone::get("Europe/Paris").unwrap();
    let now = Timestamp::from_millisecond(i64::try_from(clock::unix_ms()).unwrap()).unwrap().to_zoned(paris);
    let fits = |day: &Zoned| {
        let holiday = desk::Day::new(day.year(), day.month(), day.day())
            .is_some_and(|day| desk::Holidays::France.on(day).is_some());
        is_it(day.weekday()) && !holiday
    };
    let day = (1..20).map(|days| now.checked_add(days.days()).unwrap()).find(fits).unwrap();
    format!("{}T{hour:02}:00:00", day.date())
}

fn weekday(day: Weekday) -> bool {
    !matches!(day, Weekday::Saturday | Weekday::Sunday)
}

fn wish(number: &str, when: &str) -> StaffAsk {
    StaffAsk {
        tenant: "shop".to_owned(),
        queue: "support".to_owned(),
        number: number.to_owned(),
        country: None,
        when: when.to_owned(),
        tz: "Europe/Paris".to_owned(),
        lang: "fr".to_owned(),
        email: None,
        purpose: "requested".to_owned(),
        consent_note: "asked at the counter".to_owned(),
        note: String::new(),
        priority: 0,
        agent: None,
        request_key: None,
    }
}

fn order(act: QueueAct, dry_run: bool) -> QueueAsk {
    let (tenant, queue, note) = (String::new(), "support".to_owned(), "the line is down".to_owned());
    QueueAsk { tenant, queue, act, note, dry_run, from: None }
}

fn edit(when: Option<&str>) -> StaffAct {
    StaffAct::Edit { when: when.map(str::to_owned), tz: String::new(), queue: None, agent: None, priority: None }
}

fn deeds(view: &StaffView) -> Vec<(&str, &str, &str)> {
    view.notes.iter().map(|note| (note.by.as_str(), note.deed, note.text.as_str())).collect()
}

async fn list(callbacks: &Callbacks) -> Vec<String> {
    let query = StaffQuery { limit: 100, ..StaffQuery::default() };
    let listed = callbacks.staff_list(&admin(), &query).await.unwrap();
    listed.callbacks.into_iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn a_customer_is_promised_a_call_with_his_consent_and_told_like_any_other() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let monday = paris(weekday, 10);
    let ask =
        StaffAsk { email: Some("claire@mail.example".to_owned()), priority: 3, ..wish("06 12 34 56 78", &monday) };
    let silent = StaffAsk { consent_note: " ".to_owned(), ..ask.clone() };
    assert_eq!(callbacks.staff_make(&agent("1001"), silent).await.unwrap_err().code, "consent_missing");
    let stranger = Worker { tenants: Vec::new(), ..agent("1001") };
    assert_eq!(callbacks.staff_make(&stranger, ask.clone()).await.unwrap_err().code, "queue-unknown");
    let made =
        callbacks.staff_make(&agent("1001"), StaffAsk { agent: Some("1001".to_owned()), ..ask.clone() }).await.unwrap();
    let told = posted(&home).await;
    assert!(both("callback.scheduled").iter().all(|one| told.contains(one)), "{told:?}");

    let view = callbacks.staff_show(&admin(), &made.view.id).await.unwrap();
    assert_eq!((view.number.as_str(), view.priority, view.owner.as_deref()), ("+33 6 12 34 56 78", 3, Some("1001")));
    assert!(view.promised_at.contains("10:00:00") || view.zone == "UTC", "{view:?}");
    assert_eq!(deeds(&view), [("1001", "created", "asked at the counter")]);
    let kept = home.callback(made.view.id.parse().unwrap()).await.unwrap().unwrap();
    let consent = kept.callback.wish().consent.clone().unwrap();
    assert_eq!((consent.text_id.as_str(), consent.version.as_str()), ("told-to-staff", "1001"));
    // The visitor's page shows it by its own key, and no stranger's.
    assert_eq!(callbacks.show(&made.view.id, &made.manage).await.unwrap().state, "scheduled");
    assert_eq!(callbacks.staff_make(&admin(), ask).await.unwrap_err().code, "duplicate_open");
    assert_eq!(callbacks.staff_show(&stranger, &made.view.id).await.unwrap_err(), NOT_FOUND);
}

#[tokio::test]
async fn nobody_is_promised_a_call_at_night_nor_a_follow_up_on_a_sunday() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let sunday = paris(|day| day == Weekday::Sunday, 11);
    let cases = [
        (paris(weekday, 3), "requested", Some("hours_forbid")),
        (sunday.clone(), "follow-up", Some("hours_forbid")),
        (paris(weekday, 13), "follow-up", Some("hours_forbid")),
        ("2020-01-06T10:00:00".to_owned(), "requested", Some("slot_past")),
        ("tomorrow".to_owned(), "requested", Some("when_invalid")),
        (paris(weekday, 10), "marketing", Some("request-invalid")),
        (sunday, "requested", None),
        (paris(weekday, 14), "follow-up", None),
    ];
    for (number, (when, purpose, refused)) in cases.into_iter().enumerate() {
        let ask = StaffAsk { purpose: purpose.to_owned(), ..wish(&format!("06 12 34 57 {number:02}"), &when) };
        let made = callbacks.staff_make(&admin(), ask).await;
        assert_eq!(made.err().map(|refusal| refusal.code), refused, "{when} {purpose}");
    }
}

#[tokio::test]
async fn a_change_is_told_and_written_down_and_what_forbids_itself_changes_nothing() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let made = callbacks.ask(ask_of(1, &slot(&callbacks, 0).await, None)).await.unwrap();
    let (id, key) = (made.view.id.clone(), made.manage.clone());
    posted(&home).await;
    let mut changes = callbacks.changes();
    let at = paris(weekday, 15);
    let moved = callbacks.staff_act(&agent("1001"), &id, edit(Some(&at)), "he is in a meeting").await.unwrap();
    assert_eq!(deeds(&moved), [("1001", "moved", "he is in a meeting")]);
    assert_eq!(changes.recv().await.unwrap(), id, "his page hears of it");
    assert_eq!(posted(&home).await, [("callback.moved".to_owned(), "webhook.shop".to_owned())]);
    assert!(callbacks.show(&id, &key).await.unwrap().promised_at.contains("T15:00:00"));

    for (act, code) in [
        (edit(Some(&paris(weekday, 4))), "hours_forbid"),
        (
            StaffAct::Edit {
                when: None,
                tz: String::new(),
                queue: Some("nowhere".to_owned()),
                agent: None,
                priority: None,
            },
            "queue-unknown",
        ),
        (
            StaffAct::Edit {
                when: None,
                tz: String::new(),
                queue: None,
                agent: Some("9999".to_owned()),
                priority: None,
            },
            "agent_unknown",
        ),
        (StaffAct::Complete("Not A Word".to_owned()), "request-invalid"),
    ] {
        assert_eq!(callbacks.staff_act(&admin(), &id, act, "no").await.unwrap_err().code, code);
    }
    assert_eq!(callbacks.staff_act(&admin(), &id, StaffAct::Accept, "").await.unwrap_err().code, "agent_unknown");
    assert_eq!(callbacks.staff_act(&agent("1001"), &id, StaffAct::Decline, "").await.unwrap_err().code, "gone");
    let mine = callbacks.staff_act(&agent("1001"), &id, StaffAct::Accept, "").await.unwrap();
    assert_eq!(mine.owner.as_deref(), Some("1001"));
    let nobodys = callbacks.staff_act(&agent("1001"), &id, StaffAct::Decline, "lunch").await.unwrap();
    assert_eq!((nobodys.owner, nobodys.notes.len()), (None, 3));
    let later = callbacks.staff_act(&agent("1001"), &id, StaffAct::Snooze(30), "").await.unwrap();
    assert!(later.promised_at.contains("T15:30:00") || later.zone == "UTC", "{}", later.promised_at);
    assert_eq!(posted(&home).await.len(), 1);

    let done =
        callbacks.staff_act(&agent("1001"), &id, StaffAct::Complete("resolved".to_owned()), "met him").await.unwrap();
    assert_eq!((done.state, done.disposition.as_deref(), done.can_cancel), ("completed", Some("resolved"), false));
    assert_eq!(callbacks.staff_act(&admin(), &id, StaffAct::Cancel, "").await.unwrap_err(), refusal::GONE);
    assert_eq!(list(&callbacks).await, [""; 0]);
}

#[tokio::test]
async fn of_many_who_write_at_once_none_is_lost() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let made = callbacks.ask(ask_of(1, &slot(&callbacks, 0).await, None)).await.unwrap();
    let writers = (0..4).map(|number| {
        let (callbacks, id) = (callbacks.clone(), made.view.id.clone());
        tokio::spawn(
            async move { callbacks.staff_act(&agent("1001"), &id, edit(None), &format!("note {number}")).await },
        )
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let view = callbacks.staff_show(&admin(), &made.view.id).await.unwrap();
    assert_eq!((view.notes.len(), view.sequence), (4, 5));
}

#[tokio::test]
async fn a_queue_is_emptied_only_when_that_is_meant_and_each_visitor_is_told() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let mut ids = Vec::new();
    for number in 0..5 {
        let made = callbacks.ask(ask_of(number, &slot(&callbacks, number).await, None)).await.unwrap();
        ids.push(made.view.id);
    }
    posted(&home).await;
    assert_eq!(list(&callbacks).await, ids, "by their time");
    let would = callbacks.staff_queue(&admin(), order(QueueAct::Cancel, true)).await.unwrap();
    assert_eq!((would.touched, would.left_alone, would.next), (5, 0, None));
    assert_eq!((list(&callbacks).await.len(), posted(&home).await.len()), (5, 0), "nothing is done yet");

    let before = callbacks.staff_show(&admin(), &ids[0]).await.unwrap();
    let shifted = callbacks.staff_queue(&admin(), order(QueueAct::Shift(15), false)).await.unwrap();
    assert_eq!(shifted.touched, 5);
    let after = callbacks.staff_show(&admin(), &ids[0]).await.unwrap();
    assert!(after.promised_at > before.promised_at, "{} {}", before.promised_at, after.promised_at);
    assert_eq!(deeds(&after), [("admin", "moved", "the line is down")]);
    assert_eq!(posted(&home).await.len(), 5);

    callbacks.staff_act(&admin(), &ids[4], StaffAct::Complete("resolved".to_owned()), "").await.unwrap();
    let done = callbacks.staff_queue(&admin(), order(QueueAct::Cancel, false)).await.unwrap();
    assert_eq!((done.touched, done.left_alone), (4, 0));
    assert_eq!(posted(&home).await, vec![("callback.cancelled".to_owned(), "webhook.shop".to_owned()); 4]);
    let view = callbacks.staff_show(&admin(), &ids[0]).await.unwrap();
    assert_eq!((view.state, view.detail), ("cancelled", Some("admin")));
    let elsewhere = QueueAsk { queue: "sales".to_owned(), ..order(QueueAct::Cancel, false) };
    assert_eq!(callbacks.staff_queue(&admin(), elsewhere).await.unwrap_err().code, "queue-unknown");
}

#[tokio::test]
async fn a_paused_queue_asks_nobody_until_it_is_resumed() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house_with(&home, |callback| callback.asap_while_paused = true);
    let would = callbacks.staff_queue(&admin(), order(QueueAct::Pause, true)).await.unwrap();
    assert!(!would.paused);
    let paused = callbacks.staff_queue(&admin(), order(QueueAct::Pause, false)).await.unwrap();
    assert!(paused.paused);
    assert_eq!(home.paused_queues().await.unwrap()[0].note, "the line is down");
    let made = callbacks.ask(ask_of(1, "asap", None)).await.unwrap();
    let id = made.view.id.parse().unwrap();
    let version = async |at_least: u64| {
        for _ in 0..3_000 {
            let kept = home.callback(id).await.unwrap().unwrap();
            if kept.version >= at_least && kept.callback.state() != CallbackState::Scheduled {
                return (kept.version, kept.callback.state());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the call-back is not moved on");
    };
    let (waits, state) = version(2).await;
    assert_eq!(state, CallbackState::Queued);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(version(0).await, (waits, CallbackState::Queued), "nobody is asked");
    let resumed = callbacks.staff_queue(&admin(), order(QueueAct::Resume, false)).await.unwrap();
    assert!(!resumed.paused);
    version(waits + 1).await;
}

#[tokio::test]
async fn a_paused_queue_takes_chosen_times_and_nobody_as_soon_as_possible() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let offer = || callbacks.offer("shop", "support");
    assert_eq!((offer().callback, offer().callback_now, offer().callback_reason), (true, true, None));
    let before = callbacks.ask(ask_of(1, &slot(&callbacks, 0).await, None)).await.unwrap();
    callbacks.staff_queue(&admin(), order(QueueAct::Pause, false)).await.unwrap();
    let paused = offer();
    assert_eq!((paused.callback, paused.callback_now, paused.callback_reason), (true, false, Some("paused")));
    assert_eq!((paused.opens_at, paused.wait), (None, None));
    assert_eq!(callbacks.ask(ask_of(2, "asap", None)).await.unwrap_err(), refusal::PAUSED);
    let to = web::CallbackMove { when: "asap".to_owned(), tz: String::new(), hold: None };
    assert_eq!(callbacks.reschedule(&before.view.id, &before.manage, &to).await.unwrap_err(), refusal::PAUSED);
    callbacks.ask(ask_of(3, &slot(&callbacks, 1).await, None)).await.unwrap();
    callbacks.staff_queue(&admin(), order(QueueAct::Resume, false)).await.unwrap();
    assert!(offer().callback_now);
    callbacks.ask(ask_of(2, "asap", None)).await.unwrap();
}

#[tokio::test]
async fn nobody_is_offered_what_would_be_refused_or_take_too_long() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let slow = house_with(&home, |callback| callback.wait_max = Some(Duration::ZERO));
    let offer = slow.offer("shop", "support");
    assert_eq!((offer.callback, offer.callback_now, offer.callback_reason), (true, true, None), "he goes at once");
    // The desk has said who works once its task has run.
    let busy = || {
        let in_hand_since_unix_ms = vec![clock::unix_ms(); slow.lines[0].config.at_once_max];
        slow.line_ups.show(0, LineUp { in_hand_since_unix_ms, ..LineUp::default() });
        slow.offer("shop", "support")
    };
    for _ in 0..3_000 {
        if busy().callback_reason.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let offer = busy();
    assert_eq!((offer.callback, offer.callback_now, offer.callback_reason), (true, false, Some("asap_full")));
    let asked = slow.ask(ask_of(2, "asap", None));
    busy();
    assert_eq!(asked.await.unwrap_err(), refusal::ASAP_FULL);

    let full = house_with(&home, |callback| callback.open_max = 1);
    full.ask(ask_of(3, &slot(&full, 0).await, None)).await.unwrap();
    for _ in 0..3_000 {
        if !full.offer("shop", "support").callback {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let offer = full.offer("shop", "support");
    assert_eq!((offer.callback, offer.callback_now, offer.opens_at), (false, false, None));
}

#[tokio::test]
async fn the_list_is_read_to_its_end_page_by_page_though_it_changes_meanwhile() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let mut made = Vec::new();
    for number in 0..9 {
        made.push(callbacks.ask(ask_of(number, &slot(&callbacks, number).await, None)).await.unwrap());
    }
    let ids: Vec<String> = made.iter().map(|made| made.view.id.clone()).collect();
    assert_eq!(list(&callbacks).await, ids);
    let page = async |from: String| {
        let query = StaffQuery { limit: 4, from, ..StaffQuery::default() };
        let page = callbacks.staff_list(&admin(), &query).await.unwrap();
        assert_eq!((page.more, page.queues[0].open > 4), (page.next.is_some(), true));
        (page.callbacks.into_iter().map(|one| one.id).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = page(String::new()).await;
    assert_eq!(first, ids[..4]);
    // One that was shown is gone, and so is the next one: nobody is shown twice or left out.
    for at in [1, 4] {
        callbacks.cancel(&ids[at], &made[at].manage).await.unwrap();
    }
    let (second, next) = page(next.unwrap()).await;
    assert_eq!(second, ids[5..]);
    assert_eq!(next, None);
    for wrong in ["1", "x.1.1.1", "1.2.3.zz", "1.2.3.4.5"] {
        let query = StaffQuery { limit: 4, from: wrong.to_owned(), ..StaffQuery::default() };
        assert_eq!(callbacks.staff_list(&admin(), &query).await.unwrap_err(), refusal::REQUEST_INVALID, "{wrong}");
    }
}

#[tokio::test]
async fn more_open_ones_than_one_reading_gives_are_listed_all() {
    let home: Arc<dyn Home> = Arc::new(Memory::default());
    let callbacks = house(&home);
    let far = clock::unix_ms() + 86_400_000;
    let count = store::CallbackQuery::LIMIT_MAX + 500;
    for id in 0..count {
        let mut parts = crate::drive::messages::tests::example(far).parts().clone();
        parts.id = CallbackId::new(id as u128);
        parts.wish.number = format!("+3361{id:07}");
        // Several of one instant, also where one reading ends.
        parts.wish.asked_unix_ms = 1_000_000 + id as u64 / 300;
        let callback = Callback::from_parts(parts);
        home.add_callback(NewCallback { callback, manage: 1, request_key: None, seat: None }).await.unwrap();
    }
    let (mut from, mut seen) = (String::new(), std::collections::BTreeSet::new());
    loop {
        let query = StaffQuery { limit: 4_000, from, ..StaffQuery::default() };
        let page = callbacks.staff_list(&admin(), &query).await.unwrap();
        assert_eq!(page.queues[0].open, count as u64);
        for one in page.callbacks {
            assert!(seen.insert(one.id.clone()), "{} twice", one.id);
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), count);
}
