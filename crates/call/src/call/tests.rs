//! The table row by row, as transcripts; then thousands of random lives (`random.rs`).

use std::time::{Duration, Instant};

use super::*;
use crate::{
    BridgeCommand, CallId, CallTags, LegCommand, LegKind, LegQuality, LegSpec, QueueId, TagsDraft, TenantId, TrunkId,
};

mod handover;
mod random;

const RING_LIMIT: Duration = Duration::from_secs(20);
const KEY_LIMIT: Duration = Duration::from_secs(40);
const GRACE: Duration = Duration::from_secs(15);
const T0_UNIX_MS: u64 = 1_750_000_000_000;

/// A call on a virtual clock, with everything it said so far written down.
struct Bench {
    call: Call,
    now: Now,
    news: Vec<CallEvent>,
}

fn agent(extension: &str) -> LegKind {
    LegKind::Agent { extension: extension.to_owned() }
}

fn trunk() -> LegKind {
    LegKind::Trunk { trunk: TrunkId::from("pbx"), uri: "sip:600@pbx".to_owned() }
}

fn spec(plan: Plan, first: LegKind, second: Vec<LegKind>) -> CallSpec {
    let leg = |kind| LegSpec { kind, ring_limit: RING_LIMIT };
    CallSpec {
        id: CallId::new(7),
        tags: CallTags::new(TagsDraft {
            tag: [7; 16],
            tenant: TenantId::from("shop"),
            queue: QueueId::from("support"),
            session: "s1".to_owned(),
            page_url: "https://shop.test/cart".to_owned(),
            page_title: "Cart".to_owned(),
            referrer: None,
            language: "fr".to_owned(),
            made_at_unix_ms: T0_UNIX_MS,
        }),
        plan,
        first: leg(first),
        second: second.into_iter().map(leg).collect(),
        key_limit: None,
        media_setup_limit: CallSpec::MEDIA_SETUP_LIMIT,
        max_duration: Duration::from_secs(3_600),
        media_lost_grace: GRACE,
        end_limit: CallSpec::END_LIMIT,
    }
}

#[expect(clippy::disallowed_methods, reason = "only the origin of the virtual clock")]
fn t0() -> Now {
    Now { mono: Instant::now(), unix_ms: T0_UNIX_MS }
}

impl Bench {
    fn new(spec: CallSpec) -> Self {
        let now = t0();
        Self { call: Call::new(spec, now), now, news: Vec::new() }
    }

    /// A visitor asks; these agents are the candidates.
    fn talk(agents: &[&str]) -> Self {
        Self::new(spec(Plan::Talk, LegKind::Browser, agents.iter().map(|ext| agent(ext)).collect()))
    }

    /// ... and the first of them has answered.
    fn talking() -> Self {
        let mut bench = Self::talk(&["1001"]);
        bench.leg(0, LegEvent::MediaUp);
        bench.leg(1, LegEvent::Ringing);
        bench.wait(5_000);
        bench.leg(1, LegEvent::Answered);
        bench.orders();
        bench
    }

    fn leg(&mut self, leg: u8, event: LegEvent) {
        self.call.handle_leg(LegId(leg), event, self.now);
    }

    fn gone(&mut self, leg: u8, cause: HangupCause) {
        self.leg(leg, LegEvent::Gone { cause });
    }

    /// Time passes; deadlines are kept on the way.
    fn wait(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some((at, _)) = self.call.poll_timeout().filter(|(at, _)| *at <= end) {
            self.move_to(at);
            self.call.handle_timeout(self.now);
        }
        self.move_to(end);
    }

