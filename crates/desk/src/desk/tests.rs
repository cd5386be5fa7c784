//! Who is rung, who is refused, and that nothing is left when the calls are over.

use std::net::Ipv4Addr;

use call::{BridgeEvent, Call, CallCommand, HangupCause, LegCommand, LegEvent, LegQuality, LegRecord, Party, State};

use super::*;
use crate::{AgentConfig, CallLimits, DeskLimits, Hours, Opening, QueueTarget};

mod random;

/// Monday 2 June 2025, 07:59:30 UTC; 09:59:30 in Paris.
const T0_UNIX_MS: u64 = 1_748_851_170_000;

#[expect(clippy::disallowed_methods, reason = "only the origin of the virtual clock")]
fn t0() -> Now {
    Now { mono: Instant::now(), unix_ms: T0_UNIX_MS }
}

fn queue(id: &str, extensions: &[&str], seat: Option<Seat>) -> Queue {
    let extensions = extensions.iter().map(|&extension| extension.to_owned()).collect();
    Queue {
        id: QueueId::from(id),
        target: QueueTarget::Agents { extensions, seat },
        ring_limit: Duration::from_secs(20),
        max_waiting: 3,
        hours: None,
    }
}

fn config() -> DeskConfig {
    let person = |extension: &str| AgentConfig {
        extension: extension.to_owned(),
        name: format!("Agent {extension}"),
        skills: Vec::new(),
        max_calls: 1,
    };
    let pbx = QueueTarget::Trunk { trunk: "pbx".into(), uri: "600".to_owned() };
    DeskConfig {
        tenant: "shop".into(),
        queues: vec![
            queue("support", &["1001", "1002", "1003"], None),
            queue("page", &["1001", "1002"], Some(Seat::Browser)),
            queue("echo", &["echo"], None),
            Queue { target: pbx, ..queue("pbx", &[], None) },
        ],
        agents: vec![person("1001"), person("1002"), person("1003"), AgentConfig { max_calls: 100, ..person("echo") }],
        limits: DeskLimits { live_per_address: 4, asks_per_address_per_minute: 1_000, live_calls: 6 },
        calls: CallLimits::default(),
        wrap_up: Duration::ZERO,
        seed: [1; 32],
    }
}

/// A desk on a virtual clock.
struct Bench {
    desk: Desk,
    now: Now,
    sessions: u32,
}

impl Bench {
    /// Everybody is there, with a phone.
    fn new(config: DeskConfig) -> Self {
        let now = t0();
        let mut bench = Self { desk: Desk::new(config, now), now, sessions: 0 };
        for extension in ["1001", "1002", "1003", "echo"] {
            bench.desk.agent_seat(extension, Seat::SipPhone, true, now);
        }
        bench
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.unix_ms + ms;
        while let Some((at, _)) = self.desk.poll_timeout() {
            let in_ms = at.saturating_duration_since(self.now.mono).as_millis() as u64;
            if self.now.unix_ms + in_ms > end {
                break;
            }
            self.tick(in_ms);
            self.desk.handle_timeout(self.now);
        }
        self.tick(end - self.now.unix_ms);
    }

    fn tick(&mut self, ms: u64) {
        self.now = Now { mono: self.now.mono + Duration::from_millis(ms), unix_ms: self.now.unix_ms + ms };
    }

    fn request(&mut self, queue: &str) -> TalkRequest {
        self.sessions += 1;
        TalkRequest {
            queue: queue.into(),
            session: format!("s{}", self.sessions),
            page_url: "https://shop.test/cart".to_owned(),
            page_title: "Cart".to_owned(),
            referrer: None,
            language: "fr".to_owned(),
            source_ip: Ipv4Addr::from(0x0a00_0000 + self.sessions).into(),
        }
    }

    /// Another visitor, from elsewhere, asks.
    fn talk(&mut self, queue: &str) -> Result<CallSpec, Refusal> {
        let request = self.request(queue);
        self.pass(1);
        self.desk.talk(request, self.now)
    }

