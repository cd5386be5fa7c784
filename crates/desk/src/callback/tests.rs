//! The table of outcomes row by row; random lives against plain models; nobody starves.

use call::{TagsDraft, TenantId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const MINUTE: u64 = 60_000;
const T0: u64 = 1_750_000_000_000;

pub(super) fn wish(asked: u64) -> Wish {
    Wish {
        number: "+33612345678".to_owned(),
        promised_unix_ms: asked,
        wanted: None,
        zone: String::new(),
        consent: None,
        email: None,
        asked_unix_ms: asked,
        priority: 0,
        told: None,
        customer: None,
        tags: CallTags::new(TagsDraft {
            tag: [7; 16],
            tenant: TenantId::from("shop"),
            queue: QueueId::from("support"),
            session: "s1".to_owned(),
            page_url: "https://shop.test/cart".to_owned(),
            page_title: "Cart".to_owned(),
            referrer: None,
            language: "fr".to_owned(),
            made_at_unix_ms: asked,
        }),
    }
}

/// A call-back on a virtual clock that may be dialled at any hour.
struct Bench {
    callback: Callback,
    rules: RetryRules,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        Self { callback: Callback::new(CallbackId::new(1), wish(T0)), rules: RetryRules::default(), now: T0 }
    }

    /// Its time comes, an agent takes it, the phone rings, this comes of it. Says in how many minutes it is due again.
    fn attempt(&mut self, outcome: Outcome) -> Option<u64> {
        self.now = self.now.max(self.callback.due_unix_ms().unwrap_or(0));
        if self.callback.state() == CallbackState::Scheduled {
            self.callback.come_due(self.now, &self.rules).unwrap();
        }
        self.callback.offer("1001").unwrap();
        self.callback.dial(CallId::new(1), self.now, AttemptLegs::default()).unwrap();
        self.callback.end_attempt(outcome, self.now, &self.rules, Some).unwrap();
        self.callback.due_unix_ms().map(|due| (due - self.now) / MINUTE)
    }
}

#[test]
fn who_talks_on_the_site_is_called_no_more_as_soon_as_possible_but_still_at_the_time_he_chose() {
    let mut waiting = Bench::new();
    let serve = |callback: &Callback| {
        let mut served = callback.clone();
        served.serve().map(|()| served)
    };
    let served = serve(&waiting.callback).unwrap();
    assert_eq!(
        (served.state(), served.state().code(), served.state().detail()),
        (CallbackState::Served, "completed", Some("served"))
    );
    assert!(served.state().is_over() && serve(&served).is_err());
    waiting.attempt(Outcome::Busy);
    assert!(serve(&waiting.callback).is_ok(), "the next try too");
    let mut ringing = Bench::new().callback;
    ringing.come_due(T0, &RetryRules::default()).unwrap();
    ringing.offer("1001").unwrap();
    assert_eq!(serve(&ringing).map(|served| served.parts().agent.clone()), Ok(None));
    ringing.dial(CallId::new(1), T0, AttemptLegs::default()).unwrap();
    assert!(serve(&ringing).is_ok() && ringing.is_live());
    ringing.connect("1001").unwrap();
    assert!(serve(&ringing).is_err() && ringing.is_live(), "they talk");

    let paris = crate::Zone::named("Europe/Paris").unwrap();
    let chosen = Callback::new(CallbackId::new(2), Wish { wanted: Wanted::at(T0, &paris), ..wish(T0) });
    assert!(serve(&chosen).is_err());
    let company = Callback::new(CallbackId::new(3), wish(T0)).for_purpose(Purpose::FollowUp);
    assert!(serve(&company).is_err());
}

