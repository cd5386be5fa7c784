//! A party hands its place over: who hears whom, who is told what, and what the record says.

use super::*;
use crate::{Talked, Transfer};

fn to(kind: LegKind) -> LegSpec {
    LegSpec { kind, ring_limit: RING_LIMIT }
}

/// Two talk, and the agent has asked for this one.
fn asked(kind: LegKind) -> Bench {
    let mut bench = Bench::talking();
    bench.wait(30_000);
    let new = bench.call.transfer(LegId(1), to(kind), bench.now);
    assert_eq!((new, bench.call.state()), (Some(LegId(2)), State::Transferring));
    assert_eq!(bench.orders(), "2 invite");
    bench
}

fn steps(bench: &Bench) -> Vec<Transfer> {
    let steps = bench.news.iter().filter_map(|event| match event {
        CallEvent::Transfer { step, .. } => Some(step.clone()),
        CallEvent::State(_)
        | CallEvent::Trying { .. }
        | CallEvent::Ringing { .. }
        | CallEvent::Answered { .. }
        | CallEvent::Held { .. }
        | CallEvent::Digit { .. }
        | CallEvent::Ended(_) => None,
    });
    steps.collect()
}

#[test]
fn the_new_agent_takes_the_place_and_the_old_one_is_let_go() {
    let mut bench = asked(agent("1002"));
    bench.leg(2, LegEvent::Ringing);
    bench.leg(2, LegEvent::EarlyMedia);
    assert_eq!(bench.orders(), "", "the two talk on");
    bench.wait(4_000);
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "replace 1 by 2, 0 held off, 1 end normal");
    assert_eq!((bench.call.state(), bench.call.candidate()), (State::Bridged, Some(LegId(2))));
    assert_eq!(steps(&bench), [Transfer::Asked(agent("1002")), Transfer::Ringing, Transfer::Done]);
    bench.leg(1, LegEvent::Ended);
    bench.leg(2, LegEvent::Digit(Digit::TAKES));
    assert_eq!(bench.orders(), "0 digit 1");
    bench.wait(60_000);
    bench.gone(2, HangupCause::Normal);
    assert_eq!(bench.orders(), "0 end normal, close");
    let record = bench.record();
    assert_eq!((record.hung_up_by, record.cause, record.talk_ms), (Party::Agent, HangupCause::Normal, 94_000));
    let answered = T0_UNIX_MS + 5_000;
    let talked = |from, until| Some(Talked { from_unix_ms: answered + from, until_unix_ms: answered + until });
    let legs: Vec<_> = record.legs.iter().map(|leg| (leg.kind.peer(), leg.talked)).collect();
    assert_eq!(legs, [("", talked(0, 94_000)), ("1001", talked(0, 34_000)), ("1002", talked(34_000, 94_000))]);
    assert_eq!(record.tags, bench.call.spec().tags, "one tag, whoever talks");
}

#[test]
fn a_transfer_that_fails_leaves_the_two_as_they_were() {
    for (event, cause) in [
        (LegEvent::Refused(HangupCause::Busy), HangupCause::Busy),
        (LegEvent::Gone { cause: HangupCause::Normal }, HangupCause::Refused),
    ] {
        let mut bench = asked(agent("1002"));
        bench.leg(2, event);
        assert_eq!((bench.orders().as_str(), bench.call.state()), ("", State::Bridged));
        assert_eq!(steps(&bench).last(), Some(&Transfer::Failed(cause)));
        assert!(bench.call.transfer(LegId(1), to(agent("1003")), bench.now).is_some(), "and he may ask again");
    }
    let mut bench = asked(agent("1002"));
    bench.leg(2, LegEvent::Ringing);
    bench.wait(RING_LIMIT.as_millis() as u64);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("2 end no-answer", State::Bridged));
    assert_eq!(steps(&bench).last(), Some(&Transfer::Failed(HangupCause::NoAnswer)));
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "", "too late");
}