    fn refused(&mut self, queue: &str) -> &'static str {
        self.talk(queue).unwrap_err().counter()
    }

    fn say(&mut self, spec: &CallSpec, event: CallEvent) {
        self.desk.call_event(&spec.id, &event, self.now);
    }

    /// Its only agent was rung, and this was the end of his leg.
    fn rung_in_vain(&mut self, spec: &CallSpec, cause: HangupCause) {
        let mut record = Call::new(spec.clone(), self.now).record(self.now);
        record.legs = vec![LegRecord {
            id: LegId(1),
            kind: spec.second[0].kind.clone(),
            codec: None,
            quality: LegQuality::default(),
            cause: Some(cause),
            talked: None,
        }];
        self.pass(1);
        self.say(spec, CallEvent::Ended(Box::new(record)));
    }

    fn end(&mut self, spec: &CallSpec) {
        let mut call = Call::new(spec.clone(), self.now);
        call.hang_up(Party::Visitor, HangupCause::Normal, self.now);
        let record = call.record(self.now);
        self.pass(1);
        self.say(spec, CallEvent::Ended(Box::new(record)));
    }

    fn orders(&mut self) -> Vec<DeskCommand> {
        std::iter::from_fn(|| self.desk.poll_command()).collect()
    }
}

fn rung(spec: &CallSpec) -> Vec<&str> {
    spec.second.iter().map(|leg| leg.kind.peer()).collect()
}

#[test]
fn the_longest_idle_is_rung_first_and_the_busy_are_skipped() {
    let mut bench = Bench::new(config());
    let first = bench.talk("support").unwrap();
    assert_eq!(rung(&first), ["1001", "1002", "1003"], "all idle equally long: as configured");
    let second = bench.talk("support").unwrap();
    assert_eq!(rung(&second), ["1002", "1003"], "1001 is rung already, though nobody said so yet");
    bench.end(&first);
    bench.end(&second);
    let third = bench.talk("support").unwrap();
    assert_eq!(rung(&third), ["1003", "1001", "1002"]);
}

#[test]
fn a_candidate_taken_by_another_call_is_withdrawn_from_this_one() {
    let mut bench = Bench::new(config());
    let first = bench.talk("support").unwrap();
    bench.orders();
    let second = bench.talk("support").unwrap();
    assert_eq!(rung(&second), ["1002", "1003"]);
    let withdraw = DeskCommand::Withdraw { call: first.id, leg: LegId(2) };
    assert_eq!(bench.orders(), [withdraw, DeskCommand::LiveChanged]);
    // 1001 does not answer: 1003 is next for the first call, and no longer for the second.
    bench.say(&first, CallEvent::Trying { leg: LegId(3) });
    let withdraw = DeskCommand::Withdraw { call: second.id, leg: LegId(2) };
    assert_eq!(bench.orders(), [withdraw, DeskCommand::LiveChanged]);
    let third = bench.talk("support").unwrap();
    assert_eq!(rung(&third), ["1001"], "who was let go is free again");
    assert_eq!(bench.refused("support"), "too_many_queue");
}

#[test]
fn who_is_there_and_willing_is_rung() {
    let mut bench = Bench::new(config());
    let now = bench.now;
    bench.desk.agent_seat("1001", Seat::SipPhone, false, now);
    bench.desk.agent_presence("1002", Presence::Offline, now);
    bench.desk.agent_presence("1003", Presence::Busy, now);
    assert_eq!(bench.desk.availability(&"support".into(), now), Availability::Not(Refusal::NoAgent));
    assert_eq!(bench.refused("support"), "no_agent");
    bench.desk.agent_seat("1001", Seat::Browser, true, now);
    assert_eq!(bench.desk.availability(&"support".into(), now), Availability::TalkNow);
    assert_eq!(bench.desk.seats("1001").preferred(), Some(Seat::Browser));
    assert_eq!(rung(&bench.talk("support").unwrap()), ["1001"], "the page counts as a seat");
    bench.desk.agent_seat("nobody", Seat::Browser, true, now);
    assert_eq!(bench.desk.seats("nobody").preferred(), None);
}

#[test]
fn a_queue_may_ring_one_kind_of_seat_only() {
    let mut bench = Bench::new(config());
    assert_eq!(bench.refused("page"), "no_agent", "phones do not count here");
    let now = bench.now;
    bench.desk.agent_seat("1002", Seat::Browser, true, now);
    assert_eq!(rung(&bench.talk("page").unwrap()), ["1002"]);
}

#[test]
fn a_program_answers_many_and_a_pbx_chooses_by_itself() {
    let mut bench = Bench::new(config());
    for _ in 0..3 {
        assert_eq!(rung(&bench.talk("echo").unwrap()), ["echo"]);
    }
    let spec = bench.talk("pbx").unwrap();
    assert_eq!(rung(&spec), ["600"]);
    assert_eq!(bench.desk.live().last().and_then(|card| card.agent.clone()), None);
}

