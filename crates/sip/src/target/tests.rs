//! Tests of `target`: RFC 3263 against a table of records, health and choice on a virtual clock, seeds printed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::endpoint::Transport;

fn start() -> Instant {
    // The one place where a test needs a clock's origin; no time passes on it.
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be made by the clock")]
    Instant::now()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wanted(host: &str, port: Option<u16>, transport: Option<Transport>) -> Wanted {
    let transports = vec![Transport::Udp, Transport::Tcp];
    let host = host.to_owned();
    Wanted { host, port, transport, transports, ipv4: true, ipv6: false, priority: 0, weight: 1 }
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: name.to_owned(), kind }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
    Record::Srv { priority, weight, port, target: target.to_owned() }
}

fn naptr(order: u16, preference: u16, flags: &str, service: &str, replacement: &str) -> Record {
    let text = str::to_owned;
    Record::Naptr { order, preference, flags: text(flags), service: text(service), replacement: text(replacement) }
}

fn a(address: &str) -> Record {
    Record::Address(address.parse().unwrap())
}

/// The example of RFC 3263 §4.1, and a few hosts.
fn zone() -> BTreeMap<Question, Answer> {
    let records = [
        (
            "example.test",
            Kind::Naptr,
            vec![
                naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.test"),
                naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.test"),
                naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.test"),
            ],
        ),
        (
            "_sip._tcp.example.test",
            Kind::Srv,
            vec![
                srv(1, 10, 5060, "server2.example.test."),
                srv(0, 1, 5062, "Server1.Example.Test"),
                srv(0, 3, 5064, "server2.example.test"),
            ],
        ),
        ("_sip._udp.only-srv.test", Kind::Srv, vec![srv(0, 0, 5070, "server1.example.test")]),
        ("_sip._udp.gone.test", Kind::Srv, vec![srv(0, 0, 0, ".")]),
        ("server1.example.test", Kind::A, vec![a("192.0.2.1")]),
        ("server2.example.test", Kind::A, vec![a("192.0.2.2"), a("192.0.2.3")]),
        ("plain.test", Kind::A, vec![a("192.0.2.9")]),
        ("gone.test", Kind::A, vec![a("192.0.2.10")]),
    ];
    records.into_iter().map(|(name, kind, found)| (question(name, kind), Answer::Records(found))).collect()
}

/// Searches with every question answered by the zone, or with nothing; also how often it asked.
fn search(wanted: &Wanted, zone: &BTreeMap<Question, Answer>) -> (Located, usize) {
    let mut known = BTreeMap::new();
    for rounds in 0..5 {
        match locate(wanted, &known) {
            Located::Ask(questions) => {
                assert!(!questions.is_empty());
                for asked in questions {
                    let answer = zone.get(&asked).cloned().unwrap_or(Answer::Records(Vec::new()));
                    assert!(known.insert(asked, answer).is_none(), "asked twice");
                }
            }
            done @ (Located::Found(_) | Located::Nothing(_)) => return (done, rounds),
        }
    }
    panic!("it asks without end");
}