#[test]
fn a_hold_before_the_transfer_ends_with_it() {
    let mut bench = Bench::talking();
    bench.leg(1, LegEvent::Held(true));
    assert_eq!(bench.orders(), "hold 1 on, 0 held on");
    bench.call.transfer(LegId(1), to(agent("1002")), bench.now).unwrap();
    bench.leg(2, LegEvent::Answered);
    let expected = "2 invite, replace 1 by 2, hold 2 off, 0 held off, 1 end normal";
    assert_eq!((bench.orders().as_str(), bench.call.state()), (expected, State::Bridged));
    // A transfer that fails leaves the hold as it was.
    bench.leg(2, LegEvent::Held(true));
    bench.call.transfer(LegId(2), to(agent("1003")), bench.now).unwrap();
    bench.leg(3, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.call.state(), State::Held);
}

#[test]
fn whoever_hangs_up_at_once_leaves_a_caller_who_hears_it_ring() {
    let mut bench = asked(agent("1002"));
    bench.gone(1, HangupCause::Normal);
    assert_eq!((bench.orders().as_str(), bench.call.state()), ("disconnect, ringback 0 on", State::Transferring));
    bench.leg(2, LegEvent::Answered);
    let expected = "ringback 0 off, replace 1 by 2, connect 0-2, 0 held off";
    assert_eq!((bench.orders().as_str(), bench.call.state()), (expected, State::Bridged));

    let mut bench = asked(agent("1002"));
    bench.gone(1, HangupCause::Normal);
    bench.leg(2, LegEvent::Refused(HangupCause::Busy));
    assert_eq!(bench.call.state(), State::Ending, "there is nobody to go back to");
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Busy));

    let mut bench = asked(agent("1002"));
    bench.call.hang_up(Party::Visitor, HangupCause::Normal, bench.now);
    assert_eq!(bench.orders(), "0 end normal, 1 end normal, 2 end normal, close");
}

#[test]
fn the_agent_of_a_call_back_who_was_rung_first_hands_over_too() {
    let mut bench = Bench::new(spec(Plan::CallBack { first: Party::Agent }, agent("1001"), vec![trunk()]));
    bench.leg(0, LegEvent::Answered);
    bench.leg(1, LegEvent::Answered);
    bench.orders();
    assert_eq!(bench.call.transfer(LegId(1), to(trunk()), bench.now), None, "a customer sends nobody anywhere");
    bench.call.transfer(LegId(0), to(agent("1002")), bench.now).unwrap();
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "2 invite, replace 0 by 2, 1 held off, 0 end normal");
    assert_eq!((bench.call.first(), bench.call.candidate()), (LegId(2), Some(LegId(1))));
    bench.leg(1, LegEvent::Digit(Digit::TAKES));
    assert_eq!(bench.orders(), "2 digit 1");
    bench.gone(2, HangupCause::Normal);
    assert_eq!(bench.verdict(), (Party::Agent, HangupCause::Normal));
}

#[test]
fn somebody_who_is_there_already_takes_a_place_without_being_rung() {
    let mut bench = Bench::talking();
    assert_eq!(bench.call.take_place(LegId(1), to(agent("1002")), bench.now), Some(LegId(2)));
    bench.leg(2, LegEvent::Answered);
    assert_eq!(bench.orders(), "replace 1 by 2, 0 held off, 1 end normal");
}

#[test]
fn nobody_is_handed_over_but_in_a_talk_one_at_a_time_and_not_for_ever() {
    let mut bench = Bench::talk(&["1001"]);
    assert_eq!(bench.call.transfer(LegId(1), to(agent("1002")), bench.now), None, "nobody talks");
    let mut bench = Bench::talking();
    assert_eq!(bench.call.transfer(LegId(0), to(agent("1002")), bench.now), None, "not the visitor");
    assert_eq!(bench.call.transfer(LegId(9), to(agent("1002")), bench.now), None, "nobody");
    bench.call.transfer(LegId(1), to(agent("1002")), bench.now).unwrap();
    assert_eq!(bench.call.transfer(LegId(1), to(agent("1003")), bench.now), None, "one at a time");
    bench.leg(2, LegEvent::Refused(HangupCause::Busy));
    let again = |bench: &mut Bench| {
        let new = bench.call.transfer(LegId(1), to(agent("1002")), bench.now)?;
        bench.leg(new.0, LegEvent::Refused(HangupCause::Busy));
        Some(new)
    };
    assert_eq!(std::iter::from_fn(|| again(&mut bench)).last(), Some(LegId(31)));
    assert_eq!(bench.call.state(), State::Bridged);
}