#[test]
fn the_leg_of_an_offer_is_known_as_long_as_it_is_one_and_counts_for_nothing() {
    let Bench { mut callback, rules, now } = Bench::new();
    callback.come_due(now, &rules).unwrap();
    assert!(callback.note_offer("early".to_owned()).is_err());
    let offered = |leg: &str| {
        let mut offered = callback.clone();
        offered.offer("1001").unwrap();
        offered.note_offer(leg.to_owned()).unwrap();
        assert_eq!(offered.parts().offer_leg, leg);
        offered
    };
    let mut left = offered("leg");
    left.take_over(LeftBehind::Unknown, now, &rules, Some).unwrap();
    assert_eq!((left.state(), left.attempts().len(), left.parts().offer_leg.as_str()), (CallbackState::Queued, 0, ""));
    assert_eq!(left, callback, "as if nobody had been asked");
    let ends: [fn(&mut Callback); 4] = [
        |callback| callback.dial(CallId::new(1), T0, AttemptLegs::default()).unwrap(),
        |callback| callback.cancel(CancelledBy::Visitor).unwrap(),
        |callback| callback.serve().unwrap(),
        |callback| callback.forbid().unwrap(),
    ];
    for end in ends {
        let mut over = offered("leg");
        end(&mut over);
        assert_eq!(over.parts().offer_leg, "", "{:?}", over.state());
        assert!(over.note_offer("late".to_owned()).is_err());
    }
}

#[test]
fn the_record_names_the_agent_who_spoke_and_not_the_one_it_was_offered_to() {
    let talked = |agent: &str, outcome: Outcome| {
        let Bench { mut callback, rules, now } = Bench::new();
        callback.come_due(now, &rules).unwrap();
        callback.offer("1001").unwrap();
        callback.dial(CallId::new(1), now, AttemptLegs::default()).unwrap();
        assert_eq!(callback.spoke_last(), None, "it only rings");
        callback.connect(agent).unwrap();
        assert_eq!(callback.parts().agent.as_deref(), Some(agent));
        callback.end_attempt(outcome, now, &rules, Some).unwrap();
        callback
    };
    assert_eq!(talked("1002", Outcome::Reached).spoke_last(), Some((T0, "1002")));
    assert_eq!(talked("1002", Outcome::ShortTalk).spoke_last(), None, "that may have been nobody");
    assert_eq!(talked("", Outcome::Reached).spoke_last(), None, "somebody behind a trunk");
}

#[test]
fn each_outcome_leads_where_the_table_says() {
    let after = |outcomes: &[Outcome]| {
        let mut bench = Bench::new();
        let due: Vec<Option<u64>> = outcomes.iter().map(|outcome| bench.attempt(*outcome)).collect();
        (due, bench.callback.state(), bench.callback.counted())
    };
    use Outcome::{
        BadNumber, Busy, Declined, Later, NoAnswer, NotMe, Reached, ShortTalk, TrunkFault, TrunkRefuses, Voicemail,
    };
    let recipient = CallbackState::Cancelled(CancelledBy::Recipient);
    let not_reached = CallbackState::Failed(FailReason::NotReached);
    assert_eq!(after(&[Reached]), (vec![None], CallbackState::Completed, 1));
    assert_eq!(after(&[Busy, Busy, Busy]), (vec![Some(3), Some(6), None], not_reached, 3), "+3 min, then twice that");
    assert_eq!(after(&[NoAnswer, NoAnswer, NoAnswer]), (vec![Some(15), Some(15), None], not_reached, 3));
    assert_eq!(after(&[Later]).0, vec![Some(60)], "as he asked, and no try");
    assert_eq!(after(&[Voicemail, Voicemail]), (vec![Some(60), None], not_reached, 2), "+60 min once");
    assert_eq!(after(&[Declined]), (vec![None], recipient, 1));
    assert_eq!(after(&[NotMe]), (vec![None], recipient, 1));
    assert_eq!(after(&[BadNumber]), (vec![None], CallbackState::Failed(FailReason::BadNumber), 1));
    assert_eq!(after(&[ShortTalk, Reached]), (vec![Some(15), None], CallbackState::Completed, 2));
    // The trunk's faults never count against the customer, and are not hammered.
    let (due, state, counted) =
        after(&[TrunkFault, TrunkRefuses, TrunkFault, TrunkFault, TrunkFault, TrunkFault, Busy]);
    assert_eq!(due, [Some(0), Some(1), Some(2), Some(4), Some(8), Some(10), Some(3)]);
    assert_eq!((state, counted), (CallbackState::Scheduled, 1));
}

