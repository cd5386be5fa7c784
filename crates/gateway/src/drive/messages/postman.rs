//! The postman: claims what is due, sends it, and puts off or gives up what was not taken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use store::{Home, Message};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use web::Lang;

use super::backoff::{Breaker, pause};
use super::http::Client;
use super::letter::letter;
use super::mail::Mailer;
use super::told::{self, MAIL, Told};
use super::{Book, Messages, Sent, Standing, page, webhook};
use crate::clock;
use crate::config::checked::Webhook;
use crate::observe::metric::{self, Metric};

/// The outbox is looked at so often; what this node posts hurries it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nobody else sends what was claimed for so long: longer than any sending takes.
const CLAIM_MS: u64 = 90_000;
/// Messages sent at once.
const AT_ONCE: usize = 16;
/// A message may be there before its call-back is.
const NOT_YET_KEPT_MS: u64 = 60_000;
/// So long then until the next look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// At the end, what is being sent may take so long.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// A tenant's webhook and how it behaves.
pub(super) struct Hook {
    webhook: Webhook,
    /// It answered 410: nothing more is sent there until the next start.
    off: AtomicBool,
    breaker: Mutex<Breaker>,
}

/// The relay and how it behaves.
pub(super) struct Relay {
    mailer: Mailer,
    breaker: Mutex<Breaker>,
}

pub(super) struct Postman {
    home: Arc<dyn Home>,
    book: Arc<dyn Book>,
    client: Client,
    /// By destination.
    hooks: BTreeMap<String, Hook>,
    relay: Option<Relay>,
    public_url: String,
}

impl Postman {
    pub(super) fn new(
        home: Arc<dyn Home>,
        book: Arc<dyn Book>,
        client: Client,
        webhooks: impl Iterator<Item = (String, Webhook)>,
        mailer: Option<Mailer>,
        public_url: &str,
    ) -> Self {
        let hook = |webhook| Hook { webhook, off: AtomicBool::new(false), breaker: Mutex::default() };
        let relay = mailer.map(|mailer| Relay { mailer, breaker: Mutex::default() });
        let hooks = webhooks.map(|(destination, webhook)| (destination, hook(webhook))).collect();
        Self { home, book, client, hooks, relay, public_url: public_url.to_owned() }
    }

