//! Messages: what is told outside of a call-back, to a program of the shop by webhook and to the visitor by mail.
//!
//! ```text
//!  door, hand, clerk ──tell──► outbox ◄──claim, done, again── postman ──► webhook, relay
//!                                                               │
//!                                                               └─look─► book: number, address, page, does it still hold?
//! ```
//! Told at least once: a message is in the outbox before a promise is answered, and leaves it when it was taken. Nothing
//! here can hold up or fail a call-back: what cannot be posted is counted and forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use desk::{CallbackId, Email};
use store::{Answer, Home, KeptCallback};
use tokio::sync::{Notify, watch};
use tracing::error;
use web::{CallbackView, Lang};

use crate::clock;
use crate::config::checked::{Config, Event, Webhook};
use crate::observe::metric::{self, Metric};
use http::Client;
use mail::Mailer;
use postman::Postman;

mod backoff;
mod http;
mod letter;
mod mail;
mod postman;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod webhook;

/// A call-back waits no longer for its message to be kept.
const POST_LIMIT: Duration = Duration::from_secs(2);

/// A call-back as a message tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) kept: KeptCallback,
    /// As its visitor sees it.
    pub(crate) view: CallbackView,
}

/// Where the postman looks before he tells.
pub(crate) trait Book: Send + Sync {
    /// How it stands; `None` when it is not there.
    fn look(&self, id: CallbackId) -> Answer<'_, Option<Standing>>;
}

/// What came of a try.
#[derive(Debug)]
enum Sent {
    Taken,
    /// Its call-back is not kept yet.
    Later,
    /// Not taken, for a reason that may pass.
    Again(String),
    /// Not taken, and never will be.
    Refused(String),
    /// Nobody listens there any more.
    Gone,
    /// There is nothing to tell any more, or nobody.
    Stale(&'static str),
}

/// The way into the outbox.
#[derive(Clone)]
pub(crate) struct Messages(Arc<Inner>);

struct Inner {
    home: Arc<dyn Home>,
    /// By tenant.
    webhooks: BTreeMap<String, Vec<Event>>,
    mail: bool,
    posted: Notify,
}

impl Messages {
    pub(crate) fn new(home: Arc<dyn Home>, config: &Config) -> Self {
        let webhooks = webhooks(config).map(|(tenant, webhook)| (tenant, webhook.events)).collect();
        Self::to(home, webhooks, config.mail.is_some())
    }

    fn to(home: Arc<dyn Home>, webhooks: BTreeMap<String, Vec<Event>>, mail: bool) -> Self {
        Self(Arc::new(Inner { home, webhooks, mail, posted: Notify::new() }))
    }

    /// Visitors may leave an address.
    pub(crate) fn are_mailed(&self) -> bool {
        self.0.mail
    }

    /// Something happened to this call-back. When it comes back, whoever wants to hear of it will, also after a kill -9;
    /// unless the outbox cannot be had, which is counted.
    pub(crate) async fn tell(&self, kept: &KeptCallback, event: Event) {
        let webhook = self.0.webhooks.get(&kept.callback.tenant().0).map_or(&[][..], Vec::as_slice);
        let listeners = told::Listeners { webhook, mail: self.0.mail };
        let messages = told::messages(kept, event, listeners, clock::unix_ms());
        if messages.is_empty() {
            return;
        }
        let destinations: Vec<String> = messages.iter().map(|message| message.destination.clone()).collect();
        let posted = tokio::time::timeout(POST_LIMIT, self.0.home.post_messages(messages)).await;
        match posted.unwrap_or(Err(store::StoreError::Slow)) {
            Ok(_) => self.0.posted.notify_one(),
            Err(error) => {
                destinations.iter().for_each(|destination| count(destination, "lost"));
                error!(callback = %kept.callback.id(), event = event.as_str(), %error, "nobody is told of a call-back");
            }
        }
    }

    /// The same by the state that was reached, if it is one to be told.
    pub(crate) async fn tell_state(&self, kept: &KeptCallback) {
        if let Some(event) = told::reached(kept.callback.state()) {
            self.tell(kept, event).await;
        }
    }

