//! The guard alone: each limit, each order of service, the bound of its memory.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Guard, GuardConfig, Refusal, Standing, Verdict};
use crate::timer::tests::start;

const LOAD: (usize, usize) = (0, 1_000);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn known(guard: &mut Guard, now: Instant) -> Verdict {
    guard.judge((Standing::Known, ip("192.0.2.1")), true, LOAD, now)
}

fn stranger(guard: &mut Guard, from: &str, now: Instant) -> Verdict {
    guard.judge((Standing::Stranger, ip(from)), false, LOAD, now)
}

#[test]
fn above_the_rate_calls_get_503_and_above_that_nothing() {
    let now = start();
    let mut guard = Guard::new(GuardConfig { calls_per_second: 10, ..GuardConfig::default() });
    let verdicts: Vec<Verdict> = (0..200).map(|_| known(&mut guard, now)).collect();
    let count = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    assert_eq!(count(Verdict::Serve), 10);
    assert_eq!(count(Verdict::Busy(Refusal::Overloaded)), 100);
    assert_eq!(count(Verdict::Drop(Refusal::OverloadDropped)), 90);
    // A tenth of a second later there is room for one more.
    let later = now + Duration::from_millis(100);
    assert_eq!(known(&mut guard, later), Verdict::Serve);
    assert_ne!(known(&mut guard, later), Verdict::Serve);
}

#[test]
fn strangers_who_call_leave_half_of_the_room_to_the_known() {
    let now = start();
    let mut guard = Guard::new(GuardConfig { calls_per_second: 10, ..GuardConfig::default() });
    let from = (Standing::Stranger, ip("198.51.100.1"));
    let served = (0..50).filter(|_| guard.judge(from, true, LOAD, now) == Verdict::Serve).count();
    assert_eq!(served, 5);
    let served = (0..50).filter(|_| known(&mut guard, now) == Verdict::Serve).count();
    assert_eq!(served, 5);
}

#[test]
fn transactions_alive_shut_strangers_out_first_and_calls_that_are_up_last() {
    let now = start();
    let mut guard = Guard::new(GuardConfig::default());
    let from = ip("192.0.2.7");
    let mut served = |standing, alive| guard.judge((standing, from), false, (alive, 100), now) == Verdict::Serve;
    for (standing, room) in [(Standing::Stranger, 50), (Standing::Known, 100), (Standing::InCall, 200)] {
        assert!(served(standing, room - 1), "{standing:?}");
        assert!(!served(standing, room), "{standing:?}");
    }
}

#[test]
fn a_stranger_who_asks_too_much_is_not_heard_for_a_while_and_others_are() {
    let now = start();
    let ban = Duration::from_secs(60);
    let config = GuardConfig { stranger_requests: 10, ban, ..GuardConfig::default() };
    let mut guard = Guard::new(config);
    let bad = "198.51.100.1";
    for _ in 0..10 {
        assert_eq!(stranger(&mut guard, bad, now), Verdict::Serve);
    }
    assert_eq!(stranger(&mut guard, bad, now), Verdict::Drop(Refusal::Barred), "told once");
    for second in 0..60 {
        let at = now + Duration::from_secs(second);
        assert_eq!(stranger(&mut guard, bad, at), Verdict::Drop(Refusal::FromBarred));
        assert_eq!(stranger(&mut guard, "198.51.100.2", at), Verdict::Serve, "its neighbour asks once a second");
    }
    assert_eq!(stranger(&mut guard, bad, now + ban), Verdict::Serve);
}

#[test]
fn wrong_proof_costs_more_and_right_proof_nothing() {
    let now = start();
    let tries = |cost: fn(&mut Guard, Instant)| {
        let mut guard = Guard::new(GuardConfig { stranger_requests: 50, ..GuardConfig::default() });
        let heard = |guard: &mut Guard| stranger(guard, "198.51.100.1", now) == Verdict::Serve;
        (0..1_000)
            .take_while(|_| {
                let both = heard(&mut guard) && heard(&mut guard);
                cost(&mut guard, now);
                both
            })
            .count()
    };
    assert_eq!(tries(|_, _| {}), 25);
    assert!(tries(|guard, now| assert!([true, false].contains(&guard.disproven(ip("198.51.100.1"), now)))) <= 9);
    // A big office behind one address, all of whose phones come at once: only what all strangers share bounds them.
    assert_eq!(tries(|guard, now| guard.proven(ip("198.51.100.1"), now)), 200);
}

#[test]
fn an_ipv6_network_is_one_source() {
    let now = start();
    let mut guard = Guard::new(GuardConfig { stranger_requests: 10, ..GuardConfig::default() });
    let served = (0..100u32)
        .filter(|host| stranger(&mut guard, &format!("2001:db8:0:1:{host:x}::1"), now) == Verdict::Serve)
        .count();
    assert_eq!(served, 10);
    assert_eq!(stranger(&mut guard, "2001:db8:0:2::1", now), Verdict::Serve);
    assert_eq!(guard.remembered(), 2);
}

#[test]
fn a_flood_of_invented_addresses_fills_no_memory_and_frees_nobody() {
    let now = start();
    let mut guard = Guard::new(GuardConfig { sources: 1_000, ..GuardConfig::default() });
    let bad = ip("203.0.113.5");
    while guard.hear(bad, now).is_ok() {}
    for number in 0..100_000u32 {
        let at = now + Duration::from_micros(u64::from(number) * 50);
        let invented = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let _any = guard.judge((Standing::Stranger, invented), false, LOAD, at);
        assert!(guard.remembered() <= 1_000);
    }
    let at = now + Duration::from_secs(6);
    assert!(guard.is_barred(bad, at));
    // What was paid off is gone with the next one who comes.
    let _any = guard.hear(ip("203.0.113.6"), at + Duration::from_secs(300));
    assert_eq!(guard.remembered(), 1);
}
