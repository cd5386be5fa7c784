//! What may be done to a call-back by those who work with it, state by state; what is kept of their notes.

use call::CallId;

use super::super::tests::wish;
use super::super::{AttemptLegs, CallbackId, CancelledBy, RetryRules};
use super::*;

const T0: u64 = 1_750_000_000_000;

fn in_state(state: CallbackState) -> Callback {
    let fresh = Callback::new(CallbackId::new(1), wish(T0));
    Callback::from_parts(super::super::CallbackParts { state, ..fresh.parts().clone() })
}

fn note(text: &str) -> Note {
    Note { at_unix_ms: T0, by: "admin".to_owned(), deed: Deed::Noted, text: text.to_owned() }
}

#[test]
fn what_nobody_is_rung_for_may_be_handed_on_and_nothing_else() {
    let every = [
        (CallbackState::Scheduled, true),
        (CallbackState::Queued, true),
        (CallbackState::Offered, false),
        (CallbackState::Dialling, false),
        (CallbackState::Connected, false),
        (CallbackState::Completed, false),
        (CallbackState::Cancelled(CancelledBy::Visitor), false),
        (CallbackState::Expired, false),
    ];
    for (state, may) in every {
        let fits = |edit: fn(&mut Callback) -> Result<(), OutOfTurn>| edit(&mut in_state(state)).is_ok();
        assert_eq!(fits(|callback| callback.hand_to(QueueId::from("advice"))), may, "{state:?}");
        assert_eq!(fits(|callback| callback.assign(Some("1001".to_owned()))), may, "{state:?}");
        assert_eq!(fits(|callback| callback.rank(3)), may, "{state:?}");
    }
}

#[test]
fn handed_to_another_queue_it_keeps_its_moment_and_its_place() {
    let mut callback = in_state(CallbackState::Scheduled);
    callback.assign(Some("1001".to_owned())).unwrap();
    callback.rank(200).unwrap();
    callback.hand_to(QueueId::from("advice")).unwrap();
    assert_eq!((callback.queue().as_str(), callback.care().owner.as_deref()), ("advice", None));
    assert_eq!((callback.wish().asked_unix_ms, callback.due_unix_ms()), (T0, Some(T0)));
    assert_eq!(callback.wish().priority, PRIORITY_MAX);
}

#[test]
fn who_is_spoken_to_is_called_no_more_and_the_talk_itself_is_left_alone() {
    let mut waiting = in_state(CallbackState::Queued);
    waiting.complete("resolved").unwrap();
    assert_eq!((waiting.state(), waiting.care().disposition.as_deref()), (CallbackState::Completed, Some("resolved")));

    let rules = RetryRules::default();
    let mut talking = in_state(CallbackState::Queued);
    talking.offer("1001").unwrap();
    assert!(talking.complete("resolved").is_err(), "the agent is being asked");
    talking.dial(CallId::new(1), T0, AttemptLegs::default()).unwrap();
    assert!(talking.complete("resolved").is_err(), "the phone rings");
    talking.connect("1001").unwrap();
    talking.complete("sold").unwrap();
    assert_eq!(talking.state(), CallbackState::Connected);
    talking.end_attempt(super::super::Outcome::Reached, T0, &rules, Some).unwrap();
    assert_eq!((talking.state(), talking.care().disposition.as_deref()), (CallbackState::Completed, Some("sold")));
    assert!(in_state(CallbackState::Expired).complete("sold").is_err());
}

#[test]
fn of_many_notes_the_first_and_the_newest_are_kept_each_cut_and_printable() {
    let mut callback = in_state(CallbackState::Scheduled);
    callback.note(Note { deed: Deed::Created, ..note(" asked\u{7} by phone\u{1b} ") });
    for number in 1..=2 * Note::KEPT_MAX {
        callback.note(note(&number.to_string()));
    }
    let texts: Vec<&str> = callback.care().notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!((texts.len(), texts[0], texts[1]), (Note::KEPT_MAX, "asked by phone", "22"));
    assert_eq!(texts.last(), Some(&"40"));
    callback.note(note(&"é".repeat(Note::TEXT_MAX + 9)));
    assert_eq!(callback.care().notes.last().unwrap().text.chars().count(), Note::TEXT_MAX);
}

#[test]
fn every_word_reads_back_and_a_disposition_is_one_word() {
    assert!(Deed::ALL.into_iter().all(|deed| Deed::from_code(deed.code()) == Some(deed)));
    assert!(Purpose::ALL.into_iter().all(|purpose| Purpose::from_code(purpose.code()) == Some(purpose)));
    assert!(["resolved", "sold-2", "x"].into_iter().all(is_disposition));
    assert!(!["", "Sold", "not interested", "é", &"x".repeat(33)].into_iter().any(is_disposition));
}
