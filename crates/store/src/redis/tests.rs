//! What is particular to a shared server: who wins among several homes, what is said when it is away, what it may lose.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use desk::{Callback, CancelledBy, RetryRules};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use super::*;
use crate::contract::callbacks::{new_callback, of_number};
use crate::contract::seats::{claim, every_seat, hold};
use crate::contract::{open_call, record};
use crate::{Lease, callback_row};
use server::Server;

pub(crate) mod server;

/// Leaves the test, saying so, when there is no server to test with.
macro_rules! need_server {
    () => {
        match Server::start(module_path!()) {
            Some(server) => server,
            None => return,
        }
    };
}

const A: NodeId = NodeId(0xa);
const B: NodeId = NodeId(0xb);
/// How long a node holds what it leased.
const HOLD: Duration = Duration::from_secs(15);
/// What a command may take as far as an assertion goes: the limit is 250 ms, the machine may be busy.
const SOON: Duration = Duration::from_secs(1);
/// Back by then.
const RECOVERY: Duration = Duration::from_secs(2);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn node(server: &Server) -> Arc<Redis> {
    Arc::new(server.home())
}

/// With the limits of a gateway.
fn quick(server: &Server) -> Redis {
    server.home_with(RedisOptions::default())
}

fn quick_beats(server: &Server) -> Redis {
    let heartbeat = Duration::from_millis(200);
    server.home_with(RedisOptions { heartbeat, answer_limit: Duration::from_secs(10), ..RedisOptions::default() })
}

async fn add(home: &Redis, id: u128, promised_unix_ms: u64) -> KeptCallback {
    let added = home.add_callback(new_callback(id, promised_unix_ms)).await.unwrap();
    let Added::New(kept) = added else { panic!("{added:?}") };
    kept
}

/// Asks until it works; says how long that took.
async fn until_it_works(home: &Redis, id: u128) -> Duration {
    let start = Instant::now();
    while let Err(error) = home.close_call(record(id, 1_000)).await {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not come back: {error}");
        sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// Fails, and says so soon.
async fn refusal(home: &Redis, id: u128) -> StoreError {
    let start = Instant::now();
    let error = home.close_call(record(id, 1_000)).await.unwrap_err();
    assert!(start.elapsed() < SOON, "{error} after {:?}", start.elapsed());
    error
}

#[test]
fn two_thousand_due_go_to_two_nodes_each_exactly_once() {
    const DUE: u128 = 2_000;
    let server = need_server!();
    runtime().block_on(async {
        let homes = [node(&server), node(&server)];
        for id in 1..=DUE {
            add(&homes[0], id, 5_000).await;
        }
        let takers = homes.into_iter().zip([A, B]).flat_map(|(home, node)| {
            (0..4).map(move |_| {
                let home = Arc::clone(&home);
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    loop {
                        let taken = home.lease_callbacks(node, 6_000, HOLD, 7).await.unwrap();
                        if taken.is_empty() {
                            return mine;
                        }
                        assert!(taken.iter().all(|kept| kept.lease.unwrap().node == node && kept.version == 2));
                        mine.extend(taken.into_iter().map(|kept| kept.callback.id()));
                    }
                })
            })
        });
        let mut all = Vec::new();
        let mut shares = Vec::new();
        for taker in takers.collect::<Vec<_>>() {
            let mine = taker.await.unwrap();
            shares.push(mine.len());
            all.extend(mine);
        }
        assert_eq!((all.len() as u128, all.iter().collect::<BTreeSet<_>>().len() as u128), (DUE, DUE), "{shares:?}");
        assert!(shares.iter().filter(|share| **share > 0).count() > 1, "one took all: {shares:?}");
    });
}