    fn move_to(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.mono);
        self.now = Now { mono: self.now.mono + passed, unix_ms: self.now.unix_ms + passed.as_millis() as u64 };
    }

    /// The orders since the last look, in words.
    fn orders(&mut self) -> String {
        while let Some(event) = self.call.poll_event() {
            self.news.push(event);
        }
        let orders = std::iter::from_fn(|| self.call.poll_command()).map(words);
        orders.collect::<Vec<_>>().join(", ")
    }

    /// Every leg and the bridge end as ordered; the record.
    fn record(&mut self) -> CallRecord {
        let left: Vec<LegId> = self.call.unfinished().collect();
        left.into_iter().for_each(|leg| self.call.handle_leg(leg, LegEvent::Ended, self.now));
        self.call.handle_bridge(BridgeEvent::Closed, self.now);
        self.orders();
        assert_eq!((self.call.state(), self.call.poll_timeout()), (State::Ended, None));
        match self.news.last() {
            Some(CallEvent::Ended(record)) => (**record).clone(),
            other => panic!("the last news is {other:?}"),
        }
    }

    /// Ends it all and looks at who did it.
    fn verdict(&mut self) -> (Party, HangupCause) {
        let record = self.record();
        (record.hung_up_by, record.cause)
    }
}

fn words(command: CallCommand) -> String {
    let on_off = |on| if on { "on" } else { "off" };
    match command {
        CallCommand::Leg(leg, order) => match order {
            LegCommand::Open => format!("{leg} open"),
            LegCommand::Invite => format!("{leg} invite"),
            LegCommand::Ring => format!("{leg} ring"),
            LegCommand::Progress => format!("{leg} progress"),
            LegCommand::Answered => format!("{leg} answered"),
            LegCommand::End(cause) => format!("{leg} end {cause}"),
            LegCommand::Digit(digit) => format!("{leg} digit {digit}"),
            LegCommand::ShowHeld(on) => format!("{leg} held {}", on_off(on)),
        },
        CallCommand::Bridge(order) => match order {
            BridgeCommand::Ringback { to, on } => format!("ringback {to} {}", on_off(on)),
            BridgeCommand::Prompt { to, on } => format!("prompt {to} {}", on_off(on)),
            BridgeCommand::Connect { a, b } => format!("connect {a}-{b}"),
            BridgeCommand::Disconnect => "disconnect".to_owned(),
            BridgeCommand::Hold { leg, on } => format!("hold {leg} {}", on_off(on)),
            BridgeCommand::Replace { leg, by } => format!("replace {leg} by {by}"),
            BridgeCommand::Close => "close".to_owned(),
        },
    }
}

#[test]
fn a_visitor_talks_and_hangs_up() {
    let mut bench = Bench::talk(&["1001"]);
    assert_eq!(bench.orders(), "0 open, 1 invite");
    assert_eq!(bench.call.state(), State::Opening);
    bench.leg(0, LegEvent::MediaUp);
    bench.wait(700);
    bench.leg(1, LegEvent::Ringing);
    assert_eq!(bench.orders(), "0 ring, ringback 0 on");
    bench.leg(1, LegEvent::Ringing);
    assert_eq!(bench.orders(), "", "a second 180 changes nothing");
    bench.wait(4_300);
    bench.leg(1, LegEvent::Answered);
    assert_eq!(bench.orders(), "ringback 0 off, 0 answered, connect 0-1");
    assert_eq!(bench.call.state(), State::Bridged);
    bench.wait(61_250);
    bench.leg(0, LegEvent::Codec("opus".to_owned()));
    bench.leg(1, LegEvent::Codec("PCMA\r\nX: y".to_owned()));
    bench.call.hang_up(Party::Visitor, HangupCause::Normal, bench.now);
    assert_eq!(bench.orders(), "0 end normal, 1 end normal, close");
    bench.leg(1, LegEvent::Ended);
    bench.leg(0, LegEvent::Ended);
    assert_eq!(bench.call.state(), State::Ending, "the bridge has not given its figures");
    let quality = LegQuality { loss_in: Some(0.01), packets_in: 3_000, ..LegQuality::default() };
    bench.leg(1, LegEvent::Quality(quality));
    bench.wait(40);

    let record = bench.record();
    assert_eq!((record.hung_up_by, record.cause), (Party::Visitor, HangupCause::Normal));
    assert_eq!(record.started_unix_ms, T0_UNIX_MS);
    assert_eq!(record.ringing_unix_ms, Some(T0_UNIX_MS + 700));
    assert_eq!(record.answered_unix_ms, Some(T0_UNIX_MS + 5_000));
    assert_eq!(record.ended_unix_ms, T0_UNIX_MS + 66_250, "the hang-up, not the last packet of it");
    assert_eq!((record.wait_ms, record.talk_ms), (5_000, 61_250));
    assert!(!record.interrupted);
    let codecs: Vec<_> = record.legs.iter().map(|leg| leg.codec.as_deref()).collect();
    assert_eq!(codecs, [Some("opus"), Some("PCMA  X: y")]);
    assert_eq!(record.legs.last().map(|leg| leg.quality), Some(quality));
    let states = bench.news.iter().filter_map(|news| if let CallEvent::State(s) = news { Some(*s) } else { None });
    assert_eq!(
        states.collect::<Vec<_>>(),
        [State::Opening, State::Ringing, State::Bridged, State::Ending, State::Ended]
    );
}