#[test]
fn each_bound_is_held_and_given_back() {
    let mut bench = Bench::new(config());
    let request = bench.request("echo");
    let first = bench.desk.talk(request.clone(), bench.now).unwrap();
    let again = bench.desk.talk(request.clone(), bench.now);
    assert_eq!(again.unwrap_err(), Refusal::TooMany(Bound::Session));
    let mut calls = vec![first];
    for session in ["a", "b"] {
        let request = TalkRequest { session: session.to_owned(), ..request.clone() };
        calls.push(bench.desk.talk(request, bench.now).unwrap());
    }
    assert_eq!(bench.refused("echo"), "too_many_queue", "three wait for an answer");
    calls.iter().for_each(|spec| bench.say(spec, CallEvent::State(State::Bridged)));
    let same_house = TalkRequest { session: String::new(), ..request.clone() };
    calls.push(bench.desk.talk(same_house.clone(), bench.now).unwrap());
    let fifth = bench.desk.talk(same_house, bench.now);
    assert_eq!(fifth.unwrap_err(), Refusal::TooMany(Bound::Address));
    calls.push(bench.talk("echo").unwrap());
    calls.push(bench.talk("pbx").unwrap());
    assert_eq!(bench.refused("echo"), "too_many_tenant");
    calls.iter().for_each(|spec| bench.end(spec));
    assert!(bench.desk.talk(request, bench.now).is_ok());
}

#[test]
fn asking_too_often_is_refused_whatever_is_asked() {
    let limits = DeskLimits { asks_per_address_per_minute: 2, ..DeskLimits::default() };
    let mut bench = Bench::new(DeskConfig { limits, ..config() });
    let request = bench.request("nowhere");
    let mut ask = || bench.desk.talk(request.clone(), bench.now).unwrap_err();
    assert_eq!([ask(), ask(), ask()], [Refusal::UnknownQueue, Refusal::UnknownQueue, Refusal::TooMany(Bound::Rate)]);
}

#[test]
fn a_desk_that_stops_accepts_nobody() {
    let mut bench = Bench::new(config());
    bench.desk.set_accepting(false);
    assert_eq!(bench.refused("support"), "closed");
    assert_eq!(bench.desk.dial("1001", "1002", bench.now).unwrap_err(), Refusal::Closed);
    assert_eq!(bench.desk.availability(&"support".into(), bench.now), Availability::Not(Refusal::Closed));
    bench.desk.set_accepting(true);
    assert!(bench.talk("support").is_ok());
}

#[test]
fn a_queue_opens_and_closes_by_the_minute_of_its_zone() {
    let opening = Opening { weekday: 0, from_minute: 10 * 60, to_minute: 10 * 60 + 2 };
    let hours = Some(Hours::new("Europe/Paris", vec![opening]).unwrap());
    let queues = vec![Queue { hours, ..queue("support", &["1001"], None) }];
    let mut bench = Bench::new(DeskConfig { queues, ..config() });
    bench.orders();
    assert_eq!(bench.refused("support"), "closed", "09:59:30 in Paris");
    assert_eq!(bench.desk.poll_timeout().map(|(_, timer)| timer), Some(Timer::Hours));
    bench.pass(30_000);
    assert_eq!(bench.orders(), [DeskCommand::LiveChanged], "10:00: the pages are told");
    assert_eq!(bench.desk.availability(&"support".into(), bench.now), Availability::TalkNow);
    bench.pass(60_000);
    assert_eq!(bench.orders(), [], "10:01: nothing new");
    bench.pass(60_000);
    assert_eq!(bench.orders(), [DeskCommand::LiveChanged], "10:02: closed");
    assert_eq!(bench.refused("support"), "closed");
}

#[test]
fn an_agent_rests_after_talking_and_not_after_a_ring_he_missed() {
    let mut bench = Bench::new(DeskConfig { wrap_up: Duration::from_secs(30), ..config() });
    let now = bench.now;
    for away in ["1002", "1003"] {
        bench.desk.agent_presence(away, Presence::Offline, now);
    }
    let missed = bench.talk("support").unwrap();
    bench.end(&missed);
    let talked = bench.talk("support").unwrap();
    bench.say(&talked, CallEvent::Answered { leg: LegId(1) });
    bench.end(&talked);
    assert_eq!(bench.desk.agents().first().map(|agent| agent.presence), Some(Presence::WrapUp));
    assert_eq!(bench.refused("support"), "no_agent");
    assert_eq!(bench.desk.poll_timeout().map(|(_, timer)| timer), Some(Timer::WrapUp));
    bench.pass(30_000);
    let next = bench.talk("support").unwrap();
    bench.say(&next, CallEvent::Answered { leg: LegId(1) });
    bench.end(&next);
    let now = bench.now;
    bench.desk.agent_presence("1001", Presence::Ready, now);
    assert!(bench.talk("support").is_ok(), "he says he is ready");
}