fn places(wanted: &Wanted) -> (Vec<String>, usize) {
    match search(wanted, &zone()) {
        (Located::Found(found), rounds) => {
            let shown = |one: &Candidate| {
                format!("{} {} {}/{} {}", one.transport, one.address, one.priority.0, one.priority.1, one.weight)
            };
            (found.iter().map(shown).collect(), rounds)
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn a_uri_leads_where_rfc_3263_says() {
    // §4.1 NAPTR: TLS has no socket here, TCP comes before UDP; the SRV order; two addresses share a weight.
    let (found, rounds) = places(&wanted("example.test", None, None));
    assert_eq!(
        found,
        [
            "TCP 192.0.2.1:5062 0/0 1",
            "TCP 192.0.2.2:5064 0/0 2",
            "TCP 192.0.2.3:5064 0/0 2",
            "TCP 192.0.2.2:5060 0/1 5",
            "TCP 192.0.2.3:5060 0/1 5"
        ]
    );
    assert_eq!(rounds, 3);
    for (host, port, transport, expected, asked) in [
        ("192.0.2.7", None, None, "UDP 192.0.2.7:5060 0/0 1", 0),
        ("[2001:db8::1]", Some(5080), Some(Transport::Tcp), "TCP [2001:db8::1]:5080 0/0 1", 0),
        // §4.2: a port means no SRV.
        ("only-srv.test", Some(5099), None, "", 1),
        ("plain.test", Some(5099), None, "UDP 192.0.2.9:5099 0/0 1", 1),
        // No NAPTR: SRV. None of that: the host itself.
        ("only-srv.test", None, None, "UDP 192.0.2.1:5070 0/0 0", 3),
        ("plain.test", None, None, "UDP 192.0.2.9:5060 0/0 1", 4),
        ("plain.test", None, Some(Transport::Tcp), "TCP 192.0.2.9:5060 0/0 1", 2),
    ] {
        let one = wanted(host, port, transport);
        if expected.is_empty() {
            assert!(matches!(search(&one, &zone()), (Located::Nothing(_), rounds) if rounds == asked), "{host}");
        } else {
            assert_eq!(places(&one), (vec![expected.to_owned()], asked), "{host}");
        }
    }
}

#[test]
fn a_failing_server_is_told_from_one_that_has_nothing() {
    let failed = || Answer::Failed("REFUSED".to_owned());
    // NAPTR refused: the rest is tried. SRV refused: nothing is known, and the host's address would be a guess.
    let mut zone = zone();
    zone.insert(question("only-srv.test", Kind::Naptr), failed());
    assert!(matches!(search(&wanted("only-srv.test", None, None), &zone).0, Located::Found(_)));
    zone.insert(question("_sip._udp.only-srv.test", Kind::Srv), failed());
    let (located, _) = search(&wanted("only-srv.test", None, None), &zone);
    assert_eq!(located, Located::Nothing("REFUSED".to_owned()));
    // One host of two: the other serves.
    zone.insert(question("server1.example.test", Kind::A), failed());
    let (located, _) = search(&wanted("example.test", None, None), &zone);
    assert!(matches!(located, Located::Found(found) if found.len() == 4));
}

#[test]
fn an_answer_of_any_size_leads_to_a_bounded_number_of_places() {
    let mut zone = zone();
    let many = (0..200).map(|n| srv(n, 1, 5060, &format!("host{n}.test"))).collect();
    zone.insert(question("_sip._udp.many.test", Kind::Srv), Answer::Records(many));
    for host in 0..200 {
        let addresses = (1..200).map(|last| a(&format!("10.0.{host}.{last}"))).collect();
        zone.insert(question(&format!("host{host}.test"), Kind::A), Answer::Records(addresses));
    }
    assert!(matches!(search(&wanted("many.test", None, None), &zone).0, Located::Found(found) if found.len() == 32));
}

fn candidate(last: u8, priority: u16, weight: u16) -> Candidate {
    let address = std::net::SocketAddr::from(([192, 0, 2, last], 5060));
    Candidate { priority: (priority, 0), weight, transport: Transport::Udp, address }
}

fn group(candidates: &[Candidate], every: Option<u64>, now: Instant) -> Group {
    let mut group = Group::new(Probing { every: every.map(secs) });
    group.set(candidates, now, || 0.5);
    group
}

#[test]
fn among_equals_the_weight_decides_and_the_lower_priority_waits() {
    let now = start();
    let all = [candidate(1, 1, 60), candidate(2, 1, 20), candidate(3, 1, 20), candidate(4, 2, 1_000)];
    let mut group = group(&all, None, now);
    let mut rng = StdRng::seed_from_u64(7);
    let mut counts = [0_u32; 5];
    for _ in 0..10_000 {
        let chosen = group.choose(&[], now, |most| rng.random_range(0..=most)).unwrap();
        counts[usize::from(chosen.address.to_string().as_bytes()[8] - b'0')] += 1;
    }
    assert!((5_700..6_300).contains(&counts[1]) && (1_700..2_300).contains(&counts[2]), "{counts:?}");
    assert_eq!(counts[4], 0);
    // What was tried is not tried again; then the next priority, then nothing.
    let mut tried = Vec::new();
    for _ in 0..4 {
        tried.push(group.choose(&tried, now, |most| rng.random_range(0..=most)).unwrap());
    }
    assert_eq!(tried[3], all[3]);
    assert_eq!(group.choose(&tried, now, |_| 0), Err(NoTarget::Tried));
    group.set(&[], now, || 0.5);
    assert_eq!(group.choose(&[], now, |_| 0), Err(NoTarget::Unknown));
}

/// One day of a target that is probed: what `answers` says at each second.
fn probe(group: &mut Group, from: Instant, seconds: u64, answers: impl Fn(u64) -> bool) -> Vec<(u64, State)> {
    let mut seen = vec![(0, group.state())];
    for second in 0..=seconds {
        let now = from + secs(second);
        for late in group.overdue(now) {
            group.probed(&late, Err("no answer to OPTIONS"), now, 0.5);
        }
        for due in group.due(now) {
            if answers(second) {
                group.probed(&due, Ok(200), now, 0.5);
            }
        }
        if seen.last().is_some_and(|(_, last)| *last != group.state()) {
            seen.push((second, group.state()));
        }
    }
    seen
}

#[test]
fn a_target_that_dies_is_down_after_three_silences_and_back_after_two_answers() {
    let now = start();
    let mut group = group(&[candidate(1, 1, 1)], Some(20), now);
    let seen = probe(&mut group, now, 600, |second| !(100..300).contains(&second));
    let states: Vec<State> = seen.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, [State::Unknown, State::Up, State::Degraded, State::Down, State::Up], "{seen:?}");
    let at: Vec<u64> = seen.iter().map(|(second, _)| *second).collect();
    assert!(at[1] <= 1 && (100..=124).contains(&at[2]) && at[3] <= 145 && (305..=313).contains(&at[4]), "{seen:?}");
    // An answer lost now and then makes nobody refuse a call: it is degraded at most.
    let mut flaky = self::group(&[candidate(1, 1, 1)], Some(20), now);
    let seen = probe(&mut flaky, now, 3_600, |second| second % 100 > 5);
    assert!(seen.iter().all(|(_, state)| *state != State::Down), "{seen:?}");
}

#[test]
fn a_target_that_never_answers_options_is_judged_by_calls_and_tried_again() {
    let now = start();
    let one = candidate(1, 1, 1);
    let mut group = group(&[one], Some(20), now);
    let seen = probe(&mut group, now, 3_600, |_| false);
    assert_eq!(seen, [(0, State::Unknown)], "a PBX that drops OPTIONS is not dead");
    let now = now + secs(3_600);
    group.heard(&one, &News::Failed, "no answer", now);
    assert!(group.choose(&[], now, |_| 0).is_ok(), "one call is no proof");
    group.heard(&one, &News::Failed, "no answer", now);
    assert_eq!((group.state(), group.choose(&[], now, |_| 0)), (State::Down, Err(NoTarget::Down)));
    assert_eq!(group.members()[0].health.last_error(), Some("no answer"));
    // It rests, then a call may try it; two that are answered bring it back.
    let later = now + secs(16);
    assert_eq!(group.choose(&[], later, |_| 0), Ok(one));
    group.heard(&one, &News::Answered, "", later);
    group.heard(&one, &News::Answered, "", later);
    assert_eq!(group.state(), State::Up);
}

#[test]
fn who_says_503_is_left_alone_for_as_long_as_he_says() {
    let now = start();
    let (one, other) = (candidate(1, 1, 1), candidate(2, 2, 1));
    let mut group = group(&[one, other], None, now);
    group.heard(&one, &News::Overloaded(Some(secs(30))), "503", now);
    assert_eq!(group.state(), State::Degraded);
    assert_eq!(group.choose(&[], now, |_| 0), Ok(other));
    group.heard(&other, &News::Overloaded(Some(secs(9_999))), "503", now);
    assert_eq!(group.choose(&[], now, |_| 0), Err(NoTarget::Down), "RFC 3261 §21.5.4");
    assert_eq!(group.choose(&[], now + secs(31), |_| 0), Ok(one));
    // An hour is not believed: ten minutes.
    assert!(group.choose(&[one], now + secs(601), |_| 0).is_ok());
    // Without Retry-After it is only the second choice.
    let mut group = self::group(&[one, other], None, now);
    group.heard(&one, &News::Overloaded(None), "503", now);
    assert_eq!(group.choose(&[], now, |_| 0), Ok(other));
    assert_eq!(group.choose(&[other], now, |_| 0), Ok(one));
}

#[test]
fn new_answers_of_dns_keep_what_is_known_of_a_target() {
    let now = start();
    let (one, other) = (candidate(1, 1, 1), candidate(2, 1, 1));
    let mut group = group(&[one], None, now);
    group.heard(&one, &News::Failed, "dead", now);
    group.heard(&one, &News::Failed, "dead", now);
    group.set(&[other, Candidate { weight: 9, ..one }], now, || 0.5);
    let states: Vec<State> = group.members().iter().map(|member| member.health.state()).collect();
    assert_eq!(states, [State::Unknown, State::Down]);
    assert_eq!(group.members()[1].candidate.weight, 9);
}

/// Two thousand histories of targets that live and die: whatever happens, a target that probes have found down is not
/// chosen, no target is chosen twice for one call, and all come back once they answer.
#[test]
fn no_history_sends_a_call_to_a_dead_target_or_leaves_a_living_one_out() {
    for seed in 0..2_000_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut now = start();
        let all: Vec<Candidate> = (1..=rng.random_range(1..=5))
            .map(|last| candidate(last, rng.random_range(0..3), rng.random_range(0..4)))
            .collect();
        let mut group = group(&all, Some(10), now);
        let mut alive = vec![true; all.len()];
        for _ in 0..200 {
            now += Duration::from_millis(rng.random_range(0..4_000));
            for late in group.overdue(now) {
                group.probed(&late, Err("silent"), now, rng.random());
            }
            for due in group.due(now) {
                let at = all.iter().position(|one| *one == due).unwrap();
                if alive[at] {
                    group.probed(&due, Ok(200), now, rng.random());
                }
            }
            let at = rng.random_range(0..all.len());
            alive[at] = rng.random_bool(0.5);
            let mut tried = Vec::new();
            while let Ok(chosen) = group.choose(&tried, now, |most| rng.random_range(0..=most)) {
                let health = &group.members().iter().find(|one| one.candidate == chosen).unwrap().health;
                assert!(health.state() != State::Down || !health.probes_tell(), "seed {seed}");
                assert!(!tried.contains(&chosen), "seed {seed}");
                tried.push(chosen);
                let at = all.iter().position(|one| *one == chosen).unwrap();
                let news = if alive[at] { News::Answered } else { News::Failed };
                group.heard(&chosen, &news, "silent", now);
                if alive[at] {
                    break;
                }
            }
        }
        for second in 0..120 {
            let later = now + secs(second);
            for late in group.overdue(later) {
                group.probed(&late, Err("silent"), later, 0.5);
            }
            for due in group.due(later) {
                group.probed(&due, Ok(200), later, 0.5);
            }
        }
        assert_eq!(group.state(), State::Up, "seed {seed}");
    }
}

#[test]
fn no_second_holds_more_calls_than_the_cap_and_no_moment_more_than_fit() {
    for seed in 0..200_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (per_second, at_once) = (rng.random_range(1..20), rng.random_range(1..50));
        let mut caps = Caps::new(Some(per_second), Some(at_once));
        let mut now = start();
        let (mut begun, mut up) = (Vec::new(), 0);
        for _ in 0..2_000 {
            now += Duration::from_millis(rng.random_range(0..60));
            if up > 0 && rng.random_bool(0.4) {
                caps.end();
                up -= 1;
            }
            match caps.begin(now) {
                Ok(()) => {
                    begun.push(now);
                    up += 1;
                }
                Err(Full::AtOnce) => assert_eq!(up, at_once, "seed {seed}"),
                Err(Full::PerSecond) => {
                    let within = begun.iter().filter(|at| now - **at < secs(1)).count();
                    assert_eq!(within, per_second, "seed {seed}");
                }
            }
            assert_eq!(caps.up(), up);
            assert!(up <= at_once, "seed {seed}");
        }
        let crowded = begun.windows(per_second + 1).any(|window| window[per_second] - window[0] < secs(1));
        assert!(!crowded, "seed {seed}");
    }
    assert_eq!(Caps::new(None, None).begin(start()), Ok(()));
}