#[test]
fn an_agent_who_goes_or_declines_costs_the_customer_nothing() {
    let mut bench = Bench::new();
    bench.callback.come_due(T0, &bench.rules).unwrap();
    for agent in ["1001", "1002"] {
        bench.callback.offer(agent).unwrap();
        bench.callback.decline().unwrap();
    }
    assert_eq!((bench.callback.state(), bench.callback.attempts().len()), (CallbackState::Queued, 0));
    assert_eq!(bench.attempt(Outcome::AgentGone), None);
    assert_eq!(
        (bench.callback.state(), bench.callback.counted()),
        (CallbackState::Queued, 0),
        "the next agent, at once"
    );
    assert_eq!(bench.attempt(Outcome::Reached), None);
}

#[test]
fn it_is_never_early_and_not_after_its_day() {
    let mut bench = Bench::new();
    assert!(bench.callback.come_due(T0 - 1, &bench.rules).is_err());
    bench.callback.come_due(T0 + 24 * 60 * MINUTE, &bench.rules).unwrap();
    assert_eq!(bench.callback.state(), CallbackState::Queued, "late, and still within its window");
    let mut bench = Bench::new();
    bench.callback.come_due(T0 + 24 * 60 * MINUTE + 1, &bench.rules).unwrap();
    assert_eq!(bench.callback.state(), CallbackState::Expired);
}

#[test]
fn a_retry_keeps_to_the_hours_and_ends_with_the_window() {
    let tomorrow = T0 + 14 * 60 * MINUTE;
    let mut bench = Bench::new();
    bench.callback.come_due(T0, &bench.rules).unwrap();
    bench.callback.offer("1001").unwrap();
    bench.callback.dial(CallId::new(1), T0, AttemptLegs::default()).unwrap();
    let closed_until_tomorrow = |at: u64| Some(at.max(tomorrow));
    bench.callback.end_attempt(Outcome::Busy, T0, &bench.rules, closed_until_tomorrow).unwrap();
    assert_eq!(bench.callback.due_unix_ms(), Some(tomorrow));
    bench.callback.come_due(tomorrow, &bench.rules).unwrap();
    bench.callback.offer("1001").unwrap();
    bench.callback.dial(CallId::new(1), tomorrow, AttemptLegs::default()).unwrap();
    bench.callback.end_attempt(Outcome::Busy, tomorrow, &bench.rules, |_| None).unwrap();
    assert_eq!(bench.callback.state(), CallbackState::Failed(FailReason::NotReached));
}

#[test]
fn what_is_over_stays_over_and_a_talk_is_not_cancelled() {
    let mut bench = Bench::new();
    bench.callback.come_due(T0, &bench.rules).unwrap();
    bench.callback.reschedule(T0 + MINUTE, None).unwrap();
    assert_eq!(bench.callback.due_unix_ms(), Some(T0 + MINUTE));
    bench.callback.come_due(T0 + MINUTE, &bench.rules).unwrap();
    bench.callback.offer("1001").unwrap();
    bench.callback.dial(CallId::new(1), T0 + MINUTE, AttemptLegs::default()).unwrap();
    bench.callback.connect("1001").unwrap();
    let refused = bench.callback.cancel(CancelledBy::Visitor).unwrap_err();
    assert_eq!(refused.to_string(), "the call-back is connected");
    bench.callback.end_attempt(Outcome::Reached, T0 + 2 * MINUTE, &bench.rules, Some).unwrap();
    assert!(bench.callback.cancel(CancelledBy::Admin).is_err() && bench.callback.reschedule(T0, None).is_err());
    let shown = format!("{:?}", bench.callback);
    assert!(!shown.contains("336") && !shown.contains("shop.test"), "{shown}");
}

