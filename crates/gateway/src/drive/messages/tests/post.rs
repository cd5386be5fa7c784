//! Webhooks against an HTTP server that takes them, fails, hangs, leads elsewhere, or does not want them any more.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::*;
use crate::config::checked::{HttpUrl, SigningKey};
use crate::drive::messages::webhook::signature;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer no server sends: it hangs.
const HANG: u16 = 1;
/// 200 and a body without an end.
const ENDLESS: u16 = 2;

/// A request as it came.
struct Heard {
    headers: HeaderMap,
    body: String,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// As the receiver verifies it.
    fn is_signed(&self) -> bool {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp").parse().unwrap());
        clock::unix_ms().abs_diff(at * 1_000) < 300_000
            && self.header("webhook-signature") == signature(KEY, id, at, &self.body)
    }
}

#[derive(Clone)]
struct Answers {
    status: Arc<AtomicU16>,
    heard: mpsc::Sender<Heard>,
}

async fn answer(State(answers): State<Answers>, headers: HeaderMap, body: Bytes) -> Response {
    let heard = Heard { headers, body: String::from_utf8(body.to_vec()).unwrap() };
    answers.heard.try_send(heard).ok();
    match answers.status.load(Ordering::Relaxed) {
        HANG => std::future::pending().await,
        ENDLESS => Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(65_536))))
            .into_response(),
        302 => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        status => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

/// A server of the shop.
struct Shop {
    webhook: Webhook,
    status: Arc<AtomicU16>,
    heard: mpsc::Receiver<Heard>,
}

impl Shop {
    async fn open() -> Self {
        let (heard_in, heard) = mpsc::channel(256);
        let status = Arc::new(AtomicU16::new(204));
        let answers = Answers { status: Arc::clone(&status), heard: heard_in };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(answers);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { webhook: webhook(port, false), status, heard }
    }

    fn bench(&self) -> Bench {
        Bench::new(Client::new(&[]).unwrap(), Some(self.webhook.clone()), None)
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What was heard so far.
    fn heard(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

fn webhook(port: u16, https: bool) -> Webhook {
    let host = if https { "localhost" } else { "127.0.0.1" };
    let url = HttpUrl {
        https,
        host: host.to_owned(),
        port,
        authority: format!("{host}:{port}"),
        path: "/hook?a=b".to_owned(),
    };
    Webhook { url, key: SigningKey(KEY.to_vec()), events: Event::ALL.to_vec(), full_number: false }
}

#[tokio::test]
async fn what_happened_arrives_signed_and_leaves_the_outbox() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 0);
    let [heard] = <[Heard; 1]>::try_from(shop.heard()).ok().unwrap();
    assert!(heard.is_signed());
    assert_eq!(
        (heard.header("content-type"), heard.header("host")),
        ("application/json", shop.webhook.url.authority.as_str())
    );
    let body: Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(
        (&body["type"], body["id"].as_str().unwrap()),
        (&"callback.scheduled".into(), heard.header("webhook-id"))
    );
    let page = format!("https://voice.example/callback/{:032x}#{:032x}", 0xcb, 0x5ec7e7);
    assert_eq!((&body["callback"]["page"], &body["callback"]["number"]), (&page.into(), &"+33 6 ** ** ** 78".into()));
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_body() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    bench.tell(&kept(in_an_hour()), Event::Moved).await;
    for status in [500, 503, 404] {
        shop.answers(status);
        assert_eq!(bench.round().await, 1, "{status}");
    }
    let waits = bench.home.claim_messages(clock::unix_ms(), 0, 9).await.unwrap();
    assert_eq!(waits, [], "not at once");
    shop.answers(200);
    assert_eq!(bench.round().await, 0);
    let heard = shop.heard();
    assert_eq!(heard.len(), 4);
    assert!(heard.iter().all(Heard::is_signed));
    let same = |heard: &Heard| (heard.header("webhook-id").to_owned(), heard.body.clone());
    assert!(heard.iter().all(|one| same(one) == same(&heard[0])));
}

#[tokio::test]
async fn after_a_day_it_is_given_up() {
    let shop = Shop::open().await;
    let bench = shop.bench();
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    shop.answers(500);
    let mut message = bench.home.claim_messages(u64::MAX / 4, 0, 1).await.unwrap().remove(0);
    message.tries = 32;
    bench.postman.deliver(message.clone()).await;
    assert_eq!(bench.home.messages_waiting().await, Ok(1));
    message.tries = 33;
    bench.postman.deliver(message).await;
    assert_eq!(bench.home.messages_waiting().await, Ok(0));
}

#[tokio::test]
async fn one_that_hangs_is_left_and_one_that_never_ends_has_taken_it() {
    let mut shop = Shop::open().await;
    let client = Client::new(&[]).unwrap().within(Duration::from_millis(300));
    let bench = Bench::new(client, Some(shop.webhook.clone()), None);
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    shop.answers(HANG);
    assert_eq!(bench.round().await, 1);
    let bench = shop.bench();
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    shop.answers(ENDLESS);
    assert_eq!(tokio::time::timeout(PATIENCE, bench.round()).await, Ok(0));
    assert_eq!(shop.heard().len(), 2);
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    shop.answers(302);
    assert_eq!(bench.round().await, 1);
    assert_eq!(shop.heard().len(), 1, "the redirect leads to the same server, and it has heard nothing more");
}

#[tokio::test]
async fn gone_switches_it_off() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    shop.answers(410);
    bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 0, "it is not tried again");
    shop.answers(200);
    bench.tell(&kept(in_an_hour()), Event::Moved).await;
    assert_eq!(bench.round().await, 0);
    assert_eq!(shop.heard().len(), 1);
}