#[test]
fn the_agent_hangs_up() {
    let mut bench = Bench::talking();
    bench.gone(1, HangupCause::Normal);
    assert_eq!(bench.orders(), "0 end normal, close", "a leg that is gone is not told to end");
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Normal));
}

#[test]
fn candidates_are_tried_in_order_and_the_visitor_keeps_hearing_it_ring() {
    let mut bench = Bench::talk(&["1001", "1002", "1003"]);
    bench.orders();
    bench.leg(0, LegEvent::MediaUp);
    bench.leg(1, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.orders(), "2 invite");
    bench.leg(2, LegEvent::Ringing);
    assert_eq!(bench.orders(), "0 ring, ringback 0 on");
    bench.wait(RING_LIMIT.as_millis() as u64);
    assert_eq!(bench.orders(), "2 end no-answer, 3 invite");
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "", "he picked up too late: his leg is being cancelled");
    bench.leg(3, LegEvent::Ringing);
    bench.leg(3, LegEvent::Answered);
    assert_eq!(bench.orders(), "ringback 0 off, 0 answered, connect 0-3");
    let tried =
        bench.news.iter().filter_map(|news| if let CallEvent::Trying { leg } = news { Some(leg.0) } else { None });
    assert_eq!(tried.collect::<Vec<_>>(), [1, 2, 3]);
    bench.gone(0, HangupCause::Normal);
    let causes: Vec<_> = bench.record().legs.iter().map(|leg| leg.cause).collect();
    let expected = [HangupCause::Normal, HangupCause::Busy, HangupCause::NoAnswer, HangupCause::Normal];
    assert_eq!(causes, expected.map(Some));
}

#[test]
fn a_withdrawn_candidate_is_passed_over() {
    let mut bench = Bench::talk(&["1001", "1002", "1003"]);
    bench.call.withdraw(LegId(2));
    bench.call.withdraw(LegId(1));
    bench.call.withdraw(LegId(0));
    bench.call.withdraw(LegId(99));
    bench.leg(1, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.orders(), "0 open, 1 invite, 3 invite");
    assert_eq!(bench.record_after_nobody(3), ["browser", "agent 1001", "agent 1003"]);
}

impl Bench {
    fn record_after_nobody(&mut self, last: u8) -> Vec<String> {
        self.leg(last, LegEvent::Refused(HangupCause::Unreachable));
        self.record().legs.iter().map(|leg| format!("{:?}", leg.kind)).collect()
    }
}

