//! Mail against the SMTP server of Debian's python3-aiosmtpd, whose mails Python's own parser reads.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use desk::{CancelledBy, Email};
use lettre::transport::smtp::client::Certificate;
use serde_json::Value;

use super::*;
use crate::config::checked::{Mail, MailTls, Secret};

const RELAY: &str = include_str!("relay.py");

/// A relay in a process of its own, gone at the end of the test.
struct Relay {
    process: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Relay {
    /// `None`, said, when there is no such server here.
    #[expect(clippy::print_stderr, reason = "a test that was left out must be seen")]
    fn start(arguments: &[&str]) -> Option<Self> {
        // Debian's packages are for Debian's own Python, whichever comes first on the path.
        for python in ["/usr/bin/python3", "python3"] {
            let mut command = Command::new(python);
            command
                .args(["-c", RELAY])
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let Ok(mut process) = command.spawn() else { continue };
            let mut said = BufReader::new(process.stdout.take()?);
            let mut line = String::new();
            let read = said.read_line(&mut line);
            if let Some(port) = line.strip_prefix("PORT ") {
                return Some(Self { process, said, port: port.trim().parse().ok()? });
            }
            assert_eq!(line.trim(), "SKIPPED", "the relay does not start: {read:?}");
            drop(process.wait());
        }
        eprintln!("SKIPPED {}: Debian package python3-aiosmtpd is not installed", module_path!());
        None
    }

    /// The next mail it has taken.
    fn mail(&mut self) -> Taken {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        Taken(serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A mail as the relay has read it.
struct Taken(Value);

impl Taken {
    /// All headers of this name.
    fn headers(&self, name: &str) -> Vec<&str> {
        let all = self.0["headers"].as_array().unwrap().iter();
        all.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
    }

    /// The part of this type: its method, its text.
    fn part(&self, kind: &str) -> Option<(Option<&str>, &str)> {
        let part = self.0["parts"].as_array()?.iter().find(|part| part["type"] == kind)?;
        Some((part["method"].as_str(), part["text"].as_str()?))
    }

    /// A line of the calendar entry, without its name.
    fn entry(&self, name: &str) -> Option<String> {
        let text = self.part("text/calendar")?.1.replace("\r\n", "\n").replace("\n ", "");
        text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
    }
}

fn relay_at(port: u16, tls: MailTls, login: Option<&str>) -> Mail {
    Mail {
        host: "localhost".to_owned(),
        port,
        tls,
        login: login.map(|password| ("passerelle".to_owned(), Secret::new(password))),
        from_name: Some("La boutique d’été".to_owned()),
        from: "rappel@shop.example".parse().unwrap(),
    }
}

fn bench_with(mail: &Mail, also: &[Certificate]) -> Bench {
    let mailer = Mailer::new(mail, "voice.example", also).unwrap();
    Bench::new(Client::new(&[]).unwrap(), None, Some(mailer))
}

fn to(kept: &KeptCallback, email: &str) -> KeptCallback {
    with(kept, |wish| wish.email = email.parse().ok())
}

#[tokio::test]
async fn a_visitor_reads_of_his_promise_its_move_and_its_end() {
    let Some(mut relay) = Relay::start(&["plain"]) else { return };
    let bench = bench_with(&relay_at(relay.port, MailTls::None, None), &[]);
    let mut promised = kept(in_an_hour());
    bench.tell(&promised, Event::Scheduled).await;
    assert_eq!(bench.round().await, 0);
    let first = relay.mail();
    assert_eq!(
        (&first.0["from"], &first.0["to"]),
        (&"rappel@shop.example".into(), &serde_json::json!(["claire@mail.example"]))
    );
    assert_eq!(first.0["defects"], serde_json::json!([]));
    assert_eq!(first.headers("From"), ["La boutique d’été <rappel@shop.example>"]);
    assert!(first.headers("Subject")[0].starts_with("Nous vous rappelons "), "{:?}", first.headers("Subject"));
    let id = promised.callback.id();
    assert_eq!(first.headers("Message-ID"), [format!("<{id}.1.scheduled.mail@shop.example>")]);
    assert_eq!(first.headers("Auto-Submitted"), ["auto-generated"]);
    let page = format!("https://voice.example/callback/{id}?lang=fr#{:032x}", 0x5ec7e7);
    assert!(first.part("text/plain").unwrap().1.contains(&page));
    assert!(first.part("text/html").unwrap().1.contains(&format!("href=\"{page}\"")));
    assert!(!first.0["raw"].as_str().unwrap().contains("612345678"), "the number stays masked");
    assert_eq!(first.part("text/calendar").unwrap().0, Some("REQUEST"));
    assert_eq!(first.entry("METHOD:").as_deref(), Some("REQUEST"));
    assert_eq!(first.entry("ORGANIZER:").as_deref(), Some("mailto:rappel@shop.example"));

    promised.callback.reschedule(in_an_hour() - 1, promised.callback.wish().wanted.clone()).unwrap();
    promised.version += 1;
    bench.tell(&promised, Event::Moved).await;
    promised.callback.cancel(CancelledBy::Visitor).unwrap();
    promised.version += 1;
    assert_eq!(bench.round().await, 0);
    let moved = relay.mail();
    bench.tell(&promised, Event::Cancelled).await;
    assert_eq!(bench.round().await, 0);
    let off = relay.mail();
    assert!(moved.headers("Subject")[0].starts_with("Rappel déplacé"));
    assert_eq!(off.headers("Subject"), ["Rappel annulé"]);
    assert_eq!((moved.entry("METHOD:").as_deref(), off.entry("METHOD:").as_deref()), (Some("REQUEST"), Some("CANCEL")));
    assert_eq!(off.part("text/calendar").unwrap().0, Some("CANCEL"));
    let sequences = [&first, &moved, &off].map(|mail| mail.entry("SEQUENCE:").unwrap());
    assert_eq!(sequences, ["1", "2", "3"]);
    assert!([&moved, &off].iter().all(|mail| mail.entry("UID:") == first.entry("UID:")));
}

#[tokio::test]
async fn at_once_goes_into_no_calendar_and_english_is_spoken() {
    let Some(mut relay) = Relay::start(&["plain"]) else { return };
    let bench = bench_with(&relay_at(relay.port, MailTls::None, None), &[]);
    let english = with(&kept(clock::unix_ms()), |wish| {
        wish.wanted = None;
        wish.tags.language = "en".to_owned();
    });
    bench.tell(&english, Event::Scheduled).await;
    assert_eq!(bench.round().await, 0);
    let mail = relay.mail();
    assert_eq!(mail.headers("Subject"), ["We will call you as soon as possible"]);
    assert_eq!(mail.part("text/calendar"), None);
}

#[tokio::test]
async fn a_reminder_is_only_sent_of_what_still_holds() {
    let Some(mut relay) = Relay::start(&["plain"]) else { return };
    let bench = bench_with(&relay_at(relay.port, MailTls::None, None), &[]);
    let mut promised = kept(in_an_hour() + 3_600_000);
    bench.tell(&promised, Event::Scheduled).await;
    promised.callback.reschedule(in_an_hour() + 7_200_000, None).unwrap();
    promised.version += 1;
    bench.tell(&promised, Event::Moved).await;
    assert_eq!(bench.home.messages_waiting().await, Ok(4));
    assert_eq!(bench.round().await, 0);
    let subjects = [relay.mail(), relay.mail()].map(|mail| mail.headers("Subject")[0].to_owned());
    assert!(subjects[0].starts_with("Rappel déplacé") && subjects[1].starts_with("Bientôt"), "{subjects:?}");
    bench.tell(&to(&promised, "last@mail.example"), Event::Cancelled).await;
    assert_eq!(bench.round().await, 0);
    assert_eq!(relay.mail().0["to"], serde_json::json!(["last@mail.example"]), "and nothing came between");
}

#[tokio::test]
async fn a_full_mailbox_is_tried_again_and_a_wrong_one_is_not() {
    let Some(mut relay) = Relay::start(&["plain"]) else { return };
    let mail = relay_at(relay.port, MailTls::None, None);
    let bench = bench_with(&mail, &[]);
    bench.tell(&to(&kept(in_an_hour()), "nobody@mail.example"), Event::Scheduled).await;
    assert_eq!(bench.round().await, 0, "no such user: given up");
    let promised = kept(in_an_hour());
    bench.tell(&to(&promised, "full@mail.example"), Event::Scheduled).await;
    assert_eq!(bench.round().await, 1);
    bench.shelf.put(&to(&promised, "roomy@mail.example"));
    assert_eq!(bench.round().await, 0, "the address is read when it is sent");
    assert_eq!(relay.mail().0["to"], serde_json::json!(["roomy@mail.example"]), "and nothing came before");
}

#[tokio::test]
async fn a_relay_that_is_away_gets_it_later_under_the_same_name() {
    let Some(mut relay) = Relay::start(&["plain"]) else { return };
    // A port that nobody listens at.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = bench_with(&relay_at(closed, MailTls::None, None), &[]);
    let promised = kept(in_an_hour());
    away.tell(&promised, Event::Scheduled).await;
    assert_eq!(away.round().await, 1);
    let left = away.home.claim_messages(u64::MAX / 4, 0, 9).await.unwrap();
    let back = bench_with(&relay_at(relay.port, MailTls::None, None), &[]);
    back.shelf.put(&promised);
    back.home.post_messages(left).await.unwrap();
    assert_eq!(back.round().await, 0);
    assert_eq!(
        relay.mail().headers("Message-ID"),
        [format!("<{}.1.scheduled.mail@shop.example>", promised.callback.id())]
    );
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_starttls_is_asked_for() {
    let Some(plain) = Relay::start(&["plain"]) else { return };
    let mail = relay_at(plain.port, MailTls::StartTls, None);
    let bench = bench_with(&mail, &[]);
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 1);
    let said = tried(&mail, &[]).await.unwrap_err();
    assert!(said.contains("Compare tls and port in [mail]"), "{said}");
}

#[tokio::test]
async fn starttls_is_spoken_with_a_relay_whose_certificate_is_good() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    let (chain, secret) = (
        folder.write("cert.pem", &pem("CERTIFICATE", &certificate)),
        folder.write("key.pem", &pem("PRIVATE KEY", &key)),
    );
    let Some(mut relay) = Relay::start(&["starttls", &chain, &secret]) else { return };
    let mail = relay_at(relay.port, MailTls::StartTls, None);
    let ours = Certificate::from_der(certificate).unwrap();
    let bench = bench_with(&mail, std::slice::from_ref(&ours));
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 0);
    assert_eq!(relay.mail().0["secret"], true);
    let said = tried(&mail, &[]).await.unwrap_err();
    assert!(said.contains("certificate is not trusted for localhost"), "{said}");
}

#[tokio::test]
async fn a_relay_that_asks_who_writes_is_told() {
    let Some(mut relay) = Relay::start(&["login"]) else { return };
    let good = relay_at(relay.port, MailTls::None, Some("open sesame"));
    assert_eq!(tried(&good, &[]).await, Ok(()));
    let mail = relay.mail();
    assert_eq!(
        (mail.headers("Subject"), mail.headers("To")),
        (vec!["Passerelle: a test"], vec!["claire@mail.example"])
    );
    let said = tried(&relay_at(relay.port, MailTls::None, Some("wrong")), &[]).await.unwrap_err();
    assert!(said.contains("Compare username and password in [mail]"), "{said}");
    let bench = bench_with(&relay_at(relay.port, MailTls::None, Some("wrong")), &[]);
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 1, "a wrong password is the operator's to mend: the mail waits");
}

#[test]
fn no_address_and_no_name_can_add_a_header() {
    let mail = Mail { from_name: Some("Shop, l’été; Bcc: x (y)".to_owned()), ..relay_at(1, MailTls::None, None) };
    let mailer = Mailer::new(&mail, "voice.example", &[]).unwrap();
    let to: Email = "claire@mail.example".parse().unwrap();
    let text = String::from_utf8(mailer.test_message("test.1", &to).unwrap().formatted()).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap();
    let names: Vec<&str> =
        head.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
    for (name, times) in [("From", 1), ("To", 1), ("Bcc", 0), ("Cc", 0), ("Subject", 1), ("Message-ID", 1)] {
        assert_eq!(names.iter().filter(|known| known.eq_ignore_ascii_case(name)).count(), times, "{name} in {head}");
    }
    assert!("claire@mail.example\r\nBcc: x@y.fr".parse::<Email>().is_err());
}

/// One test mail, as `passerelle message test mail` sends it.
async fn tried(mail: &Mail, also: &[Certificate]) -> Result<(), String> {
    let mailer = Mailer::new(mail, "voice.example", also)?;
    let message = mailer.test_message("test.1", &"claire@mail.example".parse().unwrap())?;
    mailer.try_out(mail, message).await
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("passerelle-mail-{}-{:016x}", std::process::id(), rand::random::<u64>()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
