//! The machines alone on a virtual clock: when what is sent, and when it ends.

use std::collections::BTreeMap;

use super::client_invite::ClientInvite;
use super::client_other::ClientOther;
use super::server_invite::ServerInvite;
use super::server_other::ServerOther;
use super::*;

/// Runs a machine from 0 to the end of time; `inputs` happen at their millisecond. Returns the transcript.
fn run(mut handle: impl FnMut(Input) -> Vec<Step>, inputs: &[(u64, Input)]) -> Vec<(u64, String)> {
    let mut armed: BTreeMap<Timer, u64> = BTreeMap::new();
    let mut transcript = Vec::new();
    let mut inputs = inputs.iter().copied().peekable();
    loop {
        let timer = armed.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*at, *timer));
        let (now, input) = match (inputs.peek().copied(), timer) {
            (Some((at, input)), due) if due.is_none_or(|(due, _)| at <= due) => {
                inputs.next();
                (at, input)
            }
            (_, Some((at, timer))) => {
                armed.remove(&timer);
                (at, Input::of_timer(timer).expect("a transaction timer"))
            }
            (_, None) => return transcript,
        };
        for step in handle(input) {
            match step {
                Step::Arm(timer, after) => {
                    armed.insert(timer, now + u64::try_from(after.as_millis()).expect("small"));
                }
                Step::Disarm(timer) => {
                    armed.remove(&timer);
                }
                Step::End => {
                    armed.clear();
                    transcript.push((now, "End".to_owned()));
                }
                Step::Send | Step::Ack | Step::Pass | Step::TimedOut(_) | Step::Failed => {
                    transcript.push((now, format!("{step:?}")));
                }
            }
        }
    }
}

fn sends(transcript: &[(u64, String)]) -> Vec<u64> {
    transcript.iter().filter(|(_, step)| step == "Send").map(|(at, _)| *at).collect()
}

fn tail(transcript: &[(u64, String)], count: usize) -> Vec<(u64, &str)> {
    let start = transcript.len().saturating_sub(count);
    transcript[start..].iter().map(|(at, step)| (*at, step.as_str())).collect()
}

fn udp() -> Pace {
    Pace::new(Timers::default(), false)
}

fn tcp() -> Pace {
    Pace::new(Timers::default(), true)
}

#[test]
fn invite_over_udp_doubles_from_500_ms_and_is_given_up_at_32_s() {
    let mut machine = ClientInvite::new(udp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Request)]);
    assert_eq!(sends(&transcript), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(tail(&transcript, 2), [(32_000, "TimedOut(B)"), (32_000, "End")]);
}

#[test]
fn invite_over_tcp_is_sent_once() {
    let mut machine = ClientInvite::new(tcp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Request)]);
    assert_eq!(sends(&transcript), [0]);
    assert_eq!(tail(&transcript, 2), [(32_000, "TimedOut(B)"), (32_000, "End")]);
}

#[test]
fn a_provisional_stops_copies_of_the_invite_and_the_clock() {
    let mut machine = ClientInvite::new(udp());
    let transcript = run(
        |input| machine.handle(input),
        &[
            (0, Input::Request),
            (600, Input::Provisional),
            (90_000, Input::Provisional),
            (100_000, Input::Success),
            (101_000, Input::Success),
        ],
    );
    assert_eq!(sends(&transcript), [0, 500]);
    assert_eq!(tail(&transcript, 3), [(100_000, "Pass"), (101_000, "Pass"), (132_000, "End")]);
}

#[test]
fn every_copy_of_a_refusal_is_acknowledged_for_32_s_and_passed_once() {
    let mut machine = ClientInvite::new(udp());
    let transcript = run(
        |input| machine.handle(input),
        &[(0, Input::Request), (100, Input::Refusal), (600, Input::Refusal), (1_600, Input::Refusal)],
    );
    let words: Vec<&str> = transcript.iter().map(|(_, step)| step.as_str()).collect();
    assert_eq!(words, ["Send", "Ack", "Pass", "Ack", "Ack", "End"]);
    assert_eq!(tail(&transcript, 1), [(32_100, "End")]);
}

#[test]
fn a_refusal_over_tcp_ends_at_once() {
    let mut machine = ClientInvite::new(tcp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Request), (100, Input::Refusal)]);
    assert_eq!(tail(&transcript, 3), [(100, "Ack"), (100, "Pass"), (100, "End")]);
}

#[test]
fn another_request_over_udp_backs_off_to_4_s_and_is_given_up_at_32_s() {
    let mut machine = ClientOther::new(udp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Request)]);
    assert_eq!(sends(&transcript), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(tail(&transcript, 2), [(32_000, "TimedOut(F)"), (32_000, "End")]);
}

#[test]
fn after_a_provisional_another_request_goes_out_every_4_s() {
    let mut machine = ClientOther::new(udp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Request), (100, Input::Provisional)]);
    assert_eq!(sends(&transcript), [0, 500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    assert_eq!(tail(&transcript, 1), [(32_000, "End")]);
}

#[test]
fn the_answer_to_another_request_is_passed_once_and_copies_absorbed_for_t4() {
    let mut machine = ClientOther::new(udp());
    let transcript =
        run(|input| machine.handle(input), &[(0, Input::Request), (100, Input::Success), (200, Input::Success)]);
    assert_eq!(tail(&transcript, 3), [(0, "Send"), (100, "Pass"), (5_100, "End")]);
}

#[test]
fn a_refusal_of_ours_backs_off_to_4_s_until_32_s_without_ack() {
    let mut machine = ServerInvite::new(udp());
    let transcript = run(|input| machine.handle(input), &[(0, Input::Refusal)]);
    assert_eq!(sends(&transcript), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(tail(&transcript, 1), [(32_000, "End")]);
}

#[test]
fn the_ack_of_a_refusal_ends_it_after_t4() {
    let mut machine = ServerInvite::new(udp());
    let transcript = run(
        |input| machine.handle(input),
        &[(0, Input::Refusal), (700, Input::Ack), (800, Input::Ack), (900, Input::Request)],
    );
    assert_eq!(sends(&transcript), [0, 500]);
    assert_eq!(tail(&transcript, 1), [(5_700, "End")]);
}

#[test]
fn copies_of_an_invite_get_the_last_provisional_and_nothing_after_the_2xx() {
    let mut machine = ServerInvite::new(udp());
    let transcript = run(
        |input| machine.handle(input),
        &[
            (0, Input::Provisional),
            (500, Input::Request),
            (1_000, Input::Success),
            (1_500, Input::Request),
            (2_000, Input::Success),
        ],
    );
    // RFC 6026 §8.7: the copy at 1500 is absorbed; the user repeats the 2xx at its own pace.
    assert_eq!(sends(&transcript), [0, 500, 1_000, 2_000]);
    assert_eq!(tail(&transcript, 1), [(33_000, "End")]);
}

#[test]
fn copies_of_another_request_get_the_answer_again_for_32_s() {
    let mut machine = ServerOther::new(udp());
    let transcript =
        run(|input| machine.handle(input), &[(0, Input::Request), (10, Input::Success), (500, Input::Request)]);
    assert_eq!(sends(&transcript), [10, 500]);
    assert_eq!(tail(&transcript, 1), [(32_010, "End")]);
}

#[test]
fn over_tcp_another_request_ends_with_its_answer() {
    let mut machine = ServerOther::new(tcp());
    let transcript = run(|input| machine.handle(input), &[(10, Input::Refusal)]);
    assert_eq!(tail(&transcript, 2), [(10, "Send"), (10, "End")]);
}
