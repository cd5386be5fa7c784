//! Who is told of call-backs: a tenant's webhook, and the relay for mail to visitors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use desk::Email;
use hyper::Uri;
use toml::Spanned;

use super::{Checker, SecretKeys};
use crate::config::checked::{Event, HttpUrl, Mail, MailTls, SigningKey, Webhook};
use crate::config::file;
use crate::config::problem::Problem;
use crate::config::suggest;

/// What the secret of Standard Webhooks begins with.
const KEY_PREFIX: &str = "whsec_";
/// A longer address is none.
const URL_BYTES_MAX: usize = 2_048;

impl Checker<'_> {
    /// `[tenant.webhook]`; without an address there is none.
    pub(super) fn webhook(&mut self, table: &Spanned<file::Webhook>) -> Option<Webhook> {
        let (place, webhook) = (table.span(), table.get_ref());
        let secret_key = webhook.secret_file.as_ref().or(webhook.secret_env.as_ref());
        let is_asked_for = secret_key.is_some() || webhook.secret.is_some();
        if webhook.url.is_none() && !is_asked_for {
            return None;
        }
        let help = "say where it is posted: url = \"https://crm.shop.example/passerelle\"";
        let url = self.required(&webhook.url, &place, "url", help).and_then(|key| self.http_url(key));
        let keys = SecretKeys {
            name: "secret",
            literal: &webhook.secret,
            file: &webhook.secret_file,
            env: &webhook.secret_env,
        };
        let secret = self.secret(&keys);
        let wrong = ["secret", "secret_file", "secret_env"].iter().any(|key| self.removed.contains(&place, key));
        let key = match (secret, secret_key.or(webhook.secret.as_ref())) {
            (Some(secret), Some(key)) => self.signing_key(key, secret.expose()),
            (None, None) if !wrong => {
                let problem = Problem::error(place, "the webhook has no key for its signature");
                self.problems.push(problem.help("write secret_file = \"/etc/passerelle/shop.webhook-key\""));
                None
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        let events = self.events(webhook);
        let full_number = self.full_number(webhook);
        Some(Webhook { url: url?, key: key?, events, full_number })
    }

    fn http_url(&mut self, key: &Spanned<String>) -> Option<HttpUrl> {
        let typed = key.get_ref();
        let Some(url) = http_url(typed) else {
            let help =
                "write scheme, host and path, without user, password or fragment: \"https://crm.shop.example/hook\"";
            self.error(key, &format!("`{typed}` is no address to post to"), help);
            return None;
        };
        if !url.https && !is_local(&url.host) {
            let problem = Problem::warning(key.span(), "what is told travels unencrypted: this is not https");
            self.problems.push(problem.help("right inside a network you trust; else write https://…"));
        }
        Some(url)
    }

    fn signing_key(&mut self, key: &Spanned<String>, secret: &str) -> Option<SigningKey> {
        let decoded = BASE64.decode(secret.strip_prefix(KEY_PREFIX).unwrap_or(secret)).ok();
        let sound = decoded.filter(|bytes| (24..=64).contains(&bytes.len()));
        if sound.is_none() {
            let help = "make one with: echo whsec_$(openssl rand -base64 32)";
            self.error(key, "the key is not \"whsec_\" and 24 to 64 bytes in base64", help);
        }
        sound.map(SigningKey)
    }

    fn events(&mut self, webhook: &file::Webhook) -> Vec<Event> {
        let Some(list) = &webhook.events else { return Event::ALL.to_vec() };
        let mut events = Vec::new();
        for item in list.get_ref() {
            let typed = item.get_ref();
            match Event::ALL.into_iter().find(|event| event.as_str() == typed) {
                Some(event) if events.contains(&event) => {
                    self.error(item, &format!("`{typed}` stands here twice"), "leave one of them out");
                }
                Some(event) => events.push(event),
                None => {
                    let help = suggest::mend(typed, Event::ALL.map(Event::as_str), "");
                    self.error(item, &format!("nothing is told by the name `{typed}`"), &help);
                }
            }
        }
        events
    }

    fn full_number(&mut self, webhook: &file::Webhook) -> bool {
        match webhook.number.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "masked")) => false,
            Some((_, "full")) => true,
            Some((key, other)) => {
                let help = suggest::mend(other, ["masked", "full"], "");
                self.error(key, &format!("a number cannot be told `{other}`"), &help);
                false
            }
        }
    }

    /// `[mail]`; without a relay there is none.
    pub(super) fn mail(&mut self, mail: &file::Mail) -> Option<Mail> {
        let Some(host_key) = &mail.host else {
            if let Some(key) = mail.from.as_ref().or(mail.username.as_ref()) {
                self.error(key, "there is no relay to send mail by", "write host = \"smtp.shop.example\" in [mail]");
            }
            return None;
        };
        let host = host_key.get_ref();
        let is_host = host.parse::<std::net::IpAddr>().is_ok()
            || (!host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-')));
        if !is_host {
            self.error(
                host_key,
                &format!("`{host}` is no host"),
                "write its name alone; the port has a key of its own",
            );
        }
        let tls = self.mail_tls(mail);
        let usual = match tls {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        let port = u16::try_from(self.number(&mail.port, "port", usual, 1..=65_535)).unwrap_or(587);
        let login = self.mail_login(mail, tls, host);
        let help = "say who writes: from = \"Shop <callback@shop.example>\"";
        let from = self.required(&mail.from, &host_key.span(), "from", help).and_then(|key| self.sender(key));
        let (from_name, from) = from?;
        is_host.then(|| Mail { host: host.clone(), port, tls, login, from_name, from })
    }

    fn mail_tls(&mut self, mail: &file::Mail) -> MailTls {
        match mail.tls.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "starttls")) => MailTls::StartTls,
            Some((_, "tls")) => MailTls::Tls,
            Some((_, "none")) => MailTls::None,
            Some((key, other)) => {
                let help = suggest::mend(other, ["starttls", "tls", "none"], "");
                self.error(key, &format!("no way to keep mail secret is called `{other}`"), &help);
                MailTls::StartTls
            }
        }
    }

    fn mail_login(&mut self, mail: &file::Mail, tls: MailTls, host: &str) -> Option<(String, super::Secret)> {
        let keys = SecretKeys {
            name: "password",
            literal: &mail.password,
            file: &mail.password_file,
            env: &mail.password_env,
        };
        let password = self.secret(&keys);
        let given = mail.password_file.as_ref().or(mail.password_env.as_ref()).or(mail.password.as_ref());
        match (&mail.username, given) {
            (None, None) => None,
            (None, Some(key)) => {
                self.error(key, "a password without a user", "write username = \"…\" in [mail]");
                None
            }
            (Some(user), None) => {
                let help = "write password_file = \"/etc/passerelle/mail.password\"";
                self.error(user, "a user without a password", help);
                None
            }
            (Some(user), Some(key)) => {
                if tls == MailTls::None && !is_local(host) {
                    self.error(key, "the password would travel unencrypted", "write tls = \"starttls\" in [mail]");
                }
                Some((user.get_ref().clone(), password?))
            }
        }
    }

    /// `Shop <callback@shop.example>`, or the address alone.
    fn sender(&mut self, key: &Spanned<String>) -> Option<(Option<String>, Email)> {
        let sender = sender(key.get_ref());
        if sender.is_none() {
            let help = "write an address, or a name and an address: \"Shop <callback@shop.example>\"";
            self.error(key, &format!("nobody writes as `{}`", key.get_ref()), help);
        }
        sender
    }
}