#[test]
fn ends_are_read_as_the_network_meant_them() {
    let short = Duration::from_secs(8);
    let of = |end: AttemptEnd| Outcome::of(&end, short);
    let sip = |status| AttemptEnd { sip: Some(status), ..AttemptEnd::default() };
    for (status, outcome) in [
        (486, Outcome::Busy),
        (600, Outcome::Busy),
        (480, Outcome::NoAnswer),
        (487, Outcome::NoAnswer),
        (603, Outcome::Declined),
        (607, Outcome::Declined),
        (608, Outcome::Declined),
        (404, Outcome::BadNumber),
        (410, Outcome::BadNumber),
        (484, Outcome::BadNumber),
        (604, Outcome::BadNumber),
        (500, Outcome::TrunkFault),
        (503, Outcome::TrunkFault),
        (408, Outcome::TrunkFault),
        (401, Outcome::TrunkRefuses),
        (403, Outcome::TrunkRefuses),
        (407, Outcome::TrunkRefuses),
        (488, Outcome::TrunkRefuses),
    ] {
        assert_eq!(of(sip(status)), outcome, "{status}");
    }
    for (cause, outcome) in [
        (17, Outcome::Busy),
        (18, Outcome::NoAnswer),
        (19, Outcome::NoAnswer),
        (1, Outcome::BadNumber),
        (28, Outcome::BadNumber),
        (34, Outcome::TrunkFault),
        (47, Outcome::TrunkFault),
    ] {
        let end = AttemptEnd { q850: Some(cause), ..sip(480) };
        assert_eq!(of(end), outcome, "480 with cause {cause}: the network knows better");
    }
    assert_eq!(of(AttemptEnd { q850: Some(17), ..sip(603) }), Outcome::Declined, "said by the person");
    assert_eq!(of(AttemptEnd { rang_out: true, ..sip(408) }), Outcome::NoAnswer);
    assert_eq!(of(AttemptEnd { unreachable: true, ..AttemptEnd::default() }), Outcome::TrunkFault);
    assert_eq!(of(AttemptEnd { agent_left: true, ..sip(487) }), Outcome::AgentGone);
    let talk = |seconds| AttemptEnd { talk: Some(Duration::from_secs(seconds)), ..AttemptEnd::default() };
    assert_eq!((of(talk(7)), of(talk(8))), (Outcome::ShortTalk, Outcome::Reached));
    assert_eq!(of(AttemptEnd { voicemail: true, ..talk(30) }), Outcome::Voicemail);
    assert_eq!(of(AttemptEnd { key: Some('9'), ..talk(30) }), Outcome::NotMe);
    assert_eq!(of(AttemptEnd { key: Some('2'), answered: true, ..AttemptEnd::default() }), Outcome::Later);
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
    }
}

/// A random life: whatever is done to it in whatever order, it tries no more often than the rules say, never before its
/// time, and what is over stays over.
fn live(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let rules = RetryRules { attempts_max: rng.random_range(1..5), ..RetryRules::default() };
    let (mut callback, mut now) = (Callback::new(CallbackId::new(1), wish(T0)), T0 - 5 * MINUTE);
    let mut over = None;
    for _ in 0..200 {
        now += rng.random_range(0..10 * MINUTE);
        let (before, due) = (callback.state(), callback.due_unix_ms());
        let done = match rng.random_range(0..12) {
            0..=2 => callback.come_due(now, &rules),
            3..=4 => callback.offer("1001"),
            5 => callback.decline(),
            6..=7 => callback.dial(CallId::new(1), now, AttemptLegs::default()),
            8 => callback.connect("1001"),
            9..=10 => {
                let outcome = Outcome::ALL[rng.random_range(0..Outcome::ALL.len())];
                callback.end_attempt(outcome, now, &rules, |at| Some(at + 7 * MINUTE))
            }
            _ if rng.random_ratio(1, 6) => callback.cancel(CancelledBy::Visitor),
            _ => callback.reschedule(now + 30 * MINUTE, None),
        };
        assert!(callback.counted() <= usize::from(rules.attempts_max), "seed {seed}");
        assert!(callback.attempts().len() <= ATTEMPTS_KEPT, "seed {seed}");
        if done.is_err() {
            assert_eq!(callback.state(), before, "seed {seed}: a refused change changes nothing");
        } else if before == CallbackState::Scheduled && callback.state() == CallbackState::Queued {
            assert!(due.is_some_and(|due| due <= now), "seed {seed}: early");
        }
        if let Some(over) = over {
            assert_eq!(callback.state(), over, "seed {seed}: it came back");
        }
        over = callback.state().is_over().then_some(callback.state());
        let open = callback.attempts().iter().filter(|attempt| attempt.outcome.is_none()).count();
        assert!(open <= 1, "seed {seed}: two tries at once");
    }
}