#[test]
fn an_answer_holds_for_its_time_and_serves_a_day_longer_while_dns_fails() {
    let now = start();
    let mut cache = Cache::default();
    let asked = || question("plain.test", Kind::A);
    let failed = || Heard::Failed("REFUSED".to_owned());
    let good = Some(Answer::Records(vec![a("192.0.2.9")]));
    let answer = |cache: &Cache, at: Instant| cache.answers(at).get(&asked()).cloned();
    cache.put(asked(), Heard::Records(vec![a("192.0.2.9")], secs(60)), now, 0.5);
    assert_eq!((answer(&cache, now + secs(59)), answer(&cache, now + secs(60))), (good.clone(), None));
    // DNS refuses for a day: the last answer serves, and DNS is asked every half minute at the rarest.
    let (mut at, mut asks) = (now + secs(60), 0);
    while at < now + secs(60 + 86_400) {
        cache.put(asked(), failed(), at, 1.0);
        assert_eq!(answer(&cache, at), good);
        assert!(cache.is_stale());
        let next = cache.poll_timeout(at).unwrap();
        assert!(next > at && next - at <= secs(30));
        (at, asks) = (next, asks + 1);
    }
    assert!((2_880..2_900).contains(&asks), "{asks}");
    cache.put(asked(), failed(), at, 1.0);
    assert_eq!(answer(&cache, at), Some(Answer::Failed("REFUSED".to_owned())), "older is not served");
    // Back: at once good again.
    cache.put(asked(), Heard::Records(vec![a("192.0.2.9")], secs(0)), at, 1.0);
    assert!(!cache.is_stale());
    assert_eq!(answer(&cache, at + secs(4)), good, "no time to live below five seconds");
    // That there is none is an answer, and what was said before is over.
    cache.put(asked(), Heard::Records(Vec::new(), secs(9_999)), at, 1.0);
    cache.put(asked(), failed(), at, 1.0);
    assert_eq!(answer(&cache, at), Some(Answer::Failed("REFUSED".to_owned())));
}

#[test]
fn a_stale_answer_still_leads_somewhere() {
    let now = start();
    let mut cache = Cache::default();
    let zone = zone();
    let wanted = wanted("only-srv.test", None, None);
    let ask = |cache: &mut Cache, at: Instant, works: bool| loop {
        match locate(&wanted, &cache.answers(at)) {
            Located::Ask(questions) => {
                for asked in questions {
                    let heard = match zone.get(&asked) {
                        _ if !works => Heard::Failed("SERVFAIL".to_owned()),
                        Some(Answer::Records(records)) => Heard::Records(records.clone(), secs(60)),
                        Some(Answer::Failed(_)) | None => Heard::Records(Vec::new(), secs(60)),
                    };
                    cache.put(asked, heard, at, 0.5);
                }
            }
            done @ (Located::Found(_) | Located::Nothing(_)) => return done,
        }
    };
    let found = ask(&mut cache, now, true);
    assert!(matches!(found, Located::Found(_)));
    assert_eq!(ask(&mut cache, now + secs(600), false), found);
    assert_eq!(ask(&mut Cache::default(), now, false), Located::Nothing("SERVFAIL".to_owned()));
}
