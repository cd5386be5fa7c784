//! Mail: from a letter to a MIME message, and from there to the relay.

use std::time::Duration;

use desk::Email;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use web::{Invitation, Lang, calendar_entry};

use super::letter::{Entry, Letter};
use super::{Sent, Standing};
use crate::config::checked::{Mail, MailTls};

/// One command at the relay.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The whole conversation.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// What a relay says when it is this gateway it does not want, and not the recipient (RFC 4954 §6, RFC 3207 §4).
const OF_LOGIN: [u16; 5] = [454, 530, 534, 535, 538];

/// Who writes.
pub(super) struct Mailer {
    relay: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    sender: Email,
}

impl Mailer {
    /// Speaks to this relay, as the host `hello`; trusts the authorities of this machine, and these beside them.
    pub(super) fn new(mail: &Mail, hello: &str, also: &[Certificate]) -> Result<Self, String> {
        let tls = || {
            let mut parameters = TlsParameters::builder(mail.host.clone());
            for certificate in also {
                parameters = parameters.add_root_certificate(certificate.clone());
            }
            parameters.build().map_err(|error| format!("TLS for mail cannot be set up: {error}"))
        };
        let tls = match mail.tls {
            MailTls::StartTls => Tls::Required(tls()?),
            MailTls::Tls => Tls::Wrapper(tls()?),
            MailTls::None => Tls::None,
        };
        let mut relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
            .port(mail.port)
            .tls(tls)
            .timeout(Some(ANSWER_LIMIT))
            .hello_name(ClientId::Domain(hello.to_owned()));
        if let Some((user, password)) = &mail.login {
            relay = relay.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let from = Mailbox::new(mail.from_name.clone(), address(&mail.from)?);
        Ok(Self { relay: relay.build(), from, sender: mail.from.clone() })
    }

    /// The message with its calendar entry.
    pub(super) fn message(
        &self,
        id: &str,
        to: &Email,
        letter: Letter,
        standing: &Standing,
        page: &str,
        (lang, now_unix_ms): (Lang, u64),
    ) -> Result<Message, String> {
        let entry = self.entry(to, letter.entry, standing, page, (lang, now_unix_ms));
        self.written(id, to, letter, entry)
    }

    /// A message that tries the way.
    pub(super) fn test_message(&self, id: &str, to: &Email) -> Result<Message, String> {
        let words = "This message tries the way from Passerelle to you. It has arrived.";
        let letter = Letter {
            subject: "Passerelle: a test".to_owned(),
            text: format!("{words}\n"),
            html: format!("<!doctype html>\n<html lang=\"en\"><title>Test</title><p>{words}</p></html>\n"),
            entry: Entry::None,
        };
        self.written(id, to, letter, None)
    }

    fn entry(
        &self,
        to: &Email,
        entry: Entry,
        standing: &Standing,
        page: &str,
        (lang, now_unix_ms): (Lang, u64),
    ) -> Option<String> {
        let view = match entry {
            Entry::None => return None,
            Entry::Current => standing.view.clone(),
            Entry::Withdrawn => web::CallbackView { state: "cancelled", is_over: true, ..standing.view.clone() },
        };
        let between = Invitation { organizer: self.sender.as_str(), attendee: to.as_str() };
        Some(calendar_entry(&view, page, Some(between), now_unix_ms, lang))
    }

    fn written(&self, id: &str, to: &Email, letter: Letter, entry: Option<String>) -> Result<Message, String> {
        let mut parts = MultiPart::alternative()
            .singlepart(SinglePart::plain(letter.text))
            .singlepart(SinglePart::html(letter.html));
        if let Some(entry) = entry {
            let method = if entry.contains("METHOD:CANCEL\r\n") { "CANCEL" } else { "REQUEST" };
            let kind = ContentType::parse(&format!("text/calendar; charset=utf-8; method={method}"));
            let kind = kind.map_err(|error| format!("the calendar entry cannot be sent: {error}"))?;
            parts = parts.singlepart(SinglePart::builder().header(kind).body(entry));
        }
        let domain = self.sender.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address(to)?))
            .subject(letter.subject)
            // The same at every try: a second copy can be known.
            .message_id(Some(format!("<{id}@{domain}>")))
            .multipart(parts)
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        // No holiday answers to a machine (RFC 3834 §5).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok(message)
    }

    /// Gives it to the relay.
    pub(super) async fn send(&self, message: Message) -> Sent {
        let sending = tokio::time::timeout(SEND_LIMIT, self.relay.send(message));
        let Ok(sent) = sending.await else {
            return Sent::Again(format!("the relay took longer than {} seconds", SEND_LIMIT.as_secs()));
        };
        match sent {
            Ok(_) => Sent::Taken,
            Err(error) => {
                let code = error.status().map(u16::from);
                let why = said(&error);
                let of_login = code.is_some_and(|code| OF_LOGIN.contains(&code));
                if error.is_permanent() && !of_login { Sent::Refused(why) } else { Sent::Again(why) }
            }
        }
    }

    /// Sends one now; says what went wrong, and the mend.
    pub(super) async fn try_out(&self, mail: &Mail, message: Message) -> Result<(), String> {
        let why = match self.send(message).await {
            Sent::Taken => return Ok(()),
            Sent::Again(why) | Sent::Refused(why) => why,
            Sent::Later | Sent::Gone | Sent::Stale(_) => "it was not sent".to_owned(),
        };
        Err(format!("{why}. {}", mend(&why, mail)))
    }
}

fn address(email: &Email) -> Result<Address, String> {
    email.as_str().parse().map_err(|error| format!("an address is none for mail: {error}"))
}

/// The error with what lies under it, where it does not say so itself.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut under = std::error::Error::source(error);
    while let Some(error) = under {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        under = error.source();
    }
    text
}

/// What to do about it.
fn mend(why: &str, mail: &Mail) -> String {
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if has(&["535", "534", "530", "538"]) {
        "Compare username and password in [mail] with the relay's account".to_owned()
    } else if has(&["certificate"]) {
        format!(
            "The relay's certificate is not trusted for {}: write the name it is made out to as host in [mail], or give \
             its authority to this machine (ca-certificates)",
            mail.host
        )
    } else if has(&["STARTTLS", "tls", "TLS"]) {
        "Compare tls and port in [mail] with what the relay offers: starttls at 587, tls at 465".to_owned()
    } else if has(&["(5", "permanent"]) {
        "The relay takes no mail from this sender or to this address: see its log, and `from` in [mail]".to_owned()
    } else {
        format!("Is {}:{} the relay (see [mail])? Does the firewall let this machine reach it?", mail.host, mail.port)
    }
}