#[test]
fn no_life_breaks_the_promise() {
    for seed in 0..20_000 {
        live(seed);
    }
}

/// Who waits, since when, with which priority.
type One = (CallbackId, u64, u8);

/// The plainest model of an order: everybody in a list, looked at one by one.
struct Plain {
    order: Order,
    waiting: Vec<One>,
}

impl Plain {
    fn first(&self, now: u64) -> Option<CallbackId> {
        let best = |key: &dyn Fn(&One) -> (i128, u64)| {
            self.waiting.iter().min_by_key(|one| (key(one), one.0)).map(|one| one.0)
        };
        match self.order {
            Order::Fifo => best(&|one| (0, one.1)),
            Order::Priority { head_start } => {
                best(&|one| (i128::from(one.1) - head_start.as_millis() as i128 * i128::from(one.2), 0))
            }
            Order::Satisfaction(curve) => {
                // What a moment more costs, and before all who has reached the ceiling.
                let gain = |asked: u64| {
                    let waited = Duration::from_millis(now.saturating_sub(asked));
                    if waited >= curve.ceiling {
                        return i128::MIN;
                    }
                    let (low, high) = (f64::from(curve.loss_at_soon), f64::from(curve.loss_at_late));
                    let slope = if waited < curve.soon {
                        low / curve.soon.as_secs_f64()
                    } else if waited < curve.late {
                        (high - low) / (curve.late - curve.soon).as_secs_f64()
                    } else {
                        0.0
                    };
                    -((slope * 1e9) as i128)
                };
                best(&|one| (gain(one.1), one.1))
            }
        }
    }
}

#[test]
fn the_order_is_that_of_the_plain_model() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let curve = Satisfaction {
        soon: minutes(5),
        late: minutes(30),
        loss_at_soon: 300,
        loss_at_late: 400,
        ceiling: minutes(60),
    };
    let late_hurts = Satisfaction { soon: minutes(20), late: minutes(25), loss_at_soon: 100, ..curve };
    let orders = [
        Order::Fifo,
        Order::Priority { head_start: minutes(10) },
        Order::Satisfaction(curve),
        Order::Satisfaction(late_hurts),
    ];
    for seed in 0..400 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let order = orders[seed as usize % orders.len()];
        let (mut waiting, mut plain) = (Waiting::new(order), Plain { order, waiting: Vec::new() });
        let mut now = T0;
        for number in 0..300 {
            now += rng.random_range(0..30_000);
            if rng.random_ratio(2, 3) {
                let (id, priority) = (CallbackId::new(rng.random_range(0..200)), rng.random_range(0..4));
                let asked = now - rng.random_range(0..3) * rng.random_range(0..40 * MINUTE);
                waiting.add(id, asked, priority);
                plain.waiting.retain(|one| one.0 != id);
                plain.waiting.push((id, asked, priority));
            } else if let Some(first) = waiting.first(now) {
                assert!(waiting.remove(first) && !waiting.remove(first));
                plain.waiting.retain(|one| one.0 != first);
            }
            assert_eq!(waiting.first(now), plain.first(now), "seed {seed}, step {number}, {order:?}");
            assert_eq!((waiting.len(), waiting.is_empty()), (plain.waiting.len(), plain.waiting.is_empty()));
        }
    }
}