#[test]
fn nodes_whose_clocks_differ_by_minutes_take_nothing_from_each_other() {
    const MINUTES_MS: u64 = 10 * 60_000;
    let server = need_server!();
    runtime().block_on(async {
        let options = RedisOptions { answer_limit: Duration::from_secs(10), ..RedisOptions::default() };
        let (slow, fast) = (Redis::open(&server.url(), options).unwrap(), Redis::open(&server.url(), options).unwrap());
        let now = server.now_unix_ms();
        let (behind, ahead) = (now - MINUTES_MS, now + MINUTES_MS);
        add(&slow, 1, now - 2).await;
        add(&slow, 2, now - 1).await;
        add(&slow, 3, now + MINUTES_MS / 2).await;
        let ids = |kept: &[KeptCallback]| kept.iter().map(|kept| kept.callback.id().bits()).collect::<Vec<_>>();
        // What is due is due for the one who thinks that it is not, and what is not is not for the one ahead.
        let held = slow.lease_callbacks(A, behind, HOLD * 4, 1).await.unwrap();
        assert_eq!(ids(&held), [1]);
        let until = held[0].lease.unwrap().until_unix_ms;
        assert!((now + 60_000..now + 120_000).contains(&until), "{until} by the server's clock, {now}");
        assert_eq!(ids(&fast.lease_callbacks(B, ahead, HOLD * 4, 10).await.unwrap()), [2]);
        assert_eq!(fast.lease_callbacks(B, ahead, HOLD, 10).await, Ok(vec![]), "the other's is the other's");
        // The one behind says that it lives: what it says is as good as what the other says.
        assert_eq!(slow.renew_callbacks(A, vec![CallbackId::new(1)], behind, HOLD * 8).await.unwrap().len(), 1);
        let renewed = fast.callback(CallbackId::new(1)).await.unwrap().unwrap().lease.unwrap();
        assert!((now + 120_000..now + 240_000).contains(&renewed.until_unix_ms), "{renewed:?}");
        for (node, now) in [(&slow, behind), (&fast, ahead)] {
            let wait = node.next_callback(now).await.unwrap().unwrap();
            assert!((Duration::from_secs(1)..=HOLD * 4).contains(&wait), "{wait:?}");
        }
        // Only a lease that has ended goes to another.
        assert_eq!(slow.renew_callbacks(A, vec![CallbackId::new(1)], behind, Duration::ZERO).await.unwrap().len(), 1);
        assert_eq!(ids(&fast.lease_callbacks(B, behind, HOLD, 10).await.unwrap()), [1]);
        assert_eq!(slow.renew_callbacks(A, vec![CallbackId::new(1)], ahead, HOLD).await, Ok(vec![]));
    });
}

#[test]
fn of_two_nodes_visitors_one_has_the_last_seat() {
    let server = need_server!();
    runtime().block_on(async {
        let homes = [node(&server), node(&server)];
        for round in 0..20_u128 {
            let start = 100_000 * (round as u64 + 1);
            // Two seats, six who want one: promised through either node, held through either node, or moved there.
            let movers = [add(&homes[0], 1_000 + round, 1).await, add(&homes[1], 2_000 + round, 2).await];
            let takers: Vec<_> = (0..6_u128)
                .map(|number| {
                    let home = Arc::clone(&homes[number as usize % 2]);
                    let (id, mover) = (round * 10 + number + 1, movers[number as usize % 2].clone());
                    tokio::spawn(async move {
                        let seat = claim(None, 1_000);
                        match number / 2 {
                            0 => {
                                let new = NewCallback { seat: Some(seat), ..new_callback(id, start) };
                                matches!(home.add_callback(new).await, Ok(Added::New(_)))
                            }
                            1 => home.hold_seat(hold(id, start, 1_000 + start)).await == Ok(Held::Yes),
                            _ => {
                                let mut callback = mover.callback;
                                callback.reschedule(start, None).unwrap();
                                let change = Change { callback, version: mover.version, held: false };
                                matches!(home.move_callback(change, seat).await, Ok(Moved::Changed(Changed::Done(_))))
                            }
                        }
                    })
                })
                .collect();
            let mut won = 0;
            for taker in takers {
                won += u32::from(taker.await.unwrap());
            }
            let all = homes[0].taken_seats(every_seat(1_000 + start)).await.unwrap();
            assert_eq!((won, all.get(&start)), (2, Some(&2)), "round {round}");
        }
    });
}

