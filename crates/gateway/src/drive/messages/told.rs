//! What is told when, and to whom: from a call-back and what happened to it to the messages of the outbox. Pure.
//!
//! A message says what happened and names the call-back; it holds no number, no address and no key. Those are read from
//! the book when it is sent, so that what is erased there is told nowhere.

use call::TenantId;
use desk::{CallbackId, CallbackState};
use serde::{Deserialize, Serialize};
use store::{KeptCallback, Message};

use crate::config::checked::Event;

/// Where mail goes.
pub(super) const MAIL: &str = "mail";
/// The kind of a reminder; the others' are those of [`Event`].
pub(super) const REMINDER: &str = "callback.reminder";
/// Reminded so long before the promised moment.
const REMIND_BEFORE_MS: u64 = 15 * 60_000;
/// Only of a moment that is further away than this.
const REMIND_FROM_MS: u64 = 60 * 60_000;

/// Where a tenant's webhook goes.
pub(super) fn webhook_of(tenant: &TenantId) -> String {
    format!("webhook.{}", tenant.0)
}

/// What happened to a call-back, as the outbox keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Told {
    /// The call-back.
    pub(super) callback: String,
    /// When it happened.
    pub(super) at_unix_ms: u64,
    /// How it stood then.
    pub(super) state: String,
    pub(super) detail: Option<String>,
    pub(super) asap: bool,
    pub(super) promised_unix_ms: u64,
    pub(super) attempts: usize,
}

impl Told {
    fn of(kept: &KeptCallback, now_unix_ms: u64) -> Self {
        let (callback, state) = (&kept.callback, kept.callback.state());
        Self {
            callback: callback.id().to_string(),
            at_unix_ms: now_unix_ms,
            state: state.code().to_owned(),
            detail: state.detail().map(str::to_owned),
            asap: callback.wish().wanted.is_none(),
            promised_unix_ms: callback.wish().promised_unix_ms,
            attempts: callback.attempts().len(),
        }
    }

    /// As it was kept.
    pub(super) fn read(payload: &str) -> Option<Self> {
        serde_json::from_str(payload).ok()
    }

    /// Which call-back.
    pub(super) fn id(&self) -> Option<CallbackId> {
        self.callback.parse().ok()
    }
}

/// Who wants to hear of this tenant's call-backs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listeners<'a> {
    /// Its webhook hears these.
    pub(super) webhook: &'a [Event],
    /// Visitors are written to.
    pub(super) mail: bool,
}

/// The messages for something that happened.
pub(super) fn messages(kept: &KeptCallback, event: Event, to: Listeners<'_>, now_unix_ms: u64) -> Vec<Message> {
    let told = Told::of(kept, now_unix_ms);
    let Ok(payload) = serde_json::to_string(&told) else { return Vec::new() };
    let message = |kind: &str, destination: &str, due_unix_ms: u64| Message {
        id: format!("{}.{}.{}.{}", told.callback, kept.version, short(kind), short(destination)),
        kind: kind.to_owned(),
        destination: destination.to_owned(),
        payload: payload.clone(),
        due_unix_ms,
        tries: 0,
    };
    let mut messages = Vec::new();
    if to.webhook.contains(&event) {
        messages.push(message(event.as_str(), &webhook_of(kept.callback.tenant()), now_unix_ms));
    }
    if to.mail && kept.callback.wish().email.is_some() {
        if is_written(event, kept.callback.state()) {
            messages.push(message(event.as_str(), MAIL, now_unix_ms));
        }
        let far = told.promised_unix_ms > now_unix_ms.saturating_add(REMIND_FROM_MS);
        if matches!(event, Event::Scheduled | Event::Moved) && far {
            messages.push(message(REMINDER, MAIL, told.promised_unix_ms.saturating_sub(REMIND_BEFORE_MS)));
        }
    }
    messages
}

/// `callback.moved` is `moved`, `webhook.shop` is `webhook`: an id says the rest already.
fn short(word: &str) -> &str {
    match word.split_once('.') {
        Some(("callback", rest)) => rest,
        Some((first, _)) => first,
        None => word,
    }
}

/// Whether the visitor reads of this: what he can see for himself, or did on the phone, is not written to him.
fn is_written(event: Event, state: CallbackState) -> bool {
    match event {
        Event::Scheduled | Event::Moved | Event::Expired => true,
        Event::Cancelled => state != CallbackState::Cancelled(desk::CancelledBy::Recipient),
        Event::Failed => state != CallbackState::Failed(desk::FailReason::NotAllowed),
        Event::Connected | Event::Completed => false,
    }
}

/// What a state that was reached tells; nothing of those on the way.
pub(crate) fn reached(state: CallbackState) -> Option<Event> {
    match state {
        CallbackState::Connected => Some(Event::Connected),
        CallbackState::Completed | CallbackState::Served => Some(Event::Completed),
        CallbackState::Cancelled(_) => Some(Event::Cancelled),
        CallbackState::Expired => Some(Event::Expired),
        CallbackState::Failed(_) => Some(Event::Failed),
        CallbackState::Scheduled | CallbackState::Queued | CallbackState::Offered | CallbackState::Dialling => None,
    }
}