#[test]
fn when_nobody_answers_the_truest_cause_is_told() {
    for (causes, told) in [
        (vec![HangupCause::Busy, HangupCause::Unreachable], (Party::Agent, HangupCause::Busy)),
        (vec![HangupCause::Unreachable, HangupCause::NoAnswer], (Party::Gateway, HangupCause::NoAnswer)),
        (vec![HangupCause::Normal], (Party::Agent, HangupCause::Refused)),
        (vec![HangupCause::Unreachable], (Party::Gateway, HangupCause::Unreachable)),
        (vec![], (Party::Gateway, HangupCause::NoAgent)),
    ] {
        let names: Vec<String> = (0..causes.len()).map(|i| format!("100{i}")).collect();
        let mut bench = Bench::talk(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for (index, cause) in causes.iter().enumerate() {
            bench.leg(index as u8 + 1, LegEvent::Refused(*cause));
        }
        assert!(bench.orders().ends_with(&format!("0 end {}, close", told.1)), "{causes:?}");
        assert_eq!(bench.verdict(), told, "{causes:?}");
    }
}

#[test]
fn who_never_rang_was_not_reached() {
    let mut bench = Bench::new(spec(Plan::Talk, LegKind::Browser, vec![trunk()]));
    bench.orders();
    bench.leg(0, LegEvent::MediaUp);
    bench.wait(RING_LIMIT.as_millis() as u64);
    assert_eq!(bench.orders(), "1 end unreachable, 0 end unreachable, close");
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::Unreachable));
}

#[test]
fn early_media_takes_the_place_of_ring_back() {
    let mut bench = Bench::new(spec(Plan::Talk, LegKind::Browser, vec![trunk(), agent("1001")]));
    bench.leg(1, LegEvent::Ringing);
    bench.orders();
    bench.leg(1, LegEvent::EarlyMedia);
    assert_eq!(bench.orders(), "ringback 0 off, 0 progress, connect 0-1");
    bench.leg(1, LegEvent::EarlyMedia);
    bench.leg(1, LegEvent::Ringing);
    assert_eq!(bench.orders(), "", "a 180 after the 183 does not bring the tone back");
    bench.leg(0, LegEvent::Digit(Digit::new('5').unwrap()));
    assert_eq!(bench.orders(), "1 digit 5", "a menu before the answer hears keys");
    bench.leg(1, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.orders(), "disconnect, 2 invite, ringback 0 on");
    bench.leg(2, LegEvent::EarlyMedia);
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "ringback 0 off, connect 0-2, 0 answered", "one connection, one progress");
}

#[test]
fn a_hold_is_shown_and_taken_back() {
    let mut bench = Bench::talking();
    bench.leg(1, LegEvent::Held(true));
    bench.leg(1, LegEvent::Held(true));
    assert_eq!(bench.orders(), "hold 1 on, 0 held on");
    assert_eq!(bench.call.state(), State::Held);
    bench.leg(0, LegEvent::Held(true));
    bench.leg(1, LegEvent::Held(false));
    assert_eq!(bench.orders(), "hold 0 on, 1 held on, hold 1 off, 0 held off");
    assert_eq!(bench.call.state(), State::Held, "the other side still holds");
    bench.leg(0, LegEvent::Held(false));
    assert_eq!(bench.call.state(), State::Bridged);
    bench.leg(1, LegEvent::Held(true));
    bench.gone(0, HangupCause::Normal);
    assert_eq!(bench.verdict(), (Party::Visitor, HangupCause::Normal));
}

#[test]
fn keys_go_both_ways_and_a_flood_of_them_is_bounded() {
    let mut bench = Bench::talking();
    bench.leg(0, LegEvent::Digit(Digit::new('1').unwrap()));
    bench.leg(1, LegEvent::Digit(Digit::new('#').unwrap()));
    assert_eq!(bench.orders(), "1 digit 1, 0 digit #");
    for _ in 0..1_000 {
        bench.leg(0, LegEvent::Digit(Digit::new('9').unwrap()));
    }
    assert_eq!(bench.call.commands.len(), MAX_PENDING);
    assert_eq!(bench.call.dropped(), 1_000 - MAX_PENDING as u64);
    bench.gone(1, HangupCause::Normal);
    assert!(bench.orders().ends_with("0 end normal, close"), "an end is never left out");
}