#[test]
fn of_two_homes_one_changes_and_the_other_hears_of_it() {
    let server = need_server!();
    runtime().block_on(async {
        let (home, other) = (server.home(), server.home());
        let kept = add(&home, 1, 1_000).await;
        let seen = other.callback(CallbackId::new(1)).await.unwrap().unwrap();
        assert_eq!(seen, kept);
        // One leases it, the visitor cancels through the other: the cancellation was made from an old version.
        let held = home.lease_callbacks(A, 1_000, HOLD, 10).await.unwrap().remove(0);
        let mut cancelled = seen.callback.clone();
        cancelled.cancel(CancelledBy::Visitor).unwrap();
        let late = Change { callback: cancelled.clone(), version: seen.version, held: false };
        assert_eq!(other.change_callback(late).await, Ok(Changed::Stale(held.clone())));
        // Looked at again it counts, and the holder is the one who is late.
        let again = Change { callback: cancelled, version: held.version, held: false };
        assert!(matches!(other.change_callback(again).await, Ok(Changed::Done(_))));
        let mut queued = held.callback.clone();
        queued.come_due(1_000, &RetryRules::default()).unwrap();
        let sleeper = Change { callback: queued, version: held.version, held: true };
        assert!(matches!(home.change_callback(sleeper).await, Ok(Changed::Stale(_))));
        assert_eq!(home.renew_callbacks(A, vec![CallbackId::new(1)], 1_000, HOLD).await, Ok(vec![]));
        // The same number through both at once is promised once.
        let (one, two) = tokio::join!(
            home.add_callback(of_number(new_callback(2, 5_000), "+33612345678")),
            other.add_callback(of_number(new_callback(3, 5_000), "+33612345678"))
        );
        let news = [one, two].iter().filter(|added| matches!(added, Ok(Added::New(_)))).count();
        assert_eq!((news, home.open_callbacks(None).await), (1, Ok(1)));
    });
}

#[test]
fn only_the_calls_of_the_dead_are_closed() {
    let server = need_server!();
    runtime().block_on(async {
        let (alive, dead) = (quick_beats(&server), quick_beats(&server));
        alive.open_call(open_call(1, 1_000)).await.unwrap();
        dead.open_call(open_call(2, 1_000)).await.unwrap();
        let started = quick_beats(&server);
        assert_eq!(started.close_interrupted(50_000).await, Ok(0), "both live");
        drop(dead);
        let later = quick_beats(&server);
        assert_eq!(later.close_interrupted(60_000).await, Ok(1));
        assert_eq!(later.call(CallId::new(1)).await, Ok(None), "it is still up");
        assert_eq!(later.call(CallId::new(2)).await, Ok(Some(open_call(2, 1_000).interrupted(60_000))));
        alive.close_call(record(1, 1_000)).await.unwrap();
        assert_eq!(later.call(CallId::new(1)).await, Ok(Some(record(1, 1_000))));
    });
}

#[test]
fn who_dies_later_is_noticed_by_those_who_live() {
    let server = need_server!();
    runtime().block_on(async {
        let home = quick_beats(&server);
        assert_eq!(home.close_interrupted(50_000).await, Ok(0));
        // A process that was killed: its call is there, its heartbeat will not come again.
        let victim = quick_beats(&server);
        victim.open_call(open_call(2, 1_000)).await.unwrap();
        let process = victim.link.shared().process.clone().unwrap();
        drop(victim);
        server.say(&format!("SET {} 1 PX 400", keys::key(&["process", &process])));
        let start = Instant::now();
        let closed = loop {
            if let Some(record) = home.call(CallId::new(2)).await.unwrap() {
                break record;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "nobody noticed");
            sleep(Duration::from_millis(20)).await;
        };
        assert!(closed.interrupted && closed.ended_unix_ms >= 50_200, "{}", closed.ended_unix_ms);
        assert_eq!(server.say("SCARD passerelle:processes"), ":0\r\n");
    });
}

