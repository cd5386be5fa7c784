//! The other side: raw HTTP, because tricks must reach the wire unchanged, and tungstenite's WebSocket client.

use std::io::Read;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{House, PATIENCE, SHOP, contract};

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
    raw: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let own = |line: &&str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(own).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }

    pub(super) fn unpacked(&self) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(self.raw.as_slice()).read_to_string(&mut text).unwrap();
        text
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl House {
    /// One request on a connection of its own.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let reply = self.ask_unchecked(method, path, headers, body).await;
        contract::check(method, path, body, &reply);
        reply
    }

    /// The same with a request that the document does not have.
    pub(super) async fn ask_unchecked(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.send(format!("{head}{body}").as_bytes()).await
    }

    /// Bytes as they are; the answer until the connection ends.
    pub(super) async fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The edge may answer and close before it has read everything.
        stream.write_all(bytes).await.ok();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().ok();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        let (head, rest) = answer.split_at(end);
        let raw = rest.get(4..).unwrap_or_default().to_vec();
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Reply { status, head, body: String::from_utf8_lossy(&raw).into_owned(), raw }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub(super) async fn ask_token(&self, origin: &str, tenant: &str, queue: &str) -> Reply {
        let body = json!({"tenant": tenant, "queue": queue}).to_string();
        self.ask("POST", "/v1/token", &[("origin", origin), ("content-type", "application/json")], &body).await
    }

    pub(super) async fn token(&self, queue: &str) -> String {
        let reply = self.ask_token(SHOP, "shop", queue).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["token"].as_str().unwrap().to_owned()
    }

    /// A WebSocket, or the status of the refusal.
    pub(super) async fn socket(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Page, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "passerelle.v1");
                Ok(Page { socket })
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    pub(super) async fn visitor(&self) -> Page {
        self.socket("/v1/talk", &[("origin", SHOP), ("sec-websocket-protocol", "passerelle.v1")]).await.unwrap()
    }

    /// A visitor who has said hello for a queue.
    pub(super) async fn visitor_of(&self, queue: &str) -> Page {
        let token = self.token(queue).await;
        let mut page = self.visitor().await;
        page.say(hello(&token)).await;
        page
    }
}

pub(super) fn hello(token: &str) -> Value {
    json!({
        "type": "hello", "v": 1, "token": token, "offer": "v=0 offer",
        "session": {
            "id": "s-1", "page": {"url": "https://shop.fr/cart", "title": "Cart"},
            "referrer": "https://search.example/", "lang": "fr-FR",
        },
    })
}

/// A page's WebSocket.
pub(super) struct Page {
    pub(super) socket: WebSocketStream<TcpStream>,
}

/// What a page hears.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Json(Value),
    Close(u16),
    /// Gone without a close frame.
    Cut,
}

impl Page {
    pub(super) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> Said {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("nothing was said") {
                Some(Ok(Message::Text(text))) => return Said::Json(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Said::Close(frame.unwrap().code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Said::Cut,
            }
        }
    }

    pub(super) async fn expect(&mut self, message: Value) {
        assert_eq!(self.hear().await, Said::Json(message));
    }

    /// Expects a message with this type and code, whatever its sentence, and returns the sentence.
    pub(super) async fn expect_code(&mut self, kind: &str, code: &str) -> String {
        let Said::Json(message) = self.hear().await else { panic!("closed before {kind} {code}") };
        assert_eq!((message["type"].as_str(), message["code"].as_str()), (Some(kind), Some(code)), "{message}");
        message["sentence"].as_str().unwrap().to_owned()
    }

    pub(super) async fn expect_close(&mut self, code: u16) {
        assert_eq!(self.hear().await, Said::Close(code));
    }
}