#[test]
fn lost_sound_has_a_grace() {
    let mut bench = Bench::talking();
    bench.leg(0, LegEvent::MediaLost);
    bench.wait(14_999);
    bench.leg(0, LegEvent::MediaBack);
    bench.wait(60_000);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("", State::Bridged));
    bench.leg(0, LegEvent::MediaLost);
    bench.wait(10_000);
    bench.leg(0, LegEvent::MediaLost);
    bench.wait(4_999);
    assert_eq!(bench.orders(), "", "saying it twice does not lengthen it");
    assert_eq!(bench.call.poll_timeout().map(|(_, timer)| timer), Some(Timer::MediaLost));
    bench.wait(1);
    assert_eq!(bench.orders(), "0 end media-lost, 1 end media-lost, close");
    assert_eq!(bench.verdict(), (Party::Visitor, HangupCause::MediaLost));
}

#[test]
fn sound_that_never_comes_up_ends_the_call_also_after_the_answer() {
    let mut bench = Bench::talk(&["1001"]);
    bench.leg(1, LegEvent::Answered);
    bench.wait(CallSpec::MEDIA_SETUP_LIMIT.as_millis() as u64);
    assert!(bench.orders().ends_with("0 end media-failed, 1 end media-failed, close"));
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::MediaFailed));
}

#[test]
fn the_longest_talk_is_kept() {
    let mut bench = Bench::talking();
    bench.wait(3_599_999);
    assert_eq!(bench.call.state(), State::Bridged, "nobody having spoken yet is no reason to end");
    bench.wait(1);
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::TooLong));
}

#[test]
fn a_visitor_who_leaves_before_the_answer_cancels() {
    let mut bench = Bench::talk(&["1001"]);
    bench.leg(1, LegEvent::Ringing);
    bench.orders();
    bench.wait(2_000);
    bench.gone(0, HangupCause::Normal);
    assert_eq!(bench.orders(), "1 end cancelled, close");
    bench.leg(1, LegEvent::Answered);
    assert_eq!(bench.orders(), "", "the answer crossed the cancel");
    let record = bench.record();
    assert_eq!((record.hung_up_by, record.cause), (Party::Visitor, HangupCause::Cancelled));
    assert_eq!((record.wait_ms, record.talk_ms, record.answered_unix_ms), (2_000, 0, None));
}

#[test]
fn legs_that_never_end_are_given_up_after_32_s() {
    let mut bench = Bench::talking();
    bench.call.hang_up(Party::Gateway, HangupCause::Shutdown, bench.now);
    bench.wait(31_999);
    assert_eq!(bench.call.state(), State::Ending);
    assert_eq!(bench.call.poll_timeout().map(|(_, timer)| timer), Some(Timer::EndLimit));
    bench.wait(1);
    assert_eq!(bench.call.state(), State::Ended);
    assert_eq!(bench.call.unfinished().collect::<Vec<_>>(), [LegId(0), LegId(1)]);
    assert_eq!(bench.call.poll_timeout(), None);
    bench.orders();
    assert!(matches!(bench.news.last(), Some(CallEvent::Ended(record)) if record.cause == HangupCause::Shutdown));
}

#[test]
fn a_fault_of_the_bridge_ends_only_with_the_legs() {
    let mut bench = Bench::talking();
    bench.call.handle_bridge(BridgeEvent::Failed, bench.now);
    assert_eq!(bench.orders(), "0 end bug, 1 end bug", "nobody is there to be closed");
    bench.leg(0, LegEvent::Ended);
    bench.leg(1, LegEvent::Ended);
    assert_eq!(bench.call.state(), State::Ended);
}

#[test]
fn a_phone_that_calls_hears_its_own_tone_and_is_answered() {
    let mut bench = Bench::new(spec(Plan::Inbound, agent("1001"), vec![agent("echo"), agent("1002")]));
    assert_eq!(bench.orders(), "1 invite", "the first leg is open already");
    bench.leg(1, LegEvent::Ringing);
    assert_eq!(bench.orders(), "0 ring", "180: the phone makes the tone itself");
    bench.leg(1, LegEvent::EarlyMedia);
    assert_eq!(bench.orders(), "0 progress, connect 0-1");
    bench.leg(1, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.orders(), "disconnect, 2 invite, ringback 0 on", "after 183 the tone must be ours");
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "ringback 0 off, 0 answered, connect 0-2");
    bench.gone(0, HangupCause::Normal);
    assert_eq!(bench.orders(), "2 end normal, close");
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Normal));
}