#[test]
fn a_server_killed_and_started_again_has_all_that_was_answered() {
    let mut server = need_server!();
    runtime().block_on(async {
        let home = Arc::new(quick(&server));
        let (answers, is_dead) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let writers: Vec<_> = (0..8_u128)
            .map(|writer| {
                let (home, answers, is_dead) = (Arc::clone(&home), Arc::clone(&answers), Arc::clone(&is_dead));
                tokio::spawn(async move {
                    let mut kept = Vec::new();
                    for id in (writer << 32) + 1.. {
                        match home.add_callback(new_callback(id, 5_000)).await {
                            Ok(_) => kept.push(id),
                            Err(_) if is_dead.load(Ordering::SeqCst) => break,
                            // A busy machine is slow now and then.
                            Err(_) => continue,
                        }
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                    kept
                })
            })
            .collect();
        while answers.load(Ordering::SeqCst) < 200 {
            sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        is_dead.store(true, Ordering::SeqCst);
        let mut answered = Vec::new();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }
        assert!(answered.len() >= 200);
        let gone = refusal(&home, 1).await;
        assert!(matches!(gone, StoreError::Unreachable(_) | StoreError::Slow), "{gone}");
        let health = home.health().await.unwrap();
        assert!(!health.ok && health.failed > 0, "{health:?}");
        server.restart();
        let took = until_it_works(&home, 1).await;
        assert!(took < RECOVERY, "{took:?}");
        for id in answered {
            let kept = home.callback(CallbackId::new(id)).await.unwrap();
            assert!(kept.is_some_and(|kept| kept.callback.id().bits() == id), "{id:x} was answered and is lost");
        }
        assert!(server.home().health().await.unwrap().ok);
    });
}

#[test]
fn a_frozen_server_is_said_soon_and_forgiven_when_it_wakes() {
    let server = need_server!();
    runtime().block_on(async {
        let home = quick(&server);
        until_it_works(&home, 1).await;
        server.signal("STOP");
        let start = Instant::now();
        assert_eq!(refusal(&home, 2).await, StoreError::Slow, "it may have been done");
        assert!(start.elapsed() >= RedisOptions::default().answer_limit);
        while start.elapsed() < Duration::from_millis(1_500) {
            let error = refusal(&home, 3).await;
            assert!(matches!(error, StoreError::Unreachable(_) | StoreError::Slow), "{error}");
            sleep(Duration::from_millis(10)).await;
        }
        let error = refusal(&home, 3).await.to_string();
        assert_eq!(error, format!("the store cannot be reached: {} does not answer", server.url()));
        server.signal("CONT");
        let took = until_it_works(&home, 4).await;
        assert!(took < RECOVERY, "{took:?}");
        // What had no answer may be asked for again.
        until_it_works(&home, 2).await;
        assert_eq!(server.home().call(CallId::new(2)).await, Ok(Some(record(2, 1_000))));
    });
}

#[test]
fn a_server_that_is_not_there_is_said_at_the_first_question() {
    let mut server = need_server!();
    server.kill();
    let home =
        Redis::open(&format!("redis://shop:secret@127.0.0.1:{}/0", server.port), RedisOptions::default()).unwrap();
    let error = runtime().block_on(refusal(&home, 1)).to_string();
    assert!(
        error.starts_with(&format!("the store cannot be reached: {}: Connection refused", server.url())),
        "{error}"
    );
    let shown = format!("{home:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn no_more_wait_than_may_while_it_does_not_answer() {
    let server = need_server!();
    let home = Arc::new(server.home_with(RedisOptions { max_waiting: 8, ..RedisOptions::default() }));
    runtime().block_on(async {
        until_it_works(&home, 1).await;
        server.signal("STOP");
        let writers: Vec<_> = (2..=100)
            .map(|id| {
                let home = Arc::clone(&home);
                tokio::spawn(async move { home.close_call(record(id, 1_000)).await })
            })
            .collect();
        let mut overloaded = 0;
        for writer in writers {
            overloaded += u32::from(writer.await.unwrap() == Err(StoreError::Overloaded));
        }
        assert!((50..=91).contains(&overloaded), "{overloaded} of 99");
        server.signal("CONT");
        assert!(until_it_works(&home, 1).await < RECOVERY);
    });
}

#[test]
fn a_server_that_takes_no_writes_is_read_and_says_why() {
    let server = need_server!();
    runtime().block_on(async {
        // A patient one: what is refused is refused at once.
        let home = server.home();
        home.close_call(record(1, 1_000)).await.unwrap();
        for (bad, good, word) in [
            ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "min-replicas-to-write"),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read-only replica"),
            ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
        ] {
            assert_eq!(server.say(bad), "+OK\r\n");
            let error = refusal(&home, 2).await;
            assert!(matches!(error, StoreError::Refused(_) | StoreError::Full(_)), "{bad}: {error}");
            assert!(error.to_string().contains(word), "{bad}: {error}");
            let health = home.health().await.unwrap();
            assert!(!health.ok && health.error.is_some_and(|why| why.contains(word)));
            assert_eq!(home.call(CallId::new(1)).await, Ok(Some(record(1, 1_000))), "{bad}");
            assert_eq!(server.say(good), "+OK\r\n");
            let took = until_it_works(&home, 3).await;
            assert!(took < RECOVERY, "{good}: {took:?}");
        }
        assert!(home.health().await.unwrap().ok);
    });
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let Some(server) = Server::start_with(module_path!(), &["--user", "shop", "on", ">right", "~*", "&*", "+@all"])
    else {
        return;
    };
    let open =
        |login: &str| Redis::open(&format!("redis://{login}@127.0.0.1:{}/0", server.port), RedisOptions::default());
    runtime().block_on(async {
        let error = refusal(&open("shop:secret").unwrap(), 1).await;
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert!(error.to_string().contains("user and password") && !error.to_string().contains("secret"), "{error}");
        assert_eq!(open("shop:right").unwrap().close_call(record(1, 1_000)).await, Ok(()));
    });
}

#[test]
fn a_reader_sees_all_and_writes_nothing() {
    let server = need_server!();
    runtime().block_on(async {
        let (home, reader) = (server.home(), crate::open_reader(&server.url()).unwrap());
        home.close_call(record(1, 1_000)).await.unwrap();
        let kept = add(&home, 7, 5_000).await;
        assert_eq!(reader.call(CallId::new(1)).await, Ok(Some(record(1, 1_000))));
        assert_eq!(reader.callback(CallbackId::new(7)).await, Ok(Some(kept)));
        assert_eq!(reader.close_call(record(2, 1_000)).await, Err(StoreError::ReadOnly));
        assert_eq!(reader.close_interrupted(1).await, Err(StoreError::ReadOnly));
        assert_eq!(reader.lease_callbacks(A, 9_000, HOLD, 1).await, Err(StoreError::ReadOnly));
        assert!(reader.health().await.unwrap().ok);
    });
}

#[test]
fn the_keys_of_a_newer_program_are_left_alone() {
    let server = need_server!();
    server.say("SET passerelle:schema 99");
    let error = runtime().block_on(refusal(&quick(&server), 1));
    assert_eq!(error, StoreError::Newer { found: 99, known: 3 });
    assert_eq!(server.say("DBSIZE"), ":1\r\n");
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let server = need_server!();
    runtime().block_on(async {
        let home = server.home();
        for id in 1..=3 {
            add(&home, id, 5_000).await;
            home.open_call(open_call(id, 1_000)).await.unwrap();
        }
        let torn = CallbackId::new(2);
        server.say(&format!("APPEND {} torn", own_key(torn)));
        server.say(&format!("HSET passerelle:call:{torn} row torn"));
        assert_eq!(home.lease_callbacks(A, 6_000, HOLD, 10).await.unwrap().len(), 2);
        assert_eq!(home.lease_callbacks(A, 19_999, HOLD, 10).await.unwrap(), [], "it is put aside");
        assert_eq!(home.callbacks(CallbackQuery::default()).await.unwrap().len(), 2);
        assert!(matches!(home.callback(torn).await, Err(StoreError::Damaged(_))));
        assert_eq!(home.close_interrupted(9_000).await, Ok(3));
        assert_eq!(home.calls(CallQuery::default()).await.unwrap().len(), 2);
        assert_eq!(home.health().await.unwrap().unreadable, 5);
    });
}

/// The key of a call-back, as it is typed.
fn own_key(id: CallbackId) -> String {
    let bytes = keys::callback(id).iter().map(|octet| format!("\\x{octet:02x}")).collect::<String>();
    format!("\"{bytes}\"")
}

/// The same of another tenant, asked for then.
fn of_tenant(callback: Callback, tenant: &str, asked_unix_ms: u64) -> Callback {
    let parts = callback.parts().clone();
    let mut tags = parts.wish.tags.clone();
    tags.tenant = tenant.into();
    let wish = desk::Wish { tags, asked_unix_ms, ..parts.wish };
    Callback::from_parts(desk::CallbackParts { wish, ..parts })
}

/// Writes a call-back as schema 2 did, its row as it was then (`1s` and short names) or as it was before (in full).
fn write_before(server: &Server, kept: &KeptCallback, request: &str, row: &str) {
    let (callback, of) = (&kept.callback, kept.callback.id());
    let (tenant, queue, number) = (&callback.tenant().0, &callback.queue().0, &callback.wish().number);
    let (asked, promised) = (callback.wish().asked_unix_ms, callback.wish().promised_unix_ms);
    let say = |words: String| assert!(server.say(&words).starts_with([':', '+']), "{words}");
    say(format!("HSET passerelle:callback:{of} queue {queue} manage {:032x} change {}", kept.manage, kept.version));
    say(format!("HSET passerelle:callback:{of} request {request} version 1 row {row:?}"));
    if let Some(Lease { node, until_unix_ms }) = kept.lease {
        say(format!("HSET passerelle:callback:{of} node {:032x} until {until_unix_ms}", node.0));
    }
    say(format!("SET passerelle:request:{tenant}:{request} {of}"));
    for order in ["asked", &format!("asked:{tenant}"), &format!("number:{number}")] {
        say(format!("ZADD passerelle:{order} {asked} {of}"));
    }
    if !callback.state().is_over() {
        say(format!("SET passerelle:waiting:{tenant}:{number} {of}"));
        say(format!("ZADD passerelle:wake {} {of}", crate::callback::wake(callback, kept.lease.as_ref()).unwrap()));
        say(format!("ZADD passerelle:open {asked} {of}"));
        say(format!("ZADD passerelle:open:{tenant} {asked} {of}"));
        say(format!("ZADD passerelle:promised:{tenant}:{queue} {promised} {of}"));
    }
}

#[test]
fn what_schema_2_kept_is_brought_up_to_date_once_its_gateways_are_gone() {
    let server = need_server!();
    runtime().block_on(async {
        let kept = |id, lease| {
            let NewCallback { callback, manage, .. } = new_callback(id, 5_000);
            KeptCallback { callback, manage, version: 3, lease }
        };
        let held = Some(Lease { node: A, until_unix_ms: 9_000 });
        let (short, full, mut over) = (kept(1, None), kept(2, held), kept(3, None));
        over.callback.cancel(CancelledBy::Admin).unwrap();
        for (kept, request, row) in [
            (&short, "k1", row::encode_before(&short.callback)),
            (&full, "k2", callback_row::encode(&full.callback).ok().unwrap()),
            (&over, "k3", row::encode_before(&over.callback)),
            (&kept(4, None), "k4", "1s{torn".to_owned()),
        ] {
            write_before(&server, kept, request, &row);
        }
        server.say("SET passerelle:schema 2");
        let reader = refusal(&Redis::open_reader(&server.url(), RedisOptions::default()).unwrap(), 1).await;
        assert_eq!(reader, StoreError::ReadOnly);
        let asked = crate::open_reader(&server.url()).unwrap().callback(short.callback.id()).await;
        assert!(matches!(&asked, Err(StoreError::Refused(why)) if why.contains("start a gateway")), "{asked:?}");
        // One of the older version lives: it would go on writing the older form.
        server.say("SET passerelle:process:old 1");
        let homes = [server.home(), server.home()];
        let refused = refusal(&homes[0], 1).await;
        assert!(matches!(&refused, StoreError::Refused(why) if why.contains("stop all of them")), "{refused}");
        assert_eq!(server.say("GET passerelle:schema"), "$1\r\n2\r\n");
        server.say("DEL passerelle:process:old");
        // Two of this version begin at once.
        for home in &homes {
            until_it_works(home, 1).await;
        }
        let home = &homes[0];
        for (was, request) in [(&short, "k1"), (&full, "k2"), (&over, "k3")] {
            assert_eq!(home.callback(was.callback.id()).await.as_ref(), Ok(&Some(was.clone())));
            let tenant = was.callback.tenant().clone();
            assert_eq!(home.requested_callback(tenant, request.to_owned()).await.as_ref(), Ok(&Some(was.clone())));
            assert_eq!(home.callbacks_to(was.callback.wish().number.clone(), 0).await, Ok(1));
        }
        assert_eq!(home.callbacks(CallbackQuery::default()).await.unwrap().len(), 3);
        let of_session = home.callbacks_of_session(short.callback.tenant().clone(), "session 1".to_owned()).await;
        assert_eq!(of_session, Ok(vec![short.clone()]));
        assert_eq!(
            (home.open_callbacks(None).await, home.next_callback(4_000).await),
            (Ok(2), Ok(Some(Duration::from_secs(1))))
        );
        assert_eq!(home.taken_seats(every_seat(1_000)).await.unwrap().get(&5_000), Some(&2));
        let again = home.add_callback(new_callback(2, 5_000)).await;
        assert!(matches!(&again, Ok(Added::Open(kept) | Added::Same(kept)) if kept == &full), "{again:?}");
        assert_eq!(home.renew_callbacks(A, vec![full.callback.id()], 6_000, HOLD).await.unwrap().len(), 1);
        let taken = home.lease_callbacks(B, 6_000, HOLD, 10).await.unwrap();
        assert_eq!(taken.iter().map(|kept| kept.callback.id()).collect::<Vec<_>>(), [short.callback.id()]);
        // Nothing of before is left but what nobody could read.
        for before in
            ["callback:*", "wake", "open*", "asked*", "number:*", "promised:*", "waiting:*", "request:*", "migrating"]
        {
            assert_eq!(server.say(&format!("KEYS passerelle:{before}")), "*0\r\n", "{before}");
        }
        assert!(server.say("KEYS passerelle:unreadable:*").starts_with("*1\r\n"));
        assert_eq!(server.say("GET passerelle:schema"), "$1\r\n3\r\n");
        assert_eq!(server.say("GET passerelle:kept"), "$1\r\n3\r\n");
    });
}

#[test]
fn the_newest_of_many_tenants_are_listed_as_those_of_one() {
    let server = need_server!();
    runtime().block_on(async {
        let home = server.home();
        // One tenant has most of the newest, some have the same moments, one had its last long ago.
        for id in 1..=200_u128 {
            let tenant = if id % 3 == 0 { format!("shop{}", id % 11) } else { "big:one".to_owned() };
            let callback = of_tenant(new_callback(id, 5_000).callback, &tenant, 1_000 + (id as u64) / 2);
            let added = home.add_callback(NewCallback { callback, ..new_callback(id, 5_000) }).await;
            assert!(matches!(added, Ok(Added::New(_))), "{added:?}");
        }
        for limit in [1, 7, 50, 199, 500] {
            let query = CallbackQuery { limit, ..CallbackQuery::default() };
            let found = home.callbacks(query).await.unwrap();
            let ids: Vec<_> = found.iter().map(|kept| kept.callback.id().bits()).collect();
            assert_eq!(ids, (1..=200).rev().take(limit).collect::<Vec<_>>(), "limit {limit}");
        }
        let query =
            CallbackQuery { since_unix_ms: Some(1_010), before_unix_ms: Some(1_012), ..CallbackQuery::default() };
        let found = home.callbacks(query).await.unwrap();
        assert_eq!(found.iter().map(|kept| kept.callback.id().bits()).collect::<Vec<_>>(), [23, 22, 21, 20]);
        assert_eq!(home.open_callbacks(None).await, Ok(200));
    });
}

#[test]
fn what_is_over_makes_room_the_oldest_first() {
    let server = need_server!();
    runtime().block_on(async {
        let home = server.home_with(RedisOptions {
            max_callbacks: 5,
            max_calls: 5,
            answer_limit: Duration::from_secs(10),
            ..RedisOptions::default()
        });
        for id in 1..=8 {
            home.close_call(record(id, id as u64)).await.unwrap();
        }
        let left = home.calls(CallQuery::default()).await.unwrap();
        assert_eq!(left.iter().map(|record| record.id.bits()).collect::<Vec<_>>(), [8, 7, 6, 5, 4]);
        let keyed = |id| NewCallback { request_key: Some(format!("k{id}")), ..new_callback(id, 5_000) };
        for id in 1..=5 {
            home.add_callback(keyed(id)).await.unwrap();
        }
        assert_eq!(home.add_callback(keyed(6)).await, Err(StoreError::Overloaded), "all are open");
        for id in [4, 2] {
            let kept = home.callback(CallbackId::new(id)).await.unwrap().unwrap();
            let mut callback = kept.callback;
            callback.cancel(CancelledBy::Admin).unwrap();
            home.change_callback(Change { callback, version: kept.version, held: false }).await.unwrap();
        }
        assert!(matches!(home.add_callback(keyed(6)).await, Ok(Added::New(_))));
        assert_eq!(home.callback(CallbackId::new(2)).await, Ok(None));
        assert_eq!(home.callbacks_to(keyed(2).callback.wish().number.clone(), 0).await, Ok(0));
        assert!(matches!(home.add_callback(keyed(2)).await, Ok(Added::New(_))), "its key went with it");
        assert_eq!(home.callback(CallbackId::new(4)).await, Ok(None));
        assert_eq!(home.open_callbacks(None).await, Ok(5));
    });
}

/// Prints what this machine's Redis and disk give, with a flush before every answer.
#[test]
#[expect(clippy::print_stdout, reason = "prints what it measures")]
fn the_book_under_load() {
    const EACH: u128 = 50;
    const WRITERS: u128 = 64;
    let server = need_server!();
    runtime().block_on(async {
        let home = node(&server);
        let rate = |what: &str, count: u128, start: Instant| {
            println!("{what}: {count}, {:.0}/s", count as f64 / start.elapsed().as_secs_f64());
        };
        let start = Instant::now();
        for id in 0..200 {
            add(&home, (1 << 64) + id, 9_000).await;
        }
        rate("one after another, added", 200, start);
        let start = Instant::now();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let home = Arc::clone(&home);
                tokio::spawn(async move {
                    for id in writer * EACH..(writer + 1) * EACH {
                        add(&home, id + 1, 5_000).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        rate("64 at once, added", WRITERS * EACH, start);
        let start = Instant::now();
        let held = home.lease_callbacks(A, 6_000, HOLD, 10_000).await.unwrap();
        rate("leased", held.len() as u128, start);
        assert_eq!(held.len() as u128, WRITERS * EACH);
        let start = Instant::now();
        let changes: Vec<_> = held
            .into_iter()
            .map(|kept| {
                let home = Arc::clone(&home);
                tokio::spawn(async move {
                    let mut callback = kept.callback;
                    callback.come_due(6_000, &RetryRules::default()).unwrap();
                    home.change_callback(Change { callback, version: kept.version, held: true }).await
                })
            })
            .collect();
        let (mut done, mut refused) = (0_u128, 0_u128);
        for change in changes {
            let changed = change.await.unwrap();
            refused += u128::from(changed == Err(StoreError::Overloaded));
            done += u128::from(matches!(changed, Ok(Changed::Done(_))));
        }
        rate("at once, changed", done, start);
        assert_eq!(done + refused, WRITERS * EACH);
        assert!(done >= 1_000, "{done}");
    });
}