#[test]
fn who_does_not_take_two_calls_in_a_row_is_away_until_he_shows_that_he_is_there() {
    let only = DeskConfig { queues: vec![queue("support", &["1001"], None)], ..config() };
    let mut bench = Bench::new(only.clone());
    let presence = |bench: &Bench| bench.desk.agents().first().map(|agent| agent.presence).unwrap();
    let missed = |bench: &mut Bench, cause: HangupCause| {
        let spec = bench.talk("support").unwrap();
        bench.rung_in_vain(&spec, cause);
    };
    missed(&mut bench, HangupCause::NoAnswer);
    assert_eq!(presence(&bench), Presence::Ready, "once may happen to anybody");
    // Neither a busy line nor a visitor who hangs up counts, and one that was answered begins the count anew.
    missed(&mut bench, HangupCause::Busy);
    missed(&mut bench, HangupCause::Cancelled);
    let talked = bench.talk("support").unwrap();
    bench.say(&talked, CallEvent::Answered { leg: LegId(1) });
    bench.end(&talked);
    missed(&mut bench, HangupCause::Refused);
    assert_eq!(presence(&bench), Presence::Ready);
    bench.orders();
    missed(&mut bench, HangupCause::NoAnswer);
    assert_eq!(presence(&bench), Presence::Away);
    assert!(bench.orders().contains(&DeskCommand::LiveChanged), "his page is told");
    assert_eq!(bench.refused("support"), "no_agent");
    let turn = bench.desk.load(&"support".into());
    assert_eq!((turn.free, turn.busy_since_unix_ms.len()), (0, 0), "nobody counts on him");

    type Deed = fn(&mut Desk, Now);
    let back: [(Deed, &str); 5] = [
        (|desk, now| desk.agent_seat("1001", Seat::Browser, true, now), "he presses the button"),
        (|desk, now| desk.agent_presence("1001", Presence::Ready, now), "he says so"),
        (
            |desk, now| {
                desk.agent_seat("1001", Seat::SipPhone, false, now);
                desk.agent_seat("1001", Seat::SipPhone, true, now);
            },
            "his phone comes again",
        ),
        (
            |desk, now| {
                let spec = desk.dial("1001", "1002", now).unwrap();
                desk.forget(&spec.id, now);
            },
            "he dials",
        ),
        (
            |desk, now| {
                let spec = desk.dial("1002", "1001", now).unwrap();
                desk.call_event(&spec.id, &CallEvent::Answered { leg: LegId(1) }, now);
                desk.forget(&spec.id, now);
            },
            "he answers a colleague",
        ),
    ];
    for (deed, what) in back {
        let mut bench = Bench::new(only.clone());
        missed(&mut bench, HangupCause::NoAnswer);
        missed(&mut bench, HangupCause::NoAnswer);
        let now = bench.now;
        bench.desk.agent_seat("1001", Seat::SipPhone, true, now);
        assert_eq!(presence(&bench), Presence::Away, "a registration renewed says nothing of him");
        deed(&mut bench.desk, now);
        assert_eq!(presence(&bench), Presence::Ready, "{what}");
        missed(&mut bench, HangupCause::NoAnswer);
        assert_eq!(presence(&bench), Presence::Ready, "{what}: the count begins anew");
    }
}

#[test]
fn a_phone_dials_a_colleague_or_the_echo() {
    let mut bench = Bench::new(config());
    let spec = bench.desk.dial("1001", "echo", bench.now).unwrap();
    assert_eq!((spec.plan, spec.first.kind.peer(), rung(&spec)), (Plan::Inbound, "1001", vec!["echo"]));
    let now = bench.now;
    assert_eq!(bench.desk.dial("1002", "1001", now).unwrap_err(), Refusal::NoAgent, "he is on the phone");
    assert_eq!(bench.desk.dial("1002", "1002", now).unwrap_err(), Refusal::NoAgent);
    assert_eq!(bench.desk.dial("1002", "911", now).unwrap_err(), Refusal::UnknownAgent);
    assert_eq!(bench.desk.dial("mallory", "1002", now).unwrap_err(), Refusal::UnknownAgent);
    assert_eq!(rung(&bench.talk("support").unwrap()), ["1002", "1003"], "who dials is busy");
    bench.end(&spec);
    assert!(bench.desk.dial("1003", "1001", bench.now).is_ok());
}