/// Whether a mail still says what is so: what was moved or called off meanwhile has a mail of its own.
pub(super) fn holds(told: &Told, kind: &str, kept: &KeptCallback, now_unix_ms: u64) -> bool {
    let (callback, state) = (&kept.callback, kept.callback.state());
    let same = callback.wish().promised_unix_ms == told.promised_unix_ms;
    if kind == REMINDER {
        let waits = matches!(state, CallbackState::Scheduled | CallbackState::Queued) && callback.attempts().is_empty();
        return waits && same && now_unix_ms < told.promised_unix_ms;
    }
    if [Event::Scheduled, Event::Moved].iter().any(|event| event.as_str() == kind) {
        return same && !state.is_over();
    }
    state.code() == told.state
}

#[cfg(test)]
mod tests {
    use desk::{Callback, CancelledBy, FailReason};

    use super::super::tests::{ASKED, kept, with};
    use super::*;

    const ALL: Listeners<'_> = Listeners { webhook: &Event::ALL, mail: true };
    const HOUR: u64 = 3_600_000;

    fn kinds(messages: &[Message]) -> Vec<(&str, &str, u64)> {
        let parts = |message: &Message| (message.kind.clone(), message.destination.clone(), message.due_unix_ms);
        assert!(messages.iter().all(|message| parts(message).2 >= ASKED));
        messages
            .iter()
            .map(|message| (message.kind.as_str(), message.destination.as_str(), message.due_unix_ms))
            .collect()
    }

    #[test]
    fn a_promise_is_told_to_the_webhook_and_the_visitor_who_is_reminded_of_a_far_one() {
        let far = kept(ASKED + 3 * HOUR);
        let told = messages(&far, Event::Scheduled, ALL, ASKED);
        let remind = ASKED + 3 * HOUR - 15 * 60_000;
        let expected = [
            ("callback.scheduled", "webhook.shop", ASKED),
            ("callback.scheduled", "mail", ASKED),
            ("callback.reminder", "mail", remind),
        ];
        assert_eq!(kinds(&told), expected);
        let ids: Vec<&str> = told.iter().map(|message| message.id.as_str()).collect();
        let id = far.callback.id();
        assert_eq!(
            ids,
            [format!("{id}.1.scheduled.webhook"), format!("{id}.1.scheduled.mail"), format!("{id}.1.reminder.mail")]
        );
        assert_eq!(messages(&kept(ASKED + HOUR), Event::Scheduled, ALL, ASKED).len(), 2, "an hour is near");
        let nobody = Listeners { webhook: &[], mail: false };
        assert_eq!(messages(&far, Event::Scheduled, nobody, ASKED), []);
        let without = with(&far, |wish| wish.email = None);
        assert_eq!(messages(&without, Event::Scheduled, ALL, ASKED).len(), 1);
    }

    #[test]
    fn a_message_holds_no_number_no_address_and_no_key() {
        for message in messages(&kept(ASKED + 3 * HOUR), Event::Scheduled, ALL, ASKED) {
            let text = format!("{message:?}");
            for personal in ["612345678", "claire", "mail.example", "5ec7e7", "cart"] {
                assert!(!text.contains(personal), "{personal} in {text}");
            }
            assert!(message.payload.len() < 1_024);
        }
    }

    #[test]
    fn what_he_did_on_the_phone_is_not_written_to_him() {
        let kept = kept(ASKED);
        let state = |state: CallbackState| {
            let parts = desk::CallbackParts { state, ..kept.callback.parts().clone() };
            KeptCallback { callback: Callback::from_parts(parts), ..kept.clone() }
        };
        let written = |kept: &KeptCallback| {
            let event = reached(kept.callback.state()).unwrap();
            messages(kept, event, ALL, ASKED).iter().any(|message| message.destination == MAIL)
        };
        assert!(written(&state(CallbackState::Cancelled(CancelledBy::Visitor))));
        assert!(!written(&state(CallbackState::Cancelled(CancelledBy::Recipient))));
        assert!(written(&state(CallbackState::Failed(FailReason::NotReached))));
        assert!(!written(&state(CallbackState::Failed(FailReason::NotAllowed))));
        assert!(written(&state(CallbackState::Expired)));
        assert!(!written(&state(CallbackState::Completed)));
        assert!(!written(&state(CallbackState::Connected)));
        assert_eq!(reached(CallbackState::Queued), None);
    }

    #[test]
    fn a_mail_that_is_no_longer_so_is_not_sent() {
        let first = kept(ASKED + 3 * HOUR);
        let told = Told::of(&first, ASKED);
        assert_eq!(Told::read(&serde_json::to_string(&told).unwrap()), Some(told.clone()));
        let scheduled = Event::Scheduled.as_str();
        let soon = ASKED + 2 * HOUR;
        assert!(holds(&told, scheduled, &first, soon) && holds(&told, REMINDER, &first, soon));
        assert!(!holds(&told, REMINDER, &first, ASKED + 3 * HOUR), "too late to remind");
        let mut moved = first.clone();
        moved.callback.reschedule(ASKED + 9 * HOUR, None).unwrap();
        assert!(!holds(&told, scheduled, &moved, soon) && !holds(&told, REMINDER, &moved, soon));
        assert!(holds(&Told::of(&moved, ASKED), Event::Moved.as_str(), &moved, soon));
        let mut off = first;
        off.callback.cancel(CancelledBy::Visitor).unwrap();
        assert!(!holds(&told, scheduled, &off, soon) && !holds(&told, REMINDER, &off, soon));
        assert!(holds(&Told::of(&off, ASKED), Event::Cancelled.as_str(), &off, soon));
    }
}
