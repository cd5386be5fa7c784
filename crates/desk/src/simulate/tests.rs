//! A line served by hand; then thousands of random days against what each order promises.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const T0: u64 = 1_767_225_600_000;
const MINUTE: u64 = 60_000;

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

fn arrival(asked: u64, due: u64, priority: u8, handling: u64) -> Arrival {
    Arrival {
        asked_unix_ms: T0 + asked * MINUTE,
        due_unix_ms: T0 + due * MINUTE,
        priority,
        handling: minutes(handling),
    }
}

/// Who is served, and after how many minutes.
fn check(arrivals: &[Arrival], agents: usize, order: Order, expected: &[(usize, u64)]) {
    let turns = serve(arrivals, agents, order);
    let served: Vec<(usize, u64)> = turns.iter().map(|turn| (turn.arrival, (turn.at_unix_ms - T0) / MINUTE)).collect();
    assert_eq!(served, expected, "{order:?}");
}

#[test]
fn a_small_line_is_served_as_by_hand() {
    let line = [arrival(0, 0, 0, 10), arrival(1, 1, 0, 10), arrival(2, 2, 0, 10), arrival(3, 3, 1, 10)];
    check(&line, 1, Order::Fifo, &[(0, 0), (1, 10), (2, 20), (3, 30)]);
    let head_start = |head_start| Order::Priority { head_start: minutes(head_start) };
    check(&line, 1, head_start(10), &[(0, 0), (3, 10), (1, 20), (2, 30)]);
    // A minute and a half of head start passes over him of minute 2 and not over him of minute 1.
    let order = Order::Priority { head_start: Duration::from_secs(90) };
    check(&line, 1, order, &[(0, 0), (1, 10), (3, 20), (2, 30)]);
    check(&line, 2, Order::Fifo, &[(0, 0), (1, 1), (2, 10), (3, 11)]);
    check(&line, 4, Order::Fifo, &[(0, 0), (1, 1), (2, 2), (3, 3)]);
    check(&[], 3, Order::Fifo, &[]);
    check(&line[..1], 0, Order::Fifo, &[(0, 0)]);
}

#[test]
fn who_chose_a_time_is_not_taken_before_it_and_keeps_his_place() {
    // He of minute 0 chose minute 25: the agent does not wait for him, and then he stands before the one of minute 5.
    let line = [arrival(0, 25, 0, 10), arrival(1, 1, 0, 30), arrival(5, 5, 0, 10)];
    check(&line, 1, Order::Fifo, &[(1, 1), (0, 31), (2, 41)]);
    // By the curve he has waited 6 minutes at 31 and the other 26: both are past the first corner, the older goes first.
    let curve = Satisfaction { ceiling: minutes(60), late: minutes(30), soon: minutes(2), ..Satisfaction::default() };
    check(&line, 1, Order::Satisfaction(curve), &[(1, 1), (2, 31), (0, 41)]);
}

#[test]
fn delays_and_losses_are_those_of_the_turns() {
    let line = [arrival(0, 0, 0, 4), arrival(0, 0, 0, 4), arrival(0, 0, 1, 11), arrival(0, 0, 0, 4)];
    let turns = serve(&line, 1, Order::Priority { head_start: minutes(10) });
    let outlook = Outlook::of(&line, &turns, Satisfaction::default());
    let ms = |minutes: i64| minutes * 60_000;
    assert_eq!(outlook.all, Some(Spread { count: 4, p50: ms(11), p90: ms(19), p99: ms(19), max: ms(19) }));
    assert_eq!(outlook.by_priority[&1], Spread { count: 1, p50: 0, p90: 0, p99: 0, max: 0 });
    // 0, 11, 15 and 19 minutes: nothing, 7 of the 11 minutes from 30 to 40 %, and twice 40 %.
    let plain = (0.3 + 0.1 * 7.0 / 11.0 + 0.4 + 0.4) / 3.0;
    assert!((outlook.loss_by_priority[&0] - plain).abs() < 1e-9 && outlook.loss_by_priority[&1] == 0.0);
    assert!((outlook.loss - plain * 0.75).abs() < 1e-9);
    assert_eq!(Outlook::of(&[], &[], Satisfaction::default()).all, None);
}