    async fn posted(&self) {
        self.0.posted.notified().await;
    }
}

/// How the postman is told to come home.
pub(crate) struct Round(watch::Sender<bool>);

impl Round {
    /// Takes nothing more, and waits a moment for what is being sent.
    pub(crate) async fn end(self) {
        let _gone = self.0.send(true);
        self.0.closed().await;
    }
}

/// Sends the postman on his round.
pub(crate) fn start(
    messages: Messages,
    book: Arc<dyn Book>,
    config: &Config,
) -> Result<(Round, tokio::task::JoinHandle<()>), String> {
    let home = Arc::clone(&messages.0.home);
    let mailer = config.mail.as_ref().map(|mail| Mailer::new(mail, &hello(config), &[])).transpose()?;
    let hooks = webhooks(config).map(|(tenant, webhook)| (told::webhook_of(&tenant.as_str().into()), webhook));
    let postman = Postman::new(home, book, Client::new(&[])?, hooks, mailer, &config.http.public_url);
    let (stop, stopped) = watch::channel(false);
    Ok((Round(stop), tokio::spawn(Arc::new(postman).run(messages, stopped))))
}

fn webhooks(config: &Config) -> impl Iterator<Item = (String, Webhook)> {
    config.tenants.iter().filter_map(|tenant| Some((tenant.id.clone(), tenant.webhook.clone()?)))
}

/// The name this gateway greets a relay by.
fn hello(config: &Config) -> String {
    let host = config.http.public_url.split("://").nth(1).unwrap_or_default();
    let name = if host.starts_with('[') { "" } else { host.split(':').next().unwrap_or_default() };
    let is_name = !name.is_empty() && name.parse::<std::net::IpAddr>().is_err();
    if is_name { name.to_owned() } else { "localhost".to_owned() }
}

/// The visitor's page of this call-back, in his language where that is known.
fn page(public_url: &str, kept: &KeptCallback, lang: Option<Lang>) -> String {
    let lang = lang.map_or_else(String::new, |lang| format!("?lang={}", lang.tag()));
    format!("{public_url}/callback/{}{lang}#{:032x}", kept.callback.id(), kept.manage)
}

/// Counts by what kind of place it was for, and never by its name.
fn count(destination: &str, outcome: &str) {
    let place = destination.split('.').next().unwrap_or_default();
    metric::count_with(Metric::Messages, &format!("{place}/{outcome}"));
}

/// `passerelle message test mail`: one mail, now; else what went wrong and the mend.
pub(crate) async fn try_mail(config: &Config, to: &Email) -> Result<String, String> {
    let Some(mail) = &config.mail else {
        return Err("no mail is configured: write host and from in [mail]".to_owned());
    };
    let mailer = Mailer::new(mail, &hello(config), &[])?;
    let message = mailer.test_message(&format!("test.{:032x}", rand::random::<u128>()), to)?;
    mailer.try_out(mail, message).await?;
    Ok(format!("{}:{} took a mail for {}; whether it arrives, its inbox says", mail.host, mail.port, to.as_str()))
}

/// `passerelle message test webhook`: one signed request to each tenant's, or to this one's.
pub(crate) async fn try_webhooks(config: &Config, tenant: Option<&str>) -> Vec<Result<String, String>> {
    let client = match Client::new(&[]) {
        Ok(client) => client,
        Err(why) => return vec![Err(why)],
    };
    let mut said = Vec::new();
    for (id, webhook) in webhooks(config).filter(|(id, _)| tenant.is_none_or(|tenant| tenant == id)) {
        let name = format!("test.{:032x}", rand::random::<u128>());
        let now = clock::unix_ms();
        let sent = postman::post(&client, &webhook, &name, webhook::test_body(&name, now), now).await;
        let place = format!("the webhook of tenant {id}, {}", webhook.url.authority);
        said.push(match sent {
            Sent::Taken => Ok(format!("{place} took a message of type message.test")),
            Sent::Gone => {
                Err(format!("{place} answers 410 Gone: nobody listens there any more; take it out, or mend it"))
            }
            Sent::Again(why) | Sent::Refused(why) => Err(format!("{place}: {why}. {}", mend(&why))),
            Sent::Later | Sent::Stale(_) => Err(format!("{place}: nothing was sent")),
        });
    }
    if said.is_empty() {
        said.push(Err("no such webhook is configured: write url and secret_file in [tenant.webhook]".to_owned()));
    }
    said
}

/// What to do when a webhook does not take it.
fn mend(why: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if has(&["answers 401", "answers 403"]) {
        "It does not accept the signature: compare the key on both sides, and its clock with this one"
    } else if has(&["answers 404", "answers 405"]) {
        "The path is wrong: compare url in [tenant.webhook]"
    } else if has(&["answers 3"]) {
        "Redirects are not followed: write the address it leads to as url in [tenant.webhook]"
    } else if has(&["answers 4", "answers 5"]) {
        "It was reached and does not take it: see its log"
    } else if has(&["encrypted"]) {
        "Its certificate must be made out to this name by an authority that this machine trusts (ca-certificates)"
    } else {
        "Is url in [tenant.webhook] right? Does the firewall let this machine reach it?"
    }
}