#[test]
fn whoever_is_to_take_a_call_over_has_no_other_and_whoever_left_it_is_free() {
    let mut bench = Bench::new(config());
    let who = |bench: &Bench| {
        let taken = bench.desk.agents();
        taken.into_iter().filter(|agent| !agent.calls.is_empty()).map(|agent| agent.extension).collect::<Vec<_>>()
    };
    let step = |bench: &mut Bench, spec: &CallSpec, (by, to): (u8, u8), step: Transfer| {
        bench.say(spec, CallEvent::Transfer { by: LegId(by), to: LegId(to), step });
    };
    let asked = |extension: &str| Transfer::Asked(LegKind::Agent { extension: extension.to_owned() });
    let spec = bench.talk("support").unwrap();
    bench.say(&spec, CallEvent::Answered { leg: LegId(1) });
    step(&mut bench, &spec, (1, 4), asked("1002"));
    assert_eq!(who(&bench), ["1001", "1002"]);
    step(&mut bench, &spec, (1, 4), Transfer::Failed(HangupCause::Busy));
    assert_eq!(who(&bench), ["1001"]);
    step(&mut bench, &spec, (1, 5), asked("1003"));
    step(&mut bench, &spec, (1, 5), Transfer::Done);
    assert_eq!(who(&bench), ["1003"]);
    assert_eq!(bench.desk.live()[0].agent.as_deref(), Some("1003"), "the live page shows it at the new agent");
    // On to somebody behind a trunk, whom this desk does not know.
    let pbx = LegKind::Trunk { trunk: "pbx".into(), uri: "601".to_owned() };
    step(&mut bench, &spec, (5, 6), Transfer::Asked(pbx));
    step(&mut bench, &spec, (5, 6), Transfer::Done);
    assert_eq!((who(&bench), bench.desk.live()[0].agent.clone()), (vec![], None));
    bench.end(&spec);
    // A call-back's agent, who was rung first, hands over, and the new one too.
    let spec = bench.desk.call_back(turn(true), bench.now).unwrap();
    assert_eq!((spec.first.kind.peer(), who(&bench)), ("1001", vec!["1001".to_owned()]));
    for (by, to, extension) in [(0, 2, "1002"), (2, 3, "1003")] {
        step(&mut bench, &spec, (by, to), asked(extension));
        assert_eq!(who(&bench).len(), 2);
        step(&mut bench, &spec, (by, to), Transfer::Done);
        assert_eq!(who(&bench), [extension]);
        assert_eq!(bench.desk.live()[0].agent.as_deref(), Some(extension));
    }
    step(&mut bench, &spec, (3, 4), asked("1001"));
    bench.end(&spec);
    assert!(who(&bench).is_empty(), "nobody stays taken when the call ends in the middle");
}

#[test]
fn the_live_page_shows_who_rings_from_where() {
    let mut bench = Bench::new(config());
    let first = bench.talk("support").unwrap();
    let second = bench.talk("support").unwrap();
    bench.pass(700);
    bench.say(&first, CallEvent::State(State::Ringing));
    bench.desk.note_page(&first.id, "https://shop.test/confirm\r\n", "Con\0firm");
    bench.desk.note_page(&CallId::new(9), "https://evil.test/", "x");
    let live = bench.desk.live();
    let [one, two] = live.as_slice() else { panic!("{live:?}") };
    assert_eq!((one.call, one.state, one.agent.as_deref()), (first.id, State::Ringing, Some("1001")));
    assert_eq!((one.tags.page_url.as_str(), one.tags.page_title.as_str()), ("https://shop.test/confirm", "Confirm"));
    assert_eq!((one.tags.session.as_str(), one.since_unix_ms), ("s1", bench.now.unix_ms));
    assert_eq!((two.call, two.state, two.agent.as_deref()), (second.id, State::New, Some("1002")));
    assert_eq!(first.tags.page_url, "https://shop.test/cart", "the click stays what it was");
    bench.orders();
    bench.desk.forget(&first.id, bench.now);
    assert_eq!(bench.orders(), [DeskCommand::LiveChanged]);
    assert_eq!(bench.desk.live().len(), 1);
    assert_eq!(bench.desk.agent_name("1001"), Some("Agent 1001"));
}