#[test]
fn a_record_before_the_end_is_an_interrupted_one() {
    let mut bench = Bench::talking();
    bench.wait(1_000);
    let record = bench.call.record(bench.now);
    assert!(record.interrupted);
    assert_eq!((record.cause, record.talk_ms), (HangupCause::Interrupted, 1_000));
}

#[test]
fn more_candidates_than_the_bound_are_not_tried() {
    let many: Vec<LegKind> = (0..300).map(|i| agent(&i.to_string())).collect();
    let mut bench = Bench::new(spec(Plan::Talk, LegKind::Browser, many));
    for leg in 1..=MAX_CANDIDATES as u8 {
        bench.leg(leg, LegEvent::Refused(HangupCause::Busy));
    }
    assert!(bench.orders().ends_with("0 end busy, close"));
}

fn call_back(first: Party) -> Bench {
    let (agent, customer) = (agent("1001"), trunk());
    let (first_leg, second) = if first == Party::Agent { (agent, customer) } else { (customer, agent) };
    Bench::new(spec(Plan::CallBack { first }, first_leg, vec![second]))
}

#[test]
fn a_call_back_rings_the_agent_and_then_the_customer() {
    let mut bench = call_back(Party::Agent);
    assert_eq!(bench.orders(), "0 invite", "nobody else's phone rings yet");
    bench.leg(0, LegEvent::Ringing);
    bench.wait(3_000);
    assert_eq!((bench.orders(), bench.call.state()), (String::new(), State::RingingFirst));
    bench.leg(0, LegEvent::Answered);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("1 invite", State::RingingSecond));
    bench.wait(1_000);
    bench.leg(1, LegEvent::Ringing);
    assert_eq!(bench.orders(), "ringback 0 on", "the agent hears it ring");
    bench.wait(2_000);
    bench.leg(1, LegEvent::Answered);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("ringback 0 off, connect 0-1", State::Bridged));
    bench.wait(10_000);
    bench.gone(1, HangupCause::Normal);
    assert_eq!(bench.orders(), "0 end normal, close");
    let record = bench.record();
    assert_eq!((record.hung_up_by, record.cause), (Party::Visitor, HangupCause::Normal));
    assert_eq!(record.ringing_unix_ms, Some(T0_UNIX_MS + 4_000), "the customer's phone");
    assert_eq!((record.wait_ms, record.talk_ms), (6_000, 10_000));
}

#[test]
fn a_call_back_whose_first_leg_says_no_rings_nobody_else() {
    for (happens, cause) in [
        (LegEvent::Refused(HangupCause::Busy), HangupCause::Busy),
        (LegEvent::Gone { cause: HangupCause::Normal }, HangupCause::Refused),
    ] {
        let mut bench = call_back(Party::Agent);
        bench.orders();
        bench.leg(0, happens);
        assert_eq!(bench.orders(), "close");
        let record = bench.record();
        assert_eq!((record.hung_up_by, record.cause), (Party::Agent, cause));
        assert_eq!(record.legs.len(), 1);
    }
    let mut bench = call_back(Party::Visitor);
    bench.orders();
    bench.leg(0, LegEvent::Ringing);
    bench.wait(RING_LIMIT.as_millis() as u64);
    assert_eq!(bench.orders(), "0 end no-answer, close");
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::NoAnswer));
}

#[test]
fn a_customer_who_does_not_answer_frees_the_agent() {
    let mut bench = call_back(Party::Agent);
    bench.leg(0, LegEvent::Answered);
    bench.leg(1, LegEvent::Ringing);
    bench.orders();
    bench.wait(RING_LIMIT.as_millis() as u64);
    assert_eq!(bench.orders(), "1 end no-answer, 0 end no-answer, close");
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::NoAnswer));
}