fn random(seed: u64) -> (Vec<Arrival>, usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let agents = rng.random_range(1..5);
    let mut asked_unix_ms = T0;
    let arrivals = (0..rng.random_range(1..300))
        .map(|_| {
            asked_unix_ms += rng.random_range(0..4 * MINUTE);
            let chosen = if rng.random_ratio(1, 5) { rng.random_range(0..90) * MINUTE } else { 0 };
            Arrival {
                asked_unix_ms,
                due_unix_ms: asked_unix_ms + chosen,
                priority: rng.random_range(0..4),
                handling: Duration::from_millis(rng.random_range(0..10 * MINUTE)),
            }
        })
        .collect();
    (arrivals, agents)
}

/// Whatever the order: everybody is served once, nobody early, never more at once than there are agents, and no agent
/// is idle while somebody waits.
#[test]
fn every_order_serves_everybody_once_never_early_and_leaves_no_agent_idle() {
    for seed in 0..300 {
        let (arrivals, agents) = random(seed);
        let orders =
            [Order::Fifo, Order::Priority { head_start: minutes(10) }, Order::Satisfaction(Satisfaction::default())];
        for order in orders {
            let turns = serve(&arrivals, agents, order);
            let mut served: Vec<usize> = turns.iter().map(|turn| turn.arrival).collect();
            served.sort_unstable();
            assert!(served.iter().copied().eq(0..arrivals.len()), "seed {seed}");
            let ends = |turn: &Turn| turn.at_unix_ms + arrivals[turn.arrival].handling.as_millis() as u64;
            let busy = |at: u64| turns.iter().filter(|turn| turn.at_unix_ms <= at && at < ends(turn)).count();
            for turn in &turns {
                let one = arrivals[turn.arrival];
                assert!(turn.at_unix_ms >= one.due_unix_ms && busy(turn.at_unix_ms) <= agents, "seed {seed}");
                let waited = turn.at_unix_ms > one.due_unix_ms;
                assert!(!waited || busy(turn.at_unix_ms - 1) == agents, "seed {seed}: an agent was idle");
            }
        }
    }
}

/// Nobody starves: whoever is passed over is passed over only by those the order allows, and each of those asked within
/// a bounded time of him.
#[test]
fn nobody_starves_in_any_order() {
    let head_start = minutes(10);
    let curve = Satisfaction { soon: minutes(3), late: minutes(12), ceiling: minutes(20), ..Satisfaction::default() };
    for seed in 0..300 {
        let (arrivals, agents) = random(seed);
        for order in [Order::Fifo, Order::Priority { head_start }, Order::Satisfaction(curve)] {
            let turns = serve(&arrivals, agents, order);
            for (at, turn) in turns.iter().enumerate() {
                let taken = arrivals[turn.arrival];
                let passed = turns[at..].iter().map(|later| arrivals[later.arrival]);
                for one in passed.filter(|one| one.due_unix_ms <= turn.at_unix_ms) {
                    let steps = u64::from(taken.priority.saturating_sub(one.priority));
                    let ahead = one.asked_unix_ms + steps * head_start.as_millis() as u64;
                    let waited = turn.at_unix_ms - one.due_unix_ms;
                    let fair = match order {
                        Order::Fifo => taken.asked_unix_ms <= one.asked_unix_ms,
                        Order::Priority { .. } => taken.asked_unix_ms <= ahead,
                        Order::Satisfaction(curve) => {
                            Duration::from_millis(waited) < curve.ceiling || taken.due_unix_ms <= one.due_unix_ms
                        }
                    };
                    assert!(fair, "seed {seed}, {order:?}: {taken:?} was taken before {one:?}");
                }
            }
        }
    }
}

/// The reason for each order, shown on the made-up day: priority helps those who have it at the others' cost, and
/// the curve's own order loses less than the order of asking.
#[test]
fn on_a_full_day_each_order_does_what_it_is_for() {
    let curve = Satisfaction::default();
    let mut better = 0;
    for seed in 0..20 {
        let day = made_up_day(T0, 5, seed);
        assert_eq!(day, made_up_day(T0, 5, seed), "a seed is a day");
        let outlook = |order| Outlook::of(&day, &serve(&day, 5, order), curve);
        let fifo = outlook(Order::Fifo);
        let priority = outlook(Order::Priority { head_start: minutes(10) });
        let satisfaction = outlook(Order::Satisfaction(curve));
        assert!(priority.by_priority[&1].p90 < fifo.by_priority[&1].p90, "seed {seed}");
        assert!(priority.by_priority[&0].p90 >= fifo.by_priority[&0].p90, "seed {seed}");
        better += usize::from(satisfaction.loss < fifo.loss);
    }
    assert!(better >= 19, "the curve's own order loses less on {better} of 20 days");
}
