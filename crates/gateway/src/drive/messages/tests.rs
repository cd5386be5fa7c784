//! Messages against real peers: an HTTP server in this process, and the SMTP server of Debian's python3-aiosmtpd.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use call::{CallTags, QueueId, TagsDraft, TenantId};
use desk::{Callback, CallbackId, Consent, Wanted, Wish, Zone};
use store::{Answer, Home, KeptCallback, Memory};
use web::CallbackView;

use super::http::Client;
use super::mail::Mailer;
use super::postman::Postman;
use super::{Book, Messages, Standing};
use crate::clock;
use crate::config::checked::{Event, Webhook};

mod mail;
mod post;

/// 2026-01-01, midnight UTC.
pub(super) const ASKED: u64 = 1_767_225_600_000;

/// A call-back that a visitor with an address asked for, promised for this moment.
pub(super) fn kept(promised_unix_ms: u64) -> KeptCallback {
    let tags = CallTags::new(TagsDraft {
        tag: [7; 16],
        tenant: TenantId("shop".to_owned()),
        queue: QueueId("support".to_owned()),
        session: "s-4f2a9c".to_owned(),
        page_url: "https://www.shop.example/cart".to_owned(),
        page_title: "Your cart".to_owned(),
        referrer: None,
        language: "fr-FR".to_owned(),
        made_at_unix_ms: ASKED,
    });
    let wish = Wish {
        number: "+33612345678".to_owned(),
        promised_unix_ms,
        wanted: Wanted::at(promised_unix_ms, &Zone::named("Europe/Paris").unwrap()),
        zone: "Europe/Paris".to_owned(),
        consent: Some(Consent { text_id: "callback-v1".to_owned(), version: "1".to_owned(), at_unix_ms: ASKED }),
        email: "claire@mail.example".parse().ok(),
        asked_unix_ms: ASKED,
        priority: 0,
        told: None,
        customer: None,
        tags,
    };
    KeptCallback { callback: Callback::new(CallbackId::new(0xcb), wish), manage: 0x5ec7e7, version: 1, lease: None }
}

/// Its call-back alone.
pub(crate) fn example(promised_unix_ms: u64) -> Callback {
    kept(promised_unix_ms).callback
}

/// The same with another wish.
pub(super) fn with(kept: &KeptCallback, edit: impl FnOnce(&mut Wish)) -> KeptCallback {
    let mut parts = kept.callback.parts().clone();
    edit(&mut parts.wish);
    KeptCallback { callback: Callback::from_parts(parts), ..kept.clone() }
}

/// As the door shows it.
pub(super) fn standing(kept: KeptCallback) -> Standing {
    let (wish, state) = (kept.callback.wish(), kept.callback.state());
    let paris = Zone::named("Europe/Paris").unwrap();
    let told = |at: u64| paris.rfc3339(at).unwrap();
    let view = CallbackView {
        id: kept.callback.id().to_string(),
        tenant: "shop".to_owned(),
        queue: "support".to_owned(),
        state: state.code(),
        detail: state.detail(),
        asap: wish.wanted.is_none(),
        promised_at: told(wish.promised_unix_ms),
        due_at: None,
        tz: "Europe/Paris".to_owned(),
        zone: "Europe/Paris".to_owned(),
        number: "+33 6 ** ** ** 78".to_owned(),
        attempts: Vec::new(),
        can_cancel: true,
        can_move: true,
        now: told(ASKED),
        wait: None,
        sequence: kept.version,
        promised_unix_ms: wish.promised_unix_ms,
        is_over: state.is_over(),
    };
    Standing { kept, view }
}

/// The book as a test has it.
#[derive(Default)]
pub(super) struct Shelf(Mutex<BTreeMap<CallbackId, Standing>>);

impl Shelf {
    pub(super) fn put(&self, kept: &KeptCallback) {
        self.0.lock().unwrap().insert(kept.callback.id(), standing(kept.clone()));
    }
}

impl Book for Shelf {
    fn look(&self, id: CallbackId) -> Answer<'_, Option<Standing>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(&id).cloned()) })
    }
}

/// A postman, his outbox and his book.
pub(super) struct Bench {
    pub(super) home: Arc<dyn Home>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) messages: Messages,
    pub(super) postman: Arc<Postman>,
}

impl Bench {
    pub(super) fn new(client: Client, webhook: Option<Webhook>, mailer: Option<Mailer>) -> Self {
        let home: Arc<dyn Home> = Arc::new(Memory::default());
        let shelf = Arc::new(Shelf::default());
        let events = webhook.iter().map(|webhook| ("shop".to_owned(), webhook.events.clone())).collect();
        let messages = Messages::to(Arc::clone(&home), events, mailer.is_some());
        let hooks = webhook.into_iter().map(|webhook| ("webhook.shop".to_owned(), webhook));
        let book = Arc::clone(&shelf);
        let postman = Postman::new(Arc::clone(&home), book, client, hooks, mailer, "https://voice.example");
        Self { home, shelf, messages, postman: Arc::new(postman) }
    }

    /// It stands in the book, and is told.
    pub(super) async fn tell(&self, kept: &KeptCallback, event: Event) {
        self.shelf.put(kept);
        self.messages.tell(kept, event).await;
    }

    /// Tries everything that waits once, whenever it is due; says how much still waits.
    pub(super) async fn round(&self) -> u64 {
        let far = u64::MAX / 4;
        for message in self.home.claim_messages(far, far, 100).await.unwrap() {
            self.postman.deliver(message).await;
        }
        self.home.messages_waiting().await.unwrap()
    }
}

/// In an hour from now.
pub(super) fn in_an_hour() -> u64 {
    clock::unix_ms() + 3_600_000
}

/// A certificate for `localhost` that stands for itself, and its key.
pub(super) fn certificate() -> (Vec<u8>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.der().to_vec(), made.signing_key.serialize_der())
}