#[tokio::test]
async fn a_dead_one_is_left_in_peace_so_that_others_are_served() {
    let shop = Shop::open().await;
    shop.answers(500);
    let bench = shop.bench();
    for version in 1..=20 {
        let kept = KeptCallback { version, ..kept(in_an_hour()) };
        bench.tell(&kept, Event::Moved).await;
    }
    let mut shop = shop;
    assert_eq!(bench.round().await, 20);
    assert_eq!(shop.heard().len(), 5, "five failures in a row say enough");
}

#[tokio::test]
async fn what_is_erased_is_told_to_nobody() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    bench.messages.tell(&kept(in_an_hour()), Event::Scheduled).await;
    assert_eq!(bench.round().await, 1, "its call-back may come yet");
    let mut old = bench.home.claim_messages(u64::MAX / 4, 0, 1).await.unwrap().remove(0);
    old.payload = old.payload.replace("\"at_unix_ms\":", "\"at_unix_ms\":1,\"was\":");
    bench.postman.deliver(old).await;
    assert_eq!((bench.home.messages_waiting().await, shop.heard().len()), (Ok(0), 0));
}

#[tokio::test]
async fn the_round_finds_what_is_told_before_its_call_back_is_kept() {
    let mut shop = Shop::open().await;
    let bench = shop.bench();
    let (stop, stopped) = watch::channel(false);
    let round = tokio::spawn(Arc::clone(&bench.postman).run(bench.messages.clone(), stopped));
    let promised = kept(in_an_hour());
    bench.messages.tell(&promised, Event::Scheduled).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(shop.heard().is_empty());
    bench.shelf.put(&promised);
    let heard = tokio::time::timeout(PATIENCE, shop.heard.recv()).await.unwrap().unwrap();
    assert!(heard.is_signed());
    stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, round).await.unwrap().unwrap();
}

#[tokio::test]
async fn over_tls_only_to_whom_the_certificate_names() {
    let (certificate, key) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let certificate = CertificateDer::from(certificate);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            if let Ok(mut line) = acceptor.accept(line).await {
                let mut request = [0; 8_192];
                let _read = line.read(&mut request).await;
                let _written = line.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _flushed = line.flush().await;
            }
        }
    });
    let waits = async |client: Client, webhook: Webhook| {
        let bench = Bench::new(client, Some(webhook), None);
        bench.tell(&kept(in_an_hour()), Event::Scheduled).await;
        bench.round().await
    };
    let trusting = || Client::new(std::slice::from_ref(&certificate)).unwrap();
    assert_eq!(waits(trusting(), webhook(port, true)).await, 0);
    assert_eq!(waits(Client::new(&[]).unwrap(), webhook(port, true)).await, 1, "nobody vouches for it");
    let mut other = webhook(port, true);
    other.url.host = "127.0.0.1".to_owned();
    assert_eq!(waits(trusting(), other).await, 1, "it is made out to another name");
}