fn sender(typed: &str) -> Option<(Option<String>, Email)> {
    let Some((name, rest)) = typed.split_once('<') else { return Some((None, typed.trim().parse().ok()?)) };
    let address = rest.strip_suffix('>')?.parse().ok()?;
    let name = name.trim();
    let is_name = name.chars().count() <= 64 && !name.contains(|c: char| c.is_control() || "<>\"@".contains(c));
    is_name.then(|| (Some(name.to_owned()).filter(|name| !name.is_empty()), address))
}

fn http_url(typed: &str) -> Option<HttpUrl> {
    if typed.len() > URL_BYTES_MAX || typed.contains('#') {
        return None;
    }
    let uri: Uri = typed.parse().ok()?;
    let https = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" if https => 443,
        "" => 80,
        port => port.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)?,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    (!host.is_empty()).then(|| HttpUrl {
        https,
        host: host.to_owned(),
        port,
        authority: authority.as_str().to_owned(),
        path: path.to_owned(),
    })
}

/// This machine itself.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_post_to_are_taken_apart() {
        let url = |typed: &str| http_url(typed).map(|url| (url.https, url.host, url.port, url.authority, url.path));
        let parts = |https, host: &str, port, authority: &str, path: &str| {
            Some((https, host.to_owned(), port, authority.to_owned(), path.to_owned()))
        };
        assert_eq!(url("https://crm.example/a?b=c"), parts(true, "crm.example", 443, "crm.example", "/a?b=c"));
        assert_eq!(url("http://127.0.0.1:8090"), parts(false, "127.0.0.1", 8090, "127.0.0.1:8090", "/"));
        assert_eq!(url("https://[2001:db8::1]:444/x"), parts(true, "2001:db8::1", 444, "[2001:db8::1]:444", "/x"));
        for wrong in [
            "",
            "crm.example",
            "/hook",
            "ftp://crm.example/",
            "gopher://crm.example",
            "https://",
            "https:///x",
            "https://user:pass@crm.example/",
            "https://crm.example/#part",
            "https://crm.example:0/",
            "https://crm.example:99999/",
            "https://crm.example/\r\nX: y",
            "https://crm example/",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_writes_is_an_address_with_or_without_a_name() {
        let read = |typed: &str| sender(typed).map(|(name, email)| (name, email.as_str().to_owned()));
        assert_eq!(read("a@b.fr"), Some((None, "a@b.fr".to_owned())));
        assert_eq!(read("L’été <a@b.fr>"), Some((Some("L’été".to_owned()), "a@b.fr".to_owned())));
        assert_eq!(read("<a@b.fr>"), Some((None, "a@b.fr".to_owned())));
        for wrong in ["", "Shop", "Shop <a@b.fr", "Shop <a@b.fr>\r\nBcc: <x@y.fr>", "a@b.fr <c@d.fr>", "Shop <>"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