#[test]
fn a_chosen_time_keeps_its_place_and_costs_nothing_before_it() {
    let chosen = Wish { promised_unix_ms: T0 + 60 * MINUTE, ..wish(T0) };
    let (his, other) = (CallbackId::new(1), CallbackId::new(2));
    let first = |order| {
        let mut waiting = Waiting::new(order);
        waiting.place(his, &chosen);
        waiting.place(other, &wish(T0 + 56 * MINUTE));
        // He has waited one minute and the other five, past the first corner of the curve.
        waiting.first(T0 + 61 * MINUTE)
    };
    assert_eq!(first(Order::Fifo), Some(his), "who asked first goes first");
    assert_eq!(first(Order::Priority { head_start: Order::HEAD_START }), Some(his));
    let curve = Satisfaction::default();
    assert_eq!(first(Order::Satisfaction(curve)), Some(his), "he is still on the steep piece");
    let late_hurts = Satisfaction { loss_at_soon: 50, ..curve };
    assert_eq!(first(Order::Satisfaction(late_hurts)), Some(other), "had he waited since he asked, he would be first");
}

#[test]
fn nobody_starves_however_many_come_with_priority() {
    let head_start = Duration::from_secs(600);
    let mut waiting = Waiting::new(Order::Priority { head_start });
    let plain_customer = CallbackId::new(1);
    waiting.add(plain_customer, T0, 0);
    let mut served_after = 0;
    // Two important ones a minute, one call a minute: without ageing he would wait for ever.
    for minute in 0..u128::from(1_000_u32) {
        let now = T0 + minute as u64 * MINUTE;
        waiting.add(CallbackId::new(2 + minute * 2), now, 3);
        waiting.add(CallbackId::new(3 + minute * 2), now, 3);
        let first = waiting.first(now).unwrap();
        waiting.remove(first);
        if first == plain_customer {
            served_after = minute;
            break;
        }
    }
    // Those who asked within his three steps of head start go first: 2 × 30, one a minute.
    assert!((55..=65).contains(&served_after), "served after {served_after} minutes");
}

#[test]
fn the_loss_is_the_curve_of_the_articles() {
    let curve = Satisfaction {
        soon: Duration::from_secs(300),
        late: Duration::from_secs(1_800),
        loss_at_soon: 300,
        loss_at_late: 400,
        ceiling: Duration::from_secs(3_600),
    };
    let loss = |seconds| (curve.loss(Duration::from_secs(seconds)) * 1_000.0).round() as u16;
    assert_eq!([loss(0), loss(150), loss(300), loss(1_050), loss(1_800), loss(90_000)], [0, 150, 300, 350, 400, 400]);
}