    /// Until it is told to stop.
    pub(super) async fn run(self: Arc<Self>, messages: Messages, mut stop: watch::Receiver<bool>) {
        let mut sending = JoinSet::new();
        let mut away = false;
        loop {
            away = self.take(&mut sending, away).await;
            tokio::select! {
                () = messages.posted() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(_) = sending.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            while sending.try_join_next().is_some() {}
        }
        let rest = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(LEAVE_LIMIT, rest).await.is_err() {
            warn!("messages were being sent at the end: they are sent again, with the same ids");
        }
    }

    /// Claims as many as there are hands for. Says whether the outbox is away.
    async fn take(self: &Arc<Self>, sending: &mut JoinSet<()>, was_away: bool) -> bool {
        let room = AT_ONCE.saturating_sub(sending.len());
        if room == 0 {
            return was_away;
        }
        let now = clock::unix_ms();
        let claimed = match self.home.claim_messages(now, now.saturating_add(CLAIM_MS), room).await {
            Ok(claimed) => claimed,
            Err(error) => {
                if !was_away {
                    error!(%error, "the outbox cannot be had: nobody is told anything until it can");
                }
                return true;
            }
        };
        for message in claimed {
            let postman = Arc::clone(self);
            sending.spawn(async move { postman.deliver(message).await });
        }
        if let Ok(waiting) = self.home.messages_waiting().await {
            metric::gauge_set(Metric::MessagesWaiting, f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
        }
        if was_away {
            info!("the outbox is there again");
        }
        false
    }

    pub(super) async fn deliver(&self, message: Message) {
        let sent = self.send(&message).await;
        let Message { id, kind, destination, tries, .. } = message;
        let again = |why: &str, pause: Option<Duration>| match pause {
            Some(pause) => {
                debug!(message = id, destination, why, tries, "a message is tried again later");
                ("again", Some(pause))
            }
            None => {
                warn!(message = id, destination, why, tries, "a message is given up after a day");
                ("given-up", None)
            }
        };
        let (outcome, pause) = match &sent {
            Sent::Taken => ("sent", None),
            Sent::Later => ("again", Some(LOOK_AGAIN)),
            Sent::Again(why) => again(why, pause(tries, rand::random())),
            Sent::Refused(why) => {
                warn!(message = id, destination, kind, why, "a message is refused for good");
                ("refused", None)
            }
            Sent::Gone => ("switched-off", None),
            Sent::Stale(why) => {
                debug!(message = id, destination, kind, why, "a message is not sent");
                ("dropped", None)
            }
        };
        super::count(&destination, outcome);
        let written = match pause {
            Some(pause) => {
                let at = clock::unix_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                self.home.retry_message(id, at).await
            }
            None => self.home.end_message(id).await,
        };
        if let Err(error) = written {
            debug!(%error, "what came of a message is not written: it is sent again when its claim is over");
        }
    }

    async fn send(&self, message: &Message) -> Sent {
        let Some((told, id)) = Told::read(&message.payload).and_then(|told| told.id().map(|id| (told, id))) else {
            return Sent::Refused("it cannot be read: a newer program wrote it".to_owned());
        };
        let now = clock::unix_ms();
        let standing = match self.book.look(id).await {
            Ok(Some(standing)) => standing,
            Ok(None) if now < told.at_unix_ms.saturating_add(NOT_YET_KEPT_MS) => return Sent::Later,
            Ok(None) => return Sent::Stale("its call-back is not in the book"),
            Err(error) => return Sent::Again(format!("the call-back book cannot be had: {error}")),
        };
        if message.destination == MAIL {
            self.write(message, &told, &standing, now).await
        } else {
            self.post(message, &told, &standing, now).await
        }
    }

    async fn write(&self, message: &Message, told: &Told, standing: &Standing, now_unix_ms: u64) -> Sent {
        let Some(Relay { mailer, breaker }) = &self.relay else { return Sent::Stale("there is no relay any more") };
        let wish = standing.kept.callback.wish();
        let Some(email) = &wish.email else { return Sent::Stale("there is no address any more") };
        if !told::holds(told, &message.kind, &standing.kept, now_unix_ms) {
            return Sent::Stale("it is no longer so");
        }
        if !may_try(breaker) {
            return Sent::Again("the relay does not answer".to_owned());
        }
        let lang = Lang::of(&wish.tags.language);
        let page = page(&self.public_url, &standing.kept, Some(lang));
        let words = letter(&message.kind, &standing.view, &page, lang);
        let sent = match mailer.message(&message.id, email, words, standing, &page, (lang, now_unix_ms)) {
            Ok(mail) => mailer.send(mail).await,
            Err(why) => Sent::Refused(why),
        };
        note(breaker, &sent);
        sent
    }

    async fn post(&self, message: &Message, told: &Told, standing: &Standing, now_unix_ms: u64) -> Sent {
        let Some(hook) = self.hooks.get(&message.destination).filter(|hook| !hook.off.load(Ordering::Relaxed)) else {
            return Sent::Stale("nobody wants it any more");
        };
        if !may_try(&hook.breaker) {
            return Sent::Again("the webhook does not answer".to_owned());
        }
        let page = page(&self.public_url, &standing.kept, None);
        let body = webhook::body(&message.id, &message.kind, told, standing, &page, hook.webhook.full_number);
        let sent = post(&self.client, &hook.webhook, &message.id, body, now_unix_ms).await;
        if matches!(sent, Sent::Gone) && !hook.off.swap(true, Ordering::Relaxed) {
            warn!(
                destination = message.destination,
                "the webhook answers 410 Gone: it is switched off until the next start; take it out of the configuration, \
                 or mend what answers there"
            );
        }
        note(&hook.breaker, &sent);
        sent
    }
}

/// Posts one signed body.
pub(super) async fn post(client: &Client, webhook: &Webhook, id: &str, body: String, now_unix_ms: u64) -> Sent {
    let unix_s = now_unix_ms / 1_000;
    let signature = webhook::signature(&webhook.key.0, id, unix_s, &body);
    let headers =
        [("webhook-id", id.to_owned()), ("webhook-timestamp", unix_s.to_string()), ("webhook-signature", signature)];
    match client.post(&webhook.url, &headers, body).await {
        Ok(status) if status.is_success() => Sent::Taken,
        Ok(StatusCode::GONE) => Sent::Gone,
        Ok(status) => Sent::Again(format!("it answers {status}")),
        Err(error) => Sent::Again(error.to_string()),
    }
}

fn may_try(breaker: &Mutex<Breaker>) -> bool {
    breaker.lock().unwrap_or_else(PoisonError::into_inner).may_try(clock::now())
}

fn note(breaker: &Mutex<Breaker>, sent: &Sent) {
    let mut breaker = breaker.lock().unwrap_or_else(PoisonError::into_inner);
    match sent {
        Sent::Taken | Sent::Refused(_) | Sent::Gone => breaker.answered(),
        Sent::Again(_) => breaker.failed(clock::now()),
        Sent::Later | Sent::Stale(_) => {}
    }
}