#[test]
fn ids_come_from_the_seed_and_are_never_the_same_twice() {
    let ids = |seed: u8| {
        let mut bench = Bench::new(DeskConfig { seed: [seed; 32], ..config() });
        let mut one = || {
            let spec = bench.talk("echo").unwrap();
            bench.end(&spec);
            (spec.id, spec.tags.tag)
        };
        [one(), one()]
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
    let [(a, tag_a), (b, tag_b)] = ids(3);
    assert!(a != b && tag_a != tag_b);
}

fn turn(agent_first: bool) -> CallbackTurn {
    let mut bench = Bench::new(config());
    let tags = bench.talk("support").unwrap().tags;
    let kind = LegKind::Trunk { trunk: "pstn".into(), uri: "+33612345678".to_owned() };
    let customer = LegSpec { kind, ring_limit: Duration::from_secs(28) };
    CallbackTurn { tags, customer, agent_first, key_limit: None, declined: Vec::new(), last_agent: None }
}

#[test]
fn a_call_back_takes_one_agent_who_did_not_decline_and_its_customer() {
    let mut bench = Bench::new(config());
    let agent = |spec: &CallSpec| spec.first.kind.extension().unwrap_or_default().to_owned();
    let first = bench.desk.call_back(turn(true), bench.now).unwrap();
    assert_eq!((first.plan, agent(&first).as_str()), (Plan::CallBack { first: Party::Agent }, "1001"));
    assert_eq!(first.second, [turn(true).customer]);
    let card = bench.desk.live().pop().unwrap();
    assert_eq!(card.agent.as_deref(), Some("1001"));
    bench.desk.call_event(&first.id, &CallEvent::Trying { leg: LegId(1) }, bench.now);
    assert_eq!(bench.desk.live().pop().unwrap().agent.as_deref(), Some("1001"), "the customer is no candidate");

    let choosy = CallbackTurn { declined: vec!["1002".to_owned()], ..turn(true) };
    let second = bench.desk.call_back(choosy, bench.now).unwrap();
    assert_eq!(agent(&second), "1003");
    assert_eq!(agent(&bench.desk.call_back(turn(true), bench.now).unwrap()), "1002");
    assert_eq!(bench.desk.call_back(turn(true), bench.now).unwrap_err(), Refusal::NoAgent);
    bench.desk.forget(&first.id, bench.now);
    let known = CallbackTurn { last_agent: last("1001", false), ..turn(false) };
    let other = bench.desk.call_back(known, bench.now).unwrap();
    assert_eq!(other.plan, Plan::CallBack { first: Party::Visitor });
    assert_eq!((other.first, other.second.len()), (turn(false).customer, 1));
    bench.desk.set_accepting(false);
    assert_eq!(bench.desk.call_back(turn(true), bench.now).unwrap_err(), Refusal::Closed);
}

fn last(extension: &str, is_waited_for: bool) -> Option<LastAgent> {
    Some(LastAgent { extension: extension.to_owned(), is_waited_for })
}

#[test]
fn whoever_spoke_with_the_customer_last_is_asked_first_or_waited_for() {
    let config = DeskConfig { wrap_up: Duration::from_secs(30), ..config() };
    let mut bench = Bench::new(config);
    let rung = |bench: &mut Bench, last_agent| {
        let spec = bench.desk.call_back(CallbackTurn { last_agent, ..turn(true) }, bench.now);
        spec.map(|spec| (spec.id, spec.first.kind.extension().unwrap_or_default().to_owned()))
    };
    let (talk, agent) = rung(&mut bench, last("1003", true)).unwrap();
    assert_eq!(agent, "1003", "free, though not the first of those idle longest");
    // He talks, and then rests: he is waited for, or others are asked.
    bench.desk.call_event(&talk, &CallEvent::Answered { leg: LegId(1) }, bench.now);
    for _ in 0..2 {
        assert_eq!(rung(&mut bench, last("1003", true)), Err(Refusal::AgentBusy));
        let (pool, agent) = rung(&mut bench, last("1003", false)).unwrap();
        assert_ne!(agent, "1003");
        bench.desk.forget(&pool, bench.now);
        bench.desk.forget(&talk, bench.now);
    }
    bench.pass(30_000);
    assert_eq!(rung(&mut bench, last("1003", true)).unwrap().1, "1003", "rested");
}

#[test]
fn nobody_is_waited_for_who_will_not_come_or_would_not_take_it() {
    let first = |bench: &mut Bench, turn: CallbackTurn| {
        bench.desk.call_back(turn, bench.now).unwrap().first.kind.extension().unwrap_or_default().to_owned()
    };
    let known = || CallbackTurn { last_agent: last("1001", true), ..turn(true) };
    let mut away = Bench::new(config());
    away.desk.agent_presence("1001", Presence::Busy, away.now);
    assert_eq!(first(&mut away, known()), "1002", "he does something else");
    let mut gone = Bench::new(config());
    gone.desk.agent_seat("1001", Seat::SipPhone, false, gone.now);
    assert_eq!(first(&mut gone, known()), "1002");
    let mut choosy = Bench::new(config());
    let declined = vec!["1001".to_owned()];
    assert_eq!(first(&mut choosy, CallbackTurn { declined: declined.clone(), ..known() }), "1002");
    choosy.sessions = 100;
    let busy = choosy.talk("support").unwrap();
    assert_eq!(busy.second[0].kind.extension(), Some("1001"));
    assert_eq!(first(&mut choosy, CallbackTurn { declined, ..known() }), "1003", "busy, and would not take it");
    let mut stranger = Bench::new(config());
    let elsewhere = CallbackTurn { last_agent: last("echo", true), ..turn(true) };
    assert_eq!(first(&mut stranger, elsewhere), "1001", "of another queue");
}

#[test]
fn the_agent_who_knows_him_is_found_among_more_than_can_be_tried() {
    let many: Vec<String> = (0..40).map(|number| format!("2{number:03}")).collect();
    let person = |extension: &String| AgentConfig {
        extension: extension.clone(),
        name: String::new(),
        skills: Vec::new(),
        max_calls: 1,
    };
    let extensions: Vec<&str> = many.iter().map(String::as_str).collect();
    let config = DeskConfig {
        queues: vec![queue("support", &extensions, None)],
        agents: many.iter().map(person).collect(),
        ..config()
    };
    let mut bench = Bench::new(config);
    for extension in &many {
        bench.pass(10);
        bench.desk.agent_seat(extension, Seat::SipPhone, true, bench.now);
    }
    let known = CallbackTurn { last_agent: last("2039", true), ..turn(false) };
    let spec = bench.desk.call_back(known, bench.now).unwrap();
    let order: Vec<&str> = spec.second.iter().filter_map(|leg| leg.kind.extension()).collect();
    assert_eq!(order.len(), call::MAX_CANDIDATES);
    assert_eq!(order[..3], ["2039", "2000", "2001"], "then who is idle longest");
}

#[test]
fn whoever_has_the_visitors_language_is_asked_first_and_the_others_after_him() {
    let mut config = config();
    config.agents[2].skills = vec!["returns".to_owned(), "FR".to_owned()];
    let order = |bench: &mut Bench, language: &str| {
        bench.sessions += 1;
        bench.pass(1);
        let request = TalkRequest { language: language.to_owned(), ..bench.request("support") };
        let spec = bench.desk.talk(request, bench.now).unwrap();
        bench.desk.forget(&spec.id, bench.now);
        spec.second.iter().filter_map(|leg| leg.kind.extension().map(str::to_owned)).collect::<Vec<_>>()
    };
    for (language, expected) in [
        ("fr-FR", ["1003", "1001", "1002"]),
        ("fr", ["1003", "1001", "1002"]),
        ("en", ["1001", "1002", "1003"]),
        ("", ["1001", "1002", "1003"]),
    ] {
        assert_eq!(order(&mut Bench::new(config.clone()), language), expected, "{language:?}");
    }
    // Who spoke with the customer before goes before the language, and who would not take it after all.
    let mut bench = Bench::new(config);
    let known = CallbackTurn { last_agent: last("1002", false), declined: vec!["1003".to_owned()], ..turn(false) };
    let spec = bench.desk.call_back(known, bench.now).unwrap();
    let agents: Vec<&str> = spec.second.iter().filter_map(|leg| leg.kind.extension()).collect();
    assert_eq!(agents, ["1002", "1001", "1003"]);
}

#[test]
fn whoever_is_rung_first_in_a_call_back_is_asked_for_a_key() {
    let mut bench = Bench::new(config());
    let limit = Some(Duration::from_secs(60));
    for agent_first in [true, false] {
        let turn = CallbackTurn { key_limit: limit, ..turn(agent_first) };
        assert_eq!(bench.desk.call_back(turn, bench.now).unwrap().key_limit, limit);
    }
    let mut bench = Bench::new(config());
    assert_eq!(bench.talk("support").unwrap().key_limit, None, "a visitor's call is taken by answering");
}

#[test]
fn call_backs_take_no_place_of_visitors_who_wait() {
    let mut bench = Bench::new(config());
    for _ in 0..3 {
        let mut pbx = turn(true);
        pbx.tags.queue = "pbx".into();
        pbx.tags.session = "another visitor".to_owned();
        bench.desk.call_back(pbx, bench.now).unwrap();
    }
    assert!(bench.talk("pbx").is_ok());
}

#[test]
fn the_load_of_a_queue_is_who_works_for_it_and_how_long_its_calls_last() {
    let mut bench = Bench::new(config());
    let load = bench.desk.load(&"support".into());
    assert_eq!((load.free, load.busy_since_unix_ms.len()), (3, 0));
    let call = bench.talk("support").unwrap();
    let begun = bench.now.unix_ms;
    bench.say(&call, CallEvent::Answered { leg: LegId(1) });
    bench.pass(60_000);
    let load = bench.desk.load(&"support".into());
    assert_eq!((load.free, load.busy_since_unix_ms), (2, vec![begun]));
    bench.end(&call);
    let (load, now) = (bench.desk.load(&"support".into()), bench.now.unix_ms);
    assert_eq!(load.estimate(0, now).unwrap().p90, Duration::ZERO, "somebody is free");
    let three_before = load.estimate(3, now).unwrap();
    assert!(three_before.p50 >= Duration::from_secs(60), "each has lasted a minute and its rest: {three_before:?}");
    assert_eq!(load.estimate(3, now), Some(three_before), "the same question has the same answer");
    assert_eq!(bench.desk.load(&"nowhere".into()).estimate(0, now), None);
}

#[test]
fn other_rules_count_from_the_next_call_on_and_whoever_stays_keeps_what_he_has() {
    let mut bench = Bench::new(config());
    let up = bench.talk("support").unwrap();
    let busy = up.second[0].kind.extension().unwrap().to_owned();
    let mut other = config();
    other.queues.retain(|queue| queue.id != QueueId::from("page"));
    other.queues[0] = Queue { ring_limit: Duration::from_secs(7), ..queue("support", &["1001", "1002", "1004"], None) };
    other.agents.retain(|agent| agent.extension != "1003");
    let new =
        AgentConfig { extension: "1004".to_owned(), name: "Agent 1004".to_owned(), skills: Vec::new(), max_calls: 1 };
    other.agents.push(new);
    bench.desk.follow(other, bench.now);
    assert_eq!(bench.desk.live().len(), 1, "the call goes on");
    assert_eq!(bench.refused("page"), Refusal::UnknownQueue.counter());
    let next = bench.talk("support").unwrap();
    let rung: Vec<&str> = next.second.iter().filter_map(|leg| leg.kind.extension()).collect();
    assert!(
        !rung.contains(&busy.as_str()) && !rung.contains(&"1003") && !rung.contains(&"1004"),
        "{rung:?}, not {busy}"
    );
    assert_eq!(next.second[0].ring_limit, Duration::from_secs(7));
    // Whoever is new is rung when he is there; whoever is taken out in a call and comes back is still in it.
    bench.desk.agent_seat("1004", Seat::SipPhone, true, bench.now);
    assert!(bench.desk.seats("1004").sip_phone);
    let mut without = config();
    without.agents.retain(|agent| agent.extension != busy);
    bench.desk.follow(without, bench.now);
    bench.desk.follow(config(), bench.now);
    bench.desk.agent_seat(&busy, Seat::SipPhone, true, bench.now);
    let again = bench.talk("support").map(|spec| spec.second[0].kind.extension().unwrap().to_owned());
    assert_ne!(again.as_deref(), Ok(busy.as_str()), "his call is up");
    bench.desk.forget(&up.id, bench.now);
    bench.desk.forget(&next.id, bench.now);
    assert!(bench.desk.live().iter().all(|card| card.call != up.id));
}