#[test]
fn what_a_dead_node_had_begun_is_put_in_order() {
    let rules = RetryRules::default();
    let offered = |callback: &mut Callback| {
        callback.come_due(T0, &rules).unwrap();
        callback.offer("1001").unwrap();
    };
    let dialled = |callback: &mut Callback| {
        offered(callback);
        callback.dial(CallId::new(1), T0, AttemptLegs::default()).unwrap();
    };
    let left_so = |left: LeftBehind, begin: &dyn Fn(&mut Callback), now: u64| {
        let mut callback = Callback::new(CallbackId::new(1), wish(T0));
        begin(&mut callback);
        callback.take_over(left, now, &rules, Some).unwrap();
        callback
    };
    let taken_over = |begin: &dyn Fn(&mut Callback), now: u64| left_so(LeftBehind::Unknown, begin, now);
    let still = taken_over(&|_| {}, T0);
    assert_eq!(still.state(), CallbackState::Scheduled);
    assert_eq!(taken_over(&offered, T0).state(), CallbackState::Queued, "an offer is no try");

    let proven = left_so(LeftBehind::Unanswered, &dialled, T0 + 1_000);
    assert_eq!((proven.state(), proven.counted()), (CallbackState::Queued, 0), "called again at once");
    assert_eq!(proven.attempts()[0].outcome, Some(Outcome::Interrupted));
    let busy = left_so(LeftBehind::Over(Outcome::Busy), &dialled, T0 + 1_000);
    assert_eq!(busy.due_unix_ms(), Some(T0 + 1_000 + 3 * MINUTE));
    let picked_up = left_so(LeftBehind::Answered, &dialled, T0 + 1_000);
    assert_eq!(picked_up.attempts()[0].outcome, Some(Outcome::ShortTalk), "he heard nobody");

    let mut doubted = taken_over(&dialled, T0 + 1_000);
    assert_eq!(doubted.attempts()[0].outcome, Some(Outcome::InDoubt));
    assert_eq!(doubted.due_unix_ms(), Some(T0 + 1_000 + 10 * MINUTE));
    // The node was not dead, only slow, and knows.
    assert!(doubted.settle_doubt(CallId::new(2), Outcome::Reached, T0, &rules, Some).is_err(), "another try");
    doubted.settle_doubt(CallId::new(1), Outcome::Reached, T0, &rules, Some).unwrap();
    assert_eq!(doubted.state(), CallbackState::Completed);
    assert!(doubted.settle_doubt(CallId::new(1), Outcome::Busy, T0, &rules, Some).is_err());

    let talking = |callback: &mut Callback| {
        dialled(callback);
        callback.connect("1001").unwrap();
    };
    assert_eq!(taken_over(&talking, T0 + 30_000).attempts()[0].outcome, Some(Outcome::ShortTalk));
    assert_eq!(taken_over(&talking, T0 + 5 * MINUTE).state(), CallbackState::Completed);
}

#[test]
fn a_turn_that_comes_too_late_expires_or_waits_for_the_day() {
    let rules = RetryRules::default();
    let queued = || {
        let mut callback = Callback::new(CallbackId::new(1), wish(T0));
        callback.come_due(T0, &rules).unwrap();
        callback
    };
    let mut early = queued();
    assert!(early.is_early(T0 - 1) && !early.is_early(T0));
    early.put_off(T0 - 60 * MINUTE, &rules, Some).unwrap();
    assert_eq!(early.due_unix_ms(), Some(T0), "the clock was set back: its moment is still to come");
    let morning = T0 + 600 * MINUTE;
    let mut night = queued();
    night.put_off(T0 + MINUTE, &rules, |_| Some(morning)).unwrap();
    assert_eq!((night.state(), night.due_unix_ms()), (CallbackState::Scheduled, Some(morning)));
    let mut day = queued();
    day.put_off(T0 + MINUTE, &rules, Some).unwrap();
    assert_eq!(day.state(), CallbackState::Queued);
    for (now, next) in [(T0 + 1_441 * MINUTE, Some(T0 + 1_441 * MINUTE)), (T0, Some(T0 + 1_441 * MINUTE)), (T0, None)] {
        let mut late = queued();
        late.put_off(now, &rules, |_| next).unwrap();
        assert_eq!(late.state(), CallbackState::Expired, "{now} {next:?}");
    }
}

#[test]
fn agents_who_leave_again_and_again_do_not_ring_him_all_day() {
    let mut bench = Bench::new();
    let mut rings = 0;
    while !bench.callback.state().is_over() {
        if bench.callback.state() == CallbackState::Scheduled {
            bench.now = bench.callback.due_unix_ms().unwrap().max(bench.now);
            bench.callback.come_due(bench.now, &bench.rules).unwrap();
        }
        bench.callback.offer("1001").unwrap();
        bench.callback.dial(CallId::new(1), bench.now, AttemptLegs::default()).unwrap();
        bench.callback.end_attempt(Outcome::AgentGone, bench.now, &bench.rules, Some).unwrap();
        rings += 1;
        assert!(rings < 100);
    }
    assert_eq!((rings, bench.callback.state()), (6, CallbackState::Failed(FailReason::NotReached)));
    assert!(bench.now >= T0 + 30 * MINUTE, "with pauses that grow");
}