#[test]
fn an_agent_who_hangs_up_while_the_customer_rings_cancels() {
    let mut bench = call_back(Party::Agent);
    bench.leg(0, LegEvent::Answered);
    bench.leg(1, LegEvent::EarlyMedia);
    assert_eq!(bench.orders(), "0 invite, 1 invite, connect 0-1", "a network's announcement is heard");
    bench.leg(0, LegEvent::Held(true));
    assert_eq!(bench.orders(), "hold 0 on");
    bench.gone(0, HangupCause::Normal);
    assert_eq!(bench.orders(), "1 end cancelled, close");
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Cancelled));
}

/// A call-back whose agent's line has answered, and which is to be taken by a key.
fn asked() -> Bench {
    let limit = Some(KEY_LIMIT);
    let spec = spec(Plan::CallBack { first: Party::Agent }, trunk(), vec![trunk()]);
    let mut bench = Bench::new(CallSpec { key_limit: limit, ..spec });
    bench.leg(0, LegEvent::EarlyMedia);
    bench.leg(0, LegEvent::Digit(Digit::TAKES));
    assert_eq!(bench.orders(), "0 invite", "a queue's music before the answer, and a key in it, are nobody");
    bench.leg(0, LegEvent::Answered);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("prompt 0 on", State::AskingFirst));
    bench
}

#[test]
fn a_call_back_to_be_taken_by_a_key_rings_the_customer_only_after_the_key_one() {
    let mut bench = asked();
    bench.wait(30_000);
    bench.leg(0, LegEvent::Held(true));
    bench.leg(0, LegEvent::Held(false));
    bench.leg(0, LegEvent::Answered);
    assert_eq!(bench.orders(), "hold 0 on, hold 0 off", "whoever answers, and answers again, has not taken it");
    bench.leg(0, LegEvent::Digit(Digit::TAKES));
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("prompt 0 off, 1 invite", State::RingingSecond));
    bench.leg(0, LegEvent::Digit(Digit::TAKES));
    bench.wait(KEY_LIMIT.as_millis() as u64 - 25_000);
    assert_eq!(bench.orders(), "", "once is enough, and the limit for the key is over");
    bench.leg(1, LegEvent::Answered);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("connect 0-1", State::Bridged));
}

#[test]
fn a_customer_who_is_asked_may_press_what_he_likes_until_he_takes_it() {
    let spec = spec(Plan::CallBack { first: Party::Visitor }, trunk(), vec![trunk()]);
    let mut bench = Bench::new(CallSpec { key_limit: Some(KEY_LIMIT), ..spec });
    bench.leg(0, LegEvent::Answered);
    bench.leg(0, LegEvent::Digit(Digit::new('5').unwrap()));
    assert_eq!(bench.orders(), "0 invite, prompt 0 on", "what other keys mean is not the call's to know");
    bench.leg(0, LegEvent::Digit(Digit::TAKES));
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("prompt 0 off, 1 invite", State::RingingSecond));
}

#[test]
fn a_call_back_that_is_not_taken_rings_no_customer() {
    let limit_ms = KEY_LIMIT.as_millis() as u64;
    let mut bench = asked();
    bench.wait(limit_ms - 1);
    assert_eq!(bench.orders(), "", "until the limit it is asked");
    bench.wait(1);
    assert_eq!(bench.orders(), "0 end no-answer, close");
    assert_eq!(bench.verdict(), (Party::Gateway, HangupCause::NoAnswer));

    let mut bench = asked();
    bench.leg(0, LegEvent::Digit(Digit::new('2').unwrap()));
    assert_eq!(bench.orders(), "0 end refused, close");
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Refused));

    let mut bench = asked();
    bench.gone(0, HangupCause::Normal);
    assert_eq!(bench.orders(), "close");
    let record = bench.record();
    assert_eq!((record.hung_up_by, record.cause, record.legs.len()), (Party::Agent, HangupCause::Cancelled, 1));

    let mut bench = asked();
    bench.call.hang_up(Party::Visitor, HangupCause::Cancelled, bench.now);
    assert_eq!(bench.orders(), "0 end cancelled, close", "called off by who asked for it");
}
